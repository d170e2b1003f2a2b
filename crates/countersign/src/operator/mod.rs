//! The operator's own health: is the platform itself in order, and what is to be done where it is not?
//!
//! [`Examiner`] looks at everything: what the store shows, our zone as resolvers see it, and what only this machine can
//! see ([`machine`]: disk and clock; [`reach`]: ports, relay and certificate). The same list is the page at the
//! operator's listener, its JSON, `countersign doctor`, and the gauge `countersign_health`.

pub mod machine;
pub mod reach;
mod zone;

use crate::config::Config;
use app::{
    App, Transport,
    operator_health::{HealthItem, HealthState, judge_clock, judge_disk, judge_work},
};
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::{sync::Mutex, time::Instant};

/// How long what was found holds: whoever asks, and however often, causes one look in that time.
const HOLDS: Duration = Duration::from_secs(10);

/// Looks at the platform that runs here.
pub struct Examiner {
    app: Arc<App>,
    data: PathBuf,
    time_server: String,
    /// Whether others are to reach this machine; in development nobody is.
    is_public: bool,
    last: Mutex<Option<(Instant, Vec<HealthItem>)>>,
}

impl Examiner {
    /// For a platform of this configuration.
    pub fn new(app: Arc<App>, config: &Config, is_dev: bool) -> Self {
        Self {
            app,
            data: config.data.clone(),
            time_server: config.time_server.clone(),
            is_public: !is_dev,
            last: Mutex::default(),
        }
    }

    /// How everything stands, worst first, as it was found in the last seconds.
    pub async fn items(&self) -> Vec<HealthItem> {
        // Who asks while it is being found waits for it.
        let mut last = self.last.lock().await;
        if let Some((at, items)) = last.as_ref().filter(|(at, _)| at.elapsed() < HOLDS) {
            tracing::trace!(age = ?at.elapsed(), "the health that was found a moment ago");
            return items.clone();
        }
        let items = self.look().await;
        for item in &items {
            metrics::gauge!("countersign_health", "code" => item.code.clone()).set(gauge(item.state));
        }
        for gone in codes_gone(last.as_ref().map_or(&[], |(_, before)| before), &items) {
            // What is not found any more is in order: an alert on it must end.
            metrics::gauge!("countersign_health", "code" => gone).set(gauge(HealthState::Ok));
        }
        *last = Some((Instant::now(), items.clone()));
        items
    }

    async fn look(&self) -> Vec<HealthItem> {
        let settings = self.app.settings();
        let space = machine::disk_space(&self.data);
        let mut items = vec![judge_disk(&self.data.to_string_lossy(), space)];
        let (work, time, report, reached) = tokio::join!(
            self.app.work_facts(),
            machine::ask_time_server(&self.time_server, &self.app),
            self.app.own_zone_report(),
            self.reach(),
        );
        let by_server = time.map(|off| (off, "the time server"));
        match work {
            Ok(facts) => {
                let by_database = facts.database_ahead.map(|off| (off, "the database"));
                items.push(judge_clock(by_server.or(by_database)));
                items.extend(judge_work(&facts, self.app.now()));
            }
            Err(error) => {
                items.push(judge_clock(by_server));
                let fix = "Nothing can be accepted until the database answers. Look at its log and its connections.";
                items.push(HealthItem::not_ok("database", HealthState::Fail, error.to_string(), fix));
            }
        }
        items.extend(zone::judge(&report, settings, self.app.now()));
        items.extend(reached);
        items.sort_by_key(|item| std::cmp::Reverse(item.state));
        items
    }

    /// What this machine can reach, of itself as others do and of what it depends on.
    async fn reach(&self) -> Vec<HealthItem> {
        let settings = self.app.settings();
        let relay = async {
            match &settings.transport {
                Transport::Relay { host, port, .. } => Some(reach::relay(host, *port).await),
                Transport::Sandbox(_) => None,
            }
        };
        if !self.is_public {
            return relay.await.into_iter().collect();
        }
        let (relay, ports, site) = tokio::join!(
            relay,
            reach::ports(&settings.public_addresses, &settings.platform_zone),
            reach::site(&settings.public_url),
        );
        relay.into_iter().chain(ports).chain(site).collect()
    }
}

/// What was found before and is not found now.
fn codes_gone(before: &[HealthItem], now: &[HealthItem]) -> Vec<String> {
    let is_gone = |item: &&HealthItem| now.iter().all(|other| other.code != item.code);
    before.iter().filter(is_gone).map(|item| item.code.clone()).collect()
}

/// 0 in order, 1 not seen, 2 a warning, 3 a failure: an alert is on `>= 2`.
fn gauge(state: HealthState) -> f64 {
    match state {
        HealthState::Ok => 0.0,
        HealthState::Unknown => 1.0,
        HealthState::Warn => 2.0,
        HealthState::Fail => 3.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_found_any_more_ends_its_alert() {
        let bad = |code: &str| HealthItem::not_ok(code, HealthState::Fail, "seen", "fix");
        let before = [bad("ptr"), bad("spf_multiple_records")];
        let now = [HealthItem::ok("ptr", "seen")];
        assert_eq!(codes_gone(&before, &now), ["spf_multiple_records"]);
        assert!(codes_gone(&[], &now).is_empty());
    }
}
