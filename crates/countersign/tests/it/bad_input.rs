//! Malformed requests get a clear problem document.

use crate::support::{Platform, problem, text};
use reqwest::{Method, StatusCode, header};
use serde_json::json;

#[tokio::test]
async fn malformed_bodies_say_what_is_wrong_with_them() {
    let platform = Platform::start().await;
    let api = &platform.api;
    for (body, status, code) in [
        ("{\"domain\": ", StatusCode::BAD_REQUEST, "INVALID_JSON"),
        ("", StatusCode::BAD_REQUEST, "INVALID_JSON"),
        (
            "{\"domain\": \"mail.acme.test\", \"nonsense\": 1}",
            StatusCode::UNPROCESSABLE_ENTITY,
            "INVALID_REQUEST",
        ),
        ("{\"domain\": 5}", StatusCode::UNPROCESSABLE_ENTITY, "INVALID_REQUEST"),
        ("[]", StatusCode::UNPROCESSABLE_ENTITY, "INVALID_REQUEST"),
        ("{}", StatusCode::UNPROCESSABLE_ENTITY, "INVALID_REQUEST"),
    ] {
        let request = api.request(Method::POST, "/domains").header(header::CONTENT_TYPE, "application/json");
        let (found, problem) = problem(request.body(body).send().await.unwrap()).await;
        assert_eq!((found, text(&problem, "code")), (status, code), "{body}");
    }
    let request = api.request(Method::POST, "/domains").header(header::CONTENT_TYPE, "text/plain").body("{}");
    let (status, _) = problem(request.send().await.unwrap()).await;
    assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let huge = json!({"domain": "x".repeat(1_000_000)});
    let (status, _) = api.refused("/domains", &huge).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    let deep = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    let request =
        api.request(Method::POST, "/domains").header(header::CONTENT_TYPE, "application/json").body(deep);
    let (status, _) = problem(request.send().await.unwrap()).await;
    assert!(status.is_client_error());
    platform.stop().await;
}

#[tokio::test]
async fn unknown_paths_ids_methods_and_queries_are_refused_in_kind() {
    let platform = Platform::start().await;
    let api = &platform.api;
    for (method, path, status) in [
        (Method::GET, "/nonsense", StatusCode::NOT_FOUND),
        (Method::GET, "/domains/nonsense", StatusCode::NOT_FOUND),
        (Method::GET, "/domains/dom_01JD0000000000000000000000", StatusCode::NOT_FOUND),
        (Method::GET, "/emails/dom_01JD0000000000000000000000", StatusCode::NOT_FOUND),
        (Method::DELETE, "/domains", StatusCode::METHOD_NOT_ALLOWED),
        (Method::GET, "/domains?limit=0", StatusCode::UNPROCESSABLE_ENTITY),
        (Method::GET, "/domains?limit=101", StatusCode::UNPROCESSABLE_ENTITY),
        (Method::GET, "/domains?cursor=nonsense", StatusCode::UNPROCESSABLE_ENTITY),
        (Method::GET, "/domains?nonsense=1", StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        let (found, _) = problem(api.request(method.clone(), path).send().await.unwrap()).await;
        assert_eq!(found, status, "{method} {path}");
    }
    platform.stop().await;
}

#[tokio::test]
async fn every_operation_wants_a_key() {
    let platform = Platform::start().await;
    let api = &platform.api;
    let document: serde_json::Value = api.plain("/api/v1/openapi.json").await.json().await.unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut operations = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let Ok(method) = Method::from_bytes(method.to_uppercase().as_bytes()) else { continue };
            if !["GET", "POST", "PUT", "DELETE", "PATCH"].contains(&method.as_str()) {
                continue;
            }
            let path = path.replace("{id}", "x").replace("{code}", "x");
            for key in [None, Some("nonsense"), Some("cs_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")] {
                let mut request = client.request(method.clone(), format!("{}{path}", api.base));
                if let Some(key) = key {
                    request = request.bearer_auth(key);
                }
                let (status, problem) = problem(request.send().await.unwrap()).await;
                assert_eq!(status, StatusCode::UNAUTHORIZED, "{method} {path}");
                assert_eq!(text(&problem, "code"), "UNAUTHENTICATED");
            }
            operations += 1;
        }
    }
    assert!(operations > 15, "{operations} operations are documented");
    platform.stop().await;
}
