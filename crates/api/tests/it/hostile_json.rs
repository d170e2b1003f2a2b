//! Hostile JSON at every operation that takes a body: refused as the caller's fault, as a whole problem document, quickly.

use crate::{guards::World, platform::Answer};
use axum::{
    body::Body,
    http::{Request, header},
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Longer than any of these may take, also where everything else is tested beside it.
const QUICKLY: Duration = Duration::from_secs(10);

async fn send(world: &World, operation: &str, body: Vec<u8>) -> Answer {
    let method = operation.split(' ').next().unwrap();
    let request = Request::builder()
        .method(method)
        .uri(&world.fixtures[operation].path)
        .header(header::AUTHORIZATION, format!("Bearer {}", world.platform.key))
        .header(header::CONTENT_TYPE, "application/json");
    let started = Instant::now();
    let answer = world.platform.send(request.body(Body::from(body)).unwrap()).await;
    assert!(started.elapsed() < QUICKLY, "{operation} took {:?}", started.elapsed());
    answer
}

/// Asserts that it is a whole refusal, and that it is the caller's fault.
#[track_caller]
fn is_refused(operation: &str, what: &str, answer: &Answer) {
    let status = answer.status.as_u16();
    assert!((400..500).contains(&status), "{operation} with {what}: {status} {}", answer.text);
    let code = answer.json()["code"].as_str().unwrap_or_else(|| panic!("{}", answer.text)).to_owned();
    answer.assert_problem(status, &code);
    assert!(answer.text.len() < 20_000, "{operation} with {what} says {} bytes", answer.text.len());
}

/// What is no JSON object, or one that is not meant well, whatever the operation.
fn hostile() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("invalid UTF-8", b"{\"\xff\xfe\": \"\x80\"}".to_vec()),
        ("UTF-16", b"\xff\xfe{\x00}\x00".to_vec()),
        ("a byte order mark", b"\xef\xbb\xbf{}".to_vec()),
        ("a lone surrogate", br#"{"\ud800": 1}"#.to_vec()),
        ("a field nobody knows", br#"{"__proto__": {}}"#.to_vec()),
        ("a field twice", br#"{"x": 1, "x": 1}"#.to_vec()),
        ("objects in objects", format!("{}1{}", "{\"a\":".repeat(9_000), "}".repeat(9_000)).into_bytes()),
        ("lists in lists", format!("{{\"a\":{}{}}}", "[".repeat(30_000), "]".repeat(30_000)).into_bytes()),
        ("lists without an end", b"[".repeat(60_000)),
        ("an array of 100,000", format!("{{\"a\":[{}1]}}", "1,".repeat(100_000)).into_bytes()),
        ("a list", b"[]".to_vec()),
        ("a text", b"\"{}\"".to_vec()),
        ("a null", b"null".to_vec()),
        ("two values", b"{} {}".to_vec()),
        ("a control character", b"{\"a\nb\": 1}".to_vec()),
        ("not a number", b"{\"x\": NaN}".to_vec()),
    ]
}

/// What no field is ever, in its place.
fn in_a_field() -> Vec<(&'static str, String)> {
    vec![
        ("a lone surrogate", r#""\ud800""#.to_owned()),
        ("half a pair", r#""a\udc00b""#.to_owned()),
        ("too large a number", "1e99999".to_owned()),
        ("a number of 20,000 digits", "9".repeat(20_000)),
        ("a number of many places", format!("0.{}1", "0".repeat(20_000))),
        ("lists in lists", format!("{}{}", "[".repeat(20_000), "]".repeat(20_000))),
        ("objects in objects", format!("{}1{}", "{\"a\":".repeat(5_000), "}".repeat(5_000))),
        ("an object", r#"{"a": 1}"#.to_owned()),
        ("a list of lists", "[[[]]]".to_owned()),
    ]
}

/// The operations with a body, and those that have nothing to say.
fn operations() -> Vec<(String, bool)> {
    let document = serde_json::to_value(api::openapi()).unwrap();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let has_body = operation.get("requestBody").is_some();
            if has_body || method == "post" {
                found.push((format!("{} {path}", method.to_uppercase()), has_body));
            }
        }
    }
    found
}

#[tokio::test]
async fn every_body_that_is_none_is_refused() {
    let world = World::new().await;
    let operations = operations();
    assert!(operations.len() > 25, "{}", operations.len());
    for (operation, _) in &operations {
        for (what, body) in hostile() {
            is_refused(operation, what, &send(&world, operation, body).await);
        }
    }
}

#[tokio::test]
async fn every_field_that_is_none_is_refused() {
    let world = World::new().await;
    for (operation, _) in operations().iter().filter(|(_, has_body)| *has_body) {
        let good = world.fixtures[operation].body.clone().unwrap();
        for field in good.as_object().unwrap().keys() {
            for (what, value) in in_a_field() {
                // The other fields are right.
                let mut parts: Vec<String> = Vec::new();
                for (name, right) in good.as_object().unwrap() {
                    let text = if name == field { value.clone() } else { right.to_string() };
                    parts.push(format!("{}:{text}", json!(name)));
                }
                let body = format!("{{{}}}", parts.join(","));
                is_refused(
                    operation,
                    &format!("{what} in {field}"),
                    &send(&world, operation, body.into()).await,
                );
            }
            let right = &good[field];
            let twice = format!("{{\"{field}\":{right},\"{field}\":{right}}}");
            is_refused(operation, "a field twice", &send(&world, operation, twice.into()).await);
            if right.is_string() {
                let mut body = good.clone();
                body[field] = Value::String("a\0b".to_owned());
                let answer = send(&world, operation, body.to_string().into()).await;
                assert!(answer.status.as_u16() < 500, "{operation} with a NUL in {field}: {}", answer.text);
            }
            if right.is_array() || field == "to" {
                let mut body = good.clone();
                body[field] = Value::Array(vec![json!("x"); 10_000]);
                is_refused(
                    operation,
                    "10,000 in a list",
                    &send(&world, operation, body.to_string().into()).await,
                );
            }
        }
    }
}

#[tokio::test]
async fn a_list_of_100_000_recipients_is_refused() {
    let world = World::new().await;
    let operation = "POST /api/v1/emails";
    let mut body = world.fixtures[operation].body.clone().unwrap();
    body["to"] = Value::Array(vec![json!("you@there.test"); 100_000]);
    let answer = send(&world, operation, body.to_string().into()).await;
    is_refused(operation, "100,000 recipients", &answer);
}
