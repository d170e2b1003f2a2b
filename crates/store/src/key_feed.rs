//! What changed of the keys that DNS serves: read by generation, so that one key more costs one row, on each node.

use crate::{
    Store, StoreError, Topic,
    database::{Row, Tx, sql},
    dkim_keys::{GENERATION, KeyState, bump_dns_generation},
};
use model::{DomainId, DomainName, KeyId, Timestamp};
use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

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
    /// The domain's name, where it is of one of the profiles that were named: it is a zone of its own.
    pub sub_zone: Option<DomainName>,
}

/// What there is of a zone that may be delegated to us: a living domain of its name with keys to serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubZoneDomain {
    /// The domain.
    pub id: DomainId,
    /// Its name.
    pub name: DomainName,
    /// The name of its profile.
    pub profile: String,
    /// The profile's variables, JSON.
    pub variables: String,
    /// Whether it is the one that holds its name, and has not lapsed.
    pub holds: bool,
    /// Its keys: the selector at the domain, and that of the platform zone.
    pub keys: Vec<(String, String)>,
}

/// A holder that has not lapsed: one that failed has, and one that was disabled once nobody has looked at it since `$2`.
macro_rules! holds {
    ($domain:literal) => {
        concat!(
            $domain,
            "holder = 1 AND ",
            $domain,
            "status <> 'failed' AND (",
            $domain,
            "status <> 'disabled' OR COALESCE(",
            $domain,
            "last_checked_at, 0) > $2)"
        )
    };
}

macro_rules! sub_zones {
    ($names:literal) => {
        concat!(
            "SELECT d.id, d.name, d.profile, d.variables, CAST(CASE WHEN ",
            holds!("d."),
            " THEN 1 ELSE 0 END AS BIGINT) AS holds, k.selector, k.beside
             FROM domains d JOIN dkim_keys k ON k.domain_id = d.id AND k.state <> 'retired'
             WHERE d.name IN ",
            $names,
            " AND d.deleted_at IS NULL"
        )
    };
}

macro_rules! held {
    ($names:literal) => {
        concat!(
            "SELECT name FROM domains WHERE name IN ",
            $names,
            " AND deleted_at IS NULL AND ",
            holds!(""),
            " AND $3 LIKE '%|' || profile || '|%'"
        )
    };
}

pub(crate) const SUB_ZONES: &str = sub_zones!("(SELECT value FROM json_each($1))");
const SUB_ZONES_ON_POSTGRES: &str = sub_zones!("(SELECT jsonb_array_elements_text(CAST($1 AS JSONB)))");
pub(crate) const HELD: &str = held!("(SELECT value FROM json_each($1))");
const HELD_ON_POSTGRES: &str = held!("(SELECT jsonb_array_elements_text(CAST($1 AS JSONB)))");

/// Has a domain's keys come again, since where they are served changes.
const AGAIN: &str = "UPDATE dkim_keys SET dns_generation = NULL WHERE domain_id = $1 AND state <> 'retired'";

/// Names of profiles, so that one text can be looked through for a name.
fn listed(profiles: &[&str]) -> String {
    format!("|{}|", profiles.join("|"))
}

/// The names as JSON, so that one value has any number of them.
fn array_of<'n>(names: impl IntoIterator<Item = &'n DomainName>) -> String {
    let names: Vec<&str> = names.into_iter().map(DomainName::as_str).collect();
    serde_json::Value::from(names).to_string()
}

pub(crate) async fn serve_keys_anew(domain: DomainId, tx: &mut Tx) -> Result<(), StoreError> {
    sql(AGAIN).bind(&domain).run(tx).await?;
    tx.wakes(Topic::Dns);
    Ok(())
}

/// The setting with what the zone said beside keys.
const SAYS: &str = "zone_says";

/// What a retired selector has behind it begins with this.
const RETIRED_MARK: char = '~';

macro_rules! page {
    ($state:literal) => {
        concat!(
            "SELECT k.id, k.selector, k.public_key, k.state, k.dns_generation,
                 CAST(CASE WHEN d.name = $5 OR d.name LIKE '%.' || $5 THEN 1 ELSE 0 END AS BIGINT) AS is_of_zone,
                 CASE WHEN $6 LIKE '%|' || d.profile || '|%' THEN d.name END AS sub_zone
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
    /// which generation they go. After 0 that is every key. With `zone` it tells which keys are of domains in that zone,
    /// with `profiles` which are of domains that are zones of their own.
    ///
    /// All of it is read as it was at one moment. Rows of keys that are gone have to stay for as long as a node may be
    /// behind.
    pub async fn key_changes(
        &self,
        since: u64,
        zone: &DomainName,
        profiles: &[&str],
        mut take: impl FnMut(KeyChange),
    ) -> Result<u64, StoreError> {
        let profiles = listed(profiles);
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
                let page = sql(statement)
                    .bind(&after)
                    .text(&id)
                    .bind(&generation)
                    .bind(&PAGE)
                    .bind(zone)
                    .text(&profiles);
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

    /// The living domains of these names with keys to serve, oldest first, all read at once. A holder that is disabled, and was
    /// looked at for the last time before `lapsed`, holds its name no more.
    pub async fn sub_zone_domains(
        &self,
        names: &[DomainName],
        lapsed: Timestamp,
    ) -> Result<Vec<SubZoneDomain>, StoreError> {
        let read = sql(SUB_ZONES).on_postgres(SUB_ZONES_ON_POSTGRES).text(&array_of(names)).bind(&lapsed);
        let mut domains: BTreeMap<DomainId, SubZoneDomain> = BTreeMap::new();
        for row in &self.read_all(read).await? {
            let id: DomainId = row.get("id")?;
            let selector: String = row.get("selector")?;
            let beside: Option<String> = row.opt("beside")?;
            let key = (beside.unwrap_or_else(|| selector.clone()), selector);
            match domains.entry(id) {
                Entry::Occupied(known) => known.into_mut().keys.push(key),
                Entry::Vacant(place) => drop(place.insert(SubZoneDomain {
                    id,
                    name: row.get("name")?,
                    profile: row.get("profile")?,
                    variables: row.get("variables")?,
                    holds: row.get("holds")?,
                    keys: vec![key],
                })),
            }
        }
        Ok(domains.into_values().collect())
    }

    /// The first of these names that is held by a domain of one of these profiles which has not lapsed, as above.
    pub async fn held_among(
        &self,
        names: &[DomainName],
        profiles: &[&str],
        lapsed: Timestamp,
    ) -> Result<Option<DomainName>, StoreError> {
        let read = sql(HELD).on_postgres(HELD_ON_POSTGRES).text(&array_of(names)).bind(&lapsed);
        let rows = self.read_all(read.text(&listed(profiles))).await?;
        let held = rows.iter().map(|row| row.get("name")).collect::<Result<BTreeSet<DomainName>, _>>()?;
        Ok(names.iter().find(|name| held.contains(name)).cloned())
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
    Ok(KeyChange { selector, public_key, is_of_zone: row.get("is_of_zone")?, sub_zone: row.opt("sub_zone")? })
}
