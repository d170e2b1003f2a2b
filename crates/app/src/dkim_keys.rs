//! DKIM key pairs: made in advance, sealed at rest, opened to sign.

use crate::{
    App,
    error::{Error, Result},
};
use aws_lc_rs::{
    encoding::AsDer,
    rsa::{KeyPair, KeySize},
    signature::KeyPair as _,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use mail::dkim::SigningKey;
use model::KeyId;
use std::{collections::HashMap, sync::Arc};
use store::NewPoolKey;
use tokio::sync::Mutex;

/// How many opened keys are kept: loading one costs 0.2 ms, signing 0.7 ms.
const CACHED_KEYS: usize = 1_000;

/// Opened keys, by id.
#[derive(Default)]
pub struct KeyCache(Mutex<HashMap<KeyId, Arc<SigningKey>>>);

impl App {
    /// Makes one RSA-2048 pair (RFC 8301 §3.2), its private part sealed for its id. Takes some 70 ms of one core.
    pub async fn make_dkim_key(&self) -> Result<NewPoolKey> {
        let now = self.clock.now();
        let id = self.random.key_id(now);
        let (public, private) = tokio::task::spawn_blocking(make_pair)
            .await
            .map_err(|error| Error::Internal(error.to_string()))?
            .ok_or_else(|| Error::Internal("a DKIM key could not be made".to_owned()))?;
        let sealed = self
            .vault
            .seal(&id.to_string(), &private, &self.random)
            .map_err(|error| Error::Internal(error.to_string()))?;
        Ok(NewPoolKey {
            id,
            public_key: STANDARD.encode(public),
            private_key: sealed.into(),
            created_at: now,
        })
    }

    /// Fills the pool up to its size, one key at a time. Returns how many it made.
    pub async fn fill_key_pool(&self) -> Result<usize> {
        let mut made = 0;
        let wanted = u32::try_from(self.settings.key_pool).unwrap_or(u32::MAX);
        while !self.store.has_pool_keys(wanted).await? {
            let key = self.make_dkim_key().await?;
            self.store.add_pool_key(&key).await?;
            made += 1;
        }
        Ok(made)
    }

    /// The opened private key.
    pub async fn signing_key(&self, key: &store::DkimKey) -> Result<Arc<SigningKey>> {
        let mut cache = self.keys.0.lock().await;
        if let Some(opened) = cache.get(&key.id) {
            return Ok(Arc::clone(opened));
        }
        let secret = self
            .vault
            .open(&key.id.to_string(), &key.private_key)
            .map_err(|error| Error::Internal(error.to_string()))?;
        let opened = SigningKey::from_pkcs8(&secret)
            .map_err(|error| Error::Internal(format!("a DKIM key: {error}")))?;
        let opened = Arc::new(opened);
        if cache.len() >= CACHED_KEYS {
            cache.clear();
        }
        cache.insert(key.id, Arc::clone(&opened));
        Ok(opened)
    }
}

/// The public key as SPKI and the private key as PKCS #8, both DER.
fn make_pair() -> Option<(Vec<u8>, zeroize::Zeroizing<Vec<u8>>)> {
    let pair = KeyPair::generate(KeySize::Rsa2048).ok()?;
    let private = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&pair).ok()?;
    let public = AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'_>>::as_der(pair.public_key()).ok()?;
    Some((public.as_ref().to_vec(), zeroize::Zeroizing::new(private.as_ref().to_vec())))
}
