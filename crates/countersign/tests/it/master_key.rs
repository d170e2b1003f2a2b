//! The master key is replaced: what the old one sealed still opens, is sealed anew, and then needs the old one no more.

use crate::{
    dns_connections::{added, given, with_cloudflare},
    support::{Api, Folder, Platform, config, text},
};
use countersign::{Config, Instance, instance::StartError};
use serde_json::{Value, json};

fn with_keys(folder: &Folder, master_key: &str, previous: &[&str]) -> Config {
    Config {
        master_key: master_key.to_owned(),
        previous_master_keys: previous.iter().map(|key| (*key).to_owned()).collect(),
        ..config(folder)
    }
}

async fn sends_signed(api: &Api) {
    let message = json!({"from": "hello@mail.acme.test", "to": ["you@example.org"], "subject": "Hello", "text": "It works."});
    let (_, received) = api.send_and_receive(&message).await;
    assert_eq!(received["authentication"]["dkim"][0]["result"], "pass", "{received:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_key_is_replaced_and_the_old_one_can_go() {
    let (old, new) = ("0a".repeat(32), "0b".repeat(32));
    let platform = Platform::start_with(|config| config.master_key.clone_from(&old)).await;
    platform.api.verified("mail.acme.test", "acme.test", "three-cname").await;
    sends_signed(&platform.api).await;
    let folder = platform.stop().await;

    let refused = Instance::start(&with_keys(&folder, &new, &[])).await.err();
    assert!(matches!(refused, Some(StartError::WrongMasterKey(_))), "{refused:?}");

    // A stranger's key beside the old one does no harm.
    let both = with_keys(&folder, &new, &[&"0c".repeat(32), &old]);
    let instance = Instance::start(&both).await.unwrap();
    let api = Api::new(instance.http, &instance.api_key);
    sends_signed(&api).await;
    let item = loop {
        // What was found holds for ten seconds at most.
        let items: Vec<Value> = api.plain("/operator/health").await.json().await.unwrap();
        let item = items.into_iter().find(|item| item["code"] == "master_key").unwrap();
        if item["state"] == "ok" {
            break item;
        }
        assert_eq!(item["state"], "warn");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    };
    assert!(item["seen"].as_str().unwrap().contains("previous_master_keys can go"), "{item}");
    instance.stop().await;

    let instance = Instance::start(&with_keys(&folder, &new, &[])).await.unwrap();
    sends_signed(&Api::new(instance.http, &instance.api_key)).await;
    instance.stop().await;
    let refused = Instance::start(&with_keys(&folder, &old, &[])).await.err();
    assert!(matches!(refused, Some(StartError::WrongMasterKey(_))), "{refused:?}");
}

#[tokio::test]
async fn a_database_without_its_key_gets_no_other_one() {
    let folder = Folder::new();
    Instance::start(&config(&folder)).await.unwrap().stop().await;
    let file = folder.0.join("master.key");
    let key = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let refused = Instance::start(&config(&folder)).await.err();
    assert!(matches!(refused, Some(StartError::NoMasterKey(_))), "{refused:?}");
    assert!(!file.exists(), "a key that opens nothing would look as if it were the right one");
    let given = Config { master_key: key.trim().to_owned(), ..config(&folder) };
    Instance::start(&given).await.unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_credential_is_sealed_anew() {
    let (platform, host) = with_cloudflare().await;
    let domain = added(&platform.api, "mail.acme.test").await;
    let mut new = given();
    new["domain_id"] = json!(domain);
    let kept = platform.api.post("/dns-connections", &new).await;
    let path = format!("/dns-connections/{}/check", text(&kept, "id"));
    let folder = platform.stop().await;
    let old = std::fs::read_to_string(folder.0.join("master.key")).unwrap();
    std::fs::remove_file(folder.0.join("master.key")).unwrap();
    let new = "0b".repeat(32);
    let address = format!("http://{}", host.address());
    for previous in [vec![old.trim()], Vec::new()] {
        let mut config = with_keys(&folder, &new, &previous);
        config.dns_host_apis.insert("cloudflare".to_owned(), address.clone());
        let instance = Instance::start(&config).await.unwrap();
        let api = Api::new(instance.http, &instance.api_key);
        assert_eq!(api.post(&path, &json!({})).await["last_error"], Value::Null);
        while !previous.is_empty() && instance.app.earlier_keys_can_go().await.unwrap() != Some(true) {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        instance.stop().await;
    }
}
