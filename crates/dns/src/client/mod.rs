//! Questions to servers: UDP first, TCP where the answer is too long for it.
//!
//! # Why a client of our own
//!
//! A diagnosis is a few dozen questions, and a bulk check is millions of them. Resolver libraries give each question
//! a task, a socket, a timer and several allocations; here a round of questions is handed over at once to one task
//! ([`engine`]) that shares sockets between questions, sends and receives many packets a system call ([`batch`]),
//! keeps time-outs in a queue (they are all equally long, so the first sent is the first to run out), and decodes
//! straight into the types of an observation ([`crate::wire`]). Beside a bare loop at 3.6 µs of CPU a query,
//! a whole bulk check with planning and judging was measured at 8.0 µs; a checker that goes
//! the usual way over a resolver library took 411 µs. The numbers, and how they were measured, are in
//! `docs/decisions/0005-a-dns-client-of-our-own.md`; `cargo xtask bench check` makes them again.
//!
//! # Who could answer in a server's place
//!
//! Sockets are connected: the kernel drops packets of other addresses and ports. What is left to a spoofer who does
//! not see our packets is to guess the port and the id of an open question and to send its very name and type
//! (RFC 5452 §9): ids are 16 bits from the operating system's random source, ports are the kernel's random choice
//! (28,232 of them by default on Linux, 14.8 bits), together 30.8 bits, or one packet in 1.85 thousand million.
//! Ports are not kept for long: a socket takes at most [`engine::USES`] questions, up to [`engine::PORTS`] sockets
//! are open to a server and those questions that are sent together take one of them at random, and a server that is left alone for
//! some seconds, or while others wait for a socket, loses its sockets. No two servers ever see the same port, so that one who runs a name server
//! learns nothing about the questions to others. A packet that does not match is ignored, and the wait goes on.
//!
//! # Trouble
//!
//! A try that gets no answer is repeated from the same port with the same id, so that a slow answer to the first
//! one still counts. Where all tries come to nothing at a server that answers others, the question is put once more without
//! EDNS: answers past some size may be lost on the way, and one that is cut off comes over TCP. ICMP errors are not authenticated: they lead to another try, and only the last one is told.
//! Nothing here caches, and every error is a [`Failure`], which never says that a record is not there.
//!
//! Everything is bounded: open questions in all and per server, sockets, TCP connections, and rounds that are taken
//! on (others wait in [`Client::ask`]). Dropping the future of a question frees all that was open for it.

mod batch;
mod engine;
mod port;
mod random;
mod tcp;

use crate::public::as_in_public;
use diagnosis::{
    inquiry::Policy,
    observation::{Ask, Exchange, Failure, Outcome},
};
use engine::Engine;
pub(crate) use engine::takes_room;
use model::Timestamp;
use std::{
    net::SocketAddr,
    num::NonZeroU32,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout_at},
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
    /// How many questions are open at one server at once. A window of 128 keeps a quick server busy; with 512,
    /// packets were lost on their way to a name server on the same machine, whose socket buffer they overran.
    pub window: usize,
    /// How many questions a second one server is asked.
    pub rate: Rate,
    /// How many UDP sockets are open in all; a process may often have no more than 1024 files open. Where more
    /// servers are asked at once, some wait until another one has nothing open any more.
    pub max_sockets: usize,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(2),
            tries: 2,
            tcp_timeout: Duration::from_secs(4),
            max_in_flight: 1024,
            window: 128,
            rate: Rate::Considerate,
            max_sockets: 400,
        }
    }
}

/// How many questions a second one server address is asked, after a burst of 64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rate {
    /// [`Rate::CONSIDERATE`], and no limit for servers on this machine.
    #[default]
    Considerate,
    /// So many, wherever the server is.
    PerServer(NonZeroU32),
    /// As many as are answered.
    Unlimited,
}

impl Rate {
    /// What a stranger's server is asked in a second, unless told otherwise: public resolvers start to drop at
    /// several times of it.
    pub const CONSIDERATE: u32 = 300;
}

/// Stamps outcomes.
pub(crate) type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// How often each address has timed out in one observation.
pub(crate) type Silent = Vec<(SocketAddr, u32)>;

/// Questions that are put at once and answered together.
pub(crate) struct Round {
    token: u64,
    asks: Arc<Vec<Ask>>,
    /// Whether name servers at private addresses are asked.
    private_addresses: bool,
    /// Whether names are asked for only that can be in the public DNS.
    public_names: bool,
    clock: Clock,
    silent: Silent,
    /// When questions that are still open count as timed out.
    ends: Option<Instant>,
    /// How many octets of replies are kept; those beyond are [`Failure::TooMuch`].
    room: usize,
    reply: oneshot::Sender<Finished>,
}

impl Round {
    /// One of its asks with what came of it, now.
    fn exchange(&self, index: usize, outcome: Outcome) -> Arc<Exchange> {
        Arc::new(Exchange { ask: self.asks[index].clone(), at: (self.clock)(), outcome })
    }
}

/// What came of a round: an exchange for each ask, in their order.
pub(crate) struct Finished {
    pub exchanges: Vec<Arc<Exchange>>,
    pub silent: Silent,
    /// How many octets more may be kept.
    pub room: usize,
}

/// Asks DNS servers. Clones share the sockets and the bounds.
///
/// The work is done by a task of the runtime in which the first question is put; it ends with the last clone.
#[derive(Debug, Clone)]
pub struct Client {
    shared: Arc<Shared>,
    public_names: bool,
}

#[derive(Debug)]
struct Shared {
    options: ClientOptions,
    tokens: AtomicU64,
    /// How many packets were sent over UDP.
    sent: Arc<AtomicU64>,
    /// How many questions wait for a server that has as many open as it may have.
    crowd: Arc<AtomicUsize>,
    engine: Mutex<Option<Engineer>>,
}

/// The way to the task.
#[derive(Debug, Clone)]
struct Engineer {
    rounds: mpsc::Sender<Round>,
    stops: mpsc::UnboundedSender<u64>,
}

impl Default for Client {
    fn default() -> Self {
        Self::new(ClientOptions::default())
    }
}

/// How many rounds may wait for the task to take them.
const ROUNDS_WAITING: usize = 64;

impl Client {
    /// After so many timeouts of questions, each with all its tries, an address that has not answered anything is not
    /// asked again in the same observation: what is left counts as timed out without a packet.
    pub const TIMEOUTS_ALLOWED: u32 = 2;

    /// A client. Nothing is opened before the first question.
    pub fn new(options: ClientOptions) -> Self {
        let shared = Shared {
            options,
            tokens: AtomicU64::new(0),
            sent: Arc::default(),
            crowd: Arc::default(),
            engine: Mutex::new(None),
        };
        Self { shared: Arc::new(shared), public_names: false }
    }

    /// The same client for what strangers have asked: of names that cannot be in the public DNS
    /// ([`crate::is_public_name`]) nothing is asked ([`Failure::NotPublic`]), and nothing is told, whatever led there.
    #[must_use]
    pub fn for_public_names(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), public_names: true }
    }

    /// How many packets were sent over UDP so far, repeated ones too.
    pub fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::Relaxed)
    }

    /// Whether questions wait because a server has as many open as it may have: more of them would wait as well.
    pub(crate) fn is_crowded(&self) -> bool {
        self.shared.crowd.load(Ordering::Relaxed) > 0
    }

    /// Puts one question to one server. Name servers at addresses that are not public are asked only where the
    /// policy allows it: their addresses come out of strangers' records.
    pub async fn ask(&self, ask: &Ask, policy: &Policy) -> Outcome {
        // Nobody looks at the time.
        let clock: Clock = Arc::new(|| Timestamp::UNIX_EPOCH);
        let asks = Arc::new(vec![ask.clone()]);
        let mut finished =
            self.ask_all(asks, policy.private_addresses, clock, Silent::new(), None, policy.max_octets).await;
        let exchange = finished.exchanges.pop().map(Arc::unwrap_or_clone);
        exchange.map_or(Outcome::Failure(Failure::Timeout), |exchange| exchange.outcome)
    }

    /// Puts questions at once and waits for all outcomes; those that are open at `ends` are timeouts, and replies for
    /// which there is no room are not kept.
    pub(crate) async fn ask_all(
        &self,
        asks: Arc<Vec<Ask>>,
        private_addresses: bool,
        clock: Clock,
        silent: Silent,
        ends: Option<Instant>,
        room: usize,
    ) -> Finished {
        if asks.is_empty() {
            return Finished { exchanges: Vec::new(), silent, room };
        }
        let engineer = self.engineer();
        let token = self.shared.tokens.fetch_add(1, Ordering::Relaxed);
        let (reply, answer) = oneshot::channel();
        let nothing = |failure: Failure| {
            let outcome = || Outcome::Failure(failure.clone());
            let exchange = |ask: &Ask| Exchange { ask: ask.clone(), at: clock(), outcome: outcome() };
            let exchanges = asks.iter().map(|ask| Arc::new(exchange(ask))).collect();
            Finished { exchanges, silent: Silent::new(), room }
        };
        let round = Round {
            token,
            asks: Arc::clone(&asks),
            private_addresses,
            public_names: self.public_names,
            clock: Arc::clone(&clock),
            silent,
            ends,
            room,
            reply,
        };
        let mut stop = Stop { stops: &engineer.stops, token, armed: true };
        // Mostly there is room, and no timer is needed. Once it has the round, the task sees to its end.
        let taken = match engineer.rounds.try_send(round) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Closed(_)) => false,
            Err(mpsc::error::TrySendError::Full(round)) => {
                let sending = engineer.rounds.send(round);
                match ends {
                    None => sending.await.is_ok(),
                    Some(ends) => match timeout_at(ends, sending).await {
                        Ok(sent) => sent.is_ok(),
                        Err(_) => return nothing(Failure::Timeout),
                    },
                }
            }
        };
        if !taken {
            return nothing(stopped());
        }
        let finished = answer.await;
        stop.armed = false;
        let mut finished = finished.unwrap_or_else(|_| nothing(stopped()));
        if self.public_names {
            for exchange in finished.exchanges.iter_mut().map(Arc::make_mut) {
                if let Outcome::Reply(reply) = &mut exchange.outcome {
                    as_in_public(exchange.ask.question.record_type, reply);
                }
            }
        }
        finished
    }

    /// The way to the task, which is started where there is none, or where its runtime has ended.
    fn engineer(&self) -> Engineer {
        let mut engine = self.shared.engine.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = engine.as_ref().filter(|running| !running.rounds.is_closed()) {
            return running.clone();
        }
        let (rounds, rounds_in) = mpsc::channel(ROUNDS_WAITING);
        let (stops, stops_in) = mpsc::unbounded_channel();
        tokio::spawn(
            Engine::new(
                self.shared.options.clone(),
                Arc::clone(&self.shared.sent),
                Arc::clone(&self.shared.crowd),
            )
            .run(rounds_in, stops_in),
        );
        engine.insert(Engineer { rounds, stops }).clone()
    }
}

/// The runtime that the task was on is gone.
fn stopped() -> Failure {
    Failure::Unreachable("the DNS client was stopped".to_owned())
}

/// Frees what is open for a round when its future is dropped.
struct Stop<'a> {
    stops: &'a mpsc::UnboundedSender<u64>,
    token: u64,
    armed: bool,
}

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        if self.armed {
            // Where the task has ended there is nothing to free.
            let _ = self.stops.send(self.token);
        }
    }
}
