"""Chat without a socket: say something to a flow, read what was said, clear it."""

from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Controller, Response, delete, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery, RequestBody
from litestar.response import Stream
from msgspec import Meta

from api.chat_telling import ChatTelling
from api.given import Given
from api.lists import Part
from api.problems import Refusal, problem
from api.requests import Answers
from api.security import RUN
from api.streams import RunStreams, with_heartbeat
from api.v1.build import UNBUFFERED
from api.v1.chat import frame_of
from api.v1.message_shapes import messages_of
from api.v1.run import EVENT_STREAM
from api.v1.run_shapes import no_variables_in_headers
from application.execution.flows import FlowsToRun, FlowToRun
from application.messages import Messages
from application.names import Name
from application.permissions import NotFoundError, person
from application.ports import Actor, Cause, Contents
from application.replies import Replies, Reply, Usage
from application.runs import Requested
from domain.run.tweaks import ConflictingTweakError
from projections.messages.views import MessageViews


class ChatMessage(msgspec.Struct, frozen=True, kw_only=True):
    """
    Something said to a flow; everything but the words may be left out.

    Without ``session_id`` it belongs to the flow's own session.
    """

    message: str
    session_id: Name | None = None
    files: Annotated[list[Name], Meta(max_length=100)] = []
    tweaks: dict[str, Any] = {}


class ChatReply(msgspec.Struct, frozen=True, kw_only=True):
    """What the flow said, with an empty line between where that is several things."""

    run_id: UUID
    flow_id: UUID
    session_id: str
    message: str
    usage: Usage


REPLIED = {200: ResponseSpec(ChatReply, description="What the flow said")}


class ChatController(Controller):
    """A flow as somebody to talk with; the same as over the WebSocket."""

    path = "/chat/{flow_id:str}"
    tags = ("Chat",)

    @post(
        "/",
        status_code=200,
        opt=RUN | {"refuses": (500,)},
        guards=[no_variables_in_headers],
        responses=REPLIED,
    )
    async def say(
        self,
        *,
        flow_id: FromPath[Name],
        data: RequestBody[ChatMessage],
        actor: Given[Actor],
        cause: Given[Cause],
        flows_to_run: Given[FlowsToRun],
        replies: Given[Replies],
        streams: Given[RunStreams],
        answers: Given[Answers],
        stream: FromQuery[bool] = False,
    ) -> Response[Any]:
        """
        Say something to a flow of one's own, by id or endpoint name; get its reply.

        With ``stream`` the frames of the WebSocket come as server-sent events.
        """
        flow = await _flow(flow_id, actor, flows_to_run)
        session = data.session_id or str(flow.id)
        asking = _asking(replies, flow, data, session, cause=cause, stream=stream)
        try:
            run = (await asking).run
        except ConflictingTweakError as error:
            raise Refusal(400, error.sentence) from None
        headers = {"X-Run-Id": str(run)}
        if stream:
            frames = _told(run, streams)
            headers |= UNBUFFERED
            return Stream(frames, media_type=EVENT_STREAM, headers=headers)
        reply = await replies.wait(run)
        await answers.settle(reply.position)
        return _reply(reply, flow.id, session, headers)

    @get("/messages")
    async def messages(
        self,
        *,
        flow_id: FromPath[Name],
        actor: Given[Actor],
        flows_to_run: Given[FlowsToRun],
        message_views: Given[MessageViews],
        contents: Given[Contents],
        part: Given[Part],
        session_id: FromQuery[Name | None] = None,
    ) -> list[dict[str, Any]]:
        """
        List what was said in a flow, or one session of it, oldest first.

        These are the newest, but for the ``offset`` newest.
        """
        flow = await _flow(flow_id, actor, flows_to_run)
        found = await message_views.page(
            person(actor),
            flow=flow.id,
            session=session_id,
            descending=True,
            limit=part.limit,
            offset=part.offset,
        )
        return await messages_of(part.told(found)[::-1], contents)

    @delete("/messages", status_code=204)
    async def clear(
        self,
        *,
        flow_id: FromPath[Name],
        cause: Given[Cause],
        flows_to_run: Given[FlowsToRun],
        messages: Given[Messages],
        answers: Given[Answers],
        session_id: FromQuery[Name | None] = None,
    ) -> None:
        """Remove what was said in a flow, or in one session of it."""
        flow = await _flow(flow_id, cause.actor, flows_to_run)
        done = await messages.clear(cause.actor, flow.id, session_id, cause=cause)
        await answers.settle(done.position)


def _asking(
    replies: Replies,
    flow: FlowToRun,
    said: ChatMessage,
    session: str,
    *,
    cause: Cause,
    stream: bool,
) -> Awaitable[Requested]:
    return replies.ask(
        flow,
        said.message,
        trigger="chat",
        cause=cause,
        session=session,
        files=said.files,
        tweaks=said.tweaks,
        stream=stream,
    )


def _reply(
    reply: Reply, flow: UUID, session: str, headers: dict[str, str]
) -> Response[Any]:
    if reply.error is not None:
        return problem(500, reply.error, headers)
    said = ChatReply(
        run_id=reply.run,
        flow_id=flow,
        session_id=session,
        message=reply.text,
        usage=reply.usage,
    )
    return Response(said, headers=headers)


async def _flow(identifier: str, actor: Actor, flows: FlowsToRun) -> FlowToRun:
    try:
        return await flows.named(actor, identifier)
    except NotFoundError:
        raise Refusal(404, f"Flow identifier {identifier} not found") from None


async def _told(run: UUID, streams: RunStreams) -> AsyncGenerator[bytes]:
    """Yield a run's frames as server-sent events; leaving does not stop it."""
    async with aclosing(streams.told(run, ChatTelling())) as told:
        async for item in with_heartbeat(told):
            if item is None:
                yield b": still here\n\n"
                continue
            for name, data in item.frames:
                frame = msgspec.json.encode(frame_of(name, data, run, item.version))
                yield b"data: " + frame + b"\n\n"
