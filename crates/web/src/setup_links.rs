//! The links by which people without an account set a domain up: making them, seeing them, taking them back.

use crate::{
    Web,
    forms::FormErrors,
    keys::{SecretPage, reserved},
    page::{Answer, Failure, Section, Shell, go, html, html_with},
    when::When,
};
use app::{access::Caller, idempotency::Reserved, setup_links::DAYS};
use askama::Template;
use axum::{
    extract::{Form, Path, rejection::FormRejection},
    http::StatusCode,
};
use explain::shown;
use model::{DomainId, SetupLinkId};
use serde::Deserialize;

/// For how long a link may be good, in days.
const CHOICES: [(u32, &str); 4] = [(1, "1 day"), (DAYS, "7 days"), (14, "14 days"), (30, "30 days")];

/// How many links are listed: as many as a domain may have.
const MOST: u32 = 20;

/// The form.
#[derive(Debug, Deserialize)]
#[serde(default)]
pub(crate) struct LinkForm {
    note: String,
    days: u32,
    may_publish: Option<String>,
    /// Names this form: sent again it makes nothing again.
    once: String,
}

impl Default for LinkForm {
    fn default() -> Self {
        Self { note: String::new(), days: DAYS, may_publish: None, once: String::new() }
    }
}

struct Row {
    id: String,
    note: String,
    made: When,
    opened: Option<When>,
    until: When,
    may_publish: bool,
}

#[derive(Template)]
#[template(path = "setup_links.html")]
struct SetupLinksPage {
    shell: Shell,
    id: DomainId,
    name: String,
    choices: [(u32, &'static str); 4],
    form: LinkForm,
    errors: FormErrors,
    rows: Vec<Row>,
}

async fn page(web: &Web, id: &str, form: LinkForm, errors: FormErrors) -> Result<SetupLinksPage, Failure> {
    let id: DomainId = id.parse().map_err(|_| Failure::no_such("domain", id))?;
    let view = web.app.domain(&web.viewer, id).await?;
    let now = web.app.now();
    let links = web.app.setup_links(&web.viewer, id, None, MOST).await?;
    let rows = links
        .into_iter()
        .map(|link| Row {
            id: link.id.to_string(),
            note: shown::line(link.note.as_deref().unwrap_or_default(), shown::ON_LINE),
            made: When::new(link.created_at, now),
            opened: When::maybe(link.opened_at, now),
            until: When::new(link.expires_at, now),
            may_publish: link.may_publish,
        })
        .collect();
    let once = if form.once.is_empty() { web.app.request_id().to_string() } else { form.once };
    let form = LinkForm { once, ..form };
    Ok(SetupLinksPage {
        shell: Shell::new(web, Section::Domains, format!("Setup links of {}", view.domain.name)),
        id,
        name: view.domain.name.to_string(),
        choices: CHOICES,
        form,
        errors,
        rows,
    })
}

pub(crate) async fn list(web: Web, Path(id): Path<String>) -> Answer {
    html(&page(&web, &id, LinkForm::default(), FormErrors::default()).await?)
}

pub(crate) async fn make(
    web: Web,
    Path(id): Path<String>,
    form: Result<Form<LinkForm>, FormRejection>,
) -> Answer {
    let Form(form) = form?;
    let domain_id = id.parse().map_err(|_| Failure::no_such("domain", &id))?;
    let may_publish = form.may_publish.is_some();
    let reserved = reserved(&form.once);
    if let Some(Reserved { number, .. }) = reserved {
        let (unix_ms, random) = number.parts();
        let made_before = SetupLinkId::from_parts(unix_ms, random);
        let links = web.app.setup_links(&web.viewer, domain_id, None, MOST).await?;
        if links.iter().any(|link| link.id == made_before) {
            let message = "this form was sent before: it made a link, which was shown then. If you do not have it, take \
                 it back and make another one";
            let errors = FormErrors::general(message);
            let page = page(&web, &id, LinkForm::default(), errors).await?;
            return html_with(StatusCode::UNPROCESSABLE_ENTITY, &page);
        }
    }
    let viewer = Caller { reserved, ..web.viewer.clone() };
    let made = web.app.make_setup_link(&viewer, domain_id, Some(form.days), Some(&form.note), may_publish);
    match made.await {
        Ok(made) => html(&SecretPage {
            shell: Shell::new(&web, Section::Domains, "A new setup link"),
            heading: "The setup link".to_owned(),
            lead: "Hand this address to whoever runs the DNS of the domain. It is shown now and never again.",
            secret: made.url,
            lines: vec![format!(
                "It is good until {}, or until you take it back.",
                When::new(made.link.expires_at, web.app.now()).full()
            )],
            next: format!("/domains/{domain_id}/setup-links"),
            next_words: "I have it",
        }),
        Err(error) => {
            let page = page(&web, &id, form, FormErrors::of(error)?).await?;
            html_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
        }
    }
}

pub(crate) async fn take_back(web: Web, Path((id, link)): Path<(String, String)>) -> Answer {
    let domain_id: DomainId = id.parse().map_err(|_| Failure::no_such("domain", &id))?;
    let link = link.parse().map_err(|_| Failure::no_such("setup link", &link))?;
    web.app.delete_setup_link(&web.viewer, link).await?;
    Ok(go(&format!("/domains/{domain_id}/setup-links")))
}
