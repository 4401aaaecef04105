"""The rules by which flows are created, listed, saved and filed."""

import io
import json
import zipfile
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.api.conftest import Join, Person, drawn, timeless
from tests.api.test_flows import created

KEYS = [
    *("name", "description", "icon", "icon_bg_color", "gradient", "data"),
    *("is_component", "updated_at", "webhook", "endpoint_name", "tags", "locked"),
    *("mcp_enabled", "action_name", "action_description", "access_type"),
    *("id", "user_id", "folder_id"),
]
HEAD_KEYS = [
    *("id", "name", "folder_id", "is_component", "endpoint_name", "description"),
    *("data", "access_type", "tags", "mcp_enabled", "action_name"),
    "action_description",
]


async def test_a_flow_has_its_keys_in_their_order(ada: Person) -> None:
    flow = await created(ada, data={})

    assert list(flow) == KEYS
    assert flow["user_id"] == ada.id
    assert flow["data"] == {}
    assert flow["access_type"] == "PRIVATE"
    assert flow["updated_at"].endswith("+00:00")
    assert "." not in flow["updated_at"]


@pytest.mark.parametrize(
    ("named", "icon"),
    [
        (":rocket:", "🚀"),
        (":thumbs_up:", "👍"),
        ("🚀", "🚀"),
        ("rocket", "rocket"),
        ("BotMessageSquare", "BotMessageSquare"),
        (None, None),
    ],
)
async def test_an_icon_may_be_named(
    ada: Person, named: str | None, icon: str | None
) -> None:
    assert (await created(ada, icon=named))["icon"] == icon


async def test_an_icon_in_a_file_may_be_named_too(ada: Person) -> None:
    [flow] = await uploaded(ada, {"name": "Iconic", "icon": ":fire:"})

    assert flow["icon"] == "🔥"


@pytest.mark.parametrize(
    "wrong",
    [
        {"icon": ":no_such_emoji:"},
        {"icon_bg_color": "red"},
        {"icon_bg_color": "#fff"},
        {"endpoint_name": "with space"},
        {"data": {"nodes": []}},
        {"data": {"edges": []}},
        {"data": []},
        {"access_type": "SECRET"},
        {"name": None},
        {"name": ""},
    ],
    ids=str,
)
async def test_a_flow_that_is_none_is_refused(
    ada: Person, wrong: dict[str, Any]
) -> None:
    answer = await ada.post("/api/v1/flows/", json={"name": f"x {uuid4()}"} | wrong)

    assert answer.status_code in {400, 422}, answer.text
    assert answer.json()["detail"]


async def test_a_colour_of_six_signs_is_kept(ada: Person) -> None:
    flow = await created(ada, icon_bg_color="#ff00ff", gradient="3", tags=["a", "b"])

    assert (flow["icon_bg_color"], flow["gradient"]) == ("#ff00ff", "3")
    assert flow["tags"] == ["a", "b"]


async def test_nobody_says_whose_a_flow_is_nor_its_id_nor_a_file(
    ada: Person, bob: Person
) -> None:
    known = await created(bob, name=f"Bob's {uuid4()}")

    flow = await created(
        ada, user_id=bob.id, id=known["id"], fs_path="/etc/flow", updated_at="2020"
    )
    patched = await ada.patch(
        f"/api/v1/flows/{flow['id']}",
        json={"user_id": bob.id, "id": known["id"], "fs_path": "/etc/flow"},
    )

    assert patched.status_code == 200
    for told in (flow, patched.json()):
        assert told["user_id"] == ada.id
        assert told["id"] not in {known["id"], bob.id}
        assert "fs_path" not in told
    his_still = (await bob.get(f"/api/v1/flows/{known['id']}")).json()
    assert timeless(his_still) == timeless(known)
    assert his_still["updated_at"] <= known["updated_at"]


async def test_an_import_overwrites_nobodys_flow(ada: Person, bob: Person) -> None:
    known = await created(bob, name=f"Bob's {uuid4()}", data=drawn("ChatInput-a"))

    [mine] = await uploaded(ada, {**known, "name": "Taken over", "data": {}})
    [his] = await uploaded(bob, {**known, "name": "Once more", "data": {}})

    assert known["id"] not in {mine["id"], his["id"]}
    his_still = (await bob.get(f"/api/v1/flows/{known['id']}")).json()
    assert timeless(his_still) == timeless(known)
    assert his_still["updated_at"] <= known["updated_at"]


async def test_webhooks_are_found_on_saving_and_believed_on_creating(
    ada: Person,
) -> None:
    flow = await created(ada, webhook=True, data=drawn("ChatInput-a"))
    plain = await ada.patch(
        f"/api/v1/flows/{flow['id']}", json={"data": drawn("ChatInput-b")}
    )
    hooked = await ada.patch(
        f"/api/v1/flows/{flow['id']}", json={"data": drawn("Webhook-a")}
    )

    assert flow["webhook"] is True
    assert plain.json()["webhook"] is False
    assert hooked.json()["webhook"] is True


async def test_a_lock_is_a_word_to_editors_and_no_bar(ada: Person) -> None:
    flow = await created(ada)
    address = f"/api/v1/flows/{flow['id']}"

    locked = await ada.patch(address, json={"locked": True})
    renamed = await ada.patch(address, json={"name": f"still {uuid4()}"})

    assert locked.json()["locked"] is True
    assert renamed.status_code == 200
    assert renamed.json()["locked"] is True


async def test_null_and_absent_change_nothing_but_the_endpoint(ada: Person) -> None:
    flow = await created(
        ada,
        description="kept",
        endpoint_name=f"ep-{uuid4().hex[:6]}",
        action_name="act",
        mcp_enabled=True,
    )
    nulls = ("name", "description", "data", "folder_id", "locked", "mcp_enabled")

    saved = await ada.patch(
        f"/api/v1/flows/{flow['id']}",
        json=dict.fromkeys((*nulls, "action_name", "access_type")),
    )

    unlike = {key for key in KEYS if saved.json()[key] != flow[key]}
    assert unlike <= {"endpoint_name", "updated_at"}
    assert saved.json()["endpoint_name"] is None


async def test_an_endpoint_that_was_cleared_is_free_again(ada: Person) -> None:
    endpoint = f"ep-{uuid4().hex[:6]}"
    flow = await created(ada, endpoint_name=endpoint)
    await ada.patch(f"/api/v1/flows/{flow['id']}", json={"endpoint_name": ""})

    assert (await created(ada, endpoint_name=endpoint))["endpoint_name"] == endpoint


async def test_a_public_flow_is_anybodys_to_see(
    ada: Person, anybody: httpx.AsyncClient
) -> None:
    flow = await created(ada, data=drawn("ChatInput-a"))
    address = f"/api/v1/flows/public_flow/{flow['id']}"
    closed = await anybody.get(address)

    await ada.patch(f"/api/v1/flows/{flow['id']}", json={"access_type": "PUBLIC"})
    opened = await anybody.get(address)
    unknown = await anybody.get(f"/api/v1/flows/public_flow/{uuid4()}")

    assert list(opened.json()) == KEYS
    for refused in (closed, unknown):
        assert refused.status_code == 403
        assert refused.json() == {"detail": "Flow is not public"}


async def test_lists_hold_what_they_are_asked_for(join: Join) -> None:
    eve = await join("lists")
    project = (await eve.post("/api/v1/projects/", json={"name": "Other"})).json()["id"]
    flow = await created(eve, name="A flow", folder_id=project)
    part = await created(
        eve, name="A part", folder_id=project, is_component=True, data=drawn("Part-a")
    )

    async def asked(**query: Any) -> Any:
        answer = await eve.get("/api/v1/flows/", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    every = await asked(get_all=True)
    parts = await asked(get_all=True, components_only=True)
    heads = {head["id"]: head for head in await asked(header_flows=True)}
    page = await asked(get_all=False, folder_id=project)
    second = await asked(get_all=False, folder_id=project, page=2, size=1)
    found = await asked(get_all=False, folder_id=project, search="part")

    assert {flow["id"], part["id"]} < {one["id"] for one in every}
    assert all(list(one) == KEYS for one in every)
    assert [one["id"] for one in parts] == [part["id"]]
    assert list(heads[flow["id"]]) == HEAD_KEYS
    assert heads[flow["id"]]["data"] is None
    assert heads[part["id"]]["data"] == drawn("Part-a")
    assert page == {
        "items": page["items"],
        "total": 2,
        "page": 1,
        "size": 50,
        "pages": 1,
    }
    assert [one["id"] for one in page["items"]] == [part["id"], flow["id"]]
    assert [one["id"] for one in second["items"]] == [flow["id"]]
    assert (second["total"], second["pages"]) == (2, 2)
    assert [one["id"] for one in found["items"]] == [part["id"]]
    listed = (await eve.get("/api/v1/flows/headers/")).json()
    assert {flow["id"], part["id"]} < {head["id"] for head in listed}


async def test_starters_are_listed_as_graphs(ada: Person) -> None:
    starters = (await ada.get("/api/v1/starter-projects/")).json()

    assert starters
    for starter in starters:
        assert starter.keys() == {
            *("data", "is_component", "name", "description", "endpoint_name")
        }
        assert starter["data"]["nodes"]
        assert starter["data"]["edges"]


async def test_all_of_ones_flows_come_in_one_file(join: Join) -> None:
    eve = await join("archivist")
    await created(eve, name="../../etc/passwd", data=drawn("ChatInput-a"))
    await created(eve, name="Plain", data={})

    answer = await eve.get("/api/v1/flows/download/")

    assert answer.headers["content-type"] == "application/x-zip-compressed"
    assert "_langbuilder_flows.zip" in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        names = archive.namelist()
        plain = json.loads(archive.read("Plain.json"))
    assert list(plain) == KEYS
    assert not [name for name in names if name.startswith("..") or "/" in name]


async def test_a_file_of_flows_brings_back_what_was_downloaded(ada: Person) -> None:
    one = await created(ada, data=drawn("ChatInput-a", viewport={"x": 1}), tags=["t"])
    file = (await ada.post("/api/v1/flows/download/", json=[one["id"]])).json()

    [back] = await uploaded(ada, file)
    several = await uploaded(ada, {"flows": [file, file]})

    assert back["data"] == one["data"]
    assert back["tags"] == ["t"]
    assert back["name"] == f"{one['name']} (1)"
    assert len({flow["name"] for flow in (back, *several)}) == 3


async def test_a_bound_key_keeps_its_binding_in_a_file(ada: Person) -> None:
    document = drawn("LanguageModelComponent-a")
    document["nodes"][0]["data"]["node"]["template"] = {
        "api_key": {"value": "sk-literal", "password": True, "load_from_db": False},
        "other_key": {"value": "MY_KEY", "password": True, "load_from_db": True},
    }
    flow = await created(ada, data=document)

    file = (await ada.post("/api/v1/flows/download/", json=[flow["id"]])).json()

    fields = file["data"]["nodes"][0]["data"]["node"]["template"]
    assert "sk-literal" not in json.dumps(file)
    assert not fields["api_key"]["value"]
    assert fields["other_key"]["value"] == "MY_KEY"


async def test_a_file_that_holds_no_flow_is_refused(ada: Person) -> None:
    for content in (b"not json", b"[1]", b'{"flows": 3}', b"null", b'{"name": 3}'):
        answer = await ada.post(
            "/api/v1/flows/upload/", files={"file": ("flow.json", content)}
        )
        assert answer.status_code in {400, 422}, (content, answer.text)


async def test_a_flow_with_components_nobody_has_opens_saves_and_says_so_when_run(
    ada: Person,
) -> None:
    document = drawn("ChatInput-a", "AcmeFrobnicator-b", "ChatOutput-c")
    flow = await created(ada, data=document)
    moved = json.loads(json.dumps(document))
    moved["nodes"][1]["position"] = {"x": 7, "y": 8}

    saved = await ada.patch(f"/api/v1/flows/{flow['id']}", json={"data": moved})
    ran = await ada.post(f"/api/v1/run/{flow['id']}", json={"input_value": "x"})

    assert flow["data"] == document
    assert saved.json()["data"] == moved
    assert ran.status_code == 500
    assert "AcmeFrobnicator" in ran.json()["detail"]


async def uploaded(person: Person, content: Any) -> list[dict[str, Any]]:
    answer = await person.post(
        "/api/v1/flows/upload/",
        files={"file": ("flow.json", json.dumps(content).encode())},
    )
    assert answer.status_code == 201, answer.text
    flows: list[dict[str, Any]] = answer.json()
    return flows
