-- What is remembered of a domain's breaks, the places of those that are left alone, and the brake on demotions.

ALTER TABLE domains ADD COLUMN suspected_since BIGINT;
ALTER TABLE domains ADD COLUMN last_failure_at BIGINT;
ALTER TABLE domains ADD COLUMN reminders BIGINT NOT NULL DEFAULT 0;
ALTER TABLE domains ADD COLUMN breaks BIGINT NOT NULL DEFAULT 0;
ALTER TABLE domains ADD COLUMN last_break_at BIGINT;
-- The period of a domain that is left alone; NULL: it is in a hurry.
ALTER TABLE domains ADD COLUMN watch_seconds BIGINT;
-- 1: it was late for a reason of ours and went to its next place, which happens once.
ALTER TABLE domains ADD COLUMN deferred BIGINT NOT NULL DEFAULT 0;
CREATE INDEX domains_due_soon ON domains (next_check_at)
    WHERE deleted_at IS NULL AND status <> 'disabled' AND watch_seconds IS NULL;
CREATE INDEX domains_due_calm ON domains (next_check_at)
    WHERE deleted_at IS NULL AND status <> 'disabled' AND watch_seconds IS NOT NULL AND deferred = 0;

-- How many verified domains each node looked at in each minute, and of how many all was right before and is not now.
CREATE TABLE check_outcomes (
    minute BIGINT NOT NULL,
    node TEXT NOT NULL,
    looked BIGINT NOT NULL,
    turned BIGINT NOT NULL,
    PRIMARY KEY (minute, node)
);

CREATE TABLE demotion_brake (
    id BIGINT PRIMARY KEY,
    held_since BIGINT,
    reason TEXT
);
INSERT INTO demotion_brake (id) VALUES (1);
