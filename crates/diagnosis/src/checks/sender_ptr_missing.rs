//! A sending server without reverse DNS.

use crate::{
    finding::{Defect, Finding, Remedy},
    mail_policy::{ReverseDns, SenderHost},
};
use model::{Confidence, Severity};

/// The address of a sending server has no name, or one that does not lead back to the address.
///
/// Gmail and Yahoo refuse or mistrust mail from such servers. Whoever gave out the address has to set its PTR record
/// to the server's name, and that name needs the address.
///
/// Source: RFC 1912 §2.1.
pub fn check(sender: &SenderHost) -> Option<Finding> {
    let names = match &sender.reverse {
        ReverseDns::Missing => Vec::new(),
        ReverseDns::Unconfirmed { names } => names.clone(),
        ReverseDns::Confirmed { .. } | ReverseDns::Unknown { .. } => return None,
    };
    Some(Finding {
        defect: Defect::SenderPtrMissing { address: sender.address, names },
        severity: Severity::Warning,
        confidence: Confidence::Confirmed,
        record: None,
        remedy: Remedy::Nothing,
    })
}
