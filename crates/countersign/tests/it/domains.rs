//! Adding, reading, deleting domains.

use crate::support::{Platform, codes, text};
use reqwest::StatusCode;
use serde_json::{Value, json};

#[tokio::test]
async fn what_cannot_be_a_sender_domain_is_refused_with_the_reason() {
    let platform = Platform::start().await;
    let long = format!("{}.test", ["abcdefgh"; 40].join("."));
    for (domain, code) in [
        ("gmail.com", "DOMAIN_FREE_MAIL"),
        ("someone@googlemail.com", "DOMAIN_FREE_MAIL"),
        ("co.uk", "DOMAIN_PUBLIC_SUFFIX"),
        ("", "DOMAIN_INVALID"),
        ("localhost", "DOMAIN_INVALID"),
        ("192.0.2.1", "DOMAIN_INVALID"),
        ("https://example.com/", "DOMAIN_INVALID"),
        ("a..b.example", "DOMAIN_INVALID"),
        ("-a.example", "DOMAIN_INVALID"),
        ("a b.example", "DOMAIN_INVALID"),
        ("_dmarc.example.com", "DOMAIN_INVALID"),
        ("*.example.com", "DOMAIN_INVALID"),
        ("xn--a.example", "DOMAIN_INVALID"),
        ("a\u{0}b.example", "DOMAIN_INVALID"),
        (long.as_str(), "DOMAIN_INVALID"),
    ] {
        let (status, problem) = platform.api.refused("/domains", &json!({"domain": domain})).await;
        assert_eq!((status, text(&problem, "code")), (StatusCode::UNPROCESSABLE_ENTITY, code), "{domain}");
        assert!(text(&problem, "detail").len() < 500, "{domain}");
    }
    platform.stop().await;
}

#[tokio::test]
async fn names_are_normalised_and_an_address_stands_for_its_domain() {
    let platform = Platform::start().await;
    let domain = platform.api.post("/domains", &json!({"domain": "Post.Bücher.Test"})).await;
    assert_eq!(
        (text(&domain, "domain"), text(&domain, "unicode")),
        ("post.xn--bcher-kva.test", "post.bücher.test")
    );
    let domain = platform
        .api
        .post("/domains", &json!({"email": "ops@notices.acme.test", "profile": "contact-domain"}))
        .await;
    assert_eq!(text(&domain, "domain"), "notices.acme.test");
    let records: Vec<(&str, &str)> =
        domain["records"].as_array().unwrap().iter().map(|r| (text(r, "type"), text(r, "name"))).collect();
    assert_eq!(
        records,
        [
            ("TXT", "notices.acme.test"),
            ("CNAME", "key1._domainkey.notices.acme.test"),
            ("CNAME", "key2._domainkey.notices.acme.test"),
            ("TXT", "_dmarc.notices.acme.test"),
        ]
    );
    // The target has a token: a left-over alias proves nothing for whoever adds the domain next.
    let token = domain["dkim_tokens"][0].as_str().unwrap();
    assert_eq!(
        text(&domain["records"][1], "value"),
        format!("{token}.notices.acme.test.dkim.send.countersign.test")
    );
    platform.stop().await;
}

#[tokio::test]
async fn a_record_has_all_that_its_publisher_needs() {
    let platform = Platform::start().await;
    let domain =
        platform.api.post("/domains", &json!({"domain": "mail.acme.test", "profile": "five-records"})).await;
    let records = domain["records"].as_array().unwrap();
    assert_eq!(records.len(), 6);
    let mx = records.iter().find(|record| record["type"] == "MX").unwrap();
    assert_eq!(
        (
            text(mx, "host"),
            text(mx, "name"),
            text(mx, "value"),
            &mx["priority"],
            &mx["required"],
            text(mx, "purpose")
        ),
        (
            "bounce.mail",
            "bounce.mail.acme.test",
            "feedback.send.countersign.test",
            &json!(10),
            &json!(true),
            "return_path"
        )
    );
    let dmarc = records.iter().find(|record| record["purpose"] == "dmarc").unwrap();
    assert_eq!(dmarc["required"], false);
    for record in records {
        assert!(text(record, "id").starts_with("rec_"));
        assert!(!text(record, "explanation").is_empty());
        assert_eq!(text(record, "zone"), "acme.test");
    }
    // The same ids at every look.
    let again = platform.api.get(&format!("/domains/{}", text(&domain, "id"))).await;
    assert_eq!(again["records"][0]["id"], domain["records"][0]["id"]);
    platform.stop().await;
}

#[tokio::test]
async fn a_domain_is_there_once_and_fresh_after_deleting() {
    let platform = Platform::start().await;
    let api = &platform.api;
    let body = json!({"domain": "mail.acme.test"});
    let first = api.post("/domains", &body).await;
    let (status, problem) = api.refused("/domains", &body).await;
    assert_eq!((status, text(&problem, "code")), (StatusCode::CONFLICT, "DOMAIN_ALREADY_ADDED"));
    let deleted = api.delete(&format!("/domains/{}", text(&first, "id"))).await;
    assert!(deleted["message"].as_str().unwrap().contains("DNS"), "{deleted:#}");
    let second = api.post("/domains", &body).await;
    assert_ne!(second["dkim_tokens"], first["dkim_tokens"]);
    // A profile whose names have no token can be added again too.
    let body = json!({"domain": "acme.test", "profile": "contact-domain"});
    let contact = api.post("/domains", &body).await;
    assert_eq!(codes(&contact), Vec::<String>::new());
    api.delete(&format!("/domains/{}", text(&contact, "id"))).await;
    api.post("/domains", &body).await;
    platform.stop().await;
}

#[tokio::test]
async fn domains_are_listed_newest_first_in_pages() {
    let platform = Platform::start().await;
    for number in 1..=5 {
        platform
            .api
            .post("/domains", &json!({"domain": format!("m{number}.acme.test"), "profile": "two-txt"}))
            .await;
    }
    let names = |page: &Value| -> Vec<String> {
        page["data"].as_array().unwrap().iter().map(|domain| text(domain, "domain").to_owned()).collect()
    };
    let first = platform.api.get("/domains?limit=3").await;
    assert_eq!(names(&first), ["m5.acme.test", "m4.acme.test", "m3.acme.test"]);
    assert_eq!(first["has_more"], true);
    let second = platform.api.get(&format!("/domains?limit=3&cursor={}", text(&first, "next_cursor"))).await;
    assert_eq!(names(&second), ["m2.acme.test", "m1.acme.test"]);
    assert_eq!((&second["has_more"], &second["next_cursor"]), (&json!(false), &Value::Null));
    platform.stop().await;
}

#[tokio::test]
async fn an_existing_spf_record_is_merged() {
    let platform = Platform::start().await;
    let api = &platform.api;
    let zone = api.zone("acme.test").await;
    api.publish(&zone, "mail", "TXT", "v=spf1 ip4:192.0.2.1 -all", None).await;
    let domain = api.post("/domains", &json!({"domain": "mail.acme.test", "profile": "two-txt"})).await;
    let checked = api.post(&format!("/domains/{}/verify", text(&domain, "id")), &json!({})).await;
    let spf =
        checked["records"].as_array().unwrap().iter().find(|record| record["purpose"] == "spf").unwrap();
    assert_eq!(spf["current"], json!(["v=spf1 ip4:192.0.2.1 -all"]));
    assert_eq!(text(spf, "replace"), "v=spf1 ip4:192.0.2.1 include:spf.send.countersign.test -all");
    assert_eq!(spf["findings"], json!(["spf_mechanism_absent"]));
    platform.stop().await;
}

#[tokio::test]
async fn the_playground_publishes_what_a_domain_lacks_and_leaves_what_others_wrote() {
    let platform = Platform::start().await;
    let api = &platform.api;
    let zone = api.zone("acme.test").await;
    let domain = api.post("/domains", &json!({"domain": "mail.acme.test"})).await;
    let token = domain["dkim_tokens"][0].as_str().unwrap();
    let pasted = api.publish(&zone, &format!("{token}._domainkey.mail"), "TXT", "pasted as text", None).await;
    api.publish(&zone, "mail", "TXT", "v=spf1 ip4:192.0.2.1 -all", None).await;
    api.publish(&zone, "mail", "TXT", "somebody-elses-proof=1", None).await;
    let id = text(&domain, "id");
    let (status, refused) = api.refused(&format!("/playground/domains/{id}/publish"), &json!({})).await;
    assert_eq!((status.as_u16(), text(&refused, "code")), (409, "CHANGES_BLOCKED"), "{refused:#}");
    assert_eq!(refused["errors"].as_array().unwrap().len(), 1, "{refused:#}");
    assert!(
        text(&refused["errors"][0], "message").contains("a CNAME cannot stand beside them"),
        "{refused:#}"
    );
    let left = api.get(&format!("/playground/zones/{zone}")).await.to_string();
    assert!(
        left.contains("somebody-elses-proof=1") && left.contains("ip4:192.0.2.1 include:spf.send"),
        "{left}"
    );
    assert!(left.contains("pasted as text"), "it is not ours to remove: {left}");

    api.delete(&format!("/playground/records/{pasted}")).await;
    let made = api.post(&format!("/playground/domains/{id}/publish"), &json!({})).await;
    assert_eq!(made["data"].as_array().unwrap().len(), 1, "all else was written before: {made:#}");
    let all =
        |d: &Value| d["records"].as_array().unwrap().iter().all(|record| record["status"] == "verified");
    api.until(&format!("/domains/{id}"), all).await;
    let again = api.post(&format!("/playground/domains/{id}/publish"), &json!({})).await;
    assert_eq!(again["data"], json!([]));
    platform.stop().await;
}

#[tokio::test]
async fn the_raw_answers_of_a_check_can_be_read() {
    let platform = Platform::start().await;
    let domain = platform.api.post("/domains", &json!({"domain": "mail.acme.test"})).await;
    let path = format!("/domains/{}", text(&domain, "id"));
    platform.api.post(&format!("{path}/verify"), &json!({})).await;
    let observation = platform.api.get(&format!("{path}/observation")).await;
    let text = observation.to_string();
    assert!(
        text.contains("ns1.playground.test") && text.contains("n_x_domain") || text.contains("nx_domain"),
        "{text}"
    );
    platform.stop().await;
}

#[tokio::test]
async fn aliases_in_a_circle_are_told_and_not_waited_for() {
    let platform = Platform::start().await;
    let api = &platform.api;
    let zone = api.zone("acme.test").await;
    let domain = api.post("/domains", &json!({"domain": "mail.acme.test", "profile": "aggregate"})).await;
    api.publish(&zone, "_dmarc.mail", "CNAME", "_dmarc.mail.acme.test", None).await;
    api.publish(&zone, "mail", "CNAME", "two.acme.test", None).await;
    api.publish(&zone, "two", "CNAME", "mail.acme.test", None).await;
    let checked = api.post(&format!("/domains/{}/verify", text(&domain, "id")), &json!({})).await;
    for purpose in ["spf", "dmarc"] {
        let record = checked["records"].as_array().unwrap().iter().find(|r| r["purpose"] == purpose).unwrap();
        assert_eq!(record["findings"], json!(["record_wrong_type"]), "{purpose}: {record:#}");
        assert_eq!(text(record, "status"), "failed");
    }
    platform.stop().await;
}
