//! Records of ours that somebody changed or removed.
//!
//! Looked for whenever a due check finds a domain broken that is known to be (the life cycle has confirmed it, by several
//! looks and perspectives, and not while the fault may be ours): a required record that is not right, at a name where the
//! ledger has a line. It is told once. What more happens is as the owner of a kept credential said (`repair`): what would
//! bring the records back is planned and offered, or they are brought back. Only what we wrote is: a repair has no step at
//! another name, and never removes what is left over. What would take a record of somebody else's (of several SPF records one
//! is left) is offered, however it is said: whoever applies that has seen it.
//!
//! Nobody is fought: who changes it back twice within a week has decided. Then we stop, tell that, and offer it.

use crate::{App, access::Caller, change_sets::ChangeSetView, domains::DomainView, error::Result};
use diagnosis::Report;
use jiff::{SignedDuration, Timestamp};
use model::{DomainId, DomainName, DomainStatus, RecordStatus};
use serde_json::json;
use std::sync::Arc;
use store::{ChangeState, DnsConnection, DnsDrift, Health, LedgerRow, RepairMode, StoreError, Visible};

/// How many times we bring records back by ourselves, and within which time.
const MOST: (usize, SignedDuration) = (2, SignedDuration::from_hours(7 * 24));

/// How soon after one repair the next may begin.
const PAUSE: SignedDuration = SignedDuration::from_hours(1);

/// What may be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Tell,
    Offer,
    Repair,
    /// It was undone too often.
    Stop,
    /// It was brought back a moment ago; DNS may not show it yet.
    Wait,
}

fn way(mode: RepairMode, drift: &DnsDrift, now: Timestamp) -> Way {
    let since = now.checked_sub(MOST.1).unwrap_or_default();
    let recent = drift.repairs.iter().filter(|at| **at > since).count();
    let last = drift.repairs.last();
    match mode {
        RepairMode::Off => Way::Tell,
        RepairMode::Offer => Way::Offer,
        RepairMode::Auto if last.is_some_and(|last| now.duration_since(*last) < PAUSE) => Way::Wait,
        RepairMode::Auto if recent >= MOST.0 => Way::Stop,
        RepairMode::Auto => Way::Repair,
    }
}

/// The planned records that are certainly not right and where we wrote one.
fn lost(report: &Report, ledger: &[LedgerRow]) -> Vec<String> {
    let is_ours = |record: &&diagnosis::RecordReport| {
        record.planned.required
            && matches!(record.status, RecordStatus::Failed | RecordStatus::Missing)
            && ledger.iter().any(|row| row.owner == record.planned.owner)
    };
    report.records.iter().filter(is_ours).map(|record| record.planned.key.clone()).collect()
}

/// What a check says of records that we wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It was verified, and its break is confirmed.
    Broken,
    Whole,
    /// It was never whole, or is not ours to look after.
    Neither,
}

fn standing(domain: &store::Domain) -> Standing {
    match (domain.status, domain.health) {
        _ if domain.claimed_at.is_some() => Standing::Neither,
        (DomainStatus::Verified, Health::Warning) => Standing::Broken,
        (DomainStatus::Verified, Health::Ok) => Standing::Whole,
        // Nobody mended it in time.
        (DomainStatus::Failed, _) if domain.verified_at.is_some() => Standing::Broken,
        _ => Standing::Neither,
    }
}

/// Where the lost records were written last, newest first: what was written before at another host, the domain has left.
fn places<'a>(lost: &[&DomainName], ledger: &'a [LedgerRow]) -> Vec<&'a LedgerRow> {
    let newest = lost.iter().filter_map(|owner| {
        let at_name = ledger.iter().filter(|row| row.owner == **owner);
        at_name.max_by_key(|row| (row.change_set_id, row.id))
    });
    let mut places: Vec<&LedgerRow> = newest.collect();
    places.sort_by_key(|row| std::cmp::Reverse((row.change_set_id, row.id)));
    let mut seen = Vec::new();
    places.retain(|row| {
        let is_new = !seen.contains(&(&row.host, &row.zone));
        seen.push((&row.host, &row.zone));
        is_new
    });
    places
}

impl App {
    /// What is known of a domain's records that are not as we wrote them; nothing where they are.
    pub async fn drift(&self, caller: &Caller, id: DomainId) -> Result<Option<DnsDrift>> {
        self.stored_domain(caller, id).await?;
        Ok(self.store.dns_drift(id).await?.filter(|drift| drift.noticed_at.is_some()))
    }

    /// Looks, after a due check, whether records of ours were changed or removed, and does what may be done.
    pub(crate) async fn look_for_drift(self: &Arc<Self>, view: &DomainView) -> Result<()> {
        let domain = &view.domain;
        let known = self.store.dns_drift(domain.id).await?;
        match standing(domain) {
            Standing::Broken => {}
            Standing::Neither => return Ok(()),
            Standing::Whole => {
                // Mended, by us or by them.
                if let Some(drift) = known.filter(|drift| drift.noticed_at.is_some()) {
                    let mended =
                        DnsDrift { noticed_at: None, records: Vec::new(), change_set_id: None, ..drift };
                    self.store.set_dns_drift(&mended, &mended.repairs, &[]).await?;
                }
                return Ok(());
            }
        }
        let ledger = self.store.ledger_of_domain(domain.id).await?;
        let records = lost(&view.report, &ledger);
        let of_lost = view.report.records.iter().filter(|record| records.contains(&record.planned.key));
        let names: Vec<&DomainName> = of_lost.map(|record| &record.planned.owner).collect();
        let places = places(&names, &ledger);
        let Some(newest) = places.first() else { return Ok(()) };
        if self.demotions_are_held().await || self.store.is_disabled(domain.org_id).await? {
            return Ok(());
        }
        let (of, kept) = match self.kept_for(domain, &places).await? {
            Some((of, kept)) => (of, Some(kept)),
            None => (*newest, None),
        };
        let mut drift = known.unwrap_or(DnsDrift::new(domain.id, domain.org_id));
        if drift.noticed_at.is_none() {
            let now = self.clock.now();
            drift.noticed_at = Some(now);
            drift.records.clone_from(&records);
            let mode = kept.as_ref().map_or(RepairMode::Off, |kept| kept.repair);
            let data = json!({
                "domain": domain.name, "host": of.host, "zone": of.zone, "records": records, "repair": mode,
            });
            let event = self.event(domain.org_id, "domain.dns_drifted", domain.id.to_string(), &data, now);
            self.store.set_dns_drift(&drift, &drift.repairs, &[event]).await?;
        }
        // One that the host refused is not used until somebody has looked at it.
        match kept.filter(|kept| kept.last_error.is_none()) {
            Some(kept) => self.mend(view, &ledger, drift, kept).await,
            None => Ok(()),
        }
    }

    /// The kept credential for the first of these places that has one.
    async fn kept_for<'a>(
        &self,
        domain: &store::Domain,
        places: &[&'a LedgerRow],
    ) -> Result<Option<(&'a LedgerRow, DnsConnection)>> {
        for of in places {
            let (host, zone) = (&of.host, &of.zone);
            let kept =
                self.store.connection_for(domain.org_id, domain.tenant_id, domain.id, host, zone).await?;
            if let Some(kept) = kept {
                return Ok(Some((of, kept)));
            }
        }
        Ok(None)
    }

    async fn mend(
        self: &Arc<Self>,
        view: &DomainView,
        ledger: &[LedgerRow],
        mut drift: DnsDrift,
        kept: DnsConnection,
    ) -> Result<()> {
        let (domain, now) = (&view.domain, self.clock.now());
        let way = way(kept.repair, &drift, now);
        if way == Way::Stop && !drift.stopped {
            drift.stopped = true;
            let data = json!({"domain": domain.name, "records": drift.records, "repairs": drift.repairs});
            let event =
                self.event(domain.org_id, "domain.dns_repair_stopped", domain.id.to_string(), &data, now);
            self.store.set_dns_drift(&drift, &drift.repairs, &[event]).await?;
        }
        if matches!(way, Way::Tell | Way::Wait) {
            return Ok(());
        }
        // What is offered is left for its reader; by ourselves we do what needs none.
        let offered = self.offered(&drift).await?;
        if offered.is_some_and(|set| way != Way::Repair || set.plan.takes_from_others()) {
            return Ok(());
        }
        let caller = Caller::owner(domain.org_id);
        let opened = self.open_kept(&caller, kept).await?;
        let Some((set, listing)) = self.plan_repair(&caller, view, ledger, &opened).await? else {
            return Ok(());
        };
        drift.change_set_id = Some(set.stored.id);
        // What would take a record of somebody else's is done when somebody has seen it.
        if way != Way::Repair || set.plan.takes_from_others() {
            return Ok(self.store.set_dns_drift(&drift, &drift.repairs, &[]).await?);
        }
        // Counted before the first write, so that one that dies half way counts; and by one check only.
        let before = drift.repairs.clone();
        drift.repairs.push(now);
        drift.stopped = false;
        self.store.set_dns_drift(&drift, &before, &[]).await?;
        let repaired = self.apply_repair(&caller, set, &opened, listing).await?;
        if repaired.stored.state == ChangeState::Applied {
            let data = json!({
                "domain": domain.name, "records": drift.records, "change_set_id": repaired.stored.id,
            });
            let event = self.event(domain.org_id, "domain.dns_repaired", domain.id.to_string(), &data, now);
            // The event alone: a check may have seen meanwhile that all is well, and written that down.
            self.store.add_events(&[event]).await?;
        }
        self.wake.verify.notify_one();
        Ok(())
    }

    /// What is offered, where it can be applied still.
    async fn offered(&self, drift: &DnsDrift) -> Result<Option<ChangeSetView>> {
        let Some(id) = drift.change_set_id else { return Ok(None) };
        let stored = match self.store.get_change_set(&Visible::all_of(drift.org_id), id).await {
            Err(StoreError::NotFound(_)) => return Ok(None),
            other => other?,
        };
        let is_open = stored.state == ChangeState::Planned && stored.expires_at > self.clock.now();
        is_open.then(|| ChangeSetView::of(stored)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{ChangeSetId, LedgerId, OrgId};
    use store::LedgerState;

    #[test]
    fn what_is_lost_is_looked_for_where_it_was_written_last() {
        let name = |text: &str| DomainName::parse(text).unwrap();
        let line = |number: u64, host: &str, zone: &str, owner: &str| LedgerRow {
            id: LedgerId::from_parts(1, 1),
            org_id: OrgId::from_parts(1, 1),
            domain_id: DomainId::from_parts(1, 1),
            host: host.to_owned(),
            zone: name(zone),
            owner: name(owner),
            digest: String::new(),
            data: String::new(),
            rules: None,
            host_record_id: None,
            state: LedgerState::Present,
            change_set_id: ChangeSetId::from_parts(number, 1),
        };
        let ledger = [
            line(1, "powerdns", "acme.test", "a.acme.test"),
            line(1, "powerdns", "acme.test", "b.acme.test"),
            line(3, "cloudflare", "acme.test", "a.acme.test"),
            line(2, "powerdns", "acme.test", "c.acme.test"),
        ];
        let at = |names: &[&str]| -> Vec<String> {
            let names: Vec<DomainName> = names.iter().map(|text| name(text)).collect();
            let of = places(&names.iter().collect::<Vec<_>>(), &ledger);
            of.iter()
                .map(|row| format!("{} {}", row.host, row.change_set_id == ledger[2].change_set_id))
                .collect()
        };
        assert_eq!(at(&["a.acme.test"]), ["cloudflare true"], "the domain moved");
        assert_eq!(at(&["b.acme.test", "a.acme.test", "c.acme.test"]), ["cloudflare true", "powerdns false"]);
        assert_eq!(at(&["d.acme.test"]), [""; 0]);
    }

    #[test]
    fn nobody_is_fought() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        let ago = |hours: i64| now.checked_sub(SignedDuration::from_hours(hours)).unwrap();
        let new = DnsDrift::new(DomainId::from_parts(1, 1), OrgId::from_parts(1, 1));
        let after = |repairs: &[i64]| DnsDrift {
            repairs: repairs.iter().map(|hours| ago(*hours)).collect(),
            ..new.clone()
        };
        for (mode, repairs, wanted) in [
            (RepairMode::Off, &[][..], Way::Tell),
            (RepairMode::Offer, &[], Way::Offer),
            (RepairMode::Auto, &[], Way::Repair),
            (RepairMode::Auto, &[0], Way::Wait),
            (RepairMode::Auto, &[2], Way::Repair),
            (RepairMode::Auto, &[30, 2], Way::Stop),
            (RepairMode::Auto, &[30, 0], Way::Wait),
            (RepairMode::Auto, &[24 * 8, 2], Way::Repair),
            (RepairMode::Auto, &[24 * 9, 24 * 8], Way::Repair),
        ] {
            assert_eq!(way(mode, &after(repairs), now), wanted, "{mode:?} {repairs:?}");
        }
    }
}
