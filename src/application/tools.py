"""Flows as tools: listed with what they take, called, and their answers as texts."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final, Protocol
from uuid import UUID, uuid4

import msgspec

from application.execution.flows import FlowsToRun, FlowToRun
from application.names import Name
from application.permissions import NotFoundError, person
from application.ports import Actor, Cause, Contents, Recorded
from application.runs import Ended, Runs
from domain.kernel import DomainError, Json
from domain.run.asked import Asked
from domain.run.events import RunRequested, VertexBuilt, VertexFailed, VertexStarted
from domain.run.graph import Graph, GraphError
from domain.run.tools import (
    SESSION,
    Argument,
    UnwelcomeArgumentError,
    arguments_of,
    check_arguments,
    schema_of,
    tool_description,
    tool_names,
    tweaks_for,
)
from domain.run.tweaks import INPUT

log = logging.getLogger(__name__)

PAGE: Final = 100
"""Tools in one answer."""
MOST: Final = 1_000
"""Tools that one person or project shows; flows beyond them are left out."""
KEPT: Final = 1_000
BREATH: Final = 5.0
"""Seconds after which a caller hears that the run still goes on."""


class UnknownToolError(DomainError):
    """There is no tool of this name."""


class Desk(msgspec.Struct, frozen=True):
    """Who asks for tools, and in which project; in none, for all that are theirs."""

    actor: Actor
    project: UUID | None = None


class Exposed(Protocol):
    """A flow that is a tool, without its document."""

    @property
    def id(self) -> UUID: ...
    @property
    def version(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def description(self) -> str | None: ...
    @property
    def action_name(self) -> str | None: ...
    @property
    def action_description(self) -> str | None: ...


class ExposedFlows(Protocol):
    """The flows that are tools."""

    async def exposed(
        self, owner: UUID, *, project: UUID | None, limit: int
    ) -> Sequence[Exposed]:
        """Return an owner's flows that are tools, oldest first."""
        ...

    async def documents(self, ids: Sequence[UUID]) -> Mapping[UUID, bytes]:
        """Return the documents of *ids*, as JSON."""
        ...


class RunHub(Protocol):
    """Where a run's events come from."""

    def follow(
        self, run_id: UUID, *, after_version: int = 0
    ) -> AsyncGenerator[Recorded]: ...


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """A flow as callers see it; ``schema`` is the JSON schema of its arguments."""

    name: str
    description: str
    schema: dict[str, Any]


class ToolPage(msgspec.Struct, frozen=True):
    """Some tools, and after which of them the next page begins, if there is one."""

    tools: list[Tool]
    after: str | None = None


class Said(msgspec.Struct, frozen=True):
    """What calling a tool came to: texts, or the one that says why it failed."""

    texts: list[str]
    failed: bool = False


class Step(msgspec.Struct, frozen=True):
    """How far a run has come: ``done`` only ever grows."""

    done: float
    total: float | None
    words: str


type Tell = Callable[[Step], Awaitable[None]]


class Tools:
    """Lists flows as tools, and runs them for those who call."""

    def __init__(
        self,
        *,
        exposed: ExposedFlows,
        flows: FlowsToRun,
        runs: Runs,
        contents: Contents,
        hub: RunHub,
    ) -> None:
        self._exposed = exposed
        self._flows = flows
        self._runs = runs
        self._contents = contents
        self._hub = hub
        self._schemas: OrderedDict[tuple[UUID, int], dict[str, Any]] = OrderedDict()

    async def page(self, desk: Desk, *, after: str | None = None) -> ToolPage:
        """Return the tools after the one named *after*; none after an unknown one."""
        named = await self._named(desk)
        names = list(named)
        if after is not None:
            names = names[names.index(after) + 1 :] if after in named else []
        chosen = names[:PAGE]
        schemas = await self._schemas_of([named[name] for name in chosen])
        tools = [
            Tool(
                name=name,
                description=tool_description(
                    name,
                    action=named[name].action_description,
                    flow=named[name].description,
                ),
                schema=schema,
            )
            for name, schema in zip(chosen, schemas, strict=True)
        ]
        return ToolPage(tools, chosen[-1] if len(names) > PAGE else None)

    async def call(
        self,
        desk: Desk,
        name: str,
        given: Mapping[str, Json],
        *,
        cause: Cause,
        tell: Tell | None = None,
    ) -> Said:
        """
        Run the flow that *name* stands for; whoever stops waiting cancels the run.

        Raise `UnknownToolError`. Any other refusal, and a run that fails, is what the
        tool says.
        """
        flow = (await self._named(desk)).get(name)
        if flow is None:
            raise UnknownToolError(name)
        try:
            to_run = await self._flows.head(desk.actor, flow.id)
            ended = await self._run(to_run, given, cause=cause, tell=tell)
        except NotFoundError:
            raise UnknownToolError(name) from None
        except DomainError as refused:
            return failed(flow.name, refused.sentence)
        return await self._said(flow.name, ended)

    async def _run(
        self,
        flow: FlowToRun,
        given: Mapping[str, Json],
        *,
        cause: Cause,
        tell: Tell | None,
    ) -> Ended:
        known = arguments_of(flow.document)
        check_arguments(given, known)
        requesting = asyncio.create_task(
            self._requested(flow, _asked(flow, given, known), cause)
        )
        try:
            run = await asyncio.shield(requesting)
        except asyncio.CancelledError:
            requesting.add_done_callback(lambda task: self._abandon(task, cause))
            raise
        try:
            async with self._telling(run, tell):
                return await self._runs.wait(run)
        except asyncio.CancelledError:
            self._runs.abandon(run, cause=cause)
            raise

    async def _requested(self, flow: FlowToRun, asked: Asked, cause: Cause) -> UUID:
        requested = await self._runs.request(flow, asked, trigger="mcp", cause=cause)
        return requested.run

    def _abandon(self, requesting: asyncio.Task[UUID], cause: Cause) -> None:
        if not requesting.cancelled() and requesting.exception() is None:
            self._runs.abandon(requesting.result(), cause=cause)

    @asynccontextmanager
    async def _telling(self, run: UUID, tell: Tell | None) -> AsyncGenerator[None]:
        if tell is None:
            yield
            return
        telling = asyncio.create_task(self._tell(run, tell))
        try:
            yield
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)

    async def _tell(self, run: UUID, tell: Tell) -> None:
        steps = Steps()
        try:
            async with aclosing(self._hub.follow(run)) as events:
                coming = asyncio.ensure_future(anext(events))
                try:
                    while True:
                        done, _ = await asyncio.wait({coming}, timeout=BREATH)
                        step = steps.hear(coming.result()) if done else steps.breathe()
                        if done:
                            coming = asyncio.ensure_future(anext(events))
                        if step is not None:
                            await tell(step)
                finally:
                    coming.cancel()
                    await asyncio.gather(coming, return_exceptions=True)
        except StopAsyncIteration:
            return
        except Exception:
            # Nobody who is not told how far a run is loses its answer.
            log.warning("progress of run %s cannot be told", run, exc_info=True)

    async def _said(self, flow: str, ended: Ended) -> Said:
        ref = ended.outputs or ended.failure
        opened = (
            None if ref is None else (await self._contents.open([ref.id])).get(ref.id)
        )
        if ended.status == "succeeded":
            return Said(texts_of(msgspec.json.decode(opened)) if opened else [])
        if ended.status == "cancelled":
            return failed(flow, "The run was cancelled.")
        why = msgspec.json.decode(opened or b"{}").get("message")
        return failed(flow, why or ended.reason or "The run failed.")

    async def _named(self, desk: Desk) -> dict[str, Exposed]:
        flows = await self._exposed.exposed(
            person(desk.actor), project=desk.project, limit=MOST
        )
        names = tool_names(one.action_name or one.name for one in flows)
        return dict(zip(names, flows, strict=True))

    async def _schemas_of(self, flows: Sequence[Exposed]) -> list[dict[str, Any]]:
        keys = [(one.id, one.version) for one in flows]
        known = {key: self._schemas[key] for key in keys if key in self._schemas}
        missing = [key for key in keys if key not in known]
        found = await self._exposed.documents([flow for flow, _ in missing])
        for key in missing:
            document = found.get(key[0])
            arguments = arguments_of(msgspec.json.decode(document)) if document else []
            known[key] = self._schemas[key] = schema_of(arguments)
        while len(self._schemas) > KEPT:
            self._schemas.popitem(last=False)
        return [known[key] for key in keys]


class Steps:
    """What a run's events say of how far it has come."""

    def __init__(self) -> None:
        self._total = 0
        self._built: set[str] = set()
        self._breaths = 0
        self._words = "The run is under way"

    def hear(self, recorded: Recorded) -> Step | None:
        """Return the step that an event is, if it is one."""
        match recorded.event:
            case RunRequested(to_run=to_run):
                self._total = len(to_run)
            case VertexStarted(vertex=vertex) if vertex not in self._built:
                self._words = f"{vertex} is being built"
                return self.breathe()
            case VertexBuilt(vertex=vertex) | VertexFailed(vertex=vertex):
                if vertex not in self._built:
                    self._built.add(vertex)
                    self._breaths = 0
                    self._words = f"{vertex} is built"
                    return self._step()
            case _:
                pass
        return None

    def breathe(self) -> Step:
        """Return that it still goes on: nearer to the next step, and never there."""
        self._breaths += 1
        return self._step()

    def _step(self) -> Step:
        done = len(self._built) + self._breaths / (self._breaths + 1)
        total = float(self._total) if self._total >= done else None
        return Step(done, total, self._words)


def failed(flow: str, why: str) -> Said:
    """Return what a tool says of its failure, in LangBuilder's words."""
    return Said([f"Error Executing the {flow} tool. Error: {why}"], failed=True)


def texts_of(answer: Json) -> list[str]:
    """Return the texts of a run's answer: messages and results, each once."""
    texts: dict[str, None] = {}
    for run in answer.get("outputs", ()):
        for output in run.get("outputs", ()):
            for message in output.get("messages") or ():
                texts[message["message"]] = None
            for value in (output.get("results") or {}).values():
                texts[_text(value)] = None
    return [text for text in texts if text]


def _text(value: Json) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and isinstance(value.get("text"), str):
        return str(value["text"])
    return msgspec.json.encode(value).decode()


def _asked(
    flow: FlowToRun, given: Mapping[str, Json], known: Sequence[Argument]
) -> Asked:
    value = given.get(INPUT)
    return Asked(
        input_value=value if value is None or isinstance(value, str) else str(value),
        input_type="chat" if _chats(flow.document) else "any",
        session=_session(given.get(SESSION)),
        tweaks=tweaks_for(given, known),
        whole_run=True,
    )


def _session(given: str | None) -> str:
    try:
        return msgspec.convert(given or str(uuid4()), Name)
    except msgspec.ValidationError as wrong:
        raise UnwelcomeArgumentError(f"{SESSION}: {wrong}") from None


def _chats(document: Json) -> bool:
    try:
        return Graph.of(document).chat_input is not None
    except GraphError:
        return True  # the run tells what is wrong
