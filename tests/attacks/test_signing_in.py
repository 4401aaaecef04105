"""Signing in cannot be forced, forged, guessed at leisure or done from elsewhere."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import bcrypt
import httpx
import pytest

from api.composition import Application
from infrastructure.settings import SettingError, load
from tests.api.conftest import PASSWORD, Person, signed_in
from tests.attacks.doors import sound

COST = len("$2b$12$")
WHOAMI = "/api/v1/users/whoami"
EVIL = (
    *("https://evil.example", "null", "http://127.0.0.1.evil.example"),
    *("http://evil127.0.0.1", "file://", "http://localhost:1", ""),
)


async def test_a24_nobody_is_let_in_unasked(anybody: httpx.AsyncClient) -> None:
    answer = await anybody.get("/api/v1/auto_login")

    assert answer.status_code == 400
    assert "set-cookie" not in answer.headers
    sound(answer)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.168.1.2", "example.org"]
)  # refused
def test_a24_auto_login_is_refused_on_any_address_that_others_reach(host: str) -> None:
    given = {"LANGBUILDER_AUTO_LOGIN": "true", "LANGBUILDER_HOST": host}

    with pytest.raises(SettingError):
        load(given, env_file=None)


@pytest.mark.parametrize("given", ["*", "https://a.example,*"])
def test_a30_every_origin_is_no_origin_to_allow(given: str) -> None:
    with pytest.raises(SettingError):
        load({"LANGBUILDER_CORS_ORIGINS": given}, env_file=None)


@pytest.mark.parametrize(
    ("username", "password"),
    [
        ("root", ""),
        ("root", "root"),
        ("langflow", "langflow"),
        ("langbuilder", "langbuilder"),
        ("admin", "admin"),
        ("superuser", "superuser"),
    ],
)
async def test_a25_there_is_no_password_to_be_guessed(
    anybody: httpx.AsyncClient, username: str, password: str
) -> None:
    answer = await anybody.post(
        "/api/v1/login", data={"username": username, "password": password}
    )

    assert answer.status_code == 401


async def test_a26_an_unknown_name_is_as_much_work_as_a_wrong_password(
    mallory: Person, anybody: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[bytes] = []
    check = bcrypt.checkpw

    def noted(password: bytes, hashed: bytes) -> bool:
        checked.append(hashed[:COST])
        return check(password, hashed)

    # Counted, not timed: how long a check takes says more of the machine.
    monkeypatch.setattr(bcrypt, "checkpw", noted)
    for username in (mallory.username, "nobody-at-all"):
        wrong = {"username": username, "password": "wrong"}
        await anybody.post("/api/v1/login", data=wrong)

    known, unknown = checked
    assert known == unknown


async def test_a26_many_guesses_at_once_are_no_way_around_the_limit(
    eve: Person, anybody: httpx.AsyncClient
) -> None:
    guesses = [{"username": eve.username, "password": f"wrong {n}"} for n in range(25)]

    answers = await asyncio.gather(
        *(anybody.post("/api/v1/login", data=guess, timeout=20) for guess in guesses)
    )
    closed = await anybody.post(
        "/api/v1/login", data={"username": eve.username, "password": PASSWORD}
    )

    assert {answer.status_code for answer in answers} == {401, 429}
    assert sum(answer.status_code == 401 for answer in answers) <= 10
    assert closed.status_code == 429
    sound(closed)


@pytest.mark.parametrize(
    "token", [None, "", [], {}, 7, True, "null", "undefined", "x" * 100_000, "é", "\0"]
)
async def test_a27_a_link_is_not_opened_by_just_anything(
    anybody: httpx.AsyncClient, token: Any
) -> None:
    answer = await anybody.post("/api/v1/login/link", json={"token": token})

    assert answer.status_code in {401, 422}
    sound(answer)


async def test_a27_of_many_who_use_a_link_at_once_one_gets_in(
    application: Application, mallory: Person, anybody: httpx.AsyncClient
) -> None:
    token = await application.world.sessions.link_for(
        UUID(mallory.id), ttl=timedelta(minutes=1)
    )

    answers = await asyncio.gather(
        *(anybody.post("/api/v1/login/link", json={"token": token}) for _ in range(8))
    )

    assert sorted(answer.status_code for answer in answers) == [200, *[401] * 7]


def with_cookie(token: str, **more: str) -> dict[str, str]:
    return {"Cookie": f"refresh_token_lf={token}", **more}


async def entered(client: httpx.AsyncClient, person: Person) -> httpx.Response:
    answer = await client.post(
        "/api/v1/login", data={"username": person.username, "password": PASSWORD}
    )
    client.cookies.clear()
    return answer


async def test_a28_of_two_who_go_on_with_one_refresh_token_none_stays_in(
    eve: Person, anybody: httpx.AsyncClient
) -> None:
    tokens = (await entered(anybody, eve)).json()

    async def renew(token: str) -> httpx.Response:
        answer = await anybody.post("/api/v1/refresh", headers=with_cookie(token))
        anybody.cookies.clear()
        return answer

    together = await asyncio.gather(*(renew(tokens["refresh_token"]) for _ in range(5)))
    followers = [answer.json() for answer in together]
    mine = (await renew(followers[0]["refresh_token"])).json()
    stolen = await renew(tokens["refresh_token"])

    assert {answer.status_code for answer in together} == {200}
    assert stolen.status_code == 401
    assert (await renew(mine["refresh_token"])).status_code == 401
    for one in [tokens, *followers, mine]:
        bearing = {"Authorization": f"Bearer {one['access_token']}"}
        assert (await anybody.get(WHOAMI, headers=bearing)).status_code == 401


async def test_a28_a_new_password_ends_every_session_and_every_refresh_token(
    address: str, eve: Person, anybody: httpx.AsyncClient
) -> None:
    tokens = (await entered(anybody, eve)).json()

    changed = await eve.patch(
        f"/api/v1/users/{eve.id}/reset-password", json={"password": "another"}
    )

    assert changed.status_code == 200
    bearing = {"Authorization": f"Bearer {tokens['access_token']}"}
    renewed = await anybody.post(
        "/api/v1/refresh", headers=with_cookie(tokens["refresh_token"])
    )
    assert (await anybody.get(WHOAMI, headers=bearing)).status_code == 401
    assert (await eve.get(WHOAMI)).status_code == 401
    assert renewed.status_code == 401
    await (await signed_in(address, eve.username, "another")).aclose()


async def test_a28_cookies_are_forgotten_as_they_were_set(
    mallory: Person, anybody: httpx.AsyncClient
) -> None:
    def kept(answer: httpx.Response) -> dict[str, set[str]]:
        found = {}
        for cookie in answer.headers.get_list("set-cookie"):
            name, _, rest = cookie.partition("=")
            words = {word.strip().lower() for word in rest.split(";")[1:]}
            found[name] = {w for w in words if not w.startswith(("max-age", "expires"))}
        return found

    came = await entered(anybody, mallory)
    left = await anybody.post(
        "/api/v1/logout",
        headers={"Authorization": f"Bearer {came.json()['access_token']}"},
    )

    assert kept(came) == kept(left)
    assert "httponly" in kept(came)["refresh_token_lf"]


@pytest.mark.parametrize("origin", EVIL)
async def test_a30_another_sites_page_neither_reads_nor_acts(
    mallory: Person, anybody: httpx.AsyncClient, origin: str
) -> None:
    tokens = (await entered(anybody, mallory)).json()

    read = await mallory.get(WHOAMI, headers={"Origin": origin})
    asked = await anybody.request(
        "OPTIONS",
        WHOAMI,
        headers={"Origin": origin, "Access-Control-Request-Method": "GET"},
    )
    renewed = await anybody.post(
        "/api/v1/refresh", headers=with_cookie(tokens["refresh_token"], Origin=origin)
    )
    put_out = await anybody.post(
        "/api/v1/logout", headers=with_cookie(tokens["refresh_token"], Origin=origin)
    )

    for answer in (read, asked):
        assert "access-control-allow-origin" not in answer.headers
        assert "access-control-allow-credentials" not in answer.headers
    assert renewed.status_code == put_out.status_code == 403
    bearing = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert (await anybody.get(WHOAMI, headers=bearing)).status_code == 200
