//! `check` and `explain`, against a real DNS server.

use crate::{
    dns_server::{DnsServer, Said, countersign},
    support::{Folder, Platform},
};
use serde_json::Value;
use std::fs;

const GOOD: &str = r#"@ IN TXT "v=spf1 ip4:192.0.2.1 -all"
    _dmarc IN TXT "v=DMARC1; p=reject""#;
const TWO_SPF: &str = r#"@ IN TXT "v=spf1 ip4:192.0.2.1 -all"
    @ IN TXT "v=spf1 ip4:192.0.2.2 -all"
    _dmarc IN TXT "v=DMARC1; p=none""#;

async fn explain(file: &str, arguments: &[&str]) -> Said {
    let all = ["explain", "-"].iter().chain(arguments).map(|&text| text.to_owned()).collect();
    countersign(all, file).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_made_again_from_its_raw_answers() {
    let server = DnsServer::start(&[("good.test", GOOD), ("bad.test", TWO_SPF)]).await;
    for (domain, code) in [("good.test", 0), ("bad.test", 1), ("refused.test", 3)] {
        let stored = server.countersign(&["check", domain, "--format", "json"], "").await;
        let again = explain(&stored.out, &["--format", "json"]).await;
        assert_eq!(again.out, stored.out, "{domain}");
        assert_eq!((stored.code, again.code), (Some(code), Some(code)), "{domain}: {stored:?}");
        // All the formats are made of the same report, without the network.
        for format in ["text", "markdown", "html"] {
            let shown = explain(&stored.out, &["--format", format, "--verbose"]).await;
            assert_eq!(shown.code, Some(code));
            assert!(shown.out.contains(domain), "{shown:?}");
            // Whoever puts it into a page of their own has no pages of the findings.
            assert!(!shown.out.contains("/docs/findings"), "{shown:?}");
        }
    }
    let stored = server.countersign(&["check", "bad.test", "--format", "json"], "").await;
    let text = explain(&stored.out, &[]).await.out;
    let fresh = server.countersign(&["check", "bad.test"], "").await.out;
    assert_eq!(text, fresh);
    drop(server);
    assert_eq!(explain(&stored.out, &[]).await.out, text, "nobody is asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_cannot_be_explained_are_told_with_their_place() {
    let folder = Folder::new();
    let path = folder.0.join("report.json");
    fs::write(&path, "{\n  \"domain\": \"good.test\",\n  \"plan\": 7\n}").unwrap();
    let said = countersign(vec!["explain".to_owned(), path.display().to_string()], "").await;
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("report.json: line 3, column 11: plan: invalid type"), "{said:?}");
    assert!(said.out.is_empty());
    let said = countersign(vec!["explain".to_owned(), "/nonexistent.json".to_owned()], "").await;
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("/nonexistent.json"), "{said:?}");
    for (file, words) in [
        ("{\"observation\":{\"exchanges\":[{\"x\":".to_owned() + &"[".repeat(1 << 20), "recursion limit"),
        ("{\"".to_owned() + &"x".repeat(1 << 20), "it ends in the middle"),
        (" ".repeat((32 << 20) + 1), "larger than 32 MiB"),
        ("{}\n{}".to_owned(), "missing field `plan`"),
    ] {
        let said = explain(&file, &[]).await;
        assert_eq!(said.code, Some(2), "{words}");
        assert!(said.err.contains(words) && said.err.len() < 400, "{words}: {}", said.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_records_of_a_profile_or_template_are_looked_for() {
    let server = DnsServer::start(&[(
        "acme.test",
        r#"mail IN TXT "v=spf1 include:spf.send.test ~all"
        k1._domainkey.mail IN CNAME k1.dkim.acme.test.
        k1.dkim IN TXT "v=DKIM1; p=AAAA"
        verify.mail IN TXT "token=abc""#,
    )])
    .await;
    let check = async |arguments: &[&str]| {
        let all = [&["check", "mail.acme.test", "--timeout", "5"], arguments].concat();
        server.countersign(&all, "").await
    };
    let folder = Folder::new();
    let path = folder.0.join("template.json");
    let file = path.to_str().unwrap();
    fs::write(
        &path,
        r#"{"providerId":"acme","providerName":"Acme","serviceId":"mail","serviceName":"Mail","records":[
        {"type":"TXT","groupId":"own","host":"verify","data":"token=%token%","ttl":300},
        {"type":"CNAME","groupId":"web","host":"www","pointsTo":"web.acme.test","ttl":300}]}"#,
    )
    .unwrap();
    let good = check(&["--template", file, "--var", "token=abc", "--group", "own"]).await;
    assert_eq!(good.code, Some(0), "{good:?}");
    let other = check(&["--template", file, "--var", "%token%=xyz", "--group", "own"]).await;
    assert_eq!(other.code, Some(1), "{other:?}");
    assert!(other.out.contains("token=xyz"), "{}", other.out);
    let all = check(&["--template", file, "--var", "token=abc"]).await;
    assert_eq!(all.code, Some(1), "www is missing: {all:?}");
    assert!(!all.out.contains("checked again"), "nobody does: {}", all.out);

    let missing = check(&["--profile", "two-txt"]).await;
    assert_eq!(missing.code, Some(2), "{missing:?}");
    for name in ["key1", "platform", "token1"] {
        assert!(missing.err.contains(&format!("--var {name}=VALUE")), "{name}: {}", missing.err);
    }
    for (arguments, words) in [
        (vec!["--profile", "nonsense"], "built in are three-cname"),
        (vec!["--profile", "two-txt", "--var", "tokn1=x"], "has no variable \"tokn1\""),
        (vec!["--profile", "two-txt", "--var", "token1"], "NAME=VALUE"),
        (vec!["--var", "token1=x"], "--profile or --template"),
        (vec!["--template", file, "--group", "nonsense", "--var", "token=a"], "no record is in the group"),
        (vec!["--profile", "two-txt", "--selector", "s1"], "cannot be used with"),
    ] {
        let said = check(&arguments).await;
        assert_eq!(said.code, Some(2), "{said:?}");
        assert!(said.err.contains(words), "{words}: {}", said.err);
    }
    fs::write(&path, "{\n  \"providerId\": \"acme\",\n  \"records\": [ }").unwrap();
    let malformed = check(&["--template", file]).await;
    assert_eq!(malformed.code, Some(2));
    assert!(malformed.err.contains("template.json: line 3, column "), "{}", malformed.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registered_domain_can_be_asserted_from_anywhere() {
    let platform = Platform::start().await;
    let api = &platform.api;
    let domain = api.verified("mail.acme.test", "acme.test", "three-cname").await;
    let dns = platform.instance.dns.to_string();
    let check = async |arguments: &[&str], input: &str| {
        let all = [&["check", "--resolver", &dns], arguments].concat().into_iter().map(str::to_owned);
        countersign(all.collect(), input).await
    };
    let shown = domain.to_string();
    let good = check(&["--expect", "-"], &shown).await;
    assert_eq!(good.code, Some(0), "{good:?}");
    assert!(good.out.starts_with("mail.acme.test: "), "{}", good.out);
    // An earlier report expects the same.
    let report = check(&["--expect", "-", "--format", "json"], &shown).await;
    let again = check(&["--expect", "-", "MAIL.acme.test."], &report.out).await;
    assert_eq!((again.code, &again.out), (good.code, &good.out));
    let other = check(&["--expect", "-", "other.test"], &shown).await;
    assert_eq!(other.code, Some(2));
    assert!(other.err.contains("are of mail.acme.test, not of other.test"), "{}", other.err);
    // As an operator does it: what `GET /api/v1/domains/{id}` says, kept in a file.
    let id = domain["id"].as_str().unwrap();
    let exported = api.request(reqwest::Method::GET, &format!("/domains/{id}")).send().await.unwrap();
    let path = platform.folder.0.join("exported.json");
    fs::write(&path, exported.bytes().await.unwrap()).unwrap();
    let from_file = check(&["--expect", path.to_str().unwrap()], "").await;
    assert_eq!((from_file.code, &from_file.out), (good.code, &good.out));
    // What is expected and not there fails.
    let token = domain["dkim_tokens"][0].as_str().unwrap();
    let changed = shown.replace(token, "another");
    let bad = check(&["--expect", "-"], &changed).await;
    assert_eq!(bad.code, Some(1), "{bad:?}");
    assert!(bad.out.contains("another._domainkey"), "{}", bad.out);
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_selector_those_that_many_have_are_tried() {
    let key = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    let with_key =
        format!("{GOOD}\ngoogle._domainkey IN TXT \"{key}\"\ndefault._domainkey IN TXT \"v=DKIM1; p=\"");
    let broken = format!("{GOOD}\ns1._domainkey IN TXT \"v=DKIM1; k=rsa; p=abc\"");
    let wildcard = format!("{GOOD}\n* IN TXT \"v=spf1 -all\"\n*._domainkey IN TXT \"{key}\"");
    let server = DnsServer::start(&[
        ("key.test", &with_key),
        ("good.test", GOOD),
        ("broken.test", &broken),
        ("wild.test", &wildcard),
    ])
    .await;
    for (domain, words) in [
        ("key.test", "3 fine: spf, dmarc, dkim-google"),
        ("key.test", "there may be others"),
        ("good.test", "no key under the 38 well-known selectors, so name yours"),
        ("good.test", "no DKIM key was found"),
        ("broken.test", "no working key under the 38 well-known selectors"),
        ("broken.test", "dkim-s1: "),
        ("wild.test", "a wildcard answers for every selector, so name yours"),
    ] {
        let said = server.countersign(&["check", domain], "").await;
        assert_eq!(said.code, Some(0), "it fails no domain: {said:?}");
        assert!(said.out.replace("\n  ", " ").contains(words), "{words}: {}", said.out);
    }
    // With a selector of one's own nothing is tried; nor in a list, unless it is gone through thoroughly.
    let named =
        server.countersign(&["check", "key.test", "--selector", "google", "--format", "json"], "").await;
    let named: Value = serde_json::from_str(&named.out).unwrap();
    assert_eq!((&named["tried_selectors"], named["records"].as_array().unwrap().len()), (&Value::Null, 3));
    for (thorough, records) in [(None, 2), (Some("--thorough"), 3)] {
        let list = ["check", "--from-file", "-", "--ndjson", "--full"];
        let said = server.countersign(&[&list[..], thorough.as_slice()].concat(), "key.test\n").await;
        let line: Value = serde_json::from_str(&said.out).unwrap();
        assert_eq!(line["records"].as_array().unwrap().len(), records, "{line:#}");
    }
    // The report is made again from its answers.
    let stored = server.countersign(&["check", "key.test", "--format", "json"], "").await;
    assert_eq!(explain(&stored.out, &["--format", "json"]).await.out, stored.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn name_servers_are_asked_by_one_family_where_that_is_wanted() {
    let server = DnsServer::start(&[("good.test", GOOD)]).await;
    let v4 = server.countersign(&["check", "good.test", "--ipv4", "--verbose"], "").await;
    assert!(v4.code == Some(0) && v4.err.is_empty() && v4.out.contains("ns.good.test (127.0.0.1"), "{v4:?}");
    let v6 = server.countersign(&["check", "good.test", "--ipv6", "--verbose"], "").await;
    assert_eq!(v6.code, Some(0), "the resolver knows: {v6:?}");
    assert!(
        v6.err.contains("no name server of good.test has an IPv6 address")
            && !v6.out.contains("ns.good.test ("),
        "{v6:?}"
    );
    let both = server.countersign(&["check", "good.test", "--ipv6", "--ipv4"], "").await;
    assert!(both.code == Some(2) && both.err.contains("cannot be used with"), "{both:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_to_end_has_its_exit_code() {
    let server = DnsServer::start(&[("good.test", GOOD), ("bad.test", TWO_SPF)]).await;
    for (domain, code) in [
        ("good.test", 0),
        ("Jane <jane@GOOD.test>", 0),
        ("GOOD.test.", 0),
        ("bad.test", 1),
        ("https://good.test/x", 2),
        ("not a domain", 2),
    ] {
        let said = server.countersign(&["check", domain], "").await;
        assert_eq!(said.code, Some(code), "{domain}: {said:?}");
        assert_eq!(said.err.is_empty(), code != 2, "{domain}: {said:?}");
    }
    // Nothing listens there: the port was free a moment ago.
    let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let offline = ["check", "good.test", "--resolver", &free, "--timeout", "5"].map(str::to_owned).to_vec();
    let said = countersign(offline, "").await;
    assert_eq!(said.code, Some(3), "{said:?}");
    assert!(said.out.contains("could not tell"), "{said:?}");
    assert!(said.out.contains("Is the address right?"), "{said:?}");
}
