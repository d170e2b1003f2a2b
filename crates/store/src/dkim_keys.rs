//! DKIM keys of domains, and the pool of keys that were made ahead.
//!
//! Making an RSA key takes long, so keys wait in the pool until a domain takes them. Private keys come in encrypted
//! and go out encrypted.

use crate::{
    Hidden, Store, StoreError,
    database::{Row, Tx, sql},
    error::Unique,
    value::words,
};
use model::{DomainId, DomainName, KeyId, Timestamp};

const SELECTOR: Unique = Unique { sqlite: "dkim_keys.selector", postgres: "dkim_keys_selector_key" };

pub(crate) const GENERATION: &str = "SELECT value AS n FROM generations WHERE name = 'dns'";

words! {
    /// What a key is for now.
    KeyState {
        /// Published, and signed with.
        Active = "active",
        /// Published, and not signed with yet.
        Standby = "standby",
        /// Published for mail that it has signed, and not signed with any more.
        Draining = "draining",
        /// Neither.
        Retired = "retired",
    }
}

/// A key to give to a domain.
#[derive(Debug, Clone)]
pub struct NewDkimKey {
    /// Its id.
    pub id: KeyId,
    /// The selector, unique in the whole store.
    pub selector: String,
    /// The public key, base64, as the `p=` tag has it (RFC 6376 §3.6.1).
    pub public_key: String,
    /// The private key, encrypted.
    pub private_key: Hidden,
    /// What it is for.
    pub state: KeyState,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A key for the pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPoolKey {
    /// Its id; it stays the same when a domain takes the key.
    pub id: KeyId,
    /// The public key, base64.
    pub public_key: String,
    /// The private key, encrypted.
    pub private_key: Hidden,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A key of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DkimKey {
    /// Its id.
    pub id: KeyId,
    /// Whose key.
    pub domain_id: DomainId,
    /// The selector (RFC 6376 §3.1).
    pub selector: String,
    /// The public key, base64.
    pub public_key: String,
    /// The private key, encrypted.
    pub private_key: Hidden,
    /// What it is for.
    pub state: KeyState,
    /// Its place among the keys of the domain, from 0.
    pub position: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it took the place of another one; nothing for those that the domain began with.
    pub placed_at: Option<Timestamp>,
    /// Until when it stays published, where it drains.
    pub retire_at: Option<Timestamp>,
    /// Its selector at the domain, where it stands beside the keys of the profile: as a TXT record in the domain's own DNS.
    pub beside: Option<String>,
}

pub(crate) fn dkim_key(row: &Row) -> Result<DkimKey, StoreError> {
    Ok(DkimKey {
        id: row.get("id")?,
        domain_id: row.get("domain_id")?,
        selector: row.get("selector")?,
        public_key: row.get("public_key")?,
        private_key: row.get("private_key")?,
        state: row.get("state")?,
        position: row.get("position")?,
        created_at: row.get("created_at")?,
        placed_at: row.opt("placed_at")?,
        retire_at: row.opt("retire_at")?,
        beside: row.opt("beside")?,
    })
}

pub(crate) async fn insert_keys(
    domain_id: DomainId,
    keys: Vec<NewDkimKey>,
    tx: &mut Tx,
) -> Result<Vec<DkimKey>, StoreError> {
    let mut stored = Vec::with_capacity(keys.len());
    for (position, key) in (0..).zip(keys) {
        stored.push(insert_key(domain_id, key, position, None, tx).await?);
    }
    Ok(stored)
}

pub(crate) async fn insert_key(
    domain_id: DomainId,
    key: NewDkimKey,
    position: u32,
    beside: Option<&str>,
    tx: &mut Tx,
) -> Result<DkimKey, StoreError> {
    let key = DkimKey {
        id: key.id,
        domain_id,
        selector: key.selector,
        public_key: key.public_key,
        private_key: key.private_key,
        state: key.state,
        position,
        created_at: key.created_at,
        placed_at: None,
        retire_at: None,
        beside: beside.map(str::to_owned),
    };
    sql("INSERT INTO dkim_keys (id, domain_id, selector, public_key, private_key, state, position, created_at, beside)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)")
    .bind(&key.id)
    .bind(&key.domain_id)
    .bind(&key.selector)
    .bind(&key.public_key)
    .bind(&key.private_key)
    .bind(&key.state)
    .bind(&key.position)
    .bind(&key.created_at)
    .bind_opt(key.beside.as_ref())
    .run(tx)
    .await
    .map_err(|error| error.or_conflict(SELECTOR, StoreError::SelectorTaken))?;
    Ok(key)
}

const TAKE: &str = "DELETE FROM dkim_key_pool
     WHERE id IN (SELECT id FROM dkim_key_pool ORDER BY created_at, id LIMIT $1)
     RETURNING id, public_key, private_key, created_at";

/// Those who take keys at the same time go around each other's.
const TAKE_ON_POSTGRES: &str = "WITH oldest AS MATERIALIZED (
         SELECT id AS taken FROM dkim_key_pool ORDER BY created_at, id LIMIT $1 FOR UPDATE SKIP LOCKED)
     DELETE FROM dkim_key_pool USING oldest WHERE id = taken
     RETURNING id, public_key, private_key, created_at";

/// Takes the oldest keys out of the pool, one for each selector; the first will sign, the others stand by.
pub(crate) async fn take_from_pool(
    selectors: Vec<String>,
    tx: &mut Tx,
) -> Result<Vec<NewDkimKey>, StoreError> {
    let wanted = u32::try_from(selectors.len()).map_err(|_| StoreError::PoolEmpty)?;
    let taken = sql(TAKE).on_postgres(TAKE_ON_POSTGRES).bind(&wanted).all(tx).await?;
    if taken.len() < selectors.len() {
        return Err(StoreError::PoolEmpty);
    }
    let mut keys = Vec::with_capacity(taken.len());
    for row in taken {
        keys.push(NewDkimKey {
            id: row.get("id")?,
            selector: String::new(),
            public_key: row.get("public_key")?,
            private_key: row.get("private_key")?,
            state: KeyState::Standby,
            created_at: row.get("created_at")?,
        });
    }
    // In no order of its own.
    keys.sort_by_key(|key| (key.created_at, key.id));
    for (position, (key, selector)) in keys.iter_mut().zip(selectors).enumerate() {
        key.selector = selector;
        if position == 0 {
            key.state = KeyState::Active;
        }
    }
    Ok(keys)
}

/// Takes the keys of a deleted domain out of use and their selectors free for a new one.
pub(crate) async fn retire_keys(domain_id: DomainId, tx: &mut Tx) -> Result<(), StoreError> {
    sql("UPDATE dkim_keys SET selector = selector || '~' || id, state = 'retired',
             dns_generation = NULL
         WHERE domain_id = $1 AND state <> 'retired'")
    .bind(&domain_id)
    .run(tx)
    .await
    .map(drop)
}

/// Every row that waits to be numbered counts as one change; whoever has the row of the generation numbers them all.
const COUNT_CHANGES: &str = "UPDATE generations SET value = value + 1 WHERE name = 'dns'
     AND EXISTS (SELECT 1 FROM dkim_keys WHERE dns_generation IS NULL)";

const NUMBER_CHANGES: &str = "UPDATE dkim_keys
     SET dns_generation = (SELECT value FROM generations WHERE name = 'dns') WHERE dns_generation IS NULL";

pub(crate) async fn bump_dns_generation(tx: &mut Tx) -> Result<(), StoreError> {
    sql("UPDATE generations SET value = value + 1 WHERE name = 'dns'").run_on("DNS generation", tx).await
}

/// How many domains [`OF_TWENTY`] asks for; those that are not needed are NULL, which nothing equals.
const TWENTY: usize = 20;

pub(crate) const OF_ONE: &str =
    "SELECT id, domain_id, selector, public_key, private_key, state, position, created_at, placed_at, retire_at,
         beside
     FROM dkim_keys WHERE domain_id = $1 AND (state <> 'retired' OR beside IS NULL) ORDER BY position";

pub(crate) const OF_TWENTY: &str =
    "SELECT id, domain_id, selector, public_key, private_key, state, position, created_at, placed_at, retire_at,
         beside
     FROM dkim_keys
     WHERE domain_id IN ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
         AND (state <> 'retired' OR beside IS NULL)
     ORDER BY domain_id, position";

pub(crate) const SELECTORS_OF: &str = "SELECT COALESCE(beside, selector) AS selector FROM dkim_keys
     WHERE state <> 'retired' AND domain_id IN (SELECT id FROM domains WHERE name = $1 AND deleted_at IS NULL)";

/// The sandbox domain of each organisation that has one, by its name.
const SANDBOX_KEYS: &str = "SELECT d.name, k.selector, k.public_key
     FROM organisations o
     JOIN domains d ON d.org_id = o.id AND d.name = 'sandbox-' || lower(substr(o.id, 5)) || '.' || $1
     JOIN dkim_keys k ON k.domain_id = d.id
     WHERE d.deleted_at IS NULL AND k.state <> 'retired' ORDER BY k.selector";

impl Store {
    /// Name, selector and public key of every sandbox domain below the platform zone.
    pub async fn sandbox_keys(
        &self,
        zone: &DomainName,
    ) -> Result<Vec<(DomainName, String, String)>, StoreError> {
        let rows = self.read_all(sql(SANDBOX_KEYS).bind(zone)).await?;
        rows.iter().map(|row| Ok((row.get("name")?, row.get("selector")?, row.get("public_key")?))).collect()
    }

    /// The keys of a domain, in their order.
    pub async fn keys_of_domain(&self, domain_id: DomainId) -> Result<Vec<DkimKey>, StoreError> {
        self.read_all(sql(OF_ONE).bind(&domain_id)).await?.iter().map(dkim_key).collect()
    }

    /// The selectors of every living domain of this name, whosever it is.
    pub async fn selectors_of(&self, name: &DomainName) -> Result<Vec<String>, StoreError> {
        let rows = self.read_all(sql(SELECTORS_OF).bind(name)).await?;
        let mut selectors = rows.iter().map(|row| row.get("selector")).collect::<Result<Vec<String>, _>>()?;
        selectors.sort();
        Ok(selectors)
    }

    /// The keys of several domains, each domain's in their order. Takes one query for twenty domains.
    pub async fn keys_of_domains(&self, domain_ids: &[DomainId]) -> Result<Vec<DkimKey>, StoreError> {
        let mut keys = Vec::new();
        for some in domain_ids.chunks(TWENTY) {
            let mut query = sql(OF_TWENTY);
            for place in 0..TWENTY {
                query = query.bind_opt(some.get(place));
            }
            for row in &self.read_all(query).await? {
                keys.push(dkim_key(row)?);
            }
        }
        Ok(keys)
    }

    /// Gives a new DNS generation to the keys that were added and retired since the last one, if there are any.
    ///
    /// Not done where keys change: all those transactions, of all nodes, would wait for one row until each is on disk.
    pub async fn number_key_changes(&self) -> Result<(), StoreError> {
        let changed = sql("SELECT id FROM dkim_keys WHERE dns_generation IS NULL LIMIT 1");
        if self.read_first(changed).await?.is_none() {
            return Ok(());
        }
        let mut tx = self.pools.write().await?;
        if sql(COUNT_CHANGES).run(&mut tx).await? > 0 {
            sql(NUMBER_CHANGES).run(&mut tx).await?;
        }
        tx.commit().await
    }

    /// What DNS serves of keys: the generation, and selector and public key of every key that it has. The same
    /// generation has the same keys on every node.
    pub async fn published_keys(&self) -> Result<(u64, Vec<(String, String)>), StoreError> {
        let mut tx = self.pools.snapshot().await?;
        let generation = sql(GENERATION).number(&mut tx).await?;
        let rows = sql("SELECT selector, public_key FROM dkim_keys
             WHERE state <> 'retired' AND dns_generation IS NOT NULL ORDER BY selector")
        .all(&mut tx)
        .await?;
        let keys = rows.iter().map(|row| Ok((row.get("selector")?, row.get("public_key")?)));
        Ok((generation, keys.collect::<Result<_, StoreError>>()?))
    }

    /// Adds a key to the pool.
    pub async fn add_pool_key(&self, key: &NewPoolKey) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        sql("INSERT INTO dkim_key_pool (id, public_key, private_key, created_at) VALUES ($1, $2, $3, $4)")
            .bind(&key.id)
            .bind(&key.public_key)
            .bind(&key.private_key)
            .bind(&key.created_at)
            .run(&mut tx)
            .await?;
        tx.commit().await
    }

    /// How many keys are ready.
    pub async fn count_pool_keys(&self) -> Result<u64, StoreError> {
        sql("SELECT COUNT(*) AS n FROM dkim_key_pool").number(&mut self.pools.read().await?).await
    }

    /// A number that grows with every change of what DNS serves: keys that were numbered, playground edits.
    pub async fn dns_generation(&self) -> Result<u64, StoreError> {
        sql(GENERATION).number(&mut self.pools.read().await?).await
    }
}
