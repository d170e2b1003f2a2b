//! Replies: bytes → [`Reply`] (RFC 5321 §4.2, RFC 2034).

use bytes::BytesMut;
use std::fmt;

/// Octets of one reply, all lines together.
const MAX_REPLY: usize = 16 * 1024;
/// Lines of one reply.
const MAX_LINES: usize = 200;

/// Class, subject, detail (RFC 3463). Details above 255 are in use, such as `5.7.509`.
pub type EnhancedStatus = (u8, u16, u16);

/// What a server said, in its own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// 200–599.
    pub code: u16,
    /// The enhanced status code (RFC 3463), when the first line has one of the code's class.
    pub enhanced: Option<EnhancedStatus>,
    /// The text without codes, lines joined by `\n`; octets that are not UTF-8 are replaced. Untrusted: it may
    /// hold control characters.
    pub text: String,
}

impl Reply {
    /// 2xx: done.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// 4xx: another attempt may succeed.
    pub fn is_temporary(&self) -> bool {
        (400..500).contains(&self.code)
    }

    /// 5xx: another attempt would fail as well.
    pub fn is_permanent(&self) -> bool {
        (500..600).contains(&self.code)
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some((class, subject, detail)) = self.enhanced {
            write!(f, " {class}.{subject}.{detail}")?;
        }
        // One line, whatever the server sent: the text ends in logs and on terminals.
        write!(f, " {}", self.text.replace(|c: char| c.is_control(), " "))
    }
}

/// Takes one whole reply from the front of `input`, or `None` while more must be read.
pub(super) fn take(input: &mut BytesMut) -> Result<Option<Reply>, &'static str> {
    let mut code = None;
    let mut at = 0;
    let mut texts = Vec::new();
    loop {
        let rest = input.get(at..).unwrap_or_default();
        let Some(end) = rest.iter().position(|b| *b == b'\n') else {
            return if input.len() > MAX_REPLY { Err("a reply longer than 16 KiB") } else { Ok(None) };
        };
        let (line, last) = split_line(&rest[..end], &mut code)?;
        texts.push(line.to_vec());
        at += end + 1;
        if at > MAX_REPLY || texts.len() > MAX_LINES {
            return Err("a reply longer than 16 KiB or 200 lines");
        }
        if last {
            break;
        }
    }
    let code = code.unwrap_or_default();
    let enhanced = texts.first().and_then(|line| enhanced(line, code)).map(|(status, _)| status);
    let lines: Vec<_> =
        texts.iter().map(|line| String::from_utf8_lossy(enhanced_rest(line, code)).into_owned()).collect();
    drop(input.split_to(at));
    Ok(Some(Reply { code, enhanced, text: lines.join("\n") }))
}

/// The text of one line without its LF, and whether it is the last.
fn split_line<'a>(line: &'a [u8], code: &mut Option<u16>) -> Result<(&'a [u8], bool), &'static str> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let (digits, rest) = line.split_at_checked(3).ok_or("a line shorter than its code")?;
    let (true, Ok(digits)) = (digits.iter().all(u8::is_ascii_digit), str::from_utf8(digits)) else {
        return Err("a line that does not start with a code");
    };
    let here: u16 = digits.parse().map_err(|_| "a line that does not start with a code")?;
    if !(200..600).contains(&here) {
        return Err("a code outside 200 to 599");
    }
    if *code.get_or_insert(here) != here {
        return Err("lines of one reply with different codes");
    }
    match rest.split_first() {
        None => Ok((b"", true)),
        Some((b' ', text)) => Ok((text, true)),
        Some((b'-', text)) => Ok((text, false)),
        Some(_) => Err("neither space nor hyphen behind the code"),
    }
}

/// `2.1.5 text` → the status and the text, when the class is that of the reply code (RFC 2034 §4).
fn enhanced(line: &[u8], code: u16) -> Option<(EnhancedStatus, &[u8])> {
    let word_end = line.iter().position(|b| *b == b' ').unwrap_or(line.len());
    let (word, rest) = line.split_at(word_end);
    let mut numbers = word.split(|b| *b == b'.').map(|part| {
        let digits = (1..=3).contains(&part.len()) && part.iter().all(u8::is_ascii_digit);
        digits.then(|| part.iter().fold(0_u16, |sum, b| sum * 10 + u16::from(b - b'0')))
    });
    let (class, subject, detail) = (numbers.next()??, numbers.next()??, numbers.next()??);
    if numbers.next().is_some() || class != code / 100 {
        return None;
    }
    let class = u8::try_from(class).ok()?;
    Some(((class, subject, detail), rest.strip_prefix(b" ").unwrap_or(rest)))
}

fn enhanced_rest(line: &[u8], code: u16) -> &[u8] {
    enhanced(line, code).map_or(line, |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(bytes: &[u8]) -> Result<Option<Reply>, &'static str> {
        take(&mut BytesMut::from(bytes))
    }

    #[test]
    fn codes_and_words_are_kept_apart() {
        let mut input =
            BytesMut::from(&b"550-5.1.1 No such user\r\n550 5.1.1 see help\r\n250 2.0.0 x\r\n"[..]);
        let reply = take(&mut input).unwrap().unwrap();
        assert_eq!((reply.code, reply.enhanced), (550, Some((5, 1, 1))));
        assert_eq!(reply.text, "No such user\nsee help");
        assert_eq!(&input[..], b"250 2.0.0 x\r\n");
        let plain = all(b"250 2.0 is no status\n").unwrap().unwrap();
        assert_eq!((plain.enhanced, plain.text.as_str()), (None, "2.0 is no status"));
        assert_eq!(all(b"250 5.1.1 wrong class\r\n").unwrap().unwrap().enhanced, None);
        assert_eq!(all(b"250 2.7.128 three digits\r\n").unwrap().unwrap().enhanced, Some((2, 7, 128)));
        assert_eq!(all(b"354\r\n").unwrap().unwrap().text, "");
        assert_eq!(all(b"250-half\r\n250"), Ok(None));
        for bad in ["hello\r\n", "25\r\n", "100 x\r\n", "999 x\r\n", "250_x\r\n", "250-a\r\n550 b\r\n"] {
            assert!(all(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_endless_reply_is_given_up() {
        assert!(all("250-\r\n".repeat(201).as_bytes()).is_err());
        assert!(all(&vec![b'2'; MAX_REPLY + 1]).is_err());
    }

    proptest! {
        #[test]
        fn hostile_replies_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), start in "(250|5)?[- .0-9]{0,9}") {
            let bytes = [start.as_bytes(), &bytes, b"\n"].concat();
            if let Ok(Some(reply)) = all(&bytes) {
                prop_assert!((200..600).contains(&reply.code));
            }
        }
    }
}
