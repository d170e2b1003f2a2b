//! Several processes on one PostgreSQL: killed, frozen, cut off, drained, upgraded.
//!
//! What is promised: nothing that was accepted is lost; a message goes out twice only where nobody can know whether the
//! first time counted; no domain changes its status because a node had trouble. So these tests count.

mod harness;
mod keys_served;

use crate::{support::text, webhooks::Sink};
use harness::{Cluster, Node, crash, query, recover};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

/// How many deliveries one node has under way at the most.
const SLOTS: usize = 16;

fn message(number: usize) -> Value {
    json!({"from": "a@mail.acme.test", "to": [format!("r{number}@example.org")], "subject": "x", "text": "y"})
}

fn types_of(feed: &[Value], subject: &str) -> Vec<String> {
    let told = feed.iter().filter(|event| event["subject"] == subject);
    told.map(|event| text(event, "type").to_owned()).filter(|kind| kind.starts_with("domain.")).collect()
}

/// No domain did anything but be added and be verified, each once.
fn assert_nothing_flapped(feed: &[Value], domains: &[String]) {
    for domain in domains {
        let mut told = types_of(feed, domain);
        told.sort();
        assert_eq!(told, ["domain.created", "domain.verified"], "{domain}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_in_the_middle_loses_nothing() {
    let Some(cluster) = Cluster::start_or_skip("kill_9_in_the_middle_loses_nothing", &[]).await else {
        return;
    };
    let mut nodes = vec![cluster.node().await, cluster.node().await, cluster.node().await];
    let apis: Vec<_> = nodes.iter().map(Node::api).collect();
    cluster.verified(&apis[0], "mail.acme.test").await;
    let hook = Sink::start().await;
    let wanted =
        json!({"url": hook.url(), "event_types": ["email.accepted", "email.delivered", "domain.verified"]});
    apis[0].post("/webhooks", &wanted).await;
    // Twelve domains to verify, while mail is sent.
    let mut domains = Vec::new();
    for number in 0..12 {
        let domain = json!({"domain": format!("n{number}.acme.test"), "profile": "two-txt"});
        let domain = apis[number % 3].post("/domains", &domain).await;
        cluster.publish(&domain).await;
        domains.push(text(&domain, "id").to_owned());
        let poke = apis[number % 3].request(Method::POST, &format!("/domains/{}/verify", domains[number]));
        tokio::spawn(poke.json(&json!({})).send());
    }
    cluster.relay.answer_after(Duration::from_millis(40));
    let mut accepted = HashMap::new();
    for number in 0..90 {
        if number == 45 {
            cluster.relay.until(|taken| taken.len() >= 10).await;
            let killed = nodes.remove(1);
            killed.signal("KILL");
            assert!(!killed.wait().success());
        }
        let api = if number < 45 { &apis[number % 3] } else { &apis[[0, 2][number % 2]] };
        if let Ok(answer) = api.request(Method::POST, "/emails").json(&message(number)).send().await
            && answer.status() == StatusCode::ACCEPTED
        {
            let answer: Value = answer.json().await.unwrap();
            accepted.insert(format!("r{number}@example.org"), text(&answer, "id").to_owned());
        }
    }
    assert_eq!(accepted.len(), 90);
    for id in accepted.values() {
        let path = format!("/emails/{id}");
        apis[2].until(&path, |message| message["recipients"][0]["status"] == "delivered").await;
    }
    let taken = cluster.relay.taken();
    let reached: HashSet<_> = taken.iter().cloned().collect();
    assert_eq!(reached, accepted.keys().cloned().collect(), "everyone, and nobody else");
    assert!(taken.len() - reached.len() <= SLOTS, "{} came twice", taken.len() - reached.len());

    for id in &domains {
        apis[0].until(&format!("/domains/{id}"), |domain| domain["status"] == "verified").await;
    }
    let feed = cluster.feed(&apis[0]).await;
    assert_nothing_flapped(&feed, &domains);
    let told: HashSet<_> = feed
        .iter()
        .filter(|event| ["email.accepted", "email.delivered"].contains(&text(event, "type")))
        .map(|event| text(event, "id").to_owned())
        .collect();
    assert_eq!(told.len(), 180, "each message is told to be accepted and delivered once");
    let received = hook
        .until(|received| {
            let ids: HashSet<_> = received.iter().map(|one| one.id.as_str()).collect();
            told.iter().all(|id| ids.contains(id.as_str()))
        })
        .await;
    let ids: HashSet<_> = received.iter().map(|one| &one.id).collect();
    assert!(received.len() - ids.len() <= 8, "{} were told twice", received.len() - ids.len());
    println!("mail: {} twice; webhooks: {} twice", taken.len() - reached.len(), received.len() - ids.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_node_sends_nothing_after_its_lease() {
    let Some(cluster) = Cluster::start_or_skip("a_frozen_node_sends_nothing_after_its_lease", &[]).await
    else {
        return;
    };
    let frozen = cluster.node().await;
    let api = frozen.api();
    cluster.verified(&api, "mail.acme.test").await;
    cluster.relay.hold(true);
    let sent = api.post("/emails", &message(1)).await;
    cluster.relay.until_held(1).await;
    frozen.signal("STOP");
    cluster.relay.hold(false);
    let other = cluster.node().await;
    let path = format!("/emails/{}", text(&sent, "id"));
    let api = other.api();
    api.until(&path, |message| message["recipients"][0]["status"] == "delivered").await;
    assert_eq!(cluster.relay.taken(), ["r1@example.org"]);
    // It wakes up with the server's go-ahead before it, and does not go on.
    cluster.relay.release();
    frozen.signal("CONT");
    cluster.relay.until_given_up(1).await;
    assert_eq!(cluster.relay.taken(), ["r1@example.org"]);
    let told = api.get(&path).await;
    assert_eq!(told["recipients"][0]["attempts"].as_array().unwrap().len(), 1);
    // It is of use again.
    let api = frozen.api();
    let again = api.post("/emails", &message(2)).await;
    let path = format!("/emails/{}", text(&again, "id"));
    api.until(&path, |message| message["recipients"][0]["status"] == "delivered").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_cut_off_recovers_and_no_domain_flaps() {
    let Some(cluster) = Cluster::start_or_skip("a_node_cut_off_recovers_and_no_domain_flaps", &[]).await
    else {
        return;
    };
    let whole = cluster.node().await;
    let behind = cluster.node_behind_proxy().await;
    let (api, cut_off) = (whole.api(), behind.api());
    let domain = cluster.verified(&api, "mail.acme.test").await;
    cluster.relay.answer_after(Duration::from_millis(100));
    let mut sent = Vec::new();
    for number in 0..20 {
        let api = if number % 2 == 0 { &api } else { &cut_off };
        sent.push(text(&api.post("/emails", &message(number)).await, "id").to_owned());
    }
    cluster.relay.until(|taken| taken.len() >= 3).await;
    for silent in [true, false] {
        cluster.proxy.cut(silent);
        let began = Instant::now();
        cut_off.until_plain("/readyz", StatusCode::SERVICE_UNAVAILABLE).await;
        assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
        let refused = cut_off.request(Method::GET, "/domains").send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(cut_off.plain("/healthz").await.status(), StatusCode::OK);
        let number = 100 + usize::from(silent);
        sent.push(text(&api.post("/emails", &message(number)).await, "id").to_owned());
        for id in &sent {
            let path = format!("/emails/{id}");
            api.until(&path, |message| message["recipients"][0]["status"] == "delivered").await;
        }
        cluster.proxy.mend();
        cut_off.until_plain("/readyz", StatusCode::OK).await;
        let id = text(&cut_off.post("/emails", &message(number + 100)).await, "id").to_owned();
        let path = format!("/emails/{id}");
        cut_off.until(&path, |message| message["recipients"][0]["status"] == "delivered").await;
        sent.push(id);
    }
    let taken = cluster.relay.taken();
    let reached: HashSet<_> = taken.iter().collect();
    assert_eq!(reached.len(), sent.len());
    assert!(taken.len() - reached.len() <= SLOTS, "{} came twice", taken.len() - reached.len());
    assert_nothing_flapped(&cluster.feed(&api).await, &[text(&domain, "id").to_owned()]);
    println!("mail: {} twice", taken.len() - reached.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_is_refused_by_every_node_at_once() {
    let Some(cluster) = Cluster::start_or_skip("a_revoked_key_is_refused_by_every_node_at_once", &[]).await
    else {
        return;
    };
    let nodes = [cluster.node().await, cluster.node().await, cluster.node().await];
    let made = json!({"name": "short", "scopes": ["read:domains"]});
    for round in 0..5 {
        let key = nodes[round % 3].api().post("/keys", &made).await;
        let users: Vec<_> = nodes.iter().map(|node| node.api_with(text(&key, "secret"))).collect();
        for user in &users {
            user.get("/domains").await;
        }
        nodes[round % 3].api().delete(&format!("/keys/{}", text(&key, "id"))).await;
        for user in &users {
            let refused = user.request(Method::GET, "/domains").send().await.unwrap();
            assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stops_gives_its_work_back() {
    // A lease that nobody would wait for.
    let settings = [("LEASE_SECONDS", "600"), ("DRAIN_SECONDS", "2"), ("DRAIN_NOTICE_SECONDS", "1")];
    let Some(cluster) = Cluster::start_or_skip("a_node_that_stops_gives_its_work_back", &settings).await
    else {
        return;
    };
    let leaving = cluster.node().await;
    let api = leaving.api();
    cluster.verified(&api, "mail.acme.test").await;
    cluster.relay.hold(true);
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(text(&api.post("/emails", &message(number)).await, "id").to_owned());
    }
    cluster.relay.until_held(5).await;
    let staying = cluster.node().await;
    leaving.signal("TERM");
    api.until_plain("/readyz", StatusCode::SERVICE_UNAVAILABLE).await;
    cluster.relay.hold(false);
    assert!(leaving.wait().success());
    let api = staying.api();
    for id in ids {
        let path = format!("/emails/{id}");
        api.until(&path, |message| message["recipients"][0]["status"] == "delivered").await;
    }
    let mut taken = cluster.relay.taken();
    taken.sort();
    assert_eq!(
        taken,
        ["r0@example.org", "r1@example.org", "r2@example.org", "r3@example.org", "r4@example.org"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_killed_costs_no_message_and_sends_none_twice() {
    let name = "a_database_that_is_killed_costs_no_message_and_sends_none_twice";
    let Some(mut cluster) = Cluster::start_or_skip(name, &[("LEASE_SECONDS", "120")]).await else { return };
    let node = cluster.node().await;
    let api = node.api();
    cluster.verified(&api, "mail.acme.test").await;
    cluster.relay.answer_after(Duration::from_secs(3));
    let mut ids = Vec::new();
    for number in 0..8 {
        ids.push(text(&api.post("/emails", &message(number)).await, "id").to_owned());
    }
    cluster.relay.until_begun(8).await;
    crash(&mut cluster.server);
    // The relay takes the messages while there is nobody to write that down.
    cluster.relay.until(|taken| taken.len() == 8).await;
    recover(&mut cluster.server);
    let began = Instant::now();
    for id in ids {
        let path = format!("/emails/{id}");
        api.until_there(&path, |message| message["recipients"][0]["status"] == "delivered").await;
    }
    assert!(began.elapsed() < Duration::from_mins(1), "long before the leases end");
    let taken = cluster.relay.taken();
    assert_eq!(taken.len(), 8, "{taken:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_work_on_while_a_newer_one_adds_to_the_schema() {
    let name = "nodes_work_on_while_a_newer_one_adds_to_the_schema";
    let Some(cluster) = Cluster::start_or_skip(name, &[]).await else { return };
    let node = cluster.node().await;
    let api = node.api();
    cluster.verified(&api, "mail.acme.test").await;
    api.post("/emails", &message(1)).await;
    // As a later program's migration would: it only adds, and says that programs of today can go on.
    query(
        &cluster.server,
        "BEGIN;
         ALTER TABLE domains ADD COLUMN later TEXT;
         ALTER TABLE messages ADD COLUMN later BIGINT NOT NULL DEFAULT 7;
         ALTER TABLE deliveries ADD COLUMN later TEXT;
         INSERT INTO schema_migrations (version, name, checksum) VALUES (9000, 'later', '0');
         INSERT INTO schema_needs (version, needs) SELECT 9000, MAX(version) FROM schema_migrations WHERE version < 9000;
         COMMIT;",
    );
    let other = cluster.node().await;
    for (number, api) in [(2, &api), (3, &other.api())] {
        let id = text(&api.post("/emails", &message(number)).await, "id").to_owned();
        let path = format!("/emails/{id}");
        api.until(&path, |message| message["recipients"][0]["status"] == "delivered").await;
        let domain = json!({"domain": format!("n{number}.acme.test")});
        api.post("/domains", &domain).await;
        assert_eq!(api.plain("/readyz").await.status(), StatusCode::OK);
    }
    // One that takes away what today's programs need is refused by them.
    query(
        &cluster.server,
        "INSERT INTO schema_migrations (version, name, checksum) VALUES (9001, 'contract', '0');",
    );
    let said = cluster.refused_node();
    assert!(said.contains("newer"), "{said}");
    // And those that run end, before they do more.
    for node in [node, other] {
        assert!(!node.wait().success());
    }
}
