//! Keys behind aliases are rotated by themselves: each domain at its place in a period, so that they are spread.

use super::AT_ONCE;
use crate::{App, access::Caller, error::Result, watch::next_place};
use jiff::{SignedDuration, Timestamp};
use model::DomainId;

/// How many domains get their time in one go.
const PLACED_AT_ONCE: u32 = 500;

/// When a domain comes again whose keys could not be rotated.
const AGAIN: SignedDuration = SignedDuration::from_hours(24);

impl App {
    /// When the keys of a domain are rotated next; nothing where they are not by themselves. Between half a period and one and
    /// a half from now.
    pub(super) fn next_rotation(&self, id: DomainId, now: Timestamp) -> Option<Timestamp> {
        let days = i64::from(self.settings.rotate_days);
        (days > 0).then(|| next_place(id, days * 24 * 3_600, now))
    }

    /// Rotates the keys of domains whose time has come, and gives those a time that have none. Returns how many of them.
    pub async fn rotate_due_keys(&self) -> Result<usize> {
        if self.settings.rotate_days == 0 {
            return Ok(0);
        }
        let now = self.clock.now();
        let unscheduled = self.store.unscheduled_rotations(PLACED_AT_ONCE).await?;
        let times: Vec<_> =
            unscheduled.into_iter().filter_map(|id| Some((id, self.next_rotation(id, now)?))).collect();
        if !times.is_empty() {
            self.store.schedule_rotations(&times).await?;
        }
        let again_at = now.checked_add(AGAIN).unwrap_or(Timestamp::MAX);
        let due = self.store.claim_rotations(now, again_at, AT_ONCE).await?;
        for (org_id, id) in &due {
            let caller = Caller::owner(*org_id);
            let view = match self.domain(&caller, *id).await {
                Ok(view) => view,
                Err(error) => {
                    tracing::warn!(domain_id = %id, %error, "the keys of a domain were not rotated");
                    continue;
                }
            };
            let name = view.domain.name.clone();
            // What is not verified, or has keys that the customer publishes, comes again tomorrow.
            match self.rotate(&view, Some(&caller), false).await {
                Ok(true) => metrics::counter!("countersign_keys_rotated_total").increment(1),
                Ok(false) => {}
                Err(error) => {
                    tracing::debug!(domain = %name, %error, "the keys of a domain are rotated later");
                }
            }
        }
        Ok(times.len() + due.len())
    }
}
