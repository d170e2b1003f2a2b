//! A made-up finding for every defect, and made-up reports.

use diagnosis::{
    Defect, Expected, Finding, Plan, PlannedRecord, RecordReport, Remedy, Report, Seen, UnmetRule,
    finding::NotHost,
    mail_policy::{AlignmentMode, Policy, PolicyTag, Provider, Rule},
    near_miss::VersionSlip,
    observation::{Question, Server},
    slip::Slip,
    spf_tree::{SpfCost, SpfDrop, SpfDropReason},
};
use model::{
    CheckStatus, Confidence, DomainName, Purpose, RecordStatus, RecordType, Severity, Timestamp, Verdict,
};

pub fn n(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

pub fn now() -> Timestamp {
    "2026-11-21T14:23:00Z".parse().unwrap()
}

pub fn later() -> Timestamp {
    "2026-11-21T14:32:00Z".parse().unwrap()
}

pub fn authority(name: &str, last: u8) -> Server {
    Server::Authority { zone: n("acme.test"), name: n(name), address: ([192, 0, 2, last], 53).into() }
}

pub fn resolver() -> Server {
    Server::Resolver { address: ([9, 9, 9, 9], 53).into() }
}

pub fn dkim_name() -> DomainName {
    n("tok2._domainkey.mail.acme.test")
}

fn target() -> DomainName {
    n("tok2.dkim.send.example")
}

/// One defect for every code. The match is over all of them: a new one does not compile before it is here.
pub fn defects() -> Vec<Defect> {
    let mut defects = Vec::new();
    let mut next = Some(Defect::DomainNotFound { name: n("acme.test") });
    while let Some(defect) = next {
        next = after(&defect);
        defects.push(defect);
    }
    defects
}

#[rustfmt::skip]
fn after(defect: &Defect) -> Option<Defect> {
    let name = dkim_name();
    let domain = n("mail.acme.test");
    let dmarc = n("_dmarc.mail.acme.test");
    let spf = "v=spf1 include:other.example ~all".to_owned();
    let policy = "v=DMARC1; p=none".to_owned();
    Some(match defect {
        Defect::DomainNotFound { .. } => Defect::RecordMissing { name, record_type: RecordType::Cname },
        Defect::RecordMissing { .. } => Defect::RecordInDoubledZone { name, found_at: n("tok2._domainkey.mail.acme.test.acme.test"), zone: n("acme.test") },
        Defect::RecordInDoubledZone { .. } => Defect::RecordMisplaced { name, found_at: n("tok2._domainkey.acme.test"), slip: Slip::SubdomainDropped },
        Defect::RecordMisplaced { .. } => Defect::RecordWrongType { name, expected: RecordType::Cname, found: RecordType::Txt, value: target().to_string() },
        Defect::RecordWrongType { .. } => Defect::CnameWrongTarget { name, expected: target(), found: n("tok1.dkim.send.example") },
        Defect::CnameWrongTarget { .. } => Defect::CnameTargetZoneAppended { name, expected: target(), found: n("tok2.dkim.send.example.acme.test"), zone: n("acme.test") },
        Defect::CnameTargetZoneAppended { .. } => Defect::CnameProxied { name, addresses: vec!["192.0.2.80".parse().unwrap(), "2001:db8::80".parse().unwrap()] },
        Defect::CnameProxied { .. } => Defect::CnameConflict { name, beside: vec![RecordType::Txt] },
        Defect::CnameConflict { .. } => Defect::CnameTargetMissing { name, target: target() },
        Defect::CnameTargetMissing { .. } => Defect::TxtQuotesPasted { name: dmarc, found: "\"v=DMARC1; p=none\"".into(), expected: "v=DMARC1; p=none".into() },
        Defect::TxtQuotesPasted { .. } => Defect::TxtWrongValue { name: domain, expected: "proof=1".into(), found: vec!["proof=2".into()] },
        Defect::TxtWrongValue { .. } => Defect::DkimKeyRevoked { name },
        Defect::DkimKeyRevoked { .. } => Defect::DkimKeyMismatched { name, expected_start: "MIIBIjANBg".into(), found_start: "MIGfMA0GCS".into() },
        Defect::DkimKeyMismatched { .. } => Defect::DkimKeyWeak { name, bits: 1024 },
        Defect::DkimKeyWeak { .. } => Defect::DkimKeyInvalid { name, found: "p=MIIB; v=DKIM1".into(), reason: "v= is not the first tag".into() },
        Defect::DkimKeyInvalid { .. } => Defect::DkimMultipleRecords { name, count: 2 },
        Defect::DkimMultipleRecords { .. } => Defect::DkimPartial { present: 2, total: 3, missing: vec![name] },
        Defect::DkimPartial { .. } => Defect::DkimTesting { name },
        Defect::DkimTesting { .. } => Defect::DkimStrict { name },
        Defect::DkimStrict { .. } => Defect::DkimUnaligned { author_domain: domain, signing_domain: n("other.example"), mode: AlignmentMode::Relaxed },
        Defect::DkimUnaligned { .. } => Defect::SpfMissing { name: domain },
        Defect::SpfMissing { .. } => Defect::SpfMultipleRecords { name: domain, records: vec![spf, "v=spf1 mx -all".into()], lookups_after: 3, to_drop: vec![] },
        Defect::SpfMultipleRecords { .. } => Defect::SpfMechanismAbsent { name: domain, current: spf, rules: "include:spf.send.example".into(), lookups_after: 12, to_drop: drops() },
        Defect::SpfMechanismAbsent { .. } => Defect::SpfInvalid { name: domain, record: spf, reason: "11 lookups, 10 are allowed".into(), lost: vec!["nonsense:x".into()], version: Some(VersionSlip::Other("v=spf2".into())) },
        Defect::SpfInvalid { .. } => Defect::SpfTooManyLookups { name: domain, record: spf, term: "include:eleven.example at acme.test".into(), lookups: 13, costs: costs(), to_drop: drops() },
        Defect::SpfTooManyLookups { .. } => Defect::SpfTooManyVoidLookups { name: domain, record: spf, void_lookups: 3, terms: vec!["a:gone.example at acme.test".into()] },
        Defect::SpfTooManyVoidLookups { .. } => Defect::SpfNearLookupLimit { name: domain, record: spf, lookups: 9, costs: costs() },
        Defect::SpfNearLookupLimit { .. } => Defect::SpfIncludeLoop { name: domain.clone(), record: spf, again: domain, at: n("one.example") },
        Defect::SpfIncludeLoop { .. } => Defect::SpfPtrUsed { name: domain, record: spf, terms: vec!["ptr at mail.acme.test".into()] },
        Defect::SpfPtrUsed { .. } => Defect::SpfNoAll { name: domain, record: spf, ending: Some("?all".into()) },
        Defect::SpfNoAll { .. } => Defect::SpfRedirectIgnored { name: domain, record: spf, term: "redirect=other.example".into() },
        Defect::SpfRedirectIgnored { .. } => Defect::SpfIncludeBroken { name: domain, record: spf, problem: "\"include:gone.example\" at acme.test leads to no SPF record".into() },
        Defect::SpfIncludeBroken { .. } => Defect::SpfPassesAll { name: domain, record: "v=spf1 +all".into(), term: "+all".into() },
        Defect::SpfPassesAll { .. } => Defect::SpfUnaligned { author_domain: domain, mail_from: n("bounce.mail.acme.test"), mode: AlignmentMode::Strict },
        Defect::SpfUnaligned { .. } => Defect::DmarcMissing { name: dmarc },
        Defect::DmarcMissing { .. } => Defect::DmarcMultipleRecords { name: dmarc, records: vec!["v=DMARC1; p=none".into(), "v=DMARC1; p=reject".into()] },
        Defect::DmarcMultipleRecords { .. } => Defect::DmarcInherited { name: dmarc, from: n("acme.test"), policy: "quarantine".into() },
        Defect::DmarcInherited { .. } => Defect::DmarcInvalid { name: dmarc, record: "v=DMARC1; p=maybe".into(), reason: "p=maybe is no policy".into(), version: None, kept: true, applies: None },
        Defect::DmarcInvalid { .. } => Defect::DmarcPolicyNone { name: dmarc, record: policy, next: "v=DMARC1; p=quarantine".into() },
        Defect::DmarcPolicyNone { .. } => Defect::DmarcPolicyUnusable { name: dmarc, record: policy, tags: vec!["sp=nonee".into()] },
        Defect::DmarcPolicyUnusable { .. } => Defect::DmarcTesting { name: dmarc, record: policy, requested: Policy::Reject, applied: Policy::Quarantine },
        Defect::DmarcTesting { .. } => Defect::DmarcRemovedTags { name: dmarc, record: policy, tags: vec!["pct".into()] },
        Defect::DmarcRemovedTags { .. } => Defect::DmarcTagsIgnored { name: dmarc, record: policy, tags: vec!["adkim=x".into()] },
        Defect::DmarcTagsIgnored { .. } => Defect::DmarcReportUriInvalid { name: dmarc, record: policy, uris: vec!["reports@acme.test".into()] },
        Defect::DmarcReportUriInvalid { .. } => Defect::DmarcNoReports { name: dmarc, record: policy },
        Defect::DmarcNoReports { .. } => Defect::DmarcSubdomainsWeaker { name: dmarc, record: policy, tag: PolicyTag::Np, policy: Policy::Reject, weaker: Policy::None },
        Defect::DmarcSubdomainsWeaker { .. } => Defect::DmarcPublicSuffix { name: dmarc, record: policy },
        Defect::DmarcPublicSuffix { .. } => Defect::DmarcReportsNotAuthorised { policy_domain: domain, destination: n("reports.example"), agreement_at: n("mail.acme.test._report._dmarc.reports.example") },
        Defect::DmarcReportsNotAuthorised { .. } => Defect::SenderRulesNotMet { domain, unmet: vec![UnmetRule { provider: Provider::Gmail, rule: Rule::Dmarc, bulk: true }, UnmetRule { provider: Provider::Apple, rule: Rule::Dkim, bulk: false }] },
        Defect::SenderRulesNotMet { .. } => Defect::CaaForbidsIssuance { host: n("track.mail.acme.test"), at: n("acme.test"), records: vec!["0 issue \"other.example\"".into()], authority: "letsencrypt.org".into() },
        Defect::CaaForbidsIssuance { .. } => Defect::SenderPtrMissing { address: "192.0.2.7".parse().unwrap(), names: vec![] },
        Defect::SenderPtrMissing { .. } => Defect::MxWrong { name: n("bounce.mail.acme.test"), expected: "feedback.send.example".into(), found: vec!["10 mx.other.example".into()] },
        Defect::MxWrong { .. } => Defect::AddressWrong { name: domain, expected: "192.0.2.1".into(), found: vec!["192.0.2.2".into()] },
        Defect::AddressWrong { .. } => Defect::RecordWrongValue { name: n("_sip._tcp.mail.acme.test"), record_type: RecordType::Srv, expected: "10 60 5060 sip.send.example".into(), found: vec!["10 60 5060 sip.other.example".into()] },
        Defect::RecordWrongValue { .. } => Defect::TxtConflicting { name: domain, expected: "proof=1".into(), found: vec!["proof=2".into()] },
        Defect::TxtConflicting { .. } => Defect::NameServerLame { zone: n("acme.test"), server: authority("ns1.old.example", 1), reason: "REFUSED".into() },
        Defect::NameServerLame { .. } => Defect::NameServerUnreachable { zone: n("acme.test"), server: authority("ns1.old.example", 1), reason: "no answer in time".into() },
        Defect::NameServerUnreachable { .. } => Defect::NameServersDisagree { name, record_type: RecordType::Cname, right: vec![authority("ns1.acme.test", 1)], wrong: vec![authority("ns2.acme.test", 2)], serials: vec![] },
        Defect::NameServersDisagree { .. } => Defect::ResolverCacheStale { name, server: resolver(), until: later() },
        Defect::ResolverCacheStale { .. } => Defect::DnsUnanswered { name, record_type: RecordType::Cname, reasons: vec!["resolver 9.9.9.9:53: SERVFAIL".into()] },
        Defect::DnsUnanswered { .. } => Defect::InquiryCutShort { asked: 400, out_of_time: false },
        Defect::InquiryCutShort { .. } => Defect::SubdomainRecommended { suggestion: n("mail.acme.test") },
        Defect::SubdomainRecommended { .. } => Defect::WildcardAnswers { name, record_type: RecordType::Cname, found: vec!["keys.other.example".into()] },
        Defect::WildcardAnswers { .. } => Defect::WildcardShadowed { name: domain, record_types: vec![RecordType::A, RecordType::Mx], found: vec!["192.0.2.80".into(), "10 mx.acme.test".into()] },
        Defect::WildcardShadowed { .. } => Defect::AliasTargetMissing { name: n("bounce.mail.acme.test"), target: n("bounce.acme.test"), missing: n("gone.other.example") },
        Defect::AliasTargetMissing { .. } => Defect::CnameAtApex { name: n("acme.test"), expected: "web.send.example".into() },
        Defect::CnameAtApex { .. } => Defect::MxExchangeMissing { name: n("bounce.mail.acme.test"), exchange: n("feedback.send.example") },
        Defect::MxExchangeMissing { .. } => Defect::MxExchangeAlias { name: n("bounce.mail.acme.test"), exchange: n("feedback.send.example"), target: n("mx.send.example") },
        Defect::MxExchangeAlias { .. } => Defect::MxNull { name: n("bounce.mail.acme.test"), expected: "10 feedback.send.example".into() },
        Defect::MxNull { .. } => Defect::DelegationMismatch { zone: n("acme.test"), parent: vec![n("ns1.old.example")], child: vec![n("ns1.new.example"), n("ns2.new.example")] },
        Defect::DelegationMismatch { .. } => Defect::ZoneNotDelegated { zone: n("acme.test"), delegated: vec![n("ns1.old.example")], edited: vec![n("ns1.new.example")], names: vec![name] },
        Defect::ZoneNotDelegated { .. } => Defect::DnssecBogus { zone: n("acme.test"), names: vec![name], resolvers: vec![resolver()], reason: Some("signature expired".into()) },
        Defect::DnssecBogus { .. } => Defect::ResolversUnusable { reasons: vec!["resolver 9.9.9.9:53: no answer in time".into()] },
        Defect::ResolversUnusable { .. } => Defect::ZoneUnserved { zone: n("acme.test"), reasons: vec!["resolver 9.9.9.9:53: SERVFAIL".into()] },
        Defect::ZoneUnserved { .. } => Defect::TxtCutOff { name, found_length: 255, expected_length: 410 },
        Defect::TxtCutOff { .. } => Defect::TxtWhiteSpace { name: domain, found: " v=spf1 mx -all".into(), expected: "v=spf1 mx -all".into() },
        Defect::TxtWhiteSpace { .. } => Defect::CnameTargetUrl { name, expected: target(), found: DomainName::from_labels([&b"https://tok2"[..], b"dkim", b"send", b"example"]).unwrap() },
        Defect::CnameTargetUrl { .. } => Defect::GlueMismatch { zone: n("acme.test"), host: n("ns1.acme.test"), glue: vec!["192.0.2.7".parse().unwrap()], addresses: vec!["192.0.2.1".parse().unwrap()] },
        Defect::GlueMismatch { .. } => Defect::MxExchangeZoneAppended { name: n("bounce.mail.acme.test"), expected: "10 feedback.send.example".into(), found: n("feedback.send.example.acme.test"), zone: n("acme.test") },
        Defect::MxExchangeZoneAppended { .. } => Defect::MxExchangeNotHost { name: n("bounce.mail.acme.test"), expected: "10 feedback.send.example".into(), found: DomainName::from_labels([&b"192"[..], b"0", b"2", b"1"]).unwrap(), kind: NotHost::IpAddress },
        Defect::MxExchangeNotHost { .. } => Defect::DomainSendsNoMail { name: domain, declared: vec!["v=spf1 -all".into(), "MX 0 .".into()] },
        Defect::DomainSendsNoMail { .. } => Defect::CnameSeveral { name, targets: vec![n("tok2.dkim.old.example"), target()] },
        Defect::CnameSeveral { .. } => Defect::CnameDetour { name, expected: target(), found: n("dkim.keys.acme.test") },
        Defect::CnameDetour { .. } => Defect::DelegationMissing { zone: domain, name_server: n("tok4.ns1.send.example") },
        other => return after_of_sub_zones(other),
    })
}

#[rustfmt::skip]
fn after_of_sub_zones(defect: &Defect) -> Option<Defect> {
    let name = dkim_name();
    let domain = n("mail.acme.test");
    Some(match defect {
        Defect::DelegationMissing { .. } => Defect::DelegationIncomplete { zone: domain, missing: n("tok4.ns2.send.example"), found: vec![n("tok4.ns1.send.example")] },
        Defect::DelegationIncomplete { .. } => Defect::DelegationElsewhere { zone: domain, others: vec![n("ns1.old.example")], ours: vec![] },
        Defect::DelegationElsewhere { .. } => Defect::DelegationAlias { zone: domain, target: n("web.acme.test") },
        Defect::DelegationAlias { .. } => Defect::DelegationSigned { zone: domain },
        Defect::DelegationSigned { .. } => Defect::DelegationHidden { zone: domain, servers: vec![authority("ns1.acme.test", 1)] },
        Defect::DelegationHidden { .. } => Defect::DelegationUneven { zone: domain, with: vec![authority("ns1.acme.test", 1)], without: vec![authority("ns2.acme.test", 2)] },
        Defect::DelegationUneven { .. } => Defect::SubZoneNotServed { zone: domain, names: vec![name] },
        Defect::SubZoneNotServed { .. } => Defect::DelegationCovered { zone: domain, above: n("acme.test") },
        Defect::DelegationCovered { .. } => Defect::DelegationHidesRecords { zone: domain.clone(), records: vec![Question::new(domain.clone(), RecordType::Mx), Question::new(n("www.mail.acme.test"), RecordType::A)] },
        _ => return None,
    })
}

fn costs() -> Vec<SpfCost> {
    vec![SpfCost { term: "include:one.example".into(), lookups: 7, void_lookups: 0 }]
}

fn drops() -> Vec<SpfDrop> {
    let drop = |reason, ranges: &[&str]| SpfDrop {
        term: "include:one.example".into(),
        domain: n("mail.acme.test"),
        lookups: 7,
        reason,
        ranges: ranges.iter().map(|range| (*range).to_owned()).collect(),
    };
    vec![
        drop(SpfDropReason::Duplicate, &[]),
        drop(SpfDropReason::IncludedElsewhere, &[]),
        drop(SpfDropReason::LeadsNowhere, &[]),
        drop(SpfDropReason::NamesNobody, &[]),
        drop(SpfDropReason::Ptr, &[]),
        drop(SpfDropReason::Costly, &[]),
        drop(SpfDropReason::Costly, &["ip4:192.0.2.0/24"]),
    ]
}

/// One remedy of every kind, and the corners of those with lists.
#[rustfmt::skip]
pub fn remedies() -> Vec<Remedy> {
    let (name, value) = (dkim_name(), target().to_string());
    let domain = n("mail.acme.test");
    let current = vec!["v=spf1 include:other.example ~all".to_owned(), "v=spf1 mx -all".to_owned()];
    let replace = |current: Vec<String>| Remedy::Replace { name: dkim_name(), record_type: RecordType::Cname, current, value: target().to_string(), preference: None };
    let merge = |current: Vec<String>| Remedy::MergeSpf { name: n("acme.test"), current, replace_with: "v=spf1 mx include:spf.send.example -all".into() };
    vec![
        Remedy::Nothing,
        Remedy::Add { name: name.clone(), record_type: RecordType::Cname, value: value.clone(), preference: None },
        Remedy::Add { name: domain.clone(), record_type: RecordType::Mx, value: "feedback.send.example".into(), preference: Some(10) },
        Remedy::Add { name: n("acme.test"), record_type: RecordType::Txt, value: "v=spf1 include:spf.send.example ~all".into(), preference: None },
        replace(vec![]), replace(vec!["old.example".into()]), replace(vec!["a".into(), "b".into()]),
        Remedy::Move { from: n("tok2._domainkey.mail.acme.test.acme.test"), to: name.clone(), record_type: RecordType::Cname, value, preference: None },
        merge(vec![]), merge(current[..1].to_vec()), merge(current.clone()),
        Remedy::Remove { name: name.clone(), record_types: vec![RecordType::Txt], values: vec![] },
        Remedy::Remove { name: name.clone(), record_types: vec![], values: current },
        Remedy::TurnOffProxy { name },
        Remedy::FixNameServers { zone: n("acme.test"), servers: vec![authority("ns1.old.example", 1)] },
        Remedy::FixNameServers { zone: n("acme.test"), servers: vec![] },
        Remedy::FixDelegation { name: domain.clone() },
        Remedy::FixDnssec { zone: n("acme.test") },
        Remedy::WaitUntil { at: later() },
        Remedy::CheckAgain,
        Remedy::AskOperator,
        Remedy::UseSubdomain { suggestion: domain },
    ]
}

pub fn finding(defect: Defect, remedy: Remedy, severity: Severity, record: Option<&str>) -> Finding {
    Finding { defect, severity, confidence: Confidence::Confirmed, record: record.map(str::to_owned), remedy }
}

pub fn record(
    key: &str,
    purpose: Purpose,
    owner: &str,
    expected: Expected,
    status: RecordStatus,
) -> RecordReport {
    let planned = PlannedRecord {
        hosted: false,
        key: key.to_owned(),
        purpose,
        owner: n(owner),
        ttl: 3600,
        required: purpose == Purpose::Dkim,
        expected,
        explanation: String::new(),
    };
    let plan = Plan::new(n("mail.acme.test"), "three-cname", vec![planned]);
    let mut record = Report::unchecked(&plan, now()).records.remove(0);
    record.zone = Some(n("acme.test"));
    record.status = status;
    record.seen = vec![
        Seen {
            server: authority("ns1.acme.test", 1),
            right: Some(status == RecordStatus::Verified),
            ttl: 3600,
        },
        Seen { server: resolver(), right: None, ttl: 0 },
    ];
    record
}

/// A report of the profile with three aliases; all records with the same status, and no finding.
pub fn report(verdict: Verdict, status: RecordStatus, name_servers: &[&str]) -> Report {
    let cname = |target: &str| Expected::Cname { target: n(target), dkim_key: None };
    let mut records: Vec<RecordReport> = (1..=3)
        .map(|i| {
            let owner = format!("tok{i}._domainkey.mail.acme.test");
            record(
                &format!("dkim-{i}"),
                Purpose::Dkim,
                &owner,
                cname(&format!("tok{i}.dkim.send.example")),
                status,
            )
        })
        .collect();
    let rules = Some("include:spf.send.example".to_owned());
    records.push(record("spf", Purpose::Spf, "mail.acme.test", Expected::Spf { rules }, status));
    let suggested = "v=DMARC1; p=none; rua=mailto:dmarc@send.example".to_owned();
    records.push(record(
        "dmarc",
        Purpose::Dmarc,
        "_dmarc.mail.acme.test",
        Expected::Dmarc { suggested },
        status,
    ));
    let check = if status == RecordStatus::Verified { CheckStatus::Verified } else { CheckStatus::Pending };
    Report {
        hosted: Vec::new(),
        domain: n("mail.acme.test"),
        profile: "three-cname".to_owned(),
        checked_at: now(),
        started_at: None,
        once: false,
        verdict,
        spf_status: check,
        dkim_status: check,
        dmarc_status: check,
        return_path_status: check,
        zone: Some(n("acme.test")),
        name_servers: name_servers.iter().map(|name| n(name)).collect(),
        records,
        findings: Vec::new(),
        authoritative_since: None,
        visible_everywhere_by: None,
        tried_selectors: None,
        mail: diagnosis::MailPolicy::default(),
        domain_connect: None,
        questions_asked: 42,
    }
}

pub fn set(report: &mut Report, key: &str, status: RecordStatus, finding: Finding) {
    let record = report.records.iter_mut().find(|record| record.planned.key == key).unwrap();
    record.status = status;
    record.findings.push(finding.code().to_owned());
    report.findings.push(finding);
}
