//! `check --watch`: until everything is everywhere, against a real DNS server whose zone changes meanwhile.

use crate::dns_server::DnsServer;
use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
    thread,
};

const SPF: &str = r#"@ IN TXT "v=spf1 ip4:192.0.2.1 -all""#;
const BOTH: &str = r#"@ IN TXT "v=spf1 ip4:192.0.2.1 -all"
    _dmarc IN TXT "v=DMARC1; p=reject""#;

/// With the zone above, which may hold a policy too.
fn zones(text: &str) -> [(&str, &str); 2] {
    [("test", ""), ("acme.test", text)]
}

/// The deadline bounds the test as well.
fn watch(server: &DnsServer, deadline: &str, arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_countersign"))
        .args(["check", "acme.test", "--watch", "--watch-interval", "5"])
        .args(["--deadline", deadline])
        .args(["--resolver", &server.address.to_string()])
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Reads lines of the progress until one has the words.
fn until(lines: &mut impl Iterator<Item = String>, words: &str) {
    let mut met = Vec::new();
    for line in lines {
        if line.contains(words) {
            return;
        }
        met.push(line);
    }
    panic!("it never said \"{words}\": {met:#?}");
}

fn progress(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok)
}

/// The exit code and the report.
fn ended(mut child: Child) -> (Option<i32>, String) {
    let mut out = String::new();
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    (child.wait().unwrap().code(), out)
}

/// Away from the threads that serve.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_told_as_they_come_until_all_are_there() {
    let server = DnsServer::start(&zones("")).await;
    let mut child = watch(&server, "60s", &[]);
    let mut lines = progress(&mut child);
    let mut lines = apart(move || {
        until(&mut lines, "spf: missing, 0 of 1 name server, 0 of 1 resolver");
        until(&mut lines, "dmarc: missing");
        lines
    })
    .await;
    server.replace(&zones(SPF));
    let mut lines = apart(move || {
        until(&mut lines, "spf: done, 1 of 1 name server, 1 of 1 resolver");
        lines
    })
    .await;
    server.replace(&zones(BOTH));
    let (code, report) = apart(move || {
        until(&mut lines, "dmarc: done, 1 of 1 name server, 1 of 1 resolver");
        until(&mut lines, "Everything is seen everywhere.");
        ended(child)
    })
    .await;
    assert_eq!(code, Some(0), "{report}");
    assert!(report.starts_with("acme.test"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_ends_the_waiting_with_the_report() {
    let server = DnsServer::start(&zones(SPF)).await;
    let child = watch(&server, "1s", &["--format", "json"]);
    let (code, report) = apart(|| ended(child)).await;
    assert_eq!(code, Some(1), "{report}");
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!((&report["spf_status"], &report["dmarc_status"]), (&"verified".into(), &"missing".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_it_shows_the_last_state_and_has_its_exit_code() {
    let server = DnsServer::start(&zones(SPF)).await;
    let mut child = watch(&server, "60s", &[]);
    let lines = progress(&mut child);
    let (code, report, rest) = apart(move || {
        let mut lines = lines;
        until(&mut lines, "dmarc: missing");
        let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        assert!(killed.success());
        let rest = thread::spawn(move || lines.collect::<Vec<_>>());
        let (code, report) = ended(child);
        (code, report, rest.join().unwrap())
    })
    .await;
    assert_eq!(code, Some(1), "{report}");
    assert!(report.contains("_dmarc"), "{report}");
    assert!(rest.iter().any(|line| line.contains("Stopped; this is how things stand.")), "{rest:?}");
}
