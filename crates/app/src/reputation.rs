//! What becomes of a sender's mail, and the pause where too much of it comes back: before receivers refuse all that is sent
//! from the same addresses, that of others too.
//!
//! Counted are recipients, by domain and tenant, over a week of UTC days. A *bounce* is a recipient of whom the server that we
//! hand mail to says at once that there is nobody; what it does not take for another reason (a policy, a full mailbox) is
//! *refused*, and never held against the sender; that it refuses us is neither. What a relay mails back later is not read yet. A
//! complaint is told by whoever runs the feedback loops. A domain that is over the limits is paused, and so are the domains of
//! a tenant that is over them as a whole; an admin of the whole organisation resumes them, and they are judged anew from then.

use crate::{
    App,
    access::{Caller, Scope},
    error::{Error, Result},
    suppressions::require_all_domains,
    warmup::date_of,
};
use jiff::Timestamp;
use model::{DomainId, DomainName, EmailAddress, MessageId, TenantId};
use serde_json::json;
use store::{Became, Pause, PauseCause, SendingCounts, SendingDay, StoreError, Suppression};

/// Over how many days it is counted, today being the last of them.
pub const WINDOW_DAYS: i64 = 7;

/// For how long counts are kept, in days.
pub(crate) const KEPT_DAYS: i64 = 90;

/// How many domains of a tenant are read at a time where all are paused or resumed.
const DOMAINS_AT_ONCE: u32 = 1_000;

/// A limit: a share in thousandths, reached by at least so many of at least so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// The share from which on it is reached, in thousandths.
    pub per_mille: u64,
    /// How many there are at least.
    pub least: u64,
    /// Of how many at least.
    pub of: u64,
}

impl Limit {
    const fn is_reached(self, some: u64, all: u64) -> bool {
        some >= self.least
            && all >= self.of
            && some.saturating_mul(1_000) >= all.saturating_mul(self.per_mille)
    }
}

/// Bounces from which on a list is at risk: 5 %.
pub const BOUNCES_AT_RISK: Limit = Limit { per_mille: 50, least: 5, of: 50 };
/// Bounces that pause: 10 %.
pub const BOUNCES_PAUSE: Limit = Limit { per_mille: 100, least: 20, of: 100 };
/// Complaints from which on it is at risk: 0.1 %.
pub const COMPLAINTS_AT_RISK: Limit = Limit { per_mille: 1, least: 3, of: 100 };
/// Complaints that pause: 0.3 %, above which the large mailbox providers refuse.
pub const COMPLAINTS_PAUSE: Limit = Limit { per_mille: 3, least: 10, of: 100 };

/// How a sender stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing is wrong.
    Good,
    /// More comes back than should.
    AtRisk,
    /// Nothing is sent until it is resumed.
    Paused,
}

impl Standing {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::AtRisk => "at_risk",
            Self::Paused => "paused",
        }
    }
}

/// What counts come to.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// How the sender stands by them.
    pub standing: Standing,
    /// Why it is not good, for people; begins in lower case and has no full stop.
    pub reason: Option<String>,
}

/// Recipients of whom it is known what became of the message.
pub const fn ended(counts: SendingCounts) -> u64 {
    counts.delivered + counts.bounced + counts.refused
}

/// Judges counts.
pub fn judge(counts: SendingCounts) -> Judgement {
    let bounces =
        || format!("{} of {} recipients in {WINDOW_DAYS} days do not exist", counts.bounced, ended(counts));
    let complaints = || {
        format!(
            "{} of {} recipients in {WINDOW_DAYS} days call the mail spam",
            counts.complained, counts.delivered
        )
    };
    let bounced = |limit: Limit| limit.is_reached(counts.bounced, ended(counts));
    let complained = |limit: Limit| limit.is_reached(counts.complained, counts.delivered);
    let (standing, reason) = if bounced(BOUNCES_PAUSE) {
        (Standing::Paused, Some(bounces()))
    } else if complained(COMPLAINTS_PAUSE) {
        (Standing::Paused, Some(complaints()))
    } else if bounced(BOUNCES_AT_RISK) {
        (Standing::AtRisk, Some(bounces()))
    } else if complained(COMPLAINTS_AT_RISK) {
        (Standing::AtRisk, Some(complaints()))
    } else {
        (Standing::Good, None)
    };
    Judgement { standing, reason }
}

/// What a server was asked when it refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    /// To talk to us, or to take mail from this sender.
    Session,
    /// To take mail for this recipient.
    Recipient,
    /// To take the message.
    Message,
}

/// What a refusal for good says of the sender's list. Only the reply to the recipient's address can say that there is nobody:
/// by its enhanced status (RFC 3463 §3.2, §3.3), where 5.1.x and a mailbox that is disabled are addresses that a list should
/// not have; without one by the code (RFC 5321 §4.2.3): 550, 551 and 553.
pub(crate) fn of_refusal(reply: &smtp::client::Reply, at: At) -> Option<Became> {
    if !reply.is_permanent() || at == At::Session {
        return None;
    }
    let is_address = match reply.enhanced {
        // That it is there (5), about the sender's (7, 8), what is behind the server is not reached (9; RFC 3886).
        Some((5, 1, 5 | 7 | 8 | 9)) => false,
        Some((_, 1, _) | (_, 2, 1)) => true,
        Some(_) => false,
        None => matches!(reply.code, 550 | 551 | 553),
    };
    Some(if is_address && at == At::Recipient { Became::Bounced } else { Became::Refused })
}

/// How a domain or a tenant stands, and by what.
#[derive(Debug, Clone)]
pub struct Reputation {
    /// The domain; nothing where it is of a tenant as a whole.
    pub domain_id: Option<DomainId>,
    /// The tenant.
    pub tenant_id: Option<TenantId>,
    /// What it comes to.
    pub judgement: Judgement,
    /// The pause of the domain.
    pub paused: Option<Pause>,
    /// What it is judged by: the days of the window, since it was last resumed.
    pub counts: SendingCounts,
    /// All of each day of the window, newest first.
    pub days: Vec<SendingDay>,
    /// Of a tenant: how many of its domains are paused.
    pub paused_domains: Option<u64>,
}

/// A complaint that was noted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// About which message.
    pub message_id: MessageId,
    /// Whose.
    pub recipient: EmailAddress,
    /// When it was noted.
    pub at: Timestamp,
    /// Whether it was noted now.
    pub is_new: bool,
}

impl App {
    /// How a domain of the caller's stands.
    pub async fn reputation_of_domain(&self, caller: &Caller, id: DomainId) -> Result<Reputation> {
        caller.require(Scope::ReadDomains)?;
        let domain = self.stored_domain(caller, id).await?;
        let since = self.window_begins();
        let counts = self.store.judged_of_domain(id, since).await?;
        let judgement = match &domain.paused {
            Some(pause) => Judgement { standing: Standing::Paused, reason: Some(pause.reason.clone()) },
            None => not_paused(judge(counts)),
        };
        Ok(Reputation {
            domain_id: Some(id),
            tenant_id: domain.tenant_id,
            judgement,
            paused: domain.paused,
            counts,
            days: self.store.sending_of_domain(id, since).await?,
            paused_domains: None,
        })
    }

    /// How a tenant stands by all of its mail. Not for a key that sees some of its domains alone.
    pub async fn reputation_of_tenant(&self, caller: &Caller, id: TenantId) -> Result<Reputation> {
        caller.require(Scope::ReadDomains)?;
        let tenant = self.tenant(caller, id).await?;
        require_all_domains(caller)?;
        let since = self.window_begins();
        let counts = self.store.judged_of_tenant(tenant.org_id, id, since).await?;
        Ok(Reputation {
            domain_id: None,
            tenant_id: Some(id),
            judgement: judge(counts),
            paused: None,
            counts,
            days: self.store.sending_of_tenant(tenant.org_id, id, since).await?,
            paused_domains: Some(self.store.paused_domains(tenant.org_id, id).await?),
        })
    }

    /// Lets a domain send again; it is judged by what comes from now on. What is bound to a tenant or to domains does not
    /// resume itself.
    pub async fn resume_domain(&self, caller: &Caller, id: DomainId) -> Result<Reputation> {
        caller.require(Scope::Admin)?;
        let domain = self.stored_domain(caller, id).await?;
        caller.require_whole_organisation()?;
        self.resume(caller, id, &domain.name).await?;
        self.reputation_of_domain(caller, id).await
    }

    /// The same for a tenant as a whole: all of its domains that are paused, whenever that was, and what is counted of those
    /// that were deleted.
    pub async fn resume_tenant(&self, caller: &Caller, id: TenantId) -> Result<Reputation> {
        caller.require(Scope::Admin)?;
        let tenant = self.tenant(caller, id).await?;
        caller.require_whole_organisation()?;
        let (org_id, since) = (tenant.org_id, self.window_begins());
        // First: a domain that is let go on alone would be paused again for what the others did.
        let audit = self.audit_entry(caller, "tenant.resumed", &id, &json!({}), self.clock.now());
        self.store.judge_tenant_anew(org_id, id, since, &audit).await?;
        let mut after = None;
        loop {
            let paused = self.store.paused_domains_of_tenant(org_id, id, since, after, DOMAINS_AT_ONCE);
            let paused = paused.await?;
            let Some((last, _)) = paused.last() else { break };
            after = Some(*last);
            for (domain, name) in paused {
                match self.resume(caller, domain, &name).await {
                    // Deleted meanwhile.
                    Err(Error::NotFound { .. }) => {}
                    other => other?,
                }
            }
        }
        self.reputation_of_tenant(caller, id).await
    }

    async fn resume(&self, caller: &Caller, id: DomainId, name: &DomainName) -> Result<()> {
        let now = self.clock.now();
        let data = json!({"domain": name});
        let event = self.event(caller.org_id, "domain.resumed", id.to_string(), &data, now);
        let audit = self.audit_entry(caller, "domain.resumed", &id, &data, now);
        let told = store::Told::new(std::slice::from_ref(&event), &audit);
        match self.store.resume_sending(caller.org_id, id, now, told).await {
            Err(StoreError::NotFound(_)) => Err(Error::NotFound { noun: "domain", id: id.to_string() }),
            other => Ok(other.map(drop)?),
        }
    }

    /// Notes that a recipient calls a message spam, as a feedback loop told: it is counted once, and the address gets no
    /// more mail of the tenant.
    pub async fn add_complaint(&self, caller: &Caller, id: MessageId, recipient: &str) -> Result<Complaint> {
        caller.require(Scope::WriteSuppressions)?;
        require_all_domains(caller)?;
        let recipient = EmailAddress::parse(recipient.trim())
            .map_err(|error| Error::field("recipient", error.to_string()))?;
        let found = self.store.get_message(&caller.visible(), id).await;
        let (message, deliveries, _) = match found {
            Err(StoreError::NotFound(_)) => {
                return Err(Error::NotFound { noun: "message", id: id.to_string() });
            }
            other => other?,
        };
        let is_it = |delivery: &&store::Delivery| {
            delivery.recipient.to_string().eq_ignore_ascii_case(&recipient.to_string())
        };
        let delivery = deliveries.iter().find(is_it);
        let not_delivered =
            || Error::field("recipient", format!("this message was not delivered to {recipient}"));
        let recipient = delivery.map(|delivery| delivery.recipient.clone()).ok_or_else(not_delivered)?;
        let now = self.clock.now();
        let suppression = Suppression {
            id: self.random.suppression_id(now),
            org_id: message.org_id,
            tenant_id: message.tenant_id,
            address: recipient.to_string().to_lowercase(),
            reason: "complaint".to_owned(),
            created_at: now,
        };
        let data = json!({"recipient": recipient});
        let event = self.event(message.org_id, "email.complained", id.to_string(), &data, now);
        let audit = self.audit_entry(caller, "email.complained", &id, &data, now);
        let told = store::Told::new(std::slice::from_ref(&event), &audit);
        let (at, is_new) = match self.store.complain(id, &recipient, &suppression, told).await {
            Err(StoreError::NotFound(_)) => return Err(not_delivered()),
            other => other?,
        };
        if is_new {
            self.judge_sender(message.org_id, message.domain_id).await?;
        }
        Ok(Complaint { message_id: id, recipient, at, is_new })
    }

    fn window_begins(&self) -> i64 {
        date_of(self.clock.now()) - (WINDOW_DAYS - 1)
    }

    /// Pauses a domain, or the domains of its tenant, where what came back is over the limits.
    pub(crate) async fn judge_sender(&self, org_id: model::OrgId, id: DomainId) -> Result<()> {
        let since = self.window_begins();
        let Ok(domain) = self.store.get_domain(org_id, id).await else { return Ok(()) };
        // Notices of the platform itself go on whatever becomes of them.
        if domain.name.is_at_or_below(&self.settings.platform_zone) {
            return Ok(());
        }
        if let Some(reason) = over(self.store.judged_of_domain(id, since).await?) {
            self.pause(org_id, id, &domain.name, reason, PauseCause::Domain).await?;
        }
        let Some(tenant) = domain.tenant_id else { return Ok(()) };
        let Some(reason) = over(self.store.judged_of_tenant(org_id, tenant, since).await?) else {
            return Ok(());
        };
        let reason = format!("of all domains of the tenant, {reason}");
        let mut after = None;
        loop {
            let sending = self.store.sending_domains_of_tenant(org_id, tenant, since, after, DOMAINS_AT_ONCE);
            let sending = sending.await?;
            let Some((last, _)) = sending.last() else { return Ok(()) };
            after = Some(*last);
            for (domain, name) in sending {
                self.pause(org_id, domain, &name, reason.clone(), PauseCause::Tenant).await?;
            }
        }
    }

    async fn pause(
        &self,
        org_id: model::OrgId,
        id: DomainId,
        name: &DomainName,
        reason: String,
        cause: PauseCause,
    ) -> Result<()> {
        let now = self.clock.now();
        let data = json!({"domain": name, "reason": reason, "cause": cause.as_str()});
        let event = self.event(org_id, "domain.paused", id.to_string(), &data, now);
        let caller = Caller::owner(org_id);
        let audit = self.audit_entry(&caller, "domain.paused", &id, &data, now);
        let told = store::Told::new(std::slice::from_ref(&event), &audit);
        let pause = Pause { at: now, reason, cause };
        if self.store.pause_sending(id, &pause, told).await? {
            tracing::warn!(domain = %name, reason = pause.reason, "the sending of a domain is paused");
            metrics::counter!("countersign_domains_paused_total").increment(1);
        }
        Ok(())
    }

    /// The first day of which counts are kept.
    pub(crate) fn counts_kept_since(&self) -> i64 {
        date_of(self.clock.now()) - KEPT_DAYS
    }
}

/// What is over the limits and not paused is about to be, or is the platform's own.
fn not_paused(judgement: Judgement) -> Judgement {
    match judgement.standing {
        Standing::Paused => Judgement { standing: Standing::AtRisk, ..judgement },
        Standing::Good | Standing::AtRisk => judgement,
    }
}

/// Why a sender is over the limits, where it is.
fn over(counts: SendingCounts) -> Option<String> {
    let judgement = judge(counts);
    judgement.reason.filter(|_| judgement.standing == Standing::Paused)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(delivered: u64, bounced: u64, refused: u64, complained: u64) -> SendingCounts {
        SendingCounts { delivered, bounced, refused, complained }
    }

    #[test]
    fn limits_are_shares_of_enough() {
        let standing = |counts| judge(counts).standing;
        // Five wrong addresses out of five say nothing of a list.
        for good in [counts(0, 0, 0, 0), counts(0, 5, 0, 0), counts(960, 40, 0, 0), counts(0, 0, 900, 0)] {
            assert_eq!(standing(good), Standing::Good, "{good:?}");
        }
        for at_risk in
            [counts(45, 5, 0, 0), counts(19, 19, 62, 0), counts(3_000, 0, 0, 3), counts(9_000, 0, 0, 9)]
        {
            assert_eq!(standing(at_risk), Standing::AtRisk, "{at_risk:?}");
        }
        for paused in [counts(80, 20, 0, 0), counts(3_000, 0, 0, 10), counts(0, 200, 0, 0)] {
            assert_eq!(standing(paused), Standing::Paused, "{paused:?}");
        }
        let reason = judge(counts(80, 20, 0, 0)).reason.unwrap();
        assert_eq!(reason, "20 of 100 recipients in 7 days do not exist");
        assert_eq!(judge(counts(u64::MAX / 4, u64::MAX / 4, 0, 0)).standing, Standing::Paused);
    }

    #[test]
    fn only_addresses_that_do_not_exist_are_held_against_a_sender() {
        let reply = |code, enhanced| smtp::client::Reply { code, enhanced, text: "5.1.1 as words".into() };
        for (code, enhanced, became) in [
            (550, Some((5, 1, 1)), Became::Bounced),
            (554, Some((5, 1, 1)), Became::Bounced),
            (550, Some((5, 2, 1)), Became::Bounced),
            (553, Some((5, 1, 3)), Became::Bounced),
            (550, Some((5, 1, 10)), Became::Bounced),
            (550, None, Became::Bounced),
            (554, Some((5, 7, 1)), Became::Refused),
            (550, Some((5, 7, 1)), Became::Refused),
            (550, Some((5, 7, 26)), Became::Refused),
            (550, Some((5, 2, 2)), Became::Refused),
            (552, Some((5, 2, 2)), Became::Refused),
            // The sender's address, not the recipient's.
            (550, Some((5, 1, 7)), Became::Refused),
            (550, Some((5, 1, 8)), Became::Refused),
            (554, None, Became::Refused),
        ] {
            let reply = reply(code, enhanced);
            assert_eq!(of_refusal(&reply, At::Recipient), Some(became), "{reply}");
            // The message may be at fault, and neither says anything of the recipient.
            assert_eq!(of_refusal(&reply, At::Message), Some(Became::Refused), "{reply}");
            assert_eq!(of_refusal(&reply, At::Session), None, "{reply}");
        }
        // Given up after days.
        assert_eq!(of_refusal(&reply(451, Some((4, 7, 1))), At::Recipient), None);
    }
}
