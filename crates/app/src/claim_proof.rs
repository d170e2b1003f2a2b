//! Whether a claim's token is in DNS, and what comes next: pure functions over answers and time.
//!
//! The token proves that who claims a name writes its zone now. So nothing left over may show it, and nothing that others
//! write:
//!
//! - it is new for each claim, and nobody else's claim takes it;
//! - it is a TXT record at the name itself: no alias, no wildcard, no zone of its own below the name's zone;
//! - every name server has it, by those that the zone above delegates to and those that the zone names;
//! - two looks some minutes apart have seen it, and none between them has certainly not.

use diagnosis::{
    Observation,
    observation::{Says, Server},
    view::View,
};
use jiff::{SignedDuration, Timestamp};
use model::{DomainName, RecordData, RecordType};
use store::DomainClaim;

/// The label in front of the name.
pub(crate) const LABEL: &str = "_countersign-claim";

/// For how long a claim is open.
pub(crate) const OPEN: SignedDuration = SignedDuration::from_hours(7 * 24);

/// How long the token must have been seen.
pub(crate) const SETTLED: SignedDuration = SignedDuration::from_mins(10);

/// What a look at DNS found of a claim's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Every name server has it.
    Seen,
    /// There is nothing at the name.
    Missing,
    /// There are TXT records, and none is it.
    OtherText,
    /// There is an alias.
    Alias,
    /// It is a wildcard's.
    Wildcard,
    /// The name is a zone of its own.
    OwnZone,
    /// Some name servers have it and some have not.
    NotEverywhere,
    /// Some name servers gave no answer, or nobody could tell which they are.
    Unanswered,
}

impl Found {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Seen,
        Self::Missing,
        Self::OtherText,
        Self::Alias,
        Self::Wildcard,
        Self::OwnZone,
        Self::NotEverywhere,
        Self::Unanswered,
    ];

    /// The word for programs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Seen => "seen",
            Self::Missing => "missing",
            Self::OtherText => "other_text",
            Self::Alias => "alias",
            Self::Wildcard => "wildcard",
            Self::OwnZone => "own_zone",
            Self::NotEverywhere => "not_everywhere",
            Self::Unanswered => "unanswered",
        }
    }

    /// Reads the word back.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|found| found.as_str() == word)
    }

    /// What was found, and what to do, for people; a sentence.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Seen => {
                "Every name server has the record. It is looked at once more in ten minutes; leave it in place."
            }
            Self::Missing => "The record is not there yet.",
            Self::OtherText => "There is another text at the name. Add this one, exactly as it stands here.",
            Self::Alias => {
                "There is an alias (CNAME or DNAME) at the name. Publish a TXT record of its own in its place."
            }
            Self::Wildcard => {
                "The text comes from a wildcard record. Publish a TXT record at the name itself."
            }
            Self::OwnZone => {
                "The name is delegated to a zone of its own. Publish the record in the domain's own zone."
            }
            Self::NotEverywhere => "Some name servers have the record and some do not yet.",
            Self::Unanswered => {
                "Not every name server of the domain gave an answer. All of them must show the record; take those that do \
                 not work out of the delegation."
            }
        }
    }

    /// Whether it says for certain that the proof is not there.
    const fn is_certain(self) -> bool {
        !matches!(self, Self::Unanswered)
    }
}

/// The text of the record.
pub(crate) fn text_of(token: &str) -> String {
    format!("countersign-claim={token}")
}

/// What an observation shows of the record. `beside` is what name servers say of names beside it that nobody has made.
pub(crate) fn judge(
    observation: &Observation,
    domain: &DomainName,
    owner: &DomainName,
    token: &str,
    most: usize,
    beside: &[Says],
) -> Found {
    let view = View::new(observation);
    let (Some(zone), Some(cut)) = (view.zone_of(domain), view.zone_of(owner)) else {
        return Found::Unanswered;
    };
    if cut != zone {
        return Found::OwnZone;
    }
    let wanted = text_of(token);
    let is_it = |data: &RecordData| matches!(data, RecordData::Txt(text) if text.joined() == wanted);
    let has_it = |says: &Says| matches!(says, Says::Records(records) if records.iter().any(is_it));
    let texts = view.heard(owner, RecordType::Txt);
    let is_alias =
        |says: &Says| matches!(says, Says::Alias { .. } | Says::AliasLoop(_) | Says::SeveralAliases(_));
    let aliases =
        view.heard(owner, RecordType::Cname).iter().filter(|heard| heard.says.is_positive()).count();
    if aliases > 0 || texts.iter().any(|heard| is_alias(&heard.says)) {
        return Found::Alias;
    }
    let names: Vec<_> = view.name_servers(&zone).into_iter().take(most).collect();
    let (mut right, mut wrong, mut silent, mut other) = (0, 0, names.is_empty(), false);
    for name in &names {
        let of_it = |server: &Server| matches!(server, Server::Authority { name: asked, zone: of, .. } if asked == name && *of == zone);
        let mut answered = false;
        for heard in texts.iter().filter(|heard| heard.is_certain() && of_it(heard.server())) {
            answered = true;
            if has_it(&heard.says) {
                right += 1;
            } else {
                wrong += 1;
                other |= heard.says.is_positive();
            }
        }
        silent |= !answered;
    }
    match (right, wrong) {
        (0, 1..) if other => Found::OtherText,
        (0, 1..) => Found::Missing,
        (1.., 1..) => Found::NotEverywhere,
        _ if silent => Found::Unanswered,
        _ if beside.iter().any(has_it) => Found::Wildcard,
        _ if !beside.iter().any(|says| says.is_negative() || says.is_positive()) => Found::Unanswered,
        _ => Found::Seen,
    }
}

/// What comes after a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// The time is over.
    Expired,
    /// The proof is there.
    Proven,
    /// It is looked at again.
    Again {
        /// Since when the token was seen at every look.
        first_seen_at: Option<Timestamp>,
        /// When.
        at: Timestamp,
    },
}

/// Decides what comes after a look.
pub(crate) fn next(claim: &DomainClaim, found: Found, now: Timestamp) -> Next {
    if now >= claim.expires_at {
        return Next::Expired;
    }
    let later = |by: SignedDuration| now.checked_add(by).unwrap_or(Timestamp::MAX);
    let settles = |first: Timestamp| first.checked_add(SETTLED).unwrap_or(Timestamp::MAX);
    if found == Found::Seen {
        let first = claim.first_seen_at.unwrap_or(now);
        if now >= settles(first) {
            return Next::Proven;
        }
        return Next::Again { first_seen_at: Some(first), at: settles(first) };
    }
    let first_seen_at = claim.first_seen_at.filter(|_| !found.is_certain());
    let age = now.duration_since(claim.created_at);
    let pause = if first_seen_at.is_some() || age < SignedDuration::from_hours(1) {
        SignedDuration::from_secs(30)
    } else if age < SignedDuration::from_hours(24) {
        SignedDuration::from_mins(5)
    } else {
        SignedDuration::from_mins(30)
    };
    Next::Again { first_seen_at, at: later(pause).min(claim.expires_at) }
}

#[cfg(test)]
mod tests;
