"""Files of yours, which components can read."""

import os
from pathlib import Path

from langbuilder.models import File, Id, id_of
from langbuilder.operations import Resource, operation
from langbuilder.steps import Steps
from langbuilder.uploads import Progress, Source, downloading, uploading
from langbuilder.wire import Call, at, command, get


class Files[D](Resource[D]):
    """Files of yours; nothing is read into memory as a whole."""

    @operation
    def list(self) -> Steps[tuple[File, ...]]:
        """Return all files."""
        return (yield from self._whole(get("/api/v2/files"), File))

    @operation
    def upload(
        self,
        source: Source,
        *,
        name: str | None = None,
        progress: Progress | None = None,
        key: str | None = None,
    ) -> Steps[File]:
        """
        Send a file, and return what became of it; a taken name gets a number.

        *source* is a path, bytes, or a file open for reading in binary mode. *name* is
        what it is to be called, with its ending. *progress* is called with the bytes
        sent and all there are (``None`` if that is not known).
        """
        call = uploading("/api/v2/files", source, name=name, progress=progress, key=key)
        return (yield from self._send(call)).read(File)

    @operation
    def download(
        self,
        file: File | Id,
        to: str | os.PathLike[str],
        *,
        progress: Progress | None = None,
    ) -> Steps[Path]:
        """Write a file's bytes into the file *to*, which appears once it is whole."""
        call = Call(method="GET", path=_of(file), opened=True)
        return (yield from downloading(self._sending, call, to, progress))

    @operation
    def read(self, file: File | Id) -> Steps[bytes]:
        """Return a file's bytes, all at once."""
        return (yield from self._send(get(_of(file)))).content

    @operation
    def rename(
        self, file: File | Id, name: str, *, key: str | None = None
    ) -> Steps[File]:
        """Call a file otherwise; its path stays."""
        call = command("PUT", _of(file), query={"name": name}, key=key)
        return (yield from self._send(call)).read(File)

    @operation
    def delete(self, file: File | Id, *, key: str | None = None) -> Steps[None]:
        """Delete a file."""
        yield from self._send(command("DELETE", _of(file), key=key))


def _of(file: File | Id) -> str:
    return at("/api/v2/files/{}", id_of(file))
