"""The models that clients of OpenAI's protocol may choose: one's flows."""

from typing import Any
from uuid import UUID

from litestar import Controller, get
from litestar.params import FromPath

from api.given import Given
from api.lists import Part
from api.openai.answers import LISTED, NAMED
from api.openai.naming import PREFIX
from api.openai.problems import HANDLERS_HERE
from api.problems import Refusal
from application.permissions import person
from application.ports import Actor
from projections.flows.views import FlowHeader, FlowViews


class ModelController(Controller):
    """Questions go to the view of flows."""

    path = "/models"
    tags = ("OpenAI",)
    exception_handlers = HANDLERS_HERE

    @get("/", responses=LISTED)
    async def many(
        self, actor: Given[Actor], flow_views: Given[FlowViews], part: Given[Part]
    ) -> dict[str, Any]:
        """List one's flows as models."""
        found = await flow_views.headers(
            person(actor),
            components_only=False,
            bare=True,
            limit=part.limit,
            offset=part.offset,
        )
        return {"object": "list", "data": list(map(_model, part.told(found)))}

    @get("/{model:str}", responses=NAMED)
    async def one(
        self, model: FromPath[str], actor: Given[Actor], flow_views: Given[FlowViews]
    ) -> dict[str, Any]:
        """Tell one of one's flows as a model."""
        name = model.removeprefix(PREFIX)
        flow = await flow_views.called(person(actor), name)
        if flow is None:
            raise Refusal(404, f"Flow identifier {name} not found")
        return _model(flow)


def _model(flow: FlowHeader) -> dict[str, Any]:
    flow_id: UUID = flow.id
    name = f"{PREFIX}{flow.endpoint_name or flow_id}"
    return {
        "id": name,
        "name": flow.name,
        "object": "model",
        "created": int(flow.updated_at.timestamp()),
        "owned_by": str(flow.owner),
        "root": name,
        "parent": None,
        "permission": [],
        "metadata": {
            "display_name": flow.name,
            "description": flow.description,
            "endpoint_name": flow.endpoint_name,
            "flow_id": str(flow_id),
            "access": flow.access,
        },
    }
