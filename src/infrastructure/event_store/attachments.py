"""What a save writes beside its events: one statement for all commands of a batch."""

from collections.abc import Callable, Iterable
from typing import Any, LiteralString, NamedTuple

from psycopg.types.numeric import Int4, Int8

from application.ports import Attached
from infrastructure.event_store.statements import ADMITTED


class Attachment(NamedTuple):
    """A statement that takes columns, and the rows that a save has for it."""

    statement: LiteralString
    rows: Callable[[Attached], Iterable[tuple[Any, ...]]]


ATTACHMENTS: tuple[Attachment, ...] = (
    # What goes, goes first: one save may pass a name on from one thing to another.
    Attachment(
        """
        DELETE FROM es.claims c USING unnest(%b::int[], %b::text[], %b::text[], %b::uuid[]) AS i(cmd, kind, key, holder)
        WHERE c.kind = i.kind AND c.key = i.key AND c.holder = i.holder AND """
        + ADMITTED,
        lambda a: ((one.kind, one.key, one.holder) for one in a.released),
    ),
    # No ON CONFLICT: a name taken meanwhile through the other log must be an error,
    # for then the batch is tried again and its examination sees the holder.
    Attachment(
        """
        INSERT INTO es.claims (kind, key, holder)
        SELECT i.kind, i.key, i.holder
        FROM unnest(%b::int[], %b::text[], %b::text[], %b::uuid[]) AS i(cmd, kind, key, holder)
        WHERE NOT EXISTS (SELECT FROM es.claims c WHERE c.kind = i.kind AND c.key = i.key AND c.holder = i.holder)
          AND """
        + ADMITTED
        + " ORDER BY i.kind, i.key",
        lambda a: ((one.kind, one.key, one.holder) for one in a.claims),
    ),
    Attachment(
        """
        DELETE FROM es.ownership o USING unnest(%b::int[], %b::uuid[]) AS i(cmd, resource)
        WHERE o.resource = i.resource AND """
        + ADMITTED,
        lambda a: ((resource,) for resource in a.disowned),
    ),
    Attachment(
        """
        INSERT INTO es.ownership (resource, kind, owner, project)
        SELECT i.resource, i.kind, i.owner, i.project
        FROM unnest(%b::int[], %b::uuid[], %b::text[], %b::uuid[], %b::uuid[]) AS i(cmd, resource, kind, owner, project)
        WHERE """
        + ADMITTED
        + """
        ON CONFLICT (resource) DO UPDATE
        SET kind = excluded.kind, owner = excluded.owner, project = excluded.project""",
        lambda a: ((one.resource, one.kind, one.owner, one.project) for one in a.owned),
    ),
    Attachment(
        """
        DELETE FROM es.contents c USING unnest(%b::int[], %b::uuid[]) AS i(cmd, id)
        WHERE c.id = i.id AND """
        + ADMITTED,
        lambda a: ((content,) for content in a.forgotten),
    ),
    # Contents and secrets never change under their id, so a second try may repeat.
    Attachment(
        """
        INSERT INTO es.contents (id, subject, sealed, address, digest, size)
        SELECT i.id, i.subject, i.sealed, i.address, i.digest, i.size
        FROM unnest(%b::int[], %b::uuid[], %b::uuid[], %b::bytea[], %b::text[], %b::text[], %b::bigint[])
             AS i(cmd, id, subject, sealed, address, digest, size)
        WHERE """
        + ADMITTED
        + " ON CONFLICT (id) DO NOTHING",
        lambda a: (
            (
                one.ref.id,
                one.subject,
                one.sealed,
                one.address,
                one.ref.digest,
                Int8(one.ref.size),
            )
            for one in a.contents
        ),
    ),
    Attachment(
        """
        DELETE FROM es.vault v USING unnest(%b::int[], %b::uuid[]) AS i(cmd, id)
        WHERE v.id = i.id AND """
        + ADMITTED,
        lambda a: ((secret,) for secret in a.destroyed),
    ),
    Attachment(
        """
        INSERT INTO es.vault (id, subject, kind, sealed)
        SELECT i.id, i.subject, i.kind, i.sealed
        FROM unnest(%b::int[], %b::uuid[], %b::uuid[], %b::text[], %b::bytea[]) AS i(cmd, id, subject, kind, sealed)
        WHERE """
        + ADMITTED
        + " ON CONFLICT (id) DO NOTHING",
        lambda a: ((one.id, one.subject, one.kind, one.sealed) for one in a.secrets),
    ),
    Attachment(
        """
        DELETE FROM es.leases l USING unnest(%b::int[], %b::uuid[]) AS i(cmd, run)
        WHERE l.run = i.run AND """
        + ADMITTED,
        lambda a: ((run,) for run in a.unleased),
    ),
    # No condition on the old lease: the run's stream is the fence, and it was passed.
    Attachment(
        """
        INSERT INTO es.leases (run, worker, attempt, expires_at)
        SELECT i.run, i.worker, i.attempt, i.expires_at
        FROM unnest(%b::int[], %b::uuid[], %b::text[], %b::int[], %b::timestamptz[])
             AS i(cmd, run, worker, attempt, expires_at)
        WHERE """
        + ADMITTED
        + """
        ON CONFLICT (run) DO UPDATE
        SET worker = excluded.worker, attempt = excluded.attempt, expires_at = excluded.expires_at""",
        lambda a: (
            (one.run, one.worker, Int4(one.attempt), one.expires_at) for one in a.leases
        ),
    ),
)
