//! TLS settings for both sides, built on an explicit provider so that no process-wide default is needed.
//!
//! Mail between servers is encrypted opportunistically (RFC 3207, RFC 7435): most receiving servers show
//! certificates nobody can check, and plain text would be worse. [`opportunistic`] therefore accepts any
//! certificate; [`system_roots`] and [`with_roots`] check it.

use model::DomainName;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use rustls_platform_verifier::BuilderVerifierExt;
use std::sync::{Arc, OnceLock};

/// Why a TLS setting could not be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Generating the key or the certificate failed.
    #[error("no self-signed certificate could be made: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The TLS library refused the key, the certificate or the system's list of authorities.
    #[error("the TLS settings were refused: {0}")]
    Settings(#[from] rustls::Error),
}

/// Server settings with a fresh self-signed certificate for `hostname`: enough for STARTTLS between mail
/// servers, which do not check the name unless MTA-STS or DANE tells them to.
pub fn self_signed(hostname: &DomainName) -> Result<ServerConfig, TlsError> {
    let made = rcgen::generate_simple_self_signed(vec![hostname.to_string()])?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    server(vec![made.cert.der().clone()], key)
}

/// Server settings with the operator's certificate chain and key.
pub fn server(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, TlsError> {
    Ok(ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?)
}

/// Client settings that encrypt but take any certificate (RFC 7435). Made once, so sessions are resumed.
pub fn opportunistic() -> Result<Arc<ClientConfig>, TlsError> {
    static MADE: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(made) = MADE.get() {
        return Ok(made.clone());
    }
    let provider = provider();
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    Ok(MADE.get_or_init(|| Arc::new(config)).clone())
}

/// Client settings that check the certificate against the operating system's authorities. Made once.
pub fn system_roots() -> Result<Arc<ClientConfig>, TlsError> {
    static MADE: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(made) = MADE.get() {
        return Ok(made.clone());
    }
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth();
    Ok(MADE.get_or_init(|| Arc::new(config)).clone())
}

/// Client settings that check the certificate against the given authorities only.
pub fn with_roots(roots: Arc<RootCertStore>) -> Result<Arc<ClientConfig>, TlsError> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn provider() -> Arc<CryptoProvider> {
    static MADE: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    MADE.get_or_init(|| Arc::new(aws_lc_rs::default_provider())).clone()
}

/// Accepts every certificate, but still checks that the peer holds its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
