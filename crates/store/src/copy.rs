//! The move from a SQLite file to PostgreSQL: every row of every table, in one transaction.
//!
//! It knows tables by their order and columns by what SQLite says of them, so a new column needs no line here and a
//! new table that was forgotten is refused.

use crate::{
    Store, StoreError,
    database::{Kind, Link},
    postgres::Held,
    value::Value,
};
use futures_util::TryStreamExt as _;
use sqlx::{AssertSqlSafe, Row as _, SqliteConnection, sqlite::SqliteRow};

/// Every table, each behind those that it refers to.
const TABLES: &[&str] = &[
    "organisations",
    "users",
    "memberships",
    "sessions",
    "user_identities",
    "login_tokens",
    "recovery_codes",
    "tenants",
    "api_keys",
    "api_key_domains",
    "domains",
    "domain_claims",
    "dns_connections",
    "change_sets",
    "dns_ledger",
    "dns_drifts",
    "zone_leases",
    "observations",
    "dkim_keys",
    "dkim_key_pool",
    "domain_connect_keys",
    "generations",
    "messages",
    "deliveries",
    "delivery_attempts",
    "sandbox_messages",
    "playground_zones",
    "playground_records",
    "events",
    "settings",
    "write_probe",
    "warmup_days",
    "sending_days",
    "audit_log",
    "idempotency",
    "idempotency_counts",
    "idempotency_shards",
    "check_outcomes",
    "demotion_brake",
    "suppressions",
    "nodes",
    "webhooks",
    "webhook_deliveries",
    "webhook_attempts",
    "setup_links",
    "contacts",
    "contact_mails",
    "alerts",
];

/// Those that the schema itself puts rows into.
const BEGUN_BY_SCHEMA: [&str; 3] = ["generations", "write_probe", "demotion_brake"];

/// A column as it was declared.
struct Column {
    name: String,
    kind: String,
}

impl Store {
    /// Copies everything from this SQLite database to an empty PostgreSQL one, all or nothing; how many rows of each
    /// table. Nobody may write to either meanwhile: what is written here then stays behind.
    ///
    /// # Errors
    /// `NotEmpty` when the other database is in use, `Corrupt` when this is no SQLite database with the tables that
    /// are known, or the other is no PostgreSQL one.
    pub async fn copy_to(&self, other: &Self) -> Result<Vec<(&'static str, u64)>, StoreError> {
        let (Link::Sqlite(mut source), Kind::Postgres(target)) =
            (self.pools.snapshot().await?.link, &other.pools.kind)
        else {
            return Err(StoreError::Corrupt("only SQLite is copied, and only to PostgreSQL".to_owned()));
        };
        refuse_unknown_tables(&mut source).await?;
        let mut target = Held::begin(target, "BEGIN").await?;
        for table in TABLES {
            let empty = if BEGUN_BY_SCHEMA.contains(table) {
                format!("DELETE FROM {table}")
            } else {
                format!("LOCK TABLE {table} IN EXCLUSIVE MODE")
            };
            target
                .run(async |connection| sqlx::raw_sql(AssertSqlSafe(empty)).execute(connection).await)
                .await?;
            let any = AssertSqlSafe(format!("SELECT 1 FROM {table} LIMIT 1"));
            if target
                .run(async |connection| sqlx::query(any).fetch_optional(connection).await)
                .await?
                .is_some()
            {
                return Err(StoreError::NotEmpty);
            }
        }
        let mut copied = Vec::with_capacity(TABLES.len());
        for table in TABLES {
            copied.push((*table, copy_table(table, &mut source, &mut target).await?));
        }
        target.commit().await?;
        Ok(copied)
    }
}

async fn refuse_unknown_tables(source: &mut SqliteConnection) -> Result<(), StoreError> {
    let names = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
    let found: Vec<String> = sqlx::query_scalar(names).fetch_all(source).await?;
    let of_schema = ["schema_migrations", "schema_needs"];
    let is_unknown = |name: &&String| !of_schema.contains(&name.as_str()) && !TABLES.contains(&name.as_str());
    match found.iter().find(is_unknown) {
        Some(name) => Err(StoreError::Corrupt(format!("nobody knows a table {name}"))),
        None => Ok(()),
    }
}

async fn copy_table(
    table: &str,
    source: &mut SqliteConnection,
    target: &mut Held,
) -> Result<u64, StoreError> {
    let columns = columns(table, source).await?;
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let places: Vec<String> = (1..=columns.len()).map(|place| format!("${place}")).collect();
    let (names, places) = (names.join(", "), places.join(", "));
    let insert = format!("INSERT INTO {table} ({names}) VALUES ({places})");
    let mut rows =
        sqlx::query(AssertSqlSafe(format!("SELECT {names} FROM {table} ORDER BY rowid"))).fetch(source);
    let mut count = 0;
    while let Some(row) = rows.try_next().await? {
        let mut query = sqlx::query(AssertSqlSafe(insert.clone()));
        for column in &columns {
            query = match value(&row, column)? {
                Value::Text(value) => query.bind(value),
                Value::Int(value) => query.bind(value),
                Value::Blob(value) => query.bind(value),
            };
        }
        target.run(async |connection| query.execute(connection).await).await?;
        count += 1;
    }
    Ok(count)
}

async fn columns(table: &str, source: &mut SqliteConnection) -> Result<Vec<Column>, StoreError> {
    let rows = sqlx::query("SELECT name, type FROM pragma_table_info($1)").bind(table.to_owned());
    let rows = rows.fetch_all(source).await?;
    rows.iter().map(|row| Ok(Column { name: row.try_get("name")?, kind: row.try_get("type")? })).collect()
}

fn value(row: &SqliteRow, column: &Column) -> Result<Value, StoreError> {
    let name = column.name.as_str();
    Ok(match column.kind.as_str() {
        "TEXT" => Value::text(row.try_get(name)?),
        "BIGINT" => Value::Int(row.try_get(name)?),
        "BLOB" => Value::Blob(row.try_get(name)?),
        kind => return Err(StoreError::Corrupt(format!("column {name} is of the type {kind}"))),
    })
}
