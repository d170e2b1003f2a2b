//! A scenario from its plan to its report, without a packet.

use crate::{fake_dns::FakeDns, file::Scenario};
use diagnosis::{
    Observation, Report, diagnose,
    inquiry::{self, Inquiry, Known},
    observation::Exchange,
};
use model::Timestamp;
use std::net::SocketAddr;

/// How many rounds an inquiry may take before it counts as endless.
const MAX_ROUNDS: usize = 20;

/// The time of every observation and report in memory.
pub fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

impl Scenario {
    /// Asks the scenario's resolvers, and its name servers at their addresses as they are.
    pub fn policy(&self) -> inquiry::Policy {
        let resolvers = self.resolvers.iter().map(|&address| SocketAddr::new(address, 53)).collect();
        inquiry::Policy {
            loopback_port: 53,
            private_addresses: self.private_addresses,
            family: self.family,
            ..inquiry::Policy::for_resolvers(resolvers)
        }
    }

    /// Asks until nothing is left to ask.
    pub fn observe(&self) -> Observation {
        self.observe_by(&self.policy()).0
    }

    /// Asks by a policy until nothing is left to ask; also says how many rounds it took.
    ///
    /// # Panics
    /// Where the inquiry does not end.
    pub fn observe_by(&self, policy: &inquiry::Policy) -> (Observation, usize) {
        let (observation, _, rounds) = self.inquire(policy);
        (observation, rounds)
    }

    /// The same with what the inquiry found out on its way.
    ///
    /// # Panics
    /// Where the inquiry does not end.
    pub fn inquire(&self, policy: &inquiry::Policy) -> (Observation, Known, usize) {
        self.inquire_of(&FakeDns::new(self), policy)
    }

    fn inquire_of(&self, dns: &FakeDns, policy: &inquiry::Policy) -> (Observation, Known, usize) {
        let plan = self.plan();
        let mut observation = Observation::default();
        let mut inquiry = Inquiry::new(&plan, policy);
        for round in 0..MAX_ROUNDS {
            let asks = inquiry.next(&observation);
            if asks.is_empty() {
                observation.cut_short = inquiry.is_cut_short(&observation);
                let known = inquiry.into_known(&observation);
                return (observation, known, round);
            }
            for ask in asks {
                let outcome = dns.answer(&ask);
                observation.exchanges.push(Exchange { ask, at: now(), outcome }.into());
            }
        }
        panic!("{}: the inquiry does not end", self.name);
    }

    /// The report on what [`Scenario::observe`] sees.
    pub fn report(&self) -> Report {
        self.report_of(&FakeDns::new(self))
    }

    /// The report on what is seen of other zones than the scenario's own.
    ///
    /// # Panics
    /// Where the inquiry does not end.
    pub fn report_of(&self, dns: &FakeDns) -> Report {
        let (observation, ..) = self.inquire_of(dns, &self.policy());
        diagnose(&self.plan(), &observation, now())
    }
}

/// Says that a test proves nothing here, where `cargo xtask test` counts it.
#[expect(clippy::print_stdout, reason = "a test says so to whoever runs it")]
pub fn skip(test: &str, why: &str) {
    use std::io::Write;
    println!("skipped: {why}");
    if let Some(tools) = std::env::var_os("COUNTERSIGN_TOOLS") {
        let path = std::path::PathBuf::from(tools).join("skipped.log");
        if let Ok(mut file) = std::fs::OpenOptions::new().append(true).create(true).open(path) {
            drop(writeln!(file, "{test}: {why}"));
        }
    }
}
