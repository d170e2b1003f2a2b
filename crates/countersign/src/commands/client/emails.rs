//! `countersign emails`: send, and see what became of it.

use super::{
    Failure, Outcome, PAUSE, PageArgs, ServerArgs, ended, field,
    http::{Client, step},
    items, show_more, shown,
    table::{facts, table},
    time,
    when::duration,
};
use crate::commands::Exit;
use serde_json::{Value, json};
use std::{io::Read, time::Duration};

/// The largest text of a message that is read from standard input, in bytes.
const MOST_TEXT: u64 = 10 * 1024 * 1024;

/// What to do with messages.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum EmailsCommand {
    /// List messages, newest first
    #[command(after_help = "Example:\n  countersign emails list --limit 5")]
    List {
        /// How much of the list
        #[command(flatten)]
        page: PageArgs,
    },
    /// Show a message, and what became of it at each recipient
    #[command(after_help = "Example:\n  countersign emails show msg_01JD0000000000000000000000")]
    Show {
        /// Its id
        id: String,
    },
    /// Note that a recipient calls a message spam: it is counted, and the address gets no more mail of the tenant
    #[command(
        after_help = "Example:\n  countersign emails complaint msg_01JD0000000000000000000000 someone@example.net"
    )]
    Complaint {
        /// The message's id
        id: String,
        /// Who complains
        recipient: String,
    },
    /// Send a message; its text comes from --text or standard input
    #[command(
        after_help = "Examples:\n  countersign emails send --from me@mail.example.com --to you@example.org --subject Hello --text Hi\n  echo Hi | countersign emails send --from me@mail.example.com --to you@example.org --subject Hello --watch"
    )]
    Send {
        /// Author: an address, or "Name <address>"
        #[arg(long)]
        from: String,
        /// Recipient; may be given several times
        #[arg(long, required = true)]
        to: Vec<String>,
        /// Subject
        #[arg(long)]
        subject: String,
        /// Text; standard input without
        #[arg(long)]
        text: Option<String>,
        /// Wait until every recipient's server has said yes or no
        #[arg(long)]
        watch: bool,
        /// Wait no longer than this: 90s, 20m or 2h; for ever without
        #[arg(long, value_name = "TIME", value_parser = duration, requires = "watch")]
        deadline: Option<Duration>,
    },
}

/// `countersign emails`.
pub async fn run(server: &ServerArgs, command: &EmailsCommand) -> Exit {
    ended(carry_out(server, command).await)
}

async fn carry_out(server: &ServerArgs, command: &EmailsCommand) -> Outcome {
    let client = Client::of(server)?;
    match command {
        EmailsCommand::List { page } => {
            let list = client.list("/emails", &[], page).await?;
            Ok(shown(server, &list, |list| {
                let row = |mail: &Value| {
                    [
                        time(mail, "created_at"),
                        field(mail, "from"),
                        field(mail, "recipients"),
                        field(mail, "subject"),
                        field(mail, "id"),
                    ]
                };
                let rows: Vec<_> = items(list).iter().map(row).collect();
                table(["ACCEPTED", "FROM", "TO", "SUBJECT", "ID"], &rows, "No messages.")
            }))
        }
        EmailsCommand::Show { id } => {
            let mail = client.get(&format!("/emails/{}", step(id))).await?;
            Ok(shown(server, &mail, of_email))
        }
        EmailsCommand::Complaint { id, recipient } => {
            let path = format!("/emails/{}/complaints", step(id));
            let noted = client.post(&path, &json!({ "recipient": recipient })).await?;
            Ok(shown(server, &noted, |noted| {
                let since = time(noted, "complained_at");
                format!("Noted {since}. {} gets no more of this mail.", field(noted, "recipient"))
            }))
        }
        EmailsCommand::Send { from, to, subject, text, watch, deadline } => {
            let text = match text {
                Some(text) => text.clone(),
                None => read_text()?,
            };
            let body = json!({"from": from, "to": to, "subject": subject, "text": text});
            let sent = client.post("/emails", &body).await;
            let mut mail = sent.map_err(|failure| with_next_step(failure, from))?;
            let mut waits_for = None;
            if *watch {
                (mail, waits_for) = settled(&client, mail, *deadline).await?;
            }
            let has_failed = recipients(&mail).any(|recipient| recipient["status"] == "failed");
            let is_open = *watch && recipients(&mail).any(|recipient| !is_settled(recipient));
            let exit = shown(server, &mail, of_email);
            if let Some(why) = waits_for {
                show_more(&why);
            }
            Ok(match exit {
                Exit::Good if has_failed => Exit::Problems,
                Exit::Good if is_open => Exit::Unknown,
                exit => exit,
            })
        }
    }
}

/// The message when every recipient's server has said yes or no, or the time is over; or why that will not come, which is
/// the second.
async fn settled(
    client: &Client,
    mut mail: Value,
    deadline: Option<Duration>,
) -> Outcome<(Value, Option<String>)> {
    let path = format!("/emails/{}", step(mail["id"].as_str().unwrap_or_default()));
    let domain = format!("/domains/{}", step(mail["domain_id"].as_str().unwrap_or_default()));
    let started = tokio::time::Instant::now();
    while recipients(&mail).any(|recipient| !is_settled(recipient)) {
        if deadline.is_some_and(|deadline| started.elapsed() >= deadline) {
            break;
        }
        tokio::time::sleep(PAUSE).await;
        mail = client.get(&path).await?;
        // A key may send without seeing domains.
        if let Ok(domain) = client.get(&domain).await
            && domain["status"] == "disabled"
            && recipients(&mail).any(|recipient| !is_settled(recipient))
        {
            let name = field(&domain, "domain");
            let why = format!(
                "{name} is disabled: the message waits until `countersign domains enable {name}` switches it on."
            );
            return Ok((mail, Some(why)));
        }
    }
    Ok((mail, None))
}

/// A refusal, with the command that leads on.
fn with_next_step(failure: Failure, from: &str) -> Failure {
    let author = from.rsplit_once('<').map_or(from, |(_, address)| address.trim_end_matches('>'));
    let domain = author.rsplit_once('@').map_or(author, |(_, domain)| domain).trim();
    match failure {
        Failure::Refused(text) if text.contains("(DOMAIN_PENDING_VERIFICATION)") => {
            Failure::Refused(format!(
                "{text}\n`countersign domains why {domain}` says what stands in the way, `countersign domains report \
             {domain}` what to do."
            ))
        }
        other => other,
    }
}

fn recipients(mail: &Value) -> impl Iterator<Item = &Value> {
    mail["recipients"].as_array().into_iter().flatten()
}

fn is_settled(recipient: &Value) -> bool {
    recipient["status"] == "delivered" || recipient["status"] == "failed"
}

fn read_text() -> Result<String, Failure> {
    let mut text = String::new();
    let read = std::io::stdin().lock().take(MOST_TEXT + 1).read_to_string(&mut text);
    read.map_err(|error| Failure::Usage(format!("the text could not be read: {error}")))?;
    if text.len() as u64 > MOST_TEXT {
        return Err(Failure::Usage(format!("the text has more than {MOST_TEXT} bytes")));
    }
    Ok(text)
}

fn of_email(mail: &Value) -> String {
    let told = [
        ("Id", field(mail, "id")),
        ("From", field(mail, "from")),
        ("Subject", field(mail, "subject")),
        ("Accepted", time(mail, "created_at")),
        ("Status", field(mail, "status")),
    ];
    let row = |recipient: &Value| {
        let last = recipient["attempts"].as_array().and_then(|attempts| attempts.last());
        let reply = last.map_or_else(String::new, |attempt| field(attempt, "reply"));
        [field(recipient, "address"), field(recipient, "status"), reply]
    };
    let rows: Vec<_> = recipients(mail).map(row).collect();
    format!("{}\n\n{}", facts(&told), table(["RECIPIENT", "STATUS", "LAST REPLY"], &rows, "No recipients."))
}
