"""Frozen vertices: built once for the same inputs, and then used again."""

from collections.abc import Mapping
from typing import Any, override

import pytest

from application.execution.frozen import KIND
from application.ports.components import ComponentFailedError, Invocation
from domain.kernel import Json
from domain.run.events import VertexBuilt
from domain.run.values import Data, DataFrame, Live, Message, Value
from tests.application.lab import Lab, Scripted


class Giver(Scripted):
    """A component that gives what the test wants, and says each time how often."""

    def __init__(self, value: Value = None) -> None:
        super().__init__("Giver")
        self.value = value

    @override
    async def build(self, call: Invocation) -> Mapping[str, Value]:
        self.seen.append(dict(call.fields))
        if self.fails is not None:
            raise self.fails
        if self.value is not None:
            return {"text_output": self.value}
        return {"text_output": Message(text=f"answer {len(self.seen)}")}


def drawn(lab: Lab, *frozen: str, **values: Json) -> Json:
    document = lab.spoken("Giver", **values)
    for node in document["nodes"]:
        node["data"]["node"]["frozen"] = node["id"] in frozen
    return document


async def built(lab: Lab, flow: Any, **asked: Any) -> dict[str, dict[str, Any]]:
    """Run *flow*; return what it told of each vertex that was built."""
    run = await lab.ask(flow, **({"input_value": "hello"} | asked))
    frames = await lab.frames(run)
    assert frames[-1] == ("end", {})
    builds = [d["build_data"] for name, d in frames if name == "end_vertex"]
    recorded = {
        one.event.vertex: one.event.frozen
        for one in await lab.events(run)
        if isinstance(one.event, VertexBuilt)
    }
    used = {b["id"]: b["data"]["used_frozen_result"] for b in builds if b["valid"]}
    assert used == recorded
    return {one["id"]: one for one in builds}


def said(builds: dict[str, dict[str, Any]]) -> Any:
    return builds["ChatOutput-b"]["data"]["outputs"]["message"]["message"]


async def test_a_frozen_vertex_is_built_once_for_the_same_inputs() -> None:
    giver = Giver()
    lab = Lab(giver)
    async with lab.open():
        flow = await lab.add(drawn(lab, "Giver-m"))
        first, again = await built(lab, flow), await built(lab, flow)
        other = await built(lab, flow, input_value="something else")

    assert [said(one) for one in (first, again, other)] == [
        "answer 1",
        "answer 1",
        "answer 2",
    ]
    assert [
        one["Giver-m"]["data"]["used_frozen_result"] for one in (first, again, other)
    ] == [False, True, False]
    assert not again["ChatInput-a"]["data"]["used_frozen_result"]


async def test_a_result_is_known_to_any_server_and_to_api_runs() -> None:
    giver = Giver()
    lab = Lab(giver)
    other = Lab(giver, shared=lab)
    async with lab.open(), other.open():
        flow = await lab.add(drawn(lab, "Giver-m"))
        await built(lab, flow, session="s")
        run = await other.ask(flow, input_value="hello", session="s", trigger="run")
        await other.runs.wait(run)
        outputs = (await other.run(run)).outputs
        assert outputs is not None
        answer = (await lab.contents.open([outputs.id]))[outputs.id]

    assert len(giver.seen) == 1
    assert b"answer 1" in answer


async def test_the_same_vertex_in_another_flow_is_another_vertex() -> None:
    giver = Giver()
    lab = Lab(giver)
    async with lab.open():
        for _ in range(2):
            await built(lab, await lab.add(drawn(lab, "Giver-m")))

    assert len(giver.seen) == 2


async def test_a_vertex_that_is_not_frozen_is_neither_used_nor_kept() -> None:
    giver = Giver()
    lab = Lab(giver)
    async with lab.open():
        flow = await lab.add(drawn(lab))
        await built(lab, flow)
        assert await lab.store.claims.taken(KIND, "") == []
        frozen = drawn(lab, "Giver-m")
        await built(lab, flow, document=frozen)
        await built(lab, flow)
        await built(lab, flow, document=frozen)

    assert len(giver.seen) == 3


async def test_one_result_is_kept_and_the_one_before_is_forgotten() -> None:
    lab = Lab(Giver())
    async with lab.open():
        flow = await lab.add(drawn(lab, "Giver-m"))
        key = f"{flow}/Giver-m"
        await built(lab, flow)
        before = await lab.store.claims.holder(KIND, key)
        await built(lab, flow, input_value="something else")
        after = await lab.store.claims.holder(KIND, key)

    assert before != after
    assert before not in lab.store.content_rows
    assert after in lab.store.content_rows


async def test_a_result_whose_content_was_deleted_is_built_again() -> None:
    giver = Giver()
    lab = Lab(giver)
    async with lab.open():
        flow = await lab.add(drawn(lab, "Giver-m"))
        await built(lab, flow)
        kept = await lab.store.claims.holder(KIND, f"{flow}/Giver-m")
        assert kept is not None
        del lab.store.content_rows[kept]
        await built(lab, flow)
        await built(lab, flow)

    assert len(giver.seen) == 2


async def test_a_failure_is_not_kept() -> None:
    giver = Giver()
    lab = Lab(giver)
    giver.fails = ComponentFailedError("not today")
    async with lab.open():
        flow = await lab.add(drawn(lab, "Giver-m"))
        assert not (await built(lab, flow))["Giver-m"]["valid"]
        giver.fails = None
        assert said(await built(lab, flow)) == "answer 2"


@pytest.mark.parametrize(
    "value",
    [
        Data(data={"a": [1, {"b": None}]}, text_key="a"),
        DataFrame(rows=[{"a": 1}, {"a": 2}]),
        [Data(data={"text": "one"}), Message(text="two")],
        {"plain": ["json", 1.5, True]},
        "a text",
    ],
)
async def test_values_of_every_shape_are_used_again(value: Value) -> None:
    giver = Giver(value)
    lab = Lab(giver)
    async with lab.open():
        flow = await lab.add(drawn(lab, "Giver-m"))
        first, again = await built(lab, flow), await built(lab, flow)

    assert len(giver.seen) == 1
    assert first["Giver-m"]["data"]["outputs"] == again["Giver-m"]["data"]["outputs"]
    assert said(first) == said(again)


@pytest.mark.parametrize("value", [Live(value=object()), [object()], 2**80])
async def test_what_cannot_be_stored_is_built_each_time(value: Value) -> None:
    giver = Giver(value)
    lab = Lab(giver)
    async with lab.open():
        flow = await lab.add(drawn(lab, "Giver-m"))
        await built(lab, flow)
        await built(lab, flow)

    assert len(giver.seen) == 2


async def test_a_frozen_chat_input_says_nothing_again() -> None:
    lab = Lab()
    async with lab.open():
        document = lab.echo()
        document["nodes"][0]["data"]["node"]["frozen"] = True
        flow = await lab.add(document)
        await built(lab, flow)
        frames = await lab.frames(await lab.ask(flow, input_value="hello"))

    said = [data["sender"] for name, data in frames if name == "add_message"]
    assert said == ["Machine"]


async def test_runs_side_by_side_keep_one_result_and_all_succeed() -> None:
    lab = Lab(Giver())
    async with lab.open():
        flow = await lab.add(drawn(lab, "Giver-m"))
        runs = [await lab.ask(flow, input_value=str(n % 3)) for n in range(12)]
        ended = [await lab.runs.wait(run) for run in runs]

    assert {one.status for one in ended} == {"succeeded"}
    kept = await lab.store.claims.holder(KIND, f"{flow}/Giver-m")
    assert kept in lab.store.content_rows
