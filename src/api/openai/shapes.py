"""What clients of OpenAI's protocol send, and what of it a flow is told."""

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from api.openai.problems import Unsupported
from application.names import Name
from domain.run.asked import Turn

type Model = Annotated[str, Meta(min_length=1, max_length=256)]

SESSION: Final = "session_id"
"""The key of ``metadata`` that names the session of a flow."""
TEXTS: Final = frozenset({"text", "input_text", "output_text"})
IMAGES: Final = frozenset({"image_url", "input_image"})


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of what somebody said; only texts reach a flow."""

    type: str
    text: str | None = None


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

    ``place`` is where the text stood among the messages of the request.
    """

    text: str
    before: tuple[Turn, ...]
    place: int = 0


def told_in(messages: list[ChatMessage]) -> Told:
    """Return what *messages* come to: the last of the user, and those around it."""
    for place, message in enumerate(messages):
        if message.role in ("tool", "function"):
            raise Unsupported(
                f"messages[{place}]",
                "A flow calls its tools itself: send no tool calls",
            )
    turns = [
        turn_of(one.role, one.name, text_of(one.content, f"messages[{place}].content"))
        for place, one in enumerate(messages)
    ]
    return _told(turns, "messages")


def told_by(items: list[InputItem]) -> Told:
    """Return what the *items* of a response's input come to."""
    turns = []
    for place, item in enumerate(items):
        if item.type != "message" or item.role is None:
            raise Unsupported(
                f"input[{place}]",
                f"A flow takes messages, and nothing like {item.type}",
            )
        said = text_of(item.content, f"input[{place}].content")
        turns.append(turn_of(item.role, None, said))
    return _told(turns, "input")


def turn_of(role: str, name: str | None, text: str) -> Turn:
    """Return something said before, under the names that a chat gives its speakers."""
    match role:
        case "user":
            return Turn(sender="User", sender_name=name or "User", text=text)
        case "assistant":
            return Turn(sender="Machine", sender_name=name or "AI", text=text)
        case _:
            return Turn(sender="System", sender_name=name or "System", text=text)


def text_of(content: Content, where: str) -> str:
    """Return the text of *content*; refuse pictures, sounds and files."""
    if content is None or isinstance(content, str):
        return content or ""
    for part in content:
        if part.type not in TEXTS:
            what = "an image" if part.type in IMAGES else f"a part like {part.type}"
            raise Unsupported(
                where,
                f"This route takes texts, and not {what}: upload files for a flow "
                "with /api/v2/files",
                code="unsupported_content",
            )
    return "\n".join(part.text or "" for part in content)


def _told(turns: list[Turn], param: str) -> Told:
    users = [place for place, one in enumerate(turns) if one.sender == "User"]
    if not users:
        raise Unsupported(
            param, "There is no message of the user to answer", code="no_user_message"
        )
    last = users[-1]
    return Told(turns[last].text, (*turns[:last], *turns[last + 1 :]), last)
