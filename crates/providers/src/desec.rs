//! deSEC, by its API of version 1.
//!
//! It changes whole sets, all those of a request or none. Where all of them are new it makes them only if none is there: what
//! somebody else wrote in between makes the request fail. Of sets that are changed it cannot be told what must be there: they
//! are looked at right before, and what somebody else writes into the same set within that one round trip is overwritten.
//!
//! It takes 300 writes a day of a domain, and fewer in shorter times; then it says how long to wait. All zones are signed.
//!
//! A token that is over, or used from where it may not, is refused as one that is none.

use crate::{
    Secret,
    call::{Failed, encoded, nonsense, retry_after, zones_of},
    json::{self, Account, body, is_yes, relative, untouched},
    outcome,
    text::{Escapes, TYPES, record_type, unread},
};
use model::{DomainName, Record};
use publish::{
    Atomic, Batch, Capabilities, Grain, HostError, Kept, Later, Listed, Refusal, Right, SetChange, Work,
    WriteError, Written, Zone, ZoneHandle, ZoneProvider, ZoneRecord,
    http::{Exchange, HttpAnswer},
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Where its API is.
pub const ENDPOINT: &str = "https://desec.io";

/// How many records go into one request.
const BATCH: usize = 500;
/// How many pages of a zone are read, each of 500 sets.
const MOST_PAGES: usize = 40;

const ESCAPES: Escapes = Escapes::Decimal;

/// The domains that a token opens.
pub struct Desec {
    account: Account,
}

impl Desec {
    /// By a connection to [`ENDPOINT`].
    pub fn new(exchange: Box<dyn Exchange>, token: Secret) -> Self {
        Self { account: Account::new(exchange, token, "Token") }
    }

    async fn call(
        &self,
        right: Right,
        method: &'static str,
        path: &str,
        sent: Option<&Value>,
    ) -> Result<HttpAnswer, Failed> {
        let answer = self.account.send(method, format!("/api/v1/domains/{path}"), sent).await?;
        if is_yes(&answer) {
            return Ok(answer);
        }
        let said = words(&body(&answer));
        let refusal = refusal(right, &answer, &said);
        Err(self.account.failed(refusal, answer.status, &said.join("; ")))
    }

    async fn find(&self, name: &DomainName, told: Option<&DomainName>) -> Result<ZoneHandle, HostError> {
        let tried = zones_of(name, told);
        for apex in &tried {
            match self.call(Right::ListZones, "GET", &format!("{}/", encoded(apex.as_str())), None).await {
                Ok(found) if body(&found)["name"].as_str() == Some(apex.as_str()) => {
                    return Ok(ZoneHandle { apex: apex.clone(), id: apex.to_string() });
                }
                Ok(_) => return Err(nonsense()),
                Err(failed) if matches!(failed.error.refusal, Refusal::ZoneNotFound { .. }) => {}
                Err(failed) => return Err(failed.error),
            }
        }
        Err(HostError::bare(Refusal::ZoneNotFound { tried }))
    }

    async fn records(&self, zone: &ZoneHandle) -> Result<Vec<ZoneRecord>, HostError> {
        let mut records: Vec<ZoneRecord> = Vec::new();
        let mut sets = BTreeSet::new();
        let mut cursors = BTreeSet::new();
        let mut cursor = String::new();
        for _ in 0..MOST_PAGES {
            let path = format!("{}/rrsets/?cursor={cursor}", encoded(&zone.id));
            let answer =
                self.call(Right::ReadRecords, "GET", &path, None).await.map_err(|failed| failed.error)?;
            let told = body(&answer);
            for set in told.as_array().ok_or_else(nonsense)? {
                let (name, kind) = (set["subname"].as_str(), set["type"].as_str());
                let (name, kind) = name.zip(kind).ok_or_else(nonsense)?;
                // While it is being read a set may move from one page to the next.
                if sets.insert((name.to_owned(), kind.to_owned())) {
                    records.extend(of_set(set, name, kind, zone).ok_or_else(nonsense)?);
                }
            }
            match next(&answer)? {
                None => return Ok(records),
                Some(next) if !next.is_empty() && cursors.insert(next.clone()) => cursor = next,
                Some(_) => return Err(nonsense()),
            }
        }
        let words = format!("the zone has more than {} records", records.len());
        Err(HostError::saying(Refusal::Unexpected { status: None }, &words, &[]))
    }

    async fn change(&self, zone: &ZoneHandle, sets: &[SetChange]) -> Result<(), WriteError> {
        let now = self.records(zone).await.map_err(untouched)?;
        if let Some(refusal) = outcome::against_sets(&now, sets) {
            return Err(untouched(HostError::bare(refusal)));
        }
        let sent: Option<Vec<Value>> = sets.iter().map(|set| rrset(set, &zone.apex)).collect();
        let sent = sent.ok_or_else(|| untouched(HostError::bare(Refusal::RecordRefused)))?;
        let all_new = sets.iter().all(|set| set.before.is_empty() && !set.after.is_empty());
        let method = if all_new { "POST" } else { "PATCH" };
        let path = format!("{}/rrsets/", encoded(&zone.id));
        let answer = self.call(Right::WriteRecords, method, &path, Some(&Value::Array(sent))).await;
        answer.map(drop).map_err(Failed::into_write_error)
    }
}

/// The cursor of the next page, as it is sent; `None` at the end of the zone. A link that cannot be read is no end: what is
/// behind it would be taken for gone, and overwritten.
fn next(answer: &HttpAnswer) -> Result<Option<String>, HostError> {
    let links = answer.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("link"));
    let mut following = links.flat_map(|(_, links)| links.split(',')).filter(|link| is_next(link));
    match (following.next(), following.next()) {
        (None, _) => Ok(None),
        (Some(link), None) => cursor_of(link).map(Some).ok_or_else(nonsense),
        (Some(_), Some(_)) => Err(nonsense()),
    }
}

/// Whether a link is to the next page: `rel="next"`, with quotation marks or without (RFC 8288 §3).
fn is_next(link: &str) -> bool {
    link.split(';').filter_map(|part| part.split_once('=')).any(|(name, value)| {
        let mut relations = value.trim().trim_matches('"').split_ascii_whitespace();
        name.trim().eq_ignore_ascii_case("rel") && relations.any(|of| of.eq_ignore_ascii_case("next"))
    })
}

fn cursor_of(link: &str) -> Option<String> {
    let address = link.split_once('<')?.1.split_once('>')?.0;
    let cursor = address.split_once("cursor=")?.1.split('&').next()?;
    // It goes into the next request's address: nothing but a cursor may be one.
    let is_plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-%._~=".contains(&octet);
    (cursor.len() <= 500 && cursor.bytes().all(is_plain)).then(|| cursor.to_owned())
}

/// The records of a set; `None` where it is not one.
fn of_set(set: &Value, name: &str, kind: &str, zone: &ZoneHandle) -> Option<Vec<ZoneRecord>> {
    let owner = json::owner(name, &zone.apex)?;
    let of_type = record_type(kind);
    let ttl = u32::try_from(set["ttl"].as_u64()?).ok()?;
    let each = |value: &Value| {
        let value = value.as_str()?;
        let data = json::data(of_type, value, &zone.apex);
        let kept = if data.is_none() { Kept::Opaque } else { Kept::Plain };
        let data = data.unwrap_or_else(|| unread(of_type, value));
        Some(ZoneRecord { kept, ..ZoneRecord::plain(Record { owner: owner.clone(), ttl, data }) })
    };
    set["records"].as_array()?.iter().map(each).collect()
}

/// A set as it is sent: without records where it goes. `None` where it holds what is not written.
fn rrset(set: &SetChange, apex: &DomainName) -> Option<Value> {
    let name = relative(&set.owner, apex)?;
    let values: Vec<String> =
        set.after.iter().map(|record| ESCAPES.render(&record.data)).collect::<Option<_>>()?;
    let subname = if name == "@" { "" } else { name.as_str() };
    let mut out = json!({"subname": subname, "type": set.record_type.to_string(), "records": values});
    // A set has one TTL. Where something of it stays, it is that which its owner gave it, even below what others may have.
    let stays = |record: &&Record| set.after.iter().any(|after| after.data == record.data);
    let old = set.before.iter().map(|there| &there.record).find(stays);
    if let Some(record) = old.or(set.after.first()).filter(|_| !set.after.is_empty()) {
        out["ttl"] = json!(record.ttl);
    }
    Some(out)
}

/// All words of an error, however deep they are: one, or some for each part of a request.
fn words(said: &Value) -> Vec<String> {
    fn gather(said: &Value, depth: u8, out: &mut Vec<String>) {
        let parts: Vec<&Value> = match said {
            Value::String(text) if out.len() < 8 => return out.push(text.clone()),
            Value::Array(parts) if depth > 0 => parts.iter().collect(),
            Value::Object(fields) if depth > 0 => fields.values().collect(),
            _ => return,
        };
        for part in parts {
            gather(part, depth - 1, out);
        }
    }
    let mut out = Vec::new();
    gather(said, 6, &mut out);
    out.dedup();
    out
}

/// What an answer says no with. Without words it is not in the host's form, and nothing in it is to be believed.
fn refusal(right: Right, answer: &HttpAnswer, words: &[String]) -> Refusal {
    let unexpected = Refusal::Unexpected { status: Some(answer.status) };
    if answer.status == 429 {
        return Refusal::RateLimited { retry_after: retry_after(answer) };
    }
    if words.is_empty() {
        return unexpected;
    }
    let is_write = right == Right::WriteRecords;
    let says = |text: &str| words.iter().any(|words| words.contains(text));
    match answer.status {
        401 => Refusal::CredentialInvalid,
        403 => Refusal::AccessMissing { right: Some(right) },
        404 => Refusal::ZoneNotFound { tried: Vec::new() },
        // Another request came first.
        409 if is_write => Refusal::ZoneChanged,
        400 if is_write && says("Another RRset with the same subdomain and type exists") => {
            Refusal::ZoneChanged
        }
        400 if is_write && says("conflicting type present at same subname") => Refusal::Conflict,
        400 | 413 if is_write => Refusal::RecordRefused,
        _ => unexpected,
    }
}

impl ZoneProvider for Desec {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            grain: Grain::Set,
            atomic: Atomic::Batch(BATCH),
            // A domain may have a shorter one, by its owner's request; none has a longer one.
            ttl: (3_600, 86_400),
            set_ttl: true,
            proxies: false,
            types: TYPES,
            text_max: 16_384,
            set_text_max: 60_000,
        }
    }

    fn find_zone<'a>(
        &'a self,
        name: &'a DomainName,
        told: Option<&'a DomainName>,
    ) -> Later<'a, Result<ZoneHandle, HostError>> {
        Box::pin(self.find(name, told))
    }

    fn list<'a>(
        &'a self,
        zone: &'a ZoneHandle,
        _names: &'a BTreeSet<DomainName>,
    ) -> Later<'a, Result<Zone, HostError>> {
        Box::pin(async move {
            let records = self.records(zone).await?;
            Ok(Zone { handle: zone.clone(), records, listed: Listed::Whole, version: None })
        })
    }

    fn write<'a>(
        &'a self,
        zone: &'a ZoneHandle,
        batch: &'a Batch,
    ) -> Later<'a, Result<Vec<Written>, WriteError>> {
        Box::pin(async move {
            let Work::Sets(sets) = &batch.work else {
                return Err(untouched(HostError::bare(Refusal::RecordRefused)));
            };
            if !sets.is_empty() {
                self.change(zone, sets).await?;
            }
            Ok(batch.steps.iter().map(|step| Written { step: *step, id: None }).collect())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_read_from_the_links() {
        let links = "<https://desec.io/api/v1/domains/a.test/rrsets/?cursor=>; rel=\"first\", \
                     <https://desec.io/api/v1/domains/a.test/rrsets/?cursor=cD0yMDI2%3D>; rel=\"next\"";
        let told = |links: &[&str]| {
            let headers = links.iter().map(|links| ("link".to_owned(), (*links).to_owned())).collect();
            next(&HttpAnswer { status: 200, headers, body: Vec::new() })
        };
        let found = Some("cD0yMDI2%3D".to_owned());
        assert_eq!(told(&[links]), Ok(found.clone()));
        let (first, last) = links.split_once(", ").unwrap();
        assert_eq!(told(&[first, last]), Ok(found.clone()), "each in a header of its own");
        assert_eq!(told(&["<https://x/?cursor=cD0yMDI2%3D>;rel=next"]), Ok(found));
        assert_eq!(told(&[first]), Ok(None));
        assert_eq!(told(&[]), Ok(None));
        for hostile in [
            "<https://x/?cursor=a b>; rel=\"next\"",
            "<https://x/?cursor=a/../b>; rel=\"next\"",
            "<https://x/>; rel=\"next\"",
            "; rel=\"next\"",
            &format!("<?cursor={}>; rel=\"next\"", "a".repeat(501)),
            "<?cursor=a>; rel=\"next\", <?cursor=b>; rel=\"next\"",
        ] {
            assert_eq!(told(&[hostile]), Err(nonsense()), "{hostile}");
        }
    }

    #[test]
    fn words_are_found_however_deep_and_bounded() {
        let said = json!([{}, {"ttl": ["too short"]}, {"non_field_errors": ["no", "no"]}]);
        assert_eq!(words(&said), ["too short", "no"]);
        assert_eq!(words(&json!({"detail": "Invalid token."})), ["Invalid token."]);
        assert_eq!(words(&json!([[[[[[["deep"]]]]]]])), [""; 0]);
        assert_eq!(words(&json!((0..100).map(|n| n.to_string()).collect::<Vec<_>>())).len(), 8);
    }
}
