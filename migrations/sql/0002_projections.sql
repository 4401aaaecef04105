-- What an operator needs to know of a parked event without reading the log.
-- unreadable: the server did not know its tag or version; a newer one tries again.
ALTER TABLE es.dead_letters
    ADD COLUMN tag            text    NOT NULL DEFAULT '',
    ADD COLUMN stream_version bigint  NOT NULL DEFAULT 0,
    ADD COLUMN tries          integer NOT NULL DEFAULT 0,
    ADD COLUMN unreadable     boolean NOT NULL DEFAULT false;

-- Events that an operator told a projection to go on without, now and in rebuilds.
CREATE TABLE es.skipped_events (
    projection text        NOT NULL,
    log        text        NOT NULL,
    position   bigint      NOT NULL,
    stream     uuid        NOT NULL,
    tag        text        NOT NULL,
    reason     text        NOT NULL,
    skipped_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (projection, log, position)
);

-- failure: what keeps the checkpoint from moving, or why a generation was not finished.
-- epoch: raised by whoever writes beside the leader, who must then read again which
-- streams are held: a checkpoint moves only for who knows the epoch.
-- archives: it is filled from archived events too; who goes on with it must read alike.
-- events_per_second, seconds_left: what a rebuild that is under way told last of its pace.
ALTER TABLE es.projections
    ADD COLUMN failure           jsonb,
    ADD COLUMN epoch             bigint  NOT NULL DEFAULT 0,
    ADD COLUMN archives          boolean NOT NULL DEFAULT false,
    ADD COLUMN events_per_second double precision,
    ADD COLUMN seconds_left      double precision;
