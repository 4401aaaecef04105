"""Flows and projects by the client, on a whole server."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from langbuilder import ConflictError, Flow, NotFoundError, ValidationError
from langbuilder.listing import Listing
from tests.api.conftest import drawn
from tests.langbuilder.hands import Hand


def renamed(data: dict[str, Any], title: str) -> dict[str, Any]:
    """The document with another title on its first vertex."""
    copy: dict[str, Any] = json.loads(json.dumps(data))
    copy["nodes"][0]["data"]["node"]["display_name"] = title
    return copy


async def created(hand: Hand, name: str = "Drawn", **more: Any) -> Flow:
    flow = await hand.do(hand.client.flows.create, f"{name} {uuid4().hex[:6]}", **more)
    assert isinstance(flow, Flow)
    return flow


async def test_a_flow_is_created_read_saved_and_deleted(hand: Hand) -> None:
    flow = await created(hand, data=drawn("ChatInput-a"), description="first")
    assert (flow.version, flow.description) == (1, "first")
    assert flow.updated_at
    assert flow.updated_at.tzinfo

    saved = await hand.do(
        hand.client.flows.update, flow, data=drawn("ChatInput-a", "ChatOutput-b")
    )
    read = await hand.do(hand.client.flows.get, str(flow.id))
    assert saved.version
    assert saved.version > 1
    assert (read.version, len(read.data["nodes"])) == (saved.version, 2)
    assert read.description == "first"

    await hand.do(hand.client.flows.delete, read)
    with pytest.raises(NotFoundError, match="Flow not found") as gone:
        await hand.do(hand.client.flows.get, flow)
    assert gone.value.status == 404
    assert gone.value.path == f"/api/v1/flows/{flow.id}"


async def test_an_endpoint_name_stays_unless_it_is_taken_away(hand: Hand) -> None:
    name = f"endpoint-{uuid4().hex[:6]}"
    flow = await created(hand, endpoint_name=name)

    by_id = await hand.do(hand.client.flows.update, flow.id, description="one")
    by_flow = await hand.do(hand.client.flows.update, by_id, description="two")
    by_version = await hand.do(
        hand.client.flows.update, flow.id, description="3", expected_version=2
    )
    without = await hand.do(hand.client.flows.update, flow.id, endpoint_name=None)

    assert [one.endpoint_name for one in (by_id, by_flow, by_version, without)] == [
        name,
        name,
        name,
        None,
    ]


async def test_a_conflict_has_both_values(hand: Hand) -> None:
    flow = await created(hand, data=drawn("ChatInput-a", "ChatOutput-b"))
    assert flow.data
    theirs = await hand.do(
        hand.client.flows.update, flow, data=renamed(flow.data, "Theirs")
    )

    with pytest.raises(ConflictError) as conflict:
        await hand.do(hand.client.flows.update, flow, data=renamed(flow.data, "Mine"))

    [place] = conflict.value.conflicts
    assert (place.yours, place.theirs) == ("Mine", "Theirs")
    assert place.vertex == "ChatInput-a"
    assert place.path[-1] == "display_name"
    assert conflict.value.version == theirs.version
    assert conflict.value.status == 409


async def test_edits_of_different_places_merge(hand: Hand) -> None:
    flow = await created(hand, data=drawn("ChatInput-a", "ChatOutput-b"))
    assert flow.data
    await hand.do(hand.client.flows.update, flow, data=renamed(flow.data, "Theirs"))

    both = await hand.do(
        hand.client.flows.update,
        flow,
        expected_version=flow.version,
        data=flow.data | {"note": "mine"},
    )

    assert both.data["note"] == "mine"
    assert both.data["nodes"][0]["data"]["node"]["display_name"] == "Theirs"


async def test_a_list_asks_for_a_page_when_it_is_read_so_far(hand: Hand) -> None:
    project = await hand.do(hand.client.projects.create, f"Many {uuid4().hex[:6]}")
    made = [await created(hand, "One", project=project) for _ in range(5)]
    listing = hand.client.flows.list(project, page_size=2)
    assert isinstance(listing, Listing)

    two = await hand.first(listing, 2)
    whole = await hand.all(listing)
    again = await hand.all(listing)

    assert {one.id for one in whole} == {one.id for one in made}
    assert whole == again
    assert two == whole[:2]
    everything = {one.id for one in await hand.all(hand.client.flows.list())}
    assert everything > {one.id for one in made}
    headers = await hand.do(hand.client.flows.headers)
    assert {one.id for one in headers} == everything
    await hand.do(hand.client.projects.delete, project)
    assert [one.id for one in await hand.all(hand.client.flows.list())]


async def test_a_flow_goes_out_and_in_as_a_file(hand: Hand, tmp_path: Path) -> None:
    flow = await created(hand, "Carried", data=drawn("ChatInput-a"))
    other = await created(hand, "Other")
    project = await hand.do(hand.client.projects.create, f"Home {uuid4().hex[:6]}")

    exported = await hand.do(hand.client.flows.export, flow)
    one = await hand.do(hand.client.flows.download, [flow], tmp_path / "one.json")
    two = await hand.do(hand.client.flows.download, [flow, other], tmp_path / "two.zip")
    sources = [exported, one, one.read_bytes(), io.BytesIO(one.read_bytes())]
    uploaded = [
        (await hand.do(hand.client.flows.upload, source, project=project))[0]
        for source in sources
    ]

    assert json.loads(one.read_bytes())["name"] == flow.name == exported["name"]
    assert len(zipfile.ZipFile(two).namelist()) == 2
    assert {one.project_id for one in uploaded} == {project.id}
    assert len({one.name for one in uploaded}) == len(sources)
    assert [one.data["nodes"][0]["id"] for one in uploaded if one.data] == [
        "ChatInput-a"
    ] * len(sources)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.json", "two.zip"]
    assert await hand.do(hand.client.flows.delete_many, uploaded) == len(sources)
    twice = [
        await hand.do(hand.client.flows.upload, exported, key=f"key {flow.id}")
        for _ in range(2)
    ]
    assert twice[0][0].id == twice[1][0].id
    with pytest.raises(ValidationError):
        await hand.do(hand.client.flows.upload, {"name": "Other"}, key=f"key {flow.id}")


async def test_projects_are_opened_renamed_carried_and_deleted(
    hand: Hand, tmp_path: Path
) -> None:
    flow = await created(hand, "Moved")
    name = f"Project {uuid4().hex[:6]}"
    project = await hand.do(hand.client.projects.create, name, flows=[flow])

    renamed = await hand.do(
        hand.client.projects.update, project, name=f"{name} renamed"
    )
    got = await hand.do(hand.client.projects.get, project.id)
    inside = await hand.all(hand.client.flows.list(project))
    told: list[tuple[int, int | None]] = []
    path = await hand.do(
        hand.client.projects.download,
        project,
        tmp_path / "project.zip",
        progress=lambda done, total: told.append((done, total)),
    )

    assert renamed.name == got.name == f"{name} renamed"
    assert [one.id for one in inside] == [flow.id]
    assert zipfile.ZipFile(path).namelist() == [f"{flow.name}.json"]
    assert told[-1][0] == path.stat().st_size
    listed = await hand.do(hand.client.projects.list)
    assert project.id in [one.id for one in listed]
    file = {
        "folder_name": name,
        "flows": [{"name": f"In {name}", "data": drawn("A-a")}],
    }
    [brought] = await hand.do(hand.client.projects.upload, json.dumps(file).encode())
    assert brought.name == f"In {name}"
    await hand.do(hand.client.projects.delete, project)
    with pytest.raises(NotFoundError, match="Project"):
        await hand.do(hand.client.projects.get, project)


async def test_what_is_wrong_is_told_field_by_field(hand: Hand) -> None:
    with pytest.raises(ValidationError) as wrong:
        await hand.do(hand.client.flows.get, "no-uuid")

    [field] = wrong.value.fields
    assert field.loc == ("path", "flow_id")
    assert "UUID" in field.msg
    assert "path.flow_id" in str(wrong.value)


async def test_what_breaks_off_leaves_no_file(hand: Hand, tmp_path: Path) -> None:
    flow = await created(hand)
    kept = tmp_path / "kept.json"
    kept.write_text("before")

    def breaks(done: int, total: int | None) -> None:
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        await hand.do(hand.client.flows.download, [flow], kept, progress=breaks)

    assert kept.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["kept.json"]
