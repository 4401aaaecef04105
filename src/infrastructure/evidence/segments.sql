-- The statements that seal stretches of a log and look at them again: $log is core or
-- runs. Their connection has search_path = pg_catalog, so that no function of another
-- schema can stand in for these.

-- name: entry
-- What a segment holds of an event: position, stream, version, and a digest of all that
-- was stored under them. The same bytes are made in Python of archived events.
int8send(notification_id) || uuid_send(originator_id) || int8send(originator_version)
|| substring(sha256(
    uuid_send(originator_id) || int8send(originator_version) || int2send(schema_version)
    || timestamptz_send(recorded_at)
    || coalesce(uuid_send(subject), '\x') || '\x7c' || coalesce(uuid_send(tenant), '\x') || '\x7c'
    || int4send(octet_length(topic)) || convert_to(topic, 'UTF8')
    || int4send(octet_length(state)) || state
    || int4send(octet_length(metadata)) || metadata
) FROM 1 FOR 16)

-- name: session
SELECT set_config('search_path', 'pg_catalog', false),
       set_config('statement_timeout', %(statement_timeout)s, false)

-- name: lead
SELECT pg_try_advisory_lock(%(key)s)

-- name: look
SELECT pg_advisory_lock_shared(%(key)s)

-- name: head
SELECT coalesce(max(notification_id), 0) FROM es.$log_events

-- name: last
SELECT number, last_position, chain FROM es.segments
WHERE log = '$log' ORDER BY number DESC LIMIT 1

-- name: next
-- The entries of the next events, as one row without them all.
SELECT count(*), min(notification_id), max(notification_id), string_agg(entry, '\x' ORDER BY place)
FROM (
    SELECT notification_id, $entry AS entry, row_number() OVER () AS place
    FROM (
        SELECT * FROM es.$log_events
        WHERE notification_id > %(after)s AND notification_id <= %(upto)s
        ORDER BY notification_id LIMIT %(limit)s
    ) AS events
) AS entries

-- name: seal
INSERT INTO es.segments
    (log, number, first_position, last_position, count, events, chain, signature, sealed_at)
VALUES ('$log', %s, %s, %s, %s, %s, %s, %s, %s)

-- name: page
-- Some segments, and what the log holds today where theirs was; both entries only where
-- they differ. No more is read than was sealed and a few, however much was added. Where
-- a segment is missing, what it sealed is nobody's.
SELECT s.number, s.first_position, s.last_position, s.count, s.events, s.chain, s.signature,
       timestamptz_send(s.sealed_at),
       CASE WHEN now.entries = s.events THEN NULL ELSE coalesce(now.entries, '\x') END
FROM (
    SELECT *, CASE WHEN lag(number, 1, %(after)s::bigint) OVER numbered = number - 1
                   THEN lag(last_position, 1, %(since)s::bigint) OVER numbered
                   ELSE first_position - 1 END AS since
    FROM es.segments WHERE log = '$log' AND number > %(after)s
    WINDOW numbered AS (ORDER BY number)
    ORDER BY number LIMIT %(limit)s
) AS s
LEFT JOIN LATERAL (
    SELECT string_agg(entry, '\x' ORDER BY place) AS entries
    FROM (
        SELECT $entry AS entry, row_number() OVER () AS place
        FROM (
            SELECT * FROM es.$log_events
            WHERE notification_id > s.since AND notification_id <= s.last_position
            ORDER BY notification_id, originator_id, originator_version LIMIT s.count + 100
        ) AS events
    ) AS entries
) AS now ON true
ORDER BY s.number

-- name: strays
-- Positions are drawn from 1 on.
SELECT notification_id, originator_id, originator_version FROM es.$log_events
WHERE notification_id < 1 ORDER BY notification_id LIMIT %(limit)s

-- name: sealed
SELECT coalesce(sum(count), 0)::bigint FROM es.segments WHERE log = '$log'

-- name: whereabouts
-- Where an event is now, told by its stream and version.
SELECT notification_id FROM es.$log_events
WHERE originator_id = %(stream)s AND originator_version = %(version)s

-- name: tail
SELECT count(*) FROM es.$log_events
WHERE notification_id > %(after)s

-- name: waiting
-- Since when the oldest event waits for its seal.
SELECT recorded_at FROM es.$log_events
WHERE notification_id > coalesce((SELECT max(last_position) FROM es.segments WHERE log = '$log'), 0)
ORDER BY notification_id LIMIT 1

-- name: newest
-- What a head is made of.
SELECT number, last_position, chain, signature, sealed_at FROM es.segments
WHERE log = '$log' ORDER BY number DESC LIMIT 1

-- name: numbered
SELECT chain FROM es.segments
WHERE log = '$log' AND number = %(number)s
