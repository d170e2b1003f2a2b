//! A resolver still has an older answer
//!
//! The zone's name servers have the record; a public resolver answers from its cache until the time shown.
//!
//! # Why it matters
//!
//! Receivers behind such a resolver see the older answer until then. Nothing is wrong with the zone.
//!
//! # What to do
//!
//! 1. Nothing. Wait until the time shown.
//!
//! # References
//!
//! - RFC 2308 §5
//! - RFC 1034 §4.3.4

use crate::{
    finding::{Defect, Finding, Remedy},
    observation::{Exchange, Says, Server},
    plan::PlannedRecord,
};
use model::{Confidence, Severity, Timestamp};

pub fn check(record: &PlannedRecord, exchange: &Exchange) -> Option<Finding> {
    if !matches!(exchange.ask.server, Server::Resolver { .. }) {
        return None;
    }
    let until = runs_out(exchange)?;
    let defect =
        Defect::ResolverCacheStale { name: record.owner.clone(), server: exchange.ask.server.clone(), until };
    Some(Finding {
        defect,
        severity: Severity::Info,
        confidence: Confidence::Confirmed,
        record: Some(record.key.clone()),
        remedy: Remedy::WaitUntil { at: until },
    })
}

/// When the answer leaves the cache.
fn runs_out(exchange: &Exchange) -> Option<Timestamp> {
    let seconds = match exchange.says() {
        Says::NoData(ttl) | Says::NxDomain(ttl) => ttl,
        Says::Records(_) | Says::Alias { .. } | Says::AliasLoop(_) | Says::SeveralAliases(_) => {
            exchange.ttl()
        }
        Says::Nothing(_) | Says::Lame(_) => return None,
    };
    exchange.at.checked_add(jiff::SignedDuration::from_secs(i64::from(seconds))).ok()
}
