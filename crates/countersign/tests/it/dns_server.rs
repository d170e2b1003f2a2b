//! A real DNS server on loopback, resolver and authority in one, and the command line asked about it.

use arc_swap::ArcSwap;
use dns::authority::{Server, Zone, ZoneSet, ZoneSetBuilder};
use model::DomainName;
use std::{
    io::Write,
    net::SocketAddr,
    process::{Command, Output, Stdio},
    sync::Arc,
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// A server that runs as long as this is kept.
pub struct DnsServer {
    pub address: SocketAddr,
    zones: Arc<ArcSwap<ZoneSet>>,
    _stop: DropGuard,
}

impl DnsServer {
    pub async fn start(zones: &[(&str, &str)]) -> Self {
        let zones = Arc::new(ArcSwap::from_pointee(zone_set(zones)));
        let server = Server::bind("127.0.0.1:0".parse().unwrap(), Arc::clone(&zones)).await.unwrap();
        let address = server.local_addr();
        let stop = CancellationToken::new();
        tokio::spawn(server.run(stop.clone()));
        Self { address, zones, _stop: stop.drop_guard() }
    }

    /// One with zones as they are written, at a port of all loopback addresses that is free, or at this one.
    pub async fn of_zones(address: SocketAddr, zones: &[(&str, String)]) -> Self {
        let zones = Arc::new(ArcSwap::from_pointee(whole_zones(zones)));
        let server = Server::bind(address, Arc::clone(&zones)).await.unwrap();
        let address = server.local_addr();
        let stop = CancellationToken::new();
        tokio::spawn(server.run(stop.clone()));
        Self { address, zones, _stop: stop.drop_guard() }
    }

    /// Takes effect with the next query.
    pub fn replace_zones(&self, zones: &[(&str, String)]) {
        self.zones.store(Arc::new(whole_zones(zones)));
    }

    /// Takes effect with the next query.
    pub fn replace(&self, zones: &[(&str, &str)]) {
        self.zones.store(Arc::new(zone_set(zones)));
    }

    /// `countersign ARGUMENTS --resolver SERVER`, with something on its standard input.
    pub async fn countersign(&self, arguments: &[&str], input: &str) -> Said {
        let mut arguments: Vec<String> = arguments.iter().map(|&text| text.to_owned()).collect();
        arguments.extend(["--resolver".to_owned(), self.address.to_string()]);
        countersign(arguments, input).await
    }
}

/// What a command said, and how it ended.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// Runs the command line without holding up the server that it asks.
pub async fn countersign(arguments: Vec<String>, input: &str) -> Said {
    let input = input.to_owned();
    tokio::task::spawn_blocking(move || said(&run(&arguments, &input))).await.unwrap()
}

fn run(arguments: &[String], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_countersign"))
        .args(arguments)
        .current_dir(std::env::temp_dir())
        .env_remove("NO_COLOR")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that refuses its arguments does not read: then the pipe is closed.
    drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
    child.wait_with_output().unwrap()
}

fn said(output: &Output) -> Said {
    Said {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn whole_zones(zones: &[(&str, String)]) -> ZoneSet {
    let mut builder = ZoneSetBuilder::new(1);
    for (apex, text) in zones {
        let text = format!("$TTL 60\n@ IN SOA ns host 1 7200 900 1209600 60\n{text}");
        builder.add(&Zone::from_text(&DomainName::parse(apex).unwrap(), &text, true).unwrap()).unwrap();
    }
    builder.build()
}

fn zone_set(zones: &[(&str, &str)]) -> ZoneSet {
    let mut builder = ZoneSetBuilder::new(1);
    for (apex, text) in zones {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let head = "$TTL 300\n@ IN SOA ns host 1 7200 900 1209600 60\n@ IN NS ns\nns IN A 127.0.0.1\n";
        let zone = Zone::from_text(
            &DomainName::parse(apex).unwrap(),
            &format!("{head}{}\n", lines.join("\n")),
            true,
        );
        builder.add(&zone.unwrap()).unwrap();
    }
    builder.build()
}
