//! The playground: the panel of a DNS host that is not there, to make zones and records in.

use crate::{
    Web,
    confirm::Confirm,
    forms::FormErrors,
    page::{Answer, Failure, Section, Shell, go, html, html_with},
};
use app::{
    Error,
    playground::{TypedRecord, ZoneView, owner_of},
    store::PlaygroundRecord,
};
use askama::Template;
use axum::{
    extract::{
        Form, Path, Query,
        rejection::{FormRejection, QueryRejection},
    },
    http::StatusCode,
};
use model::{DomainName, RecordId, ZoneId};
use serde::Deserialize;

/// The types that can be typed in.
const TYPES: [&str; 8] = ["CNAME", "TXT", "MX", "A", "AAAA", "NS", "CAA", "PTR"];

/// The form that makes a zone.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ZoneForm {
    apex: String,
}

/// A record as it is in the form. Numbers are texts, so that a slip can be shown again.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RecordForm {
    host: String,
    record_type: String,
    value: String,
    ttl: String,
    priority: String,
    proxied: Option<String>,
    /// The record that is being changed (only in addresses).
    edit: String,
}

struct ZoneRow {
    href: String,
    apex: String,
}

#[derive(Template)]
#[template(path = "playground.html")]
struct ZonesPage {
    shell: Shell,
    zones: Vec<ZoneRow>,
    form: ZoneForm,
    errors: FormErrors,
}

struct RecordRow {
    id: String,
    host: String,
    name: Result<String, String>,
    record_type: String,
    value: String,
    ttl: u32,
    priority: Option<u16>,
    proxied: bool,
    /// The form in place of the row.
    edit: bool,
}

#[derive(Template)]
#[template(path = "zone.html")]
struct ZonePage {
    shell: Shell,
    id: String,
    apex: String,
    serial: u32,
    records: Vec<RecordRow>,
    types: [&'static str; 8],
    /// The form that adds a record.
    add: RecordForm,
    add_errors: FormErrors,
    /// The form that changes one.
    edit: RecordForm,
    edit_errors: FormErrors,
}

/// The fields of a record's form.
pub(crate) const FIELDS: [&str; 5] = ["host", "record_type", "value", "ttl", "priority"];

impl RecordForm {
    fn typed(&self) -> Result<TypedRecord, Error> {
        Ok(TypedRecord {
            host: self.host.clone(),
            record_type: self.record_type.clone(),
            value: self.value.clone(),
            ttl: number("ttl", &self.ttl)?,
            priority: number("priority", &self.priority)?,
            proxied: self.proxied.is_some(),
        })
    }

    fn of(record: &PlaygroundRecord) -> Self {
        Self {
            host: record.host.clone(),
            record_type: record.record_type.to_string(),
            value: record.value.clone(),
            ttl: record.ttl.to_string(),
            priority: record.priority.map(|priority| priority.to_string()).unwrap_or_default(),
            proxied: record.proxied.then(|| "on".to_owned()),
            edit: record.id.to_string(),
        }
    }
}

fn number<T: std::str::FromStr>(field: &'static str, text: &str) -> Result<Option<T>, Error> {
    match text.trim() {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| Error::field(field, "is not a number that fits here")),
    }
}

fn zone_id(text: &str) -> Result<ZoneId, Failure> {
    text.parse().map_err(|_| Failure::no_such("zone", text))
}

fn record_id(text: &str) -> Result<RecordId, Failure> {
    text.parse().map_err(|_| Failure::no_such("record", text))
}

pub(crate) async fn list(web: Web) -> Answer {
    zones(&web, ZoneForm::default(), FormErrors::default(), StatusCode::OK).await
}

pub(crate) async fn create(web: Web, form: Result<Form<ZoneForm>, FormRejection>) -> Answer {
    let Form(form) = form?;
    match web.app.create_playground_zone(&web.viewer, form.apex.trim()).await {
        Ok(zone) => Ok(go(&format!("/playground/zones/{}", zone.id))),
        Err(error) => zones(&web, form, FormErrors::of(error)?, StatusCode::UNPROCESSABLE_ENTITY).await,
    }
}

async fn zones(web: &Web, form: ZoneForm, errors: FormErrors, status: StatusCode) -> Answer {
    let zones = web.app.playground_zones(&web.viewer).await?;
    let page = ZonesPage {
        shell: Shell::new(web, Section::Playground, "Playground"),
        zones: zones
            .into_iter()
            .map(|zone| ZoneRow {
                href: format!("/playground/zones/{}", zone.id),
                apex: zone.apex.to_string(),
            })
            .collect(),
        form,
        errors,
    };
    html_with(status, &page)
}

/// A zone; the address may fill the form in, or ask for the form of one record.
pub(crate) async fn show(
    web: Web,
    Path(id): Path<String>,
    query: Result<Query<RecordForm>, QueryRejection>,
) -> Answer {
    let Query(form) = query?;
    let view = web.app.playground_zone(&web.viewer, zone_id(&id)?).await?;
    let edited = view.records.iter().find(|record| record.id.to_string() == form.edit).map(RecordForm::of);
    let (add, edit) = match edited {
        Some(edit) => (RecordForm::default(), edit),
        None => (form, RecordForm::default()),
    };
    html(&page(&web, &view, Forms { add, edit, ..Forms::default() }))
}

/// Both forms of the page, and what is wrong with them.
#[derive(Default)]
struct Forms {
    add: RecordForm,
    add_errors: FormErrors,
    edit: RecordForm,
    edit_errors: FormErrors,
}

fn page(web: &Web, view: &ZoneView, forms: Forms) -> ZonePage {
    let apex = &view.zone.apex;
    ZonePage {
        shell: Shell::new(web, Section::Playground, format!("Zone {apex}")),
        id: view.zone.id.to_string(),
        apex: apex.to_string(),
        serial: view.zone.serial,
        records: view.records.iter().map(|record| row(record, apex, &forms.edit.edit)).collect(),
        types: TYPES,
        add: forms.add,
        add_errors: forms.add_errors,
        edit: forms.edit,
        edit_errors: forms.edit_errors,
    }
}

fn row(record: &PlaygroundRecord, apex: &DomainName, edited: &str) -> RecordRow {
    let id = record.id.to_string();
    RecordRow {
        edit: id == edited,
        id,
        host: record.host.clone(),
        name: owner_of(&record.host, apex).map(|name| name.to_string()),
        record_type: record.record_type.to_string(),
        value: record.value.clone(),
        ttl: record.ttl,
        priority: record.priority,
        proxied: record.proxied,
    }
}

pub(crate) async fn add_record(
    web: Web,
    Path(id): Path<String>,
    form: Result<Form<RecordForm>, FormRejection>,
) -> Answer {
    let Form(form) = form?;
    let id = zone_id(&id)?;
    let stored = match form.typed() {
        Ok(typed) => web.app.create_playground_record(&web.viewer, id, &typed).await.map(|_| ()),
        Err(error) => Err(error),
    };
    let Err(error) = stored else { return Ok(go(&format!("/playground/zones/{id}"))) };
    let forms = Forms { add_errors: FormErrors::of(error)?, add: form, ..Forms::default() };
    let view = web.app.playground_zone(&web.viewer, id).await?;
    html_with(StatusCode::UNPROCESSABLE_ENTITY, &page(&web, &view, forms))
}

pub(crate) async fn change_record(
    web: Web,
    Path((id, record)): Path<(String, String)>,
    form: Result<Form<RecordForm>, FormRejection>,
) -> Answer {
    let Form(mut form) = form?;
    let (id, record) = (zone_id(&id)?, record_id(&record)?);
    let stored = match form.typed() {
        Ok(typed) => web.app.update_playground_record(&web.viewer, record, &typed).await.map(|_| ()),
        Err(error) => Err(error),
    };
    let Err(error) = stored else { return Ok(go(&format!("/playground/zones/{id}"))) };
    form.edit = record.to_string();
    let forms = Forms { edit_errors: FormErrors::of(error)?, edit: form, ..Forms::default() };
    let view = web.app.playground_zone(&web.viewer, id).await?;
    html_with(StatusCode::UNPROCESSABLE_ENTITY, &page(&web, &view, forms))
}

pub(crate) async fn delete_record(web: Web, Path((id, record)): Path<(String, String)>) -> Answer {
    let id = zone_id(&id)?;
    web.app.delete_playground_record(&web.viewer, record_id(&record)?).await?;
    Ok(go(&format!("/playground/zones/{id}")))
}

pub(crate) async fn confirm_delete(web: Web, Path(id): Path<String>) -> Answer {
    let view = web.app.playground_zone(&web.viewer, zone_id(&id)?).await?;
    let (apex, count) = (&view.zone.apex, view.records.len());
    Confirm::new(
        Shell::new(&web, Section::Playground, format!("Delete the zone {apex}")),
        format!("Delete the zone {apex}?"),
        vec![
            format!("{count} record{} go with it.", if count == 1 { "" } else { "s" }),
            "Sender domains in it stay; their records are missing from then on.".to_owned(),
        ],
        (format!("/playground/zones/{}/delete", view.zone.id), "Delete the zone"),
        format!("/playground/zones/{}", view.zone.id),
    )
    .answer()
}

pub(crate) async fn delete(web: Web, Path(id): Path<String>) -> Answer {
    web.app.delete_playground_zone(&web.viewer, zone_id(&id)?).await?;
    Ok(go("/playground"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_or_named() {
        assert_eq!(number::<u32>("ttl", " ").unwrap(), None);
        assert_eq!(number::<u32>("ttl", "300").unwrap(), Some(300));
        assert_eq!(
            number::<u16>("priority", "70000").unwrap_err().to_string(),
            "priority: is not a number that fits here"
        );
    }

    #[test]
    fn a_record_shows_what_the_panel_makes_of_its_host() {
        let html = ZonePage {
            shell: Shell::sample("Zone"),
            id: "zon_1".into(),
            apex: "acme.test".into(),
            serial: 1,
            records: vec![RecordRow {
                id: "rec_1".into(),
                host: "a.acme.test".into(),
                name: Ok("a.acme.test.acme.test".into()),
                record_type: "TXT".into(),
                value: "<script>".into(),
                ttl: 60,
                priority: None,
                proxied: false,
                edit: false,
            }],
            types: TYPES,
            add: RecordForm { host: "\"x".into(), ..RecordForm::default() },
            add_errors: FormErrors::of(Error::field("host", "is wrong")).unwrap(),
            edit: RecordForm::default(),
            edit_errors: FormErrors::default(),
        }
        .render()
        .unwrap();
        assert!(html.contains("a.acme.test.acme.test"));
        assert!(html.contains("value=\"&#34;x\""));
        assert!(html.contains("Is wrong."));
        assert!(!html.contains("<script>"));
    }
}
