//! Policy records (RFC 9989 §4.7).

use crate::tag_list::{self, clip, is_fws};
use model::EmailAddress;
use serde::{Deserialize, Serialize};

/// What the owner asks receivers to do with mail that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// Nothing.
    None,
    /// Treat it with suspicion.
    Quarantine,
    /// Reject it.
    Reject,
}

impl std::fmt::Display for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::None => "none",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        })
    }
}

/// `adkim=` and `aspf=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlignmentMode {
    /// The same organizational domain.
    Relaxed,
    /// The same domain.
    Strict,
}

/// `psd=`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PublicSuffix {
    /// `y`: a public suffix; organizational domains are one label below.
    Yes,
    /// `n`: an organizational domain, whatever is above.
    No,
    /// `u`, or not said.
    Undeclared,
}

/// One address for reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportUri {
    /// As written, without the removed `!size`.
    pub uri: String,
    /// The mailbox of a `mailto:` URI.
    pub address: Option<EmailAddress>,
}

/// A tag whose value is not valid, or that nobody has defined; receivers ignore it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IgnoredTag {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A policy record that receivers act on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyRecord {
    /// `p=`; none when it is missing or not valid and reports are asked for (RFC 9989 §4.7).
    pub policy: Policy,
    /// Whether `policy` is [`Policy::None`] only because `p=`, `sp=` or `np=` cannot be used.
    pub policy_defaulted: bool,
    /// `sp=`
    pub subdomain_policy: Option<Policy>,
    /// `np=`
    pub nonexistent_policy: Option<Policy>,
    /// `adkim=`
    pub dkim_alignment: AlignmentMode,
    /// `aspf=`
    pub spf_alignment: AlignmentMode,
    /// `rua=`
    pub aggregate_reports: Vec<ReportUri>,
    /// `ruf=`
    pub failure_reports: Vec<ReportUri>,
    /// `fo=`, each of `0`, `1`, `d`, `s`.
    pub failure_options: Vec<String>,
    /// `psd=`
    pub public_suffix: PublicSuffix,
    /// `t=y`: the policy is being tested and is to be applied one level lower.
    pub testing: bool,
    /// Tags that RFC 9989 removed: `pct`, `rf`, `ri`.
    pub removed_tags: Vec<String>,
    /// What receivers ignore.
    pub ignored_tags: Vec<IgnoredTag>,
}

/// Why a text is not a policy record that receivers act on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum PolicyRecordError {
    /// It does not begin with `v=DMARC1`, which is compared with case.
    #[error("it does not begin with \"v=DMARC1\"")]
    NotDmarc,
    /// Not a list of tags.
    #[error("it is not a list of tags: {0}")]
    Syntax(String),
    /// Neither a usable policy nor an address for reports (RFC 9989 §4.7).
    #[error("it has no valid \"p=\" and no address for reports, so receivers do nothing with it")]
    NoPolicy,
}

/// Whether a text claims to be a DMARC record: `v=DMARC1` comes first, in exactly this case.
pub fn is_dmarc_record(text: &str) -> bool {
    if !text.trim_start_matches(is_fws).starts_with('v') {
        return false;
    }
    let first = text.split(';').next().unwrap_or_default();
    first.split_once('=').is_some_and(|(name, value)| {
        name.trim_matches(is_fws) == "v" && value.trim_matches(is_fws) == "DMARC1"
    })
}

impl PolicyRecord {
    /// Parses the joined text of a TXT record.
    pub fn parse(text: &str) -> Result<Self, PolicyRecordError> {
        if !is_dmarc_record(text) {
            return Err(PolicyRecordError::NotDmarc);
        }
        let tags = tag_list::parse(text).map_err(|error| PolicyRecordError::Syntax(error.to_string()))?;
        let mut record = Self {
            policy: Policy::None,
            policy_defaulted: false,
            subdomain_policy: None,
            nonexistent_policy: None,
            dkim_alignment: AlignmentMode::Relaxed,
            spf_alignment: AlignmentMode::Relaxed,
            aggregate_reports: Vec::new(),
            failure_reports: Vec::new(),
            failure_options: vec!["0".to_owned()],
            public_suffix: PublicSuffix::Undeclared,
            testing: false,
            removed_tags: Vec::new(),
            ignored_tags: Vec::new(),
        };
        let mut policy = None;
        let mut unusable = false;
        for tag in &tags[1..] {
            let understood = match tag.name {
                "p" => set_some(&mut policy, parse_policy(tag.value)),
                "sp" => set_some(&mut record.subdomain_policy, parse_policy(tag.value)),
                "np" => set_some(&mut record.nonexistent_policy, parse_policy(tag.value)),
                _ => record.set(tag.name, tag.value),
            };
            if !understood {
                unusable |= matches!(tag.name, "p" | "sp" | "np");
                record.ignored_tags.push(IgnoredTag { name: clip(tag.name), value: clip(tag.value) });
            }
        }
        match policy {
            Some(policy) if !unusable => record.policy = policy,
            // RFC 9989 §4.7: as if the record were "p=none", provided that reports are asked for.
            _ if !record.aggregate_reports.is_empty() => {
                record.policy_defaulted = true;
                record.subdomain_policy = None;
                record.nonexistent_policy = None;
            }
            _ => return Err(PolicyRecordError::NoPolicy),
        }
        Ok(record)
    }

    /// Sets a tag other than the policies; `false` when it is to be ignored.
    fn set(&mut self, name: &str, value: &str) -> bool {
        match name {
            "adkim" => set(&mut self.dkim_alignment, parse_mode(value)),
            "aspf" => set(&mut self.spf_alignment, parse_mode(value)),
            "rua" => set_uris(&mut self.aggregate_reports, value),
            "ruf" => set_uris(&mut self.failure_reports, value),
            "fo" => set(&mut self.failure_options, parse_options(value)),
            "psd" => set(&mut self.public_suffix, parse_psd(value)),
            "t" => set(&mut self.testing, parse_flag(value)),
            "pct" | "rf" | "ri" => {
                self.removed_tags.push(name.to_owned());
                true
            }
            _ => false,
        }
    }
}

fn set<T>(slot: &mut T, value: Option<T>) -> bool {
    match value {
        Some(value) => {
            *slot = value;
            true
        }
        None => false,
    }
}

fn set_some<T>(slot: &mut Option<T>, value: Option<T>) -> bool {
    set(slot, value.map(Some))
}

/// Keeps the valid ones; `false` when one is not.
fn set_uris(slot: &mut Vec<ReportUri>, value: &str) -> bool {
    let uris: Vec<Option<ReportUri>> = value.split(',').map(ReportUri::parse).collect();
    let all = uris.iter().all(Option::is_some);
    *slot = uris.into_iter().flatten().collect();
    all
}

fn parse_policy(value: &str) -> Option<Policy> {
    match value.to_ascii_lowercase().as_str() {
        "none" => Some(Policy::None),
        "quarantine" => Some(Policy::Quarantine),
        "reject" => Some(Policy::Reject),
        _ => None,
    }
}

fn parse_mode(value: &str) -> Option<AlignmentMode> {
    match value {
        "r" | "R" => Some(AlignmentMode::Relaxed),
        "s" | "S" => Some(AlignmentMode::Strict),
        _ => None,
    }
}

fn parse_psd(value: &str) -> Option<PublicSuffix> {
    match value {
        "y" | "Y" => Some(PublicSuffix::Yes),
        "n" | "N" => Some(PublicSuffix::No),
        "u" | "U" => Some(PublicSuffix::Undeclared),
        _ => None,
    }
}

fn parse_flag(value: &str) -> Option<bool> {
    match value {
        "y" | "Y" => Some(true),
        "n" | "N" => Some(false),
        _ => None,
    }
}

fn parse_options(value: &str) -> Option<Vec<String>> {
    let options: Vec<String> =
        value.split(':').map(|option| option.trim_matches(is_fws).to_ascii_lowercase()).collect();
    options.iter().all(|option| matches!(option.as_str(), "0" | "1" | "d" | "s")).then_some(options)
}

impl ReportUri {
    /// Parses one entry of `rua=` or `ruf=`; `None` when receivers cannot use it.
    pub fn parse(text: &str) -> Option<Self> {
        parse_uri(text.trim_matches(is_fws))
    }
}

/// Unknown schemes are kept: RFC 9989 asks for a valid URI and leaves other schemes to the future.
fn parse_uri(text: &str) -> Option<ReportUri> {
    // The size behind "!" was removed by RFC 9989; it must not make the address unusable.
    let uri = text.split_once('!').map_or(text, |(uri, _)| uri);
    let (scheme, rest) = uri.split_once(':')?;
    let scheme_valid = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    if !scheme_valid || rest.is_empty() || !rest.chars().all(|c| c.is_ascii_graphic()) {
        return None;
    }
    let mailto = scheme.eq_ignore_ascii_case("mailto");
    let address =
        if mailto { EmailAddress::parse(rest.split('?').next().unwrap_or(rest)).ok() } else { None };
    (!mailto || address.is_some()).then(|| ReportUri { uri: uri.to_owned(), address })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_full_record() {
        let record = PolicyRecord::parse(
            "v=DMARC1; p=Reject; sp=quarantine; np=none; adkim=s; aspf=r; psd=n; t=y; fo=1:d; pct=50; ri=1; x=y; \
             rua=mailto:a@example.com!10m, mailto:b@example.net; ruf=mailto:c@example.com",
        )
        .unwrap();
        assert_eq!(record.policy, Policy::Reject);
        assert_eq!(record.subdomain_policy, Some(Policy::Quarantine));
        assert_eq!(record.nonexistent_policy, Some(Policy::None));
        assert_eq!(
            (record.dkim_alignment, record.spf_alignment),
            (AlignmentMode::Strict, AlignmentMode::Relaxed)
        );
        assert_eq!((record.public_suffix, record.testing), (PublicSuffix::No, true));
        assert_eq!(record.removed_tags, ["pct", "ri"]);
        assert_eq!(record.ignored_tags, [IgnoredTag { name: "x".into(), value: "y".into() }]);
        let uris: Vec<&str> = record.aggregate_reports.iter().map(|uri| uri.uri.as_str()).collect();
        assert_eq!(uris, ["mailto:a@example.com", "mailto:b@example.net"]);
        let json = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<PolicyRecord>(&json).unwrap(), record);
    }

    #[test]
    fn the_version_is_exact_and_a_missing_policy_needs_reports() {
        assert_eq!(PolicyRecord::parse("v=dmarc1; p=none"), Err(PolicyRecordError::NotDmarc));
        assert_eq!(PolicyRecord::parse("p=none; v=DMARC1"), Err(PolicyRecordError::NotDmarc));
        assert_eq!(PolicyRecord::parse("v=DMARC10; p=none"), Err(PolicyRecordError::NotDmarc));
        assert_eq!(PolicyRecord::parse("v=DMARC1"), Err(PolicyRecordError::NoPolicy));
        assert_eq!(PolicyRecord::parse("v=DMARC1; p=rejekt"), Err(PolicyRecordError::NoPolicy));
        assert_eq!(PolicyRecord::parse("v=DMARC1; rua=nobody"), Err(PolicyRecordError::NoPolicy));
        for text in ["v=DMARC1; rua=mailto:a@b.example", "v=DMARC1;p=reject;sp=x;rua=mailto:a@b.example"] {
            let record = PolicyRecord::parse(text).unwrap();
            assert!(record.policy_defaulted && record.policy == Policy::None);
        }
        assert_eq!(PolicyRecord::parse("v = DMARC1 ; p = none ;").unwrap().policy, Policy::None);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "(v=DMARC1)?[ -~é;]{0,80}") {
            let _ = PolicyRecord::parse(&text);
        }
    }
}
