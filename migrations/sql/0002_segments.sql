-- Sealed stretches of a log, chained: events holds for each event its position and
-- digest, so that the first one changed can be named.
CREATE TABLE es.segments (
    log            text        NOT NULL,
    number         bigint      NOT NULL CHECK (number > 0),
    first_position bigint      NOT NULL,
    last_position  bigint      NOT NULL,
    count          integer     NOT NULL,
    events         bytea       NOT NULL,
    chain          bytea       NOT NULL,
    signature      bytea       NOT NULL,
    sealed_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (log, number)
);
ALTER TABLE es.segments ALTER COLUMN events SET STORAGE EXTERNAL;

-- Where archived events lie: one row an archive (of a partition, or of what a
-- compaction took out of the threads), written as they leave the log. digest is a keyed
-- one of the manifest at address.
CREATE TABLE es.archives (
    id             uuid        PRIMARY KEY,
    partition      text        NOT NULL,
    since          timestamptz NOT NULL,
    until          timestamptz NOT NULL,
    runs           bigint      NOT NULL,
    events         bigint      NOT NULL,
    first_position bigint      NOT NULL,
    last_position  bigint      NOT NULL,
    address        text        NOT NULL,
    digest         text        NOT NULL,
    bytes          bigint      NOT NULL,
    archived_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);
