//! Changes at DNS hosts: planned, shown, applied, taken back.
//!
//! A domain's records become wants ([`crate::required`]), the host lists its zone, `publish::plan` compares them with it
//! and with the ledger, and what comes of it is stored ([`planning`]). Applying it is [`apply`]: intents are written down
//! before the first write, the zone's lease is held, and each batch is told to the ledger as soon as it is written, so
//! that whoever comes after a crash knows what is ours and goes on. The ledger is [`ledger`].

mod apply;
mod ledger;
mod planning;

pub use crate::dns_connections::Credential;
use crate::{
    App,
    access::{Caller, Scope},
    dns_connections::{Keep, Opened},
    domains::DomainView,
    error::{Error, Result},
};
use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::SignedDuration;
use model::{ChangeSetId, ConnectionId, DomainId, DomainName, DomainStatus};
use planning::Listing;
use publish::{ChangeSet, Difference, HostError};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{collections::BTreeSet, sync::Arc};
use store::{ChangePurpose, ChangeState, StoreError, StoredChangeSet};

/// The host id of the playground.
pub const PLAYGROUND: &str = "playground";

/// How long what was planned may be applied: the zone is compared before, but people should see what they agree to.
const GOOD_FOR: SignedDuration = SignedDuration::from_hours(24);

/// What is to be planned.
pub struct PlanChanges {
    /// Where, and with what.
    pub credential: Credential,
    /// `Setup` or `Cleanup`.
    pub purpose: ChangePurpose,
    /// Whether to apply it at once.
    pub apply: bool,
    /// How the credential is kept for the domain, once the host has shown the zone with it; forgotten without.
    pub keep: Option<Keep>,
}

/// Why a change set went no further.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stopped_by", rename_all = "snake_case")]
pub enum Stop {
    /// The host refused something, or did not answer.
    Host {
        /// What it said.
        error: HostError,
    },
    /// Somebody else wrote in the zone since it was planned.
    ZoneChanged {
        /// What is different.
        difference: Difference,
    },
    /// Whoever wrote it was stopped.
    Interrupted,
}

impl From<Stop> for Error {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Host { error } => Self::Host(error),
            Stop::ZoneChanged { difference } => Self::ZoneChanged(Box::new(difference)),
            Stop::Interrupted => Self::ChangeSetNotApplicable(
                "the writing was interrupted; apply it again to go on".to_owned(),
            ),
        }
    }
}

/// A change set, read.
#[derive(Debug, Clone)]
pub struct ChangeSetView {
    /// As it is stored.
    pub stored: StoredChangeSet,
    /// The changes.
    pub plan: ChangeSet,
    /// Which of its steps are done.
    pub done: BTreeSet<u16>,
    /// Why it went no further.
    pub stop: Option<Stop>,
}

impl ChangeSetView {
    pub(crate) fn of(stored: StoredChangeSet) -> Result<Self> {
        let read = |error: serde_json::Error| Error::Internal(format!("{}: {error}", stored.id));
        let plan = serde_json::from_str(&stored.plan).map_err(read)?;
        let done = serde_json::from_str(&stored.done).map_err(read)?;
        let stop = stored.error.as_deref().map(serde_json::from_str).transpose().map_err(read)?;
        Ok(Self { stored, plan, done, stop })
    }
}

impl App {
    /// Plans what would be changed at a DNS host so that the domain has its records: one change set for each zone. With
    /// `apply` they are applied too, once all are planned.
    pub async fn plan_changes(
        self: &Arc<Self>,
        caller: &Caller,
        id: DomainId,
        request: &PlanChanges,
    ) -> Result<Vec<ChangeSetView>> {
        caller.require(Scope::WriteDns)?;
        let domain = self.stored_domain(caller, id).await?;
        let opened = self.open_host(caller, &request.credential, &domain).await?;
        self.plan_changes_with(caller, id, request, opened).await
    }

    /// The same at a host that is at hand.
    pub async fn plan_changes_with(
        self: &Arc<Self>,
        caller: &Caller,
        id: DomainId,
        request: &PlanChanges,
        mut opened: Opened,
    ) -> Result<Vec<ChangeSetView>> {
        caller.require(Scope::WriteDns)?;
        let domain = self.stored_domain(caller, id).await?;
        if let Some(made) = self.planned_before(caller, id).await? {
            return if request.apply { self.go_on(caller, made, &opened).await } else { Ok(made) };
        }
        refuse_switched_off(&domain)?;
        let planned = self.plan_at(domain.clone(), &opened, request.purpose).await;
        self.note_use(&opened, refused_by(&planned)).await?;
        let planned = planned?;
        if let (Some(keep), Some(first)) = (&request.keep, planned.first()) {
            let zone = &first.listing.zone.handle.apex;
            let kept = self.keep_given(caller, &request.credential, keep, &domain, zone).await?;
            opened.connection = Some(kept);
        }
        let stored = self.store_planned(caller, &planned, opened.connection_id()).await?;
        if !request.apply {
            return stored.into_iter().map(ChangeSetView::of).collect();
        }
        let mut applied = Vec::with_capacity(stored.len());
        for (stored, planned) in stored.into_iter().zip(planned) {
            applied.push(self.apply_in_time(caller, stored, &opened, Some(planned.listing)).await?);
        }
        Ok(applied)
    }

    /// What a request with the same `Idempotency-Key` planned, where it came so far.
    async fn planned_before(&self, caller: &Caller, id: DomainId) -> Result<Option<Vec<ChangeSetView>>> {
        let Some(first) = caller.made_before(ChangeSetId::from_parts) else { return Ok(None) };
        let visible = caller.visible();
        let Ok(first) = self.store.get_change_set(&visible, first).await else { return Ok(None) };
        let all = self.store.list_change_sets(&visible, id, None, 100).await?;
        let mut same: Vec<_> = all.into_iter().filter(|set| set.created_at == first.created_at).collect();
        same.reverse();
        same.into_iter().map(ChangeSetView::of).collect::<Result<_>>().map(Some)
    }

    /// Applies what a request planned that was cut off before it was answered. What is being written, or was planned too
    /// long ago, is shown as it is.
    async fn go_on(
        self: &Arc<Self>,
        caller: &Caller,
        made: Vec<ChangeSetView>,
        opened: &Opened,
    ) -> Result<Vec<ChangeSetView>> {
        let mut all = Vec::with_capacity(made.len());
        for view in made {
            let id = view.stored.id;
            let gone_on = match self.may_be_applied(&view.stored).await {
                Ok(()) if view.stored.state == ChangeState::Applied => Ok(view),
                Ok(()) => self.apply_in_time(caller, view.stored, opened, None).await,
                Err(error) => Err(error),
            };
            all.push(match gone_on {
                Err(Error::ChangeSetNotApplicable(_)) => {
                    ChangeSetView::of(self.stored_change_set(caller, id).await?)?
                }
                other => other?,
            });
        }
        Ok(all)
    }

    /// Whether a change set may be written now.
    async fn may_be_applied(&self, stored: &StoredChangeSet) -> Result<()> {
        let id = stored.id;
        let too_old = stored.expires_at < self.clock.now();
        match stored.state {
            ChangeState::Undone => {
                Err(Error::ChangeSetNotApplicable(format!("{id} was taken back; plan anew")))
            }
            ChangeState::Planned | ChangeState::Refused if too_old => {
                Err(Error::ChangeSetNotApplicable(format!("{id} was planned too long ago; plan anew")))
            }
            // Nobody needs to hold a name for what was written there to go.
            _ if matches!(stored.purpose, ChangePurpose::Undo | ChangePurpose::Cleanup) => Ok(()),
            _ => refuse_switched_off(&self.store.get_domain(stored.org_id, stored.domain_id).await?),
        }
    }

    /// One change set that the caller may see.
    pub async fn change_set(&self, caller: &Caller, id: ChangeSetId) -> Result<ChangeSetView> {
        caller.require(Scope::ReadDomains)?;
        self.stored_change_set(caller, id).await.and_then(ChangeSetView::of)
    }

    async fn stored_change_set(&self, caller: &Caller, id: ChangeSetId) -> Result<StoredChangeSet> {
        match self.store.get_change_set(&caller.visible(), id).await {
            Err(StoreError::NotFound(_)) => Err(Error::NotFound { noun: "change set", id: id.to_string() }),
            other => Ok(other?),
        }
    }

    /// The change sets of a domain, newest first.
    pub async fn change_sets(
        &self,
        caller: &Caller,
        id: DomainId,
        after: Option<ChangeSetId>,
        limit: u32,
    ) -> Result<Vec<ChangeSetView>> {
        caller.require(Scope::ReadDomains)?;
        self.stored_domain(caller, id).await?;
        let page = self.store.list_change_sets(&caller.visible(), id, after, limit).await?;
        page.into_iter().map(ChangeSetView::of).collect()
    }

    /// Applies a change set, or goes on with one that was cut off. One that is applied stays as it is.
    ///
    /// # Errors
    /// `ZoneChanged` when somebody else wrote at the names it touches since it was planned: nothing is written then.
    pub async fn apply_change_set(
        self: &Arc<Self>,
        caller: &Caller,
        id: ChangeSetId,
        credential: &Credential,
    ) -> Result<ChangeSetView> {
        caller.require(Scope::WriteDns)?;
        let stored = self.stored_change_set(caller, id).await?;
        let domain = self.stored_domain(caller, stored.domain_id).await?;
        let opened = self.open_planned(caller, credential, &stored, &domain).await?;
        self.apply_change_set_with(caller, stored, opened).await
    }

    /// Opens the host that a change set was planned for.
    pub(crate) async fn open_planned(
        &self,
        caller: &Caller,
        credential: &Credential,
        stored: &StoredChangeSet,
        domain: &store::Domain,
    ) -> Result<Opened> {
        let opened = match (credential, stored.connection_id) {
            (Credential::AsPlanned, Some(id)) => {
                self.open_host(caller, &Credential::Kept(id), domain).await?
            }
            _ => self.open_host(caller, credential, domain).await?,
        };
        if stored.host != opened.host {
            let message = format!("{} was planned for {}; name that host", stored.id, stored.host);
            return Err(Error::field("host", message));
        }
        Ok(opened)
    }

    /// The same at a host that is at hand.
    ///
    /// # Errors
    /// As [`App::apply_change_set`]; `ClaimedAway` and `DomainDisabled` as for a plan.
    pub async fn apply_change_set_with(
        self: &Arc<Self>,
        caller: &Caller,
        stored: StoredChangeSet,
        opened: Opened,
    ) -> Result<ChangeSetView> {
        caller.require(Scope::WriteDns)?;
        if stored.state == ChangeState::Applied {
            return ChangeSetView::of(stored);
        }
        self.may_be_applied(&stored).await?;
        let view = self.apply_in_time(caller, stored, &opened, None).await?;
        match view.stop {
            Some(Stop::ZoneChanged { difference }) => Err(Error::ZoneChanged(Box::new(difference))),
            Some(Stop::Host { error }) if view.done.is_empty() => Err(Error::Host(error)),
            _ => Ok(view),
        }
    }

    /// Plans to take back what a change set did, as another change set; with `apply` it is applied too.
    pub async fn undo_change_set(
        self: &Arc<Self>,
        caller: &Caller,
        id: ChangeSetId,
        credential: &Credential,
        apply: bool,
    ) -> Result<ChangeSetView> {
        caller.require(Scope::WriteDns)?;
        let stored = self.stored_change_set(caller, id).await?;
        let domain = self.stored_domain(caller, stored.domain_id).await?;
        let opened = self.open_planned(caller, credential, &stored, &domain).await?;
        if let Some(made) = caller.made_before(ChangeSetId::from_parts)
            && let Ok(made) = self.store.get_change_set(&caller.visible(), made).await
        {
            let made = ChangeSetView::of(made)?;
            let gone_on = if apply { self.go_on(caller, vec![made], &opened).await? } else { vec![made] };
            return gone_on
                .into_iter()
                .next()
                .ok_or_else(|| Error::Internal("nothing was stored".to_owned()));
        }
        let view = ChangeSetView::of(stored)?;
        if !matches!(view.stored.state, ChangeState::Applied | ChangeState::Partial) {
            let state = view.stored.state.as_str();
            let reason = format!("{id} is {state}: there is nothing to take back");
            return Err(Error::ChangeSetNotApplicable(reason));
        }
        let planned = self.plan_undo(&domain, &view, &opened).await;
        self.note_use(&opened, refused_by(&planned)).await?;
        let planned = planned?;
        let kept = opened.connection_id();
        let stored = self.store_planned(caller, std::slice::from_ref(&planned), kept).await?.pop();
        let stored = stored.ok_or_else(|| Error::Internal("nothing was stored".to_owned()))?;
        if apply {
            self.apply_in_time(caller, stored, &opened, Some(planned.listing)).await
        } else {
            ChangeSetView::of(stored)
        }
    }

    /// Plans to bring back what we wrote for a domain at a host, with the listing that it was made from: nothing at other
    /// names or in another zone than the credential is kept for, and nothing that is left over goes. Nothing where that would
    /// change nothing.
    pub(crate) async fn plan_repair(
        self: &Arc<Self>,
        caller: &Caller,
        view: &DomainView,
        ledger: &[store::LedgerRow],
        opened: &Opened,
    ) -> Result<Option<(ChangeSetView, Listing)>> {
        let planned = self.plan_at(view.domain.clone(), opened, ChangePurpose::Repair).await;
        self.note_use(opened, refused_by(&planned)).await?;
        let is_kept_for =
            |zone: &DomainName| opened.connection.as_ref().is_none_or(|connection| connection.zone == *zone);
        let planned = planned?.into_iter().filter(|one| is_kept_for(&one.set.zone));
        for mut one in planned {
            let ours: BTreeSet<&DomainName> =
                ledger.iter().filter(|row| row.host == opened.host).map(|row| &row.owner).collect();
            let held_up = planning::held_up(&one.set);
            one.set.keep(opened.provider.capabilities().grain, |step| {
                let owner = step.action.owner();
                step.key != publish::LEFT_OVER && ours.contains(owner) && !held_up.contains(owner)
            });
            if one.set.steps.is_empty() {
                continue;
            }
            let kept = opened.connection_id();
            let stored = self.store_planned(caller, std::slice::from_ref(&one), kept).await?.pop();
            let stored = stored.ok_or_else(|| Error::Internal("nothing was stored".to_owned()))?;
            return Ok(Some((ChangeSetView::of(stored)?, one.listing)));
        }
        Ok(None)
    }

    /// Writes what was planned so.
    pub(crate) async fn apply_repair(
        self: &Arc<Self>,
        caller: &Caller,
        set: ChangeSetView,
        opened: &Opened,
        listing: Listing,
    ) -> Result<ChangeSetView> {
        self.apply_in_time(caller, set.stored, opened, Some(listing)).await
    }

    /// Stores what was planned, with one line of the audit log for each.
    async fn store_planned(
        &self,
        caller: &Caller,
        planned: &[planning::Planned],
        connection_id: Option<ConnectionId>,
    ) -> Result<Vec<StoredChangeSet>> {
        let now = self.clock.now();
        let mut stored = Vec::with_capacity(planned.len());
        for (place, one) in planned.iter().enumerate() {
            let id = self.random.change_set_id(now);
            let id = if place == 0 { caller.id_or(ChangeSetId::from_parts, id) } else { id };
            let plan = serde_json::to_string(&one.set).map_err(|error| Error::Internal(error.to_string()))?;
            stored.push(StoredChangeSet {
                id,
                org_id: one.domain.org_id,
                tenant_id: one.domain.tenant_id,
                domain_id: one.domain.id,
                purpose: one.purpose,
                undoes: one.undoes,
                host: one.host.clone(),
                zone: one.listing.zone.handle.apex.clone(),
                host_zone: one.listing.zone.handle.id.clone(),
                connection_id,
                state: ChangeState::Planned,
                plan,
                done: "[]".to_owned(),
                error: None,
                created_at: now,
                expires_at: now.checked_add(GOOD_FOR).unwrap_or(now),
                applied_at: None,
            });
        }
        if let Some(first) = stored.first() {
            let zones: Vec<_> = stored.iter().map(|set| set.zone.clone()).collect();
            let data = json!({
                "domain": planned.first().map(|one| one.domain.name.clone()), "host": first.host, "zones": zones,
                "purpose": first.purpose, "connection_id": connection_id,
            });
            let audit = self.audit_entry(caller, "change_set.planned", &first.id, &data, now);
            self.store.add_change_sets(&stored, &audit).await?;
        }
        let visible = store::Visible::all_of(caller.org_id);
        let mut read = Vec::with_capacity(stored.len());
        for set in stored {
            read.push(self.store.get_change_set(&visible, set.id).await?);
        }
        Ok(read)
    }
}

/// Nothing is written for a domain that is another's by now, or switched off.
fn refuse_switched_off(domain: &store::Domain) -> Result<()> {
    if domain.claimed_at.is_some() {
        return Err(Error::ClaimedAway(domain.name.clone()));
    }
    if domain.status == DomainStatus::Disabled {
        return Err(Error::DomainDisabled(domain.name.clone()));
    }
    Ok(())
}

/// What the lease of a zone is taken for. Its name alone is not it: anybody may name a server of their own that says it has
/// the zone, and must keep nobody from writing the real one. `realm` is what tells such servers apart; it may hold what
/// nobody else is to read.
fn zone_key(host: &str, realm: &str, zone: &DomainName, host_zone: &str) -> String {
    let told = digest(&SHA256, format!("{realm}\n{host_zone}").as_bytes());
    format!("{host} {zone} {}", URL_SAFE_NO_PAD.encode(told))
}

/// What the host refused.
fn refused_by<T>(outcome: &Result<T>) -> Option<&HostError> {
    match outcome {
        Err(Error::Host(error)) => Some(error),
        _ => None,
    }
}
