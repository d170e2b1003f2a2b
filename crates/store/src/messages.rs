//! Accepted messages. Their deliveries are in `deliveries.rs`.

use crate::{
    Attempt, DailyCap, Delivery, Hidden, NewDelivery, NewEvent, Store, StoreError, Told, Topic, Visible,
    audit::tell,
    database::{Row, Tx, sql},
    deliveries::{attempts_of, deliveries_of, insert_deliveries},
    error::Unique,
    events::before,
    suppressions::suppressed,
    value::to_json,
    visible::{Texts, texts},
    warmup::count_message,
};
use model::{ApiKeyId, DomainId, EmailAddress, MessageId, OrgId, TenantId, Timestamp};

const ID: Unique = Unique { sqlite: "messages.id", postgres: "messages_pkey" };

/// A message to accept.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// Its id.
    pub id: MessageId,
    /// Whose message.
    pub org_id: OrgId,
    /// The domain it is sent from.
    pub domain_id: DomainId,
    /// The tenant, when the organisation has tenants.
    pub tenant_id: Option<TenantId>,
    /// The API key that sent it, when one did.
    pub key_id: Option<ApiKeyId>,
    /// The author's address.
    pub from_address: EmailAddress,
    /// The subject.
    pub subject: String,
    /// The message as it goes out (RFC 5322).
    pub raw: Hidden,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// How many messages the domain may send today, this one counted; nothing where there is no warm-up.
    pub daily_cap: Option<DailyCap>,
    /// The span that it came from, where there are traces: its deliveries go on from there.
    pub trace_parent: Option<String>,
}

/// A stored message, without its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// Whose message.
    pub org_id: OrgId,
    /// The domain it is sent from.
    pub domain_id: DomainId,
    /// The tenant, when the organisation has tenants.
    pub tenant_id: Option<TenantId>,
    /// The API key that sent it, when one did.
    pub key_id: Option<ApiKeyId>,
    /// The author's address.
    pub from_address: EmailAddress,
    /// To whom it goes, in the order given.
    pub recipients: Vec<EmailAddress>,
    /// The subject.
    pub subject: String,
    /// How many bytes it has.
    pub size: u64,
    /// When it was accepted.
    pub created_at: Timestamp,
}

fn message(row: &Row) -> Result<Message, StoreError> {
    Ok(Message {
        id: row.get("id")?,
        org_id: row.get("org_id")?,
        domain_id: row.get("domain_id")?,
        tenant_id: row.opt("tenant_id")?,
        key_id: row.opt("key_id")?,
        from_address: row.get("from_address")?,
        recipients: row.json("recipients")?,
        subject: row.get("subject")?,
        size: row.get("size")?,
        created_at: row.get("created_at")?,
    })
}

macro_rules! select {
    ($condition:literal, $($and:literal)*) => {
        concat!(
            "SELECT id, org_id, domain_id, tenant_id, key_id, from_address, recipients, subject, size, created_at
             FROM messages WHERE org_id = $1 AND ",
            $condition,
            $($and),*
        )
    };
}
macro_rules! list {
    ($($and:literal)*) => { select!("id < $2", $($and)* " ORDER BY id DESC LIMIT $3") };
}
macro_rules! one {
    ($($and:literal)*) => { select!("id = $2", $($and)*) };
}
pub(crate) const LIST: Texts = texts!(list, "domain_id", "$4", "$5");
const ONE: Texts = texts!(one, "domain_id", "$3", "$4");

/// A message that is to be accepted, with what is told of it.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// The message.
    pub message: NewMessage,
    /// To whom.
    pub recipients: Vec<NewDelivery>,
    /// What is told.
    pub events: Vec<NewEvent>,
}

/// Accepts a message in a transaction of somebody else.
pub(crate) async fn accept(
    message: &NewMessage,
    recipients: &[NewDelivery],
    told: Told<'_>,
    tx: &mut Tx,
) -> Result<(), StoreError> {
    let addresses: Vec<&EmailAddress> = recipients.iter().map(|delivery| &delivery.recipient).collect();
    // KEY SHARE: only deleting waits for this, no check of the domain does.
    sql("SELECT id FROM domains WHERE id = $1 AND org_id = $2 AND deleted_at IS NULL")
        .on_postgres(
            "SELECT id FROM domains WHERE id = $1 AND org_id = $2 AND deleted_at IS NULL FOR KEY SHARE",
        )
        .bind(&message.domain_id)
        .bind(&message.org_id)
        .first(tx)
        .await?
        .ok_or(StoreError::NotFound("domain"))?;
    let refused = suppressed(message.org_id, message.tenant_id, addresses.iter().copied(), tx).await?;
    if !refused.is_empty() {
        return Err(StoreError::Suppressed(refused));
    }
    if let Some(cap) = message.daily_cap {
        count_message(message.domain_id, cap, tx).await?;
    }
    sql("INSERT INTO messages (id, org_id, domain_id, tenant_id, key_id, from_address, recipients, subject, size,
             created_at, raw, trace_parent)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)")
    .bind(&message.id)
    .bind(&message.org_id)
    .bind(&message.domain_id)
    .bind_opt(message.tenant_id.as_ref())
    .bind_opt(message.key_id.as_ref())
    .bind(&message.from_address)
    .bind(&to_json(&addresses)?)
    .bind(&message.subject)
    .bind(&(message.raw.len() as u64))
    .bind(&message.created_at)
    .bind(&message.raw)
    .bind_opt(message.trace_parent.as_ref())
    .run(tx)
    .await
    .map_err(|error| error.or_conflict(ID, StoreError::MessageTaken))?;
    insert_deliveries(message.id, recipients, message.created_at, tx).await?;
    tx.wakes(Topic::Deliver);
    tell(told, tx).await
}

impl Store {
    /// Accepts a message with one delivery for each recipient; a recipient given twice gets it once.
    ///
    /// # Errors
    /// `NotFound` when the organisation has no such domain, or it was deleted meanwhile; `Suppressed`; `DailyCapReached`.
    pub async fn accept_message(
        &self,
        message: &NewMessage,
        recipients: &[NewDelivery],
        told: impl Into<Told<'_>>,
    ) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        accept(message, recipients, told.into(), &mut tx).await?;
        tx.commit().await
    }

    /// A message with its deliveries and their attempts, oldest attempt first.
    pub async fn get_message(
        &self,
        visible: &Visible,
        id: MessageId,
    ) -> Result<(Message, Vec<Delivery>, Vec<Attempt>), StoreError> {
        let mut tx = self.pools.snapshot().await?;
        let query = visible.sql(&ONE).bind(&visible.org_id).bind(&id);
        let row = visible.bind(query).first(&mut tx).await?;
        let message = message(&row.ok_or(StoreError::NotFound("message"))?)?;
        Ok((message, deliveries_of(id, &mut tx).await?, attempts_of(id, &mut tx).await?))
    }

    /// The text of a message.
    pub async fn get_message_raw(&self, org_id: OrgId, id: MessageId) -> Result<Hidden, StoreError> {
        let query = sql("SELECT raw FROM messages WHERE id = $1 AND org_id = $2").bind(&id).bind(&org_id);
        self.read_first(query).await?.ok_or(StoreError::NotFound("message"))?.get("raw")
    }

    /// Whose a message is: organisation, tenant and domain.
    pub async fn owner_of_message(
        &self,
        id: MessageId,
    ) -> Result<Option<(OrgId, Option<TenantId>, DomainId)>, StoreError> {
        let query = sql("SELECT org_id, tenant_id, domain_id FROM messages WHERE id = $1").bind(&id);
        let row = self.read_first(query).await?;
        row.map(|row| Ok((row.get("org_id")?, row.opt("tenant_id")?, row.get("domain_id")?))).transpose()
    }

    /// The messages that are visible, newest first, from behind `after`.
    pub async fn list_messages(
        &self,
        visible: &Visible,
        after: Option<MessageId>,
        limit: u32,
    ) -> Result<Vec<Message>, StoreError> {
        let page =
            visible.sql(&LIST).bind(&visible.org_id).text(&before(after, MessageId::PREFIX)).bind(&limit);
        self.read_all(visible.bind(page)).await?.iter().map(message).collect()
    }
}
