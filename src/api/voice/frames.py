"""What clients of the voice sockets say, and how they are told what went wrong."""

import re
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from api.problems import detail_of
from api.sockets import LARGEST, NotAMessageError
from application.names import Name
from application.ports.voices import VoiceKeyRefusedError
from application.voices import OPENAI, NoVoiceKeyError
from domain.kernel import DomainError, Json

_HUMPS: Final = re.compile(r"(?<!^)(?=[A-Z])")


class Frame(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """One JSON text from a client."""


class Append(Frame, frozen=True, kw_only=True, tag="input_audio_buffer.append"):
    """A piece of sound: 16-bit samples, 24,000 a second, in base64."""

    audio: Annotated[str, Meta(max_length=LARGEST)]


class Commit(Frame, frozen=True, kw_only=True, tag="input_audio_buffer.commit"):
    """What was said so far is a whole."""


class Clear(Frame, frozen=True, kw_only=True, tag="input_audio_buffer.clear"):
    """What was said so far was nothing."""


class ElevenLabsConfig(
    Frame, frozen=True, kw_only=True, tag="langbuilder.elevenlabs.config"
):
    """Let ElevenLabs speak, or no longer."""

    enabled: bool = False
    voice_id: Name = ""


class VoiceSettings(Frame, frozen=True, kw_only=True, tag="voice.settings"):
    """Speak with another of OpenAI's voices."""

    voice: Name


class SessionUpdate(Frame, frozen=True, kw_only=True, tag="session.update"):
    """How the model is to be; of its tools there is only the flow."""

    session: dict[str, Any] = {}


class ItemCreate(Frame, frozen=True, kw_only=True, tag="conversation.item.create"):
    """Something said in another way than aloud."""

    item: dict[str, Any]


class ResponseCreate(Frame, frozen=True, kw_only=True, tag="response.create"):
    """Have the model answer now."""


class ResponseCancel(Frame, frozen=True, kw_only=True, tag="response.cancel"):
    """Have the model be quiet."""


type Sound = Append | Commit | Clear
type Spoken = Sound | ElevenLabsConfig | VoiceSettings
type Talked = Spoken | SessionUpdate | ItemCreate | ResponseCreate | ResponseCancel

_SPOKEN: Final = msgspec.json.Decoder(
    Append | Commit | Clear | ElevenLabsConfig | VoiceSettings
)
_TALKED: Final = msgspec.json.Decoder(
    Append
    | Commit
    | Clear
    | ElevenLabsConfig
    | VoiceSettings
    | SessionUpdate
    | ItemCreate
    | ResponseCreate
    | ResponseCancel
)


def read_spoken(text: str) -> Spoken:
    """Read what somebody says to a flow that answers aloud."""
    try:
        said: Spoken = _SPOKEN.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise NotAMessageError(str(error)) from None
    return said


def read_talked(text: str) -> Talked:
    """Read what somebody says to a model that has a flow for a tool."""
    try:
        said: Talked = _TALKED.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise NotAMessageError(str(error)) from None
    return said


def as_event(frame: Frame) -> dict[str, Json]:
    """Return a frame as the event that the model understands."""
    event: dict[str, Json] = msgspec.to_builtins(frame)
    return event


def error_frame(refused: DomainError) -> dict[str, Json]:
    """Tell a client what was refused: ``code`` is stable, ``message`` for people."""
    said: dict[str, Json] = {"type": "error", "message": str(detail_of(refused))}
    if isinstance(refused, NoVoiceKeyError):
        return said | {"code": "api_key_missing", "key_name": refused.name}
    if isinstance(refused, VoiceKeyRefusedError):
        return said | {"code": "api_key_invalid", "key_name": OPENAI}
    return said | {"code": _HUMPS.sub("_", refused.slug).lower()}
