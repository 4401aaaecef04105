"""Runs carried out in the mind, and documents that go round and round."""

from typing import Any
from uuid import UUID

from domain.kernel import ContentRef
from domain.run.events import RunEvent, VertexBuilt, VertexFailed, VertexStarted
from domain.run.graph import Graph
from domain.run.schedule import Progress, Step, plan
from tests.domain.documents import edge, loop_back, vertex

CONTENT = ContentRef(UUID(int=1), "00", 0)
FLOW = UUID(int=2)


class Story:
    """A run carried out in the mind, told as its events would tell it."""

    def __init__(self, document: Any, **limits: str) -> None:
        self.graph = Graph.of(document)
        self.plan = plan(self.graph, **limits)
        self.progress = Progress(self.graph, self.plan)
        self.events: list[RunEvent] = []
        self.order: list[str] = []

    def start(self, name: str) -> None:
        self.progress.started(name)
        self.events.append(VertexStarted(vertex=name))
        self.order.append(name)

    def build(self, name: str, *stopped: str) -> Step:
        step = self.progress.built(name, stopped)
        self.events.append(
            VertexBuilt(
                flow=FLOW,
                vertex=name,
                content=CONTENT,
                next=step.next,
                inactivated=step.inactivated,
                stopped=step.stopped,
            )
        )
        return step

    def fail(self, name: str) -> None:
        self.progress.failed(name)
        self.events.append(
            VertexFailed(flow=FLOW, vertex=name, reason="boom", content=CONTENT)
        )

    def carry_out(self, name: str, *stopped: str) -> Step:
        self.start(name)
        return self.build(name, *stopped)

    def finish(self) -> list[str]:
        while ready := self.progress.ready():
            self.carry_out(ready[0])
        return self.order


def router(name: str) -> dict[str, Any]:
    drawn = vertex(name)
    drawn["data"]["node"]["outputs"] = [
        {"name": "yes", "types": ["Message"]},
        {"name": "no", "types": ["Message"]},
    ]
    return drawn


def loop() -> dict[str, Any]:
    looping = vertex("LoopComponent-1")
    looping["data"]["node"]["outputs"] = [
        {"name": "item", "types": ["Message"], "allows_loop": True},
        {"name": "done", "types": ["Message"]},
    ]
    return {
        "nodes": [
            vertex("List-1"),
            looping,
            vertex("Parse-1"),
            vertex("Convert-1"),
            vertex("Zip-1"),
        ],
        "edges": [
            edge("List-1", "LoopComponent-1"),
            edge("LoopComponent-1", "Parse-1", output="item"),
            edge("Parse-1", "Convert-1"),
            loop_back("Convert-1", "LoopComponent-1"),
            edge("LoopComponent-1", "Zip-1", output="done"),
            edge("List-1", "Zip-1", field="other"),
        ],
    }
