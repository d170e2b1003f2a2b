//! Suppressions: addresses that get no mail from an organisation, or from one of its tenants.
//!
//! An address is kept in lower case. What a key that is limited to domains sees is not asked here: an address is of no domain.

use crate::{
    Store, StoreError, Told, Visible,
    audit::tell,
    database::{Row, Tx, sql},
    events::before,
};
use model::{EmailAddress, OrgId, SuppressionId, TenantId, Timestamp};

/// An address that gets no mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suppression {
    /// Its id.
    pub id: SuppressionId,
    /// Whose mail it does not get.
    pub org_id: OrgId,
    /// Only the mail of this tenant; without, that of all.
    pub tenant_id: Option<TenantId>,
    /// The address, in lower case.
    pub address: String,
    /// Why, as whoever added it says.
    pub reason: String,
    /// Since when.
    pub created_at: Timestamp,
}

fn suppression(row: &Row) -> Result<Suppression, StoreError> {
    let tenant: String = row.get("tenant_id")?;
    let tenant_id = match tenant.as_str() {
        "" => None,
        id => Some(id.parse().map_err(|_| StoreError::Corrupt("a suppression of no tenant".to_owned()))?),
    };
    Ok(Suppression {
        id: row.get("id")?,
        org_id: row.get("org_id")?,
        tenant_id,
        address: row.get("address")?,
        reason: row.get("reason")?,
        created_at: row.get("created_at")?,
    })
}

/// A tenant as it stands in the table.
fn column(tenant: Option<TenantId>) -> String {
    tenant.map_or_else(String::new, |id| id.to_string())
}

/// The recipients that get no mail of this tenant, or of none.
pub(crate) async fn suppressed(
    org_id: OrgId,
    tenant_id: Option<TenantId>,
    recipients: impl Iterator<Item = &EmailAddress>,
    tx: &mut Tx,
) -> Result<Vec<EmailAddress>, StoreError> {
    let any = sql("SELECT 1 AS n FROM suppressions WHERE org_id = $1 LIMIT 1").bind(&org_id);
    if any.first(tx).await?.is_none() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for recipient in recipients {
        let one = sql("SELECT 1 AS n FROM suppressions
             WHERE org_id = $1 AND tenant_id IN ('', $2) AND address = $3 LIMIT 1")
        .bind(&org_id)
        .text(&column(tenant_id))
        .text(&recipient.to_string().to_lowercase());
        if one.first(tx).await?.is_some() {
            found.push(recipient.clone());
        }
    }
    Ok(found)
}

/// Adds an address where it is not there; how many.
pub(crate) async fn insert_suppression(new: &Suppression, tx: &mut Tx) -> Result<u64, StoreError> {
    sql("INSERT INTO suppressions (id, org_id, tenant_id, address, reason, created_at)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (org_id, tenant_id, address) DO NOTHING")
    .bind(&new.id)
    .bind(&new.org_id)
    .text(&column(new.tenant_id))
    .bind(&new.address)
    .bind(&new.reason)
    .bind(&new.created_at)
    .run(tx)
    .await
}

macro_rules! select {
    ($($rest:literal),*) => {
        concat!("SELECT id, org_id, tenant_id, address, reason, created_at FROM suppressions WHERE org_id = $1", $($rest),*)
    };
}

impl Store {
    /// Adds an address, or finds the one that is there; whether it was added.
    pub async fn add_suppression(
        &self,
        new: &Suppression,
        told: impl Into<Told<'_>>,
    ) -> Result<(Suppression, bool), StoreError> {
        let mut tx = self.pools.write().await?;
        let added = insert_suppression(new, &mut tx).await?;
        if added > 0 {
            tell(told.into(), &mut tx).await?;
        }
        let row = sql(select!(" AND tenant_id = $2 AND address = $3"))
            .bind(&new.org_id)
            .text(&column(new.tenant_id))
            .bind(&new.address)
            .first(&mut tx)
            .await?;
        let stored = suppression(&row.ok_or(StoreError::NotFound("suppression"))?)?;
        tx.commit().await?;
        Ok((stored, added > 0))
    }

    /// One that is visible.
    pub async fn get_suppression(
        &self,
        visible: &Visible,
        id: SuppressionId,
    ) -> Result<Suppression, StoreError> {
        let query = match visible.tenant_id {
            None => sql(select!(" AND id = $2")).bind(&visible.org_id).bind(&id),
            Some(tenant) => {
                sql(select!(" AND id = $2 AND tenant_id = $3")).bind(&visible.org_id).bind(&id).bind(&tenant)
            }
        };
        suppression(&self.read_first(query).await?.ok_or(StoreError::NotFound("suppression"))?)
    }

    /// Those that are visible, newest first, from behind `after`; of this address alone, where one is given.
    pub async fn list_suppressions(
        &self,
        visible: &Visible,
        address: Option<&str>,
        after: Option<SuppressionId>,
        limit: u32,
    ) -> Result<Vec<Suppression>, StoreError> {
        let text = match (visible.tenant_id, address) {
            (None, None) => select!(" AND id < $2 ORDER BY id DESC LIMIT $3"),
            (Some(_), None) => select!(" AND id < $2 AND tenant_id = $4 ORDER BY id DESC LIMIT $3"),
            (None, Some(_)) => select!(" AND id < $2 AND address = $4 ORDER BY id DESC LIMIT $3"),
            (Some(_), Some(_)) => {
                select!(" AND id < $2 AND tenant_id = $4 AND address = $5 ORDER BY id DESC LIMIT $3")
            }
        };
        let mut page =
            sql(text).bind(&visible.org_id).text(&before(after, SuppressionId::PREFIX)).bind(&limit);
        if let Some(tenant) = &visible.tenant_id {
            page = page.bind(tenant);
        }
        if let Some(address) = address {
            page = page.text(address);
        }
        self.read_all(page).await?.iter().map(suppression).collect()
    }

    /// Takes an address off: it gets mail again.
    pub async fn delete_suppression(
        &self,
        org_id: OrgId,
        id: SuppressionId,
        told: impl Into<Told<'_>>,
    ) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        sql("DELETE FROM suppressions WHERE org_id = $1 AND id = $2")
            .bind(&org_id)
            .bind(&id)
            .run_on("suppression", &mut tx)
            .await?;
        tell(told.into(), &mut tx).await?;
        tx.commit().await
    }
}
