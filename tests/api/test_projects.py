"""Projects over HTTP: opened, filled, emptied, packed and deleted."""

import asyncio
import io
import json
import zipfile
from typing import Any
from uuid import uuid4

import httpx

from tests.api.conftest import Join, Person, drawn


async def opened(person: Person, name: str, **more: Any) -> dict[str, Any]:
    answer = await person.post("/api/v1/projects/", json={"name": name} | more)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def flow_in(person: Person, project: str | None, name: str = "") -> str:
    body = {"name": name or str(uuid4()), "folder_id": project, "data": drawn("A-1")}
    answer = await person.post("/api/v1/flows/", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def flows_of(person: Person, project: str) -> set[str]:
    answer = await person.get(f"/api/v1/projects/{project}")
    return {flow["id"] for flow in answer.json()["flows"]}


async def test_a_project_is_opened_with_the_flows_named(bob: Person) -> None:
    flow = await flow_in(bob, None)

    project = await opened(bob, "Filled", flows_list=[flow], description="d")

    assert project.keys() >= {"id", "name", "description", "parent_id"}
    assert await flows_of(bob, project["id"]) == {flow}


async def test_a_taken_project_name_gets_the_next_number(bob: Person) -> None:
    name = f"P {uuid4()}"

    names = [(await opened(bob, name))["name"] for _ in range(3)]

    assert names == [name, f"{name} (1)", f"{name} (2)"]


async def test_the_first_project_is_listed_first(bob: Person) -> None:
    await opened(bob, "Aardvark")

    listed = (await bob.get("/api/v1/projects/")).json()

    assert listed[0]["name"] == "Starter Project"


async def test_flows_that_are_no_longer_listed_go_to_the_first_project(
    bob: Person,
) -> None:
    project = await opened(bob, "Emptied")
    stays = await flow_in(bob, project["id"])
    goes = await flow_in(bob, project["id"])

    answer = await bob.patch(
        f"/api/v1/projects/{project['id']}",
        json={"name": project["name"], "flows": [stays], "components": []},
    )

    assert answer.status_code == 200
    assert await flows_of(bob, project["id"]) == {stays}
    home = (await bob.get("/api/v1/projects/")).json()[0]["id"]
    assert goes in await flows_of(bob, home)


async def test_a_rename_does_nothing_else(bob: Person) -> None:
    project = await opened(bob, "Before")
    flow = await flow_in(bob, project["id"])

    answer = await bob.patch(
        f"/api/v1/projects/{project['id']}",
        json={"name": f"After {uuid4()}", "flows": [], "description": "ignored"},
    )

    assert answer.json()["name"].startswith("After")
    assert answer.json()["description"] is None
    assert await flows_of(bob, project["id"]) == {flow}


async def test_a_page_holds_what_matches(bob: Person) -> None:
    project = (await opened(bob, "Paged"))["id"]
    for n in range(3):
        await flow_in(bob, project, f"needle_{n} {uuid4()}")
    await flow_in(bob, project, f"hay {uuid4()}")

    answer = await bob.get(
        f"/api/v1/projects/{project}?page=1&size=2&search=NEEDLE_&is_flow=true"
    )

    flows = answer.json()["flows"]
    assert answer.json()["folder"]["id"] == project
    assert (flows["total"], flows["pages"], len(flows["items"])) == (3, 2, 2)
    assert flows["items"][0]["name"].startswith("needle_2")


async def test_deleting_a_project_deletes_its_flows(bob: Person) -> None:
    project = (await opened(bob, "Doomed"))["id"]
    flow = await flow_in(bob, project, f"doomed {uuid4()}")

    answer = await bob.delete(f"/api/v1/projects/{project}")

    assert answer.status_code == 204
    assert answer.content == b""
    assert (await bob.get(f"/api/v1/projects/{project}")).status_code == 404
    assert (await bob.get(f"/api/v1/flows/{flow}")).status_code == 404
    assert (await opened(bob, "Doomed"))["name"] == "Doomed"  # the name is free again


async def test_a_project_is_packed_and_unpacked(bob: Person) -> None:
    project = (await opened(bob, "Pack / ü"))["id"]
    await flow_in(bob, project, "../evil")
    await flow_in(bob, project, "fine")

    packed = await bob.get(f"/api/v1/projects/download/{project}")

    assert packed.headers["content-type"] == "application/x-zip-compressed"
    assert "filename*=UTF-8''" in packed.headers["content-disposition"]
    archive = zipfile.ZipFile(io.BytesIO(packed.content))
    assert not [name for name in archive.namelist() if "/" in name or ".." in name]
    flows = [json.loads(archive.read(name)) for name in archive.namelist()]
    assert {flow["name"] for flow in flows} >= {"fine"}
    file = json.dumps({"folder_name": "Unpacked", "flows": flows}).encode()
    answer = await bob.post(
        "/api/v1/projects/upload/", files={"file": ("p.json", file)}
    )
    assert answer.status_code == 201, answer.text
    assert [flow["data"] for flow in answer.json()] == [drawn("A-1")] * 2
    assert len({flow["folder_id"] for flow in answer.json()}) == 1


async def test_an_empty_project_cannot_be_packed(bob: Person) -> None:
    project = (await opened(bob, "Empty"))["id"]

    answer = await bob.get(f"/api/v1/projects/download/{project}")

    assert answer.status_code == 404
    assert answer.json() == {"detail": "404: No flows found in project"}


async def test_a_file_without_flows_is_no_project(bob: Person) -> None:
    answers: list[httpx.Response] = [
        await bob.post("/api/v1/projects/upload/", files={"file": ("p.json", content)})
        for content in (b"{}", b'{"folder_name": "x"}')
    ]

    assert [a.status_code for a in answers] == [400, 400]
    assert answers[0].json() == {"detail": "No flows found in the file"}
    assert answers[1].json() == {"detail": "No flows found in the data"}


async def parent_of(person: Person, project: str) -> str | None:
    listed = (await person.get("/api/v1/projects/")).json()
    parents: dict[str, str | None] = {one["id"]: one["parent_id"] for one in listed}
    return parents[project]


async def move(person: Person, project: str, parent: str | None) -> httpx.Response:
    return await person.patch(f"/api/v1/projects/{project}", json={"parent_id": parent})


async def test_projects_lie_in_one_another_and_move(join: Join) -> None:
    eve = await join("eve")
    outer = (await opened(eve, "Outer"))["id"]
    inner = await opened(eve, "Inner", parent_id=outer)
    flow = await flow_in(eve, inner["id"])
    assert inner["parent_id"] == outer

    out = await move(eve, inner["id"], None)

    assert (out.status_code, out.json()["parent_id"]) == (200, None)
    assert await parent_of(eve, inner["id"]) is None
    back = await move(eve, inner["id"], outer)
    assert back.json()["parent_id"] == outer
    # Nothing was said of its flows, so they stayed.
    assert await flows_of(eve, inner["id"]) == {flow}


async def test_a_project_lies_neither_in_itself_nor_in_what_lies_in_it(
    join: Join,
) -> None:
    eve = await join("eve")
    outer = (await opened(eve, "Outer"))["id"]
    middle = (await opened(eve, "Middle", parent_id=outer))["id"]
    inner = (await opened(eve, "Inner", parent_id=middle))["id"]

    for inside in (outer, middle, inner):
        answer = await move(eve, outer, inside)
        assert answer.status_code == 400
        assert answer.json()["detail"].startswith("A project cannot lie in itself")
    assert await parent_of(eve, outer) is None


async def test_two_projects_that_move_into_each_other_at_once_make_no_circle(
    join: Join,
) -> None:
    eve = await join("eve")
    one = (await opened(eve, "One"))["id"]
    two = (await opened(eve, "Two"))["id"]
    for _ in range(5):
        answers = await asyncio.gather(move(eve, one, two), move(eve, two, one))

        assert sorted(a.status_code for a in answers) == [200, 400]
        parents = {await parent_of(eve, one), await parent_of(eve, two)}
        assert parents in ({None, one}, {None, two})
        await move(eve, one, None)
        await move(eve, two, None)


async def test_projects_lie_eight_deep_and_no_deeper(join: Join) -> None:
    eve = await join("eve")
    here: str | None = None
    for n in range(8):
        here = (await opened(eve, f"Level {n}", parent_id=here))["id"]

    deeper = await eve.post(
        "/api/v1/projects/", json={"name": "Level 8", "parent_id": here}
    )

    assert deeper.status_code == 400
    assert deeper.json() == {"detail": "Projects can lie eight deep in one another"}
    pair = (await opened(eve, "Pair"))["id"]
    await opened(eve, "Half", parent_id=pair)
    assert (await move(eve, pair, here)).status_code == 400


async def test_anothers_project_is_no_place_to_lie_in(join: Join, bob: Person) -> None:
    eve = await join("eve")
    theirs = (await opened(bob, "Theirs"))["id"]
    mine = (await opened(eve, "Mine"))["id"]

    for parent in (theirs, str(uuid4())):
        moved = await move(eve, mine, parent)
        made = await eve.post(
            "/api/v1/projects/", json={"name": "X", "parent_id": parent}
        )
        assert [moved.status_code, made.status_code] == [404, 404]
        assert moved.json() == {"detail": "Project not found"}


async def test_what_lay_in_a_deleted_project_moves_up(join: Join) -> None:
    eve = await join("eve")
    outer = (await opened(eve, "Outer"))["id"]
    middle = (await opened(eve, "Middle", parent_id=outer))["id"]
    inner = (await opened(eve, "Inner", parent_id=middle))["id"]
    flow = await flow_in(eve, inner)

    assert (await eve.delete(f"/api/v1/projects/{middle}")).status_code == 204

    assert await parent_of(eve, inner) == outer
    assert await flows_of(eve, inner) == {flow}
    assert (await eve.delete(f"/api/v1/folders/{outer}")).status_code == 204
    assert await parent_of(eve, inner) is None


async def test_a_description_is_changed_without_emptying_the_project(
    bob: Person,
) -> None:
    project = (await opened(bob, "Described"))["id"]
    flow = await flow_in(bob, project)

    answer = await bob.patch(
        f"/api/v1/projects/{project}", json={"description": "For air"}
    )

    assert answer.json()["description"] == "For air"
    assert await flows_of(bob, project) == {flow}


async def test_a_taken_name_is_refused_to_who_renames(bob: Person) -> None:
    await opened(bob, "Taken already")
    project = (await opened(bob, "Free"))["id"]

    answer = await bob.patch(
        f"/api/v1/projects/{project}", json={"name": "Taken already"}
    )

    assert answer.status_code == 400
    assert answer.json() == {"detail": "Another of your projects has this name"}
