//! Scenarios: DNS as it is found in the wild, and what must be found in it. For tests only.
//!
//! Each file in `scenarios/` is one: zones with their servers, faults, what resolvers remember, and what must and
//! must not be found. [`all`] reads them, [`Scenario::plan`] says what should be there, [`Scenario::report`] goes
//! the whole pure way (inquiry, [`FakeDns`], diagnosis), [`Scenario::problems`] holds a report against the
//! expectations. So the same files serve the tests of every crate.
//!
//! # The format
//!
//! ```toml
//! title = "One of two name servers answers late and the other one in fragments"
//! domain = "mail.acme.test"
//! profile = "three-cname"          # a built-in profile, "audit" with selectors = ["s1"] or
//!                                  # try_selectors = true, or "template" with
//!                                  # template = the JSON text and [values]
//! resolvers = ["127.0.0.53"]       # the default
//! family = "ipv6"                  # at which addresses name servers are asked; "any" unless given
//! private_addresses = false        # do not ask servers at private and loopback addresses; true unless given
//!
//! [[zone]]
//! apex = "acme.test"
//! servers = ["ns1.acme.test 127.0.1.1", "ns2.acme.test 127.0.1.2", "ns2.acme.test 2001:db8:1::2"]
//! delegation = ["ns1.old.test 127.0.1.9"]   # what the parent lists; the same as servers unless given
//! negative_ttl = 300               # the SOA's TTL and MINIMUM; 300 unless given
//! serial = 1                       # the SOA's serial number; 1 unless given
//! dnssec = "bogus"                 # unless asked with CD=1, resolvers answer SERVFAIL; or "signed"
//! records = '''
//! ; host [ttl] TYPE data; names without a final dot are relative to the apex
//! @                     MX    10 mx
//! tok1._domainkey.mail  CNAME tok1.dkim.send.example.net.
//! mail            600   TXT   "v=spf1 " "include:spf.send.example.net ~all"
//! '''
//!
//! [[fault]]
//! address = "127.0.1.1"            # a server or a resolver
//! kind = "slow"
//! ms = 300
//! name = "mail.acme.test"          # only for this name, if given
//! type = "TXT"                     # only for this type, if given
//! extended_error = 15              # with this extended error (RFC 8914), if given
//!
//! [[cached]]                       # what resolvers answer in place of what the name servers have now
//! name = "mail.acme.test"          # in full
//! type = "TXT"
//! negative_ttl = 540               # nothing was there, for so many seconds; or
//! servfail = true                  # or
//! records = 'mail.acme.test. 540 TXT "old"'
//! resolver = "127.0.0.54"          # only this one, if given
//!
//! [expect]
//! verdict = "pass"
//! findings = ["name_server_unreachable"]   # all of them with "pass" or where it is []; else all errors
//! forbidden = ["record_missing"]
//! visible_in = 540                 # seconds until all resolvers see what is there, if given
//! [expect.records]
//! "dkim-1" = "verified"
//!
//! [wire]                           # see below
//! reason = "…"
//! may_differ = ["dns_unanswered"]
//! ```
//!
//! **Records**: A, AAAA, CNAME, DNAME, NS, DS (its digest), PTR, MX, TXT, SPF (type 99), CAA. `{key1}` to `{key3}` stand for the keys of
//! `keys.toml`; `{x*300}` for 300 times `x`; `{1..20}` repeats the line with each number, and several ranges of a
//! line run together (`c{1..20} CNAME c{2..21}`). `servers` and `delegation` take ranges, too. `*` is a wildcard; `a\.b` and `a\032` are labels
//! with a dot and a space.
//! An alias may stand beside other records, which no real server allows.
//!
//! **Not written down each time**: the root and every public suffix are zones of their own at `127.0.4.1`; each zone
//! delegates to those below it; the addresses of servers are in the zones that their names are in, and glue where
//! needed; the platform's zone `send.example.net` at `127.0.3.1` has keys behind `tok1` to `tok3`, its SPF record
//! and bounce hosts. NS records in a zone's text take the place of those that would be added at their name.
//!
//! **Faults** ([`FaultKind`]): `servfail`, `refused`, `notimp`, `formerr`, `formerr_to_edns`, `timeout`, `slow`
//! (`ms`), `first_lost`, `nxdomain_for_ent`, `not_authoritative`, `upward_referral`, `no_soa` (nothing is
//! there, and no SOA record says so), `nxdomain` (nothing else), `extended_error` (right answers), `nxdomain_with_answer`, `records` (this server has other `records`, of its first
//! zone or of `zone`, maybe under another `serial`), `truncated`, `truncated_tcp_blocked`, `long_lost`, `wrong_id`, `wrong_question`, `stray_first`, `malformed`,
//! `garbage`, `foreign_records`, `foreign_targets`, `mixed_case`.
//!
//! A resolver is a server like others: it can be at fault. Without a fault it goes from the root down, asks the
//! servers that parents list, and takes the first usable answer.
//!
//! # Over the wire
//!
//! The feature `wire` runs the same scenarios with real packets: see the module `wire`. Verdict, statuses and codes
//! have to be the same as in memory. Where a program behaves in another way, `[wire]` says so with its `reason`:
//! `may_differ` lists codes that may be there or not; `own_resolver = true` puts our resolver in unbound's place,
//! `own_servers = true` our servers in Knot's. Without being told, unbound resolves unless the resolver is at fault
//! or answers SERVFAIL from its cache; a second run has Knot for all servers that are not at fault and whose zones
//! it loads, signed where `dnssec` says so. Caches are filled by asking before the change, so `negative_ttl` of
//! the zone should be that of what is `[[cached]]`: a resolver keeps one SOA record for both.
#![expect(clippy::unwrap_used, reason = "a scenario that cannot be read is a failed test")]
#![expect(clippy::missing_panics_doc, reason = "everything here panics on a bad scenario, in tests only")]

mod expect;
mod fake_dns;
mod file;
mod follow;
mod run;
#[cfg(feature = "wire")]
pub mod wire;
mod world;
mod zone;
mod zone_text;

pub use expect::{Expect, OnTheWire};
pub use fake_dns::{FakeDns, Reaction};
pub use file::{Cached, Dnssec, Fault, FaultKind, Scenario, ZoneText, all, keys, load};
pub use run::{now, skip};
pub use world::{REGISTRY, Served, World};
pub use zone::{Answer, Zone};
