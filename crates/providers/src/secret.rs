//! What opens a customer's account at a DNS host.

use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

/// A token, key or password of a customer. It cannot be printed or put into an answer: it has no `Debug`, `Display` or
/// `Serialize`, and its memory is overwritten when it goes.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes it over, without the white space that pasting leaves around it.
    pub fn new(text: String) -> Self {
        let trimmed = text.trim();
        if trimmed.len() == text.len() {
            return Self(Zeroizing::new(text));
        }
        let trimmed = Self(Zeroizing::new(trimmed.to_owned()));
        drop(Zeroizing::new(text));
        trimmed
    }

    /// The secret itself, for the request that it is made for.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Its last four characters, by which its owner knows it again; nothing of one that is short.
    pub fn hint(&self) -> String {
        let length = self.0.chars().count();
        if length < 16 { String::new() } else { self.0.chars().skip(length - 4).collect() }
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_pasted_around_it_goes_and_a_short_one_has_no_hint() {
        assert_eq!(Secret::new(" abc\n".to_owned()).expose(), "abc");
        assert_eq!(Secret::new("abcdefghijklmnop".to_owned()).hint(), "mnop");
        assert_eq!(Secret::new("abcdefghijklmno".to_owned()).hint(), "");
        assert!(Secret::new(" ".to_owned()).is_empty());
    }
}
