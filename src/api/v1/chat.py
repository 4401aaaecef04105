"""Chat over a WebSocket: say something to a flow, and hear it answer word by word."""

import asyncio
from contextlib import aclosing
from hashlib import sha256
from typing import Annotated, Any, Final
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

import msgspec
from litestar import Controller, WebSocket, websocket
from litestar.params import FromPath, FromQuery
from msgspec import Meta

from api.chat_telling import ChatTelling
from api.given import Given
from api.problems import detail_of
from api.sockets import Line, NotAMessageError, Sockets
from api.streams import RunStreams
from application.execution.flows import FlowsToRun
from application.names import Name
from application.ports import Cause, StoreBusyError
from application.runs import Runs
from domain.kernel import DomainError, Json
from domain.run.asked import Asked

AT_ONCE: Final = 4
"""Runs that one socket follows at the same time."""

Key = Annotated[str, Meta(min_length=1, max_length=255)]


class AlreadyFollowedError(DomainError):
    """This run is being told here already."""


class TooManyFollowedError(DomainError):
    """This connection follows as many runs as it may; wait until one has ended."""


class Message(msgspec.Struct, frozen=True, kw_only=True, tag="message"):
    """
    Something said to a flow; it is answered by a run.

    ``flow_id`` is an id or an endpoint name; ``id`` is the client's own name for the
    message: said again under the same id, it does not run again.
    """

    message: str = ""
    flow_id: Name | None = None
    session_id: Name | None = None
    files: Annotated[list[Name], Meta(max_length=100)] = []
    tweaks: dict[str, Any] = {}
    id: Key | None = None


class Resume(msgspec.Struct, frozen=True, kw_only=True, tag="resume"):
    """Go on telling a run, after a position that was told before."""

    run_id: UUID
    after: Annotated[int, Meta(ge=0)] = 0


class Cancel(msgspec.Struct, frozen=True, kw_only=True, tag="cancel"):
    """Stop a run."""

    run_id: UUID


class Ping(msgspec.Struct, frozen=True, kw_only=True, tag="ping"):
    """Say that somebody is there."""


type Said = Message | Resume | Cancel | Ping

_SAID: Final = msgspec.json.Decoder(dict[str, Any])


class ChatSocketController(Controller):
    """One socket, one conversation; runs are their own and outlive it."""

    path = "/chat"
    tags = ("Chat",)

    @websocket("/{client_id:str}", opt={"scope": "run"})
    async def chat(
        self,
        *,
        socket: WebSocket[Any, Any, Any],
        client_id: FromPath[Name],
        sockets: Given[Sockets],
        runs: Given[Runs],
        flows_to_run: Given[FlowsToRun],
        streams: Given[RunStreams],
        flow_id: FromQuery[Name | None] = None,
        session_id: FromQuery[Name | None] = None,
    ) -> None:
        """Chat with flows: messages in, tokens and messages out, as JSON texts."""

        async def converse(line: Line) -> None:
            chat = Chat(line, runs=runs, flows_to_run=flows_to_run, streams=streams)
            chat.flow, chat.session = flow_id or client_id, session_id or client_id
            async for text in line.hear():
                await line.renew()
                await chat.hear(text)

        await sockets.hold(socket, converse)


class Chat:
    """A conversation with flows over one line."""

    flow: str
    session: str

    def __init__(
        self, line: Line, *, runs: Runs, flows_to_run: FlowsToRun, streams: RunStreams
    ) -> None:
        self._line = line
        self._runs = runs
        self._flows_to_run = flows_to_run
        self._streams = streams
        self._following: dict[UUID, asyncio.Task[None]] = {}

    async def hear(self, text: str) -> None:
        """Do what a client says; tell it why not, where that cannot be done."""
        beside: dict[str, Json] = {}
        try:
            said = _read(text, beside)
            match said:
                case Message():
                    await self._run(said, text)
                case Resume(run_id=run, after=after):
                    await self._runs.require(self._line.actor, run)
                    self._follow(run, after)
                case Cancel(run_id=run):
                    await self._runs.cancel(run, cause=self._cause())
                case Ping():
                    await self._line.say({"type": "pong"})
        except DomainError as refused:
            await self._line.say(beside | _error(refused))

    async def _run(self, said: Message, text: str) -> None:
        self._has_room()
        flow = await self._flows_to_run.named(
            self._line.actor, said.flow_id or self.flow
        )
        session = said.session_id or self.session
        requested = await self._runs.request(
            flow,
            Asked(
                input_value=said.message,
                input_type="chat",
                session=session,
                files=tuple(said.files),
                tweaks=said.tweaks,
                stream=True,
            ),
            trigger="chat",
            cause=self._cause(said.id, text),
        )
        start: dict[str, Json] = {
            "type": "start",
            "run_id": str(requested.run),
            "flow_id": str(flow.id),
            "session_id": session,
        }
        await self._line.say(start | ({"id": said.id} if said.id else {}))
        if requested.run not in self._following:
            self._follow(requested.run)

    def _has_room(self) -> None:
        if len(self._following) >= AT_ONCE:
            raise TooManyFollowedError

    def _follow(self, run: UUID, after: int = 0) -> None:
        if run in self._following:
            raise AlreadyFollowedError(run)
        self._has_room()
        self._following[run] = self._line.beside(self._told(run, after))

    async def _told(self, run: UUID, after: int) -> None:
        telling = ChatTelling(after)
        position, ended = after, False
        try:
            async with aclosing(self._streams.told(run, telling)) as stream:
                async for told in stream:
                    position = told.version
                    for name, data in told.frames:
                        ended = name == "end"
                        await self._line.say(frame_of(name, data, run, position))
            if not ended:  # that has been told before, but nothing else is left
                end = {"status": (await self._runs.wait(run)).status}
                await self._line.say(frame_of("end", end, run, position))
        finally:
            del self._following[run]

    def _cause(self, key: str | None = None, text: str = "") -> Cause:
        actor = self._line.actor
        if key is None:
            return Cause(actor=actor, command_id=uuid4(), correlation_id=uuid4())
        return Cause(
            actor=actor,
            command_id=uuid5(NAMESPACE_URL, f"{actor.user}/chat/{key}"),
            correlation_id=uuid4(),
            request_hash=sha256(text.encode()).digest(),
            idempotent=True,
        )


def _read(text: str, beside: dict[str, Json]) -> Said:
    """Read what a client says; put beside an answer what tells which one it answers."""
    try:
        plain = _SAID.decode(text)
        for name in ("id", "run_id"):
            if isinstance(plain.get(name), str):
                beside[name] = plain[name]
        said: Said = msgspec.convert({"type": "message"} | plain, Said)
    except (msgspec.DecodeError, RecursionError) as error:
        raise NotAMessageError(str(error)) from None
    return said


def frame_of(name: str, data: dict[str, Any], run: UUID, position: int) -> Json:
    """Return a frame of a run as clients read it."""
    frame = {"type": name, "run_id": str(run), "position": position}
    return frame | data if name in {"end", "error"} else frame | {"data": data}


def _error(refused: DomainError) -> dict[str, Json]:
    said = {
        "type": "error",
        "code": refused.slug,
        "message": str(detail_of(refused)),
    }
    return said | ({"retry_after": 1} if isinstance(refused, StoreBusyError) else {})
