//! Zones for secondaries: whole (AXFR, RFC 5936) and as what changed (IXFR, RFC 1995), over TCP.
//!
//! A transfer is of one state of a zone, however long it takes: states are never changed, only replaced. What changed
//! since an earlier state is found by comparing with it, for as long as a [`Version`] of it is kept.

use super::{
    keys::{Entry, KeyTable},
    query::{HEADER, Query, first_authority},
    record_set::{RecordSet, types},
    zone_set::{IndexedZone, Node, Version, ZoneSet},
};
use crate::tsig::{Conversation, Key, Rejection, TsigError};
use std::{net::IpAddr, sync::Arc};

/// About how long a message of a transfer is: what is at its front is repeated in each, and each is signed.
const MESSAGE: usize = 16 * 1024;

const NOTAUTH: u8 = 9;
const REFUSED: u8 = 5;

/// Who may have whole zones, and is told when they change.
#[derive(Debug, Clone)]
pub struct Secondary {
    /// Where it is told; it asks from the same address.
    pub address: std::net::SocketAddr,
    /// What it signs with, and we do.
    pub key: Option<Arc<Key>>,
}

/// A request for a transfer that is to be answered.
pub(super) struct Asked {
    /// The query, without a signature.
    octets: Vec<u8>,
    /// The state that the other side has, where it asks for what changed.
    since: Option<u32>,
    conversation: Option<Conversation>,
}

/// What becomes of a message over TCP.
pub(super) enum Request {
    /// It asks for no transfer.
    None,
    Transfer(Asked),
    /// It is answered with this.
    Refused(Vec<u8>),
}

/// Looks at a message that came over TCP.
pub(super) fn asked(octets: &[u8], client: IpAddr, secondaries: &[Secondary], now: u64) -> Request {
    let is_transfer =
        |query: &Query<'_>| matches!(query.qtype, types::AXFR | types::IXFR) && query.qclass == 1;
    let Some(query) = Query::read(octets).ok().filter(is_transfer) else { return Request::None };
    let refuse = |rcode| Request::Refused(refusal(octets, query.question_end, rcode));
    let here: Vec<&Secondary> = secondaries
        .iter()
        .filter(|secondary| secondary.address.ip().to_canonical() == client.to_canonical())
        .collect();
    if here.is_empty() {
        return refuse(REFUSED);
    }
    let keys: Vec<Arc<Key>> = here.iter().filter_map(|secondary| secondary.key.clone()).collect();
    let (octets, conversation) = match Conversation::asked(&keys, octets, now) {
        Ok(Some((plain, conversation))) => (plain, Some(conversation)),
        Ok(None) if here.iter().any(|secondary| secondary.key.is_none()) => (octets.to_vec(), None),
        Ok(None) => return refuse(REFUSED),
        Err(rejection) => {
            tracing::warn!(%client, error = %rejection.error, "a secondary is not believed");
            return not_believed(octets, query.question_end, *rejection, now);
        }
    };
    let since = (query.qtype == types::IXFR).then(|| first_authority(&octets).and_then(serial_in)).flatten();
    Request::Transfer(Asked { octets, since, conversation })
}

/// A query of a secondary that is signed, without its signature, and what its answer is signed with: before it asks for a
/// zone, it may ask for the serial alone.
pub(super) fn signed(
    octets: &[u8],
    client: IpAddr,
    secondaries: &[Secondary],
    now: u64,
) -> Option<(Vec<u8>, Conversation)> {
    let client = client.to_canonical();
    let here = secondaries.iter().filter(|secondary| secondary.address.ip().to_canonical() == client);
    let keys: Vec<Arc<Key>> = here.filter_map(|secondary| secondary.key.clone()).collect();
    if keys.is_empty() {
        return None;
    }
    Conversation::asked(&keys, octets, now).ok().flatten()
}

fn not_believed(octets: &[u8], end: usize, rejection: Rejection, now: u64) -> Request {
    let mut answer = refusal(octets, end, NOTAUTH);
    if !matches!(rejection.error, TsigError::Damaged) {
        rejection.append(&mut answer, now);
    }
    Request::Refused(answer)
}

/// The header and the question, and nothing else.
fn refusal(octets: &[u8], question_end: usize, rcode: u8) -> Vec<u8> {
    let mut answer = octets.get(..question_end).unwrap_or_default().to_vec();
    if let Some([flags, codes, _, _, counts @ ..]) = answer.get_mut(2..HEADER) {
        *flags = *flags & 0x79 | 0x80;
        *codes = rcode;
        counts.fill(0);
    }
    answer
}

/// The serial in the data of a SOA record (RFC 1035 §3.3.13).
fn serial_in(data: &[u8]) -> Option<u32> {
    let at = data.len().checked_sub(20)?;
    data.get(at..at + 4)?.first_chunk().map(|octets| u32::from_be_bytes(*octets))
}

impl RecordSet {
    /// Of a start of authority.
    pub(super) fn serial(&self) -> u32 {
        self.data().next().and_then(serial_in).unwrap_or_default()
    }
}

/// Records as they are kept.
#[derive(Clone, Copy)]
enum Piece<'a> {
    Set(&'a [u8], &'a RecordSet),
    Key(Entry<'a>, &'a KeyTable),
}

/// Takes the messages of an answer; each has to be out before the next one is made.
pub(super) trait Sink {
    fn send(&mut self, message: &[u8]) -> impl Future<Output = std::io::Result<()>> + Send;
}

impl Asked {
    /// Answers with the zone as it is in this set.
    pub(super) async fn answer(
        mut self,
        zones: &ZoneSet,
        now: fn() -> u32,
        sink: &mut impl Sink,
    ) -> std::io::Result<()> {
        let octets = std::mem::take(&mut self.octets);
        let Ok(query) = Query::read(&octets) else { return Ok(()) };
        let Some(zone) = zones.zones.get(query.name.as_slice()) else {
            let mut answer = refusal(&octets, query.question_end, NOTAUTH);
            if let Some(conversation) = &mut self.conversation {
                conversation.answer(&mut answer, u64::from(now()));
            }
            return sink.send(&answer).await;
        };
        let mut packer = Packer::new(&octets[..query.question_end], zone.apex.len(), self.conversation, now);
        let soa = Piece::Set(&zone.apex, &zone.now.soa);
        packer.put(soa, sink).await?;
        // Who has this state already, or a newer one of another server, gets its start of authority, and that is all.
        let is_newer = |serial: u32| serial.wrapping_sub(zone.now.soa.serial()) < 1 << 31;
        if self.since.is_some_and(is_newer) {
            return packer.flush(sink).await;
        }
        let earlier = self.since.and_then(|serial| zone.earlier(serial));
        if let Some((earlier, changes)) = earlier.and_then(|earlier| Some((earlier, zone.changes(earlier)?)))
        {
            packer.put(Piece::Set(&zone.apex, &earlier.soa), sink).await?;
            for piece in changes.gone {
                packer.put(piece, sink).await?;
            }
            packer.put(soa, sink).await?;
            for piece in changes.new {
                packer.put(piece, sink).await?;
            }
        } else {
            for (name, node) in &*zone.now.nodes {
                for set in &node.sets {
                    packer.put(Piece::Set(name, set), sink).await?;
                }
            }
            if let Some(keys) = &zone.now.keys {
                for entry in keys.iter() {
                    packer.put(Piece::Key(entry, keys), sink).await?;
                }
            }
        }
        packer.put(soa, sink).await?;
        packer.flush(sink).await
    }
}

/// What leads from one state of a zone to another.
struct Changes<'a> {
    gone: Vec<Piece<'a>>,
    new: Vec<Piece<'a>>,
}

impl IndexedZone {
    fn earlier(&self, serial: u32) -> Option<&Version> {
        self.earlier.iter().map(|(version, _)| &**version).find(|version| version.soa.serial() == serial)
    }

    /// `None` where that cannot be told.
    fn changes<'a>(&'a self, earlier: &'a Version) -> Option<Changes<'a>> {
        let mut changes = Changes { gone: Vec::new(), new: Vec::new() };
        if !Arc::ptr_eq(&earlier.nodes, &self.now.nodes) {
            fn beside<'a>(
                one: &'a super::zone_set::Nodes,
                other: &super::zone_set::Nodes,
                out: &mut Vec<Piece<'a>>,
            ) {
                for (name, node) in one {
                    let there = |set: &RecordSet| {
                        other.get(name).and_then(|node: &Node| node.set(set.rtype)) == Some(set)
                    };
                    out.extend(node.sets.iter().filter(|set| !there(set)).map(|set| Piece::Set(name, set)));
                }
            }
            beside(&earlier.nodes, &self.now.nodes, &mut changes.gone);
            beside(&self.now.nodes, &earlier.nodes, &mut changes.new);
        }
        match (&earlier.keys, &self.now.keys) {
            (None, None) => {}
            (Some(before), Some(now)) if before.is_of_one_make(now) => {
                let (gone, new) = before.changes(now);
                changes.gone.extend(gone.into_iter().map(|entry| Piece::Key(entry, before)));
                changes.new.extend(new.into_iter().map(|entry| Piece::Key(entry, now)));
            }
            _ => return None,
        }
        Some(changes)
    }
}

/// Puts records into messages.
struct Packer<'a> {
    /// Header and question, which each message begins with.
    front: &'a [u8],
    apex: usize,
    message: Vec<u8>,
    count: u16,
    conversation: Option<Conversation>,
    now: fn() -> u32,
    record: Vec<u8>,
}

impl<'a> Packer<'a> {
    fn new(front: &'a [u8], apex: usize, conversation: Option<Conversation>, now: fn() -> u32) -> Self {
        let message = Vec::with_capacity(MESSAGE + 1024);
        Self { front, apex, message, count: 0, conversation, now, record: Vec::new() }
    }

    async fn put(&mut self, piece: Piece<'_>, sink: &mut impl Sink) -> std::io::Result<()> {
        match piece {
            Piece::Set(owner, set) => {
                for data in set.data() {
                    self.record.clear();
                    self.begin(&owner[..owner.len() - self.apex], &[], set.rtype, set.ttl);
                    self.record
                        .extend_from_slice(&u16::try_from(data.len()).unwrap_or_default().to_be_bytes());
                    self.record.extend_from_slice(data);
                    self.add(sink).await?;
                }
            }
            Piece::Key(entry, keys) => {
                let Some(value) = entry.value else { return Ok(()) };
                let origin = keys.origin();
                self.record.clear();
                self.begin(entry.labels, &origin[..origin.len() - self.apex], types::TXT, keys.ttl());
                value.write(&mut self.record);
                self.add(sink).await?;
            }
        }
        Ok(())
    }

    /// Begins a record whose owner is these labels below the apex, which is in the question.
    fn begin(&mut self, labels: &[u8], more: &[u8], rtype: u16, ttl: u32) {
        self.record.extend_from_slice(labels);
        self.record.extend_from_slice(more);
        self.record.extend_from_slice(&[0xc0, 12]);
        self.record.extend_from_slice(&rtype.to_be_bytes());
        self.record.extend_from_slice(&[0, 1]);
        self.record.extend_from_slice(&ttl.to_be_bytes());
    }

    async fn add(&mut self, sink: &mut impl Sink) -> std::io::Result<()> {
        if self.count > 0 && (self.message.len() + self.record.len() > MESSAGE || self.count == u16::MAX) {
            self.flush(sink).await?;
        }
        if self.count == 0 {
            self.message.clear();
            self.message.extend_from_slice(self.front);
        }
        self.message.extend_from_slice(&self.record);
        self.count += 1;
        Ok(())
    }

    async fn flush(&mut self, sink: &mut impl Sink) -> std::io::Result<()> {
        if self.count == 0 {
            return Ok(());
        }
        if let Some([flags, codes, counts @ ..]) = self.message.get_mut(2..HEADER) {
            // A response, with authority.
            *flags = *flags & 0x79 | 0x84;
            *codes = 0;
            let [high, low] = self.count.to_be_bytes();
            counts.copy_from_slice(&[0, 1, high, low, 0, 0, 0, 0]);
        }
        if let Some(conversation) = &mut self.conversation {
            conversation.answer(&mut self.message, u64::from((self.now)()));
        }
        self.count = 0;
        sink.send(&self.message).await
    }
}
