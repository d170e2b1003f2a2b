-- What changed of the keys that DNS serves is read by generation.

CREATE INDEX dkim_keys_feed ON dkim_keys (dns_generation, id);
