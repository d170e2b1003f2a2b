//! Records of ours that somebody changed or removed.
//!
//! Looked for whenever a due check finds a domain broken that is known to be (the life cycle has confirmed it, by several
//! looks and perspectives, and not while the fault may be ours): a required record that is not right, at a name where the
//! ledger has a line. It is told once. What more happens is as the owner of a kept credential said (`repair`): what would
//! bring the records back is planned and offered, or they are brought back. Only what we wrote is: a repair has no step at
//! another name, and never removes what is left over.
//!
//! Nobody is fought: who changes it back twice within a week has decided. Then we stop, tell that, and offer it.

use crate::{App, access::Caller, domains::DomainView, error::Result};
use diagnosis::Report;
use jiff::{SignedDuration, Timestamp};
use model::{DomainId, RecordStatus};
use serde_json::json;
use std::sync::Arc;
use store::{ChangeState, DnsConnection, DnsDrift, Health, LedgerRow, RepairMode};

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
        if domain.health != Health::Warning {
            // Mended, by us or by them.
            if let Some(drift) = known.filter(|drift| drift.noticed_at.is_some()) {
                let mended = DnsDrift { noticed_at: None, records: Vec::new(), change_set_id: None, ..drift };
                self.store.set_dns_drift(&mended, &[]).await?;
            }
            return Ok(());
        }
        let ledger = self.store.ledger_of_domain(domain.id).await?;
        let records = lost(&view.report, &ledger);
        let Some(of) = ledger.first().filter(|_| !records.is_empty()) else { return Ok(()) };
        if self.demotions_are_held().await {
            return Ok(());
        }
        let now = self.clock.now();
        let kept = self.store.connection_for(domain.org_id, domain.tenant_id, domain.id, &of.zone).await?;
        let kept = kept.filter(|kept| kept.host == of.host);
        let mut drift = known.unwrap_or(DnsDrift::new(domain.id, domain.org_id));
        if drift.noticed_at.is_none() {
            drift.noticed_at = Some(now);
            drift.records.clone_from(&records);
            let mode = kept.as_ref().map_or(RepairMode::Off, |kept| kept.repair);
            let data = json!({
                "domain": domain.name, "host": of.host, "zone": of.zone, "records": records, "repair": mode,
            });
            let event = self.event(domain.org_id, "domain.dns_drifted", domain.id.to_string(), &data, now);
            self.store.set_dns_drift(&drift, &[event]).await?;
        }
        // One that the host refused is not used until somebody has looked at it.
        match kept.filter(|kept| kept.last_error.is_none()) {
            Some(kept) => self.mend(view, &ledger, drift, kept).await,
            None => Ok(()),
        }
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
            self.store.set_dns_drift(&drift, &[event]).await?;
        }
        let offers = matches!(way, Way::Offer | Way::Stop) && drift.change_set_id.is_none();
        if !offers && way != Way::Repair {
            return Ok(());
        }
        let caller = Caller::owner(domain.org_id);
        let opened = self.open_kept(&caller, kept).await?;
        let Some((set, zone)) = self.plan_repair(&caller, view, ledger, &opened).await? else {
            return Ok(());
        };
        drift.change_set_id = Some(set.stored.id);
        if way == Way::Repair {
            // Before the first write: one that dies half way counts.
            drift.repairs.push(now);
            drift.stopped = false;
        }
        self.store.set_dns_drift(&drift, &[]).await?;
        if way == Way::Repair {
            let repaired = self.apply_repair(&caller, set, &opened, zone).await?;
            if repaired.stored.state == ChangeState::Applied {
                let data = json!({
                    "domain": domain.name, "records": drift.records, "change_set_id": repaired.stored.id,
                });
                let event =
                    self.event(domain.org_id, "domain.dns_repaired", domain.id.to_string(), &data, now);
                self.store.set_dns_drift(&drift, &[event]).await?;
            }
            self.wake.verify.notify_one();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::OrgId;

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
