-- Why a domain is switched off, whom to write to about domains, and what they are still to be told.

ALTER TABLE domains ADD COLUMN disabled_reason TEXT;

CREATE TABLE contacts (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES organisations (id),
    tenant_id TEXT,
    domain_id TEXT,
    address TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX contacts_list ON contacts (org_id, id);

-- One row for each event that the contacts are to be told of; gone when they were.
CREATE TABLE alerts (
    event_id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES organisations (id),
    domain_id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    data TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
