"""Bodies of the wrong kind, and what is served of the right ones."""

import io
import json
import zipfile

import httpx

from tests.api.conftest import PASSWORD, Person
from tests.attacks.doors import sound, tells_nothing
from tests.attacks.flows import built, echo, saved


async def test_a34_a_body_of_another_kind_is_refused(
    mallory: Person, anybody: httpx.AsyncClient
) -> None:
    form = {"files": {"file": ("f.json", '{"name": "n"}')}}
    answers = [
        await anybody.post(
            "/api/v1/login", json={"username": "root", "password": PASSWORD}
        ),
        await mallory.post("/api/v1/flows/", data={"name": "n"}),
        await mallory.post("/api/v1/flows/", **form),  # type: ignore[arg-type]  # a form
        await mallory.post(
            "/api/v1/flows/upload/", json={"file": {"filepath": "/etc/passwd"}}
        ),
        await mallory.post("/api/v1/flows/upload/", data={"file": "/etc/passwd"}),
        await mallory.post(
            "/api/v1/flows/upload/",
            content=b'{"name": "n"}',
            headers={"Content-Type": "multipart/form-data"},
        ),
        await mallory.post(
            "/api/v1/flows/",
            content="<flow><name>n</name></flow>",
            headers={"Content-Type": "application/xml"},
        ),
        await mallory.post(
            "/api/v1/flows/",
            content=b'{"name": "n"}'.decode().encode("utf-16"),
            headers={"Content-Type": "application/json; charset=utf-16"},
        ),
    ]

    for answer in answers:
        sound(answer)
        assert answer.status_code in {400, 415, 422}


async def test_a34_two_files_are_not_mixed_up(mallory: Person) -> None:
    answer = await mallory.post(
        "/api/v1/flows/upload/",
        files=[("file", ("a", '{"name": "a"}')), ("file", ("b", '{"name": "b"}'))],
    )

    assert answer.status_code in {201, 422}
    if answer.status_code == 201:
        assert len(answer.json()) == 1


async def test_a37_what_people_write_is_never_served_as_a_page(
    mallory: Person, anybody: httpx.AsyncClient
) -> None:
    evil = "<script>alert(1)</script>"
    flow = await saved(mallory, echo(template=evil), name=evil, access_type="PUBLIC")
    await built(mallory, flow, inputs={"input_value": evil})
    answers = [
        await mallory.get(f"/api/v1/flows/{flow}"),
        await anybody.get(f"/api/v1/flows/public_flow/{flow}"),
        await mallory.get("/api/v1/monitor/messages"),
        await mallory.get(f"/api/v1/monitor/builds?flow_id={flow}"),
        await mallory.post("/api/v1/flows/download/", json=[flow]),
        await mallory.get(f"/api/v1/nowhere/{evil}"),
        await mallory.post(f"/api/v1/run/{evil}", json={}),
    ]

    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "text/html" not in answer.headers.get("content-type", "")
        assert "default-src 'none'" in answer.headers["content-security-policy"]


async def test_a37_a_downloads_name_adds_no_header_and_leaves_no_folder(
    mallory: Person,
) -> None:
    for _ in range(2):
        await saved(mallory, echo(), name='../../x"; a\\b')
    project = (await mallory.get("/api/v1/projects/")).json()[0]["id"]
    await mallory.patch(f"/api/v1/projects/{project}", json={"name": 'p"; x=../é'})

    answer = await mallory.get(f"/api/v1/projects/download/{project}")

    said = answer.headers["content-disposition"]
    assert said.startswith("attachment")
    assert '"' not in said
    assert "/" not in said
    for name in zipfile.ZipFile(io.BytesIO(answer.content)).namelist():
        assert not {"/", "\\"} & set(name)
        assert not name.startswith(".")


async def test_a38_a_failed_run_tells_nothing_of_the_inside(
    mallory: Person,
) -> None:
    data = echo(template="{broken")
    flow = await saved(mallory, data)

    told = json.dumps(await built(mallory, flow))
    asked = await mallory.post(f"/api/v1/run/{flow}", json={})
    streamed = await mallory.post(f"/api/v1/run/{flow}?stream=true", json={})
    run = (await mallory.get("/api/v1/runs")).json()["items"][0]["id"]
    events = await mallory.get(f"/api/v1/runs/{run}/events")

    for text in (told, asked.text, streamed.text, events.text):
        assert "broken" in text or "brace" in text
        tells_nothing(text.replace('"traceback"', ""))
