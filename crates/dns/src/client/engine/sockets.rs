//! The sockets of the engine: opened and closed within their bound, written to and read.

use super::{Engine, PORTS, USES, unreachable};
use crate::client::{
    batch::{self, Buffers},
    port::{Link, Port, connect, readable},
};
use futures_util::{
    FutureExt,
    future::{AbortHandle, Abortable},
};
use std::{
    io,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
};

impl Engine {
    pub(super) fn link(&mut self, address: SocketAddr) -> usize {
        let stamp = self.stamp();
        let (links, rate, now) = (&mut self.links, self.options.rate, self.now);
        let key = match self.last_link {
            Some((last, key)) if last == address => key,
            _ => {
                *self.by_address.entry(address).or_insert_with(|| links.insert(Link::new(address, rate, now)))
            }
        };
        self.last_link = Some((address, key));
        self.links[key].stamp = stamp;
        key
    }

    /// A port that takes a question to a server; `None` when there are too many open.
    pub(super) fn port(&mut self, link: usize) -> io::Result<Option<usize>> {
        let choice = self.random.next()? as usize % PORTS;
        let ports = &self.links[link].ports;
        if let Some(&port) = ports.get(choice) {
            return Ok(Some(port));
        }
        // One that is open already does too, before those of others are closed or others are kept waiting.
        let is_scarce = self.ports.len() >= self.options.max_sockets.max(1) || !self.starved.is_empty();
        if is_scarce && let Some(&port) = ports.first() {
            return Ok(Some(port));
        }
        if self.make_room() { self.open(link).map(Some) } else { Ok(None) }
    }

    fn open(&mut self, link: usize) -> io::Result<usize> {
        let socket = Arc::new(connect(self.links[link].address)?);
        let in_segments = batch::can_go_together(&socket);
        let stamp = self.stamp();
        let (waiting, registration) = AbortHandle::new_pair();
        let port = self.ports.insert(Port {
            socket: Arc::clone(&socket),
            open: Vec::new(),
            outbox: Vec::new(),
            uses_left: USES,
            in_segments,
            stamp,
            waiting,
        });
        self.readable.push(Abortable::new(readable(socket, port, stamp).boxed(), registration));
        self.links[link].ports.push(port);
        Ok(port)
    }

    /// Sends what is in the outboxes.
    pub(super) fn flush(&mut self) {
        for port in std::mem::take(&mut self.dirty) {
            let Some(entry) = self.ports.get_mut(port) else { continue };
            let mut packets: Vec<&[u8]> =
                entry.outbox.iter().map(|query| self.queries[*query].packet.as_slice()).collect();
            self.sent.fetch_add(packets.len() as u64, Ordering::Relaxed);
            if let Some(error) = batch::send_all(&entry.socket, &mut packets, &mut entry.in_segments) {
                for (_, query) in &entry.open {
                    self.queries[*query].last = unreachable(&error);
                }
            }
            entry.outbox.clear();
        }
    }

    pub(super) fn on_readable(&mut self, which: Option<(usize, u64)>) {
        let Some((port, stamp)) = which else { return };
        let Some(entry) = self.ports.get(port).filter(|entry| entry.stamp == stamp) else { return };
        let socket = Arc::clone(&entry.socket);
        // Bounded, so that one server's flood does not keep us from the others'.
        for _ in 0..8 {
            match self.buffers.receive(&socket) {
                Ok(count) => {
                    let buffers = std::mem::replace(&mut self.buffers, Buffers::none());
                    for index in 0..count {
                        self.on_packet(port, buffers.packet(index));
                    }
                    self.buffers = buffers;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => {
                    self.on_port_error(port, &error);
                    break;
                }
            }
        }
        if let Some(entry) = self.ports.get_mut(port).filter(|entry| entry.stamp == stamp) {
            let (waiting, registration) = AbortHandle::new_pair();
            entry.waiting = waiting;
            self.readable.push(Abortable::new(readable(socket, port, stamp).boxed(), registration));
        }
    }

    /// The kernel's word that packets do not get through: another try each, then it is told.
    fn on_port_error(&mut self, port: usize, error: &io::Error) {
        let Some(entry) = self.ports.get(port) else { return };
        let open: Vec<usize> = entry
            .open
            .iter()
            .map(|(_, query)| *query)
            .filter(|query| !entry.outbox.contains(query))
            .collect();
        for query in open {
            self.queries[query].last = unreachable(error);
            self.try_again(query);
        }
    }

    /// Closes the sockets of the server that was left alone first. Whether there was one.
    pub(super) fn close_idle(&mut self) -> bool {
        while let Some((_, link, stamp)) = self.idle.pop_front() {
            let is_idle = self.links.get(link).is_some_and(|entry| entry.stamp == stamp && entry.is_idle());
            if is_idle {
                let entry = self.links.remove(link);
                self.by_address.remove(&entry.address);
                self.last_link = None;
                for port in entry.ports {
                    self.close_port(port);
                }
                return true;
            }
        }
        false
    }

    /// Sees to it that another socket may be opened, at the cost of servers that nothing is asked of just now. Whether
    /// that succeeded.
    fn make_room(&mut self) -> bool {
        // One that is idle may have no sockets any more.
        while self.ports.len() >= self.options.max_sockets.max(1) {
            if !self.close_idle() {
                return false;
            }
        }
        true
    }

    /// Lets as many of the links that wait for a socket go on as sockets can be opened. Whether there was one.
    pub(super) fn wake_starved(&mut self) -> bool {
        let mut woken = 0;
        while let Some(&link) = self.starved.front() {
            // Its questions may have been stopped: then it needs no socket, and another one does.
            if !self.links[link].waiting.is_empty() {
                let max = self.options.max_sockets.max(1);
                while self.ports.len() + woken >= max && self.close_idle() {}
                if self.ports.len() + woken >= max {
                    break;
                }
                woken += 1;
            }
            self.starved.pop_front();
            self.unqueue(link);
        }
        woken > 0
    }

    pub(super) fn close_port(&mut self, port: usize) {
        self.ports.remove(port).waiting.abort();
    }

    pub(super) fn note_idle(&mut self, link: usize) {
        if self.links[link].is_idle() {
            let stamp = self.stamp();
            self.links[link].stamp = stamp;
            self.idle.push_back((self.now, link, stamp));
        }
    }
}
