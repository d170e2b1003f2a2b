//! A plain connection to a host on this machine, which can be cut.

use crate::serve::locked;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use publish::{
    Later,
    http::{Exchange, HttpAnswer, HttpRequest, NoAnswer},
};
use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::net::TcpStream;

/// Where a request is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Before it is sent.
    Before,
    /// Behind the host: it was carried out, and the answer is lost.
    After,
}

/// One connection for each request, by HTTP, to this machine.
#[derive(Clone)]
pub struct Plain {
    address: SocketAddr,
    cuts: Arc<Mutex<VecDeque<Option<Cut>>>>,
    writes: Arc<AtomicUsize>,
}

impl Plain {
    /// To a server.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, cuts: Arc::default(), writes: Arc::default() }
    }

    /// Cuts the request behind so many that get through. Clones know it too.
    pub fn cut(&self, after: usize, cut: Cut) {
        let mut cuts = locked(&self.cuts);
        cuts.extend(std::iter::repeat_n(None, after));
        cuts.push_back(Some(cut));
    }

    /// Whether a cut that was ordered is still to come.
    pub fn is_to_cut(&self) -> bool {
        !locked(&self.cuts).is_empty()
    }

    /// How many requests went out that are not only reading.
    pub fn writes(&self) -> usize {
        self.writes.load(Ordering::Relaxed)
    }

    /// Orders no cut any more.
    pub fn mend(&self) {
        locked(&self.cuts).clear();
    }

    async fn exchange(&self, request: HttpRequest) -> Result<HttpAnswer, NoAnswer> {
        let not_sent = |error: &dyn std::fmt::Display| NoAnswer::NotSent(error.to_string());
        let lost = |error: hyper::Error| NoAnswer::Lost(error.to_string());
        if request.method != "GET" {
            self.writes.fetch_add(1, Ordering::Relaxed);
        }
        let stream = TcpStream::connect(self.address).await.map_err(|error| not_sent(&error))?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| not_sent(&error))?;
        tokio::spawn(async move { drop(connection.await) });
        let mut outgoing = Request::builder().method(request.method).uri(&request.target);
        if !request.headers.iter().any(|(name, _)| *name == "host") {
            outgoing = outgoing.header("host", self.address.to_string());
        }
        for (name, value) in &request.headers {
            outgoing = outgoing.header(*name, value);
        }
        let outgoing =
            outgoing.body(Full::new(Bytes::from(request.body))).map_err(|error| not_sent(&error))?;
        let response = sender.send_request(outgoing).await.map_err(lost)?;
        let status = response.status().as_u16();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| {
                (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
            })
            .collect();
        let body = response.into_body().collect().await.map_err(lost)?.to_bytes().to_vec();
        Ok(HttpAnswer { status, headers, body })
    }
}

impl Exchange for Plain {
    fn send(&self, request: HttpRequest) -> Later<'_, Result<HttpAnswer, NoAnswer>> {
        let cut = locked(&self.cuts).pop_front().flatten();
        Box::pin(async move {
            match cut {
                Some(Cut::Before) => Err(NoAnswer::NotSent("cut before it was sent".to_owned())),
                Some(Cut::After) => {
                    drop(self.exchange(request).await);
                    Err(NoAnswer::Lost("cut before the answer came".to_owned()))
                }
                None => self.exchange(request).await,
            }
        })
    }
}
