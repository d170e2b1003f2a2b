//! The page that checks any domain, without registration.
//!
//! What is wrong with the request is told beside its field before anything is asked. A check that was let in takes
//! seconds, so the page comes in two parts: its head with a note that the check runs, at once, then the report. When
//! the visitor leaves, the check ends with the connection. The report is `explain`'s, the same as everywhere; nothing
//! of what is stored here is on the page.

use crate::{
    Web,
    forms::FormErrors,
    page::{Answer, Section, Shell, html_with, sentence},
};
use app::{
    Error,
    checks::{AdmittedCheck, CheckRequest, Checked},
};
use askama::Template;
use axum::{
    Extension,
    body::Body,
    extract::{ConnectInfo, Query, State, rejection::QueryRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use explain::render::{self, RenderOptions};
use futures_util::{StreamExt, stream};
use model::DomainName;
use serde::Deserialize;
use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

/// Where the page is cut in two.
const CUT: &str = "<!-- the report -->";

/// The form.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub(crate) struct CheckForm {
    domain: String,
    /// Several, with commas or spaces between them.
    selectors: String,
}

impl CheckForm {
    fn request(&self) -> CheckRequest {
        let is_between = |c: char| c == ',' || c == ';' || c.is_whitespace();
        CheckRequest {
            domain: self.domain.clone(),
            selectors: self
                .selectors
                .split(is_between)
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
                .collect(),
            ..CheckRequest::default()
        }
    }
}

#[derive(Template)]
#[template(path = "check.html")]
struct CheckPage {
    shell: Shell,
    form: CheckForm,
    errors: FormErrors,
    /// What belongs to no field: too many checks, for now.
    refusal: Option<String>,
    /// The check that is under way, as the command that does the same.
    running: Option<Running>,
}

struct Running {
    domain: DomainName,
    command: String,
}

impl CheckPage {
    fn new(web: &Web, form: CheckForm) -> Self {
        let shell = Shell::new(web, Section::Check, "Check a domain");
        Self { shell, form, errors: FormErrors::default(), refusal: None, running: None }
    }

    fn other_errors(&self) -> Option<String> {
        self.errors.others(&["domain", "selectors"])
    }
}

pub(crate) async fn show(
    State(web): State<Web>,
    address: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
    query: Result<Query<CheckForm>, QueryRejection>,
) -> Answer {
    let Query(form) = query?;
    let mut page = CheckPage::new(&web, form);
    if page.form.domain.trim().is_empty() || !is_wanted(&headers) {
        return Ok(unlisted(html_with(StatusCode::OK, &page)?));
    }
    // Without an address (a test, another kind of listener) all visitors are counted as one.
    let address =
        address.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |Extension(ConnectInfo(address))| address.ip());
    match web.app.admit_visitor_check(address, &page.form.request()) {
        Ok(check) => {
            let domain = check.domain().clone();
            let selectors = page.form.request().selectors;
            let command =
                selectors.iter().fold(format!("countersign check {domain}"), |command, selector| {
                    format!("{command} --selector {selector}")
                });
            page.running = Some(Running { domain, command });
            Ok(unlisted(streamed(&page.render()?, check)))
        }
        Err(error) => Ok(unlisted(refused(page, error)?)),
    }
}

/// The form again, with what was wrong or why not now.
fn refused(mut page: CheckPage, error: Error) -> Answer {
    let (status, retry_after) = match &error {
        Error::RateLimited { retry_after, .. } => (StatusCode::TOO_MANY_REQUESTS, Some(*retry_after)),
        Error::Busy { retry_after, .. } => (StatusCode::SERVICE_UNAVAILABLE, Some(*retry_after)),
        _ => (StatusCode::UNPROCESSABLE_ENTITY, None),
    };
    let Some(seconds) = retry_after else {
        page.errors = FormErrors::of(error)?;
        return html_with(status, &page);
    };
    page.refusal = Some(sentence(&error.to_string()));
    let mut response = html_with(status, &page)?;
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    Ok(response)
}

/// Whether a person asks. A page of another site that loads this one as a picture or by itself would have our
/// resolvers work for it; following a link there is fine.
fn is_wanted(headers: &HeaderMap) -> bool {
    let is = |name: &str, words: &[&str]| {
        headers.get(name).is_none_or(|value| words.iter().any(|word| value.as_bytes() == word.as_bytes()))
    };
    let is_followed = headers.get("sec-fetch-user").is_some_and(|value| value == "?1");
    is("sec-fetch-dest", &["document", "empty"])
        && (is_followed || is("sec-fetch-site", &["same-origin", "none"]))
}

/// The page up to the report at once, and the rest when the check is done.
fn streamed(page: &str, check: AdmittedCheck) -> Response {
    let (head, tail) = page.split_once(CUT).unwrap_or((page, ""));
    let (head, tail) = (head.to_owned(), tail.to_owned());
    let rest = stream::once(async move { result(check.run().await) + &tail });
    let parts = stream::iter([head]).chain(rest).map(Ok::<_, Infallible>);
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], Body::from_stream(parts)).into_response()
}

fn result(checked: Result<Checked, Error>) -> String {
    match checked {
        Ok(Checked { report, .. }) => {
            let fragment = render::html_fragment(&report, &RenderOptions::new(report.checked_at));
            format!("<div class=\"result card\">\n{fragment}</div>\n")
        }
        Err(error) => {
            tracing::warn!(%error, "a check of the page did not run");
            "<p class=\"result error\" role=\"alert\">Too many checks are under way, and this one’s turn did not come. \
             Try again in a few seconds.</p>\n"
                .to_owned()
        }
    }
}

/// Search engines have no business here: each address would be a check.
fn unlisted(mut response: Response) -> Response {
    response.headers_mut().insert("x-robots-tag", HeaderValue::from_static("noindex, nofollow"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderName;

    #[test]
    fn selectors_are_taken_as_people_part_them() {
        let form = CheckForm { domain: "a.example".into(), selectors: " s1, s2;s3  s4,".into() };
        assert_eq!(form.request().selectors, ["s1", "s2", "s3", "s4"]);
    }

    #[test]
    fn other_sites_cannot_have_checks_run_unseen() {
        let wanted = |fields: &[(&'static str, &'static str)]| {
            let headers = fields
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
            is_wanted(&headers.collect())
        };
        let (site, dest, user) = ("sec-fetch-site", "sec-fetch-dest", "sec-fetch-user");
        assert!(wanted(&[]), "no browser");
        assert!(wanted(&[(site, "none"), (dest, "document")]));
        assert!(wanted(&[(site, "same-origin"), (dest, "document")]));
        assert!(
            wanted(&[(site, "cross-site"), (dest, "document"), (user, "?1")]),
            "a link that was followed"
        );
        assert!(!wanted(&[(site, "cross-site"), (dest, "document")]));
        assert!(!wanted(&[(site, "cross-site"), (dest, "image")]));
        assert!(!wanted(&[(site, "same-origin"), (dest, "iframe"), (user, "?1")]));
    }

    #[test]
    fn what_was_typed_stands_in_the_form_again_and_nowhere_as_markup() {
        let form = CheckForm { domain: "<b>\"x".into(), selectors: "'\"><i>".into() };
        let errors = FormErrors::of(Error::field("domain", "is <u>no</u> domain")).unwrap();
        let page = CheckPage { shell: Shell::sample("Check"), form, errors, refusal: None, running: None };
        let html = page.render().unwrap();
        assert!(html.contains("aria-invalid=\"true\"") && html.contains("id=\"domain-error\""));
        assert!(!html.contains("<b>") && !html.contains("<i>") && !html.contains("<u>"));
    }
}
