//! Addresses out of strangers' records, and which of them may be asked.

use model::RecordData;
use std::net::IpAddr;

/// Whether an address may be asked on behalf of a stranger: not private, loopback, link-local or otherwise special
/// (RFC 6890).
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_broadcast()
                || v4.is_documentation()
                || v4.is_multicast()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 198 && (18..20).contains(&b)))
        }
        IpAddr::V6(v6) => {
            let segments = v6.segments();
            if let Some(v4) = v6.to_ipv4_mapped() {
                return is_public(IpAddr::V4(v4));
            }
            // 2000::/3 is all that is global unicast; documentation, 6to4 and Teredo embed or stand for others.
            (segments[0] & 0xe000) == 0x2000
                && !(segments[0] == 0x2001 && (segments[1] == 0xdb8 || segments[1] == 0))
                && segments[0] != 0x2002
        }
    }
}

/// The records of a name server's addresses, out of answers of either family.
pub fn address_of(data: &RecordData) -> Option<IpAddr> {
    match data {
        RecordData::A(v4) => Some(IpAddr::V4(*v4)),
        RecordData::Aaaa(v6) => Some(IpAddr::V6(*v6)),
        _ => None,
    }
}
