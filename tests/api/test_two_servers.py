"""Two servers on one PostgreSQL and one Redis: either goes on where the other began."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any, NamedTuple
from uuid import uuid4

import httpx
import pytest
import redis.asyncio
from mcp import ClientSession
from mcp.client.sse import sse_client

from api.composition import Application, compose
from infrastructure.settings import load
from tests.api.conftest import PASSWORD, PATIENCE, Person, serving, signed_up
from tests.api.endless import endless
from tests.api.runs_server import frames
from tests.api.talking import bearing, talking
from tests.attacks.flows import asking, field, saved
from tests.fake_openai import FakeModels
from tests.servers import Databases
from tests.standins import ALLOWED

UPLOADS = 3
WHOAMI = "/api/v1/users/whoami"
CANARY = "canary-of-two-servers-5e70"


class Pair(NamedTuple):
    """Two servers that know of each other by what they share alone."""

    one: str
    other: str
    application: Application
    redis: str


@pytest.fixture(scope="module")
async def pair(
    postgres: Databases,
    migrated_template: str,
    valkey_url: str,
    model_server: FakeModels,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Pair]:
    """Two servers, each with a directory and a memory of its own."""
    addresses = postgres.create(template=migrated_template)
    environment = {
        "LANGBUILDER_DATABASE_URL": addresses.dsn,
        "LANGBUILDER_MIGRATION_URL": addresses.migration_dsn,
        "LANGBUILDER_REDIS_URL": valkey_url,
        "LANGBUILDER_SECRET_KEY": "two-servers-have-one-secret-0123456789",
        "LANGBUILDER_SUPERUSER_PASSWORD": PASSWORD,
        "LANGBUILDER_NEW_USER_IS_ACTIVE": "true",
        "LANGBUILDER_OPENAI_BASE_URL": model_server.openai_url,
        "LANGBUILDER_ALLOWED_HOSTS": ALLOWED,
        "LANGBUILDER_RATE_LIMIT_UPLOADS": str(UPLOADS),
    }
    async with AsyncExitStack() as stack:
        applications = [
            await stack.enter_async_context(
                compose(
                    load(
                        environment | {"LANGBUILDER_DATA_DIR": str(data)}, env_file=None
                    )
                )
            )
            for data in (tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two"))
        ]
        one, other = [
            await stack.enter_async_context(serving(application))
            for application in applications
        ]
        yield Pair(one, other, applications[0], valkey_url)


@pytest.fixture
async def ada(pair: Pair) -> AsyncIterator[Person]:
    """Somebody at the first server."""
    person = await signed_up(pair.one, f"ada-{uuid4().hex[:8]}")
    yield person
    await person.aclose()


@pytest.fixture
async def there(pair: Pair, ada: Person) -> AsyncIterator[Person]:
    """The same person with the same credential, at the other server."""
    async with Person(
        base_url=pair.other, timeout=PATIENCE, headers=ada.headers
    ) as person:
        person.id, person.username, person.token = ada.id, ada.username, ada.token
        yield person


def answering() -> dict[str, Any]:
    """Return a flow that asks a model."""
    data = asking(provider="OpenAI", model_name="m", stream=True)
    key = field(data, "LanguageModelComponent-b", "api_key")
    key |= {"value": CANARY, "load_from_db": False}
    return data


async def test_a_run_of_one_is_read_and_stopped_on_the_other_while_it_speaks(
    ada: Person, there: Person, models: FakeModels
) -> None:
    models.answer, models.pause = "word " * 10_000, 0.01
    flow = await saved(ada, answering())
    asked = {"inputs": {"input_value": "tell me"}}
    begun = await ada.post(f"/api/v1/build/{flow}/flow", json=asked)
    job, said, stopped = begun.json()["job_id"], "", None

    async with there.stream("GET", f"/api/v1/build/{job}/events") as stream:
        async for piece in stream.aiter_text():
            said += piece
            if stopped is None and '"event":"token"' in said:
                stopped = await there.post(f"/api/v1/build/{job}/cancel")
    read = await ada.get(f"/api/v1/runs/{job}/events")

    assert stopped is not None
    assert stopped.json()["success"]
    assert "".join(
        one["chunk"] for event, one in frames(said) if event == "token"
    ).startswith("word")
    assert "run.cancelled" in read.text


async def test_who_joins_late_on_the_other_is_told_the_text_so_far(
    ada: Person, there: Person, models: FakeModels
) -> None:
    models.answer, models.pause = "word " * 4_000, 0.02
    flow = await saved(ada, answering())
    asked = {"inputs": {"input_value": "tell me"}}
    begun = await ada.post(f"/api/v1/build/{flow}/flow", json=asked)
    job = begun.json()["job_id"]

    early = await _spoken(ada, job, at_least=20)
    late = await _spoken(there, job, at_least=len(early))
    await there.post(f"/api/v1/build/{job}/cancel")

    assert early.startswith("word word word word ")
    assert late.startswith(early)
    assert late.replace("word ", "") == ""


async def _spoken(person: Person, job: str, *, at_least: int) -> str:
    """Return what a run is heard to say, once that is so many characters."""
    said = text = ""
    async with person.stream("GET", f"/api/v1/build/{job}/events") as stream:
        async for piece in stream.aiter_text():
            said += piece
            whole, _, _ = said.rpartition("\n\n")
            told = frames(whole) if whole else []
            text = "".join(one["chunk"] for event, one in told if event == "token")
            if len(text) >= at_least:
                break
    return text


async def test_a_run_of_one_has_the_same_end_and_messages_on_the_other(
    ada: Person, there: Person, models: FakeModels
) -> None:
    flow = await saved(ada, answering())
    asked = {"inputs": {"input_value": "tell me"}}

    begun = await ada.post(f"/api/v1/build/{flow}/flow", json=asked)
    job = begun.json()["job_id"]
    ends = [
        frames((await one.get(f"/api/v1/build/{job}/events")).text)[-1]
        for one in (there, ada)
    ]
    said = [
        await one.get(f"/api/v1/monitor/messages?flow_id={flow}")
        for one in (there, ada)
    ]

    assert [name for name, _ in ends] == ["end", "end"]
    assert [one.json()[-1]["text"] for one in said] == [models.answer] * 2


async def test_requests_are_counted_together(ada: Person, there: Person) -> None:
    both = [ada, there, ada, there, ada]
    answers = [await one.post("/api/v2/files") for one in both]

    assert [one.status_code for one in answers] == [422] * UPLOADS + [429] * 2
    assert [int(one.headers["ratelimit-remaining"]) for one in answers[:3]] == [2, 1, 0]


async def test_a19_what_ends_on_one_ends_on_the_other_at_once(
    pair: Pair, ada: Person, there: Person
) -> None:
    """A stream and a socket that one server holds, and a sign-out at the other."""
    run = await endless(pair.application, ada)
    async with (
        there.stream("GET", f"/api/v1/runs/{run}/events") as stream,
        talking(pair.other, "/api/v1/chat/c", headers=bearing(ada)) as talk,
    ):
        await talk.say(type="ping")
        assert (await talk.hear())["type"] == "pong"
        assert stream.status_code == 200

        left = await ada.post("/api/v1/logout")
        async with asyncio.timeout(PATIENCE):
            said, closed = await asyncio.gather(stream.aread(), talk.closed())

    assert left.status_code == 200
    assert b"run." not in said.replace(b"run.requested", b"")
    assert closed[0] == 1008
    assert (await there.get(WHOAMI)).status_code == 401


async def test_what_was_written_on_one_is_read_on_the_other_by_its_position(
    ada: Person, there: Person
) -> None:
    for number in range(10):
        made = await ada.post("/api/v1/projects/", json={"name": f"p{number}"})
        seen = await there.get(
            "/api/v1/projects/", headers={"X-Min-Position": made.headers["x-position"]}
        )

        assert made.json()["id"] in {one["id"] for one in seen.json()}


async def test_a_conversation_goes_on_over_a_socket_of_the_other(
    pair: Pair, ada: Person, models: FakeModels
) -> None:
    models.answer, models.pause = "word " * 20, 0.02
    flow = await saved(ada, answering())
    async with talking(pair.one, "/api/v1/chat/c", headers=bearing(ada)) as talk:
        await talk.say(type="message", flow_id=flow, message="tell me")
        begun = await talk.until("token")
    run = begun[0]["run_id"]
    async with talking(pair.other, "/api/v1/chat/c", headers=bearing(ada)) as talk:
        await talk.say(type="resume", run_id=run, after=0)
        rest = await talk.until("end")

    assert rest[-1]["status"] == "succeeded"
    texts = [one["data"]["text"] for one in rest if one["type"] == "message"]
    assert [one.strip() for one in texts] == ["tell me", models.answer.strip()]


async def test_a_stream_of_mcp_belongs_to_the_server_that_opened_it(
    pair: Pair, ada: Person, there: Person
) -> None:
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    speaks = {"Accept": "application/json, text/event-stream"}
    ids: list[str] = []
    async with (
        sse_client(
            f"{pair.one}/api/v1/mcp/sse",
            headers=bearing(ada),
            on_session_created=ids.append,
        ) as streams,
        ClientSession(*streams) as session,
    ):
        await session.initialize()
        address = f"/api/v1/mcp/?session_id={ids[0]}"
        here = await ada.post(address, json=ping)
        elsewhere = await there.post(address, json=ping)
        standing_alone = await there.post(
            "/api/v1/mcp/streamable", json=ping, headers=speaks
        )

    assert here.status_code == 202
    assert (elsewhere.status_code, elsewhere.json()) == (
        404,
        {"detail": "Could not find session"},
    )
    assert standing_alone.status_code == 200


async def noted(watching: Any, heard: list[str]) -> None:
    """Note every command that Redis is sent."""
    while True:
        command = await watching.next_command()
        heard.append(command["command"])


async def test_a53_redis_holds_no_secret(pair: Pair, ada: Person) -> None:
    """Neither what is kept there nor what is told over it."""
    wrong = {"username": ada.username, "password": "canary-of-a-password"}
    key = (await ada.post("/api/v1/api_key/", json={"name": "k"})).json()["api_key"]
    heard: list[str] = []
    async with (
        redis.asyncio.Redis.from_url(pair.redis, decode_responses=True) as client,
        client.monitor() as watching,
    ):
        noting = asyncio.create_task(noted(watching, heard))
        async with httpx.AsyncClient(base_url=pair.one, timeout=PATIENCE) as anybody:
            await anybody.post("/api/v1/login", data=wrong)
            await anybody.get(WHOAMI, headers={"x-api-key": key})
            await anybody.get(WHOAMI, params={"x-api-key": key})
        flow = await saved(ada, answering())
        await ada.post(f"/api/v1/run/{flow}", json={"input_value": "x"})
        await client.ping()
        async with asyncio.timeout(PATIENCE):
            while "PING" not in heard:
                await asyncio.sleep(0.01)
        noting.cancel()

    told = "\n".join(heard)
    assert "run:" in told
    for secret in (CANARY, wrong["password"], key, ada.token, PASSWORD):
        assert secret not in told
