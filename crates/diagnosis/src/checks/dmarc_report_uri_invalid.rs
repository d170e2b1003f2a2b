//! An address for DMARC reports is not valid
//!
//! An entry of rua= or ruf= is no valid URI, or one that does not begin with mailto:.
//!
//! # Why it matters
//!
//! No reports go there: receivers send them by mail and pass other schemes, such as https:, by.
//!
//! # What to do
//!
//! 1. Write it as mailto:reports@your-domain, several separated by commas.
//!
//! # References
//!
//! - RFC 9989 §4.7
//! - RFC 9990 §3
//! - RFC 3986 §3

use super::Context;
use crate::{
    finding::{Defect, Finding, Remedy},
    repair,
};
use mail::dmarc::ReportUri;
use model::Severity;

pub fn check(context: &Context<'_>) -> Option<Finding> {
    let (record, parsed) = context.dmarc()?;
    let is_read = !parsed.ignored_tags.iter().any(|tag| matches!(tag.name.as_str(), "rua" | "ruf"));
    if is_read && parsed.aggregate_reports.iter().chain(&parsed.failure_reports).all(is_mail) {
        return None;
    }
    let mended = repair::dmarc(context, record, parsed);
    let remedy =
        if invalid_uris(&mended).is_empty() { context.replace_text(record, mended) } else { Remedy::Nothing };
    let defect = Defect::DmarcReportUriInvalid {
        name: context.record.owner.clone(),
        record: record.to_owned(),
        uris: invalid_uris(record),
    };
    Some(context.finding(defect, Severity::Warning, remedy))
}

fn is_mail(uri: &ReportUri) -> bool {
    uri.address.is_some()
}

/// The entries of `rua=` and `ruf=` that no report goes to, as they are written.
fn invalid_uris(record: &str) -> Vec<String> {
    let lists = record.split(';').filter_map(|tag| tag.split_once('='));
    let uris = lists
        .filter(|(name, _)| matches!(name.trim(), "rua" | "ruf"))
        .flat_map(|(_, value)| value.split(','))
        .filter(|uri| !ReportUri::parse(uri).is_some_and(|uri| is_mail(&uri)));
    uris.map(|uri| uri.trim().to_owned()).collect()
}
