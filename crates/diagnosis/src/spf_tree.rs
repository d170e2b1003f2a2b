//! SPF records as receivers see them: with all that they include.
//!
//! The tree is counted by [`mail::spf::tree`] over the observation; what it still needs from DNS goes to the inquiry
//! ([`open_questions`]). A record that our mechanism has to be merged into is counted as it is and as it will be, so
//! that nobody is told to publish a record that is past the limit without being told.

use crate::{
    checks::{Context, heard_answer, only_spf_record, spf_records, texts_of},
    observation::Question,
    plan::{Expected, PlannedRecord},
    view::View,
};
pub use mail::spf::{
    MAX_LOOKUPS, MAX_VOID_LOOKUPS, SpfDrop, SpfDropReason, SpfNode, SpfNodeProblem, SpfNodeTerm,
};
use mail::{lookup::Answer, spf::Tree};
use model::{DomainName, RecordData, RecordType};
use serde::{Deserialize, Serialize};
use std::{
    cell::RefCell,
    sync::{Arc, OnceLock},
};

/// What one term of a record costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpfCost {
    /// As it is written.
    pub term: String,
    /// Look-ups of it and of all that it leads to.
    pub lookups: usize,
    /// Of them, those that come back empty.
    pub void_lookups: usize,
}

/// An SPF record of the plan with all that it includes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpfReport {
    /// The planned record.
    pub key: String,
    /// The record, its terms, and what they lead to.
    pub tree: SpfNode,
    /// How many look-ups receivers make (RFC 7208 §4.6.4).
    pub max_lookups: usize,
    /// How many of them may come back empty.
    pub max_void_lookups: usize,
    /// The look-ups once our mechanism is in the record; `None` where it is in it already.
    pub lookups_after_merge: Option<usize>,
    /// What to take out, so that the limit is kept (after the merge, where there is one to make).
    pub to_drop: Vec<SpfDrop>,
}

/// The one record to have in place of these, with our mechanisms in it; `None` when nothing has to change, and where
/// there are more of them than can be joined ([`mail::spf::join`]).
pub fn merged(records: &[String], rules: Option<&str>) -> Option<String> {
    let rules = rules.unwrap_or_default();
    match records {
        [] => None,
        [one] => Some(merge_one(one, rules)).filter(|merged| merged != one),
        several => mail::spf::join(several, rules),
    }
}

/// The record with these mechanisms in it.
pub fn merge_one(current: &str, rules: &str) -> String {
    match mail::spf::merge(current, rules) {
        mail::spf::Merge::AlreadyThere => current.to_owned(),
        mail::spf::Merge::Merged { record } => record,
    }
}

/// A record at a name with all that it leads to, as far as the observation goes.
#[derive(Debug)]
pub struct SpfTree {
    /// The record with all that it includes.
    pub node: SpfNode,
    counted: Arc<Counted>,
}

/// What came of counting a record, maybe at another name: many domains publish the same record.
#[derive(Debug)]
pub(crate) struct Counted {
    record: String,
    /// What it leads to, and what is still to be asked.
    tree: Tree,
    /// All that it depends on, with the answers that there were.
    asked: Vec<(Question, Option<Answer>)>,
    /// Whether nothing of it depends on the name that the record is at.
    is_of_any_name: bool,
    /// Mechanisms that were looked for in it, and whether they take effect.
    passes: OnceLock<(String, bool)>,
}

impl SpfTree {
    /// The record.
    pub fn record(&self) -> &str {
        &self.counted.record
    }

    /// What is still to be asked.
    pub fn open(&self) -> &[Question] {
        &self.counted.tree.open
    }

    /// Whether the answer to a question changes it.
    pub(crate) fn depends_on(&self, question: &Question) -> bool {
        self.counted.asked.iter().any(|(asked, _)| asked == question)
    }

    /// Whether these mechanisms take effect: they are in the record, or in one that it includes.
    pub(crate) fn passes(&self, rules: &str) -> bool {
        let Counted { record, tree, passes, .. } = &*self.counted;
        let in_text = || mail::spf::contains_effective(record, rules);
        let find = || tree.passes(rules).unwrap_or_else(in_text) || tree.node.lets_pass(rules);
        let (known, passes) = passes.get_or_init(|| (rules.to_owned(), find()));
        if known == rules { *passes } else { find() }
    }
}

impl Counted {
    /// Whether counting the record at a name, with what is known there, would come to the same.
    fn holds_at(&self, view: &View, name: &DomainName) -> bool {
        let leads_there = || self.asked.iter().any(|(question, _)| question.name == *name);
        (*name == self.tree.node.domain || (self.is_of_any_name && !leads_there()))
            && self.asked.iter().all(|(question, answer)| heard_answer(view, question) == *answer)
    }

    /// About how much memory it takes, in octets.
    pub(crate) fn octets(&self) -> usize {
        let of_node = |node: &SpfNode| {
            let text = node.record.as_ref().map_or(0, String::len);
            // The terms repeat the text.
            size_of::<SpfNode>() + 2 * text + node.terms.len() * size_of::<SpfNodeTerm>()
        };
        let of_answer = |(_, answer): &(Question, Option<Answer>)| match answer {
            Some(Answer::Records(records)) => {
                records.iter().map(|data| size_of::<RecordData>() + data.octets()).sum()
            }
            _ => size_of::<(Question, Answer)>(),
        };
        let nodes = self.tree.node.nodes();
        nodes.into_iter().map(of_node).sum::<usize>() + self.asked.iter().map(of_answer).sum::<usize>()
    }
}

/// The tree of a record at a name, as far as the observation goes, and what is still to be asked.
pub(crate) fn of_record(view: &View, name: &DomainName, record: &str) -> SpfTree {
    let counted =
        view.readings().counted(record, |known| known.holds_at(view, name), || count(view, name, record));
    SpfTree { node: SpfNode { domain: name.clone(), ..counted.tree.node.clone() }, counted }
}

fn count(view: &View, name: &DomainName, record: &str) -> Counted {
    let asked = RefCell::new(Vec::new());
    let lookup = |question: &Question| -> Option<Answer> {
        let answer = heard_answer(view, question);
        asked.borrow_mut().push((question.clone(), answer.clone()));
        answer
    };
    let tree = mail::spf::tree_read_by(name, record, &|text| view.readings().spf(text), &lookup);
    let asked = asked.into_inner();
    // What a record asks of its own name, or what leads back to it, is another thing at another name.
    let is_loop = |node: &SpfNode| node.problem == Some(SpfNodeProblem::Loop);
    let is_of_any_name = !asked.iter().any(|(question, _)| question.name == *name)
        && !tree.node.nodes().into_iter().any(is_loop);
    Counted { record: record.to_owned(), tree, asked, is_of_any_name, passes: OnceLock::new() }
}

/// What has to be asked to count an SPF record, and the one that it is to become.
pub fn open_questions(view: &View, planned: &PlannedRecord) -> Vec<Question> {
    let Expected::Spf { rules } = &planned.expected else { return Vec::new() };
    let Some(says) = view.fact(&planned.owner, RecordType::Txt).says() else { return Vec::new() };
    let texts = texts_of(says);
    let mut open = Vec::new();
    if let Some(record) = only_spf_record(&texts) {
        let tree = view.spf_tree(&planned.owner, record);
        open.extend_from_slice(tree.open());
        if tree.passes(rules.as_deref().unwrap_or_default()) {
            return open;
        }
    }
    if let Some(record) = merged(&spf_records(&texts), rules.as_deref()) {
        for question in view.spf_tree(&planned.owner, &record).open() {
            if !open.contains(question) {
                open.push(question.clone());
            }
        }
    }
    open
}

/// What each term of a tree's own record costs; those that cost nothing are left out.
pub fn costs(tree: &SpfNode) -> Vec<SpfCost> {
    let cost = |term: &SpfNodeTerm| SpfCost {
        term: term.text.clone(),
        lookups: term.lookups,
        void_lookups: term.void_lookups,
    };
    tree.terms.iter().filter(|term| term.lookups > 0).map(cost).collect()
}

/// What to take out of a record, so that receivers get through it; ours stays.
pub fn to_drop(tree: &SpfNode, rules: Option<&str>) -> Vec<SpfDrop> {
    let is_ours = |term: &str| {
        let record = format!("v=spf1 {term}");
        rules
            .unwrap_or_default()
            .split_ascii_whitespace()
            .any(|rule| mail::spf::contains_effective(&record, rule))
    };
    mail::spf::what_to_drop(tree, MAX_LOOKUPS, &is_ours)
}

/// The look-ups after a merge, and what would have to go then.
pub fn after_merge(
    view: &View,
    name: &DomainName,
    merged: &str,
    rules: Option<&str>,
) -> (usize, Vec<SpfDrop>) {
    let tree = view.spf_tree(name, merged);
    (tree.node.lookups, to_drop(&tree.node, rules))
}

/// What of a merged record can be published: the record itself where it keeps the limit of look-ups, else the one
/// in which everything is done that was proposed to keep it; `None` where that is not enough, or where ranges cannot
/// be written in place of a term.
pub fn publishable(
    view: &View,
    name: &DomainName,
    merged: String,
    lookups: usize,
    to_drop: &[SpfDrop],
) -> Option<String> {
    if lookups <= MAX_LOOKUPS {
        return Some(merged);
    }
    let mut words: Vec<String> = merged.split_ascii_whitespace().map(str::to_owned).collect();
    for drop in to_drop {
        let is_written_out = drop.reason == SpfDropReason::Costly;
        if drop.domain != *name || (is_written_out && drop.ranges.is_empty()) {
            return None;
        }
        // Of the same term twice, the first one stays.
        let at = words.iter().rposition(|word| *word == drop.term)?;
        if is_written_out && drop.term.starts_with(['-', '~', '?']) {
            return None;
        }
        let ranges = if is_written_out { drop.ranges.clone() } else { Vec::new() };
        words.splice(at..=at, ranges);
    }
    let slim = words.join(" ");
    (of_record(view, name, &slim).node.lookups <= MAX_LOOKUPS).then_some(slim)
}

/// The report of one planned SPF record; `None` where there is no single record.
pub fn report(context: &Context<'_>, current: &[String]) -> Option<SpfReport> {
    let (view, planned) = (context.view, context.record);
    let Expected::Spf { rules } = &planned.expected else { return None };
    let tree = context.spf_tree()?;
    let is_in_it = tree.passes(rules.as_deref().unwrap_or_default());
    let merged = if is_in_it { None } else { merged(current, rules.as_deref()) };
    let tree = tree.node.clone();
    let after = merged.map(|merged| after_merge(view, &planned.owner, &merged, rules.as_deref()));
    let (lookups_after_merge, to_drop) = match after {
        Some((lookups, drops)) => (Some(lookups), drops),
        None => (None, to_drop(&tree, rules.as_deref())),
    };
    Some(SpfReport {
        key: planned.key.clone(),
        tree,
        max_lookups: MAX_LOOKUPS,
        max_void_lookups: MAX_VOID_LOOKUPS,
        lookups_after_merge,
        to_drop,
    })
}

#[cfg(test)]
mod tests {
    use super::{merged, of_record};
    use crate::{
        observation::{Ask, Exchange, Outcome, Question, Reply, Server},
        view::View,
    };
    use model::{DomainName, Record, RecordData, RecordType, Timestamp, TxtData};
    use std::sync::Arc;

    fn name(text: &str) -> DomainName {
        DomainName::parse(text).unwrap()
    }

    /// A view of the TXT records at some names, which keeps with others what records came to.
    fn view(of: &View, texts: &[(&str, &str)]) -> View {
        let mut view = View::reading(of.readings());
        let exchanges: Vec<Arc<Exchange>> = texts
            .iter()
            .map(|(owner, text)| {
                let question = Question { name: name(owner), record_type: RecordType::Txt };
                let data = RecordData::Txt(TxtData::from_text(text));
                let answer = vec![Record { owner: name(owner), ttl: 60, data }];
                let server = Server::Resolver { address: "192.0.2.53:53".parse().unwrap() };
                let outcome = Outcome::Reply(Reply { answer, ..Reply::default() });
                Arc::new(Exchange { ask: Ask::new(question, server), at: Timestamp::UNIX_EPOCH, outcome })
            })
            .collect();
        view.add(&exchanges);
        view
    }

    /// What a record was counted as earlier, at other names and with other answers, makes no difference.
    #[test]
    fn a_record_that_was_counted_before_comes_to_what_it_would_anew() {
        let shared = View::default();
        let worlds: [&[(&str, &str)]; 4] = [
            &[],
            &[("one.test", "v=spf1 ip4:192.0.2.1 -all")],
            &[("one.test", "v=spf1 include:two.test -all"), ("two.test", "v=spf1 a:x.test -all")],
            &[("one.test", "v=spf1 include:acme.test -all")],
        ];
        let records = [
            "v=spf1 include:one.test ~all",
            "v=spf1 a include:one.test ~all",
            "v=spf1 redirect=one.test",
            "v=spf1 include:%{d}.one.test include:one.test -all",
        ];
        for round in 0..2 {
            for texts in worlds {
                for record in records {
                    for at in ["acme.test", "other.test", "one.test", "two.test"] {
                        let kept = of_record(&view(&shared, texts), &name(at), record);
                        let anew = of_record(&view(&View::default(), texts), &name(at), record);
                        assert_eq!(kept.node, anew.node, "{round} {record} at {at}");
                        assert_eq!(kept.open(), anew.open(), "{round} {record} at {at}");
                    }
                }
            }
        }
    }

    const OURS: Option<&str> = Some("include:spf.send.example.net");

    #[test]
    fn several_records_become_one_that_refuses_whom_they_refuse() {
        let records = [
            "v=spf1 include:spf.send.example.net".to_owned(),
            "v=spf1 ip4:192.0.2.1 ?ip4:203.0.113.0/24 -include:spf.real.test -all".to_owned(),
        ];
        assert_eq!(
            merged(&records, OURS).as_deref(),
            Some(
                "v=spf1 include:spf.send.example.net ip4:192.0.2.1 ?ip4:203.0.113.0/24 -include:spf.real.test -all"
            )
        );
        assert_eq!(merged(&records[..1], OURS), None);
        assert_eq!(merged(&[], OURS), None);
    }

    #[test]
    fn long_records_are_merged_alone_and_not_with_others() {
        let terms: Vec<String> = (0..500).map(|n| format!("a:host-{n:04}.test")).collect();
        let record = format!("v=spf1 {} -all", terms.join(" "));
        assert!(record.len() > 8_000);
        for count in 2..=8 {
            assert_eq!(merged(&vec![record.clone(); count], OURS), None);
        }
        let alone = merged(&[record], OURS).unwrap();
        assert!(alone.ends_with(" include:spf.send.example.net -all") && alone.len() > 8_000);
    }
}
