//! One question over TCP (RFC 7766), for answers that are too long for UDP.

use crate::wire::{Query, Response};
use diagnosis::observation::Failure;
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
    time::timeout,
};

/// Asks, once all permits for another connection are there; they are waited for in their order.
pub async fn ask(
    permits: [Arc<Semaphore>; 2],
    query: Query<'_>,
    server: SocketAddr,
    limit: Duration,
) -> Result<Response, Failure> {
    let [own, common] = &permits;
    let _own = own.acquire().await;
    let _common = common.acquire().await;
    match timeout(limit, exchange(query, server)).await {
        Ok(Ok(response)) if response.truncated => {
            Err(Failure::TruncatedWithoutTcp("truncated over TCP too".to_owned()))
        }
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) => Err(Failure::TruncatedWithoutTcp(error.to_string())),
        Err(_) => Err(Failure::TruncatedWithoutTcp("no answer in time".to_owned())),
    }
}

/// Messages have a length of two octets in front (RFC 7766 §8), which bounds them to 64 KiB.
async fn exchange(query: Query<'_>, server: SocketAddr) -> io::Result<Response> {
    let invalid = |error: String| io::Error::new(io::ErrorKind::InvalidData, error);
    let packet = query.encode().map_err(|error| invalid(error.to_string()))?;
    let length = u16::try_from(packet.len()).map_err(|error| invalid(error.to_string()))?;
    let mut stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    // One segment: some servers want length and message together.
    stream.write_all(&[&length.to_be_bytes(), packet.as_slice()].concat()).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await?;
    query.decode(&answer).map_err(|error| invalid(error.to_string()))
}
