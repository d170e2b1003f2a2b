//! From the keys in the store to those that DNS serves: one key more costs one key, not all of them.
//!
//! Each change of a key has a generation (`Store::number_key_changes`). A node knows up to which one it serves, reads what
//! came after, and hands over a new zone set that shares with the last one whatever did not change. The rest of the zones
//! is small and is built anew, where something of it may have changed.

use crate::{
    App,
    error::Result,
    platform_zone::{TTL, internal, key_text, wrapped},
    sub_zones::{Shapes, shapes},
};
use dns::authority::{KeyTable, SubZones};
use std::{collections::BTreeSet, fmt::Write as _, sync::Arc};
use store::KeyChange;

/// What was served last.
#[derive(Default)]
pub(crate) struct LastServed(Option<Served>);

#[derive(Clone)]
struct Served {
    /// Up to where keys and zones are what the store has.
    generation: u64,
    keys: KeyTable,
    /// The zones that are delegated to us. They change with their keys.
    sub_zones: SubZones,
    shapes: Arc<Shapes>,
}

impl App {
    /// Serves what the store has, from now on.
    pub async fn serve_zones(&self) -> Result<()> {
        // One at a time, so that an older state never replaces a newer one.
        let mut last = self.zone_turn.lock().await;
        if last.0.is_none() {
            // Secondaries look at the serial alone.
            let mut says = self.settings_in_zone().map_err(internal)?;
            if let Some(key) = self.ensure_connect_key().await? {
                let records = crate::domain_connect::zone_records(&key, &self.settings.platform_zone, TTL);
                let _ = write!(says, "{:?}", records.map_err(internal)?);
            }
            self.store.number_zone_change(&says).await?;
        }
        self.store.number_key_changes().await?;
        let newest = self.store.dns_generation().await?;
        // A database that was put back to what it was before begins anew.
        let known = last.0.as_ref().filter(|served| served.generation <= newest);
        if known.is_some_and(|served| served.generation == newest) {
            return Ok(());
        }
        let is_first = known.is_none();
        let mut served = match known {
            Some(served) => served.clone(),
            None => Served {
                generation: 0,
                keys: self.no_keys().await?,
                sub_zones: SubZones::default(),
                shapes: Arc::new(shapes(&self.settings)?),
            },
        };
        let mut is_rest_changed = is_first || self.settings.playground;
        let zone = &self.settings.platform_zone;
        let (keys, mut touched) = (&mut served.keys, BTreeSet::new());
        let generation = self
            .store
            .key_changes(served.generation, zone, &self.delegated_names(), |change| {
                is_rest_changed |= change.is_of_zone;
                apply(keys, &change);
                touched.extend(change.sub_zone);
            })
            .await?;
        served.keys.shrink();
        self.refresh_sub_zones(touched, &served.shapes, &mut served.sub_zones).await?;
        let set = if is_rest_changed {
            self.zones_with(generation, served.keys.clone()).await?.following(&self.zones.load())
        } else {
            let zones = self.zones.load();
            zones.with_keys(generation, zone, served.keys.clone(), wrapped(generation)).map_err(internal)?
        };
        let mut sub_zones = served.sub_zones.clone();
        if self.settings.playground_host.is_some() {
            sub_zones = self.delegated_in_playground(&sub_zones).await?;
            self.host_zones.store(Arc::new(set.clone()));
        }
        self.zones.store(Arc::new(set.with_sub_zones(sub_zones)));
        last.0 = Some(Served { generation, ..served });
        Ok(())
    }

    /// A table with room for all keys that there are.
    async fn no_keys(&self) -> Result<KeyTable> {
        let origin = self.settings.platform_zone.prepend("dkim").map_err(internal)?;
        let mut keys = KeyTable::new(&origin, TTL).ok_or_else(|| internal("its name is too long"))?;
        keys.reserve(usize::try_from(self.store.count_served_keys().await?).unwrap_or_default());
        Ok(keys)
    }
}

fn apply(keys: &mut KeyTable, change: &KeyChange) {
    match &change.public_key {
        Some(public_key) => {
            // One that cannot be served must not keep the others from being served.
            if let Err(error) = keys.insert(&change.selector, &key_text(public_key)) {
                tracing::error!(%error, "a key cannot be served");
            }
        }
        None => keys.remove(&change.selector),
    }
}
