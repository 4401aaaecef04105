"""Which flow a client of OpenAI's protocol means by a model's name."""

from typing import Final
from uuid import UUID

from api.openai.problems import Unsupported
from api.openai.shapes import Told
from api.problems import Refusal
from application.execution.flows import FlowsToRun, FlowToRun
from application.permissions import NotFoundError, person
from application.pictures import Pictures
from application.ports import Actor, Cause
from application.replies import chats
from projections.flows.views import FlowViews

PREFIX: Final = "lb:"


class FlowModels:
    """Flows as the models that clients of OpenAI's protocol know."""

    def __init__(
        self, flows_to_run: FlowsToRun, views: FlowViews, pictures: Pictures
    ) -> None:
        self._flows_to_run = flows_to_run
        self._views = views
        self._pictures = pictures

    async def named(self, actor: Actor, model: str | None) -> FlowToRun:
        """
        Return *actor*'s flow: by id or endpoint name, ``lb:`` before it or not.

        Without a name it is the one edited last. Refuse with 404 where there is none;
        somebody else's flow is none, public or not.
        """
        if model is None:
            owner = person(actor)
            rows = await self._views.page(owner, size=1, is_component=False)
            if not rows:
                raise Refusal(404, "No flows available for this account")
            return await self._flows_to_run.head(actor, rows[0].id)
        identifier = model.removeprefix(PREFIX)
        try:
            return await self._flows_to_run.named(actor, identifier)
        except NotFoundError:
            raise Refusal(404, f"Flow identifier {identifier} not found") from None

    async def pictures(self, told: Told, flow: FlowToRun, cause: Cause) -> list[str]:
        """Keep the pictures of a message for its run; return their paths."""
        if told.pictures and not chats(flow.document):
            raise Unsupported(
                "messages", "This flow has no chat input to take an image"
            )
        return await self._pictures.keep(
            cause.actor, flow.id, told.pictures, cause=cause
        )


def moment_of(run: UUID) -> int:
    """Return when a run was asked for, in seconds, as its id tells."""
    return (run.int >> 80) // 1000
