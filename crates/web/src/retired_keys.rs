//! The private parts of keys that nothing signs with any more, for everybody who has a message of theirs.

use crate::Pages;
use axum::{
    extract::Path,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use std::fmt::Write;

/// Plain text, for people and programs alike.
pub(crate) async fn show(pages: Pages, Path(selector): Path<String>) -> Response {
    let keys = match pages.app.told_keys(&selector).await {
        Ok(keys) => keys,
        Err(error) => {
            tracing::warn!(%error, "keys that are told cannot be read");
            return text(
                StatusCode::SERVICE_UNAVAILABLE,
                "The keys cannot be read just now; try again in a minute.\n",
            );
        }
    };
    if keys.is_empty() {
        let none = "No private key of this selector has been published. The selector is the first label of the name that \
             the alias <s>._domainkey.<d> points to, where s= and d= are those of a DKIM-Signature.\n";
        return text(StatusCode::NOT_FOUND, none);
    }
    let mut told = String::from(
        "# DKIM keys that were replaced. Their private parts are published, so that anybody can make signatures with them:\n\
         # a signature of theirs proves nothing any more.\n",
    );
    for key in keys {
        let _ = write!(
            told,
            "\n# Replaced {}, published {}.\n# Public key: p={}\n{}",
            key.retired_at, key.told_at, key.public_key, key.private_key
        );
    }
    text(StatusCode::OK, &told)
}

fn text(status: StatusCode, text: &str) -> Response {
    (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text.to_owned()).into_response()
}
