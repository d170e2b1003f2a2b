//! The verdict in words: one line that counts, and one sentence that says what it means for mail.

use crate::{
    catalogue::{self, Setting},
    view,
};
use diagnosis::{Defect, Expected, Finding, RecordReport, Remedy, Report};
use model::{Purpose, RecordStatus, Severity, Verdict};

/// The groups in which findings are shown, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Stands in the way.
    Fix,
    /// Works, should be mended.
    Improve,
    /// Not known.
    Unknown,
    /// Right somewhere and not yet everywhere.
    Pending,
    /// Good to know.
    Note,
}

impl Group {
    /// Where a finding belongs. What could not be found out is not a failure, however bad it would be.
    pub fn of(finding: &Finding) -> Self {
        match (&finding.defect, finding.severity) {
            (
                Defect::DnsUnanswered { .. }
                | Defect::InquiryCutShort { .. }
                | Defect::ResolversUnusable { .. }
                | Defect::ZoneUnserved { .. },
                _,
            ) => Self::Unknown,
            (Defect::NameServersDisagree { .. } | Defect::ResolverCacheStale { .. }, _) => Self::Pending,
            (_, Severity::Error) => Self::Fix,
            (_, Severity::Warning) => Self::Improve,
            (_, Severity::Info) => Self::Note,
        }
    }

    /// The word in front of a finding.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Fix => "fix",
            Self::Improve => "improve",
            Self::Unknown => "unknown",
            Self::Pending => "on its way",
            Self::Note => "note",
        }
    }
}

/// Whether a finding says no more than that a record is not there yet.
pub(crate) fn is_absence(finding: &Finding) -> bool {
    matches!(
        finding.defect,
        Defect::RecordMissing { .. } | Defect::SpfMissing { .. } | Defect::DmarcMissing { .. }
    )
}

/// Whether a finding says no more than others do: that not all DKIM records are right, where each has its own.
pub(crate) fn is_echo(finding: &Finding, report: &Report) -> bool {
    let Defect::DkimPartial { missing, .. } = &finding.defect else { return false };
    missing.iter().all(|name| {
        report.records.iter().any(|record| record.planned.owner == *name && !record.findings.is_empty())
    })
}

/// Findings that are one mistake, together; in the order of the first of each.
pub(crate) fn clusters<'a>(findings: &[&'a Finding], report: &Report) -> Vec<Vec<&'a Finding>> {
    let mut clusters: Vec<Vec<&Finding>> = Vec::new();
    for finding in findings {
        match clusters.iter_mut().find(|cluster| is_same_mistake(cluster[0], finding, report)) {
            Some(cluster) => cluster.push(finding),
            None => clusters.push(vec![finding]),
        }
    }
    clusters
}

/// Whether two findings are the same mistake made with two records, and mended in the same way.
fn is_same_mistake(one: &Finding, other: &Finding, report: &Report) -> bool {
    let zone = |finding: &Finding| {
        let record = finding.record.as_deref().and_then(|key| view::record(report, key));
        record.and_then(|record| record.zone.clone()).or_else(|| report.zone.clone())
    };
    let are_both = |is: &dyn Fn(&Finding) -> bool| is(one) && is(other);
    if are_both(&|finding| matches!(finding.defect, Defect::DnsUnanswered { .. })) {
        return true;
    }
    if one.confidence != other.confidence
        || one.record.is_none()
        || other.record.is_none()
        || zone(one) != zone(other)
    {
        return false;
    }
    if are_both(&is_absence) {
        return match (&one.remedy, &other.remedy) {
            (Remedy::Add { value: one, .. }, Remedy::Add { value: other, .. }) => {
                // What the customer has to fill in is not one table with what can be pasted.
                let is_form = catalogue::is_unfinished(one);
                is_form == catalogue::is_unfinished(other) && (!is_form || one == other)
            }
            _ => false,
        };
    }
    std::mem::discriminant(&one.remedy) == std::mem::discriminant(&other.remedy)
        && one.record != other.record
        && is_same_defect(&one.defect, &other.defect)
}

/// Whether two defects are of one kind, and what tells kinds apart is the same.
fn is_same_defect(one: &Defect, other: &Defect) -> bool {
    match (one, other) {
        (Defect::RecordMisplaced { slip: one, .. }, Defect::RecordMisplaced { slip: other, .. }) => {
            one == other
        }
        (Defect::RecordInDoubledZone { zone: one, .. }, Defect::RecordInDoubledZone { zone: other, .. })
        | (
            Defect::CnameTargetZoneAppended { zone: one, .. },
            Defect::CnameTargetZoneAppended { zone: other, .. },
        ) => one == other,
        (
            Defect::RecordWrongType { name, expected, found, .. },
            Defect::RecordWrongType {
                name: other_name, expected: other_expected, found: other_found, ..
            },
            // What is in the way of several records at one name goes once.
        ) => found == other_found && (expected == other_expected || name == other_name),
        (one, other) => one.code() == other.code(),
    }
}

/// The verdict in one line, without the domain's name: "3 records to add, 1 thing to fix".
pub fn summary(report: &Report) -> String {
    let told: Vec<&Finding> = report.findings.iter().filter(|one| !is_echo(one, report)).collect();
    let (absent, other): (Vec<&Finding>, Vec<&Finding>) = told.into_iter().partition(|one| is_absence(one));
    let in_the_way = |one: &&Finding| matches!(Group::of(one), Group::Fix | Group::Improve);
    let absent = absent.into_iter().filter(in_the_way).count();
    let clusters = clusters(&other, report);
    // The worst of several counts, as it does where they are told.
    let worst = |cluster: &Vec<&Finding>| cluster.iter().map(|one| Group::of(one)).min();
    let count = |group| clusters.iter().filter(|cluster| worst(cluster) == Some(group)).count();
    let mut parts = Vec::new();
    let mut part = |count: usize, one: &str, many: &str, what: &str| match count {
        0 => {}
        1 => parts.push(format!("1 {one} {what}")),
        n => parts.push(format!("{n} {many} {what}")),
    };
    part(absent, "record", "records", "to add");
    part(count(Group::Fix), "thing", "things", "to fix");
    part(count(Group::Improve), "thing", "things", "to improve");
    let pending = report.records.iter().filter(|record| is_on_its_way(record)).count();
    part(pending, "record", "records", "on the way");
    if report.verdict == Verdict::Pass {
        // What is only recommended leaves the verdict alone; that it is not known is to be told all the same.
        let unknown = report.records.iter().filter(|record| record.status == RecordStatus::Unknown).count();
        if unknown > 0 {
            part(unknown, "record", "records", "not known yet");
        } else {
            part(count(Group::Unknown), "question", "questions", "left open");
        }
    }
    let parts = parts.join(", ");
    match (report.verdict, parts.is_empty()) {
        (Verdict::Pass, true) if !view::not_checked(report).is_empty() => {
            let dkim = match &report.tried_selectors {
                None => "DKIM was not checked",
                Some(tried) if tried.unanswered == tried.tried => "DKIM could not be checked",
                Some(tried) if tried.unanswered > 0 => {
                    "no DKIM key was found where an answer came, and some selectors gave none"
                }
                Some(_) => "no DKIM key was found",
            };
            format!("SPF and DMARC are good; {dkim}")
        }
        (Verdict::Pass, true) => "all good".to_owned(),
        (Verdict::Pass, false) => format!("{}, {parts}", good(report)),
        (Verdict::Fail, false) => parts,
        (Verdict::Fail, true) => "not verified".to_owned(),
        // What is on its way is known; the rest of an unknown verdict is not.
        (Verdict::Unknown, false) if pending > 0 && !is_unanswered(report) => {
            format!("not settled yet, {parts}")
        }
        (Verdict::Unknown, false) => format!("could not tell, {parts}"),
        (Verdict::Unknown, true) if view::is_unasked(report) => "not checked yet".to_owned(),
        (Verdict::Unknown, true) => "could not tell".to_owned(),
    }
}

fn good(report: &Report) -> &'static str {
    if view::setting(report) == Setting::Audit { "good" } else { "verified" }
}

fn is_unanswered(report: &Report) -> bool {
    report.findings.iter().any(|finding| {
        Group::of(finding) == Group::Unknown || matches!(finding.defect, Defect::DnssecBogus { .. })
    })
}

/// Whether a record is right somewhere and not yet everywhere.
pub(crate) fn is_on_its_way(record: &RecordReport) -> bool {
    let propagation = &record.propagation;
    // What nobody has is right for another reason: a policy further up is inherited, and nothing is to come.
    let somebody_has_it = propagation.name_servers.right + propagation.resolvers.right > 0;
    let is_kept = record.status == RecordStatus::Verified && somebody_has_it && !propagation.stale.is_empty();
    record.status == RecordStatus::Pending || is_kept
}

/// What the records are for, each in a word or two.
const MECHANISMS: [(Mechanism, &str); 8] = [
    (Mechanism::Dkim, "DKIM"),
    (Mechanism::Spf, "SPF"),
    (Mechanism::Of(Purpose::Dmarc), "DMARC"),
    (Mechanism::Of(Purpose::ReturnPath), "the return path"),
    (Mechanism::Of(Purpose::Ownership), "the proof of ownership"),
    (Mechanism::Of(Purpose::Inbound), "incoming mail"),
    (Mechanism::Of(Purpose::Delegation), "the delegation"),
    (Mechanism::Of(Purpose::Tracking), "link tracking"),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mechanism {
    Dkim,
    Spf,
    Of(Purpose),
}

impl Mechanism {
    /// SPF is where an SPF record is, be it the bounce host's.
    fn has(self, record: &RecordReport) -> bool {
        let planned = &record.planned;
        match self {
            Self::Dkim => record.is_dkim(),
            Self::Spf => planned.purpose == Purpose::Spf || matches!(planned.expected, Expected::Spf { .. }),
            Self::Of(purpose) => planned.purpose == purpose,
        }
    }

    /// What follows for mail when it does not work; the end of a sentence.
    const fn consequence(self) -> &'static str {
        match self {
            Self::Dkim => "receivers cannot check that mail is really yours",
            Self::Spf => "receivers cannot tell which servers may send for this domain",
            Self::Of(Purpose::Dmarc) => {
                "receivers have no rule for mail that forges this domain, and large ones refuse bulk mail without one"
            }
            Self::Of(Purpose::ReturnPath) => "bounces do not come back under your own domain",
            Self::Of(Purpose::Ownership) => "it is not proven that the domain is yours",
            Self::Of(Purpose::Inbound) => "mail to this domain does not arrive here",
            Self::Of(Purpose::Delegation) => {
                "our name servers are not asked for keys and policies of this domain"
            }
            Self::Of(_) => "links in mail do not lead through your own domain",
        }
    }
}

/// What the verdict means for mail, in one or two sentences.
pub fn meaning(report: &Report) -> String {
    if report.findings.iter().any(|finding| matches!(finding.defect, Defect::DomainNotFound { .. })) {
        return "The domain is not in DNS: mail from it is refused, and no record can be seen.".to_owned();
    }
    let is = |bad: &[RecordStatus]| -> Vec<(Mechanism, &str)> {
        let has = |mechanism: Mechanism| {
            let of_it = |record: &&RecordReport| mechanism.has(record) && !report.is_stray_key(record);
            report.records.iter().filter(of_it).any(|record| bad.contains(&record.status))
        };
        MECHANISMS.into_iter().filter(|(mechanism, _)| has(*mechanism)).collect()
    };
    if view::is_unasked(report) {
        return match view::setting(report) {
            Setting::Registered => "Nobody was asked yet: the first check is on its way.",
            Setting::Once | Setting::Audit => "Nobody was asked, so nothing is known.",
        }
        .to_owned();
    }
    let bad = is(&[RecordStatus::Missing, RecordStatus::Failed]);
    let open: Vec<_> = is(&[RecordStatus::Unknown, RecordStatus::Pending])
        .into_iter()
        .filter(|open| !bad.contains(open))
        .collect();
    let fine: Vec<_> = is(&[RecordStatus::Verified])
        .into_iter()
        .filter(|fine| !bad.contains(fine) && !open.contains(fine))
        .collect();
    if let Some((worst, _)) = bad.first() {
        let all = bad.len() > 2 && fine.is_empty() && open.is_empty();
        let what = if all { "receivers cannot tell your mail from forged mail" } else { worst.consequence() };
        let rest = match (fine.as_slice(), open.as_slice()) {
            ([], _) => String::new(),
            (fine, _) => format!(" {} fine.", capital(&subject(fine))),
        };
        let absent = |record: &RecordReport| record.status == RecordStatus::Missing;
        let of_bad = |record: &&RecordReport| bad.iter().any(|(mechanism, _)| mechanism.has(record));
        let state = if report.records.iter().filter(of_bad).all(absent) { "not set up" } else { "not right" };
        return format!("{} {state}: {what}.{rest}", capital(&subject(&bad)));
    }
    let with = |status| report.records.iter().any(|record| record.status == status);
    match report.verdict {
        // Records of services that have nothing to do with mail have no word of their own.
        Verdict::Fail if fine.is_empty() && open.is_empty() => {
            "What the records are for does not work until they are right.".to_owned()
        }
        Verdict::Pass if fine.is_empty() && open.is_empty() => "The records are in order.".to_owned(),
        Verdict::Unknown if is_unanswered(report) => unknown(report),
        _ if with(RecordStatus::Pending) && !is_unanswered(report) => {
            "Records are on their way: some servers have them, and some do not yet.".to_owned()
        }
        _ if fine.is_empty() => unknown(report),
        Verdict::Pass if !view::not_checked(report).is_empty() => {
            "Receivers want a DKIM signature too: name its selector to have the key checked.".to_owned()
        }
        _ if open.is_empty() => format!("{} in order.", capital(&subject(&fine))),
        _ => {
            let open: Vec<&str> = open.iter().map(|(_, name)| *name).collect();
            format!("{} in order. Not known yet: {}.", capital(&subject(&fine)), open.join(", "))
        }
    }
}

fn unknown(report: &Report) -> String {
    let has = |is: &dyn Fn(&Defect) -> bool| report.findings.iter().any(|finding| is(&finding.defect));
    // What was left out because there were too many questions is not what servers left unanswered.
    let is_cut = has(&|defect| matches!(defect, Defect::InquiryCutShort { .. }));
    let is_silence =
        |defect: &Defect| matches!(defect, Defect::DnsUnanswered { .. } | Defect::ResolversUnusable { .. });
    if is_cut && !has(&is_silence) {
        return format!("{}, before everything was known.", capital(view::why_cut(report)));
    }
    let text = match view::setting(report) {
        Setting::Registered => {
            "DNS gave no clear answer, so nothing changes: what was verified stays so, and it is checked again."
        }
        Setting::Once | Setting::Audit => "DNS gave no clear answer, which says nothing against the domain.",
    };
    text.to_owned()
}

/// "DKIM is", "DKIM, SPF and the return path are".
fn subject(mechanisms: &[(Mechanism, &str)]) -> String {
    let names: Vec<&str> = mechanisms.iter().map(|(_, name)| *name).collect();
    match names.split_last() {
        Some((last, [])) => format!("{last} is"),
        Some((last, others)) => format!("{} and {last} are", others.join(", ")),
        None => String::new(),
    }
}

pub(crate) fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}
