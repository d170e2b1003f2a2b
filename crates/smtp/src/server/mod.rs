//! The listener: accepts connections, keeps them within bounds and runs one [session](self) on each.
//!
//! The way of the data: connection → slot (or `421`) → EHLO, perhaps STARTTLS and EHLO again → MAIL, RCPT (each
//! asked of the [`Inbox`]) → DATA → [`Inbox::accept`] → `250` with the queue id. Every wait has a timeout and
//! every buffer a bound, whatever the client sends.
//!
//! Offered: PIPELINING (RFC 2920), SIZE (RFC 1870), 8BITMIME (RFC 6152), ENHANCEDSTATUSCODES (RFC 2034) and
//! STARTTLS (RFC 3207). Not offered: AUTH, CHUNKING, SMTPUTF8, DSN; a client that uses them all the same is
//! refused.

mod data;
mod inbox;
mod limits;
mod session;
mod wire;

pub use inbox::{EnvelopeSoFar, Inbox, Incoming, Refusal};

use limits::{Full, Memory, Slot, Slots};
use model::DomainName;
use session::{Left, Session};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use wire::Wire;

/// What the listener says, and its bounds.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// The name in the greeting and in the answer to EHLO.
    pub hostname: DomainName,
    /// Octets of one message (announced by SIZE). Default 25 MiB.
    pub max_message_size: usize,
    /// Recipients of one message. Default 100, the least RFC 5321 §4.5.3.1.8 asks for.
    pub max_recipients: usize,
    /// Errors a session may make; the next one ends it. Default 20.
    pub max_errors: usize,
    /// Connections at a time. Default 500.
    pub max_connections: usize,
    /// Connections at a time from one IPv4 address or one IPv6 /64. Default 20.
    pub max_connections_per_client: usize,
    /// Octets of all messages being received or stored. Default 256 MiB; beyond it clients are asked to return.
    pub max_memory: usize,
    /// For one whole command line, one write, the TLS handshake, one [`Inbox::recipient`]. Default 5 minutes
    /// (RFC 5321 §4.5.3.2.7).
    pub command_timeout: Duration,
    /// Between two pieces of a message, and for [`Inbox::accept`]. Default 3 minutes (RFC 5321 §4.5.3.2.5).
    pub data_timeout: Duration,
    /// For a whole session. Default 30 minutes.
    pub session_timeout: Duration,
    /// For messages under way when the listener shuts down. Default 20 seconds.
    pub drain_timeout: Duration,
    /// Offers STARTTLS when set; [`crate::tls::self_signed`] is enough.
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

impl ServerConfig {
    /// The defaults, without TLS.
    pub fn new(hostname: DomainName) -> Self {
        Self {
            hostname,
            max_message_size: 25 * 1024 * 1024,
            max_recipients: 100,
            max_errors: 20,
            max_connections: 500,
            max_connections_per_client: 20,
            max_memory: 256 * 1024 * 1024,
            command_timeout: Duration::from_mins(5),
            data_timeout: Duration::from_mins(3),
            session_timeout: Duration::from_mins(30),
            drain_timeout: Duration::from_secs(20),
            tls: None,
        }
    }
}

/// A bound socket, before [`Listener::run`].
#[derive(Debug)]
pub struct Listener<I> {
    socket: TcpListener,
    address: SocketAddr,
    slots: Arc<Slots>,
    shared: Arc<Shared<I>>,
}

/// What every session of a listener uses.
#[derive(Debug)]
struct Shared<I> {
    config: ServerConfig,
    inbox: Arc<I>,
    memory: Arc<Memory>,
    shutdown: CancellationToken,
}

impl<I: Inbox> Listener<I> {
    /// Binds the address; port 0 takes a free one.
    pub async fn bind(address: SocketAddr, config: ServerConfig, inbox: Arc<I>) -> io::Result<Self> {
        let socket = TcpListener::bind(address).await?;
        let address = socket.local_addr()?;
        let slots = Slots::new(config.max_connections, config.max_connections_per_client);
        let memory = Memory::new(config.max_memory);
        let shared = Arc::new(Shared { config, inbox, memory, shutdown: CancellationToken::new() });
        Ok(Self { socket, address, slots, shared })
    }

    /// The address the socket is bound to.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Takes connections until `shutdown`, then no more. Sessions waiting for a command are told `421`; a message
    /// under way is finished and answered within `drain_timeout`. Returns when every session has ended.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut sessions = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(ended) = sessions.join_next() => report(ended),
                accepted = self.socket.accept() => match accepted {
                    Ok((stream, client)) => match self.slots.take(client.ip()) {
                        Ok(slot) => {
                            sessions.spawn(serve(stream, client, self.shared.clone(), slot));
                        }
                        Err(full) => self.turn_away(stream, client, full).await,
                    },
                    Err(error) => {
                        // Most often the process is out of file descriptors: accepting again at once would spin.
                        tracing::warn!(%error, listener = %self.address, "no SMTP connection could be accepted");
                        sleep(Duration::from_millis(100)).await;
                    }
                },
            }
        }
        drop(self.socket);
        self.shared.shutdown.cancel();
        let drained = async {
            while let Some(ended) = sessions.join_next().await {
                report(ended);
            }
        };
        if timeout(self.shared.config.drain_timeout, drained).await.is_err() {
            tracing::warn!(left = sessions.len(), "SMTP sessions did not end in time and are cut off");
            sessions.shutdown().await;
        }
    }

    async fn turn_away(&self, mut stream: TcpStream, client: SocketAddr, full: Full) {
        let host = &self.shared.config.hostname;
        let text = match full {
            Full::Listener => "too many connections, try again later",
            Full::Client => "too many connections from your address, close some or try again later",
        };
        tracing::info!(%client, ?full, "SMTP connection turned away");
        let line = format!("421 4.7.0 {host} {text}\r\n");
        let goodbye = async {
            stream.write_all(line.as_bytes()).await?;
            stream.shutdown().await
        };
        // A new socket takes one line at once; a client that is gone needs no answer.
        let _ = timeout(Duration::from_millis(200), goodbye).await;
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "an SMTP session failed");
    }
}

/// One connection from greeting to close.
async fn serve<I: Inbox>(stream: TcpStream, client: SocketAddr, shared: Arc<Shared<I>>, _slot: Slot) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%client, %error, "the client is gone already");
        return;
    }
    let config = &shared.config;
    let until = Instant::now() + config.session_timeout;
    let mut plain = Session::new(Wire::new(stream, config.command_timeout), &shared, client, until, false);
    plain.greet();
    let (wire, acceptor) = match (plain.run().await, &config.tls) {
        (Left::ForTls(wire), Some(tls)) => (wire, TlsAcceptor::from(tls.clone())),
        (Left::Closing(wire) | Left::ForTls(wire), _) => return wire.close().await,
        (Left::Gone, _) => return,
    };
    match timeout(config.command_timeout, acceptor.accept(wire.into_stream())).await {
        Ok(Ok(stream)) => {
            let wire = Wire::new(stream, config.command_timeout);
            if let Left::Closing(wire) | Left::ForTls(wire) =
                Session::new(wire, &shared, client, until, true).run().await
            {
                wire.close().await;
            }
        }
        Ok(Err(error)) => tracing::info!(%client, %error, "the TLS handshake failed"),
        Err(_) => tracing::info!(%client, "the TLS handshake took too long"),
    }
}
