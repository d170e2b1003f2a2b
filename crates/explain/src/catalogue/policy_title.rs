//! The titles of findings about mail policy: what an SPF record costs and how it ends, what DMARC asks for, what
//! aligns, and what mailbox providers want.

use super::title::n;
use crate::shown::{list, value};
use diagnosis::{
    Defect, UnmetRule,
    mail_policy::{AlignmentMode, PolicyTag, Provider, Rule},
};
use model::DomainName;

/// What was seen, in one line; what is not one of these findings is named by its code.
pub(super) fn title(defect: &Defect) -> String {
    match defect {
        Defect::SpfTooManyLookups { name, lookups, .. } => match lookups {
            0..=10 => format!("The SPF record at {} needs more DNS look-ups than receivers make", n(name)),
            _ => format!("The SPF record at {} needs {lookups} DNS look-ups; receivers stop at 10", n(name)),
        },
        Defect::SpfTooManyVoidLookups { name, void_lookups, .. } => format!(
            "{void_lookups} DNS look-ups of the SPF record at {} find nothing; receivers accept 2",
            n(name)
        ),
        Defect::SpfNearLookupLimit { name, lookups, .. } => {
            format!(
                "The SPF record at {} needs {lookups} of the 10 DNS look-ups that receivers make",
                n(name)
            )
        }
        Defect::SpfIncludeLoop { name, again, at, .. } if again == at => {
            format!("The SPF record at {} goes in a circle: {} includes itself", n(name), n(at))
        }
        Defect::SpfIncludeLoop { name, again, at, .. } => {
            format!("The SPF record at {} goes in a circle: {} leads back to {}", n(name), n(at), n(again))
        }
        Defect::SpfPtrUsed { name, terms, .. } => {
            format!("The SPF record at {} uses ptr: {}", n(name), list(terms))
        }
        Defect::SpfNoAll { name, ending: Some(ending), .. } => format!(
            "The SPF record at {} ends in {}, which says nothing about other senders",
            n(name),
            value(ending)
        ),
        Defect::SpfNoAll { name, ending: None, .. } => {
            format!("The SPF record at {} ends without all, and says nothing about other senders", n(name))
        }
        Defect::SpfRedirectIgnored { name, term, .. } => {
            format!("In the SPF record at {}, {} is never followed: all is in it", n(name), value(term))
        }
        Defect::SpfUnaligned { author_domain, mail_from, mode } => format!(
            "The envelope sender {} does not align with {} ({}): DKIM has to carry DMARC",
            n(mail_from),
            n(author_domain),
            exactness(*mode)
        ),
        Defect::DkimTesting { name } => format!("The DKIM key at {} is marked as a test (t=y)", n(name)),
        Defect::DkimStrict { name } => {
            format!("The DKIM key at {} is for the exact domain only (t=s)", n(name))
        }
        Defect::DkimUnaligned { author_domain, signing_domain, mode } => format!(
            "Mail is signed for {}, which does not align with {} ({})",
            n(signing_domain),
            n(author_domain),
            exactness(*mode)
        ),
        Defect::CaaForbidsIssuance { host, at, authority, .. } => {
            format!("CAA records at {} keep {} from issuing for {}", n(at), value(authority), n(host))
        }
        Defect::SenderPtrMissing { address, names } if names.is_empty() => {
            format!("The sending server {address} has no reverse DNS name")
        }
        Defect::SenderPtrMissing { address, names } => {
            format!(
                "The reverse DNS name of the sending server {address} does not lead back: {}",
                list(names)
            )
        }
        Defect::SenderRulesNotMet { domain, unmet } => sender_rules(domain, unmet),
        other => dmarc(other),
    }
}

fn dmarc(defect: &Defect) -> String {
    match defect {
        Defect::DmarcPolicyNone { name, .. } => {
            format!("The DMARC policy at {} is none: receivers report and do nothing else", n(name))
        }
        Defect::DmarcPolicyUnusable { name, tags, .. } if !tags.is_empty() => format!(
            "The DMARC record at {} counts as p=none, because receivers cannot use {}",
            n(name),
            list(tags)
        ),
        Defect::DmarcPolicyUnusable { name, .. } => {
            format!("The DMARC record at {} has no usable policy, so it counts as p=none", n(name))
        }
        Defect::DmarcTesting { name, requested, applied, .. } => format!(
            "The DMARC policy at {} is tested (t=y): {applied} is applied in place of {requested}",
            n(name)
        ),
        Defect::DmarcRemovedTags { name, tags, .. } => {
            format!("The DMARC record at {} has tags that no longer exist: {}", n(name), list(tags))
        }
        Defect::DmarcTagsIgnored { name, tags, .. } => {
            format!("Receivers ignore parts of the DMARC record at {}: {}", n(name), list(tags))
        }
        Defect::DmarcReportUriInvalid { name, uris, .. } => {
            format!("No reports can be sent to {} in the DMARC record at {}", list(uris), n(name))
        }
        Defect::DmarcNoReports { name, .. } => {
            format!("The DMARC record at {} asks nobody for reports", n(name))
        }
        Defect::DmarcSubdomainsWeaker { name, tag, policy, weaker, .. } => format!(
            "The DMARC record at {} has {}={weaker} for {}, weaker than {policy}",
            n(name),
            tag_name(*tag),
            if *tag == PolicyTag::Np { "names that do not exist" } else { "subdomains" }
        ),
        Defect::DmarcPublicSuffix { name, .. } => {
            format!("The DMARC record at {} calls an ordinary domain a public suffix (psd=y)", n(name))
        }
        Defect::DmarcReportsNotAuthorised { policy_domain, destination, .. } => {
            format!("{} has not agreed to take DMARC reports about {}", n(destination), n(policy_domain))
        }
        other => other.code().to_owned(),
    }
}

fn exactness(mode: AlignmentMode) -> &'static str {
    match mode {
        AlignmentMode::Relaxed => "relaxed",
        AlignmentMode::Strict => "strict",
    }
}

fn tag_name(tag: PolicyTag) -> &'static str {
    match tag {
        PolicyTag::P => "p",
        PolicyTag::Sp => "sp",
        PolicyTag::Np => "np",
    }
}

/// "Gmail, Yahoo and Apple want more of mail.acme.test: DMARC, DKIM".
fn sender_rules(domain: &DomainName, unmet: &[UnmetRule]) -> String {
    let mut providers: Vec<&str> = Vec::new();
    let mut rules: Vec<&str> = Vec::new();
    for one in unmet {
        let (provider, rule) = (provider_name(one.provider), rule_name(one.rule));
        if !providers.contains(&provider) {
            providers.push(provider);
        }
        if !rules.contains(&rule) {
            rules.push(rule);
        }
    }
    // Who lacks both lacks one of them too.
    let either = rule_name(Rule::SpfOrDkim);
    if rules.contains(&rule_name(Rule::Spf)) && rules.contains(&rule_name(Rule::Dkim)) {
        rules.retain(|rule| *rule != either);
    }
    let want = if providers.len() == 1 { "wants" } else { "want" };
    let bulk = if unmet.iter().all(|one| one.bulk) { "bulk mail" } else { "mail" };
    format!("{} {want} more of {bulk} from {}: {}", and(&providers), n(domain), and(&rules))
}

/// "Gmail, Yahoo and Apple".
fn and(words: &[&str]) -> String {
    match words.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        _ => words.concat(),
    }
}

/// What people call a provider.
pub(crate) fn provider_name(provider: Provider) -> &'static str {
    match provider {
        Provider::Gmail => "Gmail",
        Provider::Yahoo => "Yahoo",
        Provider::Microsoft => "Microsoft",
        Provider::Apple => "Apple",
    }
}

/// What a rule asks for.
pub(crate) fn rule_name(rule: Rule) -> &'static str {
    match rule {
        Rule::SpfOrDkim => "SPF or DKIM",
        Rule::Spf => "SPF",
        Rule::Dkim => "DKIM",
        Rule::Dmarc => "DMARC",
        Rule::Alignment => "alignment with From",
        Rule::FromDomain => "a From domain of your own",
        Rule::ReverseDns => "reverse DNS of the sending servers",
        Rule::Tls => "TLS",
        Rule::WellFormed => "well-formed messages",
        Rule::OneClickUnsubscribe => "one-click unsubscribe",
        Rule::ComplaintRate => "few complaints",
    }
}
