//! Secrets at rest: AES-256-GCM under the master key, bound to the id they belong to.
//!
//! A sealed secret is one version byte, the name of its key (4 octets of a hash), a nonce of 12 bytes and the ciphertext
//! with its tag. The id is associated data, so a secret that was moved to another row does not open. The first version had
//! no name of its key; its secrets still open.
//!
//! A vault may hold earlier master keys too: they open, and never seal. [`App::reseal`] seals anew what they sealed.

use crate::{
    App,
    error::{Error, Result as Done},
    ports::Random,
};
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    digest::{SHA256, digest},
};
use std::{
    fmt::Write as _,
    sync::atomic::{AtomicBool, Ordering},
};
use store::sealed::{COLUMNS, Resealed};
use zeroize::Zeroizing;

/// Without the name of the key.
const NAMELESS: u8 = 1;
const VERSION: u8 = 2;
const NAME_LENGTH: usize = 4;
const NONCE_LENGTH: usize = 12;

/// How many secrets are sealed anew in one transaction.
const AT_ONCE: u32 = 200;

/// The setting that is sealed at the first start: it opens only with a key of this installation.
pub const CHECK: &str = "master_key_check";

type Name = [u8; NAME_LENGTH];

struct Key {
    name: Name,
    key: LessSafeKey,
}

/// Seals and opens secrets.
pub struct Vault {
    current: Key,
    earlier: Vec<Key>,
    /// Opens as well, and is neither sealed with nor sealed away from: the key that other nodes may seal with already.
    next: Option<Key>,
    /// Whether nothing was left to seal anew when this process last looked.
    is_clean: AtomicBool,
}

/// Why a secret did not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a stored secret does not open: the master key is not the one it was sealed with, or the data is damaged"
)]
pub struct VaultError;

impl Key {
    fn new(master_key: &[u8; 32]) -> Result<Self, VaultError> {
        let key = UnboundKey::new(&AES_256_GCM, master_key).map_err(|_| VaultError)?;
        let hash = digest(&SHA256, &[b"countersign master key ".as_slice(), master_key].concat());
        let name = hash.as_ref().first_chunk().copied().ok_or(VaultError)?;
        Ok(Self { name, key: LessSafeKey::new(key) })
    }

    fn open(&self, id: &str, rest: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let (nonce, ciphertext) = rest.split_at_checked(NONCE_LENGTH).ok_or(VaultError)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| VaultError)?;
        let mut buffer = Zeroizing::new(ciphertext.to_vec());
        let opened = self.key.open_in_place(nonce, Aad::from(id.as_bytes()), &mut buffer);
        let length = opened.map_err(|_| VaultError)?.len();
        buffer.truncate(length);
        Ok(buffer)
    }
}

impl Vault {
    /// A vault under this master key.
    pub fn new(master_key: &[u8; 32]) -> Result<Self, VaultError> {
        Ok(Self {
            current: Key::new(master_key)?,
            earlier: Vec::new(),
            next: None,
            is_clean: AtomicBool::new(false),
        })
    }

    /// The same, opening what was sealed with these keys too.
    pub fn with_earlier(mut self, master_keys: &[[u8; 32]]) -> Result<Self, VaultError> {
        self.earlier = master_keys.iter().map(Key::new).collect::<Result<_, _>>()?;
        Ok(self)
    }

    /// The same, opening what other nodes seal with the key that is to come.
    pub fn with_next(mut self, master_key: Option<&[u8; 32]>) -> Result<Self, VaultError> {
        self.next = master_key.map(Key::new).transpose()?;
        Ok(self)
    }

    /// Whether there are keys from before the one that seals.
    pub fn has_earlier(&self) -> bool {
        !self.earlier.is_empty()
    }

    /// What everything begins with that is sealed now.
    fn begin(&self) -> [u8; 1 + NAME_LENGTH] {
        let [a, b, c, d] = self.current.name;
        [VERSION, a, b, c, d]
    }

    /// Seals a secret that belongs to `id`.
    pub fn seal(&self, id: &str, secret: &[u8], random: &Random) -> Result<Vec<u8>, VaultError> {
        let nonce = random.bytes::<NONCE_LENGTH>();
        let mut sealed = secret.to_vec();
        let aad = Aad::from(id.as_bytes());
        let unique = Nonce::assume_unique_for_key(nonce);
        self.current.key.seal_in_place_append_tag(unique, aad, &mut sealed).map_err(|_| VaultError)?;
        let mut out = Vec::with_capacity(1 + NAME_LENGTH + NONCE_LENGTH + sealed.len());
        out.extend_from_slice(&self.begin());
        out.extend_from_slice(&nonce);
        out.append(&mut sealed);
        Ok(out)
    }

    /// Opens the secret of `id`.
    pub fn open(&self, id: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let mut keys = std::iter::once(&self.current).chain(&self.earlier).chain(&self.next);
        match sealed.split_first().ok_or(VaultError)? {
            (&NAMELESS, rest) => keys.find_map(|key| key.open(id, rest).ok()).ok_or(VaultError),
            (&VERSION, rest) => {
                let (name, rest) = rest.split_at_checked(NAME_LENGTH).ok_or(VaultError)?;
                keys.find(|key| key.name == name).ok_or(VaultError)?.open(id, rest)
            }
            _ => Err(VaultError),
        }
    }
}

impl App {
    /// Where there are earlier master keys, seals anew what they sealed, a bounded part at a time; how much.
    pub async fn reseal(&self) -> Done<usize> {
        if !self.vault.has_earlier() || self.vault.is_clean.load(Ordering::Relaxed) {
            return Ok(0);
        }
        let mut done = 0;
        let mut damaged = None;
        for column in COLUMNS {
            let found = self.store.sealed_otherwise(column, self.vault.begin(), AT_ONCE).await?;
            let mut resealed = Vec::with_capacity(found.len());
            for (id, old) in found {
                let bound_to = format!("{}{id}", column.bound_to);
                let opened = self.vault.open(&bound_to, &old);
                match opened.and_then(|secret| self.vault.seal(&bound_to, &secret, &self.random)) {
                    Ok(new) => resealed.push(Resealed { id, old, new: new.into() }),
                    Err(error) => damaged = Some(lost(&bound_to, error)),
                }
            }
            self.store.reseal(column, &resealed).await?;
            done += resealed.len();
        }
        // What does not open must not keep the others from being sealed anew.
        if let Some(error) = damaged.filter(|_| done == 0) {
            return Err(error);
        }
        if done == 0 {
            let check = self.vault.seal(CHECK, CHECK.as_bytes(), &self.random);
            self.store.set_setting(CHECK, &hex(&check.map_err(|error| lost(CHECK, error))?)).await?;
            self.vault.is_clean.store(true, Ordering::Relaxed);
            tracing::info!("every secret is sealed with the master key in force");
        }
        Ok(done)
    }

    /// Whether nothing is left that an earlier master key sealed; `None` where there is no earlier one. Looked at anew each
    /// time: a node that has not got the new key yet may have sealed something meanwhile.
    pub async fn earlier_keys_can_go(&self) -> Done<Option<bool>> {
        if !self.vault.has_earlier() {
            return Ok(None);
        }
        for column in COLUMNS {
            if !self.store.sealed_otherwise(column, self.vault.begin(), 1).await?.is_empty() {
                self.vault.is_clean.store(false, Ordering::Relaxed);
                self.wake.reseal.notify_one();
                return Ok(Some(false));
            }
        }
        if self.store.has_answer_sealed_otherwise(self.vault.begin()).await? {
            return Ok(Some(false));
        }
        Ok(Some(self.vault.is_clean.load(Ordering::Relaxed)))
    }
}

fn lost(id: &str, error: VaultError) -> Error {
    Error::Internal(format!("{id}: {error}"))
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        let _ = write!(text, "{octet:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_opens_only_for_its_id_and_key() {
        let random = Random::system();
        let vault = Vault::new(&[7; 32]).unwrap();
        let sealed = vault.seal("dkk_1", b"secret", &random).unwrap();
        assert_eq!(vault.open("dkk_1", &sealed).unwrap().as_slice(), b"secret");
        assert_eq!(vault.open("dkk_2", &sealed), Err(VaultError));
        assert_eq!(Vault::new(&[8; 32]).unwrap().open("dkk_1", &sealed), Err(VaultError));
        assert_eq!(vault.open("dkk_1", &sealed[..5]), Err(VaultError));
        assert_eq!(vault.open("dkk_1", b""), Err(VaultError));
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
    }

    #[test]
    fn an_earlier_key_opens_and_never_seals() {
        let random = Random::system();
        let old = Vault::new(&[7; 32]).unwrap().seal("dkk_1", b"secret", &random).unwrap();
        let vault = Vault::new(&[8; 32]).unwrap().with_earlier(&[[6; 32], [7; 32]]).unwrap();
        assert_eq!(vault.open("dkk_1", &old).unwrap().as_slice(), b"secret");
        assert_eq!(vault.open("dkk_2", &old), Err(VaultError));
        let new = vault.seal("dkk_1", b"secret", &random).unwrap();
        assert_eq!(Vault::new(&[8; 32]).unwrap().open("dkk_1", &new).unwrap().as_slice(), b"secret");
        assert_eq!(Vault::new(&[7; 32]).unwrap().open("dkk_1", &new), Err(VaultError));
        let waiting = Vault::new(&[7; 32]).unwrap().with_next(Some(&[8; 32])).unwrap();
        assert_eq!(waiting.open("dkk_1", &new).unwrap().as_slice(), b"secret");
        assert!(!waiting.has_earlier(), "it does not seal anew what the others have sealed already");
        // As it was before keys had names.
        let nameless = [&[NAMELESS], &old[1 + NAME_LENGTH..]].concat();
        assert_eq!(vault.open("dkk_1", &nameless).unwrap().as_slice(), b"secret");
    }
}
