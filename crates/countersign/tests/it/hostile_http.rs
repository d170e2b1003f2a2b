//! Clients that want to hurt: many connections, slow ones, huge heads, JSON that is none.

use crate::{
    durability::Process,
    support::{Folder, PATIENCE, Platform, problem},
};
use reqwest::{Method, header};
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// The memory that a process has in use, in KiB.
fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_idle_connections_hurt_nobody() {
    let folder = Folder::new();
    let process = Process::start(&folder.0);
    let api = process.api();
    api.post("/domains", &json!({"domain": "mail.acme.test"})).await;
    let before = resident(process.id());
    let mut idle = Vec::new();
    for number in 0..1_000 {
        let mut stream = TcpStream::connect(process.http).await.unwrap();
        // Half of them never say anything, the others never come to an end.
        if number % 2 == 0 {
            stream.write_all(b"GET /api/v1/domains HTTP/1.1\r\nhost: x\r\nx-slow: ").await.unwrap();
            stream.write_all(&[b'a'; 8_000]).await.unwrap();
        }
        idle.push(stream);
    }
    let began = Instant::now();
    for _ in 0..20 {
        assert_eq!(api.get("/domains").await["data"].as_array().unwrap().len(), 1);
    }
    assert!(began.elapsed() < PATIENCE, "others wait: {:?}", began.elapsed());
    let grown = resident(process.id()).saturating_sub(before);
    println!("1,000 idle connections take {grown} KiB");
    assert!(grown < 96 * 1024, "1,000 idle connections take {grown} KiB");
    // Who began a head and does not end it is cut off.
    let mut rest = Vec::new();
    drop(timeout(PATIENCE, idle[0].read_to_end(&mut rest)).await.expect("a slow head is cut"));
    assert_eq!(api.get("/domains").await["data"].as_array().unwrap().len(), 1);
    drop(idle);
    assert!(process.terminate().success());
}

#[tokio::test]
async fn hostile_json_is_refused_in_kind() {
    let platform = Platform::start().await;
    let api = &platform.api;
    let bodies: Vec<Vec<u8>> = vec![
        b"\xff\xfe{\x00}".to_vec(),
        b"\xef\xbb\xbf{\"domain\":\"a.acme.test\"}".to_vec(),
        br#"{"domain":"\ud800"}"#.to_vec(),
        br#"{"domain":"a.acme.test","domain":"b.acme.test"}"#.to_vec(),
        br#"{"domain":1e99999}"#.to_vec(),
        format!("{{\"domain\":{}}}", "9".repeat(50_000)).into_bytes(),
        format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000)).into_bytes(),
        b"{\"domain\":\"a\0b.acme.test\"}".to_vec(),
        br#"{"domain":"a\u0000.acme.test"}"#.to_vec(),
        b"null".to_vec(),
        b"\"".repeat(3),
        vec![b' '; 60_000],
    ];
    for path in ["/domains", "/emails", "/checks", "/keys", "/tenants"] {
        for body in &bodies {
            let request = api.request(Method::POST, path).header(header::CONTENT_TYPE, "application/json");
            let response = request.body(body.clone()).send().await.unwrap();
            let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
            let (status, _) = problem(response).await;
            assert!(status.is_client_error(), "{path} {shown}: {status}");
        }
    }
    assert_eq!(api.get("/domains").await["data"], json!([]));
    platform.stop().await;
}

#[tokio::test]
async fn a_client_that_lies_about_its_body_gets_an_answer_or_the_door() {
    let platform = Platform::start().await;
    for request in [
        "POST /api/v1/domains HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        "POST /api/v1/domains HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        "POST /api/v1/domains HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        "POST /api/v1/domains HTTP/1.1\r\nhost: x\r\ntransfer-encoding: nonsense\r\n\r\n",
        "GET /\0 HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\nx: a\r\n b: c\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "\u{16}\u{3}\u{1}\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(platform.instance.http).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        drop(stream.shutdown().await);
        let mut said = Vec::new();
        drop(timeout(Duration::from_secs(20), stream.read_to_end(&mut said)).await.expect("an end"));
        let said = String::from_utf8_lossy(&said);
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 4"), "{request:?}: {said}");
    }
    platform.stop().await;
}
