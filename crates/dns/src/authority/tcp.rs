//! TCP (RFC 7766): bounded in how many connections there are, in all and of one network, and in how long each may idle.
//!
//! Where there is no place for one more, the one that has idled longest is closed for it: somebody who holds many open
//! and asks nothing keeps nobody out.

use super::{
    respond::{Circumstances, write_response},
    server::Shared,
    transfer::{self, Sink},
};
use slab::Slab;
use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream, tcp::WriteHalf},
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// How long a connection may keep us waiting for the next message, or for taking a response.
const IDLE: Duration = Duration::from_secs(10);

/// How many transfers are under way at once, and how long one may take.
const TRANSFERS: usize = 4;
const TRANSFER: Duration = Duration::from_mins(10);

/// A pause after an error of a socket, so that a lasting one does not spin.
const AFTER_ERROR: Duration = Duration::from_millis(20);

/// How many connections there may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) all: usize,
    pub(super) of_one_network: usize,
}

/// All open connections.
struct Open {
    bounds: Bounds,
    connections: Mutex<Slab<Connection>>,
}

struct Connection {
    network: [u8; 8],
    /// Since when it waits for a query; `None` while one is answered.
    idle_since: Option<Instant>,
    close: CancellationToken,
}

/// A place among them, given back when it is dropped.
struct Place {
    open: Arc<Open>,
    key: usize,
    close: CancellationToken,
}

impl Open {
    /// A place for one more, if need be that of the one that idles longest: of the same network where that has as many as
    /// it may, else of all. `None` where all of those are at work.
    fn place(self: &Arc<Self>, client: IpAddr) -> Option<Place> {
        let network = network(client);
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let of_network = connections.iter().filter(|(_, one)| one.network == network).count();
        let is_network_full = of_network >= self.bounds.of_one_network;
        if is_network_full || connections.len() >= self.bounds.all {
            let (key, _) = connections
                .iter()
                .filter(|(_, one)| !is_network_full || one.network == network)
                .filter_map(|(key, one)| Some((key, one.idle_since?)))
                .min_by_key(|(_, since)| *since)?;
            // Its own task finds the place taken away.
            connections.get(key)?.close.cancel();
            connections.remove(key);
        }
        let close = CancellationToken::new();
        let idle_since = Some(Instant::now());
        let key = connections.insert(Connection { network, idle_since, close: close.clone() });
        Some(Place { open: Arc::clone(self), key, close })
    }
}

impl Place {
    fn with(&self, change: impl FnOnce(&mut Slab<Connection>)) {
        let mut connections = self.open.connections.lock().unwrap_or_else(PoisonError::into_inner);
        // Where it was taken away, another one may have its number.
        if !self.close.is_cancelled() {
            change(&mut connections);
        }
    }

    fn idles(&self, is_idle: bool) {
        let since = is_idle.then(Instant::now);
        self.with(|connections| {
            if let Some(connection) = connections.get_mut(self.key) {
                connection.idle_since = since;
            }
        });
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.with(|connections| {
            connections.try_remove(self.key);
        });
    }
}

fn network(client: IpAddr) -> [u8; 8] {
    let mut network = [0; 8];
    match client.to_canonical() {
        IpAddr::V4(v4) => network[..3].copy_from_slice(&v4.octets()[..3]),
        IpAddr::V6(v6) => {
            network[..6].copy_from_slice(&v6.octets()[..6]);
            network[7] = 1;
        }
    }
    network
}

pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let transfers = Arc::new(Semaphore::new(TRANSFERS));
    let open = Arc::new(Open { bounds: shared.tcp, connections: Mutex::default() });
    let mut connections = JoinSet::new();
    loop {
        let (stream, client) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%error, "accepting DNS over TCP");
                sleep(AFTER_ERROR).await;
                continue;
            }
        };
        while connections.try_join_next().is_some() {}
        let Some(place) = open.place(client.ip()) else {
            tracing::debug!(%client, "too many DNS connections");
            continue;
        };
        let (shared, transfers) = (Arc::clone(&shared), Arc::clone(&transfers));
        connections.spawn(async move {
            let close = place.close.clone();
            match close
                .run_until_cancelled(serve_connection(stream, client, &shared, &place, &transfers))
                .await
            {
                Some(Err(error)) => tracing::debug!(%error, %client, "DNS over TCP ended"),
                Some(Ok(())) => {}
                None => tracing::debug!(%client, "an idle DNS connection made room for another one"),
            }
        });
    }
}

/// Answers one query after the other; what a client pipelines waits in the buffer.
async fn serve_connection(
    mut stream: TcpStream,
    client: SocketAddr,
    shared: &Shared,
    place: &Place,
    transfers: &Semaphore,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (read, mut write) = stream.split();
    let mut read = BufReader::new(read);
    let mut out = Vec::new();
    while let Some(query) = timeout(IDLE, read_message(&mut read)).await?? {
        place.idles(false);
        let now = u64::from((shared.clock)());
        match transfer::asked(&query, client.ip(), &shared.secondaries, now) {
            transfer::Request::None => {}
            transfer::Request::Refused(answer) => {
                write.send(&answer).await?;
                place.idles(true);
                continue;
            }
            transfer::Request::Transfer(asked) => {
                let _turn = timeout(IDLE, transfers.acquire()).await?.map_err(io::Error::other)?;
                let zones = shared.zones.load_full();
                timeout(TRANSFER, asked.answer(&zones, shared.clock, &mut write)).await??;
                tracing::debug!(%client, generation = zones.generation(), "a secondary has the zone");
                place.idles(true);
                continue;
            }
        }
        let how = Circumstances {
            over_tcp: true,
            cookies: shared.cookies.as_ref().map(|cookies| (cookies, client.ip(), (shared.clock)())),
            nsid: &shared.nsid,
        };
        let signed = transfer::signed(&query, client.ip(), &shared.secondaries, now);
        let plain = signed.as_ref().map_or(&query, |(plain, _)| plain);
        if write_response(&shared.zones.load(), plain, &how, &mut out).is_none() {
            break;
        }
        if let Some((_, mut conversation)) = signed {
            conversation.answer(&mut out, now);
        }
        write.send(&out).await?;
        place.idles(true);
    }
    Ok(())
}

impl Sink for WriteHalf<'_> {
    async fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let length = u16::try_from(message.len()).map_err(io::Error::other)?;
        let framed = [&length.to_be_bytes(), message].concat();
        timeout(IDLE, self.write_all(&framed)).await?
    }
}

/// One message; `None` at the end of the connection.
async fn read_message(read: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let length = match read.read_u16().await {
        Ok(length) => length,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut message = vec![0; usize::from(length)];
    read.read_exact(&mut message).await?;
    Ok(Some(message))
}
