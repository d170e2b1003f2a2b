//! Reading requests: bodies, queries and ids, strictly. What does not fit is refused with a problem document that
//! names the place; nothing is ignored and nothing is guessed.

use crate::{
    list,
    problem::{Code, FieldProblem, Problem},
};
use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, FromRequestParts, Path, Query as AxumQuery, Request},
    http::{HeaderMap, header, request::Parts},
};
use http_body_util::LengthLimitError;
use model::{
    ApiKeyId, ChangeSetId, ConnectionId, ContactId, DomainId, MessageId, OrgId, RecordId, SandboxMessageId,
    SetupLinkId, SuppressionId, TenantId, UserId, WebhookDeliveryId, WebhookId, ZoneId,
};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::error::Category;
use std::{error::Error as _, str::FromStr};

/// What a body may have, in bytes, unless a route says otherwise.
pub const SMALL: usize = 64 * 1024;

/// What a request to send mail may have: 25 MiB of files, in base64.
pub const LARGE: usize = 35 * 1024 * 1024;

/// A JSON body of at most `LIMIT` bytes. The types it is read into refuse unknown fields.
#[derive(Debug)]
pub struct Json<T, const LIMIT: usize = SMALL>(pub T);

impl<T: DeserializeOwned, S: Sync, const LIMIT: usize> FromRequest<S> for Json<T, LIMIT> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        require_json(request.headers())?;
        let body = read_body(request, LIMIT).await?;
        parse_json(&body).map(Self)
    }
}

/// A JSON body, or none for what is the usual.
#[derive(Debug)]
pub struct MaybeJson<T>(pub T);

impl<T: DeserializeOwned + Default, S: Sync> FromRequest<S> for MaybeJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let body = read_body(request, SMALL).await?;
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self(T::default()));
        }
        parse_json(&body).map(Self)
    }
}

/// No body, or an object without fields: for requests that have nothing to say.
#[derive(Debug)]
pub struct NoFields;

impl<S: Sync> FromRequest<S> for NoFields {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        /// No fields at all.
        #[derive(Default, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Empty {}
        MaybeJson::<Empty>::from_request(request, state).await.map(|_| Self)
    }
}

/// `application/json`, or a type that ends in `+json` (RFC 6839 §3.1).
fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json")) {
        return Ok(());
    }
    let detail = match essence.as_str() {
        "" => "The request has no Content-Type header; send Content-Type: application/json.".to_owned(),
        other => {
            let shown: String = other.chars().take(80).collect();
            format!("The body is {shown}; send JSON with Content-Type: application/json.")
        }
    };
    Err(Problem::new(Code::UnsupportedMediaType, detail))
}

/// Reads a body of at most `limit` bytes.
pub(crate) async fn read_body(request: Request, limit: usize) -> Result<Bytes, Problem> {
    let too_large = || Problem::new(Code::PayloadTooLarge, format!("The body is larger than {limit} bytes."));
    let announced =
        request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    // Refused before a byte of it is read.
    if announced.is_some_and(|length: u64| length > limit as u64) {
        return Err(too_large());
    }
    let body: Body = request.into_body();
    axum::body::to_bytes(body, limit).await.map_err(|error| {
        if error.source().and_then(|source| source.downcast_ref::<LengthLimitError>()).is_some() {
            return too_large();
        }
        Problem::new(Code::InvalidJson, "The body broke off before its end.")
    })
}

/// Reads a JSON object; says where it is wrong.
fn parse_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    // Serde would take an array for an object, its items in the order of the fields.
    let is_object = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    if !is_object && serde_json::from_slice::<IgnoredAny>(body).is_ok() {
        return Err(Problem::new(Code::InvalidRequest, "the body must be a JSON object"));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        refused(&path, error.inner())
    })?;
    deserializer.end().map_err(|error| refused(".", &error))?;
    Ok(value)
}

fn refused(path: &str, error: &serde_json::Error) -> Problem {
    let (line, column) = (error.line(), error.column());
    if error.classify() != Category::Data {
        let detail = format!("The body is not JSON: {}.", without_place(error));
        return Problem::new(Code::InvalidJson, format!("{detail} Look at line {line}, column {column}."));
    }
    let message = plain(&without_place(error));
    // Where a field is unknown or missing, its name is in the message and its parent in the path.
    let named = message.split('`').nth(1).filter(|_| {
        ["unknown field", "missing field", "duplicate field"].iter().any(|start| message.starts_with(start))
    });
    let parent = path.trim_start_matches('.').to_owned();
    let field = match named {
        Some(name) if parent.is_empty() => name.to_owned(),
        Some(name) if parent == name || parent.ends_with(&format!(".{name}")) => parent,
        Some(name) => format!("{parent}.{name}"),
        None => parent,
    };
    let detail = if field.is_empty() {
        format!("{message} (line {line}, column {column})")
    } else {
        format!("{field}: {message} (line {line}, column {column})")
    };
    Problem::new(Code::InvalidRequest, detail).with_errors(vec![FieldProblem { field, message }])
}

/// The message without serde's " at line 1 column 2".
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(message, _)| message.to_owned())
}

/// The message in the words of JSON, where serde speaks of Rust's types.
fn plain(message: &str) -> String {
    let Some((seen, expected)) = message.rsplit_once("expected ") else { return message.to_owned() };
    let expected = match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number from 0 on",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a sequence" => "a list",
        "a map" => "an object",
        "a boolean" => "true or false",
        other if other.starts_with("struct ") => "an object",
        other => other,
    };
    // "invalid type: sequence, expected a string"
    let seen = seen.replace("invalid type: sequence", "invalid type: list");
    format!("{}expected {expected}", seen.replace("invalid type: map", "invalid type: object"))
}

/// A query string. The types it is read into refuse unknown parameters.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        match AxumQuery::<T>::try_from_uri(&parts.uri) {
            Ok(AxumQuery(query)) => Ok(Self(query)),
            Err(rejection) => Err(query_problem(&rejection.body_text())),
        }
    }
}

fn query_problem(text: &str) -> Problem {
    let text = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(text);
    let (field, message) = match text.split_once(": ") {
        Some((field, message)) if !field.contains(' ') => (field, message),
        _ => (text.split('`').nth(1).unwrap_or_default(), text),
    };
    if field.is_empty() {
        return Problem::new(Code::InvalidRequest, format!("The query string is wrong: {message}."));
    }
    Problem::field(field, query_message(field, message))
}

/// What to give in place of what was given.
fn query_message(field: &str, message: &str) -> String {
    let quoted =
        |text: &str| -> Vec<String> { text.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    let or = |words: Vec<String>| match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => words.join(", "),
    };
    let known = || quoted(message.split_once("expected").map_or("", |(_, known)| known));
    if message.starts_with("unknown variant") {
        return format!("give {}", or(known()));
    }
    if message.starts_with("unknown field") {
        return format!("is no parameter here; known are {}", known().join(", "));
    }
    if message.starts_with("duplicate field") {
        return "is given twice".to_owned();
    }
    let is_number = ["digit", "integer", "number too"].iter().any(|word| message.contains(word));
    match field {
        "limit" if is_number => format!("give a number from 1 to {}", list::MOST),
        _ if is_number => "give a number".to_owned(),
        _ => message.to_owned(),
    }
}

/// A thing that is addressed by its id.
pub trait Addressed: FromStr {
    /// What a problem document calls it.
    const NOUN: &'static str;
}

macro_rules! addressed {
    ($($id:ty = $noun:literal),* $(,)?) => { $(impl Addressed for $id { const NOUN: &'static str = $noun; })* };
}

addressed! {
    DomainId = "domain",
    MessageId = "message",
    SandboxMessageId = "sandbox message",
    ZoneId = "zone",
    RecordId = "record",
    ApiKeyId = "API key",
    TenantId = "tenant",
    OrgId = "organisation",
    SuppressionId = "suppression",
    UserId = "member",
    WebhookId = "webhook",
    WebhookDeliveryId = "webhook delivery",
    ChangeSetId = "change set",
    ConnectionId = "DNS connection",
    ContactId = "contact",
    SetupLinkId = "setup link",
}

/// The id in the address. A text that is no id of the kind names nothing: 404, as for an unknown id.
#[derive(Debug)]
pub struct Id<T>(pub T);

impl<T: Addressed, S: Send + Sync> FromRequestParts<S> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(text)) => text,
            Err(_) => String::new(),
        };
        text.parse().map(Self).map_err(|_| {
            let id = text.chars().take(60).collect();
            app::Error::NotFound { noun: T::NOUN, id }.into()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{Request as HttpRequest, StatusCode};
    use serde::Deserialize;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        name: String,
        #[serde(default)]
        items: Vec<Item>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Item {
        count: u32,
    }

    async fn read(content_type: Option<&str>, body: &str) -> Result<Sample, Problem> {
        let mut request = HttpRequest::builder().method("POST");
        if let Some(content_type) = content_type {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        Json::<Sample, 200>::from_request(request, &()).await.map(|Json(value)| value)
    }

    async fn refusal(body: &str) -> (u16, &'static str, String, String) {
        let problem = read(Some("application/json"), body).await.unwrap_err();
        let field = problem.errors.first().map(|error| error.field.clone()).unwrap_or_default();
        (problem.status.as_u16(), problem.code.as_str(), field, problem.detail)
    }

    #[tokio::test]
    async fn a_body_is_taken_as_json_only() {
        let body = r#"{"name":"a"}"#;
        assert_eq!(read(Some("application/json; charset=utf-8"), body).await.unwrap().name, "a");
        assert_eq!(read(Some("application/merge-patch+json"), body).await.unwrap().name, "a");
        for content_type in [None, Some("text/plain"), Some("application/x-www-form-urlencoded")] {
            let problem = read(content_type, body).await.unwrap_err();
            assert_eq!(problem.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
        }
    }

    #[tokio::test]
    async fn what_is_no_json_is_refused_with_its_place() {
        let (status, code, _, detail) = refusal("{\n  \"name\": }").await;
        assert_eq!((status, code), (400, "INVALID_JSON"));
        assert!(detail.contains("line 2, column 11"), "{detail}");
        assert_eq!(refusal("").await.0, 400);
        assert_eq!(refusal("{\"name\":\"a\"} x").await.1, "INVALID_JSON");
    }

    #[tokio::test]
    async fn wrong_fields_are_named() {
        for (body, field) in [
            (r#"{"name":1}"#, "name"),
            (r#"{"name":"a","nmae":"b"}"#, "nmae"),
            (r#"{"name":"a","name":"b"}"#, "name"),
            (r"{}", "name"),
            (r#"{"name":"a","items":[{"count":1},{"count":"x"}]}"#, "items[1].count"),
            (r#"{"name":"a","items":[{"count":1,"size":2}]}"#, "items[0].size"),
            (r#"{"name":"a","items":[{}]}"#, "items[0].count"),
        ] {
            let (status, code, named, detail) = refusal(body).await;
            assert_eq!((status, code, named.as_str()), (422, "INVALID_REQUEST", field), "{body}: {detail}");
        }
    }

    #[tokio::test]
    async fn only_an_object_is_an_object() {
        for body in [r#"["a",[]]"#, " [] ", "\"x\"", "1", "null", "true"] {
            let (status, code, _, detail) = refusal(body).await;
            assert_eq!(
                (status, code, detail.as_str()),
                (422, "INVALID_REQUEST", "the body must be a JSON object"),
                "{body}"
            );
        }
        assert_eq!(refusal("[").await.1, "INVALID_JSON");
        let (_, _, _, detail) = refusal(r#"{"name":"a","items":[3]}"#).await;
        assert_eq!(detail, "items[0]: invalid type: integer `3`, expected an object (line 1, column 22)");
        let (_, _, _, detail) = refusal(r#"{"name":"a","items":[{"count":"x"}]}"#).await;
        assert!(detail.contains("expected a whole number from 0 on"), "{detail}");
    }

    #[tokio::test]
    async fn a_large_body_is_refused_however_it_is_announced() {
        let body = format!("{{\"name\":\"{}\"}}", "a".repeat(300));
        assert_eq!(refusal(&body).await.0, 413);
        let request = HttpRequest::builder()
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONTENT_LENGTH, "300")
            .body(Body::empty())
            .unwrap();
        let problem = Json::<Sample, 200>::from_request(request, &()).await.unwrap_err();
        assert_eq!(problem.code, Code::PayloadTooLarge);
    }

    #[tokio::test]
    async fn nothing_may_be_said_as_nothing_or_as_an_empty_object() {
        let read = |body: &'static str| NoFields::from_request(HttpRequest::new(Body::from(body)), &());
        for body in ["", " \n", "{}"] {
            assert!(read(body).await.is_ok(), "{body:?}");
        }
        assert_eq!(read("{\"force\":true}").await.unwrap_err().status, 422);
        assert_eq!(read("{").await.unwrap_err().status, 400);
    }

    #[tokio::test]
    async fn wrong_queries_are_named() {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[expect(dead_code, reason = "only read")]
        struct Sample {
            limit: Option<u32>,
            form: Option<Form>,
        }
        #[derive(Debug, Deserialize)]
        #[serde(rename_all = "lowercase")]
        enum Form {
            Json,
            Csv,
            Text,
        }
        for (query, field, message) in [
            ("limit=x", "limit", "give a number from 1 to 100"),
            ("limit=-1", "limit", "give a number from 1 to 100"),
            ("limit=99999999999", "limit", "give a number from 1 to 100"),
            ("limit=", "limit", "give a number from 1 to 100"),
            ("limit=1&limit=2", "limit", "is given twice"),
            ("form=xml", "form", "give json, csv or text"),
            ("lmit=3", "lmit", "is no parameter here; known are limit, form"),
        ] {
            let (mut parts, ()) =
                HttpRequest::builder().uri(format!("/?{query}")).body(()).unwrap().into_parts();
            let problem = Query::<Sample>::from_request_parts(&mut parts, &()).await.unwrap_err();
            assert_eq!(
                (problem.status.as_u16(), problem.errors[0].field.as_str()),
                (422, field),
                "{problem:?}"
            );
            assert_eq!(problem.errors[0].message, message, "{query}");
        }
    }
}
