//! What should be in a zone, and what of it we put there.

use model::{DomainName, RecordData};
use serde::{Deserialize, Serialize};

/// Which texts at the same name a text of ours takes the place of (Domain Connect's `txtConflictMatchingMode`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Displaces {
    /// None: texts stand beside each other.
    Nothing,
    /// All.
    All,
    /// Those that begin so.
    Prefix(String),
}

/// What should be at a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Want {
    /// Just this: an alias, an address, a name server.
    Exactly {
        /// The data.
        data: RecordData,
    },
    /// A text, such as a DKIM key.
    Text {
        /// Its strings joined.
        value: String,
        /// Which others it takes the place of.
        displaces: Displaces,
    },
    /// Mechanisms in the one SPF record of the name (RFC 7208 §3.2).
    Spf {
        /// Separated by spaces.
        rules: String,
        /// How many look-ups the record costs after the merge, where that is known; ten are allowed (RFC 7208 §4.6.4).
        lookups_after: Option<u8>,
    },
    /// Any valid record of a kind, such as a DMARC policy; ours only where there is none.
    Policy {
        /// How such a record begins: `v=DMARC1`.
        begins: String,
        /// What is published where none is.
        suggested: String,
    },
    /// This mail exchanger and no other.
    OnlyExchanger {
        /// Its preference.
        preference: u16,
        /// The host.
        exchange: DomainName,
    },
}

/// One record that should be there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Required {
    /// Its name within its plan: `dkim-1`, `spf`.
    pub key: String,
    /// Where.
    pub owner: DomainName,
    /// The TTL we suggest, in seconds.
    pub ttl: u32,
    /// Whether the domain is verified only with it.
    pub essential: bool,
    /// What.
    pub want: Want,
}

/// Whether a record of the ledger is known to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OwnedState {
    /// It was about to be written; whether it was is not known. Where it is found, it is ours.
    Intended,
    /// It was written.
    Present,
}

/// A record of the ledger: one that we wrote for this domain. Nothing else is replaced or removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owned {
    /// Where.
    pub owner: DomainName,
    /// What.
    pub data: RecordData,
    /// The host's name for it, where records have one.
    pub id: Option<String>,
    /// Whether it is known to be there.
    pub state: OwnedState,
    /// The mechanisms that we put into an SPF record which is another's (the data is that record with them): these are
    /// ours, the record is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<String>,
}
