-- Whose data key sealed an event's state; null where it is plain.
ALTER TABLE es.core_events ADD COLUMN subject uuid;
ALTER TABLE es.runs_events ADD COLUMN subject uuid;

CREATE OR REPLACE VIEW es.core AS
    SELECT notification_id AS position, originator_id AS stream, originator_version AS version, topic AS tag,
           schema_version, CASE WHEN subject IS NULL THEN convert_from(state, 'UTF8') END AS state,
           convert_from(metadata, 'UTF8') AS metadata, recorded_at, subject
    FROM es.core_events;
CREATE OR REPLACE VIEW es.runs AS
    SELECT notification_id AS position, originator_id AS stream, originator_version AS version, topic AS tag,
           schema_version, CASE WHEN subject IS NULL THEN convert_from(state, 'UTF8') END AS state,
           convert_from(metadata, 'UTF8') AS metadata, recorded_at, subject
    FROM es.runs_events;

-- What this database does that an older server would not understand. A new database
-- begins with all of it; an upgraded one when its operator says that no older server
-- runs any more (langbuilder migrate --finish).
CREATE TABLE es.features (
    name  text        PRIMARY KEY,
    since timestamptz NOT NULL DEFAULT clock_timestamp()
);
INSERT INTO es.features (name)
SELECT 'sealed_states'
WHERE NOT EXISTS (SELECT FROM es.core_events) AND NOT EXISTS (SELECT FROM es.runs_events);

-- Keys of the installation that outlive a change of its secret (digests, bearer
-- hashes, signatures): each wrapped by the secret of the moment.
CREATE TABLE es.installation_keys (
    name    text  PRIMARY KEY,
    wrapped bytea NOT NULL,
    key_id  text  NOT NULL
);
