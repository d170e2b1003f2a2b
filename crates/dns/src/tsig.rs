//! Messages signed with a shared key (TSIG, RFC 8945): requests, answers, and the messages of a transfer.
//!
//! A [`Conversation`] is one request and all that answers it: each signature covers the one before. Who asks begins it
//! with [`Conversation::ask`] and takes each answer through [`Conversation::open`]; who answers begins it with
//! [`Conversation::asked`] and signs each message with [`Conversation::answer`]. Time is an argument, in seconds since 1970.
//!
//! Only HMAC with SHA-2 of 256 bits and more is there, and signatures are never shortened: nothing that we speak to needs
//! the rest. GSS (RFC 3645) is not there.

use aws_lc_rs::hmac;
use model::DomainName;
use std::{fmt, str::FromStr, sync::Arc};

/// How far the clocks of the two sides may be apart, in seconds (RFC 8945 §10).
pub const FUDGE: u16 = 300;

const TYPE_TSIG: u16 = 250;
const CLASS_ANY: u16 = 255;
const HEADER: usize = 12;
/// How many messages of a transfer may come without a signature of their own (RFC 8945 §5.3.1).
const MOST_UNSIGNED: usize = 99;
/// What messages without a signature may come to together, in octets.
const MOST_PENDING: usize = 16 << 20;

/// How signatures are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// `hmac-sha256`.
    HmacSha256,
    /// `hmac-sha384`.
    HmacSha384,
    /// `hmac-sha512`.
    HmacSha512,
}

impl Algorithm {
    /// Its name in configurations and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HmacSha256 => "hmac-sha256",
            Self::HmacSha384 => "hmac-sha384",
            Self::HmacSha512 => "hmac-sha512",
        }
    }

    fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::HmacSha256 => hmac::HMAC_SHA256,
            Self::HmacSha384 => hmac::HMAC_SHA384,
            Self::HmacSha512 => hmac::HMAC_SHA512,
        }
    }

    /// How many octets a signature has.
    const fn length(self) -> usize {
        match self {
            Self::HmacSha256 => 32,
            Self::HmacSha384 => 48,
            Self::HmacSha512 => 64,
        }
    }

    fn wire(self) -> Vec<u8> {
        let name = self.name();
        let mut out = vec![u8::try_from(name.len()).unwrap_or_default()];
        out.extend_from_slice(name.as_bytes());
        out.push(0);
        out
    }
}

/// A name that is none of an algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("known are hmac-sha256, hmac-sha384 and hmac-sha512")]
pub struct UnknownAlgorithm;

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;
    fn from_str(text: &str) -> Result<Self, UnknownAlgorithm> {
        let text = text.trim().trim_end_matches('.').to_ascii_lowercase();
        [Self::HmacSha256, Self::HmacSha384, Self::HmacSha512]
            .into_iter()
            .find(|algorithm| algorithm.name() == text)
            .ok_or(UnknownAlgorithm)
    }
}

/// A key that two sides share.
pub struct Key {
    name: DomainName,
    algorithm: Algorithm,
    hmac: hmac::Key,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}, {})", self.name, self.algorithm.name())
    }
}

impl Key {
    /// A key by its name, which both sides have to write the same way.
    pub fn new(name: DomainName, algorithm: Algorithm, secret: &[u8]) -> Self {
        Self { name, algorithm, hmac: hmac::Key::new(algorithm.hmac(), secret) }
    }

    /// Its name.
    pub const fn name(&self) -> &DomainName {
        &self.name
    }

    fn wire_name(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.name.push_wire(&mut out);
        out
    }
}

/// Why a message is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TsigError {
    /// It is no DNS message, or the signature is not the last record of it.
    #[error("the message is damaged")]
    Damaged,
    /// It has to be signed, and is not.
    #[error("the message is not signed")]
    Unsigned,
    /// The key is not known, or not with this algorithm.
    #[error("the key is not known")]
    BadKey,
    /// The signature is not right.
    #[error("the signature is not right")]
    BadSignature,
    /// The clocks are too far apart.
    #[error("the clocks are {seconds} s apart")]
    BadTime {
        /// By how much the other's goes ahead of ours.
        seconds: i64,
    },
    /// The other side says, without a signature, that it does not believe us.
    #[error("the server refused the key: {}", error_name(*.0))]
    Refused(u16),
}

/// What an error of a signature is called (RFC 8945 §3).
const fn error_name(code: u16) -> &'static str {
    match code {
        BADSIG => "BADSIG",
        BADKEY => "BADKEY",
        BADTIME => "BADTIME",
        22 => "BADTRUNC",
        _ => "an error that has no name",
    }
}

/// The signature is not right.
pub const BADSIG: u16 = 16;
/// The key is not known.
pub const BADKEY: u16 = 17;
/// The time is too far away.
pub const BADTIME: u16 = 18;

/// One request and what answers it.
#[derive(Debug, Clone)]
pub struct Conversation {
    key: Arc<Key>,
    /// The last signature.
    mac: Vec<u8>,
    /// Whether an answer was signed.
    is_begun: bool,
    /// Messages since the last signature.
    pending: Vec<u8>,
    unsigned: usize,
}

/// A request that is not believed: what the answer says of it (RFC 8945 §5.2). Its response code is NOTAUTH (9).
#[derive(Debug, Clone)]
pub struct Rejection {
    /// Why.
    pub error: TsigError,
    key_name: Vec<u8>,
    algorithm: Vec<u8>,
    time: u64,
    id: u16,
    /// One whose clock alone is wrong learns ours, signed.
    conversation: Option<Conversation>,
}

impl Conversation {
    /// Signs a request.
    pub fn ask(key: Arc<Key>, message: &mut Vec<u8>, now: u64) -> Self {
        let mut conversation =
            Self { key, mac: Vec::new(), is_begun: false, pending: Vec::new(), unsigned: 0 };
        conversation.mac = conversation.sign(&[], message, now, 0, true);
        conversation
    }

    /// Looks at a request that came in. `None` where it is not signed; else the message without its signature, and the
    /// conversation that begins with it.
    pub fn asked(
        keys: &[Arc<Key>],
        message: &[u8],
        now: u64,
    ) -> Result<Option<(Vec<u8>, Self)>, Box<Rejection>> {
        let reject = |error, record: Option<&Record>, conversation| {
            Box::new(Rejection {
                error,
                key_name: record.map(|record| record.name.clone()).unwrap_or_default(),
                algorithm: record.map(|record| record.algorithm.clone()).unwrap_or_default(),
                time: record.map_or(0, |record| record.time),
                id: record.map_or(0, |record| record.id),
                conversation,
            })
        };
        let record = match Record::last(message) {
            Ok(Some(record)) => record,
            Ok(None) => return Ok(None),
            Err(()) => return Err(reject(TsigError::Damaged, None, None)),
        };
        let key = keys.iter().find(|key| record.is_of(key));
        let Some(key) = key.cloned() else { return Err(reject(TsigError::BadKey, Some(&record), None)) };
        let plain = record.without(message);
        let begun = Self { mac: record.mac.clone(), key, is_begun: false, pending: Vec::new(), unsigned: 0 };
        let data = [&plain[..], &record.variables()].concat();
        if hmac::verify(&begun.key.hmac, &data, &record.mac).is_err() {
            return Err(reject(TsigError::BadSignature, Some(&record), None));
        }
        match record.check_time(now) {
            Ok(()) => Ok(Some((plain, begun))),
            Err(error) => Err(reject(error, Some(&record), Some(begun))),
        }
    }

    /// Signs an answer; of a transfer each message.
    pub fn answer(&mut self, message: &mut Vec<u8>, now: u64) {
        let before = prefixed(&self.mac);
        self.mac = self.sign(&before, message, now, 0, !self.is_begun);
        self.is_begun = true;
    }

    /// Looks at an answer, and takes the signature off it. Messages of a transfer behind the first may come without one;
    /// they are to be believed when a later one is ([`Conversation::is_complete`]).
    pub fn open(&mut self, message: &[u8], now: u64) -> Result<Vec<u8>, TsigError> {
        let Some(record) = Record::last(message).map_err(|()| TsigError::Damaged)? else {
            self.unsigned += 1;
            self.pending.extend_from_slice(message);
            return if self.is_begun && self.unsigned <= MOST_UNSIGNED && self.pending.len() <= MOST_PENDING {
                Ok(message.to_vec())
            } else {
                Err(TsigError::Unsigned)
            };
        };
        if record.mac.is_empty() && record.error != 0 {
            return Err(TsigError::Refused(record.error));
        }
        if !record.is_of(&self.key) {
            return Err(TsigError::BadKey);
        }
        let plain = record.without(message);
        let mut data = prefixed(&self.mac);
        data.append(&mut self.pending);
        data.extend_from_slice(&plain);
        if self.is_begun {
            data.extend_from_slice(&record.timers());
        } else {
            data.extend_from_slice(&record.variables());
        }
        hmac::verify(&self.key.hmac, &data, &record.mac).map_err(|_| TsigError::BadSignature)?;
        if record.error == BADTIME {
            let theirs = record.other.iter().fold(0_u64, |time, octet| time << 8 | u64::from(*octet));
            return Err(TsigError::BadTime { seconds: theirs.cast_signed().wrapping_sub(now.cast_signed()) });
        }
        record.check_time(now)?;
        self.mac = record.mac;
        self.is_begun = true;
        self.unsigned = 0;
        Ok(plain)
    }

    /// Whether all that came is covered by a signature.
    pub const fn is_complete(&self) -> bool {
        self.is_begun && self.unsigned == 0
    }

    /// Appends the signature of `before`, message and time.
    fn sign(&self, before: &[u8], message: &mut Vec<u8>, now: u64, error: u16, is_whole: bool) -> Vec<u8> {
        let id = message.first_chunk().map_or(0, |id| u16::from_be_bytes(*id));
        let other = if error == BADTIME { now.to_be_bytes()[2..].to_vec() } else { Vec::new() };
        let mut record = Record {
            start: message.len(),
            name: self.key.wire_name(),
            algorithm: self.key.algorithm.wire(),
            time: now,
            fudge: FUDGE,
            mac: Vec::new(),
            id,
            error,
            other,
        };
        let timing = if is_whole { record.variables() } else { record.timers() };
        let data = [before, message, &timing].concat();
        record.mac = hmac::sign(&self.key.hmac, &data).as_ref().to_vec();
        record.append(message);
        record.mac
    }
}

impl Rejection {
    /// What the answer's signature says: an error code.
    pub const fn code(&self) -> u16 {
        match self.error {
            TsigError::BadKey | TsigError::Refused(_) => BADKEY,
            TsigError::BadTime { .. } => BADTIME,
            TsigError::Damaged | TsigError::Unsigned | TsigError::BadSignature => BADSIG,
        }
    }

    /// Appends what is wrong to the answer: signed where only the clocks are apart. Nothing where the request was damaged:
    /// it is answered with FORMERR.
    pub fn append(mut self, message: &mut Vec<u8>, now: u64) {
        let code = self.code();
        if let Some(conversation) = self.conversation.take() {
            // RFC 8945 §5.2.3: the time is that of the request, ours goes along as other data.
            let before = prefixed(&conversation.mac);
            let mut record = Record {
                start: message.len(),
                name: self.key_name,
                algorithm: self.algorithm,
                time: self.time,
                fudge: FUDGE,
                mac: Vec::new(),
                id: self.id,
                error: code,
                other: now.to_be_bytes()[2..].to_vec(),
            };
            let data = [&before[..], message, &record.variables()].concat();
            record.mac = hmac::sign(&conversation.key.hmac, &data).as_ref().to_vec();
            record.append(message);
        } else if self.error != TsigError::Damaged {
            let record = Record {
                start: message.len(),
                name: self.key_name,
                algorithm: self.algorithm,
                time: self.time,
                fudge: FUDGE,
                mac: Vec::new(),
                id: self.id,
                error: code,
                other: Vec::new(),
            };
            record.append(message);
        }
    }
}

/// A signature with its length in front, as the next one covers it.
fn prefixed(mac: &[u8]) -> Vec<u8> {
    let length = u16::try_from(mac.len()).unwrap_or_default();
    [&length.to_be_bytes()[..], mac].concat()
}

/// The record of a signature (RFC 8945 §4.2).
struct Record {
    /// Where it starts in its message.
    start: usize,
    /// The key's name on the wire, in lower case.
    name: Vec<u8>,
    algorithm: Vec<u8>,
    time: u64,
    fudge: u16,
    mac: Vec<u8>,
    /// The id that the message had when it was signed.
    id: u16,
    error: u16,
    other: Vec<u8>,
}

impl Record {
    /// The signature of a message: its last record, if that is one.
    fn last(message: &[u8]) -> Result<Option<Self>, ()> {
        let count = |at: usize| number(message, at).map(usize::from).ok_or(());
        let (questions, others) = (count(4)?, [count(6)?, count(8)?, count(10)?]);
        let mut at = HEADER;
        for _ in 0..questions {
            at = skip_name(message, at).ok_or(())? + 4;
        }
        let records: usize = others.iter().sum();
        for place in 0..records {
            let fixed = skip_name(message, at).ok_or(())?;
            let of_type = number(message, fixed).ok_or(())?;
            let data = fixed + 10;
            let end = data + usize::from(number(message, fixed + 8).ok_or(())?);
            if end > message.len() {
                return Err(());
            }
            if of_type == TYPE_TSIG {
                // Anywhere else it is an error (RFC 8945 §5.1).
                let is_last = place + 1 == records && others[2] > 0 && end == message.len();
                return if is_last {
                    Self::read(message, at, fixed, end).map(Some).ok_or(())
                } else {
                    Err(())
                };
            }
            at = end;
        }
        Ok(None)
    }

    fn read(message: &[u8], start: usize, fixed: usize, end: usize) -> Option<Self> {
        if number(message, fixed + 2)? != CLASS_ANY || message.get(fixed + 4..fixed + 8)? != [0; 4] {
            return None;
        }
        // Names in a signature are not compressed; a server that does so all the same is not understood.
        let name = message.get(start..fixed)?.to_ascii_lowercase();
        let data = fixed + 10;
        let time_at = skip_name(message, data)?;
        let algorithm = message.get(data..time_at)?.to_ascii_lowercase();
        let rest = message.get(time_at..end)?;
        let time = rest.get(..6)?.iter().fold(0_u64, |time, octet| time << 8 | u64::from(*octet));
        let mac_length = usize::from(number(rest, 8)?);
        let mac = rest.get(10..10 + mac_length)?.to_vec();
        let behind = rest.get(10 + mac_length..)?;
        let other = behind.get(6..)?.to_vec();
        if usize::from(number(behind, 4)?) != other.len() {
            return None;
        }
        let (fudge, id, error) = (number(rest, 6)?, number(behind, 0)?, number(behind, 2)?);
        Some(Self { start, name, algorithm, time, fudge, mac, id, error, other })
    }

    fn is_of(&self, key: &Key) -> bool {
        let name = key.wire_name();
        self.name == name
            && self.algorithm == key.algorithm.wire()
            // One that is shortened is none.
            && self.mac.len() == key.algorithm.length()
    }

    fn check_time(&self, now: u64) -> Result<(), TsigError> {
        if self.time.abs_diff(now) <= u64::from(self.fudge.min(FUDGE)) {
            return Ok(());
        }
        Err(TsigError::BadTime { seconds: self.time.cast_signed().wrapping_sub(now.cast_signed()) })
    }

    /// The message as it was before it was signed.
    fn without(&self, message: &[u8]) -> Vec<u8> {
        let mut plain = message[..self.start].to_vec();
        plain[..2].copy_from_slice(&self.id.to_be_bytes());
        let additional = number(&plain, 10).unwrap_or_default().saturating_sub(1);
        plain[10..12].copy_from_slice(&additional.to_be_bytes());
        plain
    }

    fn timers(&self) -> Vec<u8> {
        [&self.time.to_be_bytes()[2..], &self.fudge.to_be_bytes()].concat()
    }

    /// What of the record a signature covers (RFC 8945 §4.3.3).
    fn variables(&self) -> Vec<u8> {
        let other = u16::try_from(self.other.len()).unwrap_or_default();
        [
            &self.name[..],
            &CLASS_ANY.to_be_bytes(),
            &[0; 4],
            &self.algorithm,
            &self.timers(),
            &self.error.to_be_bytes(),
            &other.to_be_bytes(),
            &self.other,
        ]
        .concat()
    }

    fn append(&self, message: &mut Vec<u8>) {
        let length = |octets: &[u8]| u16::try_from(octets.len()).unwrap_or_default().to_be_bytes();
        let data = [
            &self.algorithm[..],
            &self.timers(),
            &length(&self.mac),
            &self.mac,
            &self.id.to_be_bytes(),
            &self.error.to_be_bytes(),
            &length(&self.other),
            &self.other,
        ]
        .concat();
        message.extend_from_slice(&self.name);
        message.extend_from_slice(&TYPE_TSIG.to_be_bytes());
        message.extend_from_slice(&CLASS_ANY.to_be_bytes());
        message.extend_from_slice(&[0; 4]);
        message.extend_from_slice(&length(&data));
        message.extend_from_slice(&data);
        if let Some(count) = number(message, 10) {
            message[10..12].copy_from_slice(&count.saturating_add(1).to_be_bytes());
        }
    }
}

fn number(octets: &[u8], at: usize) -> Option<u16> {
    octets.get(at..)?.first_chunk().map(|octets| u16::from_be_bytes(*octets))
}

/// Where a name ends.
fn skip_name(octets: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *octets.get(at)? {
            0 => return Some(at + 1),
            length @ 1..=63 => at += usize::from(length) + 1,
            0xc0.. => return octets.get(at + 1).map(|_| at + 2),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: u64 = 1_800_000_000;

    fn key(name: &str, secret: &[u8]) -> Arc<Key> {
        Arc::new(Key::new(DomainName::parse(name).unwrap(), Algorithm::HmacSha256, secret))
    }

    /// A question for the SOA record of `acme.test`.
    fn question() -> Vec<u8> {
        let mut message = vec![0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        message.extend_from_slice(b"\x04acme\x04test\x00\x00\x06\x00\x01");
        message
    }

    #[test]
    fn a_request_and_its_answers_are_believed() {
        let ours = key("key.test", b"secret");
        let mut request = question();
        let mut asking = Conversation::ask(Arc::clone(&ours), &mut request, NOW);
        let keys = [key("other.test", b"x"), Arc::clone(&ours)];
        let (plain, mut answering) = Conversation::asked(&keys, &request, NOW + 10).unwrap().unwrap();
        assert_eq!(plain, question());
        for number in 0..5 {
            let mut answer = question();
            answer[2] |= 0x80;
            let expected = answer.clone();
            answering.answer(&mut answer, NOW + number);
            assert!(asking.open(&answer, NOW).unwrap() == expected && asking.is_complete());
            let mut replayed = asking.clone();
            assert_eq!(
                replayed.open(&answer, NOW),
                Err(TsigError::BadSignature),
                "each covers the one before"
            );
        }
        assert!(Conversation::asked(&keys, &question(), NOW).unwrap().is_none());
    }

    #[test]
    fn messages_of_a_transfer_may_be_signed_together() {
        let ours = key("key.test", b"secret");
        let mut request = question();
        let mut asking = Conversation::ask(Arc::clone(&ours), &mut request, NOW);
        assert_eq!(asking.clone().open(&question(), NOW), Err(TsigError::Unsigned), "never the first");
        let (_, mut answering) = Conversation::asked(&[ours], &request, NOW).unwrap().unwrap();
        let mut first = question();
        answering.answer(&mut first, NOW);
        asking.open(&first, NOW).unwrap();
        let unsigned = question();
        asking.open(&unsigned, NOW).unwrap();
        assert!(!asking.is_complete());
        // What the other side would sign: the last signature, then both messages.
        let mut last = question();
        let before = [prefixed(&answering.mac), unsigned].concat();
        answering.sign(&before, &mut last, NOW, 0, false);
        asking.open(&last, NOW).unwrap();
        assert!(asking.is_complete());
        for _ in 0..MOST_UNSIGNED {
            asking.open(&question(), NOW).unwrap();
        }
        assert_eq!(asking.open(&question(), NOW), Err(TsigError::Unsigned));
    }

    #[test]
    fn what_is_not_right_is_told() {
        let ours = key("key.test", b"secret");
        let mut request = question();
        Conversation::ask(Arc::clone(&ours), &mut request, NOW);
        let refused = |keys: &[Arc<Key>], message: &[u8], now| {
            let rejection = Conversation::asked(keys, message, now).unwrap_err();
            let mut answer = question();
            let error = rejection.error;
            rejection.append(&mut answer, now);
            let mut asking = Conversation::ask(Arc::clone(&ours), &mut question(), NOW);
            (error, asking.open(&answer, NOW))
        };
        assert_eq!(
            refused(&[key("other.test", b"secret")], &request, NOW),
            (TsigError::BadKey, Err(TsigError::Refused(BADKEY)))
        );
        assert_eq!(
            refused(&[key("key.test", b"other")], &request, NOW),
            (TsigError::BadSignature, Err(TsigError::Refused(BADSIG)))
        );
        assert_eq!(
            refused(std::slice::from_ref(&ours), &request, NOW + 301),
            (TsigError::BadTime { seconds: -301 }, Err(TsigError::BadTime { seconds: 301 }))
        );
        for at in 0..request.len() {
            let mut damaged = request.clone();
            damaged[at] ^= 1;
            let believed = Conversation::asked(std::slice::from_ref(&ours), &damaged, NOW);
            // The id of a message may be changed on its way (RFC 8945 §4.2, "Original ID").
            assert!(at < 2 || !matches!(believed, Ok(Some(_))), "octet {at}");
            assert!(Conversation::asked(std::slice::from_ref(&ours), &request[..at], NOW).is_err());
        }
        let behind = [&request[..], &[0]].concat();
        assert!(Conversation::asked(&[ours], &behind, NOW).is_err());
    }

    #[test]
    fn algorithms_are_known_by_name() {
        assert_eq!("HMAC-SHA512.".parse(), Ok(Algorithm::HmacSha512));
        assert_eq!("hmac-md5.sig-alg.reg.int".parse::<Algorithm>(), Err(UnknownAlgorithm));
        assert_eq!(format!("{:?}", key("key.test", b"secret")), "Key(key.test, hmac-sha256)");
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(octets in prop::collection::vec(any::<u8>(), 0..200), counts in any::<[u8; 8]>()) {
            let mut message = octets;
            for (place, count) in message.iter_mut().skip(4).zip(counts) {
                *place = count & 1;
            }
            let ours = key("key.test", b"secret");
            let _ = Conversation::asked(std::slice::from_ref(&ours), &message, NOW);
            let mut asking = Conversation::ask(ours, &mut question(), NOW);
            let _ = asking.open(&message, NOW);
        }
    }
}
