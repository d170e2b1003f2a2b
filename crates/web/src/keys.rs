//! API keys: the list, making one, one key, and its end. A secret is on the page that follows its making, and on no other.

use crate::{
    Web,
    confirm::Confirm,
    forms::FormErrors,
    page::{Answer, Failure, Section, Shell, go, html},
    pill::{Pill, Tone},
    when::When,
};
use app::{
    FieldError,
    access::{Caller, Scope},
    idempotency::Reserved,
    keys::{CreateKey, KeyWithSecret},
    store::{ApiKey, Tenant},
};
use askama::Template;
use axum::extract::{
    Form, Path, Query,
    rejection::{FormRejection, QueryRejection},
};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use model::{ApiKeyId, DomainId, DomainName};
use serde::Deserialize;

/// Keys on a page.
const PAGE: usize = 50;

/// Tenants that can be chosen in a form.
const TENANTS: u32 = 200;

/// What a form may list of domains.
const MOST_DOMAINS: usize = 100;

/// How long an old secret may work on, in seconds, as the page offers it.
const OVERLAPS: [(u32, &str); 4] =
    [(86_400, "for a day"), (3_600, "for an hour"), (604_800, "for 7 days"), (0, "not at all")];

/// Where the list begins.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Behind {
    after: String,
}

struct Row {
    href: String,
    name: String,
    prefix: String,
    scopes: String,
    limits: String,
    last_used: Option<When>,
    state: Pill,
}

struct ScopeBox {
    word: &'static str,
    meaning: &'static str,
    is_set: bool,
}

/// What was typed for a new key.
#[derive(Default)]
struct KeyForm {
    name: String,
    scopes: Vec<String>,
    tenant: String,
    domains: String,
    expires: String,
    /// Names this form: sent again it makes nothing again.
    once: String,
}

impl KeyForm {
    /// Scopes come as one field each.
    fn of(fields: Vec<(String, String)>) -> Self {
        let mut form = Self::default();
        for (name, value) in fields {
            match name.as_str() {
                "name" => form.name = value,
                "scope" => form.scopes.push(value),
                "tenant" => form.tenant = value,
                "domains" => form.domains = value,
                "expires" => form.expires = value,
                "once" => form.once = value,
                _ => {}
            }
        }
        form
    }
}

#[derive(Template)]
#[template(path = "keys.html")]
struct KeysPage {
    shell: Shell,
    rows: Vec<Row>,
    behind: bool,
    next: Option<String>,
    scopes: Vec<ScopeBox>,
    tenants: Vec<Tenant>,
    /// Whether there may be others.
    has_more_tenants: bool,
    form: KeyForm,
    errors: FormErrors,
}

#[derive(Template)]
#[template(path = "secret.html")]
pub(crate) struct SecretPage {
    pub shell: Shell,
    pub heading: String,
    pub lead: &'static str,
    pub secret: String,
    /// What else there is to say.
    pub lines: Vec<String>,
    pub next: String,
    pub next_words: &'static str,
}

#[derive(Template)]
#[template(path = "key.html")]
struct KeyPage {
    shell: Shell,
    id: String,
    name: String,
    prefix: String,
    state: Pill,
    scopes: String,
    tenant: Option<String>,
    domains: Option<Vec<String>>,
    created: When,
    created_by: Option<String>,
    last_used: Option<When>,
    ends: Option<When>,
    replaced_by: Option<String>,
    is_active: bool,
    overlaps: [(u32, &'static str); 4],
    errors: FormErrors,
}

/// How a key is rotated.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct RotateForm {
    overlap: String,
}

/// What a scope is for, in few words.
const fn meaning(scope: Scope) -> &'static str {
    match scope {
        Scope::ReadDomains => "see domains, records, reports",
        Scope::WriteDomains => "add, verify, change, delete domains",
        Scope::WriteDns => "write records at DNS hosts",
        Scope::SendEmails => "send mail",
        Scope::ReadEmails => "see messages and the inbox",
        Scope::ReadEvents => "see what happened",
        Scope::WriteWebhooks => "see and change webhooks",
        Scope::WriteKeys => "make and revoke keys that may do no more",
        Scope::WriteSuppressions => "change who gets no mail",
        Scope::ReadAudit => "see who changed what",
        Scope::Admin => "everything",
    }
}

fn id_of(text: &str) -> Result<ApiKeyId, Failure> {
    text.parse().map_err(|_| Failure::no_such("API key", text))
}

fn is_active(key: &ApiKey, now: Timestamp) -> bool {
    key.revoked_at.is_none() && key.expires_at.is_none_or(|end| end > now)
}

fn state(key: &ApiKey, now: Timestamp) -> Pill {
    match key {
        ApiKey { revoked_at: Some(_), .. } => Pill::new(Tone::Muted, "Revoked"),
        key if !is_active(key, now) => Pill::new(Tone::Muted, "Over"),
        ApiKey { replaced_by: Some(_), .. } => Pill::new(Tone::Wait, "Being replaced"),
        _ => Pill::new(Tone::Good, "Active"),
    }
}

fn scopes_of(key: &ApiKey) -> String {
    if key.scopes.iter().any(|scope| scope == "admin") {
        "admin (everything)".to_owned()
    } else {
        key.scopes.join(", ")
    }
}

fn reference(tenants: &[Tenant], key: &ApiKey) -> Option<String> {
    let id = key.tenant_id?;
    let known = tenants.iter().find(|tenant| tenant.id == id).map(|tenant| tenant.reference.clone());
    Some(known.unwrap_or_else(|| id.to_string()))
}

fn limits(tenants: &[Tenant], key: &ApiKey) -> String {
    let tenant = reference(tenants, key).map(|name| format!("tenant {name}"));
    let domains = key.allowed_domain_ids.as_ref().map(|ids| match ids.len() {
        0 => "no domain".to_owned(),
        1 => "1 domain".to_owned(),
        several => format!("{several} domains"),
    });
    tenant.into_iter().chain(domains).collect::<Vec<_>>().join(", ")
}

async fn page(web: &Web, after: &str, form: KeyForm, errors: FormErrors) -> Answer {
    let now = web.app.now();
    let after: Option<ApiKeyId> = after.parse().ok();
    let limit = u32::try_from(PAGE + 1).unwrap_or(u32::MAX);
    let keys = web.app.keys(&web.viewer, after, limit).await?;
    let tenants = web.app.tenants(&web.viewer, None, TENANTS).await?;
    let once = if form.once.is_empty() { web.app.request_id().to_string() } else { form.once };
    let form = KeyForm { once, ..form };
    let row = |key: &ApiKey| Row {
        href: format!("/keys/{}", key.id),
        name: key.name.clone(),
        prefix: key.display_prefix.clone(),
        scopes: scopes_of(key),
        limits: limits(&tenants, key),
        last_used: When::maybe(key.last_used_at, now),
        state: state(key, now),
    };
    let scope = |scope: &Scope| ScopeBox {
        word: scope.as_str(),
        meaning: meaning(*scope),
        is_set: form.scopes.iter().any(|word| word == scope.as_str()),
    };
    let page = KeysPage {
        shell: Shell::new(web, Section::Keys, "API keys"),
        rows: keys.iter().take(PAGE).map(row).collect(),
        behind: after.is_some(),
        next: (keys.len() > PAGE)
            .then(|| keys.get(PAGE - 1).map(|last| format!("/keys?after={}", last.id)))
            .flatten(),
        scopes: Scope::ALL.iter().map(scope).collect(),
        has_more_tenants: tenants.len() >= TENANTS as usize,
        tenants,
        form,
        errors,
    };
    page.errors.answer(&page)
}

pub(crate) async fn list(web: Web, query: Result<Query<Behind>, QueryRejection>) -> Answer {
    let Query(query) = query?;
    page(&web, &query.after, KeyForm::default(), FormErrors::default()).await
}

/// An error about one of several domains, by its name.
fn named(error: FieldError, names: &[String]) -> FieldError {
    let place = error.field.strip_prefix("allowed_domain_ids[").and_then(|rest| rest.strip_suffix(']'));
    match place.and_then(|place| names.get(place.parse::<usize>().ok()?)) {
        Some(name) => FieldError {
            field: "domains".to_owned(),
            message: format!(
                "{name} cannot be given to this key: it belongs to no tenant, or to another one"
            ),
        },
        None => error,
    }
}

fn names_of(text: &str) -> Vec<String> {
    let words = text.split(['\n', '\r', ',', ' ']).map(str::trim);
    words.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// The domains that a form names, one a line or with commas between them; nothing for all.
async fn domains_of(web: &Web, text: &str) -> Result<Option<Vec<DomainId>>, Failure> {
    let names = names_of(text);
    if names.is_empty() {
        return Ok(None);
    }
    let refuse = |message: String| {
        Failure::App(app::Error::Invalid(vec![FieldError { field: "domains".to_owned(), message }]))
    };
    if names.len() > MOST_DOMAINS {
        return Err(refuse(format!("name at most {MOST_DOMAINS} here; the API takes more")));
    }
    let mut ids = Vec::with_capacity(names.len());
    for name in names {
        let parsed = DomainName::parse(&name).map_err(|error| refuse(error.to_string()))?;
        match web.app.domain_id(&web.viewer, &parsed).await? {
            Some(id) => ids.push(id),
            None => return Err(refuse(format!("there is no domain {parsed} here"))),
        }
    }
    Ok(Some(ids))
}

/// The beginning of a day that a form names, in UTC.
fn day_of(text: &str) -> Result<Option<Timestamp>, Failure> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let day = text.trim().parse::<Date>().ok().and_then(|day| day.to_zoned(TimeZone::UTC).ok());
    let wrong = || app::Error::field("expires_at", "give a day such as 2027-01-31, or nothing");
    day.map(|day| Some(day.timestamp())).ok_or_else(|| wrong().into())
}

async fn make(web: &Web, form: &KeyForm) -> Result<KeyWithSecret, Failure> {
    let tenant_id = match form.tenant.as_str() {
        "" => None,
        id => Some(id.parse().map_err(|_| Failure::no_such("tenant", id))?),
    };
    let create = CreateKey {
        name: form.name.clone(),
        scopes: form.scopes.clone(),
        allowed_domain_ids: domains_of(web, &form.domains).await?,
        tenant_id,
        expires_at: day_of(&form.expires)?,
    };
    let viewer = Caller { reserved: reserved(&form.once), ..web.viewer.clone() };
    Ok(web.app.make_key(&viewer, &create).await?)
}

/// The number that a form has for what it makes.
pub(crate) fn reserved(once: &str) -> Option<Reserved> {
    once.parse().ok().map(|number| Reserved { number, is_repeat: false })
}

pub(crate) async fn create(web: Web, fields: Result<Form<Vec<(String, String)>>, FormRejection>) -> Answer {
    let Form(fields) = fields?;
    let form = KeyForm::of(fields);
    if let Some(Reserved { number, .. }) = reserved(&form.once) {
        let (unix_ms, random) = number.parts();
        if let Ok(key) = web.app.key(&web.viewer, ApiKeyId::from_parts(unix_ms, random)).await {
            let message = "this form was sent before: it made this key, which was shown then. If you do not have it, \
                 rotate it";
            return one(&web, key, FormErrors::general(message)).await;
        }
    }
    match make(&web, &form).await {
        Ok(made) => secret(&web, made),
        // Told of what was typed, not of the id that it stands for.
        Err(Failure::App(app::Error::Invalid(errors))) => {
            let names = names_of(&form.domains);
            let errors = errors.into_iter().map(|error| named(error, &names)).collect();
            page(&web, "", form, FormErrors::of(app::Error::Invalid(errors))?).await
        }
        Err(Failure::App(error)) => page(&web, "", form, FormErrors::of(error)?).await,
        Err(other) => Err(other),
    }
}

fn secret(web: &Web, made: KeyWithSecret) -> Answer {
    html(&SecretPage {
        shell: Shell::new(web, Section::Keys, "A new key"),
        heading: format!("The key “{}”", made.key.name),
        lead: "This is the key. It is shown now and never again: put it where it is used, or into a password manager.",
        secret: made.secret.0,
        lines: vec!["Requests carry it as: Authorization: Bearer cs_…".to_owned()],
        next: format!("/keys/{}", made.key.id),
        next_words: "I have it",
    })
}

async fn one(web: &Web, key: ApiKey, errors: FormErrors) -> Answer {
    let now = web.app.now();
    let tenants = web.app.tenants(&web.viewer, None, TENANTS).await?;
    let mut domains = None;
    if let Some(ids) = &key.allowed_domain_ids {
        let mut names = Vec::new();
        for id in ids.iter().take(MOST_DOMAINS) {
            // One that was deleted stays on the list of the key.
            names.push(match web.app.domain(&web.viewer, *id).await {
                Ok(view) => view.domain.name.to_unicode(),
                Err(_) => format!("{id} (not there any more)"),
            });
        }
        domains = Some(names);
    }
    let page = KeyPage {
        shell: Shell::new(web, Section::Keys, key.name.clone()),
        id: key.id.to_string(),
        state: state(&key, now),
        scopes: scopes_of(&key),
        tenant: reference(&tenants, &key),
        domains,
        created: When::new(key.created_at, now),
        created_by: key.created_by.map(|id| id.to_string()),
        last_used: When::maybe(key.last_used_at, now),
        ends: When::maybe(key.expires_at, now),
        replaced_by: key.replaced_by.map(|id| id.to_string()),
        is_active: is_active(&key, now),
        overlaps: OVERLAPS,
        errors,
        name: key.name,
        prefix: key.display_prefix,
    };
    page.errors.answer(&page)
}

pub(crate) async fn show(web: Web, Path(id): Path<String>) -> Answer {
    let key = web.app.key(&web.viewer, id_of(&id)?).await?;
    one(&web, key, FormErrors::default()).await
}

pub(crate) async fn rotate(
    web: Web,
    Path(id): Path<String>,
    form: Result<Form<RotateForm>, FormRejection>,
) -> Answer {
    let Form(form) = form?;
    let id = id_of(&id)?;
    let overlap = OVERLAPS.iter().find(|(seconds, _)| seconds.to_string() == form.overlap);
    let (seconds, _) = overlap.ok_or_else(|| Failure::no_such("time", &form.overlap))?;
    match web.app.rotate_key(&web.viewer, id, *seconds).await {
        Ok(made) => secret(&web, made),
        Err(error) => {
            let key = web.app.key(&web.viewer, id).await?;
            one(&web, key, FormErrors::of(error)?).await
        }
    }
}

pub(crate) async fn confirm_revoke(web: Web, Path(id): Path<String>) -> Answer {
    let key = web.app.key(&web.viewer, id_of(&id)?).await?;
    let used = When::maybe(key.last_used_at, web.app.now());
    Confirm::new(
        Shell::new(&web, Section::Keys, format!("Revoke {}", key.name)),
        format!("Revoke the key “{}”?", key.name),
        vec![
            "The next request with it is refused, and it never works again.".to_owned(),
            match used {
                Some(used) => format!("It was last used on {}.", used.full()),
                None => "It was never used.".to_owned(),
            },
            "Keys that it made stay.".to_owned(),
        ],
        (format!("/keys/{}/revoke", key.id), "Revoke"),
        format!("/keys/{}", key.id),
    )
    .answer()
}

pub(crate) async fn revoke(web: Web, Path(id): Path<String>) -> Answer {
    web.app.revoke_key(&web.viewer, id_of(&id)?).await?;
    Ok(go("/keys"))
}
