//! Keys of a domain take turns: one that stands by begins to sign, the one before drains, and is replaced or taken away.
//!
//! A key of the profile's has its place, and behind an alias it is replaced where it is. A key beside those has its own TXT
//! record in the domain's DNS: it comes, takes a place or signs from where it stands, and goes.

use crate::{
    Domain, Hidden, NewPoolKey, Store, StoreError, Told, Topic,
    audit::tell,
    database::{Sql, Tx, sql},
    dkim_keys::{DkimKey, KeyState, NewDkimKey, bump_dns_generation, dkim_key, insert_key, take_from_pool},
};
use model::{DomainId, DomainName, KeyId, OrgId, Timestamp};

pub(crate) const DRAINED: &str =
    "SELECT id, domain_id, selector, public_key, private_key, state, position, created_at, placed_at, retire_at,
         beside
     FROM dkim_keys WHERE state = 'draining' AND retire_at <= $1 ORDER BY retire_at LIMIT $2";

/// Domains whose keys are to be rotated by now.
pub(crate) const ROTATION_DUE: &str = "SELECT id, org_id FROM domains
     WHERE rotate_at <= $1 AND deleted_at IS NULL ORDER BY rotate_at LIMIT $2";

/// Verified domains of which nobody has said when their keys are to be rotated.
pub(crate) const UNSCHEDULED: &str = "SELECT id FROM domains
     WHERE rotate_at IS NULL AND deleted_at IS NULL AND status = 'verified' AND claimed_at IS NULL LIMIT $1";

/// A key that has gone, whose record may be taken out of the domain's DNS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoneKey {
    /// Its selector at the domain.
    pub selector: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Since when nothing needs the record.
    pub since: Timestamp,
}

impl Store {
    /// Has one key of a domain that stands by sign in place of another, from where it stands. The domain is looked at anew
    /// where one of the two stands beside: what is said of its record is another thing then.
    ///
    /// # Errors
    /// `StaleVersion` when one of them is in another state by now, or the domain is gone or switched off.
    pub async fn rotate_keys(&self, turn: &KeyTurn<'_>, told: impl Into<Told<'_>>) -> Result<(), StoreError> {
        let KeyTurn { next, former, retire_at, next_at, now, .. } = turn;
        let mut tx = self.pools.write().await?;
        let living = sql("UPDATE domains SET version = version + 1, rotate_at = $2
             WHERE id = $1 AND deleted_at IS NULL AND status <> 'disabled'");
        let living = living.bind(&former.domain_id).bind_opt(next_at.as_ref()).run(&mut tx).await?;
        let activated = sql(
            "UPDATE dkim_keys SET state = 'active' WHERE id = $1 AND domain_id = $2 AND state = 'standby'",
        )
        .bind(&next.id)
        .bind(&former.domain_id)
        .run(&mut tx)
        .await?;
        let drains = sql("UPDATE dkim_keys SET state = 'draining', retire_at = $3
             WHERE id = $1 AND domain_id = $2 AND state = 'active'")
        .bind(&former.id)
        .bind(&former.domain_id)
        .bind(retire_at)
        .run(&mut tx)
        .await?;
        if [living, activated, drains] != [1, 1, 1] {
            return Err(StoreError::StaleVersion);
        }
        turn.expire_others(&mut tx).await?;
        if next.beside.is_some() || former.beside.is_some() {
            look_anew(former.domain_id, *now, &mut tx).await?;
            tx.wakes(Topic::Verify);
        }
        tell(told.into(), &mut tx).await?;
        tx.commit().await
    }

    /// Keys that have drained by now, longest first.
    pub async fn drained_keys(&self, now: Timestamp, limit: u32) -> Result<Vec<DkimKey>, StoreError> {
        self.read_all(sql(DRAINED).bind(&now).bind(&limit)).await?.iter().map(dkim_key).collect()
    }

    /// Puts a key of the pool behind the selector of one that has drained, which is gone then. The domain is looked at no
    /// sooner than at `looked_at`. What DNS serves changes with it: no selector is without a key meanwhile.
    ///
    /// # Errors
    /// `StaleVersion` when it does not drain any more, `PoolEmpty`.
    pub async fn replace_drained_key(
        &self,
        key: &DkimKey,
        now: Timestamp,
        looked_at: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        // The domain before its keys, as everybody who changes keys: in another order two would wait for each other.
        sql("UPDATE domains SET version = version + 1,
                 next_check_at = CASE WHEN next_check_at < $2 THEN $2 ELSE next_check_at END
             WHERE id = $1")
        .bind(&key.domain_id)
        .bind(&looked_at)
        .run(&mut tx)
        .await?;
        let gone = sql("DELETE FROM dkim_keys WHERE id = $1 AND state = 'draining'");
        if gone.bind(&key.id).run(&mut tx).await? == 0 {
            return Err(StoreError::StaleVersion);
        }
        let new =
            take_from_pool(vec![key.selector.clone()], &mut tx).await?.pop().ok_or(StoreError::PoolEmpty)?;
        bump_dns_generation(&mut tx).await?;
        sql("INSERT INTO dkim_keys (id, domain_id, selector, public_key, private_key, state, position, created_at,
                 placed_at, dns_generation)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, (SELECT value FROM generations WHERE name = 'dns'))")
        .bind(&new.id)
        .bind(&key.domain_id)
        .bind(&key.selector)
        .bind(&new.public_key)
        .bind(&new.private_key)
        .bind(&KeyState::Standby)
        .bind(&key.position)
        .bind(&new.created_at)
        .bind(&now)
        .run(&mut tx)
        .await?;
        tx.wakes(Topic::Dns);
        tx.commit().await
    }

    /// Puts a key beside those of a domain's profile, to stand by at a selector of its own. The domain is looked at at once.
    ///
    /// Which selectors the keys of the profile have at the domain follows from the domain's variables: whoever calls has
    /// looked whether this one is free.
    ///
    /// # Errors
    /// `StaleVersion` when one stands by already, the variables are others by now or the domain is gone, `SelectorTaken` when
    /// a key of the domain has that selector, `KeyTaken` when one is the same key, `PoolEmpty`.
    pub async fn add_key_beside(
        &self,
        new: NewKeyBeside<'_>,
        told: impl Into<Told<'_>>,
    ) -> Result<DkimKey, StoreError> {
        let NewKeyBeside { domain, served, selector, key, now } = new;
        let mut tx = self.pools.write().await?;
        look_anew(domain.id, now, &mut tx).await?;
        let as_read = sql("SELECT COUNT(*) AS n FROM domains WHERE id = $1 AND variables = $2");
        let standing_by = sql("SELECT COUNT(*) AS n FROM dkim_keys
             WHERE domain_id = $1 AND beside IS NOT NULL AND state = 'standby'");
        if count(as_read.bind(&domain.id).text(&domain.variables), &mut tx).await? == 0
            || count(standing_by.bind(&domain.id), &mut tx).await? > 0
        {
            return Err(StoreError::StaleVersion);
        }
        let same = sql("SELECT COUNT(*) AS n FROM dkim_keys
             WHERE domain_id = $1 AND state <> 'retired' AND COALESCE(beside, selector) = $2");
        if count(same.bind(&domain.id).text(selector), &mut tx).await? > 0 {
            return Err(StoreError::SelectorTaken);
        }
        let new = if let Some(key) = key {
            let same = sql("SELECT COUNT(*) AS n FROM dkim_keys
                 WHERE domain_id = $1 AND state <> 'retired' AND public_key = $2");
            if count(same.bind(&domain.id).text(&key.public_key), &mut tx).await? > 0 {
                return Err(StoreError::KeyTaken);
            }
            NewDkimKey {
                id: key.id,
                selector: served.to_owned(),
                public_key: key.public_key,
                private_key: key.private_key,
                state: KeyState::Standby,
                created_at: key.created_at,
            }
        } else {
            let taken = take_from_pool(vec![served.to_owned()], &mut tx).await?.pop();
            NewDkimKey { state: KeyState::Standby, ..taken.ok_or(StoreError::PoolEmpty)? }
        };
        let last = sql("SELECT COALESCE(MAX(position), 0) AS n FROM dkim_keys WHERE domain_id = $1");
        let last: u32 = last.bind(&domain.id).number(&mut tx).await?;
        let added = insert_key(domain.id, new, last + 1, Some(selector), &mut tx).await?;
        tell(told.into(), &mut tx).await?;
        tx.wakes(Topic::Verify);
        tx.commit().await?;
        Ok(added)
    }

    /// Has a key that stands beside sign in the place of one of the profile's, which stands beside from then on, at
    /// `former_selector`, and drains. With it the domain's variables change.
    ///
    /// # Errors
    /// `StaleVersion` when one of them is in another state by now, or the domain is gone.
    pub async fn put_key_in_place(
        &self,
        turn: &KeyTurn<'_>,
        former_selector: &str,
        variables: &str,
        told: impl Into<Told<'_>>,
    ) -> Result<(), StoreError> {
        let KeyTurn { next, former, retire_at, next_at, now, .. } = turn;
        let mut tx = self.pools.write().await?;
        let living = sql("UPDATE domains SET variables = $2, rotate_at = $3
             WHERE id = $1 AND deleted_at IS NULL AND status <> 'disabled'")
        .bind(&former.domain_id)
        .text(variables)
        .bind_opt(next_at.as_ref())
        .run(&mut tx)
        .await?;
        let activated = sql("UPDATE dkim_keys SET state = 'active', beside = NULL, position = $2
             WHERE id = $1 AND state = 'standby' AND beside IS NOT NULL")
        .bind(&next.id)
        .bind(&former.position)
        .run(&mut tx)
        .await?;
        let drains =
            sql("UPDATE dkim_keys SET state = 'draining', retire_at = $2, beside = $3, position = $4
             WHERE id = $1 AND state = 'active' AND beside IS NULL")
            .bind(&former.id)
            .bind(retire_at)
            .text(former_selector)
            .bind(&next.position)
            .run(&mut tx)
            .await?;
        if [living, activated, drains] != [1, 1, 1] {
            return Err(StoreError::StaleVersion);
        }
        turn.expire_others(&mut tx).await?;
        look_anew(former.domain_id, *now, &mut tx).await?;
        tell(told.into(), &mut tx).await?;
        tx.wakes(Topic::Verify);
        tx.commit().await
    }

    /// Takes away a key that stands beside and signs nothing, in the state that it was read in; `wiped` takes the place of
    /// its private part. Its record may be removed from then on, of which [`Self::gone_keys`] tells. Where it was to sign next,
    /// that which signs goes no sooner than others any more.
    ///
    /// # Errors
    /// `StaleVersion` when it is in another state by now, or the domain is gone.
    pub async fn retire_key_beside(
        &self,
        key: &DkimKey,
        wiped: Hidden,
        now: Timestamp,
        told: impl Into<Told<'_>>,
    ) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        look_anew(key.domain_id, now, &mut tx).await?;
        let retired = sql("UPDATE dkim_keys SET selector = selector || '~' || id, state = 'retired',
                 private_key = $3, retire_at = $4, dns_generation = NULL
             WHERE id = $1 AND state = $2 AND beside IS NOT NULL AND state IN ('standby', 'draining')")
        .bind(&key.id)
        .bind(&key.state)
        .bind(&wiped)
        .bind(&now)
        .run(&mut tx)
        .await?;
        if retired == 0 {
            return Err(StoreError::StaleVersion);
        }
        if key.state == KeyState::Standby {
            let active =
                sql("UPDATE dkim_keys SET retire_at = NULL WHERE domain_id = $1 AND state = 'active'");
            active.bind(&key.domain_id).run(&mut tx).await?;
        }
        tell(told.into(), &mut tx).await?;
        tx.wakes(Topic::Dns);
        tx.wakes(Topic::Verify);
        tx.commit().await
    }

    /// Has the keys of a domain that have signed before go now, and `active`, where one is given, as soon as another one signs.
    ///
    /// # Errors
    /// `StaleVersion` when that one does not sign any more, or the domain is gone.
    pub async fn expire_keys(
        &self,
        domain_id: DomainId,
        active: Option<KeyId>,
        now: Timestamp,
        told: impl Into<Told<'_>>,
    ) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        look_anew(domain_id, now, &mut tx).await?;
        if let Some(active) = active {
            let marked = sql("UPDATE dkim_keys SET retire_at = $3
                 WHERE id = $1 AND domain_id = $2 AND state = 'active'");
            if marked.bind(&active).bind(&domain_id).bind(&now).run(&mut tx).await? == 0 {
                return Err(StoreError::StaleVersion);
            }
        }
        expire_draining(domain_id, now, &mut tx).await?;
        tell(told.into(), &mut tx).await?;
        tx.wakes(Topic::Verify);
        tx.commit().await
    }

    /// The organisation and the name of a living domain.
    pub async fn name_of_domain(
        &self,
        domain_id: DomainId,
    ) -> Result<Option<(OrgId, DomainName)>, StoreError> {
        let living = sql("SELECT org_id, name FROM domains WHERE id = $1 AND deleted_at IS NULL");
        let row = self.read_first(living.bind(&domain_id)).await?;
        row.map(|row| Ok((row.get("org_id")?, row.get("name")?))).transpose()
    }

    /// The keys of a domain that stood beside and have gone since then.
    pub async fn gone_keys(&self, domain_id: DomainId, since: Timestamp) -> Result<Vec<GoneKey>, StoreError> {
        let gone = sql("SELECT beside, created_at, retire_at FROM dkim_keys
             WHERE domain_id = $1 AND state = 'retired' AND beside IS NOT NULL AND retire_at >= $2
             ORDER BY position");
        let rows = self.read_all(gone.bind(&domain_id).bind(&since)).await?;
        rows.iter()
            .map(|row| {
                Ok(GoneKey {
                    selector: row.get("beside")?,
                    created_at: row.get("created_at")?,
                    since: row.get("retire_at")?,
                })
            })
            .collect()
    }

    /// Says when domains are rotated next, for those of which nobody has said so.
    pub async fn schedule_rotations(&self, times: &[(DomainId, Timestamp)]) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        for (domain_id, at) in times {
            sql("UPDATE domains SET rotate_at = $2
                 WHERE id = $1 AND rotate_at IS NULL")
            .bind(domain_id)
            .bind(at)
            .run(&mut tx)
            .await?;
        }
        tx.commit().await
    }

    /// Domains that are verified and have no time for their next rotation.
    pub async fn unscheduled_rotations(&self, limit: u32) -> Result<Vec<DomainId>, StoreError> {
        let rows = self.read_all(sql(UNSCHEDULED).bind(&limit)).await?;
        rows.iter().map(|row| row.get("id")).collect()
    }

    /// Takes domains in hand whose time has come, longest first. They come again at `again_at`, unless something else is said
    /// before.
    pub async fn claim_rotations(
        &self,
        now: Timestamp,
        again_at: Timestamp,
        limit: u32,
    ) -> Result<Vec<(OrgId, DomainId)>, StoreError> {
        let mut tx = self.pools.write().await?;
        let due = sql(ROTATION_DUE).bind(&now).bind(&limit).all(&mut tx).await?;
        let mut claimed = Vec::with_capacity(due.len());
        for row in &due {
            let domain_id: DomainId = row.get("id")?;
            // Another node may have taken it meanwhile.
            let mine = sql("UPDATE domains SET rotate_at = $3 WHERE id = $1 AND rotate_at <= $2");
            if mine.bind(&domain_id).bind(&now).bind(&again_at).run(&mut tx).await? == 1 {
                claimed.push((row.get("org_id")?, domain_id));
            }
        }
        tx.commit().await?;
        Ok(claimed)
    }

    /// Says when the keys of a domain are rotated next.
    pub async fn postpone_rotation(&self, domain_id: DomainId, to: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        let later = sql("UPDATE domains SET rotate_at = $2 WHERE id = $1");
        later.bind(&domain_id).bind(&to).run(&mut tx).await?;
        tx.commit().await
    }
}

/// A key signs in the place of another one.
#[derive(Debug)]
pub struct KeyTurn<'a> {
    /// What signs from now on.
    pub next: &'a DkimKey,
    /// What signed until now.
    pub former: &'a DkimKey,
    /// Until when the former key stays.
    pub retire_at: Timestamp,
    /// Whether those that signed before go now.
    pub expires_others: bool,
    /// When it is time for the next turn, where somebody says so.
    pub next_at: Option<Timestamp>,
    /// Now.
    pub now: Timestamp,
}

impl KeyTurn<'_> {
    async fn expire_others(&self, tx: &mut Tx) -> Result<(), StoreError> {
        if self.expires_others {
            expire_draining(self.former.domain_id, self.now, tx).await?;
        }
        Ok(())
    }
}

/// A key to stand beside those of a domain's profile.
#[derive(Debug)]
pub struct NewKeyBeside<'a> {
    /// The domain, as it was read.
    pub domain: &'a Domain,
    /// The selector in our zone, unique in the whole store.
    pub served: &'a str,
    /// The selector at the domain.
    pub selector: &'a str,
    /// The key; one of the pool without.
    pub key: Option<NewPoolKey>,
    /// Now.
    pub now: Timestamp,
}

async fn count(query: Sql, tx: &mut Tx) -> Result<u64, StoreError> {
    query.number(tx).await
}

async fn expire_draining(domain_id: DomainId, now: Timestamp, tx: &mut Tx) -> Result<(), StoreError> {
    let draining = sql("UPDATE dkim_keys SET retire_at = $2
         WHERE domain_id = $1 AND state = 'draining' AND retire_at > $2");
    draining.bind(&domain_id).bind(&now).run(tx).await.map(drop)
}

/// Has a living domain looked at, after a check that is running now too; others who change its keys wait until this is done.
async fn look_anew(domain_id: DomainId, now: Timestamp, tx: &mut Tx) -> Result<(), StoreError> {
    let living =
        sql("UPDATE domains SET version = version + 1, next_check_at = $2, poked_at = $2, poke_pending = 1,
             watch_seconds = NULL
         WHERE id = $1 AND deleted_at IS NULL");
    match living.bind(&domain_id).bind(&now).run(tx).await? {
        0 => Err(StoreError::StaleVersion),
        _ => Ok(()),
    }
}
