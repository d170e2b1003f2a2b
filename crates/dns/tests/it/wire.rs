//! Every scenario with real packets, each in a network namespace of its own.
//!
//! The same files that the diagnosis is tested with in memory: our client asks on real sockets, unbound resolves,
//! our own fault server and Knot serve the zones. What must come of a scenario must come of it here just the same.

use diagnosis::{
    Observation, Report, diagnose,
    inquiry::{Look, Policy},
    observation::{Exchange, Failure, Outcome, Question, Says},
};
use dns::{BulkOptions, Client, ClientOptions};
use futures_util::StreamExt;
use model::RecordType;
use scenario::{
    Dnssec, FakeDns, Scenario, Served, now,
    wire::{AUTHENTIC_DATA, CHECKING_DISABLED, Network, Servers, missing_programs, namespace, probe},
};
use std::{
    net::IpAddr,
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

const TEST: &str = "wire::every_scenario_ends_the_same_over_the_wire";

/// Most of the time of one is waiting for servers that do not answer.
const CONCURRENT: usize = 12;

/// Bounds one observation; nothing here takes as long.
const DEADLINE: Duration = Duration::from_secs(30);

#[test]
fn every_scenario_ends_the_same_over_the_wire() {
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
    let tasks: Vec<String> = scenario::all().iter().flat_map(tasks_of).collect();
    let (next, problems) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..CONCURRENT {
            scope.spawn(|| {
                while let Some(task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let output = namespace::enter(way, TEST, task).unwrap();
                    if !output.status.success() {
                        let said = [output.stdout, output.stderr].concat();
                        let text = format!("{task}:\n{}", String::from_utf8_lossy(&said));
                        problems.lock().unwrap().push(text);
                    }
                }
            });
        }
    });
    let problems = problems.into_inner().unwrap();
    let knot = tasks.iter().filter(|task| task.ends_with(" knot")).count();
    println!("{} runs, {knot} of them with Knot", tasks.len());
    assert!(knot * 3 > tasks.len(), "Knot serves at most scenarios");
    assert!(problems.is_empty(), "{} of {}:\n{}", problems.len(), tasks.len(), problems.join("\n"));
}

/// A scenario's runs: with our own servers, and with real ones where they take its zones.
fn tasks_of(scenario: &Scenario) -> Vec<String> {
    let mut tasks = vec![format!("{} own", scenario.name)];
    if scenario.has_real_servers() {
        tasks.push(format!("{} knot", scenario.name));
    }
    tasks
}

/// Inside the namespace: one run.
fn perform(task: &str) {
    let (name, servers) = task.split_once(' ').unwrap();
    let servers = if servers == "knot" { Servers::Knot } else { Servers::Own };
    let scenario = scenario::load(name);
    namespace::set_up(scenario.addresses()).unwrap();
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("wire").join(task.replace(' ', "-"));
    drop(std::fs::remove_dir_all(&folder));
    std::fs::create_dir_all(&folder).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let problems = runtime.block_on(async {
        let network = Network::start(&scenario, servers, &folder).await.unwrap();
        check_signatures(&scenario, &network);
        let (plan, policy, client) = (scenario.plan(), scenario.policy(), client());
        let observation = dns::observe(&client, &plan, &policy, now, DEADLINE).await;
        let mut problems = scenario.problems_over_the_wire(&diagnose(&plan, &observation, now()));
        problems.extend(differences(&scenario, &network, &observation));
        if servers == Servers::Own {
            problems.extend(in_bulk(&scenario, &client).await);
        }
        if !problems.is_empty() {
            problems.push(format!("{:?}", network.players));
            problems.extend(observation.exchanges.iter().map(|exchange| {
                let question = &exchange.ask.question;
                let (name, kind) = (&question.name, question.record_type);
                format!("    {} {name} {kind}: {:?}", exchange.ask.server, exchange.says())
            }));
        }
        problems
    });
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    drop(std::fs::remove_dir_all(&folder));
}

/// The same as one of many, the resolvers asked first: what differs from memory there.
async fn in_bulk(scenario: &Scenario, client: &Client) -> Option<String> {
    // What resolvers say is left to chance then, and everything rests on that.
    let is_chance = scenario.faults.iter().any(|fault| fault.kind.is_zone_data())
        || FakeDns::new(scenario).world().served.iter().any(|served| served.zone.has_conflicts());
    if is_chance {
        return None;
    }
    let policy = Policy { look: Look::ResolversFirst, ..scenario.policy() };
    let plans = futures_util::stream::iter([scenario.plan()]);
    let mut observed = std::pin::pin!(dns::bulk(client, plans, &policy, now, &BulkOptions::default()));
    let mut observed = observed.next().await.unwrap();
    let reported = observed.diagnose(now());
    let result = |report: &Report| {
        let codes = scenario.wire.same_codes(report);
        let statuses = report.records.iter().map(|record| (record.planned.key.as_str(), record.status));
        format!("{} {codes:?} {:?}", report.verdict, statuses.collect::<Vec<_>>())
    };
    let in_memory = diagnose(&scenario.plan(), &scenario.observe_by(&policy).0, now());
    let (found, in_memory) = (result(&reported), result(&in_memory));
    (found != in_memory).then(|| format!("in bulk: {found}\n    in memory: {in_memory}"))
}

/// Answers that are not those of the DNS in memory: so the one that most tests rely on is held against real servers.
fn differences(scenario: &Scenario, network: &Network, observation: &Observation) -> Vec<String> {
    let dns = FakeDns::new(scenario);
    let differs = |exchange: &&Exchange| {
        let said = |exchange: &Exchange| match exchange.says() {
            // TTLs count down, and the reason for nothing is in everybody's own words.
            Says::NoData(_) => Says::NoData(0),
            Says::NxDomain(_) => Says::NxDomain(0),
            Says::Nothing(_) => Says::Nothing(String::new()),
            Says::Lame(_) => Says::Lame(String::new()),
            other => other,
        };
        let in_memory = Exchange { outcome: dns.answer(&exchange.ask), ..(*exchange).clone() };
        said(exchange) != said(&in_memory) && !is_chance(scenario, &dns, network, exchange)
    };
    let line = |exchange: &Exchange| {
        let Question { name, record_type } = &exchange.ask.question;
        let player = network.players.get(&exchange.ask.server.address().ip());
        let in_memory = Exchange { outcome: dns.answer(&exchange.ask), ..exchange.clone() };
        format!(
            "{name} {record_type} at {} ({player:?}): {:?}\n    in memory: {:?}",
            exchange.ask.server,
            exchange.says(),
            in_memory.says()
        )
    };
    observation.exchanges.iter().map(AsRef::as_ref).filter(differs).map(line).collect()
}

/// Whether what unbound says is left to chance, or to our patience: which of two servers that differ it asked, which
/// of two records that cannot stand together it saw first, how long it looks for servers that are silent.
fn is_chance(scenario: &Scenario, dns: &FakeDns, network: &Network, exchange: &Exchange) -> bool {
    if network.players.get(&exchange.ask.server.address().ip()) != Some(&"unbound") {
        return false;
    }
    let name = &exchange.ask.question.name;
    let is_around = |served: &&Served| name.is_at_or_below(&served.zone.apex);
    let around = dns.world().served.iter().filter(is_around);
    let depth = |served: &&Served| served.zone.apex.label_count();
    let closest = around.clone().map(|served| depth(&served)).max();
    let servers: Vec<IpAddr> = around
        .filter(|served| Some(depth(served)) == closest)
        .flat_map(|served| served.addresses.clone())
        .collect();
    let faults = || scenario.faults.iter().filter(|fault| servers.contains(&fault.address));
    let is_conflict = || dns.world().zone_of(name).is_some_and(|served| served.zone.has_conflict(name));
    let has_timed_out = exchange.outcome == Outcome::Failure(Failure::Timeout);
    faults().any(|fault| fault.kind.is_zone_data())
        || (has_timed_out && faults().count() > 0)
        || is_conflict()
}

/// Where zones are signed for real, unbound finds that they are: or that the DS record is not theirs.
fn check_signatures(scenario: &Scenario, network: &Network) {
    let signed = || scenario.zones.iter().filter(|zone| zone.dnssec != Dnssec::Unsigned);
    let resolvers = scenario.resolvers.iter().filter(|address| network.players[*address] == "unbound");
    for (resolver, zone) in resolvers.flat_map(|&address| signed().map(move |zone| (address, zone))) {
        let ask = |flags| probe(resolver, &zone.apex, RecordType::Soa, flags).unwrap();
        let (checked, unchecked) = (ask(AUTHENTIC_DATA), ask(AUTHENTIC_DATA | CHECKING_DISABLED));
        match zone.dnssec {
            Dnssec::Unsigned => {}
            Dnssec::Signed => assert!(checked.is_authentic && checked.answers == 1, "{checked:?}"),
            Dnssec::Bogus => {
                assert_eq!((checked.rcode, checked.answers), (2, 0));
                assert_eq!((unchecked.rcode, unchecked.answers), (0, 1));
            }
        }
    }
}

/// Patient with a resolver that has to find its way around dead servers on a busy machine.
fn client() -> Client {
    Client::new(ClientOptions { timeout: Duration::from_millis(1_500), tries: 2, ..ClientOptions::default() })
}
