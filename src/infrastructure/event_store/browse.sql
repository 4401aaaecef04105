-- Finding events in one log: $log is core or runs, $scope the stream if one is given.
-- Only the primary key and the index by position are there to use: the one where a stream
-- is given ($place then hides the position from the planner, which would read the other
-- index from end to end beside it), else the other. Whatever else is asked for is
-- compared row by row, so each question looks at %(scan)s rows at most.

-- name: forwards
-- The first events wanted after a position, how far was looked, and whether all that
-- may be looked at in one go was. Metadata is JSON without spaces, and a quote within a
-- text of it is escaped, so that the bytes of a pair occur where the pair does.
WITH piece AS (
    SELECT coalesce(max(notification_id), %(after)s) AS reached, count(*) AS looked_at
    FROM (
        SELECT notification_id FROM es.$log_events
        WHERE $scope AND $place > %(after)s AND $place <= %(upto)s
        ORDER BY $place LIMIT %(scan)s
    ) AS places
)
SELECT piece.reached, piece.looked_at, found.notification_id, found.bytes
FROM piece LEFT JOIN LATERAL (
    SELECT notification_id, octet_length(state) AS bytes FROM es.$log_events
    WHERE $scope AND $place > %(after)s AND $place <= piece.reached AND $wanted
    ORDER BY $place LIMIT %(limit)s
) AS found ON true
ORDER BY found.notification_id

-- name: backwards
-- The same the other way: the last events wanted before a position.
WITH piece AS (
    SELECT coalesce(min(notification_id), %(before)s) AS reached, count(*) AS looked_at
    FROM (
        SELECT notification_id FROM es.$log_events
        WHERE $scope AND $place < %(before)s AND $place > %(after)s
        ORDER BY $place DESC LIMIT %(scan)s
    ) AS places
)
SELECT piece.reached, piece.looked_at, found.notification_id, found.bytes
FROM piece LEFT JOIN LATERAL (
    SELECT notification_id, octet_length(state) AS bytes FROM es.$log_events
    WHERE $scope AND $place < %(before)s AND $place >= piece.reached AND $wanted
    ORDER BY $place DESC LIMIT %(limit)s
) AS found ON true
ORDER BY found.notification_id DESC

-- name: next_place
-- The first event at or after a position, and when it was recorded.
SELECT notification_id, recorded_at FROM es.$log_events
WHERE notification_id >= %(place)s ORDER BY notification_id LIMIT 1

-- name: streams_like
-- The first streams of a range of ids, hopping from one to the next in the index.
WITH RECURSIVE streams AS (
    (SELECT originator_id, 1 AS nth FROM es.$log_events
     WHERE originator_id >= %(first)s AND originator_id <= %(last)s
     ORDER BY originator_id LIMIT 1)
    UNION ALL
    SELECT following.originator_id, streams.nth + 1
    FROM streams CROSS JOIN LATERAL (
        SELECT originator_id FROM es.$log_events
        WHERE originator_id > streams.originator_id AND originator_id <= %(last)s
        ORDER BY originator_id LIMIT 1
    ) AS following
    WHERE streams.nth < %(limit)s
)
SELECT originator_id FROM streams
