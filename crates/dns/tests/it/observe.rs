//! A whole observation, against two name servers that also play the resolver.

use crate::support::{client, impatient, local_policy, name, serve_two, zone, zones};
use diagnosis::{
    Observation, Plan, Profile, Variables,
    inquiry::Policy,
    observation::{ChainEnd, Exchange, Failure, Outcome, Says, Server},
    view::{Fact, View},
};
use dns::{
    BulkOptions, Client, ClientOptions,
    authority::{Zone, ZoneSet},
    bulk, observe,
};
use futures_util::{StreamExt, stream};
use model::{DomainName, RecordType, Timestamp};
use std::{
    cell::Cell,
    collections::BTreeSet,
    time::{Duration, Instant},
};
use tokio::net::UdpSocket;

fn plan() -> Plan {
    let variables: Variables = [
        ("token1", "tok1"),
        ("token2", "tok2"),
        ("token3", "tok3"),
        ("key1", "AAAA"),
        ("key2", "BBBB"),
        ("key3", "CCCC"),
        ("platform", "send.countersign.test"),
        ("dmarcrua", "dmarc@send.countersign.test"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect();
    diagnosis::plan::plan(&Profile::built_in()[0], &name("acme.test"), &variables).unwrap()
}

const ACME: &str = r#"
    @ NS ns1
    @ NS ns2
    ns1 A 127.0.0.1
    ns2 A 127.0.0.2
    tok1._domainkey CNAME tok1.dkim.send.countersign.test.
    tok2._domainkey CNAME tok2.dkim.send.countersign.test.
    @ TXT "v=spf1 include:spf.send.countersign.test ~all"
    bounce CNAME bounce.send.countersign.test.
    _dmarc TXT "v=DMARC1; p=none"
"#;

fn world(acme: &str) -> ZoneSet {
    let platform = r#"
        @ NS ns1.acme.test.
        tok1.dkim TXT "v=DKIM1; k=rsa; p=AAAA"
        tok2.dkim TXT "v=DKIM1; k=rsa; p=BBBB"
        spf TXT "v=spf1 ip4:192.0.2.0/24 -all"
        bounce MX 10 mx
        bounce TXT "v=spf1 include:spf.send.countersign.test -all"
    "#;
    let zones_of: [Zone; 3] = [
        zone(".", "", false),
        zone("acme.test", acme, false),
        zone("send.countersign.test", platform, false),
    ];
    zones(&zones_of)
}

async fn run(client: &Client, policy: &Policy, deadline: Duration) -> Observation {
    observe(client, &plan(), policy, || Timestamp::UNIX_EPOCH, deadline).await
}

fn target(text: &str) -> DomainName {
    name(text)
}

#[tokio::test]
async fn a_plan_is_observed_from_every_perspective() {
    let (first, second, _silent) = serve_two(|_| world(ACME)).await;
    let policy = local_policy(vec![first.address]);
    let observation = run(&client(), &policy, Duration::from_secs(20)).await;
    assert!(!observation.cut_short);
    for exchange in &observation.exchanges {
        assert!(matches!(exchange.outcome, Outcome::Reply(_)), "{exchange:?}");
        assert_eq!(exchange.at, Timestamp::UNIX_EPOCH);
    }
    for address in [first.address, second.address] {
        let asked = observation.exchanges.iter().any(|exchange| {
            exchange.ask.question.name == name("tok1._domainkey.acme.test")
                && matches!(&exchange.ask.server, Server::Authority { address: a, .. } if *a == address)
        });
        assert!(asked, "{address} was asked as name server");
    }
    let alias = Says::Alias {
        target: target("tok1.dkim.send.countersign.test"),
        at_end: Vec::new(),
        end: ChainEnd::Unseen,
    };
    let view = View::new(&observation);
    let fact = |owner: &str| view.fact(&name(owner), RecordType::Cname);
    assert_eq!(fact("tok1._domainkey.acme.test"), Fact::Agreed(&alias));
    let missing = fact("tok3._domainkey.acme.test");
    assert!(matches!(missing, Fact::Agreed(Says::NxDomain(_))), "{missing:?}");
    let misplaced = name("tok3._domainkey.acme.test.acme.test");
    assert!(observation.of(&misplaced, RecordType::Cname).next().is_some(), "looked for where panels put it");
    // The same world makes the same observation, whatever the order of arrival.
    let spawned = tokio::spawn(async move { run(&client(), &policy, Duration::from_secs(20)).await });
    assert_eq!(spawned.await.unwrap(), observation);
}

#[tokio::test]
async fn servers_that_disagree_are_both_kept() {
    let stale = ACME.replace("tok1.dkim.send", "old.dkim.send");
    let (first, _second, _silent) = serve_two(|server| world([ACME, &stale][server])).await;
    let policy = local_policy(vec![first.address]);
    let observation = run(&client(), &policy, Duration::from_secs(20)).await;
    let view = View::new(&observation);
    let seen = view.fact(&name("tok1._domainkey.acme.test"), RecordType::Cname);
    assert!(matches!(&seen, Fact::Disagreed(says) if says.len() == 2), "{seen:?}");
}

#[tokio::test]
async fn a_silent_name_server_is_given_up_after_its_timeouts() {
    let allowed = usize::try_from(Client::TIMEOUTS_ALLOWED).unwrap();
    let acme = ACME.replace("ns1 A 127.0.0.1", "ns1 A 127.0.0.3");
    for (window, tries) in [(1, 1), (1, 2), (3, 1)] {
        let (first, _second, socket) = serve_two(|_| world(&acme)).await;
        let silent = socket.local_addr().unwrap();
        let timeout = Duration::from_millis(300);
        let options = ClientOptions { timeout, tries, window, ..Default::default() };
        let policy = local_policy(vec![first.address]);
        let observation = run(&Client::new(options), &policy, Duration::from_secs(20)).await;
        let asked = observation.exchanges.iter().filter(|e| e.ask.server.address() == silent);
        assert!(asked.clone().all(|exchange| exchange.outcome == Outcome::Failure(Failure::Timeout)));
        let (mut packets, mut questions) = (0, BTreeSet::new());
        let mut packet = [0; 512];
        while let Ok((length, _)) = socket.try_recv_from(&mut packet) {
            packets += 1;
            // Without the id and, since names change their case between tries, in small letters.
            questions.insert(packet[12..length].to_ascii_lowercase());
        }
        // What was open at once when the last of those timeouts came has been put as well, and nothing after it.
        let most = allowed + window - 1;
        assert!((allowed..=most).contains(&questions.len()), "{} questions, {most} at most", questions.len());
        assert!(packets <= most * tries as usize, "{packets} packets in {tries} tries each");
        let count = asked.count();
        assert!(count > most, "more would have been asked: {count}");
        assert!(matches!(
            View::new(&observation).fact(&name("bounce.acme.test"), RecordType::Cname),
            Fact::Agreed(Says::Alias { .. })
        ));
    }
}

#[tokio::test]
async fn the_deadline_holds_and_open_questions_count_as_timed_out() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let policy = local_policy(vec![silent.local_addr().unwrap()]);
    let started = Instant::now();
    let observation = run(&client(), &policy, Duration::from_millis(150)).await;
    assert!(started.elapsed() < Duration::from_secs(2));
    assert!(observation.cut_short);
    assert!(!observation.exchanges.is_empty());
    assert!(observation.exchanges.iter().all(|e| e.outcome == Outcome::Failure(Failure::Timeout)));
}

#[tokio::test]
async fn a_bound_on_questions_is_told() {
    let (first, _second, _silent) = serve_two(|_| world(ACME)).await;
    let policy = Policy { max_asks: 20, ..local_policy(vec![first.address]) };
    let observation = run(&impatient(), &policy, Duration::from_secs(20)).await;
    assert_eq!((observation.exchanges.len(), observation.cut_short), (20, true));
}

/// A domain with so many octets of text at every name.
fn huge(octets: usize) -> ZoneSet {
    let string = format!("\"{}\" ", "x".repeat(250));
    let text = string.repeat(octets / 250);
    world(&format!("@ NS ns1\n@ NS ns2\nns1 A 127.0.0.1\nns2 A 127.0.0.2\n* TXT {text}\n@ TXT {text}"))
}

#[tokio::test]
async fn huge_answers_end_an_inquiry_before_they_fill_the_memory() {
    let (first, _second, _silent) = serve_two(|_| huge(60_000)).await;
    let policy = Policy { max_octets: 300_000, ..local_policy(vec![first.address]) };
    let observation = run(&client(), &policy, Duration::from_secs(20)).await;
    assert!(observation.cut_short);
    assert!(observation.octets() <= 300_000, "{}", observation.octets());
    let is_full = |exchange: &&Exchange| exchange.outcome == Outcome::Failure(Failure::TooMuch);
    assert!(observation.exchanges.iter().any(|exchange| is_full(&&**exchange)));
    let report = diagnosis::diagnose(&plan(), &observation, Timestamp::UNIX_EPOCH);
    assert!(report.findings.iter().any(|finding| finding.code() == "inquiry_cut_short"), "{report:?}");
    // With room for it, nothing is left out, and the usual bound is that room.
    let policy = local_policy(vec![first.address]);
    assert_eq!(policy.max_octets, 4 << 20);
    let observation = run(&client(), &policy, Duration::from_secs(20)).await;
    assert!((300_000..=4 << 20).contains(&observation.octets()), "{}", observation.octets());
}

#[tokio::test]
async fn many_plans_are_observed_as_one_is() {
    let (first, _second, _silent) = serve_two(|_| world(ACME)).await;
    let policy = local_policy(vec![first.address]);
    let client = client();
    let one = run(&client, &policy, Duration::from_secs(20)).await;
    let options = BulkOptions { concurrent: 4, deadline: Duration::from_secs(20) };
    let plans = stream::iter((0..20).map(|_| plan()));
    let observed: Vec<_> = bulk(&client, plans, &policy, || Timestamp::UNIX_EPOCH, &options).collect().await;
    assert_eq!(observed.len(), 20);
    for observed in observed {
        assert_eq!((observed.plan, &observed.observation), (plan(), &one));
    }
}

/// How many plans are begun by the time at which the first one is done, on a server that answers nobody.
async fn begun_at_first(window: usize) -> usize {
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let policy = local_policy(vec![silent.local_addr().unwrap()]);
    let options = ClientOptions { window, timeout: Duration::from_millis(100), ..ClientOptions::default() };
    let client = Client::new(options);
    let begun = Cell::new(0);
    let plans = stream::iter(0..60).map(|number| {
        begun.set(begun.get() + 1);
        diagnosis::plan::audit(&name(&format!("d{number}.test")), &[])
    });
    let options = BulkOptions { concurrent: 50, deadline: Duration::from_millis(400) };
    let mut observed = std::pin::pin!(bulk(&client, plans, &policy, || Timestamp::UNIX_EPOCH, &options));
    observed.next().await.unwrap();
    let at_first = begun.get();
    assert_eq!(observed.count().await, 59, "all of them come to an end");
    at_first
}

#[tokio::test]
async fn no_more_plans_are_begun_where_they_would_only_wait_for_the_server() {
    assert_eq!(begun_at_first(1024).await, 50);
    let crowded = begun_at_first(4).await;
    assert!((20..30).contains(&crowded), "{crowded}");
}
