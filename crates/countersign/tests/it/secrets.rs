//! No secret is told where it does not have to be: not in the log, however talkative, not in the metrics, the audit log, or
//! what is said when something is refused.

use crate::{
    login::{PASSWORD, Visitor, code, field},
    support::{Api, Folder, PATIENCE, text},
};
use fake_hosts::cloudflare::{Cloudflare, Token};
use reqwest::{Client, Method, StatusCode, redirect::Policy};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const HOST_TOKEN: &str = "token-of-the-host-0123456789";

const OIDC_SECRET: &str = "provider-secret-0123456789";

/// A private key, as it is written in text, and as the octets at its begin look in a dump (RFC 5208 section 5, RFC 8017
/// appendix A.1.2): long enough that no time and no id looks like it.
const PRIVATE_KEY: [&str; 8] = [
    "PRIVATE KEY",
    "MIIEvQIBADANBgkq",
    "MIIEpAIBAAKCAQ",
    "MIIEowIBAAKCAQ",
    "020100300d06092a864886f70d010101",
    "2, 1, 0, 48, 13, 6, 9, 42, 134, 72",
    "0201000282010100",
    "2, 1, 0, 2, 130, 1, 1, 0",
];

/// A `countersign serve` of its own that logs all there is, ended with the test.
pub struct Serving(pub Child);

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

pub fn command(folder: &Path, log: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    let free =
        ["--http", "127.0.0.1:0", "--dns", "127.0.0.1:0", "--smtp", "127.0.0.1:0", "--public-http", ""];
    command
        .arg("serve")
        .args(free)
        .args([
            "--operator-http",
            "127.0.0.1:0",
            "--platform-zone",
            "send.serve.test",
            "--smtp-relay",
            "sandbox",
        ])
        .args(["--log", "trace", "--data"])
        .arg(folder)
        .env("COUNTERSIGN_RESOLVERS", "[\"127.0.0.1:1\"]")
        .env("COUNTERSIGN_PRIVATE_DNS", "true")
        .env("COUNTERSIGN_PRIVATE_WEBHOOK_TARGETS", "true")
        .env("COUNTERSIGN_KEY_POOL", "3")
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(File::create(folder.join("out")).unwrap())
        .stderr(File::create(log).unwrap());
    command
}

/// Everything that must be told nowhere, each with what it is.
#[derive(Default)]
struct Secrets(BTreeMap<String, String>);

impl Secrets {
    fn keep(&mut self, what: &str, secret: &str) {
        assert!(secret.len() >= 6, "{what}: {secret} is too short to be looked for");
        self.0.insert(what.to_owned(), secret.to_owned());
    }

    fn look(&self, place: &str, told: &str) {
        for (what, secret) in &self.0 {
            if let Some(at) = told.find(secret.as_str()) {
                let line = told[..at].lines().count();
                let around: String =
                    told[..at].chars().rev().take(300).collect::<Vec<_>>().into_iter().rev().collect();
                panic!("{place} tells {what} in line {line}, behind: {around}");
            }
        }
        for sign in PRIVATE_KEY {
            assert!(!told.contains(sign), "{place} has a private key in it: {sign}");
        }
    }
}

/// The address behind a word of the start's message.
fn address_of(said: &str, word: &str) -> Option<SocketAddr> {
    let rest = said.split(word).nth(1)?.trim_start().strip_prefix("http://")?;
    rest.split(['/', ' ', '\n']).next()?.parse().ok()
}

pub async fn started(folder: &Path) -> (SocketAddr, SocketAddr, String) {
    let start = Instant::now();
    loop {
        let said = fs::read_to_string(folder.join("out")).unwrap();
        let link = said.split("/welcome?token=").nth(1).and_then(|rest| rest.split_whitespace().next());
        let found = (address_of(&said, "Dashboard"), address_of(&said, "Operator"), link);
        if let (Some(http), Some(operator), Some(token)) = found {
            return (http, operator, token.to_owned());
        }
        assert!(start.elapsed() < PATIENCE, "serve did not start: {said}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn visitor(http: SocketAddr) -> Visitor {
    let client = Client::builder().no_proxy().redirect(Policy::none()).timeout(PATIENCE).build().unwrap();
    Visitor { http: client, base: format!("http://{http}"), cookies: BTreeMap::new(), host: None }
}

fn now() -> i64 {
    countersign::instance::system_time().as_second()
}

async fn link_to(api: &Api, address: &str, path: &str) -> String {
    let query = format!("/sandbox/messages?recipient={address}");
    let inbox = api.until(&query, |list| list["data"][0].is_object()).await;
    let raw = String::from_utf8(api.raw(text(&inbox["data"][0], "id")).await).unwrap();
    let raw = raw.replace("=\r\n", "").replace("=3D", "=");
    raw.split(path).nth(1).unwrap().split_whitespace().next().unwrap().to_owned()
}

/// All that people get in with, and what the pages say when they are refused.
async fn of_people(http: SocketAddr, api: &Api, token: &str, secrets: &mut Secrets) -> String {
    let mut refusals = String::new();
    let mut owner = visitor(http);
    let form = [("token", token), ("name", "Ann"), ("email", "ann@example.net"), ("password", PASSWORD)];
    let done = owner.submit(&format!("/welcome?token={token}"), "/welcome", &form).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.body);
    secrets.keep("a session", &owner.cookies["countersign"]);
    secrets.keep("the token of forms", &owner.token("/account").await);
    secrets.keep("what a browser keeps for forms", &owner.cookies["countersign-form"]);
    refusals += &owner.get(&format!("/welcome?token={token}")).await.body;
    refusals += &visitor(http).log_in("ann@example.net", "a password that is wrong").await.body;
    secrets.keep("a wrong password", "a password that is wrong");
    let mut by_mail = visitor(http);
    by_mail.submit("/login", "/login/send", &[("email", "ann@example.net")]).await;
    let token = link_to(api, "ann@example.net", "/login/link?token=").await;
    secrets.keep("a link to log in", &token);
    let used =
        by_mail.submit(&format!("/login/link?token={token}"), "/login/link", &[("token", &token)]).await;
    assert_eq!(used.status, StatusCode::SEE_OTHER);
    secrets.keep("another session", &by_mail.cookies["countersign"]);
    owner.submit("/members", "/members", &[("email", "ben@example.net"), ("role", "viewer")]).await;
    let token = link_to(api, "ben@example.net", "/invitation?token=").await;
    secrets.keep("an invitation", &token);
    assert_eq!(visitor(http).get(&format!("/invitation?token={token}")).await.status, StatusCode::OK);
    let page = owner.get("/account/second-factor").await.body;
    let (sealed, key) = (field(&page, "sealed").unwrap(), field(&page, "shown").unwrap());
    secrets.keep("the secret of a second factor", &key);
    let form = [("sealed", &*sealed), ("current", PASSWORD), ("code", &*code(&key, now()))];
    let set = owner.submit("/account", "/account/second-factor", &form).await;
    let codes: Vec<&str> =
        set.body.split("<li>").skip(1).filter_map(|rest| rest.split("</li>").next()).collect();
    assert_eq!(codes.len(), 10, "{}", set.body);
    for (number, code) in codes.iter().enumerate() {
        secrets.keep(&format!("code {number} to keep"), code);
    }
    let mut half = visitor(http);
    half.log_in("ann@example.net", PASSWORD).await;
    secrets.keep("half a session", &half.cookies["countersign"]);
    refusals += &half.submit("/login/code", "/login/code", &[("code", "aaaa-bbbb-cccc")]).await.body;
    assert_eq!(
        half.submit("/login/code", "/login/code", &[("code", codes[0])]).await.status,
        StatusCode::SEE_OTHER
    );
    secrets.keep("a third session", &half.cookies["countersign"]);
    // The provider, who does not take the code.
    let mut abroad = visitor(http);
    let left = abroad.get("/login/provider").await;
    assert_eq!(left.status, StatusCode::SEE_OTHER, "{}", left.body);
    secrets.keep("what a browser keeps meanwhile", &abroad.cookies["countersign-provider"]);
    let state = left.to.split("state=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    secrets.keep("a code of the provider", "code-of-the-provider");
    let back = format!("/login/provider/back?code=code-of-the-provider&state={state}");
    refusals += &abroad.get(&back).await.body;
    refusals
}

/// A credential of a DNS host: used once, kept, used again, wrong. What is answered to all of it.
async fn of_dns_host(api: &Api, domain: &str) -> String {
    let given = |token: &str, more: Value| {
        let mut body = json!({"host": "cloudflare", "credential": {"token": token}});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let plan = format!("/domains/{domain}/change-sets");
    let mut told = api.post(&plan, &given(HOST_TOKEN, json!({"apply": true}))).await.to_string();
    let kept = api.post(&plan, &given(HOST_TOKEN, json!({"keep": true}))).await;
    let id = kept["data"][0]["connection_id"].clone();
    told += &kept.to_string();
    told += &api.post(&plan, &json!({"connection_id": id})).await.to_string();
    let check = format!("/dns-connections/{}/check", id.as_str().unwrap());
    told += &api.post(&check, &json!({})).await.to_string();
    let wrong = format!("{HOST_TOKEN}x");
    for body in
        [given(&wrong, json!({})), json!({"host": "cloudflare", "credential": {"token": [HOST_TOKEN]}})]
    {
        told += &api.refused(&plan, &body).await.1.to_string();
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_log_metric_or_refusal_has_a_secret() {
    let folder = Folder::new();
    let log = folder.0.join("log");
    let mut secrets = Secrets::default();
    let hook = Receiver::start().await;
    let host = Cloudflare::start().unwrap();
    host.zone("acme.test");
    host.token(HOST_TOKEN, Token::good());
    let mut command = command(&folder.0, &log);
    command
        .env("COUNTERSIGN_DNS_HOST_APIS__CLOUDFLARE", format!("http://{}", host.address()))
        .env("COUNTERSIGN_OIDC__ISSUER", format!("http://{}", hook.at))
        .env("COUNTERSIGN_OIDC__CLIENT_ID", "us")
        .env("COUNTERSIGN_OIDC__CLIENT_SECRET", OIDC_SECRET);
    let serving = Serving(command.spawn().unwrap());
    let (http, operator, token) = started(&folder.0).await;
    secrets.keep("the provider's secret", OIDC_SECRET);
    secrets.keep("the first owner's link", &token);
    let master_key = fs::read_to_string(folder.0.join("master.key")).unwrap();
    secrets.keep("the master key", master_key.trim());
    let api_key = fs::read_to_string(folder.0.join("api-key")).unwrap().trim().to_owned();
    secrets.keep("an API key", &api_key);
    secrets.keep("a password", PASSWORD);
    secrets.keep("a password in a form", &PASSWORD.replace(' ', "%20"));
    let api = Api::new(http, &api_key);
    let mut refusals = of_people(http, &api, &token, &mut secrets).await;

    // Keys, webhooks, domains with their keys, mail.
    let made = api.post("/keys", &json!({"name": "ci", "scopes": ["read:domains"]})).await;
    let other_key = text(&made, "secret").to_owned();
    secrets.keep("another API key", &other_key);
    let webhook = json!({"url": format!("http://{}/hook", hook.at), "event_types": ["domain.created"]});
    let made = api.post("/webhooks", &webhook).await;
    secrets.keep("the secret of a webhook", text(&made, "secret"));
    let domain = api.post("/domains", &json!({"domain": "mail.acme.test", "profile": "two-txt"})).await;
    hook.until_told().await;
    api.post(&format!("/domains/{}/verify", text(&domain, "id")), &json!({})).await;
    let message = json!({
        "from": "a@mail.acme.test", "to": ["b@example.org"], "subject": "the subject of a message",
        "text": "the words of a message",
    });
    secrets.keep("what a message says", "the words of a message");
    secrets.keep("a token of a DNS host", HOST_TOKEN);
    refusals += &of_dns_host(&api, text(&domain, "id")).await;
    let mut refused = async |method: Method, path: &str, body: &Value| {
        let answer = api.request(method, path).json(body).send().await.unwrap();
        assert!(answer.status().is_client_error(), "{path}: {}", answer.status());
        refusals += &answer.text().await.unwrap();
    };
    refused(Method::POST, "/emails", &message).await;
    refused(Method::POST, "/keys", &json!({"name": "ci", "secret": other_key})).await;
    refused(
        Method::POST,
        "/webhooks",
        &json!({"url": format!("http://{}/hook?{other_key}", hook.at), "secret": 1}),
    )
    .await;
    let wrong = Api::new(http, &format!("{other_key}x"));
    refusals += &wrong.request(Method::GET, "/domains").send().await.unwrap().text().await.unwrap();
    let answer = api.request(Method::GET, &format!("/domains/{other_key}")).send().await.unwrap();
    drop(answer.text().await.unwrap());

    let metrics = Api::new(operator, "").plain("/metrics").await.text().await.unwrap();
    let mut audit = String::new();
    let mut query = "/audit?limit=100".to_owned();
    loop {
        let page = api.get(&query).await;
        audit += &page["data"].to_string();
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        query = format!("/audit?limit=100&cursor={cursor}");
    }
    drop(serving);
    let log = fs::read_to_string(&log).unwrap();
    assert!(
        log.contains("TRACE") && log.lines().count() > 500,
        "it is talkative: {} lines",
        log.lines().count()
    );
    assert!(audit.contains("user.logged_in") && metrics.contains("countersign_http_requests_total"));
    secrets.look("the log", &log);
    secrets.look("the metrics", &metrics);
    secrets.look("the audit log", &audit);
    // A form says again what was sent with it, and carries its own token.
    secrets.0.remove("the token of forms");
    secrets.look("a refusal", &refusals);
}

#[test]
fn a_start_that_fails_does_not_tell_the_password_of_the_database() {
    let folder = Folder::new();
    let log = folder.0.join("log");
    let mut command = command(&folder.0, &log);
    command.env("DATABASE_URL", "postgres://countersign:hush-hush@127.0.0.1:1/none");
    assert!(!command.status().unwrap().success());
    let told = fs::read_to_string(&log).unwrap() + &fs::read_to_string(folder.0.join("out")).unwrap();
    assert!(told.contains("database"), "{told}");
    assert!(!told.contains("hush-hush"), "{told}");
}

/// What webhooks are sent to, and a provider of logins that takes no code.
struct Receiver {
    at: SocketAddr,
    told: tokio::sync::watch::Receiver<bool>,
}

impl Receiver {
    async fn start() -> Self {
        use axum::{
            Router,
            http::StatusCode,
            routing::{get, post},
        };
        let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let at = listener.local_addr().unwrap();
        let (tell, told) = tokio::sync::watch::channel(false);
        let base = format!("http://{at}");
        let published = json!({
            "issuer": base, "authorization_endpoint": format!("{base}/authorize"),
            "token_endpoint": format!("{base}/token"), "jwks_uri": format!("{base}/keys"),
        });
        let router = Router::new()
            .route(
                "/hook",
                post(async move || {
                    tell.send_replace(true);
                    StatusCode::OK
                }),
            )
            .route("/.well-known/openid-configuration", get(async move || axum::Json(published)))
            .route("/keys", get(async || axum::Json(json!({"keys": []}))))
            .route(
                "/token",
                post(async || (StatusCode::BAD_REQUEST, axum::Json(json!({"error": "invalid_grant"})))),
            );
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { at, told }
    }

    async fn until_told(&self) {
        let mut told = self.told.clone();
        tokio::time::timeout(PATIENCE, told.wait_for(|told| *told)).await.unwrap().unwrap();
    }
}
