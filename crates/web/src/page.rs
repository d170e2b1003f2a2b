//! What all pages share: the frame around them, rendering, and the pages for what did not go through.

use crate::{Pages, Web, assets, visit::FORM_FIELD};
use app::{Error, Transport, store::Role, users::is_at_least};
use askama::Template;
use axum::{
    extract::rejection::{FormRejection, QueryRejection},
    http::{HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
};

/// The part of the dashboard that a page belongs to, for the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Domains,
    Check,
    Playground,
    Sandbox,
    Messages,
    Docs,
    Members,
    Keys,
    Webhooks,
    History,
    Account,
    None,
}

/// The frame around a page.
#[expect(clippy::struct_excessive_bools, reason = "what a template asks about")]
pub(crate) struct Shell {
    pub title: String,
    section: Section,
    pub playground: bool,
    /// Whether it is for everybody: then nothing leads to the dashboard.
    pub public: bool,
    /// Whether people log in here.
    pub login: bool,
    /// Whether no mail leaves: all of it comes into the inbox.
    pub sandbox: bool,
    /// Who is logged in.
    pub user: Option<ShellUser>,
    /// What whoever looks may do.
    role: Option<Role>,
    csrf: String,
}

/// Who is logged in, for the frame.
pub(crate) struct ShellUser {
    pub name: String,
    pub organisation: String,
}

impl Shell {
    pub fn new(web: &Web, section: Section, title: impl Into<String>) -> Self {
        Self::of(&web.pages, section, title)
    }

    pub fn of(pages: &Pages, section: Section, title: impl Into<String>) -> Self {
        let settings = pages.app.settings();
        let playground = settings.playground && !pages.public;
        let inside = pages.visit.user.as_ref().filter(|user| !user.waits_for_code);
        let user = inside
            .map(|user| ShellUser { name: user.user.name.clone(), organisation: user.organisation.clone() });
        Self {
            title: title.into(),
            section,
            playground,
            public: pages.public,
            login: pages.login.is_some(),
            sandbox: matches!(settings.transport, Transport::Sandbox(_)),
            role: if pages.login.is_some() { inside.map(|user| user.role) } else { Some(Role::Owner) },
            user,
            csrf: pages.visit.form_token.clone(),
        }
    }

    #[cfg(test)]
    pub fn sample(title: &str) -> Self {
        Self {
            title: title.to_owned(),
            section: Section::Domains,
            playground: true,
            public: false,
            login: false,
            sandbox: true,
            user: None,
            role: Some(Role::Owner),
            csrf: String::new(),
        }
    }

    /// Whether whoever looks sees the dashboard.
    pub fn inside(&self) -> bool {
        !self.public && self.role.is_some()
    }

    /// Whether whoever looks may add and change.
    pub fn writes(&self) -> bool {
        self.role.is_some_and(|role| is_at_least(role, Role::Member))
    }

    /// Whether whoever looks may do what only owners and admins do.
    pub fn administers(&self) -> bool {
        self.role.is_some_and(|role| is_at_least(role, Role::Admin))
    }

    /// The field that every form which changes something carries. It is made of hexadecimal digits.
    pub fn token(&self) -> String {
        if self.csrf.is_empty() {
            return String::new();
        }
        format!("<input type=\"hidden\" name=\"{FORM_FIELD}\" value=\"{}\">", self.csrf)
    }

    /// Marks the navigation's link to the part we are in.
    pub fn current(&self, section: &str) -> bool {
        let own = match self.section {
            Section::Domains => "domains",
            Section::Check => "check",
            Section::Playground => "playground",
            Section::Sandbox => "sandbox",
            Section::Messages => "messages",
            Section::Docs => "docs",
            Section::Members => "members",
            Section::Keys => "keys",
            Section::Webhooks => "webhooks",
            Section::History => "history",
            Section::Account => "account",
            Section::None => return false,
        };
        own == section
    }

    #[expect(clippy::unused_self, reason = "templates call methods of what they have")]
    pub fn css(&self) -> String {
        assets::css_address()
    }

    #[expect(clippy::unused_self, reason = "templates call methods of what they have")]
    pub fn js(&self) -> String {
        assets::js_address()
    }
}

/// What handlers return.
pub(crate) type Answer = Result<Response, Failure>;

/// Renders a page.
pub(crate) fn html(template: &impl Template) -> Answer {
    html_with(StatusCode::OK, template)
}

/// Renders a page with a status, such as a form that was not right.
pub(crate) fn html_with(status: StatusCode, template: &impl Template) -> Answer {
    Ok((status, Html(template.render()?)).into_response())
}

/// After a form: the browser fetches the next page with GET, so that a reload does not send the form again.
pub(crate) fn go(address: &str) -> Response {
    Redirect::to(address).into_response()
}

/// Why a page is not shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    App(#[from] Error),
    #[error("the page could not be made: {0}")]
    Render(#[from] askama::Error),
    #[error("the form was not understood: {0}")]
    Form(#[from] FormRejection),
    #[error("the address was not understood: {0}")]
    Query(#[from] QueryRejection),
}

impl Failure {
    /// A text in the address that is no id of this kind.
    pub fn no_such(noun: &'static str, id: &str) -> Self {
        Error::NotFound { noun, id: id.chars().take(60).collect() }.into()
    }
}

/// What the page for a failure says. Handlers leave it in their response, the guard renders it.
#[derive(Debug, Clone)]
pub(crate) struct Notice {
    pub status: StatusCode,
    pub title: &'static str,
    pub message: String,
    pub next: &'static str,
    /// Seconds until it may be tried again, where that is known.
    pub retry_after: Option<u32>,
}

impl Notice {
    /// The answer that the guard makes this page of.
    pub fn answer(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let notice = match self {
            Self::App(error) => of_error(&error),
            Self::Render(error) => {
                tracing::error!(%error, "a page could not be made");
                let message = "The page could not be made; the log has the reason.".to_owned();
                fault(message)
            }
            other => Notice {
                status: StatusCode::BAD_REQUEST,
                title: "This request was not understood",
                message: sentence(&other.to_string()),
                next: "Go back, reload the page, and send the form once more.",
                retry_after: None,
            },
        };
        notice.answer()
    }
}

fn fault(message: String) -> Notice {
    Notice {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        title: "Something went wrong here",
        message,
        next: "Try again. If it stays, look into the log of the instance.",
        retry_after: None,
    }
}

fn of_error(error: &Error) -> Notice {
    let (status, title, next) = match error {
        Error::NotFound { .. } => (
            StatusCode::NOT_FOUND,
            "This is not there",
            "It may have been deleted. Start from the list and look for it there.",
        ),
        Error::NoPlayground => (
            StatusCode::NOT_FOUND,
            "There is no playground here",
            "Start a development instance with countersign dev to have one.",
        ),
        Error::Unavailable(_) | Error::Busy { .. } => {
            (StatusCode::SERVICE_UNAVAILABLE, "Not possible at the moment", "Try again in a few seconds.")
        }
        Error::RateLimited { .. } | Error::AskedTooOften { .. } => {
            (StatusCode::TOO_MANY_REQUESTS, "Too much in a short time", "Wait a moment, and try again.")
        }
        Error::LoginRefused(_) => (
            StatusCode::FORBIDDEN,
            "You are not logged in",
            "Go to the login page and try again, or log in with your password or a link.",
        ),
        Error::StillInside(_) => (
            StatusCode::FORBIDDEN,
            "This did not go through",
            "You are logged in as before; begin again on the page \"Your account\".",
        ),
        Error::ProviderDown(_) => (
            StatusCode::BAD_GATEWAY,
            "Not possible at the moment",
            "Try again in a moment, or log in with your password or a link.",
        ),
        Error::LinkOver => (StatusCode::GONE, "This link works no more", "Log in, or ask for a new link."),
        Error::Internal(_) => return fault(sentence(&error.to_string())),
        Error::ScopeMissing(_)
        | Error::Unauthenticated(_)
        | Error::DomainNotAllowedForKey(_)
        | Error::DomainTenantMismatch(_)
        | Error::TenantMismatch
        | Error::KeyIsLimited
        | Error::OperatorOnly
        | Error::OrganisationDisabled
        | Error::RoleTooLow
        | Error::KeyRightsExceeded(_) => {
            (StatusCode::FORBIDDEN, "Not allowed", "Ask who runs this instance for access.")
        }
        _ => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "This did not go through",
            "Go back, change what the message names, and send it again.",
        ),
    };
    let retry_after = match error {
        Error::RateLimited { retry_after, .. }
        | Error::AskedTooOften { retry_after, .. }
        | Error::Busy { retry_after, .. } => Some(*retry_after),
        _ => None,
    };
    Notice { status, title, message: sentence(&error.to_string()), next, retry_after }
}

/// A message of an error as a sentence.
pub(crate) fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let mut out: String = characters.next().into_iter().flat_map(char::to_uppercase).collect();
    out.extend(characters.take(2_000));
    if !out.ends_with(['.', '!', '?']) {
        out.push('.');
    }
    out
}

#[derive(Template)]
#[template(path = "notice.html")]
struct NoticePage {
    shell: Shell,
    notice: Notice,
}

/// Renders the page for what did not go through.
pub(crate) fn notice(pages: &Pages, notice: Notice) -> Response {
    let (status, retry_after) = (notice.status, notice.retry_after);
    let shell = Shell::of(pages, Section::None, notice.title);
    match (NoticePage { shell, notice }).render() {
        Ok(body) => {
            let mut response = (status, Html(body)).into_response();
            if let Some(seconds) = retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            response
        }
        Err(error) => {
            tracing::error!(%error, "the page for a failure could not be made");
            let plain = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
            (status, plain, "Something went wrong here; the log has the reason.\n").into_response()
        }
    }
}

/// The page for addresses that name nothing.
pub(crate) async fn not_found() -> Response {
    let notice = Notice {
        status: StatusCode::NOT_FOUND,
        title: "There is no such page",
        message: "The address may be mistyped, or the page was moved.".to_owned(),
        next: "Start from the first page.",
        retry_after: None,
    };
    notice.answer()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_become_sentences() {
        assert_eq!(sentence("there is no domain x"), "There is no domain x.");
        assert_eq!(sentence("Done."), "Done.");
        assert_eq!(sentence(""), ".");
        assert_eq!(sentence("écrit"), "Écrit.");
    }
}
