//! Gandi, by its LiveDNS API of version 5.
//!
//! It changes whole sets, one a request: where one is refused, those before it are done. A set that is new is made only where
//! there is none, which the host sees to. Of one that is changed it cannot be told what must be there: so the zone is
//! looked at right before, and what somebody else writes into the same set within that one round trip is overwritten.
//!
//! Names are kept as their owner typed them, and found only so; a set is called as it is listed. A target without its final dot
//! is below the zone.
//!
//! A token that is none, one that is over, and one without a right are refused in one way. So the host is asked for the list
//! of domains then: a token that may not even see that is called none.

use crate::{
    Secret,
    call::{Failed, encoded, nonsense, retry_after, zones_of},
    json::{self, Account, body, is_yes, relative, untouched},
    outcome,
    text::{Escapes, TYPES, record_type, unread},
};
use model::{DomainName, Record, RecordData, RecordType};
use publish::{
    Atomic, Batch, Capabilities, Done, Grain, HostError, Kept, Later, Listed, Refusal, Right, SetChange,
    Work, WriteError, Written, Zone, ZoneHandle, ZoneProvider, ZoneRecord,
    http::{Exchange, HttpAnswer},
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Where its API is.
pub const ENDPOINT: &str = "https://api.gandi.net";

/// How many sets are asked for at once: what it gives where nobody asks. It may give fewer.
const PER_PAGE: usize = 100;
/// How many pages of a zone are read.
const MOST_PAGES: usize = 500;
/// How often a zone is read that changes while it is read.
const READS: usize = 2;

const ESCAPES: Escapes = Escapes::Decimal;

/// What is said of texts that are not written.
const RULES: &str = "texts of other than printable ASCII are not written at Gandi";

/// What a token opens.
pub struct Gandi {
    account: Account,
}

/// What is said of names that are written in two ways.
const TWO_WAYS: &str =
    "the name is written in two ways at Gandi (as _DMARC and _dmarc): make one set of them there first";

/// A listing: the records, and how the name of each set is written.
#[derive(Default)]
struct Read {
    records: Vec<ZoneRecord>,
    /// The sets as they are called.
    seen: BTreeSet<(String, String)>,
    /// The same by name and type: more than one where names differ in their case only, or types are not known here.
    names: BTreeMap<(DomainName, RecordType), Vec<String>>,
}

impl Read {
    /// Of sets that are one to DNS and two to the host, nobody knows what is served: they are shown, and not touched.
    fn with_doubles_left_alone(mut self) -> Self {
        let names = &self.names;
        let is_double = |record: &Record| {
            names.get(&(record.owner.clone(), record.data.record_type())).is_some_and(|names| names.len() > 1)
        };
        for there in self.records.iter_mut().filter(|there| is_double(&there.record)) {
            there.kept = Kept::Opaque;
        }
        self
    }
}

impl Gandi {
    /// By a connection to [`ENDPOINT`].
    pub fn new(exchange: Box<dyn Exchange>, token: Secret) -> Self {
        Self { account: Account::new(exchange, token, "Bearer") }
    }

    async fn call(
        &self,
        right: Right,
        method: &'static str,
        path: &str,
        sent: Option<&Value>,
    ) -> Result<HttpAnswer, Failed> {
        let answer = self.account.send(method, format!("/v5/livedns/domains{path}"), sent).await?;
        if is_yes(&answer) {
            return Ok(answer);
        }
        let said = words(&body(&answer));
        let refusal = match refusal(right, &answer, said.as_deref()) {
            Refusal::AccessMissing { .. } if !self.is_known().await => Refusal::CredentialInvalid,
            refusal => refusal,
        };
        Err(self.account.failed(refusal, answer.status, &said.unwrap_or_default()))
    }

    /// Whether the host takes the token at all. One that cannot be asked now is not called none.
    async fn is_known(&self) -> bool {
        let target = "/v5/livedns/domains?page=1&per_page=1".to_owned();
        let answer = self.account.send("GET", target, None).await;
        !answer.is_ok_and(|answer| matches!(answer.status, 401 | 403))
    }

    async fn find(&self, name: &DomainName, told: Option<&DomainName>) -> Result<ZoneHandle, HostError> {
        let tried = zones_of(name, told);
        let mut refused = None;
        for apex in &tried {
            match self.call(Right::ListZones, "GET", &format!("/{}", encoded(apex.as_str())), None).await {
                Ok(found) if body(&found)["fqdn"].as_str() == Some(apex.as_str()) => {
                    return Ok(ZoneHandle { apex: apex.clone(), id: apex.to_string() });
                }
                Ok(_) => return Err(nonsense()),
                Err(Failed { error, .. }) => match error.refusal {
                    Refusal::ZoneNotFound { .. } => {}
                    // It has the zone, and the token is not for it; or it has none and does not say so.
                    Refusal::AccessMissing { .. } => refused = Some(error),
                    _ => return Err(error),
                },
            }
        }
        Err(refused.unwrap_or_else(|| HostError::bare(Refusal::ZoneNotFound { tried })))
    }

    /// The zone. One that changes while it is read is read again.
    async fn read(&self, zone: &ZoneHandle) -> Result<Read, HostError> {
        for _ in 0..READS {
            if let Some(read) = self.pages(zone).await? {
                return Ok(read.with_doubles_left_alone());
            }
        }
        Err(nonsense())
    }

    /// All pages. `None` where they do not make one whole: pages are counted by sets, so that one which goes from a page that
    /// was read pulls another over from the next, where nobody would see it.
    async fn pages(&self, zone: &ZoneHandle) -> Result<Option<Read>, HostError> {
        let mut read = Read::default();
        let mut totals = BTreeSet::new();
        for page in 1..=MOST_PAGES {
            let path = format!("/{}/records?page={page}&per_page={PER_PAGE}", encoded(&zone.id));
            let answer =
                self.call(Right::ReadRecords, "GET", &path, None).await.map_err(|failed| failed.error)?;
            let told = body(&answer);
            let before = read.seen.len();
            for set in told.as_array().ok_or_else(nonsense)? {
                of_set(set, zone, &mut read).ok_or_else(nonsense)?;
            }
            let total = answer.header("total-count").map(|total| total.trim().parse::<usize>());
            totals.extend(total.transpose().map_err(|_| nonsense())?);
            if totals.len() > 1 {
                return Ok(None);
            }
            let total = totals.first().copied();
            if read.seen.len() == before || total.is_some_and(|total| read.seen.len() >= total) {
                return Ok(total.is_none_or(|total| read.seen.len() == total).then_some(read));
            }
        }
        let words = format!("the zone has more than {} records", read.records.len());
        Err(HostError::saying(Refusal::Unexpected { status: None }, &words, &[]))
    }

    async fn change(&self, zone: &ZoneHandle, sets: &[SetChange]) -> Result<(), WriteError> {
        let refused = || untouched(HostError::saying(Refusal::RecordRefused, RULES, &[]));
        let now = self.read(zone).await.map_err(untouched)?;
        if let Some(refusal) = outcome::against_sets(&now.records, sets) {
            return Err(untouched(HostError::bare(refusal)));
        }
        let mut requests = Vec::new();
        for set in sets {
            let name = match now.names.get(&(set.owner.clone(), set.record_type)).map(Vec::as_slice) {
                Some([written]) => written.clone(),
                Some(_) => {
                    return Err(untouched(HostError::saying(Refusal::RecordRefused, TWO_WAYS, &[])));
                }
                None => relative(&set.owner, &zone.apex).ok_or_else(refused)?,
            };
            let path = format!("/{}/records/{}/{}", encoded(&zone.id), encoded(&name), set.record_type);
            let method = match (set.before.is_empty(), set.after.is_empty()) {
                (_, true) => "DELETE",
                (true, false) => "POST",
                (false, false) => "PUT",
            };
            let sent = if set.after.is_empty() { Value::Null } else { sent(set).ok_or_else(refused)? };
            requests.push((method, path, sent));
        }
        for (number, (method, path, sent)) in requests.iter().enumerate() {
            let sent = Some(sent).filter(|sent| !sent.is_null());
            let failed = match self.call(Right::WriteRecords, method, path, sent).await {
                // Somebody was quicker, with the same.
                Ok(answer) if *method == "POST" && answer.status == 200 => {
                    Failed::refused(HostError::bare(Refusal::ZoneChanged))
                }
                Ok(_) => continue,
                Err(failed) => failed,
            };
            let done = if failed.is_open || number > 0 { Done::Unknown } else { Done::Nothing };
            return Err(WriteError { error: failed.error, done });
        }
        Ok(())
    }
}

/// Reads a set; `None` where it is not one.
fn of_set(set: &Value, zone: &ZoneHandle, read: &mut Read) -> Option<()> {
    let name = set["rrset_name"].as_str()?;
    let owner = json::owner(name, &zone.apex)?;
    let kind = set["rrset_type"].as_str()?;
    let of_type = record_type(kind);
    let ttl = u32::try_from(set["rrset_ttl"].as_u64()?).ok()?;
    let values = set["rrset_values"].as_array()?;
    // While it is being read a set may move from one page to the next.
    if !read.seen.insert((name.to_owned(), kind.to_owned())) {
        return Some(());
    }
    read.names.entry((owner.clone(), of_type)).or_default().push(name.to_owned());
    for value in values {
        let value = value.as_str()?;
        let data = json::data(of_type, value, &zone.apex);
        let kept = if data.is_none() { Kept::Opaque } else { Kept::Plain };
        let data = data.unwrap_or_else(|| unread(of_type, value));
        let record = Record { owner: owner.clone(), ttl, data };
        read.records.push(ZoneRecord { kept, ..ZoneRecord::plain(record) });
    }
    Some(())
}

/// A set as it is sent. `None` where it holds what is not written.
fn sent(set: &SetChange) -> Option<Value> {
    let value = |record: &Record| {
        let is_plain = match &record.data {
            RecordData::Txt(text) => text.strings().flatten().all(|octet| matches!(octet, b' '..=b'~')),
            _ => true,
        };
        ESCAPES.render(&record.data).filter(|_| is_plain)
    };
    let values: Vec<String> = set.after.iter().map(value).collect::<Option<_>>()?;
    Some(json!({"rrset_values": values, "rrset_ttl": set.after.first()?.ttl}))
}

/// The host's words: of one error, or of the parts of a request. `None` where it is not its form.
fn words(said: &Value) -> Option<String> {
    if let Some(message) = said["message"].as_str() {
        return Some(message.to_owned());
    }
    let each = |error: &Value| {
        let description = error["description"].as_str()?;
        let name = error["name"].as_str().unwrap_or_default();
        Some(if name.is_empty() { description.to_owned() } else { format!("{name}: {description}") })
    };
    let errors = said["errors"].as_array()?.iter().take(8).filter_map(each);
    Some(errors.collect::<Vec<_>>().join("; "))
}

/// What an answer says no with. `words` are there where it was in the host's form: else nothing in it is to be believed.
fn refusal(right: Right, answer: &HttpAnswer, words: Option<&str>) -> Refusal {
    let unexpected = Refusal::Unexpected { status: Some(answer.status) };
    if answer.status == 429 {
        return Refusal::RateLimited { retry_after: retry_after(answer) };
    }
    if words.is_none() {
        return unexpected;
    }
    let is_write = right == Right::WriteRecords;
    match answer.status {
        401 => Refusal::CredentialInvalid,
        403 => Refusal::AccessMissing { right: Some(right) },
        // There already, or gone, since the zone was looked at.
        404 | 409 if is_write => Refusal::ZoneChanged,
        404 => Refusal::ZoneNotFound { tried: Vec::new() },
        400 | 422 if is_write => Refusal::RecordRefused,
        _ => unexpected,
    }
}

impl ZoneProvider for Gandi {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            grain: Grain::Set,
            atomic: Atomic::Each,
            ttl: (300, 2_592_000),
            set_ttl: true,
            proxies: false,
            types: TYPES,
            text_max: 4_096,
            set_text_max: 16_384,
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
            let records = self.read(zone).await?.records;
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
