-- The span that a message or an event came from, as a traceparent: what is done about it later belongs to the same trace.

ALTER TABLE messages ADD COLUMN trace_parent TEXT;
ALTER TABLE events ADD COLUMN trace_parent TEXT;
