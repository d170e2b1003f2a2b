//! The page that checks any domain, without registration.
//!
//! What is wrong with the request is told beside its field before anything is asked. A check that was let in takes
//! seconds, so the page comes in two parts: its head with a note that the check runs, at once, then the report. When
//! the visitor leaves, the check ends with the connection. The report is `explain`'s, the same as everywhere; nothing
//! of what is stored here is on the page.

use crate::{
    Pages,
    forms::FormErrors,
    page::{Answer, Failure, Section, Shell, html_with, sentence},
};
use app::{
    Error,
    check_gate::{CountedCheck, RunningCheck},
    checks::{CheckRequest, Checked},
    diagnosis::{Variables, inquiry::AddressFamily},
};
use askama::Template;
use axum::{
    Extension, Form,
    body::Body,
    extract::{
        ConnectInfo, Query,
        rejection::{FormRejection, QueryRejection},
    },
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use explain::{
    render::{self, RenderOptions},
    shown,
};
use futures_util::{StreamExt, stream};
use model::DomainName;
use serde::Deserialize;
use std::{
    convert::Infallible,
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

/// Where the page is cut in two.
const CUT: &str = "<!-- the report -->";

/// What the form may have, in bytes: a template as large as the API takes, in the encoding of forms.
pub(crate) const FORM_LIMIT: usize = 960 * 1024;

/// How long the command that does the same may be, in octets.
const MOST_COMMAND: usize = 4_000;

/// The fields that have a place for what is wrong with them.
const FIELDS: [&str; 8] =
    ["domain", "selectors", "profile", "template", "variables", "senders", "certificate_authority", "family"];

/// Those of the part for a service's records, and of the part for the rest.
const OF_RECORDS: &[&str] = &["profile", "template", "variables"];
const MORE: &[&str] = &["senders", "certificate_authority", "family"];

/// The form.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub(crate) struct CheckForm {
    domain: String,
    /// Several, with commas or spaces between them.
    selectors: String,
    /// The name of a profile; empty for whatever valid records there are.
    profile: String,
    /// A Domain Connect template; empty for none.
    template: String,
    /// `name=value`, one a line.
    variables: String,
    /// Addresses of servers that send, with commas or spaces between them.
    senders: String,
    /// A certificate authority, as CAA records name it.
    certificate_authority: String,
    /// `ipv4` or `ipv6`; empty for both.
    family: String,
}

impl CheckForm {
    fn selectors(&self) -> Vec<String> {
        parted(&self.selectors).map(str::to_owned).collect()
    }

    fn senders(&self) -> Result<Vec<IpAddr>, Error> {
        let parse = |(index, text): (usize, &str)| {
            let message = || format!("{} is no IP address", shown::value(text));
            text.parse().map_err(|_| Error::field(format!("senders[{index}]"), message()))
        };
        parted(&self.senders).enumerate().map(parse).collect()
    }

    fn family(&self) -> Result<AddressFamily, Error> {
        match self.family.as_str() {
            "" => Ok(AddressFamily::Any),
            "ipv4" => Ok(AddressFamily::Ipv4),
            "ipv6" => Ok(AddressFamily::Ipv6),
            _ => Err(Error::field("family", "is ipv4, ipv6, or empty for both")),
        }
    }

    fn variables(&self) -> Result<Variables, Error> {
        let mut variables = Variables::new();
        for (index, line) in self.variables.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let Some((name, value)) = line.split_once('=') else {
                let message = format!("line {}: write name=value", index + 1);
                return Err(Error::field("variables", message));
            };
            // As they stand in a template, too.
            let name = name.trim().trim_matches('%');
            variables.insert(name.to_owned(), value.trim().to_owned());
        }
        Ok(variables)
    }

    fn request(&self) -> Result<CheckRequest, Error> {
        let given = |text: &str| (!text.trim().is_empty()).then(|| text.trim().to_owned());
        Ok(CheckRequest {
            domain: self.domain.clone(),
            selectors: self.selectors(),
            profile: given(&self.profile),
            template: given(&self.template),
            groups: Vec::new(),
            variables: self.variables()?,
            senders: self.senders()?,
            certificate_authority: given(&self.certificate_authority),
            family: self.family()?,
        })
    }

    /// The form as the page has it again, and the names of the fields that are too long for that: a page is not to be
    /// several times as long as what was sent for it.
    fn cut(mut self) -> (Self, Vec<&'static str>) {
        let fields = [
            ("domain", &mut self.domain, 320),
            ("selectors", &mut self.selectors, 700),
            ("profile", &mut self.profile, 100),
            ("template", &mut self.template, 8_000),
            ("variables", &mut self.variables, 4_000),
            ("senders", &mut self.senders, 700),
            ("certificate_authority", &mut self.certificate_authority, 300),
            ("family", &mut self.family, 10),
        ];
        let mut left_out = Vec::new();
        for (name, text, most) in fields {
            if text.len() > most {
                text.clear();
                left_out.push(name);
            }
        }
        (self, left_out)
    }

    /// Whether more is asked for than any valid records.
    fn asks_for_records(&self) -> bool {
        [&self.profile, &self.template, &self.variables].into_iter().any(|text| !text.trim().is_empty())
    }
}

/// The parts of what people enter into one field.
fn parted(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c == ',' || c == ';' || c.is_whitespace()).filter(|part| !part.is_empty())
}

/// A profile that can be chosen.
struct ProfileChoice {
    name: String,
    /// The variables that have to be given.
    needs: String,
    chosen: bool,
}

#[derive(Template)]
#[template(path = "check.html")]
struct CheckPage {
    shell: Shell,
    form: CheckForm,
    profiles: Vec<ProfileChoice>,
    errors: FormErrors,
    /// The fields that are too long to be repeated.
    left_out: Vec<&'static str>,
    /// What belongs to no field: too many checks, for now.
    refusal: Option<String>,
    /// The check that is under way, as the command that does the same.
    running: Option<Running>,
}

struct Running {
    domain: DomainName,
    /// None where it is too long to be copied.
    command: Option<String>,
}

impl CheckPage {
    fn new(pages: &Pages, form: CheckForm) -> Self {
        let shell = Shell::of(pages, Section::Check, "Check a domain");
        let profiles = profiles(pages, &form.profile);
        Self {
            shell,
            form,
            profiles,
            errors: FormErrors::default(),
            left_out: Vec::new(),
            refusal: None,
            running: None,
        }
    }

    fn other_errors(&self) -> Option<String> {
        self.errors.others(&FIELDS)
    }

    /// Whether the part of the form for a service's records is unfolded.
    fn is_unfolded(&self) -> bool {
        self.form.asks_for_records() || self.is_about(OF_RECORDS)
    }

    /// Whether the part of the form for the rest is unfolded.
    fn is_more_unfolded(&self) -> bool {
        let CheckForm { senders, certificate_authority, family, .. } = &self.form;
        [senders, certificate_authority, family].into_iter().any(|text| !text.trim().is_empty())
            || self.is_about(MORE)
    }

    /// Whether something is to be said of one of these fields.
    fn is_about(&self, fields: &[&str]) -> bool {
        fields.iter().any(|field| self.left_out.contains(field) || self.errors.of_field(field).is_some())
    }
}

fn profiles(pages: &Pages, chosen: &str) -> Vec<ProfileChoice> {
    let settings = pages.app.settings();
    let given = settings.variables();
    let choice = |profile: &app::diagnosis::Profile| {
        let mut needs: Vec<String> =
            profile.variables().into_iter().filter(|name| !given.contains_key(name)).collect();
        needs.sort_unstable();
        ProfileChoice {
            name: profile.name.clone(),
            needs: needs.join(", "),
            chosen: profile.name == chosen.trim(),
        }
    };
    settings.profiles.iter().map(choice).collect()
}

/// The page, and the check that is in its address.
pub(crate) async fn show(
    pages: Pages,
    address: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
    query: Result<Query<CheckForm>, QueryRejection>,
) -> Answer {
    let Query(form) = query?;
    if form.domain.trim().is_empty() && !form.asks_for_records() || !is_wanted(&headers) {
        let (form, left_out) = form.cut();
        let page = CheckPage { left_out, ..CheckPage::new(&pages, form) };
        return Ok(unlisted(html_with(StatusCode::OK, &page)?));
    }
    let visitor = visitor(&pages, address, &headers);
    check(&pages, form, pages.app.count_visitor_check(visitor))
}

/// The check of a form whose template is too long for an address.
pub(crate) async fn post(
    pages: Pages,
    address: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
    form: Result<Form<CheckForm>, FormRejection>,
) -> Answer {
    // Counted before anything is said of the form.
    let counted = pages.app.count_visitor_check(visitor(&pages, address, &headers));
    let Form(form) = form.map_err(Failure::from)?;
    check(&pages, form, counted)
}

fn check(pages: &Pages, form: CheckForm, counted: Result<CountedCheck, Error>) -> Answer {
    let started = counted
        .and_then(|counted| pages.app.start_check(counted, &form.request()?, |checked| result(&checked)));
    let started = started.map(|check| (command(check.domain(), &form), check));
    let (form, left_out) = form.cut();
    let mut page = CheckPage { left_out, ..CheckPage::new(pages, form) };
    match started {
        Ok((command, check)) => {
            let command = (command.len() <= MOST_COMMAND).then_some(command);
            page.running = Some(Running { domain: check.domain().clone(), command });
            Ok(unlisted(streamed(&page.render()?, check)))
        }
        Err(error) => Ok(unlisted(refused(page, error)?)),
    }
}

/// The command that does the same.
fn command(domain: &DomainName, form: &CheckForm) -> String {
    let mut command = format!("countersign check {domain}");
    // Writing to a String does not fail.
    for selector in form.selectors() {
        let _ = write!(command, " --selector {}", quoted(&selector));
    }
    if !form.profile.trim().is_empty() {
        let _ = write!(command, " --profile {}", quoted(form.profile.trim()));
    }
    if !form.template.trim().is_empty() {
        command.push_str(" --template FILE");
    }
    for (name, value) in form.variables().unwrap_or_default() {
        let _ = write!(command, " --var {}", quoted(&format!("{name}={value}")));
    }
    for sender in form.senders().unwrap_or_default() {
        let _ = write!(command, " --sender {sender}");
    }
    if !form.certificate_authority.trim().is_empty() {
        let _ = write!(command, " --certificate-authority {}", quoted(form.certificate_authority.trim()));
    }
    match form.family() {
        Ok(AddressFamily::Ipv4) => command.push_str(" --ipv4"),
        Ok(AddressFamily::Ipv6) => command.push_str(" --ipv6"),
        _ => {}
    }
    command
}

/// A word for a shell.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.=:/@".contains(c);
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    if text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// Whom a check is counted for. A proxy's word is taken for the address that it got the request from, where the
/// operator trusts it; what stands further left in the field anybody could have written.
fn visitor(
    pages: &Pages,
    address: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: &HeaderMap,
) -> IpAddr {
    // Without an address (a test, another kind of listener) all visitors are counted as one.
    let peer =
        address.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |Extension(ConnectInfo(address))| address.ip());
    forwarded_for(&pages.proxies, peer.to_canonical(), headers)
}

/// The address that a proxy we trust says the request came from.
pub(crate) fn forwarded_for(proxies: &[IpAddr], peer: IpAddr, headers: &HeaderMap) -> IpAddr {
    // Whatever is in the field, what stands right of it counts.
    let fields = headers.get_all("x-forwarded-for").iter().map(HeaderValue::as_bytes).collect::<Vec<_>>();
    let said = fields.iter().rev().flat_map(|field| field.rsplit(|&octet| octet == b','));
    let mut visitor = peer;
    for octets in said {
        if !proxies.contains(&visitor) {
            break;
        }
        match std::str::from_utf8(octets.trim_ascii()).map(str::parse::<IpAddr>) {
            Ok(Ok(address)) => visitor = address.to_canonical(),
            _ => break,
        }
    }
    visitor
}

/// The form again, with what was wrong or why not now.
fn refused(mut page: CheckPage, error: Error) -> Answer {
    let (status, retry_after) = match &error {
        Error::RateLimited { retry_after, .. } => (StatusCode::TOO_MANY_REQUESTS, Some(*retry_after)),
        Error::Busy { retry_after, .. } => (StatusCode::SERVICE_UNAVAILABLE, Some(*retry_after)),
        _ => (StatusCode::UNPROCESSABLE_ENTITY, None),
    };
    let Some(seconds) = retry_after else {
        page.errors = FormErrors::of(error)?;
        return html_with(status, &page);
    };
    page.refusal = Some(sentence(&error.to_string()));
    let mut response = html_with(status, &page)?;
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    Ok(response)
}

/// Whether a person asks. A page of another site that loads this one as a picture or by itself would have our
/// resolvers work for it; following a link there is fine.
fn is_wanted(headers: &HeaderMap) -> bool {
    let is = |name: &str, words: &[&str]| {
        headers.get(name).is_none_or(|value| words.iter().any(|word| value.as_bytes() == word.as_bytes()))
    };
    let is_followed = headers.get("sec-fetch-user").is_some_and(|value| value == "?1");
    is("sec-fetch-dest", &["document", "empty"])
        && (is_followed || is("sec-fetch-site", &["same-origin", "none"]))
}

/// The page up to the report at once, and the rest when the check is done.
fn streamed(page: &str, check: RunningCheck<String>) -> Response {
    let (head, tail) = page.split_once(CUT).unwrap_or((page, ""));
    let (head, tail) = (head.to_owned(), tail.to_owned());
    let rest =
        stream::once(async move { check.finished().await.unwrap_or_else(|error| too_late(&error)) + &tail });
    let parts = stream::iter([head]).chain(rest).map(Ok::<_, Infallible>);
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], Body::from_stream(parts)).into_response()
}

fn result(Checked { report, .. }: &Checked) -> String {
    let fragment = render::html_fragment(report, &RenderOptions::new(report.checked_at));
    format!("<div class=\"result card\">\n{fragment}</div>\n")
}

fn too_late(error: &Error) -> String {
    tracing::warn!(%error, "a check of the page did not run");
    "<p class=\"result error\" role=\"alert\">Too many checks are under way, and this one’s turn did not come. \
     Try again in a few seconds.</p>\n"
        .to_owned()
}

/// Search engines have no business here: each address would be a check.
fn unlisted(mut response: Response) -> Response {
    response.headers_mut().insert("x-robots-tag", HeaderValue::from_static("noindex, nofollow"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderName;

    #[test]
    fn selectors_are_taken_as_people_part_them() {
        let selectors = " s1, s2;s3  s4,".into();
        let form = CheckForm { domain: "a.example".into(), selectors, ..CheckForm::default() };
        assert_eq!(form.request().unwrap().selectors, ["s1", "s2", "s3", "s4"]);
    }

    #[test]
    fn variables_are_lines() {
        let of = |text: &str| CheckForm { variables: text.into(), ..CheckForm::default() }.variables();
        let read = of(" token1 = a=b \r\n\r\n%key%=x").unwrap();
        assert_eq!(
            read.into_iter().collect::<Vec<_>>(),
            [("key".to_owned(), "x".to_owned()), ("token1".to_owned(), "a=b".to_owned())]
        );
        assert!(of("token1=a\nnonsense").unwrap_err().to_string().contains("line 2"));
    }

    #[test]
    fn the_command_can_be_pasted_whatever_was_given() {
        let form = CheckForm {
            profile: "two-txt".into(),
            variables: "key1=a; rm 'x'\u{1b}[31m".into(),
            senders: "9.9.9.9, 2620:fe::9".into(),
            certificate_authority: "ca.example; x".into(),
            family: "ipv6".into(),
            ..CheckForm::default()
        };
        let domain = DomainName::parse("a.example").unwrap();
        assert_eq!(
            command(&domain, &form),
            "countersign check a.example --profile two-txt --var 'key1=a; rm '\\''x'\\''[31m' --sender 9.9.9.9 \
             --sender 2620:fe::9 --certificate-authority 'ca.example; x' --ipv6"
        );
    }

    #[test]
    fn only_the_word_of_a_trusted_proxy_counts() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let proxies = [address("10.0.0.1"), address("10.0.0.2")];
        let of = |peer: &str, fields: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for field in fields {
                headers.append("x-forwarded-for", HeaderValue::from_bytes(field.as_bytes()).unwrap());
            }
            forwarded_for(&proxies, address(peer), &headers).to_string()
        };
        assert_eq!(of("192.0.2.1", &["198.51.100.7"]), "192.0.2.1", "a stranger's word");
        assert_eq!(of("10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(of("10.0.0.1", &["203.0.113.9, 198.51.100.7"]), "198.51.100.7", "left of it is hearsay");
        assert_eq!(of("10.0.0.1", &["203.0.113.9", "198.51.100.7, 10.0.0.2"]), "198.51.100.7");
        assert_eq!(of("10.0.0.1", &["nonsense"]), "10.0.0.1");
        assert_eq!(of("10.0.0.1", &["caf\u{e9}, 198.51.100.7"]), "198.51.100.7", "octets of no text");
        assert_eq!(of("10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn other_sites_cannot_have_checks_run_unseen() {
        let wanted = |fields: &[(&'static str, &'static str)]| {
            let headers = fields
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
            is_wanted(&headers.collect())
        };
        let (site, dest, user) = ("sec-fetch-site", "sec-fetch-dest", "sec-fetch-user");
        assert!(wanted(&[]), "no browser");
        assert!(wanted(&[(site, "none"), (dest, "document")]));
        assert!(wanted(&[(site, "same-origin"), (dest, "document")]));
        assert!(
            wanted(&[(site, "cross-site"), (dest, "document"), (user, "?1")]),
            "a link that was followed"
        );
        assert!(!wanted(&[(site, "cross-site"), (dest, "document")]));
        assert!(!wanted(&[(site, "cross-site"), (dest, "image")]));
        assert!(!wanted(&[(site, "same-origin"), (dest, "iframe"), (user, "?1")]));
    }

    #[test]
    fn what_was_typed_stands_in_the_form_again_and_nowhere_as_markup() {
        let form = CheckForm {
            domain: "<b>\"x".into(),
            selectors: "'\"><i>".into(),
            template: "</textarea><s>".into(),
            ..CheckForm::default()
        };
        let errors = FormErrors::of(Error::field("domain", "is <u>no</u> domain")).unwrap();
        let profiles = Vec::new();
        let page = CheckPage {
            shell: Shell::sample("Check"),
            form,
            profiles,
            errors,
            left_out: Vec::new(),
            refusal: None,
            running: None,
        };
        let html = page.render().unwrap();
        assert!(html.contains("aria-invalid=\"true\"") && html.contains("id=\"domain-error\""));
        assert!(!html.contains("<b>") && !html.contains("<i>") && !html.contains("<u>"));
        assert!(!html.contains("<s>") && html.contains("&#60;/textarea&#62;&#60;s&#62;"));
    }
}
