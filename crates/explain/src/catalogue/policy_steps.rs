//! What to do about findings of mail policy, beside what their remedy says.

use super::guide::say;
use crate::{
    paste::Step,
    shown::{self, list, value},
};
use diagnosis::{
    Defect, Finding, Remedy,
    mail_policy::{AlignmentMode, PolicyTag},
    spf_tree::{MAX_LOOKUPS, SpfCost, SpfDrop, SpfDropReason},
};

/// How the line begins that says what each part of a record costs.
pub(crate) const COSTS: &str = "What each part costs, in look-ups:";

/// How many parts are listed with what they cost.
const MOST_COSTS: usize = 20;

/// What has to be said first, whatever the remedy.
pub(super) fn before(finding: &Finding) -> Vec<Step> {
    match &finding.defect {
        Defect::SpfTooManyLookups { term, costs, to_drop, .. } => {
            let mut steps = cost_line(costs);
            steps.extend(drops(to_drop));
            steps.push(say(format!(
                "The first one that receivers do not get to is {}. Another way is to send from a subdomain with an SPF record of its own.",
                value(term)
            )));
            steps
        }
        Defect::SpfMechanismAbsent { lookups_after, to_drop, .. }
        | Defect::SpfMultipleRecords { lookups_after, to_drop, .. } => {
            after_merge(finding, *lookups_after, to_drop)
        }
        Defect::SpfNearLookupLimit { costs, .. } => cost_line(costs),
        Defect::SpfTooManyVoidLookups { .. } if matches!(finding.remedy, Remedy::MergeSpf { .. }) => {
            vec![say(
                "The new record does without the parts whose names are gone. Where such a host should exist, give it an address or a mail exchanger, and keep its part.",
            )]
        }
        Defect::SpfTooManyVoidLookups { terms, .. } => vec![say(format!(
            "Take out the names that are gone, or mend them so that they have an address or a mail exchanger: {}.",
            list(terms)
        ))],
        Defect::SpfIncludeLoop { again, at, .. } => vec![say(format!(
            "Take the part that leads to {} out of the record at {}.",
            value(&again.to_string()),
            value(&at.to_string())
        ))],
        Defect::SpfPtrUsed { .. } => vec![say(
            "Write the addresses of those servers with ip4: and ip6: in place of ptr, or name the hosts with a:.",
        )],
        Defect::SpfRedirectIgnored { term, .. } => vec![say(format!(
            "To go by the record that {} leads to, take out all instead. To stay with what happens now, take the redirect out.",
            value(term)
        ))],
        _ => dmarc(finding),
    }
}

fn dmarc(finding: &Finding) -> Vec<Step> {
    match &finding.defect {
        Defect::DmarcPolicyNone { next, .. } => vec![
            say(
                "Read the aggregate reports of two to four weeks: does every source that you know pass, aligned?",
            ),
            say(format!(
                "Then go on to quarantine, and some weeks later to reject. The next record: {}",
                shown::line(next, shown::ON_LINE)
            )),
        ],
        Defect::DmarcPolicyUnusable { .. } => vec![say(
            "Write the policy as p=none, p=quarantine or p=reject; sp= and np= take the same words. It counts from then on: where reports do not show yet that your mail passes, begin with p=none.",
        )],
        Defect::DmarcTesting { applied, .. } => vec![say(format!(
            "Receivers act as for p={applied} now. When the reports show that all is well, take t=y out."
        ))],
        Defect::DmarcRemovedTags { .. } => vec![say(
            "Receivers act on the policy for all mail, whatever pct says. For a careful start there is t=y in its place.",
        )],
        Defect::DmarcTagsIgnored { tags, .. } => {
            vec![say(format!("Look whether something else was meant by: {}.", list(tags)))]
        }
        Defect::DmarcReportUriInvalid { .. } if matches!(finding.remedy, Remedy::Replace { .. }) => {
            Vec::new()
        }
        Defect::DmarcReportUriInvalid { uris, .. } => report_uris(uris),
        Defect::DmarcNoReports { .. } => {
            vec![say("Add rua=mailto: with an address that you read, or that a report service gave you.")]
        }
        Defect::DmarcSubdomainsWeaker { tag, .. } => vec![say(format!(
            "If no mail has to pass there without alignment, take {}= out of the record: then the policy of the domain holds.",
            if *tag == PolicyTag::Np { "np" } else { "sp" }
        ))],
        Defect::DmarcPublicSuffix { .. } => {
            vec![say("psd=y is for registries. Take it out, or write psd=n.")]
        }
        Defect::DmarcReportsNotAuthorised { policy_domain, destination, agreement_at }
            if model::registrable_domain(policy_domain).is_some()
                && model::registrable_domain(policy_domain) == model::registrable_domain(destination) =>
        {
            vec![say(format!(
                "Most receivers take {} and {} for one organization and send the reports. For those that do not, publish a TXT record that reads v=DMARC1 at {}, or a DMARC record at {1}.",
                value(&policy_domain.to_string()),
                value(&destination.to_string()),
                value(&agreement_at.to_string())
            ))]
        }
        Defect::DmarcReportsNotAuthorised { destination, agreement_at, .. } => vec![say(format!(
            "Whoever runs {} has to publish a TXT record that reads v=DMARC1 at {}. If that is a report service, it does so once the domain is added there; else use an address at your own domain.",
            value(&destination.to_string()),
            value(&agreement_at.to_string())
        ))],
        Defect::DkimTesting { .. } => {
            vec![say("Take the flag t=y out of the record once signed mail passes.")]
        }
        Defect::DkimStrict { .. } => vec![say(
            "Nothing has to be done as long as signatures do not name a subdomain in i=. If they do, take t=s out.",
        )],
        Defect::DkimUnaligned { author_domain, .. } => vec![say(format!(
            "Sign with {} as the signing domain (d=), or take a From domain of the same organization as the one that signs.",
            value(&author_domain.to_string())
        ))],
        Defect::SpfUnaligned { mode: AlignmentMode::Strict, .. } => vec![say(
            "Strict alignment (aspf=s) takes only the very same domain. Leave aspf out of the DMARC record, or rely on DKIM alone.",
        )],
        Defect::SpfUnaligned { .. } => vec![say(
            "DMARC passes by DKIM as long as its keys are there. For SPF to align too, the return path has to be below your own domain.",
        )],
        Defect::CaaForbidsIssuance { records, .. } => vec![say(format!(
            "The records there name who may issue certificates: {}. Add one more beside them.",
            list(records)
        ))],
        Defect::SenderPtrMissing { address, names } if names.is_empty() => vec![say(format!(
            "Ask whoever gave you {address} to set its reverse DNS (PTR) to the server's own name, and give that name the address."
        ))],
        Defect::SenderPtrMissing { address, .. } => vec![say(format!(
            "Give one of these names the address {address}, or have the reverse DNS (PTR) set to a name that has it."
        ))],
        Defect::SenderRulesNotMet { .. } => {
            vec![say("What is missing has a line of its own here that says what to do.")]
        }
        _ => Vec::new(),
    }
}

fn report_uris(uris: &[String]) -> Vec<Step> {
    let mut steps = Vec::new();
    if uris.iter().any(|uri| uri.contains("://")) {
        steps.push(say(
            "Reports are sent by mail only. A service that shows a web address has a mail address for them, too.",
        ));
    }
    steps.push(say("Write each address as mailto:reports@your-domain, several of them separated by commas."));
    steps
}

/// What to say where there is no change to hand out; `None` for findings of others.
pub(super) fn nothing(defect: &Defect) -> Option<Vec<Step>> {
    match defect {
        Defect::SpfNearLookupLimit { lookups, .. } => Some(vec![say(format!(
            "Nothing has to be done now. With {} more, receivers stop: before another service is added, take one out.",
            (MAX_LOOKUPS + 1).saturating_sub(*lookups)
        ))]),
        // The steps before say it all.
        Defect::SpfTooManyLookups { .. }
        | Defect::SpfTooManyVoidLookups { .. }
        | Defect::SpfIncludeBroken { .. }
        | Defect::SpfIncludeLoop { .. }
        | Defect::SpfPtrUsed { .. }
        | Defect::SpfUnaligned { .. }
        | Defect::DkimTesting { .. }
        | Defect::DkimStrict { .. }
        | Defect::DkimUnaligned { .. }
        | Defect::DmarcPolicyNone { .. }
        | Defect::DmarcPolicyUnusable { .. }
        | Defect::DmarcTesting { .. }
        | Defect::DmarcRemovedTags { .. }
        | Defect::DmarcTagsIgnored { .. }
        | Defect::DmarcReportUriInvalid { .. }
        | Defect::DmarcNoReports { .. }
        | Defect::DmarcSubdomainsWeaker { .. }
        | Defect::DmarcPublicSuffix { .. }
        | Defect::DmarcReportsNotAuthorised { .. }
        | Defect::SenderRulesNotMet { .. }
        | Defect::CaaForbidsIssuance { .. }
        | Defect::SenderPtrMissing { .. } => Some(Vec::new()),
        Defect::SpfNoAll { .. } => {
            Some(vec![say("The record that the redirect leads to ends this way: end that one in ~all.")])
        }
        _ => None,
    }
}

fn cost_line(costs: &[SpfCost]) -> Vec<Step> {
    if costs.is_empty() {
        return Vec::new();
    }
    let mut shown: Vec<String> =
        costs.iter().take(MOST_COSTS).map(|cost| format!("{} {}", value(&cost.term), cost.lookups)).collect();
    if costs.len() > MOST_COSTS {
        shown.push(format!("and {} more", costs.len() - MOST_COSTS));
    }
    vec![say(format!("{COSTS} {}.", shown.join(", ")))]
}

fn after_merge(finding: &Finding, lookups: usize, to_drop: &[SpfDrop]) -> Vec<Step> {
    if lookups <= MAX_LOOKUPS {
        return Vec::new();
    }
    let whole = match &finding.defect {
        Defect::SpfMechanismAbsent { rules, .. } => format!("With {} in it, the record", value(rules)),
        _ => "One record with all parts".to_owned(),
    };
    let needs = format!("{whole} needs {lookups} DNS look-ups, and receivers stop at {MAX_LOOKUPS}.");
    if matches!(finding.remedy, Remedy::Nothing) {
        let mut steps = vec![say(format!("{needs} So take something out of it first:"))];
        steps.extend(drops(to_drop));
        steps.push(say("Then check again: the record to publish is shown as soon as it keeps the limit."));
        return steps;
    }
    let mut steps = vec![say(format!("{needs} In the record below this is done already:"))];
    steps.extend(drops(to_drop));
    steps
}

fn drops(to_drop: &[SpfDrop]) -> Vec<Step> {
    to_drop.iter().map(|drop| say(one_drop(drop))).collect()
}

fn one_drop(drop: &SpfDrop) -> String {
    let term = value(&drop.term);
    let saves = match drop.lookups {
        1 => "1 look-up".to_owned(),
        several => format!("{several} look-ups"),
    };
    match drop.reason {
        SpfDropReason::Duplicate => format!("Take out {term}: it stands in the record twice ({saves})."),
        SpfDropReason::IncludedElsewhere => {
            format!("Take out {term}: another part of the record includes it already ({saves}).")
        }
        SpfDropReason::LeadsNowhere => format!("Take out {term}: nothing is there any more ({saves})."),
        SpfDropReason::NamesNobody => {
            format!("Take out {term}: the record that it leads to names no sender ({saves}).")
        }
        SpfDropReason::Ptr => format!("Take out {term}: nobody should use ptr ({saves})."),
        SpfDropReason::Costly if drop.ranges.is_empty() => {
            format!("Take out {term} if that service no longer sends for you ({saves}).")
        }
        SpfDropReason::Costly => format!(
            "Take out {term} if that service no longer sends for you, or write its ranges in its place ({saves}): {}",
            shown::line(&drop.ranges.join(" "), shown::ON_LINE)
        ),
    }
}
