//! The embedded authoritative name server.
//!
//! The way of the data: [`Zone`]s, as records or as text, are checked and indexed by a [`ZoneSetBuilder`] into one
//! immutable [`ZoneSet`] with a generation number; the [`Server`] answers from whatever set is current, and a new
//! set replaces the old one as a whole. [`respond`] makes a response from a query and a set and is a pure function,
//! so everything the server can say is tested without a socket.
//!
//! Served: RFC 1034 §4.3.2 with wildcards (RFC 4592), empty non-terminals (RFC 8020), negative answers (RFC 2308),
//! delegations with glue (RFC 9471), EDNS (RFC 6891), minimal ANY (RFC 8482), TCP (RFC 7766). Not served: zone
//! transfers, dynamic updates, DNSSEC signing, DNAME, recursion.

mod lookup;
mod respond;
mod server;
mod zone;
mod zone_set;

pub use respond::respond;
pub use server::{Server, ServerError};
pub use zone::{Zone, ZoneError};
pub use zone_set::{ZoneSet, ZoneSetBuilder};
