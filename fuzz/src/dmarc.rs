//! DMARC: records, discovery with arbitrary answers, and evaluation.
//!
//! Input: a line with a record, a line with the author domain, then a line for each answer.

use super::input::{Input, evaluate, name};
use mail::dmarc::{MAX_QUERIES, PolicyRecord, aligned, discover, is_dmarc_record, tree_walk_names};

/// The target.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let record = input.text();
    match PolicyRecord::parse(&record) {
        Ok(parsed) => {
            assert!(is_dmarc_record(&record));
            let read =
                |uri: &mail::dmarc::ReportUri| uri.address.as_ref().is_none_or(|a| !a.to_string().is_empty());
            assert!(parsed.aggregate_reports.iter().chain(&parsed.failure_reports).all(read));
            let _ = aligned(
                &name("a.example"),
                &name("b.a.example"),
                parsed.spf_alignment,
                &name("a.example"),
                &name("a.example"),
            );
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    let domain = input.name().unwrap_or_else(|| name("a.b.example"));
    let names = tree_walk_names(&domain);
    assert!(names.len() <= MAX_QUERIES && names.first() == Some(&domain));
    assert!(names.iter().all(|name| domain.is_at_or_below(name)));
    let (discovery, answers) = evaluate(&mut input, |answers| discover(&domain, answers));
    // A and CNAME of the author domain beside the walk.
    assert!(answers.len() <= MAX_QUERIES + 3, "{} questions", answers.len());
    assert!(domain.is_at_or_below(&discovery.organizational_domain), "{discovery:?}");
    if let Some(found) = &discovery.found {
        assert!(domain.is_at_or_below(&found.at));
        assert_eq!(found.inherited, found.at != domain);
        assert!(discovery.requested.is_some() && discovery.applied.is_some(), "{discovery:?}");
    }
    assert_eq!(discover(&domain, &answers), Ok(discovery));
}
