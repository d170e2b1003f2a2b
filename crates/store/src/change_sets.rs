//! What is to be changed at DNS hosts, and who writes to a zone.
//!
//! A change set is planned, applied and perhaps undone. Whoever applies one holds the lease of its zone, so that nobody
//! else writes there, whichever node; every move of it is fenced by that lease, and takes what it means for the ledger
//! along in the same transaction.

use crate::{
    LedgerMove, Store, StoreError, Told, Visible,
    audit::tell,
    database::{Row, Tx, sql},
    dns_ledger::move_ledger,
    events::before,
    value::words,
    visible::{Texts, texts},
};
use model::{ChangeSetId, ConnectionId, DomainId, DomainName, OrgId, TenantId, Timestamp};

words! {
    /// What a change set is for.
    ChangePurpose {
        /// The records that a domain asks for.
        Setup = "setup",
        /// What was changed or removed since is brought back.
        Repair = "repair",
        /// What another change set did is taken back.
        Undo = "undo",
        /// What is not needed any more goes.
        Cleanup = "cleanup",
    }
}

words! {
    /// How far a change set is.
    ChangeState {
        /// Nothing was written.
        Planned = "planned",
        /// It is being written, or whoever wrote it died.
        Applying = "applying",
        /// All of it is written.
        Applied = "applied",
        /// Some of it is written; applying it again goes on.
        Partial = "partial",
        /// Nothing was written: the host refused it, or the zone was another.
        Refused = "refused",
        /// It is not known how much is written; applying it again looks first.
        Unknown = "unknown",
        /// It was taken back.
        Undone = "undone",
    }
}

/// A stored change set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredChangeSet {
    /// Its id.
    pub id: ChangeSetId,
    /// Whose.
    pub org_id: OrgId,
    /// The tenant that the domain is of.
    pub tenant_id: Option<TenantId>,
    /// The domain that it is for.
    pub domain_id: DomainId,
    /// What it is for.
    pub purpose: ChangePurpose,
    /// Which one it takes back.
    pub undoes: Option<ChangeSetId>,
    /// The id of the DNS host.
    pub host: String,
    /// The zone's topmost name.
    pub zone: DomainName,
    /// What the host calls the zone.
    pub host_zone: String,
    /// The kept credential that it is applied with.
    pub connection_id: Option<ConnectionId>,
    /// How far it is.
    pub state: ChangeState,
    /// The changes, JSON.
    pub plan: String,
    /// Which of its steps are done, JSON.
    pub done: String,
    /// Why it went no further, JSON.
    pub error: Option<String>,
    /// When it was planned.
    pub created_at: Timestamp,
    /// Until when it may be applied for the first time.
    pub expires_at: Timestamp,
    /// When it was applied whole.
    pub applied_at: Option<Timestamp>,
}

/// The right to write to a zone, for a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneLease {
    /// Which zone at which host: its name alone is not it, since a server that anybody may name can say that it has any.
    pub zone: String,
    /// Who has it.
    pub owner: String,
    /// Grows with every claim.
    pub epoch: i64,
}

/// A move of a change set by who holds its zone.
#[derive(Debug)]
pub struct ChangeSetMove<'a> {
    /// Which.
    pub id: ChangeSetId,
    /// The lease of its zone.
    pub lease: &'a ZoneLease,
    /// Until when the lease holds from now on.
    pub until: Timestamp,
    /// When.
    pub at: Timestamp,
    /// The state from now on.
    pub state: ChangeState,
    /// The steps that are done, JSON.
    pub done: &'a str,
    /// Why it went no further, JSON.
    pub error: Option<&'a str>,
    /// What it means for the ledger.
    pub ledger: &'a [LedgerMove],
    /// What is told.
    pub told: Told<'a>,
}

macro_rules! columns {
    () => {
        "id, org_id, tenant_id, domain_id, purpose, undoes, host, zone, host_zone, connection_id, state, plan, done,
         error, created_at, expires_at, applied_at"
    };
}

fn change_set(row: &Row) -> Result<StoredChangeSet, StoreError> {
    Ok(StoredChangeSet {
        id: row.get("id")?,
        org_id: row.get("org_id")?,
        tenant_id: row.opt("tenant_id")?,
        domain_id: row.get("domain_id")?,
        purpose: row.get("purpose")?,
        undoes: row.opt("undoes")?,
        host: row.get("host")?,
        zone: row.get("zone")?,
        host_zone: row.get("host_zone")?,
        connection_id: row.opt("connection_id")?,
        state: row.get("state")?,
        plan: row.get("plan")?,
        done: row.get("done")?,
        error: row.opt("error")?,
        created_at: row.get("created_at")?,
        expires_at: row.get("expires_at")?,
        applied_at: row.opt("applied_at")?,
    })
}

macro_rules! one {
    ($($and:literal)*) => {
        concat!("SELECT ", columns!(), " FROM change_sets WHERE org_id = $1 AND id = $2", $($and,)*)
    };
}
const ONE: Texts = texts!(one, "domain_id", "$3", "$4");

macro_rules! list {
    ($($and:literal)*) => {
        concat!(
            "SELECT ", columns!(), " FROM change_sets WHERE org_id = $1 AND domain_id = $2 AND id < $3",
            $($and,)*
            " ORDER BY id DESC LIMIT $4"
        )
    };
}
pub(crate) const LIST: Texts = texts!(list, "domain_id", "$5", "$6");

impl Store {
    /// Stores change sets that were planned, all or none.
    pub async fn add_change_sets(
        &self,
        new: &[StoredChangeSet],
        told: impl Into<Told<'_>>,
    ) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        for set in new {
            insert(set, &mut tx).await?;
        }
        tell(told.into(), &mut tx).await?;
        tx.commit().await
    }

    /// One change set that is visible.
    pub async fn get_change_set(
        &self,
        visible: &Visible,
        id: ChangeSetId,
    ) -> Result<StoredChangeSet, StoreError> {
        let query = visible.sql(&ONE).bind(&visible.org_id).bind(&id);
        let row = self.read_first(visible.bind(query)).await?;
        change_set(&row.ok_or(StoreError::NotFound("change set"))?)
    }

    /// The change sets of a domain that are visible, newest first, from behind `after`.
    pub async fn list_change_sets(
        &self,
        visible: &Visible,
        domain_id: DomainId,
        after: Option<ChangeSetId>,
        limit: u32,
    ) -> Result<Vec<StoredChangeSet>, StoreError> {
        let page = visible
            .sql(&LIST)
            .bind(&visible.org_id)
            .bind(&domain_id)
            .text(&before(after, ChangeSetId::PREFIX))
            .bind(&limit);
        self.read_all(visible.bind(page)).await?.iter().map(change_set).collect()
    }

    /// Takes the lease of a zone, unless somebody else holds it. `zone` says which, at which host.
    pub async fn claim_zone(
        &self,
        zone: &str,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<ZoneLease>, StoreError> {
        let mut tx = self.pools.write().await?;
        let row = sql("INSERT INTO zone_leases (zone, owner, until, epoch) VALUES ($1, $2, $3, 1)
             ON CONFLICT (zone) DO UPDATE SET owner = $2, until = $3, epoch = zone_leases.epoch + 1
             WHERE zone_leases.until <= $4
             RETURNING epoch")
        .text(zone)
        .text(owner)
        .bind(&until)
        .bind(&now)
        .first(&mut tx)
        .await?;
        tx.commit().await?;
        let lease = |epoch| ZoneLease { zone: zone.to_owned(), owner: owner.to_owned(), epoch };
        row.map(|row| row.get("epoch").map(lease)).transpose()
    }

    /// How often the lease of a zone was taken so far, where nobody holds it now. Who finds the next number when taking it
    /// knows that nobody else wrote in between.
    pub async fn zone_epoch(&self, zone: &str, now: Timestamp) -> Result<Option<i64>, StoreError> {
        let query = sql("SELECT until, epoch FROM zone_leases WHERE zone = $1");
        match self.read_first(query.text(zone)).await? {
            None => Ok(Some(0)),
            Some(row) if row.get::<Timestamp>("until")? <= now => row.get("epoch").map(Some),
            Some(_) => Ok(None),
        }
    }

    /// Gives the lease of a zone back.
    pub async fn release_zone(&self, lease: &ZoneLease) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        sql("UPDATE zone_leases SET until = 0 WHERE zone = $1 AND owner = $2 AND epoch = $3")
            .text(&lease.zone)
            .text(&lease.owner)
            .bind(&lease.epoch)
            .run(&mut tx)
            .await?;
        tx.commit().await
    }

    /// Moves a change set on, with the ledger, and renews the lease.
    ///
    /// # Errors
    /// `NotFound("zone lease")` when somebody else holds the zone by now: then nothing was moved.
    pub async fn move_change_set(&self, change: &ChangeSetMove<'_>) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        sql("UPDATE zone_leases SET until = $4 WHERE zone = $1 AND owner = $2 AND epoch = $3")
            .text(&change.lease.zone)
            .text(&change.lease.owner)
            .bind(&change.lease.epoch)
            .bind(&change.until)
            .run_on("zone lease", &mut tx)
            .await?;
        let applied = (change.state == ChangeState::Applied).then_some(&change.at);
        sql("UPDATE change_sets SET state = $2, done = $3, error = $4, applied_at = COALESCE($5, applied_at)
             WHERE id = $1")
        .bind(&change.id)
        .bind(&change.state)
        .text(change.done)
        .bind_opt(change.error.map(str::to_owned).as_ref())
        .bind_opt(applied)
        .run_on("change set", &mut tx)
        .await?;
        move_ledger(change.ledger, change.at, &mut tx).await?;
        tell(change.told, &mut tx).await?;
        tx.commit().await
    }

    /// Says that what a change set did was taken back.
    pub async fn change_set_undone(&self, id: ChangeSetId) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        sql("UPDATE change_sets SET state = 'undone' WHERE id = $1")
            .bind(&id)
            .run_on("change set", &mut tx)
            .await?;
        tx.commit().await
    }
}

async fn insert(set: &StoredChangeSet, tx: &mut Tx) -> Result<(), StoreError> {
    sql(concat!(
        "INSERT INTO change_sets (",
        columns!(),
        ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)"
    ))
    .bind(&set.id)
    .bind(&set.org_id)
    .bind_opt(set.tenant_id.as_ref())
    .bind(&set.domain_id)
    .bind(&set.purpose)
    .bind_opt(set.undoes.as_ref())
    .bind(&set.host)
    .bind(&set.zone)
    .bind(&set.host_zone)
    .bind_opt(set.connection_id.as_ref())
    .bind(&set.state)
    .bind(&set.plan)
    .bind(&set.done)
    .bind_opt(set.error.as_ref())
    .bind(&set.created_at)
    .bind(&set.expires_at)
    .bind_opt(set.applied_at.as_ref())
    .run(tx)
    .await
    .map(drop)
}
