//! Logging in at a provider: one of our own, on this machine, that does what it is told.

use crate::{
    login::{House, PASSWORD, Page, Visitor, code},
    people::{lines, until_lines, with_second_factor},
};
use app::{
    oidc::{ProviderSettings, Secret},
    store::Role,
};
use aws_lc_rs::{
    digest::{SHA256, digest},
    hmac,
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_SHA256},
};
use axum::{
    Router,
    extract::{Form, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
};
use url::Url;

const CLIENT: &str = "countersign at acme";
const SECRET: &str = "provider's secret: 50% & more";

/// How tokens are signed.
#[derive(Clone, Copy, PartialEq)]
enum Signing {
    Right,
    /// By nobody.
    None,
    /// With the public key as if it were a secret.
    PublicAsSecret,
    /// With a key that is not published, under the name of one that is.
    OtherKey,
    /// Under the name of a key that is not published.
    UnknownKey,
    /// With a header that asks for what is not there.
    Critical,
    /// The signature of another token.
    Moved,
}

/// What a code stands for.
struct Grant {
    nonce: String,
    challenge: String,
    redirect: String,
}

struct Provider {
    issuer: String,
    key: KeyPair,
    other_key: KeyPair,
    now: Arc<AtomicI64>,
    grants: Mutex<HashMap<String, Grant>>,
    /// Who logs in: claims that are put over the usual ones; null takes one out.
    claims: Mutex<Value>,
    signing: Mutex<Signing>,
    /// What it answers instead, while it is down.
    down: Mutex<Option<StatusCode>>,
    /// The token that it gave last.
    last: Mutex<Option<String>>,
}

/// The two numbers of a public key (RFC 8017 §A.1.1).
fn numbers(key: &KeyPair) -> [String; 2] {
    let der = key.public_key().as_ref();
    let length = |at: usize| match der[at] {
        short @ 0..=127 => (usize::from(short), at + 1),
        0x81 => (usize::from(der[at + 1]), at + 2),
        _ => (usize::from(der[at + 1]) << 8 | usize::from(der[at + 2]), at + 3),
    };
    let (_, start) = length(1);
    let (n_length, n) = length(start + 1);
    let (e_length, e) = length(n + n_length + 1);
    let encode = |octets: &[u8]| URL_SAFE_NO_PAD.encode(octets.strip_prefix(&[0]).unwrap_or(octets));
    [encode(&der[n..n + n_length]), encode(&der[e..e + e_length])]
}

fn signed(key: &KeyPair, message: &str) -> String {
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
    URL_SAFE_NO_PAD.encode(signature)
}

impl Provider {
    async fn start(now: &Arc<AtomicI64>) -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let provider = Arc::new(Self {
            issuer: format!("http://{}/tenant", listener.local_addr().unwrap()),
            key: KeyPair::generate(KeySize::Rsa2048).unwrap(),
            other_key: KeyPair::generate(KeySize::Rsa2048).unwrap(),
            now: Arc::clone(now),
            grants: Mutex::default(),
            claims: Mutex::new(json!({})),
            signing: Mutex::new(Signing::Right),
            down: Mutex::new(None),
            last: Mutex::new(None),
        });
        let router = Router::new()
            .route("/tenant/.well-known/openid-configuration", get(configuration))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .with_state(Arc::clone(&provider));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        provider
    }

    fn settings(&self) -> ProviderSettings {
        ProviderSettings {
            issuer: self.issuer.clone(),
            client_id: CLIENT.to_owned(),
            client_secret: Some(Secret::new(SECRET)),
            name: "Acme".to_owned(),
            allowed_domains: vec!["acme.example".to_owned()],
            default_role: Role::Viewer,
            organisation: None,
            link_by_address: false,
        }
    }

    fn says(&self, claims: Value) {
        *self.claims.lock().unwrap() = claims;
    }

    /// Somebody logs in there: the path by which the browser comes back.
    fn log_in(&self, to: &str) -> String {
        let url = Url::parse(to).unwrap();
        let asked: HashMap<_, _> = url.query_pairs().into_owned().collect();
        assert!(to.starts_with(&self.issuer.replace("/tenant", "/authorize?")), "{to}");
        assert_eq!((&*asked["response_type"], &*asked["client_id"]), ("code", CLIENT));
        assert_eq!((&*asked["code_challenge_method"], &*asked["scope"]), ("S256", "openid email profile"));
        let mut grants = self.grants.lock().unwrap();
        let code = format!("code-{}", asked["nonce"]);
        let grant = Grant {
            nonce: asked["nonce"].clone(),
            challenge: asked["code_challenge"].clone(),
            redirect: asked["redirect_uri"].clone(),
        };
        let path = Url::parse(&grant.redirect).unwrap().path().to_owned();
        grants.insert(code.clone(), grant);
        format!("{path}?code={code}&state={}", asked["state"])
    }

    fn token(&self, nonce: &str) -> String {
        let now = self.now.load(Ordering::SeqCst);
        let mut claims = json!({
            "iss": self.issuer, "sub": "subject-1", "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": nonce,
            "email": "dora@acme.example", "email_verified": true, "name": "Dora of Acme",
        });
        for (name, value) in self.claims.lock().unwrap().as_object().unwrap() {
            if value.is_null() {
                claims.as_object_mut().unwrap().remove(name);
            } else {
                claims[name] = value.clone();
            }
        }
        let signing = *self.signing.lock().unwrap();
        let header = match signing {
            Signing::Right | Signing::OtherKey | Signing::Moved => json!({"alg": "RS256", "kid": "one"}),
            Signing::UnknownKey => json!({"alg": "RS256", "kid": "unheard of"}),
            Signing::None => json!({"alg": "none"}),
            Signing::PublicAsSecret => json!({"alg": "HS256", "kid": "one"}),
            Signing::Critical => json!({"alg": "RS256", "kid": "one", "crit": ["exp"], "exp": 0}),
        };
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(&header), part(&claims));
        let signature = match signing {
            Signing::Right | Signing::UnknownKey | Signing::Critical => signed(&self.key, &message),
            Signing::OtherKey => signed(&self.other_key, &message),
            Signing::None => String::new(),
            Signing::PublicAsSecret => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, self.key.public_key().as_ref());
                URL_SAFE_NO_PAD.encode(hmac::sign(&key, message.as_bytes()))
            }
            Signing::Moved => signed(&self.key, "another.token"),
        };
        format!("{message}.{signature}")
    }
}

async fn configuration(State(provider): State<Arc<Provider>>) -> Response {
    if let Some(status) = *provider.down.lock().unwrap() {
        return status.into_response();
    }
    let base = provider.issuer.replace("/tenant", "");
    axum::Json(json!({
        "issuer": provider.issuer,
        "authorization_endpoint": format!("{base}/authorize"),
        "token_endpoint": format!("{base}/token"),
        "jwks_uri": format!("{base}/keys"),
    }))
    .into_response()
}

async fn keys(State(provider): State<Arc<Provider>>) -> axum::Json<Value> {
    let [n, e] = numbers(&provider.key);
    let one = json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "one", "n": n, "e": e});
    // Keys of kinds that we do not know are no reason to stop.
    axum::Json(json!({"keys": [{"kty": "new", "kid": "two"}, {"use": "sig"}, one]}))
}

async fn token(
    State(provider): State<Arc<Provider>>,
    headers: HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    if let Some(status) = *provider.down.lock().unwrap() {
        return status.into_response();
    }
    let escape = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", escape(CLIENT), escape(SECRET));
    let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
    assert_eq!(headers["authorization"].to_str().unwrap(), basic);
    let grant = provider.grants.lock().unwrap().remove(&form["code"]);
    let refused = || (StatusCode::BAD_REQUEST, axum::Json(json!({"error": "invalid_grant"}))).into_response();
    let Some(grant) = grant else { return refused() };
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, form["code_verifier"].as_bytes()));
    if challenge != grant.challenge || form["redirect_uri"] != grant.redirect {
        return refused();
    }
    let token = provider.token(&grant.nonce);
    *provider.last.lock().unwrap() = Some(token.clone());
    axum::Json(json!({"access_token": "unused", "token_type": "Bearer", "id_token": token})).into_response()
}

/// A house with a provider, and the owner of the house.
async fn house() -> (House, Arc<Provider>, Visitor) {
    house_with(|_| {}).await
}

async fn house_with(change: impl FnOnce(&mut ProviderSettings)) -> (House, Arc<Provider>, Visitor) {
    let house = House::open().await;
    let provider = Provider::start(&house.now).await;
    let mut settings = provider.settings();
    change(&mut settings);
    house.instance.app.set_provider(settings).unwrap();
    let owner = house.owner().await;
    (house, provider, owner)
}

/// A whole login there.
async fn log_in(provider: &Provider, visitor: &mut Visitor) -> Page {
    let left = visitor.get("/login/provider").await;
    assert_eq!(left.status, StatusCode::SEE_OTHER, "{}", left.body);
    visitor.get(&provider.log_in(&left.to)).await
}

#[tokio::test]
async fn who_is_invited_or_of_a_domain_that_is_let_in_comes_in() {
    let (house, provider, mut owner) = house().await;
    let mut dora = house.visitor();
    assert!(dora.get("/login").await.body.contains("Log in with Acme"));
    house.pass(1);
    let arrived = log_in(&provider, &mut dora).await;
    assert_eq!((arrived.status, &*arrived.to), (StatusCode::SEE_OTHER, "/"), "{}", arrived.body);
    let page = dora.get("/account").await.body;
    assert!(page.contains("Dora of Acme") && page.contains("dora@acme.example"), "{page}");
    assert_eq!(dora.get("/members").await.status, StatusCode::FORBIDDEN, "a viewer");
    let told = &lines(&house, "user.logged_in").await[0];
    assert_eq!((&told["data"]["by"], &told["address"]), (&"provider".into(), &"127.0.0.1".into()));
    // Known by issuer and subject from now on, whatever the address is.
    provider.says(json!({"email": "other@elsewhere.example", "email_verified": false, "name": null}));
    let mut again = house.visitor();
    assert_eq!(log_in(&provider, &mut again).await.to, "/");
    assert!(again.get("/account").await.body.contains("dora@acme.example"));
    // Somebody else with her address is not her.
    provider.says(json!({"sub": "subject-2"}));
    let refused = log_in(&provider, &mut house.visitor()).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(refused.body.contains("log in as before"), "{}", refused.body);
    // An invitation says what one becomes, whatever the domain.
    owner.submit("/members", "/members", &[("email", "eve@elsewhere.example"), ("role", "admin")]).await;
    provider.says(json!({"sub": "subject-3", "email": "Eve@elsewhere.example", "name": "\u{7}"}));
    let mut eve = house.visitor();
    assert_eq!(log_in(&provider, &mut eve).await.to, "/");
    assert_eq!(eve.get("/members").await.status, StatusCode::OK, "an admin");
    assert!(!owner.get("/members").await.body.contains("members/withdraw"), "the invitation is used up");
    for nobody in
        ["mallory@elsewhere.example", "mallory@not-acme.example", "mallory@acme.example.elsewhere.example"]
    {
        provider.says(json!({"sub": nobody, "email": nobody}));
        let refused = log_in(&provider, &mut house.visitor()).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
        assert!(refused.body.contains("is not invited"), "{}", refused.body);
    }
    let told = until_lines(&house, "user.login_refused", 4).await;
    assert!(told.iter().any(|line| line["data"]["reason"] == "not_invited"), "{told:?}");
    house.instance.stop().await;
}

#[tokio::test]
async fn an_account_is_linked_by_who_is_logged_in_to_it() {
    let (house, provider, mut owner) = house().await;
    provider.says(json!({"sub": "ann", "email": "ann@example.net"}));
    let refused = log_in(&provider, &mut house.visitor()).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(refused.body.contains("log in as before"), "{}", refused.body);
    // An open browser is not enough, and no page of a stranger begins it.
    let begin = async |visitor: &mut Visitor, password: &str| {
        visitor.submit("/account", "/account/provider", &[("current", password)]).await
    };
    let refused = begin(&mut owner, "wrong").await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.body.contains("This is not your password"), "{}", refused.body);
    let refused = owner.post("/account/provider", &[("current", PASSWORD)]).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "without the token of the form");
    let way = begin(&mut owner, PASSWORD).await;
    assert_eq!(way.status, StatusCode::OK, "{}", way.body);
    let address = link_of(&way.body, &provider.issuer.replace("/tenant", "/authorize?"));
    let linked = owner.get(&provider.log_in(&address)).await;
    assert_eq!(linked.to, "/account", "{}", linked.body);
    assert_eq!(lines(&house, "user.identity_linked").await.len(), 1);
    let mut other = house.visitor();
    assert_eq!(log_in(&provider, &mut other).await.to, "/");
    assert!(other.is_in().await);
    // What is linked to one account is not linked to another one.
    provider.says(json!({}));
    let mut dora = house.visitor();
    log_in(&provider, &mut dora).await;
    let way = begin(&mut dora, "").await;
    let address = link_of(&way.body, &provider.issuer.replace("/tenant", "/authorize?"));
    provider.says(json!({"sub": "ann"}));
    let refused = dora.get(&provider.log_in(&address)).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(refused.body.contains("another account"), "{}", refused.body);
    assert!(refused.body.contains("You are logged in as before"), "{}", refused.body);
    // Dora has no other way in, so she keeps this one.
    let kept = dora.submit("/account", "/account/provider/remove", &[]).await;
    assert_eq!(kept.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(kept.body.contains("Set a password first"), "{}", kept.body);
    // Unlinked, nobody comes in that way.
    let refused = owner.submit("/account", "/account/provider/remove", &[("current", "wrong")]).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let gone = owner.submit("/account", "/account/provider/remove", &[("current", PASSWORD)]).await;
    assert_eq!(gone.to, "/account", "{}", gone.body);
    assert_eq!(lines(&house, "user.identity_unlinked").await.len(), 1);
    let refused = log_in(&provider, &mut house.visitor()).await;
    assert!(refused.body.contains("log in as before"), "{}", refused.body);
    house.pass(60);
    let way = begin(&mut owner, PASSWORD).await;
    let address = link_of(&way.body, &provider.issuer.replace("/tenant", "/authorize?"));
    assert_eq!(owner.get(&provider.log_in(&address)).await.to, "/account");
    // The second factor is asked for here all the same.
    with_second_factor(&house, &mut owner).await;
    let mut half = house.visitor();
    assert_eq!(log_in(&provider, &mut half).await.to, "/login/code");
    assert_eq!(half.get("/").await.to, "/login/code");
    house.instance.stop().await;
}

/// The address of a link on a page, by its beginning.
fn link_of(page: &str, start: &str) -> String {
    let found = page.split("href=\"").find(|rest| rest.starts_with(start));
    let address = found.unwrap_or_else(|| panic!("no {start} in {page}")).split('"').next().unwrap();
    address.replace("&#38;", "&").replace("&amp;", "&")
}

#[tokio::test]
async fn who_is_logged_in_and_goes_to_the_provider_logs_in_as_who_is_there() {
    let (house, provider, mut owner) = house().await;
    // As when a page of a stranger sends the browser there.
    let arrived = log_in(&provider, &mut owner).await;
    assert_eq!(arrived.to, "/", "{}", arrived.body);
    assert!(owner.get("/account").await.body.contains("dora@acme.example"), "another session");
    assert!(lines(&house, "user.identity_linked").await.is_empty());
    // A link that was begun in a session that is over is for nobody.
    let mut ann = house.visitor();
    ann.log_in("ann@example.net", PASSWORD).await;
    let way = ann.submit("/account", "/account/provider", &[("current", PASSWORD)]).await;
    let address = link_of(&way.body, &provider.issuer.replace("/tenant", "/authorize?"));
    ann.submit("/account", "/logout", &[]).await;
    provider.says(json!({"sub": "ann", "email": "ann@acme.example"}));
    let refused = ann.get(&provider.log_in(&address)).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.body);
    assert!(!ann.is_in().await && lines(&house, "user.identity_linked").await.is_empty());
    house.instance.stop().await;
}

#[tokio::test]
async fn whoever_logs_in_sees_what_was_asked_for() {
    let (house, provider, mut owner) = house().await;
    let mut dora = house.visitor();
    let asked = dora.get("/messages").await.to;
    dora.get(&asked).await;
    assert_eq!(log_in(&provider, &mut dora).await.to, "/messages");
    assert!(!dora.cookies.contains_key("countersign-next"), "taken away");
    // Over the second factor too.
    let key = with_second_factor(&house, &mut owner).await;
    for (path, wanted) in [("/history", "/history"), ("//evil.example", "/")] {
        let mut ann = house.visitor();
        let form = [("email", "ann@example.net"), ("password", PASSWORD)];
        assert_eq!(ann.submit(&format!("/login?next={path}"), "/login", &form).await.to, "/login/code");
        house.pass(30);
        let code = code(&key, house.now.load(Ordering::SeqCst));
        let done = ann.submit("/login/code", "/login/code", &[("code", &code)]).await;
        assert_eq!(done.to, wanted, "{}", done.body);
    }
    house.instance.stop().await;
}

#[tokio::test]
async fn the_operator_may_say_that_an_address_is_enough() {
    let (house, provider, _) = house_with(|settings| settings.link_by_address = true).await;
    provider.says(json!({"sub": "ann", "email": "ann@example.net", "email_verified": false}));
    let refused = log_in(&provider, &mut house.visitor()).await;
    assert!(refused.body.contains("has not verified"), "{}", refused.body);
    provider.says(json!({"sub": "ann", "email": "ann@example.net", "email_verified": "true"}));
    assert_eq!(log_in(&provider, &mut house.visitor()).await.to, "/");
    assert_eq!(lines(&house, "user.identity_linked").await[0]["data"]["by"], "address");
    house.instance.stop().await;
}

#[tokio::test]
async fn a_token_that_is_not_good_is_refused() {
    let (house, provider, _owner) = house().await;
    let now = house.now.load(Ordering::SeqCst);
    let tokens = [
        (json!({"nonce": "another"}), Signing::Right, "nonce", "another login"),
        (json!({"nonce": null}), Signing::Right, "nonce", "another login"),
        (json!({"aud": "somebody else"}), Signing::Right, "audience", "another application"),
        (json!({"aud": [CLIENT, "somebody else"]}), Signing::Right, "audience", "another application"),
        (json!({"azp": "somebody else"}), Signing::Right, "audience", "another application"),
        (json!({"iss": "https://evil.example"}), Signing::Right, "issuer", "another provider"),
        (json!({"iss": format!("{}/", provider.issuer)}), Signing::Right, "issuer", "another provider"),
        (json!({"exp": now - 61}), Signing::Right, "expired", "too old"),
        (json!({"iat": now - 3600}), Signing::Right, "expired", "too old"),
        (json!({"iat": now + 3600}), Signing::Right, "future", "clocks"),
        (json!({"exp": "never"}), Signing::Right, "malformed", "no ID token"),
        (json!({"sub": ""}), Signing::Right, "subject", "names nobody"),
        (json!({"sub": "x".repeat(256)}), Signing::Right, "subject", "names nobody"),
        (json!({}), Signing::None, "algorithm", "a way that is not taken"),
        (json!({}), Signing::PublicAsSecret, "algorithm", "a way that is not taken"),
        (json!({}), Signing::Critical, "algorithm", "a way that is not taken"),
        (json!({}), Signing::OtherKey, "signature", "signature is not right"),
        (json!({}), Signing::Moved, "signature", "signature is not right"),
        (json!({}), Signing::UnknownKey, "key", "does not publish"),
        (json!({"email_verified": false}), Signing::Right, "unverified_email", "has not verified"),
        (json!({"email_verified": null}), Signing::Right, "unverified_email", "has not verified"),
        (json!({"email": null}), Signing::Right, "no_email", "no e-mail address"),
        (json!({"email": "nonsense"}), Signing::Right, "no_email", "no e-mail address"),
    ];
    let count = tokens.len();
    for (number, (claims, signing, reason, words)) in tokens.into_iter().enumerate() {
        provider.says(claims.clone());
        *provider.signing.lock().unwrap() = signing;
        // Each from an address of its own: a client has twenty tries a minute.
        let mut visitor = house.visitor_from([127, 0, 2, u8::try_from(number).unwrap()]);
        let refused = log_in(&provider, &mut visitor).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{claims}: {}", refused.body);
        assert!(refused.body.contains(words), "{claims}: {}", refused.body);
        assert!(!visitor.is_in().await, "{claims}");
        let told = until_lines(&house, "user.login_refused", number + 1).await;
        let id = refused.headers["x-request-id"].to_str().unwrap();
        let line = told.iter().find(|line| line["request_id"] == id).unwrap();
        assert_eq!((&line["data"]["reason"], &line["actor"]["type"]), (&reason.into(), &"visitor".into()));
    }
    assert_eq!(lines(&house, "user.login_refused").await.len(), count);
    assert_eq!(house.api.get("/members").await["data"].as_array().unwrap().len(), 1, "nobody came in");
    // And the same provider lets in who has a good one.
    provider.says(json!({}));
    *provider.signing.lock().unwrap() = Signing::Right;
    assert_eq!(log_in(&provider, &mut house.visitor()).await.to, "/");
    house.instance.stop().await;
}

#[tokio::test]
async fn an_answer_is_good_once_and_in_the_browser_that_asked() {
    let (house, provider, _owner) = house().await;
    let is_refused = |page: &Page| {
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{}", page.body);
        assert!(page.body.contains("was not begun in this browser"), "{}", page.body);
    };
    let mut dora = house.visitor();
    let left = dora.get("/login/provider").await;
    let back = provider.log_in(&left.to);
    is_refused(&house.visitor().get(&back).await);
    is_refused(&dora.clone().get(&back.replace("state=", "state=x")).await);
    is_refused(&dora.clone().get("/login/provider/back").await);
    // Who was sent the answer of another one does not become them.
    let mut mallory = house.visitor();
    mallory.get("/login/provider").await;
    is_refused(&mallory.get(&back).await);
    let before = dora.clone();
    assert_eq!(dora.get(&back).await.to, "/");
    assert!(!dora.cookies.contains_key("countersign-provider"), "taken away");
    is_refused(&dora.get(&back).await);
    is_refused(&before.clone().get(&back).await);
    // The provider does not take a code twice either, if it came so far.
    let mut dora = house.visitor_from([127, 0, 0, 2]);
    let left = dora.get("/login/provider").await;
    let state = provider.log_in(&left.to).split_once("&state=").unwrap().1.to_owned();
    let with_used_code = back.split_once("&state=").unwrap().0;
    let refused = dora.get(&format!("{with_used_code}&state={state}")).await;
    assert!(refused.body.contains("invalid_grant"), "{}", refused.body);
    // Ten minutes.
    let left = dora.get("/login/provider").await;
    let back = provider.log_in(&left.to);
    house.pass(600);
    is_refused(&dora.get(&back).await);
    // What the provider says of it is shown, and nothing that a browser would obey.
    for (error, words) in [("access_denied", "you did not log in there"), ("%3Cb%3Esorry", "&lt;b&gt;sorry")]
    {
        let left = dora.get("/login/provider").await;
        let state = provider.log_in(&left.to).split_once("&state=").unwrap().1.to_owned();
        let refused = dora.get(&format!("/login/provider/back?error={error}&state={state}")).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
        assert!(
            refused.body.contains(words) || refused.body.contains("&#60;b&#62;sorry"),
            "{}",
            refused.body
        );
    }
    let left = dora.get("/login/provider").await;
    let back = format!("{}&iss=https://evil.example", provider.log_in(&left.to));
    assert!(dora.get(&back).await.body.contains("from another provider"));
    house.instance.stop().await;
}

#[tokio::test]
async fn a_provider_that_is_down_keeps_nobody_out_who_has_a_password() {
    let (house, provider, _owner) = house().await;
    *provider.down.lock().unwrap() = Some(StatusCode::INTERNAL_SERVER_ERROR);
    let mut visitor = house.visitor();
    let page = visitor.get("/login/provider").await;
    assert_eq!(page.status, StatusCode::BAD_GATEWAY, "{}", page.body);
    assert!(
        page.body.contains("answered with status 500") && page.body.contains("password"),
        "{}",
        page.body
    );
    let told = until_lines(&house, "user.login_refused", 1).await;
    assert_eq!(told[0]["data"]["reason"], "down");
    assert_eq!(visitor.log_in("ann@example.net", PASSWORD).await.to, "/");
    // It is asked again after a while.
    *provider.down.lock().unwrap() = None;
    house.pass(5);
    let mut dora = house.visitor();
    let left = dora.get("/login/provider").await;
    assert_eq!(left.status, StatusCode::SEE_OTHER, "{}", left.body);
    let back = provider.log_in(&left.to);
    *provider.down.lock().unwrap() = Some(StatusCode::SERVICE_UNAVAILABLE);
    let page = dora.get(&back).await;
    assert_eq!(page.status, StatusCode::BAD_GATEWAY, "{}", page.body);
    house.instance.stop().await;
    // One that is not there at all, and one that says it is another.
    let house = House::open().await;
    let nobody = ProviderSettings { issuer: "http://127.0.0.1:1".to_owned(), ..provider.settings() };
    house.instance.app.set_provider(nobody).unwrap();
    let page = house.visitor().get("/login/provider").await;
    assert_eq!(page.status, StatusCode::BAD_GATEWAY);
    assert!(page.body.contains("does not answer"), "{}", page.body);
    house.instance.stop().await;
    *provider.down.lock().unwrap() = None;
    let house = House::open().await;
    let other = ProviderSettings { issuer: format!("{}/", provider.issuer), ..provider.settings() };
    house.instance.app.set_provider(other).unwrap();
    let page = house.visitor().get("/login/provider").await;
    assert!(page.body.contains("another issuer"), "{}", page.body);
    house.instance.stop().await;
}

#[tokio::test]
async fn without_a_provider_there_is_nothing_of_it() {
    let house = House::open().await;
    let mut owner = house.owner().await;
    assert_eq!(owner.get("/login/provider").await.status, StatusCode::NOT_FOUND);
    assert_eq!(owner.get("/login/provider/back?code=x&state=y").await.status, StatusCode::NOT_FOUND);
    assert!(!house.visitor().get("/login").await.body.contains("/login/provider"));
    house.instance.stop().await;
}
