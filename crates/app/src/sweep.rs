//! What is kept for a time: events, deliveries to webhooks, the audit log, requests that may be repeated. It goes a few rows
//! at once, so that nobody who writes waits for it.

use crate::{App, error::Result};
use jiff::SignedDuration;

/// How many rows go in one transaction.
const AT_ONCE: u32 = 500;

/// For how long things are kept; `None` for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keep {
    /// Events.
    pub events: Option<SignedDuration>,
    /// Deliveries to webhooks that came to an end.
    pub webhook_deliveries: Option<SignedDuration>,
    /// Lines of the audit log.
    pub audit: Option<SignedDuration>,
}

impl App {
    /// Lets go of what is older than it is kept. Returns how much: then there may be more. A node whose clock may be
    /// wrong does not know what is old.
    pub async fn sweep(&self) -> Result<usize> {
        self.note_key_uses(false).await?;
        if !self.may_claim() {
            return Ok(0);
        }
        let now = self.clock.now();
        let before = |kept: Option<SignedDuration>| kept.and_then(|kept| now.checked_sub(kept).ok());
        let Keep { events, webhook_deliveries, audit } = self.settings.keep;
        let mut swept = 0;
        let mut went = |what: &'static str, rows: u64| {
            metrics::counter!("countersign_swept_total", "what" => what).increment(rows);
            swept += usize::try_from(rows).unwrap_or(usize::MAX);
        };
        if let Some(before) = before(events) {
            went("events", self.store.delete_events_before(before, AT_ONCE).await?);
        }
        if let Some(before) = before(webhook_deliveries) {
            let gone = self.store.delete_webhook_deliveries_before(before, AT_ONCE).await?;
            went("webhook_deliveries", gone);
        }
        if let Some(before) = before(audit) {
            went("audit", self.store.delete_audit_before(before, AT_ONCE).await?);
        }
        let gone = self.store.delete_sending_days_before(self.counts_kept_since(), AT_ONCE).await?;
        went("sending_days", gone);
        let before = self.settings.retired_keys.over_before(now);
        went("retired_keys", self.store.delete_retired_keys_before(before, AT_ONCE).await?);
        went("setup_links", self.store.delete_setup_links_before(now, AT_ONCE).await?);
        Ok(swept + self.sweep_requests().await?)
    }
}

/// So many days; 0 is for ever.
pub fn days(days: u32) -> Option<SignedDuration> {
    (days > 0).then(|| SignedDuration::from_hours(i64::from(days) * 24))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    #[test]
    fn no_days_are_for_ever() {
        assert_eq!(days(0), None);
        assert_eq!(days(2), Some(SignedDuration::from_hours(48)));
        assert!(Timestamp::UNIX_EPOCH.checked_sub(days(u32::MAX).unwrap_or_default()).is_err());
    }
}
