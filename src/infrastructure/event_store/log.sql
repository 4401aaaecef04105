-- The statements of one log: $log is core or runs. Commands are numbered within their
-- batch; $admitted passes over the refused ones.

-- name: examine
-- Which commands of a batch cannot be admitted, and why. Leaves their numbers in
-- es.refused, which lasts as long as the transaction: the statements that follow are
-- sent along with this one and pass those commands over.
WITH repeated AS (
    SELECT i.cmd, c.answer, c.position,
           CASE c.request_hash WHEN i.hash THEN 'repeated' ELSE 'reused' END AS verdict
    FROM unnest(%(keyed)b::int[], %(ids)b::uuid[], %(actors)b::uuid[], %(hashes)b::bytea[])
         AS i(cmd, id, actor, hash)
    JOIN es.commands c ON c.command_id = i.id AND c.actor = i.actor
    WHERE c.log = '$log' OR c.request_hash <> i.hash
), erased AS (
    SELECT i.cmd
    FROM unnest(%(sealing)b::int[], %(subjects)b::uuid[]) AS i(cmd, subject)
    JOIN es.subject_keys k ON k.subject = i.subject
    WHERE k.wrapped = ''
), moved AS (
    SELECT i.cmd
    FROM unnest(%(expecting)b::int[], %(streams)b::uuid[], %(expected)b::bigint[])
         AS i(cmd, stream, expected)
    WHERE i.expected <> coalesce((
        SELECT e.originator_version FROM es.$log_events e WHERE e.originator_id = i.stream
        ORDER BY e.originator_version DESC LIMIT 1), 0)
), released AS (
    SELECT * FROM unnest(%(releasing)b::int[], %(free_kinds)b::text[], %(free_keys)b::text[], %(free_holders)b::uuid[])
         AS i(cmd, kind, key, holder)
), taken AS (
    SELECT i.cmd, i.nth
    FROM unnest(%(claiming)b::int[], %(kinds)b::text[], %(keys)b::text[], %(holders)b::uuid[])
         WITH ORDINALITY AS i(cmd, kind, key, holder, nth)
    JOIN es.claims c ON c.kind = i.kind AND c.key = i.key AND c.holder <> i.holder
    WHERE NOT EXISTS (
        SELECT FROM released r
        WHERE r.cmd = i.cmd AND r.kind = i.kind AND r.key = i.key AND r.holder = c.holder)
), verdicts AS (
    SELECT cmd, verdict, NULL::bigint AS nth, answer, position FROM repeated
    UNION ALL SELECT cmd, 'erased', NULL, NULL, NULL FROM erased
    UNION ALL SELECT cmd, 'moved', NULL, NULL, NULL FROM moved
    UNION ALL SELECT cmd, 'taken', nth, NULL, NULL FROM taken
), refused AS (
    SELECT set_config('es.refused', coalesce(array_agg(DISTINCT cmd), '{}')::text, true) FROM verdicts
)
SELECT v.cmd, v.verdict, v.nth, v.answer, v.position
FROM refused LEFT JOIN verdicts v ON true

-- name: append
-- Appends in the order given, drawing positions under the log's lock. Where no
-- version is expected, events follow what the stream holds by now.
INSERT INTO es.$log_events (originator_id, originator_version, topic, schema_version, state, metadata, subject)
SELECT i.stream,
       i.nth + coalesce(i.expected, (
           SELECT e.originator_version FROM es.$log_events e WHERE e.originator_id = i.stream
           ORDER BY e.originator_version DESC LIMIT 1), 0),
       i.topic, i.schema_version, i.state, i.metadata, i.subject
FROM unnest(%b::int[], %b::uuid[], %b::bigint[], %b::bigint[], %b::text[], %b::smallint[], %b::bytea[], %b::bytea[], %b::uuid[])
     WITH ORDINALITY AS i(cmd, stream, expected, nth, topic, schema_version, state, metadata, subject, place)
WHERE $admitted
ORDER BY i.place
RETURNING originator_id, notification_id

-- name: remember
-- Keeps what idempotent commands are answered.
INSERT INTO es.commands (command_id, actor, log, request_hash, answer, position)
SELECT i.id, i.actor, '$log', i.hash, i.answer, coalesce((
    SELECT e.notification_id FROM es.$log_events e WHERE e.originator_id = i.last_stream
    ORDER BY e.originator_version DESC LIMIT 1), 0)
FROM unnest(%b::int[], %b::uuid[], %b::uuid[], %b::bytea[], %b::bytea[], %b::uuid[])
     AS i(cmd, id, actor, hash, answer, last_stream)
WHERE $admitted

-- name: recognise
-- Which commands are in the log already, told by their last event.
SELECT i.cmd, max(e.notification_id)
FROM unnest(%b::int[], %b::uuid[], %b::bigint[], %b::bytea[], %b::bytea[])
     AS i(cmd, stream, expected, state, metadata)
JOIN es.$log_events e ON e.originator_id = i.stream
    AND e.originator_version > i.expected AND e.state = i.state AND e.metadata = i.metadata
GROUP BY i.cmd

-- name: read_stream
SELECT originator_id, originator_version, notification_id, recorded_at, topic, schema_version, state, metadata, subject
FROM es.$log_events WHERE originator_id = %(stream)s AND originator_version > %(after)s
ORDER BY originator_version LIMIT %(limit)s

-- name: read_log
SELECT originator_id, originator_version, notification_id, recorded_at, topic, schema_version, state, metadata, subject
FROM es.$log_events WHERE notification_id > %(after)s
ORDER BY notification_id LIMIT %(limit)s

-- name: read_places
SELECT originator_id, originator_version, notification_id, recorded_at, topic, schema_version, state, metadata, subject
FROM es.$log_events WHERE notification_id = ANY(%(places)s)
ORDER BY array_position(%(places)s, notification_id)

-- name: replay
-- The subject as bytes, for a thousand ids as objects cost more than to open the states.
SELECT topic, schema_version, state, uuid_send(subject), originator_version
FROM es.$log_events
WHERE originator_id = %(stream)s AND originator_version > %(after)s AND originator_version <= %(upto)s
ORDER BY originator_version LIMIT %(limit)s

-- name: version_at
-- The version before the first event recorded after a moment. Not "the last recorded
-- until then": where the clock was set back, that would leave a hole.
SELECT min(originator_version) - 1
FROM es.$log_events WHERE originator_id = %(stream)s AND recorded_at > %(at)s
