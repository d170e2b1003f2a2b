//! What an instance is made of: the data folder, the database, the settings.

use super::{StartError, secrets::check_vault};
use crate::{
    config::{Config, ConfigError, DomainConnectConfig},
    name_servers::name_servers,
    serving::Serving,
};
use app::{
    Settings, Transport,
    domain_connect::DomainConnect,
    domain_state::Rules,
    limits::RequestLimits,
    ports::Random,
    sweep::{Keep, days},
    vault::Vault,
};
use diagnosis::{Profile, inquiry::Policy};
use model::{DomainName, EmailAddress};
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    net::{IpAddr, SocketAddr},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};
use store::{Store, StoreOptions};

/// The SQLite database of a data folder.
pub(crate) fn sqlite_file(folder: &Path) -> PathBuf {
    folder.join("countersign.sqlite")
}

/// Makes the folder where it is not there, for its owner only.
pub(crate) fn make_folder(folder: &Path) -> Result<(), StartError> {
    let at = |source| StartError::File { path: folder.to_owned(), source };
    fs::create_dir_all(folder).map_err(at)?;
    // The database holds customers' mail, the key file opens its secrets: nobody else's business.
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(at)
}

/// The same, and proves that nobody else works in it for as long as the file lives.
pub(crate) fn lock_folder(folder: &Path) -> Result<File, StartError> {
    make_folder(folder)?;
    let path = folder.join("lock");
    let at = |source| StartError::File { path: path.clone(), source };
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(at)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StartError::DataInUse(folder.to_owned())),
        Err(TryLockError::Error(source)) => Err(at(source)),
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
        Some(url) => {
            let connections = config.database_connections.clamp(2, 500);
            Store::connect(url, StoreOptions { connections, ..StoreOptions::default() }).await
        }
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

/// What this process is called: as the operator says, or by its host and number.
pub(super) fn node_name(config: &Config) -> String {
    if !config.node_name.is_empty() {
        return config.node_name.clone();
    }
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    format!("{}-{}", if host.is_empty() { "node" } else { host }, std::process::id())
}

/// What the configuration decides, as the use cases need it.
pub(super) fn settings(
    config: &Config,
    serving: Option<Serving>,
    [http, dns, smtp]: [SocketAddr; 3],
    playground_host: Option<IpAddr>,
) -> Result<Settings, StartError> {
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
    app::dns_hosts::check_apis(&config.dns_host_apis).map_err(|(value, problem)| ConfigError::Value {
        key: "dns_host_apis",
        value,
        problem,
    })?;
    let is_dev = serving.is_none();
    let Serving { relay, policy, mut public_addresses, public_url } =
        serving.unwrap_or_else(|| Serving::of_dev(dns));
    if public_addresses.is_empty() {
        public_addresses.push(dns.ip());
    }
    Ok(Settings {
        public_url: public_url.unwrap_or_else(|| format!("http://{http}")),
        name_servers: name_servers(config, &platform_zone, &public_addresses)?,
        public_addresses,
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
        check_policy: check_policy(config, &policy)?,
        policy,
        lease: std::time::Duration::from_secs(config.lease_seconds),
        private_webhook_targets: is_dev || config.private_webhook_targets,
        dns_host_apis: config.dns_host_apis.clone(),
        domain_connect: domain_connect(config)?,
        transport: relay.unwrap_or(Transport::Sandbox(smtp)),
        inbox: smtp,
        open_inbox: is_dev,
        smtp_hostname: host(&platform_zone, "out"),
        key_pool: config.key_pool,
        rotate_days: config.rotate_days,
        retired_keys: app::retired_keys::Telling { after_days: config.publish_retired_keys_days },
        playground: is_dev,
        playground_host,
        max_message_size: config.max_message_size,
        checks_per_minute: config.checks_per_minute,
        request_limits: RequestLimits {
            read: config.reads_per_minute,
            write: config.writes_per_minute,
            send: config.sends_per_minute,
            verify: config.verifies_per_minute,
        },
        warmup_daily_limit: config.warmup_daily_limit,
        life_cycle: Rules::of_hours(config.grace_hours, config.watch_hours),
        keep: Keep {
            events: days(config.keep_events_days),
            webhook_deliveries: days(config.keep_webhook_deliveries_days),
            audit: days(config.keep_audit_days),
        },
        sandbox_limits: store::SandboxLimits {
            messages: config.sandbox_messages,
            bytes: config.sandbox_bytes,
        },
        platform_zone,
    })
}

/// Under which names DNS hosts know our templates.
fn domain_connect(config: &Config) -> Result<DomainConnect, StartError> {
    let DomainConnectConfig { provider_id, provider_name, service_ids } = &config.domain_connect;
    let wrong = |value: &str, problem: &str| ConfigError::Value {
        key: "domain_connect",
        value: value.to_owned(),
        problem: problem.to_owned(),
    };
    // It stands in addresses, and hosts want a domain of whoever offers the template.
    let id = match provider_id.as_str() {
        "" => None,
        id => match DomainName::parse(id) {
            Ok(name) if name.labels().count() > 1 => Some(name.to_string()),
            _ => return Err(wrong(id, "is no domain; give one of yours as provider_id").into()),
        },
    };
    let is_friendly =
        |id: &str| !id.is_empty() && id.bytes().all(|o| o.is_ascii_alphanumeric() || b"-._".contains(&o));
    if let Some(id) = service_ids.values().find(|id| !is_friendly(id)) {
        return Err(
            wrong(id, "cannot stand in an address; give letters, digits, - . and _ as a service_id").into()
        );
    }
    Ok(DomainConnect {
        provider_id: id,
        provider_name: provider_name.clone(),
        service_ids: service_ids.clone(),
    })
}

/// Whom checks of any domain ask: those whom the domains of the platform are verified with, or the resolvers that the
/// operator names. Then names and servers are a stranger's choice, and no server at a private address is asked.
fn check_policy(config: &Config, policy: &Policy) -> Result<Policy, StartError> {
    let resolvers = config.check_resolvers()?;
    if resolvers.is_empty() {
        return Ok(policy.clone());
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
