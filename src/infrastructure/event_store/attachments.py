"""The rows that a save has for the side tables, by the statement that takes them."""

from collections.abc import Callable, Iterable
from typing import Any

from psycopg.types.numeric import Int4, Int8

from application.ports import Attached, Claim
from infrastructure.event_store.statements import ATTACHMENTS

type Rows = Callable[[Attached], Iterable[tuple[Any, ...]]]


def claim_rows(claims: Iterable[Claim]) -> list[tuple[Any, ...]]:
    """Return *claims* as rows."""
    return [(claim.kind, claim.key, claim.holder) for claim in claims]


_ROWS: dict[str, Rows] = {
    "release": lambda a: claim_rows(a.released),
    "claim": lambda a: claim_rows(a.claims),
    "disown": lambda a: ((resource,) for resource in a.disowned),
    "own": lambda a: ((o.resource, o.kind, o.owner, o.project) for o in a.owned),
    "forget": lambda a: ((content,) for content in a.forgotten),
    "keep": lambda a: (
        (c.ref.id, c.subject, c.sealed, c.address, c.ref.digest, Int8(c.ref.size))
        for c in a.contents
    ),
    "destroy": lambda a: ((secret,) for secret in a.destroyed),
    "lock_away": lambda a: ((s.id, s.subject, s.kind, s.sealed) for s in a.secrets),
    "unlease": lambda a: ((run,) for run in a.unleased),
    "lease": lambda a: (
        (one.run, one.worker, Int4(one.attempt), one.expires_at) for one in a.leases
    ),
}

ATTACHING: tuple[tuple[bytes, Rows], ...] = tuple(
    (statement, _ROWS[name]) for name, statement in ATTACHMENTS.items()
)
"""In the order of the file, for what goes must go first."""
