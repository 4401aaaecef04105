"""Projects the issue and the revocation of keys onto ``api_keys``."""

from collections.abc import Sequence
from typing import override

import msgspec

from application.ports import Recorded
from domain.user.events import (
    ApiKeyDisabled,
    ApiKeyEnabled,
    ApiKeyIssued,
    ApiKeyRenamed,
    ApiKeyRevoked,
    UserErased,
)
from projections.api_keys.tables import API_KEYS, METADATA
from projections.projector import Projector, UnwantedEventError
from projections.rows import Rows


class ApiKeysProjector(Projector):
    """Which keys open whose doors."""

    name = "api_keys"
    version = 2
    tables = METADATA
    reads = (
        ApiKeyIssued,
        ApiKeyRenamed,
        ApiKeyDisabled,
        ApiKeyEnabled,
        ApiKeyRevoked,
        UserErased,
    )

    @override
    def fold(self, batch: Sequence[Recorded], rows: Rows) -> None:
        for recorded in batch:
            match recorded.event:
                case ApiKeyIssued() as issued:
                    _issue(recorded, issued, rows)
                case ApiKeyRenamed(key=key, name=name):
                    rows.change(API_KEYS, key, name=name)
                case ApiKeyDisabled(key=key):
                    rows.change(API_KEYS, key, is_active=False)
                case ApiKeyEnabled(key=key):
                    rows.change(API_KEYS, key, is_active=True)
                case ApiKeyRevoked(key=key):
                    rows.remove(API_KEYS, key)
                case UserErased():
                    rows.remove_where(API_KEYS, user_id=recorded.stream)
                case unwanted:
                    raise UnwantedEventError(type(unwanted).__name__)


def _issue(recorded: Recorded, issued: ApiKeyIssued, rows: Rows) -> None:
    scopes = issued.scopes
    rows.put(
        API_KEYS,
        id=issued.key,
        user_id=recorded.stream,
        name=issued.name,
        hint=issued.hint,
        scopes=None if scopes is None else msgspec.json.encode(scopes),
        expires_at=issued.expires_at,
        is_active=True,
        created_at=recorded.at,
    )
