//! "Why can't I send?": what stands in the way of mail from a domain. One list, by which sending is refused and which
//! the readiness shows, so that they never disagree.

use crate::{domains::DomainView, error::Error, warmup::Warmup};
use diagnosis::RecordReport;
use jiff::Timestamp;
use model::{DomainStatus, RecordStatus, Verdict};
use store::{Pause, PauseCause};

/// Something that stands in the way of sending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// The domain is switched off, perhaps with a word why.
    Disabled(Option<String>),
    /// Another organisation has claimed the name.
    ClaimedAway,
    /// The records are right, and another organisation holds the name.
    HeldElsewhere,
    /// Not all required records are right; the sentence says how many are not.
    NotVerified(String),
    /// No key of ours was seen in DNS to sign with.
    NoKey,
    /// Too much of its mail came back.
    Paused(Pause),
    /// The warm-up allows no more today.
    WarmupUsedUp(Warmup),
}

/// What is resumed and how, where a domain is paused for this: resuming it alone does not last where its tenant is over the
/// limits.
pub(crate) const fn to_resume(cause: PauseCause) -> &'static str {
    match cause {
        PauseCause::Domain => "it with POST /api/v1/domains/{id}/resume",
        PauseCause::Tenant => "its tenant with POST /api/v1/tenants/{id}/resume",
    }
}

impl Obstacle {
    /// The code that sending is refused with.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Disabled(_) => "DOMAIN_DISABLED",
            Self::ClaimedAway | Self::HeldElsewhere => "DOMAIN_HELD_ELSEWHERE",
            Self::NotVerified(_) | Self::NoKey => "DOMAIN_PENDING_VERIFICATION",
            Self::Paused(_) => "SENDING_PAUSED",
            Self::WarmupUsedUp(_) => "WARMUP_LIMIT_EXCEEDED",
        }
    }

    /// What stands in the way, for people; begins in lower case and has no full stop.
    pub fn reason(&self) -> String {
        match self {
            Self::Disabled(None) => "the domain is disabled".to_owned(),
            Self::Disabled(Some(reason)) => format!("the domain is disabled: {reason}"),
            Self::ClaimedAway => "another organisation has claimed the name by a proof in its DNS".to_owned(),
            Self::HeldElsewhere => "another organisation on this platform holds the name".to_owned(),
            Self::NotVerified(reason) => reason.clone(),
            Self::NoKey => "it has no DKIM key to sign with that was seen in DNS".to_owned(),
            Self::Paused(pause) => format!("its sending is paused: {}", pause.reason),
            Self::WarmupUsedUp(Warmup { today, sent_today }) => format!(
                "it is warming up and has sent {sent_today} of the {} messages of day {}",
                today.cap, today.day
            ),
        }
    }

    /// What to do next, for people; a sentence.
    pub fn fix(&self) -> String {
        match self {
            Self::Disabled(_) => {
                "Enable it with POST /api/v1/domains/{id}/enable when the cause is gone.".to_owned()
            }
            Self::ClaimedAway => {
                "Delete the domain and add it again: it gets new records, and can be claimed back \
                                  by whoever controls its DNS."
                    .to_owned()
            }
            Self::HeldElsewhere => {
                "Claim it with POST /api/v1/domains/{id}/claim and publish the record that the \
                                    answer names. When every name server shows it, the name is yours."
                    .to_owned()
            }
            Self::NotVerified(_) => {
                "Publish the records that the domain's report names, then verify.".to_owned()
            }
            Self::NoKey => "Add the domain with a profile that has a DKIM key.".to_owned(),
            Self::Paused(pause) => format!(
                "Look where these addresses came from and take them out. Then have an admin of the organisation resume {}.",
                to_resume(pause.cause)
            ),
            Self::WarmupUsedUp(Warmup { today, .. }) => format!(
                "Send the rest after {}, or end the warm-up (warmup_days 0) where the domain has a reputation already.",
                today.resets_at
            ),
        }
    }

    /// Where its code is documented, relative to the instance.
    pub fn docs(&self) -> String {
        format!("/docs/errors/{}", self.code())
    }

    /// The refusal of a message from the domain.
    pub(crate) fn refusal(self, view: &DomainView, now: Timestamp) -> Error {
        let domain = view.domain.name.clone();
        match self {
            Self::Disabled(_) => Error::DomainDisabled(domain),
            Self::ClaimedAway => Error::ClaimedAway(domain),
            Self::HeldElsewhere => Error::DomainHeldElsewhere(domain),
            Self::WarmupUsedUp(warmup) => view.warmup_refusal(warmup, now),
            Self::Paused(pause) => Error::SendingPaused { domain, pause },
            Self::NotVerified(_) | Self::NoKey => {
                Error::DomainPendingVerification { domain, reason: self.reason() }
            }
        }
    }
}

impl DomainView {
    /// What stands in the way of sending, the first one that it is refused for first; nothing means that it can.
    pub fn obstacles(&self) -> Vec<Obstacle> {
        let mut obstacles = Vec::new();
        match self.domain.status {
            DomainStatus::Disabled if self.domain.claimed_at.is_some() => {
                obstacles.push(Obstacle::ClaimedAway);
            }
            DomainStatus::Disabled => obstacles.push(Obstacle::Disabled(self.domain.disabled_reason.clone())),
            DomainStatus::Pending | DomainStatus::Failed => {
                if !self.domain.held_elsewhere || self.report.verdict != Verdict::Pass {
                    obstacles.push(Obstacle::NotVerified(self.unverified_reason()));
                }
                if self.domain.held_elsewhere {
                    obstacles.push(Obstacle::HeldElsewhere);
                }
            }
            DomainStatus::Verified => {}
        }
        // What is not verified has had no key seen yet as a rule: that says nothing more.
        if self.domain.status == DomainStatus::Verified && !self.has_usable_key() {
            obstacles.push(Obstacle::NoKey);
        }
        obstacles.extend(self.domain.paused.clone().map(Obstacle::Paused));
        obstacles.extend(self.warmup.filter(Warmup::is_used_up).map(Obstacle::WarmupUsedUp));
        obstacles
    }

    /// Whether the domain has keys of ours, and one of them was seen in DNS.
    fn has_usable_key(&self) -> bool {
        !self.dkim_tokens.is_empty() && self.report.all().any(RecordReport::was_right_key)
    }

    pub(crate) fn unverified_reason(&self) -> String {
        let open: Vec<&RecordReport> = self
            .report
            .records
            .iter()
            .filter(|record| record.planned.required && record.status != RecordStatus::Verified)
            .collect();
        match open.as_slice() {
            [] => "its records were right at the last check; the next check will settle it".to_owned(),
            [one] => format!("the record at {} is not right yet ({})", one.planned.owner, one.status),
            [first, rest @ ..] => {
                format!(
                    "{} required records are not right yet, the first is the one at {}",
                    rest.len() + 1,
                    first.planned.owner
                )
            }
        }
    }
}
