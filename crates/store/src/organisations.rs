//! Organisations: who owns domains, keys and messages.

use crate::{
    NewEvent, Store, StoreError,
    database::{Row, sql},
    events::insert_events,
};
use model::{OrgId, Timestamp};

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

fn organisation(row: &Row) -> Result<Organisation, StoreError> {
    Ok(Organisation { id: row.get("id")?, name: row.get("name")?, created_at: row.get("created_at")? })
}

impl Store {
    /// Adds an organisation.
    pub async fn create_organisation(
        &self,
        organisation: &Organisation,
        events: &[NewEvent],
    ) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        sql("INSERT INTO organisations (id, name, created_at) VALUES ($1, $2, $3)")
            .bind(&organisation.id)
            .bind(&organisation.name)
            .bind(&organisation.created_at)
            .run(&mut tx)
            .await?;
        insert_events(events, &mut tx).await?;
        tx.commit().await
    }

    /// The oldest organisation, if there is any.
    pub async fn first_organisation(&self) -> Result<Option<Organisation>, StoreError> {
        let row = self.read_first(sql("SELECT * FROM organisations ORDER BY id LIMIT 1")).await?;
        row.as_ref().map(organisation).transpose()
    }

    /// One organisation.
    pub async fn get_organisation(&self, id: OrgId) -> Result<Organisation, StoreError> {
        let row = self.read_first(sql("SELECT * FROM organisations WHERE id = $1").bind(&id)).await?;
        organisation(&row.ok_or(StoreError::NotFound("organisation"))?)
    }
}
