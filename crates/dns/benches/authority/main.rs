//! The numbers of the name server beside Knot and NSD, in one run: `cargo xtask bench authority`.
//!
//! One zone with very many keys, loaded by all of them, each in a process of its own with as many workers. dnsperf asks
//! them one after the other, round by round, with one file of questions: nine in ten are for keys that are there, the
//! rest for names and types that are not. CPU and memory are read from the system. Machines differ and are noisy, and
//! dnsperf is on the same cores: read the ratios. Any lost query or wrong response code ends the bench with an error.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench that cannot go on has nothing to print, and its numbers are small"
)]

mod load;
mod servers;
mod world;

use servers::Running;
use std::{env, fs, path::Path, process::ExitCode};

/// As in the program that is handed out.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => all(),
        ["serve", names, workers] => {
            servers::serve(names.parse().unwrap(), workers.parse().unwrap());
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("no such part: {words:?}");
            ExitCode::from(2)
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a bench is a composition root of its own")]
fn number_from(variable: &str, usual: usize) -> usize {
    env::var(variable).ok().and_then(|value| value.parse().ok()).unwrap_or(usual)
}

fn all() -> ExitCode {
    let folder = env::temp_dir().join(format!("countersign-bench-authority-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let is_right = table(&folder);
    fs::remove_dir_all(&folder).unwrap();
    if is_right { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What was measured of one server.
#[derive(Default)]
struct Row {
    rates: Vec<f64>,
    cpu: f64,
    queries: f64,
    lost: f64,
    is_right: bool,
}

fn table(folder: &Path) -> bool {
    let names = number_from("BENCH_NAMES", 300_000);
    let rounds = number_from("BENCH_ROUNDS", 5);
    let seconds = number_from("BENCH_SECONDS", 4);
    let workers = number_from("BENCH_WORKERS", 1);
    world::write_zone(folder, names);
    let questions = world::write_questions(folder, names);
    let running: Vec<Running> =
        [Some(servers::ours(names, workers)), servers::knot(folder, workers), servers::nsd(folder, workers)]
            .into_iter()
            .flatten()
            .collect();
    let mut rows: Vec<Row> = running.iter().map(|_| Row { is_right: true, ..Row::default() }).collect();
    for round in 0..=rounds {
        for (server, row) in running.iter().zip(&mut rows) {
            let before = server.cpu();
            let Some(told) = load::dnsperf(server.address, &questions, seconds) else {
                println!("dnsperf is not installed: nothing to measure with");
                return false;
            };
            // The first round warms up.
            if round > 0 {
                row.rates.push(told.rate);
                row.cpu += server.cpu() - before;
                row.queries += told.completed;
                row.lost += told.lost;
                row.is_right &= told.is_as_asked;
            }
        }
    }
    println!(
        "{names} keys, {workers} worker(s) each, {rounds} rounds of {seconds} s, dnsperf on the same {} cores",
        std::thread::available_parallelism().map_or(0, usize::from)
    );
    println!(
        "{:<20}{:>10}{:>8}{:>14}{:>9}{:>9}{:>9}{:>7}",
        "", "queries/s", "ratio", "CPU µs/query", "RSS MB", "own MB", "load s", "lost"
    );
    let knot =
        running.iter().zip(&rows).find(|(server, _)| server.what == "Knot").map(|(_, row)| row.median());
    for (server, row) in running.iter().zip(&rows) {
        let (resident, own) = server.memory();
        println!(
            "{:<20}{:>10.0}{:>8}{:>14.2}{:>9.0}{:>9.0}{:>9.1}{:>7.0}",
            server.what,
            row.median(),
            knot.map_or_else(|| "-".to_owned(), |knot| format!("{:.2}", row.median() / knot)),
            row.cpu / row.queries * 1e6,
            resident / 1e6,
            own / 1e6,
            server.load.as_secs_f64(),
            row.lost
        );
    }
    println!("  ratio: to Knot. own: what no other process of the server shares.");
    for (server, row) in running.iter().zip(&rows).filter(|(_, row)| !row.is_right) {
        println!("  {}: other response codes than were asked for, or {:.0} lost", server.what, row.lost);
    }
    rows.iter().zip(&running).all(|(row, server)| row.is_right || server.what != servers::OURS)
}

impl Row {
    fn median(&self) -> f64 {
        let mut rates = self.rates.clone();
        rates.sort_by(f64::total_cmp);
        rates.get(rates.len() / 2).copied().unwrap_or_default()
    }
}
