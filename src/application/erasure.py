"""Erasing somebody: their key first, then whatever else there is of them."""

import asyncio
from collections.abc import Mapping
from time import monotonic
from typing import Final, Protocol
from uuid import UUID

import msgspec

from application.commands import Done, deciding_again, part_of
from application.execution.crew import CANCELS
from application.permissions import NotFoundError, only_superusers
from application.ports import (
    Actor,
    Attached,
    Cause,
    ClaimTakenError,
    ConcurrencyError,
    EventStore,
    Position,
    Signals,
    StreamNotFoundError,
)
from application.ports.estate import Estate, ReadTables
from application.superusers import Superusers
from domain.flow.flow import Flow
from domain.kernel import DomainError
from domain.run.run import Run
from domain.user.events import UserErased
from domain.user.user import User

PATIENCE: Final = 10.0
"""Seconds that runs going on are given to end by themselves."""
_LOOK: Final = 0.1
_TRIES: Final = 5


class OwnAccountError(DomainError):
    """You can't delete your own user account."""


class Erased(msgspec.Struct, frozen=True, kw_only=True):
    """
    What an erasure came to.

    ``destroyed`` counts what is no more, by kind. ``again`` tells that this person
    had been erased before, so that only what was left over then is counted.
    """

    user: UUID
    destroyed: Mapping[str, int]
    again: bool = False


class OpenSessions(Protocol):
    """The sessions in which people are signed in."""

    async def revoke_all(self, user: UUID, /) -> None: ...


class Erasure:
    """
    Erases people, in steps that can be taken again from the beginning.

    Whoever was killed in the middle finishes by asking for the same once more. The
    user's name is the last to go, so it still says who is meant.
    """

    def __init__(
        self,
        store: EventStore,
        *,
        estate: Estate,
        sessions: OpenSessions,
        superusers: Superusers,
        signals: Signals,
        read_tables: ReadTables,
        patience: float = PATIENCE,
    ) -> None:
        self._store = store
        self._estate = estate
        self._sessions = sessions
        self._superusers = superusers
        self._signals = signals
        self._read_tables = read_tables
        self._patience = patience

    async def erase(self, actor: Actor, user_id: UUID, *, cause: Cause) -> Done[Erased]:
        """Erase somebody else with all that is theirs."""
        only_superusers(actor)
        if actor.user == user_id:
            raise OwnAccountError
        before = await self._estate.closed(user_id)
        if not before:
            await self._let_go(user_id, cause=cause)
        await self._sessions.revoke_all(user_id)
        await self._estate.close(user_id)
        again = await self._is_on_record(user_id)
        position = Position()
        if not again:
            position = await self._put_on_record(user_id, cause=cause)
        dropped = await self._read_tables.drop_unserved()
        destroyed = dict(await self._estate.clear(user_id))
        if dropped:
            destroyed["earlier_read_tables"] = dropped
        return Done(Erased(user=user_id, destroyed=destroyed, again=again), position)

    async def _let_go(self, user_id: UUID, *, cause: Cause) -> None:
        """Let them start nothing new, and what they have begun come to an end."""
        await deciding_again(lambda: self._deactivate(user_id, cause=cause))
        await self._sessions.revoke_all(user_id)
        asked: set[UUID] = set()
        deadline = monotonic() + self._patience
        while runs := await self._estate.going_on(user_id):
            for run in set(runs) - asked:
                await self._cancel(run, cause=cause)
                await self._signals.say(CANCELS, str(run).encode())
                asked.add(run)
            if monotonic() > deadline:
                return  # without the key, nothing that they still do is stored
            await asyncio.sleep(_LOOK)

    async def _deactivate(self, user_id: UUID, *, cause: Cause) -> None:
        try:
            user = await self._store.load(User, user_id)
        except StreamNotFoundError as missing:
            raise NotFoundError("user", user_id) from missing
        if not user.active:
            return
        attached = Attached()
        if user.superuser:
            attached = await self._superusers.leaving(user_id)
        user.deactivate()
        try:
            cause = part_of(cause, "deactivate")
            await self._store.save(user, cause=cause, attached=attached)
        except ClaimTakenError as taken:  # another superuser has left meanwhile
            raise ConcurrencyError from taken

    async def _cancel(self, run_id: UUID, *, cause: Cause) -> None:
        for _ in range(_TRIES):
            run = await self._store.load(Run, run_id)
            if run.ended or run.cancel_requested:
                return
            run.request_cancel()
            try:
                await self._store.save(run, cause=part_of(cause, f"cancel {run_id}"))
            except ConcurrencyError:  # it goes on all the while
                continue
            return

    async def _is_on_record(self, user_id: UUID) -> bool:
        after = 0
        while page := await self._store.read_stream("core", user_id, after=after):
            if any(isinstance(one.event, UserErased) for one in page):
                return True
            after = page[-1].version
        return False

    async def _put_on_record(self, user_id: UUID, *, cause: Cause) -> Position:
        """Say that the user and their flows are gone, to all who show them."""
        position, last = Position(), None
        while flows := await self._estate.flows(user_id, after=last):
            gone = [Flow(flow) for flow in flows]
            for flow in gone:
                flow.delete()
            last = flows[-1]
            saved = await self._store.save(
                cause=part_of(cause, f"flows to {last}"), anywhere=gone
            )
            position = position.upto(saved.position)
        # Nobody can load them any more, and this is so whatever came before.
        user = User(user_id)
        user.erase()
        saved = await self._store.save(cause=part_of(cause, "erase"), anywhere=(user,))
        return position.upto(saved.position)
