//! Telling secondaries that a zone has changed (NOTIFY, RFC 1996), until they say that they have heard it.

use super::{query::HEADER, record_set::types, server::Shared, transfer::Secondary};
use crate::tsig::Conversation;
use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::UdpSocket,
    time::{Instant, sleep, timeout},
};

/// How often it is looked whether a zone has changed.
const LOOKS: Duration = Duration::from_millis(100);

/// How long a secondary may take to say that it has heard, and how often it is told in a row.
const ANSWERS: Duration = Duration::from_secs(1);
const TRIES: usize = 3;

/// How long one that does not answer is left alone: longer each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// Tells a secondary of every zone that is another one than it was told of last.
pub(super) async fn keep_telling(secondary: Secondary, own: IpAddr, shared: Arc<Shared>) {
    let mut told: HashMap<Box<[u8]>, u32> = HashMap::new();
    let (mut pause, mut not_before) = (FIRST_PAUSE, Instant::now());
    loop {
        sleep(LOOKS).await;
        if Instant::now() < not_before {
            continue;
        }
        let zones = shared.zones.load_full();
        for (apex, zone) in &zones.zones {
            let serial = zone.now.soa.serial();
            if told.get(apex) == Some(&serial) {
                continue;
            }
            match tell(&secondary, own, apex, shared.clock).await {
                Ok(()) => {
                    told.insert(apex.clone(), serial);
                    pause = FIRST_PAUSE;
                }
                Err(error) => {
                    tracing::warn!(%error, secondary = %secondary.address, "a secondary could not be told of a change");
                    not_before = Instant::now() + pause;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    break;
                }
            }
        }
    }
}

async fn tell(secondary: &Secondary, own: IpAddr, apex: &[u8], clock: fn() -> u32) -> io::Result<()> {
    // From the address that it asks for the zone, where there is one.
    let from = match (own.is_unspecified() || own.is_ipv4() != secondary.address.is_ipv4(), secondary.address)
    {
        (false, _) => own,
        (true, address) if address.is_ipv4() => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        (true, _) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind((from, 0)).await?;
    socket.connect(secondary.address).await?;
    let mut last = io::Error::from(io::ErrorKind::TimedOut);
    for _ in 0..TRIES {
        let mut id = [0; 2];
        getrandom::fill(&mut id).map_err(io::Error::other)?;
        let mut message = notify(id, apex);
        let now = u64::from(clock());
        let conversation = secondary.key.clone().map(|key| Conversation::ask(key, &mut message, now));
        socket.send(&message).await?;
        match timeout(ANSWERS, heard(&socket, id, conversation, clock)).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => last = error,
            Err(_) => {}
        }
    }
    Err(last)
}

/// A message that says: look at this zone.
fn notify(id: [u8; 2], apex: &[u8]) -> Vec<u8> {
    let mut message = id.to_vec();
    // Opcode 4 with authority; one question.
    message.extend_from_slice(&[4 << 3 | 4, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    message.extend_from_slice(apex);
    message.extend_from_slice(&types::SOA.to_be_bytes());
    message.extend_from_slice(&[0, 1]);
    message
}

/// Waits for the answer, whatever else arrives.
async fn heard(
    socket: &UdpSocket,
    id: [u8; 2],
    conversation: Option<Conversation>,
    clock: fn() -> u32,
) -> io::Result<()> {
    let mut octets = [0; 1232];
    loop {
        let length = socket.recv(&mut octets).await?;
        let answer = &octets[..length];
        if answer.len() < HEADER || answer[..2] != id || answer[2] & 0xf8 != 0x80 | 4 << 3 {
            continue;
        }
        if let Some(conversation) = &conversation {
            let opened = conversation.clone().open(answer, u64::from(clock()));
            opened.map_err(io::Error::other)?;
        }
        return match answer[3] & 0x0f {
            0 => Ok(()),
            rcode => Err(io::Error::other(format!("it answered with response code {rcode}"))),
        };
    }
}
