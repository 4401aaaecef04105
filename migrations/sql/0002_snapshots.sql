-- What a long stream came to at a version, disposable. topic names the aggregate, and
-- schema_version the shape of its state.
CREATE TABLE es.snapshots (
    originator_id      uuid        NOT NULL,
    originator_version bigint      NOT NULL,
    topic              text        NOT NULL,
    schema_version     smallint    NOT NULL,
    state              bytea       NOT NULL,
    subject            uuid,
    taken_at           timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (originator_id, originator_version)
);
CREATE INDEX snapshots_subject ON es.snapshots (subject);
