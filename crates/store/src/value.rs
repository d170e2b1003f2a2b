//! How the types of the project lie in columns: TEXT, BIGINT or BLOB (BYTEA).

use crate::{Hidden, StoreError};
use model::{
    ApiKeyId, AuditId, ChangeSetId, CheckStatus, ConnectionId, ContactId, DomainId, DomainName, DomainStatus,
    EmailAddress, EventId, KeyId, LedgerId, MessageId, OrgId, RecordId, RecordType, RequestId,
    SandboxMessageId, SetupLinkId, SuppressionId, TenantId, Timestamp, UserId, WebhookDeliveryId, WebhookId,
    ZoneId,
};
use serde::{Serialize, de::DeserializeOwned};

/// A bound argument.
pub(crate) enum Value {
    Text(Option<String>),
    Int(Option<i64>),
    Blob(Option<Vec<u8>>),
}

impl Value {
    /// Text from strangers (a subject, a reply) may have U+0000, which PostgreSQL takes in no text.
    pub(crate) fn text(value: Option<String>) -> Self {
        Self::Text(value.map(|text| if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }))
    }
}

/// What a column holds.
pub(crate) trait Raw: Sized + Send + Unpin + 'static
where
    for<'r> Self: sqlx::Decode<'r, sqlx::Sqlite>
        + sqlx::Type<sqlx::Sqlite>
        + sqlx::Decode<'r, sqlx::Postgres>
        + sqlx::Type<sqlx::Postgres>,
{
    fn value(value: Option<Self>) -> Value;
}

impl Raw for String {
    fn value(value: Option<Self>) -> Value {
        Value::text(value)
    }
}

impl Raw for i64 {
    fn value(value: Option<Self>) -> Value {
        Value::Int(value)
    }
}

impl Raw for Vec<u8> {
    fn value(value: Option<Self>) -> Value {
        Value::Blob(value)
    }
}

/// A type that is stored in a column.
pub(crate) trait Stored: Sized {
    type Raw: Raw;
    fn to_raw(&self) -> Self::Raw;
    /// `None`: no version of this program wrote that.
    fn from_raw(raw: Self::Raw) -> Option<Self>;
}

impl Stored for String {
    type Raw = String;
    fn to_raw(&self) -> String {
        self.clone()
    }
    fn from_raw(raw: String) -> Option<Self> {
        Some(raw)
    }
}

macro_rules! stored_as_int {
    ($($name:ty),*) => {$(
        impl Stored for $name {
            type Raw = i64;
            fn to_raw(&self) -> i64 {
                i64::from(*self)
            }
            fn from_raw(raw: i64) -> Option<Self> {
                raw.try_into().ok()
            }
        }
    )*};
}
stored_as_int!(i64, u32, u16);

impl Stored for u64 {
    type Raw = i64;
    fn to_raw(&self) -> i64 {
        i64::try_from(*self).unwrap_or(i64::MAX)
    }
    fn from_raw(raw: i64) -> Option<Self> {
        raw.try_into().ok()
    }
}

impl Stored for bool {
    type Raw = i64;
    fn to_raw(&self) -> i64 {
        i64::from(*self)
    }
    fn from_raw(raw: i64) -> Option<Self> {
        match raw {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl Stored for Timestamp {
    type Raw = i64;
    fn to_raw(&self) -> i64 {
        self.as_millisecond()
    }
    fn from_raw(raw: i64) -> Option<Self> {
        Self::from_millisecond(raw).ok()
    }
}

impl Stored for Hidden {
    type Raw = Vec<u8>;
    fn to_raw(&self) -> Vec<u8> {
        self.to_vec()
    }
    fn from_raw(raw: Vec<u8>) -> Option<Self> {
        Some(raw.into())
    }
}

macro_rules! stored_as_text {
    ($($name:ty),*) => {$(
        impl Stored for $name {
            type Raw = String;
            fn to_raw(&self) -> String {
                self.to_string()
            }
            fn from_raw(raw: String) -> Option<Self> {
                raw.parse().ok()
            }
        }
    )*};
}
stored_as_text!(
    ApiKeyId,
    ChangeSetId,
    ConnectionId,
    ContactId,
    SetupLinkId,
    AuditId,
    DomainId,
    DomainName,
    EmailAddress,
    EventId,
    KeyId,
    LedgerId,
    MessageId,
    OrgId,
    RecordId,
    RecordType,
    RequestId,
    SandboxMessageId,
    SuppressionId,
    TenantId,
    UserId,
    WebhookDeliveryId,
    WebhookId,
    ZoneId
);

macro_rules! stored_as_word {
    ($($name:ty),*) => {$(
        impl $crate::value::Stored for $name {
            type Raw = String;
            fn to_raw(&self) -> String {
                self.as_str().to_owned()
            }
            fn from_raw(raw: String) -> Option<Self> {
                Self::from_word(&raw)
            }
        }
    )*};
}
pub(crate) use stored_as_word;
stored_as_word!(DomainStatus, CheckStatus);

/// An enum whose values are stored as words.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant),* }

        impl $name {
            /// All of them, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word in the store, the API and the CLI.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }

            /// Reads the word back.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($text => Some(Self::$variant),)* _ => None }
            }
        }

        $crate::value::stored_as_word!($name);
    };
}
pub(crate) use words;

pub(crate) fn to_json<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value)
        .map_err(|error| StoreError::Corrupt(format!("a value without JSON: {error}")))
}

pub(crate) fn from_json<T: DeserializeOwned>(column: &str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Corrupt(format!("column {column}: {error}")))
}

/// A LIKE pattern (with `ESCAPE '\'`) for values that contain `part` literally; `None` is any value.
pub(crate) fn contains(part: Option<&str>) -> String {
    part.map_or_else(|| "%".to_owned(), |part| format!("%{}%", escape(part)))
}

/// Takes the meaning of wildcards from a text inside a LIKE pattern.
pub(crate) fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}
