//! The feed of events as callers poll it.

use crate::platform::Platform;
use app::store::{Store, StoreOptions};

async fn number(platform: &Platform) {
    let store = Store::open(&platform.path, StoreOptions::default()).await.unwrap();
    crate::guards::number(&store).await;
    store.close().await;
}

#[tokio::test]
async fn the_feed_is_read_on_from_a_cursor() {
    let platform = Platform::start().await;
    let latest = platform.get("/api/v1/events?after=latest").await.json();
    assert_eq!((latest["data"].as_array().unwrap().len(), &latest["next_cursor"]), (0, &"0".into()));
    let mut ids = Vec::new();
    for name in ["one.acme.test", "two.acme.test"] {
        ids.push(platform.add_domain(name).await);
        number(&platform).await;
    }

    let first = platform.get("/api/v1/events?limit=1").await.json();
    assert_eq!((&first["has_more"], &first["next_cursor"]), (&true.into(), &"1".into()));
    let event = &first["data"][0];
    assert_eq!((&event["object"], &event["type"]), (&"event".into(), &"domain.created".into()));
    assert_eq!(event["data"]["domain"], "one.acme.test");
    assert_eq!((&event["subject"], &event["domain_id"]), (&ids[0].as_str().into(), &ids[0].as_str().into()));
    assert!(event["id"].as_str().unwrap().starts_with("evt_"));

    let second = platform.get("/api/v1/events?limit=1&after=1").await.json();
    assert_eq!(
        (&second["has_more"], &second["data"][0]["subject"]),
        (&false.into(), &ids[1].as_str().into())
    );
    // Nothing new, and still a cursor.
    let none = platform.get("/api/v1/events?after=2&types=email.*").await.json();
    assert_eq!((none["data"].as_array().unwrap().len(), &none["next_cursor"]), (0, &"2".into()));

    let deleted = platform.call("DELETE", &format!("/api/v1/domains/{}", ids[0]), "").await;
    assert_eq!(deleted.status, 200);
    number(&platform).await;
    let third = platform.get("/api/v1/events?after=2&types=domain.deleted,email.*").await.json();
    assert_eq!((&third["data"][0]["type"], &third["next_cursor"]), (&"domain.deleted".into(), &"3".into()));
    assert_eq!(third["data"][0]["domain_id"].as_str(), Some(ids[0].as_str()));
}

#[tokio::test]
async fn cursors_and_types_that_cannot_be_are_refused() {
    let platform = Platform::start().await;
    for (query, field) in [
        ("after=x", "after"),
        ("after=-1", "after"),
        ("after=1", "after"),
        ("after=99999999999999999999999", "after"),
        ("types=", "types"),
        ("types=domain.created,nothing", "types"),
        ("limit=0", "limit"),
        ("cursor=1", "cursor"),
    ] {
        let answer = platform.get(&format!("/api/v1/events?{query}")).await;
        answer.assert_problem(422, "INVALID_REQUEST");
        assert_eq!(answer.json()["errors"][0]["field"], field, "{query}: {}", answer.text);
    }
    let ahead = platform.get("/api/v1/events?after=1").await.json();
    assert!(ahead["detail"].as_str().unwrap().contains("begin anew"), "{ahead}");
}

#[tokio::test]
async fn who_fell_behind_what_is_kept_is_told() {
    let platform = Platform::start().await;
    for name in ["one.acme.test", "two.acme.test", "three.acme.test"] {
        platform.add_domain(name).await;
    }
    number(&platform).await;
    let store = Store::open(&platform.path, StoreOptions::default()).await.unwrap();
    assert_eq!(store.delete_events_before(model::Timestamp::MAX, 9).await.unwrap(), 3);
    store.close().await;
    for behind in ["0", "1", "2"] {
        let answer = platform.get(&format!("/api/v1/events?after={behind}")).await;
        answer.assert_problem(410, "EVENTS_GONE");
        assert!(answer.text.contains("after=latest"), "{}", answer.text);
    }
    for kept in ["", "?after=latest", "?after=3"] {
        assert_eq!(platform.get(&format!("/api/v1/events{kept}")).await.status, 200, "{kept}");
    }
}
