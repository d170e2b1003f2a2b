//! A domain's page, and what can be done there.

use crate::{
    Web,
    domain_live::{Live, Playground, TestForm},
    domains::unicode,
    forms::FormErrors,
    live,
    page::{Answer, Failure, Section, Shell, go, html, html_with},
    pill::{Pill, Tone},
    when::When,
};
use app::{
    domains::DomainView,
    emails::SendEmail,
    store::{DkimKey, Event, KeyState},
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
    history: Vec<HistoryLine>,
}

/// A DKIM key, in the table of them.
struct KeyRow {
    selector: String,
    pill: Pill,
    until: Option<When>,
    made: When,
}

impl KeyRow {
    fn of(key: &DkimKey, now: Timestamp) -> Self {
        let pill = match key.state {
            KeyState::Active => Pill::new(Tone::Good, "Signs"),
            KeyState::Standby => Pill::new(Tone::Wait, "Stands by"),
            KeyState::Draining => Pill::new(Tone::Muted, "Drains"),
            KeyState::Retired => Pill::new(Tone::Muted, "Retired"),
        };
        Self {
            selector: key.selector.clone(),
            pill,
            until: When::maybe(key.retire_at, now),
            made: When::new(key.created_at, now),
        }
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
        "domain.contested" => "Another organisation began to claim it.".to_owned(),
        "domain.claim_started" => "A claim of it was begun.".to_owned(),
        "domain.claim_ended" => "The claim of it ended without success.".to_owned(),
        "domain.claimed" => "It was claimed from another organisation.".to_owned(),
        "domain.key_rotated" => "Another DKIM key began to sign.".to_owned(),
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

/// Asks once more before something is done to a domain.
#[derive(Template)]
#[template(path = "domain_confirm.html")]
struct DomainConfirm {
    shell: Shell,
    heading: String,
    lines: Vec<String>,
    action: String,
    button: &'static str,
    danger: bool,
    wants_reason: bool,
    reason: String,
    error: Option<String>,
    back: String,
    keep: &'static str,
}

#[derive(Template)]
#[template(path = "confirm.html")]
pub(crate) struct ConfirmPage {
    pub shell: Shell,
    pub heading: String,
    pub lines: Vec<String>,
    pub action: String,
    pub button: &'static str,
    pub back: String,
}

fn domain_id(text: &str) -> Result<DomainId, Failure> {
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
    let keys = web.app.domain_keys(&web.viewer, domain.id).await?;
    let events = web.app.domain_history(&web.viewer, domain.id, HISTORY).await?;
    let shell = Shell::new(web, Section::Domains, domain.name.to_string());
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
        rotatable: domain.status == DomainStatus::Verified && keys.len() > 1 && has_aliases(view),
        keys: keys.iter().map(|key| KeyRow::of(key, now)).collect(),
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

fn claim_page(web: &Web, view: &DomainView, error: Option<String>) -> DomainConfirm {
    let name = &view.domain.name;
    let path = format!("/domains/{}", view.domain.id);
    DomainConfirm {
        shell: Shell::new(web, Section::Domains, format!("Claim {name}")),
        heading: format!("Claim {name}?"),
        lines: vec![
            "You get a TXT record to publish, good for 7 days. Only who controls the DNS of the domain can do that."
                .to_owned(),
            "Who holds the domain now is told at once that somebody claims it, and not who.".to_owned(),
            "When every name server has shown the record for ten minutes, the domain is yours. Mail from it by the other organisation is refused then."
                .to_owned(),
        ],
        action: format!("{path}/claim"),
        button: "Claim the domain",
        danger: false,
        wants_reason: false,
        reason: String::new(),
        error,
        back: path,
        keep: "Not now",
    }
}

pub(crate) async fn confirm_claim(web: Web, Path(id): Path<String>) -> Answer {
    let view = web.app.domain(&web.viewer, domain_id(&id)?).await?;
    html(&claim_page(&web, &view, None))
}

/// Begins a claim.
pub(crate) async fn claim(web: Web, Path(id): Path<String>) -> Answer {
    let id = domain_id(&id)?;
    match web.app.claim_domain(&web.viewer, id).await {
        Ok(_) => Ok(go(&format!("/domains/{id}"))),
        Err(error) => {
            let errors = FormErrors::of(error)?;
            let view = web.app.domain(&web.viewer, id).await?;
            html_with(StatusCode::CONFLICT, &claim_page(&web, &view, errors.others(&[])))
        }
    }
}

/// Whether its keys are behind aliases, where they can be rotated.
fn has_aliases(view: &DomainView) -> bool {
    let mut dkim = view.report.records.iter().filter(|record| record.is_dkim());
    dkim.all(|record| record.record_type() == RecordType::Cname)
}

fn rotate_page(web: &Web, view: &DomainView, error: Option<String>) -> DomainConfirm {
    let name = &view.domain.name;
    let path = format!("/domains/{}", view.domain.id);
    DomainConfirm {
        shell: Shell::new(web, Section::Domains, format!("Rotate the keys of {name}")),
        heading: format!("Rotate the DKIM keys of {name}?"),
        lines: vec![
            "The next key that stands by signs from now on. Your DNS stays as it is.".to_owned(),
            "The key before stays published for 7 days, for mail that it has signed. Then a new key takes its place."
                .to_owned(),
        ],
        action: format!("{path}/rotate"),
        button: "Rotate the keys",
        danger: false,
        wants_reason: false,
        reason: String::new(),
        error,
        back: path,
        keep: "Not now",
    }
}

pub(crate) async fn confirm_rotate(web: Web, Path(id): Path<String>) -> Answer {
    let view = web.app.domain(&web.viewer, domain_id(&id)?).await?;
    html(&rotate_page(&web, &view, None))
}

/// Has another key sign.
pub(crate) async fn rotate(web: Web, Path(id): Path<String>) -> Answer {
    let id = domain_id(&id)?;
    match web.app.rotate_domain_keys(&web.viewer, id).await {
        Ok(_) => Ok(go(&format!("/domains/{id}"))),
        Err(error) => {
            let errors = FormErrors::of(error)?;
            let view = web.app.domain(&web.viewer, id).await?;
            html_with(StatusCode::CONFLICT, &rotate_page(&web, &view, errors.others(&[])))
        }
    }
}

fn disable_page(web: &Web, view: &DomainView, reason: String, error: Option<String>) -> DomainConfirm {
    let name = &view.domain.name;
    let path = format!("/domains/{}", view.domain.id);
    DomainConfirm {
        shell: Shell::new(web, Section::Domains, format!("Disable {name}")),
        heading: format!("Disable {name}?"),
        lines: vec![
            "Mail from this domain is refused from then on, and what is in the queue waits.".to_owned(),
            "Its DNS is not looked at until it is enabled again. Nobody else can have the domain meanwhile."
                .to_owned(),
        ],
        action: format!("{path}/disable"),
        button: "Disable the domain",
        danger: true,
        wants_reason: true,
        reason,
        error,
        back: path,
        keep: "Keep it enabled",
    }
}

pub(crate) async fn confirm_disable(web: Web, Path(id): Path<String>) -> Answer {
    let view = web.app.domain(&web.viewer, domain_id(&id)?).await?;
    html(&disable_page(&web, &view, String::new(), None))
}

/// What the form that disables holds.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct DisableFields {
    reason: String,
}

/// Switches the domain off.
pub(crate) async fn disable(
    web: Web,
    Path(id): Path<String>,
    form: Result<Form<DisableFields>, FormRejection>,
) -> Answer {
    let Form(form) = form?;
    let id = domain_id(&id)?;
    match web.app.disable_domain(&web.viewer, id, Some(&form.reason)).await {
        Ok(_) => Ok(go(&format!("/domains/{id}"))),
        Err(error) => {
            let errors = FormErrors::of(error)?;
            let error = errors.of_field("reason").or_else(|| errors.others(&["reason"]));
            let view = web.app.domain(&web.viewer, id).await?;
            html_with(StatusCode::UNPROCESSABLE_ENTITY, &disable_page(&web, &view, form.reason, error))
        }
    }
}

pub(crate) async fn confirm_enable(web: Web, Path(id): Path<String>) -> Answer {
    let view = web.app.domain(&web.viewer, domain_id(&id)?).await?;
    let path = format!("/domains/{}", view.domain.id);
    html(&DomainConfirm {
        shell: Shell::new(&web, Section::Domains, format!("Enable {}", view.domain.name)),
        heading: format!("Enable {}?", view.domain.name),
        lines: vec![
            "Its DNS is checked at once. Where its records are right it can send when the page comes back."
                .to_owned(),
            "What waited in the queue is sent then.".to_owned(),
        ],
        action: format!("{path}/enable"),
        button: "Enable the domain",
        danger: false,
        wants_reason: false,
        reason: String::new(),
        error: None,
        back: path,
        keep: "Keep it disabled",
    })
}

/// Switches the domain on.
pub(crate) async fn enable(web: Web, Path(id): Path<String>) -> Answer {
    let id = domain_id(&id)?;
    web.app.enable_domain(&web.viewer, id).await?;
    Ok(go(&format!("/domains/{id}")))
}

pub(crate) async fn confirm_delete(web: Web, Path(id): Path<String>) -> Answer {
    let view = web.app.domain(&web.viewer, domain_id(&id)?).await?;
    let domain = &view.domain;
    html(&ConfirmPage {
        shell: Shell::new(&web, Section::Domains, format!("Delete {}", domain.name)),
        heading: format!("Delete {}?", domain.name),
        lines: vec![
            "Mail from this domain is refused from then on. Messages that were sent stay readable.".to_owned(),
            "Your DNS is not touched: the records stay until you remove them at your DNS host.".to_owned(),
            "When the domain is added again it gets new DKIM records, so what is in DNS now will not fit then."
                .to_owned(),
        ],
        action: format!("/domains/{}/delete", domain.id),
        button: "Delete the domain",
        back: format!("/domains/{}", domain.id),
    })
}

pub(crate) async fn delete(web: Web, Path(id): Path<String>) -> Answer {
    web.app.delete_domain(&web.viewer, domain_id(&id)?).await?;
    Ok(go("/"))
}
