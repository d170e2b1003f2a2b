//! `countersign migrate-store`: the move from the SQLite file to PostgreSQL.

use super::{
    Exit,
    backup::{Place, say},
    show,
};
use crate::instance::{lock_folder, sqlite_file};
use std::{fmt::Write as _, time::Instant};
use store::{Store, StoreOptions};

/// What to move, and where to.
#[derive(Debug, Clone, clap::Args)]
pub struct MigrateStoreArgs {
    /// An empty PostgreSQL database [default: the one of `DATABASE_URL` or of the configuration]
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    #[command(flatten)]
    place: Place,
}

/// Copies everything, all or nothing.
pub async fn run(arguments: &MigrateStoreArgs) -> Exit {
    match copy(arguments).await {
        Ok(text) => {
            say(&text);
            Exit::Good
        }
        Err(problem) => show::fail(&problem),
    }
}

async fn copy(arguments: &MigrateStoreArgs) -> Result<String, String> {
    let mut config = arguments.place.load().map_err(|error| error.to_string())?;
    if let Some(to) = &arguments.to {
        config.database_url.clone_from(to);
    }
    let to = config.postgres().map_err(|error| error.to_string())?;
    let to = to.ok_or("say where to: --to postgres://…, or DATABASE_URL in the environment")?;
    let path = sqlite_file(&config.data);
    if !path.is_file() {
        return Err(format!("there is no database {}; name its folder with --data", path.display()));
    }
    // Nobody writes to it meanwhile, and nobody else's leases are in it.
    let _lock = lock_folder(&config.data).map_err(|error| error.to_string())?;
    let started = Instant::now();
    let from = Store::open(&path, StoreOptions::default())
        .await
        .map_err(|error| format!("the database {} cannot be opened: {error}", path.display()))?;
    from.release_all_leases().await.map_err(|error| error.to_string())?;
    let other = Store::connect(to, StoreOptions::default())
        .await
        .map_err(|error| format!("the PostgreSQL database cannot be opened: {error}"))?;
    let copied = from.copy_to(&other).await.map_err(|error| format!("nothing was copied: {error}"))?;
    other.close().await;
    from.close().await;
    let rows: u64 = copied.iter().map(|(_, rows)| rows).sum();
    let mut tables = String::new();
    for (table, rows) in copied.iter().filter(|(_, rows)| *rows > 0) {
        let _ = writeln!(tables, "  {table:<18} {rows:>9}");
    }
    Ok(format!(
        "Copied {rows} rows in {:.1} s:\n{tables}Start with DATABASE_URL set to that database and with the same master key. \
         {} is as it was, and is not used then.",
        started.elapsed().as_secs_f64(),
        path.display(),
    ))
}
