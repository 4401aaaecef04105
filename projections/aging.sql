-- What has outlived its time: counted for a dry run, and removed a batch at a time. A
-- removal returns how many rows went, how many bytes of contents went with them, and
-- where those lay in the blob store.

-- name: there
-- Before a server ran for the first time there are no read tables.
SELECT to_regclass('rm.messages') IS NOT NULL AND to_regclass('rm.transactions') IS NOT NULL
   AND to_regclass('rm.vertex_builds') IS NOT NULL AND to_regclass('rm.runs') IS NOT NULL

-- name: count blobs
-- Notes of blobs that came or went when a server was killed: no row names those blobs.
SELECT count(*), coalesce(sum(split_part(key, '/', 3)::bigint), 0)::bigint FROM es.claims
WHERE kind = 'blob' AND split_part(key, '/', 2)::timestamptz < %(before)s

-- name: remove blobs
WITH aged AS (
    SELECT kind, key FROM es.claims
    WHERE kind = 'blob' AND split_part(key, '/', 2)::timestamptz < %(before)s LIMIT %(limit)s
), removed AS (
    DELETE FROM es.claims AS c USING aged WHERE c.kind = aged.kind AND c.key = aged.key RETURNING c.key
)
SELECT count(*), coalesce(sum(split_part(key, '/', 3)::bigint), 0)::bigint,
       array_remove(array_agg(split_part(key, '/', 4)), NULL)
FROM removed

-- name: count messages
SELECT count(*), coalesce(sum(content_size), 0)::bigint FROM rm.messages WHERE at < %(before)s

-- name: remove messages
WITH aged AS (
    SELECT id, content_id FROM rm.messages WHERE at < %(before)s LIMIT %(limit)s
), forgotten AS (
    DELETE FROM es.contents AS c USING aged WHERE c.id = aged.content_id RETURNING c.address, c.size
), removed AS (
    DELETE FROM rm.messages AS m USING aged WHERE m.id = aged.id RETURNING m.id
)
SELECT (SELECT count(*) FROM removed), coalesce(sum(size), 0)::bigint, array_remove(array_agg(address), NULL)
FROM forgotten

-- name: count transactions
SELECT count(*), 0::bigint FROM rm.transactions WHERE at < %(before)s

-- name: remove transactions
WITH removed AS (
    DELETE FROM rm.transactions AS t
    USING (SELECT id FROM rm.transactions WHERE at < %(before)s LIMIT %(limit)s) AS aged
    WHERE t.id = aged.id RETURNING t.id
)
SELECT count(*), 0::bigint, '{}'::text[] FROM removed

-- name: count results
SELECT count(*), coalesce(sum(content_size), 0)::bigint FROM rm.transaction_results
WHERE run_id < es.first_id_at(%(before)s)

-- name: remove results
-- The newest result of a vertex is shown by itself, and may be kept for longer.
WITH aged AS (
    SELECT run_id, vertex, content_id FROM rm.transaction_results
    WHERE run_id < es.first_id_at(%(before)s) LIMIT %(limit)s
), forgotten AS (
    DELETE FROM es.contents AS c USING aged
    WHERE c.id = aged.content_id AND NOT EXISTS (
        SELECT FROM rm.vertex_builds AS b WHERE b.content_id = c.id
        AND (%(builds)s::timestamptz IS NULL OR b.at >= %(builds)s))
    RETURNING c.address, c.size
), removed AS (
    DELETE FROM rm.transaction_results AS r USING aged
    WHERE r.run_id = aged.run_id AND r.vertex = aged.vertex RETURNING r.run_id
)
SELECT (SELECT count(*) FROM removed), coalesce(sum(size), 0)::bigint, array_remove(array_agg(address), NULL)
FROM forgotten

-- name: count builds
SELECT count(*), coalesce(sum(content_size), 0)::bigint FROM rm.vertex_builds WHERE at < %(before)s

-- name: remove builds
-- A transaction may show the same result for longer.
WITH aged AS (
    SELECT flow_id, vertex, run_id, content_id FROM rm.vertex_builds WHERE at < %(before)s LIMIT %(limit)s
), forgotten AS (
    DELETE FROM es.contents AS c USING aged
    WHERE c.id = aged.content_id AND NOT EXISTS (
        SELECT FROM rm.transaction_results AS r WHERE r.run_id = aged.run_id AND r.vertex = aged.vertex)
    RETURNING c.address, c.size
), removed AS (
    DELETE FROM rm.vertex_builds AS b USING aged
    WHERE b.flow_id = aged.flow_id AND b.vertex = aged.vertex AND b.at < %(before)s RETURNING b.vertex
)
SELECT (SELECT count(*) FROM removed), coalesce(sum(size), 0)::bigint, array_remove(array_agg(address), NULL)
FROM forgotten

-- name: count runs
SELECT count(*), 0::bigint FROM rm.runs WHERE requested_at < %(before)s AND ended_at IS NOT NULL

-- name: remove runs
WITH removed AS (
    DELETE FROM rm.runs AS r
    USING (SELECT id FROM rm.runs WHERE requested_at < %(before)s AND ended_at IS NOT NULL LIMIT %(limit)s) AS aged
    WHERE r.id = aged.id RETURNING r.id
)
SELECT count(*), 0::bigint, '{}'::text[] FROM removed

-- name: count sessions
SELECT count(*), 0::bigint FROM es.sessions WHERE expires_at < %(before)s

-- name: remove sessions
WITH removed AS (
    DELETE FROM es.sessions WHERE id IN (
        SELECT id FROM es.sessions WHERE expires_at < %(before)s LIMIT %(limit)s) RETURNING id
)
SELECT count(*), 0::bigint, '{}'::text[] FROM removed

-- name: count links
SELECT count(*), 0::bigint FROM es.sign_in_links WHERE expires_at < %(before)s

-- name: remove links
WITH removed AS (
    DELETE FROM es.sign_in_links WHERE hash IN (
        SELECT hash FROM es.sign_in_links WHERE expires_at < %(before)s LIMIT %(limit)s) RETURNING hash
)
SELECT count(*), 0::bigint, '{}'::text[] FROM removed

-- name: count answers
SELECT count(*), coalesce(sum(octet_length(answer)), 0)::bigint FROM es.commands WHERE created_at < %(before)s

-- name: remove answers
WITH removed AS (
    DELETE FROM es.commands WHERE (command_id, actor, log) IN (
        SELECT command_id, actor, log FROM es.commands WHERE created_at < %(before)s LIMIT %(limit)s)
    RETURNING octet_length(answer) AS size
)
SELECT count(*), coalesce(sum(size), 0)::bigint, '{}'::text[] FROM removed

-- name: spoken
-- Which contents a message still shows.
SELECT content_id FROM rm.messages
WHERE content_id = ANY(%(ids)s) AND (%(before)s::timestamptz IS NULL OR at >= %(before)s)
