//! Every operation of the OpenAPI document, tried by everybody who is not to get in, and by a key that has just the scope.
//!
//! A new operation without a [`Fixture`] fails here.

use crate::platform::{Answer, Platform, settings};
use app::{
    access::{Caller, Scope, ScopeSet},
    store::{
        Became, CheckRecord, DeliveryResult, DeliveryState, KeySource, NewDelivery, NewDkimKey, NewDomain,
        NewMessage, NewSandboxMessage, Organisation, Role, SandboxLimits, Store, StoreOptions, Token,
        TokenKind, User,
    },
};
use axum::{
    body::Body,
    http::{Request, header},
};
use model::{DomainId, DomainStatus, KeyId, MessageId, OrgId, SandboxMessageId, TenantId, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What nobody else may read: names of domain, tenant, key and message.
const SECRETS: [&str; 4] = ["one.acme.test", "ref-of-ours", "key-of-ours", "subject-of-ours"];

/// What a stranger gets.
#[derive(Debug, Clone, Copy)]
enum Expect {
    /// This status and code, and nothing else about what is there.
    Refused(u16, &'static str),
    /// An answer in which nothing of ours is.
    Hidden,
    /// An answer: this concerns nobody's things.
    Open,
}
use Expect::{Hidden, Open, Refused};

/// How an operation is tried.
pub struct Fixture {
    pub path: String,
    pub body: Option<Value>,
    /// Keys of another organisation, of another tenant, without the domain in their list, with an empty list.
    strangers: [Expect; 4],
}

/// An organisation with two tenants, and another organisation.
pub struct World {
    pub platform: Platform,
    other_org: OrgId,
    ours: TenantId,
    theirs: TenantId,
    domain: DomainId,
    their_domain: DomainId,
    pub fixtures: BTreeMap<String, Fixture>,
    /// A key with `send:emails` that sent the message.
    sender: String,
}

fn now() -> Timestamp {
    Timestamp::from_second(1_750_000_000).unwrap()
}

/// Gives the events their numbers, as the background task does.
pub async fn number(store: &Store) {
    let mut count = 0;
    let mut new_id = || {
        count += 1;
        model::WebhookDeliveryId::from_parts(1_750_000_000_000, count)
    };
    while store.number_events(100, now(), &mut new_id).await.unwrap() > 0 {}
}

impl World {
    pub async fn new() -> Self {
        let platform = Platform::start_with(settings()).await;
        // What would need verified domains and an SMTP listener is put in past the use cases.
        let store = Store::open(&platform.path, StoreOptions::default()).await.unwrap();
        let other_org: OrgId = OTHER.parse().unwrap();
        let other = Organisation { id: other_org, name: "Other".into(), created_at: now() };
        store.create_organisation(&other, &[]).await.unwrap();
        let add = async |name: &str, reference: &str| {
            let body = json!({"domain": name, "profile": "two-txt"}).to_string();
            let request = Request::post("/api/v1/domains")
                .header(header::AUTHORIZATION, format!("Bearer {}", platform.key))
                .header(header::CONTENT_TYPE, "application/json")
                .header("X-Countersign-Tenant-Ref", reference);
            let answer = platform.send(request.body(Body::from(body)).unwrap()).await;
            assert_eq!(answer.status, 201, "{}", answer.text);
            let domain = answer.json();
            let id = |field: &str| domain[field].as_str().unwrap().to_owned();
            (id("id").parse::<DomainId>().unwrap(), id("tenant_id").parse::<TenantId>().unwrap())
        };
        let (domain, ours) = add("one.acme.test", "ref-of-ours").await;
        let (their_domain, theirs) = add("two.acme.test", "ref-of-theirs").await;
        let rights =
            Caller { scopes: [Scope::SendEmails].into_iter().collect(), ..Caller::owner(platform.org_id) };
        let sender = platform.app.create_api_key("sender", &rights).await.unwrap();
        let sender_id = platform.app.authenticate(&sender).await.unwrap().key_id();
        let message = MessageId::from_parts(1_750_000_000_000, 3);
        let new = NewMessage {
            id: message,
            org_id: platform.org_id,
            domain_id: domain,
            tenant_id: Some(ours),
            key_id: sender_id,
            from_address: "me@one.acme.test".parse().unwrap(),
            subject: "subject-of-ours".into(),
            raw: b"x".to_vec().into(),
            created_at: now(),
            daily_cap: None,
            trace_parent: None,
        };
        let delivery = NewDelivery {
            recipient: "you@there.test".parse().unwrap(),
            return_path: "x@there.test".into(),
            next_attempt_at: now(),
        };
        store.accept_message(&new, &[delivery], &[]).await.unwrap();
        deliver(&store, message).await;
        let received = SandboxMessageId::from_parts(1_750_000_000_000, 4);
        receive(&store, received, platform.org_id, ours, domain).await;
        let key = json!({"name": "key-of-ours", "scopes": ["write:keys"], "tenant_id": ours.to_string(),
            "allowed_domain_ids": [domain.to_string()]});
        let made = async |path: &str, body: &Value| {
            let answer = platform.call("POST", path, &body.to_string()).await;
            assert_eq!(answer.status, 201, "{}", answer.text);
            answer.json()["id"].as_str().unwrap().to_owned()
        };
        add_people(&store, platform.org_id).await;
        let (held, _) = add("held.acme.test", "ref-of-ours").await;
        hold_elsewhere(&store, platform.org_id, held, other_org).await;
        let hook = json!({"url": "http://127.0.0.1:1/x", "tenant_id": ours.to_string(),
            "description": "subject-of-ours"});
        let webhook = made("/api/v1/webhooks", &hook).await;
        number(&store).await;
        let stored = store.list_webhook_deliveries(webhook.parse().unwrap(), None, None, 1).await.unwrap();
        let delivery = stored[0].id.to_string();
        let key = made("/api/v1/keys", &key).await;
        let contact = json!({"address": "dns@one.acme.test", "domain_id": domain.to_string()});
        let contact = made("/api/v1/contacts", &contact).await;
        let link = made(&format!("/api/v1/domains/{domain}/setup-links"), &json!({})).await;
        let zone = made("/api/v1/playground/zones", &json!({"apex": "zone.test"})).await;
        let record = json!({"host": "a", "type": "TXT", "value": "x"});
        let record = made(&format!("/api/v1/playground/zones/{zone}/records"), &record).await;
        let suppression =
            json!({"address": "a@there.test", "reason": "subject-of-ours", "tenant_id": ours.to_string()});
        let suppression = made("/api/v1/suppressions", &suppression).await;
        let (change_set, empty_set) = change_sets(&platform, domain).await;
        let kept = json!({"host": "playground", "domain_id": domain.to_string(), "label": "key-of-ours"});
        let connection = made("/api/v1/dns-connections", &kept).await;
        let things = Things {
            domain,
            held,
            change_set,
            empty_set,
            connection,
            ours,
            message,
            received,
            key,
            contact,
            link,
            zone,
            record,
            suppression,
            webhook,
            delivery,
        };
        let fixtures = things.fixtures();
        Self { platform, other_org, ours, theirs, domain, their_domain, fixtures, sender }
    }

    /// Where an operation is tried, without a query.
    pub fn path(&self, operation: &str) -> &str {
        let path = &self.fixtures[operation].path;
        path.split_once('?').map_or(path, |(path, _)| path)
    }

    async fn key(&self, rights: Caller) -> String {
        self.platform.app.create_api_key("one", &rights).await.unwrap()
    }

    fn rights(&self, scopes: ScopeSet) -> Caller {
        Caller { scopes, ..Caller::owner(self.platform.org_id) }
    }

    pub async fn call(&self, key: &str, operation: &str, tenant: Option<&str>) -> Answer {
        let fixture = &self.fixtures[operation];
        let method = operation.split(' ').next().unwrap();
        let mut request = Request::builder().method(method).uri(&fixture.path);
        if !key.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
        }
        if let Some(tenant) = tenant {
            request = request.header("X-Countersign-Tenant-Ref", tenant);
        }
        let body = fixture.body.as_ref().map_or(Body::empty(), |body| Body::from(body.to_string()));
        if fixture.body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        self.platform.send(request.body(body).unwrap()).await
    }

    fn check(&self, operation: &str, who: &str, answer: &Answer, expect: Expect) {
        let status = answer.status.as_u16();
        let said = self.fixtures[operation].body.as_ref().map(ToString::to_string).unwrap_or_default();
        match expect {
            Refused(wanted, code) => {
                assert_eq!(status, wanted, "{operation} by {who}: {}", answer.text);
                answer.assert_problem(wanted, code);
            }
            Hidden | Open => assert!(answer.status.is_success(), "{operation} by {who}: {}", answer.text),
        }
        if !matches!(expect, Open) {
            // What the request itself names is no secret to whoever sent it.
            for secret in SECRETS.iter().filter(|secret| !said.contains(*secret)) {
                assert!(!answer.text.contains(secret), "{operation} tells {who} {secret}: {}", answer.text);
            }
        }
    }
}

/// The domain's records in a playground zone: the change set that wrote them, and one that finds nothing to write.
async fn change_sets(platform: &Platform, domain: DomainId) -> (String, String) {
    let zone = json!({"apex": "one.acme.test"}).to_string();
    assert_eq!(platform.call("POST", "/api/v1/playground/zones", &zone).await.status, 201);
    let path = format!("/api/v1/domains/{domain}/change-sets");
    let planned = async |apply: bool| {
        let body = json!({"host": "playground", "apply": apply}).to_string();
        let answer = platform.call("POST", &path, &body).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.json()["data"][0].clone()
    };
    let (written, empty) = (planned(true).await, planned(false).await);
    assert_eq!((&written["state"], &empty["steps"]), (&json!("applied"), &json!([])));
    let id = |set: &Value| set["id"].as_str().unwrap().to_owned();
    (id(&written), id(&empty))
}

/// The other organisation.
const OTHER: &str = "org_01JD0000000000000000000000";

/// A member who is no owner.
const MEMBER: &str = "usr_01JD0000000000000000000000";

/// A member, and somebody who was invited.
async fn add_people(store: &Store, org_id: OrgId) {
    for (number, email) in
        [(1, "member@example.net"), (2, "invited@example.net"), (3, "key-of-ours@example.net")]
    {
        let token = Token {
            hash: vec![number; 32],
            kind: TokenKind::Invitation,
            email: Some(email.parse().unwrap()),
            org_id: Some(org_id),
            role: Some(Role::Member),
            invited_by: None,
            created_at: now(),
            expires_at: Timestamp::from_second(1_760_000_000).unwrap(),
        };
        store.insert_token(&token, 10, &[]).await.unwrap();
    }
    let user = User {
        id: MEMBER.parse().unwrap(),
        email: "member@example.net".parse().unwrap(),
        name: "key-of-ours".into(),
        password_hash: None,
        totp_secret: None,
        created_at: now(),
    };
    store.accept_invitation(&[1; 32], &user, true, &[], now()).await.unwrap();
}

/// Has the message taken by the server of its recipient.
async fn deliver(store: &Store, message_id: MessageId) {
    let claimed = store.claim_deliveries(now(), "a", now(), 1).await.unwrap().remove(0);
    let result = DeliveryResult {
        message_id,
        recipient: claimed.recipient,
        owner: "a".into(),
        epoch: claimed.epoch,
        state: DeliveryState::Delivered,
        code: Some(250),
        reply: "2.0.0 ok".into(),
        remote: None,
        next_attempt_at: None,
        at: now(),
        became: Some(Became::Delivered),
    };
    store.finish_delivery(&result, &[]).await.unwrap();
}

/// A message in the inbox of a tenant's domain.
async fn receive(store: &Store, id: SandboxMessageId, org_id: OrgId, tenant: TenantId, domain: DomainId) {
    let new = NewSandboxMessage {
        id,
        org_id,
        tenant_id: Some(tenant),
        domain_id: Some(domain),
        received_at: now(),
        client_ip: "127.0.0.1".into(),
        helo: "there.test".into(),
        mail_from: None,
        recipients: vec!["you@there.test".into()],
        tls: false,
        header_from: "me@one.acme.test".into(),
        subject: "subject-of-ours".into(),
        raw: b"Subject: subject-of-ours\r\n\r\nHi\r\n".to_vec().into(),
    };
    let limits = SandboxLimits { messages: 10, bytes: 10_000 };
    store.receive_sandbox_message(&new, limits).await.unwrap();
}

/// Has the other organisation hold the name of a domain whose records are right.
async fn hold_elsewhere(store: &Store, org_id: OrgId, id: DomainId, other: OrgId) {
    let domain = store.get_domain(org_id, id).await.unwrap();
    let new = NewDomain {
        id: DomainId::from_parts(1_750_000_000_000, 9),
        org_id: other,
        tenant_id: None,
        name: domain.name.clone(),
        profile: domain.profile.clone(),
        variables: domain.variables.clone(),
        capabilities: domain.capabilities.clone(),
        approval_status: "none".into(),
        created_at: now(),
        fails_at: None,
        next_check_at: now(),
        warmup_started_at: None,
        warmup_days: None,
        region: None,
        fallback_region: None,
    };
    let mut keys = Vec::new();
    for key in store.keys_of_domain(id).await.unwrap() {
        let id = KeyId::from_parts(1_750_000_000_000, 90 + u128::from(key.position));
        let selector = format!("held{}", key.position);
        let (public_key, private_key, state) = (key.public_key, key.private_key, key.state);
        keys.push(NewDkimKey { id, selector, public_key, private_key, state, created_at: now() });
    }
    let (holder, _) = store.create_domain(&new, KeySource::Given(keys), &[]).await.unwrap();
    let checked = |domain: &app::store::Domain, status| CheckRecord {
        domain_id: domain.id,
        version: domain.version,
        claimed_at: now(),
        checked_at: now(),
        report: "null".into(),
        observation: "null".into(),
        digest: 0,
        status,
        spf_status: domain.spf_status,
        dkim_status: domain.dkim_status,
        dmarc_status: domain.dmarc_status,
        return_path_status: domain.return_path_status,
        health: domain.health,
        verified_at: None,
        warmup_started_at: None,
        fails_at: domain.fails_at,
        next_check_at: domain.next_check_at,
        consecutive_failures: 0,
        watch: domain.watch.clone(),
        watch_seconds: None,
        takes_hold: status == DomainStatus::Verified,
        serves_anew: false,
        held_elsewhere: status == DomainStatus::Pending,
        delegation: app::store::Delegation::default(),
        delegation_changed: None,
        events: Vec::new(),
        alert: false,
    };
    store.record_check(&checked(&holder, DomainStatus::Verified)).await.unwrap();
    store.record_check(&checked(&domain, DomainStatus::Pending)).await.unwrap();
}

/// A private key that is used nowhere else.
const OWN_KEY: &str = include_str!("own_key.pem");

/// The things of one tenant, and how each operation is put to them.
struct Things {
    domain: DomainId,
    held: DomainId,
    /// One that was applied, and one with nothing to apply.
    change_set: String,
    empty_set: String,
    connection: String,
    ours: TenantId,
    message: MessageId,
    received: SandboxMessageId,
    key: String,
    contact: String,
    link: String,
    zone: String,
    record: String,
    suppression: String,
    webhook: String,
    delivery: String,
}

/// An operation, the id or the query in its path, its body, and what strangers get.
type Row = (&'static str, String, Option<Value>, [Expect; 4]);

impl Things {
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn fixtures(&self) -> BTreeMap<String, Fixture> {
        const MISMATCH: Expect = Refused(403, "DOMAIN_TENANT_MISMATCH");
        const NOT_LISTED: Expect = Refused(403, "DOMAIN_NOT_ALLOWED_FOR_KEY");
        const LIMITED: Expect = Refused(403, "KEY_IS_LIMITED");
        const INVALID: Expect = Refused(422, "INVALID_REQUEST");
        let domain = [Refused(404, "DOMAIN_NOT_FOUND"), MISMATCH, NOT_LISTED, NOT_LISTED];
        let gone = |code| [Refused(404, code); 4];
        let whole = [Refused(404, "NOT_FOUND"), LIMITED, LIMITED, LIMITED];
        let no_suppression =
            [Refused(404, "SUPPRESSION_NOT_FOUND"), Refused(404, "SUPPRESSION_NOT_FOUND"), LIMITED, LIMITED];
        let Self {
            domain: id,
            connection,
            ours,
            message,
            received,
            key,
            contact,
            link,
            zone,
            record,
            suppression,
            ..
        } = self;
        let new_key =
            json!({"name": "new", "scopes": ["write:keys"], "allowed_domain_ids": [id.to_string()]});
        let email =
            json!({"from": "me@one.acme.test", "to": "you@there.test", "subject": "Hi", "text": "Hi"});
        let typed = json!({"host": "b", "type": "TXT", "value": "y"});
        let apex = json!({"apex": "new-zone.test"});
        let listed = [Hidden; 4];
        let no_connection = gone("DNS_CONNECTION_NOT_FOUND");
        let others = [Refused(403, "OPERATOR_ONLY"), LIMITED, LIMITED, LIMITED];
        let other = OTHER.to_owned();
        let person = [Refused(404, "MEMBER_NOT_FOUND"), LIMITED, LIMITED, LIMITED];
        [
            (
                "POST /domains",
                String::new(),
                Some(json!({"domain": "new.acme.test"})),
                [Open, Open, NOT_LISTED, NOT_LISTED],
            ),
            ("GET /domains", String::new(), None, listed),
            ("GET /domains/{id}", id.to_string(), None, domain),
            ("PATCH /domains/{id}", id.to_string(), Some(json!({"warmup_days": 3})), domain),
            ("DELETE /domains/{id}", id.to_string(), None, domain),
            ("POST /domains/{id}/verify", id.to_string(), None, domain),
            ("GET /domains/{id}/keys", id.to_string(), None, domain),
            (
                "POST /domains/{id}/keys",
                id.to_string(),
                Some(json!({"selector": "s1", "private_key": OWN_KEY})),
                domain,
            ),
            ("POST /domains/{id}/keys/rotate", id.to_string(), Some(json!({"compromised": false})), domain),
            ("POST /domains/{id}/keys/discard", id.to_string(), None, domain),
            ("POST /domains/{id}/claim", self.held.to_string(), None, domain),
            ("POST /domains/{id}/disable", id.to_string(), Some(json!({"reason": "review"})), domain),
            ("POST /domains/{id}/enable", id.to_string(), None, domain),
            // The address gets one mail in a day: who comes second is told so.
            (
                "POST /contacts",
                String::new(),
                Some(json!({"address": "new@there.test"})),
                [Open, Refused(429, "RATE_LIMITED"), LIMITED, LIMITED],
            ),
            ("GET /contacts", String::new(), None, listed),
            ("POST /contacts/{id}/resend", contact.clone(), None, gone("CONTACT_NOT_FOUND")),
            ("DELETE /contacts/{id}", contact.clone(), None, gone("CONTACT_NOT_FOUND")),
            ("POST /domains/{id}/domain-connect", id.to_string(), None, domain),
            ("GET /profiles/{id}/template", "two-txt".to_owned(), None, [Open; 4]),
            ("POST /domains/{id}/setup-links", id.to_string(), Some(json!({"note": "new"})), domain),
            ("GET /domains/{id}/setup-links", id.to_string(), None, domain),
            ("DELETE /setup-links/{id}", link.clone(), None, gone("SETUP_LINK_NOT_FOUND")),
            ("POST /domains/{id}/change-sets", id.to_string(), Some(json!({"host": "playground"})), domain),
            ("GET /domains/{id}/change-sets", id.to_string(), None, domain),
            ("GET /change-sets/{id}", self.change_set.clone(), None, gone("CHANGE_SET_NOT_FOUND")),
            (
                "POST /change-sets/{id}/apply",
                self.empty_set.clone(),
                Some(json!({"host": "playground"})),
                gone("CHANGE_SET_NOT_FOUND"),
            ),
            (
                "POST /change-sets/{id}/undo",
                self.change_set.clone(),
                Some(json!({"host": "playground"})),
                gone("CHANGE_SET_NOT_FOUND"),
            ),
            ("GET /domains/{id}/records", id.to_string(), None, domain),
            (
                "POST /dns-connections",
                String::new(),
                // For the domain's zone, so that it takes nothing's place.
                Some(json!({"host": "playground", "zone": "one.acme.test"})),
                [Refused(404, "NOT_FOUND"), Open, LIMITED, LIMITED],
            ),
            ("GET /dns-connections", String::new(), None, listed),
            ("GET /dns-connections/{id}", connection.clone(), None, no_connection),
            (
                "PATCH /dns-connections/{id}",
                connection.clone(),
                Some(json!({"repair": "offer"})),
                no_connection,
            ),
            ("POST /dns-connections/{id}/check", connection.clone(), None, no_connection),
            ("DELETE /dns-connections/{id}", connection.clone(), None, no_connection),
            ("GET /domains/{id}/report", id.to_string(), None, domain),
            ("GET /domains/{id}/observation", id.to_string(), None, domain),
            ("GET /domains/{id}/readiness", id.to_string(), None, domain),
            ("POST /checks", String::new(), Some(json!({"domain": "any.acme.test"})), [Open; 4]),
            (
                "POST /emails",
                String::new(),
                Some(email),
                [Refused(422, "DOMAIN_NOT_FOUND"), MISMATCH, NOT_LISTED, NOT_LISTED],
            ),
            ("GET /emails", String::new(), None, listed),
            ("GET /emails/{id}", message.to_string(), None, gone("MESSAGE_NOT_FOUND")),
            ("GET /events", String::new(), None, listed),
            ("GET /sandbox/messages", String::new(), None, listed),
            ("POST /sandbox/domain", String::new(), None, [Open, LIMITED, LIMITED, LIMITED]),
            ("DELETE /sandbox/messages", String::new(), None, listed),
            ("GET /sandbox/messages/{id}", received.to_string(), None, gone("SANDBOX_MESSAGE_NOT_FOUND")),
            ("GET /sandbox/messages/{id}/raw", received.to_string(), None, gone("SANDBOX_MESSAGE_NOT_FOUND")),
            ("POST /keys", String::new(), Some(new_key), [INVALID; 4]),
            // The keys that the test makes are there too.
            ("GET /keys", "?limit=100".to_owned(), None, listed),
            ("GET /keys/{id}", key.clone(), None, gone("KEY_NOT_FOUND")),
            ("DELETE /keys/{id}", key.clone(), None, gone("KEY_NOT_FOUND")),
            (
                "POST /keys/{id}/rotate",
                key.clone(),
                Some(json!({"overlap_seconds": 60})),
                gone("KEY_NOT_FOUND"),
            ),
            ("POST /tenants", String::new(), Some(json!({"ref": "new"})), [Open, LIMITED, LIMITED, LIMITED]),
            ("GET /tenants", String::new(), None, listed),
            ("GET /tenants/{id}", ours.to_string(), None, gone("TENANT_NOT_FOUND")),
            ("GET /tenants/{id}/reputation", ours.to_string(), None, gone("TENANT_NOT_FOUND")),
            ("POST /tenants/{id}/resume", ours.to_string(), None, gone("TENANT_NOT_FOUND")),
            ("GET /domains/{id}/reputation", id.to_string(), None, domain),
            ("POST /domains/{id}/resume", id.to_string(), None, domain),
            (
                "POST /emails/{id}/complaints",
                message.to_string(),
                Some(json!({"recipient": "you@there.test"})),
                [Refused(404, "MESSAGE_NOT_FOUND"), Refused(404, "MESSAGE_NOT_FOUND"), LIMITED, LIMITED],
            ),
            (
                "POST /suppressions",
                String::new(),
                Some(json!({"address": "new@there.test"})),
                [Open, Open, LIMITED, LIMITED],
            ),
            ("GET /suppressions", String::new(), None, [Hidden, Hidden, LIMITED, LIMITED]),
            ("GET /suppressions/{id}", suppression.clone(), None, no_suppression),
            ("DELETE /suppressions/{id}", suppression.clone(), None, no_suppression),
            ("GET /organisation", String::new(), None, [Open, LIMITED, LIMITED, LIMITED]),
            (
                "PATCH /organisation",
                String::new(),
                Some(json!({"name": "New name"})),
                [Open, LIMITED, LIMITED, LIMITED],
            ),
            ("GET /organisations", String::new(), None, others),
            (
                "POST /organisations",
                String::new(),
                Some(json!({"name": "Third", "owner": "new@example.net"})),
                others,
            ),
            ("GET /organisations/{id}", other.clone(), None, others),
            ("PATCH /organisations/{id}", other.clone(), Some(json!({"name": "Another"})), others),
            ("POST /organisations/{id}/disable", other.clone(), None, others),
            ("POST /organisations/{id}/enable", other, None, others),
            ("GET /members", String::new(), None, [Hidden, LIMITED, LIMITED, LIMITED]),
            ("GET /members/{id}", MEMBER.to_owned(), None, person),
            ("PATCH /members/{id}", MEMBER.to_owned(), Some(json!({"role": "viewer"})), person),
            ("DELETE /members/{id}", MEMBER.to_owned(), None, person),
            ("GET /invitations", String::new(), None, [Hidden, LIMITED, LIMITED, LIMITED]),
            (
                "POST /invitations",
                String::new(),
                Some(json!({"email": "new@example.net", "role": "member"})),
                [Open, LIMITED, LIMITED, LIMITED],
            ),
            ("DELETE /invitations", "?email=invited%40example.net".to_owned(), None, whole),
            ("GET /audit", "?limit=100".to_owned(), None, [Hidden, LIMITED, LIMITED, LIMITED]),
            ("GET /playground/zones", String::new(), None, whole),
            ("POST /playground/zones", String::new(), Some(apex), whole),
            ("GET /playground/zones/{id}", zone.clone(), None, whole),
            ("DELETE /playground/zones/{id}", zone.clone(), None, whole),
            ("POST /playground/zones/{id}/records", zone.clone(), Some(typed.clone()), whole),
            ("PUT /playground/records/{id}", record.clone(), Some(typed), whole),
            ("DELETE /playground/records/{id}", record.clone(), None, whole),
            ("POST /playground/domains/{id}/publish", id.to_string(), None, whole),
            ("GET /profiles", String::new(), None, [Open; 4]),
            ("GET /dns-hosts", String::new(), None, [Open; 4]),
        ]
        .into_iter()
        .chain(self.webhook_fixtures())
        .map(|(operation, id, body, strangers)| {
            let (method, path) = operation.split_once(' ').unwrap();
            let name = format!("{method} /api/v1{path}");
            // Where there is no place for an id, what is given is a query.
            let path = if path.contains("{id}") {
                format!("/api/v1{}", path.replace("{id}", &id))
            } else {
                format!("/api/v1{path}{id}")
            };
            (name, Fixture { path, body, strangers })
        })
        .collect()
    }

    fn webhook_fixtures(&self) -> Vec<Row> {
        const LIMITED: Expect = Refused(403, "KEY_IS_LIMITED");
        let Self { webhook, delivery, .. } = self;
        let hook = json!({"url": "https://example.com/new"});
        let of_webhook =
            [Refused(404, "WEBHOOK_NOT_FOUND"), Refused(404, "WEBHOOK_NOT_FOUND"), LIMITED, LIMITED];
        let of_delivery = [
            Refused(404, "WEBHOOK_DELIVERY_NOT_FOUND"),
            Refused(404, "WEBHOOK_DELIVERY_NOT_FOUND"),
            LIMITED,
            LIMITED,
        ];
        vec![
            ("POST /webhooks", String::new(), Some(hook), [Open, Open, LIMITED, LIMITED]),
            ("GET /webhooks", String::new(), None, [Hidden, Hidden, LIMITED, LIMITED]),
            ("GET /webhooks/{id}", webhook.clone(), None, of_webhook),
            ("PATCH /webhooks/{id}", webhook.clone(), Some(json!({"description": "x"})), of_webhook),
            ("DELETE /webhooks/{id}", webhook.clone(), None, of_webhook),
            ("POST /webhooks/{id}/rotate", webhook.clone(), Some(json!({})), of_webhook),
            ("POST /webhooks/{id}/test", webhook.clone(), None, of_webhook),
            (
                "POST /webhooks/{id}/replay",
                webhook.clone(),
                Some(json!({"since": "2025-01-01T00:00:00Z"})),
                of_webhook,
            ),
            ("GET /webhooks/{id}/deliveries", webhook.clone(), None, of_webhook),
            ("GET /webhook-deliveries/{id}", delivery.clone(), None, of_delivery),
            ("POST /webhook-deliveries/{id}/replay", delivery.clone(), None, of_delivery),
        ]
    }
}

/// Every operation of the document with the sets of scopes that it asks for, of which one is enough.
pub fn operations() -> Vec<(String, Vec<ScopeSet>)> {
    let document = serde_json::to_value(api::openapi()).unwrap();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let sets = operation["security"].as_array().unwrap().iter().map(|one| {
                let words = one["api_key"].as_array().unwrap();
                words.iter().map(|word| Scope::from_word(word.as_str().unwrap()).unwrap()).collect()
            });
            found.push((format!("{} {path}", method.to_uppercase()), sets.collect()));
        }
    }
    found
}

#[tokio::test]
async fn every_operation_of_the_document_has_a_fixture_and_no_other_has() {
    let world = World::new().await;
    let named: Vec<_> = operations().into_iter().map(|(operation, _)| operation).collect();
    for operation in &named {
        assert!(world.fixtures.contains_key(operation), "{operation} is tried by nobody: give it a fixture");
    }
    assert_eq!(named.len(), world.fixtures.len());
}

#[tokio::test]
async fn every_operation_refuses_strangers() {
    let world = World::new().await;
    let app = &world.platform.app;
    let all = Caller::owner(world.platform.org_id);
    let revoked = world.key(all.clone()).await;
    let revoked_id = app.authenticate(&revoked).await.unwrap().key_id().unwrap();
    let path = format!("/api/v1/keys/{revoked_id}");
    assert_eq!(world.platform.call("DELETE", &path, "").await.status, 200);
    let expired = world.key(Caller { expires_at: Some(now()), ..all.clone() }).await;
    let unknown = format!("cs_{}", "a".repeat(38));
    let nobody = [
        ("nobody", ""),
        ("garbage", "x"),
        ("unknown", &unknown),
        ("revoked", &revoked),
        ("expired", &expired),
    ];
    let strangers = [
        ("a key of another organisation", world.key(Caller::owner(world.other_org)).await),
        ("a key of another tenant", world.key(Caller { tenant_id: Some(world.theirs), ..all.clone() }).await),
        (
            "a key of another domain",
            world.key(Caller { allowed_domain_ids: Some([world.their_domain].into()), ..all.clone() }).await,
        ),
        (
            "a key with an empty list",
            world.key(Caller { allowed_domain_ids: Some([].into()), ..all.clone() }).await,
        ),
    ];
    for (operation, sets) in operations() {
        for (who, key) in nobody {
            let answer = world.call(key, &operation, None).await;
            world.check(&operation, who, &answer, Refused(401, "UNAUTHENTICATED"));
            assert!(answer.header(header::WWW_AUTHENTICATE).starts_with("Bearer"), "{operation}");
        }
        // Every scope but those that would do.
        if sets.iter().all(|set| *set != ScopeSet::default()) {
            let others = Scope::ALL
                .iter()
                .copied()
                .filter(|scope| *scope != Scope::Admin)
                .filter(|scope| !sets.iter().any(|set| set.words().contains(&scope.as_str().to_owned())))
                .collect();
            let key = world.key(world.rights(others)).await;
            let answer = world.call(&key, &operation, None).await;
            world.check(&operation, "a key without the scope", &answer, Refused(403, "SCOPE_MISSING"));
        }
        let expected = world.fixtures[&operation].strangers;
        for ((who, key), expect) in strangers.iter().zip(expected) {
            let answer = world.call(key, &operation, None).await;
            world.check(&operation, who, &answer, expect);
        }
        // A request that names another tenant, or one that is not there, is like a key of another tenant.
        for tenant in ["ref-of-theirs", "ref-of-nobody"] {
            if !matches!(expected[1], Open) {
                let answer = world.call(&world.platform.key, &operation, Some(tenant)).await;
                world.check(&operation, tenant, &answer, expected[1]);
            }
        }
    }
    // All of it is as it was.
    for (operation, _) in operations() {
        let fixture = &world.fixtures[&operation];
        if operation.starts_with("GET ") {
            let answer = world.platform.get(&fixture.path).await;
            assert_eq!(answer.status, 200, "{operation}: {}", answer.text);
            if matches!(fixture.strangers[0], Hidden) {
                assert!(SECRETS.iter().any(|secret| answer.text.contains(secret)), "{operation} shows ours");
            }
        }
    }
    let key = world.platform.get(&world.fixtures["GET /api/v1/keys/{id}"].path).await.json();
    assert_eq!((&key["revoked_at"], &key["replaced_by"]), (&Value::Null, &Value::Null));
}

/// When an operation is tried, where each is tried once: what ends a thing comes after what needs it.
pub fn turn(operation: &str) -> impl Ord + use<> {
    let is_rotation = operation.ends_with("/rotate");
    let deletes = operation.starts_with("DELETE");
    (deletes, is_rotation, deletes && operation.ends_with("domains/{id}"), operation.contains("/zones"))
}

#[tokio::test]
async fn the_scope_alone_gets_in() {
    let world = World::new().await;
    let mut operations = operations();
    // What is deleted is not there for the others: records before zones, and domains last.
    operations.sort_by_key(|(operation, _)| turn(operation));
    for (operation, sets) in operations {
        for set in sets {
            let is_own = operation == "GET /api/v1/emails/{id}" && set.words() == ["send:emails"];
            let key = if is_own { world.sender.clone() } else { world.key(world.rights(set)).await };
            let answer = world.call(&key, &operation, None).await;
            let expected = match operation.as_str() {
                // The address of the contact had its mail today.
                "POST /api/v1/contacts/{id}/resend" => answer.status == 429,
                // Mail from a domain that is not verified is understood and not possible.
                "POST /api/v1/emails" => answer.status == 422,
                // One key waits at a time, and DNS hosts know no templates of this platform.
                "POST /api/v1/domains/{id}/domain-connect"
                | "POST /api/v1/domains/{id}/keys"
                | "POST /api/v1/domains/{id}/keys/discard" => {
                    answer.status.is_success() || answer.status == 409
                }
                _ => answer.status.is_success(),
            };
            assert!(expected, "{operation} with {:?}: {} {}", set.words(), answer.status, answer.text);
        }
    }
}

#[tokio::test]
async fn a_key_of_the_tenant_and_the_domain_sees_just_these() {
    let world = World::new().await;
    let rights = Caller {
        tenant_id: Some(world.ours),
        allowed_domain_ids: Some([world.domain].into()),
        ..Caller::owner(world.platform.org_id)
    };
    let key = world.key(rights).await;
    for (operation, _) in operations().into_iter().filter(|(operation, _)| operation.starts_with("GET ")) {
        // These are of the whole organisation.
        let whole = [
            "/webhook",
            "/playground/",
            "/audit",
            "/suppressions",
            "/tenants/{id}/reputation",
            "/organisation",
            "/members",
            "/invitations",
        ];
        if whole.iter().any(|part| operation.contains(part)) {
            continue;
        }
        let answer = world.call(&key, &operation, Some("ref-of-ours")).await;
        assert_eq!(answer.status, 200, "{operation}: {}", answer.text);
        assert!(
            !answer.text.contains("two.acme.test") && !answer.text.contains("ref-of-theirs"),
            "{operation}"
        );
        if matches!(world.fixtures[&operation].strangers[0], Hidden) {
            assert!(
                SECRETS.iter().any(|secret| answer.text.contains(secret)),
                "{operation}: {}",
                answer.text
            );
        }
    }
    let answer = world.call(&key, "GET /api/v1/domains", Some("ref-of-theirs")).await;
    answer.assert_problem(403, "DOMAIN_TENANT_MISMATCH");
}

#[tokio::test]
async fn a_key_that_only_sends_sees_what_it_sent_and_nothing_else() {
    let world = World::new().await;
    let path = &world.fixtures["GET /api/v1/emails/{id}"].path;
    assert_eq!(world.platform.call_with(&world.sender, "GET", path, "").await.status, 200);
    let other = world.key(world.rights([Scope::SendEmails].into_iter().collect())).await;
    for path in [path.as_str(), "/api/v1/emails/msg_01JD0000000000000000000000"] {
        // The same for what is there and what is not.
        world.platform.call_with(&other, "GET", path, "").await.assert_problem(403, "SCOPE_MISSING");
    }
}
