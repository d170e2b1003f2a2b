//! Commands and replies.

use crate::support::{TestInbox, config, start};
use model::EmailAddress;
use smtp::server::Refusal;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;

#[tokio::test]
async fn a_message_is_acknowledged_only_after_the_inbox_has_it() {
    let gate = Some(Semaphore::new(0));
    let server = start(config(), TestInbox { gate, ..TestInbox::default() }).await;
    let mut client = server.connect().await;
    let hello = client.ask("EHLO client.example\r\n").await;
    assert_eq!(
        hello,
        "250-mx.example.org\r\n250-PIPELINING\r\n250-SIZE 26214400\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n"
    );
    client.expect("mail from:<Ann@B.example> size=100 body=8BITMIME\r\n", "250 2.1.0").await;
    client.expect("RCPT TO:<c@d.example>\r\n", "250 2.1.5").await;
    client.expect("RCPT TO:<c@D.example>\r\n", "250 2.1.5").await;
    client.expect("DATA\r\n", "354 ").await;
    client.write("Subject: x\r\n\r\n..dot\r\n.\r\n").await;
    server.inbox.entered.acquire().await.unwrap().forget();
    assert!(
        timeout(Duration::from_millis(50), client.reply()).await.is_err(),
        "no reply while the inbox has not committed"
    );
    assert!(server.inbox.messages().is_empty());
    server.inbox.gate.as_ref().unwrap().add_permits(1);
    assert_eq!(client.reply().await, "250 2.0.0 queued as q1\r\n");
    {
        let kept = server.inbox.kept.lock().unwrap();
        let message = &kept[0];
        assert_eq!(message.raw, b"Subject: x\r\n\r\n.dot\r\n");
        assert_eq!(message.mail_from, Some("Ann@b.example".parse::<EmailAddress>().unwrap()));
        assert_eq!(message.recipients, ["c@d.example".parse::<EmailAddress>().unwrap()]);
        assert_eq!((message.helo.as_str(), message.tls), ("client.example", false));
    }
    client.expect("QUIT\r\n", "221 2.0.0").await;
    client.expect_closed().await;
    server.stop().await;
}

#[tokio::test]
async fn a_pipelined_batch_is_answered_in_order() {
    let server = start(config(), TestInbox::default()).await;
    let mut client = server.connect().await;
    client
        .write(
            "EHLO c.example\r\nMAIL FROM:<>\r\nRCPT TO:<nobody@d.example>\r\nRCPT TO:<later@d.example>\r\n\
             RCPT TO:<c@d.example>\r\nDATA\r\nhello\r\n.\r\nRSET\r\nMAIL FROM:<a@b.example>\r\nDATA\r\nQUIT\r\n",
        )
        .await;
    let mut codes = Vec::new();
    for _ in 0..11 {
        codes.push(client.reply().await.chars().take(9).collect::<String>());
    }
    assert_eq!(
        codes,
        [
            "250-mx.ex",
            "250 2.1.0",
            "550 5.1.1",
            "451 4.2.1",
            "250 2.1.5",
            "354 send ",
            "250 2.0.0",
            "250 2.0.0",
            "250 2.1.0",
            "554 5.5.1",
            "221 2.0.0"
        ]
    );
    assert_eq!(server.inbox.messages(), ["hello\r\n"]);
    assert_eq!(server.inbox.kept.lock().unwrap()[0].mail_from, None);
    server.stop().await;
}

#[tokio::test]
async fn wrong_order_and_wrong_syntax_are_told() {
    let mut wide = config();
    wide.max_errors = 100;
    wide.max_recipients = 1;
    let server = start(wide, TestInbox::default()).await;
    let mut client = server.connect().await;
    client.expect("MAIL FROM:<a@b.example>\r\n", "503 5.5.1 say EHLO").await;
    client.expect("EHLO\r\n", "501 5.5.4 write: EHLO domain").await;
    client.expect("HELO client\r\n", "250 mx.example.org\r\n").await;
    client.expect("RCPT TO:<a@b.example>\r\n", "503 5.5.1 say MAIL").await;
    client.expect("DATA\r\n", "503 5.5.1").await;
    client.expect("MAIL FROM:a@b.example\r\n", "501 5.5.4 write: MAIL FROM:<").await;
    client.expect("MAIL FROM:<a@b.example> SMTPUTF8\r\n", "555 5.5.4").await;
    client.expect("MAIL FROM:<a@b.example> RET=FULL\r\n", "555 5.5.4").await;
    client.expect("MAIL FROM:<a@b.example> X=Y\r\n", "555 5.5.4").await;
    client.expect("MAIL FROM:<a@b.example> SIZE=x\r\n", "501 5.5.4").await;
    client.expect("MAIL FROM:<ä@b.example>\r\n", "553 5.6.7 only ASCII").await;
    client.expect("MAIL FROM:<postmaster>\r\n", "553 5.1.7").await;
    client.expect("MAIL FROM:<\"a b\"@c.example>\r\n", "553 5.1.7").await;
    client.expect("MAIL FROM:<a@b.example>\r\n", "250 2.1.0").await;
    client.expect("MAIL FROM:<a@b.example>\r\n", "503 5.5.1 MAIL was").await;
    client.expect("RCPT TO:<postmaster>\r\n", "550 5.1.1").await;
    client.expect("RCPT TO:<c@d.example> NOTIFY=NEVER\r\n", "555 5.5.4").await;
    client.expect("RCPT TO:<c@bücher.example>\r\n", "553 5.6.7").await;
    client.expect("DATA\r\n", "554 5.5.1 no recipient").await;
    client.expect("RCPT TO:<c@d.example>\r\n", "250 2.1.5").await;
    client.expect("RCPT TO:<e@d.example>\r\n", "452 4.5.3 too many").await;
    client.expect("VRFY c\r\n", "252 2.1.5").await;
    client.expect("HELP\r\n", "214 2.0.0 EHLO").await;
    client.expect("NOOP\r\n", "250 2.0.0").await;
    client.expect("STARTTLS\r\n", "502 5.5.1").await;
    client.expect("AUTH PLAIN AAAA\r\n", "502 5.5.1 AUTH").await;
    client.expect("XYZZY\r\n", "500 5.5.1").await;
    client.expect("NOOP\n", "500 5.5.2 a line must end").await;
    client.expect("NO\rOP\r\n", "500 5.5.2 the line has a control").await;
    client.expect("DATA\r\n", "354").await;
    client.expect("x\r\n.\r\n", "250 2.0.0 queued as q1").await;
    client.expect("BDAT 5\r\nQUIT\r\n", "502 5.5.1 CHUNKING").await;
    client.expect_closed().await;
    server.stop().await;
}

#[tokio::test]
async fn a_temporary_failure_of_the_inbox_is_passed_on() {
    let refusal = Some(Refusal::temporary("4.3.0", "the disk is full\r\n250 2.0.0 fine"));
    let server = start(config(), TestInbox { refusal, ..TestInbox::default() }).await;
    let mut client = server.connect().await;
    client.begin().await;
    assert_eq!(client.ask("x\r\n.\r\n").await, "451 4.3.0 the disk is full??250 2.0.0 fine\r\n");
    client.expect("NOOP\r\n", "250 2.0.0 ok").await;
    server.stop().await;
}

#[tokio::test]
async fn an_inbox_that_hangs_is_a_temporary_failure() {
    let mut hasty = config();
    hasty.data_timeout = Duration::from_millis(300);
    let gate = Some(Semaphore::new(0));
    let server = start(hasty, TestInbox { gate, ..TestInbox::default() }).await;
    let mut client = server.connect().await;
    client.begin().await;
    client.expect("x\r\n.\r\n", "451 4.3.0 the message could not be stored").await;
    assert!(server.inbox.messages().is_empty());
    server.stop().await;
}
