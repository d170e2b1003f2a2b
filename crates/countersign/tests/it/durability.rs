//! What was acknowledged survives `kill -9`.

use crate::support::{Api, Folder, PATIENCE, text};
use serde_json::json;
use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    time::Instant,
};

/// A `countersign dev` process of its own, ended with the test.
pub struct Process {
    child: Child,
    _out: BufReader<ChildStdout>,
    pub http: SocketAddr,
    pub dns: SocketAddr,
    pub key: String,
}

impl Process {
    pub fn start(data: &Path) -> Self {
        Self::start_with(data, "error", |_| {})
    }

    /// With another log.
    pub fn start_with(data: &Path, log: &str, change: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        change(&mut command);
        let mut child = command
            .args([
                "dev",
                "--http",
                "127.0.0.1:0",
                "--dns",
                "127.0.0.1:0",
                "--smtp",
                "127.0.0.1:0",
                "--log",
                log,
            ])
            .arg("--data")
            .arg(data)
            .current_dir(data)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let (mut http, mut dns, mut key) = (None, None, None);
        let start = Instant::now();
        while key.is_none() {
            assert!(start.elapsed() < PATIENCE, "dev did not print its addresses");
            let mut line = String::new();
            assert!(out.read_line(&mut line).unwrap() > 0, "dev ended before it printed its addresses");
            let word = |prefix: &str| {
                line.trim()
                    .strip_prefix(prefix)
                    .and_then(|rest| rest.split_whitespace().next())
                    .map(str::to_owned)
            };
            if let Some(url) = word("Dashboard") {
                http = url.trim_start_matches("http://").trim_end_matches('/').parse().ok();
            }
            dns = word("DNS ").and_then(|address| address.parse().ok()).or(dns);
            key = word("API key").or(key);
        }
        Self { child, _out: out, http: http.unwrap(), dns: dns.unwrap(), key: key.unwrap() }
    }

    pub fn api(&self) -> Api {
        Api::new(self.http, &self.key)
    }

    /// The process's number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; the exit status.
    pub fn terminate(mut self) -> std::process::ExitStatus {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.child.wait().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn accepted_messages_survive_kill_9() {
    let folder = Folder::new();
    let process = Process::start(&folder.0);
    let api = process.api();
    api.verified("mail.acme.test", "acme.test", "two-txt").await;
    let mut accepted = Vec::new();
    for number in 0..20 {
        let message = json!({"from": "a@mail.acme.test", "to": [format!("r{number}@example.org")], "subject": "x", "text": "y"});
        accepted.push(text(&api.post("/emails", &message).await, "id").to_owned());
    }
    process.kill();

    let process = Process::start(&folder.0);
    let api = process.api();
    for id in &accepted {
        let delivered = |message: &serde_json::Value| message["recipients"][0]["status"] == "delivered";
        api.until(&format!("/emails/{id}"), delivered).await;
    }
    // At least once each; what was handed over at the moment of the kill may have come twice.
    let inbox = api.get("/sandbox/messages?limit=100").await;
    let mut recipients: Vec<&str> = inbox["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["recipients"][0].as_str().unwrap())
        .collect();
    recipients.sort_unstable();
    recipients.dedup();
    assert_eq!(recipients.len(), 20);
    let domain = api.get("/domains").await;
    assert_eq!(domain["data"][0]["status"], "verified");
    assert!(process.terminate().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_stops_cleanly_and_the_folder_is_free_again() {
    let folder = Folder::new();
    let process = Process::start(&folder.0);
    let second = Command::new(env!("CARGO_BIN_EXE_countersign"))
        .args(["dev", "--http", "127.0.0.1:0", "--dns", "127.0.0.1:0", "--smtp", "127.0.0.1:0", "--data"])
        .arg(&folder.0)
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&second.stderr).contains("another countersign uses the data folder"));
    assert!(process.terminate().success());
    assert!(Process::start(&folder.0).terminate().success());
}

/// A small file system in memory, gone with its owner.
struct TinyDisk(Folder);

impl TinyDisk {
    fn mount(megabytes: u32) -> Option<Self> {
        let folder = Folder::new();
        let size = format!("size={megabytes}m,mode=700");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&folder.0).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(folder))
    }
}

impl Drop for TinyDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(&self.0.0).status());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_answers_503_and_keeps_what_was_accepted() {
    let Some(disk) = TinyDisk::mount(8) else {
        crate::support::skip(
            "a_full_disk_answers_503_and_keeps_what_was_accepted",
            "mounting a small disk needs root",
        );
        return;
    };
    let process = Process::start(&disk.0.0);
    let api = process.api();
    api.verified("mail.acme.test", "acme.test", "two-txt").await;
    let message = json!({
        "from": "a@mail.acme.test", "to": ["b@example.org"], "subject": "x", "text": "y".repeat(200_000),
    });
    let mut accepted = Vec::new();
    let refused = loop {
        let response = api.request(reqwest::Method::POST, "/emails").json(&message).send().await.unwrap();
        if !response.status().is_success() {
            break crate::support::problem(response).await;
        }
        accepted.push(text(&response.json().await.unwrap(), "id").to_owned());
        assert!(accepted.len() < 200, "8 MB are never full");
    };
    assert_eq!((refused.0.as_u16(), text(&refused.1, "code")), (503, "UNAVAILABLE"), "{:#}", refused.1);
    assert!(!accepted.is_empty());
    for id in &accepted {
        let kept = api.get(&format!("/emails/{id}")).await;
        assert_eq!(text(&kept, "id"), id);
    }
    assert_eq!(api.plain("/healthz").await.status().as_u16(), 200);
    process.kill();
}
