//! A domain that is delegated to us as a zone: one NS record set, and nothing to do for its owner from then on.

use crate::{
    dns_server::DnsServer,
    independent_verifier::dkimpy,
    lifecycle::Later,
    support::{Api, codes, text},
};
use countersign::Config;
use serde_json::{Value, json};
use std::{
    fmt::Write,
    net::SocketAddr,
    sync::{Arc, Mutex, atomic::Ordering},
};
use tokio::net::UdpSocket;

const NAME: &str = "send.acme.test";

/// DNS outside of the platform: a resolver, and the two servers of the zone above. The resolver goes on to ours for our own
/// zone, and for what is delegated to it.
struct World {
    resolver: SocketAddr,
    above: [DnsServer; 2],
    ours: SocketAddr,
    /// The zones that the resolver gets from us.
    delegated: Arc<Mutex<Vec<&'static str>>>,
    _task: tokio::task::JoinHandle<()>,
}

impl World {
    async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let resolver = socket.local_addr().unwrap();
        // Name servers on loopback are asked at the resolver's port.
        let at = |last: u8| SocketAddr::from(([127, 0, 0, last], resolver.port()));
        let above = [DnsServer::of_zones(at(2), &[]).await, DnsServer::of_zones(at(4), &[]).await];
        let delegated = Arc::new(Mutex::new(vec!["send.serve.test"]));
        let task = tokio::spawn(resolve(socket, at(2), at(3), Arc::clone(&delegated)));
        let world = Self { resolver, above, ours: at(3), delegated, _task: task };
        world.above(0, "");
        world.above(1, "");
        world
    }

    /// What one of the servers above has in the zone `acme.test`.
    fn above(&self, server: usize, records: &str) {
        self.above[server].replace_zones(&[
            ("test", "@ IN NS ns.nic\nns.nic IN A 127.0.0.2\n".to_owned()),
            ("host.test", "@ IN NS ns1\nns1 IN A 127.0.0.2\nns2 IN A 127.0.0.4\n".to_owned()),
            ("acme.test", format!("@ IN NS ns1.host.test.\n@ IN NS ns2.host.test.\n{records}")),
        ]);
    }

    fn delegate(&self, records: &str) {
        self.above(0, records);
        self.above(1, records);
        let mut delegated = self.delegated.lock().unwrap();
        delegated.retain(|zone| *zone != NAME);
        if records.contains("IN NS") {
            delegated.push(NAME);
        }
    }

    async fn platform(&self) -> Later {
        let (resolver, ours) = (self.resolver.to_string(), self.ours);
        Later::serve(|config| Config {
            dns: ours,
            platform_zone: "send.serve.test".into(),
            operator_http: "127.0.0.1:0".into(),
            name_servers: vec![format!("ns1.send.serve.test {}", ours.ip())],
            smtp_relay: "sandbox".into(),
            resolvers: vec![resolver],
            private_dns: true,
            ..config
        })
        .await
    }
}

/// Answers as a resolver that has everything from one server or the other.
async fn resolve(
    socket: UdpSocket,
    rest: SocketAddr,
    ours: SocketAddr,
    delegated: Arc<Mutex<Vec<&'static str>>>,
) {
    let mut query = [0; 4096];
    while let Ok((length, client)) = socket.recv_from(&mut query).await {
        let asked = name_in(&query[..length]);
        let is_ours = delegated
            .lock()
            .unwrap()
            .iter()
            .any(|zone| asked == *zone || asked.ends_with(&format!(".{zone}")));
        let server = if is_ours { ours } else { rest };
        let upstream = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        upstream.send_to(&query[..length], server).await.unwrap();
        let mut answer = [0; 4096];
        let wait = std::time::Duration::from_secs(5);
        if let Ok(Ok((length, _))) = tokio::time::timeout(wait, upstream.recv_from(&mut answer)).await {
            socket.send_to(&answer[..length], client).await.unwrap();
        }
    }
}

/// The name in the question of a message.
fn name_in(message: &[u8]) -> String {
    let mut labels = Vec::new();
    let mut rest = message.get(12..).unwrap_or_default();
    while let Some((&length, behind)) = rest.split_first().filter(|(length, _)| **length > 0) {
        let Some((label, behind)) = behind.split_at_checked(usize::from(length)) else { break };
        labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
        rest = behind;
    }
    labels.join(".")
}

/// The records that a domain object asks for, as zone text.
fn asked_for(domain: &Value) -> String {
    let mut records = String::new();
    for record in domain["records"].as_array().unwrap() {
        writeln!(records, "{}. IN {} {}.", text(record, "name"), text(record, "type"), text(record, "value"))
            .unwrap();
    }
    records
}

fn found(domain: &Value, code: &str) -> bool {
    codes(domain).iter().any(|found| found == code)
}

async fn send(api: &Api, to: &str) -> (String, Vec<u8>) {
    let message = json!({"from": format!("a@{NAME}"), "to": [to], "subject": "Hi", "text": "It works"});
    let (_, received) = api.send_and_receive(&message).await;
    let sender = text(&received, "mail_from");
    assert!(sender.ends_with(&format!("bounce.{NAME}")), "the envelope sender is under the domain: {sender}");
    let verdict = &received["authentication"];
    let said = verdict.to_string();
    assert!(said.contains("pass") && !said.contains("fail"), "{verdict:#}");
    let raw = api.raw(text(&received, "id")).await;
    let head = String::from_utf8_lossy(&raw).replace("\r\n\t", "").replace("\r\n ", "");
    let signature = head.lines().find(|line| line.starts_with("DKIM-Signature:")).unwrap().to_owned();
    let selector = signature.split(';').find_map(|tag| tag.trim().strip_prefix("s=")).unwrap().to_owned();
    (selector, raw)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_delegation_and_mail_is_signed_with_keys_that_rotate_by_themselves() {
    let world = World::start().await;
    let platform = world.platform().await;
    let api = &platform.api;
    let accepted = |raw: &[u8]| {
        if let Some(said) = dkimpy(world.resolver.port(), raw) {
            assert!(said.starts_with("verified\n"), "{said}");
        }
    };

    // All that is asked for is the NS record, with a name made for this domain.
    let domain = api.post("/domains", &json!({"domain": NAME, "delegated": true})).await;
    let path = format!("/domains/{}", text(&domain, "id"));
    let verify = format!("{path}/verify");
    let [record] = domain["records"].as_array().unwrap().as_slice() else { panic!("{domain:#}") };
    assert_eq!((text(record, "type"), text(record, "name")), ("NS", NAME));
    assert!(text(record, "value").ends_with(".ns1.send.serve.test"), "{record:#}");
    let hosted: Vec<&str> =
        domain["hosted_records"].as_array().unwrap().iter().map(|record| text(record, "purpose")).collect();
    assert_eq!(hosted, ["dkim", "dkim", "dkim", "spf", "inbound", "return_path", "return_path", "dmarc"]);
    let checked = api.post(&verify, &json!({})).await;
    assert_eq!(text(&checked, "status"), "pending");
    assert!(found(&checked, "delegation_missing"), "{checked:#}");
    assert_eq!(text(&checked["records"][0], "zone"), "acme.test");
    assert_eq!(text(&checked["records"][0], "host"), "send");

    // Nobody has shown yet whose the zone is: it names no domain's name servers, and has nothing to receive mail by.
    let own = answers_of(world.ours, NAME, 2).await;
    assert_eq!(own.len(), 1);
    assert!(!own[0].contains(text(record, "value").split('.').next().unwrap()), "{own:?}");
    for (name, of_type) in
        [(NAME, 15), (NAME, 16), ("_dmarc.send.acme.test", 16), ("bounce.send.acme.test", 15)]
    {
        assert_eq!(answers_of(world.ours, name, of_type).await, [""; 0], "{name}");
    }

    // Of a delegation that was left over nothing comes, and no key is given away.
    world.delegate("send IN NS other.ns1.send.serve.test.\n");
    let checked = api.post(&verify, &json!({})).await;
    assert_eq!(text(&checked, "status"), "pending");
    assert!(found(&checked, "delegation_elsewhere"), "{checked:#}");
    let key = text(&domain["hosted_records"][0], "name").to_owned();
    assert!(!resolves(&world, &key).await, "{key}");

    // The right one, at one of the two servers above, then at both.
    world.above(0, "");
    world.above(1, &asked_for(&domain));
    let checked = api.post(&verify, &json!({})).await;
    assert_eq!(text(&checked, "status"), "pending");
    assert!(found(&checked, "delegation_uneven"), "{checked:#}");
    world.delegate(&asked_for(&domain));
    let checked = api.post(&verify, &json!({})).await;
    assert_eq!(
        (text(&checked, "status"), text(&checked, "dkim_status")),
        ("verified", "verified"),
        "{checked:#}"
    );
    assert!(!codes(&checked).iter().any(|code| code.starts_with("delegation_")), "{checked:#}");
    assert!(!found(&checked, "sub_zone_not_served"), "{checked:#}");
    assert_eq!(checked["can_send"], true);
    assert!(resolves(&world, &key).await, "{key}");
    let (first, old_mail) = send(api, "one@example.org").await;
    accepted(&old_mail);

    // Another key signs, at once and with nothing to do.
    api.post(&format!("{path}/keys/rotate"), &json!({})).await;
    let (second, mail) = send(api, "two@example.org").await;
    assert_ne!(first, second);
    accepted(&mail);
    accepted(&old_mail);
    platform.minutes.fetch_add(7 * 24 * 60 + 1, Ordering::Relaxed);
    platform.instance.app.wake.key_pool.notify_one();
    let is_new = |list: &Value| list["data"][0]["state"] == "standby";
    api.until(&format!("{path}/keys"), is_new).await;
    platform.minutes.fetch_add(15, Ordering::Relaxed);
    let after = api.post(&verify, &json!({})).await;
    assert_eq!((text(&after, "status"), text(&after, "dkim_status")), ("verified", "verified"), "{after:#}");
    assert_eq!(after["records"][0]["value"], domain["records"][0]["value"]);

    // It breaks, which is told; nothing is taken away at once.
    world.delegate("send IN NS ns1.elsewhere.test.\n");
    let broken = api.post(&verify, &json!({})).await;
    assert!(found(&broken, "delegation_elsewhere"), "{broken:#}");
    assert_eq!(text(&broken, "status"), "verified");
    world.delegate(&asked_for(&domain));
    api.post(&verify, &json!({})).await;

    // With the domain its zone goes, and what is left above is told.
    let deleted = api.delete(&path).await;
    assert!(text(&deleted, "message").contains(&format!("NS {NAME}")), "{deleted:#}");
    let gone = async || !resolves(&world, &key).await;
    let deadline = std::time::Instant::now() + crate::support::PATIENCE;
    while !gone().await {
        assert!(std::time::Instant::now() < deadline, "{key} is still served");
        tokio::task::yield_now().await;
    }
    platform.instance.stop().await;
}

/// Whether the resolver finds a text at a name.
async fn resolves(world: &World, name: &str) -> bool {
    !answers_of(world.resolver, name, 16).await.is_empty()
}

/// What is behind the question, as text where it is some, if the server has an answer of that type.
async fn answers_of(server: SocketAddr, name: &str, of_type: u8) -> Vec<String> {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut query = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    for label in name.split('.') {
        query.push(u8::try_from(label.len()).unwrap());
        query.extend_from_slice(label.as_bytes());
    }
    // IN; and an OPT record, since keys are long.
    query.extend_from_slice(&[0, 0, of_type, 0, 1, 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    let question_end = query.len() - 11;
    socket.send_to(&query, server).await.unwrap();
    let mut answer = [0; 2048];
    let wait = crate::support::PATIENCE;
    let (length, _) = tokio::time::timeout(wait, socket.recv_from(&mut answer)).await.unwrap().unwrap();
    assert!(length > question_end, "{name}: no answer");
    if answer[6..8] == [0, 0] {
        return Vec::new();
    }
    vec![String::from_utf8_lossy(&answer[question_end..length]).into_owned()]
}

#[tokio::test]
async fn nobody_gets_what_is_not_theirs() {
    let world = World::start().await;
    let platform = world.platform().await;
    let api = &platform.api;
    let refused = async |domain: &str| {
        let (status, problem) = api.refused("/domains", &json!({"domain": domain, "delegated": true})).await;
        assert_eq!(status.as_u16(), 422, "{problem:#}");
        problem["errors"].to_string()
    };
    assert!(refused("acme.test").await.contains("give a subdomain"), "a whole domain");
    assert!(refused("x.send.serve.test").await.contains("belongs to this platform"));
    let domain = api.post("/domains", &json!({"domain": NAME, "delegated": true})).await;
    let path = format!("/domains/{}", text(&domain, "id"));
    world.delegate(&asked_for(&domain));
    let checked = api.post(&format!("{path}/verify"), &json!({})).await;
    assert_eq!(text(&checked, "status"), "verified", "{checked:#}");
    assert!(refused(&format!("x.{NAME}")).await.contains("delegated to this platform as a whole"));
    // Each has names of its own.
    let other = api.post("/domains", &json!({"domain": "mail.acme.test", "profile": "delegated"})).await;
    assert_ne!(other["records"][0]["value"], domain["records"][0]["value"]);
    let both = json!({"domain": "news.acme.test", "delegated": true, "profile": "two-txt"});
    let (status, _) = api.refused("/domains", &both).await;
    assert_eq!(status.as_u16(), 422);
    platform.instance.stop().await;
}
