//! Requests that may be repeated.

use crate::seed::at;
use model::RequestId;
use store::{Begun, Hidden, IdempotentRequest, Store};

fn request(key: &str, hash: u8, number: u64, now: i64) -> IdempotentRequest {
    IdempotentRequest {
        principal: "key_1".into(),
        key: key.into(),
        request_hash: Hidden::from(vec![hash; 32]),
        reserved_id: RequestId::from_parts(number, 1),
        now: at(now),
        lease_until: at(now + 60),
        not_before: at(now - 1_000),
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

pub async fn old_requests_are_swept_and_their_number_is_bounded(store: &Store) {
    for number in 0..6 {
        let millis = i64::try_from(number).unwrap();
        store.begin_idempotent(&request(&format!("k{number}"), 1, number, millis)).await.unwrap();
    }
    assert_eq!(store.sweep_idempotent(at(1), 100, 9).await.unwrap(), 2);
    assert_eq!(store.sweep_idempotent(at(1), 100, 9).await.unwrap(), 0);
    assert_eq!(store.sweep_idempotent(at(-5), 2, 1).await.unwrap(), 1, "no more than is asked for at once");
    assert_eq!(store.sweep_idempotent(at(-5), 2, 9).await.unwrap(), 1);
    assert_eq!(store.begin_idempotent(&request("k5", 1, 9, 6)).await.unwrap(), Begun::Running);
}
