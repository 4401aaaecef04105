"""The front end of LangBuilder's parent as its makers built it, and watched pages."""

import os
import re
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Response,
    Route,
)

ROOT = Path(__file__).parents[2]
PACKAGE: Final = "langflow-base"
VERSION: Final = "0.6.5"
INSIDE: Final = "langflow/frontend/"
KEPT: Final = ROOT / ".cache" / f"{PACKAGE}-{VERSION}-front-end"
GIVEN: Final = "LANGBUILDER_TEST_FRONT_END"
"""Names a folder with a built front end to try instead."""

EXPECTED: Final = {
    ("GET", "/api/v1/auto_login", 400),  # how it learns that it must ask for a password
    ("POST", "/api/v1/login", 401),
    ("POST", "/api/v1/refresh", 401),
}
"""Refusals that a journey may meet."""

NOT_OURS: Final = re.compile(
    r"Failed to load resource"  # told apart by the responses themselves
    r"|Content Security Policy"  # stars and members that it asks other sites for
    r"|Error fetching repository data"
    r"|Duplicate request"  # it aborts its own
    r"|AG Grid"
)


class FrontEndMissingError(Exception):
    """There is no built front end here, and none could be had."""


def built() -> Path:
    """Return the folder of the front end; it is fetched once and then kept."""
    if given := os.environ.get(GIVEN):
        return Path(given)
    if not (KEPT / "index.html").is_file():
        _fetch()
    return KEPT


def _fetch() -> None:
    with tempfile.TemporaryDirectory(dir=_made(KEPT.parent)) as place:
        command = ["pip", "download", "--no-deps", "--quiet", "--only-binary=:all:"]
        command += ["--disable-pip-version-check", "--dest", place]
        pip = shutil.which("pip") or shutil.which("pip3")
        if pip is None:
            raise FrontEndMissingError("no pip here that could fetch it")
        done = subprocess.run(
            [pip, *command[1:], f"{PACKAGE}=={VERSION}"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode:
            raise FrontEndMissingError(done.stderr.strip()[-300:])
        [wheel] = Path(place).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if name.startswith(INSIDE)]
            archive.extractall(place, names)
        (Path(place) / INSIDE).rename(KEPT)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class Watched:
    """What went wrong in a page, gathered."""

    def __init__(self, page: Page, address: str) -> None:
        self.wrong: list[str] = []
        self._host = urlsplit(address).netloc
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        page.on("response", self._response)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not NOT_OURS.search(message.text):
            self.wrong.append(f"console: {message.text}")

    def _response(self, response: Response) -> None:
        asked = urlsplit(response.url)
        call = (response.request.method, asked.path, response.status)
        ours = asked.netloc == self._host
        if ours and response.status >= 400 and call not in EXPECTED:
            self.wrong.append(f"{response.status} {call[0]} {response.url}")


@asynccontextmanager
async def window(browser: Browser, address: str) -> AsyncIterator[BrowserContext]:
    """Open a window that reaches the server alone."""
    context = await browser.new_context(viewport={"width": 1400, "height": 900})
    context.set_default_timeout(20_000)

    async def only_ours(route: Route) -> None:
        if urlsplit(route.request.url).netloc == urlsplit(address).netloc:
            await route.continue_()
        else:
            await route.abort()

    await context.route("**/*", only_ours)
    try:
        yield context
    finally:
        await context.close()


@asynccontextmanager
async def tab(context: BrowserContext, address: str) -> AsyncIterator[Page]:
    """Open a page in which nothing may go wrong."""
    page = await context.new_page()
    watched = Watched(page, address)
    try:
        yield page
    finally:
        await page.close()
    assert not watched.wrong, "\n".join(watched.wrong)
