//! Many packets in one system call, where the system has such calls (`sendmmsg`, `recvmmsg`); one by one elsewhere.
//!
//! A system call and its way through the network stack cost more than all that is done with a packet before and
//! after. Sockets here are connected: a packet needs no address, and the kernel drops what others send.

use std::{io, os::fd::AsRawFd};
use tokio::{io::Interest, net::UdpSocket};

/// Larger than any answer we ask for: servers that ignore the offered size still get through.
const BUFFER: usize = 4096;

/// How many packets are received in one call.
const RECEIVED: usize = 32;

/// How many packets are sent in one call.
const SENT: usize = 64;

/// Room for the packets of one call.
pub struct Buffers {
    octets: Vec<u8>,
    lengths: Vec<usize>,
}

impl Buffers {
    pub fn new() -> Self {
        Self { octets: vec![0; BUFFER * RECEIVED], lengths: Vec::with_capacity(RECEIVED) }
    }

    /// No room, as long as the room is in use.
    pub const fn none() -> Self {
        Self { octets: Vec::new(), lengths: Vec::new() }
    }

    /// Fills the buffers with the packets that are there, without waiting. How many there were.
    pub fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        let Self { octets, lengths } = self;
        lengths.clear();
        let mut receive = |ground| {
            let result = socket.try_io(ground, || {
                system::receive(socket.as_raw_fd(), octets, lengths)?;
                // Fewer than there was room for are all: what comes from now on is told anew, and nobody need try in vain.
                if lengths.len() < RECEIVED { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
            });
            if lengths.is_empty() { result.map(|()| 0) } else { Ok(lengths.len()) }
        };
        // An ICMP error makes a socket erroneous, not readable, and tokio tries on one ground at a time.
        match receive(Interest::READABLE) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => receive(Interest::ERROR),
            result => result,
        }
    }

    /// One of the packets received last.
    pub fn packet(&self, index: usize) -> &[u8] {
        let length = self.lengths.get(index).map_or(0, |length| (*length).min(BUFFER));
        &self.octets[index * BUFFER..][..length]
    }
}

/// Sends packets, without waiting, and tells the last error that there was. Those that the system had no room for
/// are lost like those that a router had no room for.
pub fn send_all(socket: &UdpSocket, packets: &[&[u8]]) -> Option<io::Error> {
    let mut rest = packets;
    let mut last = None;
    let mut is_second_try = false;
    while let Some(now) = rest.get(..rest.len().min(SENT)).filter(|now| !now.is_empty()) {
        match system::send(socket.as_raw_fd(), now) {
            Ok(count) => {
                rest = &rest[count.clamp(1, now.len())..];
                is_second_try = false;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Some(error),
            // The first error may be an ICMP message about an earlier packet; only a second one is this packet's.
            Err(error) => {
                rest = &rest[usize::from(is_second_try)..];
                is_second_try = !is_second_try;
                last = Some(error);
            }
        }
    }
    last
}

#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd", target_os = "netbsd"))]
mod system {
    use super::{BUFFER, RECEIVED};
    use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, recvmmsg, sendmmsg};
    use std::{
        io::{self, IoSlice, IoSliceMut},
        os::fd::RawFd,
    };

    pub fn receive(socket: RawFd, octets: &mut [u8], lengths: &mut Vec<usize>) -> io::Result<()> {
        let mut slices: Vec<[IoSliceMut<'_>; 1]> =
            octets.chunks_exact_mut(BUFFER).map(|buffer| [IoSliceMut::new(buffer)]).collect();
        // Made for each call: it holds raw pointers, so a task that may change threads cannot keep it.
        let mut headers = MultiHeaders::<()>::preallocate(RECEIVED, None);
        let received = recvmmsg(socket, &mut headers, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None)?;
        lengths.extend(received.map(|message| message.bytes));
        Ok(())
    }

    /// Not by tokio: it does not send on a socket before it has seen once that there is room.
    pub fn send(socket: RawFd, packets: &[&[u8]]) -> io::Result<usize> {
        let slices: Vec<[IoSlice<'_>; 1]> = packets.iter().map(|packet| [IoSlice::new(packet)]).collect();
        let addresses = vec![None::<()>; slices.len()];
        let mut headers = MultiHeaders::<()>::preallocate(slices.len(), None);
        let no_controls: [ControlMessage<'_>; 0] = [];
        let flags = MsgFlags::MSG_DONTWAIT;
        let sent = sendmmsg(socket, &mut headers, &slices, &addresses, no_controls, flags)?;
        Ok(sent.count())
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd", target_os = "netbsd")))]
mod system {
    use super::BUFFER;
    use nix::sys::socket::{MsgFlags, recv};
    use std::{io, os::fd::RawFd};

    pub fn receive(socket: RawFd, octets: &mut [u8], lengths: &mut Vec<usize>) -> io::Result<()> {
        for buffer in octets.chunks_exact_mut(BUFFER) {
            match recv(socket, buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(length) => lengths.push(length),
                Err(_) if !lengths.is_empty() => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    pub fn send(socket: RawFd, packets: &[&[u8]]) -> io::Result<usize> {
        let packet = packets.first().copied().unwrap_or_default();
        nix::sys::socket::send(socket, packet, MsgFlags::MSG_DONTWAIT)?;
        Ok(1)
    }
}
