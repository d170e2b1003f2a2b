//! Root keys: made at the machine, good in every organisation.

use crate::support::{Api, Platform, problem};
use reqwest::{Method, StatusCode};
use std::process::Command;

const HEADER: &str = "X-Countersign-Organisation";

async fn at_the_machine(platform: &Platform, arguments: &[&str]) -> String {
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
