//! What the page behind a link does once its customer says yes.

use super::{Customer, Refused, World, key, refused};
use crate::serve::decoded;
use model::{DomainName, Record, RecordData, TxtData};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Parameters that are no variables.
const OWN: [&str; 7] = ["domain", "host", "redirect_uri", "state", "groupId", "key", "sig"];

impl World {
    /// Takes a link; where the browser goes next.
    pub fn apply(&mut self, provider: &str, service: &str, query: &str) -> Result<String, Refused> {
        let Some(template) = self.template_of(provider, service) else { return refused("no such template") };
        let values = parameters(query)?;
        let value = |name: &str| values.get(name).map_or("", String::as_str);
        if template["syncBlock"] == true {
            return refused("the template is not for this flow");
        }
        let zone = value("domain").to_owned();
        if !self.zones.contains_key(&zone) {
            return refused("no such zone");
        }
        let is_signed = self.check_signature(&template, query, &values)?;
        let back = way_back(&template, value("redirect_uri"), is_signed)?;
        let mut added = Vec::new();
        if self.knows_state && !value("state").is_empty() {
            added.push(format!("state={}", escaped(value("state"))));
        }
        match self.customer {
            Customer::Agrees => {
                let changed = changed(&template, &zone, &values, &self.zones[&zone])?;
                self.zones.insert(zone, changed);
                self.changed += 1;
            }
            Customer::Leaves => {
                added.push("error=access_denied".to_owned());
                added.push("error_description=user_cancel".to_owned());
            }
            Customer::IsSomebodyElse => added.push("error=access_denied".to_owned()),
        }
        if added.is_empty() {
            return Ok(back);
        }
        let mark = if back.contains('?') { '&' } else { '?' };
        Ok(format!("{back}{mark}{}", added.join("&")))
    }

    /// Whether it is signed; where the template wants that it has to be.
    fn check_signature(
        &self,
        template: &Value,
        query: &str,
        values: &BTreeMap<String, String>,
    ) -> Result<bool, Refused> {
        let Some(below) = template["syncPubKeyDomain"].as_str() else { return Ok(false) };
        let (Some(label), Some(signature)) = (values.get("key"), values.get("sig")) else {
            return refused("the template wants a signature, and there is none");
        };
        if !query.rsplit('&').next().is_some_and(|last| last.starts_with("sig=")) {
            return refused("sig is not the last");
        }
        let is_signed = |pair: &&str| !pair.starts_with("sig=") && !pair.starts_with("key=");
        let signed: Vec<&str> = query.split('&').filter(is_signed).collect();
        let Some(server) = self.key_server else { return refused("no DNS to ask for the key") };
        key::verify(server, &format!("{label}.{below}"), &signed.join("&"), signature)?;
        Ok(true)
    }
}

/// The parameters, each there once and properly encoded.
fn parameters(query: &str) -> Result<BTreeMap<String, String>, Refused> {
    let mut values = BTreeMap::new();
    for pair in query.split('&') {
        let Some((name, value)) = pair.split_once('=') else {
            return refused(format!("\"{pair}\" has no value"));
        };
        let is_encoded = |octet: u8| octet.is_ascii_alphanumeric() || b"-._~%".contains(&octet);
        if !value.bytes().all(is_encoded) {
            return refused(format!("the value of {name} is not encoded"));
        }
        if values.insert(decoded(name), decoded(value)).is_some() {
            return refused(format!("{name} is there twice"));
        }
    }
    Ok(values)
}

fn escaped(text: &str) -> String {
    let escape = |octet: u8| match octet {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => char::from(octet).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(escape).collect()
}

/// Anywhere where the request is signed; else only where the template says.
fn way_back(template: &Value, address: &str, is_signed: bool) -> Result<String, Refused> {
    let rest = address.strip_prefix("http://").or_else(|| address.strip_prefix("https://"));
    let Some(rest) = rest else { return refused("redirect_uri is no address") };
    let host = rest.split(['/', ':', '?']).next().unwrap_or_default();
    let allowed = template["syncRedirectDomain"].as_str().unwrap_or_default();
    let is_within =
        allowed.split(',').map(str::trim).any(|one| host == one || host.ends_with(&format!(".{one}")));
    if is_signed || is_within {
        Ok(address.to_owned())
    } else {
        refused("redirect_uri is not the template's")
    }
}

/// The zone with the template in it.
fn changed(
    template: &Value,
    zone: &str,
    values: &BTreeMap<String, String>,
    records: &[Record],
) -> Result<Vec<Record>, Refused> {
    let host = values.get("host").map_or("", String::as_str);
    let fqdn = if host.is_empty() { zone.to_owned() } else { format!("{host}.{zone}") };
    let groups: BTreeSet<&str> =
        values.get("groupId").map_or("", String::as_str).split(',').filter(|one| !one.is_empty()).collect();
    let all = template["records"].as_array().map(Vec::as_slice).unwrap_or_default();
    if let Some(unknown) = groups.iter().find(|group| all.iter().all(|record| record["groupId"] != **group)) {
        return refused(format!("there is no group {unknown}"));
    }
    let is_applied = |record: &&Value| {
        groups.is_empty() || record["groupId"].as_str().is_none_or(|group| groups.contains(group))
    };
    let known = variables(all);
    if let Some(extra) = values.keys().find(|name| !OWN.contains(&name.as_str()) && !known.contains(*name)) {
        return refused(format!("{extra} is no variable of the template"));
    }
    let filling = Filling { zone, host, fqdn: &fqdn, values };
    let mut records = records.to_vec();
    for record in all.iter().filter(is_applied) {
        filling.put(record, &mut records)?;
    }
    Ok(records)
}

fn variables(records: &[Value]) -> BTreeSet<String> {
    let texts = records.iter().filter_map(Value::as_object).flat_map(serde_json::Map::values);
    texts
        .filter_map(Value::as_str)
        .flat_map(|text| text.split('%').skip(1).step_by(2))
        .map(str::to_owned)
        .collect()
}

struct Filling<'a> {
    zone: &'a str,
    host: &'a str,
    fqdn: &'a str,
    values: &'a BTreeMap<String, String>,
}

impl Filling<'_> {
    fn text(&self, record: &Value, field: &str) -> Result<String, Refused> {
        let Some(text) = record[field].as_str() else { return refused(format!("a record has no {field}")) };
        let mut out = String::new();
        for (number, part) in text.split('%').enumerate() {
            match part {
                literal if number % 2 == 0 => out.push_str(literal),
                "fqdn" => out.push_str(self.fqdn),
                "domain" => out.push_str(self.zone),
                "host" => out.push_str(self.host),
                name => match self.values.get(name).filter(|value| !value.is_empty()) {
                    Some(value) => out.push_str(value),
                    None => return refused(format!("{name} has no value")),
                },
            }
        }
        Ok(out)
    }

    fn put(&self, record: &Value, records: &mut Vec<Record>) -> Result<(), Refused> {
        let owner = match self.text(record, "host")?.as_str() {
            "" | "@" => self.fqdn.to_owned(),
            full if full.ends_with('.') => full.to_owned(),
            relative => format!("{relative}.{}", self.fqdn),
        };
        let owner = name(&owner)?;
        let ttl = record["ttl"].as_u64().and_then(|ttl| u32::try_from(ttl).ok()).unwrap_or(3_600);
        let target = |text: String| name(if text == "@" { self.fqdn } else { &text });
        let kind = record["type"].as_str().unwrap_or_default();
        let data = match kind {
            "CNAME" => {
                // The customer agreed to it: what is at the name gives way.
                records.retain(|old| old.owner != owner);
                RecordData::Cname(target(self.text(record, "pointsTo")?)?)
            }
            "MX" => {
                records.retain(|old| old.owner != owner || !matches!(old.data, RecordData::Mx { .. }));
                let preference = record["priority"].as_u64().and_then(|first| u16::try_from(first).ok());
                let Some(preference) = preference else { return refused("an MX has no priority") };
                RecordData::Mx { preference, exchange: target(self.text(record, "pointsTo")?)? }
            }
            "TXT" => {
                let mode = record["txtConflictMatchingMode"].as_str().unwrap_or("None");
                let prefix = record["txtConflictMatchingPrefix"].as_str().unwrap_or_default();
                let gives_way = |old: &Record| match (&old.data, mode) {
                    (RecordData::Txt(_), "All") => true,
                    (RecordData::Txt(text), "Prefix") => text.joined().starts_with(prefix),
                    _ => false,
                };
                records.retain(|old| old.owner != owner || !gives_way(old));
                RecordData::Txt(TxtData::from_text(&self.text(record, "data")?))
            }
            "SPFM" => RecordData::Txt(TxtData::from_text(&merged(
                &self.text(record, "spfRules")?,
                &owner,
                records,
            )?)),
            other => return refused(format!("records of type {other} are not taken")),
        };
        records.retain(|old| old.owner != owner || !matches!(old.data, RecordData::Cname(_)));
        records.push(Record { owner, ttl, data });
        Ok(())
    }
}

/// Takes the SPF record out that is there, and gives it back with these rules in it, which come first.
fn merged(rules: &str, owner: &DomainName, records: &mut Vec<Record>) -> Result<String, Refused> {
    if rules.contains("v=spf1")
        || rules.split(' ').any(|rule| rule.trim_start_matches(['-', '~', '?']) == "all")
    {
        return refused("spfRules are rules alone");
    }
    let is_spf = |record: &Record| match &record.data {
        RecordData::Txt(text) => record.owner == *owner && text.joined().starts_with("v=spf1"),
        _ => false,
    };
    let there: Vec<String> = records
        .iter()
        .filter(|record| is_spf(record))
        .map(|record| match &record.data {
            RecordData::Txt(text) => text.joined(),
            _ => String::new(),
        })
        .collect();
    if there.len() > 1 {
        return refused("there are several SPF records");
    }
    records.retain(|record| !is_spf(record));
    let mut terms: Vec<&str> = rules.split_ascii_whitespace().collect();
    for term in there.iter().flat_map(|text| text.split_ascii_whitespace().skip(1)) {
        let is_all = term.trim_start_matches(['+', '-', '~', '?']) == "all";
        if !is_all && !terms.contains(&term) {
            terms.push(term);
        }
    }
    Ok(format!("v=spf1 {} ~all", terms.join(" ")))
}

fn name(text: &str) -> Result<DomainName, Refused> {
    DomainName::parse(text).map_err(|error| Refused(format!("\"{text}\": {error}")))
}
