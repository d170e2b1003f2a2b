//! An address for reports that nobody can send to.

use super::Context;
use crate::finding::{Defect, Finding, Remedy};
use mail::dmarc::ReportUri;
use model::Severity;

/// An entry of `rua=` or `ruf=` is no valid URI.
///
/// No reports go there. An address is written as `mailto:reports@example.com`; several are separated by commas.
///
/// Source: RFC 9989 §4.7, RFC 3986.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let (record, parsed) = context.dmarc()?;
    if !parsed.ignored_tags.iter().any(|tag| matches!(tag.name.as_str(), "rua" | "ruf")) {
        return None;
    }
    let lists = record.split(';').filter_map(|tag| tag.split_once('='));
    let uris: Vec<String> = lists
        .filter(|(name, _)| matches!(name.trim(), "rua" | "ruf"))
        .flat_map(|(_, value)| value.split(','))
        .filter(|uri| ReportUri::parse(uri).is_none())
        .map(|uri| uri.trim().to_owned())
        .collect();
    let defect = Defect::DmarcReportUriInvalid { name: context.record.owner.clone(), record, uris };
    Some(context.finding(defect, Severity::Warning, Remedy::Nothing))
}
