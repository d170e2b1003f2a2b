//! From a pasted token to a verified domain: `cargo xtask bench publish`.
//!
//! The host is the strict Cloudflare with 50 ms a request, over one connection; its zone has 150 records of others, and its
//! name server shows a change at once, with 10 ms an answer. What is timed is the request with the token until the domain is
//! verified. Calls are counted by kind. Nothing here is asserted but that it gets there.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench that cannot go on has nothing to print"
)]

use countersign::{Config, Instance};
use fake_hosts::cloudflare::{Cloudflare, Token};
use model::{DomainName, Record, RecordData, TxtData};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

const RUNS: usize = 50;
const FOREIGN: usize = 150;
const HOST_LATENCY: Duration = Duration::from_millis(50);
const DNS_LATENCY: Duration = Duration::from_millis(10);
const TOKEN: &str = "token-of-the-bench-0123456789-abcdefghij";
const PLATFORM: &str = "send.bench.test";

struct Api {
    http: reqwest::Client,
    base: String,
    key: String,
}

impl Api {
    async fn post(&self, path: &str, body: &Value) -> Value {
        let sent = self.http.post(format!("{}{path}", self.base)).bearer_auth(&self.key).json(body);
        let answer = sent.send().await.unwrap();
        let status = answer.status();
        let body: Value = answer.json().await.unwrap();
        assert!(status.is_success(), "POST {path}: {status} {body:#}");
        body
    }

    async fn until(&self, path: &str, done: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            let asked = self.http.get(format!("{}{path}", self.base)).bearer_auth(&self.key).send();
            let body: Value = asked.await.unwrap().json().await.unwrap();
            if done(&body) {
                return body;
            }
            assert!(Instant::now() < deadline, "GET {path} did not get there: {body:#}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

fn foreign(number: usize) -> Record {
    Record {
        owner: DomainName::parse(&format!("r{number}.acme.test")).unwrap(),
        ttl: 300,
        data: RecordData::Txt(TxtData::from_text(&format!("somebody-elses={number}"))),
    }
}

fn percentile(sorted: &[Duration], part: usize) -> u128 {
    sorted[(sorted.len() * part).div_ceil(100).max(1) - 1].as_millis()
}

#[tokio::main]
async fn main() {
    let host = Cloudflare::start().unwrap();
    host.zone("acme.test");
    host.token(TOKEN, Token::good());
    for number in 0..FOREIGN {
        host.put("acme.test", &foreign(number));
    }
    host.set_latency(HOST_LATENCY);
    let dns = host.serve_dns(DNS_LATENCY).await.unwrap();
    let folder = std::env::temp_dir().join(format!("countersign-bench-publish-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    let config = Config {
        http: free,
        public_http: String::new(),
        operator_http: free.to_string(),
        dns: free,
        smtp: free,
        data: folder.clone(),
        key_pool: 200,
        platform_zone: PLATFORM.into(),
        smtp_relay: "sandbox".into(),
        resolvers: vec![dns.address().to_string()],
        private_dns: true,
        writes_per_minute: 1_000_000,
        dns_host_apis: [("cloudflare".to_owned(), format!("http://{}", host.address()))].into(),
        ..Config::default()
    };
    let instance = Instance::serve(&config).await.unwrap();
    dns.ask_elsewhere(DomainName::parse(PLATFORM).unwrap(), instance.dns);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let api = Api { http, base: format!("http://{}/api/v1", instance.http), key: instance.api_key.clone() };

    let given = json!({"host": "cloudflare", "credential": {"token": TOKEN}});
    let with = |more: Value| {
        let mut body = given.clone();
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let (mut answered, mut verified) = (Vec::new(), Vec::new());
    let mut calls: BTreeMap<String, usize> = BTreeMap::new();
    let mut again = 0;
    for run in 0..RUNS {
        let domain = api.post("/domains", &json!({"domain": format!("m{run}.acme.test")})).await;
        let path = format!("/domains/{}", domain["id"].as_str().unwrap());
        // The customer looks at the page before they paste.
        api.until(&path, |domain| domain["last_checked_at"].is_string()).await;
        host.forget_seen();
        let began = Instant::now();
        let sets = api.post(&format!("{path}/change-sets"), &with(json!({"apply": true}))).await;
        answered.push(began.elapsed());
        api.until(&path, |domain| domain["status"] == "verified").await;
        verified.push(began.elapsed());
        assert_eq!(sets["data"][0]["state"], "applied", "{sets:#}");
        for seen in host.seen() {
            let kind = match (seen.method.as_str(), seen.path.rsplit('/').next().unwrap_or_default()) {
                ("GET", "zones") => "find the zone",
                ("GET", "dns_records") => "list the records",
                ("POST", "batch") => "write",
                _ => "other",
            };
            *calls.entry(kind.to_owned()).or_default() += 1;
        }
        host.forget_seen();
        api.post(&format!("{path}/change-sets"), &with(json!({"apply": true}))).await;
        again += host.seen().iter().filter(|seen| seen.method != "GET").count();
        api.post(&format!("{path}/change-sets"), &with(json!({"purpose": "cleanup", "apply": true}))).await;
    }
    assert_eq!(host.records("acme.test").len(), FOREIGN, "all records of others are there, and no other");
    answered.sort();
    verified.sort();
    println!(
        "from a pasted token to a verified domain, {RUNS} runs, {FOREIGN} records of others, 50 ms a request, 10 ms a DNS answer"
    );
    for (what, times) in [("answered", &answered), ("verified", &verified)] {
        println!(
            "  {what:<10} p50 {:>5} ms   p99 {:>5} ms   longest {:>5} ms",
            percentile(times, 50),
            percentile(times, 99),
            percentile(times, 100)
        );
    }
    for (kind, count) in &calls {
        println!("  {kind:<18} {count} calls in {RUNS} runs");
    }
    println!("  writes of a second apply: {again}");
    instance.stop().await;
    drop(std::fs::remove_dir_all(&folder));
}
