"""Blobs as files in a local directory."""

import asyncio
import os
import tempfile
from collections.abc import Collection
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import override

from application.ports import Blobs, ContentMissingError
from infrastructure.blobs.address import address_of, checked
from infrastructure.data_directory import make_directory, sync_directory


class LocalBlobs(Blobs):
    """Files ``sha256/ab/cd/abcd…`` under a directory, whole or absent."""

    def __init__(self, directory: Path) -> None:
        self._root = directory / "sha256"
        self._arriving = directory / "arriving"
        for folder in (directory, self._root, self._arriving):
            make_directory(folder)

    @override
    async def put(self, data: bytes) -> str:
        return await asyncio.to_thread(self._put, data)

    @override
    async def get(self, address: str) -> bytes:
        try:
            return await asyncio.to_thread(self._path(address).read_bytes)
        except FileNotFoundError as error:
            raise ContentMissingError(address) from error

    @override
    async def delete(self, address: str) -> None:
        with suppress(ContentMissingError):
            path = self._path(address)
            await asyncio.to_thread(path.unlink, missing_ok=True)

    async def left_over(self, *, before: datetime) -> dict[str, int]:
        """Return the files that never came to be blobs, with their sizes."""
        return await asyncio.to_thread(self._left_over, before.timestamp())

    async def sweep(self, left_over: Collection[str]) -> None:
        """Remove files that were left over."""
        for name in left_over:
            path = self._arriving / name
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

    def _make_folders(self, folder: Path) -> None:
        for made in (folder.parent, folder):
            try:
                made.mkdir(mode=0o700)
            except FileExistsError:
                continue
            sync_directory(made.parent)
