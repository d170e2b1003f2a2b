//! What to do about findings of mail policy, beside what their remedy says.

use super::guide::say;
use crate::{
    paste::Step,
    shown::{self, list, value},
};
use diagnosis::{
    Defect,
    spf_tree::{MAX_LOOKUPS, SpfCost, SpfDrop, SpfDropReason},
};

/// How the line begins that says what each part of a record costs.
pub(crate) const COSTS: &str = "What each part costs, in look-ups:";

/// How many parts are listed with what they cost.
const MOST_COSTS: usize = 20;

/// What has to be said first, whatever the remedy.
pub(super) fn before(defect: &Defect) -> Vec<Step> {
    match defect {
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
        | Defect::SpfMultipleRecords { lookups_after, to_drop, .. } => after_merge(*lookups_after, to_drop),
        Defect::SpfNearLookupLimit { costs, .. } => cost_line(costs),
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
        _ => Vec::new(),
    }
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
        | Defect::SpfPtrUsed { .. } => Some(Vec::new()),
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

fn after_merge(lookups: usize, to_drop: &[SpfDrop]) -> Vec<Step> {
    if lookups <= MAX_LOOKUPS {
        return Vec::new();
    }
    let mut steps = vec![say(format!(
        "The record below needs {lookups} DNS look-ups, and receivers stop at {MAX_LOOKUPS}. So take something out of it before you save:"
    ))];
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
