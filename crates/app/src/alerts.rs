//! Alerts: the contacts of a domain are written to before sending from it stops.
//!
//! What is to be told is put down in the transaction of the change and is gone when it was told, so that nothing is lost
//! and nothing needs a lease: the mails have ids that follow from event and recipient, and the queue takes each once.

use crate::{App, claim_proof::LABEL, error::Result, notices::Notice};
use aws_lc_rs::digest::{SHA256, digest};
use diagnosis::Report;
use jiff::Timestamp;
use model::{EmailAddress, EventId, MessageId, RecordStatus};
use serde_json::Value;
use std::fmt::Write as _;
use store::{Alert, StoreError};

/// How many are told of in one go.
const AT_ONCE: u32 = 20;

/// How the platform shows a report as text. The composition root gives it, since words are not this crate's.
pub type ReportText = fn(&Report, Timestamp) -> String;

impl App {
    /// Tells contacts what they are still to be told. Returns how much it did.
    pub async fn send_alerts(&self) -> Result<usize> {
        let open = self.store.open_alerts(AT_ONCE).await?;
        let count = open.len();
        for alert in open {
            self.send_alert(&alert).await?;
            self.store.close_alert(alert.event_id).await?;
        }
        Ok(count)
    }

    async fn send_alert(&self, alert: &Alert) -> Result<()> {
        let domain = match self.store.get_domain(alert.org_id, alert.domain_id).await {
            Ok(domain) => domain,
            // Deleted meanwhile.
            Err(StoreError::NotFound(_)) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let contacts = self.store.contacts_of_domain(domain.org_id, domain.tenant_id, domain.id).await?;
        metrics::counter!("countersign_alerts_total", "event" => alert.event_type.clone()).increment(1);
        if contacts.is_empty() {
            tracing::warn!(domain = %domain.name, event = alert.event_type, "there is nobody to write to about this domain");
            return Ok(());
        }
        let name = domain.name.clone();
        let view = self.domain_view(domain).await?;
        let data: Value = serde_json::from_str(&alert.data).unwrap_or_default();
        let stops_at = data["stops_at"].as_str().and_then(|text| text.parse().ok());
        let until = data["expires_at"].as_str().and_then(|text| text.parse().ok());
        let whole = self.report_text.get().map(|text| text(&view.report, self.clock.now()));
        let Some((subject, text)) =
            words(&alert.event_type, name.as_str(), stops_at, until, &data, &view.report, whole.as_deref())
        else {
            return Ok(());
        };
        for to in contacts {
            let id = message_id(alert.event_id, alert.created_at, &to);
            let notice = Notice { to, subject: subject.clone(), text: text.clone() };
            self.send_notice_as(id, &notice).await?;
        }
        Ok(())
    }
}

/// The same for the same event and recipient, so that it goes out once whoever sends it and however often.
fn message_id(event: EventId, at: Timestamp, to: &EmailAddress) -> MessageId {
    let hash = digest(&SHA256, format!("{event}/{to}").as_bytes());
    let mut random = [0; 16];
    random[6..].copy_from_slice(&hash.as_ref()[..10]);
    MessageId::from_parts(u64::try_from(at.as_millisecond()).unwrap_or(0), u128::from_be_bytes(random))
}

/// Subject and text of the mail about an event; nothing where there is none. `whole` is the report in words.
fn words(
    event_type: &str,
    name: &str,
    stops_at: Option<Timestamp>,
    until: Option<Timestamp>,
    data: &Value,
    report: &Report,
    whole: Option<&str>,
) -> Option<(String, String)> {
    let when = stops_at
        .map_or_else(|| "soon".to_owned(), |at| format!("on {}", at.strftime("%Y-%m-%d at %H:%M UTC")));
    if let Some(words) = claim_words(event_type, name, until) {
        return Some(words);
    }
    if event_type == "domain.delegation_changed" {
        return Some(delegation_words(name, data));
    }
    let (subject, first) = match event_type {
        "domain.warning" => (
            format!("{name}: its DNS records broke, mail stops {when}"),
            format!(
                "DNS records that mail from {name} needs are not right any more. Several checks and more than one \
                 look have seen it. Mail still goes out. It stops {when} unless the records are mended."
            ),
        ),
        "domain.reminder" => (
            format!("{name}: mail stops {when}"),
            format!("The DNS records of {name} are still broken. Mail from it stops {when}."),
        ),
        "domain.failed" => (
            format!("{name}: mail has stopped"),
            format!(
                "The DNS records of {name} were not mended in time. Mail from it is refused until they are; it is \
                 accepted again by itself then."
            ),
        ),
        "domain.recovered" => (
            format!("{name} is mended"),
            format!(
                "The DNS records of {name} are right again. Mail goes on as before; there is nothing to do."
            ),
        ),
        _ => return None,
    };
    let mut text = format!("{first}\n");
    if event_type != "domain.recovered" {
        text.push_str(&broken(report));
        if let Some(whole) = whole {
            text.push_str("\nThe whole report:\n\n");
            text.push_str(whole);
        }
    }
    Some((subject, text))
}

/// That the zone of a domain is somebody else's to serve now.
fn delegation_words(name: &str, data: &Value) -> (String, String) {
    let list = |field: &str| {
        let names = data[field].as_array().into_iter().flatten().filter_map(Value::as_str);
        shown(&names.map(str::to_owned).collect::<Vec<_>>())
    };
    let zone = data["zone"].as_str().unwrap_or(name);
    let operator = if data["same_operator"] == true {
        "They are in the same domains as before, so it is probably the same operator."
    } else {
        "They are in other domains than before, so it is probably another operator."
    };
    let text = format!(
        "The zone {zone} is delegated to other name servers than before. Two checks have seen it.\n\n\
         Before: {}\nNow:    {}\n\n{operator} Whoever runs them decides what is in the DNS of {name}. \
         Nothing changes here by that; mail goes on as long as the records are right.\n\n\
         If you or your DNS host changed it, there is nothing to do. If nobody knows of it, see to the account at your \
         registrar at once.\n",
        list("old_name_servers"),
        list("name_servers"),
    );
    (format!("{name}: its name servers have changed"), text)
}

/// What a claim of the domain by another organisation means for its holder.
fn claim_words(event_type: &str, name: &str, until: Option<Timestamp>) -> Option<(String, String)> {
    match event_type {
        "domain.contested" => {
            let until = until.map_or_else(
                || "within a week".to_owned(),
                |at| format!("by {}", at.strftime("%Y-%m-%d %H:%M UTC")),
            );
            Some((
                format!("{name}: another organisation asks for this domain"),
                format!(
                    "Another organisation on this platform has asked to take over {name}. It gets the domain if a new TXT \
                     record appears at {LABEL}.{name} on every name server {until}. Mail from {name} by your \
                     organisation then stops.\n\n\
                     If that is meant to be, there is nothing to do.\n\n\
                     If it is not: only who can change the DNS of {name} can do this. Remove the record at \
                     {LABEL}.{name} if it is there, see who changed the zone, and change the passwords at your DNS host.\n"
                ),
            ))
        }
        "domain.disabled" => Some((
            format!("{name} belongs to another organisation now"),
            format!(
                "Another organisation on this platform has shown by a TXT record at {LABEL}.{name} that it controls the \
                 DNS of {name}, and holds the domain now. Mail from it by your organisation is refused, and what was \
                 waiting is given up.\n\n\
                 If that was meant to be, delete the domain here; your records at its DNS can go.\n\n\
                 If it was not: somebody has changed the DNS of {name}. See to your DNS host first. Then delete the domain \
                 here, add it again, publish its new records and claim it back.\n"
            ),
        )),
        _ => None,
    }
}

/// The records that are not right, with what to publish.
fn broken(report: &Report) -> String {
    let mut text = String::new();
    for record in &report.records {
        let is_right = matches!(record.status, RecordStatus::Verified | RecordStatus::Unknown);
        if is_right || !record.planned.required {
            continue;
        }
        if text.is_empty() {
            text.push_str("\nWhat to publish at the DNS host:\n");
        }
        let preference =
            record.planned.expected.preference().map_or_else(String::new, |number| format!("{number} "));
        let now = if record.current.is_empty() { "nothing".to_owned() } else { shown(&record.current) };
        // Writing into a text does not fail.
        let _ = write!(
            text,
            "\n  Type:  {}\n  Name:  {}\n  Value: {preference}{}\n  Now:   {}\n",
            record.record_type(),
            record.planned.owner,
            record.value(),
            now,
        );
    }
    text
}

/// What strangers wrote into DNS, on one line and not too long.
fn shown(current: &[String]) -> String {
    let line = current.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(", ");
    line.chars().filter(|character| !character.is_control()).take(300).collect()
}
