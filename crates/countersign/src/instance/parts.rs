//! What an instance is made of: the data folder, the database, the settings.

use super::{StartError, secrets::check_vault};
use crate::config::{Config, ConfigError};
use app::{Settings, Transport, ports::Random, sandbox::SandboxInbox, vault::Vault};
use diagnosis::{Profile, inquiry::Policy};
use model::{DomainName, EmailAddress};
use smtp::server::{EnvelopeSoFar, Inbox, Incoming, Refusal};
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::OnceLock,
};
use store::{Store, StoreOptions};

/// The SQLite database of a data folder.
pub(crate) fn sqlite_file(folder: &Path) -> PathBuf {
    folder.join("countersign.sqlite")
}

/// Makes the folder where it is not there, and proves that nobody else works in it for as long as the file lives.
pub(crate) fn lock_folder(folder: &Path) -> Result<File, StartError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| StartError::File { path, source }
    };
    fs::create_dir_all(folder).map_err(at(folder))?;
    // The database holds customers' mail, the key file opens its secrets: nobody else's business.
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(at(folder))?;
    let path = folder.join("lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(at(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StartError::DataInUse(folder.to_owned())),
        Err(TryLockError::Error(source)) => Err(StartError::File { path, source }),
    }
}

/// The database of the configuration, whose secrets this vault opens.
pub(super) async fn open_store(config: &Config, vault: &Vault, random: &Random) -> Result<Store, StartError> {
    let path = sqlite_file(&config.data);
    let postgres = config.postgres()?;
    // The address has a password in it, and is in the configuration for who wants to see it.
    let database = postgres.map_or_else(|| path.display().to_string(), |_| "of database_url".to_owned());
    let failed = |source| StartError::Store { database: database.clone(), source };
    let store = match postgres {
        Some(url) => Store::connect(url, StoreOptions::default()).await,
        None => Store::open(&path, StoreOptions::default()).await,
    };
    let store = store.map_err(failed)?;
    check_vault(vault, &store, random, &database).await?;
    // The folder's lock proves that nobody else works on a file in it. Leases of other nodes end by themselves.
    if !store.is_shared() {
        store.release_all_leases().await.map_err(failed)?;
    }
    Ok(store)
}

/// A host of a zone.
pub(super) fn host(zone: &DomainName, label: &str) -> DomainName {
    zone.prepend(label).unwrap_or_else(|_| zone.clone())
}

/// What the configuration decides, as the use cases need it.
pub(super) fn settings(config: &Config, dns: SocketAddr, smtp: SocketAddr) -> Result<Settings, StartError> {
    let platform_zone = config.platform_zone()?;
    let mut profiles = Profile::built_in();
    profiles.extend(further_profiles(&config.profiles)?);
    if !profiles.iter().any(|profile| profile.name == config.default_profile) {
        return Err(StartError::Config(ConfigError::Value {
            key: "default_profile",
            value: config.default_profile.clone(),
            problem: "there is no such profile".to_owned(),
        }));
    }
    Ok(Settings {
        name_server: host(&platform_zone, "ns1"),
        public_addresses: vec![dns.ip()],
        sender_addresses: config.sender_addresses.clone(),
        certificate_authority: config.certificate_authority()?,
        dmarc_mailbox: match config.dmarc_mailbox.as_str() {
            "" => format!("dmarc@{platform_zone}"),
            mailbox => EmailAddress::parse(mailbox)
                .map_err(|error| ConfigError::Value {
                    key: "dmarc_mailbox",
                    value: mailbox.to_owned(),
                    problem: error.to_string(),
                })?
                .to_string(),
        },
        default_profile: config.default_profile.clone(),
        profiles,
        policy: Policy::for_resolvers(vec![dns]),
        check_policy: check_policy(config, dns)?,
        transport: Transport::Sandbox(smtp),
        smtp_hostname: host(&platform_zone, "out"),
        key_pool: config.key_pool,
        playground: true,
        max_message_size: config.max_message_size,
        checks_per_minute: config.checks_per_minute,
        warmup_daily_limit: config.warmup_daily_limit,
        sandbox_limits: store::SandboxLimits {
            messages: config.sandbox_messages,
            bytes: config.sandbox_bytes,
        },
        platform_zone,
    })
}

/// Whom checks of any domain ask: our own DNS, which knows the playground, or the resolvers that the operator names.
/// Then names and servers are a stranger's choice, and no server at a private address is asked.
fn check_policy(config: &Config, dns: SocketAddr) -> Result<Policy, StartError> {
    let resolvers = config.check_resolvers()?;
    if resolvers.is_empty() {
        return Ok(Policy::for_resolvers(vec![dns]));
    }
    Ok(Policy { private_addresses: false, ..Policy::for_resolvers(resolvers) })
}

fn further_profiles(folder: &Path) -> Result<Vec<Profile>, StartError> {
    if folder.as_os_str().is_empty() {
        return Ok(Vec::new());
    }
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| StartError::File { path, source }
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(at(folder))? {
        let path = entry.map_err(at(folder))?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            paths.push(path);
        }
    }
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).map_err(at(&path))?;
            let (profile, notes) = Profile::parse_with_notes(&text)
                .map_err(|error| StartError::Content { path: path.clone(), problem: error.to_string() })?;
            for note in notes {
                tracing::warn!(profile = %profile.name, path = %path.display(), "{note}");
            }
            Ok(profile)
        })
        .collect()
}

/// The listener is bound before the platform is assembled, since the platform has to know its port.
#[derive(Default)]
pub(super) struct LateInbox(pub(super) OnceLock<SandboxInbox>);

impl Inbox for LateInbox {
    async fn recipient(&self, envelope: &EnvelopeSoFar, to: &EmailAddress) -> Result<(), Refusal> {
        match self.0.get() {
            Some(inbox) => inbox.recipient(envelope, to).await,
            None => Err(starting()),
        }
    }

    async fn accept(&self, message: Incoming) -> Result<String, Refusal> {
        match self.0.get() {
            Some(inbox) => inbox.accept(message).await,
            None => Err(starting()),
        }
    }
}

fn starting() -> Refusal {
    Refusal::temporary("4.3.2", "starting up; try again in a moment")
}
