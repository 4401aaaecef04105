"""Odd, huge and hostile input: refused or kept, and never a way to stop others."""

import asyncio
import io
import json
import zipfile
from typing import Any
from uuid import UUID

import httpx
import pytest

from api.composition import Application
from tests.api.conftest import PASSWORD, Join, Person, drawn
from tests.api.runs_server import frames
from tests.attacks.doors import sound, tells_nothing
from tests.attacks.flows import built, echo, saved

JSON = {"Content-Type": "application/json"}
ODD = [
    "a\0b",
    "\x01\x1f\x7f\u202e\ufeff\ufffe\uffff",
    "\U0010ffff\U0001f3f4\u200d\u2620\ufe0f" * 60,
    "'; DROP TABLE es.core_events; -- %s %(x)s {0} $$ $1 :x",
    "../../etc/passwd",
    "\r\nX-Evil: 1",
    " ",
    "x" * 5000,
]


def deep(levels: int) -> str:
    return '{"a":' * levels + "1" + "}" * levels


async def dead_letters(application: Application) -> list[Any]:
    async with application.world.database.pool.connection() as connection:
        rows = await connection.execute("SELECT * FROM es.dead_letters")
        return await rows.fetchall()


async def keeps_up(application: Application) -> bool:
    head = await application.world.store.head()
    return await application.daemon.reached(head, within=5)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/monitor/messages?session_id=%00"),
        ("GET", "/api/v1/monitor/messages?session_id=%2500"),
        ("GET", "/api/v1/monitor/messages?sender=a%00&sender_name=%00"),
        ("GET", "/api/v1/monitor/messages?session_id=%ff%fe"),
        ("GET", "/api/v1/monitor/messages?offset=99999999999999999999"),
        ("GET", "/api/v1/monitor/messages?limit=99999999999999999999"),
        (
            "GET",
            "/api/v1/monitor/transactions?flow_id={flow}&page=99999999999999999999",
        ),
        ("GET", "/api/v1/flows/?get_all=false&page=99999999999999999999"),
        ("GET", "/api/v1/flows/?get_all=false&page=922337203685477580"),
        ("GET", "/api/v1/runs?page=99999999999999999999"),
        ("GET", "/api/v1/runs?size=-99999999999999999999"),
        ("GET", "/api/v1/projects/{project}?page=99999999999999999999"),
        ("GET", "/api/v1/projects/{project}?page=1&search=%00"),
        ("GET", "/api/v1/projects/{project}?page=1&search=%25%5C_%5C"),
        ("POST", "/api/v1/run/%00"),
        ("POST", "/api/v1/run/%ff"),
        ("PATCH", "/api/v1/monitor/messages/session/%00?new_session_id=x"),
        ("DELETE", "/api/v1/monitor/messages/session/%00"),
        ("DELETE", "/api/v1/monitor/messages/session/%ff%00"),
        ("GET", "/api/v1/flows/%00"),
        ("GET", "/api/v1/flows/" + "a" * 5000),
        ("GET", "/api/v1/users/?skip=99999999999999999999"),
        ("GET", "/api/v1/users/?limit=99999999999999999999"),
        ("GET", "/page/%2e%2e%2fapp.js"),
        ("GET", "/page/..%5c..%5cetc%5cpasswd"),
        ("GET", "/page/%252e%252e%252fetc"),
        ("GET", "/%2e%2e/%2e%2e/etc/passwd"),
        ("GET", "/api/v1/build/{flow}/events?after=99999999999999999999"),
        ("GET", "/api/v1/nowhere/%00"),
    ],
)
async def test_a38_a_question_never_breaks_the_server(
    ada: Person, root: Person, method: str, path: str
) -> None:
    flow = await saved(ada, echo())
    project = (await ada.get("/api/v1/projects/")).json()[0]["id"]
    asking = root if "/users/" in path else ada

    answer = await asking.request(
        method, path.format(flow=flow, project=project), json={}
    )

    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        sound(answer)


@pytest.mark.parametrize(
    "body",
    [
        "username=%00&password=%00",
        "username=a%00b&password=x",
        "username=%ff&password=%ff",
        "username=%ED%A0%80&password=x",
        "username=a&username=b&password=x",
        "username[]=root&password[]=x",
        "username=",
        "",
        "&=&=;",
    ],
)
async def test_a27_a_form_that_makes_no_sense_lets_nobody_in(
    anybody: httpx.AsyncClient, body: str
) -> None:
    answer = await anybody.post(
        "/api/v1/login",
        content=body,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )

    sound(answer)
    assert answer.status_code in {401, 422}


@pytest.mark.parametrize("odd", ODD, ids=ascii)
async def test_a62_odd_texts_are_refused_or_kept_everywhere(
    ada: Person, anybody: httpx.AsyncClient, odd: str
) -> None:
    flow = await saved(ada, echo())
    data = drawn("A-1")
    data["nodes"][0]["data"]["node"]["template"]["x"] = {"value": odd, odd: odd}
    answers = [
        await anybody.post(
            "/api/v1/users/", json={"username": odd, "password": odd or "x"}
        ),
        await anybody.post("/api/v1/login", data={"username": odd, "password": odd}),
        await anybody.post("/api/v1/login/link", json={"token": odd}),
        await ada.patch(
            f"/api/v1/users/{ada.id}",
            json={"profile_image": odd, "optins": {odd: True}},
        ),
        await ada.post("/api/v1/api_key/", json={"name": odd}),
        await ada.post(
            "/api/v1/variables/",
            json={
                "name": odd,
                "value": odd,
                "type": "Generic",
                "default_fields": [odd],
            },
        ),
        await ada.post(
            "/api/v1/flows/",
            json={
                "name": odd,
                "description": odd,
                "icon": odd,
                "gradient": odd,
                "tags": [odd],
                "action_name": odd,
                "data": data,
            },
        ),
        await ada.post("/api/v1/flows/", json={"name": "n", "endpoint_name": odd}),
        await ada.post("/api/v1/flows/", json={"name": "n", "data": drawn(odd)}),
        await ada.post("/api/v1/projects/", json={"name": odd, "description": odd}),
        await ada.post(
            "/api/v1/projects/upload/",
            files={
                "file": (
                    "f.json",
                    json.dumps(
                        {
                            "folder_name": odd,
                            "folder_description": odd,
                            "flows": [{"name": "n", "description": odd, "id": odd}],
                        }
                    ),
                )
            },
        ),
        await ada.post(
            f"/api/v1/build/{flow}/flow",
            json={"inputs": {"input_value": odd, "session": odd}, "files": [odd]},
        ),
        await ada.post(f"/api/v1/run/{flow}", json={"input_value": odd}),
        await ada.post(
            f"/api/v1/run/{flow}",
            json={
                "session_id": odd,
                "tweaks": {
                    odd: odd,
                    "ChatInput-a": {"sender_name": odd, "sender": odd},
                },
            },
        ),
    ]

    for answer in answers:
        if 400 <= answer.status_code < 500:
            sound(answer)
        else:
            assert answer.status_code < 300, (answer.url, answer.text[:300])
    for path in ("flows/", "projects/", "variables/", "api_key/", "monitor/messages"):
        assert (await ada.get(f"/api/v1/{path}")).status_code == 200


async def test_a62_after_all_of_it_others_are_served_and_nothing_is_parked(
    application: Application, ada: Person, join: Join
) -> None:
    flow = await saved(ada, echo())
    for odd in ODD:
        asked = {"input_value": odd, "session": f"s{ODD.index(odd)}"}
        await built(ada, flow, inputs=asked)
        query = {"flow_id": flow, "session_id": asked["session"]}
        said = await ada.get("/api/v1/monitor/messages", params=query)
        for message in said.json():
            await ada.put(
                f"/api/v1/monitor/messages/{message['id']}",
                json={"text": odd, "sender": odd, "sender_name": odd, "files": [odd]},
            )

    newcomer = await join("newcomer")
    mine = await saved(newcomer, echo())
    told = await built(newcomer, mine, inputs={"input_value": "hello"})

    assert told[-1][0] == "end"
    assert await keeps_up(application)
    assert await dead_letters(application) == []
    assert (await newcomer.get("/api/v1/monitor/messages")).json()[0]["text"] == "hello"


@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-Infinity", "1e999", "1" * 400, "1" * 5000, "-0.0"]
)
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/flows/", '{{"name":"n","data":{{"nodes":[],"edges":[],"x":{}}}}}'),
        ("/api/v1/run/{flow}", '{{"tweaks":{{"ChatInput-a":{{"n":{}}}}}}}'),
        ("/api/v1/build/{flow}/flow", '{{"data":{{"nodes":[],"edges":[],"x":{}}}}}'),
    ],
)
async def test_a62_numbers_that_json_does_not_know_are_refused(
    ada: Person, path: str, body: str, number: str
) -> None:
    flow = await saved(ada, echo())

    answer = await ada.post(
        path.format(flow=flow), content=body.format(number), headers=JSON
    )

    if number == "-0.0" or answer.status_code < 300:
        assert answer.status_code < 300, answer.text
        tells_nothing(answer.text.replace("ChatInput.py", ""))
    else:
        sound(answer)


@pytest.mark.parametrize("levels", [150, 190, 250, 700, 980, 3_000, 9_990, 100_000])
async def test_a36_deep_json_is_refused_and_spoils_nothing(
    ada: Person, application: Application, levels: int
) -> None:
    flow = await saved(ada, echo())
    await built(ada, flow, inputs={"input_value": "x"})
    [message, *_] = (await ada.get(f"/api/v1/monitor/messages?flow_id={flow}")).json()
    nested = deep(levels)
    for method, path, body in (
        ("POST", "/api/v1/flows/", f'{{"name":"d","data":{nested}}}'),
        ("PATCH", f"/api/v1/flows/{flow}", f'{{"data":{nested}}}'),
        ("POST", f"/api/v1/build/{flow}/flow", f'{{"data":{nested}}}'),
        ("POST", f"/api/v1/run/{flow}", f'{{"tweaks":{{"x":{nested}}}}}'),
        (
            "POST",
            f"/api/v1/run/{flow}",
            f'{{"tweaks":{{"ChatOutput-c":{{"data_template":{nested}}}}}}}',
        ),
        (
            "PUT",
            f"/api/v1/monitor/messages/{message['id']}",
            f'{{"properties":{nested}}}',
        ),
        (
            "POST",
            "/api/v1/validate/prompt",
            f'{{"name":"t","template":"{{a}}","frontend_node":{nested}}}',
        ),
        (
            "POST",
            "/api/v1/custom_component/update",
            f'{{"code":"","template":{nested},"field":"x","field_value":{nested}}}',
        ),
    ):
        answer = await ada.request(method, path, content=body, headers=JSON)
        if answer.status_code >= 400:
            sound(answer)

    for path in (f"monitor/messages?flow_id={flow}", f"flows/{flow}", "runs"):
        assert (await ada.get(f"/api/v1/{path}")).status_code == 200
    assert await keeps_up(application)


async def test_a36_100_000_nodes_are_refused(mallory: Person) -> None:
    nodes = [{"id": str(i)} for i in range(100_000)]
    flow = await saved(mallory, echo())
    data = {"nodes": nodes, "edges": []}

    for method, path, body in (
        ("POST", "/api/v1/flows/", {"name": "many", "data": data}),
        ("PATCH", f"/api/v1/flows/{flow}", {"data": data}),
        ("POST", f"/api/v1/build/{flow}/flow", {"data": data}),
    ):
        answer = await mallory.request(method, path, json=body)
        sound(answer)


async def test_a36_a_graph_that_goes_round_ends(mallory: Person) -> None:
    data = echo()
    [first, *_] = data["edges"]
    back = first | {
        "id": "back",
        "source": "ChatOutput-c",
        "target": "Prompt Template-b",
    }
    data["edges"].append(back)
    flow = await saved(mallory, data)

    told = await built(mallory, flow)
    asked = await mallory.post(f"/api/v1/run/{flow}", json={})

    assert told[-1][0] == "end"
    assert asked.status_code in {200, 500}
    tells_nothing(asked.text)


@pytest.mark.parametrize(
    "last", ["9" * 18, "9" * 400, "-1", "1e3", "0x1", "1,2", "null"]
)
async def test_a36_any_last_event_id_gets_an_end(mallory: Person, last: str) -> None:
    flow = await saved(mallory, echo())
    job = (await mallory.post(f"/api/v1/build/{flow}/flow", json={})).json()["job_id"]
    await mallory.get(f"/api/v1/build/{job}/events")

    answer = await mallory.get(
        f"/api/v1/runs/{job}/events",
        headers={"Last-Event-ID": last},
        timeout=5,
    )

    assert answer.status_code in {200, 204}


@pytest.mark.parametrize("after", ["-1", "99", "9" * 18, "9" * 30])
@pytest.mark.parametrize(
    "path", ["/api/v1/runs/{}/events", "/api/v1/build/{}/events?event_delivery=polling"]
)
async def test_a36_any_after_gets_an_end(
    mallory: Person, path: str, after: str
) -> None:
    flow = await saved(mallory, echo())
    job = (await mallory.post(f"/api/v1/build/{flow}/flow", json={})).json()["job_id"]
    await mallory.get(f"/api/v1/build/{job}/events")

    answer = await mallory.get(path.format(job), params={"after": after}, timeout=5)

    assert answer.status_code in {200, 204, 422}


@pytest.mark.slow
async def test_a36_many_readers_of_one_run_all_get_all_of_it(mallory: Person) -> None:
    flow = await saved(mallory, echo())
    job = (await mallory.post(f"/api/v1/build/{flow}/flow", json={})).json()["job_id"]
    limits = httpx.Limits(max_connections=150)
    async with httpx.AsyncClient(
        base_url=mallory.base_url, headers=mallory.headers, limits=limits, timeout=20
    ) as many:
        paths = (f"/api/v1/runs/{job}/events", f"/api/v1/build/{job}/events")
        answers = await asyncio.gather(*(many.get(paths[i % 2]) for i in range(150)))

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text.count("\nid: ") for answer in answers[::2]}) == 1
    for answer in answers[1::2]:
        assert frames(answer.text)[-1][0] == "end"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/v1/flows/download/"),
        ("DELETE", "/api/v1/flows/"),
        ("DELETE", "/api/v1/monitor/messages"),
        ("POST", "/api/v1/projects/"),
        ("PATCH", "/api/v1/projects/{project}"),
    ],
)
async def test_a36_a_list_of_70_000_ids_is_answered_soon(
    mallory: Person, method: str, path: str
) -> None:
    project = (await mallory.get("/api/v1/projects/")).json()[0]["id"]
    ids = [str(UUID(int=i)) for i in range(70_000)]
    body: Any = ids if "projects" not in path else {"name": "m", "flows_list": ids}
    if method == "PATCH":
        body = {"flows": ids}

    answer = await mallory.request(
        method, path.format(project=project), json=body, timeout=6
    )

    assert answer.status_code < 500, answer.text


async def test_a36_a_batch_and_a_file_hold_only_so_many_flows(mallory: Person) -> None:
    flows = [{"name": "b"}] * 1_001
    batch = await mallory.post("/api/v1/flows/batch/", json={"flows": flows})
    file = {"file": ("f.json", json.dumps({"folder_name": "f", "flows": flows}))}

    sound(batch)
    sound(await mallory.post("/api/v1/flows/batch/", json={"flows": 7}))
    sound(await mallory.post("/api/v1/flows/upload/", files=file))
    sound(await mallory.post("/api/v1/projects/upload/", files=file))


async def test_a36_a_prompt_names_only_so_many_variables(mallory: Person) -> None:
    template = "".join(f"{{a{i}}}" for i in range(100_000))

    answer = await mallory.post(
        "/api/v1/validate/prompt",
        json={"name": "t", "template": template, "frontend_node": {}},
        timeout=5,
    )

    assert answer.status_code == 500  # LangBuilder's status for a bad template
    tells_nothing(answer.text)


@pytest.mark.parametrize(
    "name",
    ["a\0b", "n" * 501, "\x07", "../../" * 200],
    ids=["nul", "long", "bell", "dots"],
)
async def test_a62_an_uploaded_projects_name_is_checked_as_any_other(
    mallory: Person, name: str
) -> None:
    body = json.dumps({"folder_name": name, "flows": []})

    answer = await mallory.post(
        "/api/v1/projects/upload/", files={"file": ("f.json", body)}
    )

    sound(answer)
    assert answer.status_code == 422


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


async def test_a36_a_session_of_any_length_is_refused_or_kept(mallory: Person) -> None:
    flow = await saved(mallory, echo())
    for length in (500, 501, 512, 513, 100_000):
        answer = await mallory.post(
            f"/api/v1/run/{flow}", json={"session_id": "\U0001f4a9" * length}
        )
        if answer.status_code != 200:
            sound(answer)
    assert (await mallory.get("/api/v1/monitor/messages/sessions")).status_code == 200
