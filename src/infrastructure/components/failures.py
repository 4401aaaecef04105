"""What a model's library raises, in words a person can act on."""

import re
from collections.abc import Iterator

from application.ports.components import ComponentFailedError

_LONGEST = 300
_REFUSAL, _FAULT, _NO_STATUS = 400, 500, 600
_KEYS = re.compile(r"\b(?:sk-|AIza|Bearer\s+)[\w.-]{6,}|\S*\*{3,}\S*")
_TIMEOUTS = {"TimeoutException", "APITimeoutError", "TimeoutError"}
_BROKEN = {"RemoteProtocolError", "ReadError", "WriteError", "CloseError"}
_UNREACHED = {"ConnectError", "APIConnectionError", "ConnectionError"}


class BrokenAnswerError(Exception):
    """The stream ended before the model said that it was done."""


def explained(
    error: Exception, *, provider: str, model: str, secret: str
) -> ComponentFailedError:
    """Return the refusal to show instead of *error*; keys never stand in it."""
    if isinstance(error, ComponentFailedError):
        return error
    said = _by_status(error, provider, model, secret) or _by_kind(error, provider)
    detail = _detail(error, secret)
    return ComponentFailedError(said or f"{provider} could not answer: {detail}")


def _by_status(error: Exception, provider: str, model: str, secret: str) -> str | None:
    status = _status(error)
    if status is None:
        return None
    pull = f"; “ollama pull {model}” fetches it" if provider == "Ollama" else ""
    late = f"{provider} did not answer in time; try again"
    known = {
        401: f"{provider} refused the API key: check it, or choose another one",
        403: f"{provider} does not let this API key use “{model}”",
        404: f"{provider} has no model “{model}”: choose another{pull}",
        408: late,
        429: f"{provider} allows no more requests for now: {_detail(error, secret)}",
        504: late,
    }
    if status in known:
        return known[status]
    if status >= _FAULT:
        return f"{provider} has a fault of its own (HTTP {status}); try again later"
    return f"{provider} cannot take this request: {_detail(error, secret)}"


def _by_kind(error: Exception, provider: str) -> str | None:
    kinds = {kind.__name__ for link in _chain(error) for kind in type(link).__mro__}
    if kinds & _TIMEOUTS:
        return f"{provider} did not answer in time; try again"
    if kinds & _BROKEN or "BrokenAnswerError" in kinds:
        return f"The line to {provider} broke before its answer was complete; try again"
    for link in _chain(error):
        if type(link).__name__ == "PrivateAddressError":
            return f"{provider} may not be asked there: {link}"
    if kinds & _UNREACHED:
        return (
            f"{provider} cannot be reached: check the network, and the base URL if "
            "one is set"
        )
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        yield error
        seen.add(id(error))
        error = error.__cause__ or error.__context__


def _status(error: Exception) -> int | None:
    for link in _chain(error):
        for name in ("status_code", "code"):
            status = getattr(link, name, None)
            if isinstance(status, int) and _REFUSAL <= status < _NO_STATUS:
                return status
    return None


def _detail(error: Exception, secret: str) -> str:
    """The provider's own sentence, short and without anything like a key."""
    said = [words for link in _chain(error) if (words := _own_words(link))]
    text = said[-1] if said else str(error)
    if secret:
        text = text.replace(secret, "…")
    text = " ".join(_KEYS.sub("…", text).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _own_words(error: BaseException) -> str | None:
    """What the provider wrote into its answer; wrappers only quote it."""
    body = getattr(error, "body", None)
    if isinstance(body, dict):
        inner = body.get("error")
        message = (inner if isinstance(inner, dict) else body).get("message")
    else:
        message = getattr(error, "message", None)
    return message if isinstance(message, str) else None
