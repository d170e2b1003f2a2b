-- Indexes that have the name: a part of a name is looked for in them alone, and not in rows that lie one to a page beside
-- their reports.

CREATE INDEX domains_names ON domains (org_id, id, name, deleted_at) WHERE deleted_at IS NULL;
CREATE INDEX domains_names_tenant ON domains (org_id, tenant_id, id, name, deleted_at) WHERE deleted_at IS NULL;
