//! Bounded, timed reading and writing for one connection.
//!
//! Replies are gathered and written before the next read from the socket, so a pipelined batch of commands
//! (RFC 2920) is answered in one segment.

use bytes::{Buf, BytesMut};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};

/// Longest command line with its CRLF. RFC 5321 §4.5.3.1.4 asks for 512 and more with extensions.
const MAX_LINE: usize = 4096;
/// Octets read from the socket at a time.
const READ: usize = 16 * 1024;
/// Replies gathered at most before they are written.
const MAX_GATHERED: usize = 4096;

/// Why a connection gives no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Closed or reset by the client.
    Closed,
    /// Nothing came, or nothing was taken, in time.
    TimedOut,
}

/// What a read for a command gave.
#[derive(Debug)]
pub(super) enum Line {
    /// A line with its line break.
    Complete(BytesMut),
    /// A line longer than the bound; it was dropped up to its end.
    TooLong,
}

#[derive(Debug)]
pub(super) struct Wire<S> {
    stream: S,
    pub(super) input: BytesMut,
    output: Vec<u8>,
    write_timeout: Duration,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) fn new(stream: S, write_timeout: Duration) -> Self {
        Self { stream, input: BytesMut::new(), output: Vec::new(), write_timeout }
    }

    /// The bare stream. Bytes read but not used are dropped: after STARTTLS they would be plain text posing as
    /// part of the encrypted session (RFC 3207 §5, CVE-2011-0411).
    pub(super) fn into_stream(self) -> S {
        self.stream
    }

    /// Gathers one reply line. The text is made printable ASCII, so nothing a stranger wrote can end the line.
    pub(super) fn say(&mut self, code: u16, last: bool, text: &str) {
        let separator = if last { ' ' } else { '-' };
        self.output.extend_from_slice(format!("{code}{separator}").as_bytes());
        let printable = |c: char| if matches!(c, ' '..='~') { c as u8 } else { b'?' };
        // RFC 5321 §4.5.3.1.5: a reply line has 512 octets at most, with code and CRLF.
        self.output.extend(text.chars().take(500).map(printable));
        self.output.extend_from_slice(b"\r\n");
    }

    /// The next line, waiting for it until `until`.
    pub(super) async fn line(&mut self, until: Instant) -> Result<Line, End> {
        let mut dropped = false;
        loop {
            if let Some(end) = self.input.iter().position(|b| *b == b'\n') {
                let line = self.input.split_to(end + 1);
                if self.output.len() > MAX_GATHERED {
                    self.flush().await?;
                }
                return Ok(if dropped || line.len() > MAX_LINE {
                    Line::TooLong
                } else {
                    Line::Complete(line)
                });
            }
            if self.input.len() >= MAX_LINE {
                dropped = true;
                self.input.clear();
            }
            self.fill(until).await?;
        }
    }

    /// Reads at least one octet into [`Self::input`], after writing what was gathered.
    pub(super) async fn fill(&mut self, until: Instant) -> Result<(), End> {
        self.flush().await?;
        self.input.reserve(READ);
        match timeout_at(until, self.stream.read_buf(&mut self.input)).await {
            Ok(Ok(0) | Err(_)) => Err(End::Closed),
            Ok(Ok(_)) => Ok(()),
            Err(_) => Err(End::TimedOut),
        }
    }

    /// Writes what was gathered.
    pub(super) async fn flush(&mut self) -> Result<(), End> {
        if self.output.is_empty() {
            return Ok(());
        }
        let write = async {
            self.stream.write_all(&self.output).await?;
            self.stream.flush().await
        };
        let written = timeout(self.write_timeout, write).await;
        self.output.clear();
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Closed),
            Err(_) => Err(End::TimedOut),
        }
    }

    /// Writes the last reply, closes, and reads what is still under way for a moment: closing a socket with
    /// unread data resets it, and the client would never see why.
    pub(super) async fn close(mut self) {
        let last_words = async {
            if self.flush().await.is_err() {
                return false;
            }
            self.stream.shutdown().await.is_ok()
        };
        if timeout(Duration::from_secs(5), last_words).await != Ok(true) {
            return;
        }
        let rest = async {
            for _ in 0..64 {
                self.input.clear();
                self.input.reserve(READ);
                if !matches!(self.stream.read_buf(&mut self.input).await, Ok(1..)) {
                    return;
                }
            }
        };
        // Not being able to say goodbye changes nothing.
        let _ = timeout(Duration::from_secs(1), rest).await;
    }

    /// Marks octets of the input as used.
    pub(super) fn used(&mut self, octets: usize) {
        self.input.advance(octets.min(self.input.len()));
    }
}
