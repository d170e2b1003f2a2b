//! What stops when a record is deleted or changed: a website behind an alias, mailboxes behind an MX record, another
//! service that signs. Said before the steps that take it away, with another way out.
//!
//! DNS does not show whether anybody uses a name. Where the target is known to be a website's or a mailbox provider's,
//! it is named; else it is asked.

use super::guide::say;
use crate::{
    paste::Step,
    shown::{list, value},
};
use diagnosis::{Defect, Finding};
use model::{DomainName, RecordType};

/// Names below which website hosts have their customers, and what those are called.
const WEBSITES: &[(&str, &str)] = &[
    ("myshopify.com", "Shopify"),
    ("wixdns.net", "Wix"),
    ("wixsite.com", "Wix"),
    ("squarespace.com", "Squarespace"),
    ("webflow.com", "Webflow"),
    ("wordpress.com", "WordPress.com"),
    ("wpengine.com", "WP Engine"),
    ("kinsta.cloud", "Kinsta"),
    ("weebly.com", "Weebly"),
    ("github.io", "GitHub Pages"),
    ("gitlab.io", "GitLab Pages"),
    ("pages.dev", "Cloudflare Pages"),
    ("workers.dev", "Cloudflare Workers"),
    ("netlify.app", "Netlify"),
    ("netlify.com", "Netlify"),
    ("netlifyglobalcdn.com", "Netlify"),
    ("vercel-dns.com", "Vercel"),
    ("vercel.app", "Vercel"),
    ("herokudns.com", "Heroku"),
    ("herokuapp.com", "Heroku"),
    ("fly.dev", "Fly.io"),
    ("onrender.com", "Render"),
    ("azurewebsites.net", "Azure"),
    ("azurestaticapps.net", "Azure"),
    ("azureedge.net", "Azure"),
    ("azurefd.net", "Azure"),
    ("trafficmanager.net", "Azure"),
    ("cloudfront.net", "Amazon CloudFront"),
    ("amplifyapp.com", "AWS Amplify"),
    ("elasticbeanstalk.com", "AWS Elastic Beanstalk"),
    ("elb.amazonaws.com", "an AWS load balancer"),
    ("web.app", "Firebase"),
    ("firebaseapp.com", "Firebase"),
    ("ghs.googlehosted.com", "Google Sites"),
    ("ghs.google.com", "Google Sites"),
    ("fastly.net", "Fastly"),
    ("edgekey.net", "Akamai"),
    ("edgesuite.net", "Akamai"),
    ("hubspot.net", "HubSpot"),
    ("zendesk.com", "Zendesk"),
    ("statuspage.io", "Statuspage"),
    ("readthedocs.io", "Read the Docs"),
];

/// Names below which mailbox providers have their exchangers, and what those are called.
const MAILBOXES: &[(&str, &str)] = &[
    ("google.com", "Google Workspace"),
    ("googlemail.com", "Google Workspace"),
    ("mail.protection.outlook.com", "Microsoft 365"),
    ("mx.microsoft", "Microsoft 365"),
    ("zoho.com", "Zoho Mail"),
    ("zoho.eu", "Zoho Mail"),
    ("messagingengine.com", "Fastmail"),
    ("protonmail.ch", "Proton Mail"),
    ("mail.icloud.com", "iCloud Mail"),
    ("yandex.net", "Yandex Mail"),
    ("migadu.com", "Migadu"),
    ("mailbox.org", "mailbox.org"),
    ("mimecast.com", "Mimecast"),
    ("pphosted.com", "Proofpoint"),
    ("emailsrvr.com", "Rackspace Email"),
    ("secureserver.net", "GoDaddy"),
    ("privateemail.com", "Namecheap"),
    ("titan.email", "Titan"),
    ("hostinger.com", "Hostinger"),
    ("kundenserver.de", "IONOS"),
    ("ionos.com", "IONOS"),
    ("ovh.net", "OVHcloud"),
    ("gandi.net", "Gandi"),
    ("one.com", "one.com"),
];

/// What to say before a step that takes something away; nothing where nobody can be using it.
pub(super) fn caution(finding: &Finding, zone: &DomainName) -> Vec<Step> {
    match &finding.defect {
        Defect::CnameConflict { name, beside } => {
            let goes = match &finding.remedy {
                diagnosis::Remedy::Remove { record_types, .. } => record_types.as_slice(),
                _ => beside.as_slice(),
            };
            let is_used = |used: &RecordType| *used != RecordType::Txt && !is_for_machines(name);
            let used: Vec<RecordType> = goes.iter().copied().filter(is_used).collect();
            if used.is_empty() { Vec::new() } else { reached(name, &used) }
        }
        Defect::CnameSeveral { name, targets } => aliases(name, targets, zone, true),
        Defect::RecordWrongType { name, found: RecordType::Cname, value, .. } => {
            let target = DomainName::parse(value).ok();
            aliases(name, target.as_slice(), zone, true)
        }
        Defect::CnameWrongTarget { name, found, expected } => {
            if name.labels().any(|label| label == "_domainkey") {
                return signer(name, found, expected);
            }
            aliases(name, std::slice::from_ref(found), zone, false)
        }
        Defect::CnameProxied { name, .. } if !is_for_machines(name) => {
            reached(name, &[RecordType::A, RecordType::Aaaa])
        }
        Defect::AddressWrong { name, found, .. } => {
            let types = if found.iter().any(|address| address.contains(':')) {
                RecordType::Aaaa
            } else {
                RecordType::A
            };
            reached(name, &[types])
        }
        Defect::MxWrong { name, expected, found } => mailboxes(name, expected, found),
        _ => Vec::new(),
    }
}

/// Names with an underscore are for machines: no website is at one.
fn is_for_machines(name: &DomainName) -> bool {
    name.labels().any(|label| label.starts_with('_'))
}

/// An alias for a host that people may use; `likely` where any alias at such a name is there for a reason.
fn aliases(name: &DomainName, targets: &[DomainName], zone: &DomainName, likely: bool) -> Vec<Step> {
    if is_for_machines(name) {
        return Vec::new();
    }
    if let Some((target, service)) =
        targets.iter().find_map(|target| Some((target, known(WEBSITES, target)?)))
    {
        return vec![say(format!(
            "{} leads to {service} now ({}), and that stops. If it is in use, {OTHER_WAY}",
            value(name.as_str()),
            value(target.as_str())
        ))];
    }
    let is_website = name == zone || name.labels().next() == Some("www");
    if likely || is_website { reached(name, &[RecordType::Cname]) } else { Vec::new() }
}

/// The other way out.
const OTHER_WAY: &str =
    "leave it as it is: send from another subdomain, or have the service give this record another name.";

fn reached(name: &DomainName, types: &[RecordType]) -> Vec<Step> {
    let what = match types {
        [RecordType::Mx] => "has mailboxes",
        types if types.contains(&RecordType::Mx) => "is a website, has mailboxes",
        _ => "is a website",
    };
    vec![say(format!(
        "If {} {what} or is used for anything else, that stops without what is there now ({}). Then {OTHER_WAY}",
        value(name.as_str()),
        list(types)
    ))]
}

/// Another service's key at a selector.
fn signer(name: &DomainName, found: &DomainName, expected: &DomainName) -> Vec<Step> {
    let organization = |name: &DomainName| model::registrable_domain(name);
    if organization(found) == organization(expected) {
        return Vec::new();
    }
    vec![say(format!(
        "If another service signs your mail with the key behind {}, its signatures fail without it. Then it keeps {}, and ours needs another selector.",
        value(found.as_str()),
        value(name.as_str())
    ))]
}

fn mailboxes(name: &DomainName, expected: &str, found: &[String]) -> Vec<Step> {
    let hosts = found.iter().filter(|one| *one != expected);
    let hosts: Vec<DomainName> = hosts
        .filter_map(|one| DomainName::parse(one.split_once(' ').map_or(one.as_str(), |(_, host)| host)).ok())
        .collect();
    let service = hosts.iter().find_map(|host| known(MAILBOXES, host));
    let name = value(name.as_str());
    let way = "leave the MX records as they are, and send from another subdomain.";
    vec![say(match service {
        Some(service) => format!(
            "{service} receives the mail for {name} now, and will not any more. If people have mailboxes there, {way}"
        ),
        None => format!("If people have mailboxes at {name}, mail does not reach them any more. Then {way}"),
    })]
}

fn known(services: &[(&str, &'static str)], host: &DomainName) -> Option<&'static str> {
    let is_below = |parent: &str| {
        let text = host.as_str();
        text.strip_suffix(parent).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    services.iter().find(|(parent, _)| is_below(parent)).map(|(_, service)| *service)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_known_by_whole_labels() {
        let service = |services, host: &str| known(services, &DomainName::parse(host).unwrap());
        assert_eq!(service(WEBSITES, "shops.myshopify.com"), Some("Shopify"));
        assert_eq!(service(WEBSITES, "notmyshopify.com"), None);
        assert_eq!(service(MAILBOXES, "aspmx.l.google.com"), Some("Google Workspace"));
        assert_eq!(service(MAILBOXES, "acme-test.mail.protection.outlook.com"), Some("Microsoft 365"));
        assert_eq!(service(MAILBOXES, "mx.acme.test"), None);
    }

    #[test]
    fn each_service_has_its_own_line() {
        for services in [WEBSITES, MAILBOXES] {
            let mut names: Vec<&str> = services.iter().map(|(parent, _)| *parent).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), services.len());
        }
    }
}
