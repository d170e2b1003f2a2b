//! Recognising DNS hosts by the names of a zone's name servers.

use super::{Host, all, generic};
use model::{Confidence, DomainName};

/// A host that a zone may be at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// The host.
    pub host: &'static Host,
    /// How sure that is.
    pub confidence: Confidence,
}

/// The hosts that a zone with these name servers may be at, likeliest first; never empty.
///
/// Confirmed: all servers belong to one host, and to no other. Suspected: servers that hosts share, or servers of
/// several hosts. None that is known: the generic guide, and never a guess.
pub fn detect(name_servers: &[DomainName]) -> Vec<Candidate> {
    let mut matches: Vec<(usize, &'static Host)> = all()
        .iter()
        .map(|host| (name_servers.iter().filter(|server| host.serves_from(server)).count(), host))
        .filter(|(count, _)| *count > 0)
        .collect();
    // Stable: among hosts that share servers the order of the files stays.
    matches.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    match matches.as_slice() {
        [] => vec![Candidate { host: generic(), confidence: Confidence::Suspected }],
        [(count, host)] if *count == name_servers.len() => {
            vec![Candidate { host, confidence: Confidence::Confirmed }]
        }
        several => {
            several.iter().map(|(_, host)| Candidate { host, confidence: Confidence::Suspected }).collect()
        }
    }
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

    fn found(servers: &[&str]) -> Vec<(&'static str, Confidence)> {
        let servers: Vec<_> = servers.iter().map(|text| DomainName::parse(text).unwrap()).collect();
        detect(&servers).into_iter().map(|c| (c.host.id.as_str(), c.confidence)).collect()
    }

    #[test]
    fn servers_of_one_host_confirm_it() {
        use Confidence::Confirmed;
        for (servers, id) in [
            (&["ada.ns.cloudflare.com", "bob.ns.cloudflare.com"][..], "cloudflare"),
            (&["ns-1234.awsdns-12.co.uk", "ns-1.awsdns-00.com", "ns-600.awsdns-11.net"], "route53"),
            (&["ns47.domaincontrol.com", "ns48.domaincontrol.com"], "godaddy"),
            (&["dns1.registrar-servers.com"], "namecheap"),
            (&["ns1.vercel-dns.com"], "vercel"),
            (&["ns1024.ui-dns.biz", "ns1044.ui-dns.de"], "ionos"),
            (&["ns1-04.azure-dns.com", "ns4-04.azure-dns.info"], "azure"),
            (&["hydrogen.ns.hetzner.com", "helium.ns.hetzner.de"], "hetzner"),
            (&["ns1.dnsimple.com", "ns2.dnsimple-edge.net"], "dnsimple"),
            (&["ns1.desec.io", "ns2.desec.org"], "desec"),
            (&["ns1.systemdns.com"], "opensrs"),
            (&["ns1.playground.test"], "playground"),
        ] {
            assert_eq!(found(servers), [(id, Confirmed)]);
        }
    }

    #[test]
    fn shared_and_mixed_servers_give_several_suspects() {
        use Confidence::Suspected;
        assert_eq!(
            found(&["ns-cloud-a1.googledomains.com"]),
            [("google-cloud", Suspected), ("squarespace", Suspected)]
        );
        assert_eq!(
            found(&["dns1.p03.nsone.net", "dns2.p03.nsone.net"]).iter().map(|f| f.0).collect::<Vec<_>>(),
            ["netlify", "ns1", "squarespace"]
        );
        assert_eq!(
            found(&["ns1.hover.com", "ada.ns.cloudflare.com", "bob.ns.cloudflare.com"]),
            [("cloudflare", Suspected), ("hover", Suspected)]
        );
        assert_eq!(found(&["ada.ns.cloudflare.com", "ns1.acme.test"]), [("cloudflare", Suspected)]);
    }

    #[test]
    fn what_is_not_known_is_not_guessed() {
        for servers in [&[][..], &["ns1.acme.test"], &["ns1.dnsimple-edge.evil.test"], &["ns.cloudflare.com"]]
        {
            assert_eq!(found(servers), [("generic", Confidence::Suspected)]);
        }
    }
}
