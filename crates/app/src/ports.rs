//! Time and randomness, as arguments.

use aws_lc_rs::rand;
use jiff::Timestamp;
use model::{
    ApiKeyId, AuditId, ChangeSetId, ConnectionId, ContactId, DomainId, EventId, KeyId, LedgerId, MessageId,
    OrgId, RecordId, RequestId, SandboxMessageId, SetupLinkId, SuppressionId, TenantId, UserId,
    WebhookDeliveryId, WebhookId, ZoneId,
};
use std::sync::Arc;

/// Reads the time. The composition root gives the system's clock, tests give their own.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// A clock that asks a function.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

/// Fills bytes with randomness fit for secrets.
#[derive(Clone)]
pub struct Random(Arc<Fill>);

type Fill = dyn Fn(&mut [u8]) + Send + Sync;

impl Random {
    /// The operating system's randomness.
    ///
    /// # Panics
    /// What draws from it panics when the operating system has no randomness to give.
    pub fn system() -> Self {
        // Without randomness no key, token or id may be made: stopping is the only safe answer.
        #[expect(clippy::expect_used, reason = "going on without randomness would make guessable secrets")]
        Self(Arc::new(|buffer| rand::fill(buffer).expect("the operating system gives randomness")))
    }

    /// Some bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut buffer = [0; N];
        (self.0)(&mut buffer);
        buffer
    }

    /// A text of letters and digits that DNS keeps as they are (base 32 in lower case): 5 bits a character.
    pub fn token(&self, length: usize) -> String {
        const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
        let mut text = String::with_capacity(length);
        while text.len() < length {
            for byte in self.bytes::<32>() {
                if text.len() < length {
                    text.push(ALPHABET[usize::from(byte & 31)] as char);
                }
            }
        }
        text
    }

    /// A number from 0 to 1,000, for spreading work in time.
    pub fn thousandths(&self) -> u32 {
        u32::from(u16::from_le_bytes(self.bytes::<2>())) * 1_000 / u32::from(u16::MAX)
    }
}

macro_rules! new_ids {
    ($($name:ident: $type:ty),* $(,)?) => {
        impl Random {
            $(
                #[doc = concat!("A new [`", stringify!($type), "`].")]
                pub fn $name(&self, now: Timestamp) -> $type {
                    let unix_ms = u64::try_from(now.as_millisecond()).unwrap_or(0);
                    let mut random = [0; 16];
                    random[6..].copy_from_slice(&self.bytes::<10>());
                    <$type>::from_parts(unix_ms, u128::from_be_bytes(random))
                }
            )*
        }
    };
}

new_ids! {
    domain_id: DomainId,
    contact_id: ContactId,
    setup_link_id: SetupLinkId,
    record_id: RecordId,
    org_id: OrgId,
    api_key_id: ApiKeyId,
    audit_id: AuditId,
    change_set_id: ChangeSetId,
    connection_id: ConnectionId,
    ledger_id: LedgerId,
    key_id: KeyId,
    tenant_id: TenantId,
    suppression_id: SuppressionId,
    message_id: MessageId,
    event_id: EventId,
    webhook_id: WebhookId,
    webhook_delivery_id: WebhookDeliveryId,
    sandbox_message_id: SandboxMessageId,
    zone_id: ZoneId,
    request_id: RequestId,
    user_id: UserId,
}
