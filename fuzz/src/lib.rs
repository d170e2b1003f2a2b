//! What is done with arbitrary octets, and what must hold then. Each module is one target.
//!
//! `fuzz_targets/` hands these to libFuzzer; `crates/dns/tests/it/corpus.rs` includes this file to replay the
//! committed corpus without it. A target panics when something does not hold, and returns in bounded time.

pub mod dkim;
pub mod dmarc;
pub mod dns_answers;
pub mod input;
pub mod spf;
pub mod templates;

/// What a target does with an input.
pub type Target = fn(&[u8]);

/// Every target by its name, which is that of its corpus's folder.
pub const TARGETS: [(&str, Target); 5] = [
    ("dns_answers", dns_answers::run),
    ("spf", spf::run),
    ("dkim", dkim::run),
    ("dmarc", dmarc::run),
    ("templates", templates::run),
];
