"""What a server that was killed leaves of files, and how it goes."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from api.composition import Application
from application.execution.keeper import system_cause
from application.files import Files
from application.uploads import Uploads
from infrastructure.secrets import PostgresContents
from tests.api.conftest import Join, Person
from tests.api.test_files import uploaded
from tests.api.test_flows import created


class KilledError(Exception):
    """Here the server's process would have ended."""


async def killed(*_: object, **__: object) -> None:
    raise KilledError


def blobs_of(application: Application) -> set[Path]:
    root = application.world.settings.data_path / "blobs"
    return {path for path in root.rglob("*") if path.is_file()}


async def a_day_later(application: Application) -> None:
    await application.world.retention.apply(
        cause=system_cause(), now=datetime.now(UTC) + timedelta(hours=25)
    )


@pytest.fixture(scope="module")
async def somebody(join: Join) -> Person:
    return await join("eve")


@pytest.fixture
async def eve(somebody: Person) -> Person:
    assert (await somebody.delete("/api/v2/files/")).status_code == 200
    return somebody


async def test_an_upload_that_was_never_stored_is_swept(
    eve: Person, application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, claims = blobs_of(application), application.world.claims
    with monkeypatch.context() as cut:
        cut.setattr(Uploads, "_save", killed)
        answer = await eve.post("/api/v2/files", files={"file": ("a.txt", b"abc")})
        assert answer.status_code == 500
    assert len(blobs_of(application) - before) == 1
    assert len(await claims.taken("blob", f"{eve.id}/")) == 1

    await application.world.retention.apply(cause=system_cause())
    assert len(blobs_of(application) - before) == 1  # it may be on its way yet
    await a_day_later(application)

    assert blobs_of(application) <= before
    assert await claims.taken("blob", f"{eve.id}/") == []
    assert (await eve.get("/api/v2/files")).json() == []


async def test_bytes_that_a_deletion_left_are_swept(
    eve: Person, application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = blobs_of(application)
    answer = await eve.post("/api/v2/files", files={"file": ("a.txt", b"abc")})
    path = f"/api/v2/files/{answer.json()['id']}"
    with monkeypatch.context() as cut:
        cut.setattr(PostgresContents, "discard", killed)
        assert (await eve.delete(path)).status_code == 500

    assert (await eve.get(path)).status_code == 404
    assert len(blobs_of(application) - before) == 1
    await a_day_later(application)
    assert blobs_of(application) <= before


async def test_files_that_a_deleted_flow_left_are_swept(
    eve: Person, application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow, other = [str((await created(eve))["id"]) for _ in range(2)]
    path = await uploaded(eve, flow, "a.txt", b"abc")
    kept = await uploaded(eve, other, "a.txt", b"abc")
    own = await eve.post("/api/v2/files", files={"file": ("a.txt", b"abc")})
    with monkeypatch.context() as cut:
        cut.setattr(Files, "forget_flow", killed)
        assert (await eve.delete(f"/api/v1/flows/{flow}")).status_code == 500

    await application.world.files.sweep(cause=system_cause())

    for one, status in ((path, 404), (kept, 200), (own.json()["path"], 200)):
        answer = await eve.get(f"/api/v1/files/download/{one}")
        assert answer.status_code == status, one


async def test_the_bytes_of_a_deleted_file_are_gone(
    eve: Person, application: Application
) -> None:
    before = blobs_of(application)
    answer = await eve.post("/api/v2/files", files={"file": ("a.txt", b"abc")})
    file = UUID(answer.json()["id"])

    await eve.delete(f"/api/v2/files/{file}")

    world = application.world
    assert blobs_of(application) == before
    assert await world.contents.blobs_of([file, uuid4()]) == []
    assert await world.ownership.of(file) is None
    assert await world.claims.taken("blob", f"{eve.id}/") == []
