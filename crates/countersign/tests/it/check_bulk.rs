//! `check --from-file`: a thousand domains and more, through a real DNS server.

use crate::{
    dns_server::{DnsServer, countersign},
    support::{Folder, PATIENCE},
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

const DOMAINS: usize = 1_200;

fn domain(number: usize) -> String {
    format!("d{number}.bulk.test")
}

/// Every tenth domain has two SPF records.
fn is_faulty(number: usize) -> bool {
    number.is_multiple_of(10)
}

async fn server() -> DnsServer {
    let mut zone = String::new();
    for number in 0..DOMAINS {
        let _ = writeln!(zone, "d{number} IN TXT \"v=spf1 ip4:192.0.2.1 -all\"");
        let _ = writeln!(zone, "_dmarc.d{number} IN TXT \"v=DMARC1; p=reject\"");
        if is_faulty(number) {
            let _ = writeln!(zone, "d{number} IN TXT \"v=spf1 ip4:192.0.2.2 -all\"");
        }
    }
    DnsServer::start(&[("bulk.test", &zone)]).await
}

fn list() -> String {
    (0..DOMAINS).map(domain).collect::<Vec<_>>().join("\n")
}

fn results(ndjson: &str) -> Vec<Value> {
    ndjson.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
}

/// Every domain is there once, and the faulty ones are the ones that are told.
fn assert_exact(results: &[Value]) {
    let verdicts: BTreeMap<&str, &str> = results
        .iter()
        .map(|result| (result["domain"].as_str().unwrap(), result["verdict"].as_str().unwrap()))
        .collect();
    assert_eq!((results.len(), verdicts.len()), (DOMAINS, DOMAINS), "each domain once");
    for number in 0..DOMAINS {
        let expected = if is_faulty(number) { "fail" } else { "pass" };
        assert_eq!(verdicts[domain(number).as_str()], expected, "{number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_is_told_line_by_line() {
    let server = server().await;
    let said = server.countersign(&["check", "--from-file", "-", "--ndjson"], &list()).await;
    assert_eq!(said.code, Some(1), "{}", said.err);
    let found = results(&said.out);
    assert_exact(&found);
    let faulty = found.iter().find(|result| result["domain"] == "d10.bulk.test").unwrap();
    assert_eq!((&faulty["line"], &faulty["spf_status"]), (&Value::from(11), &Value::from("failed")));
    assert_eq!(faulty["findings"][0]["code"], "spf_multiple_records");
    assert_eq!(faulty["findings"][0]["record"], "spf");
    assert!(said.err.contains("1,080 good, 120 with problems"), "{}", said.err);
    assert!(said.err.contains("Most frequent: spf_multiple_records 120"), "{}", said.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_lines_are_results_and_stop_nothing() {
    let server = server().await;
    let list = "\u{feff}# customers\r\nd1.bulk.test\r\n\r\nnot a domain\r\nhttps://d2.bulk.test/\r\nD1.Bulk.Test.\r\nm@d3.bulk.test # by mail\r\n";
    let said = server.countersign(&["check", "--from-file", "-", "--ndjson"], list).await;
    assert_eq!(said.code, Some(1), "{said:?}");
    let found = results(&said.out);
    let lines: BTreeSet<u64> = found.iter().map(|result| result["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, BTreeSet::from([2, 4, 5, 7]), "{}", said.out);
    let url = found.iter().find(|result| result["line"] == 5).unwrap();
    assert!(url["error"].as_str().unwrap().contains("did you mean \"d2.bulk.test\""), "{url}");
    assert_eq!(url["input"], "https://d2.bulk.test/");
    assert!(said.err.contains("2 good, 2 lines that are no domain"), "{}", said.err);
    assert!(said.err.contains("stood in the list before: 1"), "{}", said.err);
    let text = server.countersign(&["check", "--from-file", "-"], "d10.bulk.test\nd1.bulk.test\n").await;
    assert!(text.out.contains("d10.bulk.test: 1 thing to fix (spf_multiple_records)"), "{text:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exit_code_tells_what_the_list_came_to() {
    let server = server().await;
    for (list, code) in [
        ("d1.bulk.test\nd2.bulk.test", 0),
        ("d1.bulk.test\nd10.bulk.test\nd1.refused.test", 1),
        ("d1.bulk.test\nd1.refused.test", 3),
        ("# nothing\n\n", 2),
        ("\u{feff}", 2),
    ] {
        let said = server.countersign(&["check", "--from-file", "-", "--ndjson"], list).await;
        assert_eq!(said.code, Some(code), "{list}: {said:?}");
        assert_eq!(said.err.contains("checked in"), code != 2, "{said:?}");
    }
    for (arguments, words) in [
        (vec!["--from-file", "/nonexistent.txt"], "/nonexistent.txt"),
        (vec!["--from-file", "/"], "is a folder"),
        (vec!["--from-file", "-", "example.com"], "cannot be used with"),
        (vec!["example.com", "--ndjson"], "--from-file"),
        (vec!["--from-file", "-", "--resume"], "--output"),
    ] {
        let said = server.countersign(&[vec!["check"], arguments].concat(), "").await;
        assert_eq!(said.code, Some(2), "{said:?}");
        assert!(said.err.contains(words), "{words}: {}", said.err);
    }
}

/// A check of the whole list into a file, stopped by a signal after its first results.
fn stopped_in_the_middle(
    server: &DnsServer,
    list: &Path,
    output: &Path,
    signal: &str,
) -> (Option<i32>, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_countersign"))
        .args(["check", "--concurrency", "2", "--resolver", &server.address.to_string()])
        .arg("--from-file")
        .arg(list)
        .arg("--output")
        .arg(output)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while fs::metadata(output).map_or(0, |file| file.len()) < 2_000 {
        assert!(start.elapsed() < PATIENCE, "no results came");
        assert!(child.try_wait().unwrap().is_none(), "it ended before it could be stopped");
        std::thread::yield_now();
    }
    let kill = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    (child.wait().unwrap().code(), err)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_run_goes_on_where_it_stopped() {
    let server = server().await;
    let folder = Folder::new();
    let (from, to) = (folder.0.join("domains.txt"), folder.0.join("out.ndjson"));
    fs::write(&from, list()).unwrap();
    let (code, _) = tokio::task::block_in_place(|| stopped_in_the_middle(&server, &from, &to, "-KILL"));
    assert_eq!(code, None, "it was killed");
    // The last line as a full disk or a lost machine would leave it.
    let mut half = fs::read(&to).unwrap();
    half.truncate(half.iter().rposition(|&octet| octet == b'\n').unwrap() - 20);
    fs::write(&to, &half).unwrap();
    let before = results(String::from_utf8(half).unwrap().rsplit_once('\n').unwrap().0).len();
    assert!(before > 0 && before < DOMAINS, "{before}");

    let arguments = ["check", "--from-file", from.to_str().unwrap(), "--output", to.to_str().unwrap()];
    let refused = server.countersign(&arguments, "").await;
    assert_eq!(refused.code, Some(2));
    assert!(refused.err.contains("add --resume"), "{}", refused.err);

    let resumed = server.countersign(&[&arguments[..], &["--resume"]].concat(), "").await;
    assert_eq!(resumed.code, Some(1), "{}", resumed.err);
    assert_exact(&results(&fs::read_to_string(&to).unwrap()));
    assert!(resumed.err.contains("had been cut off"), "{}", resumed.err);
    assert!(resumed.err.contains("1,080 good, 120 with problems"), "{}", resumed.err);

    // All is there: nothing is asked again, in whatever order the list is.
    let whole = fs::read(&to).unwrap();
    let reversed: Vec<String> = (0..DOMAINS).rev().map(domain).collect();
    fs::write(&from, reversed.join("\n")).unwrap();
    let again = server.countersign(&[&arguments[..], &["--resume"]].concat(), "").await;
    assert_eq!((again.code, fs::read(&to).unwrap() == whole), (Some(1), true), "{}", again.err);
    assert!(again.err.starts_with("0 checked"), "{}", again.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_run_finishes_what_is_under_way_and_says_how_to_go_on() {
    let server = server().await;
    let folder = Folder::new();
    let (from, to) = (folder.0.join("domains.txt"), folder.0.join("out.ndjson"));
    fs::write(&from, list()).unwrap();
    let (code, err) = tokio::task::block_in_place(|| stopped_in_the_middle(&server, &from, &to, "-INT"));
    assert_eq!(code, Some(130), "{err}");
    assert!(err.contains("Stopping: ") && err.contains("will be finished"), "{err}");
    assert!(err.contains("the same command with --resume added"), "{err}");
    let written = fs::read_to_string(&to).unwrap();
    assert!(written.ends_with('\n'));
    let before = results(&written).len();
    assert!(before < DOMAINS, "{before}");
    let arguments =
        ["check", "--resume", "--from-file", from.to_str().unwrap(), "--output", to.to_str().unwrap()];
    server.countersign(&arguments, "").await;
    assert_exact(&results(&fs::read_to_string(&to).unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_something_else_is_not_written_to() {
    let server = server().await;
    let folder = Folder::new();
    let to = folder.0.join("letter.txt");
    fs::write(&to, "Dear reader,\n").unwrap();
    let arguments = ["check", "--resume", "--from-file", "-", "--output", to.to_str().unwrap()];
    let said = server.countersign(&arguments, "d1.bulk.test").await;
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("line 1 is no result of a check"), "{}", said.err);
    assert_eq!(fs::read_to_string(&to).unwrap(), "Dear reader,\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_has_seen_enough_ends_it_quietly() {
    let server = server().await;
    let folder = Folder::new();
    let from = folder.0.join("domains.txt");
    fs::write(&from, list()).unwrap();
    let (address, path) = (server.address.to_string(), from.clone());
    let (first, err) = tokio::task::spawn_blocking(move || {
        let mut child = Command::new(env!("CARGO_BIN_EXE_countersign"))
            .args(["check", "--ndjson", "--resolver", &address, "--from-file"])
            .arg(path)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let mut err = String::new();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        child.wait().unwrap();
        (first, err)
    })
    .await
    .unwrap();
    assert_eq!(results(&first).len(), 1);
    assert!(!err.contains("error"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_of_full_results_can_be_explained() {
    let server = server().await;
    let said = server.countersign(&["check", "--from-file", "-", "--full"], "d10.bulk.test").await;
    let explained = countersign(vec!["explain".to_owned(), "-".to_owned()], &said.out).await;
    assert_eq!((said.code, explained.code), (Some(1), Some(1)), "{explained:?}");
    assert!(explained.out.starts_with("d10.bulk.test: 1 thing to fix"), "{}", explained.out);
}
