//! What hangs on the engine's own time.

use super::*;
use diagnosis::observation::Question;
use model::{DomainName, RecordType, Timestamp};
use std::net::UdpSocket;
use tokio::{sync::oneshot, time::advance};

fn ask(address: SocketAddr) -> Ask {
    let question = Question { name: DomainName::parse("acme.test").unwrap(), record_type: RecordType::A };
    Ask::new(question, Server::Resolver { address })
}

fn round(asks: Vec<Ask>, ends: Option<Instant>) -> (Round, oneshot::Receiver<Finished>) {
    let (reply, finished) = oneshot::channel();
    let clock: super::super::Clock = Arc::new(|| Timestamp::UNIX_EPOCH);
    let silent = Vec::new();
    let room = usize::MAX;
    let asks = Arc::new(asks);
    (
        Round {
            token: 1,
            asks,
            private_addresses: true,
            public_names: false,
            clock,
            silent,
            ends,
            room,
            reply,
        },
        finished,
    )
}

fn engine() -> Engine {
    Engine::new(ClientOptions::default(), Arc::default(), Arc::default())
}

/// A server that says nothing.
fn silent() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

#[tokio::test(start_paused = true)]
async fn a_round_whose_time_is_over_when_it_is_taken_is_not_asked() {
    let mut engine = engine();
    let (_rounds, mut rounds) = mpsc::channel(1);
    let (_socket, address) = silent();
    let (round, finished) = round(vec![ask(address)], Some(Instant::now() + Duration::from_secs(5)));
    advance(Duration::from_secs(6)).await;
    engine.turn(Event::Round(round), &mut rounds);
    let exchanges = finished.await.unwrap().exchanges;
    assert_eq!(exchanges[0].outcome, Outcome::Failure(Failure::Timeout));
    assert_eq!(engine.sent.load(Ordering::Relaxed), 0);
}

/// Whoever waits for a round has no timer of his own.
#[tokio::test(start_paused = true)]
async fn rounds_end_when_their_time_is_over_and_others_go_on() {
    let mut engine = engine();
    let (_rounds, mut rounds) = mpsc::channel(1);
    let (_socket, address) = silent();
    let now = Instant::now();
    let mut begin = |engine: &mut Engine, token: u64, seconds: u64| {
        let (round, finished) = round(vec![ask(address)], Some(now + Duration::from_secs(seconds)));
        engine.turn(Event::Round(Round { token, ..round }), &mut rounds);
        finished
    };
    let mut short = begin(&mut engine, 1, 1);
    let mut long = begin(&mut engine, 2, 3);
    assert_eq!(engine.next_wake(), Some(now + Duration::from_secs(1)));
    advance(Duration::from_secs(1)).await;
    engine.turn(Event::Time, &mut rounds);
    assert_eq!(short.try_recv().unwrap().exchanges[0].outcome, Outcome::Failure(Failure::Timeout));
    assert!(long.try_recv().is_err());
    assert_eq!(engine.ends, Some(now + Duration::from_secs(3)));
    // The second try of the other one is under way.
    advance(Duration::from_secs(2)).await;
    engine.turn(Event::Time, &mut rounds);
    assert_eq!(long.try_recv().unwrap().exchanges.len(), 1);
    assert_eq!((engine.ends, engine.queries.len()), (None, 0));
}

#[tokio::test(start_paused = true)]
async fn another_try_after_an_error_has_its_whole_time() {
    let mut engine = engine();
    let (_rounds, mut rounds) = mpsc::channel(1);
    let (socket, address) = silent();
    let (round, mut finished) = round(vec![ask(address)], None);
    engine.turn(Event::Round(round), &mut rounds);
    // The server goes away, and a packet of ours tells the kernel so.
    drop(socket);
    let (port, entry) = engine.ports.iter().next().unwrap();
    let (which, socket) = ((port, entry.stamp), Arc::clone(&entry.socket));
    socket.writable().await.unwrap();
    socket.try_send(b"").unwrap();
    advance(Duration::from_millis(1900)).await;
    engine.turn(Event::Readable(Some(which)), &mut rounds);
    assert_eq!(engine.sent.load(Ordering::Relaxed), 2, "the error led to another try");
    let ends = engine.timers.back().unwrap().0;
    assert_eq!(ends, Instant::now() + engine.options.timeout);
    assert!(finished.try_recv().is_err());
}

/// The rest of a round is told at once when a server has failed over TCP twice.
#[tokio::test]
async fn tcp_is_given_up_where_it_failed_twice_in_a_round() {
    let mut engine = engine();
    let (_rounds, mut rounds) = mpsc::channel(1);
    let (_socket, address) = silent();
    let (_other_socket, other) = silent();
    let mut asks = vec![ask(address); 6];
    asks.push(ask(other));
    let (round, mut finished) = round(asks, None);
    engine.turn(Event::Round(round), &mut rounds);
    let queries = engine.rounds.iter().next().unwrap().1.queries.clone();
    // All but one of the first server's answers were truncated.
    for query in [0, 1, 2, 3, 4, 6].map(|index| queries[index]) {
        engine.leave_port(query);
        engine.start_tcp(query);
    }
    let fail = |engine: &mut Engine, index: usize| {
        let (query, stamp) = (queries[index], engine.queries[queries[index]].stamp);
        engine.on_tcp(Some((
            query,
            stamp,
            Err(Failure::TruncatedWithoutTcp("no answer in time".to_owned())),
        )));
    };
    fail(&mut engine, 0);
    assert_eq!(engine.queries.len(), 6);
    fail(&mut engine, 1);
    let left: Vec<usize> = engine.queries.iter().map(|(query, _)| query).collect();
    assert_eq!(left, [queries[5], queries[6]], "one that has its answer to come, and another server's");
    engine.leave_port(queries[5]);
    engine.start_tcp(queries[5]);
    assert_eq!(engine.queries.len(), 1);
    assert!(finished.try_recv().is_err());
    fail(&mut engine, 6);
    let exchanges = finished.try_recv().unwrap().exchanges;
    assert_eq!(exchanges.len(), 7);
    for exchange in exchanges {
        let outcome = &exchange.outcome;
        assert!(matches!(outcome, Outcome::Failure(Failure::TruncatedWithoutTcp(_))), "{outcome:?}");
    }
}
