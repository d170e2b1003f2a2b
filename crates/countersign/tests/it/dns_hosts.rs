//! What `hosts/*.toml` says of writing at a host is what the program does, and what was tried.

use app::dns_hosts::WRITABLE;
use explain::hosts::{self, Proven};
use std::{fs, path::Path, process::Command};

#[test]
fn a_host_asks_for_the_fields_that_its_file_names() {
    let of_files: Vec<_> = hosts::all().iter().filter_map(|host| Some((host, host.api.as_ref()?))).collect();
    let written = of_files.iter().filter(|(_, api)| api.proven != Proven::None);
    let mut of_files: Vec<_> = written
        .map(|(host, api)| {
            let fields = api.fields.iter().map(|field| (field.name.as_str(), field.secret, field.optional));
            (host.id.as_str(), fields.collect::<Vec<_>>())
        })
        .collect();
    let mut of_program: Vec<_> = WRITABLE
        .iter()
        .map(|host| {
            let fields = host.fields.iter().map(|field| (field.name, field.is_secret, field.is_optional));
            (host.host, fields.collect::<Vec<_>>())
        })
        .collect();
    of_files.sort();
    of_program.sort();
    assert_eq!(of_files, of_program);
}

/// The suite that all hosts are held to has a file for each; what it starts there is what is claimed.
#[test]
fn each_claim_has_its_run() {
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("../providers/tests/it");
    let mut claims = 0;
    for host in hosts::all() {
        let Some(api) = host.api.as_ref().filter(|api| api.proven != Proven::None) else { continue };
        let run = fs::read_to_string(suite.join(format!("{}.rs", host.id))).unwrap();
        let started = match api.proven {
            Proven::Server => "servers::",
            Proven::Fake => "fake_hosts::",
            Proven::Wire | Proven::Library | Proven::None => panic!("no suite is for that yet: {}", host.id),
        };
        assert!(run.contains("conforms!(") && run.contains(started), "{}", host.id);
        claims += 1;
    }
    assert_eq!(claims, WRITABLE.len());
}

#[test]
fn the_command_line_lists_them_with_what_they_were_tried_against() {
    let run = |arguments: &[&str]| {
        let ran = Command::new(env!("CARGO_BIN_EXE_countersign")).args(arguments).output().unwrap();
        let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).unwrap();
        (ran.status.code(), text(&ran.stdout), text(&ran.stderr))
    };
    let (code, list, _) = run(&["dns-hosts"]);
    assert_eq!(code, Some(0));
    for host in WRITABLE {
        let line = list.lines().find(|line| line.starts_with(&format!("{} ", host.host))).unwrap();
        let api = hosts::by_id(host.host).unwrap().api.as_ref().unwrap();
        assert!(line.ends_with(api.proven.words()) && line.contains(host.fields[0].name), "{line}");
        let (code, one, _) = run(&["dns-hosts", host.host]);
        assert_eq!(code, Some(0));
        assert!(api.rights.iter().chain(&api.unproven).all(|fact| one.contains(fact)), "{one}");
    }
    let (code, nothing, error) = run(&["dns-hosts", "hover"]);
    assert_eq!((code, nothing.as_str()), (Some(2), ""));
    assert!(error.contains("nothing is written at \"hover\"; possible are cloudflare, desec"), "{error}");
}
