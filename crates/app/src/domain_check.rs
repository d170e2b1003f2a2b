//! One check of a domain: plan, observe, diagnose, decide, store. The one way in which its status changes by itself.

use crate::{
    App, delegation,
    domain_state::{self, Change, Look, State, Trigger},
    domains::DomainView,
    error::{Error, Result},
    lease::Lease,
    traces::{DOMAIN, KeyValue, ORGANISATION, Parent, SpanKind, StringValue, Value},
    watch::{self, LATE},
};
use aws_lc_rs::digest::{Context, SHA256};
use diagnosis::{Defect, Finding, Report};
use jiff::Timestamp;
use model::{DomainStatus, Verdict};
use serde_json::json;
use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};
use store::{CheckRecord, Health, NewEvent, StoreError};
use tracing::Instrument as _;

/// How long one check may take in all. A check on demand is answered within it.
const CHECK_DEADLINE: Duration = Duration::from_secs(8);

/// How many late domains are moved to their next place in one go.
const MOVED_AT_ONCE: u32 = 2_000;

/// What was found out, on its way into the store.
struct Checked {
    report: Report,
    report_text: String,
    observation_text: String,
    delegated_to: Option<String>,
    look: Look,
    claimed_at: Timestamp,
    ended_at: Timestamp,
}

impl App {
    /// Starts a check of every domain that is due, as many as there are slots. Returns how many it started.
    pub async fn check_due_domains(self: &Arc<Self>) -> Result<usize> {
        self.watch_brake().await?;
        let moved = self.move_late_domains().await?;
        let free = self.check_slots.available_permits();
        if free == 0 {
            return Ok(moved);
        }
        let now = self.clock.now();
        let lease = Lease::begin(self.settings.lease.clamp(CHECK_DEADLINE * 2, Duration::from_mins(1)));
        let free = u32::try_from(free).unwrap_or(1);
        let domains = self.store.claim_due_domains(now, &self.node, lease.until(now), free).await?;
        let count = domains.len();
        for domain in domains {
            let permit = Arc::clone(&self.check_slots).acquire_owned().await.ok();
            let app = Arc::clone(self);
            self.running.spawn(async move {
                let name = domain.name.clone();
                let checked = app.check(domain, Trigger::Schedule).await;
                drop(permit);
                match checked {
                    Ok(view) => {
                        if let Err(error) = app.look_for_drift(&view).await {
                            tracing::warn!(domain = %name, %error, "records of ours that are gone were not seen to; it is tried after the next check");
                        }
                    }
                    Err(error) => {
                        tracing::warn!(domain = %name, %error, "a scheduled check failed; it is tried again when its lease ends");
                    }
                }
                app.wake.verify.notify_one();
            });
        }
        Ok(count + moved)
    }

    /// Domains that are left alone and became late, since nothing ran for a while, are looked at when it is their turn
    /// again: all at once they would be a flood, for us and for those who are asked. How many were moved.
    async fn move_late_domains(&self) -> Result<usize> {
        let now = self.clock.now();
        let due_before = now.checked_sub(LATE).unwrap_or(now);
        if !self.store.is_domain_late(due_before).await? {
            return Ok(0);
        }
        let moved = self.store.defer_late_domains(now, due_before, MOVED_AT_ONCE).await?;
        metrics::counter!("countersign_checks_deferred_total").increment(moved);
        Ok(usize::try_from(moved).unwrap_or(usize::MAX))
    }

    /// Plan, observe, diagnose, decide, store.
    pub(crate) async fn check(&self, domain: store::Domain, trigger: Trigger) -> Result<DomainView> {
        let span = self.traces.begin("check domain", SpanKind::Internal, Parent::Current, || {
            let by = if trigger == Trigger::Schedule { "schedule" } else { "request" };
            vec![
                KeyValue::new(DOMAIN, domain.id.to_string()),
                KeyValue::new(ORGANISATION, domain.org_id.to_string()),
                KeyValue::new("countersign.domain.name", domain.name.to_string()),
                KeyValue::new("countersign.check.trigger", by),
            ]
        });
        let log = tracing::info_span!("check", domain = %domain.name, domain_id = %domain.id, org_id = %domain.org_id);
        let checked = span.around(Box::pin(self.check_and_store(domain, trigger).instrument(log))).await;
        if checked.is_err() {
            span.failed("not_checked");
        }
        checked
    }

    async fn check_and_store(&self, domain: store::Domain, trigger: Trigger) -> Result<DomainView> {
        if domain.status == DomainStatus::Pending && self.is_sub_zone(&domain) {
            // One that was added this moment: our own server is among those that are asked.
            self.serve_zones().await?;
        }
        let checked = self.look_at(&domain, trigger).await?;
        let mut domain = domain;
        let mut checked = checked;
        let mut is_served = false;
        // Someone else may have stored a check meanwhile: the transition is decided again on what is there now.
        for _ in 0..5 {
            let record = self.transition(&domain, &checked);
            match self.store.record_check(&record).await {
                Ok(stored) => {
                    if record.alert || record.delegation_changed.is_some() {
                        self.wake.alerts.notify_one();
                    }
                    if record.serves_anew && record.status == DomainStatus::Verified && !is_served {
                        // Its keys are served from now on, and mail is signed with them.
                        is_served = true;
                        self.serve_zones().await?;
                        checked = self.look_at(&stored, trigger).await?;
                        domain = stored;
                        continue;
                    }
                    let view = self.domain_view(stored).await?;
                    return Ok(self.take_up_key_beside(view).await);
                }
                Err(StoreError::HeldElsewhere) => checked.look.elsewhere = true,
                Err(StoreError::StaleVersion) => {
                    checked.look.elsewhere = false;
                    domain = self.store.get_domain(domain.org_id, domain.id).await?;
                    // What was stored meanwhile began to look later than we did: it stands.
                    let stored =
                        domain.report.as_deref().and_then(|text| serde_json::from_str::<Report>(text).ok());
                    let started = stored.and_then(|stored| stored.started_at);
                    if started.is_some_and(|started| started > checked.claimed_at) {
                        return self.domain_view(domain).await;
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::Unavailable(format!("{} is being checked by others at the same time", domain.name)))
    }

    async fn look_at(&self, domain: &store::Domain, trigger: Trigger) -> Result<Checked> {
        let claimed_at = self.clock.now();
        let began = Instant::now();
        let plan = self.plan_of(domain).await?;
        let clock = self.clock.clone();
        let policy = &self.settings.policy;
        let dns = self.dns_for(policy);
        let asking = self.traces.begin("observe dns", SpanKind::Internal, Parent::Current, Vec::new);
        let observation = dns::observe(&dns, &plan, policy, move || clock.now(), CHECK_DEADLINE).await;
        drop(asking);
        if trigger == Trigger::Schedule && began.elapsed() > CHECK_DEADLINE * 2 {
            // The process was frozen meanwhile: what was seen is old, and the domain is another node's by now.
            return Err(Error::Unavailable("the check was interrupted".to_owned()));
        }
        let checked_at = self.clock.now();
        let mut report = diagnosis::diagnose(&plan, &observation, checked_at);
        report.started_at = Some(claimed_at);
        if let Some(last) = domain.report.as_deref().and_then(|text| serde_json::from_str(text).ok()) {
            report.keep_certain(&last);
        }
        let json = |error: serde_json::Error| Error::Internal(error.to_string());
        let report_text = serde_json::to_string(&report).map_err(json)?;
        let observation_text = serde_json::to_string(&observation).map_err(json)?;
        metrics::counter!("countersign_checks_total", "verdict" => report.verdict.as_str()).increment(1);
        for finding in &report.findings {
            metrics::counter!("countersign_findings_total", "code" => finding.code()).increment(1);
        }
        self.traces.note(|| {
            let codes: Vec<StringValue> =
                report.findings.iter().map(|finding| finding.code().into()).collect();
            vec![
                KeyValue::new("countersign.check.verdict", report.verdict.as_str()),
                KeyValue::new("countersign.check.findings", Value::Array(codes.into())),
            ]
        });
        let is_fail = report.verdict == Verdict::Fail;
        let scheduled = trigger == Trigger::Schedule;
        if scheduled && report.verdict != Verdict::Unknown && state_of(domain).is_calm() {
            self.brake.note(is_fail, checked_at);
        }
        let at_stake = matches!(domain.status, DomainStatus::Verified | DomainStatus::Pending);
        let held = scheduled && is_fail && at_stake && self.demotions_are_held().await;
        let look = Look {
            verdict: report.verdict,
            perspectives: report.dissenters(),
            trigger,
            held,
            elsewhere: false,
        };
        let zone = plan.delegation().map(|(zone, _)| zone).or(report.zone.as_ref());
        let delegated_to = delegation::seen(&observation, zone);
        let ended_at = checked_at;
        Ok(Checked { report, report_text, observation_text, delegated_to, look, claimed_at, ended_at })
    }

    fn transition(&self, domain: &store::Domain, checked: &Checked) -> CheckRecord {
        let Checked { report, look, ended_at: now, .. } = checked;
        let now = *now;
        let rules = &self.settings.life_cycle;
        let (next, change) = domain_state::next(&state_of(domain), *look, rules, now);
        // A change of status and a poke both start the quick phase anew.
        let changed_at = match next.status {
            DomainStatus::Failed => next.fails_at.unwrap_or(now),
            DomainStatus::Verified if next.warning => next.watch.last_break_at.unwrap_or(now),
            _ => domain.created_at,
        };
        let since = domain.poked_at.map_or(changed_at, |poked_at| poked_at.max(changed_at));
        let mut due = watch::next_check(&next, domain.id, since, rules, now, self.random.thousandths());
        if look.trigger == Trigger::Demand && look.verdict != Verdict::Pass {
            // However often somebody asks: what was due stays due.
            due.at = domain.next_check_at.map_or(due.at, |at| at.min(due.at));
            due.period = None;
        }
        let (delegated, redelegated) =
            delegation::next(&domain.delegation, checked.delegated_to.as_deref(), now);
        if delegated.seen.is_some() && next.status != DomainStatus::Disabled {
            due.at = due.at.min(now.checked_add(delegation::AGAIN).unwrap_or(now));
            due.period = None;
        }
        let is_ours_at_fault = |finding: &Finding| matches!(finding.defect, Defect::SubZoneNotServed { .. });
        if next.status == DomainStatus::Verified && report.findings.iter().any(is_ours_at_fault) {
            due.at = due.at.min(now.checked_add(delegation::AGAIN).unwrap_or(now));
            due.period = None;
        }
        // Who has just begun may be moving the zone.
        let redelegated = redelegated.filter(|_| next.verified_at.is_some());
        if next.status != domain.status {
            tracing::info!(domain = %domain.name, from = %domain.status, to = %next.status, "a domain changed its status");
        }
        // A domain that was never verified is nobody's surprise.
        let alert = change.is_some_and(|change| match change {
            Change::Verified => false,
            Change::Failed => domain.verified_at.is_some(),
            Change::Warned | Change::Reminded | Change::Recovered => true,
        });
        let takes_hold = next.status == DomainStatus::Verified && !domain.holder && !look.elsewhere;
        CheckRecord {
            alert,
            domain_id: domain.id,
            version: domain.version,
            claimed_at: checked.claimed_at,
            checked_at: now,
            report: checked.report_text.clone(),
            observation: checked.observation_text.clone(),
            digest: found(report),
            status: next.status,
            spf_status: report.spf_status,
            dkim_status: report.dkim_status,
            dmarc_status: report.dmarc_status,
            return_path_status: report.return_path_status,
            health: if next.warning { Health::Warning } else { Health::Ok },
            verified_at: next.verified_at,
            // The first day of the warm-up; the store keeps one that is there.
            warmup_started_at: next.verified_at,
            fails_at: next.fails_at,
            next_check_at: Some(due.at),
            consecutive_failures: next.consecutive_failures,
            watch_seconds: due.period,
            // One that was verified before names had holders goes on, and holds its name once nobody else does.
            delegation: delegated,
            delegation_changed: redelegated.map(|changed| self.told_delegation(domain, &changed, now)),
            takes_hold,
            // Whoever fails has lapsed, and whoever comes back is served again.
            serves_anew: self.is_sub_zone(domain) && (takes_hold || next.status != domain.status),
            held_elsewhere: next.held_elsewhere,
            events: change.map(|change| self.told(domain, change, &next, report, now)).into_iter().collect(),
            watch: next.watch,
        }
    }

    fn told_delegation(
        &self,
        domain: &store::Domain,
        changed: &delegation::Changed,
        now: Timestamp,
    ) -> NewEvent {
        const TYPE: &str = "domain.delegation_changed";
        metrics::counter!("countersign_domain_changes_total", "event" => TYPE).increment(1);
        let data = changed.data(&domain.name);
        tracing::warn!(domain = %domain.name, %data, "the zone of a domain was delegated to other name servers");
        self.event(domain.org_id, TYPE, domain.id.to_string(), &data, now)
    }

    /// The event that tells of a change.
    fn told(
        &self,
        domain: &store::Domain,
        change: Change,
        next: &State,
        report: &Report,
        now: Timestamp,
    ) -> NewEvent {
        metrics::counter!("countersign_domain_changes_total", "event" => change.event_type()).increment(1);
        let mut data = json!({"domain": domain.name, "status": next.status, "verdict": report.verdict});
        if matches!(change, Change::Warned | Change::Reminded | Change::Failed) {
            let codes: Vec<_> = report.findings.iter().map(diagnosis::Finding::code).collect();
            data["findings"] = json!(codes);
        }
        if next.warning {
            data["stops_at"] = json!(next.fails_at);
        }
        self.event(domain.org_id, change.event_type(), domain.id.to_string(), &data, now)
    }
}

/// Stands for what a check found: the same as long as nothing of it changes but times and the order of answers.
fn found(report: &Report) -> i64 {
    let mut hash = Context::new(&SHA256);
    let mut add = |part: &str| {
        hash.update(&(part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    };
    let servers: BTreeSet<String> = report.name_servers.iter().map(ToString::to_string).collect();
    let zone = report.zone.as_ref().map(ToString::to_string);
    add(report.verdict.as_str());
    zone.iter().chain(&servers).for_each(|name| add(name));
    for record in report.all() {
        add(&record.planned.key);
        add(record.status.as_str());
        let current: BTreeSet<_> = record.current.iter().collect();
        for value in current {
            add(value);
        }
    }
    for finding in &report.findings {
        add(finding.code());
        add(finding.record.as_deref().unwrap_or_default());
    }
    let mut first = [0; 8];
    first.copy_from_slice(&hash.finish().as_ref()[..8]);
    i64::from_be_bytes(first)
}

fn state_of(domain: &store::Domain) -> State {
    State {
        status: domain.status,
        warning: domain.health == Health::Warning,
        verified_at: domain.verified_at,
        fails_at: domain.fails_at,
        consecutive_failures: domain.consecutive_failures,
        held_elsewhere: domain.held_elsewhere,
        watch: domain.watch.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::RecordStatus;

    #[test]
    fn what_is_found_is_the_same_until_more_than_times_and_orders_change() {
        let name = |text: &str| model::DomainName::parse(text).unwrap();
        let plan = diagnosis::plan::audit(&name("acme.test"), &["s1".to_owned()]);
        let mut report = Report::unchecked(&plan, Timestamp::UNIX_EPOCH);
        report.name_servers = vec![name("a.test"), name("b.test")];
        report.records[0].current = vec!["one".to_owned(), "two".to_owned()];
        let before = found(&report);
        let mut same = report.clone();
        same.checked_at = Timestamp::MAX;
        same.questions_asked += 1;
        same.name_servers.reverse();
        same.records[0].current.reverse();
        assert_eq!(found(&same), before);
        let changes: [fn(&mut Report); 4] = [
            |report| report.verdict = Verdict::Fail,
            |report| report.name_servers.truncate(1),
            |report| report.records[0].status = RecordStatus::Failed,
            |report| report.records[0].current[0].push('x'),
        ];
        for change in changes {
            let mut other = report.clone();
            change(&mut other);
            assert_ne!(found(&other), before);
        }
    }
}
