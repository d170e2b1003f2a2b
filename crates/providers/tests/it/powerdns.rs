//! PowerDNS, the real one.

use crate::{
    servers::{self, API_KEY, Server},
    suite::{self, Content, Host, ZONE, apply, conforms, name, ours, seed, txt},
};
use fake_hosts::{Cut, Plain};
use model::Record;
use providers::{PowerDns, Secret};
use publish::{
    Action, Done, Kept, Refusal, ZoneProvider,
    http::{Exchange as _, HttpRequest},
};

struct Running {
    server: Server,
    way: Plain,
}

fn start(case: &str) -> Option<Running> {
    let server = servers::powerdns(case)?;
    let way = Plain::new(server.http);
    Some(Running { server, way })
}

impl Running {
    fn with(&self, key: &str, path: &str) -> PowerDns {
        PowerDns::new(Box::new(self.way.clone()), Secret::new(key.to_owned()), path)
    }
}

impl Host for Running {
    fn provider(&self) -> Box<dyn ZoneProvider> {
        Box::new(self.with(API_KEY, ""))
    }
    async fn content(&self) -> Content {
        self.server.content()
    }
    async fn put(&self, record: &Record) {
        self.server.put(record);
    }
    async fn take(&self, record: &Record) {
        self.server.take(record);
    }
    fn cut(&self, after: usize, cut: Cut) {
        self.way.cut(after, cut);
    }
    fn is_to_cut(&self) -> bool {
        self.way.is_to_cut()
    }
    fn mend(&self) {
        self.way.mend();
    }
    fn writes(&self) -> usize {
        self.way.writes()
    }
}

conforms!(start);

#[tokio::test]
async fn every_refusal_is_told_apart() {
    let Some(host) = start("every_refusal_is_told_apart") else { return };
    let before = host.content().await;
    let wrong = "s3cr3t-of-somebody-else";
    let stopped = apply(&host.with(wrong, ""), &ours()).await.unwrap_err();
    assert_eq!((&stopped.error.refusal, stopped.done), (&Refusal::CredentialInvalid, Done::Nothing));
    assert!(!stopped.error.to_string().contains(wrong));
    let stopped = apply(&host.with(API_KEY, "/nothing/here"), &ours()).await.unwrap_err();
    assert_eq!(stopped.error.refusal, Refusal::Unexpected { status: Some(404) });
    let error = host.provider().find_zone(&name("copy.test"), None).await.unwrap_err();
    assert_eq!(error.refusal, Refusal::ZoneInactive, "{error}");
    // A name of another zone, in the host's words.
    let stopped = apply(&*host.provider(), &[txt("b.other.test", "x")]).await.unwrap_err();
    assert_eq!((&stopped.error.refusal, stopped.done), (&Refusal::RecordRefused, Done::Nothing));
    assert!(stopped.error.host_message.unwrap().contains("b.other.test."));
    // A zone that went.
    let provider = host.provider();
    let handle = provider.find_zone(&name(ZONE), None).await.unwrap();
    let gone = publish::ZoneHandle { id: "gone.test.".to_owned(), ..handle };
    let error = provider.list(&gone, &[].into()).await.unwrap_err();
    assert!(matches!(error.refusal, Refusal::ZoneNotFound { .. }), "{error}");
    assert_eq!(host.content().await, before);
}

#[tokio::test]
async fn what_is_switched_off_stays_so() {
    let Some(host) = start("what_is_switched_off_stays_so") else { return };
    let body = r#"{"rrsets":[{"name":"proofs.acme.test.","type":"TXT","ttl":300,"changetype":"REPLACE",
        "comments":[{"content":"ask Kim","account":"kim"}],
        "records":[{"content":"\"on\"","disabled":false},{"content":"\"off\"","disabled":true}]}]}"#;
    let request = HttpRequest {
        method: "PATCH",
        target: format!("/api/v1/servers/localhost/zones/{ZONE}."),
        headers: vec![("x-api-key", API_KEY.to_owned())],
        body: body.as_bytes().to_vec(),
    };
    assert_eq!(host.way.send(request).await.unwrap().status, 204);
    let provider = host.provider();
    let handle = provider.find_zone(&name(ZONE), None).await.unwrap();
    let owner = name("proofs.acme.test");
    let zone = provider.list(&handle, &[owner.clone()].into()).await.unwrap();
    let new = txt("proofs.acme.test", "ours");
    suite::write(&*provider, &zone, suite::changes([Action::Add { new: new.clone() }])).await.unwrap();
    let zone = provider.list(&handle, &[owner.clone()].into()).await.unwrap();
    let mut kept: Vec<(String, Kept, Option<&str>)> = zone
        .at(&owner)
        .map(|there| (there.record.data.to_string(), there.kept, there.note.as_deref()))
        .collect();
    kept.sort_by(|one, other| one.0.cmp(&other.0));
    let note = Some("ask Kim");
    assert_eq!(
        kept,
        [
            ("off".to_owned(), Kept::Opaque, note),
            ("on".to_owned(), Kept::Plain, note),
            ("ours".to_owned(), Kept::Plain, note)
        ]
    );
    assert!(
        seed()
            .iter()
            .filter(|record| record.owner != owner)
            .all(|record| { zone.at(&record.owner).any(|there| there.record == *record) })
    );
}
