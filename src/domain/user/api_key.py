"""Keys that a user has given out: what each may do, and how that came to be."""

from datetime import datetime
from typing import assert_never
from uuid import UUID

import msgspec

from domain.user.events import (
    ApiKeyDisabled,
    ApiKeyEnabled,
    ApiKeyIssued,
    ApiKeyRenamed,
    ApiKeyRevoked,
    Scope,
)

type ApiKeyEvent = (
    ApiKeyIssued | ApiKeyRenamed | ApiKeyDisabled | ApiKeyEnabled | ApiKeyRevoked
)


class ApiKey(msgspec.Struct, frozen=True):
    """
    A key given out, known by its first characters.

    ``scopes`` is None where it lets in to all that its user may do.
    """

    name: str
    hint: str
    scopes: tuple[Scope, ...] | None = None
    expires_at: datetime | None = None
    active: bool = True


def apply(keys: dict[UUID, ApiKey], event: ApiKeyEvent) -> None:
    """Bring *keys* up to what *event* says."""
    match event:
        case ApiKeyIssued(key=key):
            keys[key] = ApiKey(event.name, event.hint, event.scopes, event.expires_at)
        case ApiKeyRenamed(key=key, name=name):
            keys[key] = msgspec.structs.replace(keys[key], name=name)
        case ApiKeyDisabled(key=key) | ApiKeyEnabled(key=key):
            active = isinstance(event, ApiKeyEnabled)
            keys[key] = msgspec.structs.replace(keys[key], active=active)
        case ApiKeyRevoked(key=key):
            del keys[key]
        case _:
            assert_never(event)
