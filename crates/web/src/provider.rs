//! Logging in at a provider: the way there, and back; and linking an account to it.

use crate::{
    Pages, Web, account,
    forms::FormErrors,
    login::begun,
    page::{Answer, Section, Shell, go, html},
};
use app::{
    Error,
    oidc::{self, Arrived},
};
use askama::Template;
use axum::extract::{
    Form, Query,
    rejection::{FormRejection, QueryRejection},
};
use serde::Deserialize;

/// What the browser comes back with.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct BackQuery {
    code: String,
    state: String,
    error: String,
    iss: String,
}

/// The password, before an account is linked or not any more.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct LinkForm {
    current: String,
}

/// The way on to the provider. A link, since browsers hold the answer to a form to `form-action` of our policy too
/// (Chrome, 2026-11).
#[derive(Template)]
#[template(path = "to_provider.html")]
struct WayPage {
    shell: Shell,
    name: String,
    address: String,
}

/// Begins to link the account of who is logged in.
pub(crate) async fn link(web: Web, form: Result<Form<LinkForm>, FormRejection>) -> Answer {
    let Form(form) = form?;
    let (user, _) = account::logged_in(&web)?;
    let Some(login) = &web.pages.login else { return Err(nowhere().into()) };
    match web.app.to_link(user, &form.current, web.pages.visit.origin).await {
        Ok(departure) => {
            let name = web.app.provider_name().unwrap_or_default().to_owned();
            let shell = Shell::new(&web, Section::Account, "Link your account");
            let page = html(&WayPage { shell, name, address: departure.address })?;
            Ok(login.leave(&departure.secret, page))
        }
        Err(error) => account::page(&web, FormErrors::of(error)?.at("current", "link")).await,
    }
}

/// Takes the link away.
pub(crate) async fn unlink(web: Web, form: Result<Form<LinkForm>, FormRejection>) -> Answer {
    let Form(form) = form?;
    let (user, _) = account::logged_in(&web)?;
    match web.app.unlink(user, &form.current, web.pages.visit.origin).await {
        Ok(()) => Ok(go("/account")),
        Err(error) => account::page(&web, FormErrors::of(error)?.at("current", "link")).await,
    }
}

/// Sends the browser to the provider. It changes nothing here: what it begins ends by itself.
pub(crate) async fn leave(pages: Pages) -> Answer {
    let Some(login) = &pages.login else { return Err(nowhere().into()) };
    let departure = pages.app.to_provider(pages.visit.origin).await?;
    Ok(login.leave(&departure.secret, go(&departure.address)))
}

fn nowhere() -> Error {
    Error::NotFound { noun: "page", id: "login/provider".to_owned() }
}

pub(crate) async fn back(pages: Pages, query: Result<Query<BackQuery>, QueryRejection>) -> Answer {
    let Query(BackQuery { code, state, error, iss }) = query?;
    let Some(login) = &pages.login else { return Err(nowhere().into()) };
    let visit = &pages.visit;
    let answer = oidc::Answer { code, state, error, issuer: iss };
    let (secret, replaced) = (visit.provider_secret.as_deref(), visit.secret.as_deref());
    let arrived =
        pages.app.from_provider(&answer, secret, replaced, visit.user.as_ref(), visit.origin).await?;
    let response = match arrived {
        Arrived::In(session) => begun(&pages, &session),
        Arrived::Linked => go("/account"),
    };
    Ok(login.back(response))
}
