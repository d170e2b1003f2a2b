//! `countersign check` as a stranger runs it: at port 53 of public addresses, in a network of its own.

use crate::dns_server::{Said, countersign};
use diagnosis::{Finding, Observation, Plan, diagnose, inquiry::AddressFamily};
use model::Timestamp;
use scenario::{
    Scenario,
    wire::{Network, Servers, missing_programs, namespace},
};
use serde::Deserialize;
use std::path::PathBuf;

const TEST: &str = "check_over_the_wire::check_ends_as_the_scenario_says";

/// Scenarios, and the exit codes that must come of them.
const ENDS: &[(&str, i32)] = &[
    ("all_good", 0),
    ("dnssec_signed", 0),
    ("families_ipv4_asked", 0),
    ("five_records_good", 0),
    ("name_server_lame", 0),
    ("name_servers_ipv6_only", 0),
    ("resolver_cache_stale", 0),
    ("cname_conflict", 1),
    ("cname_target_zone_appended", 1),
    ("domain_not_found", 1),
    ("nothing_there", 1),
    ("spf_multiple_records", 1),
    ("all_servers_fail", 3),
    ("dnssec_bogus", 3),
    ("families_disagree", 3),
    ("families_ipv6_asked", 3),
    ("name_servers_disagree", 3),
    ("resolver_offline", 3),
    ("resolvers_refuse", 3),
];

#[test]
fn check_ends_as_the_scenario_says() {
    if let Some(task) = namespace::task() {
        return perform(&task);
    }
    let way = match namespace::way() {
        Ok(way) => way,
        Err(why) => return scenario::skip(TEST, &why),
    };
    let missing = missing_programs();
    if !missing.is_empty() {
        return scenario::skip(TEST, &format!("not installed: {}", missing.join(", ")));
    }
    let outputs = std::thread::scope(|scope| {
        let start = |&(name, _): &(&'static str, i32)| {
            scope.spawn(move || (name, namespace::enter(way, TEST, name).unwrap()))
        };
        let started: Vec<_> = ENDS.iter().map(start).collect();
        started.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    let failed: Vec<String> = outputs
        .into_iter()
        .filter(|(_, output)| !output.status.success())
        .map(|(name, output)| {
            format!("{name}:\n{}", String::from_utf8_lossy(&[output.stdout, output.stderr].concat()))
        })
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// Inside the namespace: one scenario.
fn perform(name: &str) {
    let scenario = Scenario::at_public_addresses(name);
    namespace::set_up(scenario.addresses()).unwrap();
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("wire").join(name);
    drop(std::fs::remove_dir_all(&folder));
    std::fs::create_dir_all(&folder).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let said = runtime.block_on(async {
        let _network = Network::start(&scenario, Servers::Knot, &folder).await.unwrap();
        countersign(arguments(&scenario), "").await
    });
    let mut problems = problems(&scenario, &said);
    if scenario.name == "families_disagree" {
        // Two servers by IPv6, one of them also by IPv4.
        let found = counts_of(&said, "dkim-s1");
        if found != [[1, 0], [1, 1]] {
            problems.push(format!("right and wrong by IPv4 and by IPv6: {found:?}"));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    drop(std::fs::remove_dir_all(&folder));
}

/// How many name servers have a record and have not, by IPv4 and by IPv6, as the JSON tells it.
fn counts_of(said: &Said, key: &str) -> [[u64; 2]; 2] {
    let report: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let records = report["records"].as_array().unwrap();
    let propagation = &records.iter().find(|record| record["key"] == key).unwrap()["propagation"];
    ["name_servers_ipv4", "name_servers_ipv6"]
        .map(|family| ["right", "wrong"].map(|count| propagation[family][count].as_u64().unwrap()))
}

fn problems(scenario: &Scenario, said: &Said) -> Vec<String> {
    let shown: Shown = serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"));
    let report = diagnose(&shown.plan, &shown.observation, shown.checked_at);
    let mut problems = scenario.problems(&report);
    if shown.verdict != report.verdict.as_str() {
        problems.push(format!("{} is shown", shown.verdict));
    }
    let (_, code) = ENDS.iter().find(|(name, _)| *name == scenario.name).unwrap();
    if said.code != Some(*code) {
        let codes: Vec<&str> = report.findings.iter().map(Finding::code).collect();
        problems.push(format!("exit code {:?}, not {code}: {codes:?}", said.code));
    }
    problems
}

/// What of the JSON makes the report again.
#[derive(Deserialize)]
struct Shown {
    verdict: String,
    checked_at: Timestamp,
    plan: Plan,
    observation: Observation,
}

fn arguments(scenario: &Scenario) -> Vec<String> {
    let mut arguments: Vec<String> =
        ["check", scenario.domain.as_str(), "--format", "json", "--profile", &scenario.profile]
            .map(str::to_owned)
            .to_vec();
    if scenario.profile == "audit" {
        arguments.truncate(arguments.len() - 2);
        arguments.extend(
            scenario.selectors.iter().flat_map(|selector| ["--selector".to_owned(), selector.clone()]),
        );
    } else {
        for (name, value) in scenario.variables() {
            arguments.extend(["--var".to_owned(), format!("{name}={value}")]);
        }
    }
    match scenario.family {
        AddressFamily::Any => {}
        AddressFamily::Ipv4 => arguments.push("--ipv4".to_owned()),
        AddressFamily::Ipv6 => arguments.push("--ipv6".to_owned()),
    }
    for resolver in &scenario.resolvers {
        arguments.extend(["--resolver".to_owned(), resolver.to_string()]);
    }
    arguments
}
