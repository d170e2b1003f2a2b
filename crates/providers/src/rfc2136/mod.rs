//! Name servers that take updates (RFC 2136) signed with a shared key (TSIG, RFC 8945): BIND, Knot, and their like.
//!
//! One message is carried out as a whole or not at all, and says what must be there for it: each set that it changes, as
//! it was listed. So nothing that somebody else wrote in between is lost. Two things are looked after that servers do
//! silently: an alias that is added beside other data is left out with a yes, so that is refused here, and what was
//! written is asked for afterwards; and a record that is added to a set with another TTL changes that of all its records,
//! so it takes the set's.
//!
//! The zone is listed by a transfer. A key that may update and not transfer is fine: then the names are asked for, and the
//! listing is of those. There a record that a wildcard answers with looks like one of the name's own.
//!
//! All goes over TCP, and every message is signed.

mod message;

use crate::{Now, Secret, call::zones_of, outcome, text::TYPES};
use dns::{
    tsig::{Algorithm, Conversation, Key, TsigError},
    wire::Message,
};
use message::Update;
use model::{DomainName, Record, RecordData, RecordType};
use publish::{
    Atomic, Batch, Capabilities, Done, Grain, HostError, Later, Listed, Refusal, Right, Step, Work,
    WriteError, Written, Zone, ZoneHandle, ZoneProvider, ZoneRecord,
};
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    time::timeout,
};

/// The port that name servers listen at.
pub const PORT: u16 = 53;

/// How long one operation may take.
const LIMIT: Duration = Duration::from_secs(20);
/// How many records of a zone are read.
const MOST_RECORDS: usize = 200_000;
/// How many octets of a transfer are read.
const MOST_OCTETS: usize = 64 << 20;

/// A connection to a server.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// How the server is reached: by whoever decides where connections may go. The error is told to the customer.
pub trait Connect: Send + Sync {
    /// Opens a connection.
    fn connect(&self) -> Later<'_, Result<Box<dyn Stream>, String>>;
}

/// A server with a key.
pub struct Rfc2136 {
    connect: Box<dyn Connect>,
    key: Arc<Key>,
    now: Now,
    /// Ids are no secret where each message is signed; they only tell answers of one connection apart.
    next_id: AtomicU16,
}

/// A key as its configuration has it is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The secret is not base64.
    #[error("is not base64, as keys are written in configurations")]
    Secret,
    /// The secret is too short to be one.
    #[error("has fewer than 16 octets")]
    Short,
}

impl Rfc2136 {
    /// By a key whose secret is written in base64.
    pub fn new(
        connect: Box<dyn Connect>,
        key_name: DomainName,
        algorithm: Algorithm,
        secret: &Secret,
        now: Now,
    ) -> Result<Self, KeyError> {
        use base64::Engine as _;
        let octets = base64::engine::general_purpose::STANDARD.decode(secret.expose());
        let octets = zeroize::Zeroizing::new(octets.map_err(|_| KeyError::Secret)?);
        if octets.len() < 16 {
            return Err(KeyError::Short);
        }
        let key = Arc::new(Key::new(key_name, algorithm, &octets));
        Ok(Self { connect, key, now, next_id: AtomicU16::new(1) })
    }
}

/// A server that was connected to.
struct Session<'a> {
    host: &'a Rfc2136,
    stream: Box<dyn Stream>,
}

/// What came of a message.
struct Failed {
    error: HostError,
    /// It was sent, and nobody knows what came of it.
    is_open: bool,
}

impl Failed {
    fn of(refusal: Refusal, words: &str) -> Self {
        Self { error: HostError::saying(refusal, words, &[]), is_open: false }
    }

    fn lost(words: &str) -> Self {
        Self { error: HostError::saying(Refusal::Unreachable, words, &[]), is_open: true }
    }
}

impl From<Failed> for HostError {
    fn from(failed: Failed) -> Self {
        failed.error
    }
}

impl From<Failed> for WriteError {
    fn from(failed: Failed) -> Self {
        let done = if failed.is_open { Done::Unknown } else { Done::Nothing };
        Self { error: failed.error, done }
    }
}

impl Rfc2136 {
    async fn session(&self) -> Result<Session<'_>, Failed> {
        let stream = self.connect.connect().await;
        let stream = stream.map_err(|words| Failed::of(Refusal::Unreachable, &words))?;
        Ok(Session { host: self, stream })
    }

    fn id(&self) -> u16 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }
}

impl Session<'_> {
    /// Sends a message, signed.
    async fn send(&mut self, mut message: Vec<u8>) -> Result<Conversation, Failed> {
        let conversation = Conversation::ask(Arc::clone(&self.host.key), &mut message, (self.host.now)());
        let length = u16::try_from(message.len())
            .map_err(|_| Failed::of(Refusal::RecordRefused, "the records do not fit into one message"))?;
        let sent = self.stream.write_all(&[&length.to_be_bytes(), &message[..]].concat()).await;
        sent.map_err(|error| Failed::lost(&error.to_string()))?;
        Ok(conversation)
    }

    /// Reads the next message of a conversation.
    async fn next(&mut self, conversation: &mut Conversation, id: u16) -> Result<Message, Failed> {
        let lost = |error: std::io::Error| Failed::lost(&error.to_string());
        let length = self.stream.read_u16().await.map_err(lost)?;
        let mut message = vec![0; usize::from(length)];
        self.stream.read_exact(&mut message).await.map_err(lost)?;
        let nonsense = || Failed {
            error: HostError::saying(Refusal::Unexpected { status: None }, "the answer is damaged", &[]),
            is_open: true,
        };
        let plain = match conversation.open(&message, (self.host.now)()) {
            Ok(plain) => plain,
            Err(error @ (TsigError::Refused(_) | TsigError::BadTime { .. })) => {
                return Err(Failed::of(Refusal::CredentialInvalid, &error.to_string()));
            }
            Err(TsigError::Unsigned) => {
                let status =
                    Message::read(&message, usize::from(u16::MAX)).map(|answer| u16::from(answer.rcode));
                let words = "the answer is not signed: the server may not know keys at all";
                let is_open = status.is_none_or(|status| status == 0);
                return Err(Failed { is_open, ..Failed::of(Refusal::Unexpected { status }, words) });
            }
            Err(error) => {
                let failed = Failed::of(Refusal::Unexpected { status: None }, &error.to_string());
                return Err(Failed { is_open: true, ..failed });
            }
        };
        let answer = Message::read(&plain, usize::from(u16::MAX)).ok_or_else(nonsense)?;
        if answer.id == id { Ok(answer) } else { Err(nonsense()) }
    }

    /// One message and its answer.
    async fn exchange(&mut self, message: Vec<u8>, id: u16) -> Result<Message, Failed> {
        let mut conversation = self.send(message).await?;
        self.next(&mut conversation, id).await
    }

    /// Asks for the records of a type at a name.
    async fn ask(&mut self, name: &DomainName, of_type: RecordType) -> Result<Message, Failed> {
        let id = self.host.id();
        self.exchange(message::question(id, name, of_type.code()), id).await
    }

    /// All of a zone; `None` where the key may not have it.
    async fn transfer(&mut self, apex: &DomainName) -> Result<Option<Vec<Record>>, Failed> {
        let id = self.host.id();
        let mut conversation = self.send(message::question(id, apex, message::AXFR)).await?;
        let mut records: Vec<Record> = Vec::new();
        let mut octets = 0;
        loop {
            let answer = match self.next(&mut conversation, id).await {
                Ok(answer) => answer,
                // Some close the connection instead of saying no, others do not know the key for this; that it is one was
                // seen when the zone was found.
                Err(failed)
                    if records.is_empty()
                        && matches!(
                            failed.error.refusal,
                            Refusal::Unreachable | Refusal::CredentialInvalid
                        ) =>
                {
                    return Ok(None);
                }
                Err(failed) => return Err(failed),
            };
            if answer.rcode != 0 || answer.answer.is_empty() {
                let is_refused = records.is_empty() && matches!(answer.rcode, 0 | 1 | 4 | 5 | 9);
                let status = Some(u16::from(answer.rcode));
                return if is_refused {
                    Ok(None)
                } else {
                    Err(Failed::of(Refusal::Unexpected { status }, "the transfer broke off"))
                };
            }
            octets += answer.answer.iter().map(|record| record.data.octets() + 32).sum::<usize>();
            records.extend(answer.answer);
            if records.len() > MOST_RECORDS || octets > MOST_OCTETS {
                let words = format!("the zone has more than {MOST_RECORDS} records or is too long");
                return Err(Failed::of(Refusal::Unexpected { status: None }, &words));
            }
            let is_soa = |record: Option<&Record>| {
                record.is_some_and(|record| matches!(record.data, RecordData::Soa(_)))
            };
            if !is_soa(records.first()) {
                return Err(Failed::of(
                    Refusal::Unexpected { status: None },
                    "the transfer has no beginning",
                ));
            }
            // The SOA record comes first and last (RFC 5936 §2.2).
            if records.len() > 1 && is_soa(records.last()) && conversation.is_complete() {
                records.pop();
                return Ok(Some(records));
            }
        }
    }

    /// The records at names, asked for one by one.
    async fn names(&mut self, names: &BTreeSet<DomainName>) -> Result<Vec<Record>, Failed> {
        let mut records = Vec::new();
        for name in names {
            for of_type in TYPES {
                let answer = self.ask(name, *of_type).await?;
                if !matches!(answer.rcode, 0 | 3) {
                    let status = Some(u16::from(answer.rcode));
                    let words = "the server does not answer for the name";
                    return Err(Failed::of(Refusal::Unexpected { status }, words));
                }
                let at_name = answer.answer.into_iter().filter(|record| record.owner == *name);
                records.extend(at_name);
            }
        }
        records.sort_by(|one, other| (&one.owner, &one.data).cmp(&(&other.owner, &other.data)));
        records.dedup_by(|one, other| outcome::is_same(one, other));
        Ok(records)
    }
}

impl Rfc2136 {
    async fn find(&self, name: &DomainName, told: Option<&DomainName>) -> Result<ZoneHandle, Failed> {
        let tried = zones_of(name, told);
        let mut session = self.session().await?;
        for apex in &tried {
            let answer = match session.ask(apex, RecordType::Soa).await {
                Ok(answer) => answer,
                // Some do not sign what they say of names that they have nothing to do with.
                Err(failed) if is_elsewhere(&failed.error.refusal) => continue,
                Err(failed) => return Err(failed),
            };
            let is_soa = |record: &Record| record.owner == *apex && matches!(record.data, RecordData::Soa(_));
            if answer.authoritative && answer.rcode == 0 && answer.answer.iter().any(is_soa) {
                return Ok(ZoneHandle { apex: apex.clone(), id: apex.absolute() });
            }
        }
        Err(Failed::of(Refusal::ZoneNotFound { tried }, ""))
    }

    async fn all(&self, zone: &ZoneHandle, names: &BTreeSet<DomainName>) -> Result<Zone, Failed> {
        if let Some(records) = self.session().await?.transfer(&zone.apex).await? {
            let version = records.first().and_then(|record| match &record.data {
                RecordData::Soa(soa) => Some(soa.serial.to_string()),
                _ => None,
            });
            let records = records.into_iter().map(ZoneRecord::plain).collect();
            return Ok(Zone { handle: zone.clone(), records, listed: Listed::Whole, version });
        }
        let records = self.session().await?.names(names).await?;
        let records = records.into_iter().map(ZoneRecord::plain).collect();
        Ok(Zone { handle: zone.clone(), records, listed: Listed::Names(names.clone()), version: None })
    }

    /// Why a key was refused: some say of a good one that may not write that they do not know it.
    async fn why(&self, failed: Failed, apex: &DomainName) -> Failed {
        let asked = match self.session().await {
            Ok(mut session) => session.ask(apex, RecordType::Soa).await,
            Err(failed) => Err(failed),
        };
        let refusal = match asked {
            Ok(_) => Refusal::AccessMissing { right: Some(Right::WriteRecords) },
            Err(_) => failed.error.refusal,
        };
        Failed { error: HostError { refusal, ..failed.error }, is_open: failed.is_open }
    }

    async fn change(
        &self,
        zone: &ZoneHandle,
        before: &[ZoneRecord],
        steps: &[Step],
    ) -> Result<Vec<Written>, WriteError> {
        let nothing = |refusal| WriteError { error: HostError::bare(refusal), done: Done::Nothing };
        let after = outcome::of_steps(before, steps).ok_or_else(|| nothing(Refusal::ZoneChanged))?;
        if outcome::has_conflict(&after) {
            return Err(nothing(Refusal::Conflict));
        }
        let id = self.id();
        let update =
            Update::new(id, &zone.apex, before, steps).ok_or_else(|| nothing(Refusal::RecordRefused))?;
        let mut session = self.session().await?;
        let answer = match session.exchange(update.finish(), id).await {
            Ok(answer) => answer,
            Err(failed) if failed.error.refusal == Refusal::CredentialInvalid => {
                return Err(self.why(failed, &zone.apex).await.into());
            }
            Err(failed) => return Err(failed.into()),
        };
        let status = u16::from(answer.rcode);
        if let Some((refusal, words)) = refusal(answer.rcode) {
            return Err(WriteError { error: HostError::saying(refusal, words, &[]), done: Done::Nothing });
        }
        if answer.opcode != message::UPDATE {
            let error = HostError::bare(Refusal::Unexpected { status: Some(status) });
            return Err(WriteError { error, done: Done::Unknown });
        }
        let seen = session.is_done(steps, &after).await;
        if seen.map_err(|failed| WriteError { error: failed.error, done: Done::Unknown })? {
            return Ok(steps.iter().map(|step| Written { step: step.id, id: None }).collect());
        }
        let words = "the server took the update and did not carry it out";
        Err(WriteError { error: HostError::saying(Refusal::RecordRefused, words, &[]), done: Done::Unknown })
    }
}

impl Session<'_> {
    /// Looks whether the server now has what was written, and not what was taken out.
    async fn is_done(&mut self, steps: &[Step], after: &[Record]) -> Result<bool, Failed> {
        for (owner, of_type) in outcome::touched_sets(steps) {
            let answer = self.ask(&owner, of_type).await?;
            let is_there =
                |record: &Record| answer.answer.iter().any(|there| outcome::is_same(there, record));
            let of_set = |record: &&Record| record.owner == owner && record.data.record_type() == of_type;
            // A name that is delegated is not answered for: what is there cannot be seen from here.
            if of_type == RecordType::Ns {
                continue;
            }
            let olds = steps.iter().filter_map(|step| step.action.before()).map(|old| &old.record);
            let mut gone =
                olds.filter(of_set).filter(|old| !after.iter().any(|new| outcome::is_same(new, old)));
            let mut new = steps.iter().filter_map(|step| step.action.after()).filter(of_set);
            if gone.any(&is_there) || !new.all(is_there) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Whether a server says that it has nothing to do with a name: REFUSED or NOTAUTH.
const fn is_elsewhere(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::Unexpected { status: Some(5 | 9) })
}

/// What a response code of an update says (RFC 2136 §2.2); none where it was done.
const fn refusal(rcode: u8) -> Option<(Refusal, &'static str)> {
    Some(match rcode {
        0 => return None,
        1 => (Refusal::RecordRefused, "the server does not understand the update (FORMERR)"),
        3 => (Refusal::ZoneChanged, "a name is gone (NXDOMAIN)"),
        4 => (
            Refusal::AccessMissing { right: Some(Right::WriteRecords) },
            "the server does not take updates (NOTIMP)",
        ),
        5 => (
            Refusal::AccessMissing { right: Some(Right::WriteRecords) },
            "the key may not write this (REFUSED)",
        ),
        6 => (Refusal::ZoneChanged, "a name is there already (YXDOMAIN)"),
        7 => (Refusal::ZoneChanged, "records are there already (YXRRSET)"),
        8 => (Refusal::ZoneChanged, "records are not as they were listed (NXRRSET)"),
        9 => (Refusal::AccessMissing { right: Some(Right::WriteRecords) }, "not with this key (NOTAUTH)"),
        10 => (Refusal::RecordRefused, "a name is not in the zone (NOTZONE)"),
        other => (Refusal::Unexpected { status: Some(other as u16) }, "the server failed"),
    })
}

/// Within the time that an operation may take.
async fn bounded<T>(operation: impl Future<Output = Result<T, HostError>>) -> Result<T, HostError> {
    let late = || HostError::saying(Refusal::Unreachable, "no answer in time", &[]);
    timeout(LIMIT, operation).await.unwrap_or_else(|_| Err(late()))
}

impl ZoneProvider for Rfc2136 {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            grain: Grain::Record,
            atomic: Atomic::Batch(100),
            ttl: (0, i32::MAX.unsigned_abs()),
            set_ttl: true,
            proxies: false,
            types: TYPES,
            text_max: 8_192,
            set_text_max: 32_768,
        }
    }

    fn find_zone<'a>(
        &'a self,
        name: &'a DomainName,
        told: Option<&'a DomainName>,
    ) -> Later<'a, Result<ZoneHandle, HostError>> {
        Box::pin(bounded(async move { Ok(self.find(name, told).await?) }))
    }

    fn list<'a>(
        &'a self,
        zone: &'a ZoneHandle,
        names: &'a BTreeSet<DomainName>,
    ) -> Later<'a, Result<Zone, HostError>> {
        Box::pin(bounded(async move { Ok(self.all(zone, names).await?) }))
    }

    fn write<'a>(
        &'a self,
        zone: &'a ZoneHandle,
        batch: &'a Batch,
    ) -> Later<'a, Result<Vec<Written>, WriteError>> {
        Box::pin(async move {
            let Work::Records(steps) = &batch.work else {
                let error = HostError::bare(Refusal::RecordRefused);
                return Err(WriteError { error, done: Done::Nothing });
            };
            if steps.is_empty() {
                return Ok(Vec::new());
            }
            timeout(LIMIT, self.change(zone, &batch.before, steps)).await.unwrap_or_else(|_| {
                let error = HostError::saying(Refusal::Unreachable, "no answer in time", &[]);
                Err(WriteError { error, done: Done::Unknown })
            })
        })
    }
}
