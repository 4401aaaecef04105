"""Files against those who send too much, too oddly, or ask for what is not theirs."""

import asyncio
import io
import socket
import zipfile
from collections.abc import AsyncIterator, Iterator
from urllib.parse import quote
from uuid import UUID

import httpx
import pytest
from msgspec.structs import replace

from api import uploads
from api.composition import Application
from application.file_limits import FileLimits
from application.uploads import Uploads
from tests.api.conftest import PATIENCE, Join, Person, serving
from tests.api.test_files import uploaded
from tests.api.test_flows import created
from tests.attacks.doors import sound
from tests.attacks.stores import kept_by

MEGABYTE = 1024 * 1024


@pytest.fixture(scope="session")
async def strict(application: Application) -> AsyncIterator[str]:
    """The same server where files are small, few, and of some kinds only."""
    world = application.world
    smaller = Uploads(
        world.store,
        claims=world.claims,
        ownership=world.ownership,
        kept=world.uploads._bytes,
        limits=FileLimits(
            largest=MEGABYTE, room=3 * MEGABYTE, endings=frozenset({"bin", "txt"})
        ),
        room=world.uploads.room,
    )
    settings = replace(world.settings, max_file_size_upload=1)
    strict = replace(world, settings=settings, uploads=smaller)
    async with serving(replace(application, world=strict)) as address:
        yield address


@pytest.fixture(scope="module")
async def joined(join: Join) -> Person:
    return await join("eve")


@pytest.fixture
async def eve(strict: str, joined: Person) -> AsyncIterator[Person]:
    """Somebody at the strict server, without any file."""
    assert (await joined.delete("/api/v2/files/")).status_code == 200
    async with Person(
        base_url=strict,
        timeout=PATIENCE,
        headers={"Authorization": f"Bearer {joined.token}"},
    ) as person:
        person.id, person.username, person.token = (
            joined.id,
            joined.username,
            joined.token,
        )
        yield person


async def sent(person: Person, size: int, name: str = "a.bin") -> httpx.Response:
    return await person.post("/api/v2/files", files={"file": (name, b"x" * size)})


async def test_a36_what_says_it_is_too_large_is_not_read(
    eve: Person, application: Application
) -> None:
    before = kept_by(application)

    answer = await sent(eve, 4 * MEGABYTE)

    assert answer.status_code == 413
    assert answer.json()["detail"] == (
        "Content size limit exceeded. Maximum allowed is 1MB and got 4.000MB."
    )
    assert kept_by(application) == before


def endless(boundary: str) -> Iterator[bytes]:
    yield (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; '
        'filename="a.bin"\r\n\r\n'
    ).encode()
    while True:
        yield b"x" * 65_536


async def test_a36_what_never_ends_is_cut_off(
    eve: Person, strict: str, application: Application
) -> None:
    before, taken = kept_by(application), 0

    def flood() -> bytes:
        """Send until the server answers; return how it does."""
        nonlocal taken
        host, _, port = strict.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=20) as line:
            head = (
                f"POST /api/v2/files HTTP/1.1\r\nHost: {host}\r\n"
                f"Authorization: Bearer {eve.token}\r\n"
                "Content-Type: multipart/form-data; boundary=b\r\n"
                "Transfer-Encoding: chunked\r\n\r\n"
            )
            line.sendall(head.encode())
            try:
                for piece in endless("b"):
                    line.sendall(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                    taken += len(piece)
                    if taken > 200 * MEGABYTE:
                        return b"it took everything"
            except OSError:
                pass
            try:
                return line.recv(1000)
            except OSError:
                return b""

    answer = await asyncio.to_thread(flood)

    assert answer == b"" or b" 413 " in answer.partition(b"\r\n")[0]
    assert taken < 30 * MEGABYTE
    assert kept_by(application) == before


async def test_a36_nobody_has_more_room_than_everybody(eve: Person) -> None:
    answers = [await sent(eve, MEGABYTE) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {201}

    full = await sent(eve, 1)

    assert full.status_code == 413
    sound(full)
    first = answers[0].json()["id"]
    assert (await eve.delete(f"/api/v2/files/{first}")).status_code == 200
    assert (await sent(eve, MEGABYTE)).status_code == 201


async def test_a36_many_at_once_find_no_more_room(
    eve: Person, application: Application
) -> None:
    answers = await asyncio.gather(*(sent(eve, MEGABYTE) for _ in range(8)))

    codes = [answer.status_code for answer in answers]
    held = await application.world.uploads._bytes.held(UUID(eve.id))
    assert set(codes) <= {201, 413}
    assert held == codes.count(201) * MEGABYTE <= 3 * MEGABYTE
    notes = await application.world.claims.taken("blob", f"{eve.id}/")
    assert notes == []


async def test_files_of_other_kinds_are_not_taken_in(eve: Person) -> None:
    for name in ("a.exe", "a.bin.exe", "bin", ".bin"):
        answer = await sent(eve, 10, name)
        assert answer.status_code == 415, name
        sound(answer)
    assert (await sent(eve, 10, "a.BIN")).status_code == 201


def form(*parts: bytes, boundary: str = "b", end: bool = True) -> bytes:
    body = b"".join(b"--%s\r\n%s\r\n" % (boundary.encode(), part) for part in parts)
    return body + (f"--{boundary}--\r\n".encode() if end else b"")


FILE = b'Content-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nhello'


@pytest.mark.parametrize(
    ("kind", "body", "words"),
    [
        ("application/json", b'{"files": {"filepath": "/etc/passwd"}}', "boundary p"),
        ("multipart/form-data", form(FILE), "boundary parameter"),
        ("multipart/form-data; boundary=", form(FILE), "boundary parameter"),
        ("multipart/form-data; boundary=b/c", form(FILE), "Invalid boundary format"),
        (f"multipart/form-data; boundary={'b' * 71}", b"", "Invalid boundary format"),
        ("multipart/form-data; boundary=b", b"nonsense", "Invalid multipart form"),
        ("multipart/form-data; boundary=b", b"", "Invalid multipart formatting"),
        (
            "multipart/form-data; boundary=b",
            form(FILE, end=False),
            "Invalid multipart formatting",
        ),
        (
            "multipart/form-data; boundary=b",
            form(FILE, FILE),
            "more than one file",
        ),
        (
            "multipart/form-data; boundary=b",
            form(b"x: " + b"y" * 100_000 + b"\r\n" + FILE),
            "Invalid multipart formatting",
        ),
    ],
)
async def test_a34_a_form_that_is_none_is_refused(
    ada: Person, application: Application, kind: str, body: bytes, words: str
) -> None:
    flow = (await created(ada))["id"]
    before = kept_by(application)

    answer = await ada.post(
        f"/api/v1/files/upload/{flow}", content=body, headers={"content-type": kind}
    )

    assert answer.status_code == 422, answer.text
    assert words in answer.json()["detail"]
    sound(answer)
    assert kept_by(application) == before
    assert (await ada.get(f"/api/v1/files/list/{flow}")).json() == {"files": []}


async def test_a36_a_form_is_not_larger_than_its_file(ada: Person) -> None:
    other = (
        b'Content-Disposition: form-data; name="other"\r\n\r\n' + b"x" * 3 * MEGABYTE
    )
    kind = {"content-type": "multipart/form-data; boundary=b"}

    answer = await ada.post("/api/v2/files", content=form(other, FILE), headers=kind)

    assert answer.status_code == 413


@pytest.mark.parametrize("pause", [0.05, 30.0], ids=["slowly", "not at all"])
async def test_a36_who_sends_hardly_anything_is_let_go(
    ada: Person,
    address: str,
    application: Application,
    monkeypatch: pytest.MonkeyPatch,
    pause: float,
) -> None:
    monkeypatch.setattr(uploads, "PATIENCE", 0.3)
    monkeypatch.setattr(uploads, "LINGER_SECONDS", 0.1)
    before = kept_by(application)
    host, _, port = address.removeprefix("http://").partition(":")
    reader, line = await asyncio.open_connection(host, int(port))
    line.write(
        f"POST /api/v2/files HTTP/1.1\r\nHost: {host}\r\n"
        f"Authorization: Bearer {ada.token}\r\nContent-Length: 5000000\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n\r\n".encode()
    )
    line.write(form(FILE, end=False)[:-4])

    async def drip() -> None:
        while True:
            await asyncio.sleep(pause)
            line.write(b"x")

    dripping = asyncio.create_task(drip())
    async with asyncio.timeout(30):
        answer = await reader.readline()
    dripping.cancel()
    line.close()

    assert b" 408 " in answer
    assert kept_by(application) == before


async def test_a_broken_line_leaves_nothing(
    ada: Person, address: str, application: Application
) -> None:
    before = kept_by(application)
    host, _, port = address.removeprefix("http://").partition(":")
    _, line = await asyncio.open_connection(host, int(port))
    line.write(
        f"POST /api/v2/files HTTP/1.1\r\nHost: {host}\r\n"
        f"Authorization: Bearer {ada.token}\r\nContent-Length: 5000000\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n\r\n".encode()
    )
    line.write(form(FILE + b"x" * MEGABYTE, end=False))
    await line.drain()
    async with asyncio.timeout(30):
        while kept_by(application) == before:
            await asyncio.sleep(0.01)

    line.close()

    async with asyncio.timeout(30):
        while kept_by(application) != before:
            await asyncio.sleep(0.01)
    assert application.world.uploads is not None


ODD_NAMES = [
    *("../../../etc/passwd", "..\\..\\boot.ini", "/etc/passwd", "a\u202egnp.exe"),
    *("CON", ".htaccess", "x" * 300 + ".txt", "a\uff0f..\uff0fb", "-rf", "%2e%2e%2fa"),
]


@pytest.mark.parametrize("name", ODD_NAMES)
async def test_a32_an_odd_name_becomes_a_plain_one(ada: Person, name: str) -> None:
    flow = (await created(ada))["id"]
    disposition = f'form-data; name="file"; filename="{name}"'.encode()
    body = form(b"Content-Disposition: " + disposition + b"\r\n\r\nhello")
    kind = {"content-type": "multipart/form-data; boundary=b"}

    answer = await ada.post(f"/api/v1/files/upload/{flow}", content=body, headers=kind)

    assert answer.status_code == 201, answer.text
    place, _, plain = answer.json()["file_path"].partition("/")
    assert place == flow
    assert not set(plain) & set('/\\\0"<>:|?*\u202e')
    assert ".." not in plain.partition("_")[0]
    got = await ada.get(f"/api/v1/files/download/{flow}/{quote(plain)}")
    assert got.content == b"hello"


@pytest.mark.parametrize(
    "name",
    [
        *("..%2f..%2fetc%2fpasswd", "%2e%2e%2f%2e%2e%2fsecret_key", "..", "%00"),
        *("..%5c..%5cboot.ini", "%252e%252e%252fsecret_key", "a.txt%00.png"),
        *("%2fetc%2fpasswd", "~root", "file:%2f%2f%2fetc%2fpasswd", "%ff%fe"),
    ],
)
async def test_a35_a_path_leads_nowhere_else(
    ada: Person, application: Application, name: str
) -> None:
    flow = (await created(ada))["id"]
    path = await uploaded(ada, str(flow), "a.txt", b"hello")
    before = kept_by(application)

    for door in ("download", "images"):
        answer = await ada.get(f"/api/v1/files/{door}/{flow}/{name}")
        assert answer.status_code in {404, 422}, (door, name, answer.text)
    gone = await ada.delete(f"/api/v1/files/delete/{flow}/{name}")
    assert gone.status_code in {200, 404, 422}  # 200: there is no such file
    assert kept_by(application) == before
    assert (await ada.get(f"/api/v1/files/download/{path}")).content == b"hello"


async def test_a33_names_in_a_zip_lead_nowhere(ada: Person) -> None:
    ids = []
    for name in ("../../a.txt", "/etc/a.txt", "..\\a.txt"):
        answer = await ada.post("/api/v2/files", files={"file": (name, b"x")})
        ids.append(answer.json()["id"])
    for nth, name in enumerate(("../../up", "/abs", "a/../../b")):
        await ada.put(f"/api/v2/files/{ids[nth]}", params={"name": name})

    packed = (await ada.post("/api/v2/files/batch", json=ids)).content

    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        for name in archive.namelist():
            assert not set(name) & set("/\\"), name
            assert not name.startswith(".")
