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
        let rows: Vec<[String; 3]> = items(list)
            .iter()
            .map(|key| {
                let state = match key["state"].as_str() {
                    Some("active") => "signs".to_owned(),
                    Some("standby") if key["txt_record"].is_string() => "waits to be published".to_owned(),
                    Some("standby") => "next".to_owned(),
                    Some("draining") => format!("signed before, published until {}", time(key, "retire_at")),
                    Some("removable") => {
                        format!("gone, its record may be removed since {}", time(key, "retire_at"))
                    }
                    _ => field(key, "state"),
                };
                [field(key, "selector"), state, field(key, "txt_record")]
            })
            .collect();
        table(["SELECTOR", "STATE", "TXT RECORD"], &rows, "It has no keys.")
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
    let waits = |record: &&Value| {
        items(&keys).iter().any(|key| key["state"] == "standby" && key["txt_record"] == record["name"])
    };
    Ok(beside.find(waits))
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
        let (one, failed) = rotate_one(client, domain, compromised).await;
        told.extend(one);
        if failed.is_some() {
            stopped = failed;
            break;
        }
    }
    let all = told.iter().all(|one| one["rotated"] == true);
    let (done, of) = (told.len(), items(&list).len());
    let list = json!({"object": "list", "data": told});
    let exit = shown(server, &list, |list| {
        let rows: Vec<[String; 3]> = items(list)
            .iter()
            .map(|one| {
                let rotated = match one["rotated"].as_bool() {
                    Some(true) => "yes",
                    Some(false) => "no",
                    None => "?",
                };
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

/// Rotates the keys of one of many domains: what is told of it, and why nothing more can be asked.
async fn rotate_one(client: &Client, domain: &Value, compromised: bool) -> (Option<Value>, Option<Failure>) {
    let path = format!("{}/keys/rotate", path_of(domain));
    let body = json!({"compromised": compromised});
    let told = |rotated: Option<bool>, record: &Value, reason: Option<String>| {
        Some(json!({"domain": domain["domain"], "rotated": rotated, "add_record": record, "reason": reason}))
    };
    let rotated = match in_time(async || client.post(&path, &body).await).await {
        Ok(rotated) => rotated,
        Err(Failure::Refused(why)) => return (told(Some(false), &Value::Null, Some(why)), None),
        Err(other) => return (None, Some(other)),
    };
    // Not asked for once more where this goes wrong: it would be rotated twice.
    match in_time(async || waiting(client, &rotated).await).await {
        Ok(None) => (told(Some(true), &Value::Null, None), None),
        Ok(Some(record)) => (told(Some(false), &record["name"], None), None),
        Err(failure) => {
            let reason = "it was asked to; whether a record has to be added was not answered".to_owned();
            (told(None, &Value::Null, Some(reason)), Some(failure))
        }
    }
}

/// Asks; where the platform wants a pause, it is made.
async fn in_time<T>(ask: impl AsyncFn() -> Outcome<T>) -> Outcome<T> {
    loop {
        match ask().await {
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
