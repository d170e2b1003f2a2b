//! Webhooks: the list, making one, what one was told and what it answered.

use crate::{
    Web,
    confirm::Confirm,
    forms::FormErrors,
    keys::{SecretPage, reserved},
    page::{Answer, Failure, Section, Shell, go, html},
    pill::{Pill, Tone},
    when::When,
};
use app::{
    access::Caller,
    events::TYPES,
    idempotency::Reserved,
    store::{Webhook, WebhookAttempt, WebhookDelivery, WebhookDeliveryState, WebhookStatus},
    webhooks::{
        ChangeWebhook, CreateWebhook, DEFAULT_OVERLAP, MOST_REPLAYED, ReplaySince, WebhookWithSecret,
    },
};
use askama::Template;
use axum::extract::{
    Form, Path, Query,
    rejection::{FormRejection, QueryRejection},
};
use explain::shown;
use jiff::{SignedDuration, Timestamp};
use model::{WebhookDeliveryId, WebhookId};
use serde::Deserialize;
use std::collections::HashMap;

/// Webhooks on the page: as many as an organisation may have.
const MOST: u32 = 100;

/// Deliveries on a page.
const PAGE: usize = 50;

/// How many deliveries that wait are counted.
const WAITING: u32 = 100;

/// What is shown of an answer, in characters.
const ANSWER: usize = 1_000;

/// How far back a replay goes, as the page offers it.
const REPLAYS: [(i64, &str); 3] = [(1, "hour"), (24, "day"), (72, "3 days")];

/// What a page about one webhook shows of its deliveries.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub(crate) struct Behind {
    after: String,
    state: String,
    /// What a form before came to.
    replayed: Option<u64>,
    /// Behind which number of the feed there is more of that.
    rest: Option<u64>,
    /// Since when.
    since: String,
}

struct Row {
    href: String,
    url: String,
    description: String,
    events: String,
    /// The tenant of whose events alone it is told.
    tenant: Option<String>,
    state: Pill,
    delivered: Option<When>,
}

/// What was typed for a webhook.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct WebhookForm {
    url: String,
    description: String,
    events: String,
    /// Names this form: sent again it makes nothing again.
    once: String,
}

impl WebhookForm {
    /// The types of events: as words with spaces, commas or lines between them.
    fn event_types(&self) -> Vec<String> {
        let words = self.events.split([' ', ',', '\n', '\r', '\t']);
        words.map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }
}

#[derive(Template)]
#[template(path = "webhooks.html")]
struct WebhooksPage {
    shell: Shell,
    rows: Vec<Row>,
    types: Vec<&'static str>,
    form: WebhookForm,
    errors: FormErrors,
}

struct DeliveryRow {
    href: String,
    event_type: String,
    since: When,
    state: Pill,
    attempts: u32,
    answer: String,
    next: Option<When>,
}

/// What a test came to.
struct TestResult {
    state: Pill,
    said: String,
    answer: String,
}

#[derive(Template)]
#[template(path = "webhook.html")]
struct WebhookPage {
    shell: Shell,
    id: String,
    url: String,
    description: String,
    events: String,
    tenant: Option<String>,
    state: Pill,
    is_enabled: bool,
    because: Option<String>,
    failing_since: Option<When>,
    delivered: Option<When>,
    created: When,
    old_secret_until: Option<When>,
    types: Vec<&'static str>,
    form: WebhookForm,
    errors: FormErrors,
    test: Option<TestResult>,
    replayed: Option<u64>,
    /// Since when and behind which number there is more.
    rest: Option<(Timestamp, u64)>,
    replays: Vec<(i64, &'static str)>,
    deliveries: Vec<DeliveryRow>,
    only: String,
    behind: bool,
    next: Option<String>,
}

struct AttemptRow {
    number: u32,
    at: When,
    state: Pill,
    said: String,
    answer: String,
}

#[derive(Template)]
#[template(path = "webhook_delivery.html")]
struct DeliveryPage {
    shell: Shell,
    id: String,
    webhook: String,
    url: String,
    event_type: String,
    event_id: String,
    state: Pill,
    since: When,
    next: Option<When>,
    attempts: Vec<AttemptRow>,
    is_enabled: bool,
}

/// How far back is delivered again.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct ReplayForm {
    hours: String,
    /// To go on: since when, and behind which number of the feed.
    since: String,
    after: String,
}

fn id_of(text: &str) -> Result<WebhookId, Failure> {
    text.parse().map_err(|_| Failure::no_such("webhook", text))
}

fn delivery_id(text: &str) -> Result<WebhookDeliveryId, Failure> {
    text.parse().map_err(|_| Failure::no_such("delivery", text))
}

/// The types that can be chosen; one that only a test sends is not.
fn types() -> Vec<&'static str> {
    TYPES.iter().copied().filter(|name| *name != "webhook.test").collect()
}

fn state(webhook: &Webhook) -> Pill {
    match (&webhook.status, webhook.failing_since) {
        (WebhookStatus::Disabled, _) => Pill::new(Tone::Muted, "Disabled"),
        (WebhookStatus::Enabled, Some(_)) => Pill::new(Tone::Bad, "Failing"),
        (WebhookStatus::Enabled, None) => Pill::new(Tone::Good, "Enabled"),
    }
}

fn delivery_state(state: WebhookDeliveryState) -> Pill {
    match state {
        WebhookDeliveryState::Waiting => Pill::new(Tone::Wait, "Waiting"),
        WebhookDeliveryState::Delivered => Pill::new(Tone::Good, "Delivered"),
        WebhookDeliveryState::Failed => Pill::new(Tone::Bad, "Given up"),
    }
}

fn events(webhook: &Webhook) -> String {
    if webhook.event_types.is_empty() { "all events".to_owned() } else { webhook.event_types.join(", ") }
}

/// What came back, in one line.
fn said(status: Option<u16>, error: Option<&str>) -> String {
    match (status, error) {
        (_, Some(error)) => shown::line(error, shown::ON_LINE),
        (Some(status), None) => format!("HTTP {status}"),
        (None, None) => String::new(),
    }
}

/// What the tenant is called whose webhook it is.
async fn tenant_of(web: &Web, webhook: &Webhook) -> Option<String> {
    let id = webhook.tenant_id?;
    let found = web.app.tenant(&web.viewer, id).await;
    Some(found.map_or_else(|_| id.to_string(), |tenant| tenant.reference))
}

async fn page(web: &Web, form: WebhookForm, errors: FormErrors) -> Answer {
    let now = web.app.now();
    let webhooks = web.app.webhooks(&web.viewer, None, MOST).await?;
    let mut tenants = HashMap::new();
    for webhook in &webhooks {
        if let Some(id) = webhook.tenant_id
            && !tenants.contains_key(&id)
        {
            tenants.insert(id, tenant_of(web, webhook).await);
        }
    }
    let row = |webhook: &Webhook| Row {
        tenant: webhook.tenant_id.and_then(|id| tenants.get(&id).cloned().flatten()),
        href: format!("/webhooks/{}", webhook.id),
        url: webhook.url.clone(),
        description: webhook.description.clone(),
        events: events(webhook),
        state: state(webhook),
        delivered: When::maybe(webhook.delivered_at, now),
    };
    let once = if form.once.is_empty() { web.app.request_id().to_string() } else { form.once };
    let form = WebhookForm { once, ..form };
    let page = WebhooksPage {
        shell: Shell::new(web, Section::Webhooks, "Webhooks"),
        rows: webhooks.iter().map(row).collect(),
        types: types(),
        form,
        errors,
    };
    page.errors.answer(&page)
}

pub(crate) async fn list(web: Web) -> Answer {
    page(&web, WebhookForm::default(), FormErrors::default()).await
}

pub(crate) async fn create(web: Web, form: Result<Form<WebhookForm>, FormRejection>) -> Answer {
    let Form(form) = form?;
    let create = CreateWebhook {
        url: form.url.trim().to_owned(),
        event_types: form.event_types(),
        description: form.description.clone(),
        tenant_id: None,
    };
    let reserved = reserved(&form.once);
    if let Some(Reserved { number, .. }) = reserved {
        let (unix_ms, random) = number.parts();
        if let Ok(webhook) = web.app.webhook(&web.viewer, WebhookId::from_parts(unix_ms, random)).await {
            let message = "this form was sent before: it made this webhook, whose secret was shown then. If you do not \
                 have it, make another one below";
            let refused = Some((form_of(&webhook), FormErrors::general(message)));
            return one(&web, webhook, &Behind::default(), None, refused).await;
        }
    }
    let viewer = Caller { reserved, ..web.viewer.clone() };
    match web.app.add_webhook(&viewer, &create).await {
        Ok(made) => secret(&web, made, "A new webhook"),
        Err(error) => page(&web, form, FormErrors::of(error)?).await,
    }
}

fn form_of(webhook: &Webhook) -> WebhookForm {
    WebhookForm {
        url: webhook.url.clone(),
        description: webhook.description.clone(),
        events: webhook.event_types.join(" "),
        once: String::new(),
    }
}

fn secret(web: &Web, made: WebhookWithSecret, heading: &str) -> Answer {
    html(&SecretPage {
        shell: Shell::new(web, Section::Webhooks, heading),
        heading: heading.to_owned(),
        lead: "Its requests are signed with this secret. It is shown now and never again: put it where they are received.",
        secret: made.secret.0,
        lines: vec![
            format!("For {}", shown::line(&made.webhook.url, shown::ON_LINE)),
            "The libraries of standardwebhooks.com check signatures with it.".to_owned(),
        ],
        next: format!("/webhooks/{}", made.webhook.id),
        next_words: "I have it",
    })
}

/// The page of one webhook, with what a form of it came to.
async fn one(
    web: &Web,
    webhook: Webhook,
    query: &Behind,
    test: Option<TestResult>,
    refused: Option<(WebhookForm, FormErrors)>,
) -> Answer {
    let now = web.app.now();
    let after: Option<WebhookDeliveryId> = query.after.parse().ok();
    let only = match query.state.as_str() {
        "waiting" => Some(WebhookDeliveryState::Waiting),
        "delivered" => Some(WebhookDeliveryState::Delivered),
        "failed" => Some(WebhookDeliveryState::Failed),
        _ => None,
    };
    let limit = u32::try_from(PAGE + 1).unwrap_or(u32::MAX);
    let deliveries = web.app.webhook_deliveries(&web.viewer, webhook.id, only, after, limit).await?;
    let row = |delivery: &WebhookDelivery| DeliveryRow {
        href: format!("/webhooks/{}/deliveries/{}", webhook.id, delivery.id),
        event_type: delivery.event_type.clone(),
        since: When::new(delivery.created_at, now),
        state: delivery_state(delivery.state),
        attempts: delivery.attempts,
        answer: said(delivery.last_status, delivery.last_error.as_deref()),
        next: When::maybe(delivery.next_attempt_at, now),
    };
    let only = only.map_or("", WebhookDeliveryState::as_str).to_owned();
    let (form, errors) = refused.unwrap_or_else(|| (form_of(&webhook), FormErrors::default()));
    let page = WebhookPage {
        shell: Shell::new(web, Section::Webhooks, "Webhook"),
        tenant: tenant_of(web, &webhook).await,
        state: state(&webhook),
        is_enabled: webhook.status == WebhookStatus::Enabled,
        events: events(&webhook),
        because: webhook.disabled_reason.as_deref().map(|text| shown::line(text, shown::ON_LINE)),
        failing_since: When::maybe(webhook.failing_since, now),
        delivered: When::maybe(webhook.delivered_at, now),
        created: When::new(webhook.created_at, now),
        old_secret_until: When::maybe(webhook.old_secret_until.filter(|until| *until > now), now),
        types: types(),
        form,
        errors,
        test,
        replayed: query.replayed,
        rest: query.since.parse().ok().zip(query.rest),
        replays: replays(web),
        deliveries: deliveries.iter().take(PAGE).map(row).collect(),
        behind: after.is_some(),
        next: (deliveries.len() > PAGE)
            .then(|| deliveries.get(PAGE - 1))
            .flatten()
            .map(|last| format!("/webhooks/{}?state={only}&after={}", webhook.id, last.id)),
        only,
        id: webhook.id.to_string(),
        url: webhook.url,
        description: webhook.description,
    };
    page.errors.answer(&page)
}

pub(crate) async fn show(
    web: Web,
    Path(id): Path<String>,
    query: Result<Query<Behind>, QueryRejection>,
) -> Answer {
    let Query(query) = query?;
    let webhook = web.app.webhook(&web.viewer, id_of(&id)?).await?;
    one(&web, webhook, &query, None, None).await
}

pub(crate) async fn change(
    web: Web,
    Path(id): Path<String>,
    form: Result<Form<WebhookForm>, FormRejection>,
) -> Answer {
    let Form(form) = form?;
    let id = id_of(&id)?;
    let change = ChangeWebhook {
        url: Some(form.url.trim().to_owned()),
        event_types: Some(form.event_types()),
        description: Some(form.description.clone()),
        enabled: None,
    };
    match web.app.change_webhook(&web.viewer, id, &change).await {
        Ok(_) => Ok(go(&format!("/webhooks/{id}"))),
        Err(error) => {
            let errors = FormErrors::of(error)?;
            let webhook = web.app.webhook(&web.viewer, id).await?;
            one(&web, webhook, &Behind::default(), None, Some((form, errors))).await
        }
    }
}

async fn switch(web: &Web, id: &str, enabled: bool) -> Answer {
    let id = id_of(id)?;
    let change = ChangeWebhook { enabled: Some(enabled), ..ChangeWebhook::default() };
    web.app.change_webhook(&web.viewer, id, &change).await?;
    Ok(go(&format!("/webhooks/{id}")))
}

pub(crate) async fn enable(web: Web, Path(id): Path<String>) -> Answer {
    switch(&web, &id, true).await
}

pub(crate) async fn confirm_disable(web: Web, Path(id): Path<String>) -> Answer {
    let webhook = web.app.webhook(&web.viewer, id_of(&id)?).await?;
    let waiting = Some(WebhookDeliveryState::Waiting);
    let waiting = web.app.webhook_deliveries(&web.viewer, webhook.id, waiting, None, WAITING).await?.len();
    let heading = format!("Disable the webhook at {}?", shown::line(&webhook.url, shown::ON_LINE));
    let lines = vec![
        match waiting {
            0 => "Nothing waits for it now.".to_owned(),
            1 => "1 delivery that waits for it is given up.".to_owned(),
            many if many < WAITING as usize => format!("{many} deliveries that wait for it are given up."),
            many => format!("{many} deliveries or more that wait for it are given up."),
        },
        "It is told nothing until it is enabled again. What it missed can be delivered then, from its page."
            .to_owned(),
    ];
    let (path, shell) =
        (format!("/webhooks/{}", webhook.id), Shell::new(&web, Section::Webhooks, "Disable a webhook"));
    Confirm::new(shell, heading, lines, (format!("{path}/disable"), "Disable the webhook"), path)
        .keep("Keep it enabled")
        .answer()
}

pub(crate) async fn disable(web: Web, Path(id): Path<String>) -> Answer {
    switch(&web, &id, false).await
}

pub(crate) async fn test(web: Web, Path(id): Path<String>) -> Answer {
    let id = id_of(&id)?;
    let sent = web.app.test_webhook(&web.viewer, id).await?;
    let webhook = web.app.webhook(&web.viewer, id).await?;
    let (state, said) = match (&sent.error, sent.status) {
        (None, _) => (Pill::new(Tone::Good, "Taken"), format!("It answered after {} ms.", sent.millis)),
        (Some(error), _) => (Pill::new(Tone::Bad, "Not taken"), crate::page::sentence(error)),
    };
    let answer = shown::line(&sent.answer, ANSWER);
    one(&web, webhook, &Behind::default(), Some(TestResult { state, said, answer }), None).await
}

/// As of when a page showed the webhook: a form that is sent again does nothing again.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RotateForm {
    seen: String,
}

fn rotate_page(web: &Web, webhook: &Webhook) -> Confirm {
    let path = format!("/webhooks/{}", webhook.id);
    let heading =
        format!("Make a new secret for the webhook at {}?", shown::line(&webhook.url, shown::ON_LINE));
    let lines = vec![
        "The new one is shown once.".to_owned(),
        "The one before signs too for a day, so that nothing is lost while you change it.".to_owned(),
    ];
    let shell = Shell::new(web, Section::Webhooks, "A new secret");
    Confirm::new(shell, heading, lines, (format!("{path}/rotate"), "Make a new secret"), path)
        .harmless()
        .carrying("seen", webhook.updated_at.to_string())
}

pub(crate) async fn confirm_rotate(web: Web, Path(id): Path<String>) -> Answer {
    rotate_page(&web, &web.app.webhook(&web.viewer, id_of(&id)?).await?).answer()
}

pub(crate) async fn rotate(
    web: Web,
    Path(id): Path<String>,
    form: Result<Form<RotateForm>, FormRejection>,
) -> Answer {
    let Form(form) = form?;
    let webhook = web.app.webhook(&web.viewer, id_of(&id)?).await?;
    if form.seen != webhook.updated_at.to_string() {
        let message = "the webhook was changed since, or this form was sent before: a secret is shown once. If you do not \
             have it, make another one";
        return rotate_page(&web, &webhook).refused(FormErrors::general(message)).answer();
    }
    let rotated = web.app.rotate_webhook(&web.viewer, webhook.id, DEFAULT_OVERLAP).await?;
    secret(&web, rotated, "A new secret")
}

pub(crate) async fn replay(
    web: Web,
    Path(id): Path<String>,
    form: Result<Form<ReplayForm>, FormRejection>,
) -> Answer {
    let Form(form) = form?;
    let id = id_of(&id)?;
    let rest = form.since.parse::<Timestamp>().ok().zip(form.after.parse::<u64>().ok());
    let (since, after) = if let Some((since, after)) = rest.filter(|(_, after)| i64::try_from(*after).is_ok())
    {
        (since, Some(after))
    } else {
        let hours = REPLAYS.iter().map(|(hours, _)| *hours).find(|hours| hours.to_string() == form.hours);
        let hours = hours.ok_or_else(|| Failure::no_such("time", &form.hours))?;
        (hours_ago(&web, hours), None)
    };
    let wanted = ReplaySince { since, after, delivered_too: false, most: MOST_REPLAYED };
    let replayed = web.app.replay_webhook(&web.viewer, id, wanted).await?;
    let to = format!("/webhooks/{id}?replayed={}", replayed.count);
    Ok(go(&match replayed.next {
        Some(next) => format!("{to}&since={}&rest={next}", replayed.since),
        None => to,
    }))
}

fn hours_ago(web: &Web, hours: i64) -> Timestamp {
    web.app.now().checked_sub(SignedDuration::from_hours(hours)).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// How far back a replay goes: no farther than it is known what was delivered.
fn replays(web: &Web) -> Vec<(i64, &'static str)> {
    let known = web.app.deliveries_known_since();
    let is_known = |(hours, _): &(i64, &str)| known.is_none_or(|known| hours_ago(web, *hours) >= known);
    REPLAYS.into_iter().filter(is_known).collect()
}

pub(crate) async fn confirm_delete(web: Web, Path(id): Path<String>) -> Answer {
    let webhook = web.app.webhook(&web.viewer, id_of(&id)?).await?;
    Confirm::new(
        Shell::new(&web, Section::Webhooks, "Delete a webhook"),
        format!("Delete the webhook at {}?", shown::line(&webhook.url, shown::ON_LINE)),
        vec!["It is told nothing any more, and what waits for it is given up.".to_owned()],
        (format!("/webhooks/{}/delete", webhook.id), "Delete"),
        format!("/webhooks/{}", webhook.id),
    )
    .answer()
}

pub(crate) async fn delete(web: Web, Path(id): Path<String>) -> Answer {
    web.app.delete_webhook(&web.viewer, id_of(&id)?).await?;
    Ok(go("/webhooks"))
}

pub(crate) async fn show_delivery(web: Web, Path((id, delivery)): Path<(String, String)>) -> Answer {
    let now = web.app.now();
    let webhook = web.app.webhook(&web.viewer, id_of(&id)?).await?;
    let (found, attempts) = web.app.webhook_delivery(&web.viewer, delivery_id(&delivery)?).await?;
    if found.webhook_id != webhook.id {
        return Err(Failure::no_such("delivery", &delivery));
    }
    let row = |attempt: &WebhookAttempt| AttemptRow {
        number: attempt.attempt,
        at: When::new(attempt.at, now),
        state: match &attempt.error {
            None => Pill::new(Tone::Good, "Taken"),
            Some(_) => Pill::new(Tone::Bad, "Not taken"),
        },
        said: format!("{}, after {} ms", said(attempt.status, attempt.error.as_deref()), attempt.millis),
        answer: shown::line(&attempt.answer, ANSWER),
    };
    html(&DeliveryPage {
        shell: Shell::new(&web, Section::Webhooks, "Delivery"),
        id: found.id.to_string(),
        webhook: webhook.id.to_string(),
        url: webhook.url,
        event_type: found.event_type,
        event_id: found.event_id.to_string(),
        state: delivery_state(found.state),
        since: When::new(found.created_at, now),
        next: When::maybe(found.next_attempt_at, now),
        attempts: attempts.iter().rev().map(row).collect(),
        is_enabled: webhook.status == WebhookStatus::Enabled,
    })
}

pub(crate) async fn replay_delivery(web: Web, Path((id, delivery)): Path<(String, String)>) -> Answer {
    let (webhook, delivery) = (id_of(&id)?, delivery_id(&delivery)?);
    web.app.replay_webhook_delivery(&web.viewer, delivery).await?;
    Ok(go(&format!("/webhooks/{webhook}/deliveries/{delivery}")))
}
