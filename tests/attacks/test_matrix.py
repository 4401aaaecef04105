"""Every route against everybody who may not: refused, soundly, and nothing happens."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple, get_args
from uuid import UUID, uuid4

import httpx
import pytest
from litestar import Litestar
from litestar.types import Message
from msgspec.structs import replace

from api.app import create_app
from api.composition import Application
from api.openapi.document import described
from domain.user.events import Scope
from infrastructure.tokens import Tokens
from tests.api.conftest import PATIENCE, Join, Person, serving, signed_in
from tests.attacks.belongings import CANARY, Belongings
from tests.attacks.doors import MULTIPART, Door, doors, forbidden_words, sockets
from tests.attacks.matrix import (
    BELONGINGS,
    BODIES,
    HELP,
    ONLY_SUPERUSERS,
    OTHERWISE,
    QUERIES,
    UNASKED,
)

NOBODYS = {"session": "nobodys"}
SIGNED_OUT = {401, 403}


class Building(NamedTuple):
    """A server, and every door it has."""

    address: str
    app: Litestar
    doors: list[Door]
    application: Application

    def closed(self) -> list[Door]:
        """Return the doors that are not open to all."""
        return [door for door in self.doors if not door.open_to_all]


@pytest.fixture(scope="session")
async def building(application: Application) -> AsyncIterator[Building]:
    """The application where it lets nobody in unasked."""
    async with built_with(application, auto_login=False) as building:
        yield building


@pytest.fixture(scope="session", params=["auto_login off", "auto_login on"])
async def either(
    application: Application, request: pytest.FixtureRequest
) -> AsyncIterator[Building]:
    """The same where it lets in people at this machine, too."""
    auto_login = request.param.endswith("on")
    async with built_with(application, auto_login=auto_login) as building:
        yield building


@asynccontextmanager
async def built_with(
    application: Application, *, auto_login: bool
) -> AsyncIterator[Building]:
    """Serve the application so, and look for its doors."""
    settings = replace(application.world.settings, auto_login=auto_login)
    same = replace(application, world=replace(application.world, settings=settings))
    app = create_app(same)
    found = doors(app, described(app))
    async with serving(same) as address:
        yield Building(address, app, found, same)


class Tried(NamedTuple):
    """A door that did not stay closed as it should have."""

    door: str
    answer: int
    why: str


async def tried(
    building: Building,
    asked: Sequence[Door],
    call: Callable[[Door], Any],
    expected: Callable[[Door], set[int]],
) -> list[Tried]:
    """Try each door; return those that opened, told too much, or let something in."""
    store, wrong = building.application.world.store, []
    before = await store.head()
    for door in asked:
        answer: httpx.Response = await call(door)
        after = await store.head()
        why = ""
        if answer.status_code not in expected(door):
            why = f"expected {expected(door)}: {answer.text[:120]}"
        elif answer.status_code >= 400 and set(answer.json()) - {"error"} != {"detail"}:
            why = f"not of the shape of a refusal: {answer.text[:120]}"
        elif shown := list(forbidden_words(answer.text)):
            why = f"shows {shown}"
        elif after != before:
            why = "appended an event"
        if why:
            wrong.append(Tried(door.name, answer.status_code, why))
        before = after
    return wrong


async def closed_to(
    building: Building, client: httpx.AsyncClient, **headers: str
) -> list[Tried]:
    """Try every door that is not open to all, with ids that nobody has."""

    async def call(door: Door) -> httpx.Response:
        path = door.to(*(str(uuid4()) for _ in door.names))
        return await client.request(door.method, path, json={}, headers=headers)

    return await tried(building, building.closed(), call, lambda _: SIGNED_OUT)


@pytest.fixture(scope="session")
async def stranger(building: Building) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody who is not signed in, at the building's address."""
    async with httpx.AsyncClient(base_url=building.address, timeout=PATIENCE) as client:
        yield client


async def test_a10_a13_without_a_credential_no_door_opens_in_either_mode(
    either: Building,
) -> None:
    async with httpx.AsyncClient(base_url=either.address, timeout=PATIENCE) as nobody:
        assert not await closed_to(either, nobody)


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer nonsense"},
        {"x-api-key": "sk-" + "A" * 43},
        {"Cookie": "access_token_lf=nonsense"},
    ],
    ids=["token", "key", "cookie"],
)
async def test_a10_with_a_made_up_credential_no_door_opens(
    building: Building, stranger: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    assert not await closed_to(building, stranger, **headers)


async def test_a29_with_a_token_that_has_expired_no_door_opens(
    building: Building, stranger: httpx.AsyncClient, ada: Person
) -> None:
    world = building.application.world
    past = replace(world.settings, access_token_expire_seconds=-60)
    session = Tokens(world.keyring, world.settings).read_access(ada.token).session
    expired = Tokens(world.keyring, past).access(UUID(ada.id), session)

    wrong = await closed_to(building, stranger, Authorization=f"Bearer {expired}")

    assert not wrong


async def test_a23_with_a_revoked_key_no_door_opens(
    building: Building, stranger: httpx.AsyncClient, eve: Person
) -> None:
    key = (await eve.post("/api/v1/api_key/", json={"name": "k"})).json()
    with_key = {"x-api-key": key["api_key"]}
    known = await stranger.get("/api/v1/users/whoami", headers=with_key)
    assert known.status_code == 200

    await eve.delete(f"/api/v1/api_key/{key['id']}")

    assert not await closed_to(building, stranger, **with_key)


async def test_a23_with_a_key_that_has_expired_no_door_opens(
    building: Building, stranger: httpx.AsyncClient, eve: Person
) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=1.5)
    body = {"name": "k", "expires_at": soon.isoformat()}
    key = (await eve.post("/api/v1/api_key/", json=body)).json()
    with_key = {"x-api-key": key["api_key"]}
    async with asyncio.timeout(PATIENCE):
        while True:
            known = await stranger.get("/api/v1/users/whoami", headers=with_key)
            if known.status_code != 200:
                break
            await asyncio.sleep(0.05)

    assert datetime.now(UTC) >= soon
    assert not await closed_to(building, stranger, **with_key)


@pytest.mark.parametrize("scope", get_args(Scope.__value__))
async def test_a23_a_key_opens_no_door_but_those_of_its_scope(
    building: Building, stranger: httpx.AsyncClient, eve: Person, scope: str
) -> None:
    body = {"name": scope, "scopes": [scope]}
    key = (await eve.post("/api/v1/api_key/", json=body)).json()
    with_key = {"x-api-key": key["api_key"]}
    others = [door for door in building.closed() if scope not in door.scopes]

    async def call(door: Door) -> httpx.Response:
        path = door.to(*(str(uuid4()) for _ in door.names))
        return await stranger.request(door.method, path, json={}, headers=with_key)

    assert len(others) > 20
    assert not await tried(building, others, call, lambda _: {403})


async def test_a10_an_inactive_user_finds_every_door_closed(
    building: Building, stranger: httpx.AsyncClient, eve: Person, root: Person
) -> None:
    key = (await eve.post("/api/v1/api_key/", json={"name": "k"})).json()

    await root.patch(f"/api/v1/users/{eve.id}", json={"is_active": False})

    token = {"Authorization": f"Bearer {eve.token}"}
    assert not await closed_to(building, stranger, **token)
    assert not await closed_to(building, stranger, **{"x-api-key": key["api_key"]})


async def test_a10_a_removed_user_finds_every_door_closed(
    building: Building, stranger: httpx.AsyncClient, eve: Person, root: Person
) -> None:
    key = (await eve.post("/api/v1/api_key/", json={"name": "k"})).json()

    gone = await root.delete(f"/api/v1/users/{eve.id}")

    assert gone.status_code == 200
    token = {"Authorization": f"Bearer {eve.token}"}
    assert not await closed_to(building, stranger, **token)
    assert not await closed_to(building, stranger, **{"x-api-key": key["api_key"]})


@pytest.fixture(scope="session")
async def thief(either: Building, join: Join) -> AsyncIterator[Person]:
    """Somebody with an account and no belongings, at that address."""
    joined = await join("thief")
    person = await signed_in(either.address, joined.username)
    yield person
    await person.aclose()


async def test_a20_a13_what_is_for_superusers_is_closed_to_people_in_either_mode(
    either: Building, thief: Person
) -> None:
    async def call(door: Door) -> httpx.Response:
        path = door.to(*(str(uuid4()) for _ in door.names))
        return await thief.request(door.method, path, json={})

    asked = [d for d in either.doors if d.for_superusers or d.name in ONLY_SUPERUSERS]

    assert len(asked) > 10
    assert not await tried(either, asked, call, lambda _: {403})


async def test_a10_a13_what_is_anothers_does_not_exist_in_either_mode(
    either: Building, hers: Belongings, thief: Person
) -> None:
    asked = [
        door
        for door in either.closed()
        if any(name in BELONGINGS for name in door.names) and door.name not in UNASKED
    ]
    told: dict[str, list[str]] = {}

    async def call(door: Door, *, ids: Callable[[str], str]) -> httpx.Response:
        answer = await _attacked(thief, door, [ids(name) for name in door.names])
        told.setdefault(door.name, []).append(_without_ids(answer))
        return answer

    def foreign(name: str) -> str:
        return str(getattr(hers, BELONGINGS.get(name, ""), "1"))

    def unknown(name: str) -> str:
        kind = BELONGINGS.get(name)
        return NOBODYS.get(kind, str(uuid4())) if kind else "1"

    def expected(door: Door) -> set[int]:
        return {403 if door.for_superusers else OTHERWISE.get(door.name, (404,))[0]}

    for ids in (foreign, unknown):
        wrong = await tried(either, asked, partial(call, ids=ids), expected)
        assert not wrong, f"{HELP}\n{wrong}"
    differ = {name: said for name, said in told.items() if len(set(said)) > 1}
    assert not differ, f"these tell a foreign thing from none: {differ}"


async def _attacked(thief: Person, door: Door, ids: list[str]) -> httpx.Response:
    asked = QUERIES.get(door.name)
    path = door.to(*ids) + (f"?{asked}" if asked else "")
    if door.sends == MULTIPART and door.name not in BODIES:
        files = {"file": ("a.json", b"{}", "application/json")}
        return await thief.request(door.method, path, files=files)
    body = BODIES[door.name](ids[0]) if door.name in BODIES else door.example or {}
    return await thief.request(door.method, path, json=body)


def _without_ids(answer: httpx.Response) -> str:
    words = answer.text
    for part in str(answer.url).partition("?")[0].split("/")[3:]:
        words = words.replace(part, "")
    return "".join(c for c in words if c not in "0123456789abcdef-")


async def test_a10_a13_a_question_about_anothers_thing_finds_nothing_in_either_mode(
    either: Building, hers: Belongings, thief: Person
) -> None:
    wrong = []
    for door in either.closed():
        for name in door.asked:
            kind = BELONGINGS.get(name)
            if kind is None or door.names or door.method != "get":
                continue
            asked = {name: getattr(hers, kind), "get_all": "false"}
            answer = await thief.get(door.path, params=asked)
            secrets = (hers.run, hers.message, CANARY)
            if answer.status_code not in {200, 403, 404} or any(
                one in answer.text for one in secrets
            ):
                wrong.append((door.name, name, answer.status_code, answer.text[:200]))

    assert not wrong


async def test_a10_a13_without_a_credential_no_socket_opens_in_either_mode(
    either: Building,
) -> None:
    opened = {
        path
        for path in sockets(either.app)
        if not await _refused(either.app, path.replace("{}", str(uuid4())))
    }

    assert not opened


async def _refused(app: Litestar, path: str) -> bool:
    """Knock at a socket as nobody; tell whether it is closed at once."""
    said: list[Message] = []
    heard = iter([{"type": "websocket.connect"}, {"type": "websocket.disconnect"}])

    async def receive() -> Any:
        return next(heard)

    async def send(message: Message) -> None:
        said.append(message)

    scope: Any = {
        "type": "websocket",
        "asgi": {"version": "3.0"},
        "scheme": "ws",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"127.0.0.1")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "subprotocols": [],
        "state": {},
        "extensions": {},
    }
    await app(scope, receive, send)
    kinds = [message["type"] for message in said]
    return "websocket.send" not in kinds and "websocket.close" in kinds
