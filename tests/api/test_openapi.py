"""The document that describes the API is served, with a page to read it."""

import httpx
import pytest

pytestmark = pytest.mark.server

JSON = "application/json"


async def test_anybody_may_read_the_document(anybody: httpx.AsyncClient) -> None:
    first = await anybody.get("/openapi.json")
    second = await anybody.get("/openapi/openapi.json")

    assert first.status_code == second.status_code == 200
    assert first.headers["content-type"] == second.headers["content-type"] == JSON
    assert first.json() == second.json()
    assert first.headers["content-encoding"] == "gzip"


async def test_the_page_brings_all_it_needs_itself(anybody: httpx.AsyncClient) -> None:
    page = await anybody.get("/docs")

    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "script-src 'self';" in page.headers["content-security-policy"]
    assert "://" not in page.text
    for path in ("swagger-ui-bundle.js", "swagger-ui.css", "docs.js"):
        assert f"/docs/{path}" in page.text
        asset = await anybody.get(f"/docs/{path}")
        assert asset.status_code == 200
        again = await anybody.get(
            f"/docs/{path}", headers={"If-None-Match": asset.headers["etag"]}
        )
        assert again.status_code == 304
    assert (await anybody.get("/docs/..%2fdocument.py")).status_code == 404
