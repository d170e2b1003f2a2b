//! `/checks`: its bounds.

use crate::platform::{Platform, settings};
use app::{Settings, access::Caller, checks::CheckRequest, diagnosis::inquiry::Policy};
use axum::http::header;
use std::{
    net::UdpSocket,
    time::{Duration, Instant},
};

/// How long anything may take before a test gives up. Never what a test asserts.
const PATIENCE: Duration = Duration::from_secs(30);

const BODY: &str = "{\"domain\":\"acme.test\"}";

#[tokio::test]
async fn where_all_places_are_taken_the_client_is_told_to_come_back() {
    // A resolver that never answers.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let check_policy = Policy::for_resolvers(vec![silent.local_addr().unwrap()]);
    let platform =
        Platform::start_with(Settings { check_policy, checks_per_minute: 1_000_000, ..settings() }).await;
    let caller = Caller::owner(platform.org_id);
    let request = CheckRequest { domain: "acme.test".into(), ..CheckRequest::default() };
    let start = |counted| platform.app.start_check(counted, &request, drop);
    let mut running = Vec::new();
    let refused = loop {
        match start(platform.app.count_check(&caller).unwrap()) {
            Ok(check) => running.push(check),
            Err(error) => break error,
        }
        assert!(running.len() < 100, "there is no bound");
    };
    assert!(matches!(refused, app::Error::Busy { .. }), "{refused:?}");
    assert_eq!(running.len(), 32);
    let busy = platform.call("POST", "/api/v1/checks", BODY).await;
    busy.assert_problem(503, "BUSY");
    assert_eq!(busy.header(header::RETRY_AFTER), "5");
    let visitor = || platform.app.count_visitor_check([192, 0, 2, 1].into()).unwrap();
    drop(start(visitor()).expect("visitors have places of their own"));
    // A check that is given up frees its place.
    running.pop();
    let until = Instant::now() + PATIENCE;
    while start(platform.app.count_check(&caller).unwrap()).is_err() {
        assert!(Instant::now() < until, "no place came free");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_check_that_nobody_waits_for_gives_its_place_free_all_the_same() {
    let platform = Platform::start_with(Settings { checks_per_minute: 1_000_000, ..settings() }).await;
    let request = CheckRequest { domain: "acme.test".into(), ..CheckRequest::default() };
    let start = || {
        let counted = platform.app.count_visitor_check([192, 0, 2, 1].into()).unwrap();
        platform.app.start_check(counted, &request, drop)
    };
    let mut running = Vec::new();
    let until = Instant::now() + PATIENCE;
    while running.len() < 100 {
        match start() {
            Ok(check) => running.push(check),
            Err(_) => tokio::task::yield_now().await,
        }
        assert!(Instant::now() < until, "{} were started", running.len());
    }
}

#[tokio::test]
async fn refused_requests_count_too() {
    let platform = Platform::start_with(Settings { checks_per_minute: 3, ..settings() }).await;
    for (body, status) in [("{}", 422), ("{", 400), ("{\"domain\":\"a b\"}", 422), (BODY, 429), ("{", 429)] {
        let answer = platform.call("POST", "/api/v1/checks", body).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text);
    }
    // On the page a template that is none.
    let request =
        CheckRequest { domain: "acme.test".into(), template: Some("{".into()), ..CheckRequest::default() };
    let visit = || platform.app.count_visitor_check([192, 0, 2, 1].into());
    for _ in 0..3 {
        let refused = platform.app.start_check(visit().unwrap(), &request, drop).unwrap_err();
        assert!(matches!(refused, app::Error::Invalid(_)), "{refused:?}");
    }
    assert!(matches!(visit().unwrap_err(), app::Error::RateLimited { allowed: 3, .. }));
}

#[tokio::test]
async fn one_network_locks_nobody_else_out() {
    let platform = Platform::start_with(Settings { checks_per_minute: 2, ..settings() }).await;
    let from = |address: &str| platform.app.count_visitor_check(address.parse().unwrap()).is_ok();
    assert_eq!([(); 3].map(|()| from("2001:db8:1:1::1")), [true, true, false]);
    let admitted = (0..40_000).filter(|number| from(&format!("2001:db8:1:{number:x}::9"))).count();
    assert_eq!(admitted, 14, "a /48 comes eight times as often as one client");
    for other in ["2001:db8:2::1", "2001:db9::1", "192.0.2.1", "::ffff:192.0.2.2"] {
        assert!(from(other) && from(other) && !from(other), "{other}");
    }
    // Clients of IPv6 are as many as one likes. Those of IPv4 and the callers with keys are counted apart from them.
    let many = (0..40_000).filter(|number| from(&format!("2001:{number:x}::1"))).count();
    assert!(many < 40_000, "they share a count in the end");
    assert!(from("198.51.100.1"));
    assert_eq!(platform.call("POST", "/api/v1/checks", BODY).await.status, 200);
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
