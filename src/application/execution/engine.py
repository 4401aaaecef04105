"""Carries one run forward: builds what is ready, records it, and goes on."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import override

import msgspec

from application.execution import outcome
from application.execution.call import Call, Stage, Step
from application.execution.failures import Failure, failure_of
from application.execution.inputs import (
    SESSION,
    CredentialAsSessionError,
    VariableMissingError,
    arrived,
    converted,
    variables_in,
)
from application.execution.journal import CancelAskedError, Entry, Journal, RunTakenError
from application.execution.messages import error_data, message_of
from application.execution.script import Script, World
from application.execution.speech import Speech
from application.execution.variables import NAME, Variable
from application.ports import Attached, StoreBusyError
from application.ports.components import Component, Feed
from domain.kernel import Json
from domain.run.run import Run
from domain.run.schedule import Progress
from domain.run.values import Message, Source, Value

OURS = (RunTakenError, CancelAskedError, StoreBusyError)
"""What ends the run from outside: not the fault of the vertex it reached."""


class StopRestError(Exception):
    """A vertex of an API run failed; the others need not go on."""


class Answer(msgspec.Struct, frozen=True):
    """What a vertex leaves for ``POST /run``."""

    content: dict[str, Json]
    outputs: Mapping[str, Value]


class Execution(Stage):
    """
    One run under way.

    Vertices that are ready run side by side; each step is decided and written in
    turn, so that what the stream tells could have happened one after the other.
    """

    def __init__(self, world: World, journal: Journal, script: Script) -> None:
        self.world = world
        self.script = script
        self.speeches: dict[str, Speech] = {}
        self.said: list[Message] = []
        self.failures: list[tuple[str, Failure]] = []
        self.answers: dict[str, Answer] = {}
        self.progress = Progress(script.graph, script.plan)
        self._journal = journal
        self._values: dict[str, Mapping[str, Value]] = {}
        self._variables: dict[str, Variable] = {}
        self._secrets = [s for s in script.secrets if not NAME.fullmatch(s)]
        self._turn = asyncio.Lock()
        self._room = asyncio.Semaphore(world.vertices_at_once)
        self._working = 0
        self._group: asyncio.TaskGroup | None = None

    @property
    @override
    def version(self) -> int:
        return self._journal.version

    @override
    async def write(self, step: Step) -> None:
        """Write what a vertex has to tell before it is through."""
        await self._journal.write(_entry(step))

    async def carry_out(self) -> None:
        """Build every vertex that can be built; return when nothing goes on."""
        try:
            async with asyncio.TaskGroup() as self._group:
                self._start(self.script.plan.first)
        except* StopRestError:
            pass
        finally:
            for speech in self.speeches.values():
                await speech.close()

    def _start(self, vertices: Sequence[str]) -> None:
        for vertex in vertices:
            if self._group is not None:
                self.progress.started(vertex)
                self._working += 1
                self._group.create_task(self._carry_out(vertex))

    async def _carry_out(self, vertex: str) -> None:
        async with self._room:
            began = time.perf_counter()
            call: Call | None = None
            try:
                info = self.script.vertex(vertex)
                component = self.world.components.of(info.type)
                call = await self._call(vertex, component)
                outputs = await self._compute(component, call)
                await self._built(call, outputs, began)
            except OURS:
                raise
            except Exception as error:  # noqa: BLE001 - whatever a component raises fails its vertex alone
                call = call or Call(self, vertex, fields={}, feeds={}, pure=True)
                await self._failed(call, self._failure(vertex, error), began)

    async def _call(self, vertex: str, component: Component) -> Call:
        if not component.pure:
            await self._journal.write(
                Entry(decisions=(lambda run: run.start_vertex(vertex),))
            )
        fields, feeds = self._arrived(vertex)
        own = self.script.fields(vertex, wired=tuple(fields))
        named = variables_in(own)
        values = await self._looked_up(named.values())
        for name, field in own.items():
            if name in named and (variable := values.get(named[name])):
                if name == SESSION and variable.credential:
                    raise CredentialAsSessionError
                field = {**field, "value": variable.value}
            elif name in named and not self._literal(field):
                raise VariableMissingError(named[name])
            fields[name] = converted(field)
        return Call(self, vertex, fields=fields, feeds=feeds, pure=component.pure)

    def _literal(self, field: Mapping[str, Json]) -> bool:
        """Tell whether a field that may name a variable holds a key itself."""
        return field.get("value") in self._secrets

    def _arrived(self, vertex: str) -> tuple[dict[str, Value], dict[str, list[Feed]]]:
        values: dict[str, list[Value]] = {}
        feeds: dict[str, list[Feed]] = {}
        for edge in self.script.graph.incoming[vertex]:
            built = self._values.get(edge.source, {})
            if edge.source_output in built:
                field = edge.target_field
                values.setdefault(field, []).append(built[edge.source_output])
                feeds.setdefault(field, []).append(self.script.feed(edge.source))
        template = self.script.template(vertex)
        fields = {
            name: arrived(template.get(name) or {}, came)
            for name, came in values.items()
        }
        return fields, feeds

    async def _looked_up(self, names: Sequence[str]) -> Mapping[str, Variable]:
        unknown = {name for name in names if name not in self._variables}
        if unknown:
            owner = self.script.facts.owner
            found = await self.world.variables.named(owner, unknown)
            self._variables.update(found)
            self._secrets += [v.value for v in found.values() if v.credential]
        return self._variables

    async def _compute(self, component: Component, call: Call) -> Mapping[str, Value]:
        seconds = self.world.vertex_timeout
        try:
            async with asyncio.timeout(seconds) as limit:
                return await component.build(call)
        except TimeoutError:
            if limit.expired():
                raise VertexTimeoutError(call.display_name, seconds) from None
            raise

    async def _built(
        self, call: Call, outputs: Mapping[str, Value], began: float
    ) -> None:
        vertex, info = call.vertex, self.script.vertex(call.vertex)
        seconds = time.perf_counter() - began
        content = outcome.built(info.type, outputs, logs=call.logs, seconds=seconds)
        sealed = await self._sealed(outcome.truncated(content))
        async with self._turn:
            self._values[vertex] = outputs
            self.answers[vertex] = Answer(content, outputs)
            step = self.progress.built(vertex, call.stopped)
            reads = self.script.graph.reads(vertex)

            def built(run: Run) -> None:
                run.vertex_built(
                    flow=self.script.facts.flow,
                    vertex=vertex,
                    content=sealed.ref,
                    reads=reads,
                    next=step.next,
                    top_level=step.top_level,
                    inactivated=step.inactivated,
                    duration_ms=round(seconds * 1000),
                )

            call.step.decisions.append(built)
            call.step.contents.append(sealed)
            await self._close(call, next_vertices=step.next)

    async def _failed(self, call: Call, failure: Failure, began: float) -> None:
        vertex, info = call.vertex, self.script.vertex(call.vertex)
        seconds = time.perf_counter() - began
        speech = self.speeches.pop(vertex, None)
        if speech is not None:
            await speech.close()
        output = next(iter(info.outputs), "output")
        content = outcome.failed(
            info.display_name, failure.text, output=output, seconds=seconds
        )
        sealed = await self._sealed(content)
        await call.say(self._error(call, failure))
        async with self._turn:
            self.failures.append((vertex, failure))
            step = self.progress.failed(vertex)
            reads = self.script.graph.reads(vertex)

            def failed(run: Run) -> None:
                run.vertex_failed(
                    flow=self.script.facts.flow,
                    vertex=vertex,
                    reason=failure.reason,
                    content=sealed.ref,
                    reads=reads,
                    duration_ms=round(seconds * 1000),
                )

            call.step.decisions.append(failed)
            call.step.contents.append(sealed)
            await self._close(call, next_vertices=())
        if self.script.asked.whole_run:
            raise StopRestError
