//! A domain is set up by somebody without an account.

use crate::{
    login::House,
    support::{Api, Platform, text},
};
use app::store::{Store, StoreOptions};
use reqwest::StatusCode;
use serde_json::json;

/// What anybody gets who opens an address.
async fn open(url: &str) -> (StatusCode, String) {
    let answer = reqwest::get(url).await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

async fn link(api: &Api, domain: &str) -> (String, String) {
    let made = api.post(&format!("/domains/{domain}/setup-links"), &json!({"note": "agency-of-ours"})).await;
    (text(&made, "id").to_owned(), text(&made, "url").to_owned())
}

#[tokio::test]
async fn a_stranger_with_a_link_sees_the_records_and_has_them_checked() {
    let platform = Platform::start().await;
    let api = &platform.api;
    api.post("/tenants", &json!({"ref": "tenant-of-ours"})).await;
    let domain = api.post("/domains", &json!({"domain": "mail.acme.test"})).await;
    let id = text(&domain, "id");
    let path = format!("/domains/{id}");
    api.until(&path, |domain| domain["last_checked_at"].is_string()).await;
    let (link_id, url) = link(api, id).await;
    assert!(url.starts_with(&format!("{}/setup/", api.base)), "{url}");

    let (status, page) = open(&url).await;
    assert_eq!(status, StatusCode::OK);
    for record in domain["records"].as_array().unwrap() {
        assert!(page.contains(text(record, "value")), "{page}");
    }
    // Nothing of whoever made it.
    for private in [
        id,
        "First organisation",
        link_id.as_str(),
        "agency-of-ours",
        "tenant-of-ours",
        &platform.instance.api_key,
    ] {
        assert!(private.len() > 5 && !page.contains(private), "{private}");
    }
    let opened = api.get(&format!("{path}/setup-links")).await;
    assert!(opened["data"][0]["opened_at"].is_string() && opened["data"][0]["url"].is_null(), "{opened:#}");
    assert!(page.contains("0 of "), "{page}");

    // The records appear; a form without JavaScript has them looked at.
    api.post(&format!("/playground/domains/{id}/publish"), &json!({})).await;
    let checked = reqwest::Client::new().post(format!("{url}/check")).send().await.unwrap();
    // The browser is sent back to the page.
    assert_eq!((checked.status(), checked.url().as_str()), (StatusCode::OK, url.as_str()));
    api.until(&path, |domain| domain["status"] == "verified").await;
    let (_, page) = open(&url).await;
    assert!(page.contains("All records are right."), "{page}");
    let (status, file) = open(&format!("{url}/records/octodns")).await;
    assert!(status.is_success() && file.contains("type: CNAME"), "{file}");
    let (status, _) = open(&format!("{url}/records/exe")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, part) = open(&format!("{url}/live")).await;
    assert!(status.is_success() && part.starts_with("<div id=\"live-part\""), "{part}");

    // While its organisation is switched off it opens nothing.
    let database = platform.folder.0.join("countersign.sqlite");
    let store = Store::open(&database, StoreOptions::default()).await.unwrap();
    let org = store.first_organisation().await.unwrap().unwrap().id;
    let now = countersign::instance::system_time();
    store.disable_organisation(org, Some(now), &[]).await.unwrap();
    assert_eq!(open(&url).await.0, StatusCode::GONE);
    store.disable_organisation(org, None, &[]).await.unwrap();
    assert_eq!(open(&url).await.0, StatusCode::OK);
    store.close().await;

    // Taken back, it says so wherever it is opened.
    api.delete(&format!("/setup-links/{link_id}")).await;
    for path in ["", "/live", "/records/zone"] {
        let (status, page) = open(&format!("{url}{path}")).await;
        assert!(
            status == StatusCode::GONE && page.contains("This link is over") && !page.contains("acme"),
            "{path}"
        );
    }
    assert!(api.get(&format!("{path}/setup-links")).await["data"].as_array().unwrap().is_empty());
    platform.stop().await;
}

#[tokio::test]
async fn a_link_ends_with_its_time_with_its_domain_and_is_not_guessed() {
    let house = House::open().await;
    let api = &house.api;
    let domain = api.post("/domains", &json!({"domain": "mail.acme.test"})).await;
    let id = text(&domain, "id").to_owned();
    let path = |url: &str| url.strip_prefix(&api.base).unwrap().to_owned();
    let (_, url) = link(api, &id).await;
    let url = path(&url);
    let mut visitor = house.visitor();
    assert_eq!(visitor.get(&url).await.status, StatusCode::OK);
    // Its form carries the token of the page, as every form does where people log in.
    assert_eq!(visitor.post(&format!("{url}/check"), &[]).await.status, StatusCode::FORBIDDEN);
    let checked = visitor.submit(&url, &format!("{url}/check"), &[]).await;
    assert_eq!((checked.status, &checked.to), (StatusCode::SEE_OTHER, &url));
    // It opens nothing else.
    assert_eq!(visitor.get(&format!("/domains/{id}")).await.status, StatusCode::SEE_OTHER);
    assert_eq!(visitor.get("/setup/guessed").await.status, StatusCode::GONE);
    house.pass(7 * 24 * 3600 + 1);
    assert_eq!(visitor.get(&url).await.status, StatusCode::GONE);

    let (_, url) = link(api, &id).await;
    let url = path(&url);
    assert_eq!(visitor.get(&url).await.status, StatusCode::OK);
    for number in 1..20 {
        api.post(&format!("/domains/{id}/setup-links"), &json!({"expires_in_days": 1 + number})).await;
    }
    let (status, full) = api.refused(&format!("/domains/{id}/setup-links"), &json!({})).await;
    assert_eq!((status.as_u16(), text(&full, "code")), (409, "LIMIT_REACHED"), "{full:#}");
    for (body, field) in [
        (json!({"expires_in_days": 0}), "expires_in_days"),
        (json!({"expires_in_days": 31}), "expires_in_days"),
        (json!({"note": "x".repeat(201)}), "note"),
    ] {
        let (status, refused) = api.refused(&format!("/domains/{id}/setup-links"), &body).await;
        assert_eq!((status.as_u16(), text(&refused["errors"][0], "field")), (422, field));
    }
    api.delete(&format!("/domains/{id}")).await;
    assert_eq!(visitor.get(&url).await.status, StatusCode::GONE);
    house.instance.stop().await;
}

#[tokio::test]
async fn a_member_makes_links_at_the_page_and_takes_them_back() {
    let house = House::open().await;
    let mut owner = house.owner().await;
    let domain = house.api.post("/domains", &json!({"domain": "mail.acme.test"})).await;
    let page = format!("/domains/{}/setup-links", text(&domain, "id"));
    let wrong = owner.submit(&page, &page, &[("note", "x"), ("days", "99")]).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        wrong.body.contains("value=\"x\"") && wrong.body.contains("Is from 1 to 30, not 99."),
        "{}",
        wrong.body
    );
    let once = crate::login::field(&owner.get(&page).await.body, "once").unwrap();
    let fields = [("note", "the agency"), ("days", "14"), ("may_publish", "yes"), ("once", &*once)];
    let made = owner.submit(&page, &page, &fields).await;
    let secret = made.body.split("/setup/").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let mut visitor = house.visitor();
    assert_eq!(visitor.get(&format!("/setup/{secret}")).await.status, StatusCode::OK);
    let list = owner.get(&page).await.body;
    assert!(list.contains("the agency") && !list.contains(&secret), "{list}");
    assert!(list.contains("may have the records written</span>"), "{list}");
    // The page with the link is loaded again: no other link is made.
    let again = owner.submit(&page, &page, &fields).await;
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(again.body.contains("This form was sent before"), "{}", again.body);
    assert_eq!(again.body.matches("data-label=\"Good until\"").count(), 1);
    let id = list.split("/setup-links/").nth(1).unwrap().split('/').next().unwrap();
    let gone = owner.submit(&page, &format!("{page}/{id}/delete"), &[]).await;
    assert_eq!(gone.status, StatusCode::SEE_OTHER);
    assert_eq!(visitor.get(&format!("/setup/{secret}")).await.status, StatusCode::GONE);
    house.instance.stop().await;
}
