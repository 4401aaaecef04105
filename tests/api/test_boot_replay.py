"""The calls of LangBuilder's front end, replayed: each key it reads is there, typed."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import uuid4

import httpx
import msgspec
import pytest

from api.composition import Application
from tests.api.conftest import PASSWORD, Join
from tests.queries import transport

HERE = "http://127.0.0.1"
AXIOS: Final = {
    "Accept": "application/json, text/plain, */*",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Accept-Language": "en-US,en;q=0.9",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/150.0.0.0",
    "Sec-Fetch-Site": "same-origin",
    "Sec-Fetch-Mode": "cors",
    "Sec-Fetch-Dest": "empty",
    "Referer": f"{HERE}/",
}
"""What a browser sends along with a call of the front end."""

type Shape = Any
"""A type, a tuple of types, a mapping of keys to shapes, or a list of one shape."""

TEXT_OR_NONE: Final = (str, type(None))

USER: Final[Shape] = {
    "id": str,
    "username": str,
    "profile_image": TEXT_OR_NONE,
    "is_active": bool,
    "is_superuser": bool,
    "create_at": str,
    "updated_at": str,
    "last_login_at": TEXT_OR_NONE,
    "optins": {"github_starred": bool, "dialog_dismissed": bool},
}
CONFIG: Final[Shape] = {
    "feature_flags": {"mvp_components": bool, "mcp_composer": bool},
    "serialization_max_items_length": int,
    "serialization_max_text_length": int,
    "frontend_timeout": int,
    "auto_saving": bool,
    "auto_saving_interval": int,
    "health_check_max_retries": int,
    "max_file_size_upload": int,
    "webhook_polling_interval": int,
    "public_flow_cleanup_interval": int,
    "public_flow_expiration": int,
    "event_delivery": str,
}
PROJECT: Final[Shape] = {"id": str, "name": str, "description": TEXT_OR_NONE}
FLOW: Final[Shape] = {
    "id": str,
    "name": str,
    "description": TEXT_OR_NONE,
    "data": {"nodes": list, "edges": list, "viewport": dict},
    "updated_at": str,
    "icon": TEXT_OR_NONE,
    "icon_bg_color": TEXT_OR_NONE,
    "gradient": TEXT_OR_NONE,
    "tags": (list, type(None)),
    "endpoint_name": TEXT_OR_NONE,
    "folder_id": TEXT_OR_NONE,
    "is_component": bool,
    "locked": bool,
    "mcp_enabled": bool,
    "access_type": str,
}
HEAD: Final[Shape] = {
    "id": str,
    "name": str,
    "folder_id": TEXT_OR_NONE,
    "is_component": bool,
    "description": TEXT_OR_NONE,
    "access_type": str,
}
PAGE: Final[Shape] = {"total": int, "page": int, "size": int, "pages": int}
COMPONENT: Final[Shape] = {
    "template": {"_type": str, "code": {"value": str, "type": str, "show": bool}},
    "description": str,
    "icon": str,
    "base_classes": [str],
    "display_name": str,
    "documentation": str,
    "custom_fields": dict,
    "outputs": [
        {
            "types": [str],
            "selected": TEXT_OR_NONE,
            "name": str,
            "display_name": str,
            "method": str,
            "value": str,
            "cache": bool,
            "allows_loop": bool,
            "group_outputs": bool,
            "tool_mode": bool,
        }
    ],
    "field_order": [str],
    "beta": bool,
    "legacy": bool,
    "edited": bool,
    "metadata": {"module": str, "code_hash": str},
    "tool_mode": bool,
}

ALWAYS: Final[dict[str, Shape]] = {
    "/api/v1/users/whoami": USER,
    "/api/v1/store/check/": {"enabled": bool},
    "/api/v1/variables/": list,
    "/api/v1/version": {"version": str, "main_version": str, "package": str},
    "/api/v1/config": CONFIG,
    "/api/v1/store/tags": list,
    "/api/v1/projects/": [PROJECT],
    "/api/v1/flows/basic_examples/": [FLOW],
    "/health_check": {"status": str, "chat": str, "db": str},
    "/api/v1/flows/?get_all=true&header_flows=true": [HEAD],
    "/api/v1/flows/?components_only=true&get_all=true": list,
    "/api/v1/api_key/": {"total_count": int, "user_id": str, "api_keys": list},
    "/api/v1/files/profile_pictures/list": {"files": [str]},
    "/api/v1/monitor/messages": list,
}
"""What is asked for before anybody has clicked, and on the pages of settings."""


def misfits(value: Any, shape: Shape, at: str = "") -> list[str]:
    """Return where *value* is not of *shape*; keys beyond it do not matter."""
    if isinstance(shape, Mapping):
        if not isinstance(value, dict):
            return [f"{at} is no object"]
        missing = [f"{at}.{key} is missing" for key in shape if key not in value]
        deeper = [
            misfits(value[key], inner, f"{at}.{key}")
            for key, inner in shape.items()
            if key in value
        ]
        return missing + [line for lines in deeper for line in lines]
    if isinstance(shape, list):
        if not isinstance(value, list) or not value:
            return [f"{at} is no list with something in it"]
        lines = [misfits(one, shape[0], f"{at}[{n}]") for n, one in enumerate(value)]
        return [line for each in lines for line in each]
    kinds = shape if isinstance(shape, tuple) else (shape,)
    return [] if type(value) in kinds else [f"{at} is a {type(value).__name__}"]


@asynccontextmanager
async def browser(
    application: Application, *, auto_login: bool
) -> AsyncIterator[httpx.AsyncClient]:
    """Give a browser at this machine."""
    world = application.world
    settings = msgspec.structs.replace(world.settings, auto_login=auto_login)
    world = msgspec.structs.replace(world, settings=settings)
    served = msgspec.structs.replace(application, world=world)
    async with httpx.AsyncClient(
        transport=transport(served), base_url=HERE, headers=AXIOS, timeout=30
    ) as client:
        yield client


async def asked(client: httpx.AsyncClient, path: str, shape: Shape) -> Any:
    answer = await client.get(path)
    assert answer.status_code == 200, f"{path}: {answer.text}"
    told = answer.json()
    assert not misfits(told, shape), (path, misfits(told, shape))
    return told


def test_a_shape_tells_what_does_not_fit() -> None:
    assert misfits({"a": 1}, {"a": str, "b": int}) == [
        ".b is missing",
        ".a is a int",
    ]
    assert misfits([{"a": None}], [{"a": TEXT_OR_NONE}]) == []
    assert misfits([], [str])
    assert misfits(True, int)


@pytest.mark.parametrize("auto_login", [True, False])
async def test_it_boots(application: Application, *, auto_login: bool) -> None:
    async with browser(application, auto_login=auto_login) as client:
        unasked = await client.get("/api/v1/auto_login")
        if auto_login:
            entered = unasked
            assert entered.json()["refresh_token"] is None
        else:
            assert unasked.status_code == 400
            assert unasked.json()["detail"]["auto_login"] is False
            entered = await client.post(
                "/api/v1/login", data={"username": "root", "password": PASSWORD}
            )
            assert {"access_token_lf", "refresh_token_lf"} <= set(client.cookies)
        assert entered.status_code == 200, entered.text
        assert entered.json()["token_type"] == "bearer"
        client.headers["Authorization"] = f"Bearer {entered.json()['access_token']}"

        told = {path: await asked(client, path, ALWAYS[path]) for path in ALWAYS}

    assert told["/health_check"] == {"status": "ok", "chat": "ok", "db": "ok"}
    names = [project["name"] for project in told["/api/v1/projects/"]]
    assert names[0] == "Starter Project"


def new_flow(project: dict[str, Any], example: dict[str, Any]) -> dict[str, Any]:
    """Return what is sent when somebody begins with an example."""
    absent = dict.fromkeys(("icon", "gradient", "endpoint_name", "tags"))
    return absent | {
        "name": f"New Flow {uuid4()}",
        "data": example["data"],
        "description": "",
        "is_component": False,
        "folder_id": project["id"],
        "mcp_enabled": True,
    }


async def fitting_catalogue(client: httpx.AsyncClient) -> None:
    catalogue = await asked(client, "/api/v1/all?force_refresh=true", dict)
    for components in catalogue.values():
        for name, component in components.items():
            assert not misfits(component, COMPONENT, name)


async def test_it_opens_saves_and_chats(application: Application, join: Join) -> None:
    eve = await join("replay")
    async with browser(application, auto_login=False) as client:
        client.headers["Authorization"] = f"Bearer {eve.token}"
        [home, *_] = await asked(client, "/api/v1/projects/", [PROJECT])
        page = await asked(
            client,
            f"/api/v1/projects/{home['id']}?id={home['id']}&page=1&size=12"
            "&is_component=false&is_flow=true&search=",
            {"folder": PROJECT, "flows": PAGE | {"items": [FLOW]}},
        )
        example = page["flows"]["items"][0]
        made = await client.post("/api/v1/flows/", json=new_flow(home, example))
        assert made.status_code == 201, made.text
        assert not misfits(made.json(), FLOW)
        flow = made.json()["id"]

        await fitting_catalogue(client)
        await asked(client, f"/api/v1/flows/{flow}", FLOW)
        await asked(
            client,
            f"/api/v1/monitor/builds?flow_id={flow}",
            {"vertex_builds": dict},
        )
        saved = await client.patch(
            f"/api/v1/flows/{flow}",
            json={
                key: made.json()[key]
                for key in ("name", "description", "folder_id", "endpoint_name")
            }
            | {
                "data": example["data"] | {"viewport": {"x": 1, "y": 2, "zoom": 1}},
                "locked": False,
            },
        )
        assert not misfits(saved.json(), FLOW)
        await chatted(client, flow, example["data"])


async def chatted(client: httpx.AsyncClient, flow: str, data: dict[str, Any]) -> None:
    """Do what the playground does when somebody sends a message."""
    session = "Session Nov 21, 20:55:16"
    sessions = f"/api/v1/monitor/messages/sessions?flow_id={flow}"
    assert await asked(client, sessions, list) == []
    started = await client.post(
        f"/api/v1/build/{flow}/flow?log_builds=true&event_delivery=streaming",
        json={
            "data": {"nodes": data["nodes"], "edges": data["edges"]},
            "inputs": {"input_value": "Hi", "session": session},
        },
    )
    assert started.json().keys() == {"job_id"}
    told = await client.get(
        f"/api/v1/build/{started.json()['job_id']}/events",
        headers={"Connection": "close"},
    )
    assert told.headers["content-type"].startswith("application/x-ndjson")
    events = [msgspec.json.decode(line) for line in told.text.split("\n\n") if line]
    kinds = [event["event"] for event in events]
    assert (kinds[0], kinds[-1]) == ("vertices_sorted", "end")
    assert {"add_message", "end_vertex"} <= set(kinds)

    assert await asked(client, sessions, [str]) == [session]
    twice = "Session%2520Nov%252021%252C%252020%253A55%253A16"
    messages = await asked(
        client,
        f"/api/v1/monitor/messages?flow_id={flow}&session_id={twice}",
        [{"id": str, "text": str, "sender": str, "files": str, "properties": dict}],
    )
    assert [message["sender"] for message in messages] == ["User", "Machine"]
    await asked(
        client,
        f"/api/v1/monitor/transactions?flow_id={flow}&page=1&size=20",
        PAGE | {"items": [{"timestamp": str, "vertex_id": str, "inputs": dict}]},
    )
    builds = await asked(
        client, f"/api/v1/monitor/builds?flow_id={flow}", {"vertex_builds": dict}
    )
    assert builds["vertex_builds"]
