//! The command line, as a tired person types it.

use crate::{durability::Process, support::Folder};
use serde_json::json;
use std::{
    net::TcpListener,
    process::{Command, Output},
};

fn countersign(arguments: &[&str]) -> Output {
    let folder = Folder::new();
    Command::new(env!("CARGO_BIN_EXE_countersign")).args(arguments).current_dir(&folder.0).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_taken_port_is_named_with_the_flag_to_change_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for flag in ["--http", "--dns", "--smtp"] {
        let mut arguments = vec!["dev", flag, &address];
        for other in ["--http", "--dns", "--smtp"] {
            if other != flag {
                arguments.extend([other, "127.0.0.1:0"]);
            }
        }
        let output = countersign(&arguments);
        let text = said(&output);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(&address) && text.contains(flag), "{text}");
    }
}

#[test]
fn mistakes_are_told_with_what_to_do() {
    for (arguments, words) in [
        (vec!["check", "not a domain"], "cannot have"),
        (vec!["check", "https://example.com/x"], "did you mean"),
        (vec!["check", "_dmarc.example.com"], "did you mean \"example.com\"?"),
        (vec!["check", "www.example.com:443"], "did you mean \"www.example.com\"?"),
        (vec!["check", "example.com", "--resolver", "nonsense"], "give an IP address"),
        (vec!["check"], "Usage"),
        (vec!["nonsense"], "Usage"),
        (vec!["check", "example.com", "--selector", "s1._domainkey.example.com"], "give only \"s1\""),
        (vec!["config", "--http", "nonsense"], "invalid"),
        (vec!["config", "--config", "/nonexistent/x.toml"], "there is no file /nonexistent/x.toml"),
        (vec!["config", "--log", "nonsense=["], "log"),
        (vec!["dev", "--http", "0.0.0.0:0"], "no login"),
    ] {
        let output = countersign(&arguments);
        let text = said(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
        assert!(text.contains(words), "{arguments:?}: {text}");
    }
}

#[cfg(unix)]
#[test]
fn an_argument_that_is_no_text_is_one_error() {
    use std::os::unix::ffi::OsStrExt;
    let output = Command::new(env!("CARGO_BIN_EXE_countersign"))
        .arg("check")
        .arg(std::ffi::OsStr::from_bytes(b"m\xfcnchen.example"))
        .output()
        .unwrap();
    let text = said(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("UTF-8") && text.matches("error:").count() == 1, "{text}");
}

/// Bell, the one-character CSI and a mark that reverses the direction: nobody takes these out on the way.
const HOSTILE: &str = "x\u{7}y\u{9b}31mz\u{202e}\nerror: all is well";

#[test]
fn no_message_repeats_what_a_terminal_would_obey() {
    let option = format!("--{HOSTILE}");
    let assigned = format!("--format={HOSTILE}");
    let http = format!("--http={HOSTILE}");
    for arguments in [
        vec![HOSTILE],
        vec!["check", HOSTILE],
        vec!["check", &option],
        vec!["check", "example.com", "--format", HOSTILE],
        vec!["check", "example.com", &assigned],
        vec!["check", "example.com", "--resolver", HOSTILE],
        vec!["check", "example.com", "--selector", HOSTILE],
        vec!["check", "example.com", "--profile", HOSTILE],
        vec!["check", "example.com", "--template", HOSTILE],
        vec!["check", "--from-file", HOSTILE],
        vec!["check", "example.com", HOSTILE],
        vec!["explain", HOSTILE],
        vec!["config", "--config", HOSTILE],
        vec!["config", "--platform-zone", HOSTILE],
        vec!["config", &http],
        vec!["dev", "--public-http", HOSTILE],
        vec!["tour", HOSTILE],
    ] {
        let output = countersign(&arguments);
        let text = said(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
        let is_bad = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!text.contains(is_bad), "{arguments:?}: {text:?}");
        let lines = text.lines().filter(|line| line.starts_with("error: all is well")).count();
        assert_eq!(lines, 0, "{arguments:?}: {text}");
    }
}

#[test]
fn config_prints_what_is_in_force() {
    let text = said(&countersign(&["config", "--http", "127.0.0.1:9999"]));
    assert!(text.contains("http = \"127.0.0.1:9999\"") && text.contains("# flag"), "{text}");
    // What it prints can be read back.
    assert!(toml_like(&text), "{text}");
}

fn toml_like(text: &str) -> bool {
    let is_table = |line: &str| line.starts_with('[') && line.ends_with(']');
    text.lines()
        .all(|line| line.is_empty() || is_table(line) || (line.contains(" = ") && line.contains(" # ")))
}

#[test]
fn no_answer_at_all_is_unknown_with_an_exit_code_of_its_own() {
    // Nothing listens there: the port was free a moment ago.
    let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let output = countersign(&["check", "mail.acme.test", "--resolver", &free]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn check_tells_good_from_bad_against_a_running_platform() {
    let folder = Folder::new();
    let process = Process::start(&folder.0);
    let api = process.api();
    let dns = process.dns.to_string();
    let check = |arguments: &[&str]| {
        let mut all = vec!["check", "mail.acme.test", "--resolver", &dns];
        all.extend(arguments);
        countersign(&all)
    };
    let bad = check(&[]);
    assert_eq!(bad.status.code(), Some(1), "{}", said(&bad));
    assert!(said(&bad).contains("SPF"), "{}", said(&bad));
    let domain = api.verified("mail.acme.test", "acme.test", "three-cname").await;
    let token = domain["dkim_tokens"][0].as_str().unwrap();
    let good = check(&["--selector", token]);
    assert_eq!(good.status.code(), Some(0), "{}", said(&good));
    let json: serde_json::Value = serde_json::from_slice(&check(&["--format", "json"]).stdout).unwrap();
    assert_eq!(json["verdict"], json!("pass"), "{json:#}");
    for format in ["markdown", "html"] {
        assert!(check(&["--format", format]).stdout.len() > 50);
    }
}

#[test]
fn the_tour_walks_the_whole_main_job() {
    let output = countersign(&["tour"]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    for words in [
        "the check found it",
        "verified, by itself",
        "authenticated by real DNS look-ups",
        "From added to proven",
    ] {
        assert!(text.contains(words), "{text}");
    }
}
