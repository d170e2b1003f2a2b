//! The steps for a finding at the DNS host of its report, or at each of several that it could be.

use crate::{
    catalogue::{self, Place},
    hosts::{self, Certainty, Host},
    paste::{Paste, Point, Step},
    view,
};
use diagnosis::{Finding, Report};
use model::Timestamp;

/// How many candidates a guide tells apart; more would not be read.
const MOST: usize = 4;

/// The steps for a finding of a report. `chosen` is the DNS host that somebody chose; without it the one is taken that
/// the name servers tell, and of several each is named with its own page and with what differs there.
pub fn guide(finding: &Finding, report: &Report, chosen: Option<&Host>, now: Timestamp) -> Vec<Step> {
    let record = finding.record.as_deref().and_then(|key| view::record(report, key));
    let zone = record.and_then(|record| record.zone.as_ref()).or(report.zone.as_ref());
    let at = |host| catalogue::guide_in(finding, &Place { host, zone, record, now }, view::setting(report));
    if let Some(chosen) = chosen {
        return at(chosen);
    }
    // The report knows the name servers of the domain's zone, and not those of another zone below it.
    if zone != report.zone.as_ref() {
        return at(hosts::generic());
    }
    let detection = view::detection(report);
    let steps = at(detection.guide());
    if detection.candidates.len() < 2 {
        return steps;
    }
    let guides: Vec<(&Host, Vec<Step>)> =
        detection.candidates.iter().take(MOST).map(|host| (*host, at(host))).collect();
    merge(&steps, &guides, detection.certainty)
}

/// One guide out of several: what all say once, and for each host its way to the record and what it wants otherwise.
fn merge(generic: &[Step], guides: &[(&Host, Vec<Step>)], certainty: Certainty) -> Vec<Step> {
    let in_all = |step: &&Step| guides.iter().all(|(_, guide)| guide.contains(step));
    let Some(at) = generic.iter().position(|step| matches!(step, Step::Record(_))) else {
        // Without a record only the way differs; where it does not, the generic steps say it all.
        let mut steps: Vec<Step> =
            guides.iter().filter_map(|(host, guide)| ways(host, guide, None, &in_all)).collect();
        steps.extend(generic.iter().filter(in_all).cloned());
        return steps;
    };
    let Step::Record(paste) = &generic[at] else { return generic.to_vec() };
    let mut steps: Vec<Step> = generic[..at].iter().filter(in_all).cloned().collect();
    if certainty == Certainty::Mixed {
        steps.push(Step::Say(
            "Name servers of several hosts serve this zone: do it at each of them.".to_owned(),
        ));
    }
    steps.extend(guides.iter().filter_map(|(host, guide)| ways(host, guide, Some(paste), &in_all)));
    steps.push(generic[at].clone());
    steps.extend(generic[at + 1..].iter().filter(in_all).cloned());
    steps
}

/// What one host wants that not all do, in one sentence of its own.
fn ways(
    host: &Host,
    guide: &[Step],
    generic: Option<&Paste>,
    in_all: &dyn Fn(&&Step) -> bool,
) -> Option<Step> {
    let mut own: Vec<String> = Vec::new();
    let mut points: Vec<&Point> = Vec::new();
    for step in guide.iter().filter(|step| !in_all(step)) {
        match step {
            Step::Say(text) => own.push(text.clone()),
            Step::Point(point) => points.push(point),
            Step::Record(paste) => own.extend(generic.and_then(|generic| difference(paste, generic))),
        }
    }
    let lead = |last: &str| {
        let all: Vec<&str> = own.iter().map(String::as_str).chain([last]).collect();
        format!("{}: {}", host.name, all.join(" "))
    };
    // What ends in a value stays so that several of them can be told together.
    if let [point] = points.as_slice() {
        let (say, each) = (lead(&point.say), lead(&point.each));
        return Some(Step::Point(Point { say, each, ..(*point).clone() }));
    }
    let said: Vec<String> = points.iter().map(|point| Step::Point((*point).clone()).to_string()).collect();
    own.extend(said);
    (!own.is_empty()).then(|| Step::Say(format!("{}: {}", host.name, own.join(" "))))
}

fn difference(own: &Paste, generic: &Paste) -> Option<String> {
    let mut parts = Vec::new();
    if own.host != generic.host {
        let in_full = own.host.trim_end_matches('.') == own.name.as_str() && own.host != own.name.as_str();
        parts.push(match own.host.as_str() {
            "" => "the name field stays empty".to_owned(),
            host if in_full => format!("the name is entered in full, with a final dot ({host})"),
            host => format!("the name is entered as {host}"),
        });
    }
    if own.value != generic.value {
        parts.push(if own.value.starts_with('"') {
            "the value stands in quotation marks".to_owned()
        } else if own.value.strip_suffix('.') == Some(generic.value.as_str()) {
            "the target ends in a dot".to_owned()
        } else {
            format!("the value is {}", own.value)
        });
    }
    (!parts.is_empty()).then(|| format!("There {}.", parts.join(" and ")))
}
