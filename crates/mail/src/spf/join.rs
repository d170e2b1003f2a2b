//! One record in place of several (RFC 7208 §4.5), which lets nobody pass whom none of them lets pass.
//!
//! Text in, text out, like [`super::merge()`]: the terms stay as they are written, with their qualifiers, one record's
//! after the other's. What one of the records never evaluates (behind `all`) is left out, and so is a repeated
//! mechanism: its first copy decides. A term that nobody can read stays, for its owner to mend.

use super::{
    is_spf_record,
    macros::DomainSpec,
    merge::own_rules,
    record::{Mechanism, Qualifier, TermKind, parse_term},
};
use std::collections::{HashMap, HashSet};

/// More records than this at one name are an accident or an attack: their owner has to sort them out.
const MAX_RECORDS: usize = 3;
/// More terms than this make no record that anybody can publish or evaluate.
const MAX_TERMS: usize = 100;

/// The one record to publish in place of `records`, with the mechanisms `rules` (separated by spaces) in it.
///
/// A rule that one of the records lets pass stays where it is; the others come first. The record ends in the strictest
/// `all` of them. Where one ends in `redirect=` and another in `all`, or they redirect to several domains, these
/// become `include:` (the end is `~all` where there is no other). `None` where there are no SPF records, or more of
/// them or of their terms than can be joined.
pub fn join(records: &[String], rules: &str) -> Option<String> {
    let version = records.first()?.get(..6)?;
    let terms = records.iter().map(|record| words(record).take(MAX_TERMS + 1).count());
    if records.len() > MAX_RECORDS
        || !records.iter().all(|record| is_spf_record(record))
        || terms.sum::<usize>() > MAX_TERMS
    {
        return None;
    }
    let mut joined = Joined::default();
    for record in records {
        joined.take(record);
    }
    Some(joined.into_record(version, rules))
}

fn words(record: &str) -> impl Iterator<Item = &str> {
    record.split(' ').skip(1).filter(|word| !word.is_empty())
}

#[derive(Default)]
struct Joined<'a> {
    /// Every term but the ends, and the mechanism where it is one.
    terms: Vec<(String, Option<Mechanism>)>,
    /// With which qualifier each mechanism is in `terms`.
    qualifiers: HashMap<Mechanism, Qualifier>,
    /// Modifiers, and what cannot be read.
    others: HashSet<&'a str>,
    has_explanation: bool,
    /// The first `all` of each record that has one.
    ends: Vec<(Qualifier, &'a str)>,
    /// The different targets of those that redirect.
    redirects: Vec<(&'a str, DomainSpec)>,
}

impl<'a> Joined<'a> {
    fn take(&mut self, record: &'a str) {
        let mut end = None;
        let mut redirects = Vec::new();
        for word in words(record) {
            match parse_term(word) {
                // What stands behind `all` is never evaluated.
                Ok(TermKind::Directive(_)) if end.is_some() => {}
                Ok(TermKind::Directive(directive)) if directive.mechanism == Mechanism::All => {
                    end = Some((directive.qualifier, word));
                }
                Ok(TermKind::Directive(directive)) => {
                    self.push(word.to_owned(), directive.qualifier, directive.mechanism);
                }
                Ok(TermKind::Redirect(spec)) => redirects.push((word, spec)),
                // There can be only one.
                Ok(TermKind::Explanation(_)) => {
                    if !std::mem::replace(&mut self.has_explanation, true) {
                        self.terms.push((word.to_owned(), None));
                    }
                }
                Ok(TermKind::UnknownModifier { .. }) | Err(_) => {
                    if self.others.insert(word) {
                        self.terms.push((word.to_owned(), None));
                    }
                }
            }
        }
        if let Some(end) = end {
            // `redirect` is ignored then (RFC 7208 §6.1).
            self.ends.push(end);
            return;
        }
        for (word, spec) in redirects {
            if !self.redirects.iter().any(|(_, known)| *known == spec) {
                self.redirects.push((word, spec));
            }
        }
    }

    fn push(&mut self, text: String, qualifier: Qualifier, mechanism: Mechanism) {
        if !self.qualifiers.contains_key(&mechanism) {
            self.qualifiers.insert(mechanism.clone(), qualifier);
            self.terms.push((text, Some(mechanism)));
        }
    }

    /// How the record ends; redirects that cannot be its end are included.
    fn end(&mut self) -> Option<&'a str> {
        let strictest = self.ends.iter().min_by_key(|(qualifier, _)| match qualifier {
            Qualifier::Fail => 0,
            Qualifier::SoftFail => 1,
            Qualifier::Neutral => 2,
            Qualifier::Pass => 3,
        });
        let end = match (strictest, self.redirects.as_slice()) {
            (Some((_, all)), _) => *all,
            (None, []) => return None,
            (None, [(word, _)]) => return Some(word),
            (None, _) => "~all",
        };
        for (_, spec) in std::mem::take(&mut self.redirects) {
            let text = format!("include:{}", spec.as_str());
            self.push(text, Qualifier::Pass, Mechanism::Include(spec));
        }
        Some(end)
    }

    fn into_record(mut self, version: &str, rules: &str) -> String {
        let end = self.end();
        let missing: Vec<(&str, Mechanism)> = own_rules(rules)
            .into_iter()
            .filter(|(_, mechanism)| self.qualifiers.get(mechanism) != Some(&Qualifier::Pass))
            .collect();
        let misplaced: HashSet<&Mechanism> = missing.iter().map(|(_, mechanism)| mechanism).collect();
        let stays = |(text, mechanism): &'_ (String, Option<Mechanism>)| {
            let goes = mechanism.as_ref().is_some_and(|mechanism| misplaced.contains(mechanism));
            (!goes).then(|| text.clone())
        };
        let mut words = vec![version.to_owned()];
        words.extend(missing.iter().map(|(rule, _)| (*rule).to_owned()));
        words.extend(self.terms.iter().filter_map(stays));
        words.extend(end.map(str::to_owned));
        words.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "include:spf.send.example.net";

    fn joined(records: &[&str]) -> Option<String> {
        let records: Vec<String> = records.iter().map(|record| format!("v=spf1 {record}")).collect();
        join(&records, OURS).map(|record| record.replacen("v=spf1 ", "", 1))
    }

    #[test]
    fn qualifiers_stay_and_the_strictest_end_wins() {
        for (records, expected) in [
            (
                &[OURS, "ip4:192.0.2.1 ?ip4:203.0.113.0/24 -include:spf.real.test -all"][..],
                "include:spf.send.example.net ip4:192.0.2.1 ?ip4:203.0.113.0/24 -include:spf.real.test -all",
            ),
            (&["a ~all", "mx -ALL", "?all"], "include:spf.send.example.net a mx -ALL"),
            (&["a ?all", "mx"], "include:spf.send.example.net a mx ?all"),
            (&["a", "mx"], "include:spf.send.example.net a mx"),
            (&["-a:x.test ~all", "A:x.test. mx ~all"], "include:spf.send.example.net -a:x.test mx ~all"),
            (&["mx +all", "a +all ip4:192.0.2.1"], "include:spf.send.example.net mx a +all"),
            (&["a -all", "mx include:SPF.send.example.net ~all"], "a mx include:SPF.send.example.net -all"),
            (&["?include:spf.send.example.net a", "~all"], "include:spf.send.example.net a ~all"),
        ] {
            assert_eq!(joined(records).as_deref(), Some(expected), "{records:?}");
        }
    }

    #[test]
    fn redirects_become_includes_unless_there_is_one_and_no_all() {
        for (records, expected) in [
            (&["a -all", "mx redirect=x.test"][..], "include:spf.send.example.net a mx include:x.test -all"),
            (&["redirect=x.test", "a ~all"], "include:spf.send.example.net a include:x.test ~all"),
            (
                &["redirect=x.test", "redirect=y.test"],
                "include:spf.send.example.net include:x.test include:y.test ~all",
            ),
            (&["redirect=x.test", "mx redirect=X.test."], "include:spf.send.example.net mx redirect=x.test"),
            (&["redirect=x.test -all", "mx ~all"], "include:spf.send.example.net mx -all"),
            (&["redirect=x.test", "mx"], "include:spf.send.example.net mx redirect=x.test"),
        ] {
            assert_eq!(joined(records).as_deref(), Some(expected), "{records:?}");
        }
    }

    #[test]
    fn there_is_one_explanation_and_what_cannot_be_read_stays() {
        let expected = "include:spf.send.example.net exp=a.test inlcude:x mx -all";
        assert_eq!(joined(&["exp=a.test inlcude:x -all", "exp=b.test mx"]).as_deref(), Some(expected));
    }

    #[test]
    fn too_much_is_not_joined() {
        assert_eq!(joined(&["a", "a", "a", "a"]), None);
        assert!(joined(&["a", "a", "a"]).is_some());
        let terms = |count: usize| (0..count).map(|n| format!("a:h{n}.test")).collect::<Vec<_>>().join(" ");
        assert!(joined(&[&terms(60), &terms(40)]).is_some());
        assert_eq!(joined(&[&terms(60), &terms(41)]), None);
        let long = terms(8_000 / 10);
        assert_eq!(joined(&[&long, &long]), None);
        assert_eq!(joined(&[long.as_str(); 8]), None);
        assert_eq!(join(&[], OURS), None);
        assert_eq!(join(&["v=spf2 a".to_owned(), "v=spf1 a".to_owned()], OURS), None);
    }
}
