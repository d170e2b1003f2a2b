//! The client against our server, and against servers that lie, stutter or stay silent.

use crate::support::{
    at_authority, at_resolver, client, impatient, local_policy, question, serve, zone, zones,
};
use diagnosis::{
    inquiry::Policy,
    observation::{Failure, Outcome, Rcode, Reply},
};
use dns::authority::{ZoneSet, respond};
use model::{RecordData, RecordType};
use std::{net::SocketAddr, time::Duration};
use tokio::{net::UdpSocket, time::timeout};

fn acme(address: &str) -> ZoneSet {
    zones(&[zone("acme.test", &format!("@ A {address}\n@ TXT \"x\""), false)])
}

fn reply(outcome: Outcome) -> Reply {
    match outcome {
        Outcome::Reply(reply) => reply,
        Outcome::Failure(failure) => panic!("{failure}"),
    }
}

fn address(reply: &Reply) -> String {
    assert_eq!(reply.answer.len(), 1);
    reply.answer[0].data.to_string()
}

async fn socket() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

#[tokio::test]
async fn a_long_answer_comes_over_tcp() {
    let strings: Vec<String> =
        (0..12).map(|i| format!("\"{}\"", i.to_string().repeat(250 / (i / 10 + 1)))).collect();
    let text = format!("long TXT {}", strings.join(" "));
    let server = serve("127.0.0.1:0", zones(&[zone("acme.test", &text, false)])).await;
    let ask = at_authority(server.address, "acme.test", question("long.acme.test", RecordType::Txt));
    let reply = reply(client().ask(&ask, &local_policy(vec![server.address])).await);
    assert!(reply.authoritative);
    let RecordData::Txt(txt) = &reply.answer[0].data else { panic!("{reply:?}") };
    assert_eq!((txt.strings().count(), txt.joined().len()), (12, 3000));
}

#[tokio::test]
async fn without_tcp_a_long_answer_is_a_failure_that_says_so() {
    let (socket, server) = socket().await;
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        let (length, client) = socket.recv_from(&mut buffer).await.unwrap();
        let mut answer = respond(&acme("192.0.2.1"), &buffer[..length], true).unwrap();
        answer[2] |= 2;
        socket.send_to(&answer, client).await.unwrap();
    });
    let ask = at_resolver(server, question("acme.test", RecordType::A));
    let outcome = client().ask(&ask, &local_policy(vec![server])).await;
    assert!(matches!(&outcome, Outcome::Failure(Failure::TruncatedWithoutTcp(_))), "{outcome:?}");
}

#[tokio::test]
async fn forged_answers_are_ignored_and_the_true_one_is_awaited() {
    let (socket, server) = socket().await;
    let (stranger, _) = self::socket().await;
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        let (length, client) = socket.recv_from(&mut buffer).await.unwrap();
        let query = &buffer[..length];
        let forged = respond(&acme("192.0.2.66"), query, true).unwrap();
        // Of a stranger, who even guessed the id.
        stranger.send_to(&forged, client).await.unwrap();
        let mut wrong_id = forged.clone();
        wrong_id[0] ^= 1;
        socket.send_to(&wrong_id, client).await.unwrap();
        let mut wrong_name = forged.clone();
        wrong_name[13] = b'X';
        socket.send_to(&wrong_name, client).await.unwrap();
        let mut wrong_type = forged.clone();
        let end_of_question = length - 11;
        wrong_type[end_of_question - 3] = 28;
        socket.send_to(&wrong_type, client).await.unwrap();
        let mut not_a_response = forged.clone();
        not_a_response[2] &= 0x7f;
        socket.send_to(&not_a_response, client).await.unwrap();
        let mut no_question = forged[..12].to_vec();
        no_question[4..12].fill(0);
        socket.send_to(&no_question, client).await.unwrap();
        socket.send_to(b"junk", client).await.unwrap();
        let true_one = respond(&acme("192.0.2.1"), query, true).unwrap();
        socket.send_to(&true_one, client).await.unwrap();
    });
    let ask = at_resolver(server, question("acme.test", RecordType::A));
    let outcome = client().ask(&ask, &local_policy(vec![server])).await;
    assert_eq!(address(&reply(outcome)), "192.0.2.1");
}

#[tokio::test]
async fn silence_is_asked_twice_and_then_a_timeout() {
    let (socket, server) = socket().await;
    let ask = at_resolver(server, question("acme.test", RecordType::A));
    let outcome = impatient().ask(&ask, &local_policy(vec![server])).await;
    assert_eq!(outcome, Outcome::Failure(Failure::Timeout));
    let mut first = [0; 512];
    let mut second = [0; 512];
    let (length, from) = socket.recv_from(&mut first).await.unwrap();
    assert_eq!(socket.recv_from(&mut second).await.unwrap(), (length, from));
    assert_eq!(first, second, "the second try repeats the first, so that a late answer to it counts");
    assert!(timeout(Duration::from_millis(20), socket.recv_from(&mut first)).await.is_err(), "and no third");
}

#[tokio::test]
async fn the_second_try_can_succeed() {
    let (socket, server) = socket().await;
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        socket.recv_from(&mut buffer).await.unwrap();
        let (length, client) = socket.recv_from(&mut buffer).await.unwrap();
        let answer = respond(&acme("192.0.2.1"), &buffer[..length], true).unwrap();
        socket.send_to(&answer, client).await.unwrap();
    });
    let ask = at_resolver(server, question("acme.test", RecordType::A));
    assert_eq!(address(&reply(impatient().ask(&ask, &local_policy(vec![server])).await)), "192.0.2.1");
}

#[tokio::test]
async fn a_closed_port_is_unreachable_not_silent() {
    let (socket, server) = socket().await;
    drop(socket);
    let ask = at_resolver(server, question("acme.test", RecordType::A));
    let outcome = client().ask(&ask, &local_policy(vec![server])).await;
    assert!(matches!(&outcome, Outcome::Failure(Failure::Unreachable(_))), "{outcome:?}");
}

#[tokio::test]
async fn a_server_that_does_not_know_edns_is_asked_without() {
    let (socket, server) = socket().await;
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        loop {
            let (length, client) = socket.recv_from(&mut buffer).await.unwrap();
            let answer = if buffer[11] == 0 {
                respond(&acme("192.0.2.1"), &buffer[..length], true).unwrap()
            } else {
                // As such servers do: the header alone.
                let mut answer = buffer[..12].to_vec();
                answer[2] |= 0x80;
                answer[3] = 1;
                answer[4..12].fill(0);
                answer
            };
            socket.send_to(&answer, client).await.unwrap();
        }
    });
    let ask = at_resolver(server, question("acme.test", RecordType::A));
    assert_eq!(address(&reply(client().ask(&ask, &local_policy(vec![server])).await)), "192.0.2.1");
}

/// As behind a firewall that lets no long packets through.
#[tokio::test]
async fn an_answer_that_is_lost_for_its_length_is_asked_for_without_edns_once() {
    let (socket, server) = socket().await;
    let asked = tokio::spawn(async move {
        let (mut buffer, mut with_edns, mut without) = ([0; 512], 0, 0);
        while without == 0 {
            let (length, client) = socket.recv_from(&mut buffer).await.unwrap();
            let is_long = buffer[length - if buffer[11] == 0 { 3 } else { 14 }] == 28;
            match (is_long, buffer[11]) {
                (true, 1) => with_edns += 1,
                (true, _) => without += 1,
                _ => {}
            }
            if !is_long || buffer[11] == 0 {
                let answer = respond(&acme("192.0.2.1"), &buffer[..length], true).unwrap();
                socket.send_to(&answer, client).await.unwrap();
            }
        }
        (with_edns, without)
    });
    let (client, policy) = (impatient(), local_policy(vec![server]));
    let short = at_resolver(server, question("acme.test", RecordType::A));
    let long = at_resolver(server, question("acme.test", RecordType::Aaaa));
    assert_eq!(address(&reply(client.ask(&short, &policy).await)), "192.0.2.1");
    assert!(matches!(client.ask(&long, &policy).await, Outcome::Reply(_)));
    assert_eq!(asked.await.unwrap(), (2, 1));
}

#[tokio::test]
async fn a_damaged_answer_is_told_apart_from_silence() {
    let (socket, server) = socket().await;
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        let (length, client) = socket.recv_from(&mut buffer).await.unwrap();
        let mut answer = respond(&acme("192.0.2.1"), &buffer[..length], true).unwrap();
        answer[7] = 9;
        socket.send_to(&answer, client).await.unwrap();
    });
    let ask = at_resolver(server, question("acme.test", RecordType::A));
    let outcome = client().ask(&ask, &local_policy(vec![server])).await;
    assert!(matches!(&outcome, Outcome::Failure(Failure::Malformed(_))), "{outcome:?}");
}

#[tokio::test]
async fn private_name_servers_are_not_asked_unless_allowed() {
    let server = serve("127.0.0.1:0", acme("192.0.2.1")).await;
    let policy = local_policy(vec![server.address]);
    let strict = Policy { private_addresses: false, ..policy.clone() };
    let ask = at_authority(server.address, "acme.test", question("acme.test", RecordType::A));
    assert_eq!(client().ask(&ask, &strict).await, Outcome::Failure(Failure::Forbidden));
    assert_eq!(address(&reply(client().ask(&ask, &policy).await)), "192.0.2.1");
    // The operator chose the resolvers: those may be anywhere.
    let ask = at_resolver(server.address, question("other.test", RecordType::A));
    assert_eq!(reply(client().ask(&ask, &strict).await).rcode, Rcode::Refused);
}

#[tokio::test]
async fn recursion_is_desired_of_resolvers_only() {
    let (socket, server) = socket().await;
    let policy = local_policy(vec![server]);
    let mut buffer = [0; 512];
    let question = question("acme.test", RecordType::A);
    for (ask, desired) in
        [(at_resolver(server, question.clone()), 1), (at_authority(server, "acme.test", question), 0)]
    {
        let client = impatient();
        let (_, ()) = tokio::join!(client.ask(&ask, &policy), async {
            socket.recv_from(&mut buffer).await.unwrap();
            assert_eq!(buffer[2] & 1, desired);
        });
        // The second try of this ask.
        socket.recv_from(&mut buffer).await.unwrap();
    }
}
