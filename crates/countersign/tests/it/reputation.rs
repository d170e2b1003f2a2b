//! What became of mail, by domain and tenant: a list of addresses that do not exist stops the domain that writes to it, and
//! nobody else.

use crate::{
    client::Terminal,
    lifecycle::Later,
    pages::client,
    pages_keys::Plain,
    serve::serving,
    support::{Api, Folder, Platform, problem, text},
};
use countersign::{Config, Instance};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use store::{Pause, PauseCause};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

/// How a relay is meanwhile.
#[derive(Debug, Default)]
struct Mood {
    /// It takes no mail from us.
    refuses_us: AtomicBool,
    /// It takes that which it put off.
    takes_later: AtomicBool,
}

/// A server that takes mail, but for `gone…@` of which it says that there is nobody, `policy@` that it refuses, `content@` of
/// which it refuses the message, and `later@` that it puts off.
async fn relay(mood: Arc<Mood>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(session(stream, Arc::clone(&mood)));
        }
    });
    address
}

async fn session(stream: TcpStream, mood: Arc<Mood>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let (mut in_message, mut is_good) = (false, true);
    stream.write_all(b"220 relay\r\n").await?;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let answer: &[u8] = match line.trim_end() {
            "." if in_message => {
                in_message = false;
                if is_good { b"250 taken\r\n" } else { b"550 5.1.1 no such words\r\n" }
            }
            _ if in_message => continue,
            "DATA" => {
                in_message = true;
                b"354 go ahead\r\n"
            }
            "QUIT" => b"221 bye\r\n",
            said if said.starts_with("MAIL") && mood.refuses_us.load(Ordering::Relaxed) => {
                b"550 not from you\r\n"
            }
            said if said.starts_with("RCPT TO:<gone") => b"550 5.1.1 there is nobody of that name\r\n",
            said if said.starts_with("RCPT TO:<later") && !mood.takes_later.load(Ordering::Relaxed) => {
                b"451 4.7.1 later\r\n"
            }
            said if said.starts_with("RCPT TO:<policy") => b"550 5.7.1 not from you\r\n",
            said => {
                is_good = !said.starts_with("RCPT TO:<content");
                b"250 ok\r\n"
            }
        };
        stream.write_all(answer).await?;
    }
}

async fn verified(world: &Platform, api: &Api, name: &str, tenant: &str) -> Value {
    let body = json!({"domain": name, "profile": "two-txt"});
    let request = api.request(Method::POST, "/domains").header("X-Countersign-Tenant-Ref", tenant);
    let domain: Value = request.json(&body).send().await.unwrap().json().await.unwrap();
    let zone = world.api.zone(name).await;
    world.api.publish_all(&zone, &domain).await;
    let path = format!("/domains/{}", text(&domain, "id"));
    api.post(&format!("{path}/verify"), &json!({})).await;
    api.until(&path, |domain| domain["status"] == "verified").await
}

/// A message to so many who are not there and so many who are.
fn message(from: &str, gone: usize, there: usize) -> Value {
    let gone = (0..gone).map(|number| format!("gone{number}@there.example"));
    let there = (0..there).map(|number| format!("fine{number}@there.example"));
    let to: Vec<String> = gone.chain(there).collect();
    json!({"from": format!("me@{from}"), "to": to, "subject": "Hello", "text": "Hi."})
}

/// A platform that sends over this relay.
fn over(relay: SocketAddr, resolver: SocketAddr, config: Config) -> Config {
    Config {
        smtp_relay: relay.to_string(),
        smtp_relay_tls: "none".into(),
        sender_addresses: vec!["198.51.100.7".parse().unwrap()],
        resolvers: vec![resolver.to_string()],
        ..config
    }
}

/// What the platform publishes in its own zone.
async fn own_zone(world: &Platform) {
    let own = world.api.zone("send.serve.test").await;
    world.api.publish(&own, "spf", "TXT", "v=spf1 ip4:198.51.100.7 -all", None).await;
}

/// The same as `serve` runs it, with a clock of the test's own.
async fn later(world: &Platform, mood: &Arc<Mood>) -> Later {
    let (relay, resolver) = (relay(Arc::clone(mood)).await, world.instance.dns);
    own_zone(world).await;
    Later::serve(|config| {
        let folder = Folder::new();
        let like = serving(&folder);
        over(relay, resolver, Config { data: config.data, ..like })
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_writes_to_a_bad_list_is_paused_and_nobody_else() {
    let world = Platform::start().await;
    let folder = Folder::new();
    let mood = Arc::new(Mood::default());
    let (relay, resolver) = (relay(Arc::clone(&mood)).await, world.instance.dns);
    let instance = Instance::serve(&over(relay, resolver, serving(&folder))).await.unwrap();
    let api = Api::new(instance.http, &instance.api_key);
    own_zone(&world).await;
    let bad = verified(&world, &api, "bad.test", "cust_bad").await;
    let good = verified(&world, &api, "good.test", "cust_good").await;
    let of = |domain: &Value| format!("/domains/{}/reputation", text(domain, "id"));
    let of_tenant = |domain: &Value| format!("/tenants/{}/reputation", text(domain, "tenant_id"));
    let fresh = api.get(&of(&bad)).await;
    assert_eq!((text(&fresh, "state"), &fresh["bounce_rate"]), ("good", &Value::Null));

    api.post("/emails", &message("bad.test", 30, 20)).await;
    api.post("/emails", &message("good.test", 1, 40)).await;
    let ended = |count: u64| {
        move |reputation: &Value| {
            let counted = &reputation["counted"];
            ["delivered", "bounced", "refused"].iter().filter_map(|what| counted[*what].as_u64()).sum::<u64>()
                == count
        }
    };
    let at_risk = api.until(&of(&bad), ended(50)).await;
    assert_eq!((text(&at_risk, "state"), &at_risk["bounce_rate"]), ("at_risk", &json!(0.6)));
    assert_eq!(text(&at_risk, "reason"), "30 of 50 recipients in 7 days do not exist");
    // It is judged when one comes back.
    api.post("/emails", &message("bad.test", 50, 0)).await;
    let paused = api.until(&of(&bad), |reputation| reputation["state"] == "paused").await;
    assert!(paused["paused_at"].is_string(), "{paused:#}");

    // Refused for the same reason that the readiness has, and told.
    let (status, refused) = api.refused("/emails", &message("bad.test", 0, 1)).await;
    assert_eq!((status, text(&refused, "code")), (StatusCode::FORBIDDEN, "SENDING_PAUSED"));
    let ready = api.get(&format!("/domains/{}/readiness", text(&bad, "id"))).await;
    assert_eq!(
        (&ready["can_send"], &ready["obstacles"][0]["code"]),
        (&json!(false), &json!("SENDING_PAUSED"))
    );
    let events = api.until("/events?types=domain.paused", |list| list["data"][0].is_object()).await;
    assert_eq!(events["data"][0]["subject"], bad["id"]);
    // The other tenant is as it was.
    let settled = api.until(&of_tenant(&good), ended(41)).await;
    assert_eq!((text(&settled, "state"), &settled["paused_domains"]), ("good", &json!(0)));
    api.post("/emails", &message("good.test", 0, 1)).await;

    let terminal = Terminal {
        folder: Folder::new(),
        url: format!("http://{}", instance.http),
        key: Some(instance.api_key.clone()),
    };
    let said = terminal.run(&["domains", "reputation", "bad.test"]).await;
    assert!(said.code == Some(1) && said.out.contains("do not exist"), "{}{}", said.out, said.err);
    let said = terminal.run(&["tenants", "reputation", "cust_bad"]).await;
    assert!(said.code == Some(1) && said.out.contains("Paused domains"), "{}{}", said.out, said.err);
    assert!(terminal.good(&["tenants", "reputation", "cust_good"]).await.contains("DELIVERED"));
    waiting_ends_in_time(&terminal).await;
    // Each tenant sees its own, and none resumes itself.
    let key = async |tenant: &Value, scopes: Value| {
        let body = json!({"name": "k", "scopes": scopes, "tenant_id": tenant["tenant_id"]});
        Api::new(instance.http, text(&api.post("/keys", &body).await, "secret"))
    };
    let theirs = key(&good, json!(["admin"])).await;
    for (path, code) in [(of(&bad), "DOMAIN_TENANT_MISMATCH"), (of_tenant(&bad), "TENANT_NOT_FOUND")] {
        let (_, refused) = problem(theirs.request(Method::GET, &path).send().await.unwrap()).await;
        assert_eq!(text(&refused, "code"), code);
    }
    let own = key(&bad, json!(["admin"])).await;
    assert_eq!(text(&own.get(&of_tenant(&bad)).await, "state"), "paused");
    let resume = [
        format!("/domains/{}/resume", text(&bad, "id")),
        format!("/tenants/{}/resume", text(&bad, "tenant_id")),
    ];
    for path in &resume {
        let (status, refused) = own.refused(path, &json!({})).await;
        assert_eq!((status, text(&refused, "code")), (StatusCode::FORBIDDEN, "KEY_IS_LIMITED"));
    }
    let resumed = api.post(&resume[1], &json!({})).await;
    assert_eq!((text(&resumed, "state"), &resumed["counted"]["bounced"]), ("good", &json!(0)));
    assert!(resumed["days"][0]["bounced"].as_u64() >= Some(30), "{resumed:#}");
    api.post("/emails", &message("bad.test", 0, 1)).await;

    what_is_no_bounce(&api, &good, &of(&good), &mood).await;
    a_complaint_is_noted_once(&api, &good, &of(&good)).await;
    instance.stop().await;
    world.stop().await;
}

/// Nothing is certain of a message that waits.
async fn waiting_ends_in_time(terminal: &Terminal) {
    let send = ["emails", "send", "--from", "me@good.test", "--to", "later@there.example", "--subject", "x"];
    let wait = [&send[..], &["--text", "x", "--watch", "--deadline", "1s"]].concat();
    let said = terminal.run(&wait).await;
    assert!(
        said.code == Some(3) && said.out.contains("deferred"),
        "{:?} {}{}",
        said.code,
        said.out,
        said.err
    );
}

/// A policy and a message that is not taken are refusals; what is said of us is nothing of theirs.
async fn what_is_no_bounce(api: &Api, good: &Value, path: &str, mood: &Mood) {
    let bounced = |reputation: &Value| reputation["counted"]["bounced"].clone();
    let before = bounced(&api.get(path).await);
    let send = async |recipient: &str| {
        let mut mail = message(text(good, "domain"), 0, 0);
        mail["to"] = json!([recipient]);
        let sent = api.post("/emails", &mail).await;
        api.until(&format!("/emails/{}", text(&sent, "id")), |mail| {
            mail["recipients"][0]["status"] == "failed"
        })
        .await
    };
    send("policy@there.example").await;
    send("content@there.example").await;
    let after = api.until(path, |reputation| reputation["counted"]["refused"] == 2).await;
    assert_eq!(bounced(&after), before);
    mood.refuses_us.store(true, Ordering::Relaxed);
    let refused = send("fine@there.example").await;
    assert_eq!(refused["recipients"][0]["attempts"][0]["code"], 550);
    mood.refuses_us.store(false, Ordering::Relaxed);
    assert_eq!(api.get(path).await["counted"], after["counted"]);
}

async fn a_complaint_is_noted_once(api: &Api, good: &Value, path: &str) {
    let sent = api.post("/emails", &message(text(good, "domain"), 1, 1)).await;
    let sent = format!("/emails/{}", text(&sent, "id"));
    let is_over = |recipient: &Value| recipient["status"] == "delivered" || recipient["status"] == "failed";
    api.until(&sent, |mail| mail["recipients"].as_array().unwrap().iter().all(is_over)).await;
    let complaints = format!("{sent}/complaints");
    let complain = async |recipient: &str| {
        let body = json!({ "recipient": recipient });
        api.request(Method::POST, &complaints).json(&body).send().await.unwrap()
    };
    for recipient in ["gone0@there.example", "nobody@there.example", "no address"] {
        let (status, refused) = problem(complain(recipient).await).await;
        assert_eq!((status.as_u16(), text(&refused["errors"][0], "field")), (422, "recipient"));
    }
    for status in [StatusCode::CREATED, StatusCode::OK] {
        assert_eq!(complain("Fine0@there.example").await.status(), status);
    }
    assert_eq!(api.get(path).await["counted"]["complained"], 1);
    let (_, refused) = api.refused("/emails", &message(text(good, "domain"), 0, 1)).await;
    assert_eq!(text(&refused, "code"), "RECIPIENT_SUPPRESSED");
    let suppressed = api.get("/suppressions?address=fine0%40there.example").await;
    assert_eq!(suppressed["data"][0]["tenant_id"], good["tenant_id"]);
    let told = api.until("/events?types=email.complained", |list| list["data"][0].is_object()).await;
    assert_eq!(told["data"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_queue_of_a_domain_that_sends_nothing_waits() {
    let world = Platform::start().await;
    let mood = Arc::new(Mood::default());
    let platform = later(&world, &mood).await;
    let api = &platform.api;
    let domain = verified(&world, api, "mail.test", "cust_1").await;
    let path = format!("/domains/{}", text(&domain, "id"));
    let mut mail = message("mail.test", 0, 0);
    mail["to"] = json!(["later@there.example"]);
    let sent = api.post("/emails", &mail).await;
    let sent = format!("/emails/{}", text(&sent, "id"));
    let deferred = api.until(&sent, |mail| mail["recipients"][0]["status"] == "deferred").await;
    let next = &deferred["recipients"][0]["next_attempt_at"];
    api.post(&format!("{path}/disable"), &json!({})).await;
    // Longer than anything is tried.
    let mut seen = next.clone();
    for _ in 0..8 {
        platform.minutes.fetch_add(24 * 60, Ordering::Relaxed);
        platform.instance.app.wake.deliver.notify_one();
        let held = api.until(&sent, |mail| mail["recipients"][0]["next_attempt_at"] != seen).await;
        assert_eq!(text(&held["recipients"][0], "status"), "deferred", "{held:#}");
        assert_eq!(held["recipients"][0]["attempts"].as_array().unwrap().len(), 1, "{held:#}");
        seen = held["recipients"][0]["next_attempt_at"].clone();
    }
    let told = api.get("/events?types=email.deferred,email.bounced").await;
    assert_eq!(told["data"].as_array().unwrap().len(), 1, "{told:#}");
    // The time stands still: it does not wait for the next look.
    mood.takes_later.store(true, Ordering::Relaxed);
    api.post(&format!("{path}/enable"), &json!({})).await;
    let delivered = api.until(&sent, |mail| mail["recipients"][0]["status"] == "delivered").await;
    assert_eq!(delivered["recipients"][0]["attempts"].as_array().unwrap().len(), 2);
    platform.instance.stop().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_is_resumed_sends_from_all_its_domains() {
    let world = Platform::start().await;
    let platform = later(&world, &Arc::default()).await;
    let api = &platform.api;
    let one = verified(&world, api, "one.test", "cust_1").await;
    let two = verified(&world, api, "two.test", "cust_1").await;
    let of = |domain: &Value| format!("/domains/{}/reputation", text(domain, "id"));
    let tenant = format!("/tenants/{}", text(&one, "tenant_id"));
    let of_tenant = format!("{tenant}/reputation");
    let paused = |reputation: &Value| reputation["state"] == "paused";
    // Neither has enough of its own to be paused for it.
    for name in ["one.test", "two.test"] {
        api.post("/emails", &message(name, 14, 34)).await;
    }
    api.until(&of_tenant, |of| of["counted"]["delivered"] == 68 && of["counted"]["bounced"] == 28).await;
    api.post("/emails", &message("one.test", 4, 0)).await;
    let first = api.until(&of(&one), paused).await;
    assert_eq!(text(&first, "pause_cause"), "tenant");
    api.until(&of(&two), paused).await;
    let terminal = Terminal {
        folder: Folder::new(),
        url: format!("http://{}", platform.instance.http),
        key: Some(platform.instance.api_key.clone()),
    };
    let why = terminal.run(&["domains", "why", "one.test"]).await;
    assert!(why.out.contains("`countersign tenants resume`") && !why.out.contains("`/"), "{}", why.out);
    let (_, refused) = api.refused("/emails", &message("one.test", 0, 1)).await;
    assert!(text(&refused, "detail").contains("POST /api/v1/tenants/{id}/resume"), "{refused:#}");

    // What came back of a domain that is gone is held against the tenant until it is resumed, and no longer.
    api.delete(&format!("/domains/{}", text(&two, "id"))).await;
    let still = api.get(&of_tenant).await;
    assert_eq!(still["counted"]["bounced"], 32);
    let resumed = api.post(&format!("{tenant}/resume"), &json!({})).await;
    assert_eq!((text(&resumed, "state"), &resumed["counted"]["bounced"]), ("good", &json!(0)));
    assert_eq!(text(&api.get(&of(&one)).await, "state"), "good");

    // A pause is ended by it however long ago it began. By its id it is found without a list.
    api.post("/emails", &message("one.test", 50, 0)).await;
    api.post("/emails", &message("one.test", 50, 0)).await;
    api.until(&of(&one), paused).await;
    platform.minutes.fetch_add(9 * 24 * 60, Ordering::Relaxed);
    assert_eq!(text(&api.get(&of(&one)).await, "state"), "paused");
    terminal.good(&["tenants", "resume", text(&one, "tenant_id")]).await;
    assert_eq!(text(&api.get(&of(&one)).await, "state"), "good");
    let told = api.get("/events?types=domain.resumed").await;
    assert_eq!(told["data"].as_array().unwrap().len(), 2, "{told:#}");
    platform.instance.stop().await;
    world.stop().await;
}

#[tokio::test]
async fn the_page_ends_a_pause_where_it_came_from() {
    let platform = Later::start(|config| config).await;
    let api = &platform.api;
    let store = platform.store().await;
    let mut paths = Vec::new();
    for name in ["one.test", "two.test"] {
        let request = api.request(Method::POST, "/domains").header("X-Countersign-Tenant-Ref", "cust_1");
        let answer = request.json(&json!({"domain": name})).send().await.unwrap();
        let domain: Value = answer.json().await.unwrap();
        let at = countersign::instance::system_time();
        let pause = Pause { at, reason: "x".into(), cause: PauseCause::Tenant };
        store.pause_sending(text(&domain, "id").parse().unwrap(), &pause, &[]).await.unwrap();
        paths.push(format!("/domains/{}", text(&domain, "id")));
    }
    store.close().await;
    let plain = Plain { http: client(), base: &api.base };
    let page = plain.page(&paths[0]).await;
    assert!(page.contains("Resume sending") && page.contains("waits until that is resumed"), "{page}");
    let resume = format!("{}/resume", paths[0]);
    let asked = plain.page(&resume).await;
    assert!(asked.contains("all of these are resumed"), "{asked}");
    let (status, to, _) = plain.send(&resume, &[]).await;
    assert_eq!((status, to), (StatusCode::SEE_OTHER, paths[0].clone()));
    for path in &paths {
        assert_eq!(text(&api.get(&format!("{path}/reputation")).await, "state"), "good");
    }
    platform.instance.stop().await;
}
