//! The mail exchanger is an address
//!
//! The MX record holds an IP address, a web address or a mail address where the name of a host belongs.
//!
//! # Why it matters
//!
//! Servers look for a host of that name, and there is none: bounces and replies are lost.
//!
//! # What to do
//!
//! 1. Replace the record by the one shown.
//!
//! # References
//!
//! - RFC 1035 §3.3.9
//! - RFC 5321 §5.1

use super::{Context, mx_wrong};
use crate::{
    finding::{Defect, Finding, NotHost},
    plan::Expected,
};
use model::DomainName;
use std::net::{Ipv4Addr, Ipv6Addr};

pub fn check(context: &Context<'_>) -> Option<Finding> {
    let Expected::Mx { preference, exchange, .. } = &context.record.expected else { return None };
    let (found, kind) =
        mx_wrong::exchangers(context).find_map(|found| Some((found.clone(), kind_of(found)?)))?;
    let (name, expected) = (context.record.owner.clone(), format!("{preference} {exchange}"));
    let defect = Defect::MxExchangeNotHost { name, expected, found, kind };
    Some(context.finding(defect, context.severity(), context.replace(mx_wrong::others(context))))
}

/// What a name is in place of one of a host. Names of hosts have letters, digits and hyphens in their labels.
fn kind_of(found: &DomainName) -> Option<NotHost> {
    let labels: Vec<Vec<u8>> = found.wire_labels();
    let text = labels.iter().map(|label| String::from_utf8_lossy(label)).collect::<Vec<_>>().join(".");
    if text.contains("//") || text.starts_with("http:") || text.starts_with("https:") {
        return Some(NotHost::Url);
    }
    if text.contains('@') {
        return Some(NotHost::MailAddress);
    }
    // The zone may have been appended to it. Brackets are how SMTP writes addresses (RFC 5321 §4.1.3).
    let bare = text.trim_start_matches('[');
    let four = bare.split('.').take(4).collect::<Vec<_>>().join(".");
    let is_v4 = four.trim_end_matches(']').parse::<Ipv4Addr>().is_ok();
    let first = bare.split('.').next().unwrap_or_default().trim_end_matches(']');
    (is_v4 || first.parse::<Ipv6Addr>().is_ok()).then_some(NotHost::IpAddress)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_hosts() {
        let kind = |labels: &[&str]| {
            kind_of(&DomainName::from_labels(labels.iter().map(|label| label.as_bytes())).unwrap())
        };
        for (labels, expected) in [
            (&["192", "0", "2", "1"][..], Some(NotHost::IpAddress)),
            (&["192", "0", "2", "1", "acme", "test"], Some(NotHost::IpAddress)),
            (&["192.0.2.1", "acme", "test"], Some(NotHost::IpAddress)),
            (&["[192", "0", "2", "1]"], Some(NotHost::IpAddress)),
            (&["2001:db8::1", "acme", "test"], Some(NotHost::IpAddress)),
            (&["https://mx", "send", "example"], Some(NotHost::Url)),
            (&["bounces@send", "example"], Some(NotHost::MailAddress)),
            (&["feedback", "send", "example"], None),
            (&["192", "0", "2", "in-addr", "arpa"], None),
            (&["1", "example"], None),
        ] {
            assert_eq!(kind(labels), expected, "{labels:?}");
        }
    }
}
