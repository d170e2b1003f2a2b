//! How soon every node serves a key that one of them has made.

use super::harness::{Cluster, Node, query};
use crate::support::text;
use diagnosis::observation::{Question, Rcode};
use dns::wire::Query;
use model::{DomainName, RecordType};
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::{net::UdpSocket, time::timeout};

/// What was promised.
const SOON: Duration = Duration::from_secs(1);

/// Waits until a node's DNS has the key, and says how long after `since` that was.
async fn served(node: &Node, name: &DomainName, says: &str, since: Instant) -> Duration {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(node.dns).await.unwrap();
    let question = Question { name: name.clone(), record_type: RecordType::Txt };
    let query =
        Query { id: 4, question: &question, recursion_desired: false, checking_disabled: false, edns: true };
    while since.elapsed() < Duration::from_secs(20) {
        socket.send(&query.encode().unwrap()).await.unwrap();
        let mut octets = [0; 1232];
        let length = timeout(Duration::from_secs(5), socket.recv(&mut octets)).await.unwrap().unwrap();
        let reply = query.decode(&octets[..length]).unwrap().reply;
        if reply.rcode == Rcode::NoError
            && reply.answer.iter().any(|record| record.data.to_string().contains(says))
        {
            return since.elapsed();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{name} is not served by a node");
}

fn soon(mut took: Vec<Duration>, what: &str) {
    took.sort();
    let (middle, last) = (took[took.len() / 2], took[took.len() - 1]);
    println!("{what}: p50 {middle:?}, longest {last:?} of {}", took.len());
    assert!(last < SOON, "{what}: {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_is_served_by_every_node_within_a_second() {
    let test = "a_new_key_is_served_by_every_node_within_a_second";
    let Some(cluster) = Cluster::start_or_skip(test, &[]).await else { return };
    let nodes = [cluster.node().await, cluster.node().await, cluster.node().await];
    let mut took = Vec::new();
    let mut last = None;
    for round in 0..9 {
        let new = json!({"domain": format!("k{round}.acme.test"), "profile": "three-cname"});
        let domain = nodes[round % 3].api().post("/domains", &new).await;
        let since = Instant::now();
        let records = domain["records"].as_array().unwrap();
        let target = records.iter().find(|record| record["type"] == "CNAME").unwrap();
        let name = DomainName::parse(text(target, "value").trim_end_matches('.')).unwrap();
        for node in &nodes {
            took.push(served(node, &name, "v=DKIM1", since).await);
        }
        last = Some(name);
    }
    soon(took, "a domain added at one of three nodes");

    // Behind the back of all nodes: nobody tells them, and they find it out.
    let name = last.unwrap();
    let selector = name.labels().next().unwrap();
    let change = format!(
        "UPDATE dkim_keys SET public_key = 'AAAA', dns_generation = NULL WHERE selector = '{selector}'"
    );
    query(&cluster.server, &change);
    let since = Instant::now();
    let mut took = Vec::new();
    for node in &nodes {
        took.push(served(node, &name, "p=AAAA", since).await);
    }
    soon(took, "a key that nobody told of");
}
