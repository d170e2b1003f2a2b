//! Records that we wrote, and that somebody changed or removed: told, offered, or brought back, as their owner said.

use crate::{
    lifecycle::Later,
    support::{Api, text},
};
use countersign::Config;
use fake_hosts::cloudflare::{Cloudflare, Token};
use model::{DomainName, RecordType};
use serde_json::{Value, json};
use std::time::Duration;

const TOKEN: &str = "marker-7f3a-0123456789-abcdefghij";

async fn types(later: &Later, domain: &str) -> Vec<String> {
    later.event_types(domain).await
}

/// Lets the time pass until the domain's events have this one so often.
async fn until_event(later: &Later, id: &str, path: &str, event: &str, times: usize) {
    for minutes in [2, 5, 12, 20, 30, 40, 60, 60, 60, 60, 60, 60] {
        later.pass(minutes, path).await;
        let seen = types(later, id).await;
        if seen.iter().filter(|one| *one == event).count() >= times {
            return;
        }
    }
    // What a check began may still be under way.
    let deadline = std::time::Instant::now() + crate::support::PATIENCE;
    while types(later, id).await.iter().filter(|one| *one == event).count() < times {
        assert!(std::time::Instant::now() < deadline, "no {event}: {:?}", types(later, id).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Removes a DKIM alias in the playground.
async fn remove_first(api: &Api, zone: &str) {
    let zone = api.get(&format!("/playground/zones/{zone}")).await;
    let records = zone["records"].as_array().unwrap();
    let first = records.iter().find(|record| text(record, "host").contains("_domainkey")).unwrap();
    api.delete(&format!("/playground/records/{}", text(first, "id"))).await;
}

async fn aliases(api: &Api, zone: &str) -> usize {
    let zone = api.get(&format!("/playground/zones/{zone}")).await;
    zone["records"].as_array().unwrap().iter().filter(|record| record["type"] == "CNAME").count()
}

#[tokio::test]
async fn what_was_removed_is_brought_back_and_nobody_is_fought() {
    let later = Later::start(|config| config).await;
    let api = &later.api;
    let zone = api.zone("acme.test").await;
    let domain = api.post("/domains", &json!({"domain": "mail.acme.test"})).await;
    let id = text(&domain, "id");
    let path = format!("/domains/{id}");
    let kept = json!({"host": "playground", "domain_id": id, "repair": "auto"});
    let kept = api.post("/dns-connections", &kept).await;
    let write = json!({"connection_id": kept["id"], "apply": true});
    api.post(&format!("{path}/change-sets"), &write).await;
    api.until(&path, |domain| domain["status"] == "verified").await;
    let whole = aliases(api, &zone).await;
    // Somebody else's record stays where it is, whatever is brought back.
    api.publish(&zone, "www", "TXT", "somebody-elses=1", None).await;

    for time in 1..=2 {
        remove_first(api, &zone).await;
        until_event(&later, id, &path, "domain.dns_repaired", time).await;
        assert_eq!(aliases(api, &zone).await, whole, "time {time}");
        let mended = api.until(&path, |domain| domain["health"] == "ok").await;
        assert_eq!(text(&mended, "status"), "verified");
    }
    let seen = types(&later, id).await;
    assert_eq!(seen.iter().filter(|event| *event == "domain.dns_drifted").count(), 2, "{seen:?}");
    // Who does it a third time has decided.
    later.pass(70, &path).await;
    remove_first(api, &zone).await;
    until_event(&later, id, &path, "domain.dns_repair_stopped", 1).await;
    let drift = api.until(&path, |domain| domain["drift"]["change_set_id"].is_string()).await;
    assert_eq!(drift["drift"]["stopped"], true, "{:#}", drift["drift"]);
    assert_eq!(aliases(api, &zone).await, whole - 1, "it stays as they want it");
    let page = api.plain(&path).await.text().await.unwrap();
    assert!(page.contains("were changed or removed") && page.contains("brought back twice"), "{page}");
    // It is offered.
    let set = text(&drift["drift"], "change_set_id");
    let set = api.post(&format!("/change-sets/{set}/apply"), &json!({})).await;
    assert_eq!((text(&set, "purpose"), text(&set, "state")), ("repair", "applied"), "{set:#}");
    assert_eq!(aliases(api, &zone).await, whole);
    let audit = api.get("/audit?limit=100").await;
    let by_us = |line: &&Value| line["actor"]["type"] == "system" && line["action"] == "change_set.applied";
    assert_eq!(audit["data"].as_array().unwrap().iter().filter(by_us).count(), 2, "{audit:#}");
    later.instance.stop().await;
}

#[tokio::test]
async fn without_consent_it_is_told_and_with_some_it_is_offered() {
    let host = Cloudflare::start().unwrap();
    host.zone("acme.test");
    host.token(TOKEN, Token::good());
    let dns = host.serve_dns(Duration::ZERO).await.unwrap();
    let (resolver, address) = (dns.address().to_string(), format!("http://{}", host.address()));
    let later = Later::serve(|config| Config {
        operator_http: "127.0.0.1:0".into(),
        platform_zone: "send.serve.test".into(),
        smtp_relay: "sandbox".into(),
        resolvers: vec![resolver],
        private_dns: true,
        dns_host_apis: [("cloudflare".to_owned(), address)].into(),
        ..config
    })
    .await;
    dns.ask_elsewhere(DomainName::parse("send.serve.test").unwrap(), later.instance.dns);
    let api = &later.api;
    let given = json!({"host": "cloudflare", "credential": {"token": TOKEN}, "apply": true});
    let mut domains = Vec::new();
    for (name, repair) in [("told.acme.test", None), ("offered.acme.test", Some("offer"))] {
        let id = text(&api.post("/domains", &json!({"domain": name})).await, "id").to_owned();
        let mut body = given.clone();
        if let Some(repair) = repair {
            body["keep"] = json!(true);
            body["repair"] = json!(repair);
        }
        api.post(&format!("/domains/{id}/change-sets"), &body).await;
        let path = format!("/domains/{id}");
        api.until(&path, |domain| domain["status"] == "verified").await;
        domains.push((name, id, path));
    }
    let before = host.records("acme.test").len();
    for (name, ..) in &domains {
        let is_key = |record: &model::Record| {
            record.data.record_type() == RecordType::Cname
                && record.owner.as_str().ends_with(name)
                && record.owner.as_str().contains("._domainkey.")
        };
        let (gone, ..) =
            host.records("acme.test").into_iter().find(|(_, record, ..)| is_key(record)).unwrap();
        host.take("acme.test", &gone);
    }
    for (_, id, path) in &domains {
        until_event(&later, id, path, "domain.dns_drifted", 1).await;
    }
    assert_eq!(host.records("acme.test").len(), before - 2, "nothing is written by itself");
    let told = api.get(&domains[0].2).await;
    assert_eq!((&told["drift"]["change_set_id"], &told["drift"]["stopped"]), (&Value::Null, &json!(false)));
    let lost = told["drift"]["records"].as_array().unwrap();
    assert_eq!(lost.len(), 1, "{told:#}");
    let is_it = |record: &Value| record["id"] == lost[0]["id"] && record["name"] == lost[0]["name"];
    assert!(told["records"].as_array().unwrap().iter().any(is_it), "{told:#}");
    let offered = api.until(&domains[1].2, |domain| domain["drift"]["change_set_id"].is_string()).await;
    let set = text(&offered["drift"], "change_set_id");
    let done = api.post(&format!("/change-sets/{set}/apply"), &json!({})).await;
    assert_eq!((text(&done, "state"), done["steps"].as_array().unwrap().len()), ("applied", 1), "{done:#}");
    assert_eq!(host.records("acme.test").len(), before - 1);
    until_event(&later, &domains[1].1, &domains[1].2, "domain.recovered", 1).await;
    api.until(&domains[1].2, |domain| domain["drift"].is_null()).await;
    later.instance.stop().await;
}

/// A domain with its records written, and a kept credential that may be used so.
async fn written(api: &Api, repair: &str) -> (String, String, Value) {
    let domain = api.post("/domains", &json!({"domain": "mail.acme.test"})).await;
    let id = text(&domain, "id").to_owned();
    let path = format!("/domains/{id}");
    let kept = json!({"host": "playground", "domain_id": id, "repair": repair});
    let kept = api.post("/dns-connections", &kept).await;
    let write = json!({"connection_id": kept["id"], "apply": true});
    api.post(&format!("{path}/change-sets"), &write).await;
    api.until(&path, |domain| domain["status"] == "verified").await;
    (id, path, kept)
}

async fn texts(api: &Api, zone: &str, host: &str) -> Vec<String> {
    let zone = api.get(&format!("/playground/zones/{zone}")).await;
    let at = |record: &&Value| record["host"] == host && record["type"] == "TXT";
    zone["records"]
        .as_array()
        .unwrap()
        .iter()
        .filter(at)
        .map(|record| text(record, "value").to_owned())
        .collect()
}

#[tokio::test]
async fn a_repair_leaves_out_what_is_not_ours_and_offers_what_would_take_from_others() {
    let later = Later::start(|config| config).await;
    let api = &later.api;
    let zone = api.zone("acme.test").await;
    // Theirs: an SPF record, a policy, and something beside that.
    api.publish(&zone, "mail", "TXT", "v=spf1 ip4:192.0.2.1 -all", None).await;
    let policy = api.publish(&zone, "_dmarc.mail", "TXT", "v=DMARC1; p=none", None).await;
    api.publish(&zone, "_dmarc.mail", "TXT", "somebody-elses=1", None).await;
    let (id, path, _) = written(api, "auto").await;
    let whole = aliases(api, &zone).await;
    api.delete(&format!("/playground/records/{policy}")).await;
    remove_first(api, &zone).await;
    until_event(&later, &id, &path, "domain.dns_repaired", 1).await;
    assert_eq!(aliases(api, &zone).await, whole);
    assert_eq!(texts(api, &zone, "_dmarc.mail").await, ["somebody-elses=1"], "we wrote nothing there");
    api.until(&path, |domain| domain["drift"].is_null()).await;

    // A second SPF record: mending that takes one of theirs, which nobody has seen.
    later.pass(70, &path).await;
    api.publish(&zone, "mail", "TXT", "v=spf1 mx -all", None).await;
    remove_first(api, &zone).await;
    until_event(&later, &id, &path, "domain.dns_drifted", 2).await;
    let drift = api.until(&path, |domain| domain["drift"]["change_set_id"].is_string()).await;
    let offered = text(&drift["drift"], "change_set_id").to_owned();
    for _ in 0..2 {
        later.pass(70, &path).await;
    }
    let drift = api.get(&path).await;
    assert_eq!(
        (text(&drift["drift"], "change_set_id"), &drift["drift"]["stopped"]),
        (&*offered, &json!(false))
    );
    assert_eq!((aliases(api, &zone).await, texts(api, &zone, "mail").await.len()), (whole - 1, 2));
    let applied = api.post(&format!("/change-sets/{offered}/apply"), &json!({})).await;
    assert_eq!(text(&applied, "state"), "applied", "{applied:#}");
    assert_eq!((aliases(api, &zone).await, texts(api, &zone, "mail").await.len()), (whole, 1));
    later.instance.stop().await;
}

#[tokio::test]
async fn what_nobody_mends_is_offered_anew_and_stays_known_when_the_domain_fails() {
    let later = Later::start(|config| Config { grace_hours: 3, ..config }).await;
    let api = &later.api;
    let zone = api.zone("acme.test").await;
    let (id, path, _) = written(api, "offer").await;
    let whole = aliases(api, &zone).await;
    remove_first(api, &zone).await;
    until_event(&later, &id, &path, "domain.dns_drifted", 1).await;
    let first = api.until(&path, |domain| domain["drift"]["change_set_id"].is_string()).await;
    let first = text(&first["drift"], "change_set_id").to_owned();
    let page = async |id: &str| api.plain(&format!("/change-sets/{id}")).await.text().await.unwrap();
    let fresh = page(&first).await;
    assert!(fresh.contains("Write this") && !fresh.contains("Plan it again"), "{fresh}");
    later.pass(25 * 60, &path).await;
    let old = page(&first).await;
    assert!(old.contains("Plan it again") && !old.contains("Write this"), "{old}");
    let second = api.until(&path, |domain| domain["drift"]["change_set_id"] != first.as_str()).await;
    assert!(second["drift"]["change_set_id"].is_string(), "{:#}", second["drift"]);

    // The time in which nobody looked is put on top of the grace: by small steps it ends.
    for _ in 0..12 {
        if later.pass(40, &path).await["status"] == "failed" {
            break;
        }
    }
    later.pass(60, &path).await;
    let failed = api.get(&path).await;
    assert_eq!(text(&failed, "status"), "failed");
    assert!(
        failed["drift"]["noticed_at"].is_string() && failed["drift"]["records"][0].is_object(),
        "{failed:#}"
    );
    let last = api.until(&path, |domain| domain["drift"]["change_set_id"].is_string()).await;
    let last = text(&last["drift"], "change_set_id").to_owned();
    let applied = api.post(&format!("/change-sets/{last}/apply"), &json!({})).await;
    assert_eq!(text(&applied, "state"), "applied", "{applied:#}");
    assert_eq!(aliases(api, &zone).await, whole);
    api.until(&path, |domain| domain["status"] == "verified").await;
    later.pass(60, &path).await;
    api.until(&path, |domain| domain["drift"].is_null()).await;
    let told = types(&later, &id).await;
    assert_eq!(told.iter().filter(|event| *event == "domain.dns_drifted").count(), 1, "{told:?}");
    later.instance.stop().await;
}
