"""A newcomer in the browser: sign in, bring a flow, chat, and watch its events."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    expect,
)

from tests.journeys.browser import MARKS
from tests.journeys.running import Running, signed_in

ROOT = Path(__file__).parents[2]
FLOW = ROOT / ".." / "shared" / "flows" / "test-memorychatbotnollm.json"
pytestmark = MARKS


@pytest.fixture
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    context = await browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(20_000)
    yield context
    await context.close()


@pytest.fixture
async def page(context: BrowserContext) -> AsyncIterator[Page]:
    """A page that must end without an error of its own or a broken policy."""
    page = await context.new_page()
    errors: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:
            errors.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    assert not errors


@pytest.fixture
def client(server: Running) -> Iterator[httpx.Client]:
    with signed_in(server, server.username, server.password) as client:
        yield client


async def sign_in(page: Page, server: Running) -> None:
    await page.goto(server.address)
    await page.get_by_label("User name").fill(server.username)
    await page.get_by_label("Password").fill(server.password)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.locator("#who")).to_have_text(server.username)


async def say(page: Page, text: str) -> None:
    await page.get_by_label("Message").fill(text)
    await page.keyboard.press("Enter")


async def until_ended(page: Page, state: str = "succeeded") -> None:
    await expect(page.locator("#run-state")).to_have_text(state)
    await expect(page.get_by_role("button", name="Send")).to_be_visible()


async def test_the_one_time_link_signs_in_and_leaves_no_trace(
    page: Page, server: Running
) -> None:
    await page.goto(server.link)

    await expect(page.locator("#who")).to_have_text(server.username)
    assert page.url == f"{server.address}/"
    await page.reload()
    await expect(page.locator("#who")).to_have_text(server.username)


async def test_a_wrong_password_is_told_and_a_right_one_lets_in(
    page: Page, server: Running
) -> None:
    await page.goto(server.address)
    await page.get_by_label("User name").fill(server.username)
    await page.get_by_label("Password").fill("not this one")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).to_contain_text("Incorrect")

    await sign_in(page, server)
    await page.get_by_role("button", name="Sign out").click()

    await expect(page.get_by_label("User name")).to_be_visible()
    await page.reload()
    await expect(page.get_by_label("User name")).to_be_visible()


@pytest.mark.skipif(not FLOW.exists(), reason="needs ../shared/flows")
async def test_an_uploaded_flow_answers_and_shows_its_events(
    page: Page, server: Running
) -> None:
    await sign_in(page, server)
    await page.get_by_label("Flow file").set_input_files(FLOW)
    await expect(page.locator("#flow-name")).to_contain_text("MemoryChatbotNoLLM")

    await say(page, "hello <img src=x onerror=alert(1)>")
    await until_ended(page)

    messages = page.locator(".message .text")
    await expect(messages.first).to_have_text("hello <img src=x onerror=alert(1)>")
    assert await messages.count() == 2
    tags = await page.locator("#event-list li").evaluate_all(
        "items => items.map(item => item.dataset.tag)"
    )
    assert tags[0] == "run.requested"
    assert tags[-1] == "run.succeeded"
    assert tags.count("run.vertex_built") == 5
    assert tags.count("run.message_emitted") == 2

    await page.locator("[data-tag='run.vertex_built'] summary").first.click()
    await expect(page.locator("#event-list pre:visible")).to_contain_text("ChatInput")


async def open_flow(page: Page, name: str) -> None:
    await page.locator("[data-flow]", has_text=name).first.click()
    await expect(page.locator("#flow-name")).to_have_text(name)


async def test_a_model_answers_and_the_answer_is_there_after_a_reload(
    page: Page, server: Running
) -> None:
    await sign_in(page, server)
    await open_flow(page, "Basic Prompting")

    await say(page, "Tell me something")
    await until_ended(page)
    said = await page.locator(".message .text").all_inner_texts()
    assert len(said) >= 2
    assert all(said)

    await page.reload()
    await open_flow(page, "Basic Prompting")
    await expect(page.locator(".message .text")).to_have_text(said)
    await expect(page.locator("#run-state")).to_have_text("succeeded")
    await expect(page.locator("[data-tag='run.model_called']")).to_be_visible()


async def test_two_chats_of_a_flow_are_kept_apart(page: Page, server: Running) -> None:
    await sign_in(page, server)
    await open_flow(page, "Chat with a Memory")
    await say(page, "In the first chat")
    await until_ended(page)
    first = await page.locator("#session").input_value()

    await page.get_by_role("button", name="New chat").click()
    await say(page, "In the second chat")
    await until_ended(page)
    await expect(page.locator(".messages")).not_to_contain_text("In the first chat")

    await page.locator("#session").select_option(first)
    await expect(page.locator(".messages")).to_contain_text("In the first chat")
    await expect(page.locator(".messages")).not_to_contain_text("In the second chat")


async def test_an_example_that_was_deleted_is_offered_again(
    page: Page, server: Running, client: httpx.Client
) -> None:
    name = "Words in a Template"
    flows = client.get("/api/v1/flows/").json()
    (gone,) = (flow["id"] for flow in flows if flow["name"] == name)
    assert client.delete(f"/api/v1/flows/{gone}").status_code == 200
    await sign_in(page, server)
    await expect(page.locator("#example-list button")).to_have_count(1)

    await page.locator("#example-list button", has_text=name).click()

    await expect(page.locator("#flow-name")).to_have_text(name)
    await expect(page.locator("#examples")).to_be_hidden()


async def test_a_file_that_is_no_flow_is_refused_with_a_sentence(
    page: Page, server: Running, tmp_path: Path
) -> None:
    await sign_in(page, server)
    broken = tmp_path / "broken.json"
    broken.write_text("{not json")

    await page.get_by_label("Flow file").set_input_files(broken)

    await expect(page.get_by_role("status")).to_be_visible()
    await expect(page.locator("#flow-list")).to_be_visible()


async def test_nothing_inline_may_run(server: Running) -> None:
    answer = httpx.get(server.address)

    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "<script>" not in answer.text
    assert " style=" not in answer.text


async def test_the_api_is_described_without_anything_from_elsewhere(
    page: Page, server: Running
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    await page.goto(f"{server.address}/docs")
    await page.locator("#operations-tag-Flows").click()
    await page.locator("#operations-Flows-flows_edit button").first.click()

    body = page.locator("#operations-Flows-flows_edit .body-param__example")
    await expect(body).to_contain_text("Says hello")
    assert {url for url in asked if not url.startswith(server.address)} == set()


LOOK = """
    (path) => new Promise((done) => {
        const image = document.createElement("img");
        image.onload = () => done(image.naturalWidth);
        image.onerror = () => done(0);
        image.src = path;
    })
"""


async def test_an_image_of_the_chat_is_shown_by_the_cookie_alone(
    page: Page, server: Running, client: httpx.Client
) -> None:
    flow = client.post("/api/v1/flows/", json={"name": "with images"}).json()["id"]
    drawing = b'<svg xmlns="http://www.w3.org/2000/svg" width="7" height="5"/>'
    sent = {"file": ("dot.svg", drawing)}
    uploaded = client.post(f"/api/v1/files/upload/{flow}", files=sent).json()
    path = f"/api/v1/files/images/{uploaded['file_path']}"

    await page.goto(server.address)
    assert await page.evaluate(LOOK, path) == 0
    await sign_in(page, server)

    assert await page.evaluate(LOOK, path) == 7
    download = path.replace("/images/", "/download/")
    assert await page.evaluate(LOOK, download) == 0


async def test_a_line_that_is_cut_is_told_and_the_run_followed_to_its_end(
    page: Page, server: Running
) -> None:
    await sign_in(page, server)
    await open_flow(page, "Words in a Template")
    await page.get_by_role("button", name="New chat").click()
    await page.route("**/api/v1/build/*/events*", lambda route: route.abort())
    await page.route("**/api/v1/runs/*/events", lambda route: route.abort(), times=1)

    await say(page, "Nobody hears this")

    await expect(page.get_by_role("status")).to_contain_text("does not answer")
    await until_ended(page)
    await expect(page.locator(".message .text")).to_have_count(2)
