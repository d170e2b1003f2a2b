//! Answers for evaluations.

use crate::support::{client, impatient, question, serve, zone, zones};
use dns::authority::ZoneSet;
use mail::lookup::Answer;
use model::{RecordData, RecordType, TxtData};
use tokio::net::UdpSocket;

fn world() -> ZoneSet {
    zones(&[
        zone(".", "", false),
        zone("acme.test", "@ TXT \"v=spf1 -all\"\nalias CNAME @\nlost CNAME none.acme.test.", false),
    ])
}

fn spf() -> Answer {
    Answer::Records(vec![RecordData::Txt(TxtData::from_text("v=spf1 -all"))])
}

#[tokio::test]
async fn every_question_gets_its_answer_once_and_in_order() {
    let server = serve("127.0.0.1:0", world()).await;
    let asked = [
        question("alias.acme.test", RecordType::Txt),
        question("acme.test", RecordType::Txt),
        question("acme.test", RecordType::Mx),
        question("none.acme.test", RecordType::Txt),
        question("acme.test", RecordType::Txt),
        question("lost.acme.test", RecordType::Txt),
        question("alias.acme.test", RecordType::Mx),
        question("alias.acme.test", RecordType::Cname),
        question("elsewhere.example", RecordType::Txt),
    ];
    let resolvers = [server.address];
    let needed = asked.clone();
    // On a task of its own, as the background tasks do it.
    let answers = tokio::spawn(async move { client().resolve_needed(&resolvers, &needed).await });
    let answers = answers.await.unwrap();
    let alias = Answer::Records(vec![RecordData::Cname("acme.test".parse().unwrap())]);
    let expected = [
        (0, spf()),
        (1, spf()),
        (2, Answer::NoData),
        (3, Answer::NxDomain),
        (5, Answer::NxDomain),
        (6, Answer::NoData),
        (7, alias),
        (8, Answer::NxDomain),
    ]
    .map(|(index, answer)| (asked[index].clone(), answer));
    assert_eq!(answers, expected);
}

#[tokio::test]
async fn a_resolver_that_fails_or_is_slow_is_passed_over() {
    let refusing = serve("127.0.0.1:0", ZoneSet::default()).await;
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let good = serve("127.0.0.1:0", world()).await;
    let txt = question("acme.test", RecordType::Txt);
    assert_eq!(client().resolve(&[refusing.address, good.address], &txt).await, spf());
    assert_eq!(client().resolve(&[silent.local_addr().unwrap(), good.address], &txt).await, spf());
}

#[tokio::test]
async fn when_all_fail_each_is_named_with_its_reason() {
    let refusing = serve("127.0.0.1:0", ZoneSet::default()).await;
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let silent = silent.local_addr().map(|address| (silent, address)).unwrap();
    let txt = question("acme.test", RecordType::Txt);
    let answer = impatient().resolve(&[refusing.address, silent.1], &txt).await;
    let expected =
        format!("{}: REFUSED, extended error 20; {}: no answer in time", refusing.address, silent.1);
    assert_eq!(answer, Answer::TempError(expected));
    assert!(matches!(client().resolve(&[], &txt).await, Answer::TempError(_)));
}
