"""Whose files they are, by every door, and what may show them."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from api.composition import Application
from tests.api.conftest import PATIENCE, Person
from tests.api.test_files import uploaded
from tests.api.test_flows import created
from tests.attacks.doors import sound
from tests.attacks.stores import kept_by


async def test_a16_anothers_file_is_not_there(ada: Person, bob: Person) -> None:
    flow = str((await created(ada))["id"])
    path = await uploaded(ada, flow, "a.png", b"secret")
    own = (await ada.post("/api/v2/files", files={"file": ("b.txt", b"s")})).json()
    bobs = str((await created(bob))["id"])
    name = path.partition("/")[2]

    for foreign in (path, own["path"], f"{bobs}/{name}"):
        for door in ("download", "images"):
            answer = await bob.get(f"/api/v1/files/{door}/{foreign}")
            assert (answer.status_code, answer.json()) == (
                404,
                {"detail": "File not found"},
            )
        gone = await bob.delete(f"/api/v1/files/delete/{foreign}")
        mine = foreign.startswith(bobs)  # where there is no such file, nothing is lost
        assert gone.status_code == (200 if mine else 404)
    assert (await ada.get(f"/api/v1/files/download/{path}")).content == b"secret"
    assert (await bob.get(f"/api/v1/files/list/{flow}")).status_code == 404
    for asked in (
        bob.get(f"/api/v2/files/{own['id']}"),
        bob.put(f"/api/v2/files/{own['id']}?name=x"),
        bob.delete(f"/api/v2/files/{own['id']}"),
        bob.post("/api/v2/files/batch", json=[own["id"]]),
        bob.request("DELETE", "/api/v2/files/batch", json=[own["id"]]),
    ):
        assert (await asked).status_code == 404
    assert (await ada.get(f"/api/v2/files/{own['id']}")).content == b"s"


async def test_a41_the_same_bytes_tell_nothing(
    ada: Person, bob: Person, application: Application
) -> None:
    before = kept_by(application)
    same = {"file": ("same.txt", b"the very same bytes")}

    answers = [await one.post("/api/v2/files", files=same) for one in (ada, bob, bob)]

    assert {answer.status_code for answer in answers} == {201}
    assert kept_by(application) == before + 3
    assert b"the very same bytes" not in b"".join(
        path.read_bytes()
        for path in (application.world.settings.data_path / "blobs").rglob("*")
        if path.is_file()
    )


def looking(address: str, person: Person, **headers: str) -> httpx.AsyncClient:
    """Return a browser that has the cookie and sends no other credential."""
    return httpx.AsyncClient(
        base_url=address,
        timeout=PATIENCE,
        headers={"cookie": f"access_token_lf={person.token}", **headers},
    )


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "same-origin", "sec-fetch-dest": "image"}, 200),
        ({}, 200),
        ({"sec-fetch-site": "cross-site", "sec-fetch-dest": "image"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
    ],
)
async def test_a30_the_cookie_shows_images_to_our_own_pages_alone(
    ada: Person, address: str, headers: dict[str, str], status: int
) -> None:
    flow = str((await created(ada))["id"])
    path = await uploaded(ada, flow, "a.png", b"\x89PNG")

    async with looking(address, ada, **headers) as browser:
        answer = await browser.get(f"/api/v1/files/images/{path}")
        others = [
            await browser.get(f"/api/v1/files/download/{path}"),
            await browser.get(f"/api/v1/files/list/{flow}"),
            await browser.get("/api/v2/files"),
            await browser.delete(f"/api/v1/files/delete/{path}"),
        ]

    assert answer.status_code == status
    assert {other.status_code for other in others} == {403}


async def test_a30_the_cookie_shows_nobody_elses_images(
    ada: Person, bob: Person, address: str
) -> None:
    path = await uploaded(ada, str((await created(ada))["id"]), "a.png", b"\x89PNG")

    async with looking(address, bob) as browser:
        answer = await browser.get(f"/api/v1/files/images/{path}")

    assert answer.status_code == 404


@pytest.mark.parametrize("name", ["a.svg", "a.html", "a.xml", "a.js"])
async def test_a37_what_could_run_does_not(ada: Person, name: str) -> None:
    flow = str((await created(ada))["id"])
    evil = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    path = await uploaded(ada, flow, name, evil)

    answer = await ada.get(f"/api/v1/files/download/{path}")
    shown = await ada.get(f"/api/v1/files/images/{path}")

    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert shown.status_code == (200 if name == "a.svg" else 400)
    for one in (answer, shown):
        assert one.headers["x-content-type-options"] == "nosniff"
    if name == "a.svg":
        policy: Any = shown.headers["content-security-policy"]
        assert "sandbox" in policy
        assert "default-src 'none'" in policy
        assert "script" not in policy


async def test_a38_a_file_that_is_not_there_tells_nothing(ada: Person) -> None:
    for path in (f"{uuid4()}/a.txt", "nonsense/a.txt"):
        sound(await ada.get(f"/api/v1/files/download/{path}"))
