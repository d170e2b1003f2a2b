//! The name server of a fake host: it answers with what is in its zones at this moment, without any delay but that of the way.
//!
//! It stands for the resolver too: what is in none of its zones is asked of another server.

use crate::serve::locked;
use dns::authority::{Zone, ZoneSet, ZoneSetBuilder, respond};
use model::{DomainName, Record, RecordData, Soa};
use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{net::UdpSocket, task::JoinHandle, time::timeout};

/// How long the other server may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where names below another one are asked for.
type Elsewhere = Arc<Mutex<Option<(DomainName, SocketAddr)>>>;

/// A name server on this machine, over UDP. It ends with this.
pub struct NameServer {
    address: SocketAddr,
    elsewhere: Elsewhere,
    task: JoinHandle<()>,
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl NameServer {
    /// Starts one, within the runtime that this is called in. `zones` are those of the host, with a number that grows with
    /// each change; `latency` is how long each answer takes.
    pub(crate) async fn start(
        zones: impl Fn(Option<u64>) -> Option<(u64, Vec<(DomainName, Vec<Record>)>)> + Send + Sync + 'static,
        latency: Duration,
    ) -> io::Result<Self> {
        let socket = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?);
        let address = socket.local_addr()?;
        let elsewhere = Elsewhere::default();
        let shared = Arc::clone(&elsewhere);
        let task = tokio::spawn(async move {
            let mut known: Option<(u64, Arc<ZoneSet>)> = None;
            let mut buffer = vec![0; 4_096];
            while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
                let query = buffer[..length].to_vec();
                if let Some((number, zones)) = zones(known.as_ref().map(|(number, _)| *number)) {
                    known = served(&zones, number).map(|set| (number, Arc::new(set)));
                }
                let Some((_, set)) = known.clone() else { continue };
                let (socket, elsewhere) = (Arc::clone(&socket), locked(&shared).clone());
                tokio::spawn(async move {
                    tokio::time::sleep(latency).await;
                    let other = elsewhere.filter(|(name, _)| is_below(&query, name));
                    let reply = match other {
                        Some((_, server)) => asked(&query, server).await,
                        None => respond(&set, &query, true),
                    };
                    if let Some(reply) = reply {
                        drop(socket.send_to(&reply, peer).await);
                    }
                });
            }
        });
        Ok(Self { address, elsewhere, task })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What is at or below `name` is asked of that server.
    pub fn ask_elsewhere(&self, name: DomainName, server: SocketAddr) {
        *locked(&self.elsewhere) = Some((name, server));
    }
}

fn soa(apex: &DomainName, serial: u64) -> Soa {
    Soa {
        mname: apex.clone(),
        rname: apex.clone(),
        serial: u32::try_from(serial & 0x7fff_ffff).unwrap_or(1),
        refresh: 60,
        retry: 60,
        expire: 3_600,
        minimum: 60,
    }
}

/// The host's zones, and the one of its name server, which listens at this machine.
fn served(zones: &[(DomainName, Vec<Record>)], number: u64) -> Option<ZoneSet> {
    let of_host = DomainName::parse("fake-host.test").ok()?;
    let server = of_host.prepend("ns1").ok()?;
    let record = |owner: &DomainName, data| Record { owner: owner.clone(), ttl: 300, data };
    let mut set = ZoneSetBuilder::new(number);
    let mut own = Zone::new(of_host.clone(), soa(&of_host, number));
    own.records.push(record(&of_host, RecordData::Ns(server.clone())));
    own.records.push(record(&server, RecordData::A(Ipv4Addr::LOCALHOST)));
    set.add(&own).ok()?;
    for (apex, records) in zones {
        let mut zone = Zone::new(apex.clone(), soa(apex, number));
        zone.lenient = true;
        zone.records.push(record(apex, RecordData::Ns(server.clone())));
        zone.records.extend(records.iter().cloned());
        set.add(&zone).ok()?;
    }
    Some(set.build())
}

/// Whether the question is for a name at or below this one.
fn is_below(query: &[u8], name: &DomainName) -> bool {
    let mut labels = Vec::new();
    let mut rest = query.get(12..).unwrap_or_default();
    while let Some((&length, behind)) = rest.split_first() {
        let length = usize::from(length);
        if length == 0 || length > 63 {
            break;
        }
        let Some((label, behind)) = behind.split_at_checked(length) else { return false };
        labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
        rest = behind;
    }
    let asked = labels.join(".");
    asked == name.as_str() || asked.ends_with(&format!(".{}", name.as_str()))
}

async fn asked(query: &[u8], server: SocketAddr) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.ok()?;
    socket.connect(server).await.ok()?;
    socket.send(query).await.ok()?;
    let mut reply = vec![0; 4_096];
    let length = timeout(PATIENCE, socket.recv(&mut reply)).await.ok()?.ok()?;
    reply.truncate(length);
    Some(reply)
}
