//! What changed of the keys that DNS serves: read by generation, so that one key more costs one row, on each node.

use crate::{
    Store, StoreError, Topic,
    database::{Row, sql},
    dkim_keys::{GENERATION, KeyState, bump_dns_generation},
};
use model::{DomainName, KeyId};

/// How many rows are read at a time.
const PAGE: u32 = 5_000;

/// One change of a key that DNS serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyChange {
    /// The selector, without what a retired one has behind it.
    pub selector: String,
    /// The key, base64; nothing where the selector has none any more.
    pub public_key: Option<String>,
    /// Whether the domain is in the zone that was named: what else is served for it may change too.
    pub is_of_zone: bool,
}

/// The setting with what the zone said beside keys.
const SAYS: &str = "zone_says";

/// What a retired selector has behind it begins with this.
const RETIRED_MARK: char = '~';

macro_rules! page {
    ($state:literal) => {
        concat!(
            "SELECT k.id, k.selector, k.public_key, k.state, k.dns_generation,
                 CAST(CASE WHEN d.name = $5 OR d.name LIKE '%.' || $5 THEN 1 ELSE 0 END AS BIGINT) AS is_of_zone
             FROM dkim_keys k LEFT JOIN domains d ON d.id = k.domain_id
             WHERE (k.dns_generation, k.id) > ($1, $2) AND k.dns_generation <= $3 AND k.state ",
            $state,
            " ORDER BY k.dns_generation, k.id LIMIT $4"
        )
    };
}

pub(crate) const GONE: &str = page!("= 'retired'");
pub(crate) const SERVED: &str = page!("<> 'retired'");

impl Store {
    /// Hands over every change of served keys after a generation, in an order in which they can be applied, and says up to
    /// which generation they go. After 0 that is every key. With `zone` it tells which keys are of domains in that zone.
    ///
    /// All of it is read as it was at one moment. Rows of keys that are gone have to stay for as long as a node may be
    /// behind.
    pub async fn key_changes(
        &self,
        since: u64,
        zone: &DomainName,
        mut take: impl FnMut(KeyChange),
    ) -> Result<u64, StoreError> {
        let mut tx = self.pools.snapshot().await?;
        let generation: u64 = sql(GENERATION).number(&mut tx).await?;
        if generation == since {
            return Ok(generation);
        }
        // A selector may be taken away and given again; then it is gone first. Where nothing is served yet, nothing has to go.
        for statement in [GONE, SERVED] {
            if since == 0 && statement == GONE {
                continue;
            }
            let (mut after, mut id) = (since + 1, String::new());
            loop {
                let page = sql(statement).bind(&after).text(&id).bind(&generation).bind(&PAGE).bind(zone);
                let rows = page.all(&mut tx).await?;
                for row in &rows {
                    take(change(row)?);
                }
                let Some(last) = rows.last().filter(|_| rows.len() >= PAGE as usize) else { break };
                after = last.get("dns_generation")?;
                id = last.get::<KeyId>("id")?.to_string();
            }
        }
        Ok(generation)
    }

    /// Gives DNS a new generation where what it serves beside keys is not what it was at the last start: what the operator has
    /// configured. Whether that was so.
    pub async fn number_zone_change(&self, says: &str) -> Result<bool, StoreError> {
        if self.get_setting(SAYS).await?.as_deref() == Some(says) {
            return Ok(false);
        }
        let mut tx = self.pools.write().await?;
        bump_dns_generation(&mut tx).await?;
        sql("INSERT INTO settings (key, value) VALUES ($1, $2)
             ON CONFLICT (key) DO UPDATE SET value = excluded.value")
        .text(SAYS)
        .text(says)
        .run(&mut tx)
        .await?;
        tx.wakes(Topic::Dns);
        tx.commit().await?;
        Ok(true)
    }

    /// How many keys DNS serves, about.
    pub async fn count_served_keys(&self) -> Result<u64, StoreError> {
        sql("SELECT COUNT(*) AS n FROM dkim_keys WHERE dns_generation IS NOT NULL")
            .number(&mut self.pools.read().await?)
            .await
    }
}

fn change(row: &Row) -> Result<KeyChange, StoreError> {
    let stored: String = row.get("selector")?;
    let state: KeyState = row.get("state")?;
    let selector = stored.split_once(RETIRED_MARK).map_or(stored.as_str(), |(before, _)| before).to_owned();
    let public_key = if state == KeyState::Retired { None } else { Some(row.get("public_key")?) };
    Ok(KeyChange { selector, public_key, is_of_zone: row.get("is_of_zone")? })
}
