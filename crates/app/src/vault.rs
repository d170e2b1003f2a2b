//! Secrets at rest: AES-256-GCM under the master key, bound to the id they belong to.
//!
//! A sealed secret is one version byte, a nonce of 12 bytes and the ciphertext with its tag. The id is associated
//! data, so a secret that was moved to another row does not open.

use crate::ports::Random;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

const VERSION: u8 = 1;
const NONCE_LENGTH: usize = 12;

/// Seals and opens secrets.
pub struct Vault {
    key: LessSafeKey,
}

/// Why a secret did not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a stored secret does not open: the master key is not the one it was sealed with, or the data is damaged"
)]
pub struct VaultError;

impl Vault {
    /// A vault under this master key.
    pub fn new(master_key: &[u8; 32]) -> Result<Self, VaultError> {
        let key = UnboundKey::new(&AES_256_GCM, master_key).map_err(|_| VaultError)?;
        Ok(Self { key: LessSafeKey::new(key) })
    }

    /// Seals a secret that belongs to `id`.
    pub fn seal(&self, id: &str, secret: &[u8], random: &Random) -> Result<Vec<u8>, VaultError> {
        let nonce = random.bytes::<NONCE_LENGTH>();
        let mut sealed = secret.to_vec();
        self.key
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(id.as_bytes()),
                &mut sealed,
            )
            .map_err(|_| VaultError)?;
        let mut out = Vec::with_capacity(1 + NONCE_LENGTH + sealed.len());
        out.push(VERSION);
        out.extend_from_slice(&nonce);
        out.append(&mut sealed);
        Ok(out)
    }

    /// Opens the secret of `id`.
    pub fn open(&self, id: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let (&VERSION, rest) = sealed.split_first().ok_or(VaultError)? else { return Err(VaultError) };
        let (nonce, ciphertext) = rest.split_at_checked(NONCE_LENGTH).ok_or(VaultError)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| VaultError)?;
        let mut buffer = Zeroizing::new(ciphertext.to_vec());
        let length = self
            .key
            .open_in_place(nonce, Aad::from(id.as_bytes()), &mut buffer)
            .map_err(|_| VaultError)?
            .len();
        buffer.truncate(length);
        Ok(buffer)
    }
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
}
