-- Whether whoever opens a setup link may have the records written, with a credential of their own.

ALTER TABLE setup_links ADD COLUMN may_publish BIGINT NOT NULL DEFAULT 0;
