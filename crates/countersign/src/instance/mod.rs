//! One running platform: every listener, every background task, assembled from the configuration.

mod parts;
mod secrets;

pub(crate) use parts::{lock_folder, sqlite_file};

use crate::{
    config::{Config, ConfigError},
    operations,
    public_listener::{self, Bounds},
};
use app::{
    App, Parts,
    access::Caller,
    ports::{Clock, Random},
    sandbox::SandboxInbox,
    tasks,
};
use dns::authority::{Server as DnsServer, ZoneSet};
use model::Timestamp;
use parts::{LateInbox, host, open_store, settings};
use secrets::{api_key, open_vault};
use smtp::server::{Listener, ServerConfig};
use std::{
    fs::File,
    io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

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
