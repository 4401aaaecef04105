"""A zip that is packed while it is sent."""

import asyncio
import io
import zipfile
from collections.abc import AsyncGenerator, AsyncIterator, Buffer, Iterable
from contextlib import aclosing
from typing import Final, NamedTuple, override

from domain.file.names import parts

LEVEL: Final = 1


class Member(NamedTuple):
    """A file to be packed: its name inside, its size, and its bytes in parts."""

    name: str
    size: int
    chunks: AsyncGenerator[bytes]


async def zipped(members: AsyncIterator[Member]) -> AsyncGenerator[bytes]:
    """Yield the bytes of a zip with *members*, each made in its turn."""
    outlet = _Outlet()
    with zipfile.ZipFile(
        outlet, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL
    ) as archive:
        async for member in members:
            inside = zipfile.ZipInfo(member.name)
            inside.compress_type = zipfile.ZIP_DEFLATED
            large = member.size >= zipfile.ZIP64_LIMIT
            async with aclosing(member.chunks) as chunks:
                with archive.open(inside, "w", force_zip64=large) as entry:
                    async for chunk in chunks:
                        await asyncio.to_thread(entry.write, chunk)
                        yield outlet.taken()
    yield outlet.taken()


class _Outlet(io.RawIOBase):
    """Takes what the zip writes until it is sent; it cannot go back."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    @override
    def writable(self) -> bool:
        return True

    @override
    def write(self, data: Buffer, /) -> int:
        self._waiting += data
        return memoryview(data).nbytes

    def taken(self) -> bytes:
        taken = bytes(self._waiting)
        self._waiting.clear()
        return taken


def unlike(names: Iterable[str]) -> list[str]:
    """Return *names* so that no two are alike, even where case does not count."""
    taken: set[str] = set()
    found = []
    for name in names:
        (stem, ending), number, free = parts(name), 1, name
        while free.casefold() in taken:
            free, number = f"{stem} ({number}){ending}", number + 1
        taken.add(free.casefold())
        found.append(free)
    return found
