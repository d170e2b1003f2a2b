//! Which addresses a wildcard stands for: an answer has to leave from the address that was asked, and a socket for all of
//! them leaves that choice to the system.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, SocketAddr},
};

/// The addresses to bind for one that is configured: itself, or each of this machine's in its place.
pub(super) fn behind(address: SocketAddr) -> io::Result<BTreeSet<SocketAddr>> {
    if !address.ip().is_unspecified() {
        return Ok(BTreeSet::from([address]));
    }
    let mut all = BTreeSet::new();
    for interface in nix::ifaddrs::getifaddrs()? {
        let Some(storage) = interface.address else { continue };
        if let Some(v4) = storage.as_sockaddr_in() {
            all.insert(SocketAddr::new(IpAddr::V4(v4.ip()), address.port()));
        } else if let Some(v6) = storage.as_sockaddr_in6().filter(|_| address.is_ipv6()) {
            // Those of one link need its number.
            let mut bound = std::net::SocketAddrV6::from(*v6);
            bound.set_port(address.port());
            bound.set_flowinfo(0);
            all.insert(SocketAddr::V6(bound));
        }
    }
    if all.is_empty() {
        // A machine whose interfaces cannot be listed: as good as it goes.
        all.insert(address);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_stands_for_every_address_of_this_machine() {
        let all = behind("0.0.0.0:5300".parse().unwrap()).unwrap();
        assert!(all.contains(&"127.0.0.1:5300".parse().unwrap()), "{all:?}");
        assert!(all.iter().all(|address| address.is_ipv4() && !address.ip().is_unspecified()));
        let one = "127.0.0.9:53".parse().unwrap();
        assert_eq!(behind(one).unwrap(), BTreeSet::from([one]));
    }
}
