//! The same platform on PostgreSQL: the main job, a restart, an address that is wrong.

use crate::{
    postgres_server::Server,
    support::{Api, Folder, config, text},
};
use app::ports::Clock;
use countersign::{Config, Instance};
use jiff::SignedDuration;
use reqwest::StatusCode;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn the_main_job_works_and_goes_on_after_a_restart() {
    let Some(server) =
        Server::start_or_skip("countersign::postgres::the_main_job_works_and_goes_on_after_a_restart")
    else {
        return;
    };
    let folder = Folder::new();
    let config = Config { database_url: server.database("dev"), ..config(&folder) };
    let instance = Instance::start(&config).await.unwrap();
    let api = Api::new(instance.http, &instance.api_key);
    assert!(instance.first_start);
    let domain = api.verified("mail.acme.test", "acme.test", "three-cname").await;
    let path = format!("/domains/{}", text(&domain, "id"));
    let message = json!({
        "from": "Acme <hello@mail.acme.test>", "to": ["someone@example.org"],
        "subject": "Grüße", "text": "It works.",
    });
    let all_verified =
        |d: &serde_json::Value| d["records"].as_array().unwrap().iter().all(|r| r["status"] == "verified");
    api.until(&path, all_verified).await;
    let (sent, received) = api.send_and_receive(&message).await;
    for check in ["spf", "dmarc"] {
        assert_eq!(received["authentication"][check]["result"], "pass");
    }
    assert_eq!(received["authentication"]["dkim"][0]["result"], "pass");
    instance.stop().await;
    assert!(!folder.0.join("countersign.sqlite").exists());

    let instance = Instance::start(&config).await.unwrap();
    assert!(!instance.first_start);
    let api = Api::new(instance.http, &instance.api_key);
    assert_eq!(api.get(&path).await["status"], "verified");
    let stored = api.get(&format!("/emails/{}", text(&sent, "id"))).await;
    assert_eq!(stored["recipients"][0]["status"], "delivered");
    api.send_and_receive(&message).await;
    api.delete(&path).await;
    assert!(api.get("/domains").await["data"].as_array().unwrap().is_empty());
    instance.stop().await;

    // Another folder has another master key: what is sealed in the database would be lost on it.
    let other = Folder::new();
    let stranger = Config { data: other.0.clone(), ..config.clone() };
    let refused = Instance::start(&stranger).await.err().unwrap().to_string();
    assert!(refused.contains("master key") && !refused.contains("postgres://"), "{refused}");
    drop(server);
    let refused = Instance::start(&config).await.err().unwrap().to_string();
    assert!(refused.contains("cannot be reached") && !refused.contains("postgres://"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_clock_is_wrong_deletes_nothing() {
    let Some(server) =
        Server::start_or_skip("countersign::postgres::a_node_whose_clock_is_wrong_deletes_nothing")
    else {
        return;
    };
    let folder = Folder::new();
    let config = Config { database_url: server.database("dev"), ..config(&folder) };
    let instance = Instance::start(&config).await.unwrap();
    let api = Api::new(instance.http, &instance.api_key);
    let domain = api.verified("mail.acme.test", "acme.test", "three-cname").await;
    let path = format!("/domains/{}", text(&domain, "id"));
    api.post(&format!("{path}/keys/rotate"), &json!({})).await;
    let kinds = |feed: &serde_json::Value| feed["data"].as_array().unwrap().len();
    let before = kinds(&api.until("/events", |feed| kinds(feed) >= 3).await);
    // Two years ahead: to it, everything is old.
    let ahead = Clock::new(|| {
        countersign::instance::system_time().checked_add(SignedDuration::from_hours(17_520)).unwrap()
    });
    let other = Folder::new();
    std::fs::copy(folder.0.join("master.key"), other.0.join("master.key")).unwrap();
    let other_config = Config { data: other.0.clone(), ..config.clone() };
    let ahead = Instance::start_at(&other_config, ahead).await.unwrap();
    Api::new(ahead.http, &ahead.api_key).until_plain("/readyz", StatusCode::SERVICE_UNAVAILABLE).await;
    assert_eq!(ahead.app.sweep().await.unwrap(), 0);
    assert_eq!(ahead.app.replace_drained_keys().await.unwrap(), 0);
    assert_eq!(kinds(&api.get("/events").await), before);
    let keys = api.get(&format!("{path}/keys")).await;
    assert_eq!(keys["data"][0]["state"], "draining", "{keys:#}");
    ahead.stop().await;
    instance.stop().await;
}
