//! Zones that are delegated to us: what the zone above says of them, and what that comes to.
//!
//! A planned delegation is judged by the servers of the zone above alone, all of them: what resolvers and the zone itself
//! say may be old, or somebody else's. Whether our own servers answer for the zone is looked at as a stranger does.

use crate::{
    checks::{
        Context, delegation_alias, delegation_covered, delegation_elsewhere, delegation_hidden,
        delegation_hides_records, delegation_incomplete, delegation_missing, delegation_signed,
        delegation_uneven, sub_zone_not_served,
    },
    finding::{Defect, Finding, Remedy},
    observation::{Outcome, Question, Rcode, Reply, Says, Server},
    plan::{Expected, Plan, PlannedRecord},
    report::{RecordReport, Seen},
    view::{Heard, View},
    wildcard,
};
use model::{Confidence, DomainName, RecordData, RecordStatus, RecordType, Severity};
use std::mem::discriminant;

/// The type of the records by which the zone above vouches for the signatures of a zone (RFC 4034 §5).
pub const DS: RecordType = RecordType::Other(43);

/// What a server of the zone above says of a zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Above {
    /// It delegates it to these servers; sorted.
    Delegates(Vec<DomainName>),
    /// It answers for the zone itself, so that nobody gets to the servers that it is delegated to.
    Serves,
    /// An alias is in the place of the delegation.
    Alias(DomainName),
    /// There is no delegation.
    Nothing {
        /// Whether something is at the name or below it (RFC 8020).
        exists: bool,
    },
    /// Nothing certain, and why.
    Silent(String),
}

impl Above {
    /// Reads an answer to the question for a zone's NS records.
    pub fn read(zone: &DomainName, outcome: &Outcome) -> Self {
        let reply = match outcome {
            Outcome::Reply(reply) => reply,
            Outcome::Failure(failure) => return Self::Silent(failure.to_string()),
        };
        if !matches!(reply.rcode, Rcode::NoError | Rcode::NxDomain) {
            return Self::Silent(reply.rcode.to_string());
        }
        // A server that resolves for others too may answer so from what it keeps of the zone's own records, and what is in
        // the zone is no word of the zone above. A referral has no answer (RFC 1034 §4.3.2).
        if !reply.authoritative && !reply.answer.is_empty() {
            return Self::Silent("it answers without authority".to_owned());
        }
        let alias = reply.answer.iter().find_map(|record| match &record.data {
            RecordData::Cname(target) if record.owner == *zone => Some(target.clone()),
            _ => None,
        });
        if let Some(target) = alias {
            return Self::Alias(target);
        }
        let names = servers_in(reply, zone);
        let is_apex = |data: &RecordData| matches!(data, RecordData::Soa(_));
        match reply.authoritative {
            false if names.is_empty() => Self::Silent("it answers without authority".to_owned()),
            false => Self::Delegates(names),
            true if !names.is_empty() => Self::Serves,
            true if reply.authority.iter().any(|record| record.owner == *zone && is_apex(&record.data)) => {
                Self::Serves
            }
            true => Self::Nothing { exists: reply.rcode == Rcode::NoError },
        }
    }

    /// Whether it delegates the zone to some of these servers, and to no others.
    fn is_of(&self, ours: &[&DomainName]) -> bool {
        matches!(self, Self::Delegates(names) if names.iter().all(|name| ours.contains(&name)))
    }

    /// Whether it delegates the zone to that server; nothing where that is not known.
    fn has(&self, name_server: &DomainName) -> Option<bool> {
        match self {
            Self::Delegates(names) => Some(names.contains(name_server)),
            Self::Serves | Self::Alias(_) | Self::Nothing { .. } => Some(false),
            Self::Silent(_) => None,
        }
    }
}

fn servers_in(reply: &Reply, zone: &DomainName) -> Vec<DomainName> {
    let of_zone = reply.answer.iter().chain(&reply.authority).filter(|record| record.owner == *zone);
    let mut names: Vec<DomainName> = of_zone
        .filter_map(|record| match &record.data {
            RecordData::Ns(name) => Some(name.clone()),
            _ => None,
        })
        .collect();
    names.sort();
    names.dedup();
    names
}

/// What the servers of the zone above say of a zone, each once. An alias that a wildcard makes of the name (RFC 4592) is in
/// nobody's way: it is gone once there are NS records.
fn said<'v>(view: &'v View, plan: &Plan, zone: &DomainName) -> Vec<(&'v Server, Above)> {
    let unmade = wildcard::below(&plan.domain, zone).map(|unmade| view.above(&unmade)).unwrap_or_default();
    let is_made_up = |server: &Server, target: &DomainName| {
        unmade.iter().any(|(of, above)| *of == server && matches!(above, Above::Alias(end) if end == target))
    };
    let read = |(server, above)| match above {
        Above::Alias(target) if is_made_up(server, &target) => (server, Above::Nothing { exists: true }),
        above => (server, above),
    };
    view.above(zone).into_iter().map(read).collect()
}

/// What is still to be asked of the servers above, beside whom they delegate the zone to: whether an alias is a wildcard's,
/// and while there is no delegation, of one of them, what one would hide.
pub(crate) fn questions(plan: &Plan, view: &View, zone: &DomainName) -> Vec<(Question, Server)> {
    let Some(unmade) = wildcard::below(&plan.domain, zone) else { return Vec::new() };
    let mut questions = Vec::new();
    for (server, above) in view.above(zone) {
        if matches!(above, Above::Alias(_)) {
            questions.push((Question::new(unmade.clone(), RecordType::Ns), server.clone()));
        }
    }
    let said = said(view, plan, zone);
    let is_open = said.iter().all(|(_, above)| matches!(above, Above::Nothing { .. } | Above::Silent(_)));
    let knows = said.iter().find(|(_, above)| matches!(above, Above::Nothing { exists: true }));
    if let Some((server, _)) = knows.filter(|_| is_open) {
        let hidden = hideable(zone).into_iter().chain([Question::new(unmade, RecordType::A)]);
        questions.extend(hidden.map(|question| (question, (*server).clone())));
    }
    questions
}

/// Where records are that people would miss.
fn hideable(zone: &DomainName) -> Vec<Question> {
    let at = [RecordType::A, RecordType::Aaaa, RecordType::Mx, RecordType::Txt];
    let below = [("www", RecordType::A), ("mail", RecordType::A), ("_dmarc", RecordType::Txt)];
    let of = |(label, record_type)| Some(Question::new(zone.prepend(label).ok()?, record_type));
    let at = at.into_iter().map(|record_type| Question::new(zone.clone(), record_type));
    at.chain(below.into_iter().filter_map(of)).collect()
}

/// What there is that a delegation will hide, as long as there is none.
fn hides(plan: &Plan, view: &View, zone: &DomainName) -> Option<Finding> {
    let said = said(view, plan, zone);
    if !said.iter().all(|(_, above)| matches!(above, Above::Nothing { .. } | Above::Silent(_))) {
        return None;
    }
    // A wildcard that answers for the zone answers below it too, for any name.
    let unmade = wildcard::below(&plan.domain, zone)?;
    let is_made_up = view.has_any(&unmade, RecordType::A);
    let mut records: Vec<Question> = Vec::new();
    for question in hideable(zone) {
        if is_made_up && question.name != *zone {
            continue;
        }
        let record_type = match view.fact(&question.name, question.record_type).says() {
            Some(Says::Records(_)) => question.record_type,
            Some(Says::Alias { .. } | Says::SeveralAliases(_)) => RecordType::Cname,
            _ => continue,
        };
        let found = Question::new(question.name, record_type);
        if !records.contains(&found) {
            records.push(found);
        }
    }
    (!records.is_empty()).then(|| delegation_hides_records::finding(zone.clone(), records))
}

/// Whether a server is one of ours: the name servers of all zones that are delegated to us have names beside each other.
fn is_ours(server: &Server, ours: &[&DomainName]) -> bool {
    let Server::Authority { name, .. } = server else { return false };
    ours.iter().filter_map(|own| own.parent()).any(|parent| name.is_below(&parent))
}

/// What a planned delegation comes to.
pub(crate) struct Delegated {
    pub status: RecordStatus,
    pub findings: Vec<Finding>,
    /// The name servers that it is delegated to now, for people.
    pub current: Vec<String>,
    pub seen: Vec<Seen>,
    /// The zone above: where the record belongs.
    pub parent: Option<DomainName>,
}

/// Judges one NS record of a delegation. What is wrong with the set as a whole is told with its first record.
pub(crate) fn judge(context: &Context<'_>, name_server: &DomainName) -> Delegated {
    let (view, zone) = (context.view, &context.record.owner);
    let said = said(view, context.plan, zone);
    let seen = said.iter().map(|(server, above)| Seen {
        server: (*server).clone(),
        right: above.has(name_server),
        ttl: 0,
    });
    let delegates = said.iter().filter_map(|(_, above)| match above {
        Above::Delegates(names) => Some(names),
        _ => None,
    });
    let mut now: Vec<&DomainName> = delegates.flatten().collect();
    now.sort();
    now.dedup();
    let (status, mut findings) = decide(context, name_server, &said, &now);
    if !is_first(context.plan, context.record) {
        findings.retain(|finding| {
            matches!(
                finding.defect,
                Defect::DelegationMissing { .. }
                    | Defect::DelegationIncomplete { .. }
                    | Defect::DnsUnanswered { .. }
            )
        });
    }
    Delegated {
        status,
        findings,
        current: now.into_iter().map(ToString::to_string).collect(),
        seen: seen.collect(),
        parent: view.parent_zone(zone),
    }
}

fn is_first(plan: &Plan, record: &PlannedRecord) -> bool {
    let mut delegation =
        plan.records.iter().filter(|record| matches!(record.expected, Expected::Delegation { .. }));
    delegation.next().is_some_and(|first| first.key == record.key)
}

fn decide(
    context: &Context<'_>,
    name_server: &DomainName,
    said: &[(&Server, Above)],
    now: &[&DomainName],
) -> (RecordStatus, Vec<Finding>) {
    let zone = &context.record.owner;
    let names_of = |wanted: &dyn Fn(&Above) -> bool| -> Vec<Server> {
        said.iter().filter(|(_, above)| wanted(above)).map(|(server, _)| (*server).clone()).collect()
    };
    if said.iter().all(|(_, above)| matches!(above, Above::Silent(_))) {
        let reasons = said.iter().map(|(server, above)| match above {
            Above::Silent(reason) => format!("{server}: {reason}"),
            _ => server.to_string(),
        });
        return (RecordStatus::Unknown, vec![unanswered(context, reasons.collect())]);
    }
    let Some((_, ours)) = context.plan.delegation() else { return (RecordStatus::Unknown, Vec::new()) };
    if said.iter().all(|(server, _)| is_ours(server, &ours))
        && let Some(above) = context.view.parent_zone(zone)
    {
        return covered(context, said, above);
    }
    let is_ours = |above: &Above| above.is_of(&ours);
    let differs = |above: &Above| !is_ours(above) && !matches!(above, Above::Silent(_));
    let (with, without) = (names_of(&is_ours), names_of(&differs));
    if with.is_empty() {
        return wrong(context, said, now, &ours);
    }
    if !without.is_empty() {
        return (RecordStatus::Pending, vec![delegation_uneven::finding(context, with, without)]);
    }
    let certain = || context.view.heard(zone, DS).iter().filter(|heard| heard.is_certain());
    let is_signed = |heard: &Heard| matches!(heard.says, Says::Records(_));
    if certain().any(is_signed) {
        let status = if certain().all(is_signed) { RecordStatus::Failed } else { RecordStatus::Pending };
        return (status, vec![delegation_signed::finding(context)]);
    }
    if said.iter().any(|(_, above)| above.has(name_server) == Some(false)) {
        return (RecordStatus::Pending, vec![delegation_incomplete::finding(context, now)]);
    }
    // A stranger has to get an answer from us. Where nobody of ours gives one the fault is not the customer's.
    let of_ours = |heard: &&Heard| matches!(heard.server(), Server::Authority { zone: of, .. } if of == zone);
    let answers: Vec<&Heard> = context.view.heard(zone, RecordType::Ns).iter().filter(of_ours).collect();
    if !answers.iter().any(|heard| matches!(heard.says, Says::Records(_))) {
        let reasons = answers.iter().map(|heard| match &heard.says {
            Says::Nothing(reason) | Says::Lame(reason) => format!("{}: {reason}", heard.server()),
            _ => format!("{}: it has no such zone", heard.server()),
        });
        return (RecordStatus::Unknown, vec![unanswered(context, reasons.collect())]);
    }
    (RecordStatus::Verified, Vec::new())
}

/// The zone above is ours too. What we serve is what we believed before, so it proves nothing now, and takes nothing away.
fn covered(
    context: &Context<'_>,
    said: &[(&Server, Above)],
    above: DomainName,
) -> (RecordStatus, Vec<Finding>) {
    let is_served = said.iter().any(|(_, above)| *above == Above::Serves);
    let (status, severity) = if is_served {
        (RecordStatus::Pending, Severity::Warning)
    } else {
        (RecordStatus::Missing, Severity::Error)
    };
    (status, vec![delegation_covered::finding(context, above, severity)])
}

/// What is wrong where no server of the zone above delegates it to us. It is certain where all that answer say the same: a
/// secondary that has not caught up takes nothing away. Nor does one that has no delegation while another is silent.
fn wrong(
    context: &Context<'_>,
    said: &[(&Server, Above)],
    now: &[&DomainName],
    ours: &[&DomainName],
) -> (RecordStatus, Vec<Finding>) {
    let heard = || said.iter().map(|(_, above)| above).filter(|above| !matches!(above, Above::Silent(_)));
    let mut kinds = heard().map(discriminant);
    let first = kinds.next();
    let failed =
        if kinds.all(|kind| Some(kind) == first) { RecordStatus::Failed } else { RecordStatus::Pending };
    let alias = heard().find_map(|above| match above {
        Above::Alias(target) => Some(target.clone()),
        _ => None,
    });
    if let Some(target) = alias {
        let missing = delegation_missing::finding(context);
        return (failed, vec![delegation_alias::finding(context, target), missing]);
    }
    let serving = said.iter().filter(|(_, above)| matches!(above, Above::Serves));
    let serving: Vec<Server> = serving.map(|(server, _)| (*server).clone()).collect();
    if !serving.is_empty() {
        return (failed, vec![delegation_hidden::finding(context, serving)]);
    }
    let (kept, others): (Vec<DomainName>, Vec<DomainName>) =
        now.iter().map(|name| (*name).clone()).partition(|name| ours.contains(&name));
    if !others.is_empty() {
        return (failed, vec![delegation_elsewhere::finding(context, others, kept)]);
    }
    let is_heard_of_all = heard().count() == said.len();
    let status = if is_heard_of_all { RecordStatus::Missing } else { RecordStatus::Unknown };
    (status, vec![delegation_missing::finding(context)])
}

fn unanswered(context: &Context<'_>, reasons: Vec<String>) -> Finding {
    let name = context.record.owner.clone();
    let defect = Defect::DnsUnanswered { name, record_type: RecordType::Ns, reasons };
    context.finding(defect, Severity::Warning, Remedy::CheckAgain)
}

/// Leaves of the findings those that the owner of a delegated zone can do something about: what is in the zone is ours.
pub(crate) fn settle(plan: &Plan, view: &View, records: &[RecordReport], findings: &mut Vec<Finding>) {
    let Some((zone, _)) = plan.delegation() else { return };
    findings.extend(hides(plan, view, zone));
    let is_hosted = |finding: &Finding| {
        let key = finding.record.as_ref();
        key.is_some_and(|key| plan.records.iter().any(|record| record.hosted && record.key == *key))
    };
    let about = |of: &DomainName| of == zone;
    // A zone that was not seen yet says less of itself than the zone above does, and the next look is after that.
    let is_ours = |finding: &Finding| matches!(&finding.defect, Defect::DelegationMismatch { zone: of, .. } if about(of));
    // All keys are in the zone.
    let is_of_keys = |finding: &Finding| matches!(finding.defect, Defect::DkimPartial { .. });
    findings.retain(|finding| !is_hosted(finding) && !is_ours(finding) && !is_of_keys(finding));
    if is_delegated(records) {
        let wrong = records.iter().filter(|record| {
            record.planned.hosted && matches!(record.status, RecordStatus::Missing | RecordStatus::Failed)
        });
        let names: Vec<DomainName> = wrong.map(|record| record.planned.owner.clone()).collect();
        if !names.is_empty() {
            findings.push(sub_zone_not_served::finding(zone.clone(), names));
        }
        return;
    }
    let is_told = findings.iter().any(|finding| {
        finding.confidence == Confidence::Confirmed && finding.code().starts_with("delegation_")
    });
    // Each of them follows from what the zone above says.
    findings.retain(|finding| match &finding.defect {
        Defect::ZoneNotDelegated { zone: of, .. } => !about(of),
        Defect::DnssecBogus { zone: of, .. } | Defect::DomainNotFound { name: of } => !(is_told && about(of)),
        _ => true,
    });
}

fn is_delegated(records: &[RecordReport]) -> bool {
    let mut delegation = records.iter().filter(|record| !record.planned.hosted);
    delegation.all(|record| record.status == RecordStatus::Verified)
}

/// What is not right inside of a zone that is delegated to us comes right by our doing: until then what was seen before is to
/// be gone by, so that no key is given up and no mail refused for a fault of ours.
pub(crate) fn excuse(plan: &Plan, records: &mut [RecordReport]) {
    if plan.delegation().is_none() || !is_delegated(records) {
        return;
    }
    for record in records.iter_mut().filter(|record| record.planned.hosted) {
        if matches!(record.status, RecordStatus::Missing | RecordStatus::Failed) {
            record.status = RecordStatus::Pending;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::Failure;
    use model::Record;

    fn n(text: &str) -> DomainName {
        DomainName::parse(text).unwrap()
    }

    fn record(owner: &str, data: RecordData) -> Record {
        Record { owner: n(owner), ttl: 60, data }
    }

    #[test]
    fn a_server_above_is_read_for_what_it_does_with_the_zone() {
        let zone = n("send.acme.test");
        let read = |reply: Reply| Above::read(&zone, &Outcome::Reply(reply));
        let ns = || record("send.acme.test", RecordData::Ns(n("ns.test")));
        let referral = Reply { authority: vec![ns()], ..Reply::default() };
        assert_eq!(read(referral), Above::Delegates(vec![n("ns.test")]));
        let own = Reply { authoritative: true, answer: vec![ns()], ..Reply::default() };
        assert_eq!(read(own), Above::Serves);
        let nothing = Reply { authoritative: true, rcode: Rcode::NxDomain, ..Reply::default() };
        assert_eq!(read(nothing), Above::Nothing { exists: false });
        let other = Reply { authoritative: true, ..Reply::default() };
        assert_eq!(read(other), Above::Nothing { exists: true });
        let alias = record("send.acme.test", RecordData::Cname(n("web.test")));
        let alias = Reply { authoritative: true, answer: vec![alias], ..Reply::default() };
        assert_eq!(read(alias), Above::Alias(n("web.test")));
        let of_another = record("acme.test", RecordData::Ns(n("ns.test")));
        let kept = Reply { answer: vec![ns()], authority: vec![ns()], ..Reply::default() };
        assert!(matches!(read(kept), Above::Silent(_)), "what it has of the zone's own records says nothing");
        let elsewhere = Reply { authority: vec![of_another], ..Reply::default() };
        assert!(matches!(read(elsewhere), Above::Silent(_)), "a referral to something else says nothing");
        assert!(matches!(read(Reply { rcode: Rcode::ServFail, ..Reply::default() }), Above::Silent(_)));
        let silent = Above::read(&zone, &Outcome::Failure(Failure::Timeout));
        assert!(matches!(silent, Above::Silent(_)));
    }
}
