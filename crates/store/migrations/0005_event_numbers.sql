-- Events get their number behind the transaction that stores them, one after another, so that numbers are in the order
-- in which events become visible and those who store events do not wait for each other. NULL: not numbered yet. With
-- the number comes whose the event is.

ALTER TABLE events ADD COLUMN seq BIGINT;
ALTER TABLE events ADD COLUMN tenant_id TEXT;
ALTER TABLE events ADD COLUMN domain_id TEXT;
CREATE INDEX events_feed ON events (org_id, seq);
CREATE INDEX events_feed_tenant ON events (org_id, tenant_id, seq);
CREATE INDEX events_unnumbered ON events (id) WHERE seq IS NULL;
INSERT INTO generations (name, value) VALUES ('events', 0);
