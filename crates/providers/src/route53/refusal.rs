//! What Route 53 says no with: a code, and for batches sentences of which some words are known.

use crate::{call::Failed, xml::Element};
use publish::{HostError, Refusal, Right};

/// When a host that has too much to do is asked again, where we gave up; it does not tell.
const LATER: u32 = 5;

/// What came of a request that was refused.
pub(super) fn failed(root: Option<&Element>, right: Right, status: u16, secrets: &[&str]) -> Failed {
    let (code, message) = root.map(said).unwrap_or_default();
    let refusal = match code.as_str() {
        "InvalidClientTokenId"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "MissingAuthenticationToken"
        | "UnrecognizedClientException"
        | "RequestExpired" => Refusal::CredentialInvalid,
        "ExpiredToken" | "ExpiredTokenException" => Refusal::CredentialExpired,
        "AccessDenied" | "AccessDeniedException" => Refusal::AccessMissing { right: Some(right) },
        "NoSuchHostedZone" => Refusal::ZoneNotFound { tried: Vec::new() },
        "Throttling" | "ThrottlingException" | "PriorRequestNotComplete" => {
            Refusal::RateLimited { retry_after: Some(LATER) }
        }
        "LimitsExceeded" | "TooManyResourceRecordSets" => Refusal::QuotaExceeded,
        "InvalidChangeBatch" => of_batch(&message),
        "InvalidInput" | "InvalidDomainName" if right == Right::WriteRecords => Refusal::RecordRefused,
        _ => Refusal::Unexpected { status: Some(status) },
    };
    let is_open = matches!(refusal, Refusal::Unexpected { .. }) && !(400..500).contains(&status);
    Failed { error: HostError::saying(refusal, &message, secrets), is_open, is_under_way: false }
}

/// Code and message, in either of its two forms.
fn said(root: &Element) -> (String, String) {
    if let Some(error) = root.child("Error") {
        let text = |name| error.text_of(name).unwrap_or_default().to_owned();
        return (text("Code"), text("Message"));
    }
    let messages = root.child("Messages").map(|messages| messages.children.as_slice()).unwrap_or_default();
    let messages: Vec<&str> = messages.iter().map(|message| message.text.trim()).collect();
    (root.name.clone(), messages.join("; "))
}

fn of_batch(message: &str) -> Refusal {
    let says = |words: &str| message.contains(words);
    if says("already exists") || says("was not found") || says("do not match the current values") {
        Refusal::ZoneChanged
    } else if says("conflicts with other records") {
        Refusal::Conflict
    } else {
        Refusal::RecordRefused
    }
}
