//! Taking our mechanisms out of a record again: the way back of [`super::merge()`].
//!
//! Text in, text out: whatever is not ours stays as it is byte for byte.

use super::{
    is_spf_record,
    merge::own_rules,
    record::{Mechanism, Qualifier, TermKind, parse_term},
};
use rustc_hash::FxHashSet;

/// The record without the mechanisms `rules` (separated by spaces) where they let pass; `None` where it has none of
/// them, or is no SPF record. A mechanism with another qualifier than pass was not put there by us.
pub fn unmerge(existing: &str, rules: &str) -> Option<String> {
    if !is_spf_record(existing) {
        return None;
    }
    let rules = own_rules(rules);
    let rules: FxHashSet<&Mechanism> = rules.iter().map(|(_, mechanism)| mechanism).collect();
    let mut words = existing.split(' ');
    let mut left: Vec<&str> = words.next().into_iter().collect();
    let before = existing.split(' ').count();
    left.extend(words.filter(|word| !is_one_of(word, &rules)));
    (left.len() < before).then(|| left.join(" "))
}

fn is_one_of(word: &str, rules: &FxHashSet<&Mechanism>) -> bool {
    match parse_term(word) {
        Ok(TermKind::Directive(directive)) => {
            directive.qualifier == Qualifier::Pass && rules.contains(&directive.mechanism)
        }
        _ => false,
    }
}

/// The mechanisms of `after` that `before` does not have, word by word, separated by spaces: what a merge put in.
pub fn put_in(before: &str, after: &str) -> String {
    let known: FxHashSet<&str> = before.split(' ').collect();
    let new: Vec<&str> = after.split(' ').filter(|word| !known.contains(word)).collect();
    let new = new.join(" ");
    let own: Vec<&str> = own_rules(&new).into_iter().map(|(rule, _)| rule).collect();
    own.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spf::{Merge, contains_effective, merge};
    use proptest::prelude::*;

    #[test]
    fn ours_goes_and_everything_else_stays() {
        const OURS: &str = "include:spf.send.example.net";
        for (existing, expected) in [
            ("v=spf1 include:spf.send.example.net -all", Some("v=spf1 -all")),
            ("V=SPF1  a  +INCLUDE:SPF.send.example.net.  mx ~ALL", Some("V=SPF1  a   mx ~ALL")),
            ("v=spf1 include:spf.send.example.net", Some("v=spf1")),
            ("v=spf1 ?include:spf.send.example.net -all", None),
            ("v=spf1 a -all", None),
            ("include:spf.send.example.net", None),
        ] {
            assert_eq!(unmerge(existing, OURS).as_deref(), expected, "{existing:?}");
        }
        assert_eq!(put_in("v=spf1 a -all", "v=spf1 a include:x.test -all"), "include:x.test");
        assert_eq!(put_in("v=spf1 ?include:x.test -all", "v=spf1 include:x.test -all"), "include:x.test");
        assert_eq!(put_in("v=spf1 -all", "v=spf1 -all"), "");
    }

    proptest! {
        #[test]
        fn unmerging_is_the_way_back_of_merging(
            words in proptest::collection::vec(
                prop_oneof![
                    Just("a".to_owned()), Just("-all".to_owned()), Just("redirect=b.example".to_owned()),
                    Just("include:y.example".to_owned()), Just(String::new()), "[!-~é]{1,12}",
                ],
                0..9,
            ),
        ) {
            let rules = "include:x.example ip4:192.0.2.7";
            let existing = format!("v=spf1 {}", words.join(" "));
            if let Merge::Merged { record } = merge(&existing, rules)
                && put_in(&existing, &record) == rules
            {
                let back = unmerge(&record, rules).unwrap();
                prop_assert_eq!(back.trim_end(), existing.trim_end());
                prop_assert!(!contains_effective(&back, "include:x.example"));
            }
        }
    }
}
