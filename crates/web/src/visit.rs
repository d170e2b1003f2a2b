//! Who visits: the session behind a request's cookie, and the token that the forms of its pages carry.
//!
//! Forms carry a token of the session, so that a page of a stranger cannot post one; before there is a session, one of a
//! cookie that is made for that. It is looked for in one place, in front of all routes ([`crate::guard`]).

use crate::Pages;
use app::{
    Error,
    access::Origin,
    users::sessions::{Begun, LoggedIn, form_token},
};
use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};
use std::time::Duration;
use tokio::time::timeout;

/// The name of the field that forms carry.
pub(crate) const FORM_FIELD: &str = "_csrf";

/// How long a browser keeps the cookie of a session, in seconds. The session may end earlier.
const LIFE: u32 = 30 * 24 * 3600;

/// How long it keeps what is needed while somebody logs in, in seconds: at a provider, or where they wanted to go.
const AWAY: u32 = 600;

/// How long the octets of a form may take.
const READING: Duration = Duration::from_secs(30);

/// Who visits.
#[derive(Clone, Default)]
pub(crate) struct Visit {
    /// Who is logged in.
    pub user: Option<LoggedIn>,
    /// The secret of the session, whether or not it is one any more.
    pub secret: Option<String>,
    /// What the browser keeps while it is at the provider of the login.
    pub provider_secret: Option<String>,
    /// What page was asked for before the login, as the browser says.
    pub next: Option<String>,
    /// The token of forms; empty where none is wanted.
    pub form_token: String,
    /// Where the request comes from.
    pub origin: Origin,
}

/// How people log in here.
#[derive(Debug, Clone)]
pub(crate) struct LoginSettings {
    /// Whether browsers come by TLS.
    is_secure: bool,
    /// The host of the dashboard's address.
    pub host: String,
}

impl LoginSettings {
    pub fn new(public_url: &str) -> Self {
        let is_secure = public_url.starts_with("https://");
        let host = public_url.split_once("://").map_or(public_url, |(_, host)| host);
        Self { is_secure, host: host.to_owned() }
    }

    pub fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// The cookie of a session. With TLS a name that no other host, path or plain connection can set (RFC 6265bis §4.1.3).
    fn session_cookie(&self) -> &'static str {
        if self.is_secure { "__Host-countersign" } else { "countersign" }
    }

    fn form_cookie(&self) -> &'static str {
        if self.is_secure { "__Host-countersign-form" } else { "countersign-form" }
    }

    fn provider_cookie(&self) -> &'static str {
        if self.is_secure { "__Host-countersign-provider" } else { "countersign-provider" }
    }

    fn next_cookie(&self) -> &'static str {
        if self.is_secure { "__Host-countersign-next" } else { "countersign-next" }
    }

    fn cookie(&self, name: &str, value: &str, life: Option<u32>) -> Option<HeaderValue> {
        let secure = if self.is_secure { "; Secure" } else { "" };
        let life = life.map_or_else(String::new, |seconds| format!("; Max-Age={seconds}"));
        format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{life}").parse().ok()
    }

    /// Looks up who visits. The second is a cookie to set: the one for the forms of who is not logged in.
    pub async fn visit(
        &self,
        pages: &Pages,
        headers: &HeaderMap,
        origin: Origin,
        is_use: bool,
    ) -> Result<(Visit, Option<HeaderValue>), Error> {
        let secret = cookie_of(headers, self.session_cookie());
        let provider_secret = cookie_of(headers, self.provider_cookie());
        let next = cookie_of(headers, self.next_cookie());
        let user = match &secret {
            Some(secret) => pages.app.logged_in(secret, is_use).await?,
            None => None,
        };
        if let (Some(_), Some(secret)) = (&user, &secret) {
            let form_token = form_token(secret);
            let secret = Some(secret.clone());
            return Ok((Visit { user, secret, provider_secret, next, form_token, origin }, None));
        }
        let known = cookie_of(headers, self.form_cookie()).filter(|known| known.len() == 52);
        let (own, set) = if let Some(known) = known {
            (known, None)
        } else {
            let new = pages.app.new_form_secret();
            let set = self.cookie(self.form_cookie(), &new, None);
            (new, set)
        };
        let form_token = form_token(&own);
        Ok((Visit { user: None, secret, provider_secret, next, form_token, origin }, set))
    }

    /// Gives the browser its session.
    pub fn begin(&self, begun: &Begun, mut response: Response) -> Response {
        if let Some(cookie) = self.cookie(self.session_cookie(), &begun.secret, Some(LIFE)) {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        response
    }

    /// Gives the browser what it keeps while it is at the provider of the login.
    pub fn leave(&self, secret: &str, mut response: Response) -> Response {
        if let Some(cookie) = self.cookie(self.provider_cookie(), secret, Some(AWAY)) {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        response
    }

    /// Has the browser keep which page was asked for, over all ways to log in; nothing takes it away.
    pub fn remember(&self, next: &str, mut response: Response) -> Response {
        let life = if next.is_empty() { 0 } else { AWAY };
        if let Some(cookie) = self.cookie(self.next_cookie(), next, Some(life)) {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        response
    }

    /// Takes away what was for the way to the provider.
    pub fn back(&self, mut response: Response) -> Response {
        if let Some(cookie) = self.cookie(self.provider_cookie(), "", Some(0)) {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        response
    }

    /// Takes the browser's session away.
    pub fn end(&self, mut response: Response) -> Response {
        if let Some(cookie) = self.cookie(self.session_cookie(), "", Some(0)) {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        response
    }
}

/// The value of a cookie, where there is one of this name.
fn cookie_of(headers: &HeaderMap, name: &str) -> Option<String> {
    let mut found = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(found, _)| *found == name);
    match (found.next(), found.next()) {
        (Some((_, value)), None) => Some(value.to_owned()),
        _ => None,
    }
}

/// Reads the form, looks whether it carries the token, and gives the request back as it was; `None` where it does not,
/// is too large, or does not come in time.
pub(crate) async fn with_token(request: Request, token: &str, limit: usize) -> Option<Request> {
    let (parts, body) = request.into_parts();
    let octets = timeout(READING, to_bytes(body, limit)).await.ok()?.ok()?;
    let prefix = format!("{FORM_FIELD}=");
    let mut given =
        octets.split(|octet| *octet == b'&').filter_map(|pair| pair.strip_prefix(prefix.as_bytes()));
    let is_right = match (given.next(), given.next()) {
        (Some(given), None) => is_same(given, token.as_bytes()),
        _ => false,
    };
    is_right.then(|| Request::from_parts(parts, Body::from(octets)))
}

/// Compares without telling by its time where the first difference is.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    !other.is_empty()
        && one.len() == other.len()
        && one.iter().zip(other).fold(0, |different, (a, b)| different | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_bound_to_the_host_where_there_is_tls() {
        let plain = LoginSettings::new("http://127.0.0.1:8080");
        let shown = plain.cookie(plain.session_cookie(), "x", Some(1)).unwrap();
        assert_eq!(shown, "countersign=x; Path=/; HttpOnly; SameSite=Lax; Max-Age=1");
        let secure = LoginSettings::new("https://mail.example.com");
        let shown = secure.cookie(secure.session_cookie(), "x", None).unwrap();
        assert_eq!(shown, "__Host-countersign=x; Path=/; HttpOnly; SameSite=Lax; Secure");
        assert_eq!(secure.host, "mail.example.com");
    }

    #[test]
    fn one_cookie_of_a_name_is_read() {
        let of = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.append(header::COOKIE, HeaderValue::from_static(text));
            cookie_of(&headers, "a")
        };
        assert_eq!(of("b=1; a=2; c=3").as_deref(), Some("2"));
        assert_eq!(of("a=1; a=2"), None);
        assert_eq!(of("aa=1"), None);
    }

    #[tokio::test]
    async fn a_form_carries_its_token_once() {
        let of = async |body: &'static str| {
            let request = Request::new(Body::from(body));
            match with_token(request, "0f", 100).await {
                Some(request) => to_bytes(request.into_body(), 100).await.unwrap() == body.as_bytes(),
                None => false,
            }
        };
        assert!(of("_csrf=0f&domain=x").await && of("domain=x&_csrf=0f").await);
        for bad in ["", "domain=x", "_csrf=", "_csrf=0e", "_csrf=0f0f", "_csrf=0f&_csrf=0f", "x_csrf=0f"] {
            assert!(!of(bad).await, "{bad}");
        }
        let empty = with_token(Request::new(Body::from("_csrf=")), "", 100).await;
        assert!(empty.is_none(), "no token fits where none is known");
        assert!(with_token(Request::new(Body::from("_csrf=0f")), "0f", 3).await.is_none(), "too large");
    }
}
