//! Real servers: BIND, Knot and PowerDNS, each in a folder of its own on free ports, and what is in their zones by the
//! tools of others.

use crate::suite::{Content, ZONE, seed};
use model::{Caa, DomainName, Record, RecordData, Srv, TxtData};
use std::{
    fmt::Write as _,
    io::{BufRead as _, BufReader, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

/// How long a server may take to start.
const START_LIMIT: Duration = Duration::from_secs(20);

/// The key that may write.
pub const KEY: &str = "writer.test";
/// Its secret.
pub const SECRET: &str = "c2VjcmV0LW9mLXRoZS1jdXN0b21lci0wMTIzNDU2Nzg5";
/// A key that may write texts only, and not transfer.
pub const NARROW: &str = "narrow.test";

/// A running server. Dropping it ends it and removes its folder.
pub struct Server {
    child: Child,
    folder: PathBuf,
    pub dns: SocketAddr,
    pub http: SocketAddr,
    /// Whether tools sign what they ask.
    is_signed: bool,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// A program, where programs of the system are.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/usr/bin", "/sbin"].map(PathBuf::from));
    folders.map(|folder| folder.join(name)).find(|program| program.is_file())
}

/// Whether all programs are there. Where one is not, the test is counted as skipped.
pub fn has(case: &str, programs: &[&str]) -> bool {
    let missing = programs.iter().find(|name| find(name).is_none());
    if let Some(name) = missing {
        skip(case, name);
    }
    missing.is_none()
}

#[expect(clippy::print_stderr, reason = "`cargo xtask test` reads what was skipped")]
fn skip(case: &str, name: &str) {
    let reason = format!("{case}: no {name}; `cargo xtask setup` installs it");
    if let Some(tools) = std::env::var_os("COUNTERSIGN_TOOLS") {
        let path = PathBuf::from(tools).join("skipped.log");
        let mut log = std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
        writeln!(log, "{reason}").unwrap();
    }
    eprintln!("skipped: {reason}");
}

/// A port that is free for UDP and TCP.
fn free_port() -> u16 {
    loop {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        if UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

fn folder(of: &str) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("countersign-{of}-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Starts a program and waits for the line in which it says that it is ready.
fn started(command: &mut Command, ready: &'static str) -> Child {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let stderr = child.stderr.take().unwrap();
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        // Read to its end, so that the program never waits for that.
        BufReader::new(stderr).lines().map_while(Result::ok).for_each(|line| drop(sender.send(line)));
    });
    let ends = Instant::now() + START_LIMIT;
    let mut said = String::new();
    while let Ok(line) = lines.recv_timeout(ends.saturating_duration_since(Instant::now())) {
        if line.contains(ready) {
            return child;
        }
        let _ = writeln!(said, "{line}");
    }
    drop(child.kill());
    drop(child.wait());
    panic!("{command:?} did not start:\n{said}");
}

fn zone_file(folder: &Path) -> PathBuf {
    let path = folder.join("zone");
    let text = format!(
        "$ORIGIN {ZONE}.\n$TTL 300\n@ SOA ns1 hostmaster 1 3600 600 86400 300\n@ NS ns1.others.test.\n"
    );
    std::fs::write(&path, text).unwrap();
    path
}

/// BIND with the seeded zone.
pub fn bind(case: &str) -> Option<Server> {
    has(case, &["named", "dig", "nsupdate"]).then_some(())?;
    let (folder, port) = (folder("bind"), free_port());
    let at = folder.display();
    let keys: String = [KEY, NARROW]
        .map(|key| format!("key \"{key}\" {{ algorithm hmac-sha256; secret \"{SECRET}\"; }};\n"))
        .concat();
    let configuration = format!(
        "options {{ directory \"{at}\"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; \
         recursion no; pid-file \"{at}/pid\"; session-keyfile \"{at}/session.key\"; dnssec-validation no; \
         notify no; }};\ncontrols {{ }};\n{keys}zone \"{ZONE}\" {{ type primary; file \"{}\"; \
         update-policy {{ grant {KEY} zonesub ANY; grant {NARROW} zonesub TXT; }}; \
         allow-transfer {{ key {KEY}; }}; }};\n",
        zone_file(&folder).display()
    );
    let path = folder.join("named.conf");
    std::fs::write(&path, configuration).unwrap();
    let mut command = Command::new(find("named")?);
    let child = started(command.args(["-g", "-n", "1", "-c"]).arg(path), "running");
    Some(Server::new(child, folder, port, 0, true).seeded())
}

/// Knot with the seeded zone.
pub fn knot(case: &str) -> Option<Server> {
    has(case, &["knotd", "dig", "nsupdate"]).then_some(())?;
    let (folder, port) = (folder("knot"), free_port());
    let at = folder.display();
    let keys: String = [KEY, NARROW]
        .map(|key| format!("  - id: {key}\n    algorithm: hmac-sha256\n    secret: {SECRET}\n"))
        .concat();
    let configuration = format!(
        "server:\n  rundir: {at}\n  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\n  \
         listen: 127.0.0.1@{port}\nlog:\n  - target: stderr\n    any: info\ndatabase:\n  storage: {at}\n\
         key:\n{keys}acl:\n  - id: all\n    key: {KEY}\n    action: [transfer, update]\n  - id: texts\n    \
         key: {NARROW}\n    action: update\n    update-type: TXT\nzone:\n  - domain: {ZONE}\n    \
         file: {}\n    zonefile-sync: -1\n    acl: [all, texts]\n",
        zone_file(&folder).display()
    );
    let path = folder.join("knot.conf");
    std::fs::write(&path, configuration).unwrap();
    let child = started(Command::new(find("knotd")?).arg("-c").arg(path), "server started");
    Some(Server::new(child, folder, port, 0, true).seeded())
}

/// moto, which has much of Amazon's services; no zone is in it.
pub fn moto(case: &str) -> Option<Server> {
    let tools = std::env::var_os("COUNTERSIGN_TOOLS").map(PathBuf::from);
    let tools = tools.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools"));
    let program = Some(tools.join("venv/bin/moto_server")).filter(|program| program.is_file());
    let Some(program) = program.or_else(|| find("moto_server")) else {
        skip(case, "moto_server");
        return None;
    };
    let (folder, port) = (folder("moto"), free_port());
    let mut command = Command::new(program);
    let child = started(command.args(["-H", "127.0.0.1", "-p", &port.to_string()]), "Running on");
    Some(Server::new(child, folder, 0, port, false))
}

/// The key of PowerDNS' API.
pub const API_KEY: &str = "s3cr3t-key-of-the-api-0123456789";

const PDNS_SCHEMA: &str = "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql";

/// PowerDNS with the seeded zone, and one of which it has a copy.
pub fn powerdns(case: &str) -> Option<Server> {
    has(case, &["pdns_server", "dig", "nsupdate", "python3"]).then_some(())?;
    if !Path::new(PDNS_SCHEMA).is_file() {
        skip(case, "pdns-backend-sqlite3");
        return None;
    }
    let (folder, port, http) = (folder("pdns"), free_port(), free_port());
    let at = folder.display().to_string();
    let database = format!("{at}/zones.sqlite3");
    let fill = format!(
        "import sqlite3\nc = sqlite3.connect('{database}')\nc.executescript(open('{PDNS_SCHEMA}').read())\n\
         c.execute(\"insert into domains (id, name, type) values (1, '{ZONE}', 'NATIVE')\")\n\
         c.execute(\"insert into domains (id, name, type, master) values (2, 'copy.test', 'SLAVE', '127.0.0.1')\")\n\
         c.execute(\"insert into records (domain_id, name, type, content, ttl, auth) values (1, '{ZONE}', 'SOA', \
         'ns1.others.test hostmaster.others.test 1 3600 600 86400 300', 300, 1)\")\n\
         c.execute(\"insert into records (domain_id, name, type, content, ttl, auth) values (1, '{ZONE}', 'NS', \
         'ns1.others.test', 300, 1)\")\nc.commit()\n"
    );
    let filled = Command::new(find("python3")?).arg("-c").arg(fill).status().unwrap();
    assert!(filled.success());
    let settings = [
        "launch=gsqlite3".to_owned(),
        format!("gsqlite3-database={database}"),
        format!("config-dir={at}"),
        format!("socket-dir={at}"),
        "local-address=127.0.0.1".to_owned(),
        format!("local-port={port}"),
        "api=yes".to_owned(),
        format!("api-key={API_KEY}"),
        "webserver=yes".to_owned(),
        "webserver-address=127.0.0.1".to_owned(),
        "webserver-allow-from=127.0.0.1".to_owned(),
        format!("webserver-port={http}"),
        "dnsupdate=yes".to_owned(),
        "allow-dnsupdate-from=127.0.0.1".to_owned(),
        "allow-axfr-ips=127.0.0.1".to_owned(),
        "cache-ttl=0".to_owned(),
        "query-cache-ttl=0".to_owned(),
        "negquery-cache-ttl=0".to_owned(),
        "zone-cache-refresh-interval=0".to_owned(),
        "zone-metadata-cache-ttl=0".to_owned(),
        "daemon=no".to_owned(),
        "guardian=no".to_owned(),
        "write-pid=no".to_owned(),
        "disable-syslog=yes".to_owned(),
        "loglevel=5".to_owned(),
        "distributor-threads=1".to_owned(),
        "receiver-threads=1".to_owned(),
        "security-poll-suffix=".to_owned(),
    ];
    let mut command = Command::new(find("pdns_server")?);
    let child = started(
        command.args(settings.iter().map(|setting| format!("--{setting}"))),
        "Creating backend connection",
    );
    let server = Server::new(child, folder, port, http, false);
    let ends = Instant::now() + START_LIMIT;
    while std::net::TcpStream::connect(server.http).is_err() {
        assert!(Instant::now() < ends, "no answer");
    }
    Some(server.seeded())
}

fn added(record: &Record) -> String {
    format!("update add {}\n", line(record))
}

impl Server {
    fn new(child: Child, folder: PathBuf, dns: u16, http: u16, is_signed: bool) -> Self {
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self { child, folder, dns: at(dns), http: at(http), is_signed }
    }

    /// Puts the seed in, when the server answers: the line that says so may come before the last thread is there.
    fn seeded(self) -> Self {
        let ends = Instant::now() + START_LIMIT;
        while self.text_of_zone().is_empty() {
            assert!(Instant::now() < ends, "no answer");
        }
        self.update(&seed().iter().map(added).collect::<String>());
        self
    }

    /// Writes as nsupdate does.
    pub fn update(&self, commands: &str) {
        let key = if self.is_signed { format!("key hmac-sha256:{KEY} {SECRET}\n") } else { String::new() };
        let text = format!("server 127.0.0.1 {}\n{key}zone {ZONE}\n{commands}send\n", self.dns.port());
        let mut child = Command::new(find("nsupdate").unwrap())
            .arg("-v")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    }

    pub fn put(&self, record: &Record) {
        self.update(&added(record));
    }

    pub fn take(&self, record: &Record) {
        self.update(&format!("update delete {}\n", line(record)));
    }

    fn text_of_zone(&self) -> String {
        let mut command = Command::new(find("dig").unwrap());
        command.args(["@127.0.0.1", "-p", &self.dns.port().to_string(), ZONE, "AXFR", "+onesoa", "+nocmd"]);
        command.args(["+nostats", "+nocomments", "+tries=1"]);
        if self.is_signed {
            command.args(["-y", &format!("hmac-sha256:{KEY}:{SECRET}")]);
        }
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        if text.contains("SOA") { text } else { String::new() }
    }

    /// The zone as dig transfers it, without SOA and NS of its topmost name.
    pub fn content(&self) -> Content {
        let text = self.text_of_zone();
        assert!(!text.is_empty(), "no transfer");
        let records = text.lines().filter(|line| !line.starts_with(';') && !line.is_empty()).map(read);
        let is_own = |owner: &DomainName, data: &RecordData| {
            matches!(data, RecordData::Soa(_)) || matches!(data, RecordData::Ns(_)) && owner.as_str() == ZONE
        };
        let records: Vec<(DomainName, RecordData)> = records
            .filter_map(|(owner, data)| data.map(|data| (owner, data)))
            .filter(|(o, d)| !is_own(o, d))
            .collect();
        let content: Content = records.iter().cloned().collect();
        assert_eq!(content.len(), records.len(), "none twice");
        content
    }
}

/// A record as nsupdate takes it.
fn line(record: &Record) -> String {
    let data = match &record.data {
        RecordData::Cname(name) | RecordData::Ns(name) => name.absolute(),
        RecordData::Mx { preference, exchange } => format!("{preference} {}", exchange.absolute()),
        RecordData::Txt(text) => text.strings().map(quoted).collect::<Vec<_>>().join(" "),
        data => match Srv::from_data(data) {
            Some(srv) => format!("{} {} {} {}", srv.priority, srv.weight, srv.port, srv.target.absolute()),
            None => data.to_string(),
        },
    };
    format!("{} {} {} {data}", record.owner.absolute(), record.ttl, record.data.record_type())
}

fn quoted(string: &[u8]) -> String {
    let octets = string.iter().map(|&octet| match octet {
        b'"' | b'\\' => format!("\\{}", char::from(octet)),
        b' '..=b'~' => char::from(octet).to_string(),
        _ => format!("\\{octet:03}"),
    });
    format!("\"{}\"", octets.collect::<String>())
}

/// A line of dig; no data for a SOA record and a signature.
fn read(line: &str) -> (DomainName, Option<RecordData>) {
    let mut words = line.split_ascii_whitespace();
    let owner = DomainName::parse(words.next().unwrap()).unwrap();
    let kind = words.nth(2).unwrap();
    let rest: Vec<&str> = words.collect();
    let name = |text: &str| if text == "." { DomainName::root() } else { DomainName::parse(text).unwrap() };
    let number = |text: &str| text.parse::<u16>().unwrap();
    let data = match kind {
        "SOA" | "TSIG" => return (owner, None),
        "A" => RecordData::A(rest[0].parse().unwrap()),
        "AAAA" => RecordData::Aaaa(rest[0].parse().unwrap()),
        "CNAME" => RecordData::Cname(name(rest[0])),
        "NS" => RecordData::Ns(name(rest[0])),
        "MX" => RecordData::Mx { preference: number(rest[0]), exchange: name(rest[1]) },
        "SRV" => {
            let [priority, weight, port] = [0, 1, 2].map(|at| number(rest[at]));
            Srv { priority, weight, port, target: name(rest[3]) }.to_data()
        }
        "CAA" => Caa::parse(&rest.join(" ")).unwrap().to_data(),
        "TXT" => RecordData::Txt(strings(line.split_once("TXT").unwrap().1)),
        other => panic!("{other} was not expected"),
    };
    (owner, Some(data))
}

fn strings(text: &str) -> TxtData {
    let mut strings: Vec<Vec<u8>> = Vec::new();
    let mut octets = text.bytes();
    while let Some(octet) = octets.next() {
        if octet != b'"' {
            continue;
        }
        let mut string = Vec::new();
        loop {
            match octets.next().unwrap() {
                b'"' => break,
                b'\\' => match octets.next().unwrap() {
                    digit @ b'0'..=b'9' => {
                        let digits = [digit, octets.next().unwrap(), octets.next().unwrap()];
                        string.push(std::str::from_utf8(&digits).unwrap().parse().unwrap());
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
