//! Typed ids: a prefix that names the noun, then a ULID, so that ids sort by the time they were made.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr};
use ulid::Ulid;

/// Why a text is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{given}\" is not an id of this kind; one looks like {prefix}01JD0000000000000000000000")]
pub struct IdError {
    given: String,
    prefix: &'static str,
}

macro_rules! typed_ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Ulid);

        impl $name {
            /// What every id of this kind starts with.
            pub const PREFIX: &'static str = $prefix;

            /// Makes an id from the time in milliseconds since 1970 and 80 random bits.
            pub const fn from_parts(unix_ms: u64, random: u128) -> Self {
                Self(Ulid::from_parts(unix_ms, random))
            }

            /// What [`Self::from_parts`] makes this id of.
            pub fn parts(self) -> (u64, u128) {
                (self.0.timestamp_ms(), self.0.random())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", $prefix, self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                text.strip_prefix($prefix)
                    .and_then(|rest| Ulid::from_string(rest).ok())
                    .map(Self)
                    .ok_or_else(|| IdError { given: text.chars().take(60).collect(), prefix: $prefix })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

typed_ids! {
    /// A sender domain of an organisation.
    DomainId = "dom_";
    /// A record of a domain's plan.
    RecordId = "rec_";
    /// A tenant of an organisation.
    TenantId = "tnt_";
    /// An organisation.
    OrgId = "org_";
    /// An API key.
    ApiKeyId = "key_";
    /// A user.
    UserId = "usr_";
    /// A line of the audit log.
    AuditId = "aud_";
    /// An address that gets no mail.
    SuppressionId = "sup_";
    /// Somebody to write to about domains.
    ContactId = "ctc_";
    /// A link by which somebody without an account sets a domain up.
    SetupLinkId = "lnk_";
    /// What is to be changed at a DNS host.
    ChangeSetId = "chg_";
    /// A record that we wrote at a DNS host.
    LedgerId = "led_";
    /// A kept credential of a DNS host.
    ConnectionId = "con_";
    /// A DKIM key pair.
    KeyId = "dkk_";
    /// An accepted message.
    MessageId = "msg_";
    /// Something that happened.
    EventId = "evt_";
    /// A webhook of an organisation.
    WebhookId = "whk_";
    /// The delivery of one event to one webhook.
    WebhookDeliveryId = "whd_";
    /// A message in the sandbox inbox.
    SandboxMessageId = "sbx_";
    /// A playground zone.
    ZoneId = "zon_";
    /// One request to the API, as problem documents and logs name it.
    RequestId = "req_";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_and_kinds_do_not_mix() {
        let id = DomainId::from_parts(1_700_000_000_000, 42);
        assert_eq!(id.to_string().parse::<DomainId>().unwrap(), id);
        assert!(id.to_string().parse::<TenantId>().is_err());
        assert!("dom_x".parse::<DomainId>().is_err());
    }
}
