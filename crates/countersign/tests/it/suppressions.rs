//! Mail that is not sent to who is suppressed, and mail that is sent once however often it is asked for.

use crate::support::{Platform, problem, text};
use app::{access::Caller, emails::SendEmail, idempotency::Reserved};
use model::RequestId;
use reqwest::{Method, StatusCode};
use serde_json::json;

#[tokio::test]
async fn who_is_suppressed_gets_no_mail() {
    let platform = Platform::start().await;
    let api = &platform.api;
    api.verified("mail.acme.test", "acme.test", "two-txt").await;
    let entry = api.post("/suppressions", &json!({"address": "No@Example.org", "reason": "asked to"})).await;
    assert_eq!((text(&entry, "address"), text(&entry, "reason")), ("no@example.org", "asked to"));
    let message = |to: &[&str], cc: &[&str]| json!({"from": "me@mail.acme.test", "to": to, "cc": cc, "subject": "Hi", "text": "Hi."});
    let (status, refused) =
        api.refused("/emails", &message(&["yes@example.org", "no@EXAMPLE.org"], &["no@example.org"])).await;
    assert_eq!((status, text(&refused, "code")), (StatusCode::UNPROCESSABLE_ENTITY, "RECIPIENT_SUPPRESSED"));
    let fields: Vec<_> = refused["errors"].as_array().unwrap().iter().map(|e| text(e, "field")).collect();
    assert_eq!(fields, ["to[1]", "cc[0]"]);
    assert_eq!(api.get("/emails").await["data"], json!([]));
    // Another tenant's list is not ours.
    let added = api
        .request(Method::POST, "/suppressions")
        .header("X-Countersign-Tenant-Ref", "cust_1")
        .json(&json!({"address": "yes@example.org"}))
        .send()
        .await
        .unwrap();
    assert_eq!(added.status(), StatusCode::CREATED);
    api.post("/emails", &message(&["yes@example.org"], &[])).await;
    assert!(api.plain("/messages").await.text().await.unwrap().contains("no@example.org"));
    api.delete(&format!("/suppressions/{}", text(&entry, "id"))).await;
    api.post("/emails", &message(&["no@example.org"], &[])).await;
    let wrong = api.request(Method::POST, "/suppressions").json(&json!({"address": "nobody"})).send().await;
    assert_eq!(problem(wrong.unwrap()).await.1["errors"][0]["field"], "address");
    platform.stop().await;
}

#[tokio::test]
async fn a_message_is_sent_once_however_often_it_is_asked_for() {
    let platform = Platform::start().await;
    let api = &platform.api;
    api.verified("mail.acme.test", "acme.test", "two-txt").await;
    let message =
        json!({"from": "me@mail.acme.test", "to": ["you@example.org"], "subject": "Hi", "text": "Hi."});
    let mut ids = Vec::new();
    for _ in 0..3 {
        let send = api.request(Method::POST, "/emails").header("Idempotency-Key", "order-7").json(&message);
        let answer = send.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        ids.push(text(&answer.json().await.unwrap(), "id").to_owned());
    }
    assert!(ids.iter().all(|id| *id == ids[0]));
    // As if the process had died behind the commit: the answer was never kept.
    let app = &platform.instance.app;
    let (org_id, _) = app.first_organisation("x").await.unwrap();
    let number = RequestId::from_parts(1_750_000_000_000, 7);
    let caller =
        |is_repeat| Caller { reserved: Some(Reserved { number, is_repeat }), ..Caller::owner(org_id) };
    let request = SendEmail {
        from: "me@mail.acme.test".into(),
        to: vec!["you@example.org".into()],
        text: Some("Hi.".into()),
        ..SendEmail::default()
    };
    let first = app.send_email(&caller(false), request.clone()).await.unwrap();
    let again = app.send_email(&caller(true), request).await.unwrap();
    assert_eq!(first.message.id, again.message.id);
    assert_eq!(api.get("/emails").await["data"].as_array().unwrap().len(), 2);
    platform.stop().await;
}
