"""Files on their way to the server and back, piece by piece."""

import os
import secrets
from collections.abc import Callable, Generator, Mapping
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final
from uuid import NAMESPACE_URL, uuid4, uuid5

import msgspec

from langbuilder.errors import ConfigurationError, ConnectionFailedError
from langbuilder.sending import Sending
from langbuilder.steps import Apart, Close, More, Pause, Steps
from langbuilder.wire import Answer, Call

PIECE: Final = 256 * 1024
PARTIAL: Final = 206

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
        key: str,
    ) -> None:
        self._source = Path(source) if isinstance(source, str | os.PathLike) else source
        self._progress = progress
        self._start = _place(self._source)
        # The same for the same key: a repeat has to be the same to the byte.
        boundary = uuid5(NAMESPACE_URL, key).hex
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
    key = key or str(uuid4())
    form = Upload(
        source, name=name, progress=progress, content_type=content_type, key=key
    )
    return Call(method="POST", path=path, query=query or {}, content=form, key=key)


def downloading(
    sending: Sending,
    call: Call,
    to: str | os.PathLike[str],
    progress: Progress | None = None,
) -> Steps[Path]:
    """
    Write the answer to *call* into the file *to*, which appears once it is whole.

    When the line is cut it goes on where it was, if the server can do that, or else
    from the beginning. What breaks off for good leaves nothing behind, and what was
    there before as it was.
    """
    target = Path(to)
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        file: BinaryIO = yield Apart(lambda: part.open("xb"))
        with file:
            yield from _Download(sending, call, file, progress).carry_out()
        yield Apart(lambda: part.replace(target))
    finally:
        part.unlink(missing_ok=True)
    return target


class _Download:
    """One file on its way here, over as many connections as that takes."""

    def __init__(
        self, sending: Sending, call: Call, file: BinaryIO, progress: Progress | None
    ) -> None:
        self._sending = sending
        self._call = call
        self._file = file
        self._progress = progress
        self._got = 0
        self._tag = ""
        """The ETag of what can be read on from anywhere in it; else nothing."""

    def carry_out(self) -> Steps[None]:
        failures = 0
        while True:
            got = self._got
            answer = yield from self._sending.send(self._asking())
            try:
                yield from self._read(answer)
            except ConnectionFailedError:
                failures = 1 if self._got > got else failures + 1
                if failures > self._sending.retries.most:
                    raise
            else:
                return
            yield Pause(self._sending.retries.pause(failures))

    def _asking(self) -> Call:
        if not self._tag or not self._got:
            return self._call
        headers = dict(self._call.headers) | {"range": f"bytes={self._got}-"}
        return msgspec.structs.replace(self._call, headers=headers)

    def _read(self, answer: Answer) -> Steps[None]:
        ours = True
        try:
            size = self._begin(answer)
            while (piece := (yield More(answer))) is not None:
                yield Apart(partial(self._file.write, piece))
                self._got += len(piece)
                if self._progress is not None:
                    self._progress(self._got, size)
        except GeneratorExit:
            ours = False  # nobody is left who could close it in an orderly way
            raise
        finally:
            if ours:
                yield Close(answer)

    def _begin(self, answer: Answer) -> int | None:
        """Find out where what comes belongs; return how much there is in all."""
        tag = answer.headers.get("etag", "")
        if answer.status != PARTIAL or tag != self._tag:
            self._file.seek(0)
            self._file.truncate()
            self._got = 0
        self._tag = tag if answer.headers.get("accept-ranges") == "bytes" else ""
        left = answer.headers.get("content-length", "")
        if not left.isdigit() or "content-encoding" in answer.headers:
            return None
        return self._got + int(left)


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
