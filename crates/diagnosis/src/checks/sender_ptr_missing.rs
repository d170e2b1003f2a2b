//! A sending server has no reverse DNS
//!
//! The address of a sending server has no name, or a name that does not lead back to the address.
//!
//! # Why it matters
//!
//! Gmail, Yahoo and others refuse or mistrust mail from such servers.
//!
//! # What to do
//!
//! 1. Have the PTR record of the address set to the server's name.
//! 2. Give that name the address.
//!
//! # References
//!
//! - RFC 1912 §2.1

use crate::{
    finding::{Defect, Finding, Remedy},
    mail_policy::{ReverseDns, SenderHost},
};
use model::{Confidence, Severity};

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
