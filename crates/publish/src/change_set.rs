//! What would change, as data: it can be kept, shown, applied later and taken back.

use crate::{Grain, Owned, OwnedState, ZoneRecord};
use model::{DomainName, Record};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Why a record takes another's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// We wrote the old one.
    Ours,
    /// It is the customer's SPF record, and our mechanisms go into it.
    SpfMerge,
    /// There are several SPF records, which is none (RFC 7208 §4.5): they become one.
    SpfJoin,
    /// Our mechanisms go out of the customer's SPF record.
    SpfUnmerge,
    /// It is ours, and the host answers with addresses of its own instead.
    Unproxy,
    /// What was before is put back.
    Undo,
}

/// What one step does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// A record that is not there.
    Add {
        /// It.
        new: Record,
    },
    /// Another record in the place of one.
    Replace {
        /// What is there.
        old: ZoneRecord,
        /// What will be there.
        new: Record,
        /// Why.
        why: Why,
    },
    /// A record taken out.
    Remove {
        /// What is there.
        old: ZoneRecord,
    },
}

impl Action {
    /// The name it touches.
    pub const fn owner(&self) -> &DomainName {
        match self {
            Self::Add { new } | Self::Replace { new, .. } => &new.owner,
            Self::Remove { old } => &old.record.owner,
        }
    }

    /// What is there before it, of what it changes.
    pub const fn before(&self) -> Option<&ZoneRecord> {
        match self {
            Self::Add { .. } => None,
            Self::Replace { old, .. } | Self::Remove { old } => Some(old),
        }
    }

    /// What is there after it.
    pub const fn after(&self) -> Option<&Record> {
        match self {
            Self::Add { new } | Self::Replace { new, .. } => Some(new),
            Self::Remove { .. } => None,
        }
    }
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its number within the change set, from 0.
    pub id: u16,
    /// The planned record it is for.
    pub key: String,
    /// What it does.
    #[serde(flatten)]
    pub action: Action,
}

/// Why a record cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Reason {
    /// An alias of somebody else's is at the name, and nothing stands beside an alias (RFC 1034 §3.6.2).
    AliasThere,
    /// Other records are at the name, and an alias stands beside nothing.
    DataBesideAlias,
    /// Another DKIM key is at the selector.
    OtherKey,
    /// Another mail exchanger.
    OtherExchanger,
    /// A text that ours may not stand beside.
    OtherText,
    /// The host answers with something of its own there, which cannot be read back.
    Opaque,
    /// The record is right, but the host answers with its own addresses instead; whose it is must switch that off.
    ProxiedByOthers,
    /// The name belongs to another zone: this one hands it to other name servers.
    Delegated,
    /// There are several SPF records which cannot be made one.
    SpfSeveral,
    /// The SPF record would take more than ten look-ups (RFC 7208 §4.6.4).
    SpfTooManyLookups,
    /// There is a policy record which is not valid, or several.
    PolicyBroken,
    /// The host has no records of that type, or none so long.
    HostCannot,
    /// It was changed since we wrote it.
    ChangedSince,
    /// The listing does not have the name.
    NotListed,
}

/// A planned record that cannot be written, and what is in its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocked {
    /// The planned record.
    pub key: String,
    /// Where.
    pub owner: DomainName,
    /// Whether the domain is verified only with it.
    pub essential: bool,
    /// What is in the way.
    pub by: Vec<ZoneRecord>,
    /// Why.
    #[serde(flatten)]
    pub reason: Reason,
}

/// The steps from what is in a zone to what should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeSet {
    /// The form of this data, [`ChangeSet::VERSION`].
    pub version: u8,
    /// The topmost name of the zone.
    pub zone: DomainName,
    /// What would be done. Order is that of names and does not matter: [`crate::batches`] brings it into one that does.
    pub steps: Vec<Step>,
    /// What cannot be done.
    pub blocked: Vec<Blocked>,
    /// The planned records that are there already.
    pub settled: Vec<String>,
    /// All records at the names that steps touch, as they were listed: who applies it looks whether they still are, and
    /// who undoes it finds them here.
    pub before: Vec<ZoneRecord>,
    /// Steps about records that are another's and stay so: an SPF record that gets our mechanisms. What they write is not
    /// ours to remove.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub foreign: BTreeSet<u16>,
}

impl ChangeSet {
    /// The form of what is written today.
    pub const VERSION: u8 = 1;

    /// The names that its steps touch.
    pub fn names(&self) -> BTreeSet<&DomainName> {
        self.steps.iter().map(|step| step.action.owner()).collect()
    }

    /// Leaves out the steps that `keep` says no to, and with them what was listed at names that no step touches any more:
    /// [`crate::guard`] compares at the names of the steps, and would miss those records.
    pub fn keep(&mut self, grain: Grain, keep: impl FnMut(&Step) -> bool) {
        self.steps.retain(keep);
        let ids: BTreeSet<u16> = self.steps.iter().map(|step| step.id).collect();
        self.foreign.retain(|id| ids.contains(id));
        let names: BTreeSet<DomainName> = self.names().into_iter().cloned().collect();
        if names.is_empty() || grain != Grain::Zone {
            self.before.retain(|record| names.contains(&record.record.owner));
        }
    }

    /// Whether a record of somebody else's would be gone: of several SPF records at a name one is left. Whoever applies it
    /// has to have seen that.
    pub fn takes_from_others(&self) -> bool {
        self.steps.iter().filter(|step| self.foreign.contains(&step.id)).any(|step| {
            matches!(step.action, Action::Remove { .. } | Action::Replace { why: Why::SpfJoin, .. })
        })
    }

    /// What is ours once a step was done, to be written down before it is.
    pub fn owned_after(&self, step: &Step) -> Option<Owned> {
        let owned = |new: &Record, rules| Owned {
            owner: new.owner.clone(),
            data: new.data.clone(),
            id: None,
            state: OwnedState::Intended,
            rules,
        };
        let foreign = self.foreign.contains(&step.id);
        match &step.action {
            Action::Add { new } | Action::Replace { new, .. } if !foreign => Some(owned(new, None)),
            Action::Replace { old, new, why: Why::SpfMerge | Why::SpfJoin } => {
                // Of several that became one, what any of them had is not ours.
                let at_name = self.before.iter().filter(|record| record.record.owner == old.record.owner);
                let texts: Vec<_> = at_name.filter_map(|record| record.record.data.text()).collect();
                let known = texts.join(" ");
                // A redirect of one of them is an include of the whole.
                let known = known.replace("redirect=", "include:") + " " + &known;
                let rules = mail::spf::put_in(&known, &new.data.text()?);
                (!rules.is_empty()).then(|| owned(new, Some(rules)))
            }
            _ => None,
        }
    }

    /// Whether a record of the ledger is ours no more once a step was done.
    pub fn disowns(&self, step: &Step, owned: &Owned) -> bool {
        let Some(old) = step.action.before().filter(|old| old.record.owner == owned.owner) else {
            return false;
        };
        if owned.rules.is_some() {
            // Its mechanisms are in the text that goes, and what is there after it is written down anew.
            return self.foreign.contains(&step.id)
                && owned.data.record_type() == old.record.data.record_type();
        }
        let is_it =
            owned.id.is_some() && owned.id == old.id || crate::same_data(&owned.data, &old.record.data);
        let stays = step.action.after().is_some_and(|new| crate::same_data(&new.data, &owned.data));
        is_it && !stays
    }
}
