"""What may be decided about a run: everything until its end, and one end."""

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given as for_all, settings, strategies as st

from domain.kernel import ContentRef
from domain.run.events import (
    MessageEmitted,
    ModelCalled,
    RunCancelled,
    RunCancelRequested,
    RunClaimed,
    RunFailed,
    RunForgotten,
    RunRequested,
    RunSucceeded,
    VertexBuilt,
    VertexFailed,
    VertexStarted,
)
from domain.run.run import Run, RunEndedError, RunGoesOnError
from domain.run.schedule import Plan
from tests.specification import SOMETHING, given

FLOW, OWNER, THREAD = UUID(int=7), UUID(int=8), UUID(int=9)
CONTENT = ContentRef(UUID(int=10), "00ff", 12)
ASKED: dict[str, Any] = {
    "flow": FLOW,
    "flow_name": "Air",
    "owner": OWNER,
    "session": "s1",
    "trigger": "build",
    "request": CONTENT,
    "flow_version": 3,
    "first": ("A",),
    "to_run": ("A", "B"),
}
REQUESTED = RunRequested(**ASKED)
STARTED = VertexStarted(vertex="A")
BUILT = VertexBuilt(flow=FLOW, vertex="A", content=CONTENT)
ENDS = (RunSucceeded(), RunFailed(reason="boom"), RunCancelled())


def test_a_run_is_requested() -> None:
    run = Run.request(SOMETHING, **ASKED)

    assert run.collect() == [REQUESTED]
    assert (run.flow, run.owner, run.flow_version) == (FLOW, OWNER, 3)
    assert run.plan == Plan(("A",), ("A", "B"))
    assert (run.status, run.worker, run.ended) == ("requested", None, False)


def test_each_worker_that_takes_it_is_a_further_attempt() -> None:
    given(Run, REQUESTED, RunClaimed(worker="w1", attempt=1)).when(
        lambda r: r.claim("w2")
    ).then(RunClaimed(worker="w2", attempt=2))


def test_a_vertex_that_never_finished_is_attempted_again() -> None:
    given(Run, REQUESTED).when(lambda r: r.start_vertex("A")).then(STARTED)
    given(Run, REQUESTED, STARTED).when(lambda r: r.start_vertex("A")).then(
        VertexStarted(vertex="A", attempt=2)
    )
    given(Run, REQUESTED, STARTED, BUILT).when(lambda r: r.start_vertex("A")).then(
        STARTED
    )


def test_a_vertex_is_built_in_the_attempt_it_was_started() -> None:
    given(Run, REQUESTED, STARTED, VertexStarted(vertex="A", attempt=2)).when(
        lambda r: r.vertex_built("A", content=CONTENT, next=("B",), stopped=("no",))
    ).then(
        VertexBuilt(
            flow=FLOW,
            vertex="A",
            content=CONTENT,
            attempt=2,
            next=("B",),
            stopped=("no",),
        )
    )


def test_the_first_vertex_that_fails_is_remembered() -> None:
    run = Run(SOMETHING)
    run.replay(REQUESTED)
    for vertex in ("B", "A"):
        run.vertex_failed(vertex, reason="boom", content=CONTENT)

    assert run.collect() == [
        VertexFailed(flow=FLOW, vertex=vertex, reason="boom", content=CONTENT)
        for vertex in ("B", "A")
    ]
    assert (run.first_failed, run.ended) == ("B", False)


def test_models_and_messages_are_noted() -> None:
    def noted(run: Run) -> None:
        run.model_called("A", provider="Demo", model="parrot", output_tokens=3)
        run.emit(FLOW, thread=THREAD, vertex="A", content=CONTENT, streamed=True)

    given(Run, REQUESTED).when(noted).then(
        ModelCalled(vertex="A", provider="Demo", model="parrot", output_tokens=3),
        MessageEmitted(
            message=FLOW, thread=THREAD, vertex="A", content=CONTENT, streamed=True
        ),
    )


def test_a_run_is_asked_to_stop_once() -> None:
    given(Run, REQUESTED).when(lambda r: r.request_cancel()).then(RunCancelRequested())
    given(Run, REQUESTED, RunCancelRequested()).when(
        lambda r: r.request_cancel()
    ).then_nothing_happens()


@pytest.mark.parametrize("end", ENDS)
def test_what_an_ended_run_left_is_forgotten_once(end: Any) -> None:
    given(Run, REQUESTED, end).when(lambda r: r.forget()).then(RunForgotten())
    given(Run, REQUESTED, end, RunForgotten()).when(
        lambda r: r.forget()
    ).then_nothing_happens()


def test_a_run_that_goes_on_is_not_forgotten() -> None:
    given(Run, REQUESTED).when(lambda r: r.forget()).then_refuses(RunGoesOnError)


COMMANDS: list[Any] = [
    lambda r: r.claim("w"),
    lambda r: r.start_vertex("A"),
    lambda r: r.vertex_built("A", content=CONTENT),
    lambda r: r.vertex_failed("A", reason="boom", content=CONTENT),
    lambda r: r.model_called("A", provider="Demo", model="parrot"),
    lambda r: r.emit(FLOW, thread=THREAD, vertex="A", content=CONTENT),
    lambda r: r.request_cancel(),
    lambda r: r.succeed(),
    lambda r: r.fail("boom"),
    lambda r: r.cancel(),
]


@pytest.mark.parametrize(
    ("command", "end"), list(zip(COMMANDS[-3:], ENDS, strict=True))
)
def test_a_run_ends(command: Any, end: Any) -> None:
    given(Run, REQUESTED).when(command).then(end)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_happens_after_the_end(command: Any, end: Any) -> None:
    given(Run, REQUESTED, end).when(command).then_refuses(RunEndedError)


@for_all(st.lists(st.sampled_from(COMMANDS), max_size=20))
@settings(deadline=None)
def test_whatever_is_asked_a_run_ends_at_most_once_and_replays_to_itself(
    commands: list[Any],
) -> None:
    run = Run.request(SOMETHING, **ASKED)
    for command in commands:
        if run.ended:
            with pytest.raises(RunEndedError):
                command(run)
        else:
            command(run)
    history = run.collect()
    twin = Run(SOMETHING)
    twin.replay(*history)

    assert sum(isinstance(event, tuple(map(type, ENDS))) for event in history) <= 1
    assert vars(twin) == vars(run)
