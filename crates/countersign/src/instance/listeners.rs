//! Where an instance listens: everything is bound before anything is assembled, so that a port that is taken stops the
//! start before it has done anything.

use super::{StartError, parts::host};
use crate::{
    config::Config,
    http::{self, Bounds},
    name_servers::secondaries,
    operations,
    operator::Examiner,
};
use app::{
    App,
    access::{Caller, ClientAddress},
    ports::Random,
    sandbox::SandboxInbox,
};
use arc_swap::ArcSwap;
use axum::{
    Router,
    extract::Request,
    http::StatusCode,
    middleware::{self, Next},
    response::IntoResponse,
};
use dns::authority::{Cookies, Server as DnsServer, ServerError, ZoneSet};
use model::{EmailAddress, OrgId};
use smtp::server::{EnvelopeSoFar, Inbox, Incoming, Listener, Refusal, ServerConfig};
use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// How often the platform looks at itself without being asked.
const LOOKS_EVERY: Duration = Duration::from_mins(1);

/// A listener, and where it is.
type Bound = (TcpListener, SocketAddr);

/// All listeners of an instance.
pub(super) struct Listeners {
    pub http: Bound,
    pub public_http: Option<Bound>,
    /// Not in development: there the operator's routes are at `http`.
    pub operator_http: Option<Bound>,
    pub dns: DnsServer,
    /// In development: the DNS host of the playground, which can so delegate zones to the server beside it.
    pub playground_host: Option<DnsServer>,
    pub smtp: Listener<LateInbox>,
    pub inbox: Arc<LateInbox>,
    is_dev: bool,
}

impl Listeners {
    /// Binds them. What the DNS server serves is in `zones`, what the playground's DNS host serves in `host_zones`.
    pub async fn bind(
        config: &Config,
        is_dev: bool,
        zones: &Arc<ArcSwap<ZoneSet>>,
        host_zones: &Arc<ArcSwap<ZoneSet>>,
        random: &Random,
    ) -> Result<Self, StartError> {
        let (dns, playground_host) = bind_dns(config, is_dev, [zones, host_zones], random).await?;
        let inbox = Arc::new(LateInbox::default());
        let mut smtp_config = ServerConfig::new(host(&config.platform_zone()?, "feedback"));
        smtp_config.max_message_size = config.max_message_size + 64 * 1024;
        smtp_config.tls = Some(Arc::new(
            smtp::tls::self_signed(&smtp_config.hostname)
                .map_err(|error| StartError::Other(error.to_string()))?,
        ));
        let smtp = Listener::bind(config.smtp, smtp_config, Arc::clone(&inbox))
            .await
            .map_err(|error| listen_error("the SMTP listener", "smtp", config.smtp, &error))?;
        let http = bind("the API", "http", config.http).await?;
        let public_http = public_listener(config).await?;
        let operator_http = match config.operator_http()? {
            Some(address) if !is_dev => Some(bind("the operator's page", "operator-http", address).await?),
            _ => None,
        };
        Ok(Self { http, public_http, operator_http, dns, playground_host, smtp, inbox, is_dev })
    }

    /// Serves on all of them until it is told to stop.
    pub fn run(
        self,
        app: &Arc<App>,
        config: &Config,
        first_organisation: OrgId,
        stop: &CancellationToken,
        running: &mut JoinSet<()>,
    ) {
        running.spawn(self.dns.run(stop.clone()));
        if let Some(server) = self.playground_host {
            running.spawn(server.run(stop.clone()));
        }
        running.spawn(self.smtp.run(stop.clone()));
        let api = api::router(Arc::clone(app));
        let source = health_source(app, config, self.is_dev);
        if !self.is_dev {
            running.spawn(keep_looking(Arc::clone(&source), stop.clone()));
        }
        let router = if self.is_dev {
            let owner = Caller::owner(first_organisation);
            operations::with_key(Arc::clone(app)).merge(api).merge(web::router(app, owner, source.clone()))
        } else {
            let pages = web::router_with_login(app, &config.trusted_proxies);
            operations::health(Arc::clone(app)).merge(api).merge(pages)
        };
        let proxies: Vec<_> = config.trusted_proxies.iter().map(IpAddr::to_canonical).collect();
        let bounds = Bounds::private(proxies.clone());
        let router = with_clients(router, &proxies);
        running.spawn(http::serve(self.http.0, router, bounds.clone(), stop.clone()));
        if let Some((listener, _)) = self.operator_http {
            let router = operations::router(Arc::clone(app)).merge(web::operator_router(app, source));
            let router = for_operator(with_clients(router, &proxies), config.operator_hosts.clone());
            running.spawn(http::serve(listener, router, bounds, stop.clone()));
        }
        if let Some((listener, _)) = self.public_http {
            let router = with_clients(web::public_router(app, &proxies), &proxies);
            running.spawn(http::serve(listener, router, Bounds::public(proxies), stop.clone()));
        }
    }
}

/// How often a port is looked for that is free at both addresses.
const PORTS: usize = 16;

/// Binds our name server, and in development that of the playground beside it: at the next address of this machine, where
/// there is one, at the same port, since that is where name servers on loopback are asked.
async fn bind_dns(
    config: &Config,
    is_dev: bool,
    [zones, host_zones]: [&Arc<ArcSwap<ZoneSet>>; 2],
    random: &Random,
) -> Result<(DnsServer, Option<DnsServer>), StartError> {
    let mut attempts = if config.dns.port() == 0 { PORTS } else { 1 };
    loop {
        attempts -= 1;
        let options = dns_options(config, is_dev, random)?;
        let dns = DnsServer::bind_with(config.dns, Arc::clone(zones), options).await;
        let dns = dns.map_err(|ServerError::Bind { source, .. }| {
            listen_error("the DNS server", "dns", config.dns, &source)
        })?;
        if !is_dev {
            return Ok((dns, None));
        }
        let address = SocketAddr::new(beside(config.dns.ip()), dns.local_addr().port());
        let options = dns::authority::Options { workers: 1, ..dns_options(config, is_dev, random)? };
        match DnsServer::bind_with(address, Arc::clone(host_zones), options).await {
            Ok(host) => return Ok((dns, Some(host))),
            Err(ServerError::Bind { source, .. })
                if source.kind() == io::ErrorKind::AddrInUse && attempts > 0 => {}
            // Everything but a delegation can be tried without it.
            Err(error) => {
                tracing::warn!(%error, "no zone can be delegated in the playground");
                return Ok((dns, None));
            }
        }
    }
}

/// Another address of this machine.
fn beside(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let next = Ipv4Addr::from_bits(address.to_bits().wrapping_add(1));
            IpAddr::V4(if next.is_loopback() { next } else { Ipv4Addr::LOCALHOST })
        }
        IpAddr::V6(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
    }
}

/// What the DNS server holds itself to. In development it is asked from this machine alone, as often as anybody likes.
fn dns_options(
    config: &Config,
    is_dev: bool,
    random: &Random,
) -> Result<dns::authority::Options, StartError> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    // Secrets of this process: a client whose cookie an earlier one has made gets a new one.
    let is_limited = !is_dev && config.dns_rate_limit > 0;
    Ok(dns::authority::Options {
        workers: if config.dns_workers == 0 { cores.min(4) } else { config.dns_workers.min(64) },
        rate_limit: is_limited.then(|| (config.dns_rate_limit, random.bytes())),
        cookies: Some(Cookies::new(random.bytes())),
        clock: || u32::try_from(super::system_time().as_second()).unwrap_or_default(),
        nsid: config.node_name.clone(),
        secondaries: secondaries(config)?,
        ..dns::authority::Options::default()
    })
}

/// Says with each request who its client is: what the connection says, or a proxy that is trusted.
fn with_clients(router: Router, proxies: &[IpAddr]) -> Router {
    let proxies: Arc<[IpAddr]> = proxies.into();
    router.layer(middleware::from_fn(move |mut request: Request, next: Next| {
        let client = ClientAddress(web::client_address(&proxies, &request));
        request.extensions_mut().insert(client);
        next.run(request)
    }))
}

/// Answers what is addressed to the operator's listener by a name that it has. Whether the process lives and works is told
/// to anybody: what asks for that often says no name.
fn for_operator(router: Router, names: Vec<String>) -> Router {
    let names: Arc<[String]> = names.into();
    router.layer(middleware::from_fn(move |request: Request, next: Next| {
        let is_open = matches!(request.uri().path(), "/healthz" | "/readyz");
        let is_let_in =
            is_open || web::is_addressed_to_operator(&names, request.uri(), request.headers());
        async move {
            if is_let_in {
                return next.run(request).await;
            }
            let reason = "Refused: this request is not addressed to the operator's listener. It answers by an address, \
                          by localhost, and by the names in operator_hosts; another name may be that of a stranger's web \
                          page (DNS rebinding).\n";
            (StatusCode::FORBIDDEN, reason).into_response()
        }
    }))
}

/// Looks at the platform whenever somebody asks how it is.
fn health_source(app: &Arc<App>, config: &Config, is_dev: bool) -> web::HealthSource {
    let examiner = Arc::new(Examiner::new(Arc::clone(app), config, is_dev));
    Arc::new(move || {
        let examiner = Arc::clone(&examiner);
        Box::pin(async move { examiner.items().await })
    })
}

/// Looks once a minute, for the gauges that an alert is on.
async fn keep_looking(source: web::HealthSource, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(LOOKS_EVERY)).await.is_some() {
        if stop.run_until_cancelled(source()).await.is_none() {
            return;
        }
    }
}

async fn bind(what: &'static str, flag: &'static str, address: SocketAddr) -> Result<Bound, StartError> {
    let bound = TcpListener::bind(address).await;
    with_address(bound.map_err(|error| listen_error(what, flag, address, &error))?)
}

fn with_address(listener: TcpListener) -> Result<Bound, StartError> {
    let address = listener.local_addr().map_err(|error| StartError::Other(error.to_string()))?;
    Ok((listener, address))
}

/// The listener of the public pages. Nobody who did not ask for it has to find another port for it: the default address
/// is given up where another program has it.
async fn public_listener(config: &Config) -> Result<Option<Bound>, StartError> {
    let Some(address) = config.public_http()? else { return Ok(None) };
    let is_default = config.public_http == Config::default().public_http;
    match TcpListener::bind(address).await {
        Ok(listener) => with_address(listener).map(Some),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_default => {
            tracing::info!(%address, "another program has this port: there are no public pages");
            Ok(None)
        }
        Err(error) => Err(listen_error("the public page", "public-http", address, &error)),
    }
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

/// The listener is bound before the platform is assembled, since the platform has to know its port.
#[derive(Default)]
pub(super) struct LateInbox(OnceLock<SandboxInbox>);

impl LateInbox {
    /// From now on mail is taken.
    pub(super) fn open(&self, app: &Arc<App>) -> Result<(), StartError> {
        let opened = self.0.set(SandboxInbox(Arc::clone(app)));
        opened.map_err(|_| StartError::Other("started twice".to_owned()))
    }
}

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
