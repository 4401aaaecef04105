"""Files on their way to the server and back, piece by piece."""

import os
import secrets
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import BinaryIO, Final, cast

from langbuilder.errors import ConfigurationError
from langbuilder.sending import Sending
from langbuilder.steps import Apart, Close, More, Steps
from langbuilder.wire import Answer, Call

PIECE: Final = 256 * 1024

type Source = str | os.PathLike[str] | bytes | BinaryIO
"""Where a file's bytes are: a path, the bytes, or an open binary file."""

type Progress = Callable[[int, int | None], object]
"""Is told the bytes so far, and all there are if that is known."""

ESCAPES: Final = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})
"""How names are written in a form, by the WHATWG's HTML standard."""


class Upload:
    """A form of one file, as ``multipart/form-data`` (RFC 7578)."""

    def __init__(
        self,
        source: Source,
        *,
        name: str | None = None,
        progress: Progress | None = None,
        content_type: str = "application/octet-stream",
    ) -> None:
        self._source = Path(source) if isinstance(source, str | os.PathLike) else source
        self._progress = progress
        self._start = _place(self._source)
        boundary = secrets.token_hex(16)
        named = (name or _name(self._source)).translate(ESCAPES)
        self._head = (
            f"--{boundary}\r\n"
            f'Content-Disposition: form-data; name="file"; filename="{named}"\r\n'
            f"Content-Type: {content_type}\r\n\r\n"
        ).encode()
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        self._size = self._measured()
        self.headers: Mapping[str, str] = {
            "content-type": f"multipart/form-data; boundary={boundary}"
        } | self._length()

    @property
    def repeatable(self) -> bool:
        """Whether it can be read once more, from its beginning."""
        return self._start is not None

    def pieces(self) -> Generator[bytes]:
        """Yield the form from its beginning."""
        yield self._head
        sent = 0
        for piece in self._read():
            yield piece
            sent += len(piece)
            if self._progress is not None:
                self._progress(sent, self._size)
        yield self._tail

    def _read(self) -> Generator[bytes]:
        source = self._source
        if isinstance(source, bytes):
            yield from (source[i : i + PIECE] for i in range(0, len(source), PIECE))
        elif isinstance(source, Path):
            with source.open("rb") as file:
                while piece := file.read(PIECE):
                    yield piece
        else:
            if self._start is not None:
                source.seek(self._start)
            while piece := source.read(PIECE):
                yield piece

    def _measured(self) -> int | None:
        if isinstance(self._source, bytes):
            return len(self._source)
        if isinstance(self._source, Path):
            return self._source.stat().st_size
        if self._start is None:
            return None
        end = self._source.seek(0, os.SEEK_END)
        self._source.seek(self._start)
        return end - self._start

    def _length(self) -> dict[str, str]:
        if self._size is None:
            return {}
        return {"content-length": str(len(self._head) + self._size + len(self._tail))}


def uploading(
    path: str,
    source: Source,
    *,
    name: str | None = None,
    query: Mapping[str, object] | None = None,
    progress: Progress | None = None,
    key: str | None = None,
    content_type: str = "application/octet-stream",
) -> Call:
    """Return the call that sends *source*."""
    form = Upload(source, name=name, progress=progress, content_type=content_type)
    return Call(method="POST", path=path, query=query or {}, content=form, key=key)


def downloading(
    sending: Sending,
    call: Call,
    to: str | os.PathLike[str],
    progress: Progress | None = None,
) -> Steps[Path]:
    """
    Write the answer to *call* into the file *to*, which appears once it is whole.

    What breaks off leaves nothing behind, and what was there before as it was.
    """
    target = Path(to)
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    answer: Answer = yield from sending.send(call)
    ours = True
    try:
        file = cast("BinaryIO", (yield Apart(lambda: part.open("xb"))))
        try:
            yield from _written(answer, file, progress)
        finally:
            file.close()
        yield Apart(lambda: part.replace(target))
    except GeneratorExit:
        ours = False  # nobody is left who could close it in an orderly way
        raise
    finally:
        part.unlink(missing_ok=True)
        if ours:
            yield Close(answer)
    return target


def _written(answer: Answer, file: BinaryIO, progress: Progress | None) -> Steps[None]:
    total = answer.headers.get("content-length")
    size = int(total) if total and "content-encoding" not in answer.headers else None
    got = 0
    while (piece := (yield More(answer))) is not None:
        yield Apart(lambda piece=piece: file.write(piece))  # type: ignore[misc]  # a default to bind it now
        got += len(piece)
        if progress is not None:
            progress(got, size)


def _place(source: Path | bytes | BinaryIO) -> int | None:
    """Return where reading begins, ``None`` if one can only read on."""
    if isinstance(source, bytes | Path):
        return 0
    if isinstance(source.read(0), str):
        raise ConfigurationError("The file is open for text: open it with mode 'rb'")
    return source.tell() if source.seekable() else None


def _name(source: Path | bytes | BinaryIO) -> str:
    if isinstance(source, Path):
        return source.name
    named = getattr(source, "name", None)
    return Path(named).name if isinstance(named, str) else "file"
