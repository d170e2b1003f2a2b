//! What Cloudflare says no with. Its codes are in no contract: those here were seen in public exchanges of others with
//! it, and what is not known is told in the host's own words.

use super::Purpose;
use crate::call::{Failed, retry_after};
use publish::{HostError, Refusal, http::HttpAnswer};
use serde::Deserialize;

/// One of the errors of an answer.
#[derive(Deserialize)]
pub(super) struct Said {
    #[serde(default)]
    code: u32,
    #[serde(default)]
    message: String,
    /// What an error of before October 2024 is made of.
    #[serde(default)]
    error_chain: Vec<Said>,
}

/// An answer that is no yes.
pub(super) struct Refused {
    pub(super) said: Vec<Said>,
    /// Whether it was in the host's form: else nothing in it is to be believed.
    pub(super) is_understood: bool,
}

impl Refused {
    /// The codes, those that errors are made of too.
    fn codes(&self) -> impl Iterator<Item = (u32, &str)> {
        fn each(said: &Said) -> Vec<(u32, &str)> {
            let chained = said.error_chain.iter().take(8).map(|said| (said.code, said.message.as_str()));
            std::iter::once((said.code, said.message.as_str())).chain(chained).collect()
        }
        self.said.iter().take(8).flat_map(each)
    }

    /// Whether it says that the token is none.
    pub(super) fn is_no_token(&self) -> bool {
        self.codes().any(|(code, _)| code == 1000)
    }

    pub(super) fn into_failed(self, purpose: Purpose, answer: &HttpAnswer, secrets: &[&str]) -> Failed {
        let words: Vec<String> = self
            .codes()
            .filter(|(_, message)| !message.is_empty())
            .map(|(code, message)| format!("{message} ({code})"))
            .collect();
        let refusal = self.refusal(purpose, answer);
        // An error of the host's own says nothing of how far it came.
        let is_open = matches!(refusal, Refusal::Unexpected { .. }) && !(400..500).contains(&answer.status);
        Failed { error: HostError::saying(refusal, &words.join("; "), secrets), is_open, is_under_way: false }
    }

    fn refusal(&self, purpose: Purpose, answer: &HttpAnswer) -> Refusal {
        let unexpected = Refusal::Unexpected { status: Some(answer.status) };
        if answer.status == 429 {
            return Refusal::RateLimited { retry_after: retry_after(answer) };
        }
        if !self.is_understood || answer.status >= 500 {
            return unexpected;
        }
        for (code, message) in self.codes() {
            let known = match code {
                971 => Refusal::RateLimited { retry_after: retry_after(answer) },
                1000 | 6003 | 6111 => Refusal::CredentialInvalid,
                // One code for three things; only its words tell them apart.
                9109 if message.contains("location") => Refusal::CredentialNotFromHere,
                9109 if message.contains("nvalid access token") => Refusal::CredentialInvalid,
                9109 | 10000 => Refusal::AccessMissing { right: Some(purpose.right()) },
                7003 if purpose != Purpose::FindZone => Refusal::ZoneNotFound { tried: Vec::new() },
                // Gone, or there already, since the zone was listed.
                81044 | 81058 => Refusal::ZoneChanged,
                81053 | 81054 | 81057 => Refusal::Conflict,
                81045 => Refusal::QuotaExceeded,
                _ => continue,
            };
            return known;
        }
        match answer.status {
            401 => Refusal::CredentialInvalid,
            403 => Refusal::AccessMissing { right: Some(purpose.right()) },
            400 if purpose == Purpose::Write => Refusal::RecordRefused,
            _ => unexpected,
        }
    }
}
