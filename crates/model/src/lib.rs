//! The words every other room speaks: domain names, record data, typed ids, statuses.
//!
//! Nothing here does I/O, reads a clock or draws randomness; everything parses or renders. A value of a type
//! in this crate is valid by construction, so no other room checks a name or an id again.

mod domain_name;
mod email_address;
mod id;
mod rdata;
mod record;
mod sender_domain;
mod status;
mod typed_domain;

pub use domain_name::{DomainName, DomainNameError};
pub use email_address::{EmailAddress, EmailAddressError};
pub use id::{
    ApiKeyId, AuditId, ChangeSetId, ConnectionId, ContactId, DomainId, EventId, IdError, KeyId, LedgerId,
    MessageId, OrgId, RecordId, RequestId, SandboxMessageId, SetupLinkId, SuppressionId, TenantId, UserId,
    WebhookDeliveryId, WebhookId, ZoneId,
};
pub use rdata::{Caa, Srv, same_data};
pub use record::{Record, RecordData, RecordType, RecordTypeError, Soa, TxtData};
pub use sender_domain::{SenderDomain, SenderDomainError, registrable_domain};
pub use status::{CheckStatus, Confidence, DomainStatus, Purpose, RecordStatus, Severity, Verdict};
pub use typed_domain::TypedDomainError;

/// An instant in UTC, shown as RFC 3339. The only time type across crate borders.
pub use jiff::Timestamp;
