//! Zones, servers and questions that the tests share.

use arc_swap::ArcSwap;
use diagnosis::{
    inquiry::Policy,
    observation::{Ask, Question, Server as Asked},
};
use dns::{
    Client, ClientOptions,
    authority::{Server, Zone, ZoneSet, ZoneSetBuilder},
};
use model::{DomainName, RecordType};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::net::UdpSocket;
use tokio_util::sync::{CancellationToken, DropGuard};

pub fn name(text: &str) -> DomainName {
    if text == "." { DomainName::root() } else { DomainName::parse(text).unwrap() }
}

pub fn question(owner: &str, record_type: RecordType) -> Question {
    Question { name: name(owner), record_type }
}

/// Zone text, without the indentation that Rust strings have here: it would mean "the same owner".
pub fn zone(apex: &str, text: &str, lenient: bool) -> Zone {
    let text: Vec<&str> = text.lines().map(str::trim).collect();
    Zone::from_text(&name(apex), &text.join("\n"), lenient).unwrap()
}

pub fn zones(zones: &[Zone]) -> ZoneSet {
    let mut builder = ZoneSetBuilder::new(1);
    for zone in zones {
        builder.add(zone).unwrap();
    }
    builder.build()
}

/// A server that runs as long as this is kept.
pub struct Running {
    pub address: SocketAddr,
    pub zones: Arc<ArcSwap<ZoneSet>>,
    _stop: DropGuard,
}

pub async fn serve(address: &str, set: ZoneSet) -> Running {
    try_serve(address.parse().unwrap(), set).await.unwrap()
}

async fn try_serve(address: SocketAddr, set: ZoneSet) -> Option<Running> {
    let zones = Arc::new(ArcSwap::from_pointee(set));
    let server = Server::bind(address, Arc::clone(&zones)).await.ok()?;
    let address = server.local_addr();
    let stop = CancellationToken::new();
    tokio::spawn(server.run(stop.clone()));
    Some(Running { address, zones, _stop: stop.drop_guard() })
}

/// Servers at 127.0.0.1 and 127.0.0.2, and a socket at 127.0.0.3 that never answers, all at one port.
pub async fn serve_two(set: impl Fn(usize) -> ZoneSet) -> (Running, Running, UdpSocket) {
    loop {
        let first = serve("127.0.0.1:0", set(0)).await;
        let beside = |last| SocketAddr::from(([127, 0, 0, last], first.address.port()));
        // The port may be taken there: then another one is tried.
        if let Some(second) = try_serve(beside(2), set(1)).await
            && let Ok(silent) = UdpSocket::bind(beside(3)).await
        {
            return (first, second, silent);
        }
    }
}

/// Quick enough for tests, patient enough for a busy machine.
pub fn client() -> Client {
    Client::new(ClientOptions {
        timeout: Duration::from_secs(2),
        tries: 2,
        tcp_timeout: Duration::from_secs(2),
        max_in_flight: 64,
        ..ClientOptions::default()
    })
}

pub fn impatient() -> Client {
    Client::new(ClientOptions {
        timeout: Duration::from_millis(60),
        tries: 2,
        tcp_timeout: Duration::from_millis(300),
        max_in_flight: 64,
        ..ClientOptions::default()
    })
}

pub fn at_resolver(address: SocketAddr, question: Question) -> Ask {
    Ask::new(question, Asked::Resolver { address })
}

pub fn at_authority(address: SocketAddr, zone: &str, question: Question) -> Ask {
    Ask::new(question, Asked::Authority { zone: name(zone), name: name("ns.test"), address })
}

pub fn local_policy(resolvers: Vec<SocketAddr>) -> Policy {
    let policy = Policy::for_resolvers(resolvers);
    assert!(policy.private_addresses);
    policy
}
