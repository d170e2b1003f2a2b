//! Whom the zone of a domain is delegated to: remembered, and told when it changes.
//!
//! Who gets a domain's delegation into their hands can prove control of it, so its owner wants to know when it changes. It
//! takes nothing away by itself. What counts is what the servers of the zone above say, all that were asked the same; a
//! change is one when two checks some minutes apart have seen it.

use diagnosis::{
    Observation,
    observation::{Outcome, Rcode, Server},
};
use jiff::{SignedDuration, Timestamp};
use model::{DomainName, RecordData, RecordType, registrable_domain};
use serde_json::{Value, json};
use store::Delegation;

/// How far apart two checks are that confirm a change.
const APART: SignedDuration = SignedDuration::from_mins(5);

/// When the second check is made, at the latest.
pub(crate) const AGAIN: SignedDuration = SignedDuration::from_mins(6);

/// Whom the zone above delegates a zone to: the zone and the sorted names, with blanks between. Nothing where none of its
/// servers says so, or two of them say different things.
pub(crate) fn seen(observation: &Observation, zone: Option<&DomainName>) -> Option<String> {
    let zone = zone?;
    let mut found: Option<Vec<&DomainName>> = None;
    for exchange in &observation.exchanges {
        let question = &exchange.ask.question;
        let Server::Authority { zone: above, .. } = &exchange.ask.server else { continue };
        if question.name != *zone || question.record_type != RecordType::Ns || !zone.is_below(above) {
            continue;
        }
        let Outcome::Reply(reply) = &exchange.outcome else { continue };
        if reply.rcode != Rcode::NoError || reply.authoritative {
            continue;
        }
        let records = reply.answer.iter().chain(&reply.authority).filter(|record| record.owner == *zone);
        let mut names: Vec<_> = records
            .filter_map(|record| match &record.data {
                RecordData::Ns(name) => Some(name),
                _ => None,
            })
            .collect();
        names.sort();
        names.dedup();
        if names.is_empty() {
            continue;
        }
        if found.as_ref().is_some_and(|found| *found != names) {
            return None;
        }
        found = Some(names);
    }
    let mut text = zone.to_string();
    for name in found? {
        text.push(' ');
        text.push_str(name.as_str());
    }
    Some(text)
}

/// A delegation that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Changed {
    old: String,
    new: String,
}

impl Changed {
    /// As the event tells it.
    pub fn data(&self, domain: &DomainName) -> Value {
        let (old_zone, old) = parts(&self.old);
        let (zone, new) = parts(&self.new);
        json!({
            "domain": domain,
            "zone": zone,
            "old_zone": old_zone,
            "old_name_servers": old,
            "name_servers": new,
            "same_operator": operators(&old) == operators(&new),
        })
    }
}

fn parts(text: &str) -> (&str, Vec<&str>) {
    let mut words = text.split(' ');
    (words.next().unwrap_or_default(), words.collect())
}

/// The domains that the names are in, sorted.
fn operators(names: &[&str]) -> Vec<String> {
    let of = |name: &&str| {
        let name = DomainName::parse(name).ok()?;
        Some(registrable_domain(&name).unwrap_or(name).to_string())
    };
    let mut operators: Vec<String> = names.iter().filter_map(of).collect();
    operators.sort();
    operators.dedup();
    operators
}

/// What is remembered after a check, and what has changed for certain.
pub(crate) fn next(before: &Delegation, seen: Option<&str>, now: Timestamp) -> (Delegation, Option<Changed>) {
    let Some(seen) = seen else { return (before.clone(), None) };
    let settled = Delegation { confirmed: Some(seen.to_owned()), seen: None, seen_at: None };
    let Some(known) = before.confirmed.as_deref().filter(|known| *known != seen) else {
        return (settled, None);
    };
    match before.seen_at.filter(|_| before.seen.as_deref() == Some(seen)) {
        Some(first) if now.duration_since(first) >= APART => {
            (settled, Some(Changed { old: known.to_owned(), new: seen.to_owned() }))
        }
        Some(_) => (before.clone(), None),
        None => {
            let confirmed = before.confirmed.clone();
            (Delegation { confirmed, seen: Some(seen.to_owned()), seen_at: Some(now) }, None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diagnosis::observation::{Ask, Exchange, Failure, Question, Reply};
    use model::Record;
    use std::sync::Arc;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + minutes * 60).unwrap()
    }

    fn name(text: &str) -> DomainName {
        DomainName::parse(text).unwrap()
    }

    /// What servers of the zone above say; nothing is no answer.
    fn observation(said: &[&[&str]]) -> Observation {
        let exchanges = said.iter().zip(1..).map(|(names, number)| {
            let server = Server::Authority {
                zone: name("test"),
                name: name("ns.test"),
                address: format!("192.0.2.{number}:53").parse().unwrap(),
            };
            let question = Question { name: name("acme.test"), record_type: RecordType::Ns };
            let record =
                |host: &&str| Record { owner: name("acme.test"), ttl: 60, data: RecordData::Ns(name(host)) };
            let authority = names.iter().map(record).collect::<Vec<_>>();
            let outcome = if names.is_empty() {
                Outcome::Failure(Failure::Timeout)
            } else {
                Outcome::Reply(Reply { authority, ..Reply::default() })
            };
            Arc::new(Exchange { ask: Ask::new(question, server), at: at(0), outcome })
        });
        Observation { exchanges: exchanges.collect(), ..Observation::default() }
    }

    #[test]
    fn a_delegation_is_read_where_the_zone_above_agrees() {
        let zone = name("acme.test");
        let of = |said: &[&[&str]]| seen(&observation(said), Some(&zone));
        let wanted = Some("acme.test ns1.a.test ns2.a.test".to_owned());
        assert_eq!(of(&[&["ns2.a.test", "NS1.a.test."], &["ns1.a.test", "ns2.a.test"]]), wanted);
        assert_eq!(of(&[&[], &["ns1.a.test", "ns2.a.test"]]), wanted);
        assert_eq!(of(&[&["ns1.a.test"], &["ns1.a.test", "ns2.a.test"]]), None, "on its way");
        assert_eq!(of(&[&[], &[]]), None);
        assert_eq!(seen(&observation(&[&["ns1.a.test"]]), None), None);
        assert_eq!(seen(&observation(&[&["ns1.a.test"]]), Some(&name("mail.acme.test"))), None);
    }

    #[test]
    fn a_change_is_one_when_two_checks_some_minutes_apart_saw_it() {
        let (old, new) = ("acme.test ns1.a.test", "acme.test ns1.b.test");
        let (known, change) = next(&Delegation::default(), Some(old), at(0));
        assert_eq!((known.confirmed.as_deref(), &change), (Some(old), &None), "remembered in silence");
        assert_eq!(next(&known, None, at(1)), (known.clone(), None));
        let (once, change) = next(&known, Some(new), at(2));
        assert_eq!((once.confirmed.as_deref(), once.seen_at, &change), (Some(old), Some(at(2)), &None));
        assert_eq!(next(&once, Some(new), at(4)), (once.clone(), None), "too soon");
        assert_eq!(next(&once, Some(old), at(9)), (known, None), "it was nothing");
        let (third, _) = next(&once, Some("acme.test ns1.c.test"), at(9));
        assert_eq!(third.seen_at, Some(at(9)), "another one");
        let (settled, change) = next(&once, Some(new), at(7));
        let change = change.unwrap();
        assert_eq!((settled.confirmed.as_deref(), settled.seen), (Some(new), None));
        assert_eq!(
            change.data(&name("mail.acme.test")),
            json!({
                "domain": "mail.acme.test", "zone": "acme.test", "old_zone": "acme.test",
                "old_name_servers": ["ns1.a.test"], "name_servers": ["ns1.b.test"], "same_operator": false,
            })
        );
        let moved =
            Changed { old: "acme.test ns1.a.test".into(), new: "acme.test ns2.a.test ns3.a.test".into() };
        assert_eq!(moved.data(&name("acme.test"))["same_operator"], true);
    }
}
