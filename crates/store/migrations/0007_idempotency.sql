-- Requests with an Idempotency-Key: what was asked, the id that what is made gets, and the answer (sealed).

CREATE TABLE idempotency (
    principal TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    request_hash BLOB NOT NULL,
    reserved_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    lease_until BIGINT,
    claims BIGINT NOT NULL,
    status BIGINT,
    answer BLOB,
    PRIMARY KEY (principal, idempotency_key)
);
CREATE INDEX idempotency_age ON idempotency (created_at);
