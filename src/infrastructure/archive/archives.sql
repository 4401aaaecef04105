-- The statements of archives. $source is the table that events leave: the partition of a
-- month, or that of the threads. Sealed states are moved as they are.

-- name: candidates
-- Months whose span ended before a moment, the oldest first.
SELECT c.relname, pg_total_relation_size(c.oid)
FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
WHERE i.inhparent = 'es.runs_events'::regclass AND c.relname ~ '^runs_events_[0-9]{4}_[0-9]{2}$'
  AND c.relname < %(before)s
ORDER BY c.relname

-- name: strays
-- Runs that had no month to lie in when they were requested.
SELECT count(*), pg_total_relation_size('es.runs_events_default'), min(recorded_at)
FROM es.runs_events_default WHERE recorded_at < %(before)s

-- name: owner
SELECT pg_has_role(current_user, relowner, 'USAGE') FROM pg_class WHERE oid = 'es.runs_events'::regclass

-- name: extent
SELECT count(*), coalesce(min(notification_id), 0), coalesce(max(notification_id), 0), max(recorded_at)
FROM es.$source

-- name: unfinished
SELECT originator_id FROM es.$source
GROUP BY originator_id HAVING NOT bool_or(topic = ANY(%(ends)s)) LIMIT 1

-- name: behind
-- Projections that have not read as far, or are being built, which read from the start.
SELECT name FROM es.projections
WHERE log = 'runs' AND position < %(last)s AND (active OR state = 'building')
ORDER BY name LIMIT 1

-- name: sealed
SELECT coalesce(max(last_position), 0) FROM es.segments WHERE log = 'runs'

-- name: events
SELECT notification_id, originator_id, originator_version, topic, schema_version, state, metadata,
       subject, tenant, timestamptz_send(recorded_at)
FROM es.$source WHERE notification_id > %(after)s
ORDER BY notification_id LIMIT %(limit)s

-- name: streams
SELECT originator_id, count(*), min(notification_id), max(notification_id), min(recorded_at), max(recorded_at),
       (array_agg(topic ORDER BY originator_version DESC) FILTER (WHERE topic = ANY(%(ends)s)))[1]
FROM es.$source WHERE originator_id > %(after)s
GROUP BY originator_id ORDER BY originator_id LIMIT %(limit)s

-- name: aged
-- What compaction moves out of threads: old sayings. Each stream keeps its newest event,
-- which tells its version.
SELECT e.notification_id, e.originator_id, e.originator_version, e.topic, e.schema_version, e.state, e.metadata,
       e.subject, e.tenant, timestamptz_send(e.recorded_at)
FROM es.runs_events_threads AS e
WHERE e.notification_id > %(after)s AND e.notification_id <= %(upto)s
  AND e.topic = ANY(%(topics)s) AND e.recorded_at < %(before)s
  AND EXISTS (SELECT FROM es.runs_events_threads AS later
              WHERE later.originator_id = e.originator_id AND later.originator_version > e.originator_version)
ORDER BY e.notification_id LIMIT %(limit)s

-- name: alone
SELECT pg_try_advisory_xact_lock(%(key)s)

-- name: later
-- Whether something was appended since it was read.
SELECT EXISTS (SELECT FROM es.$source WHERE notification_id > %(last)s)

-- name: drop
DROP TABLE es.$source

-- name: remove
DELETE FROM es.runs_events_threads AS e
USING unnest(%(positions)s::bigint[], %(streams)s::uuid[], %(versions)s::bigint[]) AS i(position, stream, version)
WHERE e.originator_id = i.stream AND e.originator_version = i.version AND e.notification_id = i.position

-- name: shelve
INSERT INTO es.archives
    (id, partition, since, until, runs, events, first_position, last_position, address, digest, bytes)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)

-- name: every
SELECT id, partition, since, until, runs, events, first_position, last_position, address, digest, bytes, archived_at
FROM es.archives ORDER BY first_position, id

-- name: unrecorded
-- Archives whose making was interrupted before it was put on record.
SELECT id, partition, since, until, runs, events, first_position, last_position, address, digest, bytes, archived_at
FROM es.archives AS a
WHERE NOT EXISTS (SELECT FROM es.core_events AS e WHERE e.originator_id = a.id)
ORDER BY first_position

-- name: records
SELECT originator_id, notification_id, state FROM es.core_events WHERE topic = %(tag)s

-- name: disown
-- Nobody asks any more whose run it was: it is not in the log.
DELETE FROM es.ownership WHERE resource = ANY(%(runs)s) AND kind = 'run'

-- name: forget
-- Contents that only archived events name; a message that can be read keeps its own.
DELETE FROM es.contents WHERE id = ANY(%(ids)s) RETURNING address

-- name: aged_extent
SELECT count(*), coalesce(sum(octet_length(e.state)), 0)::bigint
FROM es.runs_events_threads AS e
WHERE e.topic = ANY(%(topics)s) AND e.recorded_at < %(before)s
  AND EXISTS (SELECT FROM es.runs_events_threads AS later
              WHERE later.originator_id = e.originator_id AND later.originator_version > e.originator_version)

-- name: months
SELECT es.create_run_partitions(%(ahead)s)
