//! Keys behind aliases are rotated by themselves: each domain at its place in a period, so that they are spread.

use super::{AT_ONCE, Cause};
use crate::{
    App,
    access::Caller,
    error::{Error, Result},
    watch::next_place,
};
use jiff::{SignedDuration, Timestamp};
use model::{DomainId, OrgId};

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
            match self.rotate_or_postpone(*org_id, *id, now).await {
                Ok(()) => {}
                // What is not verified, or waits for other keys, comes again tomorrow.
                Err(Error::KeysNotRotatable { domain, reason }) => {
                    tracing::debug!(%domain, reason, "the keys of a domain are rotated later");
                }
                Err(error) => {
                    tracing::warn!(domain_id = %id, %error, "the keys of a domain were not rotated");
                }
            }
        }
        Ok(times.len() + due.len())
    }

    async fn rotate_or_postpone(&self, org_id: OrgId, id: DomainId, now: Timestamp) -> Result<()> {
        let caller = Caller::owner(org_id);
        let view = self.domain(&caller, id).await?;
        if self.rotate(&view, &caller, Cause::Due).await? {
            return Ok(());
        }
        // The customer would have to do something: until somebody asks, it is as if it had been done.
        if let Some(at) = self.next_rotation(id, now) {
            self.store.postpone_rotation(id, at).await?;
        }
        Ok(())
    }
}
