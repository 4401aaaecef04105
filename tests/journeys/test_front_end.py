"""LangBuilder's front end works against us: its parent's, built and unmodified."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, BrowserContext, Page, Response, expect

from tests.journeys.browser import MARKS
from tests.journeys.front_end import FrontEndMissingError, built, tab, window
from tests.journeys.running import Running, home_and_server, signed_in

pytestmark = MARKS

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def front() -> Iterator[Running]:
    """A server that serves the built front end."""
    try:
        folder = built()
    except FrontEndMissingError as missing:
        pytest.skip(f"no built front end: {missing}")
    with home_and_server(
        frontend_path=str(folder), superuser_password=PASSWORD
    ) as started:
        yield started


@pytest.fixture
def api(front: Running) -> Iterator[httpx.Client]:
    with signed_in(front, front.username, PASSWORD) as client:
        yield client


@pytest.fixture(scope="module")
async def signed_in_window(
    browser: Browser, front: Running
) -> AsyncIterator[BrowserContext]:
    """A window in which somebody has signed in by the form."""
    async with window(browser, front.address) as context:
        async with tab(context, front.address) as page:
            await page.goto(front.address)
            await page.get_by_placeholder("Username").fill(front.username)
            await page.get_by_placeholder("Password").fill(PASSWORD)
            await page.get_by_role("button", name="Sign in").click()
            await expect(page.get_by_test_id("list-card").first).to_be_visible()
        yield context


@pytest.fixture
async def page(signed_in_window: BrowserContext, front: Running) -> AsyncIterator[Page]:
    """A page that shows the list of flows."""
    async with tab(signed_in_window, front.address) as page:
        await booted(page, f"{front.address}/flows")
        await expect(page.get_by_test_id("list-card").first).to_be_visible()
        yield page


async def booted(page: Page, address: str) -> None:
    """
    Go to a view, and wait until the front end has renewed its session there.

    Who leaves before the answer comes has only the token that was exchanged.
    """
    async with page.expect_response(lambda one: one.url.endswith("/api/v1/refresh")):
        await page.goto(address)


async def open_flow(page: Page, name: str) -> str:
    """Open a flow from the list, and return its id."""
    await page.get_by_text(name, exact=True).first.click()
    await expect(page.get_by_test_id("playground-btn-flow-io")).to_be_visible()
    found = re.search(r"/flow/([0-9a-f-]{36})", page.url)
    assert found, page.url
    return found[1]


async def say(page: Page, text: str) -> None:
    """Send a message, and wait until the run that it started has ended."""
    await page.get_by_test_id("input-chat-playground").last.fill(text)
    async with page.expect_event(
        "requestfinished", lambda one: one.url.endswith("/events")
    ):
        await page.get_by_test_id("button-send").last.click()


def saves(response: Response) -> bool:
    return response.request.method == "PATCH" and "/api/v1/flows/" in response.url


async def test_a_flow_is_begun_from_a_template_edited_and_found_again(
    page: Page, api: httpx.Client
) -> None:
    await page.get_by_test_id("new-project-btn").first.click()
    await page.get_by_text("All templates").first.click()
    await page.get_by_text("Basic Prompting").last.click()
    await expect(page.get_by_test_id("title-Language Model")).to_be_visible()

    await page.get_by_test_id("sidebar-search-input").fill("text input")
    await page.get_by_test_id("input_outputText Input").first.hover()
    async with page.expect_response(saves) as answer:
        await page.get_by_test_id("add-component-button-text-input").click()
    flow = await (await answer.value).json()

    assert flow["name"] == "Basic Prompting (1)"
    known = api.get(f"/api/v1/flows/{flow['id']}").json()
    assert [node["data"]["type"] for node in known["data"]["nodes"]].count(
        "TextInput"
    ) == 1
    await page.reload()
    await expect(page.get_by_test_id("title-Text Input")).to_be_visible()
    await expect(page.locator(".react-flow__edge")).to_have_count(3)


async def test_a_chat_streams_and_is_kept(page: Page, api: httpx.Client) -> None:
    flow = await open_flow(page, "Chat with a Memory")
    await page.get_by_test_id("playground-btn-flow-io").click()

    await say(page, "First words")
    answers = page.get_by_test_id(re.compile("^chat-message-AI-"))
    await expect(answers).to_contain_text("You said: “First words”")
    await say(page, "Second words")
    await expect(answers.last).to_contain_text("First words")

    messages = api.get("/api/v1/monitor/messages", params={"flow_id": flow}).json()
    assert [message["sender"] for message in messages] == ["User", "Machine"] * 2
    await page.reload()
    await page.get_by_test_id("playground-btn-flow-io").click()
    await expect(answers).to_have_count(2)


async def test_another_provider_brings_its_key_and_models(page: Page) -> None:
    await open_flow(page, "Basic Prompting")

    await page.get_by_test_id("dropdown_str_provider").click()
    await page.get_by_test_id("Anthropic-1-option").click()

    await expect(page.get_by_text("Anthropic API Key")).to_be_visible()
    await page.get_by_test_id("dropdown_str_model_name").click()
    await expect(page.get_by_test_id("claude-sonnet-4-5-0-option")).to_be_visible()


async def test_a_component_becomes_a_tool_and_back(page: Page) -> None:
    await open_flow(page, "Words in a Template")
    await page.get_by_test_id("title-Prompt Template").click()

    await page.get_by_test_id("tool-mode-button").click()
    await expect(page.get_by_text("Toolset", exact=True)).to_be_visible()
    await page.get_by_test_id("tool-mode-button").click()

    await expect(page.get_by_text("Toolset", exact=True)).to_have_count(0)


async def test_every_page_of_settings_is_there(page: Page, front: Running) -> None:
    pages = {
        "general": "Profile Picture",
        "api-keys": "API Keys",
        "global-variables": "Global Variables",
        "messages": "Messages",
    }
    for address, title in pages.items():
        await booted(page, f"{front.address}/settings/{address}")
        await expect(page.get_by_text(title).last).to_be_visible()
    await booted(page, f"{front.address}/admin")
    await expect(page.get_by_text("Admin Page").first).to_be_visible()


async def test_a_public_flow_is_shared_with_a_visitor(
    page: Page, front: Running, browser: Browser, api: httpx.Client
) -> None:
    flow = await open_flow(page, "Words in a Template")
    await page.get_by_test_id("publish-button").click()
    async with page.expect_response(saves):
        await page.get_by_test_id("publish-switch").click()

    async with (
        window(browser, front.address) as outside,
        tab(outside, front.address) as visitor,
    ):
        await visitor.goto(f"{front.address}/playground/{flow}/")
        await say(visitor, "From outside")
        await expect(visitor.get_by_text("You wrote: “From")).to_be_visible()

    api.patch(f"/api/v1/flows/{flow}", json={"access_type": "PRIVATE"})


async def test_a_flow_is_taken_out_and_brought_back(page: Page, tmp_path: Path) -> None:
    card = page.get_by_test_id("list-card").filter(has_text="Chat with a Memory").first
    await card.get_by_test_id("home-dropdown-menu").click()
    await page.get_by_test_id("btn-download-json").click()
    async with page.expect_download() as download:
        await page.get_by_test_id("modal-export-button").click()
    file = tmp_path / "flow.json"
    await (await download.value).save_as(file)
    assert json.loads(file.read_text())["data"]["nodes"]

    async with page.expect_file_chooser() as chooser:
        await page.get_by_test_id("upload-project-button").last.click()
    await (await chooser.value).set_files(file)

    await expect(page.get_by_text("Chat with a Memory (1)").first).to_be_visible()
