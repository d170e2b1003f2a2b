//! One question to one server: UDP first, TCP where the answer is too long for it.
//!
//! Every query has a socket of its own, so that its source port is the kernel's random choice, and an id from the
//! operating system's random source: together about 32 bits that a spoofer who does not see our packets would have
//! to guess (RFC 5452). The socket is connected: packets of others never reach us, and ICMP errors do. A packet that
//! does not match is ignored, and the wait goes on.
//!
//! A try that gets no answer is repeated on the same socket with the same id, so that a slow answer to the first
//! one still counts. Nothing here caches, and every error is a [`Failure`], which never says that a record is
//! not there.

use crate::wire::{DecodeError, Query, Response};
use diagnosis::{
    inquiry::{Policy, is_public},
    observation::{Ask, Failure, Outcome, Rcode, Reply, Server},
};
use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    sync::Semaphore,
    time::{Instant, timeout, timeout_at},
};

/// How long and how hard a client asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientOptions {
    /// How long one try over UDP waits.
    pub timeout: Duration,
    /// How many times a question is sent over UDP; at least once.
    pub tries: u32,
    /// How long connecting, asking and reading over TCP may take in all.
    pub tcp_timeout: Duration,
    /// How many questions are open at once; more wait their turn.
    pub max_in_flight: usize,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(2),
            tries: 2,
            tcp_timeout: Duration::from_secs(4),
            max_in_flight: 256,
        }
    }
}

/// Asks DNS servers. Clones share the bound on open questions.
#[derive(Debug, Clone)]
pub struct Client {
    options: ClientOptions,
    in_flight: Arc<Semaphore>,
}

impl Default for Client {
    fn default() -> Self {
        Self::new(ClientOptions::default())
    }
}

/// Larger than any UDP answer we ask for: servers that ignore the offered size still get through.
const UDP_BUFFER: usize = 4096;

impl Client {
    /// A client.
    pub fn new(options: ClientOptions) -> Self {
        let in_flight = Arc::new(Semaphore::new(options.max_in_flight.clamp(1, Semaphore::MAX_PERMITS)));
        Self { options, in_flight }
    }

    /// Puts one question to one server. Name servers at addresses that are not public are asked only where the
    /// policy allows it: their addresses come out of strangers' records.
    pub async fn ask(&self, ask: &Ask, policy: &Policy) -> Outcome {
        let forbidden = match &ask.server {
            Server::Resolver { .. } => false,
            Server::Authority { address, .. } => !policy.private_addresses && !is_public(address.ip()),
        };
        if forbidden {
            return Outcome::Failure(Failure::Forbidden);
        }
        let recursion_desired = matches!(ask.server, Server::Resolver { .. });
        match self.query(ask, recursion_desired).await {
            Ok(reply) => Outcome::Reply(reply),
            Err(failure) => Outcome::Failure(failure),
        }
    }

    /// Asks, with EDNS first and without it where the server does not understand that (RFC 6891 §7).
    async fn query(&self, ask: &Ask, rd: bool) -> Result<Reply, Failure> {
        let _permit =
            self.in_flight.acquire().await.map_err(|error| Failure::Unreachable(error.to_string()))?;
        let reply = self.exchange(ask, rd, true).await?;
        if !matches!(reply.rcode, Rcode::FormErr | Rcode::NotImp | Rcode::Other(BADVERS)) {
            return Ok(reply);
        }
        // Where the plain query fails altogether, the first reply is what is known of the server.
        Ok(self.exchange(ask, rd, false).await.unwrap_or(reply))
    }

    async fn exchange(&self, ask: &Ask, recursion_desired: bool, edns: bool) -> Result<Reply, Failure> {
        let server = ask.server.address();
        let query = Query {
            id: random_id()?,
            question: &ask.question,
            recursion_desired,
            checking_disabled: ask.checking_disabled,
            edns,
        };
        let response = self.over_udp(&query, server).await?;
        if !response.truncated {
            return Ok(response.reply);
        }
        let query = Query { id: random_id()?, ..query };
        match timeout(self.options.tcp_timeout, over_tcp(&query, server)).await {
            Ok(Ok(response)) if response.truncated => {
                Err(Failure::TruncatedWithoutTcp("truncated over TCP too".to_owned()))
            }
            Ok(Ok(response)) => Ok(response.reply),
            Ok(Err(error)) => Err(Failure::TruncatedWithoutTcp(error.to_string())),
            Err(_) => Err(Failure::TruncatedWithoutTcp("no answer in time".to_owned())),
        }
    }

    async fn over_udp(&self, query: &Query<'_>, server: SocketAddr) -> Result<Response, Failure> {
        let packet = query.encode().map_err(|error| Failure::Malformed(error.to_string()))?;
        let socket = connected(server).await.map_err(|error| unreachable(&error))?;
        let mut buffer = vec![0; UDP_BUFFER];
        let mut last = Failure::Timeout;
        for _ in 0..self.options.tries.max(1) {
            if let Err(error) = socket.send(&packet).await {
                last = unreachable(&error);
                continue;
            }
            match timeout_at(Instant::now() + self.options.timeout, receive(&socket, query, &mut buffer))
                .await
            {
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(ReceiveError::Damaged(why))) => return Err(Failure::Malformed(why.to_owned())),
                // ICMP errors are not authenticated: another try may still be answered.
                Ok(Err(ReceiveError::Io(error))) => last = unreachable(&error),
                Err(_) => {}
            }
        }
        Err(last)
    }
}

/// The extended response code of a server that does not know our EDNS version (RFC 6891 §9).
const BADVERS: u16 = 16;

enum ReceiveError {
    Damaged(&'static str),
    Io(io::Error),
}

/// Waits until the response to this query comes. Ends by itself on errors only; the caller bounds the time.
async fn receive(socket: &UdpSocket, query: &Query<'_>, buffer: &mut [u8]) -> Result<Response, ReceiveError> {
    loop {
        let length = socket.recv(buffer).await.map_err(ReceiveError::Io)?;
        match query.decode(&buffer[..length]) {
            Ok(response) => return Ok(response),
            Err(DecodeError::Damaged(why)) => return Err(ReceiveError::Damaged(why)),
            Err(DecodeError::Mismatch(why)) => {
                tracing::debug!(name = %query.question.name, why, "ignored a stray DNS packet");
            }
        }
    }
}

/// A socket on a port of the kernel's choice that hears this server only.
async fn connected(server: SocketAddr) -> io::Result<UdpSocket> {
    let any = match server.ip() {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    Ok(socket)
}

/// Messages have a length of two octets in front (RFC 7766 §8), which bounds them to 64 KiB.
async fn over_tcp(query: &Query<'_>, server: SocketAddr) -> io::Result<Response> {
    let invalid = |error: String| io::Error::new(io::ErrorKind::InvalidData, error);
    let packet = query.encode().map_err(|error| invalid(error.to_string()))?;
    let length = u16::try_from(packet.len()).map_err(|error| invalid(error.to_string()))?;
    let mut stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    // One segment: some servers want length and message together.
    stream.write_all(&[&length.to_be_bytes(), packet.as_slice()].concat()).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await?;
    query.decode(&answer).map_err(|error| invalid(error.to_string()))
}

fn random_id() -> Result<u16, Failure> {
    let mut octets = [0; 2];
    getrandom::fill(&mut octets).map_err(|error| Failure::Unreachable(error.to_string()))?;
    Ok(u16::from_be_bytes(octets))
}

fn unreachable(error: &io::Error) -> Failure {
    Failure::Unreachable(error.to_string())
}
