"""Who may call a project's tools: said with the project, and of what nobody checks."""

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from api.composition import Application
from domain.project.project import Project
from tests.api.conftest import Person
from tests.api.mcp_clients import bearing, let_in
from tests.attacks.test_mcp import PING, ping, project

__all__ = ["project"]


@pytest.mark.parametrize("kind", ["oauth", "iam"])
async def test_a50_what_this_server_cannot_check_opens_no_door(
    ada: Person, anybody: httpx.AsyncClient, project: str, kind: str
) -> None:
    await let_in(ada, project, auth_type=kind, oauth_client_secret="x", api_key="k")
    path = f"/project/{project}"
    other = {"Authorization": "Bearer eyJhbGciOiJub25lIn0.e30."}

    for headers in ({}, other, bearing(ada), {"x-api-key": "k"}):
        for prefix in ("/api/v1/mcp", "/api/mcp"):
            url = f"{prefix}{path}"
            for answer in (
                await anybody.post(f"{url}/streamable", json=PING, headers=headers),
                await anybody.get(f"{url}/sse", headers=headers),
                await anybody.post(f"{url}/?session_id={uuid4().hex}", headers=headers),
            ):
                assert answer.status_code == 403
                assert "OAuth and IAM are not served" in answer.json()["detail"]
                assert "apikey, bearer or basic" in answer.json()["detail"]
    assert (await ada.get(f"/api/v1/mcp{path}")).status_code == 200
    await let_in(ada, project)
    assert (await ping(ada, path)).status_code == 200


async def test_access_can_be_said_with_the_project_itself(
    ada: Person, anybody: httpx.AsyncClient, application: Application
) -> None:
    auth = {"auth_type": "apikey", "api_key": "canary-91c", "username": "ali"}
    body = {"name": f"p-{uuid4()}", "auth_settings": auth}
    made = await ada.post("/api/v1/projects/", json=body)
    project = made.json()["id"]
    path, url = f"/project/{project}", f"/api/v1/projects/{project}"

    async def lets_in(secret: str) -> bool:
        answer = await ping(anybody, path, **{"x-api-key": secret})
        assert answer.status_code in {200, 403}
        return answer.status_code == 200

    shown = made.json()["auth_settings"]
    assert (len(shown), shown["api_key"]) == (16, "********")
    assert shown["username"] == "ali"
    assert await lets_in("canary-91c")

    renamed = {"name": f"q-{uuid4()}", "flows": [], "components": []}
    await ada.patch(url, json=renamed)
    assert await lets_in("canary-91c")  # nothing was said of it
    kept = await ada.patch(url, json={"auth_settings": shown | {"username": "eve"}})
    assert kept.json()["auth_settings"]["username"] == "eve"
    assert await lets_in("canary-91c")
    other = {"auth_settings": auth | {"api_key": "canary-92c"}}
    assert (await ada.patch(url, json=renamed | other)).status_code == 200
    assert (await lets_in("canary-91c"), await lets_in("canary-92c")) == (False, True)
    closed = await ada.patch(url, json={"auth_settings": None})
    assert closed.json()["auth_settings"] is None
    assert not await lets_in("canary-92c")
    assert (await ping(ada, path)).status_code == 200

    history = await application.world.store.load(Project, UUID(project))
    assert history.secrets == ()
    for answer in (made, kept, closed, await ada.get(url)):
        assert "canary" not in answer.text


@pytest.mark.parametrize(
    "auth", [{"auth_type": "open"}, {"auth_type": "apikey", "api_key": 7}, [], "none"]
)
async def test_access_that_is_none_is_refused_and_changes_nothing(
    ada: Person, project: str, auth: Any
) -> None:
    url = f"/api/v1/projects/{project}"
    await let_in(ada, project, auth_type="basic", username="ali", password="x")
    before = (await ada.get(url)).json()

    for method, where in (("POST", "/api/v1/projects/"), ("PATCH", url)):
        body = {"name": f"p-{uuid4()}", "auth_settings": auth}
        answer = await ada.request(method, where, json=body)
        assert answer.status_code == 422

    assert (await ada.get(url)).json() == before


async def test_a50_nobody_opens_anothers_project_with_its_settings(
    bob: Person, anybody: httpx.AsyncClient, project: str
) -> None:
    body = {"auth_settings": {"auth_type": "none"}}

    answer = await bob.patch(f"/api/v1/projects/{project}", json=body)

    assert answer.status_code == 404
    assert (await ping(anybody, f"/project/{project}")).status_code == 403
