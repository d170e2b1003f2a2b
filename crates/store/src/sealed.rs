//! Every column of sealed secrets, so that they can be sealed anew when the master key changes.
//!
//! Nothing is opened here: the vault of `app` does that. A new column of sealed secrets needs its line in [`COLUMNS`].

use crate::{Hidden, Store, StoreError, database::sql};

/// A column of sealed secrets.
#[derive(Debug)]
pub struct SealedColumn {
    /// What the vault binds a secret to: this and then the row's id.
    pub bound_to: &'static str,
    page: &'static str,
    replace: &'static str,
}

macro_rules! column {
    ($table:literal, $column:literal, $bound_to:literal) => {
        SealedColumn {
            bound_to: $bound_to,
            page: concat!(
                "SELECT id, ",
                $column,
                " AS sealed FROM ",
                $table,
                " WHERE SUBSTR(",
                $column,
                ", 1, 5) <> $1 LIMIT $2"
            ),
            replace: concat!(
                "UPDATE ",
                $table,
                " SET ",
                $column,
                " = $3 WHERE id = $1 AND ",
                $column,
                " = $2"
            ),
        }
    };
}

/// All of them but the answers that are kept for a day: those are waited for ([`Store::has_answer_sealed_otherwise`]).
pub const COLUMNS: &[SealedColumn] = &[
    column!("dkim_key_pool", "private_key", ""),
    column!("dkim_keys", "private_key", ""),
    column!("domain_connect_keys", "private_key", ""),
    column!("users", "totp_secret", "users/totp_secret/"),
    column!("webhooks", "secret", ""),
    column!("webhooks", "old_secret", ""),
    column!("dns_connections", "secret", "dns_connections/secret/"),
];

/// A secret to put in the place of another.
#[derive(Debug, Clone)]
pub struct Resealed {
    /// The row.
    pub id: String,
    /// What is there.
    pub old: Hidden,
    /// What is to be there.
    pub new: Hidden,
}

impl Store {
    /// Rows whose secret does not begin with these octets, each with its secret.
    pub async fn sealed_otherwise(
        &self,
        column: &SealedColumn,
        begin: [u8; 5],
        limit: u32,
    ) -> Result<Vec<(String, Hidden)>, StoreError> {
        let begin = Hidden::from(begin.to_vec());
        let mut tx = self.pools.read().await?;
        let rows = sql(column.page).bind(&begin).bind(&limit).all(&mut tx).await?;
        rows.iter().map(|row| Ok((row.get("id")?, row.get("sealed")?))).collect()
    }

    /// Whether an answer is kept whose seal does not begin with these octets.
    pub async fn has_answer_sealed_otherwise(&self, begin: [u8; 5]) -> Result<bool, StoreError> {
        let begin = Hidden::from(begin.to_vec());
        let page = "SELECT principal FROM idempotency WHERE SUBSTR(answer, 1, 5) <> $1 LIMIT 1";
        Ok(self.read_first(sql(page).bind(&begin)).await?.is_some())
    }

    /// Puts secrets in the place of those that they were made of; one that has changed meanwhile stays as it is.
    pub async fn reseal(&self, column: &SealedColumn, secrets: &[Resealed]) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        for secret in secrets {
            sql(column.replace).text(&secret.id).bind(&secret.old).bind(&secret.new).run(&mut tx).await?;
        }
        tx.commit().await
    }
}
