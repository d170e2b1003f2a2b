//! The client against the listener and against servers that follow a script.

use crate::support::{TestInbox, config, start};
use model::EmailAddress;
use smtp::client::{ClientError, Connection, Delivery, Envelope, Stage, Target, Timeouts, TlsMode, deliver};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

fn addresses(texts: &[&str]) -> Vec<EmailAddress> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn plain(address: SocketAddr) -> Target {
    Target { address, server_name: "mx.example.org".to_owned(), tls: TlsMode::None }
}

fn short() -> Timeouts {
    Timeouts {
        command: Duration::from_millis(300),
        final_reply: Duration::from_millis(100),
        ..Timeouts::default()
    }
}

async fn send(target: &Target, to: &[&str], raw: &[u8]) -> Result<Delivery, ClientError> {
    let recipients = addresses(to);
    let envelope = Envelope { mail_from: Some("a@b.example".parse().unwrap()), recipients: &recipients };
    deliver(target, "client.example", &envelope, raw, &short()).await
}

/// One connection by script: wait until what came ends so, then say that. Gives everything received.
async fn script(steps: &'static [(&'static str, &'static str)]) -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let running = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut all = String::new();
        for (until, say) in steps {
            while !all.ends_with(until) {
                let mut buffer = [0; 4096];
                match stream.read(&mut buffer).await {
                    Ok(count @ 1..) => all.push_str(str::from_utf8(&buffer[..count]).unwrap()),
                    _ => return all,
                }
            }
            stream.write_all(say.as_bytes()).await.unwrap();
        }
        all
    });
    (address, running)
}

#[tokio::test]
async fn some_recipients_are_refused_and_the_others_served() {
    let server = start(config(), TestInbox::default()).await;
    let raw = b"Subject: x\r\n\r\n.\r\n..a\r\nend";
    let delivery = send(&plain(server.address), &["c@d.example", "nobody@d.example", "later@d.example"], raw)
        .await
        .unwrap();
    let codes: Vec<_> = delivery.recipients.iter().map(|(_, reply)| (reply.code, reply.enhanced)).collect();
    assert_eq!(codes, [(250, Some((2, 1, 5))), (550, Some((5, 1, 1))), (451, Some((4, 2, 1)))]);
    assert_eq!(delivery.recipients[1].1.text, "nobody@d.example is not known here");
    assert_eq!(delivery.data.as_ref().unwrap().text, "queued as q1");
    assert_eq!(delivery.accepted().map(ToString::to_string).collect::<Vec<_>>(), ["c@d.example"]);
    let outcome: Vec<_> = delivery.outcome().map(|(_, reply)| reply.to_string()).collect();
    assert_eq!(outcome[0], "250 2.0.0 queued as q1");
    assert_eq!(outcome[2], "451 4.2.1 greylisted");
    assert_eq!(server.inbox.messages(), ["Subject: x\r\n\r\n.\r\n..a\r\nend\r\n"]);

    let none = send(&plain(server.address), &["nobody@d.example"], raw).await.unwrap();
    assert_eq!((none.data, none.recipients[0].1.code), (None, 550));
    assert_eq!(server.inbox.messages().len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn one_connection_takes_several_messages_and_many_recipients() {
    let mut wide = config();
    wide.max_recipients = 200;
    let server = start(wide, TestInbox::default()).await;
    let recipients: Vec<EmailAddress> =
        (0..120).map(|n| format!("r{n}@d.example").parse().unwrap()).collect();
    let refused = addresses(&["nobody@d.example"]);
    let mut connection = Connection::open(&plain(server.address), "[127.0.0.1]", &short()).await.unwrap();
    let big = "x".repeat(76) + "\r\n";
    let big = big.repeat(20_000);
    for (recipients, raw) in [(&recipients, big.as_str()), (&refused, "x\r\n"), (&recipients, "")] {
        let envelope = Envelope { mail_from: None, recipients };
        let delivery = connection.send(&envelope, raw.as_bytes()).await.unwrap();
        assert_eq!(delivery.recipients.len(), recipients.len());
    }
    connection.close().await;
    assert_eq!(server.inbox.messages(), [big.as_str(), ""]);
    assert_eq!(server.inbox.kept.lock().unwrap()[0].recipients, recipients);
    server.stop().await;
}

#[tokio::test]
async fn what_must_not_be_sent_is_not_sent() {
    // Nobody listens there: a connection attempt would give another error.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let target = plain(listener.local_addr().unwrap());
    drop(listener);
    for (raw, at) in [("a\nb\r\n", 1), ("\n", 0), ("a\r\n.\r", 4), ("a\rb\r\n", 1)] {
        let error = send(&target, &["c@d.example"], raw.as_bytes()).await.unwrap_err();
        assert!(matches!(error, ClientError::BareLineBreak(place) if place == at), "{raw:?}: {error}");
    }
    assert!(matches!(send(&target, &[], b"").await.unwrap_err(), ClientError::NoRecipients));
    let error = send(&target, &["c@d.example"], b"").await.unwrap_err();
    assert!(matches!(error, ClientError::Connect { .. }) && error.is_temporary(), "{error}");
    let injected = Connection::open(&target, "x\r\nMAIL", &short()).await.unwrap_err();
    assert!(matches!(injected, ClientError::HelloName(_)), "{injected}");

    let mut small = config();
    small.max_message_size = 10;
    let server = start(small, TestInbox::default()).await;
    let error = send(&plain(server.address), &["c@d.example"], b"0123456789\r\n").await.unwrap_err();
    assert!(
        matches!(error, ClientError::TooLarge { octets: 12, limit: 10 }) && !error.is_temporary(),
        "{error}"
    );
    server.stop().await;
}

#[tokio::test]
async fn without_pipelining_each_command_waits_for_its_reply() {
    let (address, running) = script(&[
        ("", "220 old\r\n"),
        ("EHLO client.example\r\n", "502 what?\r\n"),
        ("HELO client.example\r\n", "250 old\r\n"),
        ("MAIL FROM:<a@b.example>\r\n", "250 ok\r\n"),
        ("RCPT TO:<c@d.example>\r\n", "250 ok\r\n"),
        ("RCPT TO:<e@d.example>\r\n", "550-5.7.509 no\r\n550 5.7.509 never\r\n"),
        ("DATA\r\n", "354\r\n"),
        ("x\r\n.\r\n", "250 id 42\r\n"),
        ("QUIT\r\n", "221\r\n"),
    ])
    .await;
    let delivery = send(&plain(address), &["c@d.example", "e@d.example"], b"x\r\n").await.unwrap();
    assert_eq!(delivery.data.unwrap().text, "id 42");
    assert_eq!(delivery.recipients[1].1.text, "no\nnever");
    assert_eq!(delivery.recipients[1].1.enhanced, Some((5, 7, 509)));
    assert!(running.await.unwrap().ends_with("QUIT\r\n"));
}

const GREET: (&str, &str) = ("", "220 x\r\n");
const PIPES: (&str, &str) = ("EHLO client.example\r\n", "250-x\r\n250-8BITMIME\r\n250 pipelining\r\n");

#[tokio::test]
async fn pipelined_refusals_end_cleanly() {
    // The server wants the message although it took no recipient.
    let (address, running) = script(&[
        GREET,
        PIPES,
        ("DATA\r\n", "250 ok\r\n550 no\r\n354 go\r\n"),
        (".\r\n", "554 no recipients\r\n"),
        ("QUIT\r\n", "221 bye\r\n"),
    ])
    .await;
    let delivery = send(&plain(address), &["c@d.example"], "ä\r\n".as_bytes()).await.unwrap();
    assert_eq!((delivery.recipients[0].1.code, delivery.data), (550, None));
    assert_eq!(
        running.await.unwrap(),
        "EHLO client.example\r\nMAIL FROM:<a@b.example> BODY=8BITMIME\r\nRCPT TO:<c@d.example>\r\nDATA\r\n.\r\nQUIT\r\n"
    );

    let (address, _) = script(&[GREET, PIPES, ("DATA\r\n", "550 5.7.1 not you\r\n503 x\r\n503 x\r\n")]).await;
    let error = send(&plain(address), &["c@d.example"], b"x\r\n").await.unwrap_err();
    assert!(
        matches!(&error, ClientError::Refused { stage: Stage::MailFrom, reply } if reply.text == "not you"),
        "{error}"
    );
    assert!(!error.is_temporary() && !error.maybe_accepted());

    let (address, _) =
        script(&[GREET, PIPES, ("DATA\r\n", "250 ok\r\n250 ok\r\n451 4.3.0 later\r\n"), ("QUIT\r\n", "")])
            .await;
    let delivery = send(&plain(address), &["c@d.example"], b"x\r\n").await.unwrap();
    assert_eq!(delivery.data.as_ref().unwrap().code, 451);
    assert_eq!(delivery.accepted().count(), 0);
}

#[tokio::test]
async fn an_uncertain_end_is_told_from_a_certain_one() {
    let accepted = ("DATA\r\n", "250 ok\r\n250 ok\r\n354 go\r\n");
    let cases: [(&'static [_], Stage, bool); 7] = [
        (Box::leak(Box::new([GREET, PIPES, accepted, (".\r\n", "")])), Stage::FinalReply, true),
        (Box::leak(Box::new([GREET, PIPES, accepted, (".\r\n", "nonsense\r\n")])), Stage::FinalReply, true),
        (
            Box::leak(Box::new([GREET, PIPES, accepted, (".\r\n", ""), ("never", "")])),
            Stage::FinalReply,
            true,
        ),
        (Box::leak(Box::new([GREET, PIPES, ("DATA\r\n", "250 ok\r\n250 ok\r\n")])), Stage::Data, false),
        (
            Box::leak(Box::new([GREET, PIPES, ("DATA\r\n", "250 ok\r\n421 full\r\n")])),
            Stage::Recipient,
            false,
        ),
        (Box::leak(Box::new([("", "554 5.7.1 blocked\r\n")])), Stage::Greeting, false),
        (Box::leak(Box::new([GREET])), Stage::Hello, false),
    ];
    for (steps, place, uncertain) in cases {
        let (address, _running) = script(steps).await;
        let error = send(&plain(address), &["c@d.example"], b"x\r\n").await.unwrap_err();
        let (ClientError::Timeout { stage }
        | ClientError::Closed { stage, .. }
        | ClientError::Refused { stage, .. }
        | ClientError::Protocol { stage, .. }) = &error
        else {
            panic!("{error}")
        };
        assert_eq!((*stage, error.maybe_accepted()), (place, uncertain), "{error}");
    }
}
