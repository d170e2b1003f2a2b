-- Keys of whoever runs the platform: of no organisation that anybody sees, and good in each.

ALTER TABLE api_keys ADD COLUMN is_root BIGINT NOT NULL DEFAULT 0;
CREATE INDEX api_keys_root ON api_keys (id) WHERE is_root = 1;
