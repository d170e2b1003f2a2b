//! The dashboard: pages that are made on the server and work without JavaScript.
//!
//! The way of the data: a route calls one use case of [`app`], turns what comes back into a view (plain strings, fit
//! to be shown) and renders a template from `templates/`. [`guard`] stands in front of every route. What is seen
//! while it changes, such as a domain's status, is a fragment of its own ([`live`]) that a small script fetches anew.
//!
//! There is no login: every visitor acts as the viewer that the router was made with, so the guard answers only
//! this machine's own names. Nothing is decided here, and nothing is read past the use cases.

mod assets;
mod check;
mod docs;
mod domain;
mod domain_live;
mod domains;
mod finding;
mod forms;
mod guard;
mod live;
mod messages;
mod page;
mod pill;
mod playground;
mod record;
mod sandbox;
mod sandbox_verdict;
mod when;

use app::{App, access::Caller};
use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{get, post},
};
use std::sync::Arc;

/// What a form may have, in bytes.
const FORM_LIMIT: usize = 64 * 1024;

/// What every route has at hand.
#[derive(Clone)]
pub(crate) struct Web {
    app: Arc<App>,
    viewer: Caller,
}

/// The dashboard's routes, and the page for addresses that name nothing as the fallback.
///
/// Whoever can reach it acts as `viewer`; requests that are not addressed to this machine are refused.
pub fn router(app: Arc<App>, viewer: Caller) -> Router {
    let web = Web { app, viewer };
    Router::new()
        .merge(domain_routes())
        .merge(playground_routes())
        .route("/check", get(check::show))
        .route("/sandbox", get(sandbox::list))
        .route("/sandbox/live", get(sandbox::list_live))
        .route("/sandbox/clear", get(sandbox::confirm_clear).post(sandbox::clear))
        .route("/sandbox/{id}", get(sandbox::show))
        .route("/sandbox/{id}/live", get(sandbox::show_live))
        .route("/sandbox/{id}/html", get(sandbox::html_part))
        .route("/sandbox/{id}/raw", get(sandbox::raw))
        .route("/messages", get(messages::list))
        .route("/messages/{id}", get(messages::show))
        .route("/messages/{id}/live", get(messages::show_live))
        .route("/docs/findings", get(docs::list))
        .route("/docs/findings/{code}", get(docs::show))
        .route("/favicon.svg", get(assets::favicon))
        .route("/assets/app.css", get(assets::css))
        .route("/assets/app.js", get(assets::js))
        .fallback(page::not_found)
        .layer(DefaultBodyLimit::max(FORM_LIMIT))
        .layer(middleware::from_fn_with_state(web.clone(), guard::stand))
        .with_state(web)
}

fn domain_routes() -> Router<Web> {
    Router::new()
        .route("/", get(domains::list).post(domains::add))
        .route("/domains/{id}", get(domain::show))
        .route("/domains/{id}/live", get(domain::live))
        .route("/domains/{id}/verify", post(domain::verify))
        .route("/domains/{id}/test", post(domain::send_test))
        .route("/domains/{id}/playground", post(domain::create_zone))
        .route("/domains/{id}/publish", post(domain::publish))
        .route("/domains/{id}/delete", get(domain::confirm_delete).post(domain::delete))
}

fn playground_routes() -> Router<Web> {
    Router::new()
        .route("/playground", get(playground::list).post(playground::create))
        .route("/playground/zones/{id}", get(playground::show))
        .route("/playground/zones/{id}/delete", get(playground::confirm_delete).post(playground::delete))
        .route("/playground/zones/{id}/records", post(playground::add_record))
        .route("/playground/zones/{id}/records/{record}", post(playground::change_record))
        .route("/playground/zones/{id}/records/{record}/delete", post(playground::delete_record))
}
