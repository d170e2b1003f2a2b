//! Domain Connect: the templates of our profiles, links to a strict host, and the way back.
//!
//! `domain_connect.schema.json` is `template.schema` as the Domain Connect project publishes it with its specification, which
//! it has dedicated to the public domain (CC0 1.0); it is kept here as it came.

use crate::{
    client::Terminal,
    login::{House, field},
    support::{Api, Folder, Platform, skip, text},
};
use countersign::Config;
use fake_hosts::{DomainConnect, Fault, NameServer, domain_connect::Customer};
use model::{DomainName, Record, RecordData, TxtData};
use reqwest::{Method, StatusCode, redirect::Policy};
use serde_json::{Value, json};
use std::{fs, path::PathBuf, process::Command, time::Duration};

const SCHEMA: &str = include_str!("domain_connect.schema.json");

/// Loads a template and a schema, and says what is wrong with the one by the other.
const SCRIPT: &str = r"
import json, sys
import jsonschema
schema = json.load(open(sys.argv[1]))
jsonschema.Draft7Validator.check_schema(schema)
for path in sys.argv[2:]:
    template = json.load(open(path))
    errors = [error.message for error in jsonschema.Draft7Validator(schema).iter_errors(template)]
    print(json.dumps({'file': path, 'errors': errors, 'types': [record['type'] for record in template['records']]}))
";

fn name(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

fn txt(owner: &str, value: &str) -> Record {
    Record { owner: name(owner), ttl: 60, data: RecordData::Txt(TxtData::from_text(value)) }
}

/// The platform asks this host's DNS of everything but its own zone.
fn config_of(config: &mut Config, dns: &NameServer) {
    config.platform_zone = "send.serve.test".into();
    config.resolvers = vec![dns.address().to_string()];
    config.private_dns = true;
    config.private_webhook_targets = true;
    config.domain_connect.provider_id = "serve.test".into();
    config.domain_connect.provider_name = "Serve".into();
}

/// A platform whose customers' zones are at this host.
async fn house(host: &DomainConnect, change: impl FnOnce(&mut Config)) -> (House, NameServer) {
    let dns = host.serve_dns(Duration::ZERO).await.unwrap();
    let house = House::open_with(|config| {
        config_of(config, &dns);
        change(config);
    })
    .await;
    dns.ask_elsewhere(name("send.serve.test"), house.instance.dns);
    host.ask_keys_of(house.instance.dns);
    (house, dns)
}

async fn template(api: &Api, profile: &str) -> String {
    let request = api.request(Method::GET, &format!("/profiles/{profile}/template"));
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let named = answer.headers()["content-disposition"].to_str().unwrap().to_owned();
    assert_eq!(named, format!("attachment; filename=\"serve.test.{profile}.json\""));
    answer.text().await.unwrap()
}

/// Opens a link as the customer of the host: the status, and where it leads or what it says.
async fn open(url: &str) -> (u16, String) {
    let http = reqwest::Client::builder().no_proxy().redirect(Policy::none()).build().unwrap();
    let answer = http.get(url).send().await.unwrap();
    let to = answer.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
    (
        answer.status().as_u16(),
        match to {
            Some(to) => to,
            None => answer.text().await.unwrap(),
        },
    )
}

async fn refused(api: &Api, domain: &str) -> (u16, String, String) {
    let (status, problem) = api.refused(&format!("/domains/{domain}/domain-connect"), &json!({})).await;
    (status.as_u16(), text(&problem, "code").to_owned(), text(&problem, "detail").to_owned())
}

async fn added(api: &Api, name: &str, profile: &str) -> String {
    text(&api.post("/domains", &json!({"domain": name, "profile": profile})).await, "id").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_applied_and_the_browser_that_comes_back_finds_the_domain_verified() {
    let host = DomainConnect::start().unwrap();
    host.zone(
        "acme.test",
        vec![
            txt("mail.acme.test", "v=spf1 ip4:192.0.2.7 -all"),
            txt("_dmarc.mail.acme.test", "v=DMARC1; p=reject"),
            txt("acme.test", "somebody-elses=1"),
        ],
    );
    let (house, _dns) = house(&host, |_| {}).await;
    let api = &house.api;
    host.template(&template(api, "three-cname").await);
    let id = added(api, "mail.acme.test", "three-cname").await;
    let link = api.post(&format!("/domains/{id}/domain-connect"), &json!({})).await;
    let url = text(&link, "url");
    assert!(
        url.starts_with(&format!("http://{}/ux/v2/domainTemplates/providers/serve.test/", host.address()))
    );
    assert_eq!((text(&link, "zone"), text(&link, "host")), ("acme.test", "mail"));
    // The policy that is there is stricter than ours: it is not asked for.
    assert_eq!(link["groups"], json!(["dkim", "spf", "return_path"]), "{link:#}");
    assert_eq!(link["by_hand"], json!([]));
    assert_eq!(text(&link["dns_host"], "name"), "Example Host");
    assert!(text(&link["dns_host"], "control_panel").ends_with("/panel?zone=acme.test"));
    let paths: Vec<_> = host.seen().iter().map(|seen| seen.path.clone()).collect();
    assert_eq!(
        paths,
        ["/dc/v2/acme.test/settings", "/api/v2/domainTemplates/providers/serve.test/services/three-cname",]
    );
    // Whoever changes a letter of it gets nothing.
    for (from, to) in
        [("host=mail", "host=mall"), ("&groupId=dkim%2Cspf", "&groupId=dkim"), ("sig=", "sig=A")]
    {
        assert!(url.contains(from), "{from}: {url}");
        let (status, words) = open(&url.replace(from, to)).await;
        assert_eq!(status, 400, "{to}");
        assert!(words.contains("signature is wrong") || words.contains("no base64"), "{to}: {words}");
    }
    assert_eq!(host.records("acme.test").len(), 3, "nothing was written yet");

    let (status, back) = open(url).await;
    assert_eq!(status, 302, "{back}");
    let path = back.strip_prefix(&api.base).unwrap_or_else(|| panic!("{back} is not ours"));
    assert!(path.starts_with("/domain-connect/return/"), "{path}");
    house.pass(30);
    let page = house.visitor().get(path).await;
    // Whoever runs the zone may have no account here.
    assert_eq!(page.status, StatusCode::OK, "{} {}", page.to, page.body);
    assert!(page.body.contains("nothing is left to do here"), "{}", page.body);
    let domain = api.until(&format!("/domains/{id}"), |domain| domain["status"] == "verified").await;
    for record in domain["records"].as_array().unwrap() {
        assert_eq!(record["status"], "verified", "{record:#}");
    }
    let there: Vec<String> = host
        .records("acme.test")
        .into_iter()
        .filter_map(|record| match record.data {
            RecordData::Txt(text) => Some(format!("{} {}", record.owner, text.joined())),
            _ => None,
        })
        .collect();
    for kept in [
        "_dmarc.mail.acme.test v=DMARC1; p=reject",
        "acme.test somebody-elses=1",
        "mail.acme.test v=spf1 include:spf.send.serve.test ip4:192.0.2.7 ~all",
    ] {
        assert!(there.iter().any(|text| text == kept), "{kept}: {there:#?}");
    }
    assert_eq!(there.len(), 3);
    // All is there: nothing is asked of the host any more.
    let asked = host.seen().len();
    house.pass(30);
    assert_eq!(refused(api, &id).await.1, "NOTHING_TO_CONNECT");
    assert_eq!(host.seen().len(), asked);
    house.instance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_profile_is_applied_by_a_host_as_it_is_asked_for() {
    let host = DomainConnect::start().unwrap();
    // Without an answer from above nobody could say whether a DMARC policy is inherited.
    host.zone("test", Vec::new());
    host.zone("acme.test", Vec::new());
    let (house, _dns) = house(&host, |_| {}).await;
    let api = &house.api;
    let profiles = api.get("/profiles").await;
    for profile in profiles["data"].as_array().unwrap() {
        let profile = text(profile, "name");
        // A delegated zone has no template.
        if profile == "delegated" {
            continue;
        }
        host.template(&template(api, profile).await);
        let id = added(api, &format!("{profile}.acme.test"), profile).await;
        let link = api.post(&format!("/domains/{id}/domain-connect"), &json!({})).await;
        assert_eq!(link["by_hand"], json!([]), "{profile}");
        let (status, back) = open(text(&link, "url")).await;
        assert_eq!(status, 302, "{profile}: {back}");
        house.pass(30);
        house.visitor().get(back.strip_prefix(&api.base).unwrap()).await;
        let domain = api.get(&format!("/domains/{id}")).await;
        for record in domain["records"].as_array().unwrap() {
            assert_eq!(record["status"], "verified", "{profile}: {record:#}");
        }
    }
    house.instance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_reason_against_a_link_has_its_code() {
    let host = DomainConnect::start().unwrap();
    for number in 0..3 {
        host.zone(&format!("acme{number}.test"), Vec::new());
    }
    let (house, _dns) = house(&host, |_| {}).await;
    let api = &house.api;
    let first = added(api, "mail.acme0.test", "two-txt").await;
    let told = async |domain: &str, status: u16, code: &str, words: &str| {
        house.pass(30);
        let (seen, is, detail) = refused(api, domain).await;
        assert_eq!((seen, is.as_str()), (status, code), "{detail}");
        assert!(detail.contains(words), "{detail}");
    };
    told(
        &first,
        409,
        "TEMPLATE_NOT_KNOWN_AT_HOST",
        "Example Host does not know the template serve.test.two-txt.json",
    )
    .await;
    host.template(&template(api, "two-txt").await);
    host.set_sync_flow(false);
    told(&first, 409, "HOST_WITHOUT_DOMAIN_CONNECT", "no flow that begins with a link").await;
    host.set_sync_flow(true);
    for (fault, words) in [
        (Fault::Html(502), "status 502"),
        (Fault::Body(b"{\"providerId\":7}".to_vec()), "not understood"),
        (Fault::Body(vec![b' '; 300 * 1024]), "longer than"),
        (Fault::CutOff, "broke"),
    ] {
        host.fault(0, fault);
        told(&first, 502, "HOST_UNREACHABLE", words).await;
    }
    let second = added(api, "mail.acme1.test", "two-txt").await;
    host.set_discovery(None);
    told(&second, 409, "HOST_WITHOUT_DOMAIN_CONNECT", "no TXT record at _domainconnect.acme1.test").await;
    host.set_discovery(Some("user@127.0.0.1/x?y"));
    told(&second, 409, "HOST_WITHOUT_DOMAIN_CONNECT", "names no server").await;
    host.set_discovery(Some("127.0.0.1:1"));
    told(&second, 502, "HOST_UNREACHABLE", "did not answer").await;
    host.set_discovery(Some(&host.discovery()));
    host.move_away("acme1.test");
    told(&second, 409, "HOST_WITHOUT_DOMAIN_CONNECT", "does not have the zone").await;
    // Not more often than somebody clicks.
    let third = added(api, "mail.acme2.test", "two-txt").await;
    for _ in 0..10 {
        api.post(&format!("/domains/{third}/domain-connect"), &json!({})).await;
    }
    assert_eq!(refused(api, &third).await.0, 429);
    house.instance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_operator_s_network_is_asked_for_a_stranger_s_record() {
    let host = DomainConnect::start().unwrap();
    host.zone("acme.test", Vec::new());
    let (house, _dns) = house(&host, |config| config.private_webhook_targets = false).await;
    let api = &house.api;
    let id = added(api, "mail.acme.test", "two-txt").await;
    let own = host.discovery();
    for inside in [
        own.as_str(),
        "localhost",
        "10.0.0.1",
        "169.254.169.254/latest",
        "[::1]:8080",
        "0x7f.1",
        "metadata.internal",
    ] {
        host.set_discovery(Some(inside));
        house.pass(60);
        let (status, code, detail) = refused(api, &id).await;
        assert_eq!((status, code.as_str()), (409, "HOST_WITHOUT_DOMAIN_CONNECT"), "{inside}: {detail}");
        assert!(detail.contains("not on the public internet"), "{inside}: {detail}");
    }
    assert_eq!(host.seen().len(), 0, "nobody was asked");
    house.instance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_with_a_setup_link_goes_there_and_comes_back_in_the_same_browser() {
    let host = DomainConnect::start().unwrap();
    host.zone("acme.test", Vec::new());
    let (house, _dns) = house(&host, |_| {}).await;
    let api = &house.api;
    host.template(&template(api, "two-txt").await);
    host.set_state(false);
    let id = added(api, "mail.acme.test", "two-txt").await;
    let made = api.post(&format!("/domains/{id}/setup-links"), &json!({})).await;
    let setup = text(&made, "url").strip_prefix(&api.base).unwrap().to_owned();
    let mut visitor = house.visitor();
    let page = visitor.get(&setup).await;
    assert!(page.body.contains("Connect at the DNS host"), "{}", page.body);
    let token = field(&page.body, "_csrf").unwrap();
    let connect = format!("{setup}/connect");
    assert_eq!(visitor.post(&connect, &[("_csrf", "x")]).await.status, StatusCode::FORBIDDEN);
    let page = visitor.post(&connect, &[("_csrf", &token)]).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    assert!(
        page.body.contains("Example Host can add the records") && page.body.contains("DKIM"),
        "{}",
        page.body
    );
    let href = page.body.split("href=\"").find(|part| part.contains("/apply?")).unwrap();
    let url = href.split('"').next().unwrap().replace("&amp;", "&").replace("&#38;", "&");
    let secret = setup.strip_prefix("/setup/").unwrap();
    assert!(!url.contains(secret), "the host is not told the link");

    host.customer(Customer::Leaves);
    let (_, back) = open(&url).await;
    let path = back.strip_prefix(&api.base).unwrap().to_owned();
    assert!(path.ends_with("?error=access_denied&error_description=user_cancel"), "{path}");
    let page = visitor.get(&path).await;
    assert!(page.body.contains("You left it at the DNS host") && page.body.contains(&setup), "{}", page.body);
    host.customer(Customer::Agrees);
    let (_, back) = open(&url).await;
    let path = back.strip_prefix(&api.base).unwrap().to_owned();
    // Who has the address of the way back and not the browser learns nothing of the link.
    let page = house.visitor().get(&path).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(!page.body.contains(secret) && page.to.is_empty(), "{}", page.body);
    house.pass(30);
    let page = visitor.get(&path).await;
    assert_eq!((page.status, page.to.as_str()), (StatusCode::SEE_OTHER, setup.as_str()));
    assert!(visitor.get(&setup).await.body.contains("You are done"));
    // After a day, or made up, there is none.
    house.pass(25 * 3600);
    for path in [
        path.as_str(),
        "/domain-connect/return?state=made-up",
        "/domain-connect/return",
        "/domain-connect/return/x",
    ] {
        let page = visitor.get(path).await;
        assert_eq!(page.status, StatusCode::GONE, "{path}");
        assert!(page.body.contains("This way back is not known"), "{}", page.body);
    }
    house.instance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_goes_there_from_the_page_of_the_domain() {
    let host = DomainConnect::start().unwrap();
    host.zone("acme.test", Vec::new());
    let (house, _dns) = house(&host, |_| {}).await;
    let api = &house.api;
    let mut owner = house.owner().await;
    let id = added(api, "mail.acme.test", "two-txt").await;
    let path = format!("/domains/{id}/connect");
    for page in [format!("/domains/{id}"), format!("/domains/{id}/write")] {
        let page = owner.get(&page).await;
        assert!(page.body.contains(&format!("action=\"{path}\"")), "{}", page.body);
    }
    let token = owner.token(&format!("/domains/{id}")).await;
    let page = owner.post(&path, &[("_csrf", &token)]).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.body.contains("does not know the template"), "{}", page.body);
    host.template(&template(api, "two-txt").await);
    let page = owner.post(&path, &[("_csrf", &token)]).await;
    assert!(page.body.contains("Go on to Example Host"), "{}", page.body);
    house.instance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_is_sealed_and_served_and_stays_over_a_restart() {
    let host = DomainConnect::start().unwrap();
    host.zone("acme.test", Vec::new());
    let (house, dns) = house(&host, |_| {}).await;
    host.template(&template(&house.api, "two-txt").await);
    let id = added(&house.api, "mail.acme.test", "two-txt").await;
    let link = house.api.post(&format!("/domains/{id}/domain-connect"), &json!({})).await;
    let key =
        |link: &Value| text(link, "url").split("&key=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let first = key(&link);
    let (folder, api_key) = (house.folder, house.instance.api_key.clone());
    house.instance.stop().await;
    let mut config = crate::serve::serving(&folder);
    config_of(&mut config, &dns);
    let instance = countersign::Instance::serve(&config).await.unwrap();
    dns.ask_elsewhere(name("send.serve.test"), instance.dns);
    host.ask_keys_of(instance.dns);
    let api = Api::new(instance.http, &api_key);
    let again = api.post(&format!("/domains/{id}/domain-connect"), &json!({})).await;
    assert_eq!(key(&again), first);
    assert_eq!(open(text(&again, "url")).await.0, 302);
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_pass_the_published_schema() {
    const TEST: &str = "countersign::domain_connect::templates_pass_the_published_schema";
    let tools = std::env::var_os("COUNTERSIGN_TOOLS")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/tools"), PathBuf::from);
    let python = tools.join("venv/bin/python3");
    let loads = Command::new(&python).args(["-c", "import jsonschema"]).output();
    if !loads.is_ok_and(|output| output.status.success()) {
        return skip(TEST, "jsonschema is not installed (cargo xtask setup)");
    }
    let platform =
        Platform::start_with(|config| config.domain_connect.provider_id = "serve.test".into()).await;
    let folder = Folder::new();
    let at = |file: &str| folder.0.join(file);
    fs::write(at("schema.json"), SCHEMA).unwrap();
    let mut files = Vec::new();
    for profile in platform.api.get("/profiles").await["data"].as_array().unwrap() {
        let profile = text(profile, "name");
        // A delegated zone has no template.
        if profile == "delegated" {
            continue;
        }
        fs::write(at(&format!("{profile}.json")), template(&platform.api, profile).await).unwrap();
        files.push(at(&format!("{profile}.json")));
    }
    // What is wrong is found: the validator is at work.
    fs::write(
        at("wrong.json"),
        r#"{"providerId": "x", "records": [{"type": "CNAME", "host": "a", "ttl": "x"}]}"#,
    )
    .unwrap();
    files.push(at("wrong.json"));
    let output =
        Command::new(&python).args(["-c", SCRIPT]).arg(at("schema.json")).args(&files).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(said.len(), 6);
    for one in &said {
        let is_wrong = text(one, "file").ends_with("wrong.json");
        assert_eq!(!one["errors"].as_array().unwrap().is_empty(), is_wrong, "{one:#}");
    }
    // And by the command line, under its name.
    let terminal = Terminal::of(&platform);
    let to = at("out").display().to_string();
    let written = terminal.run(&["domain-connect", "template", "--to", &to]).await;
    assert_eq!(written.code, Some(0), "{}", written.err);
    assert_eq!(written.out.trim(), format!("{to}/serve.test.three-cname.json"));
    assert_eq!(
        fs::read_to_string(written.out.trim()).unwrap(),
        fs::read_to_string(at("three-cname.json")).unwrap()
    );
    let printed = terminal.run(&["domain-connect", "template", "--profile", "two-txt"]).await;
    assert_eq!(printed.out, fs::read_to_string(at("two-txt.json")).unwrap());
    assert_eq!(terminal.run(&["domain-connect", "template", "--profile", "none"]).await.code, Some(1));
    platform.stop().await;
}

#[tokio::test]
async fn without_an_id_of_a_provider_no_links_are_made() {
    let platform = Platform::start().await;
    let api = &platform.api;
    let id = added(api, "mail.acme.test", "two-txt").await;
    let (status, code, detail) = refused(api, &id).await;
    assert_eq!((status, code.as_str()), (409, "DOMAIN_CONNECT_OFF"), "{detail}");
    let page = api.plain(&format!("/domains/{id}")).await.text().await.unwrap();
    assert!(!page.contains("Connect at the DNS host"));
    let terminal = Terminal::of(&platform);
    let said = terminal.run(&["domains", "connect", "mail.acme.test"]).await;
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("provider_id"), "{}", said.err);
    platform.stop().await;
}
