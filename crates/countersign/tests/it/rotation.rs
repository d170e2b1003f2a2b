//! DKIM keys are rotated in place.

use crate::{
    durability::Process,
    independent_verifier::dkimpy,
    lifecycle::Later,
    support::{Api, Folder, PATIENCE, text},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use countersign::Config;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

/// The keys of a domain: selector and state.
pub async fn keys(api: &Api, path: &str) -> Vec<(String, String)> {
    let list = api.get(&format!("{path}/keys")).await;
    let keys = list["data"].as_array().unwrap().iter();
    keys.map(|key| (text(key, "selector").to_owned(), text(key, "state").to_owned())).collect()
}

pub fn states(keys: &[(String, String)]) -> Vec<&str> {
    keys.iter().map(|(_, state)| state.as_str()).collect()
}

/// Sends a message; the selector that it is signed with, and its octets.
pub async fn send(api: &Api, to: &str) -> (String, Vec<u8>) {
    let message = json!({"from": "a@mail.acme.test", "to": [to], "subject": "Hi", "text": "It works"});
    let (_, received) = api.send_and_receive(&message).await;
    let verdict = received["authentication"].to_string();
    assert!(verdict.contains("pass") && !verdict.contains("fail"), "{verdict}");
    let raw = api.raw(text(&received, "id")).await;
    let head = String::from_utf8_lossy(&raw).replace("\r\n\t", "").replace("\r\n ", "");
    let signature = head.lines().find(|line| line.starts_with("DKIM-Signature:")).unwrap().to_owned();
    let selector = signature.split(';').find_map(|tag| tag.trim().strip_prefix("s=")).unwrap().to_owned();
    (selector, raw)
}

/// Somebody else's verifier over our DNS, where there is one.
pub fn accepted(platform: &Later, raw: &[u8]) {
    if let Some(said) = dkimpy(platform.instance.dns.port(), raw) {
        assert!(said.starts_with("verified\n"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_switches_and_the_customers_dns_is_not_touched() {
    let platform = Later::start(|config| config).await;
    let api = &platform.api;
    let domain = api.verified("mail.acme.test", "acme.test", "three-cname").await;
    let path = format!("/domains/{}", text(&domain, "id"));
    let rotate = format!("{path}/keys/rotate");
    let zone = api.zone("acme.test").await;
    let published = |zone: &Value| zone["records"].clone();
    let before = published(&api.get(&format!("/playground/zones/{zone}")).await);
    let first = keys(api, &path).await;
    assert_eq!(states(&first), ["active", "standby", "standby"]);
    let (selector, old_mail) = send(api, "one@example.org").await;
    assert_eq!(selector, first[0].0);
    accepted(&platform, &old_mail);

    api.post(&rotate, &json!({})).await;
    assert_eq!(states(&keys(api, &path).await), ["draining", "active", "standby"]);
    let (selector, mail) = send(api, "two@example.org").await;
    assert_eq!(selector, first[1].0);
    accepted(&platform, &mail);
    accepted(&platform, &old_mail);
    let checked = api.post(&format!("{path}/verify"), &json!({})).await;
    assert_eq!((text(&checked, "status"), text(&checked, "dkim_status")), ("verified", "verified"));

    // A week later a new key is behind the selector of the first.
    platform.minutes.fetch_add(7 * 24 * 60 + 1, Ordering::Relaxed);
    platform.instance.app.wake.key_pool.notify_one();
    let is_new = |list: &Value| list["data"][0]["state"] == "standby";
    api.until(&format!("{path}/keys"), is_new).await;
    let after = keys(api, &path).await;
    assert_eq!(
        after.iter().map(|(selector, _)| selector).collect::<Vec<_>>(),
        first.iter().map(|(selector, _)| selector).collect::<Vec<_>>()
    );
    // From here on the clock is ahead of that of somebody else's verifier: ours judges what arrives.
    let (selector, _) = send(api, "three@example.org").await;
    assert_eq!(selector, first[1].0);
    // The third has its turn, then the new one, once it was seen.
    api.post(&rotate, &json!({})).await;
    platform.minutes.fetch_add(15, Ordering::Relaxed);
    let right = |domain: &Value| {
        domain["records"].as_array().unwrap().iter().all(|record| record["status"] == "verified")
    };
    api.post(&format!("{path}/verify"), &json!({})).await;
    let domain = api.until(&path, right).await;
    assert_eq!((text(&domain, "status"), text(&domain, "health")), ("verified", "ok"));
    api.post(&rotate, &json!({})).await;
    let (selector, _) = send(api, "four@example.org").await;
    assert_eq!(selector, first[0].0);
    // All others have just signed.
    let (status, refused) = api.refused(&rotate, &json!({})).await;
    assert_eq!((status.as_u16(), text(&refused, "code")), (409, "KEYS_NOT_ROTATABLE"));
    assert!(text(&refused, "detail").contains("until"), "{refused:#}");

    assert_eq!(published(&api.get(&format!("/playground/zones/{zone}")).await), before);
    let rotations = platform.event_types(text(&domain, "id")).await;
    assert_eq!(rotations.iter().filter(|event_type| *event_type == "domain.key_rotated").count(), 3);
    let log = api.get("/audit?limit=100").await;
    let lines = log["data"].as_array().unwrap().iter().filter(|line| line["action"] == "domain.key_rotated");
    assert_eq!(lines.count(), 3);
    platform.instance.stop().await;
}

/// Everything that `GET …/keys` says of a state: its TXT record's name.
pub async fn txt_records(api: &Api, path: &str, state: &str) -> Vec<String> {
    let list = api.get(&format!("{path}/keys")).await;
    let of_state = list["data"].as_array().unwrap().iter().filter(|key| key["state"] == state);
    of_state.filter_map(|key| key["txt_record"].as_str().map(str::to_owned)).collect()
}

/// Writes what a domain asks for into the playground and takes out what it does not; the names that went.
pub async fn written(api: &Api, path: &str) -> Vec<String> {
    let sets = api.post(&format!("{path}/change-sets"), &json!({"host": "playground", "apply": true})).await;
    let steps =
        sets["data"].as_array().unwrap().iter().flat_map(|set| set["steps"].as_array().unwrap().clone());
    let gone = steps.filter(|step| step["action"] == "remove");
    gone.map(|step| text(&step, "name").to_owned()).collect()
}

/// Behind an alias the key before is told to the world where the operator wants that, and signs what anybody can check.
#[tokio::test(flavor = "multi_thread")]
async fn the_private_part_of_a_replaced_key_is_published_later() {
    let platform = Later::start(|config| Config { publish_retired_keys_days: 30, ..config }).await;
    let api = &platform.api;
    let domain = api.verified("mail.acme.test", "acme.test", "three-cname").await;
    let path = format!("/domains/{}", text(&domain, "id"));
    let (selector, _) = send(api, "one@example.org").await;
    let store = platform.store().await;
    let public_key = async || {
        let served = store.published_keys().await.unwrap().1;
        served.into_iter().find(|(served, _)| *served == selector).unwrap().1
    };
    let before = public_key().await;
    let told = async |selector: &str| {
        let url = format!("http://{}/retired-keys/{selector}", platform.instance.http);
        let answer = reqwest::get(url).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    api.post(&format!("{path}/keys/rotate"), &json!({})).await;
    let minutes = |days: i64| platform.minutes.fetch_add(days * 24 * 60 + 1, Ordering::Relaxed);
    minutes(7);
    platform.instance.app.wake.key_pool.notify_one();
    api.until(&format!("{path}/keys"), |list| list["data"][0]["state"] == "standby").await;
    assert_ne!(public_key().await, before);
    // Not yet: mail of its time may still be on its way.
    let app = &platform.instance.app;
    minutes(29);
    assert_eq!(app.tell_retired_keys().await.unwrap(), 0);
    minutes(1);
    // Nor as long as verifiers find it, be it in a copy of the customer's.
    let zone = api.zone("acme.test").await;
    let owner = format!("{selector}._domainkey.mail");
    let records = api.get(&format!("/playground/zones/{zone}")).await;
    let alias = records["records"].as_array().unwrap().iter().find(|record| text(record, "host") == owner);
    let alias = alias.unwrap().clone();
    api.delete(&format!("/playground/records/{}", text(&alias, "id"))).await;
    let copy = api.publish(&zone, &owner, "TXT", &format!("v=DKIM1; p={before}"), None).await;
    app.tell_retired_keys().await.unwrap();
    assert_eq!(told(&selector).await.0, 404);
    api.delete(&format!("/playground/records/{copy}")).await;
    assert_eq!(app.tell_retired_keys().await.unwrap(), 0, "it was just looked for");
    minutes(1);
    app.tell_retired_keys().await.unwrap();
    let (status, key) = told(&selector).await;
    assert_eq!(status, 200, "{key}");
    assert!(key.contains(&format!("p={before}\n")), "{key}");
    let pem = &key[key.find("-----BEGIN").unwrap()..];
    let der: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let pair = aws_lc_rs::rsa::KeyPair::from_pkcs8(&BASE64_STANDARD.decode(der).unwrap()).unwrap();
    let public = aws_lc_rs::encoding::AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'_>>::as_der(
        aws_lc_rs::signature::KeyPair::public_key(&pair),
    );
    assert_eq!(BASE64_STANDARD.encode(public.unwrap().as_ref()), before);
    // Nothing of others, and nothing to list.
    for other in ["nothing", "%00", "*", "%2f", "", &"a".repeat(300)] {
        assert_eq!(told(other).await.0, 404, "{other}");
    }
    platform.instance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_the_customer_publishes_is_rotated_in_steps() {
    let platform = Later::start(|config| config).await;
    let api = &platform.api;
    api.zone("acme.test").await;
    let domain = api.post("/domains", &json!({"domain": "mail.acme.test", "profile": "two-txt"})).await;
    let path = format!("/domains/{}", text(&domain, "id"));
    written(api, &path).await;
    api.until(&path, |domain| domain["status"] == "verified").await;
    let (first, old_mail) = send(api, "one@example.org").await;

    // "Add this": one record more, on which nothing depends.
    let begun = api.post(&format!("{path}/keys/rotate"), &json!({})).await;
    let names = txt_records(api, &path, "standby").await;
    let [new] = &*names else { panic!("{names:?}") };
    let records = begun["records"].as_array().unwrap();
    let record = records.iter().find(|record| record["name"] == **new).unwrap();
    assert_eq!((&record["required"], &record["status"]), (&json!(false), &json!("missing")), "{record:#}");
    assert!(text(record, "value").starts_with("v=DKIM1; k=rsa; p="), "{record:#}");
    assert!(text(record, "explanation").contains("Add this record"), "{record:#}");
    assert_eq!((text(&begun, "status"), text(&begun, "dkim_status")), ("verified", "verified"));
    // Nothing is signed with it until it is seen, and asking again changes nothing.
    assert_eq!(send(api, "two@example.org").await.0, first);
    api.post(&format!("{path}/keys/rotate"), &json!({})).await;
    assert_eq!(txt_records(api, &path, "standby").await, [new.as_str()]);

    // It is published and seen, and signs. The one before stays.
    assert!(written(api, &path).await.is_empty());
    let switched =
        |list: &Value| list["data"][0]["state"] == "active" && list["data"][1]["state"] == "draining";
    api.until(&format!("{path}/keys"), switched).await;
    let (second, mail) = send(api, "three@example.org").await;
    assert_eq!(format!("{second}._domainkey.mail.acme.test"), *new);
    accepted(&platform, &mail);
    accepted(&platform, &old_mail);
    // Behind the place of the profile it is told by its own selector.
    assert_eq!(keys(api, &path).await[0], (second.clone(), "active".to_owned()));
    assert_eq!(txt_records(api, &path, "active").await, [new.as_str()]);
    let former = format!("{first}._domainkey.mail.acme.test");
    assert_eq!(txt_records(api, &path, "draining").await, [former.as_str()]);
    let has_both = |domain: &Value| {
        let names: Vec<_> =
            domain["records"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
        names.contains(&json!(former)) && names.contains(&json!(new)) && domain["status"] == "verified"
    };
    let domain = api.until(&path, has_both).await;
    let of_former = domain["records"].as_array().unwrap().iter().find(|one| one["name"] == *former).unwrap();
    assert!(text(of_former, "explanation").contains("Leave it until"), "{of_former:#}");
    assert!(written(api, &path).await.is_empty(), "the one before is still needed");

    // A week later it may go, and goes where we write.
    platform.minutes.fetch_add(7 * 24 * 60 + 1, Ordering::Relaxed);
    platform.instance.app.wake.key_pool.notify_one();
    api.until(&format!("{path}/keys"), |list| list["data"][1]["state"] == "removable").await;
    assert_eq!(txt_records(api, &path, "removable").await, [former.as_str()]);
    let asks_for_one =
        |domain: &Value| domain["records"].as_array().unwrap().iter().all(|one| one["name"] != *former);
    api.until(&path, asks_for_one).await;
    assert_eq!(written(api, &path).await, [former]);
    let types = platform.event_types(text(&domain, "id")).await;
    for (event_type, times) in
        [("domain.key_prepared", 1), ("domain.key_rotated", 1), ("domain.key_removable", 1)]
    {
        assert_eq!(types.iter().filter(|one| *one == event_type).count(), times, "{event_type}");
    }
    // It goes on from there.
    api.post(&format!("{path}/keys/rotate"), &json!({})).await;
    assert_eq!(txt_records(api, &path, "standby").await.len(), 1);
    let discarded = api.post(&format!("{path}/keys/discard"), &json!({})).await;
    assert_eq!(
        discarded["records"].as_array().unwrap().len(),
        domain["records"].as_array().unwrap().len() - 1
    );
    let (status, refused) = api.refused(&format!("{path}/keys/discard"), &json!({})).await;
    assert_eq!((status.as_u16(), text(&refused, "code")), (409, "KEYS_NOT_ROTATABLE"));
    assert_eq!(send(api, "four@example.org").await.0, second);
    platform.instance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_somebody_else_may_have_goes_at_once() {
    let platform = Later::start(|config| config).await;
    let api = &platform.api;
    let domain = api.verified("mail.acme.test", "acme.test", "three-cname").await;
    let path = format!("/domains/{}", text(&domain, "id"));
    let first = keys(api, &path).await;
    let of_first = async || {
        let served = platform.store().await.published_keys().await.unwrap().1;
        served.into_iter().find(|(selector, _)| *selector == first[0].0).unwrap().1
    };
    let before = of_first().await;
    api.post(&format!("{path}/keys/rotate"), &json!({"compromised": true})).await;
    let replaced =
        |list: &Value| list["data"][0]["state"] == "standby" && list["data"][1]["state"] == "active";
    api.until(&format!("{path}/keys"), replaced).await;
    assert_ne!(of_first().await, before, "its selector has another key");
    assert_eq!(send(api, "one@example.org").await.0, first[1].0);
    platform.instance.stop().await;
}

/// A private key of OpenSSL's, and its public part.
pub fn made_by_openssl(folder: &std::path::Path, arguments: &[&str]) -> (String, String) {
    let file = folder.join("own.pem");
    let run = |arguments: &[&str]| {
        let ran = std::process::Command::new("openssl").args(arguments).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap()
    };
    run(&[&["genpkey", "-out", file.to_str().unwrap()], arguments].concat());
    let public = run(&["pkey", "-in", file.to_str().unwrap(), "-pubout"]);
    let public = public.lines().filter(|line| !line.starts_with('-')).collect();
    (std::fs::read_to_string(&file).unwrap(), public)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_moves_in_with_its_key() {
    let platform = Later::start(|config| config).await;
    let api = &platform.api;
    let (private, public) =
        made_by_openssl(&platform.folder.0, &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]);
    let zone = api.zone("acme.test").await;
    let record = format!("v=DKIM1; k=rsa; p={public}");
    api.publish(&zone, "s1._domainkey.mail", "TXT", &record, None).await;
    let domain = api.verified("mail.acme.test", "acme.test", "three-cname").await;
    let path = format!("/domains/{}", text(&domain, "id"));
    let (own, _) = send(api, "one@example.org").await;

    // What is no key, or no selector, is told without what was given.
    let refused = async |selector: &str, key: &str| {
        let body = json!({"selector": selector, "private_key": key});
        let (status, refused) = api.refused(&format!("{path}/keys"), &body).await;
        assert_eq!((status.as_u16(), text(&refused, "code")), (422, "INVALID_REQUEST"), "{refused:#}");
        assert!(!refused.to_string().contains("MII"), "{refused:#}");
        refused["errors"][0]["message"].as_str().unwrap().to_owned()
    };
    let (small, _) =
        made_by_openssl(&platform.folder.0, &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"]);
    let (ed25519, _) = made_by_openssl(&platform.folder.0, &["-algorithm", "ED25519"]);
    let (large, _) =
        made_by_openssl(&platform.folder.0, &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:4352"]);
    let pem = |what: &str| format!("-----BEGIN {what}-----\n{public}\n-----END {what}-----\n");
    for (selector, key, hint) in [
        ("s1", &*small, "2,048"),
        // No verifier has to verify with that (RFC 8301), and many do not verify this.
        ("s1", &large, "4,096"),
        ("s1", &ed25519, "Ed25519"),
        ("s1", "hello", "BEGIN PRIVATE KEY"),
        ("s1", &pem("PUBLIC KEY"), "public key"),
        ("s1", &pem("ENCRYPTED PRIVATE KEY"), "decrypt"),
        ("s1._domainkey.mail.acme.test", &private, "before ._domainkey"),
        ("a b", &private, "letters"),
        ("*", &private, "letters"),
        ("s_1", &private, "letters"),
        ("s1.-x", &private, "letters"),
        ("", &private, "selector"),
        (&own, &private, "already"),
    ] {
        let said = refused(selector, key).await;
        assert!(said.contains(hint), "{selector:?}: {said}");
    }

    let answer = api.request(reqwest::Method::POST, &format!("{path}/keys"));
    let body = json!({"selector": "S1", "private_key": private});
    let answer = answer.json(&body).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 201);
    let shown: Value = answer.json().await.unwrap();
    assert!(!shown.to_string().contains("PRIVATE KEY"));
    // Its record is there: it signs from now on, and the domain's DNS stays as it is.
    let state = async || keys(api, &path).await;
    let signs = |list: &Value| {
        let keys = list["data"].as_array().unwrap();
        keys.iter().any(|key| key["selector"] == "s1" && key["state"] == "active")
    };
    api.until(&format!("{path}/keys"), signs).await;
    let (selector, mail) = send(api, "two@example.org").await;
    assert_eq!(selector, "s1");
    accepted(&platform, &mail);
    // What is said of its record is what it is now.
    let says_so = |domain: &Value| {
        let records = domain["records"].as_array().unwrap();
        let own = records.iter().find(|record| text(record, "name").starts_with("s1.")).unwrap();
        text(own, "explanation").contains("is signed with")
    };
    api.until(&path, says_so).await;
    // It stays so, however often its record is seen.
    api.post(&format!("{path}/verify"), &json!({})).await;
    assert_eq!(send(api, "three@example.org").await.0, "s1");
    let (status, twice) = api.refused(&format!("{path}/keys"), &body).await;
    assert_eq!((status.as_u16(), text(&twice, "code")), (422, "INVALID_REQUEST"), "{twice:#}");

    // And goes over to the keys of the profile.
    api.post(&format!("{path}/keys/rotate"), &json!({})).await;
    let (selector, mail) = send(api, "four@example.org").await;
    assert!(state().await.iter().any(|(one, state)| *one == selector && state == "active"));
    assert_ne!(selector, "s1");
    accepted(&platform, &mail);
    assert_eq!(txt_records(api, &path, "draining").await, ["s1._domainkey.mail.acme.test"]);
    platform.instance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_behind_aliases_are_rotated_when_it_is_time() {
    let platform = Later::start(|config| Config { rotate_days: 14, ..config }).await;
    let api = &platform.api;
    let domain = api.verified("mail.acme.test", "acme.test", "three-cname").await;
    let text_key = api.verified("news.acme.test", "acme.test", "two-txt").await;
    let (path, of_text) =
        (format!("/domains/{}", text(&domain, "id")), format!("/domains/{}", text(&text_key, "id")));
    let first = keys(api, &path).await;
    let app = &platform.instance.app;
    app.rotate_due_keys().await.unwrap();
    let store = platform.store().await;
    let deadline = std::time::Instant::now() + PATIENCE;
    while !store.unscheduled_rotations(9).await.unwrap().is_empty() {
        assert!(std::time::Instant::now() < deadline, "they got no time");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    // Half a period is the soonest, one and a half the latest.
    platform.minutes.fetch_add(6 * 24 * 60, Ordering::Relaxed);
    assert_eq!(app.rotate_due_keys().await.unwrap(), 0);
    assert_eq!(keys(api, &path).await, first);
    platform.minutes.fetch_add(16 * 24 * 60, Ordering::Relaxed);
    app.rotate_due_keys().await.unwrap();
    api.until(&format!("{path}/keys"), |list| list["data"][1]["state"] == "active").await;
    let line = api.until("/audit?limit=100", |log| log.to_string().contains("domain.key_rotated")).await;
    let line =
        line["data"].as_array().unwrap().iter().find(|line| line["action"] == "domain.key_rotated").unwrap();
    assert_eq!(line["actor"]["type"], "system");
    // What the customer would have to do waits for somebody who asks.
    assert_eq!(states(&keys(api, &of_text).await), ["active"]);
    // Neither is due again in this period: nor is what waits for somebody asked for every day.
    platform.minutes.fetch_add(2 * 24 * 60, Ordering::Relaxed);
    assert_eq!(app.rotate_due_keys().await.unwrap(), 0);
    assert_eq!(states(&keys(api, &path).await)[1], "active");
    platform.instance.stop().await;
}

/// Killed at any moment of it: one key signs, every selector has its key in DNS, and what was left undone is done by
/// whoever comes next.
#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_is_cut_off_is_finished() {
    let folder = Folder::new();
    let mut process = Process::start(&folder.0);
    let mut paths = Vec::new();
    for name in ["a.acme.test", "b.acme.test", "c.acme.test"] {
        let domain = process.api().verified(name, "acme.test", "three-cname").await;
        paths.push(format!("/domains/{}", text(&domain, "id")));
    }
    let active = |keys: &[(String, String)]| {
        let active: Vec<_> = keys.iter().filter(|(_, state)| state == "active").collect();
        assert_eq!(active.len(), 1, "{keys:?}");
        active[0].0.clone()
    };
    let mut turns = 0;
    // The last time it is killed when it has answered, so that there was a turn on the slowest machine.
    for milliseconds in [Some(0), Some(10), Some(25), Some(45), Some(70), Some(110), Some(180), None] {
        let api = process.api();
        let mut before = Vec::new();
        for path in &paths {
            before.push(active(&keys(&api, path).await));
        }
        let mut asked: Vec<_> = paths
            .iter()
            .map(|path| {
                let rotate = api.request(reqwest::Method::POST, &format!("{path}/keys/rotate"));
                tokio::spawn(rotate.json(&json!({"compromised": true})).send())
            })
            .collect();
        match milliseconds {
            Some(milliseconds) => tokio::time::sleep(std::time::Duration::from_millis(milliseconds)).await,
            None => {
                for request in asked.drain(..) {
                    drop(request.await.unwrap());
                }
            }
        }
        process.kill();
        for request in asked {
            drop(request.await.unwrap());
        }
        process = Process::start(&folder.0);
        let api = process.api();
        for (path, before) in paths.iter().zip(before) {
            let is_over =
                |list: &Value| list["data"].as_array().unwrap().iter().all(|key| key["state"] != "draining");
            api.until(&format!("{path}/keys"), is_over).await;
            let after = keys(&api, path).await;
            assert_eq!(after.len(), 3, "{after:?}");
            turns += u32::from(active(&after) != before);
            api.post(&format!("{path}/verify"), &json!({})).await;
            let right = |domain: &Value| {
                domain["records"].as_array().unwrap().iter().all(|record| record["status"] == "verified")
            };
            assert_eq!(text(&api.until(path, right).await, "status"), "verified");
        }
    }
    assert!(turns > 0, "it was never quick enough for a turn");
    let api = process.api();
    let message =
        json!({"from": "x@a.acme.test", "to": ["one@example.org"], "subject": "Hi", "text": "It works"});
    let (_, received) = api.send_and_receive(&message).await;
    assert!(!received["authentication"].to_string().contains("fail"), "{received:#}");
    process.kill();
}
