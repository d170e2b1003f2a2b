//! Putting the values into the records of a profile.

use super::{Expected, Plan, PlannedRecord};
use crate::{
    profile::{NAME_SERVERS, Number, Profile, ProfileError, ProfileRecord, ProfileRecordKind, TxtConflict},
    template::{
        conflict,
        variables::{Scope, clip, collect, substitute},
    },
};
use model::{Caa, DomainName, Purpose, RecordData, Srv};
use std::{borrow::Cow, collections::BTreeSet};

/// Applies the profile. All variables without a value are told at once.
pub fn apply(profile: &Profile, scope: &Scope<'_>) -> Result<Plan, ProfileError> {
    // In room for all of them: a list of many domains makes as many plans.
    let mut filled = Vec::with_capacity(profile.records.len());
    for record in &profile.records {
        filled.push(fill(record, scope).map_err(|error| missing(profile, scope).unwrap_or(error))?);
    }
    conflict::check(&filled, |filled| filled.owner.as_str().into(), |filled| filled.record, true)?;
    join_spf(&mut filled);
    name_exchangers(&mut filled);
    let mut records = planned(filled);
    if let Some(explanation) = &profile.delegated {
        for record in &mut records {
            (record.hosted, record.required) = (true, false);
        }
        records.splice(..0, delegation(profile, scope, explanation)?);
    }
    let plan = Plan::new(scope.fqdn.clone(), &profile.name, records);
    Ok(Plan { certificate_authority: profile.certificate_authority.clone(), ..plan })
}

/// All variables without a value, where there are any.
fn missing(profile: &Profile, scope: &Scope<'_>) -> Option<ProfileError> {
    let mut names = BTreeSet::new();
    for text in profile.records.iter().flat_map(ProfileRecord::texts) {
        collect(text, &mut names);
    }
    names.extend(profile.delegated.as_ref().map(|_| NAME_SERVERS.to_owned()));
    let names: Vec<String> = names.into_iter().filter(|name| !scope.values.contains_key(name)).collect();
    (!names.is_empty()).then_some(ProfileError::MissingVariables { names })
}

/// The NS records by which a zone is delegated to us.
fn delegation(
    profile: &Profile,
    scope: &Scope<'_>,
    explanation: &str,
) -> Result<Vec<PlannedRecord>, ProfileError> {
    let none = || ProfileError::MissingVariables { names: vec![NAME_SERVERS.to_owned()] };
    let names = scope.values.get(NAME_SERVERS).ok_or_else(|| missing(profile, scope).unwrap_or_else(none))?;
    let parse = |name| DomainName::parse(name).map_err(|_| none());
    let names: Vec<DomainName> = names.split_ascii_whitespace().map(parse).collect::<Result<_, _>>()?;
    if names.is_empty() {
        return Err(none());
    }
    let record = |(number, name_server): (usize, &DomainName)| PlannedRecord {
        hosted: false,
        key: if names.len() == 1 { "delegation".to_owned() } else { format!("delegation-{}", number + 1) },
        purpose: Purpose::Delegation,
        owner: scope.fqdn.clone(),
        ttl: 3600,
        required: true,
        expected: Expected::Delegation {
            name_server: name_server.clone(),
            beside: names.iter().filter(|other| *other != name_server).cloned().collect(),
        },
        explanation: explanation.to_owned(),
    };
    Ok(names.iter().enumerate().map(record).collect())
}

struct Filled<'r> {
    record: &'r ProfileRecord,
    owner: DomainName,
    ttl: u32,
    expected: Expected,
}

/// Each record gets its key: its purpose, with a number where there are several.
fn planned(filled: Vec<Filled<'_>>) -> Vec<PlannedRecord> {
    let purposes: Vec<Purpose> = filled.iter().map(|filled| filled.record.purpose).collect();
    let count = |among: &[Purpose], purpose| among.iter().filter(|one| **one == purpose).count();
    filled
        .into_iter()
        .enumerate()
        .map(|(index, Filled { record, owner, ttl, expected })| {
            let mut key = record.purpose.as_str().to_owned();
            if count(&purposes, record.purpose) > 1 {
                key.push('-');
                key.push_str(&count(&purposes[..=index], record.purpose).to_string());
            }
            PlannedRecord {
                hosted: false,
                key,
                purpose: record.purpose,
                owner,
                ttl,
                required: record.required,
                expected,
                explanation: record.explanation.clone(),
            }
        })
        .collect()
}

/// A name has one SPF record: what several records of a template want in it is wanted of that one.
fn join_spf(filled: &mut Vec<Filled<'_>>) {
    let mut joined: Vec<Filled<'_>> = Vec::with_capacity(filled.len());
    for next in filled.drain(..) {
        let Expected::Spf { rules: Some(more) } = &next.expected else {
            joined.push(next);
            continue;
        };
        let earlier = joined.iter_mut().find_map(|earlier| match &mut earlier.expected {
            Expected::Spf { rules: Some(rules) } if earlier.owner == next.owner => Some(rules),
            _ => None,
        });
        match earlier {
            Some(rules) => {
                for rule in more.split_ascii_whitespace() {
                    if !rules.split_ascii_whitespace().any(|known| known.eq_ignore_ascii_case(rule)) {
                        rules.push(' ');
                        rules.push_str(rule);
                    }
                }
            }
            None => joined.push(next),
        }
    }
    *filled = joined;
}

/// Tells each exchanger of the others at its name, so that none takes the others for strangers.
fn name_exchangers(filled: &mut [Filled<'_>]) {
    let all: Vec<(DomainName, DomainName)> = filled
        .iter()
        .filter_map(|filled| match &filled.expected {
            Expected::Mx { exchange, .. } => Some((filled.owner.clone(), exchange.clone())),
            _ => None,
        })
        .collect();
    for Filled { owner, expected, .. } in filled {
        if let Expected::Mx { exchange, beside, .. } = expected {
            let others = all.iter().filter(|(at, other)| at == owner && other != exchange);
            *beside = others.map(|(_, other)| other.clone()).collect();
        }
    }
}

fn fill<'r>(record: &'r ProfileRecord, scope: &Scope<'_>) -> Result<Filled<'r>, ProfileError> {
    let filling = Filling { record, scope };
    let owner = filling.owner()?;
    let ttl = filling.number("ttl", &record.ttl, i32::MAX.unsigned_abs())?;
    let expected = filling.expected(&owner)?;
    Ok(Filled { record, owner, ttl, expected })
}

struct Filling<'a> {
    record: &'a ProfileRecord,
    scope: &'a Scope<'a>,
}

impl Filling<'_> {
    fn error(&self, field: &str, problem: impl Into<String>) -> ProfileError {
        ProfileError::Field {
            place: self.record.place,
            field: format!("records[{}].{field}", self.record.index),
            problem: problem.into(),
        }
    }

    fn text<'t>(&self, field: &str, text: &'t str) -> Result<Cow<'t, str>, ProfileError> {
        substitute(text, self.scope).map_err(|problem| self.error(field, problem))
    }

    fn number(&self, field: &str, number: &Number, max: u32) -> Result<u32, ProfileError> {
        match number {
            Number::Fixed(number) => Ok(*number),
            Number::Variable(text) => {
                let text = self.text(field, text)?;
                text.trim().parse().ok().filter(|number| *number <= max).ok_or_else(|| {
                    self.error(field, format!("\"{}\" is no whole number from 0 to {max}", clip(&text)))
                })
            }
        }
    }

    fn small(&self, field: &str, number: &Number) -> Result<u16, ProfileError> {
        let number = self.number(field, number, u32::from(u16::MAX))?;
        Ok(u16::try_from(number).unwrap_or(u16::MAX))
    }

    fn owner(&self) -> Result<DomainName, ProfileError> {
        let srv = matches!(self.record.kind, ProfileRecordKind::Srv { .. });
        let field = if srv { "name" } else { "host" };
        let wrong = |error: model::DomainNameError| self.error(field, error.to_string());
        let host = self.text(field, &self.record.host)?;
        let owner = if host.is_empty() || host == "@" {
            self.scope.fqdn.clone()
        } else if host.ends_with('.') {
            DomainName::parse(&host).map_err(wrong)?
        } else {
            self.scope.fqdn.prepend(&host).map_err(wrong)?
        };
        match &self.record.kind {
            ProfileRecordKind::Srv { service, protocol, .. } => {
                let label = |text: Cow<'_, str>| {
                    if text.starts_with('_') { text.into_owned() } else { format!("_{text}") }
                };
                let service = label(self.text("service", service)?);
                let protocol = label(self.text("protocol", protocol)?);
                owner.prepend(&format!("{service}.{protocol}")).map_err(wrong)
            }
            _ => Ok(owner),
        }
    }

    fn name(&self, field: &str, text: &str) -> Result<DomainName, ProfileError> {
        let text = self.text(field, text)?;
        match &*text {
            "@" => Ok(self.scope.fqdn.clone()),
            // The null MX (RFC 7505), and a service that is not there (RFC 2782).
            "." => Ok(DomainName::root()),
            text => DomainName::parse(text).map_err(|error| self.error(field, error.to_string())),
        }
    }

    fn expected(&self, owner: &DomainName) -> Result<Expected, ProfileError> {
        Ok(match &self.record.kind {
            ProfileRecordKind::Cname { points_to } => {
                let values = self.scope.values;
                let dkim_key =
                    self.record.dkim_key.as_ref().and_then(|variable| values.get(variable)).cloned();
                Expected::Cname { target: self.name("pointsTo", points_to)?, dkim_key }
            }
            ProfileRecordKind::Mx { points_to, priority } => Expected::Mx {
                preference: self.small("priority", priority)?,
                exchange: self.name("pointsTo", points_to)?,
                beside: Vec::new(),
            },
            ProfileRecordKind::Address { points_to, v6 } => self.address(points_to, *v6)?,
            ProfileRecordKind::SpfMerge { rules } => self.spf_rules(rules)?,
            ProfileRecordKind::Txt { data, conflict } => {
                let value = self.text("data", data)?;
                // Only what the template itself quotes is in the form of a zone file, not what is put in.
                let value = if data.starts_with('"') { self.unquoted(&value)? } else { value.into_owned() };
                if value.is_empty() {
                    return Err(self.error("data", "it is empty"));
                }
                classify(owner, value, conflict)
            }
            ProfileRecordKind::Ns { points_to } => {
                Expected::Exact { data: RecordData::Ns(self.name("pointsTo", points_to)?) }
            }
            ProfileRecordKind::Srv { priority, weight, port, target, .. } => {
                let srv = Srv {
                    priority: self.small("priority", priority)?,
                    weight: self.small("weight", weight)?,
                    port: self.small("port", port)?,
                    target: self.name("target", target)?,
                };
                Expected::Exact { data: srv.to_data() }
            }
            ProfileRecordKind::Caa { data } => {
                let text = self.text("data", data)?;
                let caa = Caa::parse(&text).ok_or_else(|| {
                    self.error("data", format!("\"{}\" is not like: 0 issue \"ca.example\"", clip(&text)))
                })?;
                Expected::Exact { data: caa.to_data() }
            }
        })
    }

    fn address(&self, points_to: &str, v6: bool) -> Result<Expected, ProfileError> {
        let text = self.text("pointsTo", points_to)?;
        let data = if v6 {
            text.trim().parse().ok().map(RecordData::Aaaa)
        } else {
            text.trim().parse().ok().map(RecordData::A)
        };
        let family = if v6 { "an IPv6 address" } else { "an IPv4 address" };
        let data =
            data.ok_or_else(|| self.error("pointsTo", format!("\"{}\" is not {family}", clip(&text))))?;
        Ok(Expected::Address { data })
    }

    fn spf_rules(&self, rules: &str) -> Result<Expected, ProfileError> {
        let text = self.text("spfRules", rules)?;
        // What is written out was judged when the template was read.
        if rules.contains('%') {
            mail::spf::SpfRecord::parse(&format!("v=spf1 {text}"))
                .map_err(|error| self.error("spfRules", error.to_string()))?;
        }
        let mut rules = String::with_capacity(text.len());
        for rule in text.split_ascii_whitespace() {
            if !rules.is_empty() {
                rules.push(' ');
            }
            rules.push_str(rule);
        }
        Ok(Expected::Spf { rules: Some(rules) })
    }

    /// One or more strings in quotation marks, with the escapes of a zone file (RFC 1035 §5.1), joined.
    fn unquoted(&self, text: &str) -> Result<String, ProfileError> {
        let mut out = String::with_capacity(text.len());
        let mut inside = false;
        let mut characters = text.trim().chars();
        while let Some(character) = characters.next() {
            match character {
                '"' => inside = !inside,
                '\\' if inside => match characters.next() {
                    Some(escaped) => out.push(escaped),
                    None => return Err(self.error("data", "it ends in a backslash")),
                },
                ' ' | '\t' if !inside => {}
                other if inside => out.push(other),
                other => {
                    let problem =
                        format!("\"{}\" stands outside of the quotation marks", clip(&other.to_string()));
                    return Err(self.error("data", problem));
                }
            }
        }
        if inside { Err(self.error("data", "a quotation mark has no partner")) } else { Ok(out) }
    }
}

/// A template writes SPF, DKIM and DMARC as plain TXT; what they are, their value and place tell.
pub(super) fn classify(owner: &DomainName, value: String, conflict: &TxtConflict) -> Expected {
    if mail::spf::is_spf_record(&value) {
        let rules = value
            .split_ascii_whitespace()
            .skip(1)
            .filter(|term| {
                !matches!(term.trim_start_matches(['+', '-', '~', '?']).to_ascii_lowercase().as_str(), "all")
            })
            .collect::<Vec<_>>()
            .join(" ");
        // `v=spf1 -all` and `v=spf1 redirect=…` have nothing to merge: they are meant as they are.
        if rules.split(' ').all(|term| term.is_empty() || term.contains('=')) {
            return Expected::Txt { value, conflict: TxtConflict::Prefix("v=spf1".to_owned()) };
        }
        return Expected::Spf { rules: Some(rules) };
    }
    if owner.labels().next() == Some("_dmarc") && mail::dmarc::is_dmarc_record(&value) {
        return Expected::Dmarc { suggested: value };
    }
    if owner.labels().skip(1).any(|label| label == "_domainkey") {
        let tag = |name: &str| {
            value.split(';').find_map(|tag| {
                let (tag, value) = tag.split_once('=')?;
                (tag.trim() == name).then(|| value.chars().filter(|c| !c.is_whitespace()).collect::<String>())
            })
        };
        if let Some(key) = tag("p").filter(|key| !key.is_empty()) {
            // The record as it is written counts only where it says more than we would.
            let plain = value == format!("v=DKIM1; k=rsa; p={key}");
            return Expected::Dkim { public_key: Some(key), record: (!plain).then_some(value) };
        }
    }
    Expected::Txt { value, conflict: conflict.clone() }
}
