//! An inbox that remembers, a running listener, and a raw client to write transcripts with.

use model::EmailAddress;
use smtp::server::{EnvelopeSoFar, Inbox, Incoming, Listener, Refusal, ServerConfig};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// No test waits longer than this for anything.
const PATIENCE: Duration = Duration::from_secs(10);

pub struct TestInbox {
    pub kept: Mutex<Vec<Incoming>>,
    /// `accept` was entered (it may be waiting at the gate).
    pub entered: Semaphore,
    /// One permit lets one message be committed; `None` commits at once.
    pub gate: Option<Semaphore>,
    pub refusal: Option<Refusal>,
}

impl Default for TestInbox {
    fn default() -> Self {
        Self { kept: Mutex::default(), entered: Semaphore::new(0), gate: None, refusal: None }
    }
}

impl Inbox for TestInbox {
    async fn recipient(&self, _: &EnvelopeSoFar, to: &EmailAddress) -> Result<(), Refusal> {
        match to.local_part() {
            "nobody" => Err(Refusal::permanent("5.1.1", format!("{to} is not known here"))),
            "later" => Err(Refusal::temporary("4.2.1", "greylisted")),
            _ => Ok(()),
        }
    }

    async fn accept(&self, message: Incoming) -> Result<String, Refusal> {
        self.entered.add_permits(1);
        if let Some(gate) = &self.gate {
            gate.acquire().await.unwrap().forget();
        }
        if let Some(refusal) = &self.refusal {
            return Err(refusal.clone());
        }
        let mut kept = self.kept.lock().unwrap();
        kept.push(message);
        Ok(format!("q{}", kept.len()))
    }
}

impl TestInbox {
    pub fn messages(&self) -> Vec<String> {
        self.kept.lock().unwrap().iter().map(|m| String::from_utf8(m.raw.clone()).unwrap()).collect()
    }
}

pub struct Server {
    pub address: SocketAddr,
    pub inbox: Arc<TestInbox>,
    pub shutdown: CancellationToken,
    pub running: JoinHandle<()>,
}

pub fn config() -> ServerConfig {
    ServerConfig::new("mx.example.org".parse().unwrap())
}

pub async fn start(config: ServerConfig, inbox: TestInbox) -> Server {
    let inbox = Arc::new(inbox);
    let listener =
        Listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), config, inbox.clone()).await.unwrap();
    let address = listener.local_addr();
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(listener.run(shutdown.clone()));
    Server { address, inbox, shutdown, running }
}

impl Server {
    pub async fn connect(&self) -> Raw<TcpStream> {
        let mut raw = Raw::new(TcpStream::connect(self.address).await.unwrap());
        assert_eq!(raw.reply().await, "220 mx.example.org ESMTP\r\n");
        raw
    }

    pub async fn stop(self) {
        self.shutdown.cancel();
        timeout(PATIENCE, self.running).await.expect("the listener ends").unwrap();
    }
}

/// Writes bytes, reads whole replies.
pub struct Raw<S> {
    pub stream: S,
    pending: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    pub fn new(stream: S) -> Self {
        Self { stream, pending: Vec::new() }
    }

    pub async fn write(&mut self, text: &str) {
        timeout(PATIENCE, self.stream.write_all(text.as_bytes())).await.expect("in time").unwrap();
        self.stream.flush().await.unwrap();
    }

    /// One reply, all its lines; what was there before a close when the server closes.
    pub async fn reply(&mut self) -> String {
        let mut reply = Vec::new();
        loop {
            while let Some(end) = self.pending.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.pending.drain(..=end).collect();
                let last = line.get(3) != Some(&b'-');
                reply.extend(line);
                if last {
                    return String::from_utf8(reply).unwrap();
                }
            }
            let mut buffer = [0; 4096];
            let read = timeout(PATIENCE, self.stream.read(&mut buffer)).await.expect("a reply in time");
            match read {
                Ok(1..) => self.pending.extend_from_slice(&buffer[..read.unwrap()]),
                _ => return String::from_utf8(reply).unwrap(),
            }
        }
    }

    pub async fn ask(&mut self, text: &str) -> String {
        self.write(text).await;
        self.reply().await
    }

    /// Asks, and compares the start of the reply.
    pub async fn expect(&mut self, text: &str, start: &str) {
        let reply = self.ask(text).await;
        assert!(reply.starts_with(start), "{text:?} gave {reply:?}, not {start:?}");
    }

    pub async fn expect_closed(&mut self) {
        assert_eq!(self.reply().await, "", "the server closes");
    }

    /// EHLO, MAIL, RCPT and DATA up to 354.
    pub async fn begin(&mut self) {
        self.expect("EHLO client.example\r\n", "250").await;
        self.expect("MAIL FROM:<a@b.example>\r\n", "250 2.1.0").await;
        self.expect("RCPT TO:<c@d.example>\r\n", "250 2.1.5").await;
        self.expect("DATA\r\n", "354").await;
    }
}
