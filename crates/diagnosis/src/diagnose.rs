//! The comparison of a plan with an observation.
//!
//! For each record: what every server said is judged; where all that know agree that it is right it is verified,
//! where they disagree it is pending, where all agree that it is not right the checks say why, and where nobody
//! knows it is unknown. The verdict is fail only for what is certain: nothing temporary ever fails a domain.

use crate::{
    checks::{self, Context},
    finding::{Defect, Finding, Remedy},
    inquiry::{main_questions, zone_question_name},
    mail_policy,
    observation::{Exchange, Observation, Says, Server},
    plan::{Expected, Plan, PlannedRecord},
    report::{RecordReport, Report, Seen},
    view::{Fact, View},
};
use model::{CheckStatus, Confidence, Purpose, RecordStatus, RecordType, Severity, Timestamp, Verdict};

/// Compares a plan with an observation. `now` only stamps the report.
pub fn diagnose(plan: &Plan, observation: &Observation, now: Timestamp) -> Report {
    let view = View::new(observation);
    let mut findings = Vec::new();
    let not_found = checks::domain_not_found::check(plan, &view);
    let mut records = Vec::with_capacity(plan.records.len());
    for planned in &plan.records {
        let (report, of_record) = diagnose_record(plan, planned, &view);
        records.push(report);
        // Where the whole domain is missing, saying so for each record helps nobody.
        if not_found.is_none() {
            findings.extend(of_record);
        }
    }
    let (mail, of_mail) = mail_policy::examine(plan, &view, &records);
    if not_found.is_none() {
        findings.extend(of_mail);
    }
    findings.extend(not_found);
    findings.extend(checks::dkim_partial::check(&records));
    findings.extend(checks::name_server_lame::check(observation));
    findings.extend(checks::subdomain_recommended::check(plan));
    if observation.cut_short {
        findings.push(cut_short(observation));
    }
    // Stable: within a severity the plan's order stays.
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    for record in &mut records {
        record.findings = findings
            .iter()
            .filter(|finding| finding.record.as_ref() == Some(&record.planned.key))
            .map(|finding| finding.code().to_owned())
            .collect();
    }
    let zone = view.zone_of(&plan.domain);
    let status = |purpose| status_of(&records, purpose);
    Report {
        domain: plan.domain.clone(),
        profile: plan.profile.clone(),
        checked_at: now,
        started_at: None,
        once: false,
        verdict: verdict(&records),
        spf_status: status(Purpose::Spf),
        dkim_status: status(Purpose::Dkim),
        dmarc_status: status(Purpose::Dmarc),
        return_path_status: status(Purpose::ReturnPath),
        name_servers: zone.as_ref().map(|zone| view.name_servers(zone)).unwrap_or_default(),
        zone,
        visible_everywhere_by: findings
            .iter()
            .filter_map(|finding| match finding.defect {
                Defect::ResolverCacheStale { until, .. } => Some(until),
                _ => None,
            })
            .max(),
        mail,
        findings,
        records,
        questions_asked: observation.exchanges.len(),
    }
}

/// Whether a record is right beyond doubt by what is known so far.
pub(crate) fn is_verified(plan: &Plan, planned: &PlannedRecord, view: &View<'_>) -> bool {
    diagnose_record(plan, planned, view).0.status == RecordStatus::Verified
}

fn diagnose_record(plan: &Plan, planned: &PlannedRecord, view: &View<'_>) -> (RecordReport, Vec<Finding>) {
    let questions = main_questions(planned);
    let exchanges = questions
        .iter()
        .map(|question| view.exchanges(&question.name, question.record_type))
        .find(|exchanges| !exchanges.is_empty())
        .unwrap_or_default();
    let seen: Vec<Seen> = exchanges
        .iter()
        .map(|exchange| Seen {
            server: exchange.ask.server.clone(),
            right: checks::is_right(planned, &exchange.says()),
            ttl: exchange.ttl(),
        })
        .collect();
    let record_type = exchanges.first().map_or(questions[0].record_type, |e| e.ask.question.record_type);
    let here = match view.fact(&planned.owner, record_type) {
        Fact::Agreed(says) => says,
        Fact::Disagreed(mut all) => all.swap_remove(0).1,
        Fact::Unknown(reasons) => Says::Nothing(reasons.join("; ")),
    };
    // A name server shows an alias without its end: a resolver's answer tells what receivers see.
    let here = if checks::is_right(planned, &here).is_none() {
        exchanges
            .iter()
            .map(|exchange| exchange.says())
            .find(|says| checks::is_right(planned, says).is_some())
            .unwrap_or(here)
    } else {
        here
    };
    let zone = view.zone_of(&zone_question_name(planned));
    let context = Context::new(plan, planned, view, zone.clone(), here);
    let (status, findings) = judge(&context, exchanges, &seen);
    let replace = findings.iter().find_map(|finding| match &finding.remedy {
        Remedy::MergeSpf { replace_with, .. } => Some(replace_with.clone()),
        _ => None,
    });
    let current = current_values(&context);
    let report = RecordReport {
        planned: planned.clone(),
        zone,
        status,
        last_certain: None,
        current,
        replace,
        findings: Vec::new(),
        seen,
    };
    (report, findings)
}

fn judge(context: &Context<'_>, exchanges: &[&Exchange], seen: &[Seen]) -> (RecordStatus, Vec<Finding>) {
    let of_kind = |authority: bool| {
        seen.iter().filter(move |seen| matches!(seen.server, Server::Authority { .. }) == authority)
    };
    let certain = |authority| of_kind(authority).filter(|seen| seen.right.is_some()).count();
    let authoritative = certain(true) > 0;
    if !authoritative && certain(false) == 0 {
        return (RecordStatus::Unknown, vec![unanswered(context, exchanges)]);
    }
    let judges: Vec<&Seen> = of_kind(authoritative).filter(|seen| seen.right.is_some()).collect();
    let (right, wrong): (Vec<&Seen>, Vec<&Seen>) = judges.iter().partition(|seen| seen.right == Some(true));
    if right.is_empty() {
        return judge_wrong(context, exchanges);
    }
    if !wrong.is_empty() {
        return (RecordStatus::Pending, vec![disagreement(context, &right, &wrong)]);
    }
    // The name servers are right, and every resolver fails: receivers would fail as well (broken DNSSEC does this).
    if authoritative && certain(false) == 0 && of_kind(false).count() > 0 && !behind_alias(context) {
        // A resolver that has seen an alias beside the record finds the alias from then on, and no more the record.
        if let Some(conflict) = checks::cname_conflict::check(context) {
            return (RecordStatus::Failed, vec![conflict]);
        }
        return (RecordStatus::Unknown, vec![unanswered(context, exchanges)]);
    }
    judge_right(context, exchanges, authoritative)
}

fn judge_right(
    context: &Context<'_>,
    exchanges: &[&Exchange],
    authoritative: bool,
) -> (RecordStatus, Vec<Finding>) {
    let mut findings = checks::inspect_right(context);
    let mut status = RecordStatus::Verified;
    if findings.iter().any(|finding| finding.severity >= context.severity() && is_breaking(&finding.defect)) {
        status = RecordStatus::Failed;
    } else if let Expected::Cname { target, dkim_key: Some(_) } = &context.record.expected
        && let Fact::Unknown(reasons) =
            context.view.behind_alias(&context.record.owner, target, RecordType::Txt)
    {
        status = RecordStatus::Unknown;
        findings.push(unanswered_target(context, target, reasons));
    }
    if authoritative {
        let stale = exchanges.iter().filter(|e| checks::is_right(context.record, &e.says()) == Some(false));
        findings.extend(stale.filter_map(|e| checks::resolver_cache_stale::check(context.record, e)));
    }
    (status, findings)
}

fn judge_wrong(context: &Context<'_>, exchanges: &[&Exchange]) -> (RecordStatus, Vec<Finding>) {
    if matches!(context.record.expected, Expected::Dmarc { .. }) {
        let inherited: Vec<Finding> = checks::inspect_right(context)
            .into_iter()
            .filter(|finding| matches!(finding.defect, Defect::DmarcInherited { .. }))
            .collect();
        if !inherited.is_empty() {
            return (RecordStatus::Verified, inherited);
        }
    }
    let Some(finding) = checks::explain_wrong(context) else {
        return (RecordStatus::Unknown, vec![unanswered(context, exchanges)]);
    };
    let nothing_there = matches!(
        finding.defect,
        Defect::RecordMissing { .. }
            | Defect::RecordInDoubledZone { .. }
            | Defect::RecordMisplaced { .. }
            | Defect::SpfMissing { .. }
            | Defect::DmarcMissing { .. }
    );
    (if nothing_there { RecordStatus::Missing } else { RecordStatus::Failed }, vec![finding])
}

/// Findings about a record at its place that make it useless all the same.
fn is_breaking(defect: &Defect) -> bool {
    matches!(
        defect,
        Defect::CnameConflict { .. }
            | Defect::CnameTargetMissing { .. }
            | Defect::DkimKeyRevoked { .. }
            | Defect::DkimKeyMismatched { .. }
            | Defect::DkimKeyInvalid { .. }
            | Defect::DkimKeyWeak { .. }
            | Defect::SpfTooManyLookups { .. }
            | Defect::SpfTooManyVoidLookups { .. }
            | Defect::SpfIncludeLoop { .. }
            | Defect::SpfIncludeBroken { .. }
    )
}

fn behind_alias(context: &Context<'_>) -> bool {
    matches!(context.here, Says::Alias { .. }) && !matches!(context.record.expected, Expected::Cname { .. })
}

fn unanswered(context: &Context<'_>, exchanges: &[&Exchange]) -> Finding {
    let reasons = exchanges
        .iter()
        .filter_map(|exchange| match exchange.says() {
            Says::Nothing(reason) | Says::Lame(reason) => Some(format!("{}: {reason}", exchange.ask.server)),
            _ => None,
        })
        .collect();
    let defect = Defect::DnsUnanswered {
        name: context.record.owner.clone(),
        record_type: main_questions(context.record)[0].record_type,
        reasons,
    };
    context.finding(defect, Severity::Warning, Remedy::CheckAgain)
}

fn unanswered_target(context: &Context<'_>, target: &model::DomainName, reasons: Vec<String>) -> Finding {
    let defect = Defect::DnsUnanswered { name: target.clone(), record_type: RecordType::Txt, reasons };
    context.finding(defect, Severity::Warning, Remedy::CheckAgain)
}

fn disagreement(context: &Context<'_>, right: &[&Seen], wrong: &[&Seen]) -> Finding {
    let servers = |seen: &[&Seen]| seen.iter().map(|seen| seen.server.clone()).collect::<Vec<_>>();
    let question = &main_questions(context.record)[0];
    let defect = Defect::NameServersDisagree {
        name: context.record.owner.clone(),
        record_type: question.record_type,
        right: servers(right),
        wrong: servers(wrong),
    };
    let remedy = match &context.zone {
        Some(zone) => Remedy::FixNameServers { zone: zone.clone(), servers: servers(wrong) },
        None => Remedy::CheckAgain,
    };
    context.finding(defect, Severity::Warning, remedy)
}

fn cut_short(observation: &Observation) -> Finding {
    Finding {
        defect: Defect::InquiryCutShort { asked: observation.exchanges.len() },
        severity: Severity::Info,
        confidence: Confidence::Confirmed,
        record: None,
        remedy: Remedy::CheckAgain,
    }
}

/// What is at the name now, for people: for SPF and DMARC only their own records, not every TXT beside them.
fn current_values(context: &Context<'_>) -> Vec<String> {
    let texts = context.texts();
    match &context.record.expected {
        Expected::Spf { .. } => checks::spf_records(&texts),
        Expected::Dmarc { .. } | Expected::Dkim { .. } | Expected::Txt { .. } => texts,
        _ => match &context.here {
            Says::Records(records) => records.iter().map(ToString::to_string).collect(),
            Says::Alias { target, .. } => vec![target.to_string()],
            _ => Vec::new(),
        },
    }
}

fn verdict(records: &[RecordReport]) -> Verdict {
    let required = || records.iter().filter(|record| record.planned.required).map(|record| record.status);
    if required().any(|status| matches!(status, RecordStatus::Missing | RecordStatus::Failed)) {
        Verdict::Fail
    } else if required().all(|status| status == RecordStatus::Verified) {
        Verdict::Pass
    } else {
        Verdict::Unknown
    }
}

/// SPF is where an SPF record is, be it the bounce host's.
fn belongs(record: &RecordReport, purpose: Purpose) -> bool {
    record.planned.purpose == purpose
        || (purpose == Purpose::Spf && matches!(record.planned.expected, Expected::Spf { .. }))
}

fn status_of(records: &[RecordReport], purpose: Purpose) -> CheckStatus {
    let statuses: Vec<RecordStatus> =
        records.iter().filter(|record| belongs(record, purpose)).map(|record| record.status).collect();
    let any = |status| statuses.contains(&status);
    if statuses.is_empty() || statuses.iter().all(|status| *status == RecordStatus::Missing) {
        CheckStatus::Missing
    } else if any(RecordStatus::Failed) {
        CheckStatus::Failed
    } else if statuses.iter().all(|status| *status == RecordStatus::Verified) {
        CheckStatus::Verified
    } else {
        CheckStatus::Pending
    }
}
