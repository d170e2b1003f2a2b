//! Tenants: the customers of an organisation, as the organisation itself names them.

use crate::{
    Store, StoreError, Told, Visible,
    audit::tell,
    database::{Row, sql},
    events::before,
    visible::Texts,
};
use model::{OrgId, TenantId, Timestamp};

/// A tenant of an organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// Whose tenant.
    pub org_id: OrgId,
    /// The name that the organisation has for it, unique in the organisation.
    pub reference: String,
    /// When it was made.
    pub created_at: Timestamp,
}

fn tenant(row: &Row) -> Result<Tenant, StoreError> {
    Ok(Tenant {
        id: row.get("id")?,
        org_id: row.get("org_id")?,
        reference: row.get("reference")?,
        created_at: row.get("created_at")?,
    })
}

macro_rules! select {
    ($condition:literal, $($and:literal)*) => {
        concat!(
            "SELECT id, org_id, reference, created_at FROM tenants WHERE org_id = $1 AND ",
            $condition,
            $($and),*
        )
    };
}

/// Whoever is limited to domains sees the tenants that these belong to.
macro_rules! texts {
    ($condition:literal, $first:literal, $second:literal, $end:literal) => {
        Texts {
            whole: select!($condition, $end),
            tenant: select!($condition, " AND id = " $first $end),
            listed: select!(
                $condition,
                " AND id IN (SELECT tenant_id FROM domains WHERE id IN (
                     SELECT domain_id FROM api_key_domains WHERE key_id = " $first "))" $end
            ),
            both: select!(
                $condition,
                " AND id = " $first " AND id IN (SELECT tenant_id FROM domains WHERE id IN (
                     SELECT domain_id FROM api_key_domains WHERE key_id = " $second "))" $end
            ),
        }
    };
}
pub(crate) const LIST: Texts = texts!("id < $2", "$4", "$5", " ORDER BY id DESC LIMIT $3");
const ONE: Texts = texts!("id = $2", "$3", "$4", "");

impl Store {
    /// The organisation's tenant of that reference: the one that is there, or else this one, stored now. Of several
    /// that are stored at the same time one wins, and all get that one.
    pub async fn find_or_create_tenant(
        &self,
        new: &Tenant,
        told: impl Into<Told<'_>>,
    ) -> Result<Tenant, StoreError> {
        if let Some(found) = self.find_tenant(new.org_id, &new.reference).await? {
            return Ok(found);
        }
        let mut tx = self.pools.write().await?;
        let made = sql("INSERT INTO tenants (id, org_id, reference, created_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (org_id, reference) DO NOTHING")
        .bind(&new.id)
        .bind(&new.org_id)
        .bind(&new.reference)
        .bind(&new.created_at)
        .run(&mut tx)
        .await?;
        if made > 0 {
            tell(told.into(), &mut tx).await?;
        }
        tx.commit().await?;
        self.find_tenant(new.org_id, &new.reference).await?.ok_or(StoreError::NotFound("tenant"))
    }

    /// The organisation's tenant of that reference, its case as given.
    pub async fn find_tenant(&self, org_id: OrgId, reference: &str) -> Result<Option<Tenant>, StoreError> {
        let query =
            sql("SELECT id, org_id, reference, created_at FROM tenants WHERE org_id = $1 AND reference = $2")
                .bind(&org_id)
                .text(reference);
        self.read_first(query).await?.as_ref().map(tenant).transpose()
    }

    /// One tenant that is visible.
    pub async fn get_tenant(&self, visible: &Visible, id: TenantId) -> Result<Tenant, StoreError> {
        let query = visible.sql(&ONE).bind(&visible.org_id).bind(&id);
        let row = self.read_first(visible.bind(query)).await?;
        tenant(&row.ok_or(StoreError::NotFound("tenant"))?)
    }

    /// The tenants that are visible, newest first, from behind `after`.
    pub async fn list_tenants(
        &self,
        visible: &Visible,
        after: Option<TenantId>,
        limit: u32,
    ) -> Result<Vec<Tenant>, StoreError> {
        let page =
            visible.sql(&LIST).bind(&visible.org_id).text(&before(after, TenantId::PREFIX)).bind(&limit);
        self.read_all(visible.bind(page)).await?.iter().map(tenant).collect()
    }
}
