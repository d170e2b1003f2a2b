//! Webhooks: who gets a delivery of what, claims that count once, and what is begun anew.

use crate::seed::{
    at, domain, event, new_message, organisation, tenant_id, to, webhook_delivery_id, webhook_id,
};
use model::{OrgId, TenantId, WebhookId};
use store::{
    ClaimedWebhookDelivery, Disable, Hidden, NewEvent, NewMessage, Replay, Store, StoreError, Tenant,
    Visible, Webhook, WebhookAttempt, WebhookDeliveryState as State, WebhookResult, WebhookStatus,
};

fn webhook(org_id: OrgId, tenant_id: Option<TenantId>, types: &[&str]) -> Webhook {
    Webhook {
        id: webhook_id(),
        org_id,
        tenant_id,
        url: "https://example.com/x".into(),
        description: String::new(),
        event_types: types.iter().map(|&word| word.to_owned()).collect(),
        status: WebhookStatus::Enabled,
        disabled_reason: None,
        created_at: at(0),
        updated_at: at(0),
        failing_since: None,
        delivered_at: None,
        old_secret_until: None,
        secret: Hidden::from(&b"sealed"[..]),
        old_secret: None,
    }
}

pub async fn add(store: &Store, org_id: OrgId, types: &[&str]) -> Webhook {
    let new = webhook(org_id, None, types);
    store.insert_webhook(&new, 10, &[]).await.unwrap();
    new
}

pub async fn happen(store: &Store, events: &[NewEvent]) {
    store.add_events(events).await.unwrap();
    while store.number_events(2, at(0), &mut webhook_delivery_id).await.unwrap() > 0 {}
}

pub async fn types_of(store: &Store, id: WebhookId) -> Vec<String> {
    let listed = store.list_webhook_deliveries(id, None, None, 100).await.unwrap();
    let mut types: Vec<_> = listed.into_iter().map(|delivery| delivery.event_type).collect();
    types.sort();
    types
}

pub fn result(claimed: &ClaimedWebhookDelivery, owner: &str, state: State) -> WebhookResult {
    let is_good = state == State::Delivered;
    WebhookResult {
        id: claimed.id,
        webhook_id: claimed.webhook.id,
        owner: owner.into(),
        epoch: claimed.epoch,
        state,
        next_attempt_at: (state == State::Waiting).then(|| at(5_000)),
        attempt: WebhookAttempt {
            attempt: 0,
            at: at(100),
            status: Some(if is_good { 200 } else { 500 }),
            millis: 7,
            error: (!is_good).then(|| "answered 500".into()),
            answer: "said".into(),
        },
        disable: None,
    }
}

pub async fn deliveries_are_made_for_those_who_want_them(store: &Store) {
    let (org, other) = (organisation(store).await, organisation(store).await);
    let tenant = Tenant { id: tenant_id(), org_id: org, reference: "t".into(), created_at: at(0) };
    store.find_or_create_tenant(&tenant, &[]).await.unwrap();
    let all = add(store, org, &[]).await;
    let some = add(store, org, &["domain.*", "email.bounced"]).await;
    let foreign = add(store, other, &[]).await;
    let of_tenant = webhook(org, Some(tenant.id), &[]);
    store.insert_webhook(&of_tenant, 10, &[]).await.unwrap();
    let off = add(store, org, &[]).await;
    let disabled = Webhook { status: WebhookStatus::Disabled, updated_at: at(1), ..off.clone() };
    store.update_webhook(&disabled, at(0), &[]).await.unwrap();
    assert!(matches!(store.update_webhook(&disabled, at(0), &[]).await, Err(StoreError::StaleVersion)));

    // Two events are about webhooks: the tenant's belongs to the tenant.
    let events = [
        event(org, "domain.created", &1),
        event(org, "email.accepted", &2),
        event(org, "email.bounced", &3),
        event(org, "webhook.disabled", &of_tenant.id),
        event(org, "webhook.disabled", &off.id),
    ];
    happen(store, &events).await;
    assert_eq!(types_of(store, all.id).await.len(), 5);
    assert_eq!(types_of(store, some.id).await, ["domain.created", "email.bounced"]);
    assert_eq!(types_of(store, of_tenant.id).await, ["webhook.disabled"]);
    assert!(types_of(store, foreign.id).await.is_empty());
    assert!(types_of(store, off.id).await.is_empty());

    let seen = |visible| async move {
        store
            .list_webhooks(&visible, None, 9)
            .await
            .unwrap()
            .into_iter()
            .map(|found| found.id)
            .collect::<Vec<_>>()
    };
    let everything = Visible::all_of(org);
    assert_eq!(seen(everything).await, [off.id, of_tenant.id, some.id, all.id]);
    let narrow = Visible { tenant_id: Some(tenant.id), ..everything };
    assert_eq!(seen(narrow).await, [of_tenant.id]);
    assert!(matches!(store.get_webhook(&narrow, all.id).await, Err(StoreError::NotFound(_))));
    assert_eq!(store.get_webhook(&narrow, of_tenant.id).await.unwrap(), of_tenant);
    let limited = Visible { of_key: Some(crate::seed::api_key_id()), ..everything };
    assert!(seen(limited).await.is_empty());
    assert!(seen(Visible { of_key: limited.of_key, ..narrow }).await.is_empty());
    let full = store.insert_webhook(&webhook(org, None, &[]), 4, &[]).await;
    assert!(matches!(full, Err(StoreError::LimitReached { what: "webhooks", limit: 4 })), "{full:?}");
}

pub async fn a_claim_is_fenced(store: &Store) {
    let org = organisation(store).await;
    let hook = add(store, org, &[]).await;
    happen(store, &[event(org, "domain.created", &1)]).await;
    let claim = |now, owner, until| async move {
        store.claim_webhook_deliveries(at(now), owner, at(until), 9, &[]).await.unwrap()
    };
    let first = claim(0, "one", 1_000).await.remove(0);
    assert_eq!((first.tries, first.epoch, first.event.event.event_type.as_str()), (0, 1, "domain.created"));
    assert!(claim(500, "two", 1_500).await.is_empty(), "it is leased");
    assert_eq!(store.next_webhook_delivery_due_at().await.unwrap(), Some(at(1_000)));
    // The lease is over, and the same node claims it again: what it began before counts no more.
    let second = claim(1_000, "one", 2_000).await.remove(0);
    assert_eq!(second.epoch, 2);
    let stale = store.finish_webhook_delivery(&result(&first, "one", State::Delivered), &[]).await;
    assert!(matches!(stale, Err(StoreError::StaleVersion)), "{stale:?}");
    let other = store.finish_webhook_delivery(&result(&second, "two", State::Delivered), &[]).await;
    assert!(matches!(other, Err(StoreError::StaleVersion)), "{other:?}");
    assert!(!store.finish_webhook_delivery(&result(&second, "one", State::Waiting), &[]).await.unwrap());
    assert_eq!(store.get_webhook(&Visible::all_of(org), hook.id).await.unwrap().failing_since, Some(at(100)));
    assert!(claim(4_999, "one", 9_000).await.is_empty());
    let third = claim(5_000, "two", 9_000).await.remove(0);
    assert_eq!((third.tries, third.webhook.failing_since), (1, Some(at(100))));
    store.finish_webhook_delivery(&result(&third, "two", State::Delivered), &[]).await.unwrap();
    let (stored, attempts) = store.get_webhook_delivery(third.id).await.unwrap();
    assert_eq!((stored.state, stored.attempts, stored.last_status), (State::Delivered, 2, Some(200)));
    let told: Vec<_> = attempts.iter().map(|attempt| (attempt.attempt, attempt.status)).collect();
    assert_eq!(told, [(1, Some(500)), (2, Some(200))]);
    assert_eq!(store.next_webhook_delivery_due_at().await.unwrap(), None);
    let hook = store.get_webhook(&Visible::all_of(org), hook.id).await.unwrap();
    assert_eq!((hook.failing_since, hook.delivered_at), (None, Some(at(100))));
}

pub async fn a_busy_webhook_is_passed_over(store: &Store) {
    let org = organisation(store).await;
    let slow = add(store, org, &["domain.*"]).await;
    let quick = add(store, org, &["email.*"]).await;
    let mut events: Vec<_> = (0..6).map(|n| event(org, "domain.created", &n)).collect();
    events.push(event(org, "email.accepted", &"x"));
    happen(store, &events).await;
    let claimed = store.claim_webhook_deliveries(at(0), "one", at(9), 3, &[slow.id]).await.unwrap();
    assert_eq!(claimed.iter().map(|claimed| claimed.webhook.id).collect::<Vec<_>>(), [quick.id]);
    // Parallel claimers never get the same one.
    let claimers: Vec<_> = (0..4)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                let owner = format!("node {n}");
                store.claim_webhook_deliveries(at(0), &owner, at(9), 3, &[]).await.unwrap()
            })
        })
        .collect();
    let mut ids = Vec::new();
    for claimer in claimers {
        ids.extend(claimer.await.unwrap().into_iter().map(|claimed| claimed.id));
    }
    assert_eq!((ids.len(), ids.iter().collect::<std::collections::HashSet<_>>().len()), (6, 6));
}

pub async fn a_webhook_that_was_reached_meanwhile_is_not_disabled(store: &Store) {
    let org = organisation(store).await;
    let hook = add(store, org, &["domain.*"]).await;
    let events: Vec<_> = (0..4).map(|n| event(org, "domain.created", &n)).collect();
    happen(store, &events).await;
    let claimed = store.claim_webhook_deliveries(at(0), "one", at(1_000), 9, &[]).await.unwrap();
    let now = async || store.get_webhook(&Visible::all_of(org), hook.id).await.unwrap();
    let finish = async |number: usize, state, disable| {
        let result = WebhookResult { disable, ..result(&claimed[number], "one", state) };
        store.finish_webhook_delivery(&result, &[]).await.unwrap()
    };
    finish(0, State::Failed, None).await;
    let failing_since = now().await.failing_since;
    assert_eq!(failing_since, Some(at(100)));
    // It is reached, while another delivery that saw it fail is under way.
    finish(1, State::Delivered, None).await;
    let stale = Some(Disable { reason: "over".into(), failing_since: Some(at(50)) });
    assert!(!finish(2, State::Failed, stale).await);
    assert_eq!(now().await.status, WebhookStatus::Enabled);
    let right = Some(Disable { reason: "over".into(), failing_since: now().await.failing_since });
    assert!(finish(3, State::Failed, right).await);
    assert_eq!(now().await.status, WebhookStatus::Disabled);
}

pub async fn a_disabled_webhook_gets_nothing_more(store: &Store) {
    let org = organisation(store).await;
    let hook = add(store, org, &["domain.*"]).await;
    let watcher = add(store, org, &["webhook.*"]).await;
    let events: Vec<_> = (0..3).map(|n| event(org, "domain.created", &n)).collect();
    happen(store, &events).await;
    let claimed = store.claim_webhook_deliveries(at(0), "one", at(1_000), 2, &[]).await.unwrap();
    let told = event(org, "webhook.disabled", &hook.id);
    let over = |failing_since| Some(Disable { reason: "over".into(), failing_since });
    let last = WebhookResult { disable: over(None), ..result(&claimed[0], "one", State::Failed) };
    assert!(store.finish_webhook_delivery(&last, std::slice::from_ref(&told)).await.unwrap());
    // The one that was under way is too late, and tells nothing twice.
    let late = WebhookResult { disable: over(None), ..result(&claimed[1], "one", State::Failed) };
    let late = store.finish_webhook_delivery(&late, std::slice::from_ref(&told)).await;
    assert!(matches!(late, Err(StoreError::StaleVersion)), "{late:?}");
    let waiting = store.list_webhook_deliveries(hook.id, Some(State::Waiting), None, 9).await.unwrap();
    assert!(waiting.is_empty());
    let stored = store.get_webhook(&Visible::all_of(org), hook.id).await.unwrap();
    assert_eq!((stored.status, stored.disabled_reason.as_deref()), (WebhookStatus::Disabled, Some("over")));
    happen(store, &[event(org, "domain.verified", &1)]).await;
    assert_eq!(types_of(store, hook.id).await.len(), 3, "nothing is kept for it");
    assert_eq!(types_of(store, watcher.id).await, ["webhook.disabled"]);

    store.delete_webhook(watcher.id, at(2_000), &[]).await.unwrap();
    assert!(matches!(store.delete_webhook(watcher.id, at(2_000), &[]).await, Err(StoreError::NotFound(_))));
    assert!(store.claim_webhook_deliveries(at(9_000), "one", at(9_999), 9, &[]).await.unwrap().is_empty());
    assert_eq!(store.list_webhooks(&Visible::all_of(org), None, 9).await.unwrap().len(), 1);
}

pub async fn events_are_replayed(store: &Store) {
    let org = organisation(store).await;
    let early: Vec<_> = (0..4).map(|n| event(org, "domain.created", &n)).collect();
    happen(store, &early).await;
    let hook = add(store, org, &["domain.*"]).await;
    happen(store, &[event(org, "domain.verified", &1), event(org, "email.accepted", &2)]).await;
    let claimed = store.claim_webhook_deliveries(at(0), "one", at(1_000), 9, &[]).await.unwrap();
    assert_eq!(claimed.len(), 1, "what happened before it was there is not for it");
    store.finish_webhook_delivery(&result(&claimed[0], "one", State::Delivered), &[]).await.unwrap();

    let replay = Replay { since: at(0), after: 0, limit: 3, delivered_too: false, now: at(10) };
    let (begun, last) = store.replay_webhook(&hook, replay, &mut webhook_delivery_id, &[]).await.unwrap();
    assert_eq!((begun, last), (3, Some(3)));
    let replay = Replay { after: 3, limit: 100, ..replay };
    assert_eq!(store.replay_webhook(&hook, replay, &mut webhook_delivery_id, &[]).await.unwrap(), (1, None));
    let again = Replay { after: 0, ..replay };
    assert_eq!(
        store.replay_webhook(&hook, again, &mut webhook_delivery_id, &[]).await.unwrap(),
        (0, None),
        "they wait"
    );
    let all = Replay { delivered_too: true, ..again };
    assert_eq!(store.replay_webhook(&hook, all, &mut webhook_delivery_id, &[]).await.unwrap(), (1, None));
    let later = Replay { since: at(1), ..all };
    assert_eq!(store.replay_webhook(&hook, later, &mut webhook_delivery_id, &[]).await.unwrap(), (0, None));

    let claimed = store.claim_webhook_deliveries(at(10), "one", at(1_000), 9, &[]).await.unwrap();
    assert_eq!(claimed.len(), 5);
    assert!(claimed.iter().all(|claimed| claimed.tries == 0));
    store.finish_webhook_delivery(&result(&claimed[0], "one", State::Failed), &[]).await.unwrap();
    store.replay_webhook_delivery(claimed[0].id, at(20), &[]).await.unwrap();
    let (stored, _) = store.get_webhook_delivery(claimed[0].id).await.unwrap();
    assert_eq!((stored.state, stored.next_attempt_at), (State::Waiting, Some(at(20))));
    // One that is under way stays with who has it.
    store.replay_webhook_delivery(claimed[1].id, at(20), &[]).await.unwrap();
    store.finish_webhook_delivery(&result(&claimed[1], "one", State::Delivered), &[]).await.unwrap();
}

pub async fn what_comes_of_a_span_goes_on_with_it(store: &Store) {
    let org = organisation(store).await;
    add(store, org, &[]).await;
    let span = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
    happen(store, &[NewEvent { trace_parent: span.clone(), ..event(org, "domain.created", &1) }]).await;
    let told = store.claim_webhook_deliveries(at(0), "another", at(9), 9, &[]).await.unwrap().remove(0);
    assert_eq!(told.event.event.trace_parent, span);
    let from = domain(store, org, "span.example.com").await;
    let message = NewMessage { trace_parent: span.clone(), ..new_message(&from) };
    store.accept_message(&message, &[to("you@example.org")], &[]).await.unwrap();
    let delivery = store.claim_deliveries(at(1), "another", at(9), 1).await.unwrap().remove(0);
    assert_eq!(delivery.trace_parent, span);
}
