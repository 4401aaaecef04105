-- What the server may do when it is not the owner: never change or remove an event.
GRANT USAGE ON SCHEMA es TO {role};
GRANT SELECT, INSERT ON es.core_events, es.runs_events, es.segments, es.archives TO {role};
GRANT SELECT ON es.core, es.runs, es.alembic_version, es.features TO {role};
GRANT USAGE, SELECT ON SEQUENCE es.core_position, es.runs_position TO {role};
GRANT SELECT, INSERT, UPDATE, DELETE ON
    es.commands, es.claims, es.ownership, es.contents, es.vault, es.subject_keys, es.leases, es.canvas,
    es.sessions, es.sign_in_links, es.api_key_uses, es.projections, es.dead_letters, es.skipped_events,
    es.snapshots,
    es.installation_keys
TO {role};
GRANT CREATE ON DATABASE {database} TO {role};  -- projections own their schemas
