//! Whom an inquiry asks and how far it goes.

use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// How much is asked of a domain whose records are right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Look {
    /// Everyone who can know: resolvers and every name server of every zone.
    #[default]
    Thorough,
    /// The resolvers first, one question a record; only for records that are not certainly right by what they say
    /// does the inquiry go on as [`Look::Thorough`] does. For many domains at once, most of them good.
    ///
    /// What cannot be seen this way: records that are gone and that resolvers still remember, name servers at fault
    /// that resolvers work around, an alias beside a record or another alias where resolvers still find one of them;
    /// whether other organizations take DMARC reports, how domains that differ align, and CAA. The report names no zone where nothing was wrong.
    ResolversFirst,
}

/// At which addresses name servers are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AddressFamily {
    /// At an IPv4 and at an IPv6 address of each.
    #[default]
    Any,
    /// At IPv4 addresses only.
    Ipv4,
    /// At IPv6 addresses only.
    Ipv6,
}

impl AddressFamily {
    /// Whether an address is of the family.
    pub fn has(self, address: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::Ipv4 => address.to_canonical().is_ipv4(),
            Self::Ipv6 => address.to_canonical().is_ipv6(),
        }
    }
}

/// Whom to ask and how far to go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// The recursive resolvers, the first one preferred.
    pub resolvers: Vec<SocketAddr>,
    /// The port of name servers on loopback; all others are asked at port 53.
    pub loopback_port: u16,
    /// Whether name servers at private and loopback addresses are asked: only in development, since a stranger's
    /// NS record could name any address of the operator's network.
    pub private_addresses: bool,
    /// How many name servers of one zone are asked.
    pub max_name_servers: usize,
    /// How many questions are put in all.
    pub max_asks: usize,
    /// How many octets of answers are kept in all, about ([`crate::observation::Reply::octets`]): a stranger's servers
    /// may give 64 KB to each question. What is beyond is no answer, and the inquiry ends.
    #[serde(default = "default_max_octets")]
    pub max_octets: usize,
    /// How much is asked of records that are right.
    #[serde(default)]
    pub look: Look,
    /// At which addresses name servers are asked; resolvers are asked at theirs.
    #[serde(default)]
    pub family: AddressFamily,
}

impl Policy {
    /// The usual policy for these resolvers. A resolver on loopback at another port than 53 is a development
    /// instance: name servers on loopback are then asked too, at that port. (At port 53 it is this machine's usual
    /// forwarder, and strangers' name servers have no business on our loopback.)
    pub fn for_resolvers(resolvers: Vec<SocketAddr>) -> Self {
        let is_local = |address: &&SocketAddr| address.ip().is_loopback() && address.port() != 53;
        let local = resolvers.first().filter(is_local).copied();
        Self {
            loopback_port: local.map_or(53, |address| address.port()),
            private_addresses: local.is_some(),
            resolvers,
            max_name_servers: 8,
            max_asks: 600,
            max_octets: default_max_octets(),
            look: Look::Thorough,
            family: AddressFamily::Any,
        }
    }
}

/// 4 MiB: the longest honest inquiry keeps less than a tenth of it.
fn default_max_octets() -> usize {
    4 << 20
}

impl Policy {
    /// The port at which a name server listens.
    pub(super) fn port_of(&self, address: IpAddr) -> u16 {
        if address.is_loopback() { self.loopback_port } else { 53 }
    }
}
