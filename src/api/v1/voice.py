"""Voice: flows that are spoken to, and answer aloud."""

from typing import Any

from litestar import Controller, WebSocket, get, websocket
from litestar.params import FromPath

from api.given import Given
from api.security import RUN
from api.voice.exchange import Exchange
from application.names import Name
from application.ports import Actor
from application.ports.voices import NamedVoice
from application.voices import Voices
from domain.kernel import DomainError


class VoiceController(Controller):
    """The `Exchange` joins who calls with a model and a flow."""

    path = "/voice"
    tags = ("Voice",)

    @get("/elevenlabs/voice_ids")
    async def voice_ids(
        self, *, actor: Given[Actor], voices: Given[Voices]
    ) -> list[NamedVoice] | dict[str, str]:
        """List the voices of ElevenLabs that one's key opens; else say why not."""
        try:
            return await voices.named(actor)
        except DomainError as refused:
            return {"error": refused.sentence}

    @websocket(
        ["/ws/flow_tts/{flow_id:str}", "/ws/flow_tts/{flow_id:str}/{session_id:str}"],
        opt=RUN,
    )
    async def flow_tts(
        self,
        *,
        socket: WebSocket[Any, Any, Any],
        exchange: Given[Exchange],
        flow_id: FromPath[Name],
        session_id: FromPath[Name | None] = None,
    ) -> None:
        """Speak to a flow: what is heard is written down, asked, and answered aloud."""
        await exchange.dictation(socket, flow_id, session_id)

    @websocket(
        [
            "/ws/flow_as_tool/{flow_id:str}",
            "/ws/flow_as_tool/{flow_id:str}/{session_id:str}",
        ],
        opt=RUN,
    )
    async def flow_as_tool(
        self,
        *,
        socket: WebSocket[Any, Any, Any],
        exchange: Given[Exchange],
        flow_id: FromPath[Name],
        session_id: FromPath[Name | None] = None,
    ) -> None:
        """Speak with a realtime model that has the flow for a tool."""
        await exchange.tool(socket, flow_id, session_id)
