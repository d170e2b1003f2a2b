//! SPF (RFC 7208): records, merging our mechanisms into a record that is already there, and `check_host()`.
//!
//! TXT records → [`select`] → [`SpfRecord::parse`] → [`evaluate`]. [`merge()`] and [`contains_effective`] work on
//! the text, so that what a domain owner wrote stays as it is byte for byte; [`join()`] makes one record of several. [`tree`] counts what a record costs with
//! all that it includes, and [`what_to_drop`] says how to get below the limit. [`explanation()`] adds what `exp=` says
//! to those who are refused. Not here: the SPF record type (99), which is ignored (RFC 7208 §3.1).

mod evaluate;
mod explanation;
mod join;
mod macros;
mod merge;
mod nested;
mod record;
mod slim;
mod tree;
mod unmerge;

pub use evaluate::{MAX_LOOKUPS, MAX_VOID_LOOKUPS, SpfOutcome, SpfProblem, SpfResult, evaluate};
pub use explanation::explanation;
pub use join::join;
pub use macros::DomainSpec;
pub use merge::{Merge, contains_effective, merge};
pub use record::{Directive, Mechanism, Qualifier, SpfRecord, SpfSyntaxError, Term, TermKind};
pub use slim::{SpfDrop, SpfDropReason, what_to_drop};
pub use tree::{SpfNode, SpfNodeProblem, SpfNodeTerm, SpfReading, Tree, tree, tree_read_by};
pub use unmerge::{put_in, unmerge};

use model::TxtData;
use serde::{Deserialize, Serialize};

/// Whether a text is an SPF record: `v=spf1` in any case, then a space or the end (RFC 7208 §4.5).
pub fn is_spf_record(text: &str) -> bool {
    let Some(version) = text.get(..6) else { return false };
    version.eq_ignore_ascii_case("v=spf1") && matches!(text.as_bytes().get(6), None | Some(b' '))
}

/// The SPF records among the TXT records of a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// There is none.
    None,
    /// There is exactly one; its text.
    One(String),
    /// There are several, which is a permanent error (RFC 7208 §4.5); their texts.
    Multiple(Vec<String>),
}

/// Selects the SPF record among the TXT records of a name (RFC 7208 §4.5).
pub fn select(records: &[TxtData]) -> Selection {
    let mut found: Vec<String> =
        records.iter().map(TxtData::joined).filter(|text| is_spf_record(text)).collect();
    match found.len() {
        0 => Selection::None,
        1 => Selection::One(found.remove(0)),
        _ => Selection::Multiple(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_a_whole_word_in_any_case() {
        for (text, expected) in [
            ("v=spf1", true),
            ("V=SPF1 -all", true),
            ("v=spf10 -all", false),
            ("v=spf1\t-all", false),
            (" v=spf1 -all", false),
            ("v=spf\u{e9}", false),
        ] {
            assert_eq!(is_spf_record(text), expected, "{text:?}");
        }
    }

    #[test]
    fn strings_are_joined_and_other_records_passed_by() {
        let split = TxtData::from_strings(&["v=spf1 ip4:192.0.2", ".1 -all"]);
        let other = TxtData::from_text("site-verification=1");
        assert_eq!(
            select(&[other.clone(), split.clone()]),
            Selection::One("v=spf1 ip4:192.0.2.1 -all".into())
        );
        assert_eq!(select(&[other]), Selection::None);
        assert!(matches!(select(&[split.clone(), split]), Selection::Multiple(texts) if texts.len() == 2));
    }
}
