//! What is a proof, and what is none.

use super::*;
use diagnosis::observation::{Ask, Exchange, Failure, Outcome, Question, Rcode, Reply};
use model::{DomainId, Record, Soa, TxtData};
use std::sync::Arc;
use store::ClaimEnd;

const TOKEN: &str = "abcdefghijklmnopqrstuvwxyz234567";

fn name(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

fn at(minutes: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + minutes * 60).unwrap()
}

fn owner() -> DomainName {
    name("_countersign-claim.mail.acme.test")
}

/// What one name server says of the record.
#[derive(Clone)]
enum Told {
    Texts(Vec<String>),
    Alias,
    Nothing,
    Silent,
    Lame,
}

fn right() -> Told {
    Told::Texts(vec!["something else".to_owned(), text_of(TOKEN)])
}

fn outcome(told: &Told, at: &DomainName) -> Outcome {
    let record = |data| Record { owner: at.clone(), ttl: 60, data };
    let reply = |answer, rcode| Reply { rcode, authoritative: true, answer, ..Reply::default() };
    Outcome::Reply(match told {
        Told::Texts(texts) => {
            let data = texts.iter().map(|text| record(RecordData::Txt(TxtData::from_text(text))));
            reply(data.collect(), Rcode::NoError)
        }
        Told::Alias => reply(vec![record(RecordData::Cname(name("x.other.test")))], Rcode::NoError),
        Told::Nothing => reply(Vec::new(), Rcode::NxDomain),
        Told::Lame => Reply { rcode: Rcode::Refused, ..Reply::default() },
        Told::Silent => return Outcome::Failure(Failure::Timeout),
    })
}

/// Two name servers, and the zone that the record's own name is in.
fn observation(told: &[Told; 2], cut: &str) -> Observation {
    let resolver = Server::Resolver { address: "192.0.2.1:53".parse().unwrap() };
    let zone = name("acme.test");
    let soa = RecordData::Soa(Soa {
        mname: name("ns1.acme.test"),
        rname: name("x.acme.test"),
        serial: 1,
        refresh: 1,
        retry: 1,
        expire: 1,
        minimum: 1,
    });
    let mut exchanges = Vec::new();
    let mut push = |question: (&DomainName, RecordType), server: &Server, outcome| {
        let question = Question { name: question.0.clone(), record_type: question.1 };
        let ask = Ask::new(question, server.clone());
        exchanges.push(Arc::new(Exchange { ask, at: at(0), outcome }));
    };
    for (asked, apex) in [(name("mail.acme.test"), "acme.test"), (owner(), cut)] {
        let authority = vec![Record { owner: name(apex), ttl: 60, data: soa.clone() }];
        let reply = Reply { authority, ..Reply::default() };
        push((&asked, RecordType::Soa), &resolver, Outcome::Reply(reply));
    }
    let servers = [name("ns1.acme.test"), name("ns2.acme.test")];
    let answer = servers.iter().map(|server| Record {
        owner: zone.clone(),
        ttl: 60,
        data: RecordData::Ns(server.clone()),
    });
    let reply = Reply { answer: answer.collect(), ..Reply::default() };
    push((&zone, RecordType::Ns), &resolver, Outcome::Reply(reply));
    for ((server, told), address) in servers.iter().zip(told).zip(["192.0.2.11:53", "192.0.2.12:53"]) {
        let address = address.parse().unwrap();
        let server = Server::Authority { zone: zone.clone(), name: server.clone(), address };
        push((&owner(), RecordType::Txt), &server, outcome(told, &owner()));
    }
    Observation { exchanges, ..Observation::default() }
}

#[expect(clippy::needless_pass_by_value, reason = "each is written out")]
fn found(told: [Told; 2]) -> Found {
    found_beside(&told, &[Says::NxDomain(60)])
}

fn found_beside(told: &[Told; 2], beside: &[Says]) -> Found {
    judge(&observation(told, "acme.test"), &name("mail.acme.test"), &owner(), TOKEN, 8, beside)
}

#[test]
fn only_the_text_itself_at_every_name_server_is_a_proof() {
    let other = || Told::Texts(vec!["countersign-claim=of-somebody-else".to_owned()]);
    assert_eq!(found([right(), right()]), Found::Seen);
    assert_eq!(found([Told::Nothing, Told::Nothing]), Found::Missing);
    assert_eq!(found([other(), Told::Nothing]), Found::OtherText);
    assert_eq!(found([right(), Told::Nothing]), Found::NotEverywhere);
    assert_eq!(found([right(), other()]), Found::NotEverywhere);
    for broken in [Told::Silent, Told::Lame] {
        assert_eq!(found([right(), broken.clone()]), Found::Unanswered);
        assert_eq!(found([broken.clone(), broken]), Found::Unanswered);
    }
    // An alias leads to what somebody else writes, at whichever server it is.
    assert_eq!(found([Told::Alias, Told::Alias]), Found::Alias);
    assert_eq!(found([right(), Told::Alias]), Found::Alias);
}

#[test]
fn wildcards_and_zones_below_are_no_proof() {
    let text = |text: &str| Says::Records(vec![RecordData::Txt(TxtData::from_text(text))]);
    assert_eq!(
        found_beside(&[right(), right()], &[Says::NxDomain(60), text(&text_of(TOKEN))]),
        Found::Wildcard
    );
    assert_eq!(found_beside(&[right(), right()], &[text("any")]), Found::Seen, "a wildcard of another text");
    for silent in [vec![], vec![Says::Nothing("no answer in time".to_owned())]] {
        assert_eq!(found_beside(&[right(), right()], &silent), Found::Unanswered);
    }
    let below = observation(&[right(), right()], "_countersign-claim.mail.acme.test");
    let beside = [Says::NxDomain(60)];
    assert_eq!(judge(&below, &name("mail.acme.test"), &owner(), TOKEN, 8, &beside), Found::OwnZone);
    let nothing = Observation::default();
    assert_eq!(judge(&nothing, &name("mail.acme.test"), &owner(), TOKEN, 8, &beside), Found::Unanswered);
}

fn claim(first_seen_at: Option<Timestamp>) -> DomainClaim {
    DomainClaim {
        domain_id: DomainId::from_parts(1, 1),
        name: name("mail.acme.test"),
        holder_id: DomainId::from_parts(1, 2),
        token: TOKEN.to_owned(),
        version: 1,
        created_at: at(0),
        expires_at: at(7 * 24 * 60),
        first_seen_at,
        looked_at: None,
        found: None,
        next_look_at: None,
        ended_at: None,
        outcome: None::<ClaimEnd>,
    }
}

#[test]
fn a_proof_is_seen_twice_some_minutes_apart() {
    let first = next(&claim(None), Found::Seen, at(5));
    assert_eq!(first, Next::Again { first_seen_at: Some(at(5)), at: at(15) });
    let seen = claim(Some(at(5)));
    assert_eq!(next(&seen, Found::Seen, at(14)), Next::Again { first_seen_at: Some(at(5)), at: at(15) });
    assert_eq!(next(&seen, Found::Seen, at(15)), Next::Proven);
    // No answer proves nothing and takes nothing back; what is certainly not there begins anew.
    for found in Found::ALL {
        let Next::Again { first_seen_at, at: later } = next(&seen, found, at(14)) else {
            panic!("{found:?}")
        };
        let keeps = matches!(found, Found::Seen | Found::Unanswered);
        assert_eq!(first_seen_at.is_some(), keeps, "{found:?}");
        assert!(later > at(14));
        assert_eq!(Found::from_word(found.as_str()), Some(found));
    }
}

#[test]
fn a_claim_ends_with_its_time_whatever_is_seen() {
    let end = 7 * 24 * 60;
    for found in Found::ALL {
        assert_eq!(next(&claim(Some(at(5))), found, at(end)), Next::Expired);
    }
    let Next::Again { at: last, .. } = next(&claim(None), Found::Missing, at(end - 5)) else { panic!() };
    assert_eq!(last, at(end), "it is looked at once more when it ends");
}
