//! `/checks`: its bounds.

use crate::platform::{Platform, settings};
use app::{access::Caller, checks::CheckRequest};
use axum::http::header;

const BODY: &str = "{\"domain\":\"acme.test\"}";

#[tokio::test]
async fn where_all_places_are_taken_the_client_is_told_to_come_back() {
    let platform = Platform::start().await;
    let caller = Caller::owner(platform.org_id);
    let request = CheckRequest { domain: "acme.test".into(), ..CheckRequest::default() };
    let mut places = Vec::new();
    let refused = loop {
        match platform.app.admit_check(&caller, &request) {
            Ok(place) => places.push(place),
            Err(error) => break error,
        }
        assert!(places.len() < 100, "there is no bound");
    };
    assert!(matches!(refused, app::Error::Busy { .. }), "{refused:?}");
    assert_eq!(places.len(), 32);
    let busy = platform.call("POST", "/api/v1/checks", BODY).await;
    busy.assert_problem(503, "BUSY");
    assert_eq!(busy.header(header::RETRY_AFTER), "5");
    // A check that is given up frees its place.
    places.pop();
    let checked = platform.call("POST", "/api/v1/checks", BODY).await;
    assert_eq!(
        (checked.status.as_u16(), &checked.json()["verdict"]),
        (200, &"unknown".into()),
        "nobody answered"
    );
}

#[tokio::test]
async fn names_outside_the_public_dns_are_not_asked_for_but_in_development() {
    let mut public = settings();
    public.check_policy.private_addresses = false;
    let platform = Platform::start_with(public).await;
    for domain in ["printer.corp", "localhost", "nas.local", "acme.test"] {
        let answer = platform.call("POST", "/api/v1/checks", &format!("{{\"domain\":\"{domain}\"}}")).await;
        answer.assert_problem(422, "INVALID_REQUEST");
        assert!(answer.text.contains("no public suffix"), "{}", answer.text);
    }
    let answer = platform.call("POST", "/api/v1/checks", "{\"domain\":\"mail.example.com\"}").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}
