"""What can be asked about files."""

from collections.abc import Collection
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import Select, select

from domain.file.names import parts
from projections.files.tables import FILES
from projections.reading import Views, among

MOST: Final = 10_000
"""Files that a list holds at most."""


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

    async def of_flow(self, owner: UUID, flow: UUID) -> list[FileRow]:
        """Return the files that *owner* uploaded to a flow, oldest first."""
        return await self._rows(
            select(FILES).where(FILES.c.flow == flow, FILES.c.owner == owner)
        )

    async def of_flows(
        self, owner: UUID, flows: Collection[UUID], *, limit: int = MOST
    ) -> list[FileRow]:
        """Return the files that *owner* uploaded to any of *flows*, oldest first."""
        if not flows:
            return []
        mine = select(FILES).where(FILES.c.owner == owner)
        return await self._rows(mine.where(among(FILES.c.flow, list(flows))), limit)

    async def of_user(self, owner: UUID) -> list[FileRow]:
        """Return the files of a user that belong to no flow, oldest first."""
        return await self._rows(
            select(FILES).where(FILES.c.owner == owner, FILES.c.flow.is_(None))
        )

    async def of_ids(self, owner: UUID, ids: Collection[UUID]) -> list[FileRow]:
        """Return those of *ids* that are files of *owner*, oldest first."""
        if not ids:
            return []
        mine = select(FILES).where(FILES.c.owner == owner)
        return await self._rows(mine.where(among(FILES.c.id, list(ids))))

    async def _rows(
        self, asked: Select[tuple[object, ...]], limit: int = MOST
    ) -> list[FileRow]:
        ordered = asked.order_by(FILES.c.created_at, FILES.c.id).limit(limit)
        return [FileRow(*row) for row in await self._all(ordered)]
