//! The asks of an inquiry, none of them twice.

use crate::{
    observation::{Ask, Exchange},
    view,
};
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

/// The asks of an observation, to find one among them: by digests, which are compared sooner than names and servers.
#[derive(Default)]
pub(super) struct Done(Vec<u64>);

impl Done {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds what came to the observation since.
    pub(super) fn add(&mut self, new: &[Arc<Exchange>]) {
        self.0.extend(new.iter().map(|exchange| digest_of(&exchange.ask)));
    }

    /// Whether an ask is among those of the observation.
    pub(super) fn contains(&self, exchanges: &[Arc<Exchange>], ask: &Ask, digest: u64) -> bool {
        self.0.iter().zip(exchanges).any(|(known, exchange)| *known == digest && exchange.ask == *ask)
    }
}

/// Asks in their order, none twice.
#[derive(Default)]
pub(super) struct Asked {
    pub(super) asks: Vec<Ask>,
    digests: Vec<u64>,
}

impl Asked {
    pub(super) fn insert(&mut self, ask: Ask, digest: u64) {
        let is_known =
            self.digests.iter().zip(&self.asks).any(|(known, other)| *known == digest && *other == ask);
        if is_known {
            return;
        }
        if self.asks.is_empty() {
            self.asks.reserve(16);
            self.digests.reserve(16);
        }
        self.digests.push(digest);
        self.asks.push(ask);
    }
}

/// A digest of question and server, to tell most others apart by; equal asks have equal digests.
pub(super) fn digest_of(ask: &Ask) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let address: SocketAddr = ask.server.address();
    let ip = match address.ip() {
        IpAddr::V4(ip) => u64::from(ip.to_bits()),
        IpAddr::V6(ip) => {
            let [_, _, _, _, low @ ..] = ip.segments();
            low.iter().fold(0, |bits, segment| bits << 16 | u64::from(*segment))
        }
    };
    let server = (ip ^ u64::from(address.port()) << 48).wrapping_mul(FACTOR);
    server ^ view::digest(&ask.question.name, ask.question.record_type)
}
