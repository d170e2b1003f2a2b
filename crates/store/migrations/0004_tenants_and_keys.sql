-- Tenants; keys that end, are rotated, and whose domains lists can be joined with; whose a message in the sandbox
-- inbox is, and which key sent a message.

CREATE TABLE tenants (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES organisations (id),
    reference TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX tenants_reference ON tenants (org_id, reference);
CREATE INDEX tenants_list ON tenants (org_id, id);

ALTER TABLE api_keys ADD COLUMN expires_at BIGINT;
ALTER TABLE api_keys ADD COLUMN created_by TEXT;
ALTER TABLE api_keys ADD COLUMN replaced_by TEXT;

-- One row for each id in allowed_domain_ids, written with it and never changed.
CREATE TABLE api_key_domains (
    key_id TEXT NOT NULL REFERENCES api_keys (id),
    domain_id TEXT NOT NULL,
    PRIMARY KEY (key_id, domain_id)
);
INSERT INTO api_key_domains (key_id, domain_id)
    SELECT api_keys.id, domains.id FROM api_keys, domains
    WHERE api_keys.allowed_domain_ids LIKE '%' || domains.id || '%';

CREATE INDEX domains_list_tenant ON domains (org_id, tenant_id, id) WHERE deleted_at IS NULL;

ALTER TABLE messages ADD COLUMN key_id TEXT;
CREATE INDEX messages_list_tenant ON messages (org_id, tenant_id, id);
CREATE INDEX messages_list_domain ON messages (domain_id, id);

ALTER TABLE sandbox_messages ADD COLUMN org_id TEXT;
ALTER TABLE sandbox_messages ADD COLUMN tenant_id TEXT;
ALTER TABLE sandbox_messages ADD COLUMN domain_id TEXT;
CREATE INDEX sandbox_messages_list ON sandbox_messages (org_id, id);
-- Until now there was one organisation.
UPDATE sandbox_messages SET org_id = (SELECT MIN(id) FROM organisations);
