//! Patience with an end: a connection whose client keeps it waiting fails.

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep},
};

/// What a connection is at: how many requests began, and how many of these ended.
#[derive(Debug, Clone, Default)]
pub(super) struct Busy(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Busy {
    /// A request's head is read; it is worked at until what comes back is dropped.
    pub(super) fn begin(&self) -> AtWork {
        self.0.begun.fetch_add(1, Ordering::Relaxed);
        AtWork(self.clone())
    }

    /// How many requests began, where none is worked at.
    fn between_requests(&self) -> Option<u64> {
        let begun = self.0.begun.load(Ordering::Relaxed);
        (begun == self.0.ended.load(Ordering::Relaxed)).then_some(begun)
    }
}

/// A request that is worked at.
pub(super) struct AtWork(Busy);

impl AtWork {
    /// Until this answer was sent.
    pub(super) fn until_end_of<B>(self, body: B) -> Answer<B> {
        Answer { body, _at_work: self }
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}

/// The body of an answer.
pub(super) struct Answer<B> {
    body: B,
    _at_work: AtWork,
}

impl<B: Body + Unpin> Body for Answer<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream that fails when a head takes too long from its first octet, or when what is written is not read.
pub(super) struct Patient {
    stream: TcpStream,
    busy: Busy,
    head: Duration,
    unread: Duration,
    /// The end of the head that is being read, and how many requests had begun before it.
    head_ends: Option<(u64, Pin<Box<Sleep>>)>,
    /// The end of patience with a client that reads nothing.
    unread_ends: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    pub(super) fn new(stream: TcpStream, busy: Busy, head: Duration, unread: Duration) -> Self {
        Self { stream, busy, head, unread, head_ends: None, unread_ends: None }
    }

    /// Fails when the head that is being read is overdue.
    fn check_head(&mut self, cx: &mut Context<'_>, has_come: bool) -> io::Result<()> {
        let Some(begun) = self.busy.between_requests() else {
            self.head_ends = None;
            return Ok(());
        };
        if self.head_ends.as_ref().is_some_and(|(of, _)| *of != begun) {
            self.head_ends = None;
        }
        if has_come && self.head_ends.is_none() {
            self.head_ends = Some((begun, Box::pin(sleep(self.head))));
        }
        let overdue = self.head_ends.as_mut().is_some_and(|(_, end)| end.as_mut().poll(cx).is_ready());
        if overdue { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
    }

    /// Fails when the client has read nothing for too long.
    fn check_unread<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.unread_ends = None;
            return written;
        }
        let patience = self.unread;
        let end = self.unread_ends.get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(end.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        let has_come = buf.filled().len() > before;
        self.check_head(cx, has_come)?;
        read
    }
}

impl AsyncWrite for Patient {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.check_unread(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.check_unread(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// The body of a request, which may pause for a bounded time only.
pub(super) struct PatientBody<B> {
    body: B,
    pause: Duration,
    ends: Option<Pin<Box<Sleep>>>,
}

impl<B> PatientBody<B> {
    pub(super) const fn new(body: B, pause: Duration) -> Self {
        Self { body, pause, ends: None }
    }
}

impl<B> Body for PatientBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<axum::BoxError>,
{
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            let next = Instant::now() + self.pause;
            if let Some(end) = &mut self.ends {
                end.as_mut().reset(next);
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let pause = self.pause;
        let end = self.ends.get_or_insert_with(|| Box::pin(sleep(pause)));
        ready!(end.as_mut().poll(cx));
        let problem = format!("nothing of the body came for {} seconds", pause.as_secs());
        Poll::Ready(Some(Err(problem.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
