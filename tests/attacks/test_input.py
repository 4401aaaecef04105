"""Odd, huge and hostile input: refused or kept, and never a way to stop others."""

import json
from typing import Any

import httpx
import pytest

from api.composition import Application
from tests.api.conftest import Join, Person, drawn
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
    return await application.daemon.reached(head, within=30)


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


def oddities(odd: str, flow: str, person: str) -> list[tuple[str, str, Any]]:
    """Return requests that bring an odd text wherever one can be brought."""
    data = drawn("A-1")
    data["nodes"][0]["data"]["node"]["template"]["x"] = {"value": odd, odd: odd}
    variable = {"name": odd, "value": odd, "type": "Generic", "default_fields": [odd]}
    settings = ("description", "icon", "gradient", "action_name")
    tweaks = {odd: odd, "ChatInput-a": {"sender_name": odd, "sender": odd}}
    return [
        ("POST", "users/", {"username": odd, "password": odd}),
        ("POST", "login/link", {"token": odd}),
        ("PATCH", f"users/{person}", {"profile_image": odd, "optins": {odd: True}}),
        ("POST", "api_key/", {"name": odd}),
        ("POST", "variables/", variable),
        ("POST", "flows/", dict.fromkeys(settings, odd) | {"name": odd, "data": data}),
        ("POST", "flows/", {"name": "n", "tags": [odd]}),
        ("POST", "flows/", {"name": "n", "endpoint_name": odd}),
        ("POST", "flows/", {"name": "n", "data": drawn(odd)}),
        ("POST", "projects/", {"name": odd, "description": odd}),
        (
            "POST",
            f"build/{flow}/flow",
            {"inputs": {"input_value": odd, "session": odd}, "files": [odd]},
        ),
        ("POST", f"run/{flow}", {"input_value": odd}),
        ("POST", f"run/{flow}", {"session_id": odd, "tweaks": tweaks}),
    ]


@pytest.mark.parametrize("odd", ODD, ids=ascii)
async def test_a62_odd_texts_are_refused_or_kept_everywhere(
    ada: Person, anybody: httpx.AsyncClient, odd: str
) -> None:
    flow = await saved(ada, echo())
    file = {"name": "n", "description": odd, "id": odd}
    project = {"folder_name": odd, "folder_description": odd, "flows": [file]}

    answers = [
        await ada.request(method, f"/api/v1/{path}", json=body)
        for method, path, body in oddities(odd, flow, ada.id)
    ]
    answers += [
        await anybody.post("/api/v1/login", data={"username": odd, "password": odd}),
        await ada.post(
            "/api/v1/projects/upload/", files={"file": ("f", json.dumps(project))}
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
