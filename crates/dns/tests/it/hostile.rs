//! Octets that nobody meant well.

use crate::support::{question, zone, zones};
use dns::{
    authority::{ZoneSet, respond},
    wire::{MAX_RECORDS, Query},
};
use model::RecordType;
use proptest::prelude::*;
use std::sync::LazyLock;

static ZONES: LazyLock<ZoneSet> = LazyLock::new(|| {
    let many: Vec<String> = (0..60).map(|i| format!("many A 192.0.2.{i}")).collect();
    let text = format!(
        "@ NS ns\nns A 192.0.2.1\n*.w TXT \"x\"\na CNAME b.w\nsub NS ns.sub\nns.sub A 192.0.2.2\n{}",
        many.join("\n")
    );
    zones(&[zone("acme.test", &text, false), zone(".", "@ TXT \"root\"", false)])
});

const NAMES: [&str; 7] = [
    "acme.test",
    "a.acme.test",
    "x.w.acme.test",
    "y.sub.acme.test",
    "many.acme.test",
    "no.such.name.at.all",
    "none.acme.test",
];

fn is_sound(query: &[u8], over_udp: bool) {
    if let Some(response) = respond(&ZONES, query, over_udp) {
        assert_eq!(response[..2], query[..2], "the id is the query's");
        assert_eq!(response[2] & 0x80, 0x80);
        assert!(!over_udp || response.len() <= 1232);
        assert_eq!(respond(&ZONES, &response, over_udp), None, "no ping-pong");
    }
}

fn valid(name: usize, code: u16, edns: bool) -> Vec<u8> {
    let question = question(NAMES[name % NAMES.len()], RecordType::from_code(code));
    let query =
        Query { id: 0x1234, question: &question, recursion_desired: false, checking_disabled: false, edns };
    query.encode().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn any_octets_are_answered_soundly(octets in prop::collection::vec(any::<u8>(), 0..600), udp: bool) {
        is_sound(&octets, udp);
    }

    #[test]
    fn mutated_queries_are_answered_soundly(
        name in 0_usize..7,
        code in prop_oneof![0_u16..70, 240_u16..260, any::<u16>()],
        edns: bool,
        udp: bool,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
        shorten: bool,
    ) {
        let mut octets = valid(name, code, edns);
        for (at, value) in changes {
            let at = at.index(octets.len());
            octets[at] = value;
        }
        if shorten {
            octets.truncate(cut.index(octets.len()));
        }
        is_sound(&octets, udp);
    }

    #[test]
    fn mutated_responses_are_read_without_panic(
        name in 0_usize..7,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
    ) {
        let question = question(NAMES[name], RecordType::A);
        let query =
            Query { id: 7, question: &question, recursion_desired: true, checking_disabled: false, edns: true };
        let mut octets = respond(&ZONES, &query.encode().unwrap(), false).unwrap();
        let intact = octets.clone();
        for (at, value) in changes {
            // Behind the question, so that most get as far as the records.
            let at = 6 + at.index(octets.len() - 6);
            octets[at] = value;
        }
        if let Ok(response) = query.decode(&octets) {
            prop_assert!(response.reply.answer.len() + response.reply.authority.len() <= MAX_RECORDS);
        }
        prop_assert!(query.decode(&intact).is_ok());
    }
}

/// A response with an answer section written by hand.
fn response(records: &[u8], count: u16) -> Vec<u8> {
    let question = question("acme.test", RecordType::A);
    let query =
        Query { id: 7, question: &question, recursion_desired: true, checking_disabled: false, edns: false };
    let mut octets = query.encode().unwrap();
    octets[2] |= 0x80;
    octets[6..8].copy_from_slice(&count.to_be_bytes());
    octets.extend_from_slice(records);
    octets
}

fn decode(octets: &[u8]) -> Result<dns::wire::Response, dns::wire::DecodeError> {
    let question = question("acme.test", RecordType::A);
    Query { id: 7, question: &question, recursion_desired: true, checking_disabled: false, edns: false }
        .decode(octets)
}

const GOOD_A: &[u8] = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x01";

#[test]
fn a_damaged_record_is_left_out_and_damaged_framing_is_an_error() {
    let short_a = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x03\xc0\x00\x02";
    let reply = decode(&response(&[short_a.as_slice(), GOOD_A].concat(), 2)).unwrap().reply;
    assert_eq!(reply.answer.len(), 1);
    let cut_off = response(&[GOOD_A, b"\xc0\x0c\x00\x01\x00"].concat(), 2);
    assert!(matches!(decode(&cut_off), Err(dns::wire::DecodeError::Damaged(_))));
}

#[test]
fn no_more_than_the_bound_is_kept() {
    let reply = decode(&response(&GOOD_A.repeat(1000), 1000)).unwrap().reply;
    assert_eq!(reply.answer.len(), MAX_RECORDS);
}

#[test]
fn compression_loops_and_odd_labels_are_survived() {
    let itself = b"\xc0\x1b\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x01";
    assert!(decode(&response(itself, 1)).is_err());
    let odd = b"\x05a.\\\"\xff\xc0\x0c\x00\x01\x00\x01\x80\x00\x00\x3c\x00\x04\xc0\x00\x02\x01";
    let reply = decode(&response(odd, 1)).unwrap().reply;
    assert_eq!(reply.answer[0].owner.as_str(), "a\\046\\092\\034\\255.acme.test");
    assert_eq!(reply.answer[0].ttl, 0, "a negative TTL is zero");
}

#[test]
fn an_extended_error_is_kept_without_control_characters() {
    let mut octets = response(b"", 0);
    octets[3] = 2;
    octets[11] = 1;
    let text = b"no\x1b[31m key";
    let option =
        [b"\x00\x0f".as_slice(), &[0, u8::try_from(2 + text.len()).unwrap()], b"\x00\x09", text].concat();
    octets.extend_from_slice(b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00");
    octets.extend_from_slice(&[0, u8::try_from(option.len()).unwrap()]);
    octets.extend_from_slice(&option);
    let error = decode(&octets).unwrap().reply.extended_error.unwrap();
    assert_eq!((error.code, error.text.as_str()), (9, "no[31m key"));
}
