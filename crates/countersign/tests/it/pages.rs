//! The dashboard: over HTTP as a program sees it, and in a real browser.

use crate::support::{PATIENCE, Platform, skip, text};
use diagnosis::Defect;
use reqwest::{Client, StatusCode, header, redirect::Policy};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

pub fn client() -> Client {
    Client::builder().no_proxy().redirect(Policy::none()).timeout(PATIENCE).build().unwrap()
}

#[tokio::test]
async fn the_whole_job_works_by_forms_without_a_script() {
    let platform = Platform::start().await;
    let base = &platform.api.base;
    let http = client();
    let post = async |path: String, form: &[(&str, &str)]| {
        let body = form.iter().fold(String::new(), |body, (name, value)| {
            format!("{body}&{name}={}", value.replace('@', "%40").replace(' ', "+"))
        });
        let request = http
            .post(format!("{base}{path}"))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let response = request.body(body.trim_start_matches('&').to_owned()).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::SEE_OTHER, "{path}");
        response.headers()[header::LOCATION].to_str().unwrap().to_owned()
    };
    let domain = post("/".to_owned(), &[("domain", "mail.acme.test"), ("profile", "three-cname")]).await;
    assert!(domain.starts_with("/domains/dom_"), "{domain}");
    let page = platform.api.plain(&domain).await.text().await.unwrap();
    assert!(page.contains("Why can’t I send?") || page.contains("Why can't I send?"), "{page}");
    post(format!("{domain}/publish"), &[]).await;
    platform
        .api
        .until(&domain, |found| {
            found["records"].as_array().unwrap().iter().all(|r| r["status"] == "verified")
        })
        .await;
    let message = post(format!("{domain}/test"), &[("to", "you@example.org")]).await;
    assert!(message.starts_with("/messages/msg_"), "{message}");
    let judged =
        platform.api.until("/sandbox/messages", |list| list["data"][0]["authentication"].is_object()).await;
    let received = text(&judged["data"][0], "id");
    let page = platform.api.plain(&format!("/sandbox/{received}")).await.text().await.unwrap();
    assert!(page.contains("DMARC") && page.contains("pass"), "{page}");
    for path in [
        "/",
        "/playground",
        "/sandbox",
        "/messages",
        "/docs",
        "/docs/errors",
        "/docs/findings",
        "/docs/findings/cname_proxied",
    ] {
        let response = platform.api.plain(path).await;
        assert!(
            response.status().is_success() || response.status().is_redirection(),
            "{path}: {}",
            response.status()
        );
    }
    // Every finding's page is there, linked from the list.
    let list = platform.api.plain("/docs/findings").await.text().await.unwrap();
    let codes: Vec<&str> =
        list.split("href=\"/docs/findings/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let all: BTreeSet<&str> = Defect::CODES.iter().copied().collect();
    assert_eq!(codes.iter().copied().collect::<BTreeSet<_>>(), all, "each is in the list");
    for code in codes {
        let response = platform.api.plain(&format!("/docs/findings/{code}")).await;
        assert_eq!(response.status(), StatusCode::OK, "{code}");
        assert!(response.text().await.unwrap().contains(code), "{code}");
    }
    let missing = platform.api.plain("/nonsense").await;
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    platform.stop().await;
}

#[tokio::test]
async fn every_finding_of_a_domain_leads_to_its_page_from_api_and_dashboard() {
    let platform = Platform::start().await;
    let api = &platform.api;
    let zone = api.zone("acme.test").await;
    // Several things wrong at once: two SPF records, a key that is none, a policy twice.
    for (host, value) in [
        ("mail", "v=spf1 ip4:192.0.2.1 -all"),
        ("mail", "v=spf1 ip4:192.0.2.2 -all"),
        ("_dmarc.mail", "v=DMARC1; p=none"),
        ("_dmarc.mail", "v=DMARC1; p=reject"),
    ] {
        api.publish(&zone, host, "TXT", value, None).await;
    }
    let added = api.post("/domains", &json!({"domain": "mail.acme.test", "profile": "two-txt"})).await;
    let id = text(&added, "id");
    let domain = api.post(&format!("/domains/{id}/verify"), &json!({})).await;
    let findings = domain["findings"].as_array().unwrap();
    let from_api: BTreeSet<String> =
        findings.iter().map(|finding| text(finding, "docs").to_owned()).collect();
    assert!(from_api.len() >= 3, "{findings:#?}");
    let page = api.plain(&format!("/domains/{id}")).await.text().await.unwrap();
    let links = page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let from_page: BTreeSet<String> =
        links.filter(|link| link.starts_with("/docs/findings/")).map(str::to_owned).collect();
    assert_eq!(from_page, from_api, "{page}");
    for link in &from_api {
        let response = api.plain(link).await;
        assert_eq!(response.status(), StatusCode::OK, "{link}");
        let code = link.rsplit('/').next().unwrap();
        assert!(response.text().await.unwrap().contains(code), "{link}");
    }
    platform.stop().await;
}

#[tokio::test]
async fn other_sites_can_neither_read_nor_write() {
    let platform = Platform::start().await;
    let base = &platform.api.base;
    let http = client();
    let rebound = http.get(base).header(header::HOST, "evil.example").send().await.unwrap();
    assert_eq!(rebound.status(), StatusCode::FORBIDDEN);
    let form = |name: &'static str, value: &'static str| {
        http.post(base)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(name, value)
            .body("domain=mail.acme.test")
            .send()
    };
    assert_eq!(form("origin", "https://evil.example").await.unwrap().status(), StatusCode::FORBIDDEN);
    assert_eq!(form("sec-fetch-site", "cross-site").await.unwrap().status(), StatusCode::FORBIDDEN);
    assert_eq!(platform.api.get("/domains").await["data"], json!([]));
    let page = http.get(base).send().await.unwrap();
    let policy = page.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe-inline"), "{policy}");
    platform.stop().await;
}

/// A headless Chromium, driven over its driver.
pub struct Browser {
    driver: Child,
    pub http: Client,
    pub session: String,
}

impl Browser {
    pub async fn start() -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut browser = Self { driver, http: client(), session: String::new() };
        let base = format!("http://127.0.0.1:{port}");
        let deadline = Instant::now() + PATIENCE;
        while browser.http.get(format!("{base}/status")).send().await.is_err() {
            if Instant::now() > deadline {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
        ];
        let wanted = json!({"capabilities": {"alwaysMatch": {"goog:chromeOptions": {"args": arguments}}}});
        let answer = browser.http.post(format!("{base}/session")).json(&wanted).send().await.ok()?;
        let answer: Value = answer.json().await.ok()?;
        browser.session = format!("{base}/session/{}", answer["value"]["sessionId"].as_str()?);
        Some(browser)
    }

    pub async fn open(&self, url: &str) {
        let answer =
            self.http.post(format!("{}/url", self.session)).json(&json!({"url": url})).send().await.unwrap();
        assert!(answer.status().is_success());
    }

    pub async fn run(&self, script: &str) -> Value {
        let body = json!({"script": script, "args": []});
        let answer =
            self.http.post(format!("{}/execute/sync", self.session)).json(&body).send().await.unwrap();
        answer.json::<Value>().await.unwrap()["value"].clone()
    }

    async fn until(&self, script: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.run(script).await != json!(true) {
            assert!(Instant::now() < deadline, "never true: {script}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Asked to stop, the driver ends its browser too; killed, it would leave it behind.
        drop(Command::new("kill").args(["-TERM", &self.driver.id().to_string()]).status());
        drop(self.driver.wait());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_page_turns_to_verified_without_a_reload() {
    let Some(browser) = Browser::start().await else {
        skip(
            "an_open_page_turns_to_verified_without_a_reload",
            "chromedriver is not installed (cargo xtask setup)",
        );
        return;
    };
    let platform = Platform::start().await;
    let api = &platform.api;
    let domain = api.post("/domains", &json!({"domain": "mail.acme.test"})).await;
    let id = text(&domain, "id");
    browser.open(&format!("{}/domains/{id}", api.base)).await;
    browser.run("window.notReloaded = true").await;
    browser.until("return document.body.innerText.includes('Pending')").await;
    // What is to be typed can be read off the page: a copy button for each host and value.
    let copies = browser.run("return document.querySelectorAll('table.records button.copy').length").await;
    assert!(copies.as_u64().unwrap() >= 12, "{copies}");
    api.post(&format!("/playground/domains/{id}/publish"), &json!({})).await;
    browser.until("return document.body.innerText.includes('Verified') && window.notReloaded === true").await;
    // On a phone nothing has to be scrolled sideways.
    let size = json!({"width": 400, "height": 800});
    browser.http.post(format!("{}/window/rect", browser.session)).json(&size).send().await.unwrap();
    let overflow = browser
        .run("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
        .await;
    assert_eq!(overflow, json!(0));
    // Every input has a label, every page one heading.
    for path in ["/", "/playground", "/sandbox", &format!("/domains/{id}")] {
        browser.open(&format!("{}{path}", api.base)).await;
        let unnamed = browser
            .run("return [...document.querySelectorAll('input:not([type=hidden]),select,textarea')].filter(i => !i.labels.length && !i.getAttribute('aria-label')).length")
            .await;
        assert_eq!(unnamed, json!(0), "{path}");
        assert_eq!(browser.run("return document.querySelectorAll('h1').length").await, json!(1), "{path}");
        assert_eq!(browser.run("return document.querySelectorAll('main').length").await, json!(1), "{path}");
    }
    platform.stop().await;
}
