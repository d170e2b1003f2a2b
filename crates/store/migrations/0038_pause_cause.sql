-- Whose mail a domain is paused for: its own, or that of all domains of its tenant. Where nothing is said, its own.

ALTER TABLE domains ADD COLUMN pause_cause TEXT;
