//! One running platform: every listener, every background task, assembled from the configuration.

use crate::{
    config::{Config, ConfigError, parse_key},
    hex, operations,
    public_listener::{self, Bounds},
};
use app::{
    App, Parts, Settings, Transport,
    access::Caller,
    ports::{Clock, Random},
    sandbox::SandboxInbox,
    tasks,
    vault::Vault,
};
use diagnosis::{Profile, inquiry::Policy};
use dns::authority::{Server as DnsServer, ZoneSet};
use model::{DomainName, EmailAddress, OrgId, Timestamp};
use smtp::server::{EnvelopeSoFar, Inbox, Incoming, Listener, Refusal, ServerConfig};
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    net::{IpAddr, SocketAddr},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};
use store::{Store, StoreOptions};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// The file with the development instance's API key, in the data folder.
const API_KEY_FILE: &str = "api-key";
/// The file with the master key, in the data folder.
const MASTER_KEY_FILE: &str = "master.key";
/// The playground zone that a new development instance starts with.
const FIRST_ZONE: &str = "acme.test";
/// How long what is in flight may take when the instance stops.
const DRAIN: Duration = Duration::from_secs(10);

/// Why an instance did not start. Every text names the next step.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A port is taken or not allowed.
    #[error(
        "{what} cannot listen at {address}: {problem}. Choose another with --{flag} ADDRESS:PORT (port 0 takes a free one)"
    )]
    Listen {
        /// Which listener.
        what: &'static str,
        /// Its flag.
        flag: &'static str,
        /// Where it should have listened.
        address: SocketAddr,
        /// Why it cannot.
        problem: String,
    },
    /// Another instance has the data folder.
    #[error(
        "another countersign uses the data folder {0}; stop it, or choose another folder with --data FOLDER"
    )]
    DataInUse(PathBuf),
    /// A file or folder.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{path}: {problem}")]
    Content {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The database was made with another master key.
    #[error(
        "the master key is not the one that the secrets in {0} were sealed with; put the old key back (file master.key in the data folder, or COUNTERSIGN_MASTER_KEY)"
    )]
    WrongMasterKey(String),
    /// The database.
    #[error("the database {database} cannot be opened: {source}")]
    Store {
        /// Which.
        database: String,
        /// Why.
        source: store::StoreError,
    },
    /// Something else.
    #[error("{0}")]
    Other(String),
}

/// A running platform.
pub struct Instance {
    /// Where API and dashboard are.
    pub http: SocketAddr,
    /// Where the public pages are, if anywhere.
    pub public_http: Option<SocketAddr>,
    /// Where the DNS server is.
    pub dns: SocketAddr,
    /// Where the SMTP listener is.
    pub smtp: SocketAddr,
    /// The API key of the development organisation.
    pub api_key: String,
    /// Whether the database was made by this start.
    pub first_start: bool,
    /// The use cases.
    pub app: Arc<App>,
    cancel: CancellationToken,
    running: JoinSet<()>,
    // Held for as long as the instance runs.
    _lock: File,
}

impl Instance {
    /// Starts a development instance: everything on the configured addresses, with a playground.
    pub async fn start(config: &Config) -> Result<Self, StartError> {
        Self::start_at(config, Clock::new(system_time)).await
    }

    /// The same with a clock of the caller's, for tests that cannot wait for 72 hours.
    pub async fn start_at(config: &Config, clock: Clock) -> Result<Self, StartError> {
        only_loopback(config)?;
        let folder = &config.data;
        let lock = lock_folder(folder)?;
        let random = Random::system();
        let vault = open_vault(config, &random)?;
        let store = open_store(config, &vault, &random).await?;

        let zones = Arc::new(arc_swap::ArcSwap::from_pointee(ZoneSet::default()));
        let dns_server = DnsServer::bind(config.dns, Arc::clone(&zones)).await.map_err(
            |dns::authority::ServerError::Bind { source, .. }| {
                listen_error("the DNS server", "dns", config.dns, &source)
            },
        )?;
        let dns_address = dns_server.local_addr();
        let inbox = Arc::new(LateInbox::default());
        let mut smtp_config = ServerConfig::new(host(&config.platform_zone()?, "feedback"));
        smtp_config.max_message_size = config.max_message_size + 64 * 1024;
        smtp_config.tls = Some(Arc::new(
            smtp::tls::self_signed(&smtp_config.hostname)
                .map_err(|error| StartError::Other(error.to_string()))?,
        ));
        let smtp_server = Listener::bind(config.smtp, smtp_config, Arc::clone(&inbox))
            .await
            .map_err(|error| listen_error("the SMTP listener", "smtp", config.smtp, &error))?;
        let smtp_address = smtp_server.local_addr();
        let http_listener = TcpListener::bind(config.http)
            .await
            .map_err(|error| listen_error("the API", "http", config.http, &error))?;
        let http = http_listener.local_addr().map_err(|error| StartError::Other(error.to_string()))?;

        let public_listener = public_listener(config).await?;
        let public_http = public_listener.as_ref().and_then(|listener| listener.local_addr().ok());

        let settings = settings(config, dns_address, smtp_address)?;
        let dns = dns::Client::new(dns::ClientOptions::default());
        let app = Arc::new(App::new(Parts { settings, store, dns, vault, clock, random, zones }));
        inbox
            .0
            .set(SandboxInbox(Arc::clone(&app)))
            .map_err(|_| StartError::Other("started twice".to_owned()))?;
        let (org_id, first_start) = app.first_organisation("Development").await.map_err(other)?;
        let api_key = api_key(&app, org_id, folder).await?;
        let owner = Caller::owner(org_id);
        if first_start {
            app.create_playground_zone(&owner, FIRST_ZONE).await.map_err(other)?;
        }
        // Before anything can be asked: the zones are served, whatever the order in which tasks start.
        app.serve_zones().await.map_err(other)?;

        let cancel = CancellationToken::new();
        let mut running = tasks::spawn(&app, &cancel);
        running.spawn(dns_server.run(cancel.clone()));
        running.spawn(smtp_server.run(cancel.clone()));
        let router = operations::router(Arc::clone(&app))
            .merge(api::router(Arc::clone(&app)))
            .merge(web::router(Arc::clone(&app), owner));
        running.spawn(serve(http_listener, router, cancel.clone()));
        if let Some(listener) = public_listener {
            let proxies: Vec<_> = config.trusted_proxies.iter().map(IpAddr::to_canonical).collect();
            let router = web::public_router(Arc::clone(&app), &proxies);
            let bounds = Bounds { proxies, ..Bounds::default() };
            running.spawn(public_listener::serve(listener, router, bounds, cancel.clone()));
        }
        Ok(Self {
            http,
            public_http,
            dns: dns_address,
            smtp: smtp_address,
            api_key,
            first_start,
            app,
            cancel,
            running,
            _lock: lock,
        })
    }

    /// Waits until something that should run for ever has ended; says what is known of it.
    pub async fn broken(&mut self) -> String {
        match self.running.join_next().await {
            Some(Err(error)) => format!("a part of the platform panicked: {error}"),
            _ => "a listener or a background task has ended; the log may say why".to_owned(),
        }
    }

    /// Stops taking work, lets what is in flight finish for a bounded time, and returns.
    pub async fn stop(mut self) {
        self.cancel.cancel();
        let drained = tokio::time::timeout(DRAIN, async {
            while self.running.join_next().await.is_some() {}
            self.app.drained().await;
        })
        .await;
        if drained.is_err() {
            tracing::warn!("something was still running after {} seconds and was cut off", DRAIN.as_secs());
            self.running.shutdown().await;
        }
    }
}

/// Serves until it is told to stop. Pages for visitors count by address.
async fn serve(listener: TcpListener, router: axum::Router, stop: CancellationToken) {
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    if let Err(error) = axum::serve(listener, service).with_graceful_shutdown(stop.cancelled_owned()).await {
        tracing::error!(%error, "an HTTP server stopped");
    }
}

/// The listener of the public pages. Nobody who did not ask for it has to find another port for it: the default address
/// is given up where another program has it.
async fn public_listener(config: &Config) -> Result<Option<TcpListener>, StartError> {
    let Some(address) = config.public_http()? else { return Ok(None) };
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(Some(listener)),
        Err(error)
            if error.kind() == io::ErrorKind::AddrInUse
                && config.public_http == Config::default().public_http =>
        {
            tracing::info!(%address, "another program has this port: there are no public pages");
            Ok(None)
        }
        Err(error) => Err(listen_error("the public page", "public-http", address, &error)),
    }
}

/// The one place that reads the system's clock.
#[expect(clippy::disallowed_methods, reason = "the composition root hands the time to everyone else")]
pub fn system_time() -> Timestamp {
    Timestamp::now()
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn other(error: app::Error) -> StartError {
    StartError::Other(error.to_string())
}

fn listen_error(
    what: &'static str,
    flag: &'static str,
    address: SocketAddr,
    error: &io::Error,
) -> StartError {
    let problem = match error.kind() {
        io::ErrorKind::AddrInUse => "another program has this port".to_owned(),
        io::ErrorKind::PermissionDenied => "ports below 1024 need privileges".to_owned(),
        _ => error.to_string(),
    };
    StartError::Listen { what, flag, address, problem }
}

/// There is no login yet: nothing of a development instance may be reached from elsewhere.
fn only_loopback(config: &Config) -> Result<(), StartError> {
    for (key, address) in [("http", config.http), ("dns", config.dns), ("smtp", config.smtp)] {
        if !address.ip().is_loopback() {
            return Err(StartError::Config(ConfigError::Value {
                key,
                value: address.to_string(),
                problem: format!(
                    "dev has no login and listens on this machine only; give 127.0.0.1:{}",
                    address.port()
                ),
            }));
        }
    }
    Ok(())
}

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

/// Reads a small secret file, or makes it with `content` readable by its owner only, durable before it is used.
fn read_or_make(path: &Path, content: impl FnOnce() -> String) -> Result<String, StartError> {
    let at = |source| StartError::File { path: path.to_owned(), source };
    match File::open(path) {
        Ok(mut file) => {
            let mut text = String::new();
            file.read_to_string(&mut text).map_err(at)?;
            Ok(text)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let text = content();
            let mut file =
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(at)?;
            file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(at)?;
            Ok(text)
        }
        Err(error) => Err(at(error)),
    }
}

fn open_vault(config: &Config, random: &Random) -> Result<Vault, StartError> {
    let key = if let Some(key) = config.master_key()? {
        key
    } else {
        let path = config.data.join(MASTER_KEY_FILE);
        let make = || {
            hex::encode(&random.bytes::<32>())
                + "
"
        };
        let text = read_or_make(&path, make)?;
        let problem = "this is not a master key (64 hexadecimal digits); put the right file back".to_owned();
        parse_key(&text).ok_or(StartError::Content { path, problem })?
    };
    Vault::new(&key).map_err(|error| StartError::Other(error.to_string()))
}

/// The database of the configuration, whose secrets this vault opens.
async fn open_store(config: &Config, vault: &Vault, random: &Random) -> Result<Store, StartError> {
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

/// A secret sealed at the first start: it opens only with the same master key.
async fn check_vault(
    vault: &Vault,
    store: &Store,
    random: &Random,
    database: &str,
) -> Result<(), StartError> {
    const SETTING: &str = "master_key_check";
    let failed = |source| StartError::Store { database: database.to_owned(), source };
    let sealed = vault
        .seal(SETTING, SETTING.as_bytes(), random)
        .map_err(|error| StartError::Other(error.to_string()))?;
    let mine = hex::encode(&sealed);
    let stored = store.set_setting_if_absent(SETTING, &mine).await.map_err(failed)?;
    match vault.open(SETTING, &hex::decode(&stored).unwrap_or_default()) {
        Ok(_) => Ok(()),
        Err(_) => Err(StartError::WrongMasterKey(database.to_owned())),
    }
}

/// The key of the development organisation, kept in a file so that it can be shown at every start.
async fn api_key(app: &App, org_id: OrgId, folder: &Path) -> Result<String, StartError> {
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

fn host(zone: &DomainName, label: &str) -> DomainName {
    zone.prepend(label).unwrap_or_else(|_| zone.clone())
}

fn settings(config: &Config, dns: SocketAddr, smtp: SocketAddr) -> Result<Settings, StartError> {
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
struct LateInbox(OnceLock<SandboxInbox>);

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
