-- What is left of somebody outside the logs. All of it in pieces of at most %(limit)s,
-- for a person may have left millions of rows.

-- name: closed
SELECT EXISTS (SELECT FROM es.subject_keys WHERE subject = %(subject)s AND wrapped = '')

-- name: going_on
-- Runs that a server holds; a lease that ran out is nobody's.
SELECT l.run FROM es.leases l JOIN es.ownership o ON o.resource = l.run
WHERE o.owner = %(subject)s AND l.expires_at > clock_timestamp()

-- name: flows
SELECT resource FROM es.ownership
WHERE owner = %(subject)s AND kind = 'flow' AND (%(after)s::uuid IS NULL OR resource > %(after)s)
ORDER BY resource LIMIT %(limit)s

-- name: close
-- Under the locks of both logs: whoever appends later sees the mark.
INSERT INTO es.subject_keys (subject, wrapped, key_id) VALUES (%(subject)s, '', '')
ON CONFLICT (subject) DO UPDATE SET wrapped = '', key_id = ''
WHERE subject_keys.wrapped <> ''

-- name: some_blobs
-- Those that came or went when a server was killed; contents name the others.
SELECT key, split_part(key, '/', 4) FROM es.claims
WHERE kind = 'blob' AND holder = %(subject)s LIMIT %(limit)s

-- name: blobs
DELETE FROM es.claims WHERE kind = 'blob' AND key = ANY(%(ids)s)

-- name: some_contents
SELECT id, address FROM es.contents WHERE subject = %(subject)s LIMIT %(limit)s

-- name: some_secrets
SELECT id FROM es.vault WHERE subject = %(subject)s LIMIT %(limit)s

-- name: some_resources
SELECT resource FROM es.ownership WHERE owner = %(subject)s AND resource <> %(subject)s LIMIT %(limit)s

-- name: contents
DELETE FROM es.contents WHERE id = ANY(%(ids)s)

-- name: secrets
DELETE FROM es.vault WHERE id = ANY(%(ids)s)

-- name: claims
-- All but what keeps the first user from being made again.
DELETE FROM es.claims WHERE kind <> 'installation' AND (
    holder = ANY(%(ids)s)
    OR kind = 'project-tree' AND key IN (SELECT one::text FROM unnest(%(ids)s::uuid[]) AS i(one)))

-- name: canvases
DELETE FROM es.canvas WHERE flow = ANY(%(ids)s)

-- name: leases
DELETE FROM es.leases WHERE run = ANY(%(ids)s)

-- name: api_key_uses
DELETE FROM es.api_key_uses WHERE key_id = ANY(%(ids)s)

-- name: snapshots
DELETE FROM es.snapshots WHERE originator_id = ANY(%(ids)s) OR subject = ANY(%(ids)s)

-- name: dead_letters
-- The letter stays, for its stream waits; what went wrong may quote them.
UPDATE es.dead_letters SET reason = 'erased' WHERE stream = ANY(%(ids)s) AND reason <> 'erased'

-- name: failures
UPDATE es.projections SET failure = jsonb_set(failure, '{reason}', '"erased"')
WHERE failure ->> 'stream' = ANY(%(ids)s::text[]) AND failure ->> 'reason' <> 'erased'

-- name: resources
DELETE FROM es.ownership WHERE resource = ANY(%(ids)s)

-- name: stray_letters
-- Letters of streams that nobody owns any more.
UPDATE es.dead_letters d SET reason = 'erased'
WHERE d.reason <> 'erased' AND (
    d.log = 'core' AND EXISTS (
        SELECT FROM es.core_events e WHERE e.notification_id = d.position AND e.subject = %(subject)s)
    OR d.log = 'runs' AND EXISTS (
        SELECT FROM es.runs_events e WHERE e.notification_id = d.position AND e.subject = %(subject)s))

-- name: answers
DELETE FROM es.commands WHERE actor = %(subject)s

-- name: links
DELETE FROM es.sign_in_links WHERE user_id = %(subject)s

-- name: sessions
DELETE FROM es.sessions WHERE user_id = %(subject)s
