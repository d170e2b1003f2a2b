//! DMARC (RFC 9989): policy records, the tree walk, alignment, evaluation.
//!
//! [`PolicyRecord::parse`] reads one record. [`discover`] walks up the tree over [`crate::lookup::Answers`] and says
//! which policy holds for an author domain; [`evaluate`] adds what SPF and DKIM found. [`report_authorisation`] says whether
//! another organization takes reports; [`with_tag`] changes one tag of a record's text. Not here: the public suffix
//! list (the walk took its place), reports (RFC 9990, RFC 9991) and what a receiver does with a failure.

mod discovery;
mod edit;
mod evaluation;
mod record;
mod reports;

pub use discovery::{
    Discovery, DmarcReading, FoundPolicy, Lookup, MAX_QUERIES, PolicyTag, discover, discover_by,
    organizational_domain, organizational_domain_by, tree_walk_names, walk_questions,
};
pub use edit::{with_tag, without_tags};
pub use evaluation::{DmarcOutcome, DmarcResult, aligned, evaluate};
pub use record::{
    AlignmentMode, IgnoredTag, Policy, PolicyRecord, PolicyRecordError, PublicSuffix, ReportUri,
    is_dmarc_record,
};
pub use reports::{ReportAuthorisation, authorisation_name, report_authorisation};
