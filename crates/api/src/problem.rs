//! Problem documents (RFC 9457): the one way in which this API says no.
//!
//! Use cases answer with [`app::Error`]; here it becomes a status, a stable code and a text. The same table makes
//! the page `/docs/errors`. The request id is filled in at the edge, by [`crate::request_id`].

use crate::domain_object::WarmupObject;
use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use model::{DomainId, SenderDomainError};
use serde::Serialize;
use utoipa::ToSchema;

/// The media type of problem documents.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// What a client waits before it tries again when the store is busy, in seconds.
const RETRY_AFTER: u32 = 5;

macro_rules! codes {
    ($($variant:ident = $word:literal, $status:ident, $title:literal, $meaning:literal;)*) => {
        /// What went wrong, as a stable word.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Code {
            $(#[doc = $title] $variant),*
        }

        impl Code {
            /// Every code, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word in `code`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }

            /// The HTTP status that goes with it.
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status),* }
            }

            /// A short name, the same for every occurrence.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title),* }
            }

            /// What it means and what to do.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning),* }
            }
        }
    };
}

codes! {
    Unauthenticated = "UNAUTHENTICATED", UNAUTHORIZED, "No valid API key",
        "The request has no API key, or one that is unknown or revoked. Send it as Authorization: Bearer cs_….";
    ScopeMissing = "SCOPE_MISSING", FORBIDDEN, "The key lacks a scope",
        "The API key is valid and may not do this. Use a key with the scope that the detail names.";
    OperatorOnly = "OPERATOR_ONLY", FORBIDDEN, "Only those who run the platform do this",
        "Organisations are made, listed and switched off with a root key (countersign root-keys create, at the platform's \
         machine), or with an admin key of the organisation that the platform began with.";
    OrganisationDisabled = "ORGANISATION_DISABLED", FORBIDDEN, "The organisation is switched off",
        "Those who run the platform have switched the organisation off: its keys and its people are refused until it is \
         switched on again. Nothing of it is lost.";
    OrganisationNotFound = "ORGANISATION_NOT_FOUND", NOT_FOUND, "No such organisation",
        "There is no organisation with this id. GET /api/v1/organisations lists them for a root key.";
    DomainNotAllowedForKey = "DOMAIN_NOT_ALLOWED_FOR_KEY", FORBIDDEN, "The key is limited to other domains",
        "The API key has allowed_domain_ids and this domain is not among them. Use another key.";
    DomainTenantMismatch = "DOMAIN_TENANT_MISMATCH", FORBIDDEN, "The domain belongs to another tenant",
        "The API key is bound to one tenant, or the request names one in X-Countersign-Tenant-Ref, and the domain or the \
         tenant named elsewhere is another one. Use a key of that tenant.";
    KeyIsLimited = "KEY_IS_LIMITED", FORBIDDEN, "The key is limited to a part of the organisation",
        "What was asked concerns the whole organisation, and the API key is bound to a tenant or has \
         allowed_domain_ids, or the request names a tenant. Use a key without such limits.";
    KeyRightsExceeded = "KEY_RIGHTS_EXCEEDED", FORBIDDEN, "A key gives no right that it does not have",
        "The API key that was to be made, rotated or revoked may do more than the one in use: by its scopes, its \
         tenant, its domains or the time at which it ends. The detail names the first thing; use a key that has it.";
    ForbiddenRole = "FORBIDDEN_ROLE", FORBIDDEN, "Only an owner does this to an owner",
        "Nobody makes, changes or removes who is more than they are: an admin and an API key no owner. Ask an owner.";
    LastOwner = "LAST_OWNER", CONFLICT, "An organisation has an owner always",
        "This is the only owner. Make somebody else an owner first.";
    MemberNotFound = "MEMBER_NOT_FOUND", NOT_FOUND, "No such member",
        "There is no member with this id in the organisation. GET /api/v1/members lists them.";
    KeyNotFound = "KEY_NOT_FOUND", NOT_FOUND, "No such API key",
        "There is no API key with this id that this key may see. GET /api/v1/keys lists them.";
    KeyNotActive = "KEY_NOT_ACTIVE", CONFLICT, "The API key works no more",
        "Only a key that is in force can be rotated, and once. Make a new one with POST /api/v1/keys.";
    TenantNotFound = "TENANT_NOT_FOUND", NOT_FOUND, "No such tenant",
        "There is no tenant with this id that this key may see. GET /api/v1/tenants lists them.";
    SuppressionNotFound = "SUPPRESSION_NOT_FOUND", NOT_FOUND, "No such suppression",
        "There is no suppression with this id that this key may see. GET /api/v1/suppressions lists them.";
    RecipientSuppressed = "RECIPIENT_SUPPRESSED", UNPROCESSABLE_ENTITY, "A recipient gets no mail",
        "One of the recipients, or several, are suppressed by the organisation or for the tenant; errors names each. \
         Nothing was sent: take them out, or off the list with DELETE /api/v1/suppressions/{id}.";
    SetupLinkNotFound = "SETUP_LINK_NOT_FOUND", NOT_FOUND, "No such setup link",
        "There is no setup link with this id that this key may see, or it was taken back or is over. GET \
         /api/v1/domains/{id}/setup-links lists those of a domain.";
    ContactNotFound = "CONTACT_NOT_FOUND", NOT_FOUND, "No such contact",
        "There is no contact with this id that this key may see. GET /api/v1/contacts lists them.";
    WebhookNotFound = "WEBHOOK_NOT_FOUND", NOT_FOUND, "No such webhook",
        "There is no webhook with this id that this key may see. GET /api/v1/webhooks lists them.";
    WebhookDeliveryNotFound = "WEBHOOK_DELIVERY_NOT_FOUND", NOT_FOUND, "No such delivery to a webhook",
        "There is no delivery with this id that this key may see. GET /api/v1/webhooks/{id}/deliveries lists those of a \
         webhook.";
    WebhookTargetRefused = "WEBHOOK_TARGET_REFUSED", UNPROCESSABLE_ENTITY, "Webhooks cannot be there",
        "A webhook is at an address on the public internet that begins with https://. Addresses of private networks \
         and of this machine are refused, however they are written.";
    WebhookDisabled = "WEBHOOK_DISABLED", CONFLICT, "The webhook is disabled",
        "Nothing is delivered to a webhook that is disabled. PATCH it with enabled true first.";
    DomainDisabled = "DOMAIN_DISABLED", FORBIDDEN, "The domain is disabled",
        "An operator has switched the domain off. Nothing is sent from it until it is switched on again.";
    SendingPaused = "SENDING_PAUSED", FORBIDDEN, "Too much of the domain's mail came back",
        "Too many recipients do not exist, or call the mail spam, so nothing is sent from the domain for now; what is in the \
         queue waits. GET /api/v1/domains/{id}/reputation has the numbers. Mend the list, then have an admin of the \
         organisation resume it: POST /api/v1/domains/{id}/resume, or /api/v1/tenants/{id}/resume.";
    DomainNotFound = "DOMAIN_NOT_FOUND", UNPROCESSABLE_ENTITY, "No such domain",
        "The organisation has no such domain: 422 when mail was to be sent from it, 404 when the address of the \
         request names it. Add it with POST /api/v1/domains.";
    DomainPendingVerification = "DOMAIN_PENDING_VERIFICATION", UNPROCESSABLE_ENTITY, "The domain is not verified",
        "Not all required DNS records have been seen, so nothing can be sent. GET the domain's report: it says what \
         is missing and how to add it.";
    WarmupLimitExceeded = "WARMUP_LIMIT_EXCEEDED", TOO_MANY_REQUESTS, "The domain has sent what it may today",
        "The domain is warming up: 50 messages on its first day, twice as many on each that follows. Today's are used \
         up; Retry-After says how long until midnight UTC, when the count starts again. Messages are counted, not \
         recipients. A domain whose reputation is there already needs no warm-up: PATCH its warmup_days to 0.";
    DomainInvalid = "DOMAIN_INVALID", UNPROCESSABLE_ENTITY, "Not a sender domain",
        "The text is not a domain that mail can be sent from. Give a full domain name such as mail.example.com, or a \
         contact address in it.";
    DomainFreeMail = "DOMAIN_FREE_MAIL", UNPROCESSABLE_ENTITY, "A domain of a mailbox provider",
        "Only the mailbox provider can sign mail for this domain. Use a domain of your own.";
    DomainPublicSuffix = "DOMAIN_PUBLIC_SUFFIX", UNPROCESSABLE_ENTITY, "A public suffix",
        "Domains are registered under this name; nobody sends mail from it. Use a domain of your own.";
    DomainAlreadyAdded = "DOMAIN_ALREADY_ADDED", CONFLICT, "The domain is there already",
        "The organisation has this domain. There is nothing to do; delete it first to get fresh tokens.";
    DomainHeldElsewhere = "DOMAIN_HELD_ELSEWHERE", CONFLICT, "Another organisation holds the domain",
        "Another organisation on this platform holds the name. Whoever controls its DNS can claim it: POST \
         /api/v1/domains/{id}/claim gives a fresh TXT record to publish, and when every name server has shown it twice \
         within some minutes the name is yours. A domain that was claimed by others can be deleted, added again and \
         claimed back.";
    KeysNotRotatable = "KEYS_NOT_ROTATABLE", CONFLICT, "The keys cannot be rotated",
        "There is no key to go on with: the next one was not seen yet, or every other one stays published for mail that it \
         has signed. The detail says what is missing.";
    NothingToClaim = "NOTHING_TO_CLAIM", CONFLICT, "There is nothing to claim",
        "The domain is verified here already, or its name is too long for the record of a claim; the detail says which.";
    HostCredentialInvalid = "HOST_CREDENTIAL_INVALID", UNPROCESSABLE_ENTITY, "The DNS host does not know the credential",
        "The token, key or secret is none, or not all of it was given. Make a new one at the DNS host.";
    HostCredentialExpired = "HOST_CREDENTIAL_EXPIRED", UNPROCESSABLE_ENTITY, "The credential of the DNS host has expired",
        "It was good once. Make a new one at the DNS host.";
    HostAccessMissing = "HOST_ACCESS_MISSING", UNPROCESSABLE_ENTITY, "The credential lacks a right",
        "The credential of the DNS host is good and may not do this, or not from here. The detail names the right; GET \
         /api/v1/dns-hosts says which ones suffice.";
    HostZoneNotFound = "HOST_ZONE_NOT_FOUND", UNPROCESSABLE_ENTITY, "The DNS host has no such zone",
        "None of the names that the detail lists is a zone there, or the credential does not show it.";
    HostZoneInactive = "HOST_ZONE_INACTIVE", CONFLICT, "The world sees another zone",
        "The DNS host has the zone and does not serve it: its set-up is not finished, or it is a copy.";
    HostConflict = "HOST_CONFLICT", CONFLICT, "Another record is in the way",
        "The DNS host refused a record for another one at the same name.";
    HostQuotaExceeded = "HOST_QUOTA_EXCEEDED", CONFLICT, "The zone is full",
        "The DNS host takes no more records in this zone or account.";
    HostRefused = "HOST_REFUSED", UNPROCESSABLE_ENTITY, "The DNS host does not take a record",
        "The detail has the host's own words.";
    HostRateLimited = "HOST_RATE_LIMITED", SERVICE_UNAVAILABLE, "The DNS host is asked too often",
        "Try again after the seconds in Retry-After.";
    HostUnreachable = "HOST_UNREACHABLE", BAD_GATEWAY, "The DNS host does not answer",
        "It was not reached, did not answer in time, or answered with something that is not understood.";
    DomainConnectOff = "DOMAIN_CONNECT_OFF", CONFLICT, "Domain Connect is not set up",
        "The operator of this platform has not said under which id DNS hosts know its templates: domain_connect.provider_id in \
         the configuration. Enter the records by hand, or have them written with a credential of the DNS host.";
    HostWithoutDomainConnect = "HOST_WITHOUT_DOMAIN_CONNECT", CONFLICT, "The DNS host does not offer Domain Connect",
        "The zone has no TXT record at _domainconnect, or what that names is of no use; the detail says what was seen. Enter the \
         records by hand, or have them written with a credential of the DNS host.";
    TemplateNotKnownAtHost = "TEMPLATE_NOT_KNOWN_AT_HOST", CONFLICT, "The DNS host does not know the template",
        "The DNS host speaks Domain Connect and has not taken the template of this profile in. The operator offers it there: GET \
         /api/v1/profiles/{id}/template is the file. Until then enter the records by hand.";
    NothingToConnect = "NOTHING_TO_CONNECT", CONFLICT, "There is nothing to connect",
        "Every record that the DNS host could add is there already, DNS did not say whether it is, or it would take the place of \
         a DMARC policy that is there.";
    TemplateDiffers = "TEMPLATE_DIFFERS", CONFLICT, "The template is not the domain's any more",
        "The domain was added while the platform had another zone. Delete it and add it again, and it gets records that the \
         template has.";
    ZoneChanged = "ZONE_CHANGED", CONFLICT, "The zone was changed meanwhile",
        "Somebody else wrote in the zone since it was listed. Nothing was written. Plan the changes again.";
    ChangesBlocked = "CHANGES_BLOCKED", CONFLICT, "Records could not be written",
        "Something that we did not write is in the way of some records, or the DNS host does not take them: errors names \
         each, and what to do. Nothing of others was touched, and the other records are written.";
    DnsConnectionNotFound = "DNS_CONNECTION_NOT_FOUND", NOT_FOUND, "No such kept credential",
        "There is no kept credential of a DNS host with this id that this key may see. GET /api/v1/dns-connections lists \
         them.";
    ChangeSetNotFound = "CHANGE_SET_NOT_FOUND", NOT_FOUND, "No such change set",
        "There is no change set with this id that this key may see. GET /api/v1/domains/{id}/change-sets lists those of a \
         domain.";
    ChangeSetNotApplicable = "CHANGE_SET_NOT_APPLICABLE", CONFLICT, "The change set cannot be applied now",
        "It was taken back, was planned too long ago, or another change of the same zone is being written. The detail says \
         which.";
    InvalidRequest = "INVALID_REQUEST", UNPROCESSABLE_ENTITY, "The request has wrong fields",
        "The request was understood and some of its fields are wrong, unknown or missing; errors names each.";
    InvalidJson = "INVALID_JSON", BAD_REQUEST, "The body is not JSON",
        "The body does not parse as JSON. The detail says where it breaks off.";
    UnsupportedMediaType = "UNSUPPORTED_MEDIA_TYPE", UNSUPPORTED_MEDIA_TYPE, "The body is of another type",
        "Bodies are JSON in UTF-8. Send the header Content-Type: application/json.";
    PayloadTooLarge = "PAYLOAD_TOO_LARGE", PAYLOAD_TOO_LARGE, "Too large",
        "The body, or the message made of it, is larger than is allowed. The detail has the limit.";
    MessageNotFound = "MESSAGE_NOT_FOUND", NOT_FOUND, "No such message",
        "The organisation has no message with this id. GET /api/v1/emails lists those that there are.";
    SandboxMessageNotFound = "SANDBOX_MESSAGE_NOT_FOUND", NOT_FOUND, "No such message in the sandbox",
        "The sandbox inbox has no message with this id, or let go of it for newer ones. GET /api/v1/sandbox/messages \
         lists those that there are.";
    NotFound = "NOT_FOUND", NOT_FOUND, "Not there",
        "There is nothing at this address, or this key may not see it.";
    MethodNotAllowed = "METHOD_NOT_ALLOWED", METHOD_NOT_ALLOWED, "Another method is needed",
        "The address exists, and not with this method. The header Allow lists those it has.";
    AlreadyExists = "ALREADY_EXISTS", CONFLICT, "It is there already",
        "Something with this name exists. Use that, or choose another name.";
    LimitReached = "LIMIT_REACHED", CONFLICT, "A limit is reached",
        "There are as many of these as there may be. Delete some first.";
    IdempotencyKeyReused = "IDEMPOTENCY_KEY_REUSED", CONFLICT, "The Idempotency-Key came with another request",
        "A key stands for one request: the same address, the same body, by the same API key. Take a new key for a new \
         request, and the old one only to repeat a request whose answer was lost.";
    IdempotencyInProgress = "IDEMPOTENCY_IN_PROGRESS", CONFLICT, "The request is being carried out",
        "Another request with this Idempotency-Key is not answered yet. Ask again after the seconds in Retry-After: the \
         answer is the same.";
    EventsGone = "EVENTS_GONE", GONE, "The cursor has fallen behind",
        "Events are kept for a time, and some behind this cursor went. Read what you follow as it is now (GET /api/v1/domains), \
         then go on with after=latest; or without after, from the oldest event that is kept.";
    RateLimited = "RATE_LIMITED", TOO_MANY_REQUESTS, "Too many requests",
        "This client asked more often than is allowed, or of this as much was done in a day as may be, as the detail says. \
         Retry-After says how many seconds to wait; RateLimit-Limit, \
         RateLimit-Remaining and RateLimit-Reset are in every answer.";
    Busy = "BUSY", SERVICE_UNAVAILABLE, "All places are taken",
        "Too many of these are under way for others. Try again after the seconds in Retry-After.";
    Timeout = "TIMEOUT", GATEWAY_TIMEOUT, "The request took too long",
        "The request was given up after 30 seconds. It may or may not have been carried out: look before you repeat it.";
    Unavailable = "UNAVAILABLE", SERVICE_UNAVAILABLE, "Not possible right now",
        "The database is busy or its disk is full. Nothing of this request was kept: try again after the seconds in \
         Retry-After.";
    Internal = "INTERNAL", INTERNAL_SERVER_ERROR, "A fault on our side",
        "The platform failed. Its log has the reason under the request_id.";
}

/// One field of a request and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = FieldProblem)]
pub struct FieldProblem {
    /// Where in the request: `to[0]`, `attachments[1].content`.
    #[schema(example = "domain")]
    pub field: String,
    /// What was seen and what is wanted.
    pub message: String,
}

/// A problem document (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemDocument<'a> {
    /// Where the code is documented, relative to the instance.
    #[serde(rename = "type")]
    #[schema(example = "/docs/errors/INVALID_REQUEST")]
    kind: String,
    /// A short name, the same for every occurrence of the code.
    title: &'a str,
    /// The HTTP status.
    status: u16,
    /// What was seen this time, and what to do.
    detail: &'a str,
    /// The stable code; `/docs/errors` lists them. Open: there may be more in later versions.
    #[schema(example = "INVALID_REQUEST")]
    code: &'a str,
    /// The fields that are wrong; empty when it is not about fields.
    errors: &'a [FieldProblem],
    /// With `DOMAIN_ALREADY_ADDED`: the id of the domain that is there already.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    domain_id: Option<DomainId>,
    /// With `WARMUP_LIMIT_EXCEEDED`: where the domain's warm-up stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    warmup: Option<WarmupObject>,
    /// Names this request in the platform's log; the same as the header `X-Request-Id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required)]
    request_id: Option<&'a str>,
}

/// Members that only one code has (RFC 9457 §3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extension {
    /// The domain that stands in the way.
    Domain(DomainId),
    /// Where the domain's warm-up stands, when that is the reason.
    Warmup(WarmupObject),
}

/// A refusal on its way to the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The code.
    pub code: Code,
    /// The status: the code's own, but for things that are looked up by their address.
    pub status: StatusCode,
    /// What was seen, and what to do.
    pub detail: String,
    /// The fields that are wrong.
    pub errors: Vec<FieldProblem>,
    /// What the reader can act on as data.
    pub extension: Option<Box<Extension>>,
    /// Seconds that a client waits before it tries again: the value of `Retry-After` (RFC 9110 §10.2.3).
    pub retry_after: Option<u32>,
    /// The value of `WWW-Authenticate` (RFC 6750 §3).
    challenge: Option<&'static str>,
}

impl Problem {
    /// A problem with the status of its code.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            status: code.status(),
            detail: detail.into(),
            errors: Vec::new(),
            extension: None,
            retry_after: None,
            challenge: None,
        }
    }

    /// A problem of these fields.
    #[must_use]
    pub fn with_errors(self, errors: Vec<FieldProblem>) -> Self {
        Self { errors, ..self }
    }

    /// Says how many seconds to wait.
    #[must_use]
    pub fn with_retry_after(self, seconds: u32) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    /// Names the domain that stands in the way.
    #[must_use]
    pub fn with_domain(self, domain_id: Option<DomainId>) -> Self {
        Self { extension: domain_id.map(|id| Box::new(Extension::Domain(id))), ..self }
    }

    /// One wrong field.
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        app::Error::field(field, message).into()
    }

    /// A 401; `challenge` goes into `WWW-Authenticate`.
    pub fn unauthenticated(detail: impl Into<String>, challenge: &'static str) -> Self {
        Self { challenge: Some(challenge), ..Self::new(Code::Unauthenticated, detail) }
    }

    /// Says of another field what is said of `from`: two fields of a request may stand for one of a use case.
    #[must_use]
    pub fn rename_field(mut self, from: &str, to: &str) -> Self {
        for error in self.errors.iter_mut().filter(|error| error.field == from) {
            to.clone_into(&mut error.field);
        }
        self
    }

    /// The document's bytes.
    pub fn to_json(&self, request_id: Option<&str>) -> Vec<u8> {
        let (domain_id, warmup) = match self.extension.as_deref() {
            None => (None, None),
            Some(Extension::Domain(id)) => (Some(*id), None),
            Some(Extension::Warmup(warmup)) => (None, Some(*warmup)),
        };
        let document = ProblemDocument {
            kind: format!("/docs/errors/{}", self.code.as_str()),
            title: self.code.title(),
            status: self.status.as_u16(),
            detail: &self.detail,
            code: self.code.as_str(),
            errors: &self.errors,
            domain_id,
            warmup,
            request_id,
        };
        let mut bytes = serde_json::to_vec(&document).unwrap_or_default();
        // A terminal's prompt then starts on a line of its own.
        bytes.push(b'\n');
        bytes
    }
}

impl Problem {
    /// What a DNS host said no with, or that it said nothing.
    fn of_host(error: &app::publish::HostError, detail: String) -> Self {
        use app::publish::Refusal as R;
        let (code, wait) = match &error.refusal {
            R::CredentialInvalid => (Code::HostCredentialInvalid, None),
            R::CredentialExpired => (Code::HostCredentialExpired, None),
            R::CredentialNotFromHere | R::AccessMissing { .. } => (Code::HostAccessMissing, None),
            R::ZoneNotFound { .. } => (Code::HostZoneNotFound, None),
            R::ZoneInactive => (Code::HostZoneInactive, None),
            R::Conflict => (Code::HostConflict, None),
            R::QuotaExceeded => (Code::HostQuotaExceeded, None),
            R::RecordRefused => (Code::HostRefused, None),
            R::RateLimited { retry_after } => (Code::HostRateLimited, Some(retry_after.unwrap_or(60))),
            R::ZoneChanged => (Code::ZoneChanged, None),
            R::Unreachable | R::Unexpected { .. } => (Code::HostUnreachable, None),
        };
        Self { retry_after: wait, ..Self::new(code, detail) }
    }
}

impl From<app::Error> for Problem {
    fn from(error: app::Error) -> Self {
        use app::Error as E;
        let detail = error.to_string();
        let new = |code| Self::new(code, detail.clone());
        match error {
            E::NotASenderDomain(error) => {
                let message = error.to_string();
                let code = match error {
                    SenderDomainError::FreeMail(_) => Code::DomainFreeMail,
                    SenderDomainError::PublicSuffix(_) => Code::DomainPublicSuffix,
                    _ => Code::DomainInvalid,
                };
                Self { errors: vec![FieldProblem { field: "domain".into(), message }], ..new(code) }
            }
            E::DomainAlreadyAdded(_) => new(Code::DomainAlreadyAdded),
            E::DomainHeldElsewhere(_) | E::ClaimedAway(_) => new(Code::DomainHeldElsewhere),
            E::Host(error) => Self::of_host(&error, detail),
            E::NotConnected(ref reason) => new(code_of_connect(reason)),
            E::NothingToClaim { .. } => new(Code::NothingToClaim),
            E::ZoneChanged(_) => new(Code::ZoneChanged),
            E::ChangeSetNotApplicable(_) => new(Code::ChangeSetNotApplicable),
            E::ChangesBlocked(ref blocked) => blocked_problem(blocked, detail),
            E::KeysNotRotatable { .. } => new(Code::KeysNotRotatable),
            E::SenderDomainUnknown(_) => new(Code::DomainNotFound),
            E::DomainNotAllowedForKey(_) => new(Code::DomainNotAllowedForKey),
            E::DomainTenantMismatch(_) | E::TenantMismatch => new(Code::DomainTenantMismatch),
            E::KeyIsLimited => new(Code::KeyIsLimited),
            E::KeyRightsExceeded(_) => new(Code::KeyRightsExceeded),
            E::KeyNotActive(_) => new(Code::KeyNotActive),
            E::WebhookTargetRefused(message) => {
                let errors = vec![FieldProblem { field: "url".into(), message }];
                Self { errors, ..new(Code::WebhookTargetRefused) }
            }
            E::WebhookDisabled(_) => new(Code::WebhookDisabled),
            E::DomainPendingVerification { .. } => new(Code::DomainPendingVerification),
            E::WarmupLimitExceeded { warmup, retry_after, .. } => Self {
                extension: Some(Box::new(Extension::Warmup(warmup.into()))),
                retry_after: Some(retry_after),
                ..new(Code::WarmupLimitExceeded)
            },
            E::DomainDisabled(_) => new(Code::DomainDisabled),
            E::SendingPaused { .. } => new(Code::SendingPaused),
            E::NotFound { noun: "domain", .. } => {
                Self { status: StatusCode::NOT_FOUND, ..new(Code::DomainNotFound) }
            }
            E::NotFound { noun: "zone", id } => Self::new(
                Code::NotFound,
                format!("There is no zone {id} in the playground; GET /api/v1/playground/zones lists them."),
            ),
            E::NotFound { noun: "record", id } => Self::new(
                Code::NotFound,
                format!("There is no record {id} in the playground; GET its zone to see the records there."),
            ),
            E::OperatorOnly => new(Code::OperatorOnly),
            E::OrganisationDisabled => new(Code::OrganisationDisabled),
            // Logins are for pages only.
            E::RoleTooLow | E::LoginRefused(_) | E::StillInside(_) => new(Code::ForbiddenRole),
            E::ProviderDown(_) => new(Code::Unavailable),
            E::LastOwner => new(Code::LastOwner),
            E::NotFound { noun, .. } => new(code_of_missing(noun)),
            E::NoPlayground | E::LinkOver => new(Code::NotFound),
            E::Invalid(ref fields) | E::RecipientSuppressed(ref fields) => {
                let code = match error {
                    E::RecipientSuppressed(_) => Code::RecipientSuppressed,
                    _ => Code::InvalidRequest,
                };
                let errors = fields
                    .iter()
                    .take(app::error::MOST_NAMED)
                    .map(|error| FieldProblem { field: error.field.clone(), message: error.message.clone() })
                    .collect();
                Self { errors, ..new(code) }
            }
            E::TooLarge { .. } => new(Code::PayloadTooLarge),
            E::LimitReached { .. } => new(Code::LimitReached),
            E::AlreadyExists(_) => new(Code::AlreadyExists),
            E::EventsGone => new(Code::EventsGone),
            E::ScopeMissing(_) => new(Code::ScopeMissing),
            E::Unauthenticated(_) => Self::unauthenticated(detail, "Bearer error=\"invalid_token\""),
            E::RateLimited { retry_after, .. } | E::AskedTooOften { retry_after, .. } => {
                Self { retry_after: Some(retry_after), ..new(Code::RateLimited) }
            }
            E::Busy { retry_after, .. } => Self { retry_after: Some(retry_after), ..new(Code::Busy) },
            E::Unavailable(_) => Self { retry_after: Some(RETRY_AFTER), ..new(Code::Unavailable) },
            E::Internal(_) => {
                tracing::error!(error = %detail, "a request failed");
                Self::new(
                    Code::Internal,
                    "Something failed on our side. The log has the reason under this request_id.",
                )
            }
        }
    }
}

/// The code for a link to a DNS host that there is not.
fn code_of_connect(reason: &app::domain_connect::NotConnected) -> Code {
    use app::domain_connect::NotConnected as N;
    match reason {
        N::Off => Code::DomainConnectOff,
        N::Nothing(_) | N::Delegated(_) => Code::NothingToConnect,
        N::NotOffered { .. } => Code::HostWithoutDomainConnect,
        N::ZoneUnknown(_) | N::Unanswered { .. } => Code::HostUnreachable,
        N::TemplateUnknown { .. } => Code::TemplateNotKnownAtHost,
        N::TemplateDiffers(_) => Code::TemplateDiffers,
    }
}

/// The code for a thing that is not there.
fn code_of_missing(noun: &str) -> Code {
    match noun {
        "change set" => Code::ChangeSetNotFound,
        "DNS connection" => Code::DnsConnectionNotFound,
        "API key" => Code::KeyNotFound,
        "suppression" => Code::SuppressionNotFound,
        "tenant" => Code::TenantNotFound,
        "setup link" => Code::SetupLinkNotFound,
        "contact" => Code::ContactNotFound,
        "webhook" => Code::WebhookNotFound,
        "webhook delivery" => Code::WebhookDeliveryNotFound,
        "message" => Code::MessageNotFound,
        "sandbox message" => Code::SandboxMessageNotFound,
        "member" => Code::MemberNotFound,
        "organisation" => Code::OrganisationNotFound,
        _ => Code::NotFound,
    }
}

/// Records that others are in the way of, each with what to do.
fn blocked_problem(blocked: &[app::publish::Blocked], detail: String) -> Problem {
    let errors = blocked.iter().take(app::error::MOST_NAMED).map(|blocked| FieldProblem {
        field: blocked.key.clone(),
        message: format!("{}: {}", blocked.owner, explain::render::blocked_reason(&blocked.reason)),
    });
    Problem::new(Code::ChangesBlocked, detail).with_errors(errors.collect())
}

impl IntoResponse for Problem {
    /// The problem rides along as an extension, so that the edge can put the request id in.
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.to_json(None)));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if let Some(challenge) = self.challenge {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use app::Error;
    use model::{DomainName, SenderDomain};

    fn mapped(error: Error) -> (u16, &'static str) {
        let problem = Problem::from(error);
        (problem.status.as_u16(), problem.code.as_str())
    }

    #[test]
    fn refusals_have_the_documented_status_and_code() {
        let name = || DomainName::parse("mail.acme.test").unwrap();
        let refused = |text: &str| Error::from(SenderDomain::parse(text).unwrap_err());
        let cause = app::store::PauseCause::Domain;
        let pause = app::store::Pause { at: model::Timestamp::default(), reason: "x".into(), cause };
        for (error, expected) in [
            (refused("gmail.com"), (422, "DOMAIN_FREE_MAIL")),
            (refused("co.uk"), (422, "DOMAIN_PUBLIC_SUFFIX")),
            (refused("localhost"), (422, "DOMAIN_INVALID")),
            (Error::DomainAlreadyAdded(name()), (409, "DOMAIN_ALREADY_ADDED")),
            (Error::DomainHeldElsewhere(name()), (409, "DOMAIN_HELD_ELSEWHERE")),
            (Error::ClaimedAway(name()), (409, "DOMAIN_HELD_ELSEWHERE")),
            (Error::NothingToClaim { domain: name(), reason: "it is yours" }, (409, "NOTHING_TO_CLAIM")),
            (Error::KeysNotRotatable { domain: name(), reason: "x".into() }, (409, "KEYS_NOT_ROTATABLE")),
            (Error::SenderDomainUnknown(name()), (422, "DOMAIN_NOT_FOUND")),
            (Error::NotFound { noun: "domain", id: "x".into() }, (404, "DOMAIN_NOT_FOUND")),
            (Error::NotFound { noun: "message", id: "x".into() }, (404, "MESSAGE_NOT_FOUND")),
            (Error::NotFound { noun: "sandbox message", id: "x".into() }, (404, "SANDBOX_MESSAGE_NOT_FOUND")),
            (Error::NotFound { noun: "zone", id: "x".into() }, (404, "NOT_FOUND")),
            (Error::DomainNotAllowedForKey("x".into()), (403, "DOMAIN_NOT_ALLOWED_FOR_KEY")),
            (Error::DomainTenantMismatch("x".into()), (403, "DOMAIN_TENANT_MISMATCH")),
            (Error::TenantMismatch, (403, "DOMAIN_TENANT_MISMATCH")),
            (Error::KeyIsLimited, (403, "KEY_IS_LIMITED")),
            (Error::KeyRightsExceeded("x".into()), (403, "KEY_RIGHTS_EXCEEDED")),
            (Error::KeyNotActive(model::ApiKeyId::from_parts(0, 0)), (409, "KEY_NOT_ACTIVE")),
            (Error::NotFound { noun: "API key", id: "x".into() }, (404, "KEY_NOT_FOUND")),
            (Error::NotFound { noun: "tenant", id: "x".into() }, (404, "TENANT_NOT_FOUND")),
            (Error::NotFound { noun: "contact", id: "x".into() }, (404, "CONTACT_NOT_FOUND")),
            (
                Error::DomainPendingVerification { domain: name(), reason: "x".into() },
                (422, "DOMAIN_PENDING_VERIFICATION"),
            ),
            (Error::DomainDisabled(name()), (403, "DOMAIN_DISABLED")),
            (Error::SendingPaused { domain: name(), pause }, (403, "SENDING_PAUSED")),
            (Error::RecipientSuppressed(Vec::new()), (422, "RECIPIENT_SUPPRESSED")),
            (Error::NotFound { noun: "suppression", id: "x".into() }, (404, "SUPPRESSION_NOT_FOUND")),
            (Error::field("to", "x"), (422, "INVALID_REQUEST")),
            (Error::TooLarge { what: "the message", size: 2, limit: 1 }, (413, "PAYLOAD_TOO_LARGE")),
            (Error::LimitReached { what: "zones", limit: 1 }, (409, "LIMIT_REACHED")),
            (Error::EventsGone, (410, "EVENTS_GONE")),
            (Error::AlreadyExists("it".into()), (409, "ALREADY_EXISTS")),
            (Error::ScopeMissing("admin"), (403, "SCOPE_MISSING")),
            (Error::OperatorOnly, (403, "OPERATOR_ONLY")),
            (Error::OrganisationDisabled, (403, "ORGANISATION_DISABLED")),
            (Error::NotFound { noun: "organisation", id: "x".into() }, (404, "ORGANISATION_NOT_FOUND")),
            (Error::Unauthenticated("x"), (401, "UNAUTHENTICATED")),
            (Error::NoPlayground, (404, "NOT_FOUND")),
            (Error::Unavailable("x".into()), (503, "UNAVAILABLE")),
            (Error::Internal("x".into()), (500, "INTERNAL")),
        ] {
            assert_eq!(mapped(error), expected);
        }
    }

    #[test]
    fn internals_do_not_get_out() {
        let document = Problem::from(Error::Internal("secret path /var/lib".into())).to_json(Some("req_1"));
        let document = String::from_utf8(document).unwrap();
        assert!(!document.contains("secret"), "{document}");
        assert!(document.contains("\"request_id\":\"req_1\""));
        assert!(document.contains("\"type\":\"/docs/errors/INTERNAL\""));
    }

    #[test]
    fn refusals_carry_the_headers_of_their_status() {
        let response = Problem::from(Error::Unauthenticated("x")).into_response();
        assert!(response.headers()[header::WWW_AUTHENTICATE].to_str().unwrap().starts_with("Bearer"));
        let response = Problem::from(Error::Unavailable("x".into())).into_response();
        assert_eq!(response.headers()[header::RETRY_AFTER], "5");
        assert_eq!(response.headers()[header::CONTENT_TYPE], MEDIA_TYPE);
    }

    #[test]
    fn codes_are_unique_words() {
        let mut words: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert!(words.iter().all(|word| word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')));
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Code::ALL.len());
    }
}
