//! What this machine can reach: its own public addresses as others see them, the relay, and the site with its
//! certificate.
//!
//! A network that does not lead its own public addresses back inside (a NAT without hairpin) looks from here like a
//! closed port, so a port of our own that cannot be reached is a warning and says how to look from outside.

use app::operator_health::{HealthItem, HealthState};
use model::DomainName;
use rustls::{
    ClientConfig, DigitallySignedStruct, Error as TlsError, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

/// How long one connection may take, with the first words over it.
const PATIENCE: Duration = Duration::from_secs(5);

/// A certificate that runs out sooner than this should have been renewed already.
const RENEWED_BY: Duration = Duration::from_hours(7 * 24);

/// Whether DNS and SMTP answer at our public addresses, where others look for them.
pub async fn ports(addresses: &[IpAddr], zone: &DomainName) -> Vec<HealthItem> {
    let mut items = Vec::new();
    for &address in addresses {
        let dns = SocketAddr::new(address, 53);
        let from_outside = format!("From another network: dig +tcp @{address} {zone} SOA");
        items.push(port("port_dns", dns, connect(dns).await.map(drop), &from_outside));
        let smtp = SocketAddr::new(address, 25);
        let from_outside =
            format!("Bounces and reports come in there. From another network: nc {address} 25");
        items.push(port("port_smtp", smtp, greeting(smtp).await, &from_outside));
    }
    items
}

fn port(code: &str, at: SocketAddr, found: Result<(), String>, from_outside: &str) -> HealthItem {
    match found {
        Ok(()) => HealthItem::ok(code, format!("answers at {at}")),
        Err(problem) => HealthItem::not_ok(
            code,
            HealthState::Warn,
            format!("{at} cannot be reached from here: {problem}"),
            format!("Let the port in, and lead it to this machine's listener. {from_outside}"),
        ),
    }
}

/// Whether the server that mail is handed to greets.
pub async fn relay(host: &str, port: u16) -> HealthItem {
    const CODE: &str = "relay";
    let found = async {
        let looked_up = timeout(PATIENCE, tokio::net::lookup_host((host, port))).await;
        let addresses = looked_up.map_err(|_| "looking up its name took too long".to_owned())?;
        let mut addresses = addresses.map_err(|error| error.to_string())?;
        greeting(addresses.next().ok_or("its name has no address")?).await
    };
    match found.await {
        Ok(()) => HealthItem::ok(CODE, format!("{host}:{port} greets")),
        Err(problem) => HealthItem::not_ok(
            CODE,
            HealthState::Fail,
            format!("{host}:{port} takes no mail: {problem}"),
            "Accepted mail waits until it does. Look at the relay, and at smtp_relay in the configuration.",
        ),
    }
}

async fn connect(at: SocketAddr) -> Result<TcpStream, String> {
    match timeout(PATIENCE, TcpStream::connect(at)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(plain(&error)),
        Err(_) => Err("nothing answers".to_owned()),
    }
}

/// The kind of an error, without the number that the system gives it.
fn plain(error: &std::io::Error) -> String {
    error.kind().to_string()
}

/// An SMTP server begins with 220 (RFC 5321 §4.2).
async fn greeting(at: SocketAddr) -> Result<(), String> {
    let mut stream = connect(at).await?;
    let first = first_octets(&mut stream, 3).await?;
    if first == b"220" {
        return Ok(());
    }
    Err(format!("it begins with \"{}\", not with 220", String::from_utf8_lossy(&first).escape_debug()))
}

async fn first_octets(stream: &mut (impl AsyncRead + Unpin), count: usize) -> Result<Vec<u8>, String> {
    let mut first = vec![0; count];
    match timeout(PATIENCE, stream.read_exact(&mut first)).await {
        Ok(Ok(_)) => Ok(first),
        Ok(Err(error)) => Err(plain(&error)),
        Err(_) => Err("it says nothing".to_owned()),
    }
}

/// Whether the site answers where browsers go to, and how long its certificate holds.
pub async fn site(public_url: &str) -> Vec<HealthItem> {
    let Ok(provider) = default_verifier() else { return Vec::new() };
    site_by(public_url, provider).await
}

fn default_verifier() -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    Ok(Arc::new(rustls_platform_verifier::Verifier::new(provider)?))
}

async fn site_by(public_url: &str, verifier: Arc<dyn ServerCertVerifier>) -> Vec<HealthItem> {
    let (is_tls, authority) = match (public_url.strip_prefix("https://"), public_url.strip_prefix("http://"))
    {
        (Some(authority), _) => (true, authority),
        (None, Some(authority)) => (false, authority),
        (None, None) => return Vec::new(),
    };
    let (host, port) = match authority.rsplit_once(':').map(|(host, port)| (host, port.parse::<u16>())) {
        Some((host, Ok(port))) => (host, port),
        _ => (authority, if is_tls { 443 } else { 80 }),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let seen = Arc::new(Lifetime { verifier, found: Mutex::default() });
    let answer = answer(host, port, authority, is_tls.then(|| Arc::clone(&seen))).await;
    let mut items = vec![match answer {
        Ok(status) if status == "200" => HealthItem::ok("site", format!("{public_url}/healthz answers")),
        Ok(status) => HealthItem::not_ok(
            "site",
            HealthState::Fail,
            format!("{public_url}/healthz answers with {status}"),
            "Let the proxy hand requests on to the listener that http= names.",
        ),
        Err(problem) => HealthItem::not_ok(
            "site",
            HealthState::Warn,
            format!("{public_url} cannot be reached from here: {problem}"),
            format!(
                "Look at the proxy in front of this machine. From another network: curl -i {public_url}/healthz"
            ),
        ),
    }];
    items.extend(seen.found.lock().ok().and_then(|found| found.clone()).map(certificate));
    items
}

fn certificate(found: Found) -> HealthItem {
    const CODE: &str = "certificate";
    const FIX: &str = "Renew it: certbot renew --dry-run shows what keeps it from being renewed by itself.";
    match found {
        Found::Holds => HealthItem::ok(CODE, "is valid for a week at least"),
        Found::RunsOut => HealthItem::not_ok(CODE, HealthState::Warn, "runs out within a week", FIX),
        Found::Wrong(problem) => {
            HealthItem::not_ok(CODE, HealthState::Fail, format!("browsers refuse it: {problem}"), FIX)
        }
    }
}

async fn answer(
    host: &str,
    port: u16,
    authority: &str,
    tls: Option<Arc<Lifetime>>,
) -> Result<String, String> {
    let looked_up = timeout(PATIENCE, tokio::net::lookup_host((host, port))).await;
    let addresses = looked_up.map_err(|_| "looking up its name took too long".to_owned())?;
    let address = addresses.map_err(|error| plain(&error))?.next().ok_or("its name has no address")?;
    let stream = connect(address).await?;
    let Some(verifier) = tls else { return status(stream, authority).await };
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
    match timeout(PATIENCE, TlsConnector::from(Arc::new(config)).connect(name, stream)).await {
        Ok(Ok(stream)) => status(stream, authority).await,
        Ok(Err(error)) => Err(format!("TLS: {error}")),
        Err(_) => Err("TLS: nothing answers".to_owned()),
    }
}

/// The status of `/healthz` (RFC 9112 §4).
async fn status(mut stream: impl AsyncRead + AsyncWrite + Unpin, authority: &str) -> Result<String, String> {
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(|error| plain(&error))?;
    let first = first_octets(&mut stream, "HTTP/1.1 200".len()).await?;
    let text = String::from_utf8_lossy(&first);
    text.strip_prefix("HTTP/1.")
        .and_then(|rest| rest.get(2..))
        .map(str::to_owned)
        .ok_or_else(|| "it does not speak HTTP".to_owned())
}

/// What a certificate is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    Holds,
    RunsOut,
    Wrong(String),
}

/// Judges a certificate as browsers do, now and a week from now, and lets the connection go on whatever comes of it: it
/// carries nothing but a question whose answer everybody may have.
#[derive(Debug)]
struct Lifetime {
    verifier: Arc<dyn ServerCertVerifier>,
    found: Mutex<Option<Found>>,
}

impl ServerCertVerifier for Lifetime {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let at = |time| {
            self.verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, time)
        };
        let later = UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs()) + RENEWED_BY);
        let found = match (at(now), at(later)) {
            (Ok(_), Ok(_)) => Found::Holds,
            (Ok(_), Err(_)) => Found::RunsOut,
            (Err(error), _) => Found::Wrong(error.to_string()),
        };
        if let Ok(mut slot) = self.found.lock() {
            *slot = Some(found);
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.verifier.verify_tls12_signature(message, cert, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.verifier.verify_tls13_signature(message, cert, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instance::system_time;
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
    use rustls::{RootCertStore, ServerConfig, client::WebPkiServerVerifier, pki_types::PrivateKeyDer};
    use tokio::{net::TcpListener, task::JoinHandle};
    use tokio_rustls::TlsAcceptor;

    /// A site with a certificate for `name` that ends in so many days, and who vouches for it.
    async fn site_of(
        name: &str,
        days: i64,
        answer: &'static str,
    ) -> (u16, Arc<dyn ServerCertVerifier>, JoinHandle<()>) {
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let day = |days: i64| {
            let at = system_time() + jiff::SignedDuration::from_hours(days * 24);
            let date = at.to_zoned(jiff::tz::TimeZone::UTC).date();
            date_time_ymd(date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs())
        };
        (params.not_before, params.not_after) = (day(-90), day(days));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &authority).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            )
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = TlsAcceptor::from(Arc::new(config)).accept(stream).await.unwrap();
            let mut request = [0; 1024];
            let length = stream.read(&mut request).await.unwrap();
            assert!(request[..length].starts_with(b"GET /healthz HTTP/1.1\r\nHost: localhost:"));
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        });
        (port, verifier, serving)
    }

    #[tokio::test]
    async fn a_certificate_is_judged_by_name_and_by_how_long_it_holds() {
        const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        for (name, days, answer, site, certificate) in [
            ("localhost", 60, OK, HealthState::Ok, HealthState::Ok),
            ("localhost", 4, OK, HealthState::Ok, HealthState::Warn),
            ("localhost", -2, OK, HealthState::Ok, HealthState::Fail),
            ("mail.example.com", 60, OK, HealthState::Ok, HealthState::Fail),
            ("localhost", 60, "HTTP/1.1 502 Bad Gateway\r\n\r\n", HealthState::Fail, HealthState::Ok),
            ("localhost", 60, "220 smtp.example.com ESMTP\r\n", HealthState::Warn, HealthState::Ok),
        ] {
            let (port, verifier, serving) = site_of(name, days, answer).await;
            let items = site_by(&format!("https://localhost:{port}"), verifier).await;
            let found: Vec<(&str, HealthState)> =
                items.iter().map(|item| (item.code.as_str(), item.state)).collect();
            assert_eq!(found, [("site", site), ("certificate", certificate)], "{name} {days}: {items:?}");
            serving.await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_server_that_does_not_greet_takes_no_mail() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        for (greeting, state) in
            [("220 relay.test ESMTP\r\n", HealthState::Ok), ("554 no\r\n", HealthState::Fail)]
        {
            let (item, ()) = tokio::join!(relay("127.0.0.1", at.port()), async {
                listener.accept().await.unwrap().0.write_all(greeting.as_bytes()).await.unwrap();
            });
            assert_eq!(item.state, state, "{item:?}");
        }
    }
}
