"""Who asks for something, and why."""

from datetime import datetime
from uuid import UUID

import msgspec

from domain.user.events import Scope


class Actor(msgspec.Struct, frozen=True):
    """
    Who asks: a user, or the system.

    ``credential`` names the token family or API key used, so the server can tell
    what this client was last served. It is an id, never the secret itself.
    ``by_key`` tells an API key from a session. ``scopes`` is what the credential is
    good for, None for all the user may do; ``expires_at`` is when it ends by itself.
    """

    user: UUID | None
    superuser: bool = False
    credential: str = ""
    by_key: bool = False
    scopes: frozenset[Scope] | None = None
    expires_at: datetime | None = None


SYSTEM = Actor(user=None)


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """
    Why events are appended: who, under which command, and as part of what story.

    ``idempotent`` is true when the client sent the command's id: then its answer is
    kept, and ``request_hash`` tells a repeat from another request under one key.
    """

    actor: Actor
    command_id: UUID
    correlation_id: UUID
    causation_id: UUID | None = None
    request_hash: bytes = b""
    idempotent: bool = False
    trace: str = ""
