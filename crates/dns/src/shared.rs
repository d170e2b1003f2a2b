//! Answers that many plans of one run ask for: addresses of name servers, an SPF include of ours, `_dmarc` of a
//! public suffix.
//!
//! Only what lies outside of a plan's own domain is kept, only certain answers, no longer than their TTL and never
//! longer than [`LONGEST`], and bounded in number and octets, the oldest leaving first. An exchange made of a kept answer
//! has the time at which that answer came.

use diagnosis::{
    Plan,
    observation::{Ask, Exchange, Outcome, Rcode},
    readings::Readings,
};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// How many answers are kept.
const MOST: usize = 4096;

/// How many octets the kept answers have in all: a stranger's answer may be 64 KB long.
const MOST_OCTETS: usize = 16 << 20;

/// How long an answer is kept, whatever its TTL: a run should see its world change.
const LONGEST: Duration = Duration::from_mins(1);

/// The answers kept in one run.
#[derive(Default)]
pub(crate) struct Shared {
    kept: Mutex<Kept>,
    /// What their texts were read as.
    pub readings: Arc<Readings>,
}

#[derive(Default)]
struct Kept {
    answers: HashMap<Ask, Answer>,
    order: VecDeque<Ask>,
    octets: usize,
}

struct Answer {
    until: Instant,
    exchange: Arc<Exchange>,
    octets: usize,
}

impl Shared {
    /// What is known already of a question that other plans ask as well.
    pub(crate) fn get(&self, plan: &Plan, ask: &Ask, now: Instant) -> Option<Arc<Exchange>> {
        if ask.question.name.is_at_or_below(&plan.domain) {
            return None;
        }
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = kept.answers.get(ask).filter(|answer| answer.until > now)?;
        Some(Arc::clone(&answer.exchange))
    }

    /// Keeps an answer that other plans may ask for.
    pub(crate) fn put(&self, plan: &Plan, exchange: &Arc<Exchange>, now: Instant) {
        let Outcome::Reply(reply) = &exchange.outcome else { return };
        let ttl = Duration::from_secs(exchange.ttl().into()).min(LONGEST);
        let is_certain = matches!(reply.rcode, Rcode::NoError | Rcode::NxDomain);
        if !is_certain || ttl.is_zero() || exchange.ask.question.name.is_at_or_below(&plan.domain) {
            return;
        }
        let octets = reply.octets();
        let answer = Answer { until: now + ttl, exchange: Arc::clone(exchange), octets };
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).insert(&exchange.ask, answer);
    }
}

impl Kept {
    fn insert(&mut self, ask: &Ask, answer: Answer) {
        self.octets += answer.octets;
        match self.answers.insert(ask.clone(), answer) {
            Some(replaced) => self.octets -= replaced.octets,
            None => self.order.push_back(ask.clone()),
        }
        while (self.order.len() > MOST || self.octets > MOST_OCTETS)
            && let Some(oldest) = self.order.pop_front()
        {
            self.octets -= self.answers.remove(&oldest).map_or(0, |answer| answer.octets);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diagnosis::observation::{Question, Reply, Server};
    use model::{DomainName, Record, RecordData, RecordType, Timestamp, TxtData};

    fn plan() -> Plan {
        diagnosis::plan::audit(&DomainName::parse("acme.test").unwrap(), &[])
    }

    /// An answer with so many octets of text.
    fn exchange(owner: usize, octets: usize) -> Arc<Exchange> {
        let name = DomainName::parse(&format!("n{owner}.other.test")).unwrap();
        let data = RecordData::Txt(TxtData::from_text(&"x".repeat(octets)));
        let answer = vec![Record { owner: name.clone(), ttl: 60, data }];
        let question = Question { name, record_type: RecordType::Txt };
        let ask = Ask::new(question, Server::Resolver { address: "192.0.2.53:53".parse().unwrap() });
        let reply = Reply { answer, ..Reply::default() };
        Arc::new(Exchange { ask, at: Timestamp::UNIX_EPOCH, outcome: Outcome::Reply(reply) })
    }

    #[test]
    fn long_answers_make_the_oldest_ones_leave() {
        let (shared, plan, now) = (Shared::default(), plan(), Instant::now());
        let long: Vec<_> = (0..300).map(|owner| exchange(owner, 60_000)).collect();
        for exchange in &long {
            shared.put(&plan, exchange, now);
        }
        let is_kept = |exchange: &&Arc<Exchange>| shared.get(&plan, &exchange.ask, now).is_some();
        let kept = long.iter().filter(is_kept).count();
        assert!((270..280).contains(&kept), "{kept} of 60 KB are 16 MiB");
        assert!(long[300 - kept..].iter().all(|exchange| is_kept(&exchange)), "the newest are kept");
        // What replaces an answer takes its octets, too.
        let last = &long[299];
        for _ in 0..300 {
            shared.put(&plan, last, now);
        }
        assert_eq!(long.iter().filter(is_kept).count(), kept);
    }

    #[test]
    fn short_answers_are_bounded_in_number() {
        let (shared, plan, now) = (Shared::default(), plan(), Instant::now());
        for owner in 0..=MOST {
            shared.put(&plan, &exchange(owner, 10), now);
        }
        assert!(shared.get(&plan, &exchange(0, 10).ask, now).is_none());
        assert!(shared.get(&plan, &exchange(1, 10).ask, now).is_some());
        let kept = shared.kept.lock().unwrap();
        let octets: usize = kept.answers.values().map(|answer| answer.octets).sum();
        assert_eq!((kept.answers.len(), kept.octets), (MOST, octets));
    }
}
