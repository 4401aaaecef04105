"""Which flow a client of OpenAI's protocol means by a model's name."""

from typing import Final
from uuid import UUID

from api.problems import Refusal
from application.execution.flows import FlowsToRun, FlowToRun
from application.permissions import NotFoundError, person
from application.ports import Actor
from projections.flows.views import FlowViews

PREFIX: Final = "lb:"


async def flow_named(
    actor: Actor, model: str | None, flows_to_run: FlowsToRun, views: FlowViews
) -> FlowToRun:
    """
    Return *actor*'s flow: by id or endpoint name, ``lb:`` before it or not.

    Without a name it is the one edited last. Refuse with 404 where there is none;
    somebody else's flow is none, public or not.
    """
    if model is None:
        rows = await views.page(person(actor), size=1, is_component=False)
        if not rows:
            raise Refusal(404, "No flows available for this account")
        return await flows_to_run.head(actor, rows[0].id)
    identifier = model.removeprefix(PREFIX)
    try:
        return await flows_to_run.named(actor, identifier)
    except NotFoundError:
        raise Refusal(404, f"Flow identifier {identifier} not found") from None


def moment_of(run: UUID) -> int:
    """Return when a run was asked for, in seconds, as its id tells."""
    return (run.int >> 80) // 1000
