//! What a key record says, but for the key itself.
//!
//! To judge a record it is enough to know that it can be read, what kind of key it holds and how long that is. Nearly
//! all records are written alike, and of those this is found out from the two ends of the key, which say how long all
//! parts are; of all others, and of whatever is odd, by reading the whole ([`KeyRecord::parse`]).

use super::key_record::{DIGITS, KeyRecord, KeyRecordError, KeyState, RSA_ENCRYPTION};

/// What a key record without errors says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyOutline {
    /// Which key it holds, if any.
    pub kind: KeyKind,
    /// `t=y`: the domain tests.
    pub testing: bool,
    /// `t=s`: the `i=` of a signature may not be a subdomain.
    pub strict: bool,
    /// Whether the key may be used for mail (`s=`) with SHA-256 (`h=`).
    pub serves_mail: bool,
}

/// The kind of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// There is none: it was withdrawn.
    Revoked,
    /// RSA.
    Rsa {
        /// The length of the modulus.
        bits: usize,
    },
    /// Ed25519.
    Ed25519,
}

impl KeyOutline {
    /// Reads the joined text of a TXT record, with the errors of [`KeyRecord::parse`].
    pub fn read(text: &str) -> Result<Self, KeyRecordError> {
        if let Some(bits) = plain_key(text).and_then(rsa_bits) {
            let kind = KeyKind::Rsa { bits };
            return Ok(Self { kind, testing: false, strict: false, serves_mail: true });
        }
        KeyRecord::parse(text).map(|record| Self::of(&record))
    }

    fn of(record: &KeyRecord) -> Self {
        let kind = match record.key {
            KeyState::Revoked => KeyKind::Revoked,
            KeyState::Rsa { bits, .. } => KeyKind::Rsa { bits },
            KeyState::Ed25519 { .. } => KeyKind::Ed25519,
        };
        Self { kind, testing: record.testing, strict: record.strict, serves_mail: record.serves_mail() }
    }
}

/// What stands behind `p=` in a record of the usual form, which says nothing else.
fn plain_key(text: &str) -> Option<&[u8]> {
    const HEADS: [&str; 4] = ["v=DKIM1; k=rsa; p=", "v=DKIM1; p=", "v=DKIM1;k=rsa;p=", "k=rsa; p="];
    HEADS.iter().find_map(|head| text.strip_prefix(head)).map(str::as_bytes)
}

/// How many octets of either end are decoded: more than stand in front of a modulus, and than an exponent has.
const END: usize = 48;

/// The length of the modulus in a `SubjectPublicKeyInfo`; `None` where it is not certain that reading the whole would
/// come to the same.
fn rsa_bits(base64: &[u8]) -> Option<usize> {
    let is_digit = |octet: u8| {
        let is_letter = u8::from((octet | 0x20).wrapping_sub(b'a') < 26);
        let is_number = u8::from(octet.wrapping_sub(b'0') < 10);
        is_letter | is_number | u8::from(octet == b'+') | u8::from(octet == b'/')
    };
    let (groups, rest) = base64.as_chunks::<4>();
    // Without a branch in it, so that many are looked at in one step.
    let mut are_digits = [1; 16];
    let (many, few) = base64.as_chunks::<16>();
    for sixteen in many {
        for (are_digits, octet) in are_digits.iter_mut().zip(sixteen) {
            *are_digits &= is_digit(*octet);
        }
    }
    if !rest.is_empty() || are_digits.contains(&0) || !few.iter().all(|octet| is_digit(*octet) == 1) {
        return None;
    }
    let length = groups.len() * 3;
    let head = Part { start: 0, octets: decoded(groups.get(..END / 3)?) };
    let tail = Part { start: length - END, octets: decoded(groups.get(groups.len() - END / 3..)?) };
    let info = head.element(0x30, 0..length).filter(|info| info.end == length)?;
    let algorithm = head.element(0x30, info)?;
    let oid = head.element(0x06, algorithm.clone())?;
    if head.octets.get(oid) != Some(RSA_ENCRYPTION) {
        return None;
    }
    let bit_string = head.element(0x03, algorithm.end..length).filter(|bits| bits.end == length)?;
    // The first octet counts unused bits.
    head.at(bit_string.start).filter(|unused| *unused == 0)?;
    let key = head.element(0x30, bit_string.start + 1..length).filter(|key| key.end == length)?;
    let modulus = head.element(0x02, key)?;
    let exponent = tail.element(0x02, modulus.end..length).filter(|exponent| exponent.end == length)?;
    if !matches!(tail.at(exponent.start), Some(1..=0x7f)) {
        return None;
    }
    match (head.at(modulus.start)?, head.at(modulus.start + 1)?) {
        (0, first @ 1..) if modulus.len() > 1 => {
            Some((modulus.len() - 1) * 8 - first.leading_zeros() as usize)
        }
        (first @ 1..=0x7f, _) => Some(modulus.len() * 8 - first.leading_zeros() as usize),
        _ => None,
    }
}

fn decoded(groups: &[[u8; 4]]) -> [u8; END] {
    let mut octets = [0; END];
    let (out, _) = octets.as_chunks_mut::<3>();
    for (out, group) in out.iter_mut().zip(groups) {
        let bits = group.iter().fold(0, |bits, digit| (bits << 6) | DIGITS[usize::from(*digit)]);
        let [_, three @ ..] = bits.to_be_bytes();
        *out = three;
    }
    octets
}

/// Some octets of a structure, and where in it they start.
struct Part {
    start: usize,
    octets: [u8; END],
}

impl Part {
    fn at(&self, place: usize) -> Option<u8> {
        self.octets.get(place.checked_sub(self.start)?).copied()
    }

    /// Where the content of the element is that stands first within a range. Definite lengths below 65,536 only.
    fn element(&self, tag: u8, within: std::ops::Range<usize>) -> Option<std::ops::Range<usize>> {
        let at = |place| self.at(place).map(usize::from);
        self.at(within.start).filter(|seen| *seen == tag)?;
        let start = within.start + 2;
        let (length, start) = match at(within.start + 1)? {
            length @ 0..=0x7f => (length, start),
            0x81 => (at(start)?, start + 1),
            0x82 => (at(start)? << 8 | at(start + 1)?, start + 2),
            _ => return None,
        };
        (start + length <= within.end).then_some(start..start + length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::{Engine, engine::general_purpose::STANDARD};
    use proptest::prelude::*;

    fn whole(text: &str) -> Result<KeyOutline, KeyRecordError> {
        KeyRecord::parse(text).map(|record| KeyOutline::of(&record))
    }

    /// A key with so many octets of modulus, in the frame that all such keys have.
    fn spki(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
        let element = |tag: u8, content: &[u8]| {
            let length = u16::try_from(content.len()).unwrap().to_be_bytes();
            let head = match length {
                [0, low @ 0..=0x7f] => vec![tag, low],
                [0, low] => vec![tag, 0x81, low],
                [high, low] => vec![tag, 0x82, high, low],
            };
            [&head, content].concat()
        };
        let key = element(0x30, &[element(2, modulus), element(2, exponent)].concat());
        let algorithm = element(0x30, &[element(6, RSA_ENCRYPTION), vec![5, 0]].concat());
        element(0x30, &[algorithm, element(3, &[&[0], key.as_slice()].concat())].concat())
    }

    #[test]
    fn usual_keys_are_read_from_their_ends() {
        for octets in [128, 256, 512] {
            let modulus = [vec![0, 0x9a], vec![0x55; octets - 1]].concat();
            let base64 = STANDARD.encode(spki(&modulus, &[1, 0, 1]));
            // Those that end in padding are read whole.
            let bits = rsa_bits(base64.as_bytes()).or(base64.ends_with('=').then_some(octets * 8));
            assert_eq!(bits, Some(octets * 8));
            let text = format!("v=DKIM1; k=rsa; p={base64}");
            assert_eq!(KeyOutline::read(&text), whole(&text));
        }
    }

    proptest! {
        #[test]
        fn the_ends_tell_what_the_whole_tells(
            head in 0_usize..5,
            front in proptest::collection::vec(any::<u8>(), 0..3),
            length in 60_usize..300,
            exponent in proptest::collection::vec(any::<u8>(), 0..4),
            damage in proptest::collection::vec((0_usize..64, any::<bool>(), any::<u8>()), 0..3),
            end in "[;= ]{0,2}",
        ) {
            let modulus = [front, vec![0x55; length]].concat();
            let mut der = spki(&modulus, &exponent);
            for (at, from_behind, octet) in damage {
                let at = if from_behind { der.len() - 1 - at } else { at };
                der[at] = octet;
            }
            let head = ["v=DKIM1; k=rsa; p=", "v=DKIM1; p=", "v=DKIM1;k=rsa;p=", "k=rsa; p=", "p="][head];
            let text = format!("{head}{}{end}", STANDARD.encode(der));
            prop_assert_eq!(KeyOutline::read(&text), whole(&text), "{}", text);
        }

        #[test]
        fn no_text_is_read_otherwise_than_whole(text in "(v=DKIM1; k=rsa; p=)?[A-Za-z0-9+/=; ]{0,120}") {
            prop_assert_eq!(KeyOutline::read(&text), whole(&text));
        }
    }
}
