//! What those who run the platform look at.

use crate::support::{Platform, config};
use countersign::Instance;
use serde_json::json;

#[tokio::test]
async fn health_readiness_and_metrics_answer() {
    let platform = Platform::start().await;
    let api = &platform.api;
    assert_eq!(api.plain("/healthz").await.text().await.unwrap(), "ok\n");
    assert_eq!(api.plain("/readyz").await.text().await.unwrap(), "ready\n");
    let domain = api.post("/domains", &json!({"domain": "mail.acme.test"})).await;
    api.post(&format!("/domains/{}/verify", domain["id"].as_str().unwrap()), &json!({})).await;
    assert_eq!(api.plain("/metrics").await.status().as_u16(), 401, "not for everybody");
    let metrics = api.with_key("/metrics").await.text().await.unwrap();
    for line in [
        "countersign_domains{status=\"pending\"} 1",
        "countersign_findings_total{code=\"record_missing\"}",
        "countersign_checks_total{verdict=\"fail\"}",
        "countersign_queue_deliveries 0",
        "countersign_http_requests_total{",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    platform.stop().await;
}

/// The names of all metrics that are told, and their samples.
fn samples(metrics: &str) -> Vec<&str> {
    metrics.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect()
}

#[tokio::test]
async fn what_metrics_gives_is_what_the_table_for_operators_has() {
    let platform = Platform::start().await;
    let metrics = platform.api.with_key("/metrics").await.text().await.unwrap();
    let page = include_str!("../../../../docs/OPERATING.md");
    for sample in samples(&metrics) {
        let name = sample.split(['{', ' ']).next().unwrap();
        // What a histogram is made of.
        let name =
            ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        assert!(page.contains(&format!("`{name}")), "{name} is not in docs/OPERATING.md");
        assert!(metrics.contains(&format!("# HELP {name} ")), "{name} has no help");
    }
    for code in diagnosis::finding::Defect::CODES {
        let line = format!("countersign_findings_total{{code=\"{code}\"}} ");
        assert!(metrics.contains(&line), "{line} is not there from the start");
    }
    platform.stop().await;
}

#[tokio::test]
async fn hostile_paths_methods_and_names_make_no_labels() {
    let platform = Platform::start().await;
    let api = &platform.api;
    let routes: Vec<String> = {
        let document: serde_json::Value = api.plain("/api/v1/openapi.json").await.json().await.unwrap();
        document["paths"].as_object().unwrap().keys().cloned().collect()
    };
    for number in 0..15 {
        for path in [
            format!("/domains/evil{number}"),
            format!("/evil{number}"),
            format!("/domains/evil{number}/evil?evil={number}"),
            format!("/emails/%00evil{number}"),
            format!("/domains/dom_{number:026}/verify/evil"),
        ] {
            let method = reqwest::Method::from_bytes(format!("EVIL{number}").as_bytes()).unwrap();
            for method in [method, reqwest::Method::GET, reqwest::Method::TRACE] {
                api.request(method, &path).send().await.unwrap();
            }
        }
        api.refused("/domains", &json!({"domain": format!("evil{number}..acme.test")})).await;
    }
    for number in 0..3 {
        api.post("/checks", &json!({"domain": format!("evil{number}.acme.test")})).await;
    }
    let metrics = api.with_key("/metrics").await.text().await.unwrap();
    assert!(!metrics.to_lowercase().contains("evil"), "{metrics}");
    let label = |sample: &str, name: &str| -> Option<String> {
        let (_, rest) = sample.split_once(&format!("{name}=\""))?;
        Some(rest.split('"').next()?.to_owned())
    };
    let known = ["none", "/api", "/api/", "/api/{*rest}", "/api/v1/openapi.json"];
    let mut seen = std::collections::BTreeSet::new();
    for sample in samples(&metrics) {
        if let Some(route) = label(sample, "route") {
            assert!(known.contains(&route.as_str()) || routes.contains(&route), "{sample}");
        }
        seen.extend(label(sample, "method"));
    }
    let methods: Vec<&str> = seen.iter().map(String::as_str).collect();
    assert_eq!(methods, ["GET", "POST", "other"]);
    platform.stop().await;
}

#[tokio::test]
async fn state_survives_a_restart() {
    let platform = Platform::start().await;
    let domain = platform.api.verified("mail.acme.test", "acme.test", "three-cname").await;
    let key = platform.instance.api_key.clone();
    let folder = platform.stop().await;
    let instance = Instance::start(&config(&folder)).await.unwrap();
    assert_eq!(instance.api_key, key);
    assert!(!instance.first_start);
    let api = crate::support::Api::new(instance.http, &instance.api_key);
    let again = api.get(&format!("/domains/{}", domain["id"].as_str().unwrap())).await;
    assert_eq!(
        (&again["status"], &again["verified_at"], &again["dkim_tokens"]),
        (&json!("verified"), &domain["verified_at"], &domain["dkim_tokens"])
    );
    // Signing works with the keys of before.
    let message = json!({"from": "a@mail.acme.test", "to": ["b@example.org"], "subject": "x", "text": "y"});
    let (_, received) = api.send_and_receive(&message).await;
    assert_eq!(received["authentication"]["dkim"][0]["result"], "pass");
    instance.stop().await;
}

#[tokio::test]
async fn another_master_key_is_refused_at_the_start() {
    let platform = Platform::start().await;
    let folder = platform.stop().await;
    std::fs::write(folder.0.join("master.key"), "00".repeat(32)).unwrap();
    let error = Instance::start(&config(&folder)).await.err().unwrap().to_string();
    assert!(error.contains("master key"), "{error}");
}

// Several threads: this test blocks one while background tasks have to go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_locked_database_answers_503_and_keeps_what_was_accepted() {
    let platform = Platform::start().await;
    let before = platform.api.post("/domains", &json!({"domain": "one.acme.test"})).await;
    let path = platform.folder.0.join("countersign.sqlite");
    let script = "import sqlite3,sys,time\nc=sqlite3.connect(sys.argv[1],isolation_level=None,timeout=20)\nc.execute('BEGIN IMMEDIATE')\nprint('locked',flush=True)\nsys.stdin.read()\n";
    let mut holder = std::process::Command::new("python3")
        .args(["-c", script])
        .arg(&path)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = [0; 7];
    std::io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut line).unwrap();
    let (status, problem) = platform.api.refused("/domains", &json!({"domain": "two.acme.test"})).await;
    assert_eq!((status.as_u16(), &problem["code"]), (503, &json!("UNAVAILABLE")));
    assert_eq!(platform.api.plain("/readyz").await.status().as_u16(), 503);
    drop(holder.stdin.take());
    holder.wait().unwrap();
    platform.api.post("/domains", &json!({"domain": "two.acme.test"})).await;
    platform.api.get(&format!("/domains/{}", before["id"].as_str().unwrap())).await;
    platform.stop().await;
}

#[tokio::test]
async fn private_keys_are_sealed_and_the_master_key_may_come_from_the_configuration() {
    let folder = crate::support::Folder::new();
    let configured = countersign::Config { master_key: "ab".repeat(32), ..config(&folder) };
    let instance = Instance::start(&configured).await.unwrap();
    let api = crate::support::Api::new(instance.http, &instance.api_key);
    api.verified("mail.acme.test", "acme.test", "two-txt").await;
    let message = json!({"from": "a@mail.acme.test", "to": ["b@example.org"], "subject": "x", "text": "y"});
    let (_, received) = api.send_and_receive(&message).await;
    assert_eq!(received["authentication"]["dkim"][0]["result"], "pass");
    instance.stop().await;
    assert!(!folder.0.join("master.key").exists(), "no key file beside a configured key");
    // How every PKCS #8 private key of RSA begins behind its length (RFC 5208).
    let start =
        [0x02, 0x01, 0x00, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
    let mut looked_at = 0;
    for entry in std::fs::read_dir(&folder.0).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(start.len()).any(|window| window == start), "a private key is readable");
        looked_at += bytes.len();
    }
    assert!(looked_at > 100_000, "the database was looked at: {looked_at} bytes");
    // Without it, the database does not open its secrets.
    let other = countersign::Config { master_key: "cd".repeat(32), ..config(&folder) };
    assert!(Instance::start(&other).await.err().unwrap().to_string().contains("master key"));
}

#[tokio::test]
async fn an_apex_is_taken_and_a_subdomain_recommended() {
    let platform = Platform::start().await;
    let domain = platform.api.post("/domains", &json!({"domain": "acme.test"})).await;
    let path = format!("/domains/{}/verify", domain["id"].as_str().unwrap());
    let checked = platform.api.post(&path, &json!({})).await;
    let found = checked["findings"].as_array().unwrap().iter().find(|f| f["code"] == "subdomain_recommended");
    assert_eq!(found.unwrap()["evidence"]["suggestion"], "mail.acme.test");
    platform.stop().await;
}
