//! Where somebody who was named as a contact says that they want mail. Nobody logs in for it.

use crate::{
    Pages,
    page::{Answer, Notice, Section, Shell, html},
};
use app::Error;
use askama::Template;
use axum::{
    extract::{
        Form, Query,
        rejection::{FormRejection, QueryRejection},
    },
    http::StatusCode,
};
use serde::Deserialize;

#[derive(Template)]
#[template(path = "confirm_contact.html")]
struct ConfirmContactPage {
    shell: Shell,
    token: String,
    done: bool,
}

/// The secret of the link.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Secret {
    token: String,
}

fn page(pages: &Pages, token: String, done: bool) -> ConfirmContactPage {
    ConfirmContactPage { shell: Shell::of(pages, Section::None, "Mail about a domain"), token, done }
}

/// Opening the link confirms nothing: programs that look into mail open links too.
pub(crate) async fn show(pages: Pages, query: Result<Query<Secret>, QueryRejection>) -> Answer {
    let Query(query) = query?;
    html(&page(&pages, query.token, false))
}

pub(crate) async fn confirm(pages: Pages, form: Result<Form<Secret>, FormRejection>) -> Answer {
    let Form(form) = form?;
    match pages.app.confirm_contact(&form.token).await {
        Ok(_) => {}
        Err(Error::LinkOver) => {
            let notice = Notice {
                status: StatusCode::GONE,
                title: "This link works no more",
                message: "It was used, or is older than 7 days.".to_owned(),
                next: "If you confirmed before, there is nothing to do. Else ask whoever named you to add you again.",
                retry_after: None,
            };
            return Ok(notice.answer());
        }
        Err(error) => return Err(error.into()),
    }
    html(&page(&pages, String::new(), true))
}
