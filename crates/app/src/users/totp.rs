//! The second factor: codes of six digits that change every 30 seconds (TOTP, RFC 6238), and codes on paper that stand
//! in for it.

use crate::ports::Random;
use aws_lc_rs::hmac;
use jiff::Timestamp;

/// The length of a secret, in octets: that of the hash (RFC 4226 §4).
pub(super) const SECRET: usize = 20;

/// The length of a step, in seconds.
const STEP: i64 = 30;

/// How many steps a clock may be wrong by.
const SKEW: u64 = 1;

/// How many codes there are on paper.
pub(super) const RECOVERY_CODES: usize = 10;

/// The code of a step.
fn code(secret: &[u8], step: u64) -> u32 {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let mac = hmac::sign(&key, &step.to_be_bytes());
    let mac = mac.as_ref();
    // RFC 4226 §5.3: the last four bits say where to look.
    let at = usize::from(mac[mac.len() - 1] & 15);
    let word = u32::from_be_bytes([mac[at], mac[at + 1], mac[at + 2], mac[at + 3]]);
    (word & 0x7fff_ffff) % 1_000_000
}

/// The step whose code this is, of those that are near.
pub(super) fn step_of(secret: &[u8], typed: &str, now: Timestamp) -> Option<u64> {
    let digits: String = typed.chars().filter(|c| !c.is_whitespace()).collect();
    if digits.len() != 6 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let typed: u32 = digits.parse().ok()?;
    let current = u64::try_from(now.as_second().div_euclid(STEP)).ok()?;
    let mut steps = current.saturating_sub(SKEW)..=current + SKEW;
    steps.rfind(|step| code(secret, *step) == typed)
}

/// Octets in base 32 (RFC 4648 §6), as authenticator apps take secrets, in groups of four.
pub(super) fn shown(secret: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut text = String::new();
    for group in secret.chunks(5) {
        let mut octets = [0; 8];
        octets[3..3 + group.len()].copy_from_slice(group);
        let bits = u64::from_be_bytes(octets);
        let count = (group.len() * 8).div_ceil(5);
        text.extend(
            (0..count).map(|at| ALPHABET[usize::try_from((bits >> (35 - 5 * at)) & 31).unwrap_or(0)] as char),
        );
    }
    text
}

/// Codes to be kept on paper, 50 bits each.
pub(super) fn recovery_codes(random: &Random) -> Vec<String> {
    (0..RECOVERY_CODES).map(|_| format!("{}-{}", random.token(5), random.token(5))).collect()
}

/// A code on paper as it was made, however it was typed.
pub(super) fn typed_recovery_code(text: &str) -> Option<String> {
    let code: String =
        text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    (code.len() == 10).then(|| format!("{}-{}", &code[..5], &code[5..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_rfc_6238_hold() {
        let secret = b"12345678901234567890";
        for (second, expected) in [
            (59, 287_082),
            (1_111_111_109, 81_804),
            (1_111_111_111, 50_471),
            (1_234_567_890, 5_924),
            (2_000_000_000, 279_037),
            (20_000_000_000, 353_130),
        ] {
            assert_eq!(code(secret, second / 30), expected);
        }
    }

    #[test]
    fn a_code_is_of_a_step_that_is_near() {
        let secret = [9; SECRET];
        let now = Timestamp::from_second(1_750_000_000).unwrap();
        let step = 1_750_000_000 / 30;
        let typed = |step| format!("{:06}", code(&secret, step));
        for near in step - 1..=step + 1 {
            assert_eq!(step_of(&secret, &typed(near), now), Some(near));
        }
        let spaced = format!("{} {}", &typed(step)[..3], &typed(step)[3..]);
        assert_eq!(step_of(&secret, &spaced, now), Some(step));
        assert_eq!(step_of(&secret, &typed(step + 2), now), None);
        for bad in ["", "12345", "1234567", "12345x", "١٢٣٤٥٦"] {
            assert_eq!(step_of(&secret, bad, now), None, "{bad}");
        }
    }

    #[test]
    fn secrets_are_shown_as_apps_take_them() {
        // RFC 4648 §10.
        assert_eq!(shown(b"foobar"), "MZXW6YTBOI");
        assert_eq!(shown(b"fooba"), "MZXW6YTB");
        assert_eq!(shown(b"12345678901234567890"), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    }

    #[test]
    fn codes_on_paper_are_taken_however_they_are_typed() {
        let codes = recovery_codes(&Random::system());
        assert_eq!(codes.len(), RECOVERY_CODES);
        for code in codes {
            assert_eq!(typed_recovery_code(&code.to_uppercase().replace('-', " ")), Some(code));
        }
        assert_eq!(typed_recovery_code("abc"), None);
    }
}
