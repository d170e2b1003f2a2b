//! A strict Domain Connect host: discovery, settings, templates, and the page that applies one.
//!
//! Its customer is logged in and says yes to everything, or leaves ([`DomainConnect::customer`]). What it enforces: a template
//! that it took in, a zone that it has, a signature by the key that it reads from DNS itself, as the last parameter, over all
//! the others; a value for each variable, and no parameter that is none; a way back where the template allows it; nothing
//! beside an alias. It reads templates by itself, with none of the code that writes them.

mod apply;
mod key;

use crate::{
    name_server::NameServer,
    serve::{Asked, Fault, Listener, Reply, Seen, decoded, locked},
};
use model::{DomainName, Record, RecordData, TxtData};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

/// What its customer does when a link is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Customer {
    /// Says yes.
    #[default]
    Agrees,
    /// Leaves.
    Leaves,
    /// Has another account, which has not got the zone.
    IsSomebodyElse,
}

struct World {
    address: SocketAddr,
    zones: BTreeMap<String, Vec<Record>>,
    templates: Vec<Value>,
    /// Whom keys are asked of.
    key_server: Option<SocketAddr>,
    customer: Customer,
    /// What its zones have as discovery record; its own address unless it is told otherwise.
    discovery: Option<String>,
    /// Zones that moved away: DNS serves them still.
    moved: Vec<String>,
    has_sync_flow: bool,
    knows_state: bool,
    changed: u64,
}

/// The host. It ends with this.
pub struct DomainConnect {
    listener: Listener,
    world: Arc<Mutex<World>>,
}

/// Why a link is not taken: what its customer would read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused(pub String);

pub(crate) fn refused<T>(words: impl Into<String>) -> Result<T, Refused> {
    Err(Refused(words.into()))
}

impl DomainConnect {
    /// Starts one without zones and templates, within the runtime that this is called in.
    pub fn start() -> io::Result<Self> {
        let world = World {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            zones: BTreeMap::new(),
            templates: Vec::new(),
            key_server: None,
            customer: Customer::Agrees,
            discovery: None,
            moved: Vec::new(),
            has_sync_flow: true,
            knows_state: true,
            changed: 0,
        };
        let world = Arc::new(Mutex::new(world));
        let shared = Arc::clone(&world);
        let listener = Listener::start(move |asked| answer(asked, &mut locked(&shared)))?;
        let address = listener.address();
        locked(&world).address = address;
        locked(&world).discovery = Some(format!("{address}/dc"));
        Ok(Self { listener, world })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// What its discovery records say; without any there are none.
    pub fn set_discovery(&self, text: Option<&str>) {
        let mut world = locked(&self.world);
        world.discovery = text.map(str::to_owned);
        world.changed += 1;
    }

    /// The discovery record of those who have none of their own.
    pub fn discovery(&self) -> String {
        format!("{}/dc", self.address())
    }

    /// The requests that came, oldest first.
    pub fn seen(&self) -> Vec<Seen> {
        self.listener.seen()
    }

    /// Fails once, after so many requests that do not.
    pub fn fault(&self, after: usize, fault: Fault) {
        self.listener.fault(after, fault);
    }

    /// Makes a zone, with these records.
    pub fn zone(&self, name: &str, records: Vec<Record>) {
        let mut world = locked(&self.world);
        world.zones.insert(name.to_owned(), records);
        world.changed += 1;
    }

    /// Has a zone no more, which moved; its DNS stays as it is.
    pub fn move_away(&self, name: &str) {
        locked(&self.world).moved.push(name.to_owned());
    }

    /// Takes a template in.
    ///
    /// # Panics
    /// When it is no JSON.
    #[expect(clippy::expect_used, reason = "a test gives a template")]
    pub fn template(&self, text: &str) {
        let template = serde_json::from_str(text).expect("a template is JSON");
        locked(&self.world).templates.push(template);
    }

    /// Where keys that sign links are asked for.
    pub fn ask_keys_of(&self, server: SocketAddr) {
        locked(&self.world).key_server = Some(server);
    }

    /// What its customer does.
    pub fn customer(&self, customer: Customer) {
        locked(&self.world).customer = customer;
    }

    /// Whether it has a flow that begins with a link.
    pub fn set_sync_flow(&self, has: bool) {
        locked(&self.world).has_sync_flow = has;
    }

    /// Whether it hands the state back.
    pub fn set_state(&self, knows: bool) {
        locked(&self.world).knows_state = knows;
    }

    /// The records of a zone.
    pub fn records(&self, zone: &str) -> Vec<Record> {
        locked(&self.world).zones.get(zone).cloned().unwrap_or_default()
    }

    /// Starts a name server with the zones of this host, each with a discovery record behind an alias.
    pub async fn serve_dns(&self, latency: Duration) -> io::Result<NameServer> {
        let shared = Arc::clone(&self.world);
        let zones = move |known: Option<u64>| {
            let world = locked(&shared);
            if known == Some(world.changed + 1) {
                return None;
            }
            let of = |(name, records): (&String, &Vec<Record>)| {
                let apex = DomainName::parse(name).ok()?;
                let mut records = records.clone();
                if let Some(text) = &world.discovery {
                    records.extend(discovery(&apex, text)?);
                }
                Some((apex, records))
            };
            Some((world.changed + 1, world.zones.iter().filter_map(of).collect()))
        };
        NameServer::start(zones, latency).await
    }
}

/// The record, behind an alias as at many hosts.
fn discovery(apex: &DomainName, text: &str) -> Option<[Record; 2]> {
    let (owner, target) = (apex.prepend("_domainconnect").ok()?, apex.prepend("_dc-of-host").ok()?);
    let record = |owner: DomainName, data| Record { owner, ttl: 60, data };
    Some([
        record(owner, RecordData::Cname(target.clone())),
        record(target, RecordData::Txt(TxtData::from_text(text))),
    ])
}

fn page(status: u16, words: &str) -> Reply {
    Reply { status, headers: vec![("content-type", "text/plain".to_owned())], body: words.to_owned() }
}

fn answer(asked: &Asked, world: &mut World) -> Reply {
    let path = asked.seen.path.clone();
    let steps: Vec<String> = path.trim_start_matches('/').split('/').map(decoded).collect();
    let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
    if asked.seen.method != "GET" {
        return page(405, "GET only");
    }
    match steps.as_slice() {
        ["dc", "v2", zone, "settings"] => settings(zone, world),
        ["api", "v2", "domainTemplates", "providers", provider, "services", service] => {
            match world.template_of(provider, service) {
                Some(template) => Reply::json(200, &json!({"version": template["version"]})),
                None => page(404, "no such template"),
            }
        }
        ["ux", "v2", "domainTemplates", "providers", provider, "services", service, "apply"] => {
            match world.apply(provider, service, &asked.seen.query) {
                Ok(back) => Reply { status: 302, headers: vec![("location", back)], body: String::new() },
                Err(Refused(words)) => page(400, &words),
            }
        }
        _ => page(404, "nothing here"),
    }
}

fn settings(zone: &str, world: &World) -> Reply {
    if !world.zones.contains_key(zone) || world.moved.iter().any(|moved| moved == zone) {
        return page(404, "no such zone");
    }
    let base = format!("http://{}", world.address);
    let mut settings = json!({
        "providerId": "host.example", "providerName": "Example Host", "providerDisplayName": "Example Host",
        "urlAPI": format!("{base}/api"), "urlControlPanel": format!("{base}/panel?zone=%domain%"),
        "width": 750, "height": 750, "nameServers": ["ns1.fake-host.test"],
    });
    if world.has_sync_flow {
        settings["urlSyncUX"] = json!(format!("{base}/ux"));
    }
    Reply::json(200, &settings)
}

impl World {
    fn template_of(&self, provider: &str, service: &str) -> Option<Value> {
        let is_it =
            |template: &&Value| template["providerId"] == provider && template["serviceId"] == service;
        self.templates.iter().find(is_it).cloned()
    }
}
