//! How often a key may call, and how lists are paged.

use crate::{
    guards::{World, operations},
    platform::{Platform, settings},
};
use app::{Settings, access::Caller, limits::RequestLimits};
use axum::http::header;

#[tokio::test]
async fn each_key_has_its_count_for_each_kind_of_request() {
    let request_limits = RequestLimits { read: 2, write: 1, send: 1, verify: 1 };
    let platform = Platform::start_with(Settings { request_limits, ..settings() }).await;
    let left = |answer: &crate::platform::Answer| {
        ["ratelimit-limit", "ratelimit-remaining"].map(|name| answer.header(name).to_owned())
    };
    let answer = platform.get("/api/v1/domains").await;
    assert_eq!((answer.status.as_u16(), left(&answer)), (200, ["2".to_owned(), "1".to_owned()]));
    // What is refused for another reason counts and tells too.
    let answer = platform.get("/api/v1/domains/dom_x").await;
    assert_eq!((answer.status.as_u16(), left(&answer)), (404, ["2".to_owned(), "0".to_owned()]));
    let answer = platform.get("/api/v1/profiles").await;
    answer.assert_problem(429, "RATE_LIMITED");
    assert_eq!(left(&answer), ["2", "0"]);
    // The clock of the test stands 20 seconds before the end of a minute.
    assert_eq!(answer.header("ratelimit-reset"), answer.header(header::RETRY_AFTER));
    assert!(answer.json()["detail"].as_str().unwrap().contains("2 reading requests a minute"));
    for (path, body) in [
        ("/api/v1/domains", "{\"domain\":\"mail.acme.test\"}"),
        ("/api/v1/emails", "{}"),
        ("/api/v1/domains/dom_x/verify", ""),
    ] {
        let first = platform.call("POST", path, body).await;
        assert_ne!(first.status, 429, "{path}");
        platform.call("POST", path, body).await.assert_problem(429, "RATE_LIMITED");
    }
    // What looks at DNS and waits for it counts as that.
    for path in ["/api/v1/domains/dom_x/claim", "/api/v1/domains/dom_x/enable", "/api/v1/sandbox/domain"] {
        let refused = platform.call("POST", path, "").await;
        refused.assert_problem(429, "RATE_LIMITED");
        assert!(refused.json()["detail"].as_str().unwrap().contains("requests to verify"), "{path}");
    }
    let other = platform.app.create_api_key("other", &Caller::owner(platform.org_id)).await.unwrap();
    assert_eq!(platform.call_with(&other, "GET", "/api/v1/domains", "").await.status, 200);
    // Who is nobody has no count.
    let answer = platform.call_with("", "GET", "/api/v1/domains", "").await;
    answer.assert_problem(401, "UNAUTHENTICATED");
    assert!(answer.headers.get("ratelimit-limit").is_none());
}

#[tokio::test]
async fn no_limit_is_no_limit() {
    let request_limits = RequestLimits { read: 0, ..RequestLimits::default() };
    let platform = Platform::start_with(Settings { request_limits, ..settings() }).await;
    for _ in 0..5 {
        let answer = platform.get("/api/v1/profiles").await;
        assert_eq!(answer.status, 200);
        assert!(answer.headers.get("ratelimit-limit").is_none());
    }
}

#[tokio::test]
async fn every_list_has_the_same_form_and_bounds() {
    let world = World::new().await;
    let document = serde_json::to_value(api::openapi()).unwrap();
    let mut lists = 0;
    for (operation, _) in operations() {
        let Some(path) = operation.strip_prefix("GET ") else { continue };
        let answer = world.call(&world.platform.key, &operation, None).await;
        let shown = serde_json::from_str::<serde_json::Value>(&answer.text).unwrap_or_default();
        if shown["object"] != "list" {
            continue;
        }
        lists += 1;
        for field in ["data", "has_more", "next_cursor"] {
            assert!(shown.get(field).is_some(), "{operation} {field}");
        }
        let parameters = document["paths"][path]["get"]["parameters"].as_array().cloned().unwrap_or_default();
        let has = |name: &str| parameters.iter().any(|parameter| parameter["name"] == name);
        if !has("limit") {
            // Bounded by what there is: profiles, DNS hosts, zones of the playground.
            assert!(!has("cursor"), "{operation}");
            continue;
        }
        // The feed of events goes on behind what was seen.
        let cursor = if has("after") { "after" } else { "cursor" };
        assert!(has(cursor), "{operation}");
        let path = world.path(&operation);
        for wrong in ["limit=0", "limit=101", "limit=x", &format!("{cursor}=x"), "crsor=x"] {
            let answer = world.platform.get(&format!("{path}?{wrong}")).await;
            answer.assert_problem(422, "INVALID_REQUEST");
        }
    }
    assert!(lists >= 9, "{lists}");
}
