//! The ledger: which records at DNS hosts we wrote, for which domain. Nothing else is ever replaced or removed there.

use crate::{
    Store, StoreError,
    database::{Row, Tx, sql},
    value::words,
};
use model::{ChangeSetId, DomainId, DomainName, LedgerId, OrgId, Timestamp};

words! {
    /// Whether a record is known to be there.
    LedgerState {
        /// It was about to be written.
        Intended = "intended",
        /// It was written.
        Present = "present",
    }
}

/// A record that we wrote, or were about to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRow {
    /// Its id.
    pub id: LedgerId,
    /// Whose domain.
    pub org_id: OrgId,
    /// The domain that it was written for.
    pub domain_id: DomainId,
    /// The id of the DNS host.
    pub host: String,
    /// The zone's topmost name.
    pub zone: DomainName,
    /// The record's name.
    pub owner: DomainName,
    /// Tells records of one name apart: the same for the same type and data.
    pub digest: String,
    /// Type and data, JSON.
    pub data: String,
    /// The mechanisms that are ours, where the record is another's.
    pub rules: Option<String>,
    /// The host's name for it.
    pub host_record_id: Option<String>,
    /// Whether it is known to be there.
    pub state: LedgerState,
    /// Which change set wrote it.
    pub change_set_id: ChangeSetId,
}

/// What becomes of a line of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LedgerMove {
    /// A record is about to be written. One that is known stays as it is.
    Intend(LedgerRow),
    /// It was written.
    Present(LedgerRow),
    /// It is there no more, or ours no more.
    Gone(LedgerId),
    /// It was about to be written by this change set, and nothing came of it.
    Forget(LedgerRow),
}

macro_rules! columns {
    () => {
        "id, org_id, domain_id, host, zone, owner, digest, data, rules, host_record_id, state, change_set_id"
    };
}

fn ledger_row(row: &Row) -> Result<LedgerRow, StoreError> {
    Ok(LedgerRow {
        id: row.get("id")?,
        org_id: row.get("org_id")?,
        domain_id: row.get("domain_id")?,
        host: row.get("host")?,
        zone: row.get("zone")?,
        owner: row.get("owner")?,
        digest: row.get("digest")?,
        data: row.get("data")?,
        rules: row.opt("rules")?,
        host_record_id: row.opt("host_record_id")?,
        state: row.get("state")?,
        change_set_id: row.get("change_set_id")?,
    })
}

pub(crate) async fn move_ledger(moves: &[LedgerMove], now: Timestamp, tx: &mut Tx) -> Result<(), StoreError> {
    const INTEND: &str = concat!(
        "INSERT INTO dns_ledger (",
        columns!(),
        ", created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13)
         ON CONFLICT (domain_id, host, zone, owner, digest) DO NOTHING"
    );
    const PRESENT: &str = concat!(
        "INSERT INTO dns_ledger (",
        columns!(),
        ", created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13)
         ON CONFLICT (domain_id, host, zone, owner, digest) DO UPDATE
             SET data = $8, rules = $9, host_record_id = $10, state = $11, change_set_id = $12, updated_at = $13"
    );
    for change in moves {
        let statement = match change {
            LedgerMove::Intend(row) => bound(INTEND, row, now),
            LedgerMove::Present(row) => bound(PRESENT, row, now),
            LedgerMove::Gone(id) => sql("DELETE FROM dns_ledger WHERE id = $1").bind(id),
            LedgerMove::Forget(row) => sql("DELETE FROM dns_ledger
                 WHERE domain_id = $1 AND host = $2 AND zone = $3 AND owner = $4 AND digest = $5
                     AND state = 'intended' AND change_set_id = $6")
            .bind(&row.domain_id)
            .bind(&row.host)
            .bind(&row.zone)
            .bind(&row.owner)
            .bind(&row.digest)
            .bind(&row.change_set_id),
        };
        statement.run(tx).await?;
    }
    Ok(())
}

fn bound(text: &'static str, row: &LedgerRow, now: Timestamp) -> crate::database::Sql {
    sql(text)
        .bind(&row.id)
        .bind(&row.org_id)
        .bind(&row.domain_id)
        .bind(&row.host)
        .bind(&row.zone)
        .bind(&row.owner)
        .bind(&row.digest)
        .bind(&row.data)
        .bind_opt(row.rules.as_ref())
        .bind_opt(row.host_record_id.as_ref())
        .bind(&row.state)
        .bind(&row.change_set_id)
        .bind(&now)
}

impl Store {
    /// What we wrote for a domain, at all hosts.
    pub async fn ledger_of_domain(&self, domain_id: DomainId) -> Result<Vec<LedgerRow>, StoreError> {
        let query = sql(concat!("SELECT ", columns!(), " FROM dns_ledger WHERE domain_id = $1 ORDER BY id"));
        self.read_all(query.bind(&domain_id)).await?.iter().map(ledger_row).collect()
    }

    /// What we wrote at a name of a zone, for whichever domain that is not deleted: what was written for one that is, and
    /// is still there, must not keep from being cleaned up what another has in common with it.
    pub async fn ledger_of_name(
        &self,
        zone: &DomainName,
        owner: &DomainName,
    ) -> Result<Vec<LedgerRow>, StoreError> {
        let query = sql(concat!(
            "SELECT ",
            columns!(),
            " FROM dns_ledger WHERE zone = $1 AND owner = $2
             AND EXISTS (SELECT 1 FROM domains
                 WHERE domains.id = dns_ledger.domain_id AND domains.deleted_at IS NULL)
             ORDER BY id"
        ));
        self.read_all(query.bind(zone).bind(owner)).await?.iter().map(ledger_row).collect()
    }
}
