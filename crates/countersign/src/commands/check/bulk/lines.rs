//! The list: one domain a line, read as it is needed.
//!
//! Comments begin with `#`; blank lines, both kinds of line ends and a byte order mark are passed over. A line that
//! is no domain is handed on as such, with its number. A domain that came before, or that an earlier run has looked
//! at already, is counted and left out: for each one 16 octets are kept, so a million of them are not felt.

use crate::commands::check::{subject, wanted::Wanted};
use diagnosis::Plan;
use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    io::{self, BufRead, Read},
    sync::atomic::{AtomicU64, Ordering},
};
use tokio::sync::mpsc::Sender;

/// The longest line that is read; a domain has 253 octets at the most, an address some more.
const MAX_LINE: u64 = 1_000;

/// A domain and where it stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Counted from 1.
    pub line: u64,
    /// How many octets of the list were read when it was.
    pub read: u64,
    /// What is looked for at the domain.
    pub plan: Plan,
}

/// A line that is no domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// Counted from 1.
    pub line: u64,
    /// What stands there, cut and without control characters.
    pub input: String,
    /// What is wrong with it.
    pub problem: String,
}

/// Texts that were seen, in 16 octets each. With a million texts the chance that two are taken for one is below 1 in
/// 10^26.
#[derive(Debug, Default)]
pub struct Seen {
    hashes: HashSet<u128>,
    states: [RandomState; 2],
}

impl Seen {
    /// Whether this is the first time.
    pub fn insert(&mut self, text: &str) -> bool {
        let [first, second] =
            [&self.states[0], &self.states[1]].map(|state| u128::from(state.hash_one(text)));
        self.hashes.insert(first << 64 | second)
    }
}

/// What reading has come to, for those who watch.
#[derive(Debug, Default)]
pub struct Counters {
    /// Domains that stood in the list before.
    pub duplicates: AtomicU64,
    /// Domains that an earlier run had looked at.
    pub done_before: AtomicU64,
}

/// What is looked for, what an earlier run has done, and where what is read goes.
pub struct Reader<'a> {
    /// What is looked for at each domain.
    pub wanted: Wanted,
    /// Domains and bad lines whose results are there.
    pub done: Seen,
    /// Domains go there.
    pub entries: Sender<Entry>,
    /// Lines that are no domain go there.
    pub bad: Sender<BadLine>,
    /// What is passed over is counted there.
    pub counters: &'a Counters,
}

impl Reader<'_> {
    /// Reads to the end, or until nobody takes what is read. Blocks.
    pub fn read(mut self, source: &mut dyn BufRead) -> io::Result<()> {
        let mut met = Seen::default();
        let (mut number, mut read) = (0, 0);
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            let length = source.take(MAX_LINE).read_until(b'\n', &mut bytes)? as u64;
            if length == 0 {
                return Ok(());
            }
            number += 1;
            read += length;
            if number == 1 {
                refuse_utf16(&bytes)?;
            }
            let is_cut = length == MAX_LINE && bytes.last() != Some(&b'\n');
            if is_cut {
                read += skip_line(source)?;
            }
            let text = String::from_utf8_lossy(&bytes);
            let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
            let content = content(text);
            if content.is_empty() {
                continue;
            }
            let parsed =
                if is_cut { Err("the line is too long".to_owned()) } else { subject::parse(content) };
            let parsed = parsed.and_then(|domain| self.wanted.plan(&domain));
            let key = match &parsed {
                Ok(plan) => plan.domain.to_string(),
                Err(_) => bad_key(&subject::shown(content)),
            };
            if !met.insert(&key) {
                self.counters.duplicates.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            if !self.done.insert(&key) {
                self.counters.done_before.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            let taken = match parsed {
                Ok(plan) => self.entries.blocking_send(Entry { line: number, read, plan }).is_ok(),
                Err(problem) => {
                    let input = subject::shown(content);
                    self.bad.blocking_send(BadLine { line: number, input, problem }).is_ok()
                }
            };
            if !taken {
                return Ok(());
            }
        }
    }
}

/// What a bad line is remembered by: no domain holds a space.
pub fn bad_key(input: &str) -> String {
    format!(" {input}")
}

/// The line without its comment and the white space around it.
fn content(line: &str) -> &str {
    let end = line
        .char_indices()
        .find(|&(at, c)| c == '#' && line[..at].chars().next_back().is_none_or(char::is_whitespace))
        .map_or(line.len(), |(at, _)| at);
    line[..end].trim()
}

fn refuse_utf16(start: &[u8]) -> io::Result<()> {
    if start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff") {
        let problem = "the list is UTF-16; save it as UTF-8 (iconv -f UTF-16 -t UTF-8)";
        return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
    }
    Ok(())
}

/// Reads over the rest of a line without keeping it.
fn skip_line(source: &mut dyn BufRead) -> io::Result<u64> {
    let mut skipped = 0;
    loop {
        let buffer = source.fill_buf()?;
        if buffer.is_empty() {
            return Ok(skipped);
        }
        let end = buffer.iter().position(|&octet| octet == b'\n');
        let length = end.map_or(buffer.len(), |at| at + 1);
        source.consume(length);
        skipped += length as u64;
        if end.is_some() {
            return Ok(skipped);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::check::wanted::Records;
    use tokio::sync::mpsc;

    fn wanted() -> Wanted {
        Wanted {
            records: Records::Audit { selectors: Vec::new(), tries: false },
            senders: Vec::new(),
            certificate_authority: None,
        }
    }

    fn read(list: &[u8], done: &[&str]) -> (Vec<(u64, String)>, Vec<BadLine>, Counters) {
        let (entries, mut entries_out) = mpsc::channel(100);
        let (bad, mut bad_out) = mpsc::channel(100);
        let counters = Counters::default();
        let mut seen = Seen::default();
        for text in done {
            seen.insert(text);
        }
        Reader { wanted: wanted(), done: seen, entries, bad, counters: &counters }
            .read(&mut &list[..])
            .unwrap();
        let mut found = Vec::new();
        while let Ok(entry) = entries_out.try_recv() {
            found.push((entry.line, entry.plan.domain.to_string()));
        }
        let mut problems = Vec::new();
        while let Ok(line) = bad_out.try_recv() {
            problems.push(line);
        }
        (found, problems, counters)
    }

    #[test]
    fn lists_are_read_as_people_keep_them() {
        let list = "\u{feff}# our customers\r\nExample.COM.\r\n\r\n  jane@mail.example.com  # since 2019\nexample.com\n\
                    b\u{fc}cher.example\n#x.example\nlast.example";
        let (found, bad, counters) = read(list.as_bytes(), &[]);
        let found: Vec<(u64, &str)> = found.iter().map(|(line, name)| (*line, name.as_str())).collect();
        assert_eq!(
            found,
            [(2, "example.com"), (4, "mail.example.com"), (6, "xn--bcher-kva.example"), (8, "last.example")]
        );
        assert_eq!((bad.len(), counters.duplicates.into_inner()), (0, 1));
    }

    #[test]
    fn a_bad_line_is_told_with_its_number_and_holds_up_nothing() {
        let mut list = b"a.example\nnot a domain\nhttps://b.example/x\n\xff\xff\n".to_vec();
        list.extend([b'x'; 5_000]);
        list.extend(b".example\nc.example\nnot a domain\n");
        let (found, bad, counters) = read(&list, &[]);
        assert_eq!(found, [(1, "a.example".to_owned()), (6, "c.example".to_owned())]);
        assert_eq!(bad.iter().map(|line| line.line).collect::<Vec<_>>(), [2, 3, 4, 5]);
        assert!(bad[1].problem.contains("did you mean \"b.example\""), "{bad:?}");
        assert!(bad[3].problem.contains("too long") && bad[3].input.len() < 100, "{bad:?}");
        assert_eq!(counters.duplicates.into_inner(), 1);
    }

    #[test]
    fn what_an_earlier_run_has_done_is_left_out() {
        let (found, bad, counters) = read(b"a.example\nb.example\nx y\n", &["a.example", &bad_key("x y")]);
        assert_eq!(found, [(2, "b.example".to_owned())]);
        assert!(bad.is_empty());
        assert_eq!(counters.done_before.into_inner(), 2);
    }

    #[test]
    fn utf_16_is_named() {
        let (entries, _out) = mpsc::channel(1);
        let (bad, _bad_out) = mpsc::channel(1);
        let counters = Counters::default();
        let reader = Reader { wanted: wanted(), done: Seen::default(), entries, bad, counters: &counters };
        let error = reader.read(&mut &b"\xff\xfea\0.\0b\0\n\0"[..]).unwrap_err();
        assert!(error.to_string().contains("UTF-16"));
    }
}
