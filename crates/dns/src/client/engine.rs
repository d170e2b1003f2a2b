//! The task that owns the sockets: takes rounds of questions, sends, receives, repeats, gives up, and answers each
//! round when the last of its questions has its outcome.
//!
//! A turn: wait for packets, rounds, the end of TCP exchanges or a point in time; handle all that is there; start
//! waiting questions as far as window, rate and sockets allow; send. A question is in one of the places that
//! [`Stage`] names, and every place is left by [`Engine::settle`] or by its round being stopped.

mod sockets;
mod streams;
#[cfg(test)]
mod tests;

use super::{
    Client, ClientOptions, Finished, Round,
    batch::Buffers,
    port::{Link, Port},
    random::Random,
};
use crate::{
    public::is_public_name,
    wire::{DecodeError, Query, Response},
};
use diagnosis::{
    inquiry::is_public,
    observation::{Ask, Exchange, Failure, Outcome, Rcode, Reply, Server},
};
use futures_util::{
    FutureExt, StreamExt,
    future::{AbortHandle, Abortable, BoxFuture},
    stream::FuturesUnordered,
};
use rustc_hash::FxHashMap;
use slab::Slab;
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Semaphore, mpsc},
    time::{Instant, sleep_until},
};

/// How many sockets are open to one server at a time, each on a port of its own.
pub const PORTS: usize = 4;

/// How many questions a socket takes before another one, on another port, takes its place.
pub const USES: u32 = 256;

/// How many TCP connections are open in all.
const MAX_CONNECTIONS: usize = 64;

/// How long a server may go unasked before its sockets are closed.
const IDLE: Duration = Duration::from_secs(5);

/// No more rounds are taken on while so many questions wait.
const MAX_WAITING: usize = 16_384;

/// The extended response code of a server that does not know our EDNS version (RFC 6891 §9).
const BADVERS: u16 = 16;

pub struct Engine {
    options: ClientOptions,
    rounds: Slab<Running>,
    by_token: FxHashMap<u64, usize>,
    queries: Slab<Pending>,
    links: Slab<Link>,
    by_address: HashMap<SocketAddr, usize>,
    /// The link that was wanted last: mostly it is wanted again.
    last_link: Option<(SocketAddr, usize)>,
    ports: Slab<Port>,
    readable: FuturesUnordered<Abortable<BoxFuture<'static, (usize, u64)>>>,
    tcp: FuturesUnordered<Abortable<BoxFuture<'static, Ended>>>,
    connections: Arc<Semaphore>,
    /// Links that have something to send.
    ready: VecDeque<usize>,
    /// Links whose rate holds them back, and until when.
    throttled: BinaryHeap<Reverse<(Instant, usize)>>,
    /// Links that wait for a socket of others to be closed.
    starved: VecDeque<usize>,
    /// Links that may have nothing open, since when, and their stamp then.
    idle: VecDeque<(Instant, usize, u64)>,
    /// When which try runs out: tries are equally long, so they run out in the order in which they began.
    timers: VecDeque<(Instant, usize, u64)>,
    /// No round has to end sooner; mostly those that would have are done long before.
    ends: Option<Instant>,
    /// Ports with something in their outbox.
    dirty: Vec<usize>,
    in_flight: usize,
    waiting: usize,
    random: Random,
    next_stamp: u64,
    spare: Vec<Vec<u8>>,
    buffers: Buffers,
    sent: Arc<AtomicU64>,
    /// How many questions wait for links with a full window, for whoever would put more.
    crowd: Arc<AtomicUsize>,
    now: Instant,
}

/// A round under way.
struct Running {
    round: Round,
    queries: Vec<usize>,
    exchanges: Vec<Option<Arc<Exchange>>>,
    open: usize,
    /// How often each address has failed over TCP.
    tcp_failures: Vec<(SocketAddr, u32)>,
}

/// A question under way.
struct Pending {
    round: usize,
    index: usize,
    link: usize,
    edns: bool,
    stage: Stage,
    tries_left: u32,
    /// Changes with every try, so that the timer of an earlier one can be told.
    stamp: u64,
    id: u16,
    packet: Vec<u8>,
    /// What the tries so far came to.
    last: Failure,
    /// What the server said to the question with EDNS, which it did not understand.
    first: Option<Reply>,
}

enum Stage {
    /// In its link's queue.
    Waiting,
    /// Between two places, within a turn.
    Moving,
    /// Sent from a port.
    Udp(usize),
    /// Being asked over TCP.
    Tcp(AbortHandle),
}

/// What a turn begins with.
enum Event {
    Stop(u64),
    Readable(Option<(usize, u64)>),
    Round(Round),
    Tcp(Option<Ended>),
    Time,
}

/// The outcome, where there is room to keep it. Once there is none, there is no more for smaller ones either: the
/// inquiry ends.
fn within(room: &mut usize, outcome: Outcome) -> Outcome {
    if takes_room(room, &outcome) { outcome } else { Outcome::Failure(Failure::TooMuch) }
}

/// Takes an outcome's octets of the room, all of it where they do not fit. Whether they fit.
pub(crate) fn takes_room(room: &mut usize, outcome: &Outcome) -> bool {
    let Outcome::Reply(reply) = outcome else { return true };
    let left = room.checked_sub(reply.octets());
    *room = left.unwrap_or(0);
    left.is_some()
}

/// A TCP exchange that has ended: the question, its stamp, and what came.
type Ended = (usize, u64, Result<Response, Failure>);

/// In `Running::queries`: has its outcome.
const SETTLED: usize = usize::MAX;

impl Engine {
    pub fn new(options: ClientOptions, sent: Arc<AtomicU64>, crowd: Arc<AtomicUsize>) -> Self {
        Self {
            options,
            rounds: Slab::new(),
            by_token: FxHashMap::default(),
            queries: Slab::new(),
            links: Slab::new(),
            by_address: HashMap::new(),
            last_link: None,
            ports: Slab::new(),
            readable: FuturesUnordered::new(),
            tcp: FuturesUnordered::new(),
            connections: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            ready: VecDeque::new(),
            throttled: BinaryHeap::new(),
            starved: VecDeque::new(),
            idle: VecDeque::new(),
            timers: VecDeque::new(),
            ends: None,
            dirty: Vec::new(),
            in_flight: 0,
            waiting: 0,
            random: Random::default(),
            next_stamp: 0,
            spare: Vec::new(),
            buffers: Buffers::new(),
            sent,
            crowd,
            now: Instant::now(),
        }
    }

    /// Works until the last client is gone.
    pub async fn run(mut self, mut rounds: mpsc::Receiver<Round>, mut stops: mpsc::UnboundedReceiver<u64>) {
        let sleep = sleep_until(self.now);
        tokio::pin!(sleep);
        let mut armed: Option<Instant> = None;
        loop {
            if let Some(wake) = self.next_wake()
                && armed.is_none_or(|at| wake < at)
            {
                sleep.as_mut().reset(wake);
                armed = Some(wake);
            }
            let has_room = self.waiting < MAX_WAITING;
            let event = tokio::select! {
                biased;
                Some(stop) = stops.recv() => Event::Stop(stop),
                Some(port) = self.readable.next() => Event::Readable(port.ok()),
                round = rounds.recv(), if has_room => match round {
                    Some(round) => Event::Round(round),
                    None => return,
                },
                Some(ended) = self.tcp.next() => Event::Tcp(ended.ok()),
                () = &mut sleep, if armed.is_some() => {
                    armed = None;
                    Event::Time
                }
            };
            self.turn(event, &mut rounds);
        }
    }

    /// Handles what has happened and all else that is there, starts what may be started, and sends.
    fn turn(&mut self, event: Event, rounds: &mut mpsc::Receiver<Round>) {
        // First of all: the last turn may be seconds ago, and what starts now has its whole time.
        self.now = Instant::now();
        match event {
            Event::Stop(stop) => self.stop(stop),
            Event::Readable(port) => self.on_readable(port),
            Event::Round(round) => self.begin(round),
            Event::Tcp(ended) => self.on_tcp(ended),
            Event::Time => {}
        }
        // What else is there belongs to the same turn: the more packets go out at once, the cheaper each is.
        while let Some(Some(port)) = self.readable.next().now_or_never() {
            self.on_readable(port.ok());
        }
        while self.waiting < MAX_WAITING
            && let Ok(round) = rounds.try_recv()
        {
            self.begin(round);
        }
        self.on_time();
        self.dispatch();
        // Sockets are closed in every part of a turn, in starting questions too.
        while self.wake_starved() {
            self.dispatch();
        }
        self.flush();
        self.crowd.store(self.count_crowd(), Ordering::Relaxed);
    }

    /// What a rate holds back or waits for a socket is not counted: others may go on meanwhile.
    fn count_crowd(&self) -> usize {
        if self.waiting == 0 {
            return 0;
        }
        let full = self.links.iter().filter(|(_, link)| link.in_flight >= self.options.window);
        full.map(|(_, link)| link.waiting.len()).sum()
    }

    fn next_wake(&self) -> Option<Instant> {
        let try_ends = self.timers.front().map(|(at, ..)| *at);
        let rate_allows = self.throttled.peek().map(|Reverse((at, _))| *at);
        let idle_ends = self.idle.front().map(|(since, ..)| *since + IDLE);
        [try_ends, rate_allows, idle_ends, self.ends].into_iter().flatten().min()
    }

    fn stamp(&mut self) -> u64 {
        self.next_stamp += 1;
        self.next_stamp
    }

    fn begin(&mut self, round: Round) {
        if round.reply.is_closed() {
            return;
        }
        let asks = Arc::clone(&round.asks);
        let is_late = round.ends.is_some_and(|ends| ends <= self.now);
        self.ends = [self.ends, round.ends].into_iter().flatten().min();
        let token = round.token;
        let key = self.rounds.insert(Running {
            round,
            queries: vec![SETTLED; asks.len()],
            exchanges: vec![None; asks.len()],
            open: asks.len(),
            tcp_failures: Vec::new(),
        });
        self.by_token.insert(token, key);
        for (index, ask) in asks.iter().enumerate() {
            if is_late {
                self.record(key, index, Outcome::Failure(Failure::Timeout));
            } else if let Some(failure) = self.forbidden(key, ask) {
                self.record(key, index, Outcome::Failure(failure));
            } else {
                self.enqueue(key, index, ask.server.address());
            }
        }
        self.finish_if_done(key);
    }

    fn forbidden(&self, round: usize, ask: &Ask) -> Option<Failure> {
        let round = &self.rounds[round].round;
        if round.public_names && !is_public_name(&ask.question.name) {
            return Some(Failure::NotPublic);
        }
        match &ask.server {
            Server::Resolver { .. } => None,
            Server::Authority { address, .. } => {
                (!round.private_addresses && !is_public(address.ip())).then_some(Failure::Forbidden)
            }
        }
    }

    fn enqueue(&mut self, round: usize, index: usize, address: SocketAddr) {
        let link = self.link(address);
        let query = self.queries.insert(Pending {
            round,
            index,
            link,
            edns: true,
            stage: Stage::Waiting,
            tries_left: 0,
            stamp: 0,
            id: 0,
            packet: self.spare.pop().unwrap_or_default(),
            last: Failure::Timeout,
            first: None,
        });
        self.rounds[round].queries[index] = query;
        self.links[link].users += 1;
        self.links[link].waiting.push_back(query);
        self.waiting += 1;
        self.make_ready(link);
    }

    fn make_ready(&mut self, link: usize) {
        let entry = &mut self.links[link];
        if !entry.queued && !entry.waiting.is_empty() && entry.in_flight < self.options.window {
            entry.queued = true;
            self.ready.push_back(link);
        }
    }

    /// A link is in no queue any more, and may go into another one.
    fn unqueue(&mut self, link: usize) {
        self.links[link].queued = false;
        self.make_ready(link);
        self.note_idle(link);
    }

    /// Starts what may be started, a share of each server's questions in turn.
    fn dispatch(&mut self) {
        while self.in_flight < self.options.max_in_flight.max(1)
            && let Some(link) = self.ready.pop_front()
        {
            if self.dispatch_some(link) {
                self.unqueue(link);
            }
        }
    }

    /// Starts some of a link's questions. Whether it may go on later without something having to happen first.
    fn dispatch_some(&mut self, link: usize) -> bool {
        // Those that start together go by one socket, in one system call.
        let mut last = None;
        for _ in 0..32 {
            let entry = &mut self.links[link];
            if entry.in_flight >= self.options.window.max(1)
                || self.in_flight >= self.options.max_in_flight.max(1)
            {
                break;
            }
            let Some(&query) = entry.waiting.front() else { break };
            if self.is_given_up(query) {
                self.links[link].waiting.pop_front();
                self.waiting -= 1;
                self.settle(query, Err(Failure::Timeout));
                continue;
            }
            let last_port = last.filter(|port| self.links[link].ports.contains(port));
            let port = match last_port.map_or_else(|| self.port(link), |port| Ok(Some(port))) {
                Ok(Some(port)) => {
                    last = Some(port);
                    Ok(port)
                }
                Ok(None) => {
                    self.starved.push_back(link);
                    return false;
                }
                Err(error) => Err(unreachable(&error)),
            };
            // Only now: a link that waits for a socket uses nothing of its rate.
            if let Err(until) = self.links[link].take(self.now) {
                self.throttled.push(Reverse((until, link)));
                return false;
            }
            self.links[link].waiting.pop_front();
            self.waiting -= 1;
            match port.and_then(|port| self.start(query, port)) {
                Ok(()) => {}
                Err(failure) => self.settle(query, Err(failure)),
            }
        }
        true
    }

    fn is_given_up(&self, query: usize) -> bool {
        let query = &self.queries[query];
        let address = self.links[query.link].address;
        let silent = &self.rounds[query.round].round.silent;
        silent.iter().any(|(silent, count)| *silent == address && *count >= Client::TIMEOUTS_ALLOWED)
    }

    /// Gives a question its id, its first try and its timer.
    fn start(&mut self, query: usize, port: usize) -> Result<(), Failure> {
        let id = loop {
            let id = self.random.next().map_err(|error| unreachable(&error))?;
            if self.ports[port].question(id).is_none() {
                break id;
            }
        };
        let pending = &mut self.queries[query];
        let ask = &self.rounds[pending.round].round.asks[pending.index];
        query_of(ask, id, pending.edns)
            .encode_into(&mut pending.packet)
            .map_err(|error| Failure::Malformed(error.to_string()))?;
        pending.id = id;
        pending.stage = Stage::Udp(port);
        // After all tries with EDNS came to nothing, one without.
        let is_last_resort = !pending.edns && pending.first.is_none();
        pending.tries_left = if is_last_resort { 1 } else { self.options.tries.max(1) };
        pending.last = Failure::Timeout;
        let entry = &mut self.ports[port];
        entry.open.push((id, query));
        entry.uses_left -= 1;
        let is_used_up = entry.uses_left == 0;
        let link = &mut self.links[pending.link];
        if is_used_up {
            link.ports.retain(|open| *open != port);
        }
        link.in_flight += 1;
        self.in_flight += 1;
        self.try_once(query, port);
        Ok(())
    }

    fn try_once(&mut self, query: usize, port: usize) {
        let stamp = self.stamp();
        let pending = &mut self.queries[query];
        pending.tries_left -= 1;
        pending.stamp = stamp;
        self.timers.push_back((self.now + self.options.timeout, query, stamp));
        let entry = &mut self.ports[port];
        if entry.outbox.is_empty() {
            self.dirty.push(port);
        }
        entry.outbox.push(query);
    }

    fn on_packet(&mut self, port: usize, octets: &[u8]) {
        let Some(id) = octets.first_chunk().map(|id| u16::from_be_bytes(*id)) else { return };
        let Some(query) = self.ports.get(port).and_then(|entry| entry.question(id)) else {
            tracing::debug!(id, "ignored a DNS packet that no question waits for");
            return;
        };
        let pending = &self.queries[query];
        let ask = &self.rounds[pending.round].round.asks[pending.index];
        match query_of(ask, pending.id, pending.edns).decode_sent(&pending.packet, octets) {
            Ok(response) => {
                let link = pending.link;
                self.links[link].has_answered = true;
                self.leave_port(query);
                if response.truncated {
                    self.start_tcp(query);
                } else {
                    self.on_reply(query, response.reply);
                }
            }
            Err(DecodeError::Damaged(why)) => {
                self.settle(query, Err(Failure::Malformed(why.to_owned())));
            }
            Err(DecodeError::Mismatch(why)) => {
                tracing::debug!(name = %ask.question.name, why, "ignored a stray DNS packet");
            }
        }
    }

    fn try_again(&mut self, query: usize) {
        let pending = &self.queries[query];
        let link = &self.links[pending.link];
        match pending.stage {
            Stage::Udp(port) if pending.tries_left > 0 => self.try_once(query, port),
            // It answers others: maybe this answer is longer than what gets through. Without EDNS it is cut at 512 octets,
            // and the rest comes over TCP.
            _ if pending.edns && pending.last == Failure::Timeout && link.has_answered => {
                self.leave_port(query);
                self.ask_without_edns(query);
            }
            _ => {
                let last = pending.last.clone();
                self.settle(query, Err(last));
            }
        }
    }

    /// Asks again without EDNS where the server does not understand that (RFC 6891 §7).
    fn on_reply(&mut self, query: usize, reply: Reply) {
        let pending = &mut self.queries[query];
        let is_misunderstood = matches!(reply.rcode, Rcode::FormErr | Rcode::NotImp | Rcode::Other(BADVERS));
        if !(pending.edns && is_misunderstood) {
            return self.settle(query, Ok(reply));
        }
        pending.first = Some(reply);
        self.ask_without_edns(query);
    }

    fn ask_without_edns(&mut self, query: usize) {
        let pending = &mut self.queries[query];
        pending.edns = false;
        pending.stage = Stage::Waiting;
        let link = pending.link;
        self.links[link].waiting.push_front(query);
        self.waiting += 1;
        self.make_ready(link);
    }

    /// All that is due by now.
    fn on_time(&mut self) {
        while let Some(&(at, query, stamp)) = self.timers.front() {
            let is_current = self
                .queries
                .get(query)
                .is_some_and(|pending| pending.stamp == stamp && matches!(pending.stage, Stage::Udp(_)));
            if is_current && at > self.now {
                break;
            }
            self.timers.pop_front();
            if is_current {
                self.try_again(query);
            }
        }
        if self.ends.is_some_and(|ends| ends <= self.now) {
            self.end_rounds();
        }
        while let Some(&Reverse((at, link))) = self.throttled.peek()
            && at <= self.now
        {
            self.throttled.pop();
            self.unqueue(link);
        }
        while let Some(&(since, ..)) = self.idle.front()
            && since + IDLE <= self.now
        {
            self.close_idle();
        }
    }

    /// Takes a question off its port.
    fn leave_port(&mut self, query: usize) {
        let pending = &self.queries[query];
        let Stage::Udp(port) = pending.stage else { return };
        let (id, link) = (pending.id, pending.link);
        self.queries[query].stage = Stage::Moving;
        let entry = &mut self.ports[port];
        entry.close(id);
        entry.outbox.retain(|waiting| *waiting != query);
        let is_done = entry.uses_left == 0 && entry.open.is_empty();
        if is_done {
            self.close_port(port);
        }
        self.in_flight -= 1;
        self.links[link].in_flight -= 1;
        self.make_ready(link);
    }

    /// A question is no more; the last one leaves its link idle.
    fn leave_link(&mut self, link: usize) {
        self.links[link].users -= 1;
        self.note_idle(link);
    }

    /// The question has its outcome.
    fn settle(&mut self, query: usize, result: Result<Reply, Failure>) {
        self.leave_port(query);
        let mut pending = self.queries.remove(query);
        pending.packet.clear();
        if self.spare.len() < self.options.window {
            self.spare.push(pending.packet);
        }
        let outcome = match (result, pending.first) {
            (Ok(reply), _) => Outcome::Reply(reply),
            // Where the plain question fails altogether, the first reply is what is known of the server.
            (Err(_), Some(first)) => Outcome::Reply(first),
            (Err(failure), None) => Outcome::Failure(failure),
        };
        if outcome == Outcome::Failure(Failure::Timeout) {
            let address = self.links[pending.link].address;
            let silent = &mut self.rounds[pending.round].round.silent;
            match silent.iter_mut().find(|(silent, _)| *silent == address) {
                Some((_, count)) => *count += 1,
                None => silent.push((address, 1)),
            }
        }
        self.leave_link(pending.link);
        self.record(pending.round, pending.index, outcome);
        self.finish_if_done(pending.round);
    }

    fn record(&mut self, round: usize, index: usize, outcome: Outcome) {
        let running = &mut self.rounds[round];
        let outcome = within(&mut running.round.room, outcome);
        running.queries[index] = SETTLED;
        running.exchanges[index] = Some(running.round.exchange(index, outcome));
        running.open -= 1;
    }

    fn finish_if_done(&mut self, round: usize) {
        if self.rounds[round].open > 0 {
            return;
        }
        let Running { round, exchanges, .. } = self.rounds.remove(round);
        self.by_token.remove(&round.token);
        let timed_out = |index| round.exchange(index, Outcome::Failure(Failure::Timeout));
        let told = exchanges.into_iter().enumerate();
        let exchanges = told.map(|(index, told)| told.unwrap_or_else(|| timed_out(index))).collect();
        let Round { silent, room, reply, .. } = round;
        // Whoever asked may have gone away.
        let _ = reply.send(Finished { exchanges, silent, room });
    }

    /// Ends the rounds that have had their time.
    fn end_rounds(&mut self) {
        let rounds = || self.rounds.iter().map(|(_, running)| &running.round);
        let is_late = |round: &&Round| round.ends.is_some_and(|ends| ends <= self.now);
        let late: Vec<u64> = rounds().filter(is_late).map(|round| round.token).collect();
        for token in late {
            self.stop(token);
        }
        self.ends = self.rounds.iter().filter_map(|(_, running)| running.round.ends).min();
    }

    /// Ends a round: what is open is freed, and told as timed out to whoever still listens.
    fn stop(&mut self, token: u64) {
        let Some(round) = self.by_token.get(&token).copied() else { return };
        let open = std::mem::take(&mut self.rounds[round].queries);
        let mut stopped = Vec::with_capacity(open.len());
        let mut cleared = Vec::new();
        for query in open.into_iter().filter(|query| *query != SETTLED) {
            let link = self.queries[query].link;
            match &self.queries[query].stage {
                // The first one met takes all of its round out of the queue.
                Stage::Waiting if !cleared.contains(&link) => {
                    cleared.push(link);
                    let before = self.links[link].waiting.len();
                    let queries = &self.queries;
                    self.links[link].waiting.retain(|waiting| queries[*waiting].round != round);
                    self.waiting -= before - self.links[link].waiting.len();
                }
                Stage::Udp(_) => self.leave_port(query),
                Stage::Tcp(exchange) => exchange.abort(),
                Stage::Waiting | Stage::Moving => {}
            }
            self.queries[query].stage = Stage::Moving;
            stopped.push(query);
        }
        for query in stopped {
            let link = self.queries.remove(query).link;
            self.leave_link(link);
        }
        self.rounds[round].open = 0;
        self.finish_if_done(round);
    }
}

fn query_of(ask: &Ask, id: u16, edns: bool) -> Query<'_> {
    Query {
        id,
        question: &ask.question,
        recursion_desired: matches!(ask.server, Server::Resolver { .. }),
        checking_disabled: ask.checking_disabled,
        edns,
    }
}

fn unreachable(error: &io::Error) -> Failure {
    let text = error.to_string();
    // The number means something to programmers only.
    Failure::Unreachable(text.split(" (os error ").next().unwrap_or(&text).to_owned())
}
