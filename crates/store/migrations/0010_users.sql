-- People who log in, what they are in which organisation, their sessions, and links that let somebody in once.

CREATE TABLE users (
    id TEXT PRIMARY KEY,
    email TEXT NOT NULL,
    name TEXT NOT NULL,
    password_hash TEXT,
    totp_last_step BIGINT,
    created_at BIGINT NOT NULL,
    totp_secret BLOB
);
CREATE UNIQUE INDEX users_email ON users (email);

CREATE TABLE memberships (
    org_id TEXT NOT NULL REFERENCES organisations (id),
    user_id TEXT NOT NULL REFERENCES users (id),
    role TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (org_id, user_id)
);
CREATE INDEX memberships_of_user ON memberships (user_id, created_at);

CREATE TABLE sessions (
    secret_hash BLOB PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id),
    org_id TEXT NOT NULL REFERENCES organisations (id),
    waits_for_code BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX sessions_of_user ON sessions (user_id);
CREATE INDEX sessions_end ON sessions (expires_at);

CREATE TABLE login_tokens (
    token_hash BLOB PRIMARY KEY,
    kind TEXT NOT NULL,
    email TEXT,
    org_id TEXT,
    role TEXT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX login_tokens_end ON login_tokens (expires_at);
CREATE INDEX login_tokens_of_address ON login_tokens (email, kind);
CREATE INDEX login_tokens_of_organisation ON login_tokens (org_id, created_at);

CREATE TABLE recovery_codes (
    user_id TEXT NOT NULL REFERENCES users (id),
    code_hash BLOB NOT NULL,
    PRIMARY KEY (user_id, code_hash)
);
