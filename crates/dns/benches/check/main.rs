//! The numbers of a check, each beside its peers in one run: `cargo xtask bench check`.
//!
//! Many sender domains on a local name server, one in ten with a fault. A bare loop over the very questions that our
//! client asked is the yardstick; dnsperf and checkdmarc run beside it where they are installed. Every client is a
//! process of its own, whose CPU is read from the system; servers are not counted. Machines differ and are noisy:
//! read the ratios. Faults missed and good domains accused end the bench with an error.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a bench that cannot go on has nothing to print, and its numbers are small"
)]

mod bare;
mod client;
mod peers;
mod report;
mod servers;
mod world;

use diagnosis::inquiry::Look;
use report::Told;
use std::{env, fs, path::Path, process::ExitCode, time::Duration};

/// As in the program that is handed out.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long the way to a server is where depth is measured.
const DELAY: Duration = Duration::from_millis(20);

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => return all(),
        ["bare", server, file] => bare::run(server.parse().unwrap(), file),
        ["check", server, domains, look, rest @ ..] => {
            let look = if *look == "thorough" { Look::Thorough } else { Look::ResolversFirst };
            client::check(server.parse().unwrap(), domains.parse().unwrap(), look, rest.first().copied());
        }
        ["latency", server, domains] => {
            client::latency(server.parse().unwrap(), DELAY, domains.parse().unwrap());
        }
        // For a profiler: a server that stays until the input ends.
        ["hold", folder, domains] => {
            fs::create_dir_all(folder).unwrap();
            let server = servers::authority(Path::new(folder), domains.parse().unwrap());
            println!("{}", server.address);
            let _ = std::io::stdin().read_line(&mut String::new());
        }
        ["many", server, domains] => client::many(server.parse().unwrap(), domains.parse().unwrap()),
        ["respond"] => servers::respond(),
        ["serve", folder, port, domains] => {
            block_on(servers::serve(folder, port.parse().unwrap(), domains.parse().unwrap()));
        }
        ["delay", upstream] => block_on(servers::delay(upstream.parse().unwrap(), DELAY)),
        _ => {
            eprintln!("no such part: {words:?}");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

fn block_on(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future);
}

#[expect(clippy::disallowed_methods, reason = "a bench is a composition root of its own")]
fn number_from(variable: &str, usual: usize) -> usize {
    env::var(variable).ok().and_then(|value| value.parse().ok()).unwrap_or(usual)
}

fn all() -> ExitCode {
    let domains = number_from("BENCH_DOMAINS", 20_000);
    let many = number_from("BENCH_MANY", 1_000_000);
    let folder = env::temp_dir().join(format!("countersign-bench-check-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let is_right = table(&folder, domains);
    memory(many);
    fs::remove_dir_all(&folder).unwrap();
    if is_right { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn table(folder: &Path, domains: usize) -> bool {
    let server = servers::authority(folder, domains);
    println!("{domains} domains, 1 in 10 at fault, on {}", server.what);
    let address = server.address.to_string();
    let count = domains.to_string();
    let file = folder.join("questions").to_string_lossy().into_owned();
    // Not measured: warms the server, and writes down what is asked.
    Told::by(&["check", &address, &count, "resolvers-first", &file]);
    let mut bare = Told::by(&["bare", &address, &file]);
    let ours = Told::by(&["check", &address, &count, "resolvers-first"]);
    let again = Told::by(&["bare", &address, &file]);
    // The better of two, one before and one after ours: a busy machine is not to make us look good.
    if again.cpu_per_query() < bare.cpu_per_query() {
        bare = again;
    }
    println!(
        "{:<44}{:>9}{:>11}{:>10}{:>11}{:>7}",
        "", "queries", "queries/s", "µs/query", "µs/domain", "ratio"
    );
    let row = |name: &str, told: &Told, domains: f64| {
        println!(
            "{name:<44}{:>9.0}{:>11.0}{:>10.2}{:>11.1}{:>7.2}",
            told.number("queries"),
            told.rate(),
            told.cpu_per_query(),
            told.number("cpu") / domains,
            told.cpu_per_query() / bare.cpu_per_query()
        );
    };
    row("bare sendmmsg/recvmmsg loop", &bare, domains as f64);
    row("bulk check, full diagnosis", &ours, domains as f64);
    match peers::dnsperf(server.address, &file) {
        Ok(told) => row("dnsperf", &told, domains as f64),
        Err(reason) => println!("{:<44}{reason}", "dnsperf"),
    }
    let sample = domains.min(100);
    match peers::checkdmarc(server.address, sample) {
        Ok(told) => {
            row(&format!("checkdmarc, {sample} domains"), &told, sample as f64);
            let theirs = told.number("cpu") / sample as f64;
            println!(
                "  CPU of a domain: checkdmarc's / ours {:.0}",
                theirs / (ours.number("cpu") / domains as f64)
            );
        }
        Err(reason) => println!("{:<44}{reason}", "checkdmarc"),
    }
    println!(
        "  rate, ours / bare {:.2}; lost by the bare loop {}; diagnose alone {:.1} µs a domain",
        ours.rate() / bare.rate(),
        bare.text("lost"),
        ours.number("diagnose")
    );
    println!(
        "  faults found {} of {}, good domains accused {}",
        ours.text("found"),
        ours.text("made"),
        ours.text("accused")
    );
    let proxy = servers::own(&["delay", &address]);
    let depth = Told::by(&["latency", &proxy.address.to_string(), "200"]);
    println!(
        "one domain, cold, everything asked, {} ms away: p50 {:.1}, p99 {:.1} round trips; chains {}; {:.0} queries each",
        DELAY.as_millis(),
        depth.number("p50"),
        depth.number("p99"),
        depth.text("chains"),
        depth.number("queries") / 200.0
    );
    ours.text("found") == ours.text("made") && ours.text("accused") == "0"
}

fn memory(domains: usize) {
    if domains == 0 {
        return;
    }
    let server = servers::own(&["respond"]);
    let told = Told::by(&["many", &server.address.to_string(), &domains.to_string()]);
    println!(
        "{domains} domains on a server that answers any name: peak {}, {} passed, {:.0} queries/s, {:.2} µs/query",
        told.text("peak"),
        told.text("passed"),
        told.rate(),
        told.cpu_per_query()
    );
}
