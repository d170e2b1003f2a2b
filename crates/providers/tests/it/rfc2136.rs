//! RFC 2136 with TSIG, against BIND and Knot.

use crate::{
    servers::{self, KEY, NARROW, SECRET, Server},
    suite::{self, Content, Host, ZONE, apply, cname, name, ours, seed, txt},
};
use dns::tsig::Algorithm;
use fake_hosts::Cut;
use model::{Record, RecordData};
use providers::{
    Rfc2136, Secret,
    rfc2136::{Connect, KeyError, Stream},
};
use publish::{Action, Done, Later, Listed, Refusal, Right, ZoneProvider};
use std::{
    collections::VecDeque,
    fmt::Write as _,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// The way to a server, which can be cut.
#[derive(Clone)]
struct Way {
    server: SocketAddr,
    cuts: Arc<Mutex<VecDeque<Option<Cut>>>>,
    updates: Arc<AtomicUsize>,
}

impl Connect for Way {
    fn connect(&self) -> Later<'_, Result<Box<dyn Stream>, String>> {
        let cut = self.cuts.lock().unwrap().pop_front().flatten();
        Box::pin(async move {
            if cut == Some(Cut::Before) {
                return Err("cut before it was sent".to_owned());
            }
            let inner = TcpStream::connect(self.server).await.map_err(|error| error.to_string())?;
            let stream = Tapped { inner, is_deaf: cut.is_some(), updates: Arc::clone(&self.updates) };
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}

/// Counts updates; a deaf one waits for the answer and loses it.
struct Tapped {
    inner: TcpStream,
    is_deaf: bool,
    updates: Arc<AtomicUsize>,
}

impl AsyncRead for Tapped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.inner).poll_read(cx, buf);
        if self.is_deaf && read.is_ready() {
            buf.clear();
        }
        read
    }
}

impl AsyncWrite for Tapped {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        // Length, id, and the opcode.
        if octets.get(4).is_some_and(|flags| flags >> 3 == 5) {
            self.updates.fetch_add(1, Ordering::Relaxed);
        }
        Pin::new(&mut self.inner).poll_write(cx, octets)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

struct Updated {
    server: Server,
    way: Way,
}

impl Updated {
    fn new(server: Server) -> Self {
        let way = Way { server: server.dns, cuts: Arc::default(), updates: Arc::default() };
        Self { server, way }
    }

    fn with(&self, key: &str, secret: &str, ahead: u64) -> Rfc2136 {
        #[expect(clippy::disallowed_methods, reason = "the servers have no other time")]
        let now = move || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + ahead;
        let secret = Secret::new(secret.to_owned());
        let way = Box::new(self.way.clone());
        Rfc2136::new(way, name(key), Algorithm::HmacSha256, &secret, Arc::new(now)).unwrap()
    }
}

impl Host for Updated {
    fn provider(&self) -> Box<dyn ZoneProvider> {
        Box::new(self.with(KEY, SECRET, 0))
    }
    async fn content(&self) -> Content {
        self.server.content()
    }
    async fn put(&self, record: &Record) {
        self.server.put(record);
    }
    async fn take(&self, record: &Record) {
        self.server.take(record);
    }
    fn cut(&self, after: usize, cut: Cut) {
        let mut cuts = self.way.cuts.lock().unwrap();
        cuts.extend(std::iter::repeat_n(None, after));
        cuts.push_back(Some(cut));
    }
    fn is_to_cut(&self) -> bool {
        !self.way.cuts.lock().unwrap().is_empty()
    }
    fn mend(&self) {
        self.way.cuts.lock().unwrap().clear();
    }
    fn writes(&self) -> usize {
        self.way.updates.load(Ordering::Relaxed)
    }
}

async fn every_refusal_is_told_apart(host: &Updated) {
    let before = host.content().await;
    for (key, secret, ahead) in [
        ("nobody.test", SECRET, 0),
        (KEY, "b3RoZXItc2VjcmV0LTAxMjM0NTY3ODktMDEyMzQ1Njc4OQ==", 0),
        (KEY, SECRET, 1_000),
    ] {
        let stopped = apply(&host.with(key, secret, ahead), &ours()).await.unwrap_err();
        assert_eq!(
            (&stopped.error.refusal, stopped.done),
            (&Refusal::CredentialInvalid, Done::Nothing),
            "{key} {ahead}: {}",
            stopped.error
        );
        assert!(!stopped.error.to_string().contains(secret));
    }
    // A key for texts: it may not have the zone, which is no fault, and may not write aliases.
    let narrow = host.with(NARROW, SECRET, 0);
    let stopped = apply(&narrow, &ours()).await.unwrap_err();
    let right = Some(Right::WriteRecords);
    assert_eq!(
        (&stopped.error.refusal, stopped.done),
        (&Refusal::AccessMissing { right }, Done::Nothing),
        "{}",
        stopped.error
    );
    assert_eq!(host.content().await, before);
    let texts = [txt("mail.acme.test", "v=spf1 include:spf.send.test ~all"), txt("proofs.acme.test", "ours")];
    assert_eq!(apply(&narrow, &texts).await.unwrap(), 2);
    let handle = narrow.find_zone(&name(ZONE), None).await.unwrap();
    let names = [name("proofs.acme.test"), name("shop.acme.test"), name("nothing.acme.test")].into();
    let zone = narrow.list(&handle, &names).await.unwrap();
    assert_eq!(zone.listed, Listed::Names(names));
    let expected: Vec<Record> =
        seed().into_iter().chain(texts).filter(|record| zone.knows(&record.owner)).collect();
    assert_eq!(suite::content(zone.records.iter().map(|there| &there.record)), suite::content(&expected));
    // No server at all.
    let nowhere = Way { server: ([127, 0, 0, 1], 9).into(), ..host.way.clone() };
    let key = Secret::new(SECRET.to_owned());
    let nowhere =
        Rfc2136::new(Box::new(nowhere), name(KEY), Algorithm::HmacSha256, &key, Arc::new(|| 0)).unwrap();
    let stopped = apply(&nowhere, &ours()).await.unwrap_err();
    assert_eq!((stopped.error.refusal, stopped.done), (Refusal::Unreachable, Done::Nothing));
}

/// The whole set has one TTL, and servers change that of all its records to that of the newest.
async fn siblings_keep_their_ttl(host: &Updated) {
    let provider = host.provider();
    let mut new = txt("proofs.acme.test", "ours");
    new.ttl = 60;
    apply(&*provider, &[new]).await.unwrap();
    let handle = provider.find_zone(&name(ZONE), None).await.unwrap();
    let zone = provider.list(&handle, &[].into()).await.unwrap();
    let ttls: Vec<u32> = zone.at(&name("proofs.acme.test")).map(|there| there.record.ttl).collect();
    assert_eq!(ttls, [300; 4]);
}

/// What somebody else puts at a name in between, where an alias is to be.
async fn an_alias_is_not_left_out_silently(host: &Updated) {
    let provider = host.provider();
    let handle = provider.find_zone(&name(ZONE), None).await.unwrap();
    let new = cname("t1._domainkey.mail.acme.test", "t1.dkim.send.test");
    let zone = provider.list(&handle, &[new.owner.clone()].into()).await.unwrap();
    host.put(&txt("t1._domainkey.mail.acme.test", "theirs")).await;
    let before = host.content().await;
    let stopped = suite::write(&*provider, &zone, suite::changes([Action::Add { new }])).await.unwrap_err();
    assert_eq!((stopped.error.refusal, stopped.done), (Refusal::ZoneChanged, Done::Nothing));
    assert_eq!(host.content().await, before);
}

async fn many_records_are_listed(host: &Updated) {
    for chunk in 0..30 {
        let mut adds = String::new();
        for number in 0..100 {
            let text = "x".repeat(200);
            let _ = writeln!(adds, "update add n{chunk}-{number}.acme.test. 300 TXT \"{text}\"");
        }
        host.server.update(&adds);
    }
    let provider = host.provider();
    let handle = provider.find_zone(&name(ZONE), None).await.unwrap();
    let zone = provider.list(&handle, &[].into()).await.unwrap();
    let is_own = |record: &Record| matches!(record.data, RecordData::Soa(_) | RecordData::Ns(_));
    let records = zone.records.iter().filter(|there| !is_own(&there.record)).count();
    assert_eq!((records, zone.listed), (seed().len() + 3_000, Listed::Whole));
    assert!(zone.version.is_some());
}

#[test]
fn a_secret_that_is_none_is_told() {
    let key = |secret: &str| {
        let way = Way { server: ([127, 0, 0, 1], 9).into(), cuts: Arc::default(), updates: Arc::default() };
        let secret = Secret::new(secret.to_owned());
        Rfc2136::new(Box::new(way), name(KEY), Algorithm::HmacSha256, &secret, Arc::new(|| 0)).map(drop)
    };
    assert_eq!(key("not base64!"), Err(KeyError::Secret));
    assert_eq!(key("c2hvcnQ="), Err(KeyError::Short));
    assert_eq!(key(SECRET), Ok(()));
}

mod bind {
    use super::{Updated, servers};
    fn start(case: &str) -> Option<Updated> {
        servers::bind(case).map(Updated::new)
    }
    crate::suite::conforms!(start);
    crate::suite::conforms!(start; super:
        every_refusal_is_told_apart,
        siblings_keep_their_ttl,
        an_alias_is_not_left_out_silently,
        many_records_are_listed,
    );
}

mod knot {
    use super::{Updated, servers};
    fn start(case: &str) -> Option<Updated> {
        servers::knot(case).map(Updated::new)
    }
    crate::suite::conforms!(start);
    crate::suite::conforms!(start; super:
        every_refusal_is_told_apart,
        siblings_keep_their_ttl,
        an_alias_is_not_left_out_silently,
        many_records_are_listed,
    );
}
