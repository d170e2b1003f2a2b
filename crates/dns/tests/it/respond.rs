//! What the server says, without a socket.

use crate::support::{name, question, zone, zones};
use diagnosis::observation::{Rcode, Reply};
use dns::{
    authority::{Zone, ZoneError, ZoneSet, ZoneSetBuilder, respond},
    wire::{Query, Response},
};
use model::{Record, RecordData, RecordType, Soa, TxtData};

fn acme() -> ZoneSet {
    let acme = zone(
        "acme.test",
        r#"
        @ 3600 SOA ns1 hostmaster 7 3600 600 86400 300
        @ 3600 NS ns1
        @ 3600 NS ns2.elsewhere.example.
        ns1 A 192.0.2.1
        @ 600 MX 10 mail
        @ TXT "v=spf1 -all"
        mail A 192.0.2.2
        mail AAAA 2001:db8::2
        www CNAME mail
        out CNAME there.elsewhere.example.
        dangling CNAME nothing.acme.test.
        loop1 CNAME loop2
        loop2 CNAME loop1
        chain0 CNAME chain1
        chain1 CNAME chain2
        chain2 CNAME chain3
        chain3 CNAME chain4
        chain4 CNAME chain5
        chain5 CNAME chain6
        chain6 CNAME chain7
        chain7 CNAME chain8
        chain8 CNAME chain9
        chain9 CNAME mail
        *.wild TXT "wild"
        *.wild MX 5 mail
        there.wild A 192.0.2.3
        below.ent.wild A 192.0.2.4
        *.alias CNAME mail
        deep.under.ent TXT "deep"
        sub NS ns1.sub
        sub NS ns.elsewhere.example.
        sub DS 12345 13 2 00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF
        ns1.sub A 192.0.2.9
        ns1.sub AAAA 2001:db8::9
        caa CAA 0 issue "ca.example"
        platform CNAME tok.platform.test.
        "#,
        false,
    );
    let platform = zone("platform.test", "tok TXT \"v=DKIM1; p=AAAA\"", false);
    let child = zone("child.acme.test", "@ TXT \"child\"", false);
    let sloppy = zone("sloppy.test", "both CNAME mail.acme.test.\nboth TXT \"beside\"", true);
    zones(&[acme, platform, child, sloppy])
}

fn full(set: &ZoneSet, owner: &str, record_type: RecordType, over_udp: bool, edns: bool) -> Response {
    let question = question(owner, record_type);
    let query =
        Query { id: 77, question: &question, recursion_desired: true, checking_disabled: false, edns };
    let octets = respond(set, &query.encode().unwrap(), over_udp).unwrap();
    query.decode(&octets).unwrap()
}

fn ask(owner: &str, record_type: RecordType) -> Reply {
    full(&acme(), owner, record_type, true, true).reply
}

fn data(records: &[Record]) -> Vec<String> {
    let mut texts: Vec<String> = records.iter().map(|r| format!("{} {}", r.owner, r.data)).collect();
    texts.sort();
    texts
}

/// The one SOA of a negative answer: its zone and TTL.
fn negative(reply: &Reply) -> (String, u32) {
    match reply.authority.as_slice() {
        [Record { owner, ttl, data: RecordData::Soa(_) }] => (owner.to_string(), *ttl),
        other => panic!("not one SOA: {other:?}"),
    }
}

#[test]
fn records_are_answered_with_authority_and_nothing_else() {
    let reply = ask("acme.test", RecordType::Mx);
    assert_eq!((reply.rcode, reply.authoritative), (Rcode::NoError, true));
    assert_eq!(data(&reply.answer), ["acme.test 10 mail.acme.test"]);
    assert_eq!(reply.answer[0].ttl, 600);
    assert!(reply.authority.is_empty());
    let soa = ask("acme.test", RecordType::Soa);
    assert_eq!(soa.answer[0].ttl, 3600, "the SOA itself keeps its TTL; only negative answers lower it");
    assert_eq!(ask("caa.acme.test", RecordType::Caa).answer.len(), 1);
}

#[test]
fn the_zone_with_the_longest_name_answers() {
    assert_eq!(data(&ask("child.acme.test", RecordType::Txt).answer), ["child.acme.test child"]);
    assert_eq!(negative(&ask("x.child.acme.test", RecordType::Txt)).0, "child.acme.test");
    // The DS record of the child is a matter of its parent.
    assert_eq!(negative(&ask("child.acme.test", RecordType::Other(43))).0, "acme.test");
}

#[test]
fn names_outside_of_all_zones_are_refused() {
    let reply = ask("example.org", RecordType::A);
    assert_eq!((reply.rcode, reply.authoritative), (Rcode::Refused, false));
    assert_eq!(ask("test", RecordType::Soa).rcode, Rcode::Refused);
    assert_eq!(full(&ZoneSet::default(), "acme.test", RecordType::A, true, true).reply.rcode, Rcode::Refused);
}

#[test]
fn what_is_missing_is_told_with_the_soa_and_the_smaller_ttl() {
    let nodata = ask("mail.acme.test", RecordType::Txt);
    assert_eq!((nodata.rcode, nodata.authoritative), (Rcode::NoError, true));
    assert_eq!(negative(&nodata), ("acme.test".to_owned(), 300));
    let nxdomain = ask("nothing.acme.test", RecordType::Txt);
    assert_eq!((nxdomain.rcode, nxdomain.authoritative), (Rcode::NxDomain, true));
    assert_eq!(negative(&nxdomain), ("acme.test".to_owned(), 300));
}

#[test]
fn a_name_that_only_has_names_below_exists() {
    for owner in ["ent.acme.test", "under.ent.acme.test", "wild.acme.test"] {
        let reply = ask(owner, RecordType::Txt);
        assert_eq!(reply.rcode, Rcode::NoError, "{owner}");
        assert_eq!(negative(&reply).0, "acme.test");
    }
}

#[test]
fn aliases_are_followed_inside_our_zones_only() {
    assert_eq!(
        data(&ask("www.acme.test", RecordType::A).answer),
        ["mail.acme.test 192.0.2.2", "www.acme.test mail.acme.test"]
    );
    assert_eq!(data(&ask("www.acme.test", RecordType::Cname).answer), ["www.acme.test mail.acme.test"]);
    let across = ask("platform.acme.test", RecordType::Txt);
    assert_eq!(
        data(&across.answer),
        ["platform.acme.test tok.platform.test", "tok.platform.test v=DKIM1; p=AAAA"]
    );
    let out = ask("out.acme.test", RecordType::A);
    assert_eq!((out.rcode, out.authoritative), (Rcode::NoError, true));
    assert_eq!(data(&out.answer), ["out.acme.test there.elsewhere.example"]);
    assert!(out.authority.is_empty());
    let no_data = ask("www.acme.test", RecordType::Mx);
    assert_eq!((no_data.rcode, no_data.answer.len()), (Rcode::NoError, 1));
    negative(&no_data);
}

#[test]
fn the_response_code_is_that_of_the_end_of_the_chain() {
    let dangling = ask("dangling.acme.test", RecordType::A);
    assert_eq!((dangling.rcode, dangling.answer.len()), (Rcode::NxDomain, 1));
    negative(&dangling);
}

#[test]
fn loops_and_long_chains_of_aliases_end() {
    assert_eq!(ask("loop1.acme.test", RecordType::A).answer.len(), 2);
    let long = ask("chain0.acme.test", RecordType::A);
    assert_eq!((long.rcode, long.answer.len()), (Rcode::NoError, 9));
}

#[test]
fn wildcards_stand_for_names_that_do_not_exist_only() {
    let made = ask("anything.wild.acme.test", RecordType::Txt);
    assert_eq!(data(&made.answer), ["anything.wild.acme.test wild"]);
    assert_eq!(data(&ask("a.b.c.wild.acme.test", RecordType::Txt).answer), ["a.b.c.wild.acme.test wild"]);
    let other_type = ask("anything.wild.acme.test", RecordType::A);
    assert_eq!((other_type.rcode, other_type.answer.len()), (Rcode::NoError, 0));
    negative(&other_type);
    // A name that exists, with another type.
    assert_eq!(ask("there.wild.acme.test", RecordType::Txt).answer, []);
    assert_eq!(ask("there.wild.acme.test", RecordType::Txt).rcode, Rcode::NoError);
    // Below a name that exists: the closest encloser has no wildcard of its own.
    assert_eq!(ask("x.there.wild.acme.test", RecordType::Txt).rcode, Rcode::NxDomain);
    // An empty non-terminal, and what would be beside the name below it.
    assert_eq!(ask("ent.wild.acme.test", RecordType::Txt).rcode, Rcode::NoError);
    assert_eq!(ask("ent.wild.acme.test", RecordType::Txt).answer, []);
    assert_eq!(ask("other.ent.wild.acme.test", RecordType::Txt).rcode, Rcode::NxDomain);
    // Asked for by its own name.
    assert_eq!(data(&ask("*.wild.acme.test", RecordType::Txt).answer), ["*.wild.acme.test wild"]);
    assert_eq!(
        data(&ask("any.alias.acme.test", RecordType::A).answer),
        ["any.alias.acme.test mail.acme.test", "mail.acme.test 192.0.2.2"]
    );
}

#[test]
fn delegated_names_are_referred_with_their_glue() {
    for owner in ["sub.acme.test", "deep.in.sub.acme.test", "ns1.sub.acme.test"] {
        let set = acme();
        let reply = full(&set, owner, RecordType::A, true, true).reply;
        assert_eq!((reply.rcode, reply.authoritative), (Rcode::NoError, false), "{owner}");
        assert!(reply.answer.is_empty());
        assert_eq!(
            data(&reply.authority),
            ["sub.acme.test ns.elsewhere.example", "sub.acme.test ns1.sub.acme.test"]
        );
    }
    let ds = ask("sub.acme.test", RecordType::Other(43));
    assert_eq!((ds.authoritative, ds.answer.len()), (true, 1));
    let question = question("x.sub.acme.test", RecordType::A);
    let query = query(&question, true);
    let octets = respond(&acme(), &query.encode().unwrap(), true).unwrap();
    assert_eq!(counts(&octets), [1, 0, 2, 3], "two addresses of glue, and OPT");
}

#[test]
fn a_lenient_zone_shows_data_beside_an_alias() {
    assert_eq!(data(&ask("both.sloppy.test", RecordType::Txt).answer), ["both.sloppy.test beside"]);
    assert_eq!(data(&ask("both.sloppy.test", RecordType::Cname).answer), ["both.sloppy.test mail.acme.test"]);
    assert_eq!(ask("both.sloppy.test", RecordType::A).answer.len(), 2);
}

#[test]
fn any_is_answered_minimally() {
    let any = ask("acme.test", RecordType::Other(255));
    assert_eq!(any.answer.len(), 1);
    let RecordData::Other { code: 13, octets } = &any.answer[0].data else { panic!("{any:?}") };
    assert_eq!(octets, b"\x07RFC8482\x00");
    assert_eq!(ask("nothing.acme.test", RecordType::Other(255)).rcode, Rcode::NxDomain);
    assert_eq!(ask("ent.acme.test", RecordType::Other(255)).answer, []);
}

#[test]
fn zone_transfers_are_refused() {
    assert_eq!(ask("acme.test", RecordType::Other(252)).rcode, Rcode::Refused);
    assert_eq!(ask("acme.test", RecordType::Other(251)).rcode, Rcode::Refused);
}

fn query(question: &diagnosis::observation::Question, edns: bool) -> Query<'_> {
    Query { id: 77, question, recursion_desired: true, checking_disabled: false, edns }
}

fn octets(owner: &str, record_type: RecordType, edns: bool) -> Vec<u8> {
    query(&question(owner, record_type), edns).encode().unwrap()
}

fn rcode(response: &[u8]) -> u8 {
    response[3] & 0x0f
}

fn counts(message: &[u8]) -> [u16; 4] {
    std::array::from_fn(|i| u16::from_be_bytes([message[4 + 2 * i], message[5 + 2 * i]]))
}

#[test]
fn junk_gets_an_error_or_silence() {
    let set = acme();
    let good = octets("acme.test", RecordType::A, true);
    assert_eq!(respond(&set, b"", true), None);
    assert_eq!(respond(&set, &good[..11], true), None);
    let mut response = good.clone();
    response[2] |= 0x80;
    assert_eq!(respond(&set, &response, true), None, "a response is never answered");
    assert_eq!(rcode(&respond(&set, &good[..14], true).unwrap()), 1, "cut off in the question");
    let mut no_question = good.clone();
    no_question[5] = 0;
    assert_eq!(rcode(&respond(&set, &no_question, true).unwrap()), 1);
    let mut two = good.clone();
    two[5] = 2;
    assert_eq!(rcode(&respond(&set, &two, true).unwrap()), 1);
    let mut two_opt = good.clone();
    two_opt[11] = 2;
    two_opt.extend_from_slice(&good[good.len() - 11..]);
    assert_eq!(rcode(&respond(&set, &two_opt, true).unwrap()), 1);
    let mut notify = good.clone();
    notify[2] = 4 << 3;
    let answer = respond(&set, &notify, true).unwrap();
    assert_eq!((rcode(&answer), answer[2] >> 3 & 0x0f), (4, 4), "NOTIMP, with the opcode it was asked with");
    assert_eq!(answer[..2], good[..2]);
}

#[test]
fn only_the_internet_class_is_served() {
    let set = acme();
    let mut chaos = octets("acme.test", RecordType::A, false);
    let end = chaos.len();
    chaos[end - 1] = 3;
    assert_eq!(rcode(&respond(&set, &chaos, true).unwrap()), 5);
}

#[test]
fn an_unknown_edns_version_is_told() {
    let set = acme();
    let mut newer = octets("acme.test", RecordType::A, true);
    let opt = newer.len() - 11;
    newer[opt + 6] = 1;
    let answer = respond(&set, &newer, true).unwrap();
    let at = answer.len() - 11;
    assert_eq!((answer[at + 5], rcode(&answer)), (1, 0), "BADVERS is 16: one in the upper half");
    assert_eq!(answer[at + 6], 0, "the version that we know");
    assert_eq!(counts(&answer), [1, 0, 0, 1]);
}

#[test]
fn edns_is_answered_where_it_was_asked() {
    let set = acme();
    assert_eq!(counts(&respond(&set, &octets("acme.test", RecordType::Mx, true), true).unwrap())[3], 1);
    assert_eq!(counts(&respond(&set, &octets("acme.test", RecordType::Mx, false), true).unwrap())[3], 0);
}

#[test]
fn the_question_comes_back_in_its_own_case() {
    let set = acme();
    let mut mixed = octets("mail.acme.test", RecordType::A, false);
    for at in (13..26).step_by(2) {
        mixed[at].make_ascii_uppercase();
    }
    let answer = respond(&set, &mixed, true).unwrap();
    assert_eq!(answer[12..mixed.len()], mixed[12..]);
    assert_eq!(counts(&answer), [1, 1, 0, 0]);
    assert_eq!(answer[mixed.len()], 0xc0, "the owner is a pointer to the question");
    assert!(answer[2] & 1 == 1, "RD is copied");
}

fn large(strings: usize) -> ZoneSet {
    let mut large = Zone::new(name("large.test"), soa());
    large.records.push(Record {
        owner: name("large.test"),
        ttl: 60,
        data: RecordData::Txt(TxtData::from_text(&"x".repeat(250 * strings))),
    });
    zones(&[large])
}

fn soa() -> Soa {
    Soa {
        mname: name("ns.large.test"),
        rname: name("h.large.test"),
        serial: 1,
        refresh: 1,
        retry: 1,
        expire: 1,
        minimum: 1,
    }
}

#[test]
fn what_is_too_long_is_truncated_as_a_whole() {
    for (strings, plain, edns) in [(1, false, false), (3, true, false), (6, true, true)] {
        let set = large(strings);
        for (with_edns, truncated, limit) in [(false, plain, 512), (true, edns, 1232)] {
            let question = question("large.test", RecordType::Txt);
            let query = query(&question, with_edns);
            let octets = respond(&set, &query.encode().unwrap(), true).unwrap();
            assert!(octets.len() <= limit);
            let response = query.decode(&octets).unwrap();
            assert_eq!(response.truncated, truncated, "{strings} strings, EDNS {with_edns}");
            assert_eq!(counts(&octets)[1], u16::from(!truncated));
        }
        assert!(!full(&set, "large.test", RecordType::Txt, false, false).truncated, "TCP has room");
    }
}

#[test]
fn the_limit_is_met_to_the_octet() {
    // 12 header + 16 question + 12 owner, type, class, TTL, length, and the strings' own lengths.
    let mut sizes = Vec::new();
    for length in 440..480 {
        let mut zone = Zone::new(name("large.test"), soa());
        let data = RecordData::Txt(TxtData::from_text(&"x".repeat(length)));
        zone.records.push(Record { owner: name("large.test"), ttl: 60, data });
        let octets = respond(&zones(&[zone]), &octets("large.test", RecordType::Txt, false), true).unwrap();
        let truncated = octets[2] & 2 == 2;
        assert!(octets.len() <= 512);
        sizes.push((octets.len(), truncated));
    }
    assert!(sizes.contains(&(512, false)), "{sizes:?}");
    assert!(sizes.iter().any(|(_, truncated)| *truncated));
}

#[test]
fn a_zone_that_makes_no_sense_is_refused() {
    let mut builder = ZoneSetBuilder::new(3);
    let zone_of = |text: &str| Zone::from_text(&name("acme.test"), text, false);
    let conflict = zone_of("a CNAME b\na TXT \"x\"").unwrap();
    assert_eq!(builder.add(&conflict), Err(ZoneError::CnameAndOther(name("a.acme.test"))));
    let two = zone_of("a CNAME b\na CNAME c").unwrap();
    assert_eq!(builder.add(&two), Err(ZoneError::CnameAndOther(name("a.acme.test"))));
    assert_eq!(builder.add(&zone_of("@ CNAME b").unwrap()), Err(ZoneError::CnameAndOther(name("acme.test"))));
    let outside = zone_of("a.other.test. A 192.0.2.1").unwrap();
    assert!(matches!(builder.add(&outside), Err(ZoneError::OutOfZone { .. })));
    let mut junk = zone_of("").unwrap();
    for code in [0, 1, 41, 252, 255] {
        junk.records = vec![Record {
            owner: name("acme.test"),
            ttl: 1,
            data: RecordData::Other { code, octets: vec![1] },
        }];
        assert!(matches!(builder.add(&junk), Err(ZoneError::BadData { .. })), "type {code}");
    }
    let twice = zone_of("a A 192.0.2.1\na A 192.0.2.1").unwrap();
    assert_eq!(builder.add(&twice), Ok(()));
    assert_eq!(builder.add(&twice), Err(ZoneError::Duplicate(name("acme.test"))));
    let set = builder.build();
    assert_eq!((set.len(), set.generation()), (1, 3));
    assert_eq!(
        full(&set, "a.acme.test", RecordType::A, true, true).reply.answer.len(),
        1,
        "a set has no doubles"
    );
}

#[test]
fn zone_text_that_cannot_be_read_names_its_place() {
    let error =
        Zone::from_text(&name("acme.test"), "a A 192.0.2.1\nb A not-an-address\n", false).unwrap_err();
    assert!(error.to_string().starts_with("zone acme.test: before line 3:1: "), "{error}");
    assert!(matches!(
        Zone::from_text(&name("acme.test"), "$INCLUDE other.zone", false),
        Err(ZoneError::Text { .. })
    ));
    assert!(matches!(
        Zone::from_text(&name("acme.test"), "b SOA a b 1 1 1 1 1", false),
        Err(ZoneError::Soa(owner)) if owner == name("b.acme.test")
    ));
}
