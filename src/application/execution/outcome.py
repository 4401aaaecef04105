"""What a vertex came to, put down as JSON at the moment it was built."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from math import isfinite
from typing import Any

import msgspec

from application.execution.failures import without
from application.execution.messages import message_data, result_of
from domain.kernel import Json
from domain.run.values import Data, DataFrame, Live, Message, Value

LONGEST_TEXT = 6_000
LONGEST_LIST = 1_000
DEEPEST = 60
WIDEST_INTEGER = 63
CHAT = ("ChatInput", "ChatOutput")
INTERFACE = (*CHAT, "TextInput", "TextOutput", "DataOutput", "Webhook")
BUILT = "Built Successfully ✨"


class Log(msgspec.Struct, frozen=True):
    """A line a component noted while it worked."""

    name: str
    message: str
    type: str = "text"


def plain(value: Any, *, depth: int = 0) -> Json:
    """Return *value* as JSON, whole: live objects by name, odd ones by their text."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str | int | float):
        return _plain_scalar(value)
    return "..." if depth > DEEPEST else _plain_parts(value, depth + 1)


def _plain_scalar(value: str | float) -> Json:
    if isinstance(value, str):
        return text(value)
    if isinstance(value, int):
        return value if value.bit_length() < WIDEST_INTEGER else str(value)
    return value if isfinite(value) else None


def _plain_parts(value: Any, depth: int) -> Json:  # noqa: PLR0911 - one a shape
    match value:
        case Message():
            return result_of(value)
        case Live():
            return BUILT
        case Data():
            return {
                "text_key": value.text_key,
                "data": plain(value.data, depth=depth),
                "default_value": value.default_value,
                "text": value.text,
            }
        case DataFrame():
            return plain(value.rows, depth=depth)
        case Mapping():
            return {text(str(k)): plain(v, depth=depth) for k, v in value.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(item, depth=depth) for item in value]
        case _:
            return text(str(value))


def text(value: str) -> str:
    """Return *value* without what UTF-8 cannot carry: lone surrogates."""
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


def truncated(value: Json) -> Json:
    """Return *value* as the canvas shows it: long texts and lists cut short."""
    match value:
        case str() if len(value) > LONGEST_TEXT:
            return value[:LONGEST_TEXT] + "..."
        case list():
            shown = [truncated(item) for item in value[:LONGEST_LIST]]
            if len(value) > LONGEST_LIST:
                shown.append(f"... [truncated {len(value) - LONGEST_LIST} items]")
            return shown
        case dict():
            return {key: truncated(item) for key, item in value.items()}
        case _:
            return value


def kind(value: Value) -> str:
    """Return LangBuilder's word for what a value is."""
    match value:
        case Message() | str():
            return "text"
        case Data() | Mapping():
            return "object"
        case DataFrame() | list() | tuple():
            return "array"
        case _:
            return "unknown"


def shown(value: Value) -> Json:
    """Return what the output inspection of the editor shows of a value."""
    match value:
        case Message():
            return value.text
        case Data():
            return plain(value.data)
        case None:
            return ""
        case _:
            return plain(value)


def represented(value: Value) -> str:
    """Return a value as text for people."""
    seen = shown(value)
    return seen if isinstance(seen, str) else msgspec.json.encode(seen).decode()


def duration_text(seconds: float) -> str:
    """Return a span of time the way the canvas shows it."""
    if seconds < 1:
        return f"{round(seconds * 1000)} ms"
    minutes, rest = divmod(seconds, 60)
    spans = [_span(int(minutes), "minute")] if minutes else []
    if minutes:
        spans.append(f"{rest:.1f} seconds")
    else:
        spans.append("1 second" if rest == 1 else f"{rest:.2f} seconds")
    return ", ".join(spans)


def _span(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def chat_artifacts(message: Message) -> dict[str, Json]:
    """Return what a chat component leaves beside its result."""
    return {
        "message": message.text,
        "sender": message.sender,
        "sender_name": message.sender_name,
        "files": [{"path": path} for path in message.files],
        "type": "object",
    }


def inputs(
    fields: Mapping[str, Value], template: Mapping[str, Json], *, secrets: list[str]
) -> Json:
    """Return what a vertex was given by field, cut short and without any secret."""
    hidden = {
        name
        for name, field in template.items()
        if isinstance(field, Mapping) and field.get("password")
    }
    given = {name: shown(value) for name, value in fields.items() if name not in hidden}
    # Masked before it is cut: half a secret is a secret, too.
    return truncated(without(secrets, given) if secrets else given)


def built(
    type_name: str,
    outputs: Mapping[str, Value],
    *,
    logs: Mapping[str, Sequence[Log]],
    seconds: float,
    frozen: bool = False,
) -> dict[str, Json]:
    """Return ``{"params", "data"}`` of a vertex that was carried out, uncut."""
    said = said_by(outputs) if type_name in CHAT else None
    artifacts = _artifacts(outputs) if said is None else chat_artifacts(said)
    return {
        "params": "None" if said is None else _params(artifacts),
        "data": {
            "results": {name: plain(value) for name, value in outputs.items()}
            if type_name in INTERFACE
            else {},
            "outputs": {
                name: {"message": shown(value), "type": kind(value)}
                for name, value in outputs.items()
            },
            "logs": {
                name: msgspec.to_builtins(list(logs.get(name, logs.get("", ()))))
                for name in outputs
            },
            "message": artifacts,
            "artifacts": artifacts,
            "timedelta": seconds,
            "duration": duration_text(seconds),
            "used_frozen_result": frozen,
        },
    }


def failed(
    display_name: str, text: str, *, output: str, seconds: float
) -> dict[str, Json]:
    """Return ``{"params", "data"}`` of a vertex that could not be carried out."""
    error = {"message": {"errorMessage": text, "stackTrace": text}, "type": "error"}
    return {
        "params": f"Error building Component {display_name}: \n\n{text}",
        "data": {
            "results": {},
            "outputs": {output: error},
            "logs": {output: []},
            "message": {output: error},
            "artifacts": {},
            "timedelta": seconds,
            "duration": duration_text(seconds),
            "used_frozen_result": False,
        },
    }


def answer(
    vertex: str,
    display_name: str,
    content: Mapping[str, Json],
    outputs: Mapping[str, Value],
) -> dict[str, Json]:
    """Return one entry of the ``outputs`` that ``POST /run`` answers with."""
    data = content["data"]
    said = said_by(outputs)
    messages = [] if said is None else [_answered(vertex, said)]
    return {
        "results": {name: plain(value) for name, value in outputs.items()},
        "artifacts": data["artifacts"],
        "outputs": data["outputs"],
        "logs": data["logs"],
        "messages": messages,
        "timedelta": None,
        "duration": None,
        "component_display_name": display_name,
        "component_id": vertex,
        "used_frozen_result": data["used_frozen_result"],
    }


def said_by(outputs: Mapping[str, Value]) -> Message | None:
    """Return the message among *outputs*, if there is one."""
    return next((v for v in outputs.values() if isinstance(v, Message)), None)


def utc_text(at: datetime) -> str:
    """Return *at* the way ``build_data`` carries it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _artifacts(outputs: Mapping[str, Value]) -> dict[str, Json]:
    return {
        name: {"repr": represented(value), "raw": shown(value), "type": kind(value)}
        for name, value in outputs.items()
    }


def _answered(vertex: str, said: Message) -> dict[str, Json]:
    return {
        "message": said.text,
        "sender": said.sender,
        "sender_name": said.sender_name,
        "session_id": said.session_id,
        "stream_url": None,
        "component_id": vertex,
        "files": message_data(said)["files"],
        "type": "text",
    }


def _params(artifacts: Mapping[str, Json]) -> str:
    lines = (
        f"- {key.replace('_', ' ').title()}: {value}\n"
        if not lines_in(value)
        else f"- {key.replace('_', ' ').title()}: {value!r}\n"
        for key, value in sorted(artifacts.items())
    )
    return "".join(f"  {line[2:]}" if n else line for n, line in enumerate(lines))


def lines_in(value: Json) -> bool:
    """Tell whether *value* is a text of several lines."""
    return isinstance(value, str) and "\n" in value
