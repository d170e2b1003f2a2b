//! The server's sockets.

use crate::support::{at_authority, client, local_policy, question, serve, zone, zones};
use diagnosis::observation::Outcome;
use dns::{
    authority::{Server, ServerError, ZoneSet},
    wire::Query,
};
use model::{RecordData, RecordType, TxtData};
use std::sync::Arc;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

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

#[tokio::test]
async fn connections_past_the_bound_are_closed_and_udp_goes_on() {
    let server = serve("127.0.0.1:0", acme("x")).await;
    let mut open = Vec::new();
    let txt = question("acme.test", RecordType::Txt);
    let query =
        Query { id: 9, question: &txt, recursion_desired: false, checking_disabled: false, edns: false };
    let octets = query.encode().unwrap();
    for _ in 0..100 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream
            .write_all(&[&[0, u8::try_from(octets.len()).unwrap()], octets.as_slice()].concat())
            .await
            .unwrap();
        assert!(stream.read_u16().await.unwrap() > 0);
        open.push(stream);
    }
    let mut refused = TcpStream::connect(server.address).await.unwrap();
    assert!(matches!(refused.read(&mut [0; 1]).await, Ok(0) | Err(_)));
    let ask = at_authority(server.address, "acme.test", txt.clone());
    let outcome = client().ask(&ask, &local_policy(vec![server.address])).await;
    assert!(matches!(outcome, Outcome::Reply(_)));
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
