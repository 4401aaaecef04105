"""Routes of old still answer, and say what took their place."""

from uuid import uuid4

from tests.api.conftest import Person
from tests.api.test_run_in_earnest import starter


async def test_what_is_gone_says_what_to_use(ada: Person) -> None:
    process = await ada.post(f"/api/v1/process/{uuid4()}")
    predict = await ada.post("/api/v1/predict/anything", json={})
    task = await ada.get("/api/v1/task/anything")

    for answer in (process, predict, task):
        assert answer.status_code == 400
        assert answer.json()["detail"].endswith("Please use /run instead.")
    assert process.json() == predict.json()
    assert task.json()["detail"].startswith("The /task endpoint is deprecated")


async def test_the_vertices_to_build_are_told(ada: Person, bob: Person) -> None:
    flow = await starter(ada, "Words in a Template")
    url = f"/api/v1/build/{flow}/vertices"
    saved = await ada.post(url)
    empty = await ada.post(url, json={"nodes": [], "edges": []})
    wrong = await ada.post(url, json={"data": {"nodes": []}})
    broken = await ada.post(f"{url}?stop_component_id=Nobody-1")
    foreign = await bob.post(url)

    assert saved.status_code == 200
    assert saved.json()["ids"] == [saved.json()["vertices_to_run"][0]]
    assert len(saved.json()["vertices_to_run"]) == 3
    assert empty.json()["ids"] == []
    assert wrong.status_code == 422
    assert broken.status_code == 400
    assert (foreign.status_code, "not found" in foreign.text) == (500, True)


async def test_one_vertex_is_built_with_what_feeds_it(ada: Person, bob: Person) -> None:
    flow = await starter(ada, "Words in a Template")
    order = (await ada.post(f"/api/v1/build/{flow}/vertices")).json()["vertices_to_run"]
    url = f"/api/v1/build/{flow}/vertices"
    built = await ada.post(
        f"{url}/{order[0]}", json={"inputs": {"input_value": "words"}}
    )
    unknown = await ada.post(f"{url}/Nobody-1")
    nowhere = await ada.post(f"/api/v1/build/{uuid4()}/vertices/{order[0]}")
    foreign = await bob.post(f"{url}/{order[0]}")

    assert built.status_code == 200, built.text
    assert built.json()["id"] == order[0]
    assert built.json()["valid"] is True
    assert built.json()["data"]["outputs"]["message"]["message"] == "words"
    for answer in (unknown, nowhere, foreign):
        assert answer.status_code == 500
        assert "Traceback" not in answer.text


async def test_a_vertex_tells_what_it_last_came_to(ada: Person, bob: Person) -> None:
    flow = await starter(ada, "Words in a Template")
    order = (await ada.post(f"/api/v1/build/{flow}/vertices")).json()["vertices_to_run"]
    await ada.post(f"/api/v1/run/{flow}", json={"input_value": "at last"})
    told = await ada.get(f"/api/v1/build/{flow}/{order[0]}/stream")
    silent = await ada.get(f"/api/v1/build/{flow}/Nobody-1/stream")
    foreign = await bob.get(f"/api/v1/build/{flow}/{order[0]}/stream")

    assert told.text == (
        'event: message\ndata: {"chunk":"at last"}\n\n'
        'event: close\ndata: {"message":"Stream closed"}\n\n'
    )
    assert silent.text.startswith("event: error\n")
    assert foreign.status_code == 404
