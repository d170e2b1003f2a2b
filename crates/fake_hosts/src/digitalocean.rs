//! A strict DigitalOcean (API version 2): domains and their records.
//!
//! What it enforces: tokens with their rights and zones; pages of 200 at the most; one record a request; names relative to the
//! zone, targets with their final dot, `@` in the place of the zone's own name in what is listed; aliases alone; TTLs from 30
//! to 86,400; texts of 512 octets as a zone file would have them, quotation marks counted.
//!
//! Known from one source or none, and so refused: texts with quotation marks, backslashes or other than printable ASCII, null
//! mail exchangers, the same record twice, fields that a type has no use for.

use crate::{
    account::{Account, Fake, Held, Host, Zone},
    presentation,
    serve::{Asked, Reply},
};
use model::{Caa, DomainName, Record, RecordData, Srv, TxtData};
use serde_json::{Map, Value, json};

/// The host.
pub type DigitalOcean = Fake<Rules>;

/// What is its own.
#[derive(Default)]
pub struct Rules;

/// The most that a page has.
const MOST_PER_PAGE: usize = 200;

fn no(status: u16, id: &str, message: &str) -> Reply {
    let request = "4851a473-1621-42ea-b2f9-5071c0ea8414";
    Reply::json(status, &json!({"id": id, "message": message, "request_id": request}))
}

fn unprocessable(message: &str) -> Reply {
    no(422, "unprocessable_entity", message)
}

fn not_found() -> Reply {
    no(404, "not_found", "The resource you requested could not be found.")
}

fn forbidden() -> Reply {
    no(403, "forbidden", "You are not authorized to perform this operation")
}

impl Host for Rules {
    fn answer(asked: &Asked, account: &mut Account<Self>) -> Reply {
        let secret = asked.header("authorization").strip_prefix("Bearer ").unwrap_or_default();
        let Some(token) = account.tokens.get(secret).filter(|token| !token.is_over).cloned() else {
            return no(401, "unauthorized", "Unable to authenticate you");
        };
        let path = asked.seen.path.strip_prefix("/v2/domains/").unwrap_or_default().to_owned();
        let parts: Vec<&str> = path.split('/').collect();
        let Some(at) =
            account.zones.iter().position(|zone| zone.name.as_str() == parts[0] && token.sees(&zone.name))
        else {
            return if token.reads { not_found() } else { forbidden() };
        };
        match (asked.seen.method.as_str(), &parts[1..]) {
            ("GET", _) if !token.reads => forbidden(),
            ("POST" | "PUT" | "PATCH" | "DELETE", _) if !token.writes => forbidden(),
            // Rights of their own: that to change records may hold these, which is not proven.
            ("POST" | "DELETE", _) if !token.makes => forbidden(),
            ("GET", []) => {
                let domain = json!({"name": parts[0], "ttl": 1800, "zone_file": "$ORIGIN …"});
                Reply::json(200, &json!({"domain": domain}))
            }
            ("GET", ["records"]) => list(asked, account, at),
            ("POST", ["records"]) => create(asked, account, at),
            (method, ["records", id]) => {
                let place = id
                    .parse()
                    .ok()
                    .and_then(|id: u64| account.zones[at].records.iter().position(|held| held.id == id));
                match (method, place) {
                    (_, None) => not_found(),
                    ("PUT", Some(place)) => update(asked, account, at, place),
                    ("DELETE", Some(place)) => {
                        account.zones[at].records.remove(place);
                        account.changed += 1;
                        Reply { status: 204, headers: Vec::new(), body: String::new() }
                    }
                    ("GET", Some(place)) => one(200, &account.zones[at], &account.zones[at].records[place]),
                    _ => no(405, "method_not_allowed", "The method is not allowed."),
                }
            }
            _ => not_found(),
        }
    }
}

fn one(status: u16, zone: &Zone, held: &Held) -> Reply {
    Reply::json(status, &json!({"domain_record": written(zone, held)}))
}

fn list(asked: &Asked, account: &Account<Rules>, at: usize) -> Reply {
    let number =
        |name: &str, default| asked.query(name).map_or(Some(default), |text| text.parse::<usize>().ok());
    let (Some(page @ 1..), Some(per_page @ 1..=MOST_PER_PAGE)) = (number("page", 1), number("per_page", 20))
    else {
        return no(400, "bad_request", "page and per_page are numbers from 1, the latter to 200");
    };
    let per_page = per_page.min(account.most_per_page);
    let zone = &account.zones[at];
    let name = asked.query("name");
    let found: Vec<Value> = zone
        .records
        .iter()
        .filter(|held| name.as_ref().is_none_or(|name| held.record.owner.as_str() == name))
        .map(|held| written(zone, held))
        .collect();
    let last = found.len().div_ceil(per_page).max(1);
    let link = |page: usize| {
        json!(format!("https://api.digitalocean.com/v2/domains/{}/records?page={page}", zone.name))
    };
    let mut pages = Map::new();
    if page < last {
        pages.insert("next".to_owned(), link(page + 1));
        pages.insert("last".to_owned(), link(last));
    }
    if page > 1 {
        pages.insert("first".to_owned(), link(1));
        pages.insert("prev".to_owned(), link(page - 1));
    }
    let links = if pages.is_empty() { json!({}) } else { json!({"pages": pages}) };
    let records: Vec<Value> = found.iter().skip((page - 1) * per_page).take(per_page).cloned().collect();
    Reply::json(200, &json!({"domain_records": records, "links": links, "meta": {"total": found.len()}}))
}

/// A record as it is answered with.
fn written(zone: &Zone, held: &Held) -> Value {
    // A target that is the zone's own name comes back as "@", all others without their final dot.
    let target = |name: &DomainName| {
        if *name == zone.name {
            json!("@")
        } else if name.is_root() {
            json!(".")
        } else {
            json!(name.as_str())
        }
    };
    let mut out = json!({
        "id": held.id, "type": held.record.data.record_type().to_string(),
        "name": held.record.owner.relative_to(&zone.name), "ttl": held.record.ttl,
        "data": null, "priority": null, "port": null, "weight": null, "flags": null, "tag": null,
    });
    match &held.record.data {
        RecordData::Cname(name) | RecordData::Ns(name) | RecordData::Ptr(name) => out["data"] = target(name),
        RecordData::Mx { preference, exchange } => {
            out["data"] = target(exchange);
            out["priority"] = json!(preference);
        }
        RecordData::Txt(text) => out["data"] = json!(text.joined()),
        data => match (Srv::from_data(data), Caa::from_data(data)) {
            (Some(srv), _) => {
                out["data"] = target(&srv.target);
                out["priority"] = json!(srv.priority);
                out["weight"] = json!(srv.weight);
                out["port"] = json!(srv.port);
            }
            (_, Some(caa)) => {
                out["data"] = json!(caa.value);
                out["flags"] = json!(caa.flags);
                out["tag"] = json!(caa.tag);
            }
            _ => out["data"] = json!(data.to_string()),
        },
    }
    out
}

/// What is sent of a record.
fn read(asked: &Asked, zone: &Zone) -> Result<Record, &'static str> {
    let Ok(Value::Object(body)) = serde_json::from_slice::<Value>(&asked.seen.body) else {
        return Err("The request body is not JSON");
    };
    let text = |field: &str| body.get(field).and_then(Value::as_str).unwrap_or_default();
    let number = |field: &str| {
        body.get(field)
            .and_then(Value::as_u64)
            .and_then(|number| u16::try_from(number).ok())
            .ok_or("a number is missing")
    };
    let ttl = body.get("ttl").map_or(Some(1800), Value::as_u64).and_then(|ttl| u32::try_from(ttl).ok());
    let ttl = ttl.filter(|ttl| (30..=86_400).contains(ttl)).ok_or("TTL must be between 30 and 86400")?;
    let name = text("name");
    let owner = match name {
        "" => return Err("Name can't be blank"),
        "@" => zone.name.clone(),
        _ if name.ends_with('.')
            || name == zone.name.as_str()
            || name.ends_with(&format!(".{}", zone.name)) =>
        {
            return Err("Name is relative to the domain");
        }
        _ => zone.name.prepend(name).map_err(|_| "Name is not valid")?,
    };
    let target = || presentation::absolute(text("data")).ok_or("Data needs to end with a dot (.)");
    let host =
        || target().and_then(|name| if name.is_root() { Err("Data is not a hostname") } else { Ok(name) });
    let (data, fields): (RecordData, &[&str]) = match text("type") {
        "A" => (RecordData::A(text("data").parse().map_err(|_| "IP address is not valid")?), &[]),
        "AAAA" => (RecordData::Aaaa(text("data").parse().map_err(|_| "IP address is not valid")?), &[]),
        "CNAME" if name == "@" => return Err("CNAME records cannot share a name with other records"),
        "CNAME" => (RecordData::Cname(host()?), &[]),
        "NS" => (RecordData::Ns(host()?), &[]),
        "MX" => (RecordData::Mx { preference: number("priority")?, exchange: host()? }, &["priority"]),
        "TXT" => (RecordData::Txt(plain_text(text("data"))?), &[]),
        "SRV" => {
            let srv = Srv {
                priority: number("priority")?,
                weight: number("weight")?,
                port: number("port")?,
                target: target()?,
            };
            (srv.to_data(), &["priority", "weight", "port"])
        }
        _ => return Err("Type is not included in the list"),
    };
    let known = |field: &str| matches!(field, "type" | "name" | "data" | "ttl") || fields.contains(&field);
    if !body.keys().all(|field| known(field)) {
        return Err("a field that the type has no use for");
    }
    Ok(Record { owner, ttl, data })
}

fn plain_text(text: &str) -> Result<TxtData, &'static str> {
    if text.is_empty() {
        return Err("Data can't be blank");
    }
    if text.bytes().any(|octet| !matches!(octet, b' '..=b'~') || matches!(octet, b'"' | b'\\')) {
        return Err("Data has a character that is not taken");
    }
    let data = TxtData::from_text(text);
    if presentation::quoted(&data).len() > 509 {
        return Err("Data is too long (maximum is 512 characters)");
    }
    Ok(data)
}

/// Whether a zone is as it may be.
fn checked(zone: &Zone) -> Result<(), &'static str> {
    if zone.has_alias_conflict() {
        return Err("CNAME records cannot share a name with other records");
    }
    if zone.has_double() {
        return Err("Record already exists");
    }
    if zone.records.len() > zone.quota {
        return Err("The domain has too many records");
    }
    Ok(())
}

fn create(asked: &Asked, account: &mut Account<Rules>, at: usize) -> Reply {
    let record = match read(asked, &account.zones[at]) {
        Ok(record) => record,
        Err(message) => return unprocessable(message),
    };
    let id = account.id();
    let mut zone = account.zones[at].clone();
    zone.records.push(Held { id, record, note: None, is_protected: false });
    store(201, account, at, zone, id)
}

fn update(asked: &Asked, account: &mut Account<Rules>, at: usize, place: usize) -> Reply {
    let mut zone = account.zones[at].clone();
    let record = match read(asked, &zone) {
        Ok(record) => record,
        Err(message) => return unprocessable(message),
    };
    let held = &mut zone.records[place];
    if held.record.data.record_type() != record.data.record_type() {
        return unprocessable("Type can't be changed");
    }
    held.record = record;
    let id = held.id;
    store(200, account, at, zone, id)
}

fn store(status: u16, account: &mut Account<Rules>, at: usize, zone: Zone, id: u64) -> Reply {
    if let Err(message) = checked(&zone) {
        return unprocessable(message);
    }
    account.changed += 1;
    account.zones[at] = zone;
    let zone = &account.zones[at];
    zone.records.iter().find(|held| held.id == id).map_or_else(not_found, |held| one(status, zone, held))
}
