//! The key that signs links. DNS hosts fetch its public part from our DNS server, in the platform zone.
//!
//! There is one for the platform, made when a node first serves the zone with Domain Connect set up, and sealed as DKIM keys
//! are. Nodes that do this at once end up with the same one.

use crate::{
    App,
    error::{Error, Result},
};
use aws_lc_rs::{rand::SystemRandom, rsa::KeyPair, signature::RSA_PKCS1_SHA256};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use model::{DomainName, Record, RecordData, TxtData};
use publish::domain_connect::key_records;
use store::NewPoolKey;

/// How much of the key's id is in the name of its record.
const NAME_LENGTH: usize = 12;

/// The label of the key's record. It is made of the key's id, so that another key has another name.
pub(crate) fn label(key: &NewPoolKey) -> String {
    let id = key.id.to_string().to_ascii_lowercase();
    format!("_dck{}", &id[id.len().saturating_sub(NAME_LENGTH)..])
}

/// The records of the key.
pub(crate) fn zone_records(
    key: &NewPoolKey,
    zone: &DomainName,
    ttl: u32,
) -> std::result::Result<Vec<Record>, model::DomainNameError> {
    let owner = zone.prepend(&label(key))?;
    let record =
        |text: String| Record { owner: owner.clone(), ttl, data: RecordData::Txt(TxtData::from_text(&text)) };
    Ok(key_records(&key.public_key).into_iter().map(record).collect())
}

impl App {
    /// The key, where links are made.
    pub(crate) async fn connect_key(&self) -> Result<Option<NewPoolKey>> {
        if !self.settings.domain_connect.is_on() {
            return Ok(None);
        }
        Ok(self.store.domain_connect_key().await?)
    }

    /// Makes the key where there is none, and links are made.
    pub(crate) async fn ensure_connect_key(&self) -> Result<Option<NewPoolKey>> {
        if !self.settings.domain_connect.is_on() {
            return Ok(None);
        }
        match self.store.domain_connect_key().await? {
            Some(key) => Ok(Some(key)),
            None => Ok(Some(self.store.add_domain_connect_key(&self.make_dkim_key().await?).await?)),
        }
    }

    /// Signs the query of a link: the label of the key, and the signature in base64.
    pub(super) async fn sign_link(&self, query: &str) -> Result<(String, String)> {
        let fault = |what: &str| Error::Internal(format!("the key of Domain Connect {what}"));
        let key = self.store.domain_connect_key().await?.ok_or_else(|| fault("is not there"))?;
        let opened = self
            .vault
            .open(&key.id.to_string(), &key.private_key)
            .map_err(|error| Error::Internal(error.to_string()))?;
        let pair = KeyPair::from_pkcs8(&opened).map_err(|_| fault("is damaged"))?;
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), query.as_bytes(), &mut signature)
            .map_err(|_| fault("does not sign"))?;
        Ok((label(&key), STANDARD.encode(signature)))
    }
}
