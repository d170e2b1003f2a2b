//! Timed, bounded reading and writing of one client connection.

use super::{ClientError, Reply, Stage, reply};
use bytes::BytesMut;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};

/// A stream of either kind.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + Sync {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + Sync> Stream for T {}

pub(super) struct Wire<S> {
    pub(super) stream: S,
    input: BytesMut,
}

impl<S: Stream> Wire<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, input: BytesMut::new() }
    }

    /// Whether the server has sent more than was asked for.
    pub(super) fn has_more(&self) -> bool {
        !self.input.is_empty()
    }

    pub(super) async fn write(
        &mut self,
        bytes: &[u8],
        stage: Stage,
        wait: Duration,
    ) -> Result<(), ClientError> {
        let write = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        match timeout(wait, write).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(source)) => Err(ClientError::Closed { stage, source: Some(source) }),
            Err(_) => Err(ClientError::Timeout { stage }),
        }
    }

    /// The next whole reply.
    pub(super) async fn reply(&mut self, stage: Stage, wait: Duration) -> Result<Reply, ClientError> {
        let until = Instant::now() + wait;
        loop {
            match reply::take(&mut self.input) {
                Ok(Some(reply)) => return Ok(reply),
                Ok(None) => {}
                Err(what) => return Err(ClientError::Protocol { stage, what }),
            }
            self.input.reserve(4096);
            match timeout_at(until, self.stream.read_buf(&mut self.input)).await {
                Ok(Ok(0)) => return Err(ClientError::Closed { stage, source: None }),
                Ok(Ok(_)) => {}
                Ok(Err(source)) => return Err(ClientError::Closed { stage, source: Some(source) }),
                Err(_) => return Err(ClientError::Timeout { stage }),
            }
        }
    }

    /// A reply before the end of the message: 421 means that the server is about to close.
    pub(super) async fn answer(&mut self, stage: Stage, wait: Duration) -> Result<Reply, ClientError> {
        let reply = self.reply(stage, wait).await?;
        if reply.code == 421 { Err(ClientError::Refused { stage, reply }) } else { Ok(reply) }
    }
}
