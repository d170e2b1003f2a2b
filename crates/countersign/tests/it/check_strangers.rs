//! What strangers may do at the public page: not look into the operator's network, and not keep others out.

use crate::support::{Api, Folder, PATIENCE, Platform, config};
use countersign::{Config, Instance};
use reqwest::{StatusCode, header};
use serde_json::{Value, json};
use std::{net::SocketAddr, time::Instant};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpSocket, TcpStream},
};

/// What only the operator's network knows.
const SECRETS: [&str; 5] = ["10.1.2.3", "inner-text", "inner-exchanger", "inner-printer", "inner-route"];

fn encoded(form: &[(&str, &str)]) -> String {
    let escape = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<Vec<_>>().concat();
    form.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect::<Vec<_>>().join("&")
}

/// The page's answer to a form.
async fn visit(page: SocketAddr, form: &[(&str, &str)]) -> (StatusCode, String) {
    let client = reqwest::Client::builder().timeout(PATIENCE).no_proxy().build().unwrap();
    let request = client
        .post(format!("http://{page}/check"))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(encoded(form));
    let response = request.send().await.unwrap();
    (response.status(), response.text().await.unwrap())
}

fn template(records: &Value) -> Value {
    json!({
        "providerId": "mailer.example", "serviceId": "mail", "providerName": "Mailer", "serviceName": "Mail",
        "records": records,
    })
}

/// A resolver inside of a network: it knows the world, and names that only this network has.
async fn network() -> Platform {
    let platform = Platform::start().await;
    let api = &platform.api;
    let corp = api.zone("db.corp").await;
    api.publish(&corp, "@", "A", "10.1.2.3", None).await;
    api.publish(&corp, "@", "TXT", "v=spf1 exists:inner-text.example -all", None).await;
    api.publish(&corp, "@", "MX", "inner-exchanger.example.net", Some(10)).await;
    api.publish(&corp, "around", "CNAME", "inner-route.example.com", None).await;
    let reverse = api.zone("1.10.in-addr.arpa").await;
    api.publish(&reverse, "3.2", "PTR", "inner-printer.example.com", None).await;
    let world = api.zone("example.com").await;
    api.publish(&world, "inner-route", "A", "198.51.100.7", None).await;
    for (host, kind, value, priority) in [
        ("@", "TXT", "v=spf1 include:db.corp mx a:db.corp redirect=3.2.1.10.in-addr.arpa", None),
        ("@", "MX", "db.corp", Some(10)),
        ("_dmarc", "TXT", "v=DMARC1; p=none; rua=mailto:x@db.corp", None),
        ("s1._domainkey", "CNAME", "db.corp", None),
        ("s2._domainkey", "CNAME", "around.db.corp", None),
        ("s3._domainkey", "CNAME", "3.2.1.10.in-addr.arpa", None),
        ("www", "CNAME", "db.corp", None),
        ("good", "TXT", "v=spf1 ip4:192.0.2.1 -all", None),
        ("_dmarc.good", "TXT", "v=DMARC1; p=reject", None),
    ] {
        api.publish(&world, host, kind, value, priority).await;
    }
    platform
}

#[tokio::test]
async fn nothing_of_the_operator_s_network_is_told_whatever_leads_there() {
    let network = network().await;
    let folder = Folder::new();
    let check_resolvers = vec![network.instance.dns.to_string()];
    let config = Config { check_resolvers, checks_per_minute: 1_000, ..config(&folder) };
    let instance = Instance::start(&config).await.unwrap();
    let (page, api) = (instance.public_http.unwrap(), Api::new(instance.http, &instance.api_key));
    let domain = ("domain", "example.com");
    // Where the plan itself leads there it is refused.
    for records in [
        json!([{"type": "A", "host": "db.corp.", "pointsTo": "9.9.9.9", "ttl": 60}]),
        json!([{"type": "TXT", "host": "%where%", "data": "x", "ttl": 60}]),
        json!([{"type": "CNAME", "host": "3.2.1.10.in-addr.arpa.", "pointsTo": "a.example", "ttl": 60}]),
    ] {
        let template = template(&records);
        let given = [domain, ("template", &template.to_string()), ("variables", "where=db.corp.")];
        let (status, html) = visit(page, &given).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{html}");
        assert!(html.contains("not in the public DNS"), "{html}");
        let body = json!({"domain": "example.com", "template": template, "variables": {"where": "db.corp."}});
        let (status, problem) = api.refused("/checks", &body).await;
        assert_eq!(
            (status.as_u16(), &problem["errors"][0]["field"]),
            (422, &json!("template")),
            "{problem:#}"
        );
    }
    // What records of the world lead to is not asked for, and aliases that a resolver follows by itself end.
    let aliases = template(&json!([
        {"type": "CNAME", "host": "s1._domainkey", "pointsTo": "db.corp", "ttl": 60},
        {"type": "CNAME", "host": "new", "pointsTo": "db.corp", "ttl": 60},
        {"type": "CNAME", "host": "www", "pointsTo": "db.corp", "ttl": 60},
        {"type": "SPFM", "host": "@", "spfRules": "include:db.corp"},
        {"type": "MX", "host": "@", "pointsTo": "db.corp", "priority": 10, "ttl": 60},
        {"type": "NS", "host": "deep", "pointsTo": "db.corp", "ttl": 60},
    ]))
    .to_string();
    for form in [&[domain, ("selectors", "s1 s2 s3")][..], &[domain, ("template", &aliases)]] {
        let (status, html) = visit(page, form).await;
        assert_eq!(status, StatusCode::OK, "{html}");
        assert!(html.contains("class=\"report\""), "{html}");
        for secret in SECRETS {
            assert!(!html.contains(secret), "{secret}: {html}");
        }
    }
    let report =
        api.post("/checks", &json!({"domain": "example.com", "selectors": ["s1", "s2", "s3"]})).await;
    let text = report.to_string();
    for secret in SECRETS {
        assert!(!text.contains(secret), "{secret}: {report:#}");
    }
    let exchanges = report["observation"]["exchanges"].as_array().unwrap();
    assert!(text.contains("v=spf1 include:db.corp"), "what the world has is told: {report:#}");
    let inside = |exchange: &&Value| exchange["question"]["name"].as_str().unwrap().ends_with("db.corp");
    assert!(exchanges.iter().any(|exchange| inside(&exchange)), "{report:#}");
    for exchange in exchanges.iter().filter(inside) {
        assert!(exchange.to_string().contains("not_public"), "{exchange:#}");
    }
    // A name that is there and one that is not are told alike.
    let (_, there) = visit(page, &[domain, ("selectors", "s1")]).await;
    api_gone(&network.api).await;
    let (_, gone) = visit(page, &[domain, ("selectors", "s1")]).await;
    assert_eq!(timeless(&there), timeless(&gone));
    // A check as it should be.
    let (status, html) = visit(page, &[("domain", "good.example.com")]).await;
    assert_eq!(status, StatusCode::OK);
    assert!(html.contains("data-verdict=\"pass\""), "{html}");
    instance.stop().await;
    network.stop().await;
}

/// Deletes the zone of the network's own.
async fn api_gone(api: &Api) {
    let zone = api.zone("db.corp").await;
    api.delete(&format!("/playground/zones/{zone}")).await;
}

/// A page without the lines that have a time.
fn timeless(html: &str) -> Vec<&str> {
    html.lines().filter(|line| !line.contains("<time") && !line.contains("UTC")).collect()
}

#[tokio::test]
async fn who_does_not_read_keeps_nobody_out() {
    let folder = Folder::new();
    let config = Config { checks_per_minute: 1_000, ..config(&folder) };
    let instance = Instance::start(&config).await.unwrap();
    let page = instance.public_http.unwrap();
    // Long where it is repeated, and `<` is five octets in a page.
    let long = "<".repeat(900_000);
    let body = format!("domain=acme.test&profile=three-cname&variables=token1=a%0Atoken2=b%0Atoken3={long}");
    let mut deaf = Vec::new();
    for number in 0..40u8 {
        deaf.push(post_and_do_not_read(page, [127, 0, 0, 2 + number / 10], &body).await);
    }
    let until = Instant::now() + PATIENCE;
    loop {
        let (status, html) = visit(page, &[("domain", "acme.test")]).await;
        if status == StatusCode::OK && html.contains("class=\"report\"") {
            break;
        }
        assert!(Instant::now() < until, "{status}: {html}");
    }
    // What is too long is not repeated, and said so.
    let (status, html) =
        visit(page, &[("domain", "acme.test"), ("profile", "three-cname"), ("variables", &long[..200_000])])
            .await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(html.contains("Too long to be repeated here") && html.contains("variables-error"), "{html}");
    assert!(html.len() < 50_000, "{}", html.len());
    drop(deaf);
    instance.stop().await;
}

/// Sends a form from one of this machine's addresses.
async fn post_and_do_not_read(page: SocketAddr, from: [u8; 4], body: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(2_048).unwrap();
    socket.bind((from, 0).into()).unwrap();
    let mut stream = socket.connect(page).await.unwrap();
    let head = format!(
        "POST /check HTTP/1.1\r\nhost: {page}\r\ncontent-type: application/x-www-form-urlencoded\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn a_page_that_refuses_has_not_the_large_template_again() {
    let folder = Folder::new();
    let instance = Instance::start(&Config { checks_per_minute: 1, ..config(&folder) }).await.unwrap();
    let page = instance.public_http.unwrap();
    let large = "<".repeat(240_000);
    let form = [("domain", "acme.test"), ("template", large.as_str())];
    let mut statuses = Vec::new();
    // Twice at the most when one minute ends meanwhile.
    for _ in 0..3 {
        let (status, html) = visit(page, &form).await;
        assert!(html.len() < 50_000 && html.contains("value=\"acme.test\""), "{}", html.len());
        statuses.push(status);
    }
    assert_eq!(statuses[0], StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(statuses[2], StatusCode::TOO_MANY_REQUESTS, "a request with mistakes counts too");
    instance.stop().await;
}

#[tokio::test]
async fn a_proxy_is_trusted_however_its_address_is_written() {
    let folder = Folder::new();
    let trusted_proxies = vec!["::ffff:127.0.0.1".parse().unwrap()];
    let instance =
        Instance::start(&Config { checks_per_minute: 1, trusted_proxies, ..config(&folder) }).await.unwrap();
    let address = format!("http://{}/check?domain=acme.test", instance.public_http.unwrap());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for number in 1..=5 {
        let said = [b"caf\xe9, ".as_slice(), format!("198.51.100.{number}").as_bytes()].concat();
        let said = header::HeaderValue::from_bytes(&said).unwrap();
        let response = client.get(&address).header("x-forwarded-for", said).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{number}");
    }
    instance.stop().await;
}

#[tokio::test]
async fn the_page_takes_what_the_command_takes() {
    let platform = Platform::start().await;
    let zone = platform.api.zone("acme.test").await;
    platform.api.publish(&zone, "@", "TXT", "v=spf1 ip4:192.0.2.1 -all", None).await;
    let page = platform.instance.public_http.unwrap();
    let domain = ("domain", "acme.test");
    // No name server is at an IPv6 address, and the server that sends has no name.
    let more = [domain, ("senders", "192.0.2.1; 2001:db8::1"), ("family", "ipv6")];
    let (status, html) = visit(page, &more).await;
    assert_eq!(status, StatusCode::OK);
    for part in
        ["--sender 192.0.2.1 --sender 2001:db8::1 --ipv6", "sender_ptr_missing", "selected>by IPv6 only"]
    {
        assert!(html.contains(part), "{part}: {html}");
    }
    // A host of links, for which somebody has to be able to issue.
    let links = template(&json!([
        {"type": "CNAME", "host": "links", "pointsTo": "links.mailer.test", "ttl": 60, "groupId": "tracking"},
    ]))
    .to_string();
    let authority = ("certificate_authority", "my-ca.example");
    let (status, html) = visit(page, &[domain, ("template", &links), authority]).await;
    assert_eq!(status, StatusCode::OK, "{html}");
    assert!(html.contains("--template FILE --certificate-authority my-ca.example"), "{html}");
    for (field, value, error) in [
        ("senders", "192.0.2.1, <mail>", "senders-error"),
        ("certificate_authority", "a b", "certificate_authority-error"),
        ("certificate_authority", "my-ca.example", "certificate_authority-error"),
        ("family", "ipx", "family-error"),
    ] {
        let (status, html) = visit(page, &[domain, (field, value)]).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{field}");
        assert!(html.contains(&format!("id=\"{error}\"")), "{field}: {html}");
    }
    platform.stop().await;
}
