"""Refusals in the shape that clients of OpenAI's protocol read."""

from collections.abc import Callable
from typing import Any, Final

from litestar import Response
from litestar.types import ExceptionHandlersMap

from api.problems import HANDLERS, SECURITY, AnyRequest, Refusal

NOT_AGAIN: Final = {"x-should-retry": "false"}
"""Tells the official clients that to ask once more would only run the flow anew."""

_CODES: Final = {
    400: ("invalid_request_error", "invalid_request"),
    401: ("authentication_error", "invalid_api_key"),
    403: ("permission_error", "invalid_api_key"),
    404: ("invalid_request_error", "model_not_found"),
    409: ("conflict_error", "conflict"),
    413: ("invalid_request_error", "request_too_large"),
    422: ("invalid_request_error", "invalid_request"),
    429: ("rate_limit_error", "rate_limit_exceeded"),
}


class Exact(Refusal):
    """A refusal that says which parameter it is for, and has a code of its own."""

    def __init__(self, status: int, param: str, said: str, *, code: str) -> None:
        super().__init__(status, said)
        self.param = param
        self.code = code


class Unsupported(Exact):
    """Something asked for that a flow cannot do."""

    def __init__(self, param: str, said: str, *, code: str = "unsupported") -> None:
        super().__init__(400, param, said, code=code)


def error_of(
    status: int,
    message: str,
    *,
    param: str | None = None,
    code: str | None = None,
) -> dict[str, Any]:
    """Return the ``error`` object of an answer with *status*."""
    kind, usual = _CODES.get(status, ("server_error", "server_error"))
    return {
        "message": message,
        "type": kind,
        "param": param,
        "code": code or usual,
    }


def refused(
    status: int,
    message: str,
    *,
    param: str | None = None,
    code: str | None = None,
    headers: dict[str, str] | None = None,
) -> Response[dict[str, Any]]:
    """Return a refusal; ``detail`` is there too, for clients of LangBuilder's."""
    error = error_of(status, message, param=param, code=code)
    return Response(
        {"error": error, "detail": message},
        status_code=status,
        headers=SECURITY | (headers or {}),
    )


def _in_openai_words(
    handler: Callable[[AnyRequest, Any], Response[Any]],
) -> Callable[[AnyRequest, Any], Response[Any]]:
    def answer(request: AnyRequest, error: Exception) -> Response[Any]:
        usual = handler(request, error)
        headers = {name: value for name, value in usual.headers.items() if value}
        if isinstance(error, Exact):
            return refused(
                error.status_code,
                str(error.said),
                param=error.param,
                code=error.code,
                headers=headers,
            )
        return refused(usual.status_code or 500, _said(usual.content), headers=headers)

    return answer


def _said(content: Any) -> str:
    """Return the sentence of one of our usual refusals."""
    told = content.get("detail", content.get("message"))
    if isinstance(told, list):
        return "; ".join(
            f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}"
            for one in told
        )
    return told if isinstance(told, str) else str(told)


HANDLERS_HERE: Final[ExceptionHandlersMap] = {
    kind: _in_openai_words(handler) for kind, handler in HANDLERS.items()
}
