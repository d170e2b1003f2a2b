//! DNS answers: a whole inquiry in which strangers answer every question, and the diagnosis of what they said.
//!
//! Input: one octet for the plan, then for each question that the inquiry puts, in its order, one octet for what
//! happens: no answer, a response of arbitrary octets behind a right header and question, or a response that is well
//! formed and holds arbitrary records.

use super::input::{Input, name};
use diagnosis::{
    Expected, Observation, Plan, Profile, Variables, diagnose, diagnose_known,
    inquiry::{Inquiry, Policy, is_public},
    observation::{Ask, Exchange, Failure, Outcome, Rcode, Reply, Server},
    plan,
};
use dns::wire::Query;
use model::{DomainName, Record, RecordData, RecordType, Soa, Timestamp, TxtData, Verdict};
use std::sync::LazyLock;

/// Fewer than the usual bound, so that an input is done in a few milliseconds.
const MAX_ASKS: usize = 150;

static PLANS: LazyLock<Vec<Plan>> = LazyLock::new(|| {
    let domain = name("mail.acme.test");
    let mut variables: Variables = [
        ("token1", "tok1"),
        ("token2", "tok2"),
        ("token3", "tok3"),
        ("key1", KEY),
        ("key2", KEY),
        ("key3", KEY),
        ("platform", "send.example"),
        ("dmarcrua", "dmarc@send.example"),
        ("nameservers", "tok4.ns1.send.example tok4.ns2.send.example"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect();
    let mut plans: Vec<Plan> = Profile::built_in()
        .iter()
        .map(|profile| plan::plan(profile, &domain, &variables).expect("a plan"))
        .collect();
    plans.push(plan::audit(&domain, &["sel".to_owned()]));
    plans.push(plan::audit(&name("acme.test"), &[]));
    variables.insert("x".to_owned(), "1".to_owned());
    let of_others = Profile::parse(TEMPLATE).expect("a template");
    plans.push(plan::from_template(&of_others, &name("acme.test"), "mail", &variables).expect("a plan"));
    plans
});

const KEY: &str = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB";

const TEMPLATE: &str = r#"{"serviceId": "x", "records": [
    {"type": "A", "host": "@", "pointsTo": "192.0.2.1"},
    {"type": "TXT", "host": "@", "data": "proof=1", "txtConflictMatchingMode": "Prefix", "txtConflictMatchingPrefix": "proof="},
    {"type": "MX", "host": "@", "pointsTo": "mx1.send.example", "priority": 10},
    {"type": "MX", "host": "@", "pointsTo": "mx2.send.example", "priority": 20},
    {"type": "SRV", "name": "@", "service": "_sip", "protocol": "_tcp", "priority": 1, "weight": 2, "port": 3, "target": "sip.send.example"},
    {"type": "CAA", "host": "@", "data": "0 issue ca.example"},
    {"type": "NS", "host": "sub", "pointsTo": "ns1.send.example"},
    {"type": "CNAME", "host": "www", "pointsTo": "www.send.example"}]}"#;

/// The target.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let plans = &*PLANS;
    let choice = input.byte();
    let plan = &plans[usize::from(choice & 0x3f) % plans.len()];
    let policy = Policy {
        max_asks: MAX_ASKS,
        private_addresses: choice & 0x40 != 0,
        ..Policy::for_resolvers(vec![([9, 9, 9, 9], 53).into(), ([1, 1, 1, 1], 53).into()])
    };
    let at = Timestamp::from_second(1_790_000_000).expect("a time");
    let mut observation = Observation::default();
    let mut inquiry = Inquiry::new(plan, &policy);
    for _ in 0..40 {
        let asks = inquiry.next(&observation);
        if asks.is_empty() {
            break;
        }
        for ask in asks {
            assert!(observation.outcome(&ask).is_none(), "asked twice: {ask:?}");
            is_allowed(&ask, &policy);
            let outcome = outcome(&mut input, &ask);
            let exchange = Exchange { ask, at, outcome };
            let _ = (exchange.says(), exchange.ttl());
            observation.exchanges.push(exchange.into());
        }
        assert!(observation.exchanges.len() <= MAX_ASKS);
    }
    observation.cut_short = inquiry.is_cut_short(&observation);
    let report = diagnose(plan, &observation, at);
    let on_the_way = diagnose_known(plan, &observation, inquiry.into_known(&observation), at);
    assert_eq!(report, on_the_way, "judged on the way, another report");
    assert_eq!(report, diagnose(plan, &observation, at), "the same observation, another report");
    assert_eq!(report.all().count(), plan.records.len());
    let silent = observation.exchanges.iter().all(|exchange| matches!(exchange.outcome, Outcome::Failure(_)));
    if silent {
        assert_eq!(report.verdict, Verdict::Unknown, "nothing is known, and something was concluded");
    }
    for finding in &report.findings {
        let is_planned = |key: &String| plan.records.iter().any(|record| record.key == *key);
        assert!(finding.record.as_ref().is_none_or(is_planned));
    }
}

/// Strangers' name servers at addresses of our own network are not asked.
fn is_allowed(ask: &Ask, policy: &Policy) {
    if let Server::Authority { address, .. } = &ask.server {
        assert!(policy.private_addresses || is_public(address.ip()), "{ask:?}");
    }
}

fn outcome(input: &mut Input<'_>, ask: &Ask) -> Outcome {
    if input.is_empty() {
        return Outcome::Failure(Failure::Timeout);
    }
    match input.byte() {
        0..=15 => Outcome::Failure(Failure::Timeout),
        16..=31 => Outcome::Failure(Failure::Unreachable("no route".to_owned())),
        32..=127 => from_octets(input, ask),
        kind => Outcome::Reply(from_records(input, ask, kind)),
    }
}

/// Arbitrary octets where the sections are; or, rarely, arbitrary octets all along.
fn from_octets(input: &mut Input<'_>, ask: &Ask) -> Outcome {
    let query = Query {
        id: 7,
        question: &ask.question,
        recursion_desired: true,
        checking_disabled: false,
        edns: false,
    };
    let Ok(encoded) = query.encode() else { return Outcome::Failure(Failure::Forbidden) };
    let [flags, answers, authorities, additionals] = [(); 4].map(|()| input.byte());
    let length = usize::from(input.short() % 600);
    let body = input.take(length);
    let mut octets = encoded;
    octets[2] = 0x84 | (flags & 0x03);
    octets[3] = flags >> 2;
    for (at, count) in [(7, answers), (9, authorities), (11, additionals)] {
        octets[at] = count % 8;
    }
    octets.extend_from_slice(body);
    // Whatever these are, they are no response to another query.
    let other = Query { id: 8, ..query };
    assert!(other.decode(&octets).is_err());
    match query.decode(&octets) {
        Ok(response) => {
            assert!(!response.truncated || response.reply.answer.is_empty());
            assert!(response.reply.answer.len() + response.reply.authority.len() <= dns::wire::MAX_RECORDS);
            Outcome::Reply(response.reply)
        }
        Err(error) => Outcome::Failure(Failure::Malformed(error.to_string())),
    }
}

fn from_records(input: &mut Input<'_>, ask: &Ask, kind: u8) -> Reply {
    let rcode = match kind % 16 {
        0 => Rcode::NxDomain,
        1 => Rcode::ServFail,
        2 => Rcode::Refused,
        _ => Rcode::NoError,
    };
    let authoritative = kind % 32 < 28;
    let counts = input.byte();
    let mut reply = Reply { rcode, authoritative, ..Reply::default() };
    for _ in 0..counts % 4 {
        let record = record(input, ask);
        reply.answer.push(record);
    }
    for _ in 0..counts / 4 % 3 {
        let record = record(input, ask);
        reply.authority.push(record);
    }
    reply
}

fn record(input: &mut Input<'_>, ask: &Ask) -> Record {
    let owner = some_name(input, ask);
    let what = input.byte();
    let record_type =
        if what < 160 { ask.question.record_type } else { RecordType::from_code(u16::from(what % 34)) };
    let data = match record_type {
        RecordType::A => RecordData::A([input.byte(), input.byte(), input.byte(), input.byte()].into()),
        RecordType::Aaaa => RecordData::Aaaa([0x2001, input.short(), 0, 0, 0, 0, 0, input.short()].into()),
        RecordType::Cname => RecordData::Cname(some_name(input, ask)),
        RecordType::Ns => RecordData::Ns(some_name(input, ask)),
        RecordType::Ptr => RecordData::Ptr(some_name(input, ask)),
        RecordType::Mx => RecordData::Mx { preference: input.short(), exchange: some_name(input, ask) },
        RecordType::Soa => RecordData::Soa(Soa {
            mname: some_name(input, ask),
            rname: some_name(input, ask),
            serial: 1,
            refresh: 1,
            retry: 1,
            expire: 1,
            minimum: u32::from(input.short()),
        }),
        RecordType::Txt => RecordData::Txt(some_text(input, ask)),
        other => {
            let length = usize::from(input.byte() % 40);
            RecordData::Other { code: other.code(), octets: input.take(length).to_vec() }
        }
    };
    Record { owner, ttl: u32::from(input.short()), data }
}

/// A name that matters here, or one of the input.
fn some_name(input: &mut Input<'_>, ask: &Ask) -> DomainName {
    let choice = input.byte();
    match choice {
        0..=99 => ask.question.name.clone(),
        100..=129 => ask.question.name.parent().unwrap_or_default(),
        130..=199 => {
            const NAMES: [&str; 14] = [
                "acme.test",
                "mail.acme.test",
                "test",
                "ns1.acme.test",
                "ns2.example",
                "tok1.dkim.send.example",
                "tok2.dkim.send.example.acme.test",
                "feedback.send.example",
                "sip.send.example",
                "_dmarc.acme.test",
                "spf.send.example",
                "www.send.example",
                "mx2.send.example",
                "a.b.c.d.e.f.g.h.i.j.k",
            ];
            name(NAMES[usize::from(choice) % NAMES.len()])
        }
        _ => input.name().unwrap_or_default(),
    }
}

/// A text that matters here, changed at one place or not, or one of the input.
fn some_text(input: &mut Input<'_>, ask: &Ask) -> TxtData {
    const TEXTS: [&str; 8] = [
        "v=spf1 include:spf.send.example ~all",
        "v=spf1 a mx include:x.example redirect=y.example",
        "v=DMARC1; p=quarantine; sp=none; np=reject; rua=mailto:a@b.example",
        "v=DKIM1; k=rsa; p=",
        "proof=1",
        "proof=2",
        "\"v=DMARC1; p=none\"",
        "v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC",
    ];
    let choice = input.byte();
    let text = match choice {
        0..=79 => TEXTS[usize::from(choice) % TEXTS.len()].to_owned(),
        80..=119 => format!("v=DKIM1; k=rsa; p={KEY}"),
        120..=139 => planned_text(ask),
        _ => return TxtData::from_strings(&input.line().chunks(255).collect::<Vec<_>>()),
    };
    let mut octets = text.into_bytes();
    if choice.is_multiple_of(3) {
        let at = usize::from(input.byte()) % octets.len().max(1);
        octets.insert(at, input.byte());
    }
    TxtData::from_strings(&octets.chunks(255).collect::<Vec<_>>())
}

/// What a plan wants at the name that is asked for.
fn planned_text(ask: &Ask) -> String {
    PLANS
        .iter()
        .flat_map(|plan| &plan.records)
        .filter(|record| {
            record.owner == ask.question.name && !matches!(record.expected, Expected::Cname { .. })
        })
        .map(|record| record.expected.value())
        .next()
        .unwrap_or_else(|| "nothing".to_owned())
}
