//! A strict Hetzner (the cloud's API of version 1): zones and record sets.
//!
//! What it enforces: tokens with their rights; pages of 100 at the most; names relative to the zone, in lower case; data in zone
//! file form, texts in quotation marks with strings of 255 octets at the most; TTLs from 60; one TTL for a set; zones that are
//! copies are not written; protected sets neither. Changes are actions, of which one may be under way for a zone at a time.
//!
//! Known from one source or none, and so refused: adding what is there, taking out what is not, another TTL beside that of the
//! set, a write while an action is under way.

use crate::{
    account::{Account, Fake, Held, Host, Zone},
    presentation,
    serve::{Asked, Reply, decoded},
};
use model::{DomainName, Record, RecordData};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The host.
pub type Hetzner = Fake<Rules>;

/// What an action failed with: a code and words.
pub type Failure = (&'static str, &'static str);

/// What is its own.
#[derive(Default)]
pub struct Rules {
    /// How often an action is said to be under way before it is done.
    pub slow: u32,
    /// What the next actions come to in the end, in the place of what they should do.
    pub failing: Option<Failure>,
    /// Actions: how often each is still said to be under way, and what it failed with.
    actions: BTreeMap<u64, (u32, Option<Failure>)>,
    /// What a zone is when an action is done: its place, and it.
    coming: BTreeMap<u64, (usize, Zone)>,
}

/// The most that a page has.
const MOST_PER_PAGE: usize = 100;
/// The TTL of sets that have none of their own.
const ZONE_TTL: u32 = 3_600;

/// A code and its words, with the status it comes with.
struct Refused(u16, &'static str, &'static str);

fn no(Refused(status, code, message): Refused) -> Reply {
    Reply::json(status, &json!({"error": {"code": code, "message": message, "details": null}}))
}

/// An input that is wrong, as it is told of a field.
fn invalid(message: &'static str) -> Refused {
    Refused(422, "invalid_input", message)
}

impl Host for Rules {
    fn answer(asked: &Asked, account: &mut Account<Self>) -> Reply {
        answer(asked, account).unwrap_or_else(no)
    }
}

fn answer(asked: &Asked, account: &mut Account<Rules>) -> Result<Reply, Refused> {
    let secret = asked.header("authorization").strip_prefix("Bearer ").unwrap_or_default();
    let known = account.tokens.get(secret).filter(|token| !token.is_over).cloned();
    let token = known.ok_or(Refused(401, "unauthorized", "unable to authenticate"))?;
    let method = asked.seen.method.as_str();
    if !token.reads {
        return Err(Refused(403, "forbidden", "insufficient permissions for this request"));
    }
    if method != "GET" && !token.writes {
        return Err(Refused(403, "token_readonly", "token is only allowed to perform GET requests"));
    }
    let path = asked.seen.path.strip_prefix("/v1/").unwrap_or_default();
    let parts: Vec<String> = path.split('/').map(decoded).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let not_found = || Refused(404, "not_found", "resource not found");
    match (method, parts.as_slice()) {
        ("GET", ["zones"]) => Ok(zones(asked, account, &token)),
        ("GET", ["actions", id]) => {
            let id = id.parse().map_err(|_| not_found())?;
            let (left, _) = account.own.actions.get_mut(&id).ok_or_else(not_found)?;
            *left = left.saturating_sub(1);
            if *left == 0
                && let Some((at, zone)) = account.own.coming.remove(&id)
            {
                account.zones[at] = zone;
                account.changed += 1;
            }
            Ok(Reply::json(200, &json!({"action": action(&account.own, id)})))
        }
        (method, ["zones", id, rest @ ..]) => {
            let at =
                account.zones.iter().position(|zone| zone.id.to_string() == *id && token.sees(&zone.name));
            let at = at.ok_or_else(not_found)?;
            if account.zones[at].is_copy {
                let words = "This operation is not supported for this Zone's `mode`.";
                return Err(Refused(422, "incorrect_zone_mode", words));
            }
            match (method, rest) {
                ("GET", []) => Ok(Reply::json(200, &json!({"zone": zone(&account.zones[at])}))),
                ("GET", ["rrsets"]) => list(asked, account, at),
                ("POST", ["rrsets", name, kind, "actions", what]) => {
                    change(asked, account, at, (name, kind, what))
                }
                _ => Err(not_found()),
            }
        }
        _ => Err(not_found()),
    }
}

fn action(own: &Rules, id: u64) -> Value {
    let (left, failed) = own.actions.get(&id).copied().unwrap_or_default();
    let (status, error) = match (left, failed) {
        (1.., _) => ("running", Value::Null),
        (0, None) => ("success", Value::Null),
        (0, Some((code, message))) => ("error", json!({"code": code, "message": message})),
    };
    let finished = (status != "running").then_some("2026-11-01T00:00:01Z");
    json!({
        "id": id, "command": "add_rrset_records", "status": status, "progress": if left > 0 { 50 } else { 100 },
        "started": "2026-11-01T00:00:00Z", "finished": finished, "resources": [], "error": error,
    })
}

/// A page of a list, with what is told of the pages.
fn paged(asked: &Asked, field: &str, found: &[Value], most: usize) -> Option<Reply> {
    let number =
        |name: &str, default| asked.query(name).map_or(Some(default), |text| text.parse::<usize>().ok());
    let page = number("page", 1).filter(|page| *page > 0)?;
    let per_page = number("per_page", 25).filter(|size| (1..=MOST_PER_PAGE).contains(size))?.min(most);
    let last = found.len().div_ceil(per_page).max(1);
    let of_page: Vec<&Value> = found.iter().skip((page - 1) * per_page).take(per_page).collect();
    let pagination = json!({
        "page": page, "per_page": per_page, "previous_page": (page > 1).then(|| page - 1),
        "next_page": (page < last).then(|| page + 1), "last_page": last, "total_entries": found.len(),
    });
    Some(Reply::json(200, &json!({field: of_page, "meta": {"pagination": pagination}})))
}

fn zones(asked: &Asked, account: &Account<Rules>, token: &crate::Token) -> Reply {
    let name = asked.query("name");
    let found: Vec<Value> = account
        .zones
        .iter()
        .filter(|zone| token.sees(&zone.name) && name.as_ref().is_none_or(|name| zone.name.as_str() == name))
        .map(zone)
        .collect();
    paged(asked, "zones", &found, account.most_per_page).unwrap_or_else(|| no(invalid("invalid page")))
}

fn zone(zone: &Zone) -> Value {
    json!({
        "id": zone.id, "name": zone.name.as_str(), "ttl": ZONE_TTL, "status": "ok", "registrar": "other",
        "mode": if zone.is_copy { "secondary" } else { "primary" }, "record_count": zone.records.len(),
        "created": "2026-11-01T00:00:00Z", "labels": {}, "protection": {"delete": false},
        "primary_nameservers": [], "authoritative_nameservers": {"assigned": ["hydrogen.ns.hetzner.com."]},
    })
}

/// What names a set: the labels in front of the zone's name, and the type.
fn key(zone: &Zone, record: &Record) -> (String, String) {
    (record.owner.relative_to(&zone.name).unwrap_or_default(), record.data.record_type().to_string())
}

fn list(asked: &Asked, account: &Account<Rules>, at: usize) -> Result<Reply, Refused> {
    let zone = &account.zones[at];
    let name = asked.query("name");
    let mut sets: BTreeMap<(String, String), Vec<&Held>> = BTreeMap::new();
    for held in &zone.records {
        sets.entry(key(zone, &held.record)).or_default().push(held);
    }
    let written = |((name, kind), records): (&(String, String), &Vec<&Held>)| {
        let ttl = records.first().map(|held| held.record.ttl);
        let values: Vec<Value> = records
            .iter()
            .map(|held| {
                let comment = held.note.clone().unwrap_or_default();
                json!({"value": presentation::render(&held.record.data), "comment": comment})
            })
            .collect();
        json!({
            "id": format!("{name}/{kind}"), "name": name, "type": kind, "zone": zone.id, "labels": {},
            "ttl": ttl.filter(|ttl| *ttl != ZONE_TTL), "records": values,
            "protection": {"change": records.iter().any(|held| held.is_protected)},
        })
    };
    let found: Vec<Value> =
        sets.iter().filter(|((of, _), _)| name.as_ref().is_none_or(|name| of == name)).map(written).collect();
    paged(asked, "rrsets", &found, account.most_per_page).ok_or_else(|| invalid("invalid page"))
}

/// The values of a body, as records of the set, each with its note.
fn values(
    body: &Value,
    owner: &DomainName,
    kind: &str,
    ttl: u32,
) -> Result<Vec<(Record, Option<String>)>, Refused> {
    let sent = body["records"]
        .as_array()
        .filter(|sent| !sent.is_empty())
        .ok_or_else(|| invalid("records is empty"))?;
    let mut values = Vec::new();
    for value in sent {
        let fields = value.as_object().ok_or_else(|| invalid("invalid records"))?;
        if !fields.keys().all(|field| matches!(field.as_str(), "value" | "comment")) {
            return Err(invalid("unknown field in records"));
        }
        let text = value["value"].as_str().ok_or_else(|| invalid("value is missing"))?;
        let data = presentation::parse(kind, text).ok_or_else(|| invalid("invalid record value"))?;
        let note = value["comment"].as_str().filter(|note| !note.is_empty()).map(str::to_owned);
        values.push((Record { owner: owner.clone(), ttl, data }, note));
    }
    Ok(values)
}

fn change(
    asked: &Asked,
    account: &mut Account<Rules>,
    at: usize,
    (name, kind, what): (&str, &str, &str),
) -> Result<Reply, Refused> {
    if account.own.actions.values().any(|(left, _)| *left > 0) {
        return Err(Refused(423, "locked", "the zone is locked by another action"));
    }
    let body: Value =
        serde_json::from_slice(&asked.seen.body).map_err(|_| Refused(400, "json_error", "invalid JSON"))?;
    let mut zone = account.zones[at].clone();
    let is_odd = name.is_empty()
        || name.ends_with('.')
        || name.ends_with(zone.name.as_str())
        || name.chars().any(char::is_uppercase);
    let owner = if name == "@" { Some(zone.name.clone()) } else { zone.name.prepend(name).ok() };
    let owner = owner.filter(|_| !is_odd).ok_or_else(|| invalid("invalid name"))?;
    let is_of_set =
        |held: &Held| held.record.owner == owner && held.record.data.record_type().to_string() == kind;
    let there: Vec<Held> = zone.records.iter().filter(|held| is_of_set(held)).cloned().collect();
    if there.iter().any(|held| held.is_protected) {
        return Err(Refused(423, "protected", "the RRSet is protected from changes"));
    }
    let sent = body
        .get("ttl")
        .filter(|ttl| !ttl.is_null())
        .map(|ttl| ttl.as_u64().and_then(|ttl| u32::try_from(ttl).ok()));
    if sent.is_some_and(|ttl| ttl.is_none_or(|ttl| !(60..=i32::MAX.unsigned_abs()).contains(&ttl))) {
        return Err(invalid("ttl must be between 60 and 2147483647"));
    }
    let own = there.first().map(|held| held.record.ttl);
    if own.is_some() && sent.is_some() && sent.flatten() != own {
        return Err(invalid("the RRSet has another ttl"));
    }
    let ttl = own.or(sent.flatten()).unwrap_or(ZONE_TTL);
    let values = values(&body, &owner, kind, ttl)?;
    match what {
        "add_records" => {
            for (record, note) in values {
                let id = account.id();
                zone.records.push(Held { id, record, note, is_protected: false });
            }
        }
        "remove_records" => {
            for (record, _) in values {
                let place =
                    zone.records.iter().position(|held| is_of_set(held) && held.record.data == record.data);
                zone.records.remove(place.ok_or_else(|| invalid("the RRSet has no such record"))?);
            }
        }
        "set_records" if there.is_empty() => return Err(Refused(404, "not_found", "RRSet not found")),
        "set_records" => {
            zone.records.retain(|held| !is_of_set(held));
            for (record, note) in values {
                let id = account.id();
                zone.records.push(Held { id, record, note, is_protected: false });
            }
        }
        _ => return Err(Refused(404, "not_found", "no such action")),
    }
    checked(&zone)?;
    let failing = account.own.failing;
    let id = account.id();
    let slow = account.own.slow;
    if failing.is_none() && slow > 0 {
        account.own.coming.insert(id, (at, zone));
    } else if failing.is_none() {
        account.zones[at] = zone;
        account.changed += 1;
    }
    account.own.actions.insert(id, (slow, failing));
    Ok(Reply::json(201, &json!({"action": action(&account.own, id)})))
}

/// Whether a zone is as it may be.
fn checked(zone: &Zone) -> Result<(), Refused> {
    if zone.has_double() {
        return Err(Refused(409, "uniqueness_error", "record values must be distinct"));
    }
    let is_alias = |held: &&Held| matches!(held.record.data, RecordData::Cname(_));
    if zone.has_alias_conflict()
        || zone.records.iter().filter(is_alias).any(|held| held.record.owner == zone.name)
    {
        return Err(invalid("a CNAME record cannot exist alongside other records"));
    }
    if zone.records.len() > zone.quota {
        return Err(Refused(403, "resource_limit_exceeded", "record limit of the zone exceeded"));
    }
    Ok(())
}
