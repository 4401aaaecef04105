-- Snapshots of long streams of one log: $log is core or runs.

-- name: resume
-- The newest snapshot of a stream up to a version, if there is one of this shape, and the
-- events after it, in one round trip. A snapshot's row has no tag; subjects are bytes, as in replay.
WITH snapshot AS (
    SELECT state, subject, originator_version FROM es.snapshots
    WHERE originator_id = %(stream)s AND originator_version <= %(upto)s
        AND topic = %(topic)s AND schema_version = %(schema)s AND subject IS NOT NULL
    ORDER BY originator_version DESC LIMIT 1
)
SELECT NULL AS topic, %(schema)s::smallint AS schema_version, state, uuid_send(subject) AS subject, originator_version
FROM snapshot
UNION ALL (
    SELECT topic, schema_version, state, uuid_send(subject), originator_version FROM es.$log_events
    WHERE originator_id = %(stream)s AND originator_version <= %(upto)s
        AND originator_version > coalesce((SELECT originator_version FROM snapshot), 0)
    ORDER BY originator_version LIMIT %(limit)s
)
ORDER BY originator_version

-- name: resume_each
-- The same of several streams, up to their heads, one stream after the other.
SELECT wanted.stream, found.* FROM unnest(%(streams)s::uuid[]) AS wanted(stream)
CROSS JOIN LATERAL (
    WITH snapshot AS (
        SELECT state, subject, originator_version FROM es.snapshots
        WHERE originator_id = wanted.stream
            AND topic = %(topic)s AND schema_version = %(schema)s AND subject IS NOT NULL
        ORDER BY originator_version DESC LIMIT 1
    )
    SELECT NULL AS topic, %(schema)s::smallint AS schema_version, state, uuid_send(subject) AS subject,
        originator_version
    FROM snapshot
    UNION ALL (
        SELECT topic, schema_version, state, uuid_send(subject), originator_version FROM es.$log_events
        WHERE originator_id = wanted.stream
            AND originator_version > coalesce((SELECT originator_version FROM snapshot), 0)
        ORDER BY originator_version LIMIT %(limit)s
    )
) AS found
ORDER BY wanted.stream, found.originator_version

-- name: keep
-- Keeps one in place of all before it; none of somebody whose key has been destroyed, which
-- a process that still remembers the key may not know.
WITH older AS (
    DELETE FROM es.snapshots WHERE originator_id = %(stream)s AND originator_version < %(version)s
)
INSERT INTO es.snapshots (originator_id, originator_version, topic, schema_version, state, subject)
SELECT %(stream)s, %(version)s, %(topic)s, %(schema)s, %(state)s, subject FROM es.subject_keys
WHERE subject = %(subject)s AND wrapped <> ''
ON CONFLICT (originator_id, originator_version) DO UPDATE
SET topic = excluded.topic, schema_version = excluded.schema_version, state = excluded.state,
    subject = excluded.subject, taken_at = clock_timestamp()
RETURNING originator_version

-- name: forget_old_shapes
DELETE FROM es.snapshots WHERE topic = %(topic)s AND schema_version < %(schema)s
RETURNING originator_id
