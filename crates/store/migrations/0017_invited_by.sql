-- Who invited: an invitation ends with the rights of whoever sent it.

ALTER TABLE login_tokens ADD COLUMN invited_by TEXT;
