//! The SPF record as receivers see it: with all its includes.
//!
//! The record is evaluated (RFC 7208) for an address that no sender has, so that every term is gone through. What
//! the evaluation needs from DNS it says itself: [`evaluate`] hands that to the inquiry, until all is known.

use crate::{
    checks::{answer_of_fact, spf_records, texts_of},
    observation::Question,
    view::{Fact, View},
};
use mail::{
    lookup::Answers,
    spf::{Mechanism, SpfOutcome, SpfRecord},
};
use model::{DomainName, RecordType};
use std::net::{IpAddr, Ipv4Addr};

/// Nobody sends from the broadcast address, so no mechanism but `all` matches it.
const NOBODY: IpAddr = IpAddr::V4(Ipv4Addr::BROADCAST);

/// More rounds than an evaluation within RFC 7208's limits can need.
const MAX_ROUNDS: usize = 64;

/// What the record at a name comes to, or the questions that are still open. `None` when the name has no single SPF
/// record to evaluate, or the evaluation does not end.
pub fn evaluate(view: &View<'_>, name: &DomainName) -> Option<Result<SpfOutcome, Vec<Question>>> {
    let Fact::Agreed(says) = view.fact(name, RecordType::Txt) else { return None };
    let records = spf_records(&texts_of(&says));
    let [record] = records.as_slice() else { return None };
    let mut answers = Answers::new();
    for _ in 0..MAX_ROUNDS {
        let needed = match mail::spf::evaluate(NOBODY, name, "postmaster", name.as_str(), &answers) {
            Ok(outcome) => return Some(Ok(outcome)),
            Err(needed) => needed.0,
        };
        let is_known = |question: &Question| !view.exchanges(&question.name, question.record_type).is_empty();
        let (known, mut open): (Vec<_>, Vec<_>) = needed.into_iter().partition(is_known);
        if !open.is_empty() {
            // The evaluation asks for one include after the other; asked for together they cost one round.
            open.extend(includes(record).into_iter().filter(|question| !is_known(question)));
            return Some(Err(open));
        }
        answers.extend(known.into_iter().map(|question| {
            let answer = answer_of_fact(view.fact(&question.name, question.record_type));
            (question, answer)
        }));
    }
    None
}

/// What the includes of a record ask for, as far as they name a domain without macros; no more than receivers would
/// look up.
fn includes(record: &str) -> Vec<Question> {
    let Ok(record) = SpfRecord::parse(record) else { return Vec::new() };
    record
        .directives()
        .filter_map(|(_, directive)| match &directive.mechanism {
            Mechanism::Include(domain) => domain.literal_name(),
            _ => None,
        })
        .take(mail::spf::MAX_LOOKUPS + 1)
        .map(|name| Question { name, record_type: RecordType::Txt })
        .collect()
}
