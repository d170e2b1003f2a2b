//! Mail standards: bytes to types and back, and the evaluations the standards define.
//!
//! One folder per standard: [`spf`] (RFC 7208), [`dkim`] (RFC 6376, 8301, 8463), [`dmarc`] (RFC 9989),
//! [`authentication`] (all three over one message, RFC 8601), [`compose`] and [`message`] (RFC 5322, MIME).
//!
//! What needs DNS is a pure function over [`lookup::Answers`]: it returns the questions it still has, the caller
//! fetches the answers and calls again. Nothing here reads a clock, opens a socket or keeps state between calls,
//! so an evaluation can be repeated over stored answers and gives the same result.

pub mod authentication;
pub mod compose;
pub mod dkim;
pub mod dmarc;
pub mod lookup;
pub mod message;
pub mod spf;
mod tag_list;
