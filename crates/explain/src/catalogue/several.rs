//! One line for the same mistake made with several records.

use super::{page, title, title::article};
use crate::shown::{self, value};
use diagnosis::{Defect, Finding, slip::Slip};

/// How many keys are named.
const MOST_KEYS: usize = 12;

/// What was seen, in one line, and what else has to be said of each record because that line does not.
pub(crate) fn title_of_several(findings: &[&Finding]) -> (String, Vec<String>) {
    let keys: Vec<&str> = findings.iter().filter_map(|finding| finding.record.as_deref()).collect();
    let listed = shown::list_of(&keys, MOST_KEYS);
    let Some(first) = findings.first() else { return (String::new(), Vec::new()) };
    let titles: Vec<String> = findings.iter().map(|finding| title(finding)).collect();
    if titles.iter().all(|title| *title == titles[0]) {
        return (format!("{listed}: {}", titles[0]), Vec::new());
    }
    if let Some(what) = what(&first.defect, findings) {
        return (format!("{listed}: {what}"), Vec::new());
    }
    let each = findings.iter().zip(&titles).filter_map(|(finding, title)| {
        let key = finding.record.as_deref()?;
        Some(format!("{}: {title}", value(key)))
    });
    (format!("{listed}: {}", page(first.code()).map_or("", |page| page.title)), each.collect())
}

/// Where the steps for several records show what differs between them.
fn what(defect: &Defect, findings: &[&Finding]) -> Option<String> {
    Some(match defect {
        Defect::RecordInDoubledZone { zone, .. } => {
            format!("the zone {} was added twice to the names of these records", value(zone.as_str()))
        }
        Defect::RecordMisplaced { slip, .. } => misplaced(*slip).to_owned(),
        Defect::CnameDetour { .. } => "these aliases reach our keys by way of other names".to_owned(),
        Defect::CnameWrongTarget { .. } => "these aliases point somewhere else".to_owned(),
        Defect::CnameTargetZoneAppended { zone, .. } => {
            format!("{} was added behind the targets of these aliases", value(zone.as_str()))
        }
        Defect::CnameTargetUrl { .. } => "these aliases point at web addresses".to_owned(),
        Defect::CnameTargetMissing { .. } => "there is nothing at the targets of these aliases".to_owned(),
        Defect::CnameProxied { .. } => {
            "these names answer with addresses in place of their aliases: a proxy is on".to_owned()
        }
        Defect::RecordWrongType { found, .. } => {
            let mut belong = Vec::new();
            for finding in findings {
                if let Defect::RecordWrongType { expected, .. } = &finding.defect
                    && !belong.contains(expected)
                {
                    belong.push(*expected);
                }
            }
            let belong: Vec<String> = belong.iter().map(ToString::to_string).collect();
            let names: Vec<&str> = findings
                .iter()
                .filter_map(|finding| match &finding.defect {
                    Defect::RecordWrongType { name, .. } => Some(name.as_str()),
                    _ => None,
                })
                .collect();
            let belong = belong.join(" and ");
            match names.split_first() {
                Some((name, others)) if others.iter().all(|other| other == name) => {
                    format!(
                        "{} has {} {found} record where {belong} records belong",
                        value(name),
                        article(*found)
                    )
                }
                _ => format!("{found} records are there where {belong} records belong"),
            }
        }
        Defect::WildcardAnswers { found, record_type, .. } => {
            let is_same = |finding: &&Finding| matches!(&finding.defect, Defect::WildcardAnswers { found: other, .. } if other == found);
            let with = if findings.iter().all(is_same) {
                format!(" with {record_type} {}", shown::list(found))
            } else {
                String::new()
            };
            format!("a wildcard answers for these names{with}; the records themselves are not there")
        }
        Defect::DkimKeyRevoked { .. } => "these DKIM records have an empty key: they are revoked".to_owned(),
        Defect::DkimTesting { .. } => "these DKIM keys are marked as a test (t=y)".to_owned(),
        Defect::DkimStrict { .. } => "these DKIM keys are for the exact domain only (t=s)".to_owned(),
        Defect::TxtQuotesPasted { .. } => "these TXT values have quotation marks inside of them".to_owned(),
        Defect::TxtWhiteSpace { .. } => "these TXT values have white space around them".to_owned(),
        _ => return None,
    })
}

fn misplaced(slip: Slip) -> &'static str {
    match slip {
        Slip::ZoneDoubled => "the zone was added twice to the names of these records",
        Slip::SubdomainDoubled => "the subdomain is in the names of these records twice",
        Slip::SubdomainDropped => "the subdomain is not in the names of these records",
        Slip::HostLeftOut => "these records are at the domain itself, and belong below it",
        Slip::OtherSubdomain => "these records are below another subdomain",
        Slip::UnderscoreLost => "the underscore is not in the names of these records",
        Slip::DomainkeyDoubled => "_domainkey is in the names of these records twice",
        Slip::DomainkeyLost => "_domainkey is not in the names of these records",
        Slip::SelectorOnly => "of the names of these records only the first part was entered",
        Slip::DotsEscaped => "the dots in the names of these records have become part of one word",
        Slip::FinalDotKept => "the final dot has become part of the names of these records",
        Slip::SpaceKept => "a space has become part of the names of these records",
        Slip::Other => "these records are at other names than they should be",
    }
}
