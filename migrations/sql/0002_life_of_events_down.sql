DO $$
BEGIN
    IF EXISTS (SELECT FROM es.core_events WHERE subject IS NOT NULL)
    OR EXISTS (SELECT FROM es.runs_events WHERE subject IS NOT NULL)
    OR EXISTS (SELECT FROM es.archives) THEN
        RAISE EXCEPTION 'there are sealed or archived events, which the schema before cannot hold';
    END IF;
END $$;
ALTER TABLE es.projections DROP COLUMN failure, DROP COLUMN moved_at;
ALTER TABLE es.dead_letters DROP COLUMN tag, DROP COLUMN stream_version, DROP COLUMN tries;
DROP TABLE es.snapshots, es.archives, es.segments, es.installation_keys, es.features;
ALTER TABLE es.core_events DROP COLUMN subject;
ALTER TABLE es.runs_events DROP COLUMN subject;
