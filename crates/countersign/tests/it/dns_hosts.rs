//! What `hosts/*.toml` says of writing at a host is what the program does, and what was tried.

use app::dns_hosts::WRITABLE;
use explain::hosts::{self, Proven};
use std::{fs, path::Path};

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
