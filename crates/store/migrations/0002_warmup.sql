-- How many messages each domain that is warming up was accepted to send on each day (UTC), days since 1970.

CREATE TABLE warmup_days (
    domain_id TEXT NOT NULL REFERENCES domains (id),
    day BIGINT NOT NULL,
    accepted BIGINT NOT NULL,
    PRIMARY KEY (domain_id, day)
);

-- Domains that were verified before there was a warm-up began theirs then.
UPDATE domains SET warmup_started_at = verified_at WHERE warmup_started_at IS NULL;
