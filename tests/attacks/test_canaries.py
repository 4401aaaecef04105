"""A secret lies sealed in one place: not in events, tables, logs, answers or files."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from psycopg.sql import SQL, Identifier

from api.app import create_app
from api.composition import Application
from tests.api.conftest import Person
from tests.attacks import canaries_outside
from tests.attacks.conftest import Said
from tests.attacks.doors import doors
from tests.attacks.flows import asking, built, echo, field, saved
from tests.fake_openai import FakeModels


def canary(where: str) -> str:
    """Return a secret that is found wherever it leaks to, and says whence."""
    return f"canary-{where}-{uuid4().hex}"


PLACES = (
    *("literal", "tweak", "tweak-object", "unsaved", "credential", "generic"),
    *("password", "new-password", "imported", "group", "edited", "json", "batch"),
)


class Planted:
    """Secrets in every place that takes one, and every answer that was given."""

    def __init__(self) -> None:
        places = (*PLACES, *canaries_outside.PLACES)
        self.secrets = {place: canary(place) for place in places}
        self.answers: list[str] = []

    def __getitem__(self, place: str) -> str:
        return self.secrets[place]

    def heard(self, answer: httpx.Response) -> Any:
        """Keep what was answered; return it as JSON."""
        said = f"{answer.headers} {answer.text}"
        if answer.headers.get("content-type", "").endswith(("zip-compressed", "/zip")):
            with zipfile.ZipFile(io.BytesIO(answer.content)) as files:
                said += "".join(files.read(n).decode() for n in files.namelist())
        self.answers.append(said)
        assert answer.status_code != 500 or "/run/" in str(answer.url), said
        kind = answer.headers.get("content-type", "")
        return answer.json() if kind.startswith("application/json") else None


def keyed(secret: Any, **more: Any) -> dict[str, Any]:
    data = asking(provider="OpenAI", model_name="m", **more)
    key = field(data, "LanguageModelComponent-b", "api_key")
    key |= {"value": secret, "load_from_db": False}
    return data


def grouped(secret: str) -> dict[str, Any]:
    inner = keyed(secret)
    group = {
        "id": "Group-g",
        "type": "genericNode",
        "position": {"x": 0, "y": 0},
        "data": {
            "id": "Group-g",
            "type": "GroupNode",
            "node": {"template": {}, "flow": {"name": "g", "data": inner}},
        },
    }
    return {"nodes": [group], "edges": []}


@pytest.fixture(scope="module")
async def planted(
    join: Any,
    anybody_at: httpx.AsyncClient,
    models: FakeModels,
    root: Person,
    application: Application,
) -> Planted:
    """Somebody who puts secrets everywhere, and looks at everything afterwards."""
    planted, eve = Planted(), await join("eve")
    models.key = "none of these"  # so that every call fails, and says so
    flows = await _plant(eve, planted)
    await _run(eve, planted, flows)
    await _sign_in(eve, planted, anybody_at)
    await canaries_outside.outside(eve, planted, application)
    await _look(eve, planted, flows, anybody_at)
    every = doors(create_app(application), {"paths": {}})
    known = await _ids(eve, flows)
    for person in (eve, root):
        asked = await canaries_outside.everything(person, planted, every, **known)
        assert asked > 50
    await _administer(root, planted, flows, eve.id)
    models.key = None
    return planted


async def _plant(eve: Person, planted: Planted) -> list[str]:
    heard = planted.heard
    for kind in ("Credential", "Generic"):
        one = {"name": kind.upper(), "value": planted[kind.lower()], "type": kind}
        if kind == "Credential":
            heard(await eve.post("/api/v1/variables/", json=one))
        else:  # a generic variable is shown to its owner, and to nobody else
            assert (await eve.post("/api/v1/variables/", json=one)).status_code == 201
    flows = [
        await saved(eve, keyed(planted["literal"])),
        await saved(eve, keyed("CREDENTIAL")),
        await saved(eve, grouped(planted["group"])),
        await saved(eve, keyed({"key": [planted["json"]]})),
    ]
    bound = keyed("CREDENTIAL")
    field(bound, "LanguageModelComponent-b", "api_key")["load_from_db"] = True
    flows.append(await saved(eve, bound))
    heard(
        await eve.patch(
            f"/api/v1/flows/{flows[1]}", json={"data": keyed(planted["edited"])}
        )
    )
    heard(
        await eve.post(
            "/api/v1/flows/batch/",
            json={"flows": [{"name": "b", "data": keyed(planted["batch"])}]},
        )
    )
    file = json.dumps({"name": "i", "data": keyed(planted["imported"])})
    [imported] = heard(
        await eve.post("/api/v1/flows/upload/", files={"file": ("f.json", file)})
    )
    flows.append(imported["id"])
    return flows


@pytest.fixture(scope="module")
async def anybody_at(address: str) -> Any:
    async with httpx.AsyncClient(base_url=address, timeout=20) as client:
        yield client


async def _run(eve: Person, planted: Planted, flows: list[str]) -> None:
    vertex = "LanguageModelComponent-b"
    tweaks = [
        {vertex: {"api_key": planted["tweak"]}},
        {"Language Model": {"api_key": {"value": planted["tweak-object"]}}},
        {"api_key": planted["tweak"]},
        {vertex: {"api_key": {"value": planted["tweak-object"], "password": False}}},
    ]
    asked = {"input_value": "hi", "session": "s"}
    for flow in flows:
        planted.answers.append(json.dumps(await built(eve, flow, inputs=asked)))
        path = f"/api/v1/run/{flow}"
        planted.heard(await eve.post(path, json={"input_value": "hi"}))
        for tweak in tweaks if flow == flows[0] else ():
            body = {"input_value": "hi", "tweaks": tweak}
            planted.heard(await eve.post(path, json=body))
    path = f"/api/v1/run/{flows[0]}?stream=true"
    planted.heard(await eve.post(path, json={"input_value": "x"}))
    unsaved = keyed(planted["unsaved"])
    told = await built(eve, flows[0], data=unsaved, inputs=asked)
    planted.answers.append(json.dumps(told))


async def _sign_in(eve: Person, planted: Planted, client: httpx.AsyncClient) -> None:
    """Use passwords, keys and tokens; what answers give of them is meant to be."""
    name = f"canary-{uuid4().hex}"
    planted.heard(
        await client.post(
            "/api/v1/users/", json={"username": name, "password": planted["password"]}
        )
    )
    form = {"username": name, "password": planted["password"]}
    entered = (await client.post("/api/v1/login", data=form)).json()
    planted.secrets["access"] = entered["access_token"].rpartition(".")[2]
    planted.secrets["refresh"] = entered["refresh_token"].rpartition(".")[2]
    bearing = {"Authorization": f"Bearer {entered['access_token']}"}
    client.cookies.clear()
    me = planted.heard(await client.get("/api/v1/users/whoami", headers=bearing))
    issued = await client.post("/api/v1/api_key/", json={"name": "k"}, headers=bearing)
    key = planted.secrets["api-key"] = issued.json()["api_key"]
    for asked in ({"headers": {"x-api-key": key}}, {"params": {"x-api-key": key}}):
        for path in ("users/whoami", "flows/nothing", "flows/?get_all=perhaps"):
            planted.heard(await client.get(f"/api/v1/{path}", **asked))  # type: ignore[arg-type]  # one keyword or the other
    planted.heard(await client.get("/api/v1/api_key/", headers=bearing))
    wrong = {"username": name, "password": planted["new-password"]}
    planted.heard(await client.post("/api/v1/login", data=wrong))
    planted.heard(
        await client.patch(
            f"/api/v1/users/{me['id']}/reset-password",
            json={"password": planted["new-password"]},
            headers=bearing,
        )
    )


async def _look(
    eve: Person, planted: Planted, flows: list[str], client: httpx.AsyncClient
) -> None:
    for flow in flows:
        await eve.patch(f"/api/v1/flows/{flow}", json={"access_type": "PUBLIC"})
        planted.heard(await client.get(f"/api/v1/flows/public_flow/{flow}"))
        for path in (
            f"flows/{flow}",
            f"monitor/builds?flow_id={flow}",
            f"monitor/transactions?flow_id={flow}",
            f"runs?flow_id={flow}",
        ):
            planted.heard(await eve.get(f"/api/v1/{path}"))
        clash = {"data": keyed(planted["edited"]), "name": "x" * 600}
        planted.heard(await eve.patch(f"/api/v1/flows/{flow}", json=clash))
        broken = {"data": {**keyed(planted["literal"]), "edges": 7}}
        planted.heard(await eve.patch(f"/api/v1/flows/{flow}", json=broken))
    for path in ("flows/", "monitor/messages", "monitor/messages/sessions"):
        planted.heard(await eve.get(f"/api/v1/{path}"))
    planted.heard(await eve.post("/api/v1/flows/download/", json=flows))
    planted.heard(await eve.post("/api/v1/flows/download/", json=flows[:1]))
    project = (await eve.get("/api/v1/projects/")).json()[0]["id"]
    planted.heard(await eve.get(f"/api/v1/projects/download/{project}"))
    planted.heard(await eve.get(f"/api/v1/projects/{project}"))
    for run in (await eve.get("/api/v1/runs?size=100")).json()["items"]:
        planted.heard(await eve.get(f"/api/v1/runs/{run['id']}"))
        planted.heard(await eve.get(f"/api/v1/runs/{run['id']}/events"))
        planted.heard(
            await eve.get(
                f"/api/v1/build/{run['id']}/events?event_delivery=polling&after=0"
            )
        )


async def _ids(eve: Person, flows: list[str]) -> dict[str, str]:
    """Return one of each of Eve's things, under the names that routes have for it."""
    flow = flows[0]
    run = (await eve.get(f"/api/v1/runs?flow_id={flow}")).json()["items"][0]["id"]
    project = (await eve.get("/api/v1/projects/")).json()[0]["id"]
    return {
        "flow_id": flow,
        "flow_id_or_name": flow,
        "stream_id": flow,
        "version": "1",
        "run_id": run,
        "job_id": run,
        "response_id": run,
        "project_id": project,
        "folder_id": project,
        "user_id": eve.id,
        "server_name": "asked",
        "projection": "flows",
    }


async def _administer(
    root: Person, planted: Planted, flows: list[str], user: str
) -> None:
    """Look at every event, and at what they made of her and of her flows."""
    for log in ("core", "runs"):
        after: int | None = 0
        while after is not None:
            asked = {"log": log, "after": after, "limit": 500}
            page = planted.heard(await root.get("/api/v1/admin/events", params=asked))
            after = page["next"]
    for stream in (user, *flows):
        for end in ("", "/state", "/state?version=1"):
            answer = await root.get(f"/api/v1/admin/streams/{stream}{end}")
            assert answer.status_code == 200
            planted.heard(answer)


def leaks(planted: Planted, text: str) -> set[str]:
    return {place for place, secret in planted.secrets.items() if secret in text}


async def test_a53_no_answer_holds_a_secret(planted: Planted) -> None:
    assert len(planted.answers) > 100
    leaked = {
        place: next(a for a in planted.answers if secret in a)[-2000:]
        for place, secret in planted.secrets.items()
        if any(secret in answer for answer in planted.answers)
    }

    assert not leaked


async def test_a53_the_log_holds_no_secret(planted: Planted, said: Said) -> None:
    assert not leaks(planted, said.text)


async def test_a53_no_table_holds_a_secret(
    planted: Planted, application: Application
) -> None:
    found = {}
    async with application.world.database.pool.connection() as connection:
        tables = await connection.execute(
            "SELECT n.nspname, c.relname FROM pg_class c"
            " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE NOT c.relispartition"
            " AND c.relkind IN ('r', 'p', 'm')"
            " AND (n.nspname = 'es' OR n.nspname LIKE 'rm%')"
        )
        names = await tables.fetchall()
        assert len(names) > 20
        for schema, table in names:
            rows = await connection.execute(
                SQL("SELECT * FROM {}.{}").format(Identifier(schema), Identifier(table))
            )
            text = "\n".join(_plain(row) for row in await rows.fetchall())
            if leaked := leaks(planted, text):
                found[f"{schema}.{table}"] = leaked

    assert not found


def _plain(row: tuple[Any, ...]) -> str:
    return " ".join(
        value.decode(errors="replace") if isinstance(value, bytes) else str(value)
        for value in row
    )


async def test_a53_no_file_holds_a_secret(
    planted: Planted, application: Application
) -> None:
    for path in Path(application.world.settings.data_path).rglob("*"):
        if path.is_file():
            text = path.read_bytes().decode(errors="replace")
            assert not leaks(planted, text), path


async def test_a54_a_download_keeps_a_variables_name_and_no_secret(
    mallory: Person,
) -> None:
    data = keyed("MY_KEY")
    field(data, "LanguageModelComponent-b", "api_key")["load_from_db"] = True
    bound, literal = await saved(mallory, data), await saved(mallory, keyed("literal"))

    for flow, kept in ((bound, "MY_KEY"), (literal, "")):
        file = (await mallory.post("/api/v1/flows/download/", json=[flow])).json()
        found = field(file["data"], "LanguageModelComponent-b", "api_key")
        assert found["value"] == kept
        assert found["load_from_db"] == (flow == bound)


async def test_a53_a_reference_to_a_secret_cannot_be_forged(
    mallory: Person, ada: Person, application: Application
) -> None:
    hers = await saved(ada, keyed("adas-own-key"))
    flow = await application.world.flows.get(UUID(hers))
    stored = field(flow.document, "LanguageModelComponent-b", "api_key")["value"]
    assert set(stored) == {"$secret"}
    mine = await saved(mallory, echo())
    forged = keyed(stored)
    plain = echo()
    field(plain, "Prompt Template-b", "template")["value"] = stored
    upload = {"file": ("f.json", json.dumps({"name": "f", "data": forged}))}

    answers = [
        await mallory.post("/api/v1/flows/", json={"name": "f", "data": forged}),
        await mallory.patch(f"/api/v1/flows/{mine}", json={"data": forged}),
        await mallory.post("/api/v1/flows/upload/", files=upload),
        await mallory.post(f"/api/v1/build/{mine}/flow", json={"data": forged}),
        await mallory.post(f"/api/v1/build/{mine}/flow", json={"data": plain}),
        *[
            await mallory.post(f"/api/v1/run/{mine}", json={"tweaks": tweaks})
            for tweaks in (
                {"Prompt Template-b": {"template": stored}},
                {"Prompt Template-b": {"template": {"value": stored}}},
                {"template": stored},
                {"Prompt Template-b": {"template": {"value": [stored]}}},
                {"Prompt Template-b": {"template": {"value": {"x": stored}}}},
            )
        ],
    ]

    for answer in answers:
        assert "adas-own-key" not in answer.text
    assert {answer.status_code for answer in answers[:5]} == {422}
