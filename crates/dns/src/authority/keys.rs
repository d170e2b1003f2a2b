//! The keys of a zone: very many names with one TXT record each, in little memory.
//!
//! A table is made of shards that its clones share. A change copies the shards that it touches and nothing else, so a
//! new zone set with one key more costs as much with a million keys as with a hundred. An RSA key of 2048 bits is kept
//! as its modulus and written out as text when it is asked for; any other text is kept as it is.

use super::zone_set::suffixes;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use model::{DomainName, TxtData};
use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

/// How many shards there are, as bits of the hash.
const SHARD_BITS: u32 = 12;

/// About how long an entry is: for room that is made in advance.
const USUAL_ENTRY: usize = 300;

/// What stands before the base64 of a key, as the platform writes it (RFC 6376 §3.6.1).
const RSA_TEXT: &[u8] = b"v=DKIM1; k=rsa; p=";

/// What stands before the modulus of an RSA key of 2048 bits (`SubjectPublicKeyInfo`, RFC 5280 and RFC 8017).
const RSA_BEFORE: [u8; 33] = [
    0x30, 0x82, 0x01, 0x22, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01,
    0x05, 0x00, 0x03, 0x82, 0x01, 0x0f, 0x00, 0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01, 0x00,
];

/// What stands behind it: the exponent 65537.
const RSA_AFTER: [u8; 5] = [0x02, 0x03, 0x01, 0x00, 0x01];

const MODULUS: usize = 256;
const RSA_KEY: usize = RSA_BEFORE.len() + MODULUS + RSA_AFTER.len();
const RSA_BASE64: usize = RSA_KEY / 3 * 4;
const RSA_WHOLE: usize = RSA_TEXT.len() + RSA_BASE64;

/// The longest string of a TXT record (RFC 1035 §3.3).
const STRING: usize = 255;

/// The longest name in wire format.
const LONGEST_NAME: usize = 255;

/// Why a key cannot be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The selector cannot be labels of a name.
    #[error("the selector {0:?} cannot be a name")]
    Selector(String),
    /// The text is longer than a record can be.
    #[error("the key of {0:?} has more text than a record can hold")]
    Text(String),
}

/// Keys below one name. A clone shares all of them.
#[derive(Debug, Clone)]
pub struct KeyTable {
    shards: Vec<Arc<Shard>>,
    hasher: RandomState,
    names: usize,
    ttl: u32,
    origin: Arc<Origin>,
}

#[derive(Debug)]
struct Origin {
    name: DomainName,
    wire: Box<[u8]>,
    labels: usize,
}

/// Some of the names. An entry is the length of its labels, the labels, how many keys are below it (4 octets), a [`Kind`],
/// and what that has.
#[derive(Debug, Clone, Default)]
struct Shard {
    /// In the order of their hashes.
    slots: Vec<Slot>,
    entries: Vec<u8>,
    /// How many octets of the entries belong to none any more.
    dead: usize,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    hash: u32,
    at: u32,
}

/// Only names below it.
const NOTHING: u8 = 0;
/// A modulus follows.
const RSA: u8 = 1;
/// The length of the data of a TXT record follows, and the data.
const TEXT: u8 = 2;

/// What is at a name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    /// In wire format, without the root and what they are below.
    pub(super) labels: &'a [u8],
    below: u32,
    /// `None` where there are only names below.
    pub(super) value: Option<Value<'a>>,
}

/// The data of a TXT record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Rsa(&'a [u8]),
    Text(&'a [u8]),
}

impl KeyTable {
    /// An empty table of names below `origin`, whose records all have one TTL. `None` where that name is too long.
    pub fn new(origin: &DomainName, ttl: u32) -> Option<Self> {
        let wire = crate::name::to_wire(origin)?.as_slice().to_ascii_lowercase().into_boxed_slice();
        let labels = suffixes(&wire).count() - 1;
        Some(Self {
            shards: vec![Arc::default(); 1 << SHARD_BITS],
            hasher: RandomState::new(),
            names: 0,
            ttl,
            origin: Arc::new(Origin { name: origin.clone(), wire, labels }),
        })
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.names
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.names == 0
    }

    /// Makes room for so many names, where they are about to be added.
    pub fn reserve(&mut self, names: usize) {
        let each = (names >> SHARD_BITS) + (names >> (SHARD_BITS + 2));
        for shard in &mut self.shards {
            let shard = Arc::make_mut(shard);
            shard.slots.reserve_exact(each);
            shard.entries.reserve_exact(each * USUAL_ENTRY);
        }
    }

    /// Gives back room that was made for more.
    pub fn shrink(&mut self) {
        for shard in &mut self.shards {
            if shard.entries.capacity() > shard.entries.len() || shard.slots.capacity() > shard.slots.len() {
                let shard = Arc::make_mut(shard);
                shard.entries.shrink_to_fit();
                shard.slots.shrink_to_fit();
            }
        }
    }

    /// Has a selector's record say this; what it said before is gone.
    pub fn insert(&mut self, selector: &str, text: &str) -> Result<(), KeyError> {
        let mut room = [0; LONGEST_NAME];
        let labels = self.labels(selector, &mut room)?;
        let text = TxtData::from_text(text);
        let wire = text.as_wire();
        if wire.is_empty() || wire.len() > usize::from(u16::MAX) {
            return Err(KeyError::Text(selector.to_owned()));
        }
        let mut key = [0; RSA_KEY];
        let value = match modulus(wire, &mut key) {
            Some(modulus) => Value::Rsa(modulus),
            None => Value::Text(wire),
        };
        if self.put(labels, Some(value)) {
            self.names += 1;
            for above in above(labels) {
                self.count_below(above, true);
            }
        }
        Ok(())
    }

    /// Takes a selector away, if it is there.
    pub fn remove(&mut self, selector: &str) {
        let mut room = [0; LONGEST_NAME];
        let Ok(labels) = self.labels(selector, &mut room) else { return };
        if self.find(labels).is_none_or(|entry| entry.value.is_none()) {
            return;
        }
        self.put(labels, None);
        self.names -= 1;
        for above in above(labels) {
            self.count_below(above, false);
        }
    }

    /// Whether a selector has a record.
    pub fn contains(&self, selector: &str) -> bool {
        let mut room = [0; LONGEST_NAME];
        self.labels(selector, &mut room)
            .is_ok_and(|labels| self.find(labels).is_some_and(|entry| entry.value.is_some()))
    }

    pub(super) fn ttl(&self) -> u32 {
        self.ttl
    }

    /// What all names are below, in wire format and lower case.
    pub(super) fn origin(&self) -> &[u8] {
        &self.origin.wire
    }

    /// How many labels that has.
    pub(super) fn origin_labels(&self) -> usize {
        self.origin.labels
    }

    pub(super) fn origin_name(&self) -> &DomainName {
        &self.origin.name
    }

    /// What is at a name, given as its labels in front of the origin.
    pub(super) fn find(&self, labels: &[u8]) -> Option<Entry<'_>> {
        let (shard, hash) = self.place(labels);
        let shard = self.shards.get(shard)?;
        shard.find(hash, labels).map(|(_, entry)| entry)
    }

    /// All names that have a record.
    pub(super) fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        let entries =
            self.shards.iter().flat_map(|shard| shard.slots.iter().filter_map(|slot| shard.entry(*slot)));
        entries.filter(|entry| entry.value.is_some())
    }

    /// Whether both came from one table, so that what they share can be told.
    pub(super) fn is_of_one_make(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.origin, &other.origin)
    }

    /// The shards that are not shared with a later state of this table.
    fn differing<'a>(&'a self, later: &'a Self) -> impl Iterator<Item = (&'a Shard, &'a Shard)> {
        let pairs = self.shards.iter().zip(&later.shards);
        pairs.filter(|(one, other)| !Arc::ptr_eq(one, other)).map(|(one, other)| (&**one, &**other))
    }

    /// How many octets are kept for this table's sake alone, beside a later state of it.
    pub(super) fn octets_beside(&self, later: &Self) -> usize {
        let shards: usize = self.differing(later).map(|(one, _)| one.entries.capacity()).sum();
        shards + self.shards.len() * size_of::<Arc<Shard>>()
    }

    /// What a later state of this table has no more, and what it has beside it.
    pub(super) fn changes<'a>(&'a self, later: &'a Self) -> (Vec<Entry<'a>>, Vec<Entry<'a>>) {
        fn beside<'a>(one: &'a Shard, other: &Shard, out: &mut Vec<Entry<'a>>) {
            for slot in &one.slots {
                let Some(entry) = one.entry(*slot).filter(|entry| entry.value.is_some()) else { continue };
                let there = other.find(slot.hash, entry.labels);
                if there.is_none_or(|(_, there)| there.value != entry.value) {
                    out.push(entry);
                }
            }
        }
        let (mut gone, mut new) = (Vec::new(), Vec::new());
        for (one, other) in self.differing(later) {
            beside(one, other, &mut gone);
            beside(other, one, &mut new);
        }
        (gone, new)
    }

    fn place(&self, labels: &[u8]) -> (usize, u32) {
        let hash = self.hasher.hash_one(labels);
        let shard = usize::try_from(hash >> (64 - SHARD_BITS)).unwrap_or_default();
        (shard, u32::try_from(hash & u64::from(u32::MAX)).unwrap_or_default())
    }

    /// Whether the name has a record that it did not have before.
    fn put(&mut self, labels: &[u8], value: Option<Value<'_>>) -> bool {
        let (shard, hash) = self.place(labels);
        self.shards.get_mut(shard).is_some_and(|shard| {
            let known = shard.find(hash, labels).map(|(_, entry)| (entry.below, entry.value));
            if known.is_some_and(|(_, known)| known.is_some() && known == value) {
                return false;
            }
            let below = known.map_or(0, |(below, _)| below);
            let is_new = value.is_some() && known.is_none_or(|(_, known)| known.is_none());
            Arc::make_mut(shard).set(hash, labels, below, value);
            is_new
        })
    }

    fn count_below(&mut self, labels: &[u8], one_more: bool) {
        let (shard, hash) = self.place(labels);
        let Some(shard) = self.shards.get_mut(shard) else { return };
        let shard = Arc::make_mut(shard);
        let known = shard.find(hash, labels).map(|(_, entry)| entry);
        let below = known.map_or(0, |entry| entry.below);
        let below = if one_more { below.saturating_add(1) } else { below.saturating_sub(1) };
        let mut own = Vec::new();
        let value = known.and_then(|entry| entry.value).map(|value| value.kept(&mut own));
        shard.set(hash, labels, below, value);
    }

    /// A selector as labels in wire format and lower case.
    fn labels<'a>(&self, selector: &str, room: &'a mut [u8; LONGEST_NAME]) -> Result<&'a [u8], KeyError> {
        let refuse = || KeyError::Selector(selector.to_owned());
        let length = selector.len() + 1;
        let is_text = |octet: u8| octet.is_ascii_graphic() && !matches!(octet, b'\\' | b'"' | b'*');
        if length + self.origin.wire.len() > LONGEST_NAME {
            return Err(refuse());
        }
        let mut at = 0;
        for label in selector.split('.') {
            let size =
                u8::try_from(label.len()).ok().filter(|size| (1..=63).contains(size)).ok_or_else(refuse)?;
            if !label.bytes().all(is_text) {
                return Err(refuse());
            }
            room[at] = size;
            at += 1;
            for octet in label.bytes() {
                room[at] = octet.to_ascii_lowercase();
                at += 1;
            }
        }
        Ok(&room[..at])
    }
}

/// The names between these labels and the origin.
fn above(labels: &[u8]) -> impl Iterator<Item = &[u8]> {
    suffixes(labels).skip(1)
}

impl Shard {
    fn entry(&self, slot: Slot) -> Option<Entry<'_>> {
        let rest = self.entries.get(usize::try_from(slot.at).ok()?..)?;
        let (length, rest) = rest.split_first()?;
        let (labels, rest) = rest.split_at_checked(usize::from(*length))?;
        let (below, rest) = rest.split_first_chunk()?;
        let (kind, rest) = rest.split_first()?;
        let value = match *kind {
            RSA => Some(Value::Rsa(rest.get(..MODULUS)?)),
            TEXT => {
                let (length, rest) = rest.split_first_chunk()?;
                Some(Value::Text(rest.get(..usize::from(u16::from_be_bytes(*length)))?))
            }
            _ => None,
        };
        Some(Entry { labels, below: u32::from_be_bytes(*below), value })
    }

    /// The place of a name among the slots, and what is there.
    fn find(&self, hash: u32, labels: &[u8]) -> Option<(usize, Entry<'_>)> {
        let first = self.slots.partition_point(|slot| slot.hash < hash);
        let same = self.slots.get(first..)?.iter().take_while(|slot| slot.hash == hash);
        same.zip(first..)
            .filter_map(|(slot, at)| Some((at, self.entry(*slot)?)))
            .find(|(_, entry)| entry.labels == labels)
    }

    /// Writes what is at a name; with nothing at it and below, it is gone.
    fn set(&mut self, hash: u32, labels: &[u8], below: u32, value: Option<Value<'_>>) {
        let known = self.find(hash, labels).map(|(at, entry)| (at, entry.size()));
        if let Some((_, size)) = known {
            self.dead += size;
        }
        let is_needed = below > 0 || value.is_some();
        match known {
            Some((at, _)) if !is_needed => {
                self.slots.remove(at);
            }
            None if !is_needed => {}
            known => {
                let Ok(start) = u32::try_from(self.entries.len()) else { return };
                let entry = Entry { labels, below, value };
                let size = entry.size();
                if self.entries.capacity() - self.entries.len() < size {
                    self.entries.reserve_exact(size);
                }
                entry.write(&mut self.entries);
                if let Some(slot) = known.and_then(|(at, _)| self.slots.get_mut(at)) {
                    slot.at = start;
                } else {
                    let at = self.slots.partition_point(|slot| slot.hash < hash);
                    self.slots.insert(at, Slot { hash, at: start });
                }
            }
        }
        if self.dead * 4 > self.entries.len() + 4 * USUAL_ENTRY {
            self.compact();
        }
    }

    /// Leaves out what belongs to no name any more.
    fn compact(&mut self) {
        let mut entries = Vec::with_capacity(self.entries.len().saturating_sub(self.dead));
        let mut slots = Vec::with_capacity(self.slots.len());
        for slot in &self.slots {
            let Some(entry) = self.entry(*slot) else { continue };
            let Ok(at) = u32::try_from(entries.len()) else { continue };
            entry.write(&mut entries);
            slots.push(Slot { at, ..*slot });
        }
        *self = Self { slots, entries, dead: 0 };
    }
}

impl Entry<'_> {
    fn size(&self) -> usize {
        let value = match self.value {
            None => 0,
            Some(Value::Rsa(modulus)) => modulus.len(),
            Some(Value::Text(text)) => 2 + text.len(),
        };
        1 + self.labels.len() + 4 + 1 + value
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::try_from(self.labels.len()).unwrap_or_default());
        out.extend_from_slice(self.labels);
        out.extend_from_slice(&self.below.to_be_bytes());
        match self.value {
            None => out.push(NOTHING),
            Some(Value::Rsa(modulus)) => {
                out.push(RSA);
                out.extend_from_slice(modulus);
            }
            Some(Value::Text(text)) => {
                out.push(TEXT);
                out.extend_from_slice(&u16::try_from(text.len()).unwrap_or_default().to_be_bytes());
                out.extend_from_slice(text);
            }
        }
    }
}

impl Value<'_> {
    /// The same in room of its own.
    fn kept<'b>(&self, room: &'b mut Vec<u8>) -> Value<'b> {
        match self {
            Value::Rsa(modulus) => {
                room.extend_from_slice(modulus);
                Value::Rsa(room)
            }
            Value::Text(text) => {
                room.extend_from_slice(text);
                Value::Text(room)
            }
        }
    }

    /// Writes the length of the data and the data.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Value::Text(text) => {
                out.extend_from_slice(&u16::try_from(text.len()).unwrap_or_default().to_be_bytes());
                out.extend_from_slice(text);
            }
            Value::Rsa(modulus) => {
                let mut text = [0; RSA_WHOLE];
                if write_text(modulus, &mut text).is_none() {
                    out.extend_from_slice(&[0, 1, 0]);
                    return;
                }
                let strings = RSA_WHOLE.div_ceil(STRING);
                let length = u16::try_from(RSA_WHOLE + strings).unwrap_or_default();
                out.extend_from_slice(&length.to_be_bytes());
                for string in text.chunks(STRING) {
                    out.push(u8::try_from(string.len()).unwrap_or_default());
                    out.extend_from_slice(string);
                }
            }
        }
    }
}

/// The text of an RSA key of 2048 bits.
fn write_text(modulus: &[u8], text: &mut [u8; RSA_WHOLE]) -> Option<()> {
    let mut key = [0; RSA_KEY];
    let (before, rest) = key.split_at_mut(RSA_BEFORE.len());
    before.copy_from_slice(&RSA_BEFORE);
    let (place, after) = rest.split_at_mut(MODULUS);
    place.copy_from_slice(modulus.get(..MODULUS)?);
    after.copy_from_slice(&RSA_AFTER);
    let (before, base64) = text.split_at_mut(RSA_TEXT.len());
    before.copy_from_slice(RSA_TEXT);
    STANDARD.encode_slice(key, base64).ok().filter(|&length| length == RSA_BASE64).map(|_| ())
}

/// The modulus of a key whose TXT data would come out octet by octet the same.
fn modulus<'a>(wire: &[u8], key: &'a mut [u8; RSA_KEY]) -> Option<&'a [u8]> {
    let strings = RSA_WHOLE.div_ceil(STRING);
    if wire.len() != RSA_WHOLE + strings {
        return None;
    }
    let mut base64 = [0; RSA_BASE64];
    let text = wire.chunks(STRING + 1).flat_map(|string| string.iter().skip(1));
    for (place, octet) in base64.iter_mut().zip(text.skip(RSA_TEXT.len())) {
        *place = *octet;
    }
    STANDARD.decode_slice(base64, key).ok().filter(|&length| length == RSA_KEY)?;
    let modulus = key.get(RSA_BEFORE.len()..RSA_BEFORE.len() + MODULUS)?;
    let mut again = Vec::with_capacity(wire.len() + 2);
    Value::Rsa(modulus).write(&mut again);
    (again.get(2..)? == wire).then_some(modulus)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn table() -> KeyTable {
        KeyTable::new(&DomainName::parse("dkim.send.test").unwrap(), 300).unwrap()
    }

    fn rsa(octet: u8) -> String {
        let key = [RSA_BEFORE.as_slice(), &[octet; MODULUS], &RSA_AFTER].concat();
        format!("v=DKIM1; k=rsa; p={}", STANDARD.encode(key))
    }

    fn text(table: &KeyTable, selector: &str) -> Option<Vec<u8>> {
        let mut room = [0; LONGEST_NAME];
        let mut out = Vec::new();
        table.find(table.labels(selector, &mut room).unwrap())?.value?.write(&mut out);
        Some(out.split_off(2))
    }

    #[test]
    fn a_key_comes_out_as_it_was_put_in() {
        let mut table = table();
        let odd = format!("{} ", rsa(9));
        let other_exponent = rsa(7).replace("AQAB", "AQAD");
        for (selector, said) in [
            ("a", rsa(1).as_str()),
            ("b", "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="),
            ("c", "v=DKIM1; p="),
            ("d", &odd),
            ("e", &other_exponent),
            ("f", "x"),
        ] {
            table.insert(selector, said).unwrap();
            assert_eq!(text(&table, selector).unwrap(), TxtData::from_text(said).as_wire(), "{selector}");
        }
        let one = table.find(b"\x01a").unwrap();
        assert!(matches!(one.value, Some(Value::Rsa(_))), "an RSA key is kept as its modulus");
        assert_eq!(one.size(), 264);
        assert_eq!(table.len(), 6);
    }

    #[test]
    fn what_cannot_be_a_name_is_refused() {
        let mut table = table();
        let long = "x".repeat(64);
        let longest = vec!["x".repeat(60); 4].join(".");
        for selector in ["", ".", "a..b", "a b", "a\\b", "*", long.as_str(), longest.as_str()] {
            assert_eq!(table.insert(selector, "x"), Err(KeyError::Selector(selector.to_owned())));
            table.remove(selector);
        }
        assert_eq!(table.insert("a", &"x".repeat(70_000)), Err(KeyError::Text("a".to_owned())));
        assert!(table.is_empty());
    }

    #[test]
    fn a_clone_does_not_see_what_changes_later() {
        let mut table = table();
        table.insert("a", "old").unwrap();
        let before = table.clone();
        table.insert("a", "new").unwrap();
        table.insert("b", "x").unwrap();
        assert_eq!((text(&before, "a").unwrap(), before.len()), (b"\x03old".to_vec(), 1));
        assert_eq!((text(&table, "a").unwrap(), table.len()), (b"\x03new".to_vec(), 2));
    }

    proptest! {
        #[test]
        fn a_table_is_as_a_map(
            changes in proptest::collection::vec(("[ab]{1,2}(\\.[cd]){0,2}", proptest::option::of(0_u8..4)), 0..200)
        ) {
            let mut table = table();
            let mut map = BTreeMap::new();
            for (selector, value) in changes {
                if let Some(octet) = value {
                    let said = if octet == 3 { "short".to_owned() } else { rsa(octet) };
                    table.insert(&selector, &said).unwrap();
                    map.insert(selector, said);
                } else {
                    table.remove(&selector);
                    map.remove(&selector);
                }
            }
            prop_assert_eq!(table.len(), map.len());
            prop_assert_eq!(table.iter().count(), map.len());
            for (selector, said) in &map {
                let wire = TxtData::from_text(said);
                prop_assert_eq!(text(&table, selector).unwrap(), wire.as_wire());
            }
            // A name that only has names below it is there, and no other.
            for first in ["c", "d", "c.c", "c.d", "d.c", "d.d", "a", "ab.c", "bb.d.c"] {
                let mut room = [0; LONGEST_NAME];
                let found = table.find(table.labels(first, &mut room).unwrap());
                let below = map.keys().filter(|name| name.ends_with(&format!(".{first}"))).count();
                prop_assert_eq!(found.is_some(), below > 0 || map.contains_key(first), "{}", first);
                prop_assert_eq!(found.map_or(0, |entry| entry.below as usize), below);
            }
        }
    }
}
