//! Where the audit log says that a request came from.

use crate::{
    serve::serving,
    support::{Api, Folder, text},
};
use countersign::{Config, Instance};
use reqwest::{Method, StatusCode};
use serde_json::json;

/// The address in the line of an API key that a request with this `X-Forwarded-For` made.
async fn address_of(api: &Api, said: &str) -> String {
    let made = api
        .request(Method::POST, "/keys")
        .header("x-forwarded-for", said)
        .json(&json!({"name": "ci", "scopes": ["read:domains"]}))
        .send()
        .await
        .unwrap();
    assert_eq!(made.status(), StatusCode::CREATED);
    let made: serde_json::Value = made.json().await.unwrap();
    let log = api.get(&format!("/audit?subject={}", text(&made, "id"))).await;
    text(&log["data"][0], "address").to_owned()
}

#[tokio::test]
async fn a_line_of_the_api_has_the_visitor_s_address_where_a_trusted_proxy_says_it() {
    let folder = Folder::new();
    let trusted_proxies = vec!["::ffff:127.0.0.1".parse().unwrap()];
    let instance = Instance::serve(&Config { trusted_proxies, ..serving(&folder) }).await.unwrap();
    let api = Api::new(instance.http, &instance.api_key);
    assert_eq!(address_of(&api, "198.51.100.7").await, "198.51.100.7");
    assert_eq!(address_of(&api, "203.0.113.1, 2001:db8::7").await, "2001:db8::7", "the rest anybody wrote");
    assert_eq!(address_of(&api, "nonsense").await, "127.0.0.1");
    instance.stop().await;
}

#[tokio::test]
async fn what_an_untrusted_client_says_of_its_address_is_not_believed() {
    for trusted_proxies in [Vec::new(), vec!["192.0.2.9".parse().unwrap()]] {
        let folder = Folder::new();
        let instance = Instance::serve(&Config { trusted_proxies, ..serving(&folder) }).await.unwrap();
        let api = Api::new(instance.http, &instance.api_key);
        assert_eq!(address_of(&api, "198.51.100.7").await, "127.0.0.1");
        instance.stop().await;
    }
}
