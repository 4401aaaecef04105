-- The two logs, and what is written in the same transaction as events.
-- The schema itself is made by migrate.py, for Alembic keeps its version there.

-- core: users, projects, flows. Small, kept for ever, one table.
CREATE SEQUENCE es.core_position AS bigint;

CREATE TABLE es.core_events (
    originator_id      uuid        NOT NULL,
    originator_version bigint      NOT NULL CHECK (originator_version > 0),
    topic              text        NOT NULL,
    schema_version     smallint    NOT NULL,
    state              bytea       NOT NULL,
    metadata           bytea       NOT NULL,
    tenant             uuid,
    recorded_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    notification_id    bigint      NOT NULL DEFAULT nextval('es.core_position'),
    PRIMARY KEY (originator_id, originator_version)
);
CREATE UNIQUE INDEX core_events_position ON es.core_events (notification_id);

-- runs: runs and threads. Bulk, archived by dropping partitions: run ids are UUIDv7,
-- so a range of ids is a span of time; thread ids begin with ff and lie apart.
-- A partitioned table cannot have a unique index without its partition key, so the
-- uniqueness of positions rests on the sequence alone.
CREATE SEQUENCE es.runs_position AS bigint;

CREATE TABLE es.runs_events (
    originator_id      uuid        NOT NULL,
    originator_version bigint      NOT NULL CHECK (originator_version > 0),
    topic              text        NOT NULL,
    schema_version     smallint    NOT NULL,
    state              bytea       NOT NULL,
    metadata           bytea       NOT NULL,
    tenant             uuid,
    recorded_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    notification_id    bigint      NOT NULL DEFAULT nextval('es.runs_position'),
    PRIMARY KEY (originator_id, originator_version)
) PARTITION BY RANGE (originator_id);
CREATE INDEX runs_events_position ON es.runs_events (notification_id);

CREATE TABLE es.runs_events_threads PARTITION OF es.runs_events
    FOR VALUES FROM ('ff000000-0000-0000-0000-000000000000') TO (MAXVALUE);
CREATE TABLE es.runs_events_default PARTITION OF es.runs_events DEFAULT;

-- The least UUIDv7 of a moment: 48 bits of milliseconds, then zeros.
CREATE FUNCTION es.first_id_at(at timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT rpad(lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0'), 32, '0')::uuid
$$;

-- Makes the months' partitions from now on. A month whose rows lie in the default
-- partition already (nobody called this in time) stays there: right, only not apart.
CREATE FUNCTION es.create_run_partitions(months integer) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    month timestamptz;
    name  text;
    low   uuid;
    high  uuid;
BEGIN
    FOR ahead IN 0..months LOOP
        month := (date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => ahead)) AT TIME ZONE 'UTC';
        name := 'runs_events_' || to_char(month AT TIME ZONE 'UTC', 'YYYY_MM');
        low := es.first_id_at(month);
        high := es.first_id_at((month AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC');
        CONTINUE WHEN to_regclass('es.' || name) IS NOT NULL;
        CONTINUE WHEN EXISTS (SELECT FROM es.runs_events_default WHERE originator_id >= low AND originator_id < high);
        EXECUTE format('CREATE TABLE es.%I PARTITION OF es.runs_events FOR VALUES FROM (%L) TO (%L)', name, low, high);
    END LOOP;
END $$;

-- For people: the same rows with their JSON as text.
CREATE VIEW es.core AS
    SELECT notification_id AS position, originator_id AS stream, originator_version AS version, topic AS tag,
           schema_version, convert_from(state, 'UTF8') AS state, convert_from(metadata, 'UTF8') AS metadata, recorded_at
    FROM es.core_events;
CREATE VIEW es.runs AS
    SELECT notification_id AS position, originator_id AS stream, originator_version AS version, topic AS tag,
           schema_version, convert_from(state, 'UTF8') AS state, convert_from(metadata, 'UTF8') AS metadata, recorded_at
    FROM es.runs_events;

-- What commands with an Idempotency-Key came to; kept for some days. The system is
-- the actor of zeros.
CREATE TABLE es.commands (
    command_id   uuid        NOT NULL,
    actor        uuid        NOT NULL,
    log          text        NOT NULL,
    request_hash bytea       NOT NULL,
    answer       bytea       NOT NULL,
    position     bigint      NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (command_id, actor, log)
);
CREATE INDEX commands_created_at ON es.commands (created_at);

-- Names that one thing alone may bear. "C" lets a prefix search use the key.
CREATE TABLE es.claims (
    kind   text COLLATE "C" NOT NULL,
    key    text COLLATE "C" NOT NULL,
    holder uuid             NOT NULL,
    PRIMARY KEY (kind, key)
);
CREATE INDEX claims_holder ON es.claims (holder);

CREATE TABLE es.ownership (
    resource uuid PRIMARY KEY,
    kind     text NOT NULL,
    owner    uuid NOT NULL,
    project  uuid
);
CREATE INDEX ownership_owner ON es.ownership (owner, kind);
CREATE INDEX ownership_project ON es.ownership (project, kind) WHERE project IS NOT NULL;

-- What people wrote and models answered; events name these rows by id and digest.
CREATE TABLE es.contents (
    id      uuid   PRIMARY KEY,
    subject uuid   NOT NULL,
    sealed  bytea  NOT NULL,
    address text,
    digest  text   NOT NULL,
    size    bigint NOT NULL
);
CREATE INDEX contents_subject ON es.contents (subject);
ALTER TABLE es.contents ALTER COLUMN sealed SET STORAGE EXTERNAL;  -- ciphertext does not compress

CREATE TABLE es.vault (
    id      uuid  PRIMARY KEY,
    subject uuid  NOT NULL,
    kind    text  NOT NULL,
    sealed  bytea NOT NULL
);
CREATE INDEX vault_subject ON es.vault (subject, kind);

-- Data keys of subjects, wrapped by the installation key; destroying one erases.
CREATE TABLE es.subject_keys (
    subject uuid PRIMARY KEY,
    wrapped bytea NOT NULL,
    key_id  text  NOT NULL
);

CREATE TABLE es.leases (
    run        uuid        PRIMARY KEY,
    worker     text        NOT NULL,
    attempt    integer     NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX leases_expires_at ON es.leases (expires_at);

-- Where things lie on a flow's canvas: the last value wins, outside history.
CREATE TABLE es.canvas (
    flow       uuid        PRIMARY KEY,
    state      json        NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE es.sessions (
    id          uuid        PRIMARY KEY,
    user_id     uuid        NOT NULL,
    refresh_jti uuid        NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at  timestamptz NOT NULL,
    revoked_at  timestamptz
);
CREATE INDEX sessions_user ON es.sessions (user_id);
CREATE INDEX sessions_expires_at ON es.sessions (expires_at);

CREATE TABLE es.sign_in_links (
    hash       bytea       PRIMARY KEY,
    user_id    uuid        NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at    timestamptz
);

CREATE TABLE es.api_key_uses (
    key_id       uuid   PRIMARY KEY,
    total_uses   bigint NOT NULL DEFAULT 0,
    last_used_at timestamptz
);

-- How far each projection has come, one row a log that it reads.
CREATE TABLE es.projections (
    name       text        NOT NULL,
    version    integer     NOT NULL,
    log        text        NOT NULL,
    position   bigint      NOT NULL DEFAULT 0,
    active     boolean     NOT NULL DEFAULT false,
    state      text        NOT NULL DEFAULT 'live',
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (name, version, log)
);

-- Events that a projection could not take in; each holds its stream there.
CREATE TABLE es.dead_letters (
    projection text        NOT NULL,
    version    integer     NOT NULL,
    log        text        NOT NULL,
    position   bigint      NOT NULL,
    stream     uuid        NOT NULL,
    reason     text        NOT NULL,
    parked_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (projection, version, log, position)
);
CREATE INDEX dead_letters_stream ON es.dead_letters (projection, version, log, stream);
