//! Tenants and limited keys, as a platform uses them: all over the API.

use crate::support::{Api, Folder, Platform, config, problem, text};
use countersign::{Config, Instance};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const HEADER: &str = "X-Countersign-Tenant-Ref";

fn message(from: &str) -> Value {
    json!({"from": format!("hello@{from}"), "to": ["someone@example.org"], "subject": "Hello", "text": "Hi."})
}

/// Adds a domain for a tenant and has it verified.
async fn verified_for(api: &Api, name: &str, tenant: &str) -> Value {
    let body = json!({"domain": name, "profile": "two-txt"});
    let added =
        api.request(Method::POST, "/domains").header(HEADER, tenant).json(&body).send().await.unwrap();
    assert_eq!(added.status(), StatusCode::CREATED);
    let domain: Value = added.json().await.unwrap();
    let zone = api.zone("acme.test").await;
    api.publish_all(&zone, &domain).await;
    api.until(&format!("/domains/{}", text(&domain, "id")), |domain| domain["status"] == "verified").await
}

/// A key made with another one, over the API.
async fn key(api: &Api, http: std::net::SocketAddr, rights: &Value) -> Api {
    let mut body = json!({"name": "limited", "scopes": ["admin"]});
    for (field, value) in rights.as_object().unwrap() {
        body[field] = value.clone();
    }
    Api::new(http, text(&api.post("/keys", &body).await, "secret"))
}

#[tokio::test]
async fn the_six_refusals_of_sending() {
    let folder = Folder::new();
    let instance = Instance::start(&Config { warmup_daily_limit: 1, ..config(&folder) }).await.unwrap();
    let api = Api::new(instance.http, &instance.api_key);
    let ours = verified_for(&api, "mail.acme.test", "cust_1").await;
    let pending = api.post("/domains", &json!({"domain": "new.acme.test"})).await;
    let tenant_id = text(&ours, "tenant_id");
    let of_tenant = key(&api, instance.http, &json!({"tenant_id": tenant_id})).await;
    let of_pending = key(&api, instance.http, &json!({"allowed_domain_ids": [text(&pending, "id")]})).await;
    let of_none = key(&api, instance.http, &json!({"allowed_domain_ids": []})).await;
    let other = api.post("/tenants", &json!({"ref": "cust_2"})).await;
    let of_other = key(&api, instance.http, &json!({"tenant_id": text(&other, "id")})).await;

    // What may be sent is sent, and counts.
    of_tenant.post("/emails", &message("mail.acme.test")).await;
    for (who, api, from, status, code) in [
        ("nobody's domain", &api, "nowhere.acme.test", 422, "DOMAIN_NOT_FOUND"),
        ("not verified", &api, "new.acme.test", 422, "DOMAIN_PENDING_VERIFICATION"),
        ("not listed", &of_pending, "mail.acme.test", 403, "DOMAIN_NOT_ALLOWED_FOR_KEY"),
        ("nothing listed", &of_none, "mail.acme.test", 403, "DOMAIN_NOT_ALLOWED_FOR_KEY"),
        ("another tenant", &of_other, "mail.acme.test", 403, "DOMAIN_TENANT_MISMATCH"),
        ("no tenant's domain", &of_other, "new.acme.test", 403, "DOMAIN_TENANT_MISMATCH"),
        ("used up", &of_tenant, "mail.acme.test", 429, "WARMUP_LIMIT_EXCEEDED"),
    ] {
        let (found, problem) = api.refused("/emails", &message(from)).await;
        assert_eq!((found.as_u16(), text(&problem, "code")), (status, code), "{who}");
    }
    // The sixth is of adding: who may see the domain that is there is told its id.
    let again = json!({"domain": "mail.acme.test"});
    for (api, id) in [(&api, &ours["id"]), (&of_tenant, &ours["id"]), (&of_other, &Value::Null)] {
        let (status, problem) = api.refused("/domains", &again).await;
        assert_eq!((status.as_u16(), text(&problem, "code")), (409, "DOMAIN_ALREADY_ADDED"));
        assert_eq!(&problem["domain_id"], id);
    }
    // A request that names the tenant is like a key of it.
    let named = async |tenant: &str, from: &str| {
        let request = api.request(Method::POST, "/emails").header(HEADER, tenant).json(&message(from));
        let (status, problem) = problem(request.send().await.unwrap()).await;
        (status.as_u16(), text(&problem, "code").to_owned())
    };
    assert_eq!(named("cust_2", "mail.acme.test").await, (403, "DOMAIN_TENANT_MISMATCH".to_owned()));
    assert_eq!(named("cust_9", "mail.acme.test").await, (403, "DOMAIN_TENANT_MISMATCH".to_owned()));
    assert_eq!(named("cust_1", "mail.acme.test").await, (429, "WARMUP_LIMIT_EXCEEDED".to_owned()));
    let tenants = api.get("/tenants").await;
    let refs: Vec<_> = tenants["data"].as_array().unwrap().iter().map(|one| text(one, "ref")).collect();
    assert_eq!(refs, ["cust_2", "cust_1"], "sending makes no tenant");
    instance.stop().await;
}

#[tokio::test]
async fn what_a_tenant_sends_is_in_its_own_inbox() {
    let platform = Platform::start().await;
    let api = &platform.api;
    let ours = verified_for(api, "mail.acme.test", "cust_1").await;
    let theirs = verified_for(api, "post.acme.test", "cust_2").await;
    let http = platform.instance.http;
    let us = key(api, http, &json!({"tenant_id": text(&ours, "tenant_id")})).await;
    let them = key(api, http, &json!({"tenant_id": text(&theirs, "tenant_id")})).await;
    let listed = key(api, http, &json!({"allowed_domain_ids": [text(&ours, "id")]})).await;
    let (sent, received) = us.send_and_receive(&message("mail.acme.test")).await;
    let id = text(&received, "id");
    assert_eq!(text(&received, "from"), "hello@mail.acme.test");
    let empty = json!([]);
    for (who, seen) in [(api, 1), (&us, 1), (&them, 0), (&listed, 1)] {
        for path in ["/emails", "/sandbox/messages"] {
            assert_eq!(who.get(path).await["data"].as_array().unwrap().len(), seen, "{path}");
        }
    }
    for path in [format!("/emails/{}", text(&sent, "id")), format!("/sandbox/messages/{id}")] {
        us.get(&path).await;
        let (status, _) = problem(them.request(Method::GET, &path).send().await.unwrap()).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
    }
    // Theirs to empty is theirs alone.
    assert_eq!(them.delete("/sandbox/messages").await["count"], 0);
    assert_eq!(us.delete("/sandbox/messages").await["count"], 1);
    assert_eq!(api.get("/sandbox/messages").await["data"], empty);
    platform.stop().await;
}
