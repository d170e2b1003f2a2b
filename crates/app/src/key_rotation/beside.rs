//! Keys beside those of a profile, each a TXT record in the customer's own DNS.
//!
//! Where the customer publishes the key itself, a new one is put beside it: "add this record". When our checks see it, it signs
//! and takes the place of the one before, whose record stays for [`super::DRAINED`] and may then be removed. In the same way
//! a key comes that its owner brings along ([`super::import`]).

use super::{Cause, Step, has_record_at, not_now, selector_of, wanted};
use crate::{
    App,
    access::{Caller, Scope},
    domains::DomainView,
    error::{Error, Result},
};
use diagnosis::{Expected, KeyBeside, Plan, PlannedRecord, RecordReport, Variables};
use jiff::Timestamp;
use model::{DomainId, DomainName};
use serde_json::json;
use std::sync::Arc;
use store::{DkimKey, Hidden, KeyState, NewKeyBeside, NewPoolKey, StoreError, Told};

/// What the keys of the records of keys beside begin with. No profile has such keys.
const MARK: &str = "dkim-beside-";

/// The record of a key that stands beside the profile's.
pub(crate) fn record_beside(key: &DkimKey) -> Option<KeyBeside> {
    let selector = key.beside.clone()?;
    let explanation = match key.state {
        KeyState::Standby => {
            "Add this record: the next DKIM key. Mail is signed with it as soon as it is seen; leave the one before where it \
             is until then."
                .to_owned()
        }
        KeyState::Active => "The DKIM key that mail is signed with.".to_owned(),
        KeyState::Draining | KeyState::Retired => {
            let until = key.retire_at.map(|at| at.strftime(" until %Y-%m-%d %H:%M UTC").to_string());
            format!(
                "The DKIM key that signed before. Leave it{} for mail that is still on its way; then the record may be \
                 removed.",
                until.unwrap_or_default()
            )
        }
    };
    let key_name = format!("{MARK}{}", key.position);
    Some(KeyBeside { key: key_name, selector, public_key: key.public_key.clone(), explanation })
}

/// Whether a key that stands beside is seen now, as far as the report alone tells.
fn has_one_to_take_up(view: &DomainView) -> bool {
    let is_one = |record: &RecordReport| record.planned.key.starts_with(MARK) && record.was_right();
    view.report.all().any(is_one)
}

/// The name of the TXT record that the profile has for a key.
fn owner_of(plan: &Plan, key: &DkimKey) -> Option<DomainName> {
    let is_it = |record: &&Arc<PlannedRecord>| {
        matches!(record.expected, Expected::Dkim { .. }) && wanted(record) == Some(&key.public_key)
    };
    plan.records.iter().find(is_it).map(|record| record.owner.clone())
}

fn no_place(step: &Step<'_>, selector: &str) -> Error {
    let profile = &step.view.domain.profile;
    step.refused(&format!(
        "the profile \"{profile}\" does not take {selector} as a selector, so a key there cannot take the place of the one that \
         signs"
    ))
}

/// What a turn makes of a domain whose profile has the place for it.
struct Place {
    /// The domain's variables from then on, as JSON.
    variables: String,
    /// The selector of the key that signs until then.
    former_selector: String,
}

impl App {
    /// Takes up a key that was prepared, where the check behind this view has seen it. What goes wrong is tried again with
    /// the next check.
    pub(crate) async fn take_up_key_beside(&self, view: DomainView) -> DomainView {
        if !has_one_to_take_up(&view) || view.domain.claimed_at.is_some() {
            return view;
        }
        // Others stand beside for their time.
        let waits = |key: &DkimKey| key.beside.is_some() && key.state == KeyState::Standby;
        if !self.store.keys_of_domain(view.domain.id).await.is_ok_and(|keys| keys.iter().any(waits)) {
            return view;
        }
        match self.rotate(&view, &Caller::owner(view.domain.org_id), Cause::Seen).await {
            Ok(true) => {}
            Ok(false) | Err(Error::KeysNotRotatable { .. }) => return view,
            Err(error) => {
                tracing::warn!(domain = %view.domain.name, %error, "a key that is seen was not taken up");
                return view;
            }
        }
        let domain = self.store.get_domain(view.domain.org_id, view.domain.id).await;
        match domain {
            Ok(domain) => DomainView { domain, ..view },
            Err(_) => view,
        }
    }

    /// Puts a new key beside the one that signs, at a selector that the profile makes of a new token.
    pub(super) async fn put_beside(
        &self,
        step: &Step<'_>,
        keys: &[DkimKey],
        former: &DkimKey,
        takes_place: bool,
    ) -> Result<()> {
        let selector = self.random.token(24);
        if takes_place && self.place(step, keys, former, &selector)?.is_none() {
            return Err(step.refused(&format!(
                "the profile \"{}\" makes more of a selector than its token; delete the domain and add it again to get new ones",
                step.view.domain.profile
            )));
        }
        // In our zone it has the same label: the sandbox domain has its keys from there.
        self.add_beside(step, &selector, &selector, None).await
    }

    /// Adds a key beside those of the profile, one of the pool where none is given.
    pub(super) async fn add_beside(
        &self,
        step: &Step<'_>,
        selector: &str,
        served: &str,
        mut key: Option<NewPoolKey>,
    ) -> Result<()> {
        let Step { view, by, compromised, now } = *step;
        let domain = &view.domain;
        let taken = || {
            Error::field("selector", format!("{selector} is the selector of a key of this domain already"))
        };
        if has_record_at(selector, &self.plan_of(domain).await?.records, &domain.name) {
            return Err(taken());
        }
        let data = json!({
            "domain": domain.name, "selector": selector, "imported": key.is_some(), "compromised": compromised,
        });
        let event = self.event(domain.org_id, "domain.key_prepared", domain.id.to_string(), &data, now);
        let line = self.audit_entry(by, "domain.key_prepared", &domain.id, &data, now);
        loop {
            let new = NewKeyBeside { domain, served, selector, key: key.clone(), now };
            let told = Told::new(std::slice::from_ref(&event), &line);
            match self.store.add_key_beside(new, told).await {
                Ok(_) => break,
                Err(StoreError::PoolEmpty) if key.is_none() => key = Some(self.make_dkim_key().await?),
                Err(StoreError::SelectorTaken) => return Err(taken()),
                Err(StoreError::KeyTaken) => {
                    return Err(Error::field(
                        "private_key",
                        "is a key of this domain already, at another selector",
                    ));
                }
                Err(error) => return Err(not_now(&domain.name, error)),
            }
        }
        if domain.name.is_at_or_below(&self.settings.platform_zone) {
            // We publish it: the check that follows finds it.
            self.serve_zones().await?;
        }
        self.wake.dns.notify_one();
        self.wake.verify.notify_one();
        self.wake.key_pool.notify_one();
        tracing::info!(domain = %domain.name, selector, "a DKIM key waits to be published");
        Ok(())
    }

    /// Has a key beside sign from now on, in the place of one that the profile has a record for.
    pub(super) async fn put_in_place(
        &self,
        step: &Step<'_>,
        keys: &[DkimKey],
        next: &DkimKey,
        former: &DkimKey,
    ) -> Result<()> {
        let selector = next.beside.as_deref().unwrap_or_default();
        // From where it stands it must not sign: nobody could replace the one before, which the profile asks for.
        let place = self.place(step, keys, former, selector)?.ok_or_else(|| no_place(step, selector))?;
        let turn = self.turn_to(step, next, former);
        let (event, line) = self.turned(step, &turn, selector, &place.former_selector);
        let told = Told::new(std::slice::from_ref(&event), &line);
        let put = self.store.put_key_in_place(&turn, &place.former_selector, &place.variables, told).await;
        put.map_err(|error| not_now(&step.view.domain.name, error))?;
        self.has_turned(step, &turn, selector);
        Ok(())
    }

    /// Refuses a selector that could not take the place of the key that signs, where it will have to.
    pub(super) fn require_place(&self, step: &Step<'_>, keys: &[DkimKey], selector: &str) -> Result<()> {
        let Some(former) = keys.iter().find(|key| key.state == KeyState::Active) else { return Ok(()) };
        let plan = self.plan_with(&step.view.domain, keys.iter())?;
        let takes_place = former.beside.is_none() && owner_of(&plan, former).is_some();
        if takes_place && self.place(step, keys, former, selector)?.is_none() {
            return Err(no_place(step, selector));
        }
        Ok(())
    }

    /// What becomes of the domain with a key of this selector in the place of another one; nothing where the profile makes
    /// another selector of it.
    fn place(
        &self,
        step: &Step<'_>,
        keys: &[DkimKey],
        former: &DkimKey,
        selector: &str,
    ) -> Result<Option<Place>> {
        let domain = &step.view.domain;
        let internal = |error: serde_json::Error| Error::Internal(error.to_string());
        let mut variables: Variables = serde_json::from_str(&domain.variables).map_err(internal)?;
        let selector_in = |plan: &Plan| owner_of(plan, former).map(|owner| selector_of(&owner, &domain.name));
        let Some(former_selector) = selector_in(&self.plan_with(domain, keys.iter())?) else {
            return Ok(None);
        };
        variables.insert(format!("token{}", former.position + 1), selector.to_owned());
        let variables = serde_json::to_string(&variables).map_err(internal)?;
        let turned = store::Domain { variables, ..domain.clone() };
        let then = selector_in(&self.plan_with(&turned, keys.iter())?);
        let is_it = then.as_deref() == Some(selector);
        Ok(is_it.then_some(Place { variables: turned.variables, former_selector }))
    }

    /// Takes away the key that waits to be seen and shall not be used after all.
    pub async fn discard_key_beside(&self, caller: &Caller, id: DomainId) -> Result<DomainView> {
        caller.require(Scope::WriteDomains)?;
        let domain = self.stored_domain(caller, id).await?;
        let keys = self.store.keys_of_domain(id).await?;
        let waits = |key: &&DkimKey| key.beside.is_some() && key.state == KeyState::Standby;
        let Some(key) = keys.iter().find(waits) else {
            let reason = "none of them waits to be published, and only such a one is discarded".to_owned();
            return Err(Error::KeysNotRotatable { domain: domain.name, reason });
        };
        let selector = key.beside.as_deref();
        let now = self.clock.now();
        let data = json!({"domain": domain.name, "selector": selector});
        let event = self.event(domain.org_id, "domain.key_removable", id.to_string(), &data, now);
        let line = self.audit_entry(caller, "domain.key_discarded", &id, &data, now);
        let told = Told::new(std::slice::from_ref(&event), &line);
        let gone = self.store.retire_key_beside(key, self.wiped(key)?, now, told).await;
        gone.map_err(|error| not_now(&domain.name, error))?;
        self.wake.dns.notify_one();
        self.wake.verify.notify_one();
        self.check_in_turn(caller, id).await
    }

    /// Takes away a key that stands beside and has drained: its record may be removed.
    pub(super) async fn retire_beside(
        &self,
        key: &DkimKey,
        now: Timestamp,
    ) -> Result<std::result::Result<(), StoreError>> {
        let Some((org_id, name)) = self.store.name_of_domain(key.domain_id).await? else {
            return Ok(Err(StoreError::StaleVersion));
        };
        let data = json!({"domain": name, "selector": key.beside});
        let event = self.event(org_id, "domain.key_removable", key.domain_id.to_string(), &data, now);
        let wiped = self.wiped(key)?;
        Ok(self.store.retire_key_beside(key, wiped, now, std::slice::from_ref(&event)).await)
    }

    /// What is kept in the place of a private key that is gone.
    fn wiped(&self, key: &DkimKey) -> Result<Hidden> {
        let sealed = self.vault.seal(&key.id.to_string(), &[], &self.random);
        sealed.map(Hidden::from).map_err(|error| Error::Internal(error.to_string()))
    }
}
