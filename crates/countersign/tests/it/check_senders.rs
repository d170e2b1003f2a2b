//! Reverse DNS of the servers that send, and CAA records at the hosts that links lead to: by the command, by the API
//! and for domains that were added.

use crate::{
    dns_server::{DnsServer, Said},
    support::{Api, Folder, codes, config, text},
};
use countersign::{Config, Instance};
use serde_json::{Value, json};
use std::fs;

const GOOD: &str = r#"@ IN TXT "v=spf1 ip4:9.0.0.25 -all"
    _dmarc IN TXT "v=DMARC1; p=reject; rua=mailto:dmarc@good.test"
    out IN A 9.0.0.25
    out IN AAAA 2a00:db8::25"#;
const REVERSE: &str = "25.0.0 IN PTR out.good.test.
    26.0.0 IN PTR out.good.test.";
const REVERSE_V6: &str = "5.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0 IN PTR out.good.test.";

async fn dns() -> DnsServer {
    DnsServer::start(&[("good.test", GOOD), ("9.in-addr.arpa", REVERSE), ("0.0.a.2.ip6.arpa", REVERSE_V6)])
        .await
}

async fn check(server: &DnsServer, arguments: &[&str]) -> Said {
    let all = [&["check", "good.test", "--timeout", "5"], arguments].concat();
    server.countersign(&all, "").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sending_server_needs_a_name_that_leads_back() {
    let server = dns().await;
    let good = check(&server, &["--sender", "9.0.0.25", "--sender", "2a00:db8::25"]).await;
    assert_eq!(good.code, Some(0), "{good:?}");
    for address in ["9.0.0.25", "2a00:db8::25"] {
        let line = format!("{address} is out.good.test, which leads back to it");
        assert!(good.out.contains(&line), "{}", good.out);
    }
    let report = check(&server, &["--sender", "::ffff:9.0.0.25", "--format", "json"]).await;
    let report: Value = serde_json::from_str(&report.out).unwrap();
    assert_eq!(report["mail"]["senders"][0]["address"], "9.0.0.25");
    assert_eq!(report["mail"]["senders"][0]["reverse"]["status"], "confirmed");
    // A name that leads to another address, no name, and no answer, which proves nothing.
    for (address, words) in [
        ("9.0.0.26", "does not lead back: out.good.test"),
        ("9.0.0.27", "The sending server 9.0.0.27 has no reverse DNS name"),
        ("8.8.8.8", "8.8.8.8 is not known"),
    ] {
        let said = check(&server, &["--sender", address]).await;
        assert!(said.out.contains(words), "{}", said.out);
        assert_eq!(said.code, Some(0), "it is no record of the domain: {said:?}");
    }
    let verbose = check(&server, &["--sender", "9.0.0.27", "--verbose"]).await;
    assert!(verbose.out.contains("sender_ptr_missing"), "{}", verbose.out);
    // Without the flag nobody's reverse DNS is looked at.
    let without = check(&server, &["--verbose"]).await;
    assert!(!without.out.contains("Reverse DNS of the sending"), "{}", without.out);
    for (arguments, words) in [
        (vec!["--sender", "mail.good.test"], "invalid"),
        (vec!["--sender"], "a value is required"),
        (vec!["--certificate-authority", "letsencrypt.org"], "the audit of a domain has none"),
        (vec!["--certificate-authority", "letsencrypt"], "by its domain"),
    ] {
        let said = check(&server, &arguments).await;
        assert_eq!(said.code, Some(2), "{said:?}");
        assert!(said.err.contains(words), "{words}: {}", said.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_looked_at_for_senders_when_it_is_looked_at_thoroughly() {
    let server = dns().await;
    let run = async |more: &[&str]| {
        let all = [&["check", "--from-file", "-", "--ndjson", "--sender", "9.0.0.26"], more].concat();
        server.countersign(&all, "good.test\n").await
    };
    let refused = run(&[]).await;
    assert_eq!(refused.code, Some(2));
    assert!(refused.err.contains("--sender takes --thorough"), "{}", refused.err);
    let thorough = run(&["--thorough"]).await;
    assert_eq!(thorough.code, Some(0), "{thorough:?}");
    assert!(thorough.out.contains("sender_ptr_missing"), "{}", thorough.out);
}

/// A host with links, and what is said of certificates for it.
const TEMPLATE: &str = r#"{"providerId":"acme","providerName":"Acme","serviceId":"links","serviceName":"Links",
    "records":[{"type":"CNAME","groupId":"tracking","host":"track","pointsTo":"links.send.test","ttl":300},
        {"type":"CNAME","groupId":"own","host":"_proof","pointsTo":"proof.send.test","ttl":300}]}"#;

/// Records at and above the host, and whether letsencrypt.org may issue for it.
const CAA: &[(&str, &str, bool)] = &[
    ("none at all", "", true),
    ("named at the host", "track.mail IN CAA 0 issue \"letsencrypt.org\"", true),
    ("another at the host", "track.mail IN CAA 0 issue \"ca.example\"", false),
    ("nobody may", "mail IN CAA 0 issue \";\"", false),
    ("inherited from the zone", "@ IN CAA 0 issue \"ca.example\"", false),
    (
        "inherited, and ours among them",
        "@ IN CAA 0 issue \"ca.example\"\n@ IN CAA 0 issue \"letsencrypt.org\"",
        true,
    ),
    ("the nearest one counts", "mail IN CAA 0 issue \"letsencrypt.org\"\n@ IN CAA 0 issue \";\"", true),
    ("only wildcards are forbidden", "@ IN CAA 0 issuewild \";\"", true),
    (
        "issuewild is for wildcards only",
        "@ IN CAA 0 issue \";\"\n@ IN CAA 0 issuewild \"letsencrypt.org\"",
        false,
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn caa_records_decide_who_issues_for_a_host_with_links() {
    let folder = Folder::new();
    let file = folder.0.join("links.json");
    fs::write(&file, TEMPLATE).unwrap();
    let arguments = ["check", "mail.good.test", "--template", file.to_str().unwrap(), "--timeout", "5"];
    for (what, records, may_issue) in CAA {
        // CAA stands beside no alias: the host has an address of its own where it has CAA records.
        let (zone, records) = if records.starts_with("track") {
            ("track.mail IN A 9.0.0.1", *records)
        } else {
            ("track.mail IN CNAME links.send.test.", *records)
        };
        let zone = format!("{zone}\n_proof.mail IN CNAME proof.send.test.\n{records}");
        let server = DnsServer::start(&[
            ("good.test", &zone),
            ("send.test", "links IN A 9.0.0.1\nproof IN TXT \"x\""),
            // Who climbs for CAA records gets as far as that.
            ("test", ""),
        ])
        .await;
        let run = async |more: &[&str]| {
            let said = server.countersign(&[&arguments[..], more].concat(), "").await;
            serde_json::from_str::<Value>(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"))
        };
        let report = run(&["--certificate-authority", "LetsEncrypt.org", "--format", "json"]).await;
        let hosts = report["mail"]["https_hosts"].as_array().unwrap();
        assert_eq!(hosts.len(), 1, "{what}: no certificate is for a name with an underscore");
        assert_eq!(hosts[0]["may_issue"], json!(may_issue), "{what}: {hosts:?}");
        let is_found = codes(&report).contains(&"caa_forbids_issuance".to_owned());
        assert_eq!(is_found, !may_issue, "{what}: {:?}", codes(&report));
        // Who issues is asked only of who says who does.
        let silent = run(&["--format", "json"]).await;
        assert_eq!(silent["mail"]["https_hosts"], json!([]), "{what}");
    }
}

/// A platform with what an operator says of senders and certificates, and with a profile that has a host with links.
async fn platform(change: impl FnOnce(&mut Config)) -> (Instance, Api, Folder) {
    let folder = Folder::new();
    let profiles = folder.0.join("profiles");
    fs::create_dir(&profiles).unwrap();
    fs::write(profiles.join("links.json"), TEMPLATE).unwrap();
    let own = TEMPLATE.replace("\"links\"", "\"own-authority\"").replacen(
        '{',
        "{\"x-countersign\":{\"certificateAuthority\":\"ca.example\"},",
        1,
    );
    fs::write(profiles.join("own.json"), own).unwrap();
    let mut config = config(&folder);
    config.profiles = profiles;
    change(&mut config);
    let instance = Instance::start(&config).await.unwrap();
    let api = Api::new(instance.http, &instance.api_key);
    (instance, api, folder)
}

async fn check_domain(api: &Api, domain: &Value) -> Value {
    api.post(&format!("/domains/{}/verify", text(domain, "id")), &json!({})).await
}

#[tokio::test]
async fn the_platform_s_own_senders_are_looked_at_with_every_domain() {
    let senders = ["9.0.0.25", "127.0.0.1"].map(|address| address.parse().unwrap());
    let (instance, api, _folder) = platform(|config| config.sender_addresses = senders.to_vec()).await;
    let domain = api.verified("mail.acme.test", "acme.test", "two-txt").await;
    // The address on loopback has no name that a receiver could look up.
    let missing: Vec<String> =
        codes(&domain).into_iter().filter(|code| code == "sender_ptr_missing").collect();
    assert_eq!(missing.len(), 1, "{:?}", codes(&domain));
    assert_eq!(text(&domain, "status"), "verified", "the domain's records are not to blame");
    let reverse = api.zone("9.in-addr.arpa").await;
    let record = api.publish(&reverse, "25.0.0", "PTR", "out.acme.test", None).await;
    let unconfirmed = check_domain(&api, &domain).await;
    let finding = unconfirmed["findings"].as_array().unwrap().iter();
    let titles: Vec<&str> = finding.map(|finding| text(finding, "title")).collect();
    assert!(titles.iter().any(|title| title.contains("does not lead back: out.acme.test")), "{titles:?}");
    let zone = api.zone("acme.test").await;
    api.publish(&zone, "out", "A", "9.0.0.25", None).await;
    let good = check_domain(&api, &domain).await;
    assert!(!codes(&good).contains(&"sender_ptr_missing".to_owned()), "{record}: {:?}", codes(&good));
    // Any domain, by the API: with the same answer.
    for (sender, status) in [("9.0.0.25", "confirmed"), ("9.0.0.26", "missing")] {
        let report = api.post("/checks", &json!({"domain": "acme.test", "senders": [sender]})).await;
        assert_eq!(report["mail"]["senders"][0]["reverse"]["status"], status);
    }
    let many: Vec<String> = (0..11).map(|number| format!("9.0.0.{number}")).collect();
    for (senders, field) in
        [(json!(many), "senders"), (json!(["nonsense"]), "senders[0]"), (json!("9.0.0.1"), "senders")]
    {
        let (status, problem) =
            api.refused("/checks", &json!({"domain": "acme.test", "senders": senders})).await;
        assert_eq!(status, 422, "{problem:#}");
        assert_eq!(problem["errors"][0]["field"], field, "{problem:#}");
    }
    instance.stop().await;
}

#[tokio::test]
async fn the_platform_s_certificate_authority_is_looked_for_unless_a_profile_names_one() {
    let (instance, api, _folder) =
        platform(|config| config.certificate_authority = "letsencrypt.org".to_owned()).await;
    let zone = api.zone("acme.test").await;
    for (host, target) in [("track", "links.send.test"), ("_proof", "proof.send.test")] {
        api.publish(&zone, &format!("{host}.mail"), "CNAME", target, None).await;
        api.publish(&zone, &format!("{host}.news"), "CNAME", target, None).await;
    }
    let caa = |domain: &Value| codes(domain).contains(&"caa_forbids_issuance".to_owned());
    let add = async |name: &str, profile: &str| {
        let added = api.post("/domains", &json!({"domain": name, "profile": profile})).await;
        check_domain(&api, &added).await
    };
    let (ours, own) = (add("mail.acme.test", "links").await, add("news.acme.test", "own-authority").await);
    assert!(!caa(&ours) && !caa(&own), "without CAA records everybody may");
    api.publish(&zone, "@", "CAA", "0 issue \"letsencrypt.org\"", None).await;
    let (ours, own) = (check_domain(&api, &ours).await, check_domain(&api, &own).await);
    assert!(!caa(&ours), "{:?}", codes(&ours));
    assert!(caa(&own), "its profile has certificates from ca.example: {:?}", codes(&own));
    // By the API, for any domain and template.
    let template: Value = serde_json::from_str(TEMPLATE).unwrap();
    for (authority, may_issue) in [("letsencrypt.org", true), ("ca.example", false)] {
        let body =
            json!({"domain": "mail.acme.test", "template": template, "certificate_authority": authority});
        let report = api.post("/checks", &body).await;
        assert_eq!(report["mail"]["https_hosts"][0]["may_issue"], json!(may_issue), "{authority}");
    }
    let body = json!({"domain": "mail.acme.test", "certificate_authority": "ca.example"});
    let (_, problem) = api.refused("/checks", &body).await;
    assert_eq!(problem["errors"][0]["field"], "certificate_authority", "{problem:#}");
    instance.stop().await;
}
