//! Checks of any domain: the API's `/checks` and the public page.

use crate::support::{Api, Folder, Platform, codes, config, problem, text};
use app::access::{Caller, ScopeSet};
use countersign::{Config, Instance};
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};
use std::collections::BTreeSet;

async fn acme(api: &Api) -> String {
    let zone = api.zone("acme.test").await;
    api.publish(&zone, "@", "TXT", "v=spf1 ip4:192.0.2.1 -all", None).await;
    api.publish(&zone, "_dmarc", "TXT", "v=DMARC1; p=reject", None).await;
    zone
}

#[tokio::test]
async fn any_domain_is_checked_without_being_added() {
    let platform = Platform::start().await;
    let api = &platform.api;
    let zone = acme(api).await;
    let report = api.post("/checks", &json!({"domain": "someone@ACME.test."})).await;
    assert_eq!((text(&report, "domain"), text(&report, "verdict")), ("acme.test", "pass"), "{report:#}");
    assert_eq!(report["not_checked"], json!(["dkim"]));
    let tried = &report["tried_selectors"];
    assert_eq!(
        (&tried["unanswered"], &tried["wildcard"], &tried["found"]),
        (&json!(0), &json!(false), &json!([]))
    );
    let key = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    let id = api.publish(&zone, "fm1._domainkey", "TXT", key, None).await;
    let found = api.post("/checks", &json!({"domain": "acme.test"})).await;
    assert_eq!((&found["tried_selectors"]["found"], &found["not_checked"]), (&json!(["fm1"]), &json!([])));
    api.delete(&format!("/playground/records/{id}")).await;
    // The platform's name server is at an IPv4 address.
    for (family, asked) in [(None, true), (Some("ipv4"), true), (Some("ipv6"), false)] {
        let body = json!({"domain": "acme.test", "selectors": ["fm1"], "address_family": family});
        let by_family = api.post("/checks", &body).await;
        let spf = &by_family["records"][0]["propagation"]["name_servers_ipv4"]["right"];
        assert_eq!(spf, &json!(u64::from(asked)), "{family:?}");
        assert_eq!(
            by_family["verdict"], "fail",
            "resolvers know all the same that the key is gone: {family:?}"
        );
    }
    let (_, problem) = api.refused("/checks", &json!({"domain": "acme.test", "address_family": "ipx"})).await;
    assert_eq!(problem["errors"][0]["field"], "address_family", "{problem:#}");
    let failing = api.post("/checks", &json!({"domain": "acme.test", "selectors": ["s1"]})).await;
    assert_eq!(text(&failing, "verdict"), "fail");
    assert!(codes(&failing).contains(&"record_missing".to_owned()), "{:?}", codes(&failing));
    // By a template, and by a profile with its variables.
    let template = json!({
        "providerId": "mailer.example", "serviceId": "mail", "providerName": "Mailer", "serviceName": "Mail",
        "records": [
            {"type": "SPFM", "host": "@", "spfRules": "include:%include%"},
            {"type": "CNAME", "host": "s1._domainkey", "pointsTo": "%include%", "ttl": 3600},
        ],
    });
    let body =
        json!({"domain": "acme.test", "template": template, "variables": {"include": "spf.mailer.test"}});
    let by_template = api.post("/checks", &body).await;
    let spf =
        by_template["records"].as_array().unwrap().iter().find(|record| record["type"] == "TXT").unwrap();
    assert_eq!(text(spf, "replace"), "v=spf1 ip4:192.0.2.1 include:spf.mailer.test -all");
    let variables = json!({"token1": "a", "token2": "b", "token3": "c"});
    let body = json!({"domain": "acme.test", "profile": "three-cname", "variables": variables});
    let by_profile = api.post("/checks", &body).await;
    assert_eq!(text(&by_profile, "profile"), "three-cname");
    assert!(by_profile["records"].as_array().unwrap().iter().any(|r| r["name"] == "a._domainkey.acme.test"));
    // Nothing of it was kept, and nothing that is kept is told: a domain that was added is checked like any other.
    assert_eq!(api.get("/domains").await["data"], json!([]));
    api.post("/domains", &json!({"domain": "acme.test"})).await;
    api.publish(&zone, "mail", "TXT", "v=spf1 -all", None).await;
    let again = api.post("/checks", &json!({"domain": "acme.test"})).await;
    assert_eq!(text(&again, "profile"), "audit");
    platform.stop().await;
}

/// Records without until when caches hold what they have: the two looked one after the other.
fn timeless(value: &Value) -> Value {
    let mut value = value.clone();
    for record in value.as_array_mut().into_iter().flatten() {
        let stale = record.pointer_mut("/propagation/stale").and_then(Value::as_array_mut);
        for held in stale.into_iter().flatten().filter_map(Value::as_object_mut) {
            held.remove("until");
        }
    }
    value
}

#[tokio::test]
async fn the_answer_is_the_command_s() {
    let platform = Platform::start().await;
    acme(&platform.api).await;
    let answer = platform.api.post("/checks", &json!({"domain": "acme.test", "selectors": ["s1"]})).await;
    let resolver = platform.instance.dns.to_string();
    let command = move || {
        std::process::Command::new(env!("CARGO_BIN_EXE_countersign"))
            .args(["check", "acme.test", "--selector", "s1", "--format", "json", "--resolver", &resolver])
            .output()
            .unwrap()
    };
    let output = tokio::task::spawn_blocking(command).await.unwrap();
    let command: Value = serde_json::from_slice(&output.stdout).unwrap();
    let fields = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(fields(&answer), fields(&command));
    for field in ["domain", "verdict", "summary", "records", "findings", "plan", "dns_host", "zone"] {
        assert_eq!(timeless(&answer[field]), timeless(&command[field]), "{field}");
    }
    platform.stop().await;
}

#[tokio::test]
async fn what_cannot_be_checked_is_refused_with_its_field() {
    let folder = Folder::new();
    let instance = Instance::start(&Config { checks_per_minute: 1_000, ..config(&folder) }).await.unwrap();
    let api = &Api::new(instance.http, &instance.api_key);
    let many: Vec<String> = (0..11).map(|number| format!("s{number}")).collect();
    let variables: serde_json::Map<String, Value> =
        (0..51).map(|number| (format!("v{number}"), json!("x"))).collect();
    let long = "a".repeat(10_000);
    let template = |more: &str, target: &str| {
        format!(
            "{{\"providerId\": \"mailer.example\", \"serviceId\": \"mail\", \"providerName\": \"Mailer\",
            \"serviceName\": \"Mail\", {more} \"records\":
            [{{\"type\": \"CNAME\", \"host\": \"s1._domainkey\", \"pointsTo\": \"{target}\", \"ttl\": 60}}]}}"
        )
    };
    let parsed = |text: String| -> Value { serde_json::from_str(&text).unwrap() };
    let subdomain_only = parsed(template("\"hostRequired\": true,", "a.mailer.example"));
    let unfilled = parsed(template("", "%target%"));
    for (body, field) in [
        (json!({}), "domain"),
        (json!({"domain": ""}), "domain"),
        (json!({"domain": "*.acme.test"}), "domain"),
        (json!({"domain": "192.0.2.1"}), "domain"),
        (json!({"domain": "https://acme.test/x"}), "domain"),
        (json!({"domain": "a b.test"}), "domain"),
        (json!({"domain": "a\u{0}.test"}), "domain"),
        (json!({"domain": long}), "domain"),
        (json!({"domain": ["acme.test"]}), "domain"),
        (json!({"domain": "acme.test", "selectors": "s1"}), "selectors"),
        (json!({"domain": "acme.test", "selectors": many}), "selectors"),
        (json!({"domain": "acme.test", "selectors": ["ok", "a b"]}), "selectors[1]"),
        (json!({"domain": "acme.test", "selectors": ["s1", "s1"]}), "selectors[1]"),
        (json!({"domain": "acme.test", "selectors": ["s1._domainkey.acme.test"]}), "selectors[0]"),
        (json!({"domain": "acme.test", "selectors": [long]}), "selectors[0]"),
        (json!({"domain": "acme.test", "profile": "nonsense"}), "profile"),
        (json!({"domain": "acme.test", "profile": "two-txt", "selectors": ["s1"]}), "selectors"),
        (json!({"domain": "acme.test", "profile": "three-cname"}), "variables"),
        (json!({"domain": "acme.test", "variables": {"token1": "x"}}), "variables"),
        (json!({"domain": "acme.test", "profile": "two-txt", "variables": variables}), "variables"),
        (json!({"domain": "acme.test", "profile": "two-txt", "variables": {"x": 1}}), "variables.x"),
        (json!({"domain": "acme.test", "profile": "two-txt", "template": {}}), "template"),
        (json!({"domain": "acme.test", "template": {}}), "template"),
        (json!({"domain": "acme.test", "template": []}), "template"),
        (json!({"domain": "acme.test", "template": {"records": [{"type": "CNAME"}]}}), "template"),
        (json!({"domain": "acme.test", "groups": ["a"]}), "groups"),
        (json!({"domain": "acme.test", "profile": "two-txt", "groups": ["a"]}), "groups"),
        (json!({"domain": "acme.test", "template": subdomain_only}), "domain"),
        (json!({"domain": "mail.acme.test", "template": subdomain_only, "groups": ["nonsense"]}), "groups"),
        (json!({"domain": "acme.test", "template": unfilled}), "variables"),
        (json!({"domain": "acme.test", "nonsense": 1}), "nonsense"),
    ] {
        let (status, problem) = api.refused("/checks", &body).await;
        assert_eq!((status.as_u16(), text(&problem, "code")), (422, "INVALID_REQUEST"), "{problem:#}");
        assert_eq!(text(&problem["errors"][0], "field"), field, "{problem:#}");
        assert!(text(&problem, "detail").len() < 2_000, "{problem:#}");
    }
    // The place in the template, as it was sent.
    let body = format!("{{\"domain\": \"acme.test\", \"template\": {}}}", template("", "a b.mailer.example"));
    let request = api.request(Method::POST, "/checks").header(header::CONTENT_TYPE, "application/json");
    let (_, refused) = problem(request.body(body).send().await.unwrap()).await;
    assert!(text(&refused["errors"][0], "message").contains("line 3, column"), "{refused:#}");
    let huge = json!({"domain": "acme.test", "template": {"records": [], "x": "a".repeat(400_000)}});
    let (status, _) = api.refused("/checks", &huge).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    instance.stop().await;
}

#[tokio::test]
async fn a_key_needs_the_scope_and_has_its_count() {
    let folder = Folder::new();
    let instance = Instance::start(&Config { checks_per_minute: 2, ..config(&folder) }).await.unwrap();
    let api = Api::new(instance.http, &instance.api_key);
    let org_id = instance.app.authenticate(&instance.api_key).await.unwrap().org_id;
    let key_with = async |scope: &str| {
        let rights = Caller { scopes: ScopeSet::from_words(&[scope]), ..Caller::owner(org_id) };
        Api::new(instance.http, &instance.app.create_api_key("limited", &rights).await.unwrap())
    };
    let body = json!({"domain": "acme.test"});
    let (status, refused) = key_with("send:emails").await.refused("/checks", &body).await;
    assert_eq!((status.as_u16(), text(&refused, "code")), (403, "SCOPE_MISSING"));
    let reader = key_with("read:domains").await;
    let check = async |api: &Api| {
        let response = api.request(Method::POST, "/checks").json(&body).send().await.unwrap();
        let wait =
            response.headers().get(header::RETRY_AFTER).map(|value| value.to_str().unwrap().to_owned());
        (response.status(), wait, response.json::<Value>().await.unwrap())
    };
    // Three in one minute, or in two when it just ends: then the sixth is one too many for certain.
    let mut refused = None;
    for _ in 0..6 {
        let (status, wait, answer) = check(&reader).await;
        if status != StatusCode::OK {
            refused = Some((status, wait, answer));
            break;
        }
    }
    let (status, wait, answer) = refused.unwrap();
    assert_eq!((status.as_u16(), text(&answer, "code")), (429, "RATE_LIMITED"), "{answer:#}");
    assert!((1..=60).contains(&wait.unwrap().parse::<u32>().unwrap()));
    assert_eq!(check(&api).await.0, StatusCode::OK, "another key has another count");
    instance.stop().await;
}

#[tokio::test]
async fn the_page_checks_without_a_script_and_says_what_is_wrong_beside_the_field() {
    let platform = Platform::start().await;
    let zone = acme(&platform.api).await;
    platform.api.publish(&zone, "hostile", "TXT", "v=spf1 <script>alert(1)</script> \"'>", None).await;
    let page = async |query: &str| {
        let response = platform.api.plain(&format!("/check{query}")).await;
        assert_eq!(response.headers()["x-robots-tag"], "noindex, nofollow");
        assert!(
            response.headers()[header::CONTENT_SECURITY_POLICY]
                .to_str()
                .unwrap()
                .contains("default-src 'none'")
        );
        (response.status(), response.text().await.unwrap())
    };
    for query in ["", "?domain=", "?domain=+"] {
        let (status, html) = page(query).await;
        assert_eq!(status, StatusCode::OK);
        assert!(
            html.contains("action=\"/check\"") && html.contains("aria-current=\"page\">Check<"),
            "{html}"
        );
        assert!(!html.contains("class=\"report\"") && !html.contains("aria-invalid"), "{html}");
    }
    let (status, html) = page("?domain=Acme.Test&selectors=s1").await;
    assert_eq!(status, StatusCode::OK);
    for part in ["Checking <code>acme.test</code>", "data-verdict=\"fail\"", "s1._domainkey", "</html>"] {
        assert!(html.contains(part), "{part}: {html}");
    }
    assert!(html.contains("href=\"/docs/findings/record_missing\""), "{html}");
    for (query, field) in [
        ("?domain=https://acme.test/", "domain-error"),
        ("?domain=%3Cscript%3Ealert(1)%3C/script%3E", "domain-error"),
        ("?domain=%00", "domain-error"),
        ("?domain=%ff", "domain-error"),
        ("?domain=acme.test&selectors=a.b..c", "selectors-error"),
        ("?domain=acme.test&selectors=1+2+3+4+5+6+7+8+9+10+11", "selectors-error"),
    ] {
        let (status, html) = page(query).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{query}");
        assert!(
            html.contains(&format!("id=\"{field}\"")) && html.contains("aria-invalid"),
            "{query}: {html}"
        );
        assert!(!html.contains("<script>"), "{query}");
    }
    let (_, html) = page("?domain=hostile.acme.test").await;
    assert!(html.contains("data-verdict=\"fail\"") && !html.contains("<script>"), "{html}");
    platform.stop().await;
}

#[tokio::test]
async fn a_visitor_has_a_count_too_and_is_told_when_to_come_back() {
    let folder = Folder::new();
    let instance = Instance::start(&Config { checks_per_minute: 1, ..config(&folder) }).await.unwrap();
    let api = Api::new(instance.http, &instance.api_key);
    let mut refused = None;
    for _ in 0..3 {
        let response = api.plain("/check?domain=acme.test").await;
        if response.status() != StatusCode::OK {
            refused = Some(response);
            break;
        }
    }
    let response = refused.unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(response.headers().contains_key(header::RETRY_AFTER));
    let html = response.text().await.unwrap();
    assert!(html.contains("limit is 1 checks a minute") && html.contains("value=\"acme.test\""), "{html}");
    // The form alone asks nothing.
    assert_eq!(api.plain("/check").await.status(), StatusCode::OK);
    instance.stop().await;
}

/// The public pages, asked for by a name that is not this machine's.
struct Public {
    client: reqwest::Client,
    base: String,
}

impl Public {
    fn of(instance: &Instance) -> Self {
        let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        let base = format!("http://{}", instance.public_http.unwrap());
        Self { client: client.build().unwrap(), base }
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base)).header(header::HOST, "check.example")
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        let response = self.request(Method::GET, path).send().await.unwrap();
        (response.status(), response.text().await.unwrap())
    }
}

#[tokio::test]
async fn everybody_may_check_at_the_public_address_and_do_nothing_else_there() {
    let platform = Platform::start().await;
    acme(&platform.api).await;
    platform.api.post("/domains", &json!({"domain": "mail.acme.test"})).await;
    let public = Public::of(&platform.instance);
    let (status, html) = public.get("/check?domain=acme.test").await;
    assert_eq!(status, StatusCode::OK);
    assert!(html.contains("data-verdict=\"pass\"") && html.contains("Nothing of a check is kept"), "{html}");
    // Nothing leads to the dashboard, and nothing of what is stored is told.
    for secret in ["href=\"/\"", "/sandbox", "/messages", "mail.acme.test", &platform.instance.api_key] {
        assert!(!html.contains(secret), "{secret}: {html}");
    }
    let (status, _) = public.get("/docs/findings/spf_missing").await;
    assert_eq!(status, StatusCode::OK);
    let index = public.request(Method::GET, "/").send().await.unwrap();
    assert_eq!(
        (index.status(), index.headers()[header::LOCATION].to_str().unwrap()),
        (StatusCode::SEE_OTHER, "/check")
    );
    for path in [
        "/domains/x",
        "/playground",
        "/sandbox",
        "/messages",
        "/api/v1/domains",
        "/docs",
        "/metrics",
        "/readyz",
        "/nonsense",
    ] {
        let (status, html) = public.get(path).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}: {html}");
    }
    // The dashboard stays where it was, for this machine's own names.
    let host = platform.api.base.clone();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for path in ["/", "/check?domain=acme.test"] {
        let request = client.get(format!("{host}{path}")).header(header::HOST, "check.example");
        assert_eq!(request.send().await.unwrap().status(), StatusCode::FORBIDDEN, "{path}");
    }
    platform.stop().await;
}

#[tokio::test]
async fn the_page_looks_for_the_records_of_a_profile_or_template() {
    let platform = Platform::start().await;
    acme(&platform.api).await;
    let public = Public::of(&platform.instance);
    let (status, html) = public
        .get("/check?domain=acme.test&profile=three-cname&variables=token1%3Da%0Atoken2%3Db%0Atoken3%3Dc")
        .await;
    assert_eq!(status, StatusCode::OK);
    for part in ["a._domainkey", "records are not there yet", "--profile three-cname --var token1=a"] {
        assert!(html.contains(part), "{part}: {html}");
    }
    for (query, field) in [
        ("?domain=acme.test&profile=nonsense", "profile-error"),
        ("?domain=acme.test&profile=three-cname", "variables-error"),
        ("?domain=acme.test&profile=three-cname&variables=token1", "variables-error"),
        ("?domain=acme.test&profile=two-txt&selectors=s1", "selectors-error"),
        ("?domain=acme.test&template=%7B", "template-error"),
        ("?domain=&profile=two-txt", "domain-error"),
    ] {
        let (status, html) = public.get(&format!("/check{query}")).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{query}");
        assert!(html.contains(&format!("id=\"{field}\"")), "{query}: {html}");
    }
    let template = json!({
        "providerId": "mailer.example", "serviceId": "mail", "providerName": "Mailer", "serviceName": "Mail",
        "records": [{"type": "SPFM", "host": "@", "spfRules": "include:%include%"}],
    });
    let form = [
        ("domain", "acme.test".to_owned()),
        ("template", template.to_string()),
        ("variables", "include=spf.mailer.test".to_owned()),
    ];
    let encoded = |form: &[(&str, String)]| -> String {
        let escape =
            |text: &String| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<Vec<_>>().concat();
        form.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect::<Vec<_>>().join("&")
    };
    let send = |origin: &'static str, form: &[(&str, String)]| {
        let request = public.request(Method::POST, "/check").header(header::ORIGIN, origin);
        request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(encoded(form)).send()
    };
    let post = |origin| send(origin, &form);
    let html = post("https://check.example").await.unwrap().text().await.unwrap();
    assert!(html.contains("v=spf1 ip4:192.0.2.1 include:spf.mailer.test -all"), "{html}");
    assert_eq!(post("https://evil.example").await.unwrap().status(), StatusCode::FORBIDDEN);
    let long = [("domain", "acme.test".to_owned()), ("template", "x".repeat(2_000_000))];
    let response = send("https://check.example", &long).await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    platform.stop().await;
}

#[tokio::test]
async fn visitors_behind_a_trusted_proxy_are_counted_apart() {
    let folder = Folder::new();
    let proxies = vec![[127, 0, 0, 1].into()];
    let config = Config { checks_per_minute: 1, trusted_proxies: proxies, ..config(&folder) };
    let instance = Instance::start(&config).await.unwrap();
    let public = Public::of(&instance);
    let check = async |visitor: &str| {
        let request =
            public.request(Method::GET, "/check?domain=acme.test").header("x-forwarded-for", visitor);
        request.send().await.unwrap().status()
    };
    // Each may ask once a minute: twice at the most when one minute ends meanwhile.
    for number in 1..=5 {
        assert_eq!(check(&format!("198.51.100.{number}")).await, StatusCode::OK);
    }
    let mut last = StatusCode::OK;
    for _ in 0..3 {
        last = check("198.51.100.99").await;
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
    instance.stop().await;
}

#[tokio::test]
async fn no_private_address_is_asked_where_the_operator_names_the_resolvers() {
    let folder = Folder::new();
    // Its own playground stands for the world: a resolver at a loopback address that tells of name servers at one.
    let world = Platform::start().await;
    acme(&world.api).await;
    let check_resolvers = vec![world.instance.dns.to_string()];
    let instance = Instance::start(&Config { check_resolvers, ..config(&folder) }).await.unwrap();
    let public = Public::of(&instance);
    let (status, html) = public.get("/check?domain=acme.test").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(html.contains("no public suffix"), "{html}");
    let zone = world.api.zone("acme.example.com").await;
    world.api.publish(&zone, "@", "TXT", "v=spf1 -all", None).await;
    let (status, html) = public.get("/check?domain=acme.example.com").await;
    assert_eq!(status, StatusCode::OK);
    assert!(html.contains("class=\"report\""), "{html}");
    let api = Api::new(instance.http, &instance.api_key);
    let report = api.post("/checks", &json!({"domain": "acme.example.com"})).await;
    let exchanges = report["observation"]["exchanges"].as_array().unwrap();
    assert!(!exchanges.is_empty());
    for exchange in exchanges {
        assert_eq!(text(&exchange["server"], "kind"), "resolver", "{exchange:#}");
    }
    instance.stop().await;
    world.stop().await;
}

#[tokio::test]
async fn a_request_that_is_none_is_a_problem() {
    let platform = Platform::start().await;
    let request =
        platform.api.request(Method::POST, "/checks").header(header::CONTENT_TYPE, "application/json");
    let (status, refused) = problem(request.body("{\"domain\": ").send().await.unwrap()).await;
    assert_eq!((status.as_u16(), text(&refused, "code")), (400, "INVALID_JSON"));
    platform.stop().await;
}
