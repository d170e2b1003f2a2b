//! The process is killed while it writes at a DNS host: whoever comes next goes on, nothing is doubled and nothing of
//! others is lost.

use crate::{
    secrets::{Serving, command, started},
    support::{Api, Folder, PATIENCE, text},
};
use fake_hosts::{
    Fault,
    cloudflare::{Cloudflare, Token},
};
use model::{DomainName, Record, RecordData, TxtData};
use reqwest::Method;
use serde_json::json;
use std::time::{Duration, Instant};

const TOKEN: &str = "marker-7f3a-0123456789-abcdefghij";

/// Whether the host carried out what nobody was told of.
async fn killed_while_writing(done: bool) {
    let host = Cloudflare::start().unwrap();
    host.zone("acme.test");
    host.token(TOKEN, Token::good());
    let txt = |owner: &str, words: &str| Record {
        owner: DomainName::parse(owner).unwrap(),
        ttl: 300,
        data: RecordData::Txt(TxtData::from_text(words)),
    };
    host.put("acme.test", &txt("www.acme.test", "somebody-elses=1"));
    host.put("acme.test", &txt("mail.acme.test", "v=spf1 ip4:192.0.2.1 -all"));
    let before = |host: &Cloudflare| {
        let mut lines: Vec<String> = host
            .records("acme.test")
            .iter()
            .map(|(_, record, ..)| format!("{} {}", record.owner, record.data))
            .collect();
        lines.sort();
        lines
    };
    let foreign = before(&host);

    let folder = Folder::new();
    let log = folder.0.join("log");
    let start = async || {
        let mut command = command(&folder.0, &log);
        command
            .env("COUNTERSIGN_DNS_HOST_APIS__CLOUDFLARE", format!("http://{}", host.address()))
            .env("COUNTERSIGN_LEASE_SECONDS", "4");
        let serving = Serving(command.spawn().unwrap());
        let (http, ..) = started(&folder.0).await;
        let key = std::fs::read_to_string(folder.0.join("api-key")).unwrap();
        (serving, Api::new(http, key.trim()))
    };
    let given = json!({"host": "cloudflare", "credential": {"token": TOKEN}});
    let (serving, api) = start().await;
    let domain = text(&api.post("/domains", &json!({"domain": "mail.acme.test"})).await, "id").to_owned();
    let plan = format!("/domains/{domain}/change-sets");
    let set = api.post(&plan, &given).await["data"][0].clone();
    let apply = format!("/change-sets/{}/apply", text(&set, "id"));
    // The zone is listed, then the batch is written.
    host.forget_seen();
    host.fault(1, Fault::Silence { done });
    let asked = tokio::spawn(api.request(Method::POST, &apply).json(&given).send());
    let deadline = Instant::now() + PATIENCE;
    let is_written = |host: &Cloudflare| host.records("acme.test").len() > foreign.len();
    while !host.seen().iter().any(|seen| seen.path.ends_with("/batch")) || is_written(&host) != done {
        assert!(Instant::now() < deadline, "the batch never came: {:?}", host.seen());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(serving);
    assert!(asked.await.unwrap().is_err(), "it was killed before it answered");

    let (serving, api) = start().await;
    let half = api.get(&format!("/change-sets/{}", text(&set, "id"))).await;
    assert_eq!(text(&half, "state"), "applying", "{half:#}");
    let deadline = Instant::now() + PATIENCE;
    let whole = loop {
        let answer = api.request(Method::POST, &apply).json(&given).send().await.unwrap();
        let status = answer.status();
        let body: serde_json::Value = answer.json().await.unwrap();
        if status.is_success() {
            break body;
        }
        // The dead one holds the zone until its lease ends.
        assert_eq!(text(&body, "code"), "CHANGE_SET_NOT_APPLICABLE", "{body:#}");
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(text(&whole, "state"), "applied", "{whole:#}");
    let after = before(&host);
    let steps = whole["steps"].as_array().unwrap();
    assert_eq!(after.len(), steps.len() + 1, "one step went into the SPF record: {after:#?}");
    for step in steps {
        assert_eq!(step["done"], true, "{step:#}");
        let new = format!("{} {}", text(step, "name"), text(step, "new"));
        assert_eq!(after.iter().filter(|line| **line == new).count(), 1, "{new}: {after:#?}");
    }
    assert!(after.contains(&foreign[1]) || after.contains(&foreign[0]));
    let again = api.post(&plan, &given).await["data"][0].clone();
    assert_eq!((&again["steps"], &again["blocked"]), (&json!([]), &json!([])), "{again:#}");
    // All of it is known to be ours, and nothing else.
    let mut cleanup = given.clone();
    cleanup["purpose"] = json!("cleanup");
    cleanup["apply"] = json!(true);
    api.post(&plan, &cleanup).await;
    assert_eq!(before(&host), foreign);
    drop(serving);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_host_did_and_nobody_wrote_down_is_found() {
    killed_while_writing(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_host_did_not_do_is_done() {
    killed_while_writing(false).await;
}
