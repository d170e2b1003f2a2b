//! A list of domains: read, checked and told as a stream.
//!
//! A thread reads the list ([`lines`]), [`dns::bulk`] observes a bounded number of domains at once, and each result
//! is written as it comes ([`output`]). Nothing but the domains' hashes and the counts ([`tally`]) is kept, so a
//! list may be longer than memory. When it is stopped, what is open is finished; `--resume` goes on behind it.

mod lines;
mod output;
mod progress;
mod tally;

use super::{CheckArgs, ManyArgs, policy, wanted::Wanted};
use crate::{commands::Exit, instance::system_time};
use diagnosis::{Plan, inquiry::Look};
use dns::Observed;
use explain::render;
use futures_util::{Stream, StreamExt, stream};
use lines::{BadLine, Counters, Entry, Reader, Seen};
use model::DomainName;
use output::{Earlier, Output, Written};
use progress::Progress;
use serde::Serialize;
use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufReader, IsTerminal, Write},
    path::Path,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};
use tally::{Tally, grouped, length};
use tokio::{
    sync::{mpsc, oneshot},
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

/// How many domains are looked at at once where nobody said: few hundred questions are open then.
const CONCURRENT: u16 = 64;

/// How much the answers for one domain may take: many are kept at once, and the most that an honest one of our
/// scenarios has is a fifth of it.
const MOST_OCTETS: usize = 1 << 20;

/// How many entries are read ahead.
const READ_AHEAD: usize = 256;

/// Checks every domain of a list.
pub async fn run(arguments: &CheckArgs, list: &Path) -> Result<Exit, String> {
    let wanted = Wanted::from_arguments(arguments)?;
    wanted.check_values()?;
    let mut policy = policy(arguments)?;
    policy.max_octets = policy.max_octets.min(MOST_OCTETS);
    if !arguments.many.thorough {
        policy.look = Look::ResolversFirst;
    }
    let (source, octets) = open(list)?;
    let (output, earlier) = match &arguments.many.output {
        Some(path) => Output::file(path, arguments.many.resume)?,
        None => (Output::stdout(), Earlier::default()),
    };
    let before = earlier.tally.total();
    // Results in the same terminal are progress enough.
    let results_are_seen = arguments.many.output.is_none() && io::stdout().is_terminal();
    let progress = if results_are_seen { Progress::None } else { Progress::start(octets) };
    if earlier.mended {
        progress.say("The last result had been cut off; its domain is looked at again.");
    }
    let mut run = Run {
        output,
        tally: earlier.tally,
        progress,
        style: Style::of(arguments),
        open: Arc::default(),
        counters: Arc::default(),
        stopped: CancellationToken::new(),
    };
    let started = Instant::now();
    let (entries, bad, reading) = run.read(source, wanted, earlier.done);
    let client = arguments.client();
    let options = dns::BulkOptions {
        concurrent: usize::from(arguments.many.concurrency.unwrap_or(CONCURRENT)),
        deadline: arguments.deadline(),
    };
    let plans = run.plans(entries);
    let checked = dns::bulk(&client, plans, &policy, system_time, &options);
    let ended = run.write_all(checked, bad).await;
    run.progress.finish();
    let ended = ended?;
    run.output.finish()?;
    if ended == Ended::AtTheEnd {
        // The reader has hung up, so this is there.
        reading
            .await
            .unwrap_or(Ok(()))
            .map_err(|error| format!("{}: {error}", crate::commands::show::path(list)))?;
    }
    if ended != Ended::Interrupted && run.tally.total() == 0 {
        return Err(format!("{}: the list names no domain", crate::commands::show::path(list)));
    }
    run.summarise(arguments, before, started.elapsed(), ended);
    Ok(match ended {
        Ended::Interrupted => Exit::Interrupted,
        _ => run.tally.exit(),
    })
}

/// Why no more results come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// All of the list is done.
    AtTheEnd,
    /// Whoever read the results has seen enough.
    Closed,
    /// Somebody stopped it.
    Interrupted,
}

/// How a result is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Text,
    Brief,
    Full,
}

impl Style {
    fn of(arguments: &CheckArgs) -> Self {
        let many = &arguments.many;
        match (many.full, many.ndjson || many.output.is_some()) {
            (true, _) => Self::Full,
            (false, true) => Self::Brief,
            (false, false) => Self::Text,
        }
    }
}

struct Run {
    output: Output,
    tally: Tally,
    progress: Progress,
    style: Style,
    /// Line and place of the domains that are looked at now.
    open: Arc<Mutex<HashMap<DomainName, (u64, u64)>>>,
    counters: Arc<Counters>,
    /// Set when no more domains are to be begun.
    stopped: CancellationToken,
}

type Reading = oneshot::Receiver<io::Result<()>>;

impl Run {
    /// Reads the list on a thread of its own: a pipe may keep it waiting for ever, and the process must be able to
    /// end all the same.
    fn read(
        &self,
        mut source: Box<dyn io::BufRead + Send>,
        wanted: Wanted,
        done: Seen,
    ) -> (mpsc::Receiver<Entry>, mpsc::Receiver<BadLine>, Reading) {
        let (entries, entries_out) = mpsc::channel(READ_AHEAD);
        let (bad, bad_out) = mpsc::channel(READ_AHEAD);
        let (result, reading) = oneshot::channel();
        let counters = Arc::clone(&self.counters);
        std::thread::spawn(move || {
            let reader = Reader { wanted, done, entries, bad, counters: &counters };
            // Nobody may be there to hear of it any more.
            drop(result.send(reader.read(&mut source)));
        });
        (entries_out, bad_out, reading)
    }

    fn plans(&self, mut entries: mpsc::Receiver<Entry>) -> impl Stream<Item = Plan> + use<> {
        let open = Arc::clone(&self.open);
        stream::poll_fn(move |context| entries.poll_recv(context))
            .map(move |entry| {
                let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
                open.insert(entry.plan.domain.clone(), (entry.line, entry.read));
                entry.plan
            })
            .take_until(self.stopped.clone().cancelled_owned())
    }

    async fn write_all(
        &mut self,
        checked: impl Stream<Item = Observed>,
        mut bad: mpsc::Receiver<BadLine>,
    ) -> Result<Ended, String> {
        let mut checked = std::pin::pin!(checked);
        let mut ticks = interval(progress::LINE_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.reset();
        let mut signals = super::signals::Signals::new()?;
        let (mut is_checking, mut is_reading) = (true, true);
        while is_checking || is_reading {
            let written = tokio::select! {
                result = checked.next(), if is_checking => {
                    let Some(observed) = result else { is_checking = false; continue };
                    self.write_checked(observed)?
                }
                line = bad.recv(), if is_reading => {
                    let Some(line) = line else { is_reading = false; continue };
                    self.write_bad(&line)?
                }
                _ = ticks.tick() => { self.progress.tick(&self.tally); continue }
                () = signals.next() => {
                    if self.stopped.is_cancelled() {
                        return Ok(Ended::Interrupted);
                    }
                    self.stop();
                    // The list may keep its reader waiting; what it has found by now is enough.
                    bad.close();
                    continue
                }
            };
            if matches!(written, Written::Closed) {
                return Ok(Ended::Closed);
            }
        }
        Ok(if self.stopped.is_cancelled() { Ended::Interrupted } else { Ended::AtTheEnd })
    }

    fn stop(&self) {
        self.stopped.cancel();
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner).len();
        let checks = if open == 1 { "check that is" } else { "checks that are" };
        self.progress.say(&format!(
            "Stopping: the {open} {checks} under way will be finished; again to stop at once."
        ));
    }

    fn write_checked(&mut self, mut observed: Observed) -> Result<Written, String> {
        let mut report = observed.diagnose(system_time());
        let Observed { plan, observation, .. } = &observed;
        report.once = true;
        let place = self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&plan.domain);
        let (line, read) = place.unwrap_or_default();
        let text = match self.style {
            Style::Text => format!("{}\n", render::line(&report)),
            Style::Brief => ndjson(&Numbered { line, result: render::brief(&report) })?,
            Style::Full => {
                ndjson(&Numbered { line, result: render::report_file(&report, plan, observation) })?
            }
        };
        let findings = report.findings.iter().map(|finding| (finding.code(), finding.severity));
        self.tally.domain(report.verdict, findings);
        let written = self.output.write(&text);
        self.progress.advance(&self.tally, read);
        written
    }

    fn write_bad(&mut self, bad: &BadLine) -> Result<Written, String> {
        let text = match self.style {
            Style::Text => format!("{}: line {}: {}\n", bad.input, bad.line, bad.problem),
            Style::Brief | Style::Full => {
                let result = NoDomain { input: &bad.input, error: &bad.problem };
                ndjson(&Numbered { line: bad.line, result })?
            }
        };
        self.tally.bad_lines += 1;
        self.output.write(&text)
    }

    fn summarise(&self, arguments: &CheckArgs, before: u64, took: Duration, ended: Ended) {
        let mut text = String::new();
        let mut push = |line: String| {
            text.push_str(&line);
            text.push('\n');
        };
        let total = self.tally.total();
        push(format!("{} checked in {}: {}", grouped(total - before), length(took), self.tally.counts()));
        if before > 0 {
            push(format!("{} of them by earlier runs", grouped(before)));
        }
        let duplicates = self.counters.duplicates.load(Ordering::Relaxed);
        if duplicates > 0 {
            push(format!("Left out because they stood in the list before: {}", grouped(duplicates)));
        }
        if let Some(findings) = self.tally.most_frequent() {
            push(findings);
        }
        if ended == Ended::Interrupted {
            push(how_to_go_on(arguments).to_owned());
        }
        drop(writeln!(io::stderr(), "{}", crate::commands::show::harmless(&text)));
    }
}

/// Every other flag has to be the same: what is looked for, and who is asked.
fn how_to_go_on(arguments: &CheckArgs) -> &'static str {
    match &arguments.many {
        ManyArgs { output: None, .. } => {
            "Stopped before the end. With --output FILE a list can be gone on with: add --resume."
        }
        ManyArgs { resume: true, .. } => "Stopped before the end. To go on, run the same command again.",
        ManyArgs { .. } => "Stopped before the end. To go on, run the same command with --resume added.",
    }
}

#[derive(Serialize)]
struct Numbered<T> {
    line: u64,
    #[serde(flatten)]
    result: T,
}

#[derive(Serialize)]
struct NoDomain<'a> {
    input: &'a str,
    error: &'a str,
}

fn ndjson(value: &impl Serialize) -> Result<String, String> {
    let mut text = serde_json::to_string(value).map_err(|error| error.to_string())?;
    text.push('\n');
    Ok(text)
}

/// Opens the list; its length where it has one.
fn open(list: &Path) -> Result<(Box<dyn io::BufRead + Send>, Option<u64>), String> {
    if list == Path::new("-") {
        return Ok((Box::new(BufReader::new(io::stdin())), None));
    }
    let problem = |error: io::Error| format!("{}: {error}", crate::commands::show::path(list));
    let file = File::open(list).map_err(problem)?;
    let metadata = file.metadata().map_err(problem)?;
    if metadata.is_dir() {
        return Err(format!(
            "{} is a folder; name a file with one domain a line",
            crate::commands::show::path(list)
        ));
    }
    let octets = metadata.is_file().then_some(metadata.len());
    Ok((Box::new(BufReader::new(file)), octets))
}
