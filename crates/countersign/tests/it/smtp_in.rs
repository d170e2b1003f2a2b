//! Mail that comes in by SMTP, from strangers too.

use crate::support::Platform;
use std::net::SocketAddr;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

struct Session(BufReader<TcpStream>);

impl Session {
    async fn open(address: SocketAddr) -> Self {
        let mut session = Self(BufReader::new(TcpStream::connect(address).await.unwrap()));
        assert!(session.reply().await.starts_with("220 "));
        session
    }

    /// The last line of a reply.
    async fn reply(&mut self) -> String {
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).await.unwrap();
            if line.as_bytes().get(3) != Some(&b'-') {
                return line.trim_end().to_owned();
            }
        }
    }

    async fn say(&mut self, line: &str) -> String {
        self.0.get_mut().write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
        self.reply().await
    }
}

#[tokio::test]
async fn a_250_means_that_the_message_is_in_the_inbox() {
    let platform = Platform::start().await;
    let mut session = Session::open(platform.instance.smtp).await;
    assert!(session.say("EHLO client.example").await.starts_with("250"));
    assert!(session.say("MAIL FROM:<a@stranger.example>").await.starts_with("250"));
    assert!(session.say("RCPT TO:<b@anywhere.example>").await.starts_with("250"));
    assert!(session.say("DATA").await.starts_with("354"));
    let accepted = session.say("From: a@stranger.example\r\nSubject: hi\r\n\r\nHello\r\n.").await;
    assert!(accepted.starts_with("250"), "{accepted}");
    let inbox = platform.api.get("/sandbox/messages").await;
    assert_eq!(inbox["data"][0]["subject"], "hi");
    assert!(accepted.contains(inbox["data"][0]["id"].as_str().unwrap()), "{accepted}");
    // A stranger's unsigned mail is judged too: no policy, nothing passes.
    let judged =
        platform.api.until("/sandbox/messages", |list| list["data"][0]["authentication"].is_object()).await;
    let authentication = &judged["data"][0]["authentication"];
    assert_eq!(authentication["spf"]["result"], "none");
    assert_eq!(authentication["dkim"].as_array().unwrap().len(), 0);
    assert_eq!(authentication["dmarc"]["result"], "none");
    platform.stop().await;
}

#[tokio::test]
async fn hostile_messages_are_kept_or_refused_and_never_break_the_inbox() {
    let platform = Platform::start().await;
    let junk = [
        "\u{0}\u{1}\u{2}".to_owned(),
        String::new(),
        "From: \r\nFrom: a@b.example, c@d.example\r\nDKIM-Signature: v=1; a=rsa-sha256; d=acme.test; s=x; b=; bh=\r\n\r\n".to_owned(),
        format!("DKIM-Signature: {}\r\n\r\nx", "a=b;".repeat(10_000)),
        format!("Content-Type: multipart/mixed; boundary=a\r\n\r\n{}", "--a\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n".repeat(3_000)),
        format!("Subject: {}\r\n\r\n<script>alert(1)</script>", "=?utf-8?B?////?=".repeat(1_000)),
    ];
    let mut accepted = 0;
    for text in &junk {
        let mut session = Session::open(platform.instance.smtp).await;
        session.say("EHLO x").await;
        session.say("MAIL FROM:<>").await;
        session.say("RCPT TO:<b@anywhere.example>").await;
        session.say("DATA").await;
        let reply = session.say(&format!("{text}\r\n.")).await;
        assert!(reply.starts_with("250") || reply.starts_with('5'), "{reply}");
        accepted += usize::from(reply.starts_with("250"));
    }
    assert!(accepted > 0);
    let all_judged = |list: &serde_json::Value| {
        let messages = list["data"].as_array().unwrap();
        messages.len() == accepted && messages.iter().all(|message| message["authentication"].is_object())
    };
    let inbox = platform.api.until("/sandbox/messages", all_judged).await;
    for message in inbox["data"].as_array().unwrap() {
        let id = message["id"].as_str().unwrap();
        platform.api.get(&format!("/sandbox/messages/{id}")).await;
        let page = platform.api.plain(&format!("/sandbox/{id}")).await;
        assert!(page.status().is_success());
        assert!(!page.text().await.unwrap().contains("<script>alert"), "what strangers send is escaped");
    }
    platform.stop().await;
}
