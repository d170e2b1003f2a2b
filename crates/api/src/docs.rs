//! The reference: `/docs` (an interactive page, its files part of the program), and what every error code means.

use crate::{
    headers::PAGE_POLICY,
    problem::{Code, Problem},
};
use axum::{
    Router,
    extract::Path,
    http::{StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
    routing::get,
};
use std::{
    fmt::Write,
    sync::{Arc, LazyLock},
};
use utoipa_swagger_ui::Config;

static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
    // Without "none" the page would have the document judged by a server on the internet.
    let config = Config::from("/api/v1/openapi.json").validator_url("none").deep_linking(true).filter(true);
    Arc::new(config)
});

/// The routes of the reference. They need no key.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/docs", get(|| async { Redirect::permanent("/docs/") }))
        .route("/docs/", get(|| async { file("index.html") }))
        .route("/docs/{file}", get(|Path(name): Path<String>| async move { file(&name) }))
        .route("/docs/errors", get(|| async { page(Code::ALL) }))
        .route("/docs/errors/{code}", get(|Path(code): Path<String>| async move { error_page(&code) }))
}

fn file(name: &str) -> Response {
    match utoipa_swagger_ui::serve(name, Arc::clone(&CONFIG)) {
        Ok(Some(file)) => {
            let policy = [(header::CONTENT_SECURITY_POLICY, PAGE_POLICY)];
            (policy, [(header::CONTENT_TYPE, file.content_type)], file.bytes.into_owned()).into_response()
        }
        Ok(None) => not_there(),
        Err(error) => Problem::from(app::Error::Internal(error.to_string())).into_response(),
    }
}

fn not_there() -> Response {
    (StatusCode::NOT_FOUND, Html("<!doctype html><title>Not there</title><p>There is no such page. <a href=\"/docs/\">The reference</a>"))
        .into_response()
}

fn error_page(code: &str) -> Response {
    match Code::ALL.iter().position(|known| known.as_str() == code) {
        Some(index) => page(&Code::ALL[index..=index]),
        None => not_there(),
    }
}

/// The codes as a page. Every text in it is ours.
fn page(codes: &[Code]) -> Response {
    let mut html = String::from(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Error codes</title>\
         <style>body{font:1rem/1.5 system-ui,sans-serif;max-width:45rem;margin:2rem auto;padding:0 1rem}\
         dt{margin-top:1.2rem}dd{margin-left:0}</style>\
         <h1>Error codes</h1><p>Refusals are problem documents (RFC 9457); <code>code</code> is stable. \
         <a href=\"/docs/errors\">All codes</a>, <a href=\"/docs/\">API reference</a>.<dl>",
    );
    for code in codes {
        let (word, status, title, meaning) =
            (code.as_str(), code.status().as_u16(), code.title(), code.meaning());
        // Writing to a String does not fail.
        let _ = write!(
            html,
            "<dt id=\"{word}\"><a href=\"/docs/errors/{word}\"><code>{word}</code></a> ({status}): {title}<dd>{meaning}"
        );
    }
    html.push_str("</dl>");
    ([(header::CONTENT_SECURITY_POLICY, PAGE_POLICY)], Html(html)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn body(response: Response) -> String {
        let bytes = axum::body::to_bytes(response.into_body(), 4_000_000).await.unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    #[tokio::test]
    async fn the_reference_needs_no_other_host() {
        let page = body(file("index.html")).await;
        let initializer = body(file("swagger-initializer.js")).await;
        assert!(
            initializer.contains("/api/v1/openapi.json")
                && initializer.contains("\"validatorUrl\": \"none\"")
        );
        for text in [page, initializer] {
            assert!(
                !text.contains("src=\"http") && !text.contains("href=\"http") && !text.contains("<script>"),
                "{text}"
            );
        }
        assert_eq!(file("../Cargo.toml").status(), 404);
    }

    #[tokio::test]
    async fn every_code_has_its_page() {
        let all = body(page(Code::ALL)).await;
        for code in Code::ALL {
            assert!(all.contains(&format!("id=\"{}\"", code.as_str())));
            assert_eq!(error_page(code.as_str()).status(), 200);
        }
        assert_eq!(error_page("<script>").status(), 404);
    }
}
