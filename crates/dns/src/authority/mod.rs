//! The embedded authoritative name server.
//!
//! The way of the data: [`Zone`]s, as records or as text, are checked and indexed by a [`ZoneSetBuilder`] into one
//! immutable [`ZoneSet`] with a generation number; the [`Server`] answers from whatever set is current, and a new
//! set replaces the old one as a whole. [`respond`] makes a response from a query and a set and is a pure function,
//! so everything the server can say is tested without a socket. What a zone has very many of, keys, is in a [`KeyTable`],
//! whose clones share what did not change; what it has very many of that are alike, zones delegated to us, in [`SubZones`].
//!
//! Served: RFC 1034 §4.3.2 with wildcards (RFC 4592), empty non-terminals (RFC 8020), negative answers (RFC 2308),
//! delegations with glue (RFC 9471), EDNS (RFC 6891) with cookies (RFC 7873, RFC 9018), NSID (RFC 5001) and extended
//! errors (RFC 8914), minimal ANY (RFC 8482), TCP (RFC 7766). How much goes out over UDP is bounded. Secondaries get whole
//! zones and what changed (RFC 5936, RFC 1995), and are told of changes (RFC 1996), signed where they have a key. Not
//! served: dynamic updates, DNSSEC signing, DNAME, recursion.

mod addresses;
mod cookie;
mod keys;
mod lookup;
mod notify;
mod query;
mod rate_limit;
mod record_set;
mod respond;
mod server;
mod sub_zones;
mod tcp;
mod transfer;
mod udp;
mod zone;
mod zone_set;

pub use cookie::Cookies;
pub use keys::{KeyError, KeyTable};
pub use respond::respond;
pub use server::{Options, Server, ServerError};
pub use sub_zones::{Shape, SubZone, SubZones};
pub use transfer::Secondary;
pub use zone::{Zone, ZoneError};
pub use zone_set::{ZoneSet, ZoneSetBuilder};
