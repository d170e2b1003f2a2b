//! Knot as the authoritative server of a scenario's zones.

use super::process::{Program, find};
use crate::zone::Zone;
use model::{DomainName, Record, RecordData};
use std::{fmt::Write as _, io, net::IpAddr, path::Path, process::Command};

/// Whether a real server takes the zone.
pub fn is_servable(zone: &Zone) -> bool {
    !zone.has_conflicts()
}

/// A zone that Knot serves.
#[derive(Debug, Clone)]
pub struct Loaded<'a> {
    /// Its records.
    pub zone: &'a Zone,
    /// Whether Knot makes keys for it and signs it.
    pub is_signed: bool,
    /// DS records of its delegations, as lines of a zone file.
    pub ds: String,
}

/// Starts Knot with zones at addresses. Its files are in `folder`.
pub fn start(folder: &Path, addresses: &[IpAddr], zones: &[Loaded<'_>]) -> io::Result<Program> {
    let binary = find("knotd").ok_or_else(|| io::Error::other("no knotd"))?;
    std::fs::create_dir_all(folder)?;
    let mut configuration = format!(
        "server:\n  rundir: {folder}\n  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\n",
        folder = folder.display()
    );
    for address in addresses {
        let _ = writeln!(configuration, "  listen: {address}@53");
    }
    let _ = write!(
        configuration,
        "log:\n  - target: stderr\n    any: info\ndatabase:\n  storage: {}\nzone:\n",
        folder.display()
    );
    for (number, Loaded { zone, is_signed, ds }) in zones.iter().enumerate() {
        let path = folder.join(format!("{number}.zone"));
        let text: String = zone.records.iter().map(line).collect();
        std::fs::write(&path, text + ds)?;
        let signing = if *is_signed { "on" } else { "off" };
        let _ = write!(
            configuration,
            "  - domain: {}\n    file: {}\n    zonefile-sync: -1\n    journal-content: none\n    \
             dnssec-signing: {signing}\n",
            zone.apex.absolute(),
            path.display()
        );
    }
    let path = folder.join("knot.conf");
    std::fs::write(&path, configuration)?;
    Program::start(Command::new(binary).arg("-c").arg(path), "server started", &folder.join("knot.log"))
}

/// The DS record that goes with the key of a zone which the Knot of this folder signs, as a line of a zone file.
pub fn ds(folder: &Path, apex: &DomainName) -> io::Result<String> {
    let binary = find("keymgr").ok_or_else(|| io::Error::other("no keymgr"))?;
    let apex = apex.absolute();
    let output = Command::new(binary).arg("-c").arg(folder.join("knot.conf")).args([&apex, "ds"]).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    match text.lines().find(|line| line.contains(" DS ")) {
        Some(line) => Ok(format!("{line}\n")),
        None => Err(io::Error::other(format!("{apex} has no key: {text}"))),
    }
}

/// A record as a line of a zone file.
fn line(record: &Record) -> String {
    let data = match &record.data {
        RecordData::A(v4) => v4.to_string(),
        RecordData::Aaaa(v6) => v6.to_string(),
        RecordData::Cname(name) | RecordData::Ns(name) | RecordData::Ptr(name) => name.absolute(),
        RecordData::Mx { preference, exchange } => format!("{preference} {}", exchange.absolute()),
        RecordData::Soa(soa) => format!(
            "{} {} {} {} {} {} {}",
            soa.mname.absolute(),
            soa.rname.absolute(),
            soa.serial,
            soa.refresh,
            soa.retry,
            soa.expire,
            soa.minimum
        ),
        RecordData::Txt(text) => text.strings().map(quoted).collect(),
        RecordData::Other { octets, .. } => {
            octets.iter().fold(format!("\\# {} ", octets.len()), |hex, octet| hex + &format!("{octet:02x}"))
        }
    };
    format!("{} {} {} {data}\n", record.owner.absolute(), record.ttl, record.data.record_type())
}

fn quoted(string: &[u8]) -> String {
    let escaped: String = string
        .iter()
        .map(|&octet| match octet {
            b'"' | b'\\' => format!("\\{}", octet as char),
            32..=126 => (octet as char).to_string(),
            _ => format!("\\{octet:03}"),
        })
        .collect();
    format!("\"{escaped}\" ")
}
