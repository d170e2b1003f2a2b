//! A strict Gandi (LiveDNS, version 5): domains and record sets.
//!
//! What it enforces: tokens with their rights and domains, all refused in one way; one set a request, made (`POST`) only where
//! none is, replaced (`PUT`) or taken out; names relative to the domain, compared with their case; data in zone file form,
//! names of targets with their final dot, texts in quotation marks with strings of 255 octets at the most; TTLs from 300 to
//! 2,592,000; aliases alone.
//!
//! Known from one source or none, and so refused: escapes of octets by number, name servers at the topmost name.

use crate::{
    account::{Account, Fake, Held, Host, Token, Zone},
    presentation,
    serve::{Asked, Reply, decoded},
};
use model::{Record, RecordData};
use serde_json::{Value, json};

/// The host.
pub type Gandi = Fake<Rules>;

/// What is its own.
#[derive(Default)]
pub struct Rules {
    /// How its owner wrote names that are not in lower case: the name, and how it is listed.
    pub written: Vec<(String, String)>,
    /// It does not tell how many sets there are.
    pub tells_no_total: bool,
}

fn no(status: u16, object: &str, cause: &str, message: &str) -> Reply {
    Reply::json(status, &json!({"code": status, "message": message, "object": object, "cause": cause}))
}

fn denied() -> Reply {
    no(403, "HTTPForbidden", "Forbidden", "Access was denied to this resource.")
}

fn wrong(name: &str, description: &str) -> Reply {
    let errors = json!([{"location": "body", "name": name, "description": description}]);
    Reply::json(400, &json!({"status": "error", "errors": errors}))
}

impl Host for Rules {
    fn answer(asked: &Asked, account: &mut Account<Self>) -> Reply {
        let header = asked.header("authorization");
        if header.is_empty() {
            return no(
                401,
                "HTTPUnauthorized",
                "Unauthorized",
                "The server could not verify that you are authorized.",
            );
        }
        let secret = header.strip_prefix("Bearer ").unwrap_or_default();
        let known = account.tokens.get(secret).filter(|token| !token.is_over && token.reads).cloned();
        let Some(token) = known else { return denied() };
        let method = asked.seen.method.as_str();
        let Some(path) = asked.seen.path.strip_prefix("/v5/livedns/domains") else {
            return Reply { status: 404, headers: Vec::new(), body: "<pre>Cannot GET</pre>".to_owned() };
        };
        let parts: Vec<String> = path.trim_start_matches('/').split('/').map(decoded).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        if method == "GET" && parts == [""] {
            return domains(account, &token);
        }
        let Some(at) = account.zones.iter().position(|zone| zone.name.as_str() == parts[0]) else {
            return no(404, "HTTPNotFound", "Not Found", "The resource could not be found.");
        };
        if !token.sees(&account.zones[at].name) || method != "GET" && !token.writes {
            return denied();
        }
        match (method, &parts[1..]) {
            ("GET", []) => Reply::json(200, &json!({"fqdn": parts[0], "automatic_snapshots": true})),
            ("GET", ["records"]) => list(asked, account, at),
            (method, ["records", name, kind]) => change(asked, account, at, (method, name, kind)),
            _ => no(404, "HTTPNotFound", "Not Found", "The resource could not be found."),
        }
    }
}

fn domains(account: &Account<Rules>, token: &Token) -> Reply {
    let zones = account.zones.iter().filter(|zone| token.sees(&zone.name));
    let found: Vec<Value> = zones.map(|zone| json!({"fqdn": zone.name.as_str()})).collect();
    let mut reply = Reply::json(200, &json!(found));
    reply.headers.push(("total-count", found.len().to_string()));
    reply
}

/// How a name is listed.
fn listed(account: &Account<Rules>, name: String) -> String {
    let written = account.own.written.iter().find(|(known, _)| *known == name);
    written.map_or(name, |(_, written)| written.clone())
}

fn list(asked: &Asked, account: &Account<Rules>, at: usize) -> Reply {
    let zone = &account.zones[at];
    let mut sets: Vec<(String, String, Vec<&Held>)> = Vec::new();
    for held in &zone.records {
        let name = held.record.owner.relative_to(&zone.name).unwrap_or_default();
        let kind = held.record.data.record_type().to_string();
        match sets.iter_mut().find(|set| (&set.0, &set.1) == (&name, &kind)) {
            Some((_, _, records)) => records.push(held),
            None => sets.push((name, kind, vec![held])),
        }
    }
    let written: Vec<Value> = sets
        .into_iter()
        .map(|(name, kind, records)| {
            let values: Vec<String> =
                records.iter().map(|held| presentation::render(&held.record.data)).collect();
            json!({
                "rrset_name": listed(account, name), "rrset_type": kind, "rrset_values": values,
                "rrset_ttl": records.first().map(|held| held.record.ttl),
                "rrset_href": "https://api.gandi.net/v5/livedns/domains/…",
            })
        })
        .collect();
    let number =
        |name: &str, default| asked.query(name).map_or(Some(default), |text| text.parse::<usize>().ok());
    let (Some(page @ 1..), Some(per_page @ 1..)) = (number("page", 1), number("per_page", 100)) else {
        return wrong("page", "is a number from 1");
    };
    let per_page = per_page.min(account.most_per_page);
    let of_page: Vec<&Value> = written.iter().skip((page - 1) * per_page).take(per_page).collect();
    let mut reply = Reply::json(200, &json!(of_page));
    if !account.own.tells_no_total {
        reply.headers.push(("total-count", written.len().to_string()));
    }
    reply
}

/// The records that are sent for a set.
fn sent(asked: &Asked, zone: &Zone, name: &str, kind: &str) -> Result<Vec<Record>, Reply> {
    let body: Value = serde_json::from_slice(&asked.seen.body).map_err(|_| wrong("", "is not JSON"))?;
    let fields = body.as_object().ok_or_else(|| wrong("", "is no object"))?;
    if !fields.keys().all(|field| matches!(field.as_str(), "rrset_values" | "rrset_ttl")) {
        return Err(wrong("items", "unknown field"));
    }
    let ttl = body["rrset_ttl"].as_u64().and_then(|ttl| u32::try_from(ttl).ok());
    let ttl = ttl.filter(|ttl| (300..=2_592_000).contains(ttl));
    let ttl = ttl.ok_or_else(|| wrong("rrset_ttl", "must be between 300 and 2592000"))?;
    let owner = if name == "@" { Some(zone.name.clone()) } else { zone.name.prepend(name).ok() };
    let is_odd = name.is_empty() || name.ends_with('.') || name.ends_with(zone.name.as_str());
    let owner = owner.filter(|_| !is_odd).ok_or_else(|| wrong("rrset_name", "is not valid"))?;
    let values = body["rrset_values"].as_array().filter(|values| !values.is_empty());
    let values = values.ok_or_else(|| wrong("rrset_values", "Shorter than minimum length 1."))?;
    if kind == "CNAME" && (values.len() > 1 || name == "@") || kind == "NS" && name == "@" {
        return Err(wrong("rrset_values", "is not allowed here"));
    }
    let each = |value: &Value| {
        let text = value.as_str()?;
        let has_number = text.as_bytes().windows(2).any(|pair| pair[0] == b'\\' && pair[1].is_ascii_digit());
        let data = presentation::parse(kind, text).filter(|_| !has_number && text.is_ascii())?;
        Some(Record { owner: owner.clone(), ttl, data })
    };
    values
        .iter()
        .map(each)
        .collect::<Option<Vec<Record>>>()
        .ok_or_else(|| wrong("rrset_values", "is not valid"))
}

fn change(
    asked: &Asked,
    account: &mut Account<Rules>,
    at: usize,
    (method, name, kind): (&str, &str, &str),
) -> Reply {
    let mut zone = account.zones[at].clone();
    let is_of_set = |held: &Held| {
        let of = held.record.owner.relative_to(&zone.name).map(|of| listed(account, of));
        of.as_deref() == Some(name) && held.record.data.record_type().to_string() == kind
    };
    let (there, others): (Vec<Held>, Vec<Held>) = zone.records.iter().cloned().partition(is_of_set);
    let reply = match method {
        "DELETE" if there.is_empty() => {
            let message = format!("Can't find the DNS record {name}/{kind} in the zone");
            return no(404, "dns-record", "Not Found", &message);
        }
        "DELETE" => {
            zone.records = others;
            Reply { status: 204, headers: Vec::new(), body: String::new() }
        }
        "POST" | "PUT" => {
            let records = match sent(asked, &zone, name, kind) {
                Ok(records) => records,
                Err(reply) => return reply,
            };
            if method == "POST" && !there.is_empty() {
                let same: Vec<&RecordData> = there.iter().map(|held| &held.record.data).collect();
                if same == records.iter().map(|record| &record.data).collect::<Vec<_>>() {
                    return Reply::json(
                        200,
                        &json!({"message": "A DNS Record already exists with same value"}),
                    );
                }
                return no(409, "HTTPConflict", "Conflict", "A DNS Record already exists with another value");
            }
            zone.records = others;
            for record in records {
                let id = account.id();
                zone.records.push(Held { id, record, note: None, is_protected: false });
            }
            Reply::json(201, &json!({"message": "DNS Record Created"}))
        }
        _ => return no(405, "HTTPMethodNotAllowed", "Method Not Allowed", "The method is not allowed."),
    };
    if zone.has_alias_conflict() || zone.has_double() {
        return wrong("rrset_type", "a CNAME record cannot exist beside other records");
    }
    if zone.records.len() > zone.quota {
        return wrong("items", "too many records");
    }
    account.changed += 1;
    account.zones[at] = zone;
    reply
}
