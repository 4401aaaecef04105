"""A front end that the operator built is served, and nothing beside it."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import msgspec
import pytest

from api.composition import Application
from infrastructure.settings import SettingError, load
from tests.queries import transport

VIEW = "/flow/5b7cd5a5-8fbf-4d2b-a9a4-4a6f64a3c8b2"
PAGE = "<!doctype html><title>Another front end</title>"
BROWSER = {"Accept": "text/html,application/xhtml+xml"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built") / "front"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text(PAGE)
    (folder / "assets" / "index-1a2b.js").write_text("let x = 1\n" * 1_000)
    (folder / "favicon.ico").write_bytes(b"\0" * 10)
    (folder.parent / "secret").write_text("beside it")
    (folder / "link").symlink_to(folder.parent / "secret")
    return folder


@pytest.fixture(scope="module")
async def visitor(
    application: Application, folder: Path
) -> AsyncIterator[httpx.AsyncClient]:
    world = application.world
    settings = msgspec.structs.replace(world.settings, frontend_path=str(folder))
    world = msgspec.structs.replace(world, settings=settings)
    served = msgspec.structs.replace(application, world=world)
    async with httpx.AsyncClient(
        transport=transport(served), base_url="http://inside"
    ) as client:
        yield client


async def test_every_view_is_the_page(visitor: httpx.AsyncClient) -> None:
    for address in ("/", VIEW, "/settings/general", "/all/folder/x.y"):
        answer = await visitor.get(address, headers=BROWSER)

        assert answer.status_code == 200
        assert answer.text == PAGE
        assert answer.headers["content-type"].startswith("text/html")
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("address", ["/api/v1/nothing", "/api/v2/nothing", "/page/no"])
async def test_an_unknown_address_of_the_api_is_no_view(
    visitor: httpx.AsyncClient, address: str
) -> None:
    answer = await visitor.get(address, headers=BROWSER)

    assert answer.status_code == 404
    assert answer.json() == {"detail": "Not Found"}


async def test_only_browsers_that_want_a_page_get_one(
    visitor: httpx.AsyncClient,
) -> None:
    missing = await visitor.get("/assets/gone.js", headers={"Accept": "*/*"})

    assert missing.status_code == 404


async def test_a_script_is_packed_and_kept(visitor: httpx.AsyncClient) -> None:
    answer = await visitor.get("/assets/index-1a2b.js")
    plain = await visitor.get(
        "/assets/index-1a2b.js", headers={"Accept-Encoding": "identity"}
    )
    again = await visitor.get(
        "/assets/index-1a2b.js", headers={"If-None-Match": answer.headers["etag"]}
    )

    assert answer.headers["content-encoding"] == "gzip"
    assert answer.text == plain.text == "let x = 1\n" * 1_000
    assert "immutable" in answer.headers["cache-control"]
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "address",
    ["/link", "/../secret", "/%2e%2e/secret", "/assets/%2e%2e%2f%2e%2e/secret"],
)
async def test_no_address_leads_out_of_the_folder(
    visitor: httpx.AsyncClient, address: str
) -> None:
    answer = await visitor.get(address)

    assert answer.status_code == 404
    assert "beside" not in answer.text


async def test_the_own_page_stays_beside_it(visitor: httpx.AsyncClient) -> None:
    page = await visitor.get("/page/index.html", headers=BROWSER)

    assert page.status_code == 200
    assert "LangBuilder" in page.text


def test_a_folder_without_a_page_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="LANGBUILDER_FRONTEND_PATH"):
        load({"LANGBUILDER_FRONTEND_PATH": str(tmp_path)}, env_file=None)
