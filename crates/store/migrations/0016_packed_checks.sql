-- What was observed and the last report are kept compressed, and a check that found what the one before found takes its
-- place: `digest` says what was found, `since` when that was found first. Rows without a digest are of programs of
-- before; the next check of their domain takes them away.

ALTER TABLE observations ADD COLUMN digest BIGINT;
ALTER TABLE observations ADD COLUMN since BIGINT;
ALTER TABLE observations ADD COLUMN packed BLOB;
ALTER TABLE domains ADD COLUMN packed_report BLOB;
