//! The daily count of domains that are warming up, and how long their warm-up takes.

use crate::{
    Domain, Store, StoreError, Told,
    audit::tell,
    database::{Tx, sql},
    domains::{columns, domain},
};
use model::{DomainId, OrgId};

/// How many messages a domain may send on one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DailyCap {
    /// The day, in days since 1970-01-01 (UTC).
    pub day: i64,
    /// How many; one at least.
    pub messages: u64,
}

/// Counts one more message, in the transaction that accepts it: a message that is not kept is not counted, and no
/// two transactions count at the same time.
pub(crate) async fn count_message(domain_id: DomainId, cap: DailyCap, tx: &mut Tx) -> Result<(), StoreError> {
    let counted = sql("INSERT INTO warmup_days (domain_id, day, accepted) VALUES ($1, $2, 1)
         ON CONFLICT (domain_id, day) DO UPDATE SET accepted = warmup_days.accepted + 1
             WHERE warmup_days.accepted < $3")
    .bind(&domain_id)
    .bind(&cap.day)
    .bind(&cap.messages)
    .run(tx)
    .await?;
    match counted {
        0 => Err(StoreError::DailyCapReached { accepted: accepted_on(domain_id, cap.day, tx).await? }),
        _ => Ok(()),
    }
}

async fn accepted_on(domain_id: DomainId, day: i64, tx: &mut Tx) -> Result<u64, StoreError> {
    let query = sql("SELECT accepted FROM warmup_days WHERE domain_id = $1 AND day = $2");
    match query.bind(&domain_id).bind(&day).first(tx).await? {
        Some(row) => row.get("accepted"),
        None => Ok(0),
    }
}

impl Store {
    /// How many messages the domain was accepted to send on a day, in days since 1970-01-01 (UTC). Only messages
    /// that came with a [`DailyCap`] are counted.
    pub async fn messages_on_day(&self, domain_id: DomainId, day: i64) -> Result<u64, StoreError> {
        accepted_on(domain_id, day, &mut self.pools.read().await?).await
    }

    /// Sets how many days a domain's warm-up takes. A check that is running then ends as `StaleVersion`.
    pub async fn set_warmup_days(
        &self,
        org_id: OrgId,
        id: DomainId,
        days: u32,
        told: impl Into<Told<'_>>,
    ) -> Result<Domain, StoreError> {
        let mut tx = self.pools.write().await?;
        let row = sql(concat!(
            "UPDATE domains SET warmup_days = $3, version = version + 1
             WHERE id = $1 AND org_id = $2 AND deleted_at IS NULL RETURNING ",
            columns!()
        ))
        .bind(&id)
        .bind(&org_id)
        .bind(&days)
        .first(&mut tx)
        .await?;
        let changed = domain(&row.ok_or(StoreError::NotFound("domain"))?)?;
        tell(told.into(), &mut tx).await?;
        tx.commit().await?;
        Ok(changed)
    }
}
