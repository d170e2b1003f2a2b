//! A strict Route 53 (API of 2013-04-01): zones, record sets, batches, signatures.
//!
//! What it enforces: the signature of each request (AWS Signature Version 4), rights of a key, batches as a whole or not
//! at all, `CREATE` only where nothing is and `DELETE` only of exactly what is, texts in quotation marks and strings of
//! 255 octets, nothing beside an alias, pages, private zones of the same name, lists of zones that *begin* at a name.
//! Messages are those of the real one where they are known; else they say what is wrong.

use crate::serve::{Asked, Fault, Listener, Reply, Seen, locked};
use aws_lc_rs::{digest, hmac};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

/// What a key may do.
#[derive(Debug, Clone)]
pub struct Key {
    /// Its secret.
    pub secret: String,
    /// The session token that goes with it.
    pub session_token: Option<String>,
    /// `ListHostedZonesByName`.
    pub lists_zones: bool,
    /// `ListResourceRecordSets`.
    pub reads: bool,
    /// `ChangeResourceRecordSets`.
    pub writes: bool,
}

/// A set of records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// With final dot, as it is written down.
    pub name: String,
    /// Its type.
    pub kind: String,
    /// Its TTL.
    pub ttl: u32,
    /// Its values.
    pub values: Vec<String>,
    /// Where an alias of Amazon's own leads to.
    pub alias: Option<String>,
    /// What tells apart sets that are answered by weight or place.
    pub identifier: Option<String>,
}

struct Zone {
    id: String,
    name: String,
    is_private: bool,
    sets: Vec<Set>,
}

#[derive(Default)]
struct World {
    keys: BTreeMap<String, Key>,
    zones: Vec<Zone>,
    most_per_page: usize,
    /// How many requests are refused because another change is under way.
    pending: usize,
}

/// The host. It ends with this.
pub struct Route53 {
    listener: Listener,
    world: Arc<Mutex<World>>,
}

struct Refused {
    status: u16,
    code: &'static str,
    message: String,
}

fn refused<T>(status: u16, code: &'static str, message: impl Into<String>) -> Result<T, Refused> {
    Err(Refused { status, code, message: message.into() })
}

impl Route53 {
    /// Starts one without zones and keys, within the runtime that this is called in.
    pub fn start() -> io::Result<Self> {
        let world = Arc::new(Mutex::new(World { most_per_page: 300, ..World::default() }));
        let shared = Arc::clone(&world);
        let listener = Listener::start(move |asked| {
            answer(asked, &mut locked(&shared)).unwrap_or_else(|Refused { status, code, message }| {
                let message = escaped(&message);
                let error = format!("<Type>Sender</Type><Code>{code}</Code><Message>{message}</Message>");
                xml(status, &format!("<ErrorResponse><Error>{error}</Error></ErrorResponse>"))
            })
        })?;
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

    /// Fails once, after so many requests that do not.
    pub fn fault(&self, after: usize, fault: Fault) {
        self.listener.fault(after, fault);
    }

    /// How long each answer takes.
    pub fn set_latency(&self, latency: Duration) {
        self.listener.latency(latency);
    }

    /// How many sets a page has at the most.
    pub fn set_most_per_page(&self, most: usize) {
        locked(&self.world).most_per_page = most;
    }

    /// Refuses so many changes because another one is under way.
    pub fn set_pending(&self, times: usize) {
        locked(&self.world).pending = times;
    }

    /// Makes a key.
    pub fn key(&self, id: &str, key: Key) {
        locked(&self.world).keys.insert(id.to_owned(), key);
    }

    /// Makes a zone.
    pub fn zone(&self, name: &str, is_private: bool) {
        let mut world = locked(&self.world);
        let id = format!("Z{:012X}", world.zones.len() + 1);
        world.zones.push(Zone { id, name: format!("{name}."), is_private, sets: Vec::new() });
    }

    /// Writes a set as its owner does in the console, in the place of one of the same name, type and identifier; takes
    /// it out where it has neither values nor an alias.
    pub fn put(&self, zone: &str, set: Set) {
        let mut world = locked(&self.world);
        let name = format!("{zone}.");
        if let Some(zone) = world.zones.iter_mut().find(|known| known.name == name && !known.is_private) {
            zone.sets.retain(|old| {
                (&old.name, &old.kind, &old.identifier) != (&set.name, &set.kind, &set.identifier)
            });
            if !set.values.is_empty() || set.alias.is_some() {
                zone.sets.push(set);
            }
        }
    }

    /// All sets of a zone.
    pub fn sets(&self, zone: &str) -> Vec<Set> {
        let world = locked(&self.world);
        let name = format!("{zone}.");
        let zone = world.zones.iter().find(|known| known.name == name && !known.is_private);
        zone.map(|zone| zone.sets.clone()).unwrap_or_default()
    }
}

fn xml(status: u16, body: &str) -> Reply {
    Reply {
        status,
        headers: vec![("content-type", "text/xml".to_owned())],
        body: format!("<?xml version=\"1.0\"?>\n{body}"),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn unescaped(text: &str) -> String {
    text.replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&gt;", ">")
        .replace("&lt;", "<")
        .replace("&amp;", "&")
}

fn answer(asked: &Asked, world: &mut World) -> Result<Reply, Refused> {
    let key = authorised(asked, world)?;
    let denied = |action: &str| {
        let message =
            format!("User: arn:aws:iam::123456789012:user/x is not authorized to perform: route53:{action}");
        Refused { status: 403, code: "AccessDenied", message }
    };
    let path = asked.seen.path.strip_prefix("/2013-04-01/").unwrap_or_default().trim_end_matches('/');
    let parts: Vec<&str> = path.split('/').collect();
    match (asked.seen.method.as_str(), parts.as_slice()) {
        ("GET", ["hostedzonesbyname"]) if key.lists_zones => Ok(zones(asked, world)),
        ("GET", ["hostedzonesbyname"]) => Err(denied("ListHostedZonesByName")),
        (method, ["hostedzone", id, "rrset"]) => {
            let Some(at) = world.zones.iter().position(|zone| zone.id == *id) else {
                return refused(404, "NoSuchHostedZone", format!("No hosted zone found with ID: {id}"));
            };
            match method {
                "GET" if key.reads => list(asked, world, at),
                "POST" if key.writes => change(asked, world, at),
                "GET" => Err(denied("ListResourceRecordSets")),
                _ => Err(denied("ChangeResourceRecordSets")),
            }
        }
        _ => refused(404, "UnknownOperationException", ""),
    }
}

/// The key that signed the request.
fn authorised(asked: &Asked, world: &World) -> Result<Key, Refused> {
    let header = asked.header("authorization");
    let Some(fields) = header.strip_prefix("AWS4-HMAC-SHA256 ") else {
        return refused(403, "MissingAuthenticationToken", "Missing Authentication Token");
    };
    let field = |name: &str| {
        fields.split(", ").find_map(|field| field.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default()
    };
    let (credential, names, signature) = (field("Credential"), field("SignedHeaders"), field("Signature"));
    let parts: Vec<&str> = credential.split('/').collect();
    let &[id, day, region, service, "aws4_request"] = parts.as_slice() else {
        return refused(
            403,
            "IncompleteSignature",
            "Credential must have exactly 5 slash-delimited elements",
        );
    };
    let Some(key) = world.keys.get(id) else {
        return refused(
            403,
            "InvalidClientTokenId",
            "The security token included in the request is invalid.",
        );
    };
    let date = asked.header("x-amz-date");
    let mismatch = || {
        let message =
            "The request signature we calculated does not match the signature you provided.".to_owned();
        Refused { status: 403, code: "SignatureDoesNotMatch", message }
    };
    let signed: Vec<&str> = names.split(';').collect();
    if !["host", "x-amz-date"].iter().all(|name| signed.contains(name)) || !date.starts_with(day) {
        return Err(mismatch());
    }
    if (region, service) != ("us-east-1", "route53") {
        return refused(403, "SignatureDoesNotMatch", "Credential should be scoped to a valid region.");
    }
    if asked.header("x-amz-security-token") != key.session_token.as_deref().unwrap_or_default() {
        return refused(403, "ExpiredToken", "The security token included in the request is expired");
    }
    let mut query: Vec<&str> = asked.seen.query.split('&').filter(|pair| !pair.is_empty()).collect();
    query.sort_unstable();
    let mut canonical = format!("{}\n{}\n{}\n", asked.seen.method, asked.seen.path, query.join("&"));
    for name in &signed {
        let _ = writeln!(canonical, "{name}:{}", asked.header(name));
    }
    let sha = |octets: &[u8]| hex(digest::digest(&digest::SHA256, octets).as_ref());
    let _ = write!(canonical, "\n{names}\n{}", sha(&asked.seen.body));
    let text = format!(
        "AWS4-HMAC-SHA256\n{date}\n{day}/{region}/{service}/aws4_request\n{}",
        sha(canonical.as_bytes())
    );
    let mac = |key: &[u8], text: &str| {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
    };
    let steps = [day, region, service, "aws4_request", &text];
    let expected = steps.iter().fold(format!("AWS4{}", key.secret).into_bytes(), |key, text| mac(&key, text));
    if hex(&expected) == signature { Ok(key.clone()) } else { Err(mismatch()) }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut out, octet| {
        let _ = write!(out, "{octet:02x}");
        out
    })
}

/// Names sort by their labels from the right.
fn order(name: &str) -> Vec<String> {
    name.trim_end_matches('.').rsplit('.').map(str::to_owned).collect()
}

fn zones(asked: &Asked, world: &World) -> Reply {
    let start = asked.query("dnsname").unwrap_or_default();
    let mut zones: Vec<&Zone> = world.zones.iter().collect();
    zones.sort_by_key(|zone| order(&zone.name));
    let mut body = String::from("<ListHostedZonesByNameResponse><HostedZones>");
    for zone in zones.into_iter().filter(|zone| order(&zone.name) >= order(&start)).take(20) {
        let Zone { id, name, is_private, .. } = zone;
        let _ = write!(
            body,
            "<HostedZone><Id>/hostedzone/{id}</Id><Name>{name}</Name><Config><PrivateZone>{is_private}</PrivateZone>\
             </Config></HostedZone>"
        );
    }
    body.push_str("</HostedZones><IsTruncated>false</IsTruncated></ListHostedZonesByNameResponse>");
    xml(200, &body)
}

fn list(asked: &Asked, world: &World, at: usize) -> Result<Reply, Refused> {
    let key = |set: &Set| (order(&set.name), set.kind.clone(), set.identifier.clone().unwrap_or_default());
    let mut sets: Vec<&Set> = world.zones[at].sets.iter().collect();
    sets.sort_by_key(|set| key(set));
    let start = match (asked.query("name"), asked.query("type")) {
        (None, None) => None,
        (Some(name), kind) => {
            Some((order(&name), kind.unwrap_or_default(), asked.query("identifier").unwrap_or_default()))
        }
        (None, Some(_)) => return refused(400, "InvalidInput", "type without name"),
    };
    let asked_for: usize = asked.query("maxitems").and_then(|text| text.parse().ok()).unwrap_or(300);
    let per_page = asked_for.min(world.most_per_page);
    let rest: Vec<&Set> =
        sets.into_iter().filter(|set| start.as_ref().is_none_or(|start| key(set) >= *start)).collect();
    let mut body = String::from("<ListResourceRecordSetsResponse><ResourceRecordSets>");
    for set in rest.iter().take(per_page) {
        let _ = write!(body, "<ResourceRecordSet><Name>{}</Name><Type>{}</Type>", set.name, set.kind);
        if let Some(identifier) = &set.identifier {
            let _ = write!(body, "<SetIdentifier>{identifier}</SetIdentifier><Weight>1</Weight>");
        }
        if let Some(alias) = &set.alias {
            let _ = write!(body, "<AliasTarget><DNSName>{alias}</DNSName></AliasTarget>");
        } else {
            let each = |value: &String| {
                format!("<ResourceRecord><Value>{}</Value></ResourceRecord>", escaped(value))
            };
            let values = set.values.iter().map(each).collect::<Vec<_>>().concat();
            let _ = write!(body, "<TTL>{}</TTL><ResourceRecords>{values}</ResourceRecords>", set.ttl);
        }
        body.push_str("</ResourceRecordSet>");
    }
    let next = rest.get(per_page);
    let _ = write!(body, "</ResourceRecordSets><IsTruncated>{}</IsTruncated>", next.is_some());
    if let Some(next) = next {
        let _ = write!(
            body,
            "<NextRecordName>{}</NextRecordName><NextRecordType>{}</NextRecordType>",
            next.name, next.kind
        );
        if let Some(identifier) = &next.identifier {
            let _ = write!(body, "<NextRecordIdentifier>{identifier}</NextRecordIdentifier>");
        }
    }
    body.push_str("<MaxItems>300</MaxItems></ListResourceRecordSetsResponse>");
    Ok(xml(200, &body))
}

/// What stands between the first tags of a name.
fn within<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    Some(rest.split_once(&format!("</{name}>"))?.0)
}

/// What stands between all tags of a name.
fn all<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let open = format!("<{name}>");
    text.split(&open).skip(1).filter_map(|rest| Some(rest.split_once(&format!("</{name}>"))?.0)).collect()
}

fn change(asked: &Asked, world: &mut World, at: usize) -> Result<Reply, Refused> {
    if world.pending > 0 {
        world.pending -= 1;
        let message = "The request was rejected because Route 53 was still processing a prior request.";
        return refused(400, "PriorRequestNotComplete", message);
    }
    let body = String::from_utf8_lossy(&asked.seen.body).into_owned();
    let changes = all(&body, "Change");
    if changes.is_empty() || !body.contains("<ChangeResourceRecordSetsRequest xmlns=") {
        return refused(400, "MalformedInput", "Unexpected element");
    }
    if all(&body, "ResourceRecord").len() > 1_000 {
        return refused(400, "InvalidChangeBatch", "Number of records limit of 1000 exceeded.");
    }
    let apex = world.zones[at].name.clone();
    let mut sets = world.zones[at].sets.clone();
    let mut messages = Vec::new();
    for change in changes {
        let text = |name: &str| within(change, name).map(unescaped).unwrap_or_default();
        let set = Set {
            name: text("Name"),
            kind: text("Type"),
            ttl: text("TTL").parse().map_err(|_| Refused {
                status: 400,
                code: "InvalidInput",
                message: "TTL is missing".to_owned(),
            })?,
            values: all(change, "Value").into_iter().map(unescaped).collect(),
            alias: None,
            identifier: None,
        };
        if let Err(message) = one(&text("Action"), set, &apex, &mut sets) {
            messages.push(message);
        }
    }
    if messages.is_empty() {
        world.zones[at].sets = sets;
        let info =
            "<Id>/change/C1</Id><Status>PENDING</Status><SubmittedAt>2026-11-01T00:00:00Z</SubmittedAt>";
        return Ok(xml(
            200,
            &format!(
                "<ChangeResourceRecordSetsResponse><ChangeInfo>{info}</ChangeInfo></ChangeResourceRecordSetsResponse>"
            ),
        ));
    }
    let each = |message: &String| format!("<Message>{}</Message>", escaped(message));
    let messages = messages.iter().map(each).collect::<Vec<_>>().concat();
    Ok(xml(400, &format!("<InvalidChangeBatch><Messages>{messages}</Messages></InvalidChangeBatch>")))
}

fn one(action: &str, set: Set, apex: &str, sets: &mut Vec<Set>) -> Result<(), String> {
    let Set { name, kind, .. } = &set;
    let what = format!("resource record set [name='{name}', type='{kind}']");
    if name != apex && !name.ends_with(&format!(".{apex}")) {
        return Err(format!("RRSet with DNS name {name} is not permitted in zone {apex}"));
    }
    if let Some(value) = set.values.iter().find(|value| !is_value(kind, value)) {
        return Err(format!(
            "Invalid Resource Record: 'FATAL problem: value is not valid' encountered with '{value}'"
        ));
    }
    let mut sorted = set.values.clone();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.is_empty() || sorted.len() != set.values.len() {
        return Err(format!("Invalid {what}: no value, or one twice"));
    }
    let place = sets.iter().position(|old| old.name == *name && old.kind == *kind);
    match (action, place) {
        ("DELETE", None) => Err(format!("Tried to delete {what} but it was not found")),
        ("DELETE", Some(place)) => {
            let mut there = sets[place].values.clone();
            there.sort_unstable();
            if there != sorted || sets[place].ttl != set.ttl {
                return Err(format!(
                    "Tried to delete {what} but the values provided do not match the current values"
                ));
            }
            sets.remove(place);
            Ok(())
        }
        ("CREATE", Some(_)) => Err(format!("Tried to create {what} but it already exists")),
        ("CREATE", None) => {
            let has_other =
                sets.iter().any(|old| old.name == *name && (kind == "CNAME" || old.kind == "CNAME"));
            if has_other || kind == "CNAME" && set.values.len() > 1 {
                return Err(format!(
                    "RRSet of type {kind} with DNS name {name} is not permitted as it conflicts with other records \
                     with the same DNS name in zone {apex}"
                ));
            }
            sets.push(set);
            Ok(())
        }
        _ => Err(format!("{action} is not used by anybody here")),
    }
}

fn is_value(kind: &str, value: &str) -> bool {
    match kind {
        "A" => value.parse::<std::net::Ipv4Addr>().is_ok(),
        "AAAA" => value.parse::<std::net::Ipv6Addr>().is_ok(),
        // In quotation marks, printable, strings of 255 octets at most.
        "TXT" => {
            let mut rest = value;
            loop {
                let Some(inner) = rest.strip_prefix('"') else { return false };
                let (mut length, mut octets) = (0, inner.bytes().enumerate());
                let end = loop {
                    match octets.next() {
                        Some((end, b'"')) => break end,
                        Some((at, b'\\')) => {
                            let is_number =
                                inner[at + 1..].bytes().next().is_some_and(|octet| octet.is_ascii_digit());
                            let digits =
                                inner.get(at + 1..at + 4).map(|digits| u8::from_str_radix(digits, 8));
                            if is_number && !matches!(digits, Some(Ok(_))) {
                                return false;
                            }
                            octets.nth(if is_number { 2 } else { 0 });
                        }
                        Some((_, b' '..=b'~')) => {}
                        _ => return false,
                    }
                    length += 1;
                };
                if length > 255 {
                    return false;
                }
                match inner[end + 1..].strip_prefix(' ') {
                    Some(next) => rest = next,
                    None => return inner[end + 1..].is_empty(),
                }
            }
        }
        _ => !value.is_empty() && value.is_ascii(),
    }
}
