//! What became of mail, and the pause where too much came back.

use crate::seed::{
    at, domain, event, message_id, new_domain, new_key, new_message, next, organisation, suppression_id,
    tenant_id, to,
};
use model::{DomainId, MessageId, TenantId};
use store::{
    Became, ClaimedDelivery, DeliveryClaim, DeliveryResult, DeliveryState, Domain, KeySource, NewDomain,
    Pause, PauseCause, SendingCounts, Store, StoreError, Suppression, Switch,
};

/// The day of the seed's clock.
const TODAY: i64 = 1_750_000_000 / 86_400;

const DAY: i64 = 86_400_000;

/// A message of one recipient that became this.
async fn send(
    store: &Store,
    from: &Domain,
    tenant: Option<TenantId>,
    became: Option<Became>,
    when: i64,
) -> MessageId {
    let message = store::NewMessage { id: message_id(), tenant_id: tenant, ..new_message(from) };
    store.accept_message(&message, &[to("r@example.net")], &[]).await.unwrap();
    let claimed = store.claim_deliveries(at(0), "a", at(1), 1).await.unwrap().remove(0);
    let is_taken = matches!(became, Some(Became::Delivered));
    let result = DeliveryResult {
        message_id: message.id,
        recipient: claimed.recipient,
        owner: "a".into(),
        epoch: claimed.epoch,
        state: if is_taken { DeliveryState::Delivered } else { DeliveryState::Failed },
        code: None,
        reply: String::new(),
        remote: None,
        next_attempt_at: None,
        at: at(when),
        became,
    };
    store.finish_delivery(&result, &[]).await.unwrap();
    message.id
}

fn counts(delivered: u64, bounced: u64, refused: u64, complained: u64) -> SendingCounts {
    SendingCounts { delivered, bounced, refused, complained }
}

fn pause(reason: &str, when: i64, cause: PauseCause) -> Pause {
    Pause { at: at(when), reason: reason.into(), cause }
}

async fn judged(store: &Store, id: DomainId) -> SendingCounts {
    store.judged_of_domain(id, TODAY - 6).await.unwrap()
}

pub async fn what_became_of_mail_is_counted_by_domain_tenant_and_day(store: &Store) {
    let org = organisation(store).await;
    let (one, two) = (domain(store, org, "one.example").await, domain(store, org, "two.example").await);
    let (ours, theirs) = (tenant_id(), tenant_id());
    send(store, &one, Some(ours), Some(Became::Delivered), 1).await;
    send(store, &one, Some(ours), Some(Became::Delivered), -DAY).await;
    send(store, &one, Some(ours), Some(Became::Bounced), 2).await;
    send(store, &one, Some(ours), Some(Became::Refused), 3).await;
    // Given up by us: nothing of it is counted.
    send(store, &one, Some(ours), None, 3).await;
    send(store, &one, Some(ours), Some(Became::Bounced), -7 * DAY).await;
    send(store, &two, Some(ours), Some(Became::Bounced), 4).await;
    send(store, &two, Some(theirs), Some(Became::Bounced), 5).await;
    send(store, &two, None, Some(Became::Bounced), 5).await;
    assert_eq!(judged(store, one.id).await, counts(2, 1, 1, 0), "of seven days");
    assert_eq!(judged(store, two.id).await, counts(0, 3, 0, 0));
    let of_tenant = async |tenant| store.judged_of_tenant(org, tenant, TODAY - 6).await.unwrap();
    assert_eq!((of_tenant(ours).await, of_tenant(theirs).await), (counts(2, 2, 1, 0), counts(0, 1, 0, 0)));
    assert_eq!(of_tenant(tenant_id()).await, counts(0, 0, 0, 0));
    let days = store.sending_of_domain(one.id, TODAY - 6).await.unwrap();
    let seen: Vec<_> = days.iter().map(|day| (day.day - TODAY, day.counts)).collect();
    assert_eq!(seen, [(0, counts(1, 1, 1, 0)), (-1, counts(1, 0, 0, 0))]);
    // Deleting a domain takes nothing off its tenant.
    store.delete_domain(org, two.id, at(9), &[]).await.unwrap();
    assert_eq!(of_tenant(ours).await, counts(2, 2, 1, 0));
    assert_eq!(store.sending_of_tenant(org, ours, TODAY - 6).await.unwrap().len(), 2);
    let sending = store.sending_domains_of_tenant(org, ours, TODAY - 6, None, 9).await.unwrap();
    assert_eq!(sending, [(one.id, one.name.clone())]);
    assert_eq!(store.delete_sending_days_before(TODAY - 6, 9).await.unwrap(), 1);
    assert_eq!(store.delete_sending_days_before(TODAY - 6, 9).await.unwrap(), 0);
    assert_eq!(judged(store, one.id).await, counts(2, 1, 1, 0));
}

pub async fn who_is_resumed_is_judged_anew(store: &Store) {
    let org = organisation(store).await;
    let ours = tenant_id();
    let one = domain(store, org, "one.example").await;
    send(store, &one, Some(ours), Some(Became::Bounced), 1).await;
    let because = pause("because", 5, PauseCause::Tenant);
    assert!(store.pause_sending(one.id, &because, &[]).await.unwrap());
    let again = pause("again", 6, PauseCause::Domain);
    assert!(!store.pause_sending(one.id, &again, &[]).await.unwrap(), "it is paused already");
    let paused = store.get_domain(org, one.id).await.unwrap();
    assert_eq!(paused.paused, Some(because));
    assert!(paused.version > one.version);
    let told = [event(org, "domain.resumed", &one.id)];
    let resumed = store.resume_sending(org, one.id, at(6), &told).await.unwrap();
    assert_eq!(resumed.paused, None);
    // It is judged anew all the same, and nothing happened that anybody follows.
    let once_more = [event(org, "domain.resumed", &one.id)];
    store.resume_sending(org, one.id, at(6), &once_more).await.unwrap();
    let events = store.list_events_for_subject(org, &one.id.to_string(), 9).await.unwrap();
    assert_eq!(events.iter().filter(|event| event.event_type == "domain.resumed").count(), 1);
    assert_eq!(judged(store, one.id).await, counts(0, 0, 0, 0));
    send(store, &one, Some(ours), Some(Became::Delivered), 7).await;
    assert_eq!(judged(store, one.id).await, counts(1, 0, 0, 0));
    assert_eq!(store.judged_of_tenant(org, ours, TODAY).await.unwrap(), counts(1, 0, 0, 0));
    let days = store.sending_of_domain(one.id, TODAY).await.unwrap();
    assert_eq!(days[0].counts, counts(1, 1, 0, 0), "what is shown of a day is all of it");
    let elsewhere = store.resume_sending(organisation(store).await, one.id, at(8), &[]).await;
    assert!(matches!(elsewhere, Err(StoreError::NotFound(_))), "{elsewhere:?}");
}

pub async fn a_tenant_is_resumed_with_all_its_domains(store: &Store) {
    let org = organisation(store).await;
    let ours = tenant_id();
    let of_tenant = async |name: &str| {
        let new = NewDomain { tenant_id: Some(ours), ..new_domain(org, name) };
        let key = new_key(&format!("s{}", next()));
        store.create_domain(&new, KeySource::Given(vec![key]), &[]).await.unwrap().0
    };
    let mut all = Vec::new();
    for name in ["one.example", "two.example", "three.example"] {
        all.push(of_tenant(name).await);
    }
    // Paused when nothing of it is in the window any more.
    for domain in &all {
        send(store, domain, Some(ours), Some(Became::Bounced), -8 * DAY).await;
        store.pause_sending(domain.id, &pause("x", 1, PauseCause::Tenant), &[]).await.unwrap();
    }
    let gone = of_tenant("gone.example").await;
    send(store, &gone, Some(ours), Some(Became::Bounced), 1).await;
    store.delete_domain(org, gone.id, at(2), &[]).await.unwrap();
    let of_others = domain(store, org, "other.example").await;
    store.pause_sending(of_others.id, &pause("x", 1, PauseCause::Domain), &[]).await.unwrap();

    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = store.paused_domains_of_tenant(org, ours, TODAY - 6, after, 2).await.unwrap();
        let Some((last, _)) = page.last() else { break };
        assert!(page.len() <= 2);
        after = Some(*last);
        found.extend(page.into_iter().map(|(id, _)| id));
    }
    let mut wanted: Vec<_> = all.iter().map(|domain| domain.id).collect();
    wanted.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, wanted);
    assert_eq!(store.judged_of_tenant(org, ours, TODAY - 6).await.unwrap(), counts(0, 1, 0, 0));
    store.judge_tenant_anew(org, ours, TODAY - 6, &[]).await.unwrap();
    assert_eq!(store.judged_of_tenant(org, ours, TODAY - 6).await.unwrap(), counts(0, 0, 0, 0));
}

/// The delivery that is due then, claimed.
async fn due(store: &Store, when: i64) -> Option<ClaimedDelivery> {
    store.claim_deliveries(at(when), "a", at(when + 1), 1).await.unwrap().pop()
}

pub async fn what_is_held_waits_until_its_domain_goes_on(store: &Store) {
    const HOUR: i64 = 3_600_000;
    let org = organisation(store).await;
    let one = domain(store, org, "one.example").await;
    let message = new_message(&one);
    store.accept_message(&message, &[to("r@example.net")], &[]).await.unwrap();
    let hold = async |claimed: &ClaimedDelivery, until: i64| {
        let recipient = &claimed.recipient;
        let claim = DeliveryClaim { message_id: message.id, recipient, owner: "a", epoch: claimed.epoch };
        store.hold_delivery(claim, one.id, "it is paused", at(until)).await.unwrap()
    };
    let claimed = due(store, 0).await.unwrap();
    store.pause_sending(one.id, &pause("x", 1, PauseCause::Domain), &[]).await.unwrap();
    assert!(hold(&claimed, HOUR).await);
    assert!(!hold(&claimed, HOUR).await, "it was given back");
    assert!(due(store, HOUR - 1).await.is_none());
    store.resume_sending(org, one.id, at(9), &[]).await.unwrap();
    let woken = due(store, 9).await.unwrap();
    assert_eq!(woken.attempts, 0);
    // It goes on already.
    assert!(hold(&woken, HOUR).await);
    let disabled = due(store, 10).await.unwrap();
    let off = Switch::Off { reason: None };
    store.switch_domain(org, one.id, &off, &[]).await.unwrap();
    assert!(hold(&disabled, HOUR).await);
    assert!(due(store, HOUR - 1).await.is_none());
    let on = Switch::On { now: at(20), fails_at: at(30) };
    store.switch_domain(org, one.id, &on, &[]).await.unwrap();
    assert_eq!(due(store, 20).await.unwrap().attempts, 0);
    let visible = store::Visible::all_of(org);
    let (_, deliveries, attempts) = store.get_message(&visible, message.id).await.unwrap();
    assert_eq!((deliveries[0].state, attempts.len()), (DeliveryState::Queued, 0));
    assert_eq!(deliveries[0].last_reply.as_deref(), Some("it is paused"));
}

pub async fn a_complaint_is_counted_once_and_suppresses(store: &Store) {
    let org = organisation(store).await;
    let ours = tenant_id();
    let one = domain(store, org, "one.example").await;
    let taken = send(store, &one, Some(ours), Some(Became::Delivered), 1).await;
    let failed = send(store, &one, Some(ours), Some(Became::Bounced), 1).await;
    let recipient = "r@example.net".parse().unwrap();
    let suppression = |ms| Suppression {
        id: suppression_id(),
        org_id: org,
        tenant_id: Some(ours),
        address: "r@example.net".into(),
        reason: "complaint".into(),
        created_at: at(ms),
    };
    let complain = async |id, ms| store.complain(id, &recipient, &suppression(ms), &[]).await;
    assert_eq!(complain(taken, 5).await.unwrap(), (at(5), true));
    assert_eq!(complain(taken, 9).await.unwrap(), (at(5), false));
    assert!(matches!(complain(failed, 9).await, Err(StoreError::NotFound(_))));
    assert!(matches!(complain(message_id(), 9).await, Err(StoreError::NotFound(_))));
    assert_eq!(judged(store, one.id).await, counts(1, 1, 0, 1));
    let message = store::NewMessage { id: message_id(), tenant_id: Some(ours), ..new_message(&one) };
    let again = store.accept_message(&message, &[to("r@example.net")], &[]).await;
    assert!(matches!(again, Err(StoreError::Suppressed(_))), "{again:?}");
}
