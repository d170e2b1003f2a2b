//! Tenants: by id, and by the name that the organisation has for them.

use crate::platform::{Answer, Platform};
use axum::{
    body::Body,
    http::{Request, header},
};
use serde_json::{Value, json};

const HEADER: &str = "X-Countersign-Tenant-Ref";

async fn call(
    platform: &Platform,
    key: &str,
    method: &str,
    path: &str,
    tenant: &[&str],
    body: &Value,
) -> Answer {
    let mut request = Request::builder()
        .method(method)
        .uri(format!("/api/v1{path}"))
        .header(header::AUTHORIZATION, format!("Bearer {key}"))
        .header(header::CONTENT_TYPE, "application/json");
    for one in tenant {
        request = request.header(HEADER, *one);
    }
    platform.send(request.body(Body::from(body.to_string())).unwrap()).await
}

#[tokio::test]
async fn a_tenant_is_found_or_made_when_something_is_added() {
    let platform = Platform::start().await;
    let key = &platform.key;
    // Reading makes none.
    let empty = call(&platform, key, "GET", "/domains", &["cust_1"], &json!({})).await.json();
    assert_eq!((&empty["data"], &empty["has_more"]), (&json!([]), &json!(false)));
    assert_eq!(platform.get("/api/v1/tenants").await.json()["data"], json!([]));
    let mut ids = Vec::new();
    for (name, tenant) in [("a.acme.test", "cust_1"), ("b.acme.test", "cust_1"), ("c.acme.test", "CUST_1")] {
        let added = call(&platform, key, "POST", "/domains", &[tenant], &json!({"domain": name})).await;
        assert_eq!(added.status, 201, "{}", added.text);
        ids.push(added.json()["tenant_id"].as_str().unwrap().to_owned());
    }
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[0], ids[2], "case counts");
    let again = call(&platform, key, "POST", "/tenants", &[], &json!({"ref": "cust_1"})).await;
    assert_eq!((again.status.as_u16(), again.json()["id"].as_str()), (200, Some(ids[0].as_str())));
    assert_eq!(platform.get(&format!("/api/v1/tenants/{}", ids[2])).await.json()["ref"], "CUST_1");

    // By id, and by both where they agree.
    let by_id = json!({"domain": "d.acme.test", "tenant_id": ids[0]});
    assert_eq!(call(&platform, key, "POST", "/domains", &["cust_1"], &by_id).await.status, 201);
    let by_id = json!({"domain": "e.acme.test", "tenant_id": ids[0]});
    call(&platform, key, "POST", "/domains", &["CUST_1"], &by_id)
        .await
        .assert_problem(403, "DOMAIN_TENANT_MISMATCH");
    let unclear = call(&platform, key, "POST", "/domains", &["cust_2"], &by_id).await;
    unclear.assert_problem(422, "INVALID_REQUEST");
    let unknown = json!({"domain": "e.acme.test", "tenant_id": "tnt_01JD0000000000000000000000"});
    let unknown = call(&platform, key, "POST", "/domains", &[], &unknown).await;
    unknown.assert_problem(422, "INVALID_REQUEST");
    assert_eq!(unknown.json()["errors"][0]["field"], "tenant_id");

    let listed = call(&platform, key, "GET", "/domains?limit=2", &["cust_1"], &json!({})).await.json();
    assert_eq!((listed["data"].as_array().unwrap().len(), &listed["has_more"]), (2, &json!(true)));
    assert_eq!(platform.get("/api/v1/domains").await.json()["data"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn a_name_that_is_no_reference_is_refused() {
    let platform = Platform::start().await;
    let long = "x".repeat(129);
    for tenant in [&["a", "b"][..], &[""], &[long.as_str()], &["t\u{e4}nant"]] {
        let answer = call(&platform, &platform.key, "GET", "/domains", tenant, &json!({})).await;
        answer.assert_problem(422, "INVALID_REQUEST");
        assert_eq!(answer.json()["errors"][0]["field"], HEADER, "{tenant:?}");
    }
    let refused = call(&platform, &platform.key, "POST", "/tenants", &[], &json!({"ref": " a"})).await;
    refused.assert_problem(422, "INVALID_REQUEST");
    assert_eq!(refused.json()["errors"][0]["field"], "ref");
}

#[tokio::test]
async fn a_key_of_a_tenant_makes_keys_of_the_tenant_only() {
    let platform = Platform::start().await;
    let body = json!({"name": "theirs", "scopes": ["write:keys", "read:domains"]});
    let made = call(&platform, &platform.key, "POST", "/keys", &["cust_1"], &body).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let made = made.json();
    assert!(made["tenant_id"].is_string(), "the header binds the key");
    let theirs = made["secret"].as_str().unwrap();
    let next = call(&platform, theirs, "POST", "/keys", &[], &body).await.json();
    assert_eq!(next["tenant_id"], made["tenant_id"]);
    let other =
        call(&platform, &platform.key, "POST", "/tenants", &[], &json!({"ref": "cust_2"})).await.json();
    let wanted = json!({"name": "x", "scopes": ["read:domains"], "tenant_id": other["id"]});
    call(&platform, theirs, "POST", "/keys", &[], &wanted)
        .await
        .assert_problem(403, "DOMAIN_TENANT_MISMATCH");
    let keys = call(&platform, theirs, "GET", "/keys", &[], &json!({})).await.json();
    assert_eq!(keys["data"].as_array().unwrap().len(), 2, "its own and the one it made");
}

#[tokio::test]
async fn a_limited_key_learns_nothing_of_other_tenants() {
    let platform = Platform::start().await;
    let domain = json!({"domain": "a.acme.test"});
    let ours = call(&platform, &platform.key, "POST", "/domains", &["cust_1"], &domain).await.json();
    call(&platform, &platform.key, "POST", "/tenants", &[], &json!({"ref": "cust_2"})).await;
    let rights = json!({"name": "x", "scopes": ["admin"], "allowed_domain_ids": [ours["id"]]});
    let made = call(&platform, &platform.key, "POST", "/keys", &[], &rights).await.json();
    let limited = made["secret"].as_str().unwrap();
    let none = json!({"name": "x", "scopes": ["admin"], "allowed_domain_ids": []});
    // The one that is there is answered like the one that is not.
    for tenant in ["cust_2", "cust_9"] {
        let refused = call(&platform, limited, "POST", "/keys", &[tenant], &none).await;
        refused.assert_problem(403, "KEY_IS_LIMITED");
        let list = call(&platform, limited, "GET", "/domains", &[tenant], &json!({})).await.json();
        assert_eq!(list["data"], json!([]));
    }
    assert_eq!(call(&platform, limited, "POST", "/keys", &["cust_1"], &none).await.status, 201);
    let seen = call(&platform, limited, "GET", "/tenants", &[], &json!({})).await.json();
    assert_eq!(seen["data"].as_array().unwrap().len(), 1);
}
