//! A domain that is delegated to us as a zone: one NS record set, and nothing to do for its owner from then on.

use crate::{
    dns_server::DnsServer,
    independent_verifier::dkimpy,
    lifecycle::Later,
    readiness::codes_of,
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
const PLATFORM: &str = "send.serve.test";

/// DNS outside of the platform: a resolver, and the two servers of the zone above. The resolver goes on to ours for our own
/// zone, and for what is delegated to it.
struct World {
    resolver: SocketAddr,
    above: [DnsServer; 2],
    ours: SocketAddr,
    /// The zones that the resolver gets from us.
    delegated: Names,
    /// What our server has, and says that it has not.
    lost: Names,
    _bare: DnsServer,
    _tasks: [tokio::task::JoinHandle<()>; 2],
}

type Names = Arc<Mutex<Vec<&'static str>>>;

/// Where our server is reached.
const FRONT: &str = "127.0.0.6";

impl World {
    async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let resolver = socket.local_addr().unwrap();
        // Name servers on loopback are asked at the resolver's port.
        let at = |last: u8| SocketAddr::from(([127, 0, 0, last], resolver.port()));
        let above = [DnsServer::of_zones(at(2), &[]).await, DnsServer::of_zones(at(4), &[]).await];
        let delegated = Arc::new(Mutex::new(vec![PLATFORM]));
        let front = SocketAddr::new(FRONT.parse().unwrap(), resolver.port());
        let resolving = tokio::spawn(resolve(socket, at(2), front, Arc::clone(&delegated)));
        let lost = Names::default();
        let bare = format!("@ IN NS ns1.{PLATFORM}.\n");
        let bare = DnsServer::of_zones(at(5), &[(NAME, bare)]).await;
        let front = UdpSocket::bind(front).await.unwrap();
        let losing = tokio::spawn(resolve(front, at(3), at(5), Arc::clone(&lost)));
        let tasks = [resolving, losing];
        let world = Self { resolver, above, ours: at(3), delegated, lost, _bare: bare, _tasks: tasks };
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
            // All of this world asks from one network.
            dns_rate_limit: 0,
            platform_zone: PLATFORM.into(),
            operator_http: "127.0.0.1:0".into(),
            name_servers: vec![format!("ns1.{PLATFORM} {FRONT}")],
            smtp_relay: "sandbox".into(),
            resolvers: vec![resolver],
            private_dns: true,
            ..config
        })
        .await
    }
}

/// Answers with what one server or the other says, by the zones that the other one has.
async fn resolve(socket: UdpSocket, rest: SocketAddr, other: SocketAddr, zones: Names) {
    let mut query = [0; 4096];
    while let Ok((length, client)) = socket.recv_from(&mut query).await {
        let asked = name_in(&query[..length]);
        let is_in = |zone: &&str| asked == **zone || asked.ends_with(&format!(".{zone}"));
        let server = if zones.lock().unwrap().iter().any(is_in) { other } else { rest };
        let upstream = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        // What others send to a port that was theirs a moment ago is no answer.
        upstream.connect(server).await.unwrap();
        upstream.send(&query[..length]).await.unwrap();
        let mut answer = [0; 4096];
        let wait = std::time::Duration::from_secs(5);
        if let Ok(Ok(length)) = tokio::time::timeout(wait, upstream.recv(&mut answer)).await {
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
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
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
    socket.connect(server).await.unwrap();
    socket.send(&query).await.unwrap();
    let mut answer = [0; 2048];
    let wait = crate::support::PATIENCE;
    let length = tokio::time::timeout(wait, socket.recv(&mut answer)).await.unwrap().unwrap();
    assert!(length > question_end, "{name}: no answer: {:?}", &answer[..length]);
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

/// What is wrong in the zone is ours to mend: it is told, what was seen before stands, and nobody is kept from sending by it.
/// Before a key was seen none signs.
#[tokio::test(flavor = "multi_thread")]
async fn a_zone_that_we_do_not_serve_whole_takes_nothing_away() {
    const KEYS: &str = "_domainkey.send.acme.test";
    let world = World::start().await;
    let platform = world.platform().await;
    let api = &platform.api;
    let domain = api.post("/domains", &json!({"domain": NAME, "delegated": true})).await;
    let verify = format!("/domains/{}/verify", text(&domain, "id"));
    let hosted = |domain: &Value| domain["hosted_records"][0]["status"].clone();
    world.delegate(&asked_for(&domain));

    world.lost.lock().unwrap().push(KEYS);
    let without = api.post(&verify, &json!({})).await;
    assert!(found(&without, "sub_zone_not_served"), "{without:#}");
    assert_eq!((text(&without, "status"), &without["can_send"]), ("verified", &json!(false)), "{without:#}");
    assert_eq!(codes_of(api, &domain).await, ["DOMAIN_PENDING_VERIFICATION"]);

    world.lost.lock().unwrap().clear();
    let with = api.post(&verify, &json!({})).await;
    assert!(!found(&with, "sub_zone_not_served"), "{with:#}");
    assert_eq!((hosted(&with), &with["can_send"]), (json!("verified"), &json!(true)), "{with:#}");
    assert!(codes_of(api, &domain).await.is_empty());

    world.lost.lock().unwrap().push(KEYS);
    let again = api.post(&verify, &json!({})).await;
    assert!(found(&again, "sub_zone_not_served"), "{again:#}");
    assert_eq!((text(&again, "status"), hosted(&again)), ("verified", json!("pending")), "{again:#}");
    assert_eq!(again["can_send"], true);
    assert!(codes_of(api, &domain).await.is_empty(), "the key was seen, and goes on signing");
    platform.instance.stop().await;
}

/// The playground's DNS host, as the panel of a customer's.
struct Panel<'a> {
    platform: &'a Later,
    zone: String,
}

impl Panel<'_> {
    /// Adds a domain as a delegated zone, and makes its delegation.
    async fn add(&self, name: &str) -> String {
        let domain = self.platform.api.post("/domains", &json!({"domain": name, "delegated": true})).await;
        self.platform.api.publish_all(&self.zone, &domain).await;
        format!("/domains/{}", text(&domain, "id"))
    }

    /// Deletes all NS records of a host.
    async fn undelegate(&self, host: &str) {
        let zone = self.platform.api.get(&format!("/playground/zones/{}", self.zone)).await;
        let records = zone["records"].as_array().unwrap();
        for record in records.iter().filter(|record| record["host"] == host && record["type"] == "NS") {
            self.platform.api.delete(&format!("/playground/records/{}", text(record, "id"))).await;
        }
    }

    async fn verify(&self, path: &str) -> Value {
        self.platform.api.post(&format!("{path}/verify"), &json!({})).await
    }

    /// The domain once it can send. A check of the platform's own may be under way, between seeing the delegation and
    /// serving the keys.
    async fn sending(&self, path: &str) -> Value {
        self.verify(path).await;
        self.platform.api.until(path, |domain| domain["can_send"] == true).await
    }

    /// Whether the playground's resolver finds the first key of a domain.
    async fn has_key(&self, domain: &Value) -> bool {
        let name = text(&domain["hosted_records"][0], "name");
        !answers_of(self.platform.instance.dns, name, 16).await.is_empty()
    }
}

#[tokio::test]
async fn a_zone_is_delegated_in_the_playground_and_taken_back() {
    let platform = Later::start(|config| config).await;
    let api = &platform.api;
    let panel = Panel { platform: &platform, zone: api.zone("acme.test").await };
    // The panel's own way to publish writes NS records like others.
    let domain = api.post("/domains", &json!({"domain": NAME, "delegated": true})).await;
    let path = format!("/domains/{}", text(&domain, "id"));
    assert!(found(&panel.verify(&path).await, "delegation_missing"));
    assert!(!panel.has_key(&domain).await);
    api.post(&format!("/playground{path}/publish"), &json!({})).await;
    let verified = panel.verify(&path).await;
    assert_eq!(
        (text(&verified, "status"), &verified["can_send"]),
        ("verified", &json!(true)),
        "{verified:#}"
    );
    assert!(panel.has_key(&domain).await);
    send(api, "one@example.org").await;

    // Nobody gets there by a delegation that is gone.
    panel.undelegate("send").await;
    let without = panel.verify(&path).await;
    assert!(found(&without, "delegation_missing"), "{without:#}");
    assert!(!panel.has_key(&domain).await);
    platform.instance.stop().await;
}

#[tokio::test]
async fn a_holder_that_lapsed_keeps_nobody_from_names_below_and_one_above_takes_nothing() {
    const BELOW: &str = "x.send.acme.test";
    let platform = Later::start(|config| Config { grace_hours: 3, ..config }).await;
    let api = &platform.api;
    let panel = Panel { platform: &platform, zone: api.zone("acme.test").await };
    let refused = async |name: &str| {
        let (_, problem) = api.refused("/domains", &json!({"domain": name, "delegated": true})).await;
        problem["errors"].to_string().contains("delegated to this platform as a whole")
    };
    let upper = panel.add(NAME).await;
    panel.sending(&upper).await;
    assert!(refused(BELOW).await);

    // Its delegation is gone until it counts as failed. Then the name below is free, and has keys of its own.
    panel.undelegate("send").await;
    let mut hours = 0;
    while text(&platform.pass(60, &upper).await, "status") != "failed" {
        hours += 1;
        assert!(hours < 300, "it never fails");
    }
    let lower = panel.add(BELOW).await;
    let below = panel.sending(&lower).await;
    assert!(panel.has_key(&below).await);

    // The one above comes back with its own keys, and those of the one below stay. It is told.
    api.publish_all(&panel.zone, &api.get(&upper).await).await;
    let above = panel.sending(&upper).await;
    assert!(panel.has_key(&above).await);
    let below = panel.verify(&lower).await;
    assert!(found(&below, "delegation_covered"), "{below:#}");
    assert_eq!((text(&below, "status"), &below["can_send"]), ("verified", &json!(true)), "{below:#}");
    assert!(panel.has_key(&below).await);
    assert!(refused("y.send.acme.test").await);

    // One that is disabled holds its name for a month after it was looked at last.
    api.post(&format!("{upper}/disable"), &json!({})).await;
    platform.minutes.fetch_add(29 * 24 * 60, Ordering::Relaxed);
    assert!(refused("y.send.acme.test").await);
    platform.minutes.fetch_add(2 * 24 * 60, Ordering::Relaxed);
    panel.undelegate("send").await;
    let another = panel.add("y.send.acme.test").await;
    let another = panel.sending(&another).await;
    assert!(panel.has_key(&another).await);
    platform.instance.stop().await;
}
