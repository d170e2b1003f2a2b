-- The nodes that work on this database, and the number of a delivery's claim: whoever lost a claim finishes nothing, even
-- where they have claimed the same again.

CREATE TABLE nodes (
    id TEXT PRIMARY KEY,
    version TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    draining BIGINT NOT NULL
);

ALTER TABLE deliveries ADD COLUMN lease_epoch BIGINT NOT NULL DEFAULT 0;
