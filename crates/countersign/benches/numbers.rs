//! The numbers of the main job, each beside what bounds it, in one run: `cargo xtask bench`.
//!
//! Machines differ and are noisy: read the ratios. Nothing here is asserted.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench that cannot go on has nothing to print"
)]

use countersign::{Config, Instance};
use reqwest::Client;
use serde_json::{Value, json};
use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

const DOMAINS: usize = 200;

#[tokio::main]
async fn main() {
    let folder = std::env::temp_dir().join(format!("countersign-bench-{}", std::process::id()));
    post_domains(&folder.join("post")).await;
    idle_memory(&folder.join("idle")).await;
    fs::remove_dir_all(&folder).unwrap();
}

/// `POST /domains` with the key pool warm, beside a small durable write through the same HTTP server (`POST /tenants`).
async fn post_domains(data: &Path) {
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    // Three keys a domain, and the pool is not to run dry.
    let config = Config {
        http: free,
        dns: free,
        smtp: free,
        data: data.to_owned(),
        key_pool: DOMAINS * 3 + 30,
        ..Config::default()
    };
    let instance = Instance::start(&config).await.unwrap();
    let base = format!("http://{}", instance.http);
    let http = Client::builder().no_proxy().build().unwrap();
    loop {
        let metrics = http
            .get(format!("{base}/metrics"))
            .bearer_auth(&instance.api_key)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        let keys = metrics.lines().find_map(|line| line.strip_prefix("countersign_key_pool_keys "));
        if keys.and_then(|keys| keys.parse::<usize>().ok()).is_some_and(|keys| keys >= DOMAINS * 3) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let mut adds = Vec::new();
    let mut writes = Vec::new();
    for number in 0..DOMAINS {
        let body = json!({"ref": format!("cust_{number}")});
        let start = Instant::now();
        let request = http.post(format!("{base}/api/v1/tenants")).bearer_auth(&instance.api_key).json(&body);
        request.send().await.unwrap().error_for_status().unwrap().bytes().await.unwrap();
        writes.push(start.elapsed());
        let body = json!({"domain": format!("m{number}.acme.test")});
        let start = Instant::now();
        let request = http.post(format!("{base}/api/v1/domains")).bearer_auth(&instance.api_key).json(&body);
        let added: Value = request.send().await.unwrap().error_for_status().unwrap().json().await.unwrap();
        adds.push(start.elapsed());
        assert_eq!(added["records"].as_array().unwrap().len(), 6);
    }
    instance.stop().await;
    let (write, add) = (percentiles(writes), percentiles(adds));
    println!("POST /domains, pool warm, {DOMAINS} one after the other, checks running beside:");
    println!("  p50 {:>8.2?}   p99 {:>8.2?}", add.0, add.1);
    println!("  a small durable write (POST /tenants): p50 {:.2?}   p99 {:.2?}", write.0, write.1);
    println!("  ratio of the medians {:.1}", add.0.as_secs_f64() / write.0.as_secs_f64());
}

fn percentiles(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort();
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

/// Resident memory of an idle `dev` process once its pool is full.
async fn idle_memory(data: &Path) {
    fs::create_dir_all(data).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_countersign"))
        .args([
            "dev",
            "--http",
            "127.0.0.1:0",
            "--dns",
            "127.0.0.1:0",
            "--smtp",
            "127.0.0.1:0",
            "--log",
            "error",
        ])
        .arg("--data")
        .arg(data)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    tokio::time::sleep(Duration::from_secs(15)).await;
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    println!("idle dev after 15 s: {line}");
}
