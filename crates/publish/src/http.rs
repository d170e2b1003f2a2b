//! How a host that speaks HTTP is reached: by whatever the house has for it, with its rules of where requests may go.

use crate::provider::Later;

/// A request.
#[derive(Clone)]
pub struct HttpRequest {
    /// `GET`, `POST`, …
    pub method: &'static str,
    /// Path and query, as they are sent.
    pub target: String,
    /// Names and values. They hold credentials: nothing prints them.
    pub headers: Vec<(&'static str, String)>,
    /// The body; empty where there is none.
    pub body: Vec<u8>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpAnswer {
    /// Its status.
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body, whole.
    pub body: Vec<u8>,
}

impl HttpAnswer {
    /// The first value of a header; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Why there is no whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoAnswer {
    /// The request was not sent: whatever it asks for was not done.
    NotSent(String),
    /// It was sent. Whether it was done is not known.
    Lost(String),
}

/// A connection to one server, kept open between requests.
pub trait Exchange: Send + Sync {
    /// Sends a request and reads the whole answer, within the bounds that were set for this server.
    fn send(&self, request: HttpRequest) -> Later<'_, Result<HttpAnswer, NoAnswer>>;
}
