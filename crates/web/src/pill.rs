//! Statuses as small labels: a word, a shape and a colour, so that none of the three is needed alone.

use app::store::{DeliveryState, Health};
use askama::filters::HtmlSafe;
use model::{CheckStatus, DomainStatus, RecordStatus};
use std::fmt;

/// How a status is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Warn,
    Bad,
    Wait,
    Muted,
}

impl Tone {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Wait => "wait",
            Self::Muted => "muted",
        }
    }

    /// The path of a shape in a field of 16 by 16.
    const fn shape(self) -> &'static str {
        match self {
            Self::Good => "M3 8.5l3.2 3.2L13 4.9",
            Self::Warn => "M8 2.5 14 13H2zM8 6.5v3M8 11.2v.1",
            Self::Bad => "M4.2 4.2l7.6 7.6M11.8 4.2l-7.6 7.6",
            Self::Wait => "M8 2.2a5.8 5.8 0 1 1 0 11.6A5.8 5.8 0 0 1 8 2.2zM8 5v3.2l2 1.4",
            Self::Muted => "M4 8h8",
        }
    }
}

/// A status as it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pill {
    pub tone: Tone,
    pub word: &'static str,
}

impl Pill {
    pub const fn new(tone: Tone, word: &'static str) -> Self {
        Self { tone, word }
    }
}

impl fmt::Display for Pill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "<span class=\"pill pill-{}\"><svg viewBox=\"0 0 16 16\" aria-hidden=\"true\"><path d=\"{}\"/></svg>{}</span>",
            self.tone.as_str(),
            self.tone.shape(),
            self.word
        )
    }
}

// All of it is text of ours: the word is a constant.
impl HtmlSafe for Pill {}

impl From<DomainStatus> for Pill {
    fn from(status: DomainStatus) -> Self {
        match status {
            DomainStatus::Pending => Self::new(Tone::Wait, "Pending"),
            DomainStatus::Verified => Self::new(Tone::Good, "Verified"),
            DomainStatus::Failed => Self::new(Tone::Bad, "Failed"),
            DomainStatus::Disabled => Self::new(Tone::Muted, "Disabled"),
        }
    }
}

impl From<RecordStatus> for Pill {
    fn from(status: RecordStatus) -> Self {
        match status {
            RecordStatus::Missing => Self::new(Tone::Bad, "Missing"),
            RecordStatus::Pending => Self::new(Tone::Wait, "Pending"),
            RecordStatus::Verified => Self::new(Tone::Good, "Verified"),
            RecordStatus::Failed => Self::new(Tone::Bad, "Failed"),
            RecordStatus::Unknown => Self::new(Tone::Muted, "Unknown"),
        }
    }
}

impl From<CheckStatus> for Pill {
    fn from(status: CheckStatus) -> Self {
        match status {
            CheckStatus::Missing => Self::new(Tone::Muted, "Missing"),
            CheckStatus::Pending => Self::new(Tone::Wait, "Pending"),
            CheckStatus::Verified => Self::new(Tone::Good, "Verified"),
            CheckStatus::Failed => Self::new(Tone::Bad, "Failed"),
        }
    }
}

impl From<DeliveryState> for Pill {
    fn from(state: DeliveryState) -> Self {
        match state {
            DeliveryState::Queued => Self::new(Tone::Wait, "Queued"),
            DeliveryState::Delivered => Self::new(Tone::Good, "Delivered"),
            DeliveryState::Deferred => Self::new(Tone::Warn, "Deferred"),
            DeliveryState::Failed => Self::new(Tone::Bad, "Failed"),
        }
    }
}

/// A label only where something is to be mended.
pub(crate) fn health(health: Health) -> Option<Pill> {
    match health {
        Health::Ok => None,
        Health::Warning => Some(Pill::new(Tone::Warn, "Needs attention")),
    }
}
