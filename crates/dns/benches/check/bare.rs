//! The yardstick: a loop that sends the same questions and takes the answers, and does nothing else.

use crate::report::Usage;
use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, recvmmsg, sendmmsg};
use std::{
    io::{IoSlice, IoSliceMut},
    net::{SocketAddr, UdpSocket},
    os::fd::AsRawFd,
    time::Duration,
};

const WINDOW: usize = 128;

/// Sends every packet of the file, each with an id of its own, a window of them at a time.
pub fn run(server: SocketAddr, file: &str) {
    let octets = std::fs::read(file).unwrap();
    let mut packets = Vec::new();
    let mut rest = octets.as_slice();
    while let Some((length, behind)) = rest.split_first_chunk() {
        let (packet, behind) = behind.split_at(usize::from(u16::from_be_bytes(*length)));
        packets.push(packet.to_vec());
        rest = behind;
    }
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let usage = Usage::start();
    let mut open: Vec<Option<usize>> = vec![None; 65536];
    let mut headers = MultiHeaders::<()>::preallocate(WINDOW, None);
    let mut buffers = vec![[0_u8; 1400]; WINDOW];
    let (mut next, mut in_flight, mut done, mut lost) = (0, 0, 0, 0_usize);
    let mut again: Vec<usize> = Vec::new();
    while done < packets.len() {
        let room = WINDOW - in_flight;
        let mut batch = Vec::with_capacity(room);
        while batch.len() < room {
            let Some(index) = again.pop().or_else(|| (next < packets.len()).then_some(next)) else { break };
            if index == next {
                next += 1;
            }
            let id = (index % 65536) as u16;
            packets[index][..2].copy_from_slice(&id.to_be_bytes());
            open[usize::from(id)] = Some(index);
            batch.push(index);
        }
        let slices: Vec<[IoSlice<'_>; 1]> = batch.iter().map(|at| [IoSlice::new(&packets[*at])]).collect();
        let addresses = vec![None::<()>; slices.len()];
        let mut sent = 0;
        while sent < slices.len() {
            let no_controls: [ControlMessage<'_>; 0] = [];
            let mut headers = MultiHeaders::<()>::preallocate(slices.len() - sent, None);
            let flags = MsgFlags::empty();
            let (slices, addresses) = (&slices[sent..], &addresses[sent..]);
            sent += sendmmsg(socket.as_raw_fd(), &mut headers, slices, addresses, no_controls, flags)
                .unwrap()
                .count();
        }
        in_flight += batch.len();
        let mut slices: Vec<[IoSliceMut<'_>; 1]> =
            buffers.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]).collect();
        let flags = MsgFlags::MSG_WAITFORONE;
        let received = match recvmmsg(socket.as_raw_fd(), &mut headers, slices.iter_mut(), flags, None) {
            Ok(received) => received.count(),
            Err(nix::errno::Errno::EAGAIN) => {
                // What is open was lost: once more.
                again.extend(open.iter_mut().filter_map(Option::take));
                lost += in_flight;
                in_flight = 0;
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        for buffer in &buffers[..received] {
            if open[usize::from(u16::from_be_bytes([buffer[0], buffer[1]]))].take().is_some() {
                in_flight -= 1;
                done += 1;
            }
        }
    }
    usage.end(packets.len() as u64, &[("lost", lost.to_string())]);
}
