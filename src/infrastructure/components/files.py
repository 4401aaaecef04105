"""Files in a flow: the text, the table or the record that they hold."""

import csv
import io
from typing import Final, override

import msgspec

from application.ports.components import (
    ComponentFailedError,
    Invocation,
    MissingSettingError,
)
from domain.file.names import ending_of
from domain.run.values import Data, DataFrame, Message, Value
from infrastructure.components import fields
from infrastructure.components.attachments import (
    TEXTS,
    UnreadableFileError,
    paths_of,
    text_in,
)
from infrastructure.components.builtin import Builtin, Node
from infrastructure.components.convert import text_of

_KINDS: Final = (
    *("txt", "md", "mdx", "csv", "json", "yaml", "yml", "xml", "html", "htm", "py"),
    *("sh", "sql", "js", "ts", "tsx"),
)
_MESSAGE = fields.output("message", "Raw Content", "Message", "load_files_message")
_PATH = fields.output("path", "File Path", "Message", "load_files_path")
_TABLE = fields.output(
    "dataframe", "Structured Content", "DataFrame", "load_files_structured"
)
_RECORD = fields.output("json", "Structured Content", "Data", "load_files_json")
_FILES = fields.output("dataframe", "Files", "DataFrame", "load_files")
_OUTPUTS: Final = frozenset({"message", "path", "dataframe", "json"})


class BrokenFileError(ComponentFailedError):
    """The file is not what its name says."""


class File(Builtin):
    """What somebody uploaded, read for the flow."""

    type = "File"
    category = "data"

    @override
    def describe(self) -> Node:
        return fields.component(
            "File",
            "File",
            module="data.file.FileComponent",
            icon="file-text",
            description="Reads one or more of your files.",
            fields=[
                fields.files(
                    "path",
                    "Files",
                    _KINDS,
                    value=[],
                    temp_file=False,
                    real_time_refresh=True,
                    info=f"Files to read: {', '.join(_KINDS)}.",
                ),
                fields.handle(
                    "file_path",
                    "Server File Path",
                    ["Data", "Message"],
                    list=True,
                    advanced=True,
                    info="A record with a file_path, or a message that is one; it "
                    "goes before “Files”.",
                ),
                fields.line(
                    "separator",
                    "Separator",
                    "\n\n",
                    advanced=True,
                    info="What stands between the texts of several files.",
                ),
                *_switches(),
            ],
            outputs=[_MESSAGE],
        )

    @override
    def has_output(self, name: str) -> bool:
        return name in _OUTPUTS

    @override
    def outputs_now(self, node: Node) -> list[Node]:
        field = node["template"]["path"]
        paths = paths_of(field.get("file_path") or field.get("value"))
        if not paths:
            return [dict(_MESSAGE)]
        if len(paths) > 1:
            return [dict(_FILES)]
        structured = {"csv": _TABLE, "json": _RECORD}.get(ending_of(paths[0]))
        outputs = [structured] if structured else []
        return [dict(output) for output in (*outputs, _MESSAGE, _PATH)]

    @override
    async def compute(self, output: str, call: Invocation) -> Value:
        paths = self._paths(call)
        if not paths:
            raise MissingSettingError("There is no file to read: choose one in “Files”")
        if output == "path":
            for path in paths:
                await call.find_file(path)
            return Message(text="\n".join(paths), session_id=call.facts.session)
        read = await self._read(call, paths)
        match output:
            case "message":
                separator = self.text(call, "separator").replace("\\n", "\n")
                text = separator.join(read.values())
                return Message(text=text, session_id=call.facts.session)
            case "json":
                return _record(next(iter(read.items())))
            case _:
                return _table(read)

    def _paths(self, call: Invocation) -> list[str]:
        came = self.given(call, "file_path")
        given = came if isinstance(came, list | tuple) else [came]
        said = [
            one.data.get("file_path") if isinstance(one, Data) else one for one in given
        ]
        found = [path for one in said if (path := text_of(one).strip())]
        return found or paths_of(self.given(call, "path"))

    async def _read(self, call: Invocation, paths: list[str]) -> dict[str, str]:
        """Return the text of each file by its path."""
        read: dict[str, str] = {}
        for path in paths:
            if ending_of(path) not in TEXTS and self._passes_over(call, path):
                call.log("File", f"{path} was passed over")
                continue
            try:
                read[path] = await text_in(call, path)
            except ComponentFailedError as error:
                if not self.given(call, "silent_errors"):
                    raise
                call.log("File", error.sentence)
        if not read:
            names = ", ".join(path.rpartition("/")[2] for path in paths)
            raise UnreadableFileError(f"None of these files could be read: {names}")
        return read

    def _passes_over(self, call: Invocation, path: str) -> bool:
        """Tell whether a file may be left out; one that others read may not."""
        known = {"pdf", "docx", "zip", "tar", "tgz", "bz2", "gz"}
        ignores = bool(self.given(call, "ignore_unsupported_extensions"))
        return ignores and ending_of(path) not in known


def _switches() -> list[fields.Field]:
    silent, *ignoring = _what_to_leave_out()
    deleting, *threads = _without_effect()
    return [silent, deleting, *ignoring, *threads]


def _what_to_leave_out() -> list[fields.Field]:
    return [
        fields.boolean(
            "silent_errors",
            "Silent Errors",
            value=False,
            advanced=True,
            info="Go on without the files that cannot be read.",
        ),
        fields.boolean(
            "ignore_unsupported_extensions",
            "Ignore Unsupported Extensions",
            value=True,
            advanced=True,
            info="Pass over files of kinds that nobody reads.",
        ),
        fields.boolean(
            "ignore_unspecified_files",
            "Ignore Unspecified Files",
            value=False,
            advanced=True,
            info="Pass over records without a file_path.",
        ),
    ]


def _without_effect() -> list[fields.Field]:
    return [
        fields.boolean(
            "delete_server_file_after_processing",
            "Delete Server File After Processing",
            value=True,
            advanced=True,
            info="Without effect here: a run deletes no file.",
        ),
        fields.boolean(
            "use_multithreading",
            "[Deprecated] Use Multithreading",
            value=True,
            advanced=True,
            info="Without effect here.",
        ),
        fields.integer(
            "concurrency_multithreading",
            "Processing Concurrency",
            1,
            advanced=True,
            info="Without effect here: files are read one after the other.",
        ),
    ]


def _record(file: tuple[str, str]) -> Data:
    path, text = file
    try:
        held = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise BrokenFileError(_broken(path, error)) from None
    return Data(data=held if isinstance(held, dict) else {"results": held})


def _table(read: dict[str, str]) -> DataFrame:
    [(path, text), *others] = read.items()
    if not others and ending_of(path) == "csv":
        rows = csv.DictReader(io.StringIO(text, newline=""), restkey="", restval="")
        try:
            return DataFrame(rows=[dict(row) for row in rows])
        except csv.Error as error:
            raise BrokenFileError(_broken(path, error)) from None
    return DataFrame(
        rows=[{"file_path": path, "text": text} for path, text in read.items()]
    )


def _broken(path: str, error: Exception) -> str:
    return f"“{path.rpartition('/')[2]}” is not what its name says: {error}"
