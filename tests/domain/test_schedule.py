"""No vertex starts before its inputs are there, and every run comes to an end."""

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from domain.run.graph import EndlessCircleError, Graph
from domain.run.refusals import StartAndStopError, UnknownVertexError
from domain.run.schedule import Plan, entrance, plan, replay
from tests.domain.documents import SHARED, chain, edge, real, vertex
from tests.domain.stories import Story, loop, router

SLOW = HealthCheck.too_slow
CAPTURED = (
    SHARED / "contracts" / "langbuilder" / "build_stream_MemoryChatbotNoLLM.ndjson"
)
CAPTURED_FLOW = SHARED / "flows" / "test-memorychatbotnollm.json"


@st.composite
def acyclic(draw: st.DrawFn) -> dict[str, Any]:
    names = [f"V-{n}" for n in range(draw(st.integers(1, 8)))]
    if draw(st.booleans()):
        names[draw(st.integers(0, len(names) - 1))] = "ChatInput-1"
    joined = [
        edge(source, end, field=f"from{at}")
        for at, source in enumerate(names)
        for end in names[at + 1 :]
        if draw(st.booleans())
    ]
    nodes = [vertex(name) for name in draw(st.permutations(names))]
    return {"nodes": nodes, "edges": joined}


@st.composite
def choices(draw: st.DrawFn) -> Any:
    return draw(st.randoms(use_true_random=False))


@given(acyclic(), choices())
@settings(max_examples=150, deadline=None, suppress_health_check=[SLOW])
def test_no_vertex_starts_before_its_inputs(document: Any, chance: Any) -> None:
    story = Story(document)
    built: set[str] = set()
    running: list[str] = []
    while not story.progress.done:
        ready = story.progress.ready()
        if ready and (not running or chance.random() < 0.5):
            name = chance.choice(ready)
            assert story.graph.predecessors(name).keys() <= built
            story.start(name)
            running.append(name)
        else:
            name = running.pop(chance.randrange(len(running)))
            story.build(name)
            built.add(name)

    assert max(Counter(story.order).values()) == 1
    assert built <= set(story.plan.to_run)


@given(acyclic(), choices())
@settings(max_examples=150, deadline=None, suppress_health_check=[SLOW])
def test_whatever_fails_and_stops_the_run_ends_and_replays(
    document: Any, chance: Any
) -> None:
    story = Story(document)
    while not story.progress.done:
        ready, running = story.progress.ready(), story.progress.running
        assert ready or running
        choice = chance.random()
        if ready and choice < 0.5:
            story.start(chance.choice(ready))
        elif running and choice < 0.6:
            story.fail(chance.choice(running))
        elif running:
            stopped = ["out"] if chance.random() < 0.2 else []
            story.build(chance.choice(running), *stopped)

        twin = replay(story.graph, story.plan, story.events)
        assert twin.ready() == story.progress.ready()
        assert twin.running == story.progress.running


@given(acyclic())
@settings(max_examples=150, deadline=None, suppress_health_check=[SLOW])
def test_everything_that_hangs_together_with_the_start_is_run(document: Any) -> None:
    story = Story(document)
    story.finish()

    connected = set(story.plan.first)
    while True:
        more = story.graph.descendants(connected)
        more |= story.graph.ancestors(more - set(story.plan.first) or more)
        if more == connected:
            break
        connected = more
    assert connected >= set(story.order)
    if story.graph.chat_input is None:
        assert set(story.order) == set(story.graph.vertices)


@pytest.mark.skipif(not CAPTURED.exists(), reason="no captured stream beside us")
def test_the_captured_stream_of_langbuilder_is_followed() -> None:
    lines = CAPTURED.read_text("utf-8").splitlines()
    events = [json.loads(line) for line in lines if line.strip()]
    begun = events[0]["data"]
    ended = [e["data"]["build_data"] for e in events if e["event"] == "end_vertex"]
    story = Story(real(CAPTURED_FLOW))

    assert set(story.plan.first) == set(begun["ids"])
    assert set(story.plan.to_run) == set(begun["to_run"])
    for one in ended:
        step = story.carry_out(one["id"])
        assert set(step.next) == set(one["next_vertices_ids"])
        assert set(step.top_level) == set(one["top_level_vertices"])
        assert set(step.inactivated) == set(one["inactivated_vertices"])
    assert story.progress.done


def test_the_chat_input_starts_alone_and_others_are_found_when_needed() -> None:
    document = chain("ChatInput-1", "Prompt-1", "ChatOutput-1")
    document["nodes"].insert(0, vertex("Memory-1"))
    document["edges"].append(edge("Memory-1", "Prompt-1", field="memory"))
    story = Story(document)

    assert story.plan.first == ("ChatInput-1",)
    assert story.carry_out("ChatInput-1").next == ("Memory-1",)
    assert story.carry_out("Memory-1").next == ("Prompt-1",)
    assert story.finish() == ["ChatInput-1", "Memory-1", "Prompt-1", "ChatOutput-1"]


def test_a_vertex_with_two_inputs_is_scheduled_once() -> None:
    document = chain("A-1", "C-1")
    document["nodes"].append(vertex("B-1"))
    document["edges"].append(edge("B-1", "C-1", field="other"))
    story = Story(document)

    assert story.plan.first == ("A-1", "B-1")
    assert story.carry_out("A-1").next == ()
    assert story.carry_out("B-1").next == ("C-1",)


def test_stopping_at_a_vertex_keeps_what_feeds_it() -> None:
    story = Story(chain("A-1", "B-1", "C-1"), stop="B-1")

    assert story.plan.to_run == ("A-1", "B-1")
    assert story.finish() == ["A-1", "B-1"]


def test_starting_at_a_vertex_keeps_what_follows_and_all_that_needs() -> None:
    document = chain("A-1", "B-1", "C-1")
    document["nodes"].append(vertex("Apart-1"))
    story = Story(document, start="B-1")

    assert set(story.plan.to_run) == {"A-1", "B-1", "C-1"}
    assert story.finish() == ["A-1", "B-1", "C-1"]


def test_starting_and_stopping_at_once_is_refused() -> None:
    with pytest.raises(StartAndStopError):
        Story(chain("A-1", "B-1"), start="A-1", stop="B-1")


def test_stopping_at_an_unknown_vertex_is_refused() -> None:
    with pytest.raises(UnknownVertexError):
        Story(chain("A-1"), stop="Z-1")


def test_after_a_failure_other_branches_go_on() -> None:
    document = chain("A-1", "B-1", "C-1")
    document["nodes"] += [vertex("D-1")]
    document["edges"] += [edge("A-1", "D-1")]
    story = Story(document)
    story.carry_out("A-1")
    story.start("B-1")
    story.fail("B-1")

    assert story.progress.ready() == ("D-1",)
    assert story.finish() == ["A-1", "B-1", "D-1"]
    assert story.progress.done


ROUTED = {
    "nodes": [
        vertex("ChatInput-1"),
        router("ConditionalRouter-1"),
        vertex("ChatOutput-c"),
        vertex("ChatOutput-d"),
    ],
    "edges": [
        edge("ChatInput-1", "ConditionalRouter-1"),
        edge("ConditionalRouter-1", "ChatOutput-c", output="yes"),
        edge("ConditionalRouter-1", "ChatOutput-d", output="no"),
    ],
}


def test_a_router_stops_one_branch_and_the_other_goes_on() -> None:
    story = Story(ROUTED)
    story.carry_out("ChatInput-1")

    step = story.carry_out("ConditionalRouter-1", "no")

    assert step.next == ("ChatOutput-c",)
    assert step.inactivated == ("ChatOutput-d",)
    assert story.finish() == ["ChatInput-1", "ConditionalRouter-1", "ChatOutput-c"]


def test_a_branch_can_be_stopped_while_its_router_runs() -> None:
    story = Story(ROUTED)
    story.carry_out("ChatInput-1")
    story.start("ConditionalRouter-1")

    told = story.progress.inactivate("ConditionalRouter-1", "yes")
    step = story.build("ConditionalRouter-1")

    assert told == step.inactivated == ("ChatOutput-c",)
    assert step.stopped == ("yes",)
    assert step.next == ("ChatOutput-d",)


def test_what_was_stopped_is_inferred_from_a_record_that_lacks_it() -> None:
    story = Story(ROUTED)
    story.carry_out("ChatInput-1")
    story.start("ConditionalRouter-1")

    step = story.progress.built("ConditionalRouter-1", inactivated=("ChatOutput-d",))

    assert step.stopped == ("no",)
    assert step.next == ("ChatOutput-c",)


def test_a_vertex_where_branches_meet_goes_out_in_silence() -> None:
    document = ROUTED | {
        "nodes": [*ROUTED["nodes"], vertex("Meet-1")],
        "edges": [
            *ROUTED["edges"],
            edge("ChatOutput-c", "Meet-1"),
            edge("ChatOutput-d", "Meet-1", field="other"),
        ],
    }
    story = Story(document)
    story.carry_out("ChatInput-1")
    step = story.carry_out("ConditionalRouter-1", "no")

    assert step.inactivated == ("ChatOutput-d",)
    assert "Meet-1" not in story.finish()


def test_a_router_may_send_the_run_round_again() -> None:
    document = {
        "nodes": [
            vertex("ChatInput-1"),
            vertex("Try-1"),
            router("ConditionalRouter-1"),
            vertex("ChatOutput-1"),
        ],
        "edges": [
            edge("ChatInput-1", "Try-1"),
            edge("Try-1", "ConditionalRouter-1"),
            edge("ConditionalRouter-1", "Try-1", output="no", field="again"),
            edge("ConditionalRouter-1", "ChatOutput-1", output="yes"),
        ],
    }
    story = Story(document)
    story.carry_out("ChatInput-1")
    for _ in range(3):
        story.carry_out("Try-1")
        step = story.carry_out("ConditionalRouter-1", "yes")
        assert step.inactivated == ("ChatOutput-1",)
        assert step.next == ("Try-1",)
    story.carry_out("Try-1")
    step = story.carry_out("ConditionalRouter-1", "no")

    assert step.next == ("ChatOutput-1",)
    story.carry_out("ChatOutput-1")
    assert story.progress.done
    assert replay(story.graph, story.plan, story.events).done


def test_a_loop_runs_its_body_once_an_item_and_then_goes_on() -> None:
    story = Story(loop())
    story.carry_out("List-1")
    for _ in range(10):
        step = story.carry_out("LoopComponent-1", "done")
        assert step.next == ("Parse-1",)
        assert story.carry_out("Parse-1").next == ("Convert-1",)
        assert story.carry_out("Convert-1").next == ("LoopComponent-1",)
    step = story.carry_out("LoopComponent-1", "item")

    assert step.next == ("Zip-1",)
    assert step.inactivated == ("Parse-1", "Convert-1")
    story.carry_out("Zip-1")
    assert story.progress.done
    assert Counter(story.order) == {
        "List-1": 1,
        "LoopComponent-1": 11,
        "Parse-1": 10,
        "Convert-1": 10,
        "Zip-1": 1,
    }
    assert replay(story.graph, story.plan, story.events).done


def test_stopping_inside_a_circle_means_starting_there() -> None:
    story = Story(loop(), stop="Parse-1")

    assert set(story.plan.to_run) == set(story.graph.vertices)


def test_a_circle_without_loop_or_router_is_refused() -> None:
    document = chain("A-1", "B-1")
    document["edges"].append(edge("B-1", "A-1"))

    with pytest.raises(EndlessCircleError, match="A-1, B-1 form a cycle"):
        Graph.of(document)


def test_a_further_attempt_at_a_vertex_changes_nothing() -> None:
    story = Story(chain("A-1", "B-1"))
    story.start("A-1")
    story.start("A-1")

    assert story.progress.running == ("A-1",)
    assert story.build("A-1").next == ("B-1",)


def test_a_document_with_nothing_in_it_is_done_at_once() -> None:
    empty: list[Any] = [None, {}, {"nodes": [], "edges": []}]
    for document in empty:
        story = Story(document)
        assert story.plan == Plan((), ())
        assert story.progress.done


def test_ten_thousand_vertices_in_a_row_are_no_trouble() -> None:
    story = Story(chain(*(f"V-{n}" for n in range(10_000))))

    assert len(story.finish()) == 10_000


def test_a_call_comes_in_through_the_chat_or_the_webhook_and_stays_there() -> None:
    document = {
        "nodes": [
            vertex(name)
            for name in ("Webhook-1", "ChatInput-1", "A-1", "B-1", "Other-1", "Feed-1")
        ],
        "edges": [
            edge("Webhook-1", "A-1"),
            edge("ChatInput-1", "B-1"),
            edge("Feed-1", "B-1", field="more"),
        ],
    }
    graph = Graph.of(document)
    said, delivered = entrance(graph), entrance(graph, webhook=True)

    assert (said, delivered) == ("ChatInput-1", "Webhook-1")
    assert plan(graph, through=said) == Plan(
        ("ChatInput-1",), ("ChatInput-1", "Feed-1", "B-1")
    )
    assert plan(graph, through=delivered) == Plan(("Webhook-1",), ("Webhook-1", "A-1"))
    assert plan(graph, through=said, stop="A-1").to_run == ("Webhook-1", "A-1")
    assert entrance(Graph.of({"nodes": [vertex("A-1")], "edges": []})) is None
