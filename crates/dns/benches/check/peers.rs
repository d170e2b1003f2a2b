//! Programs of others that do some of the same, where they are installed.

use crate::{report::Told, world};
use std::{net::SocketAddr, path::PathBuf, process::Command};

/// The load generator of the DNS world: asks and reads, and judges nothing.
pub fn dnsperf(server: SocketAddr, file: &str) -> Result<Told, String> {
    let mut command = Command::new("dnsperf");
    let port = server.port().to_string();
    command.args(["-s", "127.0.0.1", "-p", &port, "-d", &format!("{file}.txt"), "-q", "128", "-n", "1"]);
    command.args(["-c", "1", "-T", "1"]);
    let (told, output) =
        Told::by_program(&mut command).ok_or("not installed (Debian package dnsperf)".to_owned())?;
    let number = |name: &str| {
        let line = output.lines().find_map(|line| line.trim().strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<f64>().ok()
    };
    let queries = number("Queries completed:").ok_or("did not tell what it did")?;
    Ok(told.with("queries", queries))
}

/// A checker of mail records, as a library in one process: its start is not counted.
const CHECKDMARC: &str = r#"
import resource, sys, time, logging
logging.disable(logging.CRITICAL)
import checkdmarc, dns.nameserver
count = [0]
import dns.query
for kind in ("udp", "tcp"):
    plain = getattr(dns.query, kind)
    def counted(*args, _plain=plain, **named):
        count[0] += 1
        return _plain(*args, **named)
    setattr(dns.query, kind, counted)
# With its port: a resolver's port is not heeded where DNSSEC is looked at.
nameservers = [dns.nameserver.Do53Nameserver("127.0.0.1", int(sys.argv[1]))]
domains = sys.argv[2:]
def cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
before, started = cpu(), time.time()
for domain in domains:
    checkdmarc.check_domains([domain], nameservers=nameservers)
print("seconds=%f" % (time.time() - started))
print("cpu=%d" % ((cpu() - before) * 1e6))
print("queries=%d" % count[0])
"#;

pub fn checkdmarc(server: SocketAddr, sample: usize) -> Result<Told, String> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/venv/bin/python");
    let python = if root.is_file() { root } else { PathBuf::from("python3") };
    let mut command = Command::new(python);
    command.args(["-c", CHECKDMARC, &server.port().to_string()]);
    command.args((0..sample).map(world::name));
    let (_, output) = Told::by_program(&mut command)
        .ok_or("not installed (`pip install checkdmarc` in target/tools/venv)".to_owned())?;
    Ok(Told::read(&output))
}
