//! What all fakes have in common: a listener, what was asked, and faults to order.

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderMap, Response, StatusCode},
};
use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{net::TcpListener, task::JoinHandle};

/// A request that came in.
#[derive(Debug, Clone)]
pub struct Seen {
    /// `GET`, `POST`, …
    pub method: String,
    /// Without the query.
    pub path: String,
    /// Behind the question mark.
    pub query: String,
    /// The body.
    pub body: Vec<u8>,
}

/// What comes in the place of an answer, once. The request is not carried out, but for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The host is asked too often, and says after how many seconds it has time.
    RateLimited(u32),
    /// An error of the host's own, as a page for people.
    Html(u16),
    /// The beginning of an answer, and a closed connection.
    CutOff,
    /// This answer.
    Answer {
        /// Its status.
        status: u16,
        /// Its headers: a name may come more than once.
        headers: Vec<(&'static str, String)>,
        /// Its body.
        body: String,
    },
    /// This body, with status 200.
    Body(Vec<u8>),
    /// No answer ever; `done` where the request is carried out all the same.
    Silence {
        /// Whether it is carried out.
        done: bool,
    },
}

/// The answer to a request.
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

impl Reply {
    pub(crate) fn json(status: u16, body: &serde_json::Value) -> Self {
        let headers = vec![("content-type", "application/json".to_owned())];
        Self { status, headers, body: body.to_string() }
    }
}

/// A request, read whole.
pub struct Asked {
    pub seen: Seen,
    pub headers: HeaderMap,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// A value of the query, escapes undone.
    pub(crate) fn query(&self, name: &str) -> Option<String> {
        self.seen
            .query
            .split('&')
            .find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name))
            .map(|(_, value)| decoded(value))
    }
}

/// Undoes percent escapes.
pub(crate) fn decoded(text: &str) -> String {
    let mut octets = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&octet, behind)) = rest.split_first() {
        rest = behind;
        let hex = rest.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(|_| octet == b'%') {
            Some(escaped) => {
                octets.push(escaped);
                rest = &rest[2..];
            }
            None => octets.push(octet),
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}

/// What a listener was told, and what it saw.
#[derive(Default)]
struct Desk {
    seen: Vec<Seen>,
    faults: VecDeque<Option<Fault>>,
    latency: Duration,
}

/// A listener on this machine, which ends with it.
pub(crate) struct Listener {
    address: SocketAddr,
    desk: Arc<Mutex<Desk>>,
    task: JoinHandle<()>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Listener {
    pub(crate) fn start(
        answer: impl Fn(&Asked) -> Reply + Clone + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let address = listener.local_addr()?;
        let desk = Arc::new(Mutex::new(Desk::default()));
        let shared = Arc::clone(&desk);
        let router = Router::new().fallback(move |request: Request| {
            let (desk, answer) = (Arc::clone(&shared), answer.clone());
            async move { handle(request, &desk, &answer).await }
        });
        let task = tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        Ok(Self { address, desk, task })
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        locked(&self.desk).seen.clone()
    }

    pub(crate) fn forget(&self) {
        locked(&self.desk).seen.clear();
    }

    pub(crate) fn fault(&self, after: usize, fault: Fault) {
        let mut desk = locked(&self.desk);
        desk.faults.extend(std::iter::repeat_n(None, after));
        desk.faults.push_back(Some(fault));
    }

    pub(crate) fn latency(&self, latency: Duration) {
        locked(&self.desk).latency = latency;
    }
}

async fn handle(
    request: Request,
    desk: &Mutex<Desk>,
    answer: &(impl Fn(&Asked) -> Reply + Sync),
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 16 << 20).await.unwrap_or_default();
    let seen = Seen {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        body: body.to_vec(),
    };
    let (latency, fault) = {
        let mut desk = locked(desk);
        desk.seen.push(seen.clone());
        (desk.latency, desk.faults.pop_front().flatten())
    };
    if !latency.is_zero() {
        // The distance to the host.
        tokio::time::sleep(latency).await;
    }
    let reply = match fault {
        None => answer(&Asked { seen, headers: parts.headers }),
        Some(Fault::RateLimited(seconds)) => Reply {
            status: 429,
            headers: vec![("retry-after", seconds.to_string())],
            body: r#"{"success":false,"errors":[{"code":971,"message":"Please wait and consider throttling your request speed"}],"messages":[],"result":null}"#.to_owned(),
        },
        Some(Fault::Html(status)) => Reply {
            status,
            headers: vec![("content-type", "text/html".to_owned())],
            body: "<html><head><title>It broke</title></head></html>".to_owned(),
        },
        Some(Fault::Answer { status, headers, body }) => Reply { status, headers, body },
        Some(Fault::Silence { done }) => {
            if done {
                drop(answer(&Asked { seen, headers: parts.headers }));
            }
            return std::future::pending().await;
        }
        Some(Fault::CutOff) => return Response::new(Body::new(Broken(false))),
        Some(Fault::Body(body)) => return Response::new(Body::from(body)),
    };
    let mut response = Response::new(Body::from(Bytes::from(reply.body)));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in reply.headers {
        if let Ok(value) = value.parse() {
            response.headers_mut().append(name, value);
        }
    }
    response
}

/// A body that begins and breaks.
struct Broken(bool);

impl hyper::body::Body for Broken {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, io::Error>>> {
        let begun = std::mem::replace(&mut self.0, true);
        std::task::Poll::Ready(Some(if begun {
            Err(io::Error::other("cut off"))
        } else {
            Ok(hyper::body::Frame::data(Bytes::from_static(b"{\"success\":tr")))
        }))
    }
}
