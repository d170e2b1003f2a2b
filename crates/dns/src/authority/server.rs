//! The name server: what it listens on, and what it holds itself to.
//!
//! Each query is answered from the zone set that is current when it arrives; swapping the set takes effect with
//! the next query and never blocks one.

use super::{
    addresses,
    cookie::Cookies,
    notify,
    rate_limit::RateLimit,
    respond::MAX_NSID,
    tcp,
    transfer::Secondary,
    udp::{self, Workers},
    zone_set::ZoneSet,
};
use arc_swap::ArcSwap;
use std::{
    collections::BTreeSet,
    io,
    net::{SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};
use tokio::{net::TcpListener, task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

/// How often a server at all addresses looks for new ones.
const LOOKS_AGAIN: Duration = Duration::from_secs(10);

/// What a server holds itself to, and what it tells of itself.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many threads answer over UDP at each address.
    pub workers: usize,
    /// How many responses a second go over UDP to one network for one name, and the key that spreads them; no bound
    /// without it. Ten times as many go to it in all.
    pub rate_limit: Option<(u32, [u8; 16])>,
    /// How clients are known that were here before.
    pub cookies: Option<Cookies>,
    /// The seconds since 1970, for the cookies.
    pub clock: fn() -> u32,
    /// Which of several servers this is (RFC 5001); cut after 64 octets.
    pub nsid: String,
    /// Who may have whole zones, and is told when they change.
    pub secondaries: Vec<Secondary>,
    /// How many TCP connections are open at once, and of one network (/24, /48).
    pub connections: (usize, usize),
}

impl Default for Options {
    /// Two workers, and no bound but that on connections.
    fn default() -> Self {
        Self {
            workers: 2,
            rate_limit: None,
            cookies: None,
            clock: || 0,
            nsid: String::new(),
            secondaries: Vec::new(),
            connections: (1000, 100),
        }
    }
}

/// What all parts of a running server have.
pub(super) struct Shared {
    pub(super) zones: Arc<ArcSwap<ZoneSet>>,
    pub(super) rate_limit: Option<RateLimit>,
    pub(super) cookies: Option<Cookies>,
    pub(super) clock: fn() -> u32,
    pub(super) nsid: Vec<u8>,
    pub(super) secondaries: Vec<Secondary>,
    pub(super) tcp: tcp::Bounds,
}

/// A name server bound to its address.
pub struct Server {
    udp: Vec<UdpSocket>,
    tcp: TcpListener,
    address: SocketAddr,
    workers: usize,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Server({})", self.address)
    }
}

/// Why the name server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address cannot be listened on.
    #[error("cannot serve DNS on {address} ({transport}): {source}; is another name server running there?")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// UDP or TCP.
        transport: &'static str,
        /// What the operating system says.
        source: io::Error,
    },
}

impl Server {
    /// Listens on UDP and TCP at one port, with usual options. Port 0 takes any that is free for both.
    pub async fn bind(address: SocketAddr, zones: Arc<ArcSwap<ZoneSet>>) -> Result<Self, ServerError> {
        Self::bind_with(address, zones, Options::default()).await
    }

    /// The same with options. A wildcard stands for all addresses of the machine, each with a socket of its own, so that
    /// every answer leaves from the address that was asked.
    pub async fn bind_with(
        address: SocketAddr,
        zones: Arc<ArcSwap<ZoneSet>>,
        options: Options,
    ) -> Result<Self, ServerError> {
        let mut attempts = if address.port() == 0 { 16 } else { 1 };
        let (tcp, bound, udp) = loop {
            attempts -= 1;
            let error = |transport| move |source| ServerError::Bind { address, transport, source };
            let tcp = TcpListener::bind(address).await.map_err(error("TCP"))?;
            let bound = tcp.local_addr().map_err(error("TCP"))?;
            let addresses = addresses::behind(bound).map_err(error("UDP"))?;
            match bind_all(addresses, bound.ip().is_unspecified()) {
                Ok(udp) => break (tcp, bound, udp),
                // A port that is free for TCP may be taken for UDP.
                Err(_) if attempts > 0 => {}
                Err(source) => return Err(error("UDP")(source)),
            }
        };
        let (all, of_one_network) = options.connections;
        let mut nsid = options.nsid.into_bytes();
        nsid.truncate(MAX_NSID);
        let shared = Shared {
            zones,
            rate_limit: options.rate_limit.map(|(rate, key)| RateLimit::new(rate, key)),
            cookies: options.cookies,
            clock: options.clock,
            nsid,
            secondaries: options.secondaries,
            tcp: tcp::Bounds { all, of_one_network },
        };
        Ok(Self { udp, tcp, address: bound, workers: options.workers.max(1), shared: Arc::new(shared) })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until it is told to stop; open TCP connections are then cut off.
    pub async fn run(self, stop: CancellationToken) {
        let mut running = Vec::with_capacity(self.udp.len());
        for socket in self.udp {
            start(socket, self.workers, &self.shared, &mut running);
        }
        let mut tasks = JoinSet::new();
        tasks.spawn(tcp::serve(self.tcp, Arc::clone(&self.shared)));
        for secondary in self.shared.secondaries.clone() {
            tasks.spawn(notify::keep_telling(secondary, self.address.ip(), Arc::clone(&self.shared)));
        }
        tracing::info!(address = %self.address, "serving DNS");
        while stop.run_until_cancelled(sleep(LOOKS_AGAIN)).await.is_some() {
            if self.address.ip().is_unspecified() {
                serve_new_addresses(self.address, self.workers, &self.shared, &mut running);
            }
            if let Some(limit) = &self.shared.rate_limit {
                tracing::debug!(responses = limit.too_many(), "not sent over UDP so far, for the rate");
            }
        }
        tasks.shutdown().await;
        let _ = tokio::task::spawn_blocking(move || drop(running)).await;
    }
}

/// A socket for each address. Of those behind a wildcard one may not be ready yet; it is looked for again.
fn bind_all(addresses: BTreeSet<SocketAddr>, is_wildcard: bool) -> io::Result<Vec<UdpSocket>> {
    let mut sockets = Vec::with_capacity(addresses.len());
    let mut not_ready = None;
    for address in addresses {
        match udp::bind(address) {
            Ok(socket) => sockets.push(socket),
            Err(error) if is_wildcard && error.kind() != io::ErrorKind::AddrInUse => {
                tracing::debug!(%error, %address, "cannot serve DNS there yet");
                not_ready = Some(error);
            }
            Err(error) => return Err(error),
        }
    }
    match not_ready {
        Some(error) if sockets.is_empty() => Err(error),
        _ => Ok(sockets),
    }
}

fn start(socket: UdpSocket, workers: usize, shared: &Arc<Shared>, running: &mut Vec<Workers>) {
    match Workers::start(socket, workers, shared) {
        Ok(workers) => running.push(workers),
        Err(error) => tracing::error!(%error, "no thread could be started that answers DNS"),
    }
}

/// What an interface has got since.
fn serve_new_addresses(
    address: SocketAddr,
    workers: usize,
    shared: &Arc<Shared>,
    running: &mut Vec<Workers>,
) {
    let Ok(now) = addresses::behind(address) else { return };
    let known: BTreeSet<SocketAddr> = running.iter().filter_map(Workers::address).collect();
    for new in now.difference(&known) {
        match udp::bind(*new) {
            Ok(socket) => {
                tracing::info!(address = %new, "serving DNS at one more address");
                start(socket, workers, shared, running);
            }
            Err(error) => tracing::debug!(%error, address = %new, "cannot serve DNS there"),
        }
    }
}
