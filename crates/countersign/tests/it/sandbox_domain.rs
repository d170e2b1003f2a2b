//! The sandbox domain of an organisation: verified without anybody's help, and its mail leaves to nobody.

use crate::{
    serve::serving,
    support::{Api, Folder, Platform, text},
};
use countersign::{Config, Instance};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn every_organisation_sends_from_it_at_once() {
    let platform = Platform::start().await;
    let api = &platform.api;
    let domain = api.post("/sandbox/domain", &json!({})).await;
    assert_eq!((text(&domain, "status"), &domain["can_send"]), ("verified", &json!(true)), "{domain:#}");
    let again = api.post("/sandbox/domain", &json!({})).await;
    assert_eq!(again["id"], domain["id"], "there is one");
    let from = format!("hello@{}", text(&domain, "domain"));
    let message = json!({"from": from, "to": "you@example.org", "subject": "First", "text": "It works."});
    let (_, received) = api.send_and_receive(&message).await;
    for result in ["dkim", "spf", "dmarc"] {
        assert!(received["authentication"].to_string().contains(result), "{received:#}");
    }
    assert_eq!(received["authentication"]["dmarc"]["result"], "pass", "{received:#}");
    // Another organisation has its own, and sends from no other one.
    let other = platform.instance.app.first_organisation("x").await.unwrap().0;
    let made = api.post("/organisations", &json!({"name": "Acme"})).await;
    assert_ne!(made["id"], other.to_string());
    let id = text(&made, "id").trim_start_matches("org_").to_lowercase();
    let org = text(&made, "id").parse().unwrap();
    let key = platform.instance.app.create_api_key("theirs", &app::access::Caller::owner(org)).await.unwrap();
    let theirs = Api::new(platform.instance.http, &key);
    let zone = text(&domain, "domain").split_once('.').unwrap().1;
    let (status, refused) = theirs.refused("/emails", &message).await;
    assert_eq!((status.as_u16(), text(&refused, "code")), (422, "DOMAIN_NOT_FOUND"));
    let own = json!({"from": format!("hi@sandbox-{id}.{zone}"), "to": "me@example.org", "subject": "Ours", "text": "x"});
    theirs.send_and_receive(&own).await;
    let inbox = api.get("/sandbox/messages?recipient=me@example.org").await;
    assert_eq!(inbox["data"], json!([]), "it is in their inbox alone");
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn its_key_is_rotated_without_anybody_s_help() {
    let platform = Platform::start().await;
    let api = &platform.api;
    let domain = api.post("/sandbox/domain", &json!({})).await;
    let path = format!("/domains/{}", text(&domain, "id"));
    let before = crate::rotation::keys(api, &path).await;
    api.post(&format!("{path}/keys/rotate"), &json!({})).await;
    let turned = |list: &serde_json::Value| {
        list["data"][0]["state"] == "active" && list["data"][1]["state"] == "draining"
    };
    api.until(&format!("{path}/keys"), turned).await;
    let after = crate::rotation::keys(api, &path).await;
    assert_eq!(after[1].0, before[0].0);
    let from = format!("hello@{}", text(&domain, "domain"));
    let message = json!({"from": from, "to": "you@example.org", "subject": "First", "text": "It works."});
    let (_, received) = api.send_and_receive(&message).await;
    assert_eq!(received["authentication"]["dmarc"]["result"], "pass", "{received:#}");
    let raw = api.raw(text(&received, "id")).await;
    assert!(String::from_utf8_lossy(&raw).contains(&after[0].0), "by the new key");
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn its_mail_stays_here_where_all_other_mail_leaves() {
    // The world outside, whose DNS has what a delegation to ours would lead to.
    let world = Platform::start().await;
    let folder = Folder::new();
    let instance = Instance::serve(&Config {
        resolvers: vec![world.instance.dns.to_string()],
        // Nobody is there.
        smtp_relay: "127.0.0.1:1".into(),
        smtp_relay_tls: "none".into(),
        sender_addresses: vec!["198.51.100.7".parse().unwrap()],
        ..serving(&folder)
    })
    .await
    .unwrap();
    let api = Api::new(instance.http, &instance.api_key);
    let domain = api.post("/sandbox/domain", &json!({})).await;
    let zone = world.api.zone("send.serve.test").await;
    world.api.publish(&zone, "spf", "TXT", "v=spf1 ip4:198.51.100.7 -all", None).await;
    for record in domain["records"].as_array().unwrap() {
        let host = text(record, "name").trim_end_matches(".send.serve.test").to_owned();
        world.api.publish(&zone, &host, "TXT", text(record, "value"), None).await;
    }
    let domain = api.post("/sandbox/domain", &json!({})).await;
    assert_eq!(text(&domain, "status"), "verified", "{domain:#}");
    let from = format!("hello@{}", text(&domain, "domain"));
    let message = json!({"from": from, "to": "you@example.org", "subject": "First", "text": "It works."});
    let (sent, received) = api.send_and_receive(&message).await;
    assert_eq!(received["recipients"], json!(["you@example.org"]));
    assert_eq!(sent["recipients"][0]["status"], "delivered");
    instance.stop().await;
    world.stop().await;
}
