//! What a provider says of somebody: an ID token (OpenID Connect Core 1.0 §2), and whether to believe it (§3.1.3.7).
//!
//! Pure: the keys, the time and what is expected come as arguments. The signature is checked first, and only algorithms
//! with a public key are taken, so that neither `none` nor a secret made of the public key is one.

use aws_lc_rs::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use jsonwebtoken::{
    Algorithm, AlgorithmFamily, decode_header,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse},
};
use model::EmailAddress;
use serde::Deserialize;

/// How long a token may be.
const LONGEST: usize = 16 * 1024;

/// How long a subject may be (OpenID Connect Core 1.0 §2).
const LONGEST_SUBJECT: usize = 255;

/// How far the provider's clock may be from ours, in seconds.
const LEEWAY: i64 = 60;

/// How long ago a token may have been made, in seconds: it was asked for by us, just now.
const OLDEST: i64 = 10 * 60;

/// How many keys without a name are tried.
const MOST_KEYS: usize = 10;

/// What a token has to say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected<'a> {
    pub issuer: &'a str,
    pub client_id: &'a str,
    pub nonce: &'a str,
    pub now: Timestamp,
}

/// Who somebody is at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    /// Names the user at the provider, for ever.
    pub subject: String,
    /// The address, where the provider says that it is the user's own; else why it is not taken.
    pub email: Result<EmailAddress, Refused>,
    pub name: Option<String>,
}

/// Why a token is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("it is no ID token")]
    Malformed,
    #[error("it is signed in a way that is not taken")]
    Algorithm,
    #[error("it is signed with a key that the provider does not publish")]
    Key,
    #[error("its signature is not right")]
    Signature,
    #[error("it is from another provider")]
    Issuer,
    #[error("it is for another application")]
    Audience,
    #[error("it is too old")]
    Expired,
    #[error("it is from the future; compare the clocks of this machine and of the provider")]
    Future,
    #[error("it belongs to another login")]
    Nonce,
    #[error("it names nobody")]
    Subject,
    #[error("it has no e-mail address; let the provider hand it out (scope \"email\")")]
    NoEmail,
    #[error("the provider has not verified the e-mail address")]
    UnverifiedEmail,
}

impl Refused {
    /// The word for the audit log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Algorithm => "algorithm",
            Self::Key => "key",
            Self::Signature => "signature",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Expired => "expired",
            Self::Future => "future",
            Self::Nonce => "nonce",
            Self::Subject => "subject",
            Self::NoEmail => "no_email",
            Self::UnverifiedEmail => "unverified_email",
        }
    }
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    azp: Option<String>,
    exp: f64,
    iat: f64,
    nonce: Option<String>,
    email: Option<String>,
    #[serde(default)]
    email_verified: Verified,
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// Some providers write the truth in quotation marks.
#[derive(Default, Deserialize)]
#[serde(untagged)]
enum Verified {
    Bool(bool),
    Text(String),
    #[default]
    Nothing,
    Other(serde::de::IgnoredAny),
}

/// The name of the key that a token says it is signed with.
pub(super) fn key_id(token: &str) -> Result<Option<String>, Refused> {
    header(token).map(|(_, id)| id)
}

fn header(token: &str) -> Result<(Algorithm, Option<String>), Refused> {
    if token.len() > LONGEST || token.split('.').count() != 3 {
        return Err(Refused::Malformed);
    }
    // What a header says is critical has to be understood (RFC 7515 §4.1.11), and nothing is here.
    let text = token.split('.').next().and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let all: serde_json::Value =
        text.and_then(|text| serde_json::from_slice(&text).ok()).ok_or(Refused::Malformed)?;
    if all.get("crit").is_some() {
        return Err(Refused::Algorithm);
    }
    // A header with another algorithm, `none` among them, does not parse.
    let header = decode_header(token).map_err(|_| Refused::Algorithm)?;
    match header.alg.family() {
        AlgorithmFamily::Hmac => Err(Refused::Algorithm),
        _ => Ok((header.alg, header.kid)),
    }
}

/// Whether a key may be what a token with this algorithm is signed with.
fn fits(key: &Jwk, algorithm: Algorithm, id: Option<&str>) -> bool {
    let own = &key.common;
    id.is_none_or(|id| own.key_id.as_deref() == Some(id))
        && own.public_key_use.as_ref().is_none_or(|purpose| *purpose == PublicKeyUse::Signature)
        && own.key_algorithm.is_none_or(|own| own.to_string().parse() == Ok(algorithm))
}

/// Checks the signature.
fn verify_signature(token: &str, keys: &[Jwk]) -> Result<(), Refused> {
    let (algorithm, id) = header(token)?;
    let (message, signature) = token.rsplit_once('.').ok_or(Refused::Malformed)?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| Refused::Malformed)?;
    let mut refused = Refused::Key;
    for key in keys.iter().filter(|key| fits(key, algorithm, id.as_deref())).take(MOST_KEYS) {
        match is_signed_with(&key.algorithm, algorithm, message.as_bytes(), &signature) {
            Some(true) => return Ok(()),
            Some(false) => refused = Refused::Signature,
            None => {}
        }
    }
    Err(refused)
}

/// Whether this key made the signature; nothing where such a key makes none of this kind.
fn is_signed_with(
    key: &AlgorithmParameters,
    algorithm: Algorithm,
    message: &[u8],
    signature: &[u8],
) -> Option<bool> {
    let octets = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
    match key {
        AlgorithmParameters::RSA(key) => {
            let parameters = match algorithm {
                Algorithm::RS256 => &signature::RSA_PKCS1_2048_8192_SHA256,
                Algorithm::RS384 => &signature::RSA_PKCS1_2048_8192_SHA384,
                Algorithm::RS512 => &signature::RSA_PKCS1_2048_8192_SHA512,
                Algorithm::PS256 => &signature::RSA_PSS_2048_8192_SHA256,
                Algorithm::PS384 => &signature::RSA_PSS_2048_8192_SHA384,
                Algorithm::PS512 => &signature::RSA_PSS_2048_8192_SHA512,
                _ => return None,
            };
            let key = RsaPublicKeyComponents { n: octets(&key.n)?, e: octets(&key.e)? };
            Some(key.verify(parameters, message, signature).is_ok())
        }
        AlgorithmParameters::EllipticCurve(key) => {
            let curve: &dyn VerificationAlgorithm = match (algorithm, &key.curve) {
                (Algorithm::ES256, EllipticCurve::P256) => &signature::ECDSA_P256_SHA256_FIXED,
                (Algorithm::ES384, EllipticCurve::P384) => &signature::ECDSA_P384_SHA384_FIXED,
                _ => return None,
            };
            // Not compressed (SEC 1 §2.3.3).
            let point = [vec![4], octets(&key.x)?, octets(&key.y)?].concat();
            Some(UnparsedPublicKey::new(curve, point).verify(message, signature).is_ok())
        }
        AlgorithmParameters::OctetKeyPair(key) if algorithm == Algorithm::EdDSA => {
            let key = UnparsedPublicKey::new(&signature::ED25519, octets(&key.x)?);
            Some(key.verify(message, signature).is_ok())
        }
        _ => None,
    }
}

/// Whether a token is to be believed, and what it says then.
pub(super) fn verify(token: &str, keys: &[Jwk], expected: Expected<'_>) -> Result<Identity, Refused> {
    verify_signature(token, keys)?;
    let payload = token.split('.').nth(1).ok_or(Refused::Malformed)?;
    let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| Refused::Malformed)?;
    let claims: Claims = serde_json::from_slice(&payload).map_err(|_| Refused::Malformed)?;
    if claims.iss != expected.issuer {
        return Err(Refused::Issuer);
    }
    let is_for_us = match &claims.aud {
        Audience::One(one) => one == expected.client_id,
        // Other applications that may have the token too have to be known to us; none are.
        Audience::Several(several) => several.len() == 1 && several[0] == expected.client_id,
    };
    if !is_for_us || claims.azp.as_deref().is_some_and(|azp| azp != expected.client_id) {
        return Err(Refused::Audience);
    }
    #[expect(clippy::cast_precision_loss, reason = "seconds of this age are exact")]
    let (now, leeway, oldest) = (expected.now.as_second() as f64, LEEWAY as f64, OLDEST as f64);
    if claims.exp <= now - leeway || claims.iat <= now - oldest - leeway {
        return Err(Refused::Expired);
    }
    if claims.iat >= now + leeway {
        return Err(Refused::Future);
    }
    if claims.nonce.as_deref() != Some(expected.nonce) {
        return Err(Refused::Nonce);
    }
    let is_subject = (1..=LONGEST_SUBJECT).contains(&claims.sub.len()) && claims.sub.is_ascii();
    if !is_subject || claims.sub.chars().any(|c| c.is_ascii_control()) {
        return Err(Refused::Subject);
    }
    Ok(Identity { email: email(&claims), subject: claims.sub, name: claims.name })
}

fn email(claims: &Claims) -> Result<EmailAddress, Refused> {
    let email = claims.email.as_deref().ok_or(Refused::NoEmail)?;
    let is_verified = match &claims.email_verified {
        Verified::Bool(is_verified) => *is_verified,
        Verified::Text(text) => text == "true",
        Verified::Nothing | Verified::Other(_) => false,
    };
    if !is_verified {
        return Err(Refused::UnverifiedEmail);
    }
    EmailAddress::parse(&email.to_lowercase()).map_err(|_| Refused::NoEmail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::{
        rand::SystemRandom,
        signature::{
            ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
            KeyPair,
        },
    };
    use serde_json::{Value, json};

    const NOW: i64 = 1_750_000_000;

    fn part(value: &Value) -> String {
        URL_SAFE_NO_PAD.encode(value.to_string())
    }

    fn message(alg: &str) -> String {
        let claims = json!({
            "iss": "https://login.example.com", "sub": "1", "aud": ["us"], "iat": NOW, "exp": NOW + 60, "nonce": "n",
            "email": "Ann@example.net", "email_verified": true,
        });
        format!("{}.{}", part(&json!({"alg": alg, "kid": "k"})), part(&claims))
    }

    fn check(token: &str, key: &Value) -> Result<Identity, Refused> {
        let keys = vec![serde_json::from_value(key.clone()).unwrap()];
        let expected = Expected {
            issuer: "https://login.example.com",
            client_id: "us",
            nonce: "n",
            now: Timestamp::from_second(NOW).unwrap(),
        };
        verify(token, &keys, expected)
    }

    #[test]
    fn keys_on_curves_are_understood_and_each_has_its_algorithm() {
        let random = SystemRandom::new();
        let curves = [
            (&ECDSA_P256_SHA256_FIXED_SIGNING, "ES256", "P-256"),
            (&ECDSA_P384_SHA384_FIXED_SIGNING, "ES384", "P-384"),
        ];
        for (curve, alg, name) in curves {
            let pair = EcdsaKeyPair::generate(curve).unwrap();
            let point = pair.public_key().as_ref();
            let (x, y) = point[1..].split_at(point.len() / 2);
            let [x, y] = [x, y].map(|octets| URL_SAFE_NO_PAD.encode(octets));
            let key = json!({"kty": "EC", "crv": name, "kid": "k", "x": x, "y": y});
            let message = message(alg);
            let signature = pair.sign(&random, message.as_bytes()).unwrap();
            let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()));
            let identity = check(&token, &key).unwrap();
            assert_eq!(
                (&*identity.subject, identity.email.unwrap().to_string()),
                ("1", "ann@example.net".into())
            );
            // Under another name it is another kind of signature.
            let other = self::message(if alg == "ES256" { "ES384" } else { "ES256" });
            let signature = pair.sign(&random, other.as_bytes()).unwrap();
            let token = format!("{other}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()));
            assert_eq!(check(&token, &key), Err(Refused::Key));
        }
        let pair = Ed25519KeyPair::generate().unwrap();
        let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        let key = json!({"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": x});
        let message = message("EdDSA");
        let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(pair.sign(message.as_bytes()).as_ref()));
        assert!(check(&token, &key).is_ok());
        let spoiled =
            token.replace(&part(&json!({"alg": "EdDSA", "kid": "k"})), &part(&json!({"alg": "EdDSA"})));
        assert_eq!(check(&spoiled, &key), Err(Refused::Signature));
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let secret = json!({"kty": "oct", "kid": "k", "k": "c2VjcmV0"});
        for (token, refused) in [
            (String::new(), Refused::Malformed),
            ("a.b".to_owned(), Refused::Malformed),
            ("..".to_owned(), Refused::Malformed),
            ("x".repeat(LONGEST + 1), Refused::Malformed),
            (format!("{}.x", message("none")), Refused::Algorithm),
            (format!("{}.x", message("HS256")), Refused::Algorithm),
            (format!("{}.x", message("whatever")), Refused::Algorithm),
            (format!("{}.x!", message("RS256")), Refused::Malformed),
            (format!("{}.eA", message("RS256")), Refused::Key),
        ] {
            assert_eq!(check(&token, &secret), Err(refused), "{token:.60}");
        }
    }
}
