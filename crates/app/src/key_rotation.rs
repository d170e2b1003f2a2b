//! DKIM keys take turns.
//!
//! Behind aliases of the customer's, in our zone, keys rotate in place and nothing changes in the customer's DNS: one signs, the
//! others stand by, published. To rotate, one that stands by begins to sign; the one before stays published for [`DRAINED`],
//! until the mail that it signed has been read, and then a new key takes its place behind the same selector and stands by.
//!
//! A key that the customer publishes as TXT is rotated in steps ([`beside`]). Each step is one transaction, and what the next
//! one is follows from what is stored ([`turn`]).

mod beside;
mod import;
mod schedule;
mod turn;

pub use import::ImportKey;

pub(crate) use beside::record_beside;

use crate::{
    App,
    access::{Caller, Scope},
    domains::DomainView,
    error::{Error, Result},
    platform_zone::TTL,
    retired_keys,
};
use diagnosis::{Expected, PlannedRecord, RecordReport};
use jiff::{SignedDuration, Timestamp};
use model::{DomainId, DomainName, DomainStatus};
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc};
use store::{AuditEntry, DkimKey, GoneKey, KeyState, KeyTurn, NewEvent, StoreError, Told};
use turn::{Cause, Stuck, Turn, turn};

/// How long a key that does not sign any more stays published: longer than mail is tried to be delivered.
const DRAINED: SignedDuration = SignedDuration::from_hours(7 * 24);

/// How long resolvers may know the key that was behind a selector before, with some room.
const SPREAD: SignedDuration = SignedDuration::from_secs(2 * TTL as i64);

/// For how long it is said that a record may be removed.
const TOLD: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How many keys are replaced in one go.
const AT_ONCE: u32 = 50;

/// A key of a domain, and where the domain's DNS has it.
#[derive(Debug, Clone)]
pub struct KeyAtDomain {
    /// The key.
    pub key: DkimKey,
    /// Its selector at the domain, as signatures name it (RFC 6376 section 3.1).
    pub selector: String,
    /// The name of its TXT record, where the domain's own DNS has the key; nothing behind an alias.
    pub txt_record: Option<DomainName>,
}

impl KeyAtDomain {
    fn new(key: DkimKey, records: &[Arc<PlannedRecord>], domain: &DomainName) -> Self {
        let is_text = |record: &&Arc<PlannedRecord>| matches!(record.expected, Expected::Dkim { .. });
        let txt_record = planned_for(&key, records).filter(is_text).map(|record| record.owner.clone());
        Self { selector: selector_at(&key, records, domain), key, txt_record }
    }
}

fn planned_for<'a>(key: &DkimKey, records: &'a [Arc<PlannedRecord>]) -> Option<&'a Arc<PlannedRecord>> {
    records.iter().find(|record| wanted(record) == Some(&key.public_key))
}

/// The selector of a key at the domain: that of its record; where it has none, that which is stored.
fn selector_at(key: &DkimKey, records: &[Arc<PlannedRecord>], domain: &DomainName) -> String {
    let stored = || key.beside.clone().unwrap_or_else(|| key.selector.clone());
    planned_for(key, records).map_or_else(stored, |record| selector_of(&record.owner, domain))
}

/// Whether a domain has a record at the name of a selector, be it another one's alias.
fn has_record_at(selector: &str, records: &[Arc<PlannedRecord>], domain: &DomainName) -> bool {
    DomainName::parse(&format!("{selector}._domainkey.{domain}"))
        .is_ok_and(|name| records.iter().any(|record| record.owner == name))
}

/// The key that a record is for, where it says so.
fn wanted(record: &PlannedRecord) -> Option<&String> {
    match &record.expected {
        Expected::Cname { dkim_key, .. } => dkim_key.as_ref(),
        Expected::Dkim { public_key, .. } => public_key.as_ref(),
        _ => None,
    }
}

/// Whether the record is in our hands: an alias to our zone, or in a zone that is delegated to us.
fn is_alias(record: &RecordReport) -> bool {
    record.planned.hosted || matches!(record.planned.expected, Expected::Cname { dkim_key: Some(_), .. })
}

/// Whether the record was right when it was last certain, and that with this very key.
fn is_seen(key: &DkimKey, record: &RecordReport) -> bool {
    wanted(&record.planned) == Some(&key.public_key) && record.was_right()
}

/// The record of a key: the one that names it, else the alias in its place, behind which there may be another key by now.
fn record_of<'a>(key: &DkimKey, records: &[&'a RecordReport]) -> Option<&'a RecordReport> {
    let in_place = || {
        let place = usize::try_from(key.position).ok().filter(|_| key.beside.is_none())?;
        records.get(place).copied().filter(|record| is_alias(record))
    };
    records.iter().copied().find(|record| wanted(&record.planned) == Some(&key.public_key)).or_else(in_place)
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
    let pairs = || keys.iter().filter_map(|key| record_of(key, records).map(|record| (key, record)));
    let seen = pairs().filter(|(key, record)| is_seen(key, record)).min_by_key(|(key, _)| rank(key));
    seen.or_else(|| pairs().min_by_key(|(key, _)| rank(key)))
}

/// The selector of a key record's name: what stands before `._domainkey.` and the domain (RFC 6376 section 3.6.2.1).
pub(crate) fn selector_of(owner: &DomainName, domain: &DomainName) -> String {
    let below = owner.as_str().strip_suffix(domain.as_str()).unwrap_or(owner.as_str());
    below.trim_end_matches('.').trim_end_matches("_domainkey").trim_end_matches('.').to_owned()
}

/// Which keys' records may be removed: of a selector the newest key, and none whose name the domain has a record at again.
fn removable(gone: Vec<GoneKey>, records: &[Arc<PlannedRecord>], domain: &DomainName) -> Vec<GoneKey> {
    let mut newest: BTreeMap<String, GoneKey> = BTreeMap::new();
    for key in gone.into_iter().filter(|key| !has_record_at(&key.selector, records, domain)) {
        let known = newest.get(&key.selector);
        if known.is_none_or(|known| known.since <= key.since) {
            newest.insert(key.selector.clone(), key);
        }
    }
    let mut newest: Vec<_> = newest.into_values().collect();
    newest.sort_by_key(|key| key.since);
    newest
}

/// One step of a rotation: whose, who has it done, and whether the keys that have signed so far go at once.
struct Step<'a> {
    view: &'a DomainView,
    by: &'a Caller,
    compromised: bool,
    now: Timestamp,
}

impl Step<'_> {
    /// Until when a key that signs no more stays: its time was set where somebody else may have it.
    fn retire_at(&self, former: &DkimKey) -> Timestamp {
        let drained = || self.now.checked_add(DRAINED).unwrap_or(Timestamp::MAX);
        if self.compromised { self.now } else { former.retire_at.unwrap_or_else(drained) }
    }

    fn refused(&self, reason: &(impl ToString + ?Sized)) -> Error {
        Error::KeysNotRotatable { domain: self.view.domain.name.clone(), reason: reason.to_string() }
    }
}

impl App {
    /// A domain's name, its keys in their order, and those whose records may be removed.
    pub async fn domain_keys(
        &self,
        caller: &Caller,
        id: DomainId,
    ) -> Result<(DomainName, Vec<KeyAtDomain>, Vec<GoneKey>)> {
        caller.require(Scope::ReadDomains)?;
        let domain = self.stored_domain(caller, id).await?;
        let keys = self.store.keys_of_domain(id).await?;
        // A domain whose profile is not loaded any more has keys all the same.
        let records = self.plan_with(&domain, keys.iter()).map(|plan| plan.records).unwrap_or_default();
        let since = self.clock.now().checked_sub(TOLD).unwrap_or_default();
        let gone = removable(self.store.gone_keys(id, since).await?, &records, &domain.name);
        let keys = keys.into_iter().map(|key| KeyAtDomain::new(key, &records, &domain.name)).collect();
        Ok((domain.name, keys, gone))
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

    /// Has the next key of a domain sign from now on; where the customer has to publish it first, prepares it. Where they are
    /// `compromised`, the keys that have signed before go at once, and the one that signs as soon as the next one does.
    pub async fn rotate_domain_keys(
        &self,
        caller: &Caller,
        id: DomainId,
        compromised: bool,
    ) -> Result<DomainView> {
        caller.require(Scope::WriteDomains)?;
        let domain = self.domain_with_keys(caller, id).await?;
        let view = self.domain_view(domain).await?;
        self.rotate(&view, caller, Cause::Asked { compromised }).await?;
        if self.store.keys_of_domain(id).await?.iter().any(|key| key.beside.is_some()) {
            // With the record to publish.
            return self.check_in_turn(caller, id).await;
        }
        self.domain(caller, id).await
    }

    /// A domain whose keys may be changed.
    async fn domain_with_keys(&self, caller: &Caller, id: DomainId) -> Result<store::Domain> {
        let domain = self.stored_domain(caller, id).await?;
        if domain.claimed_at.is_some() {
            return Err(Error::ClaimedAway(domain.name));
        }
        if domain.status == DomainStatus::Disabled {
            return Err(Error::DomainDisabled(domain.name));
        }
        Ok(domain)
    }

    /// One step of a rotation. Whether anything was done.
    async fn rotate(&self, view: &DomainView, by: &Caller, cause: Cause) -> Result<bool> {
        let keys = self.store.keys_of_domain(view.domain.id).await?;
        let records: Vec<_> = view.report.all().filter(|record| record.is_dkim()).collect();
        let now = self.clock.now();
        let compromised = matches!(cause, Cause::Asked { compromised: true });
        let step = Step { view, by, compromised, now };
        let turn = match turn(&keys, &records, now) {
            Ok(turn) => turn,
            Err(stuck) => return Err(self.stuck(&step, &keys, stuck).await?),
        };
        let is_asked = matches!(cause, Cause::Asked { .. });
        let former = match turn {
            Turn::Sign { next, .. } if cause == Cause::Seen && next.beside.is_none() => return Ok(false),
            Turn::Sign { next, former } => {
                self.sign_with(&step, &keys, next, former).await?;
                return Ok(true);
            }
            Turn::TakePlace { next, former } => {
                self.put_in_place(&step, &keys, next, former).await?;
                return Ok(true);
            }
            Turn::PutBeside { .. } | Turn::Wait { .. } if !is_asked => return Ok(false),
            Turn::PutBeside { former, takes_place } => {
                self.put_beside(&step, &keys, former, takes_place).await?;
                former
            }
            Turn::Wait { former } => former,
        };
        if compromised {
            self.expire(&step, &keys, Some(former)).await?;
        }
        Ok(compromised || matches!(turn, Turn::PutBeside { .. }))
    }

    /// Why nothing else signs. The key that somebody else may have may be one that has signed before: those go all the same.
    async fn stuck(&self, step: &Step<'_>, keys: &[DkimKey], stuck: Stuck) -> Result<Error> {
        if !step.compromised || !keys.iter().any(|key| key.state == KeyState::Draining) {
            return Ok(step.refused(&stuck));
        }
        self.expire(step, keys, None).await?;
        Ok(match stuck {
            Stuck::AllDrain { .. } => step.refused(
                "every other key has signed before; those go now, and new ones take their places: verify the domain in a \
                 quarter of an hour and ask again",
            ),
            other => step.refused(&other),
        })
    }

    /// Has the keys go that have signed before, and the one that signs as soon as another one does.
    async fn expire(&self, step: &Step<'_>, keys: &[DkimKey], active: Option<&DkimKey>) -> Result<()> {
        let domain = &step.view.domain;
        let plan = self.plan_with(domain, keys.iter())?;
        let draining = keys.iter().filter(|key| key.state == KeyState::Draining);
        let selectors: Vec<_> = active
            .into_iter()
            .chain(draining)
            .map(|key| selector_at(key, &plan.records, &domain.name))
            .collect();
        let data = json!({"domain": domain.name, "selectors": selectors});
        let line = self.audit_entry(step.by, "domain.keys_compromised", &domain.id, &data, step.now);
        let told = Told { events: &[], audit: Some(&line) };
        let expired = self.store.expire_keys(domain.id, active.map(|key| key.id), step.now, told).await;
        expired.map_err(|error| not_now(&domain.name, error))?;
        self.wake.key_pool.notify_one();
        self.wake.verify.notify_one();
        Ok(())
    }

    async fn sign_with(
        &self,
        step: &Step<'_>,
        keys: &[DkimKey],
        next: &DkimKey,
        former: &DkimKey,
    ) -> Result<()> {
        let domain = &step.view.domain;
        let plan = self.plan_with(domain, keys.iter())?;
        let selector = selector_at(next, &plan.records, &domain.name);
        let former_selector = selector_at(former, &plan.records, &domain.name);
        let turn = self.turn_to(step, next, former);
        let (event, line) = self.turned(step, &turn, &selector, &former_selector);
        let rotated = self.store.rotate_keys(&turn, Told::new(std::slice::from_ref(&event), &line)).await;
        rotated.map_err(|error| not_now(&domain.name, error))?;
        self.has_turned(step, &turn, &selector);
        Ok(())
    }

    fn turn_to<'a>(&self, step: &Step<'_>, next: &'a DkimKey, former: &'a DkimKey) -> KeyTurn<'a> {
        KeyTurn {
            next,
            former,
            retire_at: step.retire_at(former),
            expires_others: step.compromised,
            next_at: self.next_rotation(step.view.domain.id, step.now),
            now: step.now,
        }
    }

    /// What is told of a turn, whoever had it done.
    fn turned(
        &self,
        step: &Step<'_>,
        turn: &KeyTurn<'_>,
        selector: &str,
        former_selector: &str,
    ) -> (NewEvent, AuditEntry) {
        let domain = &step.view.domain;
        let data = json!({
            "domain": domain.name, "selector": selector, "former_selector": former_selector, "retire_at": turn.retire_at,
            // Said now, or when the key that signs from now on was prepared.
            "compromised": turn.retire_at <= step.now,
        });
        let event = self.event(domain.org_id, "domain.key_rotated", domain.id.to_string(), &data, step.now);
        (event, self.audit_entry(step.by, "domain.key_rotated", &domain.id, &data, step.now))
    }

    /// What follows a turn.
    fn has_turned(&self, step: &Step<'_>, turn: &KeyTurn<'_>, selector: &str) {
        metrics::counter!("countersign_keys_rotated_total").increment(1);
        tracing::info!(domain = %step.view.domain.name, selector, "another DKIM key signs");
        self.wake.verify.notify_one();
        if turn.expires_others || turn.retire_at <= step.now {
            self.wake.key_pool.notify_one();
        }
    }

    /// The name that verifiers asked for a key that goes, where such keys are told to the world.
    async fn owner_to_tell(&self, key: &DkimKey) -> Result<Option<DomainName>> {
        if !self.settings.retired_keys.is_on() {
            return Ok(None);
        }
        let Some((org, name)) = self.store.name_of_domain(key.domain_id).await? else { return Ok(None) };
        let plan = self.plan_of(&self.store.get_domain(org, key.domain_id).await?).await?;
        Ok(retired_keys::owner(&selector_at(key, &plan.records, &name), &name))
    }

    /// Puts new keys behind the selectors of those that have drained, and takes away those that stand beside. Returns how
    /// many.
    pub async fn replace_drained_keys(&self) -> Result<usize> {
        // By a clock that is wrong they would go too early.
        if !self.may_claim() {
            return Ok(0);
        }
        let now = self.clock.now();
        let drained = self.store.drained_keys(now, AT_ONCE).await?;
        let mut replaced = 0;
        for key in drained {
            let done = if key.beside.is_some() {
                self.retire_beside(&key, now).await?
            } else {
                // Until resolvers know the new key a check would find the old one.
                let looked_at = now.checked_add(SPREAD).unwrap_or(now);
                let owner = self.owner_to_tell(&key).await?;
                self.store.replace_drained_key(&key, now, looked_at, owner.as_ref()).await
            };
            match done {
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

/// What the store said about a turn.
fn not_now(name: &DomainName, error: StoreError) -> Error {
    match error {
        StoreError::StaleVersion => Error::KeysNotRotatable {
            domain: name.clone(),
            reason: "somebody else changes them at this moment; try again".to_owned(),
        },
        error => error.into(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use diagnosis::{PlannedRecord, Report};
    use model::{DomainName, KeyId, Purpose, RecordStatus};

    pub(in crate::key_rotation) fn at(minutes: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + minutes * 60).unwrap()
    }

    pub(in crate::key_rotation) fn keys(states: &[KeyState]) -> Vec<DkimKey> {
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
            beside: None,
        };
        (0..).zip(states).map(key).collect()
    }

    /// The records of those keys, each right or not.
    pub(in crate::key_rotation) fn report(right: &[bool]) -> Report {
        let name = DomainName::parse("acme.test").unwrap();
        let records = (0..right.len()).map(|number| PlannedRecord {
            hosted: false,
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

    /// A key that the customer publishes, and perhaps one beside it, each seen or not.
    pub(in crate::key_rotation) fn published(beside: Option<(KeyState, bool)>) -> (Vec<DkimKey>, Report) {
        let states: Vec<_> = [Active].into_iter().chain(beside.map(|(state, _)| state)).collect();
        let mut keys = keys(&states);
        let right: Vec<_> = [true].into_iter().chain(beside.map(|(_, seen)| seen)).collect();
        let mut report = report(&right);
        for (key, record) in keys.iter_mut().zip(&mut report.records) {
            key.beside = (key.position > 0).then(|| "new".to_owned());
            let planned = std::sync::Arc::make_mut(&mut record.planned);
            planned.expected = Expected::Dkim { public_key: Some(key.public_key.clone()), record: None };
        }
        (keys, report)
    }

    #[test]
    fn mail_is_signed_with_the_selector_of_the_very_key() {
        // The turn was stored, and nobody has looked at DNS since: the report has the records in their old order.
        let (mut keys, report) = published(Some((Standby, true)));
        (keys[0].state, keys[1].state) = (Draining, Active);
        (keys[0].position, keys[1].position) = (1, 0);
        keys.swap(0, 1);
        let records: Vec<_> = report.records.iter().collect();
        let (key, record) = signing_key(&keys, &records).unwrap();
        assert_eq!((key.state, wanted(&record.planned)), (Active, Some(&key.public_key)));
        // A key without a record signs nothing.
        keys[0].public_key = "other".into();
        assert_eq!(signing_key(&keys, &records).unwrap().0.state, Draining);
    }

    #[test]
    fn a_selector_is_what_stands_before_the_domain() {
        let domain = DomainName::parse("mail.acme.test").unwrap();
        for selector in ["s1", "a.b"] {
            let owner = DomainName::parse(&format!("{selector}._domainkey.mail.acme.test")).unwrap();
            assert_eq!(selector_of(&owner, &domain), selector);
        }
    }
}
