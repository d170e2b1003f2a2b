//! Finding the policy and the organizational domain by the DNS tree walk (RFC 9989 §4.10).

use super::record::{Policy, PolicyRecord, PolicyRecordError, PublicSuffix, is_dmarc_record};
use crate::lookup::{Answer, Answers, Needed, Question};
use model::{DomainName, RecordData, RecordType};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Queries of one walk (RFC 9989 §4.10).
pub const MAX_QUERIES: usize = 8;

/// The tag that a policy came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PolicyTag {
    /// `p=`
    P,
    /// `sp=`
    Sp,
    /// `np=`
    Np,
}

/// A policy record and where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundPolicy {
    /// The record.
    pub record: PolicyRecord,
    /// The domain it speaks for; the record is at `_dmarc.` in front of it.
    pub at: DomainName,
    /// Whether it is that of a domain above the author domain.
    pub inherited: bool,
}

/// What the walk from an author domain found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discovery {
    /// Where the walk began.
    pub author_domain: DomainName,
    /// The record that holds, if any.
    pub found: Option<FoundPolicy>,
    /// The organizational domain; the author domain when no record says otherwise.
    pub organizational_domain: DomainName,
    /// What the record asks for mail of this author domain, and by which tag.
    pub requested: Option<(Policy, PolicyTag)>,
    /// What is to be applied: one level lower than requested under `t=y`.
    pub applied: Option<Policy>,
    /// Whether the author domain exists; known when `np=` made it matter.
    pub author_domain_exists: Option<bool>,
    /// Domains with several DMARC records, all of which are discarded.
    pub multiple_records_at: Vec<DomainName>,
    /// Records of the walk that receivers cannot act on.
    pub invalid_records: Vec<(DomainName, PolicyRecordError)>,
    /// The walk ended early because the DNS did not answer: the question and what was seen. `found` is certain
    /// then when it is the author domain's own; the organizational domain is not.
    pub temp_error: Option<(Question, String)>,
}

/// The domains whose `_dmarc` names a walk asks for, in order: the domain itself, then all above it, jumping to
/// seven labels when there are eight or more.
pub fn tree_walk_names(domain: &DomainName) -> Vec<DomainName> {
    let above = domain.ancestors().skip(1).filter(|name| name.label_count() < MAX_QUERIES);
    std::iter::once(domain.clone()).chain(above).collect()
}

struct Entry {
    at: DomainName,
    record: DmarcReading,
}

#[derive(Default)]
struct Walk {
    /// Longest name first.
    entries: Vec<Entry>,
    multiple: Vec<DomainName>,
    temp_error: Option<(Question, String)>,
}

/// What came of reading a record.
pub type DmarcReading = Arc<Result<PolicyRecord, PolicyRecordError>>;

/// Reads a record as [`PolicyRecord::parse`] does.
type Read<'a> = &'a dyn Fn(&str) -> DmarcReading;

fn parse(text: &str) -> DmarcReading {
    Arc::new(PolicyRecord::parse(text))
}

/// Gives the answer to a question where there is one.
pub type Lookup<'a> = &'a dyn Fn(&Question) -> Option<Answer>;

/// Where a domain's record is asked for. A name too long for `_dmarc.` cannot hold one.
fn question_at(at: &DomainName) -> Option<Question> {
    at.prepend("_dmarc").ok().map(|name| Question::new(name, RecordType::Txt))
}

/// What a walk asks for where nothing has an answer yet.
pub fn walk_questions(domain: &DomainName) -> Vec<Question> {
    tree_walk_names(domain).iter().filter_map(question_at).collect()
}

/// All names still to ask for are needed at once: they are few, and asking one by one would cost a round trip each.
fn walk(domain: &DomainName, read: Read<'_>, lookup: Lookup<'_>) -> Result<Walk, Needed> {
    let mut out = Walk::default();
    let names = tree_walk_names(domain);
    for (i, at) in names.iter().enumerate() {
        let Some(question) = question_at(at) else { continue };
        let Some(answer) = lookup(&question) else {
            let open = names[i..].iter().filter_map(question_at);
            return Err(Needed(open.filter(|question| lookup(question).is_none()).collect()));
        };
        let records = match answer {
            Answer::Records(records) => records,
            Answer::NoData | Answer::NxDomain => continue,
            Answer::TempError(reason) => {
                out.temp_error = Some((question, reason));
                break;
            }
        };
        let mut texts: Vec<String> = records
            .iter()
            .filter_map(|data| if let RecordData::Txt(text) = data { Some(text.joined()) } else { None })
            .filter(|text| is_dmarc_record(text))
            .collect();
        if texts.len() > 1 {
            out.multiple.push(at.clone());
            continue;
        }
        let Some(text) = texts.pop() else { continue };
        let record = read(&text);
        let stop =
            record.as_ref().as_ref().is_ok_and(|record| record.public_suffix != PublicSuffix::Undeclared);
        out.entries.push(Entry { at: at.clone(), record });
        if stop {
            break;
        }
    }
    Ok(out)
}

impl Walk {
    /// RFC 9989 §4.10.2.
    fn organizational_domain(&self, start: &DomainName) -> DomainName {
        let mut highest = start;
        for entry in &self.entries {
            let Ok(record) = &*entry.record else { continue };
            match record.public_suffix {
                PublicSuffix::No => return entry.at.clone(),
                PublicSuffix::Yes if entry.at != *start => return one_label_below(&entry.at, start),
                _ => highest = &entry.at,
            }
        }
        highest.clone()
    }

    /// RFC 9989 §4.10.1: the author domain's record, else the organizational domain's, else the public suffix's.
    fn select(&self, start: &DomainName, organizational: &DomainName) -> Option<&Entry> {
        let at = |name: &DomainName| self.entries.iter().find(|entry| entry.at == *name);
        at(start).or_else(|| at(organizational)).or_else(|| {
            self.entries.iter().find(|entry| {
                entry.record.as_ref().as_ref().is_ok_and(|record| record.public_suffix == PublicSuffix::Yes)
            })
        })
    }
}

fn one_label_below(suffix: &DomainName, start: &DomainName) -> DomainName {
    let labels = suffix.label_count() + 1;
    start.ancestors().find(|name| name.label_count() == labels).unwrap_or_else(|| start.clone())
}

/// The organizational domain of any name, or what kept the walk from finding it.
pub fn organizational_domain(
    domain: &DomainName,
    answers: &Answers,
) -> Result<Result<DomainName, (Question, String)>, Needed> {
    organizational_domain_by(domain, &|question| answers.get(question).ok().cloned())
}

/// The same by a function that gives answers.
pub fn organizational_domain_by(
    domain: &DomainName,
    lookup: Lookup<'_>,
) -> Result<Result<DomainName, (Question, String)>, Needed> {
    let walk = walk(domain, &parse, lookup)?;
    Ok(match walk.temp_error {
        Some(error) => Err(error),
        None => Ok(walk.organizational_domain(domain)),
    })
}

/// Finds the policy for an author domain.
pub fn discover(author_domain: &DomainName, answers: &Answers) -> Result<Discovery, Needed> {
    discover_by(author_domain, &parse, &|question| answers.get(question).ok().cloned())
}

/// The same by functions that read records, as [`PolicyRecord::parse`] does, and give answers.
pub fn discover_by(
    author_domain: &DomainName,
    read: &dyn Fn(&str) -> DmarcReading,
    lookup: Lookup<'_>,
) -> Result<Discovery, Needed> {
    let walk = walk(author_domain, read, lookup)?;
    let organizational_domain = walk.organizational_domain(author_domain);
    let mut discovery = Discovery {
        author_domain: author_domain.clone(),
        found: None,
        requested: None,
        applied: None,
        author_domain_exists: None,
        multiple_records_at: walk.multiple.clone(),
        invalid_records: walk
            .entries
            .iter()
            .filter_map(|entry| Some((entry.at.clone(), entry.record.as_ref().as_ref().err()?.clone())))
            .collect(),
        temp_error: walk.temp_error.clone(),
        organizational_domain,
    };
    let selected = walk.select(author_domain, &discovery.organizational_domain);
    let Some(Entry { at, record }) = selected else { return Ok(discovery) };
    let Ok(record) = &**record else { return Ok(discovery) };
    let inherited = at != author_domain;
    if inherited && walk.temp_error.is_some() {
        // What is above might have changed which record holds.
        return Ok(discovery);
    }
    if inherited && record.nonexistent_policy.is_some() {
        match exists(author_domain, lookup)? {
            Ok(exists) => discovery.author_domain_exists = Some(exists),
            Err(error) => discovery.temp_error = Some(error),
        }
    }
    let subdomain = record.subdomain_policy.map(|policy| (policy, PolicyTag::Sp));
    let requested = match record.nonexistent_policy {
        _ if !inherited => (record.policy, PolicyTag::P),
        Some(policy) if discovery.author_domain_exists == Some(false) => (policy, PolicyTag::Np),
        _ => subdomain.unwrap_or((record.policy, PolicyTag::P)),
    };
    discovery.requested = Some(requested);
    discovery.applied = Some(if record.testing { lower(requested.0) } else { requested.0 });
    discovery.found = Some(FoundPolicy { record: record.clone(), at: at.clone(), inherited });
    Ok(discovery)
}

/// RFC 9989 §4.7, `t=y`.
fn lower(policy: Policy) -> Policy {
    match policy {
        Policy::Reject => Policy::Quarantine,
        Policy::Quarantine | Policy::None => Policy::None,
    }
}

/// Whether a name exists: only NXDOMAIN says no, whatever the type asked for (RFC 8020). The NXDOMAIN may be that of
/// a CNAME's target (RFC 6604), so the alias itself is asked for before the name is given up.
fn exists(domain: &DomainName, lookup: Lookup<'_>) -> Result<Result<bool, (Question, String)>, Needed> {
    for record_type in [RecordType::A, RecordType::Cname] {
        let question = Question::new(domain.clone(), record_type);
        match lookup(&question) {
            None => return Err(Needed(vec![question])),
            Some(Answer::NxDomain) => {}
            Some(Answer::Records(_) | Answer::NoData) => return Ok(Ok(true)),
            Some(Answer::TempError(reason)) => return Ok(Err((question, reason))),
        }
    }
    Ok(Ok(false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::TxtData;

    fn name(text: &str) -> DomainName {
        DomainName::parse(text).unwrap()
    }

    /// The outcome and the names that were asked for.
    fn run(domain: &str, zone: &[(&str, &str)]) -> Discovery {
        let mut answers = Answers::new();
        for _ in 0..10 {
            match discover(&name(domain), &answers) {
                Ok(discovery) => return discovery,
                Err(needed) => answers.extend(needed.0.into_iter().map(|question| {
                    let records: Vec<RecordData> = zone
                        .iter()
                        .filter(|(owner, _)| {
                            name(owner) == question.name && question.record_type == RecordType::Txt
                        })
                        .map(|(_, text)| RecordData::Txt(TxtData::from_text(text)))
                        .collect();
                    let answer = match records.as_slice() {
                        [] => Answer::NxDomain,
                        [RecordData::Txt(text)] if text.joined() == "!" => {
                            Answer::TempError("timeout".into())
                        }
                        _ => Answer::Records(records),
                    };
                    (question, answer)
                })),
            }
        }
        panic!("the discovery does not end");
    }

    #[test]
    fn long_names_jump_to_seven_labels() {
        let names = tree_walk_names(&name("a.b.c.d.e.f.g.h.i.j.mail.example.com"));
        assert_eq!(names.len(), MAX_QUERIES);
        assert_eq!(names[1], name("g.h.i.j.mail.example.com"));
        assert_eq!(names[7], name("com"));
        assert_eq!(tree_walk_names(&name("a.b.c.d.e.f.g.com"))[1], name("b.c.d.e.f.g.com"));
        assert_eq!(tree_walk_names(&name("example.com")), [name("example.com"), name("com")]);
    }

    #[test]
    fn own_record_inherited_record_and_no_record() {
        let zone = [("_dmarc.example.com", "v=DMARC1; p=reject; sp=quarantine")];
        let own = run("example.com", &zone);
        assert_eq!(own.requested, Some((Policy::Reject, PolicyTag::P)));
        assert!(!own.found.unwrap().inherited);
        let inherited = run("mail.example.com", &zone);
        assert_eq!(inherited.requested, Some((Policy::Quarantine, PolicyTag::Sp)));
        assert_eq!(inherited.found.unwrap().at, name("example.com"));
        assert_eq!(inherited.organizational_domain, name("example.com"));
        let none = run("example.net", &zone);
        assert_eq!((none.found, none.organizational_domain), (None, name("example.net")));
    }

    #[test]
    fn public_suffixes_and_declared_organizational_domains() {
        let zone = [
            ("_dmarc.bank.example", "v=DMARC1; p=reject; np=none; psd=y"),
            ("_dmarc.dept.giant.bank.example", "v=DMARC1; p=none; psd=n"),
            ("_dmarc.example", "v=DMARC1; p=quarantine"),
        ];
        let below = run("mail.giant.bank.example", &zone);
        assert_eq!(below.organizational_domain, name("giant.bank.example"));
        assert_eq!(below.found.unwrap().at, name("bank.example"));
        assert_eq!(below.author_domain_exists, Some(false));
        assert_eq!(below.requested, Some((Policy::None, PolicyTag::Np)));
        let declared = run("x.dept.giant.bank.example", &zone);
        assert_eq!(declared.organizational_domain, name("dept.giant.bank.example"));
        let suffix = run("bank.example", &zone);
        assert_eq!(suffix.organizational_domain, name("bank.example"));
    }

    #[test]
    fn two_records_are_discarded_and_testing_lowers_the_policy() {
        let zone = [
            ("_dmarc.a.example.com", "v=DMARC1; p=none"),
            ("_dmarc.a.example.com", "v=DMARC1; p=reject"),
            ("_dmarc.a.example.com", "something else"),
            ("_dmarc.example.com", "v=DMARC1; p=reject; t=y"),
        ];
        let discovery = run("a.example.com", &zone);
        assert_eq!(discovery.multiple_records_at, [name("a.example.com")]);
        assert_eq!(discovery.applied, Some(Policy::Quarantine));
        let invalid = run("example.com", &[("_dmarc.example.com", "v=DMARC1; p=?")]);
        assert_eq!(invalid.invalid_records.len(), 1);
        assert_eq!(invalid.found, None);
    }

    #[test]
    fn no_answer_above_leaves_the_own_record_certain() {
        let zone = [("_dmarc.a.example.com", "v=DMARC1; p=reject"), ("_dmarc.example.com", "!")];
        let own = run("a.example.com", &zone);
        assert!(own.temp_error.is_some() && own.applied == Some(Policy::Reject));
        let lost = run("b.example.com", &zone);
        assert!(lost.temp_error.is_some() && lost.found.is_none());
    }
}
