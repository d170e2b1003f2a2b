//! Many packets in one system call, where the system has such calls (`sendmmsg`, `recvmmsg`); one by one elsewhere.
//!
//! A system call and its way through the network stack cost more than all that is done with a packet before and
//! after. Sockets here are connected: a packet needs no address, and the kernel drops what others send.
//!
//! Where the system can (Linux: UDP segmentation, `UDP_SEGMENT`), packets of one length take the way through the
//! stack together and are parted at its end, by the device or just before it. On the wire they are the same packets.

use std::{cmp::Reverse, io, os::fd::AsRawFd};
use tokio::{io::Interest, net::UdpSocket};

/// Larger than any answer we ask for: servers that ignore the offered size still get through.
const BUFFER: usize = 4096;

/// How many packets are received in one call.
const RECEIVED: usize = 32;

/// How many packets are sent in one call; as many segments every kernel takes that knows them (`UDP_MAX_SEGMENTS`).
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

/// Whether packets may go together by this socket, as far as the system says before anything was sent. Kernels that do
/// not know of it would send all as one packet.
pub fn can_go_together(socket: &UdpSocket) -> bool {
    system::knows_segments(socket)
}

/// Sends packets, without waiting, and tells the last error that there was. Those that the system had no room for
/// are lost like those that a router had no room for. Puts them in another order: the longest first.
///
/// `in_segments` is whether they may go together; it is taken back when the way to this server turns out not to be
/// made for it.
pub fn send_all(socket: &UdpSocket, packets: &mut [&[u8]], in_segments: &mut bool) -> Option<io::Error> {
    packets.sort_unstable_by_key(|packet| Reverse(packet.len()));
    let socket = socket.as_raw_fd();
    let mut rest = &*packets;
    let mut last = None;
    let mut is_second_try = false;
    while !rest.is_empty() {
        // What failed is tried again by itself.
        let together = if *in_segments && !is_second_try { segments(rest) } else { 1 };
        let sent = if together > 1 {
            system::send_segments(socket, &rest[..together]).map(|()| together)
        } else {
            let now = &rest[..if *in_segments { 1 } else { rest.len().min(SENT) }];
            system::send(socket, now).map(|count| count.clamp(1, now.len()))
        };
        match sent {
            Ok(count) => {
                rest = &rest[count..];
                is_second_try = false;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Some(error),
            Err(error) if together > 1 && is_refusal(&error) => {
                tracing::debug!(%error, "packets do not go together here; they go one by one");
                *in_segments = false;
            }
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

/// Whether an error says that packets cannot go together here, or be so long, and not that something became of others: the
/// device leaves checksums to us (EIO), the packets do not fit on the way.
fn is_refusal(error: &io::Error) -> bool {
    use nix::errno::Errno;
    let refusals = [Errno::EIO, Errno::EINVAL, Errno::EMSGSIZE, Errno::ENOPROTOOPT, Errno::EOPNOTSUPP];
    error.raw_os_error().is_none_or(|code| refusals.contains(&Errno::from_raw(code)))
}

/// How many of the packets, the longest first, can go together: all segments are equally long but the last, which may
/// be shorter.
fn segments(packets: &[&[u8]]) -> usize {
    let Some(first) = packets.first() else { return 0 };
    let equal = packets.iter().take_while(|packet| packet.len() == first.len()).count();
    (equal + 1).min(packets.len()).min(SENT)
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

    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub fn knows_segments(socket: &tokio::net::UdpSocket) -> bool {
        nix::sys::socket::getsockopt(socket, nix::sys::socket::sockopt::UdpGsoSegment).is_ok()
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub fn knows_segments(_: &tokio::net::UdpSocket) -> bool {
        false
    }

    /// All of them or none, in one piece: as long as the first, and the last may be shorter.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub fn send_segments(socket: RawFd, packets: &[&[u8]]) -> io::Result<()> {
        use nix::sys::socket::sendmsg;
        let slices: Vec<IoSlice<'_>> = packets.iter().map(|packet| IoSlice::new(packet)).collect();
        let length = packets.first().map_or(0, |packet| packet.len());
        let length = u16::try_from(length).map_err(|_| io::ErrorKind::InvalidInput)?;
        let controls = [ControlMessage::UdpGsoSegments(&length)];
        sendmsg::<()>(socket, &slices, &controls, MsgFlags::MSG_DONTWAIT, None)?;
        Ok(())
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub fn send_segments(_: RawFd, _: &[&[u8]]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
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

    pub fn knows_segments(_: &tokio::net::UdpSocket) -> bool {
        false
    }

    pub fn send_segments(_: RawFd, _: &[&[u8]]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{net::UdpSocket as Std, time::Duration};

    #[test]
    fn packets_of_one_length_and_one_shorter_go_together() {
        let count = |lengths: &[usize]| {
            let packets: Vec<Vec<u8>> = lengths.iter().map(|length| vec![0; *length]).collect();
            segments(&packets.iter().map(Vec::as_slice).collect::<Vec<_>>())
        };
        assert_eq!(count(&[]), 0);
        assert_eq!(count(&[40]), 1);
        assert_eq!(count(&[40, 40, 40]), 3);
        assert_eq!(count(&[40, 40, 39, 39]), 3);
        assert_eq!(count(&[40, 39, 38]), 2);
        assert_eq!(count(&[40; 200]), SENT);
    }

    /// Each packet arrives as it was, whether they may go together or not.
    #[tokio::test]
    async fn packets_arrive_one_by_one_and_whole() {
        let server = Std::bind("127.0.0.1:0").unwrap();
        server.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let socket = super::super::port::connect(server.local_addr().unwrap()).unwrap();
        let can = can_go_together(&socket);
        assert_eq!(
            can,
            cfg!(any(target_os = "linux", target_os = "android")),
            "this kernel is older than 2018"
        );
        for mut in_segments in [can, false] {
            let before = in_segments;
            let sent: Vec<Vec<u8>> =
                (0..150_u8).map(|number| vec![number; 30 + usize::from(number) % 7]).collect();
            let mut packets: Vec<&[u8]> = sent.iter().map(Vec::as_slice).collect();
            assert!(send_all(&socket, &mut packets, &mut in_segments).is_none());
            assert_eq!(in_segments, before, "they do not go together on loopback");
            let mut buffer = [0; 2048];
            let mut arrived: Vec<Vec<u8>> = (0..sent.len())
                .map(|_| server.recv(&mut buffer).map(|length| buffer[..length].to_vec()).unwrap())
                .collect();
            arrived.sort_by_key(|packet| packet[0]);
            assert_eq!(arrived, sent);
        }
    }

    /// A packet longer than the way takes cannot be a segment; alone it still goes (in fragments).
    #[tokio::test]
    async fn what_cannot_go_together_goes_one_by_one() {
        let server = Std::bind("127.0.0.1:0").unwrap();
        server.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let address = server.local_addr().unwrap();
        let socket = super::super::port::connect(address).unwrap();
        // No way to this server may be longer than the loopback's 65,536 octets: two such segments are too many.
        let long = vec![7; 40_000];
        let mut in_segments = true;
        let mut packets: Vec<&[u8]> = vec![b"short", &long, &long];
        assert!(send_all(&socket, &mut packets, &mut in_segments).is_none());
        assert!(!in_segments, "it was not found out that they cannot go together");
        let mut buffer = vec![0; 65_536];
        let mut lengths: Vec<usize> = (0..3).map(|_| server.recv(&mut buffer).unwrap()).collect();
        lengths.sort_unstable();
        assert_eq!(lengths, [5, 40_000, 40_000]);
    }
}
