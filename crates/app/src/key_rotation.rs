//! DKIM keys take turns.
//!
//! Behind aliases of the customer's, in our zone, keys rotate in place and nothing changes in the customer's DNS: one signs, the
//! others stand by, published. To rotate, one that stands by begins to sign; the one before stays published for [`DRAINED`],
//! until the mail that it signed has been read, and then a new key takes its place behind the same selector and stands by.
//!
//! A key that the customer publishes as TXT is rotated in steps ([`beside`]). Each step is one transaction, and what the next
//! one is follows from what is stored.

mod beside;
mod schedule;

pub use beside::ImportKey;

pub(crate) use beside::record_beside;

use crate::{
    App,
    access::{Caller, Scope},
    domains::DomainView,
    error::{Error, Result},
    platform_zone::TTL,
};
use diagnosis::{Expected, RecordReport};
use jiff::{SignedDuration, Timestamp};
use model::{DomainId, DomainName, DomainStatus};
use serde_json::json;
use store::{DkimKey, GoneKey, KeyState, StoreError, Told};

/// How long a key that does not sign any more stays published: longer than mail is tried to be delivered.
const DRAINED: SignedDuration = SignedDuration::from_hours(7 * 24);

/// How long resolvers may know the key that was behind a selector before, with some room.
const SPREAD: SignedDuration = SignedDuration::from_secs(2 * TTL as i64);

/// For how long it is said that a record may be removed.
const TOLD: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How many keys are replaced in one go.
const AT_ONCE: u32 = 50;

/// The key that a record is for, where it says so.
fn wanted(record: &RecordReport) -> Option<&String> {
    match &record.planned.expected {
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
    wanted(record) == Some(&key.public_key) && record.was_right()
}

/// The record of a key: the one that names it, else the alias in its place, behind which there may be another key by now.
fn record_of<'a>(key: &DkimKey, records: &[&'a RecordReport]) -> Option<&'a RecordReport> {
    let in_place = || {
        let place = usize::try_from(key.position).ok().filter(|_| key.beside.is_none())?;
        records.get(place).copied().filter(|record| is_alias(record))
    };
    records.iter().copied().find(|record| wanted(record) == Some(&key.public_key)).or_else(in_place)
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

/// How a rotation goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn<'a> {
    /// A key that stands by signs in place of another one.
    Sign { next: &'a DkimKey, former: &'a DkimKey },
    /// A key beside the profile's signs, and takes the place of that which signed.
    TakePlace { next: &'a DkimKey, former: &'a DkimKey },
    /// A key is put beside that which signs, for the customer to publish.
    PutBeside { former: &'a DkimKey },
    /// That was done, and the record is not seen yet.
    Wait { next: &'a DkimKey },
}

/// How the rotation of a domain's keys goes on; the error says why it does not, as the end of a sentence.
fn turn<'a>(
    keys: &'a [DkimKey],
    records: &[&RecordReport],
    now: Timestamp,
) -> std::result::Result<Turn<'a>, String> {
    let active = keys.iter().position(|key| key.state == KeyState::Active);
    let Some(active) = active else { return Err("none of its keys signs".to_owned()) };
    let former = &keys[active];
    let in_place = |key: &&DkimKey| key.beside.is_none();
    let has_alias = |key: &DkimKey| record_of(key, records).is_some_and(is_alias);
    let all_aliases = keys.iter().filter(in_place).all(has_alias);
    let is_ready = |key: &DkimKey| {
        let has_spread = key.placed_at.is_none_or(|at| now.duration_since(at) >= SPREAD);
        has_spread && record_of(key, records).is_some_and(|record| is_seen(key, record))
    };
    if let Some(next) = keys.iter().find(|key| key.beside.is_some() && key.state == KeyState::Standby) {
        return Ok(match former.beside {
            _ if !is_ready(next) => Turn::Wait { next },
            None if !all_aliases => Turn::TakePlace { next, former },
            _ => Turn::Sign { next, former },
        });
    }
    if !all_aliases {
        return Ok(Turn::PutBeside { former });
    }
    let places = keys.iter().filter(in_place).count();
    if places < 2 && former.beside.is_none() {
        return Err("its profile has one DKIM key, and the next one has to be in place before".to_owned());
    }
    // Round and round, so that each has its turn.
    let others = (1..=keys.len()).map(|step| &keys[(active + step) % keys.len()]).filter(in_place);
    let mut standing_by = others.filter(|key| key.state == KeyState::Standby).peekable();
    if standing_by.peek().is_none() {
        let until = keys.iter().filter_map(|key| key.retire_at).min();
        let until = until
            .map_or_else(String::new, |at| format!(", which is until {}", at.strftime("%Y-%m-%d %H:%M UTC")));
        return Err(format!("every other key stays published for mail that it has signed{until}"));
    }
    let next = standing_by.find(|key| is_ready(key));
    next.map(|next| Turn::Sign { next, former }).ok_or_else(|| {
        "the record of the key that would sign next was not seen to be right yet; verify the domain first"
            .to_owned()
    })
}

impl App {
    /// A domain's name, its keys in their order, and those whose records may be removed.
    pub async fn domain_keys(
        &self,
        caller: &Caller,
        id: DomainId,
    ) -> Result<(DomainName, Vec<DkimKey>, Vec<GoneKey>)> {
        caller.require(Scope::ReadDomains)?;
        let domain = self.stored_domain(caller, id).await?;
        let keys = self.store.keys_of_domain(id).await?;
        let since = self.clock.now().checked_sub(TOLD).unwrap_or_default();
        Ok((domain.name, keys, self.store.gone_keys(id, since).await?))
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

    /// Has the next key of a domain sign from now on; where the customer has to publish it first, prepares it. A key that is
    /// `compromised` goes at once when the next one signs.
    pub async fn rotate_domain_keys(
        &self,
        caller: &Caller,
        id: DomainId,
        compromised: bool,
    ) -> Result<DomainView> {
        caller.require(Scope::WriteDomains)?;
        let domain = self.domain_with_keys(caller, id).await?;
        let now = self.clock.now();
        if compromised {
            self.store.expire_active_key(id, now).await?;
        }
        let view = self.domain_view(domain).await?;
        self.rotate(&view, Some(caller), true).await?;
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

    /// One step of a rotation. Only somebody who asks for it (`begins`) has a key prepared that the customer has to publish.
    /// Whether anything was done.
    async fn rotate(&self, view: &DomainView, by: Option<&Caller>, begins: bool) -> Result<bool> {
        let keys = self.store.keys_of_domain(view.domain.id).await?;
        let records: Vec<_> = view.report.all().filter(|record| record.is_dkim()).collect();
        let now = self.clock.now();
        let refused = |reason| Error::KeysNotRotatable { domain: view.domain.name.clone(), reason };
        match turn(&keys, &records, now).map_err(refused)? {
            Turn::Sign { next, former } => self.sign_with(view, next, former, by, now).await?,
            Turn::TakePlace { next, former } => self.put_in_place(view, next, former, by, now).await?,
            Turn::PutBeside { former } if begins => self.put_beside(view, former, by, now).await?,
            Turn::PutBeside { .. } | Turn::Wait { .. } => return Ok(false),
        }
        Ok(true)
    }

    async fn sign_with(
        &self,
        view: &DomainView,
        next: &DkimKey,
        former: &DkimKey,
        by: Option<&Caller>,
        now: Timestamp,
    ) -> Result<()> {
        let id = view.domain.id;
        let retire_at = drained_at(former, now);
        let selector = |key: &DkimKey| key.beside.clone().unwrap_or_else(|| key.selector.clone());
        let data = json!({
            "domain": view.domain.name, "selector": selector(next), "former_selector": selector(former),
            "retire_at": retire_at,
        });
        let event = self.event(view.domain.org_id, "domain.key_rotated", id.to_string(), &data, now);
        let line = by.map(|by| self.audit_entry(by, "domain.key_rotated", &id, &data, now));
        let told = Told { events: std::slice::from_ref(&event), audit: line.as_ref() };
        let next_at = self.next_rotation(id, now);
        let rotated = self.store.rotate_keys(id, next.id, former.id, retire_at, next_at, told).await;
        rotated.map_err(|error| not_now(&view.domain.name, error))?;
        if retire_at <= now {
            self.wake.key_pool.notify_one();
        }
        tracing::info!(domain = %view.domain.name, selector = next.selector, "another DKIM key signs");
        Ok(())
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
                self.store.replace_drained_key(&key, now, looked_at).await
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

/// Until when a key that signs no more stays: its time was set where somebody else may have it.
fn drained_at(former: &DkimKey, now: Timestamp) -> Timestamp {
    former.retire_at.unwrap_or_else(|| now.checked_add(DRAINED).unwrap_or(Timestamp::MAX))
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
            beside: None,
        };
        (0..).zip(states).map(key).collect()
    }

    /// The records of those keys, each right or not.
    fn report(right: &[bool]) -> Report {
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

    #[test]
    fn keys_take_turns_and_none_signs_before_it_was_seen() {
        let signs = |keys: &[DkimKey], report: &Report, minutes| {
            let records: Vec<_> = report.records.iter().collect();
            match turn(keys, &records, at(minutes))? {
                Turn::Sign { next, former } => Ok((next.position, former.position)),
                other => Err(format!("{other:?}")),
            }
        };
        let next = |states: &[KeyState], right: &[bool]| signs(&keys(states), &report(right), 60);
        assert_eq!(next(&[Active, Standby, Standby], &[true; 3]), Ok((1, 0)));
        assert_eq!(next(&[Standby, Active, Standby], &[true; 3]), Ok((2, 1)));
        assert_eq!(next(&[Standby, Draining, Active], &[true; 3]), Ok((0, 2)));
        assert_eq!(next(&[Active, Standby, Standby], &[true, false, true]), Ok((2, 0)));
        assert!(next(&[Active, Standby], &[true, false]).unwrap_err().contains("verify"));
        assert!(next(&[Active, Draining], &[true; 2]).unwrap_err().contains("until"));
        assert!(next(&[Active], &[true]).unwrap_err().contains("one DKIM key"));
        // One that was just put there: resolvers may know the one before.
        let (mut keys, report) = (keys(&[Active, Standby]), report(&[true; 2]));
        keys[1].placed_at = Some(at(55));
        assert!(signs(&keys, &report, 60).is_err());
        assert!(signs(&keys, &report, 65).is_ok());
    }

    /// A key that the customer publishes, and perhaps one beside it, each seen or not.
    fn published(beside: Option<(KeyState, bool)>) -> (Vec<DkimKey>, Report) {
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
    fn a_key_that_the_customer_publishes_is_rotated_in_steps() {
        let said = |(keys, report): (Vec<DkimKey>, Report)| {
            let records: Vec<_> = report.records.iter().collect();
            match turn(&keys, &records, at(60)).unwrap() {
                Turn::PutBeside { former } => ("beside", former.position),
                Turn::Wait { next } => ("wait", next.position),
                Turn::TakePlace { next, .. } => ("place", next.position),
                Turn::Sign { next, .. } => ("sign", next.position),
            }
        };
        assert_eq!(said(published(None)), ("beside", 0));
        assert_eq!(said(published(Some((Standby, false)))), ("wait", 1));
        assert_eq!(said(published(Some((Standby, true)))), ("place", 1));
        assert_eq!(said(published(Some((Draining, true)))), ("beside", 0));
        // Of a key that its owner brought along, the domain goes on to the aliases of its profile.
        let (mut keys, report) = (keys(&[Standby, Standby, Active]), report(&[true; 3]));
        keys[2].beside = Some("s1".into());
        assert_eq!(said((keys.clone(), report.clone())), ("sign", 0));
        // Beside aliases it signs from where it stands.
        (keys[0].state, keys[2].state) = (Active, Standby);
        assert_eq!(said((keys, report)), ("sign", 2));
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
        assert_eq!((key.state, wanted(record)), (Active, Some(&key.public_key)));
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
