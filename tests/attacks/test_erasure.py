"""Somebody who typed into every field there is, and was erased: nothing is left."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import pytest
import redis
from psycopg import AsyncConnection
from psycopg.sql import SQL, Identifier

from api.composition import Application, compose
from application.ports import SYSTEM, Cause
from domain.user.events import UserErased
from infrastructure.blobs.s3 import S3Blobs
from infrastructure.event_store.mapper import ErasedEvent
from infrastructure.settings import Settings, load
from projections.all import ALL
from projections.reading import Views
from projections.upkeep import Upkeep
from tests.api.conftest import PASSWORD, Person, serving, signed_in, signed_up
from tests.attacks.flows import built, echo, saved
from tests.servers import Addresses, Databases, S3Server

LONG = 100_000
PLACES = (
    *("username", "image", "project", "about-project", "flow", "about-flow"),
    *("prompt", "note", "variable", "value", "key", "session", "text"),
    *("sender-name", "input", "tweak", "long", "vertex", "renamed", "edited"),
    *("file", "title", "flow-file", "bytes"),
)

SEALED = {"value", "text", "input", "tweak", "long", "edited", "bytes"}
PLAIN = set(PLACES) - SEALED
"""What can be read in the tables while its owner is there."""


class Profile(NamedTuple):
    """A server under test, and where it keeps things."""

    application: Application
    settings: Settings
    addresses: Addresses
    address: str
    valkey: str | None
    people: AsyncExitStack

    async def join(self, name: str) -> Person:
        """Let somebody sign up and in."""
        return await self._until_the_end(await signed_up(self.address, name))

    async def root(self) -> Person:
        """Let the first superuser sign in."""
        return await self._until_the_end(await signed_in(self.address, "root"))

    async def _until_the_end(self, person: Person) -> Person:
        self.people.push_async_callback(person.aclose)
        return person


class Canaries:
    """A word for each place that somebody can type into."""

    def __init__(self) -> None:
        self.mark = uuid4().hex
        self.words = {place: f"canary-{place}-{uuid4().hex}" for place in PLACES}

    def __getitem__(self, place: str) -> str:
        return self.words[place]

    def found_in(self, text: bytes) -> set[str]:
        return {place for place, word in self.words.items() if word.encode() in text}


@pytest.fixture(params=["alone", "scaled"])
async def profile(
    request: pytest.FixtureRequest,
    postgres: Databases,
    database_addresses: Addresses,
    tmp_path: Path,
) -> AsyncIterator[Profile]:
    """A server on one machine, and one on Redis and S3."""
    words = {
        "LANGBUILDER_DATA_DIR": str(tmp_path),
        "LANGBUILDER_DATABASE_URL": database_addresses.dsn,
        "LANGBUILDER_MIGRATION_URL": database_addresses.migration_dsn,
        "LANGBUILDER_SUPERUSER": "root",
        "LANGBUILDER_SUPERUSER_PASSWORD": PASSWORD,
        "LANGBUILDER_NEW_USER_IS_ACTIVE": "true",
    }
    valkey: str | None = None
    if request.param == "scaled":
        valkey = str(request.getfixturevalue("valkey_url"))
        s3: S3Server = request.getfixturevalue("s3")
        words |= {
            "LANGBUILDER_REDIS_URL": valkey,
            "LANGBUILDER_STORAGE": "s3",
            "LANGBUILDER_S3_BUCKET": s3.bucket,
            "LANGBUILDER_S3_ENDPOINT_URL": s3.endpoint_url,
            "LANGBUILDER_S3_ACCESS_KEY": s3.access_key,
            "LANGBUILDER_S3_SECRET_KEY": s3.secret_key,
        }
    settings = load(words, env_file=None)
    async with (
        compose(settings) as application,
        serving(application) as address,
        AsyncExitStack() as people,
    ):
        yield Profile(
            application, settings, database_addresses, address, valkey, people
        )


async def planted(eve: Person, words: Canaries) -> str:
    """Type a word into every field; return the id of the flow."""
    document = echo(f"{words['prompt']} {{message}}")
    document["nodes"].append(
        {
            "id": f"note-{words['vertex']}",
            "type": "noteNode",
            "position": {"x": 0, "y": 0},
            "data": {
                "id": "note",
                "type": "note",
                "node": {"description": words["note"]},
            },
        }
    )
    await told(
        eve.patch(f"/api/v1/users/{eve.id}", json={"profile_image": words["image"]})
    )
    project = await told(
        eve.post(
            "/api/v1/projects/",
            json={"name": words["project"], "description": words["about-project"]},
        )
    )
    flow = await saved(
        eve,
        document,
        name=words["flow"],
        description=words["about-flow"],
        endpoint_name=f"e-{words.mark}",
        folder_id=project["id"],
    )
    one = {"name": words["variable"], "value": words["value"], "default_fields": []}
    await told(eve.post("/api/v1/variables/", json=one))
    await told(eve.post("/api/v1/api_key/", json={"name": words["key"]}))
    await uploaded(eve, words, flow)
    await said(eve, words, flow)
    return flow


async def uploaded(eve: Person, words: Canaries, flow: str) -> None:
    """Upload a file to a flow, and one to the files of one's own."""
    kept = {"file": (f"{words['file']}.txt", words["bytes"] * 5_000)}
    own = await told(eve.post("/api/v2/files", files=kept))
    title = {"name": words["title"]}
    await told(eve.put(f"/api/v2/files/{own['id']}", params=title))
    kept = {"file": (f"{words['flow-file']}.txt", words["bytes"])}
    await told(eve.post(f"/api/v1/files/upload/{flow}", files=kept))


async def said(eve: Person, words: Canaries, flow: str) -> None:
    """Run a flow in every way, and change what was said."""
    asked = {"input_value": words["input"], "session": words["session"]}
    await built(eve, flow, inputs=asked)
    long = {"input_value": words["long"] + "x" * LONG, "session": words["session"]}
    await built(eve, flow, inputs=long)
    key = {"idempotency-key": str(uuid4())}
    tweaks = {"ChatOutput-c": {"sender_name": words["sender-name"]}}
    tweaks["Prompt Template-b"] = {"template": f"{words['tweak']} {{message}}"}
    body = {
        "input_value": words["text"],
        "session_id": words["session"],
        "tweaks": tweaks,
    }
    await told(eve.post(f"/api/v1/run/{flow}", json=body, headers=key))
    [said, *_] = await told(eve.get(f"/api/v1/monitor/messages?flow_id={flow}"))
    path = f"/api/v1/monitor/messages/{said['id']}"
    await told(eve.put(path, json={"text": words["edited"]}))
    session = f"/api/v1/monitor/messages/session/{words['session']}"
    await told(eve.patch(session, params={"new_session_id": words["renamed"]}))


async def told(asking: Any) -> Any:
    answer = await asking
    assert answer.status_code < 300, answer.text
    return answer.json() if answer.content else None


async def everything_in(dsn: str) -> dict[str, bytes]:
    """Return every table of every schema of ours, as text and with its bytes."""
    found = {}
    async with await AsyncConnection.connect(dsn) as owner:
        tables = await owner.execute(
            "SELECT n.nspname, c.relname FROM pg_class c"
            " JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE NOT c.relispartition AND c.relkind IN ('r', 'p', 'v')"
            " AND n.nspname !~ '^(pg_|information_)'"
        )
        for schema, table in await tables.fetchall():
            rows = await owner.execute(
                SQL("SELECT * FROM {}.{}").format(Identifier(schema), Identifier(table))
            )
            values = [value for row in await rows.fetchall() for value in row]
            found[f"{schema}.{table}"] = b"\n".join(map(as_bytes, values))
    return found


def as_bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


async def everywhere(profile: Profile) -> dict[str, bytes]:
    """Return all that the installation keeps, by place."""
    found = await everything_in(profile.addresses.dsn)
    for path in Path(profile.settings.data_path).rglob("*"):
        if path.is_file():
            found[str(path)] = path.read_bytes()
    if profile.valkey is not None:
        with redis.Redis.from_url(profile.valkey) as valkey:
            for key in valkey.scan_iter():
                found[f"valkey {key}"] = key + (valkey.dump(key) or b"")
        blobs = S3Blobs.of(profile.settings)
        listed = blobs._client.list_objects_v2(Bucket=profile.settings.s3_bucket)
        for one in listed.get("Contents", ()):
            found[f"s3 {one['Key']}"] = one["Key"].encode()
        blobs.close()
    return found


def leaks(words: Canaries, kept: dict[str, bytes]) -> dict[str, set[str]]:
    found = {place: words.found_in(text) for place, text in kept.items()}
    return {place: leaked for place, leaked in found.items() if leaked}


async def shown(application: Application) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of every view."""
    views = Views(application.world.database.engine)
    return {
        table.name: sorted(
            (tuple(row) for row in await views._all(table.select())), key=repr
        )
        for projector in ALL
        for table in projector.tables.sorted_tables
    }


@pytest.mark.slow
async def test_of_somebody_erased_nothing_is_left_anywhere(profile: Profile) -> None:
    application, words = profile.application, Canaries()
    root = await profile.root()
    eve = await profile.join(words["username"])
    bob = await profile.join("bob")
    bobs = await saved(bob, echo("a bird sings"), name="bobs")
    await built(bob, bobs, inputs={"input_value": "x" * LONG, "session": "nest"})
    await planted(eve, words)
    before = await everywhere(profile)
    seen = set.union(*leaks(words, before).values())
    assert seen >= PLAIN, PLAIN - seen  # or it would be no feat that it is gone
    bobs_before = await told(bob.get(f"/api/v1/flows/{bobs}"))
    blobs = len([place for place in before if "blobs" in place or place[:2] == "s3"])

    erased = await told(root.post(f"/api/v1/admin/users/{eve.id}/erase"))

    assert erased["again"] is False
    assert erased["destroyed"]["blobs"] >= 1
    after = await everywhere(profile)
    assert leaks(words, after) == {}
    kept = len([place for place in after if "blobs" in place or place[:2] == "s3"])
    assert kept == blobs - erased["destroyed"]["blobs"] > 0
    await _reads_tell_nothing(application, words, UUID(eve.id))
    assert (await eve.get("/api/v1/flows/")).status_code in {401, 403}
    assert await told(bob.get(f"/api/v1/flows/{bobs}")) == bobs_before
    [first, *_] = await told(bob.get(f"/api/v1/monitor/messages?flow_id={bobs}"))
    assert first["text"] == "x" * LONG
    again = await told(root.post(f"/api/v1/admin/users/{eve.id}/erase"))
    assert (again["again"], again["destroyed"]) == (True, {})
    await _rebuilt_is_what_is_live(application)
    newcomer = await profile.join(words["username"])
    assert newcomer.id != eve.id


async def _reads_tell_nothing(
    application: Application, words: Canaries, eve: UUID
) -> None:
    store = application.world.store
    for log in ("core", "runs"):
        events = await store.read_log(log, limit=10_000)
        assert words.found_in(repr(events).encode()) == set()
        assert any(isinstance(one.event, ErasedEvent) for one in events)
    last = (await store.read_stream("core", eve))[-1]
    assert last.event == UserErased()


async def _rebuilt_is_what_is_live(application: Application) -> None:
    world = application.world
    await application.daemon.reached(await world.store.head(), within=30)
    live = await shown(application)
    upkeep = Upkeep(world.database, world.store, ALL)
    for projector in ALL:
        await upkeep.rebuild(
            projector.name,
            cause=Cause(actor=SYSTEM, command_id=uuid4(), correlation_id=uuid4()),
        )
    assert await shown(application) == live


@pytest.mark.slow
async def test_an_erasure_that_was_cut_short_is_finished(
    profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = Canaries()
    root = await profile.root()
    eve = await profile.join(words["username"])
    await planted(eve, words)
    erasure = profile.application.world.erasure
    estate = type(erasure._estate)
    steps = ("close", "flows", "_delete", "_delete_blob", "_do")
    for step in steps:
        with monkeypatch.context() as cut:
            cut.setattr(estate, step, _killed)
            answer = await root.post(f"/api/v1/admin/users/{eve.id}/erase")
            assert answer.status_code == 500, step

    holder = await profile.application.world.claims.holder(
        "username", words["username"]
    )
    assert str(holder) == eve.id  # the name still says who is meant
    await told(root.post(f"/api/v1/admin/users/{eve.id}/erase"))

    assert leaks(words, await everywhere(profile)) == {}


async def _killed(*_: object, **__: object) -> None:
    raise ConnectionAbortedError


@pytest.mark.slow
async def test_a_run_going_on_does_not_outlive_its_owner(profile: Profile) -> None:
    words = Canaries()
    root = await profile.root()
    eve = await profile.join(words["username"])
    flow = await saved(eve, echo(words["prompt"] + " {message}"), name=words["flow"])
    stop = asyncio.Event()

    async def keep_running() -> None:
        while not stop.is_set():
            asked = {"input_value": words["input"], "session": words["session"]}
            await eve.post(f"/api/v1/build/{flow}/flow", json={"inputs": asked})

    running = [asyncio.create_task(keep_running()) for _ in range(4)]
    await asyncio.sleep(0.5)
    await told(root.delete(f"/api/v1/users/{eve.id}"))
    stop.set()
    await asyncio.gather(*running)
    await profile.application.daemon.reached(
        await profile.application.world.store.head(), within=30
    )

    assert leaks(words, await everywhere(profile)) == {}
    assert profile.application.runs.going_on == 0
