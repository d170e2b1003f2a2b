-- DKIM keys that nothing signs with and nobody serves any more, and whose private parts are told to the world some time
-- later, where the operator wants that: what anybody could have signed proves nothing. The owner is the name that verifiers
-- asked for, which has to be rid of the key before that.

CREATE TABLE retired_keys (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    selector TEXT NOT NULL,
    public_key TEXT NOT NULL,
    private_key BLOB NOT NULL,
    retired_at BIGINT NOT NULL,
    look_at BIGINT,
    told_at BIGINT
);
CREATE INDEX retired_keys_told ON retired_keys (selector, told_at);
CREATE INDEX retired_keys_waiting ON retired_keys (look_at);
CREATE INDEX retired_keys_by_time ON retired_keys (retired_at);
