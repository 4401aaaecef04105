-- How the projections stand.

-- name: all
-- One row a checkpoint. The age is that of the oldest event that is not taken in, found
-- by the index of positions; still is how long the checkpoint has not moved.
SELECT p.name, p.version AS generation, p.log, p.position, p.state, p.failure,
       p.events_per_second, p.seconds_left,
       obj_description(n.oid, 'pg_namespace') AS shape,
       extract(epoch FROM clock_timestamp() - p.updated_at)::float8 AS still,
       extract(epoch FROM clock_timestamp() - CASE p.log
           WHEN 'core' THEN (SELECT e.recorded_at FROM es.core_events e
               WHERE e.notification_id > p.position ORDER BY e.notification_id LIMIT 1)
           ELSE (SELECT e.recorded_at FROM es.runs_events e
               WHERE e.notification_id > p.position ORDER BY e.notification_id LIMIT 1)
           END)::float8 AS age,
       (SELECT count(*) FROM es.dead_letters d
        WHERE d.projection = p.name AND d.version = p.version AND d.log = p.log) AS dead_letters,
       (SELECT count(*) FROM es.skipped_events s WHERE s.projection = p.name AND s.log = p.log) AS skipped
FROM es.projections p
LEFT JOIN pg_namespace n ON n.nspname = format('rm_%%s_v%%s', p.name, p.version)
WHERE %(only)s::text IS NULL OR p.name = %(only)s
ORDER BY p.name, p.version, p.log

-- name: holders
-- Which connections hold advisory locks, by what the locks stand for.
SELECT w.word, a.application_name, a.pid
FROM unnest(%(words)s::text[], %(keys)s::bigint[]) AS w(word, key)
JOIN pg_locks l ON l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND ((l.classid::bigint << 32) | l.objid::bigint) = w.key
JOIN pg_stat_activity a ON a.pid = l.pid
