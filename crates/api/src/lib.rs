//! The public API: JSON under `/api/v1`, its OpenAPI document, and the reference at `/docs`.
//!
//! The way of a request: [`request_id`] names and measures it and starts a time limit, [`auth`] finds out who calls and
//! whether they may ([`guard`]) and how often ([`limits`]), what came before is answered as before ([`idempotency`]), a route reads the request strictly ([`extract`]), calls one use case of `app`, and shows the result. Refusals are
//! problem documents ([`problem`]). One file per noun; no policy lives here, and no words about findings.

mod audit;
pub mod auth;
mod change_sets;
mod checks;
mod contacts;
mod dns_connections;
mod dns_hosts;
mod docs;
mod domain_connect;
mod domain_keys;
mod domain_object;
mod domains;
mod emails;
mod events;
pub mod extract;
pub mod fresh;
pub mod guard;
pub mod headers;
pub mod idempotency;
mod keys;
mod leftovers;
pub mod limits;
mod list;
mod members;
mod one_or_many;
mod openapi;
mod organisations;
mod playground;
pub mod problem;
mod profiles;
mod reputation;
pub mod request_id;
mod request_trace;
mod sandbox;
mod setup_links;
mod suppressions;
mod tenants;
mod webhooks;

pub use openapi::openapi;

use app::App;
use axum::{
    Router,
    extract::Request,
    http::header,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use problem::{Code, Problem};
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;
use utoipa_axum::router::OpenApiRouter;

/// Where the API is.
pub const BASE_PATH: &str = "/api/v1";

/// What one request may take. A check of DNS is done in 8 seconds, and reading 35 MiB takes its time.
pub(crate) const TIME_LIMIT: Duration = Duration::from_secs(30);

/// The routes that need a key.
fn routes() -> OpenApiRouter<Arc<App>> {
    let nouns = OpenApiRouter::new()
        .merge(domains::router())
        .merge(domain_keys::router())
        .merge(domain_connect::router())
        .merge(change_sets::router())
        .merge(checks::router())
        .merge(emails::router())
        .merge(events::router())
        .merge(keys::router())
        .merge(tenants::router())
        .merge(reputation::router())
        .merge(suppressions::router())
        .merge(members::router())
        .merge(organisations::router())
        .merge(contacts::router())
        .merge(setup_links::router())
        .merge(audit::router())
        .merge(webhooks::router())
        .merge(sandbox::router())
        .merge(playground::router())
        .merge(profiles::router())
        .merge(dns_connections::router())
        .merge(dns_hosts::router());
    OpenApiRouter::with_openapi(openapi::frame()).nest(BASE_PATH, nouns)
}

/// The whole crate as a router.
pub fn router(app: Arc<App>) -> Router {
    let (api, _) = routes().split_for_parts();
    let document = openapi();
    let guards = guard::Guards::of(&serde_json::to_value(&document).unwrap_or_default());
    let memory = fresh::Memory::new(Arc::clone(&app));
    let room = Arc::new(Semaphore::new(idempotency::MOST_BEGUN));
    let door = auth::Door { app: Arc::clone(&app), memory, guards: Arc::new(guards), room };
    let document = serde_json::to_vec(&document).unwrap_or_default();
    let serve_document = move || {
        let document = document.clone();
        async move { ([(header::CONTENT_TYPE, "application/json")], document) }
    };
    // The layers are around the routes that need a key, and the others come after them. The last one is the outermost. They
    // are few: each is cloned, boxed and moved for every request, with all that is inside of it.
    api.route_layer(middleware::from_fn_with_state(door, auth::authenticate))
        .route("/api/v1/openapi.json", get(serve_document))
        .route("/api", any(not_found))
        .route("/api/", any(not_found))
        .route("/api/{*rest}", any(not_found))
        .merge(docs::router())
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(
            request_id::Observer::new(Arc::clone(&app)),
            request_id::observe,
        ))
        .with_state(app)
}

async fn not_found(request: Request) -> Problem {
    let path: String = request.uri().path().chars().take(100).collect();
    Problem::new(Code::NotFound, format!("There is nothing at {path}; /docs lists what there is."))
}

async fn method_not_allowed(request: Request) -> Problem {
    let method: String = request.method().as_str().chars().take(20).collect();
    Problem::new(
        Code::MethodNotAllowed,
        format!("{method} is not possible here; the header Allow lists what is."),
    )
}

pub(crate) async fn limit_time(request: Request, next: Next) -> Response {
    let limited = tokio::time::timeout(TIME_LIMIT, next.run(request)).await;
    limited.unwrap_or_else(|_| {
        let detail = format!("The request was given up after {} seconds.", TIME_LIMIT.as_secs());
        Problem::new(Code::Timeout, detail).into_response()
    })
}
