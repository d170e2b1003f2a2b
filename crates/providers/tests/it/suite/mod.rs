//! One suite for all hosts: what they have in common whatever they are.
//!
//! A host that does it another way says so in its capabilities; none skips a case. Each case has a fresh zone
//! [`ZONE`], seeded with [`seed`].

pub mod cases;
mod cuts;
mod steps;

pub use steps::{Stopped, apply, changes, remove, replace, write};

use fake_hosts::Cut;
use model::{Caa, DomainName, Record, RecordData, Srv, TxtData};
use publish::{Atomic, ZoneProvider};
use std::collections::BTreeSet;

/// The zone of each case.
pub const ZONE: &str = "acme.test";

/// What is in a zone, TTLs left out.
pub type Content = BTreeSet<(DomainName, RecordData)>;

/// A host with the zone [`ZONE`], which its credential may write.
pub trait Host {
    /// The adapter with a good credential.
    fn provider(&self) -> Box<dyn ZoneProvider>;
    /// What is in the zone, by other means than the adapter; not what a host keeps at its topmost name by itself (SOA,
    /// NS).
    async fn content(&self) -> Content;
    /// Another hand adds a record.
    async fn put(&self, record: &Record);
    /// Another hand takes a record out.
    async fn take(&self, record: &Record);
    /// Loses a call of the adapters, after so many that get through.
    fn cut(&self, after: usize, cut: Cut);
    /// Whether a loss is still to come.
    fn is_to_cut(&self) -> bool;
    /// Orders no loss any more.
    fn mend(&self);
    /// How many calls that write have come in.
    fn writes(&self) -> usize;
    /// Whether the host can have a record at all: none of its owner's is like that then.
    fn holds(&self, _record: &Record) -> bool {
        true
    }
    /// What others have in the zone.
    fn seed(&self) -> Vec<Record> {
        seed().into_iter().filter(|record| self.holds(record)).collect()
    }
    /// Whether a batch is done as a whole or not at all; else step by step, in its order.
    fn is_atomic(&self) -> bool {
        self.provider().capabilities().atomic != Atomic::Each
    }
}

pub fn name(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

pub fn record(owner: &str, data: RecordData) -> Record {
    Record { owner: name(owner), ttl: 300, data }
}

pub fn txt(owner: &str, text: &str) -> Record {
    record(owner, RecordData::Txt(TxtData::from_text(text)))
}

pub fn cname(owner: &str, target: &str) -> Record {
    record(owner, RecordData::Cname(name(target)))
}

pub fn mx(owner: &str, preference: u16, exchange: &str) -> Record {
    let exchange = if exchange == "." { DomainName::root() } else { name(exchange) };
    record(owner, RecordData::Mx { preference, exchange })
}

/// What others have in the zone: among it what adapters stumble over.
pub fn seed() -> Vec<Record> {
    vec![
        record("acme.test", RecordData::A([192, 0, 2, 1].into())),
        txt("acme.test", "v=spf1 include:_spf.others.test ~all"),
        txt("acme.test", "somebody-s-proof=\"quoted\\\" ; and more"),
        txt("acme.test", "ünïcode"),
        mx("acme.test", 10, "mx1.others.test"),
        mx("acme.test", 20, "mx2.others.test"),
        record("www.acme.test", RecordData::Aaaa("2001:db8::1".parse().unwrap())),
        cname("shop.acme.test", "shops.others.test"),
        cname("*.wild.acme.test", "a.others.test"),
        txt("_dmarc.acme.test", "v=DMARC1; p=none"),
        txt("long._domainkey.acme.test", &format!("v=DKIM1; p={}", "a".repeat(392))),
        record(
            "two.acme.test",
            RecordData::Txt(TxtData::from_strings(&[&b"one string"[..], b"", &[b'x'; 255]])),
        ),
        mx("silent.acme.test", 0, "."),
        record(
            "_sip._tcp.acme.test",
            Srv { priority: 1, weight: 2, port: 5060, target: name("sip.others.test") }.to_data(),
        ),
        record("acme.test", Caa::parse("0 issue \"ca.test\"").unwrap().to_data()),
        txt("proofs.acme.test", "one"),
        txt("proofs.acme.test", "two"),
        txt("proofs.acme.test", "three"),
    ]
}

/// What we would write.
pub fn ours() -> Vec<Record> {
    vec![
        cname("t1._domainkey.mail.acme.test", "t1.dkim.send.test"),
        cname("t2._domainkey.mail.acme.test", "t2.dkim.send.test"),
        txt("mail.acme.test", "v=spf1 include:spf.send.test ~all"),
        mx("bounce.mail.acme.test", 10, "mx.send.test"),
        txt("bounce.mail.acme.test", "v=spf1 include:spf.send.test -all"),
        txt("proofs.acme.test", "ours"),
    ]
}

/// The content that records come to.
pub fn content<'a>(records: impl IntoIterator<Item = &'a Record>) -> Content {
    records.into_iter().map(|record| (record.owner.clone(), record.data.clone())).collect()
}

/// The tests of the suite for one host: `$start`, of the case's name, makes a fresh one with the seeded zone, or `None` where it cannot be had
/// (it has said so then).
macro_rules! conforms {
    ($start:expr) => {
        $crate::suite::conforms! { $start;
            the_zone_of_a_name_is_found,
            everything_in_the_zone_is_listed,
            what_is_added_is_there_and_nothing_else_changed,
            a_record_takes_the_place_of_ours_and_siblings_stay,
            the_customers_spf_record_is_changed_in_its_place,
            one_of_several_siblings_is_removed,
            an_alias_beside_other_data_is_refused,
            a_second_time_writes_nothing,
            what_was_done_is_taken_back,
            what_others_write_in_between_stays,
            a_record_that_changed_since_is_told,
            a_record_that_went_since_is_told,
            a_cut_after_any_call_is_told_truly_and_completed,
        }
    };
    ($start:expr; $($case:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $case() {
                if let Some(host) = $start(stringify!($case)) {
                    $crate::suite::cases::$case(&host).await;
                }
            }
        )*
    };
    // Cases of a host's own, in the module above.
    ($start:expr; super: $($case:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $case() {
                if let Some(host) = $start(stringify!($case)) {
                    super::$case(&host).await;
                }
            }
        )*
    };
}
pub(crate) use conforms;
