//! `/domains`

use crate::platform::Platform;
use axum::http::header;

#[tokio::test]
async fn a_domain_is_added_looked_at_checked_and_deleted() {
    let platform = Platform::start().await;
    let added = platform.call("POST", "/api/v1/domains", "{\"domain\":\"Mail.Bücher.TEST\"}").await;
    assert_eq!(added.status, 201, "{}", added.text);
    let domain = added.json();
    let path = format!("/api/v1/domains/{}", domain["id"].as_str().unwrap());
    assert_eq!(added.header(header::LOCATION), path);
    assert_eq!(domain["object"], "domain");
    assert_eq!(domain["domain"], "mail.xn--bcher-kva.test");
    assert_eq!(domain["unicode"], "mail.bücher.test");
    assert_eq!(domain["status"], "pending");
    assert_eq!(domain["can_send"], false);
    assert_eq!(domain["profile"], "three-cname");
    assert_eq!(domain["tenant_id"], serde_json::Value::Null);
    assert_eq!(domain["dkim_tokens"].as_array().unwrap().len(), 3);
    assert_eq!(domain["capabilities"]["sending"], true);
    let records = domain["records"].as_array().unwrap();
    assert!(records.len() >= 3);
    let token = domain["dkim_tokens"][0].as_str().unwrap();
    let first = &records[0];
    assert!(first["id"].as_str().unwrap().starts_with("rec_"));
    assert_eq!(first["name"], format!("{token}._domainkey.mail.xn--bcher-kva.test"));
    assert_eq!(first["host"], format!("{token}._domainkey.mail"));
    assert_eq!(first["zone"], "xn--bcher-kva.test");
    assert_eq!(first["status"], "unknown");
    assert_eq!(first["checked_at"], serde_json::Value::Null);

    assert_eq!(platform.get(&path).await.json()["records"][0]["id"], first["id"], "ids are stable");
    assert_eq!(
        platform.get(&format!("{path}/observation")).await.json()["observation"],
        serde_json::Value::Null
    );

    let checked = platform.call("POST", &format!("{path}/verify"), "").await;
    assert_eq!(checked.status, 200, "{}", checked.text);
    let checked = checked.json();
    assert_eq!(checked["status"], "pending", "DNS did not answer, and that takes nothing away");
    assert!(checked["records"].as_array().unwrap().iter().all(|record| record["status"] == "unknown"));
    assert!(checked["last_checked_at"].is_string());
    let finding = &checked["findings"][0];
    assert_eq!(finding["docs"], format!("/docs/findings/{}", finding["code"].as_str().unwrap()));
    assert!(finding["evidence"].is_object() && finding["remedy"]["action"].is_string());
    let observation = platform.get(&format!("{path}/observation")).await.json();
    assert!(!observation["observation"]["exchanges"].as_array().unwrap().is_empty());
    platform
        .call("POST", &format!("{path}/verify"), "{\"force\":true}")
        .await
        .assert_problem(422, "INVALID_REQUEST");

    let readiness = platform.get(&format!("{path}/readiness")).await.json();
    assert_eq!(readiness["can_send"], false);
    assert_eq!(readiness["obstacles"][0]["code"], "DOMAIN_PENDING_VERIFICATION");

    let deleted = platform.call("DELETE", &path, "").await.json();
    assert_eq!((&deleted["object"], &deleted["deleted"]), (&"domain".into(), &true.into()));
    assert!(deleted["message"].as_str().unwrap().contains("nothing to remove"), "none was seen");
    assert_eq!(deleted["remove"], serde_json::json!([]));
    platform.get(&path).await.assert_problem(404, "DOMAIN_NOT_FOUND");
}

#[tokio::test]
async fn what_cannot_be_added_is_refused_with_its_reason() {
    let platform = Platform::start().await;
    let post = |body: &'static str| platform.call("POST", "/api/v1/domains", body);
    let added = post("{\"email\":\"ops@notices.acme.test\"}").await;
    assert_eq!((added.status.as_u16(), added.json()["domain"].as_str()), (201, Some("notices.acme.test")));
    let again = post("{\"domain\":\"notices.acme.test\"}").await;
    again.assert_problem(409, "DOMAIN_ALREADY_ADDED");
    assert_eq!(again.json()["domain_id"], added.json()["id"]);
    post("{\"domain\":\"gmail.com\"}").await.assert_problem(422, "DOMAIN_FREE_MAIL");
    post("{\"domain\":\"co.uk\"}").await.assert_problem(422, "DOMAIN_PUBLIC_SUFFIX");
    post("{\"domain\":\"https://acme.test/\"}").await.assert_problem(422, "DOMAIN_INVALID");
    let free_mail = post("{\"email\":\"someone@gmail.com\"}").await;
    free_mail.assert_problem(422, "DOMAIN_FREE_MAIL");
    assert_eq!(free_mail.json()["errors"][0]["field"], "email");
    for (body, field) in [
        ("{}", "domain"),
        ("{\"domain\":\"a.test\",\"email\":\"a@b.test\"}", "email"),
        ("{\"email\":\"notices.acme.test\"}", "email"),
        ("{\"domain\":\"b.acme.test\",\"profile\":\"none\"}", "profile"),
    ] {
        let answer = post(body).await;
        answer.assert_problem(422, "INVALID_REQUEST");
        assert_eq!(answer.json()["errors"][0]["field"], field, "{body}");
    }
}

#[tokio::test]
async fn domains_are_listed_in_pages() {
    let platform = Platform::start().await;
    for name in ["a.acme.test", "b.acme.test", "c.other.test"] {
        platform.add_domain(name).await;
    }
    let mut seen = Vec::new();
    let mut path = "/api/v1/domains?limit=2".to_owned();
    loop {
        let page = platform.get(&path).await.json();
        assert_eq!(page["object"], "list");
        seen.extend(page["data"].as_array().unwrap().iter().map(|domain| domain["domain"].to_string()));
        let Some(cursor) = page["next_cursor"].as_str() else {
            assert_eq!(page["has_more"], false);
            break;
        };
        path = format!("/api/v1/domains?limit=2&cursor={cursor}");
    }
    seen.sort();
    assert_eq!(seen, ["\"a.acme.test\"", "\"b.acme.test\"", "\"c.other.test\""]);
    let count = |page: serde_json::Value| page["data"].as_array().unwrap().len();
    assert_eq!(count(platform.get("/api/v1/domains?q=ACME").await.json()), 2);
    assert_eq!(count(platform.get("/api/v1/domains?status=verified").await.json()), 0);
}

#[tokio::test]
async fn records_and_reports_come_in_every_form() {
    let platform = Platform::start().await;
    let path = format!("/api/v1/domains/{}", platform.add_domain("mail.acme.test").await);
    for (query, media_type, part) in [
        ("records", "application/json", "\"object\":\"list\""),
        ("records?format=json", "application/json", "_domainkey.mail.acme.test"),
        ("records?format=csv", "text/csv", "type,name,host,zone,value"),
        ("records?format=zone", "text/plain", "._domainkey.mail.acme.test.\t"),
        ("records?format=zone&zone=acme.test", "text/plain", "; zone acme.test.\n"),
        ("records?format=terraform-cloudflare", "text/plain", "resource \"cloudflare_dns_record\""),
        ("records?format=terraform-route53", "text/plain", "resource \"aws_route53_record\""),
        ("records?format=cloudformation", "text/plain", "AWS::Route53::RecordSetGroup"),
        ("records?format=octodns&zone=acme.test", "text/plain", "type: CNAME"),
        ("records?format=dnscontrol", "text/plain", "D_EXTEND(\"acme.test\""),
        ("records?format=text", "text/plain", "Please publish these DNS records"),
        ("report", "application/json", "\"verdict\":\"unknown\""),
        ("report?format=text", "text/plain", "mail.acme.test"),
        ("report?format=markdown", "text/markdown", "mail.acme.test"),
    ] {
        let answer = platform.get(&format!("{path}/{query}")).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.text);
        assert!(answer.header(header::CONTENT_TYPE).starts_with(media_type), "{query}");
        assert!(answer.text.contains(part), "{query}: {}", answer.text);
    }
    let wrong = platform.get(&format!("{path}/records?format=xml")).await;
    wrong.assert_problem(422, "INVALID_REQUEST");
    assert_eq!(wrong.json()["errors"][0]["field"], "format");
    let message = wrong.json()["errors"][0]["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("give json, csv, zone, text, terraform-cloudflare"), "{message}");
    for (zone, words) in [("other.test", "none of the records is in other.test"), ("a..b", "empty label")] {
        let wrong = platform.get(&format!("{path}/records?format=csv&zone={zone}")).await;
        wrong.assert_problem(422, "INVALID_REQUEST");
        assert_eq!(wrong.json()["errors"][0]["field"], "zone");
        assert!(wrong.json()["errors"][0]["message"].as_str().unwrap().contains(words), "{}", wrong.text);
    }
}

#[tokio::test]
async fn profiles_and_dns_hosts_are_listed() {
    let platform = Platform::start().await;
    let profiles = platform.get("/api/v1/profiles").await.json();
    let defaults: Vec<_> =
        profiles["data"].as_array().unwrap().iter().filter(|profile| profile["default"] == true).collect();
    assert_eq!((defaults.len(), &defaults[0]["name"]), (1, &"three-cname".into()));
    let hosts = platform.get("/api/v1/dns-hosts").await.json();
    assert!(hosts["data"].as_array().unwrap().iter().any(|host| host["id"] == "cloudflare"));
}
