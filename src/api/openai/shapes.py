"""What clients of OpenAI's protocol send, and what of it a flow is told."""

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from api.openai.images import MOST, ImageUrl, picture_of, too_many
from api.openai.problems import Unsupported
from application.names import Name
from application.pictures import Picture
from domain.run.asked import Turn

type Model = Annotated[str, Meta(min_length=1, max_length=256)]

SESSION: Final = "session_id"
"""The key of ``metadata`` that names the session of a flow."""
TEXTS: Final = frozenset({"text", "input_text", "output_text"})
IMAGES: Final = frozenset({"image_url", "input_image"})
AN_IMAGE: Final = "(an image)"
"""What is told of an image of an earlier message."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of what somebody said: a text, or an image of a user's."""

    type: str
    text: str | None = None
    image_url: str | ImageUrl | None = None


Content = str | Annotated[list[Part], Meta(max_length=1_000)] | None


class ChatMessage(msgspec.Struct, frozen=True, kw_only=True):
    """Something said in the conversation that a client keeps."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Content = None
    name: Name | None = None


class StreamOptions(msgspec.Struct, frozen=True, kw_only=True):
    """``include_usage`` asks for a last chunk that tells the tokens."""

    include_usage: bool | None = False


class CompletionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """
    A conversation to be continued by the flow that ``model`` names.

    What is not listed here is ignored: the models that a flow asks have settings of
    their own.
    """

    messages: Annotated[list[ChatMessage], Meta(max_length=10_000)]
    model: Model | None = None
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    metadata: dict[str, str] | None = None
    n: int | None = None
    tools: list[Any] | None = None
    functions: list[Any] | None = None
    response_format: dict[str, Any] | None = None
    modalities: list[str] | None = None
    logprobs: bool | None = None


class InputItem(msgspec.Struct, frozen=True, kw_only=True):
    """A message among the input of a response; other kinds of items are refused."""

    role: Literal["system", "developer", "user", "assistant"] | None = None
    content: Content = None
    type: str = "message"


class ResponseRequest(msgspec.Struct, frozen=True, kw_only=True):
    """
    What the flow that ``model`` names shall answer.

    ``previous_response_id`` goes on in that response's session. What is not listed
    here is ignored.
    """

    model: Model
    input: str | Annotated[list[InputItem], Meta(max_length=10_000)]
    instructions: str | None = None
    stream: bool | None = False
    background: bool | None = False
    previous_response_id: Annotated[str, Meta(max_length=64)] | None = None
    metadata: dict[str, str] | None = None
    tools: list[Any] | None = None
    conversation: Any = None
    prompt: Any = None
    text: dict[str, Any] | None = None


class Told(msgspec.Struct, frozen=True):
    """
    The text a flow shall answer, and what was said before it.

    ``place`` is where the text stood among the messages of the request, and
    ``pictures`` came with it.
    """

    text: str
    before: tuple[Turn, ...]
    place: int = 0
    pictures: tuple[Picture, ...] = ()


def told_in(messages: list[ChatMessage]) -> Told:
    """Return what *messages* come to: the last of the user, and those around it."""
    for place, message in enumerate(messages):
        if message.role in ("tool", "function"):
            raise Unsupported(
                f"messages[{place}]",
                "A flow calls its tools itself: send no tool calls",
            )
    said = [_Said(one.role, one.name, one.content) for one in messages]
    return _told(said, "messages")


def told_by(items: list[InputItem]) -> Told:
    """Return what the *items* of a response's input come to."""
    said = []
    for place, item in enumerate(items):
        if item.type != "message" or item.role is None:
            raise Unsupported(
                f"input[{place}]",
                f"A flow takes messages, and nothing like {item.type}",
            )
        said.append(_Said(item.role, None, item.content))
    return _told(said, "input")


def turn_of(role: str, name: str | None, text: str) -> Turn:
    """Return something said before, under the names that a chat gives its speakers."""
    match role:
        case "user":
            return Turn(sender="User", sender_name=name or "User", text=text)
        case "assistant":
            return Turn(sender="Machine", sender_name=name or "AI", text=text)
        case _:
            return Turn(sender="System", sender_name=name or "System", text=text)


class _Said(msgspec.Struct, frozen=True):
    role: str
    name: str | None
    content: Content


def _told(said: list[_Said], param: str) -> Told:
    users = [place for place, one in enumerate(said) if one.role == "user"]
    if not users:
        raise Unsupported(
            param, "There is no message of the user to answer", code="no_user_message"
        )
    last = users[-1]
    turns = [
        turn_of(one.role, one.name, _text(one.content, f"{param}[{place}].content"))
        for place, one in enumerate(said)
        if place != last
    ]
    where = f"{param}[{last}].content"
    text = _text(said[last].content, where, image="")
    return Told(text, tuple(turns), last, _pictures(said[last].content, where))


def _text(content: Content, where: str, *, image: str = AN_IMAGE) -> str:
    """Return the text of *content*, and *image* for each image; refuse all else."""
    if content is None or isinstance(content, str):
        return content or ""
    texts = []
    for part in content:
        if part.type not in TEXTS | IMAGES:
            raise Unsupported(
                where,
                f"This route takes texts and images, and not a part like {part.type}: "
                "upload files for a flow with /api/v2/files",
                code="unsupported_content",
            )
        texts.append((part.text or "") if part.type in TEXTS else image)
    return "\n".join(text for text in texts if text)


def _pictures(content: Content, where: str) -> tuple[Picture, ...]:
    parts = content if isinstance(content, list) else []
    images = [part.image_url for part in parts if part.type in IMAGES]
    if len(images) > MOST:
        raise too_many(where)
    return tuple(picture_of(one, where) for one in images)
