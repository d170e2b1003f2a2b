//! Statuses, severities and purposes, with the spelling that API, CLI, web and metrics share.

use serde::{Deserialize, Serialize};

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant),* }

        impl $name {
            /// All values, in their order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word in API, CLI and store.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }

            /// Reads the word back.
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == word)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    )*};
}

words! {
    /// Where a sender domain stands with its DNS records.
    DomainStatus {
        /// Added; its records have not all been seen yet.
        Pending = "pending",
        /// All required records were seen.
        Verified = "verified",
        /// 72 hours went by without, or a verified domain broke and stayed broken.
        Failed = "failed",
        /// Switched off by an operator.
        Disabled = "disabled",
    }

    /// The state of one mechanism (SPF, DKIM, DMARC, return path) of a domain.
    CheckStatus {
        /// No record of it is there.
        Missing = "missing",
        /// Some of it is there, or DNS gave no clear answer.
        Pending = "pending",
        /// It is there and right.
        Verified = "verified",
        /// It is there and wrong.
        Failed = "failed",
    }

    /// The state of one planned record.
    RecordStatus {
        /// The name has no such record.
        Missing = "missing",
        /// Seen at some name servers and not yet at others.
        Pending = "pending",
        /// Seen, and right.
        Verified = "verified",
        /// Seen, and wrong.
        Failed = "failed",
        /// DNS gave no answer that says anything.
        Unknown = "unknown",
    }

    /// The outcome of a check as a whole. Unknown never takes anything away from a domain.
    Verdict {
        /// All required records are right.
        Pass = "pass",
        /// At least one required record is wrong or missing, for certain.
        Fail = "fail",
        /// Nothing certain can be said.
        Unknown = "unknown",
    }

    /// How bad a finding is. The order is from harmless to bad.
    Severity {
        /// Good to know; nothing to do.
        Info = "info",
        /// Works, but should be mended.
        Warning = "warning",
        /// Stands in the way of verification or delivery.
        Error = "error",
    }

    /// How sure a finding is.
    Confidence {
        /// Seen.
        Confirmed = "confirmed",
        /// Concluded from what was seen; may be wrong.
        Suspected = "suspected",
    }

    /// What a record is for.
    Purpose {
        /// A DKIM key (RFC 6376).
        Dkim = "dkim",
        /// An SPF policy (RFC 7208).
        Spf = "spf",
        /// The envelope sender's host.
        ReturnPath = "return_path",
        /// A DMARC policy (RFC 9989).
        Dmarc = "dmarc",
        /// Mail that comes in.
        Inbound = "inbound",
        /// The delegation of a zone to us.
        Delegation = "delegation",
        /// Open and click tracking.
        Tracking = "tracking",
        /// Proof of control.
        Ownership = "ownership",
        /// Anything else that a template asks for.
        Other = "other",
    }
}
