//! The provider: what it publishes about itself (OpenID Connect Discovery 1.0 §4), its keys, and the exchange of a code for
//! an ID token. The operator named it, so it may be anywhere; what it answers is bounded all the same.

use super::{ProviderSettings, token};
use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::jwk::Jwk;
use reqwest::{Client, RequestBuilder, StatusCode, header, redirect::Policy};
use serde::{Deserialize, de::DeserializeOwned};
use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};
use tokio::sync::Mutex;
use url::{Host, Url};

/// How long an answer may take, from the first octet asked to the last one read.
const LIMIT: Duration = Duration::from_secs(10);

/// How long an answer may be.
const LONGEST: usize = 256 * 1024;

/// How many keys of a provider are looked at.
const MOST_KEYS: usize = 100;

/// How long what a provider publishes is believed.
const FRESH: SignedDuration = SignedDuration::from_hours(1);

/// A key that is not known is looked for no sooner than this after the last look: whoever sends tokens with made-up
/// names of keys has us ask nobody.
const AGAIN: SignedDuration = SignedDuration::from_mins(1);

/// One that did not answer is not asked again so soon: whoever comes meanwhile does not wait for it.
const SOON: SignedDuration = SignedDuration::from_secs(5);

/// Why a provider is of no use now. In words for whoever wants to log in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Down {
    #[error("it does not answer ({0})")]
    Unreachable(String),
    #[error("it answered with status {0}")]
    Status(u16),
    #[error("its answer is not what OpenID Connect asks for: {0}")]
    Answer(&'static str),
    /// It does not take the code.
    #[error("it does not take the code that it gave (\"{0}\")")]
    Code(String),
}

/// What a provider publishes about itself.
#[derive(Debug, Clone, Deserialize)]
struct Published {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

#[derive(Debug)]
struct Known {
    published: Published,
    keys: Vec<Jwk>,
    at: Timestamp,
}

/// The provider.
pub(crate) struct Provider {
    pub settings: ProviderSettings,
    http: Client,
    known: Mutex<Option<Arc<Known>>>,
    failed: std::sync::Mutex<Option<(Timestamp, Down)>>,
}

#[derive(Deserialize)]
struct Keys {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: Option<String>,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

/// What is shown of a word that a provider sent.
pub(super) fn shown(word: &str) -> String {
    word.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(80).collect()
}

/// Whether what goes to this address is seen by nobody in between.
pub fn is_safe(address: &str) -> bool {
    let Ok(url) = Url::parse(address) else { return false };
    let is_here = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    url.username().is_empty() && (url.scheme() == "https" || (url.scheme() == "http" && is_here))
}

impl Provider {
    pub fn new(settings: ProviderSettings) -> Result<Self, String> {
        let builder = Client::builder().redirect(Policy::none()).timeout(LIMIT);
        // A proxy of the environment leads out, not to this machine.
        let builder = if settings.issuer.starts_with("http://") { builder.no_proxy() } else { builder };
        let http = builder.build().map_err(|error| error.to_string())?;
        Ok(Self { settings, http, known: Mutex::new(None), failed: std::sync::Mutex::new(None) })
    }

    async fn answer(&self, request: RequestBuilder) -> Result<(StatusCode, Vec<u8>), Down> {
        let unreachable = |error: reqwest::Error| {
            Down::Unreachable(
                if error.is_timeout() { "no answer in time" } else { "no connection" }.to_owned(),
            )
        };
        let mut response =
            request.header(header::ACCEPT, "application/json").send().await.map_err(unreachable)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > LONGEST {
                return Err(Down::Answer("it is too long"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok((response.status(), body))
    }

    async fn get<T: DeserializeOwned>(&self, address: &str, what: &'static str) -> Result<T, Down> {
        let (status, body) = self.answer(self.http.get(address)).await?;
        if status != StatusCode::OK {
            return Err(Down::Status(status.as_u16()));
        }
        serde_json::from_slice(&body).map_err(|_| Down::Answer(what))
    }

    async fn look(&self, now: Timestamp) -> Result<Known, Down> {
        let issuer = self.settings.issuer.as_str();
        let address = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let published: Published = self.get(&address, "it does not say where its parts are").await?;
        if published.issuer != issuer {
            return Err(Down::Answer("it says that it is another issuer than the one configured"));
        }
        let parts = [&published.authorization_endpoint, &published.token_endpoint, &published.jwks_uri];
        if !parts.iter().all(|address| is_safe(address)) {
            return Err(Down::Answer("its parts are not at https addresses"));
        }
        let keys: Keys = self.get(&published.jwks_uri, "it publishes no keys").await?;
        // Of a kind that we do not know there may be any number.
        let keys = keys.keys.into_iter().take(MOST_KEYS);
        let keys = keys.filter_map(|key| serde_json::from_value(key).ok()).collect();
        Ok(Known { published, keys, at: now })
    }

    /// What is known of the provider, looked up where that is old, or where a key is wanted that is not among them.
    async fn known(&self, now: Timestamp, key: Option<&str>) -> Result<Arc<Known>, Down> {
        // Held while it is looked up: whoever comes meanwhile waits for the same answer.
        let mut known = self.known.lock().await;
        if let Some(known) = known.as_ref() {
            let age = now.duration_since(known.at).abs();
            let has_key =
                key.is_none_or(|id| known.keys.iter().any(|key| key.common.key_id.as_deref() == Some(id)));
            if age < AGAIN || (age < FRESH && has_key) {
                return Ok(Arc::clone(known));
            }
        }
        let failed = || self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, down)) = failed().as_ref().filter(|(at, _)| now.duration_since(*at).abs() < SOON) {
            tracing::debug!(%at, "the provider was down just now");
            return Err(down.clone());
        }
        match self.look(now).await {
            Ok(fresh) => {
                let fresh = Arc::new(fresh);
                *known = Some(Arc::clone(&fresh));
                Ok(fresh)
            }
            Err(down) => {
                *failed() = Some((now, down.clone()));
                Err(down)
            }
        }
    }

    /// Where the browser goes to log in (OpenID Connect Core 1.0 §3.1.2.1, RFC 7636 §4.3).
    pub async fn address(
        &self,
        redirect: &str,
        state: &str,
        nonce: &str,
        challenge: &str,
        now: Timestamp,
    ) -> Result<String, Down> {
        let known = self.known(now, None).await?;
        let mut url = Url::parse(&known.published.authorization_endpoint)
            .map_err(|_| Down::Answer("its parts are not at https addresses"))?;
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("scope", "openid email profile")
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("redirect_uri", redirect)
            .append_pair("state", state)
            .append_pair("nonce", nonce)
            .append_pair("code_challenge", challenge)
            .append_pair("code_challenge_method", "S256");
        Ok(url.into())
    }

    /// Exchanges a code for the ID token.
    pub async fn exchange(
        &self,
        code: &str,
        verifier: &str,
        redirect: &str,
        now: Timestamp,
    ) -> Result<String, Down> {
        let known = self.known(now, None).await?;
        let published = &known.published;
        let (id, secret) = (self.settings.client_id.as_str(), self.settings.client_secret.as_ref());
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("code_verifier", verifier),
            ("redirect_uri", redirect),
        ];
        // RFC 6749 §2.3.1: in the header, unless only the other way is offered.
        let methods = published.token_endpoint_auth_methods_supported.as_deref().unwrap_or_default();
        let is_offered = |method: &str| methods.iter().any(|offered| offered == method);
        let by_header = !is_offered("client_secret_post") || is_offered("client_secret_basic");
        let mut request = self.http.post(&published.token_endpoint);
        match secret {
            Some(secret) if by_header => {
                let pair = format!("{}:{}", form_encoded(id), form_encoded(secret.expose()));
                request = request.header(header::AUTHORIZATION, format!("Basic {}", STANDARD.encode(pair)));
            }
            Some(secret) => fields.extend([("client_id", id), ("client_secret", secret.expose())]),
            None => fields.push(("client_id", id)),
        }
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        let (status, body) = self.answer(request).await?;
        if status.is_success() {
            let tokens: Tokens =
                serde_json::from_slice(&body).map_err(|_| Down::Answer("it gives no tokens"))?;
            return tokens.id_token.ok_or(Down::Answer("it gives no ID token"));
        }
        match serde_json::from_slice::<Refusal>(&body) {
            Ok(refusal) if status.is_client_error() => Err(Down::Code(shown(&refusal.error))),
            _ => Err(Down::Status(status.as_u16())),
        }
    }

    /// The keys to check a token with.
    pub async fn keys(
        &self,
        id_token: &str,
        now: Timestamp,
    ) -> Result<Result<Vec<Jwk>, token::Refused>, Down> {
        let id = match token::key_id(id_token) {
            Ok(id) => id,
            Err(refused) => return Ok(Err(refused)),
        };
        Ok(Ok(self.known(now, id.as_deref()).await?.keys.clone()))
    }
}

fn form_encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
