"""Commands under way, and what came of those whose callers did not wait for it."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from application.ports import OutcomeUnknownError, Saved
from infrastructure.event_store.command import Command, Key

REMEMBERED = 4096
"""Of how many callers who left we know what their commands came to."""


class WithdrawnError(Exception):
    """The caller left before the command was sent, so it was not."""


class Waiting:
    """A command, the caller who waits for it, and others who ask about it."""

    def __init__(self, command: Command, ended: Callable[["Waiting"], None]) -> None:
        self.command = command
        self.touched = frozenset(command.touched())
        self.saved: asyncio.Future[Saved] = asyncio.get_running_loop().create_future()
        self.taken = False
        self.in_doubt = False
        self.outcome: Saved | Exception | None = None
        self.asking: list[asyncio.Future[None]] = []
        self._ended = ended

    @property
    def left(self) -> bool:
        """Whether its caller was cancelled and does not wait any more."""
        return self.saved.cancelled()

    def settle(self, outcome: Saved | Exception) -> None:
        """Say what it came to, to all who want to know."""
        self.outcome = outcome
        if self.saved.done():
            pass
        elif isinstance(outcome, Saved):
            self.saved.set_result(outcome)
        else:
            self.saved.set_exception(outcome)
        for asking in self.asking:
            if not asking.done():
                asking.set_result(None)
        self._ended(self)

    async def settled(self) -> None:
        """Wait until it is known what it came to."""
        if self.outcome is None:
            asking = asyncio.get_running_loop().create_future()
            self.asking.append(asking)
            await asking


class UnderWay:
    """All commands of one writer by their keys, from when they come until settled."""

    def __init__(self) -> None:
        self._waiting: dict[Key, list[Waiting]] = {}
        self._left: OrderedDict[Key, Saved | Exception] = OrderedDict()

    def add(self, command: Command) -> Waiting:
        """Note that *command* has come."""
        waiting = Waiting(command, self._ended)
        self._waiting.setdefault(waiting.command.key, []).append(waiting)
        return waiting

    async def outcome(self, key: Key) -> Saved | None:
        """
        Return what the commands of *key* came to, once none is under way any more.

        Known are those under way when asked, and those whose callers left. Raise
        `OutcomeUnknownError` if the connection was lost in the middle for good.
        """
        found: Saved | Exception | None = self._left.get(key)
        for waiting in tuple(self._waiting.get(key, ())):
            if waiting.left and not waiting.taken:
                continue  # it will not be sent
            await waiting.settled()
            if isinstance(waiting.outcome, Saved | OutcomeUnknownError):
                found = waiting.outcome
        if isinstance(found, OutcomeUnknownError):
            raise OutcomeUnknownError
        return found if isinstance(found, Saved) else None

    def remember(self, waiting: Waiting) -> None:
        """Keep what it came to, if it is known by now, for its caller has left."""
        if isinstance(waiting.outcome, Saved | OutcomeUnknownError):
            self._left[waiting.command.key] = waiting.outcome
            if len(self._left) > REMEMBERED:
                self._left.popitem(last=False)

    def _ended(self, waiting: Waiting) -> None:
        key = waiting.command.key
        same = self._waiting[key]
        same.remove(waiting)
        if not same:
            del self._waiting[key]
        if waiting.left:
            self.remember(waiting)
