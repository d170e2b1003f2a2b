-- How many requests with an Idempotency-Key each organisation began in each hour, over several rows: those who begin one at
-- the same time do not wait for each other. It takes the place of idempotency_counts, which older programs go on with.

CREATE TABLE idempotency_shards (
    org_id TEXT NOT NULL,
    hour BIGINT NOT NULL,
    shard BIGINT NOT NULL,
    requests BIGINT NOT NULL,
    PRIMARY KEY (org_id, hour, shard)
);
