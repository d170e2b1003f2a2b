//! Records of ours that somebody changed or removed at their DNS host: one line for a domain, which stays when it is
//! mended, since how often we brought them back decides whether we do it again.

use crate::{
    Store, StoreError, Told,
    audit::tell,
    database::{Row, sql},
    value::{from_json, to_json},
};
use model::{ChangeSetId, DomainId, OrgId, Timestamp};

/// What is known of a domain's records that are not as we wrote them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsDrift {
    /// The domain.
    pub domain_id: DomainId,
    /// Whose.
    pub org_id: OrgId,
    /// Since when they are known not to be; nothing where they are.
    pub noticed_at: Option<Timestamp>,
    /// The planned records.
    pub records: Vec<String>,
    /// What would bring them back, or did.
    pub change_set_id: Option<ChangeSetId>,
    /// When we began to bring them back by ourselves, oldest first.
    pub repairs: Vec<Timestamp>,
    /// Whether we gave that up, since somebody undoes it.
    pub stopped: bool,
}

impl DnsDrift {
    /// Of a domain of which nothing was known.
    pub const fn new(domain_id: DomainId, org_id: OrgId) -> Self {
        Self {
            domain_id,
            org_id,
            noticed_at: None,
            records: Vec::new(),
            change_set_id: None,
            repairs: Vec::new(),
            stopped: false,
        }
    }
}

fn drift(row: &Row) -> Result<DnsDrift, StoreError> {
    Ok(DnsDrift {
        domain_id: row.get("domain_id")?,
        org_id: row.get("org_id")?,
        noticed_at: row.opt("noticed_at")?,
        records: from_json("records", &row.get::<String>("records")?)?,
        change_set_id: row.opt("change_set_id")?,
        repairs: from_json("repairs", &row.get::<String>("repairs")?)?,
        stopped: row.get("stopped")?,
    })
}

impl Store {
    /// What is known of a domain.
    pub async fn dns_drift(&self, domain_id: DomainId) -> Result<Option<DnsDrift>, StoreError> {
        let query = sql("SELECT domain_id, org_id, noticed_at, records, change_set_id, repairs, stopped
             FROM dns_drifts WHERE domain_id = $1")
        .bind(&domain_id);
        self.read_first(query).await?.as_ref().map(drift).transpose()
    }

    /// Writes down what is known of a domain from now on. `repairs` are those that it was made from.
    ///
    /// # Errors
    /// `StaleVersion` where somebody else counted a repair meanwhile: then nothing is written or told.
    pub async fn set_dns_drift(
        &self,
        drift: &DnsDrift,
        repairs: &[Timestamp],
        told: impl Into<Told<'_>>,
    ) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        let written = sql("INSERT INTO dns_drifts (domain_id, org_id, noticed_at, records, change_set_id, repairs, stopped)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (domain_id) DO UPDATE SET noticed_at = excluded.noticed_at, records = excluded.records,
                 change_set_id = excluded.change_set_id, repairs = excluded.repairs, stopped = excluded.stopped
             WHERE dns_drifts.repairs = $8")
        .bind(&drift.domain_id)
        .bind(&drift.org_id)
        .bind_opt(drift.noticed_at.as_ref())
        .bind(&to_json(&drift.records)?)
        .bind_opt(drift.change_set_id.as_ref())
        .bind(&to_json(&drift.repairs)?)
        .bind(&drift.stopped)
        .bind(&to_json(&repairs)?)
        .run(&mut tx)
        .await?;
        if written == 0 {
            return Err(StoreError::StaleVersion);
        }
        tell(told.into(), &mut tx).await?;
        tx.commit().await
    }
}
