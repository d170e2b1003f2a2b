//! A domain's records as a file to keep.

use crate::{
    Web,
    page::{Answer, Failure},
};
use app::{
    domains::DomainView,
    exports::{Form, export},
};
use axum::{
    extract::Path,
    http::header::{CONTENT_DISPOSITION, CONTENT_TYPE},
    response::IntoResponse as _,
};

/// A form on a page, with where it is had.
pub(crate) struct Choice {
    pub label: &'static str,
    pub href: String,
}

/// The forms in which the records of the page at `path` can be had.
pub(crate) fn choices(path: &str) -> Vec<Choice> {
    Form::ALL
        .into_iter()
        .map(|form| Choice { label: form.label(), href: format!("{path}/records/{}", form.name()) })
        .collect()
}

/// The file in the form of that name.
pub(crate) fn file(view: &DomainView, form: &str) -> Answer {
    let form = Form::named(form).ok_or_else(|| Failure::no_such("form of records", form))?;
    let disposition = format!("attachment; filename=\"{}.{}\"", view.domain.name, form.extension());
    let media_type = if form == Form::Csv { "text/csv; charset=utf-8" } else { "text/plain; charset=utf-8" };
    let file = export(view, form, None)?;
    Ok(([(CONTENT_TYPE, media_type.to_owned()), (CONTENT_DISPOSITION, disposition)], file).into_response())
}

pub(crate) async fn download(web: Web, Path((id, form)): Path<(String, String)>) -> Answer {
    let id = id.parse().map_err(|_| Failure::no_such("domain", &id))?;
    file(&web.app.domain(&web.viewer, id).await?, &form)
}
