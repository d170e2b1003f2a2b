-- How many requests with an Idempotency-Key each organisation began in each hour: the bound is each one's own.

CREATE TABLE idempotency_counts (
    org_id TEXT NOT NULL,
    hour BIGINT NOT NULL,
    requests BIGINT NOT NULL,
    PRIMARY KEY (org_id, hour)
);
