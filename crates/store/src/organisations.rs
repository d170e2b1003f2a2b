//! Organisations: who owns domains, keys and messages.

use crate::{
    Role, Store, StoreError, Told,
    audit::tell,
    database::{Row, Tx, sql},
    events::before,
    users::insert_member,
};
use model::{OrgId, Timestamp, UserId};

/// An organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organisation {
    /// Its id.
    pub id: OrgId,
    /// Its name, for people.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// An organisation as those who run the platform see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedOrganisation {
    /// The organisation.
    pub organisation: Organisation,
    /// Since when it is switched off.
    pub disabled_at: Option<Timestamp>,
}

fn listed(row: &Row) -> Result<ListedOrganisation, StoreError> {
    Ok(ListedOrganisation { organisation: organisation(row)?, disabled_at: row.opt("disabled_at")? })
}

fn organisation(row: &Row) -> Result<Organisation, StoreError> {
    Ok(Organisation { id: row.get("id")?, name: row.get("name")?, created_at: row.get("created_at")? })
}

/// The one that a setting names; in a database from before there was that setting, the oldest.
const FIRST: &str = "SELECT id, name, created_at FROM organisations
     WHERE id = COALESCE((SELECT value FROM settings WHERE key = 'first_organisation'),
                         (SELECT MIN(id) FROM organisations))";

const FIRST_SETTING: &str = "first_organisation";

const OF_SETTING: &str = "SELECT id, name, created_at FROM organisations
     WHERE id = (SELECT value FROM settings WHERE key = $1)";

async fn insert(organisation: &Organisation, tx: &mut Tx) -> Result<(), StoreError> {
    sql("INSERT INTO organisations (id, name, created_at) VALUES ($1, $2, $3)")
        .bind(&organisation.id)
        .bind(&organisation.name)
        .bind(&organisation.created_at)
        .run(tx)
        .await
        .map(drop)
}

impl Store {
    /// Adds an organisation.
    pub async fn create_organisation(
        &self,
        organisation: &Organisation,
        told: impl Into<Told<'_>>,
    ) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        insert(organisation, &mut tx).await?;
        tell(told.into(), &mut tx).await?;
        tx.commit().await
    }

    /// The organisation that the installation began with, if there is any.
    pub async fn first_organisation(&self) -> Result<Option<Organisation>, StoreError> {
        self.read_first(sql(FIRST)).await?.as_ref().map(organisation).transpose()
    }

    /// The organisation that the installation began with, or this one when there is none yet; whether it was made
    /// now. Of several nodes that do this at once, all get the same one.
    pub async fn first_organisation_or(
        &self,
        new: &Organisation,
    ) -> Result<(Organisation, bool), StoreError> {
        if let Some(found) = self.first_organisation().await? {
            return Ok((found, false));
        }
        self.organisation_of_setting_or(FIRST_SETTING, new).await
    }

    /// The organisation that a setting names, or this one when it names none yet; whether it was made now. Of several
    /// nodes that do this at once, all get the same one.
    pub async fn organisation_of_setting_or(
        &self,
        setting: &str,
        new: &Organisation,
    ) -> Result<(Organisation, bool), StoreError> {
        if let Some(found) = self.organisation_of_setting(setting).await? {
            return Ok((found, false));
        }
        let mut tx = self.pools.write().await?;
        let is_new = sql("INSERT INTO settings (key, value) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING")
            .text(setting)
            .bind(&new.id)
            .run(&mut tx)
            .await?;
        if is_new > 0 {
            insert(new, &mut tx).await?;
        }
        let row = sql(OF_SETTING).text(setting).first(&mut tx).await?;
        let named = organisation(&row.ok_or(StoreError::NotFound("organisation"))?)?;
        tx.commit().await?;
        Ok((named, is_new > 0))
    }

    /// The organisation that a setting names, if it names one.
    pub async fn organisation_of_setting(&self, setting: &str) -> Result<Option<Organisation>, StoreError> {
        self.read_first(sql(OF_SETTING).text(setting)).await?.as_ref().map(organisation).transpose()
    }

    /// Adds an organisation with its owner, where a user makes it.
    pub async fn create_owned_organisation(
        &self,
        organisation: &Organisation,
        owner: Option<UserId>,
        told: impl Into<Told<'_>>,
    ) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        insert(organisation, &mut tx).await?;
        if let Some(owner) = owner {
            insert_member(organisation.id, owner, Role::Owner, organisation.created_at, &mut tx).await?;
        }
        tell(told.into(), &mut tx).await?;
        tx.commit().await
    }

    /// Gives an organisation another name.
    pub async fn rename_organisation(
        &self,
        id: OrgId,
        name: &str,
        told: impl Into<Told<'_>>,
    ) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        sql("UPDATE organisations SET name = $2 WHERE id = $1")
            .bind(&id)
            .text(name)
            .run_on("organisation", &mut tx)
            .await?;
        tell(told.into(), &mut tx).await?;
        tx.commit().await
    }

    /// All organisations but the platform's own, which the setting names; newest first, from behind `after`.
    pub async fn list_organisations(
        &self,
        own: &str,
        after: Option<OrgId>,
        limit: u32,
    ) -> Result<Vec<ListedOrganisation>, StoreError> {
        let query = sql("SELECT id, name, created_at, disabled_at FROM organisations
             WHERE id < $1 AND id NOT IN (SELECT value FROM settings WHERE key = $2) ORDER BY id DESC LIMIT $3");
        let query = query.text(&before(after, OrgId::PREFIX)).text(own).bind(&limit);
        self.read_all(query).await?.iter().map(listed).collect()
    }

    /// One of them.
    pub async fn listed_organisation(&self, own: &str, id: OrgId) -> Result<ListedOrganisation, StoreError> {
        let query = sql("SELECT id, name, created_at, disabled_at FROM organisations
             WHERE id = $1 AND id NOT IN (SELECT value FROM settings WHERE key = $2)");
        let row = self.read_first(query.bind(&id).text(own)).await?;
        listed(&row.ok_or(StoreError::NotFound("organisation"))?)
    }

    /// Switches an organisation off, or on again with nothing.
    pub async fn disable_organisation(
        &self,
        id: OrgId,
        at: Option<Timestamp>,
        told: impl Into<Told<'_>>,
    ) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        sql("UPDATE organisations SET disabled_at = $2 WHERE id = $1")
            .bind(&id)
            .bind_opt(at.as_ref())
            .run_on("organisation", &mut tx)
            .await?;
        tell(told.into(), &mut tx).await?;
        tx.commit().await
    }

    /// Whether an organisation is switched off.
    pub async fn is_disabled(&self, id: OrgId) -> Result<bool, StoreError> {
        let found = sql("SELECT id FROM organisations WHERE id = $1 AND disabled_at IS NOT NULL").bind(&id);
        Ok(self.read_first(found).await?.is_some())
    }

    /// One organisation.
    pub async fn get_organisation(&self, id: OrgId) -> Result<Organisation, StoreError> {
        let row = self
            .read_first(sql("SELECT id, name, created_at FROM organisations WHERE id = $1").bind(&id))
            .await?;
        organisation(&row.ok_or(StoreError::NotFound("organisation"))?)
    }
}
