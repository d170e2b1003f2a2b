//! Claims: a domain whose name another organisation holds takes it by a fresh proof in DNS.
//!
//! Who controls the DNS of a name now is its owner, whatever the holder's records say. So a proof moves the hold, and
//! nothing that may be left over from before is one ([`crate::claim_proof`]). The holder's contacts are written to when a
//! claim begins and when it succeeds. A claim can be begun only where the domain's own records are right: nobody learns by
//! adding a name that somebody has it, and nobody who cannot write the zone has mail sent to its holder.

use crate::{
    App,
    access::{Caller, Scope},
    claim_proof::{self, Found, LABEL, Next, OPEN, judge, text_of},
    domains::DomainView,
    error::{Error, Result},
};
use diagnosis::{
    Expected, Observation, Plan, PlannedRecord,
    inquiry::authorities,
    observation::{Ask, Exchange, Question, Says},
    profile::TxtConflict,
    view::View,
};
use jiff::Timestamp;
use model::{DomainId, DomainName, DomainStatus, Purpose, RecordType};
use serde_json::json;
use std::{collections::HashMap, time::Duration};
use store::{ClaimEnd, ClaimLook, ClaimMove, ClaimStart, DomainClaim, StoreError, Told};

/// How long a look may take.
const DEADLINE: Duration = Duration::from_secs(8);

/// How many claims are looked at in one go.
const AT_ONCE: u32 = 16;

/// Until when nobody else looks at a claim that is being looked at.
const TURN: jiff::SignedDuration = jiff::SignedDuration::from_mins(1);

/// Why the former holder's domain is disabled, for people.
const LOST: &str = "another organisation has claimed the name by a proof in its DNS";

/// The TTL that is suggested for the record, in seconds.
const TTL: u32 = 300;

/// What a claim asks to be published, and how it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimView {
    /// The claim.
    pub claim: DomainClaim,
    /// Where the TXT record belongs.
    pub owner: DomainName,
    /// Its text.
    pub text: String,
    /// The TTL we suggest, in seconds.
    pub ttl: u32,
    /// What the last look found.
    pub found: Option<Found>,
}

impl ClaimView {
    /// Where it stands: `open`, `moved`, `expired` or `superseded`.
    pub fn status(&self) -> &'static str {
        self.claim.outcome.map_or("open", ClaimEnd::as_str)
    }

    /// Where it stands, for people; a sentence.
    pub fn words(&self) -> &'static str {
        match self.claim.outcome {
            None => self.found.map_or("The first look is on its way.", Found::words),
            Some(ClaimEnd::Moved) => "The domain is yours. The record can go.",
            Some(ClaimEnd::Expired) => {
                "The time for the proof is over. Claim the domain again; the record is a new one then."
            }
            Some(ClaimEnd::Superseded) => {
                "The holder of the domain changed meanwhile. If it is still held elsewhere, claim it again; the record is a \
                 new one then."
            }
        }
    }

    /// Whether the record is to be published.
    pub const fn is_open(&self) -> bool {
        self.claim.outcome.is_none()
    }
}

/// Where the record of a claim belongs; nothing where that would be too long a name.
fn owner_of(name: &DomainName) -> Option<DomainName> {
    name.prepend(LABEL).ok()
}

fn claim_view(claim: DomainClaim) -> Option<ClaimView> {
    let owner = owner_of(&claim.name)?;
    let found = claim.found.as_deref().and_then(Found::from_word);
    Some(ClaimView { owner, text: text_of(&claim.token), ttl: TTL, found, claim })
}

impl App {
    /// Begins a claim of a domain that another organisation holds, or says how the one that is open stands.
    ///
    /// Where nobody holds it any more, it is verified when this returns.
    pub async fn claim_domain(&self, caller: &Caller, id: DomainId) -> Result<DomainView> {
        caller.require(Scope::WriteDomains)?;
        let domain = self.stored_domain(caller, id).await?;
        if domain.claimed_at.is_some() {
            return Err(Error::ClaimedAway(domain.name));
        }
        if domain.status == DomainStatus::Disabled {
            return Err(Error::DomainDisabled(domain.name));
        }
        let view = if domain.held_elsewhere || domain.status == DomainStatus::Verified {
            self.domain_view(domain).await?
        } else {
            self.verify_domain(caller, id).await?
        };
        let name = &view.domain.name;
        if view.claim.as_ref().is_some_and(|claim| claim.is_open() && claim.claim.expires_at > self.now()) {
            return Ok(view);
        }
        if view.domain.status == DomainStatus::Verified {
            return Err(Error::NothingToClaim {
                domain: name.clone(),
                reason: "is verified in your organisation",
            });
        }
        if !view.domain.held_elsewhere {
            let reason = view.unverified_reason();
            return Err(Error::DomainPendingVerification { domain: name.clone(), reason });
        }
        if owner_of(name).is_none() {
            return Err(Error::NothingToClaim {
                domain: name.clone(),
                reason: "is too long a name for the record of a claim",
            });
        }
        let Some(holder) = self.store.holder_of(name).await? else {
            return self.verify_domain(caller, id).await;
        };
        let now = self.clock.now();
        let claim = DomainClaim {
            domain_id: id,
            name: name.clone(),
            holder_id: holder.id,
            token: self.random.token(32),
            version: 0,
            created_at: now,
            expires_at: now.checked_add(OPEN).unwrap_or(Timestamp::MAX),
            first_seen_at: None,
            looked_at: None,
            found: None,
            next_look_at: Some(now),
            ended_at: None,
            outcome: None,
        };
        // Neither side learns who the other is.
        let data = json!({"domain": name, "expires_at": claim.expires_at});
        let event = self.event(caller.org_id, "domain.claim_started", id.to_string(), &data, now);
        let to_holder = self.event(holder.org_id, "domain.contested", holder.id.to_string(), &data, now);
        let audit = self.audit_entry(caller, "domain.claim_started", &id, &data, now);
        let told = Told::new(std::slice::from_ref(&event), &audit);
        let start = ClaimStart { claim: &claim, told, to_holder: &to_holder };
        match self.store.begin_claim(&start).await {
            Ok(_) => {
                tracing::info!(domain = %name, id = %id, "a claim of a domain began");
                self.wake.claims.notify_one();
                self.wake.alerts.notify_one();
            }
            // Somebody else began one for the same domain, or the holder changed: what is there now counts.
            Err(StoreError::StaleVersion) => {}
            Err(error) => return Err(error.into()),
        }
        let domain = self.stored_domain(caller, id).await?;
        self.domain_view(domain).await
    }

    /// The claim of a domain whose name is held elsewhere.
    pub(crate) async fn claim_view(&self, domain: &store::Domain) -> Result<Option<ClaimView>> {
        if !domain.held_elsewhere {
            return Ok(None);
        }
        Ok(self.store.claim_of(domain.id).await?.and_then(claim_view))
    }

    /// The claims of several domains, as far as they have one.
    pub(crate) async fn claim_views(&self, ids: &[DomainId]) -> Result<HashMap<DomainId, ClaimView>> {
        let claims = self.store.claims_of(ids).await?;
        Ok(claims.into_iter().filter_map(claim_view).map(|view| (view.claim.domain_id, view)).collect())
    }

    /// Looks at the claims that are due. Returns how many there were.
    pub(crate) async fn look_at_claims(&self) -> Result<usize> {
        let now = self.clock.now();
        let again = now.checked_add(TURN).unwrap_or(now);
        let due = self.store.due_claims(now, again, AT_ONCE).await?;
        let looks = due.iter().map(|claim| self.look_at_claim(claim));
        for outcome in futures_util::future::join_all(looks).await {
            match outcome {
                // Another node, or whoever verified or deleted the domain, was quicker.
                Ok(()) | Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(due.len())
    }

    async fn look_at_claim(&self, claim: &DomainClaim) -> Result<()> {
        let domain = match self.store.domain_of_claim(claim).await {
            Err(StoreError::NotFound(_)) => return Ok(()),
            other => other?,
        };
        let holder = self.store.holder_of(&claim.name).await?;
        let now = self.clock.now();
        if holder.as_ref().is_none_or(|holder| holder.id != claim.holder_id) {
            if holder.is_none() {
                self.store.poke_domain(domain.id, now).await?;
            }
            return self.end_claim(claim, &domain, ClaimEnd::Superseded, now).await;
        }
        if now >= claim.expires_at {
            return self.end_claim(claim, &domain, ClaimEnd::Expired, now).await;
        }
        let found = self.look_for_proof(claim).await;
        metrics::counter!("countersign_claim_looks_total", "found" => found.as_str()).increment(1);
        let now = self.clock.now();
        let (first_seen_at, next_look_at) = match claim_proof::next(claim, found, now) {
            Next::Expired => return self.end_claim(claim, &domain, ClaimEnd::Expired, now).await,
            Next::Proven if domain.status != DomainStatus::Disabled => {
                return self.move_hold(claim, &domain, holder.as_ref(), now).await;
            }
            // Once it is switched on again.
            Next::Proven => (claim.first_seen_at, now.checked_add(TURN * 15).unwrap_or(now)),
            Next::Again { first_seen_at, at } => (first_seen_at, at),
        };
        let look = ClaimLook { at: now, found: found.as_str().to_owned(), first_seen_at, next_look_at };
        unless_stale(self.store.record_claim_look(claim, &look).await)
    }

    async fn move_hold(
        &self,
        claim: &DomainClaim,
        domain: &store::Domain,
        holder: Option<&store::Domain>,
        now: Timestamp,
    ) -> Result<()> {
        let Some(holder) = holder else { return Ok(()) };
        let data = json!({"domain": claim.name});
        let to_claimer = self.event(domain.org_id, "domain.claimed", domain.id.to_string(), &data, now);
        let data = json!({"domain": claim.name, "reason": "claimed"});
        let to_holder = self.event(holder.org_id, "domain.disabled", holder.id.to_string(), &data, now);
        let told = ClaimMove { at: now, reason: LOST, to_claimer: &to_claimer, to_holder: &to_holder };
        match self.store.move_hold(claim, &told).await {
            Ok(_) => {
                tracing::warn!(domain = %claim.name, from = %holder.id, to = %domain.id, "a domain was claimed by another organisation");
                metrics::counter!("countersign_domain_changes_total", "event" => "domain.claimed")
                    .increment(1);
                self.wake.verify.notify_one();
                self.wake.alerts.notify_one();
                Ok(())
            }
            Err(error) => unless_stale(Err(error)),
        }
    }

    async fn end_claim(
        &self,
        claim: &DomainClaim,
        domain: &store::Domain,
        end: ClaimEnd,
        now: Timestamp,
    ) -> Result<()> {
        let data = json!({"domain": claim.name, "outcome": end});
        let event = self.event(domain.org_id, "domain.claim_ended", domain.id.to_string(), &data, now);
        unless_stale(self.store.end_claim(claim, end, now, &[event]).await)
    }

    /// Asks for the record, and for names beside it that nobody has made.
    async fn look_for_proof(&self, claim: &DomainClaim) -> Found {
        let Some(owner) = owner_of(&claim.name) else { return Found::Missing };
        let record = PlannedRecord {
            hosted: false,
            key: "claim".to_owned(),
            purpose: Purpose::Ownership,
            owner: owner.clone(),
            ttl: TTL,
            required: true,
            expected: Expected::Txt { value: text_of(&claim.token), conflict: TxtConflict::default() },
            explanation: String::new(),
        };
        let plan = Plan::new(claim.name.clone(), "claim", vec![record]);
        let policy = &self.settings.policy;
        let dns = self.dns_for(policy);
        let clock = self.clock.clone();
        let observation = dns::observe(&dns, &plan, policy, move || clock.now(), DEADLINE).await;
        let beside = self.beside(&dns, &observation, &claim.name).await;
        judge(&observation, &claim.name, &owner, &claim.token, policy.max_name_servers, &beside)
    }

    /// What the name servers say of a name beside the record's that nobody can have made: what is there is a wildcard's.
    async fn beside(&self, dns: &dns::Client, observation: &Observation, name: &DomainName) -> Vec<Says> {
        let policy = &self.settings.policy;
        let Ok(unmade) = name.prepend(&self.random.token(LABEL.len())) else { return Vec::new() };
        let servers = authorities(&View::new(observation), name, policy);
        let question = Question { name: unmade, record_type: RecordType::Txt };
        let asks = servers.into_iter().map(|server| {
            let ask = Ask::new(question.clone(), server);
            async move {
                let outcome = dns.ask(&ask, policy).await;
                Exchange { ask, at: self.clock.now(), outcome }.says()
            }
        });
        futures_util::future::join_all(asks).await
    }
}

fn unless_stale(outcome: std::result::Result<(), StoreError>) -> Result<()> {
    match outcome {
        Err(StoreError::StaleVersion) => Ok(()),
        other => Ok(other?),
    }
}
