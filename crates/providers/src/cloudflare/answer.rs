//! Answers, and the one request that writes.

use super::{is_exchanged, record, refusal::Refused};
use model::{DomainName, Record};
use publish::{Action, Step, Written, ZoneRecord, http::HttpAnswer};
use serde::Deserialize;
use serde_json::{Value, json};

/// What the host said yes with.
pub(super) struct Answer {
    pub(super) result: Value,
    /// How many pages there are; 1 where it does not say.
    pub(super) pages: u32,
}

#[derive(Deserialize)]
struct Envelope {
    success: bool,
    #[serde(default)]
    errors: Option<Vec<super::refusal::Said>>,
    #[serde(default)]
    result: Value,
    #[serde(default)]
    result_info: Option<Info>,
}

#[derive(Deserialize)]
struct Info {
    #[serde(default)]
    total_pages: u32,
}

impl Answer {
    /// Reads an answer: a yes has a status of 2xx and says so in its body too.
    pub(super) fn read(answer: &HttpAnswer) -> Result<Self, Refused> {
        let Ok(envelope) = serde_json::from_slice::<Envelope>(&answer.body) else {
            return Err(Refused { said: Vec::new(), is_understood: false });
        };
        if envelope.success && (200..300).contains(&answer.status) {
            let pages = envelope.result_info.map_or(1, |info| info.total_pages.max(1));
            return Ok(Self { result: envelope.result, pages });
        }
        Err(Refused { said: envelope.errors.unwrap_or_default(), is_understood: true })
    }
}

/// The steps of a batch as the host takes them.
pub(super) struct Batched<'a> {
    pub(super) body: Value,
    /// What goes: the host tells how it was.
    deletes: Vec<&'a ZoneRecord>,
    /// What is changed in its place: the step, what was there, and what is there then.
    patches: Vec<(u16, &'a ZoneRecord, &'a Record)>,
    /// What is made.
    posts: Vec<(u16, &'a Record)>,
}

impl<'a> Batched<'a> {
    /// `None` for what this host is never to be told: records of types that are not written, and without ids.
    pub(super) fn plan(steps: &'a [Step], apex: &DomainName, note: &str) -> Option<Self> {
        let mut plan =
            Self { body: Value::Null, deletes: Vec::new(), patches: Vec::new(), posts: Vec::new() };
        for step in steps {
            match &step.action {
                Action::Add { new } => plan.posts.push((step.id, new)),
                Action::Remove { old } => plan.deletes.push(old),
                action @ Action::Replace { old, new, .. } if is_exchanged(action) => {
                    plan.deletes.push(old);
                    plan.posts.push((step.id, new));
                }
                Action::Replace { old, new, .. } => plan.patches.push((step.id, old, new)),
            }
        }
        let deletes: Vec<Value> = plan.deletes.iter().map(|old| id(old)).collect::<Option<_>>()?;
        let patches: Vec<Value> =
            plan.patches.iter().map(|(_, old, new)| patch(old, new)).collect::<Option<_>>()?;
        let posts: Vec<Value> =
            plan.posts.iter().map(|(_, new)| record::new(new, apex, note)).collect::<Option<_>>()?;
        let mut body = serde_json::Map::new();
        for (field, values) in [("deletes", deletes), ("patches", patches), ("posts", posts)] {
            if !values.is_empty() {
                body.insert(field.to_owned(), Value::Array(values));
            }
        }
        plan.body = Value::Object(body);
        Some(plan)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.deletes.is_empty() && self.patches.is_empty() && self.posts.is_empty()
    }

    /// Compares what was done with what was to be done. An error holds what puts all of it back; none where the answer
    /// does not tell enough for that.
    pub(super) fn compare(&self, result: &Value, apex: &DomainName) -> Result<Vec<Written>, Option<Value>> {
        let list = |field: &str, length: usize| -> Result<Vec<Value>, Option<Value>> {
            let values = result[field].as_array().cloned().unwrap_or_default();
            if values.len() == length { Ok(values) } else { Err(None) }
        };
        let deleted = list("deletes", self.deletes.len())?;
        let patched = list("patches", self.patches.len())?;
        let posted = list("posts", self.posts.len())?;
        let mut as_listed = true;
        for old in &self.deletes {
            let found = deleted.iter().find(|value| value["id"].as_str() == old.id.as_deref()).ok_or(None)?;
            let found = record::read(found, apex).ok_or(None)?;
            as_listed &= found.record.owner == old.record.owner && found.record.data == old.record.data;
        }
        let mut written = Vec::new();
        for ((step, new), value) in self.posts.iter().zip(&posted) {
            let made = record::read(value, apex).ok_or(None)?;
            as_listed &= made.record.owner == new.owner;
            written.push(Written { step: *step, id: made.id });
        }
        for (step, old, _) in &self.patches {
            written.push(Written { step: *step, id: old.id.clone() });
        }
        if as_listed {
            return Ok(written);
        }
        let back = |value: &Value| -> Option<Value> {
            let fields = ["type", "name", "content", "data", "priority", "ttl", "proxied", "comment"];
            let whole = fields.into_iter().filter(|field| !value[*field].is_null());
            Some(Value::Object(whole.map(|field| (field.to_owned(), value[field].clone())).collect()))
        };
        let patches = self.patches.iter().map(|(_, old, new)| unpatch(old, new));
        let undo = json!({
            "deletes": posted.iter().map(|value| json!({"id": value["id"]})).collect::<Vec<_>>(),
            "patches": patches.collect::<Option<Vec<_>>>().ok_or(None)?,
            "posts": deleted.iter().map(back).collect::<Option<Vec<_>>>().ok_or(None)?,
        });
        drop(patched);
        Err(Some(undo))
    }
}

fn id(old: &ZoneRecord) -> Option<Value> {
    old.id.as_ref().map(|id| json!({"id": id}))
}

/// What is changed of a record in its place: its data, and that the host answers with it as it is.
fn patch(old: &ZoneRecord, new: &Record) -> Option<Value> {
    let mut out = record::content(&new.data)?;
    out.insert("id".to_owned(), json!(old.id.as_ref()?));
    out.insert("name".to_owned(), json!(new.owner.as_str()));
    if old.proxied {
        out.insert("proxied".to_owned(), json!(false));
    }
    if old.record.ttl != new.ttl {
        out.insert("ttl".to_owned(), json!(new.ttl));
    }
    Some(Value::Object(out))
}

fn unpatch(old: &ZoneRecord, new: &Record) -> Option<Value> {
    let mut out = record::content(&old.record.data)?;
    out.insert("id".to_owned(), json!(old.id.as_ref()?));
    out.insert("name".to_owned(), json!(old.record.owner.as_str()));
    if old.proxied {
        out.insert("proxied".to_owned(), json!(true));
    }
    if old.record.ttl != new.ttl {
        out.insert("ttl".to_owned(), json!(old.record.ttl));
    }
    Some(Value::Object(out))
}
