//! More of the client: webhooks and contacts, and what is typed by who is tired.

use crate::{
    client::Terminal,
    support::{Platform, text},
    webhooks::Sink,
};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_are_made_tried_and_delivered_again() {
    let platform = Platform::start().await;
    let sink = Sink::start().await;
    let terminal = Terminal::of(&platform);
    assert!(terminal.good(&["webhooks", "list"]).await.contains("countersign webhooks create"));
    let made = terminal
        .good(&["webhooks", "create", &sink.url(), "--event", "domain.*", "--description", "the shop"])
        .await;
    assert!(made.contains("whsec_") && made.contains("not shown again"), "{made}");
    let id = made.split_whitespace().find(|word| word.starts_with("whk_")).unwrap().to_owned();
    let shown = terminal.good(&["webhooks", "show", &id]).await;
    assert!(shown.contains("the shop") && shown.contains("domain.*") && !shown.contains("whsec_"), "{shown}");
    let list = terminal.good(&["webhooks", "list"]).await;
    assert!(list.contains(&sink.url()) && list.contains("enabled"), "{list}");

    assert!(terminal.good(&["webhooks", "test", &id]).await.contains("answered 200"));
    sink.answer(410);
    let refused = terminal.run(&["webhooks", "test", &id]).await;
    assert_eq!(refused.code, Some(1));
    assert!(refused.out.contains("answered 410") && refused.out.contains("said 410"), "{}", refused.out);

    // Nothing is delivered while it is disabled; replay fetches up on it.
    sink.answer(200);
    assert!(terminal.good(&["webhooks", "update", &id, "--disable"]).await.contains("disabled"));
    terminal.good(&["domains", "add", "mail.acme.test"]).await;
    platform
        .api
        .until("/events?types=domain.created", |list| list["data"].as_array().unwrap().len() == 1)
        .await;
    let over = terminal.run(&["webhooks", "replay", &id, "--since", "1h"]).await;
    assert_eq!(over.code, Some(1));
    assert!(over.err.contains("WEBHOOK_DISABLED"), "{}", over.err);
    let enabled = terminal.good(&["webhooks", "update", &id, "--enable", "--all-events"]).await;
    assert!(enabled.contains("enabled") && enabled.contains("all"), "{enabled}");
    let replayed = terminal.good(&["webhooks", "replay", &id, "--since", "1h"]).await;
    assert!(replayed.contains("on "), "{replayed}");
    let is_created = |received: &crate::webhooks::Received| received.event()["type"] == "domain.created";
    sink.until(|received| received.iter().any(is_created)).await;

    let deliveries = terminal.json(&["webhooks", "deliveries", &id]).await;
    let of_created = |delivery: &&serde_json::Value| delivery["event_type"] == "domain.created";
    let delivery = deliveries["data"].as_array().unwrap().iter().find(of_created).unwrap();
    let delivery = text(delivery, "id").to_owned();
    let before = sink.received().len();
    let again = terminal.good(&["webhooks", "replay", &delivery, "--watch", "--deadline", "30s"]).await;
    assert!(again.contains("delivered") && again.contains("said 200"), "{again}");
    assert!(sink.received().len() > before);
    let list = terminal.good(&["webhooks", "deliveries", &id, "--state", "delivered"]).await;
    assert!(list.contains(&delivery) && list.contains("domain.created"), "{list}");
    assert!(terminal.good(&["webhooks", "delivery", &delivery]).await.contains("TRY"));

    let rotated = terminal.good(&["webhooks", "rotate-secret", &id, "--overlap", "2h"]).await;
    assert!(rotated.contains("whsec_") && rotated.contains("Old secret until"), "{rotated}");
    let kept = terminal.run(&["webhooks", "delete", &id]).await;
    assert_eq!(kept.code, Some(2));
    assert!(kept.err.contains("--yes"), "{}", kept.err);
    terminal.good(&["webhooks", "delete", &id, "--yes"]).await;
    assert_eq!(terminal.run(&["webhooks", "show", &id]).await.code, Some(1));
    let audit = terminal.good(&["audit", "--subject", &id]).await;
    for wanted in ["webhook.created", "webhook.changed", "webhook.rotated", "webhook.deleted", &sink.url()] {
        assert!(audit.contains(wanted), "{wanted}: {audit}");
    }
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contacts_are_added_for_a_domain_a_tenant_or_all() {
    let platform = Platform::start().await;
    let terminal = Terminal::of(&platform);
    assert!(terminal.good(&["contacts", "list"]).await.contains("countersign contacts add"));
    terminal.good(&["domains", "add", "mail.acme.test"]).await;
    let added = terminal.good(&["contacts", "add", "all@acme.test"]).await;
    assert!(added.contains("mail with a link") && added.contains("once it was used"), "{added}");
    let one = terminal.good(&["contacts", "add", "one@acme.test", "--domain", "mail.acme.test"]).await;
    assert!(one.contains("about mail.acme.test"), "{one}");
    let new = ["contacts", "add", "theirs@acme.test", "--tenant", "cust_1"];
    assert_eq!(terminal.run(&new).await.code, Some(1));
    terminal.good(&[&new[..], &["--create-tenant"]].concat()).await;
    let list = terminal.good(&["contacts", "list"]).await;
    for wanted in ["all domains", "mail.acme.test", "tenant cust_1"] {
        assert!(list.contains(wanted), "{wanted}: {list}");
    }
    terminal.good(&["contacts", "delete", "all@acme.test"]).await;
    assert!(!terminal.good(&["contacts", "list"]).await.contains("all@acme.test"));
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_taken_as_people_write_them() {
    let platform = Platform::start().await;
    let terminal = Terminal::of(&platform);
    terminal.good(&["domains", "add", "münchen.test"]).await;
    for written in ["münchen.test", "MÜNCHEN.test.", "xn--mnchen-3ya.test"] {
        let shown = terminal.good(&["domains", "show", written]).await;
        assert!(shown.contains("münchen.test (xn--mnchen-3ya.test)"), "{shown}");
        assert!(shown.contains("required") && shown.contains("optional"), "{shown}");
    }
    let events = terminal.good(&["events", "--limit", "1"]).await;
    assert!(events.contains("domain.created") && events.contains("münchen.test"), "{events}");
    let audit = terminal.good(&["audit", "--subject", "münchen.test"]).await;
    assert!(audit.contains("domain.created") && audit.contains("münchen.test"), "{audit}");
    let why = terminal.run(&["domains", "why", "münchen.test"]).await;
    assert!(why.out.contains("countersign domains report münchen.test"), "{}", why.out);
    terminal.good(&["domains", "disable", "münchen.test", "--reason", "under review"]).await;
    let why = terminal.run(&["domains", "why", "münchen.test"]).await;
    assert!(
        why.out.contains("under review") && why.out.contains("`countersign domains enable`"),
        "{}",
        why.out
    );
    terminal.run(&["domains", "enable", "münchen.test"]).await;
    assert!(
        terminal.good(&["domains", "warm-up", "münchen.test", "--days", "0"]).await.contains("not warm up")
    );
    let send = [
        "emails",
        "send",
        "--from",
        "Me <me@münchen.test>",
        "--to",
        "a@b.test",
        "--subject",
        "s",
        "--text",
        "t",
    ];
    let refused = terminal.run(&send).await;
    assert!(refused.err.contains("countersign domains why münchen.test"), "{}", refused.err);
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slip_makes_no_tenant_and_ends_no_own_key() {
    let platform = Platform::start().await;
    let mut terminal = Terminal::of(&platform);
    let create = ["keys", "create", "own", "--scope", "admin", "--tenant", "cust_9"];
    assert_eq!(terminal.run(&create).await.code, Some(1));
    assert_eq!(platform.api.get("/tenants").await["data"], json!([]), "nothing was made");
    let made = terminal.json(&[&create[..], &["--create-tenant", "--expires-at", "30d"]].concat()).await;
    assert!(made["expires_at"].is_string());
    terminal.key = Some(text(&made, "secret").to_owned());
    let id = text(&made, "id");
    let kept = terminal.run(&["keys", "revoke", id]).await;
    assert_eq!(kept.code, Some(2));
    assert!(kept.err.contains("this command uses") && kept.err.contains("--yes"), "{}", kept.err);
    terminal.good(&["domains", "list"]).await;
    let revoked = terminal.good(&["keys", "revoke", id, "--yes"]).await;
    assert!(revoked.contains("log in with another"), "{revoked}");
    assert_eq!(terminal.run(&["domains", "list"]).await.code, Some(2));
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_ends_where_nothing_will_come_and_json_stands_alone() {
    let platform = Platform::start().await;
    let terminal = Terminal::of(&platform);
    let over = terminal.run(&["domains", "add", "one.test", "--watch", "--deadline", "1s", "--json"]).await;
    let domain: serde_json::Value =
        serde_json::from_str(&over.out).unwrap_or_else(|error| panic!("{error}: {}", over.out));
    assert_eq!(text(&domain, "status"), "pending");
    assert_ne!(over.code, Some(0));
    let disabled = async {
        let list = platform.api.until("/domains", |list| list["data"].as_array().unwrap().len() == 2).await;
        let path = format!("/domains/{}/disable", text(&list["data"][0], "id"));
        platform.api.post(&path, &serde_json::json!({})).await;
    };
    let wait = ["domains", "add", "two.test", "--watch", "--deadline", "1h"];
    let (over, ()) = tokio::join!(terminal.run(&wait), disabled);
    assert_eq!(over.code, Some(1), "{}", over.err);
    assert!(over.err.contains("countersign domains enable two.test"), "{}", over.err);
    let kept = terminal.run(&["domains", "delete", "two.test"]).await;
    assert!(kept.err.contains("given up") && kept.err.contains("another organisation"), "{}", kept.err);
    // Who is asked for a confirmation has not given it; what is of a tenant says so.
    terminal
        .good(&["contacts", "add", "dns@elsewhere.example", "--tenant", "cust_1", "--create-tenant"])
        .await;
    let listed = terminal.good(&["contacts", "list"]).await;
    let (head, row) = listed.split_once('\n').unwrap();
    let column =
        |line: &str| head.find("CONFIRMED").and_then(|at| line.get(at..)).unwrap_or_default().to_owned();
    assert!(column(row).starts_with("no ") && row.contains("tenant cust_1"), "{listed}");
    let asked = terminal.run(&["contacts", "resend", "dns@elsewhere.example"]).await;
    assert!(asked.code != Some(0) && asked.err.contains("no more mail is sent today"), "{}", asked.err);
    let asked = terminal.run(&["domains", "rotate-keys", "--all"]).await;
    assert!(asked.code == Some(2) && asked.err.contains("--yes"), "{}", asked.err);
    platform.stop().await;
}
