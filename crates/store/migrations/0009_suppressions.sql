-- Addresses that get no mail: of an organisation (tenant_id is empty), or of one of its tenants.

CREATE TABLE suppressions (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES organisations (id),
    tenant_id TEXT NOT NULL,
    address TEXT NOT NULL,
    reason TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX suppressions_address ON suppressions (org_id, tenant_id, address);
CREATE INDEX suppressions_list ON suppressions (org_id, id);
CREATE INDEX suppressions_list_tenant ON suppressions (org_id, tenant_id, id);
