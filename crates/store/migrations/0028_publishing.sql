-- Records are written at DNS hosts: what would change (change_sets), what we wrote (dns_ledger), with which credentials where
-- they are kept (dns_connections), and who writes to a zone now (zone_leases).

CREATE TABLE dns_connections (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES organisations (id),
    tenant_id TEXT,
    domain_id TEXT,
    host TEXT NOT NULL,
    zone TEXT NOT NULL,
    label TEXT NOT NULL,
    hint TEXT NOT NULL,
    repair TEXT NOT NULL DEFAULT 'off',
    created_by TEXT,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT,
    last_error TEXT,
    secret BLOB NOT NULL
);
CREATE INDEX dns_connections_of_organisation ON dns_connections (org_id, id);
CREATE INDEX dns_connections_of_domain ON dns_connections (domain_id);

CREATE TABLE change_sets (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES organisations (id),
    tenant_id TEXT,
    domain_id TEXT NOT NULL,
    purpose TEXT NOT NULL,
    undoes TEXT,
    host TEXT NOT NULL,
    zone TEXT NOT NULL,
    host_zone TEXT NOT NULL,
    connection_id TEXT,
    state TEXT NOT NULL,
    plan TEXT NOT NULL,
    done TEXT NOT NULL DEFAULT '[]',
    error TEXT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    applied_at BIGINT
);
CREATE INDEX change_sets_of_domain ON change_sets (domain_id, id);

CREATE TABLE dns_ledger (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES organisations (id),
    domain_id TEXT NOT NULL,
    host TEXT NOT NULL,
    zone TEXT NOT NULL,
    owner TEXT NOT NULL,
    digest TEXT NOT NULL,
    data TEXT NOT NULL,
    rules TEXT,
    host_record_id TEXT,
    state TEXT NOT NULL,
    change_set_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (domain_id, host, zone, owner, digest)
);
CREATE INDEX dns_ledger_of_name ON dns_ledger (zone, owner);

CREATE TABLE zone_leases (
    zone TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    until BIGINT NOT NULL,
    epoch BIGINT NOT NULL
);

ALTER TABLE domains ADD COLUMN dns_repair TEXT NOT NULL DEFAULT 'off';
