//! Many requests to one server, over a connection that is kept; and connections to name servers.
//!
//! The rules are those of all requests that go out: the address is looked at when it is connected to, redirects are an
//! answer, and what is read has an end.

use super::{Outbound, Reach, Stream, Target, Unanswered, is_public};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    client::conn::http1,
    header,
};
use hyper_util::rt::TokioIo;
use publish::{
    Later,
    http::{Exchange, HttpAnswer, HttpRequest, NoAnswer},
};
use std::{net::IpAddr, time::Duration};
use tokio::{sync::Mutex, time::timeout};
use url::Host;

/// How much of an answer is read, in octets.
const MOST_BODY: usize = 8 << 20;
/// How much the heads of an answer may come to, in octets.
const MOST_HEAD: usize = 64 * 1024;
/// How long one request may take.
const LIMIT: Duration = Duration::from_secs(15);

type Sender = http1::SendRequest<Full<Bytes>>;

/// Requests to one server. Its connection is made with the first of them, and again where the server closed it.
pub struct Session {
    outbound: Outbound,
    target: Target,
    limit: Duration,
    most_body: usize,
    connection: Mutex<Option<Sender>>,
}

impl Outbound {
    /// Requests to the server of an address; its path and query are not looked at.
    pub fn session(&self, target: Target) -> Session {
        Session {
            outbound: self.clone(),
            target,
            limit: LIMIT,
            most_body: MOST_BODY,
            connection: Mutex::default(),
        }
    }

    /// The way to a name server. The error says what is wrong with it.
    pub fn dns_way(&self, server: &str) -> Result<DnsWay, String> {
        DnsWay::parse(self.clone(), server)
    }
}

impl Session {
    /// With another time for each request.
    #[must_use]
    pub fn within(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// With another bound for the body of each answer, in octets.
    #[must_use]
    pub fn reading(self, most_body: usize) -> Self {
        Self { most_body, ..self }
    }

    fn request(&self, request: HttpRequest) -> Result<Request<Full<Bytes>>, NoAnswer> {
        let mut out = Request::builder().method(request.method).uri(request.target);
        for (name, value) in &request.headers {
            out = out.header(*name, value);
        }
        if !request.headers.iter().any(|(name, _)| *name == "host") {
            out = out.header(header::HOST, self.target.authority());
        }
        out.header(header::USER_AGENT, concat!("Countersign/", env!("CARGO_PKG_VERSION")))
            .body(Full::new(Bytes::from(request.body)))
            // What cannot be sent may hold a secret, as values of headers do: nothing of it is told.
            .map_err(|_| NoAnswer::NotSent("the request has characters that no header may have".to_owned()))
    }

    async fn connect(&self) -> Result<Sender, NoAnswer> {
        let stream = self.outbound.open(&self.target).await;
        let stream: Box<dyn Stream> = stream.map_err(|Unanswered(words)| NoAnswer::NotSent(words))?;
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(MOST_HEAD)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| NoAnswer::NotSent(format!("the connection broke: {error}")))?;
        // Ends with the sender, which is this session's.
        tokio::spawn(async move { drop(connection.await) });
        Ok(sender)
    }

    async fn exchange(&self, request: HttpRequest) -> Result<HttpAnswer, NoAnswer> {
        let mut request = self.request(request)?;
        let mut kept = self.connection.lock().await;
        // Once more where the server closed the connection before anything was sent over it.
        let mut is_new = false;
        let response = loop {
            let open = kept.take().filter(|sender| !sender.is_closed());
            is_new |= open.is_none();
            let mut sender = match open {
                Some(sender) => sender,
                None => self.connect().await?,
            };
            match sender.try_send_request(request).await {
                Ok(response) => {
                    *kept = Some(sender);
                    break response;
                }
                Err(mut error) => match error.take_message() {
                    Some(unsent) if !is_new => request = unsent,
                    unsent => {
                        let words = format!("the connection broke: {}", error.into_error());
                        return Err(match unsent {
                            Some(_) => NoAnswer::NotSent(words),
                            None => NoAnswer::Lost(words),
                        });
                    }
                },
            }
        };
        let answer = read(response, self.most_body).await;
        if answer.is_err() {
            // What is left of the answer is still on its way.
            *kept = None;
        }
        answer
    }
}

async fn read(response: Response<Incoming>, most: usize) -> Result<HttpAnswer, NoAnswer> {
    let status = response.status().as_u16();
    let text = |value: &header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers =
        response.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    let mut incoming = response.into_body();
    let mut body = Vec::new();
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| NoAnswer::Lost(format!("the connection broke: {error}")))?;
        if let Some(data) = frame.data_ref() {
            if body.len() + data.len() > most {
                return Err(NoAnswer::Lost(format!("the answer is longer than {most} bytes")));
            }
            body.extend_from_slice(data);
        }
    }
    Ok(HttpAnswer { status, headers, body })
}

impl Exchange for Session {
    fn send(&self, request: HttpRequest) -> Later<'_, Result<HttpAnswer, NoAnswer>> {
        Box::pin(async move {
            let late = || NoAnswer::Lost(format!("no answer within {} s", self.limit.as_secs()));
            let answer = timeout(self.limit, self.exchange(request)).await;
            answer.unwrap_or_else(|_| Err(late()))
        })
    }
}

/// The way to a name server that a caller chose, over TCP.
pub struct DnsWay {
    outbound: Outbound,
    host: Host<String>,
    port: u16,
}

impl DnsWay {
    /// Reads `ns1.example.com`, `192.0.2.1`, `[2001:db8::1]:53`. On the public internet only the port of DNS is possible:
    /// nothing else there is to be spoken to.
    fn parse(outbound: Outbound, text: &str) -> Result<Self, String> {
        let text = text.trim();
        let is_bare_v6 = text.parse::<std::net::Ipv6Addr>().is_ok();
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !is_bare_v6 && !port.ends_with(']') => {
                (host, port.parse::<u16>().map_err(|_| format!("\"{port}\" is no port"))?)
            }
            _ => (text, providers::rfc2136::PORT),
        };
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let host = match bare.parse::<IpAddr>() {
            Ok(IpAddr::V4(address)) => Host::Ipv4(address),
            Ok(IpAddr::V6(address)) => Host::Ipv6(address),
            // Read as in addresses of pages: 0x7f.1 is an address too.
            Err(_) => Host::parse(host)
                .map_err(|_| "is no name or address of a server, such as ns1.example.com".to_owned())?,
        };
        if outbound.reach() == Reach::Public {
            let is_allowed = match &host {
                Host::Ipv4(address) => is_public(IpAddr::V4(*address)),
                Host::Ipv6(address) => is_public(IpAddr::V6(*address)),
                Host::Domain(name) => {
                    model::DomainName::parse(name).is_ok_and(|name| dns::is_public_name(&name))
                }
            };
            if !is_allowed {
                return Err("is not on the public internet".to_owned());
            }
            if port != providers::rfc2136::PORT {
                return Err(format!("has port {port}; name servers are reached at port 53 only"));
            }
        }
        Ok(Self { outbound, host, port })
    }
}

impl providers::rfc2136::Connect for DnsWay {
    fn connect(&self) -> Later<'_, Result<Box<dyn providers::rfc2136::Stream>, String>> {
        Box::pin(async move {
            let host = match &self.host {
                Host::Domain(name) => Host::Domain(name.as_str()),
                Host::Ipv4(address) => Host::Ipv4(*address),
                Host::Ipv6(address) => Host::Ipv6(*address),
            };
            let addresses = self.outbound.addresses_of(Some(host), self.port).await;
            let addresses = addresses.map_err(|Unanswered(words)| words)?;
            let stream = self.outbound.connect(addresses).await.map_err(|Unanswered(words)| words)?;
            Ok(Box::new(stream) as Box<dyn providers::rfc2136::Stream>)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        net::SocketAddr,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
    };
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    /// Answers each request with the next of the answers, of all connections; one that is empty closes the connection.
    async fn server(answers: Vec<Vec<u8>>) -> (SocketAddr, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        tokio::spawn(async move {
            let mut answers = answers.into_iter();
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                let mut buffer = [0; 4096];
                while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                    let Some(answer) = answers.next().filter(|answer| !answer.is_empty()) else { break };
                    let _ = stream.write_all(&answer).await;
                    if answer.windows(17).any(|part| part == b"Connection: close") {
                        break;
                    }
                }
            }
        });
        (address, connections)
    }

    fn session(address: SocketAddr) -> Session {
        let target = Target::parse(&format!("http://{address}/"), Reach::Anywhere).unwrap();
        Outbound::new(Reach::Anywhere).session(target)
    }

    fn get(target: &str) -> HttpRequest {
        HttpRequest { method: "GET", target: target.to_owned(), headers: Vec::new(), body: Vec::new() }
    }

    fn ok(body: &str, more: &str) -> Vec<u8> {
        format!("HTTP/1.1 200 OK\r\nX-Y: z\r\nContent-Length: {}\r\n{more}\r\n{body}", body.len())
            .into_bytes()
    }

    #[tokio::test]
    async fn one_connection_is_kept_and_made_again_where_it_was_closed() {
        let answers = vec![ok("one", ""), ok("two", "Connection: close\r\n"), ok("three", ""), Vec::new()];
        let (address, connections) = server(answers).await;
        let session = session(address);
        for (number, body) in [(1, "one"), (1, "two"), (2, "three")] {
            let answer = session.send(get("/")).await.unwrap();
            assert_eq!((answer.status, answer.body.as_slice()), (200, body.as_bytes()));
            assert_eq!(answer.header("x-y"), Some("z"));
            assert_eq!(connections.load(Ordering::Relaxed), number);
        }
        // It was sent, and nobody knows what came of it: it is not sent again.
        assert!(matches!(session.send(get("/")).await, Err(NoAnswer::Lost(_))));
        assert_eq!(connections.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn what_is_not_sent_is_told_apart_from_what_is_lost() {
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        assert!(matches!(session(closed).send(get("/")).await, Err(NoAnswer::NotSent(_))));
        let broken = HttpRequest { headers: vec![("authorization", "s3cr3t\n".to_owned())], ..get("/") };
        let Err(NoAnswer::NotSent(words)) = session(closed).send(broken).await else { panic!("was sent") };
        assert!(!words.contains("s3cr3t"));
        let inside = Target::parse("https://inside.example.com/", Reach::Public).unwrap();
        let resolve = |_: String, _| -> futures_util::future::BoxFuture<'static, _> {
            Box::pin(async { Ok(vec!["127.0.0.1:9".parse().unwrap()]) })
        };
        let outbound = Outbound { reach: Reach::Public, resolve: Arc::new(resolve) };
        let refused = outbound.session(inside).send(get("/")).await;
        assert_eq!(refused, Err(NoAnswer::NotSent("it leads to no public address".to_owned())));
    }

    #[tokio::test]
    async fn hostile_answers_are_bounded() {
        let endless = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", MOST_BODY + 1).into_bytes();
        let (address, _) = server(vec![[endless, vec![b'x'; MOST_BODY + 1]].concat()]).await;
        let Err(NoAnswer::Lost(words)) = session(address).send(get("/")).await else { panic!("was read") };
        assert!(words.contains("longer than"), "{words}");
        let head = [&b"HTTP/1.1 200 OK\r\nX: "[..], &vec![b'a'; 2 * MOST_HEAD]].concat();
        let (address, _) = server(vec![head, ok("", "")]).await;
        assert!(matches!(session(address).send(get("/")).await, Err(NoAnswer::Lost(_))));
        let (address, _) = server(vec![b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nslow".to_vec()]).await;
        let slow = session(address).within(Duration::from_millis(50)).send(get("/")).await;
        assert!(matches!(slow, Err(NoAnswer::Lost(words)) if words.contains("no answer within")));
    }

    #[test]
    fn name_servers_are_on_the_public_internet_at_their_port() {
        let parse = |text: &str, reach| Outbound::new(reach).dns_way(text).map(|way| (way.host, way.port));
        for inside in [
            "127.0.0.1",
            "10.0.0.1:53",
            "[::1]:53",
            "::1",
            "localhost",
            "0x7f.1",
            "2130706433",
            "ns.internal",
        ] {
            let refused = parse(inside, Reach::Public).unwrap_err();
            assert_eq!(refused, "is not on the public internet", "{inside}");
        }
        for (wrong, words) in [
            ("ns1.example.com:22", "port 22"),
            ("a b", "no name"),
            ("ns1.example.com:x", "no port"),
            ("", "no name"),
        ] {
            let refused = parse(wrong, Reach::Public).unwrap_err();
            assert!(refused.contains(words), "{wrong}: {refused}");
        }
        let domain = Host::Domain("ns1.example.com".to_owned());
        assert_eq!(parse("ns1.example.com", Reach::Public), Ok((domain.clone(), 53)));
        assert_eq!(parse("ns1.example.com:53", Reach::Public), Ok((domain, 53)));
        assert_eq!(parse("93.184.215.14", Reach::Public).unwrap().1, 53);
        assert_eq!(parse("2606:2800:21f::1", Reach::Public).unwrap().1, 53);
        assert_eq!(parse("127.0.0.1:5353", Reach::Anywhere).unwrap().1, 5353);
    }
}
