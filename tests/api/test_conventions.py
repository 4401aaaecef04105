"""What holds for every route: slashes, ids, headers, other origins, rates."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, override
from uuid import UUID, uuid4

import httpx
import pytest
from msgspec.structs import replace

from api.app import create_app
from api.composition import Application
from api.openapi.document import described
from api.problems import SECURITY
from api.stamps import RequestIds
from infrastructure.tallies.memory import MemoryTallies
from tests.api.conftest import PATIENCE, Person, drawn, serving

pytestmark = pytest.mark.server

MINE = "https://flows.example.org"
LOOK_ALIKES = (
    "https://flows.example.org.evil.org",
    "https://evil-flows.example.org",
    "https://flows.example.org:8443",
    "http://flows.example.org",
    "https://FLOWS.example.org",
    "https://flows.example.orgx",
    "null",
)


@asynccontextmanager
async def served_with(
    application: Application, **settings: Any
) -> AsyncIterator[httpx.AsyncClient]:
    """Serve the same application with other settings; yield somebody unknown."""
    changed = replace(application.world.settings, **settings)
    # Nothing that other tests counted counts here.
    world = replace(application.world, settings=changed, tallies=MemoryTallies())
    async with (
        serving(replace(application, world=world)) as address,
        httpx.AsyncClient(base_url=address, timeout=PATIENCE) as client,
    ):
        yield client


def bearer(person: Person) -> dict[str, str]:
    return {"Authorization": f"Bearer {person.token}"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/health", 200),
        ("GET", "/api/v1/flows/", 403),
        ("GET", "/api/v1/nowhere", 404),
        ("GET", "/nowhere/at/all", 404),
        ("PUT", "/api/v1/flows/", 405),
        ("GET", "/docs", 200),
        ("GET", "/openapi.json", 200),
    ],
)
async def test_every_answer_protects_the_page_that_shows_it_and_has_an_id(
    anybody: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    answer = await anybody.request(method, path)

    assert answer.status_code == status
    assert UUID(answer.headers["x-request-id"]).version == 4
    for name in SECURITY:
        assert answer.headers[name]
    assert answer.headers["x-frame-options"] == "DENY"
    if status >= 400:
        assert set(answer.json()) == {"detail"}


async def test_a_stream_is_protected_and_has_an_id(ada: Person) -> None:
    flow = await ada.post("/api/v1/flows/", json={"name": f"f {uuid4()}"})
    run = await ada.post(
        f"/api/v1/build/{flow.json()['id']}/flow", json={"data": drawn()}
    )
    assert run.status_code == 200, run.text
    for path in ("build/{}/events", "runs/{}/events"):
        stream = await ada.get(f"/api/v1/{path.format(run.json()['job_id'])}")
        assert stream.status_code == 200
        assert stream.headers["x-content-type-options"] == "nosniff"
        assert stream.headers["x-request-id"]
        assert "content-encoding" not in stream.headers


async def test_a_request_id_that_is_sane_is_kept_and_is_the_story(
    application: Application, ada: Person
) -> None:
    said = str(uuid4())

    answer = await ada.post(
        "/api/v1/flows/",
        json={"name": f"f {uuid4()}"},
        headers={"X-Request-Id": said},
    )

    assert answer.headers["x-request-id"] == said
    [recorded] = await application.world.store.read_stream(
        "core", UUID(answer.json()["id"]), after=0
    )
    assert recorded.metadata["correlation_id"] == said


@pytest.mark.parametrize(
    "said", ["a b", "", "x" * 129, "-x", "<script>", "naïve", 'a"b', "%0d%0a"]
)
async def test_a_request_id_that_is_not_sane_is_replaced(
    anybody: httpx.AsyncClient, said: str
) -> None:
    headers = [(b"X-Request-Id", said.encode("utf-8"))]
    answer = await anybody.get("/health", headers=headers)

    assert answer.headers["x-request-id"] != said
    assert UUID(answer.headers["x-request-id"]).version == 4


async def test_a_name_that_is_no_uuid_is_kept_as_the_request_id(
    anybody: httpx.AsyncClient,
) -> None:
    answer = await anybody.get("/health", headers={"X-Request-Id": "deploy-17/4"})

    assert answer.headers["x-request-id"] == "deploy-17/4"


async def test_both_slash_forms_of_every_route_answer_alike(
    application: Application, ada: Person
) -> None:
    document = described(create_app(application))
    differ = []
    for path, operations in document["paths"].items():
        for method in operations:
            # Nobody's ids, and without a body: refused before anything is done.
            plain = path.rstrip("/")
            for name in ("{log}", "{position}"):
                plain = plain.replace(name, "1")
            asked = "".join(
                str(uuid4()) if part.startswith("{") else part for part in _parts(plain)
            )
            if method == "get" and "{" not in path:
                continue  # below
            answers = [
                await ada.request(method, one, headers={"Authorization": "Bearer no"})
                for one in (asked, f"{asked}/")
            ]
            if len({answer.status_code for answer in answers}) != 1 or any(
                answer.status_code in {307, 308, 404, 405} and not _open(operations)
                for answer in answers
            ):
                differ.append((method, path, [a.status_code for a in answers]))

    assert not differ


def _parts(path: str) -> list[str]:
    found, rest = [], path
    while "{" in rest:
        before, _, after = rest.partition("{")
        name, _, rest = after.partition("}")
        found += [before, "{" + name]
    return [*found, rest]


def _open(operations: dict[str, Any]) -> bool:
    return any(told["security"] == [] for told in operations.values())


@pytest.mark.parametrize(
    "path",
    ["/api/v1/flows", "/api/v1/projects", "/api/v1/version", "/health", "/api/v1/runs"],
)
async def test_a_list_is_found_with_and_without_a_slash(ada: Person, path: str) -> None:
    for one in (path, f"{path}/"):
        assert (await ada.get(one, follow_redirects=False)).status_code == 200


async def test_head_and_options_are_sane(
    ada: Person, anybody: httpx.AsyncClient
) -> None:
    head = await ada.head("/api/v1/flows/")
    options = await anybody.options("/api/v1/flows/")

    assert head.status_code in {200, 405}
    assert not head.content
    assert options.status_code == 204
    assert "POST" in options.headers["allow"]


async def test_without_origins_no_other_page_may_read_anything(
    anybody: httpx.AsyncClient,
) -> None:
    answer = await anybody.get("/health", headers={"Origin": MINE})

    assert not [n for n in answer.headers if n.startswith("access-control")]


async def test_a30_exactly_the_origins_of_the_operator_may_read(
    application: Application, ada: Person
) -> None:
    async with served_with(application, cors_origins=(MINE,)) as client:
        answer = await client.get(
            "/api/v1/flows/", headers={"Origin": MINE, **bearer(ada)}
        )
        refused = await client.get("/api/v1/flows/", headers={"Origin": MINE})
        preflight = await client.options(
            "/api/v1/flows/",
            headers={
                "Origin": MINE,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization,idempotency-key",
            },
        )
        strangers = [
            await client.request(
                method,
                "/api/v1/flows/",
                headers={"Origin": origin, "Access-Control-Request-Method": "POST"},
            )
            for origin in LOOK_ALIKES
            for method in ("GET", "OPTIONS")
        ]

    for one in (answer, refused, preflight):
        assert one.headers["access-control-allow-origin"] == MINE
        assert one.headers["access-control-allow-credentials"] == "true"
    exposed = answer.headers["access-control-expose-headers"].lower()
    assert {"etag", "x-position", "x-request-id", "retry-after"} <= {
        name.strip() for name in exposed.split(",")
    }
    assert preflight.status_code == 204
    allowed = preflight.headers["access-control-allow-headers"].lower()
    assert "idempotency-key" in allowed
    # Browsers take * for a name where credentials are sent.
    assert "DELETE" in preflight.headers["access-control-allow-methods"]
    for stranger in strangers:
        assert "access-control-allow-origin" not in stranger.headers


async def test_a63_who_asks_too_often_is_told_to_wait(
    application: Application, ada: Person, bob: Person
) -> None:
    async with served_with(application, rate_limit_other=3) as client:
        answers = [
            await client.get("/api/v1/users/whoami", headers=bearer(ada))
            for _ in range(4)
        ]
        another = await client.get("/api/v1/users/whoami", headers=bearer(bob))
        health = await client.get("/health")

    assert [a.status_code for a in answers] == [200, 200, 200, 429]
    assert [a.headers["ratelimit-remaining"] for a in answers] == ["2", "1", "0", "0"]
    assert answers[3].json() == {"detail": "Too many requests; try again later"}
    assert 0 < int(answers[3].headers["retry-after"]) <= 60
    assert answers[0].headers["ratelimit-limit"] == "3"
    assert another.status_code == 200
    assert "ratelimit-limit" not in health.headers


async def test_a26_one_address_may_not_try_many_passwords_a_minute(
    application: Application, ada: Person
) -> None:
    async with served_with(application, rate_limit_sign_in=2) as client:
        answers = [
            await client.post("/api/v1/login", data={"username": name, "password": "p"})
            for name in ("one", "two", "three")
        ]
        signed_in = await client.get("/api/v1/users/whoami", headers=bearer(ada))

    assert [answer.status_code for answer in answers] == [401, 401, 429]
    assert signed_in.status_code == 200


async def test_a_line_of_the_log_names_its_request(
    application: Application, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[logging.LogRecord] = []

    class Heard(logging.Handler):
        @override
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record)

    async def broken(*_: object, **__: object) -> None:
        raise ValueError("a fault of ours")

    handler = Heard()
    handler.addFilter(RequestIds())
    views: Callable[..., Any] = broken
    monkeypatch.setattr("projections.users.views.UserViews.get", views)
    logging.getLogger("api.problems").addHandler(handler)
    try:
        answer = await ada.get("/api/v1/users/whoami")
    finally:
        logging.getLogger("api.problems").removeHandler(handler)

    assert answer.status_code == 500
    assert answer.json() == {"message": "Internal Server Error"}
    [line] = lines
    assert line.__dict__["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize("path", ["flows", "projects"])
async def test_an_upload_that_is_sent_twice_takes_effect_once(
    ada: Person, path: str
) -> None:
    name = f"sent twice {uuid4()}"
    body = (
        "--edge\r\nContent-Disposition: form-data; name=file; filename=a.json\r\n"
        "Content-Type: application/json\r\n\r\n"
        f'{{"name": "{name}", "flows": [{{"name": "{name}"}}]}}\r\n--edge--\r\n'
    )
    headers = {
        "Content-Type": "multipart/form-data; boundary=edge",
        "Idempotency-Key": f"upload {uuid4()}",
    }

    answers = [
        await ada.post(f"/api/v1/{path}/upload/", content=body, headers=headers)
        for _ in range(2)
    ]

    assert [answer.status_code for answer in answers] == [201, 201], answers[0].text
    assert answers[0].json() == answers[1].json()
    flows = (await ada.get("/api/v1/flows/?header_flows=true")).json()
    assert [flow["name"] for flow in flows].count(name) == 1
