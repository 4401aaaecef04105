"""Bad input is refused in the contract's shape, and nothing is half-done."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from api.composition import Application
from tests.api.conftest import Person, drawn

DEEP = b"[" * 10_000 + b"]" * 10_000


async def post(person: Person, path: str, content: bytes) -> httpx.Response:
    return await person.post(
        path, content=content, headers={"Content-Type": "application/json"}
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b'{"name": 1}',
        b'{"nam": "x"}',
        b'{"name": "x", "data": NaN}',
        b'{"name": "x", "data": {"nodes": [Infinity], "edges": []}}',
        b'{"name": "\\ud800"}',
        b'{"name": "\xff"}',
        b'{"name": "x", "data": {"a": ' + DEEP + b"}}",
        DEEP,
        b'{"name": "x\\u0000y"}',
        b'{"name": "x", "data": []}',
        b'{"name": "x", "data": {"nodes": []}}',
        b'{"name": "x", "data": {"edges": []}}',
        b'{"name": "x", "data": {"nodes": {}, "edges": []}}',
        b'{"name": "x", "data": {"nodes": [1], "edges": []}}',
        b'{"name": "x", "data": {"nodes": [{"id": 1}], "edges": []}}',
        b'{"name": "x", "data": {"nodes": [{"id": "a"}, {"id": "a"}], "edges": []}}',
        b'{"name": "x", "data": {"nodes": [{"id": "a\\u0000"}], "edges": []}}',
        b'{"name": "x", "endpoint_name": "no spaces"}',
        b'{"name": "x", "icon_bg_color": "red"}',
        b'{"name": "x", "folder_id": "not-a-uuid"}',
        b'{"name": "x", "tags": "one"}',
        b'{"name": "x", "access_type": "EVERYBODY"}',
        b'{"name": "' + b"x" * 501 + b'"}',
    ],
    ids=lambda content: content[:60].decode(errors="replace"),
)
async def test_a_flow_that_cannot_be_read_is_refused_and_nothing_appended(
    application: Application, ada: Person, content: bytes
) -> None:
    before = await application.world.store.head()

    answer = await post(ada, "/api/v1/flows/", content)

    assert answer.status_code == 422, answer.text
    assert answer.json()["detail"]
    assert await application.world.store.head() == before


async def test_a_violation_says_where_it_is(ada: Person) -> None:
    answer = await ada.post("/api/v1/flows/", json={"name": 7})

    [violation] = answer.json()["detail"]
    assert violation["loc"] == ["body", "name"]
    assert violation.keys() >= {"type", "loc", "msg", "input"}


async def test_a_word_that_is_none_of_a_few_is_refused_with_the_few(
    ada: Person,
) -> None:
    flows = {"flows": [{"name": "a", "access_type": "NO"}]}
    deep = await ada.post("/api/v1/flows/batch/", json=flows)
    many = await ada.post("/api/v1/api_key/", json={"name": "a", "scopes": ["NO"]})
    query = await ada.post(f"/api/v1/build/{uuid4()}/flow?event_delivery=NO", json={})

    words = [answer.json()["detail"][0]["msg"] for answer in (deep, many, query)]
    assert words == [
        "Invalid enum value 'NO': it is one of PRIVATE, PUBLIC",
        "Invalid enum value 'NO': it is one of admin, read, run, write",
        "Invalid enum value 'NO': it is one of direct, polling, streaming",
    ]


async def test_violations_are_called_as_clients_know_them(ada: Person) -> None:
    wrong_id = await ada.get("/api/v1/flows/wrong")
    wrong_query = await ada.get("/api/v1/monitor/builds?flow_id=wrong")
    nameless = await ada.post("/api/v1/flows/", json={"description": "x"})

    [in_path] = wrong_id.json()["detail"]
    assert (in_path["type"], in_path["loc"]) == ("uuid_parsing", ["path", "flow_id"])
    [in_query] = wrong_query.json()["detail"]
    assert (in_query["type"], in_query["loc"]) == ("uuid_parsing", ["query", "flow_id"])
    [absent] = nameless.json()["detail"]
    assert (absent["type"], absent["loc"]) == ("missing", ["body", "name"])


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/flows/no-uuid"),
        ("PATCH", "/api/v1/flows/no-uuid"),
        ("DELETE", "/api/v1/flows/no-uuid"),
        ("GET", "/api/v1/projects/no-uuid"),
        ("DELETE", "/api/v1/variables/no-uuid"),
        ("POST", "/api/v1/build/no-uuid/flow"),
        ("GET", "/api/v1/build/no-uuid/events"),
        ("GET", "/api/v1/runs/no-uuid"),
        ("GET", "/api/v1/monitor/builds?flow_id=no-uuid"),
        ("GET", "/api/v1/monitor/builds"),
        ("GET", "/api/v1/monitor/messages?order_by=password"),
        ("GET", "/api/v1/flows/?get_all=perhaps"),
        ("GET", "/api/v1/flows/?get_all=false&page=0"),
        ("GET", "/api/v1/flows/?get_all=false&size=101"),
        ("PATCH", "/api/v1/monitor/messages/session/s"),
    ],
)
async def test_a_question_that_cannot_be_read_is_refused(
    ada: Person, method: str, path: str
) -> None:
    answer = await ada.request(method, path, json={})

    assert answer.status_code == 422, answer.text


async def test_an_unknown_path_and_method_have_the_shape_too(ada: Person) -> None:
    nowhere = await ada.get("/api/v1/nowhere")
    notso = await ada.put("/api/v1/flows/", json={})

    assert nowhere.status_code == 404
    assert nowhere.json() == {"detail": "Not Found"}
    assert notso.status_code == 405
    assert notso.json() == {"detail": "Method Not Allowed"}


async def test_a_body_over_the_limit_is_refused(ada: Person) -> None:
    big = b'{"name": "' + b"x" * (4 * 1024 * 1024) + b'"}'

    answer = await post(ada, "/api/v1/flows/", big)

    assert answer.status_code == 413
    assert answer.json()["detail"]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"7", b"[1]", b'{"flows": 1}', b'{"data": {}}', DEEP, b"\x00\xff"],
    ids=lambda content: content[:20].decode(errors="replace"),
)
async def test_a_file_that_holds_no_flow_is_refused(
    application: Application, ada: Person, content: bytes
) -> None:
    before = await application.world.store.head()

    answer = await ada.post(
        "/api/v1/flows/upload/", files={"file": ("x.json", content)}
    )

    assert answer.status_code == 422, answer.text
    assert await application.world.store.head() == before


async def test_a_form_without_a_file_is_refused(ada: Person) -> None:
    other = await ada.post("/api/v1/flows/upload/", files={"other": ("x", b"{}")})
    no_form = await ada.post("/api/v1/flows/upload/", json={"name": "x"})
    broken = await ada.post(
        "/api/v1/flows/upload/",
        content=b"--x\r\nno form at all",
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )

    for answer in (other, no_form, broken):
        assert answer.status_code == 422, answer.text


async def test_of_a_batch_with_one_bad_flow_none_is_created(ada: Person) -> None:
    name = f"batch {uuid4()}"
    batch = [{"name": name}, {"name": name, "data": {"nodes": []}}]

    answer = await ada.post("/api/v1/flows/batch/", json={"flows": batch})

    assert answer.status_code == 422
    assert name not in (await ada.get("/api/v1/flows/?header_flows=true")).text


@pytest.mark.parametrize("version", ["x", '"-1"', '"1', "1e3"])
async def test_an_if_match_that_is_no_version_is_refused(
    ada: Person, version: str
) -> None:
    flow = (await ada.post("/api/v1/flows/", json={"name": "v"})).json()["id"]

    answer = await ada.patch(
        f"/api/v1/flows/{flow}", json={}, headers={"If-Match": version}
    )

    assert answer.status_code == 422


async def test_a_version_that_was_never_served_is_a_conflict(ada: Person) -> None:
    flow = (await ada.post("/api/v1/flows/", json={"name": "v"})).json()["id"]

    answer = await ada.patch(
        f"/api/v1/flows/{flow}",
        json={"data": drawn("A-1")},
        headers={"If-Match": '"99"'},
    )

    assert answer.status_code == 409
    assert answer.json()["detail"]["version"] == 1


async def test_an_error_tells_nothing_of_the_inside(ada: Person) -> None:
    answers: list[Any] = [
        await post(ada, "/api/v1/flows/", DEEP),
        await ada.get(f"/api/v1/flows/{uuid4()}"),
        await ada.post("/api/v1/validate/code", json={"code": "def (:"}),
    ]

    for answer in answers:
        assert "Traceback" not in answer.text
        assert "/src/" not in answer.text


async def test_a_repeat_with_the_same_key_is_carried_out_once(ada: Person) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    name = f"once {uuid4()}"

    first = await ada.post("/api/v1/flows/", json={"name": name}, headers=key)
    second = await ada.post("/api/v1/flows/", json={"name": name}, headers=key)
    other = await ada.post("/api/v1/flows/", json={"name": "other"}, headers=key)

    assert first.json()["id"] == second.json()["id"]
    assert other.status_code == 422


async def test_every_answer_protects_the_page_that_shows_it(
    ada: Person, anybody: httpx.AsyncClient
) -> None:
    for answer in (
        await ada.get("/api/v1/flows/"),
        await anybody.get("/api/v1/nowhere"),
        await anybody.get("/"),
    ):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "content-security-policy" in answer.headers


async def test_other_sites_pages_may_not_read_anything(ada: Person) -> None:
    answer = await ada.get("/api/v1/flows/", headers={"Origin": "https://evil.example"})

    assert "access-control-allow-origin" not in answer.headers


async def test_a_missing_parameter_is_named_where_it_belongs(ada: Person) -> None:
    answer = await ada.get("/api/v1/monitor/builds")

    assert answer.status_code == 422
    assert answer.json()["detail"][0]["type"] == "missing"
    assert answer.json()["detail"][0]["loc"] == ["query", "flow_id"]
