//! DKIM: key records, signatures, verifying what arrives, and signing what goes out.
//!
//! Input: a line with the key record, then a message.

use super::input::{Input, evaluate, name};
use mail::{
    dkim::{DkimResult, KeyRecord, Signature, SigningKey, sign, verify},
    lookup::{Answer, Answers, Question},
};
use model::{RecordData, RecordType, Timestamp, TxtData};
use std::sync::LazyLock;

/// PKCS #8 around the seed of RFC 8463 appendix A.
const ED25519: [u8; 48] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20, 0x9d,
    0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44, 0x49,
    0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
];

static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::from_pkcs8(&ED25519).expect("a key"));

/// The target.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let key = input.text();
    if let Ok(record) = KeyRecord::parse(&key) {
        assert!(record.bits().is_none_or(|bits| bits > 0 && bits < 600_000));
        let _ = record.serves_mail();
    }
    let message = input.0;
    let _ = Signature::parse(&String::from_utf8_lossy(message));
    let now = Timestamp::from_second(1_760_000_000).expect("a time");
    let (outcomes, _) = evaluate(&mut Input(&[]), |answers| {
        // Every key looked for is this one.
        let known: Answers = answers
            .iter()
            .map(|(question, _)| {
                let txt = RecordData::Txt(TxtData::from_text(&key));
                (question.clone(), Answer::Records(vec![txt]))
            })
            .collect();
        verify(message, &known, now)
    });
    assert!(outcomes.len() <= mail::dkim::MAX_SIGNATURES);
    signs_what_it_verifies(message, now);
}

/// What we sign is found to be good, whatever the message.
fn signs_what_it_verifies(message: &[u8], now: Timestamp) {
    let domain = name("a.example");
    let Ok(field) = sign(message, &KEY, &domain, "sel", now) else { return };
    let signed = [field.as_slice(), message].concat();
    let record = KEY.public_key_record().expect("a record");
    let mut answers = Answers::new();
    answers.insert(
        Question::new(name("sel._domainkey.a.example"), RecordType::Txt),
        Answer::Records(vec![RecordData::Txt(TxtData::from_text(&record))]),
    );
    let (outcomes, _) = evaluate(&mut Input(&[]), |more| {
        let mut known = answers.clone();
        known.extend(
            more.iter().filter(|(q, _)| answers.get(q).is_err()).map(|(q, a)| (q.clone(), a.clone())),
        );
        verify(&signed, &known, now)
    });
    let first = outcomes.first().expect("our own signature stands first");
    assert_eq!(first.result, DkimResult::Pass, "{first:?} {:?}", String::from_utf8_lossy(&signed));
}
