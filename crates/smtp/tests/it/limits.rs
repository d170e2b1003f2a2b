//! Bounds: sizes, errors, connections, time.

use crate::support::{Raw, TestInbox, config, start};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

#[tokio::test]
async fn a_size_over_the_limit_is_refused_at_mail_and_at_data() {
    let mut small = config();
    small.max_message_size = 1000;
    let server = start(small, TestInbox::default()).await;
    let mut client = server.connect().await;
    client.expect("EHLO c.example\r\n", "250").await;
    client.expect("MAIL FROM:<a@b.example> SIZE=1001\r\n", "552 5.3.4").await;
    client.expect("MAIL FROM:<a@b.example> SIZE=99999999999999999999999999\r\n", "5").await;
    client.begin().await;
    let line = "x".repeat(98) + "\r\n";
    client.write(&line.repeat(3000)).await;
    client.expect("\r\n.\r\n", "552 5.3.4 the message is too large; at most 1000").await;
    client.begin().await;
    client.write(&line.repeat(10)).await;
    client.expect(".\r\n", "250 2.0.0 queued as q1").await;
    assert_eq!(server.inbox.messages()[0].len(), 1000);
    server.stop().await;
}

#[tokio::test]
async fn memory_for_messages_is_shared_and_given_back() {
    let mut tight = config();
    tight.max_memory = 50_000;
    let server = start(tight, TestInbox::default()).await;
    let mut client = server.connect().await;
    for (lines, reply) in [(600, "452 4.3.1"), (100, "250"), (600, "452 4.3.1"), (100, "250")] {
        client.begin().await;
        client.write(&("x".repeat(98) + "\r\n").repeat(lines)).await;
        client.expect(".\r\n", reply).await;
    }
    server.stop().await;
}

#[tokio::test]
async fn a_command_line_without_end_is_refused_and_skipped() {
    let server = start(config(), TestInbox::default()).await;
    let mut client = server.connect().await;
    client.write(&"NOOP ".repeat(20_000)).await;
    client.expect("\r\nNOOP\r\n", "500 5.5.2 the line is longer").await;
    assert_eq!(client.reply().await, "250 2.0.0 ok\r\n");
    server.stop().await;
}

#[tokio::test]
async fn too_many_errors_end_the_session() {
    let mut strict = config();
    strict.max_errors = 2;
    let server = start(strict, TestInbox::default()).await;
    let mut client = server.connect().await;
    client.write("A\r\nB\r\nNOOP\r\nC\r\nNOOP\r\n").await;
    for start in ["500", "500", "250", "421 4.7.0 mx.example.org saw too many errors"] {
        let reply = client.reply().await;
        assert!(reply.starts_with(start), "{reply}");
    }
    client.expect_closed().await;
    let mut browser = server.connect().await;
    browser.expect("GET / HTTP/1.1\r\nHost: mx.example.org\r\n\r\n", "421 4.7.0").await;
    browser.expect_closed().await;
    server.stop().await;
}

#[tokio::test]
async fn connections_beyond_the_limit_are_told_421() {
    let mut narrow = config();
    narrow.max_connections_per_client = 2;
    let server = start(narrow, TestInbox::default()).await;
    let first = server.connect().await;
    let _second = server.connect().await;
    let mut third = Raw::new(TcpStream::connect(server.address).await.unwrap());
    let reply = third.reply().await;
    assert!(reply.starts_with("421 4.7.0 mx.example.org too many connections from your address"), "{reply}");
    third.expect_closed().await;
    let mut first = first;
    first.expect("QUIT\r\n", "221").await;
    first.expect_closed().await;
    drop(first);
    // The slot comes back once the session has seen the close; until then the answer is 421.
    loop {
        let mut again = Raw::new(TcpStream::connect(server.address).await.unwrap());
        if again.reply().await.starts_with("220") {
            break;
        }
    }
    server.stop().await;

    let mut full = config();
    full.max_connections = 0;
    let server = start(full, TestInbox::default()).await;
    let mut client = Raw::new(TcpStream::connect(server.address).await.unwrap());
    assert_eq!(client.reply().await, "421 4.7.0 mx.example.org too many connections, try again later\r\n");
    server.stop().await;
}

#[tokio::test]
async fn slow_clients_are_told_421() {
    let mut hasty = config();
    hasty.command_timeout = Duration::from_millis(300);
    hasty.data_timeout = Duration::from_millis(60);
    let server = start(hasty, TestInbox::default()).await;
    let mut idle = server.connect().await;
    idle.write("NOO").await;
    assert_eq!(idle.reply().await, "421 4.4.2 mx.example.org took too long; connect again\r\n");
    idle.expect_closed().await;
    let mut stalled = server.connect().await;
    stalled.begin().await;
    stalled.write("half a mess").await;
    assert!(stalled.reply().await.starts_with("421 4.4.2"));
    stalled.expect_closed().await;
    assert!(server.inbox.messages().is_empty());
    server.stop().await;

    let mut brief = config();
    brief.session_timeout = Duration::from_millis(80);
    let server = start(brief, TestInbox::default()).await;
    let mut chatty = server.connect().await;
    let last = loop {
        let reply = chatty.ask("NOOP\r\n").await;
        if !reply.starts_with("250") {
            break reply;
        }
    };
    assert!(last.starts_with("421 4.4.2"), "{last}");
    server.stop().await;
}

#[tokio::test]
async fn shutdown_finishes_a_message_and_tells_the_others() {
    let gate = Some(Semaphore::new(0));
    let server = start(config(), TestInbox { gate, ..TestInbox::default() }).await;
    let mut idle = server.connect().await;
    let mut busy = server.connect().await;
    busy.begin().await;
    busy.write("x\r\n.\r\nNOOP\r\n").await;
    server.inbox.entered.acquire().await.unwrap().forget();
    server.shutdown.cancel();
    assert_eq!(idle.reply().await, "421 4.3.2 mx.example.org shuts down; try again later\r\n");
    idle.expect_closed().await;
    drop(idle);
    server.inbox.gate.as_ref().unwrap().add_permits(1);
    assert_eq!(busy.reply().await, "250 2.0.0 queued as q1\r\n");
    assert!(busy.reply().await.starts_with("421 4.3.2"));
    drop(busy);
    assert_eq!(server.inbox.messages().len(), 1);
    let address = server.address;
    server.stop().await;
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn shutdown_does_not_wait_for_ever() {
    let mut hasty = config();
    hasty.drain_timeout = Duration::from_millis(50);
    let gate = Some(Semaphore::new(0));
    let server = start(hasty, TestInbox { gate, ..TestInbox::default() }).await;
    let mut client = server.connect().await;
    client.begin().await;
    client.write("x\r\n.\r\n").await;
    server.inbox.entered.acquire().await.unwrap().forget();
    server.stop().await;
    client.expect_closed().await;
}
