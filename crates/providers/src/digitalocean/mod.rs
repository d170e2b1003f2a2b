//! DigitalOcean, by its API of version 2.
//!
//! It changes single records, one a request, and none of them depends on another: where one is refused, those before it are
//! done, and told. It cannot be told what must be there. So the names that a batch touches are looked at right before it is
//! written: records of others are not touched, since each change is of one record; one that somebody changes within that
//! moment, and that is changed or taken out here, is overwritten.
//!
//! A text is kept as one piece, without quotation marks. What becomes of quotation marks, backslashes and letters of other
//! languages in it is told in two ways by those who tried. Such texts are not written, and those of others are left alone.
//!
//! Of a token it does not tell whether it is none or is over.

mod record;

use crate::{
    Secret,
    call::{Failed, encoded, nonsense, retry_after, zones_of},
    json::{Account, Progress, body, is_yes, untouched},
    outcome,
};
use model::{DomainName, RecordType};
use publish::{
    Action, Atomic, Batch, Capabilities, Grain, HostError, Later, Listed, Refusal, Right, Step, Work,
    WriteError, Written, Zone, ZoneHandle, ZoneProvider, ZoneRecord,
    http::{Exchange, HttpAnswer},
};
use serde_json::Value;
use std::collections::BTreeSet;

/// Where its API is.
pub const ENDPOINT: &str = "https://api.digitalocean.com";

/// How many records are asked for at once: the most that it gives.
const PER_PAGE: usize = 200;
/// How many pages of a zone are read.
const MOST_PAGES: usize = 100;
/// How often a zone is read that changes while it is read.
const READS: usize = 2;

/// The types that are written. Of CAA it is told in two ways how it takes it.
const TYPES: &[RecordType] = &[
    RecordType::A,
    RecordType::Aaaa,
    RecordType::Cname,
    RecordType::Mx,
    RecordType::Ns,
    RecordType::Srv,
    RecordType::Txt,
];

/// The account that a token opens.
pub struct DigitalOcean {
    account: Account,
}

/// What a request is about: the zone itself, its records, or one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    Zone,
    Records,
    Record,
}

impl DigitalOcean {
    /// By a connection to [`ENDPOINT`].
    pub fn new(exchange: Box<dyn Exchange>, token: Secret) -> Self {
        Self { account: Account::new(exchange, token, "Bearer") }
    }

    async fn call(
        &self,
        about: About,
        right: Right,
        method: &'static str,
        path: &str,
        sent: Option<&Value>,
    ) -> Result<Value, Failed> {
        let answer = self.account.send(method, format!("/v2/domains/{path}"), sent).await?;
        if is_yes(&answer) {
            return Ok(body(&answer));
        }
        let said = body(&answer);
        let words = said["message"].as_str().unwrap_or_default();
        let refusal = refusal(about, right, &answer, said["id"].as_str().map(|_| words));
        Err(self.account.failed(refusal, answer.status, words))
    }

    async fn find(&self, name: &DomainName, told: Option<&DomainName>) -> Result<ZoneHandle, HostError> {
        let tried = zones_of(name, told);
        for apex in &tried {
            let path = encoded(apex.as_str());
            match self.call(About::Zone, Right::ListZones, "GET", &path, None).await {
                Ok(found) => {
                    let is_it = found["domain"]["name"].as_str() == Some(apex.as_str());
                    return if is_it {
                        Ok(ZoneHandle { apex: apex.clone(), id: apex.to_string() })
                    } else {
                        Err(nonsense())
                    };
                }
                Err(failed) if matches!(failed.error.refusal, Refusal::ZoneNotFound { .. }) => {}
                Err(failed) => return Err(failed.error),
            }
        }
        Err(HostError::bare(Refusal::ZoneNotFound { tried }))
    }

    /// The records of the zone; those at one name where one is given. A zone that changes while it is read is read again.
    async fn records(
        &self,
        zone: &ZoneHandle,
        at: Option<&DomainName>,
    ) -> Result<Vec<ZoneRecord>, HostError> {
        for _ in 0..READS {
            if let Some(records) = self.pages(zone, at).await? {
                return Ok(records);
            }
        }
        Err(nonsense())
    }

    /// All pages. `None` where they do not make one whole: pages are counted by records, so that one which goes from a page
    /// that was read pulls another over from the next, where nobody would see it.
    async fn pages(
        &self,
        zone: &ZoneHandle,
        at: Option<&DomainName>,
    ) -> Result<Option<Vec<ZoneRecord>>, HostError> {
        let only = at.map(|name| format!("&name={}", encoded(name.as_str()))).unwrap_or_default();
        let mut records: Vec<ZoneRecord> = Vec::new();
        let mut ids = BTreeSet::new();
        let mut totals = BTreeSet::new();
        for page in 1..=MOST_PAGES {
            let path = format!("{}/records?per_page={PER_PAGE}&page={page}{only}", encoded(&zone.id));
            let answer = self.call(About::Records, Right::ReadRecords, "GET", &path, None).await;
            let answer = answer.map_err(|failed| failed.error)?;
            let listed = answer["domain_records"].as_array().ok_or_else(nonsense)?;
            for value in listed {
                let record = record::read(value, &zone.apex).ok_or_else(nonsense)?;
                // While it is being read a record may move from one page to the next.
                if ids.insert(record.id.clone()) {
                    records.push(record);
                }
            }
            totals.insert(answer["meta"]["total"].as_u64().ok_or_else(nonsense)?);
            if totals.len() > 1 {
                return Ok(None);
            }
            if listed.is_empty() || answer["links"]["pages"]["next"].is_null() {
                // Whether the total is that of the name, where one is asked for, is not told; a single page is whole.
                let is_whole = totals.contains(&(ids.len() as u64)) || at.is_some() && page == 1;
                return Ok(is_whole.then_some(records));
            }
        }
        let words = format!("the zone has more than {} records", records.len());
        Err(HostError::saying(Refusal::Unexpected { status: None }, &words, &[]))
    }

    async fn change(
        &self,
        zone: &ZoneHandle,
        steps: &[Step],
        before: &[ZoneRecord],
    ) -> Result<Vec<Written>, WriteError> {
        let sent: Option<Vec<Value>> = steps.iter().map(|step| body_of(step, &zone.apex)).collect();
        let sent =
            sent.ok_or_else(|| untouched(HostError::saying(Refusal::RecordRefused, record::RULES, &[])))?;
        let names: BTreeSet<&DomainName> = steps.iter().map(|step| step.action.owner()).collect();
        let mut now = Vec::new();
        for name in names {
            now.extend(self.records(zone, Some(name)).await.map_err(untouched)?);
        }
        if let Some(refusal) = outcome::against(&now, before, steps) {
            return Err(untouched(HostError::bare(refusal)));
        }
        let mut progress = Progress::default();
        for (step, sent) in steps.iter().zip(&sent) {
            match self.one(zone, step, Some(sent).filter(|sent| !sent.is_null())).await {
                Ok(id) => progress.done(step.id, id),
                Err(failed) => return Err(progress.stopped(failed)),
            }
        }
        Ok(progress.written())
    }

    /// Does one step; answers the record's id.
    async fn one(
        &self,
        zone: &ZoneHandle,
        step: &Step,
        sent: Option<&Value>,
    ) -> Result<Option<String>, Failed> {
        let records = format!("{}/records", encoded(&zone.id));
        let old = step.action.before().and_then(|old| old.id.as_deref());
        let path = old.map(|id| format!("{records}/{id}"));
        let (about, method, path) = match (&step.action, path) {
            (Action::Remove { .. }, Some(path)) => (About::Record, "DELETE", path),
            (Action::Replace { old, new, .. }, Some(path))
                if old.record.data.record_type() == new.data.record_type() =>
            {
                (About::Record, "PUT", path)
            }
            // A record keeps its type: the old one makes room for the new one.
            (Action::Replace { .. }, Some(path)) => {
                self.call(About::Record, Right::WriteRecords, "DELETE", &path, None).await?;
                let made = self.call(About::Records, Right::WriteRecords, "POST", &records, sent).await;
                return match made {
                    Ok(made) => id_of(&made),
                    // It is half done, which the listing tells.
                    Err(failed) => Err(Failed { is_open: true, ..failed }),
                };
            }
            _ => (About::Records, "POST", records),
        };
        let answer = self.call(about, Right::WriteRecords, method, &path, sent).await?;
        if method == "DELETE" { Ok(None) } else { id_of(&answer) }
    }
}

fn id_of(answer: &Value) -> Result<Option<String>, Failed> {
    let id = record::id(&answer["domain_record"]);
    id.map(Some).ok_or_else(|| Failed { error: nonsense(), is_open: true, is_under_way: false })
}

/// What is sent for a step: `Null` where a record goes. `None` for what is not written at this host.
fn body_of(step: &Step, apex: &DomainName) -> Option<Value> {
    step.action.after().map_or(Some(Value::Null), |new| record::new(new, apex))
}

/// What an answer says no with. `words` are there where it was in the host's form: else nothing in it is to be believed.
fn refusal(about: About, right: Right, answer: &HttpAnswer, words: Option<&str>) -> Refusal {
    let unexpected = Refusal::Unexpected { status: Some(answer.status) };
    if answer.status == 429 {
        return Refusal::RateLimited { retry_after: retry_after(answer) };
    }
    let Some(words) = words else { return unexpected };
    match answer.status {
        401 => Refusal::CredentialInvalid,
        403 => Refusal::AccessMissing { right: Some(right) },
        // Gone since it was looked at.
        404 if about == About::Record => Refusal::ZoneChanged,
        404 => Refusal::ZoneNotFound { tried: Vec::new() },
        400 | 422 if right == Right::WriteRecords => {
            if words.contains("cannot share a name") {
                Refusal::Conflict
            } else {
                Refusal::RecordRefused
            }
        }
        _ => unexpected,
    }
}

impl ZoneProvider for DigitalOcean {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            grain: Grain::Record,
            atomic: Atomic::Each,
            ttl: (30, 86_400),
            set_ttl: false,
            proxies: false,
            types: TYPES,
            text_max: record::TEXT_MAX,
            set_text_max: 8_000,
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
            let records = self.records(zone, None).await?;
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
