//! What hosts of which a token opens an account have in common: zones with records, tokens, and a listener. How they speak
//! and what they refuse is each host's own ([`Host`]).

use crate::{
    name_server::NameServer,
    serve::{Asked, Fault, Listener, Reply, Seen, locked},
};
use model::{DomainName, Record, RecordData};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

/// One kind of host.
pub trait Host: Default + Send + 'static {
    /// Answers a request.
    fn answer(asked: &Asked, account: &mut Account<Self>) -> Reply;
}

/// What a token may do.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "rights, each of which is there or not")]
pub struct Token {
    /// The zones that it is for, by name; none stands for all.
    pub zones: Option<Vec<String>>,
    /// It may see zones and read their records.
    pub reads: bool,
    /// It may write records: change them, where the host tells that from making them and taking them out.
    pub writes: bool,
    /// It may make them, and take them out.
    pub makes: bool,
    /// It was good once.
    pub is_over: bool,
}

impl Token {
    /// One that may do all that writing records needs.
    pub const fn good() -> Self {
        Self { zones: None, reads: true, writes: true, makes: true, is_over: false }
    }

    pub(crate) fn sees(&self, zone: &DomainName) -> bool {
        self.zones.as_ref().is_none_or(|names| names.iter().any(|name| name == zone.as_str()))
    }
}

/// A record as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// Its number.
    pub id: u64,
    /// It.
    pub record: Record,
    /// The owner's note beside it.
    pub note: Option<String>,
    /// Whether its owner has it protected from changes.
    pub is_protected: bool,
}

/// A zone.
#[derive(Debug, Clone)]
pub struct Zone {
    /// Its number.
    pub id: u64,
    /// Its topmost name.
    pub name: DomainName,
    /// Whether it is a copy of one that is kept elsewhere.
    pub is_copy: bool,
    /// The shortest TTL that it takes, where that is not the host's usual one.
    pub least_ttl: Option<u32>,
    /// How many records it may have.
    pub quota: usize,
    /// Its records.
    pub records: Vec<Held>,
}

impl Zone {
    /// Whether a record may stand beside the others: an alias beside nothing (RFC 1034 §3.6.2).
    pub(crate) fn has_alias_conflict(&self) -> bool {
        let is_alias = |held: &&Held| matches!(held.record.data, RecordData::Cname(_));
        let mut aliases = self.records.iter().filter(is_alias);
        aliases.any(|alias| {
            self.records.iter().filter(|other| other.record.owner == alias.record.owner).count() > 1
        })
    }

    /// Whether the same record is there twice.
    pub(crate) fn has_double(&self) -> bool {
        let mut seen = BTreeSet::new();
        !self.records.iter().all(|held| seen.insert((&held.record.owner, &held.record.data)))
    }
}

/// What the host knows.
pub struct Account<H> {
    pub(crate) tokens: BTreeMap<String, Token>,
    pub(crate) zones: Vec<Zone>,
    pub(crate) most_per_page: usize,
    pub(crate) changed: u64,
    pub(crate) own: H,
    next: u64,
}

impl<H> Account<H> {
    pub(crate) const fn id(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Zone> {
        self.zones.iter().find(|zone| zone.name.as_str() == name)
    }

    fn find_mut(&mut self, name: &str) -> Option<&mut Zone> {
        self.changed += 1;
        self.zones.iter_mut().find(|zone| zone.name.as_str() == name)
    }
}

/// A refusal with the token in its words: a host may repeat what it was sent, and it is not to be passed on.
fn repeating(asked: &Asked, mut reply: Reply) -> Reply {
    fn repeat(said: &mut Value, secret: &str) {
        match said {
            // What has a space in it is for people, and no code.
            Value::String(text) if text.contains(' ') => *text = format!("{text} ({secret})"),
            Value::Array(parts) => parts.iter_mut().for_each(|part| repeat(part, secret)),
            Value::Object(fields) => fields.values_mut().for_each(|part| repeat(part, secret)),
            _ => {}
        }
    }
    let secret = asked.header("authorization").split_once(' ').map_or("", |(_, secret)| secret);
    if matches!(reply.status, 401 | 403)
        && let Ok(mut said) = serde_json::from_str::<Value>(&reply.body)
    {
        repeat(&mut said, secret);
        reply.body = said.to_string();
    }
    reply
}

/// A host. It ends with this.
pub struct Fake<H> {
    listener: Listener,
    account: Arc<Mutex<Account<H>>>,
}

impl<H: Host> Fake<H> {
    /// Starts one without zones and tokens, within the runtime that this is called in.
    ///
    /// # Errors
    /// No port is free.
    pub fn start() -> io::Result<Self> {
        let account = Account {
            tokens: BTreeMap::new(),
            zones: Vec::new(),
            most_per_page: usize::MAX,
            changed: 0,
            own: H::default(),
            next: 28_448_428,
        };
        let account = Arc::new(Mutex::new(account));
        let shared = Arc::clone(&account);
        let listener =
            Listener::start(move |asked| repeating(asked, H::answer(asked, &mut locked(&shared))))?;
        Ok(Self { listener, account })
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

    /// How many there are on a page at the most, whatever is asked for.
    pub fn set_most_per_page(&self, most: usize) {
        locked(&self.account).most_per_page = most;
    }

    /// Changes what is the host's own.
    pub fn own<T>(&self, change: impl FnOnce(&mut H) -> T) -> T {
        change(&mut locked(&self.account).own)
    }

    /// Makes a token.
    pub fn token(&self, secret: &str, token: Token) {
        locked(&self.account).tokens.insert(secret.to_owned(), token);
    }

    /// Makes a zone.
    pub fn zone(&self, name: &str) {
        let mut account = locked(&self.account);
        let Ok(name) = DomainName::parse(name) else { return };
        let id = account.id();
        let zone = Zone { id, name, is_copy: false, least_ttl: None, quota: 1_000, records: Vec::new() };
        account.zones.push(zone);
    }

    /// Changes a zone in a way that only the host or its owner can.
    pub fn change_zone(&self, zone: &str, change: impl FnOnce(&mut Zone)) {
        if let Some(zone) = locked(&self.account).find_mut(zone) {
            change(zone);
        }
    }

    /// Writes a record as its owner does in the panel: without rights and rules. Answers its number.
    pub fn put(&self, zone: &str, record: &Record) -> u64 {
        self.put_with(zone, record, None)
    }

    /// Writes a record with a note beside it.
    pub fn put_with(&self, zone: &str, record: &Record, note: Option<&str>) -> u64 {
        let mut account = locked(&self.account);
        let id = account.id();
        let held = Held { id, record: record.clone(), note: note.map(str::to_owned), is_protected: false };
        if let Some(zone) = account.find_mut(zone) {
            zone.records.push(held);
        }
        id
    }

    /// Takes out all that is the same, as its owner does.
    pub fn take(&self, zone: &str, record: &Record) {
        self.change_zone(zone, |zone| {
            zone.records
                .retain(|held| (&held.record.owner, &held.record.data) != (&record.owner, &record.data));
        });
    }

    /// All records of a zone.
    pub fn records(&self, zone: &str) -> Vec<Held> {
        locked(&self.account).find(zone).map(|zone| zone.records.clone()).unwrap_or_default()
    }

    /// A number that grows with each change of any zone.
    pub fn changed(&self) -> u64 {
        locked(&self.account).changed
    }

    /// Starts a name server with the zones of this host, as they are at each moment; each answer takes `latency`.
    ///
    /// # Errors
    /// No port is free.
    pub async fn serve_dns(&self, latency: Duration) -> io::Result<NameServer> {
        let shared = Arc::clone(&self.account);
        let zones = move |known: Option<u64>| {
            let account = locked(&shared);
            // One that is there and was changed by nobody is a state too.
            if known == Some(account.changed + 1) {
                return None;
            }
            let of = |zone: &Zone| {
                (zone.name.clone(), zone.records.iter().map(|held| held.record.clone()).collect())
            };
            Some((account.changed + 1, account.zones.iter().map(of).collect()))
        };
        NameServer::start(zones, latency).await
    }
}
