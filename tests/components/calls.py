"""A run for one vertex: what it was given, and everything it said."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec

from application.ports.components import (
    Component,
    Feed,
    FileFacts,
    FileMissingError,
    FileTooLongError,
    RunFacts,
)
from domain.file.names import media_type_of
from domain.kernel import Json
from domain.run.values import Message, Value

RUN, FLOW, OWNER = UUID(int=1), UUID(int=2), UUID(int=3)


@dataclass
class Call:
    """An `Invocation` that writes down what the component asks of its run."""

    fields: Mapping[str, Value] = field(default_factory=dict)
    wanted: Sequence[str] = ()
    node: Mapping[str, Json] = field(default_factory=dict)
    feeds: Mapping[str, Sequence[Feed]] = field(default_factory=dict)
    speaking: bool = False
    session: str = "session"
    said_before: Sequence[Message] = ()
    vertex: str = "Vertex-tests"
    display_name: str = "Under Test"
    emitted: list[Message] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    model_calls: list[dict[str, Any]] = field(default_factory=list)
    logged: list[tuple[str, str]] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    files: Mapping[str, bytes] = field(default_factory=dict)
    asked_history: list[dict[str, Any]] = field(default_factory=list)

    @property
    def facts(self) -> RunFacts:
        return RunFacts(
            run=RUN, flow=FLOW, flow_name="Tests", owner=OWNER, session=self.session
        )

    async def emit(self, message: Message) -> Message:
        said = msgspec.structs.replace(
            message,
            id=str(UUID(int=100 + len(self.emitted))),
            timestamp="2026-01-01 00:00:00 UTC",
        )
        self.emitted.append(said)
        return said

    async def token(self, chunk: str) -> None:
        if self.speaking:
            self.tokens.append(chunk)

    async def model_called(self, **facts: Any) -> None:
        self.model_calls.append(facts)

    async def history(
        self,
        *,
        session: str,
        limit: int,
        sender: str | None = None,
        sender_name: str | None = None,
        descending: bool = False,
    ) -> list[Message]:
        self.asked_history.append(
            {"session": session, "limit": limit, "descending": descending}
        )
        found = [
            message
            for message in self.said_before
            if message.session_id == session
            and sender in (None, message.sender)
            and sender_name in (None, message.sender_name)
        ][-limit:]
        return found[::-1] if descending else found

    async def find_file(self, path: str) -> FileFacts:
        data = await self.read_file(path, most=2**63)
        name = path.rpartition("/")[2]
        return FileFacts(path, name, media_type_of(name), len(data))

    async def read_file(self, path: str, *, most: int) -> bytes:
        if path not in self.files:
            raise FileMissingError(path)
        if len(self.files[path]) > most:
            raise FileTooLongError(path)
        return self.files[path]

    def log(self, name: str, message: str) -> None:
        self.logged.append((name, message))

    def stop(self, output: str) -> None:
        self.stopped.append(output)


async def build(component: Component, call: Call | None = None, **fields: Value) -> Any:
    """Build the only or first output of *component*, and return it."""
    node = component.schema()
    call = call or Call()
    wanted = call.wanted or (node["outputs"][0]["name"],)
    call.fields = {**call.fields, **fields}
    call.wanted = wanted
    call.node = call.node or node
    built = await component.build(call)
    assert list(built) == list(wanted)
    return built[wanted[0]]
