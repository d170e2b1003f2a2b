//! Recognising DNS hosts by the names of a zone's name servers.
//!
//! Several hosts share the servers of one operator, a zone can be served by two hosts at once while it moves, and
//! name servers can have names of their own. So the answer is a list of candidates with how sure it is, and a host
//! that is not known is never guessed.

use super::{Host, all, generic};
use model::DomainName;
use serde::{Deserialize, Serialize};

/// How sure it is where a zone is hosted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Certainty {
    /// All name servers are of one host, and of no other.
    Confirmed,
    /// One host fits best: it takes Domain Connect, as the zone says it does, or some servers are of no known host.
    Likely,
    /// Hosts that share these name servers: one of them.
    Shared,
    /// Name servers of several hosts: each of them serves the zone.
    Mixed,
    /// No name server is of a known host.
    Unknown,
}

impl Certainty {
    /// The word for it in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Likely => "likely",
            Self::Shared => "shared",
            Self::Mixed => "mixed",
            Self::Unknown => "unknown",
        }
    }
}

/// Where a zone is hosted, as far as its name servers tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detection {
    /// How sure that is.
    pub certainty: Certainty,
    /// The hosts, likeliest first; none when it is unknown.
    pub candidates: Vec<&'static Host>,
}

impl Detection {
    /// The host whose guide applies: the only candidate, else the generic one.
    pub fn guide(&self) -> &'static Host {
        match self.candidates.as_slice() {
            [one] => one,
            _ => generic(),
        }
    }

    /// The names for a sentence: "Netlify or NS1", "Cloudflare and Hover"; empty when it is unknown.
    pub fn names(&self) -> String {
        let names: Vec<&str> = self.candidates.iter().map(|host| host.name.as_str()).collect();
        names.join(if self.certainty == Certainty::Mixed { " and " } else { " or " })
    }

    /// What has to be said where it is not one host, in one sentence.
    pub const fn note(&self) -> Option<&'static str> {
        match self.certainty {
            Certainty::Shared => Some("These DNS hosts share name servers: it is one of them."),
            Certainty::Mixed => Some(
                "The zone has name servers of several DNS hosts, as while it moves: records have to be at each of them.",
            ),
            Certainty::Confirmed | Certainty::Likely | Certainty::Unknown => None,
        }
    }
}

/// Where a zone with these name servers is hosted. `domain_connect` is whether the zone has a `_domainconnect` record,
/// which tells hosts that share name servers from each other.
pub fn detect(name_servers: &[DomainName], domain_connect: bool) -> Detection {
    let mut found: Vec<(Vec<&DomainName>, &'static Host)> = all()
        .iter()
        .map(|host| (name_servers.iter().filter(|server| host.serves_from(server)).collect(), host))
        .filter(|(servers, _): &(Vec<_>, _)| !servers.is_empty())
        .collect();
    // Stable: among hosts that share servers the order of their ids stays.
    found.sort_by_key(|(servers, _)| std::cmp::Reverse(servers.len()));
    let Some((most, _)) = found.first() else {
        return Detection { certainty: Certainty::Unknown, candidates: Vec::new() };
    };
    let most = most.clone();
    let all_known = most.len() == name_servers.len();
    // A host whose servers are among those of a likelier one is not in it: Netlify has some of those of NS1.
    found.retain(|(servers, _)| *servers == most || servers.iter().any(|server| !most.contains(server)));
    let is_mixed = found.iter().any(|(servers, _)| *servers != most);
    let mut candidates: Vec<&'static Host> = found.into_iter().map(|(_, host)| host).collect();
    if is_mixed {
        return Detection { certainty: Certainty::Mixed, candidates };
    }
    let several = candidates.len() > 1;
    if several && domain_connect && candidates.iter().any(|host| host.domain_connect) {
        candidates.retain(|host| host.domain_connect);
    }
    let certainty = match candidates.len() {
        1 if all_known && !several => Certainty::Confirmed,
        1 => Certainty::Likely,
        _ => Certainty::Shared,
    };
    Detection { certainty, candidates }
}

impl Host {
    fn serves_from(&self, server: &DomainName) -> bool {
        self.name_servers.iter().any(|pattern| matches_name(pattern, server.as_str()))
    }
}

/// Label by label, so that a `*` never reaches into another owner's domain.
fn matches_name(pattern: &str, name: &str) -> bool {
    let (mut patterns, mut labels) = (pattern.split('.'), name.split('.'));
    loop {
        match (patterns.next(), labels.next()) {
            (None, None) => return true,
            (Some(pattern), Some(label)) if matches_label(pattern.as_bytes(), label.as_bytes()) => {}
            _ => return false,
        }
    }
}

/// Wildcard match with one point of return, so that no input makes it slow.
fn matches_label(pattern: &[u8], label: &[u8]) -> bool {
    let (mut p, mut l) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while l < label.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, l));
                p += 1;
            }
            Some(&c) if c == b'?' || c == label[l] => {
                p += 1;
                l += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    l = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(servers: &[&str], domain_connect: bool) -> (Certainty, Vec<&'static str>) {
        let servers: Vec<_> = servers.iter().map(|text| DomainName::parse(text).unwrap()).collect();
        let detection = detect(&servers, domain_connect);
        (detection.certainty, detection.candidates.iter().map(|host| host.id.as_str()).collect())
    }

    #[test]
    fn servers_of_one_host_confirm_it() {
        for (servers, id) in [
            (&["ada.ns.cloudflare.com", "bob.ns.cloudflare.com"][..], "cloudflare"),
            (&["ns-1234.awsdns-12.co.uk", "ns-1.awsdns-00.com", "ns-600.awsdns-11.net"], "route53"),
            (&["ns47.domaincontrol.com", "ns48.domaincontrol.com"], "godaddy"),
            (&["dns1.registrar-servers.com"], "namecheap"),
            (&["ns1.namecheap.com", "ns2.namecheap.com"], "namecheap"),
            (&["ns1.vercel-dns.com"], "vercel"),
            (&["ns8001.hostgator.com", "ns8002.hostgator.com"], "hostgator"),
            (&["ns6371.websitewelcome.com"], "hostgator"),
            (&["ns1.bluehost.com", "ns2.bluehost.com"], "bluehost"),
            (&["ns1.digitalocean.com", "ns3.digitalocean.com"], "digitalocean"),
            (&["hydrogen.ns.hetzner.com", "helium.ns.hetzner.de"], "hetzner"),
            (&["dns10.ovh.net", "ns10.ovh.net"], "ovh"),
            (&["dns200.anycast.me"], "ovh"),
            (&["ns-12-a.gandi.net", "ns-9-b.gandi.net"], "gandi"),
            (&["ns1024.ui-dns.biz", "ns1044.ui-dns.de"], "ionos"),
            (&["curitiba.ns.porkbun.com"], "porkbun"),
            (&["maceio.porkbun.com"], "porkbun"),
            (&["ns1-04.azure-dns.com", "ns4-04.azure-dns.info"], "azure"),
            (&["ns4.wixdns.net", "ns5.wixdns.net"], "wix"),
            (&["ns1.hover.com"], "hover"),
            (&["ns1abc.name.com"], "name-com"),
            (&["ns1.linode.com", "ns5.linode.com"], "linode"),
            (&["ns1.dnsimple.com", "ns2.dnsimple-edge.net"], "dnsimple"),
            (&["ns1.desec.io", "ns2.desec.org"], "desec"),
            (&["ns1.systemdns.com"], "opensrs"),
            (&["ns1.playground.test"], "playground"),
        ] {
            assert_eq!(found(servers, false), (Certainty::Confirmed, vec![id]), "{servers:?}");
        }
    }

    #[test]
    fn hosts_that_share_name_servers_are_all_named() {
        let google = ["ns-cloud-a1.googledomains.com", "ns-cloud-a2.googledomains.com"];
        assert_eq!(found(&google, false), (Certainty::Shared, vec!["google-cloud", "squarespace"]));
        let netlify = ["dns1.p03.nsone.net", "dns2.p03.nsone.net"];
        assert_eq!(found(&netlify, false), (Certainty::Shared, vec!["netlify", "ns1", "squarespace"]));
        assert_eq!(found(&["dns1.p12.nsone.net"], false), (Certainty::Shared, vec!["ns1", "squarespace"]));
    }

    #[test]
    fn domain_connect_tells_them_from_each_other() {
        assert_eq!(found(&["ns-cloud-a1.googledomains.com"], true), (Certainty::Likely, vec!["squarespace"]));
        assert_eq!(found(&["dns1.p03.nsone.net"], true), (Certainty::Likely, vec!["squarespace"]));
        // It says nothing against a host that is certain.
        assert_eq!(found(&["ns1.hover.com"], true), (Certainty::Confirmed, vec!["hover"]));
    }

    #[test]
    fn name_servers_of_two_hosts_name_both() {
        let moving = ["ns1.hover.com", "ada.ns.cloudflare.com", "bob.ns.cloudflare.com"];
        assert_eq!(found(&moving, false), (Certainty::Mixed, vec!["cloudflare", "hover"]));
        let moving = ["ns-cloud-a1.googledomains.com", "ns1.vercel-dns.com"];
        let (certainty, candidates) = found(&moving, false);
        assert_eq!(certainty, Certainty::Mixed);
        assert!(["google-cloud", "squarespace", "vercel"].iter().all(|id| candidates.contains(id)));
    }

    #[test]
    fn a_known_host_beside_servers_of_no_known_one_is_likely() {
        let partly = ["ada.ns.cloudflare.com", "ns1.acme.test"];
        assert_eq!(found(&partly, false), (Certainty::Likely, vec!["cloudflare"]));
    }

    #[test]
    fn what_is_not_known_is_not_guessed() {
        for servers in [
            &[][..],
            &["ns1.acme.test"],
            &["ns1.dnsimple-edge.evil.test"],
            &["ns.cloudflare.com"],
            &["ada.ns.cloudflare.com.evil.test"],
            &["x.evil.ns.cloudflare.com"],
        ] {
            assert_eq!(found(servers, true), (Certainty::Unknown, vec![]));
        }
    }

    #[test]
    fn names_read_as_a_choice_or_as_both() {
        let names = |servers: &[&str]| {
            let servers: Vec<_> = servers.iter().map(|text| DomainName::parse(text).unwrap()).collect();
            detect(&servers, false).names()
        };
        assert_eq!(names(&["ns-cloud-a1.googledomains.com"]), "Google Cloud DNS or Squarespace Domains");
        assert_eq!(names(&["ns1.hover.com", "ada.ns.cloudflare.com"]), "Cloudflare and Hover");
        assert_eq!(names(&[]), "");
    }
}
