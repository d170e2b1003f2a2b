//! UDP: threads of their own, which take many packets in one system call and answer them in one.
//!
//! A query takes about a microsecond to answer, and a system call and a change of threads several: what a server can do
//! is decided here.

use super::{
    rate_limit::Verdict,
    respond::{Circumstances, write_response},
    server::Shared,
    transfer,
};
use std::{
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// How many packets are taken and sent in one call.
const BATCH: usize = 32;

/// Queries are small; one that is longer is cut by the kernel and then malformed.
const QUERY: usize = 1232;

/// How long a worker waits for a packet before it looks whether it is to stop.
const WAIT: Duration = Duration::from_secs(1);

/// A pause after an error of a socket, so that a lasting one does not spin.
const AFTER_ERROR: Duration = Duration::from_millis(20);

/// Room in the kernel for what arrives while all workers are busy; it gives what it may.
const RECEIVE_BUFFER: usize = 4 << 20;

/// Threads that serve one socket. They end when this is dropped.
pub(super) struct Workers {
    socket: Arc<UdpSocket>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

pub(super) fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    socket.set_read_timeout(Some(WAIT))?;
    // The usual size would do; this is for bursts.
    let _ = nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::RcvBuf, &RECEIVE_BUFFER);
    Ok(socket)
}

impl Workers {
    pub(super) fn start(socket: UdpSocket, count: usize, shared: &Arc<Shared>) -> io::Result<Self> {
        let socket = Arc::new(socket);
        let stop = Arc::new(AtomicBool::new(false));
        let mut workers = Self { socket, stop, threads: Vec::new() };
        for _ in 0..count {
            let (socket, shared, stop) =
                (Arc::clone(&workers.socket), Arc::clone(shared), Arc::clone(&workers.stop));
            let thread = thread::Builder::new().name("dns".to_owned()).spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let work = AssertUnwindSafe(|| system::serve(&socket, &shared, &stop));
                    if catch_unwind(work).is_err() {
                        tracing::error!("answering DNS panicked; it goes on");
                    }
                }
                wake_one(&socket);
            })?;
            workers.threads.push(thread);
        }
        Ok(workers)
    }

    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.socket.local_addr().ok()
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        wake_one(&self.socket);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// An empty packet: nobody answers it, but it is something that arrived. Whoever ends because of it wakes the next one.
fn wake_one(socket: &UdpSocket) {
    if let Ok(address) = socket.local_addr() {
        let _ = socket.send_to(&[], address);
    }
}

/// Writes the response to a packet; whether there is one to be sent.
fn answer(shared: &Shared, zones: &super::ZoneSet, query: &[u8], client: IpAddr, out: &mut Vec<u8>) -> bool {
    let how = Circumstances {
        over_tcp: false,
        cookies: shared.cookies.as_ref().map(|cookies| (cookies, client, (shared.clock)())),
        nsid: &shared.nsid,
    };
    if !shared.secondaries.is_empty() {
        let now = u64::from((shared.clock)());
        if let Some((plain, mut conversation)) = transfer::signed(query, client, &shared.secondaries, now) {
            let is_answered = write_response(zones, &plain, &how, out).is_some();
            conversation.answer(out, now);
            return is_answered;
        }
    }
    let Some(answered) = write_response(zones, query, &how, out) else { return false };
    let Some(limit) = &shared.rate_limit else { return true };
    match limit.count(client, answered, out) {
        Verdict::Send => true,
        Verdict::Drop => false,
        Verdict::Slip => {
            // Behind the question's name are its type and class.
            out.truncate(answered.subject.1 + 4);
            if let Some([flags, rcode, _, _, counts @ ..]) = out.get_mut(2..12) {
                *flags |= 2;
                *rcode = 0;
                counts.fill(0);
            }
            true
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd", target_os = "netbsd"))]
mod system {
    use super::{AFTER_ERROR, BATCH, QUERY, Shared, answer};
    use nix::{
        errno::Errno,
        sys::socket::{ControlMessage, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg},
    };
    use std::{
        io::{IoSlice, IoSliceMut},
        net::{IpAddr, UdpSocket},
        os::fd::AsRawFd,
        sync::atomic::{AtomicBool, Ordering},
        thread,
    };

    pub fn serve(socket: &UdpSocket, shared: &Shared, stop: &AtomicBool) {
        let mut octets = vec![0; QUERY * BATCH];
        let mut responses: Vec<Vec<u8>> = (0..BATCH).map(|_| Vec::with_capacity(QUERY)).collect();
        let mut arrived: Vec<(usize, Option<SockaddrStorage>)> = Vec::with_capacity(BATCH);
        let mut clients: Vec<Option<SockaddrStorage>> = Vec::with_capacity(BATCH);
        while !stop.load(Ordering::Relaxed) {
            arrived.clear();
            if let Err(error) = receive(socket, &mut octets, &mut arrived) {
                if !matches!(error, Errno::EAGAIN | Errno::EINTR) {
                    tracing::debug!(%error, "receiving DNS over UDP");
                    thread::sleep(AFTER_ERROR);
                }
                continue;
            }
            clients.clear();
            let zones = shared.zones.load();
            for ((length, client), query) in arrived.iter().zip(octets.chunks_exact(QUERY)) {
                let (Some(client), Some(out)) = (client, responses.get_mut(clients.len())) else { continue };
                let Some(address) = address(client) else { continue };
                if answer(shared, &zones, &query[..(*length).min(QUERY)], address, out) {
                    clients.push(Some(*client));
                }
            }
            drop(zones);
            send(socket, &responses, &clients);
        }
    }

    fn address(client: &SockaddrStorage) -> Option<IpAddr> {
        let v4 = client.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        v4.or_else(|| client.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
    }

    /// Waits for a packet, and takes all that are there.
    fn receive(
        socket: &UdpSocket,
        octets: &mut [u8],
        arrived: &mut Vec<(usize, Option<SockaddrStorage>)>,
    ) -> Result<(), Errno> {
        let mut slices: Vec<[IoSliceMut<'_>; 1]> =
            octets.chunks_exact_mut(QUERY).map(|buffer| [IoSliceMut::new(buffer)]).collect();
        let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, None);
        let flags = MsgFlags::MSG_WAITFORONE;
        let received = recvmmsg(socket.as_raw_fd(), &mut headers, slices.iter_mut(), flags, None)?;
        arrived.extend(received.map(|message| (message.bytes, message.address)));
        Ok(())
    }

    /// Sends each response to its client. One that cannot be sent is lost like one that a router had no room for.
    fn send(socket: &UdpSocket, responses: &[Vec<u8>], clients: &[Option<SockaddrStorage>]) {
        let mut sent = 0;
        while let Some(to) = clients.get(sent..).filter(|to| !to.is_empty()) {
            let slices: Vec<[IoSlice<'_>; 1]> =
                responses[sent..].iter().take(to.len()).map(|response| [IoSlice::new(response)]).collect();
            let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(slices.len(), None);
            let no_controls: [ControlMessage<'_>; 0] = [];
            let flags = MsgFlags::empty();
            let result = sendmmsg(socket.as_raw_fd(), &mut headers, &slices, to, no_controls, flags);
            sent += match result {
                Ok(results) => results.count().max(1),
                Err(error) => {
                    tracing::debug!(%error, "answering DNS over UDP");
                    1
                }
            };
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd", target_os = "netbsd")))]
mod system {
    use super::{AFTER_ERROR, QUERY, Shared, answer};
    use std::{
        io::ErrorKind,
        net::UdpSocket,
        sync::atomic::{AtomicBool, Ordering},
        thread,
    };

    pub fn serve(socket: &UdpSocket, shared: &Shared, stop: &AtomicBool) {
        let mut octets = vec![0; QUERY];
        let mut out = Vec::with_capacity(QUERY);
        while !stop.load(Ordering::Relaxed) {
            let (length, client) = match socket.recv_from(&mut octets) {
                Ok(received) => received,
                Err(error) => {
                    if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) {
                        tracing::debug!(%error, "receiving DNS over UDP");
                        thread::sleep(AFTER_ERROR);
                    }
                    continue;
                }
            };
            if answer(shared, &shared.zones.load(), &octets[..length], client.ip(), &mut out)
                && let Err(error) = socket.send_to(&out, client)
            {
                tracing::debug!(%error, %client, "answering DNS over UDP");
            }
        }
    }
}
