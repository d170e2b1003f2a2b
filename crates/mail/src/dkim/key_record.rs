//! Key records (RFC 6376 §3.6.1, RFC 8463 §4).

use crate::tag_list::{self, Tag, clip, is_fws};
use base64::{
    DecodeError, Engine,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use serde::{Deserialize, Serialize};

/// Signers leave the padding out here and there, and every verifier reads it.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What each character of base64 stands for, and [`NO_DIGIT`] for all others.
pub(super) const DIGITS: [u32; 256] = {
    let mut digits = [NO_DIGIT; 256];
    let mut digit = 0_u8;
    while digit < 64 {
        let character = match digit {
            0..=25 => b'A' + digit,
            26..=51 => b'a' + digit - 26,
            52..=61 => b'0' + digit - 52,
            62 => b'+',
            _ => b'/',
        };
        digits[character as usize] = digit as u32;
        digit += 1;
    }
    digits
};

const NO_DIGIT: u32 = 1 << 31;

/// As [`LENIENT`] decodes: nearly every key is whole groups of four digits, but for the last one, and they are decoded
/// in a fraction of the time that is needed where each of them may be something else.
fn decode(base64: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let (groups, rest) = base64.as_chunks::<4>();
    let Some((last, groups)) = groups.split_last().filter(|_| rest.is_empty()) else {
        return LENIENT.decode(base64);
    };
    let mut octets = vec![0; groups.len() * 3];
    let (out, _) = octets.as_chunks_mut::<3>();
    let mut seen = 0;
    for (out, [a, b, c, d]) in out.iter_mut().zip(groups) {
        let digit = |character: &u8| DIGITS[usize::from(*character)];
        let (a, b, c, d) = (digit(a), digit(b), digit(c), digit(d));
        seen |= a | b | c | d;
        let [_, three @ ..] = ((a << 18) | (b << 12) | (c << 6) | d).to_be_bytes();
        *out = three;
    }
    if seen & NO_DIGIT != 0 {
        return LENIENT.decode(base64);
    }
    LENIENT.decode_vec(last, &mut octets).or_else(|_| LENIENT.decode_vec(base64, cleared(&mut octets)))?;
    Ok(octets)
}

fn cleared(octets: &mut Vec<u8>) -> &mut Vec<u8> {
    octets.clear();
    octets
}

/// A key record without errors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// The key, or that it was revoked.
    pub key: KeyState,
    /// `t=y`: the domain tests; a failure is to be treated as if unsigned.
    pub testing: bool,
    /// `t=s`: the `i=` of a signature may not be a subdomain.
    pub strict: bool,
    /// `h=`, in lower case, when it is there: the hash algorithms that may be used.
    pub hash_algorithms: Option<Vec<String>>,
    /// `s=`, in lower case: `*` when it is not there.
    pub services: Vec<String>,
}

/// The key of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// `p=` is empty: the key was withdrawn (RFC 6376 §3.6.1).
    Revoked,
    /// An RSA key.
    Rsa {
        /// The length of the modulus.
        bits: usize,
        /// The modulus, big-endian, without leading zeros.
        modulus: Vec<u8>,
        /// The exponent, big-endian, without leading zeros.
        exponent: Vec<u8>,
    },
    /// An Ed25519 key.
    Ed25519 {
        /// The 32 octets.
        public: [u8; 32],
    },
}

/// Why a text is not a key record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum KeyRecordError {
    /// It is not a list of `tag=value` (RFC 6376 §3.2).
    #[error("it is not a list of tags: {0}")]
    Syntax(String),
    /// Quotes or backslashes of a zone file or a DNS host's form are part of the data.
    #[error("it holds quotation marks or backslashes, which belong to the zone file, not to the value")]
    Quotes,
    /// `v=` is not the first tag.
    #[error("\"v=\" is not the first tag")]
    VersionNotFirst,
    /// `v=` is something else; it is compared with case.
    #[error("the version is \"{0}\", it must be \"DKIM1\"")]
    Version(String),
    /// There is no `p=`.
    #[error("there is no \"p=\" with the key")]
    NoKey,
    /// `k=` is unknown.
    #[error("the key type \"{0}\" is neither \"rsa\" nor \"ed25519\"")]
    KeyType(String),
    /// `p=` is not base64.
    #[error("the key in \"p=\" is not valid base64; it may have been cut off")]
    Base64,
    /// `p=` is base64 of something else.
    #[error("the key in \"p=\" is not an RSA public key; it may have been cut off")]
    NotRsa,
    /// An Ed25519 key wrapped in a `SubjectPublicKeyInfo` (RFC 8463 §4.2).
    #[error("the Ed25519 key is wrapped in a DER structure; \"p=\" must hold the 32 octets alone")]
    Ed25519Wrapped,
    /// An Ed25519 key of another length.
    #[error("the Ed25519 key has {0} octets, it must have 32")]
    Ed25519Length(usize),
}

impl KeyRecord {
    /// Parses the joined text of a TXT record.
    pub fn parse(text: &str) -> Result<Self, KeyRecordError> {
        let tags = tag_list::parse(text).map_err(|error| {
            if text.trim_matches(is_fws).starts_with(['"', '\\']) {
                KeyRecordError::Quotes
            } else {
                KeyRecordError::Syntax(error.to_string())
            }
        })?;
        // Notes (n=) and tags nobody defined may hold anything.
        let known = |name: &str| matches!(name, "v" | "k" | "p" | "h" | "s" | "t");
        let has_quotes = |tag: &Tag<'_>| tag.value.bytes().any(|octet| matches!(octet, b'"' | b'\\'));
        // The longest value is looked at only where it is not read.
        if tags.iter().any(|tag| tag.name != "p" && known(tag.name) && has_quotes(tag)) {
            return Err(KeyRecordError::Quotes);
        }
        let value = |name: &str| tags.iter().find(|tag| tag.name == name).map(|tag| tag.value);
        if let Some(version) = value("v") {
            if tags.first().is_none_or(|tag| tag.name != "v") {
                return Err(KeyRecordError::VersionNotFirst);
            }
            if version != "DKIM1" {
                return Err(KeyRecordError::Version(clip(version)));
            }
        }
        let list = |name: &str| {
            value(name).map(|value| {
                value
                    .split(':')
                    .map(|item| item.trim_matches(is_fws).to_ascii_lowercase())
                    .collect::<Vec<_>>()
            })
        };
        let flags = list("t").unwrap_or_default();
        let key = parse_key(value("k").unwrap_or("rsa"), value("p").ok_or(KeyRecordError::NoKey)?);
        if key.is_err() && tags.iter().any(|tag| tag.name == "p" && has_quotes(tag)) {
            return Err(KeyRecordError::Quotes);
        }
        Ok(Self {
            key: key?,
            testing: flags.iter().any(|flag| flag == "y"),
            strict: flags.iter().any(|flag| flag == "s"),
            hash_algorithms: list("h"),
            services: list("s").unwrap_or_else(|| vec!["*".to_owned()]),
        })
    }

    /// The length of the key: the modulus of RSA, 256 for Ed25519.
    pub fn bits(&self) -> Option<usize> {
        match &self.key {
            KeyState::Revoked => None,
            KeyState::Rsa { bits, .. } => Some(*bits),
            KeyState::Ed25519 { .. } => Some(256),
        }
    }

    /// Whether this is the public key that a text (base64) holds, whichever of the two DER forms either is in.
    pub fn is_public_key(&self, base64: &str) -> bool {
        match &self.key {
            KeyState::Revoked => false,
            KeyState::Ed25519 { public } => {
                parse_key("ed25519", base64).is_ok_and(|key| key == KeyState::Ed25519 { public: *public })
            }
            KeyState::Rsa { modulus, exponent, .. } => {
                let spaceless = || base64.split_ascii_whitespace().collect::<String>();
                let der = decode(base64.as_bytes()).or_else(|_| decode(spaceless().as_bytes()));
                let der = der.unwrap_or_default();
                read_rsa(&der) == Some((modulus, exponent))
            }
        }
    }

    /// Whether the key may be used for mail (`s=`) with SHA-256 (`h=`).
    pub fn serves_mail(&self) -> bool {
        self.services.iter().any(|service| service == "*" || service == "email")
            && self.hash_algorithms.as_ref().is_none_or(|hashes| hashes.iter().any(|hash| hash == "sha256"))
    }
}

fn parse_key(key_type: &str, value: &str) -> Result<KeyState, KeyRecordError> {
    let rsa = key_type.eq_ignore_ascii_case("rsa");
    if !rsa && !key_type.eq_ignore_ascii_case("ed25519") {
        return Err(KeyRecordError::KeyType(clip(key_type)));
    }
    // Octets in place of characters: white space and base64 are ASCII, and nothing else decodes.
    let is_space = |octet: &u8| is_fws(char::from(*octet));
    if value.bytes().all(|octet| is_space(&octet)) {
        return Ok(KeyState::Revoked);
    }
    // White space within the key is rare, and does not decode.
    let spaceless = || decode(&value.bytes().filter(|octet| !is_space(octet)).collect::<Vec<u8>>());
    let der = decode(value.as_bytes()).or_else(|_| spaceless()).map_err(|_| KeyRecordError::Base64)?;
    if rsa {
        let (modulus, exponent) = read_rsa(&der).ok_or(KeyRecordError::NotRsa)?;
        let bits = modulus.len() * 8 - modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
        return Ok(KeyState::Rsa { bits, modulus: modulus.to_vec(), exponent: exponent.to_vec() });
    }
    match <[u8; 32]>::try_from(der.as_slice()) {
        Ok(public) => Ok(KeyState::Ed25519 { public }),
        Err(_) if der.first() == Some(&0x30) => Err(KeyRecordError::Ed25519Wrapped),
        Err(_) => Err(KeyRecordError::Ed25519Length(der.len())),
    }
}

/// An Ed25519 public key in the form that `p=` wants, out of the DER structure that tools write it in (a
/// `SubjectPublicKeyInfo`, RFC 8410 §4); `None` where the text is no such structure.
pub fn unwrapped_ed25519(base64: &str) -> Option<String> {
    const BEFORE: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    let text: String = base64.chars().filter(|c| !is_fws(*c)).collect();
    let der = LENIENT.decode(text).ok()?;
    let key = der.strip_prefix(&BEFORE).filter(|key| key.len() == 32)?;
    Some(STANDARD.encode(key))
}

/// 1.2.840.113549.1.1.1, `rsaEncryption`.
pub(super) const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];

/// Modulus and exponent of a `SubjectPublicKeyInfo` (RFC 5280 §4.1), which is what everyone publishes, or of a bare
/// `RSAPublicKey` (RFC 8017 §A.1.1), which is what RFC 6376 asks for.
fn read_rsa(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let content = whole(der, 0x30)?;
    if content.first() == Some(&0x02) {
        return read_rsa_public_key(der);
    }
    let (algorithm, rest) = element(content, 0x30)?;
    let (oid, _) = element(algorithm, 0x06)?;
    let bits = whole(rest, 0x03)?;
    // The first octet counts unused bits.
    (oid == RSA_ENCRYPTION && bits.first() == Some(&0)).then(|| read_rsa_public_key(&bits[1..]))?
}

fn read_rsa_public_key(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (modulus, rest) = element(whole(der, 0x30)?, 0x02)?;
    let exponent = whole(rest, 0x02)?;
    Some((positive(modulus)?, positive(exponent)?))
}

fn positive(integer: &[u8]) -> Option<&[u8]> {
    if integer.first()? & 0x80 != 0 {
        return None;
    }
    let zeros = integer.iter().take_while(|byte| **byte == 0).count();
    (zeros < integer.len()).then(|| &integer[zeros..])
}

/// The content of the one element that fills `der`.
fn whole(der: &[u8], tag: u8) -> Option<&[u8]> {
    element(der, tag).and_then(|(content, rest)| rest.is_empty().then_some(content))
}

/// The content of the first element, and what follows it. Lengths up to 65,535 octets, definite form only.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&seen, rest) = der.split_first()?;
    let (&length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        0x81 => (usize::from(*rest.first()?), &rest[1..]),
        0x82 => (usize::from(u16::from_be_bytes([*rest.first()?, *rest.get(1)?])), &rest[2..]),
        _ => return None,
    };
    if seen != tag || length > rest.len() {
        return None;
    }
    Some(rest.split_at(length))
}

/// The record to publish for an RSA key, from its `SubjectPublicKeyInfo`.
pub fn public_key_record(spki_der: &[u8]) -> String {
    format!("v=DKIM1; k=rsa; p={}", STANDARD.encode(spki_der))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The key of RFC 8463 appendix A.2, 1024 bits.
    const RFC_8463_RSA: &str = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB";
    const RFC_8463_ED25519: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

    fn error(text: &str) -> KeyRecordError {
        KeyRecord::parse(text).unwrap_err()
    }

    #[test]
    fn white_space_unknown_tags_and_flags() {
        let (head, tail) = RFC_8463_RSA.split_at(40);
        let record =
            KeyRecord::parse(&format!("v=DKIM1; x=1; t=y : s; n=\"note\"; p={head} {tail};")).unwrap();
        assert_eq!(record.bits(), Some(1024));
        assert!(record.testing && record.strict && record.serves_mail());
        let ed = KeyRecord::parse(&format!("k=ed25519; p={RFC_8463_ED25519}")).unwrap();
        assert!(matches!(ed.key, KeyState::Ed25519 { .. }));
        assert_eq!(KeyRecord::parse("v=DKIM1; p=").unwrap().key, KeyState::Revoked);
        assert!(!KeyRecord::parse("p=; s=tlsrpt").unwrap().serves_mail());
        assert!(!KeyRecord::parse("p=; h=sha1").unwrap().serves_mail());
    }

    #[test]
    fn each_mistake_has_its_name() {
        let key = RFC_8463_RSA;
        assert_eq!(error(&format!("p={key}; v=DKIM1")), KeyRecordError::VersionNotFirst);
        assert_eq!(error(&format!("v=dkim1; p={key}")), KeyRecordError::Version("dkim1".into()));
        assert_eq!(error(&format!("\"v=DKIM1; p={key}\"")), KeyRecordError::Quotes);
        assert_eq!(error(&format!("v=DKIM1\\; p={key}")), KeyRecordError::Quotes);
        assert_eq!(error(&format!("v=DKIM1; p={}\" \"{}", &key[..20], &key[20..])), KeyRecordError::Quotes);
        assert_eq!(error("v=DKIM1"), KeyRecordError::NoKey);
        assert_eq!(error("k=dsa; p=AAAA"), KeyRecordError::KeyType("dsa".into()));
        assert_eq!(error("p=!!!"), KeyRecordError::Base64);
        assert_eq!(error(&format!("p={}", &key[..100])), KeyRecordError::NotRsa);
        assert_eq!(error("k=ed25519; p=AAAA"), KeyRecordError::Ed25519Length(3));
        let wrapped = "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
        assert_eq!(error(&format!("k=ed25519; p={wrapped}")), KeyRecordError::Ed25519Wrapped);
        assert!(matches!(error("v=DKIM1; v=DKIM1; p="), KeyRecordError::Syntax(_)));
    }

    proptest! {
        #[test]
        fn groups_of_four_are_decoded_as_every_decoder_does(
            octets in proptest::collection::vec(any::<u8>(), 0..40),
            damage in proptest::option::of((any::<usize>(), any::<u8>())),
            end in 0_usize..60,
        ) {
            let mut base64 = STANDARD.encode(octets).into_bytes();
            if let Some((at, character)) = damage && !base64.is_empty() {
                let at = at % base64.len();
                base64[at] = character;
            }
            base64.truncate(60 - end);
            prop_assert_eq!(decode(&base64), LENIENT.decode(&base64), "{:?}", base64);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "[vkpst=; DKIM1:\"\\\\é]{0,60}", der in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = KeyRecord::parse(&text);
            let _ = KeyRecord::parse(&public_key_record(&der));
        }
    }
}
