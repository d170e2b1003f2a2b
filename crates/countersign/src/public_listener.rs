//! The listener that everybody may connect to.
//!
//! Whoever connects can send slowly, read slowly or not at all, and connect many times. So a connection has a bounded
//! time for the head of a request, and a bounded life: when half of it is over, it ends after the request that is under
//! way; at its end it ends whatever goes on, also where the client does not read. There is a bound on connections, and
//! one for each client and network ([`app::check_gate::networks`]); what is beyond is closed at once.

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

/// What a connection buffers of a request's head, and of what is to be written, in octets.
const BUFFER: usize = 128 * 1024;

/// What strangers may take.
#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    /// How many connections are open in all: together with the DNS client's sockets less than the 1024 files that a
    /// process may often have open.
    pub connections: u32,
    /// How many one client has; a network of many clients has more, see [`networks`].
    pub of_client: u32,
    /// How long the head of a request may take, and how long a connection may be idle.
    pub head: Duration,
    /// How long a connection is there. A check takes 20 seconds at most.
    pub life: Duration,
    /// Proxies have as many connections as there are.
    pub proxies: Vec<IpAddr>,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: 256,
            of_client: 24,
            head: Duration::from_secs(10),
            life: Duration::from_mins(1),
            proxies: Vec::new(),
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
    let mut connections = JoinSet::new();
    loop {
        let (stream, peer) = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            // Waits where there are no more files.
            accepted = Listener::accept(&mut listener) => accepted,
        };
        let Some(slot) = slots.take(peer.ip(), &bounds) else {
            tracing::debug!(%peer, "too many connections: this one is closed");
            continue;
        };
        let (service, stop, bounds) = (service.clone(), stop.clone(), bounds.clone());
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
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        service.call(request)
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(bounds.head).max_buf_size(BUFFER);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let conversation = async {
        tokio::select! {
            ended = connection.as_mut() => return ended,
            () = stop.cancelled() => {}
            () = sleep(bounds.life / 2) => {}
        }
        connection.as_mut().graceful_shutdown();
        connection.await
    };
    match timeout(bounds.life, conversation).await {
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
        let networks = if bounds.proxies.contains(&client) { Vec::new() } else { networks(client) };
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
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// A page longer than what any buffers between take.
    const LONG: usize = 64 << 20;

    async fn start(bounds: Bounds) -> (SocketAddr, CancellationToken) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let router = Router::new()
            .route("/", get(async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.ip().to_string()))
            .route("/long", get(async || "x".repeat(LONG)));
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
        let bounds = Bounds { connections: 2, head: short, life: 2 * short, ..Bounds::default() };
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

    #[test]
    fn a_client_has_some_connections_and_its_network_some_more() {
        let proxies = vec!["192.0.2.9".parse().unwrap()];
        let bounds = Bounds { connections: 12, of_client: 1, proxies, ..Bounds::default() };
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
