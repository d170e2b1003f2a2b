//! Not everything could be asked
//!
//! The inquiry reached its bound on questions, on time or on the size of the answers before everything was known.
//!
//! # Why it matters
//!
//! What was not asked is not known. Questions, time and octets have a bound, so that no zone and no silent server keeps
//! the checker busy.
//!
//! # What to do
//!
//! 1. Nothing for now: it is checked again. With countersign check, --timeout gives it more time.
//! 2. If it stays, look for name servers that do not answer, long chains of aliases, a very long list of name servers or very
//!    large records.
//!
//! # References
//!
//! - RFC 9520 §2

use crate::{
    finding::{Defect, Finding, Remedy},
    observation::Observation,
};
use model::{Confidence, Severity};

pub fn note(observation: &Observation) -> Finding {
    Finding {
        defect: Defect::InquiryCutShort {
            asked: observation.exchanges.len(),
            out_of_time: observation.out_of_time,
        },
        severity: Severity::Info,
        confidence: Confidence::Confirmed,
        record: None,
        remedy: Remedy::CheckAgain,
    }
}
