"""The log over HTTP: off by default, for superusers, without secrets."""

import json
import logging
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from msgspec.structs import replace

from api.composition import Application
from api.log_lines import LONGEST_LINE, LogLines
from tests.api.conftest import PATIENCE, Person, serving

pytestmark = pytest.mark.server

log = logging.getLogger("tests.logs")


@pytest.fixture
async def keeping(application: Application) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a server that keeps the last fifty lines."""
    settings = replace(application.world.settings, log_retriever_buffer_size=50)
    world = replace(application.world, settings=settings)
    async with (
        serving(replace(application, world=world)) as address,
        httpx.AsyncClient(base_url=address, timeout=PATIENCE) as client,
    ):
        yield client


def bearer(person: Person) -> dict[str, str]:
    return {"Authorization": f"Bearer {person.token}"}


async def lines(
    client: httpx.AsyncClient, root: Person, **asked: Any
) -> dict[str, str]:
    answer = await client.get("/logs", params=asked, headers=bearer(root))
    assert answer.status_code == 200, answer.text
    found: dict[str, str] = answer.json()
    return found


async def test_by_default_no_lines_are_kept(root: Person) -> None:
    for path in ("/logs", "/logs-stream"):
        answer = await root.get(path)
        assert answer.status_code == 501
        assert answer.json() == {"detail": "Log retrieval is disabled"}


async def test_superusers_alone_read_the_log(
    keeping: httpx.AsyncClient, ada: Person
) -> None:
    for path in ("/logs", "/logs-stream"):
        assert (await keeping.get(path)).status_code == 403
        assert (await keeping.get(path, headers=bearer(ada))).status_code == 403


async def test_lines_are_found_before_and_after_a_moment(
    keeping: httpx.AsyncClient, root: Person
) -> None:
    words = [f"line {n} {uuid4()}" for n in range(20)]
    for word in words:
        log.warning(word)

    last = await lines(keeping, root)
    before = await lines(keeping, root, lines_before=15)
    seen = list(before)
    after = await lines(keeping, root, lines_after=3, timestamp=seen[0])
    up_to = await lines(keeping, root, lines_before=2, timestamp=seen[1])

    assert [text.split(": ")[1] for text in last.values()] == words[-10:]
    assert [text.split(": ")[1] for text in before.values()] == words[-15:]
    assert list(after) == seen[:3]
    assert list(up_to) == seen[:2]


async def test_what_cannot_be_meant_is_refused(
    keeping: httpx.AsyncClient, root: Person
) -> None:
    for asked in ({"lines_before": 1, "lines_after": 1}, {"lines_after": 1}):
        answer = await keeping.get("/logs", params=asked, headers=bearer(root))
        assert answer.status_code == 400, asked


async def test_lines_are_told_as_they_are_written(
    keeping: httpx.AsyncClient, root: Person
) -> None:
    old, new = f"old {uuid4()}", f"new {uuid4()}"
    log.warning(old)
    heard: list[str] = []
    async with keeping.stream("GET", "/logs-stream", headers=bearer(root)) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for line in answer.aiter_lines():
            if line.startswith("{"):
                heard += json.loads(line).values()
            if any(old in one for one in heard) and new not in str(heard):
                log.warning(new)
            if any(new in one for one in heard):
                break

    assert any(old in one for one in heard)


async def test_a53_no_secret_is_in_the_log(
    keeping: httpx.AsyncClient, root: Person
) -> None:
    secret = f"canary-{uuid4()}"
    await keeping.post("/api/v1/login", data={"username": "ada", "password": secret})
    await keeping.get(f"/api/v1/flows/?x-api-key={secret}")
    await keeping.get("/api/v1/flows/", headers={"Authorization": f"Bearer {secret}"})

    assert secret not in str(await lines(keeping, root, lines_before=50))


def test_only_so_many_lines_of_such_a_length_are_kept() -> None:
    kept = LogLines(3)
    for n in range(5):
        kept.emit(logging.makeLogRecord({"msg": f"{n}" + "x" * 10_000}))

    found = kept.around(0, before=10, after=0)

    assert len(found) == 3
    assert [line.text.partition(": ")[2][0] for line in found] == ["2", "3", "4"]
    assert max(len(line.text) for line in found) <= LONGEST_LINE
    assert len({line.at for line in found}) == 3
