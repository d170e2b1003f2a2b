//! The server's sockets.

use crate::support::{at_authority, client, local_policy, name, question, serve, zone, zones};
use arc_swap::ArcSwap;
use diagnosis::observation::Outcome;
use dns::{
    authority::{Cookies, KeyTable, Options, Server, ServerError, ZoneSet, ZoneSetBuilder},
    wire::Query,
};
use model::{RecordData, RecordType, TxtData};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::timeout,
};
use tokio_util::sync::{CancellationToken, DropGuard};

fn acme(text: &str) -> ZoneSet {
    zones(&[zone("acme.test", &format!("@ TXT \"{text}\""), false)])
}

#[tokio::test]
async fn several_queries_on_one_connection_are_answered_in_turn() {
    let server = serve("127.0.0.1:0", acme("x")).await;
    let txt = question("acme.test", RecordType::Txt);
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let mut sent = Vec::new();
    for id in [1, 2, 3] {
        let query =
            Query { id, question: &txt, recursion_desired: false, checking_disabled: false, edns: true };
        let octets = query.encode().unwrap();
        sent.extend_from_slice(&u16::try_from(octets.len()).unwrap().to_be_bytes());
        sent.extend_from_slice(&octets);
    }
    stream.write_all(&sent).await.unwrap();
    for id in [1, 2, 3] {
        let mut answer = vec![0; usize::from(stream.read_u16().await.unwrap())];
        stream.read_exact(&mut answer).await.unwrap();
        let query =
            Query { id, question: &txt, recursion_desired: false, checking_disabled: false, edns: true };
        assert_eq!(query.decode(&answer).unwrap().reply.answer.len(), 1);
    }
    // Junk ends the connection.
    stream.write_all(b"\x00\x03abc").await.unwrap();
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
}

/// Sends a query on a connection, and waits for the answer.
async fn asks(stream: &mut TcpStream) {
    let octets = txt_query(None);
    let framed = [&[0, u8::try_from(octets.len()).unwrap()], octets.as_slice()].concat();
    stream.write_all(&framed).await.unwrap();
    let mut answer = vec![0; usize::from(stream.read_u16().await.unwrap())];
    stream.read_exact(&mut answer).await.unwrap();
}

/// A question for the TXT record of acme.test, with these EDNS options where there are any.
fn txt_query(options: Option<&[u8]>) -> Vec<u8> {
    let txt = question("acme.test", RecordType::Txt);
    let edns = options.is_some();
    let query = Query { id: 9, question: &txt, recursion_desired: false, checking_disabled: false, edns };
    let mut octets = query.encode().unwrap();
    if let Some(options) = options {
        let length = octets.len();
        octets[length - 2..].copy_from_slice(&u16::try_from(options.len()).unwrap().to_be_bytes());
        octets.extend_from_slice(options);
    }
    octets
}

async fn with(options: Options) -> (SocketAddr, DropGuard) {
    let zones = Arc::new(ArcSwap::from_pointee(acme("x")));
    let server = Server::bind_with("127.0.0.1:0".parse().unwrap(), zones, options).await.unwrap();
    let (address, stop) = (server.local_addr(), CancellationToken::new());
    tokio::spawn(server.run(stop.clone()));
    (address, stop.drop_guard())
}

async fn udp(server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(server).await.unwrap();
    socket
}

/// What comes within a time in which it comes if it comes at all.
async fn answer(socket: &UdpSocket) -> Option<Vec<u8>> {
    let mut octets = vec![0; 1232];
    let length = timeout(Duration::from_millis(500), socket.recv(&mut octets)).await.ok()?.unwrap();
    octets.truncate(length);
    Some(octets)
}

#[tokio::test]
async fn the_idlest_connection_makes_room_for_a_new_one_and_udp_goes_on() {
    let (server, _stop) = with(Options { connections: (5, 3), ..Options::default() }).await;
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(server).await.unwrap();
        asks(&mut stream).await;
        open.push(stream);
    }
    // The first one asks again: the second one has been idle longest now.
    asks(&mut open[0]).await;
    let mut fourth = TcpStream::connect(server).await.unwrap();
    asks(&mut fourth).await;
    assert!(matches!(open[1].read(&mut [0; 1]).await, Ok(0) | Err(_)), "three of one network, no more");
    asks(&mut open[0]).await;
    asks(&mut open[2]).await;
    let outcome = client()
        .ask(
            &at_authority(server, "acme.test", question("acme.test", RecordType::Txt)),
            &local_policy(vec![server]),
        )
        .await;
    assert!(matches!(outcome, Outcome::Reply(_)));
}

#[tokio::test]
async fn a_flood_from_one_network_is_answered_in_part_and_tcp_is_there_for_the_rest() {
    let cookies = Some(Cookies::new([5; 16]));
    let options =
        Options { rate_limit: Some((10, [1; 16])), cookies, clock: || 1_000_000, ..Options::default() };
    let (server, _stop) = with(options).await;
    let socket = udp(server).await;
    let (mut whole, mut cut, mut sent) = (0, 0, 0);
    while sent < 60 {
        socket.send(&txt_query(None)).await.unwrap();
        sent += 1;
        // Each is answered before the next: what is not answered was dropped, not lost.
        let mut octets = [0; 1232];
        match timeout(Duration::from_millis(20), socket.recv(&mut octets)).await {
            Ok(length) if octets[2] & 2 == 0 => {
                assert_eq!(octets[7], 1);
                whole += 1;
                length.unwrap();
            }
            Ok(length) => {
                assert_eq!(
                    (length.unwrap(), octets[7]),
                    (txt_query(None).len(), 0),
                    "no longer than what came"
                );
                cut += 1;
            }
            Err(_) => {}
        }
    }
    assert!((10..40).contains(&whole), "{whole} of {sent}");
    assert!(cut > 0 && whole + cut < sent, "{whole} whole, {cut} cut of {sent}");
    let mut stream = TcpStream::connect(server).await.unwrap();
    for _ in 0..30 {
        asks(&mut stream).await;
    }
    // Whoever shows a cookie of ours is not counted.
    let first = [&[0, 10, 0, 8], [7; 8].as_slice()].concat();
    let given = loop {
        socket.send(&txt_query(Some(&first))).await.unwrap();
        if let Some(octets) = answer(&socket).await.filter(|octets| octets[2] & 2 == 0) {
            break octets;
        }
    };
    let cookie = &given[given.len() - 24..];
    assert_eq!(cookie[..8], [7; 8]);
    let shown = [&[0, 10, 0, 24], cookie].concat();
    for _ in 0..60 {
        socket.send(&txt_query(Some(&shown))).await.unwrap();
        let octets = answer(&socket).await.unwrap();
        assert_eq!((octets[2] & 2, octets[7]), (0, 1));
    }
}

#[tokio::test]
async fn each_address_answers_from_itself() {
    let zones = Arc::new(ArcSwap::from_pointee(acme("x")));
    let server = Server::bind("0.0.0.0:0".parse().unwrap(), zones).await.unwrap();
    let (address, stop) = (server.local_addr(), CancellationToken::new());
    tokio::spawn(server.run(stop.clone()));
    let _stop = stop.drop_guard();
    // A connected socket takes nothing that another address sends.
    let own: Vec<_> = nix::ifaddrs::getifaddrs()
        .unwrap()
        .filter_map(|interface| Some(interface.address?.as_sockaddr_in()?.ip()))
        .collect();
    assert!(!own.is_empty());
    for ip in own {
        let socket = UdpSocket::bind("0.0.0.0:0").await.unwrap();
        socket.connect((ip, address.port())).await.unwrap();
        socket.send(&txt_query(None)).await.unwrap();
        assert_eq!(answer(&socket).await.unwrap()[7], 1, "{ip}");
    }
}

#[tokio::test]
async fn which_server_it_is_and_why_it_refuses_is_told_to_those_who_ask() {
    let (server, _stop) = with(Options { nsid: "node-7".to_owned(), ..Options::default() }).await;
    let socket = udp(server).await;
    socket.send(&txt_query(Some(&[0, 3, 0, 0]))).await.unwrap();
    let octets = answer(&socket).await.unwrap();
    assert!(octets.ends_with(b"\x00\x03\x00\x06node-7"), "{octets:?}");
    let elsewhere = question("example.org", RecordType::Txt);
    let query =
        Query { id: 9, question: &elsewhere, recursion_desired: false, checking_disabled: false, edns: true };
    socket.send(&query.encode().unwrap()).await.unwrap();
    let reply = query.decode(&answer(&socket).await.unwrap()).unwrap().reply;
    assert_eq!(reply.extended_error.unwrap().code, 20);
}

/// A hundred zone sets come and go while four clients ask.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swap_loses_no_query() {
    let origin = name("dkim.acme.test");
    let mut keys = KeyTable::new(&origin, 300).unwrap();
    keys.insert("stays", "always").unwrap();
    let mut builder = ZoneSetBuilder::new(1);
    builder.add_with_keys(&zone("acme.test", "@ TXT \"x\"", false), keys.clone()).unwrap();
    let server = serve("127.0.0.1:0", builder.build()).await;
    let asked = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (address, asked) = (server.address, Arc::clone(&asked));
            tokio::spawn(async move {
                let socket = udp(address).await;
                let stays = question("stays.dkim.acme.test", RecordType::Txt);
                let mut told = 0;
                while asked.load(Ordering::Relaxed) < 4000 {
                    let query = Query {
                        id: 3,
                        question: &stays,
                        recursion_desired: false,
                        checking_disabled: false,
                        edns: true,
                    };
                    socket.send(&query.encode().unwrap()).await.unwrap();
                    let mut octets = vec![0; 1232];
                    let length =
                        timeout(Duration::from_secs(5), socket.recv(&mut octets)).await.unwrap().unwrap();
                    let reply = query.decode(&octets[..length]).unwrap().reply;
                    assert_eq!(reply.answer[0].data, RecordData::Txt(TxtData::from_text("always")));
                    asked.fetch_add(1, Ordering::Relaxed);
                    told += 1;
                }
                told
            })
        })
        .collect();
    for generation in 2..102_u64 {
        keys.insert(&format!("k{generation}"), "comes").unwrap();
        keys.remove(&format!("k{}", generation.saturating_sub(3)));
        let before = asked.load(Ordering::Relaxed);
        let next = server.zones.load().with_keys(generation, &name("acme.test"), keys.clone(), 2).unwrap();
        server.zones.store(Arc::new(next));
        // Some are asked of each set.
        while asked.load(Ordering::Relaxed) < (before + 8).min(4000) {
            tokio::task::yield_now().await;
        }
    }
    let mut told = 0;
    for client in clients {
        told += client.await.unwrap();
    }
    assert!(told >= 4000, "{told} asked and answered");
}

#[tokio::test]
async fn a_new_set_of_zones_counts_from_the_next_query() {
    let server = serve("127.0.0.1:0", acme("old")).await;
    let policy = local_policy(vec![server.address]);
    let ask = at_authority(server.address, "acme.test", question("acme.test", RecordType::Txt));
    for text in ["old", "new"] {
        server.zones.store(Arc::new(acme(text)));
        let Outcome::Reply(reply) = client().ask(&ask, &policy).await else { panic!("no reply") };
        assert_eq!(reply.answer[0].data, RecordData::Txt(TxtData::from_text(text)));
    }
}

#[tokio::test]
async fn a_port_in_use_is_told() {
    let server = serve("127.0.0.1:0", ZoneSet::default()).await;
    let error = Server::bind(server.address, Arc::clone(&server.zones)).await.unwrap_err();
    assert!(matches!(error, ServerError::Bind { .. }));
    assert!(error.to_string().contains(&server.address.to_string()), "{error}");
}
