//! What would be changed at a host for a domain.

use super::{ChangeSetView, ledger, zone_key};
use crate::{
    App,
    dns_connections::Opened,
    domain_state::Trigger,
    error::{Error, Result},
    required::{required, settle_what_is_right},
};
use diagnosis::Report;
use jiff::{SignedDuration, Timestamp};
use model::{ChangeSetId, DomainName, RecordType};
use publish::{ChangeSet, HostError, Owned, Refusal, Required, Step, Zone, ZoneHandle, ZoneProvider};
use std::collections::{BTreeMap, BTreeSet};
use store::{ChangePurpose, LedgerRow, ZoneLease};

/// How old a report may be for a plan to be made of it.
const FRESH: SignedDuration = SignedDuration::from_mins(5);

/// How old a listing may be for the zone to be compared with it before it is written.
const STANDS_FOR: SignedDuration = SignedDuration::from_secs(5);

/// A zone as it was listed for a plan.
pub(crate) struct Listing {
    pub zone: Zone,
    /// How often its lease had been taken before; nothing where somebody held it.
    epoch: Option<i64>,
    at: Timestamp,
}

impl Listing {
    /// Whether whoever has this lease now may go by it: nobody of ours wrote since, and it is from just now.
    pub(super) fn is_good(&self, lease: &ZoneLease, now: Timestamp) -> bool {
        self.epoch.is_some_and(|epoch| epoch + 1 == lease.epoch) && now.duration_since(self.at) <= STANDS_FOR
    }
}

/// A change set that was planned, with the listing that it was made from.
pub(crate) struct Planned {
    pub domain: store::Domain,
    pub host: String,
    pub purpose: ChangePurpose,
    pub undoes: Option<ChangeSetId>,
    pub listing: Listing,
    pub set: ChangeSet,
}

/// A zone, and what should be in it.
struct Wanted {
    handle: ZoneHandle,
    required: Vec<Required>,
    ledger: Vec<LedgerRow>,
}

impl App {
    /// Plans for every zone that the domain's records belong to.
    pub(super) async fn plan_at(
        &self,
        domain: store::Domain,
        opened: &Opened,
        purpose: ChangePurpose,
    ) -> Result<Vec<Planned>> {
        let (name, host) = (&opened.host, opened.provider.as_ref());
        let ledger = self.store.ledger_of_domain(domain.id).await?;
        let ledger: Vec<LedgerRow> = ledger.into_iter().filter(|row| row.host == *name).collect();
        let (domain, report) = self.recent_report(domain).await?;
        let wanted = match purpose {
            ChangePurpose::Cleanup => Vec::new(),
            _ => required(&report),
        };
        let mut planned = Vec::new();
        for one in zones(host, wanted, ledger, &report).await? {
            let names = names(&one);
            let listing = self.listing(opened, &one.handle, &names).await?;
            let owned = self.ours_alone(&one).await?;
            let mut set = publish::plan(&one.required, &listing.zone, &host.capabilities(), &owned);
            settle_what_is_right(&mut set, &report);
            planned.push(Planned {
                domain: domain.clone(),
                host: name.clone(),
                purpose,
                undoes: None,
                listing,
                set,
            });
        }
        Ok(planned)
    }

    /// Plans to take back what a change set did.
    pub(super) async fn plan_undo(
        &self,
        domain: &store::Domain,
        view: &ChangeSetView,
        opened: &Opened,
    ) -> Result<Planned> {
        let handle = ZoneHandle { apex: view.stored.zone.clone(), id: view.stored.host_zone.clone() };
        let names: BTreeSet<DomainName> = view.plan.names().into_iter().cloned().collect();
        let listing = self.listing(opened, &handle, &names).await?;
        let set = publish::undo(&view.plan, &view.done, &listing.zone, &opened.provider.capabilities());
        Ok(Planned {
            domain: domain.clone(),
            host: view.stored.host.clone(),
            purpose: ChangePurpose::Undo,
            undoes: Some(view.stored.id),
            listing,
            set,
        })
    }

    async fn listing(
        &self,
        opened: &Opened,
        handle: &ZoneHandle,
        names: &BTreeSet<DomainName>,
    ) -> Result<Listing> {
        let key = zone_key(&opened.host, &opened.realm, &handle.apex, &handle.id);
        // Before it is listed, so that who takes the lease in between is noticed.
        let at = self.clock.now();
        let epoch = self.store.zone_epoch(&key, at).await?;
        let zone = opened.provider.list(handle, names).await.map_err(Error::Host)?;
        Ok(Listing { zone, epoch, at })
    }

    /// The domain with a report that is not old: what a plan needs to know of zones and look-ups.
    async fn recent_report(&self, domain: store::Domain) -> Result<(store::Domain, Report)> {
        let view = self.domain_view(domain).await?;
        let oldest = self.clock.now().checked_sub(FRESH).unwrap_or_default();
        if view.report.zone.is_some() && view.report.checked_at >= oldest {
            return Ok((view.domain, view.report));
        }
        let view = self.check(view.domain, Trigger::Demand).await?;
        Ok((view.domain, view.report))
    }

    /// The ledger without what another domain needs too: two organisations may have put the same into one zone.
    async fn ours_alone(&self, wanted: &Wanted) -> Result<Vec<Owned>> {
        let needed: BTreeSet<&DomainName> = wanted.required.iter().map(|one| &one.owner).collect();
        let mut ours = Vec::with_capacity(wanted.ledger.len());
        for row in &wanted.ledger {
            // Only what may go is asked about.
            let others = if needed.contains(&row.owner) {
                Vec::new()
            } else {
                self.store.ledger_of_name(&row.zone, &row.owner).await?
            };
            let shared = others.iter().any(|other| {
                other.domain_id != row.domain_id
                    && (other.digest == row.digest || other.rules.is_some() && other.rules == row.rules)
            });
            if !shared {
                ours.extend(ledger::owned(row));
            }
        }
        Ok(ours)
    }
}

/// The zones that the wants and the ledger belong to.
async fn zones(
    host: &dyn ZoneProvider,
    required: Vec<Required>,
    ledger: Vec<LedgerRow>,
    report: &Report,
) -> Result<Vec<Wanted>> {
    let mut by_told: BTreeMap<Option<DomainName>, ZoneHandle> = BTreeMap::new();
    let mut wanted: Vec<Wanted> = Vec::new();
    for one in required {
        let of_key = report.records.iter().find(|record| record.planned.key == one.key);
        let told = of_key.and_then(|record| record.zone.clone());
        let known = by_told.get(&told).filter(|handle| one.owner.is_at_or_below(&handle.apex)).cloned();
        let handle = match known {
            Some(handle) => handle,
            None => host.find_zone(&one.owner, told.as_ref()).await.map_err(Error::Host)?,
        };
        by_told.insert(told, handle.clone());
        match wanted.iter_mut().find(|wanted| wanted.handle == handle) {
            Some(wanted) => wanted.required.push(one),
            None => wanted.push(Wanted { handle, required: vec![one], ledger: Vec::new() }),
        }
    }
    for row in ledger {
        if let Some(wanted) = wanted.iter_mut().find(|wanted| wanted.handle.apex == row.zone) {
            wanted.ledger.push(row);
            continue;
        }
        // What we wrote into a zone that nothing belongs to any more. The credential may not be for that one.
        match host.find_zone(&row.zone, Some(&row.zone)).await {
            Ok(handle) if handle.apex == row.zone => {
                wanted.push(Wanted { handle, required: Vec::new(), ledger: vec![row] });
            }
            Ok(_)
            | Err(HostError {
                refusal: Refusal::ZoneNotFound { .. } | Refusal::AccessMissing { .. }, ..
            }) => {}
            Err(error) => return Err(Error::Host(error)),
        }
    }
    Ok(wanted)
}

/// The names where what comes needs what is left over to be gone: an alias stands beside nothing.
pub(super) fn held_up(set: &ChangeSet) -> BTreeSet<DomainName> {
    let is_alias = |step: &Step| {
        let old = step.action.before().map(|old| old.record.data.record_type());
        let new = step.action.after().map(|new| new.data.record_type());
        [old, new].contains(&Some(RecordType::Cname))
    };
    let left = |owner: &DomainName| {
        set.steps.iter().any(|step| step.key == publish::LEFT_OVER && step.action.owner() == owner)
    };
    let with_alias = set.steps.iter().filter(|step| is_alias(step)).map(|step| step.action.owner());
    with_alias.filter(|owner| left(owner)).cloned().collect()
}

/// The names to list: those that something is asked of, and those above, where the zone may hand them to others.
fn names(wanted: &Wanted) -> BTreeSet<DomainName> {
    let apex = &wanted.handle.apex;
    let owners =
        wanted.required.iter().map(|one| &one.owner).chain(wanted.ledger.iter().map(|row| &row.owner));
    owners.flat_map(|owner| owner.ancestors().take_while(|name| name.is_at_or_below(apex))).collect()
}
