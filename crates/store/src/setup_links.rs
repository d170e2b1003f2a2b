//! Links by which somebody without an account sees what to publish for a domain. A link that is taken back is deleted;
//! one that is over stays in no list and goes with the next sweep.

use crate::{
    Hidden, Store, StoreError, Told, Visible,
    audit::tell,
    database::{Row, Tx, sql},
    events::before,
    visible::{Texts, texts},
};
use model::{DomainId, OrgId, SetupLinkId, TenantId, Timestamp};

/// How many good links a domain has at most.
const MOST: u64 = 20;

/// A link to the page of one domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetupLink {
    /// Its id.
    pub id: SetupLinkId,
    /// Whose domain.
    pub org_id: OrgId,
    /// Whose of the organisation's tenants.
    pub tenant_id: Option<TenantId>,
    /// The domain.
    pub domain_id: DomainId,
    /// What its maker wrote beside it, such as whom it is for.
    pub note: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it is good.
    pub expires_at: Timestamp,
    /// When it was opened first.
    pub opened_at: Option<Timestamp>,
    /// Whether whoever opens it may have the records written, with a credential of their own.
    pub may_publish: bool,
}

fn link(row: &Row) -> Result<SetupLink, StoreError> {
    Ok(SetupLink {
        id: row.get("id")?,
        org_id: row.get("org_id")?,
        tenant_id: row.opt("tenant_id")?,
        domain_id: row.get("domain_id")?,
        note: row.opt("note")?,
        created_at: row.get("created_at")?,
        expires_at: row.get("expires_at")?,
        opened_at: row.opt("opened_at")?,
        may_publish: row.get("may_publish")?,
    })
}

macro_rules! list {
    ($($and:literal)*) => {
        concat!(
            "SELECT id, org_id, tenant_id, domain_id, note, created_at, expires_at, opened_at, may_publish
             FROM setup_links
             WHERE org_id = $1 AND domain_id = $2 AND id < $3 AND expires_at > $4",
            $($and,)*
            " ORDER BY id DESC LIMIT $5"
        )
    };
}
const LIST: Texts = texts!(list, "domain_id", "$6", "$7");

macro_rules! delete {
    ($($and:literal)*) => {
        concat!("DELETE FROM setup_links WHERE org_id = $1 AND id = $2", $($and,)*)
    };
}
const DELETE: Texts = texts!(delete, "domain_id", "$3", "$4");

impl Store {
    /// Adds a link. One with the same id, whose answer was lost, gets the new secret.
    ///
    /// # Errors
    /// `LimitReached` when the domain has as many good ones as it may have.
    pub async fn add_setup_link(
        &self,
        new: &SetupLink,
        token_hash: &[u8],
        told: impl Into<Told<'_>>,
    ) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        // Two at once for one domain wait for each other, so that they count rightly.
        sql("SELECT id FROM domains WHERE id = $1")
            .on_postgres("SELECT id FROM domains WHERE id = $1 FOR NO KEY UPDATE")
            .bind(&new.domain_id)
            .first(&mut tx)
            .await?;
        let there: u64 = sql(
            "SELECT COUNT(*) AS n FROM setup_links WHERE domain_id = $1 AND expires_at > $2 AND id <> $3",
        )
        .bind(&new.domain_id)
        .bind(&new.created_at)
        .bind(&new.id)
        .number(&mut tx)
        .await?;
        if there >= MOST {
            return Err(StoreError::LimitReached { what: "setup links", limit: MOST });
        }
        sql("INSERT INTO setup_links (id, token_hash, org_id, tenant_id, domain_id, note, created_at, expires_at,
                 may_publish)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             ON CONFLICT (id) DO UPDATE SET token_hash = excluded.token_hash")
        .bind(&new.id)
        .bind(&Hidden::from(token_hash))
        .bind(&new.org_id)
        .bind_opt(new.tenant_id.as_ref())
        .bind(&new.domain_id)
        .bind_opt(new.note.as_ref())
        .bind(&new.created_at)
        .bind(&new.expires_at)
        .bind(&new.may_publish)
        .run(&mut tx)
        .await?;
        tell(told.into(), &mut tx).await?;
        tx.commit().await
    }

    /// The good links of a domain that are visible, newest first, from behind `after`.
    pub async fn list_setup_links(
        &self,
        visible: &Visible,
        domain_id: DomainId,
        now: Timestamp,
        after: Option<SetupLinkId>,
        limit: u32,
    ) -> Result<Vec<SetupLink>, StoreError> {
        let page = visible
            .sql(&LIST)
            .bind(&visible.org_id)
            .bind(&domain_id)
            .text(&before(after, SetupLinkId::PREFIX))
            .bind(&now)
            .bind(&limit);
        self.read_all(visible.bind(page)).await?.iter().map(link).collect()
    }

    /// The good link with this secret. Those of an organisation that is switched off are not.
    pub async fn find_setup_link(
        &self,
        token_hash: &[u8],
        now: Timestamp,
    ) -> Result<Option<SetupLink>, StoreError> {
        let query = sql(
            "SELECT id, org_id, tenant_id, domain_id, note, created_at, expires_at, opened_at, may_publish
             FROM setup_links WHERE token_hash = $1 AND expires_at > $2
                 AND NOT EXISTS (SELECT 1 FROM organisations
                     WHERE organisations.id = setup_links.org_id AND organisations.disabled_at IS NOT NULL)",
        );
        self.read_first(query.blob(token_hash).bind(&now)).await?.as_ref().map(link).transpose()
    }

    /// The link was opened; the first time counts.
    pub async fn note_setup_link_opened(&self, id: SetupLinkId, now: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        sql("UPDATE setup_links SET opened_at = $2 WHERE id = $1 AND opened_at IS NULL")
            .bind(&id)
            .bind(&now)
            .run(&mut tx)
            .await?;
        tx.commit().await
    }

    /// Takes a link back: it works no more.
    ///
    /// # Errors
    /// `NotFound` where there is none that is visible.
    pub async fn delete_setup_link(
        &self,
        visible: &Visible,
        id: SetupLinkId,
        told: impl Into<Told<'_>>,
    ) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        let delete = visible.sql(&DELETE).bind(&visible.org_id).bind(&id);
        visible.bind(delete).run_on("setup link", &mut tx).await?;
        tell(told.into(), &mut tx).await?;
        tx.commit().await
    }
}

/// A domain is deleted: its links go.
pub(crate) async fn end_with_domain(domain_id: DomainId, tx: &mut Tx) -> Result<(), StoreError> {
    sql("DELETE FROM setup_links WHERE domain_id = $1").bind(&domain_id).run(tx).await.map(drop)
}
