//! Route 53, against the strict fake; and over the wire against moto, which does not keep its rules.

use crate::{
    servers,
    suite::{
        self, Content, Host, ZONE, apply, cname, conforms, name, ours, record, remove, replace, seed, txt,
    },
};
use fake_hosts::{
    Cut, Fault, Plain,
    route53::{Key, Route53 as Fake, Set},
};
use model::{Caa, DomainName, Record, RecordData, Srv, TxtData};
use providers::{Route53, Secret};
use publish::{
    Action, Done, HostError, Kept, Refusal, Right, Why, ZoneProvider,
    http::{Exchange as _, HttpRequest},
};
use std::sync::Arc;

const ID: &str = "AKIDEXAMPLE";
/// Searched for in all that is told.
const SECRET: &str = "s3cr3t+of/the+customer/0123456789";
const NOW: u64 = 1_800_000_000;

struct Account {
    fake: Fake,
    way: Plain,
}

fn key() -> Key {
    Key { secret: SECRET.to_owned(), session_token: None, lists_zones: true, reads: true, writes: true }
}

fn start() -> Account {
    let fake = Fake::start().unwrap();
    fake.key(ID, key());
    fake.zone(ZONE, true);
    fake.zone(ZONE, false);
    fake.zone("acme.testing", false);
    let account = Account { way: Plain::new(fake.address()), fake };
    for record in seed() {
        account.write(&record, true);
    }
    account
}

fn provider(way: &Plain, id: &str, secret: &str, token: Option<&str>) -> Route53 {
    let kept = |text: &str| Secret::new(text.to_owned());
    Route53::new(Box::new(way.clone()), id.to_owned(), kept(secret), token.map(kept), Arc::new(|| NOW))
}

impl Account {
    fn write(&self, record: &Record, is_there: bool) {
        let (owner, kind) = (escaped_name(&record.owner), record.data.record_type().to_string());
        let sets = self.fake.sets(ZONE);
        let old = sets.into_iter().find(|set| set.name == owner && set.kind == kind);
        let empty =
            Set { name: owner, kind, ttl: record.ttl, values: Vec::new(), alias: None, identifier: None };
        let mut set = old.unwrap_or(empty);
        set.values.retain(|value| *value != value_of(&record.data));
        if is_there {
            set.values.push(value_of(&record.data));
        }
        self.fake.put(ZONE, set);
    }
}

impl Host for Account {
    fn provider(&self) -> Box<dyn ZoneProvider> {
        Box::new(provider(&self.way, ID, SECRET, None))
    }
    async fn content(&self) -> Content {
        let sets = self.fake.sets(ZONE);
        let each =
            sets.iter().flat_map(|set| set.values.iter().map(|value| read(&set.name, &set.kind, value)));
        let records: Vec<_> = each.collect();
        let content: Content = records.iter().cloned().collect();
        assert_eq!(content.len(), records.len(), "none twice");
        content
    }
    async fn put(&self, record: &Record) {
        self.write(record, true);
    }
    async fn take(&self, record: &Record) {
        self.write(record, false);
    }
    fn cut(&self, after: usize, cut: Cut) {
        self.way.cut(after, cut);
    }
    fn is_to_cut(&self) -> bool {
        self.way.is_to_cut()
    }
    fn mend(&self) {
        self.way.mend();
    }
    fn writes(&self) -> usize {
        self.way.writes()
    }
}

fn escaped_name(name: &DomainName) -> String {
    name.absolute().replace('*', "\\052")
}

fn value_of(data: &RecordData) -> String {
    match data {
        RecordData::Cname(name) | RecordData::Ns(name) => escaped_name(name),
        RecordData::Mx { preference, exchange } => format!("{preference} {}", exchange.absolute()),
        RecordData::Txt(text) => {
            let string = |string: &[u8]| {
                let octet = |&octet: &u8| match octet {
                    b'"' | b'\\' => format!("\\{}", char::from(octet)),
                    b' '..=b'~' => char::from(octet).to_string(),
                    _ => format!("\\{octet:03o}"),
                };
                format!("\"{}\"", string.iter().map(octet).collect::<String>())
            };
            text.strings().map(string).collect::<Vec<_>>().join(" ")
        }
        data => match Srv::from_data(data) {
            Some(srv) => format!("{} {} {} {}", srv.priority, srv.weight, srv.port, srv.target.absolute()),
            None => data.to_string(),
        },
    }
}

fn read(owner: &str, kind: &str, value: &str) -> (DomainName, RecordData) {
    let name = |text: &str| {
        if text == "." { DomainName::root() } else { DomainName::parse(&text.replace("\\052", "*")).unwrap() }
    };
    let words: Vec<&str> = value.split(' ').collect();
    let number = |at: usize| words[at].parse::<u16>().unwrap();
    let data = match kind {
        "A" => RecordData::A(value.parse().unwrap()),
        "AAAA" => RecordData::Aaaa(value.parse().unwrap()),
        "CNAME" => RecordData::Cname(name(value)),
        "NS" => RecordData::Ns(name(value)),
        "MX" => RecordData::Mx { preference: number(0), exchange: name(words[1]) },
        "SRV" => {
            let (priority, weight, port) = (number(0), number(1), number(2));
            Srv { priority, weight, port, target: name(words[3]) }.to_data()
        }
        "CAA" => Caa::parse(value).unwrap().to_data(),
        _ => RecordData::Txt(strings(value)),
    };
    (name(owner), data)
}

fn strings(value: &str) -> TxtData {
    let mut strings: Vec<Vec<u8>> = Vec::new();
    let mut octets = value.bytes();
    while let Some(octet) = octets.next() {
        if octet != b'"' {
            continue;
        }
        let mut string = Vec::new();
        loop {
            match octets.next().unwrap() {
                b'"' => break,
                b'\\' => match octets.next().unwrap() {
                    digit @ b'0'..=b'7' => {
                        let digits = [digit, octets.next().unwrap(), octets.next().unwrap()];
                        string.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 8).unwrap());
                    }
                    other => string.push(other),
                },
                other => string.push(other),
            }
        }
        strings.push(string);
    }
    TxtData::from_strings(&strings)
}

conforms!((|_: &str| Some(start())));

#[tokio::test]
async fn a_set_up_takes_three_calls() {
    let account = start();
    let provider = account.provider();
    let told = name(ZONE);
    let handle = provider.find_zone(&name("mail.acme.test"), Some(&told)).await.unwrap();
    let zone = provider.list(&handle, &[].into()).await.unwrap();
    let adds = ours().into_iter().map(|new| Action::Add { new });
    suite::write(&*provider, &zone, suite::changes(adds)).await.unwrap();
    assert_eq!(account.fake.seen().len(), 3);
}

#[tokio::test]
async fn all_pages_are_read_and_what_is_not_plain_is_not_touched() {
    let account = start();
    account.fake.set_most_per_page(7);
    let odd = |identifier: Option<&str>, alias: Option<&str>| Set {
        name: "odd.acme.test.".to_owned(),
        kind: "A".to_owned(),
        ttl: 60,
        values: if alias.is_none() { vec!["192.0.2.1".to_owned()] } else { Vec::new() },
        alias: alias.map(str::to_owned),
        identifier: identifier.map(str::to_owned),
    };
    account.fake.put(ZONE, odd(Some("one"), None));
    account.fake.put(ZONE, odd(Some("two"), None));
    account.fake.put(ZONE, Set { name: "alias.acme.test.".to_owned(), ..odd(None, Some("lb.test.")) });
    let provider = account.provider();
    let handle = provider.find_zone(&name(ZONE), None).await.unwrap();
    let zone = provider.list(&handle, &[].into()).await.unwrap();
    assert_eq!(zone.records.len(), seed().len() + 3);
    for owner in ["odd.acme.test", "alias.acme.test"] {
        assert!(zone.at(&name(owner)).count() > 0);
        assert!(zone.at(&name(owner)).all(|there| there.kept == Kept::Opaque), "{owner}");
    }
    let old = zone.at(&name("odd.acme.test")).next().unwrap().record.clone();
    let before = account.fake.sets(ZONE);
    let refused = suite::write(&*provider, &zone, suite::changes([remove(&zone, &old)])).await.unwrap_err();
    assert_eq!((refused.error.refusal, refused.done), (Refusal::RecordRefused, Done::Nothing));
    assert_eq!(account.fake.sets(ZONE), before);
}

/// Its owner wrote it without a final dot, and with escapes that need not be.
#[tokio::test]
async fn what_its_owner_wrote_another_way_is_replaced_too() {
    let account = start();
    account.fake.put(
        ZONE,
        Set {
            name: "proofs.acme.test.".to_owned(),
            kind: "TXT".to_owned(),
            ttl: 300,
            values: vec!["\"\\157ne\"".to_owned(), "\"two\"".to_owned()],
            alias: None,
            identifier: None,
        },
    );
    let provider = account.provider();
    let handle = provider.find_zone(&name(ZONE), None).await.unwrap();
    let zone = provider.list(&handle, &[].into()).await.unwrap();
    let (old, new) = (txt("proofs.acme.test", "two"), txt("proofs.acme.test", "three"));
    suite::write(&*provider, &zone, suite::changes([replace(&zone, &old, new.clone(), Why::Ours)]))
        .await
        .unwrap();
    let now: Vec<RecordData> = account
        .content()
        .await
        .into_iter()
        .filter(|(owner, _)| *owner == new.owner)
        .map(|(_, data)| data)
        .collect();
    assert_eq!(now, [txt("proofs.acme.test", "one").data, new.data]);
}

async fn refused(account: &Account, provider: &Route53) -> (HostError, Done) {
    let before = account.content().await;
    let stopped = apply(provider, &ours()).await.unwrap_err();
    assert_eq!(account.content().await, before);
    let said = format!("{} {:?}", stopped.error, stopped.error);
    assert!(!said.contains(SECRET), "{said}");
    (stopped.error, stopped.done)
}

#[tokio::test]
async fn every_refusal_is_told_apart() {
    let account = start();
    let missing = |right| Refusal::AccessMissing { right: Some(right) };
    for (key, refusal) in [
        (Key { secret: "another".to_owned(), ..key() }, Refusal::CredentialInvalid),
        (Key { session_token: Some("t".to_owned()), ..key() }, Refusal::CredentialExpired),
        (Key { lists_zones: false, ..key() }, missing(Right::ListZones)),
        (Key { reads: false, ..key() }, missing(Right::ReadRecords)),
        (Key { writes: false, ..key() }, missing(Right::WriteRecords)),
    ] {
        account.fake.key(ID, key.clone());
        let (error, done) = refused(&account, &provider(&account.way, ID, SECRET, None)).await;
        assert_eq!((error.refusal, done), (refusal, Done::Nothing), "{key:?}");
    }
    let (error, _) = refused(&account, &provider(&account.way, "AKIDNOBODY", SECRET, None)).await;
    assert_eq!(error.refusal, Refusal::CredentialInvalid);
    account.fake.key(ID, Key { session_token: Some("token".to_owned()), ..key() });
    apply(&provider(&account.way, ID, SECRET, Some("token")), &ours()).await.unwrap();
    // Two that cannot be told apart.
    account.fake.zone(ZONE, false);
    account.fake.key(ID, key());
    let error = account.provider().find_zone(&name(ZONE), None).await.unwrap_err();
    assert_eq!(error.refusal, Refusal::ZoneInactive);
}

#[tokio::test]
async fn a_busy_host_is_waited_for_a_little() {
    tokio::time::pause();
    let account = start();
    account.fake.set_pending(3);
    apply(&*account.provider(), &ours()).await.unwrap();
    let account = start();
    account.fake.set_pending(9);
    let (error, done) = refused(&account, &provider(&account.way, ID, SECRET, None)).await;
    assert_eq!((error.refusal, done), (Refusal::RateLimited { retry_after: Some(5) }, Done::Nothing));
}

#[tokio::test]
async fn nonsense_is_no_answer() {
    for (fault, status) in [
        (Fault::Html(502), Some(502)),
        (Fault::Body(b"{}".to_vec()), Some(200)),
        (Fault::Body(b"<a>".to_vec()), Some(200)),
    ] {
        for after in 0..4 {
            let account = start();
            account.fake.fault(after, fault.clone());
            let (error, done) = refused(&account, &provider(&account.way, ID, SECRET, None)).await;
            assert_eq!(error.refusal, Refusal::Unexpected { status }, "{fault:?} after {after}");
            assert_eq!(done, if after == 3 { Done::Unknown } else { Done::Nothing });
        }
    }
}

/// What moto does keep: the forms of requests and answers.
#[tokio::test]
async fn moto_understands_us() {
    let Some(moto) = servers::moto("moto_understands_us") else { return };
    let way = Plain::new(moto.http);
    let request = HttpRequest {
        method: "POST",
        target: "/2013-04-01/hostedzone".to_owned(),
        headers: vec![
            ("host", "route53.amazonaws.com".to_owned()),
            ("content-type", "application/xml".to_owned()),
            (
                "authorization",
                "AWS4-HMAC-SHA256 Credential=AKID/20270115/us-east-1/route53/aws4_request, SignedHeaders=host, Signature=x"
                    .to_owned(),
            ),
        ],
        body: b"<CreateHostedZoneRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><Name>acme.test.</Name>\
                <CallerReference>1</CallerReference></CreateHostedZoneRequest>"
            .to_vec(),
    };
    assert_eq!(way.send(request).await.unwrap().status, 201);
    let provider = provider(&way, ID, SECRET, None);
    let wanted: Vec<Record> = ours()
        .into_iter()
        .chain([
            txt("odd.acme.test", "a \"b\" \\c ; d % ${e} é"),
            cname("*.any.acme.test", "t.send.test"),
            record("v6.acme.test", RecordData::Aaaa("2001:db8::9".parse().unwrap())),
        ])
        .collect();
    let told = name(ZONE);
    let handle = provider.find_zone(&name("mail.acme.test"), Some(&told)).await.unwrap();
    let zone = provider.list(&handle, &[].into()).await.unwrap();
    let steps = suite::changes(wanted.iter().cloned().map(|new| Action::Add { new }));
    suite::write(&provider, &zone, steps).await.unwrap();
    let zone = provider.list(&handle, &[].into()).await.unwrap();
    for new in &wanted {
        assert_eq!(zone.at(&new.owner).filter(|there| there.record == *new).count(), 1, "{new:?}");
    }
    let (old, new) = (&wanted[0], cname("t1._domainkey.mail.acme.test", "t9.dkim.send.test"));
    let steps = suite::changes([replace(&zone, old, new.clone(), Why::Ours), remove(&zone, &wanted[1])]);
    suite::write(&provider, &zone, steps).await.unwrap();
    let zone = provider.list(&handle, &[].into()).await.unwrap();
    assert!(zone.at(&new.owner).all(|there| there.record == new));
    assert_eq!(zone.at(&wanted[1].owner).count(), 0);
}
