//! What answers: a name server of others where one is installed, else ours; one that answers any name; and a way to
//! a server that takes its time. All in processes of their own, so that a client's CPU can be told.

use crate::world;
use arc_swap::ArcSwap;
use dns::authority::{Server, Zone, ZoneSetBuilder};
use model::DomainName;
use std::{
    fmt::Write,
    fs,
    io::{BufRead, BufReader},
    net::{SocketAddr, UdpSocket},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// A server that ends with this.
pub struct Running {
    pub what: String,
    pub address: SocketAddr,
    child: Child,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts NSD with all zones, or this program's own server.
pub fn authority(folder: &Path, domains: usize) -> Running {
    let port = free_port();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let zones = folder.join("zones");
    fs::create_dir_all(&zones).unwrap();
    for number in 0..domains {
        fs::write(zones.join(world::name(number)), world::zone(number)).unwrap();
    }
    fs::write(zones.join("platform.test"), world::platform_zone(domains)).unwrap();
    fs::write(zones.join("root"), world::ROOT_ZONE).unwrap();
    let running = nsd(folder, port, domains).unwrap_or_else(|| {
        let mut running = own(&["serve", &folder.to_string_lossy(), &port.to_string(), &domains.to_string()]);
        running.what = "dns::authority of this project (no nsd installed)".into();
        running.address = address;
        running
    });
    wait_for(address);
    wait_for(SocketAddr::from(([127, 0, 0, 2], port)));
    running
}

fn nsd(folder: &Path, port: u16, domains: usize) -> Option<Running> {
    let path = folder.to_string_lossy();
    let mut text = format!(
        "server:\n ip-address: 127.0.0.1@{port}\n ip-address: 127.0.0.2@{port}\n server-count: 1\n do-ip6: no\n \
         username: \"\"\n zonesdir: \"{path}/zones\"\n pidfile: \"{path}/nsd.pid\"\n database: \"\"\n \
         zonelistfile: \"{path}/zone.list\"\n xfrdfile: \"{path}/xfrd.state\"\n xfrdir: \"{path}\"\n \
         rrl-ratelimit: 0\n rrl-whitelist-ratelimit: 0\nremote-control:\n control-enable: no\n"
    );
    let mut add = |name: &str, file: &str| {
        let _ = writeln!(text, "zone:\n name: \"{name}\"\n zonefile: \"{file}\"");
    };
    add(".", "root");
    add("platform.test", "platform.test");
    for name in (0..domains).map(world::name) {
        add(&name, &name);
    }
    let file = folder.join("nsd.conf");
    fs::write(&file, text).unwrap();
    let program = ["nsd", "/usr/sbin/nsd"].into_iter().find(|program| {
        Command::new(program).arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    })?;
    let child = Command::new(program)
        .arg("-d")
        .arg("-c")
        .arg(&file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    Some(Running { what: "NSD, one server process".to_owned(), address, child })
}

/// This program again, in the part of a server; it prints its port when it is ready.
pub fn own(arguments: &[&str]) -> Running {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let port: u16 = line.trim().parse().unwrap();
    Running { what: String::new(), address: SocketAddr::from(([127, 0, 0, 1], port)), child }
}

fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Until a server answers anything.
fn wait_for(address: SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let query = b"\x00\x07\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x08platform\x04test\x00\x00\x06\x00\x01";
    let ends = Instant::now() + Duration::from_mins(2);
    while Instant::now() < ends {
        let _ = socket.send_to(query, address);
        let mut answer = [0; 512];
        if socket.recv(&mut answer).is_ok() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("no server at {address}");
}

/// Our own server with the zones of a folder.
pub async fn serve(folder: &str, port: u16, domains: usize) {
    let zones = Path::new(folder).join("zones");
    let mut builder = ZoneSetBuilder::new(1);
    let mut add = |apex: DomainName, file: &str| {
        let text = fs::read_to_string(zones.join(file)).unwrap();
        builder.add(&Zone::from_text(&apex, &text, true).unwrap()).unwrap();
    };
    add(DomainName::root(), "root");
    add(DomainName::parse("platform.test").unwrap(), "platform.test");
    for name in (0..domains).map(world::name) {
        add(DomainName::parse(&name).unwrap(), &name);
    }
    let zones = Arc::new(ArcSwap::from_pointee(builder.build()));
    let mut tasks = Vec::new();
    for last in [1, 2] {
        let address = SocketAddr::from(([127, 0, 0, last], port));
        let server = Server::bind(address, Arc::clone(&zones)).await.unwrap();
        tasks.push(tokio::spawn(server.run(CancellationToken::new())));
    }
    println!("{port}");
    for task in tasks {
        let _ = task.await;
    }
}

/// Passes packets on after a delay, in both addresses that the zones name, and answers back.
pub async fn delay(upstream: SocketAddr, delay: Duration) {
    let port = loop {
        let first = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = first.local_addr().unwrap().port();
        if let Ok(second) = tokio::net::UdpSocket::bind(("127.0.0.2", port)).await {
            tokio::spawn(pass_on(Arc::new(first), upstream, delay));
            tokio::spawn(pass_on(Arc::new(second), upstream, delay));
            break port;
        }
    };
    println!("{port}");
    std::future::pending::<()>().await;
}

async fn pass_on(socket: Arc<tokio::net::UdpSocket>, upstream: SocketAddr, delay: Duration) {
    let mut buffer = [0; 1500];
    loop {
        let Ok((length, client)) = socket.recv_from(&mut buffer).await else { continue };
        let (packet, socket) = (buffer[..length].to_vec(), Arc::clone(&socket));
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            let beyond = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
            beyond.connect(upstream).await.unwrap();
            beyond.send(&packet).await.unwrap();
            let mut answer = [0; 4096];
            if let Ok(Ok(length)) =
                tokio::time::timeout(Duration::from_secs(1), beyond.recv(&mut answer)).await
            {
                let _ = socket.send_to(&answer[..length], client).await;
            }
        });
    }
}

/// Answers any name of the bench as if its records were right, without any zone.
pub fn respond() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    println!("{}", socket.local_addr().unwrap().port());
    let keys = [0, 1, 2].map(world::key);
    let mut buffer = [0; 1500];
    loop {
        let Ok((length, client)) = socket.recv_from(&mut buffer) else { continue };
        if let Some(answer) = answer(&buffer[..length], &keys) {
            let _ = socket.send_to(&answer, client);
        }
    }
}

fn answer(query: &[u8], keys: &[String; 3]) -> Option<Vec<u8>> {
    let (mut at, mut labels) = (12, Vec::new());
    while let Some(&length @ 1..) = query.get(at) {
        labels.push(std::str::from_utf8(query.get(at + 1..at + 1 + usize::from(length))?).ok()?);
        at += usize::from(length) + 1;
    }
    let record_type = *query.get(at + 2)?;
    let mut out = query.get(..at + 5)?.to_vec();
    out[2] |= 0x84;
    out[4..12].copy_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0]);
    let mut add = |owner: usize, record_type: u8, data: &[u8]| {
        out.extend_from_slice(&(0xc000 | u16::try_from(owner).unwrap()).to_be_bytes());
        out.extend_from_slice(&[0, record_type, 0, 1, 0, 0, 14, 16]);
        out.extend_from_slice(&u16::try_from(data.len()).unwrap().to_be_bytes());
        let data_at = out.len();
        out.extend_from_slice(data);
        out[7] += 1;
        data_at
    };
    match (labels.as_slice(), record_type) {
        ([token, "_domainkey", ..], 16) => {
            let key = &keys[usize::from(token.as_bytes()[0] - b'a') % 3];
            let alias = add(12, 5, &wire_name(&[token, "dkim", "platform", "test"]));
            add(alias, 16, &text(&format!("v=DKIM1; k=rsa; p={key}")));
        }
        (["_dmarc", ..], 16) => {
            add(12, 16, &text("v=DMARC1; p=none"));
        }
        (["spf", "platform", "test"], 16) => {
            add(12, 16, &text("v=spf1 ip4:192.0.2.0/24 -all"));
        }
        ([_, "test"] | ["bounce", ..], 16) => {
            add(12, 16, &text("v=spf1 include:spf.platform.test ~all"));
        }
        (["bounce", ..], 15) => {
            let exchange = [&[0, 10], wire_name(&["feedback", "platform", "test"]).as_slice()].concat();
            add(12, 15, &exchange);
        }
        (["feedback", ..], 1) => {
            add(12, 1, &[192, 0, 2, 25]);
        }
        _ => {}
    }
    Some(out)
}

fn wire_name(labels: &[&str]) -> Vec<u8> {
    let mut out = Vec::new();
    for label in labels {
        out.push(u8::try_from(label.len()).unwrap());
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    out
}

fn text(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for part in text.as_bytes().chunks(255) {
        out.push(u8::try_from(part.len()).unwrap());
        out.extend_from_slice(part);
    }
    out
}
