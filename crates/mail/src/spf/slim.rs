//! How to get a record below the limit of look-ups (RFC 7208 §4.6.4).

use super::{
    SpfNode, SpfNodeProblem, SpfNodeTerm,
    macros::DomainSpec,
    record::{Directive, Mechanism, Qualifier, TermKind, parse_term},
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

/// Why a term is proposed. All but the last two can go without any sender of the domain noticing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpfDropReason {
    /// The same term stands earlier: that one decides.
    Duplicate,
    /// Another include of the record includes it already, and all whom it names pass there.
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
    if excess == 0 {
        return Vec::new();
    }
    let own = own_terms(root);
    let mut out = Vec::new();
    let mut costly: Vec<(&SpfNode, &SpfNodeTerm)> = Vec::new();
    let mut useless: Vec<SpfDrop> = Vec::new();
    for (index, Own { node, term, .. }) in own.iter().enumerate() {
        if term.lookups == 0 || keep(&term.text) {
            continue;
        }
        match useless_because(index, &own) {
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

/// A term that the owner can take out.
struct Own<'a> {
    node: &'a SpfNode,
    term: &'a SpfNodeTerm,
    /// `None` for modifiers, which match nobody. A missing domain is filled in.
    directive: Option<Directive>,
}

impl Own<'_> {
    fn passes(&self) -> bool {
        self.directive.as_ref().is_some_and(|directive| directive.qualifier == Qualifier::Pass)
    }

    /// Whether both match the same senders. A name with macros may expand differently in another record.
    fn is_same(&self, other: &Self) -> bool {
        let (Some(one), Some(two)) = (&self.directive, &other.directive) else { return false };
        let same_record = self.node.domain == other.node.domain;
        one.mechanism == two.mechanism && (same_record || !self.term.has_macros && !is_ptr(&one.mechanism))
    }
}

fn is_ptr(mechanism: &Mechanism) -> bool {
    matches!(mechanism, Mechanism::Ptr(_))
}

/// The terms that the owner can take out: the record's own, and where it only hands on by `redirect`, those there.
/// They are in the order in which receivers look at them.
fn own_terms(root: &SpfNode) -> Vec<Own<'_>> {
    let mut out = Vec::new();
    let mut next = Some(root);
    while let Some(node) = next.take() {
        for term in node.terms.iter().filter(|term| term.reached) {
            match parse_term(&term.text) {
                Ok(TermKind::Redirect(_)) => next = term.leads_to.as_deref(),
                Ok(TermKind::Directive(directive)) => {
                    let directive = Some(with_domain(directive, &node.domain));
                    out.push(Own { node, term, directive });
                }
                _ => out.push(Own { node, term, directive: None }),
            }
        }
    }
    out
}

/// The directive with the domain of its record where it names none.
fn with_domain(mut directive: Directive, here: &DomainName) -> Directive {
    if let Mechanism::A { domain, .. } | Mechanism::Mx { domain, .. } | Mechanism::Ptr(domain) =
        &mut directive.mechanism
        && domain.is_none()
    {
        *domain = DomainSpec::parse(here.as_str()).ok();
    }
    directive
}

fn useless_because(index: usize, own: &[Own<'_>]) -> Option<SpfDropReason> {
    let this = &own[index];
    if own[..index].iter().any(|earlier| earlier.is_same(this)) {
        return Some(SpfDropReason::Duplicate);
    }
    if this.directive.as_ref().is_some_and(|directive| is_ptr(&directive.mechanism)) {
        return Some(SpfDropReason::Ptr);
    }
    let Some(node) = this.term.leads_to.as_deref() else {
        return (this.term.void_lookups > 0).then_some(SpfDropReason::LeadsNowhere);
    };
    if matches!(node.problem, Some(SpfNodeProblem::NoRecord)) {
        return Some(SpfDropReason::LeadsNowhere);
    }
    if this.passes() && passes_elsewhere(node, index, own) {
        return Some(SpfDropReason::IncludedElsewhere);
    }
    let is_done = node.complete && node.problem.is_none();
    (is_done && !names_anyone(node)).then_some(SpfDropReason::NamesNobody)
}

/// Whether all who pass by the record of the term at `index` pass by another term too, with nothing that could refuse
/// them in between.
fn passes_elsewhere(node: &SpfNode, index: usize, own: &[Own<'_>]) -> bool {
    let inside = |other: &Own<'_>| {
        let below = other.term.leads_to.as_deref().filter(|below| below.domain != node.domain);
        other.passes()
            && below.is_some_and(|below| {
                let has_loop = below.nodes().iter().any(|n| n.problem == Some(SpfNodeProblem::Loop));
                !has_loop && lets_pass(below, &node.domain)
            })
    };
    if own[..index].iter().any(inside) {
        return true;
    }
    let rest = own.get(index + 1..).unwrap_or_default();
    let harmless =
        rest.iter().take_while(|other| other.directive.is_none() || other.passes() && is_sound(other.term));
    harmless.into_iter().any(inside)
}

/// Whether a term leads to no error that would end the evaluation.
fn is_sound(term: &SpfNodeTerm) -> bool {
    term.leads_to.as_deref().is_none_or(|node| node.nodes().iter().all(|node| node.problem.is_none()))
}

/// Whether all who pass by the record of `domain` pass by this one: it includes that record, and whatever is looked at
/// before lets pass or does not match.
fn lets_pass(node: &SpfNode, domain: &DomainName) -> bool {
    if node.problem.is_some() {
        return false;
    }
    if node.domain == *domain {
        return true;
    }
    for term in node.terms.iter().filter(|term| term.reached) {
        match parse_term(&term.text) {
            Ok(TermKind::Directive(directive)) if directive.qualifier == Qualifier::Pass => {
                if term.leads_to.as_deref().is_some_and(|below| lets_pass(below, domain)) {
                    return true;
                }
                if !is_sound(term) {
                    return false;
                }
            }
            Ok(TermKind::Directive(_)) | Err(_) => return false,
            Ok(_) => {}
        }
    }
    // Where it stands does not matter: it is followed last (RFC 7208 §6.1).
    let redirect = |term: &&SpfNodeTerm| matches!(parse_term(&term.text), Ok(TermKind::Redirect(_)));
    let target = node.terms.iter().filter(|term| term.reached).find(redirect);
    target.and_then(|term| term.leads_to.as_deref()).is_some_and(|below| lets_pass(below, domain))
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
        let super::super::Tree { node: root, .. } =
            super::super::tree(&name("acme.test"), record, &|question| {
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

    /// What goes because it is there twice, from a record that `fill.test` and `more.test` put past the limit.
    fn repeated(record: &str, zone: &[(&str, &str)]) -> Vec<(String, SpfDropReason)> {
        let mut zone = zone.to_vec();
        zone.extend([
            ("fill.test", "v=spf1 a:1.test a:2.test a:3.test a:4.test a:5.test -all"),
            ("more.test", "v=spf1 a:6.test a:7.test a:8.test -all"),
            ("b.test", LEAF),
        ]);
        let drops = drops(record, &zone);
        let clear = [SpfDropReason::Duplicate, SpfDropReason::IncludedElsewhere];
        drops.into_iter().filter(|(_, reason)| clear.contains(reason)).collect()
    }

    #[test]
    fn the_same_words_in_another_record_are_not_the_same_term() {
        let zone = [("next.test", "v=spf1 a:acme.test a mx:%{d} include:more.test -all")];
        let record = "v=spf1 a mx:%{d} include:fill.test redirect=next.test";
        let expected = [("a:acme.test".to_owned(), SpfDropReason::Duplicate)];
        assert_eq!(repeated(record, &zone), expected);
        assert_eq!(
            repeated("v=spf1 a:next.test include:fill.test redirect=next.test", &zone),
            [("a".to_owned(), SpfDropReason::Duplicate)]
        );
    }

    #[test]
    fn only_what_surely_passes_elsewhere_is_included_elsewhere() {
        let with = |other: &str, record: &str| {
            let zone = [("other.test", other), ("between.test", "v=spf1 redirect=b.test")];
            repeated(&format!("v=spf1 {record} include:fill.test include:more.test -all"), &zone)
        };
        let goes = [("include:b.test".to_owned(), SpfDropReason::IncludedElsewhere)];
        let both = "include:b.test include:other.test";
        assert_eq!(with("v=spf1 ip4:192.0.2.1 include:b.test -all", both), goes);
        assert_eq!(with("v=spf1 include:between.test ~all", both), goes);
        for other in [
            "v=spf1 -include:b.test ~all",
            "v=spf1 ?ip4:192.0.2.1 include:b.test ~all",
            "v=spf1 -all include:b.test",
            "v=spf1 include:gone.test include:b.test ~all",
        ] {
            assert_eq!(with(other, both), [], "{other}");
        }
        let other = "v=spf1 include:b.test -all";
        assert_eq!(with(other, "include:b.test -ip4:192.0.2.1 include:other.test"), []);
        assert_eq!(with(other, "include:other.test -ip4:192.0.2.1 include:b.test"), goes);
        assert_eq!(with(other, "include:b.test ?include:other.test"), []);
        assert_eq!(with(other, "-include:b.test include:other.test"), []);
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
