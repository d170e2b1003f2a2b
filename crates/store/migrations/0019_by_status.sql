-- The few domains of a status, among very many of another, are found and counted without looking at those.

CREATE INDEX domains_list_status ON domains (org_id, status, id) WHERE deleted_at IS NULL;
CREATE INDEX domains_named ON domains (name) WHERE deleted_at IS NULL;
