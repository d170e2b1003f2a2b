//! The DATA phase as a pure state machine: bytes as they arrive → the message with its dots undone.
//!
//! Only `CRLF . CRLF` ends a message (RFC 5321 §4.1.1.4). A line break that is not CRLF never ends it and makes
//! the message unacceptable (RFC 5321 §2.3.8): servers that differ on this point can be made to see two messages
//! where the first saw one ("SMTP smuggling", 2023). A message that cannot be accepted is still read to its end,
//! but no longer kept.

/// Why a message is read to its end but not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rejected {
    /// A CR or LF that is not part of CRLF.
    BareLineBreak,
    /// More octets than the listener takes.
    TooLarge,
    /// The memory for messages in flight is used up.
    NoMemory,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Behind CRLF (or behind the DATA command's own CRLF).
    LineStart,
    InLine,
    /// Behind a CR that is not yet written.
    Cr,
    /// Behind a dot at the start of a line; the dot is not written.
    Dot,
    /// Behind `.` CR at the start of a line.
    DotCr,
}

/// Collects one message.
#[derive(Debug)]
pub(super) struct DataReader {
    at: At,
    message: Vec<u8>,
    limit: usize,
    rejected: Option<Rejected>,
}

impl DataReader {
    pub(super) fn new(limit: usize) -> Self {
        Self { at: At::LineStart, message: Vec::new(), limit, rejected: None }
    }

    /// Takes bytes; returns how many of them belong to the message and its terminator once the end was seen.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut rest = bytes;
        while let Some((&byte, tail)) = rest.split_first() {
            rest = tail;
            match (self.at, byte) {
                (At::LineStart, b'.') => self.at = At::Dot,
                (At::Dot, b'\r') => self.at = At::DotCr,
                (At::DotCr, b'\n') => return Some(bytes.len() - rest.len()),
                (At::Cr, b'\n') => {
                    self.keep(b"\r\n");
                    self.at = At::LineStart;
                }
                (At::Cr | At::DotCr, _) => {
                    self.reject(Rejected::BareLineBreak);
                    self.in_line(byte);
                }
                (At::LineStart | At::InLine | At::Dot, _) => self.in_line(byte),
            }
            if self.at == At::InLine {
                let run = rest.iter().position(|b| matches!(b, b'\r' | b'\n')).unwrap_or(rest.len());
                let (text, after) = rest.split_at(run);
                self.keep(text);
                rest = after;
            }
        }
        None
    }

    fn in_line(&mut self, byte: u8) {
        self.at = At::InLine;
        match byte {
            b'\r' => self.at = At::Cr,
            b'\n' => self.reject(Rejected::BareLineBreak),
            other => self.keep(&[other]),
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.rejected.is_some() {
            return;
        }
        if self.message.len() + bytes.len() > self.limit {
            self.reject(Rejected::TooLarge);
        } else {
            self.message.extend_from_slice(bytes);
        }
    }

    /// Gives the memory back; the first reason is the one told.
    pub(super) fn reject(&mut self, why: Rejected) {
        self.rejected.get_or_insert(why);
        self.message = Vec::new();
    }

    /// Octets of memory held.
    pub(super) fn held(&self) -> usize {
        self.message.capacity()
    }

    /// The message, after [`Self::push`] has seen its end.
    pub(super) fn finish(self) -> Result<Vec<u8>, Rejected> {
        self.rejected.map_or(Ok(self.message), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(bytes: &[u8], chunk: usize, limit: usize) -> (Option<usize>, Result<Vec<u8>, Rejected>) {
        let mut reader = DataReader::new(limit);
        let mut before = 0;
        for piece in bytes.chunks(chunk) {
            if let Some(used) = reader.push(piece) {
                return (Some(before + used), reader.finish());
            }
            before += piece.len();
        }
        (None, reader.finish())
    }

    #[test]
    fn dots_are_undone_and_only_crlf_dot_crlf_ends() {
        for chunk in 1..9 {
            let (end, message) = read(b"hi\r\n..\r\n..a.\r\n\r\n.\r\nQUIT\r\n", chunk, 99);
            assert_eq!((end, message.unwrap().as_slice()), (Some(19), &b"hi\r\n.\r\n.a.\r\n\r\n"[..]));
            assert_eq!(read(b".\r\nQUIT", chunk, 99), (Some(3), Ok(Vec::new())), "an empty message");
            for odd in ["\n.\n", "\r.\r", "\n.\r\n", "\r\n.\n", "\r\n.\r", "\r\n.\r\r\n", "\r.\r\n"] {
                let sent = format!("a{odd}MAIL FROM:<b@c.example>\r\n.\r\nx");
                let (end, message) = read(sent.as_bytes(), chunk, 99);
                assert_eq!(message, Err(Rejected::BareLineBreak), "{odd:?}");
                assert_eq!(end, Some(sent.len() - 1), "{odd:?} must not end the message");
            }
        }
    }

    #[test]
    fn the_limit_counts_the_message_without_its_terminator() {
        assert_eq!(read(b"ab\r\n.\r\n", 3, 4).1, Ok(b"ab\r\n".to_vec()));
        assert_eq!(read(b"abc\r\n.\r\n", 3, 4), (Some(8), Err(Rejected::TooLarge)));
    }

    proptest! {
        #[test]
        fn stuffed_lines_come_back_and_chunking_never_matters(
            lines in prop::collection::vec("[.a\u{e4}]{0,5}", 0..9), chunk in 1_usize..20,
        ) {
            let message: String = lines.iter().flat_map(|line| [line.as_str(), "\r\n"]).collect();
            let sent: String = lines.iter().map(|line| {
                if line.starts_with('.') { format!(".{line}\r\n") } else { format!("{line}\r\n") }
            }).chain([".\r\n".to_owned()]).collect();
            prop_assert_eq!(read(sent.as_bytes(), chunk, 999), (Some(sent.len()), Ok(message.into_bytes())));
        }

        #[test]
        fn any_bytes_give_the_same_result_in_any_chunks(bytes in "[.\r\na]{0,40}", chunk in 1_usize..9) {
            prop_assert_eq!(read(bytes.as_bytes(), chunk, 20), read(bytes.as_bytes(), 40, 20));
        }
    }
}
