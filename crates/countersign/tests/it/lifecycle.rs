//! What happens to a domain after it was verified, with a clock of the test's own.

use crate::support::{Api, Folder, codes, config, text};
use app::ports::Clock;
use countersign::{Config, Instance};
use model::OrgId;
use serde_json::{Value, json};
use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};
use store::{Store, StoreOptions};

/// A platform whose time the test moves on.
pub struct Later {
    pub instance: Instance,
    pub api: Api,
    pub folder: Folder,
    pub minutes: Arc<AtomicI64>,
}

impl Later {
    pub async fn start(change: impl FnOnce(Config) -> Config) -> Self {
        Self::start_as(change, false).await
    }

    /// The same as `serve` runs it.
    pub async fn serve(change: impl FnOnce(Config) -> Config) -> Self {
        Self::start_as(change, true).await
    }

    async fn start_as(change: impl FnOnce(Config) -> Config, serves: bool) -> Self {
        let folder = Folder::new();
        let minutes = Arc::new(AtomicI64::new(0));
        let shift = Arc::clone(&minutes);
        let clock = Clock::new(move || {
            let later = jiff::SignedDuration::from_mins(shift.load(Ordering::Relaxed));
            countersign::instance::system_time().checked_add(later).unwrap()
        });
        let config = change(config(&folder));
        let instance = if serves {
            Instance::serve_at(&config, clock).await.unwrap()
        } else {
            Instance::start_at(&config, clock).await.unwrap()
        };
        let api = Api::new(instance.http, &instance.api_key);
        Self { instance, api, folder, minutes }
    }

    /// Moves the time on, at least by so much, and waits until the domain was looked at by then. On a slow machine its
    /// next check may have been put off past that: then the time moves on to it.
    pub async fn pass(&self, minutes: i64, path: &str) -> Value {
        let before = self.api.get(path).await;
        self.minutes.fetch_add(minutes, Ordering::Relaxed);
        self.instance.app.wake.verify.notify_one();
        self.api
            .until(path, |domain| {
                if domain["last_checked_at"] != before["last_checked_at"] {
                    return true;
                }
                let late = self.minutes_until(&domain["next_check_at"]);
                if late > 0 {
                    self.minutes.fetch_add(late, Ordering::Relaxed);
                    self.instance.app.wake.verify.notify_one();
                }
                false
            })
            .await
    }

    /// How many minutes, rounded up, the platform's time is from a time that it told; 0 where that is past.
    fn minutes_until(&self, time: &Value) -> i64 {
        let Some(time) = time.as_str() else { return 0 };
        let time: jiff::Timestamp = time.parse().unwrap();
        let now = countersign::instance::system_time()
            + jiff::SignedDuration::from_mins(self.minutes.load(Ordering::Relaxed));
        let seconds = time.duration_since(now).as_secs();
        if seconds < 0 { 0 } else { seconds / 60 + 1 }
    }

    /// The events about something, oldest first.
    pub async fn events(&self, subject: &str) -> Vec<(String, Value)> {
        let store = self.store().await;
        let first = store.first_organisation().await.unwrap().unwrap();
        store.close().await;
        self.events_of(first.id, subject).await
    }

    /// The same of another organisation than the first.
    pub async fn events_of(&self, organisation: OrgId, subject: &str) -> Vec<(String, Value)> {
        let store = self.store().await;
        let mut events = store.list_events_for_subject(organisation, subject, 50).await.unwrap();
        store.close().await;
        events.reverse();
        events
            .into_iter()
            .map(|event| (event.event_type, serde_json::from_str(&event.data).unwrap()))
            .collect()
    }

    /// The database, past the platform.
    pub async fn store(&self) -> Store {
        let path = self.folder.0.join("countersign.sqlite");
        Store::open(&path, StoreOptions::default()).await.unwrap()
    }

    pub async fn event_types(&self, subject: &str) -> Vec<String> {
        self.events(subject).await.into_iter().map(|(event_type, _)| event_type).collect()
    }
}

/// Deletes the first record of a playground zone.
async fn break_first(api: &Api, zone: &str) {
    let records = api.get(&format!("/playground/zones/{zone}")).await;
    api.delete(&format!("/playground/records/{}", text(&records["records"][0], "id"))).await;
}

#[tokio::test]
async fn a_break_is_confirmed_then_warned_of_and_sending_stops_after_reminders() {
    let platform = Later::start(|config| Config { grace_hours: 3, ..config }).await;
    let api = &platform.api;
    let domain = api.verified("mail.acme.test", "acme.test", "three-cname").await;
    let path = format!("/domains/{}", text(&domain, "id"));
    let contact = json!({"address": "dns@acme.example", "domain_id": domain["id"]});
    api.confirmed_contact(&contact).await;
    api.confirmed_contact(&json!({"address": "other@acme.example", "tenant_id": null})).await;
    let zone = api.zone("acme.test").await;
    break_first(api, &zone).await;

    let broken = |domain: &Value| codes(domain).contains(&"dkim_partial".to_owned());
    let suspected = api.until(&path, broken).await;
    assert_eq!((text(&suspected, "status"), text(&suspected, "health")), ("verified", "ok"));
    for minutes in [2, 5] {
        let domain = platform.pass(minutes, &path).await;
        assert_eq!((text(&domain, "health"), &domain["stops_at"]), ("ok", &Value::Null));
    }
    // A check on demand confirms nothing, and takes nothing away.
    api.post(&format!("{path}/verify"), &json!({})).await;
    let warned = platform.pass(12, &path).await;
    assert_eq!((text(&warned, "status"), text(&warned, "health")), ("verified", "warning"));
    assert_eq!(warned["can_send"], true);
    assert!(warned["stops_at"].is_string(), "{warned:#}");
    let message = json!({"from": "a@mail.acme.test", "to": ["b@example.org"], "subject": "Hi", "text": "Hi"});
    api.post("/emails", &message).await;

    for (minutes, status) in [(50, "verified"), (20, "verified"), (100, "verified"), (40, "failed")] {
        let domain = platform.pass(minutes, &path).await;
        assert_eq!(text(&domain, "status"), status, "{minutes}");
    }
    let (_, refused) = api.refused("/emails", &message).await;
    assert_eq!(text(&refused, "code"), "DOMAIN_PENDING_VERIFICATION");
    let wanted = ["domain.created", "domain.verified", "domain.warning", "domain.reminder", "domain.failed"];
    let events = platform.events(text(&domain, "id")).await;
    assert_eq!(events.iter().map(|(event_type, _)| event_type.as_str()).collect::<Vec<_>>(), wanted);
    // The store keeps milliseconds.
    assert_eq!(events[2].1["stops_at"].as_str().unwrap()[..19], warned["stops_at"].as_str().unwrap()[..19]);
    assert!(events[2].1["findings"].as_array().unwrap().contains(&json!("dkim_partial")));

    // Both contacts were written to: with what to publish and by when.
    for address in ["dns@acme.example", "other@acme.example"] {
        // A delivery whose lease the clock jumped over is made again.
        let distinct = |list: &Value| {
            let mut subjects: Vec<String> = Vec::new();
            for mail in list["data"].as_array().unwrap().iter().rev() {
                subjects.push(text(mail, "subject").to_owned());
            }
            subjects.dedup();
            subjects
        };
        let inbox = format!("/sandbox/messages?recipient={address}");
        let inbox = api.until(&inbox, |list| distinct(list).len() == 3).await;
        let subjects = distinct(&inbox);
        for (subject, words) in
            subjects.iter().zip(["records broke, mail stops on", "mail stops on", "has stopped"])
        {
            assert!(subject.starts_with("mail.acme.test") && subject.contains(words), "{subjects:?}");
        }
        let first = inbox["data"].as_array().unwrap().last().unwrap();
        let raw = api.raw(text(first, "id")).await;
        let raw = String::from_utf8(raw).unwrap().replace("=\r\n", "");
        let is_broken = |record: &&Value| record["required"] == true && record["status"] != "verified";
        let broken: Vec<_> = warned["records"].as_array().unwrap().iter().filter(is_broken).collect();
        assert_eq!(broken.len(), 1);
        assert!(raw.contains(&format!("Value: {}", text(broken[0], "value"))), "{raw}");
    }

    api.post(&format!("/playground/domains/{}/publish", text(&domain, "id")), &json!({})).await;
    api.until(&path, |domain| domain["status"] == "verified").await;
    platform.instance.stop().await;
}

#[tokio::test]
async fn a_break_that_is_mended_in_time_is_told_to_nobody_or_recovers() {
    let platform = Later::start(|config| config).await;
    let api = &platform.api;
    let domain = api.verified("mail.acme.test", "acme.test", "three-cname").await;
    let id = text(&domain, "id");
    let path = format!("/domains/{id}");
    let zone = api.zone("acme.test").await;
    let publish = format!("/playground/domains/{id}/publish");
    let broken = |domain: &Value| codes(domain).contains(&"dkim_partial".to_owned());

    break_first(api, &zone).await;
    api.until(&path, broken).await;
    platform.pass(2, &path).await;
    api.post(&publish, &json!({})).await;
    api.until(&path, |domain| !broken(domain)).await;
    let mended = ["domain.created", "domain.verified", "domain.dns_changed"];
    assert_eq!(platform.event_types(id).await, mended);

    break_first(api, &zone).await;
    api.until(&path, broken).await;
    for minutes in [2, 5, 12] {
        platform.pass(minutes, &path).await;
    }
    api.post(&publish, &json!({})).await;
    let whole = api.until(&path, |domain| domain["health"] == "ok").await;
    assert_eq!((&whole["stops_at"], &whole["fails_at"]), (&Value::Null, &Value::Null));
    let types = platform.event_types(id).await;
    assert_eq!(types[3..], ["domain.warning", "domain.dns_changed", "domain.recovered"]);
    platform.instance.stop().await;
}

#[tokio::test]
async fn many_domains_that_break_at_once_are_not_demoted_while_the_fault_may_be_ours() {
    let platform = Later::start(|config| config).await;
    let api = &platform.api;
    let mut paths = Vec::new();
    for number in 0..11 {
        let domain = api.verified(&format!("m{number}.acme.test"), "acme.test", "two-txt").await;
        paths.push(format!("/domains/{}", text(&domain, "id")));
    }
    // All names of the zone are gone, as when a resolver answers NXDOMAIN for everything.
    let zone = api.zone("acme.test").await;
    api.delete(&format!("/playground/zones/{zone}")).await;
    let is_gone = |domain: &Value| domain["dkim_status"] != "verified";
    for path in &paths {
        api.until(path, is_gone).await;
    }
    // Looked at again and again, and nothing comes of it.
    for minutes in [2, 3, 3] {
        platform.pass(minutes, &paths[0]).await;
    }
    let metrics = api.with_key("/metrics").await.text().await.unwrap();
    assert!(metrics.contains("countersign_demotions_held 1"), "{metrics}");
    assert_eq!(platform.event_types("send.countersign.test").await, ["platform.demotions_held"]);
    for path in &paths {
        let domain = api.get(path).await;
        assert_eq!((text(&domain, "status"), text(&domain, "health")), ("verified", "ok"));
    }
    // Nothing else breaks: it was them, and not us. Of a zone that is gone only the resolver can tell: that has to last
    // for a day.
    let mut healths = Vec::new();
    for _ in 0..15 {
        let domain = platform.pass(110, &paths[0]).await;
        assert_eq!(text(&domain, "status"), "verified");
        healths.push(text(&domain, "health").to_owned());
    }
    assert_eq!(healths.iter().filter(|health| *health == "ok").count(), 13, "{healths:?}");
    let types = platform.event_types("send.countersign.test").await;
    assert_eq!(types, ["platform.demotions_held", "platform.demotions_released"]);
    platform.instance.stop().await;
}
