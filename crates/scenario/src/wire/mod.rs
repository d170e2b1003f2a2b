//! The same scenarios with real packets: on the addresses they name, at port 53, in a network of their own.
//!
//! The way of it: [`namespace::enter`] runs a test again inside a network namespace that has nothing but a loopback
//! interface with all addresses of the scenario; [`Network::start`] puts a server on each address there: Knot where
//! the zone is one that it loads and no fault is asked for, our own [`server`] for everything else; unbound as the
//! resolver, with its root hints at the scenario's root, its cache filled by asking before the change. What cannot
//! be had from unbound (a fault, a SERVFAIL out of the cache) our own resolver answers, from the same function as
//! in memory.
//!
//! Nothing leaves the namespace, and whatever was started ends with the [`Network`].

mod knot;
pub mod namespace;
mod network;
mod packet;
mod process;
pub mod server;
mod unbound;

pub use network::{AUTHENTIC_DATA, CHECKING_DISABLED, Network, Probe, Servers, missing_programs, probe};
