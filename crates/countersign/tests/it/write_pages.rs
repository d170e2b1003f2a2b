//! Records written from the pages: with a credential that is typed, by those who are logged in and by those with a link.

use crate::{
    dns_connections::{added, with_cloudflare},
    login::field,
    support::{Api, text},
};
use fake_hosts::cloudflare::Token;
use reqwest::{StatusCode, redirect::Policy};
use serde_json::json;

const TOKEN: &str = "marker-7f3a-0123456789-abcdefghij";

/// A browser without scripts.
struct Browser {
    http: reqwest::Client,
    base: String,
}

impl Browser {
    fn of(api: &Api) -> Self {
        let http = reqwest::Client::builder().no_proxy().redirect(Policy::none()).build().unwrap();
        Self { http, base: api.base.clone() }
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        let answer = self.http.get(format!("{}{path}", self.base)).send().await.unwrap();
        assert!(answer.headers()["cache-control"].to_str().unwrap().contains("no-store"), "{path}");
        (answer.status(), answer.text().await.unwrap())
    }

    async fn send(&self, path: &str, form: &[(&str, &str)]) -> (StatusCode, String) {
        let escape =
            |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<Vec<_>>().concat();
        let pairs: Vec<_> = form.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect();
        let sent = self
            .http
            .post(format!("{}{path}", self.base))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(pairs.join("&"));
        let answer = sent.send().await.unwrap();
        if answer.status() != StatusCode::SEE_OTHER {
            assert!(answer.headers()["cache-control"].to_str().unwrap().contains("no-store"), "{path}");
        }
        (answer.status(), answer.text().await.unwrap())
    }
}

#[tokio::test]
async fn a_token_is_pasted_the_difference_shown_and_written() {
    let (platform, host) = with_cloudflare().await;
    let api = &platform.api;
    let browser = Browser::of(api);
    let domain = added(api, "mail.acme.test").await;
    let path = format!("/domains/{domain}/write");
    let (_, page) = browser.get(&format!("/domains/{domain}")).await;
    assert!(page.contains(&path), "{page}");
    let (_, page) = browser.get(&path).await;
    assert!(page.contains("Choose one") && !page.contains("credential.token"), "{page}");
    let (_, page) = browser.get(&format!("{path}?host=cloudflare")).await;
    for words in ["credential.token", "Zone › DNS › Edit", "type=\"password\"", "Keep it", "stand-in"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    // What was typed stands there again, but for what opens something.
    let typed = [
        ("host", "rfc2136"),
        ("credential.server", "no server \"of\" ours"),
        ("credential.key_name", "key.of-ours"),
        ("credential.secret", "marker-7f3a-secret"),
        ("keep", "yes"),
        ("repair", "offer"),
    ];
    let (status, page) = browser.send(&path, &typed).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{page}");
    for words in [
        "value=\"key.of-ours\"",
        "no server &#34;of&#34; ours",
        "credential.server-error",
        "value=\"yes\" checked",
        "value=\"offer\" selected",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(!page.contains("marker-7f3a"), "{page}");
    // What is used once cannot bring anything back.
    let unkept = [("host", "cloudflare"), ("credential.token", TOKEN), ("repair", "auto")];
    let (status, page) = browser.send(&path, &unkept).await;
    assert!(status.is_client_error() && page.contains("Needs a credential that is kept"), "{page}");
    // What is wrong stands there, and what was typed does not.
    let wrong = [("host", "cloudflare"), ("credential.token", "marker-7f3a-wrong-token")];
    let (status, page) = browser.send(&path, &wrong).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.contains("does not know this credential") && !page.contains("marker-7f3a"), "{page}");
    let (status, page) = browser.send(&path, &[("host", "cloudflare"), ("credential.token", " ")]).await;
    assert!(status.is_client_error() && page.contains("Is missing."), "{page}");

    let good = [("host", "cloudflare"), ("credential.token", TOKEN)];
    let (status, page) = browser.send(&path, &good).await;
    assert!(status == StatusCode::OK && page.contains("Write this"), "{page}");
    assert!(page.contains("Zone acme.test at Cloudflare") && !page.contains("marker-7f3a"), "{page}");
    assert_eq!(host.records("acme.test").len(), 0, "nothing is written yet");
    let (sets, sealed) = (field(&page, "sets").unwrap(), field(&page, "sealed").unwrap());
    assert!(sealed.len() > TOKEN.len());
    // What is sealed is for this domain and page only.
    let other = added(api, "shop.acme.test").await;
    let form = [("sets", &*sets), ("sealed", &*sealed)];
    for (path, form) in [
        (format!("/domains/{other}/write/apply"), form),
        (format!("{path}/apply"), [("sets", &*sets), ("sealed", &sealed[..sealed.len() - 4])]),
    ] {
        let (status, page) = browser.send(&path, &form).await;
        assert!(status == StatusCode::UNPROCESSABLE_ENTITY && page.contains("open for too long"), "{page}");
    }
    // And without it nothing is written, since nothing is kept.
    let (status, _) = browser.send(&format!("{path}/apply"), &[("sets", &*sets), ("sealed", "")]).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(host.records("acme.test").len(), 0);
    let (status, page) = browser.send(&format!("{path}/apply"), &form).await;
    assert!(status == StatusCode::OK && page.contains("All of it is written"), "{page}");
    assert!(!page.contains("Write this") && !page.contains(&sealed), "{page}");
    assert_eq!(host.records("acme.test").len(), 6);
    assert_eq!(api.get("/dns-connections").await["data"], json!([]), "it is forgotten");
    // Sent once more when it was taken back: it says so, and asks for nothing again.
    let undo = json!({"host": "cloudflare", "credential": {"token": TOKEN}, "apply": true});
    api.post(&format!("/change-sets/{sets}/undo"), &undo).await;
    let (status, page) = browser.send(&format!("{path}/apply"), &form).await;
    assert!(status == StatusCode::OK && page.contains("It was taken back"), "{page}");
    assert!(page.contains("plan anew") && page.contains("Zone acme.test"), "{page}");
    assert_eq!(host.records("acme.test").len(), 0);
    let (_, page) = browser.send(&path, &good).await;
    let (sets, sealed) = (field(&page, "sets").unwrap(), field(&page, "sealed").unwrap());
    // The page that was open for too long asks for the same host again.
    let old = [("sets", &*sets), ("sealed", &sealed[..8]), ("host", "cloudflare")];
    let (_, page) = browser.send(&format!("{path}/apply"), &old).await;
    assert!(page.contains("open for too long") && page.contains("credential.token"), "{page}");
    browser.send(&format!("{path}/apply"), &[("sets", &*sets), ("sealed", &*sealed)]).await;
    assert_eq!(host.records("acme.test").len(), 6);

    // Kept, it is used again from a button, and the page of a change set takes back with it.
    let keep = [good[0], good[1], ("keep", "yes"), ("repair", "offer")];
    let (_, page) = browser.send(&path, &keep).await;
    assert!(page.contains("There is nothing to write."), "{page}");
    let kept = api.get("/dns-connections").await["data"][0].clone();
    assert_eq!(text(&kept, "repair"), "offer");
    let (_, page) = browser.get(&path).await;
    assert!(page.contains("Cloudflare for acme.test, ends in ghij"), "{page}");
    for (id, ..) in host.records("acme.test") {
        host.take("acme.test", &id);
    }
    let (_, page) = browser.send(&path, &[("connection_id", text(&kept, "id"))]).await;
    let set = field(&page, "sets").unwrap();
    let (_, page) = browser.get(&format!("/change-sets/{set}")).await;
    assert!(page.contains("Write this"), "{page}");
    let (status, _) = browser.send(&format!("/change-sets/{set}/apply"), &[]).await;
    assert_eq!((status, host.records("acme.test").len()), (StatusCode::SEE_OTHER, 6));
    host.token(TOKEN, Token { status: "disabled", ..Token::good() });
    let (_, page) = browser.send(&path, &[("connection_id", text(&kept, "id"))]).await;
    assert!(page.contains("does not know this credential") || page.contains("is not one"), "{page}");
    platform.stop().await;
}

#[tokio::test]
async fn a_stranger_with_a_link_writes_where_the_link_allows_it() {
    let (platform, host) = with_cloudflare().await;
    let api = &platform.api;
    let browser = Browser::of(api);
    let domain = added(api, "mail.acme.test").await;
    let other = added(api, "shop.acme.test").await;
    let made = async |body: &serde_json::Value| {
        let made = api.post(&format!("/domains/{domain}/setup-links"), body).await;
        text(&made, "url").strip_prefix(&api.base).unwrap().to_owned()
    };
    let good = [("host", "cloudflare"), ("credential.token", TOKEN)];
    // A link that is for looking only.
    let looks = made(&json!({})).await;
    assert!(!browser.get(&looks).await.1.contains("/write"));
    for (status, _) in
        [browser.get(&format!("{looks}/write")).await, browser.send(&format!("{looks}/write"), &good).await]
    {
        assert_eq!(status, StatusCode::SEE_OTHER);
    }
    assert!(host.seen().is_empty(), "nobody was asked");

    let link = made(&json!({"may_publish": true})).await;
    let path = format!("{link}/write");
    assert!(browser.get(&link).await.1.contains(&path));
    let (_, page) = browser.get(&format!("{path}?host=cloudflare")).await;
    assert!(page.contains("used once and forgotten") && !page.contains("Keep it"), "{page}");
    // What its owner keeps is not for whoever has the link.
    let body = json!({"host": "cloudflare", "credential": {"token": TOKEN}, "domain_id": domain});
    let kept = api.post("/dns-connections", &body).await;
    let (status, page) = browser.send(&path, &[("connection_id", text(&kept, "id"))]).await;
    assert!(status.is_client_error() && !page.contains("ghij"), "{page}");
    let (status, page) = browser.send(&path, &[good[0], good[1], ("keep", "yes"), ("repair", "auto")]).await;
    assert!(status == StatusCode::OK && page.contains("Write this"), "{page}");
    assert!(!page.contains(&domain) && !page.contains("First organisation"), "{page}");
    let (sets, sealed) = (field(&page, "sets").unwrap(), field(&page, "sealed").unwrap());
    // Not what another link's page carried, not another domain's changes, not without a credential.
    let theirs = api
        .post(
            &format!("/domains/{other}/change-sets"),
            &json!({"connection_id": null,
        "host": "cloudflare", "credential": {"token": TOKEN}}),
        )
        .await;
    let theirs = text(&theirs["data"][0], "id").to_owned();
    let second = made(&json!({"may_publish": true})).await;
    for (path, sets, sealed) in
        [(&second, &*sets, &*sealed), (&link, &*theirs, &*sealed), (&link, &*sets, "")]
    {
        let form = [("sets", sets), ("sealed", sealed)];
        let (status, _) = browser.send(&format!("{path}/write/apply"), &form).await;
        assert!(status.is_client_error(), "{status}");
    }
    assert_eq!(host.records("acme.test").len(), 0);
    let (status, page) =
        browser.send(&format!("{path}/apply"), &[("sets", &*sets), ("sealed", &*sealed)]).await;
    assert!(status == StatusCode::OK && page.contains("All of it is written"), "{page}");
    assert_eq!(host.records("acme.test").len(), 6);
    let kept = api.get("/dns-connections").await;
    assert_eq!(kept["data"].as_array().unwrap().len(), 1, "only what its owner keeps: {kept:#}");
    let audit = api.get("/audit?limit=100").await.to_string();
    assert!(audit.contains("\"visitor\"") && !audit.contains("marker-7f3a"), "{audit}");
    // Not more often than somebody types.
    let mut last = StatusCode::OK;
    for _ in 0..12 {
        last = browser.send(&path, &good).await.0;
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
    platform.stop().await;
}
