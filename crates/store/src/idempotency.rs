//! Requests that may be repeated: each is claimed before it is carried out, with the id that what it makes will have, and
//! its answer is kept. Answers come in sealed.

use crate::{
    Hidden, Store, StoreError,
    database::{Tx, sql},
};
use model::{OrgId, RequestId, Timestamp};

/// A request that came with a key.
#[derive(Debug, Clone)]
pub struct IdempotentRequest {
    /// For whom requests are counted.
    pub org_id: OrgId,
    /// Who asks; keys of several do not meet.
    pub principal: String,
    /// The key that the client chose.
    pub key: String,
    /// What is asked, as a hash.
    pub request_hash: Hidden,
    /// The number of the id that what is made gets.
    pub reserved_id: RequestId,
    /// Now.
    pub now: Timestamp,
    /// Until when nobody else carries it out.
    pub lease_until: Timestamp,
    /// What is older is forgotten.
    pub not_before: Timestamp,
    /// How many an organisation may begin between then and now.
    pub most: u64,
}

/// What is known of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// It is to be carried out.
    Claimed {
        /// The number of the id that what is made gets; that of the first try.
        reserved_id: RequestId,
        /// How many have claimed it, this one counted: more than one, and it may have been carried out already.
        claims: u32,
    },
    /// Somebody else is at it.
    Running,
    /// It was carried out: the answer.
    Answered {
        /// The status.
        status: u32,
        /// The rest of it.
        answer: Hidden,
    },
    /// The key came with another request.
    OtherRequest,
    /// The organisation has as many as it may have; until then.
    TooMany(Timestamp),
}

const HOUR: i64 = 3_600;

pub(crate) const COUNTED: &str = "SELECT CAST(SUM(requests) AS BIGINT) AS requests, MIN(hour) AS oldest
     FROM idempotency_shards WHERE org_id = $1 AND hour >= $2";

fn hour_of(at: Timestamp) -> i64 {
    at.as_second().div_euclid(HOUR)
}

/// Over how many rows an organisation's requests of an hour are counted where many processes write.
const SHARDS: u128 = 16;

/// Counts a new request in one of the rows; if it is one too many, when there will be room. Those that are begun at the
/// same moment do not see each other: the bound may be passed by as many.
async fn one_too_many(
    request: &IdempotentRequest,
    shard: u64,
    tx: &mut Tx,
) -> Result<Option<Timestamp>, StoreError> {
    sql("INSERT INTO idempotency_shards (org_id, hour, shard, requests) VALUES ($1, $2, $3, 1)
         ON CONFLICT (org_id, hour, shard) DO UPDATE SET requests = idempotency_shards.requests + 1")
    .bind(&request.org_id)
    .bind(&hour_of(request.now))
    .bind(&shard)
    .run(tx)
    .await?;
    let counted = sql(COUNTED);
    let counted = counted.bind(&request.org_id).bind(&hour_of(request.not_before)).first(tx).await?;
    let Some(counted) = counted else { return Ok(None) };
    if counted.opt::<u64>("requests")?.is_none_or(|requests| requests <= request.most) {
        return Ok(None);
    }
    let oldest = counted.opt::<i64>("oldest")?.unwrap_or_else(|| hour_of(request.not_before));
    // Its hour is over, and all of it is long enough ago.
    let ends =
        Timestamp::from_second(oldest.saturating_add(1).saturating_mul(HOUR)).unwrap_or(Timestamp::MAX);
    let kept = request.now.duration_since(request.not_before);
    Ok(Some(ends.checked_add(kept).unwrap_or(Timestamp::MAX)))
}

async fn forget_old(request: &IdempotentRequest, tx: &mut Tx) -> Result<(), StoreError> {
    sql("DELETE FROM idempotency WHERE principal = $1 AND idempotency_key = $2 AND created_at < $3
         AND (lease_until IS NULL OR lease_until <= $4)")
    .text(&request.principal)
    .text(&request.key)
    .bind(&request.not_before)
    .bind(&request.now)
    .run(tx)
    .await
    .map(drop)
}

impl Store {
    /// Claims a request. Of several at the same time one gets it.
    pub async fn begin_idempotent(&self, request: &IdempotentRequest) -> Result<Begun, StoreError> {
        let mut tx = self.pools.write().await?;
        forget_old(request, &mut tx).await?;
        let first =
            sql("INSERT INTO idempotency (principal, idempotency_key, request_hash, reserved_id, created_at,
                 lease_until, claims) VALUES ($1, $2, $3, $4, $5, $6, 1)
             ON CONFLICT (principal, idempotency_key) DO NOTHING")
            .text(&request.principal)
            .text(&request.key)
            .bind(&request.request_hash)
            .bind(&request.reserved_id)
            .bind(&request.now)
            .bind(&request.lease_until)
            .run(&mut tx)
            .await?;
        if first > 0 {
            let (_, random) = request.reserved_id.parts();
            let shard = if self.is_shared() { u64::try_from(random % SHARDS).unwrap_or(0) } else { 0 };
            if let Some(again_at) = one_too_many(request, shard, &mut tx).await? {
                return Ok(Begun::TooMany(again_at));
            }
            tx.commit().await?;
            return Ok(Begun::Claimed { reserved_id: request.reserved_id, claims: 1 });
        }
        let row =
            sql("SELECT request_hash, reserved_id, lease_until, claims, status, answer FROM idempotency
             WHERE principal = $1 AND idempotency_key = $2")
            .on_postgres(
                "SELECT request_hash, reserved_id, lease_until, claims, status, answer FROM idempotency
             WHERE principal = $1 AND idempotency_key = $2 FOR UPDATE",
            )
            .text(&request.principal)
            .text(&request.key)
            .first(&mut tx)
            .await?
            // Swept in between: who asked first is long gone.
            .ok_or(StoreError::Busy)?;
        if row.get::<Hidden>("request_hash")? != request.request_hash {
            return Ok(Begun::OtherRequest);
        }
        if let Some(status) = row.opt("status")? {
            return Ok(Begun::Answered { status, answer: row.get("answer")? });
        }
        if row.opt::<Timestamp>("lease_until")?.is_some_and(|until| until > request.now) {
            return Ok(Begun::Running);
        }
        let claims = row.get::<u32>("claims")?.saturating_add(1);
        sql("UPDATE idempotency SET lease_until = $3, claims = $4 WHERE principal = $1 AND idempotency_key = $2")
            .text(&request.principal)
            .text(&request.key)
            .bind(&request.lease_until)
            .bind(&claims)
            .run(&mut tx)
            .await?;
        tx.commit().await?;
        Ok(Begun::Claimed { reserved_id: row.get("reserved_id")?, claims })
    }

    /// Keeps the answer of a request, unless another one has claimed it since.
    pub async fn keep_answer(
        &self,
        principal: &str,
        key: &str,
        claims: u32,
        status: u32,
        answer: &Hidden,
    ) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        sql("UPDATE idempotency SET lease_until = NULL, status = $4, answer = $5
             WHERE principal = $1 AND idempotency_key = $2 AND claims = $3 AND status IS NULL")
        .text(principal)
        .text(key)
        .bind(&claims)
        .bind(&status)
        .bind(answer)
        .run(&mut tx)
        .await?;
        tx.commit().await
    }

    /// Gives a request back without an answer: whoever repeats it carries it out, with the same id.
    pub async fn give_back_request(&self, principal: &str, key: &str, claims: u32) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        sql("UPDATE idempotency SET lease_until = NULL
             WHERE principal = $1 AND idempotency_key = $2 AND claims = $3 AND status IS NULL")
        .text(principal)
        .text(key)
        .bind(&claims)
        .run(&mut tx)
        .await?;
        tx.commit().await
    }

    /// Forgets requests from before `not_before` that nobody carries out, at most `limit` at once. How many.
    pub async fn sweep_idempotent(
        &self,
        not_before: Timestamp,
        now: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let due = sql("SELECT created_at FROM idempotency
             WHERE created_at < $1 AND (lease_until IS NULL OR lease_until <= $2) LIMIT 1");
        if self.read_first(due.bind(&not_before).bind(&now)).await?.is_none() {
            return Ok(0);
        }
        let mut tx = self.pools.write().await?;
        let swept = sql("DELETE FROM idempotency WHERE (principal, idempotency_key) IN (
                 SELECT principal, idempotency_key FROM idempotency
                 WHERE created_at < $1 AND (lease_until IS NULL OR lease_until <= $2)
                 ORDER BY created_at LIMIT $3)
             AND (lease_until IS NULL OR lease_until <= $2)")
        .bind(&not_before)
        .bind(&now)
        .bind(&limit)
        .run(&mut tx)
        .await?;
        for text in [
            "DELETE FROM idempotency_shards WHERE hour < $1",
            "DELETE FROM idempotency_counts WHERE hour < $1",
        ] {
            sql(text).bind(&hour_of(not_before)).run(&mut tx).await?;
        }
        tx.commit().await?;
        Ok(swept)
    }
}
