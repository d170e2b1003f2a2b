-- What became of each domain's mail, by the day on which it was known, and where a domain's sending is paused for it. Over
-- several rows a day: deliveries that end at the same time do not wait for each other. A domain that is resumed begins a new
-- epoch, by which alone it is judged. Older programs count nothing and go on sending from what is paused.

CREATE TABLE sending_days (
    domain_id TEXT NOT NULL,
    day BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    shard BIGINT NOT NULL,
    org_id TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    delivered BIGINT NOT NULL,
    bounced BIGINT NOT NULL,
    refused BIGINT NOT NULL,
    complained BIGINT NOT NULL,
    PRIMARY KEY (domain_id, day, epoch, tenant_id, shard)
);
CREATE INDEX sending_days_of_tenant ON sending_days (org_id, tenant_id, day);
CREATE INDEX sending_days_age ON sending_days (day);

ALTER TABLE domains ADD COLUMN sending_epoch BIGINT NOT NULL DEFAULT 0;
ALTER TABLE domains ADD COLUMN paused_at BIGINT;
ALTER TABLE domains ADD COLUMN pause_reason TEXT;
CREATE INDEX domains_paused ON domains (org_id, tenant_id) WHERE paused_at IS NOT NULL;

ALTER TABLE deliveries ADD COLUMN complained_at BIGINT;
