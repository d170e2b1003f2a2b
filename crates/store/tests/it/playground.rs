//! Playground zones.

use crate::seed::{at, name, record_id, zone_id};
use model::RecordType;
use store::{NewPlaygroundRecord, NewPlaygroundZone, PlaygroundZone, Store, StoreError};

fn record(value: &str) -> NewPlaygroundRecord {
    NewPlaygroundRecord {
        id: record_id(),
        host: "@".into(),
        record_type: RecordType::Txt,
        value: value.into(),
        ttl: 300,
        priority: None,
        proxied: false,
    }
}

async fn zone(store: &Store, apex: &str, serial: u32) -> Result<PlaygroundZone, StoreError> {
    store.create_zone(&NewPlaygroundZone { id: zone_id(), apex: name(apex), serial, created_at: at(0) }).await
}

pub async fn every_edit_moves_serial_and_generation(store: &Store) {
    let zone = zone(store, "example.test", u32::MAX - 1).await.unwrap();
    let state =
        async || (store.get_zone(zone.id).await.unwrap().serial, store.dns_generation().await.unwrap());
    let (_, generation) = state().await;
    let mut added = store.add_records(zone.id, vec![record("as \"typed"), record("as \"typed")], at(1)).await;
    let added = added.as_mut().unwrap();
    assert_eq!(state().await, (u32::MAX, generation + 1));
    assert_eq!(&store.records_of_zone(zone.id).await.unwrap(), added);

    let changed = NewPlaygroundRecord {
        id: added[0].id,
        record_type: RecordType::Mx,
        priority: Some(10),
        proxied: true,
        ..record("mx.example.test")
    };
    let updated = store.update_record(zone.id, &changed, at(2)).await.unwrap();
    assert_eq!((updated.created_at, updated.updated_at), (at(1), at(2)));
    assert_eq!((updated.record_type, updated.priority, updated.proxied), (RecordType::Mx, Some(10), true));
    assert_eq!(state().await, (1, generation + 2), "serials wrap and skip 0");
    store.delete_record(zone.id, added[1].id).await.unwrap();
    assert_eq!(state().await, (2, generation + 3));
    assert_eq!(store.records_of_zone(zone.id).await.unwrap(), [updated]);

    let gone = store.delete_record(zone.id, added[1].id).await;
    assert!(matches!(gone, Err(StoreError::NotFound("record"))), "{gone:?}");
    let elsewhere = store.update_record(zone_id(), &changed, at(3)).await;
    assert!(matches!(elsewhere, Err(StoreError::NotFound("record"))), "{elsewhere:?}");
    assert_eq!(state().await, (2, generation + 3), "what failed has changed nothing");
}

pub async fn zones_and_records_are_limited(store: &Store) {
    let full = zone(store, "example.test", 1).await.unwrap();
    let twice = zone(store, "EXAMPLE.test", 1).await;
    assert!(matches!(twice, Err(StoreError::ZoneAlreadyExists)), "{twice:?}");
    let many = |n: usize| (0..n).map(|_| record("v")).collect::<Vec<_>>();
    store.add_records(full.id, many(999), at(0)).await.unwrap();
    let over = store.add_records(full.id, many(2), at(0)).await;
    assert!(matches!(over, Err(StoreError::LimitReached { limit: 1_000, .. })), "{over:?}");
    store.add_records(full.id, many(1), at(0)).await.unwrap();
    assert_eq!(store.records_of_zone(full.id).await.unwrap().len(), 1_000);
    let nowhere = store.add_records(zone_id(), many(1), at(0)).await;
    assert!(matches!(nowhere, Err(StoreError::NotFound("zone"))), "{nowhere:?}");
}

pub async fn zones_come_with_their_records(store: &Store) {
    let first = zone(store, "one.test", 1).await.unwrap();
    let empty = zone(store, "two.test", 1).await.unwrap();
    let last = zone(store, "three.test", 1).await.unwrap();
    store.add_records(last.id, vec![record("c")], at(0)).await.unwrap();
    store.add_records(first.id, vec![record("a"), record("b")], at(0)).await.unwrap();
    let shape = async || {
        let all = store.all_zones_with_records().await.unwrap();
        let values = |records: Vec<store::PlaygroundRecord>| records.into_iter().map(|r| r.value).collect();
        all.into_iter().map(|(zone, records)| (zone.id, values(records))).collect::<Vec<(_, Vec<String>)>>()
    };
    let own = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
    assert_eq!(shape().await, [(first.id, own(&["a", "b"])), (empty.id, own(&[])), (last.id, own(&["c"]))]);
    store.delete_zone(first.id).await.unwrap();
    assert_eq!(shape().await, [(empty.id, own(&[])), (last.id, own(&["c"]))]);
    assert!(matches!(store.delete_zone(first.id).await, Err(StoreError::NotFound("zone"))));
    assert_eq!(store.get_zone_by_apex(&name("one.test")).await.unwrap(), None);
    assert_eq!(store.list_zones().await.unwrap().len(), 2);
}
