//! DNS hosts that a token opens, each from the token to a verified domain and back.

use crate::{
    lifecycle::Later,
    support::{Platform, codes, text},
};
use countersign::Config;
use fake_hosts::{Fake, Token, account::Host};
use model::{DomainName, Record, RecordData, TxtData};
use serde_json::json;
use std::time::Duration;

/// What opens the fake, and must be found nowhere.
const TOKEN: &str = "marker-7f3a-0123456789-abcdefghij";

const ZONE: &str = "acme.test";

fn txt(owner: &str, value: &str) -> Record {
    let data = RecordData::Txt(TxtData::from_text(value));
    Record { owner: DomainName::parse(owner).unwrap(), ttl: 3_600, data }
}

/// The records of the zone, as sorted lines without TTLs.
fn lines<H: Host>(host: &Fake<H>) -> Vec<String> {
    let records = host.records(ZONE);
    let mut lines: Vec<String> = records
        .iter()
        .map(|held| format!("{} {} {}", held.record.owner, held.record.data.record_type(), held.record.data))
        .collect();
    lines.sort();
    lines
}

/// Connects by token, shows what would change, writes it, sees the domain verified, and takes it back.
async fn goes_from_a_token_to_verified_and_back<H: Host>(id: &str) {
    let host = Fake::<H>::start().unwrap();
    host.token(TOKEN, Token::good());
    host.token("marker-7f3a-reads-only-0123456789", Token { writes: false, ..Token::good() });
    host.zone(ZONE);
    host.put(ZONE, &txt("mail.acme.test", "v=spf1 ip4:192.0.2.1 -all"));
    host.put(ZONE, &txt("mail.acme.test", "somebody-elses-proof=1"));
    let before = lines(&host);
    let dns = host.serve_dns(Duration::ZERO).await.unwrap();
    let (resolver, address) = (dns.address().to_string(), format!("http://{}", host.address()));
    let later = Later::serve(|config| Config {
        operator_http: "127.0.0.1:0".into(),
        platform_zone: "send.serve.test".into(),
        smtp_relay: "sandbox".into(),
        resolvers: vec![resolver],
        private_dns: true,
        dns_host_apis: [(id.to_owned(), address)].into(),
        ..config
    })
    .await;
    dns.ask_elsewhere(DomainName::parse("send.serve.test").unwrap(), later.instance.dns);
    let api = &later.api;
    let known = api.get("/dns-hosts").await;
    let writing =
        &known["data"].as_array().unwrap().iter().find(|known| known["id"] == id).unwrap()["writing"];
    assert_eq!((&writing["proven"], &writing["fields"][0]["name"]), (&json!("fake"), &json!("token")));
    assert!(!writing["unproven"].as_array().unwrap().is_empty() && !writing["rights"][0].is_null());
    let domain = text(&api.post("/domains", &json!({"domain": "mail.acme.test"})).await, "id").to_owned();
    let with = |token: &str| json!({"host": id, "credential": {"token": token}, "domain_id": domain});

    let (status, refused) = api.refused("/dns-connections", &with("marker-7f3a-nobodys-0123456789")).await;
    assert_eq!((status.as_u16(), text(&refused, "code")), (422, "HOST_CREDENTIAL_INVALID"), "{refused:#}");
    let path = format!("/domains/{domain}/change-sets");
    let given =
        json!({"host": id, "credential": {"token": "marker-7f3a-reads-only-0123456789"}, "apply": true});
    let refused = api.post(&path, &given).await["data"][0].clone();
    assert_eq!(
        (text(&refused, "state"), text(&refused["error"], "code")),
        ("refused", "HOST_ACCESS_MISSING")
    );
    let words = text(&refused["error"], "message");
    assert!(words.contains("may not write records of this zone") && words.contains("It said: "), "{words}");
    assert_eq!(lines(&host), before);

    let kept = api.post("/dns-connections", &with(TOKEN)).await;
    assert_eq!(
        (text(&kept, "host"), text(&kept, "zone"), text(&kept, "hint")),
        (id, ZONE, "ghij"),
        "{kept:#}"
    );
    let set = api.post(&path, &json!({"connection_id": kept["id"]})).await["data"][0].clone();
    assert_eq!((text(&set, "state"), &set["blocked"]), ("planned", &json!([])), "{set:#}");
    assert!(text(&set, "diff").contains("old: v=spf1 ip4:192.0.2.1 -all"), "{}", text(&set, "diff"));
    assert_eq!(lines(&host), before, "a plan writes nothing");
    let applied = api.post(&format!("/change-sets/{}/apply", text(&set, "id")), &json!({})).await;
    assert_eq!(text(&applied, "state"), "applied", "{applied:#}");
    assert!(applied["steps"].as_array().unwrap().iter().all(|step| step["done"] == true), "{applied:#}");
    let verified = api.until(&format!("/domains/{domain}"), |domain| domain["status"] == "verified").await;
    assert_eq!(codes(&verified), ["dmarc_policy_none"], "what is left is advice");
    let after = lines(&host);
    assert!(after.contains(&"mail.acme.test TXT somebody-elses-proof=1".to_owned()), "{after:#?}");
    let second = api.post(&path, &json!({"connection_id": kept["id"]})).await["data"][0].clone();
    assert_eq!((&second["steps"], &second["blocked"]), (&json!([]), &json!([])), "{second:#}");

    let undo = json!({"connection_id": kept["id"], "apply": true});
    let undone = api.post(&format!("/change-sets/{}/undo", text(&set, "id")), &undo).await;
    assert_eq!(text(&undone, "state"), "applied", "{undone:#}");
    assert_eq!(lines(&host), before);
    later.instance.stop().await;
}

#[tokio::test]
async fn digitalocean_goes_from_a_token_to_verified_and_back() {
    goes_from_a_token_to_verified_and_back::<fake_hosts::digitalocean::Rules>("digitalocean").await;
}

#[tokio::test]
async fn hetzner_goes_from_a_token_to_verified_and_back() {
    goes_from_a_token_to_verified_and_back::<fake_hosts::hetzner::Rules>("hetzner").await;
}

#[tokio::test]
async fn gandi_goes_from_a_token_to_verified_and_back() {
    goes_from_a_token_to_verified_and_back::<fake_hosts::gandi::Rules>("gandi").await;
}

#[tokio::test]
async fn desec_goes_from_a_token_to_verified_and_back() {
    goes_from_a_token_to_verified_and_back::<fake_hosts::desec::Rules>("desec").await;
}

/// Who is asked for a token sees what the way there was tried against, and what nobody is sure of.
#[tokio::test]
async fn the_page_says_what_was_not_proven() {
    let platform = Platform::start().await;
    let api = &platform.api;
    let domain = text(&api.post("/domains", &json!({"domain": "mail.acme.test"})).await, "id").to_owned();
    for (host, label, fact) in [
        ("desec", "Token", "published source"),
        ("digitalocean", "API token", "quotation marks"),
        ("gandi", "Personal access token", "printable ASCII"),
        ("hetzner", "API token of the project", "under way"),
    ] {
        let page = api.plain(&format!("/domains/{domain}/write?host={host}")).await.text().await.unwrap();
        for words in [label, fact, "Make one there", "strict stand-in of the host", "Not certain:"] {
            assert!(page.contains(words), "{host}, {words}: {page}");
        }
    }
    platform.stop().await;
}
