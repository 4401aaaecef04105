"""The front end's first requests, in its order (contract §9)."""

import httpx

from tests.api.conftest import PASSWORD, Join, Person, drawn, timeless


async def test_the_server_says_that_it_is_well(anybody: httpx.AsyncClient) -> None:
    assert (await anybody.get("/health")).json() == {"status": "ok"}
    assert (await anybody.get("/health_check")).json() == {
        "status": "ok",
        "chat": "ok",
        "db": "ok",
    }
    assert (await anybody.get("/livez")).json() == {"status": "ok"}
    ready = await anybody.get("/readyz")
    assert (ready.status_code, ready.json()["database"]) == (200, "ok")


async def test_without_automatic_sign_in_the_front_end_shows_its_form(
    anybody: httpx.AsyncClient,
) -> None:
    answer = await anybody.get("/api/v1/auto_login")

    assert answer.status_code == 400
    assert answer.json()["detail"] == {
        "message": "Auto login is disabled. Please enable it in the settings",
        "auto_login": False,
    }


async def test_everything_that_the_front_end_asks_at_its_start_is_answered(
    join: Join,
) -> None:
    ada = await join("newcomer")
    me = (await ada.get("/api/v1/users/whoami")).json()
    assert me["username"] == ada.username
    assert me["is_superuser"] is False
    assert set(me["optins"]) == {
        "github_starred",
        "dialog_dismissed",
        "discord_clicked",
    }
    assert (await ada.get("/api/v1/store/check/")).json() == {"enabled": False}
    assert (await ada.get("/api/v1/store/tags")).json() == []
    assert (await ada.get("/api/v1/variables/")).json() == []
    assert {"version", "main_version", "package"} <= (
        (await ada.get("/api/v1/version")).json().keys()
    )
    config = (await ada.get("/api/v1/config")).json()
    assert config["event_delivery"] == "streaming"
    assert config["frontend_timeout"] == 0


async def test_the_first_project_and_its_starter_flows_are_there(ada: Person) -> None:
    projects = (await ada.get("/api/v1/projects/")).json()
    assert projects[0]["name"] == "Starter Project"
    home = projects[0]["id"]

    page = await ada.get(
        f"/api/v1/projects/{home}",
        params={
            "id": home,
            "page": 1,
            "size": 12,
            "is_component": "false",
            "is_flow": "true",
            "search": "",
        },
    )
    heads = await ada.get("/api/v1/flows/?get_all=true&header_flows=true")
    components = await ada.get("/api/v1/flows/?components_only=true&get_all=true")

    flows = page.json()["flows"]
    assert page.json()["folder"]["id"] == home
    assert flows["total"] >= 3
    assert flows["page"] == 1
    assert flows["size"] == 12
    assert {flow["name"] for flow in heads.json()} >= {
        flow["name"] for flow in flows["items"]
    }
    assert all(flow["data"] is None for flow in heads.json())
    assert components.json() == []


async def test_the_examples_are_what_the_first_project_holds(
    ada: Person, anybody: httpx.AsyncClient
) -> None:
    examples = (await anybody.get("/api/v1/flows/basic_examples/")).json()
    heads = (await ada.get("/api/v1/flows/?get_all=true&header_flows=true")).json()

    assert {one["name"] for one in examples} <= {head["name"] for head in heads}
    assert all(example["data"]["nodes"] for example in examples)


async def test_a_newcomer_with_flows_of_his_own_is_told_from_one_without(
    ada: Person, anybody: httpx.AsyncClient
) -> None:
    """The front end greets whoever has as many flows as there are examples."""
    examples = (await anybody.get("/api/v1/flows/basic_examples/")).json()
    heads = "/api/v1/flows/?get_all=true&header_flows=true"
    own = (await ada.get(f"{heads}&remove_example_flows=true")).json()
    every = (await ada.get(heads)).json()

    assert [head["id"] for head in every] == [
        *(head["id"] for head in own),
        *(example["id"] for example in examples),
    ]
    assert own


async def test_the_catalogue_is_packed_for_those_who_can_unpack(ada: Person) -> None:
    packed = await ada.get("/api/v1/all?force_refresh=true")
    plain = await ada.get("/api/v1/all", headers={"Accept-Encoding": "identity"})

    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.json() == plain.json()
    chat = packed.json()["input_output"]["ChatInput"]
    assert chat["template"]["code"]["value"]


async def test_a_flow_is_opened_saved_and_found_again(ada: Person) -> None:
    made = await ada.post(
        "/api/v1/flows/",
        json={
            "name": "Fresh",
            "data": drawn("ChatInput-a", viewport={"x": 1, "y": 2, "zoom": 0.5}),
            "description": None,
            "is_component": False,
            "folder_id": None,
            "icon": None,
            "gradient": None,
            "endpoint_name": None,
            "tags": None,
            "mcp_enabled": None,
        },
    )
    assert made.status_code == 201, made.text
    flow = made.json()
    assert flow["data"] == drawn("ChatInput-a", viewport={"x": 1, "y": 2, "zoom": 0.5})

    saved = await ada.patch(
        f"/api/v1/flows/{flow['id']}",
        json={
            "name": "Fresh",
            "data": drawn("ChatInput-a", "ChatOutput-b", viewport={"x": 9}),
            "description": "now with an answer",
            "folder_id": flow["folder_id"],
            "endpoint_name": None,
            "locked": False,
        },
    )
    assert saved.status_code == 200, saved.text
    found = (await ada.get(f"/api/v1/flows/{flow['id']}")).json()
    assert timeless(found) == timeless(saved.json())
    assert found["updated_at"] <= saved.json()["updated_at"]
    assert saved.json()["data"]["viewport"] == {"x": 9}
    assert saved.json()["description"] == "now with an answer"
    builds = await ada.get(f"/api/v1/monitor/builds?flow_id={flow['id']}")
    assert builds.json() == {"vertex_builds": {}}


async def test_the_playground_begins_empty(ada: Person) -> None:
    made = await ada.post("/api/v1/flows/", json={"name": "Silent"})
    flow = made.json()["id"]

    sessions = await ada.get(f"/api/v1/monitor/messages/sessions?flow_id={flow}")
    messages = await ada.get(f"/api/v1/monitor/messages?flow_id={flow}")
    logs = await ada.get(f"/api/v1/monitor/transactions?flow_id={flow}&page=1&size=20")

    assert sessions.json() == []
    assert messages.json() == []
    assert logs.json() == {"items": [], "total": 0, "page": 1, "size": 20, "pages": 0}


async def test_both_slash_forms_are_answered_without_a_redirect(ada: Person) -> None:
    for path in ("flows", "projects", "folders", "variables", "api_key", "store/check"):
        for slash in ("", "/"):
            answer = await ada.get(f"/api/v1/{path}{slash}")
            assert answer.status_code == 200, path + slash


async def test_signing_in_sets_the_cookies_that_the_front_end_reads(
    ada: Person, anybody: httpx.AsyncClient
) -> None:
    answer = await anybody.post(
        "/api/v1/login", data={"username": ada.username, "password": PASSWORD}
    )

    assert answer.json().keys() == {"access_token", "refresh_token", "token_type"}
    cookies = {c.partition("=")[0]: c for c in answer.headers.get_list("set-cookie")}
    assert "HttpOnly" not in cookies["access_token_lf"]
    assert "HttpOnly" in cookies["refresh_token_lf"]
    assert "SameSite=none" in cookies["refresh_token_lf"]
    assert "apikey_tkn_lflw" in cookies
