//! A resolver still gives an older answer.

use crate::{
    finding::{Defect, Finding, Remedy},
    observation::{Exchange, Says, Server},
    plan::PlannedRecord,
};
use model::{Confidence, Severity, Timestamp};

/// The name servers have the record, and a resolver still answers from its cache that it is not there.
///
/// Nothing to do: the cached answer runs out by itself, at the time given.
///
/// Source: RFC 2308 §5.
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
