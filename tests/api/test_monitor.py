"""What runs left, over HTTP: read, edited, renamed and removed by its owner alone."""

import re
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import pytest

from api.composition import Application
from projections.messages.views import MessageRow, MessageViews
from tests.api.conftest import Join, Person

MONITOR = "/api/v1/monitor"


@pytest.fixture(scope="module")
async def ada(join: Join) -> Person:
    """Somebody of these tests alone, for they count what she has."""
    return await join("ada")


@pytest.fixture(scope="module")
async def echo(ada: Person) -> str:
    """Ada's flow that answers without a model."""
    flows = (await ada.get("/api/v1/flows/?header_flows=true")).json()
    return str(next(f for f in flows if f["name"] == "Words in a Template")["id"])


@pytest.fixture
async def session(ada: Person, echo: str) -> str:
    """A session in which Ada said something, and was answered."""
    session = f"session {uuid4()}"
    await say(ada, echo, "hello", session)
    return session


async def say(person: Person, flow: str, text: str, session: str) -> None:
    asked = await person.post(
        f"/api/v1/build/{flow}/flow",
        json={"inputs": {"input_value": text, "session": session}},
    )
    await person.get(f"/api/v1/build/{asked.json()['job_id']}/events")


async def said(person: Person, session: str, **more: str) -> list[dict[str, Any]]:
    answer = await person.get(
        f"{MONITOR}/messages", params={"session_id": session} | more
    )
    assert answer.status_code == 200, answer.text
    return list(answer.json())


async def test_messages_are_there_when_the_run_has_ended(
    ada: Person, echo: str, session: str
) -> None:
    question, answer = await said(ada, session)

    assert question["text"] == "hello"
    assert (question["sender"], answer["sender"]) == ("User", "Machine")
    assert "hello" in answer["text"]
    assert answer["files"] == "[]"
    assert answer["flow_id"] == echo
    assert answer["timestamp"].endswith(" UTC")
    assert answer.keys() >= {"properties", "category", "content_blocks", "duration"}
    assert question["id"] != answer["id"]


async def test_messages_are_found_by_what_is_asked(
    ada: Person, echo: str, session: str
) -> None:
    twice_encoded = session.replace(" ", "%20")

    assert len(await said(ada, twice_encoded, flow_id=echo)) == 2
    assert len(await said(ada, session, sender="User")) == 1
    assert await said(ada, session, flow_id=str(uuid4())) == []
    assert await said(ada, session, sender_name="Nobody") == []
    sessions = await ada.get(f"{MONITOR}/messages/sessions?flow_id={echo}")
    assert session in sessions.json()


async def test_an_edited_message_says_so(ada: Person, session: str) -> None:
    question, _ = await said(ada, session)

    liked = await ada.put(
        f"{MONITOR}/messages/{question['id']}",
        json={"properties": question["properties"] | {"positive_feedback": True}},
    )
    edited = await ada.put(
        f"{MONITOR}/messages/{question['id']}", json={"text": "goodbye", "files": []}
    )

    assert liked.json()["edit"] is False
    assert liked.json()["properties"]["positive_feedback"] is True
    assert edited.json()["edit"] is True
    assert edited.json()["files"] == []
    assert "duration" not in edited.json()
    again, _ = await said(ada, session)
    assert (again["id"], again["text"]) == (question["id"], "goodbye")
    assert again["properties"]["positive_feedback"] is True


async def test_a_removed_message_is_gone_and_its_content_too(
    application: Application, ada: Person, session: str
) -> None:
    question, answer = await said(ada, session)
    [row] = await _rows(application, [UUID(question["id"])])

    removed = await ada.request(
        "DELETE", f"{MONITOR}/messages", json=[question["id"], str(uuid4())]
    )

    assert removed.status_code == 204
    assert [m["id"] for m in await said(ada, session)] == [answer["id"]]
    assert await application.world.contents.open([row.content.id]) == {}
    missing = await ada.put(f"{MONITOR}/messages/{question['id']}", json={"text": "x"})
    assert missing.status_code == 404
    assert missing.json() == {"detail": "Message not found"}


async def test_a_session_is_renamed_and_goes_on_under_its_new_name(
    ada: Person, echo: str, session: str
) -> None:
    name = f"renamed/{uuid4()}"

    renamed = await ada.patch(
        f"{MONITOR}/messages/session/{session}", params={"new_session_id": name}
    )
    await say(ada, echo, "still here", name)

    assert [m["session_id"] for m in renamed.json()] == [name, name]
    assert len(await said(ada, name)) == 4
    assert await said(ada, session) == []
    missing = await ada.patch(
        f"{MONITOR}/messages/session/{session}", params={"new_session_id": "x"}
    )
    assert missing.status_code == 404
    assert missing.json() == {"detail": "No messages found with the given session ID"}


async def test_a_session_that_is_renamed_to_an_existing_one_joins_it(
    ada: Person, echo: str, session: str
) -> None:
    other = f"other {uuid4()}"
    await say(ada, echo, "first", other)

    joined = await ada.patch(
        f"{MONITOR}/messages/session/{session}", params={"new_session_id": other}
    )

    assert len(joined.json()) == 4
    assert len(await said(ada, other)) == 4
    assert await said(ada, session) == []


@pytest.mark.parametrize("name", ["plain", "with/slash", "with space", "ünï", "50%"])
async def test_a_session_is_removed_whatever_its_name(
    ada: Person, echo: str, name: str
) -> None:
    session = f"{name} {uuid4()}"
    await say(ada, echo, "hello", session)
    removed = await ada.delete(f"{MONITOR}/messages/session/{quote(session, safe='')}")

    assert removed.status_code == 204
    left = (await ada.get(f"{MONITOR}/messages")).json()
    assert session not in {message["session_id"] for message in left}


async def test_one_name_of_two_peoples_sessions_is_no_bridge(
    ada: Person, bob: Person, session: str
) -> None:
    flows = (await bob.get("/api/v1/flows/?header_flows=true")).json()
    his = next(f for f in flows if f["name"] == "Words in a Template")["id"]
    await say(bob, his, "mine", session)

    await bob.delete(f"{MONITOR}/messages/session/{session}")

    assert len(await said(ada, session)) == 2
    assert await said(bob, session) == []


async def test_builds_and_transactions_tell_of_the_run(
    ada: Person, echo: str, session: str
) -> None:
    builds = (await ada.get(f"{MONITOR}/builds?flow_id={echo}")).json()["vertex_builds"]
    logs = (await ada.get(f"{MONITOR}/transactions?flow_id={echo}&size=1")).json()

    assert len(builds) == 3
    [build] = builds["ChatOutput-words"]
    assert build["id"] == "ChatOutput-words"
    assert build["valid"] is True
    assert build["timestamp"].endswith("Z")
    assert build["data"]["outputs"]["message"]["type"] == "text"
    assert build["artifacts"] == build["data"]["artifacts"]
    assert logs["pages"] == logs["total"] > 1
    [item] = logs["items"]
    assert item["status"] == "success"
    assert item.keys() >= {"vertex_id", "target_id", "inputs", "outputs", "timestamp"}

    cleared = await ada.delete(f"{MONITOR}/builds?flow_id={echo}")

    assert cleared.status_code == 204
    assert (await ada.get(f"{MONITOR}/builds?flow_id={echo}")).json() == {
        "vertex_builds": {}
    }


async def test_a_rating_leaves_the_other_properties(ada: Person, session: str) -> None:
    [_, answer] = await said(ada, session)

    rated = await ada.put(
        f"{MONITOR}/messages/{answer['id']}",
        json={"properties": {"positive_feedback": True}},
    )

    assert rated.json()["properties"] == answer["properties"] | {
        "positive_feedback": True
    }
    assert rated.json()["edit"] is False
    [_, again] = await said(ada, session)
    assert again["properties"]["positive_feedback"] is True
    assert again["properties"]["source"] == answer["properties"]["source"]


async def test_a_message_is_listed_and_edited_in_two_shapes(
    ada: Person, session: str
) -> None:
    [question, _] = await said(ada, session)
    whole = question | {"text": "other words", "files": []}

    edited = await ada.put(f"{MONITOR}/messages/{question['id']}", json=whole)

    assert list(question) == [
        *("id", "flow_id", "timestamp", "sender", "sender_name", "session_id"),
        *("text", "files", "edit", "error", "duration", "properties", "category"),
        "content_blocks",
    ]
    assert question["files"] == "[]"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", question["timestamp"])
    told = edited.json()
    assert told["files"] == []
    assert (told["text"], told["edit"], told["error"]) == ("other words", True, False)
    assert "duration" not in told


async def test_messages_are_not_ordered_by_what_they_do_not_have(ada: Person) -> None:
    answer = await ada.get(f"{MONITOR}/messages", params={"order_by": "password"})

    assert answer.status_code == 422


async def test_what_is_not_there_cannot_be_changed(ada: Person) -> None:
    unknown = await ada.put(f"{MONITOR}/messages/{uuid4()}", json={"text": "x"})
    nobody = await ada.patch(f"{MONITOR}/messages/session/nothing?new_session_id=other")
    unnamed = await ada.patch(f"{MONITOR}/messages/session/nothing")
    gone = await ada.delete(f"{MONITOR}/messages/session/nothing")
    flowless = await ada.get(f"{MONITOR}/builds")

    assert (unknown.status_code, unknown.json()) == (
        404,
        {"detail": "Message not found"},
    )
    assert nobody.status_code == 404
    assert nobody.json()["detail"] == "No messages found with the given session ID"
    assert unnamed.status_code == 422
    assert (gone.status_code, gone.content) == (204, b"")
    assert flowless.status_code == 422


async def test_of_a_flow_that_is_not_ones_own_there_is_nothing_to_tell(
    ada: Person, bob: Person, echo: str
) -> None:
    for asked, flow in ((ada, uuid4()), (bob, uuid4()), (bob, echo)):
        builds = await asked.get(f"{MONITOR}/builds?flow_id={flow}")
        logs = await asked.get(f"{MONITOR}/transactions?flow_id={flow}&size=7")

        assert (builds.status_code, builds.json()) == (200, {"vertex_builds": {}})
        assert logs.status_code == 200
        assert logs.json() == {
            "items": [],
            "total": 0,
            "page": 1,
            "size": 7,
            "pages": 0,
        }


async def test_a_deleted_flow_takes_its_messages_along(
    application: Application, join: Join
) -> None:
    eve = await join("eve")
    flows = (await eve.get("/api/v1/flows/?header_flows=true")).json()
    flow = next(f for f in flows if f["name"] == "Words in a Template")["id"]
    await say(eve, flow, "hello", "s")
    [row, _] = await said(eve, "s")
    [before] = await _rows(application, [UUID(row["id"])])

    answer = await eve.delete(f"/api/v1/flows/{flow}")

    assert answer.json() == {"message": "Flow deleted successfully"}
    assert await said(eve, "s") == []
    assert await application.world.contents.open([before.content.id]) == {}


async def test_a_deleted_flow_takes_its_frozen_results_along(
    application: Application, join: Join
) -> None:
    kim = await join("kim")
    flows = (await kim.get("/api/v1/flows/?header_flows=true")).json()
    flow = next(f for f in flows if f["name"] == "Words in a Template")["id"]
    data = (await kim.get(f"/api/v1/flows/{flow}")).json()["data"]
    for node in data["nodes"]:
        node["data"]["node"]["frozen"] = node["id"].startswith("Prompt")
    await kim.patch(f"/api/v1/flows/{flow}", json={"data": data})
    await say(kim, flow, "hello", "s")
    claims, contents = application.world.claims, application.world.contents
    [claim] = await claims.taken("frozen", f"{flow}/")
    assert await contents.open([claim.holder])

    await kim.delete(f"/api/v1/flows/{flow}")

    assert await claims.taken("frozen", f"{flow}/") == []
    assert await contents.open([claim.holder]) == {}


async def test_a_long_message_takes_its_blob_along(
    application: Application, ada: Person, echo: str
) -> None:
    session = f"session {uuid4()}"
    await say(ada, echo, "long " * 20_000, session)
    messages = [UUID(message["id"]) for message in await said(ada, session)]
    contents = application.world.contents
    ids = [row.content.id for row in await _rows(application, messages)]
    folder = application.world.settings.data_path
    addresses = await contents.blobs_of(ids)
    assert len(addresses) == 2
    assert all(list(folder.rglob(f"*{address}*")) for address in addresses)

    removed = await ada.delete(f"{MONITOR}/messages/session/{quote(session, safe='')}")

    assert removed.status_code == 204
    assert await contents.open(ids) == {}
    assert not any(list(folder.rglob(f"*{address}*")) for address in addresses)


async def _rows(application: Application, ids: list[UUID]) -> list[MessageRow]:
    return await MessageViews(application.world.database.engine).get(ids)
