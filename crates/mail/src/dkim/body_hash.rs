//! The body hashes of all signatures of a message, from one pass over the body for each canonicalization.
//!
//! A body may have many megabytes and a message ten signatures, so no canonical form is made twice, and a hash of the
//! first octets (`l=`) is taken on the way to the longer ones.

use super::canonical::Canonicalization;
use aws_lc_rs::digest::{Context, Digest, SHA256};
use std::collections::HashMap;

/// What decides about a body hash: `c=` and `l=`. The algorithm is always SHA-256.
type Form = (Canonicalization, Option<u64>);

/// Body hashes by their form.
pub(super) struct BodyHashes(HashMap<Form, Digest>);

impl BodyHashes {
    /// Hashes the body in every form that is wanted.
    pub(super) fn new(body: &[u8], forms: &[Form]) -> Self {
        let mut hashes = HashMap::new();
        for canonicalization in [Canonicalization::Simple, Canonicalization::Relaxed] {
            let wanted = forms.iter().filter(|form| form.0 == canonicalization);
            if wanted.clone().next().is_none() {
                continue;
            }
            let body = canonicalization.body(body);
            let mut lengths: Vec<(usize, Form)> =
                wanted.filter_map(|form| Some((length(form.1, body.len())?, *form))).collect();
            lengths.sort_unstable_by_key(|(length, _)| *length);
            let mut context = Context::new(&SHA256);
            let mut done = 0;
            for (length, form) in lengths {
                context.update(&body[done..length]);
                done = length;
                hashes.entry(form).or_insert_with(|| context.clone().finish());
            }
            #[cfg(test)]
            work::add(1, done);
        }
        Self(hashes)
    }

    /// The hash; `None` when the body is shorter than `l=` says.
    pub(super) fn get(&self, form: Form) -> Option<&[u8]> {
        self.0.get(&form).map(AsRef::as_ref)
    }
}

/// How much of a canonical body is hashed.
fn length(limit: Option<u64>, whole: usize) -> Option<usize> {
    let Some(limit) = limit else { return Some(whole) };
    usize::try_from(limit).ok().filter(|limit| *limit <= whole)
}

/// What verifying cost on this thread, for tests.
#[cfg(test)]
pub(crate) mod work {
    use std::cell::Cell;

    thread_local! {
        static WORK: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
    }

    pub(super) fn add(bodies: usize, octets: usize) {
        WORK.set((WORK.get().0 + bodies, WORK.get().1 + octets));
    }

    /// Bodies canonicalized and octets of them hashed since the last call.
    pub(crate) fn take() -> (usize, usize) {
        WORK.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::digest::digest;

    #[test]
    fn every_length_has_its_hash_from_one_pass() {
        use Canonicalization::{Relaxed, Simple};
        work::take();
        let forms =
            [(Relaxed, Some(3)), (Relaxed, None), (Relaxed, Some(0)), (Relaxed, None), (Relaxed, Some(9))];
        let hashes = BodyHashes::new(b"a  b\r\nc", &forms);
        // The canonical form is "a b", CRLF, "c", CRLF.
        assert_eq!(work::take(), (1, 8));
        let expected = |text: &[u8]| digest(&SHA256, text).as_ref().to_vec();
        assert_eq!(hashes.get((Relaxed, Some(3))).unwrap(), expected(b"a b"));
        assert_eq!(hashes.get((Relaxed, None)).unwrap(), expected(b"a b\r\nc\r\n"));
        assert_eq!(hashes.get((Relaxed, Some(0))).unwrap(), expected(b""));
        assert_eq!(hashes.get((Relaxed, Some(9))), None);
        assert_eq!(hashes.get((Simple, None)), None);
    }
}
