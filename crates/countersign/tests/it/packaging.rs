//! What is handed out for operators works as it is, but for the names and addresses in it.

use crate::{
    postgres_server::Server,
    support::{Folder, config, skip},
};
use countersign::{Config, Instance, Overrides};
use std::{fs, path::PathBuf, process::Command};

fn packaging() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../packaging")
}

/// The configuration of a file, with listeners, data and database of this test.
fn example(file: &str, folder: &Folder) -> Config {
    let overrides = Overrides { config: Some(packaging().join(file)), ..Overrides::default() };
    let here = config(folder);
    Config {
        http: here.http,
        public_http: here.public_http,
        operator_http: "127.0.0.1:0".into(),
        dns: here.dns,
        smtp: here.smtp,
        data: here.data,
        key_pool: here.key_pool,
        ..Config::load(&overrides).unwrap()
    }
}

#[tokio::test]
async fn a_node_starts_with_the_example_for_one() {
    let folder = Folder::new();
    let config = example("one-node.toml", &folder);
    assert_eq!((config.platform_zone.as_str(), config.key_pool), ("send.example.com", 3));
    Instance::serve(&config).await.unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_start_with_the_example_for_three() {
    let Some(server) =
        Server::start_or_skip("countersign::packaging::three_nodes_start_with_the_example_for_three")
    else {
        return;
    };
    let folder = Folder::new();
    let url = server.database("three_nodes");
    let node = |name: &str| Config {
        database_url: url.clone(),
        node_name: name.to_owned(),
        master_key: "1f".repeat(32),
        ..example("three-nodes/node.toml", &folder)
    };
    for name in ["a", "b", "c"] {
        Instance::serve(&node(name)).await.unwrap().stop().await;
    }
}

#[test]
fn the_unit_is_one_that_systemd_takes() {
    const TEST: &str = "countersign::packaging::the_unit_is_one_that_systemd_takes";
    let folder = Folder::new();
    // The program of the unit has to be there.
    let unit = fs::read_to_string(packaging().join("countersign.service")).unwrap();
    let unit = unit.replace("/usr/local/bin/countersign", env!("CARGO_BIN_EXE_countersign"));
    let path = folder.0.join("countersign.service");
    fs::create_dir_all(&folder.0).unwrap();
    fs::write(&path, unit).unwrap();
    let Ok(verified) = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&path).output()
    else {
        return skip(TEST, "systemd-analyze is not installed");
    };
    let told = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success() && !told.contains("countersign.service"), "{told}");
}
