-- The selector, at the domain, of a key that stands beside those of its profile, as a TXT record of the domain's own. Nothing for
-- the keys of the profile.
ALTER TABLE dkim_keys ADD COLUMN beside TEXT;

-- When the keys of a domain are to be rotated next.
ALTER TABLE domains ADD COLUMN rotate_at BIGINT;
CREATE INDEX domains_rotate ON domains (rotate_at) WHERE rotate_at IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX domains_unscheduled ON domains (id)
    WHERE rotate_at IS NULL AND deleted_at IS NULL AND status = 'verified' AND claimed_at IS NULL;
