//! The dashboard: pages that are made on the server and work without JavaScript.
//!
//! The way of the data: a route calls one use case of [`app`], turns what comes back into a view (plain strings, fit
//! to be shown) and renders a template from `templates/`. [`guard`] stands in front of every route. What is seen
//! while it changes, such as a domain's status, is a fragment of its own ([`live`]) that a small script fetches anew.
//!
//! With a login ([`router_with_login`]) a session says who visits, and [`routes`] says what each page and form needs; in
//! development ([`router`]) every visitor acts as the viewer that the router was made with, so the guard answers only
//! this machine's own names. [`public_router`] is for everybody: it has the pages that show nothing of what is stored
//! here, and no viewer. Nothing is decided here, and nothing is read past the use cases.

mod account;
mod assets;
mod change_sets;
mod check;
mod confirm;
mod contact;
mod docs;
mod domain;
mod domain_connect;
mod domain_live;
mod domain_step;
mod domains;
mod finding;
mod forms;
mod guard;
mod history;
mod keys;
mod live;
mod login;
mod members;
mod messages;
mod operator;
mod page;
mod pill;
mod playground;
mod provider;
mod record;
mod records;
mod routes;
mod sandbox;
mod sandbox_verdict;
mod setup;
mod setup_links;
mod visit;
mod webhooks;
mod when;
mod write;

pub use guard::{client_address, is_addressed_to_operator, is_this_machine};
pub use operator::HealthSource;
pub use routes::{Needs, Route};

use app::{App, access::Caller, store::Role};
use axum::{
    Extension, Router,
    extract::{DefaultBodyLimit, FromRequestParts},
    http::{StatusCode, request::Parts},
    middleware,
    response::Redirect,
};
use domain_step::Step;
use guard::Guard;
use routes::{Routes, Table};
use std::{net::IpAddr, sync::Arc};
use visit::{LoginSettings, Visit};

/// What a form may have, in bytes.
pub(crate) const FORM_LIMIT: usize = 64 * 1024;

/// What every page of the dashboard has at hand: who looks, and what all pages have.
#[derive(Clone)]
pub(crate) struct Web {
    pub app: Arc<App>,
    /// Who looks.
    pub viewer: Caller,
    pub pages: Pages,
}

/// What all pages have at hand: those of the dashboard, and those for everybody.
#[derive(Clone)]
pub(crate) struct Pages {
    pub app: Arc<App>,
    /// Whether everybody may come; else only this machine's own names are answered, or those who log in.
    pub public: bool,
    /// How people log in, where they do.
    pub login: Option<Arc<LoginSettings>>,
    /// The proxies whose word about the visitor's address counts.
    pub proxies: Arc<[IpAddr]>,
    /// Who visits.
    pub visit: Arc<Visit>,
}

impl Pages {
    fn new(app: &Arc<App>, proxies: &[IpAddr]) -> Self {
        let proxies = proxies.iter().map(IpAddr::to_canonical).collect();
        Self { app: Arc::clone(app), public: false, login: None, proxies, visit: Arc::default() }
    }
}

/// The guard leaves it with the request; what it did not let in has none.
impl<S: Sync> FromRequestParts<S> for Web {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, StatusCode> {
        parts.extensions.get::<Self>().cloned().ok_or(StatusCode::FORBIDDEN)
    }
}

impl<S: Sync> FromRequestParts<S> for Pages {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, StatusCode> {
        parts.extensions.get::<Self>().cloned().ok_or(StatusCode::FORBIDDEN)
    }
}

/// The dashboard of development, and the page for addresses that name nothing as the fallback.
///
/// Whoever can reach it acts as `viewer`; requests that are not addressed to this machine are refused.
pub fn router(app: &Arc<App>, viewer: Caller, health: HealthSource) -> Router {
    let routes = dashboard(true).and(open_pages()).and(operator_pages(health)).and(link_pages());
    guarded(routes, Pages::new(app, &[]), Some(viewer))
}

/// The dashboard for those who log in. `proxies` are those whose word about a visitor's address counts.
pub fn router_with_login(app: &Arc<App>, proxies: &[IpAddr]) -> Router {
    let login = LoginSettings::new(&app.settings().public_url);
    let pages = Pages { login: Some(Arc::new(login)), ..Pages::new(app, proxies) };
    guarded(with_login(), pages, None)
}

/// The pages for everybody: the check of any domain and the manual of findings. No API, no dashboard, no metrics.
///
/// A visitor is known by the address of the connection, or by what one of `proxies` says of it in `X-Forwarded-For`.
pub fn public_router(app: &Arc<App>, proxies: &[IpAddr]) -> Router {
    let index = Routes::default().get("/", Needs::Nothing, async || Redirect::to("/check"));
    guarded(index.and(open_pages()), Pages { public: true, ..Pages::new(app, proxies) }, None)
}

/// The health of the platform, for a listener that only its operator reaches, with the manual of findings beside it.
pub fn operator_router(app: &Arc<App>, health: HealthSource) -> Router {
    let index = Routes::default().get("/", Needs::Nothing, async || Redirect::to("/operator"));
    let routes = index.and(operator_pages(health)).and(open_pages());
    guarded(routes, Pages { public: true, ..Pages::new(app, &[]) }, None)
}

fn operator_pages(health: HealthSource) -> Routes {
    Routes::default()
        .get("/operator", Needs::Nothing, operator::show)
        .get("/operator/health", Needs::Nothing, operator::json)
        .layered(|router| router.layer(Extension(health)))
}

/// The routes of the dashboard with login, and what each needs.
pub fn routes() -> Vec<Route> {
    with_login().into_parts().1
}

fn with_login() -> Routes {
    dashboard(false).and(open_pages()).and(people()).and(link_pages())
}

/// These routes, with the guard in front of all.
fn guarded(routes: Routes, pages: Pages, viewer: Option<Caller>) -> Router {
    let (router, list) = routes.into_parts();
    let guard = Guard { pages, viewer, table: Arc::new(Table(list)) };
    router.fallback(page::not_found).layer(middleware::from_fn_with_state(guard, guard::stand))
}

/// The pages that show nothing of what is stored here.
fn open_pages() -> Routes {
    Routes::default()
        .get("/check", Needs::Nothing, check::show)
        .post("/check", Needs::Nothing, check::post)
        .layered(|router| router.layer(DefaultBodyLimit::max(check::FORM_LIMIT)))
        .get("/docs/findings", Needs::Nothing, docs::list)
        .get("/docs/findings/{code}", Needs::Nothing, docs::show)
        .get("/favicon.svg", Needs::Nothing, assets::favicon)
        .get("/assets/app.css", Needs::Nothing, assets::css)
        .get("/assets/app.js", Needs::Nothing, assets::js)
}

fn dashboard(playground: bool) -> Routes {
    const VIEWER: Needs = Needs::Role(Role::Viewer);
    const MEMBER: Needs = Needs::Role(Role::Member);
    const ADMIN: Needs = Needs::Role(Role::Admin);
    let routes = Routes::default()
        .get("/", VIEWER, domains::list)
        .post("/", MEMBER, domains::add)
        .get("/domains/{id}", VIEWER, domain::show)
        .get("/domains/{id}/live", VIEWER, domain::live)
        .get("/domains/{id}/records/{form}", VIEWER, records::download)
        .post("/domains/{id}/verify", MEMBER, domain::verify)
        .post("/domains/{id}/test", MEMBER, domain::send_test)
        .get("/domains/{id}/setup-links", MEMBER, setup_links::list)
        .post("/domains/{id}/setup-links", MEMBER, setup_links::make)
        .post("/domains/{id}/setup-links/{link}/delete", MEMBER, setup_links::take_back)
        .get("/domains/{id}/write", MEMBER, write::show)
        .post("/domains/{id}/write", MEMBER, write::plan)
        .post("/domains/{id}/write/apply", MEMBER, write::apply)
        .post("/domains/{id}/connect", MEMBER, domain_connect::connect)
        .get("/change-sets/{id}", VIEWER, change_sets::show)
        .post("/change-sets/{id}/apply", MEMBER, change_sets::apply)
        .post("/change-sets/{id}/undo", MEMBER, change_sets::undo)
        .get("/sandbox", VIEWER, sandbox::list)
        .get("/sandbox/live", VIEWER, sandbox::list_live)
        .get("/sandbox/clear", ADMIN, sandbox::confirm_clear)
        .post("/sandbox/clear", ADMIN, sandbox::clear)
        .get("/sandbox/{id}", VIEWER, sandbox::show)
        .get("/sandbox/{id}/live", VIEWER, sandbox::show_live)
        .get("/sandbox/{id}/html", VIEWER, sandbox::html_part)
        .get("/sandbox/{id}/raw", VIEWER, sandbox::raw)
        .get("/messages", VIEWER, messages::list)
        .get("/messages/{id}", VIEWER, messages::show)
        .get("/messages/{id}/live", VIEWER, messages::show_live)
        .get("/history", VIEWER, history::events)
        .get("/history/changes", ADMIN, history::audit)
        .and(keys_and_webhooks());
    let steps = [
        (Step::Claim, MEMBER),
        (Step::Rotate, MEMBER),
        (Step::DiscardKey, MEMBER),
        (Step::Disable, ADMIN),
        (Step::Enable, ADMIN),
        (Step::Resume, ADMIN),
        (Step::Delete, ADMIN),
    ];
    let routes = steps.into_iter().fold(routes, |routes, (step, needs)| {
        routes.get(step.path(), needs, move |web, id| domain_step::confirm(step, web, id)).post(
            step.path(),
            needs,
            move |web, id, form| domain_step::act(step, web, id, form),
        )
    });
    let routes = if playground {
        routes
            .post("/domains/{id}/playground", MEMBER, domain::create_zone)
            .post("/domains/{id}/publish", MEMBER, domain::publish)
            .post("/domains/{id}/change-sets", MEMBER, change_sets::plan)
            .get("/playground", VIEWER, playground::list)
            .post("/playground", MEMBER, playground::create)
            .get("/playground/zones/{id}", VIEWER, playground::show)
            .get("/playground/zones/{id}/delete", MEMBER, playground::confirm_delete)
            .post("/playground/zones/{id}/delete", MEMBER, playground::delete)
            .post("/playground/zones/{id}/records", MEMBER, playground::add_record)
            .post("/playground/zones/{id}/records/{record}", MEMBER, playground::change_record)
            .post("/playground/zones/{id}/records/{record}/delete", MEMBER, playground::delete_record)
    } else {
        routes
    };
    routes.layered(|router| router.layer(DefaultBodyLimit::max(FORM_LIMIT)))
}

/// What programs log in with, and what they are told.
fn keys_and_webhooks() -> Routes {
    const ADMIN: Needs = Needs::Role(Role::Admin);
    Routes::default()
        .get("/keys", ADMIN, keys::list)
        .post("/keys", ADMIN, keys::create)
        .get("/keys/{id}", ADMIN, keys::show)
        .post("/keys/{id}/rotate", ADMIN, keys::rotate)
        .get("/keys/{id}/revoke", ADMIN, keys::confirm_revoke)
        .post("/keys/{id}/revoke", ADMIN, keys::revoke)
        .get("/webhooks", ADMIN, webhooks::list)
        .post("/webhooks", ADMIN, webhooks::create)
        .get("/webhooks/{id}", ADMIN, webhooks::show)
        .post("/webhooks/{id}", ADMIN, webhooks::change)
        .post("/webhooks/{id}/enable", ADMIN, webhooks::enable)
        .get("/webhooks/{id}/disable", ADMIN, webhooks::confirm_disable)
        .post("/webhooks/{id}/disable", ADMIN, webhooks::disable)
        .post("/webhooks/{id}/test", ADMIN, webhooks::test)
        .get("/webhooks/{id}/rotate", ADMIN, webhooks::confirm_rotate)
        .post("/webhooks/{id}/rotate", ADMIN, webhooks::rotate)
        .post("/webhooks/{id}/replay", ADMIN, webhooks::replay)
        .get("/webhooks/{id}/delete", ADMIN, webhooks::confirm_delete)
        .post("/webhooks/{id}/delete", ADMIN, webhooks::delete)
        .get("/webhooks/{id}/deliveries/{delivery}", ADMIN, webhooks::show_delivery)
        .post("/webhooks/{id}/deliveries/{delivery}/replay", ADMIN, webhooks::replay_delivery)
}

/// What somebody without an account opens by a link: where contacts confirm their address, and where a domain is set up.
fn link_pages() -> Routes {
    Routes::default()
        .get("/contacts/confirm", Needs::Token, contact::show)
        .post("/contacts/confirm", Needs::Token, contact::confirm)
        .get("/setup/{secret}", Needs::Token, setup::show)
        .get("/setup/{secret}/live", Needs::Nothing, setup::fragment)
        .get("/setup/{secret}/records/{form}", Needs::Nothing, setup::download)
        .post("/setup/{secret}/check", Needs::Token, setup::check)
        .get("/setup/{secret}/write", Needs::Token, write::show_by_link)
        .post("/setup/{secret}/write", Needs::Token, write::plan_by_link)
        .post("/setup/{secret}/write/apply", Needs::Token, write::apply_by_link)
        .post("/setup/{secret}/connect", Needs::Token, domain_connect::connect_by_link)
        .get("/domain-connect/return", Needs::Token, domain_connect::back_by_parameter)
        .get("/domain-connect/return/{state}", Needs::Token, domain_connect::back)
        .layered(|router| router.layer(DefaultBodyLimit::max(FORM_LIMIT)))
}

/// How people get in, their account, and who they are.
fn people() -> Routes {
    const VIEWER: Needs = Needs::Role(Role::Viewer);
    const ADMIN: Needs = Needs::Role(Role::Admin);
    Routes::default()
        .get("/login", Needs::Token, login::show)
        .post("/login", Needs::Token, login::log_in)
        .post("/login/send", Needs::Token, login::send_link)
        .get("/login/link", Needs::Token, login::show_link)
        .post("/login/link", Needs::Token, login::use_link)
        .get("/login/provider", Needs::Token, provider::leave)
        .get("/login/provider/back", Needs::Token, provider::back)
        .get("/login/code", Needs::Session, login::show_code)
        .post("/login/code", Needs::Session, login::enter_code)
        .post("/logout", Needs::Session, login::log_out)
        .get("/welcome", Needs::Token, login::show_welcome)
        .post("/welcome", Needs::Token, login::welcome)
        .get("/invitation", Needs::Token, login::show_invitation)
        .post("/invitation", Needs::Token, login::accept_invitation)
        .get("/reset", Needs::Token, login::show_reset)
        .post("/reset", Needs::Token, login::reset)
        .get("/account", VIEWER, account::show)
        .post("/account/password", VIEWER, account::change_password)
        .get("/account/second-factor", VIEWER, account::show_second_factor)
        .post("/account/second-factor", VIEWER, account::set_second_factor)
        .post("/account/second-factor/remove", VIEWER, account::remove_second_factor)
        .post("/account/provider", VIEWER, provider::link)
        .post("/account/provider/remove", VIEWER, provider::unlink)
        .post("/account/organisation", VIEWER, account::switch_organisation)
        .get("/members", ADMIN, members::list)
        .post("/members", ADMIN, members::invite)
        .post("/members/withdraw", ADMIN, members::withdraw)
        .post("/members/{id}/role", ADMIN, members::set_role)
        .get("/members/{id}/remove", ADMIN, members::confirm_remove)
        .post("/members/{id}/remove", ADMIN, members::remove)
        .post("/organisation", ADMIN, members::rename)
        .layered(|router| router.layer(DefaultBodyLimit::max(FORM_LIMIT)))
}
