-- One holder of a name over all organisations, and claims of a held name by a fresh proof in DNS. The name servers that
-- a domain's zone was last delegated to, until when an earlier DKIM key stays published, and when a node last saw a
-- reason to hold demotions.

ALTER TABLE domains ADD COLUMN holder BIGINT NOT NULL DEFAULT 0;
-- 1: its records were right, and another organisation holds the name.
ALTER TABLE domains ADD COLUMN held_elsewhere BIGINT NOT NULL DEFAULT 0;
-- When another organisation took the name by a claim.
ALTER TABLE domains ADD COLUMN claimed_at BIGINT;
-- Of several that were verified, the one that was so first.
UPDATE domains SET holder = 1
    WHERE deleted_at IS NULL AND verified_at IS NOT NULL AND status <> 'pending' AND NOT EXISTS (
        SELECT 1 FROM domains AS earlier
        WHERE earlier.name = domains.name AND earlier.deleted_at IS NULL AND earlier.verified_at IS NOT NULL
            AND earlier.status <> 'pending' AND earlier.id <> domains.id
            AND (earlier.verified_at < domains.verified_at
                OR (earlier.verified_at = domains.verified_at AND earlier.id < domains.id)));
CREATE UNIQUE INDEX domains_holder ON domains (name) WHERE holder = 1 AND deleted_at IS NULL;

CREATE TABLE domain_claims (
    domain_id TEXT PRIMARY KEY REFERENCES domains (id),
    name TEXT NOT NULL,
    holder_id TEXT NOT NULL,
    token TEXT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    first_seen_at BIGINT,
    looked_at BIGINT,
    found TEXT,
    next_look_at BIGINT,
    ended_at BIGINT,
    outcome TEXT
);
CREATE INDEX domain_claims_due ON domain_claims (next_look_at) WHERE outcome IS NULL;
CREATE INDEX domain_claims_open ON domain_claims (name) WHERE outcome IS NULL;

-- The zone and the name servers that its parent delegates it to, as last confirmed; and others, seen once so far.
ALTER TABLE domains ADD COLUMN delegation TEXT;
ALTER TABLE domains ADD COLUMN delegation_seen TEXT;
ALTER TABLE domains ADD COLUMN delegation_seen_at BIGINT;

ALTER TABLE demotion_brake ADD COLUMN renewed_at BIGINT;

ALTER TABLE dkim_keys ADD COLUMN placed_at BIGINT;
ALTER TABLE dkim_keys ADD COLUMN retire_at BIGINT;
CREATE INDEX dkim_keys_draining ON dkim_keys (retire_at) WHERE state = 'draining';
