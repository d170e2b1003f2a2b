//! Which names are everybody's: what a stranger may have asked of an operator's resolvers, and hear of their answers.
//!
//! A resolver inside of a network knows names of that network, and reverse names of its private addresses. A stranger
//! who chooses what is asked, or whose records lead to the next question, must learn nothing of them.

use diagnosis::{
    inquiry::is_public,
    observation::{Rcode, Reply},
};
use model::{DomainName, RecordData, RecordType};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether a name can be in the public DNS: the root, and what is under a public suffix, but for the reverse names of
/// addresses that are not public, and for `home.arpa`, which is each home's own (RFC 8375).
pub fn is_public_name(name: &DomainName) -> bool {
    name.is_root() || name.has_known_suffix() && !is_private_part_of_arpa(name)
}

fn is_private_part_of_arpa(name: &DomainName) -> bool {
    let mut labels = name.labels().rev();
    if labels.next() != Some("arpa") {
        return false;
    }
    match labels.next() {
        Some("home") => true,
        Some("in-addr") => {
            let known: Vec<u8> = labels.take(4).map_while(|label| label.parse().ok()).collect();
            let filled = |rest: u8| {
                let octet = |index: usize| known.get(index).copied().unwrap_or(rest);
                is_public(IpAddr::V4(Ipv4Addr::new(octet(0), octet(1), octet(2), octet(3))))
            };
            !known.is_empty() && !filled(0) && !filled(u8::MAX)
        }
        Some("ip6") => {
            let nibble = |label: &str| (label.len() == 1).then(|| u128::from_str_radix(label, 16).ok())?;
            let known: Vec<u128> = labels.take(32).map_while(nibble).collect();
            let filled = |rest: u128| {
                let bits =
                    (0..32).fold(0, |bits, index| bits << 4 | known.get(index).copied().unwrap_or(rest));
                is_public(IpAddr::V6(Ipv6Addr::from_bits(bits)))
            };
            !known.is_empty() && !filled(0) && !filled(15)
        }
        _ => false,
    }
}

/// Takes out of a reply what is known of names that are not public. An alias may lead to one, and a resolver follows
/// it by itself: to the public nothing is there, so that is the answer, whether the network has such a name or not.
pub(crate) fn as_in_public(asked: RecordType, reply: &mut Reply) {
    let leads_inside =
        |data: &RecordData| matches!(data, RecordData::Cname(target) if !is_public_name(target));
    for section in [&mut reply.answer, &mut reply.authority, &mut reply.additional] {
        section.retain(|record| is_public_name(&record.owner));
    }
    // An alias that is asked for is not followed.
    if asked == RecordType::Cname {
        return;
    }
    let Some(last) = reply.answer.iter().find(|record| leads_inside(&record.data)).cloned() else { return };
    // What lies behind may be public again, and would tell that the way there is known.
    let mut way = vec![last];
    while let Some(before) = reply.answer.iter().find(
        |record| matches!(&record.data, RecordData::Cname(target) if way.last().is_some_and(|next| *target == next.owner)),
    ) && way.len() < reply.answer.len()
    {
        way.push(before.clone());
    }
    way.reverse();
    *reply =
        Reply { rcode: Rcode::NxDomain, authoritative: reply.authoritative, answer: way, ..Reply::default() };
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Record;

    fn name(text: &str) -> DomainName {
        DomainName::parse(text).unwrap()
    }

    #[test]
    fn names_of_the_operator_s_network_are_told_from_public_ones() {
        assert!(is_public_name(&DomainName::root()));
        for public in [
            "com",
            "a.example.com",
            "arpa",
            "in-addr.arpa",
            "ip6.arpa",
            "192.in-addr.arpa",
            "172.in-addr.arpa",
            "100.in-addr.arpa",
            "8.8.8.8.in-addr.arpa",
            "1.0-127.9.9.9.in-addr.arpa",
            "2.ip6.arpa",
            "1.0.0.2.ip6.arpa",
            "0.0.7.4.1.0.0.2.ip6.arpa",
        ] {
            assert!(is_public_name(&name(public)), "{public}");
        }
        for private in [
            "db.corp",
            "localhost",
            "router.home.arpa",
            "10.in-addr.arpa",
            "3.2.1.10.in-addr.arpa",
            "_dmarc.1.10.in-addr.arpa",
            "x.1.0.0.127.in-addr.arpa",
            "168.192.in-addr.arpa",
            "16.172.in-addr.arpa",
            "64.100.in-addr.arpa",
            "d.f.ip6.arpa",
            "0.8.e.f.ip6.arpa",
        ] {
            assert!(!is_public_name(&name(private)), "{private}");
        }
    }

    #[test]
    fn an_alias_into_the_network_ends_in_nothing() {
        let record = |owner: &str, data: RecordData| Record { owner: name(owner), ttl: 60, data };
        let alias = record("www.example.com", RecordData::Cname(name("db.corp")));
        let inside = record("db.corp", RecordData::A(Ipv4Addr::new(10, 1, 2, 3)));
        let mut there = Reply { answer: vec![alias.clone(), inside], ..Reply::default() };
        let authority = vec![record("corp", RecordData::Ns(name("ns.corp")))];
        let mut gone =
            Reply { rcode: Rcode::NxDomain, answer: vec![alias.clone()], authority, ..Reply::default() };
        as_in_public(RecordType::A, &mut there);
        as_in_public(RecordType::A, &mut gone);
        assert_eq!(there, gone);
        assert_eq!(there, Reply { rcode: Rcode::NxDomain, answer: vec![alias.clone()], ..Reply::default() });
        // The way goes on behind the network's name, to a public one again.
        let back = record("db.corp", RecordData::Cname(name("x.example.net")));
        let end = record("x.example.net", RecordData::A(Ipv4Addr::new(9, 9, 9, 9)));
        let first = record("a.example.com", RecordData::Cname(name("www.example.com")));
        let mut around = Reply { answer: vec![first.clone(), alias.clone(), back, end], ..Reply::default() };
        as_in_public(RecordType::A, &mut around);
        assert_eq!((around.rcode, around.answer), (Rcode::NxDomain, vec![first, alias.clone()]));
        let mut asked_for = Reply { answer: vec![alias.clone()], ..Reply::default() };
        as_in_public(RecordType::Cname, &mut asked_for);
        assert_eq!(asked_for.rcode, Rcode::NoError, "the alias itself is there");
        let right = record("www.example.com", RecordData::A(Ipv4Addr::new(9, 9, 9, 9)));
        let mut public = Reply { answer: vec![right], authentic_data: true, ..Reply::default() };
        let before = public.clone();
        as_in_public(RecordType::A, &mut public);
        assert_eq!(public, before);
    }
}
