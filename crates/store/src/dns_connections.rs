//! Credentials of DNS hosts that are kept because their owner said so, sealed.

use crate::{
    Hidden, Store, StoreError, Told, Visible,
    audit::tell,
    database::{Row, Tx, sql},
    events::before,
    value::words,
    visible::{Texts, texts},
};
use model::{ConnectionId, DomainId, DomainName, OrgId, TenantId, Timestamp};

/// How many an organisation has at most.
const MOST: u64 = 10_000;

words! {
    /// What is done about records of ours that somebody changed or removed.
    #[derive(Default)]
    RepairMode {
        /// It is told.
        #[default]
        Off = "off",
        /// It is told, and the way back is offered.
        Offer = "offer",
        /// They are brought back at once.
        Auto = "auto",
    }
}

/// A kept credential of a DNS host.
#[derive(Debug, Clone)]
pub struct DnsConnection {
    /// Its id.
    pub id: ConnectionId,
    /// Whose.
    pub org_id: OrgId,
    /// The tenant whose domains it is for; all of the organisation without.
    pub tenant_id: Option<TenantId>,
    /// The one domain that it is for.
    pub domain_id: Option<DomainId>,
    /// The id of the DNS host.
    pub host: String,
    /// The zone's topmost name.
    pub zone: DomainName,
    /// What people call it.
    pub label: String,
    /// What people know it by: its last characters.
    pub hint: String,
    /// What it may be used for beside what somebody asks for.
    pub repair: RepairMode,
    /// Who gave it.
    pub created_by: Option<String>,
    /// When.
    pub created_at: Timestamp,
    /// When it was last used.
    pub last_used_at: Option<Timestamp>,
    /// What the host said the last time it refused it; nothing where it is good.
    pub last_error: Option<String>,
    /// The credential, sealed.
    pub secret: Hidden,
}

macro_rules! columns {
    () => {
        "id, org_id, tenant_id, domain_id, host, zone, label, hint, repair, created_by, created_at, last_used_at,
         last_error, secret"
    };
}

fn connection(row: &Row) -> Result<DnsConnection, StoreError> {
    Ok(DnsConnection {
        id: row.get("id")?,
        org_id: row.get("org_id")?,
        tenant_id: row.opt("tenant_id")?,
        domain_id: row.opt("domain_id")?,
        host: row.get("host")?,
        zone: row.get("zone")?,
        label: row.get("label")?,
        hint: row.get("hint")?,
        repair: row.get("repair")?,
        created_by: row.opt("created_by")?,
        created_at: row.get("created_at")?,
        last_used_at: row.opt("last_used_at")?,
        last_error: row.opt("last_error")?,
        secret: row.get("secret")?,
    })
}

macro_rules! one {
    ($($and:literal)*) => {
        concat!("SELECT ", columns!(), " FROM dns_connections WHERE org_id = $1 AND id = $2", $($and,)*)
    };
}
const ONE: Texts = texts!(one, "domain_id", "$3", "$4");

macro_rules! list {
    ($($and:literal)*) => {
        concat!(
            "SELECT ", columns!(), " FROM dns_connections WHERE org_id = $1 AND id < $2",
            $($and,)*
            " ORDER BY id DESC LIMIT $3"
        )
    };
}
const LIST: Texts = texts!(list, "domain_id", "$4", "$5");

macro_rules! delete {
    ($($and:literal)*) => {
        concat!("DELETE FROM dns_connections WHERE org_id = $1 AND id = $2", $($and,)*)
    };
}
const DELETE: Texts = texts!(delete, "domain_id", "$3", "$4");

/// What is kept for a domain goes with it.
pub(crate) async fn end_with_domain(id: DomainId, tx: &mut Tx) -> Result<(), StoreError> {
    sql("DELETE FROM dns_connections WHERE domain_id = $1").bind(&id).run(tx).await?;
    Ok(())
}

/// A newer one takes the place of those that are kept for the same: what nobody uses is not kept. Two at once wait for each
/// other, and for a deletion of their domain: nothing is kept for one that is gone.
async fn take_place(domain_id: &DomainId, new: &DnsConnection, tx: &mut Tx) -> Result<(), StoreError> {
    sql("SELECT id FROM domains WHERE id = $1 AND deleted_at IS NULL")
        .on_postgres("SELECT id FROM domains WHERE id = $1 AND deleted_at IS NULL FOR NO KEY UPDATE")
        .bind(domain_id)
        .first(tx)
        .await?
        .ok_or(StoreError::NotFound("domain"))?;
    sql("DELETE FROM dns_connections WHERE domain_id = $1 AND host = $2 AND zone = $3")
        .bind(domain_id)
        .bind(&new.host)
        .bind(&new.zone)
        .run(tx)
        .await?;
    Ok(())
}

impl Store {
    /// Keeps a credential. A newer one for the same domain, host and zone takes the place of the one there.
    ///
    /// # Errors
    /// `LimitReached`; `NotFound("domain")` where its domain is deleted by now.
    pub async fn add_connection(
        &self,
        new: &DnsConnection,
        told: impl Into<Told<'_>>,
    ) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        if let Some(domain_id) = &new.domain_id {
            take_place(domain_id, new, &mut tx).await?;
        }
        let there: u64 = sql("SELECT COUNT(*) AS n FROM dns_connections WHERE org_id = $1")
            .bind(&new.org_id)
            .number(&mut tx)
            .await?;
        if there >= MOST {
            return Err(StoreError::LimitReached { what: "connections", limit: MOST });
        }
        sql(concat!(
            "INSERT INTO dns_connections (",
            columns!(),
            ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"
        ))
        .bind(&new.id)
        .bind(&new.org_id)
        .bind_opt(new.tenant_id.as_ref())
        .bind_opt(new.domain_id.as_ref())
        .bind(&new.host)
        .bind(&new.zone)
        .bind(&new.label)
        .bind(&new.hint)
        .bind(&new.repair)
        .bind_opt(new.created_by.as_ref())
        .bind(&new.created_at)
        .bind_opt(new.last_used_at.as_ref())
        .bind_opt(new.last_error.as_ref())
        .bind(&new.secret)
        .run(&mut tx)
        .await?;
        tell(told.into(), &mut tx).await?;
        tx.commit().await
    }

    /// One that is visible.
    pub async fn get_connection(
        &self,
        visible: &Visible,
        id: ConnectionId,
    ) -> Result<DnsConnection, StoreError> {
        let query = visible.sql(&ONE).bind(&visible.org_id).bind(&id);
        let row = self.read_first(visible.bind(query)).await?;
        connection(&row.ok_or(StoreError::NotFound("connection"))?)
    }

    /// Those that are visible, newest first, from behind `after`.
    pub async fn list_connections(
        &self,
        visible: &Visible,
        after: Option<ConnectionId>,
        limit: u32,
    ) -> Result<Vec<DnsConnection>, StoreError> {
        let page =
            visible.sql(&LIST).bind(&visible.org_id).text(&before(after, ConnectionId::PREFIX)).bind(&limit);
        self.read_all(visible.bind(page)).await?.iter().map(connection).collect()
    }

    /// The kept credential for a domain: its own, else one of its tenant or organisation, of this zone at this host.
    pub async fn connection_for(
        &self,
        org_id: OrgId,
        tenant_id: Option<TenantId>,
        domain_id: DomainId,
        host: &str,
        zone: &DomainName,
    ) -> Result<Option<DnsConnection>, StoreError> {
        // A tenant's is never used for another's domain, nor for one that is no tenant's.
        let query = sql(concat!(
            "SELECT ",
            columns!(),
            " FROM dns_connections WHERE org_id = $1 AND zone = $2 AND host = $5
                 AND (domain_id = $3 OR (domain_id IS NULL AND (tenant_id IS NULL OR tenant_id = $4)))
             ORDER BY CASE WHEN domain_id IS NULL THEN 1 ELSE 0 END, CASE WHEN tenant_id IS NULL THEN 1 ELSE 0 END,
                 id DESC LIMIT 1"
        ))
        .bind(&org_id)
        .bind(zone)
        .bind(&domain_id)
        .text(&tenant_id.map(|id| id.to_string()).unwrap_or_default())
        .text(host);
        self.read_first(query).await?.as_ref().map(connection).transpose()
    }

    /// Says what it may be used for by itself.
    pub async fn set_connection_repair(
        &self,
        visible: &Visible,
        id: ConnectionId,
        repair: RepairMode,
        told: impl Into<Told<'_>>,
    ) -> Result<(), StoreError> {
        self.get_connection(visible, id).await?;
        let mut tx = self.pools.write().await?;
        sql("UPDATE dns_connections SET repair = $2 WHERE id = $1")
            .bind(&id)
            .bind(&repair)
            .run_on("connection", &mut tx)
            .await?;
        tell(told.into(), &mut tx).await?;
        tx.commit().await
    }

    /// It was used; `error` is what the host said against it.
    pub async fn note_connection_use(
        &self,
        id: ConnectionId,
        now: Timestamp,
        error: Option<&str>,
        told: impl Into<Told<'_>>,
    ) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        sql("UPDATE dns_connections SET last_used_at = $2, last_error = $3 WHERE id = $1")
            .bind(&id)
            .bind(&now)
            .bind_opt(error.map(str::to_owned).as_ref())
            .run(&mut tx)
            .await?;
        tell(told.into(), &mut tx).await?;
        tx.commit().await
    }

    /// Deletes one that is visible, its secret with it.
    pub async fn delete_connection(
        &self,
        visible: &Visible,
        id: ConnectionId,
        told: impl Into<Told<'_>>,
    ) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        let delete = visible.sql(&DELETE).bind(&visible.org_id).bind(&id);
        visible.bind(delete).run_on("connection", &mut tx).await?;
        tell(told.into(), &mut tx).await?;
        tx.commit().await
    }
}
