"""Nobody gets at what is another's: by no route, no list, no body and no header."""

from uuid import uuid4

from api.composition import Application
from tests.api.conftest import Join, Person
from tests.api.talking import bearing, talking
from tests.attacks.belongings import CANARY, Belongings
from tests.attacks.doors import sound
from tests.attacks.flows import built, echo, saved


async def test_a11_a_foreign_flow_is_not_there_by_any_of_its_names(
    hers: Belongings, join: Join, application: Application
) -> None:
    bob = await join("bob")  # somebody new: another Bob may have a copy of her flow
    before = await application.world.store.head()
    for name in (hers.flow, hers.endpoint, hers.flow.upper(), hers.flow + "/"):
        for answer in (
            await bob.post(f"/api/v1/run/{name}", json={}),
            await bob.post(f"/api/v1/run/{name}?stream=true", json={}),
        ):
            assert answer.status_code == 404
            sound(answer)
    for body in ({}, {"data": echo()}):
        answer = await bob.post(f"/api/v1/build/{hers.flow}/flow", json=body)
        assert answer.status_code == 404

    assert await application.world.store.head() == before


async def test_a11_a_foreign_flow_is_behind_no_door_of_any_protocol(
    hers: Belongings, join: Join, application: Application
) -> None:
    """By the doors for programs: webhooks, completions, responses, sockets."""
    bob = await join("bob")
    before = await application.world.store.head()
    for name in (hers.flow, hers.endpoint):
        chat = {"model": name, "messages": [{"role": "user", "content": "x"}]}
        answers = [
            await bob.post(f"/api/v1/run/advanced/{name}", json={}),
            await bob.post(f"/api/v1/webhook/{name}", json={"x": 1}),
            await bob.post("/v1/chat/completions", json=chat),
            await bob.post("/v1/responses", json={"model": name, "input": "x"}),
            await bob.get(f"/api/v1/flows/{name}"),
            await bob.get(f"/api/v1/flows/{name}/webhook"),
        ]
        lenient = await bob.post(
            "/api/v1/responses", json={"model": name, "input": "x"}
        )
        async with talking(
            str(bob.base_url).rstrip("/"), "/api/v1/chat/c", headers=bearing(bob)
        ) as talk:
            await talk.say(type="message", flow_id=name, message="x")
            said = await talk.hear()

        assert {one.status_code for one in answers} <= {403, 404, 422}
        assert lenient.json()["error"]["code"] == "not_found"
        assert said["type"] == "error"
        told = "".join(one.text for one in answers) + lenient.text + str(said)
        assert CANARY not in told
    assert (await bob.get("/v1/models")).text.count(hers.flow) == 0

    assert await application.world.store.head() == before


async def test_a12_a_foreign_run_can_be_neither_watched_nor_stopped(
    hers: Belongings, bob: Person
) -> None:
    for method, path in (
        ("GET", f"/api/v1/build/{hers.run}/events"),
        ("GET", f"/api/v1/build/{hers.run}/events?event_delivery=polling"),
        ("POST", f"/api/v1/build/{hers.run}/cancel"),
        ("GET", f"/api/v1/runs/{hers.run}"),
        ("GET", f"/api/v1/runs/{hers.run}/events"),
    ):
        answer = await bob.request(method, path, headers={"Last-Event-ID": "1"})
        assert answer.status_code == 404
        sound(answer)


async def test_a14_lists_of_ids_leave_out_what_is_anothers(
    hers: Belongings, ada: Person, bob: Person
) -> None:
    his = await saved(bob, echo())

    files = await bob.post("/api/v1/flows/download/", json=[hers.flow, his])
    deleted = await bob.request("DELETE", "/api/v1/flows/", json=[hers.flow, his])
    unsaid = await bob.request(
        "DELETE", "/api/v1/monitor/messages", json=[hers.message]
    )
    project = await bob.post(
        "/api/v1/projects/", json={"name": "steal", "flows_list": [hers.flow]}
    )
    moved = await bob.patch(
        f"/api/v1/projects/{project.json()['id']}",
        json={"flows": [hers.flow], "components": [hers.flow]},
    )

    assert hers.flow not in files.text
    assert deleted.json() == {"deleted": 1}
    assert unsaid.status_code == 204
    assert moved.status_code == 200
    assert hers.message in (await ada.get("/api/v1/monitor/messages")).text
    flow = (await ada.get(f"/api/v1/flows/{hers.flow}")).json()
    assert flow["user_id"] == ada.id
    assert flow["folder_id"] != project.json()["id"]


async def test_a14_a_session_of_the_same_name_stays_ones_own(
    eve: Person, ada: Person
) -> None:
    name = f"shared {uuid4()}"
    for person in (ada, eve):
        flow = await saved(person, echo())
        await built(person, flow, inputs={"input_value": person.id, "session": name})

    renamed = await eve.patch(
        f"/api/v1/monitor/messages/session/{name}", params={"new_session_id": "mine"}
    )
    removed = await eve.delete("/api/v1/monitor/messages/session/mine")

    assert renamed.status_code == 200
    assert ada.id not in renamed.text
    assert removed.status_code == 204
    left = await ada.get("/api/v1/monitor/messages", params={"session_id": name})
    assert len(left.json()) == 2


async def test_a15_a_memory_of_one_session_name_hears_only_its_own(
    eve: Person, ada: Person
) -> None:
    name = f"shared {uuid4()}"
    told = {}
    for person, word in ((ada, CANARY), (eve, "what was said?")):
        headers = (await person.get("/api/v1/flows/?header_flows=true")).json()
        flow = next(f["id"] for f in headers if f["name"] == "Chat with a Memory")
        asked = {"input_value": word, "session": name}
        told[person.id] = str(await built(person, flow, inputs=asked))

    assert CANARY in told[ada.id]
    assert CANARY not in told[eve.id]
