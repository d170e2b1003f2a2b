//! Requests to Amazon's services, signed (AWS Signature Version 4).
//!
//! For requests whose body is at hand, with a path that needs no escapes of its own: what the calls of ours are. The time
//! is an argument.

use crate::Secret;
use aws_lc_rs::{digest, hmac};
use jiff::Timestamp;
use std::fmt::Write as _;

/// Who signs.
pub(crate) struct Credentials {
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: Secret,
    /// Of credentials that end by themselves.
    pub(crate) session_token: Option<Secret>,
}

/// What is asked.
pub(crate) struct Signing<'a> {
    pub(crate) service: &'a str,
    pub(crate) region: &'a str,
    pub(crate) method: &'a str,
    /// As it is sent.
    pub(crate) path: &'a str,
    /// Names and values, escaped as they are sent.
    pub(crate) query: &'a [(&'a str, String)],
    /// Names in lower case; `host` is among them.
    pub(crate) headers: &'a [(&'static str, String)],
    pub(crate) body: &'a [u8],
}

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// The headers that go along: date, token, signature.
pub(crate) fn sign(
    credentials: &Credentials,
    request: &Signing<'_>,
    now: u64,
) -> Option<Vec<(&'static str, String)>> {
    let time = Timestamp::from_second(i64::try_from(now).ok()?).ok()?;
    let date = time.strftime("%Y%m%dT%H%M%SZ").to_string();
    let day = date.get(..8)?;
    let mut added = vec![("x-amz-date", date.clone())];
    if let Some(token) = &credentials.session_token {
        added.push(("x-amz-security-token", token.expose().to_owned()));
    }
    let mut headers: Vec<(&str, &str)> =
        request.headers.iter().chain(&added).map(|(name, value)| (*name, value.trim())).collect();
    headers.sort_unstable();
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let canonical = canonical(request, &headers, &names);
    let scope = format!("{day}/{}/{}/aws4_request", request.region, request.service);
    let to_sign = format!(
        "{ALGORITHM}\n{date}\n{scope}\n{}",
        hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref())
    );
    let start =
        zeroize::Zeroizing::new(format!("AWS4{}", credentials.secret_access_key.expose()).into_bytes());
    let mut key = mac(&start, day);
    for part in [request.region, request.service, "aws4_request"] {
        key = mac(key.as_ref(), part);
    }
    let signature = hex(mac(key.as_ref(), &to_sign).as_ref());
    let id = &credentials.access_key_id;
    added.push((
        "authorization",
        format!("{ALGORITHM} Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}"),
    ));
    Some(added)
}

fn canonical(request: &Signing<'_>, headers: &[(&str, &str)], names: &str) -> String {
    let mut query: Vec<String> =
        request.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    query.sort_unstable();
    let mut out = format!("{}\n{}\n{}\n", request.method, request.path, query.join("&"));
    for (name, value) in headers {
        let _ = writeln!(out, "{name}:{value}");
    }
    let body = hex(digest::digest(&digest::SHA256, request.body).as_ref());
    let _ = write!(out, "\n{names}\n{body}");
    out
}

fn mac(key: &[u8], text: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::with_capacity(octets.len() * 2), |mut out, octet| {
        let _ = write!(out, "{octet:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2015-08-30 12:36:00 UTC, the time of the published suite.
    const THEN: u64 = 1_440_938_160;

    fn signature(
        service: &str,
        method: &str,
        query: &[(&str, String)],
        headers: &[(&'static str, String)],
    ) -> String {
        let credentials = Credentials {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned()),
            session_token: None,
        };
        let request = Signing { service, region: "us-east-1", method, path: "/", query, headers, body: b"" };
        let headers = sign(&credentials, &request, THEN).unwrap();
        assert_eq!(headers[0], ("x-amz-date", "20150830T123600Z".to_owned()));
        headers[1].1.clone()
    }

    /// `get-vanilla`, `post-vanilla`, `get-vanilla-query-order-key-case` of the suite, and the example of the manual.
    #[test]
    fn the_published_requests_have_the_published_signatures() {
        let host = [("host", "example.amazonaws.com".to_owned())];
        let starts = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                      SignedHeaders=host;x-amz-date, Signature=";
        let of = |method, query: &[(&str, String)]| {
            signature("service", method, query, &host).strip_prefix(starts).unwrap().to_owned()
        };
        assert_eq!(of("GET", &[]), "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
        assert_eq!(of("POST", &[]), "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b");
        let query = [("Param2", "value2".to_owned()), ("Param1", "value1".to_owned())];
        assert_eq!(of("GET", &query), "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500");
        let iam = signature(
            "iam",
            "GET",
            &[("Action", "ListUsers".to_owned()), ("Version", "2010-05-08".to_owned())],
            &[
                ("host", "iam.amazonaws.com".to_owned()),
                ("content-type", "application/x-www-form-urlencoded; charset=utf-8".to_owned()),
            ],
        );
        assert!(
            iam.ends_with("Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"),
            "{iam}"
        );
    }
}
