//! Cookies (RFC 7873), in the form that all servers of a zone can agree on (RFC 9018): a client that shows one of ours
//! gets its answers at the address that it asks from, so nobody else is asking in its name.

use std::net::IpAddr;

/// The length of what a client makes up, and of what we add to it.
pub(super) const CLIENT: usize = 8;
const SERVER: usize = 16;

/// How long a cookie is good, and how far ahead the clock of another server may be, in seconds (RFC 9018 §4.3).
const GOOD_FOR: u32 = 3600;
const AHEAD: u32 = 300;

const VERSION: [u8; 4] = [1, 0, 0, 0];

/// Makes cookies, and knows its own.
#[derive(Clone)]
pub struct Cookies {
    secret: [u8; 16],
}

impl std::fmt::Debug for Cookies {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Cookies(…)")
    }
}

impl Cookies {
    /// With a secret that all servers behind one address share.
    pub fn new(secret: [u8; 16]) -> Self {
        Self { secret }
    }

    pub(super) fn make(&self, client: [u8; CLIENT], address: IpAddr, now: u32) -> [u8; SERVER] {
        let mut cookie = [0; SERVER];
        let (head, hash) = cookie.split_at_mut(8);
        head[..4].copy_from_slice(&VERSION);
        head[4..].copy_from_slice(&now.to_be_bytes());
        let mut input = [0; 32];
        input[..CLIENT].copy_from_slice(&client);
        input[CLIENT..16].copy_from_slice(head);
        let length = match address.to_canonical() {
            IpAddr::V4(v4) => {
                input[16..20].copy_from_slice(&v4.octets());
                20
            }
            IpAddr::V6(v6) => {
                input[16..].copy_from_slice(&v6.octets());
                32
            }
        };
        hash.copy_from_slice(&siphash_2_4(&self.secret, &input[..length]).to_le_bytes());
        cookie
    }

    /// Whether what a client shows is a cookie that it has from us, and not long ago.
    pub(super) fn is_ours(&self, shown: &[u8], address: IpAddr, now: u32) -> bool {
        let Some((client, server)) = shown.split_first_chunk::<CLIENT>() else { return false };
        let Ok(server) = <&[u8; SERVER]>::try_from(server) else { return false };
        let [_, _, _, _, a, b, c, d, ..] = *server;
        let made = u32::from_be_bytes([a, b, c, d]);
        // Serial number arithmetic (RFC 9018 §4.3).
        let age = now.wrapping_sub(made);
        let is_fresh = age <= GOOD_FOR || made.wrapping_sub(now) <= AHEAD;
        let right = self.make(*client, address, made);
        // The same time for every wrong one.
        let differ = server.iter().zip(right).fold(0, |differ, (one, other)| differ | (one ^ other));
        is_fresh && differ == 0
    }
}

fn word(octets: &[u8]) -> u64 {
    octets.iter().rev().fold(0, |word, octet| word << 8 | u64::from(*octet))
}

/// SipHash-2-4 (Aumasson and Bernstein, 2012), which the standard library has no more under this name.
pub(super) fn siphash_2_4(key: &[u8; 16], data: &[u8]) -> u64 {
    let (k0, k1) = (word(&key[..8]), word(&key[8..]));
    let mut v = [
        k0 ^ 0x736f_6d65_7073_6575,
        k1 ^ 0x646f_7261_6e64_6f6d,
        k0 ^ 0x6c79_6765_6e65_7261,
        k1 ^ 0x7465_6462_7974_6573,
    ];
    let mut take = |message: u64| {
        v[3] ^= message;
        rounds(&mut v, 2);
        v[0] ^= message;
    };
    let mut chunks = data.chunks_exact(8);
    for chunk in &mut chunks {
        take(word(chunk));
    }
    let length = u64::try_from(data.len() & 0xff).unwrap_or_default();
    take(word(chunks.remainder()) | length << 56);
    v[2] ^= 0xff;
    rounds(&mut v, 4);
    v[0] ^ v[1] ^ v[2] ^ v[3]
}

fn rounds(v: &mut [u64; 4], times: usize) {
    for _ in 0..times {
        v[0] = v[0].wrapping_add(v[1]);
        v[1] = v[1].rotate_left(13) ^ v[0];
        v[0] = v[0].rotate_left(32);
        v[2] = v[2].wrapping_add(v[3]);
        v[3] = v[3].rotate_left(16) ^ v[2];
        v[0] = v[0].wrapping_add(v[3]);
        v[3] = v[3].rotate_left(21) ^ v[0];
        v[2] = v[2].wrapping_add(v[1]);
        v[1] = v[1].rotate_left(17) ^ v[2];
        v[2] = v[2].rotate_left(32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn octets<const N: usize>(hex: &str) -> [u8; N] {
        std::array::from_fn(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
    }

    #[test]
    fn the_hash_is_siphash() {
        let key = std::array::from_fn(|at| u8::try_from(at).unwrap());
        // From the reference implementation's vectors: inputs 00 01 02 … of 0, 8 and 15 octets.
        let input: Vec<u8> = (0..15).collect();
        assert_eq!(siphash_2_4(&key, b""), 0x726f_db47_dd0e_0e31);
        assert_eq!(siphash_2_4(&key, &input[..8]), 0x93f5_f579_9a93_2462);
        assert_eq!(siphash_2_4(&key, &input), 0xa129_ca61_49be_45e5);
    }

    #[test]
    fn cookies_are_those_of_the_standard() {
        // RFC 9018, appendix A.1 and A.3 (an address of version 6 with a cookie that is renewed: A.4).
        let cookies = Cookies::new(octets("e5e973e5a6b2a43f48e7dc849e37bfcf"));
        let client = octets("2464c4abcf10c957");
        let made = cookies.make(client, "198.51.100.100".parse().unwrap(), 1_559_731_985);
        assert_eq!(made, octets("010000005cf79f111f8130c3eee29480"));
    }

    #[test]
    fn a_cookie_is_good_for_its_client_for_an_hour() {
        let cookies = Cookies::new([7; 16]);
        let (here, there): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let client = [1; 8];
        let shown = [client.as_slice(), &cookies.make(client, here, 10_000)].concat();
        assert!(cookies.is_ours(&shown, here, 10_000));
        assert!(cookies.is_ours(&shown, "::ffff:192.0.2.1".parse().unwrap(), 13_600));
        assert!(!cookies.is_ours(&shown, here, 13_601), "too old");
        assert!(cookies.is_ours(&shown, here, 9_700), "of a server whose clock is ahead");
        assert!(!cookies.is_ours(&shown, here, 9_699));
        assert!(!cookies.is_ours(&shown, there, 10_000));
        assert!(!cookies.is_ours(&shown[..23], here, 10_000));
        assert!(!cookies.is_ours(&client, here, 10_000));
        assert!(!Cookies::new([8; 16]).is_ours(&shown, here, 10_000));
    }
}
