//! Which resolvers are asked.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
};

/// Reads `ADDRESS` or `ADDRESS:PORT`.
pub fn parse(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, 53));
    }
    text.parse()
        .map_err(|_| "give an IP address, with or without a port: 9.9.9.9 or 127.0.0.1:5300".to_owned())
}

/// How many resolvers of this machine are asked.
const SYSTEM_RESOLVERS: usize = 3;

/// The resolvers of this machine.
pub fn of_this_machine() -> Result<Vec<SocketAddr>, String> {
    const PATH: &str = "/etc/resolv.conf";
    let text = fs::read_to_string(PATH)
        .map_err(|error| format!("{PATH}: {error}; name a resolver with --resolver"))?;
    let resolvers = in_resolv_conf(&text);
    if resolvers.is_empty() {
        return Err(format!("{PATH} names no resolver; name one with --resolver ADDRESS"));
    }
    Ok(resolvers)
}

fn in_resolv_conf(text: &str) -> Vec<SocketAddr> {
    text.lines()
        .filter_map(|line| line.trim().strip_prefix("nameserver"))
        // A zone index (fe80::1%eth0) means nothing to a socket address; such a resolver is passed over.
        .filter_map(|address| address.trim().parse::<IpAddr>().ok())
        .map(|address| SocketAddr::new(address, 53))
        .take(SYSTEM_RESOLVERS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_three_usable_name_servers_are_taken() {
        let text = "# nameserver 192.0.2.9\nsearch example.com\nnameserver fe80::1%eth0\n nameserver\t2001:db8::1\n\
                    nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\n";
        let found: Vec<String> = in_resolv_conf(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["[2001:db8::1]:53", "192.0.2.1:53", "192.0.2.2:53"]);
        assert_eq!(parse("::1").unwrap().to_string(), "[::1]:53");
        assert_eq!(parse("127.0.0.1:5300").unwrap().port(), 5300);
    }
}
