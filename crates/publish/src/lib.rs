//! Writing records at DNS hosts: what would change, as data.
//!
//! [`plan()`] compares the records that should be there with those that are, and with the ledger of what we wrote, and
//! makes a [`ChangeSet`]: it can be kept, shown, and applied later. [`batches`] cuts it to what the host writes at once,
//! [`guard`] says whether the zone is still what it was made from, [`undo`] makes the change set back. Nothing here
//! writes: a host is a [`ZoneProvider`], [`model_host`] one that is only thought.

mod batches;
mod capabilities;
mod change_set;
pub mod domain_connect;
pub mod export;
mod guard;
pub mod http;
pub mod model_host;
mod order;
mod place;
mod plan;
#[cfg(test)]
mod properties;
mod provider;
mod required;
mod resume;
mod undo;
mod zone;

pub use batches::batches;
pub use capabilities::{Atomic, Capabilities, Grain};
pub use change_set::{Action, Blocked, ChangeSet, Reason, Step, Why};
pub use guard::{Difference, guard};
pub use order::same_data;
pub use plan::{LEFT_OVER, plan};
pub use provider::{
    Batch, Done, HostError, Later, Refusal, Right, SetChange, Work, WriteError, Written, ZoneProvider,
};
pub use required::{Displaces, Owned, OwnedState, Required, Want};
pub use resume::{rest, seen_done};
pub use undo::undo;
pub use zone::{Kept, Listed, Zone, ZoneHandle, ZoneRecord};
