//! Records applied by the DNS host itself (Domain Connect): the way there, for those who are logged in and for those who have
//! a setup link, and the way back, which says little: DNS is looked at.

use crate::{
    Pages, Web,
    domain::domain_id,
    page::{Answer, Failure, Notice, Section, Shell, go, html_with, sentence},
    when::When,
};
use app::{
    Error,
    domain_connect::{Back, ConnectLink, Returned},
};
use askama::Template;
use axum::{
    extract::{Path, Query, rejection::QueryRejection},
    http::StatusCode,
    response::Response,
};
use model::DomainName;
use serde::Deserialize;

/// The way there, or why there is none. A link, since browsers hold the answer to a form to `form-action` of our policy too
/// (Chrome, 2026-11).
#[derive(Template)]
#[template(path = "connect.html")]
struct ConnectPart {
    name: String,
    back: String,
    link: Option<LinkView>,
    problem: Option<String>,
}

struct LinkView {
    url: String,
    opens: String,
    host: String,
    zone: String,
    groups: Vec<String>,
    by_hand: Vec<String>,
    until: When,
}

/// What is said of a browser that came back without success.
#[derive(Template)]
#[template(path = "connect_back.html")]
struct BackPart {
    heading: &'static str,
    words: &'static str,
    back: Option<String>,
}

#[derive(Template)]
#[template(path = "write.html")]
struct InsidePage {
    shell: Shell,
    part: String,
}

#[derive(Template)]
#[template(path = "setup_write.html")]
struct SetupPage {
    shell: Shell,
    part: String,
}

fn framed(pages: &Pages, inside: bool, status: StatusCode, title: String, part: &impl Template) -> Answer {
    let section = if inside { Section::Domains } else { Section::None };
    let (shell, part) = (Shell::of(pages, section, title), part.render()?);
    if inside {
        html_with(status, &InsidePage { shell, part })
    } else {
        html_with(status, &SetupPage { shell, part })
    }
}

fn show(
    pages: &Pages,
    inside: bool,
    name: &DomainName,
    back: String,
    made: Result<ConnectLink, Error>,
) -> Answer {
    let (status, link, problem) = match made {
        Ok(link) => (StatusCode::OK, Some(link), None),
        Err(error @ (Error::NotConnected(_) | Error::DomainDisabled(_))) => {
            (StatusCode::UNPROCESSABLE_ENTITY, None, Some(sentence(&error.to_string())))
        }
        Err(error) => return Err(error.into()),
    };
    let link = link.map(|link| LinkView {
        url: link.url,
        opens: link.opens,
        host: link.host_name,
        zone: link.zone.to_string(),
        groups: link.groups.iter().map(|group| words(group)).collect(),
        by_hand: link.by_hand,
        until: When::new(link.good_until, pages.app.now()),
    });
    let part = ConnectPart { name: name.to_string(), back, link, problem };
    framed(pages, inside, status, format!("Connect {name}"), &part)
}

/// A group for people: ours have the names of what they are for.
fn words(group: &str) -> String {
    match group {
        "dkim" => "DKIM".to_owned(),
        "spf" => "SPF".to_owned(),
        "dmarc" => "DMARC".to_owned(),
        "return_path" => "return path".to_owned(),
        other => other.chars().take(40).collect(),
    }
}

/// Finds the DNS host of a domain, and shows the way there.
pub(crate) async fn connect(web: Web, Path(id): Path<String>) -> Answer {
    let id = domain_id(&id)?;
    let view = web.app.domain(&web.viewer, id).await?;
    let made = web.app.connect_domain(&web.viewer, id, Back::Dashboard).await;
    show(&web.pages, true, &view.domain.name, format!("/domains/{id}"), made)
}

/// The same for whoever has a setup link.
pub(crate) async fn connect_by_link(pages: Pages, Path(secret): Path<String>) -> Answer {
    let view = match pages.app.open_setup_link(&secret).await {
        // The page of the link says so.
        Err(Error::LinkOver) => return Ok(go(&format!("/setup/{secret}"))),
        other => other?.1,
    };
    let made = pages.app.connect_by_setup_link(&secret, &pages.visit.form_token).await;
    show(&pages, false, &view.domain.name, format!("/setup/{secret}"), made)
}

/// What a DNS host adds to the way back.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct BackQuery {
    state: String,
    error: String,
    error_description: String,
}

/// The way back, with the state in the path: not every host hands it on as a parameter.
pub(crate) async fn back(
    pages: Pages,
    Path(state): Path<String>,
    query: Result<Query<BackQuery>, QueryRejection>,
) -> Answer {
    came_back(&pages, &state, &query?.0).await
}

/// The same with the state as a parameter alone.
pub(crate) async fn back_by_parameter(
    pages: Pages,
    query: Result<Query<BackQuery>, QueryRejection>,
) -> Answer {
    let Query(query) = query?;
    came_back(&pages, &query.state, &query).await
}

async fn came_back(pages: &Pages, state: &str, query: &BackQuery) -> Answer {
    let returned = match pages.app.back_from_host(state).await {
        Err(Error::LinkOver) => return Ok(unknown()),
        other => other?,
    };
    let page = page_of(pages, &returned);
    if !query.error.is_empty() {
        let (heading, words) = told(&query.error, &query.error_description);
        let inside = pages.visit.user.is_some() || pages.login.is_none();
        let part = BackPart { heading, words, back: page };
        return framed(pages, inside, StatusCode::OK, heading.to_owned(), &part);
    }
    match pages.app.check_after_host(state).await {
        Ok(()) => {}
        // It is looked at again by itself; the page shows what is known.
        Err(error @ (Error::Unavailable(_) | Error::Busy { .. })) => {
            tracing::debug!(%error, "a domain was not looked at when a browser came back");
        }
        Err(Error::LinkOver) => return Ok(unknown()),
        Err(error) => return Err(Failure::from(error)),
    }
    if let Some(page) = page {
        return Ok(go(&page));
    }
    let part = BackPart {
        heading: "Back from the DNS host",
        words: "DNS is looked at, and nothing is left to do here. What is found is told to whoever gave you the link; if that was a \
                link to a page for setting up, open it again to see it.",
        back: None,
    };
    framed(pages, false, StatusCode::OK, part.heading.to_owned(), &part)
}

/// Where the browser goes; nothing where it is not the one that had the setup link: the address of the way back is known to the
/// DNS host, too.
fn page_of(pages: &Pages, returned: &Returned) -> Option<String> {
    match &returned.back {
        // Whoever was sent a link that the API made may have no account here.
        Back::Dashboard if pages.visit.user.is_none() && pages.login.is_some() => None,
        Back::Dashboard => Some(format!("/domains/{}", returned.domain_id)),
        Back::Setup { secret, visitor } => {
            (*visitor == pages.visit.form_token).then(|| format!("/setup/{secret}"))
        }
    }
}

/// Words of ours: what stands in an address is anybody's.
fn told(error: &str, description: &str) -> (&'static str, &'static str) {
    const NOTHING: &str = "Nothing was changed by it. You can begin again, or enter the records by hand.";
    match error {
        "access_denied" if description.starts_with("user_cancel") => ("You left it at the DNS host", NOTHING),
        "access_denied" => (
            "The DNS host did not allow it",
            "It may be another account there that has the zone. You can begin again, or enter the records by hand.",
        ),
        "temporarily_unavailable" | "server_error" => {
            ("The DNS host had a fault", "Try again in some minutes, or enter the records by hand.")
        }
        _ => (
            "The DNS host did not apply the records",
            "It gave no reason that helps. You can begin again, or enter the records by hand.",
        ),
    }
}

fn unknown() -> Response {
    let notice = Notice {
        status: StatusCode::GONE,
        title: "This way back is not known",
        message: "It is older than a day, or was not made here.".to_owned(),
        next: "What was published at the DNS host is found by itself. Open the page of the domain, or the link that you were given.",
        retry_after: None,
    };
    notice.answer()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_what_a_host_says_is_repeated() {
        let (heading, _) = told("access_denied", "user_cancel: they left");
        assert_eq!(heading, "You left it at the DNS host");
        for (error, description) in [("access_denied", "no"), ("<b>x</b>", "pay here"), ("server_error", "")]
        {
            let (heading, words) = told(error, description);
            assert!(!format!("{heading}{words}").contains("pay here") && !heading.contains('<'));
            assert_ne!(heading, "You left it at the DNS host");
        }
    }
}
