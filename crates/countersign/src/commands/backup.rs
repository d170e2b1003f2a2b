//! `countersign backup` and `countersign restore`: a copy of the SQLite database, and the way back.
//!
//! The master key is in neither: whoever finds a copy must not be able to open what is sealed in it.

use super::{Exit, show};
use crate::{
    Config, Overrides,
    config::ConfigError,
    instance::{StartError, lock_folder, sqlite_file},
};
use std::{io::Write as _, path::PathBuf};
use store::{Store, StoreOptions};

/// Which installation is meant.
#[derive(Debug, Clone, clap::Args)]
pub struct Place {
    /// Configuration file [default: countersign.toml, where there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder of the database and the master key [default: countersign-data]
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
}

impl Place {
    pub(super) fn load(&self) -> Result<Config, ConfigError> {
        let (config, data) = (self.config.clone(), self.data.clone());
        Config::load(&Overrides { config, data, ..Overrides::default() })
    }

    /// The database of an installation, also while the platform runs.
    pub(super) async fn open(&self) -> Result<(Config, Store), String> {
        let config = self.load().map_err(|error| error.to_string())?;
        let store = if let Some(url) = config.postgres().map_err(|error| error.to_string())? {
            Store::connect(url, StoreOptions::default()).await
        } else {
            let path = sqlite_file(&config.data);
            if !path.exists() {
                let folder = show::path(&config.data);
                return Err(format!("there is no platform in {folder}; name its folder with --data"));
            }
            Store::open(&path, StoreOptions::default()).await
        };
        Ok((config, store.map_err(|error| error.to_string())?))
    }
}

/// What to copy, and where to.
#[derive(Debug, Clone, clap::Args)]
pub struct BackupArgs {
    /// The copy; a file that is not there yet
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    #[command(flatten)]
    place: Place,
}

/// What to put back, and where.
#[derive(Debug, Clone, clap::Args)]
pub struct RestoreArgs {
    /// A copy that `countersign backup` made
    #[arg(value_name = "FILE")]
    from: PathBuf,
    #[command(flatten)]
    place: Place,
}

/// Copies the database, also while the platform runs.
pub async fn back_up(arguments: &BackupArgs) -> Exit {
    let config = match file_of(&arguments.place) {
        Ok(config) => config,
        Err(problem) => return show::fail(&problem),
    };
    let from = sqlite_file(&config.data);
    if !from.is_file() {
        return show::fail(&format!("there is no database {}; name its folder with --data", from.display()));
    }
    if arguments.to.exists() {
        return show::fail(&format!(
            "{} is there already; give another name with --to",
            arguments.to.display()
        ));
    }
    match store::back_up(&from, &arguments.to).await {
        Ok(bytes) => {
            say(&format!(
                "{} has {bytes} bytes, and was checked. The master key is not in it: keep {} or \
                 COUNTERSIGN_MASTER_KEY at another safe place, without it the DKIM keys are lost.",
                arguments.to.display(),
                config.data.join("master.key").display(),
            ));
            Exit::Good
        }
        Err(error) => show::fail(&format!("{} was not written: {error}", arguments.to.display())),
    }
}

/// Puts a copy into a folder that has no database. The platform must not run on it.
pub async fn restore(arguments: &RestoreArgs) -> Exit {
    match put_back(arguments).await {
        Ok(text) => {
            say(&text);
            Exit::Good
        }
        Err(problem) => show::fail(&problem),
    }
}

async fn put_back(arguments: &RestoreArgs) -> Result<String, String> {
    let config = file_of(&arguments.place)?;
    let _lock = lock_folder(&config.data).map_err(|error: StartError| error.to_string())?;
    let to = sqlite_file(&config.data);
    if to.exists() {
        return Err(format!(
            "there is a database {} already; move it away, or name another folder with --data",
            to.display()
        ));
    }
    store::restore(&arguments.from, &to)
        .await
        .map_err(|error| format!("{} cannot be restored: {error}", arguments.from.display()))?;
    let key = config.data.join("master.key");
    let next = if key.is_file() || !config.master_key.is_empty() {
        "Start the platform; it goes on where the copy was made."
    } else {
        "Put the master key that it was made with beside it (master.key), or set COUNTERSIGN_MASTER_KEY, then start."
    };
    Ok(format!("{} is restored. {next}", to.display()))
}

/// The configuration of an installation with a SQLite file.
fn file_of(place: &Place) -> Result<Config, String> {
    let config = place.load().map_err(|error| error.to_string())?;
    match config.postgres() {
        Ok(None) => Ok(config),
        _ => Err("the database is PostgreSQL: use pg_dump --format=custom, and pg_restore".to_owned()),
    }
}

pub(super) fn say(text: &str) {
    drop(writeln!(std::io::stdout(), "{}", show::harmless(text)));
}
