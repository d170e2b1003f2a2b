//! What the server says beside a slow model of it: RFC 1034 §4.3.2 word by word, over a list of records.

use crate::support::name;
use diagnosis::observation::{Question, Rcode};
use dns::{
    authority::{KeyTable, Zone, ZoneSet, ZoneSetBuilder, respond},
    wire::Query,
};
use model::{DomainName, Record, RecordData, RecordType, Soa, TxtData};
use proptest::prelude::*;
use std::collections::BTreeSet;

const DS: RecordType = RecordType::Other(43);

/// What a response comes to. Records as text, since their order says nothing.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    rcode: Rcode,
    authoritative: bool,
    answer: BTreeSet<String>,
    authority: BTreeSet<String>,
    additional: BTreeSet<String>,
}

impl Said {
    fn new() -> Self {
        Self {
            rcode: Rcode::NoError,
            authoritative: false,
            answer: BTreeSet::new(),
            authority: BTreeSet::new(),
            additional: BTreeSet::new(),
        }
    }
}

fn line(owner: &DomainName, ttl: u32, data: &RecordData) -> String {
    format!("{owner} {ttl} {} {data}", data.record_type())
}

/// The zone whose apex is the longest at or above a name; for a DS record of an apex the one above.
fn zone_of<'a>(zones: &'a [Zone], name: &DomainName, record_type: RecordType) -> Option<&'a Zone> {
    let longest = |allowed: &dyn Fn(&Zone) -> bool| {
        let mut above: Vec<_> =
            zones.iter().filter(|zone| name.is_at_or_below(&zone.apex) && allowed(zone)).collect();
        above.sort_by_key(|zone| zone.apex.label_count());
        above.pop()
    };
    let parent = (record_type == DS).then(|| longest(&|zone| zone.apex != *name)).flatten();
    parent.or_else(|| longest(&|_| true))
}

fn exists(zone: &Zone, name: &DomainName) -> bool {
    *name == zone.apex || zone.records.iter().any(|record| record.owner.is_at_or_below(name))
}

/// The records of a set, with the one TTL that they have.
fn set(zone: &Zone, owner: &DomainName, record_type: RecordType) -> Vec<Record> {
    let of_set = |record: &&Record| record.owner == *owner && record.data.record_type() == record_type;
    let ttl = zone.records.iter().filter(of_set).map(|record| record.ttl).min().unwrap_or_default();
    zone.records.iter().filter(of_set).map(|record| Record { ttl, ..record.clone() }).collect()
}

/// From the apex down to the name, without the apex.
fn way_down(zone: &Zone, name: &DomainName) -> Vec<DomainName> {
    let mut way: Vec<_> = std::iter::successors(Some(name.clone()), DomainName::parent)
        .take_while(|n| *n != zone.apex)
        .collect();
    way.reverse();
    way
}

fn expected(zones: &[Zone], qname: &DomainName, qtype: RecordType) -> Said {
    let mut said = Said::new();
    let mut name = qname.clone();
    let mut seen = vec![qname.clone()];
    for hop in 0..=8 {
        let Some(zone) = zone_of(zones, &name, qtype) else {
            if hop == 0 {
                said.rcode = Rcode::Refused;
            }
            break;
        };
        let soa_ttl = zone.soa_ttl.min(zone.soa.minimum);
        let soa = line(&zone.apex, soa_ttl, &RecordData::Soa(zone.soa.clone()));
        let cut = way_down(zone, &name)
            .into_iter()
            .find(|above| !(set(zone, above, RecordType::Ns).is_empty() || *above == name && qtype == DS));
        if let Some(cut) = cut {
            if hop == 0 {
                for record in set(zone, &cut, RecordType::Ns) {
                    said.authority.insert(line(&cut, record.ttl, &record.data));
                    let RecordData::Ns(server) = &record.data else { continue };
                    for glue in [RecordType::A, RecordType::Aaaa].map(|glue| set(zone, server, glue)).concat()
                    {
                        said.additional.insert(line(server, glue.ttl, &glue.data));
                    }
                }
            }
            break;
        }
        said.authoritative = true;
        let owner = if exists(zone, &name) {
            Some(name.clone())
        } else {
            let encloser = std::iter::successors(name.parent(), DomainName::parent)
                .find(|above| exists(zone, above))
                .unwrap();
            let wildcard = encloser.prepend("*").unwrap();
            exists(zone, &wildcard).then_some(wildcard)
        };
        let Some(owner) = owner else {
            said.rcode = Rcode::NxDomain;
            said.authority.insert(soa);
            break;
        };
        let all: Vec<_> = zone.records.iter().filter(|record| record.owner == owner).collect();
        let mut found = set(zone, &owner, qtype);
        if qtype == RecordType::Soa && name == zone.apex {
            found = vec![Record {
                owner: name.clone(),
                ttl: zone.soa_ttl,
                data: RecordData::Soa(zone.soa.clone()),
            }];
        }
        if qtype == RecordType::Other(255) && (!all.is_empty() || name == zone.apex) {
            said.answer.insert(format!("{name} any"));
            break;
        }
        let aliases = set(zone, &owner, RecordType::Cname);
        let is_alias = found.is_empty() && !aliases.is_empty();
        for record in if is_alias { &aliases } else { &found } {
            said.answer.insert(line(&name, record.ttl, &record.data));
        }
        if is_alias {
            let RecordData::Cname(target) = &aliases[0].data else { unreachable!() };
            if seen.contains(target) || hop == 8 {
                break;
            }
            seen.push(target.clone());
            name = target.clone();
        } else {
            if found.is_empty() {
                said.authority.insert(soa);
            }
            break;
        }
    }
    said
}

fn ask(set: &ZoneSet, qname: &DomainName, qtype: RecordType) -> Said {
    let question = Question { name: qname.clone(), record_type: qtype };
    let query =
        Query { id: 5, question: &question, recursion_desired: false, checking_disabled: false, edns: true };
    let octets = respond(set, &query.encode().unwrap(), false).unwrap();
    let reply = query.decode(&octets).unwrap().reply;
    let lines = |records: &[Record]| {
        records
            .iter()
            .map(|record| match &record.data {
                RecordData::Other { code: 13, .. } => format!("{} any", record.owner),
                data => line(&record.owner, record.ttl, data),
            })
            .collect()
    };
    Said {
        rcode: reply.rcode,
        authoritative: reply.authoritative,
        answer: lines(&reply.answer),
        authority: lines(&reply.authority),
        additional: lines(&reply.additional),
    }
}

/// Few labels, so that names meet.
fn relative() -> impl Strategy<Value = String> {
    prop_oneof![3 => "[ab]", 3 => "[ab]\\.[ab]", 2 => "[ab*]\\.[ab]\\.[ab]", 1 => "\\*\\.[ab]", 1 => Just("*".to_owned())]
}

fn target() -> impl Strategy<Value = DomainName> {
    prop_oneof![
        4 => relative().prop_filter("no wildcard", |text| !text.contains('*')).prop_map(|text| name(&format!("{text}.x.test"))),
        1 => Just(name("a.b.x.test")),
        1 => Just(name("s1.keys.x.test")),
        1 => Just(name("elsewhere.example")),
    ]
}

fn data() -> impl Strategy<Value = RecordData> {
    prop_oneof![
        3 => any::<[u8; 4]>().prop_map(|octets| RecordData::A(octets.into())),
        1 => any::<[u8; 16]>().prop_map(|octets| RecordData::Aaaa(octets.into())),
        2 => "[a-z]{1,300}".prop_map(|text| RecordData::Txt(TxtData::from_text(&text))),
        3 => target().prop_map(RecordData::Cname),
        1 => target().prop_map(RecordData::Ns),
        1 => target().prop_map(|exchange| RecordData::Mx { preference: 10, exchange }),
        1 => Just(RecordData::Other { code: 43, octets: vec![1, 2, 3, 4, 5] }),
    ]
}

fn soa(serial: u32) -> Soa {
    let (mname, rname) = (name("ns.x.test"), name("h.x.test"));
    Soa { mname, rname, serial, refresh: 1, retry: 2, expire: 3, minimum: 77 }
}

fn zone_at(apex: &str, records: Vec<(String, u32, RecordData)>) -> Zone {
    let apex = name(apex);
    let records = records
        .into_iter()
        .map(|(relative, ttl, data)| Record { owner: apex.prepend(&relative).unwrap(), ttl, data })
        .collect();
    Zone { soa_ttl: 99, records, lenient: true, ..Zone::new(apex, soa(7)) }
}

fn records() -> impl Strategy<Value = Vec<(String, u32, RecordData)>> {
    proptest::collection::vec((relative(), 1_u32..50, data()), 0..16)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn answers_are_those_of_the_standard(
        outer in records(),
        inner in records(),
        selectors in proptest::collection::btree_set("s[12](\\.[ab])?", 0..4),
        questions in proptest::collection::vec((relative(), 0_usize..9, 0_usize..4), 24),
    ) {
        let mut zones = vec![zone_at("x.test", outer), zone_at("b.x.test", inner)];
        let origin = name("keys.x.test");
        let mut keys = KeyTable::new(&origin, 300).unwrap();
        let mut builder = ZoneSetBuilder::new(1);
        builder.add(&zones[1]).unwrap();
        for selector in &selectors {
            keys.insert(selector, "v=DKIM1; p=").unwrap();
        }
        builder.add_with_keys(&zones[0], keys).unwrap();
        let set = builder.build();
        // The name that keys begin at exists, with or without keys: a record of a type that nobody asks for says so.
        zones[0].records.push(Record {
            owner: origin.clone(),
            ttl: 1,
            data: RecordData::Other { code: 999, octets: vec![] },
        });
        zones[0].records.extend(selectors.iter().map(|selector| Record {
            owner: origin.prepend(selector).unwrap(),
            ttl: 300,
            data: RecordData::Txt(TxtData::from_text("v=DKIM1; p=")),
        }));
        let types = [
            RecordType::A, RecordType::Aaaa, RecordType::Txt, RecordType::Cname, RecordType::Ns, RecordType::Mx,
            RecordType::Soa, DS, RecordType::Other(255),
        ];
        let mut asked: Vec<_> = questions
            .iter()
            .map(|(relative, record_type, below)| {
                let below = ["x.test", "b.x.test", "keys.x.test", "y.example"][*below];
                (name(below).prepend(relative).unwrap(), types[*record_type])
            })
            .collect();
        for selector in ["s1", "s2", "s1.a", "a", "s1.s1", "a.a"] {
            asked.push((origin.prepend(selector).unwrap(), RecordType::Txt));
            asked.push((origin.prepend(selector).unwrap(), RecordType::A));
        }
        for (_, record_type, _) in &questions {
            asked.push((name("x.test"), types[*record_type]));
            asked.push((name("b.x.test"), types[*record_type]));
            if types[*record_type] != RecordType::Other(255) {
                asked.push((origin.clone(), types[*record_type]));
            }
        }
        for (qname, qtype) in asked {
            prop_assert_eq!(ask(&set, &qname, qtype), expected(&zones, &qname, qtype), "{} {}", qname, qtype);
        }
    }
}

#[test]
fn a_set_with_other_keys_is_the_same_but_for_them() {
    let origin = name("keys.x.test");
    let mut keys = KeyTable::new(&origin, 300).unwrap();
    keys.insert("s1", "one").unwrap();
    let zone = zone_at("x.test", vec![("a".to_owned(), 5, RecordData::A([192, 0, 2, 1].into()))]);
    let mut builder = ZoneSetBuilder::new(1);
    builder.add_with_keys(&zone, keys.clone()).unwrap();
    let before = builder.build();
    keys.remove("s1");
    keys.insert("s2", "two").unwrap();
    let after = before.with_keys(2, &name("x.test"), keys.clone(), 8).unwrap();
    assert_eq!((before.generation(), after.generation()), (1, 2));
    let rcodes = |set: &ZoneSet| {
        ["s1", "s2", "s3"].map(|label| ask(set, &origin.prepend(label).unwrap(), RecordType::Txt).rcode)
    };
    assert_eq!(rcodes(&before), [Rcode::NoError, Rcode::NxDomain, Rcode::NxDomain]);
    assert_eq!(rcodes(&after), [Rcode::NxDomain, Rcode::NoError, Rcode::NxDomain]);
    let serial = |set: &ZoneSet| ask(set, &name("x.test"), RecordType::Soa).answer;
    assert_eq!(serial(&before), BTreeSet::from([line(&name("x.test"), 99, &RecordData::Soa(soa(7)))]));
    assert_eq!(serial(&after), BTreeSet::from([line(&name("x.test"), 99, &RecordData::Soa(soa(8)))]));
    assert_eq!(ask(&after, &name("a.x.test"), RecordType::A).answer.len(), 1);
    assert!(before.with_keys(3, &name("y.test"), keys.clone(), 9).is_err());
    let elsewhere = KeyTable::new(&name("other.x.test"), 300).unwrap();
    assert!(before.with_keys(3, &name("x.test"), elsewhere, 9).is_err());
}

#[test]
fn nothing_but_keys_is_where_keys_are() {
    let keys = |at: &str| KeyTable::new(&name(at), 300).unwrap();
    let among = zone_at("x.test", vec![("a.keys".to_owned(), 5, RecordData::A([192, 0, 2, 1].into()))]);
    for (zone, keys) in
        [(&among, keys("keys.x.test")), (&among, keys("keys.y.test")), (&among, keys("x.test"))]
    {
        let mut builder = ZoneSetBuilder::new(1);
        assert!(builder.add_with_keys(zone, keys).is_err());
        assert!(builder.build().is_empty());
    }
}
