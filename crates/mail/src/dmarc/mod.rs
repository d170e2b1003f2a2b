//! DMARC (RFC 9989): policy records, the tree walk, alignment, evaluation.
//!
//! [`PolicyRecord::parse`] reads one record. [`discover`] walks up the tree over [`crate::lookup::Answers`] and says
//! which policy holds for an author domain; [`evaluate`] adds what SPF and DKIM found. Not here: the public suffix
//! list (the walk took its place), reports (RFC 9990, RFC 9991) and what a receiver does with a failure.

mod discovery;
mod evaluation;
mod record;

pub use discovery::{
    Discovery, FoundPolicy, MAX_QUERIES, PolicyTag, discover, organizational_domain, tree_walk_names,
};
pub use evaluation::{DmarcOutcome, DmarcResult, aligned, evaluate};
pub use record::{
    AlignmentMode, IgnoredTag, Policy, PolicyRecord, PolicyRecordError, PublicSuffix, ReportUri,
    is_dmarc_record,
};
