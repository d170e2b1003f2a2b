//! Root keys: made at the machine, good in every organisation.

use crate::{
    client::Terminal,
    support::{Api, Platform, problem, text},
};
use reqwest::{Method, StatusCode};
use std::process::Command;

const HEADER: &str = "X-Countersign-Organisation";

pub async fn at_the_machine(platform: &Platform, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command
        .arg("root-keys")
        .args(arguments)
        .arg("--data")
        .arg(&platform.folder.0)
        .current_dir(&platform.folder.0);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_root_key_acts_in_the_organisation_that_it_names() {
    let platform = Platform::start().await;
    let made = at_the_machine(&platform, &["create", "deploy"]).await;
    let secret = made.lines().next().unwrap();
    let id = made.split_whitespace().find(|word| word.starts_with("key_")).unwrap().trim_end_matches('.');
    let root = Api::new(platform.instance.http, secret);
    let (org_id, _) = platform.instance.app.first_organisation("x").await.unwrap();
    let ask = async |method: Method, path: &str, org: Option<&str>| {
        let mut request = root.request(method, path);
        if let Some(org) = org {
            request = request.header(HEADER, org);
        }
        request.send().await.unwrap()
    };
    let (status, refused) = problem(ask(Method::GET, "/domains", None).await).await;
    assert_eq!((status, &refused["errors"][0]["field"]), (StatusCode::UNPROCESSABLE_ENTITY, &HEADER.into()));
    let ours = org_id.to_string();
    assert_eq!(ask(Method::GET, "/domains", Some(&ours)).await.status(), StatusCode::OK);
    assert_eq!(ask(Method::DELETE, "/sandbox/messages", Some(&ours)).await.status(), StatusCode::OK);
    // The line is in the log of the organisation, and names the key.
    let audit = platform.api.get("/audit?subject=".to_owned().as_str()).await;
    assert_eq!(audit["data"].as_array().unwrap().len(), 0);
    let audit = platform.api.get(&format!("/audit?actor={id}")).await;
    assert_eq!(audit["data"][0]["action"], "sandbox.cleared");
    // The platform's own organisation, where its mail is, is nobody's.
    let own = platform.instance.app.authenticate(secret).await.unwrap().org_id.to_string();
    for org in [own.as_str(), "org_01JD0000000000000000000000", "nonsense"] {
        assert_eq!(ask(Method::GET, "/emails", Some(org)).await.status(), StatusCode::NOT_FOUND, "{org}");
    }
    // No list shows it, and a key of an organisation is in no other one.
    assert!(!platform.api.get("/keys").await.to_string().contains(id));
    let other = platform.api.request(Method::GET, "/domains").header(HEADER, &own).send().await.unwrap();
    assert_eq!(other.status(), StatusCode::NOT_FOUND);
    let same = platform.api.request(Method::GET, "/domains").header(HEADER, &ours).send().await.unwrap();
    assert_eq!(same.status(), StatusCode::OK);
    assert_eq!(root.with_key("/metrics").await.status(), StatusCode::OK);

    assert!(at_the_machine(&platform, &["list"]).await.contains("deploy"));
    at_the_machine(&platform, &["revoke", id]).await;
    assert_eq!(ask(Method::GET, "/domains", Some(&ours)).await.status(), StatusCode::UNAUTHORIZED);
    assert!(at_the_machine(&platform, &["list"]).await.contains("revoked"));
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn organisations_are_made_named_and_switched_off() {
    let platform = Platform::start().await;
    let made = at_the_machine(&platform, &["create", "deploy"]).await;
    let mut terminal = Terminal::of(&platform);
    let first_key = terminal.key.replace(made.lines().next().unwrap().to_owned());
    // Without an organisation, the way on is told.
    let without = terminal.run(&["domains", "list"]).await;
    assert_eq!(without.code, Some(2));
    assert!(without.err.contains("countersign organisations list"), "{}", without.err);
    let created = terminal.json(&["organisations", "create", "Acme", "--owner", "ann@acme.test"]).await;
    let id = text(&created, "id").to_owned();
    let inbox = "/sandbox/messages?recipient=ann@acme.test";
    let notice =
        platform.api.until(inbox, |list| list["data"].as_array().is_some_and(|all| all.len() == 1)).await;
    assert!(notice["data"][0]["subject"].as_str().unwrap().contains("Invitation to Acme"));
    let bad = terminal.run(&["organisations", "create", "Bad", "--owner", "nobody"]).await;
    assert_eq!(bad.code, Some(1));
    assert!(bad.err.contains("owner"), "{}", bad.err);
    terminal.good(&["organisations", "rename", &id, "Acme Inc."]).await;
    let list = terminal.good(&["organisations", "list"]).await;
    assert!(list.contains("Acme Inc.") && list.contains("Development"), "{list}");
    assert!(!list.contains("The platform itself") && !list.contains("Bad"), "{list}");

    // It acts there; what it does is in the log there.
    let of_it = |arguments: &[&str]| {
        [arguments, &["--organisation", &id]].concat().into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let run = async |arguments: Vec<String>| {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        terminal.json(&arguments).await
    };
    let key = run(of_it(&["keys", "create", "theirs", "--scope", "admin"])).await;
    let invitations = Api::new(platform.instance.http, terminal.key.as_ref().unwrap());
    let invited = invitations.request(Method::GET, "/invitations").header(HEADER, &id).send().await.unwrap();
    assert!(invited.text().await.unwrap().contains("\"role\":\"owner\""));
    let audit = run(of_it(&["audit"])).await.to_string();
    for action in ["organisation.created", "organisation.renamed", "member.invited", "key.created"] {
        assert!(audit.contains(action), "{action}: {audit}");
    }
    // Its own key sees itself alone, and is refused while it is switched off.
    let theirs = Api::new(platform.instance.http, text(&key, "secret"));
    theirs.post("/domains", &serde_json::json!({"domain": "mail.acme.test"})).await;
    let (status, refused) =
        problem(theirs.request(Method::GET, "/organisations").send().await.unwrap()).await;
    assert_eq!((status, text(&refused, "code")), (StatusCode::FORBIDDEN, "OPERATOR_ONLY"));
    assert_eq!(terminal.run(&["organisations", "disable", &id]).await.code, Some(2));
    assert!(terminal.good(&["organisations", "disable", &id, "--yes"]).await.contains("disabled"));
    let (status, refused) = problem(theirs.request(Method::GET, "/domains").send().await.unwrap()).await;
    assert_eq!((status, text(&refused, "code")), (StatusCode::FORBIDDEN, "ORGANISATION_DISABLED"));
    let has_it = |list: &serde_json::Value| {
        list["data"].as_array().unwrap().iter().any(|domain| domain["domain"] == "mail.acme.test")
    };
    assert!(has_it(&run(of_it(&["domains", "list"])).await));
    terminal.good(&["organisations", "enable", &id]).await;
    assert!(has_it(&theirs.get("/domains").await));

    // The first one stays on, also for its own admin.
    terminal.key = first_key;
    let (first, _) = platform.instance.app.first_organisation("x").await.unwrap();
    let kept = terminal.run(&["organisations", "disable", &first.to_string(), "--yes"]).await;
    assert_eq!(kept.code, Some(1));
    assert!(kept.err.contains("stays on"), "{}", kept.err);
    platform.stop().await;
}
