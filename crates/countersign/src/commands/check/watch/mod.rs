//! `--watch`: looks again and again until the records are everywhere.
//!
//! Each look asks only what can have changed ([`standing::still_known`]) and is shown on standard error ([`screen`]);
//! the report of the last look goes to standard output, as that of a single check would.

mod screen;
mod standing;

use super::{CheckArgs, signals::Signals};
use crate::{
    commands::{
        Exit,
        show::{Checked, exit_of},
    },
    instance::system_time,
};
use diagnosis::{Observation, Plan, inquiry::Policy};
use dns::Client;
use model::Verdict;
use screen::Screen;
use standing::{Look, Pace, still_known};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// The shortest time between two looks, where nothing else is said.
const SHORTEST: Duration = Duration::from_secs(4);

/// How often the table is drawn again while nothing happens.
const REDRAW: Duration = Duration::from_secs(1);

/// The flags of waiting.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Waiting")]
pub struct WatchArgs {
    /// Look again until every record is at all name servers and resolvers
    #[arg(long, conflicts_with = "from_file")]
    pub watch: bool,
    /// Give up after that long: 90s, 20m, 2h
    #[arg(long, value_name = "TIME", requires = "watch", value_parser = span)]
    pub deadline: Option<Duration>,
    /// The shortest time between two looks, in milliseconds (for tests)
    #[arg(long, hide = true, value_name = "MILLISECONDS", requires = "watch")]
    pub watch_interval: Option<u64>,
}

fn span(text: &str) -> Result<Duration, String> {
    let wrong = || "give a number with its unit: 90s, 20m, 2h".to_owned();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let seconds = match unit.trim() {
        "" | "s" => 1,
        "m" | "min" => 60,
        "h" => 3_600,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(seconds).filter(|total| *total > 0).map(Duration::from_secs).ok_or_else(wrong)
}

/// Why the waiting ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Everywhere,
    Deadline,
    Stopped,
}

struct Watch<'a> {
    client: &'a Client,
    plan: &'a Plan,
    policy: &'a Policy,
    /// For one look.
    patience: Duration,
    shortest: Duration,
    ends: Option<Instant>,
    signals: Signals,
    screen: Screen,
}

/// Watches one domain, and prints the report of the last look.
pub async fn run(
    arguments: &CheckArgs,
    client: &Client,
    plan: &Plan,
    policy: &Policy,
) -> Result<Exit, String> {
    let flags = &arguments.waiting;
    let mut watch = Watch {
        client,
        plan,
        policy,
        patience: arguments.deadline(),
        shortest: flags.watch_interval.map_or(SHORTEST, Duration::from_millis),
        ends: flags.deadline.and_then(|span| Instant::now().checked_add(span)),
        signals: Signals::new()?,
        screen: Screen::new(&explain::shown::value(&plan.domain.to_unicode())),
    };
    let (ended, last) = watch.until_everywhere().await;
    watch.screen.clear();
    let Some(checked) = last else {
        watch.screen.say("Stopped before the first look was over: nothing is known.");
        return Ok(Exit::Unknown);
    };
    match ended {
        Ended::Everywhere => {
            watch.screen.say(&Look::at(&checked.report).closing());
        }
        Ended::Deadline => watch.screen.say("The deadline has passed; this is how things stand."),
        Ended::Stopped => watch.screen.say("Stopped; this is how things stand."),
    }
    let exit = match (ended, checked.report.verdict) {
        // Not everywhere by then, though right where it counts.
        (Ended::Deadline, Verdict::Pass) => Exit::Problems,
        (_, verdict) => exit_of(verdict),
    };
    let shown = arguments.show.print(&checked);
    Ok(if shown == Exit::Usage { shown } else { exit })
}

impl Watch<'_> {
    async fn until_everywhere(&mut self) -> (Ended, Option<Checked>) {
        let mut pace = Pace::new(self.shortest);
        let mut known = Observation::default();
        let mut last: Option<(Checked, Look)> = None;
        loop {
            let checked = match self.look(known).await {
                Ok(checked) => checked,
                Err(ended) => return (ended, last.map(|(checked, _)| checked)),
            };
            let now = checked.report.checked_at;
            let look = Look::at(&checked.report);
            let before = last.take().map(|(_, look)| look);
            self.screen.looked(&look, before.as_ref(), now);
            if look.is_done() {
                return (Ended::Everywhere, Some(checked));
            }
            let wait = pace.wait(before.as_ref() != Some(&look), look.visible_everywhere_by, now);
            known = still_known(&checked.observation, now, self.shortest);
            let stopped = self.wait(&look, wait).await;
            last = Some((checked, look));
            if let Err(ended) = stopped {
                return (ended, last.map(|(checked, _)| checked));
            }
        }
    }

    async fn look(&mut self, known: Observation) -> Result<Checked, Ended> {
        let started_at = system_time();
        let looking = dns::observe_on(self.client, self.plan, self.policy, system_time, self.patience, known);
        let observation = tokio::select! {
            observation = looking => observation,
            () = self.signals.next() => return Err(Ended::Stopped),
            () = at(self.ends) => return Err(Ended::Deadline),
        };
        let mut report = diagnosis::diagnose(self.plan, &observation, system_time());
        report.started_at = Some(started_at);
        report.once = true;
        Ok(Checked { plan: self.plan.clone(), observation, report })
    }

    /// Waits for the next look, and keeps the table alive.
    async fn wait(&mut self, look: &Look, wait: Duration) -> Result<(), Ended> {
        let next = Instant::now() + wait;
        loop {
            self.screen.draw(look, system_time(), next.saturating_duration_since(Instant::now()));
            let redraw = self.screen.is_live().then(|| Instant::now() + REDRAW);
            tokio::select! {
                () = sleep_until(next) => return Ok(()),
                () = at(redraw) => {}
                () = self.signals.next() => return Err(Ended::Stopped),
                () = at(self.ends) => return Err(Ended::Deadline),
            }
        }
    }
}

/// Waits for a time, for ever where there is none.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_have_units() {
        assert_eq!(span("90"), Ok(Duration::from_secs(90)));
        assert_eq!(span("20m"), Ok(Duration::from_mins(20)));
        assert_eq!(span("2h"), Ok(Duration::from_hours(2)));
        for wrong in ["", "m", "0s", "-5s", "5 weeks", "99999999999999999999h", "18446744073709551615h"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }
}
