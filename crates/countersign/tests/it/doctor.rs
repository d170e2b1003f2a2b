//! The platform's own health: the page, its JSON and `countersign doctor`.

use crate::{
    serve::serving,
    support::{Api, Folder, Platform},
};
use countersign::{Config, Instance, instance::system_time};
use reqwest::StatusCode;
use serde_json::Value;
use std::{
    net::SocketAddr,
    process::{Command, Output},
};
use tokio::{net::UdpSocket, task::JoinHandle};

/// A time server whose clock is off by so many seconds; `echoes` says whether it gives back what the client sent.
async fn time_server(ahead: i64, echoes: bool) -> (SocketAddr, JoinHandle<()>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        let mut query = [0_u8; 48];
        while let Ok((length, from)) = socket.recv_from(&mut query).await {
            assert_eq!((length, query[0]), (48, 0x23), "48 octets, version 4, mode 3");
            let unix = system_time();
            let seconds = u32::try_from(unix.as_second() + ahead + 2_208_988_800).unwrap();
            let nanos = u64::try_from(unix.subsec_nanosecond()).unwrap();
            let fraction = u32::try_from((nanos << 32) / 1_000_000_000).unwrap();
            let now = [seconds.to_be_bytes(), fraction.to_be_bytes()].concat();
            let mut answer = [0_u8; 48];
            (answer[0], answer[1]) = (0x24, 2);
            if echoes {
                answer[24..32].copy_from_slice(&query[40..48]);
            }
            answer[32..40].copy_from_slice(&now);
            answer[40..48].copy_from_slice(&now);
            socket.send_to(&answer, from).await.unwrap();
        }
    });
    (address, serving)
}

fn doctor(at: &str, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_countersign")).args(["doctor", "--at", at]).args(more).output().unwrap()
}

fn states(items: &Value) -> Vec<(&str, &str)> {
    let items = items.as_array().unwrap().iter();
    items.map(|item| (item["code"].as_str().unwrap(), item["state"].as_str().unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_is_named_with_its_fix() {
    let (clock, serving_time) = time_server(300, true).await;
    let folder = Folder::new();
    let instance = Instance::serve(&Config {
        time_server: clock.to_string(),
        smtp_relay: "127.0.0.1:1".into(),
        sender_addresses: vec!["198.51.100.7".parse().unwrap()],
        public_url: "http://127.0.0.1:1".into(),
        ..serving(&folder)
    })
    .await
    .unwrap();
    let at = instance.operator_http.unwrap();
    let operator = Api::new(at, "");
    let items: Value = operator.plain("/operator/health").await.json().await.unwrap();
    let states = states(&items);
    for expected in [
        ("relay", "fail"),
        ("clock", "fail"),
        ("spf_include", "unknown"),
        ("bounces", "unknown"),
        ("site", "warn"),
        ("port_dns", "warn"),
        ("port_smtp", "warn"),
        ("disk", "ok"),
        ("queue_checks", "ok"),
        ("queue_deliveries", "ok"),
        ("queue_events", "ok"),
    ] {
        // A disk of the test's machine may be nearly full.
        assert!(states.contains(&expected) || expected.0 == "disk", "{expected:?} in {items:#}");
    }
    for item in items.as_array().unwrap() {
        assert_eq!(item["fix"].is_null(), item["state"] == "ok", "{item}");
    }
    let order: Vec<&str> = states.iter().map(|(_, state)| *state).collect();
    let mut worst_first = order.clone();
    worst_first.sort_by_key(|state| ["fail", "warn", "unknown", "ok"].iter().position(|word| word == state));
    assert_eq!(order, worst_first);

    let page = operator.plain("/operator").await;
    assert_eq!(page.status(), StatusCode::OK);
    let page = page.text().await.unwrap();
    assert!(page.contains("s behind the time server") && page.contains("timedatectl"), "{page}");
    let metrics = operator.plain("/metrics").await.text().await.unwrap();
    assert!(metrics.contains("countersign_health{code=\"relay\"} 3"), "{metrics}");

    let told = doctor(&at.to_string(), &[]);
    let text = String::from_utf8(told.stdout).unwrap();
    assert_eq!(told.status.code(), Some(1), "{text}");
    assert!(text.starts_with("Health of the platform: 2 to fix, "), "{text}");
    assert!(
        text.contains("\nfix  relay: 127.0.0.1:1 takes no mail: connection refused\n   Accepted mail waits"),
        "{text}"
    );
    let json: Value = serde_json::from_slice(&doctor(&at.to_string(), &["--json"]).stdout).unwrap();
    assert_eq!(json.as_array().unwrap().len(), items.as_array().unwrap().len());
    instance.stop().await;
    serving_time.abort();

    let told = doctor(&at.to_string(), &[]);
    let text = String::from_utf8(told.stderr).unwrap();
    assert_eq!(told.status.code(), Some(2));
    assert!(text.contains(&format!("nothing answers at http://{at}")) && text.contains("--at"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_in_order_has_nothing_to_fix() {
    let (clock, serving_time) = time_server(0, true).await;
    let platform = Platform::start_with(|config| config.time_server = clock.to_string()).await;
    let items: Value = platform.api.plain("/operator/health").await.json().await.unwrap();
    let states = states(&items);
    for code in ["clock", "spf_include", "bounces"] {
        assert!(states.contains(&(code, "ok")), "{code} in {items:#}");
    }
    let told = doctor(&platform.instance.http.to_string(), &[]);
    assert_eq!(told.status.code(), Some(0), "{}", String::from_utf8_lossy(&told.stdout));
    platform.stop().await;
    serving_time.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_somebody_else_sets_no_clock() {
    let (clock, serving_time) = time_server(300, false).await;
    let platform = Platform::start_with(|config| config.time_server = clock.to_string()).await;
    let items: Value = platform.api.plain("/operator/health").await.json().await.unwrap();
    assert!(states(&items).contains(&("clock", "unknown")), "{items:#}");
    platform.stop().await;
    serving_time.abort();
}
