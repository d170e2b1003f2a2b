//! A network of one's own: a namespace with a loopback interface and any addresses on it.

use std::{
    io,
    net::IpAddr,
    process::{Command, Output, Stdio},
};

/// What tells a test that it runs inside, and what it has to do there.
const TASK: &str = "SCENARIO_TASK";

/// Inside: what is to be done. `None` outside.
pub fn task() -> Option<String> {
    std::env::var_os(TASK)?.into_string().ok()
}

/// How namespaces can be made here, or why they cannot.
///
/// Root makes them as it is; others with a user namespace of their own, where the system lets them.
pub fn way() -> Result<&'static [&'static str], String> {
    for way in [&["-n"][..], &["-r", "-n"]] {
        let tried = Command::new("unshare").args(way).args(["ip", "link", "set", "lo", "up"]).output();
        match tried {
            Ok(output) if output.status.success() => return Ok(way),
            Ok(_) => {}
            Err(error) => return Err(format!("no unshare ({error})")),
        }
    }
    Err("this machine lets us make no network namespace, or has no ip".to_owned())
}

/// Runs one test of this test program again, inside a namespace, with a task.
pub fn enter(way: &[&str], test: &str, task: &str) -> io::Result<Output> {
    Command::new("unshare")
        .args(way)
        .arg(std::env::current_exe()?)
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(TASK, task)
        .stdin(Stdio::null())
        .output()
}

/// Inside: brings loopback up, with these addresses on it.
pub fn set_up(addresses: impl Iterator<Item = IpAddr>) -> io::Result<()> {
    ip(&["link", "set", "lo", "up"])?;
    for address in addresses.filter(|address| !address.is_loopback()) {
        // Nobody else could have the address: no waiting for duplicates to answer (RFC 4862 §5.4).
        let (bits, more) = if address.is_ipv4() { (32, &[][..]) } else { (128, &["nodad"][..]) };
        let address = format!("{address}/{bits}");
        ip(&[&["address", "add", &address, "dev", "lo"][..], more].concat())?;
    }
    Ok(())
}

fn ip(arguments: &[&str]) -> io::Result<()> {
    let output = Command::new("ip").args(arguments).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(io::Error::other(format!("ip {}: {said}", arguments.join(" "))))
}
