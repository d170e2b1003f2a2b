//! A strict Cloudflare (API version 4): zones, DNS records, tokens.
//!
//! What it enforces: tokens with their rights, state and address rule; pages; the quota of a zone and the operations of
//! a batch, which is done as a whole or not at all; conflicts, doubles, TTL range, the content of each type; names outside
//! of the zone are put below it, as the real one does; addresses and aliases are proxied unless it is told otherwise.
//!
//! Where nothing is known of the real one's words, the message says what is wrong, and the code is 1004.

mod rules;

use crate::{
    name_server::NameServer,
    serve::{Asked, Fault, Listener, Reply, Seen, locked},
};
use model::{DomainName, Record};
use rules::Refused;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

/// What a token may do.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "rights are given one by one")]
pub struct Token {
    /// The zones that it is for, by name; none stands for all.
    pub zones: Option<Vec<String>>,
    /// `Zone: Read`.
    pub reads_zones: bool,
    /// `DNS: Read`.
    pub reads_records: bool,
    /// `DNS: Edit`.
    pub writes: bool,
    /// `active`, `expired`, `disabled`.
    pub status: &'static str,
    /// Whether it may be used from where the request comes from.
    pub is_from_here: bool,
    /// One of an account, which the page about tokens of users does not know.
    pub of_account: bool,
}

impl Token {
    /// One that may do all that writing records needs.
    pub const fn good() -> Self {
        Self {
            zones: None,
            reads_zones: true,
            reads_records: true,
            writes: true,
            status: "active",
            is_from_here: true,
            of_account: false,
        }
    }
}

/// A zone.
#[derive(Debug, Clone)]
pub struct Zone {
    /// Its id.
    pub id: String,
    /// Its topmost name.
    pub name: String,
    /// `active`, `pending`, …
    pub status: &'static str,
    /// `full`, `partial`, `secondary`.
    pub kind: &'static str,
    /// How many records it may have.
    pub quota: usize,
    records: Vec<rules::Stored>,
}

struct World {
    tokens: BTreeMap<String, Token>,
    zones: Vec<Zone>,
    next: u64,
    most_per_page: usize,
    operations: usize,
    changed: u64,
}

/// The host. It ends with this.
pub struct Cloudflare {
    listener: Listener,
    world: Arc<Mutex<World>>,
}

impl Cloudflare {
    /// Starts one without zones and tokens, within the runtime that this is called in.
    pub fn start() -> io::Result<Self> {
        let world = World {
            tokens: BTreeMap::new(),
            zones: Vec::new(),
            next: 1,
            most_per_page: 5_000,
            operations: 200,
            changed: 0,
        };
        let world = Arc::new(Mutex::new(world));
        let shared = Arc::clone(&world);
        let listener = Listener::start(move |asked| answer(asked, &mut locked(&shared)))?;
        Ok(Self { listener, world })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// The requests that came, oldest first.
    pub fn seen(&self) -> Vec<Seen> {
        self.listener.seen()
    }

    /// Forgets them.
    pub fn forget_seen(&self) {
        self.listener.forget();
    }

    /// Fails once, after so many requests that do not.
    pub fn fault(&self, after: usize, fault: Fault) {
        self.listener.fault(after, fault);
    }

    /// How long each answer takes.
    pub fn set_latency(&self, latency: Duration) {
        self.listener.latency(latency);
    }

    /// How many records a page has at the most, whatever is asked for.
    pub fn set_most_per_page(&self, most: usize) {
        locked(&self.world).most_per_page = most;
    }

    /// Makes a token.
    pub fn token(&self, secret: &str, token: Token) {
        locked(&self.world).tokens.insert(secret.to_owned(), token);
    }

    /// Makes a zone.
    pub fn zone(&self, name: &str) {
        self.zone_with(name, "active", "full", 200);
    }

    /// Makes a zone that is not as most are.
    pub fn zone_with(&self, name: &str, status: &'static str, kind: &'static str, quota: usize) {
        let mut world = locked(&self.world);
        let id = world.id();
        world.zones.push(Zone { id, name: name.to_owned(), status, kind, quota, records: Vec::new() });
    }

    /// Writes a record as its owner does in the panel: without rights and rules. Answers its id.
    pub fn put(&self, zone: &str, record: &Record) -> String {
        self.put_with(zone, record, false, None)
    }

    /// Writes a record with what only this host knows of it.
    pub fn put_with(&self, zone: &str, record: &Record, proxied: bool, comment: Option<&str>) -> String {
        let mut world = locked(&self.world);
        let id = world.id();
        let mut stored = rules::stored(id.clone(), record);
        stored.proxied = proxied;
        stored.comment = comment.map(str::to_owned);
        if let Some(zone) = world.zones.iter_mut().find(|known| known.name == zone) {
            zone.records.push(stored);
        }
        world.changed += 1;
        id
    }

    /// Changes a record in its place, as its owner does.
    pub fn edit(&self, zone: &str, id: &str, record: &Record) {
        let mut world = locked(&self.world);
        let records =
            world.zones.iter_mut().filter(|known| known.name == zone).flat_map(|zone| &mut zone.records);
        for stored in records.filter(|stored| stored.id == id) {
            *stored =
                rules::Stored { comment: stored.comment.clone(), ..rules::stored(id.to_owned(), record) };
        }
        world.changed += 1;
    }

    /// Takes a record out, as its owner does.
    pub fn take(&self, zone: &str, id: &str) {
        let mut world = locked(&self.world);
        if let Some(zone) = world.zones.iter_mut().find(|known| known.name == zone) {
            zone.records.retain(|record| record.id != id);
        }
        world.changed += 1;
    }

    /// All records of a zone as they would be answered, with id, note, and whether the host's own addresses are
    /// answered instead.
    pub fn records(&self, zone: &str) -> Vec<(String, Record, bool, Option<String>)> {
        let world = locked(&self.world);
        let zone = world.zones.iter().find(|known| known.name == zone);
        zone.into_iter()
            .flat_map(|zone| &zone.records)
            .filter_map(|stored| {
                Some((stored.id.clone(), rules::record(stored)?, stored.proxied, stored.comment.clone()))
            })
            .collect()
    }

    /// Starts a name server with the zones of this host, as they are at each moment; each answer takes `latency`.
    pub async fn serve_dns(&self, latency: Duration) -> io::Result<NameServer> {
        let shared = Arc::clone(&self.world);
        let zones = move |known: Option<u64>| {
            let world = locked(&shared);
            // One that is there and was changed by nobody is a state too.
            if known == Some(world.changed + 1) {
                return None;
            }
            let of = |zone: &Zone| {
                let records = zone.records.iter().filter_map(rules::record).collect();
                Some((DomainName::parse(&zone.name).ok()?, records))
            };
            Some((world.changed + 1, world.zones.iter().filter_map(of).collect()))
        };
        NameServer::start(zones, latency).await
    }

    /// A number that grows with each change of any zone.
    pub fn changed(&self) -> u64 {
        locked(&self.world).changed
    }
}

impl World {
    fn id(&mut self) -> String {
        self.next += 1;
        format!("{:032x}", self.next)
    }
}

/// What is said yes with.
fn yes(result: &Value) -> Reply {
    Reply::json(200, &json!({"success": true, "errors": [], "messages": [], "result": result}))
}

fn no(status: u16, code: u32, message: &str) -> Reply {
    let errors = json!([{"code": code, "message": message}]);
    Reply::json(status, &json!({"success": false, "errors": errors, "messages": [], "result": null}))
}

fn answer(asked: &Asked, world: &mut World) -> Reply {
    let Some(path) = asked.seen.path.strip_prefix("/client/v4") else {
        return no(404, 7000, "No route for that URI");
    };
    let token = asked.header("authorization").strip_prefix("Bearer ").unwrap_or_default();
    // Below that it is not even of the form of a token.
    if token.len() < 10 || !token.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_".contains(&octet))
    {
        let chain = json!([{"code": 6111, "message": "Invalid format for Authorization header"}]);
        let errors = json!([{"code": 6003, "message": "Invalid request headers", "error_chain": chain}]);
        return Reply::json(
            400,
            &json!({"success": false, "errors": errors, "messages": [], "result": null}),
        );
    }
    let known = world.tokens.get(token).cloned();
    if path == "/user/tokens/verify" {
        return match known {
            Some(token) if !token.of_account => {
                yes(&json!({"id": "ed17574386854bf78a67040be0a770b0", "status": token.status}))
            }
            _ => no(401, 1000, "Invalid API Token"),
        };
    }
    let Some(token) = known.filter(|token| token.status == "active") else {
        return no(403, 9109, "Invalid access token");
    };
    if !token.is_from_here {
        return no(403, 9109, "Cannot use the access token from location: 192.0.2.1");
    }
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match (asked.seen.method.as_str(), parts.as_slice()) {
        ("GET", ["zones"]) => zones(asked, world, &token),
        (method, ["zones", id, rest @ ..]) => {
            let Some(at) = world.zones.iter().position(|zone| zone.id == *id && sees(&token, zone)) else {
                return no(
                    404,
                    7003,
                    &format!("Could not route to /zones/{id}, perhaps your object identifier is invalid?"),
                );
            };
            match (method, rest) {
                ("GET", ["dns_records"]) if token.reads_records || token.writes => list(asked, world, at),
                ("POST", ["dns_records", "batch"]) if token.writes => batch(asked, world, at),
                ("GET", ["dns_records"]) | ("POST", ["dns_records", "batch"]) => {
                    no(403, 10000, "Authentication error")
                }
                _ => no(405, 7001, "Method not available for that URI"),
            }
        }
        _ => no(404, 7000, "No route for that URI"),
    }
}

fn sees(token: &Token, zone: &Zone) -> bool {
    token.zones.as_ref().is_none_or(|names| names.contains(&zone.name))
}

fn zones(asked: &Asked, world: &World, token: &Token) -> Reply {
    let name = asked.query("name");
    let found: Vec<Value> = world
        .zones
        .iter()
        .filter(|zone| token.reads_zones && sees(token, zone))
        .filter(|zone| name.as_ref().is_none_or(|name| *name == zone.name))
        .map(|zone| {
            json!({
                "id": zone.id, "name": zone.name, "status": zone.status, "type": zone.kind, "paused": false,
                "name_servers": ["ada.ns.cloudflare.com", "bob.ns.cloudflare.com"],
                "account": {"id": "01a7362d577a6c3019a474fd6f485823", "name": "An account"},
            })
        })
        .collect();
    paged(&found, 1, 20)
}

fn paged(found: &[Value], page: usize, per_page: usize) -> Reply {
    let of_page: Vec<&Value> = found.iter().skip((page - 1) * per_page).take(per_page).collect();
    let info = json!({
        "page": page, "per_page": per_page, "count": of_page.len(), "total_count": found.len(),
        "total_pages": found.len().div_ceil(per_page).max(1),
    });
    Reply::json(
        200,
        &json!({"success": true, "errors": [], "messages": [], "result": of_page, "result_info": info}),
    )
}

fn list(asked: &Asked, world: &World, at: usize) -> Reply {
    let number =
        |name: &str, default| asked.query(name).map_or(Some(default), |text| text.parse::<usize>().ok());
    let (Some(page @ 1..), Some(per_page @ 1..)) = (number("page", 1), number("per_page", 100)) else {
        return no(400, 1004, "page and per_page are numbers from 1");
    };
    let records: Vec<Value> = world.zones[at].records.iter().map(rules::json).collect();
    paged(&records, page, per_page.min(world.most_per_page))
}

fn batch(asked: &Asked, world: &mut World, at: usize) -> Reply {
    let Ok(body) = serde_json::from_slice::<Value>(&asked.seen.body) else {
        return no(400, 6003, "Could not parse request body");
    };
    let list = |field: &str| body[field].as_array().cloned().unwrap_or_default();
    let (deletes, patches, puts, posts) = (list("deletes"), list("patches"), list("puts"), list("posts"));
    if deletes.len() + patches.len() + puts.len() + posts.len() > world.operations {
        return no(400, 1004, "Too many operations in one batch");
    }
    // A transaction: what is refused leaves all as it was.
    let mut zone = world.zones[at].clone();
    let done = (|| -> Result<Value, Refused> {
        let mut deleted = Vec::new();
        for change in &deletes {
            let place = zone.place(change)?;
            deleted.push(rules::json(&zone.records.remove(place)));
        }
        let mut changed = Vec::new();
        for (change, is_whole) in patches.iter().map(|c| (c, false)).chain(puts.iter().map(|c| (c, true))) {
            let place = zone.place(change)?;
            let before = zone.records.remove(place);
            let base = if is_whole { None } else { Some(&before) };
            let stored = rules::change(&zone.name, before.id.clone(), base, change)?;
            zone.insert(place, stored)?;
            changed.push(rules::json(&zone.records[place]));
        }
        let mut made = Vec::new();
        for change in &posts {
            let stored = rules::change(&zone.name, world.id(), None, change)?;
            if zone.records.len() >= zone.quota {
                return Err(Refused(81045, "Record quota exceeded.".to_owned()));
            }
            zone.insert(zone.records.len(), stored)?;
            made.extend(zone.records.last().map(rules::json));
        }
        let puts = changed.split_off(patches.len());
        Ok(json!({"deletes": deleted, "patches": changed, "puts": puts, "posts": made}))
    })();
    match done {
        Ok(result) => {
            world.zones[at] = zone;
            world.changed += 1;
            yes(&result)
        }
        Err(Refused(code, message)) => no(400, code, &message),
    }
}

impl Zone {
    fn place(&self, change: &Value) -> Result<usize, Refused> {
        let id = change["id"].as_str().unwrap_or_default();
        let place = self.records.iter().position(|record| record.id == id);
        place.ok_or_else(|| Refused(81044, "Record does not exist.".to_owned()))
    }

    fn insert(&mut self, place: usize, stored: rules::Stored) -> Result<(), Refused> {
        rules::conflict(&stored, &self.records)?;
        self.records.insert(place, stored);
        Ok(())
    }
}

/// A name for tests.
pub(crate) fn name(text: &str) -> Option<DomainName> {
    if text == "." { Some(DomainName::root()) } else { DomainName::parse(text).ok() }
}
