//! One connection, over which messages go one after the other.

use super::wire::{Stream, Wire};
use super::{ClientError, Delivery, Envelope, Reply, Stage, Target, Timeouts, TlsMode};
use crate::tls;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Recipients in one segment: bounds what both sides must hold when neither reads yet.
const MAX_GROUP: usize = 50;
/// Octets of the message written at a time.
const BLOCK: usize = 64 * 1024;

/// What the server announced in answer to EHLO.
#[derive(Debug, Clone, Copy, Default)]
struct Extensions {
    pipelining: bool,
    eight_bit: bool,
    start_tls: bool,
    /// `Some(0)` is "no fixed limit" (RFC 1870 §4).
    size: Option<usize>,
}

/// A session that is ready for `MAIL FROM`.
pub struct Connection {
    wire: Wire<Box<dyn Stream>>,
    extensions: Extensions,
    tls: bool,
    timeouts: Timeouts,
    /// A transaction was begun and not ended by a message: RSET is due.
    dirty: bool,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("extensions", &self.extensions)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// Connects, greets and encrypts as the target asks.
    pub async fn open(target: &Target, helo: &str, timeouts: &Timeouts) -> Result<Self, ClientError> {
        // Dropped into a command line, so nothing but a name or an address literal.
        if helo.is_empty() || !helo.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b)) {
            return Err(ClientError::HelloName(helo.chars().take(100).collect()));
        }
        let config = match &target.tls {
            TlsMode::None => None,
            TlsMode::Opportunistic => Some(tls::opportunistic()?),
            TlsMode::Required => Some(tls::system_roots()?),
            TlsMode::RequiredBy(roots) => Some(tls::with_roots(roots.clone())?),
        };
        let opportunistic = matches!(target.tls, TlsMode::Opportunistic);
        match Self::attempt(target, helo, timeouts, config).await {
            // A broken handshake leaves the connection unusable: once more, in plain text (RFC 7435 §3).
            Err(ClientError::Tls { server_name, source }) if opportunistic => {
                tracing::info!(server_name, error = %source, "no TLS session; going on in plain text");
                Self::attempt(target, helo, timeouts, None).await
            }
            result => result,
        }
    }

    async fn attempt(
        target: &Target,
        helo: &str,
        timeouts: &Timeouts,
        config: Option<Arc<ClientConfig>>,
    ) -> Result<Self, ClientError> {
        let mut wire = connect(target, timeouts).await?;
        let greeting = wire.answer(Stage::Greeting, timeouts.greeting).await?;
        positive(Stage::Greeting, greeting)?;
        let extensions = hello(&mut wire, helo, timeouts.command).await?;
        let ready = |wire: Wire<Box<dyn Stream>>, extensions, tls| {
            Ok(Self { wire, extensions, tls, timeouts: timeouts.clone(), dirty: false })
        };
        let Some(config) = config else {
            return ready(Wire::new(Box::new(wire.stream)), extensions, false);
        };
        let required = !matches!(target.tls, TlsMode::Opportunistic);
        if !extensions.start_tls {
            if required {
                return Err(ClientError::TlsNotOffered { server_name: target.server_name.clone() });
            }
            return ready(Wire::new(Box::new(wire.stream)), extensions, false);
        }
        wire.write(b"STARTTLS\r\n", Stage::StartTls, timeouts.command).await?;
        let reply = wire.answer(Stage::StartTls, timeouts.command).await?;
        if !reply.is_success() {
            if required {
                return Err(ClientError::Refused { stage: Stage::StartTls, reply });
            }
            return ready(Wire::new(Box::new(wire.stream)), extensions, false);
        }
        if wire.has_more() {
            // Plain text that would be read as part of the encrypted session (RFC 3207 §5).
            return Err(ClientError::Protocol { stage: Stage::StartTls, what: "more text behind the reply" });
        }
        let stream = handshake(wire.stream, target, config, timeouts.command).await?;
        let mut wire: Wire<Box<dyn Stream>> = Wire::new(stream);
        // RFC 3207 §4.2: what was announced in plain text counts no more.
        let extensions = hello(&mut wire, helo, timeouts.command).await?;
        ready(wire, extensions, true)
    }

    /// Whether the connection is encrypted.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// Sends one message. May be called again after `Ok`; after an error the connection is of no more use.
    pub async fn send(&mut self, envelope: &Envelope<'_>, raw: &[u8]) -> Result<Delivery, ClientError> {
        self.send_if(envelope, raw, &mut || true).await
    }

    /// The same, but `go` is asked before the message and again before its last octets, without which the server has
    /// none of it. After a no the session is out of step and must be dropped.
    pub async fn send_if(
        &mut self,
        envelope: &Envelope<'_>,
        raw: &[u8],
        go: &mut (dyn FnMut() -> bool + Send),
    ) -> Result<Delivery, ClientError> {
        check(envelope, raw)?;
        if let Some(limit) = self.extensions.size.filter(|limit| *limit > 0 && *limit < raw.len()) {
            return Err(ClientError::TooLarge { octets: raw.len(), limit });
        }
        if std::mem::replace(&mut self.dirty, true) {
            let reply = self.command("RSET\r\n", Stage::MailFrom).await?;
            positive(Stage::MailFrom, reply)?;
        }
        let (replies, data) = if self.extensions.pipelining {
            self.begin_pipelined(envelope, raw).await?
        } else {
            self.begin_in_turn(envelope, raw).await?
        };
        let recipients: Vec<_> = envelope.recipients.iter().cloned().zip(replies).collect();
        let any = recipients.iter().any(|(_, reply)| reply.is_success());
        let data = match data {
            Some(ready) if ready.code == 354 && any => {
                let reply = self.message(raw, go).await?;
                self.dirty = false;
                Some(reply)
            }
            Some(ready) if ready.code == 354 => {
                // RFC 2920 §3.1: DATA was taken although no recipient was; an empty message ends it.
                self.wire.write(b".\r\n", Stage::Message, self.timeouts.data_block).await?;
                self.wire.answer(Stage::Message, self.timeouts.final_reply).await?;
                None
            }
            Some(refused) if any => {
                if refused.is_success() {
                    return Err(ClientError::Protocol { stage: Stage::Data, what: "a 2xx reply to DATA" });
                }
                Some(refused)
            }
            _ => None,
        };
        Ok(Delivery { recipients, data, tls: self.tls })
    }

    /// Says QUIT, without depending on the answer.
    pub async fn close(mut self) {
        if self.wire.write(b"QUIT\r\n", Stage::Message, self.timeouts.quit).await.is_ok() {
            // The message's fate is known by now; a server that is slow to say goodbye changes nothing.
            let _ = self.wire.reply(Stage::Message, self.timeouts.quit).await;
        }
    }

    /// Command by command. `None` for DATA when no recipient was accepted.
    async fn begin_in_turn(
        &mut self,
        envelope: &Envelope<'_>,
        raw: &[u8],
    ) -> Result<(Vec<Reply>, Option<Reply>), ClientError> {
        let reply = self.command(&self.mail(envelope, raw), Stage::MailFrom).await?;
        positive(Stage::MailFrom, reply)?;
        let mut replies = Vec::with_capacity(envelope.recipients.len());
        for recipient in envelope.recipients {
            replies.push(self.command(&format!("RCPT TO:<{recipient}>\r\n"), Stage::Recipient).await?);
        }
        if !replies.iter().any(Reply::is_success) {
            return Ok((replies, None));
        }
        let data = self.command("DATA\r\n", Stage::Data).await?;
        Ok((replies, Some(data)))
    }

    /// Everything in one segment, or in a few when there are many recipients; DATA ends the last one.
    async fn begin_pipelined(
        &mut self,
        envelope: &Envelope<'_>,
        raw: &[u8],
    ) -> Result<(Vec<Reply>, Option<Reply>), ClientError> {
        let wait = self.timeouts.command;
        let groups = envelope.recipients.chunks(MAX_GROUP);
        let last = groups.len();
        let mut sender = Some(self.mail(envelope, raw));
        let mut sender_refused = None;
        let mut replies = Vec::with_capacity(envelope.recipients.len());
        for (number, group) in (1..).zip(groups) {
            let first = sender.take();
            let mut batch = first.clone().unwrap_or_default();
            for recipient in group {
                batch.extend(["RCPT TO:<", &recipient.to_string(), ">\r\n"]);
            }
            if number == last {
                batch.push_str("DATA\r\n");
            }
            self.wire.write(batch.as_bytes(), Stage::MailFrom, wait).await?;
            if first.is_some() {
                let reply = self.wire.answer(Stage::MailFrom, wait).await?;
                sender_refused = positive(Stage::MailFrom, reply).err();
            }
            for _ in group {
                replies.push(self.wire.answer(Stage::Recipient, wait).await?);
            }
            if number != last && sender_refused.is_some() {
                break;
            }
        }
        if let Some(refused) = sender_refused {
            return Err(refused);
        }
        let data = self.wire.answer(Stage::Data, wait).await?;
        Ok((replies, Some(data)))
    }

    fn mail(&self, envelope: &Envelope<'_>, raw: &[u8]) -> String {
        let sender = envelope.mail_from.as_ref().map(ToString::to_string).unwrap_or_default();
        let mut line = format!("MAIL FROM:<{sender}>");
        if self.extensions.size.is_some() {
            line.extend([" SIZE=", &raw.len().to_string()]);
        }
        if self.extensions.eight_bit && !raw.is_ascii() {
            line.push_str(" BODY=8BITMIME");
        }
        line.push_str("\r\n");
        line
    }

    /// The message with its dots doubled and its end (RFC 5321 §4.5.2), then the reply.
    async fn message(
        &mut self,
        raw: &[u8],
        go: &mut (dyn FnMut() -> bool + Send),
    ) -> Result<Reply, ClientError> {
        if !go() {
            return Err(ClientError::HeldBack);
        }
        let wait = self.timeouts.data_block;
        let mut block = Vec::with_capacity(raw.len().min(BLOCK) + 1024);
        for line in raw.split_inclusive(|b| *b == b'\n') {
            if line.first() == Some(&b'.') {
                block.push(b'.');
            }
            block.extend_from_slice(line);
            if block.len() >= BLOCK {
                self.wire.write(&block, Stage::Message, wait).await?;
                block.clear();
            }
        }
        if !raw.is_empty() && !raw.ends_with(b"\r\n") {
            block.extend_from_slice(b"\r\n");
        }
        block.extend_from_slice(b".\r\n");
        if !go() {
            return Err(ClientError::HeldBack);
        }
        // From here on the server may have the whole message.
        self.wire.write(&block, Stage::FinalReply, wait).await?;
        let reply = self.wire.reply(Stage::FinalReply, self.timeouts.final_reply).await?;
        if (300..400).contains(&reply.code) {
            return Err(ClientError::Protocol {
                stage: Stage::FinalReply,
                what: "a 3xx reply to the message",
            });
        }
        Ok(reply)
    }

    async fn command(&mut self, line: &str, stage: Stage) -> Result<Reply, ClientError> {
        self.wire.write(line.as_bytes(), stage, self.timeouts.command).await?;
        self.wire.answer(stage, self.timeouts.command).await
    }
}

/// Refuses what must not be sent, before anything is sent.
pub(super) fn check(envelope: &Envelope<'_>, raw: &[u8]) -> Result<(), ClientError> {
    if envelope.recipients.is_empty() {
        return Err(ClientError::NoRecipients);
    }
    let mut before = 0;
    for (at, byte) in raw.iter().enumerate() {
        let bare = match byte {
            b'\n' => before != b'\r',
            b'\r' => raw.get(at + 1) != Some(&b'\n'),
            _ => false,
        };
        if bare {
            return Err(ClientError::BareLineBreak(at));
        }
        before = *byte;
    }
    Ok(())
}

fn positive(stage: Stage, reply: Reply) -> Result<Reply, ClientError> {
    if reply.is_success() { Ok(reply) } else { Err(ClientError::Refused { stage, reply }) }
}

async fn connect(target: &Target, timeouts: &Timeouts) -> Result<Wire<TcpStream>, ClientError> {
    let failed = |source| ClientError::Connect { address: target.address, source };
    match timeout(timeouts.connect, TcpStream::connect(target.address)).await {
        Ok(Ok(stream)) => {
            // Without it the last short segment of a message waits 40 ms for an acknowledgement.
            stream.set_nodelay(true).map_err(failed)?;
            Ok(Wire::new(stream))
        }
        Ok(Err(source)) => Err(failed(source)),
        Err(_) => Err(ClientError::Timeout { stage: Stage::Connect }),
    }
}

/// EHLO, or HELO when the server does not know EHLO.
async fn hello<S: Stream>(wire: &mut Wire<S>, helo: &str, wait: Duration) -> Result<Extensions, ClientError> {
    wire.write(format!("EHLO {helo}\r\n").as_bytes(), Stage::Hello, wait).await?;
    let reply = wire.answer(Stage::Hello, wait).await?;
    if reply.is_permanent() {
        wire.write(format!("HELO {helo}\r\n").as_bytes(), Stage::Hello, wait).await?;
        let reply = wire.answer(Stage::Hello, wait).await?;
        return positive(Stage::Hello, reply).map(|_| Extensions::default());
    }
    let reply = positive(Stage::Hello, reply)?;
    let mut extensions = Extensions::default();
    for line in reply.text.lines().skip(1) {
        let mut words = line.split_ascii_whitespace();
        match words.next().unwrap_or_default().to_ascii_uppercase().as_str() {
            "PIPELINING" => extensions.pipelining = true,
            "8BITMIME" => extensions.eight_bit = true,
            "STARTTLS" => extensions.start_tls = true,
            "SIZE" => extensions.size = Some(words.next().and_then(|n| n.parse().ok()).unwrap_or(0)),
            _ => {}
        }
    }
    Ok(extensions)
}

async fn handshake(
    stream: TcpStream,
    target: &Target,
    config: Arc<ClientConfig>,
    wait: Duration,
) -> Result<Box<dyn Stream>, ClientError> {
    let name = match ServerName::try_from(target.server_name.clone()) {
        Ok(name) => name,
        // Nobody looks at the certificate then, and the name only goes into SNI.
        Err(_) if matches!(target.tls, TlsMode::Opportunistic) => {
            ServerName::IpAddress(target.address.ip().into())
        }
        Err(_) => return Err(ClientError::ServerName(target.server_name.chars().take(100).collect())),
    };
    match timeout(wait, TlsConnector::from(config).connect(name, stream)).await {
        Ok(Ok(stream)) => Ok(Box::new(stream)),
        Ok(Err(source)) => Err(ClientError::Tls { server_name: target.server_name.clone(), source }),
        Err(_) => Err(ClientError::Timeout { stage: Stage::StartTls }),
    }
}
