//! Our own servers and resolvers on real sockets: what [`FakeDns::react`] says, as packets.

use super::packet::{Query, Transport};
use crate::{fake_dns::FakeDns, file::FaultKind};
use std::{
    collections::HashSet,
    io,
    net::IpAddr,
    sync::{Arc, PoisonError, RwLock},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    task::JoinSet,
};

/// The DNS that servers answer from; it can be exchanged while they run.
#[derive(Debug, Clone)]
pub struct Shared(Arc<RwLock<Arc<FakeDns>>>);

impl Shared {
    /// A DNS to begin with.
    pub fn new(dns: FakeDns) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(dns))))
    }

    /// Another one, from now on.
    pub fn set(&self, dns: FakeDns) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(dns);
    }

    fn get(&self) -> Arc<FakeDns> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Servers that run as long as this is kept.
#[derive(Debug, Default)]
pub struct Running(JoinSet<()>);

impl Running {
    /// Answers at an address, port 53, UDP and TCP.
    pub async fn serve(&mut self, address: IpAddr, dns: &Shared) -> io::Result<()> {
        let socket = UdpSocket::bind((address, 53)).await?;
        let listener = TcpListener::bind((address, 53)).await?;
        self.0.spawn(udp(Arc::new(socket), address, dns.clone()));
        self.0.spawn(tcp(listener, address, dns.clone()));
        Ok(())
    }
}

async fn udp(socket: Arc<UdpSocket>, address: IpAddr, dns: Shared) {
    let mut buffer = [0; 4096];
    let mut asked = HashSet::new();
    loop {
        let Ok((length, peer)) = socket.recv_from(&mut buffer).await else { continue };
        let Some(query) = Query::parse(&buffer[..length]) else { continue };
        let is_first = asked.insert(query.question.clone());
        let reaction = dns.get().react(address, &query.question, query.checking_disabled);
        if is_first && reaction.fault == Some(FaultKind::FirstLost) {
            continue;
        }
        let (socket, dns) = (Arc::clone(&socket), dns.get());
        tokio::spawn(async move {
            for packet in packets(&query, &dns, address, Transport::Udp).await {
                // A client that is gone needs no answer.
                drop(socket.send_to(&packet, peer).await);
            }
        });
    }
}

async fn tcp(listener: TcpListener, address: IpAddr, dns: Shared) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        tokio::spawn(converse(stream, address, dns.clone()));
    }
}

/// Answers until the client goes, or until there is nothing to answer.
async fn converse(mut stream: TcpStream, address: IpAddr, dns: Shared) -> io::Result<()> {
    loop {
        let length = stream.read_u16().await?;
        let mut octets = vec![0; usize::from(length)];
        stream.read_exact(&mut octets).await?;
        let Some(query) = Query::parse(&octets) else { return Ok(()) };
        let packets = packets(&query, &dns.get(), address, Transport::Tcp).await;
        if packets.is_empty() {
            return Ok(());
        }
        for packet in packets {
            let length = u16::try_from(packet.len()).map_err(io::Error::other)?;
            stream.write_all(&[&length.to_be_bytes(), packet.as_slice()].concat()).await?;
        }
    }
}

async fn packets(query: &Query, dns: &FakeDns, address: IpAddr, transport: Transport) -> Vec<Vec<u8>> {
    let reaction = dns.react(address, &query.question, query.checking_disabled);
    if !reaction.delay.is_zero() {
        tokio::time::sleep(reaction.delay).await;
    }
    query.respond(&reaction, transport, dns.is_resolver(address))
}
