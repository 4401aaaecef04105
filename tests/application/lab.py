"""A whole engine over the memory store: for tests of runs, and of their streams."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, override
from uuid import UUID, uuid4

import msgspec

from api.chat_events import content_of
from api.streams import RunStreams
from application.execution.flows import StoredFlows
from application.execution.variables import OwnersVariables
from application.permissions import Permissions
from application.ports import (
    Actor,
    Attached,
    Cause,
    Claim,
    Freshness,
    MessageHistory,
    Owned,
    Position,
    Recorded,
)
from application.ports.components import Component, Components, Invocation
from application.ports.files import OpenedFile, OwnersFiles
from application.replies import Replies
from application.runs import Limits, Runs
from domain.flow.flow import Flow
from domain.kernel import Json
from domain.run.asked import Asked
from domain.run.run import Run
from domain.run.values import Message, Value
from domain.thread.events import MessagePosted
from infrastructure.components.drawing import Drawing
from infrastructure.components.registry import BuiltinComponents
from infrastructure.event_store.memory import MemoryEventStore
from infrastructure.keyring import Keyring
from infrastructure.secrets import MemoryContents, MemoryVault
from infrastructure.signals.memory import MemorySignals
from projections.hub import RunHub

QUICK = Limits(lease=2.0, grace=0.2, cancelling=2.0)


def cause_of(actor: Actor, **more: Any) -> Cause:
    return Cause(actor=actor, command_id=uuid4(), correlation_id=uuid4(), **more)


class UpToDate(Freshness):
    """Read models that are never behind."""

    @override
    async def reached(self, position: Position, *, within: float) -> bool:
        return True


class LogHistory(MessageHistory):
    """What was said, straight out of the log."""

    def __init__(self, store: MemoryEventStore, contents: MemoryContents) -> None:
        self._store = store
        self._contents = contents

    @override
    async def recent(
        self,
        *,
        owner: UUID,
        session: str,
        limit: int,
        flow: UUID | None = None,
        sender: str | None = None,
        sender_name: str | None = None,
        descending: bool = False,
    ) -> list[dict[str, Json]]:
        posted = [
            one.event
            for one in await self._store.read_log("runs", limit=10_000)
            if isinstance(one.event, MessagePosted)
            and one.event.session == session
            and sender in (None, one.event.sender)
            and flow in (None, one.event.flow)
        ]
        opened = await self._contents.open([one.content.id for one in posted])
        said = [msgspec.json.decode(opened[one.content.id]) for one in posted]
        return said[-limit:][:: -1 if descending else 1]


class Scripted:
    """A component that does what the test wants of it, under its type's schema."""

    category = "tests"
    aliases: Sequence[str] = ()

    def __init__(self, type_name: str, *, pure: bool = False) -> None:
        self.type = type_name
        self.pure = pure
        self.fails: Exception | None = None
        self.hangs: asyncio.Event | None = None
        self.started = asyncio.Event()
        self.cancelled = False
        self.seen: list[Mapping[str, Value]] = []

    def schema(self) -> dict[str, Json]:
        return {
            "display_name": f"The {self.type}",
            "icon": "box",
            "template": {
                "_type": "Component",
                "input_value": _field("input_value", input_types=["Message"]),
                "api_key": _field("api_key", password=True),
                "stream": {"type": "bool", "name": "stream", "value": False},
            },
            "outputs": [
                {"name": "text_output", "types": ["Message"], "method": "text"},
            ],
            "base_classes": ["Message"],
        }

    def updated(
        self, node: Mapping[str, Json], field: str, value: Json
    ) -> dict[str, Json]:
        template = {**node["template"]}
        template[field] = {**template[field], "value": value}
        return {**node, "template": template}

    async def build(self, call: Invocation) -> Mapping[str, Value]:
        self.started.set()
        self.seen.append(dict(call.fields))
        try:
            if self.hangs is not None:
                for chunk in ("One ", "two "):
                    await call.token(chunk)
                await self.hangs.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        if self.fails is not None:
            raise self.fails
        for chunk in ("three ", "four"):
            await call.token(chunk)
        spoken = "One two three four" if self.hangs else "three four"
        return {"text_output": Message(text=spoken)}


def _field(name: str, **more: Json) -> dict[str, Json]:
    return {"type": "str", "name": name, "show": True, "value": "", **more}


class TestComponents(Components):
    """The built-in components, and the test's own."""

    __test__ = False

    def __init__(self, *own: Scripted) -> None:
        self._own = {one.type: one for one in own}
        self._builtin = BuiltinComponents()

    @override
    def of(self, type_name: str) -> Component:
        own = self._own.get(type_name)
        return own if own is not None else self._builtin.of(type_name)

    @override
    def catalogue(self) -> Mapping[str, Mapping[str, Json]]:
        return self._builtin.catalogue()


class NoFiles(OwnersFiles):
    """Nobody has any."""

    @override
    async def of_owner(
        self, owner: UUID, path: str, *, end: int | None = None
    ) -> OpenedFile | None:
        return None


class Lab:
    """One server's worth of runs; several may share a store."""

    def __init__(
        self,
        *own: Scripted,
        limits: Limits = QUICK,
        environ: Mapping[str, str] | None = None,
        worker: str | None = None,
        shared: "Lab | None" = None,
    ) -> None:
        keyring = Keyring("a secret for tests only, and long enough")
        store = shared.store if shared else MemoryEventStore()
        self.owner: UUID = shared.owner if shared else uuid4()
        self.actor = Actor(user=self.owner)
        self.store: MemoryEventStore = store
        self.components = TestComponents(*own)
        self.contents: MemoryContents = (
            shared.contents if shared else MemoryContents(store, keyring)
        )
        self.vault: MemoryVault = shared.vault if shared else MemoryVault(store)
        self.signals: MemorySignals = shared.signals if shared else MemorySignals()
        self.hub = RunHub(self.store)
        self.streams = RunStreams(self.hub, self.contents, self.signals, UpToDate())
        permissions = Permissions(self.store.ownership)
        self.flows = StoredFlows(self.store, permissions, self.store.claims)
        self.runs = Runs(
            store=self.store,
            contents=self.contents,
            vault=self.vault,
            components=self.components,
            signals=self.signals,
            history=LogHistory(self.store, self.contents),
            variables=OwnersVariables(self.store, self.vault, environ=environ),
            files=NoFiles(),
            leases=self.store.leases,
            ownership=self.store.ownership,
            claims=self.store.claims,
            limits=limits,
            worker=worker,
            now=lambda: datetime.now(UTC),
        )
        self.replies = Replies(self.runs, self.streams, self.store, self.contents)

    @asynccontextmanager
    async def open(self) -> AsyncGenerator["Lab"]:
        await self.hub.start()
        await self.runs.start()
        try:
            yield self
        finally:
            await self.runs.stop()
            await self.hub.stop()

    async def add(self, document: Json, *, endpoint: str | None = None) -> UUID:
        flow = Flow.create(
            uuid4(),
            owner=self.owner,
            project=uuid4(),
            name="A flow",
            document=document,
            endpoint_name=endpoint,
        )
        claims = (Claim("endpoint", f"{self.owner}/{endpoint}", flow.id),)
        await self.store.save(
            flow,
            cause=cause_of(self.actor),
            attached=Attached(
                owned=(Owned(flow.id, "flow", self.owner),),
                claims=claims if endpoint else (),
            ),
        )
        return flow.id

    async def ask(self, flow: UUID, **asked: Any) -> UUID:
        """Start a run the way the playground does, or with ``trigger`` another."""
        trigger = asked.pop("trigger", "build")
        document = asked.pop("document", None)
        cause = asked.pop("cause", None) or cause_of(self.actor)
        requested = await self.runs.request(
            await self.flows.head(self.actor, flow),
            Asked(whole_run=trigger != "build", **asked),
            trigger=trigger,
            cause=cause,
            document=document,
        )
        return requested.run

    async def frames(
        self, run: UUID, *, heard: asyncio.Event | None = None
    ) -> list[tuple[str, Any]]:
        """
        Return what LangBuilder's stream tells of a run, to its end.

        Set *heard* once a word of it is heard that is yet being spoken.
        """
        frames = []
        async for line in self.streams.build_events(run):
            frames.append(_frame(line))
            if heard is not None and frames[-1][0] == "token":
                heard.set()
        return frames

    async def events(self, run: UUID) -> list[Recorded]:
        return await self.store.read_stream("runs", run)

    async def tags(self, run: UUID) -> list[str]:
        return [type(one.event).__name__ for one in await self.events(run)]

    async def content(self, recorded: Recorded) -> Any:
        ref = content_of(recorded.event)  # type: ignore[arg-type]
        assert ref is not None
        return msgspec.json.decode((await self.contents.open([ref.id]))[ref.id])

    async def run(self, run: UUID) -> Run:
        return await self.store.load(Run, run)

    def draw(self) -> Drawing:
        return Drawing(self.components)

    def echo(self) -> Json:
        """Return a flow that says back what it is told."""
        drawing = self.draw()
        heard = drawing.place("ChatInput-a", "ChatInput", (0, 0))
        said = drawing.place("ChatOutput-b", "ChatOutput", (1, 0))
        drawing.connect(heard, "message", said, "input_value")
        return drawing.document()

    def spoken(self, type_name: str = "Speaker", **values: Json) -> Json:
        """Return a flow whose middle is a component of the test's own."""
        drawing = self.draw()
        heard = drawing.place("ChatInput-a", "ChatInput", (0, 0))
        middle = drawing.place(f"{type_name}-m", type_name, (1, 0), **values)
        said = drawing.place("ChatOutput-b", "ChatOutput", (2, 0))
        drawing.connect(heard, "message", middle, "input_value")
        drawing.connect(middle, "text_output", said, "input_value")
        return drawing.document()


def _frame(line: bytes) -> tuple[str, Any]:
    assert line.endswith(b"\n\n")
    assert line.count(b"\n") == 2
    frame = msgspec.json.decode(line)
    return frame["event"], frame["data"]


def names(frames: list[tuple[str, Any]]) -> list[str]:
    return [name for name, _ in frames]
