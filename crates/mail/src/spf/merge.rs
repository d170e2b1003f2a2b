//! Putting our mechanisms into a record that is already there.
//!
//! Text in, text out: whatever is not ours stays as it is byte for byte, even when it is wrong.

use super::{
    is_spf_record,
    record::{Directive, Mechanism, Qualifier, SpfRecord, TermKind, parse_term},
};
use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};

/// What a merge came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Merge {
    /// Every rule is there and takes effect; nothing is to be changed.
    AlreadyThere,
    /// The record to publish in place of the existing one.
    Merged {
        /// Its text.
        record: String,
    },
}

/// Puts the mechanisms `rules` (separated by spaces) into `existing`.
///
/// A rule that is missing, stands behind `all` (where it is never evaluated) or carries a qualifier other than
/// pass is put before the first `all` or `redirect`; its useless copies are removed. Merging twice changes
/// nothing. When `existing` is no SPF record, the outcome is a new record of the rules that ends in `~all`.
pub fn merge(existing: &str, rules: &str) -> Merge {
    let rules = own_rules(rules);
    if !is_spf_record(existing) {
        let words = std::iter::once("v=spf1").chain(rules.iter().map(|(rule, _)| *rule)).chain(["~all"]);
        return Merge::Merged { record: words.collect::<Vec<_>>().join(" ") };
    }
    let terms = terms(existing);
    let effective = effective(terms.iter().filter_map(|term| term.directive.as_ref()));
    let missing: Vec<&(&str, Mechanism)> =
        rules.iter().filter(|(_, mechanism)| !effective.contains(mechanism)).collect();
    if missing.is_empty() {
        return Merge::AlreadyThere;
    }
    let texts: Vec<&str> = missing.iter().map(|(rule, _)| *rule).collect();
    let misplaced: FxHashSet<&Mechanism> = missing.iter().map(|(_, mechanism)| mechanism).collect();
    Merge::Merged { record: rewrite(existing, &terms, &misplaced, &texts.join(" ")) }
}

/// Whether every rule is in the record before any `all`, with the qualifier pass. `redirect` does not matter: it
/// is followed after all mechanisms, wherever it stands (RFC 7208 §6.1).
pub fn contains_effective(record: &str, rules: &str) -> bool {
    if !is_spf_record(record) {
        return false;
    }
    let terms = terms(record);
    take_effect(terms.iter().filter_map(|term| term.directive.as_ref()), rules)
}

/// The same of a record that was read already.
pub(super) fn passes(record: &SpfRecord, rules: &str) -> bool {
    let directives = record.directives().map(|(_, directive)| directive);
    // One rule that stands in the record to the letter is what it was read as there.
    match record.directives().find(|(term, _)| term.text == rules) {
        Some((_, own)) if own.mechanism != Mechanism::All => is_effective(directives, &own.mechanism),
        _ => take_effect(directives, rules),
    }
}

/// Whether the first copy of a mechanism, before any `all`, has the qualifier pass.
fn is_effective<'a>(directives: impl Iterator<Item = &'a Directive>, mechanism: &Mechanism) -> bool {
    let mut before_all = directives.take_while(|directive| directive.mechanism != Mechanism::All);
    let first = before_all.find(|directive| directive.mechanism == *mechanism);
    first.is_some_and(|directive| directive.qualifier == Qualifier::Pass)
}

/// Whether every rule is among the directives before any `all`, its first copy with the qualifier pass.
pub(super) fn take_effect<'a>(directives: impl Iterator<Item = &'a Directive> + Clone, rules: &str) -> bool {
    /// Few are compared sooner than hashed.
    const FEW: usize = 16;
    let rules = own_rules(rules);
    if rules.len() > FEW || directives.clone().count() > FEW {
        let effective = effective(directives);
        return rules.iter().all(|(_, mechanism)| effective.contains(mechanism));
    }
    rules.iter().all(|(_, mechanism)| is_effective(directives.clone(), mechanism))
}

/// The mechanisms of `rules`, without qualifiers: a version, `all`, modifiers, repetitions and what is no mechanism are
/// passed over, for they are not for us to put into a foreign record.
pub(super) fn own_rules(rules: &str) -> Vec<(&str, Mechanism)> {
    let of_word = |word| match parse_term(word) {
        Ok(TermKind::Directive(directive)) => Some((bare(word), directive.mechanism)),
        _ => None,
    };
    let words = rules.split(' ').filter(|word| !word.is_empty());
    let mut own: Vec<(&str, Mechanism)> =
        words.filter_map(of_word).filter(|(_, mechanism)| *mechanism != Mechanism::All).collect();
    if own.len() > 1 {
        let mut known = FxHashSet::default();
        own.retain(|(_, mechanism)| known.insert(mechanism.clone()));
    }
    own
}

/// One term of a record. It is parsed once: what strangers publish may be long.
struct Placed<'a> {
    /// Where it begins.
    start: usize,
    text: &'a str,
    /// `None` for modifiers and for what cannot be read.
    directive: Option<Directive>,
}

fn terms(record: &str) -> Vec<Placed<'_>> {
    let mut at = 0;
    let place = |text| {
        let start = at;
        at += str::len(text) + 1;
        (start, text)
    };
    record
        .split(' ')
        .map(place)
        .skip(1)
        .filter(|(_, text)| !text.is_empty())
        .map(|(start, text)| {
            let directive = match parse_term(text) {
                Ok(TermKind::Directive(directive)) => Some(directive),
                _ => None,
            };
            Placed { start, text, directive }
        })
        .collect()
}

/// The mechanisms by which senders pass. The first copy decides: later ones are never reached with another outcome.
fn effective<'a>(directives: impl Iterator<Item = &'a Directive>) -> FxHashSet<&'a Mechanism> {
    let mut known = FxHashSet::default();
    directives
        .take_while(|directive| directive.mechanism != Mechanism::All)
        .filter(|directive| known.insert(&directive.mechanism) && directive.qualifier == Qualifier::Pass)
        .map(|directive| &directive.mechanism)
        .collect()
}

/// The record without the terms of `misplaced`, and with `rules` before its end.
fn rewrite(record: &str, terms: &[Placed<'_>], misplaced: &FxHashSet<&Mechanism>, rules: &str) -> String {
    let mut out = String::with_capacity(record.len() + rules.len() + 1);
    let mut copied = 0;
    let mut is_in = false;
    for term in terms {
        if !is_in && is_end(term) {
            out.push_str(&record[copied..term.start]);
            copied = term.start;
            out.push_str(rules);
            out.push(' ');
            is_in = true;
        }
        if term.directive.as_ref().is_some_and(|directive| misplaced.contains(&directive.mechanism)) {
            // The space in front goes with it.
            out.push_str(&record[copied..term.start - 1]);
            copied = term.start + term.text.len();
        }
    }
    out.push_str(&record[copied..]);
    if !is_in {
        if !out.ends_with(' ') {
            out.push(' ');
        }
        out.push_str(rules);
    }
    out
}

/// Where mechanisms of ours must stand before.
fn is_end(term: &Placed<'_>) -> bool {
    let is_all = term.directive.as_ref().is_some_and(|directive| directive.mechanism == Mechanism::All);
    is_all || term.text.get(..9).is_some_and(|name| name.eq_ignore_ascii_case("redirect="))
}

/// The term without its qualifier.
fn bare(term: &str) -> &str {
    term.strip_prefix(['+', '-', '~', '?']).unwrap_or(term)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OURS: &str = "include:spf.send.example.net";

    fn merged(existing: &str) -> Option<String> {
        match merge(existing, OURS) {
            Merge::AlreadyThere => None,
            Merge::Merged { record } => Some(record),
        }
    }

    #[test]
    fn ours_goes_before_all_and_everything_else_stays() {
        for (existing, expected) in [
            ("v=spf1 -all", "v=spf1 include:spf.send.example.net -all"),
            ("V=SPF1  a   mx ~ALL", "V=SPF1  a   mx include:spf.send.example.net ~ALL"),
            ("v=spf1 mx redirect=a.example", "v=spf1 mx include:spf.send.example.net redirect=a.example"),
            ("v=spf1 mx", "v=spf1 mx include:spf.send.example.net"),
            ("v=spf1 ", "v=spf1 include:spf.send.example.net"),
            ("v=spf1", "v=spf1 include:spf.send.example.net"),
            ("v=spf1 bro:ken all", "v=spf1 bro:ken include:spf.send.example.net all"),
            ("", "v=spf1 include:spf.send.example.net ~all"),
        ] {
            assert_eq!(merged(existing).as_deref(), Some(expected), "{existing:?}");
        }
    }

    #[test]
    fn ours_behind_all_or_with_another_qualifier_is_moved() {
        assert_eq!(
            merged("v=spf1 a -all include:spf.send.example.net mx").as_deref(),
            Some("v=spf1 a include:spf.send.example.net -all mx")
        );
        assert_eq!(
            merged("v=spf1 ?include:SPF.send.example.net. -all").as_deref(),
            Some("v=spf1 include:spf.send.example.net -all")
        );
    }

    #[test]
    fn ours_is_not_put_in_twice() {
        for existing in [
            "v=spf1 include:spf.send.example.net -all",
            "v=spf1 +INCLUDE:SPF.Send.Example.NET -all",
            "v=spf1 redirect=a.example include:spf.send.example.net",
        ] {
            assert_eq!(merged(existing), None, "{existing}");
            assert!(contains_effective(existing, OURS));
        }
        assert!(!contains_effective("v=spf1 -all include:spf.send.example.net", OURS));
        assert!(!contains_effective("include:spf.send.example.net", OURS));
        assert_eq!(merge("v=spf1 ip4:192.0.2.1/32 -all", "ip4:192.0.2.1"), Merge::AlreadyThere);
        let new = Merge::Merged { record: "v=spf1 include:a.example ~all".to_owned() };
        assert_eq!(merge("none", "-include:a.example"), new, "rules are there to pass");
        assert_eq!(
            merge("v=spf1 -all", "v=spf1 --a inlcude:a.example exp=a.example all"),
            Merge::AlreadyThere
        );
    }

    #[test]
    fn long_records_and_rules_are_merged_in_one_pass() {
        let terms: Vec<String> = (0..5_000).map(|n| format!(" ?a:h{n}.test")).collect();
        let long = terms.concat();
        let Merge::Merged { record } = merge(&format!("v=spf1{long} -all"), &long) else { panic!("merged") };
        assert_eq!(record, format!("v=spf1{} -all", long.replace('?', "")));
        assert!(contains_effective(&record, &long));
    }

    proptest! {
        #[test]
        fn merging_is_idempotent_and_keeps_foreign_terms(
            words in proptest::collection::vec(
                prop_oneof![
                    Just("a".to_owned()), Just("-all".to_owned()), Just("ALL".to_owned()), Just(String::new()),
                    Just("redirect=b.example".to_owned()), Just("include:x.example".to_owned()),
                    Just("~include:x.example.".to_owned()), Just("ip4:192.0.2.7".to_owned()), "[!-~é]{1,12}",
                ],
                0..9,
            ),
        ) {
            let rules = "include:x.example ip4:192.0.2.7";
            let existing = format!("v=spf1 {}", words.join(" "));
            if let Merge::Merged { record } = merge(&existing, rules) {
                prop_assert!(contains_effective(&record, rules), "{:?} -> {:?}", existing, record);
                prop_assert_eq!(merge(&record, rules), Merge::AlreadyThere);
                let ours = own_rules(rules);
                let is_ours = |word: &str| own_rules(word).iter().any(|(_, one)| ours.iter().any(|(_, rule)| one == rule));
                let foreign = |text: &str| -> Vec<String> {
                    text.split(' ').filter(|word| !word.is_empty() && !is_ours(word)).map(str::to_owned).collect()
                };
                prop_assert_eq!(foreign(&existing), foreign(&record));
            } else {
                prop_assert!(contains_effective(&existing, rules));
            }
        }
    }
}
