//! Texts that were meant as SPF or DMARC records, and that receivers do not take for any: the version at the beginning
//! is wrong, and it is all that they look at (RFC 7208 §4.5, RFC 9989 §4.7).
//!
//! [`spf`] and [`dmarc`] say what is wrong with the beginning and what was meant. Site verifications, Sender ID
//! (`spf2.0/`, RFC 4406) and whatever else stands at a name are no near misses: a text has to have parts that only such
//! a record has.

use crate::repair;
use mail::{
    dmarc::PolicyRecord,
    spf::{Mechanism, SpfRecord, TermKind},
};
use serde::{Deserialize, Serialize};

/// What is wrong with the beginning of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "start", rename_all = "snake_case")]
pub enum VersionSlip {
    /// What has to stand behind the version does not: a space in SPF, a semicolon in DMARC.
    NoSeparator,
    /// It is in another case, which counts in DMARC.
    Case,
    /// Something stands in front of it.
    NotFirst,
    /// There is none.
    Missing,
    /// It is another one; as it is written.
    Other(String),
}

/// A text that was meant as a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NearMiss {
    /// What is wrong with its beginning.
    pub slip: VersionSlip,
    /// The record as it was meant, all parts kept. Parts may be wrong in it, too.
    pub meant: String,
}

/// What stands around a value that was copied with more than itself.
fn is_around(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(
            c,
            '"' | '\'' | '\\' | '“' | '”' | '„' | '‘' | '’' | '\u{200b}'
                ..='\u{200f}' | '\u{2060}' | '\u{feff}'
        )
}

/// How far from its beginning a text may have its version.
const FRONT: usize = 120;

/// Longer texts, in octets, are nobody's slip: a record that was meant to be one is a few hundred long.
const LONGEST: usize = 2048;

/// How far from the start of a part its "=" may be, in octets: the longest tag with spaces on both sides.
const TAG_AND_SPACES: usize = 24;

/// What a text that is no SPF record was meant to be, if it was meant as one.
pub fn spf(text: &str) -> Option<NearMiss> {
    if text.len() > LONGEST || mail::spf::is_spf_record(text) {
        return None;
    }
    let bare = text.trim_matches(is_around);
    let (slip, rest) = spf_version(bare)?;
    let words: Vec<&str> = rest
        .split(|c: char| c.is_whitespace() || c == ';')
        .map(|word| word.trim_matches(is_around).trim_end_matches(','))
        .filter(|word| !word.is_empty())
        .collect();
    let kinds: Vec<Option<TermKind>> = words.iter().map(|word| kind_of(word)).collect();
    let is_enough = match slip {
        VersionSlip::Missing => {
            kinds.iter().all(Option::is_some)
                && kinds.iter().flatten().any(is_all)
                && words.iter().any(|word| word.contains(':'))
        }
        VersionSlip::Other(ref start) if !start.contains('=') => {
            words.iter().zip(&kinds).any(|(word, kind)| is_telling(word, kind.as_ref()))
        }
        _ => kinds.iter().flatten().any(is_sender),
    };
    let meant = std::iter::once("v=spf1").chain(words).collect::<Vec<_>>().join(" ");
    is_enough.then_some(NearMiss { slip, meant })
}

/// What is wrong with the version, and what stands behind it. Nothing for Sender ID, which is another thing.
fn spf_version(bare: &str) -> Option<(VersionSlip, &str)> {
    let lower = bare.to_ascii_lowercase();
    if let Some(at) = lower.find("v=spf1 ").filter(|at| *at <= FRONT) {
        let is_apart = !lower[..at].ends_with(|c: char| c.is_ascii_alphanumeric());
        return is_apart.then(|| (VersionSlip::NotFirst, &bare[at + 7..]));
    }
    if lower.starts_with("v=spf1") && !lower[6..].starts_with(|c: char| c.is_ascii_digit()) {
        return Some((VersionSlip::NoSeparator, bare[6..].trim_start_matches([';', ',', ':', '.', '='])));
    }
    let behind_v =
        lower.strip_prefix('v').map_or(lower.as_str(), |rest| rest.trim_start_matches([' ', '=', ':', '-']));
    let Some(behind) = behind_v.strip_prefix("spf") else {
        return Some((VersionSlip::Missing, bare));
    };
    let number = behind.trim_start_matches([' ', '-', '_', '=', '.']);
    let rest = number.trim_start_matches(|c: char| c.is_ascii_digit());
    if rest.starts_with('.') && rest.contains('/') {
        return None;
    }
    // Words may follow at once: "spf include:…".
    let rest = if rest.len() == number.len() { behind } else { rest };
    let at = bare.len() - rest.len();
    let start = bare[..at].trim_end().to_owned();
    Some((VersionSlip::Other(start), bare[at..].trim_start_matches([';', ',', ':', '.', '=', '"'])))
}

/// What a word says as a term of a record; nothing for those that nobody can make sense of.
fn kind_of(word: &str) -> Option<TermKind> {
    let record = repair::spf_syntax(&format!("v=spf1 {word}")).ok()?;
    let mut terms = SpfRecord::parse(&record).ok()?.terms;
    (!terms.is_empty()).then(|| terms.swap_remove(0).kind)
}

fn is_all(kind: &TermKind) -> bool {
    matches!(kind, TermKind::Directive(directive) if directive.mechanism == Mechanism::All)
}

fn is_sender(kind: &TermKind) -> bool {
    matches!(kind, TermKind::Directive(_) | TermKind::Redirect(_))
}

/// Whether a word is a term beyond doubt, and not one of a language: "a", "mx" and "all" may be.
fn is_telling(word: &str, kind: Option<&TermKind>) -> bool {
    kind.is_some_and(is_sender) && (word.contains([':', '=']) || word.starts_with(['-', '~', '?', '+']))
}

/// The tags of DMARC records, those that RFC 9989 removed among them.
const TAGS: [&str; 13] = ["v", "p", "sp", "np", "rua", "ruf", "adkim", "aspf", "fo", "psd", "t", "pct", "ri"];

/// What a text that receivers do not take for a DMARC record, or cannot use, was meant to be, if it was meant as one.
/// A slip only where the version is what is wrong.
pub fn dmarc(text: &str) -> Option<(Option<VersionSlip>, String)> {
    if text.len() > LONGEST {
        return None;
    }
    let bare = text.trim_matches(is_around);
    let pieces = dmarc_pieces(bare);
    let mut tags: Vec<&str> = pieces.iter().copied().filter(|piece| !is_version(piece)).collect();
    let slip = if mail::dmarc::is_dmarc_record(text) { None } else { Some(dmarc_version(bare, &pieces)?) };
    if slip == Some(VersionSlip::NotFirst) {
        // What stands in front of a whole record is no part of it; tags may stand in any order.
        tags.retain(|piece| tag_of(piece).is_some());
    }
    let is_policy = |piece: &&str| {
        let value = piece.split_once('=').map(|(_, value)| value.trim().to_ascii_lowercase());
        tag_of(piece) == Some("p")
            && value.is_some_and(|value| ["none", "quarantine", "reject"].contains(&value.as_str()))
    };
    let all_known = tags.iter().all(|piece| tag_of(piece).is_some_and(|tag| tag != "v"));
    if slip == Some(VersionSlip::Missing) && !(all_known && tags.iter().any(is_policy)) {
        return None;
    }
    Some((slip, std::iter::once("v=DMARC1").chain(tags).collect::<Vec<_>>().join("; ")))
}

/// The record as it was meant, where receivers can use that.
pub fn usable_dmarc(meant: &str) -> Option<String> {
    PolicyRecord::parse(meant).is_ok_and(|record| !record.policy_defaulted).then(|| meant.to_owned())
}

fn dmarc_version(bare: &str, pieces: &[&str]) -> Option<VersionSlip> {
    let lower = bare.to_ascii_lowercase();
    let first = pieces.first()?;
    if !is_version(first) {
        let has_version = lower.find("v=dmarc1").is_some_and(|at| at <= FRONT)
            || pieces.iter().any(|piece| is_version(piece));
        return Some(if has_version { VersionSlip::NotFirst } else { VersionSlip::Missing });
    }
    let is_exact =
        first.split_once('=').is_some_and(|(name, value)| name.trim() == "v" && value.trim() == "DMARC1");
    let is_cased = first.replace(' ', "").eq_ignore_ascii_case("v=dmarc1");
    Some(match (is_exact, is_cased) {
        // What follows is not a semicolon; or the whole begins with what is not seen.
        (true, _) if bare.split(';').next().is_some_and(|part| part.trim_end() != *first) => {
            VersionSlip::NoSeparator
        }
        (true, _) => VersionSlip::NotFirst,
        (_, true) => VersionSlip::Case,
        _ => VersionSlip::Other((*first).to_owned()),
    })
}

/// Whether a piece is the version, however it is written.
fn is_version(piece: &str) -> bool {
    let lower = piece.to_ascii_lowercase();
    let behind_v =
        lower.strip_prefix('v').map_or(lower.as_str(), |rest| rest.trim_start_matches([' ', '=', ':', '-']));
    let number =
        behind_v.strip_prefix("dmarc").map(|rest| rest.trim_start_matches([' ', '-', '_', '=', '.']));
    number.is_some_and(|number| number.chars().all(|c| c.is_ascii_digit() || c == '.'))
}

fn tag_of(piece: &str) -> Option<&'static str> {
    let (name, _) = piece.split_once('=')?;
    TAGS.into_iter().find(|tag| name.trim().eq_ignore_ascii_case(tag))
}

/// The parts of a record, whatever stands between them: a part begins where a known tag does.
fn dmarc_pieces(bare: &str) -> Vec<&str> {
    let mut starts = vec![0];
    let is_between = |c: char| c.is_whitespace() || matches!(c, ';' | ',' | ':' | '"');
    for (at, c) in bare.char_indices().filter(|(_, c)| is_between(*c)) {
        let behind = at + c.len_utf8();
        // An address for reports has a colon and maybe "=" in it, and no tag at once behind the colon.
        if c == ';' || is_tag_at(bare, behind) {
            starts.push(behind);
        }
    }
    starts.push(bare.len());
    let pieces = starts
        .windows(2)
        .map(|part| bare[part[0]..part[1]].trim_matches(|c: char| is_between(c) || is_around(c)));
    pieces.filter(|piece| !piece.is_empty()).collect()
}

/// Whether a known tag and its "=" stand at a place.
fn is_tag_at(text: &str, at: usize) -> bool {
    let octets = text.as_bytes();
    let near = &octets[at..octets.len().min(at + TAG_AND_SPACES)];
    let Some(equals) = near.iter().position(|octet| *octet == b'=') else { return false };
    let name = near[..equals].trim_ascii();
    TAGS.iter().any(|tag| tag.as_bytes() == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_strangers_publish_is_read_in_one_pass() {
        let spaces = format!("x{}x", " ".repeat(2046));
        assert_eq!((spf(&spaces), dmarc(&spaces)), (None, None));
        assert_eq!(dmarc_pieces(&spaces), ["x", "x"].map(|_| spaces.as_str())[..1]);
        // Longer than any record that somebody meant to write.
        let long = format!("v=spf2 {} ~all", "a:x.test ".repeat(300));
        assert_eq!(spf(&long), None);
    }

    fn spf_of(text: &str) -> (VersionSlip, String) {
        let near = spf(text).unwrap_or_else(|| panic!("{text}"));
        (near.slip, near.meant)
    }

    fn other(start: &str) -> VersionSlip {
        VersionSlip::Other(start.to_owned())
    }

    #[test]
    fn what_was_meant_as_spf() {
        let meant = "v=spf1 include:a.test ~all";
        for (text, slip) in [
            ("v=spf include:a.test ~all", other("v=spf")),
            ("spf1 include:a.test ~all", other("spf1")),
            ("v=spf2 include:a.test ~all", other("v=spf2")),
            ("v=spf10 include:a.test ~all", other("v=spf10")),
            ("v = SPF1 include:a.test ~all", other("v = SPF1")),
            ("v-spf1 include:a.test ~all", other("v-spf1")),
            ("v=spf-1 include:a.test ~all", other("v=spf-1")),
            ("\"v=spf2 include:a.test ~all\"", other("v=spf2")),
            ("SPF include:a.test ~all", other("SPF")),
            ("v=spf1include:a.test ~all", VersionSlip::NoSeparator),
            ("v=SPF1;include:a.test;~all", VersionSlip::NoSeparator),
            ("v=spf1, include:a.test, ~all", VersionSlip::NoSeparator),
            ("v=spf1\tinclude:a.test ~all", VersionSlip::NoSeparator),
            ("\u{feff}v=spf1 include:a.test ~all", VersionSlip::NotFirst),
            (" v=spf1 include:a.test ~all", VersionSlip::NotFirst),
            ("@ IN TXT \"v=spf1 include:a.test ~all\"", VersionSlip::NotFirst),
            ("include:a.test ~all", VersionSlip::Missing),
        ] {
            assert_eq!(spf_of(text), (slip, meant.to_owned()), "{text}");
        }
        assert_eq!(spf_of("v=spf1-all"), (VersionSlip::NoSeparator, "v=spf1 -all".to_owned()));
    }

    #[test]
    fn other_texts_were_not() {
        for text in [
            "v=spf1 mx -all",
            "spf2.0/pra include:a.test ~all",
            "spf2.0/mfrom,pra ?all",
            "google-site-verification=abc",
            "spf a record of ours",
            "SPF records are at mail.acme.test",
            "all mx",
            "include:a.test",
            "v=DMARC1; p=none",
            "v=DKIM1; p=AAAA",
            "v=spf1",
            "",
        ] {
            assert_eq!(spf(text), None, "{text}");
        }
    }

    #[test]
    fn what_was_meant_as_dmarc() {
        for (text, slip, meant) in [
            ("DMARC1; p=none", Some(other("DMARC1")), "v=DMARC1; p=none"),
            ("v=DMARC; p=none", Some(other("v=DMARC")), "v=DMARC1; p=none"),
            ("v=DMARC2; p=none", Some(other("v=DMARC2")), "v=DMARC1; p=none"),
            ("v=DMARC1, p=none", Some(VersionSlip::NoSeparator), "v=DMARC1; p=none"),
            ("v=DMARC1 p=none", Some(VersionSlip::NoSeparator), "v=DMARC1; p=none"),
            ("v=DMARC1:p=none:pct=100", Some(VersionSlip::NoSeparator), "v=DMARC1; p=none; pct=100"),
            ("p=none; v=DMARC1", Some(VersionSlip::NotFirst), "v=DMARC1; p=none"),
            ("_dmarc TXT \"v=DMARC1; p=none\"", Some(VersionSlip::NotFirst), "v=DMARC1; p=none"),
            ("\u{feff}v=DMARC1; p=none", Some(VersionSlip::NotFirst), "v=DMARC1; p=none"),
            ("v=dmarc1; p=none", Some(VersionSlip::Case), "v=DMARC1; p=none"),
            (
                "p=reject; rua=mailto:a@b.test",
                Some(VersionSlip::Missing),
                "v=DMARC1; p=reject; rua=mailto:a@b.test",
            ),
            (
                "v=DMARC1, p=none, rua=mailto:a@b.test,mailto:c@d.test",
                Some(VersionSlip::NoSeparator),
                "v=DMARC1; p=none; rua=mailto:a@b.test,mailto:c@d.test",
            ),
            ("v=DMARC1; p=none, sp=none", None, "v=DMARC1; p=none; sp=none"),
        ] {
            assert_eq!(dmarc(text), Some((slip, meant.to_owned())), "{text}");
            assert_eq!(usable_dmarc(meant).as_deref(), Some(meant));
        }
    }

    #[test]
    fn other_texts_were_not_meant_as_dmarc() {
        for text in ["v=DKIM1; p=none", "p=AAAA", "v=spf1 -all", "google-site-verification=abc", "t=y", ""] {
            assert_eq!(dmarc(text), None, "{text}");
        }
        assert_eq!(usable_dmarc("v=DMARC1; p=maybe; rua=mailto:a@b.test"), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_them_panic(text in "[ -~é“\u{feff};]{0,60}", start in "(v=|p=|V )?(spf|dmarc|DMARC)?[0-9]?") {
            for text in [text.clone(), format!("{start}{text}")] {
                if let Some(near) = spf(&text) {
                    prop_assert!(mail::spf::is_spf_record(&near.meant));
                }
                if let Some((_, meant)) = dmarc(&text) {
                    prop_assert!(mail::dmarc::is_dmarc_record(&meant));
                }
            }
        }
    }
}
