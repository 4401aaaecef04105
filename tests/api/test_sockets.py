"""WebSockets: who is let in, what is too much, and how each of them ends."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from litestar import WebSocket
from litestar.types import Message
from websockets.exceptions import ConnectionClosed, InvalidStatus

from api.app import create_app
from api.composition import Application
from api.sockets import LARGEST, TALK, ClosingError, Habits, Line
from application.ports import Actor
from infrastructure.tokens import Tokens
from tests.api.conftest import Join, Person, serving
from tests.api.talking import Talk, bearing, starter, talking
from tests.attacks.doors import sockets
from tests.fake_realtime import ever

CHAT = "/api/v1/chat/client"
OPEN = (None, None)


async def ended(address: str, path: str, **more: Any) -> tuple[int | None, str | None]:
    """Return how a socket ends; one that answers a ping is open."""
    async with talking(address, path, **more) as talk:
        try:
            await talk.say(type="ping")
            assert await talk.hear() == {"type": "pong"}
        except ConnectionClosed:
            return talk.socket.close_code, talk.socket.close_reason
    return OPEN


async def key_of(person: Person) -> tuple[str, str]:
    """Return a new key of theirs, and its id."""
    made = (await person.post("/api/v1/api_key/", json={"name": uuid4().hex})).json()
    return made["api_key"], made["id"]


def cookie(person: Person, origin: str | None) -> dict[str, str]:
    said = {"Cookie": f"access_token_lf={person.token}"}
    return said if origin is None else said | {"Origin": origin}


@asynccontextmanager
async def habits(application: Application, **more: Any) -> AsyncIterator[None]:
    usual = application.sockets.habits
    application.sockets.habits = msgspec.structs.replace(usual, **more)
    yield
    application.sockets.habits = usual


async def test_every_credential_opens_a_socket(address: str, ada: Person) -> None:
    key, _ = await key_of(ada)

    assert await ended(address, f"{CHAT}?token={ada.token}") == OPEN
    assert await ended(address, f"{CHAT}?token={key}") == OPEN
    assert await ended(address, CHAT, headers=bearing(ada)) == OPEN
    assert await ended(address, CHAT, headers={"Authorization": f"Bearer {key}"})
    for name in ("x-api-key", "api_key"):
        assert await ended(address, f"{CHAT}?{name}={key}") == OPEN
        assert await ended(address, CHAT, headers={name: key}) == OPEN
    assert await ended(address, CHAT, headers=cookie(ada, address)) == OPEN


ORIGINS = [
    None,
    "null",
    "",
    "http://evil.example",
    "http://{host}.evil.example",
    "http://evil{host}",
    "http://{host}@evil.example",
    "http://evil.example/{host}",
    "http://{name}:1",
]


@pytest.mark.parametrize("origin", ORIGINS)
async def test_a30_a_foreign_page_cannot_use_the_cookie(
    address: str, ada: Person, origin: str | None
) -> None:
    host = address.removeprefix("http://")
    if origin:
        origin = origin.format(host=host, name=host.partition(":")[0])

    closed = await ended(address, CHAT, headers=cookie(ada, origin))

    assert closed == (1008, "This page may not use the cookie")


async def test_a_page_that_the_operator_named_may_use_the_cookie(
    application: Application, ada: Person
) -> None:
    page = "https://flows.example.org"
    world = msgspec.structs.replace(
        application.world,
        settings=msgspec.structs.replace(
            application.world.settings, cors_origins=(page,)
        ),
    )
    async with serving(msgspec.structs.replace(application, world=world)) as address:
        assert await ended(address, CHAT, headers=cookie(ada, page)) == OPEN
        other = await ended(address, CHAT, headers=cookie(ada, page + ".evil"))
    assert other[0] == 1008


async def test_who_shows_nothing_good_is_closed_out_by_1008(
    application: Application, address: str, ada: Person, join: Join, root: Person
) -> None:
    gone, off = await join("gone"), await join("off")
    key, key_id = await key_of(gone)
    await gone.delete(f"/api/v1/api_key/{key_id}")
    await gone.post("/api/v1/logout")
    await root.patch(f"/api/v1/users/{off.id}", json={"is_active": False})
    shown: list[dict[str, str]] = [
        {},
        {"token": ""},
        {"token": "nonsense"},
        {"token": ada.token + "x"},
        {"token": gone.token},
        {"token": off.token},
        {"token": key},
        {"x-api-key": key},
        {"x-api-key": "sk-" + "a" * 43},
        {"api_key": ada.token},
    ]
    doors = sockets(create_app(application))
    assert doors
    for path in (door.replace("{}", str(uuid4())) for door in doors):
        for query in shown:
            asked = "&".join(f"{name}={word}" for name, word in query.items())
            code, reason = await ended(address, f"{path}?{asked}")
            assert code == 1008, (path, query)
            assert reason


async def test_a_socket_closes_once_its_key_is_revoked_or_its_user_has_left(
    application: Application, address: str, join: Join
) -> None:
    person = await join("leaving")
    key, key_id = await key_of(person)
    async with (
        habits(application, look=0.05),
        talking(address, CHAT, headers={"x-api-key": key}) as by_key,
        talking(address, CHAT, headers=bearing(person)) as by_token,
    ):
        await person.delete(f"/api/v1/api_key/{key_id}")
        assert (await by_key.closed())[0] == 1008
        await by_token.say(type="ping")
        assert await by_token.hear() == {"type": "pong"}
        await person.post("/api/v1/logout")
        assert (await by_token.closed())[0] == 1008


async def test_a_socket_closes_once_its_token_has_expired(
    application: Application, address: str, ada: Person
) -> None:
    world = application.world
    brief = msgspec.structs.replace(world.settings, access_token_expire_seconds=1)
    session = Tokens(world.keyring, world.settings).read_access(ada.token).session
    token = Tokens(world.keyring, brief).access(UUID(ada.id), session)
    async with (
        habits(application, look=0.05),
        talking(address, f"{CHAT}?token={token}") as talk,
    ):
        assert (await talk.closed())[0] == 1008


async def test_a_revoked_credential_starts_nothing_even_before_it_is_looked_at(
    application: Application, address: str, join: Join
) -> None:
    person = await join("quick")
    flow = await starter(person, "Words in a Template")
    key, key_id = await key_of(person)
    async with talking(address, CHAT, headers={"x-api-key": key}) as talk:
        await talk.say(type="ping")
        await talk.hear()
        await person.delete(f"/api/v1/api_key/{key_id}")
        with suppress(ConnectionClosed):  # it may have heard of it already
            await talk.say(type="message", flow_id=flow, message="too late")
        assert (await talk.closed())[0] == 1008

    assert (await person.get(f"/api/v1/runs?flow_id={flow}")).json()["total"] == 0


async def test_staying_does_not_count_as_using_a_key(
    application: Application, address: str, join: Join
) -> None:
    person = await join("counted")
    key, _ = await key_of(person)
    async with (
        habits(application, look=0.01),
        talking(address, CHAT, headers={"x-api-key": key}) as talk,
    ):
        for _ in range(5):
            await talk.say(type="ping")
            await talk.hear()
            await asyncio.sleep(0.02)
    keys = (await person.get("/api/v1/api_key/")).json()["api_keys"]

    assert [one["total_uses"] for one in keys] == [1]


async def test_a_quiet_socket_is_closed_and_a_used_one_is_not(
    application: Application, address: str, ada: Person
) -> None:
    async with (
        habits(application, look=0.05, idle=1.0),
        talking(address, CHAT, headers=bearing(ada)) as quiet,
        talking(address, CHAT, headers=bearing(ada)) as used,
    ):
        closing = asyncio.create_task(quiet.closed())
        while not closing.done():
            await used.say(type="ping")
            assert await used.hear() == {"type": "pong"}
            await asyncio.sleep(0.05)

    assert closing.result() == (1001, "Nothing was said for a while")


async def test_one_user_cannot_take_every_place(
    application: Application, address: str, ada: Person, bob: Person
) -> None:
    async with (
        habits(application, each=1),
        talking(address, CHAT, headers=bearing(ada)) as first,
    ):
        await first.say(type="ping")
        await first.hear()
        assert await ended(address, CHAT, headers=bearing(ada)) == (
            1013,
            "Too many connections",
        )
        assert await ended(address, CHAT, headers=bearing(bob)) == OPEN
    assert await ended(address, CHAT, headers=bearing(ada)) == OPEN
    await ever(lambda: application.sockets.open == 0)


async def _flood(talk: Talk) -> None:
    for _ in range(200):
        await talk.say(type="ping")


@pytest.mark.parametrize(
    ("sent", "code"),
    [(b"\x00\x01", 1003), ("x" * (LARGEST + 1), 1009), (None, 1008)],
    ids=["binary", "too large", "too much"],
)
async def test_what_is_too_much_closes_the_socket(
    address: str, ada: Person, sent: str | bytes | None, code: int
) -> None:
    async with talking(address, CHAT, headers=bearing(ada)) as talk:
        with suppress(ConnectionClosed):  # it may be quicker than we
            await (_flood(talk) if sent is None else talk.socket.send(sent))
        assert (await talk.closed())[0] == code


async def test_a_client_that_does_not_read_is_let_go(
    ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.sockets.SLOW", 0.05)
    full = asyncio.Event()

    async def nothing_read(_: Message) -> None:
        await full.wait()

    async def nobody(_: object) -> Actor:
        return Actor(None)

    scope: Any = {"type": "websocket", "headers": [], "state": {}}
    socket: WebSocket[Any, Any, Any] = WebSocket(scope, send=nothing_read)
    socket.connection_state = "receive"
    socket.state.actor = Actor(UUID(ada.id))
    async with asyncio.TaskGroup() as tasks:
        with pytest.raises(ClosingError) as closing:
            await Line(socket, tasks, TALK, nobody).say({"type": "token"})

    assert closing.value.code == 1008


async def test_a_server_that_stops_says_that_it_will_be_back(
    application: Application, ada: Person
) -> None:
    async with serving(application) as address:
        opened = talking(address, CHAT, headers=bearing(ada))
        talk = await opened.__aenter__()
        await talk.say(type="ping")
        await talk.hear()
    closed = await talk.closed()
    await opened.__aexit__(None, None, None)

    assert closed[0] == 1012


async def test_an_unknown_address_is_no_socket(address: str, ada: Person) -> None:
    for path in ("/api/v1/chat", "/api/v1/nothing/here", "/api/v1/flows"):
        with pytest.raises((InvalidStatus, ConnectionClosed)):
            await ended(address, path, headers=bearing(ada))


async def test_a_credential_in_an_address_is_not_logged(
    address: str, ada: Person, caplog: pytest.LogCaptureFixture
) -> None:
    key, _ = await key_of(ada)
    with caplog.at_level(logging.DEBUG, logger="uvicorn"):
        await ended(address, f"{CHAT}?x-api-key={key}")
        await ended(address, f"{CHAT}?token={ada.token}")
        await ended(address, f"{CHAT}?token={ada.token}x")
    ours = [one for one in caplog.records if not one.name.startswith("websockets")]

    assert key not in "".join(one.getMessage() for one in ours)
    assert ada.token not in "".join(one.getMessage() for one in ours)


def test_habits_are_patient_by_default() -> None:
    assert Habits().idle >= 600
