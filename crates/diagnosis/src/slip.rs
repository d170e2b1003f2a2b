//! Slips of the hand: the names at which a record lands when a host field is filled in wrongly.
//!
//! Panels differ in what they want typed (the full name, the part in front of the zone) and in what they do with
//! dots and spaces. For each record that is missing, these names are asked for too, once each, so that a diagnosis
//! can say where the record went and not only that it is not there.

use crate::plan::{Expected, PlannedRecord};
use model::DomainName;
use serde::{Deserialize, Serialize};

/// What went wrong on the way to a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Slip {
    /// The full name was typed, and the panel appended the zone.
    ZoneDoubled,
    /// The sender domain's own label was typed although the panel stood there already.
    SubdomainDoubled,
    /// The sender domain's own label was left out.
    SubdomainDropped,
    /// The host field was left empty or `@`: the record stands at the zone's apex or at the sender domain.
    HostLeftOut,
    /// Another subdomain of the same zone.
    OtherSubdomain,
    /// `domainkey` or `dmarc` without the underscore.
    UnderscoreLost,
    /// The form asked for the selector alone, and `_domainkey` was typed with it.
    DomainkeyDoubled,
    /// The `_domainkey` label is not there.
    DomainkeyLost,
    /// Only the selector, at the zone's apex.
    SelectorOnly,
    /// The dots became part of one label.
    DotsEscaped,
    /// The final dot of a full name became part of its last label.
    FinalDotKept,
    /// A space at the beginning or the end became part of a label.
    SpaceKept,
    /// Not told.
    #[default]
    Other,
}

/// Subdomains that senders often use, and that records are entered under by mistake.
const OFTEN_USED: [&str; 4] = ["mail", "send", "email", "www"];

/// Where a record may have gone when it is not at its name, the likelier places first. No name twice, never the
/// right one.
pub fn slips(domain: &DomainName, owner: &DomainName, zone: &DomainName) -> Vec<(Slip, DomainName)> {
    let mut names: Vec<(Slip, DomainName)> = Vec::with_capacity(18);
    let mut push = |slip, name: Option<DomainName>| {
        // Another zone's servers would have to be asked for what is outside of this one.
        let is_new = |name: &DomainName| {
            name != owner && name.is_at_or_below(zone) && !names.iter().any(|(_, other)| other == name)
        };
        if let Some(name) = name.filter(is_new) {
            names.push((slip, name));
        }
    };
    push(Slip::ZoneDoubled, prefixed(zone, owner));
    let host = owner.relative_to(domain).filter(|host| host != "@");
    let sub = domain.relative_to(zone).filter(|sub| sub != "@");
    if let Some(sub) = &sub {
        let of = |base: Option<DomainName>| match (&host, base) {
            (Some(host), Some(base)) => base.prepend(host).ok(),
            (None, base) => base,
            _ => None,
        };
        if host.is_some() {
            push(Slip::SubdomainDropped, of(Some(zone.clone())));
        }
        push(Slip::SubdomainDoubled, of(domain.prepend(sub).ok()));
    }
    push(Slip::HostLeftOut, Some(domain.clone()));
    push(Slip::HostLeftOut, Some(zone.clone()));
    let within_zone: Vec<&str> = match owner.relative_to(zone) {
        Some(_) if owner == zone => Vec::new(),
        Some(_) => owner.labels().take(owner.label_count() - zone.label_count()).collect(),
        None => return names,
    };
    let joined = |labels: &[&str]| zone.prepend(&labels.join(".")).ok();
    let changed = |change: &dyn Fn(&str) -> Option<String>| {
        let labels: Vec<String> = within_zone.iter().filter_map(|label| change(label)).collect();
        zone.prepend(&labels.join(".")).ok()
    };
    push(Slip::UnderscoreLost, changed(&|label| Some(label.trim_start_matches('_').to_owned())));
    if within_zone.get(1) == Some(&"_domainkey") {
        push(Slip::DomainkeyLost, changed(&|label| (label != "_domainkey").then(|| label.to_owned())));
        let doubled = [&within_zone[..2], &within_zone[1..]].concat();
        push(Slip::DomainkeyDoubled, joined(&doubled));
        push(Slip::SelectorOnly, joined(&within_zone[..1]));
    }
    if let Some(host) = &host {
        for other in OFTEN_USED.iter().filter(|other| sub.as_deref() != Some(**other)) {
            push(Slip::OtherSubdomain, zone.prepend(&format!("{host}.{other}")).ok());
        }
    }
    for (slip, name) in odd_labels(owner, zone, &within_zone) {
        push(slip, name);
    }
    names
}

/// Names whose labels hold dots and spaces, as panels make them of what was typed.
fn odd_labels(
    owner: &DomainName,
    zone: &DomainName,
    within_zone: &[&str],
) -> Vec<(Slip, Option<DomainName>)> {
    let full: Vec<&str> = owner.labels().collect();
    let (Some((first, rest)), Some((last, start))) = (within_zone.split_first(), within_zone.split_last())
    else {
        return Vec::new();
    };
    let in_zone = |front: &[&str], odd: &str, behind: &[&str]| {
        let labels = front.iter().copied().chain([odd]).chain(behind.iter().copied());
        named(&labels.map(str::as_bytes).collect::<Vec<_>>(), zone)
    };
    let mut names = Vec::with_capacity(6);
    if within_zone.len() > 1 {
        names.push((Slip::DotsEscaped, in_zone(&[], &within_zone.join("."), &[])));
    }
    names.push((Slip::DotsEscaped, in_zone(&[], &full.join("."), &[])));
    names.push((Slip::FinalDotKept, in_zone(start, &format!("{last}."), &[])));
    if let Some((last, start)) = full.split_last() {
        names.push((Slip::FinalDotKept, in_zone(start, &format!("{last}."), &[])));
    }
    names.push((Slip::SpaceKept, in_zone(&[], &format!(" {first}"), rest)));
    names.push((Slip::SpaceKept, in_zone(start, &format!("{last} "), &[])));
    names
}

/// These labels in front of `zone`.
fn named(labels: &[&[u8]], zone: &DomainName) -> Option<DomainName> {
    let escaped = if zone.as_str().contains('\\') { zone.wire_labels() } else { Vec::new() };
    let mut all: Vec<&[u8]> = labels.to_vec();
    if escaped.is_empty() {
        all.extend(zone.labels().map(str::as_bytes));
    } else {
        all.extend(escaped.iter().map(Vec::as_slice));
    }
    DomainName::from_labels(all)
}

/// `name` in front of `zone`, escapes and all.
fn prefixed(zone: &DomainName, name: &DomainName) -> Option<DomainName> {
    if name.as_str().contains('\\') {
        return named(&name.wire_labels().iter().map(Vec::as_slice).collect::<Vec<_>>(), zone);
    }
    named(&name.labels().map(str::as_bytes).collect::<Vec<_>>(), zone)
}

/// Whether a right record at the other name means that this one was meant to be here: what a name further up or
/// another subdomain has of its own is no slip.
pub fn is_telling(record: &PlannedRecord, domain: &DomainName, slip: Slip) -> bool {
    let elsewhere = matches!(slip, Slip::SubdomainDropped | Slip::OtherSubdomain | Slip::HostLeftOut);
    match &record.expected {
        Expected::Spf { rules: None } => false,
        Expected::Spf { rules: Some(_) } => {
            !elsewhere || (slip != Slip::OtherSubdomain && record.owner == *domain)
        }
        // A policy further up is inherited.
        Expected::Dmarc { .. } => !elsewhere || slip == Slip::HostLeftOut,
        Expected::Mx { .. } => slip != Slip::OtherSubdomain,
        // Any key will do, so one that is elsewhere may well belong there.
        Expected::Dkim { public_key: None, .. } => !elsewhere,
        Expected::Dkim { .. }
        | Expected::Cname { .. }
        | Expected::Txt { .. }
        | Expected::Address { .. }
        | Expected::Delegation { .. }
        | Expected::Exact { .. } => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> DomainName {
        DomainName::parse(text).unwrap()
    }

    #[test]
    fn a_selector_can_land_at_all_these_names() {
        let found = slips(&name("news.acme.test"), &name("s1._domainkey.news.acme.test"), &name("acme.test"));
        let found: Vec<String> = found.iter().map(|(slip, name)| format!("{slip:?} {name}")).collect();
        let expected = [
            "ZoneDoubled s1._domainkey.news.acme.test.acme.test",
            "SubdomainDropped s1._domainkey.acme.test",
            "SubdomainDoubled s1._domainkey.news.news.acme.test",
            "HostLeftOut news.acme.test",
            "HostLeftOut acme.test",
            "UnderscoreLost s1.domainkey.news.acme.test",
            "DomainkeyLost s1.news.acme.test",
            "DomainkeyDoubled s1._domainkey._domainkey.news.acme.test",
            "SelectorOnly s1.acme.test",
            "OtherSubdomain s1._domainkey.mail.acme.test",
            "OtherSubdomain s1._domainkey.send.acme.test",
            "OtherSubdomain s1._domainkey.email.acme.test",
            "OtherSubdomain s1._domainkey.www.acme.test",
            r"DotsEscaped s1\046_domainkey\046news.acme.test",
            r"DotsEscaped s1\046_domainkey\046news\046acme\046test.acme.test",
            r"FinalDotKept s1._domainkey.news\046.acme.test",
            r"FinalDotKept s1._domainkey.news.acme.test\046.acme.test",
            r"SpaceKept \032s1._domainkey.news.acme.test",
            r"SpaceKept s1._domainkey.news\032.acme.test",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn names_at_the_apex_and_long_ones_have_fewer() {
        let apex = name("acme.test");
        let found = slips(&apex, &apex, &apex);
        assert_eq!(found, [(Slip::ZoneDoubled, name("acme.test.acme.test"))]);
        let long = name(&format!("{}.acme.test", vec!["a".repeat(60); 3].join(".")));
        assert!(slips(&long, &long, &apex).iter().all(|(_, name)| name.as_str().len() < 254));
    }
}
