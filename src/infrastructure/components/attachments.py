"""Files that go with a message: what a model is shown of them, or reads."""

from base64 import b64encode
from typing import Any, Final

from application.ports.components import ComponentFailedError, Invocation
from domain.file.names import ending_of, media_type_of
from domain.file.pictures import ENDINGS, LARGEST
from domain.run.values import Message, Value

LARGEST_TEXT: Final = 16 * 1024 * 1024
TEXTS: Final = frozenset(
    {
        *("txt", "md", "mdx", "csv", "json", "yaml", "yml", "xml", "html", "htm"),
        *("py", "sh", "sql", "js", "ts", "tsx", "css", "log", "svg"),
    }
)
"""Endings of files that are read as text."""


type Shown = str | list[str | dict[Any, Any]]
"""What a model is told: text, or blocks of text and images."""


class UnreadableFileError(ComponentFailedError):
    """The file is none that this server reads as text."""


def paths_of(value: Value) -> list[str]:
    """Return the paths that a field of files holds."""
    match value:
        case str():
            return [value] if value else []
        case list() | tuple():
            return [path for item in value for path in paths_of(item)]
        case _:
            return []


def files_with(value: Value) -> list[str]:
    """Return the files that go with messages."""
    match value:
        case Message(files=files):
            return list(files)
        case list() | tuple():
            return [path for item in value for path in files_with(item)]
        case _:
            return []


async def text_in(call: Invocation, path: str) -> str:
    """Return the text of a file of the run's owner."""
    if ending_of(path) not in TEXTS:
        raise UnreadableFileError(_not_read(path))
    return decoded(await call.read_file(path, most=LARGEST_TEXT))


def _not_read(path: str) -> str:
    return f"This server reads no such files: “{path.rpartition('/')[2]}”"


def decoded(data: bytes) -> str:
    """Return *data* as text: UTF-8, UTF-16 where it says so, else Latin-1."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


async def shown(call: Invocation, text: str, files: list[str]) -> Shown:
    """Return what a model is told: *text*, and blocks for *files* if there are any."""
    if not files:
        return text
    blocks: list[str | dict[Any, Any]] = []
    if text.strip():
        blocks.append({"type": "text", "text": text})
    for path in files:
        kind = media_type_of(path)
        if kind in ENDINGS:
            data = await call.read_file(path, most=LARGEST)
            url = f"data:{kind};base64,{b64encode(data).decode()}"
            blocks.append({"type": "image_url", "image_url": {"url": url}})
        else:
            name, read = path.rpartition("/")[2], await text_in(call, path)
            blocks.append({"type": "text", "text": f"{name}:\n\n{read}"})
    return blocks
