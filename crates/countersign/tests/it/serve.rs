//! `serve`: the platform without what is only there to try it.

use crate::{
    postgres_server::Server,
    support::{Api, Folder, Platform, config, text},
};
use countersign::{Config, Instance};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    process::{Command, Output},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

/// A platform that lets no mail out.
pub fn serving(folder: &Folder) -> Config {
    Config {
        operator_http: "127.0.0.1:0".into(),
        operator_hosts: vec!["metrics.internal".into()],
        platform_zone: "send.serve.test".into(),
        smtp_relay: "sandbox".into(),
        resolvers: vec!["127.0.0.1:1".into()],
        private_dns: true,
        ..config(folder)
    }
}

#[tokio::test]
async fn what_is_there_to_try_it_is_not_served_and_the_operator_has_a_listener() {
    let folder = Folder::new();
    let instance = Instance::serve(&serving(&folder)).await.unwrap();
    assert!(instance.first_start);
    let api = Api::new(instance.http, &instance.api_key);
    api.post("/domains", &json!({"domain": "mail.acme.test"})).await;
    let (status, problem) = api.refused("/playground/zones", &json!({"apex": "acme.test"})).await;
    assert_eq!((status.as_u16(), text(&problem, "code")), (404, "NOT_FOUND"));
    let operator = Api::new(instance.operator_http.unwrap(), "");
    for path in ["/healthz", "/readyz"] {
        assert_eq!(api.plain(path).await.status(), StatusCode::OK, "{path}");
        assert_eq!(operator.plain(path).await.status(), StatusCode::OK, "{path}");
    }
    assert_eq!(api.with_key("/metrics").await.status(), StatusCode::NOT_FOUND);
    let metrics = operator.plain("/metrics").await.text().await.unwrap();
    assert!(metrics.contains("countersign_domains{status=\"pending\"} 1"), "{metrics}");
    assert_eq!(operator.plain("/api/v1/openapi.json").await.status(), StatusCode::NOT_FOUND);
    // By a name that is somebody else's, nothing is told but one word.
    let by_name = async |path: &str, host: &str| {
        let request = reqwest::Client::new().get(format!("{}{path}", operator.base));
        request.header("host", host).send().await.unwrap().status()
    };
    for path in ["/", "/metrics", "/operator", "/operator/health", "/nothing"] {
        assert_eq!(by_name(path, "evil.example").await, StatusCode::FORBIDDEN, "{path}");
    }
    assert_eq!(by_name("/healthz", "evil.example").await, StatusCode::OK);
    for host in ["metrics.internal", "10.0.0.5:8082", "localhost"] {
        assert_eq!(by_name("/metrics", host).await, StatusCode::OK, "{host}");
    }
    let key = instance.api_key.clone();
    instance.stop().await;

    let instance = Instance::serve(&serving(&folder)).await.unwrap();
    assert!(!instance.first_start && instance.api_key.is_empty(), "a key is made once");
    assert_eq!(Api::new(instance.http, &key).get("/domains").await["data"].as_array().unwrap().len(), 1);
    instance.stop().await;
}

/// Says these lines to an SMTP server; the code of each answer, the greeting's first.
async fn converse(smtp: SocketAddr, lines: &[&str]) -> Vec<u16> {
    let mut stream = BufReader::new(TcpStream::connect(smtp).await.unwrap());
    let mut codes = Vec::new();
    for line in [""].iter().chain(lines) {
        if !line.is_empty() {
            stream.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
        }
        let mut answer = String::new();
        while answer.lines().last().is_none_or(|last| last.as_bytes().get(3) != Some(&b' ')) {
            assert!(stream.read_line(&mut answer).await.unwrap() > 0, "{line}: {answer}");
        }
        codes.push(answer[..3].parse().unwrap());
    }
    codes
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_leaves_by_the_relay_and_only_what_belongs_to_it_comes_in() {
    // The world outside: another platform's DNS and its inbox for everybody.
    let world = Platform::start().await;
    let folder = Folder::new();
    let instance = Instance::serve(&Config {
        smtp_relay: world.instance.smtp.to_string(),
        smtp_relay_tls: "opportunistic".into(),
        sender_addresses: vec!["198.51.100.7".parse().unwrap()],
        resolvers: vec![world.instance.dns.to_string()],
        ..serving(&folder)
    })
    .await
    .unwrap();
    let api = Api::new(instance.http, &instance.api_key);
    let own = world.api.zone("send.serve.test").await;
    world.api.publish(&own, "spf", "TXT", "v=spf1 ip4:198.51.100.7 -all", None).await;
    let zone = world.api.zone("acme.test").await;
    let domain = api.post("/domains", &json!({"domain": "mail.acme.test", "profile": "two-txt"})).await;
    world.api.publish_all(&zone, &domain).await;
    let path = format!("/domains/{}", text(&domain, "id"));
    api.post(&format!("{path}/verify"), &json!({})).await;
    api.until(&path, |domain| domain["status"] == "verified").await;
    let message = json!({
        "from": "hello@mail.acme.test", "to": ["someone@example.org"], "subject": "Hello", "text": "It works.",
    });
    let accepted = api.post("/emails", &message).await;
    let path = format!("/emails/{}", text(&accepted, "id"));
    let sent = api.until(&path, |message| message["recipients"][0]["status"] == "delivered").await;
    assert_eq!(sent["recipients"][0]["attempts"][0]["remote"], world.instance.smtp.to_string());
    let judged = |inbox: &Value| inbox["data"][0]["authentication"].is_object();
    let inbox = world.api.until("/sandbox/messages", judged).await;
    assert_eq!(inbox["data"][0]["authentication"]["dkim"][0]["result"], "pass");
    assert_eq!(api.get("/sandbox/messages").await["data"], json!([]));

    let bounce_to = format!("RCPT TO:<{}>", text(&inbox["data"][0], "mail_from"));
    let lines = ["EHLO relay.test", "MAIL FROM:<>", "RCPT TO:<someone@mail.acme.test>", &bounce_to];
    assert_eq!(converse(instance.smtp, &lines).await, [220, 250, 250, 550, 250]);
    instance.stop().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_share_one_postgresql_and_one_folder() {
    let Some(server) =
        Server::start_or_skip("countersign::serve::two_processes_share_one_postgresql_and_one_folder")
    else {
        return;
    };
    let folder = Folder::new();
    let config = Config { database_url: server.database("serve"), ..serving(&folder) };
    let (first, second) = tokio::join!(Instance::serve(&config), Instance::serve(&config));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert!(first.first_start != second.first_start, "one of them made the first organisation");
    let key = format!("{}{}", first.api_key, second.api_key);
    let (one, two) = (Api::new(first.http, &key), Api::new(second.http, &key));
    let domain = one.post("/domains", &json!({"domain": "mail.acme.test"})).await;
    let path = format!("/domains/{}", text(&domain, "id"));
    assert_eq!(two.get(&path).await["id"], domain["id"]);
    for api in [&one, &two] {
        assert_eq!(api.plain("/readyz").await.status(), StatusCode::OK);
    }
    first.stop().await;
    two.delete(&path).await;
    second.stop().await;
}

fn serve(folder: &Folder, arguments: &[&str]) -> Output {
    let free =
        ["--http", "127.0.0.1:0", "--dns", "127.0.0.1:0", "--smtp", "127.0.0.1:0", "--public-http", ""];
    Command::new(env!("CARGO_BIN_EXE_countersign"))
        .arg("serve")
        .args(free)
        .args(arguments)
        .current_dir(&folder.0)
        .output()
        .unwrap()
}

#[test]
fn a_start_that_misses_something_says_what_to_give() {
    let folder = Folder::new();
    let zone = ["--platform-zone", "send.serve.test"];
    for (arguments, words) in [
        (vec![], "platform_zone"),
        (zone.to_vec(), "smtp_relay"),
        ([&zone[..], &["--smtp-relay", "relay.example.net"]].concat(), "a host and a port"),
        ([&zone[..], &["--smtp-relay", "relay.example.net:25"]].concat(), "sender_addresses"),
        ([&zone[..], &["--smtp-relay", "sandbox", "--public-url", "mail.example.net"]].concat(), "https://"),
        ([&zone[..], &["--smtp-relay", "sandbox", "--operator-http", "here"]].concat(), "operator_http"),
    ] {
        let output = serve(&folder, &arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
    assert!(std::fs::read_dir(&folder.0).unwrap().next().is_none(), "nothing was made");
}
