//! An account at a host of which there is a fake with zones and tokens ([`fake_hosts::Fake`]).

use crate::suite::{self, Content, Host, Stopped, ZONE, apply, ours, seed};
use fake_hosts::{Cut, Fake, Fault, Plain, Seen, Token, account::Host as Rules};
use model::{Record, RecordData, TxtData};
use providers::Secret;
use publish::{
    Action, Done, HostError, Refusal, ZoneProvider,
    http::{Exchange as _, HttpRequest},
};

/// Searched for in all that is told.
pub const TOKEN: &str = "s3cr3t-t0ken-of-the-customer-0123456789";

/// A kind of host, with the adapter for it.
pub trait Kind: Rules {
    fn adapter(way: Plain, token: Secret) -> Box<dyn ZoneProvider>;
    /// Whether such a host can have the record.
    fn holds(_record: &Record) -> bool {
        true
    }
}

pub struct Account<K> {
    pub fake: Fake<K>,
    pub way: Plain,
}

/// One with the seeded zone, or an empty one.
pub fn start<K: Kind>() -> Account<K> {
    let account = empty::<K>();
    for (number, record) in seed().iter().filter(|record| K::holds(record)).enumerate() {
        // The customer's own notes.
        account.fake.put_with(ZONE, record, (number == 1).then_some("our newsletter, ask Kim"));
    }
    account
}

pub fn empty<K: Kind>() -> Account<K> {
    let fake = Fake::start().unwrap();
    fake.token(TOKEN, Token::good());
    fake.zone(ZONE);
    let way = Plain::new(fake.address());
    Account { fake, way }
}

impl<K: Kind> Account<K> {
    pub fn with(&self, token: &str) -> Box<dyn ZoneProvider> {
        K::adapter(self.way.clone(), Secret::new(token.to_owned()))
    }

    /// What a run comes to, and what it says: the zone is as it was, and the token is in nothing that is told.
    pub async fn refused(&self, token: &str, wanted: &[Record]) -> (HostError, Done) {
        let before = self.content().await;
        let Stopped { error, done } = apply(&*self.with(token), wanted).await.unwrap_err();
        assert_eq!(self.content().await, before);
        let said = format!("{error} {error:?} {done:?}");
        assert!(!said.contains(token), "{said}");
        (error, done)
    }

    /// The requests that came, without their queries.
    pub fn calls(&self) -> Vec<String> {
        self.fake.seen().iter().map(|seen| format!("{} {}", seen.method, seen.path)).collect()
    }
}

/// As [`Account::refused`], for what we always write.
pub async fn refused<K: Kind>(account: &Account<K>, token: &str) -> (HostError, Done) {
    account.refused(token, &ours()).await
}

impl<K: Kind> Host for Account<K> {
    fn provider(&self) -> Box<dyn ZoneProvider> {
        self.with(TOKEN)
    }
    async fn content(&self) -> Content {
        let records = self.fake.records(ZONE);
        let content = suite::content(records.iter().map(|held| &held.record));
        assert_eq!(content.len(), records.len(), "none twice");
        content
    }
    async fn put(&self, record: &Record) {
        self.fake.put(ZONE, record);
    }
    async fn take(&self, record: &Record) {
        self.fake.take(ZONE, record);
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
        self.fake.seen().iter().filter(|seen| seen.method != "GET").count()
    }
    fn holds(&self, record: &Record) -> bool {
        K::holds(record)
    }
}

/// A request that reads, as an adapter sends it.
pub async fn read_raw<K: Kind>(account: &Account<K>, seen: &Seen) -> Fault {
    let target = format!("{}?{}", seen.path, seen.query);
    let headers = vec![("authorization", format!("Bearer {TOKEN}"))];
    let request = HttpRequest { method: "GET", target, headers, body: Vec::new() };
    let answer = account.way.send(request).await.unwrap();
    let total = answer.header("total-count").map(|total| ("total-count", total.to_owned()));
    let body = String::from_utf8(answer.body).unwrap();
    Fault::Answer { status: answer.status, headers: total.into_iter().collect(), body }
}

/// A record goes from a page that was read already, and those behind it move up: one would be on no page that is read.
pub async fn a_zone_that_changes_between_pages_is_read_again<K: Kind>() {
    let account = empty::<K>();
    account.fake.set_most_per_page(2);
    let records: Vec<Record> = (0..7).map(|n| suite::txt(&format!("n{n}.acme.test"), "x")).collect();
    for record in &records {
        account.put(record).await;
    }
    let provider = account.provider();
    let handle = provider.find_zone(&suite::name(ZONE), None).await.unwrap();
    account.fake.forget_seen();
    provider.list(&handle, &[].into()).await.unwrap();
    let first = read_raw(&account, &account.fake.seen()[0]).await;
    account.take(&records[0]).await;
    account.fake.fault(0, first.clone());
    let zone = provider.list(&handle, &[].into()).await.unwrap();
    assert_eq!(suite::content(zone.records.iter().map(|there| &there.record)), account.content().await);
    // One that never stands still is not called whole.
    account.fake.fault(0, first.clone());
    account.fake.fault(1, first);
    let error = provider.list(&handle, &[].into()).await.unwrap_err();
    assert_eq!(error.refusal, Refusal::Unexpected { status: None });
}

/// Its owner writes an SPF record where ours was planned: with two of them there is none (RFC 7208 §3.2).
pub async fn an_spf_record_written_meanwhile_stays_the_only_one<K: Kind>() {
    let account = start::<K>();
    let provider = account.provider();
    let handle = provider.find_zone(&suite::name(ZONE), None).await.unwrap();
    let zone = provider.list(&handle, &[].into()).await.unwrap();
    account.put(&suite::txt("mail.acme.test", "v=spf1 include:_spf.others.test ~all")).await;
    let before = account.content().await;
    let steps = suite::changes([Action::Add { new: ours()[2].clone() }]);
    let stopped = suite::write(&*provider, &zone, steps).await.unwrap_err();
    assert_eq!((stopped.error.refusal, stopped.done), (Refusal::ZoneChanged, Done::Nothing));
    assert_eq!(account.content().await, before);
}

/// An answer that says nothing of whether the write was done, whatever its words are. `writes_after` requests are reading.
pub async fn an_open_answer_leaves_a_write_open<K: Kind>(writes_after: usize, body: &str) {
    for status in [408, 425, 500, 503, 504] {
        let account = start::<K>();
        let fault = Fault::Answer { status, headers: Vec::new(), body: body.to_owned() };
        account.fake.fault(writes_after, fault);
        let (_, done) = account.refused(TOKEN, &[suite::txt("new.acme.test", "x")]).await;
        assert_eq!((done, account.writes()), (Done::Unknown, 1), "{status}");
    }
}

/// Whether a text survives a host that keeps it as one piece.
pub fn is_one_piece(text: &TxtData) -> bool {
    TxtData::from_text(&text.joined()) == *text
}

/// Whether a mail exchanger says that there is none (RFC 7505).
pub fn is_null_mx(data: &RecordData) -> bool {
    matches!(data, RecordData::Mx { exchange, .. } if exchange.is_root())
}
