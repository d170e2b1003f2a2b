//! Cloudflare, by its API of version 4.
//!
//! It changes single records, and does a batch of them in one transaction of its database: deletes first, then patches,
//! puts and posts. A batch cannot say what must be there for it. So what it deleted is compared with what was listed: if
//! somebody wrote in between, all of the batch is put back at once, and the caller is told. A record that is patched (the
//! customer's own SPF record, so that it keeps its id, note and TTL) is overwritten whatever it has become since it was
//! listed; that window is one round trip.
//!
//! A token is not asked about before it is used: a good one of an account has no page to be asked about, and it would
//! be a call more. Only after a refusal the host is asked whether the token is one at all.
//!
//! What is deliberately not used: `POST` of single records, record tags (there are none on free plans), the zone's
//! `permissions` (those of the member who made the token, not the token's).

mod answer;
mod record;
mod refusal;

use crate::{
    Secret,
    call::{self, Failed, nonsense},
    text::TYPES,
};
use answer::{Answer, Batched};
use model::DomainName;
use publish::{
    Action, Atomic, Batch, Capabilities, Done, Grain, HostError, Later, Listed, Refusal, Right, Step, Why,
    Work, WriteError, Written, Zone, ZoneHandle, ZoneProvider, ZoneRecord,
    http::{Exchange, HttpRequest},
};
use serde_json::Value;
use std::collections::BTreeSet;

/// Where its API is.
pub const ENDPOINT: &str = "https://api.cloudflare.com";

/// How many records are asked for at once. It may give fewer.
const PER_PAGE: u32 = 1000;
/// How many pages of a zone are read.
const MOST_PAGES: u32 = 200;
/// How many changes fit into a batch on its smallest plan.
const BATCH: usize = 200;
/// What a TTL of 1, automatic, comes to, in seconds.
const AUTOMATIC_TTL: u32 = 300;

/// The account that a token opens.
pub struct Cloudflare {
    exchange: Box<dyn Exchange>,
    token: Secret,
    note: String,
}

/// What a request is for: what it needs, and what a refusal of it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    FindZone,
    List,
    Write,
}

impl Purpose {
    const fn right(self) -> Right {
        match self {
            Self::FindZone => Right::ListZones,
            Self::List => Right::ReadRecords,
            Self::Write => Right::WriteRecords,
        }
    }
}

impl Cloudflare {
    /// By a connection to [`ENDPOINT`]. `note` is written beside each record that is made, for whoever finds it there.
    pub fn new(exchange: Box<dyn Exchange>, token: Secret, note: String) -> Self {
        Self { exchange, token, note }
    }

    fn request(&self, method: &'static str, path: &str, body: Option<&Value>) -> HttpRequest {
        let mut headers = vec![
            ("authorization", format!("Bearer {}", self.token.expose())),
            ("accept", "application/json".to_owned()),
        ];
        if body.is_some() {
            headers.push(("content-type", "application/json".to_owned()));
        }
        HttpRequest {
            method,
            target: format!("/client/v4{path}"),
            headers,
            body: body.map(|body| body.to_string().into_bytes()).unwrap_or_default(),
        }
    }

    /// One call. What is refused for the token's sake is looked into once more, to tell why.
    async fn call(
        &self,
        purpose: Purpose,
        method: &'static str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, Failed> {
        let secrets = [self.token.expose()];
        let answer = call::send(&*self.exchange, self.request(method, path, body), &secrets).await?;
        let failed = match Answer::read(&answer) {
            Ok(answer) => return Ok(answer),
            Err(refused) => refused.into_failed(purpose, &answer, &secrets),
        };
        if matches!(failed.error.refusal, Refusal::CredentialInvalid | Refusal::AccessMissing { .. }) {
            let refusal = self.why(failed.error.refusal, purpose).await;
            return Err(Failed::refused(HostError { refusal, ..failed.error }));
        }
        Err(failed)
    }

    /// Why a token was refused, as far as the host tells. `refusal` is what its answer looked like.
    async fn why(&self, refusal: Refusal, purpose: Purpose) -> Refusal {
        let secrets = [self.token.expose()];
        let request = self.request("GET", "/user/tokens/verify", None);
        let Ok(answer) = call::send(&*self.exchange, request, &secrets).await else { return refusal };
        match Answer::read(&answer) {
            Ok(Answer { result, .. }) => match result["status"].as_str() {
                Some("active") => Refusal::AccessMissing { right: Some(purpose.right()) },
                Some("expired") => Refusal::CredentialExpired,
                Some("disabled") => Refusal::CredentialInvalid,
                _ => refusal,
            },
            // The page knows tokens of users only; those of an account begin so.
            Err(refused) if refused.is_no_token() && !self.token.expose().starts_with("cfat_") => {
                Refusal::CredentialInvalid
            }
            Err(_) => refusal,
        }
    }

    async fn find(&self, name: &DomainName, told: Option<&DomainName>) -> Result<ZoneHandle, HostError> {
        let tried = call::zones_of(name, told);
        for apex in &tried {
            let path = format!("/zones?name={}", call::encoded(apex.as_str()));
            let answer = self.call(Purpose::FindZone, "GET", &path, None).await.map_err(|f| f.error)?;
            let zones = answer.result.as_array().map(Vec::as_slice).unwrap_or_default();
            let mut named = zones.iter().filter(|zone| record::name(&zone["name"]).as_ref() == Some(apex));
            let Some(first) = named.clone().next() else { continue };
            // The same name may be in several accounts; one of them at most is what the world sees.
            let Some(zone) = named.find(|zone| is_served(zone)) else {
                let words = format!("the zone is {}", first["status"].as_str().unwrap_or("not active"));
                return Err(HostError::saying(Refusal::ZoneInactive, &words, &[]));
            };
            let id = zone["id"].as_str().filter(|id| is_id(id)).ok_or_else(nonsense)?;
            return Ok(ZoneHandle { apex: apex.clone(), id: id.to_owned() });
        }
        Err(HostError::bare(Refusal::ZoneNotFound { tried }))
    }

    async fn all(&self, zone: &ZoneHandle) -> Result<Zone, HostError> {
        let mut records: Vec<ZoneRecord> = Vec::new();
        let mut ids = BTreeSet::new();
        for page in 1..=MOST_PAGES {
            let path = format!("/zones/{}/dns_records?per_page={PER_PAGE}&page={page}", zone.id);
            let answer = self.call(Purpose::List, "GET", &path, None).await.map_err(|f| f.error)?;
            let listed = answer.result.as_array().ok_or_else(nonsense)?;
            for value in listed {
                let record = record::read(value, &zone.apex).ok_or_else(nonsense)?;
                // While it is being read a record may move from one page to the next.
                if record.id.as_ref().is_none_or(|id| ids.insert(id.clone())) {
                    records.push(record);
                }
            }
            if listed.is_empty() || page >= answer.pages {
                return Ok(Zone { handle: zone.clone(), records, listed: Listed::Whole, version: None });
            }
        }
        let words = format!("the zone has more than {} records", records.len());
        Err(HostError::saying(Refusal::Unexpected { status: None }, &words, &[]))
    }

    async fn change(&self, zone: &ZoneHandle, steps: &[Step]) -> Result<Vec<Written>, WriteError> {
        let plan = Batched::plan(steps, &zone.apex, &self.note).ok_or_else(|| WriteError {
            error: HostError::bare(Refusal::RecordRefused),
            done: Done::Nothing,
        })?;
        if plan.is_empty() {
            return Ok(Vec::new());
        }
        let path = format!("/zones/{}/dns_records/batch", zone.id);
        let answer = self
            .call(Purpose::Write, "POST", &path, Some(&plan.body))
            .await
            .map_err(Failed::into_write_error)?;
        match plan.compare(&answer.result, &zone.apex) {
            Ok(written) => Ok(written),
            Err(Some(undo)) => {
                let undone = self.call(Purpose::Write, "POST", &path, Some(&undo)).await;
                let done = if undone.is_ok() { Done::Nothing } else { Done::Unknown };
                Err(WriteError { error: HostError::bare(Refusal::ZoneChanged), done })
            }
            Err(None) => Err(WriteError { error: nonsense(), done: Done::Unknown }),
        }
    }
}

/// Whether records of the zone are what the world sees.
fn is_served(zone: &Value) -> bool {
    let kind = zone["type"].as_str().unwrap_or("full");
    zone["status"].as_str() == Some("active") && !matches!(kind, "partial" | "secondary")
}

/// An id goes into the path of the next request: nothing but an id may be one.
fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_alphanumeric())
}

impl ZoneProvider for Cloudflare {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            grain: Grain::Record,
            atomic: Atomic::Batch(BATCH),
            ttl: (60, 86_400),
            set_ttl: false,
            proxies: true,
            types: TYPES,
            text_max: 4_096,
            set_text_max: 8_192,
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
        Box::pin(self.all(zone))
    }

    fn write<'a>(
        &'a self,
        zone: &'a ZoneHandle,
        batch: &'a Batch,
    ) -> Later<'a, Result<Vec<Written>, WriteError>> {
        Box::pin(async move {
            match &batch.work {
                Work::Records(steps) => self.change(zone, steps).await,
                Work::Sets(_) | Work::Zone(_) => {
                    Err(WriteError { error: HostError::bare(Refusal::RecordRefused), done: Done::Nothing })
                }
            }
        })
    }
}

/// Whether the new record is made beside the old one's going, so that what went can be compared with what was listed. Else
/// the old one is changed in its place, and keeps its id and all that its owner set.
fn is_exchanged(action: &Action) -> bool {
    match action {
        Action::Replace { old, new, why } => {
            *why == Why::Ours || old.record.data.record_type() != new.data.record_type()
        }
        Action::Add { .. } | Action::Remove { .. } => false,
    }
}
