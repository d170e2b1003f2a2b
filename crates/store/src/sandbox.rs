//! The sandbox inbox: mail that was sent to the built-in listener. Strangers may fill it, so it is bounded.

use crate::{
    Hidden, Store, StoreError, Told, Visible,
    audit::tell,
    database::{Row, Turn, Tx, sql},
    events::before,
    value::{contains, to_json},
    visible::{Texts, texts},
};
use model::{DomainId, OrgId, SandboxMessageId, TenantId, Timestamp};

/// A message as it came in.
#[derive(Debug, Clone)]
pub struct NewSandboxMessage {
    /// Its id; ids sort by time.
    pub id: SandboxMessageId,
    /// Whose message.
    pub org_id: OrgId,
    /// The tenant whose domain sent it, when it is one's.
    pub tenant_id: Option<TenantId>,
    /// The domain that sent it, when it is one of ours.
    pub domain_id: Option<DomainId>,
    /// When it came.
    pub received_at: Timestamp,
    /// From where.
    pub client_ip: String,
    /// The name the client gave (RFC 5321 §4.1.1.1).
    pub helo: String,
    /// The envelope sender; `None` is the null reverse-path.
    pub mail_from: Option<String>,
    /// The envelope recipients.
    pub recipients: Vec<String>,
    /// Whether it came over TLS.
    pub tls: bool,
    /// The address of the From header field.
    pub header_from: String,
    /// The subject.
    pub subject: String,
    /// The message (RFC 5322).
    pub raw: Hidden,
}

/// How much the inbox holds.
#[derive(Debug, Clone, Copy)]
pub struct SandboxLimits {
    /// How many messages.
    pub messages: u32,
    /// How many bytes of messages.
    pub bytes: u64,
}

/// A stored message without its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxSummary {
    /// Its id.
    pub id: SandboxMessageId,
    /// When it came.
    pub received_at: Timestamp,
    /// From where.
    pub client_ip: String,
    /// The name the client gave.
    pub helo: String,
    /// The envelope sender; `None` is the null reverse-path.
    pub mail_from: Option<String>,
    /// The envelope recipients.
    pub recipients: Vec<String>,
    /// Whether it came over TLS.
    pub tls: bool,
    /// How many bytes it has.
    pub size: u64,
    /// The address of the From header field.
    pub header_from: String,
    /// The subject.
    pub subject: String,
    /// The results of SPF, DKIM and DMARC, JSON; `None` until they are known.
    pub authentication: Option<String>,
    /// When they were found.
    pub authenticated_at: Option<Timestamp>,
    /// How often finding them was put off.
    pub attempts: u32,
}

/// A stored message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxMessage {
    /// All but the text.
    pub summary: SandboxSummary,
    /// The message (RFC 5322).
    pub raw: Hidden,
}

macro_rules! columns {
    () => {
        "id, received_at, client_ip, helo, mail_from, recipients, tls, size, header_from, subject, \
         authentication, authenticated_at, attempts"
    };
}

fn summary(row: &Row) -> Result<SandboxSummary, StoreError> {
    Ok(SandboxSummary {
        id: row.get("id")?,
        received_at: row.get("received_at")?,
        client_ip: row.get("client_ip")?,
        helo: row.get("helo")?,
        mail_from: row.opt("mail_from")?,
        recipients: row.json("recipients")?,
        tls: row.get("tls")?,
        size: row.get("size")?,
        header_from: row.get("header_from")?,
        subject: row.get("subject")?,
        authentication: row.opt("authentication")?,
        authenticated_at: row.opt("authenticated_at")?,
        attempts: row.get("attempts")?,
    })
}

fn message(row: &Row) -> Result<SandboxMessage, StoreError> {
    Ok(SandboxMessage { summary: summary(row)?, raw: row.get("raw")? })
}

async fn trim(limits: SandboxLimits, tx: &mut Tx) -> Result<(), StoreError> {
    tx.turn(Turn::TrimSandbox).await?;
    sql("DELETE FROM sandbox_messages WHERE id NOT IN (
             SELECT id FROM sandbox_messages ORDER BY id DESC LIMIT $1)")
    .bind(&limits.messages.max(1))
    .run(tx)
    .await?;
    sql("DELETE FROM sandbox_messages WHERE id IN (
             SELECT id FROM (
                 SELECT id, SUM(size) OVER (ORDER BY id DESC) AS newer FROM sandbox_messages) AS sizes
             WHERE newer > $1)")
    .bind(&limits.bytes)
    .run(tx)
    .await?;
    Ok(())
}

pub(crate) const UNAUTHENTICATED: &str = concat!(
    "SELECT ",
    columns!(),
    ", raw FROM sandbox_messages
     WHERE authentication IS NULL AND next_attempt_at <= $1 ORDER BY next_attempt_at LIMIT $2"
);

macro_rules! select {
    ($further:literal, $condition:literal, $($and:literal)*) => {
        concat!(
            "SELECT ",
            columns!(),
            $further,
            " FROM sandbox_messages WHERE org_id = $1 AND ",
            $condition,
            $($and),*
        )
    };
}
macro_rules! list {
    ($($and:literal)*) => {
        select!(
            "",
            "id < $2 AND lower(recipients) LIKE $3 ESCAPE '\\'",
            $($and)* " ORDER BY id DESC LIMIT $4"
        )
    };
}
macro_rules! one {
    ($($and:literal)*) => { select!(", raw", "id = $2", $($and)*) };
}
macro_rules! delete {
    ($($and:literal)*) => { concat!("DELETE FROM sandbox_messages WHERE org_id = $1", $($and),*) };
}
pub(crate) const LIST: Texts = texts!(list, "domain_id", "$5", "$6");
const ONE: Texts = texts!(one, "domain_id", "$3", "$4");
const DELETE: Texts = texts!(delete, "domain_id", "$2", "$3");

impl Store {
    /// Stores a message durably, so that a 250 may be sent, and drops the oldest ones beyond the limits.
    ///
    /// # Errors
    /// `LimitReached` when the message alone is beyond the limit in bytes.
    pub async fn receive_sandbox_message(
        &self,
        new: &NewSandboxMessage,
        limits: SandboxLimits,
    ) -> Result<(), StoreError> {
        let size = new.raw.len() as u64;
        if size > limits.bytes {
            return Err(StoreError::LimitReached { what: "bytes in the sandbox inbox", limit: limits.bytes });
        }
        let mut tx = self.pools.write().await?;
        sql("INSERT INTO sandbox_messages (id, received_at, client_ip, helo, mail_from, recipients, tls, size,
                 header_from, subject, next_attempt_at, raw, org_id, tenant_id, domain_id)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $2, $11, $12, $13, $14)")
        .bind(&new.id)
        .bind(&new.received_at)
        .bind(&new.client_ip)
        .bind(&new.helo)
        .bind_opt(new.mail_from.as_ref())
        .bind(&to_json(&new.recipients)?)
        .bind(&new.tls)
        .bind(&size)
        .bind(&new.header_from)
        .bind(&new.subject)
        .bind(&new.raw)
        .bind(&new.org_id)
        .bind_opt(new.tenant_id.as_ref())
        .bind_opt(new.domain_id.as_ref())
        .run(&mut tx)
        .await?;
        trim(limits, &mut tx).await?;
        tx.commit().await
    }

    /// Messages whose SPF, DKIM and DMARC results are to be found now, longest waiting first.
    pub async fn unauthenticated_sandbox_messages(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<SandboxMessage>, StoreError> {
        let query = sql(UNAUTHENTICATED).bind(&now).bind(&limit);
        self.read_all(query).await?.iter().map(message).collect()
    }

    /// When the next message is to be authenticated; `None` when all are.
    pub async fn next_authentication_due_at(&self) -> Result<Option<Timestamp>, StoreError> {
        let query =
            sql("SELECT MIN(next_attempt_at) AS due FROM sandbox_messages WHERE authentication IS NULL");
        self.read_first(query).await?.map_or(Ok(None), |row| row.opt("due"))
    }

    /// Puts off finding the results. A message that was deleted meanwhile is no error.
    pub async fn defer_sandbox_authentication(
        &self,
        id: SandboxMessageId,
        next_attempt_at: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        sql("UPDATE sandbox_messages SET attempts = attempts + 1, next_attempt_at = $2
             WHERE id = $1 AND authentication IS NULL")
        .bind(&id)
        .bind(&next_attempt_at)
        .run(&mut tx)
        .await?;
        tx.commit().await
    }

    /// Stores the results. A message that was deleted meanwhile is no error.
    pub async fn set_sandbox_authentication(
        &self,
        id: SandboxMessageId,
        authentication: &str,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        sql("UPDATE sandbox_messages SET authentication = $2, authenticated_at = $3, next_attempt_at = NULL
             WHERE id = $1")
        .bind(&id)
        .text(authentication)
        .bind(&at)
        .run(&mut tx)
        .await?;
        tx.commit().await
    }

    /// The messages that are visible, newest first, from behind `after`; with `recipient` only those with this envelope recipient, in
    /// any case.
    pub async fn list_sandbox_messages(
        &self,
        visible: &Visible,
        after: Option<SandboxMessageId>,
        limit: u32,
        recipient: Option<&str>,
    ) -> Result<Vec<SandboxSummary>, StoreError> {
        let recipient = recipient.map(|address| to_json(&address.to_ascii_lowercase())).transpose()?;
        let page = visible
            .sql(&LIST)
            .bind(&visible.org_id)
            .text(&before(after, SandboxMessageId::PREFIX))
            .text(&contains(recipient.as_deref()))
            .bind(&limit);
        self.read_all(visible.bind(page)).await?.iter().map(summary).collect()
    }

    /// One message with its text.
    pub async fn get_sandbox_message(
        &self,
        visible: &Visible,
        id: SandboxMessageId,
    ) -> Result<SandboxMessage, StoreError> {
        let query = visible.sql(&ONE).bind(&visible.org_id).bind(&id);
        let row = self.read_first(visible.bind(query)).await?;
        message(&row.ok_or(StoreError::NotFound("message"))?)
    }

    /// Deletes one message.
    pub async fn delete_sandbox_message(&self, id: SandboxMessageId) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        let delete = sql("DELETE FROM sandbox_messages WHERE id = $1").bind(&id);
        delete.run_on("message", &mut tx).await?;
        tx.commit().await
    }

    /// Deletes the messages that are visible; how many.
    pub async fn delete_sandbox_messages(
        &self,
        visible: &Visible,
        told: impl Into<Told<'_>>,
    ) -> Result<u64, StoreError> {
        let mut tx = self.pools.write().await?;
        let deleted = visible.bind(visible.sql(&DELETE).bind(&visible.org_id)).run(&mut tx).await?;
        tell(told.into(), &mut tx).await?;
        tx.commit().await?;
        Ok(deleted)
    }

    /// How many messages the inbox has.
    pub async fn count_sandbox_messages(&self) -> Result<u64, StoreError> {
        sql("SELECT COUNT(*) AS n FROM sandbox_messages").number(&mut self.pools.read().await?).await
    }
}
