//! In front of every page: who may ask, and what every answer carries.
//!
//! A page of a stranger whose name was pointed at this machine must not read the dashboard (DNS rebinding): only requests
//! addressed to it by its own name are answered, the public pages aside, which anybody may read by any name. A page of a
//! stranger must not post a form to it (CSRF): browsers tell where a request comes from (Fetch Metadata; RFC 6454 §7), and
//! what does not come from here is refused. Where people log in, each form carries a token of its session too, and each
//! route says which role it needs ([`crate::routes`]): both are looked at here and nowhere else.

use crate::{
    FORM_LIMIT, Pages, Web,
    check::forwarded_for,
    page::{self, Notice},
    routes::{Needs, Table},
    visit::with_token,
};
use app::{
    access::{Caller, ClientAddress, Origin},
    users::is_at_least,
};
use axum::{
    extract::{ConnectInfo, MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use model::RequestId;
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

/// What pages may load: our own style sheet and script, and pictures that are in the page itself.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The same for a page with a frame of ours.
pub(crate) const CONTENT_SECURITY_POLICY_WITH_FRAME: &str = "default-src 'none'; script-src 'self'; \
    style-src 'self'; img-src 'self' data:; connect-src 'self'; frame-src 'self'; form-action 'self'; \
    base-uri 'none'; frame-ancestors 'none'";

/// What the guard knows.
#[derive(Clone)]
pub(crate) struct Guard {
    pub pages: Pages,
    /// As whom everybody acts, where nobody logs in.
    pub viewer: Option<Caller>,
    pub table: Arc<Table>,
}

/// Who the client of a request is: the address of the connection, or what one of `proxies` says of it in
/// `X-Forwarded-For`.
pub fn client_address(proxies: &[IpAddr], request: &Request) -> IpAddr {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    // Without an address (a test, another kind of listener) all clients are taken for one.
    let peer = peer.map_or(Ipv4Addr::UNSPECIFIED.into(), |ConnectInfo(address)| address.ip());
    forwarded_for(proxies, peer.to_canonical(), request.headers())
}

/// Refuses, or lets pass, renders what a handler left to be told, and sets the headers.
pub(crate) async fn stand(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let mut pages = guard.pages.clone();
    let mut cookie = None;
    let id = pages.app.request_id();
    let mut response = match refusal(&pages, request.method(), request.uri(), request.headers()) {
        Some(reason) => (StatusCode::FORBIDDEN, format!("{reason}\n")).into_response(),
        None => match guard.admit(request, id, &mut pages, &mut cookie).await {
            Ok(request) => next.run(request).await,
            Err(response) => *response,
        },
    };
    if let Some(notice) = response.extensions_mut().remove::<Notice>() {
        response = page::notice(&pages, notice);
    }
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        headers.insert(HeaderName::from_static("x-request-id"), value);
    }
    if let Some(cookie) = cookie {
        headers.append(header::SET_COOKIE, cookie);
    }
    if pages.login.as_ref().is_some_and(|login| login.is_secure()) {
        // RFC 6797: a year.
        let value = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, value);
    }
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Not "no-referrer": browsers would then send forms with "Origin: null".
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

impl Guard {
    /// Looks up who visits and whether they may, and leaves that with the request. The error is the answer.
    async fn admit(
        &self,
        mut request: Request,
        id: RequestId,
        pages: &mut Pages,
        cookie: &mut Option<HeaderValue>,
    ) -> Result<Request, Box<Response>> {
        let known = request.extensions().get::<ClientAddress>().map(|ClientAddress(address)| *address);
        let client = known.unwrap_or_else(|| client_address(&pages.proxies, &request));
        let origin = Origin { address: Some(client), request_id: Some(id) };
        let path = request.extensions().get::<MatchedPath>().cloned();
        let path = path.as_ref().map_or("", MatchedPath::as_str);
        let mut viewer = self.viewer.clone();
        if let Some(login) = pages.login.clone() {
            let is_use = !path.ends_with("/live");
            let visit = login.visit(pages, request.headers(), origin, is_use).await;
            let (visit, set) = visit.map_err(|error| Box::new(page::Failure::from(error).into_response()))?;
            viewer = visit.user.as_ref().map(app::users::sessions::LoggedIn::caller);
            pages.visit = Arc::new(visit);
            *cookie = set.filter(|_| self.table.needs(request.method(), path) == Some(Needs::Token));
            request = self.admit_visitor(request, pages, path).await?;
        }
        request.extensions_mut().insert(pages.clone());
        if let Some(viewer) = viewer {
            let viewer = Caller { origin, ..viewer };
            let app = Arc::clone(&pages.app);
            request.extensions_mut().insert(Web { app, viewer, pages: pages.clone() });
        }
        Ok(request)
    }

    /// Whether who visits may have this route, and whether a form carries its token.
    async fn admit_visitor(
        &self,
        request: Request,
        pages: &Pages,
        path: &str,
    ) -> Result<Request, Box<Response>> {
        // What is in no route has nothing behind it.
        let Some(needs) = self.table.needs(request.method(), path) else { return Ok(request) };
        let user = pages.visit.user.as_ref();
        match (needs, user) {
            (Needs::Session | Needs::Role(_), None) => return Err(Box::new(to_login(&request, path))),
            (Needs::Role(_), Some(user)) if user.waits_for_code => {
                return Err(Box::new(Redirect::to("/login/code").into_response()));
            }
            (Needs::Role(role), Some(user)) if !is_at_least(user.role, role) => {
                let message = format!("You are a {} of {} here.", user.role.as_str(), user.organisation);
                let next =
                    "Ask an owner or an admin of the organisation to do it, or to give you another role.";
                return Err(Box::new(refused("Not allowed", message, next)));
            }
            (Needs::Nothing | Needs::Token | Needs::Session | Needs::Role(_), _) => {}
        }
        if needs == Needs::Nothing || request.method() != Method::POST {
            return Ok(request);
        }
        with_token(request, &pages.visit.form_token, FORM_LIMIT).await.ok_or_else(|| {
            let message =
                "Nothing was changed: the form is from before you logged in, too large, too slow, or not from here.";
            Box::new(refused("This form is not valid any more", message.to_owned(), AGAIN))
        })
    }
}

const AGAIN: &str = "Go back, load the page again, and send the form once more.";

/// A page that says why not.
fn refused(title: &'static str, message: String, next: &'static str) -> Response {
    let notice = Notice { status: StatusCode::FORBIDDEN, title, message, next, retry_after: None };
    notice.answer()
}

/// Who is not logged in logs in, and then sees what was asked for.
fn to_login(request: &Request, path: &str) -> Response {
    if path.ends_with("/live") {
        return (StatusCode::UNAUTHORIZED, "Log in again.\n").into_response();
    }
    let wanted = request.uri().path();
    if request.method() != Method::GET || wanted == "/" || !is_own_path(wanted) {
        return Redirect::to("/login").into_response();
    }
    Redirect::to(&format!("/login?next={wanted}")).into_response()
}

/// Whether this is the path of a page of ours, and nothing that a browser would take for another site.
pub(crate) fn is_own_path(text: &str) -> bool {
    text.starts_with('/')
        && !text.starts_with("//")
        && text.len() < 200
        && text
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'/' | b'_' | b'-' | b'.'))
}

/// Why a request is refused, if it is.
fn refusal(pages: &Pages, method: &Method, uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let login = pages.login.as_deref().map(|login| (login.host.as_str(), login.is_secure()));
    refusal_of(pages.public, login, method, uri, headers)
}

fn refusal_of(
    public: bool,
    login: Option<(&str, bool)>,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> Option<String> {
    let Some(host) = requested_host(uri, headers) else {
        return Some("Refused: the request has no Host header, or more than one.".to_owned());
    };
    let is_own = match login {
        _ if public => true,
        None => is_this_machine(host),
        Some((own, is_secure)) => host.eq_ignore_ascii_case(own) || (!is_secure && is_this_machine(host)),
    };
    if !is_own {
        let shown: String = host.chars().filter(|c| !c.is_control()).take(100).collect();
        return Some(match login {
            Some((own, _)) => format!(
                "Refused: this request is addressed to \"{shown}\", and the dashboard is at {own}. Where that is right, a \
                 proxy in front of it has to hand on the Host header, or public_url has to say the other name."
            ),
            None => format!(
                "Refused: this request is addressed to \"{shown}\". The dashboard has no login, so it answers only at \
                 localhost, 127.0.0.0/8 and [::1]; otherwise a web page of a stranger could read it (DNS rebinding). \
                 Open it by one of these names. From another machine, forward the port: \
                 ssh -L 8080:127.0.0.1:PORT that-machine"
            ),
        });
    }
    if method == Method::GET || method == Method::HEAD {
        return None;
    }
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("unreadable"));
    match text(HeaderName::from_static("sec-fetch-site")) {
        None | Some("same-origin" | "none") => {}
        Some(_) => return Some(FOREIGN.to_owned()),
    }
    match text(header::ORIGIN) {
        Some(origin) if !is_own_origin(origin, host) => Some(FOREIGN.to_owned()),
        _ => None,
    }
}

const FOREIGN: &str = "Refused: this form was sent from another web site. \
    Nothing was changed. Open the page itself and send the form from there.";

/// Whether a request may be addressed so to what only its operator reaches: by a name of this machine, by an address, or
/// by one of `names`. A page of a stranger reaches it by a name of its own only (DNS rebinding).
pub fn is_addressed_to_operator(names: &[String], uri: &Uri, headers: &HeaderMap) -> bool {
    let Some(host) = requested_host(uri, headers) else { return false };
    if is_this_machine(host) || host.parse::<SocketAddr>().is_ok() || host.parse::<Ipv4Addr>().is_ok() {
        return true;
    }
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok();
    }
    let name = match host.split_once(':') {
        Some((name, port)) if is_port(&format!(":{port}")) => name,
        Some(_) => return false,
        None => host,
    };
    names.iter().any(|own| own.eq_ignore_ascii_case(name) || own.eq_ignore_ascii_case(host))
}

/// The host and port that the request is addressed to; `None` when that is not clear.
fn requested_host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    let mut values = headers.get_all(header::HOST).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => {
            let host = value.to_str().ok()?;
            // An absolute address in the request line goes before the header (RFC 9112 §3.2.2): both must agree.
            uri.authority().is_none_or(|authority| authority.as_str() == host).then_some(host)
        }
        (None, _) => uri.authority().map(axum::http::uri::Authority::as_str),
        (Some(_), Some(_)) => None,
    }
}

/// Whether a host, with or without a port, is a name that no other machine has.
pub fn is_this_machine(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => {
            return address.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback()) && is_port(port);
        }
        None => host.find(':').map_or((host, ""), |at| host.split_at(at)),
    };
    let is_local = name.eq_ignore_ascii_case("localhost")
        || name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback());
    is_local && is_port(port)
}

fn is_port(text: &str) -> bool {
    text.is_empty()
        || text.strip_prefix(':').is_some_and(|digits| {
            !digits.is_empty() && digits.len() <= 5 && digits.bytes().all(|digit| digit.is_ascii_digit())
        })
}

/// The dashboard's origin is the requested host itself, plain or behind a proxy that adds TLS.
fn is_own_origin(origin: &str, host: &str) -> bool {
    let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(method: &Method, fields: &[(&'static str, &str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        refusal_of(false, None, method, &Uri::from_static("/"), &headers).is_some()
    }

    #[test]
    fn only_this_machine_s_names_are_answered() {
        for host in ["localhost", "LOCALHOST:8080", "127.0.0.1", "127.1.2.3:80", "[::1]", "[::1]:8080"] {
            assert!(!refused(&Method::GET, &[("host", host)]), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "192.168.0.1",
            "0.0.0.0",
            "[::2]",
            "[::1].evil.example",
            "localhost:80:evil",
            "localhost:",
            "",
        ] {
            assert!(refused(&Method::GET, &[("host", host)]), "{host}");
        }
        assert!(refused(&Method::GET, &[]));
        assert!(refused(&Method::GET, &[("host", "localhost"), ("host", "evil.example")]));
    }

    #[test]
    fn the_operator_s_listener_has_addresses_and_the_names_that_it_was_given() {
        let names = ["metrics.internal".to_owned(), "node1:8082".to_owned()];
        let is_let_in = |host: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_str(host).unwrap());
            is_addressed_to_operator(&names, &Uri::from_static("/"), &headers)
        };
        for host in [
            "localhost:8082",
            "127.0.0.1",
            "10.0.0.5",
            "10.0.0.5:8082",
            "[fd00::5]",
            "[fd00::5]:8082",
            "metrics.internal",
            "Metrics.internal:9000",
            "node1:8082",
        ] {
            assert!(is_let_in(host), "{host}");
        }
        for host in [
            "evil.example",
            "10.0.0.5.evil.example",
            "metrics.internal.evil.example",
            "node1",
            "[x]",
            "a:b",
            "",
        ] {
            assert!(!is_let_in(host), "{host}");
        }
        assert!(!is_addressed_to_operator(&names, &Uri::from_static("/"), &HeaderMap::new()));
    }

    #[test]
    fn an_absolute_address_cannot_differ_from_the_host_header() {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("localhost"));
        let reason =
            |uri: &'static str| refusal_of(false, None, &Method::GET, &Uri::from_static(uri), &headers);
        assert!(reason("http://localhost/").is_none());
        assert!(reason("http://evil.example/").is_some());
    }

    #[test]
    fn forms_are_taken_from_our_own_pages_only() {
        let post = |fields: &[(&'static str, &str)]| {
            let all: Vec<_> = [("host", "localhost:8080")].iter().chain(fields).copied().collect();
            refused(&Method::POST, &all)
        };
        assert!(!post(&[]));
        assert!(!post(&[("sec-fetch-site", "same-origin"), ("origin", "http://localhost:8080")]));
        assert!(!post(&[("sec-fetch-site", "none")]));
        assert!(post(&[("sec-fetch-site", "cross-site")]));
        assert!(post(&[("sec-fetch-site", "same-site")]));
        assert!(post(&[("origin", "http://evil.example")]));
        assert!(post(&[("origin", "http://localhost:9999")]));
        assert!(post(&[("origin", "null")]));
        assert!(!refused(&Method::GET, &[("host", "localhost"), ("sec-fetch-site", "cross-site")]));
    }

    #[test]
    fn a_dashboard_with_login_has_one_name() {
        let of = |login, host: &'static str| {
            let headers = [(header::HOST, HeaderValue::from_static(host))].into_iter().collect();
            refusal_of(false, Some(login), &Method::GET, &Uri::from_static("/"), &headers)
        };
        assert_eq!(of(("mail.example.com", true), "Mail.example.com"), None);
        assert!(of(("mail.example.com", true), "127.0.0.1:8080").unwrap().contains("public_url"));
        assert!(of(("mail.example.com", true), "evil.example").is_some());
        assert_eq!(of(("127.0.0.1:8080", false), "localhost:8080"), None);
        assert!(of(("127.0.0.1:8080", false), "evil.example").is_some());
    }

    #[test]
    fn only_paths_of_ours_are_gone_back_to() {
        for own in ["/", "/domains/dom_01", "/members"] {
            assert!(is_own_path(own), "{own}");
        }
        for other in
            ["", "//evil.example", "https://evil.example", "/\\evil.example", "/a?b", "/%0a", "domains"]
        {
            assert!(!is_own_path(other), "{other}");
        }
    }

    #[test]
    fn public_pages_have_any_name_and_take_their_own_forms_only() {
        let of = |method: &Method, origin: &'static str| {
            let fields = [(header::HOST, "check.example"), (header::ORIGIN, origin)];
            let headers = fields.into_iter().map(|(name, value)| (name, HeaderValue::from_static(value)));
            refusal_of(true, None, method, &Uri::from_static("/check"), &headers.collect())
        };
        assert_eq!(of(&Method::GET, "https://evil.example"), None);
        assert_eq!(of(&Method::POST, "https://check.example"), None);
        assert!(of(&Method::POST, "https://evil.example").is_some());
        assert!(refusal_of(true, None, &Method::GET, &Uri::from_static("/"), &HeaderMap::new()).is_some());
    }
}
