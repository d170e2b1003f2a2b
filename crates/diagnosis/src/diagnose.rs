//! The comparison of a plan with an observation.
//!
//! For each record: what every server said is judged; where all that know agree that it is right it is verified,
//! where they disagree it is pending, where all agree that it is not right the checks say why, and where nobody
//! knows it is unknown. The verdict is fail only for what is certain: nothing temporary ever fails a domain.

use crate::{
    checks::{self, Context, dns_unanswered, inquiry_cut_short, name_servers_disagree},
    finding::{Defect, Finding, Remedy},
    inquiry::{Known, domain_connect_question, is_selector, main_types, target_type, zone_question_name},
    mail_policy,
    observation::{ChainEnd, Observation, Says, Server},
    plan::{Expected, Plan, PlannedRecord},
    propagation,
    report::{RecordReport, Report, Seen},
    spf_tree::{self, SpfReport},
    sub_zone,
    view::{Fact, Heard, RUN_OUT, View},
    well_known::{self, TriedSelectors},
    wildcard::{self, Origin},
};
use model::{
    CheckStatus, Confidence, DomainName, Purpose, RecordStatus, RecordType, Severity, Timestamp, Verdict,
};
use std::sync::Arc;

/// One record of a plan, judged by an observation.
pub struct Judged {
    report: RecordReport,
    findings: Vec<Finding>,
    /// Where it is an SPF record: what it leads to.
    spf: Option<SpfReport>,
}

impl Judged {
    pub(crate) fn is_verified(&self) -> bool {
        self.report.status == RecordStatus::Verified
    }
}

/// Compares a plan with an observation. `now` only stamps the report.
pub fn diagnose(plan: &Plan, observation: &Observation, now: Timestamp) -> Report {
    diagnose_known(plan, observation, Known::of(observation), now)
}

/// The same where an inquiry has found out a part of it on its way ([`crate::inquiry::Inquiry::into_known`]).
pub fn diagnose_known(plan: &Plan, observation: &Observation, known: Known, now: Timestamp) -> Report {
    let with_found = well_known::with_found(plan, observation);
    let plan = &*with_found;
    let Known { view, judged } = known;
    let judged = judged.filter(|judged| judged.len() == plan.records.len()).unwrap_or_else(|| {
        plan.records.iter().map(|planned| Box::new(judge_record(plan, planned, &view))).collect()
    });
    let mut findings = Vec::new();
    let mut records = Vec::with_capacity(judged.len());
    let mut spf = Vec::new();
    for mut judged in judged {
        if judged.report.is_dkim() && !plan.tried_selectors.is_empty() {
            // What only a cache remembers was found nowhere, and nobody has asked for it to be published.
            if judged.report.status == RecordStatus::Missing {
                continue;
            }
            // Nobody has said that mail is signed with it.
            for finding in &mut judged.findings {
                finding.severity = finding.severity.min(Severity::Warning);
            }
        }
        records.push(judged.report);
        findings.append(&mut judged.findings);
        spf.extend(judged.spf);
    }
    let is_known = add_domain_findings(plan, &view, &records, &mut findings);
    let (mail, of_mail) = mail_policy::examine(plan, &view, &records, spf);
    if is_known {
        findings.extend(of_mail);
    }
    if observation.cut_short {
        findings.push(inquiry_cut_short::note(observation));
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
    sub_zone::excuse(plan, &mut records);
    // What is to be published for a delegation is in the zone above.
    let zone = match plan.delegation() {
        Some((zone, _)) => view.parent_zone(zone),
        None => view.zone_of(&plan.domain),
    };
    let tried_selectors = well_known::tried(plan, &view, &records);
    let status = |purpose| status_of(&records, purpose);
    let mut report = Report {
        domain: plan.domain.clone(),
        profile: plan.profile.clone(),
        checked_at: now,
        started_at: None,
        once: false,
        verdict: verdict(&records),
        spf_status: status(Purpose::Spf),
        dkim_status: if plan.tried_selectors.is_empty() {
            status(Purpose::Dkim)
        } else {
            status_of_tried(&records, tried_selectors.as_ref())
        },
        tried_selectors,
        dmarc_status: status(Purpose::Dmarc),
        return_path_status: status(Purpose::ReturnPath),
        name_servers: zone.as_ref().map(|zone| listed_servers(&view, zone)).unwrap_or_default(),
        domain_connect: zone.as_ref().and_then(|zone| domain_connect(&view, zone)),
        zone,
        authoritative_since: None,
        visible_everywhere_by: records
            .iter()
            .filter_map(|record| record.propagation.visible_everywhere_by)
            .max(),
        mail,
        findings,
        records,
        hosted: Vec::new(),
        questions_asked: observation.exchanges.len(),
    };
    let is_hosted = |record: &RecordReport| record.planned.hosted;
    (report.hosted, report.records) = report.records.into_iter().partition(is_hosted);
    report.authoritative_since = (report.is_authoritative() == Some(true)).then_some(now);
    report
}

/// What concerns the domain as a whole. One finding about the cause takes the place of one for each record. Whether
/// anything is known of the domain at all.
fn add_domain_findings(
    plan: &Plan,
    view: &View,
    records: &[RecordReport],
    findings: &mut Vec<Finding>,
) -> bool {
    let is_unanswered = |finding: &Finding| matches!(finding.defect, Defect::DnsUnanswered { .. });
    if let Some(headline) = checks::resolvers_unusable::check(view) {
        findings.retain(|finding| !is_unanswered(finding));
        findings.push(headline);
        findings.extend(checks::subdomain_recommended::check(plan));
        return false;
    }
    let not_found = checks::domain_not_found::check(plan, view);
    let is_found = not_found.is_none();
    if let Some(not_found) = not_found {
        // Where the whole domain is missing, saying so for each record helps nobody.
        findings.clear();
        findings.push(not_found);
    }
    let bogus = checks::dnssec_bogus::check(plan, view);
    findings.retain(|finding| !checks::dnssec_bogus::explains(&bogus, finding));
    findings.extend(bogus);
    if let Some(headline) = checks::zone_unserved::check(plan, view, records, findings) {
        findings.retain(|finding| !is_unanswered(finding));
        findings.push(headline);
    }
    if plan.tried_selectors.is_empty() {
        findings.extend(checks::dkim_partial::check(records));
    }
    // Only then were name servers asked.
    if view.may_know_zones() {
        let not_delegated = checks::zone_not_delegated::check(plan, view);
        findings.retain(|finding| !checks::zone_not_delegated::explains(&not_delegated, plan, finding));
        let mismatches = checks::delegation_mismatch::check(plan, view).into_iter();
        findings.extend(
            mismatches.filter(|finding| !checks::zone_not_delegated::explains(&not_delegated, plan, finding)),
        );
        findings.extend(not_delegated);
        findings.extend(checks::glue_mismatch::check(plan, view));
    }
    if view.has_authorities() {
        findings.extend(checks::name_server_lame::check(view));
    }
    findings.extend(checks::wildcard_shadowed::check(plan, view, records));
    findings.extend(checks::subdomain_recommended::check(plan));
    sub_zone::settle(plan, view, records, findings);
    is_found
}

/// Whether a record is right beyond doubt by what is known so far.
pub(crate) fn is_verified(plan: &Plan, planned: &Arc<PlannedRecord>, view: &View) -> bool {
    judge_record(plan, planned, view).is_verified()
}

/// What was heard for a record: for the first of its questions that was put; for an alias the first that was answered.
pub(crate) fn heard_of<'v>(planned: &PlannedRecord, view: &'v View) -> &'v [Heard] {
    // Resolvers asked first are asked for an alias by what is behind it.
    let types = main_types(planned).chain(std::iter::once(target_type(planned)));
    let mut heard = types.map(|record_type| view.heard(&planned.owner, record_type));
    if let Expected::Cname { .. } = planned.expected {
        // An alias shows in the answers to each of them, and some servers fail when asked for the alias itself.
        let says_something = |heard: &&[Heard]| heard.iter().any(Heard::is_certain);
        if let Some(heard) = heard.clone().find(says_something) {
            return heard;
        }
    }
    heard.find(|heard| !heard.is_empty()).unwrap_or_default()
}

pub(crate) fn judge_record(plan: &Plan, planned: &Arc<PlannedRecord>, view: &View) -> Judged {
    if let Expected::Delegation { name_server, .. } = &planned.expected {
        return judge_delegation(plan, planned, name_server, view);
    }
    let heard = match plan.delegation() {
        // What the zone above has there is not what will be in the zone.
        Some((zone, _)) if planned.hosted && view.delegated_to(zone).is_none() => &[],
        _ => heard_of(planned, view),
    };
    let mut seen: Vec<Seen> = Vec::with_capacity(heard.len());
    for (index, of_server) in heard.iter().enumerate() {
        // Servers mostly say the same: it is judged once.
        let right = match index.checked_sub(1).and_then(|before| heard.get(before)) {
            Some(before) if before.says == of_server.says && !before.is_stale => seen[index - 1].right,
            _ => checks::is_right_in(view, planned, &of_server.says),
        };
        // What has run out may be wrong because the zone cannot be reached, which is nothing that lasts.
        let right = right.filter(|right| *right || !of_server.is_stale);
        seen.push(Seen { server: of_server.server().clone(), right, ttl: of_server.exchange.ttl() });
    }
    let zone = view.zone_of(&zone_question_name(planned));
    let jury = Jury::new(heard, &seen, zone.as_ref(), view);
    let nothing_decided;
    let here = if let Some(says) = jury.says() {
        says
    } else {
        nothing_decided = undecided(heard);
        &nothing_decided
    };
    let context = Context::new(plan, planned, view, zone.clone(), here);
    let (status, findings) = judge(&context, &jury, heard);
    let replace = findings.iter().find_map(|finding| match &finding.remedy {
        Remedy::MergeSpf { replace_with, .. } => Some(replace_with.clone()),
        _ => None,
    });
    let current = current_values(&context);
    // Whatever is wrong with it, a record that others are in is never to be replaced by ours alone.
    let replace = replace.or_else(|| match (&planned.expected, current.as_slice()) {
        (Expected::Spf { rules }, [record]) => {
            let rules = rules.as_deref().unwrap_or_default();
            let is_in_it = context.spf_tree().is_some_and(|tree| tree.passes(rules));
            Some(if is_in_it { record.clone() } else { spf_tree::merge_one(record, rules) })
        }
        _ => None,
    });
    let propagation = propagation::of(heard, &seen, zone.as_ref(), view);
    let report = RecordReport {
        planned: Arc::clone(planned),
        zone,
        status,
        last_certain: None,
        current,
        replace,
        findings: Vec::new(),
        seen,
        propagation,
    };
    let spf = spf_tree::report(&context, &report.current);
    Judged { report, findings, spf }
}

fn judge_delegation(
    plan: &Plan,
    planned: &Arc<PlannedRecord>,
    name_server: &DomainName,
    view: &View,
) -> Judged {
    let nothing = Says::Nothing(String::new());
    let context = Context::new(plan, planned, view, None, &nothing);
    let judged = sub_zone::judge(&context, name_server);
    let report = RecordReport {
        planned: Arc::clone(planned),
        zone: judged.parent,
        status: judged.status,
        last_certain: None,
        current: judged.current,
        replace: None,
        findings: Vec::new(),
        seen: judged.seen,
        propagation: propagation::Propagation::default(),
    };
    Judged { report, findings: judged.findings, spf: None }
}

/// What is known where nobody can say whether the record is right: an alias whose end is not shown, else nothing.
fn undecided(heard: &[Heard]) -> Says {
    let known = heard.iter().find(|heard| heard.is_certain()).map(|heard| heard.says.clone());
    known.unwrap_or_else(|| Says::Nothing(dns_unanswered::reasons(heard).join("; ")))
}

/// Whose answers decide about a record: the name servers that the zone is delegated to; where those say nothing,
/// any name server; where none does, the resolvers.
struct Jury<'v> {
    /// Those of the jury that have the record.
    right: Vec<&'v Heard>,
    /// Those that certainly have not.
    wrong: Vec<&'v Heard>,
    /// Name servers that the zone itself names and the zone above does not: some resolvers ask them, too.
    beside_right: Vec<&'v Heard>,
    /// Those of them that have not got the record.
    beside_wrong: Vec<&'v Heard>,
    /// Whether name servers decide.
    authoritative: bool,
    /// Whether a name server that would decide gave no answer.
    is_incomplete: bool,
    /// How many resolvers say anything certain.
    resolvers: usize,
    /// Those that have the record.
    resolvers_right: Vec<&'v Heard>,
    /// Whether any resolver was asked.
    resolvers_asked: bool,
}

impl<'v> Jury<'v> {
    fn new(heard: &'v [Heard], seen: &[Seen], zone: Option<&DomainName>, view: &View) -> Self {
        let delegated = zone.and_then(|zone| view.delegated_to(zone));
        let is_delegated = |heard: &Heard| match (heard.server(), &delegated) {
            (Server::Authority { name, .. }, Some(delegated)) => delegated.contains(name),
            _ => false,
        };
        let certain = || heard.iter().zip(seen).filter_map(|(heard, seen)| Some((heard, seen.right?)));
        let by_name_server = |heard: &Heard| matches!(heard.server(), Server::Authority { .. });
        let any_delegated = certain().any(|(heard, _)| is_delegated(heard));
        let any_resolver = certain().any(|(heard, _)| !by_name_server(heard));
        // Servers that the zone is not delegated to may be an old host's: where those that it is delegated to are
        // silent, what resolvers say is nearer to what receivers see.
        let others_may_decide = delegated.is_none() || !any_resolver;
        let authoritative =
            any_delegated || (others_may_decide && certain().any(|(heard, _)| by_name_server(heard)));
        let decides = |heard: &Heard| match (any_delegated, authoritative) {
            (true, _) => is_delegated(heard),
            (false, authoritative) => by_name_server(heard) == authoritative,
        };
        let of = |decides: &dyn Fn(&Heard) -> bool, wanted: bool| {
            certain()
                .filter(|(heard, right)| *right == wanted && decides(heard))
                .map(|(heard, _)| heard)
                .collect()
        };
        let named_by_zone: Vec<DomainName> = match zone {
            Some(zone) if any_delegated => {
                view.name_servers_by_zone(zone).into_iter().flat_map(|(_, names)| names).collect()
            }
            _ => Vec::new(),
        };
        let is_beside = |heard: &Heard| match heard.server() {
            Server::Authority { name, .. } => {
                any_delegated && !is_delegated(heard) && named_by_zone.contains(name)
            }
            Server::Resolver { .. } => false,
        };
        let resolvers = || certain().filter(|(heard, _)| !by_name_server(heard));
        let is_asked_in_vain = |(heard, seen): (&Heard, &Seen)| {
            seen.right.is_none()
                && by_name_server(heard)
                && (delegated.is_none() || is_delegated(heard))
                && !matches!(heard.says, Says::Alias { .. })
        };
        Self {
            right: of(&decides, true),
            wrong: of(&decides, false),
            beside_right: of(&is_beside, true),
            beside_wrong: of(&is_beside, false),
            authoritative,
            is_incomplete: heard.iter().zip(seen).any(is_asked_in_vain),
            resolvers: resolvers().count(),
            resolvers_right: resolvers().filter(|(_, right)| *right).map(|(heard, _)| heard).collect(),
            resolvers_asked: heard.iter().any(|heard| !by_name_server(heard)),
        }
    }

    /// What is at the name as the jury has it, now rather than before.
    fn says(&self) -> Option<&'v Says> {
        let is_fresh = |heard: &&&Heard| !heard.is_stale;
        let right = self.right.iter().find(is_fresh).or(self.right.first());
        right.or(self.wrong.first()).map(|heard| &heard.says)
    }
}

fn judge(context: &Context<'_>, jury: &Jury<'_>, heard: &[Heard]) -> (RecordStatus, Vec<Finding>) {
    if jury.says().is_none() {
        return (RecordStatus::Unknown, vec![dns_unanswered::record(context, heard)]);
    }
    if jury.right.is_empty() {
        // Some resolvers go by what the zone says of itself, and find the record.
        if !jury.beside_right.is_empty() && !jury.resolvers_right.is_empty() {
            return (
                RecordStatus::Pending,
                vec![name_servers_disagree::record(context, &jury.beside_right, &jury.wrong)],
            );
        }
        // The server that does not answer may be the one that has it: a resolver found it somewhere.
        if jury.is_incomplete && !jury.resolvers_right.is_empty() {
            return (
                RecordStatus::Pending,
                vec![name_servers_disagree::record(context, &jury.resolvers_right, &jury.wrong)],
            );
        }
        return judge_wrong(context, heard);
    }
    let wrong: Vec<&Heard> = jury.wrong.iter().chain(&jury.beside_wrong).copied().collect();
    if !wrong.is_empty() {
        return (RecordStatus::Pending, vec![name_servers_disagree::record(context, &jury.right, &wrong)]);
    }
    // The name servers are right, and every resolver fails: receivers would fail as well (broken DNSSEC does this).
    if jury.authoritative && jury.resolvers == 0 && jury.resolvers_asked && !behind_alias(context) {
        // A resolver that has seen an alias beside the record finds the alias from then on, and no more the record.
        if let Some(conflict) = checks::cname_conflict::check(context) {
            return (RecordStatus::Failed, vec![conflict]);
        }
        return (RecordStatus::Unknown, vec![dns_unanswered::record(context, heard)]);
    }
    if is_selector(context.record) {
        // An alias shows in the answers to either question; which was put to whom depends on the look.
        for record_type in [RecordType::Cname, RecordType::Txt] {
            let owner = &context.record.owner;
            match wildcard::origin(context.view, &context.plan.domain, owner, record_type) {
                Origin::Own => {}
                origin => return judge_made_up(context, record_type, origin),
            }
        }
    }
    judge_right(context, jury, heard)
}

/// A wildcard gives the right answer at a selector, and any answer would do at any other one: nobody has put the
/// record there, and the next selector below the wildcard gets this key too.
fn judge_made_up(
    context: &Context<'_>,
    record_type: RecordType,
    origin: Origin,
) -> (RecordStatus, Vec<Finding>) {
    let finding = checks::wildcard_answers::finding(context, record_type, origin);
    let status = if origin == Origin::Wildcard { RecordStatus::Missing } else { RecordStatus::Unknown };
    (status, vec![finding])
}

fn judge_right(context: &Context<'_>, jury: &Jury<'_>, heard: &[Heard]) -> (RecordStatus, Vec<Finding>) {
    let mut findings = checks::inspect_right(context);
    let mut status = RecordStatus::Verified;
    let breaks = |finding: &Finding| finding.severity >= context.severity() && is_breaking(&finding.defect);
    if findings.iter().any(breaks) {
        if jury.right.iter().all(|heard| heard.is_stale) {
            // It is there, or was; what else was wrong with it may have been mended since.
            findings.retain(|finding| !breaks(finding));
            findings.push(dns_unanswered::record(context, heard));
            return (RecordStatus::Unknown, findings);
        }
        status = RecordStatus::Failed;
    } else if let Expected::Cname { dkim_key: Some(_), .. } = &context.record.expected
        && let Some(target) = context.alias()
        && let Some(reasons) = not_known(context)
    {
        status = RecordStatus::Unknown;
        findings.push(dns_unanswered::target(context, target, reasons));
    }
    // A resolver that goes by an alias beside the record has nothing old in its cache.
    let is_hidden = findings.iter().any(|finding| matches!(finding.defect, Defect::CnameConflict { .. }));
    if jury.authoritative && !is_hidden {
        let is_wrong =
            |heard: &&Heard| checks::is_right_in(context.view, context.record, &heard.says) == Some(false);
        let stale = heard.iter().filter(is_wrong);
        findings.extend(
            stale.filter_map(|heard| checks::resolver_cache_stale::check(context.record, &heard.exchange)),
        );
    }
    (status, findings)
}

/// Why the key behind our alias is not known for certain; nothing where it is.
fn not_known(context: &Context<'_>) -> Option<Vec<String>> {
    match context.behind_alias()? {
        Fact::Agreed(Says::Records(_) | Says::Alias { end: ChainEnd::Records, .. }) => None,
        Fact::Agreed(Says::AliasLoop(_)) => Some(vec!["the aliases behind it go in a circle".to_owned()]),
        Fact::Agreed(Says::SeveralAliases(_)) => {
            Some(vec!["there is more than one alias at the name".to_owned()])
        }
        Fact::Agreed(_) => Some(vec!["what is behind the next alias was not shown".to_owned()]),
        Fact::Disagreed(all) => {
            Some(all.iter().map(|(server, _)| format!("{server} says otherwise")).collect())
        }
        Fact::Stale(_) if context.key_texts().is_some() => None,
        Fact::Stale(_) => Some(vec![RUN_OUT.to_owned()]),
        Fact::Unknown(reasons) => Some(reasons.clone()),
    }
}

fn judge_wrong(context: &Context<'_>, heard: &[Heard]) -> (RecordStatus, Vec<Finding>) {
    if matches!(context.record.expected, Expected::Dmarc { .. }) {
        let mut inherited: Vec<Finding> = checks::inspect_right(context)
            .into_iter()
            .filter(|finding| matches!(finding.defect, Defect::DmarcInherited { .. }))
            .collect();
        if !inherited.is_empty() {
            // A policy applies, and not the one that somebody meant to publish here.
            let near_miss = checks::dmarc_invalid::check(context).or_else(|| checks::alias_in_vain(context));
            inherited.extend(near_miss.map(|finding| Finding { severity: Severity::Warning, ..finding }));
            return (RecordStatus::Verified, inherited);
        }
    }
    let Some(finding) = checks::explain_wrong(context) else {
        let above = dns_unanswered::policy_above(context);
        let finding = above.unwrap_or_else(|| dns_unanswered::record(context, heard));
        return (RecordStatus::Unknown, vec![finding]);
    };
    if let Defect::SpfMechanismAbsent { .. } = &finding.defect
        && let Some((name, reason)) = context.spf_tree().and_then(|tree| tree.node.unanswered())
    {
        // It may be in there.
        let unanswered = dns_unanswered::target(context, name, vec![reason.to_owned()]);
        let suspected = Finding { confidence: Confidence::Suspected, ..finding };
        return (RecordStatus::Unknown, vec![suspected, unanswered]);
    }
    if let Defect::SpfMechanismAbsent { .. } = &finding.defect {
        // Each with the same record to publish, so that one change mends them all.
        let findings = std::iter::once(finding).chain(context.spf_errors());
        return (RecordStatus::Failed, findings.collect());
    }
    let nothing_there = matches!(
        finding.defect,
        Defect::RecordMissing { .. }
            | Defect::RecordInDoubledZone { .. }
            | Defect::RecordMisplaced { .. }
            | Defect::WildcardAnswers { .. }
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
            | Defect::CnameSeveral { .. }
            | Defect::CnameTargetMissing { .. }
            | Defect::DkimKeyRevoked { .. }
            | Defect::DkimKeyMismatched { .. }
            | Defect::DkimKeyInvalid { .. }
            | Defect::DkimMultipleRecords { .. }
            | Defect::DkimKeyWeak { bits: ..1024, .. }
            | Defect::SpfTooManyLookups { .. }
            | Defect::SpfTooManyVoidLookups { .. }
            | Defect::SpfPassesAll { .. }
            | Defect::SpfIncludeLoop { .. }
            | Defect::SpfIncludeBroken { .. }
            | Defect::MxExchangeMissing { .. }
    )
}

fn behind_alias(context: &Context<'_>) -> bool {
    matches!(context.here, Says::Alias { .. }) && !matches!(context.record.expected, Expected::Cname { .. })
}

/// The name servers that the zone is delegated to; where that is not known, those that it names itself.
fn listed_servers(view: &View, zone: &DomainName) -> Vec<DomainName> {
    view.delegated_to(zone).unwrap_or_else(|| view.name_servers(zone))
}

/// The first TXT record at `_domainconnect`, where it is one that a provider could be found by.
fn domain_connect(view: &View, zone: &DomainName) -> Option<String> {
    let question = domain_connect_question(zone)?;
    let Fact::Agreed(says) = view.fact(&question.name, question.record_type) else { return None };
    checks::texts_of(says).into_iter().map(|text| text.trim().to_owned()).find(|text| {
        let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '/' | ':');
        !text.is_empty() && text.len() <= 253 && text.chars().all(is_host)
    })
}

/// What is at the name now, for people: for SPF and DMARC only their own records, not every TXT beside them.
fn current_values(context: &Context<'_>) -> Vec<String> {
    let texts = context.texts();
    match &context.record.expected {
        Expected::Spf { .. } => checks::spf_records(texts),
        Expected::Dmarc { .. } | Expected::Dkim { .. } | Expected::Txt { .. } => checks::kept(texts),
        _ => match context.here {
            Says::Records(records) => records.iter().map(ToString::to_string).collect(),
            Says::Alias { target, .. } => vec![target.to_string()],
            Says::SeveralAliases(targets) => targets.iter().map(ToString::to_string).collect(),
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

/// Keys that were found by trying: what is wrong with one says nothing of the one that mail is signed with.
fn status_of_tried(records: &[RecordReport], tried: Option<&TriedSelectors>) -> CheckStatus {
    let is_right = |record: &RecordReport| record.is_dkim() && record.status == RecordStatus::Verified;
    if records.iter().any(is_right) {
        CheckStatus::Verified
    } else if tried.is_some_and(|tried| tried.unanswered > 0) {
        CheckStatus::Pending
    } else {
        CheckStatus::Missing
    }
}

fn status_of(records: &[RecordReport], purpose: Purpose) -> CheckStatus {
    let of_it = || records.iter().filter(|record| belongs(record, purpose));
    // A key beside those that are needed comes and goes.
    let needed = purpose == Purpose::Dkim && of_it().any(|record| record.planned.required);
    let statuses: Vec<RecordStatus> =
        of_it().filter(|record| record.planned.required || !needed).map(|record| record.status).collect();
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
