//! A PostgreSQL server, a proxy in front of it, a relay that counts, and nodes to start.

use crate::{
    postgres_server::{Server, command, launch, run},
    support::{Api, Folder, PATIENCE, Platform, text},
};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader as AsyncReader},
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
    time::sleep,
};

/// A `countersign serve` process.
pub struct Node {
    child: Mutex<Child>,
    id: u32,
    http: SocketAddr,
    /// Where its DNS server is.
    pub dns: SocketAddr,
    key: String,
}

impl Node {
    pub fn api(&self) -> Api {
        Api::new(self.http, &self.key)
    }

    pub fn api_with(&self, key: &str) -> Api {
        Api::new(self.http, key)
    }

    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.id.to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for its end.
    pub fn wait(&self) -> ExitStatus {
        self.child.lock().unwrap().wait().unwrap()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap();
        drop(child.kill());
        drop(child.wait());
    }
}

/// All that the nodes share.
pub struct Cluster {
    pub server: Server,
    pub proxy: Proxy,
    pub relay: Relay,
    world: Platform,
    folder: Folder,
    settings: HashMap<String, String>,
}

impl Cluster {
    pub const DATABASE: &str = "nodes";

    pub async fn start_or_skip(test: &str, settings: &[(&str, &str)]) -> Option<Self> {
        let server = Server::start_or_skip(&format!("countersign::nodes::{test}"))?;
        let url = server.database(Self::DATABASE);
        let proxy = Proxy::start(server.folder.join(".s.PGSQL.5432")).await;
        let relay = Relay::start().await;
        let world = Platform::start().await;
        let own = world.api.zone("send.nodes.test").await;
        world.api.publish(&own, "spf", "TXT", "v=spf1 ip4:198.51.100.7 -all", None).await;
        let folder = Folder::new();
        let given = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut settings: HashMap<String, String> = [
            ("DATABASE_URL", url.as_str()),
            ("LEASE_SECONDS", "5"),
            ("DRAIN_NOTICE_SECONDS", "0"),
            ("HTTP", "127.0.0.1:0"),
            ("DNS", "127.0.0.1:0"),
            ("SMTP", "127.0.0.1:0"),
            ("PUBLIC_HTTP", ""),
            ("OPERATOR_HTTP", "127.0.0.1:0"),
            ("PLATFORM_ZONE", "send.nodes.test"),
            ("SMTP_RELAY", &relay.address.to_string()),
            ("SMTP_RELAY_TLS", "opportunistic"),
            ("SENDER_ADDRESSES", "[\"198.51.100.7\"]"),
            ("RESOLVERS", &format!("[\"{}\"]", world.instance.dns)),
            ("PRIVATE_DNS", "true"),
            ("PRIVATE_WEBHOOK_TARGETS", "true"),
            ("KEY_POOL", "3"),
            ("LOG", "error"),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
        settings.extend(given);
        Some(Self { server, proxy, relay, world, folder, settings })
    }

    fn command(&self, url: Option<&str>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command
            .arg("serve")
            .arg("--data")
            .arg(&self.folder.0)
            .current_dir(&self.folder.0)
            .stdin(Stdio::null());
        for (name, value) in &self.settings {
            command.env(format!("COUNTERSIGN_{name}"), value);
        }
        if let Some(url) = url {
            command.env("COUNTERSIGN_DATABASE_URL", url);
        }
        command
    }

    pub async fn node(&self) -> Node {
        self.start(None).await
    }

    /// One that reaches the database only through the proxy.
    pub async fn node_behind_proxy(&self) -> Node {
        let url = format!("postgres://postgres@{}/{}?sslmode=disable", self.proxy.address, Self::DATABASE);
        self.start(Some(&url)).await
    }

    async fn start(&self, url: Option<&str>) -> Node {
        let mut child = self.command(url).stdout(Stdio::piped()).spawn().unwrap();
        let id = child.id();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let read = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            let mut http = None;
            loop {
                line.clear();
                assert!(out.read_line(&mut line).unwrap() > 0, "serve ended before it printed its addresses");
                if let Some(rest) = line.trim().strip_prefix("API ") {
                    let address = rest.trim().trim_start_matches("http://").split('/').next().unwrap();
                    http = Some(address.parse::<SocketAddr>().unwrap());
                }
                if let (Some(http), Some(rest)) = (http, line.trim().strip_prefix("DNS ")) {
                    let dns = rest.split_whitespace().next().unwrap().parse::<SocketAddr>().unwrap();
                    // Goes on being read, so that the node never waits for it.
                    std::thread::spawn(move || for _ in out.lines().map_while(Result::ok) {});
                    return (http, dns);
                }
            }
        });
        let (http, dns) = tokio::time::timeout(PATIENCE, read).await.unwrap().unwrap();
        let key = std::fs::read_to_string(self.folder.0.join("api-key")).unwrap().trim().to_owned();
        let node = Node { child: Mutex::new(child), id, http, dns, key };
        node.api().until_plain("/readyz", StatusCode::OK).await;
        node
    }

    /// What a node says that cannot start.
    pub fn refused_node(&self) -> String {
        let output = self.command(None).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Puts the records of a domain into the DNS of the world.
    pub async fn publish(&self, domain: &Value) {
        let zone = self.world.api.zone("acme.test").await;
        self.world.api.publish_all(&zone, domain).await;
    }

    pub async fn verified(&self, api: &Api, name: &str) -> Value {
        let domain =
            api.post("/domains", &json!({"domain": name, "profile": "two-txt", "warmup_days": 0})).await;
        self.publish(&domain).await;
        let path = format!("/domains/{}", text(&domain, "id"));
        api.post(&format!("{path}/verify"), &json!({})).await;
        api.until(&path, |domain| domain["status"] == "verified").await
    }

    /// All events, when nothing more comes.
    pub async fn feed(&self, api: &Api) -> Vec<Value> {
        let mut events = Vec::new();
        let mut after = String::new();
        loop {
            let page = api.get(&format!("/events?limit=100{after}")).await;
            events.extend(page["data"].as_array().unwrap().clone());
            after = format!("&after={}", text(&page, "next_cursor"));
            if page["has_more"] == false {
                return events;
            }
        }
    }
}

/// Ends the server as a loss of power would.
pub fn crash(server: &mut Server) {
    let mut stop = command(&server.programs.join("pg_ctl"), &server.folder, server.user);
    stop.args(["stop", "-m", "immediate", "-s", "-D"]).arg(server.folder.join("data"));
    run(stop);
    server.process.wait().unwrap();
}

/// Starts it again with what it had.
pub fn recover(server: &mut Server) {
    server.process =
        launch(&server.programs, &server.folder, server.user, &["fsync=off", "shared_buffers=32MB"]);
}

/// Runs statements past the platform.
pub fn query(server: &Server, statements: &str) {
    let mut psql = command(&server.programs.join("psql"), &server.folder, server.user);
    psql.arg("-h").arg(&server.folder).args(["-U", "postgres", "-d", Cluster::DATABASE]);
    psql.args(["-v", "ON_ERROR_STOP=1", "-q", "-c", statements]);
    run(psql);
}

/// Stands between a node and the database.
pub struct Proxy {
    pub address: SocketAddr,
    way: watch::Sender<Way>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Open,
    /// Nothing goes through, and nobody is told.
    Silent,
    /// Connections are closed.
    Closed,
}

impl Proxy {
    async fn start(socket: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (way, seen) = watch::channel(Way::Open);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (seen, socket) = (seen.clone(), socket.clone());
                tokio::spawn(async move { pass(client, socket, seen).await });
            }
        });
        Self { address, way }
    }

    pub fn cut(&self, silent: bool) {
        self.way.send_replace(if silent { Way::Silent } else { Way::Closed });
    }

    pub fn mend(&self) {
        self.way.send_replace(Way::Open);
    }
}

async fn pass(mut client: TcpStream, socket: PathBuf, mut seen: watch::Receiver<Way>) {
    if *seen.borrow_and_update() != Way::Open {
        if *seen.borrow() == Way::Silent {
            // Takes the connection and says nothing, until that is over.
            drop(seen.wait_for(|way| *way != Way::Silent).await);
        }
        return;
    }
    let Ok(mut server) = UnixStream::connect(socket).await else { return };
    let changed = tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => return,
        changed = seen.wait_for(|way| *way != Way::Open) => changed.map(|way| *way),
    };
    if matches!(changed, Ok(Way::Silent)) {
        drop(seen.wait_for(|way| *way != Way::Silent).await);
    }
    // What was held back is lost, as with a link that came back after the connections over it had died.
}

/// An SMTP server that takes everything, slowly if wanted, and counts.
#[derive(Clone)]
pub struct Relay {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    taken: Mutex<Vec<String>>,
    begun: AtomicU64,
    given_up: AtomicU64,
    held: AtomicU64,
    answer_after: AtomicU64,
    hold: watch::Sender<bool>,
    released: watch::Sender<bool>,
}

impl Relay {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            taken: Mutex::default(),
            begun: AtomicU64::new(0),
            given_up: AtomicU64::new(0),
            held: AtomicU64::new(0),
            answer_after: AtomicU64::new(0),
            hold: watch::Sender::new(false),
            released: watch::Sender::new(false),
        });
        let relay = Self { address, state };
        let accepting = relay.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let relay = accepting.clone();
                tokio::spawn(async move { drop(relay.session(stream).await) });
            }
        });
        relay
    }

    /// The reply to each message comes after so long.
    pub fn answer_after(&self, time: Duration) {
        self.state.answer_after.store(u64::try_from(time.as_millis()).unwrap(), Ordering::Relaxed);
    }

    /// Sessions that begin while this is on get no go-ahead for their message, until they are released.
    pub fn hold(&self, on: bool) {
        self.state.hold.send_replace(on);
    }

    pub fn release(&self) {
        self.state.released.send_replace(true);
    }

    /// Whom a message was taken for, in order, as often as it was.
    pub fn taken(&self) -> Vec<String> {
        self.state.taken.lock().unwrap().clone()
    }

    pub async fn until(&self, done: impl Fn(&[String]) -> bool) {
        wait("messages", || done(&self.taken())).await;
    }

    pub async fn until_held(&self, count: u64) {
        wait("held sessions", || self.state.held.load(Ordering::Relaxed) >= count).await;
    }

    pub async fn until_begun(&self, count: u64) {
        wait("whole messages", || self.state.begun.load(Ordering::Relaxed) >= count).await;
    }

    /// Sessions that ended in the middle of a message.
    pub async fn until_given_up(&self, count: u64) {
        wait("sessions given up", || self.state.given_up.load(Ordering::Relaxed) >= count).await;
    }

    async fn session(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut stream = AsyncReader::new(stream);
        stream.write_all(b"220 relay\r\n").await?;
        let mut recipient = String::new();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
            match verb.as_str() {
                "RCPT" => {
                    line.trim()
                        .trim_start_matches("RCPT TO:<")
                        .split('>')
                        .next()
                        .unwrap_or_default()
                        .clone_into(&mut recipient);
                    stream.write_all(b"250 ok\r\n").await?;
                }
                "DATA" => {
                    if *self.state.hold.borrow() {
                        self.state.held.fetch_add(1, Ordering::Relaxed);
                        drop(self.state.released.subscribe().wait_for(|released| *released).await);
                    }
                    stream.write_all(b"354 go ahead\r\n").await?;
                    if !self.message(&mut stream).await? {
                        self.state.given_up.fetch_add(1, Ordering::Relaxed);
                        return Ok(());
                    }
                    self.state.begun.fetch_add(1, Ordering::Relaxed);
                    sleep(Duration::from_millis(self.state.answer_after.load(Ordering::Relaxed))).await;
                    // From here on the message is the relay's, whether the sender hears it or not.
                    self.state.taken.lock().unwrap().push(recipient.clone());
                    stream.write_all(b"250 taken\r\n").await?;
                }
                "QUIT" => {
                    stream.write_all(b"221 bye\r\n").await?;
                    return Ok(());
                }
                _ => stream.write_all(b"250 ok\r\n").await?,
            }
        }
    }

    /// Whether it came to its end.
    async fn message(&self, stream: &mut AsyncReader<TcpStream>) -> std::io::Result<bool> {
        loop {
            let mut line = Vec::new();
            let read = stream.read_until(b'\n', &mut line).await;
            match read {
                Ok(0) | Err(_) => return Ok(false),
                Ok(_) if line == b".\r\n" => return Ok(true),
                Ok(_) => {}
            }
        }
    }
}

async fn wait(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "{what} did not come");
        sleep(Duration::from_millis(10)).await;
    }
}
