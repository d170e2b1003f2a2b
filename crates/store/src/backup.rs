//! A copy of a SQLite database while others write to it, and a look whether a file is one.

use crate::{StoreError, database::create_private, migrate};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// Writes a copy of the database at `from` to the new file `to`; its size in bytes. The copy is of one moment behind
/// the call, so it has all that was acknowledged before. Writers do not wait for it, also not those of another process.
/// When this returns `Ok` the copy was checked and is on disk.
///
/// # Errors
/// `Database` with `AlreadyExists` when `to` is there, `Corrupt` when the database is damaged or none of ours.
pub async fn back_up(from: &Path, to: &Path) -> Result<u64, StoreError> {
    if to.exists() {
        return Err(file_error(io::ErrorKind::AlreadyExists.into()));
    }
    let mut unfinished = to.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let unfinished = PathBuf::from(unfinished);
    let copied = copy(from, &unfinished).await;
    if copied.is_err() {
        drop(fs::remove_file(&unfinished));
    }
    let size = copied?;
    // Not `rename`: that would replace a file which came meanwhile.
    fs::hard_link(&unfinished, to).map_err(file_error)?;
    fs::remove_file(&unfinished).map_err(file_error)?;
    sync_folder(to).map_err(file_error)?;
    Ok(size)
}

async fn copy(from: &Path, to: &Path) -> Result<u64, StoreError> {
    let mut source = connect(from).await?;
    // What an interrupted one left.
    drop(fs::remove_file(to));
    create_private(to).map_err(file_error)?;
    sqlx::query("VACUUM INTO $1").bind(to.to_string_lossy().into_owned()).execute(&mut source).await?;
    source.close().await?;
    check_backup(to).await?;
    let file = File::open(to).map_err(file_error)?;
    file.sync_all().map_err(file_error)?;
    Ok(file.metadata().map_err(file_error)?.len())
}

/// Checks that a file is a whole database of this program, and not of a newer one.
pub async fn check_backup(path: &Path) -> Result<(), StoreError> {
    let mut connection = connect(path).await?;
    let damage: String = sqlx::query_scalar("PRAGMA integrity_check(1)").fetch_one(&mut connection).await?;
    if damage != "ok" {
        return Err(StoreError::Corrupt(damage));
    }
    let versions = sqlx::query_scalar("SELECT MAX(version) FROM schema_migrations");
    let found: Option<i64> = versions
        .fetch_one(&mut connection)
        .await
        .map_err(|_| StoreError::Corrupt("it is no database of Countersign".to_owned()))?;
    connection.close().await?;
    match found {
        Some(found) if found > migrate::KNOWN => {
            Err(StoreError::SchemaTooNew { found, known: migrate::KNOWN })
        }
        _ => Ok(()),
    }
}

/// Puts a copy that `back_up` made to the new file `to`, checked and durable.
pub async fn restore(backup: &Path, to: &Path) -> Result<(), StoreError> {
    check_backup(backup).await?;
    if to.exists() {
        return Err(file_error(io::ErrorKind::AlreadyExists.into()));
    }
    let put = || {
        create_private(to)?;
        fs::copy(backup, to)?;
        set_private(to)?;
        File::open(to)?.sync_all()?;
        sync_folder(to)
    };
    put().inspect_err(|_| drop(fs::remove_file(to))).map_err(file_error)?;
    check_backup(to).await
}

async fn connect(path: &Path) -> Result<SqliteConnection, StoreError> {
    Ok(SqliteConnectOptions::new().filename(path).read_only(true).connect().await?)
}

/// A copy takes the mode of what it was copied from.
fn set_private(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(())
}

/// A new name is on disk when its folder is.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn file_error(error: io::Error) -> StoreError {
    sqlx::Error::Io(error).into()
}
