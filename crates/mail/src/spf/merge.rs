//! Putting our mechanisms into a record that is already there.
//!
//! Text in, text out: whatever is not ours stays as it is byte for byte, even when it is wrong.

use super::{
    is_spf_record,
    record::{Mechanism, Qualifier, TermKind, parse_term},
};
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
    let rules = split_rules(rules);
    if !is_spf_record(existing) {
        let words = std::iter::once("v=spf1").chain(rules.into_iter().map(bare)).chain(["~all"]);
        return Merge::Merged { record: words.collect::<Vec<_>>().join(" ") };
    }
    let mut record = existing.to_owned();
    let mut changed = false;
    for rule in rules {
        if !is_effective(&record, rule) {
            record = insert(&remove(&record, rule), rule);
            changed = true;
        }
    }
    if changed { Merge::Merged { record } } else { Merge::AlreadyThere }
}

/// Whether every rule is in the record before any `all`, with the qualifier pass. `redirect` does not matter: it
/// is followed after all mechanisms, wherever it stands (RFC 7208 §6.1).
pub fn contains_effective(record: &str, rules: &str) -> bool {
    is_spf_record(record) && split_rules(rules).into_iter().all(|rule| is_effective(record, rule))
}

/// The mechanisms of `rules`: a version, `all`, modifiers, repetitions and what is no mechanism are passed over, for
/// they are not for us to put into a foreign record.
fn split_rules(rules: &str) -> Vec<&str> {
    let mut out: Vec<&str> = Vec::new();
    for word in rules.split(' ').filter(|word| !word.is_empty()) {
        let foreign = is_end(word) || mechanism(word).is_none();
        if !foreign && !out.iter().any(|known| same(known, word)) {
            out.push(word);
        }
    }
    out
}

/// The terms with the place where each begins.
fn terms(record: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    record
        .split(' ')
        .map(move |word| {
            let start = at;
            at += word.len() + 1;
            (start, word)
        })
        .skip(1)
        .filter(|(_, word)| !word.is_empty())
}

fn is_all(term: &str) -> bool {
    bare(term).eq_ignore_ascii_case("all")
}

/// Where mechanisms of ours must stand before.
fn is_end(term: &str) -> bool {
    is_all(term) || term.get(..9).is_some_and(|name| name.eq_ignore_ascii_case("redirect="))
}

/// The term without its qualifier.
fn bare(term: &str) -> &str {
    term.strip_prefix(['+', '-', '~', '?']).unwrap_or(term)
}

fn mechanism(term: &str) -> Option<(Qualifier, Mechanism)> {
    match parse_term(term) {
        Ok(TermKind::Directive(directive)) => Some((directive.qualifier, directive.mechanism)),
        _ => None,
    }
}

/// Whether two terms match the same senders, whatever their qualifiers.
fn same(one: &str, other: &str) -> bool {
    match (mechanism(one), mechanism(other)) {
        (Some((_, one)), Some((_, other))) => one == other,
        _ => bare(one).eq_ignore_ascii_case(bare(other)),
    }
}

/// The first copy decides: later ones are never reached with another outcome.
fn is_effective(record: &str, rule: &str) -> bool {
    terms(record)
        .map(|(_, term)| term)
        .take_while(|term| !is_all(term))
        .find(|term| same(term, rule))
        .is_some_and(|term| !term.starts_with(['-', '~', '?']))
}

fn remove(record: &str, rule: &str) -> String {
    let mut out = String::with_capacity(record.len());
    let mut copied = 0;
    for (start, term) in terms(record) {
        if same(term, rule) {
            // The space in front goes with it.
            out.push_str(&record[copied..start - 1]);
            copied = start + term.len();
        }
    }
    out.push_str(&record[copied..]);
    out
}

fn insert(record: &str, rule: &str) -> String {
    let rule = bare(rule);
    match terms(record).find(|(_, term)| is_end(term)) {
        Some((at, _)) => format!("{}{rule} {}", &record[..at], &record[at..]),
        None if record.ends_with(' ') => format!("{record}{rule}"),
        None => format!("{record} {rule}"),
    }
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
                let foreign = |text: &str| -> Vec<String> {
                    text.split(' ').filter(|word| !word.is_empty() && !split_rules(rules).iter().any(|rule| same(word, rule)))
                        .map(str::to_owned).collect()
                };
                prop_assert_eq!(foreign(&existing), foreign(&record));
            } else {
                prop_assert!(contains_effective(&existing, rules));
            }
        }
    }
}
