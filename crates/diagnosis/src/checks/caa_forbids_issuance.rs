//! CAA records keep our certificate authority out
//!
//! A host of the plan is served over HTTPS, and CAA records at it or above it do not name our certificate authority.
//!
//! # Why it matters
//!
//! No certificate can be had, so links over that host show a warning.
//!
//! # What to do
//!
//! 1. Add a CAA record for the certificate authority beside those that are there.
//!
//! # References
//!
//! - RFC 8659 §3
//! - RFC 8659 §4.2

use crate::{
    finding::{Defect, Finding, Remedy},
    mail_policy::HttpsHost,
};
use model::{Confidence, RecordType, Severity};

pub fn check(host: &HttpsHost, authority: &str) -> Option<Finding> {
    if host.may_issue != Some(false) {
        return None;
    }
    let at = host.caa_at.clone()?;
    let remedy = Remedy::Add {
        name: at.clone(),
        record_type: RecordType::Caa,
        value: format!("0 issue \"{authority}\""),
        preference: None,
    };
    Some(Finding {
        defect: Defect::CaaForbidsIssuance {
            host: host.host.clone(),
            at,
            records: host.caa.clone(),
            authority: authority.to_owned(),
        },
        severity: Severity::Warning,
        confidence: Confidence::Confirmed,
        record: Some(host.key.clone()),
        remedy,
    })
}
