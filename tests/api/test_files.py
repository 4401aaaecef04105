"""Files of flows over HTTP: uploaded, listed, shown, downloaded, deleted."""

import re
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.api.conftest import Person
from tests.api.test_flows import created

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 300


async def uploaded(
    person: httpx.AsyncClient, flow: str, name: str, data: bytes, **more: Any
) -> str:
    """Upload a file to a flow; return its path."""
    answer = await person.post(
        f"/api/v1/files/upload/{flow}", files={"file": (name, data)}, **more
    )
    assert answer.status_code == 201, answer.text
    said = answer.json()
    assert said.keys() == {"flowId", "file_path"}
    assert said["flowId"] == flow
    path: str = said["file_path"]
    return path


@pytest.fixture
async def flow(ada: Person) -> str:
    return str((await created(ada))["id"])


async def test_a_file_of_a_flow_is_called_after_its_time(
    ada: Person, flow: str
) -> None:
    path = await uploaded(ada, flow, "a.txt", b"hello")

    stamp = r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d"
    assert re.fullmatch(rf"{flow}/{stamp}_a\.txt", path)


async def test_what_was_uploaded_can_be_downloaded(ada: Person, flow: str) -> None:
    path = await uploaded(ada, flow, "a.png", PNG)

    answer = await ada.get(f"/api/v1/files/download/{path}")

    assert answer.content == PNG
    assert answer.headers["content-type"] == "application/octet-stream"
    name = path.partition("/")[2]
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("asked", "first", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=70000-70009", 70_000, 70_010),
        ("bytes=65536-", 65_536, len(PNG)),
        ("bytes=-5", len(PNG) - 5, len(PNG)),
        ("bytes=10-99999999", 10, len(PNG)),
    ],
)
async def test_a_part_of_a_file_can_be_downloaded(
    ada: Person, flow: str, asked: str, first: int, end: int
) -> None:
    path = await uploaded(ada, flow, "a.png", PNG)

    answer = await ada.get(f"/api/v1/files/download/{path}", headers={"range": asked})

    assert answer.status_code == 206
    assert answer.content == PNG[first:end]
    assert answer.headers["content-range"] == f"bytes {first}-{end - 1}/{len(PNG)}"


async def test_a_part_that_is_not_there_is_refused(ada: Person, flow: str) -> None:
    path = await uploaded(ada, flow, "a.txt", b"abc")
    asked = {"range": "bytes=3-"}

    answer = await ada.get(f"/api/v1/files/download/{path}", headers=asked)

    assert answer.status_code == 416
    assert answer.headers["content-range"] == "bytes */3"


async def test_a_file_is_not_sent_to_who_has_it(ada: Person, flow: str) -> None:
    path = await uploaded(ada, flow, "a.png", PNG)
    seen = (await ada.get(f"/api/v1/files/images/{path}")).headers["etag"]

    answer = await ada.get(
        f"/api/v1/files/images/{path}", headers={"if-none-match": seen}
    )

    assert (answer.status_code, answer.content) == (304, b"")


async def test_an_image_is_shown_as_what_it_is(ada: Person, flow: str) -> None:
    path = await uploaded(ada, flow, "a.png", PNG)

    answer = await ada.get(f"/api/v1/files/images/{path}")

    assert answer.content == PNG
    assert answer.headers["content-type"] == "image/png"


async def test_what_is_no_image_is_not_shown(ada: Person, flow: str) -> None:
    path = await uploaded(ada, flow, "a.txt", b"hello")

    answer = await ada.get(f"/api/v1/files/images/{path}")

    assert answer.status_code == 400
    assert answer.json() == {"detail": "Content type text/plain is not an image"}


async def test_files_are_listed_by_flow(ada: Person, flow: str) -> None:
    other = str((await created(ada))["id"])
    paths = [await uploaded(ada, flow, f"{n}.txt", b"x") for n in range(3)]
    await uploaded(ada, other, "other.txt", b"x")

    listed = (await ada.get(f"/api/v1/files/list/{flow}")).json()

    assert listed == {"files": [path.partition("/")[2] for path in paths]}


async def test_the_same_name_in_the_same_second_gets_a_number(
    ada: Person, flow: str
) -> None:
    paths = {await uploaded(ada, flow, "a.txt", b"x") for _ in range(4)}

    assert len(paths) == 4


async def test_a_deleted_file_is_gone(ada: Person, flow: str) -> None:
    path = await uploaded(ada, flow, "a.txt", b"hello")
    name = path.partition("/")[2]

    answer = await ada.delete(f"/api/v1/files/delete/{path}")

    assert answer.status_code == 200
    assert answer.json() == {"message": f"File {name} deleted successfully"}
    gone = await ada.get(f"/api/v1/files/download/{path}")
    assert (gone.status_code, gone.json()) == (404, {"detail": "File not found"})
    assert (await ada.get(f"/api/v1/files/list/{flow}")).json() == {"files": []}
    assert (await ada.delete(f"/api/v1/files/delete/{path}")).json() == answer.json()


async def test_an_upload_sent_twice_is_one_file(ada: Person, flow: str) -> None:
    key = {"idempotency-key": str(uuid4())}
    first = await uploaded(ada, flow, "a.txt", b"hello", headers=key)

    assert await uploaded(ada, flow, "a.txt", b"hello", headers=key) == first
    listed = (await ada.get(f"/api/v1/files/list/{flow}")).json()
    assert len(listed["files"]) == 1
    other = await ada.post(
        f"/api/v1/files/upload/{flow}", files={"file": ("a.txt", b"else")}, headers=key
    )
    assert other.status_code == 422


async def test_the_files_of_a_deleted_flow_go_with_it(ada: Person, flow: str) -> None:
    path = await uploaded(ada, flow, "a.txt", b"hello")

    assert (await ada.delete(f"/api/v1/flows/{flow}")).status_code == 200

    assert (await ada.get(f"/api/v1/files/download/{path}")).status_code == 404


async def test_the_old_address_of_uploads_works(ada: Person, flow: str) -> None:
    answer = await ada.post(
        f"/api/v1/upload/{flow}", files={"file": ("a.txt", b"hello")}
    )

    assert answer.status_code == 201
    assert answer.json()["file_path"].endswith("_a.txt")


async def test_anybody_sees_the_profile_pictures(anybody: httpx.AsyncClient) -> None:
    listed = (await anybody.get("/api/v1/files/profile_pictures/list")).json()["files"]

    assert {name.partition("/")[0] for name in listed} == {"People", "Space"}
    assert len(listed) == 24
    for name in listed:
        picture = await anybody.get(f"/api/v1/files/profile_pictures/{name}")
        assert picture.headers["content-type"].startswith("image/svg+xml")
        assert picture.text.startswith("<svg")


@pytest.mark.parametrize("join_with", ["/", "%2f", "%252f", "%5c"])
async def test_a_picture_is_found_by_its_name_alone(
    anybody: httpx.AsyncClient, join_with: str
) -> None:
    for steps in ("..", "%2e%2e", "%252e%252e"):
        path = f"{steps}/Space{join_with}046-rocket.svg".replace("/", join_with)
        answer = await anybody.get(f"/api/v1/files/profile_pictures/{path}")
        assert answer.status_code in {404, 403}, (path, answer.status_code)
