"""Why a vertex or a run failed: a stable slug, and a sentence to act on."""

import re

import msgspec

from application.ports.components import ComponentFailedError, UnknownComponentError
from domain.kernel import DomainError, Json

LONGEST = 6_000
MASK = "********"
SHORTEST_SECRET = 4


class VertexTimeoutError(DomainError):
    """A component did not finish in time."""

    def __init__(self, display_name: str, seconds: float) -> None:
        super().__init__(
            f"{display_name} was stopped after {seconds:g} seconds; "
            "LANGBUILDER_VERTEX_TIMEOUT_SECONDS sets how long a component may take"
        )


class Failure(msgspec.Struct, frozen=True):
    """``kind`` names the sort of error, as the chat shows it above the text."""

    reason: str
    text: str
    kind: str = "Error"


def slug(error: DomainError) -> str:
    """Return an error's stable code as words joined by hyphens."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", error.slug).lower()


def failure_of(error: Exception, *, type_name: str) -> Failure:
    """Return why a vertex failed, from what its component raised."""
    match error:
        case UnknownComponentError():
            return Failure(
                "unknown-component",
                f"This server has no component of type “{type_name}”. Replace it by "
                "one of the components in the sidebar, or remove it and its edges.",
                "UnknownComponent",
            )
        case ComponentFailedError():
            said = "; ".join(str(argument) for argument in error.args)
            return Failure(slug(error), said or error.sentence, error.slug)
        case DomainError():
            return Failure(slug(error), error.sentence, error.slug)
        case _:
            kind = type(error).__name__
            return Failure("component-error", str(error) or kind, kind)


def masked(text: str, secrets: list[str]) -> str:
    """Return *text* with every secret masked."""
    for secret in secrets:
        if len(secret) >= SHORTEST_SECRET:
            text = text.replace(secret, MASK)
    return text


def without(secrets: list[str], value: Json) -> Json:
    """Return *value* with every secret masked, however deep it lies."""
    match value:
        case str():
            return masked(value, secrets)
        case list():
            return [without(secrets, item) for item in value]
        case dict():
            return {
                masked(key, secrets): without(secrets, item)
                for key, item in value.items()
            }
        case _:
            return value


def scrubbed(text: str, secrets: list[str]) -> str:
    """Return *text* with every secret masked: errors quote what they were given."""
    text = masked(text, secrets)
    cleaned = text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
    return cleaned if len(cleaned) <= LONGEST else cleaned[:LONGEST] + "..."
