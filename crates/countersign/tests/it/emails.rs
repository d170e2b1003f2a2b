//! Sending, and refusing to send.

use crate::support::{Platform, problem, text};
use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::{Method, StatusCode};
use serde_json::json;

fn message() -> serde_json::Value {
    json!({"from": "hello@mail.acme.test", "to": ["someone@example.org"], "subject": "Hello", "text": "Hi."})
}

#[tokio::test]
async fn mail_is_refused_with_the_code_of_its_reason() {
    let platform = Platform::start().await;
    let api = &platform.api;
    let (status, unknown) = api.refused("/emails", &message()).await;
    assert_eq!((status, text(&unknown, "code")), (StatusCode::UNPROCESSABLE_ENTITY, "DOMAIN_NOT_FOUND"));
    let domain = api.post("/domains", &json!({"domain": "mail.acme.test"})).await;
    let (status, pending) = api.refused("/emails", &message()).await;
    assert_eq!(
        (status, text(&pending, "code")),
        (StatusCode::UNPROCESSABLE_ENTITY, "DOMAIN_PENDING_VERIFICATION")
    );
    let readiness = api.get(&format!("/domains/{}/readiness", text(&domain, "id"))).await;
    assert_eq!(
        (&readiness["can_send"], &readiness["obstacles"][0]["code"]),
        (&json!(false), &json!("DOMAIN_PENDING_VERIFICATION"))
    );
    // A subdomain of a domain is another domain.
    let mut other = message();
    other["from"] = json!("hello@sub.mail.acme.test");
    let (_, problem) = api.refused("/emails", &other).await;
    assert_eq!(text(&problem, "code"), "DOMAIN_NOT_FOUND");
    platform.stop().await;
}

#[tokio::test]
async fn malformed_messages_are_refused_and_every_bad_field_is_named() {
    let platform = Platform::start().await;
    let api = &platform.api;
    api.verified("mail.acme.test", "acme.test", "two-txt").await;
    for (field, value) in [
        ("from", json!("not an address")),
        ("to", json!(["fine@example.org", "a@b\r\nRCPT TO:<x@y.example>"])),
        ("to", json!([])),
        ("cc", json!(["@example.org"])),
        ("subject", json!("Hi\r\nBcc: victim@example.org")),
        ("headers", json!({"X-Tag\r\nBcc": "victim@example.org"})),
        ("headers", json!({"X-Tag": "a\r\nBcc: victim@example.org"})),
        ("headers", json!({"From": "someone@else.example"})),
        ("headers", json!({"DKIM-Signature": "v=1"})),
        ("attachments", json!([{"filename": "a.txt", "content": "*** not base64 ***"}])),
        ("attachments", json!([{"filename": "a.txt\r\nX: y", "content": "AAAA"}])),
    ] {
        let mut body = message();
        body[field] = value.clone();
        let (status, problem) = api.refused("/emails", &body).await;
        assert_eq!(
            (status, text(&problem, "code")),
            (StatusCode::UNPROCESSABLE_ENTITY, "INVALID_REQUEST"),
            "{field}: {value}"
        );
        assert!(!problem["errors"].as_array().unwrap().is_empty(), "{field}: {problem:#}");
    }
    let mut body = message();
    body["to"] = json!(["x", "someone@example.org", "y"]);
    let (_, problem) = api.refused("/emails", &body).await;
    let fields: Vec<&str> =
        problem["errors"].as_array().unwrap().iter().map(|error| text(error, "field")).collect();
    assert_eq!(fields, ["to[0]", "to[2]"]);
    assert_eq!(api.get("/emails").await["data"], json!([]), "nothing of it was kept");
    platform.stop().await;
}

#[tokio::test]
async fn a_rich_message_arrives_as_it_was_given() {
    let platform = Platform::start().await;
    let api = &platform.api;
    let domain = api.verified("post.bücher.test", "bücher.test", "three-cname").await;
    assert_eq!(domain["domain"], "post.xn--bcher-kva.test");
    let content = STANDARD.encode([0_u8, 1, 2, 255]);
    let (sent, received) = api
        .send_and_receive(&json!({
            "from": "Bücherei <grüße@post.bücher.test>".replace("grüße", "gruesse"),
            "to": ["Ann Example <ann@example.org>"], "cc": ["bob@example.org"], "bcc": ["eve@example.org"],
            "reply_to": "help@example.org", "subject": "Rechnung № 5 – überfällig",
            "text": "Guten Tag,\n.\nein Punkt allein auf einer Zeile.\n \n", "html": "<p>Guten Tag</p>",
            "headers": {"X-Customer": "5"},
            "attachments": [{"filename": "Rechnung № 5.bin", "content": content, "content_type": "application/octet-stream"}],
        }))
        .await;
    assert_eq!(sent["recipients"].as_array().unwrap().len(), 3);
    assert_eq!(received["authentication"]["dmarc"]["result"], "pass", "{received:#}");
    let id = text(&received, "id");
    let raw = String::from_utf8(api.raw(id).await).unwrap();
    assert!(raw.contains("X-Customer: 5\r\n"));
    assert!(raw.contains("Reply-To:"));
    assert!(!raw.to_ascii_lowercase().contains("eve@example.org"), "Bcc is not shown");
    let whole = api.get(&format!("/sandbox/messages/{id}")).await;
    assert_eq!(text(&whole, "subject"), "Rechnung № 5 – überfällig");
    assert!(
        text(&whole["content"], "text").replace("\r\n", "\n").contains("\n.\n"),
        "{:?}",
        whole["content"]["text"]
    );
    assert_eq!(whole["content"]["attachments"][0]["filename"], "Rechnung № 5.bin");
    assert_eq!(whole["content"]["attachments"][0]["size"], 4);
    platform.stop().await;
}

#[tokio::test]
async fn a_message_too_large_is_refused_before_it_is_kept() {
    let platform = Platform::start().await;
    let api = &platform.api;
    api.verified("mail.acme.test", "acme.test", "two-txt").await;
    let mut body = message();
    body["text"] = json!("x".repeat(26 * 1024 * 1024));
    let response = api.request(Method::POST, "/emails").json(&body).send().await.unwrap();
    let (status, problem) = problem(response).await;
    assert_eq!((status, text(&problem, "code")), (StatusCode::PAYLOAD_TOO_LARGE, "PAYLOAD_TOO_LARGE"));
    platform.stop().await;
}

#[tokio::test]
async fn bounces_go_to_the_platform_until_the_own_return_path_is_there() {
    let platform = Platform::start().await;
    let api = &platform.api;
    // No return path in this profile: DKIM alone has to align.
    api.verified("mail.acme.test", "acme.test", "two-txt").await;
    let (_, received) = api.send_and_receive(&message()).await;
    let authentication = &received["authentication"];
    assert_eq!(authentication["spf"]["domain"], "bounce.send.countersign.test");
    assert_eq!(authentication["spf"]["result"], "pass");
    assert_eq!(
        (&authentication["spf"]["aligned"], &authentication["dkim"][0]["aligned"]),
        (&json!(false), &json!(true))
    );
    platform.stop().await;
}
