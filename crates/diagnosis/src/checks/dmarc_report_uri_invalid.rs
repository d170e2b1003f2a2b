//! An address for reports that nobody can send to.

use super::Context;
use crate::finding::{Defect, Finding, Remedy};
use mail::dmarc::ReportUri;
use model::Severity;

/// An entry of `rua=` or `ruf=` is no valid URI, or one of another scheme than `mailto:`.
///
/// No reports go there. An address is written as `mailto:reports@example.com`; several are separated by commas. Other
/// schemes may stand in a record, and receivers ignore them: sending by mail is the only way that is defined.
///
/// Source: RFC 9989 §4.7, RFC 9990 §3, RFC 3986.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let (record, parsed) = context.dmarc()?;
    let is_mail = |uri: &ReportUri| uri.address.is_some();
    let is_read = !parsed.ignored_tags.iter().any(|tag| matches!(tag.name.as_str(), "rua" | "ruf"));
    if is_read && parsed.aggregate_reports.iter().chain(&parsed.failure_reports).all(is_mail) {
        return None;
    }
    let lists = record.split(';').filter_map(|tag| tag.split_once('='));
    let uris: Vec<String> = lists
        .filter(|(name, _)| matches!(name.trim(), "rua" | "ruf"))
        .flat_map(|(_, value)| value.split(','))
        .filter(|uri| !ReportUri::parse(uri).is_some_and(|uri| is_mail(&uri)))
        .map(|uri| uri.trim().to_owned())
        .collect();
    let defect =
        Defect::DmarcReportUriInvalid { name: context.record.owner.clone(), record: record.to_owned(), uris };
    Some(context.finding(defect, Severity::Warning, Remedy::Nothing))
}
