//! unbound as the recursive resolver of a scenario.

use super::process::{Program, find};
use crate::world::REGISTRY;
use std::{io, net::IpAddr, path::Path, process::Command};

/// Starts unbound at an address, with its root hints at the scenario's root.
///
/// `trust_anchor` is the root of a chain of signatures, as a line of a zone; without one nothing is validated.
pub fn start(folder: &Path, address: IpAddr, trust_anchor: Option<&str>) -> io::Result<Program> {
    let binary = find("unbound").ok_or_else(|| io::Error::other("no unbound"))?;
    let file = |what: &str| folder.join(format!("unbound-{}.{what}", address.to_string().replace(':', "_")));
    let hints = file("hints");
    std::fs::write(&hints, format!(". 3600 NS registry.net.\nregistry.net. 3600 A {REGISTRY}\n"))?;
    let (modules, anchor) = match trust_anchor {
        Some(anchor) => ("validator iterator", format!("trust-anchor: \"{anchor}\"\n")),
        None => ("iterator", String::new()),
    };
    let configuration = format!(
        "server:\n\
         interface: {address}\nport: 53\naccess-control: 0.0.0.0/0 allow\naccess-control: ::/0 allow\n\
         username: \"\"\nchroot: \"\"\ndirectory: \"{folder}\"\npidfile: \"\"\nuse-syslog: no\nverbosity: 1\n\
         num-threads: 1\noutgoing-range: 256\nmsg-cache-size: 1m\nrrset-cache-size: 1m\n\
         root-hints: \"{hints}\"\ndo-not-query-localhost: no\nmodule-config: \"{modules}\"\n{anchor}\
         ede: yes\nlocal-zone: \"test.\" nodefault\n\
         remote-control:\ncontrol-enable: no\n",
        folder = folder.display(),
        hints = hints.display(),
    );
    let path = file("conf");
    std::fs::write(&path, configuration)?;
    Program::start(Command::new(binary).arg("-d").arg("-c").arg(path), "start of service", &file("log"))
}
