"""The starter flows as plain graphs, for clients that draw them themselves."""

from typing import Any

import msgspec
from litestar import Controller, get

from api.given import Given
from api.v1.examples import Examples


class StarterGraph(msgspec.Struct, frozen=True, kw_only=True):
    """A flow's document with the names it goes by."""

    data: dict[str, Any]
    is_component: bool
    name: str
    description: str | None
    endpoint_name: str | None


class StarterController(Controller):
    """Lists what newcomers find in their first project."""

    path = "/starter-projects"
    tags = ("Flows",)

    @get("/", sync_to_thread=False)
    def graphs(self, examples: Given[Examples]) -> list[StarterGraph]:
        """List the starter flows as graphs."""
        return [
            StarterGraph(
                data=flow.data,
                is_component=flow.is_component,
                name=flow.name,
                description=flow.description,
                endpoint_name=flow.endpoint_name,
            )
            for flow in examples.flows
        ]
