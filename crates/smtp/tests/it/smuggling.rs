//! Line breaks that are not CRLF never make two messages of one.

use crate::support::{TestInbox, config, start};

#[tokio::test]
async fn no_odd_line_break_ends_a_message() {
    let server = start(config(), TestInbox::default()).await;
    let ends =
        ["\n.\n", "\r.\r", "\n.\r\n", "\r\n.\n", "\r\n.\r", "\r.\r\n", "\n.\r", "\r.\n", "\r\n\0.\n\r\n"];
    for odd in ends {
        let mut client = server.connect().await;
        client.begin().await;
        client
            .write(&format!(
                "Subject: one\r\n\r\nx{odd}MAIL FROM:<admin@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n\
                 Subject: smuggled\r\n\r\ny\r\n.\r\n"
            ))
            .await;
        let reply = client.reply().await;
        assert!(reply.starts_with("550 5.6.11"), "{odd:?}: {reply}");
        // The next reply is to the next command: the session is in step, nothing of the message was a command.
        client.expect("NOOP\r\n", "250 2.0.0 ok").await;
    }
    assert!(server.inbox.messages().is_empty());
    server.stop().await;
}

#[tokio::test]
async fn an_end_in_pieces_is_still_the_end() {
    let server = start(config(), TestInbox::default()).await;
    let mut client = server.connect().await;
    client.begin().await;
    for piece in ["x\r", "\n", "..", "\r\n", ".", "\r"] {
        client.write(piece).await;
    }
    client.expect("\nNOOP\r\n", "250 2.0.0 queued as q1").await;
    assert_eq!(client.reply().await, "250 2.0.0 ok\r\n");
    assert_eq!(server.inbox.messages(), ["x\r\n.\r\n"]);
    server.stop().await;
}
