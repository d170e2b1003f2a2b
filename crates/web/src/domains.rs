//! The list of domains, and the form that adds one.

use crate::{
    Web,
    forms::FormErrors,
    page::{Answer, Section, Shell, go, html_with},
    pill::{self, Pill},
    when::When,
};
use app::{
    domains::{AddDomain, DomainView, ListedDomains},
    store::DomainFilter,
};
use askama::Template;
use axum::{
    extract::{
        Form, Query,
        rejection::{FormRejection, QueryRejection},
    },
    http::StatusCode,
};
use jiff::Timestamp;
use model::{DomainId, DomainStatus, RecordStatus};
use serde::Deserialize;

/// Domains on a page.
const PAGE: usize = 25;

/// What the list can be narrowed by.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ListQuery {
    q: String,
    status: String,
    after: String,
}

/// The form that adds a domain.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct AddForm {
    domain: String,
    profile: String,
}

struct ProfileChoice {
    name: String,
    title: String,
    description: String,
    chosen: bool,
}

struct Row {
    href: String,
    name: String,
    unicode: Option<String>,
    status: Pill,
    health: Option<Pill>,
    right: usize,
    total: usize,
    checked: Option<When>,
}

#[derive(Template)]
#[template(path = "domains.html")]
struct ListPage {
    shell: Shell,
    profiles: Vec<ProfileChoice>,
    form: AddForm,
    errors: FormErrors,
    rows: Vec<Row>,
    query: ListQuery,
    statuses: &'static [DomainStatus],
    next: Option<String>,
    playground: bool,
}

impl ListPage {
    fn narrowed(&self) -> bool {
        !self.query.q.is_empty() || !self.query.status.is_empty() || !self.query.after.is_empty()
    }

    fn domain_error(&self) -> Option<String> {
        self.errors.of_field("domain").or_else(|| self.errors.others(&["profile"]))
    }
}

pub(crate) async fn list(web: Web, query: Result<Query<ListQuery>, QueryRejection>) -> Answer {
    let Query(query) = query?;
    render(&web, query, AddForm::default(), FormErrors::default(), StatusCode::OK).await
}

/// Adds a domain and shows it.
pub(crate) async fn add(web: Web, form: Result<Form<AddForm>, FormRejection>) -> Answer {
    let Form(form) = form?;
    let profile = Some(form.profile.clone()).filter(|profile| !profile.is_empty());
    let request = AddDomain { domain: form.domain.trim().to_owned(), profile, ..AddDomain::default() };
    match web.app.add_domain(&web.viewer, &request).await {
        Ok(view) => Ok(go(&format!("/domains/{}", view.domain.id))),
        Err(error) => {
            let errors = FormErrors::of(error)?;
            render(&web, ListQuery::default(), form, errors, StatusCode::UNPROCESSABLE_ENTITY).await
        }
    }
}

async fn render(
    web: &Web,
    query: ListQuery,
    form: AddForm,
    errors: FormErrors,
    status: StatusCode,
) -> Answer {
    let now = web.app.now();
    let word = query.q.trim();
    let filter = DomainFilter {
        status: DomainStatus::from_word(&query.status),
        name_contains: (!word.is_empty()).then(|| word.chars().take(253).collect()),
        looked_at: None,
    };
    let after: Option<DomainId> = query.after.parse().ok();
    let limit = u32::try_from(PAGE + 1).unwrap_or(u32::MAX);
    let ListedDomains { views, looked_to } = web.app.domains(&web.viewer, filter, after, limit).await?;
    let next = (views.len() > PAGE)
        .then(|| views.get(PAGE - 1).map(|last| next_address(&query, last.domain.id)))
        .flatten()
        .or_else(|| looked_to.map(|last| next_address(&query, last)));
    let settings = web.app.settings();
    let chosen = if form.profile.is_empty() { &settings.default_profile } else { &form.profile };
    let page = ListPage {
        shell: Shell::new(web, Section::Domains, "Domains"),
        profiles: settings
            .profiles
            .iter()
            .filter(|profile| profile.delegated.is_none() || settings.can_be_delegated_to())
            .map(|profile| ProfileChoice {
                name: profile.name.clone(),
                title: profile.title.clone(),
                description: profile.description.clone(),
                chosen: profile.name == *chosen,
            })
            .collect(),
        form,
        errors,
        rows: views.iter().take(PAGE).map(|view| row(view, now)).collect(),
        query,
        statuses: DomainStatus::ALL,
        next,
        playground: settings.playground,
    };
    html_with(status, &page)
}

fn next_address(query: &ListQuery, last: DomainId) -> String {
    format!("/?q={}&status={}&after={last}", encoded(&query.q), encoded(&query.status))
}

/// A value in a query string: letters and digits as they are, everything else as octets in percent.
pub(crate) fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for octet in text.bytes() {
        if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
            out.push(char::from(octet));
        } else {
            // Writing to a String does not fail.
            let _ = write!(out, "%{octet:02X}");
        }
    }
    out
}

fn row(view: &DomainView, now: Timestamp) -> Row {
    let domain = &view.domain;
    let records = &view.report.records;
    Row {
        href: format!("/domains/{}", domain.id),
        name: domain.name.to_string(),
        unicode: unicode(&domain.name),
        status: domain.status.into(),
        health: pill::health(domain.health),
        right: records.iter().filter(|record| record.status == RecordStatus::Verified).count(),
        total: records.len(),
        checked: When::maybe(domain.last_checked_at, now),
    }
}

/// The name in its own script, where that is another text.
pub(crate) fn unicode(name: &model::DomainName) -> Option<String> {
    let unicode = name.to_unicode();
    (unicode != name.as_str()).then_some(unicode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_values_survive() {
        assert_eq!(encoded("a b&c=ä%"), "a%20b%26c%3D%C3%A4%25");
        assert_eq!(encoded("mail.acme.test"), "mail.acme.test");
    }

    #[test]
    fn a_first_visit_tells_the_first_step_and_a_bad_name_is_kept() {
        let page = ListPage {
            shell: Shell::sample("Domains"),
            profiles: vec![ProfileChoice {
                name: "three-cname".into(),
                title: "Three CNAMEs".into(),
                description: "Three aliases.".into(),
                chosen: true,
            }],
            form: AddForm { domain: "<b>".into(), profile: String::new() },
            errors: FormErrors::of(app::Error::field("domain", "is no name")).unwrap(),
            rows: Vec::new(),
            query: ListQuery::default(),
            statuses: DomainStatus::ALL,
            next: None,
            playground: true,
        };
        let html = page.render().unwrap();
        assert!(html.contains("No domains yet"));
        assert!(html.contains("value=\"&#60;b&#62;\""));
        assert!(html.contains("Is no name."));
        assert!(!html.contains("<b>"));
    }
}
