-- Records of ours that somebody changed or removed: since when, what is offered, and when we brought them back.

CREATE TABLE dns_drifts (
    domain_id TEXT PRIMARY KEY REFERENCES domains (id),
    org_id TEXT NOT NULL,
    noticed_at BIGINT,
    records TEXT NOT NULL DEFAULT '[]',
    change_set_id TEXT,
    repairs TEXT NOT NULL DEFAULT '[]',
    stopped BIGINT NOT NULL DEFAULT 0
);
