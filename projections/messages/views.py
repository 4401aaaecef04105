"""What can be asked about messages."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, TypedDict, Unpack
from uuid import UUID

import msgspec
from sqlalchemy import Select, func, select

from domain.kernel import ContentRef
from projections.messages.tables import GONE, MESSAGES, THREADS
from projections.reading import Found, Views, among, part, stored, younger

ORDERS = ("timestamp", "sender", "sender_name", "session_id", "flow_id", "id")
"""What messages can be ordered by."""


class MessageRow(msgspec.Struct, frozen=True):
    """A message; what it says is JSON under ``content``."""

    id: UUID
    owner: UUID
    thread: UUID
    flow_id: UUID
    session_id: str
    sender: str
    sender_name: str
    category: str
    content: ContentRef
    edited: bool
    at: datetime
    run_id: UUID | None


class MessagePlace(msgspec.Struct, frozen=True):
    """Where a message lies."""

    id: UUID
    thread: UUID
    position: int


class Which(TypedDict, total=False):
    """What messages are wanted, and in which order; all of it may be left away."""

    flow: UUID | None
    session: str | None
    sender: str | None
    sender_name: str | None
    order: str
    descending: bool


class UnknownOrderError(ValueError):
    """Messages cannot be ordered by this."""


class MessageViews(Views):
    """Questions about messages; each is about one owner's alone."""

    async def select(
        self,
        owner: UUID,
        *,
        limit: int | None = None,
        offset: int = 0,
        **which: Unpack[Which],
    ) -> list[MessageRow]:
        """Return messages that match all that is given, oldest first by default."""
        query = part(self._matching(owner, **which), limit=limit, offset=offset)
        return [_message(row) for row in await self._all(query)]

    async def page(
        self, owner: UUID, *, limit: int, offset: int = 0, **which: Unpack[Which]
    ) -> Found[MessageRow]:
        """Return what `select` does, and how many match."""
        query = self._matching(owner, **which)
        rows, total = await self._page(query, limit=limit, offset=offset)
        return Found(map(_message, rows), total)

    def _matching(
        self,
        owner: UUID,
        *,
        flow: UUID | None = None,
        session: str | None = None,
        sender: str | None = None,
        sender_name: str | None = None,
        order: str = "timestamp",
        descending: bool = False,
    ) -> Select[Any]:
        if order not in ORDERS:
            raise UnknownOrderError(order)
        query = self._of(owner)
        if flow is not None:
            query = query.where(MESSAGES.c.flow_id == flow)
        for column, wanted in (
            (MESSAGES.c.session_id, session),
            (MESSAGES.c.sender, sender),
            (MESSAGES.c.sender_name, sender_name),
        ):
            if wanted is not None:
                query = query.where(column == stored(wanted))
        keys = [MESSAGES.c.position]
        if order != "timestamp":
            keys.insert(0, MESSAGES.c[order])
        return query.order_by(*(key.desc() if descending else key for key in keys))

    async def sessions(
        self,
        owner: UUID,
        flow: UUID | None = None,
        *,
        limit: int | None = None,
        offset: int = 0,
    ) -> Found[str]:
        """Return the sessions that have messages, the oldest first."""
        mine = self._of(owner).subquery()
        query = select(mine.c.session_id).group_by(mine.c.session_id)
        if flow is not None:
            query = query.where(mine.c.flow_id == flow)
        ordered = query.order_by(func.min(mine.c.position))
        rows, total = await self._page(ordered, limit=limit, offset=offset)
        return Found((session for (session,) in rows), total)

    async def get(self, ids: Collection[UUID]) -> list[MessageRow]:
        """Return those of *ids* that there are, whoever owns them."""
        rows = await self._all(self._everybodys().where(among(MESSAGES.c.id, ids)))
        return [_message(row) for row in rows]

    async def in_session(self, owner: UUID, session: str) -> list[MessageRow]:
        """Return the messages of a session in all flows of an owner, oldest first."""
        return await self.select(owner, session=session)

    async def in_flow(
        self, owner: UUID, flow: UUID, session: str | None, *, after: int, limit: int
    ) -> list[MessagePlace]:
        """Return messages of a flow after a position, oldest first; or of a session."""
        columns = (MESSAGES.c.id, MESSAGES.c.thread, MESSAGES.c.position)
        query = (
            self._of(owner)
            .with_only_columns(*columns)
            .where(MESSAGES.c.flow_id == flow, MESSAGES.c.position > after)
            .order_by(MESSAGES.c.position)
            .limit(limit)
        )
        if session is not None:
            query = query.where(MESSAGES.c.session_id == stored(session))
        return [MessagePlace(*row) for row in await self._all(query)]

    def _everybodys(self) -> Select[Any]:
        columns = [column for column in MESSAGES.c if column.name != "id"]
        return (
            select(MESSAGES.c.id, THREADS.c.owner, *columns)
            .join(THREADS, THREADS.c.id == MESSAGES.c.thread)
            .outerjoin(GONE, GONE.c.flow_id == MESSAGES.c.flow_id)
            .where(GONE.c.flow_id.is_(None))
            .where(younger(MESSAGES.c.at, self._keeping.messages))
        )

    def _of(self, owner: UUID) -> Select[Any]:
        return self._everybodys().where(THREADS.c.owner == owner)


def _message(row: Any) -> MessageRow:
    content = ContentRef(row[8], row[9], row[10])
    return MessageRow(*[*row[:8], content, *row[11:14]])
