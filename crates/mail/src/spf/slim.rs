//! How to get a record below the limit of look-ups (RFC 7208 §4.6.4).

use super::{
    SpfNode, SpfNodeProblem, SpfNodeTerm,
    record::{Mechanism, Qualifier, TermKind, parse_term},
};
use model::DomainName;
use serde::{Deserialize, Serialize};

/// More ranges than this are not worth writing out: they change, and the record grows beyond one answer.
const MAX_RANGES: usize = 12;

/// One term that can go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpfDrop {
    /// The term as it is written.
    pub term: String,
    /// Whose record it is in: that of the domain, or the one that `redirect` leads to.
    pub domain: DomainName,
    /// The look-ups that it costs.
    pub lookups: usize,
    /// Why this one.
    pub reason: SpfDropReason,
    /// The ranges that can be written in its place; empty where they are too many or depend on the message.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ranges: Vec<String>,
}

/// Why a term is proposed. All but the last can go without anyone noticing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpfDropReason {
    /// The same term stands earlier in the record.
    Duplicate,
    /// Another include of the record includes it already.
    IncludedElsewhere,
    /// It leads to no SPF record, or to addresses that do not exist.
    LeadsNowhere,
    /// The record that it leads to names no sender.
    NamesNobody,
    /// `ptr`, which nobody should use (RFC 7208 §5.5).
    Ptr,
    /// It costs the most; whether the service still sends, the owner knows.
    Costly,
}

/// The smallest set of terms whose removal brings the look-ups down to `limit`: first those that do nothing, then
/// as few others as possible. Empty when nothing has to go. Terms for which `keep` holds stay.
pub fn what_to_drop(root: &SpfNode, limit: usize, keep: &dyn Fn(&str) -> bool) -> Vec<SpfDrop> {
    let mut excess = root.lookups.saturating_sub(limit);
    let candidates: Vec<(&SpfNode, &SpfNodeTerm)> =
        own_terms(root).into_iter().filter(|(_, term)| term.lookups > 0 && !keep(&term.text)).collect();
    let mut out = Vec::new();
    let mut costly: Vec<(&SpfNode, &SpfNodeTerm)> = Vec::new();
    let mut useless: Vec<SpfDrop> = Vec::new();
    for (index, (node, term)) in candidates.iter().enumerate() {
        let others = || {
            candidates
                .iter()
                .enumerate()
                .filter(move |(other, _)| *other != index)
                .map(|(_, (_, term))| *term)
        };
        let earlier = candidates[..index].iter().map(|(_, term)| *term);
        match useless_because(term, earlier, others()) {
            Some(reason) => useless.push(proposal(node, term, reason)),
            None => costly.push((node, term)),
        }
    }
    useless.sort_by_key(|drop| drop.reason);
    for drop in useless {
        if excess == 0 {
            return out;
        }
        excess = excess.saturating_sub(drop.lookups);
        out.push(drop);
    }
    // The costliest first makes the fewest; the last one need not be bigger than it has to be.
    costly.sort_by_key(|(_, term)| std::cmp::Reverse(term.lookups));
    while excess > 0 && !costly.is_empty() {
        let enough = costly.iter().rposition(|(_, term)| term.lookups >= excess);
        let (node, term) = costly.remove(enough.unwrap_or(0));
        excess = excess.saturating_sub(term.lookups);
        out.push(proposal(node, term, SpfDropReason::Costly));
    }
    out
}

/// The terms that the owner can take out: the record's own, and where it only hands on by `redirect`, those there.
fn own_terms(root: &SpfNode) -> Vec<(&SpfNode, &SpfNodeTerm)> {
    let mut out = Vec::new();
    let mut node = Some(root);
    while let Some(at) = node.take() {
        for term in at.terms.iter().filter(|term| term.reached) {
            match parse_term(&term.text) {
                Ok(TermKind::Redirect(_)) => node = term.leads_to.as_deref(),
                _ => out.push((at, term)),
            }
        }
    }
    out
}

fn useless_because<'a>(
    term: &SpfNodeTerm,
    mut earlier: impl Iterator<Item = &'a SpfNodeTerm>,
    mut others: impl Iterator<Item = &'a SpfNodeTerm>,
) -> Option<SpfDropReason> {
    let same = |other: &SpfNodeTerm| match (parse_term(&other.text), parse_term(&term.text)) {
        (Ok(TermKind::Directive(one)), Ok(TermKind::Directive(two))) => one.mechanism == two.mechanism,
        _ => false,
    };
    if earlier.any(same) {
        return Some(SpfDropReason::Duplicate);
    }
    let is_ptr = matches!(parse_term(&term.text), Ok(TermKind::Directive(d)) if matches!(d.mechanism, Mechanism::Ptr(_)));
    if is_ptr {
        return Some(SpfDropReason::Ptr);
    }
    let Some(node) = term.leads_to.as_deref() else {
        return (term.void_lookups > 0).then_some(SpfDropReason::LeadsNowhere);
    };
    if matches!(node.problem, Some(SpfNodeProblem::NoRecord)) {
        return Some(SpfDropReason::LeadsNowhere);
    }
    let inside = |other: &SpfNodeTerm| {
        other.leads_to.as_deref().is_some_and(|other| {
            other.domain != node.domain
                && other.nodes().iter().skip(1).any(|below| below.domain == node.domain)
        })
    };
    if others.any(inside) {
        return Some(SpfDropReason::IncludedElsewhere);
    }
    let is_done = node.complete && node.problem.is_none();
    (is_done && !names_anyone(node)).then_some(SpfDropReason::NamesNobody)
}

/// Whether anyone can pass by this record.
fn names_anyone(node: &SpfNode) -> bool {
    node.terms.iter().filter(|term| term.reached).any(|term| match parse_term(&term.text) {
        Ok(TermKind::Directive(directive)) if directive.qualifier == Qualifier::Pass => {
            term.leads_to.as_deref().is_none_or(names_anyone)
        }
        Ok(TermKind::Redirect(_)) => term.leads_to.as_deref().is_none_or(names_anyone),
        _ => false,
    })
}

fn proposal(node: &SpfNode, term: &SpfNodeTerm, reason: SpfDropReason) -> SpfDrop {
    let ranges = match reason {
        SpfDropReason::Costly => term.leads_to.as_deref().and_then(ranges).unwrap_or_default(),
        _ => Vec::new(),
    };
    SpfDrop { term: term.text.clone(), domain: node.domain.clone(), lookups: term.lookups, reason, ranges }
}

/// All ranges of a record that names its senders by nothing else.
fn ranges(node: &SpfNode) -> Option<Vec<String>> {
    if !node.complete || node.problem.is_some() {
        return None;
    }
    let mut out = Vec::new();
    for term in node.terms.iter().filter(|term| term.reached) {
        match parse_term(&term.text) {
            Ok(TermKind::Directive(directive)) => match directive.mechanism {
                Mechanism::All => {}
                _ if directive.qualifier != Qualifier::Pass => return None,
                Mechanism::Ip4 { .. } | Mechanism::Ip6 { .. } => {
                    let text = term.text.trim_start_matches('+').to_owned();
                    if !out.contains(&text) {
                        out.push(text);
                    }
                }
                Mechanism::Include(_) => out.extend(ranges(term.leads_to.as_deref()?)?),
                _ => return None,
            },
            Ok(TermKind::Redirect(_)) => out.extend(ranges(term.leads_to.as_deref()?)?),
            Ok(_) => {}
            Err(_) => return None,
        }
    }
    (out.len() <= MAX_RANGES).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lookup::Answer;
    use model::{RecordData, TxtData};

    fn drops(record: &str, zone: &[(&str, &str)]) -> Vec<(String, SpfDropReason)> {
        let name = |text: &str| DomainName::parse(text).unwrap();
        let (root, _) = super::super::tree(&name("acme.test"), record, &|question| {
            let text = zone.iter().find(|(owner, _)| name(owner) == question.name).map(|(_, text)| *text);
            Some(text.map_or(Answer::NxDomain, |text| {
                Answer::Records(vec![RecordData::Txt(TxtData::from_text(text))])
            }))
        });
        let out = what_to_drop(&root, 10, &|term| term == "include:ours.test");
        let after = root.lookups - out.iter().map(|drop| drop.lookups).sum::<usize>();
        assert!(after <= 10, "{after} are left of {}", root.lookups);
        out.into_iter().map(|drop| (drop.term, drop.reason)).collect()
    }

    const FOUR: &str = "v=spf1 include:a.test include:b.test include:c.test -all";
    const LEAF: &str = "v=spf1 ip4:192.0.2.0/24 -all";

    #[test]
    fn what_does_nothing_goes_first_and_ours_stays() {
        let zone = [
            ("four.test", FOUR),
            ("a.test", LEAF),
            ("b.test", LEAF),
            ("c.test", LEAF),
            ("five.test", "v=spf1 include:four.test -all"),
            ("empty.test", "v=spf1 -all"),
            ("ours.test", LEAF),
        ];
        assert_eq!(drops("v=spf1 include:four.test include:a.test -all", &zone), []);
        let record = "v=spf1 include:four.test include:five.test include:ours.test include:empty.test -all";
        assert_eq!(
            drops(record, &zone),
            [("include:four.test".to_owned(), SpfDropReason::IncludedElsewhere)]
        );
        let record =
            "v=spf1 include:four.test include:ours.test INCLUDE:four.test. ptr include:empty.test -all";
        assert_eq!(drops(record, &zone), [("INCLUDE:four.test.".to_owned(), SpfDropReason::Duplicate)]);
    }

    #[test]
    fn as_few_as_possible_and_none_bigger_than_needed() {
        let zone = [
            ("four.test", FOUR),
            ("a.test", LEAF),
            ("b.test", LEAF),
            ("c.test", LEAF),
            ("two.test", "v=spf1 include:a.test -all"),
            ("other.test", "v=spf1 include:x1.test include:x2.test include:x3.test include:x4.test -all"),
            ("x1.test", LEAF),
            ("x2.test", LEAF),
            ("x3.test", LEAF),
            ("x4.test", LEAF),
            ("ours.test", LEAF),
        ];
        // 4 + 5 + 2 + 1 = 12: two too many, and one term of two look-ups is enough.
        let record = "v=spf1 include:four.test include:other.test include:two.test include:ours.test -all";
        assert_eq!(drops(record, &zone), [("include:two.test".to_owned(), SpfDropReason::Costly)]);
    }
}
