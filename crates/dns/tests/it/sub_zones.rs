//! Zones that are delegated to us: what each of them has, and that nobody gets names below another's.

use crate::support::{name, question, zone};
use diagnosis::observation::{Rcode, Reply};
use dns::{
    authority::{KeyTable, Shape, SubZone, SubZones, ZoneSet, ZoneSetBuilder, respond},
    wire::Query,
};
use model::{RecordData, RecordType};
use std::sync::Arc;

const PLATFORM: &str = "@ NS ns1\nns1 A 192.0.2.1\n*.ns1 A 192.0.2.1\n";

fn shape() -> Arc<Shape> {
    let text = "@ 30 SOA ns1.platform.test. hostmaster.platform.test. 1 3600 600 604800 30\n\
        @ MX 10 feedback.platform.test.\n@ TXT \"v=spf1 ~all\"\nbounce TXT \"v=spf1 ~all\"\n\
        _dmarc TXT \"v=DMARC1; p=none\"\n";
    Arc::new(Shape::new(&zone("any.test", text, false)).unwrap())
}

fn sub_zone(shape: &Arc<Shape>, token: &str, keys: &[&str], is_proven: bool) -> SubZone {
    let servers = [name(&format!("{token}.ns1.platform.test"))];
    let keys: Vec<(String, String)> = keys.iter().map(|key| ((*key).to_owned(), (*key).to_owned())).collect();
    SubZone::new(shape, &servers, 300, &keys, is_proven).unwrap()
}

fn table(keys: &[(&str, &str)]) -> KeyTable {
    let mut table = KeyTable::new(&name("dkim.platform.test"), 300).unwrap();
    for (selector, text) in keys {
        table.insert(selector, text).unwrap();
    }
    table
}

fn set(keys: KeyTable, zones: &SubZones) -> ZoneSet {
    let mut set = ZoneSetBuilder::new(1);
    set.add_with_keys(&zone("platform.test", PLATFORM, false), keys).unwrap();
    set.build().with_sub_zones(zones.clone())
}

fn ask(set: &ZoneSet, owner: &str, record_type: RecordType) -> Reply {
    let question = question(owner, record_type);
    let query =
        Query { id: 7, question: &question, recursion_desired: false, checking_disabled: false, edns: true };
    query.decode(&respond(set, &query.encode().unwrap(), true).unwrap()).unwrap().reply
}

fn data(reply: &Reply) -> Vec<String> {
    assert!(reply.authoritative);
    reply.answer.iter().map(|record| format!("{} {}", record.owner, record.data)).collect()
}

/// The zone whose start of authority comes with a negative answer.
fn negative(reply: &Reply) -> (Rcode, String) {
    let [soa] = &*reply.authority else { panic!("{reply:?}") };
    assert!(matches!(soa.data, RecordData::Soa(_)) && reply.answer.is_empty() && reply.authoritative);
    (reply.rcode, soa.owner.to_string())
}

#[test]
fn a_zone_has_what_its_kind_has_and_keys_of_its_own() {
    let shape = shape();
    let mut zones = SubZones::default();
    zones.put(&name("send.acme.test"), sub_zone(&shape, "tok1", &["one", "a.b"], true)).unwrap();
    zones.put(&name("mail.other.test"), sub_zone(&shape, "tok2", &["two"], true)).unwrap();
    let set =
        set(table(&[("one", "v=DKIM1; p=1"), ("two", "v=DKIM1; p=2"), ("a.b", "v=DKIM1; p=3")]), &zones);
    let ask = |owner: &str, record_type| ask(&set, owner, record_type);
    assert_eq!(
        data(&ask("SEND.acme.test", RecordType::Ns)),
        ["send.acme.test tok1.ns1.platform.test"],
        "each zone has names of its own"
    );
    assert_eq!(ask("send.acme.test", RecordType::Soa).answer.len(), 1);
    assert_eq!(ask("send.acme.test", RecordType::Mx).answer.len(), 1);
    assert_eq!(data(&ask("_dmarc.mail.other.test", RecordType::Txt)).len(), 1);
    let key = |owner: &str| data(&ask(owner, RecordType::Txt));
    assert_eq!(key("one._domainkey.send.acme.test"), ["one._domainkey.send.acme.test v=DKIM1; p=1"]);
    assert_eq!(key("two._domainkey.mail.other.test"), ["two._domainkey.mail.other.test v=DKIM1; p=2"]);
    assert_eq!(key("a.b._domainkey.send.acme.test"), ["a.b._domainkey.send.acme.test v=DKIM1; p=3"]);
    // Nobody has another's keys.
    let nobody = ask("two._domainkey.send.acme.test", RecordType::Txt);
    assert_eq!(negative(&nobody), (Rcode::NxDomain, "send.acme.test".to_owned()));
    let nothing = (Rcode::NoError, "send.acme.test".to_owned());
    for (owner, record_type) in [
        ("_domainkey.send.acme.test", RecordType::Txt),
        ("b._domainkey.send.acme.test", RecordType::Txt),
        ("one._domainkey.send.acme.test", RecordType::A),
        ("send.acme.test", RecordType::A),
        ("bounce.send.acme.test", RecordType::Ns),
    ] {
        assert_eq!(negative(&ask(owner, record_type)), nothing, "{owner}");
    }
    let missing = (Rcode::NxDomain, "send.acme.test".to_owned());
    for owner in ["www.send.acme.test", "x.one._domainkey.send.acme.test", "one._domainkey.x.send.acme.test"]
    {
        assert_eq!(negative(&ask(owner, RecordType::Txt)), missing, "{owner}");
    }
    // Nothing above a zone is ours, and the servers' names lead to us.
    assert_eq!(ask("acme.test", RecordType::Ns).rcode, Rcode::Refused);
    assert_eq!(data(&ask("tok1.ns1.platform.test", RecordType::A)), ["tok1.ns1.platform.test 192.0.2.1"]);
}

#[test]
fn a_new_key_is_served_with_the_change_of_the_table_and_a_zone_goes_as_a_whole() {
    let shape = shape();
    let mut zones = SubZones::default();
    let apex = name("send.acme.test");
    zones.put(&apex, sub_zone(&shape, "tok1", &["one"], true)).unwrap();
    let before = set(table(&[("one", "v=DKIM1; p=1")]), &zones);
    let text = |set: &ZoneSet| data(&ask(set, "one._domainkey.send.acme.test", RecordType::Txt));
    let after = before.with_keys(2, &name("platform.test"), table(&[("one", "v=DKIM1; p=2")]), 2).unwrap();
    assert_eq!(text(&before), ["one._domainkey.send.acme.test v=DKIM1; p=1"]);
    assert_eq!(text(&after), ["one._domainkey.send.acme.test v=DKIM1; p=2"]);
    let gone = after.with_keys(3, &name("platform.test"), table(&[]), 3).unwrap();
    assert!(text(&gone).is_empty(), "a key that is retired has no text");
    let kept = zones.clone();
    zones.remove(&apex);
    zones.remove(&apex);
    assert_eq!((zones.len(), kept.len()), (0, 1));
    let without = after.clone().with_sub_zones(zones);
    assert_eq!(ask(&without, "send.acme.test", RecordType::Soa).rcode, Rcode::Refused);
    assert_eq!(text(&after).len(), 1, "who holds the set of before has it still");
}

#[test]
fn nobody_gets_names_below_a_zone_that_is_proven() {
    let shape = shape();
    let zones = |upper: bool, lower: bool| {
        let mut zones = SubZones::default();
        zones.put(&name("send.acme.test"), sub_zone(&shape, "tok1", &["one"], upper)).unwrap();
        zones.put(&name("x.send.acme.test"), sub_zone(&shape, "tok2", &["two"], lower)).unwrap();
        set(table(&[("one", "v=DKIM1; p=1"), ("two", "v=DKIM1; p=2")]), &zones)
    };
    let of = |set: &ZoneSet, owner: &str| negative(&ask(set, owner, RecordType::A)).1;
    for name in ["x.send.acme.test", "two._domainkey.x.send.acme.test"] {
        assert_eq!(of(&zones(true, false), name), "send.acme.test");
        assert_eq!(of(&zones(true, true), name), "x.send.acme.test", "one that is proven keeps its own");
    }
    assert_eq!(of(&zones(true, true), "one._domainkey.send.acme.test"), "send.acme.test");
    assert_eq!(of(&zones(true, true), "y.send.acme.test"), "send.acme.test");
    // One that nobody has delegated keeps nobody from theirs.
    assert_eq!(of(&zones(false, true), "two._domainkey.x.send.acme.test"), "x.send.acme.test");
    assert_eq!(of(&zones(false, true), "send.acme.test"), "send.acme.test");
}

#[test]
fn some_of_the_zones_are_those_alone() {
    let shape = shape();
    let mut zones = SubZones::default();
    for apex in ["send.acme.test", "mail.other.test"] {
        zones.put(&name(apex), sub_zone(&shape, "tok1", &["one"], true)).unwrap();
    }
    let some = zones.only(&[name("send.acme.test"), name("nobody.test")].into());
    assert_eq!((some.len(), zones.len()), (1, 2));
    assert!(some.has(&name("Send.acme.test")) && !some.has(&name("mail.other.test")));
    let set = set(table(&[("one", "v=DKIM1; p=1")]), &some);
    assert_eq!(ask(&set, "mail.other.test", RecordType::Soa).rcode, Rcode::Refused);
    assert_eq!(ask(&set, "send.acme.test", RecordType::Soa).answer.len(), 1);
}

#[test]
fn of_a_zone_that_is_not_proven_there_is_nothing_but_the_apex() {
    let mut zones = SubZones::default();
    zones.put(&name("send.acme.test"), sub_zone(&shape(), "tok1", &["one"], false)).unwrap();
    let set = set(table(&[("one", "v=DKIM1; p=1")]), &zones);
    let soa = "send.acme.test".to_owned();
    for record_type in [RecordType::Mx, RecordType::Txt] {
        assert_eq!(negative(&ask(&set, "send.acme.test", record_type)), (Rcode::NoError, soa.clone()));
    }
    for owner in ["_dmarc", "bounce", "one._domainkey", "_domainkey"] {
        let reply = ask(&set, &format!("{owner}.send.acme.test"), RecordType::Txt);
        assert_eq!(negative(&reply), (Rcode::NxDomain, soa.clone()), "{owner}");
    }
    assert_eq!(data(&ask(&set, "send.acme.test", RecordType::Ns)), ["send.acme.test tok1.ns1.platform.test"]);
    assert_eq!(ask(&set, "send.acme.test", RecordType::Soa).answer.len(), 1);
}

#[test]
fn what_cannot_be_shared_is_no_kind() {
    for text in ["www NS ns.elsewhere.test.\n", "* TXT \"x\"\n"] {
        assert!(Shape::new(&zone("any.test", text, false)).is_err(), "{text}");
    }
    let long = "x".repeat(64);
    let keys = [(long.clone(), long)];
    assert!(SubZone::new(&shape(), &[], 300, &keys, true).is_err());
}
