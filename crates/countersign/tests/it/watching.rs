//! What is watched of the world around a domain: whom its zone is delegated to, and whether our own zone is seen.

use crate::{
    dns_server::DnsServer,
    lifecycle::Later,
    support::{Api, text},
};
use countersign::Config;
use serde_json::{Value, json};
use std::{fmt::Write, net::SocketAddr};

const NAME: &str = "mail.acme.test";

/// DNS outside of the platform: a resolver that knows everything, and the server of the zone above.
struct World {
    resolver: DnsServer,
    above: DnsServer,
    records: String,
    sentinel: bool,
}

impl World {
    async fn start() -> Self {
        let resolver = DnsServer::of_zones("127.0.0.1:0".parse().unwrap(), &[]).await;
        // Name servers on loopback are asked at the resolver's port.
        let above = SocketAddr::from(([127, 0, 0, 2], resolver.address.port()));
        let above = DnsServer::of_zones(above, &[]).await;
        let mut world = Self { resolver, above, records: String::new(), sentinel: true };
        world.serve();
        world.delegate("ns1.host.test");
        world
    }

    fn serve(&mut self) {
        let own = "@ IN NS ns1.host.test.\nspf IN TXT \"v=spf1 ip4:198.51.100.7 ~all\"\n";
        let sentinel = if self.sentinel { "_sentinel IN TXT \"countersign is here\"\n" } else { "" };
        let host = |text: &str| format!("@ IN NS ns1\nns1 IN A 127.0.0.1\nns2 IN A 127.0.0.1\n{text}");
        self.resolver.replace_zones(&[
            ("test", "@ IN NS ns.nic\nns.nic IN A 127.0.0.2\n".to_owned()),
            ("host.test", host("")),
            ("other.test", host("")),
            ("acme.test", format!("@ IN NS ns1.host.test.\n{}", self.records)),
            ("send.serve.test", format!("{own}{sentinel}")),
        ]);
    }

    /// Whom the zone above names for the domain's zone.
    fn delegate(&self, name_servers: &str) {
        let mut zone = "@ IN NS ns.nic\nns.nic IN A 127.0.0.2\n".to_owned();
        for name in name_servers.split(' ') {
            writeln!(zone, "acme IN NS {name}.").unwrap();
        }
        self.above.replace_zones(&[("test", zone)]);
    }

    fn publish(&mut self, domain: &Value) {
        self.records = String::new();
        for record in domain["records"].as_array().unwrap().iter().filter(|record| record["type"] == "TXT") {
            let value = text(record, "value");
            let strings: Vec<String> = value
                .as_bytes()
                .chunks(200)
                .map(|part| format!("\"{}\"", String::from_utf8_lossy(part)))
                .collect();
            writeln!(self.records, "{}. IN TXT {}", text(record, "name"), strings.join(" ")).unwrap();
        }
        self.serve();
    }

    async fn platform(&self) -> Later {
        let resolver = self.resolver.address.to_string();
        Later::serve(|config| Config {
            operator_http: "127.0.0.1:0".into(),
            platform_zone: "send.serve.test".into(),
            smtp_relay: "sandbox".into(),
            resolvers: vec![resolver],
            private_dns: true,
            ..config
        })
        .await
    }

    async fn verified(&mut self, api: &Api) -> (Value, String) {
        let domain = api.post("/domains", &json!({"domain": NAME, "profile": "two-txt"})).await;
        self.publish(&domain);
        let path = format!("/domains/{}", text(&domain, "id"));
        api.post(&format!("{path}/verify"), &json!({})).await;
        (api.until(&path, |domain| domain["status"] == "verified").await, path)
    }
}

#[tokio::test]
async fn another_delegation_is_told_when_two_checks_saw_it() {
    let mut world = World::start().await;
    let platform = world.platform().await;
    let api = &platform.api;
    let (domain, path) = world.verified(api).await;
    let id = text(&domain, "id");
    api.confirmed_contact(&json!({"address": "dns@acme.example", "domain_id": id})).await;
    let verify = format!("{path}/verify");

    // One that is there for a moment only.
    world.delegate("ns2.host.test");
    api.post(&verify, &json!({})).await;
    world.delegate("ns1.host.test");
    platform.pass(7, &path).await;
    assert_eq!(platform.event_types(id).await, ["domain.created", "domain.verified"]);

    world.delegate("ns2.other.test ns1.other.test");
    api.post(&verify, &json!({})).await;
    assert_eq!(platform.event_types(id).await.len(), 2, "seen once");
    let domain = platform.pass(7, &path).await;
    assert_eq!((text(&domain, "status"), text(&domain, "health")), ("verified", "ok"));
    let events = platform.events(id).await;
    assert_eq!(events.len(), 3, "{events:?}");
    assert_eq!(events[2].0, "domain.delegation_changed");
    assert_eq!(
        events[2].1,
        json!({
            "domain": NAME, "zone": "acme.test", "old_zone": "acme.test", "old_name_servers": ["ns1.host.test"],
            "name_servers": ["ns1.other.test", "ns2.other.test"], "same_operator": false,
        })
    );
    let inbox = api
        .until("/sandbox/messages?recipient=dns@acme.example", |list| {
            !list["data"].as_array().unwrap().is_empty()
        })
        .await;
    assert_eq!(text(&inbox["data"][0], "subject"), "mail.acme.test: its name servers have changed");
    let metrics =
        Api::new(platform.instance.operator_http.unwrap(), "").plain("/metrics").await.text().await.unwrap();
    let counted = "countersign_domain_changes_total{event=\"domain.delegation_changed\"} 1";
    assert!(metrics.contains(counted), "{metrics}");
    // Told once; and where the order changes, nothing does.
    world.delegate("ns1.other.test ns2.other.test");
    for _ in 0..2 {
        api.post(&verify, &json!({})).await;
        platform.minutes.fetch_add(7, std::sync::atomic::Ordering::Relaxed);
    }
    assert_eq!(platform.event_types(id).await.len(), 3);
    platform.instance.stop().await;
}

#[tokio::test]
async fn nobody_is_demoted_while_our_own_zone_is_not_seen() {
    let mut world = World::start().await;
    let platform = world.platform().await;
    let api = &platform.api;
    let (domain, path) = world.verified(api).await;
    let operator = Api::new(platform.instance.operator_http.unwrap(), "");
    // The resolver has lost our zone, and the domain's records with it.
    world.sentinel = false;
    world.records = String::new();
    world.serve();
    let store = platform.store().await;
    store.poke_domain(text(&domain, "id").parse().unwrap(), platform.instance.app.now()).await.unwrap();
    store.close().await;
    platform.pass(0, &path).await;
    for minutes in [2, 5, 12, 20] {
        let domain = platform.pass(minutes, &path).await;
        assert_eq!((text(&domain, "status"), text(&domain, "health")), ("verified", "ok"));
    }
    let metrics = operator.plain("/metrics").await.text().await.unwrap();
    assert!(metrics.contains("countersign_demotions_held 1"), "{metrics}");
    let events = platform.events("send.serve.test").await;
    assert_eq!((events.len(), events[0].0.as_str()), (1, "platform.demotions_held"));
    assert_eq!(events[0].1["reason"], "sentinel");

    // Our zone is back: it is let go after a while, and what is still broken then counts from then on.
    world.sentinel = true;
    world.serve();
    platform.pass(5, &path).await;
    assert_eq!(platform.event_types("send.serve.test").await.len(), 1, "not at once");
    for minutes in [12, 3, 5, 12, 12] {
        platform.pass(minutes, &path).await;
    }
    let types = platform.event_types("send.serve.test").await;
    assert_eq!(types, ["platform.demotions_held", "platform.demotions_released"]);
    let warned = api.get(&path).await;
    assert_eq!((text(&warned, "status"), text(&warned, "health")), ("verified", "warning"));
    let types = platform.event_types(text(&domain, "id")).await;
    assert_eq!(types, ["domain.created", "domain.verified", "domain.warning"]);
    platform.instance.stop().await;
}
