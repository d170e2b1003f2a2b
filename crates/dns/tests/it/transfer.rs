//! Zones given to secondaries: to nobody else, whole, and as what changed; Knot and NSD follow.

use crate::support::{name, question, zone};
use arc_swap::ArcSwap;
use diagnosis::observation::Rcode;
use dns::{
    authority::{KeyTable, Options, Secondary, Server, ZoneSet, ZoneSetBuilder},
    tsig::{Algorithm, Conversation, Key},
    wire::{Query, Response},
};
use model::{RecordType, TxtData};
use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::timeout,
};
use tokio_util::sync::{CancellationToken, DropGuard};

const AXFR: RecordType = RecordType::Other(252);
const PATIENCE: Duration = Duration::from_secs(30);

#[expect(clippy::disallowed_methods, reason = "signatures are compared with the clocks of real programs")]
fn now() -> u32 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    u32::try_from(since.as_secs()).unwrap()
}

fn key() -> Arc<Key> {
    Arc::new(Key::new(name("transfer.test"), Algorithm::HmacSha256, &[7; 32]))
}

/// `AAEC…` in the configuration of others.
const SECRET: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";

fn keys(count: usize) -> KeyTable {
    let mut keys = KeyTable::new(&name("dkim.send.test"), 300).unwrap();
    for number in 0..count {
        keys.insert(&format!("k{number}"), &format!("v=DKIM1; p=key{number}")).unwrap();
    }
    keys
}

fn first(keys: KeyTable) -> ZoneSet {
    let text = "@ SOA ns1 hostmaster 1 3600 600 604800 30\n@ NS ns1\nns1 A 192.0.2.1\nwww CNAME ns1\n*.w TXT \"any\"\n\
                sub NS ns.sub\nns.sub A 192.0.2.9\ndeep.ent TXT \"deep\"";
    let mut builder = ZoneSetBuilder::new(1);
    builder.add_with_keys(&zone("send.test", text, false), keys).unwrap();
    builder.build()
}

struct Primary {
    address: SocketAddr,
    zones: Arc<ArcSwap<ZoneSet>>,
    _stop: DropGuard,
}

impl Primary {
    async fn start(set: ZoneSet, secondaries: Vec<Secondary>) -> Self {
        let zones = Arc::new(ArcSwap::from_pointee(set));
        let options = Options { secondaries, clock: now, ..Options::default() };
        let server =
            Server::bind_with("127.0.0.1:0".parse().unwrap(), Arc::clone(&zones), options).await.unwrap();
        let (address, stop) = (server.local_addr(), CancellationToken::new());
        tokio::spawn(server.run(stop.clone()));
        Self { address, zones, _stop: stop.drop_guard() }
    }

    fn change(&self, generation: u32, keys: &KeyTable) {
        let before = self.zones.load();
        let next =
            before.with_keys(u64::from(generation), &name("send.test"), keys.clone(), generation).unwrap();
        self.zones.store(Arc::new(next));
    }
}

fn axfr() -> Vec<u8> {
    let question = question("send.test", AXFR);
    let query =
        Query { id: 8, question: &question, recursion_desired: false, checking_disabled: false, edns: false };
    query.encode().unwrap()
}

/// Sends a message over TCP and takes what comes back until it says no more.
async fn exchange(server: SocketAddr, message: &[u8], wanted: usize) -> Vec<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await.unwrap();
    let framed = [&u16::try_from(message.len()).unwrap().to_be_bytes(), message].concat();
    stream.write_all(&framed).await.unwrap();
    let mut messages = Vec::new();
    while messages.len() < wanted {
        let length = timeout(PATIENCE, stream.read_u16()).await.unwrap().unwrap();
        let mut octets = vec![0; usize::from(length)];
        stream.read_exact(&mut octets).await.unwrap();
        messages.push(octets);
    }
    messages
}

fn rcode(message: &[u8]) -> u8 {
    message[3] & 0x0f
}

fn answers(message: &[u8]) -> u16 {
    u16::from_be_bytes([message[6], message[7]])
}

#[tokio::test]
async fn zones_are_given_to_secondaries_and_to_nobody_else() {
    let elsewhere = Secondary { address: "192.0.2.77:53".parse().unwrap(), key: None };
    let closed = Primary::start(first(keys(3)), vec![elsewhere]).await;
    assert_eq!(rcode(&exchange(closed.address, &axfr(), 1).await[0]), 5);

    let here = Secondary { address: "127.0.0.1:9".parse().unwrap(), key: None };
    let open = Primary::start(first(keys(3)), vec![here]).await;
    let whole = &exchange(open.address, &axfr(), 1).await[0];
    // SOA twice, NS, A, CNAME, TXT, a delegation with its address, one more TXT, and the keys.
    assert_eq!((rcode(whole), answers(whole)), (0, 12));
    let mut other = axfr();
    // x end.test: none of our zones.
    other[13] = b'x';
    assert_eq!(rcode(&exchange(open.address, &other, 1).await[0]), 9);

    let signed = Secondary { address: "127.0.0.1:9".parse().unwrap(), key: Some(key()) };
    let primary = Primary::start(first(keys(3)), vec![signed]).await;
    assert_eq!(rcode(&exchange(primary.address, &axfr(), 1).await[0]), 5, "not signed");
    for (wrong, at) in [
        (Key::new(name("transfer.test"), Algorithm::HmacSha256, &[8; 32]), u64::from(now())),
        (Key::new(name("other.test"), Algorithm::HmacSha256, &[7; 32]), u64::from(now())),
        (Key::new(name("transfer.test"), Algorithm::HmacSha256, &[7; 32]), u64::from(now()) - 4000),
    ] {
        let mut message = axfr();
        let mut conversation = Conversation::ask(Arc::new(wrong), &mut message, at);
        let answer = &exchange(primary.address, &message, 1).await[0];
        assert_eq!(rcode(answer), 9);
        assert!(conversation.open(answer, at).is_err());
    }
    let mut message = axfr();
    let mut conversation = Conversation::ask(key(), &mut message, u64::from(now()));
    let answer = &exchange(primary.address, &message, 1).await[0];
    assert_eq!(answers(&conversation.open(answer, u64::from(now())).unwrap()), 12);
}

#[tokio::test]
async fn a_signed_question_has_a_signed_answer() {
    let signed = Secondary { address: "127.0.0.1:9".parse().unwrap(), key: Some(key()) };
    let primary = Primary::start(first(keys(3)), vec![signed]).await;
    let question = question("send.test", RecordType::Soa);
    let query =
        Query { id: 8, question: &question, recursion_desired: false, checking_disabled: false, edns: true };
    for over_tcp in [true, false] {
        let mut message = query.encode().unwrap();
        let mut conversation = Conversation::ask(key(), &mut message, u64::from(now()));
        let answer = if over_tcp {
            exchange(primary.address, &message, 1).await.remove(0)
        } else {
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            socket.connect(primary.address).await.unwrap();
            socket.send(&message).await.unwrap();
            let mut octets = vec![0; 1232];
            let length = timeout(PATIENCE, socket.recv(&mut octets)).await.unwrap().unwrap();
            octets[..length].to_vec()
        };
        let plain = conversation.open(&answer, u64::from(now())).unwrap();
        assert_eq!(query.decode(&plain).unwrap().reply.answer.len(), 1);
    }
}

#[tokio::test]
async fn a_large_zone_comes_in_many_messages_each_signed() {
    let signed = Secondary { address: "127.0.0.1:9".parse().unwrap(), key: Some(key()) };
    let primary = Primary::start(first(keys(2000)), vec![signed]).await;
    let mut message = axfr();
    let mut conversation = Conversation::ask(key(), &mut message, u64::from(now()));
    let mut stream = TcpStream::connect(primary.address).await.unwrap();
    let framed = [&u16::try_from(message.len()).unwrap().to_be_bytes(), message.as_slice()].concat();
    stream.write_all(&framed).await.unwrap();
    let (mut records, mut messages) = (0, 0);
    while records < 2009 {
        let length = timeout(PATIENCE, stream.read_u16()).await.unwrap().unwrap();
        let mut octets = vec![0; usize::from(length)];
        stream.read_exact(&mut octets).await.unwrap();
        let plain = conversation.open(&octets, u64::from(now())).unwrap();
        assert!(conversation.is_complete(), "each message is signed");
        records += answers(&plain);
        messages += 1;
    }
    assert_eq!(records, 2009);
    assert!(messages > 4, "{messages}");
}

/// A query for what changed since a serial.
fn ixfr(serial: u32) -> Vec<u8> {
    let mut message = axfr();
    let length = message.len();
    message[length - 4..length - 2].copy_from_slice(&251_u16.to_be_bytes());
    message[9] = 1;
    message.extend_from_slice(&[0xc0, 12, 0, 6, 0, 1, 0, 0, 0, 0, 0, 22, 0, 0]);
    for number in [serial, 0, 0, 0, 0] {
        message.extend_from_slice(&number.to_be_bytes());
    }
    message
}

#[tokio::test]
async fn what_changed_comes_alone_for_as_long_as_it_is_known() {
    let here = Secondary { address: "127.0.0.1:9".parse().unwrap(), key: None };
    let mut keys = keys(500);
    let primary = Primary::start(first(keys.clone()), vec![here]).await;
    for generation in 2..=90 {
        keys.insert(&format!("new{generation}"), "v=DKIM1; p=new").unwrap();
        keys.remove(&format!("k{generation}"));
        primary.change(generation, &keys);
    }
    // Three times the newest SOA and once the old one, a key away and a key new for each step.
    for (since, expected) in [(89, 6), (80, 24), (27, 130), (90, 1), (91, 1)] {
        let answer = &exchange(primary.address, &ixfr(since), 1).await[0];
        assert_eq!((rcode(answer), answers(answer)), (0, expected), "since {since}");
    }
    // Too long ago, and never there: the whole zone.
    for since in [1, 4_000_000_000] {
        let messages = exchange(primary.address, &ixfr(since), 2).await;
        assert_eq!(messages.iter().map(|message| answers(message)).sum::<u16>(), 509, "since {since}");
    }
}

/// A program that ends with this.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(Command::new("kill").arg(self.0.id().to_string()).status());
        drop(self.0.wait());
    }
}

fn folder(what: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("countersign-transfer-{what}-{}", std::process::id()));
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn program(name: &str) -> Option<PathBuf> {
    ["/usr/sbin", "/usr/bin", "/usr/local/sbin"]
        .map(|place| Path::new(place).join(name))
        .into_iter()
        .find(|path| path.is_file())
}

fn start(binary: &Path, arguments: &[&str], log: &Path) -> Running {
    let out = fs::File::create(log).unwrap();
    let child = Command::new(binary)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(out.try_clone().unwrap())
        .stderr(out)
        .spawn()
        .unwrap();
    Running(child)
}

async fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

/// Asks until the answer is as wanted.
async fn until(
    server: SocketAddr,
    owner: &str,
    record_type: RecordType,
    wanted: impl Fn(&Response) -> bool,
    log: &Path,
) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(server).await.unwrap();
    let question = question(owner, record_type);
    let query =
        Query { id: 8, question: &question, recursion_desired: false, checking_disabled: false, edns: true };
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let mut octets = [0; 4096];
        drop(socket.send(&query.encode().unwrap()).await);
        if let Ok(Ok(length)) = timeout(Duration::from_millis(100), socket.recv(&mut octets)).await
            && let Ok(response) = query.decode(&octets[..length])
        {
            if wanted(&response) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    panic!("{owner} at {server} is not as wanted:\n{}", fs::read_to_string(log).unwrap_or_default());
}

/// What a server says, as far as all have to say the same.
async fn says(server: SocketAddr, owner: &str, record_type: RecordType) -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(server).await.unwrap();
    let question = question(owner, record_type);
    let query =
        Query { id: 8, question: &question, recursion_desired: false, checking_disabled: false, edns: true };
    socket.send(&query.encode().unwrap()).await.unwrap();
    let mut octets = [0; 4096];
    let length = timeout(PATIENCE, socket.recv(&mut octets)).await.unwrap().unwrap();
    let reply = query.decode(&octets[..length]).unwrap().reply;
    let sorted = |records: &[model::Record]| {
        let mut lines: Vec<String> =
            records.iter().map(|record| format!("{} {} {}", record.owner, record.ttl, record.data)).collect();
        lines.sort();
        lines
    };
    // Beside an answer a server may name the servers of the zone.
    let authority = if reply.answer.is_empty() { sorted(&reply.authority) } else { Vec::new() };
    format!("{:?} {} {:?} {authority:?}", reply.rcode, reply.authoritative, sorted(&reply.answer))
}

/// The secondary answers as we do.
async fn agrees(primary: SocketAddr, secondary: SocketAddr) {
    for owner in [
        "",
        "www.",
        "ns1.",
        "w.",
        "x.w.",
        "y.x.w.",
        "sub.",
        "deeper.sub.",
        "ns.sub.",
        "ent.",
        "deep.ent.",
        "x.ent.",
        "none.",
        "dkim.",
        "k5.dkim.",
        "below.k5.dkim.",
        "none.dkim.",
    ] {
        for record_type in [
            RecordType::A,
            RecordType::Txt,
            RecordType::Mx,
            RecordType::Ns,
            RecordType::Soa,
            RecordType::Cname,
            RecordType::Other(43),
        ] {
            let owner = format!("{owner}send.test");
            let (ours, theirs) =
                (says(primary, &owner, record_type).await, says(secondary, &owner, record_type).await);
            assert_eq!(ours, theirs, "{owner} {record_type}");
        }
    }
}

/// Follows the zone through a first transfer and two changes. How long each change took to be served there.
async fn follows(
    what: &str,
    set_up: impl Fn(&Path, u16, u16) -> (PathBuf, Vec<String>),
) -> BTreeMap<u32, Duration> {
    let folder = folder(what);
    let port = free_port().await;
    let at = SocketAddr::from(([127, 0, 0, 1], port));
    let mut keys = keys(1000);
    let primary =
        Primary::start(first(keys.clone()), vec![Secondary { address: at, key: Some(key()) }]).await;
    let (binary, arguments) = set_up(&folder, port, primary.address.port());
    let log = folder.join("log");
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let running = start(&binary, &arguments, &log);
    let has_text = |text: &'static str| {
        move |response: &Response| {
            let data = model::RecordData::Txt(TxtData::from_text(text));
            response.reply.authoritative && response.reply.answer.iter().any(|record| record.data == data)
        }
    };
    let txt = RecordType::Txt;
    until(at, "k999.dkim.send.test", txt, has_text("v=DKIM1; p=key999"), &log).await;
    until(at, "x.w.send.test", txt, has_text("any"), &log).await;
    agrees(primary.address, at).await;
    let mut took = BTreeMap::new();
    for (generation, text) in [(2, "v=DKIM1; p=two"), (3, "v=DKIM1; p=three")] {
        keys.insert("k5", text).unwrap();
        keys.remove(&format!("k{}", generation + 10));
        keys.insert(&format!("new{generation}"), text).unwrap();
        let begun = Instant::now();
        primary.change(generation, &keys);
        until(at, &format!("new{generation}.dkim.send.test"), txt, has_text(text), &log).await;
        took.insert(generation, begun.elapsed());
        until(at, "k5.dkim.send.test", txt, has_text(text), &log).await;
        let gone = |response: &Response| response.reply.rcode == Rcode::NxDomain;
        until(at, &format!("k{}.dkim.send.test", generation + 10), txt, gone, &log).await;
    }
    let said = fs::read_to_string(&log).unwrap();
    assert!(said.contains("IXFR") || what != "knot", "{said}");
    // Every question that was signed had an answer that is; NSD says so, Knot says where it was not.
    assert_eq!(said.contains("TSIG"), what == "nsd", "{said}");
    drop(running);
    drop(fs::remove_dir_all(&folder));
    took
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn knot_follows_a_zone() {
    let Some(binary) = program("knotd") else {
        println!("skipped: knotd is not installed");
        return;
    };
    let took = follows("knot", |folder, port, primary| {
        let here = folder.display();
        let text = format!(
            "server:\n  rundir: {here}\n  listen: 127.0.0.1@{port}\n  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\n\
             log:\n  - target: stderr\n    any: info\ndatabase:\n  storage: {here}\n\
             key:\n  - id: transfer.test\n    algorithm: hmac-sha256\n    secret: {SECRET}\n\
             remote:\n  - id: primary\n    address: 127.0.0.1@{primary}\n    key: transfer.test\n\
             acl:\n  - id: told\n    address: 127.0.0.1\n    key: transfer.test\n    action: notify\n\
             zone:\n  - domain: send.test\n    storage: {here}\n    master: primary\n    acl: told\n    zonefile-sync: -1\n"
        );
        let file = folder.join("knot.conf");
        fs::write(&file, text).unwrap();
        (binary.clone(), vec!["-c".to_owned(), file.to_string_lossy().into_owned()])
    })
    .await;
    println!("a change is served there after {took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nsd_follows_a_zone() {
    let Some(binary) = program("nsd") else {
        println!("skipped: nsd is not installed");
        return;
    };
    let took = follows("nsd", |folder, port, primary| {
        let here = folder.display();
        let text = format!(
            "server:\n ip-address: 127.0.0.1@{port}\n server-count: 1\n do-ip6: no\n username: \"\"\n zonesdir: \"{here}\"\n \
             pidfile: \"{here}/nsd.pid\"\n database: \"\"\n zonelistfile: \"{here}/zone.list\"\n xfrdfile: \"{here}/xfrd.state\"\n \
             xfrdir: \"{here}\"\n verbosity: 2\n rrl-ratelimit: 0\n rrl-whitelist-ratelimit: 0\n\
             remote-control:\n control-enable: no\n\
             key:\n name: \"transfer.test\"\n algorithm: hmac-sha256\n secret: \"{SECRET}\"\n\
             zone:\n name: \"send.test\"\n zonefile: \"{here}/send.test.zone\"\n request-xfr: 127.0.0.1@{primary} transfer.test\n \
             allow-notify: 127.0.0.1 transfer.test\n"
        );
        let file = folder.join("nsd.conf");
        fs::write(&file, text).unwrap();
        (binary.clone(), vec!["-d".to_owned(), "-c".to_owned(), file.to_string_lossy().into_owned()])
    })
    .await;
    println!("a change is served there after {took:?}");
}
