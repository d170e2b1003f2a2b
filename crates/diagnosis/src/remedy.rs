//! What mends a finding: data, which `explain` puts into words and `publish` could carry out.

use crate::observation::Server;
use model::{DomainName, RecordType, Timestamp};
use serde::{Deserialize, Serialize};

/// What mends a finding, as data: automatic remedies are handed to `publish`, all are put into words by `explain`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Remedy {
    /// Nothing to do.
    Nothing,
    /// Add a record.
    Add {
        /// Where.
        name: DomainName,
        /// Which type.
        record_type: RecordType,
        /// With which value (an MX without its preference).
        value: String,
        /// The preference of an MX.
        preference: Option<u16>,
    },
    /// Put a record in the place of what is there.
    Replace {
        /// Where.
        name: DomainName,
        /// The type to publish.
        record_type: RecordType,
        /// What to remove, as it is there.
        current: Vec<String>,
        /// The value to publish.
        value: String,
        /// The preference of an MX.
        preference: Option<u16>,
    },
    /// Move a record to another name.
    Move {
        /// Where it is.
        from: DomainName,
        /// Where it belongs.
        to: DomainName,
        /// Its type.
        record_type: RecordType,
        /// Its value.
        value: String,
        /// The preference of an MX.
        preference: Option<u16>,
    },
    /// Replace the SPF record by one that holds our mechanism too.
    MergeSpf {
        /// Where.
        name: DomainName,
        /// The records there, which all go.
        current: Vec<String>,
        /// The one record to publish.
        replace_with: String,
    },
    /// Remove records.
    Remove {
        /// Where.
        name: DomainName,
        /// The types to remove.
        record_types: Vec<RecordType>,
        /// The values to remove; empty for all.
        values: Vec<String>,
    },
    /// Switch the proxy of the DNS host off for this record.
    TurnOffProxy {
        /// Where.
        name: DomainName,
    },
    /// Mend the name servers of a zone.
    FixNameServers {
        /// The zone.
        zone: DomainName,
        /// The servers that are at fault.
        servers: Vec<Server>,
    },
    /// Register the domain, or mend its delegation.
    FixDelegation {
        /// The name that does not resolve.
        name: DomainName,
    },
    /// Mend the DNSSEC of a zone: its signatures, or the DS records above it.
    FixDnssec {
        /// The zone.
        zone: DomainName,
    },
    /// Wait until caches have run out.
    WaitUntil {
        /// By then.
        at: Timestamp,
    },
    /// Nothing at the customer's side; we look again by ourselves.
    CheckAgain,
    /// Something on our side; the operator has to act.
    AskOperator,
    /// Send from a subdomain.
    UseSubdomain {
        /// Which.
        suggestion: DomainName,
    },
}
