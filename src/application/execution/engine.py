"""Carries one run forward: builds what is ready, records it, and goes on."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import override

import msgspec

from application.execution import outcome
from application.execution.answers import Answer, collected
from application.execution.call import Call, Stage, Step
from application.execution.failures import (
    Failure,
    VertexTimeoutError,
    failure_of,
    scrubbed,
)
from application.execution.frozen import Frozen
from application.execution.inlets import Inlets
from application.execution.journal import (
    FROM_OUTSIDE,
    Entry,
    Journal,
    RunTakenError,
)
from application.execution.messages import error_data, message_of
from application.execution.script import Script, World
from application.execution.speech import Speech  # noqa: TC001 - beside its siblings
from application.ids import new_id
from application.ports import Content
from application.ports.components import Component
from domain.kernel import Json
from domain.run.graph import VertexInfo
from domain.run.run import Run
from domain.run.schedule import Progress
from domain.run.values import Message, Source, Value


class StopRestError(Exception):
    """A vertex of an API run failed; the others need not go on."""


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
        self._failures: list[tuple[str, Failure]] = []
        self._answers: dict[str, Answer] = {}
        self._ended = False
        self._progress = Progress(script.graph, script.plan)
        self._journal = journal
        self._inlets = Inlets(script, world.variables)
        self._frozen = Frozen(world)
        self._turn = asyncio.Lock()
        self._room = asyncio.Semaphore(world.limits.vertices_at_once)
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
        """Build every vertex that can be built, and end the run."""
        try:
            async with asyncio.TaskGroup() as self._group:
                self._start(self.script.plan.first)
        except* StopRestError:
            pass
        finally:
            for speech in self.speeches.values():
                await speech.close()
        if not self._ended:
            await self._finish(Step())

    def _start(self, vertices: Sequence[str]) -> None:
        for vertex in vertices:
            if self._group is not None:
                self._progress.started(vertex)
                self._group.create_task(self._carry_out(vertex))

    async def _carry_out(self, vertex: str) -> None:
        async with self._room:
            began = time.perf_counter()
            info = self.script.vertex(vertex)
            call = Call(self, vertex)
            try:
                outputs = await self._outputs(call)
                content = outcome.built(
                    info.type,
                    outputs,
                    logs=call.logs,
                    seconds=time.perf_counter() - began,
                    frozen=call.frozen,
                )
            except FROM_OUTSIDE:
                raise
            except Exception as error:  # noqa: BLE001 - whatever a component raises fails its own vertex, not the server
                failure = failure_of(error, type_name=info.type)
                await self._failed(call, failure, time.perf_counter() - began)
            else:
                await self._built(call, outputs, content)

    async def _outputs(self, call: Call) -> Mapping[str, Value]:
        """Return what a vertex comes to: now, or before if it is frozen."""
        component = self.world.components.of(call.type)
        call.fields, call.feeds = await self._inlets.of(call.vertex, component)
        circles = self.script.graph.circles
        if self.script.vertex(call.vertex).frozen and call.vertex not in circles:
            build = partial(self._compute, component, call)
            return await self._frozen.of(call, build)
        return await self._compute(component, call)

    async def _compute(self, component: Component, call: Call) -> Mapping[str, Value]:
        if not component.pure:
            await self._journal.write(_starts(call.vertex))
            call.pure = False
        seconds = self.world.limits.vertex_timeout
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                return await component.build(call)
        except TimeoutError:
            if limit.expired():
                raise VertexTimeoutError(call.display_name, seconds) from None
            raise

    async def _built(
        self, call: Call, outputs: Mapping[str, Value], content: dict[str, Json]
    ) -> None:
        vertex, step = call.vertex, call.step
        told = {**outcome.truncated(content), "inputs": self._given(call)}
        sealed = await self._sealed(told)
        async with self._turn:
            self._check_going_on()
            self._inlets.keep(vertex, outputs)
            self._answers[vertex] = Answer(content, outputs)
            follows = self._progress.built(vertex, stopped=call.stopped)

            def built(run: Run) -> None:
                run.vertex_built(
                    flow=self.script.facts.flow,
                    vertex=vertex,
                    content=sealed.ref,
                    reads=self.script.graph.reads(vertex),
                    next=follows.next,
                    top_level=follows.top_level,
                    inactivated=follows.inactivated,
                    stopped=follows.stopped,
                    duration_ms=round(content["data"]["timedelta"] * 1000),
                    frozen=call.frozen,
                )

            if call.pure:
                step.decisions.insert(0, lambda run: run.start_vertex(vertex))
            step.decisions.append(built)
            step.contents.append(sealed)
            await self._close(step)
            self._start(follows.next)

    async def _failed(self, call: Call, failure: Failure, seconds: float) -> None:
        vertex, step = call.vertex, call.step
        info = self.script.vertex(vertex)
        text = scrubbed(failure.text, self._inlets.secrets)
        failure = msgspec.structs.replace(failure, text=text)
        speech = self.speeches.pop(vertex, None)
        if speech is not None:
            await speech.close()
        content = outcome.failed(
            info.display_name,
            failure.text,
            output=next(iter(info.outputs), "output"),
            seconds=seconds,
        )
        sealed = await self._sealed({**content, "inputs": self._given(call)})
        await call.say(self._error(info, failure))
        async with self._turn:
            self._check_going_on()
            self._failures.append((vertex, failure))
            self._progress.failed(vertex)

            def failed(run: Run) -> None:
                run.vertex_failed(
                    flow=self.script.facts.flow,
                    vertex=vertex,
                    reason=failure.reason,
                    content=sealed.ref,
                    reads=self.script.graph.reads(vertex),
                    duration_ms=round(seconds * 1000),
                )

            if call.pure:
                step.decisions.insert(0, lambda run: run.start_vertex(vertex))
            step.decisions.append(failed)
            step.contents.append(sealed)
            await self._close(step)
            if self._ended:
                raise StopRestError

    def _given(self, call: Call) -> Json:
        """Return what *call* read, without any secret that a flow had it read."""
        template = self.script.template(call.vertex)
        return outcome.inputs(call.fields, template, secrets=self._inlets.secrets)

    def _error(self, info: VertexInfo, failure: Failure) -> Message:
        facts = self.script.facts
        name = info.display_name
        data = error_data(
            failure.text,
            message_id=new_id(),
            at=self.world.now(),
            flow=facts.flow,
            session=facts.session,
            source=Source(id=info.id, display_name=name, source=name),
            reason=failure.kind,
        )
        return message_of(data)

    async def _close(self, step: Step) -> None:
        """Write *step*; with it the run's end, if there is nothing left to do."""
        first_failure_ends = self.script.asked.whole_run and self._failures
        if self._progress.done or first_failure_ends:
            await self._finish(step)
        else:
            await self.write(step)

    async def _finish(self, step: Step) -> None:
        await self._conclude(step)
        self._ended = True
        if not await self._journal.end(_entry(step)):
            raise RunTakenError(self.script.facts.run)

    async def _conclude(self, step: Step) -> None:
        if self._failures:
            vertex, failure = self._failures[0]
            said = await self._sealed({"message": failure.text, "kind": failure.kind})
            step.contents.append(said)
            step.decisions.append(
                lambda run: run.fail(
                    reason=failure.reason, vertex=vertex, content=said.ref
                )
            )
        elif self.script.asked.whole_run:
            answer = await self._sealed(collected(self.script, self._answers))
            step.contents.append(answer)
            step.decisions.append(lambda run: run.succeed(outputs=answer.ref))
        else:
            step.decisions.append(lambda run: run.succeed())

    def _check_going_on(self) -> None:
        if self._ended:
            raise StopRestError

    async def _sealed(self, content: Json) -> Content:
        return await self.world.contents.seal(
            self.script.facts.owner, msgspec.json.encode(content)
        )


def _starts(vertex: str) -> Entry:
    return Entry(decisions=(lambda run: run.start_vertex(vertex),))


def _entry(step: Step) -> Entry:
    return Entry(
        decisions=tuple(step.decisions),
        contents=tuple(step.contents),
        posts=tuple(step.posts),
    )
