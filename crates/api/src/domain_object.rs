//! The domain object: what the API shows of a domain, its records and findings.

use crate::fresh::Until;
use app::{
    ClaimFound,
    claims::ClaimView,
    diagnosis::{Finding, RecordReport, Report},
    domains::DomainView,
    warmup::Warmup,
};
use model::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// A sender domain with its records and what was found about them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Domain)]
pub struct DomainObject {
    /// Always `domain`.
    #[schema(example = "domain")]
    object: &'static str,
    /// Its id.
    #[schema(example = "dom_01JD0000000000000000000000")]
    id: String,
    /// The domain, in A-labels.
    #[schema(example = "mail.example.com")]
    domain: String,
    /// The domain as people write it.
    #[schema(example = "mail.example.com")]
    unicode: String,
    /// Where its DNS stands: `pending`, `verified`, `failed` or `disabled`. Open: there may be more.
    #[schema(example = "pending")]
    status: &'static str,
    /// Whether mail can be sent from it now; the readiness says what stands in the way.
    can_send: bool,
    /// SPF: `missing`, `pending`, `verified` or `failed`. Open: there may be more.
    #[schema(example = "verified")]
    spf_status: &'static str,
    /// DKIM: `missing`, `pending`, `verified` or `failed`. Open: there may be more.
    #[schema(example = "pending")]
    dkim_status: &'static str,
    /// DMARC: `missing`, `pending`, `verified` or `failed`. Open: there may be more.
    #[schema(example = "missing")]
    dmarc_status: &'static str,
    /// The return path: `missing`, `pending`, `verified` or `failed`. Open: there may be more.
    #[schema(example = "missing")]
    return_path_status: &'static str,
    /// `warning` when a verified domain is broken at the moment, else `ok`. Open: there may be more.
    #[schema(example = "ok")]
    health: &'static str,
    /// `none`, `pending`, `approved` or `rejected`. Open: there may be more.
    #[schema(example = "none")]
    approval_status: String,
    /// What it is used for.
    capabilities: Capabilities,
    /// The profile that its records come from.
    #[schema(example = "three-cname")]
    profile: String,
    /// The tenant it belongs to.
    #[schema(required)]
    tenant_id: Option<String>,
    /// The tokens in its DKIM records.
    dkim_tokens: Vec<String>,
    /// Who runs its DNS, as far as its name servers tell.
    dns_host: DnsHostGuess,
    /// The records that should exist and have to be published.
    records: Vec<RecordObject>,
    /// Where the domain is delegated to us as a zone: the records in it, which we serve. Nobody has to publish them.
    hosted_records: Vec<RecordObject>,
    /// What was found, worst first.
    findings: Vec<FindingObject>,
    /// How far the records have spread.
    propagation: Propagation,
    /// When all required records were first seen since it was last not verified.
    #[schema(required)]
    verified_at: Option<Timestamp>,
    /// When its DNS was last looked at.
    #[schema(required)]
    last_checked_at: Option<Timestamp>,
    /// When its DNS is looked at next, without anyone asking.
    #[schema(required)]
    next_check_at: Option<Timestamp>,
    /// When it counts as failed if nothing changes.
    #[schema(required)]
    fails_at: Option<Timestamp>,
    /// When sending from it stops unless it is mended, while its health is `warning`; null else.
    #[schema(required)]
    stops_at: Option<Timestamp>,
    /// Records that we wrote and that somebody changed or removed; null where there are none, and where it was not looked
    /// for: only `GET /domains/{id}` does.
    #[schema(required)]
    drift: Option<DriftObject>,
    /// The claim of a name that another organisation holds; null where there is none.
    #[schema(required)]
    claim: Option<ClaimObject>,
    /// When it was verified for the first time: the first day of its warm-up.
    #[schema(required)]
    warmup_started_at: Option<Timestamp>,
    /// How long its warm-up takes, in days; 0 for none.
    #[schema(example = 14)]
    warmup_days: u32,
    /// Where its warm-up stands; null where there is none or it is over. Before the domain is verified it says what
    /// the first day will allow.
    #[schema(required)]
    warmup: Option<WarmupObject>,
    /// Where its mail is sent from.
    #[schema(required)]
    region: Option<String>,
    /// Where its mail is sent from when that fails.
    #[schema(required)]
    fallback_region: Option<String>,
    /// When it was added.
    created_at: Timestamp,
}

/// Records that we wrote and that somebody changed or removed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Drift)]
pub struct DriftObject {
    /// Since when that is known.
    noticed_at: Timestamp,
    /// Which they are, of those in `records`.
    records: Vec<DriftRecord>,
    /// The change set that brings them back, where a kept credential may be used for that: `POST /change-sets/{id}/apply`
    /// without a body's fields applies it. Null: `POST /domains/{id}/change-sets` plans one.
    #[schema(required)]
    change_set_id: Option<String>,
    /// Whether they are not brought back by themselves any more, since somebody changed them back twice.
    stopped: bool,
}

/// A record that somebody changed or removed.
#[derive(Debug, Serialize, ToSchema)]
pub struct DriftRecord {
    /// Its id, as in `records`.
    #[schema(example = "rec_01JD0000000000000000000000")]
    id: String,
    /// Its name, as in `records`.
    #[schema(example = "cs1._domainkey.mail.example.com")]
    name: String,
}

impl DomainObject {
    /// The same with what is known of records of this domain that are not as we wrote them.
    pub fn with_drift(self, view: &DomainView, drift: Option<app::store::DnsDrift>) -> Self {
        let drift = drift.and_then(|drift| {
            let is_of_it = |record: &&RecordReport| drift.records.contains(&record.planned.key);
            let of_it = view.report.records.iter().filter(is_of_it).map(|record| DriftRecord {
                id: view.record_id(record).to_string(),
                name: record.planned.owner.to_string(),
            });
            Some(DriftObject {
                noticed_at: drift.noticed_at?,
                records: of_it.collect(),
                change_set_id: drift.change_set_id.map(|id| id.to_string()),
                stopped: drift.stopped,
            })
        });
        Self { drift, ..self }
    }
}

/// What a domain is used for.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Capabilities {
    /// Mail is sent from it.
    #[serde(default)]
    sending: bool,
    /// Mail is received for it.
    #[serde(default)]
    receiving: bool,
}

/// Where a domain's warm-up stands. Messages are counted, not their recipients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Warmup)]
pub struct WarmupObject {
    /// The day of the warm-up, counted from 1. Days are those of UTC.
    #[schema(example = 1)]
    day: u32,
    /// How many messages it may send on this day.
    #[schema(example = 50)]
    cap: u64,
    /// How many of them were accepted.
    #[schema(example = 0)]
    sent_today: u64,
    /// When the count starts again: the next midnight UTC.
    resets_at: Timestamp,
}

impl From<Warmup> for WarmupObject {
    fn from(Warmup { today, sent_today }: Warmup) -> Self {
        Self { day: today.day, cap: today.cap, sent_today, resets_at: today.resets_at }
    }
}

/// Who runs a domain's DNS.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DnsHostGuess)]
pub struct DnsHostGuess {
    /// One of the ids of `GET /api/v1/dns-hosts`; `generic` when it is not known, or not which of several.
    #[schema(example = "cloudflare")]
    id: &'static str,
    /// For people.
    #[schema(example = "Cloudflare")]
    name: String,
    /// `confirmed`; `likely`; `shared`, hosts with the same name servers; `mixed`, name servers of several hosts;
    /// `unknown`. Open: there may be more.
    #[schema(example = "confirmed")]
    confidence: &'static str,
    /// The ids of all hosts it could be; none when it is not known.
    candidates: Vec<&'static str>,
}

/// A claim of a name that another organisation holds: by a fresh TXT record, seen at every name server twice within some
/// minutes, the name becomes the claimer's.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Claim)]
pub struct ClaimObject {
    /// `open`; or `expired` or `superseded`, where a new one can be begun. Open: there may be more.
    #[schema(example = "open")]
    status: &'static str,
    /// The type of the record to publish.
    #[serde(rename = "type")]
    #[schema(example = "TXT")]
    record_type: &'static str,
    /// Where it belongs, in full.
    #[schema(example = "_countersign-claim.mail.example.com")]
    name: String,
    /// The same, relative to the zone.
    #[schema(example = "_countersign-claim.mail")]
    host: String,
    /// The value to publish, new for each claim.
    #[schema(example = "countersign-claim=abcdefghijklmnopqrstuvwxyz234567")]
    value: String,
    /// The TTL we suggest, in seconds.
    #[schema(example = 300)]
    ttl: u32,
    /// What the last look found: `seen`, `missing`, `other_text`, `alias`, `wildcard`, `own_zone`, `not_everywhere` or
    /// `unanswered`; null before the first. Open: there may be more.
    #[schema(required, example = "missing")]
    found: Option<&'static str>,
    /// The same, for people.
    explanation: &'static str,
    /// When it began.
    created_at: Timestamp,
    /// When it ends by itself.
    expires_at: Timestamp,
    /// Since when the record was seen at every look.
    #[schema(required)]
    first_seen_at: Option<Timestamp>,
    /// When it was last looked for.
    #[schema(required)]
    looked_at: Option<Timestamp>,
}

impl ClaimObject {
    fn new(view: &ClaimView, report: &Report) -> Self {
        let zone = report.zone.clone().or_else(|| model::registrable_domain(&view.owner));
        let host = zone.and_then(|zone| view.owner.relative_to(&zone));
        Self {
            status: view.status(),
            record_type: "TXT",
            name: view.owner.to_string(),
            host: host.unwrap_or_else(|| view.owner.to_string()),
            value: view.text.clone(),
            ttl: view.ttl,
            found: view.found.map(ClaimFound::as_str),
            explanation: view.words(),
            created_at: view.claim.created_at,
            expires_at: view.claim.expires_at,
            first_seen_at: view.claim.first_seen_at,
            looked_at: view.claim.looked_at,
        }
    }
}

/// How far the records have spread.
#[derive(Debug, Serialize, ToSchema)]
pub struct Propagation {
    /// Since when the domain's own name servers have all required records, as far as was looked; null while one of
    /// them has not.
    #[schema(required)]
    authoritative_since: Option<Timestamp>,
    /// When every resolver that was asked has let go of older answers; null when there is nothing to wait for.
    #[schema(required)]
    visible_everywhere_by: Option<Timestamp>,
}

/// One record that should exist, and what is there.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Record)]
pub struct RecordObject {
    /// Its id, the same at every check.
    #[schema(example = "rec_01JD0000000000000000000000")]
    id: String,
    /// `dkim`, `spf`, `return_path`, `dmarc`, `inbound`, `delegation`, `tracking` or `ownership`. Open: there may be more.
    #[schema(example = "dkim")]
    purpose: &'static str,
    /// The record type.
    #[serde(rename = "type")]
    #[schema(example = "CNAME")]
    record_type: String,
    /// Where it belongs, in full.
    name: String,
    /// The same, relative to `zone`: what the panels of most DNS hosts want. `@` is the zone itself.
    host: String,
    /// The zone the name is in: as DNS told, else a guess.
    #[schema(required)]
    zone: Option<String>,
    /// The value to publish where nothing is there yet.
    value: String,
    /// The preference of an MX.
    #[schema(required)]
    priority: Option<u16>,
    /// The TTL we suggest, in seconds.
    ttl: u32,
    /// Whether the domain is verified only with it.
    required: bool,
    /// `missing`, `pending`, `verified`, `failed` or `unknown`. Open: there may be more.
    #[schema(example = "missing")]
    status: &'static str,
    /// What it is for and where it stands, for people.
    explanation: String,
    /// What is at the name now.
    current: Vec<String>,
    /// What to publish in place of `current`, where that is not `value` (an SPF record that has to be merged).
    #[schema(required)]
    replace: Option<String>,
    /// The codes of the findings about it.
    findings: Vec<String>,
    /// When it was last looked at.
    #[schema(required)]
    checked_at: Option<Timestamp>,
}

/// One diagnosed fact.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Finding)]
pub struct FindingObject {
    /// The stable code. Open: there may be more.
    #[schema(example = "cname_proxied")]
    code: &'static str,
    /// `info`, `warning` or `error`. Open: there may be more.
    #[schema(example = "error")]
    severity: &'static str,
    /// `confirmed` or `suspected`. Open: there may be more.
    #[schema(example = "confirmed")]
    confidence: &'static str,
    /// The record it is about; null for the domain as a whole.
    #[schema(required)]
    record_id: Option<String>,
    /// What was seen, in one line.
    title: String,
    /// What follows from it.
    why: &'static str,
    /// The facts, as data; the fields depend on the code.
    #[schema(value_type = Object)]
    evidence: Value,
    /// What mends it, as data; `action` says which fields there are.
    #[schema(value_type = Object)]
    remedy: Value,
    /// What to do, in order.
    steps: Vec<String>,
    /// Its documentation, relative to the instance.
    #[schema(example = "/docs/findings/cname_proxied")]
    docs: String,
}

impl DomainObject {
    /// What is shown of a domain.
    pub fn new(view: &DomainView, now: Timestamp) -> Self {
        let (domain, report) = (&view.domain, &view.report);
        let host = explain::view::dns_host(report);
        Self {
            object: "domain",
            id: domain.id.to_string(),
            domain: domain.name.to_string(),
            unicode: domain.name.to_unicode(),
            status: domain.status.as_str(),
            can_send: view.obstacles().is_empty(),
            spf_status: domain.spf_status.as_str(),
            dkim_status: domain.dkim_status.as_str(),
            dmarc_status: domain.dmarc_status.as_str(),
            return_path_status: domain.return_path_status.as_str(),
            health: domain.health.as_str(),
            approval_status: domain.approval_status.clone(),
            capabilities: serde_json::from_str(&domain.capabilities).unwrap_or_default(),
            profile: domain.profile.clone(),
            tenant_id: domain.tenant_id.map(|id| id.to_string()),
            dkim_tokens: view.dkim_tokens.clone(),
            dns_host: DnsHostGuess {
                id: host.id,
                name: host.name,
                confidence: host.confidence.as_str(),
                candidates: host.candidates,
            },
            records: records(view, now),
            hosted_records: view
                .report
                .hosted
                .iter()
                .map(|record| record_object(record, view, now))
                .collect(),
            findings: report.findings.iter().map(|finding| finding_object(finding, view, now)).collect(),
            propagation: Propagation {
                authoritative_since: report.authoritative_since,
                visible_everywhere_by: report.visible_everywhere_by,
            },
            verified_at: domain.verified_at,
            last_checked_at: domain.last_checked_at,
            next_check_at: domain.next_check_at,
            fails_at: domain.fails_at,
            stops_at: view.stops_at(),
            drift: None,
            claim: view.claim.as_ref().map(|claim| ClaimObject::new(claim, report)),
            warmup_started_at: domain.warmup_started_at,
            warmup_days: domain.warmup_days.unwrap_or(0),
            warmup: view.warmup.map(WarmupObject::from),
            region: domain.region.clone(),
            fallback_region: domain.fallback_region.clone(),
            created_at: domain.created_at,
        }
    }
}

/// Until when these domains look the same as long as nothing is written: the day's end in UTC, when warm-ups count anew.
/// Nothing where that is not known, since something is waited for in one of them.
pub fn same_until(views: &[DomainView], now: Timestamp) -> Option<Until> {
    let is_timeless = |view: &DomainView| view.claim.is_none() && explain::view::is_timeless(&view.report);
    let midnight = Timestamp::from_second((now.as_second().div_euclid(86_400) + 1) * 86_400).ok()?;
    views.iter().all(is_timeless).then_some(Until(midnight))
}

/// The records of a domain that are to be published, in the plan's order.
pub fn records(view: &DomainView, now: Timestamp) -> Vec<RecordObject> {
    view.report.records.iter().map(|record| record_object(record, view, now)).collect()
}

fn record_object(record: &RecordReport, view: &DomainView, now: Timestamp) -> RecordObject {
    let planned = &record.planned;
    let zone = record.zone.clone().or_else(|| model::registrable_domain(&planned.owner));
    RecordObject {
        id: view.record_id(record).to_string(),
        purpose: planned.purpose.as_str(),
        record_type: record.record_type().to_string(),
        name: planned.owner.to_string(),
        host: record.host(),
        zone: zone.map(|zone| zone.to_string()),
        value: planned.expected.value(),
        priority: planned.expected.preference(),
        ttl: planned.ttl,
        required: planned.required,
        status: record.status.as_str(),
        explanation: explain::record_explanation(record, &view.report, now),
        current: record.current.clone(),
        replace: record.replace.clone(),
        findings: record.findings.clone(),
        checked_at: view.domain.report.is_some().then_some(view.report.checked_at),
    }
}

fn finding_object(finding: &Finding, view: &DomainView, now: Timestamp) -> FindingObject {
    let words = explain::finding_view(finding, &view.report, now);
    let record = finding
        .record
        .as_ref()
        .and_then(|key| view.report.records.iter().find(|record| record.planned.key == *key));
    FindingObject {
        code: words.code,
        severity: words.severity.as_str(),
        confidence: words.confidence.as_str(),
        record_id: record.map(|record| view.record_id(record).to_string()),
        title: words.title,
        why: words.why,
        evidence: words.evidence,
        remedy: serde_json::to_value(&words.remedy).unwrap_or_default(),
        steps: words.steps,
        docs: words.docs,
    }
}
