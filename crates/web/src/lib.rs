//! The dashboard: pages that are made on the server and work without JavaScript.
//!
//! The way of the data: a route calls one use case of [`app`], turns what comes back into a view (plain strings, fit
//! to be shown) and renders a template from `templates/`. [`guard`] stands in front of every route. What is seen
//! while it changes, such as a domain's status, is a fragment of its own ([`live`]) that a small script fetches anew.
//!
//! There is no login: every visitor acts as the viewer that the router was made with, so the guard answers only
//! this machine's own names. [`public_router`] is for everybody: it has the pages that show nothing of what is stored
//! here, and no viewer. Nothing is decided here, and nothing is read past the use cases.

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
mod operator;
mod page;
mod pill;
mod playground;
mod record;
mod sandbox;
mod sandbox_verdict;
mod when;

pub use guard::is_this_machine;
pub use operator::HealthSource;

use app::{App, access::Caller};
use axum::{
    Router,
    extract::{DefaultBodyLimit, FromRef},
    middleware,
    response::Redirect,
    routing::{get, post},
};
use std::{net::IpAddr, sync::Arc};

/// What a form may have, in bytes.
const FORM_LIMIT: usize = 64 * 1024;

/// What every route has at hand.
#[derive(Clone)]
pub(crate) struct Web {
    app: Arc<App>,
    viewer: Caller,
}

/// What the pages have at hand that show nothing of what is stored here: in the dashboard, and for everybody.
#[derive(Clone)]
pub(crate) struct Pages {
    app: Arc<App>,
    /// Whether everybody may come; else only this machine's own names are answered.
    public: bool,
    /// The proxies whose word about the visitor's address counts.
    proxies: Arc<[IpAddr]>,
}

impl FromRef<Web> for Pages {
    fn from_ref(web: &Web) -> Self {
        Self { app: Arc::clone(&web.app), public: false, proxies: Arc::new([]) }
    }
}

/// The dashboard's routes, and the page for addresses that name nothing as the fallback.
///
/// Whoever can reach it acts as `viewer`; requests that are not addressed to this machine are refused.
pub fn router(app: Arc<App>, viewer: Caller) -> Router {
    let web = Web { app, viewer };
    let routes = Router::new()
        .merge(domain_routes())
        .merge(playground_routes())
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
        .layer(DefaultBodyLimit::max(FORM_LIMIT))
        .with_state(web.clone());
    guarded(routes, Pages::from_ref(&web))
}

/// The pages for everybody: the check of any domain and the manual of findings. No API, no dashboard, no metrics.
///
/// A visitor is known by the address of the connection, or by what one of `proxies` says of it in `X-Forwarded-For`.
pub fn public_router(app: Arc<App>, proxies: &[IpAddr]) -> Router {
    let index = Router::new().route("/", get(async || Redirect::to("/check")));
    let proxies = proxies.iter().map(IpAddr::to_canonical).collect();
    guarded(index, Pages { app, public: true, proxies })
}

/// The health of the platform, for a listener that only its operator reaches, with the manual of findings beside it.
pub fn operator_router(app: Arc<App>, source: HealthSource) -> Router {
    let index = Router::new().route("/", get(async || Redirect::to("/operator")));
    let pages = Pages { app, public: true, proxies: Arc::new([]) };
    let routes = operator_routes(pages.clone(), source);
    guarded(index.merge(routes), pages)
}

/// The same in development, beside the dashboard.
pub fn operator_pages(app: Arc<App>, source: HealthSource) -> Router {
    let pages = Pages { app, public: false, proxies: Arc::new([]) };
    let guard = middleware::from_fn_with_state(pages.clone(), guard::stand);
    operator_routes(pages, source).layer(guard)
}

fn operator_routes(pages: Pages, source: HealthSource) -> Router {
    Router::new()
        .route("/operator", get(operator::show))
        .route("/operator/health", get(operator::json))
        .with_state(operator::Operator { pages, source })
}

/// These routes and the pages that show nothing of what is stored here, the guard in front of all.
fn guarded(routes: Router, state: Pages) -> Router {
    let guard = middleware::from_fn_with_state(state.clone(), guard::stand);
    routes.merge(pages(state)).fallback(page::not_found).layer(guard)
}

fn pages(pages: Pages) -> Router {
    Router::new()
        .route("/check", get(check::show).post(check::post))
        .layer(DefaultBodyLimit::max(check::FORM_LIMIT))
        .route("/docs/findings", get(docs::list))
        .route("/docs/findings/{code}", get(docs::show))
        .route("/favicon.svg", get(assets::favicon))
        .route("/assets/app.css", get(assets::css))
        .route("/assets/app.js", get(assets::js))
        .with_state(pages)
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
