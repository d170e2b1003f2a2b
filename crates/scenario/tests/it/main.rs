//! The DNS in memory: what a scenario's text means. Real servers are held against it by the tests of `dns`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod readme;

use diagnosis::observation::{Ask, Failure, Outcome, Question, Rcode, Reply, Server};
use model::{DomainName, RecordData, RecordType};
use scenario::{FakeDns, Scenario};
use std::net::{IpAddr, SocketAddr};

fn name(text: &str) -> DomainName {
    if text == "." { DomainName::root() } else { DomainName::parse(text).unwrap() }
}

fn scenario(more: &str) -> Scenario {
    let head = "title = \"\"\ndomain = \"acme.test\"\nprofile = \"audit\"\n";
    let expect = "[expect]\nverdict = \"pass\"\nfindings = []\nforbidden = []\n";
    Scenario::parse("test", &format!("{head}{more}\n{expect}"))
}

fn zone(records: &str) -> String {
    format!(
        "[[zone]]\napex = \"acme.test\"\nservers = [\"ns1.acme.test 127.0.1.1\"]\nrecords = '''\n{records}'''\n"
    )
}

fn ask(dns: &FakeDns, at: &str, owner: &str, record_type: RecordType) -> Outcome {
    let ip: IpAddr = at.parse().unwrap();
    let address = SocketAddr::new(ip, 53);
    let server = if dns.is_resolver(ip) {
        Server::Resolver { address }
    } else {
        Server::Authority { zone: name("acme.test"), name: name("ns1.acme.test"), address }
    };
    dns.answer(&Ask::new(Question { name: name(owner), record_type }, server))
}

fn reply(more: &str, at: &str, owner: &str, record_type: RecordType) -> Reply {
    match ask(&FakeDns::new(&scenario(more)), at, owner, record_type) {
        Outcome::Reply(reply) => reply,
        Outcome::Failure(failure) => panic!("{failure}"),
    }
}

fn values(reply: &Reply) -> Vec<String> {
    reply.answer.iter().map(|record| format!("{} {}", record.owner, record.data)).collect()
}

const AUTHORITY: &str = "127.0.1.1";
const RESOLVER: &str = "127.0.0.53";

#[test]
fn a_wildcard_covers_what_does_not_exist_and_nothing_else() {
    // The example of RFC 4592 §2.2.1, without its delegation and its lower wildcard.
    let text = zone(
        "* 3600 TXT \"this is a wildcard\"\n* MX 10 host1\nhost1 A 192.0.2.1\n\
         _ssh._tcp.host1 PTR x\n",
    );
    let at = |owner, record_type| reply(&text, AUTHORITY, owner, record_type);
    assert_eq!(values(&at("host3.acme.test", RecordType::Mx)), ["host3.acme.test 10 host1.acme.test"]);
    assert_eq!(at("host3.acme.test", RecordType::A).rcode, Rcode::NoError);
    assert_eq!(values(&at("foo.bar.acme.test", RecordType::Txt)).len(), 1);
    assert!(at("host1.acme.test", RecordType::Mx).answer.is_empty());
    assert_eq!(at("_telnet._tcp.host1.acme.test", RecordType::Mx).rcode, Rcode::NxDomain);
    let empty = at("_tcp.host1.acme.test", RecordType::Mx);
    assert_eq!((empty.rcode, empty.answer.len()), (Rcode::NoError, 0));
}

#[test]
fn aliases_are_followed_inside_of_the_zone_by_servers_and_beyond_it_by_resolvers() {
    let text = zone("a CNAME b\nb CNAME tok1.dkim.send.example.net.\n");
    assert_eq!(reply(&text, AUTHORITY, "a.acme.test", RecordType::Txt).answer.len(), 2);
    assert_eq!(reply(&text, RESOLVER, "a.acme.test", RecordType::Txt).answer.len(), 3);
    assert_eq!(reply(&text, RESOLVER, "a.acme.test", RecordType::Cname).answer.len(), 1);
}

#[test]
fn a_parent_refers_to_the_servers_it_lists_whatever_the_child_says() {
    let text = zone("@ TXT \"new\"\n")
        .replace("records", "delegation = [\"ns1.old.test 127.0.1.9\"]\nrecords")
        + "[[fault]]\naddress = \"127.0.1.9\"\nkind = \"records\"\nrecords = '@ TXT \"old\"'\n";
    let referral = reply(&text, "127.0.4.1", "acme.test", RecordType::Txt);
    assert!(!referral.authoritative && referral.answer.is_empty());
    assert_eq!(referral.authority[0].data, RecordData::Ns(name("ns1.old.test")));
    assert_eq!(values(&reply(&text, AUTHORITY, "acme.test", RecordType::Txt)), ["acme.test new"]);
    assert_eq!(values(&reply(&text, RESOLVER, "acme.test", RecordType::Txt)), ["acme.test old"]);
}

#[test]
fn a_resolver_says_servfail_where_no_server_gives_a_usable_answer() {
    for kind in ["refused", "servfail", "timeout", "not_authoritative", "upward_referral", "malformed"] {
        let text =
            zone("@ TXT \"x\"\n") + &format!("[[fault]]\naddress = \"{AUTHORITY}\"\nkind = \"{kind}\"\n");
        assert_eq!(reply(&text, RESOLVER, "acme.test", RecordType::Txt).rcode, Rcode::ServFail, "{kind}");
    }
}

#[test]
fn a_fault_can_be_for_one_name_or_one_type_only() {
    let text = zone("@ TXT \"x\"\n@ MX 10 mx\n")
        + &format!("[[fault]]\naddress = \"{AUTHORITY}\"\nkind = \"timeout\"\ntype = \"TXT\"\n");
    let dns = FakeDns::new(&scenario(&text));
    assert_eq!(ask(&dns, AUTHORITY, "acme.test", RecordType::Txt), Outcome::Failure(Failure::Timeout));
    assert!(matches!(ask(&dns, AUTHORITY, "acme.test", RecordType::Mx), Outcome::Reply(_)));
}

#[test]
fn lines_repeat_over_ranges_and_texts_hold_any_octet() {
    let text = zone("c{1..3} CNAME c{2..4}\nbig TXT \"{x*300}\"\nodd TXT \"a\\\"b\\\\c\\200\"\n");
    assert_eq!(reply(&text, AUTHORITY, "c1.acme.test", RecordType::A).answer.len(), 3);
    let big = reply(&text, AUTHORITY, "big.acme.test", RecordType::Txt);
    let RecordData::Txt(big) = &big.answer[0].data else { panic!() };
    assert_eq!(big.strings().map(<[u8]>::len).collect::<Vec<_>>(), [255, 45]);
    let odd = reply(&text, AUTHORITY, "odd.acme.test", RecordType::Txt);
    let RecordData::Txt(odd) = &odd.answer[0].data else { panic!() };
    assert!(odd.strings().eq([b"a\"b\\c\xc8"]));
}

#[test]
fn a_bogus_zone_is_seen_with_checking_disabled_only() {
    let text = zone("@ TXT \"x\"\n").replace("records", "dnssec = \"bogus\"\nrecords");
    let dns = FakeDns::new(&scenario(&text));
    let question = Question { name: name("acme.test"), record_type: RecordType::Txt };
    let server = Server::Resolver { address: SocketAddr::new(RESOLVER.parse().unwrap(), 53) };
    let checked = Ask::new(question, server);
    let unchecked = Ask { checking_disabled: true, ..checked.clone() };
    let (Outcome::Reply(checked), Outcome::Reply(unchecked)) = (dns.answer(&checked), dns.answer(&unchecked))
    else {
        panic!("no answer")
    };
    assert_eq!((checked.rcode, checked.extended_error.unwrap().code), (Rcode::ServFail, 6));
    assert_eq!(values(&unchecked), ["acme.test x"]);
}

#[test]
#[should_panic(expected = "unknown field `adress`")]
fn a_slip_in_a_file_is_an_error_with_its_place() {
    scenario("[[fault]]\nadress = \"127.0.1.1\"\nkind = \"timeout\"\n");
}
