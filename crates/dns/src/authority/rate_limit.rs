//! How many responses go out over UDP to one network: whoever pretends to be somebody else has our answers sent to them,
//! and they are longer than the questions.
//!
//! Counted are networks (/24, /56), and there for each thing that is answered: a name, a delegation, a zone where there is
//! nothing, errors. What is above the rate is dropped, but every second one goes out empty and truncated: who really asks
//! comes back over TCP, or shows a cookie, and is not counted there. The table is of one size, whatever is asked.

use super::{
    cookie::siphash_2_4,
    respond::{Answered, Kind},
};
use std::{
    net::IpAddr,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Instant,
};

const BUCKETS: usize = 1 << 16;

/// How much more one network may have in all than of one thing.
const ALL: u32 = 10;

/// One of so many that are too many is told to come back.
const SLIP: u64 = 2;

/// The octets of a bucket: whose it is, when it was filled last in milliseconds, and how many responses are left.
const TAG_BITS: u32 = 20;
const TIME_BITS: u32 = 24;
const CREDIT_BITS: u32 = 20;

/// What becomes of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Send,
    Slip,
    Drop,
}

/// Counts what goes out.
pub(super) struct RateLimit {
    buckets: Box<[AtomicU64]>,
    per_second: u32,
    key: [u8; 16],
    start: Instant,
    too_many: AtomicU64,
}

impl std::fmt::Debug for RateLimit {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "RateLimit({}/s)", self.per_second)
    }
}

impl RateLimit {
    /// So many a second of one thing to one network, and as many at once. The key keeps strangers from choosing who
    /// shares a bucket with whom.
    pub(super) fn new(per_second: u32, key: [u8; 16]) -> Self {
        Self {
            buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
            per_second: per_second.clamp(1, ((1 << CREDIT_BITS) - 1) / ALL),
            key,
            start: Instant::now(),
            too_many: AtomicU64::new(0),
        }
    }

    /// Counts a response that is about to go out.
    pub(super) fn count(&self, client: IpAddr, answered: Answered, message: &[u8]) -> Verdict {
        if answered.is_known {
            return Verdict::Send;
        }
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or_default();
        self.count_at(now, client, answered, message)
    }

    fn count_at(&self, now: u64, client: IpAddr, answered: Answered, message: &[u8]) -> Verdict {
        let mut input = [0; 8 + 1 + 255];
        network(client, &mut input);
        let whole = siphash_2_4(&self.key, &input[..8]);
        input[8] = 1 + answered.kind as u8;
        let (from, to) = answered.subject;
        let subject = message.get(from..to).unwrap_or_default();
        let length = 9 + subject.len().min(255);
        input[9..length].copy_from_slice(&subject[..length - 9]);
        input[9..length].make_ascii_lowercase();
        let thing = siphash_2_4(&self.key, &input[..length]);
        // Both, one after the other: what is too much of one thing counts against the whole too.
        let is_whole_left = self.take(whole, now, self.per_second * ALL);
        if self.take(thing, now, self.per_second) && is_whole_left {
            return Verdict::Send;
        }
        let nth = self.too_many.fetch_add(1, Relaxed);
        // An error has nothing to come back for.
        if nth.is_multiple_of(SLIP) && answered.kind != Kind::Error { Verdict::Slip } else { Verdict::Drop }
    }

    /// How many were too many so far.
    pub(super) fn too_many(&self) -> u64 {
        self.too_many.load(Relaxed)
    }

    /// Takes one from a bucket that fills at this rate and holds what a second gives.
    fn take(&self, hash: u64, now: u64, rate: u32) -> bool {
        let Some(bucket) = self.buckets.get(usize::try_from(hash).unwrap_or_default() % BUCKETS) else {
            return true;
        };
        let tag = hash >> (64 - TAG_BITS) | 1;
        let rate = u64::from(rate);
        let now = now & ((1 << TIME_BITS) - 1);
        let mut known = bucket.load(Relaxed);
        loop {
            let (mut filled, mut credit) =
                (known >> CREDIT_BITS & ((1 << TIME_BITS) - 1), known & ((1 << CREDIT_BITS) - 1));
            if known >> (TIME_BITS + CREDIT_BITS) == tag {
                let passed = now.wrapping_sub(filled) & ((1 << TIME_BITS) - 1);
                let more = passed * rate / 1000;
                if credit + more >= rate {
                    (filled, credit) = (now, rate);
                } else if more > 0 {
                    // Only the time that gave whole ones is used up.
                    filled = (filled + more * 1000 / rate) & ((1 << TIME_BITS) - 1);
                    credit += more;
                }
            } else {
                (filled, credit) = (now, rate);
            }
            let left = credit.saturating_sub(1);
            let next = tag << (TIME_BITS + CREDIT_BITS) | filled << CREDIT_BITS | left;
            match bucket.compare_exchange_weak(known, next, Relaxed, Relaxed) {
                Ok(_) => return credit > 0,
                Err(changed) => known = changed,
            }
        }
    }
}

/// What is one network: those in it may all be one machine's.
fn network(client: IpAddr, out: &mut [u8]) {
    match client.to_canonical() {
        IpAddr::V4(v4) => out[..3].copy_from_slice(&v4.octets()[..3]),
        IpAddr::V6(v6) => {
            out[..7].copy_from_slice(&v6.octets()[..7]);
            out[7] = 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &[u8] = b"\x01a\x04test\0";

    fn answered(kind: Kind) -> Answered {
        Answered { kind, subject: (0, NAME.len()), is_known: false }
    }

    fn sent(limit: &RateLimit, now: u64, client: &str, name: &[u8], times: usize) -> usize {
        let client = client.parse().unwrap();
        let one = |_: &usize| limit.count_at(now, client, answered(Kind::Records), name) == Verdict::Send;
        (0..times).filter(one).count()
    }

    #[test]
    fn a_network_gets_so_many_a_second_of_one_thing() {
        let limit = RateLimit::new(100, [1; 16]);
        assert_eq!(sent(&limit, 5, "192.0.2.1", NAME, 150), 100);
        assert_eq!(sent(&limit, 5, "192.0.2.200", b"\x01A\x04TEST\0", 10), 0, "the same network and name");
        assert_eq!(sent(&limit, 5, "192.0.3.1", NAME, 10), 10, "another network");
        assert_eq!(sent(&limit, 5, "192.0.2.1", b"\x01b\x04test\0", 10), 10, "another name");
        assert_eq!(sent(&limit, 505, "192.0.2.1", NAME, 150), 50, "half a second later");
        assert_eq!(sent(&limit, 5000, "192.0.2.1", NAME, 150), 100, "no more than a second's worth");
        // Asked for each millisecond, it is still no more than the rate.
        let slowly: usize = (6000..7000).map(|now| sent(&limit, now, "192.0.2.1", NAME, 1)).sum();
        assert!((190..=200).contains(&slowly), "{slowly}");
    }

    #[test]
    fn a_network_gets_ten_times_that_in_all() {
        let limit = RateLimit::new(100, [2; 16]);
        let all: usize = (0..200_u8)
            .map(|number| sent(&limit, 0, "2001:db8::1", &[1, number, 4, b't', b'e', b's', b't', 0], 20))
            .sum();
        assert_eq!(all, 1000);
    }

    #[test]
    fn every_second_one_that_is_too_many_says_come_back() {
        let limit = RateLimit::new(1, [3; 16]);
        let client = "192.0.2.1".parse().unwrap();
        let verdicts = |kind, times: usize| -> Vec<Verdict> {
            (0..times).map(|_| limit.count_at(0, client, answered(kind), NAME)).collect()
        };
        let got = verdicts(Kind::Records, 5);
        assert_eq!(got, [Verdict::Send, Verdict::Slip, Verdict::Drop, Verdict::Slip, Verdict::Drop]);
        let errors = verdicts(Kind::Error, 5);
        assert_eq!(errors[0], Verdict::Send);
        assert!(errors[1..].iter().all(|verdict| *verdict == Verdict::Drop), "{errors:?}");
        let known = Answered { is_known: true, ..answered(Kind::Records) };
        assert_eq!(limit.count(client, known, NAME), Verdict::Send, "whoever shows a cookie is there");
        assert_eq!(limit.too_many(), 8);
    }
}
