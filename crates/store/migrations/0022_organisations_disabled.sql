-- Since when an organisation is switched off.

ALTER TABLE organisations ADD COLUMN disabled_at BIGINT;
