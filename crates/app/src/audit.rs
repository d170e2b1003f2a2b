//! The audit log: who changed what, and when.
//!
//! Every use case that changes something makes its line with [`App::audit_entry`] and gives it to the store with the
//! change, so that there is none without the other. A line names things by their ids and says in a few words of data what
//! was changed; it never has a secret in it, nor what mail says.
//!
//! What has no line: mail (each message names the key that sent it), checks of DNS (what they find is told by events),
//! and the playground.

use crate::{
    App,
    access::{Actor, Caller, Scope},
    error::Result,
};
use jiff::Timestamp;
use model::AuditId;
use serde_json::Value;
use store::{AuditEntry, AuditFilter};

impl App {
    /// The line that tells what a caller does.
    pub(crate) fn audit_entry(
        &self,
        caller: &Caller,
        action: &str,
        subject: &dyn ToString,
        data: &Value,
        now: Timestamp,
    ) -> AuditEntry {
        let (actor_kind, actor_id) = match caller.actor {
            Actor::Key(id) => ("key", Some(id.to_string())),
            Actor::User(id) => ("user", Some(id.to_string())),
            Actor::System => ("system", None),
            Actor::Visitor => ("visitor", None),
        };
        AuditEntry {
            id: self.random.audit_id(now),
            org_id: caller.org_id,
            // A tenant that is not there yet is none.
            tenant_id: caller.tenant_id.filter(|_| caller.new_tenant.is_none()),
            at: now,
            actor_kind: actor_kind.to_owned(),
            actor_id,
            address: caller.origin.address.map(|address| address.to_string()),
            request_id: caller.origin.request_id.map(|id| id.to_string()),
            action: action.to_owned(),
            subject: subject.to_string(),
            data: data.to_string(),
        }
    }

    /// The audit log of the caller's organisation, newest first.
    pub async fn audit_log(
        &self,
        caller: &Caller,
        filter: &AuditFilter,
        after: Option<AuditId>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>> {
        caller.require(Scope::ReadAudit)?;
        caller.require_whole_organisation()?;
        Ok(self.store.list_audit(caller.org_id, filter, after, limit).await?)
    }
}
