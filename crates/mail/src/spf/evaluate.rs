//! `check_host()` (RFC 7208 §4).

use super::{
    Selection,
    macros::{DomainSpec, MacroContext},
    record::{Mechanism, Qualifier, SpfRecord, SpfSyntaxError, Term},
    select,
};
use crate::lookup::{Answer, Answers, Needed, Question, reverse_name};
use model::{DomainName, RecordData, RecordType, TxtData};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// Terms that may cost a DNS lookup in one evaluation (RFC 7208 §4.6.4).
pub const MAX_LOOKUPS: usize = 10;
/// Terms whose lookup may come back empty (RFC 7208 §4.6.4).
pub const MAX_VOID_LOOKUPS: usize = 2;
/// Mail exchangers of one `mx`, and reverse names of one `ptr` or `%{p}` (RFC 7208 §4.6.4).
pub(super) const MAX_HOSTS: usize = 10;

/// The results of RFC 7208 §2.6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SpfResult {
    /// No record, or no domain to check.
    None,
    /// The owner says nothing about the client.
    Neutral,
    /// The client may send.
    Pass,
    /// The client may not send.
    Fail,
    /// The client probably may not send.
    SoftFail,
    /// The DNS did not answer; try again.
    TempError,
    /// The records cannot be evaluated; the owner has to act.
    PermError,
}

impl fmt::Display for SpfResult {
    /// The words of RFC 8601 §2.7.2.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::None => "none",
            Self::Neutral => "neutral",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::SoftFail => "softfail",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        })
    }
}

/// What stood in the way of a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum SpfProblem {
    /// The domain has one label, so nothing is checked (RFC 7208 §4.3).
    #[error("\"{0}\" is not a domain name with at least one dot")]
    NotADomain(String),
    /// No record (RFC 7208 §4.5).
    #[error("{0} has no SPF record")]
    NoRecord(DomainName),
    /// Several records (RFC 7208 §4.5).
    #[error("{0} has more than one SPF record")]
    MultipleRecords(DomainName),
    /// A record with a syntax error (RFC 7208 §4.6).
    #[error("the SPF record of {domain} is not valid: {error}")]
    Syntax {
        /// Whose record.
        domain: DomainName,
        /// What is wrong.
        error: SpfSyntaxError,
    },
    /// More than [`MAX_LOOKUPS`] terms with lookups.
    #[error("more than {MAX_LOOKUPS} DNS lookups are needed; \"{term}\" at {domain} is the first too many")]
    TooManyLookups {
        /// Whose record.
        domain: DomainName,
        /// The first term past the limit.
        term: String,
    },
    /// More than [`MAX_VOID_LOOKUPS`] empty lookups.
    #[error(
        "more than {MAX_VOID_LOOKUPS} DNS lookups come back empty; \"{term}\" at {domain} is the first too many"
    )]
    TooManyVoidLookups {
        /// Whose record.
        domain: DomainName,
        /// The first term past the limit.
        term: String,
    },
    /// An `mx` with more than ten hosts.
    #[error("\"{term}\" at {domain} names more than {MAX_HOSTS} mail exchangers")]
    TooManyMailExchangers {
        /// Whose record.
        domain: DomainName,
        /// The term.
        term: String,
    },
    /// An `include` or `redirect` of a domain without a record (RFC 7208 §5.2, §6.1).
    #[error("\"{term}\" at {domain} leads to no SPF record")]
    TargetWithoutRecord {
        /// Whose record.
        domain: DomainName,
        /// The term.
        term: String,
    },
    /// The DNS did not answer.
    #[error("the DNS did not answer for {question}: {reason}")]
    Dns {
        /// What was asked.
        question: Question,
        /// What was seen.
        reason: String,
    },
    /// The receiver gave up on the message before the evaluation ended. [`evaluate`] never says this.
    #[error("{0}")]
    TooExpensive(String),
}

/// The outcome of one evaluation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpfOutcome {
    /// The result.
    pub result: SpfResult,
    /// The domain that was checked.
    pub domain: DomainName,
    /// How many terms cost a lookup.
    pub lookups: usize,
    /// How many of them came back empty.
    pub void_lookups: usize,
    /// The term that matched, as the owner wrote it; for an `include`, the term of the outer record.
    pub matched: Option<String>,
    /// Why there is no result of the owner's making.
    pub problem: Option<SpfProblem>,
}

/// Evaluates the SPF policy of `mail_from_domain` for a client (RFC 7208 §4).
///
/// With a null reverse-path pass the HELO name as the domain and `postmaster` as the local part
/// (RFC 7208 §2.4). An empty local part is read as `postmaster` (§4.3).
pub fn evaluate(
    client_ip: IpAddr,
    mail_from_domain: &DomainName,
    sender_local_part: &str,
    helo: &str,
    answers: &Answers,
) -> Result<SpfOutcome, Needed> {
    let mut evaluation = Evaluation::new(client_ip, mail_from_domain, sender_local_part, helo, answers);
    let checked = match evaluation.check_host(mail_from_domain) {
        Ok(checked) => checked,
        Err(Stop::Needed(needed)) => return Err(needed),
        Err(Stop::Error(result, problem)) => Checked::without_term(result, Some(*problem)),
    };
    Ok(SpfOutcome {
        result: checked.result,
        domain: mail_from_domain.clone(),
        lookups: evaluation.lookups,
        void_lookups: evaluation.void_lookups,
        matched: checked.matched,
        problem: checked.problem,
    })
}

pub(super) struct Checked {
    pub result: SpfResult,
    matched: Option<String>,
    problem: Option<SpfProblem>,
    /// The `exp=` of the record that said fail, and whose record it is.
    pub explanation: Option<(DomainSpec, DomainName)>,
}

impl Checked {
    fn without_term(result: SpfResult, problem: Option<SpfProblem>) -> Self {
        Self { result, matched: None, problem, explanation: None }
    }
}

/// What ends an evaluation early.
pub(super) enum Stop {
    Needed(Needed),
    /// Boxed, for it travels through every return value.
    Error(SpfResult, Box<SpfProblem>),
}

impl From<Needed> for Stop {
    fn from(needed: Needed) -> Self {
        Self::Needed(needed)
    }
}

fn permanent(problem: SpfProblem) -> Stop {
    Stop::Error(SpfResult::PermError, Box::new(problem))
}

fn temporary(question: Question, reason: &str) -> Stop {
    let reason = reason.to_owned();
    Stop::Error(SpfResult::TempError, Box::new(SpfProblem::Dns { question, reason }))
}

pub(super) struct Evaluation<'a> {
    pub ip: IpAddr,
    pub local_part: &'a str,
    pub sender_domain: &'a DomainName,
    pub helo: &'a str,
    pub answers: &'a Answers,
    lookups: usize,
    void_lookups: usize,
}

/// A term in its record, for what is said about it.
#[derive(Clone, Copy)]
struct At<'t> {
    domain: &'t DomainName,
    term: &'t str,
}

impl<'a> Evaluation<'a> {
    pub fn new(
        client_ip: IpAddr,
        mail_from_domain: &'a DomainName,
        sender_local_part: &'a str,
        helo: &'a str,
        answers: &'a Answers,
    ) -> Self {
        Self {
            ip: client_ip.to_canonical(),
            local_part: if sender_local_part.is_empty() { "postmaster" } else { sender_local_part },
            sender_domain: mail_from_domain,
            helo,
            answers,
            lookups: 0,
            void_lookups: 0,
        }
    }

    /// Recursion ends because every `include` and `redirect` counts towards [`MAX_LOOKUPS`].
    pub fn check_host(&mut self, domain: &DomainName) -> Result<Checked, Stop> {
        let none = |problem| Ok(Checked::without_term(SpfResult::None, Some(problem)));
        // RFC 7208 §4.3: a single label is not checked.
        if domain.label_count() < 2 {
            return none(SpfProblem::NotADomain(domain.to_string()));
        }
        let question = Question::new(domain.clone(), RecordType::Txt);
        let texts: Vec<TxtData> = match self.answers.get(&question)? {
            Answer::Records(records) => records
                .iter()
                .filter_map(|data| if let RecordData::Txt(text) = data { Some(text.clone()) } else { None })
                .collect(),
            Answer::NoData | Answer::NxDomain => Vec::new(),
            Answer::TempError(reason) => return Err(temporary(question, reason)),
        };
        let text = match select(&texts) {
            Selection::None => return none(SpfProblem::NoRecord(domain.clone())),
            Selection::Multiple(_) => return Err(permanent(SpfProblem::MultipleRecords(domain.clone()))),
            Selection::One(text) => text,
        };
        let record = SpfRecord::parse(&text)
            .map_err(|error| permanent(SpfProblem::Syntax { domain: domain.clone(), error }))?;
        self.evaluate_record(domain, &record)
    }

    fn evaluate_record(&mut self, domain: &DomainName, record: &SpfRecord) -> Result<Checked, Stop> {
        for (term, directive) in record.directives() {
            let at = At { domain, term: &term.text };
            if self.matches(at, &directive.mechanism)? {
                let result = match directive.qualifier {
                    Qualifier::Pass => SpfResult::Pass,
                    Qualifier::Fail => SpfResult::Fail,
                    Qualifier::SoftFail => SpfResult::SoftFail,
                    Qualifier::Neutral => SpfResult::Neutral,
                };
                let explanation = record.explanation().filter(|_| result == SpfResult::Fail);
                return Ok(Checked {
                    result,
                    matched: Some(term.text.clone()),
                    problem: None,
                    explanation: explanation.map(|spec| (spec.clone(), domain.clone())),
                });
            }
        }
        match record.redirect() {
            Some(spec) => {
                let term =
                    record.terms.iter().find(|term| matches!(&term.kind, super::TermKind::Redirect(_)));
                self.redirect(domain, spec, term)
            }
            // RFC 7208 §4.7: nothing matched.
            None => Ok(Checked::without_term(SpfResult::Neutral, None)),
        }
    }

    fn redirect(
        &mut self,
        domain: &DomainName,
        spec: &DomainSpec,
        term: Option<&Term>,
    ) -> Result<Checked, Stop> {
        let at = At { domain, term: term.map_or("redirect", |term| &term.text) };
        self.count_lookup(at)?;
        let without_record = || {
            permanent(SpfProblem::TargetWithoutRecord { domain: domain.clone(), term: at.term.to_owned() })
        };
        let target = self.expand(spec, domain)?.ok_or_else(without_record)?;
        let checked = self.check_host(&target)?;
        if checked.result == SpfResult::None { Err(without_record()) } else { Ok(checked) }
    }

    fn matches(&mut self, at: At<'_>, mechanism: &Mechanism) -> Result<bool, Stop> {
        if mechanism.costs_lookup() {
            self.count_lookup(at)?;
        }
        match mechanism {
            Mechanism::All => Ok(true),
            Mechanism::Ip4 { address, prefix } => Ok(self.is_in_v4(*address, *prefix)),
            Mechanism::Ip6 { address, prefix } => Ok(self.is_in_v6(*address, *prefix)),
            Mechanism::Include(spec) => self.matches_include(at, spec),
            Mechanism::A { domain, v4, v6 } => {
                let Some(name) = self.target(domain.as_ref(), at.domain)? else { return Ok(false) };
                let addresses = self.addresses(&name)?;
                if addresses.is_empty() {
                    self.count_void(at)?;
                }
                Ok(self.is_any(&addresses, *v4, *v6))
            }
            Mechanism::Mx { domain, v4, v6 } => self.matches_mx(at, domain.as_ref(), *v4, *v6),
            Mechanism::Ptr(domain) => self.matches_ptr(at, domain.as_ref()),
            Mechanism::Exists(spec) => {
                let Some(name) = self.expand(spec, at.domain)? else { return Ok(false) };
                // RFC 7208 §5.7: an A query, whatever the client's address family.
                let found = !self.records(&Question::new(name, RecordType::A))?.is_empty();
                if !found {
                    self.count_void(at)?;
                }
                Ok(found)
            }
        }
    }

    /// The table of RFC 7208 §5.2.
    fn matches_include(&mut self, at: At<'_>, spec: &DomainSpec) -> Result<bool, Stop> {
        let without_record = || {
            permanent(SpfProblem::TargetWithoutRecord { domain: at.domain.clone(), term: at.term.to_owned() })
        };
        let target = self.expand(spec, at.domain)?.ok_or_else(without_record)?;
        match self.check_host(&target)?.result {
            SpfResult::Pass => Ok(true),
            SpfResult::Fail | SpfResult::SoftFail | SpfResult::Neutral => Ok(false),
            // Errors of the included record end the evaluation as `Stop` before this point.
            SpfResult::None | SpfResult::TempError | SpfResult::PermError => Err(without_record()),
        }
    }

    fn matches_mx(&mut self, at: At<'_>, spec: Option<&DomainSpec>, v4: u8, v6: u8) -> Result<bool, Stop> {
        let Some(name) = self.target(spec, at.domain)? else { return Ok(false) };
        let hosts: Vec<DomainName> = self
            .records(&Question::new(name, RecordType::Mx))?
            .iter()
            .filter_map(|data| match data {
                // The null MX (RFC 7505) has no address.
                RecordData::Mx { exchange, .. } if !exchange.is_root() => Some(exchange.clone()),
                _ => None,
            })
            .collect();
        if hosts.is_empty() {
            self.count_void(at)?;
        }
        if hosts.len() > MAX_HOSTS {
            return Err(permanent(SpfProblem::TooManyMailExchangers {
                domain: at.domain.clone(),
                term: at.term.to_owned(),
            }));
        }
        // The hosts' addresses are not counted as void: a host without AAAA is usual, not a mistake.
        let questions: Vec<Question> =
            hosts.into_iter().map(|host| Question::new(host, self.address_type())).collect();
        self.answers.get_all(&questions)?;
        for question in &questions {
            let addresses = self.addresses(&question.name)?;
            if self.is_any(&addresses, v4, v6) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn matches_ptr(&mut self, at: At<'_>, spec: Option<&DomainSpec>) -> Result<bool, Stop> {
        let Some(target) = self.target(spec, at.domain)? else { return Ok(false) };
        let names = self.reverse_names()?;
        if names.as_ref().is_some_and(Vec::is_empty) {
            self.count_void(at)?;
        }
        let below: Vec<DomainName> =
            names.unwrap_or_default().into_iter().filter(|name| name.is_at_or_below(&target)).collect();
        Ok(!self.validated(&below)?.is_empty())
    }

    /// The first ten names of the client's reverse record; `None` when the DNS did not answer, which is no error
    /// here (RFC 7208 §5.5).
    fn reverse_names(&self) -> Result<Option<Vec<DomainName>>, Stop> {
        let Some(name) = reverse_name(self.ip) else { return Ok(None) };
        let names = match self.answers.get(&Question::new(name, RecordType::Ptr))? {
            Answer::Records(records) => records
                .iter()
                .filter_map(|data| if let RecordData::Ptr(name) = data { Some(name.clone()) } else { None })
                .take(MAX_HOSTS)
                .collect(),
            Answer::NoData | Answer::NxDomain => Vec::new(),
            Answer::TempError(_) => return Ok(None),
        };
        Ok(Some(names))
    }

    /// Those of the names whose addresses hold the client (RFC 7208 §5.5); a name the DNS does not answer for is
    /// passed over.
    fn validated(&self, names: &[DomainName]) -> Result<Vec<DomainName>, Stop> {
        let questions: Vec<Question> =
            names.iter().map(|name| Question::new(name.clone(), self.address_type())).collect();
        self.answers.get_all(&questions)?;
        let mut out = Vec::new();
        for name in names {
            match self.addresses(name) {
                Ok(addresses) if addresses.contains(&self.ip) => out.push(name.clone()),
                Ok(_) | Err(Stop::Error(..)) => {}
                Err(stop) => return Err(stop),
            }
        }
        Ok(out)
    }

    /// `%{p}`: the domain itself, else a name below it, else any (RFC 7208 §7.3).
    pub fn validated_name(&self, domain: &DomainName) -> Result<Option<DomainName>, Stop> {
        let names = self.reverse_names()?.unwrap_or_default();
        let validated = self.validated(&names)?;
        let best = validated
            .iter()
            .find(|name| *name == domain)
            .or_else(|| validated.iter().find(|name| name.is_below(domain)))
            .or_else(|| validated.first());
        Ok(best.cloned())
    }

    fn target(&self, spec: Option<&DomainSpec>, domain: &DomainName) -> Result<Option<DomainName>, Stop> {
        match spec {
            Some(spec) => self.expand(spec, domain),
            None => Ok(Some(domain.clone())),
        }
    }

    pub fn expand(&self, spec: &DomainSpec, domain: &DomainName) -> Result<Option<DomainName>, Stop> {
        let validated = if spec.needs_validated_name() { self.validated_name(domain)? } else { None };
        Ok(spec.expand(&MacroContext {
            ip: self.ip,
            local_part: self.local_part,
            sender_domain: self.sender_domain,
            helo: self.helo,
            domain,
            validated_name: validated.as_ref(),
        }))
    }

    fn address_type(&self) -> RecordType {
        if self.ip.is_ipv4() { RecordType::A } else { RecordType::Aaaa }
    }

    fn records(&self, question: &Question) -> Result<&[RecordData], Stop> {
        match self.answers.get(question)? {
            Answer::Records(records) => Ok(records),
            Answer::NoData | Answer::NxDomain => Ok(&[]),
            Answer::TempError(reason) => Err(temporary(question.clone(), reason)),
        }
    }

    /// The addresses of a name in the client's family.
    fn addresses(&self, name: &DomainName) -> Result<Vec<IpAddr>, Stop> {
        let records = self.records(&Question::new(name.clone(), self.address_type()))?;
        Ok(records
            .iter()
            .filter_map(|data| match data {
                RecordData::A(address) if self.ip.is_ipv4() => Some(IpAddr::V4(*address)),
                RecordData::Aaaa(address) if self.ip.is_ipv6() => Some(IpAddr::V6(*address)),
                _ => None,
            })
            .collect())
    }

    fn is_any(&self, addresses: &[IpAddr], v4: u8, v6: u8) -> bool {
        addresses.iter().any(|address| match address {
            IpAddr::V4(address) => self.is_in_v4(*address, v4),
            IpAddr::V6(address) => self.is_in_v6(*address, v6),
        })
    }

    fn is_in_v4(&self, network: Ipv4Addr, prefix: u8) -> bool {
        let IpAddr::V4(ip) = self.ip else { return false };
        let mask = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0);
        u32::from(ip) & mask == u32::from(network) & mask
    }

    fn is_in_v6(&self, network: Ipv6Addr, prefix: u8) -> bool {
        let IpAddr::V6(ip) = self.ip else { return false };
        let mask = u128::MAX.checked_shl(128 - u32::from(prefix.min(128))).unwrap_or(0);
        u128::from(ip) & mask == u128::from(network) & mask
    }

    fn count_lookup(&mut self, at: At<'_>) -> Result<(), Stop> {
        self.lookups += 1;
        if self.lookups <= MAX_LOOKUPS {
            return Ok(());
        }
        Err(permanent(SpfProblem::TooManyLookups { domain: at.domain.clone(), term: at.term.to_owned() }))
    }

    fn count_void(&mut self, at: At<'_>) -> Result<(), Stop> {
        self.void_lookups += 1;
        if self.void_lookups <= MAX_VOID_LOOKUPS {
            return Ok(());
        }
        Err(permanent(SpfProblem::TooManyVoidLookups { domain: at.domain.clone(), term: at.term.to_owned() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> DomainName {
        DomainName::parse(text).unwrap()
    }

    /// Answers every question: TXT, A and MX from the list, the rest does not exist.
    fn run(ip: &str, domain: &str, zone: &[(&str, RecordData)]) -> SpfOutcome {
        let mut answers = Answers::new();
        for _ in 0..100 {
            match evaluate(ip.parse().unwrap(), &name(domain), "joe", "mx.example", &answers) {
                Ok(outcome) => return outcome,
                Err(needed) => {
                    for question in needed.0 {
                        let records: Vec<RecordData> = zone
                            .iter()
                            .filter(|(owner, data)| {
                                name(owner) == question.name && data.record_type() == question.record_type
                            })
                            .map(|(_, data)| data.clone())
                            .collect();
                        let answer =
                            if records.is_empty() { Answer::NxDomain } else { Answer::Records(records) };
                        answers.insert(question, answer);
                    }
                }
            }
        }
        panic!("the evaluation does not end");
    }

    fn txt(text: &str) -> RecordData {
        RecordData::Txt(TxtData::from_text(text))
    }

    #[test]
    fn an_include_passes_and_the_term_that_matched_is_named() {
        let zone = [
            ("a.example", txt("v=spf1 mx include:b.example -all")),
            ("a.example", RecordData::Mx { preference: 10, exchange: name("mx.a.example") }),
            ("mx.a.example", RecordData::A("192.0.2.1".parse().unwrap())),
            ("b.example", txt("v=spf1 ip4:198.51.100.0/24 -all")),
        ];
        let outcome = run("198.51.100.7", "a.example", &zone);
        assert_eq!((outcome.result, outcome.lookups, outcome.void_lookups), (SpfResult::Pass, 2, 0));
        assert_eq!(outcome.matched.as_deref(), Some("include:b.example"));
        assert_eq!(run("192.0.2.1", "a.example", &zone).matched.as_deref(), Some("mx"));
        assert_eq!(run("::ffff:192.0.2.1", "a.example", &zone).result, SpfResult::Pass);
        assert_eq!(run("203.0.113.1", "a.example", &zone).result, SpfResult::Fail);
    }

    #[test]
    fn loops_and_limits_end_in_permerror() {
        let looped = run("192.0.2.1", "a.example", &[("a.example", txt("v=spf1 include:a.example -all"))]);
        assert_eq!(looped.result, SpfResult::PermError);
        assert!(matches!(looped.problem, Some(SpfProblem::TooManyLookups { .. })));
        let void = run(
            "192.0.2.1",
            "a.example",
            &[("a.example", txt("v=spf1 a:x.example a:y.example a:z.example -all"))],
        );
        assert!(
            matches!(void.problem, Some(SpfProblem::TooManyVoidLookups { term, .. }) if term == "a:z.example")
        );
        let lost = run("192.0.2.1", "a.example", &[("a.example", txt("v=spf1 include:b.example -all"))]);
        assert!(matches!(lost.problem, Some(SpfProblem::TargetWithoutRecord { .. })));
    }
}
