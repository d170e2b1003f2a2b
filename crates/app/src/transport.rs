//! Which servers accepted mail is handed to.

use crate::settings::{RelayTls, Transport};
use smtp::client::{Target, TlsMode};
use std::fmt;

/// How many addresses of a relay are tried for one message.
const MOST_ADDRESSES: usize = 4;

impl Transport {
    /// The servers to try, in order. `own_name` is what our own listener is called.
    pub(crate) async fn targets(&self, own_name: &str) -> Result<Vec<Target>, String> {
        match self {
            Self::Sandbox(address) => Ok(vec![Target {
                address: *address,
                server_name: own_name.to_owned(),
                tls: TlsMode::Opportunistic,
            }]),
            Self::Relay { host, port, tls } => {
                let found = tokio::net::lookup_host((host.as_str(), *port)).await;
                let found = found.map_err(|error| format!("the relay {host} was not found: {error}"))?;
                let target = |address| Target {
                    address,
                    server_name: host.clone(),
                    tls: match tls {
                        RelayTls::Required => TlsMode::Required,
                        RelayTls::Opportunistic => TlsMode::Opportunistic,
                        RelayTls::None => TlsMode::None,
                    },
                };
                Ok(found.take(MOST_ADDRESSES).map(target).collect())
            }
        }
    }
}

/// Where a message went, as it is told with each attempt.
impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sandbox(address) => address.fmt(f),
            Self::Relay { host, port, .. } => write!(f, "{host}:{port}"),
        }
    }
}
