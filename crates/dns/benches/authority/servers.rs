//! The servers, each as a child that ends with us.

use crate::world;
use arc_swap::ArcSwap;
use dns::authority::{Cookies, KeyTable, Options, Server, Zone, ZoneSetBuilder};
use model::DomainName;
use std::{
    env, fs,
    io::{BufRead, BufReader},
    net::{SocketAddr, UdpSocket},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

pub const OURS: &str = "ours";

pub struct Running {
    pub what: &'static str,
    pub address: SocketAddr,
    pub load: Duration,
    child: Child,
}

impl Drop for Running {
    fn drop(&mut self) {
        // NSD's own processes end when it is asked to, not when it is killed.
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").arg(&pid).status();
        for _ in 0..50 {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    /// This process and its children.
    fn processes(&self) -> Vec<u32> {
        let mut processes = vec![self.child.id()];
        let all: Vec<(u32, u32)> = fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
                let parent = stat(pid)?.get(1)?.parse().ok()?;
                Some((pid, parent))
            })
            .collect();
        let mut at = 0;
        while let Some(parent) = processes.get(at).copied() {
            processes.extend(all.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
            at += 1;
        }
        processes
    }

    /// Seconds of CPU so far.
    pub fn cpu(&self) -> f64 {
        let ticks = |pid| {
            let stat = stat(pid).unwrap_or_default();
            let number =
                |at: usize| stat.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or_default();
            number(11) + number(12)
        };
        // USER_HZ is 100 wherever Linux runs.
        self.processes().into_iter().map(ticks).sum::<f64>() / 100.0
    }

    /// Octets: resident of the largest process, and what all of them have together (PSS).
    pub fn memory(&self) -> (f64, f64) {
        let of = |pid: u32, name: &str| {
            let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix(name).map(str::to_owned));
            let number = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
            number.unwrap_or_default() * 1024.0
        };
        let processes = self.processes();
        let resident = processes.iter().map(|pid| of(*pid, "Rss:")).fold(0.0, f64::max);
        (resident, processes.iter().map(|pid| of(*pid, "Pss:")).sum())
    }
}

/// The fields behind the name of a process.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Starts a program and waits until it answers for the zone.
fn start(what: &'static str, command: &mut Command, port: u16) -> Option<Running> {
    let started = Instant::now();
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut running = Running { what, address, load: Duration::ZERO, child };
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let query = b"\x00\x07\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04send\x04test\x00\x00\x06\x00\x01";
    while started.elapsed() < Duration::from_mins(2) {
        let _ = socket.send_to(query, address);
        let mut answer = [0; 512];
        // The server may be there before its zone is.
        if socket.recv(&mut answer).is_ok() && answer[3].trailing_zeros() >= 4 && answer[7] == 1 {
            running.load = started.elapsed();
            return Some(running);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    println!("{what} did not start");
    None
}

pub fn knot(folder: &Path, workers: usize) -> Option<Running> {
    let port = free_port();
    let path = folder.join("knot");
    fs::create_dir_all(&path).unwrap();
    let (here, zone) = (path.display(), folder.join(world::APEX));
    let text = format!(
        "server:\n  rundir: {here}\n  listen: 127.0.0.1@{port}\n  udp-workers: {workers}\n  tcp-workers: 1\n  \
         background-workers: 1\ndatabase:\n  storage: {here}\nzone:\n  - domain: {apex}\n    file: {zone}\n    \
         zonefile-sync: -1\n    journal-content: none\n    semantic-checks: off\n",
        apex = world::APEX,
        zone = zone.display()
    );
    fs::write(path.join("knot.conf"), text).unwrap();
    start("Knot", Command::new("knotd").arg("-c").arg(path.join("knot.conf")), port)
}

pub fn nsd(folder: &Path, workers: usize) -> Option<Running> {
    let port = free_port();
    let path = folder.join("nsd");
    fs::create_dir_all(&path).unwrap();
    let (here, zone) = (path.display(), folder.join(world::APEX));
    let text = format!(
        "server:\n ip-address: 127.0.0.1@{port}\n server-count: {workers}\n do-ip6: no\n username: \"\"\n \
         zonesdir: \"{here}\"\n pidfile: \"{here}/nsd.pid\"\n database: \"\"\n zonelistfile: \"{here}/zone.list\"\n \
         xfrdfile: \"{here}/xfrd.state\"\n xfrdir: \"{here}\"\n rrl-ratelimit: 0\n rrl-whitelist-ratelimit: 0\n\
         remote-control:\n control-enable: no\nzone:\n name: \"{apex}\"\n zonefile: \"{zone}\"\n",
        apex = world::APEX,
        zone = zone.display()
    );
    fs::write(path.join("nsd.conf"), text).unwrap();
    let program = ["/usr/sbin/nsd", "nsd"].into_iter().find(|program| {
        Command::new(program).arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    })?;
    start("NSD", Command::new(program).arg("-d").arg("-c").arg(path.join("nsd.conf")), port)
}

/// This program again, in the part of a server; it prints its port when it is ready.
pub fn ours(names: usize, workers: usize) -> Running {
    let started = Instant::now();
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["serve", &names.to_string(), &workers.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let port: u16 = line.trim().parse().unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    Running { what: OURS, address, load: started.elapsed(), child }
}

/// Our server with the zone.
pub fn serve(names: usize, workers: usize) {
    let apex = DomainName::parse(world::APEX).unwrap();
    let zone = Zone::from_text(&apex, world::HEAD, false).unwrap();
    let mut keys = KeyTable::new(&apex.prepend("dkim").unwrap(), 300).unwrap();
    keys.reserve(names);
    for number in 0..names {
        keys.insert(&world::selector(number), &world::text(number)).unwrap();
    }
    keys.shrink();
    let mut builder = ZoneSetBuilder::new(1);
    builder.add_with_keys(&zone, keys).unwrap();
    let zones = Arc::new(ArcSwap::from_pointee(builder.build()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(async move {
        // As it is served to strangers, with a bound that is out of the way: counting costs what it costs.
        let options = Options {
            workers,
            rate_limit: Some((100_000, [7; 16])),
            cookies: Some(Cookies::new([7; 16])),
            ..Options::default()
        };
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = Server::bind_with(address, zones, options).await.unwrap();
        println!("{}", server.local_addr().port());
        server.run(CancellationToken::new()).await;
    });
}
