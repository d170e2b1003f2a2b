//! A private instance for each test, and a client of its API.

use countersign::{Config, Instance};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use std::{
    fs,
    io::Write,
    net::SocketAddr,
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

/// How long anything may take before a test gives up. Never what a test asserts.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A folder that is gone with its owner.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("countersign-test-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

pub fn config(folder: &Folder) -> Config {
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    let public_http = free.to_string();
    Config {
        http: free,
        public_http,
        dns: free,
        smtp: free,
        data: folder.0.clone(),
        key_pool: 3,
        ..Config::default()
    }
}

pub struct Platform {
    pub instance: Instance,
    pub api: Api,
    pub folder: Folder,
}

impl Platform {
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = Folder::new();
        let mut config = config(&folder);
        change(&mut config);
        let instance = Instance::start(&config).await.unwrap();
        let api = Api::new(instance.http, &instance.api_key);
        Self { instance, api, folder }
    }

    pub async fn stop(self) -> Folder {
        self.instance.stop().await;
        self.folder
    }
}

/// A client of the public API.
pub struct Api {
    http: reqwest::Client,
    pub base: String,
    key: String,
}

impl Api {
    pub fn new(http: SocketAddr, key: &str) -> Self {
        let client = reqwest::Client::builder().timeout(PATIENCE).no_proxy().build().unwrap();
        Self { http: client, base: format!("http://{http}"), key: key.to_owned() }
    }

    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}/api/v1{path}", self.base)).bearer_auth(&self.key)
    }

    /// Without a key, below the root.
    pub async fn plain(&self, path: &str) -> Response {
        self.http.get(format!("{}{path}", self.base)).send().await.unwrap()
    }

    /// With the key, below the root.
    pub async fn with_key(&self, path: &str) -> Response {
        self.http.get(format!("{}{path}", self.base)).bearer_auth(&self.key).send().await.unwrap()
    }

    pub async fn get(&self, path: &str) -> Value {
        good(self.request(Method::GET, path).send().await.unwrap()).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Value {
        good(self.request(Method::POST, path).json(body).send().await.unwrap()).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Value {
        good(self.request(Method::PUT, path).json(body).send().await.unwrap()).await
    }

    pub async fn delete(&self, path: &str) -> Value {
        good(self.request(Method::DELETE, path).send().await.unwrap()).await
    }

    /// The status and problem document of a refused POST.
    pub async fn refused(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        problem(self.request(Method::POST, path).json(body).send().await.unwrap()).await
    }

    pub async fn until(&self, path: &str, done: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let value = self.get(path).await;
            if done(&value) {
                return value;
            }
            assert!(Instant::now() < deadline, "GET {path} did not get there: {value:#}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until a path below the root answers with this status, whoever is there to answer meanwhile.
    pub async fn until_plain(&self, path: &str, status: StatusCode) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.http.get(format!("{}{path}", self.base)).send().await;
            if answer.as_ref().is_ok_and(|answer| answer.status() == status) {
                return;
            }
            assert!(Instant::now() < deadline, "GET {path} did not get to {status}: {answer:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// As [`Self::until`], where the platform may be unable to answer for a while.
    pub async fn until_there(&self, path: &str, done: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE * 2;
        loop {
            let answer = self.request(Method::GET, path).send().await.unwrap();
            if answer.status().is_success() {
                let value = answer.json().await.unwrap();
                if done(&value) {
                    return value;
                }
            }
            assert!(Instant::now() < deadline, "GET {path} did not get there");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Adds a contact and confirms it by the link that it gets.
    pub async fn confirmed_contact(&self, contact: &Value) -> Value {
        let added = self.post("/contacts", contact).await;
        if added["confirmed_at"].is_string() {
            return added;
        }
        let inbox = format!("/sandbox/messages?recipient={}", text(contact, "address"));
        let got = self.until(&inbox, |list| !list["data"].as_array().unwrap().is_empty()).await;
        let mail = String::from_utf8(self.raw(text(&got["data"][0], "id")).await).unwrap();
        let mail = mail.replace("=\r\n", "").replace("=3D", "=");
        let secret = mail.split("/contacts/confirm?token=").nth(1).unwrap();
        let secret = secret.split_whitespace().next().unwrap().to_owned();
        let page = format!("{}/contacts/confirm", self.base);
        // A program that opens the link confirms nothing.
        let opened = self.http.get(format!("{page}?token={secret}")).send().await.unwrap();
        let cookie = opened.headers().get("set-cookie").map(|value| value.to_str().unwrap().to_owned());
        let shown = opened.text().await.unwrap();
        let field = |name: &str| {
            let behind = shown.split(&format!("name=\"{name}\" value=\"")).nth(1)?;
            behind.split('"').next().map(str::to_owned)
        };
        assert_eq!(field("token").as_deref(), Some(secret.as_str()), "{shown}");
        let csrf = field("_csrf").map(|token| format!("&_csrf={token}")).unwrap_or_default();
        let body = format!("token={secret}{csrf}");
        let mut request = self.http.post(&page).header("content-type", "application/x-www-form-urlencoded");
        if let Some(cookie) = &cookie {
            request = request.header("cookie", cookie.split(';').next().unwrap());
        }
        let answer = request.body(body.clone()).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        self.delete("/sandbox/messages").await;
        added
    }

    pub async fn zone(&self, apex: &str) -> String {
        let zones = self.get("/playground/zones").await;
        let found = zones["data"].as_array().unwrap().iter().find(|zone| zone["apex"] == apex).cloned();
        let zone = match found {
            Some(zone) => zone,
            None => self.post("/playground/zones", &json!({"apex": apex})).await,
        };
        zone["id"].as_str().unwrap().to_owned()
    }

    /// Types one record into the playground; returns its id.
    pub async fn publish(
        &self,
        zone: &str,
        host: &str,
        kind: &str,
        value: &str,
        priority: Option<u16>,
    ) -> String {
        let typed = json!({"host": host, "type": kind, "value": value, "ttl": 60, "priority": priority});
        let made = self.post(&format!("/playground/zones/{zone}/records"), &typed).await;
        made["id"].as_str().unwrap().to_owned()
    }

    /// Publishes every record of a domain object as it should be.
    pub async fn publish_all(&self, zone: &str, domain: &Value) {
        for record in domain["records"].as_array().unwrap() {
            let text = |field: &str| record[field].as_str().unwrap();
            let priority = record["priority"].as_u64().map(|number| u16::try_from(number).unwrap());
            self.publish(zone, text("host"), text("type"), text("value"), priority).await;
        }
    }

    /// Adds a domain in `acme.test` or another playground zone, publishes its records and waits until it is verified.
    pub async fn verified(&self, name: &str, apex: &str, profile: &str) -> Value {
        let zone = self.zone(apex).await;
        let domain = self.post("/domains", &json!({"domain": name, "profile": profile})).await;
        self.publish_all(&zone, &domain).await;
        let path = format!("/domains/{}", domain["id"].as_str().unwrap());
        // All records, not only the required ones: the return path decides where bounces go.
        let done = |domain: &Value| {
            let all = ["records", "hosted_records"].iter().filter_map(|list| domain[list].as_array());
            domain["status"] == "verified" && all.flatten().all(|record| record["status"] == "verified")
        };
        self.until(&path, done).await
    }

    /// Sends, and waits for the message in the sandbox inbox with its verdict.
    pub async fn send_and_receive(&self, message: &Value) -> (Value, Value) {
        let accepted = self.post("/emails", message).await;
        let path = format!("/emails/{}", accepted["id"].as_str().unwrap());
        let sent = self.until(&path, |m| m["recipients"][0]["status"] == "delivered").await;
        let recipient = text(&sent["recipients"][0], "address");
        let inbox = self
            .until(&format!("/sandbox/messages?recipient={recipient}"), |list| {
                list["data"][0]["authentication"].is_object()
            })
            .await;
        (sent, inbox["data"][0].clone())
    }

    pub async fn raw(&self, sandbox_id: &str) -> Vec<u8> {
        let response =
            self.request(Method::GET, &format!("/sandbox/messages/{sandbox_id}/raw")).send().await.unwrap();
        assert!(response.status().is_success());
        response.bytes().await.unwrap().to_vec()
    }
}

async fn good(response: Response) -> Value {
    let status = response.status();
    let url = response.url().path().to_owned();
    let text = response.text().await.unwrap();
    assert!(status.is_success(), "{url} answered {status}: {text}");
    serde_json::from_str(&text).unwrap_or(Value::Null)
}

/// Checks that a refusal is a whole problem document (RFC 9457) and returns it.
pub async fn problem(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let content_type = response.headers().get("content-type").map(|value| value.to_str().unwrap().to_owned());
    let text = response.text().await.unwrap();
    assert!(status.is_client_error() || status.is_server_error(), "{status}: {text}");
    assert_eq!(content_type.as_deref(), Some("application/problem+json"), "{status}: {text}");
    let problem: Value = serde_json::from_str(&text).unwrap();
    for field in ["type", "title", "detail", "code", "request_id"] {
        assert!(problem[field].is_string(), "{field} is missing: {problem:#}");
    }
    assert_eq!(problem["status"], status.as_u16());
    (status, problem)
}

pub fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("no text {field} in {value:#}"))
}

pub fn codes(domain: &Value) -> Vec<String> {
    domain["findings"].as_array().unwrap().iter().map(|finding| text(finding, "code").to_owned()).collect()
}

/// Says that a test could not be run, in a way that the test runner counts.
pub fn skip(test: &str, why: &str) {
    println!("skipped: {why}");
    if let Some(tools) = std::env::var_os("COUNTERSIGN_TOOLS") {
        let path = PathBuf::from(tools).join("skipped.log");
        if let Ok(mut file) = fs::OpenOptions::new().append(true).create(true).open(path) {
            drop(writeln!(file, "{test}: {why}"));
        }
    }
}
