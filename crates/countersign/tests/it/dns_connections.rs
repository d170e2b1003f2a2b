//! Credentials of DNS hosts: used once and forgotten, or kept because their owner says so.

use crate::{
    client::Terminal,
    support::{Api, Platform, text},
};
use app::store::{Store, StoreOptions};
use fake_hosts::cloudflare::{Cloudflare, Token};
use model::{DomainName, Record, RecordData, TxtData};
use reqwest::Method;
use serde_json::{Value, json};
use std::fs;

/// What opens the fake, and must be found nowhere.
const TOKEN: &str = "marker-7f3a-0123456789-abcdefghij";

/// A platform whose Cloudflare is the strict fake, with a zone.
pub async fn with_cloudflare() -> (Platform, Cloudflare) {
    let host = Cloudflare::start().unwrap();
    host.zone("acme.test");
    host.token(TOKEN, Token::good());
    let address = format!("http://{}", host.address());
    let platform = Platform::start_with(|config| {
        config.dns_host_apis.insert("cloudflare".to_owned(), address);
    })
    .await;
    (platform, host)
}

pub async fn added(api: &Api, name: &str) -> String {
    text(&api.post("/domains", &json!({"domain": name})).await, "id").to_owned()
}

pub fn given() -> Value {
    json!({"host": "cloudflare", "credential": {"token": TOKEN}})
}

fn with(mut body: Value, more: &Value) -> Value {
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

#[tokio::test]
async fn one_is_forgotten_unless_its_owner_says_otherwise() {
    let (platform, host) = with_cloudflare().await;
    let api = &platform.api;
    let path = format!("/domains/{}/change-sets", added(api, "mail.acme.test").await);
    let once = api.post(&path, &given()).await["data"][0].clone();
    assert_eq!(once["connection_id"], Value::Null);
    assert_eq!(api.get("/dns-connections").await["data"], json!([]));
    let id = text(&once, "id");
    let (status, refused) = api.refused(&format!("/change-sets/{id}/apply"), &json!({})).await;
    assert_eq!((status.as_u16(), text(&refused, "code")), (422, "INVALID_REQUEST"), "{refused:#}");
    assert!(text(&refused, "detail").contains("connection_id"), "{refused:#}");

    let set =
        api.post(&path, &with(given(), &json!({"keep": true, "repair": "offer"}))).await["data"][0].clone();
    let kept = api.get("/dns-connections").await["data"][0].clone();
    assert_eq!(set["connection_id"], kept["id"]);
    let seen = ["host", "zone", "hint", "repair"].map(|name| text(&kept, name));
    assert_eq!(seen, ["cloudflare", "acme.test", "ghij", "offer"], "{kept:#}");
    assert_eq!((&kept["last_error"], kept["domain_id"].is_string()), (&Value::Null, true));
    // It applies with what it was planned with, and takes back with what is named.
    let id = text(&set, "id");
    let applied = api.post(&format!("/change-sets/{id}/apply"), &json!({})).await;
    assert_eq!(text(&applied, "state"), "applied", "{applied:#}");
    assert!(host.records("acme.test").len() >= 5);
    let by_it = json!({"connection_id": kept["id"], "apply": true});
    let undone = api.post(&format!("/change-sets/{id}/undo"), &by_it).await;
    assert_eq!((text(&undone, "state"), &undone["connection_id"]), ("applied", &kept["id"]));
    assert_eq!(host.records("acme.test").len(), 0);

    // A newer one takes its place.
    api.post(&path, &with(given(), &json!({"keep": true}))).await;
    let list = api.get("/dns-connections").await;
    assert_eq!(list["data"].as_array().unwrap().len(), 1);
    assert_ne!(list["data"][0]["id"], kept["id"]);
    assert_eq!(text(&list["data"][0], "repair"), "off");
    // And it goes with its domain.
    api.delete(path.strip_suffix("/change-sets").unwrap()).await;
    assert_eq!(api.get("/dns-connections").await["data"], json!([]));
    platform.stop().await;
}

#[tokio::test]
async fn a_kept_one_is_sealed_and_told_nowhere() {
    let (platform, _host) = with_cloudflare().await;
    let api = &platform.api;
    let domain = added(api, "mail.acme.test").await;
    let new = with(given(), &json!({"domain_id": domain, "label": "the agency's"}));
    let made = api.post("/dns-connections", &new).await;
    let id = text(&made, "id").to_owned();
    let plan = format!("/domains/{domain}/change-sets");
    let set = api.post(&plan, &json!({"connection_id": id, "apply": true})).await;
    let path = format!("/dns-connections/{id}");
    let told = [
        made,
        set,
        api.get(&path).await,
        api.get("/dns-connections").await,
        api.post(&format!("{path}/check"), &json!({})).await,
        api.get("/audit?limit=100").await,
        api.get("/events?limit=100").await,
    ];
    for answer in &told {
        assert!(!answer.to_string().contains("marker-7f3a"), "{answer:#}");
    }
    assert!(told[5].to_string().contains("dns_connection.created"), "{:#}", told[5]);
    let folder = platform.stop().await;
    let mut files = 0;
    for entry in fs::read_dir(&folder.0).unwrap().flatten() {
        let Ok(octets) = fs::read(entry.path()) else { continue };
        files += 1;
        let has = octets.windows(11).any(|window| window == b"marker-7f3a");
        assert!(!has, "{} has it in the clear", entry.path().display());
    }
    assert!(files > 0);
    let database = fs::read_dir(&folder.0).unwrap().flatten().map(|entry| entry.path());
    let database =
        database.into_iter().find(|path| path.extension().is_some_and(|end| end == "sqlite")).unwrap();
    let store = Store::open(&database, StoreOptions::default()).await.unwrap();
    let org = store.first_organisation().await.unwrap().unwrap().id;
    let kept = store.list_connections(&app::store::Visible::all_of(org), None, 9).await.unwrap();
    assert!(kept[0].secret.len() > TOKEN.len(), "it is there, sealed");
    store.close().await;
}

#[tokio::test]
async fn one_that_the_host_refuses_is_told_once_and_can_be_good_again() {
    let (platform, host) = with_cloudflare().await;
    let api = &platform.api;
    let domain = added(api, "mail.acme.test").await;
    let (status, refused) = api
        .refused(
            "/dns-connections",
            &json!({"host": "cloudflare", "credential": {"token": "marker-7f3a-wrong-one"},
            "zone": "acme.test"}),
        )
        .await;
    assert_eq!((status.as_u16(), text(&refused, "code")), (422, "HOST_CREDENTIAL_INVALID"), "{refused:#}");
    assert_eq!(api.get("/dns-connections").await["data"], json!([]), "it was not kept");
    let made = api.post("/dns-connections", &with(given(), &json!({"zone": "acme.test"}))).await;
    assert_eq!(made["domain_id"], Value::Null);
    let path = format!("/dns-connections/{}", text(&made, "id"));
    let plan = format!("/domains/{domain}/change-sets");
    let by_it = json!({"connection_id": made["id"]});

    host.token(TOKEN, Token { status: "expired", ..Token::good() });
    for _ in 0..2 {
        let (_, refused) = api.refused(&plan, &by_it).await;
        assert_eq!(text(&refused, "code"), "HOST_CREDENTIAL_EXPIRED", "{refused:#}");
    }
    let failed = api.get(&path).await;
    assert_eq!(text(&failed["last_error"], "code"), "HOST_CREDENTIAL_EXPIRED", "{failed:#}");
    assert!(text(&failed["last_error"], "message").contains("expired"));
    let events = api.until("/events?types=dns_connection.failed", |list| list["data"][0].is_object()).await;
    assert_eq!(events["data"].as_array().unwrap().len(), 1, "it is told once: {events:#}");
    assert_eq!(events["data"][0]["data"]["connection_id"], made["id"]);
    let checked = api.post(&format!("{path}/check"), &json!({})).await;
    assert_eq!(text(&checked["last_error"], "code"), "HOST_CREDENTIAL_EXPIRED");

    host.token(TOKEN, Token::good());
    let checked = api.post(&format!("{path}/check"), &json!({})).await;
    assert_eq!(checked["last_error"], Value::Null, "{checked:#}");
    api.post(&plan, &by_it).await;
    // Another domain's zone is nothing against it.
    let other = added(api, "mail.other.test").await;
    host.zone("other.test");
    let (_, refused) = api.refused(&format!("/domains/{other}/change-sets"), &by_it).await;
    assert!(refused.to_string().contains("kept for other domains than mail.other.test"), "{refused:#}");
    assert_eq!(api.get(&path).await["last_error"], Value::Null);
    platform.stop().await;
}

#[tokio::test]
async fn wrong_input_is_told_and_nobody_elses_is_used() {
    let (platform, _host) = with_cloudflare().await;
    let api = &platform.api;
    let domain = added(api, "mail.acme.test").await;
    let other = added(api, "shop.acme.test").await;
    let plan = format!("/domains/{domain}/change-sets");
    let made = api.post("/dns-connections", &with(given(), &json!({"domain_id": domain}))).await;
    let kept = json!({"connection_id": made["id"]});
    let zone = json!({"zone": "acme.test"});
    for (path, body, words) in [
        ("/dns-connections", given(), "either domain_id or zone"),
        ("/dns-connections", with(given(), &json!({"zone": "acme.test", "domain_id": domain})), "either"),
        ("/dns-connections", with(given(), &json!({"zone": "acme.test", "label": "a\nb"})), "one line"),
        ("/dns-connections", with(given(), &json!({"zone": "acme.test", "repair": "always"})), "auto"),
        ("/dns-connections", with(json!({"host": "nowhere"}), &zone), "possible are"),
        ("/dns-connections", with(json!({"host": "cloudflare"}), &zone), "credential.token: is missing"),
        (&*plan, json!({}), "give host and credential, or connection_id"),
        (&*plan, json!({"credential": {"token": TOKEN}}), "host: is missing"),
        (&*plan, with(given(), &kept), "either this or host"),
        (&*plan, with(given(), &json!({"repair": "auto"})), "goes with keep"),
        (&*plan, with(kept.clone(), &json!({"keep": true})), "goes with host and credential"),
        (
            &*format!("/domains/{other}/change-sets"),
            kept.clone(),
            "kept for other domains than shop.acme.test",
        ),
    ] {
        let (status, refused) = api.refused(path, &body).await;
        assert!(matches!(status.as_u16(), 400 | 422), "{body}: {refused:#}");
        assert!(refused.to_string().contains(words), "{body}: {refused:#}");
        assert!(!refused.to_string().contains("marker-7f3a"), "{refused:#}");
    }
    let gone = json!({"connection_id": "con_01JD0000000000000000000000"});
    let (status, refused) = api.refused(&plan, &gone).await;
    assert_eq!((status.as_u16(), text(&refused, "code")), (404, "DNS_CONNECTION_NOT_FOUND"));

    // A tenant's is not seen by another's key, and not used for a domain that is not theirs.
    let theirs = api
        .request(Method::POST, "/dns-connections")
        .header("X-Countersign-Tenant-Ref", "shop-7")
        .json(&with(given(), &zone))
        .send()
        .await
        .unwrap();
    let theirs: Value = theirs.json().await.unwrap();
    assert!(theirs["tenant_id"].is_string(), "{theirs:#}");
    let (_, refused) = api.refused(&plan, &json!({"connection_id": theirs["id"]})).await;
    assert!(refused.to_string().contains("other domains"), "{refused:#}");
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_keeps_shows_and_deletes() {
    let (platform, host) = with_cloudflare().await;
    added(&platform.api, "mail.acme.test").await;
    let terminal = Terminal::of(&platform);
    assert!(terminal.good(&["dns-connections", "list"]).await.contains("--keep"));
    let publish =
        ["domains", "publish", "mail.acme.test", "--host", "cloudflare", "--credential-stdin", "--keep"];
    let said = terminal.with_input(&publish, TOKEN).await;
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.out.contains("The credential is kept: con_") && !said.out.contains(TOKEN), "{}", said.out);
    let id = said.out.split_whitespace().find(|word| word.starts_with("con_")).unwrap().to_owned();
    let list = terminal.good(&["dns-connections", "list"]).await;
    assert!(list.contains("…ghij") && list.contains("acme.test") && list.contains("good"), "{list}");
    let changed = terminal.good(&["dns-connections", "repair", &id, "auto"]).await;
    assert!(changed.contains("Repair    auto"), "{changed}");
    let written =
        terminal.good(&["domains", "publish", "mail.acme.test", "--connection", &id, "--yes"]).await;
    assert!(written.contains("Done."), "{written}");
    assert!(host.records("acme.test").len() >= 5);
    host.token(TOKEN, Token { reads_zones: false, ..Token::good() });
    let checked = terminal.good(&["dns-connections", "check", &id]).await;
    assert!(checked.contains("refused:"), "{checked}");
    assert!(terminal.good(&["dns-connections", "delete", &id]).await.contains("Deleted"));
    let gone = terminal.run(&["dns-connections", "show", &id]).await;
    assert!(gone.code == Some(1) && gone.err.contains("DNS_CONNECTION_NOT_FOUND"), "{}", gone.err);
    let add = ["dns-connections", "add", "--zone", "acme.test", "--host", "cloudflare"];
    let empty = terminal.with_input(&add, "\n").await;
    assert!(empty.code == Some(2) && empty.err.contains("no credential was given"), "{}", empty.err);
    platform.stop().await;
}

#[tokio::test]
async fn foreign_records_stay_with_a_kept_one_too() {
    let (platform, host) = with_cloudflare().await;
    let api = &platform.api;
    let record = |owner: &str, words: &str| Record {
        owner: DomainName::parse(owner).unwrap(),
        ttl: 300,
        data: RecordData::Txt(TxtData::from_text(words)),
    };
    host.put("acme.test", &record("mail.acme.test", "somebody-elses=1"));
    host.put("acme.test", &record("www.acme.test", "somebody-elses=2"));
    let plan = format!("/domains/{}/change-sets", added(api, "mail.acme.test").await);
    api.post(&plan, &with(given(), &json!({"keep": true, "apply": true}))).await;
    let kept = api.get("/dns-connections").await["data"][0]["id"].clone();
    api.post(&plan, &json!({"connection_id": kept, "purpose": "cleanup", "apply": true})).await;
    let left: Vec<String> =
        host.records("acme.test").iter().map(|(_, record, ..)| record.data.to_string()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    platform.stop().await;
}
