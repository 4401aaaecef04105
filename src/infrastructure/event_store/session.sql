-- How a writer's connection is set up, and what both logs share.

-- name: session
-- The writer looks up single rows by key, whatever the statistics of a young table say.
SELECT set_config('lock_timeout', %(lock)s, false),
       set_config('statement_timeout', %(statement)s, false),
       set_config('idle_in_transaction_session_timeout', %(statement)s, false),
       set_config('enable_seqscan', 'off', false),
       set_config('enable_hashjoin', 'off', false),
       set_config('enable_mergejoin', 'off', false)

-- name: end_predecessor
-- Ends the backend whose connection we lost: it might still write what we write again.
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE pid = %(pid)s AND usename = current_user AND pid <> pg_backend_pid()

-- name: lock
SELECT pg_advisory_xact_lock(%(key)s)

-- name: head
SELECT coalesce((SELECT max(notification_id) FROM es.core_events), 0),
       coalesce((SELECT max(notification_id) FROM es.runs_events), 0)

-- name: feature
SELECT EXISTS (SELECT FROM es.features WHERE name = %(name)s)

-- name: answered
SELECT log, request_hash, answer, position FROM es.commands
WHERE command_id = %(id)s AND actor = %(actor)s

-- name: after_commits
-- Waits until who writes has committed; what is read next in this transaction has it.
SELECT set_config('lock_timeout', %(lock)s, true),
       pg_advisory_xact_lock_shared(%(core)s), pg_advisory_xact_lock_shared(%(runs)s)

-- name: forget_answers
DELETE FROM es.commands WHERE created_at < now() - make_interval(days => %(days)s)
RETURNING command_id
