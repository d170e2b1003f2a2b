-- Who changed what. Lines are added in the transaction of the change and never altered.

CREATE TABLE audit_log (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES organisations (id),
    tenant_id TEXT,
    at BIGINT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id TEXT,
    address TEXT,
    request_id TEXT,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    data TEXT NOT NULL
);
CREATE INDEX audit_log_list ON audit_log (org_id, id);
CREATE INDEX audit_log_subject ON audit_log (org_id, subject, id);
CREATE INDEX audit_log_actor ON audit_log (org_id, actor_id, id);
