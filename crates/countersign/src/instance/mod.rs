//! One running platform: every listener, every background task, assembled from the configuration.

mod listeners;
mod parts;
mod secrets;

pub(crate) use parts::{lock_folder, sqlite_file};

use crate::{
    config::{Config, ConfigError},
    oidc,
    serving::Serving,
    telemetry::Telemetry,
};
use app::{
    App, Parts,
    access::Caller,
    ports::{Clock, Random},
    tasks,
};
use dns::authority::ZoneSet;
use explain::render::{self, RenderOptions};
use listeners::Listeners;
use model::Timestamp;
use parts::{make_folder, node_name, open_store, settings};
use secrets::{api_key, open_vault};
use std::{fs::File, io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The playground zone that a new development instance starts with.
const FIRST_ZONE: &str = "acme.test";
/// How long it may take to give up what is under way when the time for it is over.
const CUT_OFF: Duration = Duration::from_secs(5);

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
    /// There is a database, and no key that opens its secrets.
    #[error(
        "there is no master key {0}, and the database beside it was sealed with one; put that file back, or give the key as COUNTERSIGN_MASTER_KEY"
    )]
    NoMasterKey(PathBuf),
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
    /// Where the operator's routes are, if anywhere of their own.
    pub operator_http: Option<SocketAddr>,
    /// Where the DNS server is.
    pub dns: SocketAddr,
    /// Where the SMTP listener is.
    pub smtp: SocketAddr,
    /// The API key of the first organisation: that of `dev`, and of `serve` at its first start; else empty.
    pub api_key: String,
    /// The link by which the first owner comes in, where nobody is there yet and people log in.
    pub first_owner_link: Option<String>,
    /// Whether the database was made by this start.
    pub first_start: bool,
    /// The use cases.
    pub app: Arc<App>,
    cancel: CancellationToken,
    running: JoinSet<()>,
    drain: Duration,
    drain_notice: Duration,
    telemetry: Option<Telemetry>,
    // Held for as long as the instance runs, where the database is a file.
    _lock: Option<File>,
}

impl Instance {
    /// Starts a development instance: everything on the configured addresses, with a playground and without a login.
    pub async fn start(config: &Config) -> Result<Self, StartError> {
        Self::start_at(config, Clock::new(system_time)).await
    }

    /// The same with a clock of the caller's, for tests that cannot wait for 72 hours.
    pub async fn start_at(config: &Config, clock: Clock) -> Result<Self, StartError> {
        only_loopback(config)?;
        Self::assemble(config, None, clock).await
    }

    /// Starts the platform for those whom it is for.
    pub async fn serve(config: &Config) -> Result<Self, StartError> {
        Self::serve_at(config, Clock::new(system_time)).await
    }

    /// The same with a clock of the caller's.
    pub async fn serve_at(config: &Config, clock: Clock) -> Result<Self, StartError> {
        Self::assemble(config, Some(Serving::read(config)?), clock).await
    }

    async fn assemble(config: &Config, serving: Option<Serving>, clock: Clock) -> Result<Self, StartError> {
        let is_dev = serving.is_none();
        let provider = if is_dev { None } else { oidc::provider(config)? };
        let folder = &config.data;
        // Nodes on one PostgreSQL may share the folder with the master key.
        let lock = match config.postgres()? {
            Some(_) if !is_dev => make_folder(folder).map(|()| None)?,
            _ => Some(lock_folder(folder)?),
        };
        let random = Random::system();
        let vault =
            open_vault(config, &random, parts::sqlite_file(folder).exists() && config.postgres()?.is_none())?;
        let store = open_store(config, &vault, &random).await?;
        let zones = Arc::new(arc_swap::ArcSwap::from_pointee(ZoneSet::default()));
        let host_zones = Arc::new(arc_swap::ArcSwap::from_pointee(ZoneSet::default()));
        let listeners = Listeners::bind(config, is_dev, &zones, &host_zones, &random).await?;
        let (http, dns, smtp) = (listeners.http.1, listeners.dns.local_addr(), listeners.smtp.local_addr());
        let playground_host = listeners.playground_host.as_ref().map(|server| server.local_addr().ip());
        let (public_http, operator_http) = (
            listeners.public_http.as_ref().map(|(_, at)| *at),
            listeners.operator_http.as_ref().map(|(_, at)| *at),
        );

        let app = Arc::new(App::new(Parts {
            settings: settings(config, serving, [http, dns, smtp], playground_host)?,
            store,
            dns: dns::Client::new(dns::ClientOptions::default()),
            vault,
            clock,
            random,
            zones,
            host_zones,
            node_name: node_name(config),
        }));
        let in_words: app::ReportText = |report, now| render::text(report, &RenderOptions::new(now));
        app.report_text.get_or_init(|| in_words);
        let telemetry = match config.collector()? {
            Some(collector) => {
                let telemetry = Telemetry::start(collector, &node_name(config)).map_err(StartError::Other)?;
                app.traces.go_to(telemetry.tracer());
                Some(telemetry)
            }
            None => None,
        };
        listeners.inbox.open(&app)?;
        if let Some(provider) = provider {
            app.set_provider(provider).map_err(StartError::Other)?;
        }
        let name = if is_dev { "Development" } else { "First organisation" };
        let (org_id, first_start) = app.first_organisation(name).await.map_err(other)?;
        let api_key =
            if is_dev || first_start { api_key(&app, org_id, folder).await? } else { String::new() };
        let first_owner_link = if is_dev { None } else { app.first_owner_link().await.map_err(other)? };
        if first_start && is_dev {
            app.create_playground_zone(&Caller::owner(org_id), FIRST_ZONE).await.map_err(other)?;
        }
        // Before anything can be asked: the zones are served, whatever the order in which tasks start.
        app.serve_zones().await.map_err(other)?;

        let cancel = CancellationToken::new();
        let mut running = tasks::spawn(&app, &cancel);
        listeners.run(&app, config, org_id, &cancel, &mut running);
        Ok(Self {
            http,
            public_http,
            operator_http,
            dns,
            smtp,
            api_key,
            first_owner_link,
            first_start,
            app,
            cancel,
            running,
            drain: Duration::from_secs(config.drain_seconds),
            drain_notice: Duration::from_secs(if is_dev { 0 } else { config.drain_notice_seconds }),
            telemetry,
            _lock: lock,
        })
    }

    /// Waits until something that should run for ever has ended; says what is known of it.
    pub async fn broken(&mut self) -> String {
        let ended = tokio::select! {
            ended = self.running.join_next() => ended,
            why = self.app.outgrown() => return why,
        };
        match ended {
            Some(Err(error)) => format!("a part of the platform panicked: {error}"),
            _ => "a listener or a background task has ended; the log may say why".to_owned(),
        }
    }

    /// Stops taking work and says so at `/readyz`, lets what is in flight finish for a bounded time, gives the rest back to
    /// other nodes, and returns.
    pub async fn stop(mut self) {
        self.app.begin_drain();
        // Proxies learn of it while everything still answers.
        tokio::time::sleep(self.drain_notice).await;
        self.cancel.cancel();
        let end = async {
            while self.running.join_next().await.is_some() {}
            self.app.finished().await;
        };
        tokio::pin!(end);
        let mut in_time = tokio::time::timeout(self.drain, &mut end).await.is_ok();
        if !in_time {
            self.app.cut_off();
            in_time = tokio::time::timeout(CUT_OFF, &mut end).await.is_ok();
        }
        if !in_time {
            tracing::warn!("something was still running and was cut off; its leases end by themselves");
        }
        if tokio::time::timeout(CUT_OFF, self.app.close()).await.is_err() {
            tracing::warn!("the database was not closed in time");
        }
        if let Some(telemetry) = self.telemetry.take() {
            telemetry.stop().await;
        }
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
