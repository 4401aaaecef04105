-- Parked events of the generations that are served: listed, moved on, let go.

-- name: page
-- At most 1,000 of the events that wait behind each are counted.
SELECT d.projection, d.version AS generation, d.log, d.position, d.stream, d.stream_version AS version,
       d.tag, d.reason, d.unreadable, d.tries, d.parked_at,
       CASE d.log
       WHEN 'core' THEN (SELECT count(*) FROM (
           SELECT FROM es.core_events e WHERE e.originator_id = d.stream AND e.notification_id > d.position LIMIT 1000) b)
       ELSE (SELECT count(*) FROM (
           SELECT FROM es.runs_events e WHERE e.originator_id = d.stream AND e.notification_id > d.position LIMIT 1000) b)
       END AS waiting
FROM es.dead_letters d
JOIN es.projections p ON p.name = d.projection AND p.version = d.version AND p.log = d.log AND p.active
WHERE (%(only)s::text IS NULL OR d.projection = %(only)s)
  AND (d.projection, d.log, d.position) > (%(projection)s, %(log)s, %(position)s)
ORDER BY d.projection, d.log, d.position LIMIT %(limit)s

-- name: move
-- The stream is held at its next event from now on.
UPDATE es.dead_letters
SET position = %(next)s, stream_version = %(version)s, tag = %(tag)s, reason = %(reason)s, tries = 0, unreadable = false
WHERE projection = %(projection)s AND version = %(generation)s AND log = %(log)s AND position = %(position)s

-- name: remove
DELETE FROM es.dead_letters
WHERE projection = %(projection)s AND version = %(generation)s AND log = %(log)s AND position = %(position)s

-- name: failed
UPDATE es.dead_letters SET tries = tries + 1, reason = %(reason)s, unreadable = %(unreadable)s
WHERE projection = %(projection)s AND version = %(generation)s AND log = %(log)s AND position = %(position)s

-- name: skip
INSERT INTO es.skipped_events (projection, log, position, stream, tag, reason)
VALUES (%(projection)s, %(log)s, %(position)s, %(stream)s, %(tag)s, %(reason)s)
ON CONFLICT DO NOTHING

-- name: raise_epoch
UPDATE es.projections SET epoch = epoch + 1 WHERE name = %(projection)s AND version = %(generation)s

-- name: patience
SELECT set_config('lock_timeout', '30s', true), set_config('statement_timeout', '120s', true)
