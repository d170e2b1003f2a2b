//! Records written at DNS hosts: planned, shown, applied, taken back, and gone on with after a crash.

use crate::{
    client::Terminal,
    support::{Api, Platform, text},
};
use app::{
    access::Caller,
    change_sets::{Credential, PlanChanges},
    dns_connections::Opened,
    publish::{
        Atomic, Batch, Capabilities, Grain, HostError, Later, WriteError, Written, Zone, ZoneHandle,
        ZoneProvider, ZoneRecord, model_host::ModelHost,
    },
    store::{ChangePurpose, ChangeState},
};
use model::{ChangeSetId, DomainId, DomainName, Record, RecordData, RecordType, TxtData};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// The records of a playground zone, each as one line.
async fn lines(api: &Api, zone: &str) -> Vec<String> {
    let zone = api.get(&format!("/playground/zones/{zone}")).await;
    let line = |record: &Value| {
        format!("{} {} {}", text(record, "host"), text(record, "type"), text(record, "value"))
    };
    let mut lines: Vec<String> = zone["records"].as_array().unwrap().iter().map(line).collect();
    lines.sort();
    lines
}

async fn planned(api: &Api, domain: &Value) -> Value {
    let path = format!("/domains/{}/change-sets", text(domain, "id"));
    api.post(&path, &json!({"host": "playground"})).await["data"][0].clone()
}

const PLAYGROUND: &str = r#"{"host":"playground"}"#;

fn playground() -> Value {
    serde_json::from_str(PLAYGROUND).unwrap()
}

#[tokio::test]
async fn the_diff_is_what_is_applied_and_taken_back() {
    let platform = Platform::start().await;
    let api = &platform.api;
    let zone = api.zone("acme.test").await;
    let domain = api.post("/domains", &json!({"domain": "mail.acme.test"})).await;
    api.publish(&zone, "mail", "TXT", "v=spf1 ip4:192.0.2.1 -all", None).await;
    api.publish(&zone, "mail", "TXT", "somebody-elses-proof=1", None).await;
    let before = lines(api, &zone).await;
    let set = planned(api, &domain).await;
    let id = text(&set, "id");
    assert_eq!((text(&set, "state"), &set["blocked"]), ("planned", &json!([])), "{set:#}");
    let diff = text(&set, "diff");
    assert!(
        diff.contains("old: v=spf1 ip4:192.0.2.1 -all\n    new: v=spf1 ip4:192.0.2.1 include:"),
        "{diff}"
    );
    assert_eq!(lines(api, &zone).await, before, "a plan writes nothing");
    assert_eq!(api.get(&format!("/change-sets/{id}")).await, set);

    let applied = api.post(&format!("/change-sets/{id}/apply"), &playground()).await;
    assert_eq!(text(&applied, "state"), "applied", "{applied:#}");
    assert!(applied["steps"].as_array().unwrap().iter().all(|step| step["done"] == true));
    let verified = api.get(&format!("/domains/{}", text(&domain, "id"))).await;
    assert_eq!(text(&verified, "status"), "verified", "the records are looked at before the answer");
    let after = lines(api, &zone).await;
    for step in set["steps"].as_array().unwrap() {
        let new = text(step, "new");
        assert!(after.iter().any(|line| line.ends_with(new)), "{new}: {after:#?}");
    }
    assert!(after.contains(&"mail TXT somebody-elses-proof=1".to_owned()));
    let again = api.post(&format!("/change-sets/{id}/apply"), &playground()).await;
    assert_eq!(again, applied);
    let second = planned(api, &domain).await;
    assert_eq!((&second["steps"], &second["blocked"]), (&json!([]), &json!([])), "{second:#}");

    let undone =
        api.post(&format!("/change-sets/{id}/undo"), &json!({"host": "playground", "apply": true})).await;
    assert_eq!((text(&undone, "state"), text(&undone, "purpose")), ("applied", "undo"), "{undone:#}");
    assert_eq!(lines(api, &zone).await, before);
    assert_eq!(text(&api.get(&format!("/change-sets/{id}")).await, "state"), "undone");
    let (status, refused) = api.refused(&format!("/change-sets/{id}/apply"), &playground()).await;
    assert_eq!((status.as_u16(), text(&refused, "code")), (409, "CHANGE_SET_NOT_APPLICABLE"));
    let list = api.get(&format!("/domains/{}/change-sets", text(&domain, "id"))).await;
    let states: Vec<&str> = list["data"].as_array().unwrap().iter().map(|set| text(set, "state")).collect();
    assert_eq!(states, ["applied", "planned", "undone"]);
    platform.stop().await;
}

#[tokio::test]
async fn what_we_wrote_and_somebody_changed_is_brought_back_and_the_rest_can_be_cleaned_up() {
    let platform = Platform::start().await;
    let api = &platform.api;
    let zone = api.zone("acme.test").await;
    let domain = api.post("/domains", &json!({"domain": "mail.acme.test"})).await;
    api.publish(&zone, "mail", "TXT", "v=spf1 ip4:192.0.2.1 -all", None).await;
    let before = lines(api, &zone).await;
    let path = format!("/domains/{}/change-sets", text(&domain, "id"));
    let whole = json!({"host": "playground", "apply": true});
    assert_eq!(text(&api.post(&path, &whole).await["data"][0], "state"), "applied");
    let good = lines(api, &zone).await;
    let records = api.get(&format!("/playground/zones/{zone}")).await;
    let is_alias = |record: &&Value| record["type"] == "CNAME";
    let mut ours = records["records"].as_array().unwrap().iter().filter(is_alias);
    let (changed, removed) = (ours.next().unwrap(), ours.next().unwrap());
    let typed = json!({"host": changed["host"], "type": "CNAME", "value": "elsewhere.test"});
    api.put(&format!("/playground/records/{}", text(changed, "id")), &typed).await;
    api.delete(&format!("/playground/records/{}", text(removed, "id"))).await;
    let mended = api.post(&path, &whole).await["data"][0].clone();
    assert_eq!(mended["steps"].as_array().unwrap().len(), 2, "{mended:#}");
    assert_eq!(lines(api, &zone).await, good);

    let cleanup = json!({"host": "playground", "purpose": "cleanup", "apply": true});
    let cleaned = api.post(&path, &cleanup).await["data"][0].clone();
    assert_eq!(text(&cleaned, "state"), "applied", "{cleaned:#}");
    assert_eq!(lines(api, &zone).await, before, "of the SPF record only our part went");
    platform.stop().await;
}

#[tokio::test]
async fn a_zone_that_changed_is_left_alone() {
    let platform = Platform::start().await;
    let api = &platform.api;
    let zone = api.zone("acme.test").await;
    let domain = api.post("/domains", &json!({"domain": "mail.acme.test"})).await;
    let set = planned(api, &domain).await;
    let path = format!("/change-sets/{}", text(&set, "id"));
    let name = text(&set["steps"][0], "name").strip_suffix(".acme.test").unwrap().to_owned();
    let stranger = api.publish(&zone, &name, "TXT", "written meanwhile", None).await;
    let (status, refused) = api.refused(&format!("{path}/apply"), &playground()).await;
    assert_eq!((status.as_u16(), text(&refused, "code")), (409, "ZONE_CHANGED"), "{refused:#}");
    assert_eq!(lines(api, &zone).await, [format!("{name} TXT written meanwhile")], "nothing was written");
    let told = api.get(&path).await;
    assert_eq!((text(&told, "state"), text(&told["error"], "code")), ("refused", "ZONE_CHANGED"));
    assert_eq!(text(&told["error"]["new"][0], "value"), "written meanwhile");
    // Elsewhere is nobody's business.
    api.delete(&format!("/playground/records/{stranger}")).await;
    api.publish(&zone, "far", "TXT", "written meanwhile", None).await;
    let applied = api.post(&format!("{path}/apply"), &playground()).await;
    assert_eq!((text(&applied, "state"), &applied["error"]), ("applied", &Value::Null));
    platform.stop().await;
}

#[tokio::test]
async fn the_page_shows_the_diff_writes_it_and_takes_it_back() {
    let platform = Platform::start().await;
    let api = &platform.api;
    let zone = api.zone("acme.test").await;
    let domain = api.post("/domains", &json!({"domain": "mail.acme.test"})).await;
    let http =
        reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    // Forms without a script.
    let send = async |path: &str| {
        let form = http
            .post(format!("{}{path}", api.base))
            .header("content-type", "application/x-www-form-urlencoded")
            .body("");
        let answer = form.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 303, "{path}");
        answer.headers()["location"].to_str().unwrap().to_owned()
    };
    let read = async |path: &str| api.plain(path).await.text().await.unwrap();
    let set = send(&format!("/domains/{}/change-sets", text(&domain, "id"))).await;
    let page = read(&set).await;
    assert!(page.contains("6 changes in acme.test") && page.contains("Write this"), "{page}");
    assert!(!page.contains("Take it back"), "{page}");
    assert_eq!(send(&format!("{set}/apply")).await, set);
    let page = read(&set).await;
    assert!(
        page.contains("Written") && page.contains("Take it back") && !page.contains("Write this"),
        "{page}"
    );
    assert_eq!(lines(api, &zone).await.len(), 6);
    let back = send(&format!("{set}/undo")).await;
    assert!(read(&back).await.contains("Taking back changes in acme.test"));
    assert_eq!(send(&format!("{back}/apply")).await, back);
    assert_eq!(lines(api, &zone).await, Vec::<String>::new());
    assert!(read(&set).await.contains("Taken back"));
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_shows_and_writes() {
    let platform = Platform::start().await;
    let zone = platform.api.zone("acme.test").await;
    platform.api.post("/domains", &json!({"domain": "mail.acme.test"})).await;
    let terminal = Terminal::of(&platform);
    let planned = terminal.good(&["domains", "publish", "mail.acme.test", "--host", "playground"]).await;
    assert!(planned.contains("6 changes in acme.test") && planned.contains("Add --yes"), "{planned}");
    assert_eq!(lines(&platform.api, &zone).await, Vec::<String>::new());
    let written =
        terminal.good(&["domains", "publish", "mail.acme.test", "--host", "playground", "--yes"]).await;
    assert!(written.contains(" applied"), "{written}");
    assert_eq!(lines(&platform.api, &zone).await.len(), 6);
    let list = terminal.good(&["change-sets", "list", "mail.acme.test"]).await;
    let id =
        list.lines().find(|line| line.contains("applied")).unwrap().split(' ').next().unwrap().to_owned();
    assert!(terminal.good(&["change-sets", "show", &id]).await.contains("+ CNAME"));
    terminal.good(&["change-sets", "undo", &id, "--host", "playground", "--yes"]).await;
    assert_eq!(lines(&platform.api, &zone).await, Vec::<String>::new());
    platform.stop().await;
}

/// A host that dies once it has written so many batches.
pub struct Dying {
    pub host: Arc<Mutex<ModelHost>>,
    pub dies_after: AtomicUsize,
}

pub fn capabilities() -> Capabilities {
    const TYPES: &[RecordType] = &[RecordType::Cname, RecordType::Mx, RecordType::Txt];
    Capabilities {
        grain: Grain::Record,
        atomic: Atomic::Each,
        ttl: (60, 86_400),
        set_ttl: false,
        proxies: false,
        types: TYPES,
        text_max: 2_000,
        set_text_max: 8_000,
    }
}

impl ZoneProvider for Dying {
    fn capabilities(&self) -> Capabilities {
        capabilities()
    }

    fn find_zone<'a>(
        &'a self,
        _name: &'a DomainName,
        _told: Option<&'a DomainName>,
    ) -> Later<'a, Result<ZoneHandle, HostError>> {
        Box::pin(async { Ok(self.host.lock().unwrap().list().handle) })
    }

    fn list<'a>(
        &'a self,
        _zone: &'a ZoneHandle,
        _names: &'a BTreeSet<DomainName>,
    ) -> Later<'a, Result<Zone, HostError>> {
        Box::pin(async { Ok(self.host.lock().unwrap().list()) })
    }

    fn write<'a>(
        &'a self,
        _zone: &'a ZoneHandle,
        batch: &'a Batch,
    ) -> Later<'a, Result<Vec<Written>, WriteError>> {
        Box::pin(async {
            let written = self.host.lock().unwrap().write(batch);
            assert!(self.dies_after.fetch_sub(1, Ordering::Relaxed) > 1, "the process dies here");
            written
        })
    }
}

#[tokio::test]
async fn what_dies_half_way_is_gone_on_with() {
    let platform = Platform::start_with(|config| config.lease_seconds = 4).await;
    let api = &platform.api;
    let domain = api.post("/domains", &json!({"domain": "mail.acme.test"})).await;
    let id: DomainId = text(&domain, "id").parse().unwrap();
    let apex = DomainName::parse("acme.test").unwrap();
    let app = &platform.instance.app;
    let caller = Caller::owner(app.first_organisation("one").await.unwrap().0);
    let spf = RecordData::Txt(TxtData::from_text("v=spf1 mx -all"));
    let owner = DomainName::parse("mail.acme.test").unwrap();
    let foreign = ZoneRecord::plain(Record { owner, ttl: 300, data: spf });
    let host = Arc::new(Mutex::new(ModelHost::new(apex, capabilities(), vec![foreign])));
    let at = |batches| {
        let dying = Dying { host: Arc::clone(&host), dies_after: AtomicUsize::new(batches) };
        Opened::at_hand("model", Arc::new(dying))
    };
    let credential = Credential::playground();
    let request = PlanChanges { credential, purpose: ChangePurpose::Setup, apply: false, keep: None };
    let set = app.plan_changes_with(&caller, id, &request, at(99)).await.unwrap().remove(0);
    let steps = set.plan.steps.len();
    assert!(steps >= 5, "{set:?}");
    let set_id: ChangeSetId = set.stored.id;
    let dead = app.apply_change_set_with(&caller, set.stored, at(2)).await;
    assert!(dead.is_err(), "{dead:?}");
    let half = app.change_set(&caller, set_id).await.unwrap();
    assert_eq!((half.stored.state, half.done.len()), (ChangeState::Applying, 1), "the second was not told");
    let busy = app.apply_change_set_with(&caller, half.stored.clone(), at(99)).await;
    assert!(
        matches!(busy, Err(app::Error::ChangeSetNotApplicable(_))),
        "the dead one holds the zone: {busy:?}"
    );

    let deadline = Instant::now() + Duration::from_secs(20);
    let whole = loop {
        match app.apply_change_set_with(&caller, half.stored.clone(), at(99)).await {
            Ok(view) => break view,
            Err(app::Error::ChangeSetNotApplicable(_)) => assert!(Instant::now() < deadline),
            Err(error) => panic!("{error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!((whole.stored.state, whole.done.len(), &whole.stop), (ChangeState::Applied, steps, &None));
    let zone = host.lock().unwrap().list();
    for step in &whole.plan.steps {
        let new = step.action.after().unwrap();
        let same = zone.records.iter().filter(|one| one.record == *new).count();
        assert_eq!(same, 1, "{new:?}");
    }
    assert_eq!(zone.records.len(), steps, "one of them took the place of the SPF record that was there");
    let again = app.plan_changes_with(&caller, id, &request, at(99)).await.unwrap().remove(0);
    assert_eq!(again.plan.steps, [], "all of it is known");
    let cleanup = PlanChanges { purpose: ChangePurpose::Cleanup, apply: true, ..request };
    app.plan_changes_with(&caller, id, &cleanup, at(99)).await.unwrap();
    let left = host.lock().unwrap().list().records;
    assert_eq!(left.len(), 1, "what the dead one wrote is ours too: {left:?}");
    assert_eq!(left[0].record.data.text().unwrap(), "v=spf1 mx -all");
    platform.stop().await;
}

#[tokio::test]
async fn an_unknown_host_and_fields_too_many_are_told_without_the_secret() {
    let platform = Platform::start().await;
    let api = &platform.api;
    api.zone("acme.test").await;
    let domain = api.post("/domains", &json!({"domain": "mail.acme.test"})).await;
    let path = format!("/domains/{}/change-sets", text(&domain, "id"));
    for body in [
        json!({"host": "no-such-host", "credential": {"token": "marker-7f3a"}}),
        json!({"host": "playground", "credential": {"token": "marker-7f3a"}}),
        json!({"host": "playground", "credential": "marker-7f3a"}),
        json!({"host": "playground", "credential": {"token": ["marker-7f3a"]}}),
        json!({"host": "playground", "purpose": "undo"}),
    ] {
        let (status, refused) = api.refused(&path, &body).await;
        assert!(matches!(status.as_u16(), 400 | 422), "{body}: {refused:#}");
        assert!(!refused.to_string().contains("marker-7f3a"), "{refused:#}");
    }
    let other = api.post("/domains", &json!({"domain": "mail.nowhere.test"})).await;
    let path = format!("/domains/{}/change-sets", text(&other, "id"));
    let (status, refused) = api.refused(&path, &playground()).await;
    assert_eq!((status.as_u16(), text(&refused, "code")), (422, "HOST_ZONE_NOT_FOUND"), "{refused:#}");
    platform.stop().await;
}
