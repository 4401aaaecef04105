-- What a save writes beside its events; $admitted passes over refused commands.
-- What goes, goes first: one save may pass a name on from one thing to another.

-- name: release
DELETE FROM es.claims c
USING unnest(%b::int[], %b::text[], %b::text[], %b::uuid[]) AS i(cmd, kind, key, holder)
WHERE c.kind = i.kind AND c.key = i.key AND c.holder = i.holder AND $admitted

-- name: claim
-- No ON CONFLICT: a name taken meanwhile through the other log must be an error, for
-- then the batch is tried again and its examination sees the holder.
INSERT INTO es.claims (kind, key, holder)
SELECT i.kind, i.key, i.holder
FROM unnest(%b::int[], %b::text[], %b::text[], %b::uuid[]) AS i(cmd, kind, key, holder)
WHERE $admitted AND NOT EXISTS (
    SELECT FROM es.claims c WHERE c.kind = i.kind AND c.key = i.key AND c.holder = i.holder)
ORDER BY i.kind, i.key

-- name: disown
DELETE FROM es.ownership o
USING unnest(%b::int[], %b::uuid[]) AS i(cmd, resource)
WHERE o.resource = i.resource AND $admitted

-- name: own
INSERT INTO es.ownership (resource, kind, owner, project)
SELECT i.resource, i.kind, i.owner, i.project
FROM unnest(%b::int[], %b::uuid[], %b::text[], %b::uuid[], %b::uuid[])
     AS i(cmd, resource, kind, owner, project)
WHERE $admitted
ON CONFLICT (resource) DO UPDATE
SET kind = excluded.kind, owner = excluded.owner, project = excluded.project

-- name: forget
DELETE FROM es.contents c
USING unnest(%b::int[], %b::uuid[]) AS i(cmd, id)
WHERE c.id = i.id AND $admitted

-- name: keep
-- Contents and secrets never change under their id, so a second try may repeat them.
INSERT INTO es.contents (id, subject, sealed, address, digest, size)
SELECT i.id, i.subject, i.sealed, i.address, i.digest, i.size
FROM unnest(%b::int[], %b::uuid[], %b::uuid[], %b::bytea[], %b::text[], %b::text[], %b::bigint[])
     AS i(cmd, id, subject, sealed, address, digest, size)
WHERE $admitted
ON CONFLICT (id) DO NOTHING

-- name: destroy
DELETE FROM es.vault v
USING unnest(%b::int[], %b::uuid[]) AS i(cmd, id)
WHERE v.id = i.id AND $admitted

-- name: lock_away
INSERT INTO es.vault (id, subject, kind, sealed)
SELECT i.id, i.subject, i.kind, i.sealed
FROM unnest(%b::int[], %b::uuid[], %b::uuid[], %b::text[], %b::bytea[])
     AS i(cmd, id, subject, kind, sealed)
WHERE $admitted
ON CONFLICT (id) DO NOTHING

-- name: unlease
DELETE FROM es.leases l
USING unnest(%b::int[], %b::uuid[]) AS i(cmd, run)
WHERE l.run = i.run AND $admitted

-- name: lease
-- No condition on the old lease: the run's stream is the fence, and it was passed.
INSERT INTO es.leases (run, worker, attempt, expires_at)
SELECT i.run, i.worker, i.attempt, i.expires_at
FROM unnest(%b::int[], %b::uuid[], %b::text[], %b::int[], %b::timestamptz[])
     AS i(cmd, run, worker, attempt, expires_at)
WHERE $admitted
ON CONFLICT (run) DO UPDATE
SET worker = excluded.worker, attempt = excluded.attempt, expires_at = excluded.expires_at
