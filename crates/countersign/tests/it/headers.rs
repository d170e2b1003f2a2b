//! What every page carries: what it may load, that it stays between the two, and cookies that no other site gets.

use crate::login::{House, PASSWORD};
use reqwest::{Method, StatusCode, header::HeaderMap};

const HOST: &str = "mail.example.com";

/// Whether a page has a script, a style or a handler in it, which the policy would not let run anyway.
fn has_inline(body: &str) -> bool {
    let scripts =
        body.split("<script").skip(1).any(|rest| !rest.split('>').next().unwrap().contains(" src="));
    let handlers = body.split('<').any(|tag| {
        let tag = tag.split('>').next().unwrap();
        tag.contains(" onclick=")
            || tag.contains(" onload=")
            || tag.contains(" style=")
            || tag.contains("javascript:")
    });
    scripts || handlers || body.contains("<style")
}

fn is_guarded(path: &str, headers: &HeaderMap) {
    let of = |name: &str| headers.get(name).map_or("", |value| value.to_str().unwrap());
    let policy = of("content-security-policy");
    for part in ["default-src 'none'", "script-src 'self'", "form-action 'self'", "frame-ancestors"] {
        assert!(policy.contains(part), "{path}: {policy}");
    }
    for part in ["unsafe-inline", "unsafe-eval", "http:", "https:", "*"] {
        assert!(!policy.contains(part), "{path}: {policy}");
    }
    assert_eq!(of("strict-transport-security"), "max-age=31536000", "{path}");
    assert_eq!(of("x-content-type-options"), "nosniff", "{path}");
    assert_eq!(of("referrer-policy"), "same-origin", "{path}");
    assert_eq!(of("cross-origin-opener-policy"), "same-origin", "{path}");
    assert!(of("x-request-id").starts_with("req_"), "{path}");
    let is_of_everybody = path.starts_with("/assets/") || path == "/favicon.svg";
    // What a page fetches anew while something changes: status and times.
    let wanted = if path.ends_with("/live") { "no-" } else { "no-store" };
    assert!(is_of_everybody || of("cache-control").contains(wanted), "{path}: {}", of("cache-control"));
    for cookie in headers.get_all("set-cookie") {
        let cookie = cookie.to_str().unwrap();
        assert!(cookie.starts_with("__Host-countersign"), "{path}: {cookie}");
        for part in ["; Path=/", "; HttpOnly", "; Secure", "; SameSite=Lax"] {
            assert!(cookie.contains(part), "{path}: {cookie}");
        }
        assert!(!cookie.contains("Domain"), "{path}: {cookie}");
    }
}

#[tokio::test]
async fn every_page_is_kept_to_itself() {
    let house = House::open_with(|config| config.public_url = format!("https://{HOST}")).await;
    let link = house.instance.first_owner_link.clone().unwrap();
    assert!(link.starts_with("https://mail.example.com/welcome?token="), "{link}");
    let mut owner = house.visitor();
    owner.host = Some(HOST);
    let path = link.strip_prefix("https://mail.example.com").unwrap();
    let token = path.split_once('=').unwrap().1;
    let form = [("token", token), ("name", "Ann"), ("email", "ann@example.net"), ("password", PASSWORD)];
    let begun = owner.submit(path, "/welcome", &form).await;
    assert_eq!(begun.status, StatusCode::SEE_OTHER, "{}", begun.body);
    is_guarded("/welcome", &begun.headers);
    assert!(owner.cookies.contains_key("__Host-countersign"));
    let added = owner.submit("/", "/", &[("domain", "mail.acme.test"), ("profile", "two-txt")]).await;
    let domain = added.to.clone();
    assert!(domain.starts_with("/domains/dom_"), "{}", added.body);
    let mut shown = 0;
    let routes = web::routes();
    let paths = routes.iter().filter(|route| route.method == Method::GET).map(|route| {
        let id =
            if route.path.starts_with("/domains") { domain.strip_prefix("/domains/").unwrap() } else { "x" };
        route.path.replace("{id}", id).replace("{code}", "spf_missing")
    });
    for path in paths.chain(["/nothing/here".to_owned(), format!("/welcome?token={token}")]) {
        let mut stranger = house.visitor();
        stranger.host = Some(HOST);
        for visitor in [&mut owner.clone(), &mut stranger] {
            let page = visitor.get(&path).await;
            assert!(!page.status.is_server_error(), "{path}: {}", page.body);
            is_guarded(&path, &page.headers);
            let is_page =
                page.headers.get("content-type").is_some_and(|kind| kind.to_str().unwrap().contains("html"));
            assert!(!is_page || !has_inline(&page.body), "{path}: {}", page.body);
            shown += usize::from(is_page && page.status == StatusCode::OK);
        }
    }
    assert!(shown >= 15, "only {shown} pages were shown");
    // By another name there is nothing.
    let mut elsewhere = house.visitor();
    elsewhere.host = Some("mail.evil.example");
    let refused = elsewhere.get("/login").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    is_guarded("/login", &refused.headers);
    let out = owner.submit("/account", "/logout", &[]).await;
    is_guarded("/logout", &out.headers);
    assert!(!owner.cookies.contains_key("__Host-countersign"));
    house.instance.stop().await;
}

#[tokio::test]
async fn what_has_a_secret_is_stored_by_nobody() {
    let house = House::open().await;
    let key = serde_json::json!({"name": "ci", "scopes": ["read:domains"]});
    let hook = serde_json::json!({"url": "https://hooks.example.com/x", "event_types": []});
    for (path, body) in [("/keys", &key), ("/webhooks", &hook)] {
        let made = house.api.request(Method::POST, path).json(body).send().await.unwrap();
        assert_eq!(made.status(), StatusCode::CREATED, "{path}");
        assert_eq!(made.headers()["cache-control"], "no-store", "{path}");
        assert!(made.text().await.unwrap().contains("\"secret\""), "{path}");
    }
    house.instance.stop().await;
}
