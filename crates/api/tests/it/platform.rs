//! A platform to send requests to.

use api::router;
use app::{
    App, Parts, Settings, Transport,
    access::Caller,
    diagnosis::{Profile, inquiry::Policy},
    domain_state::Rules,
    limits::RequestLimits,
    ports::{Clock, Random},
    store::{SandboxLimits, Store, StoreOptions},
    vault::Vault,
};
use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, StatusCode, header},
};
use model::{DomainName, OrgId, Timestamp};
use serde_json::Value;
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU32, Ordering},
    },
};
use tower::ServiceExt;

/// A platform with one organisation.
pub struct Platform {
    pub app: Arc<App>,
    pub org_id: OrgId,
    /// How often the time was asked for.
    pub clock_reads: Arc<AtomicU32>,
    /// How many seconds the clock is ahead of where it began.
    pub ahead: Arc<AtomicI64>,
    /// Where the database is.
    pub path: PathBuf,
    router: Router,
    /// A key that may do everything.
    pub key: String,
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub fn header(&self, name: impl header::AsHeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Asserts that this is a problem document as every refusal has to be one.
    #[track_caller]
    pub fn assert_problem(&self, status: u16, code: &str) {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(self.header(header::CONTENT_TYPE), "application/problem+json");
        let document = self.json();
        assert_eq!(document["code"], code, "{document}");
        assert_eq!(document["status"], status);
        assert_eq!(document["type"], format!("/docs/errors/{code}"));
        assert_eq!(document["request_id"], self.header("x-request-id"));
        assert!(self.header("x-request-id").starts_with("req_"));
        assert!(
            !document["title"].as_str().unwrap().is_empty()
                && !document["detail"].as_str().unwrap().is_empty()
        );
    }
}

fn database() -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let folder =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("api-{}-{number}", std::process::id()));
    // Of an earlier process with this number.
    drop(std::fs::remove_dir_all(&folder));
    std::fs::create_dir_all(&folder).unwrap();
    folder.join("test.db")
}

pub fn settings() -> Settings {
    let name = |text: &str| DomainName::parse(text).unwrap();
    Settings {
        public_url: "http://127.0.0.1".into(),
        platform_zone: name("send.platform.test"),
        name_servers: vec![app::NameServer {
            name: name("ns1.send.platform.test"),
            addresses: vec!["127.0.0.1".parse().unwrap()],
            follows: false,
        }],
        public_addresses: vec!["127.0.0.1".parse().unwrap()],
        sender_addresses: vec!["127.0.0.1".parse().unwrap()],
        certificate_authority: None,
        dmarc_mailbox: "dmarc@send.platform.test".into(),
        default_profile: "three-cname".into(),
        profiles: Profile::built_in(),
        // Nobody listens there: every question is answered by "unknown" at once.
        policy: Policy::for_resolvers(vec!["127.0.0.1:1".parse().unwrap()]),
        check_policy: Policy::for_resolvers(vec!["127.0.0.1:1".parse().unwrap()]),
        lease: std::time::Duration::from_mins(2),
        private_webhook_targets: true,
        dns_host_apis: std::collections::BTreeMap::new(),
        domain_connect: app::domain_connect::DomainConnect::default(),
        transport: Transport::Sandbox("127.0.0.1:1".parse().unwrap()),
        inbox: "127.0.0.1:1".parse().unwrap(),
        open_inbox: true,
        smtp_hostname: name("mx.send.platform.test"),
        key_pool: 0,
        rotate_days: 0,
        retired_keys: app::retired_keys::Telling::default(),
        playground: true,
        playground_host: None,
        max_message_size: 25 * 1024 * 1024,
        checks_per_minute: 100,
        request_limits: RequestLimits::default(),
        warmup_daily_limit: 100_000,
        life_cycle: Rules::default(),
        keep: app::sweep::Keep::default(),
        sandbox_limits: SandboxLimits { messages: 100, bytes: 10_000_000 },
    }
}

impl Platform {
    pub async fn start() -> Self {
        Self::start_with(settings()).await
    }

    #[expect(
        clippy::default_trait_access,
        reason = "`api` does not import `dns`, and `App` only needs a client of it"
    )]
    pub async fn start_with(settings: Settings) -> Self {
        let path = database();
        let clock_reads = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&clock_reads);
        let ahead = Arc::new(AtomicI64::new(0));
        let moved = Arc::clone(&ahead);
        let store = Store::open(&path, StoreOptions::default()).await.unwrap();
        let app = Arc::new(App::new(Parts {
            settings,
            store,
            dns: Default::default(),
            vault: Vault::new(&[7; 32]).unwrap(),
            clock: Clock::new(move || {
                counted.fetch_add(1, Ordering::Relaxed);
                Timestamp::from_second(1_750_000_000 + moved.load(Ordering::Relaxed)).unwrap()
            }),
            random: Random::system(),
            zones: Arc::default(),
            host_zones: Arc::default(),
            node_name: "node".into(),
        }));
        let (org_id, _) = app.first_organisation("Test").await.unwrap();
        let key = app.create_api_key("all", &Caller::owner(org_id)).await.unwrap();
        Self { router: router(Arc::clone(&app)), app, org_id, clock_reads, ahead, path, key }
    }

    /// Sends a request as it is.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, 10_000_000).await.unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Answer { status: parts.status, headers: parts.headers, text }
    }

    /// Sends a request with the given key, and JSON where there is a body.
    pub async fn call_with(&self, key: &str, method: &str, path: &str, body: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !key.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
        }
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    /// The same with the key that may do everything.
    pub async fn call(&self, method: &str, path: &str, body: &str) -> Answer {
        self.call_with(&self.key, method, path, body).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, "").await
    }

    /// Adds a domain; its id.
    pub async fn add_domain(&self, name: &str) -> String {
        let answer = self.call("POST", "/api/v1/domains", &format!("{{\"domain\":\"{name}\"}}")).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.json()["id"].as_str().unwrap().to_owned()
    }
}
