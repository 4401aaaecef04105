"""What a run comes to."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec

from langbuilder.models import Message, Model

MACHINE = "Machine"


class Said(Model, frozen=True, kw_only=True):
    """Something that an output said in the chat; ``text`` is usually text."""

    text: Any = msgspec.field(default="", name="message")
    sender: str | None = None
    sender_name: str | None = None
    session_id: str | None = None
    component_id: str | None = None
    files: tuple[Any, ...] = ()
    type: str = ""


class Output(Model, frozen=True, kw_only=True):
    """
    What one output component came to.

    ``results`` has each outlet's value; a message there has ``text`` and ``data``.
    """

    component_id: str | None = None
    component_display_name: str | None = None
    results: Mapping[str, Any] | None = None
    outputs: Mapping[str, Any] | None = None
    artifacts: Any = None
    messages: tuple[Said, ...] | None = ()
    logs: Any = None

    @property
    def text(self) -> str | None:
        """The text of the first result that has one."""
        for value in (self.results or {}).values():
            if isinstance(value, dict) and isinstance(value.get("text"), str):
                return str(value["text"])
            if isinstance(value, str):
                return value
        return None


class _Inputs(msgspec.Struct, frozen=True):
    inputs: Mapping[str, Any] = {}
    outputs: tuple[Output | None, ...] = ()


class _Response(msgspec.Struct, frozen=True):
    session_id: str = ""
    outputs: tuple[_Inputs, ...] = ()


class Result(Model, frozen=True, kw_only=True):
    """
    What a run that succeeded came to.

    ``outputs`` are those of its output components, ``messages`` what was said in
    the chat, and ``text`` the answer.
    """

    run_id: UUID | None = None
    session_id: str = ""
    outputs: tuple[Output, ...] = ()
    messages: tuple[Said, ...] = ()

    @property
    def text(self) -> str:
        """The answer: the first output's text, else the last message; else nothing."""
        for output in self.outputs:
            if (text := output.text) is not None:
                return text
        said = [str(one.text) for one in self.messages if one.sender == MACHINE]
        return said[-1] if said else ""


def result_of(content: bytes, *, run_id: UUID | None) -> Result:
    """Return the result that *content* tells, in the shape of ``POST /run``."""
    response = msgspec.json.decode(content, type=_Response)
    outputs = tuple(
        output for each in response.outputs for output in each.outputs if output
    )
    return Result(
        run_id=run_id,
        session_id=response.session_id,
        outputs=outputs,
        messages=tuple(said for one in outputs for said in one.messages or ()),
    )


def said_in(messages: tuple[Message, ...]) -> tuple[Said, ...]:
    """Return *messages* as a result has them."""
    return tuple(
        Said(
            text=one.text,
            sender=one.sender,
            sender_name=one.sender_name,
            session_id=one.session_id,
            component_id=(one.properties.get("source") or {}).get("id"),
            files=tuple(one.files),
            type="text",
        )
        for one in messages
    )
