//! PostgreSQL: how it is connected to, and a connection that is never given back half used.
//!
//! A caller may be cancelled at any await. A connection with an open transaction, or with an answer still under way,
//! is cleaned by a task of its own before anybody else gets it, or thrown away when that takes too long: a link that
//! swallows packets must not cost a place in the pool for ever.

use crate::{StoreError, StoreOptions};
use sqlx::{
    ConnectOptions as _, Connection as _, PgConnection, PgPool, Postgres,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::{str::FromStr, time::Duration};
use tokio::{runtime::Handle, time::timeout};

/// How long a statement may take here. The server ends it earlier ([`SERVER_LIMITS`]); this is for a dead link.
const STATEMENT_LIMIT: Duration = Duration::from_secs(15);
/// How long cleaning a connection may take before it is thrown away.
const CLEAN_LIMIT: Duration = Duration::from_secs(5);

/// What every connection asks of the server. A node that is frozen in a transaction must not hold its locks for
/// long, and a commit is on disk when it returns, whatever the server's own default is.
const SERVER_LIMITS: [(&str, &str); 4] = [
    ("statement_timeout", "10s"),
    ("lock_timeout", "4s"),
    ("idle_in_transaction_session_timeout", "10s"),
    ("synchronous_commit", "on"),
];

/// Connects, and refuses a database that cannot hold every text.
pub(crate) async fn connect(url: &str, options: &StoreOptions) -> Result<PgPool, StoreError> {
    let connecting = PgConnectOptions::from_str(url)?
        .application_name("countersign")
        .statement_cache_capacity(200)
        .options(SERVER_LIMITS);
    // Once by itself: the pool would try a refused connection again and again, and hide the reason.
    let encoding = timeout(STATEMENT_LIMIT, encoding(&connecting)).await.map_err(|_| StoreError::Busy)?;
    let encoding = encoding.map_err(failed)?;
    if encoding != "UTF8" {
        return Err(StoreError::Encoding(encoding));
    }
    Ok(PgPoolOptions::new()
        .max_connections(options.connections.max(2))
        .acquire_timeout(Duration::from_secs(5))
        .idle_timeout(Duration::from_mins(5))
        .max_lifetime(Duration::from_mins(30))
        .connect_lazy_with(connecting))
}

async fn encoding(connecting: &PgConnectOptions) -> Result<String, sqlx::Error> {
    let mut connection = connecting.connect().await?;
    let encoding = sqlx::query_scalar("SHOW server_encoding").fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(encoding)
}

/// The only input and output here is that of the link.
fn failed(error: sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::Io(source) => StoreError::Unreachable(source),
        error => error.into(),
    }
}

/// A connection from the pool.
pub(crate) struct Held {
    connection: Option<PoolConnection<Postgres>>,
    in_transaction: bool,
    /// A statement was begun and its end not seen.
    is_busy: bool,
    has_failed: bool,
}

impl Held {
    pub(crate) async fn from_pool(pool: &PgPool) -> Result<Self, StoreError> {
        let connection = Some(pool.acquire().await.map_err(failed)?);
        Ok(Self { connection, in_transaction: false, is_busy: false, has_failed: false })
    }

    pub(crate) async fn begin(pool: &PgPool, statement: &'static str) -> Result<Self, StoreError> {
        let mut held = Self::from_pool(pool).await?;
        held.in_transaction = true;
        held.run(async |connection| sqlx::raw_sql(statement).execute(connection).await).await?;
        Ok(held)
    }

    pub(crate) async fn commit(&mut self) -> Result<(), StoreError> {
        if self.has_failed {
            // The server would answer COMMIT with a rollback, and no error.
            return Err(StoreError::Database(sqlx::Error::Protocol(
                "COMMIT behind a failed statement".into(),
            )));
        }
        self.run(async |connection| sqlx::raw_sql("COMMIT").execute(connection).await).await?;
        self.in_transaction = false;
        Ok(())
    }

    /// Runs a migration, which may take as long as it must.
    pub(crate) async fn run_long<T>(
        &mut self,
        script: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        let no_limits = "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0";
        self.run(async |connection| sqlx::raw_sql(no_limits).execute(connection).await).await?;
        let connection = self.connection.as_mut().ok_or(StoreError::Busy)?;
        self.is_busy = true;
        let result = script(connection).await;
        self.is_busy = false;
        self.has_failed |= result.is_err();
        result.map_err(failed)
    }

    /// Runs one statement under the time limit.
    pub(crate) async fn run<T>(
        &mut self,
        statement: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        let connection = self.connection.as_mut().ok_or(StoreError::Busy)?;
        self.is_busy = true;
        let result = timeout(STATEMENT_LIMIT, statement(connection)).await.map_err(|_| StoreError::Busy)?;
        self.is_busy = false;
        self.has_failed |= result.is_err();
        result.map_err(failed)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        let in_transaction = self.in_transaction;
        if !in_transaction && !self.is_busy {
            return;
        }
        let Ok(runtime) = Handle::try_current() else {
            // Closes the socket; the server rolls back.
            drop(connection.detach());
            return;
        };
        runtime.spawn(async move {
            let clean = async {
                if in_transaction {
                    sqlx::raw_sql("ROLLBACK").execute(&mut *connection).await.map(drop)
                } else {
                    connection.ping().await
                }
            };
            if !matches!(timeout(CLEAN_LIMIT, clean).await, Ok(Ok(()))) {
                connection.close_on_drop();
            }
        });
    }
}

/// The text of a migration for PostgreSQL. Ids are compared byte by byte and patterns must be able to use an index,
/// so that no column takes part in the sorting rules of a language.
pub(crate) fn dialect(script: &str) -> String {
    let mut out = String::with_capacity(script.len() + 1024);
    for line in script.split_inclusive('\n') {
        if line.trim_start().starts_with("--") {
            continue;
        }
        let mut rest = line;
        while let Some(start) = rest.find(|character: char| character.is_ascii_alphabetic()) {
            let (before, from) = rest.split_at(start);
            let word = |character: char| character.is_ascii_alphanumeric() || character == '_';
            let end = from.find(|character| !word(character)).unwrap_or(from.len());
            out.push_str(before);
            out.push_str(match &from[..end] {
                "TEXT" => "TEXT COLLATE \"C\"",
                "BLOB" => "BYTEA",
                other => other,
            });
            rest = &from[end..];
        }
        out.push_str(rest);
    }
    out
}

/// What the error codes of PostgreSQL come to (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
pub(crate) fn classify(code: &str, message: &str) -> Option<StoreError> {
    match code {
        // Serialisation, deadlock, lock not had in time, cancelled by a timeout, too many connections.
        // 25006: read-only, it became a standby.
        "40001" | "40P01" | "55P03" | "57014" | "53300" | "25P03" | "25006" => Some(StoreError::Busy),
        "53100" => Some(StoreError::Full),
        "XX001" | "XX002" => Some(StoreError::Corrupt(message.to_owned())),
        // Shutting down, starting, a connection that was cut.
        _ if code.starts_with("57P") || code.starts_with("08") => Some(StoreError::Busy),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_migration_is_turned_word_by_word() {
        let script =
            "-- TEXT stays\nCREATE TABLE t (\n    id TEXT PRIMARY KEY,\n    CONTEXT_TEXT BLOB NOT NULL\n);\n";
        let wanted =
            "CREATE TABLE t (\n    id TEXT COLLATE \"C\" PRIMARY KEY,\n    CONTEXT_TEXT BYTEA NOT NULL\n);\n";
        assert_eq!(dialect(script), wanted);
    }

    #[test]
    fn codes_say_what_the_caller_can_do() {
        for code in ["40P01", "57P01", "08006", "57014"] {
            assert!(matches!(classify(code, ""), Some(StoreError::Busy)), "{code}");
        }
        assert!(matches!(classify("53100", ""), Some(StoreError::Full)));
        assert!(classify("23505", "").is_none());
    }
}
