"""What can be asked about files."""

from collections.abc import Collection
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import select, tuple_

from domain.file.names import parts
from projections.files.tables import FILES
from projections.reading import Found, Views, among

_OLDEST_FIRST: Final = (FILES.c.created_at, FILES.c.id)


class FileRow(msgspec.Struct, frozen=True):
    """A file; ``flow`` is None where it is one of the owner's own. Size in bytes."""

    id: UUID
    owner: UUID
    flow: UUID | None
    name: str
    title: str
    media_type: str
    size: int
    created_at: datetime
    updated_at: datetime

    @property
    def path(self) -> str:
        """How runs and clients name it: where it lies, and its name."""
        return f"{self.flow or self.owner}/{self.name}"

    @property
    def shown_name(self) -> str:
        """Its title as it is now, with the ending it came with."""
        return self.title + parts(self.name)[1]


class FileViews(Views):
    """Questions about files."""

    async def of_flow(
        self, owner: UUID, flow: UUID, *, limit: int | None = None, offset: int = 0
    ) -> Found[FileRow]:
        """Return the files that *owner* uploaded to a flow, oldest first."""
        its = (FILES.c.flow == flow, FILES.c.owner == owner)
        query = select(FILES).where(*its).order_by(*_OLDEST_FIRST)
        rows, total = await self._page(query, limit=limit, offset=offset)
        return Found((FileRow(*row) for row in rows), total)

    async def of_flows(
        self,
        owner: UUID,
        flows: Collection[UUID],
        *,
        after: UUID | None = None,
        limit: int,
    ) -> list[FileRow]:
        """
        Return the files that *owner* uploaded to any of *flows*, oldest first.

        They begin behind the file *after*; behind one that is gone there is none.
        """
        if not flows:
            return []
        mine = select(FILES).where(FILES.c.owner == owner)
        query = mine.where(among(FILES.c.flow, list(flows)))
        if after is not None:
            last = select(*_OLDEST_FIRST).where(FILES.c.id == after)
            last = last.where(FILES.c.owner == owner).correlate(None)
            query = query.where(tuple_(*_OLDEST_FIRST) > last.scalar_subquery())
        rows = await self._all(query.order_by(*_OLDEST_FIRST).limit(limit))
        return [FileRow(*row) for row in rows]

    async def of_user(
        self, owner: UUID, *, limit: int | None = None, offset: int = 0
    ) -> Found[FileRow]:
        """Return the files of a user that belong to no flow, oldest first."""
        own = (FILES.c.owner == owner, FILES.c.flow.is_(None))
        query = select(FILES).where(*own).order_by(*_OLDEST_FIRST)
        rows, total = await self._page(query, limit=limit, offset=offset)
        return Found((FileRow(*row) for row in rows), total)

    async def of_ids(self, owner: UUID, ids: Collection[UUID]) -> list[FileRow]:
        """Return those of *ids* that are files of *owner*, oldest first."""
        if not ids:
            return []
        mine = select(FILES).where(FILES.c.owner == owner, among(FILES.c.id, list(ids)))
        return [FileRow(*row) for row in await self._all(mine.order_by(*_OLDEST_FIRST))]
