//! Messages that were sent, and what became of them.

use crate::{
    Web,
    domains::encoded,
    live,
    page::{Answer, Failure, Section, Shell, html},
    pill::{Pill, Tone},
    when::When,
};
use app::{
    emails::MessageView,
    store::{DeliveryState, Message, Suppression},
};
use askama::Template;
use axum::{
    extract::{Path, Query, rejection::QueryRejection},
    http::HeaderMap,
};
use explain::shown;
use jiff::Timestamp;
use model::MessageId;
use serde::Deserialize;

/// Messages on a page.
const PAGE: usize = 50;

/// Suppressed addresses that are named on it.
const SUPPRESSED_SHOWN: u32 = 5;

/// Where the page begins.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Behind {
    after: String,
}

struct Row {
    href: String,
    subject: String,
    from: String,
    recipients: String,
    state: Pill,
    accepted: When,
}

#[derive(Template)]
#[template(path = "messages.html")]
struct MessagesPage {
    shell: Shell,
    rows: Vec<Row>,
    suppressed: Option<String>,
    behind: bool,
    next: Option<String>,
}

pub(crate) async fn list(web: Web, query: Result<Query<Behind>, QueryRejection>) -> Answer {
    let Query(query) = query?;
    let now = web.app.now();
    let after: Option<MessageId> = query.after.parse().ok();
    let limit = u32::try_from(PAGE + 1).unwrap_or(u32::MAX);
    let messages = web.app.messages(&web.viewer, after, limit).await?;
    let mut rows = Vec::with_capacity(PAGE);
    for message in messages.iter().take(PAGE) {
        let view = web.app.message(&web.viewer, message.id).await?;
        rows.push(row(message, &view, now));
    }
    let suppressed = web.app.suppressions(&web.viewer, None, None, SUPPRESSED_SHOWN + 1).await?;
    html(&MessagesPage {
        shell: Shell::new(&web, Section::Messages, "Sent messages"),
        suppressed: suppressed_line(&suppressed),
        rows,
        behind: after.is_some(),
        next: (messages.len() > PAGE)
            .then(|| messages.get(PAGE - 1).map(|last| format!("/messages?after={}", last.id)))
            .flatten(),
    })
}

/// Who gets no mail, in one line.
fn suppressed_line(suppressed: &[Suppression]) -> Option<String> {
    let shown = SUPPRESSED_SHOWN as usize;
    let names: Vec<_> = suppressed.iter().take(shown).map(|entry| shown::value(&entry.address)).collect();
    let more = if suppressed.len() > shown { " and more" } else { "" };
    (!names.is_empty()).then(|| format!("{}{more}", names.join(", ")))
}

fn row(message: &Message, view: &MessageView, now: Timestamp) -> Row {
    Row {
        href: format!("/messages/{}", message.id),
        subject: subject(&message.subject),
        from: shown::value(&message.from_address.to_string()),
        recipients: shown::list(&message.recipients),
        state: overall(view),
        accepted: When::new(message.created_at, now),
    }
}

/// The state of the whole: of the recipient that stands worst.
fn overall(view: &MessageView) -> Pill {
    let has = |state| view.deliveries.iter().any(|delivery| delivery.state == state);
    let worst =
        [DeliveryState::Failed, DeliveryState::Deferred, DeliveryState::Queued, DeliveryState::Delivered];
    worst.into_iter().find(|state| has(*state)).map_or(Pill::new(Tone::Muted, "No recipients"), Pill::from)
}

fn subject(text: &str) -> String {
    if text.trim().is_empty() { "(no subject)".to_owned() } else { shown::line(text, shown::IN_SENTENCE) }
}

struct RecipientRow {
    recipient: String,
    state: Pill,
    attempts: u32,
    reply: Option<String>,
    next: Option<When>,
    inbox: String,
}

struct AttemptRow {
    recipient: String,
    number: u32,
    at: When,
    reply: String,
    remote: String,
}

#[derive(Template)]
#[template(path = "message_live.html")]
struct MessageLive {
    announcement: String,
    recipients: Vec<RecipientRow>,
    attempts: Vec<AttemptRow>,
}

#[derive(Template)]
#[template(path = "message.html")]
struct MessagePage {
    shell: Shell,
    id: String,
    subject: String,
    from: String,
    domain: String,
    domain_href: String,
    accepted: When,
    live: String,
    tag: String,
}

async fn view(web: &Web, id: &str) -> Result<MessageView, Failure> {
    let id: MessageId = id.parse().map_err(|_| Failure::no_such("message", id))?;
    Ok(web.app.message(&web.viewer, id).await?)
}

fn reply(code: Option<u16>, text: &str) -> String {
    let text = shown::line(text, shown::ON_LINE);
    match code {
        Some(code) if !text.starts_with(&code.to_string()) => format!("{code} {text}"),
        _ => text,
    }
}

impl MessageLive {
    fn of(view: &MessageView, now: Timestamp) -> Self {
        let state = overall(view);
        Self {
            announcement: format!("The message is {}.", state.word.to_lowercase()),
            recipients: view
                .deliveries
                .iter()
                .map(|delivery| RecipientRow {
                    recipient: delivery.recipient.to_string(),
                    state: delivery.state.into(),
                    attempts: delivery.attempts,
                    reply: delivery.last_reply.as_deref().map(|text| reply(delivery.last_code, text)),
                    next: When::maybe(delivery.next_attempt_at, now),
                    inbox: format!("/sandbox?recipient={}", encoded(&delivery.recipient.to_string())),
                })
                .collect(),
            attempts: view
                .attempts
                .iter()
                .take(200)
                .map(|attempt| AttemptRow {
                    recipient: attempt.recipient.to_string(),
                    number: attempt.attempt,
                    at: When::new(attempt.at, now),
                    reply: reply(attempt.code, &attempt.reply),
                    remote: attempt.remote.as_deref().map(shown::value).unwrap_or_default(),
                })
                .collect(),
        }
    }

    fn tag(view: &MessageView) -> String {
        let deliveries: Vec<String> = view
            .deliveries
            .iter()
            .map(|one| format!("{}{}", one.updated_at.as_millisecond(), one.attempts))
            .collect();
        let deliveries = deliveries.join("/");
        live::tag(&format!("{}/{deliveries}/{}", view.message.id, view.attempts.len()))
    }
}

pub(crate) async fn show(web: Web, Path(id): Path<String>) -> Answer {
    let view = view(&web, &id).await?;
    let now = web.app.now();
    let message = &view.message;
    let subject = subject(&message.subject);
    html(&MessagePage {
        shell: Shell::new(&web, Section::Messages, subject.clone()),
        id: message.id.to_string(),
        subject,
        from: message.from_address.to_string(),
        domain: message.from_address.domain().to_string(),
        domain_href: format!("/domains/{}", message.domain_id),
        accepted: When::new(message.created_at, now),
        tag: MessageLive::tag(&view),
        live: MessageLive::of(&view, now).render()?,
    })
}

pub(crate) async fn show_live(web: Web, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    let view = view(&web, &id).await?;
    let tag = MessageLive::tag(&view);
    if live::is_known(&headers, &tag) {
        return Ok(live::not_modified(&tag));
    }
    live::fragment(&tag, &MessageLive::of(&view, web.app.now()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_has_its_code_once() {
        assert_eq!(reply(Some(250), "250 2.0.0 OK"), "250 2.0.0 OK");
        assert_eq!(reply(Some(550), "no such user"), "550 no such user");
        assert_eq!(reply(None, "no connection"), "no connection");
    }
}
