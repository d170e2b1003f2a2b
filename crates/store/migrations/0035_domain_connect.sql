-- The key that signs links to DNS hosts (Domain Connect). One is in use, at slot 1: nodes that make one at once end up with the
-- same. Its public part is served in the platform zone.

CREATE TABLE domain_connect_keys (
    slot BIGINT PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    public_key TEXT NOT NULL,
    private_key BLOB NOT NULL,
    created_at BIGINT NOT NULL
);
