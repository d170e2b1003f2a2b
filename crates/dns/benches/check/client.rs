//! Our client, in processes of its own.

use crate::{
    report::Usage,
    world::{self, Score},
};
use diagnosis::{
    Observation, Plan,
    inquiry::{self, Look, Policy},
    observation::Server,
};
use dns::{BulkOptions, Client, ClientOptions, wire::Query};
use futures_util::{StreamExt, stream};
use model::Timestamp;
use std::{
    collections::{HashMap, HashSet},
    fmt::Write,
    fs,
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::runtime;

#[expect(clippy::disallowed_methods, reason = "a bench is a composition root of its own")]
fn now() -> Timestamp {
    Timestamp::now()
}

fn policy(server: SocketAddr, look: Look) -> Policy {
    Policy { look, ..Policy::for_resolvers(vec![server]) }
}

/// Patient: what is lost on a busy machine is asked again before it is called silent.
fn options() -> ClientOptions {
    ClientOptions { tries: 3, ..ClientOptions::default() }
}

fn runtime() -> runtime::Runtime {
    runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Checks all domains: planning, asking, diagnosing. With a file, writes what was asked there.
pub fn check(server: SocketAddr, domains: usize, look: Look, record: Option<&str>) {
    let policy = policy(server, look);
    let profile = world::profile();
    // Whose keys they are a platform knows; making them up is the bench's own work.
    let variables: Vec<_> = (0..domains).map(world::variables).collect();
    let mut score = Score::default();
    let mut asked = Asked::default();
    let mut diagnosing = Duration::ZERO;
    let usage = Usage::start();
    let client = Client::new(options());
    runtime().block_on(async {
        let plans =
            stream::iter((0..domains).map(|number| world::plan(&profile, number, &variables[number])));
        let options = BulkOptions::default();
        let mut observed = std::pin::pin!(dns::bulk(&client, plans, &policy, now, &options));
        while let Some(mut observed) = observed.next().await {
            let started = Instant::now();
            let report = observed.diagnose(now());
            diagnosing += started.elapsed();
            score.add(number_of(&observed.plan), &report);
            if record.is_some() {
                asked.add(&observed.plan, &observed.observation);
            }
        }
    });
    let told = [
        ("domains", score.domains.to_string()),
        ("made", score.made.to_string()),
        ("found", score.found.to_string()),
        ("accused", score.accused.to_string()),
        ("diagnose", (diagnosing.as_secs_f64() * 1e6 / domains as f64).to_string()),
    ];
    usage.end(client.sent(), &told);
    if let Some(file) = record {
        fs::write(file, asked.packets).unwrap();
        fs::write(format!("{file}.txt"), asked.lines).unwrap();
    }
}

fn number_of(plan: &Plan) -> usize {
    plan.domain.as_str().trim_start_matches('d').trim_end_matches(".test").parse().unwrap()
}

/// What went out, as packets for the bare loop and as lines for dnsperf.
#[derive(Default)]
struct Asked {
    shared: HashSet<(String, u16, SocketAddr)>,
    packets: Vec<u8>,
    lines: String,
}

impl Asked {
    fn add(&mut self, plan: &Plan, observation: &Observation) {
        for ask in observation.exchanges.iter().map(|exchange| &exchange.ask) {
            let question = &ask.question;
            let key = (question.name.to_string(), question.record_type.code(), ask.server.address());
            // What many ask for was asked once, and known to the others.
            if !question.name.is_at_or_below(&plan.domain) && !self.shared.insert(key) {
                continue;
            }
            let recursion_desired = matches!(ask.server, Server::Resolver { .. });
            let query = Query { id: 0, question, recursion_desired, checking_disabled: false, edns: true };
            let packet = query.encode().unwrap();
            self.packets.extend_from_slice(&u16::try_from(packet.len()).unwrap().to_be_bytes());
            self.packets.extend_from_slice(&packet);
            let _ = writeln!(self.lines, "{} {}", question.name, question.record_type);
        }
    }
}

/// One domain at a time, cold, everything asked: how many delays deep.
pub fn latency(server: SocketAddr, delay: Duration, domains: usize) {
    let policy = policy(server, Look::Thorough);
    let profile = world::profile();
    let usage = Usage::start();
    let (mut depths, mut rounds) = (Vec::new(), HashMap::<usize, usize>::new());
    let mut sent = 0;
    for number in 0..domains {
        let plan = world::plan(&profile, number, &world::variables(number));
        // Cold: no socket, no runtime, nothing known.
        let client = Client::new(options());
        let started = Instant::now();
        let observation =
            runtime().block_on(dns::observe(&client, &plan, &policy, now, Duration::from_secs(20)));
        depths.push(started.elapsed().as_secs_f64() / delay.as_secs_f64());
        sent += client.sent();
        *rounds.entry(rounds_of(&plan, &observation, &policy)).or_default() += 1;
    }
    depths.sort_by(f64::total_cmp);
    let mut rounds: Vec<_> = rounds.into_iter().collect();
    rounds.sort_unstable();
    let chains: Vec<String> =
        rounds.iter().map(|(depth, count)| format!("{depth} ({count} domains)")).collect();
    let at = |share: f64| depths[((depths.len() - 1) as f64 * share) as usize].to_string();
    usage.end(sent, &[("p50", at(0.5)), ("p99", at(0.99)), ("chains", chains.join(", "))]);
}

/// How long the chain of things is that have to be known first: replayed from the answers, without any waiting.
fn rounds_of(plan: &Plan, observation: &Observation, policy: &Policy) -> usize {
    let mut known = Observation::default();
    for round in 0.. {
        let asks = inquiry::next(plan, &known, policy);
        if asks.is_empty() {
            return round;
        }
        known.exchanges.extend(asks.iter().filter_map(|ask| observation.outcome(ask)).cloned());
    }
    0
}

/// Very many domains made up on the way: what stays in memory.
pub fn many(server: SocketAddr, domains: usize) {
    let policy = policy(server, Look::ResolversFirst);
    let profile = world::profile();
    let keys = [0, 1, 2].map(world::key);
    let client = Client::new(options());
    let usage = Usage::start();
    let mut passed = 0;
    runtime().block_on(async {
        let plans = stream::iter(
            (0..domains)
                .map(|number| world::plan(&profile, number, &world::variables_with(number, keys.clone()))),
        );
        let options = BulkOptions::default();
        let mut observed = std::pin::pin!(dns::bulk(&client, plans, &policy, now, &options));
        while let Some(mut observed) = observed.next().await {
            let report = observed.diagnose(now());
            passed += usize::from(report.verdict == model::Verdict::Pass);
        }
    });
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim().to_owned();
    usage.end(client.sent(), &[("peak", peak), ("passed", passed.to_string())]);
}
