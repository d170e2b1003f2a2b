//! What sharing sockets between questions must not change: nobody else's answer counts, nothing is left behind, and
//! everything stays bounded.

use crate::support::{at_resolver, client, impatient, local_policy, question, serve, zone, zones};
use diagnosis::observation::{Ask, Failure, Outcome, Reply};
use dns::{
    Client, ClientOptions, Rate,
    authority::{ZoneSet, respond},
};
use futures_util::{StreamExt, future::join_all, stream};
use model::RecordType;
use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    num::NonZeroU32,
    sync::LazyLock,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UdpSocket},
    time::{Instant, timeout},
};

static WORLD: LazyLock<ZoneSet> = LazyLock::new(world);

fn world() -> ZoneSet {
    let hosts: Vec<String> = (0..200).map(|i| format!("h{i} A 192.0.2.{i}")).collect();
    zones(&[zone("acme.test", &format!("@ A 192.0.2.1\n* A 192.0.2.254\n{}", hosts.join("\n")), false)])
}

fn host(index: usize) -> String {
    format!("h{index}.acme.test")
}

fn address(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Reply(Reply { answer, .. }) if answer.len() == 1 => answer[0].data.to_string(),
        other => panic!("{other:?}"),
    }
}

async fn socket() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

async fn next(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = [0; 512];
    let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
    (buffer[..length].to_vec(), from)
}

async fn ask(client: &Client, ask: Ask) -> Outcome {
    let policy = local_policy(vec![ask.server.address()]);
    client.ask(&ask, &policy).await
}

/// Answers of all open questions are sent to each other's ports and under each other's ids before the true ones.
#[tokio::test]
async fn an_answer_counts_only_for_its_own_question() {
    const OPEN: usize = 40;
    let (socket, server) = socket().await;
    tokio::spawn(async move {
        let mut queries = Vec::new();
        while queries.len() < OPEN {
            queries.push(next(&socket).await);
        }
        for (index, (query, from)) in queries.iter().enumerate() {
            let (other, other_port) = &queries[(index + 1) % OPEN];
            let mut wrong_question = respond(&WORLD, other, true).unwrap();
            wrong_question[..2].copy_from_slice(&query[..2]);
            socket.send_to(&wrong_question, from).await.unwrap();
            let right = respond(&WORLD, query, true).unwrap();
            if other_port != from {
                socket.send_to(&right, other_port).await.unwrap();
            }
            let mut wrong_id = right.clone();
            wrong_id[0] ^= 0x80;
            socket.send_to(&wrong_id, from).await.unwrap();
        }
        for (query, from) in queries.iter().rev() {
            let right = respond(&WORLD, query, true).unwrap();
            // The second one is late: nothing waits for it.
            socket.send_to(&right, from).await.unwrap();
            socket.send_to(&right, from).await.unwrap();
        }
    });
    let client = client();
    let outcomes = join_all((0..OPEN).map(|index| {
        let asked = at_resolver(server, question(&host(index), RecordType::A));
        ask(&client, asked)
    }))
    .await;
    for (index, outcome) in outcomes.iter().enumerate() {
        assert_eq!(address(outcome), format!("192.0.2.{index}"));
    }
}

#[tokio::test]
async fn questions_leave_from_many_ports_with_ids_of_their_own() {
    const ASKED: usize = 400;
    let (socket, server) = socket().await;
    let seen = tokio::spawn(async move {
        let mut seen: HashMap<SocketAddr, Vec<u16>> = HashMap::new();
        for _ in 0..ASKED {
            let (query, from) = next(&socket).await;
            seen.entry(from).or_default().push(u16::from_be_bytes([query[0], query[1]]));
            socket.send_to(&respond(&WORLD, &query, true).unwrap(), from).await.unwrap();
        }
        seen
    });
    let client = client();
    let asks = (0..ASKED).map(|index| at_resolver(server, question(&host(index % 200), RecordType::A)));
    let outcomes: Vec<_> =
        stream::iter(asks).map(|asked| ask(&client, asked)).buffer_unordered(8).collect().await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Reply(_))));
    let seen = seen.await.unwrap();
    assert!(seen.len() >= 4, "{} ports", seen.len());
    let ids: HashSet<u16> = seen.values().flatten().copied().collect();
    assert!(ids.len() > ASKED * 9 / 10, "{} ids for {ASKED} questions", ids.len());
    let in_a_row =
        seen.values().flat_map(|ids| ids.windows(2)).filter(|pair| pair[1].wrapping_sub(pair[0]) == 1);
    assert!(in_a_row.count() < 5);
}

#[tokio::test]
async fn a_port_is_not_used_forever() {
    let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let at = server.local_addr().unwrap();
    let ports = tokio::spawn(async move {
        let mut ports: HashMap<SocketAddr, usize> = HashMap::new();
        for _ in 0..2000 {
            let (query, from) = next(&server).await;
            *ports.entry(from).or_default() += 1;
            server.send_to(&respond(&WORLD, &query, true).unwrap(), from).await.unwrap();
        }
        ports
    });
    let client = client();
    let asks = (0..2000).map(|index| at_resolver(at, question(&host(index % 200), RecordType::A)));
    let answered = stream::iter(asks).map(|asked| ask(&client, asked)).buffer_unordered(32).count().await;
    assert_eq!(answered, 2000);
    let ports = ports.await.unwrap();
    assert!(ports.values().all(|uses| *uses <= 256), "{ports:?}");
    assert!(ports.len() >= 8);
}

#[tokio::test]
async fn ten_thousand_questions_at_once_stay_in_the_window() {
    const ASKED: usize = 10_000;
    let (socket, server) = socket().await;
    let most = tokio::spawn(async move {
        // Holds all back until nothing more comes: then all that may be open is.
        let mut held = vec![next(&socket).await];
        while let Ok(query) = timeout(Duration::from_millis(300), next(&socket)).await {
            held.push(query);
        }
        let most = held.len();
        for left in (0..ASKED - most).rev() {
            let (query, from) = held.remove(left % held.len());
            socket.send_to(&respond(&WORLD, &query, true).unwrap(), from).await.unwrap();
            held.push(next(&socket).await);
        }
        for (query, from) in held {
            socket.send_to(&respond(&WORLD, &query, true).unwrap(), from).await.unwrap();
        }
        most
    });
    let client = Client::new(ClientOptions {
        timeout: Duration::from_secs(30),
        tries: 1,
        window: 128,
        ..ClientOptions::default()
    });
    let outcomes = join_all((0..ASKED).map(|index| {
        let asked = at_resolver(server, question(&format!("x{index}.acme.test"), RecordType::A));
        ask(&client, asked)
    }))
    .await;
    assert!(outcomes.iter().all(|outcome| address(outcome) == "192.0.2.254"));
    assert_eq!(most.await.unwrap(), 128);
    assert_eq!(client.sent(), ASKED as u64);
}

#[tokio::test]
async fn a_question_that_nobody_waits_for_frees_its_place() {
    let (socket, server) = socket().await;
    let client = Client::new(ClientOptions {
        timeout: Duration::from_secs(30),
        window: 2,
        ..ClientOptions::default()
    });
    for index in 0..6 {
        let asked = at_resolver(server, question(&host(index), RecordType::A));
        // Neither answered nor timed out: given up by the one who asked.
        assert!(timeout(Duration::from_millis(30), ask(&client, asked)).await.is_err());
    }
    let mut names = HashSet::new();
    while let Ok((query, _)) = timeout(Duration::from_millis(50), next(&socket)).await {
        names.insert(query[12..].to_vec());
    }
    assert_eq!(names.len(), 6, "each was sent although all before are unanswered and the window is 2");
    let asked = at_resolver(server, question("acme.test", RecordType::A));
    let answering = async {
        let (query, from) = next(&socket).await;
        socket.send_to(&respond(&WORLD, &query, true).unwrap(), from).await.unwrap();
    };
    assert_eq!(address(&tokio::join!(ask(&client, asked), answering).0), "192.0.2.1");
}

#[tokio::test]
async fn a_server_that_went_away_harms_nobody_else() {
    let good = serve("127.0.0.1:0", world()).await;
    let (socket, gone) = socket().await;
    drop(socket);
    let client = client();
    let asks = (0..60).map(|index| {
        let server = if index % 2 == 0 { gone } else { good.address };
        at_resolver(server, question(&host(index), RecordType::A))
    });
    let outcomes = join_all(asks.map(|asked| ask(&client, asked))).await;
    for (index, outcome) in outcomes.iter().enumerate() {
        match outcome {
            Outcome::Failure(Failure::Unreachable(_)) => assert_eq!(index % 2, 0),
            reply => assert_eq!(address(reply), format!("192.0.2.{index}")),
        }
    }
    assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Failure(_))).count(), 30);
}

#[tokio::test]
async fn the_longest_answer_comes_over_tcp_and_a_liar_about_its_length_does_not_hang() {
    let (udp, server) = socket().await;
    let tcp = TcpListener::bind(server).await.unwrap();
    tokio::spawn(async move {
        loop {
            let (query, from) = next(&udp).await;
            let mut answer = respond(&WORLD, &query, true).unwrap();
            answer[2] |= 2;
            udp.send_to(&answer, from).await.unwrap();
        }
    });
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = tcp.accept().await.unwrap();
            tokio::spawn(async move {
                let length = stream.read_u16().await.unwrap();
                let mut query = vec![0; length.into()];
                stream.read_exact(&mut query).await.unwrap();
                let lies = query[13] == b'l';
                // One TXT record as long as a message can be.
                let mut answer = query[..query.len() - 11].to_vec();
                answer[2] |= 0x80;
                answer[7] = 1;
                answer[11] = 0;
                let strings = (65_535 - answer.len() - 12) / 256;
                answer.extend_from_slice(b"\xc0\x0c\x00\x10\x00\x01\x00\x00\x00\x3c");
                answer.extend_from_slice(&u16::try_from(strings * 256).unwrap().to_be_bytes());
                for _ in 0..strings {
                    answer.push(255);
                    answer.extend_from_slice(&[b'x'; 255]);
                }
                let told = if lies { u16::MAX } else { u16::try_from(answer.len()).unwrap() };
                stream.write_all(&told.to_be_bytes()).await.unwrap();
                stream.write_all(&answer[..if lies { 100 } else { answer.len() }]).await.unwrap();
                // Neither closes nor goes on.
                let _ = stream.read_u8().await;
            });
        }
    });
    let long = ask(&client(), at_resolver(server, question("acme.test", RecordType::Txt))).await;
    assert_eq!(address(&long).len(), 255 * 255);
    let lie = ask(&impatient(), at_resolver(server, question("l.acme.test", RecordType::Txt))).await;
    assert!(matches!(&lie, Outcome::Failure(Failure::TruncatedWithoutTcp(_))), "{lie:?}");
}

#[tokio::test]
async fn a_rate_holds_questions_back() {
    let server = serve("127.0.0.1:0", world()).await;
    let rate = Rate::PerServer(NonZeroU32::new(100).unwrap());
    let client = Client::new(ClientOptions { rate, ..ClientOptions::default() });
    let started = Instant::now();
    let asks = (0..84).map(|index| at_resolver(server.address, question(&host(index), RecordType::A)));
    let outcomes = join_all(asks.map(|asked| ask(&client, asked))).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Reply(_))));
    // A burst of 64, and 20 more at 100 a second.
    assert!(started.elapsed() >= Duration::from_millis(190), "{:?}", started.elapsed());
}

#[test]
fn a_client_outlives_the_runtime_of_its_first_question() {
    let client = client();
    for _ in 0..2 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let outcome = runtime.block_on(async {
            let server = serve("127.0.0.1:0", world()).await;
            ask(&client, at_resolver(server.address, question("acme.test", RecordType::A))).await
        });
        assert_eq!(address(&outcome), "192.0.2.1");
    }
}

#[tokio::test]
async fn servers_are_asked_over_ipv6() {
    // A machine without IPv6 has nothing to ask.
    if UdpSocket::bind("[::1]:0").await.is_err() {
        return;
    }
    let server = serve("[::1]:0", world()).await;
    let outcome = ask(&client(), at_resolver(server.address, question("acme.test", RecordType::A))).await;
    assert_eq!(address(&outcome), "192.0.2.1");
}

/// Far less than a server may go unasked before its sockets are closed.
const SOON: Duration = Duration::from_secs(3);

#[tokio::test]
async fn sockets_of_servers_that_are_done_go_to_those_that_wait_for_one() {
    let client = Client::new(ClientOptions { max_sockets: 2, ..ClientOptions::default() });
    let servers = join_all((0..12).map(|_| serve("127.0.0.1:0", world()))).await;
    let asks = servers.iter().flat_map(|server| {
        (0..3).map(|index| at_resolver(server.address, question(&host(index), RecordType::A)))
    });
    let outcomes = timeout(SOON, join_all(asks.map(|question| ask(&client, question)))).await.unwrap();
    for (index, outcome) in outcomes.iter().enumerate() {
        assert_eq!(address(outcome), format!("192.0.2.{}", index % 3));
    }
}

#[tokio::test]
async fn a_server_that_nobody_waits_for_takes_no_socket_from_others() {
    let client = Client::new(ClientOptions { max_sockets: 1, ..ClientOptions::default() });
    let (slow, slow_address) = socket().await;
    let (_silent, silent_address) = socket().await;
    let server = serve("127.0.0.1:0", world()).await;
    let about = |address| at_resolver(address, question(&host(1), RecordType::A));
    let first = tokio::spawn({
        let (client, about) = (client.clone(), about(slow_address));
        async move { ask(&client, about).await }
    });
    // It has the one socket.
    let (packet, from) = next(&slow).await;
    let mut second = Box::pin(ask(&client, about(silent_address)));
    let mut third = Box::pin(ask(&client, about(server.address)));
    // Both are handed over, in this order, before the first one is answered.
    for _ in 0..8 {
        assert!(futures_util::poll!(&mut second).is_pending());
        assert!(futures_util::poll!(&mut third).is_pending());
        tokio::task::yield_now().await;
    }
    drop(second);
    slow.send_to(&respond(&WORLD, &packet, true).unwrap(), from).await.unwrap();
    assert_eq!(address(&timeout(SOON, third).await.unwrap()), "192.0.2.1");
    assert_eq!(address(&first.await.unwrap()), "192.0.2.1");
}

/// A server whose answers are all truncated, and whose TCP connections are taken and never answered.
async fn truncating() -> (SocketAddr, TcpListener) {
    let (udp, server) = loop {
        let (udp, server) = socket().await;
        if let Ok(tcp) = TcpListener::bind(server).await {
            break (udp, (server, tcp));
        }
    };
    tokio::spawn(async move {
        loop {
            let (packet, from) = next(&udp).await;
            let mut answer = respond(&WORLD, &packet, true).unwrap();
            answer[2] |= 2;
            udp.send_to(&answer, from).await.unwrap();
        }
    });
    server
}

#[tokio::test]
async fn a_server_that_leaves_its_connections_unanswered_has_no_more_than_its_share() {
    let options = ClientOptions { tcp_timeout: Duration::from_millis(200), ..ClientOptions::default() };
    let (client, (server, tcp)) = (Client::new(options), truncating().await);
    let asks = (0..12).map(|index| at_resolver(server, question(&host(index), RecordType::A)));
    let mut asked = Box::pin(join_all(asks.map(|question| ask(&client, question))));
    let (mut accepted, mut open, mut most) = (0, stream::FuturesUnordered::new(), 0);
    let outcomes = loop {
        tokio::select! {
            biased;
            // Those that have ended are counted before those that take their place.
            Some(()) = open.next() => {}
            Ok((mut connection, _)) = tcp.accept() => {
                accepted += 1;
                open.push(async move {
                    let mut all = Vec::new();
                    let _ = connection.read_to_end(&mut all).await;
                });
                most = most.max(open.len());
            }
            outcomes = &mut asked => break outcomes,
        }
    };
    assert_eq!((accepted, most), (12, 4));
    for outcome in outcomes {
        assert!(matches!(&outcome, Outcome::Failure(Failure::TruncatedWithoutTcp(_))), "{outcome:?}");
    }
}
