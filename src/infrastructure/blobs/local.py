"""Blobs as files in a local directory."""

import asyncio
import errno
import os
import tempfile
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Collection,
    Iterator,
)
from contextlib import contextmanager, suppress
from datetime import datetime
from hashlib import sha256
from io import FileIO
from pathlib import Path
from typing import Final, override

from application.ports import (
    Arrival,
    Blobs,
    BlobsAwayError,
    BlobsFullError,
    ContentMissingError,
)
from infrastructure.blobs.address import address_of, checked
from infrastructure.data_directory import make_directory, sync_directory

PIECE: Final = 1024 * 1024
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class LocalBlobs(Blobs):
    """Files ``sha256/ab/cd/abcd…`` under a directory, whole or absent."""

    def __init__(self, directory: Path) -> None:
        self._root = directory / "sha256"
        self._arriving = directory / "arriving"
        for folder in (directory, self._root, self._arriving):
            make_directory(folder)

    @override
    async def put(self, data: bytes) -> str:
        with _there():
            return await asyncio.to_thread(self._put, data)

    @override
    async def get(self, address: str) -> bytes:
        path = self._path(address)
        with _there():
            try:
                return await asyncio.to_thread(path.read_bytes)
            except FileNotFoundError as error:
                raise ContentMissingError(address) from error

    @override
    async def delete(self, address: str) -> None:
        with suppress(ContentMissingError):
            path = self._path(address)
            with _there():
                await asyncio.to_thread(path.unlink, missing_ok=True)

    @override
    async def receive(self, data: AsyncIterator[bytes]) -> Arrival:
        digest, size = sha256(), 0
        with _there():
            descriptor, name = tempfile.mkstemp(dir=self._arriving)
        path = Path(name)
        try:
            # Without a buffer: what does not fit must not be tried again at the close.
            with FileIO(descriptor, "wb") as file:
                async for piece in data:
                    with _there():
                        await asyncio.to_thread(_write, file, piece, digest.update)
                    size += len(piece)
                with _there():
                    await asyncio.to_thread(_settle, file)
        except BaseException:
            # At once: whoever was cancelled may not wait for a thread.
            path.unlink(missing_ok=True)  # noqa: ASYNC240
            raise
        return Arrival(address=digest.hexdigest(), size=size, place=path.name)

    @override
    async def accept(self, arrival: Arrival) -> None:
        with _there():
            await asyncio.to_thread(self._accept, arrival)

    @override
    async def refuse(self, arrival: Arrival) -> None:
        await self.sweep([arrival.place])

    @override
    async def stream(
        self, address: str, *, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[bytes]:
        path = self._path(address)
        with _there():
            try:
                file = await asyncio.to_thread(path.open, "rb")
            except FileNotFoundError as error:
                raise ContentMissingError(address) from error
        with file:
            file.seek(start)
            left = float("inf") if end is None else end - start
            while left > 0:
                with _there():
                    piece = await asyncio.to_thread(file.read, int(min(left, PIECE)))
                if not piece:
                    return
                left -= len(piece)
                yield piece

    @override
    async def left_over(self, *, before: datetime) -> dict[str, int]:
        """Return the files that never came to be blobs, with their sizes."""
        return await asyncio.to_thread(self._left_over, before.timestamp())

    @override
    async def sweep(self, left_over: Collection[str]) -> None:
        """Remove files that were left over."""
        for name in left_over:
            path = self._arriving / Path(name).name
            with _there():
                await asyncio.to_thread(path.unlink, missing_ok=True)

    def _left_over(self, before: float) -> dict[str, int]:
        found = {}
        for path in self._arriving.iterdir():
            with suppress(FileNotFoundError):  # it has arrived meanwhile
                known = path.stat()
                if known.st_mtime < before:
                    found[path.name] = known.st_size
        return found

    def _path(self, address: str) -> Path:
        checked(address)
        return self._root / address[:2] / address[2:4] / address

    def _put(self, data: bytes) -> str:
        address = address_of(data)
        path = self._path(address)
        if path.exists():
            return address
        self._make_folders(path.parent)
        descriptor, name = tempfile.mkstemp(dir=self._arriving)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            # Replacing is harmless: the same address is the same bytes.
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        sync_directory(path.parent)
        return address

    def _accept(self, arrival: Arrival) -> None:
        path = self._path(arrival.address)
        self._make_folders(path.parent)
        (self._arriving / Path(arrival.place).name).replace(path)
        sync_directory(path.parent)

    def _make_folders(self, folder: Path) -> None:
        for made in (folder.parent, folder):
            try:
                made.mkdir(mode=0o700)
            except FileExistsError:
                continue
            sync_directory(made.parent)


@contextmanager
def _there() -> Iterator[None]:
    """Say of a disk that it is full, or, gone or broken, that it is away."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise BlobsFullError from error
        raise BlobsAwayError from error


def _write(file: FileIO, piece: bytes, count: Callable[[bytes], None]) -> None:
    count(piece)
    left = memoryview(piece)
    while left:  # a file without a buffer takes as much as it likes
        left = left[file.write(left) :]


def _settle(file: FileIO) -> None:
    os.fsync(file.fileno())
