"""One value as another: what reads as text, as a record, as a table."""

import json
import re
from collections.abc import Sequence

import msgspec

from domain.kernel import Json
from domain.run.values import Data, DataFrame, Live, Message, Value

_MESSAGE_COLUMNS = (
    "sender",
    "text",
    "error",
    "files",
    "category",
    "id",
    "session_id",
    "timestamp",
    "sender_name",
    "edit",
    "properties",
    "content_blocks",
    "flow_id",
    "duration",
)


def text_of(value: Value, *, clean: bool = False) -> str:  # noqa: PLR0911 - a case a kind
    """
    *value* as a person or a model would read it.

    With *clean* a table loses its empty rows and the white space in its cells is
    drawn together.
    """
    match value:
        case None:
            return ""
        case str():
            return value
        case Message():
            return value.text
        case Data():
            return _record_text(value)
        case DataFrame():
            return markdown(value, clean=clean)
        case Live():
            return f"<{value.type_name}>"
        case list() | tuple():
            return "\n".join(text_of(item, clean=clean) for item in value)
        case _:
            return _json(value)


def _record_text(record: Data) -> str:
    """A record without its text key is shown whole: silence would hide it."""
    if record.data.get(record.text_key) is not None or not record.data:
        return record.text
    return record.default_value or _json(record.data)


def _json(value: Json) -> str:
    if isinstance(value, bool | int | float):
        return str(value)
    return json.dumps(msgspec.to_builtins(value), ensure_ascii=False)


def markdown(table: DataFrame, *, clean: bool = False) -> str:
    """*table* with its columns in order of appearance; nothing for an empty one."""
    rows = [row for row in table.rows if not clean or not _is_empty(row)]
    columns = columns_of(rows)
    if not columns:
        return ""
    lines = [
        _line([_cell(column, clean=clean) for column in columns]),
        _line([":---"] * len(columns)),
    ]
    lines += [
        _line([_cell(row.get(column), clean=clean) for column in columns])
        for row in rows
    ]
    return "\n".join(lines)


def columns_of(rows: Sequence[dict[str, Json]]) -> list[str]:
    return list(dict.fromkeys(key for row in rows for key in row))


def _is_empty(row: dict[str, Json]) -> bool:
    return all(value is None or value == "" for value in row.values())


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(value: Json, *, clean: bool) -> str:
    text = text_of(value) if isinstance(value, str | None) else _json(value)
    if clean:
        text = " ".join(text.split())
    return re.sub(r"\r\n?|\n", "<br>", text).replace("|", "\\|")


def record_of(value: Value) -> Data:
    """*value* as one record; a table becomes its rows under ``results``."""
    match value:
        case Data():
            return value
        case Message():
            return Data(data=message_row(value))
        case DataFrame():
            return Data(data={"results": value.rows})
        case dict():
            return Data(data=value)
        case list() | tuple():
            return Data(data={"results": [record_of(item).data for item in value]})
        case _:
            return Data(data={"text": text_of(value)})


def table_of(value: Value) -> DataFrame:
    """*value* as a table: records become rows, and ``results`` its rows again."""
    match value:
        case DataFrame():
            return value
        case list() | tuple():
            return DataFrame(
                rows=[row for item in value for row in table_of(item).rows]
            )
        case _:
            record = record_of(value).data
            match record:
                case {"results": list() as rows, **rest} if not rest and all(
                    isinstance(row, dict) for row in rows
                ):
                    return DataFrame(rows=rows)
                case _:
                    return DataFrame(rows=[record] if record else [])


def words_of(record: Data) -> dict[str, str]:
    """*record* for a template: every value as text, and ``text`` itself."""
    words = {str(key): text_of(value) for key, value in record.data.items()}
    return {"text": record.text, **words}


def message_of(value: Value) -> Message:
    """*value* as a new message, keeping what a message brought along."""
    if isinstance(value, Message):
        return msgspec.structs.replace(value, id=None, timestamp="")
    return Message(text=text_of(value))


def message_row(message: Message) -> dict[str, Json]:
    """*message* as a row, its columns in the order of a message table."""
    fields = msgspec.to_builtins(message)
    return {column: fields[column] for column in _MESSAGE_COLUMNS}
