//! Records as files, each loaded by the tool it is for.

use crate::support::{Api, Platform, skip, text};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const SCRIPT: &str = include_str!("exports.py");

/// What `DNSControl` defines for its configuration, as far as our files use it: it records what it is called with.
const DNSCONTROL: &str = r"
const seen = [];
const at = (zone, host) => (host === '@' ? zone : host + '.' + zone);
const bare = (name) => name.replace(/\.$/, '');
const TTL = (seconds) => ({ ttl: seconds });
const CNAME = (host, target) => ({ host, kind: 'CNAME', value: bare(target) });
const TXT = (host, value) => ({ host, kind: 'TXT', value });
const MX = (host, preference, target) => ({ host, kind: 'MX', value: preference + ' ' + bare(target) });
const D_EXTEND = (zone, ...records) => records.forEach((r) => seen.push([at(zone, r.host), r.kind, r.value]));
";

/// The records that are to be published: name, type, value.
async fn wanted(api: &Api, path: &str) -> Vec<Value> {
    let records = api.get(&format!("{path}/records")).await;
    let mut wanted: Vec<Value> = records["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| {
            let value = record["replace"].as_str().unwrap_or_else(|| text(record, "value"));
            let value = record["priority"]
                .as_u64()
                .map_or_else(|| value.to_owned(), |first| format!("{first} {value}"));
            json!([text(record, "name"), text(record, "type"), value])
        })
        .collect();
    wanted.sort_by_key(ToString::to_string);
    wanted
}

fn sorted(records: &Value) -> Vec<Value> {
    let mut records = records.as_array().unwrap().clone();
    records.sort_by_key(ToString::to_string);
    records
}

/// A domain that has a record of each kind, with an SPF record of its own already.
async fn domain(platform: &Platform) -> String {
    let api = &platform.api;
    let zone = api.zone("acme.test").await;
    let there = json!({"host": "mail", "type": "TXT", "value": "v=spf1 a ip4:192.0.2.7 -all", "ttl": 300});
    api.post(&format!("/playground/zones/{zone}/records"), &there).await;
    let added = api.post("/domains", &json!({"domain": "mail.acme.test", "profile": "two-txt"})).await;
    let path = format!("/domains/{}", text(&added, "id"));
    api.until(&path, |domain| domain["last_checked_at"].is_string()).await;
    path
}

async fn write(api: &Api, path: &str, folder: &Path, form: &str, file: &str) -> String {
    let answer =
        api.request(reqwest::Method::GET, &format!("{path}/records?format={form}")).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let content = answer.text().await.unwrap();
    fs::write(folder.join(file), &content).unwrap();
    content
}

#[tokio::test(flavor = "multi_thread")]
async fn each_file_is_loaded_by_its_tool_and_holds_the_same_records() {
    let name = "exports::each_file_is_loaded_by_its_tool_and_holds_the_same_records";
    let tools = std::env::var_os("COUNTERSIGN_TOOLS")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/tools"), PathBuf::from);
    let python = tools.join("venv/bin/python3");
    if !tools.join("venv/bin/octodns-validate").is_file() {
        skip(name, "octodns, python-hcl2 and cfn-lint are not installed (cargo xtask setup)");
        return;
    }
    let platform = Platform::start().await;
    let api = &platform.api;
    let path = domain(&platform).await;
    let wanted = wanted(api, &path).await;
    assert!(
        wanted
            .iter()
            .any(|record| record[2].as_str().unwrap().starts_with("v=spf1 a ip4:192.0.2.7 include:"))
    );
    let folder = platform.folder.0.clone();
    for (form, file) in [
        ("terraform-cloudflare", "terraform-cloudflare.tf"),
        ("terraform-route53", "terraform-route53.tf"),
        ("cloudformation", "cloudformation.json"),
        ("octodns", "acme.test.yaml"),
    ] {
        write(api, &path, &folder, form, file).await;
    }
    let ran = Command::new(&python).args(["-c", SCRIPT]).arg(&folder).arg("acme.test").output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let seen: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(seen.as_object().unwrap().len(), 4);
    for (tool, records) in seen.as_object().unwrap() {
        assert_eq!(sorted(records), wanted, "{tool}");
    }
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_server_loads_the_zone_lines_and_an_engine_runs_the_statements() {
    let platform = Platform::start().await;
    let api = &platform.api;
    let path = domain(&platform).await;
    let wanted = wanted(api, &path).await;
    let folder = platform.folder.0.clone();

    let statements = write(api, &path, &folder, "dnscontrol", "dnsconfig.js").await;
    let script = format!("{DNSCONTROL}\n{statements}\nconsole.log(JSON.stringify(seen));");
    match Command::new("node").args(["-e", &script]).output() {
        Ok(ran) => {
            assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
            assert_eq!(sorted(&serde_json::from_slice(&ran.stdout).unwrap()), wanted);
        }
        Err(_) => skip("exports::an_engine_runs_the_statements", "node is not installed"),
    }

    let lines = write(api, &path, &folder, "zone", "lines").await;
    let head = "$ORIGIN acme.test.\n@ 60 IN SOA ns.acme.test. h.acme.test. 1 60 60 60 60\n@ 60 IN NS ns\nns 60 IN A 192.0.2.1\n";
    let zone = folder.join("zone");
    fs::write(&zone, format!("{head}{lines}")).unwrap();
    let check = ["/usr/sbin/named-checkzone", "/usr/bin/named-checkzone"]
        .into_iter()
        .find(|path| Path::new(path).is_file());
    if let Some(check) = check {
        let ran = Command::new(check)
            .args(["-i", "local", "-D", "-o", "-", "acme.test"])
            .arg(&zone)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert!(ran.status.success(), "{told}{}", String::from_utf8_lossy(&ran.stderr));
        let seen = told
            .lines()
            .filter(|line| line.contains("IN TXT") || line.contains("IN MX") || line.contains("IN CNAME"));
        assert_eq!(seen.count(), wanted.len(), "{told}");
    } else {
        skip(
            "exports::a_name_server_loads_the_zone_lines",
            "named-checkzone is not installed (cargo xtask setup)",
        );
    }
    platform.stop().await;
}
