"""Flows as tools: what MCP's own client hears, over both of its transports."""

import asyncio
import base64
from typing import Any
from uuid import uuid4

import httpx
import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp_types import (
    BlobResourceContents,
    PaginatedRequestParams,
    TextResourceContents,
)
from msgspec.structs import replace

from api.composition import Application
from api.mcp.talks import Talks
from application import resources
from application.resources import Resources
from application.tools import Tools
from projections.files.views import FileViews
from projections.flows.views import FlowViews
from tests.api.conftest import Person, serving
from tests.api.mcp_clients import (
    Talk,
    bearing,
    over_http,
    over_sse,
    project_of,
    texts,
    tool_in,
)
from tests.attacks.flows import asking, saved


@pytest.fixture(params=[over_sse, over_http], ids=["sse", "streamable"])
def talk(request: pytest.FixtureRequest) -> Talk:
    """Either transport."""
    found: Talk = request.param
    return found


async def test_a_flow_is_a_tool_that_says_what_the_flow_says(
    address: str, ada: Person, talk: Talk
) -> None:
    project = await project_of(ada)
    await tool_in(ada, project, action_name="Say It!", description="It says it.")

    async with talk(address, f"/project/{project}", **bearing(ada)) as session:
        listed = await session.list_tools()
        said = await session.call_tool("say_it", {"input_value": "hello"})

    [tool] = listed.tools
    assert (tool.name, tool.description) == ("say_it", "It says it.")
    assert tool.input_schema == {
        "type": "object",
        "properties": {
            "input_value": {"type": "string", "description": "What the user says."}
        },
        "required": [],
    }
    assert not said.is_error
    assert texts(said) == ["<hello>"]


async def test_only_flows_that_are_tools_are_listed_those_of_one_project_by_its_door(
    address: str, ada: Person, talk: Talk
) -> None:
    project, other = await project_of(ada), await project_of(ada)
    await tool_in(ada, project, action_name="inside")
    await tool_in(ada, other, action_name="outside")
    await saved(ada, {}, name="no tool", folder_id=project)

    async with talk(address, f"/project/{project}", **bearing(ada)) as session:
        within = await session.list_tools()
        with pytest.raises(MCPError, match="no tool of this name"):
            await session.call_tool("outside", {})
    async with talk(address, **bearing(ada)) as session:
        everywhere = await session.list_tools()

    assert [tool.name for tool in within.tools] == ["inside"]
    assert {"inside", "outside"} <= {tool.name for tool in everywhere.tools}


async def test_flows_of_one_name_are_told_apart_by_a_number(
    address: str, ada: Person
) -> None:
    project = await project_of(ada)
    for _ in range(3):
        await tool_in(ada, project, action_name="Zwölf Größen & einige Wörter mehr")

    async with over_http(address, f"/project/{project}", **bearing(ada)) as session:
        names = [tool.name for tool in (await session.list_tools()).tools]

    assert names == [
        "zwolf_grossen_einige_worter_me",
        "zwolf_grossen_einige_worter_1",
        "zwolf_grossen_einige_worter_2",
    ]


async def test_a_tool_that_is_called_wrongly_says_why(
    address: str, ada: Person, talk: Talk
) -> None:
    project, name = await project_of(ada), f"wrong {uuid4()}"
    await tool_in(ada, project, name=name, action_name="say")

    async with talk(address, f"/project/{project}", **bearing(ada)) as session:
        unknown = await session.call_tool("say", {"input": "hello"})
        mistyped = await session.call_tool("say", {"input_value": {"value": "x"}})
        nameless = await session.call_tool("say", {"session_id": "a\nb"})

    begins = f"Error Executing the {name} tool. Error: "
    for answer, why in (
        (unknown, "input is unknown; it takes input_value"),
        (mistyped, "input_value must be of type string"),
        (nameless, "session_id"),
    ):
        assert answer.is_error
        [said] = texts(answer)
        assert said.startswith(begins)
        assert why in said


async def test_a_run_that_fails_is_an_answer_that_says_so(
    address: str, ada: Person, talk: Talk
) -> None:
    project, name = await project_of(ada), f"broken {uuid4()}"
    broken = asking(api_key="sk-none", model_name="no-such-model", provider="Nobody")
    await tool_in(ada, project, name=name, data=broken, action_name="broken")

    async with talk(address, f"/project/{project}", **bearing(ada)) as session:
        answer = await session.call_tool("broken", {"input_value": "hello"})

    assert answer.is_error
    assert texts(answer)[0].startswith(f"Error Executing the {name} tool. Error: ")


async def test_a_call_is_a_run_in_a_session_of_its_own_or_in_the_one_named(
    address: str, ada: Person
) -> None:
    project, named = await project_of(ada), f"s-{uuid4()}"
    flow = await tool_in(ada, project, action_name="say")

    async with over_http(address, f"/project/{project}", **bearing(ada)) as session:
        for asked in ({}, {}, {"session_id": named}):
            await session.call_tool("say", {"input_value": "hello", **asked})
    runs = (await ada.get(f"/api/v1/runs?flow_id={flow}")).json()["items"]
    messages = await ada.get(f"/api/v1/monitor/messages?flow_id={flow}")

    assert [run["trigger"] for run in runs] == ["mcp"] * 3
    sessions = {message["session_id"] for message in messages.json()}
    assert named in sessions
    assert len(sessions) == 3
    assert flow not in sessions


async def test_who_asks_for_it_hears_how_far_the_run_has_come(
    address: str, ada: Person, talk: Talk
) -> None:
    project = await project_of(ada)
    await tool_in(ada, project, action_name="say")
    heard: list[tuple[float, float | None, str | None]] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, total, message))

    async with talk(address, f"/project/{project}", **bearing(ada)) as session:
        said = await session.call_tool(
            "say", {"input_value": "hello"}, progress_callback=hear
        )

    assert texts(said) == ["<hello>"]
    assert heard
    assert [one[0] for one in heard] == sorted({one[0] for one in heard})
    assert {one[1] for one in heard} == {3.0}


async def test_todays_client_needs_no_handshake(address: str, ada: Person) -> None:
    project = await project_of(ada)
    await tool_in(ada, project, action_name="say")
    url = f"{address}/api/v1/mcp/project/{project}/streamable"

    async with (
        asyncio.timeout(30),
        httpx2.AsyncClient(headers=bearing(ada), timeout=30) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        listed = await client.list_tools()
        said = await client.call_tool("say", {"input_value": "hello"})

    assert [tool.name for tool in listed.tools] == ["say"]
    assert texts(said) == ["<hello>"]


async def test_the_tools_of_more_than_a_page_come_in_pages(
    address: str, join: Any
) -> None:
    many = await join("many")
    project = await project_of(many)
    flows = [
        {"name": f"f{n}", "data": {}, "mcp_enabled": True, "folder_id": project}
        for n in range(103)
    ]
    answer = await many.post("/api/v1/flows/batch/", json={"flows": flows})
    assert answer.status_code == 201, answer.text

    async with over_http(address, f"/project/{project}", **bearing(many)) as session:
        first = await session.list_tools()
        rest = await session.list_tools(
            params=PaginatedRequestParams(cursor=first.next_cursor)
        )

    assert len(first.tools) == 100
    assert [tool.name for tool in rest.tools] == ["f100", "f101", "f102"]
    assert rest.next_cursor is None


async def test_files_of_flows_that_are_tools_are_resources(
    address: str, ada: Person, talk: Talk
) -> None:
    project = await project_of(ada)
    tool = await tool_in(ada, project)
    other = await saved(ada, {}, folder_id=project)
    for flow in (tool, other):
        for name, data in (("a b.txt", b"some words"), ("c.png", b"\x89PNG\xff")):
            answer = await ada.post(
                f"/api/v1/files/upload/{flow}", files={"file": (name, data)}
            )
            assert answer.status_code == 201, answer.text

    async with talk(address, f"/project/{project}", **bearing(ada)) as session:
        listed = (await session.list_resources()).resources
        words, drawing = [await session.read_resource(one.uri) for one in listed]
        for uri in (
            str(listed[0].uri).replace(tool, other),
            str(listed[0].uri).replace("words", "others") + "x",
            "file:///etc/passwd",
            f"langbuilder://flows/{tool}/files/..%2f..%2fetc%2fpasswd",
        ):
            with pytest.raises(MCPError, match="no file at this address"):
                await session.read_resource(uri)

    assert [one.mime_type for one in listed] == ["text/plain", "image/png"]
    assert [one.size for one in listed] == [10, 5]
    [text], [blob] = words.contents, drawing.contents
    assert isinstance(text, TextResourceContents)
    assert isinstance(blob, BlobResourceContents)
    assert text.text == "some words"
    assert base64.b64decode(blob.blob) == b"\x89PNG\xff"


async def filed(person: Person, **files: str) -> str:
    """Make a project whose tool has *files*; return its id."""
    project = await project_of(person)
    tool = await tool_in(person, project)
    for name, data in files.items():
        form = {"file": (f"{name}.txt", data.encode())}
        await person.post(f"/api/v1/files/upload/{tool}", files=form)
    return project


async def test_resources_come_in_pages(
    address: str, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "PAGE", 2)
    project = await filed(ada, a="x", b="y", c="z", d="")
    pages: list[list[str]] = []
    cursor: str | None = None

    async with over_http(address, f"/project/{project}", **bearing(ada)) as session:
        while not pages or cursor:
            asked = PaginatedRequestParams(cursor=cursor)
            page = await session.list_resources(params=asked)
            pages.append([one.name for one in page.resources])
            cursor = page.next_cursor
        for gone in ("x", str(uuid4())):
            asked = PaginatedRequestParams(cursor=gone)
            assert (await session.list_resources(params=asked)).resources == []

    assert [len(page) for page in pages] == [2, 2]
    names = [name.rpartition("_")[2] for page in pages for name in page]
    assert names == ["a.txt", "b.txt", "c.txt", "d.txt"]


async def test_large_resources_are_read_in_parts(
    address: str, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "LARGEST", 4)
    project = await filed(ada, a="0123456789", b="œuf", c="")

    async with over_http(address, f"/project/{project}", **bearing(ada)) as session:
        [template] = (await session.list_resource_templates()).resource_templates
        found = (await session.list_resources()).resources
        large, egg, empty = [str(one.uri) for one in found]

        async def part(uri: str) -> Any:
            [found] = (await session.read_resource(uri)).contents
            assert found.uri == uri
            text: str | None = getattr(found, "text", None)
            return (
                base64.b64decode(getattr(found, "blob", "")) if text is None else text
            )

        read = [await part(f"{large}?start={n}&end={n + 4}") for n in (0, 4, 8)]
        assert read == ["0123", "4567", "89"]
        assert await part(f"{large}?start=7") == "789"
        assert await part(f"{egg}?start=1&end=3") == b"\x93u"  # amid a letter
        assert await part(empty) == ""
        for uri, words in (
            (large, "ask for parts"),
            (f"{large}?start=0", "ask for parts"),
            (f"{large}?start=10", "no such part"),
            (f"{large}?start=3&end=2", "no such part"),
            (f"{large}?start=-1", "no file at this address"),
            (f"{large}?end=3", "no file at this address"),
        ):
            with pytest.raises(MCPError, match=words):
                await session.read_resource(uri)

    assert (
        template.uri_template == "langbuilder://flows/{flow}/files/{name}{?start,end}"
    )


async def test_no_stream_is_left_behind(
    application: Application, address: str, ada: Person
) -> None:
    async with over_sse(address, **bearing(ada)):
        assert application.talks.going_on >= 1
    async with asyncio.timeout(30):
        while application.talks.going_on:
            await asyncio.sleep(0.01)


async def test_streams_end_when_the_server_leaves(
    application: Application, ada: Person
) -> None:
    talks = Talks(tools_of(application), resources_of(application), largest=2**20)
    same = replace(application, talks=talks)
    async with (
        talks.held(),
        serving(same) as address,
        httpx.AsyncClient(base_url=address, headers=ada.headers, timeout=30) as client,
    ):
        async with client.stream("GET", "/api/v1/mcp/sse") as stream:
            lines = stream.aiter_lines()
            assert await anext(lines) == "event: endpoint"
            talks.leave()
            async with asyncio.timeout(30):
                assert [line async for line in lines if line.startswith("event")] == []
        refused = await client.get("/api/v1/mcp/sse")

    assert refused.status_code == 503
    assert refused.headers["retry-after"]


def tools_of(application: Application) -> Tools:
    return Tools(
        exposed=FlowViews(application.world.database.engine),
        flows=application.flows_to_run,
        runs=application.runs,
        contents=application.world.contents,
        hub=application.hub,
    )


def resources_of(application: Application) -> Resources:
    return Resources(
        exposed=FlowViews(application.world.database.engine),
        listed=FileViews(application.world.database.engine),
        files=application.world.files,
    )
