//! People: what is told of them in the audit log, how long what lets them in is good, and how who is locked out gets in.

use crate::login::{House, PASSWORD, Page, Visitor, code, field};
use reqwest::{StatusCode, header};
use serde_json::Value;
use std::{process::Command, sync::atomic::Ordering};

/// The lines of the audit log with this action, newest first.
pub async fn lines(house: &House, action: &str) -> Vec<Value> {
    let log = house.api.get("/audit?limit=100").await;
    log["data"].as_array().unwrap().iter().filter(|line| line["action"] == action).cloned().collect()
}

/// Waits until there are so many; some are told after the answer.
pub async fn until_lines(house: &House, action: &str, wanted: usize) -> Vec<Value> {
    let count = |log: &Value| {
        log["data"].as_array().unwrap().iter().filter(|line| line["action"] == action).count() >= wanted
    };
    house.api.until("/audit?limit=100", count).await;
    lines(house, action).await
}

/// That a line is about this request.
fn is_of(line: &Value, page: &Page, address: &str) {
    assert_eq!(line["request_id"], page.headers["x-request-id"].to_str().unwrap(), "{line}");
    assert_eq!(line["address"], address, "{line}");
}

/// Sets up a second factor; its key.
pub async fn with_second_factor(house: &House, visitor: &mut Visitor) -> String {
    let page = visitor.get("/account/second-factor").await.body;
    let (sealed, key) = (field(&page, "sealed").unwrap(), field(&page, "shown").unwrap());
    let now = code(&key, house.now.load(Ordering::SeqCst));
    let form = [("sealed", &*sealed), ("current", PASSWORD), ("code", &*now)];
    assert_eq!(visitor.submit("/account", "/account/second-factor", &form).await.status, StatusCode::OK);
    house.pass(60);
    key
}

#[tokio::test]
async fn what_people_do_at_the_door_is_in_the_audit_log() {
    let house = House::open().await;
    let mut owner = house.owner().await;
    let mut stranger = house.visitor_from([127, 0, 0, 2]);
    let wrong = stranger.log_in("ann@example.net", "not the password").await;
    let told = until_lines(&house, "user.login_refused", 1).await;
    is_of(&told[0], &wrong, "127.0.0.2");
    assert_eq!((&told[0]["actor"]["type"], &told[0]["data"]["by"]), (&"visitor".into(), &"password".into()));
    let ann = told[0]["subject"].as_str().unwrap().to_owned();
    assert!(ann.starts_with("usr_"), "{ann}");
    stranger.log_in("nobody@example.net", "not the password").await;
    house.pass(1);
    let right = stranger.log_in("ann@example.net", PASSWORD).await;
    let told = &lines(&house, "user.logged_in").await[0];
    is_of(told, &right, "127.0.0.2");
    assert_eq!((&told["actor"]["id"], &told["data"]["by"]), (&Value::from(&*ann), &"password".into()));
    let mut other = house.visitor_from([127, 0, 0, 3]);
    let sent = other.submit("/login", "/login/send", &[("email", "ann@example.net")]).await;
    is_of(&until_lines(&house, "user.link_sent", 1).await[0], &sent, "127.0.0.3");
    other.submit("/login", "/login/send", &[("email", "nobody@example.net")]).await;
    let path = house.link_to("ann@example.net", "/login/link?token=").await;
    let token = path.split_once('=').unwrap().1;
    house.pass(1);
    let used = other.submit(&path, "/login/link", &[("token", token)]).await;
    let told = &lines(&house, "user.logged_in").await[0];
    is_of(told, &used, "127.0.0.3");
    assert_eq!(told["data"]["by"], "link");

    house.pass(1);
    let change = [("current", "not the password"), ("password", "another one that is long")];
    owner.submit("/account", "/account/password", &change).await;
    let told = until_lines(&house, "user.login_refused", 2).await;
    assert_eq!(told[0]["data"]["by"], "current password");
    house.pass(1);
    let change = [("current", PASSWORD), ("password", "another one that is long")];
    let changed = owner.submit("/account", "/account/password", &change).await;
    is_of(&lines(&house, "user.password_changed").await[0], &changed, "127.0.0.1");
    house.pass(60);
    let change = [("current", "another one that is long"), ("password", PASSWORD)];
    let page = owner.submit("/account", "/account/password", &change).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    with_second_factor(&house, &mut owner).await;
    let mut half = house.visitor_from([127, 0, 0, 4]);
    let logged_in = lines(&house, "user.logged_in").await.len();
    half.log_in("ann@example.net", PASSWORD).await;
    assert_eq!(lines(&house, "user.logged_in").await.len(), logged_in, "not yet");
    house.pass(1);
    let wrong = half.submit("/login/code", "/login/code", &[("code", "000000")]).await;
    let told = until_lines(&house, "user.login_refused", 3).await;
    is_of(&told[0], &wrong, "127.0.0.4");
    assert_eq!(told[0]["data"]["by"], "code");

    house.pass(1);
    let mut ben = house.invited(&mut owner, "ben@example.net", "viewer").await;
    let told = &lines(&house, "member.added").await[0];
    assert_eq!((&told["data"]["invited_by"], &told["address"]), (&Value::from(&*ann), &"127.0.0.1".into()));
    assert!(told["request_id"].as_str().unwrap().starts_with("req_"));
    assert!(ben.is_in().await);
    let log = house.api.get("/audit?limit=100").await.to_string();
    for secret in [PASSWORD, "nobody@example.net", "not the password", token] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
    house.instance.stop().await;
}

#[tokio::test]
async fn refused_logins_of_a_day_are_told_a_bounded_number_of_times() {
    let house = House::open().await;
    house.owner().await;
    for minute in 0..5 {
        for _ in 0..5 {
            let mut stranger = house.visitor_from([127, 0, 0, 2]);
            let refused = stranger.log_in("ann@example.net", "not the password").await;
            assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{minute}: {}", refused.body);
        }
        house.pass(60);
    }
    until_lines(&house, "user.login_refused", 20).await;
    // A login is told after all that were refused before.
    house.visitor().log_in("ann@example.net", PASSWORD).await;
    assert_eq!(lines(&house, "user.login_refused").await.len(), 20);
    house.pass(24 * 3600);
    house.visitor().log_in("ann@example.net", "not the password").await;
    until_lines(&house, "user.login_refused", 21).await;
    house.instance.stop().await;
}

#[tokio::test]
async fn too_many_tries_say_when_to_come_again() {
    let house = House::open().await;
    let mut owner = house.owner().await;
    let mut stranger = house.visitor();
    for _ in 0..5 {
        stranger.log_in("ann@example.net", "not the password").await;
    }
    let is_told = |page: &Page| {
        assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS, "{}", page.body);
        let seconds: i64 = page.headers[header::RETRY_AFTER].to_str().unwrap().parse().unwrap();
        assert!((1..=60).contains(&seconds), "{seconds}");
        assert!(page.body.contains("a minute; try again in"), "{}", page.body);
        seconds
    };
    let seconds = is_told(&stranger.log_in("ann@example.net", PASSWORD).await);
    for _ in 0..5 {
        stranger.submit("/login", "/login/send", &[("email", "eve@example.net")]).await;
    }
    is_told(&stranger.submit("/login", "/login/send", &[("email", "eve@example.net")]).await);
    let form = [("current", "not the password"), ("password", "another one that is long")];
    for _ in 0..5 {
        owner.submit("/account", "/account/password", &form).await;
    }
    is_told(&owner.submit("/account", "/account/password", &form).await);
    house.pass(seconds);
    assert_eq!(stranger.log_in("ann@example.net", PASSWORD).await.status, StatusCode::SEE_OTHER);
    house.instance.stop().await;
}

#[tokio::test]
async fn passwords_that_are_tried_first_are_refused_with_the_reason() {
    let house = House::open().await;
    let mut owner = house.owner().await;
    for (bad, why) in [
        ("short", "12 characters or more"),
        ("password1234", "tried first"),
        ("Summer2025!!", "tried first"),
        ("ann@example.net", "tried first"),
        ("abababababab", "over and over"),
    ] {
        house.pass(60);
        let form = [("current", PASSWORD), ("password", bad)];
        let refused = owner.submit("/account", "/account/password", &form).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(refused.body.contains(why), "{bad}: {}", refused.body);
        assert!(bad.contains('@') || !refused.body.contains(&format!("\"{bad}\"")), "{}", refused.body);
    }
    house.instance.stop().await;
}

#[tokio::test]
async fn an_invitation_is_good_for_as_long_as_who_sent_it_could_send_it() {
    let house = House::open().await;
    let mut owner = house.owner().await;
    let mut ben = house.invited(&mut owner, "ben@example.net", "admin").await;
    let invite = async |by: &mut Visitor, email: &str| {
        let sent = by.submit("/members", "/members", &[("email", email), ("role", "admin")]).await;
        assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.body);
        house.link_to(email, "/invitation?token=").await
    };
    let path = invite(&mut ben, "cora@example.net").await;
    assert_eq!(house.visitor().get(&path).await.status, StatusCode::OK);
    // The newest one counts.
    house.pass(60);
    let query = "/sandbox/messages?recipient=cora@example.net";
    ben.submit("/members", "/members", &[("email", "cora@example.net"), ("role", "viewer")]).await;
    house.api.until(query, |list| list["data"].as_array().unwrap().len() == 2).await;
    let newest = house.link_to("cora@example.net", "/invitation?token=").await;
    assert_eq!(house.visitor().get(&path).await.status, StatusCode::GONE);
    assert!(house.visitor().get(&newest).await.body.contains("a viewer"));
    // An admin changes admins only, so on Ben's page nobody but himself.
    let page = ben.get("/members").await.body;
    let ben_id = page.split("/members/usr_").nth(1).map(|rest| format!("usr_{}", &rest[..26])).unwrap();
    owner.submit("/members", &format!("/members/{ben_id}/role"), &[("role", "member")]).await;
    assert_eq!(house.visitor().get(&newest).await.status, StatusCode::GONE);
    assert!(!owner.get("/members").await.body.contains("cora@example.net"));
    // And a week at the most.
    let path = invite(&mut owner, "dora@example.net").await;
    house.pass(7 * 24 * 3600 - 1);
    assert_eq!(house.visitor().get(&path).await.status, StatusCode::OK);
    house.pass(1);
    assert_eq!(house.visitor().get(&path).await.status, StatusCode::GONE);
    house.instance.stop().await;
}

#[tokio::test]
async fn what_lets_somebody_in_is_good_for_a_time() {
    let house = House::open().await;
    let link = house.instance.first_owner_link.clone().unwrap();
    let path = link.strip_prefix(&house.visitor().base).unwrap().to_owned();
    house.pass(7 * 24 * 3600 - 1);
    assert_eq!(house.visitor().get(&path).await.status, StatusCode::OK);
    house.pass(1);
    assert_eq!(house.visitor().get(&path).await.status, StatusCode::GONE);
    let fresh = house.instance.app.first_owner_link().await.unwrap().unwrap();
    let path = fresh.strip_prefix(&house.visitor().base).unwrap().to_owned();
    let token = path.split_once('=').unwrap().1;
    let mut owner = house.visitor();
    let form = [("token", token), ("name", "Ann"), ("email", "ann@example.net"), ("password", PASSWORD)];
    assert_eq!(owner.submit(&path, "/welcome", &form).await.status, StatusCode::SEE_OTHER);
    // Between the two factors there are ten minutes.
    let key = with_second_factor(&house, &mut owner).await;
    let mut half = house.visitor();
    half.log_in("ann@example.net", PASSWORD).await;
    house.pass(599);
    assert_eq!(half.get("/login/code").await.status, StatusCode::OK);
    house.pass(1);
    assert_eq!(half.clone().get("/login/code").await.to, "/login?next=/login/code");
    let now = code(&key, house.now.load(Ordering::SeqCst));
    let token = half.token("/login").await;
    assert_eq!(half.post("/login/code", &[("_csrf", &token), ("code", &now)]).await.to, "/login");
    // A link, a quarter of an hour.
    house.visitor().submit("/login", "/login/send", &[("email", "ann@example.net")]).await;
    let path = house.link_to("ann@example.net", "/login/link?token=").await;
    house.pass(15 * 60);
    let token = path.split_once('=').unwrap().1;
    let over = house.visitor().submit(&path, "/login/link", &[("token", token)]).await;
    assert_eq!(over.status, StatusCode::GONE);
    house.instance.stop().await;
}

async fn at_the_machine(house: &House, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.arg("owner-link").args(arguments).arg("--data").arg(&house.folder.0).current_dir(&house.folder.0);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
    (output.status.success(), text)
}

/// The path of the link that a command printed.
fn path_of(text: &str) -> String {
    let link = text.lines().next().unwrap();
    format!("/{}", link.splitn(4, '/').nth(3).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_locked_out_gets_in_by_a_link_made_at_the_machine() {
    let house = House::open().await;
    let (is_good, text) = at_the_machine(&house, &[]).await;
    assert!(is_good && path_of(&text).starts_with("/welcome?token="), "{text}");
    assert_eq!(house.visitor().get(&path_of(&text)).await.status, StatusCode::OK);
    let mut owner = house.owner_by(&path_of(&text)).await;
    let (is_good, text) = at_the_machine(&house, &[]).await;
    assert!(!is_good && text.contains("--email"), "{text}");
    let (is_good, text) = at_the_machine(&house, &["--email", "nobody@example.net"]).await;
    assert!(!is_good && text.contains("nobody@example.net"), "{text}");
    with_second_factor(&house, &mut owner).await;

    let (is_good, text) = at_the_machine(&house, &["--email", "Ann@example.net"]).await;
    assert!(is_good && text.contains("for an hour"), "{text}");
    let path = path_of(&text);
    let token = path.split_once('=').unwrap().1.to_owned();
    assert_eq!(lines(&house, "user.reset_link_made").await[0]["actor"]["type"], "system");
    let mut locked_out = house.visitor();
    let page = locked_out.get(&path).await;
    assert!(page.body.contains("ann@example.net") && !page.body.contains("second factor"), "{}", page.body);
    let weak = locked_out.submit(&path, "/reset", &[("token", &*token), ("password", "password1234")]).await;
    assert_eq!(weak.status, StatusCode::UNPROCESSABLE_ENTITY);
    let new = "a new one of many words";
    let done = locked_out.submit(&path, "/reset", &[("token", &*token), ("password", new)]).await;
    assert_eq!((done.status, &*done.to), (StatusCode::SEE_OTHER, "/login"), "{}", done.body);
    is_of(&lines(&house, "user.password_reset").await[0], &done, "127.0.0.1");
    assert!(!owner.is_in().await, "all sessions end");
    assert_eq!(house.visitor().get(&path).await.status, StatusCode::GONE);
    assert_eq!(locked_out.log_in("ann@example.net", new).await.to, "/login/code");

    let wanted = ["--email", "ann@example.net", "--without-second-factor"];
    let path = path_of(&at_the_machine(&house, &wanted).await.1);
    let token = path.split_once('=').unwrap().1.to_owned();
    let mut locked_out = house.visitor();
    assert!(locked_out.get(&path).await.body.contains("second factor is taken away"));
    let form = [("token", &*token), ("password", "and yet another of them")];
    assert_eq!(locked_out.submit(&path, "/reset", &form).await.status, StatusCode::SEE_OTHER);
    assert_eq!(locked_out.log_in("ann@example.net", "and yet another of them").await.to, "/");
    let log = house.api.get("/audit?limit=100").await.to_string();
    assert!(!log.contains(new) && !log.contains(&token));
    house.instance.stop().await;
}
