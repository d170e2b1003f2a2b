//! DKIM keys are rotated in place: nothing changes in the customer's DNS.
//!
//! Each key is behind an alias of the customer's, in our zone. One signs, the others stand by, published. To rotate, one that
//! stands by begins to sign; the one before stays published for [`DRAINED`], until the mail that it signed has been read, and
//! then a new key takes its place behind the same selector and stands by. Each step is one transaction, and what the next one
//! is follows from what is stored.

use crate::{
    App,
    access::{Caller, Scope},
    domains::DomainView,
    error::{Error, Result},
    platform_zone::TTL,
};
use diagnosis::{Expected, RecordReport};
use jiff::{SignedDuration, Timestamp};
use model::{DomainId, DomainStatus};
use serde_json::json;
use store::{DkimKey, KeyState, StoreError, Told};

/// How long a key that does not sign any more stays published: longer than mail is tried to be delivered.
const DRAINED: SignedDuration = SignedDuration::from_hours(7 * 24);

/// How long resolvers may know the key that was behind a selector before, with some room.
const SPREAD: SignedDuration = SignedDuration::from_secs(2 * TTL as i64);

/// How many keys are replaced in one go.
const AT_ONCE: u32 = 50;

/// Whether the record was right when it was last certain, and that with this very key.
fn is_seen(key: &DkimKey, record: &RecordReport) -> bool {
    let is_of = match &record.planned.expected {
        Expected::Cname { dkim_key: wanted, .. } | Expected::Dkim { public_key: wanted, .. } => {
            wanted.as_ref().is_none_or(|wanted| *wanted == key.public_key)
        }
        _ => false,
    };
    is_of && record.was_right()
}

/// The key to sign with, and its record: the active one, else one that stands by, else one that drains, each where its record
/// was seen to be right; where none was, the first of them.
pub(crate) fn signing_key<'a>(
    keys: &'a [DkimKey],
    records: &[&'a RecordReport],
) -> Option<(&'a DkimKey, &'a RecordReport)> {
    let rank = |key: &DkimKey| match key.state {
        KeyState::Active => 0,
        KeyState::Standby => 1,
        KeyState::Draining | KeyState::Retired => 2,
    };
    let pairs = || keys.iter().zip(records.iter().copied());
    let seen = pairs().filter(|(key, record)| is_seen(key, record)).min_by_key(|(key, _)| rank(key));
    seen.or_else(|| pairs().min_by_key(|(key, _)| rank(key)))
}

/// The key that signs next, and the one that signs now; the error says why there is none, as the end of a sentence.
fn next_key<'a>(
    keys: &'a [DkimKey],
    records: &[&RecordReport],
    now: Timestamp,
) -> std::result::Result<(&'a DkimKey, &'a DkimKey), String> {
    let is_alias =
        |record: &&RecordReport| matches!(record.planned.expected, Expected::Cname { dkim_key: Some(_), .. });
    if !records.iter().all(is_alias) {
        return Err("its keys are TXT records in its own DNS, where only their owner changes them; delete the domain \
                    and add it again to get new ones"
            .to_owned());
    }
    if keys.len() < 2 {
        return Err("its profile has one DKIM key, and the next one has to be in place before".to_owned());
    }
    let active = keys.iter().position(|key| key.state == KeyState::Active);
    let Some(active) = active else { return Err("none of its keys signs".to_owned()) };
    // Round and round, so that each has its turn.
    let others = (1..keys.len()).map(|step| (active + step) % keys.len());
    let mut standing_by = others.filter(|&place| keys[place].state == KeyState::Standby).peekable();
    if standing_by.peek().is_none() {
        let until = keys.iter().filter_map(|key| key.retire_at).min();
        let until = until
            .map_or_else(String::new, |at| format!(", which is until {}", at.strftime("%Y-%m-%d %H:%M UTC")));
        return Err(format!("every other key stays published for mail that it has signed{until}"));
    }
    let is_ready = |place: &usize| {
        let has_spread = keys[*place].placed_at.is_none_or(|at| now.duration_since(at) >= SPREAD);
        has_spread && records.get(*place).is_some_and(|record| is_seen(&keys[*place], record))
    };
    standing_by.find(is_ready).map(|place| (&keys[place], &keys[active])).ok_or_else(|| {
        "the record of the key that would sign next was not seen to be right yet; verify the domain first"
            .to_owned()
    })
}

impl App {
    /// The keys of a domain, in their order.
    pub async fn domain_keys(&self, caller: &Caller, id: DomainId) -> Result<Vec<DkimKey>> {
        caller.require(Scope::ReadDomains)?;
        let domain = self.stored_domain(caller, id).await?;
        Ok(self.store.keys_of_domain(domain.id).await?)
    }

    /// What happened to a domain, newest first.
    pub async fn domain_history(
        &self,
        caller: &Caller,
        id: DomainId,
        limit: u32,
    ) -> Result<Vec<store::Event>> {
        caller.require(Scope::ReadDomains)?;
        let domain = self.stored_domain(caller, id).await?;
        Ok(self.store.list_events_for_subject(domain.org_id, &id.to_string(), limit).await?)
    }

    /// Has the next key of a domain sign from now on.
    pub async fn rotate_domain_keys(&self, caller: &Caller, id: DomainId) -> Result<DomainView> {
        caller.require(Scope::WriteDomains)?;
        let domain = self.stored_domain(caller, id).await?;
        if domain.claimed_at.is_some() {
            return Err(Error::ClaimedAway(domain.name));
        }
        if domain.status == DomainStatus::Disabled {
            return Err(Error::DomainDisabled(domain.name));
        }
        let name = domain.name.clone();
        let keys = self.store.keys_of_domain(id).await?;
        let view = self.domain_view(domain).await?;
        let records: Vec<_> = view.report.records.iter().filter(|record| record.is_dkim()).collect();
        let now = self.clock.now();
        let refused = |reason| Error::KeysNotRotatable { domain: name.clone(), reason };
        let (next, former) = next_key(&keys, &records, now).map_err(refused)?;
        let retire_at = now.checked_add(DRAINED).unwrap_or(Timestamp::MAX);
        let data = json!({
            "domain": name, "selector": next.selector, "former_selector": former.selector, "retire_at": retire_at,
        });
        let event = self.event(caller.org_id, "domain.key_rotated", id.to_string(), &data, now);
        let audit = self.audit_entry(caller, "domain.key_rotated", &id, &data, now);
        let told = Told::new(std::slice::from_ref(&event), &audit);
        match self.store.rotate_keys(id, next.id, former.id, retire_at, told).await {
            Err(StoreError::StaleVersion) => {
                return Err(refused("somebody else rotates them at this moment".to_owned()));
            }
            other => other?,
        }
        tracing::info!(domain = %name, selector = next.selector, "another DKIM key signs");
        self.domain(caller, id).await
    }

    /// Puts new keys behind the selectors of those that have drained. Returns how many.
    pub(crate) async fn replace_drained_keys(&self) -> Result<usize> {
        let now = self.clock.now();
        let drained = self.store.drained_keys(now, AT_ONCE).await?;
        let mut replaced = 0;
        for key in drained {
            // Until resolvers know the new key a check would find the old one.
            let looked_at = now.checked_add(SPREAD).unwrap_or(now);
            match self.store.replace_drained_key(&key, now, looked_at).await {
                Ok(()) => replaced += 1,
                // Another node did it, or the domain is gone.
                Err(StoreError::StaleVersion) => {}
                // Others wait for keys as well; these have time.
                Err(StoreError::PoolEmpty) => break,
                Err(error) => return Err(error.into()),
            }
        }
        if replaced > 0 {
            self.wake.dns.notify_one();
            self.wake.key_pool.notify_one();
        }
        Ok(replaced)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diagnosis::{PlannedRecord, Report};
    use model::{DomainName, KeyId, Purpose, RecordStatus};

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + minutes * 60).unwrap()
    }

    fn keys(states: &[KeyState]) -> Vec<DkimKey> {
        let key = |(position, state): (u32, &KeyState)| DkimKey {
            id: KeyId::from_parts(1, position.into()),
            domain_id: DomainId::from_parts(1, 1),
            selector: format!("s{position}"),
            public_key: format!("key{position}"),
            private_key: store::Hidden::default(),
            state: *state,
            position,
            created_at: at(0),
            placed_at: None,
            retire_at: (*state == KeyState::Draining).then(|| at(90)),
        };
        (0..).zip(states).map(key).collect()
    }

    /// The records of those keys, each right or not.
    fn report(right: &[bool]) -> Report {
        let name = DomainName::parse("acme.test").unwrap();
        let records = (0..right.len()).map(|number| PlannedRecord {
            key: format!("dkim-{number}"),
            purpose: Purpose::Dkim,
            owner: name.prepend("_domainkey").unwrap().prepend(&format!("s{number}")).unwrap(),
            ttl: 60,
            required: true,
            expected: Expected::Cname { target: name.clone(), dkim_key: Some(format!("key{number}")) },
            explanation: String::new(),
        });
        let plan = diagnosis::Plan::new(name.clone(), "x", records.collect());
        let mut report = Report::unchecked(&plan, at(0));
        for (record, right) in report.records.iter_mut().zip(right) {
            record.status = if *right { RecordStatus::Verified } else { RecordStatus::Missing };
        }
        report
    }

    use KeyState::{Active, Draining, Standby};

    fn signs(states: &[KeyState], right: &[bool]) -> u32 {
        let (keys, report) = (keys(states), report(right));
        let records: Vec<_> = report.records.iter().collect();
        signing_key(&keys, &records).unwrap().0.position
    }

    #[test]
    fn the_active_key_signs_and_another_one_where_it_was_not_seen() {
        assert_eq!(signs(&[Standby, Active, Standby], &[true; 3]), 1);
        assert_eq!(signs(&[Draining, Active, Standby], &[true, false, true]), 2);
        assert_eq!(signs(&[Draining, Active, Standby], &[true, false, false]), 0, "still published");
        assert_eq!(signs(&[Draining, Active, Standby], &[false; 3]), 1);
        // A record that was right with another key than is behind it now.
        let (mut keys, report) = (keys(&[Active, Standby]), report(&[true, true]));
        keys[0].public_key = "new".into();
        let records: Vec<_> = report.records.iter().collect();
        assert_eq!(signing_key(&keys, &records).unwrap().0.position, 1);
    }

    #[test]
    fn keys_take_turns_and_none_signs_before_it_was_seen() {
        let next = |states: &[KeyState], right: &[bool]| {
            let (keys, report) = (keys(states), report(right));
            let records: Vec<_> = report.records.iter().collect();
            next_key(&keys, &records, at(60)).map(|(next, former)| (next.position, former.position))
        };
        assert_eq!(next(&[Active, Standby, Standby], &[true; 3]), Ok((1, 0)));
        assert_eq!(next(&[Standby, Active, Standby], &[true; 3]), Ok((2, 1)));
        assert_eq!(next(&[Standby, Draining, Active], &[true; 3]), Ok((0, 2)));
        assert_eq!(next(&[Active, Standby, Standby], &[true, false, true]), Ok((2, 0)));
        assert!(next(&[Active, Standby], &[true, false]).unwrap_err().contains("verify"));
        assert!(next(&[Active, Draining], &[true; 2]).unwrap_err().contains("until"));
        assert!(next(&[Active], &[true]).unwrap_err().contains("one DKIM key"));
        // One that was just put there: resolvers may know the one before.
        let (mut keys, report) = (keys(&[Active, Standby]), report(&[true; 2]));
        let records: Vec<_> = report.records.iter().collect();
        keys[1].placed_at = Some(at(55));
        assert!(next_key(&keys, &records, at(60)).is_err());
        assert!(next_key(&keys, &records, at(65)).is_ok());
    }
}
