//! Which platform, and with which key: from the environment, or from a file that only its owner reads.

use super::{
    Failure, Outcome, ended,
    http::{Client, address},
};
use crate::commands::{Exit, show};
use figment::{
    Figment,
    providers::{Format, Toml},
};
use serde::Deserialize;
use std::{
    env, fs,
    io::{self, BufRead, IsTerminal, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Where a development instance listens.
const HERE: &str = "http://127.0.0.1:8080";

/// Keeps the address of a platform and an API key for the commands that follow.
#[derive(Debug, Clone, clap::Args)]
pub struct LoginArgs {
    #[arg(help = "Address of the platform, its public_url, such as https://mail.example.com", value_name = "URL", default_value = HERE)]
    url: String,
}

/// What the file has.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Credentials {
    url: String,
    api_key: String,
}

/// Where the file is: `COUNTERSIGN_CREDENTIALS`, or in the folder for configuration.
fn path() -> Option<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = || set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")));
    set("COUNTERSIGN_CREDENTIALS").or_else(|| Some(folder()?.join("countersign/credentials.toml")))
}

fn read(path: &Path) -> Result<Option<Credentials>, Failure> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::Usage(format!("{}: {error}", show::path(path)))),
    };
    let wrong = |_| {
        let path = show::path(path);
        Failure::Usage(format!("{path} is not what `countersign login` writes; log in again"))
    };
    Figment::from(Toml::string(&text)).extract().map(Some).map_err(wrong)
}

/// Address and key for a command: an address that is given wins over the file's, and the file's key is for the file's
/// address alone.
pub fn find(url: Option<&str>) -> Result<(String, String), Failure> {
    let file = match path() {
        Some(path) => read(&path)?,
        None => None,
    };
    let key = env::var_os("COUNTERSIGN_API_KEY")
        .and_then(|key| key.into_string().ok())
        .filter(|key| !key.is_empty());
    let url = url.map(address).or_else(|| file.as_ref().map(|file| address(&file.url)));
    let url = url.unwrap_or_else(|| HERE.to_owned());
    let of_file = file.filter(|file| address(&file.url) == url).map(|file| file.api_key);
    match key.or(of_file) {
        Some(key) => Ok((url, key)),
        None => Err(Failure::Usage(format!(
            "there is no API key for {url}\nLog in with `countersign login {url}`, or set COUNTERSIGN_API_KEY. \
             `countersign dev` keeps its key in countersign-data/api-key."
        ))),
    }
}

/// `countersign login`.
pub async fn login(arguments: &LoginArgs) -> Exit {
    ended(log_in(arguments).await)
}

async fn log_in(arguments: &LoginArgs) -> Outcome {
    let url = address(&arguments.url);
    let key = ask_for_key()?;
    let client = Client::new(&url, &key)?;
    // Any key may ask this: it tells whether the key is good, and nothing else. A root key is good too.
    let is_root = match client.get("/profiles").await {
        Ok(_) => false,
        Err(Failure::Usage(text)) if text.contains(app::root_keys::HEADER) => true,
        Err(failure) => return Err(failure),
    };
    let path = path().ok_or_else(|| Failure::Usage("there is no HOME to keep the key in".to_owned()))?;
    let text = format!("url = {url:?}\napi_key = {key:?}\n");
    write(&path, &text).map_err(|error| Failure::Usage(format!("{}: {error}", show::path(&path))))?;
    let root = if is_root {
        "It is a root key: `countersign organisations list` shows the organisations, --organisation or \
         COUNTERSIGN_ORGANISATION names the one to act in.\n"
    } else {
        ""
    };
    let text = format!("Logged in to {url}; the key is in {}.\n{root}", show::path(&path));
    Ok(show::print(&text).unwrap_or(Exit::Good))
}

/// The key, from the terminal without showing it, or the first line of standard input.
fn ask_for_key() -> Result<String, Failure> {
    let mut line = String::new();
    let read = if io::stdin().is_terminal() {
        drop(io::stderr().write_all(b"API key (cs_...): "));
        console::Term::stderr().read_secure_line().map(|typed| line = typed)
    } else {
        io::stdin().lock().read_line(&mut line).map(drop)
    };
    read.map_err(|error| Failure::Usage(format!("the key could not be read: {error}")))?;
    match line.trim() {
        "" => Err(Failure::Usage("no key was given; pass it on standard input".to_owned())),
        key => Ok(key.to_owned()),
    }
}

/// Writes the file in one piece, for its owner only.
fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let new = path.with_extension("new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)
}

/// `countersign logout`: forgets address and key.
pub fn logout() -> Exit {
    let Some(path) = path() else { return Exit::Good };
    match fs::remove_file(&path) {
        Ok(()) => show::print("Logged out. The key still works: countersign keys revoke ID ends it.\n")
            .unwrap_or(Exit::Good),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            show::print("You were not logged in.\n").unwrap_or(Exit::Good)
        }
        Err(error) => show::fail(&format!("{}: {error}", show::path(&path))),
    }
}
