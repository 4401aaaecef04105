"""The component store: off unless there is one, and asked with people's own keys."""

from collections.abc import AsyncIterator
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest

from api.composition import Application
from application.shopping import Shopping
from domain.user.events import StoreKeySaved
from infrastructure import directus
from infrastructure.directus import Directus
from tests.api.conftest import Join, Person, serving, signed_in
from tests.fake_directus import FakeDirectus

STORE = "/api/v1/store"
KEY = "store-canary-5512"


class Town(NamedTuple):
    """A server that has a store, and the store."""

    address: str
    market: FakeDirectus
    application: Application


@pytest.fixture(scope="module")
async def towns(application: Application) -> AsyncIterator[Town]:
    """A server whose store is a stand-in."""
    async with FakeDirectus().serving() as market:
        shop = Directus(
            market.url,
            like_hook=f"{market.url}/flows/trigger/likes",
            download_hook=f"{market.url}/flows/trigger/downloads",
        )
        world = application.world
        shopping = Shopping(world.store, vault=world.vault, market=shop)
        world = msgspec.structs.replace(world, shopping=shopping)
        same = msgspec.structs.replace(application, world=world)
        async with serving(same) as address:
            yield Town(address, market, same)


@pytest.fixture
def town(towns: Town) -> Town:
    """The server, with a store that is empty."""
    towns.market.clear()
    return towns


@pytest.fixture
async def shopper(town: Town, join: Join) -> AsyncIterator[Person]:
    """Somebody with a key that the store knows."""
    joined = await join("shopper")
    person = await signed_in(town.address, joined.username)
    town.market.people[KEY] = person.username
    saved = await person.post("/api/v1/api_key/store", json={"api_key": KEY})
    assert saved.status_code == 200, saved.text
    yield person
    await person.aclose()


def names(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [one["name"] for one in answer.json()["results"]]


def sent(name: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "description": "Mine",
        "data": {"nodes": [], "edges": []},
        "tags": [],
        "is_component": False,
    } | more


async def test_without_a_store_there_is_nothing_in_it(ada: Person) -> None:
    assert (await ada.get(f"{STORE}/check")).json() == {"enabled": False}
    assert (await ada.get(f"{STORE}/check/api_key")).json() == {
        "has_api_key": False,
        "is_valid": False,
    }
    assert (await ada.get(f"{STORE}/tags")).json() == []
    assert (await ada.get(f"{STORE}/components/")).json() == {
        "count": 0,
        "authorized": False,
        "results": [],
    }
    for method, path, body in (
        ("GET", f"components/{uuid4()}", None),
        ("POST", "components", sent("x")),
        ("PATCH", f"components/{uuid4()}", sent("x")),
        ("GET", "users/likes", None),
        ("POST", f"users/likes/{uuid4()}", None),
    ):
        answer = await ada.request(method, f"{STORE}/{path}", json=body)
        assert answer.status_code == 404
        assert answer.json() == {"detail": "This server has no component store"}


async def test_a_key_is_kept_sealed_and_shown_to_nobody(
    town: Town, shopper: Person, join: Join
) -> None:
    saved = await shopper.post("/api/v1/api_key/store", json={"api_key": KEY + "2"})
    me = (await shopper.get("/api/v1/users/whoami")).json()
    told = await town.application.world.store.read_stream("core", UUID(shopper.id))

    assert saved.json() == {"detail": "API Key saved"}
    assert "apikey_tkn_lflw=********;" in saved.headers["set-cookie"]
    assert me["store_api_key"] == "********"
    assert KEY not in str(told)
    assert KEY not in saved.text + str(saved.headers)
    kept = [one.event for one in told if isinstance(one.event, StoreKeySaved)]
    secrets = [event.secret for event in kept]
    assert len(secrets) == 2
    assert list(await town.application.world.vault.open(secrets)) == secrets[1:]

    await shopper.post("/api/v1/api_key/store", json={"api_key": ""})

    assert (await shopper.get("/api/v1/users/whoami")).json()["store_api_key"] is None
    assert await town.application.world.vault.open(secrets) == {}


async def test_it_tells_whether_a_key_is_good(town: Town, shopper: Person) -> None:
    url = f"{STORE}/check/api_key"
    good = (await shopper.get(url)).json()
    del town.market.people[KEY]
    bad = (await shopper.get(url)).json()

    assert (await shopper.get(f"{STORE}/check/")).json() == {"enabled": True}
    assert good == {"has_api_key": True, "is_valid": True}
    assert bad == {"has_api_key": True, "is_valid": False}


async def test_things_are_found_by_word_tag_kind_owner_and_page(
    town: Town, shopper: Person
) -> None:
    market = town.market
    chat = next(tag for tag, name in market.tags.items() if name == "chat")
    market.add("Alpha", tags=[chat])
    market.add("Beta", is_component=True)
    market.add("Gamma", owner=shopper.username, private=True)
    market.add("Hidden", owner="somebody else", private=True)
    url = f"{STORE}/components/"

    async def found(**params: Any) -> list[str]:
        return names(await shopper.get(url, params={"sort": "name"} | params))

    assert await found() == ["Alpha", "Beta", "Gamma"]
    assert await found(sort="-name,date_created") == ["Gamma", "Beta", "Alpha"]
    assert await found(search="alp") == ["Alpha"]
    assert await found(tags="chat,memory") == ["Alpha"]
    assert await found(is_component="true") == ["Beta"]
    assert await found(private="true") == ["Gamma"]
    assert await found(filter_by_user="true") == ["Gamma"]
    assert await found(liked="true") == []
    assert await found(page="2", limit="2") == ["Gamma"]
    whole = (await shopper.get(url, params={"limit": 1, "sort": "name"})).json()
    assert (whole["count"], whole["authorized"]) == (3, True)
    [offer] = whole["results"]
    assert offer["tags"] == [{"id": chat, "name": "chat"}]
    assert offer["user_created"] == {"username": "ada"}
    assert (offer["liked_by_count"], offer["liked_by_user"]) == (0, False)
    for wrong in ({"sort": "password"}, {"limit": 101}, {"page": 0}):
        assert (await shopper.get(url, params=wrong)).status_code == 422


async def test_whose_key_is_refused_looks_around_like_anybody(
    town: Town, shopper: Person
) -> None:
    town.market.add("Open")
    town.market.add("Mine", owner=shopper.username, private=True)
    del town.market.people[KEY]

    around = await shopper.get(f"{STORE}/components/")
    mine = await shopper.get(f"{STORE}/components/?filter_by_user=true")

    assert names(around) == ["Open"]
    assert around.json()["authorized"] is False
    assert mine.json() == {"count": 0, "authorized": False, "results": []}
    assert (await shopper.get(f"{STORE}/users/likes")).status_code == 403


async def test_something_is_taken_and_that_is_counted(
    town: Town, shopper: Person
) -> None:
    there = town.market.add("Whole", data={"nodes": [1], "edges": []})

    taken = await shopper.get(f"{STORE}/components/{there}")
    unknown = await shopper.get(f"{STORE}/components/{uuid4()}")

    assert taken.json() == {
        "id": there,
        "name": "Whole",
        "description": "About Whole",
        "data": {"nodes": [1], "edges": []},
        "is_component": False,
        "metadata": {"total": 1},
    }
    assert town.market.downloads == [there]
    assert unknown.status_code == 404


async def test_something_is_shared_without_its_secrets_and_shared_anew(
    town: Town, shopper: Person
) -> None:
    field = {"_input_type": "SecretStrInput", "password": True, "value": "sk-literal"}
    node = {
        "id": "A-1",
        "position": {"x": 0, "y": 0},
        "data": {"type": "A", "node": {"template": {"api_key": field}}},
    }
    tag = next(iter(town.market.tags))
    data = {"nodes": [node], "edges": []}

    made = await shopper.post(
        f"{STORE}/components/", json=sent("Mine", data=data, tags=[tag])
    )
    there = made.json()["id"]
    changed = await shopper.patch(
        f"{STORE}/components/{there}", json=sent("Ours", private=False)
    )

    assert (made.status_code, changed.status_code) == (201, 201)
    assert changed.json() == {"id": there}
    item = town.market.items[there]
    assert (item["name"], item["private"], item["owner"]) == (
        "Ours",
        False,
        shopper.username,
    )
    first = await shopper.post(f"{STORE}/components/", json=sent("Next", data=data))
    item = town.market.items[first.json()["id"]]
    assert item["private"] is True
    assert "sk-literal" not in str(item)
    assert item["data"]["nodes"][0]["id"] == "A-1"


async def test_somebody_elses_thing_cannot_be_replaced(
    town: Town, shopper: Person
) -> None:
    there = town.market.add("Theirs", owner="somebody else")

    answer = await shopper.patch(f"{STORE}/components/{there}", json=sent("Mine"))

    assert answer.status_code == 404
    assert town.market.items[there]["name"] == "Theirs"


async def test_things_are_liked_and_no_longer(town: Town, shopper: Person) -> None:
    there = town.market.add("Nice")
    url = f"{STORE}/users/likes"

    liked = (await shopper.post(f"{url}/{there}")).json()
    listed = (await shopper.get(url)).json()
    shown = (await shopper.get(f"{STORE}/components/?liked=true")).json()["results"]
    unliked = (await shopper.post(f"{url}/{there}")).json()

    assert liked == {"likes_count": 1, "liked_by_user": True}
    assert listed == [liked]
    assert [(one["id"], one["liked_by_user"]) for one in shown] == [(there, True)]
    assert unliked == {"likes_count": 0, "liked_by_user": False}


async def test_without_a_key_one_may_look_and_not_touch(town: Town, join: Join) -> None:
    joined = await join("looker")
    person = await signed_in(town.address, joined.username)
    there = town.market.add("Open")

    assert names(await person.get(f"{STORE}/components/")) == ["Open"]
    assert (await person.get(f"{STORE}/components/{there}")).status_code == 200
    for method, path in (
        ("POST", "components"),
        ("PATCH", f"components/{there}"),
        ("GET", "users/likes"),
        ("POST", f"users/likes/{there}"),
    ):
        body = sent("x") if "components" in path else None
        answer = await person.request(method, f"{STORE}/{path}", json=body)
        assert answer.status_code == 400, path
    await person.aclose()


async def test_a_store_that_is_broken_away_or_talks_without_end_is_told_of(
    town: Town, shopper: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.market.add("Long", description="x" * 500)
    url = f"{STORE}/components/"
    monkeypatch.setattr(directus, "LARGEST", 100)
    endless = await shopper.get(url)
    monkeypatch.undo()
    town.market.fails = True
    broken = await shopper.get(url)
    away = Directus("http://127.0.0.1:1", download_hook=None)
    monkeypatch.setattr(town.application.world.shopping, "_market", away)
    nobody = await shopper.get(f"{STORE}/tags")

    assert (endless.status_code, broken.status_code) == (502, 502)
    assert nobody.status_code == 503
    assert KEY not in endless.text + broken.text + nobody.text
