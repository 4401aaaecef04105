"""Threads of a run: found by the session's name, opened by the first message."""

from uuid import UUID, uuid4

import msgspec

from application.ids import thread_id
from application.ports import (
    Attached,
    Cause,
    Claim,
    Claims,
    ClaimTakenError,
    ConcurrencyError,
    EventStore,
    Owned,
)
from domain.thread.thread import Thread

KIND = "thread"
TRIES = 4


def claim_key(flow: UUID, session: str) -> str:
    """Return the key under which a flow's session claims its thread."""
    return f"{flow}/{session}"


class Threads:
    """Which thread a session is, opened where there is none."""

    def __init__(self, store: EventStore, claims: Claims) -> None:
        self._store = store
        self._claims = claims

    async def of(self, flow: UUID, session: str, *, owner: UUID, cause: Cause) -> UUID:
        """Return the thread of *session*; whoever opens it first has opened it."""
        key = claim_key(flow, session)
        salt = ""
        for _ in range(TRIES):
            thread = await self._claims.holder(KIND, key)
            if thread is not None:
                return thread
            try:
                return await self._open(flow, session, salt, owner=owner, cause=cause)
            except ClaimTakenError:
                continue
            except ConcurrencyError:  # an earlier thread of this name was renamed
                salt = uuid4().hex
        raise ConcurrencyError(key)

    async def _open(
        self, flow: UUID, session: str, salt: str, *, owner: UUID, cause: Cause
    ) -> UUID:
        thread = Thread(thread_id(flow, session, salt=salt))
        thread.open(flow=flow, session=session, owner=owner)
        await self._store.save(
            thread,
            cause=msgspec.structs.replace(
                cause,
                command_id=uuid4(),
                causation_id=cause.command_id,
                request_hash=b"",
                idempotent=False,
            ),
            attached=Attached(
                claims=(Claim(KIND, claim_key(flow, session), thread.id),),
                owned=(Owned(thread.id, "thread", owner),),
            ),
        )
        return thread.id
