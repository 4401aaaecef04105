"""The spellings of the seed documents lead to the same things."""

import io
import zipfile
from uuid import uuid4

from tests.api.conftest import Join, Person, drawn


async def test_a_folder_is_downloaded_without_naming_it(join: Join) -> None:
    eve = await join("downloader")
    project = (await eve.post("/api/v1/projects/", json={"name": "Else"})).json()["id"]
    flow = {"name": "There", "folder_id": project, "data": drawn("A-1")}
    await eve.post("/api/v1/flows/", json=flow)

    first = await eve.get("/api/v1/folders/download/")
    named = await eve.get(f"/api/v1/folders/download/?folder_id={project}")
    nobodys = await eve.get(f"/api/v1/folders/download/?folder_id={uuid4()}")

    assert "Starter%20Project_flows.zip" in first.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(named.content)) as archive:
        assert archive.namelist() == ["There.json"]
    assert nobodys.status_code == 404


async def test_a_build_is_started_without_saying_flow(ada: Person) -> None:
    flow = {"name": f"Built {uuid4()}", "data": {"nodes": [], "edges": []}}
    made = (await ada.post("/api/v1/flows/", json=flow)).json()["id"]

    begun = await ada.post(f"/api/v1/build/{made}", json={})

    assert begun.status_code == 200
    events = await ada.get(f"/api/v1/build/{begun.json()['job_id']}/events")
    assert events.status_code == 200


async def test_own_files_have_their_longer_addresses(join: Join) -> None:
    eve = await join("filer")

    sent = await eve.post("/api/v2/files/upload", files={"file": ("a.txt", b"hello")})
    listed = (await eve.get("/api/v2/files/list")).json()

    assert sent.status_code == 201
    assert [one["id"] for one in listed] == [sent.json()["id"]]


async def test_a_projects_tools_are_shown_under_projects(ada: Person) -> None:
    project = (await ada.get("/api/v1/projects/")).json()[0]["id"]

    shown = await ada.get(f"/api/v1/mcp/projects/{project}?mcp_enabled=false")

    assert shown.status_code == 200
    here = await ada.get(f"/api/v1/mcp/project/{project}?mcp_enabled=false")
    assert shown.json() == here.json()


async def test_an_mcp_server_is_named_in_the_body(join: Join) -> None:
    eve = await join("toolmaker")
    config = {"url": "https://mcp.example.org/mcp"}

    made = await eve.post("/api/v2/mcp/servers/", json={"name": "far"} | config)
    unnamed = await eve.post("/api/v2/mcp/servers/", json=config)

    assert (made.status_code, made.json()["url"]) == (200, config["url"])
    assert "name" not in (await eve.get("/api/v2/mcp/servers/far")).json()
    assert unnamed.status_code == 422


async def test_messages_are_removed_by_their_session(join: Join) -> None:
    eve = await join("forgetful")
    flows = (await eve.get("/api/v1/flows/?header_flows=true")).json()
    flow = next(one["id"] for one in flows if one["name"] == "Words in a Template")
    for session in ("stays", "goes"):
        said = {"input_value": "hello", "session_id": session}
        assert (await eve.post(f"/api/v1/run/{flow}", json=said)).status_code == 200

    gone = await eve.delete("/api/v1/monitor/messages?session_id=goes")
    unsaid = await eve.delete("/api/v1/monitor/messages")

    assert gone.status_code == 204
    assert unsaid.status_code == 422
    assert (await eve.get("/api/v1/monitor/messages/sessions")).json() == ["stays"]
