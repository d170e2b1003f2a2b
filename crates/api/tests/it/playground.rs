//! `/playground`

use crate::platform::Platform;
use axum::http::header;

#[tokio::test]
async fn a_zone_and_its_records_are_made_changed_and_deleted() {
    let platform = Platform::start().await;
    let made = platform.call("POST", "/api/v1/playground/zones", "{\"apex\":\"acme.test\"}").await;
    assert_eq!(made.status, 201, "{}", made.text);
    let zone = format!("/api/v1/playground/zones/{}", made.json()["id"].as_str().unwrap());
    assert_eq!(made.header(header::LOCATION), zone);
    let again = platform.call("POST", "/api/v1/playground/zones", "{\"apex\":\"acme.test\"}").await;
    again.assert_problem(409, "ALREADY_EXISTS");

    let typed = r#"{"host":"mail","type":"txt","value":"v=spf1 -all"}"#;
    let record = platform.call("POST", &format!("{zone}/records"), typed).await;
    assert_eq!(record.status, 201, "{}", record.text);
    let record = record.json();
    assert_eq!((&record["type"], &record["ttl"]), (&"TXT".into(), &300.into()));
    let path = format!("/api/v1/playground/records/{}", record["id"].as_str().unwrap());
    let changed =
        platform.call("PUT", &path, r#"{"host":"@","type":"MX","value":"mx.acme.test","priority":5}"#).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    assert_eq!(changed.json()["priority"], 5);
    let wrong = platform.call("PUT", &path, r#"{"host":"@","type":"A","value":"mx.acme.test"}"#).await;
    wrong.assert_problem(422, "INVALID_REQUEST");
    assert_eq!(wrong.json()["errors"][0]["field"], "value");

    let seen = platform.get(&zone).await.json();
    assert_eq!(seen["records"].as_array().unwrap().len(), 1);
    assert_eq!(platform.call("DELETE", &path, "").await.json()["deleted"], true);
    platform.call("DELETE", &path, "").await.assert_problem(404, "NOT_FOUND");
    assert_eq!(platform.call("DELETE", &zone, "").await.json()["deleted"], true);
    assert_eq!(platform.get("/api/v1/playground/zones").await.json()["data"], serde_json::json!([]));
}
