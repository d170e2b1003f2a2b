//! Hosts that die, are slow, or change while they are read: what is ours stays known, and nobody's writing is lost.

use crate::{
    change_sets::{Dying, capabilities},
    support::{Platform, text},
};
use app::{
    Error,
    access::Caller,
    change_sets::{Credential, PlanChanges},
    dns_connections::Opened,
    idempotency::Reserved,
    publish::{
        Batch, Capabilities, Grain, HostError, Later, Refusal, WriteError, Written, Zone, ZoneHandle,
        ZoneProvider, ZoneRecord, model_host::ModelHost,
    },
    store::{ChangePurpose, ChangeState},
};
use model::{DomainId, DomainName, Record, RecordData, TxtData};
use serde_json::json;
use std::{
    collections::BTreeSet,
    pin::Pin,
    sync::{Arc, Mutex, atomic::AtomicUsize},
    time::{Duration, Instant},
};

type Shared = Arc<Mutex<ModelHost>>;
type Meanwhile = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A host with its own ways.
struct Unruly {
    model: Shared,
    grain: Grain,
    lists: bool,
    /// How long it takes to write.
    slow: Duration,
    /// What happens between a listing and its answer, once.
    meanwhile: Mutex<Option<Meanwhile>>,
}

impl Unruly {
    fn new(model: &Shared) -> Self {
        let model = Arc::clone(model);
        Self { model, grain: Grain::Record, lists: true, slow: Duration::ZERO, meanwhile: Mutex::new(None) }
    }

    fn open(self) -> Opened {
        Opened::at_hand("model", Arc::new(self))
    }
}

impl ZoneProvider for Unruly {
    fn capabilities(&self) -> Capabilities {
        Capabilities { grain: self.grain, ..capabilities() }
    }

    fn find_zone<'a>(
        &'a self,
        _name: &'a DomainName,
        _told: Option<&'a DomainName>,
    ) -> Later<'a, Result<ZoneHandle, HostError>> {
        Box::pin(async { Ok(self.model.lock().unwrap().list().handle) })
    }

    fn list<'a>(
        &'a self,
        _zone: &'a ZoneHandle,
        _names: &'a BTreeSet<DomainName>,
    ) -> Later<'a, Result<Zone, HostError>> {
        Box::pin(async {
            if !self.lists {
                return Err(HostError::bare(Refusal::Unreachable));
            }
            let zone = self.model.lock().unwrap().list();
            let meanwhile = self.meanwhile.lock().unwrap().take();
            if let Some(meanwhile) = meanwhile {
                meanwhile.await;
            }
            Ok(zone)
        })
    }

    fn write<'a>(
        &'a self,
        _zone: &'a ZoneHandle,
        batch: &'a Batch,
    ) -> Later<'a, Result<Vec<Written>, WriteError>> {
        Box::pin(async {
            tokio::time::sleep(self.slow).await;
            self.model.lock().unwrap().write(batch)
        })
    }
}

fn name(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

fn model(grain: Grain) -> Shared {
    let owner = name("mail.acme.test");
    let spf = RecordData::Txt(TxtData::from_text("v=spf1 mx -all"));
    let foreign = ZoneRecord::plain(Record { owner, ttl: 300, data: spf });
    let capabilities = Capabilities { grain, ..capabilities() };
    Arc::new(Mutex::new(ModelHost::new(name("acme.test"), capabilities, vec![foreign])))
}

fn request(purpose: ChangePurpose, apply: bool) -> PlanChanges {
    PlanChanges { credential: Credential::playground(), purpose, apply, keep: None }
}

async fn added(platform: &Platform, name: &str) -> DomainId {
    let domain = platform.api.post("/domains", &json!({"domain": name})).await;
    text(&domain, "id").parse().unwrap()
}

async fn owner(platform: &Platform) -> Caller {
    Caller::owner(platform.instance.app.first_organisation("one").await.unwrap().0)
}

#[tokio::test]
async fn what_nobody_knows_to_be_written_is_not_forgotten() {
    let platform = Platform::start_with(|config| config.lease_seconds = 4).await;
    let (app, caller) = (&platform.instance.app, owner(&platform).await);
    let id = added(&platform, "mail.acme.test").await;
    let host = model(Grain::Record);
    let plan = request(ChangePurpose::Setup, false);
    let set = app.plan_changes_with(&caller, id, &plan, Unruly::new(&host).open()).await.unwrap().remove(0);
    // The second write comes through, and nobody hears of it.
    let dying = Dying { host: Arc::clone(&host), dies_after: AtomicUsize::new(2) };
    let dead =
        app.apply_change_set_with(&caller, set.stored.clone(), Opened::at_hand("model", Arc::new(dying)));
    assert!(dead.await.is_err());
    assert!(host.lock().unwrap().list().records.len() >= 3);
    let deadline = Instant::now() + crate::support::PATIENCE;
    let unseen = loop {
        let silent = Unruly { lists: false, ..Unruly::new(&host) }.open();
        match app.apply_change_set_with(&caller, set.stored.clone(), silent).await {
            Err(Error::ChangeSetNotApplicable(_)) => assert!(Instant::now() < deadline),
            other => break other.unwrap(),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(unseen.stored.state, ChangeState::Unknown, "{:?}", unseen.stop);
    let cleanup = request(ChangePurpose::Cleanup, true);
    app.plan_changes_with(&caller, id, &cleanup, Unruly::new(&host).open()).await.unwrap();
    let left = host.lock().unwrap().list().records;
    assert_eq!(left.len(), 1, "what the dead one wrote is ours: {left:?}");
    platform.stop().await;
}

#[tokio::test]
async fn what_another_wrote_since_it_was_listed_is_seen() {
    let platform = Platform::start().await;
    let (app, caller) = (Arc::clone(&platform.instance.app), owner(&platform).await);
    let (one, two) = (added(&platform, "mail.acme.test").await, added(&platform, "shop.acme.test").await);
    // It takes the zone as a whole: who writes what was listed before undoes the other.
    let host = model(Grain::Zone);
    let (others, as_caller, of_others) = (Arc::clone(&app), caller.clone(), Arc::clone(&host));
    let meanwhile: Meanwhile = Box::pin(async move {
        let opened = Unruly { grain: Grain::Zone, ..Unruly::new(&of_others) }.open();
        let setup = request(ChangePurpose::Setup, true);
        others.plan_changes_with(&as_caller, two, &setup, opened).await.unwrap();
    });
    let opened = Unruly { grain: Grain::Zone, meanwhile: Mutex::new(Some(meanwhile)), ..Unruly::new(&host) };
    let setup = request(ChangePurpose::Setup, true);
    let late = app.plan_changes_with(&caller, one, &setup, opened.open()).await.unwrap().remove(0);
    assert_eq!(late.stored.state, ChangeState::Refused, "{:?}", late.stop);
    let of_two = |record: &ZoneRecord| record.record.owner.is_at_or_below(&name("shop.acme.test"));
    let there = host.lock().unwrap().list().records;
    assert!(there.iter().filter(|record| of_two(record)).count() >= 4, "{there:?}");
    // And a listing that nobody wrote after is good: one is enough.
    let again = Unruly { grain: Grain::Zone, ..Unruly::new(&host) };
    let again = app.plan_changes_with(&caller, one, &setup, again.open()).await.unwrap().remove(0);
    assert_eq!(again.stored.state, ChangeState::Applied, "{:?}", again.stop);
    platform.stop().await;
}

#[tokio::test]
async fn a_server_of_somebodys_own_keeps_nobody_from_the_real_zone() {
    let platform = Platform::start().await;
    let (app, caller) = (Arc::clone(&platform.instance.app), owner(&platform).await);
    platform.api.zone("acme.test").await;
    let (one, two) = (added(&platform, "mail.acme.test").await, added(&platform, "shop.acme.test").await);
    // One says that it has the zone, and takes its time.
    let host = model(Grain::Record);
    let slow = Unruly { slow: Duration::from_secs(20), ..Unruly::new(&host) }.open();
    let held = tokio::spawn({
        let (app, caller) = (Arc::clone(&app), caller.clone());
        async move { app.plan_changes_with(&caller, one, &request(ChangePurpose::Setup, true), slow).await }
    });
    let path = format!("/domains/{one}/change-sets");
    platform.api.until(&path, |list| list["data"][0]["state"] == "applying").await;
    let write = json!({"host": "playground", "apply": true});
    let written = platform.api.post(&format!("/domains/{two}/change-sets"), &write).await;
    assert_eq!(text(&written["data"][0], "state"), "applied", "{written:#}");
    held.abort();
    platform.stop().await;
}

#[tokio::test]
async fn a_write_that_takes_long_is_shown_to_whoever_began_it() {
    let platform = Platform::start_with(|config| config.lease_seconds = 4).await;
    let (app, caller) = (&platform.instance.app, owner(&platform).await);
    let id = added(&platform, "mail.acme.test").await;
    // As behind a setup link: they see no list of change sets.
    let visitor = Caller { allowed_domain_ids: Some(Arc::from([id])), ..caller.clone() };
    let host = model(Grain::Record);
    let slow = Unruly { slow: Duration::from_millis(1_200), ..Unruly::new(&host) }.open();
    let setup = request(ChangePurpose::Setup, true);
    let begun = app.plan_changes_with(&visitor, id, &setup, slow).await.unwrap().remove(0);
    assert_eq!(begun.stored.state, ChangeState::Applying);
    let path = format!("/change-sets/{}", begun.stored.id);
    platform.api.until(&path, |set| set["state"] == "applied").await;
    platform.stop().await;
}

#[tokio::test]
async fn a_repeat_goes_on_with_what_was_planned() {
    let platform = Platform::start().await;
    let (app, caller) = (&platform.instance.app, owner(&platform).await);
    let id = added(&platform, "mail.acme.test").await;
    let host = model(Grain::Record);
    let number = model::RequestId::from_parts(1_750_000_000_000, 7);
    let sent = |is_repeat| Caller { reserved: Some(Reserved { number, is_repeat }), ..caller.clone() };
    // It died between the plan and the first write.
    let (planned, whole) = (request(ChangePurpose::Setup, false), request(ChangePurpose::Setup, true));
    let opened = || Unruly::new(&host).open();
    let first = app.plan_changes_with(&sent(false), id, &planned, opened()).await.unwrap().remove(0);
    let again = app.plan_changes_with(&sent(true), id, &whole, opened()).await.unwrap();
    assert_eq!(again.len(), 1);
    assert_eq!((again[0].stored.id, again[0].stored.state), (first.stored.id, ChangeState::Applied));
    let there = host.lock().unwrap().list().records.len();
    // And once more, when all of it is written.
    let third = app.plan_changes_with(&sent(true), id, &whole, opened()).await.unwrap();
    assert_eq!(third[0].stored.state, ChangeState::Applied);
    assert_eq!(host.lock().unwrap().list().records.len(), there);
    platform.stop().await;
}

#[tokio::test]
async fn nothing_is_written_for_a_domain_that_was_switched_off_meanwhile() {
    let platform = Platform::start().await;
    let api = &platform.api;
    let zone = api.zone("acme.test").await;
    let path = format!("/domains/{}", added(&platform, "mail.acme.test").await);
    let playground = json!({"host": "playground"});
    let set = api.post(&format!("{path}/change-sets"), &playground).await["data"][0].clone();
    let apply = format!("/change-sets/{}/apply", text(&set, "id"));
    api.post(&format!("{path}/disable"), &json!({})).await;
    let (_, refused) = api.refused(&apply, &playground).await;
    assert_eq!(text(&refused, "code"), "DOMAIN_DISABLED", "{refused:#}");
    assert_eq!(api.get(&format!("/playground/zones/{zone}")).await["records"], json!([]));
    api.post(&format!("{path}/enable"), &json!({})).await;
    let applied = api.post(&apply, &playground).await;
    assert_eq!(text(&applied, "state"), "applied");
    // What is there can be taken back all the same.
    api.post(&format!("{path}/disable"), &json!({})).await;
    let undo = json!({"host": "playground", "apply": true});
    let undone = api.post(&format!("/change-sets/{}/undo", text(&set, "id")), &undo).await;
    assert_eq!(text(&undone, "state"), "applied", "{undone:#}");
    assert_eq!(api.get(&format!("/playground/zones/{zone}")).await["records"], json!([]));
    platform.stop().await;
}
