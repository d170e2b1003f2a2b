//! From what people call a thing to its id, and back.

use super::{
    Failure, field,
    http::{Client, step, with_query},
    items,
};
use model::DomainName;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// How many ids are looked up for the names in a table; the others stay ids.
const MOST_NAMES: usize = 20;

/// The address of a domain that is given by name, in any writing, or by id.
pub async fn domain_path(client: &Client, given: &str) -> Result<String, Failure> {
    Ok(format!("/domains/{}", step(&domain_id(client, given).await?)))
}

/// The id of a domain that is given by name, in any writing, or by id.
pub async fn domain_id(client: &Client, given: &str) -> Result<String, Failure> {
    if given.starts_with("dom_") {
        return Ok(given.to_owned());
    }
    let name = DomainName::parse(given).map_err(|error| Failure::Usage(error.to_string()))?;
    let list = client.get(&with_query("/domains", &[("domain", name.as_str())])).await?;
    match items(&list).first() {
        Some(domain) => Ok(field(domain, "id")),
        None => Err(Failure::Refused(format!(
            "there is no domain {given} that this key may see\n\
             `countersign domains list` shows what there is, `countersign domains add {given}` adds it."
        ))),
    }
}

/// Names of things by their ids, for a table: what cannot be looked up is not in it.
pub async fn names(
    client: &Client,
    noun: &str,
    name: &str,
    ids: BTreeSet<String>,
) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for id in ids.into_iter().take(MOST_NAMES) {
        // A key that may not see them has the table all the same.
        let Ok(thing) = client.get(&format!("/{noun}/{}", step(&id))).await else { break };
        found.insert(id, field(&thing, name));
    }
    found
}

/// What a line of the audit log or an event calls the thing that it is about.
pub fn called(line: &Value) -> String {
    let data = &line["data"];
    let words = ["domain", "name", "ref", "url", "address", "email", "recipient"];
    match words.iter().find_map(|word| data[*word].as_str()) {
        // As people read it.
        Some(text) if text.contains("xn--") => {
            DomainName::parse(text).map_or_else(|_| text.to_owned(), |name| name.to_unicode())
        }
        Some(text) => text.to_owned(),
        None if data["from"].is_string() => field(data, "from"),
        None => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lines_name_what_they_are_about() {
        for (data, name) in [
            (json!({"domain": "xn--mnchen-3ya.test", "status": "verified"}), "münchen.test"),
            (json!({"name": "billing", "scopes": []}), "billing"),
            (json!({"from": "a@b.test", "to": [], "subject": "x"}), "a@b.test"),
            (json!({}), "-"),
            (json!(null), "-"),
        ] {
            assert_eq!(called(&json!({ "data": data })), name);
        }
    }
}
