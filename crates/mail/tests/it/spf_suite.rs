//! The published test suite of RFC 7208: every case's result, and the explanations it gives.
//!
//! The file is not ours to distribute: `cargo xtask setup` gets it with the source of `pyspf` into
//! `$COUNTERSIGN_TOOLS`. Without it this test says that it was skipped; `cargo xtask spf-suite` runs it alone and
//! fails then.
//!
//! The suite's zones are not quite DNS: a record of type SPF (99) is meant as TXT too, unless the name has a TXT
//! record of its own; `TXT: NONE` takes that back; `TIMEOUT` means that whatever is not written down is not answered.

use mail::{
    lookup::{Answer, Answers, Needed, Question},
    spf::{self, SpfResult},
};
use model::{DomainName, RecordData, RecordType, Timestamp, TxtData};
use std::{fs, io::Write, net::IpAddr, path::PathBuf};
use yaml_rust2::{Yaml, YamlLoader};

/// How many cases release 2014.04 of the suite has.
const CASES: usize = 203;

const FILE: &str = "rfc7208-tests.yml";

fn tools() -> Option<PathBuf> {
    std::env::var_os("COUNTERSIGN_TOOLS").map(PathBuf::from)
}

fn skipped(why: &str) {
    println!("skipped: {why}");
    if let Some(tools) = tools() {
        let log = fs::OpenOptions::new().append(true).create(true).open(tools.join("skipped.log"));
        writeln!(log.unwrap(), "spf_suite::rfc_7208: {why}").unwrap();
    }
}

#[test]
fn rfc_7208() {
    let folder =
        tools().unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/tools"));
    let Ok(text) = fs::read_to_string(folder.join(FILE)) else {
        skipped("the RFC 7208 test suite is not there; `cargo xtask setup` gets it");
        return;
    };
    let documents = YamlLoader::load_from_str(&text).unwrap();
    let (mut cases, mut explained) = (0, 0);
    let mut wrong = Vec::new();
    for document in &documents {
        let zone = zone(&document["zonedata"]);
        for (name, case) in document["tests"].as_hash().unwrap() {
            cases += 1;
            let name = format!("{} / {}", text_of(&document["description"]), text_of(name));
            let outcome = judge(case, &zone);
            let expected: Vec<String> = match &case["result"] {
                Yaml::Array(results) => results.iter().map(text_of).collect(),
                one => vec![text_of(one)],
            };
            if !expected.contains(&outcome.result) {
                wrong.push(format!(
                    "{name}: {} in place of {expected:?} ({})",
                    outcome.result, outcome.problem
                ));
            }
            if let Some(expected) = case["explanation"].as_str() {
                explained += 1;
                let found = outcome.explanation.as_deref().unwrap_or("DEFAULT");
                // RFC 7208 §7.4 writes nibbles in lower case, the suite in upper case.
                if !found.eq_ignore_ascii_case(expected) {
                    wrong.push(format!("{name}: explained as {found:?} in place of {expected:?}"));
                }
            }
        }
    }
    let passed = cases - wrong.len().min(cases);
    println!(
        "RFC 7208 test suite: {passed} of {cases} cases passed, {explained} of them with an explanation"
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cases >= CASES, "only {cases} cases were read, the suite has {CASES}");
}

struct Outcome {
    result: String,
    problem: String,
    explanation: Option<String>,
}

fn judge(case: &Yaml, zone: &[Entry]) -> Outcome {
    let (sender, helo) = (text_of(&case["mailfrom"]), text_of(&case["helo"]));
    let client: IpAddr = text_of(&case["host"]).parse().unwrap();
    // Without a reverse-path the HELO name is judged (RFC 7208 §2.4).
    let (local, domain) = match sender.as_str() {
        "" => ("postmaster", helo.as_str()),
        sender => sender.rsplit_once('@').unwrap_or(("postmaster", sender)),
    };
    let Some(domain) = name(domain) else {
        return Outcome { result: "none".to_owned(), problem: "no name".to_owned(), explanation: None };
    };
    let outcome = ask(zone, |answers| spf::evaluate(client, &domain, local, &helo, answers));
    let now = Timestamp::from_second(1_400_000_000).unwrap();
    let explanation = ask(zone, |answers| {
        spf::explanation(client, &domain, local, &helo, "receiver.example", now, answers)
    });
    assert!(explanation.is_none() || outcome.result == SpfResult::Fail);
    let problem = outcome.problem.map(|problem| problem.to_string()).unwrap_or_default();
    Outcome { result: outcome.result.to_string(), problem, explanation }
}

fn ask<T>(zone: &[Entry], run: impl Fn(&Answers) -> Result<T, Needed>) -> T {
    let mut answers = Answers::new();
    for _ in 0..100 {
        match run(&answers) {
            Ok(outcome) => return outcome,
            Err(Needed(questions)) => {
                for question in questions {
                    let answer = answer(zone, &question, 8);
                    answers.insert(question, answer);
                }
            }
        }
    }
    panic!("the evaluation does not end");
}

/// One line of `zonedata`.
struct Entry {
    owner: DomainName,
    kind: String,
    value: Yaml,
}

fn zone(data: &Yaml) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (owner, records) in data.as_hash().unwrap() {
        // A name that DNS cannot hold is never asked for.
        let Some(owner) = name(&text_of(owner)) else { continue };
        for record in records.as_vec().unwrap() {
            let fields = match record {
                Yaml::Hash(fields) => {
                    fields.iter().map(|(kind, value)| (text_of(kind), value.clone())).collect()
                }
                word => vec![(text_of(word), Yaml::Null)],
            };
            entries.extend(fields.into_iter().map(|(kind, value)| Entry {
                owner: owner.clone(),
                kind,
                value,
            }));
        }
    }
    entries
}

fn answer(zone: &[Entry], question: &Question, aliases_left: usize) -> Answer {
    let at_name: Vec<&Entry> = zone.iter().filter(|entry| entry.owner == question.name).collect();
    let of_kind =
        |kind: &str| -> Vec<&&Entry> { at_name.iter().filter(|entry| entry.kind == kind).collect() };
    let records: Vec<RecordData> = match question.record_type {
        RecordType::Txt => {
            let own = of_kind("TXT");
            let texts = if own.is_empty() { of_kind("SPF") } else { own };
            texts.into_iter().filter_map(|entry| txt(&entry.value)).collect()
        }
        other => of_kind(&other.to_string()).into_iter().map(|entry| data(other, &entry.value)).collect(),
    };
    if !records.is_empty() {
        return Answer::Records(records);
    }
    if !of_kind("TIMEOUT").is_empty() {
        return Answer::TempError("timeout".to_owned());
    }
    match of_kind("CNAME").first().and_then(|entry| name(&text_of(&entry.value))) {
        Some(_) if aliases_left == 0 => Answer::TempError("aliases without end".to_owned()),
        Some(target) => answer(zone, &Question::new(target, question.record_type), aliases_left - 1),
        None if at_name.is_empty() => Answer::NxDomain,
        None => Answer::NoData,
    }
}

fn txt(value: &Yaml) -> Option<RecordData> {
    // The suite writes octets as the characters of those numbers.
    let octets =
        |text: &Yaml| text_of(text).chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect::<Vec<u8>>();
    let strings: Vec<Vec<u8>> = match value {
        Yaml::Array(strings) => strings.iter().map(octets).collect(),
        one if text_of(one) == "NONE" => return None,
        one => vec![octets(one)],
    };
    Some(RecordData::Txt(TxtData::from_strings(&strings)))
}

fn data(record_type: RecordType, value: &Yaml) -> RecordData {
    match record_type {
        RecordType::A => RecordData::A(text_of(value).parse().unwrap()),
        RecordType::Aaaa => RecordData::Aaaa(text_of(value).parse().unwrap()),
        RecordType::Ptr => RecordData::Ptr(name(&text_of(value)).unwrap()),
        RecordType::Mx => RecordData::Mx {
            preference: value[0].as_i64().unwrap().try_into().unwrap(),
            exchange: name(&text_of(&value[1])).unwrap_or_default(),
        },
        other => panic!("the suite has {other} records?"),
    }
}

fn name(text: &str) -> Option<DomainName> {
    let text = text.strip_suffix('.').unwrap_or(text);
    if text.split('.').any(str::is_empty) {
        return None;
    }
    DomainName::from_labels(text.split('.').map(str::as_bytes))
}

fn text_of(value: &Yaml) -> String {
    match value {
        Yaml::String(text) | Yaml::Real(text) => text.clone(),
        Yaml::Integer(number) => number.to_string(),
        Yaml::Boolean(word) => word.to_string(),
        Yaml::Null | Yaml::BadValue => String::new(),
        other => panic!("not a text: {other:?}"),
    }
}
