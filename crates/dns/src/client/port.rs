//! Sockets and servers: a [`Port`] is one socket to one server, a [`Link`] is all that is open with one server.

use super::Rate;
use std::{
    collections::VecDeque,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{io::Interest, net::UdpSocket, sync::Semaphore, time::Instant};

/// How many questions may be sent to a server at once before its rate holds them back.
const BURST: u32 = 64;

/// How many TCP connections are open to one server at a time.
const CONNECTIONS: usize = 4;

/// One server address, the questions that wait for it, and the sockets to it.
pub struct Link {
    pub address: SocketAddr,
    pub waiting: VecDeque<usize>,
    pub in_flight: usize,
    /// How many questions there are for it, wherever they are.
    pub users: usize,
    /// The ports that take new questions.
    pub ports: Vec<usize>,
    /// Whether it has answered anything since there are sockets to it.
    pub has_answered: bool,
    /// Whether it is in a queue of links that have something to send.
    pub queued: bool,
    /// Changes with every use, so that an entry in the queue of idle links can be told to be old.
    pub stamp: u64,
    /// Permits for TCP connections.
    pub connections: Arc<Semaphore>,
    interval: Option<Duration>,
    next_free: Instant,
}

impl Link {
    pub fn new(address: SocketAddr, rate: Rate, now: Instant) -> Self {
        let per_second = match rate {
            Rate::Considerate if !address.ip().is_loopback() => Some(Rate::CONSIDERATE),
            Rate::Considerate | Rate::Unlimited => None,
            Rate::PerServer(rate) => Some(rate.get()),
        };
        Self {
            address,
            waiting: VecDeque::new(),
            in_flight: 0,
            users: 0,
            ports: Vec::new(),
            has_answered: false,
            queued: false,
            stamp: 0,
            connections: Arc::new(Semaphore::new(CONNECTIONS)),
            interval: per_second.map(|rate| Duration::from_secs(1) / rate),
            next_free: now,
        }
    }

    /// Takes the right to send one packet, or tells when there will be one.
    pub fn take(&mut self, now: Instant) -> Result<(), Instant> {
        let Some(interval) = self.interval else { return Ok(()) };
        let earliest = self.next_free.checked_sub(interval * (BURST - 1)).unwrap_or(now);
        if earliest > now {
            return Err(earliest);
        }
        self.next_free = self.next_free.max(now) + interval;
        Ok(())
    }

    pub fn is_idle(&self) -> bool {
        self.users == 0 && !self.queued
    }
}

/// One connected socket. Its port is the kernel's random choice, and only this server ever sees it.
pub struct Port {
    pub socket: Arc<UdpSocket>,
    /// The questions that wait for a response here, by id.
    pub open: Vec<(u16, usize)>,
    /// The questions whose packets go out at the end of the turn.
    pub outbox: Vec<usize>,
    /// How many more questions it takes.
    pub uses_left: u32,
    /// Whether packets may leave together, as far as is known.
    pub in_segments: bool,
    /// Tells this port from an earlier one at the same place.
    pub stamp: u64,
    /// Ends the waiting for packets.
    pub waiting: futures_util::future::AbortHandle,
}

impl Port {
    pub fn question(&self, id: u16) -> Option<usize> {
        self.open.iter().find(|(open, _)| *open == id).map(|(_, query)| *query)
    }

    pub fn close(&mut self, id: u16) {
        if let Some(at) = self.open.iter().position(|(open, _)| *open == id) {
            self.open.swap_remove(at);
        }
    }
}

/// A socket on a port of the kernel's choice that hears this server only.
pub fn connect(server: SocketAddr) -> io::Result<UdpSocket> {
    let any = match server.ip() {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = std::net::UdpSocket::bind((any, 0))?;
    socket.connect(server)?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}

/// Ends when there is something to read at a port, be it an error.
pub async fn readable(socket: Arc<UdpSocket>, port: usize, stamp: u64) -> (usize, u64) {
    // Where the waiting itself fails, reading finds out why.
    let _ = socket.ready(Interest::READABLE | Interest::ERROR).await;
    (port, stamp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    #[test]
    fn a_rate_lets_a_burst_pass_and_then_spaces_out() {
        let start = Instant::now();
        let rate = Rate::PerServer(NonZeroU32::new(10).unwrap());
        let mut link = Link::new("192.0.2.1:53".parse().unwrap(), rate, start);
        for _ in 0..BURST {
            assert_eq!(link.take(start), Ok(()));
        }
        let next = link.take(start).unwrap_err();
        assert_eq!(next, start + Duration::from_millis(100));
        assert_eq!(link.take(next), Ok(()));
        assert_eq!(link.take(next), Err(next + Duration::from_millis(100)));
        // After a rest the burst is there again, and no more than it.
        let later = start + Duration::from_hours(1);
        assert_eq!((0..100).filter(|_| link.take(later).is_ok()).count(), BURST as usize);
    }

    #[test]
    fn only_servers_on_this_machine_are_asked_without_a_limit() {
        let now = Instant::now();
        let limited = |address: &str, rate| Link::new(address.parse().unwrap(), rate, now).interval.is_some();
        assert!(!limited("127.0.0.1:53", Rate::Considerate));
        assert!(!limited("[::1]:53", Rate::Considerate));
        assert!(limited("192.0.2.1:53", Rate::Considerate));
        assert!(!limited("192.0.2.1:53", Rate::Unlimited));
    }
}
