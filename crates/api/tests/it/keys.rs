//! Who gets in.

use crate::platform::Platform;
use app::access::{Caller, Scope};
use axum::http::header;
use serde_json::{Value, json};

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

/// Makes a key with another one.
async fn make(platform: &Platform, key: &str, body: Value) -> Value {
    let answer = platform.call_with(key, "POST", "/api/v1/keys", &body.to_string()).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    assert_eq!(answer.header(header::CACHE_CONTROL), "no-store");
    answer.json()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("{field} in {value}"))
}

#[tokio::test]
async fn a_key_is_made_used_and_revoked_at_once() {
    let platform = Platform::start().await;
    let wanted =
        json!({"name": " billing ", "scopes": ["read:domains"], "expires_at": "2027-01-01T00:00:00.123456Z"});
    let made = make(&platform, &platform.key, wanted).await;
    let (id, secret) = (text(&made, "id"), text(&made, "secret"));
    assert_eq!((text(&made, "name"), &made["scopes"]), ("billing", &json!(["read:domains"])));
    assert!(secret.starts_with(text(&made, "prefix")));
    assert_eq!(platform.call_with(secret, "GET", "/api/v1/domains", "").await.status, 200);
    let path = format!("/api/v1/keys/{id}");
    let seen = platform.get(&path).await;
    assert_eq!(seen.json()["expires_at"], made["expires_at"], "the same at every look");
    assert!(!seen.text.contains(secret) && !platform.get("/api/v1/keys").await.text.contains(secret));
    assert!(seen.json()["last_used_at"].is_string());
    for _ in 0..2 {
        assert_eq!(platform.call("DELETE", &path, "").await.json()["revoked"], true);
        let refused = platform.call_with(secret, "GET", "/api/v1/domains", "").await;
        refused.assert_problem(401, "UNAUTHENTICATED");
    }
    assert!(platform.get(&path).await.json()["revoked_at"].is_string());
    let rotate = platform.call("POST", &format!("{path}/rotate"), "{}").await;
    rotate.assert_problem(409, "KEY_NOT_ACTIVE");
}

#[tokio::test]
async fn a_rotated_key_works_until_the_overlap_is_over() {
    let platform = Platform::start().await;
    let rights = json!({"name": "ci", "scopes": ["read:domains", "write:keys"]});
    for (overlap, status) in [(60, 200), (0, 401)] {
        let old = make(&platform, &platform.key, rights.clone()).await;
        let path = format!("/api/v1/keys/{}", text(&old, "id"));
        let body = json!({"overlap_seconds": overlap}).to_string();
        // The key itself may do it.
        let new = platform.call_with(text(&old, "secret"), "POST", &format!("{path}/rotate"), &body).await;
        assert_eq!(new.status, 201, "{}", new.text);
        let new = new.json();
        assert_eq!((&new["scopes"], &new["name"]), (&rights["scopes"], &rights["name"]));
        for (secret, wanted) in [(text(&old, "secret"), status), (text(&new, "secret"), 200)] {
            assert_eq!(platform.call_with(secret, "GET", "/api/v1/domains", "").await.status, wanted);
        }
        let ended = platform.get(&path).await.json();
        assert_eq!(ended["replaced_by"], new["id"]);
        assert!(ended["expires_at"].is_string());
        platform.call("POST", &format!("{path}/rotate"), &body).await.assert_problem(409, "KEY_NOT_ACTIVE");
    }
    let old = make(&platform, &platform.key, rights).await;
    let path = format!("/api/v1/keys/{}/rotate", text(&old, "id"));
    let long = platform.call("POST", &path, "{\"overlap_seconds\":2592001}").await;
    long.assert_problem(422, "INVALID_REQUEST");
    assert_eq!(long.json()["errors"][0]["field"], "overlap_seconds");
}

#[tokio::test]
async fn no_key_makes_rotates_or_revokes_one_that_may_do_more() {
    let platform = Platform::start().await;
    let one = platform.add_domain("one.acme.test").await;
    let two = platform.add_domain("two.acme.test").await;
    let (soon, late) = ("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
    let limited = make(
        &platform,
        &platform.key,
        json!({"name": "limited", "scopes": ["write:keys", "read:domains"], "allowed_domain_ids": [one],
            "expires_at": soon}),
    )
    .await;
    let secret = text(&limited, "secret");
    let body = |scopes: Value, domains: Value, end: &str| {
        let mut body = json!({"name": "x", "scopes": scopes, "expires_at": end});
        if !domains.is_null() {
            body["allowed_domain_ids"] = domains;
        }
        body.to_string()
    };
    let reads = || json!(["read:domains"]);
    for (body, status, code) in [
        (body(reads(), json!([one]), soon), 201, ""),
        (body(reads(), json!([]), soon), 201, ""),
        (body(json!(["admin"]), json!([one]), soon), 403, "KEY_RIGHTS_EXCEEDED"),
        (body(json!(["send:emails"]), json!([one]), soon), 403, "KEY_RIGHTS_EXCEEDED"),
        (body(reads(), Value::Null, soon), 403, "KEY_RIGHTS_EXCEEDED"),
        (body(reads(), json!([one]), late), 403, "KEY_RIGHTS_EXCEEDED"),
        (body(reads(), json!([one, two]), soon), 422, "INVALID_REQUEST"),
        (body(reads(), json!(["dom_01JD0000000000000000000000"]), soon), 422, "INVALID_REQUEST"),
    ] {
        let answer = platform.call_with(secret, "POST", "/api/v1/keys", &body).await;
        match status {
            201 => assert_eq!(answer.status, 201, "{body}: {}", answer.text),
            _ => answer.assert_problem(status, code),
        }
    }
    // What is not said is as with the key that makes it.
    let made =
        make(&platform, secret, json!({"name": "y", "scopes": reads(), "allowed_domain_ids": []})).await;
    assert_eq!((text(&made, "expires_at"), &made["created_by"]), (soon, &limited["id"]));

    // A key within its domains and with a scope that it has not: seen, and neither rotated nor revoked.
    let wider = make(
        &platform,
        &platform.key,
        json!({"name": "wider", "scopes": ["send:emails"], "allowed_domain_ids": [one], "expires_at": soon}),
    )
    .await;
    let path = format!("/api/v1/keys/{}", text(&wider, "id"));
    assert_eq!(platform.call_with(secret, "GET", &path, "").await.status, 200);
    let rotated = platform.call_with(secret, "POST", &format!("{path}/rotate"), "{}").await;
    rotated.assert_problem(403, "KEY_RIGHTS_EXCEEDED");
    assert!(rotated.json()["detail"].as_str().unwrap().contains("send:emails"), "{}", rotated.text);
    platform.call_with(secret, "DELETE", &path, "").await.assert_problem(403, "KEY_RIGHTS_EXCEEDED");
    assert_eq!(platform.call_with(text(&wider, "secret"), "GET", "/api/v1/profiles", "").await.status, 200);
}

#[tokio::test]
async fn a_key_that_cannot_be_is_refused_with_its_reason() {
    let platform = Platform::start().await;
    for (body, field) in [
        (json!({"name": " ", "scopes": ["admin"]}), "name"),
        (json!({"name": "x".repeat(101), "scopes": ["admin"]}), "name"),
        (json!({"name": "x", "scopes": []}), "scopes"),
        (json!({"name": "x", "scopes": ["admin", "read:all"]}), "scopes[1]"),
        (json!({"name": "x", "scopes": ["admin"], "expires_at": "2020-01-01T00:00:00Z"}), "expires_at"),
        (
            json!({"name": "x", "scopes": ["admin"], "tenant_id": "tnt_01JD0000000000000000000000"}),
            "tenant_id",
        ),
        (json!({"name": "x", "scopes": ["admin"], "domains": []}), "domains"),
    ] {
        let answer = platform.call("POST", "/api/v1/keys", &body.to_string()).await;
        answer.assert_problem(422, "INVALID_REQUEST");
        assert_eq!(answer.json()["errors"][0]["field"], field, "{body}");
    }
}
