//! Writing a change set at its host.

use super::{ChangeSetView, PLAYGROUND, Stop, ledger, planning::Listing, zone_key};
use crate::{
    App,
    access::Caller,
    dns_connections::Opened,
    domain_state::Trigger,
    error::{Error, Result},
    lease::{HeldLease, Lease, Patience},
};
use model::{DomainName, RecordStatus};
use publish::{
    Batch, ChangeSet, Done, HostError, Refusal, WriteError, Written, Zone, ZoneHandle, ZoneProvider,
};
use serde_json::json;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use store::{
    ChangePurpose, ChangeSetMove, ChangeState, LedgerMove, LedgerRow, LedgerState, StoredChangeSet, Told,
    ZoneLease,
};
use tokio::time::{sleep, timeout};

/// How long a request waits for a change set to be written, and no longer than a lease; it is written all the same.
const ANSWERED_WITHIN: Duration = Duration::from_secs(20);
/// How long the host may take for one call; a part of the lease at the most.
const CALL_LIMIT: Duration = Duration::from_secs(30);
/// The longest lease of a zone.
const LEASE: Duration = Duration::from_mins(1);
/// How long what came of a write is tried to be written down.
const TOLD_WITHIN: Duration = Duration::from_secs(30);
/// When the domain's records are looked at once they are written, after the first time.
const LOOKS: [Duration; 2] = [Duration::from_millis(300), Duration::from_millis(900)];

impl App {
    /// Applies a change set, or leaves it to go on by itself where that takes long.
    pub(super) async fn apply_in_time(
        self: &Arc<Self>,
        caller: &Caller,
        stored: StoredChangeSet,
        opened: &Opened,
        listing: Option<Listing>,
    ) -> Result<ChangeSetView> {
        let (id, org_id) = (stored.id, stored.org_id);
        let (app, as_caller) = (Arc::clone(self), caller.clone());
        let (host, realm) = (Arc::clone(&opened.provider), opened.realm.clone());
        // In a task of its own: a client that hangs up does not cut it off.
        let work =
            self.running.spawn(async move { app.apply(&as_caller, stored, host, &realm, listing).await });
        match timeout(ANSWERED_WITHIN.min(self.settings.lease), work).await {
            Ok(Ok(outcome)) => {
                if let Ok(view) = &outcome {
                    let refused = match &view.stop {
                        Some(Stop::Host { error }) => Some(error),
                        _ => None,
                    };
                    if let Err(error) = self.note_use(opened, refused).await {
                        tracing::warn!(%error, "that a kept credential was used was not written down");
                    }
                }
                outcome
            }
            Ok(Err(error)) => Err(Error::Internal(format!("applying {id} ended early: {error}"))),
            // Whoever has a link sees no change sets, but this one is theirs.
            Err(_) => {
                let visible = store::Visible::all_of(org_id);
                ChangeSetView::of(self.store.get_change_set(&visible, id).await?)
            }
        }
    }

    async fn apply(
        self: &Arc<Self>,
        caller: &Caller,
        stored: StoredChangeSet,
        host: Arc<dyn ZoneProvider>,
        realm: &str,
        listing: Option<Listing>,
    ) -> Result<ChangeSetView> {
        let length = self.settings.lease.min(LEASE);
        let lease = Lease::begin(length);
        let now = self.clock.now();
        let key = zone_key(&stored.host, realm, &stored.zone, &stored.host_zone);
        let claimed = self.store.claim_zone(&key, &self.node, now, lease.until(now)).await?;
        let Some(zone_lease) = claimed else {
            let reason = format!("another change of {} is being written; try again in a moment", stored.zone);
            return Err(Error::ChangeSetNotApplicable(reason));
        };
        let listing = listing.filter(|listing| listing.is_good(&zone_lease, now)).map(|listing| listing.zone);
        // Read again under the lease: another request may have gone on with it.
        let visible = store::Visible::all_of(stored.org_id);
        let stored = self.store.get_change_set(&visible, stored.id).await?;
        let ChangeSetView { plan, done, .. } = ChangeSetView::of(stored.clone())?;
        let mut run = Run {
            app: self,
            host: host.as_ref(),
            handle: ZoneHandle { apex: stored.zone.clone(), id: stored.host_zone.clone() },
            known: Vec::new(),
            began_with: done.len(),
            held: HeldLease::new(lease),
            length,
            zone_lease,
            stored,
            plan,
            done,
        };
        let outcome = run.whole(caller, listing).await;
        if let Err(error) = self.store.release_zone(&run.zone_lease).await {
            tracing::debug!(%error, "the lease of a zone was not given back; it ends by itself");
        }
        let (changed, stored) = (run.done.len() > run.began_with, run.stored);
        outcome?;
        if changed && let Err(error) = self.look_at_changed(&stored).await {
            // What was written is written, and is seen when it is looked at next.
            tracing::warn!(change_set = %stored.id, %error, "what was written was not looked at");
        }
        let stored = self.store.get_change_set(&visible, stored.id).await?;
        ChangeSetView::of(stored)
    }

    /// The domain is looked at now, and again soon where its DNS does not show yet what was written.
    async fn look_at_changed(&self, stored: &StoredChangeSet) -> Result<()> {
        if stored.host == PLAYGROUND {
            self.serve_zones().await?;
        }
        for pause in [Duration::ZERO].into_iter().chain(LOOKS) {
            sleep(pause).await;
            let domain = self.store.get_domain(stored.org_id, stored.domain_id).await?;
            let view = self.check(domain, Trigger::Demand).await?;
            let lacks = |record: &diagnosis::RecordReport| record.status != RecordStatus::Verified;
            if !view.report.records.iter().any(lacks) {
                break;
            }
        }
        // The playground is everybody's. Elsewhere a zone is only as much an organisation's as it says.
        let of = (stored.host != PLAYGROUND).then_some(stored.org_id);
        self.store.poke_domains_below(of, &stored.zone, self.clock.now()).await?;
        self.wake.verify.notify_one();
        Ok(())
    }
}

/// A change set being applied.
struct Run<'a> {
    app: &'a Arc<App>,
    host: &'a dyn ZoneProvider,
    handle: ZoneHandle,
    stored: StoredChangeSet,
    plan: ChangeSet,
    done: BTreeSet<u16>,
    /// How many steps were done before.
    began_with: usize,
    /// The domain's lines of the ledger, as far as they are of this zone.
    known: Vec<LedgerRow>,
    held: HeldLease,
    length: Duration,
    zone_lease: ZoneLease,
}

impl Run<'_> {
    async fn whole(&mut self, caller: &Caller, listing: Option<Zone>) -> Result<()> {
        if matches!(self.stored.state, ChangeState::Applied | ChangeState::Undone) {
            return Ok(());
        }
        let resumed = !matches!(self.stored.state, ChangeState::Planned | ChangeState::Refused);
        let zone = match listing {
            Some(zone) => zone,
            None => match self.look().await {
                Ok(zone) => zone,
                Err(error) => {
                    // Of one that was cut off nobody knows how far it came, until its zone is seen.
                    let state = match self.stored.state {
                        ChangeState::Planned => ChangeState::Refused,
                        ChangeState::Applying => ChangeState::Unknown,
                        other => other,
                    };
                    return self.end(caller, state, Some(Stop::Host { error })).await;
                }
            },
        };
        let all = self.app.store.ledger_of_domain(self.stored.domain_id).await?;
        let here = |row: &LedgerRow| row.host == self.stored.host && row.zone == self.stored.zone;
        self.known = all.into_iter().filter(here).collect();
        let seen = if resumed { publish::seen_done(&self.plan, &zone) } else { BTreeSet::new() };
        let before: BTreeSet<u16> = self.done.union(&seen).copied().collect();
        let grain = self.host.capabilities().grain;
        let rest = if resumed {
            publish::rest(&self.plan, &before, &zone, grain)
        } else {
            publish::guard(&self.plan, &zone, grain).map(|()| self.plan.clone())
        };
        let found: Vec<Written> =
            seen.difference(&self.done).map(|&step| Written { step, id: None }).collect();
        let moves = self.moves_of(&found);
        self.done = before;
        match rest {
            Ok(rest) => {
                let moves = moves.into_iter().chain(self.intents(&rest)).collect::<Vec<_>>();
                self.step(ChangeState::Applying, None, &moves, Told::default()).await?;
                self.write_all(caller, &rest, &zone).await
            }
            Err(difference) => {
                if !moves.is_empty() {
                    self.step(self.stored.state, None, &moves, Told::default()).await?;
                }
                let state = if self.done.is_empty() { ChangeState::Refused } else { ChangeState::Partial };
                self.end(caller, state, Some(Stop::ZoneChanged { difference })).await
            }
        }
    }

    /// What is about to be written is ours wherever it is found from now on.
    fn intents(&self, rest: &ChangeSet) -> Vec<LedgerMove> {
        let now = self.app.clock.now();
        let intents = rest.steps.iter().filter_map(|step| rest.owned_after(step)).map(|owned| {
            let id = self.app.random.ledger_id(now);
            LedgerMove::Intend(ledger::row(&self.stored, id, &owned, LedgerState::Intended))
        });
        intents.collect()
    }

    async fn write_all(&mut self, caller: &Caller, rest: &ChangeSet, zone: &Zone) -> Result<()> {
        for batch in publish::batches(rest, &self.host.capabilities(), zone) {
            if !self.held.may_go_on() {
                return self.end(caller, ChangeState::Unknown, Some(Stop::Interrupted)).await;
            }
            let (written, stop) = match self.write(&batch).await {
                Ok(written) => (Some(written), None),
                Err(failed) => self.after_failure(&batch, failed).await,
            };
            let unknown = written.is_none();
            let moves = self.moves_of(written.as_deref().unwrap_or_default());
            self.done.extend(written.iter().flatten().map(|written| written.step));
            match stop {
                None => self.step(ChangeState::Applying, None, &moves, Told::default()).await?,
                Some(stop) => {
                    if !moves.is_empty() {
                        self.step(ChangeState::Applying, None, &moves, Told::default()).await?;
                    }
                    let state = match (unknown, self.done.is_empty()) {
                        (true, _) => ChangeState::Unknown,
                        (false, true) => ChangeState::Refused,
                        (false, false) => ChangeState::Partial,
                    };
                    return self.end(caller, state, Some(stop)).await;
                }
            }
        }
        self.end(caller, ChangeState::Applied, None).await
    }

    /// How far a batch came that failed: told by the host, or seen. Nothing where nobody knows. Where it is seen to be
    /// done as a whole, it did not fail.
    async fn after_failure(&self, batch: &Batch, failed: WriteError) -> (Option<Vec<Written>>, Option<Stop>) {
        let stop = Some(Stop::Host { error: failed.error });
        match failed.done {
            Done::Nothing => (Some(Vec::new()), stop),
            Done::Steps(written) => (Some(written), stop),
            // What is not there yet may be there in a moment: a look now tells nothing, and what is ours is not forgotten.
            Done::UnderWay => (None, stop),
            Done::Unknown => match self.look().await {
                Ok(zone) => {
                    let seen = publish::seen_done(&self.plan, &zone);
                    let of_batch = batch.steps.iter().copied().filter(|step| seen.contains(step));
                    let written: Vec<Written> = of_batch.map(|step| Written { step, id: None }).collect();
                    let whole = written.len() == batch.steps.len();
                    (Some(written), if whole { None } else { stop })
                }
                Err(_) => (None, stop),
            },
        }
    }

    fn call_limit(&self) -> Duration {
        CALL_LIMIT.min(self.length / 2)
    }

    async fn look(&self) -> std::result::Result<Zone, HostError> {
        let apex = &self.handle.apex;
        let above = |name: &DomainName| -> Vec<DomainName> {
            name.ancestors().take_while(|name| name.is_at_or_below(apex)).collect()
        };
        let names: BTreeSet<DomainName> = self.plan.names().into_iter().flat_map(above).collect();
        let listed = timeout(self.call_limit(), self.host.list(&self.handle, &names)).await;
        listed.unwrap_or_else(|_| Err(HostError::bare(Refusal::Unreachable)))
    }

    async fn write(&self, batch: &Batch) -> std::result::Result<Vec<Written>, WriteError> {
        let written = timeout(self.call_limit(), self.host.write(&self.handle, batch)).await;
        written.unwrap_or_else(|_| {
            // The host may have it in hand still.
            Err(WriteError { error: HostError::bare(Refusal::Unreachable), done: Done::UnderWay })
        })
    }

    fn moves_of(&mut self, written: &[Written]) -> Vec<LedgerMove> {
        let now = self.app.clock.now();
        let mut moves = Vec::new();
        for one in written {
            let Some(step) = self.plan.steps.iter().find(|step| step.id == one.step) else { continue };
            let id = self.app.random.ledger_id(now);
            moves.extend(ledger::moves(&self.stored, &self.plan, step, one.id.clone(), &mut self.known, id));
        }
        moves
    }

    /// Writes down how far it is. What was written at the host is not forgotten because the database is away for a moment.
    async fn step(
        &mut self,
        state: ChangeState,
        stop: Option<&Stop>,
        ledger: &[LedgerMove],
        told: Told<'_>,
    ) -> Result<()> {
        let json = |error: serde_json::Error| Error::Internal(error.to_string());
        let done = serde_json::to_string(&self.done).map_err(json)?;
        let error = stop.map(serde_json::to_string).transpose().map_err(json)?;
        let mut patience = Patience::of(TOLD_WITHIN);
        loop {
            let lease = Lease::begin(self.length);
            let now = self.app.clock.now();
            let change = ChangeSetMove {
                id: self.stored.id,
                lease: &self.zone_lease,
                until: lease.until(now),
                at: now,
                state,
                done: &done,
                error: error.as_deref(),
                ledger,
                told,
            };
            match self.app.store.move_change_set(&change).await {
                Ok(()) => {
                    self.held.renew(lease);
                    self.stored.state = state;
                    return Ok(());
                }
                Err(store::StoreError::NotFound("zone lease")) => {
                    return Err(Error::ChangeSetNotApplicable(format!(
                        "somebody else writes to {} by now; look at the change set",
                        self.stored.zone
                    )));
                }
                Err(error) if patience.again(&error).await => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The end, for now: told to those who follow, and who did it.
    async fn end(&mut self, caller: &Caller, state: ChangeState, stop: Option<Stop>) -> Result<()> {
        let now = self.app.clock.now();
        let stored = &self.stored;
        let undone = self.plan.steps.iter().filter(|step| !self.done.contains(&step.id));
        // An intent that nothing came of must not make ours what the customer pastes tomorrow.
        let mut forgotten = Vec::new();
        if state != ChangeState::Unknown {
            for owned in undone.filter_map(|step| self.plan.owned_after(step)) {
                let id = self.app.random.ledger_id(now);
                forgotten.push(LedgerMove::Forget(ledger::row(stored, id, &owned, LedgerState::Intended)));
            }
        }
        let data = json!({
            "change_set_id": stored.id, "host": stored.host, "zone": stored.zone, "purpose": stored.purpose,
            "state": state, "steps_done": self.done.len(), "steps": self.plan.steps.len(),
        });
        let events = if self.done.len() > self.began_with {
            let subject = stored.domain_id.to_string();
            vec![self.app.event(stored.org_id, "domain.dns_changed", subject, &data, now)]
        } else {
            Vec::new()
        };
        let audit = self.app.audit_entry(caller, "change_set.applied", &stored.id, &data, now);
        let undoes = stored.undoes.filter(|_| {
            state == ChangeState::Applied
                && stored.purpose == ChangePurpose::Undo
                && self.plan.blocked.is_empty()
        });
        self.step(state, stop.as_ref(), &forgotten, Told::new(&events, &audit)).await?;
        if let Some(id) = undoes {
            self.app.store.change_set_undone(id).await?;
        }
        tracing::info!(
            change_set = %self.stored.id, zone = %self.stored.zone, host = self.stored.host, state = state.as_str(),
            done = self.done.len(), "a change set was applied"
        );
        Ok(())
    }
}
