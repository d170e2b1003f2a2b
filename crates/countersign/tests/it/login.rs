//! People: how they get in, what their role lets them have, and what their forms carry.

use crate::{
    serve::serving,
    support::{Api, Folder, PATIENCE, text},
};
use app::{access::Caller, ports::Clock};
use countersign::{Config, Instance};
use model::Timestamp;
use reqwest::{
    Client, Method, StatusCode,
    header::{self, HeaderMap},
    redirect::Policy,
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};
use web::Needs;

pub const PASSWORD: &str = "correct horse battery";

/// A platform with a clock of its own.
pub struct House {
    pub instance: Instance,
    pub api: Api,
    pub now: Arc<AtomicI64>,
    pub folder: Folder,
}

impl House {
    pub async fn open() -> Self {
        Self::open_with(|_| {}).await
    }

    pub async fn open_with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = Folder::new();
        let mut config = serving(&folder);
        change(&mut config);
        let now = Arc::new(AtomicI64::new(1_750_000_020));
        let read = Arc::clone(&now);
        let clock = Clock::new(move || Timestamp::from_second(read.load(Ordering::SeqCst)).unwrap());
        let instance = Instance::serve_at(&config, clock).await.unwrap();
        let api = Api::new(instance.http, &instance.api_key);
        Self { instance, api, now, folder }
    }

    pub fn pass(&self, seconds: i64) {
        self.now.fetch_add(seconds, Ordering::SeqCst);
    }

    pub fn visitor(&self) -> Visitor {
        self.visitor_from([127, 0, 0, 1])
    }

    /// A visitor with another address.
    pub fn visitor_from(&self, address: [u8; 4]) -> Visitor {
        let http = Client::builder().no_proxy().redirect(Policy::none()).timeout(PATIENCE);
        let http = http.local_address(std::net::IpAddr::from(address)).build().unwrap();
        Visitor { http, base: format!("http://{}", self.instance.http), cookies: BTreeMap::new(), host: None }
    }

    /// The first owner, logged in.
    pub async fn owner(&self) -> Visitor {
        let link = self.instance.first_owner_link.clone().unwrap();
        self.owner_by(link.strip_prefix(&self.visitor().base).unwrap()).await
    }

    /// The first owner by a link with this path.
    pub async fn owner_by(&self, path: &str) -> Visitor {
        let mut visitor = self.visitor();
        let token = path.split_once('=').unwrap().1.to_owned();
        let form =
            [("token", &*token), ("name", "Ann"), ("email", "ann@example.net"), ("password", PASSWORD)];
        let done = visitor.submit(path, "/welcome", &form).await;
        assert_eq!((done.status, done.to.as_str()), (StatusCode::SEE_OTHER, "/"), "{}", done.body);
        visitor
    }

    /// The path of the link in the newest mail to an address.
    pub async fn link_to(&self, address: &str, path: &str) -> String {
        let query = format!("/sandbox/messages?recipient={address}");
        let inbox = self.api.until(&query, |list| list["data"][0].is_object()).await;
        let raw = String::from_utf8(self.api.raw(text(&inbox["data"][0], "id")).await).unwrap();
        // As it was encoded for the way (RFC 2045 §6.7).
        let raw = raw.replace("=\r\n", "").replace("=3D", "=");
        let start = raw.find(path).unwrap_or_else(|| panic!("no {path} in {raw}"));
        raw[start..].split_whitespace().next().unwrap().to_owned()
    }

    /// Somebody who was invited, logged in.
    pub async fn invited(&self, owner: &mut Visitor, email: &str, role: &str) -> Visitor {
        let sent = owner.submit("/members", "/members", &[("email", email), ("role", role)]).await;
        assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.body);
        let path = self.link_to(email, "/invitation?token=").await;
        let mut visitor = self.visitor();
        let token = path.split_once('=').unwrap().1.to_owned();
        let form = [("token", &*token), ("name", "Ben"), ("password", PASSWORD)];
        let done = visitor.submit(&path, "/invitation", &form).await;
        assert_eq!((done.status, done.to.as_str()), (StatusCode::SEE_OTHER, "/"), "{}", done.body);
        visitor
    }
}

/// A browser without a window.
#[derive(Clone)]
pub struct Visitor {
    pub http: Client,
    pub base: String,
    pub cookies: BTreeMap<String, String>,
    /// By which name it asks, where that is not the address.
    pub host: Option<&'static str>,
}

pub struct Page {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub to: String,
    pub body: String,
}

impl Visitor {
    pub async fn ask(&mut self, method: Method, path: &str, body: Option<String>) -> Page {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        request = request.header(header::COOKIE, cookies.join("; "));
        if let Some(host) = self.host {
            request = request.header(header::HOST, host);
        }
        if let Some(body) = body {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        }
        let response = request.send().await.unwrap();
        for set in response.headers().get_all(header::SET_COOKIE) {
            let set = set.to_str().unwrap();
            assert!(set.contains("HttpOnly") && set.contains("SameSite=Lax"), "{set}");
            let (name, value) = set.split(';').next().unwrap().split_once('=').unwrap();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let to = response.headers().get(header::LOCATION).map_or("", |to| to.to_str().unwrap()).to_owned();
        let (status, headers) = (response.status(), response.headers().clone());
        Page { status, headers, to, body: response.text().await.unwrap() }
    }

    pub async fn get(&mut self, path: &str) -> Page {
        self.ask(Method::GET, path, None).await
    }

    /// Sends a form as it is.
    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        let escape =
            |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<Vec<_>>().concat();
        let pairs: Vec<_> =
            fields.iter().map(|(name, value)| format!("{name}={}", value_of(name, value, escape))).collect();
        self.ask(Method::POST, path, Some(pairs.join("&"))).await
    }

    /// The token of the forms of a page.
    pub async fn token(&mut self, page: &str) -> String {
        let found = self.get(page).await;
        field(&found.body, "_csrf").unwrap_or_else(|| panic!("{page} has no form: {}", found.body))
    }

    /// Sends a form of a page.
    pub async fn submit(&mut self, page: &str, path: &str, fields: &[(&str, &str)]) -> Page {
        let token = self.token(page).await;
        self.post(path, &[&[("_csrf", token.as_str())], fields].concat()).await
    }

    pub async fn log_in(&mut self, email: &str, password: &str) -> Page {
        self.submit("/login", "/login", &[("email", email), ("password", password)]).await
    }

    pub async fn is_in(&mut self) -> bool {
        self.get("/").await.status == StatusCode::OK
    }
}

/// The token is made of hexadecimal digits, and looked for as it is.
fn value_of(name: &str, value: &str, escape: impl Fn(&str) -> String) -> String {
    if name == "_csrf" { value.to_owned() } else { escape(value) }
}

/// The value of a hidden field.
pub fn field(page: &str, name: &str) -> Option<String> {
    let rest = page.split(&format!("name=\"{name}\" value=\"")).nth(1)?;
    rest.split('"').next().map(str::to_owned)
}

#[tokio::test]
async fn the_first_owner_comes_by_a_link_that_works_once() {
    let house = House::open().await;
    let mut stranger = house.visitor();
    let found = stranger.get("/domains/dom_01JD0000000000000000000000").await;
    assert_eq!(
        (found.status, &*found.to),
        (StatusCode::SEE_OTHER, "/login?next=/domains/dom_01JD0000000000000000000000")
    );
    assert_eq!(stranger.get("/sandbox/live").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(stranger.get("/welcome?token=nonsense").await.status, StatusCode::GONE);
    let link = house.instance.first_owner_link.clone().unwrap();
    let path = link.strip_prefix(&stranger.base).unwrap();
    // Looking at it uses nothing up, and a password that is too short neither.
    let token = path.split_once('=').unwrap().1;
    let short = [("token", token), ("name", "Ann"), ("email", "ann@example.net"), ("password", "short")];
    let refused = stranger.submit(path, "/welcome", &short).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.body.contains("12 characters or more") && !refused.body.contains("value=\"short\""));
    let mut owner = house.owner().await;
    let page = owner.get("/").await;
    assert!(page.body.contains("Ann") && page.body.contains("Log out"), "{}", page.body);
    assert_eq!(stranger.get(path).await.status, StatusCode::GONE);
    let again = [("token", token), ("name", "Eve"), ("email", "eve@example.net"), ("password", PASSWORD)];
    let refused = stranger.submit("/login", "/welcome", &again).await;
    assert_eq!(refused.status, StatusCode::GONE);
    assert!(house.instance.app.first_owner_link().await.unwrap().is_none());
    // Out and in again.
    owner.submit("/", "/logout", &[]).await;
    assert!(!owner.is_in().await);
    let done = owner
        .submit(
            "/login?next=/messages",
            "/login",
            &[("email", "Ann@Example.net"), ("password", PASSWORD), ("next", "/messages")],
        )
        .await;
    assert_eq!((done.status, &*done.to), (StatusCode::SEE_OTHER, "/messages"));
    let mut elsewhere = house.visitor();
    let done = elsewhere
        .submit(
            "/login",
            "/login",
            &[("email", "ann@example.net"), ("password", PASSWORD), ("next", "//evil.example")],
        )
        .await;
    assert_eq!(&*done.to, "/");
    house.instance.stop().await;
}

#[tokio::test]
async fn a_wrong_password_says_nothing_and_is_limited() {
    let house = House::open().await;
    house.owner().await;
    let mut stranger = house.visitor();
    let wrong = stranger.log_in("ann@example.net", "not the password").await;
    let nobody = stranger.log_in("nobody@example.net", "not the password").await;
    assert_eq!(
        (wrong.status, nobody.status),
        (StatusCode::UNPROCESSABLE_ENTITY, StatusCode::UNPROCESSABLE_ENTITY)
    );
    let same = |page: &Page| page.body.replace("ann@", "x@").replace("nobody@", "x@");
    assert_eq!(same(&wrong), same(&nobody), "who is here is not told");
    assert!(!wrong.body.contains("not the password"));
    for _ in 0..4 {
        stranger.log_in("ann@example.net", "not the password").await;
    }
    let limited = stranger.log_in("ann@example.net", PASSWORD).await;
    assert!(limited.body.contains("tries to log in a minute"), "{}", limited.body);
    assert!(!stranger.is_in().await);
    house.pass(60);
    assert_eq!(stranger.log_in("ann@example.net", PASSWORD).await.status, StatusCode::SEE_OTHER);
    house.instance.stop().await;
}

#[tokio::test]
async fn a_stranger_s_tries_keep_nobody_out() {
    let house = House::open().await;
    let mut owner = house.owner().await;
    owner.submit("/", "/logout", &[]).await;
    let mut stranger = house.visitor_from([127, 0, 0, 2]);
    for _ in 0..5 {
        let wrong = stranger.log_in("ann@example.net", "not the password").await;
        assert!(wrong.body.contains("do not belong together"), "{}", wrong.body);
    }
    let limited = stranger.log_in("ann@example.net", "not the password").await;
    assert!(limited.body.contains("tries to log in a minute"), "{}", limited.body);
    assert_eq!(owner.log_in("ann@example.net", PASSWORD).await.status, StatusCode::SEE_OTHER);
    // All of them together have a bound too: after 6 and 54 more (each client has 5 of them), nobody tries this account.
    for client in 3..14 {
        let mut stranger = house.visitor_from([127, 0, 0, client]);
        for _ in 0..5 {
            stranger.log_in("ann@example.net", "not the password").await;
        }
    }
    let limited = house.visitor_from([127, 0, 0, 99]).log_in("ann@example.net", PASSWORD).await;
    assert!(limited.body.contains("tries to log in to this account a minute"), "{}", limited.body);
    // Who is in changes the password all the same.
    let form = [("current", PASSWORD), ("password", "another one that is long")];
    assert_eq!(owner.submit("/account", "/account/password", &form).await.status, StatusCode::SEE_OTHER);
    house.instance.stop().await;
}

#[tokio::test]
async fn a_link_that_was_just_sent_is_not_pushed_out() {
    let house = House::open().await;
    house.owner().await;
    let query = "/sandbox/messages?recipient=ann@example.net&limit=50";
    let count = async || house.api.get(query).await["data"].as_array().unwrap().len();
    let ask = async || {
        let sent = house.visitor().submit("/login", "/login/send", &[("email", "ann@example.net")]).await;
        assert_eq!(sent.status, StatusCode::OK);
    };
    let arrived = async |n: usize| {
        drop(house.api.until(query, |list| list["data"].as_array().unwrap().len() >= n).await);
    };
    ask().await;
    arrived(1).await;
    let path = house.link_to("ann@example.net", "/login/link?token=").await;
    house.pass(59);
    for _ in 0..3 {
        ask().await;
    }
    for sent in 2..=10 {
        house.pass(60);
        ask().await;
        arrived(sent).await;
        if sent == 3 {
            let token = path.split_once('=').unwrap().1;
            let mut visitor = house.visitor();
            let done = visitor.submit(&path, "/login/link", &[("token", token)]).await;
            assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.body);
        }
    }
    house.pass(60);
    ask().await;
    house.pass(24 * 3600);
    ask().await;
    arrived(11).await;
    assert_eq!(count().await, 11, "one a minute, and ten a day");
    house.instance.stop().await;
}

#[tokio::test]
async fn a_link_by_mail_works_once() {
    let house = House::open().await;
    house.owner().await;
    let mut visitor = house.visitor();
    let sent = visitor.submit("/login", "/login/send", &[("email", "ann@example.net")]).await;
    let nobody = visitor.submit("/login", "/login/send", &[("email", "nobody@example.net")]).await;
    assert_eq!((sent.status, nobody.status), (StatusCode::OK, StatusCode::OK));
    assert_eq!(sent.body.replace("ann@", "nobody@"), nobody.body, "who is here is not told");
    let path = house.link_to("ann@example.net", "/login/link?token=").await;
    // What reads mail before people do opens links.
    visitor.get(&path).await;
    assert!(!visitor.is_in().await);
    let token = path.split_once('=').unwrap().1;
    let mut other = house.visitor();
    let done = visitor.submit(&path, "/login/link", &[("token", token)]).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER);
    assert!(visitor.is_in().await);
    assert_eq!(other.submit(&path, "/login/link", &[("token", token)]).await.status, StatusCode::GONE);
    // One that is too old.
    house.pass(60);
    other.submit("/login", "/login/send", &[("email", "ann@example.net")]).await;
    let query = "/sandbox/messages?recipient=ann@example.net";
    house.api.until(query, |list| list["data"].as_array().unwrap().len() == 2).await;
    let late = house.link_to("ann@example.net", "/login/link?token=").await;
    assert_ne!(late, path);
    house.pass(15 * 60);
    let token = late.split_once('=').unwrap().1;
    assert_eq!(other.submit(&late, "/login/link", &[("token", token)]).await.status, StatusCode::GONE);
    house.instance.stop().await;
}

#[tokio::test]
async fn an_invitation_makes_a_member_whose_role_counts_at_once() {
    let house = House::open().await;
    let mut owner = house.owner().await;
    let mut ben = house.invited(&mut owner, "ben@example.net", "admin").await;
    let members = owner.get("/members").await.body;
    let id = members.split("/members/usr_").skip(1).map(|rest| format!("usr_{}", &rest[..26]));
    let ids: std::collections::BTreeSet<String> = id.collect();
    assert_eq!(ids.len(), 2, "{members}");
    let (ann_id, ben_id) = {
        let by_page = ben.get("/members").await.body;
        // An admin changes no owner.
        let own: Vec<_> =
            ids.iter().filter(|id| by_page.contains(&format!("/members/{id}/remove"))).collect();
        assert_eq!(own.len(), 1, "{by_page}");
        let ben_id = own[0].clone();
        (ids.iter().find(|id| **id != ben_id).unwrap().clone(), ben_id)
    };
    let refused = ben.submit("/members", &format!("/members/{ann_id}/role"), &[("role", "viewer")]).await;
    assert!(refused.body.contains("nly an owner makes"), "{}", refused.body);
    let refused =
        ben.submit("/members", "/members", &[("email", "eve@example.net"), ("role", "owner")]).await;
    assert!(refused.body.contains("nly an owner makes"), "{}", refused.body);
    // The only owner stays one.
    let refused = owner.submit("/members", &format!("/members/{ann_id}/role"), &[("role", "admin")]).await;
    assert!(refused.body.contains("the only owner"), "{}", refused.body);
    let refused = owner.submit("/members", &format!("/members/{ann_id}/remove"), &[]).await;
    assert!(refused.body.contains("the only owner"), "{}", refused.body);
    // A role counts with the next request.
    owner.submit("/members", &format!("/members/{ben_id}/role"), &[("role", "viewer")]).await;
    assert_eq!(ben.get("/members").await.status, StatusCode::FORBIDDEN);
    let page = ben.get("/").await;
    assert!(page.status.is_success() && !page.body.contains("Add a sender domain"), "{}", page.body);
    owner.submit("/members", &format!("/members/{ben_id}/remove"), &[]).await;
    assert!(!ben.is_in().await);
    // What is taken back works no more.
    owner.submit("/members", "/members", &[("email", "cora@example.net"), ("role", "member")]).await;
    let path = house.link_to("cora@example.net", "/invitation?token=").await;
    owner.submit("/members", "/members/withdraw", &[("email", "cora@example.net")]).await;
    assert_eq!(house.visitor().get(&path).await.status, StatusCode::GONE);
    house.instance.stop().await;
}

#[tokio::test]
async fn sessions_end_and_secrets_change() {
    let house = House::open().await;
    let mut owner = house.owner().await;
    let first = owner.cookies["countersign"].clone();
    // What a page does by itself keeps no session alive.
    for _ in 0..7 {
        house.pass(2 * 3600);
        assert!([200, 401].contains(&owner.get("/sandbox/live").await.status.as_u16()));
    }
    assert!(!owner.is_in().await, "not used for half a day");
    owner.log_in("ann@example.net", PASSWORD).await;
    let second = owner.cookies["countersign"].clone();
    assert_ne!(first, second);
    for _ in 0..59 {
        house.pass(11 * 3600);
        assert!(owner.is_in().await, "used");
    }
    for _ in 0..7 {
        house.pass(11 * 3600);
        owner.is_in().await;
    }
    assert!(!owner.is_in().await, "after a month, however it is used");
    // Another password ends the others, and the own one goes on with a new secret.
    let mut here = house.visitor();
    let mut there = house.visitor();
    here.log_in("ann@example.net", PASSWORD).await;
    there.log_in("ann@example.net", PASSWORD).await;
    let before = here.cookies["countersign"].clone();
    let wrong = [("current", "not the password"), ("password", "another one that is long")];
    let refused = here.submit("/account", "/account/password", &wrong).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let right = [("current", PASSWORD), ("password", "another one that is long")];
    assert_eq!(here.submit("/account", "/account/password", &right).await.status, StatusCode::SEE_OTHER);
    assert!(here.is_in().await && !there.is_in().await);
    assert_ne!(before, here.cookies["countersign"]);
    let mut thief = house.visitor();
    thief.cookies.insert("countersign".into(), before);
    assert!(!thief.is_in().await);
    house.pass(60);
    assert_eq!(there.log_in("ann@example.net", PASSWORD).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    house.instance.stop().await;
}

/// The code that an app shows.
pub fn code(key: &str, now: i64) -> String {
    let bits = key.bytes().map(|letter| {
        let value = if letter.is_ascii_digit() { letter - b'2' + 26 } else { letter - b'A' };
        format!("{value:05b}")
    });
    let bits = bits.collect::<Vec<_>>().concat();
    let secret: Vec<u8> = bits
        .as_bytes()
        .chunks_exact(8)
        .map(|octet| u8::from_str_radix(std::str::from_utf8(octet).unwrap(), 2).unwrap())
        .collect();
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &secret);
    let mac = aws_lc_rs::hmac::sign(&key, &(now / 30).to_be_bytes());
    let mac = mac.as_ref();
    let at = usize::from(mac[19] & 15);
    let word = u32::from_be_bytes(mac[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", word % 1_000_000)
}

#[tokio::test]
async fn a_second_factor_is_asked_for_and_its_codes_work_once() {
    let house = House::open().await;
    let mut owner = house.owner().await;
    let now = || house.now.load(Ordering::SeqCst);
    let page = owner.get("/account/second-factor").await.body;
    let (sealed, key) = (field(&page, "sealed").unwrap(), field(&page, "shown").unwrap());
    // Who finds the browser open does not know the password.
    let found_open = [("sealed", &*sealed), ("shown", &*key), ("code", &*code(&key, now()))];
    let refused = owner.submit("/account", "/account/second-factor", &found_open).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.body.contains("not your password") && refused.body.contains(&key), "{}", refused.body);
    let wrong = [("sealed", &*sealed), ("shown", &*key), ("current", PASSWORD), ("code", "000000")];
    let refused = owner.submit("/account", "/account/second-factor", &wrong).await;
    assert!(refused.status == StatusCode::UNPROCESSABLE_ENTITY && refused.body.contains(&key));
    let right = code(&key, now());
    let form = [("sealed", &*sealed), ("current", PASSWORD), ("code", &*right)];
    let set = owner.submit("/account", "/account/second-factor", &form).await;
    let codes: Vec<&str> =
        set.body.split("<li>").skip(1).filter_map(|rest| rest.split("</li>").next()).collect();
    assert_eq!(codes.len(), 10, "{}", set.body);

    let mut other = house.visitor();
    let half = other.log_in("ann@example.net", PASSWORD).await;
    assert_eq!(&*half.to, "/login/code");
    let half_secret = other.cookies["countersign"].clone();
    for path in ["/", "/members", "/account", "/messages"] {
        assert_eq!(other.get(path).await.to, "/login/code", "{path}");
    }
    let refused = other.submit("/login/code", "/login/code", &[("code", &right)]).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "it was used to set it up");
    house.pass(60);
    let next = code(&key, now());
    assert_eq!(
        other.submit("/login/code", "/login/code", &[("code", &next)]).await.status,
        StatusCode::SEE_OTHER
    );
    assert!(other.is_in().await);
    assert_ne!(half_secret, other.cookies["countersign"], "who gets more rights gets a new secret");

    let mut third = house.visitor();
    third.log_in("ann@example.net", PASSWORD).await;
    assert_eq!(
        third.submit("/login/code", "/login/code", &[("code", &next)]).await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    assert_eq!(
        third.submit("/login/code", "/login/code", &[("code", codes[0])]).await.status,
        StatusCode::SEE_OTHER
    );
    let mut fourth = house.visitor();
    fourth.log_in("ann@example.net", PASSWORD).await;
    assert_eq!(
        fourth.submit("/login/code", "/login/code", &[("code", codes[0])]).await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    // A link by mail is the first factor only.
    house.pass(60);
    fourth.submit("/login/code", "/logout", &[]).await;
    fourth.submit("/login", "/login/send", &[("email", "ann@example.net")]).await;
    let path = house.link_to("ann@example.net", "/login/link?token=").await;
    let token = path.split_once('=').unwrap().1;
    assert_eq!(fourth.submit(&path, "/login/link", &[("token", token)]).await.to, "/login/code");
    let refused = third.submit("/account", "/account/second-factor/remove", &[("code", "000000")]).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let removed = third.submit("/account", "/account/second-factor/remove", &[("code", codes[1])]).await;
    assert_eq!(removed.status, StatusCode::SEE_OTHER);
    assert_eq!(house.visitor().log_in("ann@example.net", PASSWORD).await.to, "/");
    house.instance.stop().await;
}

/// A path of this route that names nothing.
fn example(path: &str) -> String {
    let id = "01JD0000000000000000000000";
    let prefix = if path.starts_with("/domains") {
        "dom"
    } else if path.starts_with("/messages") {
        "msg"
    } else if path.starts_with("/members") {
        "usr"
    } else if path.starts_with("/keys") {
        "key"
    } else if path.starts_with("/webhooks") {
        "whk"
    } else {
        "sbx"
    };
    path.replace("{id}", &format!("{prefix}_{id}"))
        .replace("{delivery}", &format!("whd_{id}"))
        .replace("{code}", "spf_missing")
}

#[tokio::test]
async fn every_page_wants_its_role() {
    let house = House::open().await;
    let mut owner = house.owner().await;
    let mut people = vec![];
    for role in ["viewer", "member", "admin"] {
        house.pass(60);
        people.push((role, house.invited(&mut owner, &format!("{role}@example.net"), role).await));
    }
    people.push(("owner", owner));
    let roles = ["viewer", "member", "admin", "owner"];
    let mut looked_at = 0;
    for route in web::routes() {
        let path = example(route.path);
        let mut stranger = house.visitor();
        let token = stranger.token("/login").await;
        let as_stranger = match route.method {
            Method::POST => stranger.post(&path, &[("_csrf", &token)]).await,
            _ => stranger.get(&path).await,
        };
        let turned_away = as_stranger.to.starts_with("/login")
            || (path.ends_with("/live") && as_stranger.status == StatusCode::UNAUTHORIZED);
        let wants_login = matches!(route.needs, Needs::Session | Needs::Role(_));
        assert_eq!(turned_away, wants_login, "{} {path}: {}", route.method, as_stranger.status);
        let Needs::Role(needed) = route.needs else { continue };
        for (role, person) in &people {
            let mut person = person.clone();
            let token = person.token("/account").await;
            let answer = match route.method {
                Method::POST => person.post(&path, &[("_csrf", &token)]).await,
                _ => person.get(&path).await,
            };
            let may = roles.iter().position(|one| one == role)
                >= roles.iter().position(|one| *one == needed.as_str());
            assert_eq!(
                answer.status != StatusCode::FORBIDDEN,
                may,
                "{role}: {} {path}: {}",
                route.method,
                answer.status
            );
            assert!(!answer.status.is_server_error(), "{role}: {} {path}: {}", route.method, answer.body);
        }
        looked_at += 1;
    }
    assert!(looked_at >= 25, "{looked_at} routes");
    house.instance.stop().await;
}

#[tokio::test]
async fn every_form_wants_its_token() {
    let house = House::open().await;
    let mut owner = house.owner().await;
    let other = house.visitor().token("/login").await;
    let mut looked_at = 0;
    for route in web::routes() {
        if route.method != Method::POST || route.needs == Needs::Nothing {
            continue;
        }
        let path = example(route.path);
        // With the cookies of who is logged in: what a page of a stranger would send.
        for token in ["", "0".repeat(32).as_str(), &other] {
            let answer = owner.post(&path, &[("_csrf", token), ("domain", "mail.acme.test")]).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path} with {token}");
            assert!(answer.body.contains("not valid any more"), "{path}: {}", answer.body);
        }
        let answer = owner.post(&path, &[("domain", "mail.acme.test")]).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path} without");
        looked_at += 1;
    }
    assert!(looked_at >= 18, "{looked_at} forms");
    assert!(owner.is_in().await, "nobody was logged out by it");
    assert_eq!(house.api.get("/domains").await["data"], serde_json::json!([]));
    // And with it, it goes through.
    let added = owner.submit("/", "/", &[("domain", "mail.acme.test"), ("profile", "two-txt")]).await;
    assert!(added.to.starts_with("/domains/dom_"), "{}", added.body);
    let page = owner.get(&added.to).await;
    assert!(page.body.contains("_csrf"), "{}", page.body);
    house.instance.stop().await;
}

#[tokio::test]
async fn organisations_see_nothing_of_each_other() {
    let house = House::open().await;
    let mut owner = house.owner().await;
    let app = &house.instance.app;
    let user = app.logged_in(&owner.cookies["countersign"], true).await.unwrap().unwrap();
    let other = app.add_organisation(&user.caller(), "The second").await.unwrap();
    owner.submit("/", "/", &[("domain", "mail.acme.test"), ("profile", "two-txt")]).await;
    assert!(owner.get("/").await.body.contains("mail.acme.test"));
    let before = owner.cookies["countersign"].clone();
    let form = [("organisation", &*other.to_string())];
    assert_eq!(owner.submit("/account", "/account/organisation", &form).await.status, StatusCode::SEE_OTHER);
    assert_ne!(owner.cookies["countersign"], before);
    let page = owner.get("/").await.body;
    assert!(page.contains("The second") && !page.contains("mail.acme.test"), "{page}");
    // Who does not run the platform makes none.
    let user = app.logged_in(&owner.cookies["countersign"], true).await.unwrap().unwrap();
    assert!(app.add_organisation(&user.caller(), "The third").await.is_err());
    let listed = app.domains(&Caller { ..user.caller() }, store_filter(), None, 10).await.unwrap();
    assert!(
        listed.views.iter().all(|view| view.domain.name.as_str().starts_with("sandbox-")),
        "its own alone"
    );
    house.instance.stop().await;
}

fn store_filter() -> app::store::DomainFilter {
    app::store::DomainFilter::default()
}
