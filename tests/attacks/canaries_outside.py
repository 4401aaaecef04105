"""Secrets for what lies outside: MCP, voices, the store, sites, webhooks, addresses."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import httpx
from msgspec.structs import replace

from api.composition import Application
from api.security import KEY
from infrastructure.mcp_clients import LocalMcpClients
from infrastructure.voice.mouths import ElevenLabs, OpenAiSpeech
from infrastructure.voice.realtime import OpenAiRealtime
from tests.api.conftest import PATIENCE, Person, serving
from tests.api.mcp_clients import project_of, tool_in
from tests.api.talking import bearing, talking
from tests.api.test_mcp_install import installing
from tests.attacks.doors import Door
from tests.attacks.flows import echo, saved
from tests.fake_realtime import FakeRealtime
from tests.fake_speech import FakeSpeech

PLACES = (
    *("mcp-env", "mcp-header", "mcp-url", "mcp-new", "mcp-key", "mcp-basic"),
    *("mcp-bearer", "mcp-oauth", "mcp-guess", "realtime", "eleven", "store"),
    *("site", "site-key", "in-address", "in-socket"),
)
ENDLESS = ("/sse", "/logs-stream")
"""How paths end whose answers do not."""
PLAIN = "/api/v1/variables"
"""Where their owner sees the values that are no secrets."""


class Heard(Protocol):
    """Who keeps secrets, and what was answered."""

    secrets: dict[str, str]
    answers: list[str]

    def __getitem__(self, place: str) -> str: ...

    def heard(self, answer: httpx.Response) -> Any: ...


async def outside(eve: Person, planted: Heard, application: Application) -> None:
    """Have *eve* give away every secret that something outside asks for."""
    flow = await saved(eve, echo())
    await _servers(eve, planted)
    await _projects(eve, planted)
    await _sites(eve, planted, flow)
    await _signed(eve, planted, flow)
    await _addresses(eve, planted, flow)
    with TemporaryDirectory() as folder:
        home = Path(folder)
        async with _furnished(eve, application, home) as person:
            await _installed(person, planted, home)
            await _spoken(person, planted, flow)


async def everything(
    person: Person, planted: Heard, doors: list[Door], **known: str
) -> int:
    """Ask every door that asks for no id or for *known* ones; return how many."""
    asked = 0
    for door in doors:
        if door.method != "get" or door.path.endswith(ENDLESS) or door.path == PLAIN:
            continue
        if all(name in known for name in door.names):
            path = door.to(*(known[name] for name in door.names))
            planted.heard(await person.get(path))
            asked += 1
    return asked


async def _servers(eve: Person, planted: Heard) -> None:
    servers = "/api/v2/mcp/servers"
    url = f"http://u:{planted['mcp-url']}@127.0.0.1:9/mcp"
    for name, config in (
        ("started", {"command": "npx", "args": [], "env": {"T": planted["mcp-env"]}}),
        ("asked", {"url": url, "headers": {"Authorization": planted["mcp-header"]}}),
        ("broken", {"url": 7, "headers": {"Authorization": planted["mcp-header"]}}),
    ):
        planted.heard(await eve.post(f"{servers}/{name}", json=config))
        planted.heard(await eve.get(f"{servers}/{name}"))
    change = {"headers": {"Authorization": planted["mcp-new"]}}
    planted.heard(await eve.patch(f"{servers}/asked", json={"url": url} | change))
    planted.heard(await eve.get(f"{servers}?action_count=true"))


async def _projects(eve: Person, planted: Heard) -> None:
    for auth in (
        {"auth_type": "apikey", "api_key": planted["mcp-key"]},
        {"auth_type": "basic", "username": "u", "password": planted["mcp-basic"]},
        {"auth_type": "bearer", "bearer_token": planted["mcp-bearer"]},
        {"auth_type": "oauth", "oauth_client_secret": planted["mcp-oauth"]},
    ):
        project = await project_of(eve)
        await tool_in(eve, project)
        url = f"/api/v1/mcp/project/{project}"
        body = {"settings": [], "auth_settings": auth}
        planted.heard(await eve.patch(url, json=body))
        planted.heard(await eve.patch(url, json=body | {"settings": 7}))
        for path in (url, f"/api/v1/projects/{project}", f"{url}/installed"):
            planted.heard(await eve.get(path))
        planted.heard(await eve.get(f"/api/v1/projects/download/{project}"))
        if auth["auth_type"] == "bearer":
            await _guess(eve, planted, f"{url}/streamable")


async def _guess(eve: Person, planted: Heard, url: str) -> None:
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    key = {KEY: planted["mcp-guess"]}
    async with httpx.AsyncClient(base_url=eve.base_url, timeout=PATIENCE) as nobody:
        planted.heard(await nobody.post(url, json=ping, params=key))


async def _sites(eve: Person, planted: Heard, flow: str) -> None:
    site = {
        "flow_id": flow,
        "openwebui_url": "http://127.0.0.1:9",
        "openwebui_api_key": planted["site"],
        "langbuilder_api_key": planted["site-key"],
    }
    url = "/api/v1/publish/openwebui"
    for method in ("POST", "DELETE"):
        planted.heard(await eve.request(method, url, json=site))
        broken = site | {"openwebui_url": f"http://u:{planted['site']}@[::"}
        planted.heard(await eve.request(method, url, json=broken))
    key = {"api_key": planted["store"]}
    planted.heard(await eve.post("/api/v1/api_key/store", json=key))
    for path in ("store/check/api_key", "store/components/", "store/users/likes"):
        planted.heard(await eve.get(f"/api/v1/{path}"))


async def _signed(eve: Person, planted: Heard, flow: str) -> None:
    url, settings = f"/api/v1/webhook/{flow}", f"/api/v1/flows/{flow}/webhook"
    issued = await eve.post(f"{settings}/secret")
    planted.secrets["webhook"] = issued.json()["secret"].removeprefix("whsec_")
    wrong = {"webhook-id": "1", "webhook-timestamp": "1", "webhook-signature": "v1,x"}
    planted.heard(await eve.post(url, json={}, headers=wrong))
    for path in (settings, f"/api/v1/flows/{flow}"):
        planted.heard(await eve.get(path))
    planted.heard(await eve.post("/api/v1/flows/download/", json=[flow]))


async def _addresses(eve: Person, planted: Heard, flow: str) -> None:
    key = {KEY: planted["in-address"]}
    nothing = {"Authorization": ""}
    for path in ("flows/", "runs", f"build/{flow}/events", "mcp/sse", "nowhere"):
        planted.heard(await eve.get(f"/api/v1/{path}", params=key, headers=nothing))
    for asked in (f"x-api-key={planted['in-socket']}", f"token={planted['in-socket']}"):
        path = f"/api/v1/chat/{flow}?{asked}"
        async with talking(str(eve.base_url).rstrip("/"), path) as talk:
            planted.answers.append(str(await talk.closed()))


@asynccontextmanager
async def _furnished(
    eve: Person, application: Application, home: Path
) -> AsyncIterator[Person]:
    """Lend *eve* where clients can be installed, and voices speak."""
    model, speech = FakeRealtime(), FakeSpeech("another key")
    same = installing(application, LocalMcpClients(home, platform="linux"))
    async with model.serving(), speech.serving():
        voices = replace(
            same.world.voices,
            realtime=OpenAiRealtime(model.url, model="talker"),
            mouth=OpenAiSpeech(f"{speech.url}/v1", model="mouth"),
            choir=ElevenLabs(speech.url, model="eleven"),
        )
        furnished = replace(same, world=replace(same.world, voices=voices))
        async with (
            serving(furnished) as address,
            Person(base_url=address, timeout=PATIENCE, headers=eve.headers) as person,
        ):
            person.token = eve.token
            yield person


async def _installed(person: Person, planted: Heard, home: Path) -> None:
    path = LocalMcpClients(home, platform="linux").path("cursor")
    path.parent.mkdir(parents=True)
    url = f"/api/v1/mcp/project/{await project_of(person)}"
    planted.heard(await person.post(f"{url}/install", json={"client": "cursor"}))
    planted.heard(await person.get(f"{url}/installed"))
    [server] = json.loads(path.read_text())["mcpServers"].values()
    planted.secrets["mcp-client"] = next(a for a in server["args"] if "sk-" in a)


async def _spoken(person: Person, planted: Heard, flow: str) -> None:
    for name, place in (("OPENAI", "realtime"), ("ELEVENLABS", "eleven")):
        one = {"name": f"{name}_API_KEY", "value": planted[place], "type": "Credential"}
        planted.heard(await person.post("/api/v1/variables/", json=one))
    planted.heard(await person.get("/api/v1/voice/elevenlabs/voice_ids"))
    for kind in ("flow_tts", "flow_as_tool"):
        path = f"/api/v1/voice/ws/{kind}/{flow}"
        address = str(person.base_url).rstrip("/")
        async with talking(address, path, headers=bearing(person)) as talk:
            planted.answers.append(json.dumps(await talk.hear()))
            planted.answers.append(str(await talk.closed()))
