//! The thin layer over the driver: statements with bound values, rows, transactions, pools.
//!
//! Every other file of this crate speaks only [`Sql`], [`Row`] and [`Tx`], and knows of two databases only where
//! one text cannot serve both ([`Sql::on_postgres`], [`Tx::turn`]). Statements are `&'static str` with `$N`
//! placeholders. They name their columns: a connection that keeps prepared statements refuses a `*` whose columns
//! another node's migration has changed.
//!
//! The driver's own transaction type is not used: when SQLite rolls back by itself (full disk, I/O error) the
//! driver's count of open transactions stays at one, and its connection refuses every later `BEGIN`
//! (sqlx 0.9.0). Here `BEGIN IMMEDIATE` and `COMMIT` are plain statements, and a connection that
//! comes back to its pool is rolled back, whatever state it is in.

use crate::{
    StoreError,
    postgres::{self, Held},
    signals::{Signals, Topic, Topics},
    value::{Raw, Stored, Value, from_json},
};
use serde::de::DeserializeOwned;
use sqlx::{
    AssertSqlSafe, PgPool, Postgres, Row as _, Sqlite, SqliteConnection, SqlitePool,
    pool::PoolConnection,
    postgres::{PgArguments, PgRow},
    sqlite::{
        SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow,
        SqliteSynchronous,
    },
};
use std::{path::Path, sync::Arc, time::Duration};

/// How the database is opened.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// SQLite: how long a write waits for other connections, of this process or another one, before it is `Busy`.
    pub busy_timeout: Duration,
    /// SQLite: how many connections read at the same time.
    pub readers: u32,
    /// PostgreSQL: how many connections there are at the most.
    pub connections: u32,
    /// SQLite: the size that the database may have, in pages of 4096 bytes; for tests of a full disk.
    pub max_page_count: Option<u32>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { busy_timeout: Duration::from_secs(2), readers: 4, connections: 12, max_page_count: None }
    }
}

/// The connections of one database, and who is told of what is written over them.
#[derive(Debug, Clone)]
pub(crate) struct Pools {
    pub(crate) kind: Kind,
    pub(crate) signals: Arc<Signals>,
}

/// The two databases.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Sqlite {
        writer: SqlitePool,
        readers: SqlitePool,
        #[cfg(unix)]
        index: Arc<crate::mark::Index>,
    },
    Postgres(PgPool),
}

impl Pools {
    /// Opens a SQLite file, making it when it is not there.
    pub(crate) async fn open_sqlite(path: &Path, options: &StoreOptions) -> Result<Self, StoreError> {
        create_private(path).map_err(sqlx::Error::Io)?;
        let base = SqliteConnectOptions::new()
            .filename(path)
            .busy_timeout(options.busy_timeout)
            .foreign_keys(true)
            .synchronous(SqliteSynchronous::Full)
            .statement_cache_capacity(48);
        let mut writing = base
            .clone()
            .journal_mode(SqliteJournalMode::Wal)
            // A burst must not leave a huge log behind for ever.
            .pragma("journal_size_limit", "16777216")
            .pragma("cache_size", "-2048");
        if let Some(pages) = options.max_page_count {
            writing = writing.pragma("max_page_count", pages.to_string());
        }
        let reading = base.pragma("cache_size", "-512").pragma("query_only", "ON");
        // A caller waits for its turn at the pool and then for the lock of another process.
        let pool = |connections: u32| {
            SqlitePoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(options.busy_timeout + Duration::from_secs(5))
                .test_before_acquire(false)
                .max_lifetime(None)
                .after_release(|connection, _| Box::pin(async move { Ok(roll_back(connection).await) }))
        };
        let writer = pool(1).idle_timeout(None).connect_with(writing).await?;
        let readers =
            pool(options.readers.max(1)).idle_timeout(Duration::from_mins(1)).connect_lazy_with(reading);
        Ok(Self::of(Kind::Sqlite {
            writer,
            readers,
            #[cfg(unix)]
            index: Arc::new(crate::mark::Index::of(path)),
        }))
    }

    /// Connects to a PostgreSQL database.
    pub(crate) async fn connect_postgres(url: &str, options: &StoreOptions) -> Result<Self, StoreError> {
        postgres::connect(url, options).await.map(Kind::Postgres).map(Self::of)
    }

    fn of(kind: Kind) -> Self {
        Self { kind, signals: Arc::default() }
    }

    /// Begins a transaction that may write. Nobody sees its work before `commit`, and dropping it undoes everything.
    /// On SQLite there is one at a time. On PostgreSQL there are many, and each statement sees what was committed
    /// before it began (READ COMMITTED): what a transaction reads and then relies on, it must lock.
    pub(crate) async fn write(&self) -> Result<Tx, StoreError> {
        let link = match &self.kind {
            // IMMEDIATE: a transaction that reads first and writes then would be refused without waiting when
            // another connection wrote in between.
            Kind::Sqlite { writer, .. } => begin(writer, "BEGIN IMMEDIATE").await?,
            Kind::Postgres(pool) => Link::Postgres(Held::begin(pool, "BEGIN").await?),
        };
        Ok(Tx { link, told: Topics::default(), signals: Arc::clone(&self.signals) })
    }

    /// Begins a transaction that sees one state of the database for all its reads.
    pub(crate) async fn snapshot(&self) -> Result<Tx, StoreError> {
        let link = match &self.kind {
            Kind::Sqlite { readers, .. } => begin(readers, "BEGIN").await?,
            Kind::Postgres(pool) => {
                Link::Postgres(Held::begin(pool, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?)
            }
        };
        Ok(Tx { link, told: Topics::default(), signals: Arc::clone(&self.signals) })
    }

    /// A connection for one read.
    pub(crate) async fn read(&self) -> Result<Tx, StoreError> {
        let link = match &self.kind {
            Kind::Sqlite { readers, .. } => Link::Sqlite(readers.acquire().await?),
            Kind::Postgres(pool) => Link::Postgres(Held::from_pool(pool).await?),
        };
        Ok(Tx { link, told: Topics::default(), signals: Arc::clone(&self.signals) })
    }

    /// Waits for running work and closes every connection.
    pub(crate) async fn close(&self) {
        match &self.kind {
            Kind::Sqlite { writer, readers, .. } => {
                readers.close().await;
                writer.close().await;
            }
            Kind::Postgres(pool) => pool.close().await,
        }
    }
}

/// The file holds encrypted keys, hashes and mail, so only its owner may read it. SQLite gives the files beside it
/// the same mode.
pub(crate) fn create_private(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

async fn begin(pool: &SqlitePool, statement: &'static str) -> Result<Link, StoreError> {
    let mut connection = pool.acquire().await?;
    sqlx::query(statement).execute(&mut *connection).await?;
    Ok(Link::Sqlite(connection))
}

/// Undoes what an abandoned transaction left; whether the connection is good for further use.
async fn roll_back(connection: &mut SqliteConnection) -> bool {
    match sqlx::query("ROLLBACK").execute(connection).await {
        Ok(_) => true,
        // The usual case: it was committed, SQLite has rolled back by itself, or it only read.
        Err(sqlx::Error::Database(error)) => error.message().contains("no transaction is active"),
        Err(_) => false,
    }
}

/// A connection inside a transaction, or for one read.
pub(crate) struct Tx {
    pub(crate) link: Link,
    told: Topics,
    signals: Arc<Signals>,
}

/// The connection itself.
pub(crate) enum Link {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(Held),
}

/// What only one transaction does at a time. The numbers are locks that all nodes on one database share;
/// `0x6373_0001` is for migrations.
#[derive(Clone, Copy)]
pub(crate) enum Turn {
    TrimSandbox = 0x6373_0002,
    CountZones = 0x6373_0003,
    Sweep = 0x6373_0004,
}

impl Tx {
    /// Who waits for this is woken when the work is durable, and not before.
    pub(crate) fn wakes(&mut self, topic: Topic) {
        self.told.add(topic);
    }

    /// Waits until no other transaction has this turn, and keeps it until the end. On SQLite every transaction that
    /// writes is alone already.
    pub(crate) async fn turn(&mut self, turn: Turn) -> Result<(), StoreError> {
        if let Link::Postgres(_) = self.link {
            sql("SELECT pg_advisory_xact_lock($1)").bind(&(turn as i64)).run(self).await?;
        }
        Ok(())
    }

    /// The same for those who count something of this text.
    pub(crate) async fn turn_for(&mut self, text: &str) -> Result<(), StoreError> {
        if let Link::Postgres(_) = self.link {
            // The first number is ours, as those of `Turn` are.
            sql("SELECT pg_advisory_xact_lock(1668481029, hashtext($1))").text(text).run(self).await?;
        }
        Ok(())
    }

    /// Takes this turn until the end, unless another transaction has it; whether it did.
    pub(crate) async fn try_turn(&mut self, turn: Turn) -> Result<bool, StoreError> {
        if let Link::Sqlite(_) = self.link {
            return Ok(true);
        }
        let lock = sql("SELECT CASE WHEN pg_try_advisory_xact_lock($1) THEN 1 ELSE 0 END::BIGINT AS n");
        Ok(lock.bind(&(turn as i64)).number::<i64>(self).await? == 1)
    }

    /// Waits until no other process migrates, however long that takes, and is the one that does until the end.
    pub(crate) async fn turn_to_migrate(&mut self) -> Result<(), StoreError> {
        if let Link::Postgres(held) = &mut self.link {
            let lock = "SELECT pg_advisory_xact_lock(1668481025)";
            held.run_long(async |connection| sqlx::raw_sql(lock).execute(connection).await).await?;
        }
        Ok(())
    }

    /// Makes the work durable. When this returns `Ok`, it survives a crash and a power loss.
    pub(crate) async fn commit(mut self) -> Result<(), StoreError> {
        match &mut self.link {
            Link::Sqlite(_) => sql("COMMIT").run(&mut self).await.map(drop)?,
            Link::Postgres(held) => held.commit().await?,
        }
        self.signals.raise(self.told);
        Ok(())
    }

    /// Runs a migration: a file of statements that is the same for both databases.
    pub(crate) async fn run_script(&mut self, script: &'static str) -> Result<(), StoreError> {
        match &mut self.link {
            Link::Sqlite(connection) => {
                sqlx::raw_sql(script).execute(&mut **connection).await?;
            }
            Link::Postgres(held) => {
                let script = AssertSqlSafe(postgres::dialect(script));
                held.run_long(async |connection| sqlx::raw_sql(script).execute(connection).await).await?;
            }
        }
        Ok(())
    }
}

/// A statement with its values.
pub(crate) struct Sql {
    text: &'static str,
    postgres: Option<&'static str>,
    values: Vec<Value>,
}

/// Begins a statement; the values follow in the order of the placeholders.
pub(crate) fn sql(text: &'static str) -> Sql {
    Sql { text, postgres: None, values: Vec::new() }
}

impl Sql {
    /// Another text for PostgreSQL with the same placeholders, where one text cannot serve both: claims and locks.
    pub(crate) fn on_postgres(mut self, text: &'static str) -> Self {
        self.postgres = Some(text);
        self
    }

    pub(crate) fn bind<T: Stored>(mut self, value: &T) -> Self {
        self.values.push(T::Raw::value(Some(value.to_raw())));
        self
    }

    pub(crate) fn bind_opt<T: Stored>(mut self, value: Option<&T>) -> Self {
        self.values.push(T::Raw::value(value.map(Stored::to_raw)));
        self
    }

    pub(crate) fn text(mut self, value: &str) -> Self {
        self.values.push(Value::text(Some(value.to_owned())));
        self
    }

    pub(crate) fn blob(mut self, value: &[u8]) -> Self {
        self.values.push(Value::Blob(Some(value.to_vec())));
        self
    }

    fn sqlite(self) -> sqlx::query::Query<'static, Sqlite, SqliteArguments> {
        self.values.into_iter().fold(sqlx::query(self.text), |query, value| match value {
            Value::Text(value) => query.bind(value),
            Value::Int(value) => query.bind(value),
            Value::Blob(value) => query.bind(value),
        })
    }

    fn for_postgres(self) -> sqlx::query::Query<'static, Postgres, PgArguments> {
        let query = sqlx::query(self.postgres.unwrap_or(self.text));
        self.values.into_iter().fold(query, |query, value| match value {
            Value::Text(value) => query.bind(value),
            Value::Int(value) => query.bind(value),
            Value::Blob(value) => query.bind(value),
        })
    }

    /// How it would be carried out, and in which column that is said.
    #[cfg(test)]
    pub(crate) fn explained(self, on_postgres: bool) -> (Self, &'static str) {
        let (explain, text, column) = if on_postgres {
            ("EXPLAIN (COSTS OFF)", self.postgres.unwrap_or(self.text), "QUERY PLAN")
        } else {
            ("EXPLAIN QUERY PLAN", self.text, "detail")
        };
        (Self { text: format!("{explain} {text}").leak(), postgres: None, ..self }, column)
    }

    /// All rows.
    pub(crate) async fn all(self, tx: &mut Tx) -> Result<Vec<Row>, StoreError> {
        match &mut tx.link {
            Link::Sqlite(connection) => {
                let rows = self.sqlite().fetch_all(&mut **connection).await?;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
            Link::Postgres(held) => {
                let query = self.for_postgres();
                let rows = held.run(async |connection| query.fetch_all(connection).await).await?;
                Ok(rows.into_iter().map(Row::Postgres).collect())
            }
        }
    }

    /// The first row, if there is one.
    pub(crate) async fn first(self, tx: &mut Tx) -> Result<Option<Row>, StoreError> {
        match &mut tx.link {
            Link::Sqlite(connection) => {
                Ok(self.sqlite().fetch_optional(&mut **connection).await?.map(Row::Sqlite))
            }
            Link::Postgres(held) => {
                let query = self.for_postgres();
                let row = held.run(async |connection| query.fetch_optional(connection).await).await?;
                Ok(row.map(Row::Postgres))
            }
        }
    }

    /// The number in the column `n` of the only row.
    pub(crate) async fn number<T: Stored<Raw = i64>>(self, tx: &mut Tx) -> Result<T, StoreError> {
        self.first(tx).await?.ok_or(StoreError::NotFound("row"))?.get("n")
    }

    /// Runs it; how many rows it changed.
    pub(crate) async fn run(self, tx: &mut Tx) -> Result<u64, StoreError> {
        match &mut tx.link {
            Link::Sqlite(connection) => Ok(self.sqlite().execute(&mut **connection).await?.rows_affected()),
            Link::Postgres(held) => {
                let query = self.for_postgres();
                let done = held.run(async |connection| query.execute(connection).await).await?;
                Ok(done.rows_affected())
            }
        }
    }

    /// Runs it; it must have changed a row.
    pub(crate) async fn run_on(self, noun: &'static str, tx: &mut Tx) -> Result<(), StoreError> {
        match self.run(tx).await? {
            0 => Err(StoreError::NotFound(noun)),
            _ => Ok(()),
        }
    }
}

/// One row of an answer.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    /// A column that is not NULL.
    pub(crate) fn get<T: Stored>(&self, column: &'static str) -> Result<T, StoreError> {
        self.opt(column)?.ok_or_else(|| StoreError::Corrupt(format!("column {column} is NULL")))
    }

    /// A column that may be NULL.
    pub(crate) fn opt<T: Stored>(&self, column: &'static str) -> Result<Option<T>, StoreError> {
        let raw = match self {
            Self::Sqlite(row) => row.try_get::<Option<T::Raw>, _>(column)?,
            Self::Postgres(row) => row.try_get::<Option<T::Raw>, _>(column)?,
        };
        match raw {
            None => Ok(None),
            Some(raw) => T::from_raw(raw)
                .map(Some)
                .ok_or_else(|| StoreError::Corrupt(format!("column {column} has an unknown value"))),
        }
    }

    /// A column of JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<T, StoreError> {
        from_json(column, &self.get::<String>(column)?)
    }
}
