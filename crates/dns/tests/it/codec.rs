//! Our codec beside the one of the `domain` crate: the same octets out, the same records in, also of damaged messages.

use crate::support::{question, zone, zones};
use diagnosis::observation::{Question, Reply};
use dns::{
    authority::{ZoneSet, respond},
    wire::{DecodeError, Query},
};
use domain::{
    base::{
        Message, MessageBuilder, Name, Rtype,
        iana::Class,
        name::{Label, ToLabelIter},
        rdata::{ParseRecordData, UnknownRecordData},
        record::ParsedRecord,
    },
    rdata::{A, Aaaa, Cname, Mx, Ns, Ptr, Soa, Txt},
};
use model::{DomainName, Record, RecordData, RecordType, TxtData};
use proptest::prelude::*;
use std::sync::LazyLock;

static ZONES: LazyLock<ZoneSet> = LazyLock::new(|| {
    let text = "@ NS ns\nns A 192.0.2.1\nns AAAA 2001:db8::1\n@ MX 10 mx.other.test.\n@ MX 20 ns\n@ TXT \"a\" \"b c\"\n\
        a CNAME b\nb CNAME @\np PTR x.acme.test.\nsub NS ns.sub\nns.sub A 192.0.2.2";
    zones(&[zone("acme.test", text, false)])
});

const NAMES: [&str; 6] =
    ["acme.test", "a.acme.test", "p.acme.test", "y.sub.acme.test", "none.acme.test", "ns.acme.test"];
const TYPES: [u16; 8] = [1, 2, 5, 6, 12, 15, 16, 28];

fn query(question: &Question, edns: bool) -> Query<'_> {
    Query { id: 0x1234, question, recursion_desired: true, checking_disabled: true, edns }
}

fn encoded_by_theirs(query: &Query<'_>) -> Vec<u8> {
    let mut builder = MessageBuilder::new_vec();
    let header = builder.header_mut();
    header.set_id(query.id);
    header.set_rd(query.recursion_desired);
    header.set_cd(query.checking_disabled);
    let mut section = builder.question();
    let name: Name<Vec<u8>> = query.question.name.as_str().parse().unwrap();
    section.push((name, Rtype::from_int(query.question.record_type.code()))).unwrap();
    let mut additional = section.additional();
    if query.edns {
        additional
            .opt(|opt| {
                opt.set_udp_payload_size(1232);
                Ok(())
            })
            .unwrap();
    }
    additional.finish()
}

fn name(name: &impl ToLabelIter) -> DomainName {
    let labels: Vec<&[u8]> = name.iter_labels().map(Label::as_slice).collect();
    DomainName::from_labels(labels).unwrap()
}

/// Both sections as theirs reads them, or `None` when a frame is broken.
fn decoded_by_theirs(octets: &[u8]) -> Option<[Vec<Record>; 2]> {
    let message = Message::from_slice(octets).ok()?;
    let mut sections = [Vec::new(), Vec::new()];
    let read = [message.answer().ok()?, message.authority().ok()?];
    for (section, records) in read.into_iter().zip(&mut sections) {
        for parsed in section {
            let parsed = parsed.ok()?;
            if parsed.class() == Class::IN
                && parsed.rtype() != Rtype::OPT
                && let Some(data) = data(&parsed)
            {
                let ttl = parsed.ttl().as_secs();
                let ttl = if ttl > 0x7fff_ffff { 0 } else { ttl };
                records.push(Record { owner: name(&parsed.owner()), ttl, data });
            }
        }
    }
    Some(sections)
}

fn data(parsed: &ParsedRecord<'_, [u8]>) -> Option<RecordData> {
    Some(match RecordType::from_code(parsed.rtype().to_int()) {
        RecordType::A => RecordData::A(read::<A>(parsed)?.addr()),
        RecordType::Aaaa => RecordData::Aaaa(read::<Aaaa>(parsed)?.addr()),
        RecordType::Cname => RecordData::Cname(name(read::<Cname<_>>(parsed)?.cname())),
        RecordType::Ns => RecordData::Ns(name(read::<Ns<_>>(parsed)?.nsdname())),
        RecordType::Ptr => RecordData::Ptr(name(read::<Ptr<_>>(parsed)?.ptrdname())),
        RecordType::Mx => {
            let mx = read::<Mx<_>>(parsed)?;
            RecordData::Mx { preference: mx.preference(), exchange: name(mx.exchange()) }
        }
        RecordType::Txt => {
            let txt = read::<Txt<_>>(parsed)?;
            let strings: Vec<_> = txt.iter().collect();
            // Data of no octets at all has no string, and one is the least (RFC 1035 §3.3.14).
            (!strings.is_empty()).then(|| RecordData::Txt(TxtData::from_strings(&strings)))?
        }
        RecordType::Soa => {
            let soa = read::<Soa<_>>(parsed)?;
            RecordData::Soa(model::Soa {
                mname: name(soa.mname()),
                rname: name(soa.rname()),
                serial: soa.serial().into_int(),
                refresh: soa.refresh().as_secs(),
                retry: soa.retry().as_secs(),
                expire: soa.expire().as_secs(),
                minimum: soa.minimum().as_secs(),
            })
        }
        other => RecordData::Other {
            code: other.code(),
            octets: read::<UnknownRecordData<_>>(parsed)?.data().to_vec(),
        },
    })
}

fn read<'a, D: ParseRecordData<'a, [u8]>>(parsed: &ParsedRecord<'a, [u8]>) -> Option<D> {
    Some(parsed.to_record::<D>().ok()??.into_data())
}

fn ours(question: &Question, octets: &[u8]) -> Result<Reply, DecodeError> {
    query(question, true).decode(octets).map(|response| response.reply)
}

/// Whether there is an escaped octet in what was read, as no name of ours has.
fn has_odd_octets(sections: &[Vec<Record>; 2]) -> bool {
    format!("{sections:?}").contains('\\')
}

/// Whether a changed message has what may be a pointer to somewhere that no pointer of the whole one leads to.
fn has_other_pointers(whole: &[u8], changed: &[u8]) -> bool {
    let is_pointer = |pair: &&[u8]| pair[0] >= 0xc0;
    let known: Vec<&[u8]> = whole.windows(2).filter(is_pointer).collect();
    changed.windows(2).filter(is_pointer).any(|pair| !known.contains(&pair))
}

/// Whether there may be a name with a pointer that leads to within it.
fn points_into_itself(octets: &[u8]) -> bool {
    let end_of_labels = |start: usize| {
        let mut at = start;
        while let Some(length @ 1..=63) = octets.get(at) {
            at += usize::from(*length) + 1;
        }
        at
    };
    octets.windows(2).enumerate().filter(|(_, pair)| pair[0] >= 0xc0).any(|(at, pair)| {
        let target = usize::from(u16::from_be_bytes([pair[0] & 0x3f, pair[1]]));
        (0..=target.min(at)).any(|start| end_of_labels(start) == at)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4000) })]

    #[test]
    fn queries_are_the_same_octets(
        owner in "[a-z0-9_]{1,20}(\\.[a-z0-9-]{1,20}[a-z0-9]){0,6}",
        code: u16,
        edns: bool,
    ) {
        let Ok(owner) = DomainName::parse(&owner) else { return Ok(()) };
        let question = Question { name: owner, record_type: RecordType::from_code(code) };
        let query = query(&question, edns);
        prop_assert_eq!(query.encode().unwrap(), encoded_by_theirs(&query));
    }

    #[test]
    fn responses_whole_and_damaged_say_the_same(
        owner in 0_usize..6,
        code in 0_usize..8,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let question = question(NAMES[owner], RecordType::from_code(TYPES[code]));
        let mut octets = respond(&ZONES, &query(&question, true).encode().unwrap(), true).unwrap();
        let behind_question = octets.len().min(12 + question.name.as_str().len() + 2 + 4);
        let whole = octets.clone();
        for (at, value) in changes {
            // Counts and records; the question is what tells that it is an answer at all.
            let places = 6 + octets.len() - behind_question;
            let at = at.index(places);
            octets[if at < 6 { 6 + at } else { behind_question + at - 6 }] = value;
        }
        match (ours(&question, &octets), decoded_by_theirs(&octets)) {
            // Such a name in a record's data leaves out that record alone.
            (Ok(reply), Some(sections)) if has_odd_octets(&sections) || has_other_pointers(&whole, &octets) => {
                let [answer, authority] = &sections;
                prop_assert!(reply.answer.iter().all(|record| answer.contains(record)));
                prop_assert!(reply.authority.iter().all(|record| authority.contains(record)));
            }
            (Ok(reply), Some([answer, mut authority])) => {
                if !answer.is_empty() {
                    authority.retain(|record| !matches!(record.data, RecordData::Ns(_)));
                }
                prop_assert_eq!(reply.answer, answer);
                prop_assert_eq!(reply.authority, authority);
            }
            (Err(DecodeError::Damaged(_)), None) => {}
            // Ours follows pointers only to before the name; theirs also to within it, past octets that are no name.
            (Err(DecodeError::Damaged(_)), Some(sections))
                if has_odd_octets(&sections)
                    || has_other_pointers(&whole, &octets)
                    || points_into_itself(&octets) => {}
            (ours, theirs) => prop_assert!(false, "{ours:?} {theirs:?} {octets:?}"),
        }
    }
}
