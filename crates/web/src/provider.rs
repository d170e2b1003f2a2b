//! Logging in at a provider: the way there, and back.

use crate::{
    Pages,
    login::begun,
    page::{Answer, go},
};
use app::{
    Error,
    oidc::{self, Arrived},
};
use axum::extract::{Query, rejection::QueryRejection};
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
        Arrived::In(session) => begun(&pages, &session, "/"),
        Arrived::Linked => go("/account"),
    };
    Ok(login.back(response))
}
