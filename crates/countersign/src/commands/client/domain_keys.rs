//! The DKIM keys of a domain: list, rotate, bring along, discard.

use super::{
    Failure, Outcome, PageArgs, ServerArgs, domains::path_of, field, find::domain_path, http::Client, items,
    show_more, shown, table::table, time,
};
use crate::commands::{Exit, show};
use serde_json::{Value, json};
use std::{io::Read as _, path::Path, time::Duration};

/// The longest pause that is made where the platform wants one.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// The largest file that is read as a key.
const MOST_KEY: u64 = 20_000;

pub async fn list(server: &ServerArgs, client: &Client, domain: &str) -> Outcome {
    let path = format!("{}/keys", domain_path(client, domain).await?);
    Ok(shown(server, &client.get(&path).await?, |list| {
        let rows: Vec<[String; 4]> = items(list)
            .iter()
            .map(|key| {
                let until = match key["state"].as_str() {
                    Some("draining") => format!("until {}", time(key, "retire_at")),
                    Some("removable") => format!("since {}", time(key, "retire_at")),
                    _ => String::new(),
                };
                [field(key, "selector"), field(key, "state"), until, field(key, "txt_record")]
            })
            .collect();
        table(["SELECTOR", "STATE", "", "TXT RECORD"], &rows, "It has no keys.")
    }))
}

/// The record of a key that waits to be published.
async fn waiting<'a>(client: &Client, domain: &'a Value) -> Outcome<Option<&'a Value>> {
    let records = domain["records"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_beside = |record: &&Value| {
        record["purpose"] == "dkim" && record["required"] == false && record["status"] != "verified"
    };
    let mut beside = records.iter().filter(is_beside).peekable();
    if beside.peek().is_none() {
        return Ok(None);
    }
    let keys = client.get(&format!("{}/keys", path_of(domain))).await?;
    let waits = items(&keys).iter().find(|key| key["state"] == "standby" && key["txt_record"].is_string());
    Ok(waits.and_then(|key| beside.find(|record| record["name"] == key["txt_record"])))
}

/// What to do about the keys of a domain now.
async fn told(server: &ServerArgs, client: &Client, domain: &Value) -> Outcome {
    let record = waiting(client, domain).await?;
    let name = field(domain, "domain");
    Ok(shown(server, domain, |_| match record {
        None => format!("Another key signs for {name} now."),
        Some(record) => format!(
            "Add this record for {name}; the new key signs as soon as it is seen:\n\n  {} {}\n  {}\n\nLeave the record of \
             the key before where it is. `countersign domains publish {name} --host HOST` writes it for you, `countersign \
             domains keys {name}` shows how far it is.",
            field(record, "type"),
            field(record, "name"),
            field(record, "value"),
        ),
    }))
}

pub async fn rotate(server: &ServerArgs, client: &Client, domain: &str, compromised: bool) -> Outcome {
    let path = format!("{}/keys/rotate", domain_path(client, domain).await?);
    let rotated = client.post(&path, &json!({"compromised": compromised})).await?;
    told(server, client, &rotated).await
}

pub async fn import(
    server: &ServerArgs,
    client: &Client,
    domain: &str,
    selector: &str,
    file: &Path,
) -> Outcome {
    let path = format!("{}/keys", domain_path(client, domain).await?);
    let body = json!({"selector": selector, "private_key": read(file)?});
    let imported = client.post(&path, &body).await?;
    told(server, client, &imported).await
}

fn read(file: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(MOST_KEY).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(MOST_KEY).read_to_string(&mut text))
    };
    let wrong = |error| Failure::Usage(format!("{}: {error}", show::path(file)));
    read.map(|_| text).map_err(wrong)
}

pub async fn discard(server: &ServerArgs, client: &Client, domain: &str) -> Outcome {
    let path = format!("{}/keys/discard", domain_path(client, domain).await?);
    Ok(shown(server, &client.post(&path, &json!({})).await?, |domain| {
        format!("Discarded. If its record is in the DNS of {} already, remove it.", field(domain, "domain"))
    }))
}

/// Rotates what can be rotated, and says of the others why not.
pub async fn rotate_all(server: &ServerArgs, client: &Client, yes: bool, compromised: bool) -> Outcome {
    if !yes {
        return Err(Failure::Usage(
            "--all has another key sign for each domain that is verified; add --yes to do it".to_owned(),
        ));
    }
    let everything = PageArgs { limit: 1_000_000 };
    let list = client.list("/domains", &[("status", "verified")], &everything).await?;
    let mut told = Vec::new();
    let mut stopped = None;
    for domain in items(&list) {
        let (waits, refused) = match rotate_in_time(client, domain, compromised).await {
            Ok(rotated) => {
                let record = waiting(client, &rotated).await?;
                (record.map(|record| record["name"].clone()), None)
            }
            Err(Failure::Refused(why)) => (None, Some(why)),
            Err(other) => {
                stopped = Some(other);
                break;
            }
        };
        let rotated = refused.is_none() && waits.is_none();
        told.push(
            json!({"domain": domain["domain"], "rotated": rotated, "add_record": waits, "reason": refused}),
        );
    }
    let all = told.iter().all(|one| one["rotated"] == true);
    let (done, of) = (told.len(), items(&list).len());
    let list = json!({"object": "list", "data": told});
    let exit = shown(server, &list, |list| {
        let rows: Vec<[String; 3]> = items(list)
            .iter()
            .map(|one| {
                let rotated = if one["rotated"] == true { "yes" } else { "no" };
                let reason = match one["add_record"].as_str() {
                    Some(name) => format!("add the record {name}"),
                    None => field(one, "reason").lines().next().unwrap_or_default().to_owned(),
                };
                [field(one, "domain"), rotated.to_owned(), reason]
            })
            .collect();
        table(["DOMAIN", "ROTATED", "WHY NOT"], &rows, "No domain is verified.")
    });
    if let Some(failure) = stopped {
        show_more(&format!("It stopped after {done} of {of} domains."));
        return Err(failure);
    }
    Ok(match exit {
        Exit::Good if !all => Exit::Problems,
        other => other,
    })
}

/// Rotates the keys of one of many domains; where the platform wants a pause, it is made.
async fn rotate_in_time(client: &Client, domain: &Value, compromised: bool) -> Outcome<Value> {
    let path = format!("{}/keys/rotate", path_of(domain));
    loop {
        match client.post(&path, &json!({"compromised": compromised})).await {
            Err(Failure::TooMany(_, after)) if after <= LONGEST_PAUSE => {
                show_more(&format!(
                    "That is as many as may be at once; it goes on in {} s.",
                    after.as_secs()
                ));
                tokio::time::sleep(after).await;
            }
            other => return other,
        }
    }
}
