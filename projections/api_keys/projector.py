"""Projects the issue and the revocation of keys onto ``api_keys``."""

from collections.abc import Sequence
from typing import override

from application.ports import Recorded
from domain.user.events import ApiKeyIssued, ApiKeyRevoked, UserErased
from projections.api_keys.tables import API_KEYS, METADATA
from projections.projector import Projector, UnwantedEventError
from projections.rows import Rows


class ApiKeysProjector(Projector):
    """Which keys open whose doors."""

    name = "api_keys"
    version = 1
    tables = METADATA
    reads = (ApiKeyIssued, ApiKeyRevoked, UserErased)

    @override
    def fold(self, batch: Sequence[Recorded], rows: Rows) -> None:
        for recorded in batch:
            match recorded.event:
                case ApiKeyIssued(key=key, name=name, hint=hint):
                    rows.put(
                        API_KEYS,
                        id=key,
                        user_id=recorded.stream,
                        name=name,
                        hint=hint,
                        created_at=recorded.at,
                    )
                case ApiKeyRevoked(key=key):
                    rows.remove(API_KEYS, key)
                case UserErased():
                    rows.remove_where(API_KEYS, user_id=recorded.stream)
                case unwanted:
                    raise UnwantedEventError(type(unwanted).__name__)
