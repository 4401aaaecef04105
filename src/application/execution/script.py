"""What is settled about a run before its first vertex starts."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import msgspec

from application.execution.inputs import fields_of
from application.execution.threads import Threads
from application.execution.variables import VariableValues
from application.ports import (
    Cause,
    Claims,
    Contents,
    EventStore,
    MessageHistory,
    Signals,
)
from application.ports.components import Components, Feed, RunFacts
from application.ports.files import OwnersFiles
from domain.kernel import Json
from domain.run.asked import Asked
from domain.run.graph import Graph, VertexInfo
from domain.run.schedule import Plan
from domain.run.tweaks import Template, templates

CHAT_OUTPUT = "ChatOutput"
MODEL_FIELDS = ("model_name", "model_id", "model")


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much runs at once, and for how long; seconds throughout."""

    running: int = 64
    queued: int = 1000
    vertices_at_once: int = 16
    vertex_timeout: float = 600.0
    lease: float = 20.0
    grace: float = 10.0
    cancelling: float = 2.0


class World(msgspec.Struct, frozen=True, kw_only=True):
    """What executions share: the ports, and how much they may take."""

    store: EventStore
    contents: Contents
    components: Components
    signals: Signals
    history: MessageHistory
    files: OwnersFiles
    variables: VariableValues
    threads: Threads
    claims: Claims
    now: Callable[[], datetime]
    limits: Limits


class Script:
    """One run's flow, made ready: who feeds whom, and every template filled in."""

    def __init__(
        self,
        graph: Graph,
        plan: Plan,
        asked: Asked,
        facts: RunFacts,
        *,
        cause: Cause,
        secrets: Sequence[str] = (),
    ) -> None:
        self.graph = graph
        self.plan = plan
        self.asked = asked
        self.facts = facts
        self.cause = cause
        self.secrets = secrets
        self._templates = templates(graph, asked, session=facts.session)

    def vertex(self, vertex: str) -> VertexInfo:
        """Return what the graph knows of a vertex."""
        return self.graph.vertices[vertex]

    def template(self, vertex: str) -> Template:
        """Return a vertex's template with tweaks, session and input put in."""
        return self._templates[vertex]

    def hearer(self, vertex: str) -> str | None:
        """
        Return the chat output that a vertex's text streams into, if it is to stream.

        Only a vertex whose ``stream`` field is on streams, and only into one that
        keeps its message.
        """
        if not self._on(vertex, "stream"):
            return None
        for edge in self.graph.outgoing[vertex]:
            fits = CHAT_OUTPUT in edge.target and edge.target_field == "input_value"
            if fits and self._on(edge.target, "should_store_message"):
                return edge.target
        return None

    def text(self, vertex: str, field: str) -> str:
        """Return the text a field holds in the template, wired or not."""
        held = self.template(vertex).get(field)
        value = held.get("value") if isinstance(held, Mapping) else None
        return value if isinstance(value, str) else ""

    def feed(self, vertex: str) -> Feed:
        """Return how a message names *vertex* as its source."""
        info = self.vertex(vertex)
        models = (self.text(vertex, field) for field in MODEL_FIELDS)
        return Feed(
            vertex=vertex,
            display_name=info.display_name,
            icon=str(info.node.get("icon") or ""),
            model=next((model for model in models if model), ""),
        )

    def fields(
        self, vertex: str, *, wired: Sequence[str]
    ) -> dict[str, Mapping[str, Json]]:
        """Return the fields of a vertex whose value is the template's own."""
        return fields_of(self.template(vertex), wired)

    def _on(self, vertex: str, field: str) -> bool:
        held = self.template(vertex).get(field)
        return isinstance(held, Mapping) and bool(held.get("value"))
