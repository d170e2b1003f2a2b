//! The sandbox inbox. What is in it was written by strangers: it is escaped, cut, and its HTML is shown only in a
//! frame that may load and do nothing.

use crate::{
    Web,
    confirm::Confirm,
    domains::encoded,
    guard, live,
    page::{Answer, Failure, Section, Shell, go, html},
    pill::Pill,
    sandbox_verdict::{self, Verdict},
    when::When,
};
use app::{
    sandbox::{SandboxView, read_authentication},
    store::SandboxSummary,
};
use askama::Template;
use axum::{
    extract::{Path, Query, rejection::QueryRejection},
    http::{HeaderMap, HeaderValue, header},
    response::IntoResponse,
};
use explain::shown;
use jiff::Timestamp;
use model::SandboxMessageId;
use serde::Deserialize;

/// Messages on a page.
const PAGE: usize = 50;

/// How much of a text is shown; the source has all of it.
const MOST_TEXT: usize = 100_000;

/// What the inbox can be narrowed by.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct InboxQuery {
    recipient: String,
    after: String,
}

struct Row {
    href: String,
    subject: String,
    from: String,
    recipients: String,
    verdicts: Vec<(&'static str, Pill)>,
    received: When,
}

#[derive(Template)]
#[template(path = "inbox_live.html")]
struct InboxLive {
    announcement: String,
    rows: Vec<Row>,
    narrowed: bool,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "inbox.html")]
struct InboxPage {
    shell: Shell,
    query: InboxQuery,
    address: String,
    live: String,
    tag: String,
}

async fn inbox(web: &Web, query: &InboxQuery) -> Result<(String, InboxLive), Failure> {
    let now = web.app.now();
    let after: Option<SandboxMessageId> = query.after.parse().ok();
    let recipient: String = query.recipient.trim().chars().take(320).collect();
    let wanted = (!recipient.is_empty()).then_some(recipient.as_str());
    let limit = u32::try_from(PAGE + 1).unwrap_or(u32::MAX);
    let messages = web.app.sandbox_messages(&web.viewer, after, limit, wanted).await?;
    let state: Vec<String> =
        messages.iter().map(|one| format!("{}{}", one.id, u8::from(one.authentication.is_some()))).collect();
    let next = (messages.len() > PAGE)
        .then(|| messages.get(PAGE - 1).map(|last| address("/sandbox", &recipient, &last.id.to_string())))
        .flatten();
    let rows: Vec<Row> = messages.iter().take(PAGE).map(|message| row(message, now)).collect();
    let announcement = match (rows.len(), after.is_some() || next.is_some()) {
        (1, false) => "The inbox has 1 message.".to_owned(),
        (count, false) => format!("The inbox has {count} messages."),
        (count, true) => format!("{count} messages are shown."),
    };
    let live = InboxLive { announcement, rows, narrowed: wanted.is_some() || after.is_some(), next };
    Ok((live::tag(&format!("inbox/{}", state.join("/"))), live))
}

fn address(path: &str, recipient: &str, after: &str) -> String {
    format!("{path}?recipient={}&after={}", encoded(recipient), encoded(after))
}

fn row(message: &SandboxSummary, now: Timestamp) -> Row {
    let results = read_authentication(message);
    Row {
        href: format!("/sandbox/{}", message.id),
        subject: subject(&message.subject),
        from: shown::value(&message.header_from),
        recipients: shown::list(&message.recipients),
        verdicts: sandbox_verdict::short(results.as_ref(), message.authentication.is_some()),
        received: When::new(message.received_at, now),
    }
}

fn subject(text: &str) -> String {
    if text.trim().is_empty() { "(no subject)".to_owned() } else { shown::line(text, shown::IN_SENTENCE) }
}

pub(crate) async fn list(web: Web, query: Result<Query<InboxQuery>, QueryRejection>) -> Answer {
    let Query(query) = query?;
    let (tag, live) = inbox(&web, &query).await?;
    html(&InboxPage {
        shell: Shell::new(&web, Section::Sandbox, "Inbox"),
        address: address("/sandbox/live", &query.recipient, &query.after),
        live: live.render()?,
        tag,
        query,
    })
}

pub(crate) async fn list_live(
    web: Web,
    query: Result<Query<InboxQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Answer {
    let Query(query) = query?;
    let (tag, live) = inbox(&web, &query).await?;
    if live::is_known(&headers, &tag) {
        return Ok(live::not_modified(&tag));
    }
    live::fragment(&tag, &live)
}

pub(crate) async fn confirm_clear(web: Web) -> Answer {
    Confirm::new(
        Shell::new(&web, Section::Sandbox, "Empty the inbox"),
        "Empty the inbox?",
        vec!["All received messages are deleted for good.".to_owned()],
        ("/sandbox/clear".to_owned(), "Empty the inbox"),
        "/sandbox",
    )
    .answer()
}

pub(crate) async fn clear(web: Web) -> Answer {
    web.app.clear_sandbox(&web.viewer).await?;
    Ok(go("/sandbox"))
}

#[derive(Template)]
#[template(path = "received_live.html")]
struct VerdictLive {
    announcement: String,
    judged: bool,
    verdicts: Vec<Verdict>,
    header: Option<String>,
}

impl VerdictLive {
    fn of(web: &Web, view: &SandboxView) -> Self {
        let judged = view.message.summary.authentication.is_some();
        let verdicts = view.authentication.as_ref().map(sandbox_verdict::full).unwrap_or_default();
        Self {
            announcement: match (judged, view.authentication.as_ref()) {
                (false, _) => "The message is being judged.".to_owned(),
                (true, None) => "The message could not be judged.".to_owned(),
                (true, Some(results)) => {
                    format!("SPF {}, DMARC {}.", results.spf.result, results.dmarc.result)
                }
            },
            judged,
            verdicts,
            header: view.authentication.as_ref().map(|results| {
                let host = web.app.settings().smtp_hostname.to_string();
                text_block(&results.header(&host).replace("\r\n", "\n"))
            }),
        }
    }

    fn tag(view: &SandboxView) -> String {
        live::tag(&format!("{}/{}", view.message.summary.id, view.message.summary.authentication.is_some()))
    }
}

struct File {
    name: String,
    content_type: String,
    size: String,
}

#[derive(Template)]
#[template(path = "received.html")]
struct ReceivedPage {
    shell: Shell,
    id: String,
    subject: String,
    from: String,
    to: String,
    mail_from: String,
    recipients: String,
    client: String,
    tls: bool,
    size: String,
    received: When,
    live: String,
    tag: String,
    text: Option<String>,
    html: bool,
    files: Vec<File>,
    headers: Vec<(String, String)>,
}

async fn view(web: &Web, id: &str) -> Result<SandboxView, Failure> {
    let id: SandboxMessageId = id.parse().map_err(|_| Failure::no_such("message", id))?;
    Ok(web.app.sandbox_message(&web.viewer, id).await?)
}

pub(crate) async fn show(web: Web, Path(id): Path<String>) -> Answer {
    let view = view(&web, &id).await?;
    let (stored, parts) = (&view.message.summary, &view.summary);
    let subject = subject(&stored.subject);
    let addresses = |all: &[app::mail::message::SummaryAddress]| {
        let texts: Vec<String> = all
            .iter()
            .map(|one| match (&one.name, &one.address) {
                (Some(name), Some(address)) => format!("{name} <{address}>"),
                (name, address) => address.clone().or_else(|| name.clone()).unwrap_or_default(),
            })
            .collect();
        shown::list(&texts)
    };
    let page = ReceivedPage {
        shell: Shell::new(&web, Section::Sandbox, subject.clone()),
        id: stored.id.to_string(),
        from: addresses(&parts.from),
        to: addresses(&parts.to),
        mail_from: stored
            .mail_from
            .as_deref()
            .map_or_else(|| "<> (null reverse-path)".to_owned(), shown::value),
        recipients: shown::list(&stored.recipients),
        client: format!("{} ({})", shown::value(&stored.helo), shown::value(&stored.client_ip)),
        tls: stored.tls,
        size: bytes(stored.size),
        received: When::new(stored.received_at, web.app.now()),
        tag: VerdictLive::tag(&view),
        live: VerdictLive::of(&web, &view).render()?,
        text: parts.text.as_deref().map(text_block),
        html: parts.html.is_some(),
        files: parts
            .attachments
            .iter()
            .take(100)
            .map(|file| File {
                name: file.filename.as_deref().map_or_else(|| "(no name)".to_owned(), shown::value),
                content_type: shown::value(&file.content_type),
                size: bytes(file.size as u64),
            })
            .collect(),
        headers: parts
            .headers
            .iter()
            .map(|(name, value)| (shown::value(name), shown::line(value, shown::TO_PASTE)))
            .collect(),
        subject,
    };
    let mut response = html(&page)?;
    let policy = HeaderValue::from_static(guard::CONTENT_SECURITY_POLICY_WITH_FRAME);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    Ok(response)
}

pub(crate) async fn show_live(web: Web, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    let view = view(&web, &id).await?;
    let tag = VerdictLive::tag(&view);
    if live::is_known(&headers, &tag) {
        return Ok(live::not_modified(&tag));
    }
    live::fragment(&tag, &VerdictLive::of(&web, &view))
}

/// A text of several lines, bounded, each line without what could deceive.
fn text_block(text: &str) -> String {
    let shown = text.lines().map(|line| shown::line(line, MOST_TEXT)).collect::<Vec<_>>().join("\n");
    match shown.char_indices().nth(MOST_TEXT) {
        Some((end, _)) => format!("{}\n… (the source has the rest)", &shown[..end]),
        None => shown,
    }
}

fn bytes(size: u64) -> String {
    match size {
        0..1_024 => format!("{size} bytes"),
        1_024..1_048_576 => format!("{} KiB", size.div_ceil(1_024)),
        _ => format!("{} MiB", size.div_ceil(1_048_576)),
    }
}

/// What a stranger's HTML may do: nothing, besides its own style and pictures that are inside of it.
const HTML_PART_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'self'; sandbox";

/// The HTML part alone, for the frame.
pub(crate) async fn html_part(web: Web, Path(id): Path<String>) -> Answer {
    let view = view(&web, &id).await?;
    let Some(html) = view.summary.html else { return Err(Failure::no_such("HTML part in the message", &id)) };
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, HTML_PART_POLICY),
    ];
    Ok((headers, html).into_response())
}

/// The source, as plain text.
pub(crate) async fn raw(web: Web, Path(id): Path<String>) -> Answer {
    let view = view(&web, &id).await?;
    let name = format!("inline; filename=\"{}.txt\"", view.message.summary.id);
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, name),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'; sandbox".to_owned()),
    ];
    Ok((headers, view.message.raw.to_vec()).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_and_says_so() {
        let shown = text_block(&"é\n".repeat(MOST_TEXT));
        assert!(shown.ends_with("(the source has the rest)"));
        assert_eq!(text_block("a\r\nb\x1b[1m"), "a\nb\u{fffd}[1m");
    }

    #[test]
    fn sizes_are_for_people() {
        assert_eq!([bytes(5), bytes(1_025), bytes(3_000_000)], ["5 bytes", "2 KiB", "3 MiB"]);
    }
}
