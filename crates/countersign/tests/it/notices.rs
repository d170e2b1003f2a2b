//! Mail that the platform itself sends.

use crate::support::{Platform, text};
use app::notices::Notice;
use model::MessageId;

#[tokio::test]
async fn a_notice_is_signed_arrives_once_and_is_in_no_list_of_messages() {
    let platform = Platform::start().await;
    let (api, app) = (&platform.api, &platform.instance.app);
    let notice = Notice {
        to: "someone@example.org".parse().unwrap(),
        subject: "mail.acme.test is broken".into(),
        text: "Two records are gone.\n".into(),
    };
    let id = MessageId::from_parts(1_750_000_000_000, 7);
    app.send_notice_as(id, &notice).await.unwrap();
    app.send_notice_as(id, &notice).await.unwrap();
    let judged = |list: &serde_json::Value| list["data"][0]["authentication"].is_object();
    let inbox = api.until("/sandbox/messages?recipient=someone@example.org", judged).await;
    assert_eq!(inbox["data"].as_array().unwrap().len(), 1, "the second was the same one");
    let received = &inbox["data"][0];
    assert_eq!(text(received, "from"), "notices@send.countersign.test");
    for mechanism in ["spf", "dmarc"] {
        assert_eq!(received["authentication"][mechanism]["result"], "pass", "{received:#}");
    }
    assert_eq!(received["authentication"]["dkim"][0]["result"], "pass", "{received:#}");
    let raw = String::from_utf8(api.raw(text(received, "id")).await).unwrap();
    assert!(raw.contains("Auto-Submitted: auto-generated"), "{raw}");
    // What the platform writes to people is nobody's to read: a link to log in would be among it.
    for path in ["/emails", "/domains"] {
        assert!(api.get(path).await["data"].as_array().unwrap().is_empty(), "{path}");
    }
    let other = app.send_notice(&notice).await.unwrap();
    assert_ne!(other, id);
    platform.stop().await;
}
