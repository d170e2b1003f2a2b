//! Who gets in.

use crate::platform::Platform;
use app::access::{Caller, Scope};
use axum::http::header;

#[tokio::test]
async fn every_operation_of_the_document_is_refused_without_a_valid_key() {
    let platform = Platform::start().await;
    let document = serde_json::to_value(api::openapi()).unwrap();
    let unknown = format!("cs_{}", "a".repeat(38));
    let mut tried = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let path = path.replace("{id}", "dom_01JD0000000000000000000000");
        for method in item.as_object().unwrap().keys() {
            for key in ["", "x", unknown.as_str()] {
                // The body is no JSON either: who has no key learns nothing of what is behind the door.
                let answer = platform.call_with(key, &method.to_uppercase(), &path, "{").await;
                answer.assert_problem(401, "UNAUTHENTICATED");
                assert!(answer.header(header::WWW_AUTHENTICATE).starts_with("Bearer"), "{method} {path}");
                tried += 1;
            }
        }
    }
    assert!(tried >= 75, "{tried}");
}

#[tokio::test]
async fn a_key_may_do_what_its_scopes_say() {
    let platform = Platform::start().await;
    let id = platform.add_domain("mail.acme.test").await;
    let scopes = [Scope::ReadDomains].into_iter().collect();
    let reader = Caller { scopes, ..Caller::owner(platform.org_id) };
    let key = platform.app.create_api_key("reader", &reader).await.unwrap();
    for path in [format!("/api/v1/domains/{id}"), "/api/v1/profiles".to_owned()] {
        assert_eq!(platform.call_with(&key, "GET", &path, "").await.status, 200);
    }
    for (method, path) in [
        ("POST", format!("/api/v1/domains/{id}/verify")),
        ("DELETE", format!("/api/v1/domains/{id}")),
        ("GET", "/api/v1/emails".to_owned()),
        ("GET", "/api/v1/sandbox/messages".to_owned()),
        ("DELETE", "/api/v1/sandbox/messages".to_owned()),
        ("GET", "/api/v1/playground/zones".to_owned()),
    ] {
        platform.call_with(&key, method, &path, "").await.assert_problem(403, "SCOPE_MISSING");
    }
}

#[tokio::test]
async fn the_reference_needs_no_key() {
    let platform = Platform::start().await;
    for (path, media_type) in [
        ("/api/v1/openapi.json", "application/json"),
        ("/docs/", "text/html"),
        ("/docs/swagger-ui-bundle.js", "text/javascript"),
        ("/docs/errors", "text/html"),
        ("/docs/errors/DOMAIN_NOT_FOUND", "text/html"),
    ] {
        let answer = platform.call_with("", "GET", path, "").await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.header(header::CONTENT_TYPE).starts_with(media_type), "{path}");
    }
    let served = platform.call_with("", "GET", "/api/v1/openapi.json", "").await.json();
    assert_eq!(served, serde_json::to_value(api::openapi()).unwrap());
    assert_eq!(platform.call_with("", "GET", "/docs", "").await.header(header::LOCATION), "/docs/");
    assert_eq!(platform.call_with("", "GET", "/docs/nothing", "").await.status, 404);
}
