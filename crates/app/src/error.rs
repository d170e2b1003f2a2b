//! Why a use case was refused or failed. `api` makes problem documents of it, `web` makes pages.

use crate::warmup::Warmup;
use model::{DomainName, SenderDomainError};

/// One field of a request and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Where in the request: `to[0]`, `headers.X-Tag`.
    pub field: String,
    /// What was seen and what is wanted.
    pub message: String,
}

/// Why a use case did not go through.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The domain cannot be a sender domain.
    #[error("{0}")]
    NotASenderDomain(#[from] SenderDomainError),
    /// The organisation has it already.
    #[error("{0} was added before; there is nothing to do, or delete it first to get fresh tokens")]
    DomainAlreadyAdded(DomainName),
    /// Held by someone else on this platform.
    #[error(
        "{0} is held by another organisation on this platform; claim it with POST /api/v1/domains/{{id}}/claim, by a \
         fresh record in its DNS"
    )]
    DomainHeldElsewhere(DomainName),
    /// Another organisation took the name by a claim.
    #[error(
        "{0} was claimed by another organisation with a proof in its DNS; delete it and add it again: it gets new \
         records, and can be claimed back then"
    )]
    ClaimedAway(DomainName),
    /// The next key cannot sign yet, or ever.
    #[error("the keys of {domain} cannot be rotated: {reason}")]
    KeysNotRotatable {
        /// The domain.
        domain: DomainName,
        /// Why.
        reason: String,
    },
    /// It is verified already, or its name has no room for the record of a claim.
    #[error("there is nothing to claim: {domain} {reason}")]
    NothingToClaim {
        /// The domain.
        domain: DomainName,
        /// Which of the two.
        reason: &'static str,
    },
    /// No such domain in the organisation. `from` mail cannot be sent then.
    #[error("the domain {0} is not in your organisation; add it with POST /api/v1/domains")]
    SenderDomainUnknown(DomainName),
    /// The key is limited to other domains.
    #[error("this API key may not use {0}: its allowed_domain_ids do not list it")]
    DomainNotAllowedForKey(String),
    /// The domain belongs to another tenant, or to none. It is named as the caller named it.
    #[error("{0} does not belong to the tenant that this API key or the request is for")]
    DomainTenantMismatch(String),
    /// The key is bound to another tenant than the request names.
    #[error("this API key is bound to another tenant than the request names; leave the tenant out")]
    TenantMismatch,
    /// The key is limited to a tenant or to domains, and this concerns more than that.
    #[error(
        "this API key or request is limited to a tenant or to domains, and this concerns the whole organisation"
    )]
    KeyIsLimited,
    /// A key would have more rights than whoever makes, rotates or revokes it.
    #[error("this API key cannot make, rotate or revoke one that has {0}")]
    KeyRightsExceeded(String),
    /// The key was revoked, has expired or was rotated before.
    #[error("{0} is revoked, has expired or was rotated before; make a new key")]
    KeyNotActive(model::ApiKeyId),
    /// An address that webhooks may not be at.
    #[error("url: {0}")]
    WebhookTargetRefused(String),
    /// The webhook is disabled.
    #[error("{0} is disabled, so nothing is delivered to it; enable it first")]
    WebhookDisabled(model::WebhookId),
    /// Records are not all seen yet.
    #[error("{domain} is not verified: {reason}")]
    DomainPendingVerification {
        /// The domain.
        domain: DomainName,
        /// What stands in the way.
        reason: String,
    },
    /// The domain is warming up and has sent what it may today.
    #[error(
        "{domain} is warming up: on day {} of {days} it may send {} messages, and {} were sent today. The count \
         starts again at {}; send the rest then",
        warmup.today.day, warmup.today.cap, warmup.sent_today, warmup.today.resets_at
    )]
    WarmupLimitExceeded {
        /// The domain.
        domain: DomainName,
        /// What is allowed today, and what was sent.
        warmup: Warmup,
        /// How many days the warm-up takes.
        days: u32,
        /// Seconds until the count starts again.
        retry_after: u32,
    },
    /// Recipients that get no mail.
    #[error("{}; take them out, or off the list with DELETE /api/v1/suppressions", summary(.0))]
    RecipientSuppressed(Vec<FieldError>),
    /// Switched off.
    #[error("{0} is disabled")]
    DomainDisabled(DomainName),
    /// Too much of its mail came back.
    #[error(
        "nothing is sent from {domain} for now: {}; mend the list, then have an admin resume {}",
        pause.reason, crate::readiness::to_resume(pause.cause)
    )]
    SendingPaused {
        /// The domain.
        domain: DomainName,
        /// What came back, and when.
        pause: store::Pause,
    },
    /// No such thing, or not visible to this caller.
    #[error("there is no {noun} {id}")]
    NotFound {
        /// What was looked for.
        noun: &'static str,
        /// The id or name given.
        id: String,
    },
    /// The request is understood and wrong.
    #[error("{}", summary(.0))]
    Invalid(Vec<FieldError>),
    /// The whole is too large.
    #[error("{what} has {size} bytes; {limit} are allowed")]
    TooLarge {
        /// What.
        what: &'static str,
        /// Its size.
        size: usize,
        /// The bound.
        limit: usize,
    },
    /// A bound on the number of things is reached.
    #[error("there are {limit} {what} already, and that is the most there can be; delete some first")]
    LimitReached {
        /// What.
        what: &'static str,
        /// The bound.
        limit: u64,
    },
    /// The thing is there already.
    #[error("{0} is there already")]
    AlreadyExists(String),
    /// Events behind a cursor were deleted by their age.
    #[error(
        "events behind this cursor are kept no more, so some would be missed: read what you follow as it is now, and go \
             on with after=latest, or without after from the oldest event that is kept"
    )]
    EventsGone,
    /// The key does not have the scope.
    #[error("this API key lacks the scope {0}")]
    ScopeMissing(&'static str),
    /// Only who runs the platform does this.
    #[error(
        "this is for those who run the platform: a root key, or a key with admin of its first organisation"
    )]
    OperatorOnly,
    /// The organisation is switched off.
    #[error("the organisation of this API key is switched off; ask those who run the platform")]
    OrganisationDisabled,
    /// The role does not allow it: nobody makes or changes who is more than they are.
    #[error("only an owner makes, changes or removes an owner")]
    RoleTooLow,
    /// An organisation would be left without an owner.
    #[error("this is the only owner, and an organisation has one always; make somebody else an owner first")]
    LastOwner,
    /// The provider of the login did not send somebody whom we let in.
    #[error("the login did not go through: {0}")]
    LoginRefused(String),
    /// The same, while somebody is logged in.
    #[error("nothing was changed: {0}")]
    StillInside(String),
    /// The provider of the login is of no use now.
    #[error("the provider of the login cannot be used now: {0}")]
    ProviderDown(String),
    /// A link that was used, was taken back or is too old.
    #[error("this link works no more: it was used, taken back, or is too old; ask for a new one")]
    LinkOver,
    /// No key, an unknown or a revoked one.
    #[error("{0}")]
    Unauthenticated(&'static str),
    /// This client asks too often.
    #[error("the limit is {allowed} {what} a minute; try again in {retry_after} s")]
    RateLimited {
        /// Of what there were too many.
        what: &'static str,
        /// How many there may be in a minute.
        allowed: u32,
        /// Seconds until the next may come.
        retry_after: u32,
    },
    /// As many mails were sent in a day as may be that ask somebody to confirm an address.
    #[error("{why}")]
    AskedTooOften {
        /// Which bound it was, and what to do.
        why: String,
        /// Seconds until the next may be sent.
        retry_after: u32,
    },
    /// All places are taken.
    #[error("too many {what} are under way; try again in {retry_after} s")]
    Busy {
        /// Of what there are too many.
        what: &'static str,
        /// When to try again, in seconds.
        retry_after: u32,
    },
    /// There is no link to the DNS host.
    #[error("{0}")]
    NotConnected(#[from] crate::domain_connect::NotConnected),
    /// The DNS host said no, or nothing.
    #[error("{}", host_words(.0))]
    Host(publish::HostError),
    /// Records that cannot be written: something that we did not write is in their way.
    #[error("{}", blocked_summary(.0))]
    ChangesBlocked(Vec<publish::Blocked>),
    /// Somebody else wrote in the zone since the changes were planned. Nothing was written.
    #[error(
        "the zone has changed since this was planned: {} records are new, {} are gone at the names concerned; nothing was \
         written, plan anew",
        .0.new.len(), .0.gone.len()
    )]
    ZoneChanged(Box<publish::Difference>),
    /// A change set that cannot be applied or taken back as it is.
    #[error("{0}")]
    ChangeSetNotApplicable(String),
    /// The playground is off.
    #[error("the playground is only there in a development instance (countersign dev)")]
    NoPlayground,
    /// The database is busy or the disk is full: what was accepted is safe, this request was not carried out.
    #[error("{0}; nothing of this request was kept, try again shortly")]
    Unavailable(String),
    /// A fault of ours.
    #[error("an internal fault: {0}")]
    Internal(String),
}

impl Error {
    /// One field is wrong.
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError { field: field.into(), message: message.into() }])
    }
}

/// How many wrong fields a refusal names: a request that has ten thousand is not answered with as many.
pub const MOST_NAMED: usize = 20;

fn summary(errors: &[FieldError]) -> String {
    let named = errors.iter().take(MOST_NAMED);
    let text =
        named.map(|error| format!("{}: {}", error.field, error.message)).collect::<Vec<_>>().join("; ");
    match errors.len().saturating_sub(MOST_NAMED) {
        0 => text,
        more => format!("{text}; and {more} more"),
    }
}

/// What a DNS host said, and what to do. Its own words come last.
fn host_words(error: &publish::HostError) -> String {
    use publish::{Refusal as R, Right};
    let words = match &error.refusal {
        R::CredentialInvalid => {
            "the DNS host does not know this credential; look whether all of it was pasted, or make a \
                                 new one"
                .to_owned()
        }
        R::CredentialExpired => {
            "this credential of the DNS host has expired; make a new one there".to_owned()
        }
        R::CredentialNotFromHere => {
            "the DNS host takes this credential from other addresses only; allow this platform's \
                                     address there, or make one without that rule"
                .to_owned()
        }
        R::AccessMissing { right } => {
            let what = match right {
                Some(Right::ListZones) => "see which zones there are",
                Some(Right::ReadRecords) => "read the records of this zone",
                Some(Right::WriteRecords) => "write records of this zone",
                None => "do this",
            };
            format!(
                "the credential is good, but may not {what}; add that right at the DNS host, or make another"
            )
        }
        R::ZoneNotFound { tried } if tried.is_empty() => {
            "the DNS host has this zone no more, as far as the credential shows".to_owned()
        }
        R::ZoneNotFound { tried } => {
            let names: Vec<String> = tried.iter().map(ToString::to_string).collect();
            format!(
                "the DNS host has no zone of these names, or the credential does not show it: {}; look whether it is for \
                 the right account and zone",
                names.join(", ")
            )
        }
        R::ZoneInactive => {
            "the DNS host has the zone, but the world sees another one; finish its set-up there, or write \
                            the records where it is served from"
                .to_owned()
        }
        R::Conflict => {
            "another record is in the way at the DNS host; nothing stands beside an alias".to_owned()
        }
        R::QuotaExceeded => {
            "the zone or account at the DNS host is full; make room there, then try again".to_owned()
        }
        R::RecordRefused => "the DNS host does not take a record".to_owned(),
        R::RateLimited { .. } => "the DNS host is asked too often; try again later".to_owned(),
        R::ZoneChanged => {
            "somebody else wrote in the zone meanwhile, so nothing was written; look at the changes again"
                .to_owned()
        }
        R::Unreachable => "the DNS host was not reached, or did not answer in time; try again".to_owned(),
        R::Unexpected { status } => {
            let status = status.map(|status| format!(" ({status})")).unwrap_or_default();
            format!("the DNS host answered with something that is not understood{status}; try again later")
        }
    };
    match &error.host_message {
        Some(message) => format!("{words}. It said: {message}"),
        None => words,
    }
}

fn blocked_summary(blocked: &[publish::Blocked]) -> String {
    let names: Vec<String> =
        blocked.iter().take(MOST_NAMED).map(|blocked| blocked.owner.to_string()).collect();
    let (what, it) = if names.len() == 1 { ("1 record", "it") } else { ("records", "them") };
    format!(
        "{what} could not be written, since what we did not write is in the way of {it}, or your DNS host does not \
         take {it}: {}; all others are written",
        names.join(", ")
    )
}

impl From<store::StoreError> for Error {
    fn from(error: store::StoreError) -> Self {
        match error {
            store::StoreError::LimitReached { what, limit } => Self::LimitReached { what, limit },
            error if error.is_temporary() => {
                tracing::warn!(%error, "the store is not available");
                Self::Unavailable(error.to_string())
            }
            error => {
                tracing::error!(%error, "the store failed");
                Self::Internal("the store failed; the log has the reason".to_owned())
            }
        }
    }
}

/// What use cases return.
pub type Result<T> = std::result::Result<T, Error>;
