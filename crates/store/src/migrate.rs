//! Brings the schema up to date: numbered files, each applied once and in one transaction.

use crate::{
    StoreError,
    database::{Pools, Tx, sql},
};

struct Migration {
    version: i64,
    name: &'static str,
    script: &'static str,
}

/// Append only: a file that was released is never edited.
const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, name: "start", script: include_str!("../migrations/0001_start.sql") },
    Migration { version: 2, name: "warmup", script: include_str!("../migrations/0002_warmup.sql") },
    Migration { version: 3, name: "key_numbers", script: include_str!("../migrations/0003_key_numbers.sql") },
    Migration {
        version: 4,
        name: "tenants_and_keys",
        script: include_str!("../migrations/0004_tenants_and_keys.sql"),
    },
    Migration {
        version: 5,
        name: "event_numbers",
        script: include_str!("../migrations/0005_event_numbers.sql"),
    },
    Migration { version: 6, name: "audit_log", script: include_str!("../migrations/0006_audit_log.sql") },
    Migration { version: 7, name: "idempotency", script: include_str!("../migrations/0007_idempotency.sql") },
    Migration { version: 8, name: "watch", script: include_str!("../migrations/0008_watch.sql") },
    Migration {
        version: 9,
        name: "suppressions",
        script: include_str!("../migrations/0009_suppressions.sql"),
    },
    Migration { version: 10, name: "users", script: include_str!("../migrations/0010_users.sql") },
    Migration { version: 11, name: "root_keys", script: include_str!("../migrations/0011_root_keys.sql") },
    Migration { version: 12, name: "webhooks", script: include_str!("../migrations/0012_webhooks.sql") },
    Migration { version: 13, name: "nodes", script: include_str!("../migrations/0013_nodes.sql") },
    Migration { version: 14, name: "contacts", script: include_str!("../migrations/0014_contacts.sql") },
    Migration {
        version: 15,
        name: "idempotency_counts",
        script: include_str!("../migrations/0015_idempotency_counts.sql"),
    },
    Migration {
        version: 16,
        name: "packed_checks",
        script: include_str!("../migrations/0016_packed_checks.sql"),
    },
    Migration { version: 17, name: "invited_by", script: include_str!("../migrations/0017_invited_by.sql") },
    Migration { version: 18, name: "sweeps", script: include_str!("../migrations/0018_sweeps.sql") },
    Migration { version: 19, name: "by_status", script: include_str!("../migrations/0019_by_status.sql") },
    Migration {
        version: 20,
        name: "user_identities",
        script: include_str!("../migrations/0020_user_identities.sql"),
    },
    Migration { version: 21, name: "traces", script: include_str!("../migrations/0021_traces.sql") },
    Migration {
        version: 22,
        name: "organisations_disabled",
        script: include_str!("../migrations/0022_organisations_disabled.sql"),
    },
    Migration { version: 23, name: "holders", script: include_str!("../migrations/0023_holders.sql") },
    Migration {
        version: 24,
        name: "contact_proofs",
        script: include_str!("../migrations/0024_contact_proofs.sql"),
    },
    Migration { version: 25, name: "key_feed", script: include_str!("../migrations/0025_key_feed.sql") },
    Migration {
        version: 26,
        name: "setup_links",
        script: include_str!("../migrations/0026_setup_links.sql"),
    },
    Migration {
        version: 27,
        name: "idempotency_shards",
        script: include_str!("../migrations/0027_idempotency_shards.sql"),
    },
    Migration { version: 28, name: "publishing", script: include_str!("../migrations/0028_publishing.sql") },
    Migration { version: 30, name: "reputation", script: include_str!("../migrations/0030_reputation.sql") },
    Migration { version: 31, name: "names", script: include_str!("../migrations/0031_names.sql") },
    Migration {
        version: 32,
        name: "setup_links_publish",
        script: include_str!("../migrations/0032_setup_links_publish.sql"),
    },
    Migration { version: 33, name: "drifts", script: include_str!("../migrations/0033_drifts.sql") },
    Migration {
        version: 34,
        name: "key_rotation",
        script: include_str!("../migrations/0034_key_rotation.sql"),
    },
    Migration {
        version: 35,
        name: "domain_connect",
        script: include_str!("../migrations/0035_domain_connect.sql"),
    },
    Migration {
        version: 38,
        name: "pause_cause",
        script: include_str!("../migrations/0038_pause_cause.sql"),
    },
];

/// Migrations that programs of an older schema can go on with, and the oldest schema that such a program must know: they
/// only add, and what they add has a default. So nodes are replaced one by one, the old ones at work meanwhile. What such
/// a migration makes superfluous is taken away by one of a later release.
const EXPANDING: &[(i64, i64)] = &[
    (15, 14),
    (17, 16),
    (18, 16),
    (19, 16),
    (20, 16),
    (21, 16),
    (22, 16),
    (25, 24),
    (26, 24),
    (27, 24),
    (28, 24),
    (30, 24),
    (31, 24),
    (32, 24),
    (33, 24),
    (34, 24),
    (35, 24),
    (38, 24),
];

/// Migrations that stop older programs, and why: they refuse to start, and one that runs ends when it is next heard of.
/// What came before the first of either was never run by two programs.
#[cfg(test)]
const STOPPING: &[(i64, &str)] = &[
    (16, "reports and observations are compressed where an older program does not look"),
    (23, "an older program verifies names without asking who holds them"),
    (24, "an older program writes to contacts that confirmed nothing"),
];

pub(crate) const KNOWN: i64 = MIGRATIONS[MIGRATIONS.len() - 1].version;

const BOOK: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (
    version BIGINT PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL)";

/// The oldest schema that a program must know to work with a migration. Without a line it must know the migration.
const NEEDS: &str =
    "CREATE TABLE IF NOT EXISTS schema_needs (version BIGINT PRIMARY KEY, needs BIGINT NOT NULL)";

/// Applies what is missing. Another process that does the same at the same time waits for its turn.
pub(crate) async fn migrate(pools: &Pools) -> Result<(), StoreError> {
    let mut tx = begin(pools).await?;
    tx.run_script(BOOK).await?;
    tx.run_script(NEEDS).await?;
    tx.commit().await?;
    for migration in MIGRATIONS {
        let mut tx = begin(pools).await?;
        if !is_applied(migration, &mut tx).await? {
            tx.run_script(migration.script).await?;
            sql("INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)")
                .bind(&migration.version)
                .text(migration.name)
                .bind(&checksum(migration.script))
                .run(&mut tx)
                .await?;
            if let Some((_, needs)) = EXPANDING.iter().find(|(version, _)| *version == migration.version) {
                sql("INSERT INTO schema_needs (version, needs) VALUES ($1, $2)")
                    .bind(&migration.version)
                    .bind(needs)
                    .run(&mut tx)
                    .await?;
            }
            tx.commit().await?;
        }
    }
    Ok(())
}

async fn begin(pools: &Pools) -> Result<Tx, StoreError> {
    let mut tx = pools.write().await?;
    tx.turn_to_migrate().await?;
    Ok(tx)
}

/// Refuses a schema that this program cannot go on with. A later program may have made it so while this one runs.
pub(crate) async fn require_known(tx: &mut Tx) -> Result<(), StoreError> {
    let needed = sql("SELECT COALESCE(MAX(COALESCE(needs, applied.version)), 0) AS n
         FROM schema_migrations AS applied
         LEFT JOIN schema_needs ON schema_needs.version = applied.version
         WHERE applied.version > $1");
    let found = needed.bind(&KNOWN).number::<i64>(tx).await?;
    if found > KNOWN { Err(StoreError::SchemaTooNew { found, known: KNOWN }) } else { Ok(()) }
}

async fn is_applied(migration: &Migration, tx: &mut Tx) -> Result<bool, StoreError> {
    require_known(tx).await?;
    let applied = sql("SELECT checksum FROM schema_migrations WHERE version = $1").bind(&migration.version);
    let Some(row) = applied.first(tx).await? else {
        return Ok(false);
    };
    if row.get::<String>("checksum")? != checksum(migration.script) {
        let (version, name) = (migration.version, migration.name);
        return Err(StoreError::Corrupt(format!(
            "schema migration {version} ({name}) was applied with another text"
        )));
    }
    Ok(true)
}

/// FNV-1a, 64 bits: enough to notice that a released file was edited.
fn checksum(script: &str) -> String {
    let hash = script.bytes().filter(|byte| *byte != b'\r').fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an older program does not notice: tables and indexes of their own, columns that may be left out, rows that it
    /// asks for by other names.
    fn only_adds(script: &str) -> bool {
        let lines = script.lines().filter(|line| !line.trim_start().starts_with("--"));
        let text = lines.collect::<Vec<_>>().join(" ");
        let mut statements = text.split(';').map(str::trim).filter(|text| !text.is_empty());
        statements.all(|statement| {
            let may_be_left_out = !statement.contains("NOT NULL") || statement.contains("DEFAULT");
            let adds_column = statement.starts_with("ALTER TABLE ") && statement.contains(" ADD COLUMN ");
            let starts = ["CREATE TABLE ", "CREATE INDEX ", "INSERT INTO generations "];
            starts.iter().any(|start| statement.starts_with(start)) || (adds_column && may_be_left_out)
        })
    }

    #[test]
    fn of_each_migration_it_is_said_whether_older_programs_go_on() {
        for migration in MIGRATIONS.iter().filter(|migration| migration.version > 14) {
            let (version, name) = (migration.version, migration.name);
            let expands = EXPANDING.iter().find(|(number, _)| *number == version);
            let stops = STOPPING.iter().any(|(number, _)| *number == version);
            let one_of_them =
                "say in EXPANDING or STOPPING whether a program that does not know it can go on";
            assert!(expands.is_some() != stops, "{name}: {one_of_them}");
            let Some((_, needs)) = expands else { continue };
            assert!(only_adds(migration.script), "{name} does more than add");
            let is_between = |number: i64| *needs < number && number <= version;
            let stopped = STOPPING.iter().any(|(number, _)| is_between(*number));
            assert!(!stopped, "{name} comes behind one that stops: programs need that");
        }
    }
}
