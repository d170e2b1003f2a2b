-- What is kept for a time goes by its age. `events_gone` is the last number of an event that went.

INSERT INTO generations (name, value) VALUES ('events_gone', 0);
CREATE INDEX webhook_deliveries_over ON webhook_deliveries (updated_at) WHERE state <> 'waiting';
CREATE INDEX audit_log_age ON audit_log (at);
