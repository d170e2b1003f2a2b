//! Making strangers' text fit to be shown: bounded, without control characters, escaped for its medium.
//!
//! DNS answers hold whatever their owner put there: terminal escape sequences, text that reverses its direction,
//! 64 KB in one record, markup. Every observed value goes through [`line`] or [`paste`] before it meets a reader.

use diagnosis::observation::Server;
use std::fmt::Write as _;

/// Longest observed value inside a sentence, in characters.
pub const IN_SENTENCE: usize = 100;
/// Longest observed value on a line of its own, in characters.
pub const ON_LINE: usize = 400;
/// Longest value to paste, in characters: what the widest known panel takes.
pub const TO_PASTE: usize = 4_096;

/// Replaces what could steer a terminal or deceive the eye, and cuts after `most` characters, telling the length.
pub fn line(text: &str, most: usize) -> String {
    let mut out: String = text.chars().take(most).map(harmless).collect();
    if text.len() > most {
        let length = text.chars().count();
        if length > most {
            let _ = write!(out, "… ({length} characters in all)");
        }
    }
    out
}

/// An observed value inside a sentence; an empty one is named as such.
pub fn value(text: &str) -> String {
    if text.is_empty() { "(empty)".to_owned() } else { line(text, IN_SENTENCE) }
}

/// A value that is there now, on a line of its own: of a long one the beginning and the end, for keys differ in those.
pub fn current(text: &str) -> String {
    const HEAD: usize = 100;
    const TAIL: usize = 30;
    let length = text.chars().count();
    if length <= HEAD + TAIL + 20 {
        return line(text, ON_LINE);
    }
    let tail: String = text.chars().skip(length - TAIL).map(harmless).collect();
    let head: String = text.chars().take(HEAD).map(harmless).collect();
    format!("{head}…{tail} ({length} characters in all)")
}

/// A server: its name and address, the port only where it is not that of DNS.
pub fn server(server: &Server) -> String {
    let address = server.address();
    let address = if address.port() == 53 { address.ip().to_string() } else { address.to_string() };
    value(&match server {
        Server::Resolver { .. } => format!("resolver {address}"),
        Server::Authority { name, .. } => format!("{name} ({address})"),
    })
}

/// Why a server gave no answer that helps, with its code in words: "resolver 9.9.9.9: it found no answer (SERVFAIL)".
pub fn reason(text: &str) -> String {
    let mut out = text.replacen(":53: ", ": ", 1);
    // RFC 8914 §4.
    let extended = out.rsplit_once(", extended error ").and_then(|(before, code)| {
        // The resolver's own words behind the code are in the raw answer.
        let code = code.split_once(": ").map_or(code, |(code, _)| code);
        let words = match code.parse::<u16>().ok()? {
            6 => "DNSSEC signatures are not valid",
            7 => "a DNSSEC signature has run out",
            8 => "a DNSSEC signature is not valid yet",
            9 => "the DNSSEC key is missing",
            10 => "DNSSEC signatures are missing",
            3 | 19 => "an old answer, which proves nothing",
            4 | 15..=17 => "blocked by its operator, not the zone's answer",
            18 => "the question is not allowed",
            22 => "no name server could be reached",
            23 => "the network failed",
            _ => return None,
        };
        Some((before.to_owned(), words))
    });
    let mut more = String::new();
    if let Some((before, words)) = extended {
        out = before;
        more = format!(": {words}");
    }
    for (code, words) in [
        ("SERVFAIL", "it found no answer"),
        ("REFUSED", "it refuses to answer"),
        ("NOTIMP", "it cannot answer that"),
        ("FORMERR", "it did not understand the question"),
        ("NXDOMAIN", "no such name"),
        ("NOERROR", "no such record"),
    ] {
        if out == code || out.ends_with(&format!(": {code}")) {
            out.truncate(out.len() - code.len());
            let _ = write!(out, "{words} ({code})");
        }
    }
    out + &more
}

/// A value that is to be pasted: not cut below what panels take.
pub fn paste(text: &str) -> String {
    line(text, TO_PASTE)
}

/// Joins values for a sentence: at most four, then how many more there are.
pub fn list<T: ToString>(values: &[T]) -> String {
    list_of(values, 4)
}

/// Joins values for a sentence: at most so many, then how many more there are.
pub fn list_of<T: ToString>(values: &[T], most: usize) -> String {
    if values.is_empty() {
        return "(none)".to_owned();
    }
    let mut out = values.iter().take(most).map(|v| value(&v.to_string())).collect::<Vec<_>>().join(", ");
    if values.len() > most {
        let _ = write!(out, " and {} more", values.len() - most);
    }
    out
}

fn harmless(c: char) -> char {
    match c {
        '\t' | '\n' | '\r' => ' ',
        // C0, DEL and C1; zero-width and direction marks; separators; the tag characters.
        c if c.is_control() => '\u{fffd}',
        '\u{61c}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}' => '\u{fffd}',
        c => c,
    }
}

/// Escapes text for HTML, for elements and quoted attributes alike.
pub fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(harmless(c)),
        }
    }
    out
}

/// Escapes text for a line of Markdown (`CommonMark` §2.4).
pub fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '|' | '&' | '~') {
            out.push('\\');
        }
        out.push(harmless(c));
    }
    out
}

/// A fence of backticks longer than any run of them in the content, three at least.
pub fn fence(content: &str) -> String {
    let (mut longest, mut run) = (0, 0);
    for c in content.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    "`".repeat(longest.max(2) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_and_direction_marks_do_not_get_through() {
        assert_eq!(line("a\x1b[31mb\u{9b}c\u{202e}d\ne", 100), "a\u{fffd}[31mb\u{fffd}c\u{fffd}d e");
        assert_eq!(html("<b a='\"'>&\x07"), "&lt;b a=&#39;&quot;&#39;&gt;&amp;\u{fffd}");
        assert_eq!(markdown("_x_ <y>"), "\\_x\\_ \\<y\\>");
    }

    #[test]
    fn a_long_text_is_cut_and_its_length_told() {
        let shown = value(&"é".repeat(65_536));
        assert_eq!(shown.chars().count(), IN_SENTENCE + "… (65536 characters in all)".chars().count());
        assert_eq!(line(&"é".repeat(100), 100), "é".repeat(100));
    }

    #[test]
    fn codes_of_dns_are_told_in_words() {
        assert_eq!(reason("REFUSED"), "it refuses to answer (REFUSED)");
        assert_eq!(
            reason("resolver 9.9.9.9:53: SERVFAIL, extended error 7"),
            "resolver 9.9.9.9: it found no answer (SERVFAIL): a DNSSEC signature has run out"
        );
        assert_eq!(
            reason("resolver 9.9.9.9:5300: no answer in time"),
            "resolver 9.9.9.9:5300: no answer in time"
        );
    }

    #[test]
    fn of_a_long_value_both_ends_are_shown() {
        let key = format!("{}{}{}", "a".repeat(100), "b".repeat(280), "c".repeat(30));
        assert_eq!(current(&key), format!("{}…{} (410 characters in all)", "a".repeat(100), "c".repeat(30)));
        assert_eq!(current("short"), "short");
    }

    #[test]
    fn a_fence_is_longer_than_what_it_holds() {
        assert_eq!(fence("plain"), "```");
        assert_eq!(fence("a````b"), "`````");
    }
}
