//! DNSSEC is broken
//!
//! A resolver that validates refuses the zone's answers, and hands them out when it is asked not to validate.
//!
//! # Why it matters
//!
//! Every receiver that validates finds no record at all and defers the mail. It counts as unknown, not as missing: a
//! verified domain stays verified.
//!
//! # What to do
//!
//! 1. Have the DNS host sign the zone anew.
//! 2. At the registrar, replace the DS record by the one the DNS host gives, or remove it where the zone is not
//!    signed any more.
//!
//! # References
//!
//! - RFC 4035 §5.5
//! - RFC 8914 §4
//! - RFC 6840 §5.9

use crate::{
    finding::{Defect, Finding, Remedy},
    observation::{ExtendedError, Outcome, Rcode, Server},
    plan::Plan,
    view::{Heard, View},
};
use model::{Confidence, DomainName, Severity};

/// Only suspected where the resolver gives no reason (RFC 8914): it may have failed once and not a second time.
pub fn check(plan: &Plan, view: &View) -> Vec<Finding> {
    let mut zones: Vec<Bogus> = Vec::new();
    let mut refused: Vec<&Heard> =
        view.all().iter().filter(|heard| is_refused_for_signatures(heard, view)).collect();
    refused.sort_by(|a, b| a.exchange.ask.cmp(&b.exchange.ask));
    for heard in refused {
        let name = &heard.exchange.ask.question.name;
        let zone = view.zone_of(name).unwrap_or_else(|| name.clone());
        let index = zones.iter().position(|known| known.zone == zone).unwrap_or_else(|| {
            zones.push(Bogus {
                zone,
                names: Vec::new(),
                resolvers: Vec::new(),
                reason: None,
                is_told: false,
            });
            zones.len() - 1
        });
        let planned = plan.records.iter().any(|record| record.owner == *name);
        zones[index].add(planned.then_some(name), heard.server(), extended_error(heard));
    }
    zones.into_iter().map(Bogus::finding).collect()
}

struct Bogus {
    zone: DomainName,
    names: Vec<DomainName>,
    resolvers: Vec<Server>,
    reason: Option<String>,
    /// Whether a resolver says itself that it is DNSSEC.
    is_told: bool,
}

impl Bogus {
    fn add(&mut self, name: Option<&DomainName>, resolver: &Server, extended: Option<&ExtendedError>) {
        if let Some(name) = name.filter(|name| !self.names.contains(name)) {
            self.names.push(name.clone());
        }
        if !self.resolvers.contains(resolver) {
            self.resolvers.push(resolver.clone());
        }
        if let Some(error) = extended.filter(|error| is_about_signatures(error)) {
            self.is_told = true;
            self.reason.get_or_insert_with(|| {
                if error.text.is_empty() {
                    meaning(error.code).to_owned()
                } else {
                    format!("{}: {}", meaning(error.code), error.text)
                }
            });
        }
    }

    fn finding(self) -> Finding {
        let Self { zone, names, resolvers, reason, is_told } = self;
        Finding {
            remedy: Remedy::FixDnssec { zone: zone.clone() },
            defect: Defect::DnssecBogus { zone, names, resolvers, reason },
            severity: if is_told { Severity::Error } else { Severity::Warning },
            confidence: if is_told { Confidence::Confirmed } else { Confidence::Suspected },
            record: None,
        }
    }
}

/// Whether a resolver refused an answer that it gives out without validation.
fn is_refused_for_signatures(heard: &Heard, view: &View) -> bool {
    let Outcome::Reply(reply) = &heard.exchange.outcome else { return false };
    let other_reason = reply.extended_error.as_ref().is_some_and(|error| !is_about_signatures(error));
    let question = &heard.exchange.ask.question;
    let is_told = reply.extended_error.as_ref().is_some_and(is_about_signatures);
    // One that fails for once, beside another that answers, is no sign of anything.
    let others_answer = || {
        let all = view.heard(&question.name, question.record_type).iter();
        all.filter(|other| matches!(other.server(), Server::Resolver { .. })).any(Heard::is_certain)
    };
    reply.rcode == Rcode::ServFail
        && !other_reason
        && (is_told || !others_answer())
        && view.unvalidated(&heard.exchange.ask).is_some_and(Heard::is_certain)
}

/// The resolver's own words, where it gave any.
fn extended_error(heard: &Heard) -> Option<&ExtendedError> {
    match &heard.exchange.outcome {
        Outcome::Reply(reply) => reply.extended_error.as_ref(),
        Outcome::Failure(_) => None,
    }
}

/// RFC 8914 §4.7 to §4.13: bogus, expired, not yet valid, DNSKEY missing, RRSIGs missing, no zone key bit, NSEC
/// missing.
fn is_about_signatures(error: &ExtendedError) -> bool {
    matches!(error.code, 6..=12)
}

fn meaning(code: u16) -> &'static str {
    match code {
        7 => "signature expired",
        8 => "signature not yet valid",
        9 => "DNSKEY missing",
        10 => "signatures missing",
        11 => "no zone key bit set",
        12 => "NSEC missing",
        _ => "the signatures do not verify",
    }
}

/// Whether one of these findings is the cause of another one.
pub fn explains(bogus: &[Finding], finding: &Finding) -> bool {
    let Defect::DnsUnanswered { name, .. } = &finding.defect else { return false };
    let is_cause =
        |defect: &Defect| matches!(defect, Defect::DnssecBogus { zone, .. } if name.is_at_or_below(zone));
    bogus.iter().any(|cause| is_cause(&cause.defect))
}
