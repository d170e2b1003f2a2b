//! DKIM (RFC 6376, with RFC 8301 and RFC 8463): key records, signing, verifying.
//!
//! [`KeyRecord::parse`] reads what is published, [`public_key_record`] writes it. [`sign`] returns the header field
//! to put in front of a message; [`verify`] judges every signature of a message over [`crate::lookup::Answers`].
//!
//! Signing and verifying are our own, on the cryptography of `aws-lc-rs`: the signer and the verifier of the
//! `mail-auth` crate read the clock themselves, its verifier is bound to its resolver, and its relaxed body hash is
//! wrong for bodies that end in lines of white space only. It serves as the oracle in the tests.
//!
//! Not here: ARC, ADSP, ATPS, reports about failures (`r=`), and the choice of keys.

mod body_hash;
mod canonical;
mod key_outline;
mod key_record;
mod sign;
mod signature;
mod verify;

#[cfg(test)]
pub(crate) use body_hash::work;
pub use canonical::Canonicalization;
pub(crate) use canonical::{SplitMessage, header_of, split, with_crlf};
pub use key_outline::{KeyKind, KeyOutline};
pub use key_record::{KeyRecord, KeyRecordError, KeyState, public_key_record, unwrapped_ed25519};
pub use sign::{KeyError, SignError, SigningKey, sign};
pub use signature::{Algorithm, Signature, SignatureError};
pub use verify::{DkimResult, MAX_SIGNATURES, SignatureOutcome, verify};
pub(crate) use verify::{judge, prepare};

#[cfg(test)]
mod tests;
