"""Whatever is sent, each answer is one that the document foresees, and no failure."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.app import create_app
from api.composition import Application
from api.openapi.document import described
from tests.api.conftest import Join, Person
from tests.attacks.belongings import Belongings, belongings
from tests.attacks.matrix import BELONGINGS

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(180)]

EXAMPLES = 2
SECONDS = 20.0
"""How long one answer may take, from the first byte to the last."""

ENDLESS: dict[str, str] = {
    "GET /api/v1/mcp/sse": "a stream that lasts as long as its client",
    "GET /api/mcp/sse": "as above",
    "GET /api/v1/mcp/project/{project_id}/sse": "as above",
    "GET /api/mcp/project/{project_id}/sse": "as above",
}
UNTRIED: dict[str, str] = {
    **ENDLESS,
    "POST /api/v1/mcp/streamable": "JSON-RPC, which test_mcp sends as MCP's clients do",
    "POST /api/mcp/streamable": "as above",
    "POST /api/v1/mcp/project/{project_id}/streamable": "as above",
    "POST /api/mcp/project/{project_id}/streamable": "as above",
    "POST /api/v1/logout": "whoever is signed out gets nothing but 401 then",
}
"""Routes that are not tried here, and why."""

KEPT = {500, 501}
"""Failures that the contract demands of a route, and that its answers tell of."""


class Wrong(NamedTuple):
    """An answer that nobody foresaw."""

    operation: str
    what: str
    request: str


@pytest.fixture
async def careless(join: Join) -> Person:
    """Somebody who loses whatever can be lost, the password too."""
    return await join("careless")


@pytest.fixture
async def hers(careless: Person) -> Belongings:
    """One of everything, so that there is something to find."""
    return await belongings(careless)


@pytest.fixture
async def key(careless: Person) -> str:
    answer = await careless.post("/api/v1/api_key/", json={"name": "schemathesis"})
    return str(answer.json()["api_key"])


@pytest.mark.parametrize(
    "mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda m: m.value
)
async def test_no_answer_is_one_that_the_document_does_not_know(
    application: Application,
    address: str,
    hers: Belongings,
    key: str,
    mode: GenerationMode,
) -> None:
    document = without_credentials(described(create_app(application)))
    tried = Trial(document, address, key, hers)

    wrong = await asyncio.to_thread(lambda: list(tried.all(mode)))

    assert tried.sent > 100 * EXAMPLES
    # It was not all refused at the door.
    assert tried.succeeded > (60 if mode is GenerationMode.POSITIVE else 0)
    assert tried.signed_out == 0
    assert not wrong, "\n\n".join(
        f"{w.operation}\n{w.what}\n{w.request}" for w in wrong
    )


def without_credentials(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document of which no credential is made up: we have one."""
    for methods in document["paths"].values():
        for told in methods.values():
            told["security"] = []
    del document["components"]["securitySchemes"]
    return document


class Trial:
    """Sends what the document lets one send, or nearly does, and looks at answers."""

    def __init__(
        self, document: dict[str, Any], address: str, key: str, hers: Belongings
    ) -> None:
        self._document = document
        self._address = address
        self._headers = {"x-api-key": key}
        self._hers = hers._asdict()
        self.sent = self.succeeded = self.signed_out = 0

    def all(self, mode: GenerationMode) -> Iterator[Wrong]:
        """Try every operation, those that remove things at the end."""
        schema = schemathesis.openapi.from_dict(self._document)
        found = [one.ok() for one in schema.get_all_operations() if isinstance(one, Ok)]
        assert len(found) > 100
        for operation in sorted(found, key=lambda one: one.method == "delete"):
            name = f"{operation.method.upper()} {operation.path}"
            if name not in UNTRIED:
                yield from self._one(name, operation, mode)

    def _one(self, name: str, operation: Any, mode: GenerationMode) -> list[Wrong]:
        wrong: dict[str, Wrong] = {}

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=EXAMPLES,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def tried(case: Case[Any]) -> None:
            for what in self._sent(case):
                wrong.setdefault(what, Wrong(name, what, _shown(case)))

        with suppress(Unsatisfiable):  # there is nothing that could be sent wrongly
            tried()
        return list(wrong.values())

    def _sent(self, case: Case[Any]) -> Iterator[str]:
        self.sent += 1
        if self.sent % 2 and case.path_parameters:
            for name in case.path_parameters:
                if BELONGINGS.get(name) in self._hers:
                    case.path_parameters[name] = self._hers[BELONGINGS[name]]
        response = case.call(
            base_url=self._address, headers=self._headers, timeout=SECONDS
        )
        self.succeeded += response.status_code < 300
        self.signed_out += response.status_code == 401 and not _asks_who(case)
        checks = [
            status_code_conformance,
            content_type_conformance,
            response_schema_conformance,
        ]
        if response.status_code not in KEPT:
            checks.append(not_a_server_error)
        try:
            case.validate_response(response, checks=checks)
        except FailureGroup as failed:
            yield from (str(one) for one in failed.exceptions)


def _asks_who(case: Case[Any]) -> bool:
    """Tell whether an answer of 401 says nothing of our key."""
    return "/login" in case.path or case.path.endswith("/refresh")


def _shown(case: Case[Any]) -> str:
    return str(case.as_curl_command())[:600]


def test_what_is_not_tried_is_still_there(application: Application) -> None:
    paths = described(create_app(application))["paths"]
    names = {f"{m.upper()} {path}" for path, methods in paths.items() for m in methods}

    assert set(UNTRIED) <= names
