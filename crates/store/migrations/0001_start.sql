-- The first schema. Ids and names are TEXT, times are BIGINT milliseconds since 1970, booleans are BIGINT 0 or 1,
-- JSON is TEXT. Large columns come last in their row, so that reading the small ones touches no overflow page.

CREATE TABLE organisations (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE api_keys (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES organisations (id),
    name TEXT NOT NULL,
    secret_hash BLOB NOT NULL UNIQUE,
    display_prefix TEXT NOT NULL,
    scopes TEXT NOT NULL,
    allowed_domain_ids TEXT,
    tenant_id TEXT,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT,
    revoked_at BIGINT
);
CREATE INDEX api_keys_list ON api_keys (org_id, id);

CREATE TABLE domains (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES organisations (id),
    tenant_id TEXT,
    name TEXT NOT NULL,
    profile TEXT NOT NULL,
    status TEXT NOT NULL,
    spf_status TEXT NOT NULL,
    dkim_status TEXT NOT NULL,
    dmarc_status TEXT NOT NULL,
    return_path_status TEXT NOT NULL,
    health TEXT NOT NULL,
    approval_status TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    verified_at BIGINT,
    fails_at BIGINT,
    last_checked_at BIGINT,
    next_check_at BIGINT,
    poked_at BIGINT,
    poke_pending BIGINT NOT NULL DEFAULT 0,
    lease_owner TEXT,
    lease_until BIGINT,
    consecutive_failures BIGINT NOT NULL DEFAULT 0,
    version BIGINT NOT NULL DEFAULT 1,
    warmup_started_at BIGINT,
    warmup_days BIGINT,
    region TEXT,
    fallback_region TEXT,
    deleted_at BIGINT,
    variables TEXT NOT NULL,
    capabilities TEXT NOT NULL,
    report TEXT
);
CREATE UNIQUE INDEX domains_name ON domains (org_id, name) WHERE deleted_at IS NULL;
CREATE INDEX domains_list ON domains (org_id, id) WHERE deleted_at IS NULL;
CREATE INDEX domains_due ON domains (next_check_at) WHERE deleted_at IS NULL AND status <> 'disabled';
CREATE INDEX domains_leased ON domains (lease_until) WHERE lease_until IS NOT NULL;

CREATE TABLE observations (
    domain_id TEXT NOT NULL REFERENCES domains (id),
    version BIGINT NOT NULL,
    checked_at BIGINT NOT NULL,
    observation TEXT NOT NULL,
    report TEXT NOT NULL,
    PRIMARY KEY (domain_id, version)
);

CREATE TABLE dkim_keys (
    id TEXT PRIMARY KEY,
    domain_id TEXT NOT NULL REFERENCES domains (id),
    selector TEXT NOT NULL UNIQUE,
    public_key TEXT NOT NULL,
    private_key BLOB NOT NULL,
    state TEXT NOT NULL,
    position BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX dkim_keys_of_domain ON dkim_keys (domain_id, position);

CREATE TABLE dkim_key_pool (
    id TEXT PRIMARY KEY,
    public_key TEXT NOT NULL,
    private_key BLOB NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX dkim_key_pool_oldest ON dkim_key_pool (created_at, id);

CREATE TABLE generations (
    name TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO generations (name, value) VALUES ('dns', 1);

CREATE TABLE messages (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES organisations (id),
    domain_id TEXT NOT NULL REFERENCES domains (id),
    tenant_id TEXT,
    from_address TEXT NOT NULL,
    recipients TEXT NOT NULL,
    subject TEXT NOT NULL,
    size BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    raw BLOB NOT NULL
);
CREATE INDEX messages_list ON messages (org_id, id);

CREATE TABLE deliveries (
    message_id TEXT NOT NULL REFERENCES messages (id),
    recipient TEXT NOT NULL,
    return_path TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts BIGINT NOT NULL DEFAULT 0,
    next_attempt_at BIGINT,
    lease_owner TEXT,
    lease_until BIGINT,
    last_code BIGINT,
    last_reply TEXT,
    delivered_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (message_id, recipient)
);
CREATE INDEX deliveries_due ON deliveries (next_attempt_at) WHERE state IN ('queued', 'deferred');
CREATE INDEX deliveries_open ON deliveries (created_at) WHERE state IN ('queued', 'deferred');
CREATE INDEX deliveries_leased ON deliveries (lease_until) WHERE lease_until IS NOT NULL;

CREATE TABLE delivery_attempts (
    message_id TEXT NOT NULL,
    recipient TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    at BIGINT NOT NULL,
    code BIGINT,
    reply TEXT NOT NULL,
    remote TEXT,
    PRIMARY KEY (message_id, recipient, attempt),
    FOREIGN KEY (message_id, recipient) REFERENCES deliveries (message_id, recipient)
);

CREATE TABLE sandbox_messages (
    id TEXT PRIMARY KEY,
    received_at BIGINT NOT NULL,
    client_ip TEXT NOT NULL,
    helo TEXT NOT NULL,
    mail_from TEXT,
    recipients TEXT NOT NULL,
    tls BIGINT NOT NULL,
    size BIGINT NOT NULL,
    header_from TEXT NOT NULL,
    subject TEXT NOT NULL,
    authenticated_at BIGINT,
    attempts BIGINT NOT NULL DEFAULT 0,
    next_attempt_at BIGINT,
    authentication TEXT,
    raw BLOB NOT NULL
);
CREATE INDEX sandbox_messages_sizes ON sandbox_messages (id, size);
CREATE INDEX sandbox_messages_due ON sandbox_messages (next_attempt_at) WHERE authentication IS NULL;

CREATE TABLE playground_zones (
    id TEXT PRIMARY KEY,
    apex TEXT NOT NULL UNIQUE,
    serial BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE playground_records (
    id TEXT PRIMARY KEY,
    zone_id TEXT NOT NULL REFERENCES playground_zones (id) ON DELETE CASCADE,
    host TEXT NOT NULL,
    record_type TEXT NOT NULL,
    value TEXT NOT NULL,
    ttl BIGINT NOT NULL,
    priority BIGINT,
    proxied BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX playground_records_of_zone ON playground_records (zone_id, id);

CREATE TABLE events (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES organisations (id),
    event_type TEXT NOT NULL,
    subject TEXT NOT NULL,
    data TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX events_list ON events (org_id, id);
CREATE INDEX events_of_subject ON events (org_id, subject, id);
CREATE INDEX events_age ON events (created_at);

CREATE TABLE settings (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE write_probe (
    id BIGINT PRIMARY KEY,
    at BIGINT NOT NULL
);
INSERT INTO write_probe (id, at) VALUES (1, 0);
