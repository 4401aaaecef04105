"""Flows over HTTP: created, edited together, uploaded, downloaded, deleted."""

import asyncio
import io
import json
import re
import zipfile
from typing import Any
from uuid import UUID, uuid4

import httpx

from api.composition import Application
from domain.flow.secrets import refs
from domain.kernel import Json
from tests.api.conftest import Join, Person, drawn


async def created(person: Person, **fields: Any) -> dict[str, Json]:
    answer = await person.post(
        "/api/v1/flows/", json={"name": f"flow {uuid4()}"} | fields
    )
    assert answer.status_code == 201, answer.text
    flow: dict[str, Json] = answer.json()
    return flow


async def test_a_taken_name_gets_the_next_number(join: Join) -> None:
    eve = await join("eve")
    names = [(await created(eve, name="Untitled"))["name"] for _ in range(3)]
    odd = await created(eve, name="Untitled (2)")

    assert names == ["Untitled", "Untitled (1)", "Untitled (2)"]
    assert odd["name"] == "Untitled (2) (1)"


async def test_names_stay_unique_when_many_are_created_at_once(ada: Person) -> None:
    made = await asyncio.gather(*(created(ada, name="Crowd") for _ in range(6)))

    assert len({flow["name"] for flow in made}) == 6


async def test_a_taken_endpoint_gets_the_next_number(ada: Person) -> None:
    endpoint = f"ask-{uuid4().hex[:6]}"
    first = await created(ada, endpoint_name=endpoint)
    second = await created(ada, endpoint_name=endpoint)

    assert first["endpoint_name"] == endpoint
    assert second["endpoint_name"] == f"{endpoint}-1"


async def test_a_save_cannot_take_another_flows_name(ada: Person) -> None:
    one, other = await created(ada), await created(ada)

    answer = await ada.patch(f"/api/v1/flows/{other['id']}", json={"name": one["name"]})

    assert answer.status_code == 400
    assert answer.json() == {"detail": "Name must be unique"}


async def test_leaving_the_endpoint_out_of_a_save_clears_it(ada: Person) -> None:
    flow = await created(ada, endpoint_name=f"gone-{uuid4().hex[:6]}")

    saved = await ada.patch(f"/api/v1/flows/{flow['id']}", json={"description": "x"})

    assert saved.json()["endpoint_name"] is None


async def test_an_unknown_project_counts_as_none_when_creating(ada: Person) -> None:
    home = (await ada.get("/api/v1/projects/")).json()[0]["id"]

    flow = await created(ada, folder_id=str(uuid4()))

    assert flow["folder_id"] == home


async def test_an_unknown_project_moves_nothing_when_saving(ada: Person) -> None:
    flow = await created(ada)

    answer = await ada.patch(
        f"/api/v1/flows/{flow['id']}", json={"folder_id": str(uuid4()), "name": "New"}
    )

    assert answer.status_code == 200
    assert answer.json()["folder_id"] == flow["folder_id"]
    assert answer.json()["name"].startswith("New")


async def test_edits_of_different_vertices_merge(ada: Person) -> None:
    flow = await created(ada, data=drawn("A-1", "B-2"))
    path = f"/api/v1/flows/{flow['id']}"
    etag = (await ada.get(path)).headers["etag"]
    mine, theirs = drawn("A-1", "B-2"), drawn("A-1", "B-2")
    mine["nodes"][0]["data"]["node"]["description"] = "mine"
    theirs["nodes"][1]["data"]["node"]["description"] = "theirs"

    first = await ada.patch(path, json={"data": mine}, headers={"If-Match": etag})
    second = await ada.patch(path, json={"data": theirs}, headers={"If-Match": etag})

    assert first.status_code == second.status_code == 200
    nodes = (await ada.get(path)).json()["data"]["nodes"]
    assert [n["data"]["node"]["description"] for n in nodes] == ["mine", "theirs"]


async def test_of_two_edits_of_one_field_the_later_is_refused_with_both_values(
    ada: Person,
) -> None:
    flow = await created(ada, data=drawn("A-1"))
    path = f"/api/v1/flows/{flow['id']}"
    etag = (await ada.get(path)).headers["etag"]
    mine, theirs = drawn("A-1"), drawn("A-1")
    mine["nodes"][0]["data"]["type"] = "mine"
    theirs["nodes"][0]["data"]["type"] = "theirs"

    first = await ada.patch(path, json={"data": mine}, headers={"If-Match": etag})
    second = await ada.patch(path, json={"data": theirs}, headers={"If-Match": etag})

    assert first.status_code == 200
    assert second.status_code == 409
    detail = second.json()["detail"]
    assert detail["version"] == int(first.headers["etag"].strip('"'))
    assert [(c["yours"], c["theirs"]) for c in detail["conflicts"]] == [
        ("theirs", "mine")
    ]


async def test_the_base_of_a_save_is_what_this_client_was_last_given(
    application: Application, ada: Person
) -> None:
    flow = await created(ada, data=drawn("A-1", "B-2"))
    path = f"/api/v1/flows/{flow['id']}"
    key = (await ada.post("/api/v1/api_key/", json={"name": "k"})).json()["api_key"]
    async with httpx.AsyncClient(base_url=ada.base_url) as other:
        other.headers["x-api-key"] = key
        seen = (await other.get(path)).json()["data"]
        mine = drawn("A-1", "B-2")
        mine["nodes"][0]["data"]["node"]["description"] = "by token"
        assert (await ada.patch(path, json={"data": mine})).status_code == 200
        seen["nodes"][1]["data"]["node"]["description"] = "by key"
        assert (await other.patch(path, json={"data": seen})).status_code == 200

    nodes = (await ada.get(path)).json()["data"]["nodes"]
    assert [n["data"]["node"]["description"] for n in nodes] == ["by token", "by key"]


async def test_a_save_that_changes_nothing_appends_nothing(ada: Person) -> None:
    flow = await created(ada, data=drawn("A-1"))
    path = f"/api/v1/flows/{flow['id']}"

    again = await ada.patch(path, json={"name": flow["name"], "data": flow["data"]})

    assert again.status_code == 200
    assert again.headers["etag"] == '"1"'
    assert "x-position" not in again.headers


async def test_canvas_state_comes_back_and_is_no_event(ada: Person) -> None:
    flow = await created(ada, data=drawn("A-1"))
    path = f"/api/v1/flows/{flow['id']}"
    looked = drawn("A-1", viewport={"x": 3, "y": 4, "zoom": 2})
    looked["nodes"][0] |= {"selected": True, "measured": {"width": 320}}

    saved = await ada.patch(path, json={"data": looked})

    assert saved.headers["etag"] == '"1"'
    assert (await ada.get(path)).json()["data"] == looked


async def test_a_literal_key_is_stored_apart_and_shown_as_a_placeholder(
    application: Application, ada: Person
) -> None:
    canary = f"canary-{uuid4()}"
    data = drawn("Model-1")
    data["nodes"][0]["data"]["node"]["template"]["api_key"] = {
        "type": "str",
        "password": True,
        "load_from_db": False,
        "value": canary,
    }
    flow = await created(ada, data=data)
    path = f"/api/v1/flows/{flow['id']}"

    shown = (await ada.get(path)).json()["data"]
    field = shown["nodes"][0]["data"]["node"]["template"]["api_key"]
    assert field["value"] == "********"
    saved = await ada.patch(path, json={"data": shown})
    assert saved.headers["etag"] == '"1"'  # the placeholder changed nothing
    exported = await ada.post("/api/v1/flows/download/", json=[flow["id"]])
    node = exported.json()["data"]["nodes"][0]["data"]["node"]
    assert node["template"]["api_key"]["value"] == ""
    events = await application.world.store.read_log("core", limit=10_000)
    assert canary not in repr(events)
    stored = await application.world.flows.get(UUID(flow["id"]))
    [ref] = refs(stored.document)
    assert await application.world.vault.open([ref]) == {ref: canary}

    await ada.delete(path)

    assert await application.world.vault.open([ref]) == {}


async def test_edits_at_the_same_moment_all_go_in(ada: Person) -> None:
    names = [f"V-{n}" for n in range(6)]
    flow = await created(ada, data=drawn(*names))
    path = f"/api/v1/flows/{flow['id']}"

    def edited(n: int) -> Any:
        data = drawn(*names)
        data["nodes"][n]["data"]["node"]["description"] = f"by {n}"
        return data

    answers = await asyncio.gather(
        *(
            ada.patch(path, json={"data": edited(n)}, headers={"If-Match": '"1"'})
            for n in range(6)
        )
    )

    won = {n for n, answer in enumerate(answers) if answer.status_code == 200}
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert won
    nodes = (await ada.get(path)).json()["data"]["nodes"]
    described = {n for n, v in enumerate(nodes) if "description" in v["data"]["node"]}
    assert described == won


async def test_a_stale_save_does_not_bring_an_old_name_back(ada: Person) -> None:
    flow = await created(ada, data=drawn("A-1"))
    path = f"/api/v1/flows/{flow['id']}"
    name = f"renamed {uuid4()}"
    assert (await ada.patch(path, json={"name": name})).status_code == 200

    saved = await ada.patch(
        path,
        json={"name": flow["name"], "data": drawn("A-1", "B-2")},
        headers={"If-Match": '"1"'},
    )

    assert saved.json()["name"] == name
    assert len(saved.json()["data"]["nodes"]) == 2


async def test_flows_are_deleted_together(ada: Person) -> None:
    ids = [(await created(ada))["id"] for _ in range(3)]

    answer = await ada.request(
        "DELETE", "/api/v1/flows/", json=[*ids, ids[0], str(uuid4())]
    )

    assert answer.json() == {"deleted": 3}
    assert (await ada.get(f"/api/v1/flows/{ids[0]}")).status_code == 404
    again = await ada.delete(f"/api/v1/flows/{ids[0]}")
    assert again.status_code == 404
    assert again.json() == {"detail": "Flow not found"}


async def test_several_flows_are_downloaded_in_one_file(ada: Person) -> None:
    flows = [await created(ada, data=drawn(f"A-{n}")) for n in range(2)]

    answer = await ada.post("/api/v1/flows/download/", json=[f["id"] for f in flows])

    assert answer.headers["content-type"] == "application/x-zip-compressed"
    assert re.fullmatch(
        r"attachment; filename=\d{8}_\d{6}_langbuilder_flows\.zip",
        answer.headers["content-disposition"],
    )
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    packed = [json.loads(archive.read(name)) for name in archive.namelist()]
    assert [one["data"] for one in packed] == [one["data"] for one in flows]
    none = await ada.post("/api/v1/flows/download/", json=[str(uuid4())])
    assert none.status_code == 404
    assert none.json() == {"detail": "No flows found."}


async def test_a_batch_is_created_together(ada: Person) -> None:
    names = [f"batch {uuid4()}" for _ in range(2)]

    answer = await ada.post(
        "/api/v1/flows/batch/", json={"flows": [{"name": name} for name in names]}
    )

    assert answer.status_code == 201
    assert [flow["name"] for flow in answer.json()] == names


async def test_a_file_may_hold_many_flows(ada: Person) -> None:
    names = [f"filed {uuid4()}" for _ in range(2)]
    flows = [{"name": name, "data": drawn("A-1"), "id": str(uuid4())} for name in names]
    content = json.dumps({"flows": flows}).encode()

    answer = await ada.post(
        "/api/v1/flows/upload/", files={"file": ("f.json", content)}
    )

    assert answer.status_code == 201
    assert [flow["name"] for flow in answer.json()] == names
    assert not {flow["id"] for flow in answer.json()} & {flow["id"] for flow in flows}


async def test_a_page_of_flows_has_the_shape_of_pages(ada: Person) -> None:
    answer = await ada.get("/api/v1/flows/?get_all=false&page=1&size=2")

    page = answer.json()
    assert page.keys() == {"items", "total", "page", "size", "pages"}
    assert len(page["items"]) == 2
    assert page["pages"] == -(-page["total"] // 2)


async def test_a_command_says_its_position_and_a_query_waits_for_it(
    ada: Person,
) -> None:
    made = await ada.post("/api/v1/flows/", json={"name": "placed"})
    position = made.headers["x-position"]

    found = await ada.get(
        f"/api/v1/flows/{made.json()['id']}", headers={"X-Min-Position": position}
    )
    future = await ada.get(
        "/api/v1/version", headers={"X-Min-Position": "core=999999999"}
    )
    wrong = await ada.get("/api/v1/version", headers={"X-Min-Position": "soon"})

    assert position.startswith("core=")
    assert found.status_code == 200
    assert "x-stale" not in found.headers
    assert future.headers["x-stale"] == "true"
    assert wrong.status_code == 422


async def test_a_one_field_edit_of_a_large_flow_appends_at_most_a_kilobyte(
    application: Application, ada: Person
) -> None:
    data = drawn(*(f"V-{n}" for n in range(20)))
    for node in data["nodes"]:
        node["data"]["node"]["documentation"] = "d" * 3_000
    flow = await created(ada, data=data)
    data["nodes"][7]["data"]["node"]["documentation"] = "d" * 1_500 + "!" + "d" * 1_499

    await ada.patch(f"/api/v1/flows/{flow['id']}", json={"data": data})

    async with application.world.database.pool.connection() as connection:
        row = await connection.execute(
            "SELECT length(state) + length(metadata) FROM es.core_events"
            " WHERE originator_id = %s AND originator_version = 2",
            [flow["id"]],
        )
        [size] = await row.fetchone() or [0]
    assert 0 < size <= 1_024
