"""Projects what has happened to users onto ``users``."""

from collections.abc import Sequence
from typing import Any, override

import msgspec
from msgspec import UNSET

from application.ports import Recorded
from domain.user.events import (
    ProfileChanged,
    SignedIn,
    StoreKeyRemoved,
    StoreKeySaved,
    SuperuserGranted,
    SuperuserRevoked,
    UserActivated,
    UserDeactivated,
    UserErased,
    UserRegistered,
)
from projections.projector import Projector, UnwantedEventError
from projections.rows import Rows
from projections.users.tables import METADATA, USERS


class UsersProjector(Projector):
    """Who there is, and what they may."""

    name = "users"
    version = 2
    tables = METADATA
    reads = (
        UserRegistered,
        UserActivated,
        UserDeactivated,
        ProfileChanged,
        SuperuserGranted,
        SuperuserRevoked,
        SignedIn,
        StoreKeySaved,
        StoreKeyRemoved,
        UserErased,
    )

    @override
    def fold(self, batch: Sequence[Recorded], rows: Rows) -> None:
        for recorded in batch:
            match recorded.event:
                case UserRegistered() as event:
                    _register(recorded, event, rows)
                case UserErased():
                    rows.remove(USERS, recorded.stream)
                case SignedIn():
                    rows.change(USERS, recorded.stream, last_login_at=recorded.at)
                case _:
                    values = _changed(recorded)
                    rows.change(
                        USERS, recorded.stream, updated_at=recorded.at, **values
                    )


def _register(recorded: Recorded, event: UserRegistered, rows: Rows) -> None:
    rows.put(
        USERS,
        id=recorded.stream,
        username=event.username,
        is_active=event.active,
        is_superuser=event.superuser,
        has_store_key=False,
        created_at=recorded.at,
        updated_at=recorded.at,
    )


def _changed(recorded: Recorded) -> dict[str, Any]:
    match recorded.event:
        case UserActivated():
            return {"is_active": True}
        case UserDeactivated():
            return {"is_active": False}
        case SuperuserGranted():
            return {"is_superuser": True}
        case SuperuserRevoked():
            return {"is_superuser": False}
        case StoreKeySaved() | StoreKeyRemoved():
            return {"has_store_key": isinstance(recorded.event, StoreKeySaved)}
        case ProfileChanged(username=username, profile_image=image, optins=optins):
            values: dict[str, Any] = {"username": username, "profile_image": image}
            if optins is not UNSET:
                values["optins"] = (
                    None if optins is None else msgspec.json.encode(optins)
                )
            return {name: v for name, v in values.items() if v is not UNSET}
        case unwanted:
            raise UnwantedEventError(type(unwanted).__name__)
