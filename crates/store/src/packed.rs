//! Long JSON, compressed: what was observed of a domain takes a fifteenth of its text, a report a fifth.

use crate::value::Stored;
use miniz_oxide::{deflate::compress_to_vec, inflate::decompress_to_vec_with_limit};

/// The common one of deflate's levels.
const LEVEL: u8 = 6;

/// More than any text that is stored.
const MOST: usize = 64 << 20;

/// A text that is stored compressed.
pub(crate) struct Packed(pub(crate) String);

impl Stored for Packed {
    type Raw = Vec<u8>;
    fn to_raw(&self) -> Vec<u8> {
        compress_to_vec(self.0.as_bytes(), LEVEL)
    }
    fn from_raw(raw: Vec<u8>) -> Option<Self> {
        let bytes = decompress_to_vec_with_limit(&raw, MOST).ok()?;
        String::from_utf8(bytes).ok().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_back_and_nothing_else_does() {
        for text in ["", "{}", &"ä{\"a\":[1,2]}".repeat(9_000)] {
            let packed = Packed(text.to_owned()).to_raw();
            assert_eq!(Packed::from_raw(packed).unwrap().0, text);
        }
        for broken in [&b""[..], b"no deflate", &[0xff; 9]] {
            assert!(Packed::from_raw(broken.to_vec()).is_none());
        }
    }
}
