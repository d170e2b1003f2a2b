//! The sockets of the name server.
//!
//! Each query is answered from the zone set that is current when it arrives; swapping the set takes effect with
//! the next query and never blocks one. Bounded: TCP connections, the time each may idle, and message sizes.

use super::{respond, zone_set::ZoneSet};
use arc_swap::ArcSwap;
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream, UdpSocket},
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// How many tasks read the UDP socket.
const UDP_WORKERS: usize = 2;

/// How many TCP connections are open at once; more are closed right away.
const MAX_CONNECTIONS: usize = 100;

/// How long a connection may keep us waiting for the next message, or for taking a response.
const IDLE: Duration = Duration::from_secs(10);

/// A pause after an error of a socket, so that a lasting one does not spin.
const AFTER_ERROR: Duration = Duration::from_millis(20);

/// A name server bound to its address.
#[derive(Debug)]
pub struct Server {
    udp: Arc<UdpSocket>,
    tcp: TcpListener,
    address: SocketAddr,
    zones: Arc<ArcSwap<ZoneSet>>,
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
    /// Listens on UDP and TCP at one port. Port 0 takes any that is free for both.
    pub async fn bind(address: SocketAddr, zones: Arc<ArcSwap<ZoneSet>>) -> Result<Self, ServerError> {
        let mut attempts = if address.port() == 0 { 16 } else { 1 };
        loop {
            attempts -= 1;
            let error = |transport| move |source| ServerError::Bind { address, transport, source };
            let tcp = TcpListener::bind(address).await.map_err(error("TCP"))?;
            let bound = tcp.local_addr().map_err(error("TCP"))?;
            match UdpSocket::bind(bound).await {
                Ok(udp) => return Ok(Self { udp: Arc::new(udp), tcp, address: bound, zones }),
                // A port that is free for TCP may be taken for UDP.
                Err(_) if attempts > 0 => {}
                Err(source) => return Err(error("UDP")(source)),
            }
        }
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until it is told to stop; open TCP connections are then cut off.
    pub async fn run(self, stop: CancellationToken) {
        let mut tasks = JoinSet::new();
        for _ in 0..UDP_WORKERS {
            tasks.spawn(serve_udp(Arc::clone(&self.udp), Arc::clone(&self.zones)));
        }
        tasks.spawn(serve_tcp(self.tcp, self.zones));
        tracing::info!(address = %self.address, "serving DNS");
        stop.cancelled().await;
        tasks.shutdown().await;
    }
}

async fn serve_udp(socket: Arc<UdpSocket>, zones: Arc<ArcSwap<ZoneSet>>) {
    // Queries are small; one that is longer is cut by the kernel and then malformed.
    let mut buffer = vec![0; 4096];
    loop {
        let (length, client) = match socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            Err(error) => {
                tracing::debug!(%error, "receiving DNS over UDP");
                sleep(AFTER_ERROR).await;
                continue;
            }
        };
        let response = respond(&zones.load(), &buffer[..length], true);
        if let Some(response) = response
            && let Err(error) = socket.send_to(&response, client).await
        {
            tracing::debug!(%error, %client, "answering DNS over UDP");
        }
    }
}

async fn serve_tcp(listener: TcpListener, zones: Arc<ArcSwap<ZoneSet>>) {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
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
        let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else {
            tracing::debug!(%client, "too many DNS connections");
            continue;
        };
        let zones = Arc::clone(&zones);
        connections.spawn(async move {
            if let Err(error) = serve_connection(stream, &zones).await {
                tracing::debug!(%error, %client, "DNS over TCP ended");
            }
            drop(permit);
        });
    }
}

/// Answers one query after the other; what a client pipelines waits in the buffer.
async fn serve_connection(mut stream: TcpStream, zones: &ArcSwap<ZoneSet>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (read, mut write) = stream.split();
    let mut read = BufReader::new(read);
    while let Some(query) = timeout(IDLE, read_message(&mut read)).await?? {
        let Some(response) = respond(&zones.load(), &query, false) else { break };
        let Ok(length) = u16::try_from(response.len()) else { break };
        let framed = [&length.to_be_bytes(), response.as_slice()].concat();
        timeout(IDLE, write.write_all(&framed)).await??;
    }
    Ok(())
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
