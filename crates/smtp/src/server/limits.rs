//! Bounds shared by all sessions: connections in total and per client, and memory for messages in flight.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Why a connection is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    Listener,
    Client,
}

/// Counts open connections.
#[derive(Debug)]
pub(super) struct Slots {
    total: usize,
    per_client: usize,
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// One counted connection; counted off when dropped.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Arc<Slots>,
    client: IpAddr,
}

impl Slots {
    pub(super) fn new(total: usize, per_client: usize) -> Arc<Self> {
        Arc::new(Self { total, per_client, open: Mutex::new(HashMap::new()) })
    }

    /// Takes a slot for a client. An IPv6 client is its /64: one host owns the whole of it.
    pub(super) fn take(self: &Arc<Self>, client: IpAddr) -> Result<Slot, Full> {
        let client = match client.to_canonical() {
            IpAddr::V6(six) => {
                let [a, b, c, d, ..] = six.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
            four @ IpAddr::V4(_) => four,
        };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.values().sum::<usize>() >= self.total {
            return Err(Full::Listener);
        }
        let count = open.entry(client).or_insert(0);
        if *count >= self.per_client {
            return Err(Full::Client);
        }
        *count += 1;
        Ok(Slot { slots: self.clone(), client })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = self.slots.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.client);
            }
        }
    }
}

/// Octets all messages in flight may hold together.
#[derive(Debug)]
pub(super) struct Memory {
    limit: usize,
    used: AtomicUsize,
}

/// One message's share; given back when dropped.
#[derive(Debug)]
pub(super) struct Share {
    memory: Arc<Memory>,
    held: usize,
}

impl Memory {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, used: AtomicUsize::new(0) })
    }

    pub(super) fn share(self: &Arc<Self>) -> Share {
        Share { memory: self.clone(), held: 0 }
    }
}

impl Share {
    /// Raises or lowers the share to `octets`; `false` when the memory does not suffice (nothing changes then).
    pub(super) fn set(&mut self, octets: usize) -> bool {
        if octets <= self.held {
            self.memory.used.fetch_sub(self.held - octets, Ordering::Relaxed);
        } else {
            let more = octets - self.held;
            let fits = |used: usize| used.checked_add(more).filter(|sum| *sum <= self.memory.limit);
            if self.memory.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_err() {
                return false;
            }
        }
        self.held = octets;
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.memory.used.fetch_sub(self.held, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_count_per_client_network_and_come_back() {
        let slots = Slots::new(3, 2);
        let first = slots.take("2001:db8::1".parse().unwrap()).unwrap();
        let _second = slots.take("2001:db8::2".parse().unwrap()).unwrap();
        assert_eq!(slots.take("2001:db8::3".parse().unwrap()).unwrap_err(), Full::Client);
        let _third = slots.take("2001:db8:0:1::3".parse().unwrap()).unwrap();
        assert_eq!(slots.take("192.0.2.1".parse().unwrap()).unwrap_err(), Full::Listener);
        drop(first);
        slots.take("::ffff:192.0.2.1".parse().unwrap()).unwrap();
        assert_eq!(slots.open.lock().unwrap().len(), 2, "nothing is left of clients that went");
    }

    #[test]
    fn memory_is_given_back() {
        let memory = Memory::new(10);
        let mut one = memory.share();
        let mut two = memory.share();
        assert!(one.set(6) && !two.set(5) && two.set(4));
        assert!(one.set(0) && two.set(10));
        drop(two);
        assert!(one.set(10));
    }
}
