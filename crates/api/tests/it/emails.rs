//! `/emails` and `/sandbox/messages`

use crate::platform::Platform;
use serde_json::json;

#[tokio::test]
async fn mail_is_refused_until_its_domain_is_verified() {
    let platform = Platform::start().await;
    platform.add_domain("mail.acme.test").await;
    let send = |from: &str| {
        let body =
            json!({"from": from, "to": "you@there.test", "subject": "Hello", "text": "Hi"}).to_string();
        let platform = &platform;
        async move { platform.call("POST", "/api/v1/emails", &body).await }
    };
    send("Me <me@mail.acme.test>").await.assert_problem(422, "DOMAIN_PENDING_VERIFICATION");
    send("me@nowhere.test").await.assert_problem(422, "DOMAIN_NOT_FOUND");
    let broken = send("me").await;
    broken.assert_problem(422, "INVALID_REQUEST");
    assert_eq!(broken.json()["errors"][0]["field"], "from");
    let list = platform.get("/api/v1/emails").await.json();
    assert_eq!((&list["data"], &list["has_more"]), (&json!([]), &json!(false)));
}

#[tokio::test]
async fn files_may_be_larger_than_other_bodies() {
    let platform = Platform::start().await;
    let file = "A".repeat(3_000_000);
    let body = json!({
        "from": "me@nowhere.test", "to": ["you@there.test"], "subject": "Hello", "text": "Hi",
        "attachments": [{"filename": "a.bin", "content": file}],
    });
    platform.call("POST", "/api/v1/emails", &body.to_string()).await.assert_problem(422, "DOMAIN_NOT_FOUND");
    let body = " ".repeat(35 * 1024 * 1024 + 1);
    platform.call("POST", "/api/v1/emails", &body).await.assert_problem(413, "PAYLOAD_TOO_LARGE");
}

#[tokio::test]
async fn an_empty_inbox_lists_and_clears() {
    let platform = Platform::start().await;
    let list = platform.get("/api/v1/sandbox/messages?recipient=you@there.test").await.json();
    assert_eq!(list["data"], json!([]));
    let cleared = platform.call("DELETE", "/api/v1/sandbox/messages", "").await.json();
    assert_eq!((&cleared["deleted"], &cleared["count"]), (&json!(true), &json!(0)));
    let missing = "/api/v1/sandbox/messages/sbx_01JD0000000000000000000000";
    platform.get(missing).await.assert_problem(404, "SANDBOX_MESSAGE_NOT_FOUND");
    platform.get(&format!("{missing}/raw")).await.assert_problem(404, "SANDBOX_MESSAGE_NOT_FOUND");
}
