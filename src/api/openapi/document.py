"""One OpenAPI 3.1 document: what handlers say, completed by what holds for all."""

import re
from collections.abc import Iterator
from importlib.metadata import version as installed_version
from inspect import cleandoc
from typing import Any, Final, NamedTuple, override

import msgspec
from litestar import Litestar, Request, Router
from litestar.enums import MediaType
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.openapi.spec import Server, Tag
from litestar.routes import HTTPRoute
from litestar.serialization import encode_json

from api.openapi.answers import EVENT_STREAM, EVENTS, shapes_of
from api.openapi.examples import example_of
from api.openapi.words import (
    HEADERS,
    INTRODUCED,
    PARAMETERS,
    REFUSALS,
    SAID,
    SCHEMAS,
    SCHEMES,
    TAGS,
)
from api.security import PUBLIC, by_cookie, superuser
from api.v1.system import PACKAGE

type Object = dict[str, Any]

REFRESHING: Final = {"/api/v1/refresh", "/api/v1/login/refresh"}
EITHER: Final[list[Object]] = [{"bearer": []}, {"keyHeader": []}, {"keyQuery": []}]
_READING = frozenset({"GET", "HEAD"})


class Told(NamedTuple):
    """One operation: what the document says of it, and the handler that does it."""

    method: str
    path: str
    handler: HTTPRouteHandler
    operation: Object

    @property
    def public(self) -> bool:
        return bool(self.handler.opt.get("public"))

    @property
    def asks_for(self) -> set[str]:
        """Return what the handler is given, by name."""
        return set(self.handler.parsed_fn_signature.parameters)


class Whole(OpenAPIRenderPlugin):
    """Serves the completed document where Litestar serves the one that it began."""

    def __init__(self) -> None:
        super().__init__(path="/openapi.json", media_type=MediaType.JSON)

    @override
    def render(
        self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]
    ) -> bytes:
        """Return the document, where the operator shows it."""
        if not request.app.state.show_docs:
            raise NotFoundException("Not Found")
        return encoded(request.app)


def config() -> OpenAPIConfig:
    """Return how Litestar is to begin the document, and where it is served."""
    return OpenAPIConfig(
        title="LangBuilder, event-sourced",
        version=installed_version(PACKAGE),
        description=INTRODUCED,
        servers=[Server(url="/", description="This server")],
        tags=[Tag(name=name, description=said) for name, said in TAGS.items()],
        openapi_router=Router(
            "/openapi", route_handlers=[], opt=PUBLIC, include_in_schema=False
        ),
        render_plugins=[Whole()],
    )


def encoded(app: Litestar) -> bytes:
    """Return the document of *app*, made once."""
    if app.state.get("document") is None:
        app.state.document = msgspec.json.encode(described(app))
    document: bytes = app.state.document
    return document


def described(app: Litestar) -> Object:
    """Return the whole document of *app*, as JSON has it."""
    return completed(app, app.openapi_schema.to_schema())


def completed(app: Litestar, begun: Object) -> Object:
    """Return *begun*, Litestar's document of *app*, with what holds for every route."""
    # Some defaults are Structs, which JSON has as objects.
    document: Object = msgspec.json.decode(encode_json(begun))
    components = document.setdefault("components", {})
    components.setdefault("schemas", {}).update(SCHEMAS)
    components["securitySchemes"] = SCHEMES
    components["parameters"] = PARAMETERS
    components["headers"] = HEADERS
    components["responses"] = dict(_refusals())
    names: set[str] = set()
    for told in sorted(_operations(app, document["paths"])):
        _name(told, names)
        _say(told)
        _close(told)
        _ask(told, components["schemas"])
        _shape(told, components["schemas"])
        _answer(told)
    return document


def _operations(app: Litestar, paths: Object) -> Iterator[Told]:
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            told = paths.get(route.path_format or "/", {})
            for method, (handler, _) in route.route_handler_map.items():
                if method.lower() in told:
                    yield Told(method, route.path_format, handler, told[method.lower()])


def _name(told: Told, taken: set[str]) -> None:
    """Call an operation by its first tag and its handler, and apart from others."""
    tag = (told.operation.get("tags") or ["api"])[0]
    name = re.sub(r"\W+", "_", f"{tag}_{told.handler.handler_name}").lower()
    if name in taken:
        parts = re.findall(r"\w+", told.path.removeprefix("/api/"))
        name = "_".join([name, told.method.lower(), *parts]).lower()
    taken.add(name)
    told.operation["operationId"] = name


def _say(told: Told) -> None:
    text = cleandoc(told.handler.fn.__doc__ or "")
    first, _, rest = text.partition("\n\n")
    told.operation["summary"] = " ".join(first.split()).rstrip(".")
    more = [" ".join(part.split()) for part in rest.split("\n\n") if part]
    if superuser in told.handler.resolve_guards():
        more.append("For superusers.")
    if more:
        told.operation["description"] = "\n\n".join(more)
    else:
        told.operation.pop("description", None)


def _close(told: Told) -> None:
    security = [] if told.public else list(EITHER)
    if told.path in REFRESHING:
        security = [{"refreshCookie": []}]
    if not told.public and by_cookie(told.path):
        security.append({"accessCookie": []})
    told.operation["security"] = security


def _ask(told: Told, schemas: Object) -> None:
    parameters = told.operation.setdefault("parameters", [])
    asked = []
    if told.method in _READING and not told.public:
        asked.append("MinPosition")
    if told.method not in _READING and "cause" in told.asks_for:
        asked.append("IdempotencyKey")
    if told.handler.opt.get("etag") and told.method in {"PATCH", "PUT"}:
        asked.append("IfMatch")
    parameters += [{"$ref": f"#/components/parameters/{name}"} for name in asked]
    for parameter in parameters:
        # Litestar says of each that it may not be empty, which none of ours minds.
        parameter.pop("allowEmptyValue", None)
    for kind, media in told.operation.get("requestBody", {}).get("content", {}).items():
        if "examples" not in media and kind != "multipart/form-data":
            media["examples"] = {
                "one": {"value": example_of(media.get("schema", {}), schemas)}
            }


def _shape(told: Told, schemas: Object) -> None:
    content = shapes_of(f"{told.method} {told.path}", schemas)
    if content is not None:
        answers = told.operation["responses"]
        success = min(status for status in answers if int(status) < min(REFUSALS))
        answers[success]["content"] = content


def _answer(told: Told) -> None:
    answers: Object = told.operation["responses"]
    # Litestar's own word for a wrong request, which is a 422 here.
    if "Validation Exception" in str(answers.get("400")):
        del answers["400"]
    _show(told, answers)
    for status, answer in answers.items():
        if EVENT_STREAM in answer.get("content", {}):
            answer["content"][EVENT_STREAM] = {"schema": EVENTS}
        if int(status) < min(REFUSALS):
            answer["description"] = SAID.get(status, answer["description"])
            headers = answer.setdefault("headers", {})
            headers |= {
                name: {"$ref": f"#/components/headers/{key}"}
                for name, key in _headers(told)
            }
    for refused in _refused(told):
        said = {"$ref": f"#/components/responses/{REFUSALS[refused][0]}"}
        answers.setdefault(str(refused), said)
    told.operation["responses"] = dict(sorted(answers.items()))


def _show(told: Told, answers: Object) -> None:
    """Give the examples of answers again, for Litestar leaves out what is null."""
    for status, spec in (told.handler.responses or {}).items():
        shown = {
            str(number): {"value": msgspec.to_builtins(example.value)}
            for number, example in enumerate(spec.examples or (), 1)
        }
        for media in answers[str(status)].get("content", {}).values():
            if shown:
                media["examples"] = shown


def _headers(told: Told) -> Iterator[tuple[str, str]]:
    yield "X-Request-Id", "RequestId"
    if "answers" in told.asks_for:
        yield "X-Position", "Position"
        yield "X-Stale", "Stale"
    if "part" in told.asks_for:
        yield "X-Total-Count", "Total"
        yield "Link", "Next"
    if told.handler.opt.get("etag"):
        yield "ETag", "ETag"


def _refused(told: Told) -> Iterator[int]:
    if told.operation["security"]:
        yield from (401, 403)
    changes = told.method not in _READING
    if changes:
        yield from (400, 409)
    names = [p.get("name", "") for p in told.operation["parameters"]]
    if changes or "{" in told.path or any(name.endswith("_id") for name in names):
        yield 404
    if "requestBody" in told.operation:
        yield 413
    if told.operation["parameters"] or "requestBody" in told.operation:
        yield 422
    yield from told.handler.opt.get("refuses", ())
    yield from (429, 503)


def _refusals() -> Iterator[tuple[str, Object]]:
    for status, (name, said, example) in REFUSALS.items():
        headers = {"X-Request-Id": {"$ref": "#/components/headers/RequestId"}}
        if status in {429, 503}:
            headers["Retry-After"] = {"$ref": "#/components/headers/RetryAfter"}
        content = {"schema": {"$ref": "#/components/schemas/Refusal"}}
        content["example"] = example
        yield (
            name,
            {
                "description": said,
                "headers": headers,
                "content": {"application/json": content},
            },
        )
