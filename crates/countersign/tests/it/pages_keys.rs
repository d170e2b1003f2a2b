//! The pages of keys, webhooks and history: by forms as a browser without a script sends them, and in a real one.

use crate::{
    pages::{Browser, client},
    support::{Api, Platform, skip, text},
    webhooks::Sink,
};
use reqwest::{StatusCode, header};
use serde_json::json;

/// A browser without a script.
pub struct Plain<'a> {
    pub http: reqwest::Client,
    pub base: &'a str,
}

impl Plain<'_> {
    /// Sends a form: the status, where it leads, and the page.
    pub async fn send(&self, path: &str, fields: &[(&str, &str)]) -> (StatusCode, String, String) {
        let mut url = reqwest::Url::parse("http://x").unwrap();
        url.query_pairs_mut().extend_pairs(fields);
        let answer = self
            .http
            .post(format!("{}{path}", self.base))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(url.query().unwrap_or_default().to_owned())
            .send()
            .await
            .unwrap();
        let to = answer.headers().get(header::LOCATION).map(|to| to.to_str().unwrap().to_owned());
        (answer.status(), to.unwrap_or_default(), answer.text().await.unwrap())
    }

    pub async fn page(&self, path: &str) -> String {
        let answer = self.http.get(format!("{}{path}", self.base)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        answer.text().await.unwrap()
    }
}

/// The word of a page that begins like this and goes on to a quote or a bracket.
fn word<'a>(page: &'a str, start: &str) -> &'a str {
    let at = page.find(start).unwrap_or_else(|| panic!("no {start} in {page}"));
    page[at..].split(['"', '<', '/', ' ', '?']).next().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_made_rotated_and_revoked_by_forms() {
    let platform = Platform::start().await;
    let plain = Plain { http: client(), base: &platform.api.base };
    platform.api.post("/domains", &json!({"domain": "mail.acme.test"})).await;
    let tenant = platform.api.post("/tenants", &json!({"ref": "cust_1"})).await;
    assert!(plain.page("/keys").await.contains("cust_1"));
    // What is wrong stands beside its field, and what was typed stays.
    for (fields, said) in [
        (&[("name", "billing")][..], "at least one of"),
        (&[("name", ""), ("scope", "read:domains")], "Give a name"),
        (&[("name", "x"), ("scope", "nonsense")], "no scope"),
        (&[("name", "x"), ("scope", "read:domains"), ("domains", "nowhere.acme.test")], "nowhere.acme.test"),
        (&[("name", "x"), ("scope", "read:domains"), ("domains", "a b c d e f")], "no domain"),
        (&[("name", "x"), ("scope", "read:domains"), ("expires", "2001-01-01")], "in the past"),
        (&[("name", "x"), ("scope", "read:domains"), ("expires", "soon")], "2027-01-31"),
    ] {
        let (status, _, page) = plain.send("/keys", fields).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{fields:?}");
        assert!(page.contains(said), "{fields:?}: {page}");
    }
    // Sent again, as when the page with the key is loaded anew, it makes nothing again.
    let once = crate::login::field(&plain.page("/keys").await, "once").unwrap();
    let fields = [("name", "once"), ("scope", "read:domains"), ("once", &*once)];
    assert!(plain.send("/keys", &fields).await.2.contains("data-copy=\"cs_"));
    let (status, _, page) = plain.send("/keys", &fields).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{page}");
    assert!(page.contains("sent before") && !page.contains("data-copy=\"cs_"), "{page}");
    let keys = platform.api.get("/keys").await;
    assert_eq!(keys["data"].as_array().unwrap().iter().filter(|key| key["name"] == "once").count(), 1);
    let fields = [
        ("name", "billing <b>service</b>"),
        ("scope", "read:domains"),
        ("scope", "send:emails"),
        ("domains", "MAIL.acme.test"),
        ("tenant", ""),
        ("expires", "2099-01-31"),
    ];
    let (status, _, page) = plain.send("/keys", &fields).await;
    assert_eq!(status, StatusCode::OK, "{page}");
    let secret = word(&page, "cs_").to_owned();
    assert_eq!(secret.len(), 41);
    assert!(page.contains("data-copy=\"cs_") && !page.contains("<b>service"), "{page}");
    let key = Api::new(platform.instance.http, &secret);
    assert_eq!(key.get("/domains").await["data"].as_array().unwrap().len(), 1);
    let path = format!("/keys/{}", word(&page, "key_"));
    let shown = plain.page(&path).await;
    for wanted in ["mail.acme.test", "31 January 2099", "read:domains, send:emails", "Active"] {
        assert!(shown.contains(wanted), "{wanted}: {shown}");
    }
    for page in [&shown, &plain.page("/keys").await] {
        assert!(!page.contains(&secret), "it is shown once");
    }
    let (status, _, page) = plain.send(&format!("{path}/rotate"), &[("overlap", "0")]).await;
    assert_eq!(status, StatusCode::OK);
    let new = Api::new(platform.instance.http, word(&page, "cs_"));
    new.get("/domains").await;
    assert_eq!(key.request(reqwest::Method::GET, "/domains").send().await.unwrap().status(), 401);
    let (status, _, page) = plain.send(&format!("{path}/rotate"), &[("overlap", "0")]).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "once: {page}");
    assert_eq!(plain.send(&format!("{path}/rotate"), &[("overlap", "7")]).await.0, StatusCode::NOT_FOUND);
    let new_path = format!("/keys/{}", word(&plain.page(&path).await.replace(&path[6..], ""), "key_"));
    assert!(plain.page(&format!("{new_path}/revoke")).await.contains("never works again"));
    let (status, to, _) = plain.send(&format!("{new_path}/revoke"), &[]).await;
    assert_eq!((status, to.as_str()), (StatusCode::SEE_OTHER, "/keys"));
    assert_eq!(new.request(reqwest::Method::GET, "/domains").send().await.unwrap().status(), 401);
    // One of a tenant.
    let fields = [("name", "theirs"), ("scope", "admin"), ("tenant", text(&tenant, "id"))];
    assert_eq!(plain.send("/keys", &fields).await.0, StatusCode::OK);
    let list = plain.page("/keys").await;
    for wanted in ["tenant cust_1", "Revoked", "admin (everything)"] {
        assert!(list.contains(wanted), "{wanted}: {list}");
    }
    let changes = plain.page("/history/changes").await;
    for wanted in ["key.created", "key.rotated", "key.revoked", "billing"] {
        assert!(changes.contains(wanted), "{wanted}");
    }
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_are_kept_by_forms() {
    let platform = Platform::start().await;
    let plain = Plain { http: client(), base: &platform.api.base };
    let sink = Sink::start().await;
    for (fields, said) in [
        (&[("url", "ftp://x")][..], "ftp"),
        (&[("url", "https://example.com/x"), ("events", "domain.nonsense")], "domain.nonsense"),
    ] {
        let (status, _, page) = plain.send("/webhooks", fields).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{fields:?}");
        assert!(page.contains(said) && page.contains("class=\"error\""), "{fields:?}: {page}");
    }
    let url = sink.url();
    let (status, _, page) = plain
        .send("/webhooks", &[("url", &url), ("events", "domain.*, email.*"), ("description", "the shop")])
        .await;
    assert_eq!(status, StatusCode::OK, "{page}");
    assert!(page.contains("whsec_"), "{page}");
    let path = format!("/webhooks/{}", word(&page, "whk_"));
    let list = plain.page("/webhooks").await;
    assert!(
        list.contains("the shop") && list.contains("domain.*, email.*") && !list.contains("whsec_"),
        "{list}"
    );
    sink.answer(500);
    let (_, _, page) = plain.send(&format!("{path}/test"), &[]).await;
    assert!(page.contains("Not taken") && page.contains("said 500"), "{page}");
    sink.answer(200);
    let (_, _, page) = plain.send(&format!("{path}/test"), &[]).await;
    assert!(page.contains("Taken"), "{page}");
    let asked = plain.page(&format!("{path}/disable")).await;
    assert!(asked.contains("Nothing waits for it") && asked.contains("told nothing"), "{asked}");
    let (status, to, _) = plain.send(&format!("{path}/disable"), &[]).await;
    assert_eq!((status, to.as_str()), (StatusCode::SEE_OTHER, path.as_str()));
    assert!(plain.page(&path).await.contains("Enable it again"));
    platform.api.post("/domains", &json!({"domain": "mail.acme.test"})).await;
    platform.api.until("/events", |list| !list["data"].as_array().unwrap().is_empty()).await;
    plain.send(&format!("{path}/enable"), &[]).await;
    let (_, to, _) = plain.send(&format!("{path}/replay"), &[("hours", "24")]).await;
    assert!(plain.page(&to).await.contains("on its way again"), "{to}");
    // Where there was more than goes at once, there is a button for the rest.
    let rest = format!("{path}?replayed=10000&since=2026-11-01T00:00:00Z&rest=0");
    let page = plain.page(&rest).await;
    assert!(page.contains("10000 events are on their way") && page.contains("Deliver the rest"), "{page}");
    let (_, to, _) =
        plain.send(&format!("{path}/replay"), &[("since", "2026-11-01T00:00:00Z"), ("after", "0")]).await;
    assert!(to.contains("?replayed=") && !plain.page(&to).await.contains("Deliver the rest"), "{to}");
    sink.until(|received| received.iter().any(|one| one.event()["type"] == "domain.created")).await;
    let of_api = format!("/webhooks/{}/deliveries?state=delivered", &path[10..]);
    platform.api.until(&of_api, |list| !list["data"].as_array().unwrap().is_empty()).await;
    let page = plain.page(&format!("{path}?state=delivered")).await;
    assert!(page.contains("domain.created") && page.contains("Delivered"), "{page}");
    let delivery = format!("{path}/deliveries/{}", word(&page, "whd_"));
    let page = plain.page(&delivery).await;
    assert!(page.contains("HTTP 200") && page.contains("said 200"), "{page}");
    let before = sink.received().len();
    let (status, to, _) = plain.send(&format!("{delivery}/replay"), &[]).await;
    assert_eq!((status, to.as_str()), (StatusCode::SEE_OTHER, delivery.as_str()));
    sink.until(|received| received.len() > before).await;
    let change = [("url", url.as_str()), ("events", ""), ("description", "another shop")];
    assert_eq!(plain.send(&path, &change).await.0, StatusCode::SEE_OTHER);
    let page = plain.page(&path).await;
    assert!(page.contains("all events") && page.contains("another shop"), "{page}");
    let asked = plain.page(&format!("{path}/rotate")).await;
    let seen = crate::login::field(&asked, "seen").unwrap();
    let rotate = async || plain.send(&format!("{path}/rotate"), &[("seen", &*seen)]).await;
    let (_, _, page) = rotate().await;
    assert!(page.contains("whsec_"), "{page}");
    // The page with the secret is loaded again: the secret that was shown stays.
    let (status, _, again) = rotate().await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(!again.contains("whsec_") && again.contains("shown once"), "{again}");
    sink.until(|all| !all.is_empty()).await;
    plain.send(&format!("{path}/test"), &[]).await;
    let shown = page.split("data-copy=\"").nth(1).unwrap().split('"').next().unwrap();
    assert!(sink.received().pop().unwrap().is_signed_by(shown));
    assert!(plain.page(&path).await.contains("Old secret signs too"));
    assert!(plain.page(&format!("{path}/delete")).await.contains("Delete the webhook"));
    assert_eq!(plain.send(&format!("{path}/delete"), &[]).await.1, "/webhooks");
    let history = plain.page("/history").await;
    assert!(history.contains("domain.created") && history.contains("mail.acme.test"), "{history}");
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_fit_a_phone_and_name_their_fields() {
    let name = "the_pages_fit_a_phone_and_name_their_fields";
    let Some(browser) = Browser::start().await else {
        skip(name, "chromedriver is not installed (cargo xtask setup)");
        return;
    };
    let platform = Platform::start().await;
    let sink = Sink::start().await;
    let api = &platform.api;
    let webhook = api.post("/webhooks", &json!({"url": sink.url(), "description": "the shop"})).await;
    let key = api
        .post("/keys", &json!({"name": "billing service", "scopes": ["read:domains", "send:emails"]}))
        .await;
    api.post("/domains", &json!({"domain": "a-rather-long-name-for-a-domain.mail.acme.test"})).await;
    let webhook = format!("/webhooks/{}", text(&webhook, "id"));
    let of_api = format!("{webhook}/deliveries?state=delivered");
    let deliveries = api.until(&of_api, |list| !list["data"].as_array().unwrap().is_empty()).await;
    let delivery = format!("{webhook}/deliveries/{}", text(&deliveries["data"][0], "id"));
    let key = format!("/keys/{}", text(&key, "id"));
    for (width, height) in [(1200, 900), (400, 800)] {
        let size = json!({"width": width, "height": height});
        browser.http.post(format!("{}/window/rect", browser.session)).json(&size).send().await.unwrap();
        for path in ["/keys", &key, "/webhooks", &webhook, &delivery, "/history", "/history/changes"] {
            browser.open(&format!("{}{path}", api.base)).await;
            let count = async |script: &str| browser.run(&format!("return {script}")).await;
            let sideways =
                "Math.max(0, document.documentElement.scrollWidth - document.documentElement.clientWidth)";
            assert_eq!(count(sideways).await, json!(0), "{path} at {width}");
            let unnamed = "[...document.querySelectorAll('input:not([type=hidden]),select,textarea')].filter(i => !i.labels.length && !i.getAttribute('aria-label')).length";
            assert_eq!(count(unnamed).await, json!(0), "{path}");
            assert_eq!(count("document.querySelectorAll('h1').length").await, json!(1), "{path}");
        }
    }
    platform.stop().await;
}
