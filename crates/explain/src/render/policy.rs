//! What the records come to for mail, as lines of text.

use crate::{
    catalogue::{provider_name, rule_name},
    shown,
};
use diagnosis::{
    Report,
    mail_policy::{
        Alignment, AlignmentMode, Condition, ConditionStatus, DmarcLadder, DmarcReport, HttpsHost,
        LadderCondition, Provider, ReportAuthorisation, ReverseDns, Rule, RuleStatus, SenderHost, SenderRule,
    },
    spf_tree::{SpfNode, SpfNodeProblem, SpfReport},
};
use model::Verdict;
use std::fmt::Write as _;

/// How many lines of one tree are shown.
const MOST_LINES: usize = 60;

/// From how many look-ups on a report that is not verbose tells them: fewer are nobody's concern.
const WORTH_TELLING: usize = 5;

/// From how many look-ups on it is told what each part of the record costs.
const TREE_WORTH_TELLING: usize = 8;

/// The closing lines: label and content.
pub(super) fn facts(report: &Report, verbose: bool) -> Vec<(&'static str, String)> {
    let is_told = |spf: &&SpfReport| {
        let most = spf.tree.lookups.max(spf.lookups_after_merge.unwrap_or(0));
        !is_tree_told(spf, verbose) && (most >= WORTH_TELLING || spf.tree.void_lookups > 0)
    };
    let mut facts: Vec<(&'static str, String)> =
        report.mail.spf.iter().filter(is_told).map(|spf| ("SPF look-ups", spf_summary(spf))).collect();
    if !verbose {
        facts.extend(next_step(report).map(|step| ("DMARC", step)));
        facts.extend(reverse_dns(report).into_iter().map(|line| ("reverse DNS", line)));
        facts.extend(certificates(report).into_iter().map(|line| ("certificates", line)));
    }
    facts
}

/// How many senders or hosts are told one by one in a closing line.
const MOST_TOLD: usize = 3;

/// The sending servers, a line each where they are few, but for those that a finding tells of.
fn reverse_dns(report: &Report) -> Vec<String> {
    let senders = &report.mail.senders;
    let is_told = |sender: &&SenderHost| {
        matches!(sender.reverse, ReverseDns::Confirmed { .. } | ReverseDns::Unknown { .. })
    };
    let told: Vec<&SenderHost> = senders.iter().filter(is_told).collect();
    let is_confirmed = |sender: &&&SenderHost| matches!(sender.reverse, ReverseDns::Confirmed { .. });
    let confirmed = told.iter().filter(is_confirmed).count();
    match (told.len(), told.len() - confirmed) {
        (0..=MOST_TOLD, _) => {
            told.iter().map(|sender| format!("{} {}", sender.address, reverse(&sender.reverse))).collect()
        }
        (_, 0) => {
            vec![format!("{confirmed} of {} sending servers have a name that leads back", senders.len())]
        }
        (_, unknown) => vec![format!(
            "{confirmed} of {} sending servers have a name that leads back; of {unknown} it is not known",
            senders.len()
        )],
    }
}

/// "is mx.send.example, which leads back to it".
fn reverse(reverse: &ReverseDns) -> String {
    match reverse {
        ReverseDns::Confirmed { name } => {
            format!("is {}, which leads back to it", shown::value(name.as_str()))
        }
        ReverseDns::Missing => "has no name".to_owned(),
        ReverseDns::Unconfirmed { names } => {
            format!("is {}, which does not lead back to it", shown::list(names))
        }
        ReverseDns::Unknown { reason } => format!("is not known: {}", shown::value(reason)),
    }
}

/// The hosts with HTTPS, a line each where they are few, but for those that a finding tells of.
fn certificates(report: &Report) -> Vec<String> {
    let told: Vec<&HttpsHost> =
        report.mail.https_hosts.iter().filter(|host| host.may_issue != Some(false)).collect();
    let mut lines: Vec<String> = told.iter().take(MOST_TOLD).map(|host| caa_line(host)).collect();
    if told.len() > MOST_TOLD {
        lines.push(format!("and {} hosts more", told.len() - MOST_TOLD));
    }
    lines
}

/// "track.acme.test: the certificate authority may issue (CAA at acme.test: …)".
fn caa_line(host: &HttpsHost) -> String {
    let name = shown::value(host.host.as_str());
    let at = match &host.caa_at {
        Some(at) => format!("CAA at {}: {}", shown::value(at.as_str()), shown::list(&host.caa)),
        None => "no CAA records, so anybody may".to_owned(),
    };
    match host.may_issue {
        Some(true) => format!("{name}: the certificate authority may issue ({at})"),
        Some(false) => format!("{name}: the certificate authority may not issue ({at})"),
        None => format!("{name}: not known whether the certificate authority may issue"),
    }
}

/// Whether a tree is shown: where it is asked for, and where the limit is near or passed.
fn is_tree_told(spf: &SpfReport, verbose: bool) -> bool {
    let most = spf.tree.lookups.max(spf.lookups_after_merge.unwrap_or(0));
    verbose || most >= TREE_WORTH_TELLING || spf.tree.void_lookups > spf.max_void_lookups
}

/// "mail.acme.test needs 7, and receivers stop at 10".
fn spf_summary(spf: &SpfReport) -> String {
    let least = if spf.tree.complete { "" } else { "at least " };
    let mut text = format!(
        "{} needs {least}{}, and receivers stop at {}",
        shown::value(spf.tree.domain.as_str()),
        spf.tree.lookups,
        spf.max_lookups,
    );
    if spf.tree.void_lookups > 0 {
        let (void, most) = (spf.tree.void_lookups, spf.max_void_lookups);
        let find = if void == 1 { "look-up finds" } else { "look-ups find" };
        let _ = write!(text, "; {void} {find} nothing, and receivers accept {most}");
    }
    if let Some(after) = spf.lookups_after_merge.filter(|after| *after != spf.tree.lookups) {
        let _ = write!(text, "; {after} once the record is merged");
    }
    text
}

/// What is known beyond the records, as lines in columns with their indentation: headings and what belongs to them.
pub(super) fn sections(report: &Report, verbose: bool) -> Vec<(String, Vec<String>)> {
    let mut sections = Vec::new();
    for spf in report.mail.spf.iter().filter(|spf| is_tree_told(spf, verbose)) {
        let mut rows = Vec::new();
        spf_lines(&spf.tree, 0, verbose, &mut rows);
        let more = rows.len().saturating_sub(MOST_LINES);
        rows.truncate(MOST_LINES);
        let mut lines = columns(&rows);
        if more > 0 {
            lines.push(format!("… and {more} more"));
        }
        if !lines.is_empty() {
            sections.push((format!("SPF look-ups: {}", spf_summary(spf)), lines));
        }
    }
    if !verbose {
        return sections;
    }
    if let Some(dmarc) = &report.mail.dmarc {
        sections.push(("DMARC".to_owned(), dmarc_lines(dmarc, report.mail.dmarc_ladder.as_ref())));
    }
    if let Some(alignment) = &report.mail.alignment {
        sections.push((
            "Whose domain SPF and DKIM prove (alignment with From)".to_owned(),
            alignment_lines(alignment),
        ));
    }
    if !report.mail.senders.is_empty() {
        let line = |sender: &SenderHost| format!("{} {}", sender.address, reverse(&sender.reverse));
        sections.push((
            "Reverse DNS of the sending servers".to_owned(),
            report.mail.senders.iter().map(line).collect(),
        ));
    }
    if !report.mail.https_hosts.is_empty() {
        let lines = report.mail.https_hosts.iter().take(MOST_LINES).map(caa_line).collect();
        sections.push(("Certificates for hosts with HTTPS (CAA)".to_owned(), lines));
    }
    if !report.mail.sender_rules.is_empty() {
        sections.push(("Rules of the mailbox providers".to_owned(), rule_lines(&report.mail.sender_rules)));
    }
    sections
}

/// Rows of two columns as lines, the second column at one place.
fn columns(rows: &[(String, String)]) -> Vec<String> {
    let width = rows
        .iter()
        .filter(|(_, second)| !second.is_empty())
        .map(|(first, _)| first.chars().count())
        .max()
        .unwrap_or(0);
    let line = |(first, second): &(String, String)| match second.as_str() {
        "" => first.clone(),
        second => format!("{first:<width$}  {second}"),
    };
    rows.iter().map(line).collect()
}

fn dmarc_lines(dmarc: &DmarcReport, ladder: Option<&DmarcLadder>) -> Vec<String> {
    let mut lines = Vec::new();
    match (&dmarc.at, &dmarc.record) {
        (Some(at), Some(record)) => {
            let whose = if dmarc.inherited { ", from further up" } else { "" };
            lines.push(format!(
                "at {}{whose}: {}",
                shown::value(&at.to_string()),
                shown::line(record, shown::ON_LINE)
            ));
        }
        _ => lines.push(format!("no policy found; looked at {}", shown::list(&dmarc.walked))),
    }
    if let (Some(applied), Some(subdomains), Some(nonexistent)) =
        (dmarc.applied, dmarc.subdomains, dmarc.nonexistent)
    {
        lines.push(format!(
            "in force: {applied}; for subdomains {subdomains}, for names that do not exist {nonexistent}"
        ));
    }
    for destination in &dmarc.reports {
        let agreed = match &destination.authorisation {
            ReportAuthorisation::NotNeeded => "same organization".to_owned(),
            ReportAuthorisation::Given => "has agreed".to_owned(),
            ReportAuthorisation::Missing => "has not agreed".to_owned(),
            ReportAuthorisation::Unknown(reason) => format!("not known: {}", shown::value(reason)),
        };
        lines.push(format!("reports to {}: {agreed}", shown::value(&destination.domain.to_string())));
    }
    let Some(ladder) = ladder else { return lines };
    if let Some(next) = &ladder.next {
        lines.push(format!("next step: {}", shown::line(&next.replace_with, shown::ON_LINE)));
        lines.push("before it:".to_owned());
        for one in &ladder.conditions {
            lines.push(format!("  {}  {}", condition_status(one.status), condition(one.condition)));
        }
    }
    lines
}

fn condition_status(status: ConditionStatus) -> &'static str {
    match status {
        ConditionStatus::Met => "yes    ",
        ConditionStatus::NotMet => "not yet",
        ConditionStatus::Unknown => "unknown",
        ConditionStatus::Look => "look   ",
    }
}

fn condition(condition: Condition) -> &'static str {
    match condition {
        Condition::ReportsAsked => "reports are asked for (rua=)",
        Condition::ReportsArrive => "whoever gets the reports has agreed to take them",
        Condition::DkimAligned => "DKIM passes for the domain in From",
        Condition::SpfAligned => "SPF passes for the domain in From",
        Condition::ReportsReadForWeeks => "two to four weeks of reports were read",
        Condition::AllSourcesPass => "every service of yours in them passes",
        Condition::SubdomainsCovered => "subdomains have no weaker policy (sp=, np=)",
    }
}

fn alignment_lines(alignment: &Alignment) -> Vec<String> {
    let mut lines = vec![format!("From {}", shown::value(&alignment.author_domain.to_string()))];
    let all = [("envelope sender (SPF)", &alignment.spf), ("signing domain (DKIM)", &alignment.dkim)];
    for (what, identifiers) in all {
        for identifier in identifiers {
            let aligned = match identifier.aligned {
                Some(true) => "aligned",
                Some(false) => "not aligned",
                None => "not known",
            };
            let mode = match identifier.mode {
                AlignmentMode::Relaxed => "relaxed",
                AlignmentMode::Strict => "strict",
            };
            lines
                .push(format!("{what} {}: {aligned} ({mode})", shown::value(&identifier.domain.to_string())));
        }
    }
    if alignment.spf.is_empty() {
        lines.push("envelope sender (SPF): the sending service's own; DKIM carries DMARC".to_owned());
    }
    lines
}

/// The rules as a table: a row for each, a column for each provider.
fn rule_lines(rules: &[SenderRule]) -> Vec<String> {
    let mut providers: Vec<Provider> = rules.iter().map(|rule| rule.provider).collect();
    providers.sort_unstable();
    providers.dedup();
    let mut kinds: Vec<Rule> = Vec::new();
    for rule in rules {
        if !kinds.contains(&rule.rule) {
            kinds.push(rule.rule);
        }
    }
    let cell = |provider: Provider, kind: Rule| {
        let rule = rules.iter().find(|rule| (rule.provider, rule.rule) == (provider, kind));
        rule.map_or_else(
            || "–".to_owned(),
            |rule| format!("{}{}", rule_status(rule.status), if rule.bulk { " *" } else { "" }),
        )
    };
    let mut rows = vec![row("", providers.iter().map(|provider| provider_name(*provider).to_owned()))];
    for kind in kinds {
        rows.push(row(rule_name(kind), providers.iter().map(|provider| cell(*provider, kind))));
    }
    if rules.iter().any(|rule| rule.bulk) {
        rows.push("* of those who send in bulk, about 5,000 messages a day".to_owned());
    }
    for (status, words) in [
        (RuleStatus::AtSend, "at send: seen to with each message"),
        (RuleStatus::Operator, "operator: for whoever runs the servers and sends; DNS does not show it"),
    ] {
        if rules.iter().any(|rule| rule.status == status) {
            rows.push(words.to_owned());
        }
    }
    let mut why: Vec<&str> = rules.iter().flat_map(|rule| &rule.why).map(String::as_str).collect();
    why.sort_unstable();
    why.dedup();
    if !why.is_empty() {
        rows.push(format!("in the way: {}", why.join(", ")));
    }
    rows
}

/// One row, its columns as wide as the longest words in them.
fn row(name: &str, cells: impl Iterator<Item = String>) -> String {
    let mut line = format!("{name:<36}");
    for cell in cells {
        // Writing to a String does not fail.
        let _ = write!(line, "{cell:<11}");
    }
    line.trim_end().to_owned()
}

const fn rule_status(status: RuleStatus) -> &'static str {
    match status {
        RuleStatus::Met => "yes",
        RuleStatus::NotMet => "no",
        RuleStatus::Unknown => "unknown",
        RuleStatus::AtSend => "at send",
        RuleStatus::Operator => "operator",
    }
}

/// The next step to a policy that is acted on, and what stands before it, in one line; nothing while something has to
/// be set right first.
pub(super) fn next_step(report: &Report) -> Option<String> {
    let ladder = report.mail.dmarc_ladder.as_ref().filter(|_| report.verdict == Verdict::Pass)?;
    let next = ladder.next.as_ref()?;
    let is_not_asked = |one: &LadderCondition| {
        one.condition == Condition::ReportsAsked && one.status == ConditionStatus::NotMet
    };
    let unasked = ladder.conditions.iter().any(is_not_asked);
    let with = |status| -> Vec<&str> {
        // Reports that nobody asks for do not arrive: that goes without saying.
        let has = |one: &&LadderCondition| {
            one.status == status && !(unasked && one.condition == Condition::ReportsArrive)
        };
        ladder.conditions.iter().filter(has).map(|one| condition(one.condition)).collect()
    };
    let (missing, look) = (with(ConditionStatus::NotMet), with(ConditionStatus::Look));
    let first = match (missing.as_slice(), look.as_slice()) {
        ([], []) => String::new(),
        ([], look) => format!(", once {}", look.join(", and ")),
        (missing, _) => format!(", but first see that {}", missing.join(", and ")),
    };
    Some(format!("p={} now; the next step is p={}{first}", ladder.current, next.policy))
}

/// A row for each term; those that cost nothing only where all is told.
fn spf_lines(node: &SpfNode, depth: usize, verbose: bool, lines: &mut Vec<(String, String)>) {
    let indent = "  ".repeat(depth);
    if let Some(problem) = &node.problem {
        lines.push((format!("{indent}{}", spf_problem(problem)), String::new()));
    }
    for term in node.terms.iter() {
        let mut remarks = Vec::new();
        if !term.reached {
            remarks.push("never reached".to_owned());
        } else if term.lookups > 0 {
            remarks.push(term.lookups.to_string());
        }
        if term.has_macros {
            remarks.push("depends on the message".to_owned());
        }
        if term.void_lookups > 0 && term.leads_to.is_none() {
            remarks.push("nothing there".to_owned());
        }
        if verbose || !remarks.is_empty() || term.leads_to.is_some() {
            lines.push((format!("{indent}{}", shown::value(&term.text)), remarks.join(", ")));
        }
        if let Some(below) = &term.leads_to {
            spf_lines(below, depth + 1, verbose, lines);
        }
    }
}

fn spf_problem(problem: &SpfNodeProblem) -> String {
    match problem {
        SpfNodeProblem::NoRecord => "no SPF record is there".to_owned(),
        SpfNodeProblem::MultipleRecords(count) => format!("{count} SPF records are there"),
        SpfNodeProblem::Syntax(error) => format!("not valid: {}", shown::value(error)),
        SpfNodeProblem::Loop => "leads back to itself".to_owned(),
        SpfNodeProblem::Unanswered(reason) => format!("no answer: {}", shown::value(reason)),
        SpfNodeProblem::NotFollowed => "not followed".to_owned(),
    }
}
