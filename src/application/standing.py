"""What people and their keys may, as the log has it at the moment of asking."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Final, Protocol, get_args
from uuid import UUID

import msgspec

from application.gathered import Gathered
from application.ports import EventStore, StreamNotFoundError
from application.ports.refusals import SubjectErasedError
from domain.kernel import Log
from domain.user.api_key import ApiKey
from domain.user.events import UserEvent
from domain.user.user import User

REMEMBERED: Final = 5_000
PAGE: Final = 500
USER_EVENTS: Final = get_args(UserEvent.__value__)


class Heads(Protocol):
    """How long streams are."""

    async def versions(
        self, log: Log, streams: Sequence[UUID], /
    ) -> Mapping[UUID, int]:
        """Return the last version of those of *streams* that exist, in one read."""
        ...


class Standing(msgspec.Struct, frozen=True):
    """What somebody may at a version of their stream."""

    version: int
    active: bool
    superuser: bool
    api_keys: Mapping[UUID, ApiKey]


class Standings:
    """
    Tells what people may, never later than what was decided about them.

    Read tables lag behind, and may stand still. So each question asks the log how
    long a stream is, all who ask at once together, and reads on where it has grown.
    """

    def __init__(self, store: EventStore, heads: Heads) -> None:
        self._store = store
        self._heads = heads
        self._known: OrderedDict[UUID, tuple[User, Standing]] = OrderedDict()
        # One question at a time, or two would replay the same events.
        self._gathered = Gathered(self._asked)

    async def get(self, user_id: UUID) -> Standing | None:
        """Return what a user may, if there is one."""
        return await self._gathered.of(user_id)

    async def _asked(self, users: Sequence[UUID]) -> dict[UUID, Standing]:
        heads = await self._heads.versions("core", users)
        await asyncio.gather(*(self._catch_up(one, heads.get(one, 0)) for one in users))
        found = {user: self._known[user][1] for user in users if user in self._known}
        for user in found:
            self._known.move_to_end(user)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return found

    async def _catch_up(self, user_id: UUID, head: int) -> None:
        user, standing = self._known.get(user_id, (None, None))
        if standing is not None and standing.version == head:
            return
        self._known.pop(user_id, None)
        try:
            if user is None or not await self._read_on(user):
                user = await self._store.load(User, user_id)
        except (StreamNotFoundError, SubjectErasedError):
            return
        if not user.erased:
            self._known[user_id] = (user, _standing(user))

    async def _read_on(self, user: User) -> bool:
        """Replay what is new; tell whether all of it could be read."""
        while True:
            page = await self._store.read_stream(
                "core", user.id, after=user.version, limit=PAGE
            )
            for recorded in page:
                if not isinstance(recorded.event, USER_EVENTS):
                    return False
                user.replay(recorded.event)
            if len(page) < PAGE:
                return True


def _standing(user: User) -> Standing:
    return Standing(user.version, user.active, user.superuser, dict(user.api_keys))
