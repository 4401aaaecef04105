"""Files of one's own over HTTP: uploaded, listed, renamed, packed, deleted."""

import asyncio
import io
import zipfile
from typing import Any
from uuid import uuid4

import pytest

from api.composition import Application
from tests.api.conftest import Join, Person

type Told = dict[str, Any]


async def uploaded(person: Person, name: str, data: bytes = b"hello") -> Told:
    """Upload a file; return what is told of it."""
    answer = await person.post("/api/v2/files", files={"file": (name, data)})
    assert answer.status_code == 201, answer.text
    told: Told = answer.json()
    return told


@pytest.fixture(scope="module")
async def somebody(join: Join) -> Person:
    return await join("eve")


@pytest.fixture
async def eve(somebody: Person) -> Person:
    """Somebody without any file."""
    assert (await somebody.delete("/api/v2/files/")).status_code == 200
    return somebody


async def test_an_upload_is_answered_with_its_name_and_path(eve: Person) -> None:
    told = await uploaded(eve, "b.txt")

    assert told.pop("id")
    assert told == {
        "name": "b",
        "path": f"{eve.id}/b.txt",
        "size": 5,
        "provider": None,
    }


async def test_a_taken_name_gets_a_number(eve: Person, join: Join) -> None:
    told = [await uploaded(eve, "b.txt") for _ in range(3)]
    told.append(await uploaded(eve, "b.csv"))
    other = await uploaded(await join("bob"), "b.txt")

    assert [one["name"] for one in told] == ["b", "b (1)", "b (2)", "b (3)"]
    assert told[1]["path"] == f"{eve.id}/b (1).txt"
    assert other["name"] == "b"


async def test_names_stay_unique_when_many_come_at_once(eve: Person) -> None:
    told = await asyncio.gather(*(uploaded(eve, "crowd.txt") for _ in range(8)))

    assert len({one["name"] for one in told}) == 8
    assert len({one["path"] for one in told}) == 8


async def test_files_are_listed_oldest_first(eve: Person) -> None:
    told = [await uploaded(eve, f"{name}.txt") for name in "cab"]

    listed = (await eve.get("/api/v2/files")).json()
    assert (await eve.get("/api/v2/files/")).json() == listed
    assert [one["id"] for one in listed] == [one["id"] for one in told]
    assert listed[0].keys() == {
        *("id", "user_id", "name", "path", "size", "provider"),
        *("created_at", "updated_at"),
    }
    assert listed[0]["user_id"] == eve.id


async def test_a_file_is_downloaded_under_its_name(eve: Person) -> None:
    told = await uploaded(eve, "naïve.txt", b"gr\xc3\xbcn")

    answer = await eve.get(f"/api/v2/files/{told['id']}")

    assert answer.content == b"gr\xc3\xbcn"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == (
        "attachment; filename=\"na_ve.txt\"; filename*=UTF-8''na%C3%AFve.txt"
    )


async def test_the_text_of_a_file_is_told_as_json(eve: Person) -> None:
    told = await uploaded(eve, "a.txt", b"gr\xc3\xbcn")
    picture = await uploaded(eve, "a.png", b"\x89PNG\xff")

    asked = {"return_content": "true"}
    answer = await eve.get(f"/api/v2/files/{told['id']}", params=asked)
    refused = await eve.get(f"/api/v2/files/{picture['id']}", params=asked)

    assert answer.json() == "grün"
    assert refused.status_code == 422


async def test_a_renamed_file_keeps_its_path(eve: Person) -> None:
    told = await uploaded(eve, "a.txt")

    answer = await eve.put(f"/api/v2/files/{told['id']}", params={"name": "other"})

    assert answer.status_code == 200
    assert answer.json() == {**told, "name": "other"}
    [listed] = (await eve.get("/api/v2/files")).json()
    assert (listed["name"], listed["path"]) == ("other", told["path"])
    again = await eve.get(f"/api/v2/files/{told['id']}")
    assert 'filename="other.txt"' in again.headers["content-disposition"]


async def test_a_name_that_another_file_has_is_refused(eve: Person) -> None:
    await uploaded(eve, "a.txt")
    told = await uploaded(eve, "b.txt")

    answer = await eve.put(f"/api/v2/files/{told['id']}", params={"name": "a"})

    assert answer.status_code == 400
    assert answer.json() == {"detail": "Another of your files has this name"}
    assert (await eve.put(f"/api/v2/files/{told['id']}")).status_code == 422


async def test_what_was_let_go_may_be_taken(eve: Person) -> None:
    told = await uploaded(eve, "a.txt")
    await eve.put(f"/api/v2/files/{told['id']}", params={"name": "b"})
    other = await uploaded(eve, "c.txt")

    answer = await eve.put(f"/api/v2/files/{other['id']}", params={"name": "a"})

    assert answer.status_code == 200


async def test_a_deleted_file_is_gone(eve: Person) -> None:
    told = await uploaded(eve, "a.txt")

    answer = await eve.delete(f"/api/v2/files/{told['id']}")

    assert answer.json() == {"detail": "File a deleted successfully"}
    for again in (eve.get, eve.delete):
        gone = await again(f"/api/v2/files/{told['id']}")
        assert (gone.status_code, gone.json()) == (404, {"detail": "File not found"})
    assert (await uploaded(eve, "a.txt"))["name"] == "a"


async def test_a_deletion_sent_twice_is_answered_alike(eve: Person) -> None:
    told = await uploaded(eve, "a.txt")
    key = {"idempotency-key": str(uuid4())}

    answers = [
        await eve.delete(f"/api/v2/files/{told['id']}", headers=key) for _ in range(2)
    ]

    assert {answer.status_code for answer in answers} == {200}
    assert answers[0].json() == answers[1].json()


async def test_several_files_are_packed_together(eve: Person) -> None:
    data = bytes(range(256)) * 10_000
    first = await uploaded(eve, "a.bin", data)
    second = await uploaded(eve, "b.bin", b"second")
    third = await uploaded(eve, "c.bin", b"third")
    await eve.put(f"/api/v2/files/{third['id']}", params={"name": "A"})
    ids = [first["id"], second["id"], third["id"], str(uuid4())]

    answer = await eve.post("/api/v2/files/batch/", json=ids)

    assert answer.status_code == 200
    with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
        assert packed.testzip() is None
        assert packed.namelist() == ["a.bin", "b.bin", "A (1).bin"]
        assert packed.read("a.bin") == data
        assert packed.read("b.bin") == b"second"


async def test_several_files_are_deleted_together(eve: Person) -> None:
    told = [await uploaded(eve, f"{n}.txt") for n in range(3)]
    ids = [told[0]["id"], told[2]["id"], str(uuid4())]

    answer = await eve.request("DELETE", "/api/v2/files/batch/", json=ids)

    assert answer.json() == {"message": "2 files deleted successfully"}
    assert [one["name"] for one in (await eve.get("/api/v2/files")).json()] == ["1"]


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_of_files_that_are_not_there_nothing_is_made(
    eve: Person, method: str
) -> None:
    answer = await eve.request(method, "/api/v2/files/batch/", json=[str(uuid4())])

    assert answer.status_code == 404
    assert answer.json() == {"detail": "No files found"}


async def test_all_files_are_deleted_but_those_of_flows(eve: Person) -> None:
    flow = (await eve.post("/api/v1/flows/", json={"name": "f"})).json()["id"]
    await eve.post(f"/api/v1/files/upload/{flow}", files={"file": ("a.txt", b"x")})
    for n in range(3):
        await uploaded(eve, f"{n}.txt")

    answer = await eve.delete("/api/v2/files/")

    assert answer.json() == {"message": "All files deleted successfully"}
    assert (await eve.get("/api/v2/files")).json() == []
    listed = (await eve.get(f"/api/v1/files/list/{flow}")).json()
    assert len(listed["files"]) == 1


async def test_an_upload_without_a_file_is_refused(eve: Person) -> None:
    answer = await eve.post("/api/v2/files", files={"other": ("a.txt", b"x")})

    assert answer.status_code == 400
    assert answer.json() == {"detail": "No file provided"}


async def test_a_full_or_lost_disk_is_503_and_stores_nothing(
    eve: Person, application: Application
) -> None:
    arriving = application.world.settings.data_path / "blobs" / "arriving"
    before = await application.world.store.head()
    aside = arriving.rename(arriving.with_name("aside"))
    arriving.write_text("no directory")
    try:
        answer = await eve.post("/api/v2/files", files={"file": ("a.txt", b"a")})
    finally:
        arriving.unlink()
        aside.rename(arriving)

    assert answer.status_code == 503, answer.text
    assert "Retry-After" in answer.headers
    assert set(answer.json()) == {"detail"}
    assert await application.world.store.head() == before
    assert (await eve.get("/api/v2/files")).json() == []
    assert (await uploaded(eve, "a.txt"))["name"] == "a"
