//! What the service does, each number beside what bounds it, in one run: `cargo xtask bench service`.
//!
//! Reads: the API against a bare axum route that answers as many bytes of JSON, both in processes of their own, asked in turns by
//! the same client. Adding domains on PostgreSQL: against an INSERT and its commit by as many callers; one node against three.
//!
//! Machines differ and are noisy: read the ratios. Nothing here is asserted.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench that cannot go on has nothing to print"
)]

#[path = "../../store/tests/it/postgres_server.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod postgres_server;

use axum::{Router, http::header, routing::get};
use bytes::Bytes;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use store::{Store, StoreOptions};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_util::sync::CancellationToken;

const TURN: Duration = Duration::from_secs(4);
const TURNS: usize = 5;
const CONNECTIONS: usize = 32;
/// How many domains are looked at in turns.
const DOMAINS: usize = 100;

#[tokio::main]
async fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["bare", size] => bare(size.parse().unwrap()).await,
        ["insert", url, callers, seconds] => {
            insert(url, callers.parse().unwrap(), seconds.parse().unwrap()).await;
        }
        ["reads"] => in_folder(reads).await,
        ["adds"] => in_folder(adds).await,
        _ => {
            in_folder(reads).await;
            in_folder(adds).await;
        }
    }
}

async fn in_folder<F: Future<Output = ()>>(run: impl FnOnce(PathBuf) -> F) {
    let folder = std::env::temp_dir().join(format!("countersign-service-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    run(folder.clone()).await;
    fs::remove_dir_all(&folder).unwrap();
}

/// A process that says at which address it listens.
struct Node {
    child: Child,
    address: String,
}

impl Node {
    fn start(command: &mut Command, says: &str) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        let mut lines = said.lines().map_while(Result::ok);
        let line = lines.find(|line| line.contains(says)).unwrap();
        let at = line.split("http://").nth(1).unwrap();
        let address = at.split(['/', ' ']).next().unwrap().to_owned();
        // It never waits for its output to be read.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }

    /// The processor time it has had, in seconds.
    fn cpu(&self) -> f64 {
        cpu_of(self.child.id())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn cpu_of(process: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields: Vec<f64> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .map(|field| field.parse().unwrap_or(0.0))
        .collect();
    // utime and stime, in hundredths of a second.
    (fields.get(11).unwrap_or(&0.0) + fields.get(12).unwrap_or(&0.0)) / 100.0
}

/// Processor time of all processes with this name, in seconds.
fn cpu_of_all(name: &str) -> f64 {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter(|id| fs::read_to_string(format!("/proc/{id}/comm")).is_ok_and(|comm| comm.trim() == name))
        .map(cpu_of)
        .sum()
}

fn countersign(data: &Path) -> Command {
    fs::create_dir_all(data).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command
        .args(["dev", "--http", "127.0.0.1:0", "--public-http", "", "--dns", "127.0.0.1:0"])
        .args(["--smtp", "127.0.0.1:0", "--data"])
        .arg(data)
        .env("COUNTERSIGN_READS_PER_MINUTE", "0")
        .env("COUNTERSIGN_WRITES_PER_MINUTE", "0")
        .stderr(fs::File::create(data.join("log")).unwrap());
    command
}

/// A route that answers JSON of this size, as axum serves it.
async fn bare(size: usize) {
    let text = json!({"object": "list", "data": "x".repeat(size.saturating_sub(29))}).to_string();
    let (body, value) = (Bytes::from(text.clone()), serde_json::from_str::<Value>(&text).unwrap());
    let value = Arc::new(value);
    let router = Router::new()
        .route(
            "/bytes/{id}",
            get(move || async move { ([(header::CONTENT_TYPE, "application/json")], body.clone()) }),
        )
        .route("/json/{id}", get(move || async move { axum::Json(Value::clone(&value)) }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("bare at http://{}", listener.local_addr().unwrap());
    axum::serve(listener, router).await.unwrap();
}

/// Requests a second over connections that are kept, each asking for one of the paths after the other.
async fn load(address: &str, paths: &[String], key: &str) -> f64 {
    let done = Arc::new(AtomicU64::new(0));
    let end = Instant::now() + TURN;
    let callers: Vec<_> = (0..CONNECTIONS)
        .map(|caller| {
            let (address, done) = (address.to_owned(), Arc::clone(&done));
            let request = |path: &String| {
                format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\n\r\n")
            };
            let requests: Vec<String> = paths.iter().map(request).collect();
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(&address).await.unwrap();
                stream.set_nodelay(true).unwrap();
                let mut buffer = vec![0; 1 << 20];
                for request in requests.iter().cycle().skip(caller * 7) {
                    stream.write_all(request.as_bytes()).await.unwrap();
                    let (mut have, mut want) = (0, usize::MAX);
                    while have < want {
                        let read = stream.read(&mut buffer[have..]).await.unwrap();
                        assert!(read > 0, "it was closed");
                        have += read;
                        if want == usize::MAX
                            && let Some(length) = length_of(&buffer[..have])
                        {
                            want = length;
                        }
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                    if Instant::now() > end {
                        break;
                    }
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    f64::from(u32::try_from(done.load(Ordering::Relaxed)).unwrap()) / TURN.as_secs_f64()
}

/// The length of a whole answer, once its head is there.
fn length_of(answer: &[u8]) -> Option<usize> {
    let head = answer.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&answer[..head]).unwrap();
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().unwrap())
    });
    Some(head + length.unwrap())
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn bare_node(size: usize) -> Node {
    Node::start(Command::new(std::env::current_exe().unwrap()).args(["bare", &size.to_string()]), "bare at")
}

async fn reads(folder: PathBuf) {
    let data = folder.join("reads");
    let node = Node::start(&mut countersign(&data), "http://");
    let key = fs::read_to_string(data.join("api-key")).unwrap().trim().to_owned();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let base = format!("http://{}/api/v1", node.address);
    let mut ids = Vec::new();
    for number in 0..DOMAINS {
        let body = json!({"domain": format!("m{number}.acme.test")});
        let request = http.post(format!("{base}/domains")).bearer_auth(&key).json(&body);
        let added: Value = request.send().await.unwrap().error_for_status().unwrap().json().await.unwrap();
        ids.push(added["id"].as_str().unwrap().to_owned());
    }
    // As domains are most of the time: right, and left alone. Ones that were just added are looked at every five seconds,
    // and a bench of reading would be one of checking.
    for id in &ids {
        let body = json!({"host": "playground", "apply": true});
        let request = http.post(format!("{base}/domains/{id}/change-sets")).bearer_auth(&key).json(&body);
        request.send().await.unwrap().error_for_status().unwrap().bytes().await.unwrap();
        let domain = http.get(format!("{base}/domains/{id}")).bearer_auth(&key);
        let domain: Value = domain.send().await.unwrap().json().await.unwrap();
        assert_eq!(domain["status"], "verified");
    }
    println!(
        "Reading, {CONNECTIONS} connections, SQLite, log at info into a file, {TURNS} turns of {TURN:?} each:"
    );
    let one = |id: &String| format!("/api/v1/domains/{id}");
    let cases = [
        ("GET /domains/{id}, one domain", vec![one(&ids[0])], false),
        ("GET /domains/{id}, 100 domains", ids.iter().map(one).collect(), false),
        ("GET /domains, 20 of them", vec!["/api/v1/domains".to_owned()], false),
        (
            "GET /domains/{id}, 100 domains, while one is checked ten times a second",
            ids.iter().map(one).collect(),
            true,
        ),
    ];
    for (what, paths, is_disturbed) in cases {
        let url = format!("http://{}{}", node.address, paths[0]);
        let size = http.get(url).bearer_auth(&key).send().await.unwrap().bytes().await.unwrap().len();
        let bare = bare_node(size);
        let (mut ours, mut bytes, mut json) = (Vec::new(), Vec::new(), Vec::new());
        for turn in 0..=TURNS {
            let stop = CancellationToken::new();
            if is_disturbed {
                let request = http.post(format!("{base}/domains/{}/verify", ids[0])).bearer_auth(&key);
                tokio::spawn(stop.clone().run_until_cancelled_owned(check_often(request)));
            }
            let read = load(&node.address, &paths, &key).await;
            stop.cancel();
            let rates = [
                read,
                load(&bare.address, &["/bytes/1".to_owned()], &key).await,
                load(&bare.address, &["/json/1".to_owned()], &key).await,
            ];
            // The first turn is for warming up.
            if turn > 0 {
                ours.push(rates[0]);
                bytes.push(rates[1]);
                json.push(rates[2]);
            }
        }
        let (ours, bytes, json) = (median(ours), median(bytes), median(json));
        println!("  {what}, {size} bytes: {ours:.0}/s");
        println!("    bare axum, the bytes at hand: {bytes:.0}/s, ratio {:.2}", ours / bytes);
        println!("    bare axum, Json(value):       {json:.0}/s, ratio {:.2}", ours / json);
    }
}

/// Asks for this again and again, ten times a second.
async fn check_often(request: reqwest::RequestBuilder) {
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    loop {
        ticks.tick().await;
        let answer = request.try_clone().unwrap().send().await.unwrap();
        answer.error_for_status().unwrap().bytes().await.unwrap();
    }
}

/// One INSERT and its commit, by so many callers.
async fn insert(url: &str, callers: usize, seconds: u64) {
    let store = Store::connect(url, StoreOptions::default()).await.unwrap();
    let (done, end) = (Arc::new(AtomicU64::new(0)), Instant::now() + Duration::from_secs(seconds));
    let org = store.first_organisation().await.unwrap().unwrap().id;
    let running: Vec<_> = (0..callers)
        .map(|caller| {
            let (store, done) = (store.clone(), Arc::clone(&done));
            tokio::spawn(async move {
                let mut number = 0_u128;
                while Instant::now() < end {
                    number += 1;
                    let now = jiff::Timestamp::from_millisecond(1_750_000_000_000).unwrap();
                    let event = store::NewEvent {
                        id: model::EventId::from_parts(
                            u64::from(std::process::id()),
                            number << 20 | caller as u128,
                        ),
                        org_id: org,
                        event_type: "bench".to_owned(),
                        subject: "bench".to_owned(),
                        data: "{}".to_owned(),
                        created_at: now,
                        trace_parent: None,
                    };
                    store.add_events(&[event]).await.unwrap();
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for caller in running {
        caller.await.unwrap();
    }
    let rate = f64::from(u32::try_from(done.load(Ordering::Relaxed)).unwrap())
        / f64::from(u32::try_from(seconds).unwrap());
    println!("{rate}");
    store.close().await;
}

const ADDERS: usize = 24;
const ADDING: Duration = Duration::from_secs(8);
const KEYS: u64 = 3 * 8_000;

async fn adds(folder: PathBuf) {
    let Some(programs) = postgres_server::programs() else {
        println!("no postgres (Debian package postgresql)");
        return;
    };
    let server = Arc::new(postgres_server::Server::start(programs, "fsync=on"));
    ask(&server, "postgres", "ALTER SYSTEM SET track_wal_io_timing = on");
    ask(&server, "postgres", "SELECT pg_reload_conf()");
    println!("POST /domains on PostgreSQL (fsync on), {ADDERS} callers, the key pool filled before:");
    for nodes in [1, 3] {
        let url = server.database(&format!("adds_{nodes}"));
        let started: Vec<Node> = (0..nodes)
            .map(|number| {
                let data = folder.join(format!("adds-{nodes}-{number}"));
                let mut command = countersign(&data);
                // The pool is filled below; nobody makes keys while it is measured.
                command.env("DATABASE_URL", &url).env("COUNTERSIGN_KEY_POOL", "0");
                command.env("COUNTERSIGN_MASTER_KEY", "07".repeat(32));
                Node::start(&mut command, "http://")
            })
            .collect();
        let key =
            fs::read_to_string(folder.join(format!("adds-{nodes}-0/api-key"))).unwrap().trim().to_owned();
        fill_pool(&url).await;
        let ceiling = ceiling(&url);
        let before: f64 = started.iter().map(Node::cpu).sum();
        let postgres_before = cpu_of_all("postgres");
        let work_before = Work::so_far(&server, &format!("adds_{nodes}"));
        let began = Instant::now();
        let stop = Arc::new(AtomicBool::new(false));
        let watched = watch_waits(Arc::clone(&server), format!("adds_{nodes}"), Arc::clone(&stop));
        let watched = tokio::spawn(watched);
        let rate = add(&started, &key).await;
        let took = began.elapsed().as_secs_f64();
        let ours = (started.iter().map(Node::cpu).sum::<f64>() - before) / took;
        let postgres = (cpu_of_all("postgres") - postgres_before) / took;
        println!(
            "  {nodes} node(s): {rate:.0}/s; INSERT and COMMIT alone {ceiling:.0}/s, ratio {:.2}; processors: nodes {ours:.2}, \
             PostgreSQL {postgres:.2}",
            rate / ceiling
        );
        let done = Work::so_far(&server, &format!("adds_{nodes}"));
        println!(
            "    transactions {:.0}/s, {:.1} for each domain with its first check; the log flushed {:.0} times a second, \
             which took {:.0} % of the time",
            (done.transactions - work_before.transactions) / took,
            (done.transactions - work_before.transactions) / took / rate,
            (done.flushes - work_before.flushes) / took,
            (done.flushing - work_before.flushing) / took * 100.0,
        );
        stop.store(true, Ordering::Relaxed);
        println!("    what its connections waited for, as often as seen: {:?}", watched.await.unwrap());
    }
}

fn ceiling(url: &str) -> f64 {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let output = command.args(["insert", url, &ADDERS.to_string(), "5"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

/// Keys as long as real ones: nothing is signed with them here.
async fn fill_pool(url: &str) {
    let store = Store::connect(url, StoreOptions::default()).await.unwrap();
    let filling: Vec<_> = (0..8_u64)
        .map(|part| {
            let store = store.clone();
            tokio::spawn(async move {
                for number in 0..KEYS / 8 {
                    let key = store::NewPoolKey {
                        id: model::KeyId::from_parts(1_750_000_000_000 + part, number.into()),
                        public_key: "A".repeat(392),
                        private_key: vec![7; 1_250].into(),
                        created_at: jiff::Timestamp::UNIX_EPOCH,
                    };
                    store.add_pool_key(&key).await.unwrap();
                }
            })
        })
        .collect();
    for part in filling {
        part.await.unwrap();
    }
    store.close().await;
}

/// Domains added a second, by callers who take the nodes in turns.
async fn add(nodes: &[Node], key: &str) -> f64 {
    let (done, end) = (Arc::new(AtomicU64::new(0)), Instant::now() + ADDING);
    let began = Instant::now();
    let callers: Vec<_> = (0..ADDERS)
        .map(|caller| {
            let (done, key) = (Arc::clone(&done), key.to_owned());
            let url = format!("http://{}/api/v1/domains", nodes[caller % nodes.len()].address);
            tokio::spawn(async move {
                let http = reqwest::Client::builder().no_proxy().build().unwrap();
                for number in 0.. {
                    let body = json!({"domain": format!("c{caller}-{number}.acme.test")});
                    let answer = http.post(&url).bearer_auth(&key).json(&body).send().await.unwrap();
                    answer.error_for_status().unwrap().bytes().await.unwrap();
                    done.fetch_add(1, Ordering::Relaxed);
                    if Instant::now() > end || done.load(Ordering::Relaxed) > KEYS / 3 - 100 {
                        break;
                    }
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    f64::from(u32::try_from(done.load(Ordering::Relaxed)).unwrap()) / began.elapsed().as_secs_f64()
}

/// What a database server has done since it started, as it tells itself.
struct Work {
    transactions: f64,
    flushes: f64,
    /// Seconds.
    flushing: f64,
}

impl Work {
    fn so_far(server: &postgres_server::Server, database: &str) -> Self {
        let told = ask(
            server,
            database,
            "SELECT (SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()), wal_sync,
                 wal_sync_time / 1000 FROM pg_stat_wal",
        );
        let numbers: Vec<f64> = told.trim().split('|').map(|number| number.parse().unwrap()).collect();
        Self { transactions: numbers[0], flushes: numbers[1], flushing: numbers[2] }
    }
}

/// One question to the server, by its own client.
fn ask(server: &postgres_server::Server, database: &str, query: &str) -> String {
    let psql = server.programs.join("psql");
    let mut command = postgres_server::command(&psql, &server.folder, server.user);
    command.arg("-h").arg(&server.folder).args(["-U", "postgres", "-At", "-d", database, "-c", query]);
    String::from_utf8(command.output().unwrap().stdout).unwrap()
}

/// What the connections of the server waited for, looked at ten times a second, until it is told to stop.
async fn watch_waits(
    server: Arc<postgres_server::Server>,
    database: String,
    stop: Arc<AtomicBool>,
) -> Vec<(String, u32)> {
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    while !stop.load(Ordering::Relaxed) {
        let (server, database) = (Arc::clone(&server), database.clone());
        let told = tokio::task::spawn_blocking(move || {
            ask(
                &server,
                &database,
                "SELECT COALESCE(wait_event_type || '/' || wait_event, 'running') FROM pg_stat_activity
                 WHERE state = 'active' AND application_name = 'countersign'",
            )
        })
        .await
        .unwrap();
        for line in told.lines() {
            *seen.entry(line.to_owned()).or_default() += 1;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut seen: Vec<_> = seen.into_iter().collect();
    seen.sort_by_key(|(_, times)| std::cmp::Reverse(*times));
    seen
}
