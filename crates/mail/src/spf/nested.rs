//! Whether our mechanisms take effect through what a record includes.

use super::{
    merge::own_rules,
    record::{Mechanism, Qualifier, TermKind, parse_term},
    tree::{SpfNode, SpfNodeProblem},
};

impl SpfNode {
    /// Whether every rule takes effect with the result pass: in the record itself, or in one that it includes or
    /// redirects to (RFC 7208 §5.2, §6.1). Names that depend on the message are not followed.
    pub fn lets_pass(&self, rules: &str) -> bool {
        own_rules(rules).iter().all(|(_, rule)| self.result_of(rule) == Some(Qualifier::Pass))
    }

    /// The domain that a record which is included, or redirected to, gave no answer at, and what was seen; the first
    /// one in the order in which receivers come to it.
    pub fn unanswered(&self) -> Option<(&model::DomainName, &str)> {
        self.reached().into_iter().find_map(|(_, term)| {
            let node = term.leads_to.as_deref()?;
            match &node.problem {
                Some(SpfNodeProblem::Unanswered(reason)) => Some((&node.domain, reason.as_str())),
                _ => None,
            }
        })
    }

    /// What comes of a client that only this mechanism matches, `all` apart.
    fn result_of(&self, rule: &Mechanism) -> Option<Qualifier> {
        let mut redirect = None;
        for term in self.terms.iter().filter(|term| term.reached) {
            let below = || term.leads_to.as_deref().and_then(|node| node.result_of(rule));
            match parse_term(&term.text) {
                Ok(TermKind::Directive(directive)) if directive.mechanism == Mechanism::All => return None,
                Ok(TermKind::Directive(directive)) => {
                    let is_match = directive.mechanism == *rule || below() == Some(Qualifier::Pass);
                    if is_match {
                        return Some(directive.qualifier);
                    }
                }
                Ok(TermKind::Redirect(_)) => redirect = below(),
                _ => {}
            }
        }
        redirect
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Tree, tree};
    use crate::lookup::Answer;
    use model::{DomainName, RecordData, TxtData};

    fn lets_pass(zone: &[(&str, &str)]) -> bool {
        let root = DomainName::parse("acme.test").unwrap();
        let Tree { node, .. } = tree(&root, zone[0].1, &|question| {
            let found = zone.iter().find(|(name, _)| *name == question.name.as_str());
            Some(found.map_or(Answer::NxDomain, |(_, text)| {
                Answer::Records(vec![RecordData::Txt(TxtData::from_text(text))])
            }))
        });
        node.lets_pass("include:ours.test")
    }

    #[test]
    fn ours_takes_effect_through_includes_and_redirects_that_pass() {
        let one = ("one.test", "v=spf1 ip4:192.0.2.1 include:ours.test -all");
        let against = ("against.test", "v=spf1 -include:ours.test +all");
        for (record, below, expected) in [
            ("v=spf1 include:OURS.test -all", one, true),
            ("v=spf1 include:one.test ~all", one, true),
            ("v=spf1 redirect=one.test", one, true),
            ("v=spf1 ?include:one.test ~all", one, false),
            ("v=spf1 -include:ours.test include:one.test ~all", one, false),
            ("v=spf1 -all include:one.test", one, false),
            ("v=spf1 -all redirect=one.test", one, false),
            ("v=spf1 include:none.test ~all", one, false),
            ("v=spf1 include:against.test ~all", against, false),
            ("v=spf1 include:acme.test ~all", one, false),
        ] {
            assert_eq!(lets_pass(&[("acme.test", record), below]), expected, "{record}");
        }
    }
}
