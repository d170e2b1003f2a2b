//! One line for each finding: what was seen, with its names.

use super::{observed, policy_title, spf_terms};
use crate::{
    shown::{self, list, value},
    verdict::capital,
};
use diagnosis::{Defect, Finding, near_miss::VersionSlip, observation::Server};
use model::{DomainName, RecordType};

/// A reason in our words. What it repeats of a record is cut short in it already: cut again, its quotation mark would
/// be missing and its length would be that of the reason.
fn ours(reason: &str) -> String {
    shown::line(reason, shown::ON_LINE)
}

/// What was seen, in one line.
pub fn title(finding: &Finding) -> String {
    match &finding.defect {
        Defect::DomainNotFound { name } => format!("{} does not exist in DNS", n(name)),
        Defect::RecordMissing { name, record_type } => format!("No {record_type} record at {}", n(name)),
        Defect::RecordInDoubledZone { name, found_at, zone } => {
            format!("The record for {} is at {}: the zone {} was added twice", n(name), n(found_at), n(zone))
        }
        Defect::RecordMisplaced { name, found_at, .. } => {
            format!("The record is at {}; it belongs at {}", n(found_at), n(name))
        }
        Defect::RecordWrongType { name, expected, found, .. } => {
            format!(
                "{} has {} {found} record where {} {expected} record belongs",
                n(name),
                article(*found),
                article(*expected)
            )
        }
        Defect::CnameWrongTarget { name, expected, found } => {
            format!("{} points at {}; it should point at {}", n(name), n(found), n(expected))
        }
        Defect::CnameDetour { name, expected, found } => {
            format!("{} reaches our key by way of {} and not of {}", n(name), n(found), n(expected))
        }
        Defect::CnameTargetZoneAppended { name, found, zone, .. } => {
            format!("{} points at {}: {} was added behind the target", n(name), n(found), n(zone))
        }
        Defect::CnameProxied { name, addresses } => {
            format!(
                "{} answers with addresses ({}) in place of its alias: a proxy is on",
                n(name),
                list(addresses)
            )
        }
        Defect::CnameConflict { name, beside } => {
            format!("{} has a CNAME and, beside it, {}", n(name), list(beside))
        }
        Defect::CnameTargetMissing { name, target } => {
            format!("{} points at {}, where there is nothing", n(name), n(target))
        }
        Defect::TxtQuotesPasted { name, .. } => {
            format!("The TXT value at {} has quotation marks inside of it", n(name))
        }
        Defect::TxtWrongValue { name, found, .. } => match found.as_slice() {
            [one] => format!("The TXT record at {} reads {}", n(name), value(one)),
            several => {
                format!("None of the {} TXT records at {} has the expected value", several.len(), n(name))
            }
        },
        Defect::NameServerLame { zone, server, reason } => {
            format!(
                "{} is listed for {} and does not serve it: {}",
                s(server),
                n(zone),
                value(&shown::reason(reason))
            )
        }
        Defect::NameServerUnreachable { zone, server, reason } => {
            format!(
                "{}, a name server of {}, does not answer: {}",
                s(server),
                n(zone),
                value(&shown::reason(reason))
            )
        }
        Defect::NameServersDisagree { name, record_type, right, wrong, .. } => format!(
            "{} of {} name servers have the right {record_type} record for {}",
            right.len(),
            right.len() + wrong.len(),
            n(name)
        ),
        Defect::ResolverCacheStale { name, server, .. } => {
            format!("{} still gives an older answer for {}", capital(&s(server)), n(name))
        }
        Defect::DnsUnanswered { name, record_type, .. } => {
            format!("DNS gave no clear answer for {} ({record_type})", n(name))
        }
        Defect::InquiryCutShort { asked, out_of_time: true } => {
            format!("The time for the check ran out after {asked} questions, before everything was known")
        }
        Defect::InquiryCutShort { asked, .. } => {
            format!("Asking stopped after {asked} questions, before everything was known")
        }
        Defect::MxWrong { name, expected, found } => mx_wrong(name, expected, found),
        Defect::AddressWrong { name, expected, found } => {
            format!("{} has the address {}; it should have {}", n(name), list(found), value(expected))
        }
        Defect::RecordWrongValue { name, record_type, expected, found } => {
            format!("{} has {record_type} {}, and not {}", n(name), list(found), value(expected))
        }
        Defect::TxtConflicting { name, found, .. } => {
            format!("Beside the right TXT record, {} has {}, which should have gone", n(name), list(found))
        }
        Defect::SubdomainRecommended { suggestion } => {
            format!(
                "Mail is to be sent from the registered domain itself; a subdomain such as {} keeps its reputation apart",
                n(suggestion)
            )
        }
        other => observed::title(other).unwrap_or_else(|| mail_title(other)),
    }
}

/// The titles of DKIM, SPF and DMARC findings about one record.
fn mail_title(defect: &Defect) -> String {
    match defect {
        Defect::DkimKeyRevoked { name } => {
            format!("The DKIM record at {} has an empty key: it is revoked", n(name))
        }
        Defect::DkimKeyMismatched { name, expected_start, found_start } => format!(
            "The DKIM key at {} is another one: {} in place of ours, {}",
            n(name),
            value(found_start),
            value(expected_start)
        ),
        Defect::DkimKeyWeak { name, bits } => {
            format!("The DKIM key at {} has {bits} bits; 2048 are wanted", n(name))
        }
        Defect::DkimKeyInvalid { name, reason, .. } => {
            format!("The DKIM record at {} is discarded by receivers: {}", n(name), ours(reason))
        }
        Defect::DkimMultipleRecords { name, count } => format!("{count} DKIM records at {}", n(name)),
        Defect::DkimPartial { present, total, missing } => {
            format!("{present} of {total} DKIM records are right; not yet: {}", list(missing))
        }
        Defect::SpfMissing { name } => format!("No SPF record at {}", n(name)),
        Defect::SpfMultipleRecords { name, records, .. } => {
            format!("{} SPF records at {}", records.len(), n(name))
        }
        Defect::SpfMechanismAbsent { name, current, rules, .. } => {
            let behind = spf_terms::behind_all(current, rules);
            if behind.is_empty() {
                format!("The SPF record at {} does not hold {}", n(name), value(rules))
            } else {
                let behind = value(&behind.join(" "));
                format!(
                    "In the SPF record at {}, {behind} stands behind all, so receivers never reach it",
                    n(name)
                )
            }
        }
        Defect::SpfInvalid { name, version: Some(slip), .. } => format!(
            "The TXT record at {} was meant as SPF, and receivers do not see it: {}",
            n(name),
            version(slip, "v=spf1", "space")
        ),
        Defect::SpfInvalid { name, reason, .. } => {
            format!("The SPF record at {} does not evaluate: {}", n(name), ours(reason))
        }
        Defect::SpfIncludeBroken { name, problem, .. } => {
            format!("The SPF record at {} ends in an error: {}", n(name), ours(problem))
        }
        Defect::SpfPassesAll { name, term, .. } if term.is_empty() || is_all(term) => {
            format!("The SPF record at {} lets every server send", n(name))
        }
        Defect::SpfPassesAll { name, term, .. } => {
            format!("The SPF record at {} lets every server send, by {}", n(name), value(term))
        }
        Defect::DmarcMissing { name } => format!("No DMARC policy at {}", n(name)),
        Defect::DmarcMultipleRecords { name, records } => {
            format!("{} DMARC records at {}", records.len(), n(name))
        }
        Defect::DmarcInherited { name, from, policy } => {
            format!("{} has no DMARC record; the one at {} applies (p={})", n(name), n(from), value(policy))
        }
        Defect::DmarcInvalid { name, version: Some(slip), .. } => format!(
            "The TXT record at {} was meant as DMARC, and receivers do not see it: {}",
            n(name),
            version(slip, "v=DMARC1", "semicolon")
        ),
        Defect::DmarcInvalid { name, reason, .. } => {
            format!("The DMARC record at {} is ignored by receivers: {}", n(name), ours(reason))
        }
        other => policy_title::title(other),
    }
}

/// What is wrong with how a record begins.
fn version(slip: &VersionSlip, right: &str, separator: &str) -> String {
    match slip {
        VersionSlip::NoSeparator => format!("no {separator} stands behind {right}"),
        VersionSlip::Case => format!("it has to begin with {right}, its letters in this case"),
        VersionSlip::NotFirst => format!("{right} is not the first thing in it"),
        VersionSlip::Missing => format!("{right} is missing at its beginning"),
        VersionSlip::Other(start) => format!("it begins with {}, not with {right}", value(start)),
    }
}

/// As the types are spoken: "an MX record".
pub(super) fn article(record_type: RecordType) -> &'static str {
    let is_spoken_with_a_vowel = matches!(
        record_type,
        RecordType::A | RecordType::Aaaa | RecordType::Mx | RecordType::Ns | RecordType::SPF
    );
    if is_spoken_with_a_vowel { "an" } else { "a" }
}

fn is_all(term: &str) -> bool {
    term.trim_start_matches('+').eq_ignore_ascii_case("all")
}

/// Names in answers are ASCII with escapes, but may be 1,000 characters of them.
pub(super) fn n(name: &DomainName) -> String {
    value(&name.to_string())
}

fn s(server: &Server) -> String {
    shown::server(server)
}

/// Hosts by their names: the preferences are in the record to enter.
fn mx_wrong(name: &DomainName, expected: &str, found: &[String]) -> String {
    fn host(text: &str) -> &str {
        text.split_once(' ').map_or(text, |(_, host)| host)
    }
    let others: Vec<&str> = found.iter().filter(|one| *one != expected).map(|one| host(one)).collect();
    let expected_host = value(host(expected));
    if others.is_empty() || others.len() == found.len() {
        let found: Vec<&str> = found.iter().map(|one| host(one)).collect();
        format!("Mail for {} goes to {}; it should go to {expected_host}", n(name), list(&found))
    } else {
        format!("Mail for {} goes to {} too; it should go to {expected_host} alone", n(name), list(&others))
    }
}
