-- Links by which somebody without an account sees what to publish for a domain.

CREATE TABLE setup_links (
    id TEXT PRIMARY KEY,
    token_hash BLOB NOT NULL UNIQUE,
    org_id TEXT NOT NULL REFERENCES organisations (id),
    tenant_id TEXT,
    domain_id TEXT NOT NULL REFERENCES domains (id),
    note TEXT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    opened_at BIGINT
);
CREATE INDEX setup_links_of_domain ON setup_links (domain_id, id);
CREATE INDEX setup_links_age ON setup_links (expires_at);
