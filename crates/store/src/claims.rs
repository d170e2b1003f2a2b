//! Who holds a name, and claims of names that another organisation holds.
//!
//! Of all living domains of one name one at most is the holder: a unique index says so, whoever writes at the same time.
//! A domain has one claim at a time; the next one takes the place of one that has ended.

use crate::{
    Domain, NewEvent, Store, StoreError, Told, Topic,
    audit::tell,
    contacts::insert_alert,
    database::{Row, Tx, sql},
    domains::{columns, domain},
    error::Unique,
    events::insert_events,
    key_feed::serve_keys_anew,
    value::words,
};
use model::{DomainId, DomainName, Timestamp};

pub(crate) const HOLDER: Unique = Unique { sqlite: "domains.name", postgres: "domains_holder" };

words! {
    /// How a claim ended.
    ClaimEnd {
        /// The name is the claimer's now.
        Moved = "moved",
        /// Its time was over.
        Expired = "expired",
        /// Somebody else took or gave up the name meanwhile.
        Superseded = "superseded",
    }
}

/// A claim of a name that another organisation holds, or held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainClaim {
    /// The domain that it is for.
    pub domain_id: DomainId,
    /// Its name.
    pub name: DomainName,
    /// The domain of the other organisation that held the name when the claim began.
    pub holder_id: DomainId,
    /// What is to be published.
    pub token: String,
    /// Grows with every change.
    pub version: i64,
    /// When it began.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Timestamp,
    /// Since when the token was seen at every look.
    pub first_seen_at: Option<Timestamp>,
    /// When it was last looked for.
    pub looked_at: Option<Timestamp>,
    /// What the last look found, in the words of the caller.
    pub found: Option<String>,
    /// When it is looked for next.
    pub next_look_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How it ended; nothing while it is open.
    pub outcome: Option<ClaimEnd>,
}

/// A claim to begin.
#[derive(Debug)]
pub struct ClaimStart<'a> {
    /// The claim; its version and holder are the store's business.
    pub claim: &'a DomainClaim,
    /// What is told to the claimer's side.
    pub told: Told<'a>,
    /// The event for the holder, who is written to as well.
    pub to_holder: &'a NewEvent,
}

/// What a look at DNS came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimLook {
    /// When.
    pub at: Timestamp,
    /// What was found, in the words of the caller.
    pub found: String,
    /// Since when the token was seen at every look.
    pub first_seen_at: Option<Timestamp>,
    /// When to look again.
    pub next_look_at: Timestamp,
}

/// What is told when a name changes hands.
#[derive(Debug)]
pub struct ClaimMove<'a> {
    /// When.
    pub at: Timestamp,
    /// Why the former holder's domain is disabled, for people.
    pub reason: &'a str,
    /// The event for the new holder.
    pub to_claimer: &'a NewEvent,
    /// The event for the former holder, who is written to as well.
    pub to_holder: &'a NewEvent,
}

macro_rules! claim_columns {
    () => {
        "domain_id, name, holder_id, token, version, created_at, expires_at, first_seen_at, looked_at, found, \
         next_look_at, ended_at, outcome"
    };
}

fn claim(row: &Row) -> Result<DomainClaim, StoreError> {
    Ok(DomainClaim {
        domain_id: row.get("domain_id")?,
        name: row.get("name")?,
        holder_id: row.get("holder_id")?,
        token: row.get("token")?,
        version: row.get("version")?,
        created_at: row.get("created_at")?,
        expires_at: row.get("expires_at")?,
        first_seen_at: row.opt("first_seen_at")?,
        looked_at: row.opt("looked_at")?,
        found: row.opt("found")?,
        next_look_at: row.opt("next_look_at")?,
        ended_at: row.opt("ended_at")?,
        outcome: row.opt("outcome")?,
    })
}

/// A domain that is deleted takes its claim with it.
pub(crate) async fn end_with_domain(domain_id: DomainId, tx: &mut Tx) -> Result<(), StoreError> {
    sql("DELETE FROM domain_claims WHERE domain_id = $1").bind(&domain_id).run(tx).await.map(drop)
}

/// Those who wait for a name that has come free are looked at.
pub(crate) async fn poke_those_who_wait(
    name: &DomainName,
    now: Timestamp,
    tx: &mut Tx,
) -> Result<(), StoreError> {
    sql("UPDATE domains SET next_check_at = $2, poked_at = $2, poke_pending = 1, watch_seconds = NULL
         WHERE name = $1 AND held_elsewhere = 1 AND deleted_at IS NULL AND status <> 'disabled'")
    .bind(name)
    .bind(&now)
    .run(tx)
    .await?;
    tx.wakes(Topic::Verify);
    Ok(())
}

pub(crate) const HOLDER_OF: &str =
    concat!("SELECT ", columns!(), " FROM domains WHERE name = $1 AND holder = 1 AND deleted_at IS NULL");
const HOLDER_OF_LOCKED: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM domains WHERE name = $1 AND holder = 1 AND deleted_at IS NULL FOR UPDATE"
);

/// The holder of a name, which stays it until the end of the transaction. Whoever changes claims of the name locks this
/// first, so that they take turns.
async fn holder_to_change(name: &DomainName, tx: &mut Tx) -> Result<Option<Domain>, StoreError> {
    let row = sql(HOLDER_OF).on_postgres(HOLDER_OF_LOCKED).bind(name).first(tx).await?;
    row.as_ref().map(domain).transpose()
}

pub(crate) const DUE: &str = concat!(
    "UPDATE domain_claims SET next_look_at = $3, version = version + 1
     WHERE domain_id IN (SELECT domain_id FROM domain_claims
         WHERE outcome IS NULL AND next_look_at <= $1 ORDER BY next_look_at LIMIT $2)
     RETURNING ",
    claim_columns!()
);

/// Nodes that look at the same time go around each other's.
const DUE_ON_POSTGRES: &str = concat!(
    "WITH due AS MATERIALIZED (SELECT domain_id AS due_id FROM domain_claims
         WHERE outcome IS NULL AND next_look_at <= $1 ORDER BY next_look_at LIMIT $2 FOR UPDATE SKIP LOCKED)
     UPDATE domain_claims SET next_look_at = $3, version = version + 1 FROM due WHERE domain_id = due_id
     RETURNING ",
    claim_columns!()
);

/// How many domains [`OF_TWENTY`] asks for; those that are not needed are NULL, which nothing equals.
const TWENTY: usize = 20;

pub(crate) const OF_TWENTY: &str = concat!(
    "SELECT ",
    claim_columns!(),
    " FROM domain_claims WHERE domain_id IN ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, \
     $18, $19, $20)"
);

impl Store {
    /// The domain that holds a name, whosever it is.
    pub async fn holder_of(&self, name: &DomainName) -> Result<Option<Domain>, StoreError> {
        self.read_first(sql(HOLDER_OF).bind(name)).await?.as_ref().map(domain).transpose()
    }

    /// The claim of a domain, open or ended.
    pub async fn claim_of(&self, domain_id: DomainId) -> Result<Option<DomainClaim>, StoreError> {
        let query = sql(concat!("SELECT ", claim_columns!(), " FROM domain_claims WHERE domain_id = $1"));
        self.read_first(query.bind(&domain_id)).await?.as_ref().map(claim).transpose()
    }

    /// The claims of several domains, as far as they have one. Takes one query for twenty domains.
    pub async fn claims_of(&self, domain_ids: &[DomainId]) -> Result<Vec<DomainClaim>, StoreError> {
        let mut claims = Vec::new();
        for some in domain_ids.chunks(TWENTY) {
            let mut query = sql(OF_TWENTY);
            for place in 0..TWENTY {
                query = query.bind_opt(some.get(place));
            }
            for row in &self.read_all(query).await? {
                claims.push(claim(row)?);
            }
        }
        Ok(claims)
    }

    /// Begins a claim against the holder that it names, in place of one that has ended.
    ///
    /// # Errors
    /// `StaleVersion` when one is open, or when the holder is another one by now.
    pub async fn begin_claim(&self, start: &ClaimStart<'_>) -> Result<DomainClaim, StoreError> {
        let new = start.claim;
        let mut tx = self.pools.write().await?;
        let holder = holder_to_change(&new.name, &mut tx).await?;
        if holder.is_none_or(|holder| holder.id != new.holder_id) {
            return Err(StoreError::StaleVersion);
        }
        let row = sql(concat!(
            "INSERT INTO domain_claims (domain_id, name, holder_id, token, version, created_at, expires_at, next_look_at)
             VALUES ($1, $2, $3, $4, 1, $5, $6, $7)
             ON CONFLICT (domain_id) DO UPDATE SET name = $2, holder_id = $3, token = $4,
                 version = domain_claims.version + 1, created_at = $5, expires_at = $6, next_look_at = $7,
                 first_seen_at = NULL, looked_at = NULL, found = NULL, ended_at = NULL, outcome = NULL
             WHERE domain_claims.outcome IS NOT NULL OR domain_claims.expires_at <= $5
             RETURNING ",
            claim_columns!()
        ))
        .bind(&new.domain_id)
        .bind(&new.name)
        .bind(&new.holder_id)
        .bind(&new.token)
        .bind(&new.created_at)
        .bind(&new.expires_at)
        .bind_opt(new.next_look_at.as_ref())
        .first(&mut tx)
        .await?;
        let begun = claim(&row.ok_or(StoreError::StaleVersion)?)?;
        tell(start.told, &mut tx).await?;
        insert_events(std::slice::from_ref(start.to_holder), &mut tx).await?;
        insert_alert(start.to_holder, new.holder_id, &mut tx).await?;
        tx.wakes(Topic::Verify);
        tx.commit().await?;
        Ok(begun)
    }

    /// Takes open claims that are to be looked at, longest due first; until `again` nobody else gets them.
    pub async fn due_claims(
        &self,
        now: Timestamp,
        again: Timestamp,
        limit: u32,
    ) -> Result<Vec<DomainClaim>, StoreError> {
        let mut tx = self.pools.write().await?;
        let due = sql(DUE).on_postgres(DUE_ON_POSTGRES).bind(&now).bind(&limit).bind(&again);
        let due = due.all(&mut tx).await?.iter().map(claim).collect::<Result<_, _>>()?;
        tx.commit().await?;
        Ok(due)
    }

    /// The living domain that a claim is for.
    pub async fn domain_of_claim(&self, claim: &DomainClaim) -> Result<Domain, StoreError> {
        let query = sql(concat!("SELECT ", columns!(), " FROM domains WHERE id = $1 AND deleted_at IS NULL"));
        let row = self.read_first(query.bind(&claim.domain_id)).await?;
        domain(&row.ok_or(StoreError::NotFound("domain"))?)
    }

    /// When the next claim is to be looked at.
    pub async fn next_claim_due_at(&self) -> Result<Option<Timestamp>, StoreError> {
        let next = sql("SELECT next_look_at AS due FROM domain_claims
             WHERE outcome IS NULL AND next_look_at IS NOT NULL ORDER BY next_look_at LIMIT 1");
        self.read_first(next).await?.map_or(Ok(None), |row| row.opt("due"))
    }

    /// Keeps what a look at an open claim came to.
    ///
    /// # Errors
    /// `StaleVersion` when it was changed since it was read.
    pub async fn record_claim_look(&self, claim: &DomainClaim, look: &ClaimLook) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        let kept =
            sql("UPDATE domain_claims SET looked_at = $3, found = $4, first_seen_at = $5, next_look_at = $6,
                 version = version + 1
             WHERE domain_id = $1 AND version = $2 AND outcome IS NULL")
            .bind(&claim.domain_id)
            .bind(&claim.version)
            .bind(&look.at)
            .text(&look.found)
            .bind_opt(look.first_seen_at.as_ref())
            .bind(&look.next_look_at)
            .run(&mut tx)
            .await?;
        if kept == 0 {
            return Err(StoreError::StaleVersion);
        }
        // Pages and polls tell by the domain's version whether there is anything new.
        sql("UPDATE domains SET version = version + 1 WHERE id = $1")
            .bind(&claim.domain_id)
            .run(&mut tx)
            .await?;
        tx.commit().await
    }

    /// Ends an open claim without moving anything.
    ///
    /// # Errors
    /// `StaleVersion` when it was changed since it was read.
    pub async fn end_claim(
        &self,
        claim: &DomainClaim,
        end: ClaimEnd,
        now: Timestamp,
        events: &[NewEvent],
    ) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        set_end(claim, end, now, &mut tx).await?;
        sql("UPDATE domains SET version = version + 1 WHERE id = $1")
            .bind(&claim.domain_id)
            .run(&mut tx)
            .await?;
        insert_events(events, &mut tx).await?;
        tx.commit().await
    }

    /// Moves the hold of a name to the domain of a claim that is proven: the former holder's domain is disabled, every
    /// other open claim of the name ends, and both sides are told, all or nothing.
    ///
    /// # Errors
    /// `StaleVersion` when the claim was changed since it was read, its time is over, the claimer's domain is gone or
    /// disabled, or somebody else holds the name than when the claim began.
    pub async fn move_hold(&self, claim: &DomainClaim, told: &ClaimMove<'_>) -> Result<Domain, StoreError> {
        let mut tx = self.pools.write().await?;
        let holder = holder_to_change(&claim.name, &mut tx).await?;
        if holder.is_none_or(|holder| holder.id != claim.holder_id) || claim.expires_at <= told.at {
            return Err(StoreError::StaleVersion);
        }
        set_end(claim, ClaimEnd::Moved, told.at, &mut tx).await?;
        sql("UPDATE domains SET holder = 0, held_elsewhere = 0, status = 'disabled', disabled_reason = $2,
                 claimed_at = $3, fails_at = NULL, next_check_at = NULL, health = 'ok', lease_owner = NULL,
                 lease_until = NULL, suspected_since = NULL, last_failure_at = NULL, reminders = 0,
                 consecutive_failures = 0, watch_seconds = NULL, version = version + 1
             WHERE id = $1 AND deleted_at IS NULL")
        .bind(&claim.holder_id)
        .text(told.reason)
        .bind(&told.at)
        .run_on("domain", &mut tx)
        .await?;
        let row = sql(concat!(
            "UPDATE domains SET holder = 1, held_elsewhere = 0, next_check_at = $2, poked_at = $2, poke_pending = 1,
                 watch_seconds = NULL, version = version + 1
             WHERE id = $1 AND deleted_at IS NULL AND status <> 'disabled' RETURNING ",
            columns!()
        ))
        .bind(&claim.domain_id)
        .bind(&told.at)
        .first(&mut tx)
        .await?;
        let claimer = domain(&row.ok_or(StoreError::StaleVersion)?)?;
        sql("UPDATE domain_claims SET outcome = $3, ended_at = $4, version = version + 1
             WHERE name = $1 AND outcome IS NULL AND domain_id <> $2")
        .bind(&claim.name)
        .bind(&claim.domain_id)
        .bind(&ClaimEnd::Superseded)
        .bind(&told.at)
        .run(&mut tx)
        .await?;
        insert_events(&[told.to_claimer.clone(), told.to_holder.clone()], &mut tx).await?;
        insert_alert(told.to_holder, claim.holder_id, &mut tx).await?;
        for domain in [claim.holder_id, claim.domain_id] {
            serve_keys_anew(domain, &mut tx).await?;
        }
        tx.wakes(Topic::Verify);
        tx.commit().await?;
        Ok(claimer)
    }
}

async fn set_end(claim: &DomainClaim, end: ClaimEnd, now: Timestamp, tx: &mut Tx) -> Result<(), StoreError> {
    let ended = sql("UPDATE domain_claims SET outcome = $3, ended_at = $4, version = version + 1
         WHERE domain_id = $1 AND version = $2 AND outcome IS NULL")
    .bind(&claim.domain_id)
    .bind(&claim.version)
    .bind(&end)
    .bind(&now)
    .run(tx)
    .await?;
    if ended == 0 { Err(StoreError::StaleVersion) } else { Ok(()) }
}
