//! An account at a host of which there is a fake with zones and tokens ([`fake_hosts::Fake`]).

use crate::suite::{self, Content, Host, Stopped, ZONE, apply, ours, seed};
use fake_hosts::{Cut, Fake, Plain, Token, account::Host as Rules};
use model::{Record, RecordData, TxtData};
use providers::Secret;
use publish::{Done, HostError, ZoneProvider};

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
        assert!(!said.contains(TOKEN), "{said}");
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

/// Whether a text survives a host that keeps it as one piece.
pub fn is_one_piece(text: &TxtData) -> bool {
    TxtData::from_text(&text.joined()) == *text
}

/// Whether a mail exchanger says that there is none (RFC 7505).
pub fn is_null_mx(data: &RecordData) -> bool {
    matches!(data, RecordData::Mx { exchange, .. } if exchange.is_root())
}
