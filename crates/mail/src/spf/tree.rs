//! A record with all that it includes, counted without a message (RFC 7208 §4.6.4).
//!
//! [`tree`] goes through every term that a client would reach whom no mechanism matches: that is what the limits
//! are about. It takes answers from a function and says which ones it still needs, level by level, so an inquiry
//! is as many rounds deep as the includes are nested. Not here: names with macros depend on the message; such
//! terms are counted as one look-up, marked, and not followed. What `ptr` costs beyond its own look-up depends on
//! the client too.
//!
//! Whether the look-up of `a` comes back empty depends on the connection: one by IPv4 asks for A, one by IPv6 for AAAA
//! (RFC 7208 §5.3), and each counts what it finds empty (§4.6.4). Here it is void only where both are: a host with
//! addresses of one family is no mistake of anybody's, and a record with three of them fails only senders of the other
//! family. `exists` asks for A whatever the family (§5.7), `mx` is void where there is no MX record. The addresses of
//! the exchangers are not counted.

use super::{
    Selection,
    evaluate::MAX_HOSTS,
    macros::DomainSpec,
    record::{Mechanism, Qualifier, SpfRecord, SpfSyntaxError, Term, TermKind},
    select,
};
use crate::{
    lookup::{Answer, Question},
    tag_list::clip,
};
use model::{DomainName, RecordData, RecordType, TxtData};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Records that are looked at for one tree: many times what receivers would, so that a record past the limit is
/// counted in full, and few enough that a stranger's DNS cannot keep us busy.
const MAX_NODES: usize = 40;
/// Terms of one record that are kept.
const MAX_TERMS: usize = 100;
/// Octets of one record that are kept for showing.
const MAX_TEXT: usize = 4096;
/// Answers that one tree asks for at a time.
const MAX_QUESTIONS: usize = 60;

/// One domain's record within a tree. Its numbers are those of all its terms, with what they lead to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpfNode {
    /// Whose record.
    pub domain: DomainName,
    /// The record; `None` where there is no single one, or it was not seen.
    pub record: Option<String>,
    /// Look-ups that count towards the ten of RFC 7208 §4.6.4.
    pub lookups: usize,
    /// Of them, those that come back empty whatever the family of the client's address: two are allowed.
    pub void_lookups: usize,
    /// Whether the numbers are all there is. If not, they are the least: a macro, a missing answer or our own
    /// bounds hide the rest.
    pub complete: bool,
    /// Whether every client passes.
    pub passes_all: bool,
    /// Why there is nothing more to tell.
    pub problem: Option<SpfNodeProblem>,
    /// The terms, as they are written. Clones share them.
    pub terms: Arc<Vec<SpfNodeTerm>>,
}

/// One term within a tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpfNodeTerm {
    /// As it is written.
    pub text: String,
    /// Look-ups of the term itself and of all that it leads to.
    pub lookups: usize,
    /// Of them, those that come back empty.
    pub void_lookups: usize,
    /// Whether receivers get here: nothing behind `all` is ever looked at (RFC 7208 §5.1, §6.1).
    pub reached: bool,
    /// Whether the name depends on the message, so that it is counted and not followed.
    pub has_macros: bool,
    /// An `mx` with more hosts than receivers look at: a permanent error (RFC 7208 §4.6.4).
    #[serde(default)]
    pub too_many_hosts: bool,
    /// The record that an `include` or `redirect` leads to.
    pub leads_to: Option<Box<SpfNode>>,
}

/// Why a node of a tree has no terms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "detail", rename_all = "snake_case")]
pub enum SpfNodeProblem {
    /// The domain has no SPF record: a permanent error where it is included (RFC 7208 §5.2, §6.1).
    NoRecord,
    /// It has more than one (RFC 7208 §4.5); how many.
    MultipleRecords(usize),
    /// Its record has a mistake (RFC 7208 §4.6).
    Syntax(String),
    /// It is one of the records that lead here: following it never ends.
    Loop,
    /// The DNS gave no answer; what was seen.
    Unanswered(String),
    /// It was not asked for yet, or is beyond our bounds.
    NotFollowed,
}

impl SpfNode {
    /// Every node, this one first, each before those that it leads to.
    pub fn nodes(&self) -> Vec<&Self> {
        let mut nodes = vec![self];
        let mut at = 0;
        while let Some(node) = nodes.get(at).copied() {
            nodes.extend(node.terms.iter().filter_map(|term| term.leads_to.as_deref()));
            at += 1;
        }
        nodes
    }

    /// The terms that receivers look at in the order in which they do, each with whose record it is in.
    pub fn reached(&self) -> Vec<(&DomainName, &SpfNodeTerm)> {
        let mut out = Vec::with_capacity(self.terms.len() * 2);
        self.collect(&mut out);
        out
    }

    /// Whether something holds for a term that receivers look at.
    pub fn has_reached(&self, is_it: &dyn Fn(&SpfNodeTerm) -> bool) -> bool {
        self.terms
            .iter()
            .filter(|term| term.reached)
            .any(|term| is_it(term) || term.leads_to.as_ref().is_some_and(|node| node.has_reached(is_it)))
    }

    fn collect<'a>(&'a self, out: &mut Vec<(&'a DomainName, &'a SpfNodeTerm)>) {
        let redirect = |term: &&SpfNodeTerm| is_redirect(&term.text);
        let in_order =
            self.terms.iter().filter(|term| !redirect(term)).chain(self.terms.iter().filter(redirect));
        for term in in_order.filter(|term| term.reached) {
            out.push((&self.domain, term));
            if let Some(node) = &term.leads_to {
                node.collect(out);
            }
        }
    }

    /// The first term past a number of look-ups, and whose record it is in.
    pub fn first_past(&self, limit: usize) -> Option<(&DomainName, &SpfNodeTerm)> {
        let costs = |term: &SpfNodeTerm| term.lookups > term.leads_to.as_ref().map_or(0, |node| node.lookups);
        self.reached().into_iter().filter(|(_, term)| costs(term)).nth(limit)
    }
}

fn is_redirect(text: &str) -> bool {
    text.get(..9).is_some_and(|start| start.eq_ignore_ascii_case("redirect="))
}

/// What [`tree`] makes of a record.
#[derive(Debug, Clone)]
pub struct Tree {
    /// The record with all that it includes.
    pub node: SpfNode,
    /// The questions whose answers would tell more.
    pub open: Vec<Question>,
    /// The record, where all of its terms were looked at.
    whole: Option<SpfReading>,
}

/// What came of reading a record.
pub type SpfReading = Arc<Result<SpfRecord, SpfSyntaxError>>;

impl Tree {
    /// Whether senders pass by these mechanisms, as [`super::contains_effective`] has it of the record's text; `None`
    /// where the record was not read whole.
    pub fn passes(&self, rules: &str) -> Option<bool> {
        let record = self.whole.as_ref()?.as_ref().as_ref().ok()?;
        Some(record.passes(rules))
    }
}

/// The tree of a record, and the questions whose answers would tell more. `lookup` gives an answer where there is
/// one; the record itself is given and not asked for.
pub fn tree(domain: &DomainName, record: &str, lookup: &dyn Fn(&Question) -> Option<Answer>) -> Tree {
    tree_read_by(domain, record, &|text| Arc::new(SpfRecord::parse(text)), lookup)
}

/// The same where somebody keeps what records were read as ([`SpfRecord::parse`]).
pub fn tree_read_by(
    domain: &DomainName,
    record: &str,
    read: &dyn Fn(&str) -> SpfReading,
    lookup: &dyn Fn(&Question) -> Option<Answer>,
) -> Tree {
    let mut walk = Walk { works: Vec::with_capacity(4), open: Vec::new(), read, lookup };
    walk.works.push(Work::of_record(domain.clone(), None, record, read));
    let mut index = 0;
    while index < walk.works.len() {
        walk.expand(index);
        index += 1;
    }
    let Walk { mut works, open, .. } = walk;
    let whole = works.first_mut().filter(|root| root.is_whole).and_then(|root| root.read.take());
    Tree { node: assemble(works, domain), open, whole }
}

/// One record, its terms and where each of them leads.
struct Work {
    /// Its terms are put in when all is known.
    node: SpfNode,
    terms: Vec<SpfNodeTerm>,
    /// The record that led here.
    parent: Option<usize>,
    /// `None` where it cannot be read, or is not there.
    read: Option<SpfReading>,
    /// Whether all of its terms are looked at.
    is_whole: bool,
    /// Term → work.
    children: Vec<(usize, usize)>,
}

struct Walk<'a> {
    works: Vec<Work>,
    open: Vec<Question>,
    read: &'a dyn Fn(&str) -> SpfReading,
    lookup: &'a dyn Fn(&Question) -> Option<Answer>,
}

impl Work {
    fn of_problem(domain: DomainName, parent: Option<usize>, problem: SpfNodeProblem) -> Self {
        let complete = !matches!(problem, SpfNodeProblem::Unanswered(_) | SpfNodeProblem::NotFollowed);
        let node = SpfNode {
            domain,
            record: None,
            lookups: 0,
            void_lookups: 0,
            complete,
            passes_all: false,
            problem: Some(problem),
            terms: Arc::default(),
        };
        Self { node, terms: Vec::new(), parent, read: None, is_whole: false, children: Vec::new() }
    }

    fn of_record(
        domain: DomainName,
        parent: Option<usize>,
        text: &str,
        read: &dyn Fn(&str) -> SpfReading,
    ) -> Self {
        let reading = read(text);
        match &*reading {
            Err(error) => {
                let mut work = Self::of_problem(domain, parent, SpfNodeProblem::Syntax(error.to_string()));
                work.node.record = Some(shortened(text));
                work
            }
            Ok(record) => {
                let mut work = Self::of_problem(domain, parent, SpfNodeProblem::Loop);
                work.node.problem = None;
                work.node.record = Some(shortened(text));
                work.is_whole = record.terms.len() <= MAX_TERMS;
                work.node.complete = work.is_whole;
                work.read = Some(reading);
                work
            }
        }
    }

    fn of_answer(
        domain: DomainName,
        parent: usize,
        answer: Option<Answer>,
        read: &dyn Fn(&str) -> SpfReading,
    ) -> Self {
        let parent = Some(parent);
        let records = match answer {
            None => return Self::of_problem(domain, parent, SpfNodeProblem::NotFollowed),
            Some(Answer::TempError(reason)) => {
                return Self::of_problem(domain, parent, SpfNodeProblem::Unanswered(clip(&reason)));
            }
            Some(Answer::NoData | Answer::NxDomain) => Vec::new(),
            Some(Answer::Records(records)) => records,
        };
        let texts: Vec<TxtData> = records
            .into_iter()
            .filter_map(|data| if let RecordData::Txt(text) = data { Some(text) } else { None })
            .collect();
        match select(&texts) {
            Selection::None => Self::of_problem(domain, parent, SpfNodeProblem::NoRecord),
            Selection::Multiple(texts) => {
                Self::of_problem(domain, parent, SpfNodeProblem::MultipleRecords(texts.len()))
            }
            Selection::One(text) => Self::of_record(domain, parent, &text, read),
        }
    }
}

fn shortened(text: &str) -> String {
    if text.len() <= MAX_TEXT {
        return text.to_owned();
    }
    text.get(..MAX_TEXT).map_or_else(|| text.chars().take(MAX_TEXT).collect(), str::to_owned)
}

impl Walk<'_> {
    fn expand(&mut self, index: usize) {
        let domain = self.works[index].node.domain.clone();
        let Some(reading) = self.works[index].read.clone() else { return };
        let Ok(record) = &*reading else { return };
        let parsed = record.terms.get(..MAX_TERMS).unwrap_or(&record.terms);
        let has_all = parsed.iter().any(|term| is_all(&term.kind));
        self.works[index].terms.reserve_exact(parsed.len());
        let mut passed_all = false;
        for (number, term) in parsed.iter().enumerate() {
            let is_modifier = !matches!(term.kind, TermKind::Directive(_));
            let reached = match term.kind {
                TermKind::Redirect(_) => !has_all,
                _ => is_modifier || !passed_all,
            };
            passed_all |= is_all(&term.kind);
            let mut shown = SpfNodeTerm {
                text: shortened(&term.text),
                lookups: 0,
                void_lookups: 0,
                reached,
                has_macros: false,
                too_many_hosts: false,
                leads_to: None,
            };
            if reached {
                self.count(index, number, &domain, &term.kind, &mut shown);
            }
            self.works[index].terms.push(shown);
        }
        self.works[index].node.passes_all = passes_all(parsed);
    }

    fn count(
        &mut self,
        index: usize,
        number: usize,
        domain: &DomainName,
        kind: &TermKind,
        shown: &mut SpfNodeTerm,
    ) {
        let mechanism = match kind {
            TermKind::Redirect(spec) => {
                shown.lookups = 1;
                return self.follow(index, number, spec, shown);
            }
            TermKind::Directive(directive) => &directive.mechanism,
            TermKind::Explanation(_) | TermKind::UnknownModifier { .. } => return,
        };
        if !mechanism.costs_lookup() {
            return;
        }
        shown.lookups = 1;
        let (spec, record_type) = match mechanism {
            Mechanism::Include(spec) => return self.follow(index, number, spec, shown),
            Mechanism::A { domain: spec, .. } => (spec.as_ref(), RecordType::A),
            Mechanism::Mx { domain: spec, .. } => (spec.as_ref(), RecordType::Mx),
            Mechanism::Exists(spec) => (Some(spec), RecordType::A),
            _ => return,
        };
        shown.has_macros = spec.is_some_and(DomainSpec::has_macros);
        let name = match spec {
            Some(spec) => spec.literal_name(),
            None => Some(domain.clone()),
        };
        let Some(name) = name else { return };
        let is_of_both = matches!(mechanism, Mechanism::A { .. });
        let mut answer = self.ask(&Question::new(name.clone(), record_type));
        if is_of_both && matches!(answer, Some(Answer::NoData | Answer::NxDomain)) {
            answer = self.ask(&Question::new(name, RecordType::Aaaa));
        }
        match answer {
            Some(Answer::NoData | Answer::NxDomain) => shown.void_lookups = 1,
            Some(Answer::Records(records)) => {
                shown.too_many_hosts = record_type == RecordType::Mx && records.len() > MAX_HOSTS;
            }
            Some(Answer::TempError(_)) | None => self.works[index].node.complete = false,
        }
    }

    fn follow(&mut self, index: usize, number: usize, spec: &DomainSpec, shown: &mut SpfNodeTerm) {
        shown.has_macros = spec.has_macros();
        let Some(target) = spec.literal_name() else {
            self.works[index].node.complete &= !shown.has_macros;
            return;
        };
        let child = if self.leads_through(index, &target) {
            Work::of_problem(target, Some(index), SpfNodeProblem::Loop)
        } else if self.works.len() >= MAX_NODES {
            Work::of_problem(target, Some(index), SpfNodeProblem::NotFollowed)
        } else {
            let answer = self.ask(&Question::new(target.clone(), RecordType::Txt));
            Work::of_answer(target, index, answer, self.read)
        };
        let place = self.works.len();
        self.works[index].children.push((number, place));
        self.works.push(child);
    }

    fn ask(&mut self, question: &Question) -> Option<Answer> {
        let answer = (self.lookup)(question);
        if answer.is_none() && self.open.len() < MAX_QUESTIONS && !self.open.contains(question) {
            self.open.push(question.clone());
        }
        answer
    }

    /// Whether a record is already on the way from the root to `index`.
    fn leads_through(&self, index: usize, target: &DomainName) -> bool {
        let mut at = Some(index);
        while let Some(work) = at.and_then(|index| self.works.get(index)) {
            if work.node.domain == *target {
                return true;
            }
            at = work.parent;
        }
        false
    }
}

fn is_all(kind: &TermKind) -> bool {
    matches!(kind, TermKind::Directive(directive) if directive.mechanism == Mechanism::All)
}

/// Whether the terms that are written here let every client of IPv4 pass.
fn passes_all(terms: &[Term]) -> bool {
    let mut passing = Vec::new();
    for term in terms {
        let TermKind::Directive(directive) = &term.kind else { continue };
        let passes = directive.qualifier == Qualifier::Pass;
        match directive.mechanism {
            Mechanism::All | Mechanism::Ip4 { prefix: 0, .. } => return passes,
            Mechanism::Ip4 { address, prefix } if passes => {
                let others = u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
                let first = u32::from(address) & !others;
                passing.push((first, first | others));
                if is_everyone(&mut passing) {
                    return true;
                }
            }
            _ => {}
        }
    }
    false
}

/// Whether ranges, the first and last address of each, are all addresses there are together.
fn is_everyone(ranges: &mut [(u32, u32)]) -> bool {
    let size = |(first, last): &(u32, u32)| u64::from(last - first) + 1;
    if ranges.iter().map(size).sum::<u64>() < 1 << 32 {
        return false;
    }
    ranges.sort_unstable();
    let mut next = Some(0);
    for (first, last) in ranges {
        match next {
            Some(next) if *first > next => return false,
            _ => next = next.and_then(|next: u32| last.checked_add(1).map(|behind| behind.max(next))),
        }
    }
    next.is_none()
}

/// Puts the nodes into each other, the deepest first; each leads only to later ones.
fn assemble(mut works: Vec<Work>, domain: &DomainName) -> SpfNode {
    let mut built: Vec<Option<SpfNode>> = Vec::new();
    built.resize_with(works.len(), || None);
    while let Some(mut work) = works.pop() {
        let index = works.len();
        for (number, child) in &work.children {
            if let (Some(term), Some(node)) = (work.terms.get_mut(*number), built[*child].take()) {
                term.leads_to = Some(Box::new(node));
            }
        }
        total(&mut work.node, &mut work.terms);
        work.node.terms = Arc::new(work.terms);
        built[index] = Some(work.node);
    }
    let root = built.into_iter().next().flatten();
    root.unwrap_or_else(|| Work::of_problem(domain.clone(), None, SpfNodeProblem::NoRecord).node)
}

/// Adds up the terms. Where an include lets everyone pass, nobody gets past it.
fn total(node: &mut SpfNode, terms: &mut [SpfNodeTerm]) {
    let mut ended = false;
    for term in terms {
        let is_redirect = is_redirect(&term.text);
        if ended {
            term.reached = false;
            (term.lookups, term.void_lookups) = (0, 0);
            continue;
        }
        if let Some(below) = &term.leads_to {
            term.lookups += below.lookups;
            term.void_lookups += below.void_lookups;
            node.complete &= below.complete;
            if below.passes_all {
                ended = !is_redirect;
                node.passes_all |= is_redirect || !term.text.starts_with(['-', '~', '?']);
            }
        }
        node.lookups += term.lookups;
        node.void_lookups += term.void_lookups;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> DomainName {
        DomainName::parse(text).unwrap()
    }

    /// The tree when all is answered, and in how many rounds that was.
    fn run(zone: &[(&str, &str)]) -> (SpfNode, usize) {
        let root = name("acme.test");
        let record = zone[0].1;
        let mut known = crate::lookup::Answers::new();
        for round in 0..20 {
            let Tree { node, open, .. } = tree(&root, record, &|question| known.get(question).ok().cloned());
            if open.is_empty() {
                return (node, round);
            }
            for question in open {
                let records: Vec<RecordData> = zone
                    .iter()
                    .filter(|(owner, _)| name(owner) == question.name)
                    .filter_map(|(_, text)| match (question.record_type, *text) {
                        (RecordType::Txt, text) if text.starts_with("v=") => {
                            Some(RecordData::Txt(TxtData::from_text(text)))
                        }
                        (RecordType::A, "A") => Some(RecordData::A([192, 0, 2, 1].into())),
                        (RecordType::Aaaa, "AAAA") => Some(RecordData::Aaaa("2001:db8::1".parse().unwrap())),
                        (RecordType::Mx, text) if text.starts_with("MX") => {
                            Some(RecordData::Mx { preference: 1, exchange: name(&format!("{text}.test")) })
                        }
                        _ => None,
                    })
                    .collect();
                let answer = if records.is_empty() { Answer::NxDomain } else { Answer::Records(records) };
                known.insert(question, answer);
            }
        }
        panic!("the tree does not end");
    }

    #[test]
    fn what_each_term_costs_and_in_as_many_rounds_as_it_is_deep() {
        let (root, rounds) = run(&[
            (
                "acme.test",
                "v=spf1 a mx include:one.test ip4:192.0.2.0/24 exists:gone.test include:two.test -all",
            ),
            ("acme.test", "A"),
            ("acme.test", "MX1"),
            ("one.test", "v=spf1 include:deep.test ip4:192.0.2.1 ~all"),
            ("deep.test", "v=spf1 include:%{i}._spf.deep.test a:none.test -all"),
            ("two.test", "v=spf1 exp=why.test -all a:unreached.test"),
        ]);
        let costs: Vec<usize> = root.terms.iter().map(|term| term.lookups).collect();
        assert_eq!(costs, [1, 1, 4, 0, 1, 1, 0]);
        assert_eq!((root.lookups, root.void_lookups, rounds), (8, 2, 4));
        assert!(!root.complete, "a macro hides what is behind it");
        assert_eq!(root.nodes().len(), 4);
        assert_eq!(root.first_past(2).unwrap().1.text, "include:one.test");
        assert_eq!(root.first_past(4).unwrap().0, &name("deep.test"));
        assert!(root.first_past(8).is_none());
    }

    #[test]
    fn a_host_of_one_family_is_no_empty_look_up() {
        let (root, rounds) = run(&[
            ("acme.test", "v=spf1 a a:six.test a:seven.test a:gone.test exists:six.test -all"),
            ("acme.test", "A"),
            ("six.test", "AAAA"),
            ("seven.test", "AAAA"),
        ]);
        let void: Vec<usize> = root.terms.iter().map(|term| term.void_lookups).collect();
        assert_eq!(void, [0, 0, 0, 1, 1, 0], "exists asks for A only");
        assert_eq!((root.void_lookups, root.complete, rounds), (2, true, 2));
    }

    #[test]
    fn loops_and_names_without_a_record_are_named_and_end() {
        let (root, _) = run(&[
            ("acme.test", "v=spf1 include:one.test include:none.test redirect=two.test"),
            ("one.test", "v=spf1 include:acme.test -all"),
            ("two.test", "v=spf1 -all"),
            ("two.test", "v=spf1 mx -all"),
        ]);
        let problems: Vec<_> = root
            .nodes()
            .into_iter()
            .filter_map(|node| node.problem.clone().map(|p| (node.domain.to_string(), p)))
            .collect();
        assert_eq!(
            problems,
            [
                ("none.test".to_owned(), SpfNodeProblem::NoRecord),
                ("two.test".to_owned(), SpfNodeProblem::MultipleRecords(2)),
                ("acme.test".to_owned(), SpfNodeProblem::Loop),
            ]
        );
    }

    #[test]
    fn nothing_behind_all_counts_and_everyone_passing_is_seen_through_includes() {
        let (root, _) = run(&[("acme.test", "v=spf1 -all a:x.test redirect=y.test")]);
        assert_eq!((root.lookups, root.passes_all), (0, false));
        let (root, _) = run(&[
            ("acme.test", "v=spf1 include:open.test mx -all"),
            ("open.test", "v=spf1 ip4:0.0.0.0/0 ?all"),
        ]);
        assert_eq!((root.lookups, root.passes_all), (1, true));
        let (root, _) = run(&[("acme.test", "v=spf1 redirect=open.test"), ("open.test", "v=spf1 +all")]);
        assert!(root.passes_all);
        for (ranges, everyone) in [
            ("ip4:128.0.0.0/1 ip4:0.0.0.0/1", true),
            ("ip4:0.0.0.0/2 ip4:10.0.0.0/8 ip4:64.0.0.0/2 ip4:128.0.0.0/1", true),
            ("ip4:0.0.0.0/1 ip4:0.0.0.0/1", false),
            ("ip4:0.0.0.0/1 ip4:192.0.0.0/2 ip4:128.0.0.0/3 ip4:0.0.0.0/2", false),
            ("ip4:0.0.0.0/1 -ip4:128.0.0.0/1", false),
        ] {
            let record = format!("v=spf1 {ranges} -all");
            assert_eq!(run(&[("acme.test", record.as_str())]).0.passes_all, everyone, "{ranges}");
        }
        let hosts: Vec<String> = (0..11).map(|n| format!("MX{n}")).collect();
        let mut zone = vec![("acme.test", "v=spf1 mx -all")];
        zone.extend(hosts.iter().map(|host| ("acme.test", host.as_str())));
        assert!(run(&zone).0.terms[0].too_many_hosts);
    }

    #[test]
    fn a_fan_of_includes_is_bounded() {
        let wide: Vec<String> = (0..200).map(|n| format!("include:i{n}.test")).collect();
        let record = format!("v=spf1 {} -all", wide.join(" "));
        let answer = RecordData::Txt(TxtData::from_text(&record));
        let Tree { node: root, open, .. } =
            tree(&name("acme.test"), &record, &|_| Some(Answer::Records(vec![answer.clone()])));
        assert!(open.is_empty() && !root.complete);
        assert_eq!(root.terms.len(), MAX_TERMS);
        let Tree { open, .. } = tree(&name("acme.test"), &record, &|_| None);
        assert!(open.len() < MAX_NODES);
    }

    proptest! {
        /// For a client that nothing matches, counting and evaluating come to the same, as far as evaluating gets.
        #[test]
        fn counting_agrees_with_evaluating(
            terms in proptest::collection::vec(
                prop_oneof![
                    Just("a"), Just("mx"), Just("a:gone.test"), Just("include:one.test"), Just("include:two.test"),
                    Just("ip4:192.0.2.9"), Just("exists:gone.test"), Just("include:deep.test"), Just("-all"),
                ],
                0..8,
            ),
        ) {
            let record = format!("v=spf1 {}", terms.join(" "));
            let zone = [
                ("acme.test", record.as_str()), ("acme.test", "A"), ("acme.test", "MX1"),
                ("one.test", "v=spf1 a:acme.test -all"), ("two.test", "v=spf1 ip4:192.0.2.3 redirect=one.test"),
                ("deep.test", "v=spf1 include:two.test mx:acme.test ~all"),
            ];
            let (root, _) = run(&zone);
            let txt = |text: &str| RecordData::Txt(TxtData::from_text(text));
            let mut answers = crate::lookup::Answers::new();
            let outcome = loop {
                let nobody = std::net::IpAddr::from([255, 255, 255, 255]);
                match super::super::evaluate(nobody, &name("acme.test"), "", "x.test", &answers) {
                    Ok(outcome) => break outcome,
                    Err(needed) => for question in needed.0 {
                        let records: Vec<RecordData> = zone.iter().filter(|(owner, _)| name(owner) == question.name)
                            .filter_map(|(_, text)| match (question.record_type, *text) {
                                (RecordType::Txt, text) if text.starts_with("v=") => Some(txt(text)),
                                (RecordType::A, "A") => Some(RecordData::A([192, 0, 2, 1].into())),
                                (RecordType::Mx, "MX1") => Some(RecordData::Mx { preference: 1, exchange: name("acme.test") }),
                                _ => None,
                            }).collect();
                        let answer = if records.is_empty() { Answer::NxDomain } else { Answer::Records(records) };
                        answers.insert(question, answer);
                    },
                }
            };
            prop_assert_eq!(root.lookups > super::super::MAX_LOOKUPS || root.void_lookups > super::super::MAX_VOID_LOOKUPS,
                outcome.problem.is_some(), "{} {:?}", record, outcome);
            if outcome.problem.is_none() {
                prop_assert_eq!((root.lookups, root.void_lookups), (outcome.lookups, outcome.void_lookups));
            }
        }
    }
}
