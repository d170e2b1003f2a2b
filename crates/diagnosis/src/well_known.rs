//! DKIM keys of a domain that nobody has named a selector of.
//!
//! Selectors cannot be listed from outside (RFC 6376 §3.1), but many mail services use the same for all customers. An
//! audit without selectors tries those of a list, in its first round and at one resolver; what looks like a key there
//! is examined like any other record, at two of the name servers, only that nothing depends on it: it may be left over, and mail may be signed
//! with a key that is not on the list. A wildcard answers for all of them alike and is none of them
//! ([`crate::wildcard`]); a revoked key is one that nobody signs with any more.

use crate::{
    observation::{Observation, Question, Says, Server},
    plan::{Expected, Plan, PlannedRecord},
    report::RecordReport,
    view::{Heard, View},
    wildcard,
};
use mail::dkim::{KeyRecord, KeyRecordError, KeyState};
use model::{DomainName, Purpose, RecordData, RecordType};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, sync::Arc};

const LIST: &str = include_str!("../../../profiles/well-known-selectors.txt");

/// Keys that are examined of those found, in the list's order: nobody has more in use.
const MAX_FOUND: usize = 12;

/// What came of trying.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriedSelectors {
    /// How many were tried.
    pub tried: usize,
    /// How many of them gave no answer.
    pub unanswered: usize,
    /// Whether a wildcard answers for every selector.
    pub wildcard: bool,
    /// Those that a key or an alias was found at.
    pub found: Vec<String>,
}

/// The list.
pub fn selectors() -> Vec<String> {
    let words = LIST.lines().filter_map(|line| line.split('#').next()?.split_whitespace().next());
    words.map(str::to_owned).collect()
}

fn owner(plan: &Plan, selector: &str) -> Option<DomainName> {
    plan.domain.prepend(&format!("{selector}._domainkey")).ok()
}

fn owners(plan: &Plan) -> impl Iterator<Item = (&String, DomainName)> {
    plan.tried_selectors.iter().filter_map(|selector| Some((selector, owner(plan, selector)?)))
}

/// What to ask: each selector, and a name beside them that nobody has made.
pub(crate) fn questions(plan: &Plan) -> Vec<Question> {
    let mut names: Vec<DomainName> = owners(plan).map(|(_, owner)| owner).collect();
    names.extend(names.first().and_then(|first| wildcard::beside(&plan.domain, first)));
    names.into_iter().map(|name| Question { name, record_type: RecordType::Txt }).collect()
}

/// The plan with a record for each selector that something was found at.
pub(crate) fn with_found<'p>(plan: &'p Plan, observation: &Observation) -> Cow<'p, Plan> {
    if plan.tried_selectors.is_empty() {
        return Cow::Borrowed(plan);
    }
    let found = found(plan, &View::new(observation));
    if found.is_empty() {
        return Cow::Borrowed(plan);
    }
    let mut extended = plan.clone();
    let planned = |(selector, owner)| PlannedRecord {
        hosted: false,
        key: format!("dkim-{selector}"),
        purpose: Purpose::Dkim,
        owner,
        ttl: 3600,
        required: false,
        expected: Expected::Dkim { public_key: None, record: None },
        explanation: String::new(),
    };
    extended.records.extend(found.into_iter().map(planned).map(Arc::new));
    Cow::Owned(extended)
}

/// Whom to ask about what was found: one name server may lag behind, and the others cannot add much, while there may
/// be [`MAX_FOUND`] times all of their addresses to ask.
pub(crate) fn few_of(servers: &mut Vec<Server>) {
    servers.dedup_by(|one, before| match (one, before) {
        (Server::Authority { name, .. }, Server::Authority { name: before, .. }) => name == before,
        _ => false,
    });
    servers.truncate(2);
}

/// What came of trying, by the records that are reported of what was found; `None` where nothing was to be tried, or was not.
pub(crate) fn tried(plan: &Plan, view: &View, records: &[RecordReport]) -> Option<TriedSelectors> {
    let asked = |name: &DomainName| view.heard(name, RecordType::Txt);
    let tried: Vec<DomainName> =
        owners(plan).map(|(_, owner)| owner).filter(|owner| !asked(owner).is_empty()).collect();
    let first = tried.first()?;
    let beside = wildcard::beside(&plan.domain, first);
    let is_reported =
        |(_, owner): &(&String, DomainName)| records.iter().any(|record| record.planned.owner == *owner);
    Some(TriedSelectors {
        tried: tried.len(),
        unanswered: tried.iter().filter(|name| !asked(name).iter().any(Heard::is_certain)).count(),
        wildcard: beside.is_some_and(|beside| view.has_any(&beside, RecordType::Txt)),
        found: owners(plan).filter(is_reported).map(|(selector, _)| selector.clone()).collect(),
    })
}

fn found<'p>(plan: &'p Plan, view: &View) -> Vec<(&'p String, DomainName)> {
    let is_found = |(_, owner): &(&String, DomainName)| {
        let heard = view.heard(owner, RecordType::Txt);
        heard.iter().any(|heard| shows_key(&heard.says))
            && !wildcard::is_covered(view, &plan.domain, owner, RecordType::Txt)
    };
    owners(plan).filter(is_found).take(MAX_FOUND).collect()
}

/// An alias that leads nowhere counts too: somebody meant it for a key.
fn shows_key(says: &Says) -> bool {
    match says {
        Says::Records(records) => records.iter().any(is_key),
        Says::Alias { at_end, .. } => at_end.is_empty() || at_end.iter().any(is_key),
        Says::AliasLoop(_) => true,
        _ => false,
    }
}

/// Whether a text is meant as a key that is in use: not revoked, and no other text (of a wildcard, mostly).
fn is_key(data: &RecordData) -> bool {
    let RecordData::Txt(text) = data else { return false };
    let text = text.joined();
    match KeyRecord::parse(&text) {
        Ok(record) => record.key != KeyState::Revoked,
        Err(KeyRecordError::Syntax(_) | KeyRecordError::NoKey | KeyRecordError::Version(_)) => {
            text.to_ascii_lowercase().contains("dkim1")
        }
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::TxtData;
    use std::collections::BTreeSet;

    #[test]
    fn the_list_holds_labels_each_once_and_few() {
        let list = selectors();
        assert!((30..=48).contains(&list.len()), "each costs every audit a question: {}", list.len());
        assert_eq!(list.iter().collect::<BTreeSet<_>>().len(), list.len());
        for selector in &list {
            assert!(DomainName::parse(&format!("{selector}._domainkey.acme.test")).is_ok(), "{selector}");
        }
    }

    #[test]
    fn what_is_meant_as_a_key_is_told_from_other_texts() {
        let is_key = |text: &str| is_key(&RecordData::Txt(TxtData::from_text(text)));
        for key in
            ["v=DKIM1; p=AAAA", "p=AAAA", "v=DKIM1; k=rsa", "\"v=DKIM1; p=AAAA\"", "v=DKIM1; k=rsa; p=x y"]
        {
            assert!(is_key(key), "{key}");
        }
        for other in ["v=spf1 -all", "v=DKIM1; p=", "google-site-verification=abc", "", "parked"] {
            assert!(!is_key(other), "{other}");
        }
    }
}
