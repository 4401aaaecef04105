"""Files of flows that are tools, for those who call the tools to read."""

from collections.abc import Collection, Sequence
from contextlib import aclosing
from typing import Final, Protocol
from uuid import UUID

import msgspec

from application.files import Files
from application.permissions import NotFoundError, person
from application.tools import MOST, Desk, ExposedFlows
from domain.kernel import DomainError

PAGE: Final = 100
"""Files in one answer."""
LARGEST: Final = 8 * 1024 * 1024
"""Bytes that one answer holds; larger files are read in parts, or downloaded."""


class UnknownResourceError(DomainError):
    """There is no file at this address."""


class LargeResourceError(DomainError):
    """So much is not read through MCP at once; ask for parts, or download the file."""


class NoSuchPartError(DomainError):
    """There is no such part of the file."""


class FlowFile(Protocol):
    """A file of a flow, as a list has it; ``size`` in bytes."""

    @property
    def id(self) -> UUID: ...
    @property
    def flow(self) -> UUID | None: ...
    @property
    def name(self) -> str: ...
    @property
    def shown_name(self) -> str: ...
    @property
    def media_type(self) -> str: ...
    @property
    def size(self) -> int: ...


class FlowFiles(Protocol):
    """The files of flows."""

    async def of_flows(
        self,
        owner: UUID,
        flows: Collection[UUID],
        *,
        after: UUID | None,
        limit: int,
    ) -> Sequence[FlowFile]:
        """
        Return the files that *owner* uploaded to any of *flows*, oldest first.

        They begin behind the file *after*; behind one that is gone there is none.
        """
        ...


class FilePage(msgspec.Struct, frozen=True):
    """Some files, and after which of them the next page begins, if there is one."""

    files: list[FlowFile]
    after: str | None = None


class Read(msgspec.Struct, frozen=True):
    """A file's bytes."""

    media_type: str
    data: bytes


class Resources:
    """Lists and reads the files of the flows that are tools, and of no others."""

    def __init__(
        self, *, exposed: ExposedFlows, listed: FlowFiles, files: Files
    ) -> None:
        self._exposed = exposed
        self._listed = listed
        self._files = files

    async def page(self, desk: Desk, *, after: str | None = None) -> FilePage:
        """Return the files after that of the id *after*; none after what is no id."""
        try:
            last = None if after is None else UUID(after)
        except ValueError:
            return FilePage([])
        found = await self._listed.of_flows(
            person(desk.actor), await self._flows(desk), after=last, limit=PAGE + 1
        )
        shown = list(found[:PAGE])
        return FilePage(shown, str(shown[-1].id) if len(found) > PAGE else None)

    async def read(
        self,
        desk: Desk,
        flow: UUID,
        name: str,
        *,
        start: int = 0,
        end: int | None = None,
    ) -> Read:
        """
        Return the bytes of a file from *start* up to *end*, exclusive.

        Raise `UnknownResourceError`, `NoSuchPartError` or, where that is more than
        one answer holds, `LargeResourceError`.
        """
        if flow not in await self._flows(desk):
            raise UnknownResourceError
        try:
            file = await self._files.at(desk.actor, f"{flow}/{name}")
        except NotFoundError:
            raise UnknownResourceError from None
        size = file.content.size
        end = size if end is None else min(end, size)
        if start > end or (start == end and size):
            raise NoSuchPartError(f"it has {size} bytes")
        if end - start > LARGEST:
            raise LargeResourceError(f"{end - start} bytes, of {LARGEST} at most")
        opened = await self._files.open(file, start=start, end=end)
        async with aclosing(opened.chunks) as chunks:
            data = b"".join([chunk async for chunk in chunks])
        return Read(opened.media_type, data)

    async def _flows(self, desk: Desk) -> set[UUID]:
        exposed = await self._exposed.exposed(
            person(desk.actor), project=desk.project, limit=MOST
        )
        return {flow.id for flow in exposed}
