//! Requests that may be repeated.

use crate::seed::at;
use model::{OrgId, RequestId, Timestamp};
use store::{Begun, Hidden, IdempotentRequest, Store};

fn request(key: &str, hash: u8, number: u64, now: i64) -> IdempotentRequest {
    IdempotentRequest {
        org_id: OrgId::from_parts(1, 1),
        principal: "key_1".into(),
        key: key.into(),
        request_hash: Hidden::from(vec![hash; 32]),
        reserved_id: RequestId::from_parts(number, 1),
        now: at(now),
        lease_until: at(now + 60),
        not_before: at(now - 1_000),
        most: 100,
    }
}

pub async fn the_first_answer_is_kept(store: &Store) {
    let first = request("a", 1, 1, 0);
    let id = first.reserved_id;
    let begin = async |request: &IdempotentRequest| store.begin_idempotent(request).await.unwrap();
    assert_eq!(begin(&first).await, Begun::Claimed { reserved_id: id, claims: 1 });
    assert_eq!(begin(&request("a", 1, 2, 10)).await, Begun::Running);
    assert_eq!(begin(&request("a", 2, 3, 10)).await, Begun::OtherRequest);
    let other = IdempotentRequest { principal: "key_2".into(), ..request("a", 2, 4, 10) };
    assert!(matches!(begin(&other).await, Begun::Claimed { claims: 1, .. }), "keys of others do not meet");
    // Whoever had it is gone: the next one gets it, with the id of the first.
    assert_eq!(begin(&request("a", 1, 5, 60)).await, Begun::Claimed { reserved_id: id, claims: 2 });
    let answer = Hidden::from(b"sealed".to_vec());
    store.keep_answer("key_1", "a", 1, 201, &Hidden::from(b"late".to_vec())).await.unwrap();
    store.give_back_request("key_1", "a", 1).await.unwrap();
    assert_eq!(begin(&request("a", 1, 6, 70)).await, Begun::Running, "the first lost it");
    store.give_back_request("key_1", "a", 2).await.unwrap();
    assert_eq!(begin(&request("a", 1, 7, 70)).await, Begun::Claimed { reserved_id: id, claims: 3 });
    store.keep_answer("key_1", "a", 3, 201, &answer).await.unwrap();
    let kept = Begun::Answered { status: 201, answer };
    assert_eq!(begin(&request("a", 1, 8, 500)).await, kept);
    assert_eq!(begin(&request("a", 2, 9, 500)).await, Begun::OtherRequest);
    // Too old: it is forgotten.
    assert!(matches!(begin(&request("a", 2, 10, 1_001)).await, Begun::Claimed { claims: 1, .. }));
}

pub async fn of_several_at_once_one_gets_it(store: &Store) {
    let tries: Vec<_> = (0..8)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move { store.begin_idempotent(&request("a", 1, number, 0)).await.unwrap() })
        })
        .collect();
    let mut claimed = 0;
    for begun in tries {
        match begun.await.unwrap() {
            Begun::Claimed { claims: 1, .. } => claimed += 1,
            other => assert_eq!(other, Begun::Running),
        }
    }
    assert_eq!(claimed, 1);
}

pub async fn old_requests_are_swept_and_no_younger_or_running_one(store: &Store) {
    for number in 0..6 {
        let millis = i64::try_from(number).unwrap();
        store.begin_idempotent(&request(&format!("k{number}"), 1, number, millis)).await.unwrap();
    }
    assert_eq!(store.sweep_idempotent(at(6), at(20), 9).await.unwrap(), 0, "all are being carried out");
    for key in ["k0", "k1", "k2", "k5"] {
        store.give_back_request("key_1", key, 1).await.unwrap();
    }
    assert_eq!(
        store.sweep_idempotent(at(2), at(20), 1).await.unwrap(),
        1,
        "no more than is asked for at once"
    );
    assert_eq!(store.sweep_idempotent(at(2), at(20), 9).await.unwrap(), 1);
    assert_eq!(store.sweep_idempotent(at(2), at(20), 9).await.unwrap(), 0, "the rest is younger");
    let claims = async |key: &str| match store.begin_idempotent(&request(key, 1, 9, 20)).await.unwrap() {
        Begun::Claimed { claims, .. } => claims,
        Begun::Running => 0,
        other => panic!("{other:?}"),
    };
    assert_eq!((claims("k1").await, claims("k2").await, claims("k3").await), (1, 2, 0));
    // One that was claimed again in the last moment is not forgotten while it runs, by its key or by the sweep.
    let again = request("k5", 1, 9, 20);
    assert!(matches!(store.begin_idempotent(&again).await.unwrap(), Begun::Claimed { claims: 2, .. }));
    let late = IdempotentRequest { not_before: at(30), ..request("k5", 1, 10, 40) };
    assert_eq!(store.begin_idempotent(&late).await.unwrap(), Begun::Running);
    assert_eq!(store.sweep_idempotent(at(30), at(79), 9).await.unwrap(), 2, "k3, k4");
    assert_eq!(store.begin_idempotent(&late).await.unwrap(), Begun::Running);
}

/// A request of the organisation `org` at `second`, where three are kept for a day.
fn one_of_three(org: u64, key: &str, second: i64) -> IdempotentRequest {
    IdempotentRequest {
        org_id: OrgId::from_parts(org, 1),
        principal: format!("org_{org}/key_1"),
        lease_until: at((second + 60) * 1_000),
        not_before: at((second - 86_400) * 1_000),
        most: 3,
        ..request(key, 1, 1, second * 1_000)
    }
}

pub async fn each_organisation_has_its_own_bound_and_pushes_out_nobody(store: &Store) {
    let begin = async |request: IdempotentRequest| store.begin_idempotent(&request).await.unwrap();
    let is_claimed = |begun: Begun| matches!(begun, Begun::Claimed { .. });
    assert!(is_claimed(begin(one_of_three(2, "theirs", 0)).await));
    for key in ["a", "b", "c"] {
        assert!(is_claimed(begin(one_of_three(1, key, 1)).await), "{key}");
    }
    let Begun::TooMany(again_at) = begin(one_of_three(1, "d", 2)).await else { panic!("a fourth") };
    assert!(again_at > at(86_400_000) && again_at <= at((86_400 + 3_600) * 1_000), "{again_at}");
    // What was begun is known still, of both; refusing it was not counted and left nothing.
    for key in ["a", "b", "c"] {
        assert_eq!(begin(one_of_three(1, key, 2)).await, Begun::Running);
    }
    assert_eq!(begin(one_of_three(2, "theirs", 2)).await, Begun::Running);
    assert!(is_claimed(begin(one_of_three(2, "more", 2)).await));
    assert_eq!(begin(one_of_three(1, "d", 3)).await, Begun::TooMany(again_at));
    assert_eq!(store.sweep_idempotent(at(-86_398_000), at(2_000), 9).await.unwrap(), 0);
    // A day later there is room, and what is over is gone.
    let later = again_at.duration_since(at(0)).as_secs() + 1;
    assert!(is_claimed(begin(one_of_three(1, "d", later)).await));
    let day_before = Timestamp::from_second(again_at.as_second() - 86_400).unwrap();
    assert_eq!(store.sweep_idempotent(day_before, again_at, 9).await.unwrap(), 5);
    assert_eq!(begin(one_of_three(1, "d", later + 1)).await, Begun::Running);
}
