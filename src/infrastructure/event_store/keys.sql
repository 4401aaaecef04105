-- Wrapped keys: those of subjects, and those that the installation uses itself.

-- name: others
-- Secrets that wrap something here and are not among the known ones.
SELECT DISTINCT key_id FROM es.subject_keys WHERE key_id <> ALL(%(known)s) AND wrapped <> ''
UNION SELECT key_id FROM es.installation_keys WHERE key_id <> ALL(%(known)s)
ORDER BY 1 LIMIT 5

-- name: uses
SELECT name, wrapped, key_id FROM es.installation_keys

-- name: origin
-- Whether nobody has a key yet on a database that no older server uses, and which
-- secret wrapped the keys that there are.
SELECT EXISTS (SELECT FROM es.features WHERE name = 'sealed_states')
       AND NOT EXISTS (SELECT FROM es.subject_keys),
       (SELECT key_id FROM es.subject_keys WHERE wrapped <> '' LIMIT 1)

-- name: make
INSERT INTO es.installation_keys (name, wrapped, key_id) VALUES (%(use)s, %(wrapped)s, %(key_id)s)
ON CONFLICT (name) DO NOTHING

-- name: counted
-- How many keys each secret wraps: of subjects, and of the installation.
SELECT key_id, count(*) FILTER (WHERE theirs), count(*) FILTER (WHERE NOT theirs)
FROM (
    SELECT key_id, true AS theirs FROM es.subject_keys WHERE wrapped <> ''
    UNION ALL SELECT key_id, false FROM es.installation_keys
) AS wrapped
GROUP BY key_id ORDER BY key_id

-- name: some_subjects
SELECT subject, wrapped, key_id FROM es.subject_keys
WHERE key_id <> %(current)s AND wrapped <> '' LIMIT %(limit)s

-- name: some_uses
SELECT name, wrapped, key_id FROM es.installation_keys WHERE key_id <> %(current)s LIMIT %(limit)s

-- name: rewrap_subjects
-- Only what is still as it was read: whoever was erased meanwhile stays erased.
UPDATE es.subject_keys k SET wrapped = i.new, key_id = %(key_id)s
FROM unnest(%(names)b::uuid[], %(old)b::bytea[], %(new)b::bytea[]) AS i(subject, old, new)
WHERE k.subject = i.subject AND k.wrapped = i.old

-- name: rewrap_uses
UPDATE es.installation_keys k SET wrapped = i.new, key_id = %(key_id)s
FROM unnest(%(names)s::text[], %(old)b::bytea[], %(new)b::bytea[]) AS i(name, old, new)
WHERE k.name = i.name AND k.wrapped = i.old
