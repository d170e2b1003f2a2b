//! Requests that go out to addresses which callers chose: where they may go, one POST at a time, or many requests over
//! one connection ([`Session`]), or DNS over TCP ([`DnsWay`]).
//!
//! A caller's address must not be a way into the operator's own network. So the name is looked up here, every address
//! that is not public is dropped ([`is_public`]: private, loopback, link-local, shared, documentation, IPv4 mapped into
//! IPv6, NAT64, 6to4, Teredo), and the connection goes to an address that was looked at: nothing looks the name up again
//! in between. Redirects are not followed, no proxy of the environment is used, and of an answer only the beginning is
//! read.

mod session;

pub use session::{DnsWay, Session};

use diagnosis::inquiry::is_public;
use futures_util::future::BoxFuture;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request,
    body::{Bytes, Incoming},
    client::conn::http1,
    header,
};
use hyper_util::rt::TokioIo;
use model::DomainName;
use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, rustls::pki_types::ServerName};
use url::{Host, Url};

/// How long an address may be, in bytes.
const MOST_URL: usize = 2_000;
/// How much of an answer is read.
const MOST_ANSWER: usize = 4 * 1024;
/// How long one address may take to take a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How many addresses of a name are tried.
const MOST_ADDRESSES: usize = 4;

/// What requests go over.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Where requests may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// To public addresses, by https.
    Public,
    /// Anywhere, by http too: for development.
    Anywhere,
}

/// An address that requests may be sent to, as far as it can be told without looking its name up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target(Url);

/// Why a request was not answered, in words for whoever owns the address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unanswered(pub String);

/// The beginning of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// The beginning of its body, without control characters.
    pub text: String,
    /// The value of `Retry-After`, as it came.
    pub retry_after: Option<String>,
}

impl Target {
    /// Reads an address. The error says what is wrong with it.
    pub fn parse(text: &str, reach: Reach) -> Result<Self, String> {
        if text.len() > MOST_URL {
            return Err(format!("has {} bytes; {MOST_URL} are allowed", text.len()));
        }
        let url = Url::parse(text)
            .map_err(|error| format!("is no address such as https://example.com/webhooks: {error}"))?;
        match (url.scheme(), reach) {
            ("https", _) | ("http", Reach::Anywhere) => {}
            ("http", Reach::Public) => return Err("begins with http://; give one with https://".to_owned()),
            _ => return Err("does not begin with https://".to_owned()),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("has a user or a password in it; put a secret into the path instead".to_owned());
        }
        if url.fragment().is_some() {
            return Err("has a fragment (#…), which is never sent; leave it out".to_owned());
        }
        if reach == Reach::Public {
            let is_allowed = match url.host() {
                Some(Host::Ipv4(address)) => is_public(IpAddr::V4(address)),
                Some(Host::Ipv6(address)) => is_public(IpAddr::V6(address)),
                Some(Host::Domain(name)) => {
                    DomainName::parse(name).is_ok_and(|name| dns::is_public_name(&name))
                }
                None => false,
            };
            if !is_allowed {
                return Err("is not on the public internet".to_owned());
            }
            if url.port().is_some_and(|port| port < 1024) {
                return Err("has a port below 1024; only 443 is possible of those".to_owned());
            }
        }
        Ok(Self(url))
    }

    /// The name or address of the server.
    pub(crate) fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or(443)
    }

    /// Path and query.
    pub(crate) fn path(&self) -> String {
        match self.0.query() {
            Some(query) => format!("{}?{query}", self.0.path()),
            None => self.0.path().to_owned(),
        }
    }

    /// The whole address, as browsers open it.
    pub(crate) fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether there is something behind a question mark.
    pub(crate) fn has_query(&self) -> bool {
        self.0.query().is_some()
    }

    /// The value of `Host`.
    fn authority(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        self.0.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }
}

type Resolve = dyn Fn(String, u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync;

/// Sends requests.
#[derive(Clone)]
pub struct Outbound {
    reach: Reach,
    resolve: Arc<Resolve>,
}

impl Outbound {
    /// By the operating system's resolver.
    pub fn new(reach: Reach) -> Self {
        let resolve = |host: String, port| -> BoxFuture<'static, _> {
            Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
        };
        Self { reach, resolve: Arc::new(resolve) }
    }

    /// Where requests may go.
    pub const fn reach(&self) -> Reach {
        self.reach
    }

    /// Sends JSON and reads the beginning of the answer, all within `limit`. `go` is asked when everything is ready and
    /// nothing is sent yet: without its yes nothing is.
    pub async fn post(
        &self,
        target: &Target,
        headers: &[(&'static str, String)],
        body: Vec<u8>,
        limit: Duration,
        go: impl FnOnce() -> bool,
    ) -> Result<Answer, Unanswered> {
        let mut request = Request::post(target.path())
            .header(header::HOST, target.authority())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("Countersign/", env!("CARGO_PKG_VERSION")));
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let request =
            request.body(Full::new(Bytes::from(body))).map_err(|error| Unanswered(error.to_string()))?;
        let exchange = async { exchange(self.open(target).await?, request, go).await };
        timeout(limit, exchange)
            .await
            .unwrap_or_else(|_| Err(Unanswered(format!("no answer within {} s", limit.as_secs()))))
    }

    /// A connection over which requests go: with TLS, unless the address says otherwise.
    async fn open(&self, target: &Target) -> Result<Box<dyn Stream>, Unanswered> {
        let stream = self.connect(self.addresses(target).await?).await?;
        if target.0.scheme() == "http" {
            return Ok(Box::new(stream));
        }
        let config = smtp::tls::system_roots().map_err(|error| Unanswered(error.to_string()))?;
        let name = target.0.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(name).map_err(|error| Unanswered(error.to_string()))?;
        let stream = TlsConnector::from(config).connect(name, stream).await;
        Ok(Box::new(stream.map_err(|error| Unanswered(format!("TLS failed: {error}")))?))
    }

    /// A connection to one of some addresses that were looked at.
    async fn connect(&self, addresses: Vec<SocketAddr>) -> Result<TcpStream, Unanswered> {
        let mut last = None;
        for address in addresses.into_iter().take(MOST_ADDRESSES) {
            match timeout(CONNECT_LIMIT, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // Small requests, each waited for: nothing is gained by holding them back.
                    drop(stream.set_nodelay(true));
                    return Ok(stream);
                }
                Ok(Err(error)) => last = Some(error.to_string()),
                Err(_) => last = Some("no connection in time".to_owned()),
            }
        }
        Err(Unanswered(last.unwrap_or_else(|| "the name has no address".to_owned())))
    }

    async fn addresses(&self, target: &Target) -> Result<Vec<SocketAddr>, Unanswered> {
        self.addresses_of(target.0.host(), target.port()).await
    }

    async fn addresses_of(&self, host: Option<Host<&str>>, port: u16) -> Result<Vec<SocketAddr>, Unanswered> {
        let found = match host {
            Some(Host::Ipv4(address)) => vec![SocketAddr::new(address.into(), port)],
            Some(Host::Ipv6(address)) => vec![SocketAddr::new(address.into(), port)],
            Some(Host::Domain(name)) => (self.resolve)(name.to_owned(), port)
                .await
                .map_err(|_| Unanswered(format!("the name {name} was not found")))?,
            None => Vec::new(),
        };
        let is_allowed = |address: &SocketAddr| self.reach == Reach::Anywhere || is_public(address.ip());
        let known = !found.is_empty();
        let allowed: Vec<SocketAddr> = found.into_iter().filter(is_allowed).collect();
        if allowed.is_empty() && known {
            // Which addresses they are is nobody's business: names of the operator's network would be told.
            return Err(Unanswered("it leads to no public address".to_owned()));
        }
        Ok(allowed)
    }
}

async fn exchange(
    stream: Box<dyn Stream>,
    request: Request<Full<Bytes>>,
    go: impl FnOnce() -> bool,
) -> Result<Answer, Unanswered> {
    let broken = |error: hyper::Error| Unanswered(format!("the connection broke: {error}"));
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(16 * 1024)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let exchange = async {
        if !go() {
            return Err(Unanswered("given up before it was sent: it is another node's now".to_owned()));
        }
        let response = sender.send_request(request).await.map_err(broken)?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get(hyper::header::RETRY_AFTER);
        let retry_after = retry_after.and_then(|value| value.to_str().ok()).map(str::to_owned);
        Ok(Answer { status, retry_after, text: beginning(response.into_body()).await })
    };
    // The connection is driven here and ends with the exchange: no task is left behind.
    tokio::pin!(exchange);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        answer = &mut exchange => answer,
        ended = &mut connection => match ended {
            Err(error) => Err(broken(error)),
            // All was read; what is buffered is the answer.
            Ok(()) => exchange.await,
        },
    }
}

/// The beginning of a body as it came until there was enough, an end or a break.
async fn beginning(mut body: Incoming) -> String {
    let mut bytes = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        if let Some(data) = frame.data_ref() {
            bytes.extend_from_slice(&data[..data.len().min(MOST_ANSWER - bytes.len())]);
        }
        if bytes.len() >= MOST_ANSWER {
            break;
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    const LIMIT: Duration = Duration::from_secs(10);

    /// Answers every connection with the same bytes; counts them.
    async fn server(answer: Vec<u8>) -> (SocketAddr, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                let answer = answer.clone();
                tokio::spawn(async move {
                    let mut buffer = [0; 4096];
                    let _ = stream.read(&mut buffer).await;
                    let _ = stream.write_all(&answer).await;
                });
            }
        });
        (address, count)
    }

    /// A resolver with one answer after another.
    fn resolving(reach: Reach, answers: Vec<Vec<SocketAddr>>) -> (Outbound, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        let resolve = move |_: String, _| -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
            let number = counted.fetch_add(1, Ordering::Relaxed);
            let answer = answers[number.min(answers.len() - 1)].clone();
            Box::pin(async move { Ok(answer) })
        };
        (Outbound { reach, resolve: Arc::new(resolve) }, asked)
    }

    #[test]
    fn addresses_that_lead_inside_are_refused_when_they_are_read() {
        for inside in [
            "https://127.0.0.1/",
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f000001/",
            "https://0177.0.0.1/",
            "https://10.0.0.1/",
            "https://172.16.0.1/",
            "https://192.168.1.1/",
            "https://169.254.169.254/latest/meta-data/",
            "https://100.64.0.1/",
            "https://0.0.0.0/",
            "https://[::1]/",
            "https://[::]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::ffff:7f00:1]/",
            "https://[::127.0.0.1]/",
            "https://[64:ff9b::7f00:1]/",
            "https://[64:ff9b:1::1]/",
            "https://[2002:7f00:1::]/",
            "https://[fe80::1]/",
            "https://[fd00::1]/",
            "https://localhost/",
            "https://localhost./",
            "https://a.localhost/",
            "https://metadata.google.internal/",
            "https://printer.local/",
            "https://intranet/",
            "https://１２７.0.0.1/",
        ] {
            let refused = Target::parse(inside, Reach::Public).unwrap_err();
            assert_eq!(refused, "is not on the public internet", "{inside}");
        }
        for (wrong, words) in [
            ("http://example.com/", "https://"),
            ("ftp://example.com/", "https://"),
            ("file:///etc/passwd", "https://"),
            ("example.com", "no address"),
            ("", "no address"),
            ("https://user@example.com/", "user"),
            ("https://:pass@example.com/", "user"),
            ("https://example.com/#x", "fragment"),
            ("https://example.com:25/", "port"),
            (&format!("https://example.com/{}", "x".repeat(2_000)), "bytes"),
        ] {
            let refused = Target::parse(wrong, Reach::Public).unwrap_err();
            assert!(refused.contains(words), "{wrong}: {refused}");
        }
        for good in ["https://example.com/a?b=c", "https://example.com:8443/", "https://93.184.215.14/"] {
            assert!(Target::parse(good, Reach::Public).is_ok(), "{good}");
        }
        assert!(Target::parse("http://127.0.0.1:9/", Reach::Anywhere).is_ok());
    }

    #[tokio::test]
    async fn names_that_lead_inside_are_refused_when_they_are_looked_up() {
        let (address, connections) = server(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec()).await;
        let inside: Vec<IpAddr> = ["127.0.0.1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "::1", "10.0.0.1"]
            .iter()
            .map(|text| text.parse().unwrap())
            .collect();
        let target = Target::parse("https://hooks.example.com/x", Reach::Public).unwrap();
        for ip in inside {
            let (outbound, asked) = resolving(Reach::Public, vec![vec![SocketAddr::new(ip, address.port())]]);
            let refused = outbound.post(&target, &[], Vec::new(), LIMIT, || true).await.unwrap_err();
            assert_eq!(refused.0, "it leads to no public address", "{ip}");
            assert!(!refused.0.contains(&ip.to_string()));
            assert_eq!(asked.load(Ordering::Relaxed), 1);
        }
        assert_eq!(connections.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn a_name_is_looked_up_once_so_its_second_answer_is_never_used() {
        let (address, connections) = server(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec()).await;
        // The first answer is public (and nobody's: documentation would be refused), the second one is this machine.
        let public: SocketAddr = "192.88.99.1:9".parse().unwrap();
        let (outbound, asked) = resolving(Reach::Public, vec![vec![public], vec![address]]);
        let target = Target::parse("https://rebind.example.com/x", Reach::Public).unwrap();
        assert_eq!(outbound.addresses(&target).await.unwrap(), [public]);
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        let refused = outbound.post(&target, &[], Vec::new(), LIMIT, || true).await.unwrap_err();
        assert_eq!(refused.0, "it leads to no public address", "each request looks at what it connects to");
        assert_eq!((asked.load(Ordering::Relaxed), connections.load(Ordering::Relaxed)), (2, 0));
        // Of several addresses only the public ones are left.
        let (outbound, _) = resolving(Reach::Public, vec![vec![address, public]]);
        assert_eq!(outbound.addresses(&target).await.unwrap(), [public]);
    }

    #[tokio::test]
    async fn redirects_are_an_answer_and_nothing_is_sent_without_a_yes() {
        let (inner, reached) = server(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec()).await;
        let redirect = format!("HTTP/1.1 307 X\r\nLocation: http://{inner}/\r\nContent-Length: 0\r\n\r\n");
        let (outer, _) = server(redirect.into_bytes()).await;
        let outbound = Outbound::new(Reach::Anywhere);
        let target = Target::parse(&format!("http://{outer}/"), Reach::Anywhere).unwrap();
        let answer = outbound.post(&target, &[], b"{}".to_vec(), LIMIT, || true).await.unwrap();
        assert_eq!((answer.status, reached.load(Ordering::Relaxed)), (307, 0));
        let refused = outbound.post(&target, &[], b"{}".to_vec(), LIMIT, || false).await.unwrap_err();
        assert!(refused.0.contains("another node"), "{refused}");
    }

    #[tokio::test]
    async fn hostile_answers_are_bounded() {
        let outbound = Outbound::new(Reach::Anywhere);
        let post = async |answer: Vec<u8>, limit| {
            let (address, _) = server(answer).await;
            let target = Target::parse(&format!("http://{address}/"), Reach::Anywhere).unwrap();
            outbound.post(&target, &[], b"{}".to_vec(), limit, || true).await
        };
        let mut long = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for _ in 0..100 {
            long.extend_from_slice(b"400\r\n");
            long.extend_from_slice(&[b'x'; 0x400]);
            long.extend_from_slice(b"\r\n");
        }
        let answer = post(long, LIMIT).await.unwrap();
        assert_eq!((answer.status, answer.text.len()), (200, MOST_ANSWER));
        let headers = [&b"HTTP/1.1 200 OK\r\nX: "[..], &vec![b'a'; 100_000]].concat();
        assert!(post(headers, LIMIT).await.is_err());
        assert!(post(b"\x16\x03\x01 no HTTP".to_vec(), LIMIT).await.is_err());
        assert!(post(Vec::new(), LIMIT).await.is_err());
        // Says that there is more and never sends it.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target =
            Target::parse(&format!("http://{}/", listener.local_addr().unwrap()), Reach::Anywhere).unwrap();
        let silent = outbound.post(&target, &[], b"{}".to_vec(), Duration::from_millis(50), || true).await;
        assert!(silent.unwrap_err().0.contains("no answer within"));
    }
}
