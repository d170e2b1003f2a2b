//! Hetzner, by the cloud's API of version 1.
//!
//! Records stand in sets and have no ids, and single ones can be put into a set and taken out of it by their values: so what
//! others write into the set in the same moment stays. One that takes another's place is a change of its set as a whole, so
//! that there is never none or two of them (an SPF record counts as none where there are two); what somebody else writes into
//! that set in the moment between our look at the name and the write is overwritten. A set keeps the TTL that it has. Nothing is done together: where one
//! change is refused, those before it are done, and told.
//!
//! A change is an action: it may still be under way when it is answered. Then it is waited for, since the zone takes no other
//! one meanwhile, and it can still come to nothing.
//!
//! A token opens a whole project, to read or to read and write; one that is over is not told from one that is none.

use crate::{
    Now, Secret,
    call::{Failed, encoded, nonsense, retry_after, zones_of},
    json::{self, Account, Progress, body, is_yes, relative, untouched},
    outcome,
    text::{Escapes, TYPES, record_type, unread},
};
use model::{DomainName, Record, RecordType};
use publish::{
    Action, Atomic, Batch, Capabilities, Grain, HostError, Kept, Later, Listed, Refusal, Right, Step, Work,
    WriteError, Written, Zone, ZoneHandle, ZoneProvider, ZoneRecord,
    http::{Exchange, HttpAnswer},
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};

/// Where its API is.
pub const ENDPOINT: &str = "https://api.hetzner.cloud";

/// How many sets are asked for at once: the most that it gives.
const PER_PAGE: usize = 100;
/// How many pages of a zone are read.
const MOST_PAGES: usize = 100;
/// How often a zone is read that changes while it is read.
const READS: usize = 2;
/// How long is waited where another change of the zone is under way, each time.
const PAUSES: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];
/// How long is waited before an action is looked at again, the first times and each time after them.
const FIRST_LOOKS: [Duration; 2] = [Duration::from_millis(250), Duration::from_millis(500)];
const LATER_LOOKS: Duration = Duration::from_secs(1);
/// How often an action is looked at: for ten seconds about.
const LOOKS: usize = 11;
/// When a host that was busy all that time is asked again, in seconds; it does not tell.
const LATER: u32 = 5;

const ESCAPES: Escapes = Escapes::Decimal;

/// What is said of an action that does not end.
const STILL_AT_IT: &str = "the host took the change and is still at it";

/// The project that a token opens.
pub struct Hetzner {
    account: Account,
    now: Now,
}

/// A record with what only this host knows of it.
#[derive(Debug, Clone)]
struct Raw {
    there: ZoneRecord,
    /// Its value as it is written down there.
    value: String,
    /// Its set has no TTL of its own: that of the zone is answered with.
    has_zone_ttl: bool,
}

impl Hetzner {
    /// By a connection to [`ENDPOINT`].
    pub fn new(exchange: Box<dyn Exchange>, token: Secret, now: Now) -> Self {
        Self { account: Account::new(exchange, token, "Bearer"), now }
    }

    async fn call(
        &self,
        right: Right,
        method: &'static str,
        path: &str,
        sent: Option<&Value>,
    ) -> Result<Value, Failed> {
        let mut pauses = PAUSES.iter();
        loop {
            let answer = self.account.send(method, format!("/v1/{path}"), sent).await?;
            if is_yes(&answer) {
                return Ok(body(&answer));
            }
            let said = &body(&answer)["error"];
            let code = said["code"].as_str().unwrap_or_default();
            // Nothing of it was done: another change is under way.
            if matches!((answer.status, code), (423, "locked") | (409, "conflict"))
                && let Some(pause) = pauses.next()
            {
                tokio::time::sleep(*pause).await;
                continue;
            }
            return Err(self.account.failed(
                refusal(right, &answer, code, (self.now)()),
                answer.status,
                &words(said),
            ));
        }
    }

    async fn find(&self, name: &DomainName, told: Option<&DomainName>) -> Result<ZoneHandle, HostError> {
        let tried = zones_of(name, told);
        for apex in &tried {
            let path = format!("zones?name={}", encoded(apex.as_str()));
            let answer =
                self.call(Right::ListZones, "GET", &path, None).await.map_err(|failed| failed.error)?;
            let zones = answer["zones"].as_array().ok_or_else(nonsense)?;
            let Some(zone) = zones.iter().find(|zone| zone["name"].as_str() == Some(apex.as_str())) else {
                continue;
            };
            if zone["mode"].as_str() != Some("primary") {
                let mode = zone["mode"].as_str().unwrap_or("not primary");
                let words = format!("the zone is a copy ({mode}): it is written where it comes from");
                return Err(HostError::saying(Refusal::ZoneInactive, &words, &[]));
            }
            let id = zone["id"].as_u64().ok_or_else(nonsense)?;
            return Ok(ZoneHandle { apex: apex.clone(), id: id.to_string() });
        }
        Err(HostError::bare(Refusal::ZoneNotFound { tried }))
    }

    /// The records of the zone; those at one name where one is given. A zone that changes while it is read is read again.
    async fn records(&self, zone: &Handle<'_>, at: Option<&str>) -> Result<Vec<Raw>, HostError> {
        for _ in 0..READS {
            if let Some(records) = self.pages(zone, at).await? {
                return self.with_ttls(zone, records).await;
            }
        }
        Err(nonsense())
    }

    /// All pages. `None` where they do not make one whole: pages are counted by sets, so that one which goes from a page that
    /// was read pulls another over from the next, where nobody would see it.
    async fn pages(&self, zone: &Handle<'_>, at: Option<&str>) -> Result<Option<Vec<Raw>>, HostError> {
        let only = at.map(|name| format!("&name={}", encoded(name))).unwrap_or_default();
        let mut records: Vec<Raw> = Vec::new();
        let mut sets = BTreeSet::new();
        let mut totals = BTreeSet::new();
        for page in 1..=MOST_PAGES {
            let path = format!("zones/{}/rrsets?per_page={PER_PAGE}&page={page}{only}", zone.id);
            let answer = self.call(Right::ReadRecords, "GET", &path, None).await;
            let answer = answer.map_err(|failed| failed.error)?;
            for set in answer["rrsets"].as_array().ok_or_else(nonsense)? {
                let (name, kind) = (set["name"].as_str(), set["type"].as_str());
                let (name, kind) = name.zip(kind).ok_or_else(nonsense)?;
                // While it is being read a set may move from one page to the next.
                if sets.insert((name.to_owned(), kind.to_owned())) {
                    records.extend(of_set(set, name, kind, zone).ok_or_else(nonsense)?);
                }
            }
            let pagination = answer["meta"]["pagination"].as_object().ok_or_else(nonsense)?;
            let total = pagination.get("total_entries").and_then(Value::as_u64);
            totals.insert(total.ok_or_else(nonsense)?);
            if totals.len() > 1 {
                return Ok(None);
            }
            if pagination.get("next_page").ok_or_else(nonsense)?.is_null() {
                return Ok(totals.contains(&(sets.len() as u64)).then_some(records));
            }
        }
        let words = format!("the zone has more than {} records", records.len());
        Err(HostError::saying(Refusal::Unexpected { status: None }, &words, &[]))
    }

    /// Gives those the zone's TTL whose sets have none of their own.
    async fn with_ttls(&self, zone: &Handle<'_>, mut records: Vec<Raw>) -> Result<Vec<Raw>, HostError> {
        if records.iter().any(|raw| raw.has_zone_ttl) {
            let answer = self.call(Right::ReadRecords, "GET", &format!("zones/{}", zone.id), None).await;
            let ttl = answer.map_err(|failed| failed.error)?["zone"]["ttl"].as_u64();
            let ttl = ttl.and_then(|ttl| u32::try_from(ttl).ok()).ok_or_else(nonsense)?;
            for raw in records.iter_mut().filter(|raw| raw.has_zone_ttl) {
                raw.there.record.ttl = ttl;
            }
        }
        Ok(records)
    }

    async fn change(
        &self,
        zone: &ZoneHandle,
        steps: &[Step],
        before: &[ZoneRecord],
    ) -> Result<Vec<Written>, WriteError> {
        let handle = Handle::of(zone).ok_or_else(|| untouched(nonsense()))?;
        let refused = || untouched(HostError::bare(Refusal::RecordRefused));
        let mut names = BTreeSet::new();
        for step in steps {
            names.insert(relative(step.action.owner(), handle.apex).ok_or_else(refused)?);
            if step.action.after().is_some_and(|new| ESCAPES.render(&new.data).is_none()) {
                return Err(refused());
            }
        }
        let mut now = Vec::new();
        for name in &names {
            now.extend(self.records(&handle, Some(name)).await.map_err(untouched)?);
        }
        let there: Vec<ZoneRecord> = now.iter().map(|raw| raw.there.clone()).collect();
        if let Some(refusal) = outcome::against(&there, before, steps) {
            return Err(untouched(HostError::bare(refusal)));
        }
        let mut progress = Progress::default();
        for step in steps {
            match self.one(&handle, step, &mut now).await {
                Ok(()) => progress.done(step.id, None),
                Err(failed) => return Err(progress.stopped(failed)),
            }
        }
        Ok(progress.written())
    }

    /// Does one step. `now` is what is at its name, before and after.
    async fn one(&self, zone: &Handle<'_>, step: &Step, now: &mut Vec<Raw>) -> Result<(), Failed> {
        let refused = || Failed::refused(HostError::bare(Refusal::RecordRefused));
        let place = |now: &[Raw], old: &ZoneRecord| {
            now.iter().position(|raw| outcome::is_same(&raw.there.record, &old.record)).ok_or_else(refused)
        };
        match &step.action {
            Action::Add { new } => self.add(zone, new, now).await,
            Action::Remove { old } => {
                let gone = now.remove(place(now, old)?);
                self.take_out(zone, &gone).await
            }
            Action::Replace { old, new, .. } if old.record.data.record_type() == new.data.record_type() => {
                let at = place(now, old)?;
                let note = now[at].there.note.clone();
                let ttl = now[at].there.record.ttl;
                let there = ZoneRecord { note, ..ZoneRecord::plain(Record { ttl, ..new.clone() }) };
                now[at] =
                    Raw { there, has_zone_ttl: false, value: ESCAPES.render(&new.data).ok_or_else(refused)? };
                let is_of_set = |raw: &&Raw| is_of(raw, &new.owner, new.data.record_type());
                let values: Vec<Value> = now.iter().filter(is_of_set).map(value).collect();
                self.act(zone, new, "set_records", json!({"records": values})).await
            }
            // An alias makes room for a text, or the other way round.
            Action::Replace { old, new, .. } => {
                let gone = now.remove(place(now, old)?);
                self.take_out(zone, &gone).await?;
                // It is half done, which the listing tells.
                self.add(zone, new, now).await.map_err(|failed| Failed { is_open: true, ..failed })
            }
        }
    }

    /// Puts a record into its set. The set keeps the TTL that it has.
    async fn add(&self, zone: &Handle<'_>, new: &Record, now: &mut Vec<Raw>) -> Result<(), Failed> {
        let refused = || Failed::refused(HostError::bare(Refusal::RecordRefused));
        let raw = Raw {
            there: ZoneRecord::plain(new.clone()),
            has_zone_ttl: false,
            value: ESCAPES.render(&new.data).ok_or_else(refused)?,
        };
        let mut sent = json!({"records": [value(&raw)]});
        if !now.iter().any(|there| is_of(there, &new.owner, new.data.record_type())) {
            sent["ttl"] = json!(new.ttl);
        }
        self.act(zone, new, "add_records", sent).await?;
        now.push(raw);
        Ok(())
    }

    async fn take_out(&self, zone: &Handle<'_>, gone: &Raw) -> Result<(), Failed> {
        let sent = json!({"records": [{"value": gone.value}]});
        self.act(zone, &gone.there.record, "remove_records", sent).await
    }

    /// Has something done to the set of a record, and waits until it is done.
    async fn act(&self, zone: &Handle<'_>, record: &Record, what: &str, sent: Value) -> Result<(), Failed> {
        let name = relative(&record.owner, zone.apex).ok_or_else(|| Failed::refused(nonsense()))?;
        let path = format!(
            "zones/{}/rrsets/{}/{}/actions/{what}",
            zone.id,
            encoded(&name),
            record.data.record_type()
        );
        let mut answer = self.call(Right::WriteRecords, "POST", &path, Some(&sent)).await?;
        // From here on it was taken, and only its end tells whether it was done.
        let open = |error| Failed { error, is_open: true, is_under_way: false };
        let under_way = |error| Failed { error, is_open: true, is_under_way: true };
        let mut waits = FIRST_LOOKS.into_iter().chain(std::iter::repeat(LATER_LOOKS)).take(LOOKS);
        loop {
            let action = &answer["action"];
            match action["status"].as_str() {
                Some("success") => return Ok(()),
                Some("error") => {
                    let words = words(&action["error"]);
                    return Err(open(self.account.failed(Refusal::RecordRefused, 422, &words).error));
                }
                Some("running") => {
                    let id = action["id"].as_u64().ok_or_else(|| under_way(nonsense()))?;
                    let Some(wait) = waits.next() else {
                        let refusal = Refusal::Unexpected { status: None };
                        return Err(under_way(HostError::saying(refusal, STILL_AT_IT, &[])));
                    };
                    tokio::time::sleep(wait).await;
                    let looked = self.call(Right::ReadRecords, "GET", &format!("actions/{id}"), None).await;
                    answer = looked.map_err(|failed| under_way(failed.error))?;
                }
                _ => return Err(open(nonsense())),
            }
        }
    }
}

/// A zone's handle, read.
struct Handle<'a> {
    apex: &'a DomainName,
    id: u64,
}

impl<'a> Handle<'a> {
    fn of(zone: &'a ZoneHandle) -> Option<Self> {
        Some(Self { apex: &zone.apex, id: zone.id.parse().ok()? })
    }
}

/// The records of a set; `None` where it is not one.
fn of_set(set: &Value, name: &str, kind: &str, zone: &Handle<'_>) -> Option<Vec<Raw>> {
    let owner = json::owner(name, zone.apex)?;
    let of_type = record_type(kind);
    let ttl = match &set["ttl"] {
        Value::Null => None,
        ttl => Some(u32::try_from(ttl.as_u64()?).ok()?),
    };
    let is_protected = set["protection"]["change"].as_bool() == Some(true);
    let each = |record: &Value| {
        let value = record["value"].as_str()?;
        let data = json::data(of_type, value, zone.apex);
        let kept = if data.is_none() || is_protected { Kept::Opaque } else { Kept::Plain };
        let data = data.unwrap_or_else(|| unread(of_type, value));
        let note = record["comment"].as_str().filter(|note| !note.is_empty()).map(str::to_owned);
        let record = Record { owner: owner.clone(), ttl: ttl.unwrap_or_default(), data };
        let there = ZoneRecord { kept, note, ..ZoneRecord::plain(record) };
        Some(Raw { there, value: value.to_owned(), has_zone_ttl: ttl.is_none() })
    };
    set["records"].as_array()?.iter().map(each).collect()
}

fn is_of(raw: &Raw, owner: &DomainName, of_type: RecordType) -> bool {
    raw.there.record.owner == *owner && raw.there.record.data.record_type() == of_type
}

/// A record as it is sent: its value, and the note beside it.
fn value(raw: &Raw) -> Value {
    let mut out = json!({"value": raw.value});
    if let Some(note) = &raw.there.note {
        out["comment"] = json!(note);
    }
    out
}

/// What an error says, with what it says of single fields.
fn words(error: &Value) -> String {
    let of_fields = error["details"]["fields"].as_array().map(Vec::as_slice).unwrap_or_default();
    let of_fields = of_fields.iter().flat_map(|field| {
        field["messages"].as_array().map(Vec::as_slice).unwrap_or_default().iter().filter_map(Value::as_str)
    });
    let message = error["message"].as_str();
    message.into_iter().chain(of_fields.take(8)).collect::<Vec<_>>().join("; ")
}

/// In how many seconds all requests are to be had again: the host tells when, in seconds since 1970.
fn reset_after(answer: &HttpAnswer, now: u64) -> Option<u32> {
    let at: u64 = answer.header("ratelimit-reset")?.trim().parse().ok()?;
    u32::try_from(at.saturating_sub(now)).ok()
}

/// What an answer says no with, by its code; nothing that is not in the host's form is believed.
fn refusal(right: Right, answer: &HttpAnswer, code: &str, now: u64) -> Refusal {
    if answer.status == 429 {
        return Refusal::RateLimited {
            retry_after: retry_after(answer).or_else(|| reset_after(answer, now)),
        };
    }
    if json::is_unknown(answer.status) {
        return Refusal::Unexpected { status: Some(answer.status) };
    }
    let is_write = right == Right::WriteRecords;
    match code {
        "unauthorized" => Refusal::CredentialInvalid,
        "forbidden" | "token_readonly" => Refusal::AccessMissing { right: Some(right) },
        "resource_limit_exceeded" => Refusal::QuotaExceeded,
        "incorrect_zone_mode" => Refusal::ZoneInactive,
        "locked" | "conflict" => Refusal::RateLimited { retry_after: Some(LATER) },
        // There already, or gone, since it was looked at.
        "uniqueness_error" | "not_found" if is_write => Refusal::ZoneChanged,
        "not_found" => Refusal::ZoneNotFound { tried: Vec::new() },
        "invalid_input" | "protected" | "json_error" if is_write => Refusal::RecordRefused,
        _ => Refusal::Unexpected { status: Some(answer.status) },
    }
}

impl ZoneProvider for Hetzner {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            grain: Grain::Record,
            atomic: Atomic::Each,
            ttl: (60, i32::MAX.unsigned_abs()),
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
            let handle = Handle::of(zone).ok_or_else(nonsense)?;
            let records = self.records(&handle, None).await?.into_iter().map(|raw| raw.there).collect();
            Ok(Zone { handle: zone.clone(), records, listed: Listed::Whole, version: None })
        })
    }

    fn write<'a>(
        &'a self,
        zone: &'a ZoneHandle,
        batch: &'a Batch,
    ) -> Later<'a, Result<Vec<Written>, WriteError>> {
        Box::pin(async move {
            match &batch.work {
                Work::Records(steps) => self.change(zone, steps, &batch.before).await,
                Work::Sets(_) | Work::Zone(_) => Err(untouched(HostError::bare(Refusal::RecordRefused))),
            }
        })
    }
}
