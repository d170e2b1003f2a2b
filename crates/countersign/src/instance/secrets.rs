//! What an instance keeps secret: the master key and the development key, each a file that only its owner reads.

use super::{StartError, other};
use crate::{
    config::{Config, parse_key},
    hex,
};
use app::{
    App,
    access::Caller,
    ports::Random,
    vault::{self, Vault},
};
use model::OrgId;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};
use store::Store;

/// The file with the development instance's API key, in the data folder.
const API_KEY_FILE: &str = "api-key";
/// The file with the master key, in the data folder.
const MASTER_KEY_FILE: &str = "master.key";

/// Reads a small secret file, or makes it with `content` readable by its owner only, durable before it is used. Of
/// several processes that make it at once, all read the same.
pub(super) fn read_or_make(path: &Path, content: impl FnOnce() -> String) -> Result<String, StartError> {
    let at = |source| StartError::File { path: path.to_owned(), source };
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        other => return other.map_err(at),
    }
    // Written under another name first: nobody reads half of it.
    let draft = path.with_extension(format!("new-{}", std::process::id()));
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft).map_err(at)?;
    file.write_all(content().as_bytes()).and_then(|()| file.sync_all()).map_err(at)?;
    let linked = fs::hard_link(&draft, path);
    drop(fs::remove_file(&draft));
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(at(error)),
        _ => {}
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(at)?;
    fs::read_to_string(path).map_err(at)
}

/// The secrets, under the master key of the configuration or of the data folder.
///
/// A key is made where there is none, unless there is a database that was sealed with one.
pub(super) fn open_vault(
    config: &Config,
    random: &Random,
    is_database_there: bool,
) -> Result<Vault, StartError> {
    let key = if let Some(key) = config.master_key()? {
        key
    } else {
        let path = config.data.join(MASTER_KEY_FILE);
        // A key that is made now would not open what is there, and look as if it were the one that does.
        if !path.exists() && is_database_there {
            return Err(StartError::NoMasterKey(path));
        }
        let make = || hex::encode(&random.bytes::<32>()) + "\n";
        let text = read_or_make(&path, make)?;
        let problem = "this is not a master key (64 hexadecimal digits); put the right file back".to_owned();
        parse_key(&text).ok_or(StartError::Content { path, problem })?
    };
    let earlier = config.previous_master_keys()?;
    Vault::new(&key)
        .and_then(|vault| vault.with_earlier(&earlier))
        .and_then(|vault| vault.with_next(config.next_master_key().ok().flatten().as_ref()))
        .map_err(|error| StartError::Other(error.to_string()))
}

/// A secret sealed at the first start: it opens only with the same master key.
pub(super) async fn check_vault(
    vault: &Vault,
    store: &Store,
    random: &Random,
    database: &str,
) -> Result<(), StartError> {
    let failed = |source| StartError::Store { database: database.to_owned(), source };
    let sealed = vault
        .seal(vault::CHECK, vault::CHECK.as_bytes(), random)
        .map_err(|error| StartError::Other(error.to_string()))?;
    let mine = hex::encode(&sealed);
    let stored = store.set_setting_if_absent(vault::CHECK, &mine).await.map_err(failed)?;
    match vault.open(vault::CHECK, &hex::decode(&stored).unwrap_or_default()) {
        Ok(_) => Ok(()),
        Err(_) => Err(StartError::WrongMasterKey(database.to_owned())),
    }
}

/// The key of the development organisation, kept in a file so that it can be shown at every start.
pub(super) async fn api_key(app: &App, org_id: OrgId, folder: &Path) -> Result<String, StartError> {
    let path = folder.join(API_KEY_FILE);
    if let Ok(text) = fs::read_to_string(&path) {
        let key = text.trim().to_owned();
        match app.authenticate(&key).await {
            Ok(_) => return Ok(key),
            // Not a key of this database: it was moved or edited. A new one takes its place.
            Err(app::Error::Unauthenticated(_)) => {}
            Err(error) => return Err(other(error)),
        }
        fs::remove_file(&path).map_err(|source| StartError::File { path: path.clone(), source })?;
    }
    let key = app.create_api_key("development", &Caller::owner(org_id)).await.map_err(other)?;
    read_or_make(&path, || format!("{key}\n"))?;
    Ok(key)
}
