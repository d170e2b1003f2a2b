//! Sender domains: adding, listing, deleting, and claiming those that are due for a check.

use crate::{
    DkimKey, NewDkimKey, Store, StoreError, Told, Topic, Visible,
    audit::tell,
    claims::{end_with_domain, poke_those_who_wait},
    database::{Row, Tx, sql},
    deliveries::wake_those_of,
    dkim_keys::{insert_keys, retire_keys, take_from_pool},
    dns_connections,
    error::Unique,
    events::before,
    packed::Packed,
    reputation::{Pause, pause},
    setup_links,
    value::{contains, escape, words},
    visible::{Texts, texts},
};
use model::{CheckStatus, DomainId, DomainName, DomainStatus, OrgId, TenantId, Timestamp};

const NAME: Unique = Unique { sqlite: "domains.org_id, domains.name", postgres: "domains_name" };

words! {
    /// Whether a verified domain shows problems that do not stop it yet.
    Health {
        /// None.
        Ok = "ok",
        /// Something should be mended.
        Warning = "warning",
    }
}

/// A domain to add. It begins as pending.
#[derive(Debug, Clone)]
pub struct NewDomain {
    /// Its id.
    pub id: DomainId,
    /// Whose domain.
    pub org_id: OrgId,
    /// The tenant, when the organisation has tenants.
    pub tenant_id: Option<TenantId>,
    /// The name, unique among the living domains of the organisation.
    pub name: DomainName,
    /// The name of the profile.
    pub profile: String,
    /// The profile's variables, JSON.
    pub variables: String,
    /// What the domain is to be used for, JSON.
    pub capabilities: String,
    /// The approval, in the words of the caller.
    pub approval_status: String,
    /// When it was added.
    pub created_at: Timestamp,
    /// When a domain that was never verified fails.
    pub fails_at: Option<Timestamp>,
    /// When to check it first.
    pub next_check_at: Timestamp,
    /// When its warm-up began.
    pub warmup_started_at: Option<Timestamp>,
    /// How many days the warm-up takes.
    pub warmup_days: Option<u32>,
    /// The region it sends from.
    pub region: Option<String>,
    /// The region it sends from when the first one is down.
    pub fallback_region: Option<String>,
}

/// A stored domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    /// Its id.
    pub id: DomainId,
    /// Whose domain.
    pub org_id: OrgId,
    /// The tenant, when the organisation has tenants.
    pub tenant_id: Option<TenantId>,
    /// The name.
    pub name: DomainName,
    /// The name of the profile.
    pub profile: String,
    /// The profile's variables, JSON.
    pub variables: String,
    /// What the domain is to be used for, JSON.
    pub capabilities: String,
    /// Where it stands.
    pub status: DomainStatus,
    /// SPF of the return path.
    pub spf_status: CheckStatus,
    /// DKIM keys.
    pub dkim_status: CheckStatus,
    /// DMARC policy.
    pub dmarc_status: CheckStatus,
    /// The return path.
    pub return_path_status: CheckStatus,
    /// Problems of a verified domain.
    pub health: Health,
    /// The approval, in the words of the caller.
    pub approval_status: String,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was last verified first.
    pub verified_at: Option<Timestamp>,
    /// When it fails unless it passes before.
    pub fails_at: Option<Timestamp>,
    /// When the last check ended.
    pub last_checked_at: Option<Timestamp>,
    /// When the next check is due.
    pub next_check_at: Option<Timestamp>,
    /// When someone last asked for a check.
    pub poked_at: Option<Timestamp>,
    /// Who is checking it.
    pub lease_owner: Option<String>,
    /// Until when the check must have ended.
    pub lease_until: Option<Timestamp>,
    /// How many checks in a row did not pass.
    pub consecutive_failures: u32,
    /// The pause of its sending; nothing where there is none.
    pub paused: Option<Pause>,
    /// Why it is switched off, where somebody said.
    pub disabled_reason: Option<String>,
    /// Whether it is the one of its name that is verified, of all organisations.
    pub holder: bool,
    /// Whether its records were right and another organisation holds its name.
    pub held_elsewhere: bool,
    /// When another organisation took its name by a claim.
    pub claimed_at: Option<Timestamp>,
    /// Whom its zone is delegated to, as far as that is remembered.
    pub delegation: Delegation,
    /// What is remembered of its breaks.
    pub watch: Watch,
    /// Grows with every change but claims and pokes.
    pub version: i64,
    /// The last report, JSON.
    pub report: Option<String>,
    /// When its warm-up began.
    pub warmup_started_at: Option<Timestamp>,
    /// How many days the warm-up takes.
    pub warmup_days: Option<u32>,
    /// The region it sends from.
    pub region: Option<String>,
    /// The region it sends from when the first one is down.
    pub fallback_region: Option<String>,
}

/// What is remembered of a domain's breaks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Watch {
    /// When the break that is under way was seen first.
    pub suspected_since: Option<Timestamp>,
    /// When it was seen last.
    pub last_failure_at: Option<Timestamp>,
    /// How many reminders of it were sent.
    pub reminders: u32,
    /// How many breaks there were of late.
    pub breaks: u32,
    /// When the last of them was confirmed.
    pub last_break_at: Option<Timestamp>,
}

/// Whom a zone is delegated to, as far as that is remembered; in the words of the caller.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Delegation {
    /// What was last confirmed.
    pub confirmed: Option<String>,
    /// Another one that was seen and is not confirmed.
    pub seen: Option<String>,
    /// When that was seen first.
    pub seen_at: Option<Timestamp>,
}

/// Which way to switch a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Switch {
    /// Nothing is sent from it, and nobody looks at it.
    Off {
        /// Why.
        reason: Option<String>,
    },
    /// It is checked at once.
    On {
        /// When.
        now: Timestamp,
        /// When it fails unless it passes before.
        fails_at: Timestamp,
    },
}

/// Where a new domain's DKIM keys come from.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// The oldest keys of the pool, one for each selector.
    Pool {
        /// The selectors, in order; the first key signs.
        selectors: Vec<String>,
    },
    /// These, in order.
    Given(Vec<NewDkimKey>),
}

/// Which domains to list.
#[derive(Debug, Clone, Default)]
pub struct DomainFilter {
    /// Only those that stand there.
    pub status: Option<DomainStatus>,
    /// Only those whose name contains this. No index finds them: so many are looked at in one go as `looked_at` says.
    pub name_contains: Option<String>,
    /// How many domains are looked at for a part of their name; 5,000 where it is not said.
    pub looked_at: Option<u32>,
}

/// A page of domains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainPage {
    /// The domains, each with the number of messages that it was accepted to send on the day.
    pub domains: Vec<(Domain, u64)>,
    /// Behind which domain to go on where it was looked no further: there may be more.
    pub looked_to: Option<DomainId>,
}

/// How many domains are looked at for a part of their name in one go.
const LOOKED_AT: u32 = 5_000;

fn listed(rows: &[Row]) -> Result<Vec<(Domain, u64)>, StoreError> {
    rows.iter().map(|row| Ok((domain(row)?, row.opt("sent_on_day")?.unwrap_or(0)))).collect()
}

macro_rules! columns {
    () => {
        "id, org_id, tenant_id, name, profile, variables, capabilities, status, spf_status, dkim_status, \
         dmarc_status, return_path_status, health, approval_status, created_at, verified_at, fails_at, \
         last_checked_at, next_check_at, poked_at, lease_owner, lease_until, consecutive_failures, \
         version, report, packed_report, warmup_started_at, warmup_days, region, fallback_region, suspected_since, \
         last_failure_at, reminders, breaks, last_break_at, disabled_reason, holder, held_elsewhere, claimed_at, \
         delegation, delegation_seen, delegation_seen_at, paused_at, pause_reason, pause_cause"
    };
}

pub(crate) use columns;

pub(crate) fn domain(row: &Row) -> Result<Domain, StoreError> {
    Ok(Domain {
        id: row.get("id")?,
        org_id: row.get("org_id")?,
        tenant_id: row.opt("tenant_id")?,
        name: row.get("name")?,
        profile: row.get("profile")?,
        variables: row.get("variables")?,
        capabilities: row.get("capabilities")?,
        status: row.get("status")?,
        spf_status: row.get("spf_status")?,
        dkim_status: row.get("dkim_status")?,
        dmarc_status: row.get("dmarc_status")?,
        return_path_status: row.get("return_path_status")?,
        health: row.get("health")?,
        approval_status: row.get("approval_status")?,
        created_at: row.get("created_at")?,
        verified_at: row.opt("verified_at")?,
        fails_at: row.opt("fails_at")?,
        last_checked_at: row.opt("last_checked_at")?,
        next_check_at: row.opt("next_check_at")?,
        poked_at: row.opt("poked_at")?,
        lease_owner: row.opt("lease_owner")?,
        lease_until: row.opt("lease_until")?,
        consecutive_failures: row.get("consecutive_failures")?,
        paused: pause(row)?,
        disabled_reason: row.opt("disabled_reason")?,
        holder: row.get("holder")?,
        held_elsewhere: row.get("held_elsewhere")?,
        claimed_at: row.opt("claimed_at")?,
        delegation: Delegation {
            confirmed: row.opt("delegation")?,
            seen: row.opt("delegation_seen")?,
            seen_at: row.opt("delegation_seen_at")?,
        },
        watch: Watch {
            suspected_since: row.opt("suspected_since")?,
            last_failure_at: row.opt("last_failure_at")?,
            reminders: row.get("reminders")?,
            breaks: row.get("breaks")?,
            last_break_at: row.opt("last_break_at")?,
        },
        version: row.get("version")?,
        report: match row.opt::<Packed>("packed_report")? {
            Some(packed) => Some(packed.0),
            None => row.opt("report")?,
        },
        warmup_started_at: row.opt("warmup_started_at")?,
        warmup_days: row.opt("warmup_days")?,
        region: row.opt("region")?,
        fallback_region: row.opt("fallback_region")?,
    })
}

async fn insert_domain(new: &NewDomain, tx: &mut Tx) -> Result<Domain, StoreError> {
    let row = sql(concat!("INSERT INTO domains (id, org_id, tenant_id, name, profile, variables, capabilities, status,
             spf_status, dkim_status, dmarc_status, return_path_status, health, approval_status, created_at,
             fails_at, next_check_at, warmup_started_at, warmup_days, region, fallback_region)
         VALUES ($1, $2, $3, $4, $5, $6, $7, 'pending', 'pending', 'pending', 'pending', 'pending', 'ok', $8, $9,
             $10, $11, $12, $13, $14, $15)
         RETURNING ", columns!()))
    .bind(&new.id)
    .bind(&new.org_id)
    .bind_opt(new.tenant_id.as_ref())
    .bind(&new.name)
    .bind(&new.profile)
    .bind(&new.variables)
    .bind(&new.capabilities)
    .bind(&new.approval_status)
    .bind(&new.created_at)
    .bind_opt(new.fails_at.as_ref())
    .bind(&new.next_check_at)
    .bind_opt(new.warmup_started_at.as_ref())
    .bind_opt(new.warmup_days.as_ref())
    .bind_opt(new.region.as_ref())
    .bind_opt(new.fallback_region.as_ref())
    .first(tx)
    .await
    .map_err(|error| error.or_conflict(NAME, StoreError::DomainAlreadyAdded))?;
    domain(&row.ok_or(StoreError::NotFound("domain"))?)
}

pub(crate) const ONE: &str =
    concat!("SELECT ", columns!(), " FROM domains WHERE id = $1 AND org_id = $2 AND deleted_at IS NULL");
pub(crate) const BY_NAME: &str =
    concat!("SELECT ", columns!(), " FROM domains WHERE org_id = $1 AND name = $2 AND deleted_at IS NULL");

macro_rules! page {
    ($which:literal $($and:literal)*) => {
        concat!(
            "SELECT ",
            columns!(),
            ", (SELECT accepted FROM warmup_days AS counted
                     WHERE counted.domain_id = domains.id AND counted.day = $4) AS sent_on_day
             FROM domains WHERE org_id = $1 AND deleted_at IS NULL AND id < $2 AND ",
            $which,
            $($and,)*
            " ORDER BY id DESC LIMIT $3"
        )
    };
}

/// Of some thousand domains those with a part in their name.
macro_rules! named_page {
    ($which:literal $($and:literal)*) => {
        concat!(
            "SELECT ",
            columns!(),
            ", (SELECT accepted FROM warmup_days AS counted
                     WHERE counted.domain_id = domains.id AND counted.day = $4) AS sent_on_day
             FROM domains WHERE id IN (
                 SELECT looked_at.id FROM (
                     SELECT id, name FROM domains WHERE org_id = $1 AND deleted_at IS NULL AND id < $2 AND ",
            $which,
            $($and,)*
            " ORDER BY id DESC LIMIT $7) AS looked_at WHERE looked_at.name LIKE $6 ESCAPE '\\')
             ORDER BY id DESC LIMIT $3"
        )
    };
}

/// How many those are, and the last of them.
macro_rules! looked_at {
    ($which:literal $($and:literal)*) => {
        concat!(
            "SELECT MIN(id) AS last, COUNT(*) AS n FROM (
                 SELECT id FROM domains WHERE org_id = $1 AND deleted_at IS NULL AND id < $2 AND ",
            $which,
            $($and,)*
            " ORDER BY id DESC LIMIT $3) AS looked_at"
        )
    };
}

// Each of one status, and of all: then the status is NULL, which is asked once and not of each row.
macro_rules! list {
    ($($and:literal)*) => { page!("CAST($5 AS TEXT) IS NULL" $($and)*) };
}
macro_rules! list_in_status {
    ($($and:literal)*) => { page!("status = $5" $($and)*) };
}
macro_rules! named {
    ($($and:literal)*) => { named_page!("CAST($5 AS TEXT) IS NULL" $($and)*) };
}
macro_rules! named_in_status {
    ($($and:literal)*) => { named_page!("status = $5" $($and)*) };
}
macro_rules! looked {
    ($($and:literal)*) => { looked_at!("CAST($4 AS TEXT) IS NULL" $($and)*) };
}
macro_rules! looked_in_status {
    ($($and:literal)*) => { looked_at!("status = $4" $($and)*) };
}
pub(crate) const LIST: Texts = texts!(list, "id", "$6", "$7");
pub(crate) const LIST_IN_STATUS: Texts = texts!(list_in_status, "id", "$6", "$7");
pub(crate) const NAMED: Texts = texts!(named, "id", "$8", "$9");
pub(crate) const NAMED_IN_STATUS: Texts = texts!(named_in_status, "id", "$8", "$9");
pub(crate) const LOOKED: Texts = texts!(looked, "id", "$5", "$6");
pub(crate) const LOOKED_IN_STATUS: Texts = texts!(looked_in_status, "id", "$5", "$6");

macro_rules! claim {
    ($which:literal) => {
        concat!(
            "UPDATE domains SET lease_owner = $1, lease_until = $2, poke_pending = 0
             WHERE id IN (
                 SELECT id FROM domains
                 WHERE deleted_at IS NULL AND status <> 'disabled' AND ",
            $which,
            " AND next_check_at <= $3 AND (lease_until IS NULL OR lease_until <= $3)
                 ORDER BY next_check_at LIMIT $4)
             RETURNING ",
            columns!()
        )
    };
}

/// The rows that are locked first, each claimer going around those of the others, are the ones that are claimed.
/// No stronger lock: messages of the domain that are being accepted must not keep it from being checked.
macro_rules! claim_on_postgres {
    ($which:literal) => {
        concat!(
            "WITH due AS MATERIALIZED (
                 SELECT id AS due_id FROM domains
                 WHERE deleted_at IS NULL AND status <> 'disabled' AND ",
            $which,
            " AND next_check_at <= $3 AND (lease_until IS NULL OR lease_until <= $3)
                 ORDER BY next_check_at LIMIT $4 FOR NO KEY UPDATE SKIP LOCKED)
             UPDATE domains SET lease_owner = $1, lease_until = $2, poke_pending = 0 FROM due WHERE id = due_id
             RETURNING ",
            columns!()
        )
    };
}

/// One statement each, so that no two claimers get the same row. Those in a hurry come first, however many of the
/// others have become late.
pub(crate) const CLAIM: [(&str, &str); 2] = [
    (claim!("watch_seconds IS NULL"), claim_on_postgres!("watch_seconds IS NULL")),
    (claim!("watch_seconds IS NOT NULL"), claim_on_postgres!("watch_seconds IS NOT NULL")),
];

/// To the next place in its period, each once.
pub(crate) const DEFER: &str = "UPDATE domains SET deferred = 1, next_check_at = next_check_at
         + (($1 - next_check_at) / (watch_seconds * 1000) + 1) * watch_seconds * 1000
     WHERE id IN (
         SELECT id FROM domains
         WHERE deleted_at IS NULL AND status <> 'disabled' AND watch_seconds IS NOT NULL AND deferred = 0
             AND next_check_at < $2 AND lease_until IS NULL
         ORDER BY next_check_at LIMIT $3)";

const DEFER_ON_POSTGRES: &str = "WITH late AS MATERIALIZED (
         SELECT id AS late_id FROM domains
         WHERE deleted_at IS NULL AND status <> 'disabled' AND watch_seconds IS NOT NULL AND deferred = 0
             AND next_check_at < $2 AND lease_until IS NULL
         ORDER BY next_check_at LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED)
     UPDATE domains SET deferred = 1, next_check_at = next_check_at
         + (($1 - next_check_at) / (watch_seconds * 1000) + 1) * watch_seconds * 1000
     FROM late WHERE id = late_id";

macro_rules! below {
    () => {
        "UPDATE domains SET next_check_at = $3, poked_at = $3, poke_pending = 1, watch_seconds = NULL
         WHERE deleted_at IS NULL AND status <> 'disabled' AND (name = $1 OR name LIKE $2 ESCAPE '\\')"
    };
}

pub(crate) const NEXT_FREE: &str = "SELECT next_check_at AS due FROM domains
     WHERE deleted_at IS NULL AND status <> 'disabled' AND next_check_at IS NOT NULL AND lease_until IS NULL
     ORDER BY next_check_at LIMIT 1";

pub(crate) const NEXT_LEASED: &str =
    "SELECT MIN(CASE WHEN lease_until > next_check_at THEN lease_until ELSE next_check_at END) AS due FROM domains
     WHERE lease_until IS NOT NULL AND deleted_at IS NULL AND status <> 'disabled'";

impl Store {
    /// Adds a domain with its DKIM keys, all or nothing.
    ///
    /// # Errors
    /// `DomainAlreadyAdded`, `SelectorTaken`, `PoolEmpty`.
    pub async fn create_domain(
        &self,
        new: &NewDomain,
        keys: KeySource,
        told: impl Into<Told<'_>>,
    ) -> Result<(Domain, Vec<DkimKey>), StoreError> {
        let mut tx = self.pools.write().await?;
        let domain = insert_domain(new, &mut tx).await?;
        let keys = match keys {
            KeySource::Pool { selectors } => take_from_pool(selectors, &mut tx).await?,
            KeySource::Given(keys) => keys,
        };
        let keys = insert_keys(new.id, keys, &mut tx).await?;
        tx.wakes(Topic::Verify);
        tx.wakes(Topic::Dns);
        tell(told.into(), &mut tx).await?;
        tx.commit().await?;
        Ok((domain, keys))
    }

    /// One living domain of the organisation.
    pub async fn get_domain(&self, org_id: OrgId, id: DomainId) -> Result<Domain, StoreError> {
        let row = self.read_first(sql(ONE).bind(&id).bind(&org_id)).await?;
        domain(&row.ok_or(StoreError::NotFound("domain"))?)
    }

    /// The organisation's living domain of this name.
    pub async fn get_domain_by_name(
        &self,
        org_id: OrgId,
        name: &DomainName,
    ) -> Result<Option<Domain>, StoreError> {
        self.read_first(sql(BY_NAME).bind(&org_id).bind(name)).await?.as_ref().map(domain).transpose()
    }

    /// The living domains that are visible, newest first, from behind `after`, each with the number of messages that it
    /// was accepted to send on `day` (days since 1970-01-01, UTC) while warming up. Where they are looked for by a part of
    /// their name, some thousand are looked at, and the page says where to go on.
    pub async fn list_domains(
        &self,
        visible: &Visible,
        filter: &DomainFilter,
        after: Option<DomainId>,
        limit: u32,
        day: i64,
    ) -> Result<DomainPage, StoreError> {
        let status = filter.status.as_ref();
        let before = before(after, DomainId::PREFIX);
        let bound = |text: &Texts| {
            let page = visible.sql(text).bind(&visible.org_id).text(&before).bind(&limit).bind(&day);
            page.bind_opt(status)
        };
        let Some(part) = &filter.name_contains else {
            let page = bound(if status.is_some() { &LIST_IN_STATUS } else { &LIST });
            let rows = self.read_all(visible.bind(page)).await?;
            return Ok(DomainPage { domains: listed(&rows)?, looked_to: None });
        };
        let looked_at = filter.looked_at.unwrap_or(LOOKED_AT);
        let page = bound(if status.is_some() { &NAMED_IN_STATUS } else { &NAMED });
        let page = page.text(&contains(Some(&part.to_lowercase()))).bind(&looked_at);
        let domains = listed(&self.read_all(visible.bind(page)).await?)?;
        if domains.len() as u64 >= u64::from(limit) {
            return Ok(DomainPage { domains, looked_to: None });
        }
        let looked = visible.sql(if status.is_some() { &LOOKED_IN_STATUS } else { &LOOKED });
        let looked = looked.bind(&visible.org_id).text(&before).bind(&looked_at).bind_opt(status);
        let row = self.read_first(visible.bind(looked)).await?.ok_or(StoreError::NotFound("row"))?;
        let is_all = row.get::<u32>("n")? < looked_at;
        Ok(DomainPage { domains, looked_to: if is_all { None } else { row.opt("last")? } })
    }

    /// How many living domains of all organisations stand where; statuses without any are left out.
    pub async fn count_domains_by_status(&self) -> Result<Vec<(DomainStatus, u64)>, StoreError> {
        let query = sql("SELECT status, COUNT(*) AS n FROM domains
             WHERE deleted_at IS NULL GROUP BY status ORDER BY status");
        let rows = self.read_all(query).await?;
        rows.iter().map(|row| Ok((row.get("status")?, row.get("n")?))).collect()
    }

    /// Deletes a domain: its name and its selectors come free, its messages and events stay.
    pub async fn delete_domain(
        &self,
        org_id: OrgId,
        id: DomainId,
        now: Timestamp,
        told: impl Into<Told<'_>>,
    ) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        // Waits for messages that are being accepted, and they for this; see `accept_message`.
        sql("SELECT id FROM domains WHERE id = $1 AND org_id = $2 AND deleted_at IS NULL")
            .on_postgres(
                "SELECT id FROM domains WHERE id = $1 AND org_id = $2 AND deleted_at IS NULL FOR UPDATE",
            )
            .bind(&id)
            .bind(&org_id)
            .first(&mut tx)
            .await?;
        let deleted =
            sql("UPDATE domains SET deleted_at = $3, next_check_at = NULL, lease_owner = NULL, lease_until = NULL,
                 version = version + 1
             WHERE id = $1 AND org_id = $2 AND deleted_at IS NULL RETURNING name, holder")
            .bind(&id)
            .bind(&org_id)
            .bind(&now)
            .first(&mut tx)
            .await?;
        let deleted = deleted.ok_or(StoreError::NotFound("domain"))?;
        end_with_domain(id, &mut tx).await?;
        setup_links::end_with_domain(id, &mut tx).await?;
        dns_connections::end_with_domain(id, &mut tx).await?;
        sql("DELETE FROM dns_drifts WHERE domain_id = $1").bind(&id).run(&mut tx).await?;
        if deleted.get("holder")? {
            poke_those_who_wait(&deleted.get("name")?, now, &mut tx).await?;
        }
        retire_keys(id, &mut tx).await?;
        tx.wakes(Topic::Dns);
        tell(told.into(), &mut tx).await?;
        tx.commit().await
    }

    /// Switches a domain off (`Disabled`) or back on (another status, checked at `next_check_at`). A check that is
    /// running then ends as `StaleVersion`.
    pub async fn set_domain_status(
        &self,
        org_id: OrgId,
        id: DomainId,
        status: DomainStatus,
        next_check_at: Option<Timestamp>,
        told: impl Into<Told<'_>>,
    ) -> Result<Domain, StoreError> {
        let mut tx = self.pools.write().await?;
        let row = sql(concat!(
            "UPDATE domains SET status = $3, next_check_at = $4, lease_owner = NULL, lease_until = NULL,
                 version = version + 1
             WHERE id = $1 AND org_id = $2 AND deleted_at IS NULL RETURNING ",
            columns!()
        ))
        .bind(&id)
        .bind(&org_id)
        .bind(&status)
        .bind_opt(next_check_at.as_ref())
        .first(&mut tx)
        .await?;
        let changed = domain(&row.ok_or(StoreError::NotFound("domain"))?)?;
        tell(told.into(), &mut tx).await?;
        tx.commit().await?;
        Ok(changed)
    }

    /// Switches a domain off with a word why (`off`), or on: it is pending then, and due, and what waits of it in the queue is
    /// due too. A check that is running then ends as `StaleVersion`.
    ///
    /// # Errors
    /// `NotFound`; `StaleVersion` where one is to be switched on that is not off, or that another organisation has claimed.
    pub async fn switch_domain(
        &self,
        org_id: OrgId,
        id: DomainId,
        switch: &Switch,
        told: impl Into<Told<'_>>,
    ) -> Result<Domain, StoreError> {
        let mut tx = self.pools.write().await?;
        let (status, reason, fails_at, due) = match switch {
            Switch::Off { reason } => (DomainStatus::Disabled, reason.as_ref(), None, None),
            Switch::On { now, fails_at } => (DomainStatus::Pending, None, Some(fails_at), Some(now)),
        };
        let row = sql(concat!(
            "UPDATE domains SET status = $3, disabled_reason = $4, fails_at = $5, next_check_at = $6, health = 'ok',
                 lease_owner = NULL, lease_until = NULL, suspected_since = NULL, last_failure_at = NULL,
                 reminders = 0, consecutive_failures = 0, watch_seconds = NULL, version = version + 1
             WHERE id = $1 AND org_id = $2 AND deleted_at IS NULL
                 AND ($3 = 'disabled' OR (status = 'disabled' AND claimed_at IS NULL)) RETURNING ",
            columns!()
        ))
        .bind(&id)
        .bind(&org_id)
        .bind(&status)
        .bind_opt(reason)
        .bind_opt(fails_at)
        .bind_opt(due)
        .first(&mut tx)
        .await?;
        let Some(row) = row else {
            let there = sql("SELECT id FROM domains WHERE id = $1 AND org_id = $2 AND deleted_at IS NULL");
            let there = there.bind(&id).bind(&org_id).first(&mut tx).await?;
            return Err(there.map_or(StoreError::NotFound("domain"), |_| StoreError::StaleVersion));
        };
        let switched = domain(&row)?;
        if let Switch::On { now, .. } = switch {
            wake_those_of(id, *now, &mut tx).await?;
        }
        tell(told.into(), &mut tx).await?;
        tx.commit().await?;
        Ok(switched)
    }

    /// Sets the approval.
    pub async fn set_domain_approval(
        &self,
        org_id: OrgId,
        id: DomainId,
        approval_status: &str,
        told: impl Into<Told<'_>>,
    ) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        sql("UPDATE domains SET approval_status = $3, version = version + 1
             WHERE id = $1 AND org_id = $2 AND deleted_at IS NULL")
        .bind(&id)
        .bind(&org_id)
        .text(approval_status)
        .run_on("domain", &mut tx)
        .await?;
        tell(told.into(), &mut tx).await?;
        tx.commit().await
    }

    /// Claims at most `limit` domains that are due, those in a hurry first, longest due first. Until `lease_until`
    /// nobody else gets them.
    pub async fn claim_due_domains(
        &self,
        now: Timestamp,
        owner: &str,
        lease_until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Domain>, StoreError> {
        let mut tx = self.pools.write().await?;
        let mut claimed: Vec<Domain> = Vec::new();
        for (claim, on_postgres) in CLAIM {
            let room = limit.saturating_sub(u32::try_from(claimed.len()).unwrap_or(u32::MAX));
            if room == 0 {
                break;
            }
            let claim = sql(claim).on_postgres(on_postgres);
            let claim = claim.text(owner).bind(&lease_until).bind(&now).bind(&room);
            let rows = claim.all(&mut tx).await?;
            let mut some = rows.iter().map(domain).collect::<Result<Vec<_>, _>>()?;
            some.sort_by_key(|domain| (domain.next_check_at, domain.id));
            claimed.append(&mut some);
        }
        tx.commit().await?;
        Ok(claimed)
    }

    /// Moves at most `limit` domains that are left alone, and were due before `due_before`, to their next place in
    /// their period; how many. None is moved twice without a check between.
    pub async fn defer_late_domains(
        &self,
        now: Timestamp,
        due_before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let mut tx = self.pools.write().await?;
        let defer = sql(DEFER).on_postgres(DEFER_ON_POSTGRES).bind(&now).bind(&due_before).bind(&limit);
        let moved = defer.run(&mut tx).await?;
        tx.commit().await?;
        Ok(moved)
    }

    /// Whether a domain that is left alone, and was not moved yet, was due before `due_before`.
    pub async fn is_domain_late(&self, due_before: Timestamp) -> Result<bool, StoreError> {
        let late = sql("SELECT id FROM domains
             WHERE deleted_at IS NULL AND status <> 'disabled' AND watch_seconds IS NOT NULL AND deferred = 0
                 AND next_check_at < $1 AND lease_until IS NULL LIMIT 1");
        Ok(self.read_first(late.bind(&due_before)).await?.is_some())
    }

    /// Makes a domain due. A check that is running now will be followed by another one.
    pub async fn poke_domain(&self, id: DomainId, now: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        sql("UPDATE domains SET next_check_at = $2, poked_at = $2, poke_pending = 1, watch_seconds = NULL
             WHERE id = $1 AND deleted_at IS NULL")
        .bind(&id)
        .bind(&now)
        .run_on("domain", &mut tx)
        .await?;
        tx.wakes(Topic::Verify);
        tx.commit().await
    }

    /// Makes every domain of an organisation at or below a name due, or of all where none is given; how many.
    pub async fn poke_domains_below(
        &self,
        org_id: Option<OrgId>,
        apex: &DomainName,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let below = if apex.is_root() { "%".to_owned() } else { format!("%.{}", escape(apex.as_str())) };
        let mut tx = self.pools.write().await?;
        let poke = match &org_id {
            None => sql(below!()).bind(apex).text(&below).bind(&now),
            Some(id) => {
                sql(concat!(below!(), " AND org_id = $4")).bind(apex).text(&below).bind(&now).bind(id)
            }
        };
        let poked = poke.run(&mut tx).await?;
        tx.wakes(Topic::Verify);
        tx.commit().await?;
        Ok(poked)
    }

    /// When the next domain can be claimed; in the past when one can be now, `None` when none ever will.
    pub async fn next_domain_due_at(&self) -> Result<Option<Timestamp>, StoreError> {
        let mut tx = self.pools.snapshot().await?;
        earliest([NEXT_FREE, NEXT_LEASED], &mut tx).await
    }
}

/// The earlier of the two times that the statements name `due`.
pub(crate) async fn earliest(
    statements: [&'static str; 2],
    tx: &mut Tx,
) -> Result<Option<Timestamp>, StoreError> {
    let mut earliest: Option<Timestamp> = None;
    for statement in statements {
        let due = match sql(statement).first(tx).await? {
            Some(row) => row.opt::<Timestamp>("due")?,
            None => None,
        };
        earliest = earliest.into_iter().chain(due).min();
    }
    Ok(earliest)
}
