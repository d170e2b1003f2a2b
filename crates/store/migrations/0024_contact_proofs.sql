-- A contact gets alerts once its address was confirmed, and addresses get few mails that ask for it.

ALTER TABLE contacts ADD COLUMN confirmed_at BIGINT;
ALTER TABLE contacts ADD COLUMN confirm_until BIGINT;
ALTER TABLE contacts ADD COLUMN confirm_hash BLOB;
-- Those that were there have had alerts.
UPDATE contacts SET confirmed_at = created_at;
CREATE INDEX contacts_to_confirm ON contacts (confirm_hash) WHERE confirm_hash IS NOT NULL;

CREATE TABLE contact_mails (
    address TEXT NOT NULL,
    org_id TEXT NOT NULL REFERENCES organisations (id),
    sent_at BIGINT NOT NULL
);
CREATE INDEX contact_mails_of_address ON contact_mails (address, sent_at);
CREATE INDEX contact_mails_of_organisation ON contact_mails (org_id, sent_at);
CREATE INDEX contact_mails_age ON contact_mails (sent_at);
