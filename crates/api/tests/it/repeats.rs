//! Requests that are repeated with an `Idempotency-Key`.

use crate::platform::{Answer, Platform, settings};
use app::{
    Settings,
    access::Caller,
    contacts::AddContact,
    domains::AddDomain,
    idempotency::{Repeated, Reserved},
    keys::CreateKey,
    limits::RequestLimits,
    playground::TypedRecord,
};
use axum::{
    body::Body,
    http::{Request, header},
};
use model::RequestId;
use serde_json::json;

async fn post(platform: &Platform, key: &str, path: &str, body: &str, with: Option<&str>) -> Answer {
    let mut request = Request::post(path)
        .header(header::AUTHORIZATION, format!("Bearer {key}"))
        .header(header::CONTENT_TYPE, "application/json");
    if let Some(with) = with {
        request = request.header("Idempotency-Key", with);
    }
    platform.send(request.body(Body::from(body.to_owned())).unwrap()).await
}

const ADD: &str = r#"{"domain":"mail.acme.test"}"#;

#[tokio::test]
async fn the_first_answer_comes_again() {
    let platform = Platform::start().await;
    let add = async |with| post(&platform, &platform.key, "/api/v1/domains", ADD, with).await;
    let first = add(Some("one")).await;
    assert_eq!(first.status, 201, "{}", first.text);
    assert!(first.headers.get("idempotency-replayed").is_none());
    let again = add(Some("one")).await;
    assert_eq!((again.status, &again.text), (first.status, &first.text));
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.header(header::CONTENT_TYPE), "application/json");
    assert_ne!(again.header("x-request-id"), first.header("x-request-id"));
    // A refusal is an answer too, as its first reader saw it.
    let refused = add(Some("two")).await;
    refused.assert_problem(409, "DOMAIN_ALREADY_ADDED");
    let again = add(Some("two")).await;
    assert_eq!((again.status, &again.text), (refused.status, &refused.text));
    add(None).await.assert_problem(409, "DOMAIN_ALREADY_ADDED");
    // The one that made a key has its secret.
    let body = json!({"name": "ci", "scopes": ["read:domains"]}).to_string();
    let make = async || post(&platform, &platform.key, "/api/v1/keys", &body, Some("three")).await;
    let made = make().await;
    let again = make().await;
    assert_eq!(made.text, again.text);
    assert_eq!(again.header(header::LOCATION), made.header(header::LOCATION));
    assert_eq!(again.header(header::CACHE_CONTROL), "no-store");
    let secret = made.json()["secret"].as_str().unwrap().to_owned();
    assert_eq!(platform.call_with(&secret, "GET", "/api/v1/domains", "").await.status, 200);
    let database = std::fs::read(&platform.path).unwrap();
    let log = std::fs::read(platform.path.with_extension("db-wal")).unwrap_or_default();
    for bytes in [database, log] {
        assert!(
            !bytes.windows(secret.len()).any(|window| window == secret.as_bytes()),
            "it is stored sealed"
        );
    }
}

#[tokio::test]
async fn another_request_is_a_conflict() {
    let platform = Platform::start().await;
    let tenants = "/api/v1/tenants";
    let body = r#"{"ref":"cust_1"}"#;
    assert_eq!(post(&platform, &platform.key, tenants, body, Some("k")).await.status, 201);
    for (path, body) in
        [(tenants, r#"{"ref":"cust_2"}"#), ("/api/v1/domains", body), ("/api/v1/tenants?x=1", body)]
    {
        let answer = post(&platform, &platform.key, path, body, Some("k")).await;
        answer.assert_problem(409, "IDEMPOTENCY_KEY_REUSED");
    }
    // The keys of another API key are others.
    let other = platform.app.create_api_key("other", &Caller::owner(platform.org_id)).await.unwrap();
    let answer = post(&platform, &other, tenants, r#"{"ref":"cust_3"}"#, Some("k")).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    for wrong in [String::new(), "x".repeat(256), "ä".to_owned()] {
        let answer = post(&platform, &platform.key, tenants, body, Some(&wrong)).await;
        answer.assert_problem(422, "INVALID_REQUEST");
        assert_eq!(answer.json()["errors"][0]["field"], "Idempotency-Key");
    }
    // Elsewhere it says nothing.
    let get = Request::get("/api/v1/domains")
        .header(header::AUTHORIZATION, format!("Bearer {}", platform.key))
        .header("Idempotency-Key", "k");
    assert_eq!(platform.send(get.body(Body::empty()).unwrap()).await.status, 200);
}

#[tokio::test]
async fn two_at_once_make_one() {
    let platform = Platform::start().await;
    let add = || post(&platform, &platform.key, "/api/v1/domains", ADD, Some("k"));
    let (one, two, three, four) = tokio::join!(add(), add(), add(), add());
    let answers = [one, two, three, four];
    let made: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
    assert!(!made.is_empty());
    assert!(made.iter().all(|answer| answer.text == made[0].text));
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        answer.assert_problem(409, "IDEMPOTENCY_IN_PROGRESS");
        assert_eq!(answer.header(header::RETRY_AFTER), "2");
    }
    assert_eq!(platform.get("/api/v1/domains").await.json()["data"].as_array().unwrap().len(), 1);
    assert_eq!(add().await.text, made[0].text);
}

#[tokio::test]
async fn who_goes_away_finds_the_answer() {
    let platform = Platform::start().await;
    let add = || post(&platform, &platform.key, "/api/v1/domains", ADD, Some("k"));
    tokio::select! {
        biased;
        () = async { for _ in 0..20 { tokio::task::yield_now().await } } => {}
        _ = add() => {}
    }
    // Whether or not it had begun: there is one domain, and the answer names it.
    let answer = loop {
        let answer = add().await;
        if answer.status != 409 {
            break answer;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    assert_eq!(answer.status, 201, "{}", answer.text);
}

#[tokio::test]
async fn what_was_made_before_a_crash_is_found() {
    let platform = Platform::start().await;
    let owner = Caller::owner(platform.org_id);
    // Carried out, and the answer never kept: as if the process had died in between.
    let reserved = |is_repeat| Caller {
        reserved: Some(Reserved { number: RequestId::from_parts(1_750_000_000_000, 77), is_repeat }),
        ..owner.clone()
    };
    let request = AddDomain { domain: "mail.acme.test".into(), ..AddDomain::default() };
    let first = platform.app.add_domain(&reserved(false), &request).await.unwrap();
    let again = platform.app.add_domain(&reserved(true), &request).await.unwrap();
    assert_eq!(first.domain.id, again.domain.id);
    assert!(platform.app.add_domain(&owner, &request).await.is_err());

    let request = CreateKey { name: "ci".into(), scopes: vec!["admin".into()], ..CreateKey::default() };
    let lost = platform.app.make_key(&reserved(false), &request).await.unwrap();
    let found = platform.app.make_key(&reserved(true), &request).await.unwrap();
    assert_eq!(lost.key.id, found.key.id);
    assert!(platform.app.authenticate(&lost.secret.0).await.is_err(), "nobody has got it");
    assert!(platform.app.authenticate(&found.secret.0).await.is_ok());

    let request = AddContact { address: "ops@acme.test".into(), ..AddContact::default() };
    let lost = platform.app.add_contact(&reserved(false), &request).await.unwrap();
    assert_eq!(platform.app.add_contact(&reserved(true), &request).await.unwrap().id, lost.id);
    assert_eq!(platform.app.contacts(&owner, None, 9).await.unwrap().len(), 1);

    let lost = platform.app.create_playground_zone(&reserved(false), "play.test").await.unwrap();
    let found = platform.app.create_playground_zone(&reserved(true), "play.test").await.unwrap();
    assert_eq!(lost.id, found.id);
    let (host, record_type, value) = ("a".into(), "A".into(), "192.0.2.1".into());
    let typed = TypedRecord { host, record_type, value, ..TypedRecord::default() };
    for is_repeat in [false, true] {
        platform.app.create_playground_record(&reserved(is_repeat), lost.id, &typed).await.unwrap();
    }
    assert_eq!(platform.app.playground_zone(&owner, lost.id).await.unwrap().records.len(), 1);
}

#[tokio::test]
async fn a_request_that_is_wrong_is_not_kept() {
    let platform = Platform::start().await;
    for (body, status, code) in [("{", 400, "INVALID_JSON"), (r#"{"domain":"com"}"#, 422, "DOMAIN_INVALID")] {
        for _ in 0..2 {
            let answer = post(&platform, &platform.key, "/api/v1/domains", body, Some(code)).await;
            answer.assert_problem(status, code);
            assert!(answer.headers.get("idempotency-replayed").is_none(), "{code}");
        }
    }
}

#[tokio::test]
async fn what_says_nothing_of_the_request_is_not_kept() {
    let request_limits = RequestLimits { write: 3, ..RequestLimits::default() };
    let platform = Platform::start_with(Settings { request_limits, ..settings() }).await;
    let caller = platform.app.authenticate(&platform.key).await.unwrap();
    let Repeated::CarryOut(claim, reserved) =
        platform.app.begin_request(&caller, "k", &[b"x"]).await.unwrap()
    else {
        panic!("it is the first")
    };
    assert!(!reserved.is_repeat);
    assert!(matches!(platform.app.begin_request(&caller, "k", &[b"x"]).await.unwrap(), Repeated::Running));
    platform.app.give_back_request(&claim).await;
    let Repeated::CarryOut(_, again) = platform.app.begin_request(&caller, "k", &[b"x"]).await.unwrap()
    else {
        panic!("it was given back")
    };
    assert_eq!((again.number, again.is_repeat), (reserved.number, true));
    // The limit comes first: what is refused by it claims nothing.
    for number in 0..3 {
        let body = json!({"ref": format!("cust_{number}")}).to_string();
        let with = format!("t{number}");
        let answer = post(&platform, &platform.key, "/api/v1/tenants", &body, Some(&with)).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
    }
    let answer = post(&platform, &platform.key, "/api/v1/tenants", "{}", Some("t9")).await;
    answer.assert_problem(429, "RATE_LIMITED");
}
