//! What a caller sees of an organisation: asked of the database in every list, so that a page is full and says rightly
//! whether there is another one.

use crate::database::{Sql, sql};
use model::{ApiKeyId, OrgId, TenantId};

/// What a caller sees: the organisation's things, narrowed to a tenant, to the domains that a key lists, or to both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visible {
    /// The organisation.
    pub org_id: OrgId,
    /// Only what is this tenant's.
    pub tenant_id: Option<TenantId>,
    /// Only what is of the domains that this key lists.
    pub of_key: Option<ApiKeyId>,
}

impl Visible {
    /// All of an organisation.
    pub const fn all_of(org_id: OrgId) -> Self {
        Self { org_id, tenant_id: None, of_key: None }
    }

    /// The statement that narrows as much as is wanted.
    pub(crate) fn sql(&self, texts: &Texts) -> Sql {
        sql(match (self.tenant_id, self.of_key) {
            (None, None) => texts.whole,
            (Some(_), None) => texts.tenant,
            (None, Some(_)) => texts.listed,
            (Some(_), Some(_)) => texts.both,
        })
    }

    /// Binds what narrows, behind all other values.
    pub(crate) fn bind(&self, mut sql: Sql) -> Sql {
        if let Some(tenant) = &self.tenant_id {
            sql = sql.bind(tenant);
        }
        if let Some(key) = &self.of_key {
            sql = sql.bind(key);
        }
        sql
    }
}

/// One text for each way to narrow, so that the database plans each for what it looks for.
pub(crate) struct Texts {
    pub(crate) whole: &'static str,
    pub(crate) tenant: &'static str,
    pub(crate) listed: &'static str,
    pub(crate) both: &'static str,
}

/// Makes the texts of a statement. `$base` puts further conditions into its place for them, `$domain` is the column with
/// the domain, `$first` and `$second` are the two placeholders behind those of the statement itself.
macro_rules! texts {
    ($base:ident, $domain:literal, $first:literal, $second:literal) => {
        $crate::visible::Texts {
            whole: $base!(),
            tenant: $base!(" AND tenant_id = " $first),
            listed: $base!(
                " AND " $domain " IN (SELECT domain_id FROM api_key_domains WHERE key_id = " $first ")"
            ),
            both: $base!(
                " AND tenant_id = " $first
                " AND " $domain " IN (SELECT domain_id FROM api_key_domains WHERE key_id = " $second ")"
            ),
        }
    };
}
pub(crate) use texts;
