-- Which DNS generation a key was last numbered with: what it is on is numbered behind the transaction that changes
-- it, so that those who add domains do not wait for each other. NULL: added or retired since.

ALTER TABLE dkim_keys ADD COLUMN dns_generation BIGINT;
UPDATE dkim_keys SET dns_generation = 1;
CREATE INDEX dkim_keys_unnumbered ON dkim_keys (id) WHERE dns_generation IS NULL;
