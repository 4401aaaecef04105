"""Responses that were made or are being made: told, heard again, stopped, deleted."""

from collections.abc import AsyncGenerator
from typing import Annotated, Any, Final, Literal

import msgspec
from litestar import Controller, Response, delete, get, post
from litestar.params import FromPath, FromQuery
from msgspec import Meta

from api.given import Given
from api.openai.answers import DELETED, ITEMS, RESPONDED
from api.openai.problems import HANDLERS_HERE, Exact, Unsupported
from api.openai.response_shapes import (
    Echo,
    ResponseEvents,
    ended,
    id_of,
    items_of,
    response_of,
    run_of,
)
from api.openai.speaking import spoken, streamed
from api.requests import Answers
from api.security import RUN, WATCH
from application.commands import part_of
from application.messages import Messages
from application.permissions import NotFoundError
from application.ports import Actor, Cause, Contents
from application.replies import Replies
from application.runs import Runs
from domain.run.asked import Asked
from domain.run.run import Run

WRONG: Final = {"refuses": (400,)}

type Limit = Annotated[int, Meta(ge=1, le=100)]


class KeptResponseController(Controller):
    """A response is a run: what is asked of the one is told from the other."""

    path = "/responses/{response_id:str}"
    tags = ("OpenAI",)
    opt = WATCH
    exception_handlers = HANDLERS_HERE

    @get("/", responses=RESPONDED, opt=WRONG)
    async def one(
        self,
        *,
        response_id: FromPath[str],
        actor: Given[Actor],
        runs: Given[Runs],
        replies: Given[Replies],
        contents: Given[Contents],
        stream: FromQuery[bool] = False,
        starting_after: FromQuery[Annotated[int, Meta(ge=0)] | None] = None,
    ) -> Response[Any]:
        """
        Tell how a response stands, or how it ended.

        With ``stream`` one that was asked for in the background is heard, from its
        beginning or after the event of that ``sequence_number``.
        """
        run = await kept_run(response_id, actor, runs)
        asked = await _asked(run, contents)
        if not stream:
            return Response(await _standing(run, asked.echo, replies))
        if not asked.echo.get("background"):
            raise Unsupported(
                "stream", "Only a response in the background can be streamed again"
            )
        frames = _heard(run, asked.echo, replies, after=starting_after)
        return streamed(frames, run.id)

    @delete("/", status_code=200, opt=RUN, responses=DELETED)
    async def remove(
        self,
        *,
        response_id: FromPath[str],
        cause: Given[Cause],
        runs: Given[Runs],
        messages: Given[Messages],
        answers: Given[Answers],
    ) -> dict[str, Any]:
        """
        Delete a response: what was asked and answered, also from its session.

        One that is still being made is stopped first.
        """
        run = await _run(response_id, cause.actor, runs)
        if not run.ended:
            await runs.cancel(run.id, cause=part_of(cause, "stopped"))
        try:
            done = await messages.forget_run(run.id, cause=cause)
        except NotFoundError:
            raise _unknown(response_id) from None
        await answers.settle(done.position)
        return {"id": id_of(run.id), "object": "response", "deleted": True}

    @post("/cancel", status_code=200, opt=RUN, responses=RESPONDED)
    async def cancel(
        self,
        *,
        response_id: FromPath[str],
        cause: Given[Cause],
        runs: Given[Runs],
        replies: Given[Replies],
        contents: Given[Contents],
    ) -> dict[str, Any]:
        """Stop a response that is still being made."""
        run = await kept_run(response_id, cause.actor, runs)
        asked = await _asked(run, contents)
        await runs.cancel(run.id, cause=cause)
        run = await runs.get(cause.actor, run.id)
        return await _standing(run, asked.echo, replies)

    @get("/input_items", responses=ITEMS, opt=WRONG)
    async def input_items(
        self,
        *,
        response_id: FromPath[str],
        actor: Given[Actor],
        runs: Given[Runs],
        contents: Given[Contents],
        limit: FromQuery[Limit] = 20,
        order: FromQuery[Literal["asc", "desc"]] = "desc",
        after: FromQuery[str | None] = None,
    ) -> dict[str, Any]:
        """List what a response was asked: its own input, not that of earlier ones."""
        run = await kept_run(response_id, actor, runs)
        items = items_of(run.id, await _asked(run, contents))
        if order == "desc":
            items.reverse()
        ids = [item["id"] for item in items]
        if after is not None and after not in ids:
            raise Unsupported("after", "There is no such item", code="unknown_item")
        begin = 0 if after is None else ids.index(after) + 1
        page = items[begin : begin + limit]
        return {
            "object": "list",
            "data": page,
            "first_id": page[0]["id"] if page else None,
            "last_id": page[-1]["id"] if page else None,
            "has_more": len(items) > begin + limit,
        }


async def kept_run(response_id: str, actor: Actor, runs: Runs) -> Run:
    """Return the run of *actor*'s response, or refuse as if there were none."""
    run = await _run(response_id, actor, runs)
    if run.forgotten:
        raise _unknown(response_id)
    return run


async def _run(response_id: str, actor: Actor, runs: Runs) -> Run:
    """Return the run of a response that may have been deleted."""
    run_id = run_of(response_id)
    try:
        if run_id is not None:
            run = await runs.get(actor, run_id)
            if run.trigger == "responses":
                return run
    except NotFoundError:
        pass
    raise _unknown(response_id)


async def _asked(run: Run, contents: Contents) -> Asked:
    """Return what a response was asked; once that has aged, there is none."""
    opened = (await contents.open([run.asked.id])).get(run.asked.id)
    if opened is None:
        raise _unknown(id_of(run.id))
    return msgspec.json.decode(opened, type=Asked)


async def _standing(run: Run, echo: Echo, replies: Replies) -> dict[str, Any]:
    if run.ended:
        return ended(run.id, echo, await replies.wait(run.id))
    going = "queued" if run.worker is None else "in_progress"
    return response_of(run.id, echo, status=going)


def _heard(
    run: Run, echo: Echo, replies: Replies, *, after: int | None
) -> AsyncGenerator[bytes]:
    events = ResponseEvents(run.id, echo, named=True, after=after)
    return spoken(run.id, replies, events.say, first=events.begin())


def _unknown(response_id: str) -> Exact:
    said = f"Response with id '{response_id}' not found."
    return Exact(404, "response_id", said, code="response_not_found")
