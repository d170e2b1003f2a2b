//! Whom to write to about domains, and what they are still to be told.

use crate::{
    NewEvent, Outgoing, Store, StoreError, Told, Visible,
    audit::tell,
    database::{Row, Tx, sql},
    events::before,
    messages::accept,
    visible::{Texts, texts},
};
use model::{ContactId, DomainId, EmailAddress, EventId, OrgId, TenantId, Timestamp};

/// How many contacts an organisation as a whole, a tenant or a domain has at most.
const MOST: u64 = 10;

/// Somebody to write to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// Its id.
    pub id: ContactId,
    /// Whose contact.
    pub org_id: OrgId,
    /// The tenant whose domains it is for; all of the organisation without.
    pub tenant_id: Option<TenantId>,
    /// The one domain that it is for.
    pub domain_id: Option<DomainId>,
    /// The address.
    pub address: EmailAddress,
    /// When it was added.
    pub created_at: Timestamp,
    /// When whoever reads the address said that they want to be written to.
    pub confirmed_at: Option<Timestamp>,
}

/// What a contact is confirmed by.
#[derive(Debug, Clone)]
pub struct ContactProof {
    /// The hash of a secret that is mailed to the address.
    pub hash: Vec<u8>,
    /// Until when it is good.
    pub until: Timestamp,
}

/// Something that the contacts of a domain are to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// The event that it tells of.
    pub event_id: EventId,
    /// Whose domain.
    pub org_id: OrgId,
    /// The domain.
    pub domain_id: DomainId,
    /// The type of the event.
    pub event_type: String,
    /// What the event says, JSON.
    pub data: String,
    /// When it happened.
    pub created_at: Timestamp,
}

fn contact(row: &Row) -> Result<Contact, StoreError> {
    Ok(Contact {
        id: row.get("id")?,
        org_id: row.get("org_id")?,
        tenant_id: row.opt("tenant_id")?,
        domain_id: row.opt("domain_id")?,
        address: row.get("address")?,
        created_at: row.get("created_at")?,
        confirmed_at: row.opt("confirmed_at")?,
    })
}

/// How many mails that ask for a confirmation are sent in a day: to one address, whoever asks, and for one organisation.
const MAILS_A_DAY: [u64; 2] = [1, 20];

/// In milliseconds.
const DAY: i64 = 86_400_000;

macro_rules! list {
    ($($and:literal)*) => {
        concat!(
            "SELECT id, org_id, tenant_id, domain_id, address, created_at, confirmed_at FROM contacts
             WHERE org_id = $1 AND id < $2",
            $($and,)*
            " ORDER BY id DESC LIMIT $3"
        )
    };
}
pub(crate) const LIST: Texts = texts!(list, "domain_id", "$4", "$5");

macro_rules! delete {
    ($($and:literal)*) => {
        concat!("DELETE FROM contacts WHERE org_id = $1 AND id = $2", $($and,)*)
    };
}
const DELETE: Texts = texts!(delete, "domain_id", "$3", "$4");

macro_rules! one {
    ($($and:literal)*) => {
        concat!(
            "SELECT id, org_id, tenant_id, domain_id, address, created_at, confirmed_at FROM contacts
             WHERE org_id = $1 AND id = $2",
            $($and,)*
        )
    };
}
const ONE: Texts = texts!(one, "domain_id", "$3", "$4");

/// Puts down that the contacts are to be told of an event.
pub(crate) async fn insert_alert(
    event: &NewEvent,
    domain_id: DomainId,
    tx: &mut Tx,
) -> Result<(), StoreError> {
    sql("INSERT INTO alerts (event_id, org_id, domain_id, event_type, data, created_at)
         VALUES ($1, $2, $3, $4, $5, $6)")
    .bind(&event.id)
    .bind(&event.org_id)
    .bind(&domain_id)
    .text(&event.event_type)
    .text(&event.data)
    .bind(&event.created_at)
    .run(tx)
    .await
    .map(drop)
}

impl Store {
    /// Adds a contact, confirmed where the address is known to belong to the organisation: a member's, or that of another
    /// contact, of those that `visible` shows: who sees a part learns nothing of the rest. Else it is confirmed by the
    /// proof, and the mail with it is accepted with the contact or not at all; as it was stored.
    ///
    /// # Errors
    /// `LimitReached` when there are as many for the same as there may be, `AskedTooOften` when as many mails were sent in a
    /// day.
    pub async fn add_contact(
        &self,
        new: &Contact,
        visible: &Visible,
        proof: &ContactProof,
        mail: &Outgoing,
        told: impl Into<Told<'_>>,
    ) -> Result<Contact, StoreError> {
        let mut tx = self.pools.write().await?;
        // Whoever adds one at the same time counts behind this.
        sql("SELECT id FROM organisations WHERE id = $1")
            .on_postgres("SELECT id FROM organisations WHERE id = $1 FOR NO KEY UPDATE")
            .bind(&new.org_id)
            .first(&mut tx)
            .await?;
        let there: u64 = sql("SELECT COUNT(*) AS n FROM contacts
             WHERE org_id = $1 AND COALESCE(tenant_id, '') = $2 AND COALESCE(domain_id, '') = $3")
        .bind(&new.org_id)
        .text(&new.tenant_id.map(|id| id.to_string()).unwrap_or_default())
        .text(&new.domain_id.map(|id| id.to_string()).unwrap_or_default())
        .number(&mut tx)
        .await?;
        if there >= MOST {
            return Err(StoreError::LimitReached { what: "contacts", limit: MOST });
        }
        let known = is_known(new, visible, &mut tx).await?;
        if !known {
            count_mail(new, new.created_at, &mut tx).await?;
            accept(&mail.message, &mail.recipients, Told::from(mail.events.as_slice()), &mut tx).await?;
        }
        let confirmed_at = known.then_some(new.created_at);
        sql("INSERT INTO contacts (id, org_id, tenant_id, domain_id, address, created_at, confirmed_at, confirm_until,
                 confirm_hash)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)")
        .bind(&new.id)
        .bind(&new.org_id)
        .bind_opt(new.tenant_id.as_ref())
        .bind_opt(new.domain_id.as_ref())
        .bind(&new.address)
        .bind(&new.created_at)
        .bind_opt(confirmed_at.as_ref())
        .bind_opt((!known).then_some(&proof.until))
        .bind_opt((!known).then(|| crate::Hidden::from(proof.hash.as_slice())).as_ref())
        .run(&mut tx)
        .await?;
        tell(told.into(), &mut tx).await?;
        tx.commit().await?;
        Ok(Contact { confirmed_at, ..new.clone() })
    }

    /// Confirms the contact that a secret with this hash was mailed to.
    ///
    /// # Errors
    /// `NotFound` where there is none, it was confirmed before, or the time for it is over.
    pub async fn confirm_contact(&self, hash: &[u8], now: Timestamp) -> Result<Contact, StoreError> {
        let mut tx = self.pools.write().await?;
        let row = sql("UPDATE contacts SET confirmed_at = $2, confirm_hash = NULL, confirm_until = NULL
             WHERE confirm_hash = $1 AND confirm_until > $2
             RETURNING id, org_id, tenant_id, domain_id, address, created_at, confirmed_at")
        .blob(hash)
        .bind(&now)
        .first(&mut tx)
        .await?;
        let confirmed = contact(&row.ok_or(StoreError::NotFound("contact"))?)?;
        tx.commit().await?;
        Ok(confirmed)
    }

    /// The contacts that are visible, newest first, from behind `after`.
    pub async fn list_contacts(
        &self,
        visible: &Visible,
        after: Option<ContactId>,
        limit: u32,
    ) -> Result<Vec<Contact>, StoreError> {
        let page =
            visible.sql(&LIST).bind(&visible.org_id).text(&before(after, ContactId::PREFIX)).bind(&limit);
        self.read_all(visible.bind(page)).await?.iter().map(contact).collect()
    }

    /// One contact of the organisation.
    pub async fn get_contact(&self, org_id: OrgId, id: ContactId) -> Result<Contact, StoreError> {
        let one =
            sql("SELECT id, org_id, tenant_id, domain_id, address, created_at, confirmed_at FROM contacts
             WHERE id = $1 AND org_id = $2");
        let row = self.read_first(one.bind(&id).bind(&org_id)).await?;
        contact(&row.ok_or(StoreError::NotFound("contact"))?)
    }

    /// One contact that is visible.
    pub async fn visible_contact(&self, visible: &Visible, id: ContactId) -> Result<Contact, StoreError> {
        let one = visible.bind(visible.sql(&ONE).bind(&visible.org_id).bind(&id));
        contact(&self.read_first(one).await?.ok_or(StoreError::NotFound("contact"))?)
    }

    /// Has a contact that is not confirmed asked again, by another mail with another proof; the one before is good no more.
    /// One that is confirmed stays as it is, and gets no mail.
    ///
    /// # Errors
    /// `AskedTooOften` when as many mails were sent in a day as there may be; `NotFound`.
    pub async fn ask_contact_again(
        &self,
        asked: &Contact,
        now: Timestamp,
        proof: &ContactProof,
        mail: &Outgoing,
        told: impl Into<Told<'_>>,
    ) -> Result<Contact, StoreError> {
        let mut tx = self.pools.write().await?;
        let changed = sql("UPDATE contacts SET confirm_hash = $3, confirm_until = $4
             WHERE org_id = $1 AND id = $2 AND confirmed_at IS NULL")
        .bind(&asked.org_id)
        .bind(&asked.id)
        .bind(&crate::Hidden::from(proof.hash.as_slice()))
        .bind(&proof.until)
        .run(&mut tx)
        .await?;
        if changed > 0 {
            count_mail(asked, now, &mut tx).await?;
            accept(&mail.message, &mail.recipients, Told::from(mail.events.as_slice()), &mut tx).await?;
            tell(told.into(), &mut tx).await?;
        }
        let one = Visible::all_of(asked.org_id).sql(&ONE).bind(&asked.org_id).bind(&asked.id);
        let found = contact(&one.first(&mut tx).await?.ok_or(StoreError::NotFound("contact"))?)?;
        tx.commit().await?;
        Ok(found)
    }

    /// Deletes a contact that is visible.
    pub async fn delete_contact(
        &self,
        visible: &Visible,
        id: ContactId,
        told: impl Into<Told<'_>>,
    ) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        let delete = visible.sql(&DELETE).bind(&visible.org_id).bind(&id);
        visible.bind(delete).run_on("contact", &mut tx).await?;
        tell(told.into(), &mut tx).await?;
        tx.commit().await
    }

    /// Whom to write to about a domain: its own contacts, those of its tenant, and those of the organisation, as far as they
    /// are confirmed; each address once. Where there is none, the organisation's owners.
    pub async fn contacts_of_domain(
        &self,
        org_id: OrgId,
        tenant_id: Option<TenantId>,
        domain_id: DomainId,
    ) -> Result<Vec<EmailAddress>, StoreError> {
        let query = sql("SELECT DISTINCT address FROM contacts
             WHERE org_id = $1 AND (domain_id = $2 OR (domain_id IS NULL AND (tenant_id IS NULL OR tenant_id = $3)))
                 AND confirmed_at IS NOT NULL
             ORDER BY address")
        .bind(&org_id)
        .bind(&domain_id)
        .text(&tenant_id.map(|id| id.to_string()).unwrap_or_default());
        let mut rows = self.read_all(query).await?;
        if rows.is_empty() {
            let owners = sql("SELECT users.email AS address FROM users
                 JOIN memberships ON memberships.user_id = users.id
                 WHERE memberships.org_id = $1 AND memberships.role = 'owner' ORDER BY users.email LIMIT 10");
            rows = self.read_all(owners.bind(&org_id)).await?;
        }
        rows.iter().map(|row| row.get("address")).collect()
    }

    /// What the contacts are still to be told, oldest first.
    pub async fn open_alerts(&self, limit: u32) -> Result<Vec<Alert>, StoreError> {
        let query = sql("SELECT event_id, org_id, domain_id, event_type, data, created_at FROM alerts
             ORDER BY created_at, event_id LIMIT $1");
        let rows = self.read_all(query.bind(&limit)).await?;
        rows.iter()
            .map(|row| {
                Ok(Alert {
                    event_id: row.get("event_id")?,
                    org_id: row.get("org_id")?,
                    domain_id: row.get("domain_id")?,
                    event_type: row.get("event_type")?,
                    data: row.get("data")?,
                    created_at: row.get("created_at")?,
                })
            })
            .collect()
    }

    /// The contacts were told, or there is nobody to tell.
    pub async fn close_alert(&self, event_id: EventId) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        sql("DELETE FROM alerts WHERE event_id = $1").bind(&event_id).run(&mut tx).await?;
        tx.commit().await
    }
}

/// As addresses are compared: hardly a mailbox is told from another one by case.
fn folded(address: &EmailAddress) -> String {
    address.to_string().to_ascii_lowercase()
}

macro_rules! known {
    ($($and:literal)*) => {
        concat!(
            "SELECT id FROM contacts WHERE org_id = $1 AND LOWER(address) = $2 AND confirmed_at IS NOT NULL",
            $($and,)*
            " LIMIT 1"
        )
    };
}
const KNOWN: Texts = texts!(known, "domain_id", "$3", "$4");

/// Whether an address belongs to those that whoever adds it sees.
async fn is_known(new: &Contact, visible: &Visible, tx: &mut Tx) -> Result<bool, StoreError> {
    let address = folded(&new.address);
    let known = visible.bind(visible.sql(&KNOWN).bind(&new.org_id).text(&address));
    if known.first(tx).await?.is_some() {
        return Ok(true);
    }
    if *visible != Visible::all_of(new.org_id) {
        return Ok(false);
    }
    let member = sql("SELECT users.id FROM users JOIN memberships ON memberships.user_id = users.id
         WHERE memberships.org_id = $1 AND users.email = $2");
    Ok(member.bind(&new.org_id).text(&address).first(tx).await?.is_some())
}

/// Counts a mail to the address, unless there were too many.
async fn count_mail(to: &Contact, now: Timestamp, tx: &mut Tx) -> Result<(), StoreError> {
    let folded = folded(&to.address);
    // The bound is that of all organisations together.
    tx.turn_for(&folded).await?;
    sql("DELETE FROM contact_mails WHERE sent_at <= $1 - $2").bind(&now).bind(&DAY).run(tx).await?;
    let to_address =
        sql("SELECT COUNT(*) AS n, MIN(sent_at) AS oldest FROM contact_mails WHERE address = $1");
    let of_organisation =
        sql("SELECT COUNT(*) AS n, MIN(sent_at) AS oldest FROM contact_mails WHERE org_id = $1");
    let [address, organisation] = MAILS_A_DAY;
    let bounds = [(to_address.text(&folded), address), (of_organisation.bind(&to.org_id), organisation)];
    for ((query, limit), by_organisation) in bounds.into_iter().zip([false, true]) {
        let row = query.first(tx).await?.ok_or(StoreError::NotFound("row"))?;
        if row.get::<u64>("n")? >= limit {
            let oldest = row.opt::<Timestamp>("oldest")?.unwrap_or(now);
            let again_at = Timestamp::from_millisecond(oldest.as_millisecond() + DAY).unwrap_or(now);
            return Err(StoreError::AskedTooOften { by_organisation, limit, again_at });
        }
    }
    sql("INSERT INTO contact_mails (address, org_id, sent_at) VALUES ($1, $2, $3)")
        .text(&folded)
        .bind(&to.org_id)
        .bind(&now)
        .run(tx)
        .await
        .map(drop)
}
