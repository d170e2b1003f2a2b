//! A strict deSEC (API version 1), after its published source: domains and record sets.
//!
//! What it enforces: tokens with their rights; pages of 500 behind cursors; several sets a request, all of them or none, new
//! ones only (`POST`) or whatever is there (`PATCH`, an empty set goes); data in zone file form, texts in quotation marks; TTLs from
//! the domain's least one, 3,600 if nobody asked for another, to 86,400; aliases alone, also within a request; so many writes
//! and no more, with how long to wait.
//!
//! A token that is over, or used from elsewhere, is refused as one that is none.

use crate::{
    account::{Account, Fake, Held, Host, Zone},
    presentation,
    serve::{Asked, Reply, decoded},
};
use model::{Record, RecordData};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The host.
pub type Desec = Fake<Rules>;

/// What is its own.
#[derive(Default)]
pub struct Rules {
    /// How many writes are left, and how many seconds it takes until there are more; none stands for enough.
    pub writes: Option<(u32, u32)>,
}

/// The most that a page has.
const PER_PAGE: usize = 500;
const LEAST_TTL: u32 = 3_600;
const MOST_TTL: u64 = 86_400;

fn no(status: u16, detail: &str) -> Reply {
    Reply::json(status, &json!({"detail": detail}))
}

fn not_found() -> Reply {
    no(404, "No Domain matches the given query.")
}

impl Host for Rules {
    fn answer(asked: &Asked, account: &mut Account<Self>) -> Reply {
        let secret = asked.header("authorization").strip_prefix("Token ").unwrap_or_default();
        let known = account.tokens.get(secret).filter(|token| !token.is_over).cloned();
        let Some(token) = known else { return no(401, "Invalid token.") };
        let method = asked.seen.method.as_str();
        let path = decoded(asked.seen.path.strip_prefix("/api/v1/domains/").unwrap_or_default());
        // Each path ends in a slash.
        let Some(path) = path.strip_suffix('/') else { return no(404, "Not found.") };
        let parts: Vec<&str> = path.split('/').collect();
        let place =
            account.zones.iter().position(|zone| zone.name.as_str() == parts[0] && token.sees(&zone.name));
        let Some(at) = place.filter(|_| token.reads) else { return not_found() };
        match (method, &parts[1..]) {
            ("GET", []) => {
                let least = account.zones[at].least_ttl.unwrap_or(LEAST_TTL);
                Reply::json(
                    200,
                    &json!({"name": parts[0], "minimum_ttl": least, "keys": [], "published": null}),
                )
            }
            ("GET", ["rrsets"]) => list(asked, account, at),
            ("POST" | "PATCH", ["rrsets"]) => {
                if let Some((left, wait)) = &mut account.own.writes {
                    if *left == 0 {
                        let words = format!("Request was throttled. Expected available in {wait} seconds.");
                        let mut reply = no(429, &words);
                        reply.headers.push(("retry-after", wait.to_string()));
                        return reply;
                    }
                    *left -= 1;
                }
                change(asked, account, at, token.writes)
            }
            _ => no(405, "Method not allowed."),
        }
    }
}

/// The labels in front of the domain's name; nothing at the topmost name.
fn subname(zone: &Zone, record: &Record) -> String {
    record.owner.relative_to(&zone.name).filter(|name| name != "@").unwrap_or_default()
}

fn written(zone: &Zone, subname: &str, kind: &str, records: &[&Held]) -> Value {
    let values: Vec<String> = records.iter().map(|held| presentation::render(&held.record.data)).collect();
    let name =
        if subname.is_empty() { format!("{}.", zone.name) } else { format!("{subname}.{}.", zone.name) };
    json!({
        "domain": zone.name.as_str(), "subname": subname, "name": name, "type": kind, "records": values,
        "ttl": records.first().map(|held| held.record.ttl),
        "created": "2026-11-01T00:00:00.000000Z", "touched": "2026-11-01T00:00:00.000000Z",
    })
}

fn list(asked: &Asked, account: &Account<Rules>, at: usize) -> Reply {
    let zone = &account.zones[at];
    let mut sets: Vec<(String, String, Vec<&Held>)> = Vec::new();
    for held in &zone.records {
        let (name, kind) = (subname(zone, &held.record), held.record.data.record_type().to_string());
        match sets.iter_mut().find(|set| (&set.0, &set.1) == (&name, &kind)) {
            Some((_, _, records)) => records.push(held),
            None => sets.push((name, kind, vec![held])),
        }
    }
    let per_page = PER_PAGE.min(account.most_per_page);
    let address = format!("https://desec.io/api/v1/domains/{}/rrsets/", zone.name);
    let first = format!("<{address}?cursor=>; rel=\"first\"");
    let Some(cursor) = asked.query("cursor") else {
        if sets.len() > per_page {
            let mut reply = no(400, "Pagination required. You can query up to 500 items at a time.");
            reply.headers.push(("link", first));
            return reply;
        }
        let all: Vec<Value> =
            sets.iter().map(|(name, kind, records)| written(zone, name, kind, records)).collect();
        return Reply::json(200, &json!(all));
    };
    let from = match cursor.strip_prefix("cD0=") {
        _ if cursor.is_empty() => 0,
        Some(from) => from.parse().unwrap_or(usize::MAX),
        None => return no(404, "Invalid cursor"),
    };
    let of_page: Vec<Value> = sets
        .iter()
        .skip(from)
        .take(per_page)
        .map(|(name, kind, records)| written(zone, name, kind, records))
        .collect();
    let mut links = vec![first];
    if from > 0 {
        links.push(format!("<{address}?cursor=cD0%3D{}>; rel=\"prev\"", from.saturating_sub(per_page)));
    }
    if from + per_page < sets.len() {
        links.push(format!("<{address}?cursor=cD0%3D{}>; rel=\"next\"", from + per_page));
    }
    let mut reply = Reply::json(200, &json!(of_page));
    reply.headers.push(("link", links.join(", ")));
    reply
}

/// Why a set is not taken: the field, and words.
type Wrong = (&'static str, String);

/// The records that are sent for a set; none where it goes.
fn sent(set: &Value, zone: &Zone) -> Result<Vec<Record>, Wrong> {
    let required = |field: &'static str| (field, "This field is required.".to_owned());
    let name = set["subname"].as_str().ok_or_else(|| required("subname"))?;
    let kind = set["type"].as_str().ok_or_else(|| required("type"))?;
    let values = set["records"].as_array().ok_or_else(|| required("records"))?;
    let owner = if name.is_empty() { Some(zone.name.clone()) } else { zone.name.prepend(name).ok() };
    let is_odd =
        name == "@" || name.ends_with('.') || name.chars().any(|c| !c.is_ascii() || c.is_ascii_uppercase());
    let owner = owner.filter(|_| !is_odd);
    let owner = owner
        .ok_or_else(|| ("subname", "Subname can only use (lowercase) a-z, 0-9, ., -, and _.".to_owned()))?;
    if values.is_empty() {
        return Ok(Vec::new());
    }
    let least = zone.least_ttl.unwrap_or(LEAST_TTL);
    let ttl = set["ttl"].as_u64().ok_or_else(|| required("ttl"))?;
    if ttl < u64::from(least) {
        return Err(("ttl", format!("Ensure this value is greater than or equal to {least}.")));
    }
    let ttl = u32::try_from(ttl).ok().filter(|ttl| u64::from(*ttl) <= MOST_TTL);
    let ttl =
        ttl.ok_or_else(|| ("ttl", format!("Ensure this value is less than or equal to {MOST_TTL}.")))?;
    let all = |message: String| ("non_field_errors", message);
    let each = |value: &Value| {
        let text = value.as_str().ok_or_else(|| all("Must be a string.".to_owned()))?;
        let data = presentation::parse(kind, text).ok_or_else(|| {
            all(match kind {
                "TXT" => "Data for TXT records must be given using quotation marks.".to_owned(),
                _ => format!("Record content for type {kind} malformed: {text}"),
            })
        })?;
        Ok(Record { owner: owner.clone(), ttl, data })
    };
    let records = values.iter().map(each).collect::<Result<Vec<Record>, Wrong>>()?;
    let data: BTreeSet<&RecordData> = records.iter().map(|record| &record.data).collect();
    if data.len() < records.len() {
        return Err(all("Duplicate: records must be semantically unique".to_owned()));
    }
    if kind == "CNAME" && (records.len() > 1 || name.is_empty()) {
        return Err(all("RRset of type CNAME has multiple records, or is at the zone apex.".to_owned()));
    }
    Ok(records)
}

fn change(asked: &Asked, account: &mut Account<Rules>, at: usize, writes: bool) -> Reply {
    let is_new = asked.seen.method == "POST";
    let Ok(Value::Array(sets)) = serde_json::from_slice::<Value>(&asked.seen.body) else {
        return Reply::json(400, &json!({"non_field_errors": ["Expected a list of items but got dict."]}));
    };
    if !writes {
        return no(403, "Insufficient token permissions.");
    }
    let mut zone = account.zones[at].clone();
    let mut errors: Vec<Value> = Vec::new();
    let mut keys = BTreeSet::new();
    let mut made = Vec::new();
    for set in &sets {
        let key = (set["subname"].to_string(), set["type"].to_string());
        let kind = set["type"].as_str().unwrap_or_default();
        let error = match sent(set, &account.zones[at]) {
            _ if !keys.insert(key) => Some((
                "non_field_errors",
                "Same subname and type as in position(s) 0, but must be unique.".to_owned(),
            )),
            Err(wrong) => Some(wrong),
            Ok(records) if is_new && records.is_empty() => {
                Some(("records", "This field must not be empty when using POST.".to_owned()))
            }
            Ok(records) => {
                let name = set["subname"].as_str().unwrap_or_default();
                let is_of_set = |held: &Held| {
                    subname(&zone, &held.record) == name && held.record.data.record_type().to_string() == kind
                };
                let (there, others): (Vec<Held>, Vec<Held>) =
                    zone.records.iter().cloned().partition(is_of_set);
                if is_new && !there.is_empty() {
                    let words = "Another RRset with the same subdomain and type exists for this domain. (Try modifying it.)";
                    Some(("non_field_errors", words.to_owned()))
                } else {
                    zone.records = others;
                    made.extend(records);
                    None
                }
            }
        };
        errors.push(error.map_or(json!({}), |(field, words)| json!({field: [words]})));
    }
    for record in made {
        let id = account.id();
        zone.records.push(Held { id, record, note: None, is_protected: false });
    }
    if zone.has_alias_conflict() && errors.iter().all(|error| *error == json!({})) {
        let words = "RRset with conflicting type present at same subname: 0 (CNAME). (No other RRsets are allowed alongside CNAME.)";
        errors[0] = json!({"non_field_errors": [words]});
    }
    if errors.iter().any(|error| *error != json!({})) {
        return Reply::json(400, &json!(errors));
    }
    account.changed += 1;
    account.zones[at] = zone;
    let zone = &account.zones[at];
    let told = |set: &Value| {
        let (name, kind) =
            (set["subname"].as_str().unwrap_or_default(), set["type"].as_str().unwrap_or_default());
        let is_of_set = |held: &&Held| {
            subname(zone, &held.record) == name && held.record.data.record_type().to_string() == kind
        };
        let records: Vec<&Held> = zone.records.iter().filter(is_of_set).collect();
        (!records.is_empty()).then(|| written(zone, name, kind, &records))
    };
    let told: Vec<Value> = sets.iter().filter_map(told).collect();
    Reply::json(if is_new { 201 } else { 200 }, &json!(told))
}
