//! Playground zones: DNS that is edited here and served by the built-in server, for trying things out.
//!
//! Records are kept as they were typed, right or wrong. Every change gives the zone a new serial and bumps the DNS
//! generation.

use crate::{
    Store, StoreError,
    database::{Row, Turn, Tx, sql},
    dkim_keys::bump_dns_generation,
    error::Unique,
};
use model::{DomainName, RecordId, RecordType, Timestamp, ZoneId};

const APEX: Unique = Unique { sqlite: "playground_zones.apex", postgres: "playground_zones_apex_key" };

const MAX_ZONES: u64 = 1_000;
const MAX_RECORDS: u64 = 1_000;

/// A zone to make.
#[derive(Debug, Clone)]
pub struct NewPlaygroundZone {
    /// Its id.
    pub id: ZoneId,
    /// Its apex.
    pub apex: DomainName,
    /// Its first serial (RFC 1035 §3.3.13).
    pub serial: u32,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A stored zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaygroundZone {
    /// Its id.
    pub id: ZoneId,
    /// Its apex.
    pub apex: DomainName,
    /// Its serial.
    pub serial: u32,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A record as it was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPlaygroundRecord {
    /// Its id.
    pub id: RecordId,
    /// The host, as typed.
    pub host: String,
    /// The type.
    pub record_type: RecordType,
    /// The value, as typed.
    pub value: String,
    /// The time to live, in seconds.
    pub ttl: u32,
    /// The priority of an MX or SRV record, if it was given apart.
    pub priority: Option<u16>,
    /// Whether the host hides the record behind its own addresses.
    pub proxied: bool,
}

/// A stored record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaygroundRecord {
    /// Its id.
    pub id: RecordId,
    /// In which zone.
    pub zone_id: ZoneId,
    /// The host, as typed.
    pub host: String,
    /// The type.
    pub record_type: RecordType,
    /// The value, as typed.
    pub value: String,
    /// The time to live, in seconds.
    pub ttl: u32,
    /// The priority of an MX or SRV record, if it was given apart.
    pub priority: Option<u16>,
    /// Whether the host hides the record behind its own addresses.
    pub proxied: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A change of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlaygroundChange {
    /// A record that is not there.
    Add(NewPlaygroundRecord),
    /// New contents for the record with this id.
    Update(NewPlaygroundRecord),
    /// A record that goes.
    Remove(RecordId),
}

fn zone(row: &Row) -> Result<PlaygroundZone, StoreError> {
    Ok(PlaygroundZone {
        id: row.get("id")?,
        apex: row.get("apex")?,
        serial: row.get("serial")?,
        created_at: row.get("created_at")?,
    })
}

macro_rules! columns {
    () => {
        "id, zone_id, host, record_type, value, ttl, priority, proxied, created_at, updated_at"
    };
}

fn record(row: &Row) -> Result<PlaygroundRecord, StoreError> {
    Ok(PlaygroundRecord {
        id: row.get("id")?,
        zone_id: row.get("zone_id")?,
        host: row.get("host")?,
        record_type: row.get("record_type")?,
        value: row.get("value")?,
        ttl: row.get("ttl")?,
        priority: row.opt("priority")?,
        proxied: row.get("proxied")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

/// Makes a change of the zone visible to DNS. Serials wrap and skip 0 (RFC 1982).
async fn touch_zone(zone_id: ZoneId, tx: &mut Tx) -> Result<(), StoreError> {
    sql("UPDATE playground_zones SET serial = CASE WHEN serial >= 4294967295 THEN 1 ELSE serial + 1 END
         WHERE id = $1")
    .bind(&zone_id)
    .run_on("zone", tx)
    .await?;
    bump_dns_generation(tx).await
}

async fn insert_record(
    zone_id: ZoneId,
    new: NewPlaygroundRecord,
    now: Timestamp,
    tx: &mut Tx,
) -> Result<PlaygroundRecord, StoreError> {
    sql("INSERT INTO playground_records (id, zone_id, host, record_type, value, ttl, priority, proxied, created_at,
             updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)")
    .bind(&new.id)
    .bind(&zone_id)
    .bind(&new.host)
    .bind(&new.record_type)
    .bind(&new.value)
    .bind(&new.ttl)
    .bind_opt(new.priority.as_ref())
    .bind(&new.proxied)
    .bind(&now)
    .run(tx)
    .await?;
    Ok(PlaygroundRecord {
        id: new.id,
        zone_id,
        host: new.host,
        record_type: new.record_type,
        value: new.value,
        ttl: new.ttl,
        priority: new.priority,
        proxied: new.proxied,
        created_at: now,
        updated_at: now,
    })
}

impl Store {
    /// Makes a zone without records.
    ///
    /// # Errors
    /// `ZoneAlreadyExists`, `LimitReached`.
    pub async fn create_zone(&self, new: &NewPlaygroundZone) -> Result<PlaygroundZone, StoreError> {
        let mut tx = self.pools.write().await?;
        tx.turn(Turn::CountZones).await?;
        let zones: u64 = sql("SELECT COUNT(*) AS n FROM playground_zones").number(&mut tx).await?;
        if zones >= MAX_ZONES {
            return Err(StoreError::LimitReached { what: "playground zones", limit: MAX_ZONES });
        }
        sql("INSERT INTO playground_zones (id, apex, serial, created_at) VALUES ($1, $2, $3, $4)")
            .bind(&new.id)
            .bind(&new.apex)
            .bind(&new.serial)
            .bind(&new.created_at)
            .run(&mut tx)
            .await
            .map_err(|error| error.or_conflict(APEX, StoreError::ZoneAlreadyExists))?;
        bump_dns_generation(&mut tx).await?;
        tx.commit().await?;
        let (id, apex, serial, created_at) = (new.id, new.apex.clone(), new.serial, new.created_at);
        Ok(PlaygroundZone { id, apex, serial, created_at })
    }

    /// One zone.
    pub async fn get_zone(&self, id: ZoneId) -> Result<PlaygroundZone, StoreError> {
        let row = self
            .read_first(
                sql("SELECT id, apex, serial, created_at FROM playground_zones WHERE id = $1").bind(&id),
            )
            .await?;
        zone(&row.ok_or(StoreError::NotFound("zone"))?)
    }

    /// The zone with this apex.
    pub async fn get_zone_by_apex(&self, apex: &DomainName) -> Result<Option<PlaygroundZone>, StoreError> {
        let row = self
            .read_first(
                sql("SELECT id, apex, serial, created_at FROM playground_zones WHERE apex = $1").bind(apex),
            )
            .await?;
        row.as_ref().map(zone).transpose()
    }

    /// All zones, by name.
    pub async fn list_zones(&self) -> Result<Vec<PlaygroundZone>, StoreError> {
        self.read_all(sql("SELECT id, apex, serial, created_at FROM playground_zones ORDER BY apex"))
            .await?
            .iter()
            .map(zone)
            .collect()
    }

    /// Deletes a zone with its records.
    pub async fn delete_zone(&self, id: ZoneId) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        sql("DELETE FROM playground_zones WHERE id = $1").bind(&id).run_on("zone", &mut tx).await?;
        bump_dns_generation(&mut tx).await?;
        tx.commit().await
    }

    /// The records of a zone, oldest first.
    pub async fn records_of_zone(&self, zone_id: ZoneId) -> Result<Vec<PlaygroundRecord>, StoreError> {
        let query =
            sql(concat!("SELECT ", columns!(), " FROM playground_records WHERE zone_id = $1 ORDER BY id"))
                .bind(&zone_id);
        self.read_all(query).await?.iter().map(record).collect()
    }

    /// Every zone with its records, of one moment: what the DNS server serves.
    pub async fn all_zones_with_records(
        &self,
    ) -> Result<Vec<(PlaygroundZone, Vec<PlaygroundRecord>)>, StoreError> {
        let mut tx = self.pools.snapshot().await?;
        let zones =
            sql("SELECT id, apex, serial, created_at FROM playground_zones ORDER BY id").all(&mut tx).await?;
        let rows = sql(concat!("SELECT ", columns!(), " FROM playground_records ORDER BY zone_id, id"))
            .all(&mut tx)
            .await?;
        let mut records = rows.iter().map(record).collect::<Result<Vec<_>, _>>()?.into_iter().peekable();
        let mut all = Vec::with_capacity(zones.len());
        for zone in zones.iter().map(zone) {
            let zone = zone?;
            let mut own = Vec::new();
            while let Some(record) = records.next_if(|record| record.zone_id == zone.id) {
                own.push(record);
            }
            all.push((zone, own));
        }
        Ok(all)
    }

    /// Adds records to a zone, all or none. Equal records are allowed.
    ///
    /// # Errors
    /// `NotFound`, `LimitReached`.
    pub async fn add_records(
        &self,
        zone_id: ZoneId,
        new: Vec<NewPlaygroundRecord>,
        now: Timestamp,
    ) -> Result<Vec<PlaygroundRecord>, StoreError> {
        let mut tx = self.pools.write().await?;
        touch_zone(zone_id, &mut tx).await?;
        let count = sql("SELECT COUNT(*) AS n FROM playground_records WHERE zone_id = $1").bind(&zone_id);
        let records: u64 = count.number(&mut tx).await?;
        if records.saturating_add(new.len() as u64) > MAX_RECORDS {
            return Err(StoreError::LimitReached {
                what: "records in a playground zone",
                limit: MAX_RECORDS,
            });
        }
        let mut added = Vec::with_capacity(new.len());
        for record in new {
            added.push(insert_record(zone_id, record, now, &mut tx).await?);
        }
        tx.commit().await?;
        Ok(added)
    }

    /// Makes changes to a zone, all or none.
    ///
    /// # Errors
    /// `NotFound` where a record is not there that would be changed, `LimitReached`.
    pub async fn change_records(
        &self,
        zone_id: ZoneId,
        changes: Vec<PlaygroundChange>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        touch_zone(zone_id, &mut tx).await?;
        for change in changes {
            match change {
                PlaygroundChange::Add(new) => drop(insert_record(zone_id, new, now, &mut tx).await?),
                PlaygroundChange::Update(new) => {
                    sql("UPDATE playground_records SET host = $3, record_type = $4, value = $5, ttl = $6,
                             priority = $7, proxied = $8, updated_at = $9
                         WHERE id = $1 AND zone_id = $2")
                    .bind(&new.id)
                    .bind(&zone_id)
                    .bind(&new.host)
                    .bind(&new.record_type)
                    .bind(&new.value)
                    .bind(&new.ttl)
                    .bind_opt(new.priority.as_ref())
                    .bind(&new.proxied)
                    .bind(&now)
                    .run_on("record", &mut tx)
                    .await?;
                }
                PlaygroundChange::Remove(id) => {
                    sql("DELETE FROM playground_records WHERE id = $1 AND zone_id = $2")
                        .bind(&id)
                        .bind(&zone_id)
                        .run_on("record", &mut tx)
                        .await?;
                }
            }
        }
        let count = sql("SELECT COUNT(*) AS n FROM playground_records WHERE zone_id = $1").bind(&zone_id);
        let records: u64 = count.number(&mut tx).await?;
        if records > MAX_RECORDS {
            return Err(StoreError::LimitReached {
                what: "records in a playground zone",
                limit: MAX_RECORDS,
            });
        }
        tx.commit().await
    }

    /// One record, of whichever zone.
    pub async fn get_record(&self, id: RecordId) -> Result<PlaygroundRecord, StoreError> {
        let row = self
            .read_first(
                sql(concat!("SELECT ", columns!(), " FROM playground_records WHERE id = $1")).bind(&id),
            )
            .await?;
        record(&row.ok_or(StoreError::NotFound("record"))?)
    }

    /// Puts new contents into the record with the id `new.id`.
    pub async fn update_record(
        &self,
        zone_id: ZoneId,
        new: &NewPlaygroundRecord,
        now: Timestamp,
    ) -> Result<PlaygroundRecord, StoreError> {
        let mut tx = self.pools.write().await?;
        let row = sql(concat!(
            "UPDATE playground_records SET host = $3, record_type = $4, value = $5, ttl = $6,
                 priority = $7, proxied = $8, updated_at = $9
             WHERE id = $1 AND zone_id = $2 RETURNING ",
            columns!()
        ))
        .bind(&new.id)
        .bind(&zone_id)
        .bind(&new.host)
        .bind(&new.record_type)
        .bind(&new.value)
        .bind(&new.ttl)
        .bind_opt(new.priority.as_ref())
        .bind(&new.proxied)
        .bind(&now)
        .first(&mut tx)
        .await?;
        let updated = record(&row.ok_or(StoreError::NotFound("record"))?)?;
        touch_zone(zone_id, &mut tx).await?;
        tx.commit().await?;
        Ok(updated)
    }

    /// Deletes a record.
    pub async fn delete_record(&self, zone_id: ZoneId, id: RecordId) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        sql("DELETE FROM playground_records WHERE id = $1 AND zone_id = $2")
            .bind(&id)
            .bind(&zone_id)
            .run_on("record", &mut tx)
            .await?;
        touch_zone(zone_id, &mut tx).await?;
        tx.commit().await
    }
}
