"""The exchange: joins a client, a model and a flow, and parts them again."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol
from uuid import UUID

import msgspec
from litestar import WebSocket

from api.sockets import GOING_AWAY, REFUSED, TRY_LATER, ClosingError, Line, Sockets
from api.streams import RunStreams
from api.voice.frames import Frame, error_frame, read_spoken, read_talked
from api.voice.talk import TALKING, Asking, Dictation
from api.voice.tool import FlowAsTool
from application.execution.flows import FlowsToRun
from application.permissions import NotFoundError
from application.ports.voices import Call, VoiceAwayError
from application.replies import Replies
from application.voices import OPENAI, Voices
from domain.kernel import DomainError

Socket = WebSocket[Any, Any, Any]

LASTS: Final = 1800.0
"""Seconds that one conversation lasts at most: providers end theirs about then."""


class Talk[Said: Frame](Protocol):
    """A conversation once everybody is there."""

    async def begin(self) -> None: ...

    async def hear(self, said: Said) -> None: ...


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """Where people who want to talk with a flow come in."""

    sockets: Sockets
    voices: Voices
    flows_to_run: FlowsToRun
    replies: Replies
    streams: RunStreams

    async def dictation(
        self, socket: Socket, flow_id: str, session_id: str | None
    ) -> None:
        """Join *socket* with a flow that answers aloud."""
        await self._join(
            socket,
            flow_id,
            session_id,
            opened=self.voices.realtime.transcribing,
            talk=Dictation,
            read=read_spoken,
        )

    async def tool(self, socket: Socket, flow_id: str, session_id: str | None) -> None:
        """Join *socket* with a model that has a flow for a tool."""
        await self._join(
            socket,
            flow_id,
            session_id,
            opened=self.voices.realtime.talking,
            talk=FlowAsTool,
            read=read_talked,
        )

    async def _join[Said: Frame](
        self,
        socket: Socket,
        flow_id: str,
        session_id: str | None,
        *,
        opened: Callable[[str], AbstractAsyncContextManager[Call]],
        talk: Callable[[Line, Call, Asking, Voices], Talk[Said]],
        read: Callable[[str], Said],
    ) -> None:
        async def converse(line: Line) -> None:
            asking = self._asking(line, flow_id, session_id)
            await asking.flow()
            key = await self.voices.key(line.actor, OPENAI)
            async with opened(key) as call:
                conversation = talk(line, call, asking, self.voices)
                await conversation.begin()
                line.beside(_ends_in_time())
                async for text in line.hear():
                    try:
                        await conversation.hear(read(text))
                    except VoiceAwayError:
                        raise
                    except DomainError as refused:
                        await line.say(error_frame(refused))

        await self.sockets.hold(socket, _telling_why(converse), pace=TALKING)

    def _asking(self, line: Line, flow_id: str, session_id: str | None) -> Asking:
        try:
            flow = UUID(flow_id)
        except ValueError:
            raise NotFoundError("flow", flow_id) from None
        return Asking(
            line=line,
            flow_id=flow,
            session=session_id or flow_id,
            flows_to_run=self.flows_to_run,
            replies=self.replies,
            streams=self.streams,
        )


async def _ends_in_time() -> None:
    await asyncio.sleep(LASTS)
    raise ClosingError(GOING_AWAY, "This conversation has lasted long enough")


def _telling_why(
    converse: Callable[[Line], Awaitable[None]],
) -> Callable[[Line], Awaitable[None]]:
    """Return *converse*, which says what it could not do before it closes."""

    async def told(line: Line) -> None:
        try:
            await converse(line)
        except DomainError as refused:
            await line.say(error_frame(refused))
            away = isinstance(refused, VoiceAwayError)
            code = TRY_LATER if away else REFUSED
            raise ClosingError(code, refused.sentence[:100]) from None

    return told
