//! One session: commands in, replies out (RFC 5321 §3 and §4).

use super::data::{DataReader, Rejected};
use super::wire::{End, Line, Wire};
use super::{EnvelopeSoFar, Inbox, Incoming, Refusal, Shared};
use model::EmailAddress;
use smtp_proto::{Error as Syntax, MAIL_BODY_7BIT, MAIL_BODY_8BITMIME, MailFrom, RcptTo, Request};
use std::borrow::Cow;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout};

/// One session over a plain or an encrypted stream.
pub(super) struct Session<'a, I, S> {
    wire: Wire<S>,
    shared: &'a Shared<I>,
    client: SocketAddr,
    /// End of the whole session.
    until: Instant,
    tls: bool,
    helo: Option<String>,
    envelope: Option<EnvelopeSoFar>,
    errors: usize,
}

/// How a session was left.
pub(super) enum Left<S> {
    /// The last reply is gathered; write it and close.
    Closing(Wire<S>),
    /// `220` was written; the handshake comes next.
    ForTls(Wire<S>),
    /// The client is gone.
    Gone,
}

/// What follows a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Command,
    Message,
    Tls,
    Close,
}

impl<'a, I: Inbox, S: AsyncRead + AsyncWrite + Unpin + Send> Session<'a, I, S> {
    pub(super) fn new(
        wire: Wire<S>,
        shared: &'a Shared<I>,
        client: SocketAddr,
        until: Instant,
        tls: bool,
    ) -> Self {
        Self { wire, shared, client, until, tls, helo: None, envelope: None, errors: 0 }
    }

    pub(super) fn greet(&mut self) {
        let text = format!("{} ESMTP", self.shared.config.hostname);
        self.wire.say(220, true, &text);
    }

    /// Runs until QUIT, STARTTLS, an end or shutdown.
    pub(super) async fn run(mut self) -> Left<S> {
        match self.commands().await {
            Ok(Next::Tls) => Left::ForTls(self.wire),
            Ok(_) => Left::Closing(self.wire),
            Err(End::TimedOut) => {
                self.goodbye("4.4.2", "took too long; connect again");
                Left::Closing(self.wire)
            }
            Err(End::Closed) => {
                tracing::debug!(client = %self.client, "the SMTP client closed the connection");
                Left::Gone
            }
        }
    }

    async fn commands(&mut self) -> Result<Next, End> {
        let shared = self.shared;
        loop {
            let until = self.until.min(Instant::now() + shared.config.command_timeout);
            let line = tokio::select! {
                biased;
                () = shared.shutdown.cancelled() => {
                    self.goodbye("4.3.2", "shuts down; try again later");
                    return Ok(Next::Close);
                }
                line = self.wire.line(until) => line?,
            };
            let next = match line {
                Line::Complete(line) => self.command(&line).await,
                Line::TooLong => self.fail(500, "5.5.2", "the line is longer than 4096 octets"),
            };
            match next {
                Next::Command => {}
                Next::Message => {
                    if self.message().await? == Next::Close {
                        return Ok(Next::Close);
                    }
                }
                Next::Tls => {
                    self.wire.flush().await?;
                    return Ok(Next::Tls);
                }
                Next::Close => return Ok(Next::Close),
            }
        }
    }

    async fn command(&mut self, line: &[u8]) -> Next {
        let Some(text) = line.strip_suffix(b"\r\n") else {
            return self.fail(500, "5.5.2", "a line must end in CR LF; a single LF is not taken");
        };
        if text.iter().any(|b| b.is_ascii_control() && *b != b'\t') {
            return self.fail(500, "5.5.2", "the line has a control character");
        }
        if !text.is_ascii() {
            let is = |verb: &[u8]| text.get(..4).is_some_and(|v| v.eq_ignore_ascii_case(verb));
            return if is(b"MAIL") || is(b"RCPT") {
                self.fail(553, "5.6.7", "only ASCII addresses are taken; SMTPUTF8 is not offered here")
            } else {
                self.fail(500, "5.5.2", "the line has a character that is not ASCII")
            };
        }
        match Request::parse(&mut line.iter()) {
            Ok(request) => self.request(request, text).await,
            Err(syntax) => self.syntax(syntax, text),
        }
    }

    async fn request(&mut self, request: Request<Cow<'_, str>>, text: &[u8]) -> Next {
        match request {
            Request::Ehlo { host } => self.hello(&host, true),
            Request::Helo { host } => self.hello(&host, false),
            Request::Mail { from } => self.mail(&from, text),
            Request::Rcpt { to } => self.rcpt(&to).await,
            Request::Data => self.data(),
            Request::Rset => {
                self.envelope = None;
                self.ok("2.0.0", "forgotten")
            }
            Request::Noop { .. } => self.ok("2.0.0", "ok"),
            Request::Vrfy { .. } => {
                self.reply(252, "2.1.5", "addresses are not looked up here; send the message");
                Next::Command
            }
            Request::Help { .. } => {
                let commands = "EHLO HELO MAIL RCPT DATA RSET NOOP VRFY QUIT STARTTLS";
                self.reply(214, "2.0.0", commands);
                Next::Command
            }
            Request::Quit => {
                self.reply(221, "2.0.0", "closing the connection");
                Next::Close
            }
            Request::StartTls => self.start_tls(),
            // What follows these commands is message text. Reading it as commands would let a message give
            // commands, so the session ends.
            Request::Bdat { .. } | Request::Burl { .. } => {
                self.reply(502, "5.5.1", "CHUNKING and BURL are not offered here; use DATA");
                Next::Close
            }
            other => {
                let text = format!("{} is not offered here", other.name());
                self.fail(502, "5.5.1", &text)
            }
        }
    }

    fn syntax(&mut self, error: Syntax, text: &[u8]) -> Next {
        match error {
            Syntax::InvalidSenderAddress => {
                self.fail(501, "5.1.7", "the address in MAIL FROM:<...> is not valid")
            }
            Syntax::InvalidRecipientAddress => {
                self.fail(501, "5.1.3", "the address in RCPT TO:<...> is not valid")
            }
            Syntax::SyntaxError { syntax } => self.fail(501, "5.5.4", &format!("write: {syntax}")),
            Syntax::InvalidParameter { param } => {
                self.fail(501, "5.5.4", &format!("the parameter {param} is not valid"))
            }
            Syntax::UnsupportedParameter { param } => {
                self.fail(555, "5.5.4", &format!("the parameter {param} is not known here"))
            }
            _ => {
                let verb = text.split(|b| *b == b' ').next().unwrap_or_default();
                // A browser made to talk to this port: no mail client starts like this.
                if [&b"GET"[..], b"POST", b"PUT", b"CONNECT", b"OPTIONS", b"Host:"].contains(&verb) {
                    self.goodbye("4.7.0", "speaks SMTP, not HTTP");
                    return Next::Close;
                }
                self.fail(500, "5.5.1", "the command is not known; HELP lists them")
            }
        }
    }

    fn hello(&mut self, host: &str, extended: bool) -> Next {
        let config = &self.shared.config;
        self.envelope = None;
        self.helo = Some(host.to_owned());
        // RFC 2034 §3: no enhanced status in the answers to HELO and EHLO.
        let mut lines = vec![config.hostname.to_string()];
        if extended {
            lines.push("PIPELINING".to_owned());
            lines.push(format!("SIZE {}", config.max_message_size));
            lines.push("8BITMIME".to_owned());
            lines.push("ENHANCEDSTATUSCODES".to_owned());
            if config.tls.is_some() && !self.tls {
                lines.push("STARTTLS".to_owned());
            }
        }
        let count = lines.len();
        for (index, line) in lines.iter().enumerate() {
            self.wire.say(250, index + 1 == count, line);
        }
        Next::Command
    }

    fn start_tls(&mut self) -> Next {
        if self.tls {
            return self.fail(503, "5.5.1", "the session is encrypted already");
        }
        if self.shared.config.tls.is_none() {
            return self.fail(502, "5.5.1", "STARTTLS is not offered here");
        }
        self.reply(220, "2.0.0", "start the handshake");
        Next::Tls
    }

    fn mail(&mut self, from: &MailFrom<Cow<'_, str>>, text: &[u8]) -> Next {
        let Some(helo) = self.helo.clone() else {
            return self.fail(503, "5.5.1", "say EHLO first");
        };
        if self.envelope.is_some() {
            return self.fail(503, "5.5.1", "MAIL was given already; RSET starts anew");
        }
        let sender = if from.address.is_empty() {
            // The parser gives an empty address for <postmaster> too.
            if text.to_ascii_lowercase().windows(11).any(|w| w == b"<postmaster") {
                return self.fail(553, "5.1.7", "the sender's address needs a domain");
            }
            None
        } else {
            match EmailAddress::parse(&from.address) {
                Ok(address) => Some(address),
                Err(error) => return self.fail(553, "5.1.7", &error.to_string()),
            }
        };
        if has_unknown_parameters(from) {
            return self.fail(555, "5.5.4", "MAIL takes SIZE and BODY=7BIT or BODY=8BITMIME only");
        }
        let limit = self.shared.config.max_message_size;
        if from.size > limit {
            return self.fail(
                552,
                "5.3.4",
                &format!("the message is too large; at most {limit} octets are taken"),
            );
        }
        self.envelope = Some(EnvelopeSoFar {
            client: self.client,
            helo,
            tls: self.tls,
            mail_from: sender,
            declared_size: (from.size > 0).then_some(from.size),
            recipients: Vec::new(),
        });
        self.ok("2.1.0", "sender ok")
    }

    async fn rcpt(&mut self, to: &RcptTo<Cow<'_, str>>) -> Next {
        let config = &self.shared.config;
        let Some(envelope) = &self.envelope else {
            return self.fail(503, "5.5.1", "say MAIL first");
        };
        if to.address.is_empty() {
            return self.fail(550, "5.1.1", "the recipient's address needs a domain");
        }
        if to.flags != 0 || to.orcpt.is_some() || to.rrvs != 0 {
            return self.fail(555, "5.5.4", "RCPT takes no parameters here");
        }
        let address = match EmailAddress::parse(&to.address) {
            Ok(address) => address,
            Err(error) => return self.fail(553, "5.1.3", &error.to_string()),
        };
        if envelope.recipients.contains(&address) {
            return self.ok("2.1.5", "recipient ok");
        }
        if envelope.recipients.len() >= config.max_recipients {
            return self.fail(452, "4.5.3", "too many recipients; send the message again to the others");
        }
        match timeout(config.command_timeout, self.shared.inbox.recipient(envelope, &address)).await {
            Ok(Ok(())) => {
                if let Some(envelope) = &mut self.envelope {
                    envelope.recipients.push(address);
                }
                self.ok("2.1.5", "recipient ok")
            }
            Ok(Err(refusal)) => self.refuse(&refusal),
            Err(_) => self.fail(451, "4.3.0", "the recipient could not be checked in time; try again later"),
        }
    }

    fn data(&mut self) -> Next {
        match &self.envelope {
            None => self.fail(503, "5.5.1", "say MAIL and RCPT first"),
            Some(envelope) if envelope.recipients.is_empty() => {
                self.fail(554, "5.5.1", "no recipient was accepted")
            }
            Some(_) => {
                self.wire.say(354, true, "send the message, end with CRLF.CRLF");
                Next::Message
            }
        }
    }

    /// The DATA phase: reads the message to its end and hands it to the inbox.
    async fn message(&mut self) -> Result<Next, End> {
        let config = &self.shared.config;
        let Some(envelope) = self.envelope.take() else {
            return Ok(self.fail(503, "5.5.1", "say MAIL and RCPT first"));
        };
        let mut share = self.shared.memory.share();
        let mut reader = DataReader::new(config.max_message_size);
        loop {
            if self.wire.input.is_empty() {
                self.wire.fill(self.until.min(Instant::now() + config.data_timeout)).await?;
            }
            let end = reader.push(&self.wire.input);
            self.wire.used(end.unwrap_or(usize::MAX));
            if !share.set(reader.held()) {
                reader.reject(Rejected::NoMemory);
                share.set(0);
            }
            if end.is_some() {
                break;
            }
        }
        match reader.finish() {
            Ok(raw) => Ok(self.accept(envelope, raw).await),
            Err(why) => Ok(self.reject(why)),
        }
    }

    async fn accept(&mut self, envelope: EnvelopeSoFar, raw: Vec<u8>) -> Next {
        let EnvelopeSoFar { client, helo, tls, mail_from, recipients, .. } = envelope;
        let incoming = Incoming { client, helo, mail_from, recipients, raw, tls };
        let octets = incoming.raw.len();
        match timeout(self.shared.config.data_timeout, self.shared.inbox.accept(incoming)).await {
            Ok(Ok(id)) => {
                tracing::info!(client = %self.client, id, octets, tls, "message accepted");
                self.ok("2.0.0", &format!("queued as {id}"))
            }
            Ok(Err(refusal)) => self.refuse(&refusal),
            Err(_) => {
                tracing::warn!(client = %self.client, octets, "a message could not be stored in time");
                self.fail(451, "4.3.0", "the message could not be stored in time; try again later")
            }
        }
    }

    fn reject(&mut self, why: Rejected) -> Next {
        let limit = self.shared.config.max_message_size;
        match why {
            Rejected::BareLineBreak => self.fail(
                550,
                "5.6.11",
                "the message has a CR or LF that is not part of CRLF; every line must end in CRLF",
            ),
            Rejected::TooLarge => self.fail(
                552,
                "5.3.4",
                &format!("the message is too large; at most {limit} octets are taken"),
            ),
            Rejected::NoMemory => self.fail(452, "4.3.1", "too many messages are under way; try again later"),
        }
    }

    fn ok(&mut self, enhanced: &str, text: &str) -> Next {
        self.reply(250, enhanced, text);
        Next::Command
    }

    fn refuse(&mut self, refusal: &Refusal) -> Next {
        let (code, enhanced) = refusal.status();
        // RFC 5321 §3.8: who says 421 closes.
        if code == 421 {
            self.reply(code, &enhanced, &refusal.text);
            return Next::Close;
        }
        self.fail(code, &enhanced, &refusal.text)
    }

    /// Answers an error, or ends the session when it was one too many.
    fn fail(&mut self, code: u16, enhanced: &str, text: &str) -> Next {
        self.errors += 1;
        if self.errors > self.shared.config.max_errors {
            tracing::info!(client = %self.client, errors = self.errors, "SMTP session ended after too many errors");
            self.goodbye("4.7.0", "saw too many errors");
            return Next::Close;
        }
        self.reply(code, enhanced, text);
        Next::Command
    }

    fn goodbye(&mut self, enhanced: &str, text: &str) {
        let text = format!("{} {text}", self.shared.config.hostname);
        self.reply(421, enhanced, &text);
    }

    fn reply(&mut self, code: u16, enhanced: &str, text: &str) {
        self.wire.say(code, true, &format!("{enhanced} {text}"));
    }
}

/// Parameters of extensions that are not offered (RFC 5321 §4.1.1.11: 555).
fn has_unknown_parameters(from: &MailFrom<Cow<'_, str>>) -> bool {
    from.flags & !(MAIL_BODY_7BIT | MAIL_BODY_8BITMIME) != 0
        || [&from.trans_id, &from.env_id, &from.solicit, &from.auth].into_iter().any(Option::is_some)
        || from.mtrk.is_some()
        || from.by != 0
        || from.hold_for != 0
        || from.hold_until != 0
        || from.mt_priority != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The parser is not ours, and strangers write its input: whatever passes the checks of
        /// [`Session::command`] must give a request or an error, and stop at the end of the line.
        #[test]
        fn hostile_lines_never_panic(
            verb in "(EHLO|HELO|MAIL FROM:<|RCPT TO:<|mail from:|BDAT|AUTH|VRFY|ATRN|BURL|[A-Z]{0,9}) ?",
            rest in "[ -~\t]{0,80}",
            parameter in "( (SIZE|BODY|HOLDFOR|HOLDUNTIL|BY|MT-PRIORITY|MTRK|AUTH|RRVS|ORCPT|ENVID|TRANSID)=[ -~]{0,30})?",
        ) {
            for end in ["", ">"] {
                let line = format!("{verb}{rest}{end}{parameter}\r\n");
                let mut bytes = line.as_bytes().iter();
                if Request::parse(&mut bytes).is_ok() {
                    prop_assert!(bytes.as_slice().is_empty(), "{line:?} left {:?}", bytes.as_slice());
                }
            }
        }
    }
}
