//! Amazon Route 53, by its API of 2013-04-01.
//!
//! It changes whole sets, all those of a batch or none, and compares: a set is replaced by taking out exactly what was
//! listed and making what will be there, so what somebody else wrote in between makes the batch fail. Records that it
//! answers with addresses of its own services (aliases), or only to some (weighted, by place), are told and never touched.
//!
//! Zones of one name may be there several times, and one of them at most is what the world sees. Which one cannot be told
//! from here, so that is refused.

mod refusal;

use crate::{
    Now, Secret,
    call::{self, Failed, encoded, nonsense, zones_of},
    outcome,
    sigv4::{self, Credentials, Signing},
    text::{Escapes, TYPES, record_type, unread},
    xml::{Element, escaped},
};
use model::{DomainName, Record, RecordType};
use publish::{
    Atomic, Batch, Capabilities, Done, Grain, HostError, Kept, Later, Listed, Refusal, Right, SetChange,
    Work, WriteError, Written, Zone, ZoneHandle, ZoneProvider, ZoneRecord,
    http::{Exchange, HttpAnswer, HttpRequest},
};
use std::{collections::BTreeSet, fmt::Write as _, time::Duration};

/// Where its API is.
pub const ENDPOINT: &str = "https://route53.amazonaws.com";
const HOST: &str = "route53.amazonaws.com";
const NAMESPACE: &str = "https://route53.amazonaws.com/doc/2013-04-01/";

const ESCAPES: Escapes = Escapes::Octal;

/// How many sets go into one batch: it takes 1,000 records and 32,000 characters.
const BATCH: usize = 100;
/// How many pages of a zone are read, each of 300 sets.
const MOST_PAGES: usize = 100;
/// How long is waited where another change of the zone is under way, each time.
const PAUSES: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];

/// An account with a key.
pub struct Route53 {
    exchange: Box<dyn Exchange>,
    credentials: Credentials,
    now: Now,
}

/// A set as it is written down there.
struct Raw {
    owner: DomainName,
    record_type: RecordType,
    ttl: u32,
    values: Vec<String>,
    /// Answered with something else, or only to some.
    is_opaque: bool,
}

impl Raw {
    fn records(&self) -> Vec<ZoneRecord> {
        let record = |data| Record { owner: self.owner.clone(), ttl: self.ttl, data };
        if self.is_opaque && self.values.is_empty() {
            let there = ZoneRecord::plain(record(unread(self.record_type, "")));
            return vec![ZoneRecord { kept: Kept::Opaque, ..there }];
        }
        let each = |value: &String| {
            let data = ESCAPES.parse(self.record_type, value);
            let kept = if self.is_opaque || data.is_none() { Kept::Opaque } else { Kept::Plain };
            let data = data.unwrap_or_else(|| unread(self.record_type, value));
            ZoneRecord { kept, ..ZoneRecord::plain(record(data)) }
        };
        self.values.iter().map(each).collect()
    }
}

impl Route53 {
    /// By a connection to [`ENDPOINT`].
    pub fn new(
        exchange: Box<dyn Exchange>,
        access_key_id: String,
        secret_access_key: Secret,
        session_token: Option<Secret>,
        now: Now,
    ) -> Self {
        Self { exchange, credentials: Credentials { access_key_id, secret_access_key, session_token }, now }
    }

    async fn call(
        &self,
        right: Right,
        method: &'static str,
        path: &str,
        query: &[(&str, String)],
        body: &str,
    ) -> Result<Element, Failed> {
        let path = format!("/2013-04-01/{path}");
        let mut headers = vec![("host", HOST.to_owned()), ("content-type", "application/xml".to_owned())];
        let request = Signing {
            service: "route53",
            region: "us-east-1",
            method,
            path: &path,
            query,
            headers: &headers,
            body: body.as_bytes(),
        };
        let signed = sigv4::sign(&self.credentials, &request, (self.now)());
        let no_time = || Failed::refused(HostError::bare(Refusal::Unexpected { status: None }));
        headers.extend(signed.ok_or_else(no_time)?);
        let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let target = if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) };
        let request = HttpRequest { method, target, headers, body: body.as_bytes().to_vec() };
        let mut pauses = PAUSES.iter();
        loop {
            let answer = call::send(&*self.exchange, request.clone(), &self.secrets()).await?;
            match self.read(right, &answer) {
                // Nothing of it was done: another change is, or there were too many requests.
                Err(failed) if matches!(failed.error.refusal, Refusal::RateLimited { .. }) => {
                    let Some(pause) = pauses.next() else { return Err(failed) };
                    tokio::time::sleep(*pause).await;
                }
                outcome => return outcome,
            }
        }
    }

    fn secrets(&self) -> Vec<&str> {
        let token = self.credentials.session_token.as_ref().map(Secret::expose);
        std::iter::once(self.credentials.secret_access_key.expose()).chain(token).collect()
    }

    fn read(&self, right: Right, answer: &HttpAnswer) -> Result<Element, Failed> {
        let root = Element::parse(&answer.body);
        match root {
            Some(root) if (200..300).contains(&answer.status) => Ok(root),
            root => Err(refusal::failed(root.as_ref(), right, answer.status, &self.secrets())),
        }
    }

    async fn find(&self, name: &DomainName, told: Option<&DomainName>) -> Result<ZoneHandle, HostError> {
        let tried = zones_of(name, told);
        for apex in &tried {
            let name = encoded(&ESCAPES.absolute(apex));
            let query = [("dnsname", name), ("maxitems", "20".to_owned())];
            let answer = self.call(Right::ListZones, "GET", "hostedzonesbyname", &query, "").await;
            let answer = answer.map_err(|failed| failed.error)?;
            // The list begins at the name, whether it is there or not.
            let is_it = |zone: &&Element| {
                zone.text_of("Name").and_then(|name| ESCAPES.name(name)).as_ref() == Some(apex)
            };
            let is_private = |zone: &Element| {
                zone.child("Config").and_then(|config| config.text_of("PrivateZone")) == Some("true")
            };
            let zones = answer.child("HostedZones").ok_or_else(nonsense)?;
            let mut public = zones.children.iter().filter(is_it).filter(|zone| !is_private(zone));
            let Some(zone) = public.next() else { continue };
            if public.next().is_some() {
                let words = "there are several public zones of this name, and one of them at most is what the world sees";
                return Err(HostError::saying(Refusal::ZoneInactive, words, &[]));
            }
            let id = zone.text_of("Id").map(|id| id.trim_start_matches("/hostedzone/"));
            let is_id = |id: &&str| {
                (1..=64).contains(&id.len()) && id.bytes().all(|octet| octet.is_ascii_alphanumeric())
            };
            let id = id.filter(is_id).ok_or_else(nonsense)?.to_owned();
            return Ok(ZoneHandle { apex: apex.clone(), id });
        }
        Err(HostError::bare(Refusal::ZoneNotFound { tried }))
    }

    async fn sets(&self, zone: &ZoneHandle) -> Result<Vec<Raw>, HostError> {
        let path = format!("hostedzone/{}/rrset", zone.id);
        let mut sets = Vec::new();
        let mut query = vec![("maxitems", "300".to_owned())];
        for _ in 0..MOST_PAGES {
            let answer = self.call(Right::ReadRecords, "GET", &path, &query, "").await;
            let answer = answer.map_err(|failed| failed.error)?;
            let listed = answer.child("ResourceRecordSets").ok_or_else(nonsense)?;
            for set in &listed.children {
                sets.push(raw(set).ok_or_else(nonsense)?);
            }
            if answer.text_of("IsTruncated") != Some("true") {
                return Ok(sets);
            }
            query = vec![("maxitems", "300".to_owned())];
            for (name, next) in [
                ("name", "NextRecordName"),
                ("type", "NextRecordType"),
                ("identifier", "NextRecordIdentifier"),
            ] {
                query.extend(answer.text_of(next).map(|value| (name, encoded(value))));
            }
        }
        let words = format!("the zone has more than {} record sets", sets.len());
        Err(HostError::saying(Refusal::Unexpected { status: None }, &words, &[]))
    }

    async fn change(
        &self,
        zone: &ZoneHandle,
        before: &[ZoneRecord],
        sets: &[SetChange],
    ) -> Result<(), WriteError> {
        let nothing = |error| WriteError { error, done: Done::Nothing };
        if outcome::has_conflict(&outcome::of_sets(before, sets)) {
            return Err(nothing(HostError::bare(Refusal::Conflict)));
        }
        let refused = || nothing(HostError::bare(Refusal::RecordRefused));
        let body = batch(&zone.apex, sets, &[]).ok_or_else(refused)?;
        let path = format!("hostedzone/{}/rrset/", zone.id);
        let answer = self.call(Right::WriteRecords, "POST", &path, &[], &body).await;
        let failed = match answer {
            Ok(_) => return Ok(()),
            Err(failed) if failed.error.refusal != Refusal::ZoneChanged => {
                return Err(failed.into_write_error());
            }
            Err(failed) => failed,
        };
        // Its owner may have written the same another way: without a final dot, with other escapes.
        let raws = self.sets(zone).await.map_err(nothing)?;
        let now: Vec<ZoneRecord> = raws.iter().flat_map(Raw::records).collect();
        if !sets.iter().all(|set| outcome::is_as_listed(&now, set)) {
            return Err(nothing(failed.error));
        }
        let as_written = batch(&zone.apex, sets, &raws).ok_or_else(refused)?;
        if as_written == body {
            return Err(nothing(failed.error));
        }
        let answer = self.call(Right::WriteRecords, "POST", &path, &[], &as_written).await;
        answer.map(drop).map_err(Failed::into_write_error)
    }
}

/// A set of an answer; `None` where the answer is not one.
fn raw(set: &Element) -> Option<Raw> {
    let values = set.child("ResourceRecords").map(|records| records.children.as_slice()).unwrap_or_default();
    Some(Raw {
        owner: ESCAPES.name(set.text_of("Name")?)?,
        record_type: record_type(set.text_of("Type")?),
        ttl: set.text_of("TTL").map_or(Some(0), |ttl| ttl.parse().ok())?,
        values: values.iter().filter_map(|value| value.text_of("Value").map(str::to_owned)).collect(),
        is_opaque: set.child("AliasTarget").is_some()
            || set.child("SetIdentifier").is_some()
            || set.child("TrafficPolicyInstanceId").is_some(),
    })
}

/// A batch of changes: first what goes, exactly as it was listed or, where `raws` has it, as it is written down there.
/// `None` where it holds what we do not write, or what is not in the zone.
fn batch(apex: &DomainName, sets: &[SetChange], raws: &[Raw]) -> Option<String> {
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ChangeResourceRecordSetsRequest xmlns=\"{NAMESPACE}\"><ChangeBatch><Changes>"
    );
    for set in sets.iter().filter(|set| !set.before.is_empty()) {
        if set.before.iter().any(|there| there.kept == Kept::Opaque) {
            return None;
        }
        let written = raws.iter().find(|raw| raw.owner == set.owner && raw.record_type == set.record_type);
        let values = match written {
            Some(raw) => raw.values.clone(),
            None => {
                set.before.iter().map(|there| ESCAPES.render(&there.record.data)).collect::<Option<_>>()?
            }
        };
        push(&mut out, "DELETE", set, set.before.first()?.record.ttl, &values);
    }
    for set in sets.iter().filter(|set| !set.after.is_empty()) {
        if !set.owner.is_at_or_below(apex) {
            return None;
        }
        let values: Vec<String> =
            set.after.iter().map(|record| ESCAPES.render(&record.data)).collect::<Option<_>>()?;
        push(&mut out, "CREATE", set, set.after.first()?.ttl, &values);
    }
    out.push_str("</Changes></ChangeBatch></ChangeResourceRecordSetsRequest>");
    Some(out)
}

fn push(out: &mut String, action: &str, set: &SetChange, ttl: u32, values: &[String]) {
    let name = escaped(&ESCAPES.absolute(&set.owner));
    let _ = write!(
        out,
        "<Change><Action>{action}</Action><ResourceRecordSet><Name>{name}</Name><Type>{}</Type><TTL>{ttl}</TTL>\
         <ResourceRecords>",
        set.record_type
    );
    for value in values {
        let _ = write!(out, "<ResourceRecord><Value>{}</Value></ResourceRecord>", escaped(value));
    }
    out.push_str("</ResourceRecords></ResourceRecordSet></Change>");
}

impl ZoneProvider for Route53 {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            grain: Grain::Set,
            atomic: Atomic::Batch(BATCH),
            ttl: (0, i32::MAX.unsigned_abs()),
            set_ttl: true,
            proxies: false,
            types: TYPES,
            text_max: 4_000,
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
            let records = self.sets(zone).await?.iter().flat_map(Raw::records).collect();
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
                let error = HostError::bare(Refusal::RecordRefused);
                return Err(WriteError { error, done: Done::Nothing });
            };
            if !sets.is_empty() {
                self.change(zone, &batch.before, sets).await?;
            }
            Ok(batch.steps.iter().map(|step| Written { step: *step, id: None }).collect())
        })
    }
}
