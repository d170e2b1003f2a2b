//! A report in a few hundred octets: one of many.

use super::json;
use crate::view;
use diagnosis::Report;
use model::{CheckStatus, Confidence, DomainName, Purpose, Severity, Timestamp, Verdict};
use serde::Serialize;

/// What a list of many domains says of each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Brief<'a> {
    /// The domain, in A-labels.
    pub domain: &'a DomainName,
    /// Whether all required records are right.
    pub verdict: Verdict,
    /// SPF as a whole; `None` where the plan has no record for it.
    pub spf_status: Option<CheckStatus>,
    /// DKIM, likewise.
    pub dkim_status: Option<CheckStatus>,
    /// DMARC, likewise.
    pub dmarc_status: Option<CheckStatus>,
    /// The return path, likewise.
    pub return_path_status: Option<CheckStatus>,
    /// The id of the DNS host; `None` when it is not known or nobody asked for the name servers.
    pub dns_host: Option<&'static str>,
    /// What was found, worst first.
    pub findings: Vec<BriefFinding<'a>>,
    /// When.
    pub checked_at: Timestamp,
}

/// A finding without its words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BriefFinding<'a> {
    /// The code; its page tells the rest.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// How sure it is.
    pub confidence: Confidence,
    /// The planned record's key; `None` for the domain as a whole.
    pub record: Option<&'a str>,
}

/// The report in short.
pub fn brief(report: &Report) -> Brief<'_> {
    let host = view::guide_host(report);
    Brief {
        domain: &report.domain,
        verdict: report.verdict,
        spf_status: json::status(report, Purpose::Spf, report.spf_status),
        dkim_status: json::status(report, Purpose::Dkim, report.dkim_status),
        dmarc_status: json::status(report, Purpose::Dmarc, report.dmarc_status),
        return_path_status: json::status(report, Purpose::ReturnPath, report.return_path_status),
        dns_host: (!host.is_generic()).then_some(host.id.as_str()),
        findings: report
            .findings
            .iter()
            .map(|finding| BriefFinding {
                code: finding.code(),
                severity: finding.severity,
                confidence: finding.confidence,
                record: finding.record.as_deref(),
            })
            .collect(),
        checked_at: report.checked_at,
    }
}
