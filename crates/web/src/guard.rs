//! In front of every page: who may ask, and what every answer carries.
//!
//! The dashboard has no login, so two things must not happen. A page of a stranger whose name was pointed at this
//! machine must not read it (DNS rebinding): only requests addressed to this machine's own names are answered, the
//! public pages aside, which anybody may read by any name. A page of a stranger must not post a form to it (CSRF): browsers tell where a request comes from (Fetch Metadata;
//! RFC 6454 §7), and what does not come from here is refused.

use crate::{
    Pages,
    page::{self, Notice},
};
use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::net::{Ipv4Addr, Ipv6Addr};

/// What pages may load: our own style sheet and script, and pictures that are in the page itself.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The same for a page with a frame of ours.
pub(crate) const CONTENT_SECURITY_POLICY_WITH_FRAME: &str = "default-src 'none'; script-src 'self'; \
    style-src 'self'; img-src 'self' data:; connect-src 'self'; frame-src 'self'; form-action 'self'; \
    base-uri 'none'; frame-ancestors 'none'";

/// Refuses, or lets pass, renders what a handler left to be told, and sets the headers.
pub(crate) async fn stand(State(pages): State<Pages>, request: Request, next: Next) -> Response {
    let mut response = match refusal(pages.public, request.method(), request.uri(), request.headers()) {
        Some(reason) => (StatusCode::FORBIDDEN, format!("{reason}\n")).into_response(),
        None => next.run(request).await,
    };
    if let Some(notice) = response.extensions_mut().remove::<Notice>() {
        response = page::notice(&pages, notice);
    }
    let headers = response.headers_mut();
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

/// Why a request is refused, if it is.
fn refusal(public: bool, method: &Method, uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let Some(host) = requested_host(uri, headers) else {
        return Some("Refused: the request has no Host header, or more than one.".to_owned());
    };
    if !public && !is_this_machine(host) {
        let shown: String = host.chars().filter(|c| !c.is_control()).take(100).collect();
        return Some(format!(
            "Refused: this request is addressed to \"{shown}\". The dashboard has no login, so it answers only at \
             localhost, 127.0.0.0/8 and [::1]; otherwise a web page of a stranger could read it (DNS rebinding). \
             Open it by one of these names. From another machine, forward the port: \
             ssh -L 8080:127.0.0.1:PORT that-machine"
        ));
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
        refusal(false, method, &Uri::from_static("/"), &headers).is_some()
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
    fn an_absolute_address_cannot_differ_from_the_host_header() {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("localhost"));
        let reason = |uri: &'static str| refusal(false, &Method::GET, &Uri::from_static(uri), &headers);
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
    fn public_pages_have_any_name_and_take_their_own_forms_only() {
        let of = |method: &Method, origin: &'static str| {
            let fields = [(header::HOST, "check.example"), (header::ORIGIN, origin)];
            let headers = fields.into_iter().map(|(name, value)| (name, HeaderValue::from_static(value)));
            refusal(true, method, &Uri::from_static("/check"), &headers.collect())
        };
        assert_eq!(of(&Method::GET, "https://evil.example"), None);
        assert_eq!(of(&Method::POST, "https://check.example"), None);
        assert!(of(&Method::POST, "https://evil.example").is_some());
        assert!(refusal(true, &Method::GET, &Uri::from_static("/"), &HeaderMap::new()).is_some());
    }
}
