//! Writing Domain Connect templates: a [`Profile`] becomes the file that DNS hosts take in.
//!
//! What is the same for every domain is written out, what differs stays a variable: the less a link can choose, the less
//! a forged one could do (section "Risk of phishing with open template parameters" of the specification). What is ours
//! alone (`x-countersign`) is left out: it is of no use to a DNS host.

use super::variables::{Piece, Variables, pieces};
use crate::profile::{Number, Profile, ProfileRecord, ProfileRecordKind, TxtConflict};
use serde::Serialize;
use serde_json::{Value, json};

/// Under whose name a template is published.
#[derive(Debug, Clone, Copy)]
pub struct ServiceProvider<'a> {
    /// `providerId`: a domain of the operator's.
    pub id: &'a str,
    /// `providerName`: what people read.
    pub name: &'a str,
    /// `serviceId`: which template of theirs it is.
    pub service_id: &'a str,
    /// `syncPubKeyDomain`: below which the key is that signs links.
    pub public_key_domain: &'a str,
    /// `syncRedirectDomain`: where links may come back to.
    pub redirect_domain: &'a str,
}

/// The fields in the order in which people expect them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Template<'a> {
    provider_id: &'a str,
    provider_name: &'a str,
    service_id: &'a str,
    service_name: &'a str,
    version: u32,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
    #[serde(skip_serializing_if = "String::is_empty")]
    variable_description: String,
    sync_block: bool,
    sync_pub_key_domain: &'a str,
    sync_redirect_domain: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    multi_instance: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    host_required: bool,
    records: Vec<Value>,
}

/// The file, with a line break at its end.
pub fn template(profile: &Profile, provider: &ServiceProvider<'_>, fixed: &Variables) -> String {
    let template = Template {
        provider_id: provider.id,
        provider_name: provider.name,
        service_id: provider.service_id,
        service_name: &profile.title,
        version: profile.version.unwrap_or(1),
        description: &profile.description,
        variable_description: described(&profile.variable_description, fixed),
        sync_block: profile.settings.sync_block,
        sync_pub_key_domain: provider.public_key_domain,
        sync_redirect_domain: provider.redirect_domain,
        multi_instance: profile.settings.multi_instance,
        host_required: profile.settings.host_required || profile.records.iter().any(needs_host),
        records: profile.records.iter().map(|one| record(one, fixed)).collect(),
    };
    // Texts, numbers and lists only: nothing of that fails.
    let mut text = serde_json::to_string_pretty(&template).unwrap_or_default();
    text.push('\n');
    text
}

/// What is said of variables (`name: what it is; name: …`), without those that are none any more.
fn described(description: &str, fixed: &Variables) -> String {
    let is_left = |part: &&str| part.split_once(':').is_none_or(|(name, _)| !fixed.contains_key(name.trim()));
    description.split(';').filter(is_left).collect::<Vec<_>>().join(";").trim().to_owned()
}

/// At the top of a zone stands neither an alias nor a delegation: the format wants that said (`hostRequired`).
fn needs_host(record: &ProfileRecord) -> bool {
    matches!(record.kind, ProfileRecordKind::Cname { .. } | ProfileRecordKind::Ns { .. })
        && matches!(record.host.as_str(), "" | "@")
}

fn record(record: &ProfileRecord, fixed: &Variables) -> Value {
    use ProfileRecordKind as Kind;
    let text = |text: &str| fixed_in(text, fixed);
    let number = |of: &Number| match of {
        Number::Fixed(number) => json!(number),
        Number::Variable(variable) => json!(fixed_in(variable, fixed)),
    };
    let mut fields = match &record.kind {
        Kind::Cname { points_to } => json!({"type": "CNAME", "pointsTo": text(points_to)}),
        Kind::Ns { points_to } => json!({"type": "NS", "pointsTo": text(points_to)}),
        Kind::Address { points_to, v6 } => {
            json!({"type": if *v6 { "AAAA" } else { "A" }, "pointsTo": text(points_to)})
        }
        Kind::Mx { points_to, priority } => {
            json!({"type": "MX", "pointsTo": text(points_to), "priority": number(priority)})
        }
        Kind::Txt { data, conflict } => {
            let mut fields = json!({"type": "TXT", "data": text(data)});
            let mode = match conflict {
                TxtConflict::None => "None",
                TxtConflict::All => "All",
                TxtConflict::Prefix(prefix) => {
                    fields["txtConflictMatchingPrefix"] = json!(prefix);
                    "Prefix"
                }
            };
            fields["txtConflictMatchingMode"] = json!(mode);
            fields
        }
        Kind::SpfMerge { rules } => json!({"type": "SPFM", "spfRules": text(rules)}),
        Kind::Srv { service, protocol, priority, weight, port, target } => json!({
            "type": "SRV", "service": text(service), "protocol": text(protocol), "priority": number(priority),
            "weight": number(weight), "port": number(port), "target": text(target),
        }),
        Kind::Caa { data } => json!({"type": "CAA", "data": text(data)}),
    };
    let place = if matches!(record.kind, Kind::Srv { .. }) { "name" } else { "host" };
    fields[place] = json!(text(&record.host));
    if let Some(group) = &record.group {
        fields["groupId"] = json!(group);
    }
    // The DNS host makes the merged record: neither its TTL nor its stay is ours to say.
    if !matches!(record.kind, Kind::SpfMerge { .. }) {
        fields["ttl"] = number(&record.ttl);
        fields["essential"] = json!(if record.on_apply { "OnApply" } else { "Always" });
    }
    fields
}

/// A text with what is fixed put in. A profile is applied to a domain, a template to a host within a zone: what is
/// `%domain%` to the one is `%fqdn%` to the other, and its `%host%` is empty.
fn fixed_in(text: &str, fixed: &Variables) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    // What was read is well-formed.
    for piece in pieces(text).unwrap_or_else(|_| vec![Piece::Literal(text)]) {
        match piece {
            Piece::Literal(text) => out.push_str(text),
            Piece::Variable("domain" | "fqdn") => out.push_str("%fqdn%"),
            Piece::Variable("host") => {}
            Piece::Variable(name) => match fixed.get(name) {
                // A percent sign would begin a variable.
                Some(value) if !value.contains('%') => out.push_str(value),
                _ => {
                    out.push('%');
                    out.push_str(name);
                    out.push('%');
                }
            },
        }
    }
    out
}
