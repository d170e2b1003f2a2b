//! What happened, and who changed what: the two logs, newest first.

use crate::{
    Web,
    page::{Answer, Section, Shell, html},
    when::When,
};
use app::store::{AuditEntry, AuditFilter, Event};
use askama::Template;
use axum::extract::{Query, rejection::QueryRejection};
use explain::shown;
use jiff::Timestamp;
use model::{AuditId, DomainName, EventId};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Lines on a page.
const PAGE: usize = 50;

/// Members and keys whose names are known on the page.
const NAMES: u32 = 200;

/// Where a page begins.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Behind {
    after: String,
}

struct Line {
    what: String,
    of: String,
    /// Where the thing is, if it has a page.
    href: Option<String>,
    id: String,
    by: String,
    from: String,
    details: String,
    at: When,
}

#[derive(Template)]
#[template(path = "history.html")]
struct HistoryPage {
    shell: Shell,
    /// Whether it is the log of who changed what.
    is_audit: bool,
    lines: Vec<Line>,
    behind: bool,
    next: Option<String>,
}

/// What the thing is called, by the data beside it.
fn called(data: &Value) -> String {
    let words = ["domain", "name", "ref", "url", "address", "email", "recipient", "from"];
    let text = words.iter().find_map(|word| data[*word].as_str()).unwrap_or_default();
    let name = text.contains("xn--").then(|| DomainName::parse(text).ok()).flatten();
    shown::line(&name.map_or_else(|| text.to_owned(), |name| name.to_unicode()), shown::ON_LINE)
}

/// What else is said, in words.
fn details(data: &Value) -> String {
    let said = ["domain", "name", "ref", "url"];
    let word = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items
            .iter()
            .map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned))
            .collect::<Vec<_>>()
            .join(", "),
        other => other.to_string(),
    };
    let parts: Vec<String> = data
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, _)| !said.contains(&name.as_str()))
        .map(|(name, value)| (name.replace('_', " "), word(value)))
        .filter(|(_, word)| !word.is_empty())
        .map(|(name, word)| format!("{name}: {word}"))
        .collect();
    shown::line(&parts.join("; "), 400)
}

/// The page of a thing.
fn href(id: &str) -> Option<String> {
    let (prefix, _) = id.split_once('_')?;
    let place = match prefix {
        "dom" => "domains",
        "msg" => "messages",
        "key" => "keys",
        "whk" => "webhooks",
        _ => return None,
    };
    Some(format!("/{place}/{id}"))
}

fn of_event(event: Event, now: Timestamp) -> Line {
    let data: Value = serde_json::from_str(&event.data).unwrap_or_default();
    Line {
        what: event.event_type,
        of: called(&data),
        href: href(&event.subject),
        id: event.subject,
        by: String::new(),
        from: String::new(),
        details: details(&data),
        at: When::new(event.created_at, now),
    }
}

fn of_entry(entry: AuditEntry, names: &BTreeMap<String, String>, now: Timestamp) -> Line {
    let data: Value = serde_json::from_str(&entry.data).unwrap_or_default();
    let named = |id: &str| names.get(id).cloned();
    let of = called(&data);
    Line {
        of: if of.is_empty() { named(&entry.subject).unwrap_or_default() } else { of },
        what: entry.action,
        href: href(&entry.subject),
        id: entry.subject,
        by: match &entry.actor_id {
            Some(id) => named(id).unwrap_or_else(|| id.clone()),
            None => "the platform".to_owned(),
        },
        from: entry.address.unwrap_or_default(),
        details: details(&data),
        at: When::new(entry.at, now),
    }
}

/// The last one on a page, where there is another page.
fn next<T>(found: &[T], path: &str, id: impl Fn(&T) -> String) -> Option<String> {
    let last = found.get(PAGE - 1).filter(|_| found.len() > PAGE)?;
    Some(format!("{path}?after={}", id(last)))
}

const LIMIT: u32 = 51;

pub(crate) async fn events(web: Web, query: Result<Query<Behind>, QueryRejection>) -> Answer {
    let Query(query) = query?;
    let now = web.app.now();
    let after: Option<EventId> = query.after.parse().ok();
    let found = web.app.recent_events(&web.viewer, after, LIMIT).await?;
    html(&HistoryPage {
        shell: Shell::new(&web, Section::History, "What happened"),
        is_audit: false,
        behind: after.is_some(),
        next: next(&found, "/history", |event| event.id.to_string()),
        lines: found.into_iter().take(PAGE).map(|event| of_event(event, now)).collect(),
    })
}

pub(crate) async fn audit(web: Web, query: Result<Query<Behind>, QueryRejection>) -> Answer {
    let Query(query) = query?;
    let now = web.app.now();
    let after: Option<AuditId> = query.after.parse().ok();
    let found = web.app.audit_log(&web.viewer, &AuditFilter::default(), after, LIMIT).await?;
    let mut names = BTreeMap::new();
    for member in web.app.members(&web.viewer, None, NAMES).await? {
        names.insert(member.user.id.to_string(), member.user.name);
    }
    for key in web.app.keys(&web.viewer, None, NAMES).await? {
        names.insert(key.id.to_string(), format!("key {}", key.name));
    }
    html(&HistoryPage {
        shell: Shell::new(&web, Section::History, "Who changed what"),
        is_audit: true,
        behind: after.is_some(),
        next: next(&found, "/history/changes", |entry| entry.id.to_string()),
        lines: found.into_iter().take(PAGE).map(|entry| of_entry(entry, &names, now)).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lines_read_well() {
        let data = json!({"domain": "xn--mnchen-3ya.test", "status": "verified", "findings": ["a", "b"], "at": null});
        assert_eq!(called(&data), "münchen.test");
        assert_eq!(details(&data), "findings: a, b; status: verified");
        assert_eq!((called(&json!({})), details(&json!(null))), (String::new(), String::new()));
        assert_eq!(href("dom_1").as_deref(), Some("/domains/dom_1"));
        assert_eq!(href("org_1"), None);
    }
}
