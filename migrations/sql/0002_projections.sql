-- What an operator needs to know of a parked event without reading the log.
ALTER TABLE es.dead_letters ADD COLUMN tag text NOT NULL DEFAULT '';
ALTER TABLE es.dead_letters ADD COLUMN stream_version bigint NOT NULL DEFAULT 0;
ALTER TABLE es.dead_letters ADD COLUMN tries integer NOT NULL DEFAULT 0;

-- What went wrong when a generation was built, if it was not finished.
ALTER TABLE es.projections ADD COLUMN failure text;
-- When the checkpoint was last seen to move, which lag alone does not tell.
ALTER TABLE es.projections ADD COLUMN moved_at timestamptz NOT NULL DEFAULT clock_timestamp();
