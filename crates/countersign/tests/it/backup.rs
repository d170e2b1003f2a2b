//! Copies of the database, the way back, and the move to PostgreSQL.

use crate::{
    durability::Process,
    postgres_server::Server,
    support::{Api, Folder, config, text},
};
use countersign::{Config, Instance};
use serde_json::json;
use std::process::{Command, Output};

fn countersign(folder: &Folder, arguments: &[&str]) -> (Output, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    let output =
        command.args(arguments).arg("--data").arg(&folder.0).current_dir(&folder.0).output().unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output, said)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_a_running_platform_goes_on_in_another_folder() {
    let folder = Folder::new();
    let process = Process::start(&folder.0);
    let api = process.api();
    api.verified("mail.acme.test", "acme.test", "two-txt").await;
    let message = json!({"from": "a@mail.acme.test", "to": ["r@example.org"], "subject": "x", "text": "y"});
    let sent = text(&api.post("/emails", &message).await, "id").to_owned();
    let copy = folder.0.join("copy.sqlite").display().to_string();
    let (output, said) = countersign(&folder, &["backup", "--to", &copy]);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("master.key"), "{said}");
    // What comes behind it is not in it.
    api.post("/emails", &message).await;
    let (output, said) = countersign(&folder, &["backup", "--to", &copy]);
    assert_eq!(output.status.code(), Some(2), "{said}");
    let (output, said) = countersign(&folder, &["restore", &copy]);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("another countersign uses the data folder"), "{said}");
    assert!(process.terminate().success());
    let (output, said) = countersign(&folder, &["restore", &copy]);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("already"), "{said}");

    let other = Folder::new();
    let (output, said) = countersign(&other, &["restore", &copy]);
    assert!(output.status.success() && said.contains("Put the master key"), "{said}");
    for file in ["master.key", "api-key"] {
        std::fs::copy(folder.0.join(file), other.0.join(file)).unwrap();
    }
    let process = Process::start(&other.0);
    let api = process.api();
    let delivered = |message: &serde_json::Value| message["recipients"][0]["status"] == "delivered";
    api.until(&format!("/emails/{sent}"), delivered).await;
    assert_eq!(api.get("/emails").await["data"].as_array().unwrap().len(), 1);
    assert_eq!(api.get("/domains").await["data"][0]["status"], "verified");
    assert!(process.terminate().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_moves_to_postgresql_and_goes_on() {
    let Some(server) =
        Server::start_or_skip("countersign::backup::everything_moves_to_postgresql_and_goes_on")
    else {
        return;
    };
    let folder = Folder::new();
    let instance = Instance::start(&config(&folder)).await.unwrap();
    let api = Api::new(instance.http, &instance.api_key);
    api.verified("mail.acme.test", "acme.test", "three-cname").await;
    let message = json!({"from": "a@mail.acme.test", "to": ["r@example.org"], "subject": "x", "text": "y"});
    let (sent, _) = api.send_and_receive(&message).await;
    let url = server.database("target");
    let (output, said) = countersign(&folder, &["migrate-store", "--to", &url]);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("another countersign uses the data folder"), "{said}");
    instance.stop().await;

    let (output, said) = countersign(&folder, &["migrate-store"]);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("DATABASE_URL"), "{said}");
    let (output, said) = countersign(&folder, &["migrate-store", "--to", &url]);
    assert!(output.status.success() && said.contains("domains"), "{said}");
    let (output, said) = countersign(&folder, &["migrate-store", "--to", &url]);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("not empty") && !said.contains("postgres://"), "{said}");

    let moved = Config { database_url: url, ..config(&folder) };
    let instance = Instance::start(&moved).await.unwrap();
    assert!(!instance.first_start);
    let api = Api::new(instance.http, &instance.api_key);
    assert_eq!(api.get("/domains").await["data"][0]["status"], "verified");
    let stored = api.get(&format!("/emails/{}", text(&sent, "id"))).await;
    assert_eq!(stored["recipients"][0]["status"], "delivered");
    let (_, received) = api.send_and_receive(&message).await;
    assert_eq!(received["authentication"]["dkim"][0]["result"], "pass", "the key was moved, sealed");
    instance.stop().await;
}
