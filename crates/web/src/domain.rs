//! A domain's page, and what can be done there.

use crate::{
    Web,
    domain_live::{Live, Playground, TestForm},
    domains::unicode,
    forms::FormErrors,
    live,
    page::{Answer, Failure, Section, Shell, go, html_with, sentence},
    pill::{Pill, Tone},
    record::purpose,
    when::When,
};
use app::{
    diagnosis::RecordReport,
    domains::DomainView,
    emails::SendEmail,
    key_rotation::KeyAtDomain,
    reputation::{Reputation, Standing, WINDOW_DAYS, ended},
    store::{Event, GoneKey, KeyState},
};
use askama::Template;
use axum::{
    extract::{Form, Path, rejection::FormRejection},
    http::{HeaderMap, StatusCode},
};
use jiff::Timestamp;
use model::{DomainId, DomainStatus, RecordType, registrable_domain};
use serde::Deserialize;
use serde_json::Value;

#[derive(Template)]
#[template(path = "domain.html")]
struct DomainPage {
    shell: Shell,
    id: String,
    name: String,
    unicode: Option<String>,
    profile: String,
    /// Where the domain is switched off or on, where it can be.
    switch: Option<(&'static str, &'static str)>,
    live: String,
    tag: String,
    keys: Vec<KeyRow>,
    rotatable: bool,
    /// Whether a key waits to be published.
    waits: bool,
    drift: Option<DriftView>,
    /// Whether its DNS host may be asked to add the records.
    connects: bool,
    sent: Option<Sent>,
    history: Vec<HistoryLine>,
}

/// Records of ours that somebody changed or removed.
struct DriftView {
    since: When,
    /// The key of each in the table, and what it is called there.
    records: Vec<(String, String)>,
    stopped: bool,
    /// What brings them back, or where that begins.
    href: String,
}

/// A DKIM key, in the table of them.
struct KeyRow {
    selector: String,
    pill: Pill,
    until: Option<(&'static str, When)>,
    made: When,
}

impl KeyRow {
    fn of(KeyAtDomain { key, selector, .. }: &KeyAtDomain, now: Timestamp) -> Self {
        let pill = match key.state {
            KeyState::Active => Pill::new(Tone::Good, "Signs"),
            KeyState::Standby if key.beside.is_some() => Pill::new(Tone::Wait, "Waits to be published"),
            KeyState::Standby => Pill::new(Tone::Wait, "Next"),
            KeyState::Draining => Pill::new(Tone::Muted, "Signed before"),
            KeyState::Retired => Pill::new(Tone::Muted, "Gone"),
        };
        Self {
            selector: selector.clone(),
            pill,
            until: When::maybe(key.retire_at.filter(|_| key.state == KeyState::Draining), now)
                .map(|until| ("published until", until)),
            made: When::new(key.created_at, now),
        }
    }

    /// One whose record may be removed.
    fn gone(key: &GoneKey, now: Timestamp) -> Self {
        Self {
            selector: key.selector.clone(),
            pill: Pill::new(Tone::Muted, "Its TXT record may be removed"),
            until: Some(("since", When::new(key.since, now))),
            made: When::new(key.created_at, now),
        }
    }
}

/// What became of the domain's mail.
struct Sent {
    pill: Pill,
    reason: Option<String>,
    is_paused: bool,
    window: i64,
    counts: [(&'static str, u64); 4],
}

impl Sent {
    /// Nothing where nothing was sent.
    fn of(reputation: &Reputation) -> Option<Self> {
        let pill = match reputation.judgement.standing {
            Standing::Good => Pill::new(Tone::Good, "Good"),
            Standing::AtRisk => Pill::new(Tone::Warn, "At risk"),
            Standing::Paused => Pill::new(Tone::Bad, "Paused"),
        };
        let counts = reputation.counts;
        let is_paused = reputation.judgement.standing == Standing::Paused;
        (is_paused || ended(counts) > 0).then(|| Self {
            pill,
            reason: reputation.judgement.reason.as_deref().map(sentence),
            is_paused,
            window: WINDOW_DAYS,
            counts: [
                ("Delivered", counts.delivered),
                ("No such recipient", counts.bounced),
                ("Refused otherwise", counts.refused),
                ("Called spam", counts.complained),
            ],
        })
    }
}

/// Something that happened to the domain.
struct HistoryLine {
    when: When,
    words: String,
}

/// How many lines the history has.
const HISTORY: u32 = 10;

fn history_line(event: &Event, now: Timestamp) -> Option<HistoryLine> {
    let data: Value = serde_json::from_str(&event.data).unwrap_or_default();
    let names = |field: &str| {
        let names = data[field].as_array().into_iter().flatten().filter_map(Value::as_str);
        names.map(explain::shown::value).collect::<Vec<_>>().join(", ")
    };
    let words = match event.event_type.as_str() {
        "domain.created" => "It was added.".to_owned(),
        "domain.updated" => "Its settings were changed.".to_owned(),
        "domain.verified" => "It was verified.".to_owned(),
        "domain.warning" => "Its records broke.".to_owned(),
        "domain.reminder" => "Its records were still broken; its contacts were reminded.".to_owned(),
        "domain.recovered" => "Its records were mended.".to_owned(),
        "domain.failed" => "Its records were not mended in time.".to_owned(),
        "domain.disabled" if data["reason"] == "claimed" => "Another organisation claimed it.".to_owned(),
        "domain.disabled" => "It was disabled.".to_owned(),
        "domain.enabled" => "It was enabled.".to_owned(),
        "domain.paused" => {
            format!("Its sending was paused: {}.", data["reason"].as_str().unwrap_or("too much came back"))
        }
        "domain.resumed" => "Its sending was resumed.".to_owned(),
        "domain.contested" => "Another organisation began to claim it.".to_owned(),
        "domain.claim_started" => "A claim of it was begun.".to_owned(),
        "domain.claim_ended" => "The claim of it ended without success.".to_owned(),
        "domain.claimed" => "It was claimed from another organisation.".to_owned(),
        "domain.key_prepared" => {
            format!(
                "A new DKIM key was prepared, to be published at {}.",
                data["selector"].as_str().unwrap_or("?")
            )
        }
        "domain.key_removable" => {
            format!("The DKIM record at {} may be removed.", data["selector"].as_str().unwrap_or("?"))
        }
        "domain.key_rotated" => "Another DKIM key began to sign.".to_owned(),
        "domain.dns_changed" => "Records were written at its DNS host.".to_owned(),
        "domain.dns_drifted" => "Records that we wrote were changed or removed.".to_owned(),
        "domain.dns_repaired" => "Records that were changed or removed were brought back.".to_owned(),
        "domain.dns_repair_stopped" => {
            "Records were changed back again; they are not brought back any more by themselves.".to_owned()
        }
        "domain.delegation_changed" => {
            format!(
                "Its name servers changed from {} to {}.",
                names("old_name_servers"),
                names("name_servers")
            )
        }
        _ => return None,
    };
    Some(HistoryLine { when: When::new(event.created_at, now), words })
}

pub(crate) fn domain_id(text: &str) -> Result<DomainId, Failure> {
    text.parse().map_err(|_| Failure::no_such("domain", text))
}

/// The playground zone of a domain.
async fn playground(web: &Web, view: &DomainView) -> Result<Playground, Failure> {
    if !web.app.settings().playground {
        return Ok(Playground::Off);
    }
    let name = &view.domain.name;
    let zones = web.app.playground_zones(&web.viewer).await?;
    // The deepest zone is the one that answers.
    let zone = zones
        .into_iter()
        .filter(|zone| name.is_at_or_below(&zone.apex))
        .max_by_key(|zone| zone.apex.label_count());
    Ok(match (zone, registrable_domain(name)) {
        (Some(zone), _) => Playground::Zone(zone),
        (None, Some(apex)) => Playground::Create(apex),
        (None, None) => Playground::Off,
    })
}

pub(crate) async fn show(web: Web, Path(id): Path<String>) -> Answer {
    let view = web.app.domain(&web.viewer, domain_id(&id)?).await?;
    render(&web, &view, TestForm::default(), StatusCode::OK).await
}

async fn render(web: &Web, view: &DomainView, test: TestForm, status: StatusCode) -> Answer {
    let now = web.app.now();
    let playground = playground(web, view).await?;
    let domain = &view.domain;
    let (_, keys, gone) = web.app.domain_keys(&web.viewer, domain.id).await?;
    let sent = web.app.reputation_of_domain(&web.viewer, domain.id).await?;
    let events = web.app.domain_history(&web.viewer, domain.id, HISTORY).await?;
    let shell = Shell::new(web, Section::Domains, domain.name.to_string());
    let drift = web.app.drift(&web.viewer, domain.id).await?;
    let drift = drift.and_then(|drift| {
        let href = match drift.change_set_id {
            Some(id) => format!("/change-sets/{id}"),
            None => format!("/domains/{}/write", domain.id),
        };
        let since = When::new(drift.noticed_at?, now);
        let is_of_it = |record: &&RecordReport| drift.records.contains(&record.planned.key);
        let called = |record: &RecordReport| {
            let planned = &record.planned;
            (planned.key.clone(), format!("{} at {}", purpose(planned.purpose), planned.owner))
        };
        let records = view.report.records.iter().filter(is_of_it).map(called).collect();
        Some(DriftView { since, records, stopped: drift.stopped, href })
    });
    let live = Live::new(view, &playground, test, now, &shell).render()?;
    let page = DomainPage {
        shell,
        id: domain.id.to_string(),
        name: domain.name.to_string(),
        unicode: unicode(&domain.name),
        profile: web
            .app
            .settings()
            .profile(&domain.profile)
            .map_or_else(|| domain.profile.clone(), |profile| profile.title.clone()),
        switch: match domain.status {
            DomainStatus::Disabled if domain.claimed_at.is_some() => None,
            DomainStatus::Disabled => Some(("enable", "Enable")),
            _ => Some(("disable", "Disable")),
        },
        tag: live::tag(&Live::state(view, &playground, now)),
        live,
        rotatable: domain.status == DomainStatus::Verified && (keys.len() > 1 || !has_aliases(view)),
        waits: keys
            .iter()
            .any(|KeyAtDomain { key, .. }| key.beside.is_some() && key.state == KeyState::Standby),
        keys: keys
            .iter()
            .map(|key| KeyRow::of(key, now))
            .chain(gone.iter().map(|key| KeyRow::gone(key, now)))
            .collect(),
        drift,
        connects: web.app.settings().domain_connect.is_on()
            && domain.status != DomainStatus::Disabled
            && view.report.hosted.is_empty(),
        sent: Sent::of(&sent),
        history: events.iter().filter_map(|event| history_line(event, now)).collect(),
    };
    html_with(status, &page)
}

/// The part that changes by itself.
pub(crate) async fn live(web: Web, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    let view = web.app.domain(&web.viewer, domain_id(&id)?).await?;
    let playground = playground(&web, &view).await?;
    let now = web.app.now();
    let tag = live::tag(&Live::state(&view, &playground, now));
    if live::is_known(&headers, &tag) {
        return Ok(live::not_modified(&tag));
    }
    let shell = Shell::new(&web, Section::Domains, "");
    live::fragment(&tag, &Live::new(&view, &playground, TestForm::default(), now, &shell))
}

/// Checks now.
pub(crate) async fn verify(web: Web, Path(id): Path<String>) -> Answer {
    let id = domain_id(&id)?;
    web.app.verify_domain(&web.viewer, id).await?;
    Ok(go(&format!("/domains/{id}")))
}

/// Makes the playground zone that the domain would be in.
pub(crate) async fn create_zone(web: Web, Path(id): Path<String>) -> Answer {
    let view = web.app.domain(&web.viewer, domain_id(&id)?).await?;
    match playground(&web, &view).await? {
        Playground::Create(apex) => {
            let zone = web.app.create_playground_zone(&web.viewer, apex.as_str()).await?;
            Ok(go(&format!("/playground/zones/{}", zone.id)))
        }
        Playground::Zone(zone) => Ok(go(&format!("/playground/zones/{}", zone.id))),
        Playground::Off => Err(app::Error::NoPlayground.into()),
    }
}

/// Publishes what the domain lacks in its playground zone.
pub(crate) async fn publish(web: Web, Path(id): Path<String>) -> Answer {
    let id = domain_id(&id)?;
    web.app.publish_in_playground(&web.viewer, id).await?;
    Ok(go(&format!("/domains/{id}")))
}

/// What the form for a test message holds.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct TestFields {
    to: String,
}

/// Sends a test message and shows what becomes of it.
pub(crate) async fn send_test(
    web: Web,
    Path(id): Path<String>,
    form: Result<Form<TestFields>, FormRejection>,
) -> Answer {
    let Form(form) = form?;
    let view = web.app.domain(&web.viewer, domain_id(&id)?).await?;
    let name = &view.domain.name;
    let request = SendEmail {
        from: format!("hello@{name}"),
        to: vec![form.to.trim().to_owned()],
        subject: format!("Test message from {name}"),
        text: Some(format!("This message was sent from {name} to see that its mail is signed and passes.\n")),
        html: Some(format!(
            "<p>This message was sent from <strong>{name}</strong> to see that its mail is signed and passes.</p>"
        )),
        ..SendEmail::default()
    };
    match web.app.send_email(&web.viewer, request).await {
        Ok(sent) => Ok(go(&format!("/messages/{}", sent.message.id))),
        Err(error) => {
            let errors = FormErrors::of(error)?;
            let error = errors.of_field("to").or_else(|| errors.others(&["to"]));
            render(&web, &view, TestForm { to: form.to, error }, StatusCode::UNPROCESSABLE_ENTITY).await
        }
    }
}

/// Whether its keys are behind aliases, where they can be rotated.
fn has_aliases(view: &DomainView) -> bool {
    let mut dkim = view.report.all().filter(|record| record.is_dkim());
    dkim.all(|record| record.planned.hosted || record.record_type() == RecordType::Cname)
}
