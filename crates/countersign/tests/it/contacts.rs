//! Nobody has mail sent to strangers by naming them as contacts.

use crate::support::{Platform, text};
use serde_json::{Value, json};

#[tokio::test]
async fn a_contact_gets_one_mail_until_it_is_confirmed() {
    let platform = Platform::start().await;
    let api = &platform.api;
    let named = json!({"address": "stranger@elsewhere.example"});
    let added = api.post("/contacts", &named).await;
    assert_eq!(added["confirmed_at"], Value::Null);
    // Asked again on the same day, or deleted and named again, by whoever: no more mail.
    let resend = format!("/contacts/{}/resend", text(&added, "id"));
    let (status, refused) = api.refused(&resend, &json!({})).await;
    assert_eq!((status.as_u16(), text(&refused, "code")), (429, "RATE_LIMITED"));
    assert!(text(&refused, "detail").contains("this address"), "{refused:#}");
    api.delete(&format!("/contacts/{}", text(&added, "id"))).await;
    let answer = api.request(reqwest::Method::POST, "/contacts").json(&named).send().await.unwrap();
    let wait: u32 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!(answer.status().as_u16() == 429 && (86_000..=86_400).contains(&wait), "{wait}");
    // Nor to many of them.
    let mut sent = 1;
    for tenant in 0..3 {
        let tenant = api.post("/tenants", &json!({"ref": format!("cust_{tenant}")})).await;
        for number in 0..10 {
            let address =
                format!("n{number}@{}.example", text(&tenant, "id").replace('_', "").to_lowercase());
            let body = json!({"address": address, "tenant_id": tenant["id"]});
            let answer = api.request(reqwest::Method::POST, "/contacts").json(&body).send().await.unwrap();
            sent += usize::from(answer.status().is_success());
        }
    }
    assert_eq!(sent, 20);
    // It is not the address that was written to.
    let (status, refused) = api.refused("/contacts", &json!({"address": "new@elsewhere.example"})).await;
    assert_eq!(status.as_u16(), 429);
    assert!(text(&refused, "detail").starts_with("20 mails"), "{refused:#}");
    let mails =
        api.until("/sandbox/messages?limit=100", |list| list["data"].as_array().unwrap().len() == 20).await;
    let to_stranger =
        mails["data"].as_array().unwrap().iter().filter(|mail| mail.to_string().contains("stranger@"));
    assert_eq!(to_stranger.count(), 1);
    platform.stop().await;

    let platform = Platform::start().await;
    let api = &platform.api;
    let confirmed = api.confirmed_contact(&named).await;
    let list = api.get("/contacts").await;
    assert!(list["data"][0]["confirmed_at"].is_string(), "{list:#}");
    // Who is confirmed is not asked again.
    let resend = format!("/contacts/{}/resend", text(&confirmed, "id"));
    assert!(api.post(&resend, &json!({})).await["confirmed_at"].is_string());
    // Known by then.
    let again = api.post("/tenants", &json!({"ref": "one"})).await;
    let again =
        api.post("/contacts", &json!({"address": confirmed["address"], "tenant_id": again["id"]})).await;
    assert!(again["confirmed_at"].is_string());
    let guessed = reqwest::Client::new()
        .post(format!("{}/contacts/confirm", api.base))
        .header("content-type", "application/x-www-form-urlencoded")
        .body("token=guessed")
        .send()
        .await
        .unwrap();
    assert_eq!(guessed.status().as_u16(), 410);
    let page = guessed.text().await.unwrap();
    assert!(page.contains("If you confirmed before, there is nothing to do"), "{page}");
    platform.stop().await;
}
