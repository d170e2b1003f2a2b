//! PowerDNS Authoritative, by its HTTP API (version 1).
//!
//! It changes whole sets, all those of a request or none. It cannot be told what must be there, so the sets are looked at
//! right before they are written; what somebody else writes into the same set within that one round trip is overwritten.
//! What it says no with are sentences that differ between versions: they are shown, and nothing is read out of them.
//!
//! A key of its API has no rights: it opens all zones of the server. Records that are switched off stay so.

use crate::{
    Secret,
    call::{self, Failed, encoded, nonsense, zones_of},
    outcome,
    text::{Escapes, TYPES, record_type, unread},
};
use model::{DomainName, Record};
use publish::{
    Atomic, Batch, Capabilities, Done, Grain, HostError, Kept, Later, Listed, Refusal, Right, SetChange,
    Work, WriteError, Written, Zone, ZoneHandle, ZoneProvider, ZoneRecord,
    http::{Exchange, HttpAnswer, HttpRequest},
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// How many sets go into one request.
const BATCH: usize = 500;

const ESCAPES: Escapes = Escapes::Decimal;

/// A server with a key of its API.
pub struct PowerDns {
    exchange: Box<dyn Exchange>,
    key: Secret,
    path: String,
}

#[derive(Deserialize)]
struct Told {
    id: String,
    name: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    serial: u64,
    #[serde(default)]
    rrsets: Vec<Set>,
}

#[derive(Deserialize)]
struct Set {
    name: String,
    r#type: String,
    ttl: u32,
    #[serde(default)]
    records: Vec<Content>,
    #[serde(default)]
    comments: Vec<Comment>,
}

#[derive(Deserialize)]
struct Content {
    content: String,
    #[serde(default)]
    disabled: bool,
}

#[derive(Deserialize)]
struct Comment {
    #[serde(default)]
    content: String,
}

impl PowerDns {
    /// By a connection to its web server. `path` stands in front of `/api/v1`: empty, or where a proxy has it.
    pub fn new(exchange: Box<dyn Exchange>, key: Secret, path: &str) -> Self {
        Self { exchange, key, path: path.trim_end_matches('/').to_owned() }
    }

    async fn call(
        &self,
        right: Right,
        method: &'static str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<HttpAnswer, Failed> {
        let secrets = [self.key.expose()];
        let mut headers =
            vec![("x-api-key", self.key.expose().to_owned()), ("accept", "application/json".to_owned())];
        if body.is_some() {
            headers.push(("content-type", "application/json".to_owned()));
        }
        let request = HttpRequest {
            method,
            target: format!("{}/api/v1/servers/localhost/zones{path}", self.path),
            headers,
            body: body.map(|body| body.to_string().into_bytes()).unwrap_or_default(),
        };
        let answer = call::send(&*self.exchange, request, &secrets).await?;
        if (200..300).contains(&answer.status) {
            return Ok(answer);
        }
        let refusal = match answer.status {
            401 => Refusal::CredentialInvalid,
            403 => Refusal::AccessMissing { right: Some(right) },
            404 if path.starts_with('/') => Refusal::ZoneNotFound { tried: Vec::new() },
            400 | 409 | 422 if right == Right::WriteRecords => Refusal::RecordRefused,
            429 => Refusal::RateLimited { retry_after: call::retry_after(&answer) },
            status => Refusal::Unexpected { status: Some(status) },
        };
        let is_open = matches!(refusal, Refusal::Unexpected { .. }) && !(400..500).contains(&answer.status);
        Err(Failed {
            error: HostError::saying(refusal, &words(&answer), &secrets),
            is_open,
            is_under_way: false,
        })
    }

    async fn find(&self, name: &DomainName, told: Option<&DomainName>) -> Result<ZoneHandle, HostError> {
        let tried = zones_of(name, told);
        for apex in &tried {
            let path = format!("?zone={}", encoded(&ESCAPES.absolute(apex)));
            let answer =
                self.call(Right::ListZones, "GET", &path, None).await.map_err(|failed| failed.error)?;
            let zones: Vec<Told> = read(&answer)?;
            let Some(zone) = zones.into_iter().find(|zone| ESCAPES.name(&zone.name).as_ref() == Some(apex))
            else {
                continue;
            };
            if matches!(zone.kind.to_ascii_lowercase().as_str(), "slave" | "secondary" | "consumer") {
                let words = format!("the zone is a copy ({}): it is written where it comes from", zone.kind);
                return Err(HostError::saying(Refusal::ZoneInactive, &words, &[]));
            }
            return Ok(ZoneHandle { apex: apex.clone(), id: zone.id });
        }
        Err(HostError::bare(Refusal::ZoneNotFound { tried }))
    }

    async fn all(&self, zone: &ZoneHandle) -> Result<Zone, HostError> {
        let path = format!("/{}", encoded(&zone.id));
        let answer =
            self.call(Right::ReadRecords, "GET", &path, None).await.map_err(|failed| failed.error)?;
        let told: Told = read(&answer)?;
        let mut records = Vec::new();
        for set in &told.rrsets {
            let owner = ESCAPES.name(&set.name).ok_or_else(nonsense)?;
            let of_type = record_type(&set.r#type);
            let note =
                set.comments.iter().map(|comment| comment.content.clone()).find(|note| !note.is_empty());
            for Content { content, disabled } in &set.records {
                let data = ESCAPES.parse(of_type, content);
                let kept = if data.is_none() || *disabled { Kept::Opaque } else { Kept::Plain };
                let data = data.unwrap_or_else(|| unread(of_type, content));
                let record = Record { owner: owner.clone(), ttl: set.ttl, data };
                records.push(ZoneRecord { kept, note: note.clone(), ..ZoneRecord::plain(record) });
            }
        }
        let version = Some(told.serial.to_string());
        Ok(Zone { handle: zone.clone(), records, listed: Listed::Whole, version })
    }

    async fn change(&self, zone: &ZoneHandle, sets: &[SetChange]) -> Result<(), WriteError> {
        let nothing = |error| WriteError { error, done: Done::Nothing };
        let now = self.all(zone).await.map_err(nothing)?.records;
        if let Some(refusal) = outcome::against_sets(&now, sets) {
            return Err(nothing(HostError::bare(refusal)));
        }
        let rrsets: Option<Vec<Value>> = sets.iter().map(rrset).collect();
        let rrsets = rrsets.ok_or_else(|| nothing(HostError::bare(Refusal::RecordRefused)))?;
        let path = format!("/{}", encoded(&zone.id));
        let body = json!({"rrsets": rrsets});
        let answer = self.call(Right::WriteRecords, "PATCH", &path, Some(&body)).await;
        answer.map(drop).map_err(Failed::into_write_error)
    }
}

/// A set as the host takes it. `None` where it holds what we cannot write.
fn rrset(set: &SetChange) -> Option<Value> {
    let name = ESCAPES.absolute(&set.owner);
    let of_type = set.record_type.to_string();
    let Some(first) = set.after.first() else {
        return Some(json!({"name": name, "type": of_type, "changetype": "DELETE"}));
    };
    let is_off = |record: &Record| {
        set.before.iter().any(|there| there.kept == Kept::Opaque && outcome::is_same(&there.record, record))
    };
    let records: Option<Vec<Value>> = set
        .after
        .iter()
        .map(|record| Some(json!({"content": ESCAPES.render(&record.data)?, "disabled": is_off(record)})))
        .collect();
    Some(json!({
        "name": name, "type": of_type, "ttl": first.ttl, "changetype": "REPLACE", "records": records?,
    }))
}

/// What the host said: JSON with an error, or plain text.
fn words(answer: &HttpAnswer) -> String {
    let json: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let error = json.as_ref().and_then(|json| json["error"].as_str()).map(str::to_owned);
    error.unwrap_or_else(|| {
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        if text.trim_start().starts_with('<') { String::new() } else { text }
    })
}

fn read<T: for<'de> Deserialize<'de>>(answer: &HttpAnswer) -> Result<T, HostError> {
    serde_json::from_slice(&answer.body).map_err(|_| nonsense())
}

impl ZoneProvider for PowerDns {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            grain: Grain::Set,
            atomic: Atomic::Batch(BATCH),
            ttl: (0, i32::MAX.unsigned_abs()),
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
        Box::pin(self.all(zone))
    }

    fn write<'a>(
        &'a self,
        zone: &'a ZoneHandle,
        batch: &'a Batch,
    ) -> Later<'a, Result<Vec<Written>, WriteError>> {
        Box::pin(async move {
            let Work::Sets(sets) = &batch.work else {
                let error = HostError::bare(Refusal::RecordRefused);
                return Err(WriteError { error, done: Done::Nothing });
            };
            if !sets.is_empty() {
                self.change(zone, sets).await?;
            }
            Ok(batch.steps.iter().map(|step| Written { step: *step, id: None }).collect())
        })
    }
}
