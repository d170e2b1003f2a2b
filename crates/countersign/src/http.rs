//! How HTTP is served: one way for every listener, with bounds for what whoever connects may take.
//!
//! A client can send slowly, read slowly or not at all, say nothing, and connect many times. So a connection has a
//! bounded time for the head of a request, for each piece of a body, for reading what it asked for, and for being idle;
//! a head has a bounded size. There is a bound on connections, and one for each client and network
//! ([`app::check_gate::networks`]); what is beyond is closed at once. At the listener of the public pages a connection
//! also has a bounded life: when half of it is over, it ends after the request that is under way; at its end it ends
//! whatever goes on.

mod patient;

use app::check_gate::networks;
use axum::{
    Router,
    extract::{ConnectInfo, Request},
    serve::Listener,
};
use hyper::{body::Incoming, server::conn::http1, service::Service as _};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use patient::{Busy, Patient, PatientBody};
use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// What a connection buffers of what is read, and of what is to be written, in octets.
const BUFFER: usize = 128 * 1024;

/// The largest head of a request, in octets; a larger one is answered with 431.
const HEAD: usize = 64 * 1024;

/// What whoever connects may take.
#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    /// How many connections are open in all.
    pub connections: u32,
    /// How many one client has; a network of many clients has more, see [`networks`].
    pub of_client: u32,
    /// How long the head of a request may take from its first octet.
    pub head: Duration,
    /// How long a connection may say nothing between requests.
    pub idle: Duration,
    /// How long a body may pause.
    pub body: Duration,
    /// How long a client may take nothing of what it is sent.
    pub unread: Duration,
    /// How long a connection is there, if that is bounded.
    pub life: Option<Duration>,
    /// Proxies have as many connections as there are.
    pub proxies: Vec<IpAddr>,
    /// Whether clients on this machine have as many as there are, too: a proxy is often one.
    pub trusts_this_machine: bool,
}

impl Bounds {
    /// For the listener that everybody may connect to. Its connections are, together with the DNS client's sockets, less
    /// than the 1024 files that a process may often have open. A check takes 20 seconds at most.
    pub fn public(proxies: Vec<IpAddr>) -> Self {
        let short = Duration::from_secs(10);
        Self {
            connections: 256,
            of_client: 24,
            head: short,
            idle: short,
            body: short,
            unread: Duration::from_secs(30),
            life: Some(Duration::from_mins(1)),
            proxies,
            trusts_this_machine: false,
        }
    }

    /// For API and dashboard, which are most often behind a proxy that keeps its connections.
    pub fn private(proxies: Vec<IpAddr>) -> Self {
        Self {
            connections: 4_096,
            of_client: 256,
            head: Duration::from_secs(10),
            // More than the minute for which proxies keep an idle one: else they would use one that is just closed.
            idle: Duration::from_secs(75),
            body: Duration::from_secs(30),
            unread: Duration::from_secs(30),
            life: None,
            proxies,
            trusts_this_machine: true,
        }
    }
}

/// Serves until it is told to stop, and then what is under way.
pub(crate) async fn serve(
    mut listener: TcpListener,
    router: Router,
    bounds: Bounds,
    stop: CancellationToken,
) {
    let slots = Arc::new(Slots::default());
    let service = TowerToHyperService::new(router);
    let bounds = Arc::new(bounds);
    let mut connections = JoinSet::new();
    loop {
        let (stream, peer) = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            // Waits where there are no more files.
            accepted = Listener::accept(&mut listener) => accepted,
        };
        let Some(slot) = slots.take(peer.ip(), &bounds) else {
            metrics::counter!("countersign_connections_refused_total").increment(1);
            tracing::debug!(%peer, "too many connections: this one is closed");
            continue;
        };
        let (service, stop, bounds) = (service.clone(), stop.clone(), Arc::clone(&bounds));
        connections.spawn(async move {
            let _slot = slot;
            converse(stream, peer, service, &bounds, stop).await;
        });
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn converse(
    stream: TcpStream,
    peer: SocketAddr,
    service: TowerToHyperService<Router>,
    bounds: &Bounds,
    stop: CancellationToken,
) {
    // An answer is a few packets: waiting to fill them only delays.
    drop(stream.set_nodelay(true));
    let busy = Busy::default();
    let stream = Patient::new(stream, busy.clone(), bounds.head, bounds.unread);
    let pause = bounds.body;
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let at_work = busy.begin();
        let mut request = request.map(|body| PatientBody::new(body, pause));
        request.extensions_mut().insert(ConnectInfo(peer));
        let answer = service.call(request);
        async move { answer.await.map(|answer| answer.map(|body| at_work.until_end_of(body))) }
    });
    let mut builder = http1::Builder::new();
    let idle = bounds.idle.max(bounds.head);
    builder.timer(TokioTimer::new()).header_read_timeout(idle).max_buf_size(BUFFER).max_header_size(HEAD);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let half_of_life = async {
        match bounds.life {
            Some(life) => sleep(life / 2).await,
            None => std::future::pending().await,
        }
    };
    let conversation = async {
        tokio::select! {
            ended = connection.as_mut() => return ended,
            () = stop.cancelled() => {}
            () = half_of_life => {}
        }
        connection.as_mut().graceful_shutdown();
        connection.await
    };
    let ended = match bounds.life {
        Some(life) => timeout(life, conversation).await,
        None => Ok(conversation.await),
    };
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%peer, %error, "a connection ended"),
        Err(_) => tracing::debug!(%peer, "a connection was there for too long"),
    }
}

/// Counts open connections.
#[derive(Debug, Default)]
struct Slots(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    all: u32,
    of: HashMap<(IpAddr, u8), u32>,
}

/// One counted connection; counted off when dropped.
struct Slot {
    slots: Arc<Slots>,
    of: Vec<(IpAddr, u8)>,
}

impl Slots {
    fn take(self: &Arc<Self>, client: IpAddr, bounds: &Bounds) -> Option<Slot> {
        let client = client.to_canonical();
        let is_proxy =
            bounds.proxies.contains(&client) || (bounds.trusts_this_machine && client.is_loopback());
        let networks = if is_proxy { Vec::new() } else { networks(client) };
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let has_room = |(network, times): &((IpAddr, u8), u32)| {
            open.of.get(network).is_none_or(|count| *count < bounds.of_client.saturating_mul(*times))
        };
        if open.all >= bounds.connections || !networks.iter().all(has_room) {
            return None;
        }
        open.all += 1;
        let of: Vec<_> = networks.into_iter().map(|(network, _)| network).collect();
        for network in &of {
            *open.of.entry(*network).or_default() += 1;
        }
        Some(Slot { slots: Arc::clone(self), of })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = self.slots.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.all -= 1;
        for network in &self.of {
            if let Some(count) = open.of.get_mut(network) {
                *count -= 1;
                if *count == 0 {
                    open.of.remove(network);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{
        body::Bytes,
        extract::rejection::BytesRejection,
        routing::{get, post},
    };
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// A page longer than what any buffers between take.
    const LONG: usize = 64 << 20;

    async fn start(bounds: Bounds) -> (SocketAddr, CancellationToken) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let router = Router::new()
            .route("/", get(async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.ip().to_string()))
            .route("/long", get(async || "x".repeat(LONG)))
            .route(
                "/size",
                post(async |body: Result<Bytes, BytesRejection>| body.map(|b| b.len().to_string())),
            );
        tokio::spawn(serve(listener, router, bounds, stop.clone()));
        (address, stop)
    }

    async fn all_of(stream: &mut TcpStream) -> String {
        let mut said = Vec::new();
        // However it is closed.
        drop(timeout(Duration::from_secs(30), stream.read_to_end(&mut said)).await.unwrap());
        String::from_utf8(said).unwrap()
    }

    async fn get_page(address: SocketAddr) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        drop(stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await);
        all_of(&mut stream).await
    }

    #[tokio::test]
    async fn who_sends_slowly_or_does_not_read_is_cut_off_and_others_have_the_place() {
        let short = Duration::from_millis(200);
        let bounds = Bounds {
            connections: 2,
            head: short,
            idle: short,
            life: Some(2 * short),
            ..Bounds::public(Vec::new())
        };
        let (address, stop) = start(bounds).await;
        let mut slow = TcpStream::connect(address).await.unwrap();
        slow.write_all(b"GET / HTTP/1.1\r\nhost: ").await.unwrap();
        let mut deaf = TcpStream::connect(address).await.unwrap();
        deaf.write_all(b"GET /long HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        // Of the page that it does not read, no more comes than what buffers hold.
        let until = tokio::time::Instant::now() + Duration::from_secs(30);
        while !get_page(address).await.ends_with("127.0.0.1") {
            assert!(tokio::time::Instant::now() < until, "no place comes free");
        }
        assert!(!all_of(&mut slow).await.contains("200 OK"));
        while !get_page(address).await.ends_with("127.0.0.1") || get_two(address).await != 2 {
            assert!(tokio::time::Instant::now() < until, "who does not read keeps its place");
        }
        let read = all_of(&mut deaf).await;
        assert!(read.starts_with("HTTP/1.1 200 OK") && read.len() < LONG, "{}", read.len());
        stop.cancel();
    }

    /// How many of two connections at the same time are served.
    async fn get_two(address: SocketAddr) -> usize {
        let (one, two) = tokio::join!(get_page(address), get_page(address));
        [one, two].iter().filter(|page| page.ends_with("127.0.0.1")).count()
    }

    #[tokio::test]
    async fn a_slow_head_is_cut_an_idle_connection_is_not() {
        let short = Duration::from_millis(200);
        let bounds = Bounds { head: short, ..Bounds::private(Vec::new()) };
        let (address, stop) = start(bounds).await;
        let mut idle = TcpStream::connect(address).await.unwrap();
        let mut slow = TcpStream::connect(address).await.unwrap();
        let began = tokio::time::Instant::now();
        slow.write_all(b"GET / HTTP/1.1\r\nhost: ").await.unwrap();
        assert_eq!(all_of(&mut slow).await, "", "no answer to half a head");
        assert!(began.elapsed() < Duration::from_secs(20), "cut long before an idle one would be");
        // The second request of a connection has its own time.
        for _ in 0..2 {
            idle.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
            let mut said = [0; 12];
            idle.read_exact(&mut said).await.unwrap();
            assert_eq!(&said, b"HTTP/1.1 200");
            let mut rest = [0; 4096];
            while !String::from_utf8_lossy(&rest).contains("127.0.0.1") {
                assert!(idle.read(&mut rest).await.unwrap() > 0);
            }
        }
        idle.write_all(b"GET / HTTP/1.1\r\nhost: ").await.unwrap();
        assert_eq!(all_of(&mut idle).await, "");
        stop.cancel();
    }

    #[tokio::test]
    async fn a_body_that_pauses_is_given_up_and_so_is_who_reads_nothing() {
        let short = Duration::from_millis(200);
        let bounds = Bounds { body: short, unread: short, ..Bounds::private(Vec::new()) };
        let (address, stop) = start(bounds).await;
        let mut paused = TcpStream::connect(address).await.unwrap();
        paused.write_all(b"POST /size HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n12345").await.unwrap();
        let said = all_of(&mut paused).await;
        assert!(said.starts_with("HTTP/1.1 400"), "{said}");
        let mut whole = TcpStream::connect(address).await.unwrap();
        whole
            .write_all(
                b"POST /size HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 5\r\n\r\n12345",
            )
            .await
            .unwrap();
        assert!(all_of(&mut whole).await.ends_with("\r\n\r\n5"));
        let mut deaf = TcpStream::connect(address).await.unwrap();
        deaf.write_all(b"GET /long HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        sleep(4 * short).await;
        let read = all_of(&mut deaf).await;
        assert!(read.starts_with("HTTP/1.1 200 OK") && read.len() < LONG, "{}", read.len());
        stop.cancel();
    }

    #[tokio::test]
    async fn huge_heads_are_refused_and_say_so() {
        let (address, stop) = start(Bounds::private(Vec::new())).await;
        for head in [format!("x-a: {}\r\n", "a".repeat(2 * HEAD)), "x-a: b\r\n".repeat(200)] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            drop(stream.write_all(format!("GET / HTTP/1.1\r\nhost: x\r\n{head}\r\n").as_bytes()).await);
            let mut said = [0; 12];
            stream.read_exact(&mut said).await.unwrap();
            assert_eq!(&said, b"HTTP/1.1 431");
        }
        stop.cancel();
    }

    #[test]
    fn a_client_has_some_connections_and_its_network_some_more() {
        let proxies = vec!["192.0.2.9".parse().unwrap()];
        let bounds = Bounds { connections: 12, of_client: 1, ..Bounds::public(proxies) };
        let slots = Arc::new(Slots::default());
        let take = |client: &str| slots.take(client.parse().unwrap(), &bounds);
        let first = take("192.0.2.1").unwrap();
        assert!(take("::ffff:192.0.2.1").is_none());
        let of_site: Vec<_> = (0..9).map(|number| take(&format!("2001:db8:0:{number}::1"))).collect();
        assert_eq!(of_site.iter().flatten().count(), 8, "a /48 does not get them all");
        assert!(take("2001:db8::2").is_none());
        let of_proxy = [(); 4].map(|()| take("192.0.2.9"));
        assert_eq!(of_proxy.iter().flatten().count(), 3, "12 in all");
        drop(first);
        take("192.0.2.1").unwrap();
        drop((of_site, of_proxy));
        let open = slots.0.lock().unwrap();
        assert_eq!((open.all, open.of.len()), (0, 0), "nothing is left of clients that went");
    }
}
